"""Tables and figures of what the paper left open."""

import numpy as np
import pytest
from test_convergence import table
from test_rivals import compared, made_up

from replicate import cli
from replicate.beyond import convergence, rivals
from replicate.beyond import questions as beyond
from replicate.io.files import load_json, read_csv, save_json
from replicate.run import Run


@pytest.mark.slow
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


#: Rows of a learning curve.
CURVE = [(0.0, 500.0, 0.0, 0.0, 0.0, 0.0, 8), (1.0, 1500.0, 0.02, 0.01, 0.03, 0.02, 8)]


@pytest.mark.slow
def test_rivals_are_drawn(tmp_path):
    """Other gains, another picture; the same gains, the same."""
    names = ("a", "b", "c")
    found = [
        compared(made_up(tmp_path / name, gain), range(8))
        for name, gain in zip(names, (0.02, 0.02, -0.02))
    ]
    draws = (beyond.draw_rivals, lambda rows, *rest: beyond.draw_learning(rows, CURVE, *rest))
    for draw in draws:
        pictures = [
            draw(rows, tmp_path / f"{name}-drawn", "made up").read_bytes()
            for name, rows in zip(names, found)
        ]
        assert pictures[0].startswith(b"\x89PNG")
        assert pictures[0] == pictures[1] != pictures[2]


def test_learning_curves_are_of_scores_with_several_shares(tmp_path, monkeypatch):
    """A score that was tried at one share has no curve."""
    rows = compared(made_up(tmp_path / "run", 0.02), range(8))
    few = [row for row in rows if row[1] == 0.5 or row[0] in ("instability", "el2n")]
    figures = []
    monkeypatch.setattr(beyond, "save_figure", lambda figure, stem: figures.append(figure))

    def drawn(rows):
        beyond.draw_learning(rows, CURVE, tmp_path / "x", "made up")
        axes = [axis for axis in figures.pop().axes if axis.get_visible()]
        texts = [text.get_text() for axis in axes for text in axis.texts]
        return [axis.get_title("left") for axis in axes], texts

    titles = ["random sentences, over T1", "instability", "el2n *"]
    assert drawn(few) == (titles, [])
    # One that is far off has its number at the edge, and leaves the others their scale.
    far = [
        (*row[:4], row[4] - 0.2, row[5] - 0.2, row[6] - 0.2, *row[7:]) if row[0] == "el2n" else row
        for row in few
    ]
    titles, texts = drawn(far)
    assert len(texts) == len(rivals.SHARES) and all(text.startswith("-") for text in texts)


@pytest.mark.slow
def test_answers_are_written(recorded_run, copied):
    """Tables with a row for all that was asked, and two figures; once more, the same bytes."""
    run = copied(recorded_run)
    seeds = list(run.seeds)
    for seed in seeds:
        rivals.work_on_rivals(
            str(run.out), seed, (0.5,), rivals.check_scores(()), lambda message: None
        )
    written = beyond.write_answers(run, seeds)
    first = {place: place.read_bytes() for place in written}
    out = run.out / "questions"
    assert written == [
        *(out / f"{name}.csv" for name in beyond.TABLES),
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
    learned = read_csv(out / "learning.csv", beyond.LEARNING, dict.fromkeys(beyond.LEARNING, float))
    assert [row["share"] for row in learned] == [0, 0.5, 1]
    late = [
        rivals.late_and_mean(run.accuracies(seed)[arm])[0]
        for arm in ("T1", "T1andT2")
        for seed in seeds
    ]
    assert learned[-1]["rise"] == pytest.approx(np.mean(late[3:]) - np.mean(late[:3]))
    covariates = [row["covariate"] for row in read_csv(out / "confounds.csv", beyond.CONFOUNDS)]
    assert covariates == ["length", "rarity", "unknown", "label", "R2"]
    asked = convergence.seed_answers(run, 1)
    rows = read_csv(out / "statistics.csv", ("seed", *asked), dict.fromkeys(asked, float))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert {name: rows[1][name] for name in asked} == pytest.approx(asked, nan_ok=True)
    beyond.write_answers(run, seeds)
    assert first == {place: place.read_bytes() for place in written}


@pytest.mark.parametrize(
    "option, value, remedy",
    [
        ("stored", False, "without --streaming"),
        ("epoch_weights", "first", "--epoch-weights all"),
        ("record_arms", False, "--record-arms"),
    ],
)
def test_a_run_of_the_wrong_kind_is_refused_before_anything(option, value, remedy, recorded_run, copied, monkeypatch, capsys):  # fmt: skip
    """Nothing is trained, and no file of it changes."""
    run = copied(recorded_run)
    settings = load_json(run.out / "config.json")
    save_json(run.out / "config.json", {**settings, option: value})
    monkeypatch.setattr(rivals, "run_rivals", lambda *a: pytest.fail("trained"))
    before = {p: p.stat().st_mtime_ns for p in run.out.rglob("*")}
    with pytest.raises(SystemExit) as stopped:
        cli.main(["questions", str(run.out)])
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and remedy in told and len(told.splitlines()) == 1
    assert {p: p.stat().st_mtime_ns for p in run.out.rglob("*")} == before


def test_a_run_of_the_right_kind_is_taken(recorded_run):
    """Twin: what the others have changed, and nothing else, is refused."""
    beyond.check_run(Run(recorded_run.out))
