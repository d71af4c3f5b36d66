"""Eqs 6-10 by hand, by naive restatement, by their laws; streaming against stored."""

from fractions import Fraction

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicate import instability
from replicate.fast.convolution import mean_absolute_gradient
from replicate.instability import (
    StreamingInstability,
    saliency_change,
    sentence_change,
    sentence_instability,
    standardise,
    token_instability,
    word_instability,
)

# --- A worked example, by hand ---------------------------------------------------
#
# T1 is one sentence, "a b a"; a filter covers one word; D = 2; K = 4 epochs.
# Filter 0 wins at the first word, filter 1 at the second, filters 2 and 3 at
# the third.  GZ is the gradient of the loss at the four maxima.

FILTERS = [(2, -4), (1, 1), (3, -1), (1, 1)]
WINNERS = [0, 1, 2, 2]
GZ = [(-1, 1, 1, 1), (2, 2, 1, -1), (-1, -3, 0, 2), (2, 4, 2, 0)]
# (6): |g| (2 + 4) / 2 at the first word, |g| at the second; at the third the
# gradients (4, 0), (2, -2), (2, 2), (6, -2) of two filters add up first.
WA = [(3, 1, 2), (6, 2, 2), (3, 3, 2), (6, 4, 4)]
WAD = [(3, 1, 0), (-3, 1, 0), (3, 1, 2)]  # (8)
# (9), inside: means 1, 1, 2/3; squares (4 + 16 + 4) / 3, 0, (4 + 4 + 16) / 27.
VARIANCE = [Fraction(8), Fraction(0), Fraction(8, 9)]
WAC = {"a": Fraction(40, 9), "b": Fraction(0)}
SAMPLE_WAC = {"a": Fraction(20, 3), "b": Fraction(0)}  # 3/2 of it: n / (n - 1)
# (10): words, then A_S as the readings have it.
T2 = {
    "a b": (Fraction(20, 9), Fraction(20, 9), Fraction(20, 9)),
    "a a b": (Fraction(80, 27), Fraction(80, 27), Fraction(20, 9)),
    "b c": (Fraction(0), Fraction(0), Fraction(0)),
    "c": (Fraction(0), Fraction(0), Fraction(0)),
    "c a": (Fraction(40, 9), Fraction(20, 9), Fraction(40, 9)),
}
READINGS = [("skip", "each"), ("zero", "each"), ("skip", "once")]


def naive_saliency(gz):
    """(6) for the worked example: add gradients word by word, then mean |.| over D."""
    gradient = [[Fraction(0)] * 2 for _ in range(3)]
    for g, place, row in zip(gz, WINNERS, FILTERS):
        gradient[place] = [d + g * w for d, w in zip(gradient[place], row)]
    return tuple(sum(map(abs, d)) / 2 for d in gradient)


def naive_variance(values, ddof=0, absolute=False, second=False):
    """(8) and the inside of (9) for one occurrence; the keywords break the formula."""
    values = [Fraction(float(value)) for value in values]
    change = [after - before for before, after in zip(values[:-1], values[1:])]
    if absolute:
        change = [abs(c) for c in change]
    if second:
        change = values
    mean = sum(change) / len(change)
    return sum((c - mean) ** 2 for c in change) / (len(change) - ddof)


def naive_wac(saliency, tokens, n_words, ddof=0, **broken):
    """(9): mean over the occurrences of a word; None where there is none."""
    wac = []
    for word in range(n_words):
        places = [v for v, token in enumerate(tokens) if token == word]
        each = [naive_variance([row[v] for row in saliency], ddof, **broken) for v in places]
        wac.append(sum(each) / len(each) if each else None)
    return wac


def naive_sentence(words, wac, unseen="skip", repeated="each"):
    """(10): mean of wac over the words of a sentence, as the readings have it."""
    if repeated == "once":
        words = set(words)
    values = [wac[w] for w in words]
    if unseen == "zero":
        values = [Fraction(0) if v is None else v for v in values]
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else Fraction(0)


