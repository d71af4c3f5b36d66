"""How much could any choice of half of T2 matter? (beyond the paper)

The paper adds the half of T2 with the higher A_S to T1.  Three things bound what
this can gain: all of T2 against a random half (*headroom*), how far random halves
differ among themselves, and how reliable A_S is, since it comes from one training.

For every seed, further models are trained as ``T1andT2h`` is: on T1 with each of
several random halves, and on T1 with the halves of ``T1andT2h*`` and ``T1andT2l*``.
These are chosen by A_S averaged over several first phases, which have the same
division of the corpus and the same word vectors, and other initial weights and
orders of sentences: the paper's idea without the noise of one training.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..claims import VERDICTS, Claim, Part
from ..inference import ALPHA, mean_interval
from ..io.errors import InputError
from ..io.files import save_csv
from ..model import initial_model
from ..parallel.pool import Outcome
from ..run import Run
from ..selection import median_halves
from ..show.wording import shown_number
from ..statistics import comparable, late_and_mean
from ..verdicts import Row, Verdict, judge_part
from .trainings import (
    check_finished,
    first_phase,
    further_seed,
    random_half,
    rows_there,
    run_seeds,
    scores_of_t2,
    train_on,
)

__all__ = [
    "CLAIM",
    "average_score",
    "judge_choice",
    "run_choice",
    "seed_choice",
    "sum_of_ranks_p",
    "trainings",
    "write_choice",
]

#: Random halves and first phases of a seed.
HALVES, PHASES = 20, 20
#: Reliability for which the number of first phases is computed.
WANTED = 0.9

#: Files of a seed, in a folder of their own.
LEVELS, SCORES = "levels.csv", "scores.csv"
LEVEL = ("arm", "late", "mean")
SCORE = ("phase", "sentence", "score")
TABLE = ("measure", "paper", "ours", "low", "high", "seeds", "answer")

_LEAD = "lead of T1andT2h"
_CHOICE = (
    Part("all of T2 less a random half", "T1andT2 - random", "headroom"),
    Part("T1andT2h less random halves", "T1andT2h - random", _LEAD),
    Part("T1andT2l less random halves", "T1andT2l - random", "alike", True),
    Part("T1andT2h* less random halves", "T1andT2h* - random", _LEAD),
    Part("T1andT2h* less T1andT2l*", "T1andT2h* - T1andT2l*", _LEAD),
    Part("T1andT2h* less T1andT2h", "T1andT2h* - T1andT2h", "unstated"),
)
#: What is judged, by the rule of the claims.  It is no claim of the paper.
CLAIM = Claim("choice", "choosing half of T2 can matter", "", "epochs 40-50", _CHOICE)


# --- one seed --------------------------------------------------------------------------


def average_score(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """A_S averaged over first phases, each divided by its own mean.

    Trainings differ in the size of their gradients; undivided, the largest decide.

    Args:
        scores: (P, n) A_S of n sentences after P first phases.

    Returns:
        (n,) float64.

    Example:
        >>> average_score(np.array([[1.0, 3.0], [300.0, 100.0]])).tolist()
        [1.0, 1.0]
    """
    size = scores.mean(axis=1, keepdims=True, dtype=np.float64)
    return np.asarray((scores / np.where(size > 0, size, 1.0)).mean(axis=0))


def _folder(run: Run, seed: int) -> Path:
    return run.seed_folder(seed) / "choice"


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def work_on_choice(
    out: str, seed: int, halves: int, phases: int, on_progress: Callable[[Any], None]
) -> None:
    """Task: the further trainings of a seed; what is there already is kept."""
    run = Run(out)
    scores = _first_phases(run, seed, phases, on_progress)
    t1, t2, _ = run.split(seed)
    h, l = median_halves(average_score(scores), t2)
    added = {"T1andT2h*": h, "T1andT2l*": l}
    for k in range(halves):
        added[f"random_{k}"] = random_half(seed, k, t2)
    place = _folder(run, seed) / LEVELS
    rows = rows_there(place, LEVEL, text=["arm"])
    done = {row["arm"]: list(row.values()) for row in rows}
    for arm, half in added.items():
        # T1andT2h* is another set when it is averaged over another number of phases.
        name = f"{arm} {phases}" if arm.endswith("*") else arm
        if name in done:
            continue
        added_to = np.sort(np.concatenate([t1, half]))
        curve = train_on(run, seed, added_to, name, place.parent)
        done[name] = [name, *late_and_mean(curve)]
        save_csv(place, LEVEL, done.values())
        on_progress((phases - 1 + len(done), None))


def _first_phases(
    run: Run, seed: int, phases: int, on_progress: Callable[[Any], None]
) -> NDArray[np.float64]:
    """(P, n) A_S of T2 after the run's own first phase and after P - 1 further ones."""
    t1, t2, t3 = run.split(seed)
    place = _folder(run, seed) / SCORES
    found = _scores_there(run, seed)
    if 0 not in found:
        found[0] = scores_of_t2(run, seed, run.instability(seed)[0]).tolist()
    for phase in range(1, phases):
        if phase in found:
            continue
        other = further_seed("further first phase", seed, phase)
        what = f"seed {seed}, first phase {phase}"
        model = initial_model(run, seed, other)
        wac, _ = first_phase(run, model, (t1, t3), other, what, place.parent)
        found[phase] = scores_of_t2(run, seed, wac).tolist()
        table = [
            (phase, sentence, score)
            for phase, scores in sorted(found.items())
            for sentence, score in zip(t2.tolist(), scores)
        ]
        save_csv(place, SCORE, table)
        on_progress((len(found) - 1, None))
    return np.array([found[phase] for phase in range(phases)])


