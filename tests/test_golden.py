"""Both forms against what Chainer 2.0.2 computed: ``golden/README.md`` tells how it was made."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from replicate import compat  # noqa: F401  (before chainer)
import chainer

from replicate import saliency, selection
from replicate.config import Config
from replicate.instability import sentence_instability, word_instability
from replicate.model import Batch, TextCNN
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.training import make_optimizer

FORMS = ("fused", "reference")
#: Optimiser -> learning rate of the golden run.
RATES = {"SGD": 0.1, "MomentumSGD": 0.05, "Adam": 0.01, "AdaGrad": 0.05, "AdaDelta": 1.0}
#: Where saliency was scored to halves.
SCORED = ("SGD", "Adam")
# Relative to the largest number of an array: single numbers of float32 sums
# near zero have no relative accuracy of their own.
CLOSE = 1e-5


@pytest.fixture(scope="module")
def golden():
    """All arrays, never unpickled."""
    with np.load(Path(__file__).parent / "golden" / "chainer2.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def close(found, stored, bound=CLOSE):
    np.testing.assert_allclose(found, stored, rtol=0, atol=bound * np.abs(stored).max())


def model_of(golden, form, weights, vectors="vectors", **readings):
    """A model with stored weights: ``weights`` is the prefix of their names."""
    arrays = {n: golden[f"{weights}/{n}"] for n in ("conv/W", "conv/b", "fc/W", "fc/b")}
    words = golden[vectors]
    config = Config(n_filters=len(arrays["conv/b"]), **readings)
    matrix = np.concatenate([np.zeros((1, words.shape[1]), np.float32), words])
    model = TextCNN(matrix, 2, config, 0, form)
    model.set_weights(arrays)
    return model


def t1_batch(golden, model):
    """T1 of the golden corpus."""
    sentences = np.flatnonzero(golden["subset"] == 1)
    return flat_batch(model, *take(golden, sentences), golden["labels"][sentences])


def take(golden, sentences):
    offsets = golden["offsets"]
    parts = [golden["tokens"][offsets[s] : offsets[s + 1]] for s in sentences]
    return np.concatenate(parts), np.concatenate([[0], np.cumsum([len(p) for p in parts])])


def check_look(model, batch, loss, probability, token_saliency, bound=CLOSE):
    """Mean loss against the labels, probabilities and saliency."""
    found = classify(model, batch)
    close(found.loss.mean(dtype=np.float64), loss, bound)
    close(found.probabilities, probability, bound)
    close(word_saliency(model, batch).token_saliency, token_saliency, bound)


@pytest.mark.parametrize("form", FORMS)
def test_at_the_first_weights(golden, form):
    """Loss, probabilities, saliency, and the gradients of the first batch."""
    model = model_of(golden, form, "init")
    check_look(
        model, t1_batch(golden, model), golden["init/loss"], golden["init/probability"],
        golden["init/saliency"],
    )  # fmt: skip
    model.cleargrads()
    model.training_loss(golden_batch(golden, model, 0, 0)).backward()
    for name, param in model.namedparams():
        close(param.grad, golden[f"grad{name}"])


def golden_batch(golden, model, epoch, number, size=20):
    """A batch of the golden order."""
    sentences = np.flatnonzero(golden["subset"] == 1)
    chosen = sentences[golden["order"][epoch, number * size : (number + 1) * size]]
    return flat_batch(model, *take(golden, chosen), golden["labels"][chosen])


def train_golden(golden, form, name, epochs=5):
    """Train in the golden order; weights and saliency after each epoch, loss of each batch."""
    model = model_of(golden, form, "init", optimizer=name, learning_rate=RATES[name])
    optimizer = make_optimizer(model, model.config)
    rows = []
    for epoch in range(epochs):
        losses = []
        for number in range(8):
            batch = golden_batch(golden, model, epoch, number)
            losses.append(float(model.training_loss(batch).array))
            optimizer.update(model.training_loss, batch)
        looked = word_saliency(model, t1_batch(golden, model)).token_saliency
        weights = {n: a.copy() for n, a in model.weights(False).items()}
        rows.append((losses, looked, weights))
    return rows


@pytest.fixture(scope="module")
def trained(golden):
    """``trained(form, optimiser)``, each run once."""
    made = {}

    def get(form, name):
        if (form, name) not in made:
            made[form, name] = train_golden(golden, form, name)
        return made[form, name]

    return get


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("form", FORMS)
def test_five_epochs(golden, trained, form, name):
    """Every optimiser: batch losses, weights after each epoch to 1e-4, saliency."""
    for epoch, (losses, looked, weights) in enumerate(trained(form, name)):
        close(losses, golden[f"{name}/batch_loss"][epoch])
        close(looked, golden[f"{name}/saliency"][epoch], 1e-4)
        for key, value in weights.items():
            np.testing.assert_allclose(value, golden[f"{name}/{key}"][epoch], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("form", FORMS)
def test_instability_and_halves(golden, trained, form, name):
    """wac and A_S rank as then (above 0.9999), and T2 is halved alike."""
    rows = np.stack([row[1] for row in trained(form, name)])
    t1, t2 = (np.flatnonzero(golden["subset"] == k) for k in (1, 2))
    n_words = len(golden["vectors"])
    wac, count = word_instability(rows, take(golden, t1)[0], n_words)
    stored = golden[f"{name}/wac"]
    np.testing.assert_array_equal(np.isnan(stored), count == 0)
    seen = count > 0
    assert stats.spearmanr(wac[seen], stored[seen]).statistic > 0.9999
    scores = sentence_instability(wac, *take(golden, t2))
    np.testing.assert_allclose(scores, golden[f"{name}/A_S"], rtol=1e-3)
    assert stats.spearmanr(scores, golden[f"{name}/A_S"]).statistic > 0.9999
    high, _ = selection.median_halves(scores, t2)
    if high.tolist() != golden[f"{name}/T2h"].tolist():
        # Only sentences whose scores are equal within rounding may change sides.
        value = dict(zip(t2.tolist(), golden[f"{name}/A_S"]))
        moved = set(high.tolist()) ^ set(golden[f"{name}/T2h"].tolist())
        among = [value[s] for s in moved]
        assert (max(among) - min(among)) <= 1e-5 * max(among)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_other_activations(golden, form, activation):
    """Forty sentences, 50 dimensions, 16 filters."""
    model = model_of(golden, form, activation, "wide/vectors", activation=activation)
    end = golden["offsets"][40]
    batch = flat_batch(model, golden["tokens"][:end], golden["offsets"][:41], golden["labels"][:40])
    check_look(
        model, batch, golden[f"{activation}/loss"], golden[f"{activation}/probability"],
        golden[f"{activation}/saliency"],
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_ties(golden, form):
    """21 tied maxima: the first position, as Chainer 2.0.2 took it."""
    model = model_of(golden, form, "ties", "ties/vectors")
    batch = flat_batch(model, golden["ties/tokens"], golden["ties/offsets"], golden["ties/labels"])
    check_look(
        model, batch, golden["ties/loss"], golden["ties/probability"], golden["ties/saliency"]
    )


def test_default_initial_weights(golden):
    """Chainer's default then and now: the same draws, conv before fc."""
    random = np.random.RandomState(3)
    for name in ("conv/W", "fc/W"):
        stored = golden[f"init/{name}"]
        made = np.empty_like(stored)
        chainer.initializers.LeCunNormal(rng=random)(made)
        assert made.tobytes() == stored.tobytes()
    assert not golden["init/conv/b"].any() and not golden["init/fc/b"].any()


