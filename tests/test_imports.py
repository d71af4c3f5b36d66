"""Rules of the code: one direction of imports, docstrings, no global draws, no shell, no pickle."""

import ast
import re
import sys
from pathlib import Path

import pytest

import replicate

PACKAGE = Path(__file__).resolve().parents[1] / "replicate"

#: A module imports only from modules before it in this list, also within a folder.
ORDER = """
    environment
    io.errors io.published io.files io.table io.wordvectors io.gensim_data io.data io.summary io.lines io.tables
    io.corpora io.download io.public_vectors
    fast.compat fast.device fast.kernels fast.product fast.convolution fast.optimizers fast.rows
    config corpus settings vectors split instability selection run results statistics inference claims verdicts
    model saliency recorder training
    show.wording show.charts show.strings show.outcome show.panels show.answers show.figures show.forest show.explorer show.report
    show.crate show.exchange show.explain show.terminal
    experiment parallel.preload parallel.memory parallel.pool parallel.mpi parallel.data_parallel parallel.schedule
    beyond.jumps beyond.faithful beyond.valuation beyond.trainings beyond.rivals beyond.convergence beyond.sweep beyond.questions
    beyond.choice beyond.ceiling beyond.multiverse beyond.kim beyond.other_corpora beyond.own_data beyond.trust
    commands.options commands.progress commands.experiment commands.own_data commands.beyond commands.machine
    cli
""".split()

FOLDERS = sorted({name.partition(".")[0] for name in ORDER if "." in name})

#: Modules without a place in the order: the packages themselves, and ``python -m replicate``.
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
    """What `name` imports and must not; the front door's names for type checkers are no imports."""
    if name == "__init__":
        source = source.partition("\nif TYPE_CHECKING:")[0]
    before = set() if name.endswith("__init__") else set(order)
    if name == "__init__":
        before = {"environment"}
    if name in order:
        before = set(order[: order.index(name)])
    allowed = before if name == "__main__" else before - {"cli"}
    return imported(source, set(order), name) - allowed


# --- Imports -------------------------------------------------------------------


def test_every_module_has_its_place():
    """Every module is in ORDER."""
    assert set(SOURCES) - set(ORDER) - set(APART) == set()
    assert set(ORDER) <= set(SOURCES)


@EVERY
def test_imports_go_one_way(name):
    """A module imports only from those before it, also inside functions."""
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
    """Of a later module, of itself, of cli, or of a module that is not listed; hidden or not."""
    assert wrong_imports(name, source) != set()


def test_right_imports_pass():
    """Allowed imports are not reported."""
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
        "settings": {"msgspec", "numpy"},
        "run": {"numpy"},
        "statistics": {"numpy"},
        "inference": {"numpy", "scipy"},
        "claims": {"numpy", "scipy"},
    }.items(),
)
def test_few_dependencies(name, allowed):
    """Instability, split and selection import NumPy only, claims also SciPy."""
    standard = sys.stdlib_module_names
    assert outside(SOURCES[name]) - standard <= allowed
    assert outside("import chainer\nfrom torch import nn") == {"chainer", "torch"}


