"""Word vectors times filters on a CPU, in one pass over the vectors and with no copy of them.

A general matrix product wants its rows side by side, so the rows of a batch are
copied first; and with few filters it uses a fraction of the processor.  Here a
block of words stays in vector registers, one lane a row of the filters, and the
vectors are read where they are.  Every number is summed over the dimensions in
their order, so its bits depend on no other word, and on no library.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["project_rows"]

#: Words of a block: as many sums run side by side as hide the time of one addition.
_WORDS = 8


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
        IndexError: for an id that is no row of `vectors`.

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


def _block(n_vectors: int) -> Any:
    """A block of words times 16 or 32 rows, as a function for compiled code.

    Numba's own loops cannot say that eight sums of sixteen lanes stay in registers,
    so this one is written in LLVM's language.  For each dimension it loads a vector
    of weights, and adds to each word's sums its number times that vector.
    """

    @intrinsic
    def block(typingctx, vectors, ids, first, panel, out, n_rows, column):
        signature = types.void(vectors, ids, first, panel, out, n_rows, column)

        def generate(context, builder, signature, arguments):
            index = ir.IntType(64)
            number = context.get_value_type(signature.args[0].dtype)
            vector = ir.VectorType(number, _LANES)
            lanes = ir.VectorType(ir.IntType(32), _LANES)

            def array(i):
                return context.make_array(signature.args[i])(context, builder, arguments[i])

            def at(data, *offsets):
                place = offsets[0]
                for offset in offsets[1:]:
                    place = builder.add(place, offset)
                return builder.gep(data, [place])

            def vector_at(data, *offsets):
                return builder.bitcast(at(data, *offsets), vector.as_pointer())

            vectors, ids, panel, out = map(array, (0, 1, 3, 4))
            first, n_rows, column = (arguments[i] for i in (2, 5, 6))
            dimensions = cgutils.unpack_tuple(builder, vectors.shape)[1]
            last = builder.sub(cgutils.unpack_tuple(builder, ids.shape)[0], index(1))
            align = context.get_abi_sizeof(number)

            # Beyond the last word comes the last word again.
            words = [builder.add(first, index(j)) for j in range(_WORDS)]
            words = [
                builder.select(builder.icmp_signed("<", word, last), word, last) for word in words
            ]
            starts = []
            for word in words:
                row = builder.sext(builder.load(at(ids.data, word)), index)
                starts.append(builder.mul(row, dimensions))

            before = builder.block
            loop, after = map(builder.append_basic_block, ("dimension", "done"))
            builder.branch(loop)
            builder.position_at_end(loop)
            d = builder.phi(index)
            d.add_incoming(index(0), before)
            sums = [[builder.phi(vector) for _ in range(n_vectors)] for _ in words]
            row = builder.mul(d, index(n_vectors * _LANES))
            weights = []
            for v in range(n_vectors):
                load = builder.load(vector_at(panel.data, row, index(v * _LANES)))
                load.align = align
                weights.append(load)
            nothing = ir.Constant(vector, ir.Undefined)
            totals = []
            for start, own in zip(starts, sums):
                value = builder.insert_element(
                    nothing, builder.load(at(vectors.data, start, d)), ir.IntType(32)(0)
                )
                value = builder.shuffle_vector(value, nothing, ir.Constant(lanes, [0] * _LANES))
                fused = ("contract",)  # product and sum may be one instruction
                totals.append(
                    [
                        builder.fadd(total, builder.fmul(value, weight, flags=fused), flags=fused)
                        for total, weight in zip(own, weights)
                    ]
                )
            following = builder.add(d, index(1))
            d.add_incoming(following, loop)
            for own, new in zip(sums, totals):
                for total, value in zip(own, new):
                    total.add_incoming(ir.Constant(vector, [0.0] * _LANES), before)
                    total.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, dimensions), loop, after)
            builder.position_at_end(after)
            for word, new in zip(words, totals):
                for v, value in enumerate(new):
                    place = vector_at(
                        out.data, builder.mul(word, n_rows), column, index(v * _LANES)
                    )
                    builder.store(value, place).align = align
            return context.get_dummy_value()

        return signature, generate

    return block


_narrow, _wide = _block(1), _block(2)


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
    panel = np.zeros((dimensions, width), dtype=vectors.dtype)
    # The last rows first: a block writes all of its lanes, and those without a row fall
    # on the first numbers of the next word, which is written after it.
    for column in range((n_rows - 1) // width * width, -1, -width):
        for r in range(width):
            for d in range(dimensions):
                panel[d, r] = rows[column + r, d] if column + r < n_rows else 0
        for first in range(0, len(ids), _WORDS):
            if width == _LANES:
                _narrow(vectors, ids, first, panel, flat, n_rows, column)
            else:
                _wide(vectors, ids, first, panel, flat, n_rows, column)
    return True
