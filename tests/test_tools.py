"""The README's numbers come from results/, and the calibration from its stated distance."""

import importlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from replicate import claims, cli
from replicate.config import ARMS
from replicate.io.files import read_csv, save_csv

REPOSITORY = Path(__file__).resolve().parents[1]


def tool(name):
    """A module of tools/, which pytest has on its path."""
    return importlib.import_module(name)


@pytest.mark.parametrize("page", tool("readme").PAGES)
def test_pages_quote_results_as_they_are(page):
    place = REPOSITORY / page
    assert place.exists()
    text = place.read_text(encoding="utf-8")
    assert tool("readme").filled(text) == text, "run `make readme`"


def test_a_number_typed_by_hand_is_noticed():
    readme = tool("readme")
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    start = text.index("<!-- readings -->")
    forged = text[:start] + text[start:].replace("`50`", "`51`", 1)
    assert forged != text and readme.filled(forged) == text


def test_an_unknown_block_is_an_error():
    with pytest.raises(KeyError):
        tool("readme").filled("<!-- no such -->\n<!-- end no such -->")


def test_memory_is_told_by_epochs(tmp_path, monkeypatch):
    """From each run's own settings and timing, whatever the order they are named in."""
    collect, readme = tool("collect"), tool("readme")

    def folder(place):
        return SimpleNamespace(out=place, config=SimpleNamespace(epochs=int(place.name)), seeds=[0])

    monkeypatch.setattr(collect, "RunFolder", folder)
    for epochs, peak in ((36, 7_000_000), (3, 5_000_000)):
        (tmp_path / str(epochs)).mkdir()
        (tmp_path / str(epochs) / "timing.json").write_text(f'{{"peak_memory_bytes": {peak}}}')
    collect.collect_memory("made", [tmp_path / "36", tmp_path / "3"], tmp_path)
    place = tmp_path / "made" / "memory.csv"
    assert (
        readme.memory(place) == " Peak memory of a process by epochs: 5 MB with 3 and 7 MB with 36."
    )
    assert readme.memory(tmp_path / "no.csv") == ""


def test_agreement_is_told_of_each_dtype_against_its_own_fused_form(tmp_path, monkeypatch):
    readme = tool("readme")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    assert readme.agreement() == "… not measured yet."
    found = {
        "fused": (0.70, 0.71, 0),
        "reference": (0.7075, 0.712, 8),
        "fused, float64": (0.60, 0.61, 5),
        "reference, float64": (0.601, 0.612, 5),
        "fused, weights one unit up": (0.7125, 0.71, 9),
    }
    rows = [(variant, "T1", *numbers) for variant, numbers in found.items()]
    header = ("variant", "arm", "last", "epochs_40_50", "other_half")
    save_csv(tmp_path / "agreement.csv", header, rows)
    text = readme.agreement()
    assert "0.75 points at most (T1) at the last epoch" in text and "8 sentences of T2" in text
    assert "in float64 the two forms are 0.10 points at most (T1) apart" in text
    assert "by 0.20 points at most (T1) in the mean" in text
    assert "9 sentences in another half, accuracies 1.25 points at most (T1) apart" in text
    rows[3] = ("reference, float64", *rows[2][1:])
    save_csv(tmp_path / "agreement.csv", header, rows)
    assert "in float64 the two forms are 0.00 points apart" in readme.agreement()


def out_of_step(page):
    """What the Japanese page lacks: commands, claims, and lines that end inside of a sentence."""
    lacking = [name for name in cli.cli.commands if f"`replicate {name}" not in page]
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")]
    lacking += [c.id for c in (*claims.CLAIMS, claims._S1) if rows.count(f"| {c.id}") != 2]
    prose = page.split("```")[::2]
    for line in "".join(prose).splitlines():
        # Markdown makes a blank of the end of a line: only after a stop does it do no harm.
        if line and line[0] not in "#|<" and not line.endswith(("。", "：")):
            lacking.append(line)
    return lacking


def test_the_japanese_page_is_in_step():
    page = (REPOSITORY / "README.ja.md").read_text(encoding="utf-8")
    assert out_of_step(page) == []
    assert out_of_step(page.replace("replicate questions", "")) == ["questions"]
    assert out_of_step(page.replace("| O3 |", "| O8 |", 1)) == ["O3"]
    assert out_of_step(page + "記録しま\nす。\n") == ["記録しま"]


