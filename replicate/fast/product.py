"""The three inner loops on a CPU: words times filters, the best window, sums of word vectors.

A general matrix product wants its rows side by side, so the rows of a batch are
copied first; and with few filters it uses a fraction of the processor.  Here a
block of words stays in vector registers, one lane a row of the filters, and the
vectors are read where they are.  Every number is summed in one order, over the
dimensions or over the sentences, so its bits depend on no other word, and on no
library.

Numba's own loops cannot say that sums stay in registers, so what is inside of
them is written in LLVM's language (:func:`_block`, :func:`_windows`, :func:`_chunk`).
"""

import functools
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

__all__ = ["fetch_to_read", "fetch_to_write", "filters_cpu", "pool_cpu", "project_rows"]

#: Words of a block: as many sums run side by side as hide the time of one addition.
_WORDS = 8
#: Words that stay in the cache, a multiple of a block's.
_CACHED = 128


def project_rows(vectors: np.ndarray, ids: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Some word vectors times some rows.

    .. math::
        out_{i,r} = \\sum_d vectors_{ids_i,d} \\; rows_{r,d}

    Args:
        vectors: (V, D), float32 or float64.
        ids: (U,) int32, which words; None is all of them.
        rows: (R, D), of the dtype of `vectors`.

    Returns:
        array: (U, R), C-contiguous.

    Raises:
        IndexError: for an id outside of the rows of `vectors`.

    Example:
        >>> vectors = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> project_rows(vectors, np.array([1, 0], dtype=np.int32), np.array([[1.0, 1.0]])).tolist()
        [[7.0], [3.0]]
    """
    if ids is None:
        ids = np.arange(len(vectors), dtype=np.int32)
    vectors, ids, rows = map(np.ascontiguousarray, (vectors, ids, rows))
    # What is written to the last word goes up to a block's width beyond it.
    flat = np.empty(len(ids) * len(rows) + 2 * _LANES, dtype=vectors.dtype)
    out = flat[: len(ids) * len(rows)].reshape(len(ids), len(rows))
    if not _project_cpu(vectors, ids, rows, flat):
        raise IndexError(f"words must be rows 0 to {len(vectors) - 1} of the vectors")
    return out


#: Lanes of a vector: sixteen float32 are the widest register there is; where it is
#: narrower, or the numbers are float64, the compiler takes several.
_LANES = 16


index = ir.IntType(64)


class _Code:
    """What the functions below have in common: vectors of numbers, and a loop."""

    def __init__(self, context, builder, kinds, arguments, lanes=_LANES):
        self.context, self.builder = context, builder
        self.kinds, self.arguments = kinds, arguments
        self.number = context.get_value_type(kinds[0].dtype)
        self.lanes = lanes
        self.vector = ir.VectorType(self.number, lanes)
        self.zero = ir.Constant(self.vector, [0.0] * lanes)

    def array(self, i: int) -> Any:
        """Argument `i`, an array."""
        return self.context.make_array(self.kinds[i])(self.context, self.builder, self.arguments[i])

    def at(self, array: Any, *offsets: Any) -> Any:
        """Pointer to the number of a C-contiguous array at the sum of offsets."""
        place = functools.reduce(self.builder.add, offsets)
        return self.builder.gep(array.data, [place])

    def _vector_at(self, array, kind, *offsets):
        return self.builder.bitcast(self.at(array, *offsets), kind.as_pointer())

    def load(self, array: Any, *offsets: Any, kind: Any = None) -> Any:
        """A vector of the numbers that begin there."""
        kind = kind or self.vector
        value = self.builder.load(self._vector_at(array, kind, *offsets))
        value.align = self.context.get_abi_sizeof(kind.element)
        return value

    def store(self, value: Any, array: Any, *offsets: Any) -> None:
        """Write a vector there."""
        stored = self.builder.store(value, self._vector_at(array, value.type, *offsets))
        stored.align = self.context.get_abi_sizeof(value.type.element)

    def spread(self, value: Any) -> Any:
        """A vector of one number."""
        nothing = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        one = self.builder.insert_element(nothing, value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, nothing, first)

    def add(self, total: Any, a: Any, b: Any) -> Any:
        """total + a b; product and sum may be one instruction."""
        fused = ("contract",)
        return self.builder.fadd(total, self.builder.fmul(a, b, flags=fused), flags=fused)

    def loop(self, times: Any, values: Any, step: Any) -> Any:
        """Vectors after `times`, at least one, applications of ``step(i, values)``."""
        builder = self.builder
        before = builder.block
        loop, after = map(builder.append_basic_block, ("loop", "after"))
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(index)
        phis = [builder.phi(value.type) for value in values]
        new = list(step(i, phis))
        last = builder.block  # a loop in the step has added others
        following = builder.add(i, index(1))
        for phi, a, b in zip([i, *phis], [index(0), *values], [following, *new]):
            phi.add_incoming(a, before)
            phi.add_incoming(b, last)
        builder.cbranch(builder.icmp_signed("<", following, times), loop, after)
        builder.position_at_end(after)
        return new


def _block(n_vectors: int) -> Any:
    """A block of words times 16 or 32 rows, as a function for compiled code.

    For each dimension it loads a vector of weights, and adds to each word's sums its
    number times that vector.
    """

    @intrinsic
    def block(typingctx, vectors, ids, first, panel, out, n_rows, column):
        signature = types.void(vectors, ids, first, panel, out, n_rows, column)

        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature.args, arguments)
            vectors, ids, panel, out = map(code.array, (0, 1, 3, 4))
            first, n_rows, column = (arguments[i] for i in (2, 5, 6))
            dimensions = cgutils.unpack_tuple(builder, vectors.shape)[1]
            last = builder.sub(cgutils.unpack_tuple(builder, ids.shape)[0], index(1))

            # Beyond the last word comes the last word again.
            words = [builder.add(first, index(j)) for j in range(_WORDS)]
            words = [
                builder.select(builder.icmp_signed("<", word, last), word, last) for word in words
            ]
            starts = []
            for word in words:
                row = builder.sext(builder.load(code.at(ids, word)), index)
                starts.append(builder.mul(row, dimensions))

            def step(d, sums):
                """Sums with one dimension more."""
                row = builder.mul(d, index(n_vectors * _LANES))
                weights = [code.load(panel, row, index(v * _LANES)) for v in range(n_vectors)]
                for j, start in enumerate(starts):
                    value = code.spread(builder.load(code.at(vectors, start, d)))
                    for v, weight in enumerate(weights):
                        yield code.add(sums[j * n_vectors + v], value, weight)

            totals = code.loop(dimensions, [code.zero] * (_WORDS * n_vectors), step)
            for i, total in enumerate(totals):
                place = builder.mul(words[i // n_vectors], n_rows)
                code.store(total, out, place, column, index(i % n_vectors * _LANES))
            return context.get_dummy_value()

        return signature, generate

    return block


_narrow, _wide = _block(1), _block(2)


def _fetch(write: bool) -> Any:
    """A function for compiled code that asks the processor for a cache line ahead of its use."""

    @intrinsic
    def fetch(typingctx, array, place):
        def generate(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, *[number] * 3])
            address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
            builder.call(prefetch, [address, number(int(write)), number(3), number(1)])
            return context.get_dummy_value()

        return types.void(array, place), generate

    return fetch


#: Ask for the line of a number of a C-contiguous array, by its flat place, to be read.
fetch_to_read = _fetch(False)
#: The same, to be written to.
fetch_to_write = _fetch(True)


@numba.njit(cache=True, nogil=True)
def _project_cpu(vectors, ids, rows, flat):
    n_rows, dimensions = rows.shape
    # Numba checks no bounds, and would count from the end where one is negative.
    for i in range(len(ids)):
        if ids[i] < 0 or ids[i] >= len(vectors):
            return False
    if len(ids) == 0:
        return True
    if dimensions == 0:
        flat[:] = 0
        return True
    width = _LANES if n_rows <= _LANES else 2 * _LANES
    panels = np.empty((-(-n_rows // width), dimensions, width), dtype=vectors.dtype)
    for i in range(len(panels)):
        for r in range(width):
            for d in range(dimensions):
                panels[i, d, r] = rows[i * width + r, d] if i * width + r < n_rows else 0
    # Some words at a time, which stay in the cache while they meet all rows.
    for begin in range(0, len(ids), _CACHED):
        end = min(begin + _CACHED, len(ids))
        # The last rows first: a block writes all of its lanes, and those without a row fall
        # on the first numbers of the next word, which is written after it.
        for i in range(len(panels) - 1, -1, -1):
            for first in range(begin, end, _WORDS):
                # Words are anywhere in memory: the next block's are on their way meanwhile.
                following = first + _WORDS if i == len(panels) - 1 else end
                for j in range(following, min(following + _WORDS, end)):
                    start = np.int64(ids[j]) * dimensions
                    for d in range(start, start + dimensions, _LANES):
                        fetch_to_read(vectors, d)
                if width == _LANES:
                    _narrow(vectors, ids, first, panels[i], flat, n_rows, i * width)
                else:
                    _wide(vectors, ids, first, panels[i], flat, n_rows, i * width)
    return True


def _windows(lanes: int) -> Any:
    """Windows of a sentence, of some filters, as a function for compiled code."""

    @intrinsic
    def windows(typingctx, rows, bias, tokens, start, count, first, height, f, best, place, out):
        signature = types.void(
            rows, bias, tokens, start, count, first, height, f, best, place, out
        )  # fmt: skip

        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature.args, arguments, lanes)
            rows, bias, tokens, best, place = map(code.array, (0, 1, 2, 8, 9))
            start, count, first, height, f, out = (arguments[i] for i in (3, 4, 5, 6, 7, 10))
            width = cgutils.unpack_tuple(builder, rows.shape)[1]
            n_filters = cgutils.unpack_tuple(builder, bias.shape)[0]
            where = ir.VectorType(ir.IntType(32), lanes)

            def window(i, found):
                """The greatest sums, and where they are, with one window more."""

                def word(k, sums):
                    row = builder.sext(builder.load(code.at(tokens, start, i, k)), index)
                    row = builder.mul(row, width)
                    part = code.load(rows, row, builder.mul(k, n_filters), f)
                    yield builder.fadd(sums[0], part)

                [total] = code.loop(height, [code.load(bias, f)], word)
                # Greater, not equal: the first of equal windows stays.
                greater = builder.fcmp_ordered(">", total, found[0])
                here = code.spread(builder.trunc(builder.add(first, i), ir.IntType(32)))
                yield builder.select(greater, total, found[0])
                yield builder.select(greater, here, found[1])

            before = code.load(best, out, f), code.load(place, out, f, kind=where)
            for value, array in zip(code.loop(count, before, window), (best, place)):
                code.store(value, array, out, f)
            return context.get_dummy_value()

        return signature, generate

    return windows


#: Lanes where a filter's fewer than sixteen; the last lanes are those of the last filters.
_FEW = 4
_windows_of_few, _windows_of_many = _windows(_FEW), _windows(_LANES)


@register_jitable
def _best_windows(rows, bias, tokens, start, count, first, height, best, place, out):
    """Of some whole windows of a sentence, those greater than the best so far.

    Args:
        rows: (U, h F) of :func:`project_rows`, C-contiguous.
        bias: (F,), C-contiguous.
        tokens: int32, rows of `rows`; the first window's begin at `start`.
        count: windows, one or more.
        first: number of the first window.
        height: h.
        best, place: flat, of B F numbers; those from `out` on are read and written.

    Returns:
        bool: False for fewer filters than a vector has lanes, of which nothing is done.
    """
    n_filters = len(bias)
    if n_filters < _FEW:
        return False
    lanes = _LANES if n_filters >= _LANES else _FEW
    for f in range(0, n_filters, lanes):
        f = min(f, n_filters - lanes)
        if lanes == _LANES:
            _windows_of_many(rows, bias, tokens, start, count, first, height, f, best, place, out)
        else:
            _windows_of_few(rows, bias, tokens, start, count, first, height, f, best, place, out)
    return True


@numba.njit(cache=True, nogil=True)
def pool_cpu(
    projected: np.ndarray,
    bias: np.ndarray,
    tokens: np.ndarray,
    offsets: np.ndarray,
    height: int,
    wide: bool,
    value: np.ndarray,
    argmax: np.ndarray,
) -> bool:
    """Maxima over time and their places; see :func:`replicate.fast.convolution.pool`.

    Args:
        projected: (U, h F) of :func:`project_rows`, C-contiguous, as `bias` and `tokens` are.
        value, argmax: (B, F), written to.

    Returns:
        False where a sentence has no words.
    """
    n_filters = len(bias)
    z = np.empty(n_filters, dtype=projected.dtype)
    flat_value, flat_argmax = value.reshape(-1), argmax.reshape(-1)
    for s in range(len(offsets) - 1):
        begin = offsets[s]
        length = offsets[s + 1] - begin
        if length < 1:
            return False
        first = 1 - height if wide else 0
        last = length - 1 if wide else max(length - height, 0)
        best = value[s]
        place = argmax[s]
        p = first
        while p <= last:
            whole = length - height + 1 - p
            # All windows without padding at once, after one to begin with.
            if p > first and p >= 0 and whole > 0 and _best_windows(
                projected, bias, tokens, begin + p, whole, p, height,
                flat_value, flat_argmax, s * n_filters,
            ):  # fmt: skip
                p += whole
                continue
            start = max(0, -p)
            stop = min(height, length - p)
            row = projected[tokens[begin + p + start], start * n_filters : (start + 1) * n_filters]
            for f in range(n_filters):
                z[f] = bias[f] + row[f]
            for k in range(start + 1, stop):
                row = projected[tokens[begin + p + k], k * n_filters : (k + 1) * n_filters]
                for f in range(n_filters):
                    z[f] += row[f]
            for f in range(n_filters):
                # Greater, not equal: the first of equal windows stays.
                if p == first or z[f] > best[f]:
                    best[f] = z[f]
                    place[f] = p
            p += 1
    return True


def _chunk(n_vectors: int) -> Any:
    """Some dimensions of a sum of word vectors, as a function for compiled code."""

    @intrinsic
    def chunk(typingctx, vectors, ids, scales, start, count, out, place, dimension):
        signature = types.void(vectors, ids, scales, start, count, out, place, dimension)

        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, signature.args, arguments)
            vectors, ids, scales, out = map(code.array, (0, 1, 2, 5))
            start, count, place, dimension = (arguments[i] for i in (3, 4, 6, 7))
            dimensions = cgutils.unpack_tuple(builder, vectors.shape)[1]
            parts = [index(v * _LANES) for v in range(n_vectors)]

            def step(i, sums):
                """Sums with one word more."""
                row = builder.sext(builder.load(code.at(ids, start, i)), index)
                row = builder.mul(row, dimensions)
                scale = code.spread(builder.load(code.at(scales, start, i)))
                for total, part in zip(sums, parts):
                    yield code.add(total, scale, code.load(vectors, row, dimension, part))

            totals = code.loop(count, [code.zero] * n_vectors, step)
            for total, part in zip(totals, parts):
                code.store(total, out, place, dimension, part)
            return context.get_dummy_value()

        return signature, generate

    return chunk


#: Vectors of a chunk: as many sums run side by side as hide most of the time of one
#: addition, and as few as stay in sixteen registers of half that width.
_VECTORS = 5
_chunk_of_one, _chunk_of_some = _chunk(1), _chunk(_VECTORS)


@register_jitable
def _sums_of_words(vectors, ids, scales, starts, counts, out):
    """R sums of scaled word vectors.

    .. math::
        out_{r,d} = \\sum_{i=starts_r}^{starts_r+counts_r-1} scales_i \\; vectors_{ids_i,d}

    Args:
        vectors: (V, D), C-contiguous.
        ids: int32, rows of `vectors`, which nobody checks.
        scales: as many, of the dtype of `vectors`.
        starts, counts: (R,) int64; of a count of 0 nothing is written.
        out: (R D,), written to.
    """
    dimensions = vectors.shape[1]
    if dimensions < _LANES:
        for r in range(len(counts)):
            for d in range(dimensions if counts[r] else 0):
                total = scales[starts[r]] * vectors[ids[starts[r]], d]
                for i in range(starts[r] + 1, starts[r] + counts[r]):
                    total += scales[i] * vectors[ids[i], d]
                out[r * dimensions + d] = total
        return
    some = dimensions >= _VECTORS * _LANES
    width = _VECTORS * _LANES if some else _LANES
    # One part of all words at a time, which fits into the cache.  The last part ends
    # where the vectors end, and repeats some dimensions of the one before.
    for d in range(0, dimensions, width):
        first = min(d, dimensions - width)
        for r in range(len(counts)):
            place = r * dimensions
            if counts[r] and some:
                _chunk_of_some(vectors, ids, scales, starts[r], counts[r], out, place, first)
            elif counts[r]:
                _chunk_of_one(vectors, ids, scales, starts[r], counts[r], out, place, first)


@numba.njit(cache=True, nogil=True)
def filters_cpu(
    gz: np.ndarray,
    argmax: np.ndarray,
    tokens: np.ndarray,
    offsets: np.ndarray,
    words: np.ndarray,
    height: int,
    out: np.ndarray,
) -> None:
    """Gradient of the filters from that at the winning windows.

    Args:
        gz, argmax: (B, F); where gz is 0 nothing is added.
        tokens, offsets: rows of `words` (U, D), C-contiguous, sentence by sentence.
        out: flat, of F h D zeros, written to.
    """
    n_sentences, n_filters = gz.shape
    # For each row of a filter, the words that met it in a winning window.
    start = np.arange(n_filters * height) * n_sentences
    count = np.zeros(n_filters * height, dtype=np.int64)
    scale = np.empty(n_filters * height * n_sentences, dtype=gz.dtype)
    word = np.empty(n_filters * height * n_sentences, dtype=np.int32)
    for s in range(n_sentences):
        begin = offsets[s]
        length = offsets[s + 1] - begin
        for f in range(n_filters):
            if gz[s, f] == 0:
                continue
            p = argmax[s, f]
            for k in range(max(0, -p), min(height, length - p)):
                r = f * height + k
                scale[start[r] + count[r]] = gz[s, f]
                word[start[r] + count[r]] = tokens[begin + p + k]
                count[r] += 1
    _sums_of_words(words, word, scale, start, count, out)
