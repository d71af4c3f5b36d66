"""Chainer's optimisers with their updates in one compiled loop over memory (5.3).

Chainer passes over weights, gradients and states several times, and takes a long way
around each parameter (devices, hooks, loss scaling).  With 100 filters and AdaDelta that
is a fifth of a training step.  Here the formula of an optimiser stands once, for a whole parameter and
for the rows of one (:mod:`replicate.fast.rows`).
"""

import math
from types import SimpleNamespace
from typing import Any, ClassVar

import numba
import numpy as np

from . import kernels
from .compat import chainer, cuda, optimizers

__all__ = [
    "FUSED",
    "RULES",
    "CompiledRule",
    "FusedAdaDelta",
    "FusedAdaGrad",
    "FusedAdam",
    "FusedMomentumSGD",
    "FusedSGD",
    "step",
]


# --- The formulas ------------------------------------------------------------------

# Products and sums are rounded one by one, in the order that Chainer has them in;
# divisions are NumPy's, without a check for zero that would keep them from SIMD.


@numba.njit(cache=True, nogil=True)
def _sgd(w, g, lr):
    for d in range(len(w)):
        w[d] -= lr * g[d]


@numba.njit(cache=True, nogil=True)
def _momentum(w, g, v, lr, momentum):
    for d in range(len(w)):
        v[d] = v[d] * momentum - lr * g[d]
        w[d] += v[d]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _adagrad(w, g, h, lr, eps):
    for d in range(len(w)):
        h[d] += g[d] * g[d]
        w[d] -= lr * g[d] / (np.sqrt(h[d]) + eps)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _adadelta(w, g, msg, msdx, rho, rest, eps):
    for d in range(len(w)):
        msg[d] = msg[d] * rho + rest * g[d] * g[d]
        dx = np.sqrt((msdx[d] + eps) / (msg[d] + eps)) * g[d]
        msdx[d] = msdx[d] * rho + rest * dx * dx
        w[d] -= dx


@numba.njit(cache=True, nogil=True)
def _decay(msg, msdx, rho):
    """AdaDelta where g = 0: the weight is not even read."""
    for d in range(len(msg)):
        msg[d] *= rho
        msdx[d] *= rho


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _adam(w, g, m, v, rate, rest1, rest2, eps):
    for d in range(len(w)):
        m[d] += rest1 * (g[d] - m[d])
        v[d] += rest2 * (g[d] * g[d] - v[d])
        w[d] -= rate * m[d] / (np.sqrt(v[d]) + eps)


#: Numbers of the formulas in compiled code.
SGD, MOMENTUM, ADAGRAD, ADADELTA, ADAM, ADADELTA_ABSENT = range(6)


@numba.njit(inline="always", cache=True, nogil=True)
def step(
    kind: int,
    weight: np.ndarray,
    g: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    begin: int,
    end: int,
    c: np.ndarray,
) -> None:
    """One step of neighbouring rows (n, D), which have one gradient (D,); `c` are constants."""
    # A loop for each formula, which is then compiled into it: a call of one costs as much.
    if kind == SGD:
        for i in range(begin, end):
            _sgd(weight[i], g, c[0])
    elif kind == MOMENTUM:
        for i in range(begin, end):
            _momentum(weight[i], g, first[i], c[0], c[1])
    elif kind == ADAGRAD:
        for i in range(begin, end):
            _adagrad(weight[i], g, first[i], c[0], c[1])
    elif kind == ADADELTA:
        for i in range(begin, end):
            _adadelta(weight[i], g, first[i], second[i], c[0], c[1], c[2])
    elif kind == ADADELTA_ABSENT:
        for i in range(begin, end):
            _decay(first[i], second[i], c[0])
    else:
        for i in range(begin, end):
            _adam(weight[i], g, first[i], second[i], c[0], c[1], c[2], c[3])


class CompiledRule(chainer.UpdateRule):
    """An update rule of Chainer's whose formula is also compiled.

    Attributes:
        kind: number of the formula in compiled code.
        names: its states, in the formula's order.
        moves: whether a row whose gradient is zero moves nevertheless, or its states do.
    """

    kind: ClassVar[int]
    names: ClassVar[tuple[str, ...]] = ()
    moves: ClassVar[bool] = True

    _hooked = False

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        """Numbers of the formula, from hyperparameters; None where only Chainer has the form."""
        return None

    def add_hook(self, *args: Any, **kwargs: Any) -> None:
        """Chainer's: a rule with hooks takes Chainer's whole way through an update."""
        self._hooked = True
        super().add_hook(*args, **kwargs)

    def _plain(self, param):
        """Whether nothing is due around an update but the update itself."""
        ready = self.enabled and self._state is not None
        return ready and not self._hooked and param._loss_scale is None


