"""Laws of the whole way from words to halves (eqs 2-10), on drawn networks and courses.

Networks are drawn in quarters, so that every number up to the logits is exact
in float32 and ties are frequent; restatements are loops over fractions.
:mod:`test_instability` and :mod:`test_selection` have the laws of single
functions; here are those that join them or that they leave out.
"""

import dataclasses
import math
import random
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean, pvariance, variance

import naive
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from replicate import saliency
from replicate.config import Config
from replicate.fast import convolution as functions
from replicate.instability import (
    StreamingInstability,
    sentence_instability,
    token_instability,
    word_instability,
)
from replicate.model import TextCNN
from replicate.saliency import flat_batch, word_saliency
from replicate.selection import median_halves

FORMS = ("fused", "reference")
#: The first example may compile; time says nothing here.
LAW = settings(deadline=None, max_examples=60)
#: How a twin looks for an example that tells its sabotage: without shrinking it.
SEARCH = settings(deadline=None, max_examples=2000, database=None, phases=[Phase.generate])


def found(strategy, condition):
    """An example of the condition, or NoSuchExample; the same every time."""
    return find(strategy, condition, settings=SEARCH, random=random.Random(0))


# --- Networks in quarters ------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """Weights of Fig. 2 as Chainer has them, vectors (V, D), and sentences of word ids."""

    vectors: np.ndarray
    filters: np.ndarray  # (F, h, D)
    bias: np.ndarray
    out: np.ndarray  # (C, F)
    out_bias: np.ndarray
    padding: str
    sentences: tuple

    def but(self, **changes):
        return dataclasses.replace(self, **changes)


WORDS, D = 4, 2
SENTENCES = st.lists(
    st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=6).map(tuple), min_size=1, max_size=5
).map(tuple)


def quarters(*shape):
    return arrays(np.int8, shape, elements=st.integers(-4, 4), fill=st.nothing()).map(
        lambda a: a.astype(np.float32) / 4
    )


@st.composite
def networks(draw, sentences=SENTENCES, labels=(2, 3)):
    height, n_filters = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    n_labels = draw(st.sampled_from(labels))
    return Network(
        draw(quarters(WORDS, D)), draw(quarters(n_filters, height, D)), draw(quarters(n_filters)),
        draw(quarters(n_labels, n_filters)), draw(quarters(n_labels)),
        draw(st.sampled_from(["wide", "narrow"])), draw(sentences),
    )  # fmt: skip


def flat(sentences):
    """Tokens and offsets of lists of words."""
    tokens = np.array([w for words in sentences for w in words], dtype=np.int32)
    return tokens, np.cumsum([0, *map(len, sentences)])


def looked(network, form="fused", chunk=None):
    """What the package says."""
    n_filters, height, _ = network.filters.shape
    config = Config(n_filters=n_filters, filter_height=height, padding=network.padding)
    vectors = np.concatenate([np.zeros((1, D), np.float32), network.vectors])
    model = TextCNN(vectors, len(network.out), config, 0, form)
    model.set_weights({
        "conv/W": network.filters[:, None], "conv/b": network.bias,
        "fc/W": network.out, "fc/b": network.out_bias,
    })  # fmt: skip
    return word_saliency(model, flat_batch(model, *flat(network.sentences)), chunk)


def fractions(array):
    """Nested lists of exact fractions."""
    return [fractions(part) for part in array] if array.ndim else Fraction(float(array))


