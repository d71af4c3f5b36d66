"""Several ranks: the same bytes when tasks are spread, the same numbers when a model is shared."""

import csv
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from replicate.corpus import sample_path
from replicate.io.errors import InputError
from replicate.parallel import mpi
from replicate.parallel.pool import Task, run_tasks

REPOSITORY = Path(__file__).resolve().parents[1]
#: Beside the interpreter (the wheel of Open MPI), or the system's.
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
#: Of numbers that ranks compute together: float32 sums in another order.
TOLERANCE = 1e-5

SMALL = ["--preset", "sample", "--epochs", "3", "--quiet"]


@pytest.fixture(scope="module")
def _mpi(missing):
    """What several ranks need, or the end of the test."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        missing("mpi", "mpi4py is not installed: pip install mpi4py")
    if MPIEXEC is None:
        missing("mpi", "mpiexec is not installed: it is in Debian's openmpi-bin")


def needs_mpi(test):
    """Mark a test that starts several ranks."""
    return pytest.mark.slow(pytest.mark.usefixtures("_mpi")(test))


def start(n, arguments, code="", options=(), seconds=120, **environment):
    """The command on n ranks (1: without mpiexec); `code` comes first on each."""
    program = ["-m", "replicate"]
    if code:
        # A file and a guard: worker processes import the main module again.
        place = Path(environment.pop("script"))
        place.write_text(
            textwrap.dedent(code)
            + "\nif __name__ == '__main__':\n    import sys\n    from replicate import cli\n"
            "    prepare()\n    cli.main(sys.argv[1:])\n"
        )
        program = [str(place)]
    command = [sys.executable, *program, *map(str, arguments)]
    if n > 1:
        command = [MPIEXEC, *options, "--oversubscribe", "-n", str(n), *command]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OPENBLAS_NUM_THREADS": "1",
        # For root alone; others need none of them.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        **environment,
    }
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def done(*arguments, **options):
    finished = start(*arguments, **options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def contents(folder):
    """Relative name -> bytes; without what tells the time."""
    timed = {"run.log", "timing.json", "report.html", ".lock"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name not in timed
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The small run without mpiexec."""
    out = tmp_path_factory.mktemp("alone") / "run"
    done(1, ["run", *SMALL, "--out", out])
    return out


# --- tasks over ranks --------------------------------------------------------------


@needs_mpi
def test_a_run_over_two_ranks_gives_the_same_bytes(alone, tmp_path):
    told = done(2, ["run", *SMALL, "--out", tmp_path / "run"])
    assert f"report: {tmp_path / 'run' / 'report.html'}" in told.stdout
    assert contents(tmp_path / "run") == contents(alone)


GRID = """
seeds = [0, 1]
[base]
epochs = 2
n_filters = 3
[[grid]]
batch_size = [10, 20]
"""


def sweep(tmp_path, out):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    data = ["--corpus", sample_path()[0], "--vectors", "random", "--dimensions", "20"]
    return ["sweep", grid, *data, "--quiet", "--out", tmp_path / out]


#: Rank 1 dies as it is given its first task.
DYING = """
    import os, signal
    from replicate import mpi

    class Dying(mpi.Crew):
        def start(self, task):
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare():
        if mpi.rank() == 1:
            mpi.Crew = Dying
"""


@needs_mpi
def test_a_rank_dies_and_the_rest_of_a_sweep_goes_on(tmp_path):
    """It is reported by what it was at; the same command then does what is missing."""
    died = start(
        2, sweep(tmp_path, "dies"), code=DYING, script=tmp_path / "dying.py",
        options=["--enable-recovery"], REPLICATE_MPI_SILENCE="3",
    )  # fmt: skip
    told = [
        line for line in died.stderr.splitlines() + died.stdout.splitlines() if "rank 1" in line
    ]
    assert any("has given no sign of life for 3 s" in line and "seed 0" in line for line in told)
    assert len(read_rows(tmp_path / "dies" / "sweep.csv")) == 3
    done(2, sweep(tmp_path, "dies"))
    done(1, sweep(tmp_path, "alone"))
    assert contents(tmp_path / "dies") == contents(tmp_path / "alone")
    assert len(read_rows(tmp_path / "alone" / "sweep.csv")) == 4


