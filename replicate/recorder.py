"""The record of a training (section 4.3.1): after every epoch, what every word occurrence weighs.

A record is a row an epoch: the saliency of every occurrence, R and 1 - p_R of
every sentence, and how much saliency changed since the epoch before (Fig. 5).
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .fast.compat import training
from .instability import StreamingInstability, check_finite, check_offsets, saliency_change
from .io.errors import InputError
from .io.files import HEADER
from .run import RECORDED
from .saliency import Saliency, callable_saliency, flat_batch, word_saliency

__all__ = ["Recorder", "SaliencyRecorder", "saliency_measure"]


def saliency_measure(model: Any, tokens: np.ndarray, offsets: np.ndarray) -> Callable[[], Saliency]:
    """What a :class:`Recorder` calls after every epoch, for the sentences of a network.

    Args:
        model (TextCNN): looked at as it is when the function is called.
        tokens, offsets (numpy.ndarray): (T,) and (N + 1,), the sentences.

    Returns:
        callable: without arguments; gives :func:`~replicate.saliency.word_saliency`.
    """
    batch = flat_batch(model, tokens, offsets)
    return lambda: word_saliency(model, batch)


class Recorder(training.Extension):
    """Trainer extension: after every epoch, the saliency of every word occurrence (section 4.3.1).

    It records any Trainer: what it knows of the network is `measure`.  Without
    a folder the record is in memory; with one, in files that get their names
    when training is done.  Recording changes nothing in the training.

    Args:
        measure: callable without arguments that gives the :class:`Saliency` of
            all sentences, as the network is at the time.
        tokens (numpy.ndarray): (T,) int32, the word of each occurrence.
        offsets (numpy.ndarray): (N + 1,), where sentences begin.
        n_words (int): V.
        epochs (int): E, how many will be trained.
        folder: where the files go; None keeps the record in memory.
        stored (bool): keep saliency itself; the streaming form of eq. (9) does not
            need it.
        untrained (bool): record the untrained network too, as the first row.
        standardised_over (str): see :func:`replicate.instability.saliency_change`.

    Attributes:
        stream (StreamingInstability): the sums that eq. (9) needs;
            ``stream.result(ddof)`` gives wac and counts.

    Raises:
        ValueError: if offsets do not go from 0 to T, a sentence has no words, a token is not from
            0 to V - 1, or there is no epoch.

    Example:
        >>> measure = iter([Saliency(np.array([0.5, 0.25]), np.array([1]), np.array([0.5])),
        ...                 Saliency(np.array([0.25, 0.25]), np.array([1]), np.array([0.5]))])
        >>> recorder = Recorder(lambda: next(measure), np.array([0, 1]), np.array([0, 2]), 2, 2)
        >>> recorder.record()  # a Trainer does this after every epoch
        >>> recorder.record()
        >>> recorder.saliency.tolist(), recorder.change["raw"].tolist()
        ([[0.5, 0.25], [0.25, 0.25]], [[0.25]])
    """

    name = "Recorder"
    trigger = (1, "epoch")
    # Before LogReport and the snapshot, which say that the epoch is recorded.
    priority = training.PRIORITY_WRITER

    def __init__(
        self,
        measure: Callable[[], Saliency],
        tokens: np.ndarray,
        offsets: np.ndarray,
        n_words: int,
        epochs: int,
        folder: str | os.PathLike | None = None,
        *,
        stored: bool = True,
        untrained: bool = False,
        standardised_over: str = "sentence",
    ) -> None:
        self.measure = measure
        self.tokens, self.offsets = np.asarray(tokens), np.asarray(offsets)
        check_offsets(self.offsets, len(self.tokens))
        if epochs < 1:
            raise ValueError(f"a record of {epochs} epochs has no rows; give 1 or more")
        self.untrained = untrained
        self.standardised_over = standardised_over
        self.stream = StreamingInstability(self.tokens, n_words)
        n, rows = len(self.offsets) - 1, epochs + untrained
        columns = {"saliency": len(self.tokens), "movement_words": n_words}
        dtypes = {**RECORDED, "saliency": np.float32} if stored else RECORDED
        self._rows = _Rows(
            {
                name: (dtype, (rows - name.startswith("movement"), columns.get(name, n)))
                for name, dtype in dtypes.items()
            },
            None if folder is None else Path(folder),
        )
        self._uncertainty = np.zeros(n, dtype=np.float32)  # of the last row

    @classmethod
    def of_model(
        cls,
        model: Any,
        tokens: np.ndarray,
        offsets: np.ndarray,
        n_words: int,
        folder: str | os.PathLike | None = None,
        stored: bool = True,
        measure: Callable[..., Callable[[], Saliency]] = saliency_measure,
    ) -> "Recorder":
        """A recorder of a :class:`~replicate.model.TextCNN`, as its readings say.

        Args:
            model (TextCNN): what is recorded.
            tokens, offsets, n_words, folder, stored: as above.
            measure: makes the measure of a model's sentences.
        """
        config = model.config
        return cls(
            measure(model, tokens, offsets), tokens, offsets, n_words, config.epochs, folder,
            stored=stored, untrained=config.record_epoch_0,
            standardised_over=config.standardised_over,
        )  # fmt: skip

    def initialize(self, trainer: Any) -> None:
        """Record the untrained network, where that is asked for."""
        if self.untrained and trainer.updater.iteration == 0:
            self.record()

    def __call__(self, trainer: Any) -> None:
        self.record()

    def record(self) -> None:
        """Take the next row.

        Raises:
            ValueError: for a row more than there are epochs, or a measure of other sentences.
        """
        found, stream = self.measure(), self.stream
        row, values = stream.epochs, found.token_saliency
        if row == len(self._rows["predicted"]):
            raise ValueError(f"all {row} rows are recorded; give the recorder more epochs")
        if values.shape != self.tokens.shape or found.predicted.shape != self._uncertainty.shape:
            raise ValueError(
                f"measure() gave {values.shape} occurrences in {found.predicted.shape} sentences, "
                f"not {self.tokens.shape} in {self._uncertainty.shape}"
            )
        self._rows.put(row, predicted=found.predicted, doubt=found.uncertainty, saliency=values)
        if row > 0:
            changes = saliency_change(
                stream.last, values, (self._uncertainty, found.uncertainty), self.tokens, self.offsets,
                stream.n_words, self.standardised_over,
            )  # fmt: skip
            self._rows.put(row - 1, **{f"movement_{name}": a for name, a in changes.items()})
        stream.add(values)
        self._uncertainty[:] = found.uncertainty

    @property
    def names(self) -> list:
        """Names of the files, without ``.npy``."""
        return list(self._rows.arrays)

    @property
    def saliency(self) -> np.ndarray:
        """(E, T) float32, the epochs recorded so far."""
        return self._rows["saliency"][: self.stream.epochs]

    @property
    def predicted(self) -> np.ndarray:
        """(E, N) int32, R of every sentence."""
        return self._rows["predicted"][: self.stream.epochs]

    @property
    def uncertainty(self) -> np.ndarray:
        """(E, N) float32, 1 - p_R of every sentence."""
        return self._rows["doubt"][: self.stream.epochs]

    @property
    def change(self) -> dict:
        """(E - 1, N) or (E - 1, V) float32: see :func:`replicate.instability.saliency_change`."""
        rows, prefix = max(0, self.stream.epochs - 1), "movement_"
        return {
            name.removeprefix(prefix): self._rows[name][:rows]
            for name in self.names
            if name.startswith(prefix)
        }

    def word_instability(self, ddof: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """wac and count of every word (eq. 9); see :func:`replicate.instability.word_instability`."""
        return self.stream.result(ddof)

    def holds(self, epochs: int, checks: np.ndarray) -> bool:
        """Whether the files have the rows that a snapshot counts on.

        Args:
            epochs (int): rows recorded by then.
            checks (numpy.ndarray): their checksums.
        """
        return self._rows.hold(epochs, checks)

    def flush(self) -> None:
        """Put the rows on the disk, so that a snapshot may count on them."""
        self._rows.flush()

    def finish(self) -> None:
        """Give every file its final name."""
        self._rows.finish()

    def serialize(self, serializer: Any) -> None:
        """The streaming state; and the rows, where they are in no file."""
        self.stream.serialize(serializer["stream"])
        self._uncertainty = serializer("last_doubt", self._uncertainty)
        self._rows.serialize(serializer)


class SaliencyRecorder(Recorder):
    """Trainer extension that records any Chainer classifier after every epoch (section 4.3.1).

    Args:
        forward: from a list of word vectors, ``chainer.Variable`` (L_b, D), to
            logits (B, C): a ``Chain`` of one's own, or any function.
        vectors: (V, D) float32 array, or a callable that gives it, for vectors
            that are trained too.
        tokens (numpy.ndarray): (T,) int32, the word of each occurrence.
        offsets (numpy.ndarray): (N + 1,) where sentences begin.
        epochs (int): E, how many will be trained.
        options: as of :class:`Recorder`.

    Raises:
        ValueError: as :class:`Recorder`.

    Example:
        >>> def forward(sentences):  # D = C = 2
        ...     return chainer.functions.stack([chainer.functions.sum(x, axis=0) for x in sentences])
        >>> vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
        >>> recorder = SaliencyRecorder(forward, vectors, np.array([0, 1, 1]), np.array([0, 2, 3]), 2)
        >>> recorder.record()  # trainer.extend(recorder) does this after every epoch
        >>> recorder.saliency.shape, recorder.predicted.tolist()  # of epoch 1
        ((1, 3), [[0, 1]])
    """

    def __init__(
        self,
        forward: Callable[[Any], Any],
        vectors: Any,
        tokens: np.ndarray,
        offsets: np.ndarray,
        epochs: int,
        **options: Any,
    ) -> None:
        table = vectors if callable(vectors) else lambda: vectors
        cuts = np.asarray(offsets)[1:-1]

        def measure() -> Saliency:
            return callable_saliency(forward, np.split(table()[tokens], cuts))

        super().__init__(measure, tokens, offsets, len(table()), epochs, **options)

    def word_instability(self, ddof: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """wac and count of every word (eq. 9); see :func:`replicate.instability.word_instability`.

        Raises:
            ValueError: as there, also for a network that diverged.
        """
        found = super().word_instability(ddof)
        check_finite(*found)
        return found


class _Rows:
    """Arrays of one row an epoch, in memory or in files beside their final names."""

    def __init__(self, shapes, folder):
        self.folder = folder
        self.arrays = {name: self._open(name, *shapes[name]) for name in shapes}
        #: CRC-32 of the rows so far, one an array.
        self.checks = np.zeros(len(shapes), dtype=np.int64)

    def __getitem__(self, name):
        return self.arrays[name]

    def _part(self, name):
        return self.folder / f"{name}.npy.part"

    def _open(self, name, dtype, shape):
        """The rows so far, or zeros; mapped, so the kernel may write them out at will."""
        if self.folder is None:
            return np.zeros(shape, dtype)
        place = self._part(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with HEADER:
                    array = np.lib.format.open_memmap(place, mode="r+")
                if array.shape == shape and array.dtype == dtype:
                    return array
            except (OSError, ValueError):
                pass  # none yet, or damaged: all rows are written again
            # Allocated now, so that a full disk is an error here, not a signal later.
            array = np.lib.format.open_memmap(place, mode="w+", dtype=dtype, shape=shape)
            if hasattr(os, "posix_fallocate"):
                with open(place, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, place.stat().st_size)
            return array
        except OSError as error:
            raise InputError(
                f"{place}: cannot be written ({error.strerror}); free space or choose another --out"
            ) from None

    def put(self, row: int, **values: Any) -> None:
        for i, (name, array) in enumerate(self.arrays.items()):
            if name in values:
                array[row] = values[name]
                self.checks[i] = zlib.crc32(array[row], int(self.checks[i]))

    def hold(self, epochs: int, checks: Any) -> bool:
        for array, name, check in zip(self.arrays.values(), self.arrays, checks):
            rows = max(0, epochs - name.startswith("movement"))
            if zlib.crc32(array[:rows]) != check:
                return False
        return True

    def flush(self) -> None:
        for array in self.arrays.values() if self.folder else ():
            array.flush()

    def finish(self) -> None:
        self.flush()
        for name in self.arrays if self.folder else ():
            os.replace(self._part(name), self.folder / f"{name}.npy")

    def serialize(self, serializer: Any) -> None:
        self.checks = serializer("checks", self.checks)
        for name, array in self.arrays.items() if self.folder is None else ():
            self.arrays[name] = serializer(name, array)