def by_hand(network, last_tie=False, absolute_first=False, narrow=False):
    """Eqs 2-6 sentence by sentence: saliencies, labels, uncertainties; the keywords break it.

    Fractions up to the logits; probabilities are floats, taken exactly from there.
    """
    vectors, filters = fractions(network.vectors), fractions(network.filters)
    bias, out, out_bias = map(fractions, (network.bias, network.out, network.out_bias))
    height = len(filters[0])
    token_saliency, predicted, uncertainty = [], [], []
    for words in network.sentences:
        if network.padding == "wide" and not narrow:
            starts = range(1 - height, len(words))
        else:
            starts = range(max(len(words) - height, 0) + 1)
        features, places = [], []
        for rows, b in zip(filters, bias):
            best = place = None
            for p in starts:
                inside = [k for k in range(height) if 0 <= p + k < len(words)]
                met = ((rows[k], vectors[words[p + k]]) for k in inside)
                z = b + sum(w * x for row, vector in met for w, x in zip(row, vector))
                if best is None or z > best or (last_tie and z == best):
                    best, place = z, p
            features.append(max(best, Fraction(0)))
            places.append(place)
        logits = [c + sum(w * y for w, y in zip(row, features)) for row, c in zip(out, out_bias)]
        own = logits.index(max(logits))
        weight = [math.exp(z - logits[own]) for z in logits]
        share = [Fraction(w / math.fsum(weight)) for w in weight]
        share[own] = -sum(share[:own] + share[own + 1 :], Fraction(0))  # p_R - 1
        gradient = [[[Fraction(0)] * D] for _ in words]
        for f, (y, p) in enumerate(zip(features, places)):
            slope = sum(s * row[f] for s, row in zip(share, out)) if y > 0 else Fraction(0)
            for k in range(height):
                if 0 <= p + k < len(words):
                    gradient[p + k].append([slope * w for w in filters[f][k]])
        for parts in gradient:
            if absolute_first:
                each = [sum(map(abs, column)) for column in zip(*parts)]
            else:
                each = [abs(sum(column)) for column in zip(*parts)]
            token_saliency.append(sum(each) / D)
        predicted.append(own)
        uncertainty.append(-share[own])
    return token_saliency, predicted, uncertainty


def reach(network):
    """More than saliency can be: slopes at the filters times their weights."""
    return float(np.abs(network.out).sum() * np.abs(network.filters).max())


def rounding(network):
    """What float32 may be wrong by in saliency.

    Chainer takes p as exp(z - log sum exp z): wrong by the rounding of the
    greatest logit, 6e-8 of it, and p_R - 1 by as much however small it is.
    """
    height = network.filters.shape[1]
    met = height * D * np.abs(network.filters).max() * np.abs(network.vectors).max()
    feature = np.abs(network.bias).max() + met
    logit = (np.abs(network.out_bias) + np.abs(network.out).sum(axis=1) * feature).max()
    return 1.2e-7 * max(1.0, float(logit)) * reach(network)


def agrees(network, form, **broken):
    """Whether saliency, label and uncertainty are the restatement's."""
    made, (token_saliency, predicted, uncertainty) = (
        looked(network, form),
        by_hand(network, **broken),
    )
    distance = np.abs(made.token_saliency - np.array(token_saliency, dtype=np.float64)).max()
    return (
        distance <= rounding(network)
        and made.predicted.tolist() == predicted
        and np.allclose(
            made.uncertainty, np.array(uncertainty, dtype=np.float64), rtol=1e-5, atol=1e-12
        )
    )


@given(networks())
@settings(LAW, max_examples=100)
def test_eqs_2_to_6_against_fractions(network):
    """Both forms: two labels or three, both paddings, heights 1-4, ties of all kinds."""
    for form in FORMS:
        assert agrees(network, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("broken", ["last_tie", "absolute_first", "narrow"])
def test_a_broken_restatement_is_told(broken, form):
    """Twin: last of tied windows, absolute values before the sum, no padding."""
    example = found(networks(), lambda network: not agrees(network, form, **{broken: True}))
    assert agrees(example, form)


# --- Batch, order and chunk -----------------------------------------------------------


def by_sentence(network, values):
    """One part a sentence."""
    return np.split(values, np.cumsum([len(words) for words in network.sentences])[:-1])


def same(first, second, network):
    """Saliency and uncertainty to rounding, labels exactly."""
    assert first.predicted.tolist() == second.predicted.tolist()
    for name in ("token_saliency", "uncertainty"):
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=1e-6, atol=2 * rounding(network)
        )


