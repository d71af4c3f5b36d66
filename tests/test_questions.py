"""Tables and figures of what the paper left open."""

import numpy as np
import pytest
from test_convergence import table
from test_rivals import made_up

from replicate.beyond import convergence, rivals
from replicate.beyond import questions as beyond
from replicate.io.files import read_csv


def test_convergence_draws_the_means_of_every_phase(tmp_path):
    """The CSV has exactly what is drawn: a row a statistic and phase."""
    rows = table(0.3)
    place = beyond.draw_convergence(rows, tmp_path / "convergence", "made up")
    assert place.read_bytes().startswith(b"\x89PNG")
    header = ("statistic", "phase", "seeds", "mean", "low", "high")
    drawn = read_csv(tmp_path / "convergence.csv", header, dict.fromkeys(header[2:], float))
    phases = ("T1", *convergence.ARMS_ASKED)
    assert [(r["statistic"], r["phase"]) for r in drawn] == [
        (kind, phase) for kind in ("gap", "late") for phase in phases
    ]
    for row in drawn:
        values = [r[f"{row['statistic']}.{row['phase']}"] for r in rows]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["seeds"] == 10 and row["low"] < row["mean"] < row["high"]


@pytest.mark.slow
def test_rivals_are_drawn(tmp_path):
    """Other gains, another picture; the same gains, the same."""
    names, pictures = ("a", "b", "c"), []
    for name, gain in zip(names, (0.02, 0.02, -0.02)):
        rows = rivals.compare(made_up(tmp_path / name, gain), range(8))
        pictures.append(
            beyond.draw_rivals(rows, tmp_path / f"{name}-drawn", "made up").read_bytes()
        )
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.slow
def test_answers_are_written(recorded_run, copied):
    """Five tables with a row for all that was asked, and two figures; once more, the same bytes."""
    run = copied(recorded_run)
    seeds = list(run.seeds)
    for seed in seeds:
        rivals.work_on_rivals(str(run.out), seed, (0.5,), lambda message: None)
    written = beyond.write_answers(run, seeds)
    first = {place: place.read_bytes() for place in written}
    out = run.out / "questions"
    names = ("questions", "statistics", "rivals", "correlations", "confounds")
    assert written == [
        *(out / f"{n}.csv" for n in names),
        out / "rivals.png",
        out / "convergence.png",
    ]
    questions = read_csv(out / "questions.csv", beyond.QUESTIONS)
    assert [(q["id"], q["measure"]) for q in questions] == [q[:2] for q in convergence.QUESTIONS]
    assert {q["seeds"] for q in questions} == {"3"}
    scores = [score.name for score in rivals.SCORES]
    compared = read_csv(out / "rivals.csv", beyond.RIVALS)
    assert set(scores) <= {row["score"] for row in compared}
    assert {float(row["share"]) for row in compared} == {0.5}
    assert [
        row["score"] for row in read_csv(out / "correlations.csv", ("score", *scores))
    ] == scores
    covariates = [row["covariate"] for row in read_csv(out / "confounds.csv", beyond.CONFOUNDS)]
    assert covariates == ["length", "rarity", "unknown", "label", "R2"]
    asked = convergence.seed_answers(run, 1)
    rows = read_csv(out / "statistics.csv", ("seed", *asked), dict.fromkeys(asked, float))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert {name: rows[1][name] for name in asked} == pytest.approx(asked, nan_ok=True)
    beyond.write_answers(run, seeds)
    assert first == {place: place.read_bytes() for place in written}
