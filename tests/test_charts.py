"""Drawings inside of the page: each curve lies where its numbers are, and each text can be read."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from replicate.show import charts, report
from replicate.show.charts import KINDS, REACH, Level, Line, interval, most_changing, panel, ticks
from replicate.show.strings import Words
from replicate.verdicts import judge


def parsed(drawing):
    return ElementTree.fromstring(str(drawing))


def numbers(path):
    """(n, 2) points of a path of straight lines."""
    return np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d")), dtype=float)


def inner(drawing):
    """The part in which curves are drawn."""
    (found,) = [e for e in parsed(drawing).iter("svg") if e.get("class") == "inside"]
    return found


def curves(drawing, kind="line"):
    """Curves of a panel in shares of its width and height, the origin at the lower left."""
    found = inner(drawing)
    size = np.array([float(found.get("width")), float(found.get("height"))])
    return [
        np.array([0, 1]) + numbers(e) / size * np.array([1, -1])
        for e in found.iter("path")
        if e.get("class").split()[0] == kind
    ]


def test_a_curve_lies_where_its_numbers_are():
    """Shares of the panel, from the numbers and the range of the axis."""
    x, y = np.arange(1, 11), np.linspace(0.2, 0.9, 10) ** 2
    (found,) = curves(panel([Line(x, y, "red")], "a", (0.0, 1.0), height=300))
    assert found[:, 0] == pytest.approx((x - 1) / 9, abs=1e-3)
    assert found[:, 1] == pytest.approx(y, abs=1e-3)


def test_another_range_moves_the_curve():
    """Twin: what the test above compares does depend on the axis."""
    x, y = [1, 2], [0.2, 0.8]
    one, other = (curves(panel([Line(x, y, "red")], "a", (0, top)))[0] for top in (1, 2))
    assert one[:, 1] == pytest.approx(2 * other[:, 1], abs=2e-3)


def test_a_band_lies_around_its_curve():
    x, y = np.arange(5), np.full(5, 0.5)
    line = Line(x, y, "blue", "", y - 0.2, y + 0.3)
    (band,) = curves(panel([line], "a", (0, 1)), "band")
    assert sorted(set(np.round(band[:, 1], 2))) == [0.3, 0.8]
    assert curves(panel([Line(x, y, "blue")], "a", (0, 1)), "band") == []


def test_marks_stand_at_their_numbers():
    """Ticks of the upright axis, the dashed epoch, the zero line and a level."""
    line = Line([1, 51], [-1, 1], "red")
    level = Level(41, 51, 0.5, "ink", "paper 0.5")
    drawn = panel([line], "a", (-2, 2), 232, upright=21, zero=True, levels=[level])
    found = inner(drawn)
    high = float(found.get("height"))
    by_class = {e.get("class"): e.get("d") for e in found.iter("path")}
    at, size = re.match(r"M([\d.]+) 0v([\d.]+)", by_class["upright"]).groups()
    assert float(at) / float(found.get("width")) == pytest.approx(0.4, abs=1e-3)
    assert float(size) == high
    assert float(re.match(r"M0 ([\d.]+)h", by_class["zero"])[1]) == pytest.approx(high / 2, abs=0.1)
    start, y, stop = map(
        float, re.match(r"M([\d.]+) ([\d.]+)H([\d.]+)", by_class["level k-ink"]).groups()
    )
    assert y / high == pytest.approx(0.375, abs=1e-2)
    assert (start, stop) == pytest.approx((0.8 * stop, float(found.get("width"))), abs=0.2)
    top = float(found.get("y"))
    for text in parsed(drawn).iter("text"):
        if text.get("class") == "y":
            value = float(text.text.replace("−", "-"))
            place = float(text.get("y")) - 3.8 - top
            assert place == pytest.approx(high * (2 - value) / 4, abs=0.1)


def test_names_do_not_cover_one_another_and_fit():
    """Ends at one height, and words that are longer than the room."""
    names = ["a", "bb", "extraordinarily", "日本語の長い単語です", ",", "<b>", "T1andT2ran"]
    lines = [Line([1, 2], [0, 0.5], kind, name) for kind, name in zip(KINDS, names)]
    drawn = panel(lines, "a", (0, 1), right=88)
    texts = [t for t in parsed(drawn).iter("text") if t.get("class").startswith("name")]
    places = sorted(float(t.get("y")) for t in texts)
    assert len(places) == 7 and min(np.diff(places)) >= 12
    assert {"T1andT2ran", "“,”", "<b>", "a"} <= {t.text for t in texts}
    for text in texts:
        wide = sum(charts.LETTER * (2 if ord(c) > 0x2FFF else 1) for c in text.text)
        assert float(text.get("x")) + wide <= charts.WIDTH + 6
    assert 8 < places[0] and places[-1] < 220


def test_more_names_than_fit_stay_inside():
    lines = [Line([1, 2], [0, 0], "red", f"w{i}") for i in range(30)]
    texts = list(parsed(panel(lines, "a", (0, 1), right=60)).iter("text"))
    assert all(0 < float(t.get("y")) <= 220 for t in texts)


@pytest.mark.parametrize("low, high", [(0.731, 0.784), (0, 0.0123), (-3.2, 3.1), (0, 12), (1, 50)])
def test_ticks_are_round_and_inside(low, high):
    marks = ticks(low, high)
    assert 2 < len(marks) < 8 and all(low <= mark <= high for mark in marks)
    steps = np.diff(marks)
    assert steps == pytest.approx(steps[0])
    assert float(f"{steps[0]:.0e}"[0]) in (1, 2, 5)


def test_words_that_change_most_are_named():
    """Restated: sums of distances to the mean, the greatest first."""
    random = np.random.RandomState(0)
    curve = random.rand(20, 12) * np.arange(12)
    distance = [np.abs(column - column.mean()).sum() for column in curve.T]
    assert most_changing(curve, 5) == sorted(range(12), key=lambda i: -distance[i])[:5]


# --- claims as a picture -----------------------------------------------------------------


def marks(drawing):
    """x of the band, of no effect, of the paper's figure, of the interval and of the mean."""
    found = {e.get("class"): e for e in parsed(drawing).iter() if e.get("class")}
    made = {}
    band = found["small"]
    made["band"] = (float(band.get("x")), float(band.get("x")) + float(band.get("width")))
    made["value"] = float(re.match(r"M([\d.]+)", found["value"].get("d"))[1])
    if "paper" in found:
        made["paper"] = float(re.match(r"M([\d.]+)", found["paper"].get("d"))[1])
    if "reach" in found:
        made["reach"] = tuple(
            map(float, re.match(r"M([\d.]+) 10H([\d.]+)", found["reach"].get("d")).groups())
        )
    if "ours" in found:
        made["ours"] = float(found["ours"].get("cx"))
    return made


