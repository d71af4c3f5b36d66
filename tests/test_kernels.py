"""The CUDA kernels: compiled, run without a GPU as C++, and what they are launched with.

Three ways, each skipped with a reason where it cannot be gone: NVRTC compiles
the source; g++ compiles the same source behind a few lines that stand for
CUDA, and a stand-in for CuPy launches that; a device runs the real thing
(marked ``gpu``).  The first and second need no GPU.
"""

import ctypes
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from replicate.config import Config
from replicate.fast import convolution as functions
from replicate.fast import kernels, optimizers
from replicate.fast.compat import chainer, cuda
from replicate.model import TextCNN
from replicate.saliency import classify, flat_batch, word_saliency

DTYPES = (np.float32, np.float64)
NAMES = ("pool", "filters", "occurrences", "words", "saliency", "head", "head_sums", "adam")
#: Agreement of sums in another order.
BOUND = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}

# --- C++ for CUDA ------------------------------------------------------------

# Threads of a block take turns, in order: each runs up to where it waits for the
# others.  So a missing wait gives a wrong number every time, not now and then.
# Arguments come as a driver takes them: one pointer each, read as the type that
# the kernel declares.
SHIM = r"""
#include <cmath>
#include <csetjmp>
#include <ucontext.h>
#include <utility>
struct Index { unsigned x; };
static Index threadIdx, blockIdx, blockDim;
static jmp_buf home, threads[128];
static char stacks[128][1 << 16];
static bool begun[128], done[128];
static void (*body)(const void*);
static const void* task;
static bool votes[128];
using std::exp; using std::log; using std::sqrt; using std::tanh;
#define __global__ static
#define __device__ static
#define __shared__ static
// swapcontext() would ask the system each time, which takes as long as all else.
static void __syncthreads() { if (!_setjmp(threads[threadIdx.x])) _longjmp(home, 1); }
// All have voted when the first goes on, and all have counted when one votes again.
static int __syncthreads_or(int vote) {
  bool some = false;
  votes[threadIdx.x] = vote != 0;
  __syncthreads();
  for (unsigned i = 0; i < blockDim.x; ++i) some = some || votes[i];
  __syncthreads();
  return some;
}
"""
LAUNCHER = r"""
static void entry() {
  for (;;) { body(task); done[threadIdx.x] = true; __syncthreads(); }
}
static void go_on() {
  if (_setjmp(home)) return;
  if (begun[threadIdx.x]) _longjmp(threads[threadIdx.x], 1);
  begun[threadIdx.x] = true;
  static ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = stacks[threadIdx.x];
  first.uc_stack.ss_size = sizeof stacks[threadIdx.x];
  makecontext(&first, entry, 0);
  setcontext(&first);
}
template <class... A, std::size_t... I>
static void launch(void (*kernel)(A...), unsigned blocks, void** a, std::index_sequence<I...>) {
  auto call = [=] { kernel(*static_cast<A*>(a[I])...); };
  task = &call;
  body = [](const void* made) { (*static_cast<const decltype(call)*>(made))(); };
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    for (unsigned i = 0; i < blockDim.x; ++i) done[i] = false;
    for (bool running = true; running;) {
      running = false;
      for (unsigned i = 0; i < blockDim.x; ++i)
        if (!done[i]) {
          running = true;
          threadIdx.x = i;
          go_on();
        }
    }
  }
}
template <class... A> static void launch(void (*kernel)(A...), unsigned blocks, void** a) {
  launch(kernel, blocks, a, std::index_sequence_for<A...>());
}
extern "C" void run(int which, int blocks, int n_threads, void** a) {
  blockDim.x = n_threads;
  switch (which) {
    case 0: launch(pool, blocks, a); break;
    case 1: launch(filters, blocks, a); break;
    case 2: launch(occurrences, blocks, a); break;
    case 3: launch(words, blocks, a); break;
    case 4: launch(saliency, blocks, a); break;
    case 5: launch(head, blocks, a); break;
    case 6: launch(head_sums, blocks, a); break;
    case 7: launch(adam, blocks, a); break;
  }
}
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Kernels as a C++ library: ``compiled(source)``, each source once."""
    compiler = shutil.which("g++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("g++ on Linux is not there to compile the kernels for the CPU")
    folder = tmp_path_factory.mktemp("kernels")
    made = {}

    def library(source):
        if source not in made:
            place = folder / f"{len(made)}.so"
            place.with_suffix(".cpp").write_text(SHIM + source + LAUNCHER)
            # No fused multiply-add: pool's sums are compared to the bit.
            command = [compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared"]
            command += ["-o", str(place), str(place.with_suffix(".cpp"))]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            made[source] = ctypes.CDLL(str(place))
            made[source].run.restype = None
        return made[source]

    return library


# --- NumPy for CuPy ----------------------------------------------------------


#: What a number is to C.
SCALARS = {"i": ctypes.c_int, "f": ctypes.c_float, "d": ctypes.c_double}


class OnDevice(np.ndarray):
    """An array that passes for CuPy's."""

    def get(self):
        return np.array(self)


def on_device(array):
    return np.ascontiguousarray(array).view(OnDevice)


def declared(source, name):
    """What a kernel takes, in order: ``(type, is pointer, is const)``."""
    (inside,) = re.findall(rf"__global__ void {name}\((.*?)\)", source, re.DOTALL)
    taken = []
    for parameter in inside.split(","):
        words = parameter.replace("*", " * ").split()
        kind = " ".join(w for w in words[:-1] if w not in ("*", "const"))
        taken.append((kind, "*" in words, "const" in words))
    return taken


class Device:
    """Stands for ``cuda.cupy``: NumPy, and a driver that is strict about arguments.

    Args:
        library: made by :func:`compiled`; None only looks at what is launched.

    Attributes:
        launched: ``(name, grid, block, arguments)`` of every launch.
    """

    ascontiguousarray = staticmethod(on_device)

    def __init__(self, library=None, sabotage=lambda source: source):
        self.library = library
        self.sabotage = sabotage
        self.launched = []

    def empty(self, shape, dtype):
        """Full of what no kernel writes, so that what is left out shows."""
        value = np.nan if np.dtype(dtype).kind == "f" else -(2**30)
        return on_device(np.full(shape, value, dtype=dtype))

    def zeros(self, shape, dtype):
        return on_device(np.zeros(shape, dtype=dtype))

    def RawModule(self, code):
        def get_function(name):
            return lambda grid, block, arguments: self.launch(code, name, grid, block, arguments)

        return SimpleNamespace(get_function=get_function)

    def launch(self, code, name, grid, block, arguments):
        self.launched.append((name, grid, block, arguments))
        taken = declared(code, name)
        assert len(arguments) == len(taken), f"{name} takes {len(taken)}, not {len(arguments)}"
        real = np.dtype({"float": np.float32, "double": np.float64}[code.split()[1]])
        dtypes = {"real": real, "int": np.dtype(np.int32), "long long": np.dtype(np.int64)}
        for place, (given, (kind, pointer, _)) in enumerate(zip(arguments, taken)):
            where = f"argument {place} of {name}"
            assert isinstance(given, OnDevice if pointer else np.generic), where
            assert given.dtype == dtypes[kind], f"{where}: {given.dtype}, not {kind}"
            assert given.flags.c_contiguous, where
        assert len(grid) == len(block) == 1 and block[0] <= 128 and grid[0] >= 1
        if self.library is None:
            return
        pointers = []
        for given, (_, pointer, _) in zip(arguments, taken):
            if pointer:
                pointers.append(ctypes.pointer(ctypes.c_void_p(given.ctypes.data)))
            else:
                pointers.append(ctypes.pointer(SCALARS[given.dtype.char](given.item())))
        array = (ctypes.c_void_p * len(pointers))(
            *(ctypes.cast(p, ctypes.c_void_p).value for p in pointers)
        )
        library = self.library(self.sabotage(code))
        library.run(NAMES.index(name), grid[0], block[0], array)


@pytest.fixture
def device_of(monkeypatch):
    """Put a :class:`Device` in the place of CuPy; returns it."""

    def put(*arguments):
        device = Device(*arguments)
        cuda = SimpleNamespace(cupy=device, ndarray=OnDevice, get_array_module=lambda *arrays: np)
        monkeypatch.setattr(kernels, "cuda", cuda)
        monkeypatch.setattr(functions, "cuda", cuda)
        monkeypatch.setattr(kernels, "_modules", {})
        return device

    return put


# --- Cases -------------------------------------------------------------------


class Case:
    """Sentences of one word, shorter and longer than the filter, and gradients with zeros.

    Whole numbers make ties frequent and every sum exact.
    """

    def __init__(
        self, height, wide, dtype, whole, dimensions=6, n_filters=5, lengths=(1, 1, 2, 3, 9, 5)
    ):
        random = np.random.RandomState(height)

        def draw(*shape):
            drawn = random.randint(-1, 2, shape) if whole else random.uniform(-1, 1, shape)
            return drawn.astype(dtype)

        self.height, self.wide, self.dtype = height, wide, np.dtype(dtype)
        self.vectors = draw(8, dimensions)
        self.W = draw(n_filters, 1, height, dimensions)
        self.b = draw(n_filters)
        self.tokens = random.randint(0, 8, sum(lengths)).astype(np.int32)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.gz = draw(len(lengths), n_filters) * (random.rand(len(lengths), n_filters) < 0.7)
        self.gz = self.gz.astype(dtype)
        # Places of real maxima, so that windows cross both edges.
        self.argmax = self.pool()[1]

    def results(self, put=lambda array: array, but=()):
        """What the kernels make, by name, but for some; `put` takes an array to a device."""
        given = (self.vectors, self.W, self.tokens, self.offsets, self.gz, self.argmax)
        vectors, W, tokens, offsets, gz, argmax = map(put, given)
        parts = (gz, argmax, tokens, offsets)
        made = dict(zip(("pool", "argmax"), self.pool(put)))
        for name, kernel in {
            "filters": lambda: functions._gradient_of_filters(*parts, vectors, self.height),
            "words": lambda: functions._gradient_of_words(*parts, W, len(vectors)),
            "saliency": lambda: functions.mean_absolute_gradient(
                gz, argmax, offsets, W, len(tokens)
            ),
        }.items():
            if name not in but:
                made[name] = kernel()
        return made

    def pool(self, put=lambda array: array):
        # One projection for all: its rounding is the matrix library's.
        projected = put(functions.project(self.vectors, self.W))
        rest = map(put, (self.b, self.tokens, self.offsets))
        pooled = functions.pool(projected, *rest, self.height, self.wide)
        return pooled.value, pooled.argmax


def differing(case, found):
    """Names of the results that are not the CPU's."""
    names = []
    expected = case.results()
    for name, got in found.items():
        right = expected[name]
        assert got.shape == right.shape and got.dtype == right.dtype, name
        # Sums of pool run in one order everywhere.
        bound = 0 if name in ("pool", "argmax") else BOUND[case.dtype]
        if not np.allclose(got, right, rtol=bound, atol=bound * abs(right).max()):
            names.append(name)
    return names


CASES = [
    (height, wide, dtype, whole)
    for height in range(1, 8)
    for wide in (True, False)
    for dtype in DTYPES
    for whole in (True, False)
]


@pytest.mark.parametrize("height, wide, dtype, whole", CASES)
def test_kernels_give_what_the_cpu_gives(height, wide, dtype, whole, compiled, device_of):
    """The kernels of the convolution, launched as on a device, over heights, paddings, dtypes and ties."""
    device = device_of(compiled)
    case = Case(height, wide, dtype, whole)
    assert differing(case, case.results(on_device)) == []
    assert [launch[0] for launch in device.launched] == list(NAMES[:5])


#: Fewer than the threads of a block or its share of filters, as many, more.
SIZES = [
    *({"dimensions": n} for n in (1, 127, 128, 129, 300)),
    *({"n_filters": n} for n in (1, 2, 3, 31, 32, 33, 70)),
    *({"lengths": [1 + i % 4 for i in range(n)]} for n in (1, 2, 127, 128, 129, 300)),
    *({"lengths": [n, 1], "n_filters": f} for n in (15, 16, 17, 60) for f in (1, 5, 40)),
]


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(sizes))
def test_any_size(sizes, compiled, device_of):
    """Dimensions, filters, sentences and words, with ties and without."""
    device_of(compiled)
    for whole in (True, False):
        case = Case(3, True, np.float32, whole, **sizes)
        assert differing(case, case.results(on_device)) == []


def test_the_cases_have_ties_and_edges():
    """What the comparisons rest on: ties, windows over both edges, gradients that are zero."""
    case = Case(3, True, np.float32, True)
    lengths = np.diff(case.offsets)[:, None]
    assert (case.argmax < 0).any() and (case.argmax + 3 > lengths).any()
    assert (case.gz == 0).any() and (case.gz < 0).any() and (case.gz > 0).any()
    # From the end, the first of equal windows is another one.
    turned = Case(3, True, np.float32, True)
    for start, stop in zip(case.offsets[:-1], case.offsets[1:]):
        turned.tokens[start:stop] = case.tokens[start:stop][::-1]
    turned.W = case.W[:, :, ::-1]
    value, argmax = turned.pool()
    np.testing.assert_array_equal(value, case.pool()[0])
    assert (lengths - 3 - argmax != case.argmax).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, old, new",
    [
        ("argmax", "z > best", "z >= best"),
        ("argmax", "places[other] < places[me]", "places[other] > places[me]"),
        ("argmax", "bests[other] > bests[me] ||", "bests[other] >= bests[me] ||"),
        ("pool", "places[other] != none &&", ""),
        ("pool", "place == none || z > best", "z > best"),
        ("pool", "p += groups", "p += groups + 1"),
        ("pool", "step = groups / 2", "step = groups / 4"),
        ("pool", "places[me] = place;\n  __syncthreads();", "places[me] = place;"),
        ("pool", "}\n    __syncthreads();\n  }\n  if (group", "}\n  }\n  if (group"),
        ("pool", "wide ? 1 - h : 0", "0"),
        ("pool", "k * F + f]", "f * h + k]"),
        ("pool", "% blocks * width", "% blocks * (width + 1)"),
        ("filters", "!= 0 && t >= offsets[s]", "!= 0 && t > offsets[s]"),
        ("filters", "start < B; start += n", "start < B; start += 2 * n"),
        ("filters", "}\n    __syncthreads();\n    for (int i", "}\n    for (int i"),
        (
            "filters",
            "* D + d];\n    __syncthreads();\n  }\n  if (d < D) out[((",
            "* D + d];\n  }\n  if (d < D) out[((",
        ),
        ("filters", "row[me] = -1", "row[me] = 0"),
        ("filters", "int d = blockIdx.x % blocks * n", "int d = blockIdx.x % blocks * (n + 1)"),
        ("words saliency", "offsets[middle] <= t", "offsets[middle] < t"),
        ("words saliency", "s = middle; else", "s = middle + 1; else"),
        ("words saliency", "k >= 0 && k < h)\n      gradient", "k > 0 && k < h)\n      gradient"),
        ("words", "row[i] == word) total", "row[i] != word) total"),
        ("words", "start + me < T ? tokens[start + me]", "start + me < T ? tokens[me]"),
        ("words", "(row[me] == word)) continue;", "(row[me] == word)) break;"),
        ("words", "+ i) * D + d];\n    __syncthreads();", "+ i) * D + d];"),
        (
            "words",
            "blocks, d = blockIdx.x % blocks * n",
            "blocks, d = blockIdx.x % blocks * (n + 1)",
        ),
        ("words", "out[t * D + d] = gradient_at", "out[t * D] = gradient_at"),
        ("saliency", "gradient < 0 ? -gradient : gradient", "gradient"),
        ("saliency", "step = blockDim.x / 2", "step = blockDim.x / 4"),
        ("saliency", "= mine;\n  __syncthreads();", "= mine;"),
        ("saliency", "+ step];\n    __syncthreads();", "+ step];"),
    ],
)
def test_a_wrong_kernel_is_noticed(name, old, new, compiled, device_of):
    """Twin: one change of one kernel and the comparison fails, there alone."""
    assert kernels.SOURCE.count(old) == 1

    device_of(compiled, lambda source: source.replace(old, new))
    # Sentences of all lengths; then more of everything than a block has, which takes long.
    case, names = Case(3, True, np.float32, True, dimensions=100), set(name.split())
    found = set(differing(case, case.results(on_device)))
    if name in ("pool", "argmax", "filters"):
        case = Case(3, True, np.float32, True, 140, 40, [1, 2, 9, 20] * 33)
        found |= set(differing(case, case.results(on_device, but=("words", "saliency"))))
    if name == "words":
        case = Case(3, True, np.float32, True, 140, 5, [1, 2, 9, 20] * 9)
        case.tokens[:200] %= 7  # the last word is not among the first that a block looks at
        found |= set(differing(case, case.results(on_device)))
    assert names <= found <= {"pool", "argmax", *names}


