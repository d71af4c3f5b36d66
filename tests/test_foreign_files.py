"""Nothing of a user's is touched: a tree of foreign files is the same after every command."""

import os
import shutil
from pathlib import Path

import pytest

from replicate.beyond import own_data
from replicate.cli import main
from replicate.io import files
from replicate.run import Run

#: A user's files: names that the program uses for its own, and hidden temporary ones.
FOREIGN = {
    "notes.txt": "dear diary\n",
    "training/notes.txt": "in a folder that select once removed\n",
    "work/000-000/results.csv": "in a folder that sweep removes when it is its own\n",
    "work/000-000.csv": "specification,seed\n",
    ".draft.odt.part": "",
    ".cache.5.part": "",
    "sub/.movie.mkv.part": "half a movie",
    "sub/.x.npy.77.replicate.part": "looks like ours, and is not in a folder of ours",
    ".lock": "held by another program",
    ".fetch.lock": "of another program",
    "run.log": "of another program\n",
    "config.json": '{"name": "my-app", "version": "1.0.0"}\n',
    "select.json": "{}\n",
    "kim.json": '["specification"]\n',
    "folds.csv": "mine\n",
    "table.csv": "mine\n",
    "studies.csv": "who,when\nI,then\n",
    "effects.csv": "mine\n",
    "verdicts.csv": "mine\n",
    "corpora.png": "mine",
    "corpora.svg": "mine",
    "sweep.json": '{"data": 1}\n',
    "sweep.csv": "a,b\n1,2\n",
    "selected.csv": "mine\n",
    "words.csv": "mine\n",
    "corpus.npz": "not even an archive",
    "vectors.npy": "mine",
    "known.npy": "mine",
    "report.html": "<p>mine</p>\n",
    "claims.csv": "mine\n",
    "figures/fig3.png": "mine",
    "questions/questions.csv": "mine\n",
    "seed-000/T1/model.npz": "mine",
    "rt-polarity.pos": "my own sentences\n",
    "page.html": "<p>mine</p>\n",
}
#: What alone in a folder was once taken for the rest of an interrupted command.
ALONE = ["run.log", ".lock", "corpus.npz", "vectors.npy", "config.json", "sweep.json", "sweep.csv"]
ALONE += ["kim.json", "studies.csv", "effects.csv", "verdicts.csv", "corpora.png", "corpora.svg"]
ALONE += ["select.json", "selected.csv", "notes.txt", "training/notes.txt", "work/000-000.csv"]

OLD = 1_600_000_000_123_456_789


def planted(folder, names=FOREIGN):
    """A tree of foreign files, and a corpus and a pool among them."""
    random = ["good film", "bad film", "the plot is fine", "a dull plot", "fine", "dull"]
    rows = [f"{i % 2}\t{random[i % 6]} number {i % 7}" for i in range(40)]
    texts = {name: FOREIGN[name] for name in names}
    if names is FOREIGN:
        texts["training/labelled.tsv"] = "label\ttext\n" + "\n".join(rows) + "\n"
        texts["pool.txt"] = "a good plot\na bad film\n"
        texts["grid.toml"] = 'seeds = [0]\npreset = "sample"\n[base]\nepochs = 3\nn_filters = 2\n'
    for name, text in texts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for place in folder.rglob("*"):
        os.utime(place, ns=(OLD, OLD))
    return folder


def state(folder):
    """Name -> bytes and time of the last change, of all files and folders."""
    return {
        str(place.relative_to(folder)): (
            place.read_bytes() if place.is_file() else None,
            place.stat().st_mtime_ns,
        )
        for place in folder.rglob("*")
    }


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in a folder; its exit code."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.delenv("REPLICATE_DATA", raising=False)
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        err = capsys.readouterr().err
        assert "Traceback" not in err, err
        return stopped.value.code

    return run


DATA = ("--corpus", "training/labelled.tsv", "--vectors", "random", "--dimensions", "4")
SMALL = ("--epochs", "3", "--set", "n_filters=2", "-q")


