"""Chainer's Adam with its update in one compiled loop over memory, or one kernel (5.3)."""

from types import SimpleNamespace

import numba
import numpy as np

from . import kernels
from .compat import cuda, optimizers
from .rows import _adam

__all__ = ["FusedAdam"]


class FusedAdam(optimizers.Adam):
    """Chainer's Adam: on a CPU one loop over memory instead of twelve, on a GPU one kernel."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # What the rules of one update have in common, while it lasts.
        self._shared = {}

    def create_update_rule(self) -> "FusedAdamRule":
        """A parameter's own rule, as Chainer asks for it."""
        return FusedAdamRule(self.hyperparam, self._shared)

    def update(self, *args, **kwargs):
        shared = self._shared
        # A hook after the update must find it made.
        if not self._hookable._post_update_hooks:
            shared["waiting"] = []
        try:
            super().update(*args, **kwargs)
            _update_all(shared.get("waiting", ()))
        finally:
            shared.clear()

    def reallocate_cleared_grads(self) -> None:
        """Nothing: the rule leaves out a parameter without a gradient (Chainer allows this)."""


def _update_all(waiting):
    """The updates of some parameters; those of a network with one height in one call."""
    if waiting and isinstance(waiting[0][0][0], cuda.ndarray):
        for constants in dict.fromkeys(constants for _, constants in waiting):
            kernels.adam([arrays for arrays, own in waiting if own == constants], *constants)
        return
    same = len(waiting) == 4 and len({constants for _, constants in waiting}) == 1
    if same and [arrays[0].ndim for arrays, _ in waiting] == [4, 1, 2, 1]:
        flat = [array for arrays, _ in waiting for array in arrays]
        _adam_of_four(*flat, *waiting[0][1])
        return
    for arrays, constants in waiting:
        _adam(*(array.ravel() for array in arrays), *constants)


@numba.njit(cache=True, nogil=True)
def _adam_of_four(
    w0, g0, m0, v0, w1, g1, m1, v1, w2, g2, m2, v2, w3, g3, m3, v3, rate, rest1, rest2, eps
):
    # Calls from Python cost as much as the arithmetic where there are few filters.
    _adam(w0.ravel(), g0.ravel(), m0.ravel(), v0.ravel(), rate, rest1, rest2, eps)
    _adam(w1, g1, m1, v1, rate, rest1, rest2, eps)
    _adam(w2.ravel(), g2.ravel(), m2.ravel(), v2.ravel(), rate, rest1, rest2, eps)
    _adam(w3, g3, m3, v3, rate, rest1, rest2, eps)


class FusedAdamRule(optimizers.adam.AdamRule):
    """Update rule of :class:`FusedAdam`: Chainer's formula, element by element."""

    _hooked = False

    def __init__(self, parent_hyperparam, shared):
        super().__init__(parent_hyperparam)
        self._shared = shared

    def add_hook(self, *args, **kwargs):
        self._hooked = True
        super().add_hook(*args, **kwargs)

    def update(self, param):
        # Chainer's way around a parameter (devices, states, loss scaling, hooks)
        # costs more than the update itself; a plain array needs none of it.
        kind = type(param.array)
        plain = (
            self.enabled
            and self._state is not None
            and not self._hooked
            and param._loss_scale is None
            and (kind is np.ndarray or kind is cuda.ndarray)
            and type(self._state["m"]) is kind
        )
        if not plain:
            super().update(param)
            return
        self.t += 1
        if kind is np.ndarray:
            self.update_core_cpu(param)
        else:
            self.update_core_gpu(param)

    def update_core_cpu(self, param):
        if not self._fused(param):
            super().update_core_cpu(param)

    def update_core_gpu(self, param):
        if not self._fused(param):
            super().update_core_gpu(param)

    def _fused(self, param):
        """Update, at once or with the other parameters; whether there is a loop for it."""
        constants, weight, grad = self._constants(), param.array, param.grad
        if constants is None or weight.dtype != np.float32 or not weight.flags.c_contiguous:
            return False
        if grad is not None:
            grad = cuda.get_array_module(weight).ascontiguousarray(grad)
            arrays = weight, grad, self._state["m"], self._state["v"]
            if "waiting" in self._shared and not self._hooked:
                self._shared["waiting"].append((arrays, constants))
            else:
                _update_all([(arrays, constants)])
        return True

    def _constants(self):
        """Step size, 1 - beta1, 1 - beta2 and epsilon; None for a form of Adam other than its first."""
        # Chainer looks each name up in a chain of three; rules that have no
        # hyperparameter of their own, and all else in common, do so once.
        own = len(self.hyperparam.__dict__) > 1  # beside its parent
        if not own and self.t in self._shared:
            return self._shared[self.t]
        hp = SimpleNamespace(**self.hyperparam.get_dict())
        constants = None
        if not (hp.amsgrad or hp.adabound or hp.weight_decay_rate):
            numbers = (self.alpha_t * hp.eta, 1 - hp.beta1, 1 - hp.beta2, hp.eps)
            constants = tuple(map(np.float32, numbers))
        if not own:
            self._shared[self.t] = constants
        return constants