def test_distance_of_the_paper_itself_is_nil_and_each_part_counts():
    calibrate = tool("calibrate")
    levels = {f"A.{arm}": level for arm, level in calibrate.PAPER["levels"].items()}
    exact = {**levels, "misclassified": 100.0, "O5.fall": -0.015, "O5.steady": 0.01}
    assert calibrate.distance([exact])["distance"] == 0
    for name, value, part, size in [
        ("A.T1andT2", 0.78 + 0.015, "levels", (1 / 6) ** 0.5),
        ("misclassified", 25.0, "misclassified", 0.75),
        ("O5.fall", 0.0, "fall", 1.0),
        ("O5.steady", -0.03, "steady", 1.0),
    ]:
        found = calibrate.distance([{**exact, name: value}])
        assert found[part] == pytest.approx(size) and found["distance"] == pytest.approx(size)


def test_no_claim_of_direction_enters_the_distance():
    calibrate = tool("calibrate")
    levels = {f"A.{arm}": level for arm, level in calibrate.PAPER["levels"].items()}
    row = {**levels, "misclassified": 100.0, "O5.fall": -0.015, "O5.steady": 0.01}
    turned = {**row, "H.mean": -1.0, "O2.mean": -1.0, "O3.early": -1.0, "O1.block1": -1.0}
    assert calibrate.distance([turned]) == calibrate.distance([row])


def test_the_preset_is_the_calibrations_nearest():
    """The first row of the committed table is the preset; nothing chosen by hand."""
    from replicate.config import PRESETS

    place = REPOSITORY / "results" / "calibration" / "calibration.csv"
    names = ("specification", "seeds", "distance", "levels", "misclassified", "fall", "steady")
    rows = read_csv(place, names)
    assert float(rows[0]["distance"]) == min(float(row["distance"]) for row in rows)
    assignments = rows[0]["specification"].split("; ")
    assert len(assignments) >= 2
    assert PRESETS["paper"].with_assignments(assignments) == PRESETS["paper"]


class Finished:
    """Stands for a run whose levels are the committed ones, moved."""

    def __init__(self, folder, moved):
        header = (folder / "statistics.csv").read_text().splitlines()[0].split(",")
        self.rows = {int(r["seed"]): r for r in read_csv(folder / "statistics.csv", header)}
        self.moved = moved

    def finished_seeds(self):
        return list(self.rows)

    def accuracies(self, seed):
        level = {a: float(self.rows[seed][f"A.{a}"]) + self.moved.get((seed, a), 0) for a in ARMS}
        epochs = np.arange(1, 51)
        return {a: np.stack([epochs, np.full(50, level[a])], 1) for a in ARMS}


MEASURED = ("paper-googlenews-subset", "paper-imdb")


@pytest.fixture(params=MEASURED)
def folder(request):
    """Committed results whose spread under rounding is measured."""
    return REPOSITORY / "results" / request.param


def told(folder, moved):
    return tool("regression").compare(Finished(folder, moved), folder)


def test_a_run_repeats_itself(folder):
    assert told(folder, {}) == ([], 20)


def test_a_level_that_rounding_cannot_move_so_far_is_told(folder):
    """One seed off, or all seeds a little, by what the spread says and no less."""
    regression = tool("regression")
    spread = regression.spread(folder)
    for kind, arm in [(arms, arm) for arms in regression.KINDS for arm in arms]:
        of_seed, of_mean = regression.bounds(
            regression.pooled(spread[f"A.{other}"] for other in kind), 20
        )
        assert told(folder, {(3, arm): 0.95 * of_seed})[0] == []
        wrong, _ = told(folder, {(3, arm): 1.05 * of_seed})
        assert wrong[0].startswith(f"seed 3, {arm}:")
        assert told(folder, {(seed, arm): 0.95 * of_mean for seed in range(20)})[0] == []
        wrong, _ = told(folder, {(seed, arm): 1.05 * of_mean for seed in range(20)})
        assert len(wrong) == 1 and wrong[0].startswith(f"{arm}: the mean")


