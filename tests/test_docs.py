"""The pages: the READMEs are short and in step, links resolve, the site has all modules."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from replicate import claims, cli
from replicate.beyond import sweep

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    place.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/*.md", "results/*.md")
    for place in REPOSITORY.glob(pattern)
)
JAPANESE = [page for page in PAGES if page.endswith(".ja.md")]


def read(page):
    return (REPOSITORY / page).read_text(encoding="utf-8")


# --- The READMEs -----------------------------------------------------------------


@pytest.mark.parametrize("page", ["README.md", "README.ja.md"])
def test_the_readme_is_short(page):
    assert len(read(page).splitlines()) <= 160


def shape(page):
    """Levels of headings, code without comments, rows of tables, and what is linked."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    code = re.findall(r"```(\w+)\n(.*?)```", page, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)]+)\)", prose)
    # A page may have a sister in Japanese.
    files = {re.sub(r"\.ja\.md$", ".md", link) for link in links} - {"README.md"}
    return {
        "headings": re.findall(r"^#+(?= )", prose, flags=re.MULTILINE),
        "code": [(kind, re.sub(r"\s+#.*", "", lines)) for kind, lines in code],
        "rows": [len(re.findall(r"^\| ", part, flags=re.M)) for part in prose.split("\n## ")],
        "links": sorted(files),
        "paths": sorted(set(re.findall(r"`((?:replicate|tests)/[^`]*)`", prose))),
    }


def test_the_japanese_readme_is_in_step():
    english, japanese = read("README.md"), read("README.ja.md")
    assert shape(japanese) == shape(english)


@pytest.mark.parametrize(
    "old, new",
    [
        ("## ", "### "),
        ("make paper", "make papers"),
        ("| R1 |", "R1"),
        ("(docs/containers.md)", "(docs/image.md)"),
        ("`replicate/saliency.py`", "`replicate/salience.py`"),
    ],
)
def test_a_readme_out_of_step_is_noticed(old, new):
    text = read("README.md")
    assert shape(text.replace(old, new, 1)) != shape(text)


@pytest.mark.parametrize("page", ["docs/usage.md", "docs/usage.ja.md"])
def test_every_command_is_on_the_page_of_commands(page):
    rows = re.findall(r"^\| `replicate (\w+)", read(page), flags=re.MULTILINE)
    assert sorted(rows) == sorted(cli.cli.commands)


def test_the_file_of_a_sweep_is_one(tmp_path):
    """As many specifications as the page says."""
    page = read("docs/usage.md")
    place = tmp_path / "grid.toml"
    place.write_text(re.search(r"```toml\n(.*?)```", page, flags=re.DOTALL)[1], encoding="utf-8")
    specifications, seeds = sweep.read_grid(place)
    assert "five specifications with three seeds" in page
    assert (len(specifications), seeds) == (5, [0, 1, 2])


# --- Pages in Japanese -----------------------------------------------------------


def broken_lines(page):
    """Lines that end inside of a sentence: Markdown makes a blank of the end of a line."""
    prose = re.sub("<!--.*?-->", "", page, flags=re.DOTALL).split("```")[::2]
    lines = (line for part in prose for line in part.splitlines())
    return [
        line for line in lines if line and line[0] not in "#|<!" and not line.endswith(("。", "："))
    ]


@pytest.mark.parametrize("page", JAPANESE)
def test_lines_in_japanese_are_whole_sentences(page):
    assert broken_lines(read(page)) == []
    assert broken_lines(read(page) + "記録しま\nす。\n") == ["記録しま"]


def test_the_results_in_japanese_have_all_claims():
    rows = [line.split(" | ")[0] for line in read("docs/results.ja.md").splitlines()]
    assert [c.id for c in (*claims.CLAIMS, claims.S1) if rows.count(f"| {c.id}") != 3] == []


# --- Links -----------------------------------------------------------------------


def anchors(page):
    """Anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead_links(page, text):
    """Links of a page to files or headings that are not there."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        place = (REPOSITORY / page).parent / name if name else REPOSITORY / page
        if not place.is_file() or (
            anchor and anchor not in anchors(place.read_text(encoding="utf-8"))
        ):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page):
    assert dead_links(page, read(page)) == []


def test_a_dead_link_is_noticed():
    text = "[a](docs/no.md) [b](README.md#no) [c](docs/results.md#beyond-the-paper) [d](#e)"
    assert dead_links("README.md", text) == ["docs/no.md", "README.md#no", "#e"]


# --- The site --------------------------------------------------------------------


def test_the_page_of_names_has_every_module():
    """A module with public names is on the page, in the order of its own."""
    listed = re.findall(r"^   (replicate\.[\w.]+)$", read("docs/api.md"), flags=re.MULTILINE)
    public = [
        ".".join(place.relative_to(REPOSITORY).with_suffix("").parts)
        for place in (REPOSITORY / "replicate").rglob("*.py")
        for node in ast.parse(place.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert sorted(listed) == sorted(set(public) - {"replicate.__init__"})


def test_the_page_of_names_begins_with_those_of_the_package():
    import replicate

    listed = re.findall(r"^   ~(replicate\.[\w.]+)\.(\w+)$", read("docs/api.md"), flags=re.M)
    assert sorted(name for _, name in listed) == sorted(replicate.__all__)
    assert all(f"replicate.{replicate._HOME[name]}" == home for home, name in listed)


def test_the_contents_of_the_site_name_pages_that_exist():
    """Every page of docs/ and results/ is in the contents once, a new one by itself."""
    spec = importlib.util.spec_from_file_location("conf", REPOSITORY / "docs" / "conf.py")
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    named = [page for pages in conf.CONTENTS.values() for page in pages]
    assert len(named) == len(set(named))
    assert all(
        (REPOSITORY / f"{name}.md").is_file() or (REPOSITORY / f"{name}.ipynb").is_file()
        for name in named
    )
    folders = ("docs/", "results/")
    assert {page.removesuffix(".md") for page in PAGES if page.startswith(folders)} <= set(named)
