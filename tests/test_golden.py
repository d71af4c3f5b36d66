"""Today's two forms against what Chainer 2.0.2 and NumPy 1.13 computed (tests/golden/README.md).

A difference is relative to the largest number of the array it is in.  Float32
rounds in proportion to the terms of a sum, and a weight or a gradient near 0
is what is left when large terms cancel: relative to itself it has no
precision, in Chainer 2.0.2 no more than here.
"""

import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from replicate import model as model_module
from replicate import saliency, training
from replicate.config import Config
from replicate.corpus import Corpus, read_corpus
from replicate.fast import convolution as functions
from replicate.fast.compat import F, chainer
from replicate.instability import sentence_instability, word_instability
from replicate.io.files import load_npy
from replicate.model import TextCNN
from replicate.recorder import Recorder
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.selection import median_halves
from replicate.training import EpochCheckpoints, train

with np.load(Path(__file__).parent / "golden" / "chainer2.npz", allow_pickle=False) as stored:
    GOLDEN = {name: stored[name] for name in stored.files}

T1, T2, T3 = (np.flatnonzero(GOLDEN["subset"] == number) for number in (1, 2, 3))
WORDS = len(GOLDEN["vectors"])
CORPUS = Corpus(
    np.array([f"w{i}" for i in range(WORDS)]), GOLDEN["tokens"], GOLDEN["offsets"],
    GOLDEN["labels"], ("0", "1"), {},
)  # fmt: skip
WEIGHTS = ("conv/W", "conv/b", "fc/W", "fc/b")
EPOCHS, BATCH = 5, 20
#: Learning rates; AdaDelta has none, and 1 stands for that.
RATES = {"SGD": 0.1, "MomentumSGD": 0.05, "Adam": 0.01, "AdaGrad": 0.05, "AdaDelta": 1.0}
#: The optimisers whose selection is stored.
SELECTED = ("SGD", "Adam")

FORM = pytest.mark.parametrize("form", ["fused", "reference"])
OPTIMIZER = pytest.mark.parametrize("optimizer", RATES)


def far(made, golden):
    """Greatest difference, relative to the largest golden number; NaN where made has one."""
    made, golden = np.asarray(made, dtype=np.float64), np.asarray(golden, dtype=np.float64)
    assert made.shape == golden.shape
    return float(np.abs(made - golden).max() / np.abs(golden).max())


# --- The golden networks -----------------------------------------------------------


def rows_of(vectors):
    """Word vectors as rows of the embedding: row 0 is padding."""
    return np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors])


def weights_of(prefix, epoch=...):
    return {name: GOLDEN[f"{prefix}/{name}"][epoch] for name in WEIGHTS}


def network(prefix, form, **changes):
    """The network of a block with its golden weights, and the block's sentences."""
    activation, vectors = "relu", GOLDEN["vectors"]
    tokens, offsets = CORPUS.take(T1)
    labels = CORPUS.labels[T1]
    if prefix in ("tanh", "sigmoid"):
        activation, vectors = prefix, GOLDEN["wide/vectors"]
        first = np.arange(len(GOLDEN[f"{prefix}/probability"]))
        tokens, offsets = CORPUS.take(first)
        labels = CORPUS.labels[first]
    elif prefix == "ties":
        vectors = GOLDEN["ties/vectors"]
        tokens, offsets, labels = (GOLDEN[f"ties/{n}"] for n in ("tokens", "offsets", "labels"))
    weights = weights_of(prefix)
    config = Config(n_filters=len(weights["fc/W"][0]), activation=activation, **changes)
    model = TextCNN(rows_of(vectors), 2, config, 0, form)
    model.set_weights(weights)
    return model, flat_batch(model, tokens, offsets, labels)