@given(networks(), st.integers(1, 6))
@LAW
def test_chunks_change_nothing(network, chunk):
    """The fused form to the bit, the reference form to rounding."""
    whole, part = looked(network), looked(network, chunk=chunk)
    for name in ("token_saliency", "predicted", "uncertainty"):
        assert getattr(whole, name).tobytes() == getattr(part, name).tobytes()
    same(looked(network, "reference", chunk), looked(network, "reference"), network)


def alone_as_in_company(network, form):
    """Whether every sentence has alone what it has in the batch."""
    together = by_sentence(network, looked(network, form).token_saliency)
    return all(
        np.allclose(
            looked(network.but(sentences=(words,)), form).token_saliency, part,
            rtol=1e-6, atol=2 * rounding(network),
        )
        for words, part in zip(network.sentences, together)
    )  # fmt: skip


@given(networks())
@LAW
def test_a_sentence_ignores_its_batch(network):
    """Alone or in company, one saliency."""
    for form in FORMS:
        assert alone_as_in_company(network, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_mean_of_losses_is_told(form, monkeypatch):
    """Twin: averaged, a sentence's saliency hangs on how many others there are."""
    real = saliency._head_blocks if form == "fused" else saliency._reference_saliency
    name = real.__name__
    size = []

    def counted(model, batch, *rest):
        # The fused form fills its blocks up: only here is their true number known.
        size[:] = [len(batch)]
        return real(model, batch, *rest)

    at_logits = saliency._at_logits

    def averaged(logits, own, loss):
        gradient, doubt = at_logits(logits, own, loss)
        return gradient / size[0], doubt

    monkeypatch.setattr(saliency, name, counted)
    monkeypatch.setattr(saliency, "_at_logits", averaged)
    found(networks(), lambda network: not alone_as_in_company(network, form))


@given(networks(), st.randoms(use_true_random=False))
@LAW
def test_permuted_sentences_permute_saliency(network, shuffler):
    """Each sentence keeps its numbers wherever it stands."""
    order = list(range(len(network.sentences)))
    shuffler.shuffle(order)
    turned = network.but(sentences=tuple(network.sentences[i] for i in order))
    for form in FORMS:
        first, second = looked(network, form), looked(turned, form)
        parts = by_sentence(network, first.token_saliency)
        moved = saliency.Saliency(
            np.concatenate([parts[i] for i in order]),
            first.predicted[order],
            first.uncertainty[order],
        )
        same(moved, second, network)


# --- Laws of eq. (4) -------------------------------------------------------------------


@given(networks(), st.randoms(use_true_random=False), st.sampled_from([-2.0, 0.5, 3.0]))
@LAW
def test_what_eq_4_cannot_see(network, shuffler, level):
    """Order of the filters; names of the labels; a constant added to every logit."""
    first = looked(network)
    order = list(range(len(network.bias)))
    shuffler.shuffle(order)
    filters = network.but(
        filters=network.filters[order], bias=network.bias[order], out=network.out[:, order]
    )
    same(looked(filters), first, network)
    raised = network.but(out_bias=network.out_bias + np.float32(level))
    same(looked(raised), first, network)
    # Labels in the other order: of two that tie, another is the first.
    turned = network.but(out=network.out[::-1].copy(), out_bias=network.out_bias[::-1].copy())
    other = looked(turned)
    np.testing.assert_allclose(other.uncertainty, first.uncertainty, rtol=1e-6, atol=1e-7)
    distinct = other.predicted == len(network.out) - 1 - first.predicted
    pairs = zip(distinct, *(by_sentence(network, x.token_saliency) for x in (first, other)))
    for clear, one, two in pairs:
        if clear:
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=2 * rounding(network))
        else:  # two labels with one probability, so at most a half
            assert first.uncertainty[~distinct].min() >= 0.499


