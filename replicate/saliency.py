"""How strongly each word occurrence drives the output (section 3, eqs 4-6), and its record.

The loss of a sentence is taken between its label probabilities and the
model's own label R.  Losses of a batch are summed, never averaged: a mean
would make eq. (4) depend on the batch.  Looking changes nothing: no parameter,
no gradient, no random generator.
"""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .fast import convolution as functions
from .fast.compat import F, chainer, cuda, training
from .instability import StreamingInstability, change, standardise
from .io.errors import InputError
from .model import Batch, TextCNN, padded_places
from .parallel.ranks import ALONE
from .run import RECORDED

__all__ = [
    "Predictions",
    "Recorder",
    "Saliency",
    "classify",
    "flat_batch",
    "logit_saliency",
    "token_saliency",
    "word_saliency",
]

# Sentences whose output layer is one matrix product; fixed, so that bits do
# not depend on how a corpus is cut into chunks.
_HEAD_BLOCK = 4096
# Words whose movement is computed at a time, in float64.
_MOVED = 1 << 20
# Words of a chunk in the reference form, padding included.
_CHUNK = 20_000
# Rows of the projection's matrix products, fixed for the same reason.
_PROJECTION_BLOCK = 2048


@dataclass(frozen=True)
class Saliency:
    """What one look at n sentences gives.

    Attributes:
        token_saliency: (t,) float32, wa of eq. (6), one number a word occurrence.
        predicted: (n,) int32, R, the label of the highest probability.
        uncertainty: (n,) float32, 1 - p_R without cancellation.  With two labels
            eq. (4) is uncertainty times the gradient of the logit difference.
    """

    token_saliency: np.ndarray
    predicted: np.ndarray
    uncertainty: np.ndarray


@dataclass(frozen=True)
class Predictions:
    """Labels and losses of n sentences.

    Attributes:
        predicted: (n,) int32.
        loss (numpy.ndarray): (n,) float32, against the true labels.
        probabilities: (n, C) float32.
        features: (n, F) float32, what the output layer sees.
    """

    predicted: np.ndarray
    loss: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray


def flat_batch(
    model: TextCNN, tokens: np.ndarray, offsets: np.ndarray, labels: np.ndarray | None = None
) -> Batch:
    """Sentences of a corpus as one :class:`Batch` on the model's device.

    Args:
        tokens: (t,) int32 into the vocabulary (not the embedding's rows); -1 is
            a word that it lacks, which has padding's zeros.
        offsets: (n + 1,) int64.
        labels: (n,) int32; zeros when not given.
    """
    ids = np.asarray(tokens) + np.int32(1)
    # Not by np.unique: sorting takes seconds and five times the memory at 10^7 tokens.
    present = np.zeros(int(ids.max()) + 1 if len(ids) else 0, dtype=bool)
    present[ids] = True
    distinct = np.flatnonzero(present)
    place = np.cumsum(present, dtype=np.int32) - np.int32(1)
    if labels is None:
        labels = np.zeros(len(offsets) - 1, dtype=np.int32)
    parts = (
        distinct.astype(np.int32),
        place[ids],
        np.asarray(offsets, dtype=np.int64),
        np.asarray(labels, dtype=np.int32),
    )
    return Batch.on(model.xp, *parts)


def word_saliency(model: TextCNN, batch: Batch, chunk: int | None = None) -> Saliency:
    """Saliency of every word occurrence of a batch (eqs 4-6).

    .. math::
        wa_i = \\frac{1}{D} \\sum_j |\\partial L(f(S), R) / \\partial w_{ij}|

    Dropout is off; parameters, their gradients and random states stay as they
    are.  The result does not depend on `chunk`, bit for bit in the fused form.

    Args:
        model (TextCNN): on any device.
        batch (Batch): of :func:`flat_batch`; its labels are not looked at.
        chunk (int): sentences at once; None chooses.

    Returns:
        Saliency: NumPy arrays.

    Source:
        Section 3.2; Li et al. (2016) as the paper's [6].

    Example:
        >>> vectors = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
        >>> model = TextCNN(vectors, 2, Config(n_filters=2), seed=0)
        >>> batch = flat_batch(model, np.array([0, 1, 2]), np.array([0, 3]))
        >>> word_saliency(model, batch).token_saliency.shape
        (3,)
    """
    with chainer.using_config("train", False), chainer.using_config("type_check", False):
        if model.implementation == "reference":
            return _reference_saliency(model, batch, chunk)
        return _fused_saliency(model, batch, chunk)


