"""The network: both forms alike, initial weights by seed, weights read and refused."""

import contextlib

import numpy as np
import pytest

from replicate import model as model_module
from replicate.config import Config
from replicate.fast.compat import F, chainer, cuda
from replicate.io.files import load_npz, save_npz
from replicate.model import TextCNN, load_weights, pad
from replicate.saliency import flat_batch, word_saliency
from replicate.training import make_optimizer

VECTORS = np.random.RandomState(0).uniform(-1, 1, (10, 6)).astype(np.float32)
VECTORS[0] = 0
TOKENS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 0], dtype=np.int32)
OFFSETS = np.array([0, 1, 3, 7, 12])
LABELS = np.array([0, 1, 1, 0], dtype=np.int32)


def model_of(form="fused", seed=0, labels=2, **changes):
    return TextCNN(VECTORS, labels, Config(n_filters=4, **changes), seed, form)


def batch_of(model):
    return flat_batch(model, TOKENS, OFFSETS, LABELS)


def test_both_forms_have_the_same_parameters():
    """Chainer's names and shapes, and the same first weights."""
    forms = [dict(model_of(form, labels=3).namedparams()) for form in ("fused", "reference")]
    assert forms[0].keys() == forms[1].keys() == {"/conv/W", "/conv/b", "/fc/W", "/fc/b"}
    shapes = {"/conv/W": (4, 1, 3, 6), "/conv/b": (4,), "/fc/W": (3, 4), "/fc/b": (3,)}
    for name, shape in shapes.items():
        a, b = forms[0][name].array, forms[1][name].array
        assert a.shape == shape and a.dtype == np.float32 and a.tobytes() == b.tobytes()


CPU = chainer.get_device("@numpy")


def forms_agree(device=CPU, **readings):
    """Logits, loss and all gradients of both forms to 1e-5 relative, in training mode."""
    found = []
    for form in ("fused", "reference"):
        model = model_of(form, **readings)
        # All windows of the one-word sentence score below zero with filter 0, so
        # that one of padding alone would win; and first biases are all zero.
        for conv in model.convolutions:
            conv.W.array[0, 0] = -VECTORS[1] * np.arange(1, conv.W.shape[2] + 1)[:, None]
            conv.b.array[:] = [0.6, -0.6, 0.3, -0.1]
        model.to_device(device)
        batch = batch_of(model)
        model.cleargrads()
        loss = model.training_loss(batch)
        loss.backward()
        found.append(
            [model.head(model.features(batch)).array, loss.array]
            + [param.grad for _, param in sorted(model.namedparams())]
        )
    for fused, reference in zip(*(map(cuda.to_cpu, arrays) for arrays in found)):
        np.testing.assert_allclose(fused, reference, rtol=1e-5, atol=1e-5 * abs(reference).max())


@pytest.mark.parametrize("height", [*range(1, 8), (3, 4, 5), (1, 6)])
@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_both_forms_give_the_same_loss_and_gradients(activation, padding, height, device):
    """All heights, paddings and activations; sentences shorter than the filter among them."""
    forms_agree(device, activation=activation, padding=padding, filter_height=height)


@pytest.mark.parametrize("mode", ["finetuned", "multichannel"])
@pytest.mark.parametrize("height", [3, (2, 4)])
@pytest.mark.parametrize("padding", ["wide", "narrow"])
def test_both_forms_agree_on_trained_vectors(padding, height, mode, device):
    """The gradient of the word vectors is the sum over all heights."""
    forms_agree(device, padding=padding, filter_height=height, vectors_mode=mode)


def test_a_network_of_several_heights_by_hand():
    """Two heights, numbers that one can follow: words 1, 2, 3 and D = 1."""
    vectors = np.array([[0], [1], [2], [3]], dtype=np.float32)
    config = Config(n_filters=1, filter_height=[1, 2])
    model = TextCNN(vectors, 2, config, 0)
    assert sorted(name for name, _ in model.namedparams()) == [
        "/conv1/W", "/conv1/b", "/conv2/W", "/conv2/b", "/fc/W", "/fc/b",
    ]  # fmt: skip
    model.conv1.W.array[:] = [[[[2]]]]
    model.conv2.W.array[:] = [[[[1], [-1]]]]
    model.conv2.b.array[:] = 0.5
    batch = flat_batch(model, np.array([0, 1, 2], dtype=np.int32), np.array([0, 3]))
    # Height 1: 2, 4, 6.  Height 2 over 0 1 2 3 0: -1, -1, -1, 3, and the bias.
    assert model.features(batch).array.tolist() == [[6.0, 3.5]]
    model.fc.W.array[:] = [[1, 0], [0, 1]]
    # Eq. (6): the label 0 has p; both filters look at word 3 alone, by 2 and by 1.
    p = 1 / (1 + np.exp(3.5 - 6.0))
    found = word_saliency(model, batch)
    np.testing.assert_allclose(found.token_saliency, [0, 0, (1 - p) * (2 - 1)], rtol=1e-5)


