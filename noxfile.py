"""Tests and sample over versions of Python, NumPy and CuPy.

``make matrix`` runs every cell that wheels exist for, then writes
``results/versions.csv`` from what they left in ``out/matrix``; the
table in docs/versions.md is made of it.  A cell that has run with these very files is not run
again, so a matrix that was stopped goes on.  One cell::

    nox -s "matrix-3.12(numpy='2', cupy='14')"
    nox -s table
"""

import csv
import datetime
import hashlib
import io
import json
import os
import platform
import re
import shutil
import time
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
# uv is quicker; it is used where it is there.
nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["matrix", "table"]
nox.options.error_on_missing_interpreters = True

HERE = Path(__file__).parent
OUT = HERE / "out" / "matrix"
PYTHONS = ["3.11", "3.12", "3.13"]
NUMPYS = {"1.26": "numpy==1.26.*", "2": "numpy>=2"}
# Without cuBLAS Chainer takes CuPy for absent; NVRTC compiles the kernels' source
# without a device.
CUDA = [
    f"nvidia-{name}-cu12"
    for name in "cublas cuda-nvrtc cuda-runtime cufft curand cusolver cusparse nvjitlink".split()
]
CUPYS = {
    "absent": [],
    "13": ["cupy-cuda12x==13.*", *CUDA],
    "14": ["cupy-cuda12x==14.*", *CUDA],
}

#: Tests of what depends on versions: numbers, Chainer, files.  Not those of the
#: command line, of downloads and of this repository's own rules.
CORE = """
    compat convolution kernels optimizers model saliency recorder training instability selection split
    vectors regression restatement statistics inference valuation
    errors files data summary lines table tables corpora corpus published public_vectors wordvectors
    gensim_data inputs run
""".split()

#: What CuPy matters to; the cells without it run the rest.
WITH_CUPY = ["compat", "convolution", "kernels"]

COLUMNS = "python,numpy,cupy,scipy,numba,supplied,tests,accuracy,loss,wac,date,system".split(",")

#: How far the sample's numbers of a cell may be from those of the first cell.
#: T3 has 20 sentences: 0.05 is one of them, at the boundary in float32.
ACCURACY, LOSS, WAC = 0.05, 1e-3, 1e-2


def without_wheel(python, numpy, cupy):
    """Why a cell cannot be: no wheels; None where it can."""
    if numpy == "1.26" and python == "3.13":
        return "NumPy 1.26 has no wheel for Python 3.13"
    if numpy == "1.26" and cupy == "14":
        return "CuPy 14 needs NumPy 2"
    return None


def digest():
    """Of what a cell's result depends on, but for the packages' versions."""
    found = hashlib.sha256()
    places = [HERE / name for name in ("setup.py", "noxfile.py", "conftest.py")]
    places += sorted((HERE / "replicate").rglob("*.py"))
    places += [HERE / f"tests/test_{part}.py" for part in CORE]
    # What tests share.
    places += sorted((HERE / "tests").glob("[!t]*.py"))
    for place in places:
        found.update(place.relative_to(HERE).as_posix().encode() + b"\0" + place.read_bytes())
    return found.hexdigest()


def cell(python, numpy, cupy):
    """Name of a cell's file."""
    return f"python{python}-numpy{numpy}-cupy{cupy}"


