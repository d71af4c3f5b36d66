"""Gradients of rows: every optimiser moves the word vectors as plain Chainer's dense update does."""

import copy
import pickle

import numpy as np
import pytest

from replicate.config import Config
from replicate.corpus import Corpus
from replicate.fast import rows
from replicate.fast.compat import chainer, cuda, optimizer_hooks, optimizers
from replicate.fast.rows import RowDecay, RowParameter, set_row_rule
from replicate.model import TextCNN
from replicate.training import EpochIterator, Updater, make_optimizer, train

#: Optimisers of the reading, with rates at which each step is seen.
KINDS = {
    "SGD": lambda: optimizers.SGD(lr=0.1),
    "MomentumSGD": lambda: optimizers.MomentumSGD(lr=0.1),
    "AdaGrad": lambda: optimizers.AdaGrad(lr=0.1),
    "AdaDelta": lambda: optimizers.AdaDelta(),
    "Adam": lambda: optimizers.Adam(alpha=0.02),
}
KIND = pytest.mark.parametrize("kind", KINDS)
#: Those whose zero gradient moves nothing.
RESTING = ("SGD", "AdaGrad")
STEPS = range(12)


# --- One parameter -----------------------------------------------------------------

#: Row 0 is padding; rows 1 to 4 occur now and then, row 5 once at the start, 6 and 7 never.
N_ROWS, WIDTH = 8, 5


def gradient(step):
    """Some distinct rows and their gradient, of many sizes."""
    random = np.random.RandomState(step)
    ids = [5, 2] if step == 0 else random.permutation(4)[: random.randint(1, 4)] + 1
    values = random.randn(len(ids), WIDTH) * 10.0 ** random.randint(-4, 2)
    return np.array(ids, dtype=np.int32), values


def start(dtype):
    link = chainer.Link()
    value = np.random.RandomState(7).randn(N_ROWS, WIDTH).astype(dtype)
    value[0] = 0
    with link.init_scope():
        link.W = RowParameter(value)
    return link


def updated(kind, by_rows, dtype="f8", prepare=lambda o: None, steps=STEPS, link=None, stay=False):
    """The parameter and its states after some steps, by rows or by Chainer alone."""
    link = link or start(dtype)
    optimizer = KINDS[kind]().setup(link)
    if by_rows:
        set_row_rule(optimizer, link.W, stay)
    prepare(optimizer)
    for step in steps:
        ids, values = gradient(step)
        values = values.astype(dtype)
        if by_rows:
            link.W.set_rows(ids, values)
        else:
            link.W.grad = np.zeros((N_ROWS, WIDTH), dtype=dtype)
            link.W.grad[ids] = values
        optimizer.update()
    return {"W": link.W.array, **(link.W.update_rule.state or {})}


#: Adam's step is rounded in another order than Chainer's.
CLOSE = {"f4": {"rtol": 2e-5, "atol": 1e-7}, "f8": {"rtol": 1e-13, "atol": 1e-15}}


def assert_chainers(kind, dtype, found, chainers):
    assert found.keys() == chainers.keys()
    for name, value in chainers.items():
        assert found[name].dtype == dtype
        if kind == "Adam":
            np.testing.assert_allclose(found[name], value, **CLOSE[dtype], err_msg=name)
        else:
            assert found[name].tobytes() == value.tobytes(), name


def bound(rule, param):
    np.minimum(param.grad, 0.01, out=param.grad)


#: What may be hooked to an optimiser or a rule; the last two read and change the dense gradient.
PREPARED = {
    "nothing": lambda o: None,
    "weight decay": lambda o: o.add_hook(RowDecay(0.01)),
    "a rate of its own": lambda o: setattr(o.target.W.update_rule.hyperparam, *OWN[type(o)]),
    "a bound after it": lambda o: o.target.W.update_rule.add_hook(clip, "clip", "post"),
    "a rest": lambda o: o.add_hook(rest, "rest"),
    "a clipped gradient": lambda o: o.add_hook(optimizer_hooks.GradientClipping(0.5)),
    "a hook of the rule": lambda o: o.target.W.update_rule.add_hook(bound, "bound"),
}
OWN = {
    optimizers.SGD: ("lr", 0.3),
    optimizers.MomentumSGD: ("momentum", 0.5),
    optimizers.AdaGrad: ("eps", 0.3),
    optimizers.AdaDelta: ("rho", 0.5),
    optimizers.Adam: ("beta1", 0.5),
}