def test_the_hand_agrees_with_the_restatement():
    """Every number above, exactly, in fractions."""
    assert [naive_saliency(gz) for gz in GZ] == WA
    assert [tuple(b - a for a, b in zip(p, q)) for p, q in zip(WA, WA[1:])] == WAD
    assert [naive_variance(column) for column in zip(*WA)] == VARIANCE
    wac = naive_wac(WA, [0, 1, 0], 3)
    assert wac == [WAC["a"], WAC["b"], None]
    assert naive_wac(WA, [0, 1, 0], 3, ddof=1) == [SAMPLE_WAC["a"], SAMPLE_WAC["b"], None]
    for text, scores in T2.items():
        words = ["abc".index(w) for w in text.split()]
        assert tuple(naive_sentence(words, wac, *reading) for reading in READINGS) == scores


def test_the_package_agrees_with_the_hand():
    """Eqs (6) to (10) one after another, from gradients to A_S."""
    weight = np.array(FILTERS, dtype=np.float32).reshape(4, 1, 1, 2)
    where = np.array([WINNERS], dtype=np.int32)
    offsets = np.array([0, 3])
    rows = [
        mean_absolute_gradient(np.array([gz], dtype=np.float32), where, offsets, weight, 3)
        for gz in GZ
    ]
    saliency = np.array(rows)
    assert saliency.tolist() == [list(map(float, row)) for row in WA]  # exact in float32
    exact = [float(v) for v in VARIANCE]
    np.testing.assert_allclose(token_instability(saliency), exact, rtol=1e-15)
    tokens = np.array([0, 1, 0], dtype=np.int32)
    wac, count = word_instability(saliency, tokens, 3)
    np.testing.assert_allclose(wac, [40 / 9, 0, np.nan], rtol=1e-15)
    assert count.tolist() == [2, 1, 0]
    np.testing.assert_allclose(
        word_instability(saliency, tokens, 3, ddof=1)[0], [20 / 3, 0, np.nan], rtol=1e-15
    )
    words = ["abc".index(w) for text in T2 for w in text.split()]
    ends = np.cumsum([0, *(len(text.split()) for text in T2)])
    for place, (unseen, repeated) in enumerate(READINGS):
        scores = sentence_instability(wac, np.array(words), ends, unseen, repeated)
        wanted = [float(row[place]) for row in T2.values()]
        np.testing.assert_allclose(scores, wanted, rtol=1e-15)


@pytest.mark.parametrize("broken", ["absolute", "second"])
def test_a_broken_formula_is_caught(broken):
    """|differences|, or the variance of the saliency itself, give other numbers."""
    wac = word_instability(np.array(WA, dtype=np.float32), np.array([0, 1, 0]), 2)[0]
    other = naive_wac(WA, [0, 1, 0], 2, **{broken: True})
    assert abs(wac[0] - float(other[0])) > 0.5


def test_absolute_values_first_would_be_caught():
    """Eq. (6) adds the filters' gradients before it takes absolute values."""
    first = [(abs(gz[2]) * 4 + abs(gz[3]) * 2) / 2 for gz in GZ]
    assert first != [row[2] for row in WA]


# --- Naive restatements against the package --------------------------------------

VALUES = st.floats(0, 8, width=16)


@st.composite
def recordings(draw, values=VALUES, least=3):
    """Saliency (E, T) float32, tokens (T,), and V with a word or two unseen."""
    epochs, n_tokens = draw(st.integers(least, 7)), draw(st.integers(1, 9))
    row = st.lists(values, min_size=n_tokens, max_size=n_tokens)
    saliency = draw(st.lists(row, min_size=epochs, max_size=epochs))
    tokens = draw(st.lists(st.integers(0, 4), min_size=n_tokens, max_size=n_tokens))
    return np.array(saliency, dtype=np.float32), np.array(tokens, dtype=np.int32), 6


def close(made, wanted, scale):
    """Within 1e-6 relative, or rounding of float64 beside the squares it came from."""
    wanted = np.array([np.nan if w is None else float(w) for w in wanted])
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-12 * scale)


def squares(saliency):
    """The greatest squared difference: the scale of rounding."""
    return float((np.diff(saliency.astype(np.float64), axis=0) ** 2).max(initial=0))


def stream(saliency, tokens, n_words):
    """A StreamingInstability that has seen it all."""
    made = StreamingInstability(tokens, n_words)
    for row in saliency:
        made.add(row)
    return made


