"""Nothing is copied from a device to the host within a training step or a recording.

A copy waits until the device has done all that it was given.  Without a device, an
array of NumPy stands for CuPy's and refuses to say what it holds; on a device,
CuPy's own array reports who asks.
"""

import contextlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from test_kernels import Device, OnDevice, compiled  # noqa: F401 (a fixture)

from replicate import model as model_module
from replicate import saliency
from replicate.config import Config
from replicate.corpus import Corpus
from replicate.fast import convolution as functions
from replicate.fast import kernels, optimizers
from replicate.fast.compat import chainer
from replicate.model import Batch, TextCNN
from replicate.saliency import classify, flat_batch, word_saliency
from replicate.training import EpochIterator, Updater, make_optimizer

RANDOM = np.random.RandomState(0)
WORDS, DIMENSIONS = 30, 12
VECTORS = RANDOM.uniform(-1, 1, (WORDS + 1, DIMENSIONS)).astype(np.float32)
VECTORS[0] = 0
LENGTHS = np.array([1, 2, 3, 4, 12, 7, 1, 9])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
CORPUS = Corpus(
    np.array([f"w{i}" for i in range(WORDS)]),
    RANDOM.randint(0, WORDS, OFFSETS[-1]).astype(np.int32),
    OFFSETS,
    RANDOM.randint(0, 2, len(LENGTHS)).astype(np.int32),
    ("0", "1"),
    {},
)
#: What copies an array, or a number of it, to the host.
COPIES = ("get", "item", "tolist", "tobytes", "__int__", "__float__", "__bool__", "__index__")


class Transfer(AssertionError):
    """Somebody asked a device for what it holds."""


def refuse(what):
    caller = sys._getframe(2).f_globals["__name__"]
    # On a CPU, where this runs, Chainer asks; its code for devices does not, as the
    # test on a device finds.
    if caller.partition(".")[0] not in ("chainer", "numpy", "numba"):
        raise Transfer(f"{caller} calls {what}")


class Secretive(OnDevice):
    """An array that refuses to say what it holds."""

    def _guard(self, key):
        for part in key if isinstance(key, tuple) else (key,):
            if getattr(getattr(part, "dtype", None), "kind", "") == "b":
                refuse("an index that has to be counted first")

    def __getitem__(self, key):
        self._guard(key)
        return np.asarray(super().__getitem__(key)).view(Secretive)

    def __setitem__(self, key, value):
        self._guard(key)
        super().__setitem__(key, value)


def _refusing(name):
    def method(self, *arguments):
        refuse(name)
        return getattr(OnDevice, name)(self, *arguments)

    return method


for _name in COPIES:
    setattr(Secretive, _name, _refusing(_name))


def on_device(array):
    return np.ascontiguousarray(array).view(Secretive)


class WholeDevice(Device):
    """Stands for all of CuPy: what it makes is secretive."""

    ndarray = Secretive
    ascontiguousarray = staticmethod(on_device)
    counted = ("nonzero", "flatnonzero", "unique", "argwhere", "bincount")

    def empty(self, shape, dtype):
        return super().empty(shape, dtype).view(Secretive)

    def __getattr__(self, name):
        found = getattr(np, name)
        if name in self.counted:
            raise Transfer(f"{name} has to count first")
        if isinstance(found, type) or not callable(found):
            return found

        def function(*arguments, **options):
            made = found(*arguments, **options)
            return made.view(Secretive) if isinstance(made, np.ndarray) else made

        return function


@pytest.fixture
def device(monkeypatch):
    """``device(library)`` puts a stand-in in CuPy's place; ``.results`` counts what came back."""

    def put(library=None):
        device = WholeDevice(library)
        device.results = 0

        def to_cpu(array):
            device.results += isinstance(array, Secretive)
            return np.array(array)

        def module_of(*arrays):
            arrays = [getattr(array, "array", array) for array in arrays]
            return device if any(isinstance(array, Secretive) for array in arrays) else np

        stand_in = SimpleNamespace(
            cupy=device, ndarray=Secretive, get_array_module=module_of, to_cpu=to_cpu
        )
        for module in (optimizers, kernels, functions, model_module, saliency):
            monkeypatch.setattr(module, "cuda", stand_in)
        monkeypatch.setattr(kernels, "_modules", {})
        at = {Secretive: device, np.ndarray: np}
        monkeypatch.setattr(TextCNN, "xp", property(lambda model: at[type(model.fc.W.array)]))
        return device

    return put


