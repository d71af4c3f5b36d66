"""The notebooks run on the embedded sample with their solutions, and show what their code gives.

Stored outputs are of MR.  Two notebooks use no data, so their run here must give what is
stored; one of the others is also run with MR where it is there, and
``tools/notebooks.py --compare`` does it for all.  Each is run once and all tests look at
that run.
"""

import ast
import base64
import importlib.util
import io
import re
import sys
from pathlib import Path

import matplotlib
import matplotlib.font_manager  # finds its cache before a test moves it
import matplotlib.pyplot
import nbclient
import nbformat
import pytest

import replicate

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
FONTS = matplotlib.get_cachedir()

_spec = importlib.util.spec_from_file_location("notebooks", REPOSITORY / "tools" / "notebooks.py")
tool = importlib.util.module_from_spec(_spec)
sys.modules["notebooks"] = tool
_spec.loader.exec_module(tool)

NAMES = tool.names()
EVERY = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def _fonts(monkeypatch):
    """Kernels use the fonts that were found already, not a cache of each test."""
    monkeypatch.setenv("MPLCONFIGDIR", FONTS)


@pytest.fixture(scope="module")
def runs():
    """Name -> executed notebook, filled as tests ask."""
    return {}


def run(runs, name):
    """The notebook on the sample, its solutions after it."""
    if name not in runs:
        runs[name] = tool.execute(tool.with_solutions(tool.from_source(name)))
    return runs[name]


def without_solutions(notebook):
    notebook = copy(notebook)
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith("solution")]
    return notebook


def made(*codes):
    """A notebook of some code cells."""
    cells = [nbformat.v4.new_code_cell(code, id=f"c{i}") for i, code in enumerate(codes)]
    return nbformat.v4.new_notebook(cells=cells)


def copy(notebook):
    return nbformat.from_dict(notebook)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


# --- stored notebooks are those of the sources ------------------------------------


def test_there_are_six_notebooks():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05", "06"]


@EVERY
def test_a_stored_notebook_is_up_to_date(name):
    """Cells are the source's, code and outputs those of the run that was stored."""
    notebook = tool.stored(name)
    nbformat.validate(notebook)
    assert tool.out_of_date(notebook, tool.from_source(name)) == [], "run `make notebooks`"


def first(notebook, kind):
    """The first cell of a kind, or with such an output."""
    return next(
        cell
        for cell in notebook.cells
        if cell.cell_type == kind
        or any(kind in (o.output_type, *o.get("data", ())) for o in cell.get("outputs", ()))
    )


def edit_code(notebook):
    first(notebook, "code").source += "\n# another line"


def edit_prose(notebook):
    first(notebook, "markdown").source += " More."


def edit_text(notebook):
    output = first(notebook, "stream").outputs[0]
    output.text = re.sub(r"\d", lambda digit: str(9 - int(digit[0])), output.text, count=1)


