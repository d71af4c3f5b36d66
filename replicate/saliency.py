"""How strongly each word occurrence drives the output (section 3, eqs 4-6).

The loss of a sentence is taken between its label probabilities and the
model's own label R.  Losses of a batch are summed, never averaged: a mean
would make eq. (4) depend on the batch.  Looking changes nothing: no parameter,
no gradient, no random generator.

The slopes of tanh and of the sigmoid are Chainer's, 1 - y^2 and y (1 - y).  In float32
they have an error of 0.4 % where the maximum before the activation is 7 (tanh) or 14
(sigmoid), and no right digit from 9 or 17 on: such a filter hardly adds to saliency.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from .fast import convolution as functions
from .fast.compat import F, chainer, cuda
from .model import Batch, TextCNN, padded_places

__all__ = [
    "Predictions",
    "Saliency",
    "WinningWindows",
    "callable_saliency",
    "classify",
    "flat_batch",
    "token_saliency",
    "winning_windows",
    "word_saliency",
]

# Sentences whose output layer is one matrix product; fixed, so that bits do
# not depend on how a corpus is cut into chunks.
_HEAD_BLOCK = 4096
# Words of a chunk in the reference form, padding included.
_CHUNK = 20_000
# Rows of the projection's matrix products on a device, fixed for the same reason.
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


@dataclass(frozen=True)
class WinningWindows:
    """Which words of n sentences each of F filters looks at: what eq. (6) is a sum over.

    Attributes:
        argmax: (n, F) int32, first word of the window that wins the maximum over time,
            counted from the sentence's first word; -(h - 1) or more.
        active: (n, F) bool, whether the activation lets a gradient through there.
        heights: (F,) int64, words that each filter covers.
    """

    argmax: np.ndarray
    active: np.ndarray
    heights: np.ndarray


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


def word_saliency(
    model: TextCNN, batch: Batch, chunk: int | None = None, windows: WinningWindows | None = None
) -> Saliency:
    """Saliency of every word occurrence of a batch (eqs 4-6).

    .. math::
        wa_i = \\frac{1}{D} \\sum_j |\\partial L(f(S), R) / \\partial w_{ij}|

    Dropout is off; parameters, their gradients and random states stay as they
    are.  The result does not depend on `chunk`, bit for bit in the fused form.

    Args:
        model (TextCNN): on any device.
        batch (Batch): of :func:`flat_batch`; its labels are not looked at.
        chunk (int): sentences at once; None chooses.
        windows (WinningWindows): go back through these in place of the model's own, to
            see what another network's windows would make of this one's weights.

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
        if model.implementation == "reference" and windows is None:
            return _reference_saliency(model, batch, chunk)
        return _fused_saliency(model, batch, chunk, windows)


