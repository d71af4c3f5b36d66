"""A sweep: its grid, its table, and that it goes on from the table alone."""

import json
import shutil

import pytest
from samples import BAD_JOBS, BAD_SEEDS

from replicate import cli
from replicate.beyond import sweep
from replicate.beyond.sweep import Specification, collect_rows, read_grid, run_sweep, sweep_rows
from replicate.config import PRESETS
from replicate.io.errors import InputError
from replicate.run import Options

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
        ("seeds = [0]\n[[grid]]\nlearning_rate = []\ndropout = [0.5]", "learning_rate"),
        ("seeds = [0]\n[[grid]]\nepochs = [3, 2]", "epochs=2: epochs = 2: eq. (9)"),
        ("seeds = [0]\npreset = 'sample'\n[base]\nepochs = 2", "default: epochs = 2"),
    ],
)
def test_bad_grids_are_refused(tmp_path, refused, text, named):
    place = tmp_path / "grid.toml"
    place.write_text(text)
    with refused(place, named):
        read_grid(place)


def test_epoch_0_counts_among_those_of_eq_9(tmp_path):
    place = tmp_path / "grid.toml"
    place.write_text("seeds = [0]\n[[one]]\nepochs = 2\nrecord_epoch_0 = true")
    assert [s.config.epochs for s in read_grid(place)[0]] == [2]


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


@pytest.mark.slow
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


# --- the data of a sweep ---------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep of one specification and seed: its folder, grid, and corpus."""
    folder = tmp_path_factory.mktemp("sweep")
    lines = [f"{i % 2}\t{'good' if i % 2 else 'bad'} film number {i % 7}" for i in range(60)]
    (folder / "corpus.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n")
    (folder / "grid.toml").write_text(GRID)
    specifications, _ = read_grid(folder / "grid.toml")
    run_sweep(folder / "out", specifications[:1], [0], ([folder / "corpus.tsv"], "random", "", 5))
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """The same sweep with something else: ``again(corpus, dimensions, options, tokens)``."""
    shutil.copytree(finished / "out", tmp_path / "out")

    def run(corpus=finished / "corpus.tsv", dimensions=5, options=None, tokens=None):
        specifications, _ = read_grid(finished / "grid.toml")
        chosen = specifications[:1]
        if tokens:
            chosen = [Specification("whitespace", chosen[0].config.replace(tokens=tokens))]
        data = ([corpus], "random", "", dimensions)
        return run_sweep(tmp_path / "out", chosen, [0], data, options)

    return run


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_rows_of_other_data_are_refused(again, finished, tmp_path, refused):
    """Another corpus, other vectors, another form: one line, and nothing changes."""
    before = files_of(tmp_path / "out")
    other = tmp_path / "other.tsv"
    other.write_text((finished / "corpus.tsv").read_text().replace("good", "fine"))
    with refused(tmp_path / "out", "another corpus", "other.tsv"):
        again(other)
    with refused(tmp_path / "out", "other word vectors"):
        again(dimensions=6)
    with refused(tmp_path / "out", "implementation"):
        again(options=Options(implementation="reference"))
    assert files_of(tmp_path / "out") == before


def test_the_same_data_under_another_name_goes_on(again, finished, tmp_path):
    """The checksum is of what is read."""
    before = files_of(tmp_path / "out")
    assert not again(shutil.copy(finished / "corpus.tsv", tmp_path / "renamed.tsv")).failures
    assert files_of(tmp_path / "out") == before


def test_each_reading_of_tokens_has_its_own_data(again, finished, tmp_path, refused):
    """A vocabulary of its own: it is added, and other data is refused for it too."""
    again(tokens="whitespace")
    settings = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert set(settings["data"]) == {"kim", "whitespace"}
    assert len(sweep_rows(tmp_path / "out" / "sweep.csv")) == 2
    with refused("other word vectors"):
        again(tokens="whitespace", dimensions=6)


def test_rows_without_their_settings_are_refused(again, tmp_path, refused):
    """Nobody knows of which data they are."""
    (tmp_path / "out" / "sweep.json").unlink()
    with refused(tmp_path / "out", "sweep.json", "choose another --out"):
        again()
    (tmp_path / "out" / "sweep.json").write_text("{}")
    with refused("sweep.json", "not of this program"):
        again()


def test_a_sweep_that_goes_on_under_another_version_keeps_both(again, tmp_path, monkeypatch):
    began = sweep.versions()
    monkeypatch.setattr(sweep, "versions", lambda: {**began, "numpy": "9.9"})
    again()
    settings = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert settings["versions"] == began
    assert [state["versions"]["numpy"] for state in settings["continued"]] == ["9.9"]


def test_a_sweep_that_does_not_look_would_be_noticed(again, finished, tmp_path, monkeypatch):
    """Twin: without the comparison the old row answers for another corpus."""
    other = tmp_path / "other.tsv"
    other.write_text((finished / "corpus.tsv").read_text().replace("good", "fine"))
    monkeypatch.setattr(sweep, "same_data", lambda *arguments: None)
    before = (tmp_path / "out" / "sweep.csv").read_bytes()
    assert not again(other).failures
    assert (tmp_path / "out" / "sweep.csv").read_bytes() == before


# --- what happens while it runs --------------------------------------------------------


def changing(place, text):
    """What follows the progress of a sweep, and changes a file after the first row."""
    ends = []

    def follow(name, message):
        if message in ("done", "failed"):
            ends.append((name, message))
            if len(ends) == 1:
                place.write_text(text)

    return ends, follow


