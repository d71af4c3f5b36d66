"""A run's unfinished training runs, side by side: the stages of seeds over worker processes.

Every training run has a process and one thread of its own, so results do not
depend on how many run at once, or on how many machines.
"""

from collections.abc import Callable
from typing import Any

from ..config import ARMS
from ..experiment import UNSCORED, RunFolder, finish_seed, run_stage
from .mpi import run_shares
from .pool import Outcome, Task

__all__ = ["run_all"]


def train_arm(out: str, seed: int, arm: str, on_progress: Callable[[Any], None]) -> None:
    """Task: one training run of a prepared folder, and what follows it."""
    run_stage(RunFolder(out), seed, arm, lambda epoch, accuracy: on_progress((epoch, accuracy)))


def run_all(
    run: RunFolder,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Carry out what is unfinished of a run.

    Args:
        run (RunFolder): prepared.
        jobs (int): training runs at once.
        on_progress: callable ``(name, message)``: name is ``(seed, arm)``, message
            ``(epoch, accuracy)``, ``"done"`` or ``"failed"``.
        threads (int): of the matrix library in each process.

    Returns:
        Outcome: failures are by ``(seed, arm)``.
    """
    seeds = []
    for seed in run.seeds:
        finished = {arm: run.finished(seed, arm) for arm in ARMS}
        tasks = []
        # The short ones last, so that no process is left alone with a long one.
        for arm in sorted(ARMS, key=lambda arm: arm.startswith("T2")):
            free = finished["T1"] or arm == "T1" or arm in UNSCORED
            if not (finished[arm] and free):
                after = () if free else ((seed, "T1"),)
                tasks.append(Task((seed, arm), train_arm, (str(run.out), seed, arm), after))
        seeds.append(tasks)
    outcome = run_shares(seeds, jobs, on_progress, threads)
    for seed in run.seeds:
        if not any(name[0] == seed for name in outcome.failures):
            finish_seed(run, seed)
    return outcome