# --- twins: what must fail ---------------------------------------------------------


def test_wrong_padding_is_noticed(golden):
    """Without padding the sentences' ends differ."""
    model = model_of(golden, "fused", "init", padding="narrow")
    found = word_saliency(model, t1_batch(golden, model)).token_saliency
    with pytest.raises(AssertionError):
        close(found, golden["init/saliency"])


def test_a_swapped_filter_row_is_noticed(golden):
    """Rows of a filter in another order."""
    model = model_of(golden, "fused", "init")
    model.conv.W.array[0, 0] = model.conv.W.array[0, 0, ::-1].copy()
    with pytest.raises(AssertionError):
        close(word_saliency(model, t1_batch(golden, model)).token_saliency, golden["init/saliency"])


def test_a_mean_of_losses_is_noticed(golden, monkeypatch):
    """Eq. (4) with losses averaged."""

    def averaged(model, logits):
        own = logits.array.argmax(axis=1).astype(np.int32)
        return chainer.functions.mean(model.loss(logits, own, reduce="no")), own

    monkeypatch.setattr(saliency, "_own_label_loss", averaged)
    model = model_of(golden, "reference", "init")
    with pytest.raises(AssertionError):
        close(word_saliency(model, t1_batch(golden, model)).token_saliency, golden["init/saliency"])


def test_another_variance_is_noticed(golden, trained):
    """Sample instead of population variance scales A_S."""
    rows = np.stack([row[1] for row in trained("fused", "SGD")])
    t1, t2 = (np.flatnonzero(golden["subset"] == k) for k in (1, 2))
    wac, _ = word_instability(rows, take(golden, t1)[0], len(golden["vectors"]), ddof=1)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            sentence_instability(wac, *take(golden, t2)), golden["SGD/A_S"], rtol=1e-3
        )


def test_the_last_tie_is_noticed(golden):
    """Sentences turned round, filters too: the last tied position instead of the first."""
    model = model_of(golden, "fused", "ties", "ties/vectors")
    model.conv.W.array[...] = model.conv.W.array[:, :, ::-1].copy()
    tokens, offsets = golden["ties/tokens"], golden["ties/offsets"]
    turned = np.concatenate([tokens[a:b][::-1] for a, b in zip(offsets[:-1], offsets[1:])])
    found = word_saliency(model, flat_batch(model, turned, offsets)).token_saliency
    back = np.concatenate([found[a:b][::-1] for a, b in zip(offsets[:-1], offsets[1:])])
    with pytest.raises(AssertionError):
        close(back, golden["ties/saliency"])


def test_another_order_of_training_is_noticed(golden):
    """The golden order turned round gives other weights."""
    model = model_of(golden, "fused", "init", optimizer="SGD", learning_rate=0.1)
    optimizer = make_optimizer(model, model.config)
    for number in reversed(range(8)):
        optimizer.update(model.training_loss, golden_batch(golden, model, 0, number))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(model.conv.W.array, golden["SGD/conv/W"][0], rtol=1e-4, atol=1e-5)


def test_batches_are_flat(golden):
    """The stored corpus is read as the package's own batches are."""
    model = model_of(golden, "fused", "init")
    batch = t1_batch(golden, model)
    assert isinstance(batch, Batch) and len(batch) == 160
    assert (batch.ids[batch.tokens] - 1).tolist() == take(golden, np.flatnonzero(golden["subset"] == 1))[0].tolist()
