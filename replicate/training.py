"""One training run in Chainer's idiom: iterator, optimizer, Trainer, extensions, snapshots (4.3)."""

import contextlib
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from .config import Config, generator
from .corpus import Corpus
from .fast.compat import chainer, cuda, extensions, optimizers, training
from .fast.optimizers import FUSED
from .fast.product import fetch_to_read, fetch_to_write
from .fast.rows import RowDecay, set_row_rule
from .io.errors import InputError
from .io.files import load_npz, save_npz
from .model import Batch, TextCNN
from .recorder import Recorder, saliency_measure
from .saliency import classify, flat_batch

__all__ = [
    "PARTS",
    "EpochCheckpoints",
    "EpochIterator",
    "Evaluator",
    "MaxNorm",
    "Parts",
    "Progress",
    "Snapshot",
    "Updater",
    "make_optimizer",
    "train",
]


class EpochIterator(chainer.dataset.Iterator):
    """Batches of an epoch, in an order drawn from the seed and the epoch.

    The last batch of an epoch is smaller where B does not divide n; none
    straddles two epochs.  An epoch's order depends on nothing that came
    before, so the state is two numbers.

    Args:
        corpus (Corpus): where sentences come from.
        sentences (numpy.ndarray): (n,) indices, the training set.
        batch_size (int): B.
        seed (int): names the order; arms of the same size share it.
        xp: numpy or cupy, where batches go.

    Attributes:
        last (numpy.ndarray): sentences of the last batch.
    """

    def __init__(
        self, corpus: Corpus, sentences: np.ndarray, batch_size: int, seed: int, xp: Any = np
    ) -> None:
        self.corpus = corpus
        self.sentences = np.asarray(sentences)
        self.batch_size = batch_size
        self.seed = seed
        self.xp = xp
        self.last = self.sentences[:0]
        self.epoch = 0
        self.position = 0
        self.is_new_epoch = False
        self._order: np.ndarray | None = None
        self._ahead: deque[tuple[np.ndarray, Batch]] = deque()
        # When a word was last packed, and as which of the distinct words: without sorting.
        self._mark = np.zeros((len(corpus.words), 2), dtype=np.int32)
        self._packed = 0

    @property
    def epoch_detail(self) -> float:
        """Epochs done, with the part of the current one."""
        return self.epoch + self.position / len(self.sentences)

    @property
    def previous_epoch_detail(self) -> float:
        """:attr:`epoch_detail` before the last batch; triggers read it."""
        return self._previous if hasattr(self, "_previous") else -1.0

    def __next__(self) -> Batch:
        if not self._ahead:
            self._pack_ahead()
        self._previous = self.epoch_detail
        chosen, batch = self._ahead.popleft()
        self.position += len(chosen)
        self.is_new_epoch = self.position >= len(self.sentences)
        if self.is_new_epoch:
            self.epoch += 1
            self.position = 0
            self._order = None
        self.last = chosen
        return batch

    next = __next__

    def _pack_ahead(self):
        """The next batches of the epoch, of which the first takes the longest: caches are cold."""
        if self._order is None:
            order = generator("order", self.seed, self.epoch).permutation(len(self.sentences))
            self._order = self.sentences[order]
        end = min(self.position + max(_AHEAD, self.batch_size), len(self._order))
        for begin in range(self.position, end, self.batch_size):
            chosen = self._order[begin : begin + self.batch_size]
            self._ahead.append((chosen, self._batch(chosen)))

    def _batch(self, chosen):
        corpus = self.corpus
        self._packed += 1
        parts = _pack(
            corpus.tokens, corpus.offsets, corpus.labels, chosen, self._mark, self._packed
        )  # fmt: skip
        return Batch.on(self.xp, *parts)

    def serialize(self, serializer: Any) -> None:
        self.epoch = serializer("epoch", self.epoch)
        self.position = serializer("position", self.position)
        self._order = None
        self._ahead.clear()


