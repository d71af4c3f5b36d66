"""Make Chainer 7.8.1 importable on today's Python, NumPy, setuptools and CuPy.

Chainer was last released in 2022. At import it asks for three things that
have since been removed elsewhere: ``numpy.sctypes`` (gone in NumPy 2),
``numpy.distutils.system_info`` (gone with ``distutils`` in Python 3.12) and
``pkg_resources`` (gone in setuptools 82; not installed by default on Python
3.12).  Each is supplied only where it is missing, and only as far as Chainer
reads it.  Nothing else is touched.  All other modules take Chainer
from here, never from itself: then the order of imports cannot be wrong.
"""

import importlib
import sys
import types
import warnings

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
    "supply_missing",
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
    module.get_info = lambda name, notfound_action=0: {}
    sys.modules["numpy.distutils.system_info"] = module
    package.system_info = module
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

    module.DistributionNotFound = DistributionNotFound
    module.VersionConflict = VersionConflict
    module.require = require
    sys.modules["pkg_resources"] = module


def supply_missing():
    """Supply what Chainer misses and return the names of what was supplied.

    Returns:
        list of str: empty where nothing was missing.

    Example:
        >>> supply_missing()  # importing this module has done it already
        []
    """
    supplied = []
    if "sctypes" not in vars(np):
        np.sctypes = _sctypes()
        supplied.append("numpy.sctypes")
    for name, supply in [
        ("numpy.distutils.system_info", _system_info),
        ("pkg_resources", _pkg_resources),
    ]:
        if not _importable(name):
            supply()
            supplied.append(name)
    return supplied


#: What this interpreter lacked, in the order supplied.
SUPPLIED = supply_missing()

with warnings.catch_warnings():
    # Chainer's own import warns of things that its age explains.
    warnings.simplefilter("ignore")
    import chainer
    import chainer.functions as F
    import chainer.links as L
    from chainer import function_node, optimizer_hooks, optimizers, training
    from chainer.backends import cuda
    from chainer.training import extensions
    from chainer.utils import type_check
