"""Word saliency by hand, by finite differences and in two forms."""

import decimal
from fractions import Fraction

import numpy as np
import pytest

from replicate import saliency
from replicate.config import Config
from replicate.fast import convolution as functions
from replicate.fast.compat import F, chainer, cuda
from replicate.instability import logit_saliency
from replicate.model import TextCNN
from replicate.saliency import (
    callable_saliency,
    classify,
    flat_batch,
    token_saliency,
    word_saliency,
)

RANDOM = np.random.RandomState(0)
WORDS = 40
VECTORS = np.concatenate([np.zeros((1, 8)), RANDOM.uniform(-1, 1, (WORDS, 8))]).astype(np.float32)
LENGTHS = np.array([1, 2, 3, 4, 7, 12, 1, 9, 5, 6, 2, 3])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = RANDOM.randint(0, WORDS, OFFSETS[-1]).astype(np.int32)


def model_of(form="fused", seed=0, device="@numpy", n_labels=2, **changes):
    model = TextCNN(VECTORS, n_labels, Config(n_filters=6, **changes), seed, form)
    model.conv.b.array[:] = np.random.RandomState(seed).uniform(-0.3, 0.3, 6)
    model.to_device(device)
    return model


def looked(model, tokens=TOKENS, offsets=OFFSETS, chunk=None):
    return word_saliency(model, flat_batch(model, tokens, offsets), chunk)


# --- eqs 4 and 6 -----------------------------------------------------------------


def by_hand():
    """A model of whole numbers, two filters of height 1, one sentence of two words."""
    vectors = np.array([[0, 0], [1, 2], [3, -1]], dtype=np.float32)
    model = TextCNN(vectors, 2, Config(n_filters=2, filter_height=1), 0)
    model.conv.W.array[...] = np.array([[1, 1], [2, 0]], dtype=np.float32)[:, None, None, :]
    model.fc.W.array[...] = [[1, 0], [0, 1]]
    return model


def test_by_hand_with_fractions(device):
    """Features 3 (first word, filter 1) and 6 (second word, filter 2); own label 1.

    Word 1 gets (1 - p) (1, 1), word 2 gets (1 - p) (2, 0) with 1 - p = 1 / (1 + e^3):
    the means over two dimensions are both 1 - p.
    """
    model = by_hand()
    model.to_device(device)
    found = looked(model, np.array([0, 1]), np.array([0, 2]))
    features = [max(1 + 2, 3 - 1), max(2 * 1, 2 * 3)]
    assert features == [3, 6] and found.predicted.tolist() == [1]
    rows = [(Fraction(1), Fraction(1)), (Fraction(2), Fraction(0))]
    means = [sum(abs(x) for x in row) / 2 for row in rows]
    assert means == [1, 1]
    uncertainty = 1 / (1 + np.exp(3))
    np.testing.assert_allclose(
        found.token_saliency, [float(m) * uncertainty for m in means], rtol=1e-6
    )
    np.testing.assert_allclose(found.uncertainty, [uncertainty], rtol=1e-6)


@pytest.mark.parametrize("form", ["fused", "reference"])
def test_a_word_in_two_windows_by_hand(form, device):
    """Sentence x y x with x = (1, 2), y = (3, -1); two filters of two words each.

    Filter 0, rows (1, 1) and (1, -1): windows score -1, 7, 1, 3; x y wins with 7.
    Filter 1, rows (2, -1) and (-1, 1): windows score 1, -4, 8, 0; y x wins with 8.
    Logits 7/2 and -7/4 + 4 = 9/4: own label 0, ahead by 5/4, so that by eq. (4) the
    features get (1 - p) (-1/4 - 1/2, 1/2) = (1 - p) (-3/4, 1/2).
    """
    vectors = np.array([[0, 0], [1, 2], [3, -1]], dtype=np.float32)
    model = TextCNN(vectors, 2, Config(n_filters=2, filter_height=2), 0, form)
    model.conv.W.array[:, 0] = [[[1, 1], [1, -1]], [[2, -1], [-1, 1]]]
    model.fc.W.array[...] = [[0.5, 0], [-0.25, 0.5]]
    model.to_device(device)
    at_features = Fraction(-3, 4), Fraction(1, 2)
    gradients = [  # eq. (4) without its bars, over 1 - p: first x, y, last x
        [at_features[0] * 1, at_features[0] * 1],
        [at_features[0] * 1 + at_features[1] * 2, at_features[0] * -1 + at_features[1] * -1],
        [at_features[1] * -1, at_features[1] * 1],
    ]
    means = [sum(map(abs, row)) / 2 for row in gradients]  # eq. (6)
    assert means == [Fraction(3, 4), Fraction(1, 4), Fraction(1, 2)]
    found = looked(model, np.array([0, 1, 0]), np.array([0, 3]))
    uncertainty = 1 / (1 + np.exp(1.25))
    assert found.predicted.tolist() == [0]
    np.testing.assert_allclose(found.uncertainty, [uncertainty], rtol=1e-6)
    np.testing.assert_allclose(
        found.token_saliency, [float(m) * uncertainty for m in means], rtol=1e-6
    )