def test_two_channels_are_one_of_each():
    """The sum of the constant vectors and of those that are trained; only the latter move."""
    model = model_of(vectors_mode="multichannel")
    model.embed.W.array[1:] += 1
    batch = batch_of(model)
    np.testing.assert_allclose(model.embed.array[1:], 2 * VECTORS[1:] + 1, rtol=1e-6, atol=1e-6)
    alone = model_of(vectors_mode="finetuned")
    alone.embed.W.array[:] = model.embed.array
    np.testing.assert_allclose(
        model.features(batch).array, alone.features(batch).array, rtol=1e-5, atol=1e-6
    )
    optimizer = make_optimizer(model, model.config)
    before = model.embed.constant.tobytes()
    model.set_gradients(batch)
    optimizer.update()
    assert model.embed.constant.tobytes() == before == VECTORS.tobytes()
    assert (model.embed.W.array[1:] != VECTORS[1:] + 1).any()
    assert "embed/W" in model.weights(embedding=False)


@pytest.mark.parametrize("wrong", ["one height", "one channel"])
def test_a_height_or_channel_left_out_would_be_noticed(wrong, monkeypatch):
    """Twins: the first height's gradient of the words alone; a channel that is not added."""
    if wrong == "one height":
        whole = model_module.convolution_max

        def first_only(words, W, *rest):
            return whole(words if W.shape[2] == 2 else words.array, W, *rest)

        monkeypatch.setattr(model_module, "convolution_max", first_only)
    else:
        monkeypatch.setattr(
            model_module.Embedding, "__call__", lambda self, ids: F.embed_id(ids, self.W, 0)
        )
        monkeypatch.setattr(model_module, "gather_rows", lambda vectors, ids: 0 * vectors[ids])
    with pytest.raises(AssertionError):
        if wrong == "one height":
            forms_agree(filter_height=[2, 4], vectors_mode="finetuned")
        else:
            test_two_channels_are_one_of_each()


@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_windows_of_padding_alone_would_be_noticed(activation, padding, monkeypatch):
    """Twin: a reference form that lets them into the maximum disagrees."""
    monkeypatch.setattr(F, "where", lambda inside, h, lowest: h)
    with pytest.raises(AssertionError):
        forms_agree(activation=activation, padding=padding)


@pytest.mark.parametrize("what", ["activation", "padding", "filter_height"])
def test_a_reading_left_out_would_be_noticed(what, monkeypatch):
    """Twin: a fused form that is deaf to a reading disagrees."""
    real = model_module.convolution_max

    def deaf(words, W, b, tokens, offsets, activation, padding):
        if what == "filter_height":
            W = W[:, :, :2]
        named = {"activation": activation, "padding": padding, what: getattr(Config, what)}
        return real(words, W, b, tokens, offsets, named["activation"], named["padding"])

    monkeypatch.setattr(model_module, "convolution_max", deaf)
    with pytest.raises(AssertionError):
        forms_agree(activation="tanh", padding="narrow")


def test_dropout_is_the_callers_mask(device):
    """The output layer sees features times the mask; without one, features as they are."""
    model = model_of(dropout=0.5)
    model.to_device(device)
    features = device.send(np.random.RandomState(0).rand(3, 4).astype(np.float32))
    mask = device.send(np.array([[2, 0, 2, 0]] * 3, dtype=np.float32))
    with chainer.using_config("train", True):
        dropped, whole = model.head(features, mask).array, model.head(features).array
    np.testing.assert_array_equal(
        cuda.to_cpu(dropped), cuda.to_cpu(model.fc(features * mask).array)
    )
    np.testing.assert_array_equal(cuda.to_cpu(whole), cuda.to_cpu(model.fc(features).array))


