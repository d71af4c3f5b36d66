"""Rules that the code keeps: one direction of imports, docstrings, no global draws."""

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "replicate"

#: A module imports only from those before it.
ORDER = """
    compat config storage corpus fetch vectors split kernels functions model instability ranks saliency
    training selection preload workers mpi experiment claims rivals convergence sweep figures beyond explorer report explain select cli
""".split()

#: What is no module of the method: the package itself, and ``python -m replicate``.
APART = ["__init__", "__main__"]

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.glob("*.py"))}
EVERY = pytest.mark.parametrize("name", SOURCES)


def imported(source, known):
    """Modules of the package that a source imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name.split(".")[1] for name in names if name.startswith("replicate.")}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            if node.level == 0:
                if module[0] != "replicate":
                    continue
                module = module[1:]
            if module and module[0]:
                found.add(module[0])
            else:  # from . import a, b
                found |= {alias.name for alias in node.names if alias.name in known}
    return found


def outside(source):
    """Top-level packages from outside that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def wrong_imports(name, source, order=ORDER):
    """What `name` imports and must not."""
    before = set() if name == "__init__" else set(order)
    if name in order:
        before = set(order[: order.index(name)])
    allowed = before if name == "__main__" else before - {"cli"}
    return imported(source, set(order)) - allowed


# --- Imports -------------------------------------------------------------------


def test_every_module_has_its_place():
    """A new module is given a place in ORDER before it is written."""
    assert set(SOURCES) - set(ORDER) - set(APART) == set()
    assert len(SOURCES) > 12


@EVERY
def test_imports_go_one_way(name):
    """A module imports only from those above it, inside functions too."""
    assert wrong_imports(name, SOURCES[name]) == set()


@pytest.mark.parametrize(
    "name, source",
    [
        ("config", "from .corpus import Corpus"),
        ("config", "from . import compat, storage"),
        ("config", "import replicate.storage"),
        ("config", "from replicate import storage"),
        ("config", "from replicate.storage import atomic"),
        ("config", "def f():\n    from .cli import main"),
        ("config", "from .config import InputError"),
        ("select", "from . import cli"),
        ("cli", "from .cli import main"),
        ("cli", "from .plugins import load"),
        ("__init__", "from .config import Config"),
    ],
)
def test_a_wrong_import_is_caught(name, source):
    """Upwards, sideways to itself, of cli, of what is not in the list, hidden or not."""
    assert wrong_imports(name, source) != set()


def test_right_imports_pass():
    """The rule forbids nothing else."""
    source = "import numpy\nfrom . import __version__, compat\nfrom .config import Config\n"
    assert imported(source, set(ORDER)) == {"compat", "config"}
    assert wrong_imports("storage", source) == set()
    assert wrong_imports("__main__", "from .cli import main") == set()


@pytest.mark.parametrize(
    "name, allowed",
    {
        "instability": {"numpy"},
        "split": {"numpy"},
        "selection": {"numpy"},
        "claims": {"numpy", "scipy"},
    }.items(),
)
def test_few_dependencies(name, allowed):
    """The statistics need NumPy, and the claims SciPy, and nothing that trains."""
    standard = sys.stdlib_module_names
    assert outside(SOURCES.get(name, "")) - standard <= allowed
    assert outside("import chainer\nfrom torch import nn") == {"chainer", "torch"}


NEEDS_CHAINER = [name for name, source in SOURCES.items() if "chainer" in outside(source)]


@pytest.mark.parametrize("name", NEEDS_CHAINER)
def test_chainer_is_imported_after_compat(name):
    """A module that imports Chainer imports compat first, or one above that does.

    Else ``import replicate.model`` fails where NumPy 2 is.
    """
    assert compat_first(name, SOURCES)


def compat_first(name, sources):
    """Whether compat is imported, by this module or one that it imports, before Chainer."""
    for node in ast.parse(sources[name]).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        source = ast.unparse(node)
        inner = imported(source, set(ORDER))
        if "compat" in inner or any(compat_first(other, sources) for other in inner):
            return True
        if "chainer" in outside(source):
            return name == "compat"
    return False