@pytest.mark.parametrize("loss", ["logits", "probabilities"])
@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_finite_differences_of_the_loss(activation, padding, loss, device):
    """Each occurrence's gradient by central differences of its sentence's loss, in float64."""
    config = Config(n_filters=6, activation=activation, padding=padding, loss=loss)
    with chainer.using_config("dtype", np.float64):
        model = TextCNN(VECTORS.astype(np.float64), 2, config, 0, "reference")
    model.to_device(device)
    found = looked(model, TOKENS[:10], OFFSETS[:5])
    for s in range(4):
        tokens = TOKENS[OFFSETS[s] : OFFSETS[s + 1]]
        batch = flat_batch(model, tokens, np.array([0, len(tokens)]))
        ids = cuda.to_cpu(model.padded(batch))
        x = VECTORS.astype(np.float64)[ids]
        own = device.send(np.array([found.predicted[s]]))

        def sentence_loss(x, batch=batch, own=own):
            logits = model.head(model.features_of_padded(device.send(x), batch.offsets))
            return float(model.loss(logits, own).array)

        gradient = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[place] = 1e-6
            gradient[place] = (sentence_loss(x + step) - sentence_loss(x - step)) / 2e-6
        expected = np.abs(gradient).mean(axis=2)[ids > 0]
        mine = found.token_saliency[OFFSETS[s] : OFFSETS[s + 1]]
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("loss", ["logits", "probabilities"])
@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("height", [1, 2, 3, 5])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_fused_and_reference(activation, height, padding, loss, device):
    """Saliency, labels and uncertainty agree to 1e-5."""
    readings = {"activation": activation, "filter_height": height, "padding": padding, "loss": loss}
    readings["device"] = device
    fused, reference = (looked(model_of(form, **readings)) for form in ("fused", "reference"))
    scale = reference.token_saliency.max()
    np.testing.assert_allclose(
        fused.token_saliency, reference.token_saliency, rtol=1e-5, atol=1e-6 * scale
    )
    np.testing.assert_array_equal(fused.predicted, reference.predicted)
    np.testing.assert_allclose(fused.uncertainty, reference.uncertainty, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 7, 12, 100])
