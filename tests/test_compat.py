"""Chainer imports here; what is missing is supplied, and nothing where nothing is."""

import numpy as np
import pytest

from replicate.fast import compat

#: What Chainer wants, in the order in which compat looks.
WANTED = ["numpy.sctypes", "numpy.distutils.system_info", "pkg_resources"]

# An interpreter without some of them, whatever this one has: a finder in front
# of all others that knows no such module, and NumPy without the attribute.
LACKING = """
import sys
import numpy as np

lacking = sys.argv[1].split()

class Lacking:
    def find_spec(name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in lacking):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Lacking)
for one in lacking:
    for name in [n for n in sys.modules if n == one or n.startswith(one + ".")]:
        del sys.modules[name]
if "numpy.sctypes" in lacking:
    vars(np).pop("sctypes", None)
elif "sctypes" not in vars(np):
    np.sctypes = {"int": [np.int32, np.int64], "float": [np.float32, np.float64]}
"""

# Modules of that name stand in for what this interpreter may lack.
PRESENT = """
import types
for name in sys.argv[2].split():
    module = types.ModuleType(name)
    module.__path__ = []
    module.get_info = lambda *a: {}
    module.DistributionNotFound = module.VersionConflict = module.ResolutionError = LookupError
    def require(requirement):
        raise LookupError(requirement)
    module.require = require
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent == "numpy":
        np.distutils = module
    elif parent:
        setattr(sys.modules[parent], last, module)
"""

# Forward, backward and a gradient, with a function that reads numpy.sctypes.
USE = """
import chainer
import chainer.functions as F
assert chainer.__version__ == "7.8.1"
x = chainer.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
y = F.sum(F.as_strided(x, (2, 2), (3, 1), 1) ** 2)
(g,) = chainer.grad([y], [x])
assert g.array.tolist() == [[0, 2, 4], [0, 8, 10]], g
"""

MODULES = "numpy.distutils numpy.distutils.system_info pkg_resources"


def supplied(fresh_python, lacking, present="", use=USE):
    """What compat supplies where `lacking` is missing; Chainer is used there."""
    code = (
        LACKING + PRESENT + "from replicate.fast import compat\n" + use + "print(compat.SUPPLIED)"
    )
    return fresh_python(code, lacking, present).splitlines()[-1]


@pytest.mark.slow
def test_this_interpreter(fresh_python):
    """What is supplied here is what is missing here, found without compat's help."""
    look = """
import warnings
warnings.simplefilter("ignore")
import numpy
missing = [] if "sctypes" in vars(numpy) else ["numpy.sctypes"]
for name in ("numpy.distutils.system_info", "pkg_resources"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
print(missing)
"""
    here = (
        "from replicate.fast import compat\nimport numpy as np\n" + USE + "print(compat.SUPPLIED)"
    )
    assert fresh_python(here) == fresh_python(look)
    assert set(compat.SUPPLIED) <= set(WANTED)


@pytest.mark.slow
def test_everything_missing(fresh_python):
    """Python 3.12 with today's NumPy and setuptools: three things, in order; Chainer works."""
    lacking = "numpy.sctypes numpy.distutils pkg_resources"
    assert supplied(fresh_python, lacking) == str(WANTED)


@pytest.mark.slow
def test_chainer_alone_fails_there(fresh_python):
    """Without compat the same interpreter cannot import Chainer: the simulation is real."""
    for lacking in WANTED:
        code = LACKING + PRESENT + "import warnings\nwarnings.simplefilter('ignore')\n" + USE
        others = "" if "distutils" in lacking else "numpy.distutils numpy.distutils.system_info"
        others += "" if "pkg" in lacking else " pkg_resources"
        told = fresh_python(code, lacking, others, fails=True)
        # From Python 3.12 on NumPy has no `distutils` at all.
        named = lacking.removesuffix(".system_info").rsplit(".", 1)[-1]
        assert named in told.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("one", WANTED)
def test_one_missing(one, fresh_python):
    """Each alone: that one is supplied and the others are left as they are."""
    present = " ".join(name for name in MODULES.split() if not name.startswith(one))
    assert supplied(fresh_python, one, present) == str([one])


@pytest.mark.slow
def test_nothing_missing(fresh_python):
    """Nothing is supplied, and what was there is still there, the same objects."""
    code = (
        LACKING
        + PRESENT
        + """
names = sys.argv[2].split()
before = [np.sctypes, np.distutils, *(sys.modules[name] for name in names)]
contents = [dict(vars(sys.modules[name])) for name in names]
from replicate.fast import compat
after = [np.sctypes, np.distutils, *(sys.modules[name] for name in names)]
assert all(a is b for a, b in zip(before, after))
assert contents == [vars(sys.modules[name]) for name in names]
print(compat.SUPPLIED)
"""
    )
    assert fresh_python(code, "", MODULES).splitlines() == ["[]"]


TOUCHED = """
import sys, types
import numpy as np
import numpy.lib, numpy.random, numpy.linalg, numpy.testing
before = dict(vars(np))
from replicate.fast import compat
exec(sys.argv[1])
after = vars(np)
new = {n for n in after if n not in before and not isinstance(after[n], types.ModuleType)}
changed = {n for n in before if after.get(n) is not before[n]}
print(sorted(new - {"sctypes"}), sorted(changed - {"sctypes"}))
print("sctypes" in new, "numpy.sctypes" in compat.SUPPLIED)
"""


