"""Fixtures that several test files share."""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from replicate.fast.compat import chainer
from replicate.io.data import KIM_FOLDER, POLARITY_FILES
from replicate.io.errors import InputError
from replicate.io.published import PUBLISHED

REPOSITORY = Path(__file__).resolve().parents[1]

# How long an example takes depends on what else the machine does, and says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


#: What ``REPLICATE_REQUIRE`` may name, separated by commas: things that some tests need,
#: and that a machine may lack.  Where one is named, its tests fail instead of being skipped.
REQUIRABLE = ("browser", "data", "gpu", "mpi", "torch")


def required():
    """Names in ``REPLICATE_REQUIRE``; a misspelt one must not require nothing."""
    names = [n.strip() for n in os.environ.get("REPLICATE_REQUIRE", "").split(",")]
    odd = sorted(set(names) - {"", *REQUIRABLE})
    if odd:
        raise pytest.UsageError(
            f"REPLICATE_REQUIRE: {odd[0]!r} is none of {', '.join(REQUIRABLE)}; correct it"
        )
    return set(names) - {""}


@functools.cache
def no_gpu():
    """Why no GPU can be used here; empty where one can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no device ({error})"
    return "" if count else "CuPy finds no device"


@functools.cache
def no_torch():
    """Why there is no PyTorch to compare with; empty where there is."""
    try:
        import captum.attr  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        return "PyTorch or Captum is not installed (`make parity` installs both)"
    return ""


def left_out():
    """Marker -> why its tests, hundreds of them, are left out here; not where they are required."""
    reasons = {"gpu": no_gpu(), "torch": no_torch()}
    return {name: why for name, why in reasons.items() if why and name not in required()}


def pytest_configure():
    required()


def pytest_collection_modifyitems(config, items):
    absent = left_out()
    without = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    gone = set(without)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=without)
    # Files with slow tests first, so that at the end no process is left alone with one.
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_terminal_summary(terminalreporter):
    for name, why in left_out().items():
        terminalreporter.write_line(f"Tests marked {name} are left out: {why}.")


@pytest.fixture(scope="session")
def missing():
    """``missing(thing, reason)`` skips a test that lacks a thing, or fails it where it is required."""

    def end(thing, reason):
        assert thing in REQUIRABLE, thing
        if thing in required():
            pytest.fail(f"{reason} (REPLICATE_REQUIRE names {thing})", pytrace=False)
        pytest.skip(reason)

    return end


@pytest.fixture(scope="session")
def cupy(missing):
    """CuPy with a device, or the end of a test, which says what is missing."""
    if no_gpu():
        missing("gpu", no_gpu())
    import cupy

    assert chainer.backends.cuda.available, "CuPy has a device and Chainer does not see it"
    return cupy


@pytest.fixture
def torch(missing):
    """The end of a test where there is no PyTorch with Captum."""
    if no_torch():
        missing("torch", no_torch())


@pytest.fixture(params=["@numpy", pytest.param("@cupy:0", marks=pytest.mark.gpu)])
def device(request):
    """A device of Chainer's: a test that takes it runs on the CPU, and on a GPU where one is."""
    if request.param != "@numpy":
        request.getfixturevalue("cupy")
    return chainer.get_device(request.param)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def mr_folder(missing):
    """The folder of the MR corpus, or the end of a test."""
    named = os.environ.get("REPLICATE_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    for name in POLARITY_FILES:
        if not (folder / name).is_file():
            missing("data", f"{folder / name} is not there; set REPLICATE_DATA to MR's folder")
    return folder


@pytest.fixture
def kim_corpora(mr_folder, missing, monkeypatch):
    """The published corpora can be read by name, from MR's folder; or the end of a test."""
    for corpus in PUBLISHED.values():
        places = [mr_folder, mr_folder / KIM_FOLDER]
        for files in (corpus.files, corpus.copies):
            if files and any(all((p / f.name).is_file() for f in files) for p in places):
                break
        else:
            missing("data", f"{corpus.name} is not in {mr_folder}; run `replicate fetch`")
    monkeypatch.setenv("REPLICATE_DATA", str(mr_folder))
    return mr_folder


@pytest.fixture(scope="session")
def mr_vectors(mr_folder, missing):
    """The file of the GoogleNews vectors of MR's words, or the end of a test."""
    place = mr_folder / "googlenews-mr-subset.bin.gz"
    if not place.is_file():
        missing("data", f"{place} is not there")
    return place


@pytest.fixture
def importable(monkeypatch):
    """Workers import a test file by its name to find its functions."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


# --- runs that many tests read ---------------------------------------------------


@pytest.fixture(scope="session")
def made_once(request, tmp_path_factory):
    """``made_once(name, make)``: a folder that ``make(folder)`` filled, once for all test processes.

    Tests only read it: one that writes takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent  # the folder of all processes of pytest-xdist
    used = []

    def get(name, make):
        folder, mark = base / name, base / f"{name}.json"
        with FileLock(base / f"{name}.lock"):
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                mark.write_text(json.dumps(written(folder)))
        used.append((folder, mark))
        return folder

    yield get
    for folder, mark in used:
        before, now = json.loads(mark.read_text()), written(folder)
        changed = {n for n in before.keys() | now.keys() if before.get(n) != now.get(n)}
        assert not changed, f"a test wrote into {folder}, which others read: {sorted(changed)}"


def written(folder):
    """Name -> time of the last writing, of every file below a folder."""
    places = [place for place in folder.rglob("*") if place.is_file()]
    return {place.relative_to(folder).as_posix(): place.stat().st_mtime_ns for place in places}


def _recorded(out):
    # Inside, for Chainer takes a second to import and most files do without.
    from replicate.config import PRESETS
    from replicate.corpus import sample_path
    from replicate.experiment import prepare, run_seed
    from replicate.run import Options

    config = PRESETS["sample"].replace(epochs=6, n_filters=6)
    corpus, vectors = sample_path()
    options = Options(epoch_weights="all", record_arms=True)
    made = prepare(out, config, options, [0, 1, 2], [corpus], vectors)
    for seed in made.seeds:
        run_seed(made, seed)


@pytest.fixture(scope="session")
def recorded_run(made_once):
    """Three seeds of the sample with six epochs, all that the questions need recorded; only read."""
    from replicate.experiment import Run

    return Run(made_once("recorded", _recorded))


@pytest.fixture(scope="session")
def reported_run(made_once):
    """Three seeds of :func:`odd_corpus.odd_run`, with claims, figures and report; only read."""
    from odd_corpus import conclude, odd_run

    from replicate.experiment import Run

    made = made_once("reported", lambda folder: conclude(odd_run(folder, (0, 1, 2))))
    return Run(made / "run")


@pytest.fixture
def copied(tmp_path):
    """``copied(run)``: a run of a test's own, with the files of another."""

    def copy(run):
        return type(run)(shutil.copytree(run.out, tmp_path / "copy"))

    return copy


@pytest.fixture(scope="session")
def refused():
    """Context whose body must raise a good InputError; see :func:`one_clear_line`."""
    return one_clear_line


@contextlib.contextmanager
def one_clear_line(*parts, remedy=r"; \S+ \S"):
    """InputError of one line that holds all `parts` and ends with a remedy."""
    with pytest.raises(InputError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message and "\r" not in message, f"several lines: {message!r}"
    for part in parts:
        assert str(part) in message, f"{part!s} is not named in: {message}"
    assert re.search(remedy, message), f"no remedy in: {message}"


@pytest.fixture(scope="session")
def fresh_python():
    """Run code in a fresh interpreter of this repository; its standard output."""

    def run(code, *arguments, fails=False, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


class Planted:
    """Unpickling it makes a folder: a stand-in for code that must never run."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def planted(tmp_path):
    """An object whose unpickling makes ``planted.folder``."""
    return Planted(tmp_path / "the planted code ran")


@pytest.fixture(scope="session")
def binary_vectors():
    """Bytes of a word2vec binary file: ``binary_vectors({word: numbers}, end=b"\\n")``."""

    def make(vectors, end=b"\n", count=None, width=None):
        rows = {w: np.asarray(v, dtype="<f4") for w, v in vectors.items()}
        count = len(rows) if count is None else count
        width = len(next(iter(rows.values()))) if width is None else width
        records = [w.encode() + b" " + row.tobytes() + end for w, row in rows.items()]
        return b"%d %d\n" % (count, width) + b"".join(records)

    return make


@pytest.fixture(scope="session")
def text_vectors():
    """Bytes of a text vector file, with or without word2vec's header."""

    def make(vectors, header=True, end="\n"):
        rows = [f"{w} {' '.join(repr(float(x)) for x in v)}{end}" for w, v in vectors.items()]
        width = len(next(iter(vectors.values())))
        first = f"{len(vectors)} {width}\n" if header else ""
        return (first + "".join(rows)).encode()

    return make


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory):
    """Forty made-up labelled sentences."""
    random = np.random.RandomState(0)
    words = [f"w{i}" for i in range(30)]
    rows = [
        f"{i % 2}\t{' '.join([*random.choice(words, 1 + i % 9), 'fine' if i % 2 else 'bad'])}"
        for i in range(40)
    ]
    place = tmp_path_factory.mktemp("forty sentences") / "corpus.tsv"
    place.write_text("label\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return place


@pytest.fixture
def file(tmp_path):
    """Write bytes under a name that tells nothing; its path."""

    def write(data, name="vectors"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write
