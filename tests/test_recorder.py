"""The record of a training: its rows, its files, and that training does not notice it."""

import tempfile

import numpy as np
import pytest

from replicate import recorder as recording
from replicate.config import Config
from replicate.corpus import Corpus
from replicate.fast.compat import F, L, chainer, optimizers
from replicate.fast.compat import training as chainer_training
from replicate.instability import (
    logit_saliency,
    sentence_change,
    standardise,
    word_instability,
)
from replicate.io.files import load_npy
from replicate.model import TextCNN
from replicate.recorder import Recorder, saliency_measure
from replicate.saliency import Saliency, flat_batch, word_saliency
from replicate.training import EpochCheckpoints, train

RANDOM = np.random.RandomState(0)
WORDS = 40
VECTORS = np.concatenate([np.zeros((1, 8)), RANDOM.uniform(-1, 1, (WORDS, 8))]).astype(np.float32)
LENGTHS = np.array([1, 2, 3, 4, 7, 12, 1, 9, 5, 6, 2, 3])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = RANDOM.randint(0, WORDS, OFFSETS[-1]).astype(np.int32)
CORPUS = Corpus(
    np.array([f"w{i}" for i in range(WORDS)]), TOKENS, OFFSETS,
    np.tile([0, 1], 6).astype(np.int32), ("0", "1"), {},
)  # fmt: skip
T1, T3 = np.arange(8), np.arange(8, 12)
CONFIG = Config(n_filters=6, epochs=5, batch_size=3, learning_rate=0.05)


def looked(model):
    return word_saliency(model, flat_batch(model, *CORPUS.take(T1)))


def run_once(
    folder, recorded=True, stored=True, config=CONFIG, kind=Recorder, device="@numpy", **kwargs
):
    """Train on eight sentences; the model and the recorder."""
    model = TextCNN(VECTORS, 2, config, 0)
    model.to_device(device)
    recorder = None
    if recorded:
        recorder = kind.of_model(model, *CORPUS.take(T1), WORDS, folder, stored)
    train(model, CORPUS, T1, T3, seed=0, folder=folder, recorder=recorder, **kwargs)
    return model, recorder


# --- rows --------------------------------------------------------------------------


def test_weights_are_the_same_with_and_without_the_recorder(tmp_path, device):
    """Bit for bit, also with dropout."""
    for name, readings in (("plain", {}), ("dropout", {"dropout": 0.5})):
        config = CONFIG.replace(**readings)
        with_, _ = run_once(tmp_path / f"{name}-with", config=config, device=device)
        without, _ = run_once(
            tmp_path / f"{name}-without", recorded=False, config=config, device=device
        )
        for key, value in with_.weights(False).items():
            assert value.tobytes() == without.weights(False)[key].tobytes()


def test_a_recorder_that_touches_training_would_be_noticed(tmp_path):
    """Twin: one that moves a weight by its last bit gives other weights."""

    def clumsy_measure(model, *sentences):
        measure = saliency_measure(model, *sentences)

        def measured():
            weight = model.conv.W.array
            weight[...] = np.nextafter(weight, np.float32(1))
            return measure()

        return measured

    class Clumsy(Recorder):
        @classmethod
        def of_model(cls, *arguments):
            return Recorder.of_model(*arguments, measure=clumsy_measure)

    clumsy, _ = run_once(tmp_path / "a", kind=Clumsy)
    plain, _ = run_once(tmp_path / "b", recorded=False)
    assert clumsy.weights(False)["conv/W"].tobytes() != plain.weights(False)["conv/W"].tobytes()