@given(recordings(), st.sampled_from([0, 1]))
@settings(max_examples=150)
def test_stored_and_streaming_against_the_restatement(recording, ddof):
    """Eq. (9) in three forms, with both readings of the variance."""
    saliency, tokens, n_words = recording
    by_hand = naive_wac(saliency, tokens.tolist(), n_words, ddof)
    counts = [tokens.tolist().count(word) for word in range(n_words)]
    scale = squares(saliency)
    for wac, count in (
        word_instability(saliency, tokens, n_words, ddof),
        stream(saliency, tokens, n_words).result(ddof),
    ):
        assert wac.dtype == np.float64 and count.tolist() == counts
        close(wac, by_hand, scale)
    each = [naive_variance(column, ddof) for column in saliency.T]
    close(token_instability(saliency, ddof), each, scale)


def test_streaming_agrees_at_the_size_of_a_run():
    """50 epochs of 30,000 falling, noisy saliencies: within 1e-6 for every word."""
    random = np.random.RandomState(0)
    level = np.exp(-np.arange(50) / 15)[:, None] * random.rand(30_000)
    saliency = (level + 1e-3 * random.rand(50, 30_000)).astype(np.float32)
    tokens = (random.pareto(1, 30_000) * 20).astype(np.int32) % 5000
    for ddof in (0, 1):
        stored = naive.word_instability(saliency, tokens, 5000, ddof)
        streamed = stream(saliency, tokens, 5000).result(ddof)
        np.testing.assert_allclose(streamed[0], stored[0], rtol=1e-6)
        assert (streamed[1] == stored[1]).all()


def test_a_stream_in_float32_would_be_caught():
    """Sums of squares in float32 lose the agreement of 1e-6."""
    random = np.random.RandomState(0)
    saliency = (random.rand(50, 1000) + 100).astype(np.float32)
    tokens = np.zeros(1000, dtype=np.int32)
    made = stream(saliency, tokens, 1)
    wanted = naive.word_instability(saliency, tokens, 1)[0][0]
    assert made.result()[0][0] == pytest.approx(wanted, rel=1e-6)
    total = np.float32(0)
    for row in np.diff(saliency, axis=0):
        for jump in row:
            total += jump * jump
    lost = float(total) - float((saliency[-1] - saliency[0]) @ (saliency[-1] - saliency[0])) / 49
    assert lost / 49_000 != pytest.approx(wanted, rel=1e-6)


@given(recordings())
def test_ddof(recording):
    """n - 1 for n is a constant factor."""
    saliency, tokens, n_words = recording
    differences = len(saliency) - 1
    population, sample = token_instability(saliency), token_instability(saliency, 1)
    np.testing.assert_allclose(sample * (differences - 1), population * differences, rtol=1e-12)


@pytest.mark.parametrize(
    "epochs, ddof, least", [(0, 0, 3), (1, 0, 3), (2, 0, 3), (2, 1, 3), (3, 2, 4)]
)
def test_too_few_epochs(epochs, ddof, least):
    """The variance of one difference is 0 for every word; where n - ddof is 0, there is none."""
    saliency, tokens = np.eye(5, 2, dtype=np.float32), np.array([0, 1])
    for ask in (
        lambda rows: token_instability(rows, ddof),
        lambda rows: word_instability(rows, tokens, 2, ddof)[0],
        lambda rows: stream(rows, tokens, 2).result(ddof)[0],
    ):
        with pytest.raises(
            ValueError, match=f"^{epochs} recorded epochs .* record {least} or more"
        ):
            ask(saliency[:epochs])
        assert ask(saliency[:least]).any()  # twin


@pytest.mark.parametrize(
    "rows, tokens, message",
    [
        ([[1.0], [2.0], [9.0]], [0, 1, 0], r"\(1,\) saliencies for \(3,\) tokens"),
        ([[1.0] * 4, [2.0] * 4, [9.0] * 4], [0, 1, 0], r"\(4,\) saliencies for \(3,\) tokens"),
        ([1.0, 2.0, 9.0], [0, 1, 0], r"shape \(3,\), not \(E, T\)"),
        ([[[1.0, 2.0, 3.0]]] * 3, [0, 1, 0], r"shape \(3, 1, 3\), not \(E, T\)"),
        ([[1.0, 2.0, 3.0]] * 3, [0, 2, 0], "token 2 is none of 2 words; give numbers from 0 to 1"),
        ([[1.0, 2.0, 3.0]] * 3, [0, -1, 0], "token -1 is none of 2 words"),
        ([[1.0, 2.0, 3.0]] * 3, [0.0, 1.0, 0.0], "tokens are float64"),
        ([[1.0, 2.0, 3.0]] * 3, [[0, 1, 0]], r"shape \(1, 3\); give T whole"),
    ],
    ids=str,
)
def test_a_recording_of_other_tokens_is_refused(rows, tokens, message):
    """NumPy would spread one column over all occurrences, and count -1 from the end."""
    with pytest.raises(ValueError, match=message):
        word_instability(np.array(rows), np.array(tokens), 2)
    with pytest.raises(ValueError, match="saliencies for|is none of|tokens are|not .E, T|too few"):
        stream(np.array(rows), np.array(tokens), 2).result()