@given(networks(), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
@LAW
def test_saliency_is_by_the_word_vector(network, factor):
    """Vectors c times as long and filters 1 / c: the same network, saliency 1 / c of it."""
    other = network.but(vectors=network.vectors * factor, filters=network.filters / factor)
    for form in FORMS:
        first, second = looked(network, form), looked(other, form)
        assert (first.token_saliency == second.token_saliency * factor).all()
        assert first.uncertainty.tobytes() == second.uncertainty.tobytes()


@given(networks(labels=(2,)))
@LAW
def test_the_sign_of_the_evidence_is_not_seen(network):
    """Two labels: the output layer turned over gives the other label the same saliency."""
    turned = network.but(out=-network.out, out_bias=-network.out_bias)
    first, second = looked(network), looked(turned)
    np.testing.assert_allclose(
        first.token_saliency, second.token_saliency, rtol=1e-6, atol=2 * rounding(network)
    )
    np.testing.assert_allclose(first.uncertainty, second.uncertainty, rtol=1e-6, atol=1e-7)


def test_eq_4_sees_the_rest():
    """Twin: a filter's sign, one label's bias and the vectors' length are seen."""

    def moves(**changes):
        def told(network):
            made = {name: change(getattr(network, name)) for name, change in changes.items()}
            other = looked(network.but(**made)).token_saliency
            return not np.allclose(looked(network).token_saliency, other, rtol=0.1)

        return told

    found(networks(), moves(filters=lambda w: -w))
    found(networks(), moves(out_bias=lambda b: b + np.arange(len(b), dtype=np.float32)))
    found(networks(), moves(vectors=lambda x: 2 * x))


# --- Laws of eqs 8 and 9 ----------------------------------------------------------------


@st.composite
def courses(draw, least=3):
    """Whole-numbered saliency (E, T), so float64 is exact but for divisions; words (T,)."""
    epochs, n = draw(st.integers(least, 6)), draw(st.integers(1, 8))
    values = draw(arrays(np.int16, (epochs, n), elements=st.integers(0, 99), fill=st.nothing()))
    tokens = draw(arrays(np.int32, n, elements=st.integers(0, WORDS - 1), fill=st.nothing()))
    return values.astype(np.float32), tokens


def streamed(values, tokens, ddof=0):
    stream = StreamingInstability(tokens, WORDS)
    for row in values:
        stream.add(row.astype(np.float32))
    return stream.result(ddof)[0]


def both(values, tokens, ddof=0):
    """wac by its definition, and as the program computes it."""
    return [naive.word_instability(values, tokens, WORDS, ddof)[0], streamed(values, tokens, ddof)]


def close(made, wanted):
    """Beside squares of up to 99 * 99, float64 rounds to 1e-11."""
    np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-10)


@given(courses(), st.sampled_from([-3.0, 0.5, 2.0, 7.0]), st.data())
@LAW
def test_scale_level_and_trend_of_every_occurrence(course, factor, data):
    """Times c gives c squared; each occurrence may have its own level and trend added."""
    values, tokens = course
    level, slope = (
        data.draw(arrays(np.int16, len(tokens), elements=st.integers(-40, 40))).astype(np.float64)
        for _ in range(2)
    )
    moved = values * factor + level + slope * np.arange(len(values))[:, None]
    for first, second in zip(both(values, tokens), both(moved, tokens)):
        np.testing.assert_allclose(second, first * factor**2, rtol=1e-9, atol=1e-8)
    for straight in both(moved - values * factor, tokens):
        assert set(straight[~np.isnan(straight)]) <= {0.0}


@pytest.mark.parametrize("epochs", [3, 4, 7, 50])
def test_courses_whose_variance_is_known(epochs):
    """n differences: a k^2 has a^2 (n^2 - 1) / 3; a (-1)^k 4 a^2, for odd n less 4 a^2 / n^2."""
    n, k = epochs - 1, np.arange(epochs)
    values = np.stack([3 * k**2, 5 * (-1) ** k], axis=1).astype(np.float32)
    wanted = [Fraction(9 * (n * n - 1), 3), Fraction(100) - (Fraction(100, n * n) if n % 2 else 0)]
    for wac in both(values, np.array([0, 1], dtype=np.int32)):
        np.testing.assert_allclose(wac[:2], [float(w) for w in wanted], rtol=1e-12)
    second = np.diff(values, n=2, axis=0).var(axis=0)
    assert abs(second[0] - float(wanted[0])) > 1  # not of second differences


