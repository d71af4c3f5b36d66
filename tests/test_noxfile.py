"""The matrix of versions: cells that disagree are told, and the table holds what cells left."""

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
NUMBERS = {"accuracy seed-000 T1 1": 0.6, "loss seed-000 T1 1": 0.5, "wac seed-000 good": 0.01}


class Ended(Exception):
    """Stands for a session's end by an error."""


def end(words):
    raise Ended(words)


SESSION = SimpleNamespace(error=end, log=lambda words: None)


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """noxfile.py with its folders elsewhere; nox itself is not needed."""

    def same(*a, **k):
        return lambda function: function

    nox = SimpleNamespace(options=SimpleNamespace(), session=same, parametrize=same)
    monkeypatch.setitem(sys.modules, "nox", nox)
    spec = importlib.util.spec_from_file_location("noxfile", REPOSITORY / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "out").mkdir()
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "OUT", tmp_path / "out")
    return module


def ran(matrix, python, numpy, cupy, digest="d", **changed):
    """Leave what a cell leaves."""
    found = {
        "digest": digest, "python": f"{python}.1", "numpy": f"{numpy}.2", "scipy": "1", "numba": "0.6",
        "cupy": None if cupy == "absent" else f"{cupy}.0", "supplied": ["numpy.sctypes"],
        "tests": "9 passed", "numbers": {**NUMBERS, **changed},
    }  # fmt: skip
    (matrix.OUT / f"{matrix.cell(python, numpy, cupy)}.json").write_text(json.dumps(found))


def test_the_table_has_every_combination(matrix, tmp_path):
    ran(matrix, "3.11", "1.26", "absent")
    ran(matrix, "3.13", "2", "14", **{"loss seed-000 T1 1": 0.5002})
    matrix.table(SESSION)
    with (tmp_path / "results" / "versions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 3
    there = [row for row in rows if row["scipy"]]
    assert [(r["python"], r["numpy"], r["cupy"], r["supplied"]) for r in there] == [
        ("3.11.1", "1.26.2", "absent", "sctypes"), ("3.13.1", "2.2", "14.0", "sctypes"),
    ]  # fmt: skip
    assert [row["loss"] for row in there] == ["0.0e+00", "4.0e-04"]
    why = {row["tests"] for row in rows if not row["scipy"]}
    assert why == {
        "not run", "CuPy 14 needs NumPy 2", "NumPy 1.26 has no wheel for Python 3.13",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name, value",
    [("accuracy seed-000 T1 1", 0.7), ("loss seed-000 T1 1", 0.501), ("wac seed-000 good", 0.0102)],
)
def test_cells_that_disagree_are_told(matrix, name, value):
    ran(matrix, "3.11", "1.26", "absent")
    ran(matrix, "3.12", "2", "13", **{name: value})
    with pytest.raises(Ended, match=f"^3.12 2 13: {name.split()[0]} by "):
        matrix.table(SESSION)
    assert not (matrix.HERE / "results" / "versions.csv").exists()


def test_cells_of_other_words_or_of_another_package_are_refused(matrix):
    ran(matrix, "3.11", "1.26", "absent")
    ran(matrix, "3.12", "2", "13", **{"wac seed-000 new": 0.1})
    with pytest.raises(ValueError, match="other arms, epochs or words"):
        matrix.table(SESSION)
    ran(matrix, "3.12", "2", "13", digest="e")
    with pytest.raises(Ended, match="run the matrix again"):
        matrix.table(SESSION)


def test_a_cell_knows_what_it_was_run_with(matrix, monkeypatch):
    """A changed line in a module or a test gives another digest."""
    monkeypatch.setattr(matrix, "HERE", REPOSITORY)
    before = matrix.digest()
    assert before == matrix.digest()
    real = Path.read_bytes
    for name in ("convolution.py", "test_kernels.py", "noxfile.py", "conftest.py", "samples.py"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", lambda p, n=name: real(p) + b"#" * (p.name == n))
            assert matrix.digest() != before


def test_every_reader_is_tested_in_every_cell(matrix):
    """A module of ``io`` has its tests in the list, but for downloads; no name lacks a file."""
    readers = {place.stem for place in (REPOSITORY / "replicate" / "io").glob("[!_]*.py")}
    assert readers - {"download"} <= set(matrix.CORE)
    assert "inputs" in matrix.CORE and len(set(matrix.CORE)) == len(matrix.CORE)
    for part in {*matrix.CORE, *matrix.WITH_CUPY}:
        assert (REPOSITORY / "tests" / f"test_{part}.py").is_file(), part


def test_numbers_are_read_from_a_run(matrix, tmp_path):
    place = tmp_path / "seed-000"
    place.mkdir()
    (place / "accuracy.csv").write_text("arm,epoch,accuracy,loss\nT1,1,0.6,0.5\n")
    (place / "instability.csv").write_text("word,count,wac\ngood,3,0.01\n")
    assert matrix.numbers(tmp_path) == NUMBERS