def winning_windows(model: TextCNN, batch: Batch) -> WinningWindows:
    """The windows that saliency comes from (eq. 4 through Fig. 2).

    With :math:`g_{sf}` the gradient of the loss at the maximum of filter f over sentence
    s, before the activation, and :math:`p_{sf}` the first word of its window, the
    gradient at word i is

    .. math::
        \\frac{\\partial L}{\\partial w_i} = \\sum_f g_{sf} W_{f,\\, i - p_{sf}}

    over the filters whose window covers i.  The sum has no terms, and saliency is exactly
    0, for a word that no window of an active filter covers.

    Args:
        model (TextCNN): on any device, in any form; the fused form is used.
        batch (Batch): of :func:`flat_batch`.

    Returns:
        WinningWindows: NumPy arrays.

    Example:
        >>> vectors = np.array([[0], [1], [3], [2]], dtype=np.float32)
        >>> model = TextCNN(vectors, 2, Config(n_filters=2, filter_height=1), seed=0)
        >>> model.conv.W.array[:, 0, 0, 0] = [1, -1]
        >>> found = winning_windows(model, flat_batch(model, np.array([0, 1, 2]), np.array([0, 3])))
        >>> found.argmax.tolist(), found.active.tolist()
        ([[1, 0]], [[True, False]])
    """
    with chainer.using_config("train", False), chainer.using_config("type_check", False):
        features, pooled, _ = _fused_features(model, batch, None)
    ones = model.xp.ones_like(features)
    active = functions.gradient_before_activation(ones, features, model.config.activation) != 0
    heights = np.repeat(np.array(model.config.heights), model.config.n_filters)
    return WinningWindows(cuda.to_cpu(pooled.argmax), cuda.to_cpu(active), heights)


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

    Raises:
        ValueError: for vectors of whole numbers, or outputs that are not (B, C); without
            a `loss` C is 2 or more, as the softmax of one output is always 1.

    Source:
        Section 3.2.

    Example:
        >>> def forward(x):
        ...     return chainer.functions.sum(x, axis=1)  # D = C = 2
        >>> token_saliency(forward, np.zeros((1, 3, 2), dtype=np.float32)).tolist()
        [[0.5, 0.5, 0.5]]
    """
    several = isinstance(vectors, (list, tuple))
    means, _, _ = _measured(forward, vectors if several else [vectors], loss, several)
    return means if several else means[0]


def callable_saliency(forward: Callable[[Any], Any], vectors: list, at_once: int = 256) -> Saliency:
    """Saliency, labels and uncertainty of sentences for any Chainer callable (eqs 4-6).

    Args:
        forward: from a list of word vectors (L_b, D) to logits (B, C).
        vectors: n arrays (L_n, D), one a sentence.
        at_once: sentences that `forward` takes at once; the result does not
            depend on it but for rounding.

    Returns:
        Saliency: the words of all sentences, one after another.

    Raises:
        ValueError: as :func:`token_saliency`.
    """
    parts = []
    for start in range(0, len(vectors), at_once):
        means, own, doubt = _measured(forward, vectors[start : start + at_once], None, True)
        parts.append((cuda.get_array_module(doubt).concatenate(means), own, doubt))
    columns = [cuda.to_cpu(cuda.get_array_module(c[0]).concatenate(c)) for c in zip(*parts)]
    return Saliency(
        *(c.astype(d, copy=False) for c, d in zip(columns, (np.float32, np.int32, np.float32)))
    )


def _measured(forward, vectors, loss, several):
    """Eq. (6) at the inputs of a callable, its own labels, and 1 - p_R."""
    inputs = [chainer.Variable(array) for array in vectors]
    odd = next((x.dtype for x in inputs if x.dtype.kind != "f"), None)
    if odd is not None:  # its gradient, where there is one, would be cut to whole numbers
        raise ValueError(f"word vectors of {odd} have no gradient; give float32 or float64")
    with chainer.using_config("train", False), chainer.force_backprop_mode():
        logits = forward(inputs if several else inputs[0])
        _check_logits(logits.array, len(inputs) if several else len(inputs[0]), loss is None)
        own = logits.array.argmax(axis=1).astype(np.int32)
        at_logits, uncertainty = _at_logits(logits.array, own)
        if loss:
            gradients = chainer.grad([F.sum(loss(logits, own))], inputs)
        else:
            gradients = chainer.grad([logits], inputs, [chainer.Variable(at_logits)])
    xp = cuda.get_array_module(logits.array)
    means = [
        # None where the callable does not look at an input.
        xp.zeros(x.shape[:-1], dtype=x.dtype) if g is None else xp.abs(g.array).mean(axis=-1)
        for x, g in zip(inputs, gradients)
    ]
    return means, own, uncertainty


def _check_logits(logits, n, by_softmax):
    """Refuse the outputs of a callable that are not (n, C); one output is a softmax of 1."""
    least = 2 if by_softmax else 1
    if logits.ndim != 2 or logits.shape[0] != n or logits.shape[1] < least:
        raise ValueError(
            f"forward gave {logits.shape} for {n} sentences, not (B, C) with C of {least} or more; "
            "give a logit for each label (for a single one, z: 0 and z), or a loss of your own"
        )


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
        logits = _head_blocks(model, features, lambda logits: logits)
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
    return _ranges(n, chunk)


def _threads(xp):
    """Threads of a look at many sentences: those of compiled loops (``--threads``), or one."""
    return int(os.environ.get("NUMBA_NUM_THREADS") or 1) if xp is np else 1


def _cuts(n, pieces):
    """Bounds of at most so many pieces of n things, of about one length."""
    return _ranges(n, max(1, -(-n // pieces)))


def _ranges(n, length):
    return [(start, min(start + length, n)) for start in range(0, n, length)]


def _side_by_side(work: Callable[[int, int], Any], bounds: Sequence[tuple[int, int]], threads: int):
    """``work(start, stop)`` for all bounds, in their order; compiled loops let others run."""
    if threads == 1 or len(bounds) == 1:
        return [work(*pair) for pair in bounds]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda pair: work(*pair), bounds))


def _of_parts(model, batch, chunk, work):
    """``work(part, sentences)`` for runs of a batch's sentences: of `chunk`, or one a thread."""
    threads = _threads(model.xp)
    bounds = _chunks(batch, chunk) if chunk else _cuts(len(batch), threads)

    def some(start, stop):
        return work(_part(batch, start, stop), slice(start, stop))

    return _side_by_side(some, bounds, threads)


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


def _at_logits(logits, own, loss="logits"):
    """Gradient of eq. (4) by the logits, and 1 - p_R, where p_R is near 1, too.

    With p = softmax(z), the gradient of cross entropy is p_c for other labels and p_R - 1
    for R.  In float32 the difference has no digits left at p_R = 1 - 1e-7, so it is taken as
    what it is, minus the sum of the others.  Of softmax twice (``probabilities``), likewise.

    Returns:
        (B, C) and (B,) arrays.
    """
    xp = cuda.get_array_module(logits)
    rows = xp.arange(len(own))
    shifted = xp.exp(logits - logits.max(axis=1, keepdims=True))
    others = shifted.copy()
    others[rows, own] = 0
    total = shifted.sum(axis=1, keepdims=True)
    gradient = others / total
    if loss == "probabilities":
        p = shifted / total
        outer, _ = _at_logits(p, own)
        gradient *= outer - (p * outer).sum(axis=1, keepdims=True)
    gradient[rows, own] = -gradient.sum(axis=1)
    return gradient, others.sum(axis=1) / total[:, 0]


