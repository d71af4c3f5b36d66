"""Iterator, optimisers, snapshots: one training run, repeatable and stoppable anywhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from replicate import training
from replicate.config import Config, generator
from replicate.corpus import Corpus
from replicate.fast.compat import chainer, optimizers
from replicate.fast.optimizers import FUSED
from replicate.io.files import load_npz, save_npz
from replicate.model import TextCNN
from replicate.saliency import classify, flat_batch
from replicate.training import (
    EpochCheckpoints,
    EpochIterator,
    Evaluator,
    make_optimizer,
    train,
)

RANDOM = np.random.RandomState(0)
WORDS, N = 30, 23
LENGTHS = RANDOM.randint(1, 9, N)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
CORPUS = Corpus(
    np.array([f"w{i}" for i in range(WORDS)]),
    RANDOM.randint(0, WORDS, OFFSETS[-1]).astype(np.int32), OFFSETS,
    RANDOM.randint(0, 2, N).astype(np.int32), ("0", "1"), {},
)  # fmt: skip
VECTORS = np.concatenate([np.zeros((1, 8)), RANDOM.uniform(-1, 1, (WORDS, 8))]).astype(np.float32)
TRAINED, HELD = np.arange(2, 19), np.arange(19, 23)
BASE = Config(n_filters=5, epochs=4, batch_size=4, learning_rate=0.02)


#: Of float32 weights after four epochs, between forms and between devices.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def model_of(config=BASE, form="fused", seed=0, device="@numpy"):
    model = TextCNN(VECTORS, 2, config, seed, form)
    model.to_device(device)
    return model


def trained(folder, config=BASE, form="fused", seed=0, device="@numpy", **kwargs):
    model = model_of(config, form, seed, device)
    rows, optimizer = train(model, CORPUS, TRAINED, HELD, seed=seed, folder=folder, **kwargs)
    return model, rows, optimizer


def same(first, second):
    a, b = first.weights(False), second.weights(False)
    return all(a[n].tobytes() == b[n].tobytes() for n in a)


# --- batches -------------------------------------------------------------------


def test_an_epoch_has_every_sentence_once():
    """Batches of B, the last smaller; none straddles two epochs; the order changes."""
    iterator = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    orders = []
    for epoch in range(3):
        sizes, labels, tokens = [], [], []
        while True:
            batch = next(iterator)
            sizes.append(len(batch))
            labels += batch.labels.tolist()
            tokens += (batch.ids[batch.tokens] - 1).tolist()
            if iterator.is_new_epoch:
                break
        assert sizes == [4, 4, 4, 4, 1] and iterator.epoch == epoch + 1
        assert sorted(tokens) == sorted(CORPUS.take(TRAINED)[0].tolist())
        assert sorted(labels) == sorted(CORPUS.labels[TRAINED].tolist())
        orders.append(tokens)
    assert orders[0] != orders[1] != orders[2]


def test_order_is_of_seed_and_epoch_only():
    """An iterator set to epoch 2 goes as one that went there; another seed does not."""
    first, second, other = (EpochIterator(CORPUS, TRAINED, 4, seed=s) for s in (1, 1, 2))
    for _ in range(10):
        next(first)
    second.epoch = 2
    np.random.seed(0)
    ours, theirs = next(first), next(second)
    assert (
        ours.tokens.tolist() == theirs.tokens.tolist() and ours.ids.tolist() == theirs.ids.tolist()
    )
    other.epoch = 2
    assert next(other).ids.tolist() != ours.ids.tolist()


@pytest.mark.parametrize("done", [0, 1, 3, 4, 5, 7])
def test_an_iterator_goes_on_from_its_state(done):
    """In the middle of an epoch and at its end."""
    first = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    for _ in range(done):
        next(first)
    target = {}
    first.serialize(chainer.serializers.DictionarySerializer(target))
    second = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    second.serialize(chainer.serializers.NpzDeserializer(target))
    for _ in range(6):
        assert next(first).ids.tolist() == next(second).ids.tolist()
        assert (first.epoch, first.position, first.epoch_detail) == (
            second.epoch, second.position, second.epoch_detail,
        )  # fmt: skip


@pytest.mark.parametrize("ahead", [1, 4, 5, 8, 1000])
def test_how_far_batches_are_packed_ahead_changes_none(ahead, monkeypatch):
    """The same batches, where one was packed at a time; also where a state is loaded half-way."""
    wanted = []
    iterator = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    for epoch in range(2):
        order = generator("order", 1, epoch).permutation(len(TRAINED))
        wanted += [iterator._batch(TRAINED[order[i : i + 4]]) for i in range(0, len(TRAINED), 4)]
    monkeypatch.setattr(training, "_AHEAD", ahead)
    iterator = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    found = [next(iterator) for _ in wanted]
    assert [batch.ids.tolist() for batch in found] == [batch.ids.tolist() for batch in wanted]
    assert [batch.tokens.tolist() for batch in found] == [batch.tokens.tolist() for batch in wanted]
    # One that has packed its first epoch, and is then set to the middle of the second.
    state = {"epoch": np.array(1), "position": np.array(8)}
    iterator = EpochIterator(CORPUS, TRAINED, 4, seed=1)
    next(iterator)
    iterator.serialize(chainer.serializers.NpzDeserializer(state))
    assert next(iterator).ids.tolist() == wanted[len(wanted) // 2 + 2].ids.tolist()


def test_packing_is_what_unique_does():
    """Words, tokens, offsets and labels of chosen sentences, restated with numpy.unique."""
    iterator = EpochIterator(CORPUS, np.arange(N), 4, seed=0)
    for chosen in ([3, 1, 1, 20], [0], list(range(N))):
        batch = iterator._batch(np.array(chosen))
        tokens, offsets = CORPUS.take(np.array(chosen))
        assert batch.offsets.tolist() == offsets.tolist()
        assert (batch.ids[batch.tokens] - 1).tolist() == tokens.tolist()
        assert sorted(batch.ids - 1) == np.unique(tokens).tolist()
        assert batch.labels.tolist() == CORPUS.labels[chosen].tolist()


# --- optimisers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, rate",
    [("Adam", "alpha"), ("SGD", "lr"), ("MomentumSGD", "lr"), ("AdaGrad", "lr"), ("AdaDelta", None)],
)  # fmt: skip
def test_optimisers_of_the_reading(name, rate, tmp_path, device):
    """Chainer's optimiser of that name and rate, or its fused form, and it trains."""
    config = BASE.replace(optimizer=name, learning_rate=0.125)
    optimizer = make_optimizer(model_of(config), config)
    assert type(optimizer) is FUSED[name] and isinstance(optimizer, getattr(optimizers, name))
    assert rate is None or getattr(optimizer, rate) == 0.125
    model, rows, _ = trained(tmp_path, config, device=device)
    assert not same(model, model_of(config)) and np.isfinite([row[1:] for row in rows]).all()


