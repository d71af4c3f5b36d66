"""Make the notebooks from their sources, run them, and report which are out of date.

Usage: python tools/notebooks.py [--execute [--to FOLDER] | --compare] [NAME ...]

The source of a notebook is ``notebooks/NAME.py`` in Jupytext's percent format.
``--execute`` runs it and writes ``notebooks/NAME.ipynb`` with its outputs;
``--compare`` runs it and writes nothing.  With neither, nothing is run, and only the
cells are compared.  The exit code is 1 if a notebook differs from what its source
gives.  Stored outputs are of MR and word vectors in the folder that
``REPLICATE_DATA`` names, so both need it; with ``--to`` the notebooks are written to
another folder, and use the sample that comes with gensim where it is not set.

The metadata of a notebook has two checksums: of the code that was run, and of
its outputs.  They show, without running anything, that a cell or an output was
edited.  :func:`differences` compares the outputs of two runs.
"""

import argparse
import base64
import hashlib
import html
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbclient
import nbformat
import numpy as np
from PIL import Image
from traitlets.config import Config

from replicate.io.files import save_text

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOKS = REPOSITORY / "notebooks"

#: Allowed difference of a number with a decimal point between two runs: a share of
#: the number, or some units of its last digit.  The matrix library rounds
#: differently on other processors and in other versions, and training in float32
#: amplifies that.  If one of the 20 sentences of T3 gets another answer, an accuracy
#: changes by 0.05, which is five units of its last printed digit.  Whole numbers and
#: all other text must be the same.
SHARE, UNITS = 0.02, 5
#: Allowed difference of two pictures: a share of their width and height, and the
#: mean difference of their grey levels (0 to 255) on a grid.  The same figure by
#: Matplotlib 3.10 and 3.11 differs by up to 1.6; other figures differ by 3.8 or more.
SIZE, GREY, GRID = 0.05, 3.0, 16

#: A picture is stored with a palette of so many colours, and is at most so wide.
COLOURS, WIDEST = 128, 1300

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
DECIMAL = re.compile(r"[-+]?\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)")


def names():
    """Names of the notebooks, in order."""
    return sorted(place.stem for place in NOTEBOOKS.glob("*.py"))


def from_source(name):
    """A notebook made from its source, without outputs; the same source gives the same bytes."""
    text = (NOTEBOOKS / f"{name}.py").read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {}
    notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def with_solutions(notebook):
    """The notebook, and after it the code of the solutions that its exercises fold away."""
    notebook = nbformat.from_dict(notebook)
    for cell in [cell for cell in notebook.cells if cell.cell_type == "markdown"]:
        for solution in re.findall(r"<details>.*?</details>", cell.source, flags=re.DOTALL):
            for code in re.findall(r"```python\n(.*?)```", solution, flags=re.DOTALL):
                name = f"solution-{len(notebook.cells):02d}"
                notebook.cells.append(nbformat.v4.new_code_cell(code.rstrip(), id=name))
    return notebook


def stored(name):
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def execute(notebook, with_data=False):
    """Run a notebook in a separate kernel.

    Args:
        notebook: of :func:`from_source`.
        with_data (bool): pass ``REPLICATE_DATA`` on to it.

    Returns:
        the notebook with outputs and checksums, without time, place and
        duration of the run.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "IPYTHONDIR": folder,
            "OPENBLAS_NUM_THREADS": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
            ),
        }
        environment.pop("MPLBACKEND", None)
        if not with_data:
            environment.pop("REPLICATE_DATA", None)
        manager = {"connection_file": os.path.join(folder, "kernel.json")}
        if os.name == "posix":
            manager["transport"] = "ipc"  # no port is opened
        client = nbclient.NotebookClient(
            notebook,
            config=Config({"KernelManager": manager}),
            timeout=1800,
            kernel_name=KERNEL["name"],
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(NOTEBOOKS)}},
        )
        client.execute(env=environment)
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", ()):
                output.data["image/png"] = _smaller(output.data["image/png"])
    notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    notebook.metadata["replicate"] = {
        "code": code_digest(notebook),
        "outputs": output_digest(notebook),
    }
    return nbformat.from_dict(notebook)


def _smaller(png):
    """A picture in base64 with fewer colours and pixels: a third of the bytes or less."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)))
    made = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(made, "png", optimize=True)
    return base64.b64encode(made.getvalue()).decode()


# --- out of date? ----------------------------------------------------------------


def code_digest(notebook):
    """Checksum of the code cells, in order."""
    return _digest([cell.source for cell in notebook.cells if cell.cell_type == "code"])