def edit_picture(notebook):
    picture = first(notebook, "image/png").outputs[0]
    data = bytearray(base64.b64decode(picture.data["image/png"]))
    data[len(data) // 2] ^= 1
    picture.data["image/png"] = base64.b64encode(bytes(data)).decode()


def drop_output(notebook):
    first(notebook, "stream").outputs.clear()


def drop_cell(notebook):
    notebook.cells.remove(first(notebook, "code"))


def drop_checksums(notebook):
    del notebook.metadata["replicate"]


@pytest.mark.parametrize(
    "edit, reason",
    [
        (edit_code, "code is not what was run"),
        (edit_code, "cells are not those of the source"),
        (edit_prose, "cells are not those of the source"),
        (edit_text, "outputs are not what the run gave"),
        (edit_picture, "outputs are not what the run gave"),
        (drop_output, "outputs are not what the run gave"),
        (drop_cell, "cells are not those of the source"),
        (drop_checksums, "code is not what was run"),
    ],
)
def test_an_edit_by_hand_is_noticed(edit, reason):
    """Whatever is changed in a stored notebook, and nothing else than changes."""
    notebook, source = tool.stored(NAMES[0]), tool.from_source(NAMES[0])
    assert tool.out_of_date(notebook, source) == []
    edit(notebook)
    assert any(reason in told for told in tool.out_of_date(notebook, source))


def test_an_edited_source_is_noticed():
    notebook, source = tool.stored(NAMES[0]), tool.from_source(NAMES[0])
    edit_code(source)
    assert tool.out_of_date(notebook, source) == ["its cells are not those of the source"]


# --- a new run gives what is stored -------------------------------------------------


#: They make or bring their own data.
WITHOUT_DATA = ("04_your_own_corpus", "06_deciding_a_claim")


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_a_new_run_gives_the_stored_outputs(name, runs):
    """Within the tolerances that tools/notebooks.py states, on every version of Python."""
    new = without_solutions(run(runs, name))
    assert tool.differences(tool.stored(name), new) == [], "run `make notebooks`"


def test_a_new_run_with_the_data_gives_the_stored_outputs(mr_folder, monkeypatch, capsys):
    """The first notebook; the others go through the same code and take longer."""
    monkeypatch.setenv("REPLICATE_DATA", str(mr_folder))
    assert tool.main(["--compare", NAMES[0]]) == 0, capsys.readouterr().out


def test_stored_outputs_are_of_the_data_that_they_name():
    """Those that train on MR say which vectors they had, in an output too."""
    for name in set(NAMES) - {*WITHOUT_DATA}:
        printed = "".join(o.get("text", "") for o in outputs(tool.stored(name)))
        assert "GoogleNews, 31,530 words, not the full file" in printed, name


@EVERY
def test_a_run_without_warnings(name, runs):
    """Nothing on standard error, stored or now: solutions run, and checks in cells hold."""
    for notebook in (tool.stored(name), run(runs, name)):
        assert [o.text for o in outputs(notebook) if o.get("name") == "stderr"] == []


def text_of(notebook):
    return first(notebook, "stream").outputs[0]


@pytest.mark.parametrize(
    "was, now, same",
    [
        ("accuracy 0.700", "accuracy 0.700", True),
        ("wac 2.123e-05", "wac 2.160e-05", True),  # 2 percent
        ("wac 2.123e-05", "wac 2.200e-05", False),
        ("0.003", "0.008", True),  # five units of the last digit
        ("0.003", "0.009", False),
        ("accuracy 0.70", "accuracy 0.75", True),
        ("accuracy 0.70", "accuracy 0.80", False),
        ("accuracy 0.700", "accuracy 0.750", False),
        ("gain -0.01", "gain 0.01", True),
        ("gain -3.01", "gain 3.01", False),
        ("accuracy 0.7", "loss 0.7", False),
        ("T1 0.70", "T2 0.70", False),
        ("14 of 90", "15 of 90", False),  # whole numbers are exact
        ("unstable: hot cold", "unstable: cold hot", False),
        ("a   b\n", "a b", True),  # columns of a table move with their numbers
        ("nan", "0.5", False),
        ("", "0.5", False),
    ],
)
def test_texts_agree_within_the_tolerances(was, now, same):
    pair = []
    for text in (was, now):
        notebook = made("pass")
        notebook.cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        pair.append(notebook)
    assert (tool.differences(*pair) == []) == same
    assert (tool.differences(*reversed(pair)) == []) == same


def other_number(notebook):
    output = text_of(notebook)
    output.text = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), output.text, count=1)


def other_table(notebook):
    data = first(notebook, "text/html").outputs[0].data
    data["text/html"] = data["text/html"].replace("</td>", "x</td>", 1)


def other_picture(notebook):
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    pictures[0].data["image/png"] = pictures[1].data["image/png"]


def fewer_pictures(notebook):
    first(notebook, "image/png").outputs.pop()


@pytest.mark.parametrize(
    "edit", [other_number, other_table, other_picture, fewer_pictures, drop_output, drop_cell]
)
def test_another_output_is_noticed(edit):
    """Also where somebody has made the checksums anew."""
    notebook = tool.stored(NAMES[0])
    before = copy(notebook)
    assert tool.differences(notebook, before) == []
    edit(notebook)
    assert tool.differences(notebook, before) != []


def test_another_package_is_noticed():
    """A notebook is out of date when the package would give other numbers."""
    name = "06_deciding_a_claim"
    source, stored = tool.from_source(name), tool.stored(name)
    sabotage = """
import replicate.verdicts as v
v.family_alpha = lambda family: 0.05
"""
    cell = next(
        cell
        for cell in source.cells
        if "replicate.judge" in cell.source and cell.cell_type == "code"
    )
    cell.source = sabotage + cell.source.split("low, high")[0]
    end = source.cells.index(cell) + 1
    for notebook in (source, stored):
        del notebook.cells[end:]
    (line,) = tool.differences(stored, tool.execute(source))
    assert "no such effect" in line


# --- running ------------------------------------------------------------------------


def test_a_cell_that_fails_is_an_error():
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        tool.execute(made("1 / 0"))


def test_data_at_hand_do_not_change_what_is_stored(monkeypatch, tmp_path):
    """REPLICATE_DATA is seen only where it is asked for."""
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    asked = made("import os\nprint('REPLICATE_DATA' in os.environ)")
    assert text_of(tool.execute(asked)).text == "False\n"
    assert text_of(tool.execute(asked, with_data=True)).text == "True\n"