def test_rows_are_what_was_seen(tmp_path, device):
    """Last rows are those of the trained model; changes are differences of rows."""
    model, _ = run_once(tmp_path, device=device)
    tokens, offsets = CORPUS.take(T1)
    rows = load_npy(tmp_path / "saliency.npy")
    doubt = load_npy(tmp_path / "doubt.npy")
    now = looked(model)
    assert rows.shape == (5, len(tokens)) and rows.dtype == np.float32
    assert rows[-1].tobytes() == now.token_saliency.tobytes()
    assert load_npy(tmp_path / "predicted.npy")[-1].tolist() == now.predicted.tolist()
    assert doubt[-1].tobytes() == now.uncertainty.tobytes()
    lengths = np.diff(offsets)
    logits = [logit_saliency(r, d, lengths) for r, d in zip(rows, doubt)]
    for k in range(4):
        for name, pair in (
            ("raw", rows[k : k + 2]),
            ("standardised", [standardise(r, offsets) for r in rows[k : k + 2]]),
            ("logit", logits[k : k + 2]),
        ):
            expected = sentence_change(*pair, offsets)
            kept = load_npy(tmp_path / f"movement_{name}.npy")
            assert kept.shape == (4, 8)
            np.testing.assert_allclose(kept[k], expected, rtol=1e-5, atol=1e-7)
        words = np.zeros(WORDS)
        np.add.at(words, tokens, np.abs(rows[k + 1].astype(float) - rows[k]))
        kept = load_npy(tmp_path / "movement_words.npy")
        assert kept.shape == (4, WORDS)
        np.testing.assert_allclose(kept[k], words, rtol=1e-5, atol=1e-9)
    assert not list(tmp_path.glob("*.part"))


def test_every_row_is_of_its_epoch(tmp_path, device):
    """Row k is the saliency of the weights after epoch k + 1, to the bit, and of no other."""
    model = TextCNN(VECTORS, 2, CONFIG, 0)
    model.to_device(device)
    recorder = Recorder.of_model(model, *CORPUS.take(T1), WORDS, tmp_path)
    checkpoints = EpochCheckpoints(model, 5)
    train(
        model, CORPUS, T1, T3, seed=0, folder=tmp_path, recorder=recorder, checkpoints=checkpoints
    )
    kept = {name: load_npy(tmp_path / f"{name}.npy") for name in ("saliency", "predicted", "doubt")}
    for k in range(5):
        model.set_weights({name: rows[k] for name, rows in checkpoints.arrays.items()})
        now = looked(model)
        for name, array in (
            ("saliency", now.token_saliency), ("predicted", now.predicted), ("doubt", now.uncertainty)
        ):  # fmt: skip
            assert kept[name][k].tobytes() == array.tobytes()
        same = [row.tobytes() == now.token_saliency.tobytes() for row in kept["saliency"]]
        assert same == [j == k for j in range(5)]


@pytest.mark.parametrize("over", ["extracted", "T1"])
def test_standardised_over_all(over, tmp_path):
    """Other readings than the sentence standardise over all words of an epoch."""
    run_once(tmp_path, config=CONFIG.replace(epochs=3, standardised_over=over))
    rows, (_, offsets) = load_npy(tmp_path / "saliency.npy"), CORPUS.take(T1)
    kept = load_npy(tmp_path / "movement_standardised.npy")
    for k in range(2):
        expected = sentence_change(standardise(rows[k]), standardise(rows[k + 1]), offsets)
        np.testing.assert_allclose(kept[k], expected, rtol=1e-5)
        within = sentence_change(*(standardise(r, offsets) for r in rows[k : k + 2]), offsets)
        assert not np.allclose(kept[k], within, rtol=1e-2)


def test_streaming_and_stored_agree(tmp_path):
    """wac of the stream against wac of saliency.npy, to 1e-6; no saliency.npy when streaming."""
    run_once(tmp_path / "a")
    _, streamed = run_once(tmp_path / "b", stored=False)
    tokens, _ = CORPUS.take(T1)
    wac, count = word_instability(load_npy(tmp_path / "a" / "saliency.npy"), tokens, WORDS)
    found, counted = streamed.word_instability()
    np.testing.assert_array_equal(count, counted)
    seen = count > 0
    np.testing.assert_allclose(found[seen], wac[seen], rtol=1e-6, atol=1e-18)
    assert not (tmp_path / "b" / "saliency.npy").exists()


def test_the_untrained_model_is_recorded_where_asked(tmp_path):
    """record_epoch_0 gives one more row, which is the untrained model's."""
    config = CONFIG.replace(record_epoch_0=True)
    run_once(tmp_path, config=config)
    rows = load_npy(tmp_path / "saliency.npy")
    assert len(rows) == 6 and len(load_npy(tmp_path / "movement_raw.npy")) == 5
    assert rows[0].tobytes() == looked(TextCNN(VECTORS, 2, config, 0)).token_saliency.tobytes()


# --- in memory, for any Trainer -----------------------------------------------------


