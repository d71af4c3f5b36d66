"""A gradient that holds some rows of a matrix only, and optimisers that update with it (5.3).

A batch of MR has a thousand of 18,766 words.  Chainer's gradient of the word
vectors has all rows nevertheless, and its optimisers pass over them several
times.  Here the gradient is the rows that occurred.  SGD and AdaGrad then
leave all others as they are.  Adam, AdaDelta and MomentumSGD move them too,
by their states: one pass over weights and states does it.
"""

from typing import Any

import numba
import numpy as np

from .compat import chainer, optimizer_hooks
from .optimizers import ADADELTA, ADADELTA_ABSENT, RULES, CompiledRule, step
from .product import fetch_to_write

__all__ = ["RowDecay", "RowParameter", "RowRule", "set_row_rule"]


class RowParameter(chainer.Parameter):
    """A parameter (n, D) whose gradient may be of some rows only, all others being zero.

    :attr:`grad` is Chainer's dense gradient (n, D) at all times: it is made from
    the rows when somebody asks for it, so hooks that read or change it work as
    with any parameter.  From then on it, and not the rows, is the gradient.

    Attributes:
        ids (array or None): (U,) int32, distinct rows that occurred in the batch.
        values (numpy.ndarray or None): (U, D), their gradient; None where the
            gradient is dense or missing.
        decay (float): times the parameter is to be added to the gradient.

    Example:
        >>> param = RowParameter(np.zeros((3, 2), dtype=np.float32))
        >>> param.set_rows(np.array([2]), np.ones((1, 2), dtype=np.float32))
        >>> param.values.tolist(), param.grad.tolist(), param.values is None
        ([[1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]], True)
    """

    ids = None
    values = None
    decay = 0.0

    def set_rows(self, ids: np.ndarray, values: np.ndarray) -> None:
        """Make rows the gradient, in place of any before; on a device a dense one.

        Args:
            ids: (U,) int32, distinct rows.
            values: (U, D), of the parameter's dtype.
        """
        self.cleargrad()
        self.ids, self.values = ids, values
        if type(values) is not np.ndarray:
            # The pass below is of the host.
            self._make_dense()

    def cleargrad(self) -> None:
        """Chainer's: no gradient, and nothing is known of the rows."""
        super().cleargrad()
        self.ids = None

    # All ways to a gradient go through these four of Chainer's.

    def _get_grad(self):
        self._make_dense()
        return super()._get_grad()

    def _ensure_grad_var_up_to_date(self):
        self._make_dense()
        super()._ensure_grad_var_up_to_date()

    def _set_grad_without_check(self, g):
        self._forget_rows()
        super()._set_grad_without_check(g)

    def _set_grad_var_without_check(self, gv):
        self._forget_rows()
        super()._set_grad_var_without_check(gv)

    def _forget_rows(self):
        self.values, self.decay = None, 0.0

    def _make_dense(self):
        if self.values is not None:
            dense = np.zeros_like(self.array)
            dense[self.ids] += self.values
            if self.decay:
                dense += self.decay * self.array
            self._set_grad_without_check(dense)

    def __copy__(self):
        return self._copy_to(RowParameter())

    def __reduce__(self):
        self._make_dense()
        make, arguments = super().__reduce__()
        return _of_rows, (make, arguments)


def _of_rows(make, arguments):
    """Chainer makes a plain parameter from what was pickled."""
    param = make(*arguments)
    param.__class__ = RowParameter
    return param


class RowDecay(optimizer_hooks.WeightDecay):
    """Chainer's weight decay, which leaves a gradient of rows as it is: the update adds it."""

    def __call__(self, rule: Any, param: Any) -> None:
        if getattr(param, "values", None) is None or param._loss_scale is not None:
            super().__call__(rule, param)
        else:
            param.decay += self.rate


