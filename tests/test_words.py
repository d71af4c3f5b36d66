"""Words and names that we do not use in messages, docstrings and pages."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

#: Pattern -> plain words instead.  Patterns match whole words, in capitals or not.
WORDS = {
    r"(fore)?(tell|tells|telling|told)(?!\W+(\w+\W+)?apart)": "report, show, pass, predict",
    r"(is|are|was|were) none(?! of)|none but": "there is no …; is not a …; only",
    r"to be had": "available",
    r"what there is": "say what it is",
    r"anew|oftener|for ever|whence|thereof|nought|aught": "again; more often; without end",
    r"as good as (none|nothing|lost)": "ignored, not used",
    r"sent home": "stopped",
    r"foresaw|foreseen": "expected",
    r"is no (?!longer)\w+ (but|that|at)|(which|what|that) (is|are) no (?!longer)\w+": "is not a …",
    r"is no (answer|array|cell|file|language|matter|mean|name|number|review|text|word)": "is not a …",
    r"(of|in|its|their) like|a like": "similar, the same",
    r"mend|mends|mended|mending": "fix",
    r"at hand": "available",
    r"(take|takes|taken|took) (it |them )?up": "use, restore",
    r"comes? out otherwise|come to nothing": "differs, fails",
    r"keeper|keepers": "checkpoints",
    r"crews?|rankcrew": "pool",
}

#: Public name -> the field's term.  File names of the contract stay.
NAMES = {
    "doubt": "least confidence",
    "dropped_epochs": "rows before training",
    "group": "comm",
    "movement": "change",
}

#: Files that still have such words or names.  The list must become empty.
PENDING: set[str] = set()


def newest(changelog):
    """The first section of a changelog."""
    return changelog.split("\n## [")[1]


def texts():
    """Texts of the pages and of the code: name -> text."""
    patterns = (
        "README*.md", "CONTRIBUTING.md", "results/README.md", "docs/*.md", ".github/**/*.md",
        "tools/*", "benchmarks/*.py", "replicate/**/*.py", "replicate/**/*.js",
        "replicate/**/*.html",
    )  # fmt: skip
    found = {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for pattern in patterns
        for path in sorted(REPOSITORY.glob(pattern))
        if path.is_file() and not path.name.endswith(".min.js")
    }
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    return {**found, "CHANGELOG.md": newest(changelog)}


TEXTS = texts()
PATTERNS = [(re.compile(rf"\b(?:{words})\b", re.I), instead) for words, instead in WORDS.items()]


def wrong_words(text):
    """Lines with such words, and what to write instead."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = re.sub(r"\bNone\b|\.tell\(\)", "", line)  # Python's
        for pattern, instead in PATTERNS:
            found += [f"{number}: {match[0]} ({instead})" for match in pattern.finditer(line)]
    return found


def wrong_names(source):
    """Names of functions, classes, arguments, fields and exports, and the terms instead."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.arg):
            names.add(node.arg)
        if isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names.update(ast.literal_eval(node.value))
    return [f"{name} ({NAMES[name]})" for name in sorted(names & set(NAMES))]


def wrong(name, text):
    """All that is wrong with a file."""
    return wrong_words(text) + (wrong_names(text) if name.endswith(".py") else [])


@pytest.mark.parametrize("name", sorted(set(TEXTS) - PENDING))
def test_plain_words(name):
    assert wrong(name, TEXTS[name]) == []


def test_pending_files_are_not_clean():
    """A file that has become clean, or is gone, is taken from the list."""
    clean = {name for name in PENDING if not wrong(name, TEXTS.get(name, ""))}
    assert clean == set(), "remove these from PENDING"


WRONG = [
    "Told the epoch.",
    "what it foretells",
    "a number is none",
    "not to be had here",
    "look for what there is",
    "it is made anew",
    "as good as none",
    "sent home",
    "Nobody foresaw it",
    "what is no setting",
    "a rate is no matter here",
    "pairs of like length",
    "mend that",
    "the data at hand",
    "a snapshot is taken up",
    "it comes out otherwise",
    "class Crew:",
    "self.keeper = None",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_word_is_found(line):
    assert wrong_words(f"Right.\n{line}\nRight.")[0].startswith("2: ")


def test_every_pattern_finds_something():
    for pattern, _ in PATTERNS:
        assert any(pattern.search(line) for line in WRONG), pattern.pattern


@pytest.mark.parametrize(
    "line",
    [
        "if it is None:",
        "start = file.tell()",
        "is none of gpu, mpi",
        "to tell them apart",
        "Nothing is printed.",
        "it is no longer used",
        "a storyteller, untold",
    ],
)
def test_a_right_word_is_left(line):
    assert wrong_words(line) == []


@pytest.mark.parametrize(
    "source",
    [
        "def movement(): pass",
        "def f(group=None): pass",
        "def f(*, doubt): pass",
        "class C:\n    doubt: float = 0.0",
        "__all__ = ['movement']",
    ],
)
def test_a_wrong_name_is_found(source):
    assert len(wrong_names(source)) == 1


def test_a_local_name_and_a_file_of_the_contract_are_left():
    assert wrong_names("movement = load('movement_raw.npy')\nmatch.group(1)") == []


def test_all_kinds_of_files_are_read():
    """A pattern that matches nothing would check nothing."""
    for name in (
        "README.md", "README.ja.md", "results/README.md", "docs/api.md", "CONTRIBUTING.md",
        ".github/pull_request_template.md", "tools/readme.py", "tools/gpu_run.py",
        "benchmarks/bench.py", "replicate/split.py", "replicate/show/templates/report.html",
        "replicate/show/templates/explorer.js",
    ):  # fmt: skip
        assert TEXTS[name]
    assert newest("# C\n\n## [2] - now\n\nb\n\n## [1]\n\na\n") == "2] - now\n\nb\n"