@pytest.mark.slow
def test_nothing_else_is_touched(fresh_python):
    """NumPy gains the two names and, but for modules loaded on the way, no other."""
    first, second = fresh_python(TOUCHED, "").splitlines()
    assert first == "[] []"
    assert second in ("True True", "False False")
    # Twin: one name more and one that is another are told.
    meddled = fresh_python(TOUCHED, "np.bool_of_old, np.e = bool, 3").splitlines()[0]
    assert meddled == "['bool_of_old'] ['e']"


@pytest.mark.slow
def test_what_chainer_asks_of_what_is_supplied(fresh_python):
    """Chainer's check of its environment passes in silence, also as it is on macOS."""
    ask = """
import chainer._environment_check as environment
sys.platform = "darwin"
with compat.supplied():
    environment.check()
    sys.exit(len(environment.numpy.distutils.system_info.get_info("blas_opt")))
"""
    lacking = "numpy.distutils pkg_resources"
    fresh_python(LACKING + PRESENT + "from replicate.fast import compat\n" + ask, lacking, "")
    # Twin: with a `require` of another error, Chainer warns.
    other = "def require(requirement):\n    raise KeyError\nenvironment.pkg_resources.require = require\n"
    told = fresh_python(
        LACKING + PRESENT + "from replicate.fast import compat\n"
        + ask.replace("with compat", other + "with compat"),
        lacking, "", fails=True,
    )  # fmt: skip
    assert "Failed to check requirement: cupy" in told


def test_sctypes_have_the_kinds_of_numpy():
    """What is supplied has NumPy 1.26's keys, and Chainer's index types by their size."""
    kinds = compat._sctypes()
    assert set(kinds) == {"int", "uint", "float", "complex", "others"}
    for kind, letter in {"int": "i", "uint": "u", "float": "f", "complex": "c"}.items():
        assert {np.dtype(t).kind for t in kinds[kind]} == {letter}
        sizes = [np.dtype(t).itemsize for t in kinds[kind]]
        assert sizes == sorted(sizes)


#: Another package that does without pkg_resources, or without numpy.distutils.
ANOTHER = """
def missing(name):
    try:
        __import__(name)
    except ImportError:
        return True
    return False

import numpy as np
print([n for n in sys.argv[1].split() if "sctypes" not in n and missing(n)], hasattr(np, "distutils"))
print(sorted({"pkg_resources", "numpy.distutils", "numpy.distutils.system_info"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_other_packages_find_what_is_missing(fresh_python):
    """A stand-in is gone when Chainer is imported: who looks for the module gets ImportError."""
    lacking = "numpy.distutils pkg_resources"
    code = LACKING + PRESENT + "from replicate.fast import compat\n" + USE + ANOTHER
    assert fresh_python(code, lacking, "").splitlines() == [f"{lacking.split()} False", "[]"]
    # Twin: within the context they are there, and parts of Chainer that want them import.
    within = "with compat.supplied():\n    import chainer.testing, chainer.gradient_check\n    "
    inside = within + ANOTHER.replace("\n", "\n    ")
    code = LACKING + PRESENT + "from replicate.fast import compat\n" + inside
    told = fresh_python(code, lacking, "").splitlines()
    assert told == ["[] True", str(sorted(MODULES.split()))]


#: What Chainer takes from the environment, at once, for a process takes most of a second.
VARIABLES = {
    "CHAINER_DTYPE": "float64",
    "CHAINER_LAZY_GRAD_SUM": "1",
    "CHAINER_USE_CUDNN": "never",
    "CHAINER_USE_IDEEP": "auto",
}


@pytest.mark.slow
def test_numbers_do_not_depend_on_chainers_variables(fresh_python):
    """What Chainer would take from the environment is set."""
    names = [name.removeprefix("CHAINER_").lower() for name in VARIABLES]
    show = f"print(*[getattr(chainer.config, n) for n in {names}], sep='\\n')"
    mixed = {**VARIABLES, "CHAINER_DTYPE": "mixed16"}

    def values(code):
        """Of the four settings, by default and under either set of variables."""
        return [fresh_python(code + show, **given).splitlines() for given in ({}, VARIABLES, mixed)]

    default, *given = values("from replicate.fast import compat\nimport chainer\n")
    assert given == [default, default] and len(default) == 4
    if not compat.SUPPLIED or compat.SUPPLIED == ["numpy.sctypes"]:
        # Twin: Chainer alone obeys each variable.
        default, *given = values(
            "import warnings\nwarnings.simplefilter('ignore')\nimport numpy as np\n"
            "np.sctypes = {'int': [np.int64], 'float': []}\nimport chainer\n"
        )
        assert given[0][0] != given[1][0]
        for found in given:
            assert all(ours != theirs for ours, theirs in zip(default, found)), found


@pytest.mark.slow
def test_in_silence(fresh_python):
    """Importing compat warns of nothing where warnings are errors, and leaves the filters."""
    code = """
import warnings
import numpy
before = list(warnings.filters)
import replicate.fast.compat
assert any(kind == "error" for kind, *_ in before)
print(warnings.filters == before)
"""
    assert fresh_python(code).strip() == "True"


@pytest.mark.slow
def test_a_module_that_is_there_and_broken(fresh_python):
    """pkg_resources of an old setuptools raises AttributeError on Python 3.12."""
    code = (
        LACKING.replace("ModuleNotFoundError", "AttributeError").replace(", name=name", "")
        + "from replicate.fast import compat\nprint(compat.SUPPLIED[-1])"
    )
    assert fresh_python(code, "pkg_resources").strip() == "pkg_resources"
