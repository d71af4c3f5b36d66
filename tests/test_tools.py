"""The README's numbers come from results/, and the calibration from its stated distance."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from replicate import claims, cli

REPOSITORY = Path(__file__).resolve().parents[1]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


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
    assert readme.memory(place) == " Peak memory of a process by epochs: 5 MB with 3 and 7 MB with 36."
    assert readme.memory(tmp_path / "no.csv") == ""


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
    from replicate.storage import read_csv

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
        from replicate.storage import read_csv

        header = (folder / "statistics.csv").read_text().splitlines()[0].split(",")
        self.rows = {int(r["seed"]): r for r in read_csv(folder / "statistics.csv", header)}
        self.moved = moved

    def finished_seeds(self):
        return list(self.rows)

    def accuracies(self, seed):
        import numpy as np

        from replicate.config import ARMS

        level = {a: float(self.rows[seed][f"A.{a}"]) + self.moved.get((seed, a), 0) for a in ARMS}
        epochs = np.arange(1, 51)
        return {a: np.stack([epochs, np.full(50, level[a])], 1) for a in ARMS}


def test_a_run_is_compared_with_the_committed_one():
    """The same levels repeat; one seed off, or all a little, is told."""
    from replicate.config import ARMS

    regression = tool("regression")
    folder = REPOSITORY / "results" / "paper-googlenews-subset"
    seeds = range(20)
    assert regression.compare(Finished(folder, {}), folder) == ([], 20)
    wrong, _ = regression.compare(Finished(folder, {(3, "T2h"): 0.011}), folder)
    assert len(wrong) == 1 and "seed 3, T2h" in wrong[0]
    moved = {(s, "T1andT2"): 0.004 for s in seeds}
    wrong, _ = regression.compare(Finished(folder, moved), folder)
    assert len(wrong) == 1 and "T1andT2: the mean" in wrong[0]
    wrong, _ = regression.compare(Finished(folder, {(0, a): float("nan") for a in ARMS}), folder)
    assert len(wrong) == 14  # each seed's level, and each mean