def test_whatever_the_batch(chunk, device):
    """The fused form to the bit, the reference form to rounding."""
    model = model_of(device=device)
    whole = looked(model)
    part = looked(model, chunk=chunk)
    for name in ("token_saliency", "predicted", "uncertainty"):
        assert getattr(whole, name).tobytes() == getattr(part, name).tobytes()
    reference = model_of("reference", device=device)
    np.testing.assert_allclose(
        looked(reference, chunk=chunk).token_saliency, whole.token_saliency, rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("threads", [2, 3, 5, 100])
@pytest.mark.parametrize("changes", [{}, {"padding": "narrow"}, {"activation": "tanh"}], ids=str)
def test_threads_give_the_bytes_of_one(threads, changes, monkeypatch):
    """Saliency, windows and predictions, with more threads than sentences too."""
    model = model_of(**changes)
    batch = flat_batch(model, TOKENS, OFFSETS)
    one = looked(model), saliency.winning_windows(model, batch), saliency.classify(model, batch)
    monkeypatch.setenv("NUMBA_NUM_THREADS", str(threads))
    started = []
    real = saliency.ThreadPoolExecutor
    monkeypatch.setattr(saliency, "ThreadPoolExecutor", lambda n: started.append(n) or real(n))
    many = looked(model), saliency.winning_windows(model, batch), saliency.classify(model, batch)
    for a, b in zip(one, many):
        for name, value in vars(a).items():
            assert getattr(b, name).tobytes() == value.tobytes(), name
    # The projection, the maxima and the gradients; the other two have no gradients.
    assert started == [threads] * 7
    # Nobody said how many: one, and no pool.
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    looked(model)
    assert started == [threads] * 7


def test_a_wrong_cut_would_be_noticed(monkeypatch):
    """Twin: a piece that begins one sentence late."""
    model = model_of()
    one = looked(model)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    real = saliency._part
    monkeypatch.setattr(
        saliency,
        "_part",
        lambda batch, start, stop: real(batch, start - (start > 0), stop - (start > 0)),
    )
    assert looked(model).token_saliency.tobytes() != one.token_saliency.tobytes()


def test_a_mean_loss_would_be_noticed(monkeypatch):
    """Twin: losses averaged over the batch make saliency depend on it."""

    real = saliency._at_logits

    def averaged(logits, own, *loss):
        gradient, doubt = real(logits, own, *loss)
        return gradient / len(own), doubt

    monkeypatch.setattr(saliency, "_at_logits", averaged)
    model = model_of("reference")
    one, many = looked(model, chunk=1), looked(model, chunk=12)
    assert not np.allclose(one.token_saliency, many.token_saliency, rtol=1e-2)
    # The fused form's output layer sees blocks of one size, whatever the chunk:
    # there a mean is told by its size.
    fused = looked(model_of())
    assert not np.allclose(fused.token_saliency, one.token_saliency, rtol=1e-2)


def test_sentences_in_another_order():
    """Permuted sentences give permuted results, to the bit."""
    model = model_of()
    order = np.random.RandomState(1).permutation(len(LENGTHS))
    tokens = np.concatenate([TOKENS[OFFSETS[s] : OFFSETS[s + 1]] for s in order])
    offsets = np.concatenate([[0], np.cumsum(LENGTHS[order])])
    first, second = looked(model), looked(model, tokens, offsets)
    for place, s in enumerate(order):
        a = first.token_saliency[OFFSETS[s] : OFFSETS[s + 1]]
        b = second.token_saliency[offsets[place] : offsets[place + 1]]
        assert a.tobytes() == b.tobytes()


def test_a_word_twice_has_two_numbers(device):
    """Occurrences are told apart, though they share a row of the embedding."""
    model = model_of(device=device)
    tokens = np.array([3, 5, 3, 9, 3])
    found = looked(model, tokens, np.array([0, 5])).token_saliency
    assert len(found) == 5 and len(set(found[[0, 2, 4]].tolist())) > 1
    reference = looked(model_of("reference", device=device), tokens, np.array([0, 5]))
    reference = reference.token_saliency
    np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-9)


def test_padding_gets_none(device):
    """One number a word, whatever the padding; a longer neighbour changes nothing."""
    for form in ("fused", "reference"):
        model = model_of(form, device=device)
        alone = looked(model, TOKENS[:1], np.array([0, 1])).token_saliency
        assert alone.shape == (1,)
        beside = looked(model, TOKENS[: OFFSETS[6]], OFFSETS[:7]).token_saliency
        assert len(beside) == OFFSETS[6]
        np.testing.assert_allclose(beside[0], alone[0], rtol=1e-5)


@pytest.mark.parametrize("chunk", [None, 1])
def test_words_that_the_vocabulary_lacks_have_a_number_too(chunk, device):
    """In both forms, though they have padding's zeros: -1 is such a word."""
    tokens, offsets = np.array([3, -1, 5, -1]), np.array([0, 3, 4])
    fused, reference = (
        looked(model_of(form, device=device), tokens, offsets, chunk).token_saliency
        for form in ("fused", "reference")
    )
    assert fused.shape == reference.shape == (4,) and reference[1] > 0
    np.testing.assert_allclose(fused, reference, rtol=1e-5, atol=1e-9)


def test_dropout_is_off():
    """The reading dropout does not touch saliency or classification."""
    with chainer.using_config("train", True):
        with_, without = looked(model_of(dropout=0.5)), looked(model_of())
        assert with_.token_saliency.tobytes() == without.token_saliency.tobytes()
        a, b = (
            classify(model, flat_batch(model, TOKENS, OFFSETS))
            for model in (model_of(dropout=0.5), model_of())
        )
    assert a.probabilities.tobytes() == b.probabilities.tobytes()