def adds_atomically(source):
    """Functions of CUDA whose order is another one every time."""
    return re.findall(r"\batomic\w+", source)


def test_nothing_is_added_atomically():
    """Sums have an order, so a run on a device repeats bit for bit; the twin has none."""
    assert adds_atomically(kernels.SOURCE) == []
    old = "if (row[i] == word) total += each"
    assert kernels.SOURCE.count(old) == 1
    changed = kernels.SOURCE.replace(old, "if (row[i] == word) atomicAdd(&total, each")
    assert adds_atomically(changed) == ["atomicAdd"]


# --- Output layer, loss and Adam ------------------------------------------------


class HeadCase:
    """Maxima, weights and labels of a batch; some maxima are exactly zero."""

    def __init__(self, activation, masked, dtype, sizes):
        batch, n_filters, n_labels = sizes
        random = np.random.RandomState(batch)
        self.activation, self.dtype = activation, np.dtype(dtype)
        z = random.uniform(-2, 2, (batch, n_filters)) * (random.rand(batch, n_filters) < 0.9)
        mask = (random.rand(batch, n_filters) < 0.6) * 2
        weight = random.uniform(-1, 1, (n_labels, n_filters))
        arrays = (z, mask, weight, random.uniform(-1, 1, n_labels))
        self.z, self.mask, self.weight, self.bias = (a.astype(dtype) for a in arrays)
        self.mask = self.mask if masked else None
        self.labels = random.randint(0, n_labels, batch).astype(np.int32)
        self.scale = 0.7 / batch

    def expected(self):
        """As the step of the CPU has it."""
        y = functions.activate(self.z, self.activation)
        dropped = y if self.mask is None else y * self.mask
        loss, at_logits = functions._cross_entropy(
            dropped.dot(self.weight.T) + self.bias, self.labels, 0.7
        )
        at_y = at_logits.dot(self.weight) * (1 if self.mask is None else self.mask)
        gz = functions.gradient_before_activation(at_y, y, self.activation)
        parts = (loss, at_logits.T.dot(dropped), at_logits.sum(axis=0), gz.sum(axis=0), gz)
        return dict(zip(HEAD_PARTS, parts))

    def found(self, put):
        mask = None if self.mask is None else put(self.mask)
        given = (put(self.z), mask, *map(put, (self.weight, self.bias, self.labels)))
        return dict(zip(HEAD_PARTS, kernels.head(*given, self.activation, self.scale)))

    def differing(self, put, get=lambda array: array):
        expected, found = self.expected(), self.found(put)
        bound = 4 * BOUND[self.dtype]
        assert all(found[name].shape == right.shape for name, right in expected.items())
        return {
            name
            for name, right in expected.items()
            # A sum over sentences may be near zero where what is added is not.
            if not np.allclose(
                get(found[name]), right, rtol=bound, atol=bound * max(abs(right).max(), self.scale)
            )
        }


