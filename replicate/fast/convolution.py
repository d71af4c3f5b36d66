"""Convolution over words and max over time in one Chainer function (Fig. 2).

Most of the arithmetic of ``Convolution2D`` followed by ``max_pooling_2d`` is
waste here.  A word that occurs ten times in a batch is multiplied ten times,
padding is multiplied too, and the backward pass multiplies the windows that
lost the maximum with zeros.  This function projects each distinct word once
(one matrix product, on a CPU :mod:`~replicate.fast.product`), gathers, adds and
maximises in one loop, and goes back through the winning windows only.

Letters: U distinct words, T tokens, B sentences, D dimensions, F filters, h
words a filter covers.
"""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np

from . import kernels
from .compat import chainer, cuda, function_node, type_check
from .product import filters_cpu, pool_cpu, project_rows

__all__ = [
    "MaxPool",
    "activate",
    "convolution_max",
    "gather_rows",
    "gradient_before_activation",
    "loss_and_gradients",
    "mean_absolute_gradient",
    "pool",
    "project",
    "stack_filters",
    "warm_up_blas",
]

#: An array of NumPy, or of CuPy, whose interface is the same.
Array = np.ndarray


def warm_up_blas() -> None:
    """Fill the matrix library's buffer once, as a new process must for its full speed.

    Some kernels of OpenBLAS fetch ahead of the part of the buffer that a product
    has filled.  While the pages there were never touched, each such fetch walks
    the page tables in vain, and products of our size took 3.4 times as long
    (Zen 1 in a virtual machine).  One larger product, 10 ms, fills it.  A forked
    process has a buffer of its own.
    """
    if _buffer["filled by"] != os.getpid():
        square = np.zeros((512, 512), dtype=np.float32)
        np.matmul(square, square)
        _buffer["filled by"] = os.getpid()


_buffer: dict[str, int | None] = {"filled by": None}


def convolution_max(
    words: chainer.Variable | Array,
    W: chainer.Variable | Array,
    b: chainer.Variable | Array,
    tokens: Array,
    offsets: Array,
    activation: str = "relu",
    padding: str = "wide",
) -> chainer.Variable:
    """Convolve sentences with F filters and keep each filter's maximum over time.

    For sentence s with words x_0 ... x_{L-1}, filter f and window start p:

        y[s, f] = max_p act(b_f + sum_k <W[f, 0, k], x_{p+k}>)

    Windows are those with at least one word: p = -(h-1) ... L-1 for wide
    padding, p = 0 ... max(L, h) - h for narrow; words outside the sentence are
    zero vectors.  Of equal windows the first counts, in value and gradient.
    The activation is applied after the maximum, which is the same, since all
    three are monotone.

    Args:
        words: (U, D) Variable or array, distinct word vectors, float32 or float64.
        W: (F, 1, h, D), the filters, as ``Convolution2D`` has them.
        b: (F,), the biases.
        tokens: (T,) int32 array, rows of `words`, sentence by sentence.
        offsets: (B + 1,) int64 array; sentence s is tokens[offsets[s]:offsets[s + 1]].
        activation (str): ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        padding (str): ``"wide"`` or ``"narrow"``.

    Returns:
        Variable: (B, F), of the dtype of `words`.

    Types and ranges are checked where ``chainer.config.type_check`` is on, as
    in any function of Chainer; without it wrong tokens are not noticed.

    Raises:
        ValueError: for an empty batch, an empty sentence, an unknown name, or
            tokens and offsets out of range.
        chainer.utils.type_check.InvalidType: for shapes or dtypes that do not fit.

    Source:
        Section 5.3 (2) and (3); Kim (2014), eqs 2-4.

    Example:
        >>> x = np.eye(3, dtype=np.float32)           # three words, D = 3
        >>> W = np.ones((1, 1, 2, 3), dtype=np.float32)
        >>> b = np.zeros(1, dtype=np.float32)
        >>> tokens, offsets = np.array([0, 1, 2], dtype=np.int32), np.array([0, 1, 3])
        >>> convolution_max(x, W, b, tokens, offsets).array.tolist()
        [[1.0], [2.0]]
    """
    node = ConvolutionMax(tokens, offsets, activation, padding)
    return node.apply((words, W, b))[0]