def model_of(form, **readings):
    config = Config(n_filters=7, batch_size=3, **readings)
    model = TextCNN(VECTORS, 2, config, 0, form)
    # Biases of zero would hide which windows won.
    for conv in model.convolutions:
        conv.b.array[:] = np.linspace(-0.3, 0.3, 7)
    return model


def sent(model):
    """The model, its arrays secretive."""
    for param in model.params():
        param.array = on_device(param.array)
    if model.embed.static:
        model.embed.W = on_device(model.embed.W)
    if model.embed.constant is not None:
        model.embed.constant = on_device(model.embed.constant)
    return model


def trained(model, steps=4):
    """The model after some steps of the package's own, the last of an epoch among them."""
    iterator = EpochIterator(CORPUS, np.arange(len(CORPUS)), 3, 0, model.xp)
    updater = Updater(iterator, make_optimizer(model, model.config), model, 0)
    with chainer.using_config("train", True), chainer.using_config("type_check", False):
        for _ in range(steps):
            updater.update_core()
    return model


def batch_of(model):
    return flat_batch(model, CORPUS.tokens, CORPUS.offsets, CORPUS.labels)


def weights(model):
    return {name: np.array(param.array) for name, param in model.namedparams()}


FORMS = pytest.mark.parametrize("form", ["fused", "reference"])