@pytest.mark.parametrize("form", ["fused", "reference"])
def test_dropout_of_chainers_own_is_off_too(form, monkeypatch):
    """Were the mask drawn by F.dropout, looking would still see none; training would."""
    plain = looked(model_of(form))
    real = TextCNN.head
    monkeypatch.setattr(TextCNN, "head", lambda self, x, mask=None: real(self, F.dropout(x, 0.5)))
    model = model_of(form)
    with chainer.using_config("train", True):
        assert looked(model).token_saliency.tobytes() == plain.token_saliency.tobytes()
        batch = flat_batch(model, TOKENS, OFFSETS)
        state = np.random.get_state()
        classified = classify(model, batch)
        assert classified.probabilities.tobytes() == classify(model, batch).probabilities.tobytes()
        np.random.seed(0)
        logits = [model.head(model.features(batch)) for _ in range(2)]
        drawn = [float(model.loss(z, batch.labels).array) for z in logits]
        np.random.set_state(state)
    assert drawn[0] != drawn[1]


def changed_by_looking(form, mode, device="@numpy"):
    """What is not bit for bit as before a look: parameters, gradients, random state, Chainer."""
    model = model_of(form, vectors_mode=mode, device=device)
    batch = flat_batch(model, TOKENS, OFFSETS)
    model.cleargrads()
    model.training_loss(batch).backward()

    def state():
        found = {name: getattr(chainer.config, name) for name in vars(chainer.global_config)}
        for name, param in model.namedparams():
            found[name] = cuda.to_cpu(param.array).tobytes(), cuda.to_cpu(param.grad).tobytes()
        random = np.random.get_state()
        found["random"] = random[1].tobytes(), random[2:]
        found["vectors"] = cuda.to_cpu(model.embed.array).tobytes()
        return found

    before = state()
    looked(model)
    classify(model, batch)
    after = state()
    return [name for name in before if after[name] != before[name]]


@pytest.mark.parametrize("form", ["fused", "reference"])
@pytest.mark.parametrize("mode", ["static", "finetuned"])
def test_looking_changes_nothing(form, mode, device):
    """Parameters, gradients, random states and Chainer's configuration, bit for bit."""
    assert changed_by_looking(form, mode, device) == []


def test_looking_by_backward_would_be_noticed(monkeypatch):
    """Twin: Variable.backward in the place of chainer.grad adds to the parameters' gradients.

    The fused form has no graph to go back through.
    """

    def backward(outputs, inputs, at_outputs):
        outputs[0].grad_var = at_outputs[0]
        outputs[0].backward()
        return [inputs[0].grad_var]

    right = looked(model_of("reference"))
    monkeypatch.setattr(chainer, "grad", backward)
    # The same saliency: only the traces tell.
    np.testing.assert_allclose(
        looked(model_of("reference")).token_saliency, right.token_saliency, rtol=1e-6
    )
    changed = changed_by_looking("reference", "static")
    assert {"/fc/W", "/fc/b"} <= set(changed) and "random" not in changed


def test_looking_at_random_would_be_noticed(monkeypatch):
    """Twin: one draw from the global generator, one setting left behind."""
    real = saliency._at_logits

    def careless(*given):
        np.random.rand()
        chainer.global_config.keep_graph_on_report = True
        return real(*given)

    monkeypatch.setattr(saliency, "_at_logits", careless)
    try:
        assert changed_by_looking("fused", "static") == ["keep_graph_on_report", "random"]
    finally:
        chainer.global_config.keep_graph_on_report = False


def test_classify_is_the_softmax_of_the_logits(device):
    """Labels, probabilities, losses against the true labels, features."""
    model = model_of(device=device)
    labels = np.random.RandomState(2).randint(0, 2, len(LENGTHS)).astype(np.int32)
    batch = flat_batch(model, TOKENS, OFFSETS, labels)
    found = classify(model, batch)
    logits = model.head(model.features(batch))
    np.testing.assert_allclose(found.probabilities, cuda.to_cpu(F.softmax(logits).array), rtol=1e-5)
    np.testing.assert_array_equal(found.predicted, cuda.to_cpu(logits.array).argmax(axis=1))
    own = found.probabilities[np.arange(12), labels]
    np.testing.assert_allclose(found.loss, -np.log(own), rtol=1e-4)
    features = cuda.to_cpu(model.features(batch).array)
    np.testing.assert_allclose(found.features, features, rtol=1e-5, atol=1e-6)
    reference = model_of("reference", device=device)
    other = classify(reference, flat_batch(reference, TOKENS, OFFSETS, labels))
    np.testing.assert_allclose(found.loss, other.loss, rtol=1e-5)


