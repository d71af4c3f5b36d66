"""Rules that the code keeps: one direction of imports, docstrings, no global draws."""

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "replicate"

#: A module imports only from those before it, a folder's own among them in this order.
ORDER = """
    io.errors io.files io.download
    fast.compat fast.kernels fast.convolution fast.adam
    config corpus vectors split model instability saliency recorder training selection
    experiment claims
    parallel.preload parallel.pool parallel.mpi parallel.schedule parallel.data_parallel
    show.figures show.explorer show.report show.explain
    beyond.rivals beyond.convergence beyond.sweep beyond.questions beyond.own_data
    cli
""".split()

FOLDERS = sorted({name.partition(".")[0] for name in ORDER if "." in name})

#: What is no module of the method: the packages themselves, and ``python -m replicate``.
APART = ["__init__", "__main__", *(f"{folder}.__init__" for folder in FOLDERS)]


def dotted(path):
    """Name of a module below the package, its folder and itself joined by a dot."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


SOURCES = {dotted(p): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))}
EVERY = pytest.mark.parametrize("name", SOURCES)


def imported(source, known, name=""):
    """Modules of the package that the source of module `name` imports, anywhere in it."""
    found = set()
    here = name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("replicate.")
                for alias in node.names
                if alias.name.startswith("replicate.")
            }
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".") if node.module else []
            if node.level == 0:
                if parts[:1] != ["replicate"]:
                    continue
                parts = parts[1:]
            else:
                parts = here[: len(here) - node.level + 1] + parts
            module = ".".join(parts)
            if module and module not in FOLDERS:
                found.add(module)
            else:  # from . import a, b; from .io import files
                names = {".".join([*parts, alias.name]) for alias in node.names}
                found |= names & {*known, *FOLDERS} if not module else names
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
    before = set() if name.endswith("__init__") else set(order)
    if name in order:
        before = set(order[: order.index(name)])
    allowed = before if name == "__main__" else before - {"cli"}
    return imported(source, set(order), name) - allowed


# --- Imports -------------------------------------------------------------------


def test_every_module_has_its_place():
    """A new module is given a place in ORDER before it is written."""
    assert set(SOURCES) - set(ORDER) - set(APART) == set()
    assert set(ORDER) <= set(SOURCES)


@EVERY
def test_imports_go_one_way(name):
    """A module imports only from those above it, inside functions too."""
    assert wrong_imports(name, SOURCES[name]) == set()


@pytest.mark.parametrize(
    "name, source",
    [
        ("config", "from .corpus import Corpus"),
        ("config", "from . import corpus"),
        ("config", "import replicate.corpus"),
        ("config", "from replicate import corpus"),
        ("config", "from replicate.corpus import Corpus"),
        ("config", "from .show import figures"),
        ("config", "from .show.figures import STYLE"),
        ("config", "def f():\n    from .cli import main"),
        ("config", "from .config import Config"),
        ("io.files", "from ..config import Config"),
        ("io.files", "from .. import config"),
        ("io.files", "from .download import fetch"),
        ("io.files", "from . import download"),
        ("fast.kernels", "from ..config import Config"),
        ("beyond.own_data", "from .. import cli"),
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
    source = "import numpy\nfrom . import __version__, config\nfrom .io.errors import InputError\n"
    assert imported(source, set(ORDER), "corpus") == {"config", "io.errors"}
    assert wrong_imports("corpus", source) == set()
    assert wrong_imports("__main__", "from .cli import main") == set()
    assert (
        wrong_imports("show.report", "from ..config import PAPER\nfrom . import figures\n") == set()
    )


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
    assert outside(SOURCES[name]) - standard <= allowed
    assert outside("import chainer\nfrom torch import nn") == {"chainer", "torch"}


@EVERY
def test_chainer_is_taken_from_compat(name):
    """One module imports Chainer, which makes it importable first; the others take it from there."""
    assert name == "fast.compat" or "chainer" not in outside(SOURCES[name])


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
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):  # documented where they come from
            defined.update({alias.asname or alias.name: True for alias in node.names})
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