@given(courses(), st.integers(0, WORDS - 1), st.data())
@LAW
def test_a_word_ignores_other_words(course, word, data):
    """Other words' saliency may be anything, or not be there: the word's bits stay."""
    values, tokens = course
    its = tokens == word
    noise = data.draw(arrays(np.int16, values.shape, elements=st.integers(0, 99)))
    other = np.where(its, values, noise.astype(np.float32))
    for variant in ((other, tokens), (values[:, its], tokens[its])):
        for first, second in zip(both(values, tokens), both(*variant)):
            assert first[word].tobytes() == second[word].tobytes()


def test_a_word_is_not_deaf():
    """Twin: its own saliency counts."""
    found(
        st.tuples(courses(), st.integers(0, WORDS - 1)),
        lambda drawn: both(drawn[0][0], drawn[0][1])[0][drawn[1]]
        != both(np.where(drawn[0][1] == drawn[1], drawn[0][0] ** 2, 0), drawn[0][1])[0][drawn[1]],
    )


@given(courses(), st.permutations(range(WORDS)))
@LAW
def test_other_names_of_words(course, names):
    """Words renamed: their wac goes with them, bit for bit."""
    values, tokens = course
    renamed = np.array(names, dtype=np.int32)[tokens]
    for first, second in zip(both(values, tokens), both(values, renamed)):
        assert first.tobytes() == second[list(names)].tobytes()


@given(courses(), st.integers(1, 7))
@LAW
def test_two_parts_of_t1(course, cut):
    """wac of the whole is the mean of the parts', weighted by occurrences."""
    values, tokens = course
    whole, count = word_instability(values, tokens, WORDS)
    total = np.zeros(WORDS)
    for part in (slice(0, cut), slice(cut, None)):
        wac, n = word_instability(values[:, part], tokens[part], WORDS)
        total += np.where(n > 0, wac, 0) * n
    close(total[count > 0], (whole * count)[count > 0])


@given(courses(least=4), st.sampled_from([0, 1]))
@LAW
def test_the_stream_at_every_epoch(course, ddof):
    """Asked after any epoch, it has the wac of the rows so far; asking leaves no trace."""
    values, tokens = course
    stream = StreamingInstability(tokens, WORDS)
    for epoch, row in enumerate(values, start=1):
        stream.add(row)
        if epoch >= 3:
            wanted = naive.word_instability(values[:epoch], tokens, WORDS, ddof)[0]
            close(stream.result(ddof)[0], wanted)


@given(courses())
@LAW
def test_a_steady_epoch_more(course):
    """One more epoch whose difference is the mean so far leaves n times the variance."""
    values, _ = course
    n = len(values) - 1
    values = values.astype(np.float64) * n  # a mean difference that is whole
    longer = np.concatenate([values, values[-1:] + (values[-1:] - values[:1]) / n])
    close(token_instability(longer) * (n + 1) / n**3, token_instability(values) * n / n**3)


# --- Laws of eq. (10) --------------------------------------------------------------------

WAC = st.lists(st.one_of(st.none(), st.integers(0, 64)), min_size=WORDS, max_size=WORDS).map(
    lambda values: np.array([np.nan if v is None else v / 8 for v in values])
)


