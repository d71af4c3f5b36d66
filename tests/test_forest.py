"""The pictures of verdicts: each CSV has exactly what is drawn, and all can be read."""

import csv

import numpy as np
import operating
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from test_figures import cut_off

from replicate import inference
from replicate.show import forest
from replicate.verdicts import judge

#: Runs of version 1.0.0, with 20 seeds each.
RUNS = ("paper-googlenews-subset", "paper-imdb")


@pytest.fixture(scope="module")
def judged():
    """Verdicts of two committed runs: title -> verdicts."""
    return {name: judge(operating.committed_rows(name)) for name in RUNS}


@pytest.fixture
def drawn(monkeypatch):
    """Figures that are saved, by the name of their files."""
    kept, save = {}, forest.save_figure

    def keep(figure, stem):
        kept[stem.name] = figure
        return save(figure, stem)

    monkeypatch.setattr(forest, "save_figure", keep)
    return kept


def rows(place):
    with open(place, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_forest_has_every_part_that_was_measured(judged, drawn, tmp_path):
    forest.forest(judged, tmp_path / "forest")
    table = rows(tmp_path / "forest.csv")
    wanted = [
        (title, v.claim.id, p.part.title, p.verdict, *p.on_scale)
        for title, verdicts in judged.items()
        for v in verdicts
        for p in v.parts
        if p.seeds
    ]
    names = ("mean", "low", "high", "run_low", "run_high")
    found = [
        (r["set"], r["id"], r["part"], r["verdict"], *(float(r[n]) for n in names)) for r in table
    ]
    assert sorted(found) == sorted(wanted) and len(found) > 60
    assert cut_off(drawn["forest"]) == []
    # F4 needs a record that these runs do not have.
    assert "F4" not in {r["id"] for r in table}


@pytest.mark.slow
def test_forest_draws_what_its_table_says(judged, drawn, tmp_path):
    """Dots at the means and thick lines over the intervals, in smallest effects of interest."""
    one = dict([next(iter(judged.items()))])
    forest.forest(one, tmp_path / "forest")
    axis = drawn["forest"].axes[0]
    table = rows(tmp_path / "forest.csv")
    unit = np.array([float(r["smallest"]) for r in table])
    mean = np.array([float(r["mean"]) for r in table]) / unit
    dots = [line for line in axis.lines if line.get_marker() in ("o", "<", ">")]
    at = np.array([float(line.get_xdata()[0]) for line in dots])
    assert at == pytest.approx(np.clip(mean, -forest.REACH, forest.REACH))
    thick = [c for c in axis.collections if 3.0 in np.atleast_1d(c.get_linewidths())]
    ends = np.array([c.get_segments()[0][:, 0] for c in thick])
    wanted = np.array([[float(r["low"]), float(r["high"])] for r in table]) / unit[:, None]
    assert ends == pytest.approx(np.clip(wanted, -forest.REACH, forest.REACH))
    diamonds = [line for line in axis.lines if line.get_marker() == "D"]
    figures = [float(r["reported"]) / u for r, u in zip(table, unit) if r["reported"]]
    assert [float(d.get_xdata()[0]) for d in diamonds] == pytest.approx(figures)
    texts = [t.get_text() for t in axis.texts]
    assert len(texts) == len(table) and all(": undecided" in text for text in texts)


@pytest.mark.slow
def test_claims_of_another_corpus_are_not_drawn(tmp_path):
    table = operating.committed_rows("paper-imdb")
    forest.forest({"x": judge(table, paper_corpus=False)}, tmp_path / "forest")
    assert not {r["id"] for r in rows(tmp_path / "forest.csv")} & {"A1", "A2", "A3"}


def test_nothing_measured_is_an_empty_picture(drawn, tmp_path):
    forest.forest({"x": judge([])}, tmp_path / "forest")
    assert rows(tmp_path / "forest.csv") == [] and cut_off(drawn["forest"]) == []


def test_difference_has_its_band_and_single_runs(drawn, tmp_path):
    curves = operating.committed_curves("paper-imdb")
    title = "GoogleNews, 31,530 words, not the full file (75% of tokens known)"
    forest.difference(title, curves, tmp_path / "difference")
    lines = {}
    for row in rows(tmp_path / "difference.csv"):
        lines.setdefault(row["line"], []).append(float(row["difference"]))
    values = np.array([c["T1andT2h"][:, 1] - c["T1andT2l"][:, 1] for c in curves.values()])
    assert lines["mean"] == pytest.approx(values.mean(axis=0))
    low, high = inference.simultaneous_band(values)
    assert (lines["low"], lines["high"]) == (pytest.approx(low), pytest.approx(high))
    assert lines["seed 3"] == pytest.approx(values[3]) and len(lines) == 3 + 20
    assert cut_off(drawn["difference"]) == []
    FigureCanvasAgg(drawn["difference"]).draw()
    grey = [line for line in drawn["difference"].axes[0].lines if line.get_color() == "#BBBBBB"]
    assert len(grey) == 20 and grey[3].get_ydata() == pytest.approx(100 * values[3])


def test_two_seeds_have_no_band(tmp_path):
    curves = {s: c for s, c in operating.committed_curves("paper-imdb").items() if s < 2}
    forest.difference("IMDB", curves, tmp_path / "difference", "T2h", "T2l")
    found = {r["line"] for r in rows(tmp_path / "difference.csv") if r["difference"] != "nan"}
    assert found == {"mean", "seed 0", "seed 1"}