def _head_blocks(model, features, use):
    """Apply the output layer in blocks of fixed shape, and `use` to the logits of each.

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
        made.append(use(model.head(filled).array)[: len(rows)])
    return xp.concatenate(made)


def _fused_features(model, batch, chunk):
    """Features, maxima and places of all sentences.

    Every distinct word of the corpus is projected once; what follows is separate
    for each sentence.
    """
    config, vectors = model.config, model.embed.array
    wide = config.padding == "wide"
    of_heights = []
    for conv, height in zip(model.convolutions, config.heights):
        projected = _projected(vectors, batch.ids, conv.W.array)

        def pooled(part, _, projected=projected, bias=conv.b.array, height=height):
            return functions.pool(projected, bias, part.tokens, part.offsets, height, wide)

        of_heights.append(_joined(_of_parts(model, batch, chunk, pooled), axis=0))
    found = _joined(of_heights, axis=1)
    weight = functions.stack_filters([conv.W.array for conv in model.convolutions])
    return functions.activate(found.value, config.activation), found, weight


def _joined(parts, axis):
    """Maxima of some sentences (axis 0) or of some filters (axis 1) as one; one part as it is."""
    if len(parts) == 1:
        return parts[0]
    xp = cuda.get_array_module(parts[0].value)
    return functions.MaxPool(*(xp.concatenate(arrays, axis=axis) for arrays in zip(*parts)))


def _projected(vectors, ids, weight):
    """Words times filters: on a device in blocks of one shape, on which its rounding depends."""
    xp = cuda.get_array_module(weight)
    if not isinstance(weight, cuda.ndarray):
        threads = _threads(xp)
        bounds = _cuts(len(ids), threads)
        if len(bounds) == 1:
            return functions.project(vectors, weight, ids)
        out = np.empty((len(ids), weight.shape[0] * weight.shape[2]), dtype=weight.dtype)

        def some(start, stop):
            out[start:stop] = functions.project(vectors, weight, ids[start:stop])

        _side_by_side(some, bounds, threads)
        return out
    block = min(_PROJECTION_BLOCK, max(64, 1 << (len(ids) - 1).bit_length()))
    projected = xp.empty((len(ids), weight.shape[0] * weight.shape[2]), dtype=weight.dtype)
    for start in range(0, len(ids), block):
        rows = vectors.take(ids[start : start + block], axis=0)
        filled = rows
        if len(rows) < block:
            filled = xp.zeros((block, vectors.shape[1]), dtype=vectors.dtype)
            filled[: len(rows)] = rows
        projected[start : start + block] = functions.project(filled, weight)[: len(rows)]
    return projected


def _fused_saliency(model, batch, chunk, windows=None):
    features, pooled, weight = _fused_features(model, batch, chunk)
    xp = model.xp
    own = xp.empty(len(batch), dtype=np.int32)
    uncertainty = xp.empty(len(batch), dtype=np.float32)
    place = [0]

    def gradient(logits):
        label = logits.argmax(axis=1).astype(np.int32)
        at_logits, doubt = _at_logits(logits, label, model.config.loss)
        start = place[0]
        stop = min(start + len(label), len(batch))
        own[start:stop] = label[: stop - start]
        uncertainty[start:stop] = doubt[: stop - start]
        place[0] = stop
        return at_logits.dot(model.fc.W.array)

    with chainer.no_backprop_mode():
        at_features = _head_blocks(model, features, gradient)
    argmax, activation = pooled.argmax, model.config.activation
    if windows is None:
        gz = functions.gradient_before_activation(at_features, features, activation)
    else:
        argmax, active = xp.asarray(windows.argmax), xp.asarray(windows.active)
        # Whether a ReLU lets a gradient through is the other network's.
        slopes = xp.ones_like(features) if activation == "relu" else features
        gz = functions.gradient_before_activation(at_features, slopes, activation) * active

    def of_words(part, sentences):
        some = gz[sentences], argmax[sentences]
        return functions.mean_absolute_gradient(*some, part.offsets, weight, len(part.tokens))

    parts = _of_parts(model, batch, chunk, of_words)
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
            own = logits.array.argmax(axis=1).astype(np.int32)
            at_logits, uncertainty = _at_logits(logits.array, own, model.config.loss)
            (grad,) = chainer.grad([logits], [x], [chainer.Variable(at_logits)])
        mean = xp.abs(grad.array).mean(axis=2)
        places = padded_places(part.host_offsets, model.padding, mean.shape[1])
        of_words = mean.ravel()[xp.asarray(places)]
        parts.append((of_words, own, uncertainty))
    columns = [xp.concatenate(column) for column in zip(*parts)]
    out, own, uncertainty = columns
    arrays = (out.astype(np.float32, copy=False), own, uncertainty.astype(np.float32, copy=False))
    return Saliency(*(cuda.to_cpu(a) for a in arrays))
