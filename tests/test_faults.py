"""Faults injected into whole runs: none loses a run, changes a number, or ends in a traceback.

The same command again must give the files of the undisturbed run, byte for
byte.  What files, locks and workers do by themselves is tested beside them.
"""

import errno
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from replicate import training
from replicate.cli import main
from replicate.config import ARMS
from replicate.experiment import run_seed
from replicate.io.errors import InputError
from replicate.parallel import preload
from replicate.run import Run

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]


def _load_kill():
    spec = importlib.util.spec_from_file_location("kill", REPOSITORY / "tests/faults/kill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = _load_kill()
COMMAND = [
    "run", "--preset", "sample", "--epochs", "6", "--seeds", "1", "--jobs", "2", "--quiet",
]  # fmt: skip
#: The command without figures and report, which take most of its time.
SHORT = "from replicate import cli, experiment; experiment.conclude = lambda run: []; {before}; cli.main()"
T1 = Path("seed-000/T1")


# --- running ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache of fonts for all processes of this file."""
    return str(tmp_path_factory.mktemp("fonts"))


@pytest.fixture(autouse=True)
def _surroundings(cache, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", cache)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(kill, "COMMAND", COMMAND)


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    """The undisturbed run: its folder, and the seconds it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", cache)
        patch.setattr(kill, "COMMAND", COMMAND)
        preload.warm_up()  # a run that compiles its loops takes ten times as long
        began = time.monotonic()
        assert kill.finish(folder) == ""
    return SimpleNamespace(folder=folder, seconds=time.monotonic() - began)


def results(folder):
    """Files of training and selection: those of :func:`kill.files`, less what is drawn of them."""
    return {
        name: data
        for name, data in kill.files(folder).items()
        if not name.startswith(("figures", "claims"))
    }


def differences(folder, whole, files=results):
    """Names of files that are not those of the undisturbed run."""
    found, expected = files(folder), files(whole.folder)
    return [n for n in sorted(found.keys() | expected.keys()) if found.get(n) != expected.get(n)]


def spawn(folder, before="pass", prefix=(), command=COMMAND, **environment):
    """The short command in a process of its own, after some code: exit code and stderr."""
    python = [sys.executable, "-c", SHORT.format(before=before)]
    done = subprocess.run(
        [*prefix, *python, *command, "--out", str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def again(capsys, monkeypatch):
    """The same command in this process: exit code and stderr."""

    def run(folder, drawn=False):
        with monkeypatch.context() as patch:
            if not drawn:
                patch.setattr("replicate.experiment.conclude", lambda run: [])
            with pytest.raises(SystemExit) as stopped:
                main([*COMMAND, "--out", str(folder)])
        return stopped.value.code, capsys.readouterr().err

    return run


def is_one_line(told, *parts):
    """Whether a command told one clear line that holds all parts."""
    lines = told.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and all(p in lines[0] for p in parts)


def half_written(folder):
    """Temporary files of :func:`replicate.io.files.atomic`."""
    return list(Path(folder).rglob(".*.part"))


# --- kills -------------------------------------------------------------------------


def undisturbed(whole, seconds, monkeypatch):
    """Let a campaign take the run that is there, and its time, for its own first ones."""
    real = kill.finish

    def finish(folder):
        if folder.name == "whole":
            shutil.copytree(whole.folder, folder)
        return "" if folder.name in ("warm", "whole") else real(folder)

    monkeypatch.setattr(kill, "finish", finish)
    clock = iter((0, seconds))
    monkeypatch.setattr(
        kill, "time", SimpleNamespace(monotonic=lambda: next(clock, time.monotonic()))
    )


def test_kills_at_random_moments_lose_nothing(whole, tmp_path, monkeypatch):
    """SIGKILL, SIGTERM, Ctrl-C, power cuts: figures and claims are the same bytes, too."""
    undisturbed(whole, whole.seconds, monkeypatch)
    counts, wrong, trials = kill.campaign(4, seed=300, folder=tmp_path, tell=lambda line: None)
    assert wrong == []
    assert sum(counts.values()) == 4 and trials > 0


def test_a_campaign_finds_out_how_long_a_run_takes(tmp_path, monkeypatch):
    """Measured while loops were compiled, it takes seconds instead of minutes from then on."""
    asked, clock = [], itertools.count(step=7)

    def trial(place, whole, seconds, n, draw, counts):
        asked.append(seconds)
        if seconds <= 7:
            counts["SIGKILL", "arms"] += 1
        return []

    monkeypatch.setattr(kill, "trial", trial)
    monkeypatch.setattr(kill, "finish", lambda folder: "")
    monkeypatch.setattr(kill, "files", lambda folder: {})
    ticks = iter((0, 300))
    monkeypatch.setattr(
        kill, "time", SimpleNamespace(monotonic=lambda: next(ticks, None) or next(clock))
    )
    assert kill.campaign(2, seed=0, folder=tmp_path, tell=lambda line: None)[2] == 3
    assert asked == [300, 7, 7]


def flip(folder):
    place = folder / T1 / "model.npz"
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)


SABOTAGE = {
    "a byte is another": (flip, ["seed-000/T1/model.npz differs"]),
    "a file is missing": (
        lambda folder: (folder / "claims.csv").unlink(),
        ["claims.csv is there in one only"],
    ),
    "temporaries are not swept": (
        lambda folder: (folder / ".known.npy.77.replicate.part").touch(),
        [".known.npy.77.replicate.part is there in one only"],
    ),
    "a snapshot stays": (
        lambda folder: (folder / T1 / "snapshot.npz").touch(),
        ["seed-000/T1/snapshot.npz is there in one only"],
    ),
    "nothing is wrong": (lambda folder: None, []),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_fault_at_the_end_is_found(name, whole, tmp_path, monkeypatch):
    """Twin: a run that ends with other files is a fault of the trial."""
    sabotage, expected = SABOTAGE[name]

    def finish(folder):
        shutil.copytree(whole.folder, folder)
        sabotage(folder)
        return ""

    monkeypatch.setattr(kill, "finish", finish)
    files = kill.files(whole.folder)
    draw, counts = random.Random(0), Counter()
    assert kill.trial(tmp_path / "run", files, 1, 0, draw, counts) == expected


def test_a_run_that_does_not_go_on_is_found(whole, tmp_path, monkeypatch):
    """Twin: the last line of a refusal is in the campaign's list."""
    undisturbed(whole, 0.1, monkeypatch)
    finish = kill.finish
    refusal = "Traceback\nerror: refused\n"
    monkeypatch.setattr(
        kill, "finish", lambda f: refusal if f.name.startswith("trial") else finish(f)
    )
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(kill, "start", lambda f: subprocess.Popen(sleeper, start_new_session=True))
    counts, wrong, _ = kill.campaign(1, seed=0, folder=tmp_path, tell=lambda line: None)
    assert sum(counts.values()) == 1 and wrong[0] == "trial 1: does not go on: error: refused"


# --- a full disk ---------------------------------------------------------------------


def size_limit(limit):
    """Code that limits how large a file may grow."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"


def test_files_that_cannot_grow(whole, again, tmp_path):
    """First the command's own files, then those of workers: one line each, nothing half written."""
    folder = tmp_path / "run"
    sizes = {n: (whole.folder / n).stat().st_size for n in ("vectors.npy", T1 / "model.npz")}
    assert sizes["vectors.npy"] + 100 < sizes[T1 / "model.npz"]
    for limit, name in ((30_000, "corpus.npz"), (min(sizes.values()) + 50, T1 / "model.npz")):
        code, told = spawn(folder, size_limit(limit))
        assert code == 2 and is_one_line(told, str(folder / name), os.strerror(errno.EFBIG)), told
        assert not (folder / name).exists() and not half_written(folder)
        expected = results(whole.folder)
        # A record in the making has no final name yet.
        for place, data in results(folder).items():
            own = place.endswith(".npy.part") or place == ".replicate.preparing"
            assert own or data == expected[place], place
    assert again(folder)[0] == 0
    assert differences(folder, whole) == []


def test_what_an_ended_worker_was_writing_is_removed(tmp_path):
    """Another's error ends it at any moment; what is not a temporary file stays."""
    part, other = (
        tmp_path / "seed-000/arms/T2h/.model.npz.123.replicate.part",
        tmp_path / "saliency.npy.part",
    )
    with pytest.raises(InputError, match="another task's"), Run.locked(tmp_path):
        part.parent.mkdir(parents=True)
        part.touch()
        other.touch()
        raise InputError("another task's error; mend it")
    assert not part.exists() and other.exists()


def namespace():
    """A command prefix that gives a process mounts of its own, or a skip."""
    for flags in ("-m", "-rm"):
        try:
            done = subprocess.run(
                ["unshare", flags, "mount", "-t", "tmpfs", "none", "/mnt"],
                check=False, capture_output=True,
            )  # fmt: skip
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return ["unshare", flags, "sh", "-c"]
    pytest.skip("this system lets nobody mount (unshare -m, unshare -rm)")


def test_a_full_disk_is_one_line_until_there_is_space(whole, tmp_path):
    """A real file system that is full in the middle of the run."""
    isolate = namespace()
    (tmp_path / "disk").mkdir()
    script = (
        'disk="$1"; shift; mount -t tmpfs -o size=1200k none "$disk" || exit 99; '
        '"$@"; echo "exit code $?"; find "$disk" -name ".*.part"; '
        'mount -o remount,size=50m "$disk" || exit 99; "$@" || exit 98; '
        'cp -a "$disk/run" "$disk.after"'
    )
    done = subprocess.run(
        [*isolate, script, "sh", str(tmp_path / "disk"), sys.executable, "-c",
         SHORT.format(before="pass"), *COMMAND, "--out", str(tmp_path / "disk" / "run")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = tmp_path / "disk" / "run" / "report.html"
    assert done.stdout.splitlines() == ["exit code 2", f"report: {report}"]
    place = str(tmp_path / "disk" / "run" / "seed-000")
    assert is_one_line(done.stderr, place, os.strerror(errno.ENOSPC)), done.stderr
    assert differences(tmp_path / "disk.after", whole) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_log_that_cannot_be_written_stops_no_run(whole, again, tmp_path):
    """run.log on a full disk: the run is finished, or refused with one line."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.log").symlink_to("/dev/full")
    code, told = again(folder)
    assert (code, len(told.strip().splitlines()) <= 1) == (0, True) or (
        code == 2 and is_one_line(told, "run.log")
    ), told
    (folder / "run.log").unlink()
    assert again(folder)[0] == 0 and differences(folder, whole) == []


# --- faults inside of processes, whoever runs them -------------------------------------

#: Python imports this in the command, its fork server and hence in all workers.
#: When a file of the given name is first about to be written ("open") or put in
#: its place ("rename"), the fault happens; ``readonly`` then lasts.
SITE = r"""
import os, signal, sys

fault, at, folder, flag = (os.environ["FAULT_" + n] for n in ("KIND", "AT", "FOLDER", "FLAG"))
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def hook(event, arguments):
    if event == "open":
        if not isinstance(arguments[2], int) or not arguments[2] & WRITING:
            return
    elif event not in ("os.rename", "os.mkdir", "os.remove", "os.truncate"):
        return
    path = arguments[0]
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    path = os.path.abspath(os.fsdecode(path))
    if not path.startswith(folder + os.sep):
        return
    struck = os.path.exists(flag)
    act, _, name = at.partition(" ")
    if not struck and act in event and name in path:
        os.close(os.open(flag, os.O_WRONLY | os.O_CREAT))
        if fault == "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "server":
            os.kill(os.getppid(), signal.SIGKILL)
        struck = True
    if struck and fault == "readonly":
        raise OSError(30, os.strerror(30), path)


sys.addaudithook(hook)
"""


@pytest.fixture
def struck(tmp_path):
    """Run the short command with a fault: exit code and stderr; the fault has happened."""

    def run(kind, at, folder):
        site, flag = tmp_path / "site", tmp_path / "struck"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE)
        code, told = spawn(
            folder, PYTHONPATH=f"{site}{os.pathsep}{REPOSITORY}",
            FAULT_KIND=kind, FAULT_AT=at, FAULT_FOLDER=str(folder), FAULT_FLAG=str(flag),
        )  # fmt: skip
        assert flag.exists(), "the fault did not happen"
        return code, told

    return run


@pytest.mark.parametrize(
    "at",
    [
        "open T1/doubt.npy.part",
        "rename T1/doubt.npy.part",
        "open T1/.model.npz",
        "open /.accuracy.csv",
    ],
)
def test_a_folder_that_becomes_read_only(at, struck, whole, again, tmp_path):
    """Before T1 is trained, while its record gets its names, after it, after all arms: one line."""
    folder = tmp_path / "run"
    code, told = struck("readonly", at, folder)
    assert code == 2 and is_one_line(told, f"{folder}{os.sep}", os.strerror(errno.EROFS)), told
    code, told = again(folder)
    assert (code, told) == (0, "") and differences(folder, whole) == []


def test_a_worker_that_the_system_kills(struck, whole, again, tmp_path):
    """Told by seed and arm; the others are finished, and the next run repairs this one."""
    folder = tmp_path / "run"
    code, told = struck("worker", "open arms/T2h/.model.npz", folder)
    lines = told.strip().splitlines()
    assert code == 3 and len(lines) == 2, told
    assert lines[0] == "seed 0, T2h: its process was ended (signal 9)"
    work = Run(folder)
    assert [arm for arm in ARMS if not work.finished(0, arm)] == ["T2h"]
    code, told = again(folder)
    assert (code, told) == (0, "") and differences(folder, whole) == []


def test_a_fork_server_that_the_system_kills(struck, whole, tmp_path):
    """Another takes its place: nothing is lost, and nobody says that it was interrupted."""
    folder = tmp_path / "run"
    code, told = struck("server", "open T1/.model.npz", folder)
    assert (code, told) == (0, "") and differences(folder, whole) == []


# --- how files are written ---------------------------------------------------------------

#: Python imports this in the command, its fork server and hence in all workers:
#: it notes what is opened for writing, flushed and renamed.
WATCH = r"""
import json, os, sys

folder = os.environ["WATCH_FOLDER"]
told = os.open(os.environ["WATCH_TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
fsync = os.fsync


def tell(what, *paths):
    paths = [os.path.abspath(os.fsdecode(p)) for p in paths]
    if (paths[-1] + os.sep).startswith(folder + os.sep):
        os.write(told, (json.dumps([what, *(os.path.relpath(p, folder) for p in paths)]) + "\n").encode())


def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and isinstance(arguments[0], (str, bytes)):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            tell("open", arguments[0])
    elif event == "os.rename":
        tell("rename", *arguments[:2])


def synced(handle):
    fsync(handle)
    tell("fsync", os.readlink(f"/proc/self/fd/{handle}"))


os.fsync = synced
sys.addaudithook(hook)
"""
#: What is written in its place: a lock has no content, a log may end anywhere.
IN_PLACE = {".replicate.lock", "run.log"}


def written_otherwise(events, files):
    """Files that were not written under a temporary name, flushed, renamed, and their folder flushed."""
    wrong, flushed, renamed = [], set(), {}
    for event in events:
        what, path = event[0], "" if event[-1] == "." else event[-1]
        parent, name = os.path.split(path)
        if what == "open" and name not in IN_PLACE and not name.endswith(".part"):
            wrong.append(f"{path} is written in its place")
        elif what == "fsync":
            flushed.add(path)
            for done in [done for done in renamed if os.path.split(done)[0] == path]:
                renamed[done] = True
        elif what == "rename":
            # A record is mapped: its rows are flushed by the mapping, not by fsync.
            if event[1] not in flushed and not event[1].endswith(".npy.part"):
                wrong.append(f"{path} has its name before its bytes are flushed")
            flushed.discard(event[1])
            renamed[path] = False
    for path in files:
        if os.path.split(path)[1] not in IN_PLACE and not renamed.get(path):
            wrong.append(f"{path}: its name was not made to last")
    return wrong


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc on this system")
def test_every_file_of_a_run_is_flushed_and_renamed(tmp_path):
    """Workers, figures and report included."""
    folder, told = tmp_path / "run", tmp_path / "told"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    path = f"{tmp_path / 'site'}{os.pathsep}{REPOSITORY}"
    done = subprocess.run(
        [sys.executable, "-m", "replicate", *COMMAND, "--out", str(folder)],
        env={**os.environ, "PYTHONPATH": path, "WATCH_FOLDER": str(folder),
             "WATCH_TOLD": str(told), "REPLICATE_SNAPSHOT_SECONDS": "0"},
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in told.read_text().splitlines()]
    files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    assert len(files) > 60 and "report.html" in files and "seed-000/T1/model.npz" in files
    assert {event[-1] for event in events} >= set(files) - {".replicate.lock"}
    assert written_otherwise(events, files) == []


WAY = [
    ["open", "a/.f.part"],
    ["fsync", "a/.f.part"],
    ["rename", "a/.f.part", "a/f"],
    ["fsync", "a"],
]


@pytest.mark.parametrize(
    "events, words",
    [
        (WAY, []),
        ([["open", "a/f"], *WAY], ["is written in its place"]),
        ([WAY[0], *WAY[2:]], ["before its bytes are flushed"]),
        (WAY[:3], ["not made to last"]),
        ([["open", "a/f"]], ["is written in its place", "not made to last"]),
        ([*WAY, WAY[2]], ["before its bytes are flushed", "not made to last"]),
    ],
)
def test_another_way_of_writing_is_noticed(events, words):
    """Twin: each step left out in turn."""
    wrong = written_otherwise(events, ["a/f"])
    assert len(wrong) == len(words) and all(w in told for w, told in zip(words, wrong))


# --- poor machines ---------------------------------------------------------------------


def descriptor_limit(limit):
    """Code that limits how many files may be open."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"


def test_few_file_descriptors_will_do(whole, tmp_path):
    """64 are enough for two workers, hence 256."""
    code, told = spawn(tmp_path / "run", descriptor_limit(64))
    assert (code, told) == (0, "") and differences(tmp_path / "run", whole) == []


@pytest.mark.parametrize("limit", [8, 12, 14, 16])
def test_too_few_file_descriptors_are_one_line(tmp_path, limit):
    """Whether it is the fork server that cannot be started or, with more, a worker."""
    code, told = spawn(tmp_path / "run", descriptor_limit(limit))
    assert code == 2 and is_one_line(told, os.strerror(errno.EMFILE)), told


def test_no_shared_memory_is_needed(whole, tmp_path):
    """Nothing can be made in /dev/shm, as a semaphore shows."""
    isolate = namespace()
    mount = 'mount -t tmpfs -o ro,mode=000 none /dev/shm && exec "$@"'
    prefix = [*isolate, mount, "sh"]
    semaphore = [sys.executable, "-c", "import multiprocessing; multiprocessing.Lock()"]
    made = subprocess.run([*prefix, *semaphore], check=False, capture_output=True, text=True)
    assert made.returncode == 1 and "Error" in made.stderr, "the fault is not there"
    code, told = spawn(tmp_path / "run", prefix=prefix)
    assert (code, told) == (0, "") and differences(tmp_path / "run", whole) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_one_core_gives_the_same_bytes(whole, tmp_path):
    """One training run at once on one core, against two at once on all."""
    one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    command = [*COMMAND[:-2], "1", "--quiet"]
    assert command[-3:] == ["--jobs", "1", "--quiet"]
    code, told = spawn(tmp_path / "run", one, command=command)
    assert (code, told) == (0, "") and differences(tmp_path / "run", whole) == []


# --- two runs on one folder ----------------------------------------------------------------


def test_a_second_run_is_refused_until_the_first_is_dead(whole, again, tmp_path):
    """While the first is at work, not only when it begins; killed, it leaves the folder free."""
    folder = tmp_path / "run"
    first = kill.start(folder)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "seed-000").exists():
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        # It must not end before the second has looked.
        os.kill(first.pid, signal.SIGSTOP)
        code, told = again(folder)
        assert code == 2 and is_one_line(told, str(folder), "another run uses this folder"), told
        assert not (folder / "accuracy.csv").exists()
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    code, told = again(folder)
    assert (code, told) == (0, "") and differences(folder, whole) == []


# --- damaged files ---------------------------------------------------------------------------


def cut(place, share):
    """Cut a file to a share of its length; 1 is one byte less."""
    size = place.stat().st_size
    os.truncate(place, size - 1 if share == 1 else int(size * share))


DAMAGED = [
    ("seed-000/T1/stage.json", 0.5),
    ("seed-000/T1/saliency.npy", 0.5),
    ("seed-000/T1/predicted.npy", 0),
    ("seed-000/T1/model.npz", 1),
    ("seed-000/T1/weights.npz", 0),
    ("seed-000/T1/training.csv", 0.5),
    ("seed-000/split.npz", 0.5),
    ("seed-000/instability.csv", 0.5),
    ("seed-000/sentences.csv", 1),
    ("seed-000/accuracy.csv", 0.5),
    ("seed-000/arms/T2h/stage.json", 0),
    ("seed-000/arms/T2h/model.npz", 0.5),
    ("seed-000/arms/T2h/sentences.npy", 0.5),
    ("seed-000/arms/T1andT2/training.csv", 0),
    ("corpus.npz", 0.5),
    ("vectors.npy", 0),
    ("known.npy", 1),
    ("timing.json", 0.5),
    ("config.json", 0),
    ("config.json", 0.5),
]


@pytest.mark.parametrize("name, share", DAMAGED)
def test_a_damaged_file_is_repaired_or_refused(name, share, whole, again, tmp_path):
    """The same bytes again; only settings cannot be made anew: one line names their file."""
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    cut(folder / name, share)
    code, told = again(folder)
    if name == "config.json":
        assert code == 2 and is_one_line(told, str(folder / name)), told
        assert differences(folder, whole) == [name]
    else:
        assert (code, told) == (0, "") and differences(folder, whole) == []


def test_all_files_damaged_at_once(whole, again, tmp_path):
    """Figures and claims too, which are drawn anew."""
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    for place in [p for p in folder.rglob("*") if p.is_file() and p.name != "config.json"]:
        if place.stat().st_size:
            cut(place, 0.5)
    code, told = again(folder, drawn=True)
    assert (code, told) == (0, "") and differences(folder, whole, kill.files) == []


def test_markers_that_are_not_checked_are_noticed(whole, again, tmp_path, monkeypatch):
    """Twin: where any marker holds, a damaged file stays."""
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    cut(folder / T1 / "saliency.npy", 0.5)
    monkeypatch.setattr("replicate.run.stage_holds", lambda folder: True)
    assert again(folder)[0] == 0
    assert differences(folder, whole) == ["seed-000/T1/saliency.npy"]


# --- damaged snapshots -------------------------------------------------------------------------


class Kill(BaseException):
    """Stands for a kill; nothing of the program catches it."""


@pytest.fixture(scope="module")
def killed(whole, tmp_path_factory):
    """A run that was killed in T1 after the snapshot of epoch 4: its folder."""
    folder = tmp_path_factory.mktemp("killed")
    for name in ("config.json", "corpus.npz", "vectors.npy", "known.npy"):
        shutil.copy(whole.folder / name, folder)

    def tell(arm, epoch, accuracy):
        if (arm, epoch) == ("T1", 5):
            raise Kill

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Kill):
        patch.setenv("REPLICATE_SNAPSHOT_SECONDS", "0")
        run_seed(Run(folder), 0, tell)
    assert (folder / T1 / "snapshot.npz").exists() and (folder / T1 / "saliency.npy.part").exists()
    return folder


@pytest.fixture
def stopped(killed, tmp_path, monkeypatch):
    """A copy of it; whoever goes on takes snapshots, too."""
    monkeypatch.setenv("REPLICATE_SNAPSHOT_SECONDS", "0")
    return Path(shutil.copytree(killed, tmp_path / "run"))


def go_on(folder):
    """Run to the end; the epochs of T1 that were trained."""
    epochs = []
    run_seed(Run(folder), 0, lambda arm, epoch, _: arm == "T1" and epochs.append(epoch))
    return epochs


def differences_of_seed(folder, whole):
    return [name for name in differences(folder, whole) if name.startswith("seed-000")]


def test_a_sound_snapshot_is_taken_up(stopped, whole):
    """Twin of those below: without damage only the rest is trained."""
    assert go_on(stopped) == [5, 6]
    assert differences_of_seed(stopped, whole) == []


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_damaged_snapshot_is_as_good_as_none(share, stopped, whole):
    """All epochs are trained again, to the same bytes."""
    cut(stopped / T1 / "snapshot.npz", share)
    assert go_on(stopped) == [1, 2, 3, 4, 5, 6]
    assert differences_of_seed(stopped, whole) == []


@pytest.mark.parametrize(
    "name, share",
    [("saliency", 0), ("saliency", 0.5), ("saliency", None), ("doubt", 0.5), ("doubt", None)],
)
def test_a_damaged_record_is_not_gone_on_with(name, share, stopped, whole):
    """Rows that the snapshot counts on are cut off, or the file is missing."""
    place = stopped / T1 / f"{name}.npy.part"
    place.unlink() if share is None else cut(place, share)
    go_on(stopped)
    assert differences_of_seed(stopped, whole) == []


@pytest.mark.parametrize("at", ["doubt", "saliency"])
def test_a_kill_while_the_record_gets_its_names(at, stopped, whole, monkeypatch):
    """Some files of the record have their final names, others not, and a snapshot is there."""
    real = os.replace

    def replace(source, target):
        if Path(source).name == f"{at}.npy.part":
            raise Kill
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(Kill):
            go_on(stopped)
    assert (stopped / T1 / f"{at}.npy.part").exists() and (stopped / T1 / "predicted.npy").exists()
    go_on(stopped)
    assert differences_of_seed(stopped, whole) == []


def test_a_snapshot_of_another_kind_that_is_taken_up_is_noticed(stopped, whole, monkeypatch):
    """Twin: a snapshot whose weights were changed gives other files, if nothing looks."""
    real = training.Snapshot._read

    def read(snapshot, trainer):
        arrays = real(snapshot, trainer)
        if arrays is None:  # the arms have none yet
            return None
        return {n: v * 2 if n.endswith("conv/W") else v for n, v in arrays.items()}

    monkeypatch.setattr(training.Snapshot, "_read", read)
    assert go_on(stopped) == [5, 6]
    assert "seed-000/T1/model.npz" in differences_of_seed(stopped, whole)
