"""The fused optimisers are Chainer's: the same steps, whatever is hooked to them."""

import numpy as np
import pytest

from replicate.fast import optimizers as fast
from replicate.fast.compat import chainer, optimizer_hooks, optimizers
from replicate.fast.optimizers import FUSED, FusedAdam
from replicate.training import MaxNorm

KIND = pytest.mark.parametrize("kind", FUSED)
#: Rates at which each step is seen, and one that is a little off.
RATES = {
    "SGD": {"lr": 0.1}, "MomentumSGD": {"lr": 0.1}, "AdaGrad": {"lr": 0.1},
    "AdaDelta": {"rho": 0.95}, "Adam": {"alpha": 0.02},
}  # fmt: skip
OFF = {kind: {name: 0.96 * value for name, value in rate.items()} for kind, rate in RATES.items()}
SHAPES = {"a": (4, 3), "b": (5,), "c": ()}


def network():
    """Three parameters, no two of one shape."""
    link, random = chainer.Link(), np.random.RandomState(1)
    with link.init_scope():
        for name, shape in SHAPES.items():
            value = np.asarray(random.rand(*shape), dtype=np.float32)
            setattr(link, name, chainer.Parameter(value))
    return link


STEPS = range(20)


def updated(optimizer, steps=STEPS, missing=(), prepare=lambda optimizer: None, link=None):
    """Parameters and states after some updates, whose gradients are of many sizes."""
    link = network() if link is None else link
    optimizer.setup(link)
    prepare(optimizer)
    for step in steps:
        random = np.random.RandomState(step)
        for name, param in sorted(link.namedparams()):
            gradient = random.randn(*param.shape) * 10.0 ** random.randint(-4, 2)
            param.grad = None if name[1:] in missing else np.asarray(gradient, dtype=np.float32)
        optimizer.update()
    found = {}
    for name, param in link.namedparams():
        found[name] = param.array
        found.update({name + key: value for key, value in (param.update_rule.state or {}).items()})
    return found


def assert_alike(ours, chainers):
    assert ours.keys() == chainers.keys() and len(ours) >= 2
    for name, value in chainers.items():
        np.testing.assert_allclose(ours[name], value, rtol=2e-5, atol=1e-7, err_msg=name)


def assert_chainers(kind, ours, chainers):
    """The same bits; of Adam, whose formula Chainer rounds in another order, nearly."""
    assert_alike(ours, chainers)
    if kind != "Adam":
        assert bits(ours) == bits(chainers)


def bits(found):
    return {name: value.tobytes() for name, value in found.items()}


def hooked(optimizer):
    """A hook of one parameter's rule, which halves its gradient."""

    def halve(rule, param):
        param.grad *= 0.5

    optimizer.target.a.update_rule.add_hook(halve, "halve")


def own_rate(optimizer):
    hyperparam = optimizer.target.b.update_rule.hyperparam
    name = (
        "rho" if hasattr(hyperparam, "rho") else "alpha" if hasattr(hyperparam, "alpha") else "lr"
    )
    setattr(hyperparam, name, 0.5)


def disabled(optimizer):
    optimizer.target.c.update_rule.enabled = False


PREPARED = {
    "nothing": lambda optimizer: None,
    "weight decay": lambda o: o.add_hook(optimizer_hooks.WeightDecay(0.01)),
    "a hook of one": hooked,
    "max-norm": lambda o: o.target.a.update_rule.add_hook(MaxNorm(0.5)),
    "a rate of its own": own_rate,
    "one that rests": disabled,
}


@KIND
@pytest.mark.parametrize("name", PREPARED)
def test_fused_is_chainers(kind, name):
    """Weights and states after 20 steps."""
    ours, chainers = (
        updated(make(**RATES[kind]), prepare=PREPARED[name])
        for make in (FUSED[kind], getattr(optimizers, kind))
    )
    assert_chainers(kind, ours, chainers)
    # Twin: each but the first moves the weights elsewhere.
    plain = updated(FUSED[kind](**(OFF if name == "nothing" else RATES)[kind]))
    with pytest.raises(AssertionError):
        assert_chainers(kind, ours, plain)


@KIND
@pytest.mark.parametrize("name", PREPARED)
def test_no_parameter_takes_chainers_loop(kind, name, monkeypatch):
    """Every update after the first is made by the compiled loop."""
    rule = fast.RULES[getattr(optimizers, kind)].__mro__[2]
    called = []
    real = rule.update_core_cpu
    monkeypatch.setattr(
        rule, "update_core_cpu", lambda self, param: called.append(param.name) or real(self, param)
    )
    updated(FUSED[kind](**RATES[kind]), prepare=PREPARED[name])
    assert called == []
    # Twin: Chainer's own goes there.
    updated(getattr(optimizers, kind)(**RATES[kind]))
    assert len(called) == len(STEPS) * len(SHAPES)


@pytest.mark.parametrize(
    "form",
    [{"amsgrad": True}, {"adabound": True}, {"weight_decay_rate": 0.1}, {"eta": 0.5}, {"eps": 0.1}],
    ids=str,
)
def test_other_forms_of_adam_are_chainers(form):
    assert_alike(updated(FusedAdam(**form)), updated(optimizers.Adam(**form)))


@KIND
def test_a_parameter_without_a_gradient_is_left(kind):
    """Where Chainer takes a step of size zero, which the states of some move."""
    found = updated(FUSED[kind](**RATES[kind]), missing=("b",))
    assert found["/b"].tobytes() == network().b.array.tobytes()
    others = updated(getattr(optimizers, kind)(**RATES[kind]), missing=("b",))
    assert_alike(*({n: v for n, v in of.items() if "/b" not in n} for of in (found, others)))