def test_max_norm_leaves_short_rows_alone():
    """A row within the bound keeps its bits; a longer one gets its length, and its direction."""
    from types import SimpleNamespace

    rows = np.array([[0.3, 0.4], [3.0, 4.0], [0.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    param = SimpleNamespace(array=rows.copy())
    training.MaxNorm(1.0)(None, param)
    assert param.array[0].tobytes() == rows[0].tobytes() and not param.array[2].any()
    np.testing.assert_allclose(param.array[[1, 3]], [[0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_drops_its_share(ratio, tmp_path, monkeypatch):
    """A mask of zeros, `ratio` of them, and of 1 / (1 - ratio); another each batch, epoch and seed."""
    seen = {}
    real = TextCNN.set_gradients

    def keep(model, batch, mask=None, *arguments):
        seen.setdefault(seed, []).append(mask.copy())
        return real(model, batch, mask, *arguments)

    monkeypatch.setattr(TextCNN, "set_gradients", keep)
    config = BASE.replace(dropout=ratio, n_filters=200)
    for seed in (0, 1):
        trained(tmp_path / str(seed), config, seed=seed)
    masks = np.concatenate(seen[0])
    assert len(seen[0]) == 4 * 5 and masks.shape == (4 * len(TRAINED), 200)
    np.testing.assert_allclose(np.unique(masks), [0, 1 / (1 - ratio)], rtol=1e-6)
    assert abs((masks == 0).mean() - ratio) < 0.02 and abs(masks.mean() - 1) < 0.05
    epochs = masks.reshape(4, len(TRAINED), 200)
    assert (epochs[0] != epochs[1]).any() and (seen[0][0] != seen[1][0]).any()
    assert (seen[0][0] != seen[0][1]).any()


def test_max_norm_bounds_rows(tmp_path, device):
    """No row of fc/W is longer than the bound, and without it one is."""
    config = BASE.replace(learning_rate=0.5, max_norm=0.7)
    norms = [
        np.linalg.norm(
            trained(tmp_path / str(i), c, device=device)[0].weights(False)["fc/W"], axis=1
        ).max()
        for i, c in enumerate((config, config.replace(max_norm=0.0)))
    ]
    assert norms[0] <= 0.7 * (1 + 1e-6) < norms[1]


def test_weight_decay_shrinks(tmp_path, device):
    """L2 decay leaves smaller weights."""
    plain, _, _ = trained(tmp_path / "a", device=device)
    decayed, _, _ = trained(tmp_path / "b", BASE.replace(weight_decay=0.5), device=device)
    assert abs(decayed.conv.W.array).sum() < abs(plain.conv.W.array).sum()


# --- a run ---------------------------------------------------------------------


# Chainer's own gradient of word vectors adds atomically on a device: not the reference form.
@pytest.mark.parametrize(
    "form, readings",
    [
        ("fused", {}),
        ("reference", {}),
        ("fused", {"vectors_mode": "finetuned", "filter_height": (2, 3)}),
        ("fused", {"vectors_mode": "multichannel", "filter_height": (2, 3)}),
    ],
)
def test_same_seed_same_bytes(form, readings, tmp_path, device):
    """Dropout and order included; the global generator is neither read nor moved."""
    config = BASE.replace(dropout=0.5, **readings)
    np.random.seed(1)
    before = np.random.get_state()[1].tobytes()
    first, rows, _ = trained(tmp_path / "a", config, form, device=device)
    assert np.random.get_state()[1].tobytes() == before
    np.random.seed(2)
    second, again, _ = trained(tmp_path / "b", config, form, device=device)
    other, _, _ = trained(tmp_path / "c", config, form, seed=1, device=device)
    assert same(first, second) and rows == again and not same(first, other)


def alike(first, second):
    """Weights agree as sums in another order let them."""
    others = second.weights(False)
    for name, value in first.weights(False).items():
        np.testing.assert_allclose(value, others[name], **CLOSE, err_msg=name)


@pytest.mark.parametrize("mode", ["static", "finetuned"])
def test_both_forms_and_all_devices_train_alike(mode, tmp_path, device):
    """Weights after four epochs agree to 1e-4, dropout included: its mask is not the form's."""
    config = BASE.replace(dropout=0.3, vectors_mode=mode)
    expected, _, _ = trained(tmp_path / "cpu", config)
    for form in ("fused", "reference"):
        alike(trained(tmp_path / form, config, form, device=device)[0], expected)
    # Twin: weights of a run without dropout are others.
    without, _, _ = trained(tmp_path / "none", BASE.replace(vectors_mode=mode), device=device)
    with pytest.raises(AssertionError, match="conv/W"):
        alike(without, expected)


@pytest.mark.gpu
def test_fine_tuned_on_a_gpu_repeats_to_rounding(tmp_path, cupy):
    """There tokens of one word are added up atomically, in any order: close, not the same bits."""
    config = BASE.replace(vectors_mode="finetuned")
    first, second = (trained(tmp_path / x, config, device="@cupy:0")[0] for x in "ab")
    alike(first, second)


def test_rows_are_accuracy_and_loss_on_the_held_out(tmp_path, device):
    """A row an epoch; the last is what the trained model gives; training loss falls."""
    model, rows, _ = trained(tmp_path, BASE.replace(epochs=20), device=device)
    assert [row[0] for row in rows] == list(range(1, 21))
    found = classify(model, flat_batch(model, *CORPUS.take(HELD), CORPUS.labels[HELD]))
    assert rows[-1][1] == (found.predicted == CORPUS.labels[HELD]).mean()
    assert rows[-1][2] == pytest.approx(found.loss.mean(), rel=1e-6)
    assert rows[-1][3] < 0.7 * rows[0][3]
    assert Evaluator(model, CORPUS, HELD).evaluate() == rows[-1][1:3]


def test_epoch_0_is_the_untrained_model(tmp_path, device):
    """record_epoch_0 gives its accuracy and loss; its training loss is no number."""
    _, rows, _ = trained(tmp_path, BASE.replace(record_epoch_0=True), device=device)
    assert rows[0][:3] == (0, *Evaluator(model_of(device=device), CORPUS, HELD).evaluate())
    assert np.isnan(rows[0][3]) and len(rows) == 5


def test_weights_of_every_epoch(tmp_path, device):
    """The last row is the model; rows differ."""
    model = model_of(device=device)
    checkpoints = EpochCheckpoints(model, 4)
    train(model, CORPUS, TRAINED, HELD, seed=0, folder=tmp_path, checkpoints=checkpoints)
    for name, value in model.weights(False).items():
        assert checkpoints.arrays[name].shape == (4, *value.shape)
        assert checkpoints.arrays[name][-1].tobytes() == value.tobytes()
        assert (checkpoints.arrays[name][0] != checkpoints.arrays[name][1]).any()


# --- stopped and taken up ----------------------------------------------------------


class Stop(Exception):
    """Stands for a kill."""


def stopped(folder, last, config=BASE, fingerprint="this", **kwargs):
    def on_progress(epoch, accuracy):
        if epoch > last:  # the snapshot of `last` is there
            raise Stop

    with pytest.raises(Stop):
        trained(
            folder,
            config,
            on_progress=on_progress,
            snapshot_seconds=0,
            fingerprint=fingerprint,
            **kwargs,
        )


@pytest.mark.parametrize("optimizer", ["Adam", "MomentumSGD", "AdaDelta"])
@pytest.mark.parametrize("last", [1, 2, 3])
def test_stopped_after_any_epoch(tmp_path, last, optimizer, device):
    """The same command again gives the same bytes and rows, and leaves no snapshot."""
    config = BASE.replace(optimizer=optimizer, dropout=0.5, learning_rate=0.02)
    whole, rows, _ = trained(tmp_path / "a", config, device=device)
    stopped(tmp_path / "b", last, config, device=device)
    epochs = []
    model, again, _ = trained(
        tmp_path / "b", config, fingerprint="this", device=device,
        on_progress=lambda epoch, accuracy: epochs.append(epoch),
    )  # fmt: skip
    assert epochs == list(range(last + 1, 5))  # it went on, and did not begin again
    assert same(whole, model) and rows == again
    assert list((tmp_path / "b").iterdir()) == []


def marked(arrays):
    """Arrays of a snapshot with the mark that belongs to them."""
    arrays = {n: v for n, v in arrays.items() if n != "fingerprint"}
    return {"fingerprint": np.array(training._digest("this", arrays)), **arrays}


def damage_by(kind, place, planted):
    data = place.read_bytes()
    if kind == "cut":
        place.write_bytes(data[: len(data) // 2])
    elif kind == "flipped":
        place.write_bytes(data[:3000] + bytes([data[3000] ^ 255]) + data[3001:])
    elif kind == "empty":
        place.write_bytes(b"")
    elif kind == "another run's":
        # Whole and sound, but for the run that it is of.
        other = place.parent.with_name("other")
        stopped(other, 2, seed=1, fingerprint="that")
        shutil.copy(other / "snapshot.npz", place)
    elif kind == "another array":
        arrays = load_npz(place, finite=False)
        name = next(n for n in arrays if n.endswith("conv/W"))
        save_npz(place, {**arrays, name: arrays[name] * 2})
    elif kind == "another shape":
        arrays = load_npz(place, finite=False)
        name = next(n for n in arrays if n.endswith("conv/W"))
        save_npz(place, marked({**arrays, name: arrays[name][:2]}))
    else:
        np.savez(place, fingerprint=np.array("this"), planted=np.array(planted, dtype=object))


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "flipped",
        "empty",
        "another run's",
        "another array",
        "another shape",
        "pickle",
    ],
)
def test_a_damaged_snapshot_is_as_good_as_none(tmp_path, kind, planted):
    """Training begins again and gives the same bytes; nothing is unpickled."""
    whole, rows, _ = trained(tmp_path / "a")
    stopped(tmp_path / "b", 2)
    damage_by(kind, tmp_path / "b" / "snapshot.npz", planted)
    model, again, _ = trained(tmp_path / "b", fingerprint="this")
    assert same(whole, model) and rows == again
    assert not Path(planted.folder).exists()


def test_a_snapshot_taken_up_twice_would_be_noticed(tmp_path, monkeypatch):
    """Twin: a state that forgets the optimiser's moments gives other weights."""
    whole, _, _ = trained(tmp_path / "a")
    stopped(tmp_path / "b", 2)
    arrays = load_npz(tmp_path / "b" / "snapshot.npz", finite=False)
    forgot = {n: np.zeros_like(v) if n.endswith(("/m", "/v")) else v for n, v in arrays.items()}
    assert any(n.endswith("/m") for n in arrays)
    save_npz(tmp_path / "b" / "snapshot.npz", marked(forgot))
    model, _, _ = trained(tmp_path / "b", fingerprint="this")
    assert not same(whole, model)


# --- whole epochs --------------------------------------------------------------


def by_trainer(folder, whole, form="fused", extension=None):
    """Log and weights of a Trainer whose updater makes one step, or an epoch, at a time."""
    model = model_of(form=form)
    iterator = EpochIterator(CORPUS, TRAINED, 4, 0)
    updater = training.Updater(iterator, make_optimizer(model, BASE), model, 0)
    updater.whole_epochs = whole
    trainer = chainer.training.Trainer(updater, (3, "epoch"), out=str(folder))
    log = chainer.training.extensions.LogReport(trigger=(1, "epoch"), log_name=None)
    trainer.extend(log)
    if extension is not None:
        trainer.extend(extension, name="seen", trigger=(1, "iteration"))
    trainer.run()
    entries = [{n: v for n, v in entry.items() if n != "elapsed_time"} for entry in log.log]
    return entries, model


@pytest.mark.parametrize("form", ["fused", "reference"])
def test_an_epoch_at_a_time_is_the_same_training(form, tmp_path):
    """Losses, iterations and weights, bit for bit, as one step at a time has them."""
    (steps, one), (epochs, other) = (by_trainer(tmp_path, whole, form) for whole in (False, True))
    assert steps == epochs and same(one, other)
    assert [entry["iteration"] for entry in steps] == [5, 10, 15]


def test_a_trainer_of_ones_own_sees_every_step(tmp_path):
    """An extension at every iteration is called at every one, unless whole epochs are asked for."""
    calls = {}
    for whole in (False, True):
        seen = calls[whole] = []
        by_trainer(tmp_path, whole, extension=lambda t, seen=seen: seen.append(t.updater.iteration))
    assert calls == {False: list(range(1, 16)), True: [5, 10, 15]}


def test_the_mean_of_an_epoch_is_of_all_steps(tmp_path, monkeypatch):
    """Twin: the last step's loss alone would be another log."""
    steps, _ = by_trainer(tmp_path, False)
    real = training.Updater._step

    def last_only(self):
        loss = real(self)
        return loss if self.is_new_epoch else loss * 0

    monkeypatch.setattr(training.Updater, "_step", last_only)
    assert by_trainer(tmp_path, True)[0] != steps