def test_compat_after_chainer_is_caught():
    """The order of the two lines counts."""
    sources = {"config": "import numpy\n", "compat": ""}
    good = {**sources, "model": "from . import compat\nimport chainer\n"}
    bad = {**sources, "model": "import chainer\nfrom . import compat\n"}
    through = {**good, "training": "from .config import a\nfrom .model import b\nimport chainer\n"}
    assert compat_first("model", good) and not compat_first("model", bad)
    assert compat_first("training", through)
    assert not compat_first("training", {**through, "model": bad["model"]})


# --- Docstrings ----------------------------------------------------------------


def exported(source):
    """``__all__`` of a source, or None."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return None


def undocumented(source):
    """Public names of a source, or of its exported classes, without a docstring.

    A constant is documented by a ``#:`` line above it.
    """
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["the module"]
    lines = source.splitlines()
    defined = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined[node.name] = ast.get_docstring(node)
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                        defined[f"{node.name}.{part.name}"] = ast.get_docstring(part) or (
                            # Chainer's protocol, told in Chainer's documentation.
                            part.name in PROTOCOL and "inherited"
                        )
        elif isinstance(node, ast.Assign):
            above = lines[node.lineno - 2] if node.lineno > 1 else ""
            for target in node.targets:
                defined[getattr(target, "id", "")] = above.startswith("#:")
    for name in exported(source) or []:
        if name not in defined:
            missing.append(f"{name} (not there)")
        missing += [
            full
            for full, told in defined.items()
            if not told and (full == name or full.startswith(name + "."))
        ]
    return missing


PROTOCOL = {
    "backward", "check_type_forward", "finalize", "forward", "initialize", "serialize", "update",
    "update_core", "trigger",
}  # fmt: skip


@EVERY
def test_public_names_are_documented(name):
    """``__all__`` is there, its names exist, and each has a docstring."""
    if name not in [*APART, "cli"]:  # nobody imports cli
        assert exported(SOURCES[name]), "no __all__"
    assert undocumented(SOURCES[name]) == []


@pytest.mark.parametrize(
    "source, missing",
    [
        ("", ["the module"]),
        ('"""M."""\n__all__ = ["f"]\ndef f(): pass', ["f"]),
        ('"""M."""\n__all__ = ["f"]\n', ["f (not there)"]),
        ('"""M."""\n__all__ = ["C"]\nclass C:\n    """C."""\n    def m(self): pass', ["C.m"]),
        ('"""M."""\n__all__ = ["X"]\nX = 1', ["X"]),
        ('"""M."""\n__all__ = ["X", "C"]\n#: X.\nX = 1\nclass C:\n    """C."""', []),
        ('"""M."""\n__all__ = []\ndef _f(): pass', []),
    ],
)
def test_a_missing_docstring_is_caught(source, missing):
    """Of the module, a function, a method, a constant; a name that is not there."""
    assert undocumented(source) == missing


@EVERY
def test_docstrings_begin_with_a_sentence(name):
    """The first line stands alone and ends as a sentence does."""
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
            told = ast.get_docstring(node)
            if told is None:
                continue
            first, _, rest = told.partition("\n")
            assert re.search(r"[.:?)]$", first), f"{getattr(node, 'name', name)}: {first}"
            assert not rest or rest.startswith("\n"), f"{getattr(node, 'name', name)}: {rest[:40]}"


# --- No global draws -----------------------------------------------------------

#: Of ``numpy.random``: classes, that draw nothing by themselves.
CLASSES = {"RandomState", "PCG64", "SeedSequence", "BitGenerator", "Generator"}


def global_draws(source):
    """Places where a source draws from, seeds or reads a global generator."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            inner = node.value
            holder = ast.unparse(inner.value)
            if inner.attr == "random" and holder.split(".")[-1] in {"np", "numpy", "xp", "cupy"}:
                if node.attr not in CLASSES:
                    found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if node.module in ("random", "numpy.random", "cupy.random"):
                found += [a.name for a in node.names if a.name not in CLASSES]
            elif node.module in ("numpy", "cupy"):
                found += [a.name for a in node.names if a.name == "random"]
        elif isinstance(node, ast.Import):
            names = ("random", "numpy.random", "cupy.random")
            found += [a.name for a in node.names if a.name in names]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            arguments = {keyword.arg for keyword in node.keywords}
            # Chainer's draw from numpy.random unless they are told another way.
            if called.endswith(".dropout") and "mask" not in arguments:
                found.append(called)
            if re.search(r"initializers\.(\w*Normal|\w*Uniform)$", called):
                found += [] if "rng" in arguments else [called]
            if called.endswith("SerialIterator") and "order_sampler" not in arguments:
                found += [called] if "shuffle=False" not in ast.unparse(node) else []
            # Seeded by the clock: no seed at all.
            if called.split(".")[-1] in CLASSES - {"Generator"} and not node.args:
                found.append(called)
    return found


