"""Figs 3-6 of the page: what is drawn is what their CSV files have."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from test_charts import curves, inner, parsed

from replicate.config import PAPER
from replicate.io.files import save_csv
from replicate.show import forest
from replicate.show.panels import ARM_KINDS, DIFFERENCES, FIG_5, FIG_6, experiment, panels
from replicate.show.strings import Words

COMMITTED = Path(__file__).resolve().parents[1] / "results" / "calibrated-googlenews-31530"
WORDS = Words("en")


def content(place):
    return gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()


def rows(place):
    return list(csv.DictReader(io.StringIO(content(place).decode(), newline="")))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Figures of the committed run, with the differences of Fig. 6."""
    folder = tmp_path_factory.mktemp("figures")
    for place in (COMMITTED / "figures").glob("fig[3-6].csv*"):
        (folder / place.name.removesuffix(".gz")).write_bytes(content(place))
    found = {}
    for row in rows(COMMITTED / "accuracy.csv.gz"):
        arms = found.setdefault(int(row["seed"]), {})
        arms.setdefault(row["arm"], []).append((float(row["epoch"]), float(row["accuracy"])))
    curves = {seed: {a: np.array(c) for a, c in arms.items()} for seed, arms in found.items()}
    forest.differences(curves, folder / "fig6-differences")
    return folder


def drawn(figures, name, words=WORDS, levels=True):
    return panels(name, figures, words, 50, 200, levels)[0]


def names(drawing):
    return [t.text for t in parsed(drawing).iter("text") if t.get("class").startswith("name")]


def shape(values):
    """Values from 0 to 1, for a comparison that does not depend on the axis."""
    values = np.asarray(values)
    return (values - values.min()) / (values.max() - values.min())


def test_figures_3_and_4_draw_every_word_on_one_scale(figures):
    """The heights of all curves of both figures lie on one line with the numbers of the files."""
    heights, values = [], []
    for name in ("fig3", "fig4"):
        table = rows(figures / f"{name}.csv")
        for one, sentence in zip(drawn(figures, name), dict.fromkeys(r["sentence"] for r in table)):
            own = [r for r in table if r["sentence"] == sentence]
            wanted = {}
            for row in own:
                wanted.setdefault(int(row["position"]), []).append(float(row["saliency"]))
            words = [
                next(r["word"] for r in own if int(r["position"]) == i) for i in sorted(wanted)
            ]
            assert one["title"] == " ".join(words)
            found = curves(one["drawing"])
            assert len(found) == len(wanted)
            heights.append(np.sort(np.array([c[:, 1] for c in found]).ravel()))
            values.append(np.sort(np.array(list(wanted.values())).ravel()))
            assert len(names(one["drawing"])) == 7
    heights, values = np.concatenate(heights), np.concatenate(values)
    slope, start = np.polyfit(values, heights, 1)
    assert heights == pytest.approx(slope * values + start, abs=1e-3)


def test_a_figure_with_its_own_scale_would_be_noticed(figures, tmp_path):
    """Twin: without Fig. 4, Fig. 3 has another scale."""
    (tmp_path / "fig3.csv").write_bytes((figures / "fig3.csv").read_bytes())
    alone, both = (drawn(place, "fig3")[0]["drawing"] for place in (tmp_path, figures))
    assert np.abs(curves(alone)[0] - curves(both)[0]).max() > 1e-3


def test_figure_5_draws_its_file(figures):
    table = rows(figures / "fig5.csv")
    made = drawn(figures, "fig5")
    titles = list(dict.fromkeys(r["panel"] for r in table))
    assert len(made) == len(titles) == 3
    for one, title in zip(made, titles):
        found = curves(one["drawing"])
        for curve, kind in zip(found, ("correct", "misclassified")):
            own = [float(r["mean"]) for r in table if (r["panel"], r["sentences"]) == (title, kind)]
            assert shape(curve[:, 1]) == pytest.approx(shape(own), abs=5e-3)
    assert made[0]["title"] == "As in the paper: 100 against 100 sentences, seed 3000000"
    assert "200 seeds" in made[1]["title"] and "logit" in made[2]["title"]