def commands(out):
    """Every command that writes, with DIR."""
    return {
        "run": ("run", *DATA, *SMALL, "--jobs", "1", "--out", out),
        "sweep": ("sweep", "grid.toml", *DATA, "-q", "--jobs", "1", "--out", out),
        "select": ("select", *DATA, *SMALL, "--pool", "pool.txt", "--budget", "1", "--out", out),
        "kim": ("kim", "--corpus", "cr", "--vectors", "random", "-q", "--out", out),
        "corpora": ("corpora", "run-1", "run-2", "--out", out),
        "report": ("report", out),
        "questions": ("questions", out, "-q"),
        "verify": ("verify", out),
        "explain": ("explain", out, "a text", "--html", "page.html"),
        "fetch": ("fetch", "--corpus-only", "-q", "--dest", out),
    }


@pytest.mark.parametrize("name", commands(""))
def test_a_folder_of_other_files_is_refused_untouched(name, command, tmp_path):
    """Whatever lies there under names of ours, nothing is changed, added or removed."""
    tree = planted(tmp_path / "tree")
    before = state(tree)
    assert command(tree, *commands(".")[name]) == 2
    assert state(tree) == before


@pytest.mark.parametrize("name", ["run", "sweep", "select", "kim", "corpora"])
@pytest.mark.parametrize("alone", ALONE)
def test_one_foreign_file_is_enough(alone, name, command, tmp_path):
    """Each of them alone, in a folder that has nothing else."""
    tree, out = planted(tmp_path / "tree"), planted(tmp_path / "out", [alone])
    before = state(out)
    assert command(tree, *commands(out)[name]) == 2
    assert state(out) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "sweep", "select"])
def test_a_new_folder_in_the_tree_is_all_that_changes(name, command, tmp_path):
    """A command that does its work, twice, in a folder among the user's."""
    tree = planted(tmp_path / "tree")
    before = state(tree)
    for _ in range(2):
        assert command(tree, *commands("made")[name]) == 0
    assert any((tree / "made").iterdir())
    shutil.rmtree(tree / "made")
    assert state(tree) == before


@pytest.mark.slow
def test_foreign_files_in_a_run_stay(recorded_run, copied, command, tmp_path):
    """report, verify, explain and run on a folder in which somebody put files of his own."""
    run = copied(recorded_run)
    kept = ["notes.txt", "training/notes.txt", ".draft.odt.part", "sub/.movie.mkv.part"]
    kept += [".lock", "select.json", "sub/.x.npy.77.replicate.part"]
    planted(run.out, kept)
    names = {*kept, "training", "sub"}
    before = {n: s for n, s in state(run.out).items() if n in names}
    page = tmp_path / "page.html"
    assert command(tmp_path, "report", run.out) == 0
    assert command(tmp_path, "verify", run.out) == 2
    for _ in range(2):  # its own page is written again
        assert command(tmp_path, "explain", run.out, "a film", "--html", page) == 0
    assert {n: s for n, s in state(run.out).items() if n in names} == before


def test_somebody_elses_page_is_not_written_over(recorded_run, command, tmp_path):
    tree = planted(tmp_path / "tree")
    before = state(tree)
    arguments = ("explain", recorded_run.out, "a film", "--html", "page.html")
    assert command(tree, *arguments) == 2
    assert state(tree) == before


def test_an_interrupted_preparation_is_gone_on_with(tmp_path):
    """What a killed command left is its own: the marker says so; without it, it is not."""
    for name in ("corpus.npz", "vectors.npy", ".config.json.7.replicate.part"):
        (tmp_path / name).touch()
    with pytest.raises(files.InputError, match="no run"):
        Run.check_folder(tmp_path)
    (tmp_path / ".replicate.preparing").touch()
    Run.check_folder(tmp_path)


def test_what_a_killed_selection_left_is_removed(tmp_path):
    """Its folder of training, and no other."""
    for name in (".replicate.training-abc", "training", ".replicate-training"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "snapshot.npz").touch()
    (tmp_path / "select.json").write_text('{"without_known_words": 0}')
    with own_data.locked(tmp_path):
        pass
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"training", ".replicate-training", "select.json", ".replicate.lock"}


@pytest.mark.slow
def test_a_folder_that_is_not_looked_at_would_be_noticed(command, tmp_path, monkeypatch):
    """Twin: without the look, the tree is another afterwards."""
    tree = planted(tmp_path / "tree")
    (tree / "config.json").unlink()
    before = state(tree)
    monkeypatch.setattr("replicate.run.check_own_folder", lambda *arguments: None)
    command(tree, *commands(".")["run"])
    after = state(tree)
    assert {n for n in before if after.get(n) != before[n]} >= {"corpus.npz", "run.log"}
    assert Path(tree / "notes.txt").exists()