class ConvolutionMax(function_node.FunctionNode):
    """See :func:`convolution_max`."""

    def __init__(self, tokens, offsets, activation="relu", padding="wide", ids=None):
        if activation not in kernels.ACTIVATIONS:
            raise ValueError(
                f"activation {activation!r}: choose one of {', '.join(kernels.ACTIVATIONS)}"
            )
        if padding not in ("wide", "narrow"):
            raise ValueError(f"padding {padding!r}: choose wide or narrow")
        if len(offsets) < 2:
            raise ValueError("an empty batch has no maximum; give one sentence or more")
        self.tokens = tokens
        self.offsets = offsets
        # Which of the words occur, where these are all word vectors.
        self.ids = ids
        self.activation = activation
        self.wide = padding == "wide"
        self.argmax = None

    def check_type_forward(self, in_types: Any) -> None:
        type_check._argname(in_types, ("words", "W", "b"))
        x, w, b = in_types
        type_check.expect(
            x.dtype.kind == "f",
            x.dtype.itemsize >= 4,
            x.dtype.itemsize <= 8,
            x.ndim == 2,
            w.dtype == x.dtype,
            w.ndim == 4,
            b.dtype == x.dtype,
            b.ndim == 1,
        )
        type_check.expect(
            w.shape[1] == 1,
            w.shape[3] == x.shape[1],
            b.shape[0] == w.shape[0],
        )
        tokens = type_check.make_variable(self.tokens, "tokens")
        offsets = type_check.make_variable(self.offsets, "offsets")
        type_check.expect(
            tokens.dtype == np.int32,
            tokens.ndim == 1,
            offsets.dtype == np.int64,
            offsets.ndim == 1,
        )
        self._check_sentences(type_check.eval(x.shape[0]))

    def _check_sentences(self, n_words):
        # The loops check no bounds: a wrong index would read another's memory.
        tokens, offsets = self.tokens, self.offsets
        if offsets[0] != 0 or offsets[-1] != len(tokens) or (offsets[1:] <= offsets[:-1]).any():
            raise ValueError(
                f"offsets must rise from 0 to {len(tokens)}, the number of tokens:"
                " a sentence without words has no maximum"
            )
        if len(tokens) and (tokens.min() < 0 or tokens.max() >= n_words):
            raise ValueError(f"tokens must be rows 0 to {n_words - 1} of the words")

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y = self.compute(*inputs)
        self.retain_inputs((0, 1))
        self.retain_outputs((0,))
        return (y,)

    def compute(self, x: Array, w: Array, b: Array) -> Array:
        """Features (B, F) from arrays; keeps the winning places."""
        return activate(self.maxima(x, w, b), self.activation)

    def maxima(self, x: Array, w: Array, b: Array) -> Array:
        """Maxima (B, F) before the activation; keeps the winning places."""
        projected = project(x, w, self.ids)
        pooled = pool(projected, b, self.tokens, self.offsets, w.shape[2], self.wide)
        self.argmax = pooled.argmax
        return pooled.value

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        retained = (*self.get_retained_inputs(), *self.get_retained_outputs(), grad_outputs[0])
        return _as_variables("convolution_max", partial(self.gradients, indexes), retained)

    def gradients(
        self, indexes: Sequence[int], x: Array, w: Array, y: Array, gy: Array
    ) -> Iterator[Array]:
        """Gradients of the inputs that are wanted, from features y and theirs, gy."""
        gz = gradient_before_activation(gy, y, self.activation)
        for index in indexes:
            if index == 0:
                yield self.of_words(gz, x, w)
            elif index == 1:
                yield self.of_filters(gz, x, w)
            else:
                yield gz.sum(axis=0)

    def of_words(self, gz: Array, x: Array, w: Array) -> Array:
        """Gradient of the distinct words, also where x are all word vectors."""
        distinct = len(x) if self.ids is None else len(self.ids)
        return _gradient_of_words(gz, self.argmax, self.tokens, self.offsets, w, distinct)

    def of_filters(self, gz: Array, x: Array, w: Array) -> Array:
        """Gradient of the filters from that at the maxima."""
        rows = self.tokens if self.ids is None else self.ids[self.tokens]
        return _gradient_of_filters(gz, self.argmax, rows, self.offsets, x, w.shape[2])


