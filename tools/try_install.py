"""Install this package as a user does, into empty environments, and run it there.

Usage: python tools/try_install.py [--wheels DIST] [--python PYTHON]... [--way WAY]...

Ways, all of them if none is named:

* ``pip``: the wheel, with Chainer's wheel beside it (``--find-links``)
* ``uv``: the same with uv
* ``pip-source``: this folder, with ``--build-constraint`` of a new pip
* ``uv-source``: this folder, with the lines for uv in ``pyproject.toml``

After each: versions are consistent, Chainer can be imported although setuptools has no
``pkg_resources``, and a run ends with a report.  The run is the sample that comes with gensim;
Python 3.14 has no gensim yet, and runs a corpus that is made here.  Before all, Chainer's own
build must still fail: if it works one day, none of this is needed.

Wheels are made by tools/wheels.py.  Exit code 1 if a way fails, 2 if something is missing here.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wheels import copied_sources

REPOSITORY = Path(__file__).resolve().parents[1]
WAYS = ("pip", "uv", "pip-source", "uv-source")
NAME = "word-saliency-replication"
#: The first setuptools without ``pkg_resources``.
LEAST_SETUPTOOLS = 82

LOOK = """
import importlib.util, json, platform, warnings
from importlib import metadata
warnings.simplefilter("ignore")
from replicate.fast import compat
names = {d.metadata["Name"].lower() for d in metadata.distributions()}
print(json.dumps({
    "python": platform.python_version(),
    "chainer": compat.chainer.__version__,
    "setuptools": metadata.version("setuptools") if "setuptools" in names else None,
    "pkg_resources": importlib.util.find_spec("pkg_resources") is not None,
    "gensim": metadata.version("gensim") if "gensim" in names else None,
    "supplied": compat.SUPPLIED,
}))
"""


class Failed(Exception):
    """A command that should work failed, or the other way round."""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, default=REPOSITORY / "dist")
    parser.add_argument("--python", action="append", help="interpreter; default: this one")
    parser.add_argument("--way", action="append", choices=WAYS)
    chosen = parser.parse_args(arguments)
    wheels = chosen.wheels.resolve()
    for pattern in ("chainer-*.whl", "word_saliency_replication-*.whl"):
        if len(list(wheels.glob(pattern))) != 1:
            print(f"try_install: not one {pattern} in {wheels}; run `make wheels`", file=sys.stderr)
            return 2
    ways = chosen.way or WAYS
    uv = shutil.which("uv")
    if uv is None and any(way.startswith("uv") for way in ways):
        print("try_install: uv is not installed here; pip install uv", file=sys.stderr)
        return 2
    rows, wrong = [], 0
    for python in chosen.python or [sys.executable]:
        for way in ways:
            with tempfile.TemporaryDirectory() as work:
                try:
                    row = attempt(way, python, wheels, uv, Path(work).resolve())
                except Failed as error:
                    print(error, file=sys.stderr)
                    row, wrong = f"| {way} | {python} | FAILED |  |  |  |", 1
            print(row, flush=True)
            rows.append(row)
    print("\n| way | Python | outcome | installed in | size | supplied to Chainer |")
    print("| --- | --- | --- | --- | --- | --- |", *rows, sep="\n")
    return wrong


def attempt(way, python, wheels, uv, work):
    """One environment, from nothing to a report; a row of the table."""
    venv = work / "venv"
    run(work, python, "-m", "venv", venv)
    inside = venv / "bin" / "python"
    pip = [inside, "-m", "pip", "--disable-pip-version-check"]
    if way == "pip":
        needed(work, pip)
    began = time.monotonic()
    install(way, pip, [uv, "pip"], inside, wheels, work)
    seconds = time.monotonic() - began
    # A new environment of Python 3.11 has an old setuptools; Chainer must not need it.
    run(work, *pip, "install", "-q", "--upgrade", "setuptools")
    run(work, *pip, "check")
    found = json.loads(run(work, inside, "-c", LOOK).splitlines()[-1])
    check(found)
    run(work, venv / "bin" / "replicate", "--version")
    data = [] if found["gensim"] else made_corpus(work)
    run(
        work, venv / "bin" / "replicate", "run", "--preset", "sample", "--seeds", "1", "--quiet",
        "--out", "run", *data,
    )  # fmt: skip
    if not (work / "run" / "report.html").is_file():
        raise Failed(f"{way}, {python}: no report")
    size = sum(f.lstat().st_size for f in venv.rglob("*") if f.is_file()) / 1e6
    ran = "sample run" if found["gensim"] else "made corpus run, no gensim"
    return (
        f"| {way} | {found['python']} | {ran} | {seconds:.0f} s | {size:.0f} MB | "
        f"{', '.join(found['supplied'])} |"
    )


def install(way, pip, uv_pip, inside, wheels, work):
    """Install this package into the environment of `inside`."""
    if way == "pip":
        run(work, *pip, "install", "-q", "--only-binary=chainer", f"--find-links={wheels}", NAME)
    elif way == "uv":
        run(work, *uv_pip, "install", "-q", f"--python={inside}", "--only-binary=chainer",
            f"--find-links={wheels}", NAME)  # fmt: skip
    elif way == "pip-source":
        run(work, *pip, "install", "-q", "--upgrade", "pip>=25.3")
        constraints = REPOSITORY / "build-constraints.txt"
        sources = copied_sources(work)
        run(
            work,
            *pip,
            "install",
            "-q",
            "--no-cache-dir",
            f"--build-constraint={constraints}",
            sources,
        )
    else:
        # uv reads pyproject.toml of the folder in which it is started.
        sources = copied_sources(work)
        run(
            sources,
            *uv_pip,
            "install",
            "-q",
            "--refresh-package=chainer",
            f"--python={inside}",
            ".",
        )


def needed(work, pip):
    """Chainer's own build fails: otherwise this project's wheel of it is not needed any more."""
    words = [
        *pip,
        "install",
        "-q",
        "--no-deps",
        "--no-cache-dir",
        "--no-binary=chainer",
        "chainer==7.8.1",
    ]
    done = start(work, words)
    if done.returncode == 0:
        raise Failed(
            "Chainer 7.8.1 can be built without help now; README and wheels can be simpler"
        )
    if "pkg_resources" not in done.stdout:
        raise Failed(f"Chainer's build fails for another reason:\n{done.stdout[-2000:]}")


def check(found):
    """What was found in the new environment is what this is about."""
    release = int(re.match(r"\d+", found["setuptools"] or "999")[0])
    if release < LEAST_SETUPTOOLS or found["pkg_resources"]:
        raise Failed(f"an old setuptools was installed: {found}")
    if "pkg_resources" not in found["supplied"]:
        raise Failed(f"pkg_resources was not supplied to Chainer: {found}")
    if found["gensim"] is None and tuple(map(int, found["python"].split(".")[:2])) < (3, 14):
        raise Failed(f"gensim is missing: {found}")


def made_corpus(work):
    """Options that name a small corpus, written here, and random vectors."""
    lines = ["label\ttext"]
    for number in range(120):
        label = ("good", "bad")[number % 2]
        lines.append(f"{label}\ta {label} film with story {number % 7} and actor {number % 11}")
    place = work / "made.tsv"
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["--corpus", place, "--vectors", "random", "--dimensions", "20"]


def start(folder, words):
    """Run a command in a folder, with nothing of this Python's in its environment."""
    gone = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "REPLICATE_DATA")
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    return subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def run(folder, *words):
    """The output of a command that must work."""
    done = start(folder, words)
    if done.returncode:
        line = " ".join(map(str, words))
        raise Failed(f"{line}\nexit code {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