class RowRule(CompiledRule):
    """Part of an update rule: with a gradient of rows, one compiled pass over what moves.

    It is combined with a rule of :data:`~replicate.fast.optimizers.RULES`, whose formula it
    takes; with every other gradient Chainer's updates.  SGD, MomentumSGD, AdaGrad and
    AdaDelta give the same bits as Chainer's, Adam those of
    :class:`~replicate.fast.optimizers.FusedAdam`.

    Args:
        parent_hyperparam: the optimiser's.
        stay (bool): rows that did not occur are left, with their states, whatever the
            optimiser would do.  The rows of a dense gradient that occurred are then
            :attr:`RowParameter.ids`.

    Raises:
        RuntimeError: in an update, if rows are to stay and nobody said which occurred.
    """

    _state: Any  # Chainer's: name -> array

    def __init__(self, parent_hyperparam: Any, stay: bool = False) -> None:
        super().__init__(parent_hyperparam)
        self.stay = stay

    def update(self, param: Any) -> None:
        # As in FusedRule: Chainer's way around a parameter costs as much as the rows.
        if getattr(param, "values", None) is None or not self._plain(param):
            super().update(param)
            return
        self.t += 1
        self.update_core(param)

    def update_core(self, param: Any) -> None:
        values: Any = getattr(param, "values", None)
        constants = None if values is None else self.constants(self.hyperparam)
        if constants is not None:
            arrays = [param.array, *(self._state[name] for name in self.names)]
            numbers = np.zeros(4, dtype=values.dtype)
            numbers[: len(constants)] = constants
            weight, first, second = (*arrays, param.array, param.array)[:3]
            every = not self.stay and (self.moves or param.decay != 0)
            decay = values.dtype.type(param.decay)
            _update(self.kind, weight, first, second, param.ids, values, every, decay, numbers)
        elif self.stay:
            self._update_part(param)
        else:
            super().update_core(param)

    def _update_part(self, param):
        """Chainer's update of the rows that occurred, on any device."""
        ids, whole = param.ids, self._state
        if ids is None:
            raise RuntimeError(
                "absent_words = stay needs the words of the batch: use TextCNN.set_gradients"
            )
        part = chainer.Parameter(param.array[ids])
        part.grad = param.grad[ids]
        self._state = {name: state[ids] for name, state in whole.items()}
        try:
            super().update_core(part)
            param.array[ids] = part.array
            for name, state in self._state.items():
                whole[name][ids] = state
        finally:
            self._state = whole


_ROW_RULES = {
    kind: type(f"Row{rule.__name__}", (RowRule, rule), {"__doc__": rule.__doc__})
    for kind, rule in RULES.items()
}


def set_row_rule(optimizer: Any, param: RowParameter, stay: bool = False) -> None:
    """Let an optimiser that was set up update a parameter by rows.

    Args:
        optimizer (chainer.Optimizer): SGD, MomentumSGD, AdaGrad, AdaDelta or Adam.
        param: of the optimiser's target.
        stay: see :class:`RowRule`.

    Example:
        >>> link = chainer.Link()
        >>> with link.init_scope():
        ...     link.W = RowParameter(np.ones((3, 1), dtype=np.float32))
        >>> optimizer = chainer.optimizers.SGD(lr=0.5).setup(link)
        >>> set_row_rule(optimizer, link.W)
        >>> link.W.set_rows(np.array([2]), np.ones((1, 1), dtype=np.float32))
        >>> optimizer.update()
        >>> link.W.array.ravel().tolist()
        [1.0, 1.0, 0.5]
    """
    rule = next(rule for kind, rule in _ROW_RULES.items() if isinstance(optimizer, kind))
    param.update_rule = rule(optimizer.hyperparam, stay)
    # It would ask for the gradient, which would be made dense; Chainer allows this.
    optimizer.reallocate_cleared_grads = _nothing


def _nothing():
    pass


# --- The pass --------------------------------------------------------------------


@numba.njit(cache=True, nogil=True)
def _update(kind, weight, first, second, ids, values, every, decay, c):
    """One step of the rows `ids`, or of every row, whose gradient is zero if not among them."""
    n, dimensions = weight.shape
    if not every and decay == 0:
        for i in range(len(ids)):
            if i + 2 < len(ids):
                after = np.int64(ids[i + 2]) * dimensions
                for d in range(after, after + dimensions, 16):
                    fetch_to_write(weight, d)
                    fetch_to_write(first, d)
                    fetch_to_write(second, d)
            step(kind, weight, values[i], first, second, ids[i], ids[i] + 1, c)
        return
    zero = np.zeros(dimensions, dtype=weight.dtype)
    decayed = np.empty(dimensions, dtype=weight.dtype)
    place = np.full(n, -1, dtype=np.int32)
    for i in range(len(ids)):
        place[ids[i]] = i
    if decay != 0:
        for i in range(n if every else len(ids)):
            row = i if every else ids[i]
            g = zero if place[row] < 0 else values[place[row]]
            for d in range(dimensions):
                decayed[d] = g[d] + decay * weight[row, d]
            step(kind, weight, decayed, first, second, row, row + 1, c)
    else:
        # Absent rows that never occurred, and so do not move, are not left out: over the
        # gaps the processor would not fetch ahead, which takes longer.
        absent = ADADELTA_ABSENT if kind == ADADELTA else kind
        row = 0
        while row < n:
            begin = row
            while row < n and place[row] < 0:
                row += 1
            step(absent, weight, zero, first, second, begin, row, c)
            if row < n:
                g = values[place[row]]
                step(kind, weight, g, first, second, row, row + 1, c)
                row += 1