def loss_and_gradients(
    words: Array,
    filters: Sequence[tuple[Array, Array]],
    out_W: Array,
    out_b: Array,
    tokens: Array,
    offsets: Array,
    labels: Array,
    activation: str = "relu",
    padding: str = "wide",
    mask: Array | None = None,
    weight: float = 1.0,
    ids: Array | None = None,
    of_words: bool = False,
) -> tuple[Array, tuple[Array, ...]]:
    """The mean loss of a batch, times a weight, and its gradients: a training step of Fig. 2.

    With y of :func:`convolution_max`, the true labels R of B sentences and
    dropout's mask m:

        L = -weight/B sum_s log softmax(out_W (m_s y_s) + out_b)[R_s]

    The bits are those of ``dropout``, ``linear`` and ``softmax_cross_entropy`` on
    :func:`convolution_max`, and of ``backward()``.  Building that graph and going
    back through it takes 0.2 ms more: with 5 filters more than the step itself.
    No function hook sees it and no type is checked.

    Of arrays on a device the bits may be others; there the graph takes three times as long.

    Args:
        words: array as :func:`convolution_max`.
        filters: W and b of each height, as :func:`convolution_max`; y has their features
            side by side, F in all.
        out_W: (C, F), the output layer's weights, of the dtype of `words`.
        out_b: (C,), its biases.
        tokens, offsets: as :func:`convolution_max`.
        labels: (B,) int32, each 0 ... C - 1.
        activation, padding: as :func:`convolution_max`.
        mask: (B, F) array, m; None is no dropout.
        weight (float): of this loss among those of several ranks.
        ids: (U,) int32; `words` are all word vectors, (V, D), and these rows of them
            are the distinct words.  None: `words` are the distinct words.
        of_words (bool): with the gradient of the distinct words (U, D), last of the gradients.

    Returns:
        tuple: the loss, () array, and the gradients of W and b of each height, out_W and out_b.

    Raises:
        ValueError: for an empty batch, an empty sentence or an unknown name.
        IndexError: for ids outside of the rows of `words`.

    Source:
        Eq. (4) with the true labels; section 5.3.
    """
    if isinstance(words, cuda.ndarray):
        if ids is not None:
            words, ids = gather_rows(words, ids), None
        return _on_device(
            words, filters, out_W, out_b, labels, mask, weight, of_words,
            [ConvolutionMax(tokens, offsets, activation, padding) for _ in filters],
        )  # fmt: skip
    parts, convolutions = [], []
    for W, b in filters:
        convolution = ConvolutionMax(tokens, offsets, activation, padding, ids)
        parts.append(convolution.compute(words, W, b))
        convolutions.append(convolution)
    features = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    dropped = features if mask is None else features * mask
    loss, at_logits = _cross_entropy(dropped.dot(out_W.T) + out_b, labels, weight)
    at_features = at_logits.dot(out_W)
    if mask is not None:
        at_features *= mask
    wanted = (1, 2, 0) if of_words else (1, 2)
    of_filters: list[Array] = []
    rest: list[Array] = []
    end = 0
    for convolution, part, (W, _) in zip(convolutions, parts, filters):
        begin, end = end, end + part.shape[1]
        gy = at_features if len(parts) == 1 else at_features[:, begin:end]
        of_W, of_b, *of_rows = convolution.gradients(wanted, words, W, part, gy)
        of_filters += [of_W, of_b]
        rest = [total + new for total, new in zip(rest, of_rows)] if rest else of_rows
    return loss, (*of_filters, at_logits.T.dot(dropped), at_logits.sum(axis=0), *rest)


def _on_device(words, filters, out_W, out_b, labels, mask, weight, of_words, convolutions):
    """:func:`loss_and_gradients` in few launches, each of which costs a step of the host."""
    parts = [of.maxima(words, W, b) for of, (W, b) in zip(convolutions, filters)]
    xp = cuda.get_array_module(words)
    z = parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=1)
    scale = weight / len(labels)
    loss, of_out_W, of_out_b, of_b, gz = kernels.head(
        z, mask, out_W, out_b, labels, convolutions[0].activation, scale
    )
    gradients: list[Array] = []
    rest: list[Array] = []
    end = 0
    for convolution, part, (W, _) in zip(convolutions, parts, filters):
        begin, end = end, end + part.shape[1]
        own = gz if len(parts) == 1 else gz[:, begin:end]
        gradients += [convolution.of_filters(own, words, W), of_b[begin:end]]
        if of_words:
            new = convolution.of_words(own, words, W)
            rest = [rest[0] + new] if rest else [new]
    return loss, (*gradients, of_out_W, of_out_b, *rest)


