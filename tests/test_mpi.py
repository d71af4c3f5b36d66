"""Several ranks: tasks are shared out, and the files are the same bytes."""

import sys
from types import SimpleNamespace

import pytest
from ranks import SMALL, UNDRAWN, _mpi, contents, done, needs_mpi, read_rows, start  # noqa: F401

from replicate.corpus import sample_path
from replicate.io.errors import InputError
from replicate.parallel import mpi
from replicate.parallel.pool import Outcome, Task

# --- tasks over ranks --------------------------------------------------------------


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """Seeds 0 and 1 without mpiexec."""
    out = tmp_path_factory.mktemp("two") / "run"
    done(1, ["run", *SMALL, "--seeds", "2", "--out", out])
    return out


@needs_mpi
def test_a_run_over_two_ranks_gives_the_same_bytes(two_seeds, tmp_path):
    """Each has a seed of its own; rank 0 logs both, and concludes."""
    ended = done(2, ["run", *SMALL, "--seeds", "2", "--out", tmp_path / "run"])
    assert f"report: {tmp_path / 'run' / 'report.html'}" in ended.stdout
    assert contents(tmp_path / "run") == contents(two_seeds)
    log = (tmp_path / "run" / "run.log").read_text()
    assert log.count(": done") == 14 and "seed 1, T2h: done" in log


#: Seed 1's first phase is another function, which fails.
FAILING = """
    from replicate import experiment
    from replicate.parallel import pool

    class Worker(pool.WorkerPool):
        def start(self, task):
            if task.name == (1, "T1"):
                task = task._replace(function=len, arguments=())
            super().start(task)

    def prepare():
        experiment.conclude = lambda run: []
        pool.WorkerPool = Worker
"""


def of_seeds(folder):
    """What was trained; not what is drawn of it."""
    return {name: data for name, data in contents(folder).items() if name.startswith("seed-")}


@needs_mpi
def test_a_task_of_another_rank_that_fails_is_reported(two_seeds, tmp_path):
    """By seed and arm, and what needs it; the rest is done, and the same command ends the run."""
    arguments = ["run", *SMALL, "--seeds", "2", "--out", tmp_path / "run"]
    ended = start(2, arguments, code=FAILING, script=tmp_path / "script.py")
    lines = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 3 and "Traceback" not in ended.stderr
    assert "seed 1, T1: TypeError: object of type 'function' has no len()" in lines
    assert "seed 1, T2h: needs (1, 'T1'), which failed" in lines
    assert (tmp_path / "run" / "seed-001/arms/T1andT2/stage.json").exists()
    assert (tmp_path / "run" / "seed-000/accuracy.csv").exists()
    done(2, arguments, code=UNDRAWN, script=tmp_path / "undrawn.py")
    assert of_seeds(tmp_path / "run") == of_seeds(two_seeds)


GRID = """
seeds = [0, 1]
[base]
epochs = 3
n_filters = 3
[[grid]]
batch_size = [10, 20]
"""


def sweep(tmp_path, out):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    data = ["--corpus", sample_path()[0], "--vectors", "random", "--dimensions", "20"]
    return ["sweep", grid, *data, "--quiet", "--out", tmp_path / out]


#: Rank 1 dies when it is given its second task, or meets a fault of the program.
DYING = """
    import os, signal
    from replicate.parallel import mpi, pool

    def start(self, task, real=pool.WorkerPool.start):
        if mpi.rank() == 1 and started:
            HOW
        started.append(task)
        real(self, task)

    started = []

    def prepare():
        pool.WorkerPool.start = start
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The sweep without mpiexec."""
    folder = tmp_path_factory.mktemp("sweep")
    done(1, sweep(folder, "alone"))
    return folder / "alone"