HEAD_PARTS = ("loss", "of_weight", "of_bias", "of_b", "gz")
HEAD_CASES = [
    (activation, masked, dtype, sizes)
    for activation in ("relu", "tanh", "sigmoid")
    for masked in (False, True)
    for dtype in DTYPES
    # Fewer sentences, filters and labels than the threads of a block, as many, more.
    for sizes in ((5, 7, 2), (1, 1, 2), (130, 5, 6), (3, 129, 2), (128, 128, 3))
]


@pytest.mark.slow
@pytest.mark.parametrize("activation, masked, dtype, sizes", HEAD_CASES)
def test_the_head_gives_what_the_cpu_gives(activation, masked, dtype, sizes, compiled, device_of):
    """Loss and gradients from the maxima, in two launches."""
    device = device_of(compiled)
    assert HeadCase(activation, masked, dtype, sizes).differing(on_device) == set()
    assert [launch[0] for launch in device.launched] == ["head", "head_sums"]


EVERY = set(HEAD_PARTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, activation, wrong",
    [
        ("return z > 0 ? z : 0;", "return z;", "relu", EVERY),
        ("(masked ? mask[at + f] : 1)", "1", "tanh", EVERY),
        ("    if (masked) g *= mask[at + f];\n", "", "tanh", {"of_b", "gz"}),
        ("own[c] = total + bias[c]", "own[c] = total", "relu", EVERY),
        ("- (c == label)", "- (c == 0)", "relu", EVERY - {"loss"}),
        ("(log_total - own[label]) * scale", "log_total - own[label]", "relu", {"loss"}),
        ("(real)(y > 0)", "1", "relu", {"of_b", "gz"}),
        ("1 - y * y :", "1 :", "tanh", {"of_b", "gz"}),
        ("y * (1 - y);", "y;", "sigmoid", {"of_b", "gz"}),
        (
            "own[c] = total + bias[c];\n    __syncthreads();",
            "own[c] = total + bias[c];",
            "relu",
            EVERY,
        ),
        ("* scale;\n  }\n  __syncthreads();", "* scale;\n  }", "relu", {"of_b", "gz"}),
        ("greatest = own[c] > greatest ? own[c] : greatest", "greatest = 1e6", "relu", EVERY),
        ("i / F] * dropped", "0] * dropped", "relu", {"of_weight"}),
        ("s * C + i - C * F]", "s * C]", "relu", {"of_bias"}),
        ("i - C * F - C]", "0]", "relu", {"of_b"}),
        ("s += blockDim.x", "s += 2 * blockDim.x", "relu", EVERY - {"gz"}),
        ("if (me == 0) out[i] = total", "if (me == 0) out[i] = 2 * total", "relu", EVERY - {"gz"}),
    ],
)
def test_a_wrong_head_is_noticed(old, new, activation, wrong, compiled, device_of):
    """Twin: one change of the kernels, and these numbers are no longer the CPU's."""
    assert kernels.SOURCE.count(old) == 1
    device_of(compiled, lambda source: source.replace(old, new))
    found = HeadCase(activation, True, np.float64, (300, 130, 3)).differing(on_device)
    assert found == wrong