def test_lists_are_taken_as_arrays():
    """A list of rows, and of tokens, gives the same."""
    wanted, counted = word_instability(np.array(WA, dtype=np.float64), np.array([0, 1, 0]), 3)
    wac, count = word_instability([list(map(float, row)) for row in WA], [0, 1, 0], 3)
    assert wac.tobytes() == wanted.tobytes() and count.tolist() == counted.tolist()
    whole = token_instability([list(row) for row in WA])
    np.testing.assert_allclose(whole, list(map(float, VARIANCE)), rtol=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_saliency_that_is_no_number_is_refused(value, epoch):
    """Its word would look like one that T1 lacks; a word that does not occur has NaN as before."""
    saliency = np.array(WA, dtype=np.float32)
    assert np.isnan(word_instability(saliency, np.array([0, 1, 0]), 3)[0][2])
    saliency[epoch, 1] = value
    with np.errstate(invalid="ignore"):
        with pytest.raises(ValueError, match="saliency of 1 of 2 words, word 1 the first"):
            word_instability(saliency, np.array([0, 1, 0]), 3)
        with pytest.raises(ValueError, match="saliency of 1 of 3 words"):
            token_instability(saliency)
        # A training that diverged is told by its loss (check_converged), so the sums go on.
        assert not np.isfinite(stream(saliency, np.array([0, 1, 0]), 3).result()[0][1])


# --- Laws ------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-9, 9)), min_size=1, max_size=8),
    st.integers(3, 9),
)
def test_a_linear_trend_scores_zero(lines, epochs):
    """A steady rise or fall scores exactly 0, in both forms; a kink does not."""
    saliency = np.array([[a + b * k for a, b in lines] for k in range(epochs)], dtype=np.float32)
    tokens = np.zeros(len(lines), dtype=np.int32)
    assert not token_instability(saliency).any()
    assert stream(saliency, tokens, 1).result()[0].tolist() == [0.0]
    saliency[-1] += 1
    assert (token_instability(saliency) > 0).all()


@given(recordings(), st.sampled_from([0.25, 0.5, 2.0, -4.0]), st.integers(-4, 4))
def test_scale_and_shift(recording, scale, shift):
    """Saliency times c gives c squared; a level, or a trend, added changes nothing."""
    saliency, tokens, n_words = recording
    wac, _ = word_instability(saliency, tokens, n_words)
    scaled, _ = word_instability(saliency * np.float32(scale), tokens, n_words)
    np.testing.assert_array_equal(scaled, wac * scale**2)
    trend = shift + shift * np.arange(len(saliency), dtype=np.float64)[:, None]
    bound = {"rtol": 1e-9, "atol": 1e-12 * (squares(saliency) + shift**2)}
    for added in (shift, trend):
        moved, _ = word_instability(saliency.astype(np.float64) + added, tokens, n_words)
        np.testing.assert_allclose(moved, wac, **bound)


@given(recordings(), st.randoms(use_true_random=False))
def test_order_of_occurrences_and_of_time(recording, random):
    """Occurrences may stand in any order; time reversed gives the same variance."""
    saliency, tokens, n_words = recording
    order = list(range(len(tokens)))
    random.shuffle(order)
    wac, _ = word_instability(saliency, tokens, n_words)
    for other in (saliency[:, order], saliency[::-1][:, order]):
        moved, _ = word_instability(other, tokens[order], n_words)
        np.testing.assert_allclose(moved, wac, rtol=1e-9, atol=1e-12 * squares(saliency))