def test_saliency_without_confidence():
    """Divided by 1 - p, eq. (4) is the gradient of the logit difference."""
    model = model_of()
    found = looked(model)
    made = logit_saliency(found.token_saliency, found.uncertainty, LENGTHS)
    for s in (0, 4):
        tokens = TOKENS[OFFSETS[s] : OFFSETS[s + 1]]
        batch = flat_batch(model, tokens, np.array([0, len(tokens)]))
        reference = model_of("reference")
        ids = reference.padded(batch)
        x = chainer.Variable(VECTORS[ids])
        z = reference.head(reference.features_of_padded(x, batch.offsets))
        own = int(found.predicted[s])
        (grad,) = chainer.grad([z[0, 1 - own] - z[0, own]], [x])
        expected = np.abs(grad.array).mean(axis=2)[ids > 0]
        mine = made[OFFSETS[s] : OFFSETS[s + 1]]
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-9)
    vanished = logit_saliency(np.array([0.5]), np.array([0.0], np.float32), np.array([1]))
    assert vanished.tolist() == [0.0]


def test_a_confident_model_keeps_its_uncertainty():
    """1 - p does not vanish by cancellation where p is 1 in float32."""
    model = by_hand()
    model.fc.W.array *= 10
    found = looked(model, np.array([0, 1]), np.array([0, 2]))
    np.testing.assert_allclose(found.uncertainty, [1 / (1 + np.exp(30))], rtol=1e-4)


def exact_at_logits(logits, own, loss):
    """Gradient of a sentence's loss by the logits with 60 digits: J(p) (q - e_R), or p - e_R."""

    def softmax(z):
        shifted = [x.exp() for x in z]
        return [x / sum(shifted) for x in shifted]

    rows = []
    with decimal.localcontext(decimal.Context(prec=60)):
        for z, r in zip(logits.tolist(), own):
            p = softmax([decimal.Decimal(x) for x in z])
            q = softmax(p) if loss == "probabilities" else p
            outer = [x - int(c == r) for c, x in enumerate(q)]
            mean = sum(a * b for a, b in zip(p, outer))
            through = [a * (b - mean) for a, b in zip(p, outer)]
            rows.append([float(x) for x in (through if loss == "probabilities" else outer)])
    return np.array(rows)


@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize("loss", ["logits", "probabilities"])
@pytest.mark.parametrize("form", ["fused", "reference"])
def test_saliency_of_a_confident_model_has_all_its_digits(form, loss, n_labels, device):
    """p - 1 has none left in float32 where p is 1 - 1e-7: the gradient is formed without it."""
    model = model_of(form, device=device, n_labels=n_labels, loss=loss)
    model.fc.W.array *= 25
    batch = flat_batch(model, TOKENS, OFFSETS)
    logits = model.head(model.features(batch)).array
    wanted = exact_at_logits(cuda.to_cpu(logits), cuda.to_cpu(logits.argmax(axis=1)), loss)
    doubt = np.abs(wanted).max(axis=1)
    assert doubt.min() < 1e-7 and np.median(doubt) < 1e-2
    found = looked(model).token_saliency / np.repeat(doubt, LENGTHS)
    # Eq. (4) from that gradient on, which is scaled so that float32 holds it.
    ids = model.padded(batch)
    x = chainer.Variable(model.xp.asarray(VECTORS)[ids])
    z = model.head(model.features_of_padded(x, batch.offsets))
    scaled = model.xp.asarray((wanted / doubt[:, None]).astype(np.float32))
    (grad,) = chainer.grad([z], [x], [chainer.Variable(scaled)])
    expected = cuda.to_cpu(abs(grad.array).mean(axis=2)[ids > 0])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_digits_that_cancel_would_be_noticed(monkeypatch):
    """Twin: the gradient of Chainer's cross entropy in float32, p - 1 for the own label."""

    def cancelled(logits, own, *loss):
        z = chainer.Variable(logits)
        with chainer.force_backprop_mode():
            total = F.sum(F.softmax_cross_entropy(z, own, reduce="no"))
            (grad,) = chainer.grad([total], [z])
        return grad.array, doubt_of(logits, own, *loss)[1]

    doubt_of = saliency._at_logits
    monkeypatch.setattr(saliency, "_at_logits", cancelled)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_saliency_of_a_confident_model_has_all_its_digits("fused", "logits", 2, "@numpy")