#: Sizes of parameters: as of one height, of three, of one parameter, and of odd sizes.
PARAMETERS = [(1500, 5, 10, 2), (45, 5, 60, 5, 75, 5, 30, 2), (1,), (128, 127, 129, 1, 3)]


def adam_differs(sizes, put, get=lambda array: array):
    """Whether three steps give other weights or states than the loop of the CPU."""
    random = np.random.RandomState(len(sizes))
    constants = tuple(map(np.float32, (1e-3, 0.1, 1e-3, 1e-8)))
    ours, expected = [], []
    for size in sizes:
        arrays = [random.uniform(-1, 1, size).astype(np.float32) for _ in range(4)]
        arrays[3] = abs(arrays[3])
        expected.append([array.copy() for array in arrays])
        ours.append(tuple(map(put, arrays)))
    for _ in range(3):
        kernels.adam(ours, *constants)
        for arrays in expected:
            optimizers._adam(*arrays, *constants)
    pairs = [(get(a), b) for found, right in zip(ours, expected) for a, b in zip(found, right)]
    return not all(np.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in pairs)


@pytest.mark.parametrize("sizes", PARAMETERS)
def test_adam_gives_what_the_cpu_gives(sizes, compiled, device_of):
    """Four parameters a launch, three steps."""
    device = device_of(compiled)
    assert not adam_differs(sizes, lambda array: on_device(array.copy()))
    assert len(device.launched) == 3 * -(-len(sizes) // 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("rest1 * (g[i] - m[i])", "rest1 * g[i]"),
        ("rest2 * (g[i] * g[i] - v[i])", "rest2 * (g[i] - v[i])"),
        ("(sqrt(second) + eps)", "sqrt(second + eps) / 2"),
        ("v[i] = second;", ""),
        ("m[i] = first;", ""),
        ("w = w1; g = g1; m = m1; v = v1; n = n1;", "w = w1; g = g0; m = m1; v = v1; n = n1;"),
        ("w = w3; g = g3; m = m3;", "w = w3; g = g3; m = m2;"),
        ("if (i >= n) { i -= n; w = w2;", "if (i > n) { i -= n; w = w2;"),
    ],
)
def test_a_wrong_adam_is_noticed(old, new, compiled, device_of):
    """Twin: one change of the kernel."""
    assert kernels.SOURCE.count(old) == 1
    device_of(compiled, lambda source: source.replace(old, new))
    assert adam_differs((100, 5, 10, 7), lambda array: on_device(array.copy()))