@pytest.mark.parametrize("what", ["corpus", "vectors"])
def test_data_that_change_meanwhile_are_refused(what, data, grid, tmp_path, refused):
    """No row of other data beside the first; with the old file it goes on."""
    paths = data[0]
    vectors = tmp_path / "vectors.txt"
    words = ["good", "bad", "film", "number", *map(str, range(7))]
    vectors.write_text("11 2\n" + "".join(f"{w} 0.{i}1 -0.3\n" for i, w in enumerate(words)))
    place = paths[0] if what == "corpus" else vectors
    before = place.read_text()
    ends, follow = changing(place, before.replace("film", "plot"))
    asked = (read_grid(grid)[0][:2], [0, 1], (paths, str(vectors), "", 2))
    out = tmp_path / "out"
    title = {"corpus": "another corpus", "vectors": "other word vectors"}[what]
    with refused(f"{out}: was made with {title}"):
        run_sweep(out, *asked, on_progress=follow)
    assert len(ends) == len(sweep_rows(out / "sweep.csv")) == 1
    place.write_text(before)
    assert not run_sweep(out, *asked).failures
    assert len(sweep_rows(out / "sweep.csv")) == 4


def test_data_that_nobody_compares_would_be_noticed(data, grid, tmp_path, monkeypatch):
    """Twin: without the comparison in the task, its row is of the changed corpus."""
    specification = read_grid(grid)[0][0]
    settings = specification.config.to_dict()
    facts = sweep.prepare_sweep(tmp_path / "out", [specification], data, Options())["data"]
    data[0][0].write_text(data[0][0].read_text().replace("good", "fine"))
    place = tmp_path / "out" / "work" / "000-000"
    arguments = (str(place), "x", 0, settings, data, vars(Options()), facts["kim"], lambda m: None)
    with pytest.raises(InputError, match="another corpus"):
        sweep.run_specification(*arguments)
    assert not place.exists() and not place.with_suffix(".csv").exists()
    monkeypatch.setattr(sweep, "same_data", lambda *arguments: None)
    sweep.run_specification(*arguments)
    assert place.with_suffix(".csv").exists()


DIVERGING = """
seeds = [0]
preset = "sample"
[base]
epochs = 3
n_filters = 2
[[grid]]
learning_rate = [100.0, 0.01]
"""


def test_a_specification_that_diverges_is_a_failure_of_its_own(data, tmp_path):
    """The others go on; the reason names no folder; the same command tries it again."""
    place = tmp_path / "grid.toml"
    place.write_text(DIVERGING)
    specifications, seeds = read_grid(place)
    names = [s.name for s in specifications]
    for _ in range(2):
        outcome = run_sweep(tmp_path / "out", specifications, seeds, data)
        assert list(outcome.failures) == [(names[0], 0)]
        (reason,) = outcome.failures.values()
        assert reason.startswith("T1: training diverged") and "; lower learning_rate" in reason
        assert list(sweep_rows(tmp_path / "out" / "sweep.csv")) == [(names[1], 0)]


@pytest.mark.slow
@pytest.mark.parametrize("rates", ["100.0, 0.01", "100.0"])
def test_the_command_names_what_failed(rates, data, tmp_path, capsys):
    """One line, exit code 3, and tables of the rest, if there is any."""
    place = tmp_path / "grid.toml"
    place.write_text(DIVERGING.replace("100.0, 0.01", rates))
    arguments = ["sweep", place, "--corpus", data[0][0], "--vectors", "random", "--dimensions", "5"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments), "-q", "--jobs", "1", "--out", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 3
    assert "learning_rate=100" in line and "seed 0: T1: training diverged" in line
    assert len(sweep_rows(tmp_path / "out" / "sweep.csv")) == rates.count(",")


def test_a_full_disk_is_no_failure_of_one_specification(data, grid, tmp_path, monkeypatch, refused):
    """It would be that of all: the sweep stops."""
    specification = read_grid(grid)[0][0]
    facts = sweep.prepare_sweep(tmp_path / "out", [specification], data, Options())["data"]

    def full(*arguments):
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise InputError("x: cannot be written (No space left on device); free it") from error

    monkeypatch.setattr(sweep, "run_seed", full)
    with refused("No space left"):
        sweep.run_specification(
            str(tmp_path / "out" / "work" / "000-000"), "x", 0, specification.config.to_dict(),
            data, vars(Options()), facts["kim"], lambda message: None,
        )  # fmt: skip


def test_the_command_passes_all_that_rows_depend_on(finished, tmp_path, monkeypatch):
    """--dimensions, --device and --implementation."""
    seen = []
    monkeypatch.setattr(sweep, "prepare_sweep", lambda *a: seen.append(a) or 1 / 0)
    arguments = ["sweep", finished / "grid.toml", "--corpus", finished / "corpus.tsv"]
    arguments += ["--vectors", "random", "--dimensions", "7", "--implementation", "reference"]
    with pytest.raises(SystemExit):
        cli.main([*map(str, arguments), "--out", str(tmp_path / "new")])
    ((_, specifications, data, options, _),) = seen
    assert len(specifications) == 3 and data[1:] == ("random", "", 7)
    assert options == Options("@cpu", "reference")


@pytest.mark.parametrize(
    "options",
    [{"seeds": seeds} for seeds in BAD_SEEDS] + [{"jobs": jobs} for jobs in BAD_JOBS],
    ids=str,
)
def test_bad_seeds_and_jobs_write_nothing(options, data, grid, tmp_path, refused):
    asked = {"specifications": read_grid(grid)[0], "seeds": [0], "data": data, **options}
    with refused(f"{next(iter(options))} = "):
        run_sweep(tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()