def test_figure_6_draws_means_and_levels(figures):
    (means, *_) = drawn(figures, "fig6")
    table = rows(figures / "fig6.csv")
    found = dict(zip(ARM_KINDS, curves(means["drawing"])))
    values, heights = [], []
    for arm, curve in found.items():
        own = [float(r["mean"]) for r in table if r["arm"] == arm]
        values += own
        heights += curve[:, 1].tolist()
        assert f"line k-{ARM_KINDS[arm]}" in means["drawing"]
    slope, start = np.polyfit(values, heights, 1)
    assert heights == pytest.approx(slope * np.array(values) + start, abs=2e-3)
    # The paper's levels lie on the same axis, over epochs 40 to 50.
    levels = [e for e in inner(means["drawing"]).iter("path") if e.get("class").startswith("level")]
    high, wide = (float(inner(means["drawing"]).get(n)) for n in ("height", "width"))
    for path, arm in zip(levels, ("T1andT2", "T1andT2h", "T2h")):
        first, rest = path.get("d")[1:].split(" ")
        at, stop = map(float, rest.split("H"))
        assert 1 - at / high == pytest.approx(slope * PAPER["levels"][arm] + start, abs=2e-3)
        assert (float(first) / wide, stop / wide) == pytest.approx((39 / 49, 1), abs=1e-3)
    assert len(levels) == 3 and {"paper 0.78", "paper 0.76", "paper 0.75"} <= set(
        names(means["drawing"])
    )


def test_another_corpus_has_no_levels_of_the_paper(figures):
    (means, *_) = drawn(figures, "fig6", levels=False)
    assert "level" not in means["drawing"] and set(names(means["drawing"])) == set(ARM_KINDS)


def test_figure_6_draws_three_differences_with_bands_and_zero(figures):
    table = rows(figures / "fig6-differences.csv")
    _, *made = drawn(figures, "fig6")
    assert [one["title"] for one in made] == [f"{a} − {b}" for a, b in forest.PAIRS]
    for one in made:
        own = [r for r in table if r["difference"] == one["title"]]
        inside = inner(one["drawing"])
        (zero,) = [e for e in inside.iter("path") if e.get("class") == "zero"]
        high = float(inside.get("height"))
        middle = 1 - float(zero.get("d").split(" ")[1].split("h")[0]) / high
        (curve,), (band,) = curves(one["drawing"]), curves(one["drawing"], "band")
        values = np.array([float(r["mean"]) for r in own])
        # Above the line at 0 where the mean is above 0.
        clear = np.abs(values) > 1e-4
        assert ((curve[:, 1] > middle) == (values > 0))[clear].all()
        scale = (curve[-1, 1] - middle) / values[-1]
        wanted = [float(r["high"]) for r in own] + [float(r["low"]) for r in own][::-1]
        assert band[:, 1] == pytest.approx(middle + scale * np.array(wanted), abs=0.03)


def test_differences_are_those_of_the_accuracies(figures):
    """Restated from the committed accuracies; the first is the picture of difference.csv."""
    table = {}
    for row in rows(COMMITTED / "accuracy.csv.gz"):
        table.setdefault((row["arm"], int(row["epoch"])), []).append(float(row["accuracy"]))
    found = rows(figures / "fig6-differences.csv")
    for row in found:
        one, other = row["difference"].split(" − ")
        epoch = int(row["epoch"])
        wanted = np.mean(table[one, epoch]) - np.mean(table[other, epoch])
        assert float(row["mean"]) == pytest.approx(wanted, abs=1e-12)
    stored = rows(COMMITTED / "figures" / "difference.csv")
    for name in ("mean", "low", "high"):
        line = [float(r["difference"]) for r in stored if r["line"] == name]
        assert [float(r[name]) for r in found[:50]] == pytest.approx(line, abs=1e-9)


def test_two_seeds_have_no_band(tmp_path):
    values = {s: {a: np.array([[1, 0.7 + s / 10], [2, 0.8]]) for a in ARM_KINDS} for s in (0, 1)}
    forest.differences(values, tmp_path / "fig6-differences")
    save_csv(
        tmp_path / "fig6.csv", FIG_6, [(a, e, 0.7, 0.7, 0.7) for a in ARM_KINDS for e in (1, 2)]
    )
    _, *made = drawn(tmp_path, "fig6")
    assert len(made) == 3 and "band" not in "".join(one["drawing"] for one in made)


def test_what_is_missing_is_said(tmp_path):
    assert drawn(tmp_path, "fig6") == []
    save_csv(tmp_path / "fig5.csv", FIG_5, [])
    (one,) = drawn(tmp_path, "fig5")
    assert not one["drawing"] and "nothing to compare" in one["none"]
    header = ("seed", "sentence", "position", "word", "epoch", "saliency")
    save_csv(tmp_path / "fig3.csv", header, [])
    (one,) = drawn(tmp_path, "fig3")
    assert one["none"] == "T1 has no sentence of this kind."
    assert DIFFERENCES[0] == "difference"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_steps_are_drawings(language):
    words = Words(language)
    made = experiment(words)
    for name, drawing in made.items():
        parsed(drawing[: drawing.index("</svg>") + 6])
        assert words.plain("step.words.unstable") in made["words"], name
    assert all(
        panel["title"] for panel in panels("fig5", COMMITTED / "figures", words, 50, 9, True)[0]
    )