# --- Launches ----------------------------------------------------------------


def test_what_is_launched(device_of):
    """Order, types and sizes of the arguments, without running anything."""
    device = device_of()
    case = Case(3, True, np.float32, False)
    case.results(on_device)
    sizes = {
        name: [int(a) for a in arguments if isinstance(a, np.generic)]
        for name, _, _, arguments in device.launched
    }
    assert sizes == {
        "pool": [5, 3, 1, 8],  # F, h, wide, filters a block
        "filters": [6, 5, 3, 6],  # B, F, h, D
        "occurrences": [6, 5, 3, 6],
        "words": [len(case.tokens), 6],  # T, D
        "saliency": [6, 5, 3, 6],
    }
    of_each = dict.fromkeys(("occurrences", "saliency"), len(case.tokens))
    blocks = {"pool": 6, "filters": 5 * 3, "words": len(case.vectors), **of_each}
    written = []
    for name, grid, block, arguments in device.launched:
        assert (grid, block) == ((blocks[name],), (128,))
        given = [a for a in arguments if isinstance(a, np.ndarray)]
        source = kernels.kernel_source(case.dtype)
        constant = [const for _, pointer, const in declared(source, name) if pointer]
        # What a kernel writes is new, none of the caller's arrays; it reads what is set.
        for array, const in zip(given, constant):
            unset = np.isnan(array).any() if array.dtype.kind == "f" else (array < -1000).any()
            filled = any(array is one for one in written) or (not unset and array.any())
            assert const == filled
        written += [array for array, const in zip(given, constant) if not const]