def rest(optimizer):
    """No update at every third step."""
    optimizer.target.W.update_rule.enabled = optimizer.t % 3 != 2


def clip(rule, param):
    np.clip(param.array, -0.9, 0.9, out=param.array)


@KIND
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", PREPARED)
def test_rows_move_as_chainer_moves_them(kind, dtype, name):
    """Weights and states after twelve steps: Chainer's bits, Adam's to rounding."""
    found = updated(kind, True, dtype, PREPARED[name])
    chainers = updated(kind, False, dtype, PREPARED[name])
    assert_chainers(kind, dtype, found, chainers)
    before = start(dtype).W.array
    moved = (found["W"] != before).any(axis=1)
    if name != "a bound after it":
        every = name == "weight decay"
        assert moved.tolist() == [False, *[True] * 5, every, every]
    # Twin: nothing else gives these weights.
    if name != "nothing":
        plain = updated(kind, True, dtype)
        assert np.abs(plain["W"] - found["W"]).max() > 1e-3


@KIND
def test_weight_decay_joins_a_changed_gradient(kind):
    """Hooks before and after it, in their order."""
    for names in (["weight decay", "a clipped gradient"], ["a clipped gradient", "weight decay"]):

        def prepare(optimizer, names=names):
            for name in names:
                PREPARED[name](optimizer)

        found, chainers = (updated(kind, by_rows, "f8", prepare) for by_rows in (True, False))
        assert_chainers(kind, "f8", found, chainers)


@KIND
def test_a_row_that_occurred_once_goes_on_moving(kind):
    """By the optimiser's state, unless it has none or a zero gradient leaves the weight."""
    first = updated(kind, True, steps=range(1))
    later = updated(kind, True, steps=range(6))
    assert (first["W"][5] != later["W"][5]).any() == (kind in ("Adam", "MomentumSGD"))
    for name in first.keys() - {"W"}:
        assert (first[name][5] != later[name][5]).any() == (kind not in RESTING)


@pytest.mark.parametrize("form", ["amsgrad", "adabound"])
def test_other_forms_of_adam_are_chainers(form, monkeypatch):
    monkeypatch.setitem(KINDS, "form", lambda: optimizers.Adam(alpha=0.02, **{form: True}))
    found, chainers = updated("form", True), updated("form", False)
    assert_chainers("form", "f8", found, chainers)


def test_other_arrays_are_chainers():
    """In another order of memory."""
    link = start("f8")
    link.W.array = np.asfortranarray(link.W.array)
    real = link.W.set_rows
    link.W.set_rows = lambda ids, values: real(ids, np.asfortranarray(values))
    assert_chainers("SGD", "f8", updated("SGD", True, link=link), updated("SGD", False))


@KIND
@pytest.mark.parametrize("name", ["nothing", "weight decay"])
def test_loss_scaling_is_chainers(kind, name):
    def prepare(optimizer):
        optimizer.set_loss_scale(4.0)
        optimizer.target.W._loss_scale = 4.0
        PREPARED[name](optimizer)

    found, chainers = (updated(kind, by_rows, "f8", prepare) for by_rows in (True, False))
    assert_chainers(kind, "f8", found, chainers)