def test_order_of_epochs_matters():
    """The same values in another order are another course."""
    saliency = np.array([[1.0], [2.0], [3.0], [4.0]], dtype=np.float32)
    assert token_instability(saliency)[0] == 0 < token_instability(saliency[[0, 2, 1, 3]])[0]


def test_the_mean_is_over_occurrences():
    """A word's wac is no sum: twice the same occurrence changes nothing."""
    saliency = np.array([[1.0], [3.0], [2.0]], dtype=np.float32)
    once, _ = word_instability(saliency, np.array([0]), 1)
    twice, count = word_instability(saliency[:, [0, 0]], np.array([0, 0]), 1)
    assert once[0] == twice[0] > 0 and count[0] == 2


# --- The stream ------------------------------------------------------------------


def test_the_stream_keeps_nothing_of_its_input():
    """The array that was added may be used again."""
    row = np.array([1.0, 2.0], dtype=np.float32)
    made = StreamingInstability(np.array([0, 0]), 1)
    for values in WA:
        row[:] = values[:2]
        made.add(row)
    row[:] = 99
    wanted = stream(np.array(WA, dtype=np.float32)[:, :2], np.array([0, 0]), 1)
    assert made.result()[0].tolist() == wanted.result()[0].tolist()
    assert made.result()[0].tolist() == made.result()[0].tolist()  # asking changes nothing


def test_the_stream_in_parts():
    """More occurrences than one part holds give the same."""
    random = np.random.RandomState(1)
    n = (1 << 20) + 17
    saliency = random.rand(3, n).astype(np.float32)
    tokens = random.randint(0, 7, n).astype(np.int32)
    streamed, count = stream(saliency, tokens, 8).result()
    stored, counted = naive.word_instability(saliency, tokens, 8)
    np.testing.assert_allclose(streamed, stored, rtol=1e-9)
    assert (count == counted).all() and np.isnan(streamed[7])


class Dictionary:
    """The least of Chainer's serializers, writing or reading."""

    def __init__(self, stored=None):
        self.stored = {} if stored is None else stored
        self.reading = stored is not None

    def __call__(self, name, value):
        if self.reading:
            return type(value)(self.stored[name]) if np.isscalar(value) else self.stored[name]
        self.stored[name] = np.array(value)
        return value


def test_the_stream_in_a_snapshot():
    """Stopped after any epoch and taken up again, the result is the same bit for bit."""
    saliency, tokens = np.array(WA, dtype=np.float32) / 3, np.array([0, 1, 0])
    whole = stream(saliency, tokens, 2).result()[0]
    for stop in range(len(saliency) + 1):
        writer = Dictionary()
        stream(saliency[:stop], tokens, 2).serialize(writer)
        resumed = StreamingInstability(tokens, 2)
        resumed.serialize(Dictionary(writer.stored))
        for row in saliency[stop:]:
            resumed.add(row)
        assert resumed.result()[0].tobytes() == whole.tobytes()
    lost = StreamingInstability(tokens, 2)
    for row in saliency[1:]:
        lost.add(row)
    assert lost.result()[0].tobytes() != whole.tobytes()


# --- Sentences -------------------------------------------------------------------

SENTENCES = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=6)
WORD_WAC = st.lists(st.one_of(st.none(), st.floats(0, 10, width=16)), min_size=6, max_size=6)


def flat(sentences):
    """Tokens and offsets of lists of words."""
    tokens = np.array([w for words in sentences for w in words], dtype=np.int32)
    return tokens, np.cumsum([0, *map(len, sentences)])


def as_array(wac):
    """wac with NaN for None."""
    return np.array([np.nan if v is None else v for v in wac], dtype=np.float64)


@given(SENTENCES, WORD_WAC)
@example([[0], [0, 0, 1], [2, 2]], [1.0, None, None, 0.0, 0.0, 0.0])
def test_sentences_against_the_restatement(sentences, wac):
    """Eq. (10) under all four pairs of readings; the input stays as it was."""
    tokens, offsets = flat(sentences)
    values = as_array(wac)
    before = values.copy(), tokens.copy(), offsets.copy()
    exact = [None if v is None else Fraction(v) for v in wac]
    for unseen in ("skip", "zero"):
        for repeated in ("each", "once"):
            made = sentence_instability(values, tokens, offsets, unseen, repeated)
            wanted = [float(naive_sentence(w, exact, unseen, repeated)) for w in sentences]
            np.testing.assert_allclose(made, wanted, rtol=1e-12)
            assert made.dtype == np.float64
    for array, kept in zip((values, tokens, offsets), before):
        np.testing.assert_array_equal(array, kept)