def test_narrow_padding_and_strided_arrays(device_of):
    """``wide`` is a number; arrays that are not contiguous are copied first."""
    device = device_of()
    case = Case(3, False, np.float32, False)
    case.W = case.W[:, :, :, ::-1]
    case.vectors = case.vectors[:, ::-1]
    case.results(lambda array: array.view(OnDevice))
    assert int(device.launched[0][3][6]) == 0


@pytest.mark.parametrize("name", ["tokens", "offsets", "W", "argmax"])
def test_arguments_of_another_type_are_noticed(name, device_of):
    """Twin: the stand-in refuses what a kernel would read as other numbers."""
    device_of()
    case = Case(3, True, np.float32, False)
    array = getattr(case, name)
    other = {"f": np.float64, "i": np.int64 if array.itemsize == 4 else np.int32}
    setattr(case, name, array.astype(other[array.dtype.kind]))
    with pytest.raises(AssertionError, match="argument"):
        case.results(on_device)


def test_a_swapped_argument_is_noticed(device_of, monkeypatch):
    """Twin: tokens and offsets in the other order."""
    device_of()
    real = kernels._launch

    def swapped(name, blocks, threads, dtype, *arguments):
        arguments = list(arguments)
        arguments[2], arguments[3] = arguments[3], arguments[2]
        real(name, blocks, threads, dtype, *arguments)

    monkeypatch.setattr(kernels, "_launch", swapped)
    with pytest.raises(AssertionError, match="argument 2 of pool"):
        Case(3, True, np.float32, False).results(on_device)