def test_initial_weights_are_the_seeds():
    """One seed one start, whatever the global generator; another seed another."""
    first = model_of(seed=3).weights(False)
    np.random.seed(1)
    again, other = model_of(seed=3).weights(False), model_of(seed=4).weights(False)
    assert all(first[n].tobytes() == again[n].tobytes() for n in first)
    assert (first["conv/W"] != other["conv/W"]).any() and (first["fc/W"] != other["fc/W"]).any()


def test_initial_weights_are_chainers_or_kims():
    """Normal of deviation 1 / sqrt(fan in) with zero biases; or uniform(-0.01, 0.01)."""
    vectors = np.zeros((2, 300), dtype=np.float32)
    chainers = TextCNN(vectors, 2, Config(n_filters=200), 0)
    assert chainers.conv.W.array.std() == pytest.approx(1 / np.sqrt(900), rel=0.02)
    assert chainers.fc.W.array.std() == pytest.approx(1 / np.sqrt(200), rel=0.1)
    kims = TextCNN(vectors, 2, Config(n_filters=200, initial_weights="kim"), 0)
    weight = kims.conv.W.array
    assert 0.0099 < weight.max() <= 0.01
    assert weight.std() == pytest.approx(0.01 / np.sqrt(3), rel=0.02)
    for model in (chainers, kims):
        assert not model.conv.b.array.any() and not model.fc.b.array.any()


@pytest.mark.parametrize("mode", ["finetuned", "multichannel"])
def test_fine_tuned_vectors_are_trained_and_padding_is_not(mode, device):
    """embed/W is a parameter only then; words of the batch get a gradient, row 0 none."""
    assert "/embed/W" not in dict(model_of().namedparams())
    grads = []
    for form in ("fused", "reference"):
        model = model_of(form, vectors_mode=mode)
        model.to_device(device)
        model.cleargrads()
        model.training_loss(batch_of(model)).backward()
        grads.append(cuda.to_cpu(model.embed.W.grad))
        assert model.embed.W.grad.shape == VECTORS.shape
        assert not model.embed.W.grad[0].any() and model.embed.W.grad[1:].any()
    np.testing.assert_allclose(*grads, rtol=1e-4, atol=1e-7)
    model.embed.W.array[:] = 5  # a copy: the run's vectors are not touched
    assert VECTORS.max() < 2


@pytest.mark.parametrize("weight", [1.0, 0.5])
@pytest.mark.parametrize("form", ["fused", "reference"])
@pytest.mark.parametrize(
    "readings",
    [
        {},
        {"vectors_mode": "finetuned"},
        {"vectors_mode": "multichannel"},
        {"loss": "probabilities"},
        {"filter_height": (2, 3, 5)},
        {"filter_height": (2, 3, 5), "vectors_mode": "finetuned"},
        {"filter_height": (1, 4), "vectors_mode": "multichannel"},
    ],
)
@pytest.mark.parametrize("hooked", [False, True])
def test_gradients_are_set_as_by_the_graph(form, readings, weight, hooked, device, monkeypatch):
    """Loss and gradients of a step, bit for bit on the CPU, whichever way they are computed.

    Old gradients are replaced, and hooks of functions see the step.
    """
    found, hook = [], chainer.function_hooks.TimerHook()
    without_a_graph = []
    real = model_module.loss_and_gradients
    monkeypatch.setattr(
        model_module, "loss_and_gradients", lambda *a: without_a_graph.append(1) or real(*a)
    )
    for direct in (True, False):
        model = model_of(form, **readings)
        model.to_device(device)
        batch = batch_of(model)
        for param in model.params():
            param.grad = model.xp.ones_like(param.array)
        if direct:
            with hook if hooked else contextlib.nullcontext():
                loss = model.set_gradients(batch, None, weight)
        else:
            model.cleargrads()
            loss = model.training_loss(batch) * weight
            loss.backward()
            loss = loss.array
        found.append([loss, *(param.grad for _, param in sorted(model.namedparams()))])
    assert bool(hook.call_history) == hooked
    default = form == "fused" and "loss" not in readings and not hooked
    assert bool(without_a_graph) == default
    for ours, graphs in zip(*(map(cuda.to_cpu, arrays) for arrays in found)):
        if device.xp is np:
            assert ours.tobytes() == graphs.tobytes()
        else:
            np.testing.assert_allclose(ours, graphs, rtol=1e-5, atol=1e-7)


