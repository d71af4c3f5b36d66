"""Exit codes mean one thing, whatever the output can take: 0, 1, 2, 3 or 130, and one true line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from replicate import environment, verdicts
from replicate.cli import main
from replicate.commands import options
from replicate.commands.progress import cost
from replicate.config import Config
from replicate.corpus import sample_path
from replicate.io.errors import InputError
from replicate.io.files import load_json
from replicate.parallel.pool import Outcome

REPOSITORY = Path(__file__).resolve().parents[1]


def spawn(*arguments, before="pass", cwd=None, **keywords):
    """A command in a process of its own, after some code."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **keywords.pop("env", {})}
    code = f"import sys\nfrom replicate import cli\n{before}\ncli.main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(os.fspath, arguments)],
        env=environment, cwd=cwd, timeout=120, check=False, **{"capture_output": True, **keywords},
    )  # fmt: skip


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command in this process: exit code and standard error."""
    monkeypatch.delenv("REPLICATE_DATA", raising=False)

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([os.fspath(a) for a in arguments])
        return stopped.value.code, capsys.readouterr().err

    return run


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


# --- what happened, and its code -----------------------------------------------------


@pytest.mark.parametrize(
    "error, code, words",
    [
        (InputError("a.tsv: empty; give texts"), 2, "error: a.tsv: empty"),
        (click.UsageError("no such option"), 2, "Error: no such option"),
        (PermissionError(13, "Permission denied", "x"), 2, "x: the system refused (Permission"),
        (MemoryError(), 2, "the system refused (not enough memory)"),
        (KeyError("x"), 3, "error: a fault of the program (test_exit_codes.py, line"),
        (EOFError(), 3, "error: a fault of the program (test_exit_codes.py, line"),
        (AssertionError("two\nlines"), 3, "AssertionError: two lines"),
        (RecursionError("deep"), 3, "RecursionError: deep"),
        (KeyboardInterrupt(), 130, "interrupted; the same command again continues"),
        (click.Abort(), 130, "interrupted; the same command again continues"),
    ],
)
def test_an_error_has_its_code_and_one_line(error, code, words, command, monkeypatch):
    """1 is for a claim that failed, 130 for somebody's interrupt, and for nothing else."""
    monkeypatch.setattr("replicate.commands.experiment.config_of", raising(error))
    found, told = command("run")
    lines = [line for line in told.splitlines() if line and not line.startswith(("Usage", "Try"))]
    assert found == code and len(lines) == 1 and words in lines[0], told


def test_a_claim_that_failed_is_1(recorded_run, command, monkeypatch):
    monkeypatch.setattr(verdicts, "verify", lambda *a: (1, ["S1: another size"]))
    assert command("verify", recorded_run.out)[0] == 1


def test_the_traceback_of_a_fault_is_in_the_log(command, tmp_path, monkeypatch):
    """Of a fault and of the system's refusal; bad input needs none."""
    for i, (error, logged) in enumerate(
        [(KeyError("odd"), True), (OSError(28, "full"), True), (InputError("bad; mend"), False)]
    ):
        monkeypatch.setattr("replicate.experiment.prepare", raising(error))
        code, told = command("run", "--out", tmp_path / str(i))
        log = (tmp_path / str(i) / "run.log").read_text()
        assert ("Traceback" in log) == logged and "Traceback" not in told
        assert code == (3 if i == 0 else 2)