def at_once(source):
    """What a source imports before anything is called: ``a.b`` of ``import a.b`` and ``from a import b``."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


#: What takes a third of a second or more to import.
DEAR = {"scipy.stats", "matplotlib.pyplot", "jinja2", "gensim", "pandas"}


@pytest.mark.parametrize("name", ORDER[: ORDER.index("experiment") + 1])
def test_workers_import_nothing_dear(name):
    """What ``experiment`` imports, every worker does; figures and pages are not among it."""
    assert name.startswith("show.") or not at_once(SOURCES[name]) & DEAR


def test_a_dear_import_is_caught():
    """Twin: at the top of a module, not in a function."""
    for line in ("import scipy.stats", "from scipy import stats"):
        assert at_once(line) == {"scipy.stats"} and at_once(f"def f():\n    {line}") == set()


def untyped(source):
    """Public functions, and methods of public classes, that lack the type of an argument or result."""

    def look(body, before=""):
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from look(node.body, f"{node.name}.")
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            every += filter(None, (node.args.vararg, node.args.kwarg))
            bare = [a for a in every if a.annotation is None and a.arg not in ("self", "cls")]
            if bare or node.returns is None:
                yield before + node.name

    return list(look(ast.parse(source).body))


@EVERY
def test_public_functions_carry_types(name):
    """mypy looks into those that have them only."""
    assert untyped(SOURCES[name]) == []


def test_a_missing_type_is_noticed():
    """Twin: of any argument, of the result, of a method; private ones may do without."""
    for line in ("a, /", "a", "*a", "*, a", "**a"):
        assert untyped(f"def f({line}) -> int: ...") == ["f"]
        assert untyped(f"def f({line}: int) -> int: ...".replace("a, /: int", "a: int, /")) == []
    assert untyped("def f(a: int): ...") == ["f"]
    assert untyped("class A:\n  def f(self): ...\nclass _A:\n  def f(self): ...") == ["A.f"]
    assert untyped("def _f(a): ...") == []


@EVERY
def test_chainer_is_taken_from_compat(name):
    """Only fast.compat imports Chainer, after making it importable; other modules import from there."""
    assert name == "fast.compat" or "chainer" not in outside(SOURCES[name])


# --- The front door ------------------------------------------------------------


def test_the_front_door_is_cheap(fresh_python):
    """``import replicate`` imports nothing; a name brings its module when it is first used."""
    loaded = "import sys, replicate; print('numpy' in sys.modules, 'chainer' in sys.modules)"
    assert fresh_python(loaded).split() == ["False", "False"]
    used = loaded.replace("print", "replicate.Config; print")
    assert fresh_python(used).split() == ["True", "False"]


def test_the_front_door_has_what_it_names():
    """Each public name is there, and is documented; another is refused."""
    assert set(replicate.__all__) <= set(dir(replicate)) and len(replicate.__all__) >= 10
    for name in replicate.__all__:
        assert getattr(replicate, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(replicate, "nothing")  # noqa: B009


# --- Files of a run --------------------------------------------------------------

#: What only ``run.py``, which reads and writes them, and the recorder may name.
CONTRACT = re.compile(
    r"(config|claims|stage|timing)\.json|(corpus|split|model|weights|optimizer)\.npz"
    r"|(saliency|predicted|doubt|movement_\w+|sentences|vectors|known)\.npy"
    r"|(instability|sentences|accuracy|training|claims)\.csv|report\.html"
)


def files_named(source):
    """Files of the contract that a source opens by name; docstrings may speak of them."""
    tree = ast.parse(source)
    prose = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose
    ]
    return [text for text in texts if CONTRACT.fullmatch(text)]


@EVERY
def test_files_of_a_run_have_one_home(name):
    """The names of the contract stand in one module: the others ask :class:`replicate.Run`."""
    # The page's template has its own name, and a rival's table is no file of the contract.
    own = {"run": 99, "recorder": 99, "results": 1, "show.report": 1, "beyond.rivals": 1}
    assert len(files_named(SOURCES[name])) <= own.get(name, 0)


def test_a_file_named_elsewhere_is_caught():
    """As a string or a part of an f-string; not in prose."""
    assert files_named('load_npy(folder / "saliency.npy")') == ["saliency.npy"]
    assert files_named('"""Reads saliency.npy."""\nx = "weights.npz"') == ["weights.npz"]
    assert files_named('"""Reads saliency.npy."""') == []


# --- Docstrings ----------------------------------------------------------------


def exported(source):
    """``__all__`` of a source, or None."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value) if isinstance(node.value, ast.List) else []
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
                            # Methods of Chainer's protocol have Chainer's documentation.
                            part.name in PROTOCOL and "inherited"
                        )
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            above = lines[node.lineno - 2] if node.lineno > 1 else ""
            for target in getattr(node, "targets", None) or [node.target]:
                defined[getattr(target, "id", "")] = above.startswith("#:")
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):  # documented where they come from
            defined.update({alias.asname or alias.name: True for alias in node.names})
    for name in exported(source) or []:
        if name not in defined:
            missing.append(f"{name} (not there)")
        missing += [
            full
            for full, documented in defined.items()
            if not documented and (full == name or full.startswith(name + "."))
        ]
    return missing