def looked(prefix, form):
    """How far saliency, probabilities and loss of a block are from golden, by name."""
    model, batch = network(prefix, form)
    found = classify(model, batch, chunk=BATCH)
    made = {
        "loss": found.loss.mean(dtype=np.float64),
        "probability": found.probabilities,
        "saliency": word_saliency(model, batch, chunk=BATCH).token_saliency,
    }
    return {name: far(value, GOLDEN[f"{prefix}/{name}"]) for name, value in made.items()}


@FORM
@pytest.mark.parametrize("prefix", ["init", "tanh", "sigmoid", "ties"])
def test_saliency_and_probabilities(prefix, form):
    """Eqs 4-6 at golden weights: ReLU, tanh, sigmoid, and maxima that are tied."""
    distances = looked(prefix, form)
    assert max(distances.values()) < 1e-5, distances
    assert distances.keys() == {"loss", "probability", "saliency"}
    model, batch = network(prefix, form)
    own = GOLDEN[f"{prefix}/probability"].argmax(axis=1)
    np.testing.assert_array_equal(word_saliency(model, batch).predicted, own)


@OPTIMIZER
@FORM
def test_saliency_at_the_trained_weights(form, optimizer):
    """Eqs 4-6 apart from training: at the golden weights of every epoch."""
    model, batch = network("init", form)
    for epoch in range(EPOCHS):
        model.set_weights(weights_of(optimizer, epoch))
        made = word_saliency(model, batch).token_saliency
        assert far(made, GOLDEN[f"{optimizer}/saliency"][epoch]) < 1e-5
        # Words that no winning window met, and they alone, have exactly 0.
        zero = GOLDEN[f"{optimizer}/saliency"][epoch] == 0
        np.testing.assert_array_equal(made == 0, zero)
        assert 0.1 < zero.mean() < 0.9


@FORM
def test_gradients_of_the_first_batch(form):
    """Of the mean training loss, by every weight."""
    check_gradients(form)


def check_gradients(form):
    model, _ = network("init", form)
    chosen = T1[GOLDEN["order"][0, :BATCH]]
    model.cleargrads()
    model.training_loss(flat_batch(model, *CORPUS.take(chosen), CORPUS.labels[chosen])).backward()
    for name, param in model.namedparams():
        assert far(param.grad, GOLDEN[f"grad{name}"]) < 1e-5, name


@FORM
def test_default_initial_weights(form, monkeypatch):
    """The same stream of random numbers gives Chainer 2.0.2's weights, bit for bit."""
    monkeypatch.setattr(model_module, "generator", lambda *seeds: np.random.RandomState(3))
    config = Config(n_filters=8)
    made = TextCNN(rows_of(GOLDEN["vectors"]), 2, config, 0, form).weights(False)
    assert made.keys() == set(WEIGHTS)
    for name in WEIGHTS:
        assert made[name].tobytes() == GOLDEN[f"init/{name}"].tobytes()
    kim = config.replace(initial_weights="kim")
    other = TextCNN(rows_of(GOLDEN["vectors"]), 2, kim, 0, form).weights(False)
    assert far(other["conv/W"], GOLDEN["init/conv/W"]) > 0.5


def test_tokens_of_mr(mr_folder):
    """The corpus module reads and cuts these 240 sentences as the script did."""
    corpus = read_corpus([mr_folder])
    at = [np.flatnonzero(corpus.labels == label) for label in (0, 1)]
    chosen = [at[label][line] for label, line in zip(GOLDEN["labels"], GOLDEN["line"])]
    tokens, offsets = corpus.take(np.array(chosen))
    ids = {}
    np.testing.assert_array_equal(offsets, GOLDEN["offsets"])
    assert [ids.setdefault(t, len(ids)) for t in tokens.tolist()] == GOLDEN["tokens"].tolist()


# --- Training in the golden order ----------------------------------------------------


class GoldenOrder:
    """In place of the generator that a run's seed names: the stored order of an epoch."""

    def __init__(self, name, seed, epoch):
        assert name == "order"  # without dropout nothing else is drawn
        self.epoch = epoch

    def permutation(self, n):
        order = GOLDEN["order"][self.epoch]
        assert len(order) == n
        return order


