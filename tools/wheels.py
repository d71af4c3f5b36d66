"""Build the two wheels that ``pip install`` needs: this package's, and Chainer's.

Usage: python tools/wheels.py [FOLDER]      (dist, if it is not named)

Chainer 7.8.1 has a source distribution only, and its build needs ``pkg_resources``, which
today's setuptools does not have.  The wheel is pure Python: the same file is right for every
Python and every machine.  It is built from the source distribution with the hash of
``requirements.lock``, with the build tools of ``requirements-build.lock``.  The same sources
give the same bytes; ``SHA256SUMS`` has their checksums.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
#: What this package is built from.
SOURCES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "replicate")
#: The first day that an archive can name: members of a wheel have this time.
EPOCH = "315532800"


def main(arguments):
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 2
    folder = Path(arguments[0] if arguments else REPOSITORY / "dist").resolve()
    for wheel in build(folder):
        print(f"{wheel.stat().st_size / 1000:8.0f} kB  {wheel}")
    return 0


def build(folder):
    """Both wheels in a folder; older ones of theirs are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("chainer-*.whl", "word_saliency_replication-*.whl"):
        for old in folder.glob(pattern):
            old.unlink()
    with tempfile.TemporaryDirectory() as work:
        pip = build_tools(sys.executable, Path(work))
        chainer = Path(work) / "chainer.txt"
        chainer.write_text(entry((REPOSITORY / "requirements.lock").read_text(), "chainer"))
        # A Chainer built before would hide that it no longer builds.
        run(
            *pip, "wheel", "-q", "--no-deps", "--no-cache-dir", "--no-build-isolation",
            "--no-binary=chainer", "--require-hashes", "-r", chainer, "-w", folder,
        )  # fmt: skip
        own_wheel(pip, folder, Path(work))
    wheels = sorted([*folder.glob("chainer-*.whl"), *folder.glob("word_saliency_*.whl")])
    digests = [f"{hashlib.sha256(w.read_bytes()).hexdigest()}  {w.name}\n" for w in wheels]
    (folder / "SHA256SUMS").write_text("".join(digests))
    return wheels


def build_tools(python, work):
    """The pip of a new environment that has the locked build tools, as words of a command."""
    run(python, "-m", "venv", work / "venv")
    pip = [work / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--require-hashes", "-r", REPOSITORY / "requirements-build.lock")
    return pip


def entry(lock, name):
    """The lines of one package in a lock file, with its hashes."""
    (found,) = re.findall(rf"^{name}==.*(?:\n[ \t].*)*\n", lock, re.MULTILINE)
    return found


def own_wheel(pip, folder, work):
    """This package's wheel."""
    run(
        *pip, "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", copied_sources(work),
        "-w", folder,
    )  # fmt: skip


def copied_sources(work):
    """A copy of what this package is built from: a build leaves folders, and this one stays as it is."""
    sources = work / "sources"
    sources.mkdir()
    for name in SOURCES:
        place = REPOSITORY / name
        if place.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(place, sources / name, ignore=ignored)
        else:
            shutil.copy(place, sources / name)
    return sources


def run(*words):
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(list(map(str, words)), check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