class SGDRule(CompiledRule, optimizers.sgd.SGDRule):
    """SGD: w -= lr g."""

    kind = SGD
    moves = False

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        return (hp.lr,)


class MomentumSGDRule(CompiledRule, optimizers.momentum_sgd.MomentumSGDRule):
    """MomentumSGD: v = momentum v - lr g; w += v."""

    kind = MOMENTUM
    names = ("v",)

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        return hp.lr, hp.momentum


class AdaGradRule(CompiledRule, optimizers.ada_grad.AdaGradRule):
    """AdaGrad: h += g g; w -= lr g / (sqrt(h) + eps)."""

    kind = ADAGRAD
    names = ("h",)
    moves = False

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        return hp.lr, hp.eps


class AdaDeltaRule(CompiledRule, optimizers.ada_delta.AdaDeltaRule):
    """AdaDelta: where g = 0, both states decay and the weight rests."""

    kind = ADADELTA
    names = ("msg", "msdx")

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        return hp.rho, 1 - hp.rho, hp.eps


class AdamRule(CompiledRule, optimizers.adam.AdamRule):
    """Adam in its first form; its other forms are Chainer's."""

    kind = ADAM
    names = ("m", "v")

    def constants(self, hp: Any) -> tuple[float, ...] | None:
        if hp.amsgrad or hp.adabound or hp.weight_decay_rate:
            return None
        # Chainer's alpha_t, which looks each hyperparameter up in a chain.
        fix1, fix2 = 1.0 - math.pow(hp.beta1, self.t), 1.0 - math.pow(hp.beta2, self.t)
        return hp.alpha * math.sqrt(fix2) / fix1 * hp.eta, 1 - hp.beta1, 1 - hp.beta2, hp.eps


#: The compiled rule of each of Chainer's optimisers.
RULES: dict[type, type[CompiledRule]] = {
    optimizers.SGD: SGDRule,
    optimizers.MomentumSGD: MomentumSGDRule,
    optimizers.AdaGrad: AdaGradRule,
    optimizers.AdaDelta: AdaDeltaRule,
    optimizers.Adam: AdamRule,
}


# --- Whole parameters --------------------------------------------------------------


class FusedRule(CompiledRule):
    """Part of an update rule: one compiled loop over a parameter, on a GPU Adam's one kernel.

    It is combined with a rule of :data:`RULES`, whose formula it takes.  What it has no
    loop for is Chainer's: a parameter with hooks goes Chainer's way around it, and
    numbers other than float32 or not side by side in memory Chainer's update too.  A
    parameter without a gradient is left, with its states.
    """

    def __init__(self, parent_hyperparam: Any, shared: dict) -> None:
        super().__init__(parent_hyperparam)
        # What the rules of one update have in common, while it lasts.
        self._shared = shared

    def update(self, param: Any) -> None:
        kind = type(param.array)
        plain = (
            self._plain(param)
            and (kind is np.ndarray or kind is cuda.ndarray)
            and all(type(self._state[name]) is kind for name in self.names)
        )
        if not plain:
            super().update(param)
            return
        self.t += 1
        if kind is np.ndarray:
            self.update_core_cpu(param)
        else:
            self.update_core_gpu(param)

    def update_core_cpu(self, param: Any) -> None:
        if not self._fused(param):
            super().update_core_cpu(param)

    def update_core_gpu(self, param: Any) -> None:
        if self.kind != ADAM or not self._fused(param):
            super().update_core_gpu(param)

    def _fused(self, param):
        """Update, at once or with the other parameters; whether there is a loop for it."""
        weight, grad = param.array, param.grad
        numbers = self._numbers()
        if numbers is None or weight.dtype != np.float32 or not weight.flags.c_contiguous:
            return False
        if grad is not None:
            grad = cuda.get_array_module(weight).ascontiguousarray(grad)
            arrays = (weight, grad, *(self._state[name] for name in self.names))
            if "waiting" in self._shared and not self._hooked:
                self._shared["waiting"].append((self.kind, arrays, numbers))
            else:
                _update_all([(self.kind, arrays, numbers)])
        return True

    def _numbers(self):
        """The formula's constants as (4,) float32, or None."""
        # Chainer looks each name up in a chain of three; rules that have no
        # hyperparameter of their own, and all else in common, do so once.
        own = len(self.hyperparam.__dict__) > 1  # beside its parent
        if not own and self.t in self._shared:
            return self._shared[self.t]
        found = self.constants(SimpleNamespace(**self.hyperparam.get_dict()))
        numbers = None
        if found is not None:
            numbers = np.zeros(4, dtype=np.float32)
            numbers[: len(found)] = found
        if not own:
            self._shared[self.t] = numbers
        return numbers