#: Sentences that are packed one after another.
_AHEAD = 8192


@numba.njit(cache=True, nogil=True)
def _pack(tokens, offsets, labels, chosen, mark, packed):
    """Flat tokens, offsets, labels and distinct words (+ 1) of chosen sentences."""
    n = len(chosen)
    out_offsets = np.empty(n + 1, dtype=np.int64)
    out_offsets[0] = 0
    out_labels = np.empty(n, dtype=np.int32)
    for i in range(n):
        s = chosen[i]
        out_offsets[i + 1] = out_offsets[i] + offsets[s + 1] - offsets[s]
        out_labels[i] = labels[s]
    out_tokens = np.empty(out_offsets[n], dtype=np.int32)
    ids = np.empty(out_offsets[n], dtype=np.int32)
    distinct = 0
    t = 0
    for i in range(n):
        # Sentences and words are anywhere in memory: the next are on their way meanwhile.
        if i + 8 < n:
            for j in range(offsets[chosen[i + 8]], offsets[chosen[i + 8] + 1], 16):
                fetch_to_read(tokens, j)
        if i + 2 < n:
            for j in range(offsets[chosen[i + 2]], offsets[chosen[i + 2] + 1]):
                fetch_to_write(mark, 2 * np.int64(tokens[j]))
        for j in range(offsets[chosen[i]], offsets[chosen[i] + 1]):
            word = tokens[j]
            if mark[word, 0] != packed:
                mark[word, 0] = packed
                mark[word, 1] = distinct
                ids[distinct] = word + 1
                distinct += 1
            out_tokens[t] = mark[word, 1]
            t += 1
    return ids[:distinct].copy(), out_tokens, out_offsets, out_labels


class Updater(training.updaters.StandardUpdater):
    """One step of the optimiser on one batch, dropout drawn from its own generator.

    Attributes:
        whole_epochs (bool): an update is all steps to the end of the epoch, so that a
            Trainer looks after its extensions once an epoch.  They must have triggers of
            whole epochs; the loss that is reported is the mean that LogReport would form.
    """

    whole_epochs = False

    def __init__(self, iterator: EpochIterator, optimizer: Any, model: TextCNN, seed: int) -> None:
        super().__init__(iterator, optimizer, device=model.device)
        self.model = model
        self.seed = seed
        self._dropout: tuple[int, np.random.RandomState] | None = None

    def update(self) -> None:
        """One step, or the steps of an epoch."""
        if not self.whole_epochs:
            super().update()
            return
        total, steps = 0.0, 0
        while not steps or not self.is_new_epoch:
            total = total + self._step()
            steps += 1
            self.iteration += 1
        chainer.report({"main/loss": total / steps})

    def update_core(self) -> None:
        chainer.report({"main/loss": self._step()})

    def _step(self):
        iterator = self._iterators["main"]
        epoch = iterator.epoch
        batch = iterator.next()
        loss = self.set_gradients(batch, self._mask(len(iterator.last), epoch))
        if not self.model.embed.static and len(batch) < len(iterator.last):
            # Other ranks have the rest of the batch.
            words = np.unique(iterator.corpus.take(iterator.last)[0]) + 1
            self.model.embed.W.ids = self.model.xp.asarray(words)
        self._optimizers["main"].update()
        return loss

    def set_gradients(self, batch: Batch, mask: Any) -> Any:
        """Leave the gradients of a batch's mean loss in the parameters, and return the loss."""
        return self.model.set_gradients(batch, mask)

    def _mask(self, n, epoch):
        """Dropout's mask (B, F), or None."""
        ratio = self.model.config.dropout
        if ratio == 0:
            return None
        if self._dropout is None or self._dropout[0] != epoch:
            self._dropout = (epoch, generator("dropout", self.seed, epoch))
        drawn = self._dropout[1].random_sample((n, self.model.config.n_features))
        mask = (drawn >= ratio).astype(np.float32) / np.float32(1 - ratio)
        return self.model.xp.asarray(mask)


