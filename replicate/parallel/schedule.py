"""The stages of all seeds of a run, side by side."""

from ..config import ARMS
from ..experiment import UNSCORED, run_stage
from ..run import Run
from .pool import Outcome, Task, run_tasks

__all__ = ["run_all"]


def work_on_arm(out, seed, arm, tell):
    """Task: one training run of a prepared folder, and what follows from it."""
    run_stage(Run(out), seed, arm, lambda epoch, accuracy: tell((epoch, accuracy)))


def run_all(run, jobs=1, tell=None, threads=1, crew=None):
    """Carry out what is unfinished of a run."""
    tasks = []
    for seed in run.seeds:
        first_done = run.finished(seed, "T1")
        # The short ones last, so that no process is left alone with a long one.
        for arm in sorted(ARMS, key=lambda arm: arm.startswith("T2")):
            if arm == "T1":
                if not first_done:
                    tasks.append(Task((seed, arm), work_on_arm, (str(run.out), seed, arm), ()))
            elif not run.finished(seed, arm) or not (first_done or arm in UNSCORED):
                after = () if first_done or arm in UNSCORED else ((seed, "T1"),)
                tasks.append(Task((seed, arm), work_on_arm, (str(run.out), seed, arm), after))
    outcome = run_tasks(tasks, jobs, tell, threads, crew) if tasks else Outcome()
    for seed in run.seeds:
        if not any(name[0] == seed for name in outcome.failures):
            run.save_accuracies(seed)
    return outcome


def run_experiment(preset="sample", seeds=1, out=None, **readings):
    """The whole experiment."""
    raise NotImplementedError