def test_softmax_twice_is_another_loss(device):
    """The reading of (4): cross entropy of softmax output."""
    plain, twice = model_of(), model_of(loss="probabilities")
    logits = device.send(np.array([[2.0, -1.0], [0.5, 0.1]], dtype=np.float32))
    labels = device.send(np.array([1, 0], dtype=np.int32))
    expected = float(F.softmax_cross_entropy(F.softmax(logits), labels).array)
    assert float(twice.loss(logits, labels).array) == pytest.approx(expected)
    once = float(F.softmax_cross_entropy(logits, labels).array)
    assert float(plain.loss(logits, labels).array) == pytest.approx(once)
    assert abs(expected - once) > 0.1


def test_other_forms_are_refused(refused):
    """There are two implementations."""
    with refused("quick"):
        model_of("quick")


def test_pad(device):
    """Zeros around, one width, a least width, words in order."""
    ids, offsets = device.send(np.array([7, 8, 9], dtype=np.int32)), np.array([0, 1, 3])
    assert pad(ids, offsets, 2).tolist() == [[0, 0, 7, 0, 0, 0], [0, 0, 8, 9, 0, 0]]
    assert pad(ids, offsets, 0).tolist() == [[7, 0], [8, 9]]
    assert pad(ids, offsets, 0, shortest=4).tolist() == [[7, 0, 0, 0], [8, 9, 0, 0]]


# --- weights ------------------------------------------------------------------


def test_weights_go_round(tmp_path, device):
    """Saved and loaded: the same bits, embedding included in the file."""
    first, second = model_of(seed=1), model_of(seed=2)
    for model in (first, second):
        model.to_device(device)
    first.save(tmp_path / "model.npz")
    names = {"conv/W", "conv/b", "fc/W", "fc/b", "embed/W"}
    assert load_npz(tmp_path / "model.npz").keys() == names
    load_weights(tmp_path / "model.npz", second)
    mine, theirs = first.weights(False), second.weights(False)
    assert all(mine[n].tobytes() == theirs[n].tobytes() for n in mine)


@pytest.mark.parametrize("mode", ["static", "finetuned", "multichannel"])
def test_weights_are_copied_in(mode, device):
    """set_weights takes what weights() gives, word vectors where they are trained; a copy."""
    first, second = model_of(seed=1, vectors_mode=mode), model_of(seed=2, vectors_mode=mode)
    second.to_device(device)
    if mode != "static":
        first.embed.W.array[1:] += 1
    arrays = first.weights(embedding=False)
    assert ("embed/W" in arrays) == (mode != "static")
    second.set_weights(arrays)
    expected = {name: value.tobytes() for name, value in arrays.items()}
    first.conv.W.array[:] = 7
    assert {n: v.tobytes() for n, v in second.weights(False).items()} == expected
    np.testing.assert_array_equal(
        cuda.to_cpu(second.embed.W if mode == "static" else second.embed.W.array)[1:],
        VECTORS[1:] + (mode != "static"),
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda a: a.pop("conv/b"),
        lambda a: a["embed/W"].__setitem__((1, 0), 9.0),
        lambda a: a.update({"fc/W": a["fc/W"][:, :-1]}),
        lambda a: a.update({"fc/W": a["fc/W"].astype(np.float64)}),
        lambda a: a.update({"fc/extra": a["fc/b"]}),
        lambda a: a["conv/W"].__setitem__((0, 0, 0, 0), np.nan),
        lambda a: a["fc/b"].__setitem__(0, np.inf),
    ],
)
def test_weights_of_another_model_are_refused(damage, tmp_path, refused):
    """Missing, of another shape or dtype, unknown, or not finite."""
    arrays = {name: value.copy() for name, value in model_of().weights(True).items()}
    damage(arrays)
    save_npz(tmp_path / "model.npz", arrays)
    model = model_of(seed=9)
    before = model.weights(False)["conv/W"].copy()
    with refused(tmp_path / "model.npz"):
        load_weights(tmp_path / "model.npz", model)
    assert (model.weights(False)["conv/W"] == before).all()


def test_a_pickle_among_weights_is_not_run(tmp_path, planted, refused):
    """chainer.serializers.load_npz would run it; ours refuses the file."""
    from pathlib import Path

    arrays = {**model_of().weights(True), "conv/W": np.array(planted, dtype=object)}
    np.savez(tmp_path / "model.npz", **arrays)
    with refused(tmp_path / "model.npz"):
        load_weights(tmp_path / "model.npz", model_of())
    assert not Path(planted.folder).exists()