def test_readings_differ():
    """The readings are no two names of one thing."""
    wac, (tokens, offsets) = np.array([1.0, 3.0, np.nan]), flat([[0, 0, 1, 2], [2], [2, 2, 0]])
    rows = {
        (u, r): sentence_instability(wac, tokens, offsets, u, r).tolist()
        for u in ("skip", "zero")
        for r in ("each", "once")
    }
    assert rows["skip", "each"] == [5 / 3, 0, 1]
    assert rows["zero", "each"] == [5 / 4, 0, 1 / 3]
    assert rows["skip", "once"] == [2, 0, 1]
    assert rows["zero", "once"] == [4 / 3, 0, 1 / 2]


@pytest.mark.parametrize(
    "reading, offered",
    [
        ({"unseen": "zeros"}, "unseen_words = 'zeros' is not offered; choose one of skip, zero"),
        ({"unseen": "Skip"}, "unseen_words = 'Skip'"),
        ({"repeated": "Once"}, "repeated_words = 'Once' is not offered; choose one of each, once"),
    ],
    ids=str,
)
def test_another_reading_is_refused(reading, offered, refused):
    """A slip of the pen would be the default without a word."""
    wac, (tokens, offsets) = np.array([1.0, 3.0, np.nan]), flat([[0, 0, 1, 2]])
    with refused(offered):
        sentence_instability(wac, tokens, offsets, **reading)


@given(SENTENCES, WORD_WAC, st.randoms(use_true_random=False))
def test_permuted_sentences_permute_results(sentences, wac, random):
    """Each sentence's score is its own, whatever stands before it."""
    order = list(range(len(sentences)))
    random.shuffle(order)
    for readings in (("skip", "each"), ("zero", "once")):
        made = sentence_instability(as_array(wac), *flat(sentences), *readings)
        turned = [sentences[i] for i in order]
        moved = sentence_instability(as_array(wac), *flat(turned), *readings)
        np.testing.assert_allclose(moved, made[order], rtol=1e-12)


def test_shifted_offsets_are_caught():
    """Sentences cut one word off give other scores."""
    wac = np.array([1.0, 3.0, 9.0])
    tokens, offsets = flat([[0, 1], [2], [1, 0]])
    made = sentence_instability(wac, tokens, offsets)
    assert made.tolist() == [2, 9, 2]
    assert sentence_instability(wac, tokens, np.array([0, 1, 3, 5])).tolist() != made.tolist()


def test_an_empty_sentence_scores_zero():
    """No words, no mean; its neighbours keep theirs."""
    wac, tokens = np.array([1.0, 3.0]), np.array([0, 1])
    for offsets, wanted in (([0, 0, 2], [0, 2]), ([0, 1, 1, 2, 2], [1, 0, 3, 0])):
        assert sentence_instability(wac, tokens, np.array(offsets)).tolist() == wanted
    assert sentence_instability(wac, tokens[:0], np.array([0])).shape == (0,)


@pytest.mark.parametrize("unseen", ["skip", "zero"])
@pytest.mark.parametrize("repeated", ["each", "once"])
def test_a_word_that_the_vocabulary_lacks_is_one_that_t1_lacks(unseen, repeated):
    """-1 is as one more word without a wac: neither the last word, nor of the sentence before."""
    wac = np.array([1.0, 3.0, np.nan, 10.0])
    tokens, offsets = flat([[0, 1], [-1, 3, 3], [-1, 0, -1, 1], [-1]])
    made = sentence_instability(wac, tokens, offsets, unseen, repeated)
    more, seen = np.append(wac, np.nan), np.where(tokens < 0, 4, tokens)
    assert made.tolist() == sentence_instability(more, seen, offsets, unseen, repeated).tolist()
    as_last = sentence_instability(wac, np.where(tokens < 0, 3, tokens), offsets, unseen, repeated)
    assert made[1:].tolist() != as_last[1:].tolist()  # twin: NumPy's reading of -1
    wanted = {"skip": [2, 10, 2, 0], "zero": [2, {"each": 20 / 3, "once": 5}[repeated]]}[unseen]
    assert made[: len(wanted)].tolist() == wanted
    lists = sentence_instability(wac.tolist(), tokens.tolist(), offsets.tolist(), unseen, repeated)
    assert lists.tolist() == made.tolist()


