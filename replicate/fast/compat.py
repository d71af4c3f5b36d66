"""Make Chainer 7.8.1 importable on today's Python, NumPy, setuptools and CuPy.

Chainer was last released in 2022. At import it asks for three things that
have since been removed elsewhere: ``numpy.sctypes`` (gone in NumPy 2),
``numpy.distutils.system_info`` (gone with ``distutils`` in Python 3.12) and
``pkg_resources`` (gone in setuptools 82; not installed by default on Python
3.12).  Each is supplied only where it is missing, only as far as Chainer reads
it, and the modules only while Chainer is imported.  Nothing else is touched.
All other modules take Chainer from here, never from itself: then the order of
imports cannot be wrong.
"""

import contextlib
import importlib
import sys
import types
import warnings
from collections.abc import Iterator

import numpy as np

__all__ = [
    "SUPPLIED",
    "F",
    "L",
    "chainer",
    "cuda",
    "extensions",
    "function_node",
    "optimizer_hooks",
    "optimizers",
    "supplied",
    "training",
    "type_check",
]


def _importable(name):
    """Whether module `name` imports, in silence: both warn that they retire."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(name)
        except Exception:  # there and broken is as good as missing
            return False
    return True


def _sctypes():
    """``numpy.sctypes`` as NumPy 1.26 had it, for the kinds Chainer reads."""
    return {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64, np.longdouble],
        "complex": [np.complex64, np.complex128, np.clongdouble],
        "others": [bool, object, bytes, str, np.void],
    }


def _system_info():
    """``numpy.distutils.system_info``: Chainer asks it for BLAS on macOS only."""
    package = sys.modules.get("numpy.distutils")
    if package is None:
        package = types.ModuleType("numpy.distutils")
        sys.modules["numpy.distutils"] = package
    module = types.ModuleType("numpy.distutils.system_info")
    vars(module)["get_info"] = lambda name, notfound_action=0: {}
    sys.modules["numpy.distutils.system_info"] = module
    vars(package)["system_info"] = module
    # `import numpy.distutils.system_info` binds only `numpy`, then reads these.
    np.distutils = package


def _pkg_resources():
    """``pkg_resources``: Chainer asks whether optional packages are there."""
    module = types.ModuleType("pkg_resources")

    class DistributionNotFound(Exception):
        """Raised for every requirement: Chainer then looks no further."""

    class VersionConflict(Exception):
        """Never raised here; Chainer names it in an ``except`` clause."""

    def require(requirement):
        raise DistributionNotFound(requirement)

    vars(module).update(
        DistributionNotFound=DistributionNotFound, VersionConflict=VersionConflict, require=require
    )
    sys.modules["pkg_resources"] = module


@contextlib.contextmanager
def supplied() -> Iterator[list[str]]:
    """Supply what Chainer misses, for as long as it takes to import a part of Chainer.

    Afterwards the modules are gone: another package that looks for one finds
    that it is missing, not a module without content.  ``numpy.sctypes`` stays, because Chainer
    reads it later too.  :mod:`chainer.testing` and :mod:`chainer.gradient_check` are
    imported within this context; the rest of Chainer is imported here.

    Yields:
        list of str: names of what was supplied, empty where nothing was missing.

    Example:
        >>> with supplied():
        ...     import chainer.testing
    """
    names = []
    if "sctypes" not in vars(np):
        np.sctypes = _sctypes()  # type: ignore[attr-defined]
        names.append("numpy.sctypes")
    wanted = {"numpy.distutils.system_info": _system_info, "pkg_resources": _pkg_resources}
    missing = {name: supply for name, supply in wanted.items() if not _importable(name)}
    there, has_distutils = set(sys.modules), "distutils" in vars(np)
    for supply in missing.values():
        supply()
    try:
        yield [*names, *missing]
    finally:
        for name in {"numpy.distutils", *missing} - there:
            sys.modules.pop(name, None)
        if not has_distutils:
            vars(np).pop("distutils", None)


with supplied() as _names, warnings.catch_warnings():
    # Chainer's own import warns of things that its age explains.
    warnings.simplefilter("ignore")
    import chainer
    import chainer.functions as F
    import chainer.links as L
    from chainer import function_node, optimizer_hooks, optimizers, training
    from chainer.backends import cuda
    from chainer.training import extensions
    from chainer.utils import type_check

#: What this interpreter lacked, in the order supplied.
SUPPLIED = _names

# Chainer takes these from the environment (CHAINER_DTYPE and others), and numbers depend
# on them: they are what Chainer has where nothing is set.
chainer.global_config.dtype = np.dtype(np.float32)
chainer.global_config.lazy_grad_sum = False
chainer.global_config.use_cudnn = "auto"
chainer.global_config.use_ideep = "never"
