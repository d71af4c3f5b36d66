"""Make a folder for a machine with a GPU, Python 3.12 and no network.

Usage: python tools/gpu_pack.py FOLDER [--slim] [--cupy]

It holds wheels of this package, of Chainer and of what else they need, the tests
that need a device, and ``gpu_run.py``, which does everything there.  ``--slim``
leaves out what such a machine has already (``THERE``); ``--cupy`` adds CuPy and
CUDA's libraries (2 GB), for a machine that has a driver only.

Wheels are fetched and checked by the hashes of the lock files; Chainer, which has
a source distribution only, is built.  ``PYTHON312`` names a Python 3.12 of Linux
on x86-64, where there is neither ``python3.12`` nor pyenv's.
"""

import argparse
import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wheels import build_tools, own_wheel

REPOSITORY = Path(__file__).resolve().parents[1]
#: What a machine for computing on GPUs has, and what comes with it.
THERE = frozenset(
    """
    certifi charset-normalizer click contourpy cycler execnet filelock fonttools hypothesis
    idna iniconfig jinja2 kiwisolver llvmlite markupsafe matplotlib numba numpy packaging
    pandas pillow pluggy protobuf psutil pyparsing pytest pytest-xdist
    python-dateutil pytz pyyaml requests scipy setuptools six sortedcontainers
    typing-extensions tzdata urllib3
    """.split()
)
#: A slim folder travels with a working tree, 64 MiB together.
SLIM_MEGABYTES = 55
#: Beside the tests: their configuration, and what they read or gpu_run.py does.
FILES = ("conftest.py", "pyproject.toml", "noxfile.py", "Dockerfile")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slim", action="store_true", help="only what such a machine lacks")
    parser.add_argument("--cupy", action="store_true", help="CuPy and CUDA's libraries too")
    chosen = parser.parse_args(arguments)
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return fail("wheels are made for Linux on x86-64; run it there")
    python = python312()
    if python is None:
        return fail("no Python 3.12 here; name one: PYTHON312=...")
    folder = chosen.folder
    for name in ("wheels", "tests"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        gather_wheels(python, folder / "wheels", Path(work), chosen.slim, chosen.cupy)
    copy_tests(folder)
    wheels = sorted((folder / "wheels").iterdir(), key=lambda wheel: -wheel.stat().st_size)
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 1e6:8.2f} MB  {wheel.name}")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    print(f"{folder}: {len(wheels)} wheels, {size:.1f} MB in all")
    print("on the machine with the GPU: python3 gpu_run.py OUT")
    if chosen.slim and size > SLIM_MEGABYTES:
        return fail(f"a slim folder has {SLIM_MEGABYTES} MB at most")
    return 0


def fail(reason):
    print(f"gpu_pack: {reason}", file=sys.stderr)
    return 2


def python312():
    """A Python 3.12, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [os.environ.get("PYTHON312"), shutil.which("python3.12")]
    found += sorted(pyenv.glob("3.12*/bin/python"))
    for python in filter(None, found):
        asked = [python, "-c", "import sys; print(*sys.version_info[:2])"]
        # A shim of pyenv is there for versions that are not.
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answer.stdout.split() == ["3", "12"]:
            return str(python)
    return None


def lacking(lock):
    """Of a lock file what is not :data:`THERE`: its requirements, each with its hashes."""
    entries = re.findall(r"^[a-z0-9].*(?:\n[ \t].*)*", lock, re.MULTILINE)
    return [entry for entry in entries if re.split(r"[=\[ ]", entry)[0] not in THERE]


def gather_wheels(python, wheels, work, slim, cupy):
    """Fetch, or build, the wheels."""
    # An old setuptools, and no isolated build, which would fetch a new one.
    pip = build_tools(python, work)
    name = "requirements.lock" if slim else "requirements-dev.lock"
    lock = REPOSITORY / name
    if slim:
        lock = work / name
        lock.write_text("\n".join(lacking((REPOSITORY / name).read_text(encoding="utf-8"))) + "\n")
    locks = [lock, *([REPOSITORY / "requirements-cuda.lock"] if cupy else [])]
    for lock in locks:
        run(
            # A Chainer built before would hide that it no longer builds.
            *pip, "wheel", "-q", "--no-deps", "--no-cache-dir", "--no-build-isolation",
            "--require-hashes", "-r", lock, "-w", wheels,
        )  # fmt: skip
    own_wheel(pip, wheels, work)
    if not slim:  # a bare Python may lack pip
        run(*pip, "download", "-q", "--no-deps", "pip", "-d", wheels)


def run(*words):
    subprocess.run(list(map(str, words)), check=True)


def needs_a_device(source):
    """Whether a test file has a test that is marked ``gpu``, or that takes a device."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        decorators = " ".join(map(ast.unparse, node.decorator_list))
        own = re.search(r"parametrize\('[^']*\bdevice\b", decorators)
        takes = {argument.arg for argument in node.args.args}
        if "mark.gpu" in decorators or re.search(r"\bGPU\b", decorators):
            return True
        if "cupy" in takes or ("device" in takes and not own):
            return True
    return False


def test_files():
    """Files of tests that need a device, with what they import of each other."""
    tests = REPOSITORY / "tests"
    named = {p for p in tests.glob("test_*.py") if needs_a_device(p.read_text(encoding="utf-8"))}
    beside = {p.stem: p for p in tests.glob("*.py")}
    while True:
        imported = set()
        for place in named:
            for node in ast.walk(ast.parse(place.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) else []
                imported |= {beside[name] for name in names if name in beside}
        if imported <= named:
            return sorted(named)
        named |= imported


def copy_tests(folder):
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "tools" / "gpu_run.py", folder / "gpu_run.py")
    for place in [REPOSITORY / "tests" / "conftest.py", *test_files()]:
        shutil.copy(place, folder / "tests" / place.name)


if __name__ == "__main__":
    sys.exit(main())
