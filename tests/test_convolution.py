"""The fused convolution against a naive restatement, plain Chainer and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate.config import Config
from replicate.fast import convolution as functions
from replicate.fast.compat import chainer, cuda, supplied, type_check
from replicate.fast.convolution import convolution_max
from replicate.model import Batch, TextCNN

with supplied():
    from chainer import gradient_check

ACTIVATIONS = ("relu", "tanh", "sigmoid")
PADDINGS = ("wide", "narrow")


def made(seed, lengths, n_words=7, dimensions=5, n_filters=4, height=3, dtype=np.float64):
    """Words, filters, biases, tokens and offsets drawn from a seed."""
    random = np.random.RandomState(seed)
    words = random.uniform(-1, 1, (n_words, dimensions)).astype(dtype)
    W = random.uniform(-1, 1, (n_filters, 1, height, dimensions)).astype(dtype)
    b = random.uniform(-0.5, 0.5, n_filters).astype(dtype)
    tokens = random.randint(0, n_words, sum(lengths)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return words, W, b, tokens, offsets


def sent(device, *arrays):
    """Arrays on a device."""
    return [device.send(array) for array in arrays]


def naive(words, W, b, tokens, offsets, activation, padding, last_tie=False):
    """The docstring's formula in plain loops: features, and the window that won."""
    n_filters, _, height, _ = W.shape
    y = np.empty((len(offsets) - 1, n_filters), dtype=words.dtype)
    where = np.empty(y.shape, dtype=int)
    act = {"relu": lambda z: max(z, 0), "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    for s in range(len(offsets) - 1):
        sentence = words[tokens[offsets[s] : offsets[s + 1]]]
        L = len(sentence)
        places = range(1 - height, L) if padding == "wide" else range(max(L, height) - height + 1)
        for f in range(n_filters):
            best = None
            for p in places:
                z = b[f]
                for k in range(height):
                    if 0 <= p + k < L:
                        z += W[f, 0, k] @ sentence[p + k]
                if best is None or z > best or (last_tie and z == best):
                    best, where[s, f] = z, p
            y[s, f] = act[activation](best)
    return y, where


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("height", range(1, 8))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_is_the_formula(activation, height, padding, device):
    """All heights 1-7, sentences of one word, shorter and longer than the filter."""
    arrays = made(height, [1, 1, 2, 3, 5, 9], height=height)
    expected, where = naive(*arrays, activation, padding)
    words, W, b, tokens, offsets = sent(device, *arrays)
    y = convolution_max(words, W, b, tokens, offsets, activation, padding)
    np.testing.assert_allclose(cuda.to_cpu(y.array), expected, rtol=1e-10, atol=1e-12)
    projected = functions.project(words, W)
    pooled = functions.pool(projected, b, tokens, offsets, height, padding == "wide")
    np.testing.assert_array_equal(cuda.to_cpu(pooled.argmax), where)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("height", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_by_finite_differences(activation, height, padding, device):
    """Chainer's gradient_check on words, filters and biases, in float64."""
    arrays = made(20 + height, [1, 2, 4, 8], height=height)
    gy = np.random.RandomState(0).uniform(-1, 1, (4, 4))
    words, W, b, tokens, offsets, gy = sent(device, *arrays, gy)

    def function(*inputs):
        return convolution_max(*inputs, tokens, offsets, activation, padding)

    # A numerical difference across a kink says nothing: steps stay small.
    gradient_check.check_backward(
        function, (words, W, b), gy, eps=1e-6, dtype=np.float64, atol=1e-6, rtol=1e-5
    )


def test_gradient_check_notices_a_wrong_gradient(monkeypatch):
    """Twin: with one filter row swapped in the backward pass the check fails."""
    words, W, b, tokens, offsets = made(1, [3, 4])
    real = functions._gradient_of_filters
    monkeypatch.setattr(functions, "_gradient_of_filters", lambda *a: real(*a)[:, :, ::-1])
    with pytest.raises(AssertionError):
        gradient_check.check_backward(
            lambda *i: convolution_max(*i, tokens, offsets), (words, W, b), np.ones((2, 4)),
            eps=1e-6, dtype=np.float64, atol=1e-6, rtol=1e-5,
        )  # fmt: skip


@chainer.testing.inject_backend_tests(["test_forward", "test_backward"], [{}])
class TestWithChainersHarness(chainer.testing.FunctionTestCase):
    """Forward and backward as Chainer tests its own functions."""

    skip_double_backward_test = True

    def setUp(self):
        self.fixed = made(5, [1, 4, 6], dtype=np.float32)
        self.check_forward_options.update(atol=1e-5, rtol=1e-5)
        self.check_backward_options.update(atol=1e-4, rtol=1e-3, eps=1e-3)

    def generate_inputs(self):
        return self.fixed[:3]

    def forward(self, inputs, device):
        return (convolution_max(*inputs, *self.fixed[3:], "tanh"),)

    def forward_expected(self, inputs):
        return (naive(*inputs, *self.fixed[3:], "tanh", "wide")[0],)


@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("height", range(1, 8))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_agrees_with_plain_chainer(activation, height, padding, dtype, bound, device):
    """Forward and all gradients against Convolution2D and max_pooling_2d."""
    lengths = [1, 1, 2, 4, 7, 12]
    words, W, b, tokens, offsets = made(height, lengths, dimensions=8, height=height, dtype=dtype)
    config = Config(n_filters=4, filter_height=height, activation=activation, padding=padding)
    found = []
    for form in ("fused", "reference"):
        with chainer.using_config("dtype", dtype):
            vectors = np.concatenate([np.zeros((1, 8), dtype), words])
            model = TextCNN(vectors, 2, config, 0, form)
        model.conv.W.array, model.conv.b.array = W.copy(), b.copy()
        model.to_device(device)
        ids, labels = np.arange(1, 8, dtype=np.int32), np.zeros(6, dtype=np.int32)
        batch = Batch.on(device.xp, ids, tokens, offsets, labels)
        filters, biases = model.conv.W, model.conv.b
        if form == "fused":
            x = chainer.Variable(device.send(words))
            y = convolution_max(
                x, filters, biases, batch.tokens, batch.offsets, activation, padding
            )
        else:
            ids = model.padded(batch)
            x = chainer.Variable(model.embed(ids))
            y = model.features_of_padded(x, batch.offsets)
        gy = np.random.RandomState(3).uniform(-1, 1, y.shape).astype(dtype)
        gy = chainer.Variable(device.send(gy))
        gx, gw, gb = (cuda.to_cpu(g.array) for g in chainer.grad([y], [x, filters, biases], [gy]))
        if form == "reference":  # from occurrences to words
            ids, total = cuda.to_cpu(ids), np.zeros_like(words)
            np.add.at(total, ids[ids > 0] - 1, gx[ids > 0])
            gx = total
        found.append([cuda.to_cpu(y.array), gx, gw, gb])
    for fused, reference in zip(*found):
        assert fused.dtype == reference.dtype == dtype and fused.shape == reference.shape
        np.testing.assert_allclose(fused, reference, rtol=bound, atol=bound * abs(reference).max())


def test_ties_go_to_the_first_window(device):
    """Equal windows: value and gradient are the first's; the last would be another gradient."""
    words = np.array([[1.0, 0.0], [0.0, 1.0]])
    W = np.array([[[[2.0, 2.0]]]])  # height 1: both words score 2
    b = np.zeros(1)
    tokens, offsets = np.array([1, 0, 1, 0], dtype=np.int32), np.array([0, 4])
    x, *rest = sent(device, words, W, b, tokens, offsets)
    x = chainer.Variable(x)
    y = convolution_max(x, *rest)
    (gx,) = chainer.grad([y], [x])
    assert y.array.tolist() == [[2.0]]
    assert gx.array.tolist() == [[0.0, 0.0], [2.0, 2.0]]
    assert naive(words, W, b, tokens, offsets, "relu", "wide")[1].tolist() == [[0]]
    assert naive(words, W, b, tokens, offsets, "relu", "wide", last_tie=True)[1].tolist() == [[3]]


def follows_the_first_window(lengths, height, padding, seed, last_tie=False):
    """Values, places and gradients of whole numbers, whose sums are exact and tie often.

    Returns whether the other tie rule would have given another place.
    """
    random = np.random.RandomState(seed)
    words = random.randint(-1, 2, (4, 2)).astype(np.float64)
    W = random.randint(-1, 2, (3, 1, height, 2)).astype(np.float64)
    b = random.randint(-1, 2, 3).astype(np.float64)
    tokens = random.randint(0, 4, sum(lengths)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Above zero, where relu passes the gradient on.
    b += 100
    y, where = naive(words, W, b, tokens, offsets, "relu", padding, last_tie)
    gy = random.randint(-3, 4, y.shape).astype(np.float64)
    gx, gw = np.zeros_like(words), np.zeros_like(W)
    for s in range(len(lengths)):
        for f in range(3):
            for k in range(height):
                t = where[s, f] + k
                if 0 <= t < lengths[s]:
                    gx[tokens[offsets[s] + t]] += gy[s, f] * W[f, 0, k]
                    gw[f, 0, k] += gy[s, f] * words[tokens[offsets[s] + t]]
    inputs = [chainer.Variable(a) for a in (words, W, b)]
    found = convolution_max(*inputs, tokens, offsets, padding=padding)
    np.testing.assert_array_equal(found.array, y)
    np.testing.assert_array_equal(found.creator_node.argmax, where)
    grads = chainer.grad([found], inputs, [chainer.Variable(gy)])
    for grad, expected in zip(grads, (gx, gw, gy.sum(axis=0))):
        np.testing.assert_array_equal(grad.array, expected)
    other = naive(words, W, b, tokens, offsets, "relu", padding, not last_tie)[1]
    return (other != where).any()


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    height=st.integers(1, 7),
    padding=st.sampled_from(PADDINGS),
    seed=st.integers(0, 10_000),
)
def test_first_of_equal_windows(lengths, height, padding, seed):
    """Any height, padding and length: value, place and gradient are exactly the first's."""
    follows_the_first_window(lengths, height, padding, seed)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("height", range(1, 8))
def test_the_last_of_equal_windows_is_noticed(height, padding, monkeypatch):
    """Twin: a forward pass that keeps the last of equal windows fails the same check."""
    lengths = [1, 3, 9, 12, 12]
    assert follows_the_first_window(lengths, height, padding, 0), "no ties to tell them apart"
    real = functions.pool

    def last(projected, b, tokens, offsets, height, wide):
        pooled = real(projected, b, tokens, offsets, height, wide)
        # Sentences and filters read backwards: their first is our last.
        rows = projected.reshape(len(projected), height, -1)[:, ::-1]
        backwards = [tokens[a:z][::-1] for a, z in zip(offsets[:-1], offsets[1:])]
        turned = real(
            rows.reshape(len(projected), -1), b, np.concatenate(backwards), offsets, height, wide
        )
        length = np.maximum(np.diff(offsets), 1 if wide else height)[:, None]
        return pooled._replace(argmax=(length - height - turned.argmax).astype(np.int32))

    monkeypatch.setattr(functions, "pool", last)
    follows_the_first_window(lengths, height, padding, 0, last_tie=True)
    with pytest.raises(AssertionError):
        follows_the_first_window(lengths, height, padding, 0)


def test_a_dead_relu_passes_nothing(device):
    """A maximum below zero gives zero, and no gradient."""
    words, W, b, tokens, offsets = sent(device, *made(2, [3, 2]))
    y = convolution_max(chainer.Variable(words), W, chainer.Variable(b - 100), tokens, offsets)
    assert not y.array.any()
    x, w = chainer.Variable(words), chainer.Variable(W)
    grads = chainer.grad([convolution_max(x, w, b - 100, tokens, offsets)], [x, w])
    assert not any(g.array.any() for g in grads)


@pytest.mark.parametrize(
    "change, error",
    [
        ({"activation": "gelu"}, ValueError),
        ({"padding": "same"}, ValueError),
        ({"offsets": np.array([0])}, ValueError),
        ({"offsets": np.array([0, 2, 2, 5])}, ValueError),
        ({"words": np.zeros((7, 4))}, type_check.InvalidType),
        ({"words": np.zeros(7)}, type_check.InvalidType),
        ({"words": np.zeros((7, 5), np.int64)}, type_check.InvalidType),
        ({"words": np.zeros((7, 5), np.float32)}, type_check.InvalidType),
        ({"W": np.zeros((4, 3, 5))}, type_check.InvalidType),
        ({"W": np.zeros((4, 2, 3, 5))}, type_check.InvalidType),
        ({"b": np.zeros(3)}, type_check.InvalidType),
        ({"b": np.zeros((4, 1))}, type_check.InvalidType),
        ({"words": np.zeros((7, 5), np.float16)}, type_check.InvalidType),
        ({"tokens": np.zeros(5, np.int64)}, type_check.InvalidType),
        ({"tokens": np.zeros(5, np.float32)}, type_check.InvalidType),
        ({"tokens": np.zeros((1, 5), np.int32)}, type_check.InvalidType),
        ({"tokens": np.array([0, 1, 7, 2, 3], np.int32)}, ValueError),
        ({"tokens": np.array([0, 1, -1, 2, 3], np.int32)}, ValueError),
        ({"tokens": np.zeros(4, np.int32)}, ValueError),
        ({"offsets": np.array([0, 2, 5], np.int32)}, type_check.InvalidType),
        ({"offsets": np.array([0, 2, 4])}, ValueError),
        ({"offsets": np.array([0, 2, 6])}, ValueError),
        ({"offsets": np.array([1, 2, 5])}, ValueError),
        ({"offsets": np.array([0, 6, 2, 5])}, ValueError),
    ],
)
def test_what_does_not_fit_is_refused(change, error, device):
    """Unknown names, an empty batch or sentence, wrong shapes, dtypes and ranges."""
    names = ("words", "W", "b", "tokens", "offsets")
    right = dict(zip(names, made(0, [2, 3])))
    convolution_max(**dict(zip(names, sent(device, *right.values()))))
    if change.get("words", right["words"]).dtype == np.float16:
        # All three alike, so that only the dtype itself is at fault.
        right["W"], right["b"] = right["W"].astype(np.float16), right["b"].astype(np.float16)
    wrong = {
        name: value if isinstance(value, str) else device.send(value)
        for name, value in {**right, **change}.items()
    }
    with pytest.raises(error):
        convolution_max(**wrong)


def test_no_gradient_of_the_gradient(device):
    """A second derivative is refused, not silently zero."""
    words, W, b, tokens, offsets = sent(device, *made(0, [2, 3]))
    x = chainer.Variable(words)
    y = convolution_max(x, W, b, tokens, offsets)
    (gx,) = chainer.grad([y], [x], enable_double_backprop=True)
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        chainer.grad([chainer.functions.sum(gx * gx)], [x])


def test_words_need_no_gradient_when_static(device):
    """Static vectors are an array: the backward pass asks for filters and biases only."""
    words, W, b, tokens, offsets = sent(device, *made(0, [2, 3], dtype=np.float32))
    w, bias = chainer.Parameter(W), chainer.Parameter(b)
    asked = []
    real = functions._gradient_of_words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions, "_gradient_of_words", lambda *a: asked.append(1) or real(*a))
        chainer.functions.sum(convolution_max(words, w, bias, tokens, offsets)).backward()
        assert not asked and w.grad is not None and bias.grad is not None
        x = chainer.Variable(words)
        chainer.functions.sum(convolution_max(x, w, bias, tokens, offsets)).backward()
        assert asked and x.grad is not None


def test_rows_of_words():
    """Rows as NumPy takes them; a word that is not there is an error, not another's memory."""
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    ids = np.array([3, 0, 3], dtype=np.int32)
    np.testing.assert_array_equal(functions.gather_rows(vectors, ids), vectors[ids])
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            functions.gather_rows(vectors, np.array([0, wrong], dtype=np.int32))
    assert functions.gather_rows(vectors, ids[:0]).shape == (0, 3)


def naive_saliency(gz, where, offsets, W):
    """Eq. (6) from the gradients at the winning windows, occurrence by occurrence."""
    out = []
    for s in range(len(offsets) - 1):
        for i in range(offsets[s + 1] - offsets[s]):
            gradient = np.zeros(W.shape[3])
            for f in range(W.shape[0]):
                k = i - where[s, f]
                if 0 <= k < W.shape[2]:
                    gradient += gz[s, f] * W[f, 0, k]
            out.append(np.abs(gradient).mean())
    return np.array(out)


@pytest.mark.parametrize("n_filters", [1, 2, 3, 4, 5, 9, 30])
@pytest.mark.parametrize("height", [1, 2, 3, 6])
def test_mean_absolute_gradient(n_filters, height, device):
    """Any number of rows meet in a word: none, fewer than four, more."""
    words, W, b, tokens, offsets = made(4, [1, 2, 3, 11], n_filters=n_filters, height=height)
    pooled = functions.pool(functions.project(words, W), b, tokens, offsets, height, True)
    gz = np.random.RandomState(1).randn(*pooled.value.shape)
    gz[np.random.RandomState(2).rand(*gz.shape) < 0.3] = 0
    expected = naive_saliency(gz, pooled.argmax, offsets, W)
    given = sent(device, gz, pooled.argmax, offsets, W)
    found = functions.mean_absolute_gradient(*given, offsets[-1])
    found = cuda.to_cpu(found)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert (expected == 0).any() == (found == 0).any()
    assert not np.allclose(found, naive_saliency(gz, pooled.argmax + 1, offsets, W))


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    height=st.integers(1, 7),
    wide=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_a_sentence_knows_nothing_of_its_batch(lengths, height, wide, seed):
    """Alone or among others, in any order: the same bits, forward and eq. (6)."""
    words, W, b, tokens, offsets = made(seed, lengths, height=height, dtype=np.float32)
    projected = functions.project(words, W)
    whole = functions.pool(projected, b, tokens, offsets, height, wide)
    gz = np.random.RandomState(seed).randn(*whole.value.shape).astype(np.float32)
    saliency = functions.mean_absolute_gradient(gz, whole.argmax, offsets, W, len(tokens))
    for s in range(len(lengths)):
        part = tokens[offsets[s] : offsets[s + 1]]
        own = np.array([0, len(part)])
        alone = functions.pool(projected, b, part, own, height, wide)
        assert alone.value.tobytes() == whole.value[s : s + 1].tobytes()
        assert alone.argmax.tobytes() == whole.argmax[s : s + 1].tobytes()
        mine = functions.mean_absolute_gradient(gz[s : s + 1], alone.argmax, own, W, len(part))
        assert mine.tobytes() == saliency[offsets[s] : offsets[s + 1]].tobytes()


@settings(max_examples=40)
@given(
    order=st.lists(st.integers(1, 9), min_size=2, max_size=8).flatmap(
        lambda lengths: st.tuples(st.just(lengths), st.permutations(range(len(lengths))))
    ),
    height=st.integers(1, 7),
    activation=st.sampled_from(ACTIVATIONS),
    padding=st.sampled_from(PADDINGS),
    seed=st.integers(0, 10_000),
)
def test_permuted_sentences_permute_the_result(order, height, activation, padding, seed):
    """The features of the whole function, to the bit."""
    lengths, order = order
    words, W, b, tokens, offsets = made(seed, lengths, height=height, dtype=np.float32)
    moved = np.concatenate([tokens[offsets[s] : offsets[s + 1]] for s in order])
    bounds = np.concatenate([[0], np.cumsum(np.array(lengths)[order])])
    projected = functions.project(words, W)
    with pytest.MonkeyPatch.context() as patch:
        # What a matrix product rounds is the library's business, not this function's.
        patch.setattr(functions, "project", lambda *given: projected)
        first = convolution_max(words, W, b, tokens, offsets, activation, padding).array
        second = convolution_max(words, W, b, moved, bounds, activation, padding).array
    assert first[order].tobytes() == second.tobytes()


def test_a_function_that_minds_its_batch_is_noticed(monkeypatch):
    """Twin: a pass that stops three words after the first sentence gives other bits."""
    real = functions.pool
    projected = functions.project(*made(0, [1, 4], dtype=np.float32)[:2])
    monkeypatch.setattr(functions, "project", lambda *given: projected)

    def short(projected, b, tokens, offsets, height, wide):
        return real(projected, b, tokens, np.minimum(offsets, offsets[1] + 3), height, wide)

    words, W, b, tokens, offsets = made(0, [1, 4], dtype=np.float32)
    whole = convolution_max(words, W, b, tokens, offsets).array
    monkeypatch.setattr(functions, "pool", short)
    alone = convolution_max(words, W, b, tokens[1:], np.array([0, 4])).array
    assert alone.tobytes() == whole[1:].tobytes()
    assert convolution_max(words, W, b, tokens, offsets).array[1:].tobytes() != alone.tobytes()


def test_optimizers_and_snapshots_take_it_as_any_function(device):
    """A model with it is trained by Chainer's SGD, and the loss falls."""
    words, W, b, tokens, offsets = sent(device, *made(6, [2, 3, 4, 5], dtype=np.float32))
    link = chainer.Chain()
    with link.init_scope():
        link.W, link.b = chainer.Parameter(W), chainer.Parameter(b)
    optimizer = chainer.optimizers.SGD(0.5).setup(link)
    target = device.send(np.random.RandomState(0).rand(4, 4).astype(np.float32))

    def loss():
        y = convolution_max(words, link.W, link.b, tokens, offsets, "tanh")
        return chainer.functions.mean_squared_error(y, target)

    before = float(loss().array)
    for _ in range(30):
        optimizer.update(loss)
    assert float(loss().array) < 0.5 * before


@pytest.mark.parametrize("n_sentences", range(1, 21))
def test_gradient_of_filters_for_any_number_of_sentences(n_sentences, device):
    """Rows are added eight, four and one at a time; none may be left out or taken twice."""
    lengths = [1 + s % 4 for s in range(n_sentences)]
    words, W, b, tokens, offsets = made(n_sentences, lengths)
    arrays = sent(device, words, W, b)
    indices = sent(device, tokens, offsets)
    filters = chainer.Parameter(arrays[1])
    y = convolution_max(arrays[0], filters, arrays[2], *indices, "tanh")
    gy = np.random.RandomState(1).uniform(0.5, 1, y.shape)
    y.grad = device.send(gy)
    y.backward()
    where = cuda.to_cpu(y.creator.argmax)
    gz = gy * (1 - cuda.to_cpu(y.array) ** 2)
    expected = np.zeros_like(W)
    for s, f in np.ndindex(gz.shape):
        for k in range(W.shape[2]):
            t = where[s, f] + k
            if 0 <= t < lengths[s]:
                expected[f, 0, k] += gz[s, f] * words[tokens[offsets[s] + t]]
    np.testing.assert_allclose(cuda.to_cpu(filters.grad), expected, rtol=1e-12, atol=1e-14)


def made_loss(seed, dtype=np.float64, mask=True, n_labels=3, lengths=(2, 3, 1, 5)):
    """What a training step takes: arrays by name, and dropout's mask or None."""
    names = ("words", "W", "b", "tokens", "offsets")
    given = dict(zip(names, made(seed, lengths, dtype=dtype)))
    n_filters = len(given["b"])
    random = np.random.RandomState(seed + 1)
    given["out_W"] = random.uniform(-1, 1, (n_labels, n_filters)).astype(dtype)
    given["out_b"] = random.uniform(-1, 1, n_labels).astype(dtype)
    given["labels"] = random.randint(0, n_labels, len(lengths)).astype(np.int32)
    drawn = (random.rand(len(lengths), n_filters) > 0.5).astype(dtype) * 2
    return {**given, "mask": drawn if mask else None}


PARAMETERS = ("W", "b", "out_W", "out_b")


def step_of(given):
    """The arguments of :func:`loss_and_gradients`: filters of one height."""
    rest = {name: value for name, value in given.items() if name not in ("W", "b")}
    return {**rest, "filters": [(given["W"], given["b"])]}


def composed(given, activation, padding, weight):
    """The same step of Chainer's functions: loss and gradients of the parameters."""
    params = {name: chainer.Parameter(given[name]) for name in PARAMETERS}
    sentences = given["tokens"], given["offsets"]
    y = convolution_max(given["words"], params["W"], params["b"], *sentences, activation, padding)
    if given["mask"] is not None:
        y = chainer.functions.dropout(y, 0.5, mask=given["mask"])
    logits = chainer.functions.linear(y, params["out_W"], params["out_b"])
    loss = chainer.functions.softmax_cross_entropy(logits, given["labels"]) * weight
    loss.backward()
    return loss.array, *(param.grad for param in params.values())


def has_the_bits_of_chainers(activation, padding, dtype, mask, n_labels, weight):
    given = made_loss(3, dtype, mask, n_labels)
    loss, gradients = functions.loss_and_gradients(
        **step_of(given), activation=activation, padding=padding, weight=weight
    )
    expected = composed(given, activation, padding, weight)
    for our, their in zip((loss, *gradients), expected, strict=True):
        assert our.dtype == their.dtype == dtype and our.shape == their.shape
        assert our.tobytes() == their.tobytes()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("n_labels", [2, 5])
@pytest.mark.parametrize("weight", [1.0, 0.75])
def test_a_step_has_the_bits_of_chainers(activation, padding, dtype, mask, n_labels, weight):
    """The weighted loss and the gradients of all four parameters, bit for bit."""
    has_the_bits_of_chainers(activation, padding, dtype, mask, n_labels, weight)


@pytest.mark.parametrize("wrong", ["weight", "share"])
def test_a_wrong_step_is_noticed(wrong, monkeypatch):
    """Twins: a weight that reaches the loss only; a sum over sentences for the mean."""
    right = functions._cross_entropy

    def broken(logits, labels, weight):
        if wrong == "weight":
            return right(logits, labels, weight)[0], right(logits, labels, 1)[1]
        return tuple(part * len(labels) for part in right(logits, labels, weight))

    monkeypatch.setattr(functions, "_cross_entropy", broken)
    with pytest.raises(AssertionError):
        has_the_bits_of_chainers("relu", "wide", np.float32, True, 2, 0.75)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_a_step_by_finite_differences(activation):
    given = made_loss(1)

    def step():
        return functions.loss_and_gradients(**step_of(given), activation=activation, weight=0.5)

    numerical = gradient_check.numerical_grad(
        lambda: (step()[0],), [given[name] for name in PARAMETERS], (np.ones(()),), eps=1e-6
    )
    for gradient, expected in zip(step()[1], numerical, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "gelu"},
        {"padding": "same"},
        {"offsets": np.array([0])},
        {"offsets": np.array([0, 2, 2, 6, 11])},
    ],
)
def test_a_step_that_does_not_fit_is_refused(change):
    """Unknown names, an empty batch, an empty sentence."""
    given = made_loss(0)
    functions.loss_and_gradients(**step_of(given))
    with pytest.raises(ValueError):
        functions.loss_and_gradients(**step_of({**given, **change}))