@EVERY
def test_no_global_draw(name):
    """Every draw has a named generator of its own."""
    assert global_draws(SOURCES[name]) == []


@pytest.mark.parametrize(
    "source",
    [
        "np.random.rand(3)",
        "numpy.random.seed(0)",
        "np.random.default_rng()",
        "self.xp.random.permutation(3)",
        "cupy.random.rand(3)",
        "state = np.random.get_state()",
        "import random",
        "from random import shuffle",
        "from numpy.random import rand",
        "from numpy import random",
        "import numpy.random",
        "F.dropout(x, 0.5)",
        "chainer.initializers.LeCunNormal()",
        "chainer.iterators.SerialIterator(data, 5)",
        "np.random.RandomState()",
    ],
)
def test_a_global_draw_is_caught(source):
    """By whatever name it comes."""
    assert global_draws(source) != []


def test_named_draws_pass():
    """Generators of one's own, and Chainer's functions that are given theirs."""
    source = """
np.random.RandomState(np.random.PCG64(np.random.SeedSequence(seeds)))
random = generator("split", 0)
random.permutation(3)
F.dropout(x, 0.5, mask=mask)
chainer.initializers.LeCunNormal(rng=random)
"""
    assert global_draws(source) == []


# --- No shell ------------------------------------------------------------------


def shells(source):
    """Places where a source could hand words to a shell or start a program."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if re.search(r"^os\.(system|popen|exec|spawn|posix_spawn)|(^|\.)Popen$", called):
                found.append(called)
            if called.startswith("subprocess.") or any(k.arg == "shell" for k in node.keywords):
                found.append(called)
    return found


@EVERY
def test_no_program_is_started(name):
    """No name of a file, word or setting can reach a shell: there is none."""
    assert shells(SOURCES[name]) == []


@pytest.mark.parametrize(
    "source",
    [
        "os.system(f'gunzip {path}')",
        "subprocess.run(['tar', 'xf', path])",
        "subprocess.check_output(line, shell=True)",
        "run(line, shell=True)",
        "Popen(line)",
        "os.popen(line)",
        "os.execvp(name, words)",
    ],
)
def test_a_shell_is_caught(source):
    """As it would be written by mistake."""
    assert shells(source) != []


# --- Nothing is unpickled ------------------------------------------------------


def unpickling(source):
    """Places where a source could run a file's code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            told = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in ("np.load", "numpy.load") and told.get("allow_pickle") != "False":
                found.append(called)
            if re.search(r"(^|\.)(pickle|dill|joblib)\.loads?$|\.load_npz$", called):
                found.append(called)
            if called in ("eval", "exec", "yaml.load") or told.get("allow_pickle") == "True":
                found.append(called)
    return found


@EVERY
def test_nothing_is_unpickled(name):
    """``allow_pickle=False`` at every ``np.load``; no pickle, no eval."""
    assert unpickling(SOURCES[name]) == []


@pytest.mark.parametrize(
    "source",
    [
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pickle.load(file)",
        "pickle.loads(data)",
        "chainer.serializers.load_npz(path, model)",
        "eval(text)",
    ],
)
def test_an_unpickling_is_caught(source):
    """As it would be written by mistake."""
    assert unpickling(source) != []
    assert unpickling("np.load(path, allow_pickle=False)\nload_npz(path, spec)") == []