def test_bounds_are_of_the_spread():
    """Once in a thousand over seven means, by Student's t; a few seeds have no mean."""
    regression = tool("regression")
    spread = regression.Spread(deviation=0.002, freedom=10**6, greatest=0.01)
    of_seed, of_mean = regression.bounds(spread, 18)
    assert of_seed == pytest.approx(0.015)
    assert of_mean == pytest.approx(
        0.002 * 3.803 / 3, rel=1e-3
    )  # normal quantile of 1 - 0.0005 / 7
    assert regression.bounds(spread, 9)[1] == np.inf
    other = spread._replace(deviation=0.014, greatest=0.03)
    assert regression.pooled([spread, other]) == pytest.approx((0.01, 10**6, 0.03))


def test_arms_of_a_half_are_of_one_kind():
    """Every arm is of one kind, so every level has its bounds."""
    others, halved = tool("regression").KINDS
    assert sorted(others + halved) == sorted(ARMS)
    assert halved == ("T2h", "T2l", "T1andT2h", "T1andT2l")


def test_no_number_does_not_repeat(folder):
    wrong, _ = told(folder, {(0, arm): float("nan") for arm in ARMS})
    assert len(wrong) == 14  # each seed's level, and each mean


def test_no_common_seed_does_not_repeat(folder):
    other = Finished(folder, {})
    other.finished_seeds = lambda: [77]
    assert tool("regression").compare(other, folder) == (["no seed is of both runs"], 0)


def test_every_set_of_kernels_repeats_the_committed_run(folder):
    """And a set whose seeds are exchanged does not: the bounds tell one split from another."""
    regression = tool("regression")
    table = read_csv(folder / "rounding.csv", regression.ROUNDING)
    sets = {row["kernels"] for row in table}
    assert len(sets) == 4
    for kernels in sets:
        run = Finished(folder, {})
        rows = {int(row["seed"]): row for row in table if row["kernels"] == kernels}
        run.rows = rows
        assert regression.compare(run, folder) == ([], 20)
        run.rows = {seed: rows[(seed + 1) % 20] for seed in rows}
        wrong, _ = regression.compare(run, folder)
        assert len(wrong) > 20


def test_sets_that_round_alike_are_one(tmp_path):
    """And the spread is of differences within a seed, whatever its level."""
    regression = tool("regression")
    levels = [("a", 0, 0.70), ("b", 0, 0.70), ("c", 0, 0.72), ("a", 1, 0.80), ("c", 1, 0.84)]
    rows = [(name, seed, 0, *[level] * len(regression.MEASURED)) for name, seed, level in levels]
    save_csv(tmp_path / "rounding.csv", regression.ROUNDING, rows)
    spread = regression.spread(tmp_path)["A.T1"]
    assert spread.freedom == 2 and spread.greatest == pytest.approx(0.04)
    assert spread.deviation == pytest.approx(((2 * 0.01**2 + 2 * 0.02**2) / 2) ** 0.5)


@pytest.mark.slow
def test_rounding_is_collected_from_runs_that_are_alike(
    recorded_run, tmp_path, monkeypatch, refused
):
    """A row a seed and run; of itself a run moves no sentence; another seed's run is refused."""
    regression, out, run = tool("regression"), tmp_path / "made", recorded_run.out
    out.mkdir()
    regression.collect_rounding("made", [run, run], tmp_path)
    rows = read_csv(out / "rounding.csv", regression.ROUNDING)
    assert [(row["seed"], row["other_half"]) for row in rows] == [(seed, "0") for seed in "001122"]
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    place = moved / "seed-001" / "sentences.csv"
    place.write_text(place.read_text().replace(",h,", ",l,", 1))
    with refused("moved", "other settings or seeds"):
        regression.collect_rounding("made", [run, moved], tmp_path)
    monkeypatch.setattr(regression.RunFolder, "finished_seeds", lambda run: [0, 1, 2])
    regression.collect_rounding("made", [run, moved], tmp_path)
    rows = read_csv(out / "rounding.csv", regression.ROUNDING)
    assert [row["other_half"] for row in rows if row["kernels"] == "moved"] == ["0", "1", "0"]