@pytest.mark.parametrize(
    "tokens, offsets, message",
    [
        ([0, 1, 0], [1, 3, 4], "offsets go from 1 to 4, and there are 3 tokens; give 0"),
        ([0, 1, 0], [0, 2], "offsets go from 0 to 2"),
        ([0, 1, 0], [1, 2, 3], "offsets go from 1 to 3"),
        ([0, 1, 0], [0, 2, 9], "offsets go from 0 to 9"),
        ([0, 1, 0], [0, 2, 1, 3], r"offsets\[1:3\] are 2, 1: they fall"),
        ([0, 1, 0], [], "offsets are float64 of shape"),
        ([0, 1, 0], [0.0, 3.0], "offsets are float64 of shape"),
        ([0, 1, 0], [[0, 3]], r"offsets are int64 of shape \(1, 2\)"),
        ([0, 2, 0], [0, 3], "token 2 is none of 2 words; give numbers from -1 to 1"),
        ([0, -2, 0], [0, 3], "token -2 is none of 2 words"),
        ([0.0, 1.0, 0.0], [0, 3], "tokens are float64"),
    ],
    ids=str,
)
def test_sentences_that_are_not_of_the_tokens_are_refused(tokens, offsets, message):
    """Offsets that miss a token at an end gave plausible scores."""
    wac = np.array([1.0, 3.0])
    assert sentence_instability(wac, np.array([0, 1, 0]), np.array([0, 2, 3])).tolist() == [2, 1]
    with pytest.raises(ValueError, match=message):
        sentence_instability(wac, np.array(tokens), np.array(offsets))
    if "token" in message[:5]:
        return
    values = np.array([1.0, 2.0, 4.0])
    for ask in (
        lambda ends: standardise(values, ends),
        lambda ends: sentence_change(values, values[::-1], ends),
        lambda ends: saliency_change(
            values, values[::-1], (values / 9, values / 9), np.array([0, 1, 0]), ends, 2
        ),
    ):
        with pytest.raises(ValueError, match=message):
            ask(np.array(offsets))


# --- Figures 3 to 5 --------------------------------------------------------------


