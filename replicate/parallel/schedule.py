"""A run's unfinished training runs, side by side: the stages of seeds over worker processes.

Every training run has a process and one thread of its own, so results do not
depend on how many run at once, or on how many machines.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..config import ARMS, PRESETS, checked_seeds
from ..experiment import UNSCORED, conclude, prepare, run_stage
from ..io.data import Paths, find_data
from ..io.errors import InputError
from ..io.wordvectors import Vectors
from ..run import Run
from ..settings import Options
from .mpi import run_shares
from .pool import Outcome, Task, checked_jobs

__all__ = ["run_all", "run_experiment"]


def train_arm(out: str, seed: int, arm: str, on_progress: Callable[[Any], None]) -> None:
    """Task: one training run of a prepared folder, and what follows it."""
    run_stage(Run(out), seed, arm, lambda epoch, accuracy: on_progress((epoch, accuracy)))


def run_all(
    run: Run,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Carry out what is unfinished of a run.

    Args:
        run: prepared.
        jobs (int): training runs at once.
        on_progress: callable ``(name, message)``: name is ``(seed, arm)``, message
            ``(epoch, accuracy)``, ``"done"`` or ``"failed"``.
        threads (int): of the matrix library in each process.

    Returns:
        Outcome: failures are by ``(seed, arm)``.

    Raises:
        InputError: for `jobs` below 1, and when a training run met bad input.
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
            run.save_accuracies(seed)
    return outcome


def run_experiment(
    preset: str = "sample",
    *,
    seeds: int | Iterable[int] = 1,
    out: str | Path | None = None,
    corpus: Paths = (),
    vectors: Vectors | None = None,
    jobs: int | None = None,
    on_progress: Callable[[Any, Any], None] | None = None,
    **readings: Any,
) -> Run:
    """The whole experiment of section 4, as ``replicate run`` carries it out.

    The same call again continues what is unfinished; other settings in the
    same folder are refused.

    Args:
        preset: ``"sample"`` (200 sentences that come with gensim), ``"paper"``,
            ``"as-written"`` or ``"calibrated"``; see :data:`replicate.config.PRESETS`.
        seeds: how many, or which.
        out: folder of the run; None is ``out/PRESET``.
        corpus: a path or paths, see :func:`replicate.read_corpus`; empty looks for the preset's.
        vectors: path of a word-vector file, ``"gensim:NAME"`` for one in gensim's own folder,
            gensim's ``KeyedVectors``, or ``"random"``; None looks for a file.
        jobs: training runs at once, 1 or more; None is one a core.
        on_progress: called with ``(seed, arm)`` and what happened to it: ``(epoch,
            accuracy)``, ``"done"`` or ``"failed"``.
        readings: settings that differ from the preset's, by name.

    Returns:
        The run, with claims judged, figures drawn and the report written.

    Raises:
        InputError: for bad data, settings, seeds or jobs, or a folder of other settings;
            a run that is there stays as it is.
        RuntimeError: when a training run failed; the same call repeats it.

    Example:
        >>> run = run_experiment("sample", out=tempfile.mkdtemp(), epochs=3, jobs=1)
        >>> run.finished_seeds(), run.verdicts["id"][:3]
        ([0], ['S1', 'F3', 'F4'])
    """
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not offered; choose {', '.join(PRESETS)}")
    config = PRESETS[preset].replace(**readings)
    chosen = checked_seeds(seeds)
    at_once = checked_jobs((os.cpu_count() or 1) if jobs is None else jobs)
    folder = Path(out or Path("out") / preset)
    _, paths, rows = find_data(preset, corpus, vectors)
    with Run.locked(folder):
        run = prepare(folder, config, Options(), chosen, paths, rows, preset)
        outcome = run_all(run, at_once, on_progress)
        conclude(run)
    for (seed, arm), reason in outcome.failures.items():
        raise RuntimeError(f"seed {seed}, {arm}: {reason.strip().splitlines()[-1]}")
    return run