class Reader(chainer.Chain):
    """An LSTM over the words of each sentence, and an output layer: nothing of this package."""

    def __init__(self):
        super().__init__()
        random = np.random.RandomState(0)
        with self.init_scope():
            self.embed = L.EmbedID(WORDS, 5, initialW=random.randn(WORDS, 5).astype(np.float32))
            self.lstm = L.NStepLSTM(1, 5, 4, 0.0)
            self.out = L.Linear(4, 2, initialW=random.randn(2, 4).astype(np.float32))
        for param in self.lstm.params():
            param.array[...] = random.randn(*param.shape)

    def logits(self, words):
        state, _, _ = self.lstm(None, None, words)
        return self.out(state[0])

    def forward(self, *examples):
        tokens, labels = zip(*examples)
        loss = F.softmax_cross_entropy(
            self.logits([self.embed(t) for t in tokens]), np.array(labels)
        )
        chainer.report({"loss": loss}, self)
        return loss


def measure_of(reader, sentences):
    """Eqs (4) and (6) for it, sentence by sentence."""

    def measured():
        with chainer.using_config("train", False):
            words = [chainer.Variable(reader.embed.W.array[tokens]) for tokens in sentences]
            logits = reader.logits(words)
            p = F.softmax(logits).array
            predicted = p.argmax(axis=1).astype(np.int32)
            losses = F.softmax_cross_entropy(logits, predicted, reduce="no")
            gradients = chainer.grad([F.sum(losses)], words)
        saliency = np.concatenate([np.abs(g.array).mean(axis=1) for g in gradients])
        return Saliency(saliency, predicted, 1 - p.max(axis=1))

    return measured


def read(snapshot=None, stop=4, recorded=True):
    """Train a reader for four epochs with plain Chainer, and record it in memory."""
    sentences = [TOKENS[a:b] for a, b in zip(OFFSETS[:-1], OFFSETS[1:])]
    reader = Reader()
    iterator = chainer.iterators.SerialIterator(
        list(zip(sentences, CORPUS.labels)), 4, shuffle=False
    )
    updater = chainer_training.updaters.StandardUpdater(
        iterator, optimizers.SGD(0.5).setup(reader), converter=lambda batch, device: tuple(batch)
    )
    recorder = Recorder(measure_of(reader, sentences), TOKENS, OFFSETS, WORDS, 4)
    with tempfile.TemporaryDirectory() as out:  # a Trainer makes a folder, also for nothing
        trainer = chainer_training.Trainer(updater, (stop, "epoch"), out)
        if recorded:
            trainer.extend(recorder)
        if snapshot is not None:
            trainer.serialize(chainer.serializers.NpzDeserializer(snapshot))
        trainer.run()
    state = chainer.serializers.DictionarySerializer()
    trainer.serialize(state)
    return reader, recorder, state.target


def test_any_trainer_can_be_recorded():
    """Rows of an LSTM in Chainer's own Trainer, in memory: wac of them, and no trace in training."""
    reader, recorder, _ = read()
    found = measure_of(reader, [TOKENS[a:b] for a, b in zip(OFFSETS[:-1], OFFSETS[1:])])()
    assert recorder.saliency.shape == (4, len(TOKENS)) and recorder.predicted.shape == (4, 12)
    assert recorder.saliency[-1].tolist() == found.token_saliency.tolist()
    assert recorder.predicted[-1].tolist() == found.predicted.tolist()
    assert recorder.uncertainty[-1].tolist() == found.uncertainty.tolist()
    assert len({row.tobytes() for row in recorder.saliency}) == 4
    wac, count = word_instability(recorder.saliency, TOKENS, WORDS)
    streamed, counted = recorder.word_instability()
    assert count.tolist() == counted.tolist()
    np.testing.assert_allclose(streamed, wac, rtol=1e-6, atol=1e-12)
    assert {name: rows.shape for name, rows in recorder.change.items()} == {
        "raw": (3, 12), "standardised": (3, 12), "logit": (3, 12), "words": (3, WORDS)
    }  # fmt: skip
    for k, rows in enumerate(recorder.change["raw"]):
        expected = sentence_change(*recorder.saliency[k : k + 2], OFFSETS)
        np.testing.assert_allclose(rows, expected, rtol=1e-6)
    plain, _, _ = read(recorded=False)
    for ours, theirs in zip(reader.params(), plain.params()):
        assert ours.array.tobytes() == theirs.array.tobytes()