def _cross_entropy(logits, labels, weight):
    """Weighted mean cross entropy and its gradient, as Chainer rounds them."""
    # NumPy's methods and index pairs take twice as long as these for a batch's few numbers.
    own = np.arange(0, logits.size, logits.shape[1]) + labels
    greatest = np.maximum.reduce(logits, axis=1, keepdims=True)
    total = np.add.reduce(np.exp(logits - greatest), axis=1, keepdims=True)
    log_p = logits - (greatest + np.log(total))
    # NumPy's float64, as Chainer has it: a float of Python would round otherwise.
    share = np.float64(1.0) / len(labels)
    loss = np.add.reduce(log_p.ravel()[own], keepdims=True) * -share
    weight = logits.dtype.type(weight)
    gradient = np.exp(log_p)
    gradient.reshape(-1)[own] -= 1
    gradient *= weight * share
    return loss.astype(logits.dtype, copy=False).reshape(()) * weight, gradient


class _Gradients(function_node.FunctionNode):
    """Gradients as a node of the graph, whose own gradient is refused."""

    def __init__(self, name, gradients):
        self.name = name
        self.gradients = gradients

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(self.gradients(*inputs))

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        # Chainer's default returns no gradient at all, which would be taken
        # for zero.
        raise RuntimeError(f"{self.name} has no gradient of its gradient")


def _as_variables(name, gradients, inputs):
    """What a ``backward`` returns: a node only where somebody may go back through it."""
    if chainer.config.enable_backprop:
        return _Gradients(name, gradients).apply(inputs)
    made = gradients(*(variable.array for variable in inputs))
    return tuple(chainer.Variable(array, requires_grad=False) for array in made)


class MaxPool(NamedTuple):
    """Maxima over time before the activation, and where they were.

    Attributes:
        value: (B, F), the greatest b_f + <W_f, window>.
        argmax: (B, F) int32, the window's first word; -(h-1) or more.
    """

    value: Array
    argmax: Array


def stack_filters(filters: Sequence[Array]) -> Array:
    """Filters of several heights as one array of the greatest, with rows of zeros at their ends.

    For :func:`mean_absolute_gradient`: a row of zeros adds nothing to a gradient.

    Args:
        filters: W of each height, (F_i, 1, h_i, D), NumPy's or CuPy's.

    Returns:
        array: (F, 1, h, D), F the sum and h the greatest; a single W as it is.

    Example:
        >>> stack_filters([np.ones((1, 1, 1, 2)), np.ones((2, 1, 2, 2))])[:, 0, :, 0].tolist()
        [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    """
    if len(filters) == 1:
        return filters[0]
    xp = cuda.get_array_module(filters[0])
    height = max(W.shape[2] for W in filters)
    count, dimensions = sum(len(W) for W in filters), filters[0].shape[3]
    out = xp.zeros((count, 1, height, dimensions), dtype=filters[0].dtype)
    end = 0
    for W in filters:
        begin, end = end, end + len(W)
        out[begin:end, :, : W.shape[2]] = W
    return out


def project(words: Array, W: Array, ids: Array | None = None) -> Array:
    """Each word times each row of each filter: the one matrix product.

    Args:
        words: (U, D), or all word vectors (V, D) where there are ids.
        W: (F, 1, h, D).
        ids: (U,) int32, rows of `words`; None is all of them.

    Returns:
        array: (U, h F); column k F + f is <W[f, 0, k], word>.

    Raises:
        IndexError: for ids outside of the rows of `words`; on a device nobody looks.
    """
    n_filters, _, height, dimensions = W.shape
    # (h F, D) in memory: the loops below run over filters.
    by_place = W.reshape(n_filters, height, dimensions).transpose(1, 0, 2)
    rows = by_place.reshape(height * n_filters, dimensions)
    if isinstance(W, cuda.ndarray):
        words = words if ids is None else words.take(ids, axis=0)
        return cuda.get_array_module(W).matmul(words, rows.T)
    return project_rows(words, ids, rows)


