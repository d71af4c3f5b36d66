"""A sweep: its grid, its table, and that it goes on from the table alone."""

import shutil

import pytest

from replicate.beyond.sweep import collect_rows, read_grid, run_sweep, sweep_rows
from replicate.config import PRESETS
from replicate.io.errors import InputError

GRID = """
seeds = [1, 0]
preset = "sample"

[base]
epochs = 3
n_filters = 2

[[grid]]
dropout = [0.0, 0.5]
padding = "narrow"

[[one]]
variance = "sample"

[[one]]
padding = "narrow"
dropout = 0.5
"""


@pytest.fixture
def grid(tmp_path):
    place = tmp_path / "grid.toml"
    place.write_text(GRID)
    return place


@pytest.fixture
def data(tmp_path):
    """A corpus of 60 sentences whose first word tells the label."""
    lines = [f"{i % 2}\t{'good' if i % 2 else 'bad'} film number {i % 7}" for i in range(60)]
    place = tmp_path / "corpus.tsv"
    place.write_text("label\ttext\n" + "\n".join(lines) + "\n")
    return [place], "random", "", 5


def test_a_grid_is_its_products_and_its_single_ones_each_once(grid):
    specifications, seeds = read_grid(grid)
    assert seeds == [0, 1]
    assert [s.name for s in specifications] == [
        "padding=narrow",
        "dropout=0.5; padding=narrow",
        "variance=sample",
    ]
    assert specifications[1].config == PRESETS["sample"].replace(
        epochs=3, n_filters=2, dropout=0.5, padding="narrow"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("seeds = 5", "seeds"),
        ("seeds = []", "seeds"),
        ("seeds = [0]\n[base]\nfilters = 3", "filters"),
        ("seeds = [0]\n[[grid]]\ndropout = [2.0]", "dropout"),
        ("seeds = [0]\npreset = 'mine'", "mine"),
        ("seeds = [0]\nreadings = 1", "readings"),
        ("seeds = [", "TOML"),
    ],
)
def test_bad_grids_are_refused(tmp_path, refused, text, named):
    place = tmp_path / "grid.toml"
    place.write_text(text)
    with refused(place, named):
        read_grid(place)


@pytest.mark.slow
def test_a_sweep_goes_on_from_the_table_alone(grid, data, tmp_path):
    specifications, seeds = read_grid(grid)
    whole = tmp_path / "whole"
    assert not run_sweep(whole, specifications, seeds, data, jobs=2).failures
    text = (whole / "sweep.csv").read_text()
    assert len(sweep_rows(whole / "sweep.csv")) == 6
    assert not list((whole / "work").iterdir())

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Only some rows come along, as after a stop.
    shutil.copy(whole / "sweep.json", elsewhere)
    (elsewhere / "sweep.csv").write_text("\n".join(text.splitlines()[:4]) + "\n")
    told = []
    run_sweep(elsewhere, specifications, seeds, data, on_progress=lambda *m: told.append(m))
    assert (elsewhere / "sweep.csv").read_text() == text
    assert len([m for m in told if m[1] == "done"]) == 3


def test_rows_that_others_finished_are_collected(grid, data, tmp_path):
    """Left in DIR/work by another rank, or by a command that was killed then: not done again."""
    specifications, _ = read_grid(grid)
    whole, out = tmp_path / "whole", tmp_path / "out"
    run_sweep(whole, specifications[:2], [0, 1], data)
    text = (whole / "sweep.csv").read_text()
    lines = text.splitlines()
    place = out / "work" / "001-000.csv"
    place.parent.mkdir(parents=True)
    place.write_text(f"{lines[0]}\n{lines[1]}\n")
    place.with_suffix("").mkdir()  # the folder of its run
    shutil.copy(whole / "sweep.json", out)
    rest = out / "sweep.csv"
    rest.write_text(f"{lines[0]}\n{lines[2]}\n")
    done = []
    run_sweep(out, specifications[:2], [0, 1], data, on_progress=lambda *m: done.append(m))
    assert len([m for m in done if m[1] == "done"]) == 2
    assert rest.read_text() == text and not list((out / "work").iterdir())


def test_a_row_of_another_version_is_refused(grid, data, tmp_path):
    specifications, _ = read_grid(grid)
    run_sweep(tmp_path, specifications[:1], [0], data)
    header, row = (tmp_path / "sweep.csv").read_text().splitlines()
    (tmp_path / "work" / "000-001.csv").write_text(
        f"{header},more\n{row.replace(',0,', ',1,', 1)},1\n"
    )
    with pytest.raises(InputError, match="another version"):
        collect_rows(tmp_path)


def test_a_row_of_other_settings_is_refused(grid, data, tmp_path):
    specifications, _ = read_grid(grid)
    out = tmp_path / "out"
    run_sweep(out, specifications[:1], [0], data)
    place = out / "sweep.csv"
    place.write_text(place.read_text().replace(",narrow,", ",wide,"))
    with pytest.raises(InputError, match="other settings"):
        run_sweep(out, specifications[:1], [0], data)


def test_a_table_of_another_version_is_refused(tmp_path):
    place = tmp_path / "sweep.csv"
    place.write_text("specification,seed,colour\n")
    with pytest.raises(InputError, match="another version"):
        sweep_rows(place)
    shutil.rmtree(tmp_path)
    assert sweep_rows(place) == {}