@pytest.mark.parametrize("shift", [-0.03, -0.004, 0.0, 0.004, 0.03])
@pytest.mark.parametrize("name", ["H", "A1", "F3"])
def test_interval_of_a_claim_is_where_it_is(name, shift):
    """Of a difference, a level and a ratio: marks lie where their numbers are, in smallest effects."""
    table = [
        {"A.T1andT2h": 0.75 + shift + e, "A.T1andT2l": 0.75, "A.T1andT2": 0.78 + shift + e,
         "F3.ratio": np.exp(-30 * shift) + e}
        for e in (-0.001, 0.0, 0.001)
    ]  # fmt: skip
    (verdict,) = [v for v in judge(table) if v.claim.id == name]
    made = marks(report._part_row(verdict.parts[0], Words("en"))["drawing"])
    part = verdict.parts[0].part
    mean, low, high, *_ = np.array(verdict.parts[0].on_scale) / part.smallest

    def place(value):
        return 110 + 104 * np.clip(value, -REACH, REACH) / REACH

    assert made["band"] == pytest.approx((place(-1), place(1)), abs=0.11)
    assert made["value"] == pytest.approx(110)
    assert made["reach"] == pytest.approx((place(low), place(high)), abs=0.11)
    if abs(mean) <= REACH:
        assert made["ours"] == pytest.approx(place(mean), abs=0.11)
    if part.reported is None:
        assert "paper" not in made
    else:
        assert made["paper"] == pytest.approx(place(part.reported / part.smallest), abs=0.11)


def test_what_lies_beyond_ends_in_an_arrow():
    assert "arrow" in interval(REACH + 1, REACH, REACH + 2, None)
    assert "arrow" in interval(-REACH - 1, -9, -8, 1.0)
    assert "arrow" not in interval(REACH - 1, 0, REACH + 2, None)


def test_a_claim_without_a_result_has_neither_dot_nor_line():
    nan = float("nan")
    assert set(marks(interval(nan, nan, nan, 2.0))) == {"band", "value", "paper"}
