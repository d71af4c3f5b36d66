"""Further trainings of a run's seeds: what the questions beyond the paper have in common.

A question trains further networks for a seed of a finished run, keeps what each of them
reached in tables of its own folder, and goes on from there after a stop.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ARMS, Config, generator
from ..experiment import check_converged
from ..instability import sentence_instability
from ..io.errors import InputError
from ..io.files import read_csv
from ..model import TextCNN, initial_model
from ..parallel.pool import Outcome, Task, run_tasks
from ..recorder import Recorder
from ..run import Run
from ..selection import budget
from ..training import train

__all__ = [
    "check_finished",
    "first_phase",
    "further_seed",
    "random_half",
    "rows_there",
    "run_seeds",
    "scores_of_t2",
    "train_on",
]

Progress = Callable[[Any, Any], None]


def check_finished(run: Run, seeds: Sequence[int], arms: Sequence[str] = ARMS) -> None:
    """Look whether the training runs of every seed are complete.

    Args:
        run: of an experiment.
        seeds: which.
        arms: those that must be complete.

    Raises:
        InputError: if one is not.
    """
    for seed in seeds:
        if not all(run.finished(seed, arm) for arm in arms):
            raise InputError(f"{run.out}: seed {seed} is not finished; run it first")


def run_seeds(
    run: Run,
    seeds: Sequence[int],
    work: Callable[..., None],
    *arguments: Any,
    jobs: int = 1,
    on_progress: Progress | None = None,
) -> Outcome:
    """Run a task for every seed, so many at once.

    Args:
        run: of an experiment.
        seeds: which.
        work: function of an importable module, called as ``work(DIR, seed, *arguments, on_progress)``.
        jobs: seeds at once.
        on_progress: callable ``(seed, message)``: the number of networks trained, and None;
            then ``"done"`` or ``"failed"``.

    Returns:
        Failures by seed.

    Raises:
        InputError: for `jobs` below 1, and when a task met bad input.
    """
    tasks = [Task(seed, work, (str(run.out), seed, *arguments), ()) for seed in seeds]
    return run_tasks(tasks, jobs, on_progress)


def rows_there(
    place: Path, header: Sequence[str], text: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of a seed's table; none before it is made.

    Args:
        place: of the table.
        header: its columns.
        text: those that hold text; all others hold numbers.
    """
    if not place.exists():
        return []
    return read_csv(place, header, {name: float for name in header if name not in text})


def further_seed(name: str, seed: int, k: int) -> int:
    """The seed of the k-th further training of a question, from a generator of its own.

    Example:
        >>> further_seed("further first phase", 0, 1) == further_seed("further first phase", 0, 1)
        True
    """
    return int(generator(name, seed, k).randint(2**31))


def random_half(seed: int, k: int, t2: NDArray[np.integer]) -> NDArray[np.integer]:
    """The k-th random half of T2, as its sentences."""
    return generator("random half", seed, k).permutation(t2)[: budget(len(t2))]


def train_on(
    run: Run,
    seed: int,
    sentences: NDArray[np.integer],
    what: str,
    folder: Path,
    config: Config | None = None,
    own: int | None = None,
    **options: Any,
) -> list[Sequence[float]]:
    """Train a new network on sentences of a seed's corpus, as an arm is.

    Args:
        run, seed: whose word vectors and T3 it has.
        sentences: indices, whose order is that of the order of training.
        what: names the training in messages, and the state that is kept for a stop.
        folder: for that state.
        config: other readings of the network.
        own: another seed of initial weights, order and dropout.
        options: of :func:`replicate.training.train`.

    Returns:
        (epoch, accuracy, ...) of every epoch.

    Raises:
        InputError: if the training did not converge.
    """
    own = seed if own is None else own
    model = initial_model(run, seed, own, config)
    rows, _ = train(
        model, run.corpus, sentences, run.split(seed)[2], seed=own, folder=folder,
        fingerprint=f"{run.identity} {seed} {what}", **options,
    )  # fmt: skip
    check_converged(rows, model.config, f"{run.out}: seed {seed}, {what}")
    return rows


def first_phase(
    run: Run,
    model: TextCNN,
    sentences: tuple[NDArray[np.integer], NDArray[np.integer]],
    seed: int,
    what: str,
    folder: Path,
) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Train a network on T1 and record saliency after every epoch (4.3.1).

    Args:
        run: whose corpus it learns.
        model: with its initial weights; it is trained.
        sentences: T1 and T3, or parts of them.
        seed: of order and dropout.
        what, folder: as of :func:`train_on`.

    Returns:
        wac of eq. (9) and the number of occurrences, of every word.

    Raises:
        InputError: if the training did not converge.
    """
    t1, t3 = sentences
    corpus = run.corpus
    recorder = Recorder.of_model(model, *corpus.take(t1), len(corpus.words), stored=False)
    rows, _ = train(
        model, corpus, t1, t3, seed=seed, folder=folder, recorder=recorder,
        fingerprint=f"{run.identity} {what}",
    )  # fmt: skip
    wac, count = recorder.word_instability(model.config.ddof)
    check_converged(rows, model.config, f"{run.out}: {what}", wac[count > 0])
    return wac, count


def scores_of_t2(run: Run, seed: int, wac: NDArray[np.floating]) -> NDArray[np.float64]:
    """A_S of the sentences of T2 (eq. 10), under the readings of the run."""
    config, t2 = run.config, run.split(seed)[1]
    return sentence_instability(
        wac, *run.corpus.take(t2), config.unseen_words, config.repeated_words
    )