@pytest.mark.parametrize("name", ["run", "sweep", "select", "questions", "trust"])
def test_every_command_that_works_logs_its_faults(name, command, recorded_run, copied, monkeypatch, tmp_path):  # fmt: skip
    """Whichever stage it is in."""
    run = copied(recorded_run)
    (tmp_path / "grid.toml").write_text('seeds = [0]\npreset = "sample"\n')
    corpus = tmp_path / "c.tsv"
    corpus.write_text("label\ttext\n" + "".join(f"{i % 2}\tfilm {i}\n" for i in range(20)))
    data = ("--corpus", corpus, "--vectors", "random", "--dimensions", "4")
    out = tmp_path / "out"
    arguments = {
        "run": ("run", *data, "--out", out),
        "sweep": ("sweep", tmp_path / "grid.toml", *data, "--out", out),
        "select": ("select", *data, "--pool", corpus, "--out", out),
        "questions": ("questions", run.out),
        "trust": ("trust", run.out),
    }[name]
    place = {
        "run": "replicate.parallel.schedule.run_all",
        "sweep": "replicate.beyond.sweep.run_sweep",
        "select": "replicate.beyond.own_data.train",
        "questions": "replicate.beyond.rivals.run_rivals",
        "trust": "replicate.beyond.trust.run_trust",
    }[name]
    monkeypatch.setattr(place, raising(ZeroDivisionError("odd")))
    code, told = command(*arguments)
    # What was read is reported before, or how many models will be trained.
    *before, last = told.splitlines()
    assert code == 3 and "ZeroDivisionError" in last and "ZeroDivisionError" not in "".join(before)
    further = name in ("questions", "trust")
    if further:
        assert len(before) == 1 and "models for each of 3 seeds" in before[0]
    log = (run.out if further else out) / "run.log"
    assert "ZeroDivisionError" in log.read_text()


@pytest.mark.parametrize("name", ["run", "sweep", "questions", "trust"])
def test_a_task_that_failed_is_3(name, command, recorded_run, copied, monkeypatch, tmp_path):
    """One line for each, and what is done stays; without failures it is 0."""
    run = copied(recorded_run)
    (tmp_path / "grid.toml").write_text('seeds = [0]\npreset = "sample"\n')
    arguments = {
        "run": ("run", "-q", "--out", tmp_path / "out"),
        "sweep": ("sweep", tmp_path / "grid.toml", "--corpus", sample_path()[0], "--vectors",
                  "random", "-q", "--out", tmp_path / "out"),
        "questions": ("questions", run.out, "-q"),
        "trust": ("trust", run.out, "-q"),
    }[name]  # fmt: skip
    place, failed = {
        "run": ("parallel.schedule.run_all", (0, "T2h")),
        "sweep": ("beyond.sweep.run_sweep", ("default", 0)),
        "questions": ("beyond.rivals.run_rivals", 1),
        "trust": ("beyond.trust.run_trust", 1),
    }[name]
    monkeypatch.setattr("replicate.experiment.conclude", lambda run: [])
    monkeypatch.setattr("replicate.beyond.questions.write_answers", lambda *_: [])
    monkeypatch.setattr("replicate.beyond.trust.write_trust", lambda *_: [])
    for failures, code in ({failed: "its process was ended (signal 9)"}, 3), ({}, 0):
        monkeypatch.setattr(f"replicate.{place}", lambda *_, f=failures, **__: Outcome(f))
        found, told = command(*arguments)
        assert found == code and ("its process was ended" in told) == bool(failures), told
    if name in ("run", "sweep"):
        taken = load_json(tmp_path / "out" / "timing.json")
        assert taken["seconds"] > 0 and taken["jobs"] == options.cores()


@pytest.mark.parametrize(
    "content",
    ["[1]", "3", "null", "{}", '{"seconds": null}', '{"seconds": 1}', '{"seconds": 1, "starts": 3}',
     '{"seconds": true, "peak_memory_bytes": 1, "jobs": 1, "machine": "x"}',
     f'{{"seconds": 1{400 * "0"}, "peak_memory_bytes": 1, "jobs": 1, "machine": "x"}}',
     '{"seconds": 1, "peak_memory_bytes": "1", "jobs": 1, "machine": "x"}',
     '{"seconds": 1, "peak_memory_bytes": 1, "jobs": 1, "machine": "x", "starts": [3]}', "{", "\0"],
)  # fmt: skip
def test_a_timing_that_is_none_counts_as_damaged(content, recorded_run, copied):
    """The next start begins anew, and the report shows nothing of it."""
    run = copied(recorded_run)
    run.timing_file().write_text(content)
    assert run.timing is None
    taken = cost(run.timing_file(), 2.5, Outcome(peak_memory=7), 1, models=3)
    assert (taken["seconds"], taken["peak_memory_bytes"]) == (2.5, 7)
    assert taken["starts"] == [{"models": 3, "seconds": 2.5}]