@KIND
def test_an_optimizer_goes_on_from_its_state(kind):
    """Serialized after 3 of 6 steps, as a snapshot and a carried state are: the same to the bit."""
    whole = updated(kind, True, "f4", steps=range(6))
    target, kept = {}, []
    half = updated(kind, True, "f4", kept.append, range(3))
    kept[0].serialize(chainer.serializers.DictionarySerializer(target))
    link = start("f4")
    link.W.array[...] = half["W"]

    def resume(optimizer):
        optimizer.serialize(chainer.serializers.NpzDeserializer(target))

    again = updated(kind, True, "f4", resume, range(3, 6), link)
    assert {n: v.tobytes() for n, v in again.items()} == {n: v.tobytes() for n, v in whole.items()}
    if kind != "SGD":  # Twin: without the state it goes elsewhere.
        link.W.array[...] = half["W"]
        forgot = updated(kind, True, "f4", steps=range(3, 6), link=link)
        assert forgot["W"].tobytes() != whole["W"].tobytes()


WRONG = {
    "no decay": lambda k, w, a, b, ids, g, every, decay, c: (k, w, a, b, ids, g, every, 0 * decay, c),
    "half the rows": lambda k, w, a, b, ids, g, *rest: (k, w, a, b, ids[:1], g[:1], *rest),
    "rows only": lambda k, w, a, b, ids, g, every, *rest: (k, w, a, b, ids, g, False, *rest),
    "another row": lambda k, w, a, b, ids, *rest: (k, w, a, b, ids + 1, *rest),
}  # fmt: skip


@KIND
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_pass_is_noticed(kind, what, monkeypatch):
    real = rows._update
    monkeypatch.setattr(rows, "_update", lambda *arguments: real(*WRONG[what](*arguments)))
    prepare = PREPARED["weight decay" if what == "no decay" else "nothing"]
    chainers = updated(kind, False, "f8", prepare)
    if what == "rows only" and kind in RESTING:
        assert_chainers(kind, "f8", updated(kind, True, "f8", prepare), chainers)
        return
    with pytest.raises(AssertionError):
        assert_chainers(kind, "f8", updated(kind, True, "f8", prepare), chainers)


# --- Rows that stay ------------------------------------------------------------------


def stayed(kind, dtype, steps=STEPS, prepare=lambda o: None):
    """Chainer's dense update, after which rows that did not occur are put back."""
    link = start(dtype)
    optimizer = KINDS[kind]().setup(link)
    prepare(optimizer)
    for step in steps:
        ids, values = gradient(step)
        absent = np.setdiff1d(np.arange(N_ROWS), ids)
        link.W.grad = np.zeros((N_ROWS, WIDTH), dtype=dtype)
        link.W.grad[ids] = values
        state = {name: value.copy() for name, value in (link.W.update_rule.state or {}).items()}
        weight = link.W.array.copy()
        optimizer.update()
        link.W.array[absent] = weight[absent]
        for name, value in link.W.update_rule.state.items():
            value[absent] = state[name][absent] if name in state else 0
    return {"W": link.W.array, **(link.W.update_rule.state or {})}


@KIND
@pytest.mark.parametrize("name", ["nothing", "weight decay", "a hook of the rule"])
def test_absent_rows_stay(kind, name):
    """By rows and, where a hook made the gradient dense, by Chainer's formula."""
    prepare = PREPARED[name]
    found, expected = updated(kind, True, prepare=prepare, stay=True), stayed(kind, "f8", STEPS, prepare)  # fmt: skip
    assert_chainers(kind, "f8", found, expected)
    others = updated(kind, True, prepare=prepare)
    same = kind in RESTING and name != "weight decay"
    assert (found["W"].tobytes() == others["W"].tobytes()) == same or kind == "AdaDelta"
    if kind == "AdaDelta":  # its states, which decay, give other steps later
        assert found["msg"].tobytes() != others["msg"].tobytes()


def test_somebody_must_say_which_rows_occurred():
    link = start("f8")
    optimizer = KINDS["Adam"]().setup(link)
    set_row_rule(optimizer, link.W, stay=True)
    link.W.grad = np.ones((N_ROWS, WIDTH))
    with pytest.raises(RuntimeError, match=r"absent_words = stay .*set_gradients"):
        optimizer.update()
    assert link.W.array.tobytes() == start("f8").W.array.tobytes()