def _scores_there(run: Run, seed: int) -> dict[int, list[float]]:
    """A_S of T2 after each first phase that is done, by its number."""
    found: dict[int, list[float]] = {}
    for row in rows_there(_folder(run, seed) / SCORES, SCORE):
        found.setdefault(int(row["phase"]), []).append(row["score"])
    return found


def trainings(halves: int = HALVES, phases: int = PHASES) -> int:
    """How many models are trained for a seed."""
    return phases - 1 + 2 + halves


def run_choice(
    run: Run,
    seeds: Sequence[int],
    halves: int = HALVES,
    phases: int = PHASES,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
) -> Outcome:
    """Train what :func:`seed_choice` needs, for every seed; resumable.

    Args:
        run: of an experiment.
        seeds: finished seeds.
        halves: random halves of T2 a seed.
        phases: first phases a seed, the run's own among them.
        jobs: seeds at once.
        on_progress: callable ``(seed, message)``: the number of models trained, and None;
            then ``"done"`` or ``"failed"``.

    Returns:
        Failures by seed.

    Raises:
        InputError: if a seed is not finished.
    """
    check_finished(run, seeds)
    return run_seeds(run, seeds, work_on_choice, halves, phases, jobs=jobs, on_progress=on_progress)


# --- the answers -----------------------------------------------------------------------


def seed_choice(run: Run, seed: int, halves: int = HALVES, phases: int = PHASES) -> dict[str, Any]:
    """What the trainings of a seed say: one row of the table that is judged.

    Args:
        run, seed, halves, phases: after :func:`run_choice`.

    Returns:
        Name -> number.  Levels of accuracy are means of epochs 40-50: of three arms of
        the run, of ``T1andT2h*`` and ``T1andT2l*``, and ``random``, the mean over random
        halves; ``spread``: standard deviation of random halves; ``rank``: place of
        T1andT2h among them, from 0 (worst) to 1; ``reliability``: rank correlation of A_S
        between two first phases, mean over all pairs; ``overlap``: share of T2h that two
        of them have in common.
        And ``midranks``: twice the ranks of T1andT2h and of all random halves.
    """
    found = {
        row["arm"]: row["late"] for row in rows_there(_folder(run, seed) / LEVELS, LEVEL, ["arm"])
    }
    names = [f"random_{k}" for k in range(halves)]
    stars = [f"{arm} {phases}" for arm in ("T1andT2h*", "T1andT2l*")]
    if missing := {*names, *stars} - set(found):
        raise InputError(f"{run.out}: seed {seed} has no {sorted(missing)[0]}; run it first")
    curves = run.accuracies(seed)
    levels = {arm: late_and_mean(curves[arm])[0] for arm in ("T1andT2", "T1andT2h", "T1andT2l")}
    levels.update({name.split()[0]: found[name] for name in stars})
    drawn = np.array([found[name] for name in names])
    ranks = stats.rankdata(comparable([levels["T1andT2h"], *drawn]))
    reliability, overlap = _agreement(run, seed, phases)
    return {
        **levels,
        "random": float(drawn.mean()),
        "spread": float(drawn.std(ddof=1)),
        "rank": (ranks[0] - 1) / halves,
        "reliability": reliability,
        "overlap": overlap,
        "midranks": np.rint(2 * ranks).astype(int).tolist(),
    }


