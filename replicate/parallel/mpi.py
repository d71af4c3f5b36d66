"""More than one machine, by MPI: every rank does its share of the tasks, and results meet on disk.

Rank 0 prepares the folder and holds its lock; the list of what is missing goes
to all ranks; each runs its share in processes of its own; when all are done,
rank 0 concludes.  A rank that fails ends all of them, and the same command
then does what is missing.  All ranks see one file system.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from ..io.errors import InputError
from .pool import Outcome, checked_jobs, run_tasks

__all__ = ["active", "follow", "leave", "rank", "run_shares", "wait", "world"]

# Seconds between two looks at whether the other ranks have arrived: MPI's own wait
# keeps a core busy.
_PAUSE = 0.05


def active() -> bool:
    """Whether this process is one of several that ``mpiexec`` or ``srun`` started."""
    environment = os.environ
    size = environment.get("OMPI_COMM_WORLD_SIZE") or environment.get("PMI_SIZE") or ""
    if not size and "PMIX_RANK" in environment:
        size = environment.get("SLURM_NTASKS", "")
    return size.isdigit() and int(size) > 1


def world() -> Any:
    """MPI's communicator of all ranks, started on first use; from then on a fault ends all ranks.

    Raises:
        InputError: where mpi4py or an MPI library is missing.
    """
    try:
        from mpi4py import MPI
    except ImportError:
        raise InputError(
            "mpiexec: mpi4py is not installed; run `pip install mpi4py` in this environment"
        ) from None
    except RuntimeError as error:
        words = str(error).splitlines()[0]
        raise InputError(f"mpiexec: no MPI library is found ({words}); install Open MPI") from None
    if active():
        sys.excepthook = _end_all
    return MPI.COMM_WORLD


def _end_all(*fault):
    """Print a traceback and end all ranks: MPI's own end would wait for those that wait here."""
    sys.__excepthook__(*fault)
    leave(1)


def rank() -> int:
    """Number of this process among those that ``mpiexec`` started; 0 without it."""
    return world().rank if active() else 0


def wait() -> None:
    """Return when all ranks are here."""
    request = world().Ibarrier()
    while not request.Test():
        time.sleep(_PAUSE)


def run_shares(
    groups: list,
    jobs: int,
    on_progress: Callable[[Any, Any], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Run tasks, each rank its share of the groups; without ``mpiexec`` all of them.

    Rank 0 calls this, the others :func:`follow`.  Tasks leave their results on
    the disk.

    Args:
        groups (list of list of Task): tasks of a group run on one rank.
        jobs, on_progress, threads: see :func:`replicate.parallel.pool.run_tasks`;
            how other ranks' tasks ended is reported when all are done.

    Returns:
        Outcome: of the tasks of all ranks, on rank 0.

    Raises:
        InputError: when a task met bad input, and for `jobs` below 1.
    """
    # Before anything waits for another rank.
    jobs = checked_jobs(jobs)
    if not active():
        return run_tasks([task for group in groups for task in group], jobs, on_progress, threads)
    on_progress = on_progress or (lambda name, message: None)
    comm = world()
    wait()
    groups = comm.bcast([group for group in groups if group])
    shares = [
        [task for group in groups[n :: comm.size] for task in group] for n in range(comm.size)
    ]
    outcome = run_tasks(shares[comm.rank], jobs, on_progress, threads)
    wait()
    for tasks, other in list(zip(shares, comm.gather(outcome) or ()))[1:]:
        outcome.failures.update(other.failures)
        outcome.peak_memory = max(outcome.peak_memory, other.peak_memory)
        outcome.peak_together += other.peak_together
        for task in tasks:
            on_progress(task.name, "failed" if task.name in other.failures else "done")
    return outcome


def follow(jobs: int, threads: int = 1) -> int:
    """What ranks above 0 do: their share of rank 0's tasks.

    Returns:
        int: exit code, 0: rank 0 has the failures and reports them.
    """
    run_shares([], jobs, threads=threads)
    return 0


def leave(code: int) -> NoReturn:
    """End the process when all ranks are here; with another exit code than 0, end them all."""
    if active() and "mpi4py.MPI" in sys.modules:
        if code:
            sys.stdout.flush()
            sys.stderr.flush()
            world().Abort(code)
        wait()
    sys.exit(code)