# --- The gradient as a user of Chainer sees it -----------------------------------------


def test_the_gradient_is_dense_for_whoever_asks():
    """Made once; from then on it is the gradient, and rows are not."""
    param = start("f4").W
    ids, values = np.array([4, 2]), np.ones((2, WIDTH), dtype=np.float32)
    param.set_rows(ids, values)
    assert param.ids is ids and param.values is values
    param.decay = 0.5
    dense = 0.5 * param.array
    dense[ids] += 1
    assert param.grad.tobytes() == dense.tobytes() and param.grad is param.grad
    assert param.values is None and param.decay == 0 and param.ids is ids
    param.set_rows(ids, values)
    assert param.grad_var.array[2].tolist() == [1] * WIDTH
    param.set_rows(ids, values)
    param.cleargrad()
    assert param.grad is None and param.ids is None
    param.set_rows(ids, values)
    param.grad = np.zeros_like(param.array)
    assert param.values is None and not param.grad.any()
    other = start("f4").W
    other.grad = np.ones_like(other.array)
    param.set_rows(ids, values)
    param.addgrad(other)
    assert param.grad[:, 0].tolist() == [1, 1, 2, 1, 2, 1, 1, 1]


def test_backward_adds_to_rows():
    """As to any gradient that is there."""
    param = start("f4").W
    param.set_rows(np.array([3]), np.ones((1, WIDTH), dtype=np.float32))
    chainer.functions.sum(param * 2).backward()
    assert param.grad[:, 0].tolist() == [2, 2, 2, 3, 2, 2, 2, 2]


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_know_rows_too(how):
    param = start("f4").W
    param.set_rows(np.array([3]), np.ones((1, WIDTH), dtype=np.float32))
    made = how(param)
    assert type(made) is RowParameter and made.array.tobytes() == param.array.tobytes()
    assert made.grad.tobytes() == param.grad.tobytes()
    made.set_rows(np.array([1]), np.ones((1, WIDTH), dtype=np.float32))
    assert made.grad[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


# --- The network --------------------------------------------------------------------

#: Words 0 and 1 occur twice in a sentence, word 2 in several, word 9 in none.
SENTENCES = [[0, 1, 0, 2], [1, 1], [2, 3, 4], [5, 2, 6, 7, 5], [8], [3, 2]]
TOKENS = np.concatenate(SENTENCES).astype(np.int32)
OFFSETS = np.concatenate([[0], np.cumsum([len(s) for s in SENTENCES])])
CORPUS = Corpus(
    np.array([f"w{i}" for i in range(10)]), TOKENS, OFFSETS,
    np.array([0, 1, 1, 0, 1, 0], dtype=np.int32), ("0", "1"), {},
)  # fmt: skip
BASE = Config(
    n_filters=3, batch_size=2, epochs=4, learning_rate=0.05, activation="tanh",
    vectors_mode="finetuned",
)  # fmt: skip
ALL = np.arange(len(SENTENCES))


def network(form, config, dtype=np.float64):
    vectors = np.random.RandomState(2).uniform(-1, 1, (11, 6)).astype(dtype)
    vectors[0] = 0
    with chainer.using_config("dtype", dtype):
        return TextCNN(vectors, 2, config, 0, form)


def after_training(form, config, dtype=np.float64, device="@numpy", seen=lambda model: None):
    """Weights after four epochs of batches of two sentences."""
    model = network(form, config, dtype)
    model.to_device(device)
    iterator = EpochIterator(CORPUS, ALL, config.batch_size, 0, model.xp)
    updater = Updater(iterator, make_optimizer(model, config), model, 0)
    with chainer.using_config("dtype", dtype):
        while iterator.epoch < config.epochs:
            updater.update_core()
            seen(model)
    return model.weights(embedding=True)


READINGS = {
    "plain": {},
    "decay": {"weight_decay": 0.01, "max_norm": 0.6},
    "narrow": {"padding": "narrow", "activation": "relu"},
    "softmax twice": {"loss": "probabilities"},
    "stay": {"absent_words": "stay"},
    "stay, decay": {"absent_words": "stay", "weight_decay": 0.01},
}


@KIND
@pytest.mark.parametrize("name", READINGS)
def test_the_fused_form_trains_vectors_as_plain_chainer_does(kind, name, device):
    """In float64, every weight to 1e-9 of the greatest, on every device."""
    config = BASE.replace(optimizer=kind, **READINGS[name])
    expected = after_training("reference", config)
    found = after_training("fused", config, device=device)
    for weight, value in expected.items():
        assert found[weight].dtype == np.float64
        limit = 1e-9 * np.abs(value).max()
        np.testing.assert_allclose(found[weight], value, rtol=0, atol=limit, err_msg=weight)
    before = network("fused", config).embed.array
    moved, chainers = ((w["embed/W"] != before).any(axis=1) for w in (found, expected))
    # Padding never moves; the word that no sentence has moves by weight decay alone.
    assert moved.tolist() == chainers.tolist() and moved[1:10].sum() > 5
    assert not moved[0] and moved[10] == (name == "decay")


@KIND
def test_words_that_a_batch_lacks_make_the_difference(kind):
    """Twin: the two readings give other vectors, unless a zero gradient does nothing."""
    config = BASE.replace(optimizer=kind)
    move, stay = (
        after_training("fused", config.replace(absent_words=words))["embed/W"]
        for words in ("move", "stay")
    )
    assert (np.abs(move - stay).max() < 1e-4) == (kind in RESTING)


@pytest.mark.parametrize("words", ["move", "stay"])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_the_gradient_stays_rows_throughout(words, decay):
    """No step of a fused form on a CPU makes it dense; a hook that asks for it does."""
    asked = []

    def look(model):
        asked.append(model.embed.W.values is None)

    config = BASE.replace(weight_decay=decay, absent_words=words)
    after_training("fused", config, seen=look)
    assert asked == [False] * 12
    with chainer.function_hooks.TimerHook():
        after_training("fused", config, seen=look)
    assert asked == [False] * 12 + [True] * 12


@KIND
@pytest.mark.parametrize("words", ["move", "stay"])
def test_a_stopped_run_goes_on_with_the_same_bytes(kind, words, tmp_path):
    """From its snapshot, with and without a hook."""
    config = BASE.replace(optimizer=kind, absent_words=words, dropout=0.3)

    class Stop(Exception):
        pass

    def stop(epoch, accuracy):
        if epoch == 3:
            raise Stop

    def run(folder, **options):
        model = network("fused", config, np.float32)
        train(model, CORPUS, ALL, ALL, seed=0, folder=tmp_path / folder, **options)
        return model.weights(embedding=True)["embed/W"].tobytes()

    whole = run("whole")
    with pytest.raises(Stop):
        run("stopped", on_progress=stop, snapshot_seconds=0)
    epochs = []
    again = run("stopped", on_progress=lambda epoch, accuracy: epochs.append(epoch))
    assert again == whole and epochs == [3, 4]


@KIND
def test_a_share_of_a_batch_knows_the_whole_batch(kind):
    """Where other ranks have the rest: rows that occurred are those of all sentences."""
    config = BASE.replace(optimizer=kind, absent_words="stay", batch_size=6, epochs=1)
    whole = after_training("fused", config)
    model = network("fused", config)
    iterator = EpochIterator(CORPUS, ALL, 6, 0)
    updater = Updater(iterator, make_optimizer(model, config), model, 0)
    real = iterator._batch
    iterator._batch = lambda chosen: real(chosen[:2])

    def mean(batch, mask):
        """Gradients as of all ranks."""
        assert len(batch) == 2
        loss = model.set_gradients(real(iterator.last))
        model.embed.W.grad, model.embed.W.ids = model.embed.W.grad, batch.ids
        return loss

    updater.set_gradients = mean
    updater.update_core()
    found = cuda.to_cpu(model.embed.array)
    np.testing.assert_allclose(found, whole["embed/W"], rtol=0, atol=1e-12)