def test_a_timing_of_ours_is_added_to(recorded_run, copied, command):
    """Also that of version 1.0.0, without the memory of all together, which a report can do without."""
    run = copied(recorded_run)
    before = {"seconds": 60.0, "peak_memory_bytes": 9_000_000, "jobs": 2, "machine": "of before"}
    run.timing_file().write_text(json.dumps(before))
    assert cost(run.timing_file(), 2.5, Outcome(peak_memory=7), 1)["seconds"] == 62.5
    for text, shown in (json.dumps(before), True), ("[1]", False):
        run.timing_file().write_text(text)
        assert command("report", run.out)[0] == 0
        assert ("of before" in run.report_file.read_text(encoding="utf-8")) == shown


# --- what standard output can take ----------------------------------------------------


ENCODINGS = ["ascii", "latin-1", "euc_jp", "cp932", "utf-8"]

#: The command in one process, which takes seconds to start, for each encoding; its code.
EACH = f"""
for encoding in {ENCODINGS}:
    sys.stdout = sys.__stdout__
    sys.stdout.reconfigure(encoding=encoding, errors="strict")
    try:
        cli.main()
    except SystemExit as ended:
        sys.stdout.write(f"exit code {{ended.code}};")
        sys.stdout.flush()
sys.exit()
"""


@pytest.mark.slow
def test_any_encoding_of_standard_output(recorded_run):
    """A character that it lacks is a question mark, and the code is the command's own."""
    done = spawn("verify", recorded_run.out, before=EACH)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    *outputs, rest = done.stdout.split(b"exit code 2;")
    assert len(outputs) == len(ENCODINGS) and not rest
    assert all(b"undecided" in output for output in outputs) and b"?" in outputs[0]