@given(SENTENCES, WAC, WAC)
@LAW
def test_a_mean_is_linear_and_in_between(sentences, wac, other):
    """Between the least and the greatest of its words; of a sum the sum."""
    tokens, offsets = flat(sentences)
    other = np.where(np.isnan(wac), np.nan, np.where(np.isnan(other), 0, other))
    for readings in (("skip", "each"), ("zero", "each"), ("skip", "once"), ("zero", "once")):
        scores = sentence_instability(wac, tokens, offsets, *readings)
        for words, score in zip(sentences, scores):
            known = np.nan_to_num(wac[list(words)]) if readings[0] == "zero" else wac[list(words)]
            known = known[~np.isnan(known)]
            low, high = (known.min(), known.max()) if len(known) else (0, 0)
            assert low - 1e-12 <= score <= high + 1e-12
        added = sentence_instability(4 * wac + other, tokens, offsets, *readings)
        second = sentence_instability(other, tokens, offsets, *readings)
        np.testing.assert_allclose(added, 4 * scores + second, rtol=1e-12)


@given(SENTENCES, WAC)
@LAW
def test_a_sentence_said_twice_and_a_word_unknown(sentences, wac):
    """Twice the same words: the same mean.  One unknown word more: only ``zero`` sees it."""
    wac[WORDS - 1] = np.nan
    tokens, offsets = flat(sentences)
    twice = flat([words + words for words in sentences])
    longer = flat([(*words, WORDS - 1) for words in sentences])
    for readings in (("skip", "each"), ("zero", "each"), ("skip", "once"), ("zero", "once")):
        scores = sentence_instability(wac, tokens, offsets, *readings)
        np.testing.assert_allclose(sentence_instability(wac, *twice, *readings), scores, rtol=1e-12)
    scores = sentence_instability(wac, tokens, offsets)
    np.testing.assert_array_equal(sentence_instability(wac, *longer), scores)
    lengths = np.diff(offsets)
    zero = sentence_instability(wac, tokens, offsets, "zero")
    np.testing.assert_allclose(
        sentence_instability(wac, *longer, "zero"), zero * lengths / (lengths + 1), rtol=1e-12
    )


# --- From networks to halves -----------------------------------------------------------

EPOCHS = 4
T2 = st.lists(
    st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4).map(tuple), min_size=2, max_size=6
).map(tuple)


@st.composite
def phases(draw):
    """A network after each epoch, its T1 sentences the same throughout; and T2."""
    first = draw(networks())
    rows = [first]
    for _ in range(EPOCHS - 1):
        shape = first.filters.shape
        rows.append(first.but(filters=draw(quarters(*shape)), out=draw(quarters(*first.out.shape))))
    return tuple(rows), draw(T2)


def restated(rows, t2, sample=False, absolute=False, total=False):
    """Eqs 6-10 in fractions: wac by word (None where T1 lacks it), A_S by T2 sentence."""
    recorded = [by_hand(network)[0] for network in rows]
    tokens = [w for words in rows[0].sentences for w in words]
    spread = []
    for column in zip(*recorded):
        change = [after - before for before, after in zip(column, column[1:])]
        if absolute:
            change = list(map(abs, change))
        spread.append(variance(change) if sample else pvariance(change))
    wac = []
    for word in range(WORDS):
        of_word = [v for v, token in zip(spread, tokens) if token == word]
        wac.append((sum(of_word) if total else mean(of_word)) if of_word else None)
    scores = []
    for words in t2:
        known = [wac[w] for w in words if wac[w] is not None]
        scores.append(mean(known) if known else Fraction(0))
    return wac, scores


def selected(rows, t2, form):
    """The package: wac stored and streaming, A_S and halves."""
    recorded = np.stack([looked(network, form).token_saliency for network in rows])
    tokens, _ = flat(rows[0].sentences)
    wac, stream = both(recorded, tokens)
    scores = sentence_instability(wac, *flat(t2))
    return wac, stream, scores, median_halves(scores, np.arange(len(t2)))


def wac_rounding(rows):
    """A difference of saliencies is at most twice their reach and wrong by twice their rounding.

    Its square, and that of the mean that is taken off, are wrong by twice the
    product each.
    """
    return 16 * max(map(reach, rows)) * max(map(rounding, rows))