@given(st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=6), min_size=1, max_size=5))
def test_standardise(sentences):
    """Mean 0 and deviation 1 in each sentence, or over all; 0 where all are equal."""
    values, offsets = flat(sentences)
    values = values.astype(np.float32)
    for parts, made in (
        (sentences, standardise(values, offsets)),
        ([sum(sentences, [])], standardise(values)),
    ):
        assert made.dtype == np.float64
        naive = []
        for part in parts:
            mean = sum(map(Fraction, part)) / len(part)
            deviation = float(sum((x - mean) ** 2 for x in part) / len(part)) ** 0.5
            naive += [float(x - mean) / deviation if deviation else 0.0 for x in part]
        np.testing.assert_allclose(made, naive, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offsets", [[0, 1, 1, 2], [0, 2, 2], [0, 0, 2]], ids=str)
def test_a_sentence_without_words_is_refused(offsets):
    """The sum of none would be that of its neighbour."""
    values, offsets = np.array([1.0, 2.0]), np.array(offsets)
    for ask in (
        lambda: standardise(values, offsets),
        lambda: sentence_change(values, values + 1, offsets),
    ):
        with pytest.raises(ValueError, match="no words; leave it out"):
            ask()


def test_standardise_of_equal_values_that_round():
    """0.1 three times has a deviation of rounding only: 0, not noise."""
    for value in (0.1, 1e-8, 1e8 / 3, 0.0):
        made = standardise(np.full(7, value, dtype=np.float32), np.array([0, 3, 7]))
        assert not made.any()
    # In float64 the mean of three is another number than each: what is left is noise.
    assert sum([0.1] * 3) / 3 != 0.1
    assert not standardise(np.full(3, 0.1)).any()
    assert not standardise(np.full(7, 0.1), np.array([0, 3, 7])).any()
    small = standardise(np.array([1e-8, 3e-8], dtype=np.float32))
    np.testing.assert_allclose(small, [-1, 1], rtol=1e-6)


def test_standardise_within_is_not_over_all():
    """The two readings differ, and a law: scale and shift of a sentence change nothing."""
    values, offsets = np.array([1.0, 2.0, 10.0, 30.0]), np.array([0, 2, 4])
    within = standardise(values, offsets)
    assert within.tolist() == [-1, 1, -1, 1]
    assert abs(standardise(values) - within).max() > 0.5
    np.testing.assert_allclose(standardise(values * 3 - 7, offsets), within)


def test_standardise_nothing():
    """No words at all are no error."""
    assert standardise(np.zeros(0)).shape == (0,)


# --- change ----------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=5), min_size=1, max_size=5))
def test_sentence_change(sentences):
    """Fig. 5: absolute changes, summed over each sentence's words, no mean over length."""
    before, offsets = flat(sentences)
    after = before[::-1].astype(np.float32)
    changes = np.abs(before - before[::-1]).tolist()
    wanted = [sum(changes[a:b]) for a, b in zip(offsets[:-1], offsets[1:])]
    assert sentence_change(before.astype(np.float32), after, offsets).tolist() == wanted
    assert sentence_change(after, before.astype(np.float32), offsets).tolist() == wanted


def test_a_change_is_no_signed_sum():
    """A rise and a fall add up."""
    before, after = np.array([1.0, 2.0], dtype=np.float32), np.array([2.0, 1.0], dtype=np.float32)
    assert sentence_change(before, after, np.array([0, 2])).tolist() == [2.0]
    assert (after - before).sum() == 0


N_WORDS = 6
OFFSETS = np.array([0, 3, 4, 9, 11])
BEFORE, AFTER = np.random.RandomState(0).rand(2, 11).astype(np.float32)
DOUBTS = tuple(np.random.RandomState(1).rand(2, 4).astype(np.float32))
TOKENS = np.random.RandomState(2).randint(0, N_WORDS, 11).astype(np.int32)


def naive_change(over):
    """Every form of Fig. 5, sentence by sentence, in float64."""
    before, after = BEFORE.astype(np.float64), AFTER.astype(np.float64)
    found = {"raw": [], "standardised": [], "logit": []}

    def standard(values, among):
        return (values - among.mean()) / among.std() if among.std() else values * 0

    for s in range(4):
        part = slice(OFFSETS[s], OFFSETS[s + 1])
        old, new = before[part], after[part]
        among = (old, new) if over == "sentence" else (before, after)
        found["raw"].append(np.abs(new - old).sum())
        found["standardised"].append(
            np.abs(standard(new, among[1]) - standard(old, among[0])).sum()
        )
        found["logit"].append(np.abs(new / float(DOUBTS[1][s]) - old / float(DOUBTS[0][s])).sum())
    found["words"] = [np.abs(after - before)[TOKENS == w].sum() for w in range(N_WORDS)]
    return found


@pytest.mark.parametrize("over", ["sentence", "extracted", "T1"])
def test_saliency_change_is_its_restatement(over):
    found = saliency_change(BEFORE, AFTER, DOUBTS, TOKENS, OFFSETS, N_WORDS, over)
    expected = naive_change(over)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-12, err_msg=name)
    # Twin: the other way of standardising gives other numbers, and those only.
    other = naive_change("T1" if over == "sentence" else "sentence")
    assert not np.allclose(found["standardised"], other["standardised"], rtol=1e-2)


def test_saliency_change_whatever_is_computed_at_a_time(monkeypatch):
    """Blocks are cut between sentences; sums by word alone have another order."""
    whole = saliency_change(BEFORE, AFTER, DOUBTS, TOKENS, OFFSETS, N_WORDS)
    for words in (1, 4, 7):
        monkeypatch.setattr(instability, "_BLOCK", words)
        cut = saliency_change(BEFORE, AFTER, DOUBTS, TOKENS, OFFSETS, N_WORDS)
        for name in ("raw", "standardised", "logit"):
            assert cut[name].tobytes() == whole[name].tobytes()
        np.testing.assert_allclose(cut["words"], whole["words"], rtol=1e-12)
    # Twin: a block that is left out is noticed.
    real = instability._blocks
    monkeypatch.setattr(instability, "_blocks", lambda offsets: list(real(offsets))[:-1])
    cut = saliency_change(BEFORE, AFTER, DOUBTS, TOKENS, OFFSETS, N_WORDS)
    assert not np.allclose(cut["raw"], whole["raw"])