def output_digest(notebook):
    """Checksum of all outputs, pictures included."""
    return _digest([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def out_of_date(notebook, source):
    """Reasons why a stored notebook differs from what its source would give, without running it.

    Args:
        notebook: stored.
        source: of :func:`from_source`.

    Returns:
        list of str: empty if nothing is wrong.
    """
    stamp = notebook.metadata.get("replicate", {})
    reasons = []
    if [(c.cell_type, c.source) for c in notebook.cells] != [
        (c.cell_type, c.source) for c in source.cells
    ]:
        reasons.append("its cells are not those of the source")
    if stamp.get("code") != code_digest(notebook):
        reasons.append("its code is not what was run")
    if stamp.get("outputs") != output_digest(notebook):
        reasons.append("its outputs are not what the run gave")
    return reasons


def differences(before, after):
    """Outputs of two runs of the same cells that differ by more than is allowed.

    Returns:
        list of str: one line for each such output.
    """
    cells = [
        [cell for cell in notebook.cells if cell.cell_type == "code"]
        for notebook in (before, after)
    ]
    found = [] if len(cells[0]) == len(cells[1]) else ["another number of code cells"]
    for number, (old, new) in enumerate(zip(*cells), start=1):
        kinds = [
            [(o.output_type, sorted(o.get("data", ()))) for o in cell.outputs]
            for cell in (old, new)
        ]
        if kinds[0] != kinds[1]:
            found.append(f"code cell {number}: other kinds of output: {kinds[0]}, now {kinds[1]}")
            continue
        for one, two in zip(old.outputs, new.outputs):
            for kind, was, now in zip(*_parts(one), _parts(two)[1]):
                same = _same_picture if kind == "image/png" else _same_text
                if not same(was, now):
                    shown = "the picture" if kind == "image/png" else f"{was!r}, now {now!r}"
                    found.append(f"code cell {number}, {kind}: {shown}")
    return found


def _parts(output):
    """Kinds and contents of those parts of an output that are compared."""
    if output.output_type == "stream":
        return [output.name], [output.text]
    data = output.get("data", {})
    kinds = [kind for kind in sorted(data) if kind in ("text/plain", "text/html", "image/png")]
    return kinds, [_words(data[kind]) if kind == "text/html" else data[kind] for kind in kinds]


def _words(page):
    """The text of a piece of HTML."""
    page = re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def _same_text(was, now):
    """Whether two texts agree: numbers with a point nearly, the rest exactly, except blanks."""
    if DECIMAL.sub("#", was).split() != DECIMAL.sub("#", now).split():
        return False
    return all(_near(a, b) for a, b in zip(DECIMAL.findall(was), DECIMAL.findall(now)))


def _near(a, b):
    unit = max(_unit(a), _unit(b))
    return abs(float(a) - float(b)) <= max(SHARE * abs(float(a)), UNITS * unit) * (1 + 1e-9)


def _unit(text):
    """The value of one unit in the last digit of a number."""
    mantissa, _, exponent = text.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def _same_picture(was, now):
    one, two = (
        Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA") for data in (was, now)
    )
    if any(abs(a - b) > SIZE * max(a, b) for a, b in zip(one.size, two.size)):
        return False
    white = [
        Image.alpha_composite(Image.new("RGBA", p.size, "white"), p).convert("L")
        for p in (one, two)
    ]
    grey = [np.asarray(p.resize((GRID, GRID), Image.Resampling.BOX), dtype=float) for p in white]
    return bool(np.abs(grey[0] - grey[1]).mean() <= GREY)


# --- command ---------------------------------------------------------------------


def main(arguments=None):
    """Run the notebooks, or check them; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--execute", action="store_true", help="run and write them")
    parser.add_argument(
        "--compare", action="store_true", help="run them, and compare with what is stored"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write there")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="for instance 01_word_saliency; all otherwise"
    )
    chosen = parser.parse_args(arguments)
    odd = sorted(set(chosen.names) - set(names()))
    if odd:
        parser.error(f"there is no notebook {odd[0]}; choose one of {', '.join(names())}")
    if chosen.to and not chosen.execute:
        parser.error("--to FOLDER needs --execute")
    if chosen.execute and chosen.compare:
        parser.error("choose one of --execute and --compare")
    if (chosen.compare or chosen.execute and not chosen.to) and not os.environ.get(
        "REPLICATE_DATA"
    ):
        parser.error(
            "stored outputs are made with MR: set REPLICATE_DATA to a folder with MR and word "
            "vectors (replicate fetch), or write elsewhere with --to FOLDER"
        )
    stale = 0
    for name in chosen.names or names():
        if chosen.execute:
            made = execute(from_source(name), with_data=True)
            place = (chosen.to or NOTEBOOKS) / f"{name}.ipynb"
            save_text(place, nbformat.writes(made) + "\n")
            print(f"written: {name}.ipynb", flush=True)
            continue
        if not (NOTEBOOKS / f"{name}.ipynb").exists():
            reasons = ["it is not there"]
        elif chosen.compare:
            reasons = differences(stored(name), execute(from_source(name), with_data=True))
        else:
            reasons = out_of_date(stored(name), from_source(name))
        stale += bool(reasons)
        print(f"{name}: {'; '.join(reasons) or 'up to date'}", flush=True)
    if stale:
        print("run `make notebooks`")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