PROTOCOL = {
    "backward", "check_type_forward", "finalize", "forward", "initialize", "serialize", "update",
    "update_core", "trigger",
}  # fmt: skip


@EVERY
def test_public_names_are_documented(name):
    """There is an ``__all__``, its names exist, and each has a docstring."""
    if name not in [*APART, "cli"] and not name.startswith("commands."):  # nobody imports these
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
        ('"""M."""\n__all__ = ["X"]\nX: int = 1', ["X"]),
        ('"""M."""\n__all__ = ["X"]\n#: X.\nX: int = 1', []),
        ('"""M."""\n__all__ = ["X", "C"]\n#: X.\nX = 1\nclass C:\n    """C."""', []),
        ('"""M."""\n__all__ = []\ndef _f(): pass', []),
    ],
)
def test_a_missing_docstring_is_caught(source, missing):
    """Of the module, a function, a method or a constant; also a name that does not exist."""
    assert undocumented(source) == missing


@EVERY
def test_docstrings_begin_with_a_sentence(name):
    """The first line is followed by a blank line and ends like a sentence."""
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
            docstring = ast.get_docstring(node)
            if docstring is None:
                continue
            first, _, rest = docstring.partition("\n")
            assert re.search(r"[.:?)]$", first), f"{getattr(node, 'name', name)}: {first}"
            assert not rest or rest.startswith("\n"), f"{getattr(node, 'name', name)}: {rest[:40]}"


# --- No global draws -----------------------------------------------------------

#: Classes of ``numpy.random``, which are allowed: a class does not draw.
CLASSES = {"RandomState", "PCG64", "SeedSequence", "BitGenerator", "Generator"}


def global_draws(source):
    """Places where a source draws from a global generator, seeds it or reads it."""
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
            # Chainer's functions draw from numpy.random unless they get a generator.
            if called.endswith(".dropout") and "mask" not in arguments:
                found.append(called)
            if re.search(r"initializers\.(\w*Normal|\w*Uniform)$", called):
                found += [] if "rng" in arguments else [called]
            if called.endswith("SerialIterator") and "order_sampler" not in arguments:
                found += [called] if "shuffle=False" not in ast.unparse(node) else []
            # Without a seed, the generator is seeded from the clock.
            if called.split(".")[-1] in CLASSES - {"Generator"} and not node.args:
                found.append(called)
    return found


@EVERY
def test_no_global_draw(name):
    """Every draw has its own named generator."""
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
    """Under any name."""
    assert global_draws(source) != []


def test_named_draws_pass():
    """Our own generators, and Chainer's functions with a generator as argument."""
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
    """Places where a source could pass text to a shell or start a program."""
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
    """No file name, word or setting can reach a shell, because no shell is started.

    pip is, once, without a shell: its arguments are constants and a temporary folder.
    """
    assert shells(SOURCES[name]) == (["subprocess.run"] if name == "io.public_vectors" else [])


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
    """In the forms in which it could be written by mistake."""
    assert shells(source) != []


# --- Nothing is unpickled ------------------------------------------------------


def unpickling(source):
    """Places where a source could execute code from a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
                found.append(called)
            if re.search(r"(^|\.)(pickle|dill|joblib)\.loads?$|\.load_npz$", called):
                found.append(called)
            if called in ("eval", "exec", "yaml.load") or given.get("allow_pickle") == "True":
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
    """In the forms in which it could be written by mistake."""
    assert unpickling(source) != []
    assert unpickling("np.load(path, allow_pickle=False)\nload_npz(path, spec)") == []