def _agreement(run: Run, seed: int, phases: int) -> tuple[float, float]:
    """Mean rank correlation of A_S, and mean overlap of T2h, of two first phases."""
    found = _scores_there(run, seed)
    scores = [np.array(found[phase]) for phase in range(phases)]
    ranks = np.array([stats.rankdata(score) for score in scores])
    correlation = np.corrcoef(ranks)[np.triu_indices(phases, 1)]
    places = np.arange(len(scores[0]))
    chosen = [set(median_halves(score, places)[0].tolist()) for score in scores]
    shared = [len(one & two) / len(one) for one, two in combinations(chosen, 2)]
    return float(correlation.mean()), float(np.mean(shared))


def sum_of_ranks_p(midranks: Sequence[Sequence[int]]) -> float:
    """Exact two-sided p that the first of each row stands at any place with equal chance.

    If a choice gains nothing, the chosen half is one more random half, so that its rank
    is each of the row's with equal probability.  The statistic is the sum of its ranks
    over rows; its distribution is the convolution of theirs, which allows for ties.

    Args:
        midranks: a row a seed: twice the midranks, of the chosen half first.

    Returns:
        Twice the smaller tail, 1 at most.

    Example:
        >>> sum_of_ranks_p([[6, 2, 4]]), round(sum_of_ranks_p([[6, 2, 4]] * 5), 4)
        (0.6666666666666666, 0.0082)
    """
    chance = np.ones(1)
    for row in midranks:
        each = np.bincount(row) / len(row)
        chance = np.convolve(chance, each)
    total = sum(row[0] for row in midranks)
    tail = min(chance[: total + 1].sum(), chance[total:].sum())
    return float(min(1.0, 2 * tail))


def judge_choice(table: Sequence[Row]) -> Verdict:
    """The rule of the claims on what a choice of half of T2 gains.

    Args:
        table: rows of :func:`seed_choice`.

    Returns:
        With the parts of :data:`CLAIM`; their intervals hold together with 95 %.
    """
    parts = tuple(judge_part(part, table, ALPHA / len(_CHOICE)) for part in _CHOICE)
    worst = [
        min((getattr(part, name) for part in parts), key=VERDICTS.index)
        for name in ("verdict", "always")
    ]
    return Verdict(CLAIM, parts, min(part.seeds for part in parts), *worst)


def write_choice(
    run: Run, seeds: Sequence[int], halves: int = HALVES, phases: int = PHASES
) -> list[Path]:
    """Write what a choice could gain: a table, the numbers of every seed, and a figure.

    Args:
        run, seeds, halves, phases: after :func:`run_choice`.

    Returns:
        What was written, in ``DIR/choice``.
    """
    from ..show.forest import forest

    out = run.out / "choice"
    table = [seed_choice(run, seed, halves, phases) for seed in seeds]
    judged = judge_choice(table)
    rows: list[tuple] = [
        (
            part.part.title,
            "" if part.part.reported is None else shown_number(part.part, part.part.reported),
            part.mean, part.low, part.high, part.seeds, part.verdict,
        )
        for part in judged.parts
    ]  # fmt: skip
    p = sum_of_ranks_p([row["midranks"] for row in table])
    described = {
        "spread": f"standard deviation of {halves} random halves in a seed",
        "rank": f"place of T1andT2h among {halves} random halves, 0 worst, 1 best",
        "reliability": "rank correlation of A_S between two first phases of a seed",
        "overlap": "share of T2h that two first phases have in common; by chance 0.5",
    }
    means = {}
    for name, title in described.items():
        values = np.array([row[name] for row in table])
        spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        means[name] = float(values.mean())
        low, high = (float(bound) for bound in mean_interval(means[name], spread, len(values)))
        answer = f"p = {p:.2g} (exact, all places equally likely)" if name == "rank" else ""
        rows.append((title, "", means[name], low, high, len(values), answer))
    r = means["reliability"]
    needed = WANTED * (1 - r) / (r * (1 - WANTED)) if r > 0 else np.inf
    rows += [
        (f"first phases for a reliability of {WANTED}", "", needed, "", "", len(table), ""),
        (f"reliability of the average of {phases}", "", phases * r / (1 + (phases - 1) * r),
         "", "", len(table), ""),
    ]  # fmt: skip
    save_csv(out / "choice.csv", TABLE, rows)
    kept = [name for name in table[0] if name != "midranks"]
    save_csv(
        out / "statistics.csv",
        ("seed", *kept),
        [(seed, *(row[name] for name in kept)) for seed, row in zip(seeds, table)],
    )
    shown: Mapping[str, list[Verdict]] = {run.title: [judged]}
    figure = forest(shown, out / "choice-forest", "What choosing half of T2 gains")
    return [out / "choice.csv", out / "statistics.csv", figure]
