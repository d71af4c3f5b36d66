"""The article: no number that is not of the results, references that exist, its own conversion."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tools"))

SOURCE = REPOSITORY / "article" / "article.md"
BLOCK = re.compile(r"<!-- (?P<name>(?!end )\w+).*?<!-- end (?P=name) -->", re.DOTALL)
#: What has a digit and is no result: formulas, code, names, the paper's numbering, versions.
NO_RESULT = re.compile(
    r"\$\$.*?\$\$|\$.*?\$|`[^`]*`|\((?:\.\./)?results/\S+?\)(?:\{[^}]*\})?|@\w+"
    r"|\b(?:T[123]\w*|O[1-5]|F5|SST-[12]|H100)\b"
    r"|\b(?:equations|figure) \d+(?: (?:and|to) \d+)?|4\.5 : 4\.5 : 1|Chainer 7\.8\.1|2\.0\.2"
    r"|certainty of 95 %|intervals are of 95 %",
    re.DOTALL,
)


def unsourced(text):
    """Numbers that do not stand in a block that is filled from the results."""
    body = BLOCK.sub("", text)
    _, _, body = body.partition("\n---\n")  # the head has no results either: checked apart
    return re.findall(r"\d[\d.,]*", NO_RESULT.sub("", body))


def head(text):
    return text.partition("\n---\n")[0]


def test_every_number_is_of_the_results():
    """Those in blocks are filled, and checked, by tools/readme.py."""
    text = SOURCE.read_text(encoding="utf-8")
    assert unsourced(text) == [] and not re.search(r"\d", NO_RESULT.sub("", head(text)))
    # Twins: a number of somebody's own, in the text and in the abstract.
    assert unsourced(text.replace("# What to believe now", "It gains 0.7 points.\n\n#")) == ["0.7"]
    assert re.search(r"\d", head(text.replace("as much as matters.", "0.7 points.", 1)))


def test_the_pages_that_are_filled_have_the_article():
    import readme

    text = SOURCE.read_text(encoding="utf-8")
    assert "article/article.md" in readme.PAGES and readme.filled(text) == text
    # Twin: another result.
    assert "+0.01 points of accuracy" in text
    assert readme.filled(text.replace("+0.01 points of", "+0.90 points of")) == text


def test_references_are_all_there_and_all_cited():
    text = SOURCE.read_text(encoding="utf-8")
    made = (SOURCE.parent / "references.bib").read_text(encoding="utf-8")
    assert set(re.findall(r"@(\w+\d{4})", text)) == set(re.findall(r"^@\w+\{(\w+),", made, re.M))
    for picture in re.findall(r"\]\((\.\./\S+?)\)", text):
        assert (SOURCE.parent / picture).is_file(), picture


@pytest.fixture
def article(monkeypatch):
    """tools/article.py, without what its environment alone has."""
    for name in ("pypandoc", "typst"):
        if importlib.util.find_spec(name) is None:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, "article", raising=False)
    import article

    return article


def test_comments_go_and_tables_get_widths(article):
    text = (
        "A <!-- numbers\nx.csv | y\n-->\nB\n\n| a | long name |\n| --- | --- |\n| b | two words |\n"
    )
    made = article.prose(text)
    assert "<!--" not in made and "x.csv" not in made and made.startswith("A B\n")
    assert made.endswith("| a | long name |\n|:---|:---------|\n| b | two words |\n")
