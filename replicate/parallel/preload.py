"""Imported once by the server that workers are forked from, so that each starts warm.

Compiled loops are loaded from Numba's cache (or compiled, the first time) by
calling them on a few numbers; a worker forked afterwards has them at once.
"""

import contextlib

__all__ = ["warm_up"]


def warm_up() -> None:
    """Import the stages, and call every compiled loop of training and recording once, in float32."""
    import numpy as np

    from .. import experiment, training  # noqa: F401
    from ..fast import convolution as functions
    from ..fast import optimizers

    words = np.ones((3, 2), dtype=np.float32)
    # As those of a run, which are mapped read-only; to Numba that is another type.
    words.flags.writeable = False
    weight = np.ones((1, 1, 2, 2), dtype=np.float32)
    tokens = np.array([0, 1, 2], dtype=np.int32)
    offsets = np.array([0, 3])
    functions.gather_rows(words, tokens)
    projected = functions.project(words, weight, tokens)
    pooled = functions.pool(projected, weight[0, 0, 0, :1], tokens, offsets, 2, True)
    where = pooled.argmax
    gz = np.ones((1, 1), dtype=np.float32)
    functions._gradient_of_filters(gz, where, tokens, offsets, words, 2)
    functions._gradient_of_words(gz, where, tokens, offsets, weight, 3)
    functions.mean_absolute_gradient(gz, where, offsets, weight, 3)
    labels, mark = np.zeros(1, dtype=np.int32), np.zeros((3, 2), dtype=np.int32)
    training._pack(tokens, offsets, labels, np.array([0]), mark, 1)
    shapes = (1, 1, 2, 2), (1,), (1, 1), (1,)
    arrays = [np.ones(shape, dtype=np.float32) for shape in shapes for _ in range(4)]
    constants = np.ones(4, dtype=np.float32)
    optimizers._step_of_four(optimizers.ADAM, *arrays, constants)
    optimizers._step_of_one(optimizers.ADAM, *(array.ravel() for array in arrays[:4]), constants)


# An error here would end the server; a worker that meets it again reports it.
with contextlib.suppress(Exception):
    warm_up()