def test_a_grid_too_small_is_noticed(compiled, device_of, monkeypatch):
    """Twin: with a block less than needed, numbers are left unwritten."""
    device_of(compiled)
    real = kernels._launch
    monkeypatch.setattr(kernels, "_launch", lambda name, n, *rest: real(name, n - 1, *rest))
    case = Case(3, True, np.float32, False, dimensions=11)
    names = ["pool", "argmax", "filters", "words", "saliency"]
    assert differing(case, case.results(on_device)) == names


def test_an_empty_sentence_is_refused_before_the_launch(device_of):
    """As on the CPU, where types are checked; a step's batch is checked where it is made."""
    device = device_of()
    case = Case(3, True, np.float32, False)
    case.offsets[2] = case.offsets[1]
    with pytest.raises(ValueError, match="a sentence without words"):
        functions.convolution_max(
            *map(on_device, (case.vectors, case.W, case.b, case.tokens, case.offsets))
        )
    assert device.launched == []


def test_a_dtype_is_compiled_once(device_of, monkeypatch):
    """One module for float32, one for float64, whatever is launched."""
    device = device_of()
    asked = []
    real = device.RawModule
    device.RawModule = lambda code: asked.append(code.split()[1]) or real(code)
    for dtype in (np.float32, np.float64, np.float32):
        Case(2, True, dtype, False).results(on_device)
    assert asked == ["float", "double"]


