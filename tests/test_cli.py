"""The commands: exit codes, one clear line for bad input, and nothing half written."""

import json

import pytest

from replicate import claims, cli
from replicate.cli import main
from replicate.run import Run


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


@pytest.mark.parametrize("after", [3, 4])
def test_seeds_are_added_until_all_is_decided(command, corpus, tmp_path, monkeypatch, after):
    """Three seeds, then more; it ends when all is decided, or with the most seeds."""
    monkeypatch.setattr(claims, "LEAST_SEEDS", 3)
    asked = []

    def decided(verdicts):
        asked.append(max(v.seeds for v in verdicts))
        return asked[-1] >= after and after == 3

    monkeypatch.setattr(claims, "decided", decided)
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


def test_a_run_ends_with_the_path_of_its_report(command, corpus, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = command(*small(corpus, out, "--seeds", "0,2"))
    assert code == 0
    assert printed.strip().splitlines()[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    config = json.loads((out / "config.json").read_text())
    assert config["n_filters"] == 2 and config["seeds"] == [0, 2] and config["activation"] == "relu"
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

    monkeypatch.setattr(cli, "_config", interrupted)
    code, _, err = command("run")
    assert code == 130 and "continues" in err


def test_readings_and_doctor_speak(command, monkeypatch):
    code, printed, _ = command("readings")
    assert code == 0 and "n_filters" in printed
    code, printed, _ = command("doctor")
    assert code == 0 and "chainer" in printed and "missing" in printed


def test_seeds_are_a_number_or_a_list():
    assert cli._seeds(None, None, "3") == [0, 1, 2]
    assert cli._seeds(None, None, "7,0") == [0, 7]
    assert cli._seeds(None, None, "4,") == [4]