@pytest.mark.slow
def test_an_encoding_that_ends_a_command_would_be_noticed(recorded_run):
    """Twin: without our streams, Python's own fail at the first dash."""
    done = spawn(
        "verify", recorded_run.out, before="cli._take_streams = lambda: None",
        env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 3 and b"UnicodeEncodeError" in done.stderr


def closed_pipe():
    """The end to write to of a pipe that nobody reads."""
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


@pytest.mark.slow
@pytest.mark.parametrize("arguments, code", [(("verify",), 2), (("readings",), 0), (("dance",), 2)])
def test_a_pipe_whose_reader_has_gone(arguments, code, recorded_run):
    """``replicate verify DIR | true`` has verify's code."""
    where = (recorded_run.out,) if arguments == ("verify",) else ()
    for streams in ("stdout", "both"):
        pipe = closed_pipe()
        stderr = pipe if streams == "both" else subprocess.PIPE
        done = spawn(*arguments, *where, capture_output=False, stdout=pipe, stderr=stderr)
        os.close(pipe)
        assert done.returncode == code
        assert b"Broken" not in (done.stderr or b"")


@pytest.mark.slow
def test_an_output_that_is_full_or_closed(recorded_run):
    """One line and 2 where nothing can be written; without any output, the command's code."""
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            done = spawn("readings", capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m replicate verify "$1" >&-', "sh", recorded_run.out],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, b"")


# --- names, homes, caches -----------------------------------------------------------------


#: ``explain`` as a table for programs, and then as it was asked for.
TWICE = """
try:
    cli.main([*sys.argv[1:4], "--json"])
except SystemExit as ended:
    assert not ended.code
"""


@pytest.mark.slow
def test_names_that_are_not_utf_8(tmp_path):
    """A run, a selection and a page: of files, folders and texts with such a byte."""
    name = os.fsdecode(b"caf\xe9")
    corpus = tmp_path / f"{name}.tsv"
    corpus.write_text("label\ttext\n" + "".join(f"{i % 2}\tfilm {i % 5}\n" for i in range(40)))
    data = ("--corpus", corpus, "--vectors", "random", "--dimensions", "4", "--epochs", "3")
    done = spawn("run", *data, "--jobs", "1", "--out", tmp_path / name)
    assert done.returncode == 0 and b"caf\\udce9.tsv: 40 texts" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 3  # what was read, and nothing else
    page = tmp_path / f"{name}.html"
    explain = ("explain", tmp_path / name, f"{name} film")
    done = spawn(*explain, "--html", page, before=TWICE)
    assert done.returncode == 0 and "film" in page.read_text(encoding="utf-8"), done.stderr
    assert b'"saliency"' in done.stdout
    done = spawn("select", *data, "--pool", corpus, "--out", tmp_path / f"{name}2")
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert (tmp_path / f"{name}2" / "select.json").is_file()


#: Python imports this first: a user whom the system does not know, and no folder that can be
#: written to but one.  Numba looks whether it can write by the same function.
NOBODY = """
import os, pwd, tempfile

def unknown(uid):
    raise KeyError(uid)

def temporary(*arguments, dir=None, real=tempfile.TemporaryFile, **keywords):
    if dir is not None and not str(dir).startswith(os.environ["WRITABLE"]):
        raise PermissionError(13, "Permission denied", str(dir))
    return real(*arguments, dir=dir, **keywords)

pwd.getpwuid = unknown
tempfile.TemporaryFile = temporary
"""


@pytest.mark.slow
def test_no_home_and_no_cache(tmp_path):
    """A run all the same, and nothing is left of the temporary folder that stood in."""
    site, writable = tmp_path / "site", tmp_path / "writable"
    site.mkdir()
    writable.mkdir()
    (site / "sitecustomize.py").write_text(NOBODY)
    kept = {n: v for n, v in os.environ.items() if n not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")}  # fmt: skip
    environment = {
        **kept, "TMPDIR": str(writable), "WRITABLE": str(writable),
        "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}",
    }  # fmt: skip
    command = ["run", "--epochs", "3", "--jobs", "1", "-q", "--out", str(tmp_path / "run")]

    def run(code):
        return subprocess.run(
            [sys.executable, "-c", code, *command], env=environment, capture_output=True,
            text=True, check=False, timeout=300, cwd=tmp_path,
        )  # fmt: skip

    done = run("from replicate import cli; cli.main()")
    assert done.returncode == 0 and (tmp_path / "run" / "report.html").is_file(), done.stderr
    assert list(writable.iterdir()) == []
    # Twin: without the package's own __init__, which chooses a folder, Numba finds none.
    bare = f"import sys, types; made = types.ModuleType('replicate'); made.__path__ = ['{REPOSITORY / 'replicate'}']; sys.modules['replicate'] = made; "
    done = run(bare + "import replicate.io.wordvectors")
    assert done.returncode == 1 and "cannot cache function" in done.stderr


# --- cores, other packages --------------------------------------------------------------------


@pytest.mark.parametrize(
    "files, cores",
    [
        ({}, 6),
        ({"cpu.max": "max 100000"}, 6),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "900000 100000"}, 6),
        ({"cpu.max": "odd"}, 6),
        ({"cpu.max": "100000 0"}, 6),
        # Version 1, as older systems have it.
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 6),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "250000"}, 6),
    ],
)
def test_cores_are_those_of_the_container(files, cores, tmp_path, monkeypatch):
    """A share of the cores, rounded up; all that the process may use where there is no limit."""
    for name, text in files.items():
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text + "\n")
    monkeypatch.setattr(options, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert options.cores() == cores


@pytest.mark.parametrize(
    "name, listed, named",
    [
        ("replicate", "replicate/__init__.py,sha256=x,1\n", True),
        ("replicate", "replicate_client/__init__.py,sha256=x,1\n", False),
        ("word_saliency_replication", "replicate/__init__.py,sha256=x,1\n", False),
    ],
)
def test_another_package_of_our_name_is_noticed(name, listed, named, tmp_path, command, monkeypatch):  # fmt: skip
    """By every command: its files and ours are mixed."""
    package = tmp_path / "replicate"
    package.mkdir()
    folder = tmp_path / f"{name}-1.0.7.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0.7\n")  # fmt: skip
    (folder / "RECORD").write_text(listed)
    monkeypatch.setattr(environment, "__file__", str(package / "environment.py"))
    code, told = command("readings")
    assert code == 0 and ("the distribution replicate 1.0.7" in told) == named
    assert len(told.splitlines()) == named


def test_presets_of_each_command(command):
    """What is not offered is said, with what is."""
    code, told = command("run", "--preset", "own")
    assert code == 2 and "choose sample, paper," in told
    assert options.config_of("paper", None, []) == Config()