@needs_mpi
@pytest.mark.parametrize(
    "how", ["os.kill(os.getpid(), signal.SIGKILL)", "raise IndexError('of 1')"]
)
def test_a_rank_dies_and_the_same_command_does_what_is_missing(how, swept, tmp_path):
    """All ranks end with it, and not as if all were well; finished rows are kept, for any ranks."""
    code = DYING.replace("HOW", how)
    died = start(2, sweep(tmp_path, "dies"), code=code, script=tmp_path / "dying.py")
    assert died.stderr.count("IndexError: of 1") == ("raise" in how)
    assert died.returncode not in (0, 2) and "rows:" not in died.stdout
    # Rank 1's first row, too, whether rank 0 has collected it or not; a row that is in the table
    # may have its file still.
    tables = [tmp_path / "dies" / "sweep.csv", *(tmp_path / "dies" / "work").glob("*.csv")]
    rows = [row for table in tables if table.exists() for row in read_rows(table)]
    assert 1 <= len({(row["specification"], row["seed"]) for row in rows}) < 4
    done(1, sweep(tmp_path, "dies"))
    assert contents(tmp_path / "dies") == contents(swept)
    assert len(read_rows(swept / "sweep.csv")) == 4


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


class Arrived:
    """A barrier that the others have reached."""

    def Test(self):
        return True


class Rank:
    """Stands for MPI's communicator on one rank; the others' values are given."""

    def __init__(self, rank, size, sent=None, others=()):
        self.rank, self.size, self.sent, self.others = rank, size, sent, others
        self.aborted = None

    def Ibarrier(self):
        return Arrived()

    def bcast(self, value):
        if self.rank == 0:
            self.sent = value
        return self.sent

    def gather(self, value):
        return [value, *self.others] if self.rank == 0 else None

    def Abort(self, code):
        self.aborted = code


@pytest.fixture
def ranks(monkeypatch):
    """``ranks(rank, size, …)``: this process is that rank, and tasks are noted, not run."""
    ran = []

    def note(tasks, jobs, on_progress=None, threads=1):
        ran.append([task.name for task in tasks])
        return Outcome(peak_memory=len(tasks))

    def make(*arguments):
        comm = Rank(*arguments)
        monkeypatch.setattr(mpi, "world", lambda: comm)
        monkeypatch.setattr(mpi, "active", lambda: True)
        monkeypatch.setattr(mpi, "run_tasks", note)
        return comm, ran

    return make


def groups_of(*sizes):
    """Groups of tasks, named by group and place."""
    return [[Task((i, j), print, (), ()) for j in range(size)] for i, size in enumerate(sizes)]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_all_groups_once(size, ranks):
    """Each whole, on one rank; finished groups, which are empty, do not make a share smaller."""
    comm, ran = ranks(0, size, None, [Outcome()] * (size - 1))
    mpi.run_shares(groups_of(2, 0, 1, 3, 0, 1), 1)
    for rank in range(1, size):
        ranks(rank, size, comm.sent)
        assert mpi.follow(1) == 0
    assert len(ran) == size
    assert sorted(sum(ran, [])) == [(0, 0), (0, 1), (2, 0), (3, 0), (3, 1), (3, 2), (5, 0)]
    for group in (0, 2, 3, 5):
        assert sum(any(name[0] == group for name in share) for share in ran) == 1
    assert len([share for share in ran if share]) == min(size, 4)


def test_rank_0_learns_how_the_others_tasks_ended(ranks):
    """Failures of all ranks, the greatest memory, and a message for every task of another."""
    ranks(0, 3, None, [Outcome({(1, 0): "died"}, 5), Outcome({}, 9)])
    reported = []
    outcome = mpi.run_shares(groups_of(1, 2, 1), 1, lambda *message: reported.append(message))
    assert outcome == Outcome({(1, 0): "died"}, 9)
    assert reported == [((1, 0), "failed"), ((1, 1), "done"), ((2, 0), "done")]


def test_a_rank_that_fails_ends_all(ranks, monkeypatch):
    """MPI's own end would wait for the others, who wait for this one."""
    comm, _ = ranks(1, 2)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace())
    for code, aborted in ((0, None), (2, 2)):
        with pytest.raises(SystemExit) as ended:
            mpi.leave(code)
        assert (ended.value.code, comm.aborted) == (code, aborted)


# --- wrong use -----------------------------------------------------------------------


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
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match="mpi4py is not installed; run `pip install mpi4py`"):
        mpi.world()