def test_a_record_in_memory_is_in_the_snapshot():
    """Chainer's own: a trainer that goes on after two epochs has all four."""
    whole, half = read(), read(stop=2)
    assert len(half[1].saliency) == 2
    _, recorder, _ = read(half[2])
    assert recorder.saliency.tobytes() == whole[1].saliency.tobytes()
    assert recorder.word_instability()[0].tobytes() == whole[1].word_instability()[0].tobytes()
    for name, rows in whole[1].change.items():
        assert recorder.change[name].tobytes() == rows.tobytes()


def given(saliency, predicted=(0, 1), uncertainty=(0.1, 0.2)):
    return Saliency(np.array(saliency), np.array(predicted), np.array(uncertainty))


@pytest.mark.parametrize(
    "wrong",
    [given([0.5]), given([1.0, 2.0, 3.0, 4.0]), given(1.0), given([1.0, 2.0, 3.0], [1])],
    ids=["one", "too many", "a number", "one sentence"],
)
def test_a_measure_of_other_sentences_is_refused(wrong):
    """NumPy would spread one number over all."""
    tokens, offsets = np.array([0, 1, 0]), np.array([0, 2, 3])
    Recorder(lambda: given([1.0, 2.0, 3.0]), tokens, offsets, 2, 2).record()
    recorder = Recorder(lambda: wrong, tokens, offsets, 2, 2)
    with pytest.raises(ValueError, match="occurrences"):
        recorder.record()
    assert len(recorder.saliency) == 0


def test_a_row_too_many_is_refused():
    recorder = Recorder(
        lambda: given([1.0, 2.0, 3.0]), np.array([0, 1, 0]), np.array([0, 2, 3]), 2, 2
    )
    for _ in range(2):
        recorder.record()
    with pytest.raises(ValueError, match="more epochs"):
        recorder.record()


def test_a_record_without_saliency_has_the_sums():
    """stored=False: 8 bytes an occurrence, whatever the epochs."""
    recorder = Recorder(
        lambda: given([1.0, 2.0, 3.0]), np.array([0, 1, 0]), np.array([0, 2, 3]), 2, 3,
        stored=False,
    )  # fmt: skip
    for _ in range(3):
        recorder.record()
    assert "saliency" not in recorder.names and recorder.word_instability()[0].tolist() == [0, 0]


def sums(words):
    """Logits of sentences with D = C = 2."""
    return F.stack([F.sum(x, axis=0) for x in words])


TABLE = np.array([[1, 0], [0, 1], [1, 1], [2, 1], [0, 3]], dtype=np.float32)