def test_the_command(capsys, monkeypatch, tmp_path):
    """Checks, writes, and refuses what it does not know."""
    assert tool.main([]) == 0
    assert capsys.readouterr().out.count("up to date") == len(NAMES)
    monkeypatch.delenv("REPLICATE_DATA", raising=False)
    wrongs = ["no_such"], ["--to", str(tmp_path)], ["--execute"], ["--compare"]
    for wrong in (*wrongs, ["--execute", "--compare", "--to", str(tmp_path)]):
        with pytest.raises(SystemExit) as stopped:
            tool.main(wrong)
        assert stopped.value.code == 2
    monkeypatch.setattr(tool, "NOTEBOOKS", tmp_path)
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    (tmp_path / "00_small.py").write_text("# %% [markdown]\n# # Small\n\n# %%\nprint(1 + 1)\n")
    assert tool.main([]) == 1
    assert "it is not there" in capsys.readouterr().out
    assert tool.main(["--execute"]) == 0 and tool.main([]) == 0
    written = tool.stored("00_small")
    assert [cell.cell_type for cell in written.cells] == ["markdown", "code"]
    assert text_of(written).text == "2\n"
    assert tool.main(["--compare"]) == 0
    (tmp_path / "00_small.py").write_text("# %% [markdown]\n# # Small\n\n# %%\nprint(1 + 2)\n")
    assert tool.main([]) == 1 and tool.main(["--compare"]) == 1
    assert tool.main(["--execute", "--to", str(tmp_path / "other")]) == 0 and tool.main([]) == 1


# --- what may stand in a notebook ---------------------------------------------------


def traces(notebook):
    """What tells where, when or how long a notebook ran."""
    found = [
        key for key in notebook.metadata if key not in ("kernelspec", "language_info", "replicate")
    ]
    found += [key for key in notebook.metadata.get("language_info", {}) if key != "name"]
    for cell in notebook.cells:
        found += list(cell.metadata)
        for output in cell.get("outputs", ()):
            texts = [output.get("text", "")]
            texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
            for text in texts:
                found += re.findall(
                    r"(?<![\w.])/(?:\w[\w.-]*/)+|[A-Z]:\\|\b0x[0-9a-f]{6,}|\d ?(?:ms|µs|MB)\b", text
                )
    return found


@EVERY
def test_a_stored_notebook_tells_nothing_of_the_machine(name):
    assert traces(tool.stored(name)) == []


def test_a_trace_of_the_machine_is_noticed():
    codes = [
        "import os; print(os.path.abspath('x/y'))",
        "print(object())",
        "import tempfile; print(tempfile.gettempdir() + '/x/y')",
        "print('took 12 ms')",
        "print('nothing')",
    ]
    notebook = tool.execute(made(*codes))
    found = [traces(nbformat.v4.new_notebook(cells=[cell])) != [] for cell in notebook.cells]
    assert found == [True, True, True, True, False]


def test_times_in_the_metadata_are_noticed():
    notebook = made("pass")
    assert traces(notebook) == []
    notebook.cells[0].metadata["execution"] = {"iopub.execute_input": "now"}
    assert traces(notebook) == ["execution"]


def long_definitions(code, most=3):
    """Names of functions and classes of more than some lines."""
    return [
        getattr(node, "name", "lambda")
        for node in ast.walk(ast.parse(code))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda))
        and node.end_lineno - node.lineno + 1 > most
    ]


def private_names(code, allowed=()):
    """What is taken from the package and is not in its front door.

    Args:
        allowed: modules that may be imported besides.
    """
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [name for name in names if name.startswith("replicate.")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "replicate":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if name not in allowed]
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "replicate":
            found += [node.attr] * (node.attr not in replicate.__all__)
        elif isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            found.append(node.attr)
    return found


def code_of(name):
    cells = tool.with_solutions(tool.from_source(name)).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


#: Modules beyond the paper that a notebook explains.
BEYOND = {
    "05_what_jumps": ["replicate.beyond.jumps"],
    "06_deciding_a_claim": ["replicate.beyond.ceiling"],
}


@EVERY
def test_a_notebook_defines_nothing_that_belongs_in_the_package(name):
    """No function or class above three lines, and public names only.

    A network of one's own is what the package does not have.
    """
    own = {"Reader", "__init__"} if name == "01_word_saliency" else set()
    assert set(long_definitions(code_of(name))) == own
    assert private_names(code_of(name), BEYOND.get(name, [])) == []


