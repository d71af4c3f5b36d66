"""Answers in the report: every row of the files of `questions` and `choice`, in both languages."""

import csv
import shutil
from pathlib import Path

import pytest

from replicate.beyond import ceiling, choice, jumps, questions, trust
from replicate.show import answers as module
from replicate.show.answers import answers
from replicate.show.strings import Words

RESULTS = Path(__file__).resolve().parents[1] / "results"


@pytest.fixture
def folder(tmp_path):
    """A run's folder with the committed answers."""
    shutil.copytree(RESULTS / "calibrated-googlenews-31530" / "questions", tmp_path / "questions")
    shutil.copytree(RESULTS / "five-filters-googlenews-31530" / "choice", tmp_path / "choice")
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
    assert asked["rows"][0][1]["text"] == "+1.632" and asked["rows"][0][-1]["colour"] == "good"
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
            score = name.removesuffix(" *").replace("without the highest ", "without_")
            row = written.get((score, share))
            if row is None:
                assert cell["text"] == "–"
                continue
            seen += 1
            assert float(cell["text"]) == pytest.approx(100 * float(row["gain"]), abs=0.0051)
            assert bool(cell["colour"]) == (row["verdict"] in ("better", "worse"))
            assert name.endswith(" *") == (row["labels"] == "1")
    assert seen == len(written) > 20


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
            assert row[0].isascii() <= (
                row[0].removesuffix(" *") in ("BADGE", "EL2N", "GraNd", "TracIn")
            )
            for cell in row[1:]:
                assert "points" not in cell["text"] and "yes" not in cell["text"]


@pytest.fixture
def trusted(tmp_path):
    """A folder with the tables of ``ceiling`` and ``trust``, of made-up numbers."""
    tables = {
        "ceiling/components.csv": [
            "source,variance,low,high,deviation,share,seeds",
            "division,0.00016,0.0001,0.0003,0.01265,0.61,20",
            "half,0.000016,-0.00001,0.00004,0.004,0.06,20",
            "training,0.000036,0.00002,0.00005,0.006,0.14,20",
            "rest,0.00005,0.00004,0.00006,0.00707,0.19,20",
        ],
        "ceiling/best.csv": [
            "measure,mean,low,high,seeds",
            "seen,0.0091,0.0081,0.0101,20",
            "real,0.0012,-0.0003,0.0027,20",
            "known,0.0024,0.0016,0.0031,20",
        ],
        "trust/totals.csv": [
            "sentences,measure,mean,low,high,seeds",
            "all,zero,0.007,0.006,0.008,20",
            "all,jump,0.604,0.59,0.62,20",
            "correct,jump,0.5,0.4,0.6,20",
        ],
        "trust/agreement.csv": [
            "source,measure,mean,low,high,seeds",
            "initialisation,wac,0.44,0.43,0.45,20",
            "initialisation,top,0.45,0.4,0.5,20",
            "all,wac,0.30,0.28,0.32,20",
        ],
    }
    for name, lines in tables.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return tmp_path


def test_ceiling_and_trust_have_a_sentence_to_quote(trusted):
    origin, again = answers(trusted, Words("en"))
    assert (
        "61 % come from the division" in origin["about"] and "6 % from the half" in origin["about"]
    )
    assert "gain +0.91 points" in origin["about"] and "it gains +0.12" in origin["about"]
    shown = [[cell["text"] for cell in row[1:]] for row in origin["rows"]]
    assert shown[1] == ["0.40 points", "0.00 … 0.63", "20"]
    assert shown[-2] == ["+0.12 points", "-0.03 … +0.27", "20"]
    assert shown[-1] == ["+0.24 points", "+0.16 … +0.31", "20"]
    assert (
        "1 % of all word saliencies" in again["about"] and "60 % of the squared" in again["about"]
    )
    assert "correlation of 0.44" in again["about"] and "with 0.30" in again["about"]
    assert [row[1]["text"] for row in again["rows"]] == ["0.01", "0.60", "0.44", "0.30"]
    for table in answers(trusted, Words("ja")):
        assert not table["about"].isascii() and "points" not in str(table["rows"])
    # Two seeds have no interval.
    place = trusted / "trust" / "agreement.csv"
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace("0.43,0.45,20", "nan,nan,2"), encoding="utf-8")
    assert answers(trusted, Words("en"))[1]["rows"][2][2]["text"] == "–"
    # Twin: another number is another sentence.
    place = trusted / "trust" / "totals.csv"
    place.write_text(place.read_text(encoding="utf-8").replace("0.604", "0.104"), encoding="utf-8")
    assert "10 % of the squared" in answers(trusted, Words("en"))[1]["about"]


def test_what_is_shown_is_written():
    """The rows that the report looks for are those that the commands write."""
    assert (module.COMPONENTS, module.BEST) == (ceiling.COMPONENTS, ceiling.BEST)
    assert set(module.TRUST["agreement.csv"]) == {(source, "wac") for source in trust.SOURCES}
    of = {**jumps.TABLES, **{name: sum(own, ()) for name, own in trust.TABLES.items()}}
    assert {f"{name}.csv" for name in of} >= set(module.TRUST)
    assert {"zero", "jump"} <= set(of["totals"])
