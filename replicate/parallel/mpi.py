"""More than one machine, by MPI: tasks spread over ranks, or one model trained by all of them.

Spread: rank 0 schedules, and every rank, 0 among them, runs its tasks in
processes of their own, so a task that dies takes no rank along.  mpi4py's own
pool (``mpi4py.futures``) knows of no rank that dies: it would wait for ever.

Data-parallel: every rank holds the model; a batch, the recording and the
evaluation are cut by sentences; gradients are averaged by ChainerMN's
communicator, and rank 0 alone writes.

All ranks see one file system: stages meet on disk.
"""

import contextlib
import os
import sys
import time

import numpy as np

from ..io.errors import InputError
from .pool import Crew
from .ranks import OneRank

__all__ = ["Group", "RankCrew", "active", "leave", "rank_crew", "serve"]

#: Seconds between two signs of life of a rank.
_BEAT = 1.0
# How long a rank that runs nothing sleeps between two looks at its messages.
_NAP = 0.01

_state = {"comm": None, "lost": False}


def active():
    """Whether this process is one of several that ``mpiexec`` or ``srun`` started."""
    environment = os.environ
    size = environment.get("OMPI_COMM_WORLD_SIZE") or environment.get("PMI_SIZE")
    if not size and "PMIX_RANK" in environment:
        size = environment.get("SLURM_NTASKS")
    return bool(size) and size.isdigit() and int(size) > 1


def _world():
    """MPI's communicator of all ranks, started on first use."""
    if _state["comm"] is None:
        try:
            from mpi4py import MPI
        except ImportError:
            raise InputError(
                "mpiexec: mpi4py is not installed; pip install 'word-saliency-replication[mpi]'"
            ) from None
        except RuntimeError as error:
            words = str(error).splitlines()[0]
            raise InputError(
                f"mpiexec: no MPI library is found ({words}); install Open MPI"
            ) from None
        _state["comm"] = MPI.COMM_WORLD
    return _state["comm"]


def rank():
    """Number of this process among those that ``mpiexec`` started."""
    return _world().rank


def silence():
    """Seconds without a sign of life after which a rank counts as dead."""
    return float(os.environ.get("REPLICATE_MPI_SILENCE", 30))


def leave(code):
    """End the process; MPI's own end would wait for ever for ranks that died.

    Args:
        code (int): exit code.
    """
    if _state["comm"] is not None and (code or _state["lost"]):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


# --- tasks over ranks --------------------------------------------------------------


class RankCrew:
    """Runs tasks on all ranks: what :class:`replicate.parallel.pool.Crew` is to one machine.

    A rank that gives no sign of life for :func:`silence` seconds counts as
    dead: its tasks are reported, and no more are sent there.

    Args:
        jobs (int): tasks at once on each rank.
        threads (int): of the matrix library in each.
    """

    def __init__(self, jobs, threads=1):
        self.comm = _world()
        self.jobs = jobs
        self.own = Crew(jobs, threads)
        self.running = {rank: {} for rank in range(1, self.comm.size)}
        self.seen = dict.fromkeys(self.running, time.monotonic())
        self._beaten = 0.0

    def _loads(self):
        return {0: self.own.busy, **{rank: len(tasks) for rank, tasks in self.running.items()}}

    @property
    def free(self):
        """Whether another task can be started."""
        return min(self._loads().values()) < self.jobs

    def start(self, task):
        """Run a task where the fewest run; rank 0, which has to schedule, comes last."""
        loads = self._loads()
        chosen = min(loads, key=lambda rank: (loads[rank], rank == 0, rank))
        if chosen == 0:
            self.own.start(task)
            return
        self.running[chosen][task.name] = task
        self.comm.send(("task", task), dest=chosen)

    def wait(self):
        """What running tasks tell next; see :meth:`replicate.parallel.pool.Crew.wait`."""
        while True:
            events = self.own.wait(0) + self._received() + self._dead()
            if events:
                return events
            time.sleep(_NAP)

    def _received(self):
        events = []
        while self.comm.iprobe():
            rank, name, kind, message = self.comm.recv()
            self.seen[rank] = time.monotonic()
            if rank in self.running and name in self.running[rank]:
                task = self.running[rank][name]
                if kind != "tell":
                    del self.running[rank][name]
                events.append((task, kind, message))
        return events

    def _dead(self):
        now = time.monotonic()
        if now - self._beaten > _BEAT:
            self._beaten = now
            for rank in self.running:
                self.comm.send(("alive", None), dest=rank)
        events = []
        for rank in [r for r in self.running if now - self.seen[r] > silence()]:
            words = f"rank {rank} has given no sign of life for {silence():.0f} s"
            events += [(task, "died", words) for task in self.running.pop(rank).values()]
            _state["lost"] = True
        return events

    def stop(self):
        """End what still runs, here and elsewhere."""
        self.own.stop()
        for rank, tasks in self.running.items():
            self.comm.send(("end tasks", None), dest=rank)
            tasks.clear()