def whole_way_agrees(phase, form="fused", **broken):
    """wac, A_S, and sentences clearly above or below the median in their halves."""
    rows, t2 = phase
    wac, stream, scores, (h, l) = selected(rows, t2, form)
    naive_wac, naive_scores = restated(rows, t2, **broken)
    naive_wac = np.array([np.nan if w is None else float(w) for w in naive_wac])
    naive_scores = np.array([float(a) for a in naive_scores])
    bound = wac_rounding(rows)
    for made in (wac, stream):
        if not np.allclose(made, naive_wac, rtol=0, atol=bound, equal_nan=True):
            return False
    if not np.allclose(scores, naive_scores, rtol=0, atol=bound):
        return False
    size = len(t2) // 2
    ranked = np.sort(naive_scores)
    above = np.flatnonzero(naive_scores > ranked[-size - 1] + 2 * bound)
    below = np.flatnonzero(naive_scores < ranked[size] - 2 * bound)
    return len(h) == len(l) == size and set(above) <= set(h) and set(below) <= set(l)


@given(phases())
@settings(LAW, max_examples=40)
def test_eqs_2_to_10_against_fractions(phase):
    """The whole way in both forms: networks, saliency, wac in two forms, A_S, halves."""
    for form in FORMS:
        assert whole_way_agrees(phase, form)


@pytest.mark.parametrize("broken", ["sample", "absolute", "total"])
def test_a_broken_way_is_told(broken):
    """Twin: sample variance, absolute differences, a sum over occurrences."""
    example = found(phases(), lambda phase: not whole_way_agrees(phase, **{broken: True}))
    assert whole_way_agrees(example)


def test_a_broken_kernel_is_told(monkeypatch):
    """Twin: a filter row swapped in the saliency of every epoch."""
    real = functions.mean_absolute_gradient
    monkeypatch.setattr(
        functions, "mean_absolute_gradient", lambda *a: real(*a[:3], a[3][:, :, ::-1], *a[4:])
    )
    found(phases(), lambda phase: not whole_way_agrees(phase))


@given(phases(), st.randoms(use_true_random=False))
@settings(LAW, max_examples=40)
def test_order_of_t1_and_t2(phase, shuffler):
    """T1 in another order: the same wac.  T2 in another order: the same halves, ties apart."""
    rows, t2 = phase
    orders = []
    for n in (len(rows[0].sentences), len(t2)):
        order = list(range(n))
        shuffler.shuffle(order)
        orders.append(order)
    turned = [row.but(sentences=tuple(row.sentences[i] for i in orders[0])) for row in rows]
    wac, _, scores, (h, l) = selected(rows, t2, "fused")
    moved = tuple(t2[i] for i in orders[1])
    other_wac, _, other, (other_h, other_l) = selected(turned, moved, "fused")
    bound = wac_rounding(rows)
    np.testing.assert_allclose(other_wac, wac, rtol=0, atol=bound)
    np.testing.assert_allclose(other, scores[orders[1]], rtol=0, atol=bound)
    place = np.array(orders[1])
    ranked, size = np.sort(scores), len(t2) // 2
    for half, again in ((h, place[other_h]), (l, place[other_l])):
        exchanged = set(half.tolist()) ^ set(again.tolist())
        edges = ranked[[-size - 1, -size, size - 1, size]]
        assert all(np.abs(scores[s] - edges).min() <= 2 * bound for s in exchanged)


@given(courses(), SENTENCES.filter(lambda s: len(s) > 1))
@LAW
def test_the_reading_of_the_variance_selects_nothing(course, t2):
    """n - 1 for n is one factor for all words: A_S changes, its order does not."""
    values, tokens = course
    n = len(values) - 1
    population, sample = (
        sentence_instability(word_instability(values, tokens, WORDS, ddof)[0], *flat(t2))
        for ddof in (0, 1)
    )
    close(sample * (n - 1) / n, population)
    order = np.argsort(-population, kind="stable")
    assert (np.diff(sample[order]) <= 1e-9 * max(sample.max(), 1)).all()