def gather_rows(vectors: Array, ids: Array) -> Array:
    """Rows of the word vectors, (U, D); NumPy's ``take`` does three times the work."""
    if isinstance(vectors, cuda.ndarray):
        return vectors.take(ids, axis=0)
    out = np.empty((len(ids), vectors.shape[1]), dtype=vectors.dtype)
    if not _rows_cpu(vectors, ids, out):
        raise IndexError(f"words must be rows 0 to {len(vectors) - 1} of the vectors")
    return out


def pool(
    projected: Array, b: Array, tokens: Array, offsets: Array, height: int, wide: bool
) -> MaxPool:
    """Gather, add and maximise over time.

    Args:
        projected: (U, h F) of :func:`project`.
        b: (F,).
        tokens, offsets: as :func:`convolution_max`.
        height (int): h.
        wide (bool): wide or narrow padding.

    Returns:
        MaxPool: the same bits whatever the other sentences of the batch.

    Raises:
        ValueError: for a sentence without words; on a device nobody looks.
    """
    if isinstance(projected, cuda.ndarray):
        return MaxPool(*kernels.pool(projected, b, tokens, offsets, height, wide))
    shape = (len(offsets) - 1, len(b))
    value = np.empty(shape, dtype=projected.dtype)
    argmax = np.empty(shape, dtype=np.int32)
    projected, b, tokens = map(np.ascontiguousarray, (projected, b, tokens))
    if not pool_cpu(projected, b, tokens, offsets, height, wide, value, argmax):
        raise ValueError("a sentence without words has no maximum")
    return MaxPool(value, argmax)


def mean_absolute_gradient(gz: Array, argmax: Array, offsets: Array, W: Array, total: int) -> Array:
    """Eq. (6) for every word occurrence, from the gradients at the winning windows.

    An occurrence's gradient is the sum of the filter rows that met it in a
    window that won, each times the gradient there; eq. (6) is the mean of its
    absolute values over D.  All other windows contribute nothing.

    Args:
        gz: (B, F), gradient of the loss at the maxima before the activation.
        argmax: (B, F) int32 of :class:`MaxPool`.
        offsets: (B + 1,) int64, where sentences begin and end.
        W: (F, 1, h, D).
        total (int): T, the last of `offsets`, which a device would have to be asked for.

    Returns:
        array: (T,), one number a word occurrence; padding has none.
    """
    if isinstance(gz, cuda.ndarray):
        return kernels.mean_absolute_gradient(gz, argmax, offsets, W, total)
    out = np.empty(total, dtype=gz.dtype)
    filters = np.ascontiguousarray(W.reshape(W.shape[0], W.shape[2], W.shape[3]))
    longest = int(np.diff(offsets).max()) if len(offsets) > 1 else 0
    _saliency_cpu(gz, argmax, offsets, filters, out, longest)
    return out


def activate(z: Array, activation: str) -> Array:
    """The features (B, F) of :func:`convolution_max` from the maxima before the activation."""
    xp = cuda.get_array_module(z)
    if activation == "relu":
        return xp.maximum(z, 0)
    if activation == "tanh":
        return xp.tanh(z)
    return xp.tanh(z * z.dtype.type(0.5)) * z.dtype.type(0.5) + z.dtype.type(0.5)


def gradient_before_activation(gy: Array, y: Array, activation: str) -> Array:
    """Gradient at the maxima from the gradient at the features, arrays (B, F)."""
    if activation == "relu":
        return gy * (y > 0)
    if activation == "tanh":
        return gy * (1 - y * y)
    return gy * (y * (1 - y))


warm_up_blas()


# --- CPU ---------------------------------------------------------------------


@numba.njit(cache=True, nogil=True)
def _rows_cpu(vectors, ids, out):
    for i in range(len(ids)):
        # Numba checks no bounds, and would count from the end where one is negative.
        if ids[i] < 0 or ids[i] >= len(vectors):
            return False
        source, target = vectors[ids[i]], out[i]
        for d in range(vectors.shape[1]):
            target[d] = source[d]
    return True


@numba.njit(cache=True, nogil=True)
def _words_cpu(gz, argmax, tokens, offsets, filters, out):
    n_filters, height, dimensions = filters.shape
    for s in range(len(offsets) - 1):
        begin = offsets[s]
        length = offsets[s + 1] - begin
        for f in range(n_filters):
            g = gz[s, f]
            if g == 0:
                continue
            p = argmax[s, f]
            for k in range(max(0, -p), min(height, length - p)):
                target = out[tokens[begin + p + k]]
                row = filters[f, k]
                for d in range(dimensions):
                    target[d] += g * row[d]


