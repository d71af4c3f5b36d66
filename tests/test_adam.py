"""The fused Adam is Chainer's: the same steps to rounding, whatever is hooked to it."""

import numpy as np
import pytest

from replicate.fast import adam
from replicate.fast.adam import FusedAdam
from replicate.fast.compat import chainer, optimizer_hooks, optimizers

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
    assert ours.keys() == chainers.keys() and len(ours) >= 3
    for name, value in chainers.items():
        np.testing.assert_allclose(ours[name], value, rtol=2e-5, atol=1e-7, err_msg=name)


def hooked(optimizer):
    """A hook of one parameter's rule, which halves its gradient."""

    def halve(rule, param):
        param.grad *= 0.5

    optimizer.target.a.update_rule.add_hook(halve, "halve")


def own_rate(optimizer):
    optimizer.target.b.update_rule.hyperparam.alpha = 0.1


def disabled(optimizer):
    optimizer.target.c.update_rule.enabled = False


PREPARED = {
    "nothing": lambda optimizer: None,
    "weight decay": lambda o: o.add_hook(optimizer_hooks.WeightDecay(0.01)),
    "a hook of one": hooked,
    "a rate of its own": own_rate,
    "one that rests": disabled,
}


@pytest.mark.parametrize("name", PREPARED)
def test_fused_adam_is_adam(name):
    """Weights and states to rounding after 20 steps."""
    ours, chainers = (
        updated(kind(alpha=0.02), prepare=PREPARED[name]) for kind in (FusedAdam, optimizers.Adam)
    )
    assert_alike(ours, chainers)
    # Twin: each but the first moves the weights elsewhere.
    plain = updated(FusedAdam(alpha=0.02))
    if name == "nothing":
        plain = updated(FusedAdam(alpha=0.021))
    with pytest.raises(AssertionError):
        assert_alike(ours, plain)


@pytest.mark.parametrize(
    "form",
    [{"amsgrad": True}, {"adabound": True}, {"weight_decay_rate": 0.1}, {"eta": 0.5}, {"eps": 0.1}],
    ids=str,
)
def test_other_forms_of_adam_are_chainers(form):
    assert_alike(updated(FusedAdam(**form)), updated(optimizers.Adam(**form)))


def test_a_parameter_without_a_gradient_is_left():
    """Where Chainer takes a step of size zero."""
    found = updated(FusedAdam(alpha=0.02), missing=("b",))
    assert found["/b"].tobytes() == network().b.array.tobytes()
    others = updated(optimizers.Adam(alpha=0.02), missing=("b",))
    for name in found.keys() & others.keys():
        np.testing.assert_allclose(found[name], others[name], rtol=2e-5, atol=1e-7)


def test_other_arrays_are_chainers():
    """In another order of memory: to the bit what Chainer does."""
    found = []
    for kind in (FusedAdam, optimizers.Adam):
        link = network()
        link.a.array = np.asfortranarray(link.a.array)
        found.append(updated(kind(alpha=0.02), link=link))
    assert found[0]["/a"].tobytes() == found[1]["/a"].tobytes()


def test_an_optimizer_goes_on_from_its_state():
    """Serialized after 2 of 4 steps: the same to the bit."""
    whole = updated(FusedAdam(alpha=0.02), range(4))
    first, target = FusedAdam(alpha=0.02), {}
    half = updated(first, range(2))
    first.serialize(chainer.serializers.DictionarySerializer(target))
    link = network()
    for name, param in link.namedparams():
        param.array[...] = half[name]

    def resume(optimizer):
        optimizer.serialize(chainer.serializers.NpzDeserializer(target))

    again = updated(FusedAdam(alpha=0.02), range(2, 4), prepare=resume, link=link)
    assert {name: value.tobytes() for name, value in again.items()} == {
        name: value.tobytes() for name, value in whole.items()
    }


def test_a_wrong_adam_is_noticed(monkeypatch):
    """Twin: bias correction left out, and the loop's sign."""
    chainers = updated(optimizers.Adam(alpha=0.02))
    with monkeypatch.context() as patch:
        patch.setattr(adam.FusedAdamRule, "alpha_t", property(lambda self: self.hyperparam.alpha))
        with pytest.raises(AssertionError):
            assert_alike(updated(FusedAdam(alpha=0.02)), chainers)
    loop = adam._adam
    monkeypatch.setattr(
        adam, "_adam", lambda w, g, m, v, rate, *rest: loop(w, g, m, v, -rate, *rest)
    )
    with pytest.raises(AssertionError):
        assert_alike(updated(FusedAdam(alpha=0.02)), chainers)


# --- four parameters at once -----------------------------------------------------------

FOUR = {"W": (3, 1, 2, 4), "b": (3,), "out": (2, 3), "out_b": (2,)}


def network_of_four():
    link, random = chainer.Link(), np.random.RandomState(2)
    with link.init_scope():
        for name, shape in FOUR.items():
            setattr(link, name, chainer.Parameter(random.rand(*shape).astype(np.float32)))
    return link


def test_four_at_once_have_the_bits_of_one_by_one(monkeypatch):
    """One call for a network's four parameters: the same bits, in as many calls as steps."""
    calls = []
    real = adam._adam_of_four
    monkeypatch.setattr(adam, "_adam_of_four", lambda *a: calls.append(1) or real(*a))
    together = updated(FusedAdam(), link=network_of_four())
    assert len(calls) == len(STEPS)
    monkeypatch.setattr(adam, "_update_all", one_by_one)
    single = updated(FusedAdam(), link=network_of_four())
    assert {n: v.tobytes() for n, v in together.items()} == {
        n: v.tobytes() for n, v in single.items()
    }
    assert_alike(together, updated(optimizers.Adam(), link=network_of_four()))


def one_by_one(waiting):
    for arrays, constants in waiting:
        adam._adam(*(array.ravel() for array in arrays), *constants)


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