def make_optimizer(model: TextCNN, config: Config) -> Any:
    """The optimiser of a reading, with weight decay and max-norm where they are on.

    Fine-tuned word vectors of the fused form are updated by rows, see
    :mod:`replicate.fast.rows`, and under ``absent_words = stay`` in every form.

    Returns:
        chainer.Optimizer: set up for `model`.
    """
    fused = model.implementation == "fused"
    kind = FUSED[config.optimizer] if fused else getattr(optimizers, config.optimizer)
    # Zeiler's AdaDelta has no rate.
    optimizer = kind() if config.optimizer == "AdaDelta" else kind(config.learning_rate)
    optimizer.setup(model)
    stay = config.absent_words == "stay"
    if not model.embed.static and (stay or fused):
        set_row_rule(optimizer, model.embed.W, stay)
    if config.weight_decay:
        optimizer.add_hook(RowDecay(config.weight_decay))
    if config.max_norm:
        model.fc.W.update_rule.add_hook(MaxNorm(config.max_norm))
    return optimizer


class MaxNorm:
    """Hook of an update rule: rows longer than a bound are scaled back to it (Kim 2014)."""

    name = "MaxNorm"
    timing = "post"

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def __call__(self, rule: Any, param: Any) -> None:
        weight = param.array
        xp = cuda.get_array_module(weight)
        norm = xp.sqrt((weight * weight).sum(axis=1, keepdims=True))
        weight *= xp.minimum(1.0, self.bound / xp.maximum(norm, 1e-12)).astype(weight.dtype)


class Evaluator(training.Extension):
    """Trainer extension: accuracy and mean loss on T3 after every epoch (section 4.5)."""

    name = "Evaluator"
    trigger = (1, "epoch")
    priority = training.PRIORITY_WRITER

    def __init__(self, model: TextCNN, corpus: Corpus, sentences: np.ndarray) -> None:
        self.model = model
        self.labels = corpus.labels[sentences]
        tokens, offsets = corpus.take(sentences)
        self.batch = flat_batch(model, tokens, offsets, self.labels)

    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        """(m,) bool, whether each sentence is classified rightly, and (m,) losses."""
        found = classify(self.model, self.batch)
        return found.predicted == self.labels, found.loss

    def sums(self) -> tuple[float, float, float]:
        """Number of sentences, number of right answers, and the sum of losses."""
        right, loss = self.answers()
        return float(len(right)), float(right.sum()), float(loss.sum(dtype=np.float64))

    def evaluate(self) -> tuple[float, float]:
        """Accuracy and mean loss."""
        n, right, loss = self.sums()
        return right / n, loss / n

    def __call__(self, trainer: Any) -> None:
        accuracy, loss = self.evaluate()
        chainer.report({"T3/accuracy": accuracy, "T3/loss": loss})


class Snapshot(training.Extension):
    """Trainer extension: the whole state at an epoch's end, at most every few seconds.

    Args:
        path: the file, replaced as a whole.
        fingerprint (str): of what is trained; a state of another run is not used.
        recorder (Recorder): its files are flushed first; may be None.
        seconds (float): least time between two snapshots.
    """

    name = "Snapshot"
    trigger = (1, "epoch")
    priority = -100

    def __init__(
        self,
        path: str | os.PathLike,
        fingerprint: str,
        recorder: Recorder | None = None,
        seconds: float = 20.0,
    ) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.recorder = recorder
        self.seconds = seconds
        self._last = time.monotonic()

    def __call__(self, trainer: Any) -> None:
        if time.monotonic() - self._last < self.seconds:
            return
        if self.recorder is not None:
            self.recorder.flush()
        serializer = chainer.serializers.DictionarySerializer()
        trainer.serialize(serializer)
        # Chainer writes None as an object, which only pickle could store.
        arrays = {
            name: value for name, value in serializer.target.items() if value.dtype.kind != "O"
        }
        mark = _digest(self.fingerprint, arrays)
        save_npz(self.path, {"fingerprint": np.array(mark), **arrays})
        self._last = time.monotonic()

    def resume(self, trainer: Any) -> bool:
        """Resume from a state of this very run.

        A damaged file and another run's are ignored: training is repeated and
        gives the same bytes.

        Returns:
            bool: whether there was one.
        """
        arrays = self._read(trainer)
        if arrays is None:
            return False
        # Not strict: what was None at the time has no array.
        trainer.serialize(chainer.serializers.NpzDeserializer(arrays, strict=False))
        return True

    def _read(self, trainer):
        """Arrays of the snapshot, or None where it is not this run's."""
        try:
            arrays = load_npz(self.path)
        except InputError:
            return None
        mark = str(arrays.pop("fingerprint", ""))
        if mark != _digest(self.fingerprint, arrays) or not _fits(trainer, arrays):
            return None
        if self.recorder is not None:
            state = f"extensions/{Recorder.name}/"
            recorded = (int(arrays[state + "stream/epochs"]), arrays[state + "checks"])
            if not self.recorder.holds(*recorded):
                return None
        return arrays