@pytest.mark.parametrize("padding", ["wide", "narrow"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_function_on_a_device(activation, padding, compiled, device_of):
    """convolution_max and its gradients through Chainer, the kernels underneath."""
    device = device_of(compiled)
    case = Case(3, padding == "wide", np.float64, False)

    def outputs(put):
        inputs = [chainer.Variable(put(a)) for a in (case.vectors, case.W, case.b)]
        sentences = (put(case.tokens), put(case.offsets))
        y = functions.convolution_max(*inputs, *sentences, activation, padding)
        return [v.array for v in (y, *chainer.grad([y], inputs, [chainer.Variable(put(case.gz))]))]

    expected = outputs(lambda array: array)
    assert device.launched == []
    found = outputs(on_device)
    launched = sorted(launch[0] for launch in device.launched)
    assert launched == ["filters", "occurrences", "pool", "words"]
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


# --- The real compiler ---------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.int32, bool])
def test_other_dtypes_have_no_kernels(dtype):
    """Only what C knows as float and double."""
    with pytest.raises(ValueError, match="use float32 or float64"):
        kernels.kernel_source(dtype)


@pytest.fixture(scope="session")
def nvrtc():
    """Compile a source for a common architecture to PTX; needs no GPU."""
    pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:  # whatever the loader of the library says
        pytest.skip(f"NVRTC is not there ({error})")

    def compile_(source):
        program = nvrtc.createProgram(source, "kernels.cu", [], [])
        nvrtc.compileProgram(program, ["--gpu-architecture=compute_75"])
        ptx = nvrtc.getPTX(program)
        return ptx.decode() if isinstance(ptx, bytes) else ptx

    compile_.error = nvrtc.NVRTCError
    return compile_


@pytest.mark.parametrize("dtype", DTYPES)
def test_nvrtc_compiles_the_kernels(dtype, nvrtc):
    """All of them, by the names that are launched, each with as many parameters as declared."""
    source = kernels.kernel_source(dtype)
    ptx = nvrtc(source)
    for name in NAMES:
        (inside,) = re.findall(rf"\.entry {name}\((.*?)\)", ptx, re.DOTALL)
        assert inside.count(".param") == len(declared(source, name))


def test_nvrtc_notices_a_mistake(nvrtc):
    """Twin: a name that is not there does not compile."""
    with pytest.raises(nvrtc.error):
        nvrtc(kernels.kernel_source(np.float32).replace("bias[f]", "biases[f]"))


# --- A real device -------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("height, wide, dtype, whole", CASES)
def test_device_gives_what_the_cpu_gives(height, wide, dtype, whole, cupy):
    """The kernels of the convolution on the device."""
    case = Case(height, wide, dtype, whole)
    found = {name: cuda.to_cpu(array) for name, array in case.results(cupy.asarray).items()}
    assert differing(case, found) == []


@pytest.mark.gpu
@pytest.mark.parametrize("activation, masked, dtype, sizes", HEAD_CASES)
def test_the_head_on_a_device(activation, masked, dtype, sizes, cupy):
    """As on the CPU."""
    case = HeadCase(activation, masked, dtype, sizes)
    assert case.differing(cupy.asarray, cuda.to_cpu) == set()


@pytest.mark.gpu
@pytest.mark.parametrize("sizes", PARAMETERS)
def test_adam_on_a_device(sizes, cupy):
    """As on the CPU."""
    assert not adam_differs(sizes, cupy.array, cuda.to_cpu)


@pytest.mark.gpu
def test_device_repeats_bit_for_bit(cupy):
    """All of them; hundreds of occurrences of each word meet in its gradient."""
    lengths = [1, 2, 9, 20, 30] * 60
    case = Case(3, True, np.float32, False, dimensions=300, n_filters=100, lengths=lengths)
    first, second = case.results(cupy.asarray), case.results(cupy.asarray)
    for name in first:
        assert cuda.to_cpu(first[name]).tobytes() == cuda.to_cpu(second[name]).tobytes()


def models(config, device, implementation):
    """The fused model on the CPU and a form of it on a device, and a batch for each."""
    random = np.random.RandomState(0)
    vectors = np.concatenate([np.zeros((1, 12)), random.uniform(-1, 1, (30, 12))])
    lengths = np.array([1, 2, 3, 4, 12, 7])
    tokens = random.randint(0, 30, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = np.array([0, 1, 1, 0, 1, 0], dtype=np.int32)
    made = []
    for place, form in (("@numpy", "fused"), (device, implementation)):
        model = TextCNN(vectors.astype(np.float32), 2, config, 0, form)
        model.to_device(place)
        made.append((model, flat_batch(model, tokens, offsets, labels)))
    return made


@pytest.mark.gpu
@pytest.mark.parametrize("implementation", ["fused", "reference"])
@pytest.mark.parametrize("mode", ["static", "finetuned"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_device_trains_and_looks_as_the_cpu(activation, mode, implementation, cupy):
    """Loss, gradients, saliency and probabilities of the whole model, in both forms."""
    config = Config(n_filters=7, activation=activation, vectors_mode=mode)
    found = []
    for model, batch in models(config, "@cupy:0", implementation):
        model.cleargrads()
        loss = model.training_loss(batch)
        loss.backward()
        grads = [cuda.to_cpu(p.grad) for _, p in sorted(model.namedparams())]
        looked, classified = word_saliency(model, batch), classify(model, batch)
        found.append(
            [float(loss.array), *grads]
            + [looked.token_saliency, looked.predicted, looked.uncertainty]
            + [classified.probabilities, classified.features]
        )
    # Wider than the kernels' own: the device's matrix products and exp round otherwise.
    for on_gpu, on_cpu in zip(found[1], found[0]):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-4, atol=1e-6)