@needs_mpi
def test_bad_input_ends_all_ranks(tmp_path):
    """Rank 0 says it in one line; the others do not wait for work that never comes."""
    for name, data in (
        ("nowhere.tsv", ["--corpus", "nowhere.tsv", "--vectors", "random"]),
        ("none.bin", ["--vectors", "none.bin"]),
    ):
        ended = start(2, ["run", *SMALL, *data, "--out", tmp_path / "run"])
        words = [line for line in (ended.stdout + ended.stderr).splitlines() if "error:" in line]
        assert len(words) == 1 and name in words[0]
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr


def read_rows(place):
    with open(place, encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Wire:
    """Stands for MPI's communicator on rank 0: keeps what is sent, gives what is put in."""

    rank, size = 0, 3

    def __init__(self):
        self.sent, self.inbox = [], []

    def send(self, message, dest):
        self.sent.append((dest, message))

    def iprobe(self):
        return bool(self.inbox)

    def recv(self):
        return self.inbox.pop(0)


@pytest.fixture
def wire(monkeypatch):
    wire = Wire()
    monkeypatch.setitem(mpi._state, "comm", wire)
    monkeypatch.setitem(mpi._state, "lost", False)
    idle = SimpleNamespace(busy=0, wait=lambda timeout: [], stop=lambda: None)
    idle.start = lambda task: setattr(idle, "busy", idle.busy + 1)
    monkeypatch.setattr(mpi, "Crew", lambda jobs, threads: idle)
    return wire


def tasks_sent(wire):
    return [(rank, value.name) for rank, (kind, value) in wire.sent if kind == "task"]


def test_tasks_go_where_the_fewest_run(wire):
    crew = mpi.RankCrew(1)
    for name in "abc":
        assert crew.free
        crew.start(Task(name, print, (), ()))
    assert tasks_sent(wire) == [(1, "a"), (2, "b")] and crew.own.busy == 1
    assert not crew.free
    wire.inbox.append((2, "b", "done", (1, None)))
    assert crew.wait()[0][1:] == ("done", (1, None))
    crew.start(Task("d", print, (), ()))
    assert tasks_sent(wire)[-1] == (2, "d")


def test_a_silent_rank_is_given_no_more(wire, monkeypatch):
    """Its task fails, the other's is done, and what it says later is not heard."""
    monkeypatch.setenv("REPLICATE_MPI_SILENCE", "0.2")
    crew = mpi.RankCrew(1)
    lively = mpi.RankCrew._received

    def received(self):
        self.seen[2] = mpi.time.monotonic()
        return lively(self)

    monkeypatch.setattr(mpi.RankCrew, "_received", received)
    for name in "ab":
        crew.start(Task(name, print, (), ()))
    ((task, kind, words),) = crew.wait()
    assert (task.name, kind) == ("a", "died") and "rank 1" in words
    assert mpi._state["lost"]
    wire.inbox += [(1, "a", "done", (1, None)), (2, "b", "done", (1, None))]
    assert [task.name for task, _, _ in crew.wait()] == ["b"]
    crew.start(Task("c", print, (), ()))
    assert tasks_sent(wire)[-1] == (2, "c")


def test_what_waits_for_a_silent_ranks_task_fails_too(wire, monkeypatch):
    monkeypatch.setenv("REPLICATE_MPI_SILENCE", "0.1")
    tasks = [Task("a", print, (), ()), Task("b", print, (), ("a",))]
    outcome = run_tasks(tasks, 1, crew=mpi.RankCrew(1))
    assert "rank 1" in outcome.failures["a"]
    assert outcome.failures["b"] == "needs a, which failed"


# --- one model on all ranks ----------------------------------------------------------


def differences(ours, theirs):
    """Greatest difference of what a seed recorded, against the greatest value."""
    found = {}
    for name in ("saliency", "doubt", "movement_raw", "movement_words"):
        a, b = (np.load(run / "seed-000" / "T1" / f"{name}.npy") for run in (ours, theirs))
        found[name] = np.abs(a - b).max() / np.abs(b).max()
    for arm in ("T1", "arms/T2h", "arms/T1andT2"):
        a, b = (np.load(run / "seed-000" / arm / "model.npz") for run in (ours, theirs))
        found[arm] = max(np.abs(a[n] - b[n]).max() / np.abs(b[n]).max() for n in b.files)
    a, b = (read_rows(run / "seed-000" / "accuracy.csv") for run in (ours, theirs))
    found["training"] = max(abs(float(x["loss"]) - float(y["loss"])) for x, y in zip(a, b))
    assert [x["arm"] for x in a] == [x["arm"] for x in b]
    assert [x["accuracy"] for x in a] == [x["accuracy"] for x in b]
    return found


#: Batches that no rank shares evenly, the last with fewer sentences than ranks;
#: dropout; the untrained model's record; weights that are sent to and fro.
ODD = [
    "--set", "batch_size=89", "--set", "dropout=0.3", "--set", "record_epoch_0=true",
    "--set", "vectors_mode=finetuned", "--set", "optimizer_state=carried", "--record-arms",
    # Not Adam: it divides by the size of a gradient, and makes much of the rounding of
    # one that nearly cancels.
    "--set", "optimizer=MomentumSGD", "--set", "learning_rate=0.01",
]  # fmt: skip


@needs_mpi
@pytest.mark.parametrize(("n", "extra"), [(2, []), (3, ODD)], ids=["two", "three, odd"])
def test_data_parallel_gives_the_numbers_of_one_process(alone, tmp_path, n, extra):
    if extra:
        alone = tmp_path / "alone"
        done(1, ["run", *SMALL, *extra, "--out", alone])
    done(n, ["run", *SMALL, *extra, "--data-parallel", "--out", tmp_path / "run"])
    assert max(differences(tmp_path / "run", alone).values()) < TOLERANCE
    assert contents(tmp_path / "run").keys() == contents(alone).keys()


#: Every rank trains on its own shares only.
SELFISH = """
    from replicate import mpi

    def prepare():
        mpi.Group.mean_gradient = lambda self, model: None
"""


@needs_mpi
def test_gradients_that_are_not_shared_are_noticed(alone, tmp_path):
    """The twin of the comparison above."""
    arguments = ["run", *SMALL, "--data-parallel", "--out", tmp_path / "run"]
    done(2, arguments, code=SELFISH, script=tmp_path / "selfish.py")
    with pytest.raises(AssertionError):
        assert max(differences(tmp_path / "run", alone).values()) < TOLERANCE


#: All ranks are killed after rank 0 has written a snapshot of epoch 2 of T1.
KILLED = """
    import os, signal
    from replicate import training

    write = training.Snapshot.__call__

    def until(self, trainer):
        write(self, trainer)
        if trainer.updater.epoch == 2 and self.group.leads:
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare():
        training.Snapshot.__call__ = until
"""


@needs_mpi
def test_data_parallel_goes_on_after_a_kill(tmp_path):
    """Same bytes as undisturbed: a sum of two numbers has one order only."""
    arguments = ["run", *SMALL, "--data-parallel", "--out"]
    snapshots = {"REPLICATE_SNAPSHOT_SECONDS": "0"}
    script = tmp_path / "killed.py"
    killed = start(2, [*arguments, tmp_path / "killed"], code=KILLED, script=script, **snapshots)
    assert killed.returncode != 0
    assert (tmp_path / "killed" / "seed-000" / "T1" / "snapshot.npz").is_file()
    assert not (tmp_path / "killed" / "seed-000" / "T1" / "stage.json").exists()
    done(2, [*arguments, tmp_path / "killed"])
    done(2, [*arguments, tmp_path / "whole"])
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_cover_all_sentences_once(size):
    """Contiguous, none twice, alike in words; an empty share is allowed."""
    offsets = 5 + np.cumsum([0, 3, 1, 4, 1, 5, 9, 2, 6])
    bounds = []
    for rank in range(size):
        group = SimpleNamespace(rank=rank, size=size)
        bounds.append(mpi.Group.bounds(group, offsets))
    assert bounds[0][0] == 0 and bounds[-1][1] == len(offsets) - 1
    assert all(a[1] == b[0] for a, b in zip(bounds, bounds[1:]))
    words = [offsets[b] - offsets[a] for a, b in bounds]
    assert max(words) <= (offsets[-1] - offsets[0]) / size + 9


# --- wrong use -----------------------------------------------------------------------


def test_data_parallel_needs_ranks(tmp_path):
    ended = start(1, ["run", *SMALL, "--data-parallel", "--out", tmp_path / "run"])
    assert ended.returncode == 2 and "mpiexec -n 2" in ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"PMI_SIZE": "4"}, True),
        ({"PMIX_RANK": "0", "SLURM_NTASKS": "8"}, True),
        ({"SLURM_NTASKS": "8"}, False),  # a batch script's own environment
        ({"PMI_SIZE": "many"}, False),
    ],
    ids=str,
)
def test_whether_there_are_several_ranks(environment, several, monkeypatch):
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert mpi.active() is several


def test_without_mpi4py(monkeypatch):
    monkeypatch.setitem(mpi._state, "comm", None)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match="mpi4py is not installed; pip install"):
        mpi.rank()
