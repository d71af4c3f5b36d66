"""The network: both forms alike, initial weights by seed, weights read and refused."""

import numpy as np
import pytest

from replicate import compat  # noqa: F401  (before chainer)
import chainer
import chainer.functions as F

from replicate.config import Config
from replicate.model import TextCNN, load_weights, pad
from replicate.saliency import flat_batch
from replicate.storage import load_npz, save_npz

VECTORS = np.concatenate([np.zeros((1, 6)), np.random.RandomState(0).uniform(-1, 1, (9, 6))]).astype(np.float32)
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


@pytest.mark.parametrize("height", range(1, 8))
@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_both_forms_give_the_same_loss_and_gradients(activation, padding, height):
    """Logits, loss and all gradients to 1e-5 relative, in training mode."""
    found = []
    for form in ("fused", "reference"):
        model = model_of(form, activation=activation, padding=padding, filter_height=height)
        batch = batch_of(model)
        model.cleargrads()
        loss = model.training_loss(batch)
        loss.backward()
        found.append(
            [model.head(model.features(batch)).array, loss.array]
            + [param.grad for _, param in sorted(model.namedparams())]
        )
    for fused, reference in zip(*found):
        np.testing.assert_allclose(fused, reference, rtol=1e-5, atol=1e-5 * abs(reference).max())


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
    assert 0.0099 < weight.max() <= 0.01 and weight.std() == pytest.approx(0.01 / np.sqrt(3), rel=0.02)
    for model in (chainers, kims):
        assert not model.conv.b.array.any() and not model.fc.b.array.any()


def test_fine_tuned_vectors_are_trained_and_padding_is_not():
    """embed/W is a parameter only then; words of the batch get a gradient, row 0 none."""
    assert "/embed/W" not in dict(model_of().namedparams())
    grads = []
    for form in ("fused", "reference"):
        model = model_of(form, vectors_mode="finetuned")
        model.cleargrads()
        model.training_loss(batch_of(model)).backward()
        grads.append(model.embed.W.grad)
        assert model.embed.W.grad.shape == VECTORS.shape
        assert not model.embed.W.grad[0].any() and model.embed.W.grad[1:].any()
    np.testing.assert_allclose(*grads, rtol=1e-4, atol=1e-7)
    model.embed.W.array[:] = 5  # a copy: the run's vectors are not touched
    assert VECTORS.max() < 2


def test_softmax_twice_is_another_loss():
    """The reading of (4): cross entropy of softmax output."""
    plain, twice = model_of(), model_of(loss="probabilities")
    logits = chainer.Variable(np.array([[2.0, -1.0], [0.5, 0.1]], dtype=np.float32))
    labels = np.array([1, 0], dtype=np.int32)
    expected = F.softmax_cross_entropy(F.softmax(logits), labels).array
    assert twice.loss(logits, labels).array == pytest.approx(float(expected))
    assert plain.loss(logits, labels).array == pytest.approx(float(F.softmax_cross_entropy(logits, labels).array))
    assert abs(expected - plain.loss(logits, labels).array) > 0.1


def test_other_forms_are_refused(refused):
    """There are two implementations."""
    with refused("quick"):
        model_of("quick")


def test_pad():
    """Zeros around, one width, a least width, words in order."""
    ids = np.array([7, 8, 9], dtype=np.int32)
    assert pad(ids, np.array([0, 1, 3]), 2).tolist() == [[0, 0, 7, 0, 0, 0], [0, 0, 8, 9, 0, 0]]
    assert pad(ids, np.array([0, 1, 3]), 0).tolist() == [[7, 0], [8, 9]]
    assert pad(ids, np.array([0, 1, 3]), 0, shortest=4).tolist() == [[7, 0, 0, 0], [8, 9, 0, 0]]


# --- weights ------------------------------------------------------------------


def test_weights_go_round(tmp_path):
    """Saved and loaded: the same bits, embedding included in the file."""
    first, second = model_of(seed=1), model_of(seed=2)
    first.save(tmp_path / "model.npz")
    assert load_npz(tmp_path / "model.npz").keys() == {"conv/W", "conv/b", "fc/W", "fc/b", "embed/W"}
    load_weights(tmp_path / "model.npz", second)
    mine, theirs = first.weights(False), second.weights(False)
    assert all(mine[n].tobytes() == theirs[n].tobytes() for n in mine)


@pytest.mark.parametrize(
    "damage",
    [
        lambda a: a.pop("conv/b"),
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
