"""The commands: exit codes, one clear line for bad input, and nothing half written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from replicate import verdicts
from replicate.cli import main
from replicate.commands import experiment
from replicate.commands.options import cores, read_seeds
from replicate.config import Config
from replicate.environment import versions
from replicate.io.data import SAMPLE_FILE, SAMPLE_VECTORS
from replicate.io.published import PUBLISHED
from replicate.run import Run

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command; its exit code, standard output and standard error."""
    monkeypatch.delenv("REPLICATE_DATA", raising=False)

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def corpus(tmp_path):
    lines = [f"{i % 2}\t{'good' if i % 2 else 'bad'} film number {i % 7}" for i in range(60)]
    place = tmp_path / "corpus.tsv"
    place.write_text("label\ttext\n" + "\n".join(lines) + "\n")
    return place


def small(corpus, out, *more):
    return (
        "run", "--corpus", corpus, "--vectors", "random", "--dimensions", 5, "--epochs", 3,
        "--set", "n_filters=2", "--out", out, "--jobs", 2, *more,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 4])
def test_seeds_are_added_until_all_is_decided(command, corpus, tmp_path, monkeypatch, after):
    """Three seeds, then more; it ends when all is decided, or with the most seeds."""
    monkeypatch.setattr(verdicts, "LEAST_SEEDS", 3)
    asked = []

    def decided(verdicts):
        asked.append(max(v.seeds for v in verdicts))
        return asked[-1] >= after and after == 3

    monkeypatch.setattr(verdicts, "decided", decided)
    out = tmp_path / "out"
    options = ("--seeds", "1", "--until", "decided", "--max-seeds", "4")
    code, printed, err = command(*small(corpus, out, *options))
    assert code == 0, err
    assert asked == [3] if after == 3 else asked == [3, 4]
    assert Run(out).finished_seeds() == list(range(after))
    assert ("not decided after 4 seeds" in printed) == (after == 4)
    assert ("decided after 3 seeds" in printed) == (after == 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--seeds", "0,2"), "full range"), (("--max-seeds", "20"), "a verdict needs 50")],
)
def test_looking_needs_a_full_range_and_enough_seeds(command, corpus, tmp_path, options, words):
    code, _, err = command(*small(corpus, tmp_path / "out", "--until", "decided", *options))
    assert code == 2 and words in err and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_ends_with_the_path_of_its_report(command, corpus, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = command(*small(corpus, out, "--seeds", "0,2"))
    assert code == 0
    assert printed.strip().splitlines()[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    config = json.loads((out / "config.json").read_text())
    assert config["n_filters"] == 2 and config["seeds"] == [0, 2] and config["activation"] == "relu"
    timing = json.loads((out / "timing.json").read_text())
    assert timing["peak_memory_bytes"] > 0 and timing["seconds"] > 0
    if sys.platform == "linux":
        assert timing["peak_together_bytes"] > timing["peak_memory_bytes"] / 2
    code, printed, err = command("verify", out)
    assert code == 2 and "undecided: 2 finished seeds" in printed, printed
    assert "not a full range" in printed
    # Other settings on the same folder are refused, and nothing changes.
    before = (out / "config.json").read_bytes()
    code, _, err = command(*small(corpus, out, "--set", "dropout=0.5"))
    assert code == 2 and "dropout" in err
    assert (out / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--corpus", "nowhere.tsv", "--vectors", "random"], "nowhere.tsv"),
        (["run", "--preset", "huge"], "huge"),
        (["run", "--set", "n_filter=3"], "n_filters"),
        (["run", "--set", "n_filters"], "name=value"),
        (["run", "--set", "dropout=2"], "dropout"),
        (["run", "--seeds", "many"], "seeds"),
        (["run", "--seeds", "0"], "seeds"),
        (["run", "--device", "@tpu"], "@tpu"),
        (["run", "--device", "@cupy:0"], "@cupy:0"),
        (["run", "--preset", "paper"], "replicate fetch"),
        (["run", "--vectors", "nothing.bin"], "nothing.bin"),
        (["run", "--epochs", "1"], "epochs"),
        (["verify", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["explain", "nowhere", "a text"], "nowhere"),
        (["sweep", "nowhere.toml", "--out", "out"], "nowhere.toml"),
        (["dance"], "dance"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(command, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    if named == "@cupy:0" and _gpu():
        pytest.skip("a GPU is there")
    code, printed, err = command(*arguments)
    assert code == 2
    assert named in err and "Traceback" not in err
    told = [line for line in err.splitlines() if line.lower().startswith("error")]
    assert len(told) == 1
    assert not list(tmp_path.rglob("*.npy")) and not list(tmp_path.rglob("*.part"))


def _gpu():
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:
        return False


def test_a_file_in_the_place_of_the_folder_is_refused(command, corpus, tmp_path):
    out = tmp_path / "out"
    out.write_text("not a folder")
    code, _, err = command(*small(corpus, out))
    assert code == 2 and str(out) in err
    assert out.read_text() == "not a folder"


def test_a_folder_of_other_files_is_refused(command, corpus, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("dear")
    code, _, err = command(*small(corpus, out))
    assert code == 2 and "empty" in err
    assert not (out / "corpus.npz").exists()


def test_an_interrupt_is_exit_code_130(command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "config_of", interrupted)
    code, _, err = command("run")
    assert code == 130 and "continues" in err


def started(*arguments, **environment):
    """A command in a process of its own: exit code, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "replicate", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["click", "numba", "rich"])
def test_an_interrupt_while_modules_are_loaded_is_one_line(name, tmp_path):
    """The first half second: somebody's Ctrl-C at the import of one of them."""
    (tmp_path / f"{name}.py").write_text(
        # A shell's job in the background has it ignored.
        "import os, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    found = started("doctor", PYTHONPATH=path)
    assert found == (130, "", "interrupted; the same command again continues\n")


@pytest.mark.slow
def test_a_backend_that_does_not_exist_does_not_matter(recorded_run, copied):
    """Figures have no window; twin: Matplotlib refuses the name."""
    run = copied(recorded_run)
    code, printed, err = started("report", run.out, MPLBACKEND="foo")
    assert (code, err) == (0, "") and printed == f"report: {run.report_file}\n"
    done = subprocess.run(
        [sys.executable, "-c", "import matplotlib"],
        env={**os.environ, "MPLBACKEND": "foo"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "foo" in done.stderr


def test_loops_that_are_not_compiled_are_refused_at_once(recorded_run, command, monkeypatch):
    """The kernels have no other form; help needs none of them."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    for arguments in (("explain", recorded_run.out, "a film"), ("run",)):
        code, _, err = command(*arguments)
        assert code == 2 and err == (
            "error: NUMBA_DISABLE_JIT: is set, and the loops are there only as compiled code; "
            "unset it\n"
        )
    assert command("--help")[0] == 0
    for value in ("0", ""):
        monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
        assert command("verify", "nowhere")[2].startswith("error: nowhere")


def test_control_characters_of_a_name_are_shown(command, tmp_path):
    """An error's line changes no terminal."""
    code, _, err = command("verify", tmp_path / "a\x1b[31mb\x07")
    assert code == 2 and "a\\x1b[31mb\\x07" in err
    assert err.strip().isprintable()


def test_readings_lists_every_setting(command, monkeypatch):
    """Name, default and alternatives, in one line each where the terminal is wide."""
    monkeypatch.setenv("COLUMNS", "250")
    code, printed, _ = command("readings")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    assert code == 0 and [tuple(row) for row in rows if row] == Config.readings()


def test_doctor_says_what_is_there_and_what_is_not(command, monkeypatch, tmp_path):
    """Versions, the machine, and the data of the folder that is named."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)

    def rows():
        code, printed, _ = command("doctor")
        assert code == 0
        lines = [line.split("│")[1:-1] for line in printed.splitlines()]
        return {row[0].strip(): row[1].strip() for row in lines if row}

    found = rows()
    assert {**found, **versions()} == found and found["chainer"] == "7.8.1"
    assert found["cores"] == str(cores()) and found["processor"]
    assert found["corpus"].startswith("missing: run `replicate fetch`")
    assert found["word vectors"].startswith("missing: ")
    assert found["package replicate"] == "this distribution's only"
    for name in ("rt-polarity.pos", "rt-polarity.neg"):
        (tmp_path / name).touch()
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    found = rows()
    assert found["corpus"] == str(tmp_path / "rt-polarity.pos")
    assert found["word vectors"].startswith("missing: ")


def test_seeds_are_a_number_a_list_or_a_range():
    assert read_seeds(None, None, "100-102") == [100, 101, 102]
    assert read_seeds(None, None, "5-6,0,6-7") == [0, 5, 6, 7]
    for odd in ("7-5", "1-2-3", "-3", "0-2000000", "2147483648-2147483649", "a-b"):
        with pytest.raises(click.BadParameter, match="a range 100-119"):
            read_seeds(None, None, odd)
    # Somebody who means one seed, and would wait for years.
    with pytest.raises(click.BadParameter, match="for this one seed write 3000000-3000000"):
        read_seeds(None, None, "3000000")
    assert (
        len(read_seeds(None, None, "100000")) == len(read_seeds(None, None, "1-100000")) == 100_000
    )
    assert read_seeds(None, None, "3") == [0, 1, 2]
    assert read_seeds(None, None, "7,0") == [0, 7]
    assert read_seeds(None, None, "4,") == [4]


# --- a run that was interrupted ---------------------------------------------------------


@pytest.fixture
def interrupted(recorded_run, copied):
    """Three seeds of which two are whole; no table of accuracies was gathered yet."""
    run = copied(recorded_run)
    (run.folder(1, "T2h") / "stage.json").unlink()
    for seed in run.seeds:
        (run.seed_folder(seed) / "accuracy.csv").unlink()
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["verify", "report"])
def test_an_interrupted_run_is_judged_on_its_whole_seeds(name, interrupted, command):
    """It says how many, and how to go on; its numbers are those of the whole seeds."""
    code, printed, err = command(name, interrupted.out)
    assert code == (2 if name == "verify" else 0), err
    line = "2 of 3 seeds; continue with: replicate run --preset sample --seeds 3"
    assert err.startswith(line) and len(err.splitlines()) == 1
    assert err.strip().endswith(f"--record-arms --out {interrupted.out}")
    if name == "report":
        rows = {row["id"]: row for row in interrupted.verdicts}
        assert rows["H"]["seeds"] == 2 and (interrupted.out / "report.html").is_file()
    else:
        assert "undecided: 2 finished seeds" in printed


@pytest.mark.parametrize(
    "corpus, vectors, named",
    [
        ({"a.tsv": "0"}, "random", " (with your paths of a.tsv)"),
        ({"b.pos": "0", "b.neg": "1"}, "v.bin", " (with your paths of b.pos, b.neg, v.bin)"),
        ({"\x1b[31m.tsv": "0"}, "random", " (with your paths of \\x1b[31m.tsv)"),
        ({f.name: f.sha256 for f in PUBLISHED["mr"].files}, "v.bin", " (with your paths of v.bin)"),
        ({f.name: f.sha256 for f in PUBLISHED["mr"].files}, "random", ""),
        ({SAMPLE_FILE: "0"}, SAMPLE_VECTORS, ""),
    ],
)
def test_the_folders_of_its_files_must_be_given(corpus, vectors, named, interrupted, command):
    """A run stores the names of its files only; a published corpus is found by its name."""
    settings = json.loads((interrupted.out / "config.json").read_text())
    settings["corpus"]["sha256"], settings["vectors"]["name"] = corpus, vectors
    (interrupted.out / "config.json").write_text(json.dumps(settings))
    err = command("verify", interrupted.out)[2]
    assert err.startswith(f"2 of 3 seeds; continue with{named}: replicate run --preset ")
    assert len(err.splitlines()) == 1


def test_a_whole_run_says_nothing_of_it(recorded_run, command):
    """Twin.  Its epochs, which are not the paper's, are told in the table, as in the report."""
    _, printed, err = command("verify", recorded_run.out)
    assert err == ""
    told = f"this run has {recorded_run.config.epochs}, so these ranges of epochs are scaled"
    assert told in " ".join(printed.split())


@pytest.mark.slow
def test_report_in_japanese(recorded_run, copied, command):
    """`--lang ja` writes a page more, which later reports write again; else there is none."""
    run = copied(recorded_run)
    page = run.report_in("ja")
    assert page == run.out / "report.ja.html"
    assert command("report", run.out)[0] == 0 and not page.exists()
    code, printed, _ = command("report", run.out, "--lang", "ja")
    assert code == 0 and printed.strip().endswith(f"report: {page}")
    assert '<html lang="ja">' in page.read_text(encoding="utf-8")
    assert '<html lang="en">' in run.report_file.read_text(encoding="utf-8")
    page.write_text("old", encoding="utf-8")
    assert command("report", run.out)[1].strip().endswith(f"report: {run.report_file}")
    assert "old" != page.read_text(encoding="utf-8")
    assert command("report", run.out, "--lang", "fr")[0] == 2


def test_no_whole_seed_is_said_too(interrupted, command):
    for seed in interrupted.seeds:
        (interrupted.folder(seed, "T1") / "model.npz").unlink()
    code, printed, err = command("verify", interrupted.out)
    assert code == 2 and err.startswith("0 of 3 seeds; continue with: ")
    assert command("report", interrupted.out)[0] == 0


def test_accuracies_are_the_same_before_they_are_gathered(recorded_run, interrupted):
    for arm, curve in recorded_run.accuracies(0).items():
        assert interrupted.accuracies(0)[arm].tolist() == curve.tolist()