@pytest.mark.parametrize(
    "code, long, private",
    [
        ("def f(x):\n    y = x\n    return y", [], []),
        ("def f(x):\n    y = x\n    z = y\n    return z", ["f"], []),
        ("class C:\n    a = 1\n    b = 2\n    c = 3", ["C"], []),
        ("f = lambda x: [\n x,\n x,\n x]", ["lambda"], []),
        ("import replicate\nreplicate.word_instability", [], []),
        ("import replicate\nreplicate.generator", [], ["generator"]),
        ("from replicate.verdicts import judge", [], ["replicate.verdicts.judge"]),
        ("from replicate.beyond import jumps", [], []),
        ("from replicate import cli", [], ["replicate.cli"]),
        ("import replicate.cli", [], ["replicate.cli"]),
        ("run._corpus", [], ["_corpus"]),
    ],
)
def test_what_does_not_belong_is_noticed(code, long, private):
    assert (long_definitions(code), private_names(code, ["replicate.beyond.jumps"])) == (
        long,
        private,
    )


# --- what every notebook has -----------------------------------------------------------


def prose_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def lacks(name, prose, code):
    """What a notebook lacks of a diagram, terms, exercises with solutions, and links."""
    place = NAMES.index(name)
    pictures = re.findall(r"!\[(.+?)\]\((.+?)\)", prose)
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#]+)\)", prose)
    exercises = re.split(r"\n\*\*\d\.\*\* ", prose.partition("## Exercises")[2])[1:]
    folded = [re.findall(r"<details><summary>Solution</summary>.*?```python.*?```.*?\n</details>", e, re.S)
              for e in exercises]  # fmt: skip
    needed = {
        "a diagram": len(pictures) == 1 and pictures[0][1] == f"diagrams/{name}.svg",
        "a table of terms": "| term | meaning |" in prose,
        "three exercises, each with a folded solution": [len(s) for s in folded] == [1, 1, 1],
        "the notebook before": not place or f"{NAMES[place - 1]}.ipynb" in links,
        "the next notebook": place + 1 == len(NAMES) or f"{NAMES[place + 1]}.ipynb" in links,
        "a page of the documentation": any(link.startswith("../docs/") for link in links),
        "labels by name": "label_names" not in code,
    }
    dead = [f for f in (*links, *(p for _, p in pictures)) if not (tool.NOTEBOOKS / f).exists()]
    return [what for what, there in needed.items() if not there] + dead


@EVERY
def test_a_notebook_has_what_every_one_has(name):
    source = tool.from_source(name)
    assert lacks(name, prose_of(source), code_of(name)) == []


@pytest.mark.parametrize(
    "old, new, lack",
    [
        ("diagrams/01", "diagrams/00", ["a diagram", "diagrams/00_word_saliency.svg"]),
        ("| term |", "| word |", ["a table of terms"]),
        ("<details>", "<p>", ["three exercises, each with a folded solution"]),
        ("**3.**", "**Third.**", ["three exercises, each with a folded solution"]),
        ("02_learning_dynamics.ipynb", "02.ipynb", ["the next notebook", "02.ipynb", "02.ipynb"]),
    ],
)
def test_what_is_missing_is_noticed(old, new, lack):
    prose = prose_of(tool.from_source(NAMES[0]))
    assert old in prose and lacks(NAMES[0], prose.replace(old, new), "") == lack


def test_diagrams_need_nothing_from_outside():
    """No script, no other file, and a title for whoever cannot see them."""
    places = sorted((tool.NOTEBOOKS / "diagrams").glob("*.svg"))
    assert [place.stem for place in places] == NAMES
    for place in places:
        text = place.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "<title>" in text and not re.search(r"https?:|<script|<image|href", text), place.name


def test_the_notebooks_are_small():
    assert (
        sum(place.stat().st_size for place in tool.NOTEBOOKS.rglob("*") if place.is_file()) < 1.5e6
    )


def test_a_picture_becomes_smaller_and_stays_the_same():
    """Fewer bytes, and no difference that a comparison of two runs would see."""
    code = "import matplotlib.pyplot as plt\nplt.figure(dpi=200)\nplt.plot([1, 3, 2])\nplt.show()"
    notebook = tool.execute(made(code))
    small = first(notebook, "image/png").outputs[0].data["image/png"]
    figure, axis = matplotlib.pyplot.subplots(dpi=200)
    axis.plot([1, 3, 2])
    whole = io.BytesIO()
    figure.savefig(whole, bbox_inches="tight")
    matplotlib.pyplot.close(figure)
    large = base64.b64encode(whole.getvalue()).decode()
    assert len(small) < len(large) / 2
    assert tool._same_picture(large, small)