def first_phase(form, optimizer, folder):
    """The package's own first phase from the golden weights: all that it leaves."""
    model, _ = network(
        "init", form, optimizer=optimizer, learning_rate=RATES[optimizer],
        batch_size=BATCH, epochs=EPOCHS,
    )  # fmt: skip
    recorder = Recorder.of_model(model, *CORPUS.take(T1), WORDS, folder)
    checkpoints = EpochCheckpoints(model, EPOCHS)
    batch_loss = []

    def noted(*arguments):
        loss = type(model).set_gradients(model, *arguments)
        batch_loss.append(float(loss))
        return loss

    model.set_gradients = noted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "generator", GoldenOrder)
        train(
            model, CORPUS, T1, T3,
            seed=0, folder=folder, recorder=recorder, checkpoints=checkpoints,
        )  # fmt: skip
    return SimpleNamespace(
        weights=checkpoints.arrays,
        batch_loss=np.reshape(batch_loss, (EPOCHS, -1)),
        saliency=load_npy(folder / "saliency.npy"),
        streamed=recorder.stream.result()[0],
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """``trained(form, optimizer)``, each made once."""

    @functools.cache
    def make(form, optimizer):
        return first_phase(form, optimizer, tmp_path_factory.mktemp(f"{form}-{optimizer}"))

    return make


def check_weights(made, optimizer):
    for name in WEIGHTS:
        for epoch in range(EPOCHS):
            golden = GOLDEN[f"{optimizer}/{name}"][epoch]
            assert far(made.weights[name][epoch], golden) < 1e-4, (name, epoch)


def check_batch_loss(made, optimizer):
    # Each loss relative to itself: the largest would hide the late, small ones.
    np.testing.assert_allclose(made.batch_loss, GOLDEN[f"{optimizer}/batch_loss"], rtol=1e-5)


@OPTIMIZER
@FORM
def test_five_epochs_of_training(form, optimizer, trained):
    """Weights after every epoch, the loss of every batch before its update."""
    made = trained(form, optimizer)
    check_weights(made, optimizer)
    check_batch_loss(made, optimizer)
    # They moved: the first weights are no answer.
    assert far(GOLDEN["init/fc/W"], GOLDEN[f"{optimizer}/fc/W"][-1]) > 0.01


@OPTIMIZER
@FORM
def test_recorded_saliency(form, optimizer, trained):
    """What the recorder wrote of every epoch, own training and all."""
    made, golden = trained(form, optimizer).saliency, GOLDEN[f"{optimizer}/saliency"]
    for epoch in range(EPOCHS):
        assert far(made[epoch], golden[epoch]) < 1e-5


# --- Selection -----------------------------------------------------------------------


def check_wac(made, golden):
    known = ~np.isnan(golden)
    np.testing.assert_array_equal(np.isnan(made), ~known)
    assert far(made[known], golden[known]) < 1e-5


def check_rank(made, golden):
    known = ~np.isnan(golden)
    assert stats.spearmanr(made[known], golden[known]).statistic > 0.9999


def check_ranking(ranked, optimizer):
    """Golden A_S never rises along our order, but by rounding between neighbours in it."""
    golden = dict(zip(T2.tolist(), GOLDEN[f"{optimizer}/A_S"]))
    rise = np.diff([golden[s] for s in ranked.tolist()])
    assert rise.max() <= 1e-5 * max(golden.values())
    assert sorted(ranked.tolist()) == T2.tolist()


@pytest.mark.parametrize("optimizer", SELECTED)
def test_eqs_8_to_10_on_golden_saliency(optimizer):
    """In float64 on both sides: wac, A_S and both halves to 1e-12."""
    tokens, _ = CORPUS.take(T1)
    wac, count = word_instability(GOLDEN[f"{optimizer}/saliency"], tokens, WORDS)
    golden = GOLDEN[f"{optimizer}/wac"]
    np.testing.assert_allclose(wac, golden, rtol=1e-12, atol=1e-12 * np.nanmax(golden))
    assert (count == 0).sum() == 494
    scores = sentence_instability(golden, *CORPUS.take(T2))
    np.testing.assert_allclose(scores, GOLDEN[f"{optimizer}/A_S"], rtol=1e-12)
    h, l = median_halves(scores, T2)
    np.testing.assert_array_equal(h, GOLDEN[f"{optimizer}/T2h"])
    np.testing.assert_array_equal(l, np.setdiff1d(T2, h))


@pytest.mark.parametrize("optimizer", SELECTED)
@FORM
def test_selection_after_own_training(form, optimizer, trained):
    """Stored and streaming wac, A_S and the halves of a phase that was trained here."""
    made = trained(form, optimizer)
    tokens, _ = CORPUS.take(T1)
    for wac in (word_instability(made.saliency, tokens, WORDS)[0], made.streamed):
        check_wac(wac, GOLDEN[f"{optimizer}/wac"])
        check_rank(wac, GOLDEN[f"{optimizer}/wac"])
        scores = sentence_instability(wac, *CORPUS.take(T2))
        golden = GOLDEN[f"{optimizer}/A_S"]
        assert far(scores, golden) < 1e-5
        check_rank(scores, golden)
        h, l = median_halves(scores, T2)
        np.testing.assert_array_equal(h, GOLDEN[f"{optimizer}/T2h"])
        np.testing.assert_array_equal(l, np.sort(GOLDEN[f"{optimizer}/T2_ranked"][len(T2) // 2 :]))
        check_ranking(T2[np.argsort(-scores, kind="stable")], optimizer)


@pytest.mark.parametrize("optimizer", SELECTED)
def test_no_tie_at_the_median(optimizer):
    """Why identical halves may be asked for: rounding cannot exchange the middle two."""
    low, high = np.sort(GOLDEN[f"{optimizer}/A_S"])[len(T2) // 2 - 1 :][:2]
    assert (high - low) / high > 1e-3


# --- Twins: broken on purpose, the comparisons above fail ------------------------------


def narrow_pool(real):
    """The fused form without its zero vectors."""
    return lambda projected, b, tokens, offsets, height, wide: real(
        projected, b, tokens, offsets, height, False
    )


def last_tie_pool(projected, b, tokens, offsets, height, wide):
    """The fused form's maximum in plain loops, the last of equal windows instead of the first."""
    n_filters = len(b)
    value = np.full((len(offsets) - 1, n_filters), -np.inf, dtype=projected.dtype)
    where = np.zeros(value.shape, dtype=np.int32)
    for s in range(len(offsets) - 1):
        words = tokens[offsets[s] : offsets[s + 1]]
        for p in range(1 - height, len(words)):
            z = b.copy()
            for k in range(max(0, -p), min(height, len(words) - p)):
                z += projected[words[p + k], k * n_filters : (k + 1) * n_filters]
            where[s] = np.where(z >= value[s], p, where[s])
            value[s] = np.maximum(z, value[s])
    return functions.MaxPool(value, where)


def averaged(logits, own, *loss, real=saliency._at_logits):
    """A batch's mean loss where eq. (4) has each sentence's own."""
    gradient, doubt = real(logits, own, *loss)
    return gradient / len(own), doubt


def sabotage(patch, kind, form):
    """Break one thing."""
    if kind == "padding" and form == "fused":
        patch.setattr(functions, "pool", narrow_pool(functions.pool))
    elif kind == "padding":
        # Words one place too early: one zero vector before, three after.
        real = model_module.pad
        patch.setattr(model_module, "pad", lambda *a: np.roll(real(*a), -1, axis=1))
    elif kind == "windows of padding":
        # They take part in the maximum: relu and tanh of the bias alone.
        patch.setattr(F, "where", lambda condition, x, y: x)
    elif kind == "filter row" and form == "fused":
        real = functions.project

        def swapped(words, W, ids=None):
            return real(words, np.ascontiguousarray(W[:, :, [0, 2, 1]]), ids)

        patch.setattr(functions, "project", swapped)
    elif kind == "filter row":
        real = chainer.links.Convolution2D.forward

        def crossed(link, x):
            link.W.array = np.ascontiguousarray(link.W.array[:, :, [0, 2, 1]])
            y = real(link, x)
            link.W.array = np.ascontiguousarray(link.W.array[:, :, [0, 2, 1]])
            return y

        patch.setattr(chainer.links.Convolution2D, "forward", crossed)
    elif kind == "filter row in saliency":
        real = functions.mean_absolute_gradient
        patch.setattr(
            functions, "mean_absolute_gradient", lambda *a: real(*a[:3], a[3][:, :, ::-1], *a[4:])
        )
    elif kind == "filter row in gradients":
        real = functions._gradient_of_filters
        patch.setattr(functions, "_gradient_of_filters", lambda *a: real(*a)[:, :, ::-1])
    elif kind == "mean of losses":
        patch.setattr(saliency, "_at_logits", averaged)
    elif kind == "last tie" and form == "fused":
        patch.setattr(functions, "pool", last_tie_pool)
    elif kind == "last tie":
        real = F.max_pooling_2d
        patch.setattr(F, "max_pooling_2d", lambda h, size: real(F.flip(h, 2), size))
    else:
        raise ValueError(kind)


@pytest.mark.parametrize(
    "kind, prefix, form, hit",
    [
        ("padding", "init", "fused", "loss probability saliency"),
        ("padding", "init", "reference", "loss probability saliency"),
        ("filter row", "init", "fused", "loss probability saliency"),
        ("filter row", "init", "reference", "loss probability saliency"),
        ("filter row in saliency", "sigmoid", "fused", "saliency"),
        ("mean of losses", "init", "fused", "saliency"),
        ("mean of losses", "init", "reference", "saliency"),
        ("last tie", "ties", "fused", "saliency"),
        ("last tie", "ties", "reference", "saliency"),
    ],
)
def test_broken_looking_fails(kind, prefix, form, hit, monkeypatch):
    """Each leaves a network that runs; what it breaks is far off, the rest where it was."""
    sabotage(monkeypatch, kind, form)
    distances = looked(prefix, form)
    for name, distance in distances.items():
        assert distance > 1e-4 if name in hit.split() else distance < 1e-5, distances


@pytest.mark.parametrize("chunk", [1, 160])
def test_windows_of_padding_fail(chunk, monkeypatch):
    """Where they may win the maximum; a sentence alone has none, first weights no bias."""
    model, batch = network("init", "reference")
    model.set_weights(weights_of("SGD", -1))
    sabotage(monkeypatch, "windows of padding", "reference")
    made = word_saliency(model, batch, chunk).token_saliency
    found = far(made, GOLDEN["SGD/saliency"][-1])
    assert found < 1e-5 if chunk == 1 else found > 1e-3


@pytest.mark.parametrize("prefix", ["init", "ties"])
def test_the_last_tie_differs_in_ties_only(prefix, monkeypatch):
    """The twin's own loops are right where nothing is tied: only the tie rule is broken."""
    monkeypatch.setattr(functions, "pool", last_tie_pool)
    model, batch = network(prefix, "fused")
    found = far(word_saliency(model, batch).token_saliency, GOLDEN[f"{prefix}/saliency"])
    assert found < 1e-5 if prefix == "init" else found > 0.01


def test_broken_gradients_fail(monkeypatch):
    """A swapped filter row in the backward pass only."""
    sabotage(monkeypatch, "filter row in gradients", "fused")
    with pytest.raises(AssertionError, match="/conv/W"):
        check_gradients("fused")


@pytest.mark.parametrize(
    "optimizer, setting, value",
    [
        ("SGD", "lr", 0.101),
        ("MomentumSGD", "momentum", 0.89),
        ("Adam", "beta1", 0.89),
        ("Adam", "beta2", 0.99),
        ("AdaGrad", "eps", 1e-3),
        ("AdaDelta", "rho", 0.9),
        ("AdaDelta", "eps", 1.1e-6),
    ],
)
def test_another_default_fails(optimizer, setting, value, tmp_path, monkeypatch):
    """One setting of an optimiser a little off."""
    real = training.make_optimizer

    def detuned(model, config):
        made = real(model, config)
        assert getattr(made.hyperparam, setting) != value
        setattr(made.hyperparam, setting, value)
        return made

    monkeypatch.setattr(training, "make_optimizer", detuned)
    with pytest.raises(AssertionError):
        check_weights(first_phase("fused", optimizer, tmp_path), optimizer)


@pytest.mark.parametrize("form", ["fused", "reference"])
def test_another_order_fails(form, tmp_path, monkeypatch):
    """The batches of the first epoch, epoch after epoch."""
    monkeypatch.setattr(GoldenOrder, "permutation", lambda self, n: GOLDEN["order"][0])
    made = first_phase(form, "SGD", tmp_path)
    for check in (check_weights, check_batch_loss):
        with pytest.raises(AssertionError):
            check(made, "SGD")


@pytest.mark.parametrize("optimizer", SELECTED)
def test_another_variance_or_mean_fails(optimizer):
    """Sample variance; absolute differences; a sum over occurrences; unseen words as 0."""
    saliency, golden = GOLDEN[f"{optimizer}/saliency"], GOLDEN[f"{optimizer}/wac"]
    tokens, _ = CORPUS.take(T1)
    check_wac(word_instability(saliency, tokens, WORDS)[0], golden)
    sample, count = word_instability(saliency, tokens, WORDS, ddof=1)
    # A constant factor: it is told by the level only, ranks and halves are the same.
    check_rank(sample, golden)
    for broken in (sample, golden * count):
        with pytest.raises(AssertionError):
            check_wac(broken, golden)
    # The saliency itself in place of its differences.
    spread = np.var(saliency.astype(np.float64), axis=0)
    total = np.bincount(tokens, weights=spread, minlength=WORDS)
    with np.errstate(invalid="ignore"):
        broken = total / count
    with pytest.raises(AssertionError):
        check_rank(broken, golden)
    zero = sentence_instability(golden, *CORPUS.take(T2), unseen="zero")
    with pytest.raises(AssertionError):
        check_rank(zero, GOLDEN[f"{optimizer}/A_S"])
    ranked = GOLDEN[f"{optimizer}/T2_ranked"].copy()
    check_ranking(ranked, optimizer)
    ranked[[29, 30]] = ranked[[30, 29]]
    with pytest.raises(AssertionError):
        check_ranking(ranked, optimizer)


def test_nothing_golden_is_left_out():
    """Every array of the file is read by a test here, so none can be forgotten."""
    looked_at = [f"{b}/" for b in ("init", "tanh", "sigmoid", "ties")]
    known = {b + n for b in looked_at for n in (*WEIGHTS, "loss", "probability", "saliency")}
    known |= {f"{o}/{n}" for o in RATES for n in (*WEIGHTS, "saliency", "batch_loss")}
    known |= {f"{o}/{n}" for o in SELECTED for n in ("wac", "A_S", "T2_ranked", "T2h")}
    known |= {f"grad/{n}" for n in WEIGHTS} | {"wide/vectors", "line", "subset", "order"}
    sentences = {"tokens", "offsets", "labels", "vectors"}
    assert set(GOLDEN) == known | sentences | {f"ties/{n}" for n in sentences}