def token_saliency(
    forward: Callable[[Any], Any], vectors: Any, loss: Callable[[Any, Any], Any] | None = None
) -> Any:
    """Saliency of every word occurrence for any Chainer callable (eqs 4 and 6).

    .. math::
        wa_i = \\frac{1}{D} \\sum_j |\\partial L(f(S), R) / \\partial w_{ij}|

    R is the label of the highest output, and the losses of sentences are summed,
    never averaged.  Nothing is changed: no parameter, no gradient, no random
    state; dropout is off.

    Args:
        forward: from word vectors to logits (B, C), a ``chainer.Variable``: a
            ``Chain`` of one's own, or any function of Chainer functions.
        vectors: (B, L, D) array, or a list of B arrays (L_b, D), as ``forward``
            takes them; NumPy or CuPy, float32 or float64.
        loss: from logits and labels R to the (B,) losses; None is cross entropy.

    Returns:
        (B, L) array, or a list of B arrays (L_b,); dtype of `vectors`.

    Source:
        Section 3.2.

    Example:
        >>> def forward(x):
        ...     return chainer.functions.sum(x, axis=1)  # D = C = 2
        >>> token_saliency(forward, np.zeros((1, 3, 2), dtype=np.float32)).tolist()
        [[0.5, 0.5, 0.5]]
    """
    several = isinstance(vectors, (list, tuple))
    inputs = [chainer.Variable(array) for array in (vectors if several else [vectors])]
    with chainer.using_config("train", False), chainer.force_backprop_mode():
        logits = forward(inputs if several else inputs[0])
        own = logits.array.argmax(axis=1).astype(np.int32)
        losses = (
            F.softmax_cross_entropy(logits, own, reduce="no") if loss is None else loss(logits, own)
        )
        gradients = chainer.grad([F.sum(losses)], inputs)
    xp = cuda.get_array_module(logits.array)
    means = [xp.abs(gradient.array).mean(axis=-1) for gradient in gradients]
    return means if several else means[0]


def classify(model: TextCNN, batch: Batch, chunk: int | None = None) -> Predictions:
    """Labels, losses and probabilities of a batch, dropout off.

    Returns:
        Predictions: NumPy arrays.
    """
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        if model.implementation == "reference":
            parts = []
            for start, stop in _chunks(batch, chunk):
                part = _part(batch, start, stop)
                parts.append(model.features(part).array)
            features = model.xp.concatenate(parts)
        else:
            features, _, _ = _fused_features(model, batch, chunk)
        logits = _head_blocks(model, features, lambda z, rows: z.array)
        loss = model.loss(logits, batch.labels, reduce="no").array
        probabilities = F.softmax(logits).array
        predicted = logits.argmax(axis=1).astype(np.int32)
    found = (predicted, loss, probabilities, features)
    return Predictions(*(cuda.to_cpu(a) for a in found))