@pytest.mark.parametrize(
    "tokens, offsets, epochs, message",
    [
        ([0, 1, 4], [0, 2], 3, "offsets go from 0 to 2, and there are 3 tokens"),
        ([0, 1, 4], [1, 2, 3], 3, "offsets go from 1 to 3"),
        ([0, 1, 4], [0, 2, 9], 3, "offsets go from 0 to 9"),
        (
            [0, 1, 4],
            [0, 2, 2, 3],
            3,
            "offsets.1:3. are 2, 2: a sentence has no words; leave it out",
        ),
        ([0, 1, 4], [0, 2, 1, 3], 3, "they fall"),
        ([0, 1, -1], [0, 2, 3], 3, "token -1 is none of 5 words; give numbers from 0 to 4"),
        ([0, 1, 5], [0, 2, 3], 3, "token 5 is none of 5 words"),
        ([0, 1, 4], [0, 2, 3], 0, "a record of 0 epochs has no rows"),
    ],
    ids=str,
)
def test_sentences_that_are_not_of_the_tokens_are_refused(tokens, offsets, epochs, message):
    """At once, and not at the second epoch, or never."""
    tokens, offsets = np.array(tokens), np.array(offsets)
    for make in (
        lambda: recording.SaliencyRecorder(sums, TABLE, tokens, offsets, epochs),
        lambda: Recorder(lambda: None, tokens, offsets, len(TABLE), epochs),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_a_callable_is_recorded_word_by_word():
    """Twin of what is refused: the rows are those of each sentence by itself."""
    tokens, offsets = [0, 1, 4], [0, 2, 3]
    recorder = recording.SaliencyRecorder(sums, TABLE, tokens, offsets, 3)
    for _ in range(3):
        recorder.record()
    alone = [recording.callable_saliency(sums, [TABLE[tokens[a:b]]]) for a, b in ((0, 2), (2, 3))]
    for row in recorder.saliency:
        np.testing.assert_allclose(
            row, np.concatenate([s.token_saliency for s in alone]), rtol=1e-6
        )
    assert recorder.word_instability()[0][[0, 1, 4]].tolist() == [0, 0, 0]


def test_a_network_of_ones_own_that_diverged_is_refused():
    """Its words would look like words that do not occur."""
    table = TABLE.copy()
    recorder = recording.SaliencyRecorder(
        lambda words: sums(words) ** 2, lambda: table, np.array([0, 1, 4]), np.array([0, 2, 3]), 3
    )
    with np.errstate(invalid="ignore"):
        for value in (3, 3, np.nan):
            table[4, 1] = value
            recorder.record()
        with pytest.raises(ValueError, match="saliency of 1 of 3 words, word 4 the first"):
            recorder.word_instability()


# --- stopped and taken up -----------------------------------------------------------


def recorded(folder, stopped_after=None, lose=()):
    """Four rows of four models; a new Recorder goes on after `stopped_after` of them."""
    model = TextCNN(VECTORS, 2, CONFIG.replace(epochs=4), 0)
    recorder = Recorder.of_model(model, *CORPUS.take(T1), WORDS, folder)
    for k in range(4):
        model.set_weights(TextCNN(VECTORS, 2, CONFIG, k).weights(embedding=False))
        if k == stopped_after:
            recorder.flush()
            state = chainer.serializers.DictionarySerializer()
            recorder.serialize(state)
            for name in lose:
                (folder / f"{name}.npy.part").unlink()
            recorder = Recorder.of_model(model, *CORPUS.take(T1), WORDS, folder)
            recorder.serialize(chainer.serializers.NpzDeserializer(state.target))
        recorder.record()
    recorder.finish()
    files = {name: (folder / f"{name}.npy").read_bytes() for name in recorder.names}
    return files, recorder.stream.result()[0].tobytes()


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_new_recorder_goes_on_where_the_last_one_stopped(stop, tmp_path):
    """Rows on the disk and the state of a snapshot: the same files and the same wac."""
    whole, wac = recorded(tmp_path / "a")
    again, same = recorded(tmp_path / "b", stop)
    assert again == whole and same == wac
    # Twin: rows that were not taken up are zero, and only they.
    lost, _ = recorded(tmp_path / "c", stop, lose=["saliency"])
    assert [name for name in whole if lost[name] != whole[name]] == ["saliency"]
    rows = load_npy(tmp_path / "c" / "saliency.npy")
    assert not rows[:stop].any() and rows[stop:].any(axis=1).all()


class Stop(Exception):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize("last", [1, 3, 4])
def test_a_stopped_record_goes_on(tmp_path, last, device):
    """Stopped after an epoch and taken up from the snapshot: the same bytes."""
    run_once(tmp_path / "a", device=device)

    def on_progress(epoch, accuracy):
        if epoch > last:  # the snapshot of `last` is there
            raise Stop

    options = {"fingerprint": "x", "snapshot_seconds": 0, "device": device}
    with pytest.raises(Stop):
        run_once(tmp_path / "b", on_progress=on_progress, **options)
    assert (tmp_path / "b" / "snapshot.npz").exists()
    assert not (tmp_path / "b" / "saliency.npy").exists()
    epochs = []
    _, recorder = run_once(
        tmp_path / "b", on_progress=lambda epoch, accuracy: epochs.append(epoch), **options
    )
    # Taken up, not trained again, which would give the same bytes too.
    assert epochs == list(range(last + 1, 6)) and recorder.stream.epochs == 5
    for name in (*recording.RECORDED, "saliency"):
        a, b = ((tmp_path / x / f"{name}.npy").read_bytes() for x in "ab")
        assert a == b, name


def test_a_torn_record_is_written_anew(tmp_path):
    """A .part of another shape or cut short is not taken for rows."""
    run_once(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "saliency.npy.part").write_bytes(b"\x93NUMPY torn")
    np.save(tmp_path / "b" / "doubt.npy", np.zeros((2, 2)))
    (tmp_path / "b" / "doubt.npy").rename(tmp_path / "b" / "doubt.npy.part")
    run_once(tmp_path / "b")
    for name in ("saliency", "doubt"):
        a, b = ((tmp_path / x / f"{name}.npy").read_bytes() for x in "ab")
        assert a == b


def test_a_full_disk_is_reported_before_training(tmp_path, monkeypatch, refused):
    """Space for all rows is asked for at once."""

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with refused("No space left"):
        run_once(tmp_path)