@KIND
def test_other_arrays_are_chainers(kind):
    """In another order of memory: to the bit what Chainer does."""
    found = []
    for make in (FUSED[kind], getattr(optimizers, kind)):
        link = network()
        link.a.array = np.asfortranarray(link.a.array)
        found.append(updated(make(**RATES[kind]), link=link))
    assert found[0]["/a"].tobytes() == found[1]["/a"].tobytes()


@KIND
def test_an_optimizer_goes_on_from_its_state(kind):
    """Serialized after 2 of 4 steps: the same to the bit."""
    make = FUSED[kind]
    whole = updated(make(**RATES[kind]), range(4))
    first, target = make(**RATES[kind]), {}
    half = updated(first, range(2))
    first.serialize(chainer.serializers.DictionarySerializer(target))
    link = network()
    for name, param in link.namedparams():
        param.array[...] = half[name]

    def resume(optimizer):
        optimizer.serialize(chainer.serializers.NpzDeserializer(target))

    again = updated(make(**RATES[kind]), range(2, 4), prepare=resume, link=link)
    assert bits(again) == bits(whole)


def test_a_wrong_adam_is_noticed(monkeypatch):
    """Twin: bias correction left out."""
    chainers = updated(optimizers.Adam(alpha=0.02))
    rule = fast.RULES[optimizers.Adam]
    real = rule.constants
    monkeypatch.setattr(rule, "constants", lambda self, hp: (hp.alpha, *real(self, hp)[1:]))
    with pytest.raises(AssertionError):
        assert_alike(updated(FusedAdam(alpha=0.02)), chainers)


@KIND
@pytest.mark.parametrize("scale", [None, 4.0])
def test_a_loss_that_is_scaled_and_a_function_of_the_loss(kind, scale):
    """Chainer's other ways to an update: the same steps."""

    def run(make):
        link = network()
        optimizer = make(**RATES[kind]).setup(link)
        if scale:
            optimizer.set_loss_scale(scale)

        def loss():
            total = 0
            for _, param in sorted(link.namedparams()):
                total += chainer.functions.sum((param - 0.3) ** 2)
            return total

        for _ in range(4):
            optimizer.update(loss)
        return {name: param.array for name, param in link.namedparams()} | {
            "t": np.array(optimizer.t)
        }

    ours, chainers = run(FUSED[kind]), run(getattr(optimizers, kind))
    assert_chainers(kind, ours, chainers)
    assert ours["t"] == 4


@KIND
@pytest.mark.parametrize("place", range(4))
def test_a_wrong_constant_is_noticed(kind, place, monkeypatch):
    """Twin: each constant of each formula, a little off, as it comes to the loop."""
    chainers = updated(getattr(optimizers, kind)(**RATES[kind]))
    real = fast._step_of_one
    used = []

    def wrong(kind, *arguments):
        constants = arguments[-1].copy()
        used.append(constants[place] != 0)
        constants[place] *= 1.5
        real(kind, *arguments[:-1], constants)

    monkeypatch.setattr(fast, "_step_of_one", wrong)
    found = updated(FUSED[kind](**RATES[kind]))
    if any(used):
        with pytest.raises(AssertionError):
            assert_chainers(kind, found, chainers)
    else:
        assert_chainers(kind, found, chainers)


# --- four parameters at once -----------------------------------------------------------

FOUR = {"W": (3, 1, 2, 4), "b": (3,), "out": (2, 3), "out_b": (2,)}


def network_of_four():
    link, random = chainer.Link(), np.random.RandomState(2)
    with link.init_scope():
        for name, shape in FOUR.items():
            setattr(link, name, chainer.Parameter(random.rand(*shape).astype(np.float32)))
    return link


@KIND
def test_four_at_once_have_the_bits_of_one_by_one(kind, monkeypatch):
    """One call for a network's four parameters: the same bits, in as many calls as steps."""
    calls = []
    real = fast._step_of_four
    monkeypatch.setattr(fast, "_step_of_four", lambda *a: calls.append(1) or real(*a))
    together = updated(FUSED[kind](), link=network_of_four())
    assert len(calls) == len(STEPS)
    monkeypatch.setattr(fast, "_update_all", one_by_one)
    single = updated(FUSED[kind](), link=network_of_four())
    assert bits(together) == bits(single)
    chainers = updated(getattr(optimizers, kind)(), link=network_of_four())
    assert_chainers(kind, together, chainers)


def one_by_one(waiting):
    for kind, arrays, constants in waiting:
        flat = [array.ravel() for array in arrays]
        fast._step_of_one(kind, *flat, *flat[:1] * (4 - len(flat)), constants)


def test_a_hook_after_the_update_finds_it_made():
    """Weights that a hook of the optimiser reads are the new ones."""
    seen = []

    def look(optimizer):
        seen.append(optimizer.target.W.array.copy())

    look.timing = "post"
    found = updated(
        FusedAdam(), steps=range(3), link=network_of_four(),
        prepare=lambda optimizer: optimizer.add_hook(look, "look", timing="post"),
    )  # fmt: skip
    assert seen[-1].tobytes() == found["/W"].tobytes() and seen[0].tobytes() != seen[1].tobytes()


def test_rates_of_their_own_are_kept():
    """A parameter with another rate is updated by it, among three others."""

    def own(optimizer):
        optimizer.target.out.update_rule.hyperparam.alpha = 0.1

    assert_alike(
        updated(FusedAdam(), link=network_of_four(), prepare=own),
        updated(optimizers.Adam(), link=network_of_four(), prepare=own),
    )