@FORMS
@pytest.mark.parametrize("mode", ["static", "finetuned"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_training_step_asks_for_nothing(form, mode, dropout, device):
    device()
    trained(sent(model_of(form, vectors_mode=mode, dropout=dropout)))


@FORMS
@pytest.mark.parametrize("chunk", [None, 3])
def test_a_recording_asks_for_its_result_only(form, chunk, device):
    """Saliency, labels and uncertainties, once each."""
    stand_in = device()
    model = sent(model_of(form))
    word_saliency(model, batch_of(model), chunk)
    assert stand_in.results == 3
    classify(model, batch_of(model), chunk)
    assert stand_in.results == 3 + 4


@FORMS
@pytest.mark.parametrize(
    "readings",
    [
        {"padding": "wide"},
        {"padding": "narrow"},
        {"vectors_mode": "finetuned", "filter_height": (2, 3)},
        {"vectors_mode": "multichannel", "filter_height": (2, 3)},
    ],
)
def test_the_stand_in_computes_what_the_cpu_does(form, readings, device, compiled):  # noqa: F811
    """Weights after four steps, and a recording: the paths above are the real ones."""
    expected = trained(model_of(form, **readings))
    looked = word_saliency(expected, batch_of(expected))
    stand_in = device(compiled)
    model = trained(sent(model_of(form, **readings)))
    found = word_saliency(model, batch_of(model))
    ran = {launch[0] for launch in stand_in.launched}
    step = {"pool", "head", "head_sums", "filters", "adam"}
    if "vectors_mode" in readings:
        step |= {"occurrences", "words"}
    assert ran == ({*step, "saliency"} if form == "fused" else set())
    for name, array in weights(expected).items():
        np.testing.assert_allclose(weights(model)[name], array, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.token_saliency, looked.token_saliency, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found.predicted, looked.predicted)


def as_if_of_the_package(patch, module, name, source):
    """Replace a function by one whose code counts as the package's."""
    space = {"real": getattr(module, name), "np": np, "__name__": "replicate.mutant"}
    exec(source, space)
    patch.setattr(module, name, space["mutant"])


MUTANTS = {
    "a check of lengths": (
        kernels, "pool", "fused", "step",
        "def mutant(p, b, tokens, offsets, *rest):\n"
        "    if int((offsets[1:] - offsets[:-1]).min()) < 1: raise ValueError\n"
        "    return real(p, b, tokens, offsets, *rest)",
    ),
    "lengths fetched": (
        kernels, "mean_absolute_gradient", "fused", "recording",
        "def mutant(gz, argmax, offsets, W, total):\n"
        "    (offsets[1:] - offsets[:-1]).get()\n"
        "    return real(gz, argmax, offsets, W, total)",
    ),
    "a total": (
        functions, "mean_absolute_gradient", "fused", "recording",
        "def mutant(gz, argmax, offsets, W, total):\n"
        "    return real(gz, argmax, offsets, W, int(offsets[-1]))",
    ),
    "bounds of a part": (
        saliency, "_part", "fused", "recording",
        "def mutant(batch, start, stop):\n"
        "    first = int(batch.offsets[start])\n"
        "    return real(batch, start, stop)",
    ),
    "a mask": (
        model_module, "pad", "reference", "step",
        "def mutant(ids, *rest):\n"
        "    ids[ids > 0]\n"
        "    return real(ids, *rest)",
    ),
    "a loss": (
        TextCNN, "set_gradients", "reference", "step",
        "def mutant(*arguments):\n"
        "    loss = real(*arguments)\n"
        "    float(loss)\n"
        "    return loss",
    ),
    "a condition": (
        TextCNN, "set_gradients", "fused", "step",
        "def mutant(*arguments):\n"
        "    loss = real(*arguments)\n"
        "    assert loss > 0\n"
        "    return loss",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MUTANTS)
def test_a_transfer_put_back_is_noticed(what, device, monkeypatch, compiled):  # noqa: F811
    """Twins: each was there once, or might come."""
    module, name, form, where, source = MUTANTS[what]
    device(compiled)
    model = sent(model_of(form))
    batch = batch_of(model)

    def act():
        if where == "step":
            trained(model, 1)
        else:
            word_saliency(model, batch)

    act()
    as_if_of_the_package(monkeypatch, module, name, source)
    with pytest.raises(Transfer):
        act()


def test_a_sentence_without_words_is_refused_on_the_host(device):
    """Where the batch is made, before anything is sent; a CPU's loops look for themselves."""
    stand_in = device()
    arrays = [np.array(a, dtype=np.int32) for a in ([1, 2], [0, 1], [0, 0, 0])]
    offsets = np.array([0, 1, 1, 2])
    with pytest.raises(ValueError, match="a sentence without words"):
        Batch.on(stand_in, *arrays[:2], offsets, arrays[2])
    Batch.on(stand_in, *arrays[:2], np.array([0, 1, 2]), arrays[2][:2])
    model = model_of("fused")
    with pytest.raises(ValueError, match="a sentence without words"):
        model.set_gradients(Batch.on(np, *arrays[:2], offsets, arrays[2]))


# --- A real device -------------------------------------------------------------


@pytest.fixture
def asked(cupy, monkeypatch):
    """What CuPy's arrays were asked for, by whom."""
    found = []

    def noting(name, real):
        def method(self, *arguments, **options):
            found.append((name, sys._getframe(1).f_globals["__name__"]))
            return real(self, *arguments, **options)

        return method

    for name in COPIES:
        with contextlib.suppress(AttributeError):
            monkeypatch.setattr(cupy.ndarray, name, noting(name, getattr(cupy.ndarray, name)))
    return found


@pytest.mark.gpu
@FORMS
@pytest.mark.parametrize("mode", ["static", "finetuned"])
def test_a_device_is_asked_for_results_only(form, mode, asked):
    """Chainer's own code for devices included; one loss fetched is one copy noticed."""
    model = model_of(form, vectors_mode=mode, dropout=0.5)
    model.to_device("@cupy:0")
    trained(model)
    assert asked == []
    batch = batch_of(model)
    word_saliency(model, batch)
    assert [name for name, _ in asked] == ["get"] * 3
    with chainer.using_config("type_check", False):
        float(model.training_loss(batch).array)
    assert len(asked) > 3