@nox.session(python=PYTHONS)
@nox.parametrize("cupy", list(CUPYS))
@nox.parametrize("numpy", list(NUMPYS))
def matrix(session, numpy, cupy):
    """Install, run the sample, keep its numbers, run the tests that versions matter to."""
    name = cell(session.python, numpy, cupy)
    OUT.mkdir(parents=True, exist_ok=True)
    kept = OUT / f"{name}.json"
    reason = without_wheel(session.python, numpy, cupy)
    if reason:
        session.skip(reason)
    ours = digest()
    if kept.is_file() and json.loads(kept.read_text())["digest"] == ours and not session.posargs:
        session.log(f"{kept} is of these very files")
        return
    kept.unlink(missing_ok=True)
    session.install("setuptools<74", "wheel")
    session.install(
        "--no-build-isolation", "--only-binary=:all:", "--no-binary=chainer",
        "--no-binary=word-saliency-replication", NUMPYS[numpy], *CUPYS[cupy],
        "-e", ".[test]", "setuptools<74",
    )  # fmt: skip
    folder = Path(session.create_tmp()).resolve()
    # Compiled loops of one NumPy are not for another.
    session.env["NUMBA_CACHE_DIR"] = str(folder / "numba")
    found = json.loads(session.run("python", "-c", VERSIONS, silent=True).splitlines()[-1])
    if cupy != "absent":
        # CuPy finds these wheels by itself from 14 on.
        places = Path(session.virtualenv.location).glob("lib/python*/site-packages/nvidia/*/lib")
        session.env["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, sorted(places)))
        session.run("python", "-c", SEEN_BY_CHAINER)

    sample = folder / "sample"
    shutil.rmtree(sample, ignore_errors=True)
    began = time.monotonic()
    session.run(
        "replicate", "run", "--preset", "sample", "--seeds", "2", "--quiet", "--out", str(sample)
    )
    found["sample_seconds"] = round(time.monotonic() - began, 1)
    found["numbers"] = numbers(sample)

    wanted = CORE if cupy == "absent" else WITH_CUPY
    told = session.run(
        "python", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile",
        *(session.posargs or [f"tests/test_{part}.py" for part in wanted]),
        silent=True, success_codes=[0, 1],
    )  # fmt: skip
    last = told.strip().splitlines()[-1]
    session.log(last)
    if "failed" in last or "error" in last:
        session.error(
            "\n".join(line for line in told.splitlines() if line.startswith(("FAILED", "ERROR")))
        )
    if cupy != "absent" and "NVRTC is not there" in told:
        session.error("the kernels were not compiled: NVRTC is not there")
    if session.posargs:
        return  # part of a cell is no cell
    found["tests"] = re.sub(r" in [\d.]+s.*|=+", "", last).strip()
    found["tests_seconds"] = float(re.search(r" in ([\d.]+)s", last)[1])
    kept.write_text(json.dumps({"digest": ours, **found}, indent=1) + "\n")


SEEN_BY_CHAINER = """
import cupy
from replicate.fast import compat, kernels
from chainer.backends import cuda
assert cuda.available and cuda.cupy is cupy and kernels.cuda.ndarray is cupy.ndarray
"""

VERSIONS = """
import json, platform, warnings
from importlib.metadata import version
warnings.simplefilter("ignore")
from replicate.fast import compat
found = {n: version(n) for n in ("numpy", "scipy", "numba", "gensim")}
try:
    found["cupy"] = version("cupy-cuda12x")
except Exception:
    found["cupy"] = None
print(json.dumps({"python": platform.python_version(), **found, "supplied": compat.SUPPLIED}))
"""


def numbers(folder):
    """Accuracy, loss and wac of a run: what cells must agree about."""
    found = {}
    for path in sorted(folder.glob("seed-*/accuracy.csv")):
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
            key = f"{path.parent.name} {row['arm']} {row['epoch']}"
            found[f"accuracy {key}"] = float(row["accuracy"])
            found[f"loss {key}"] = float(row["loss"])
    for path in sorted(folder.glob("seed-*/instability.csv")):
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
            found[f"wac {path.parent.name} {row['word']}"] = float(row["wac"])
    return found


def differences(found, first):
    """Greatest differences from the first cell: accuracy, relative loss, relative wac."""
    if found.keys() != first.keys():
        raise ValueError("cells have other arms, epochs or words")
    worst = {"accuracy": 0.0, "loss": 0.0, "wac": 0.0}
    for key, value in found.items():
        kind = key.split(" ", 1)[0]
        off = abs(value - first[key])
        if kind != "accuracy" and off:
            off /= max(abs(value), abs(first[key]))
        worst[kind] = max(worst[kind], off)
    return worst


@nox.session(venv_backend="none")
def table(session):
    """Compare the cells' numbers and write results/versions.csv."""
    cells = {}
    for python in PYTHONS:
        for numpy in NUMPYS:
            for cupy in CUPYS:
                path = OUT / f"{cell(python, numpy, cupy)}.json"
                if path.is_file():
                    cells[python, numpy, cupy] = json.loads(path.read_text())
    if not cells:
        session.error("no cell has run")
    if len({found["digest"] for found in cells.values()}) > 1:
        session.error("cells are of several versions of this package: run the matrix again")
    first = next(iter(cells.values()))["numbers"]
    limits = {"accuracy": ACCURACY, "loss": LOSS, "wac": WAC}
    rows, wrong = [], []
    for python in PYTHONS:
        for numpy in NUMPYS:
            for cupy in CUPYS:
                reason = without_wheel(python, numpy, cupy)
                found = cells.get((python, numpy, cupy))
                if reason or not found:
                    rows.append([python, numpy, cupy, "", "", "", reason or "not run", "", "", ""])
                    continue
                off = differences(found["numbers"], first)
                wrong += [
                    f"{python} {numpy} {cupy}: {k} by {off[k]:g}"
                    for k in off
                    if off[k] > limits[k] + 1e-9
                ]
                supplied = " ".join(name.removeprefix("numpy.") for name in found["supplied"])
                rows.append([
                    found["python"], found["numpy"], found["cupy"] or "absent", found["scipy"],
                    found["numba"], supplied, found["tests"],
                    f"{off['accuracy']:.2g}", f"{off['loss']:.1e}", f"{off['wac']:.1e}",
                ])  # fmt: skip
    if wrong:
        session.error("; ".join(wrong))
    system = f"{platform.system()} {platform.machine()}"
    place = HERE / "results" / "versions.csv"
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        today = datetime.date.today().isoformat()
        writer.writerows([*row, today, system] for row in rows)
    session.log(f"{len(cells)} cells agree: {place}")
