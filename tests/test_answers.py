"""Answers in the report: every row of the files of `questions` and `choice`, in both languages."""

import csv
import shutil
from pathlib import Path

import pytest

from replicate.beyond import choice, questions
from replicate.show import answers as module
from replicate.show.answers import answers
from replicate.show.strings import Words

RESULTS = Path(__file__).resolve().parents[1] / "results"


@pytest.fixture
def folder(tmp_path):
    """A run's folder with the committed answers."""
    shutil.copytree(RESULTS / "questions-googlenews-subset", tmp_path / "questions")
    shutil.copytree(RESULTS / "fresh-googlenews-31530" / "choice", tmp_path / "choice")
    return tmp_path


def rows(place):
    with open(place, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_are_those_that_are_written():
    assert module.QUESTIONS == questions.QUESTIONS
    assert module.RIVALS == questions.RIVALS
    assert module.CHOICE == choice.TABLE


def test_every_answer_is_there(folder):
    asked, rivals, chosen = answers(folder, Words("en"))
    for table, place in ((asked, "questions/questions.csv"), (chosen, "choice/choice.csv")):
        written = rows(folder / place)
        assert len(table["rows"]) == len(written) > 10
        for shown, row in zip(table["rows"], written):
            assert row["measure"] in shown[0]
            assert [cell["text"] for cell in shown[-2:]] == [row["seeds"], row["answer"]]
            assert len(shown) == len(table["header"])
    assert asked["rows"][0][1]["text"] == "+2.834" and asked["rows"][0][-1]["colour"] == "good"
    assert chosen["rows"][0][1:4] == (
        {"text": "+3.00 points", "note": "", "colour": ""},
        {"text": "+0.46 points", "note": "", "colour": ""},
        {"text": "+0.16 … +0.75", "note": "", "colour": ""},
    )
    written = {(r["score"], r["share"]): r for r in rows(folder / "questions" / "rivals.csv")}
    shares = sorted({share for _, share in written}, key=float)
    seen = 0
    for name, *cells in rivals["rows"]:
        for share, cell in zip(shares, cells):
            row = written.get((name.removesuffix(" *"), share))
            if row is None:
                assert cell["text"] == "–"
                continue
            seen += 1
            assert float(cell["text"]) == pytest.approx(100 * float(row["gain"]), abs=0.0051)
            assert bool(cell["colour"]) == (row["verdict"] != "inconclusive")
            assert name.endswith(" *") == (row["labels"] == "1")
    assert seen == len(written) > 50


def test_a_changed_answer_is_noticed(folder):
    """Twin: the page has what the file has, not what it had."""
    place = folder / "questions" / "questions.csv"
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace(",yes: the gap closes", ",no", 1), encoding="utf-8")
    assert answers(folder, Words("en"))[0]["rows"][1][-1]["text"] == "no"


def test_only_what_is_there(folder):
    shutil.rmtree(folder / "questions")
    assert [table["place"].name for table in answers(folder, Words("en"))] == ["choice.csv"]
    shutil.rmtree(folder / "choice")
    assert answers(folder, Words("en")) == []


def test_japanese(folder):
    for table in answers(folder, Words("ja")):
        for row in table["rows"]:
            assert row[0].isascii() <= (row[0] in ("EL2N *", "GraNd *"))
            for cell in row[1:]:
                assert "points" not in cell["text"] and "yes" not in cell["text"]