def _digest(fingerprint, arrays):
    """Of a run and of a whole state: no array of it can be another's."""
    digest = hashlib.blake2b(fingerprint.encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(f"|{name} {arrays[name].dtype.str} {arrays[name].shape}|".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _fits(trainer, arrays):
    """Whether arrays are a state of this trainer, before any of it is changed."""
    serializer = chainer.serializers.DictionarySerializer()
    trainer.updater.serialize(serializer["updater"])
    for name in (Recorder.name, EpochCheckpoints.name):
        with contextlib.suppress(ValueError):  # not among this trainer's
            trainer.get_extension(name).serialize(serializer["extensions"][name])
    now = serializer.target
    for name, value in now.items():
        if value.dtype.kind == "O":
            continue  # None: no state yet
        found = arrays.get(name)
        if found is None or found.dtype.kind != value.dtype.kind or found.shape != value.shape:
            return False
    for name in arrays.keys() - now.keys():
        if not name.startswith("updater/"):
            continue  # triggers and the log: single values
        # The optimiser's states of a parameter are made at its first update.
        owner = name.rpartition("/")[0].replace("/optimizer:", "/model:")
        if owner not in now or arrays[name].shape not in ((), now[owner].shape):
            return False
    return True


class EpochCheckpoints(training.Extension):
    """Trainer extension: the trained weights of every epoch, to explain a text afterwards.

    Attributes:
        arrays (dict): Chainer's name -> (E, ...) float32; static word vectors
            are not among them.
    """

    name = "EpochCheckpoints"
    trigger = (1, "epoch")
    priority = training.PRIORITY_WRITER

    def __init__(self, model: TextCNN, epochs: int) -> None:
        self.model = model
        self.arrays = {
            name: np.zeros((epochs, *value.shape), dtype=value.dtype)
            for name, value in model.weights(embedding=False).items()
        }

    def __call__(self, trainer: Any) -> None:
        for name, value in self.model.weights(embedding=False).items():
            self.arrays[name][trainer.updater.epoch - 1] = value

    def serialize(self, serializer: Any) -> None:
        for name, value in self.arrays.items():
            self.arrays[name] = serializer(name, value)


class Progress(training.Extension):
    """Trainer extension: calls a function with the epoch and the accuracy."""

    trigger = (1, "epoch")
    # Before the snapshot, after which the epoch would be reported twice.
    priority = -50

    def __init__(self, on_progress: Callable[[int, float], None]) -> None:
        self.on_progress = on_progress

    def __call__(self, trainer: Any) -> None:
        self.on_progress(trainer.updater.epoch, trainer.observation.get("T3/accuracy"))


@dataclass(frozen=True)
class Parts:
    """What a training run is built of; each may be replaced by another of its kind.

    Attributes:
        iterator, updater, evaluator, snapshot: constructors, as :class:`EpochIterator`,
            :class:`Updater`, :class:`Evaluator`, :class:`Snapshot`.
        measure: what is recorded, as :func:`replicate.recorder.saliency_measure`.
    """

    iterator: Callable[..., EpochIterator] = EpochIterator
    updater: Callable[..., Updater] = Updater
    evaluator: Callable[..., Evaluator] = Evaluator
    snapshot: Callable[..., Snapshot] = Snapshot
    measure: Callable[..., Callable] = saliency_measure


#: The parts of a training run in one process.
PARTS = Parts()


def train(
    model: TextCNN,
    corpus: Corpus,
    sentences: np.ndarray,
    evaluation: np.ndarray,
    *,
    seed: int,
    folder: str | os.PathLike,
    optimizer: Any = None,
    recorder: Recorder | None = None,
    checkpoints: EpochCheckpoints | None = None,
    fingerprint: str = "",
    on_progress: Callable[[int, float], None] | None = None,
    snapshot_seconds: float | None = None,
    parts: Parts = PARTS,
) -> tuple[list, Any]:
    """Train a model on some sentences and evaluate it after every epoch.

    A snapshot in `folder` is used when it is there.  Weights are the same
    bits with and without a recorder, and however often training was stopped.

    Args:
        model (TextCNN): trained in place.
        corpus (Corpus): the corpus.
        sentences (numpy.ndarray): (n,) training sentences.
        evaluation (numpy.ndarray): (m,) sentences of T3.
        seed (int): names order and dropout.
        folder: where the snapshot goes while training.
        optimizer: carried over from before; None makes a fresh one.
        recorder (Recorder): may be None.
        checkpoints (EpochCheckpoints): may be None.
        fingerprint (str): of the run, see :class:`Snapshot`.
        on_progress: callable ``(epoch, accuracy)``; may be None.
        snapshot_seconds (float): least time between two snapshots; None takes
            that of the environment's ``REPLICATE_SNAPSHOT_SECONDS``, or 20.
        parts (Parts): what the run is built of.

    Returns:
        tuple: rows ``(epoch, accuracy, loss, training loss)`` and the
        optimiser.  Under ``record_epoch_0`` the first row is of epoch 0,
        whose training loss is NaN.
    """
    config = model.config
    folder = Path(folder)
    if snapshot_seconds is None:
        snapshot_seconds = float(os.environ.get("REPLICATE_SNAPSHOT_SECONDS", 20))
    iterator = parts.iterator(corpus, sentences, config.batch_size, seed, model.xp)
    if optimizer is None:
        optimizer = make_optimizer(model, config)
    updater = parts.updater(iterator, optimizer, model, seed)
    updater.whole_epochs = True  # all extensions below act at the end of an epoch
    trainer = training.Trainer(updater, (config.epochs, "epoch"), out=str(folder))
    evaluator = parts.evaluator(model, corpus, evaluation)
    log = extensions.LogReport(trigger=(1, "epoch"), log_name=None)
    snapshot = parts.snapshot(folder / "snapshot.npz", fingerprint, recorder, snapshot_seconds)
    progress = None if on_progress is None else Progress(on_progress)
    for extension in (evaluator, recorder, checkpoints, log, snapshot, progress):
        if extension is not None:
            trainer.extend(extension)
    rows = []
    if config.record_epoch_0:
        rows.append((0, *evaluator.evaluate(), float("nan")))
    snapshot.resume(trainer)
    # Types were checked when the functions were tested; per call it costs as
    # much as some of them.
    with chainer.using_config("type_check", False), chainer.using_config("train", True):
        trainer.run(show_loop_exception_msg=False)
    if recorder is not None:
        recorder.finish()
    with contextlib.suppress(OSError):
        (folder / "snapshot.npz").unlink()
    rows += [
        (entry["epoch"], entry["T3/accuracy"], entry["T3/loss"], entry["main/loss"])
        for entry in log.log
    ]
    return rows, optimizer