def test_an_input_that_is_not_looked_at_has_no_saliency():
    """Zeros, where Chainer has no gradient at all."""

    def first_only(words):
        return F.stack([F.sum(words[0], axis=0), F.sum(words[0], axis=0)])

    one, two = np.ones((3, 2), dtype=np.float32), np.ones((4, 2), dtype=np.float32)
    found = token_saliency(first_only, [one, two])
    assert [len(words) for words in found] == [3, 4]
    assert found[0].all() and found[1].tolist() == [0, 0, 0, 0]


LINE = np.array([[0.5], [-1.0], [2.0]], dtype=np.float32)
SENTENCES = np.random.RandomState(3).randn(2, 4, 3).astype(np.float32)


def one_output(x):
    return F.sum(x, axis=1) @ LINE


def two_outputs(x):
    z = one_output(x)
    return F.concat([z * 0, z])


@pytest.mark.parametrize(
    "forward",
    [
        one_output,
        lambda x: one_output(x)[:, 0],
        lambda x: F.stack([two_outputs(x), two_outputs(x)]),
        lambda x: two_outputs(x)[:1],
        lambda x: F.sum(x),
    ],
    ids=["one output", "1-D", "3-D", "one row", "a number"],
)
def test_outputs_that_are_no_logits_are_refused(forward):
    """The softmax of one output is 1 whatever it is: every saliency would be 0."""
    rows = [
        lambda: token_saliency(forward, SENTENCES),
        lambda: callable_saliency(lambda words: forward(F.stack(words)), list(SENTENCES)),
    ]
    for ask in rows:
        with pytest.raises(
            ValueError, match=r"forward gave \(.*for 2 sentences.*a loss of your own$"
        ):
            ask()


def test_one_output_has_saliency_as_two_logits_or_by_a_loss():
    """Twin: 0 and z are the same network, and a loss of one's own needs no softmax."""

    def logistic(z, own):
        assert own.tolist() == [0, 0]
        return F.softplus(-z[:, 0])

    z = F.sum(SENTENCES, axis=1).array @ LINE
    by_hand = np.abs(LINE).mean() / (1 + np.exp(np.abs(z)))
    np.testing.assert_allclose(
        token_saliency(two_outputs, SENTENCES), np.tile(by_hand, 4), rtol=1e-5
    )
    by_hand = np.abs(LINE).mean() / (1 + np.exp(z))
    np.testing.assert_allclose(
        token_saliency(one_output, SENTENCES, logistic), np.tile(by_hand, 4), rtol=1e-5
    )
    with pytest.raises(ValueError, match="C of 1 or more"):
        token_saliency(lambda x: one_output(x)[:, 0], SENTENCES, logistic)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, bool])
def test_vectors_of_whole_numbers_are_refused(dtype):
    """What is cast on the way would have a gradient cut to whole numbers."""

    def forward(x):
        return two_outputs(F.cast(x, np.float32))

    whole = np.array([[[1, 0, 1], [0, 0, 1]]])
    assert (token_saliency(forward, whole.astype(np.float32)) > 0).all()
    with pytest.raises(ValueError, match=f"{np.dtype(dtype)} have no gradient; give float32"):
        token_saliency(forward, whole.astype(dtype))


@pytest.mark.parametrize("tokens", [[], [5], [3, 0, 3, 7], [2, -1, 4, -1]], ids=str)
def test_distinct_words_are_those_of_a_sort(tokens):
    tokens = np.array(tokens, dtype=np.int32)
    offsets = np.array([0, len(tokens)])
    batch = flat_batch(TextCNN(VECTORS, 2, Config(n_filters=2), 0), tokens, offsets)
    distinct, inverse = np.unique(tokens, return_inverse=True)
    assert cuda.to_cpu(batch.ids).tolist() == (distinct + 1).tolist()
    assert cuda.to_cpu(batch.tokens).tolist() == inverse.tolist()
    assert (batch.ids.dtype, batch.tokens.dtype) == (np.int32, np.int32)


def test_a_kernel_that_forgets_windows_is_noticed(monkeypatch):
    """Twin: eq. (6) with the winning windows shifted by one disagrees with the reference."""
    real = functions.mean_absolute_gradient
    monkeypatch.setattr(
        functions, "mean_absolute_gradient", lambda gz, where, *rest: real(gz, where + 1, *rest)
    )
    wrong, right = looked(model_of()), looked(model_of("reference"))
    assert not np.allclose(wrong.token_saliency, right.token_saliency, rtol=1e-3)
