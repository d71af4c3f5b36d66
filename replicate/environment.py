"""What numbers depend on beside data and settings: set where it can be, recorded where not.

Imported before NumPy, Numba and Matplotlib, which look at the environment when they
are loaded.
"""

import atexit
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["THREADS", "commit", "conflicts", "inherited", "set_surroundings", "versions"]

#: Variables that matrix libraries read the number of their threads from.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")

#: Beginnings of the names of variables that libraries of numbers read.
_READ = (
    *("BLIS_", "CUBLAS_", "CUDA_", "CUPY_", "GOTO", "MKL_", "NPY_", "NUMBA_", "NVIDIA_"),
    *("OMP_", "OPENBLAS_"),
)
#: Of those, what changes no number, or is set for each worker.
_WITHOUT_EFFECT = {
    *THREADS,
    *("CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "CUPY_CACHE_DIR", "NUMBA_CACHE_DIR"),
    *("NUMBA_DEBUG_CACHE", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
}


def set_surroundings() -> None:
    """Choose folders for caches where the usual ones cannot be used.

    Without a home, a temporary folder is the home.  Numba refuses to compile where
    it can write neither beside the package nor in the home.
    """
    if os.path.expanduser("~") == "~":  # no HOME, and a user whom the system does not know
        os.environ["HOME"] = _temporary()
    # As Numba looks for a folder: the one that is named, beside the source, in the home.
    named = os.environ.get("NUMBA_CACHE_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    beside = str(Path(__file__).parent / "fast" / "__pycache__")
    if not any(_writable(place) for place in (named, beside, cache) if place):
        os.environ["NUMBA_CACHE_DIR"] = _temporary()


def _writable(place: str) -> bool:
    """Whether files can be made in a folder, which is made where it is missing."""
    try:
        os.makedirs(place, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


def _temporary() -> str:
    """A folder that goes when this process ends."""
    folder = tempfile.mkdtemp(prefix="replicate-")
    process = os.getpid()

    def remove() -> None:
        # A worker that was forked from this process must not take the folder with it.
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def versions() -> dict[str, str]:
    """Versions of what numbers depend on: name -> text; with the commit where there is one."""
    from importlib import metadata

    from . import __version__

    names = ("chainer", "numpy", "scipy", "numba", "gensim", "cupy-cuda12x", "cupy-cuda13x")
    found = {"python": platform.python_version(), "replicate": __version__}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    if digest := commit():
        found["commit"] = digest
    return found


def commit(folder: str | Path = Path(__file__).parents[1]) -> str:
    """The commit that is checked out where the package lies; empty for an installed package.

    Args:
        folder: that holds the package.

    Returns:
        40 hexadecimal digits, or nothing.

    Example:
        >>> commit(tempfile.gettempdir())
        ''
    """
    try:
        git = Path(folder) / ".git"
        if git.is_file():  # a further work tree, which names its own folder
            git = Path(folder) / git.read_text(encoding="utf-8").partition(":")[2].strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git / "commondir"
        shared = git / common.read_text(encoding="utf-8").strip() if common.exists() else git
        for place in (git / name, shared / name):
            if place.is_file():
                return place.read_text(encoding="utf-8").strip()
        for line in (shared / "packed-refs").read_text(encoding="utf-8").splitlines():
            digest, _, found = line.partition(" ")
            if found == name:
                return digest
    except (OSError, UnicodeDecodeError):
        pass
    return ""


def conflicts() -> Iterator[str]:
    """A line for each other distribution that installs a package ``replicate`` over this one.

    Example:
        >>> list(conflicts())
        []
    """
    from importlib import metadata

    package = Path(__file__).parent
    for found in metadata.distributions(path=[str(package.parent)]):
        if found.name == "word-saliency-replication":
            continue
        if "replicate/__init__.py," in (found.read_text("RECORD") or ""):
            yield (
                f"warning: the distribution {found.name} {found.version} installs a package "
                f"replicate too, and files in {package} are mixed; "
                "install one of them in another environment"
            )


def inherited() -> dict[str, str]:
    """What numbers may depend on and nobody here sets: the machine, variables of libraries.

    Example:
        >>> os.environ["OPENBLAS_CORETYPE"] = "Haswell"
        >>> inherited()["OPENBLAS_CORETYPE"]
        'Haswell'
        >>> del os.environ["OPENBLAS_CORETYPE"]
    """
    found = {"system": platform.system(), "processor": _processor()}
    for name, value in sorted(os.environ.items()):
        if name.startswith(_READ) and name not in _WITHOUT_EFFECT:
            found[name] = value
    return found


def _processor() -> str:
    """Model of the processor: matrix libraries have other loops, and other rounding, for each."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