_FUSED_RULES = {
    kind: type(f"Fused{rule.__name__}", (FusedRule, rule), {"__doc__": rule.__doc__})
    for kind, rule in RULES.items()
}


class _Fused:
    """Part of an optimiser: its rules are fused, and update together."""

    hyperparam: Any
    target: Any
    t: int
    _hookable: Any
    _loss_scale: Any
    _loss_scaling_is_dynamic: bool

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._shared = {}

    def create_update_rule(self) -> Any:
        """A parameter's own rule, as Chainer asks for it."""
        rule = next(rule for kind, rule in _FUSED_RULES.items() if isinstance(self, kind))
        return rule(self.hyperparam, self._shared)

    def update(self, lossfun=None, *args, **kwargs):
        shared, hooks = self._shared, self._hookable
        # A hook after the update must find it made.
        if not hooks._post_update_hooks:
            shared["waiting"] = []
        try:
            if lossfun or hooks._pre_update_hooks or hooks._post_update_hooks or self._scales:
                super().update(lossfun, *args, **kwargs)  # type: ignore[misc]  # a part of a class
            else:
                # What is left of Chainer's way, which takes as long as the arithmetic.
                self.t += 1
                for param in self.target.params():
                    if param.update_rule is not None:
                        param.update_rule.update(param)
            _update_all(shared.get("waiting", ()))
        finally:
            shared.clear()

    @property
    def _scales(self):
        """Whether the loss is scaled, which Chainer undoes."""
        return self._loss_scale is not None or self._loss_scaling_is_dynamic

    def reallocate_cleared_grads(self) -> None:
        """Nothing: the rule leaves out a parameter without a gradient (Chainer allows this)."""


class FusedSGD(_Fused, optimizers.SGD):
    """Chainer's SGD in one loop."""


class FusedMomentumSGD(_Fused, optimizers.MomentumSGD):
    """Chainer's MomentumSGD in one loop."""


class FusedAdaGrad(_Fused, optimizers.AdaGrad):
    """Chainer's AdaGrad in one loop."""


class FusedAdaDelta(_Fused, optimizers.AdaDelta):
    """Chainer's AdaDelta in one loop."""


class FusedAdam(_Fused, optimizers.Adam):
    """Chainer's Adam: on a CPU one loop over memory instead of twelve, on a GPU one kernel."""


#: Optimisers by the names of Chainer's.
FUSED: dict[str, type] = {
    "SGD": FusedSGD,
    "MomentumSGD": FusedMomentumSGD,
    "AdaGrad": FusedAdaGrad,
    "AdaDelta": FusedAdaDelta,
    "Adam": FusedAdam,
}


def _update_all(waiting):
    """The updates of some parameters; those of a network with one height in one call."""
    if waiting and isinstance(waiting[0][1][0], cuda.ndarray):
        groups: dict[tuple, list] = {}
        for _, arrays, numbers in waiting:
            groups.setdefault(tuple(numbers), []).append(arrays)
        for constants, parameters in groups.items():
            kernels.adam(parameters, *constants)
        return
    filled = [(kind, (*arrays, *arrays[:1] * (4 - len(arrays))), c) for kind, arrays, c in waiting]
    shapes = [arrays[0].ndim for _, arrays, _ in filled]
    # Rules with a common hyperparameter have one array of constants.
    if shapes == [4, 1, 2, 1] and all(c is filled[0][2] for _, _, c in filled):
        kind, _, constants = filled[0]
        _step_of_four(kind, *(array for _, arrays, _ in filled for array in arrays), constants)
        return
    for kind, arrays, constants in filled:
        _step_of_one(kind, *(array.ravel() for array in arrays), constants)


@numba.njit(cache=True, nogil=True)
def _step_of_one(kind, weight, g, first, second, c):
    """One step of a flat parameter; a state that the formula has not may be any array."""
    n = len(weight)
    step(kind, weight.reshape(1, n), g, first.reshape(1, n), second.reshape(1, n), 0, 1, c)


@numba.njit(cache=True, nogil=True)
def _step_of_four(kind, w0, g0, a0, b0, w1, g1, a1, b1, w2, g2, a2, b2, w3, g3, a3, b3, c):
    # Calls from Python cost as much as the arithmetic where there are few filters.
    _step_of_one(kind, w0.ravel(), g0.ravel(), a0.ravel(), b0.ravel(), c)
    _step_of_one(kind, w1, g1, a1, b1, c)
    _step_of_one(kind, w2.ravel(), g2.ravel(), a2.ravel(), b2.ravel(), c)
    _step_of_one(kind, w3, g3, a3, b3, c)