@contextlib.contextmanager
def rank_crew(jobs, threads=1):
    """A :class:`RankCrew` on rank 0; the others are sent home at the end.

    Without ``mpiexec`` it is None: the caller then runs tasks on its own machine.
    """
    if not active():
        yield None
        return
    crew = RankCrew(jobs, threads)
    try:
        yield crew
    finally:
        crew.own.stop()
        for rank in crew.running:
            crew.comm.send(("leave", _state["lost"]), dest=rank)


def serve(jobs, threads=1):
    """What every rank but 0 does: run the tasks it is sent until it is sent home.

    Args:
        jobs, threads (int): see :class:`RankCrew`.

    Returns:
        int: exit code, 1 when rank 0 has fallen silent.
    """
    comm = _world()
    crew = Crew(jobs, threads)
    heard = beaten = None
    try:
        while True:
            while comm.iprobe(source=0):
                kind, value = comm.recv(source=0)
                heard = time.monotonic()
                if kind == "task":
                    crew.start(value)
                elif kind == "end tasks":
                    crew.stop()
                    heard = None  # rank 0 may now be busy with other things
                elif kind == "leave":
                    _state["lost"] = value
                    return 0
            now = time.monotonic()
            if heard is not None and now - heard > 4 * silence():
                _state["lost"] = True
                return 1
            for task, kind, message in crew.wait(_NAP):
                comm.send((comm.rank, task.name, kind, message), dest=0)
            if beaten is None or now - beaten > _BEAT:
                comm.send((comm.rank, None, "alive", None), dest=0)
                beaten = now
            # Without a task to wait for, waiting returns at once.
            if not crew.busy:
                time.sleep(_NAP)
    finally:
        crew.stop()


# --- one model on all ranks ----------------------------------------------------------


class Group(OneRank):
    """All ranks, which train one model together by ChainerMN's communicator."""

    def __init__(self):
        world = _world()
        import chainermn

        self.comm = chainermn.create_communicator("naive", mpi_comm=world)
        self.rank, self.size = world.rank, world.size
        self.leads = self.rank == 0

    def bcast(self, value=None):
        """Rank 0's value, on all ranks."""
        return self.comm.mpi_comm.bcast(value, root=0)

    def wait(self):
        """Return when all ranks are here."""
        self.comm.mpi_comm.barrier()

    def sum(self, number):
        """Sum of a number over ranks, on all of them."""
        return self.comm.mpi_comm.allreduce(number)

    def same_weights(self, model):
        """Give every rank rank 0's weights."""
        self.comm.bcast_data(model)

    def mean_gradient(self, model):
        """Average the gradients over ranks, in place; one that is missing counts as zero."""
        self.comm.multi_node_mean_grad(model, zero_fill=True)

    def bounds(self, offsets):
        """First and last (exclusive) of this rank's sentences; see :meth:`OneRank.bounds`."""
        shares = offsets[0] + (offsets[-1] - offsets[0]) * np.arange(self.size + 1) / self.size
        ends = np.searchsorted(offsets, shares)
        ends[0], ends[-1] = 0, len(offsets) - 1
        return int(ends[self.rank]), int(ends[self.rank + 1])

    def gather(self, arrays):
        """Arrays of all ranks, one after another, on rank 0; see :meth:`OneRank.gather`."""
        world = self.comm.mpi_comm
        made = []
        for array in arrays:
            array = np.ascontiguousarray(array)
            lengths = world.gather(len(array), root=0)
            whole = np.empty(sum(lengths), dtype=array.dtype) if self.leads else None
            world.Gatherv(array, (whole, lengths) if self.leads else None, root=0)
            made.append(whole)
        return made if self.leads else None