# Sums may be taken in lanes: the order is fixed when the loop is compiled, so
# equal input gives equal bits whatever the chunk a sentence comes in.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})
def _saliency_cpu(gz, argmax, offsets, filters, out, longest):
    n_filters, height, dimensions = filters.shape
    rows = filters.reshape(n_filters * height, dimensions)
    # For each word of a sentence, the filter rows that met it in a winning
    # window, filled up to a multiple of four: four rows a pass halve the traffic.
    room = n_filters * height + 4 * longest
    row = np.zeros(room, dtype=np.int64)
    scale = np.zeros(room, dtype=gz.dtype)
    count = np.zeros(longest, dtype=np.int64)
    place = np.zeros(longest, dtype=np.int64)
    gradient = np.zeros(dimensions, dtype=gz.dtype)
    for s in range(len(offsets) - 1):
        begin = offsets[s]
        length = offsets[s + 1] - begin
        count[:length] = 0
        for f in range(n_filters):
            if gz[s, f] != 0:
                p = argmax[s, f]
                for i in range(max(0, p), min(p + height, length)):
                    count[i] += 1
        at = 0
        for i in range(length):
            place[i] = at
            filled = at + (count[i] + 3) // 4 * 4
            for j in range(at + count[i], filled):
                row[j] = 0
                scale[j] = 0
            at = filled
        for f in range(n_filters):
            if gz[s, f] != 0:
                p = argmax[s, f]
                for i in range(max(0, p), min(p + height, length)):
                    row[place[i]] = f * height + i - p
                    scale[place[i]] = gz[s, f]
                    place[i] += 1
        at = 0
        for i in range(length):
            stop = at + (count[i] + 3) // 4 * 4
            total = gradient[0] - gradient[0]
            if stop > at + 4:
                gradient[:] = 0
            while at + 4 < stop:
                g0, g1, g2, g3 = scale[at], scale[at + 1], scale[at + 2], scale[at + 3]
                r0, r1, r2, r3 = (
                    rows[row[at]],
                    rows[row[at + 1]],
                    rows[row[at + 2]],
                    rows[row[at + 3]],
                )
                for d in range(dimensions):
                    gradient[d] += g0 * r0[d] + g1 * r1[d] + g2 * r2[d] + g3 * r3[d]
                at += 4
            if at < stop:
                g0, g1, g2, g3 = scale[at], scale[at + 1], scale[at + 2], scale[at + 3]
                r0, r1, r2, r3 = (
                    rows[row[at]],
                    rows[row[at + 1]],
                    rows[row[at + 2]],
                    rows[row[at + 3]],
                )
                if count[i] <= 4:
                    for d in range(dimensions):
                        total += abs(g0 * r0[d] + g1 * r1[d] + g2 * r2[d] + g3 * r3[d])
                else:
                    for d in range(dimensions):
                        total += abs(
                            gradient[d] + g0 * r0[d] + g1 * r1[d] + g2 * r2[d] + g3 * r3[d]
                        )
                at += 4
            out[begin + i] = total / dimensions


def _gradient_of_filters(gz, argmax, tokens, offsets, words, height):
    if isinstance(gz, cuda.ndarray):
        return kernels.gradient_of_filters(gz, argmax, tokens, offsets, words, height)
    shape = gz.shape[1], 1, height, words.shape[1]
    out = np.zeros(shape, dtype=gz.dtype)
    words = np.ascontiguousarray(words)
    filters_cpu(gz, argmax, tokens, offsets, words, height, out.reshape(-1))
    return out


def _gradient_of_words(gz, argmax, tokens, offsets, W, n_words):
    if isinstance(gz, cuda.ndarray):
        return kernels.gradient_of_words(gz, argmax, tokens, offsets, W, n_words)
    filters = np.ascontiguousarray(W.reshape(W.shape[0], W.shape[2], W.shape[3]))
    out = np.zeros((n_words, filters.shape[2]), dtype=gz.dtype)
    _words_cpu(gz, argmax, tokens, offsets, filters, out)
    return out