def _chunks(batch, chunk):
    """Bounds of runs of sentences, by number or by about `_CHUNK` padded words."""
    n = len(batch)
    if chunk is None:
        longest = int(np.diff(batch.host_offsets).max())
        chunk = max(1, _CHUNK // (longest + 4))
    return [(start, min(start + chunk, n)) for start in range(0, n, chunk)]


def _part(batch, start, stop):
    """Sentences start ... stop of a batch, distinct words unchanged."""
    if stop - start == len(batch):
        return batch
    host_offsets = batch.host_offsets[start : stop + 1]
    first, last = int(host_offsets[0]), int(host_offsets[-1])
    return Batch(
        batch.ids,
        batch.tokens[first:last],
        batch.offsets[start : stop + 1] - first,
        batch.labels[start:stop],
        host_offsets - first,
    )


def _own_label_loss(model, logits):
    """Sum of the sentences' losses against their own labels, and those labels."""
    own = logits.array.argmax(axis=1).astype(np.int32)
    loss = model.loss(logits, own, reduce="no")
    return F.sum(loss), own


def _uncertainty(logits, own):
    """1 - p_R as a sum of the other labels' probabilities."""
    xp = cuda.get_array_module(logits)
    shifted = xp.exp(logits - logits.max(axis=1, keepdims=True))
    others = shifted.copy()
    others[xp.arange(len(own)), own] = 0
    return others.sum(axis=1) / shifted.sum(axis=1)


def _head_blocks(model, features, use):
    """Apply the output layer in blocks of fixed shape, and `use` to each result.

    The last block is filled up with zeros: the rounding of a matrix product
    depends on its shape, and a sentence's result must not depend on how many
    others there are.
    """
    xp = cuda.get_array_module(features)
    block = min(_HEAD_BLOCK, max(64, 1 << (len(features) - 1).bit_length()))
    made = []
    for start in range(0, len(features), block):
        rows = features[start : start + block]
        filled = rows
        if len(rows) < block:
            filled = xp.zeros((block, features.shape[1]), dtype=features.dtype)
            filled[: len(rows)] = rows
        filled = chainer.Variable(filled)
        made.append(use(model.head(filled), filled)[: len(rows)])
    return xp.concatenate(made)


def _fused_features(model, batch, chunk):
    """Features, maxima and places of all sentences.

    Every distinct word of the corpus is projected once, in blocks of one
    shape; what follows is separate for each sentence.
    """
    xp = model.xp
    weight, bias = model.conv.W.array, model.conv.b.array
    vectors = model.embed.array
    n = len(batch.ids)
    block = min(_PROJECTION_BLOCK, max(64, 1 << (n - 1).bit_length()))
    projected = xp.empty((n, weight.shape[0] * weight.shape[2]), dtype=weight.dtype)
    for start in range(0, n, block):
        rows = functions.gather_rows(vectors, batch.ids[start : start + block])
        if len(rows) == block:
            functions.project(rows, weight, projected[start : start + block])
        else:
            filled = xp.zeros((block, vectors.shape[1]), dtype=vectors.dtype)
            filled[: len(rows)] = rows
            projected[start:] = functions.project(filled, weight)[: len(rows)]
    config = model.config
    wide = config.padding == "wide"
    parts = []
    for start, stop in _chunks(batch, chunk or len(batch)):
        part = _part(batch, start, stop)
        parts.append(
            functions.pool(projected, bias, part.tokens, part.offsets, config.filter_height, wide)
        )
    pooled = parts[0]
    if len(parts) > 1:
        value = xp.concatenate([part.value for part in parts])
        pooled = functions.MaxPool(value, xp.concatenate([part.argmax for part in parts]))
    return functions.activate(pooled.value, config.activation), pooled, weight


def _fused_saliency(model, batch, chunk):
    features, pooled, weight = _fused_features(model, batch, chunk)
    xp = model.xp
    own = xp.empty(len(batch), dtype=np.int32)
    uncertainty = xp.empty(len(batch), dtype=np.float32)
    place = [0]

    def gradient(logits, filled):
        loss, label = _own_label_loss(model, logits)
        start = place[0]
        stop = min(start + len(label), len(batch))
        own[start:stop] = label[: stop - start]
        uncertainty[start:stop] = _uncertainty(logits.array, label)[: stop - start]
        place[0] = stop
        return chainer.grad([loss], [filled])[0].array

    with chainer.force_backprop_mode():
        at_features = _head_blocks(model, features, gradient)
    gz = functions.gradient_before_activation(at_features, features, model.config.activation)
    parts = []
    for start, stop in _chunks(batch, chunk or len(batch)):
        part = _part(batch, start, stop)
        parts.append(
            functions.mean_absolute_gradient(
                gz[start:stop],
                pooled.argmax[start:stop],
                part.offsets,
                weight,
                len(part.tokens),
            )
        )
    out = xp.concatenate(parts) if len(parts) > 1 else parts[0]
    out = out.astype(np.float32, copy=False)
    return Saliency(*(cuda.to_cpu(a) for a in (out, own, uncertainty)))


def _reference_saliency(model, batch, chunk):
    """Eqs 4-6 in plain Chainer: ``chainer.grad`` at the embedded, padded input."""
    xp = model.xp
    parts = []
    for start, stop in _chunks(batch, chunk):
        part = _part(batch, start, stop)
        ids = model.padded(part)
        embedded = model.embed(ids)
        x = chainer.Variable(getattr(embedded, "array", embedded))
        with chainer.force_backprop_mode():
            logits = model.head(model.features_of_padded(x, part.offsets))
            loss, own = _own_label_loss(model, logits)
            (grad,) = chainer.grad([loss], [x])
        mean = xp.abs(grad.array).mean(axis=2)
        places = padded_places(part.host_offsets, model.padding, mean.shape[1])
        of_words = mean.ravel()[xp.asarray(places)]
        parts.append((of_words, own, _uncertainty(logits.array, own)))
    columns = [xp.concatenate(column) for column in zip(*parts)]
    out, own, uncertainty = columns
    arrays = (out.astype(np.float32, copy=False), own, uncertainty.astype(np.float32, copy=False))
    return Saliency(*(cuda.to_cpu(a) for a in arrays))


class Recorder(training.Extension):
    """Trainer extension: after every epoch, the saliency of every word occurrence (section 4.3.1).

    Rows go to files beside their final names, which they get when training is
    done.  Beside saliency: R and 1 - p_R of every sentence, and the movement
    of every sentence from the epoch before (Fig. 5): raw, standardised
    (Figs 3 and 4), and of the gradient of the logit difference; and the raw
    movement of every word, summed over its occurrences.

    Args:
        model (TextCNN): what is looked at.
        tokens, offsets, n_words: the sentences and the size V of the vocabulary.
        config (Config): ``epochs``, ``record_epoch_0``, ``standardised_over``.
        folder: where the files go.
        stored (bool): keep ``saliency.npy``; the streaming form does not.
        group (replicate.parallel.ranks.OneRank): ranks that look at the sentences together;
            rank 0 alone keeps and writes.
    """

    trigger = (1, "epoch")
    # Before LogReport and the snapshot, which tell that the epoch is recorded.
    priority = training.PRIORITY_WRITER

    def __init__(self, model, tokens, offsets, n_words, config, folder, stored=True, group=ALONE):
        self.model = model
        self.offsets = np.asarray(offsets)
        self.group = group
        first, last = group.bounds(self.offsets)
        mine = self.offsets[first : last + 1]
        self.batch = flat_batch(model, tokens[mine[0] : mine[-1]], mine - mine[0])
        if not group.leads:
            self.config, self.names = config, []
            return
        self.stream = StreamingInstability(tokens, n_words)
        self.config = config
        self.folder = Path(folder)
        self.last_doubt = np.zeros(len(offsets) - 1, dtype=np.float32)
        self.rows = config.epochs + int(config.record_epoch_0)
        shapes = {name: (self._height(name), len(offsets) - 1) for name in RECORDED}
        shapes["movement_words"] = (self._height("movement_words"), n_words)
        dtypes = dict(RECORDED)
        if stored:
            shapes["saliency"] = (self.rows, len(tokens))
            dtypes["saliency"] = np.float32
        self.names = list(shapes)
        self.arrays = {name: self._open(name, dtypes[name], shapes[name]) for name in shapes}
        #: CRC-32 of the rows so far, one a file: a snapshot counts on those rows.
        self.checks = np.zeros(len(shapes), dtype=np.int64)

    def _height(self, name):
        return self.rows - name.startswith("movement")

    def _part(self, name):
        return self.folder / f"{name}.npy.part"

    def _open(self, name, dtype, shape):
        """The rows so far, or zeros; mapped, so the kernel may write them out at will."""
        place = self._part(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                array = np.lib.format.open_memmap(place, mode="r+")
                if array.shape == shape and array.dtype == dtype:
                    return array
            except (OSError, ValueError):
                pass  # none yet, or torn: all rows are written anew
            # A full disk must be told now, not by a signal at the first write.
            array = np.lib.format.open_memmap(place, mode="w+", dtype=dtype, shape=shape)
            if hasattr(os, "posix_fallocate"):
                with open(place, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, place.stat().st_size)
            return array
        except OSError as error:
            raise InputError(
                f"{place}: cannot be written ({error.strerror}); free space or choose another --out"
            ) from None

    def initialize(self, trainer):
        """Record the untrained model too, under the reading ``record_epoch_0``."""
        untrained = trainer.updater.iteration == 0
        if self.config.record_epoch_0 and untrained:
            self.record()

    def __call__(self, trainer):
        self.record()

    def record(self):
        """Take the next row."""
        looked = self._look()
        if looked is None:
            return
        row = self.stream.epochs
        arrays = self.arrays
        arrays["predicted"][row] = looked.predicted
        arrays["doubt"][row] = looked.uncertainty
        if "saliency" in arrays:
            arrays["saliency"][row] = looked.token_saliency
        if row > 0:
            self._record_movement(row - 1, looked)
        self.stream.add(looked.token_saliency)
        self.last_doubt[:] = looked.uncertainty
        for i, name in enumerate(self.names):
            last = row - name.startswith("movement")
            if last >= 0:
                self.checks[i] = zlib.crc32(arrays[name][last], int(self.checks[i]))

    def holds(self, epochs, checks):
        """Whether the files have the rows that a snapshot counts on.

        Args:
            epochs (int): rows recorded by then.
            checks (numpy.ndarray): what :attr:`checks` was.
        """
        for i, name in enumerate(self.names):
            rows = max(0, epochs - name.startswith("movement"))
            if zlib.crc32(self.arrays[name][:rows]) != checks[i]:
                return False
        return True

    def _look(self):
        """Saliency of all sentences; None on a rank that keeps none."""
        parts = [np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)]
        if len(self.batch):
            looked = word_saliency(self.model, self.batch)
            parts = [looked.token_saliency, looked.predicted, looked.uncertainty]
        parts = self.group.gather(parts)
        return Saliency(*parts) if self.group.leads else None

    def _record_movement(self, row, looked):
        before, after = self.stream.last, looked.token_saliency
        stream, lengths = self.stream, np.diff(self.offsets)
        moved = np.zeros(stream.n_words)
        for start, stop in self._blocks():
            offsets = self.offsets[start : stop + 1]
            part, offsets = slice(offsets[0], offsets[-1]), offsets - offsets[0]
            old, new = before[part], after[part]
            within = offsets if self.config.standardised_over == "sentence" else None
            sizes = lengths[start:stop]
            pairs = {
                "raw": (old, new),
                "standardised": (standardise(old, within), standardise(new, within)),
                "logit": (
                    logit_saliency(old, self.last_doubt[start:stop], sizes),
                    logit_saliency(new, looked.uncertainty[start:stop], sizes),
                ),
            }
            for name, pair in pairs.items():
                self.arrays[f"movement_{name}"][row, start:stop] = change(*pair, offsets)
            jump = np.abs(new.astype(np.float64) - old)
            moved += np.bincount(stream.tokens[part], weights=jump, minlength=stream.n_words)
        self.arrays["movement_words"][row] = moved

    def _blocks(self):
        """Bounds of sentences, of about `_MOVED` words each; one where all are standardised as one."""
        n, words = len(self.offsets) - 1, int(self.offsets[-1])
        if self.config.standardised_over != "sentence":
            return [(0, n)]
        cuts = np.searchsorted(self.offsets, np.arange(_MOVED, words, _MOVED))
        ends = np.unique(np.concatenate([[0], cuts, [n]])).tolist()
        return list(zip(ends[:-1], ends[1:]))

    def flush(self):
        """Put the rows on the disk, so that a snapshot may count on them."""
        if not self.group.leads:
            return
        for array in self.arrays.values():
            array.flush()

    def finish(self):
        """Give every file its final name."""
        if not self.group.leads:
            return
        self.flush()
        self.arrays.clear()
        for name in self.names:
            os.replace(self._part(name), self.folder / f"{name}.npy")

    def serialize(self, serializer):
        """The streaming state; the rows are in their files."""
        if not self.group.leads:
            return
        self.stream.serialize(serializer["stream"])
        self.last_doubt = serializer("last_doubt", self.last_doubt)
        self.checks = serializer("checks", self.checks)


def logit_saliency(
    token_saliency: np.ndarray, uncertainty: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Eq. (6) on the logit difference instead of the loss: saliency / (1 - p_R).

    Raw saliency shrinks as the model grows confident; this does not.

    Args:
        token_saliency (numpy.ndarray): (T,).
        uncertainty (numpy.ndarray): (N,), 1 - p_R.
        lengths (numpy.ndarray): (N,), words of each sentence.

    Returns:
        numpy.ndarray: (T,) float64; 0 where 1 - p_R has vanished.

    Example:
        >>> logit_saliency(np.array([0.2, 0.1]), np.array([0.5]), np.array([2])).tolist()
        [0.4, 0.2]
    """
    uncertainty = uncertainty.astype(np.float64)
    scale = np.divide(1.0, uncertainty, out=np.zeros(len(uncertainty)), where=uncertainty > 0)
    return token_saliency * np.repeat(scale, lengths)
