"""Could choosing ever pay? Where the accuracy of a half comes from, and other regimes (beyond the paper)

A network that learns T1 and a half of T2 is better or worse for three reasons: the
division of the corpus, the half, and the training itself (initial weights and order).  A
choice can only use the second.  In the *crossed design*, for every division, each of H
random halves is trained R times, with the same R seeds of the training for all halves.
With y the accuracy on T3 over epochs 40-50,

    y = mean + division + half + training + rest,

and the variance of each part follows from the mean squares of the two-way table.

*The best half*: of the H halves the one that is best on one part of T3 is measured on the
other, in a training that did not choose it.  Chosen and measured on the same sentences or in
the same training, it would look better than it is.

*Regimes*: with fewer sentences in T1, or with other numbers of filters, does all of T2
gain more over a random half, is A_S more reliable, and does T2h lead?
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats

from ..config import PAPER, generator
from ..corpus import Corpus
from ..inference import ALPHA, mean_interval
from ..io.errors import InputError
from ..io.files import save_csv
from ..model import TextCNN, initial_model
from ..parallel.pool import Outcome
from ..run import Run
from ..selection import median_halves
from ..statistics import comparable, late_and_mean, window
from ..training import Evaluator, Parts
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
    "Design",
    "best_half",
    "components",
    "draw_ceiling",
    "known_best",
    "run_ceiling",
    "seed_regimes",
    "write_ceiling",
]

#: What varies in the crossed design.
SOURCES = ("division", "half", "training", "rest")
#: Files of a seed.
CROSSED, REGIMES = "crossed.csv", "regimes.csv"
CROSSED_ROW = ("half", "training", "first", "second")
REGIME_ROW = ("share", "filters", "name", "value")
#: Tables of a run; ``crossed.csv`` has the rows of all seeds there.
LEVELS = ("seed", *CROSSED_ROW)
COMPONENTS = ("source", "variance", "low", "high", "deviation", "share", "seeds")
BEST = ("measure", "mean", "low", "high", "seeds")
REGIME = ("share", "sentences", "filters", "measure", "mean", "low", "high", "seeds")
MEASURES = ("level", "headroom", "lead", "rank", "reliability", "overlap")


class Design:
    """How many networks of which kind.

    Args:
        halves: H, random halves of the crossed design, two or more.
        trainings: R, trainings of each, two or more.
        sizes: shares of the corpus that T1 has, in per cent; the paper's is 45.
        filters: numbers of filters, with the whole of T1; that of the run is always among them.
        random: random halves of a regime.

    Raises:
        InputError: for a size of T1 above the run's, or fewer than two halves or trainings.

    Example:
        >>> design = Design(halves=3, trainings=2, sizes=(15, 45), filters=(5, 100), random=3)
        >>> design.regimes(5)
        [(15, 5), (45, 5), (45, 100)]
        >>> design.networks(5)    # 3 x 2, and 7 for each regime
        27
    """

    def __init__(
        self,
        halves: int = 6,
        trainings: int = 3,
        sizes: Sequence[int] = (5, 15, 45),
        filters: Sequence[int] = (),
        random: int = 3,
    ) -> None:
        whole = round(100 * PAPER["shares"][0])
        if halves < 2 or trainings < 2 or random < 2:
            raise InputError("a crossed design needs two halves and two trainings; ask for more")
        if any(not 1 <= size <= whole for size in sizes):
            raise InputError(f"T1 has {whole} % of the corpus; give sizes from 1 to {whole}")
        self.halves, self.trainings, self.random = halves, trainings, random
        self.sizes, self.filters = sorted({*sizes, whole}), tuple(filters)
        self.whole = whole

    def regimes(self, own: int) -> list[tuple[int, int]]:
        """(size of T1 in per cent, number of filters) of each regime; `own` is the run's number."""
        more = [(self.whole, n) for n in sorted({*self.filters} - {own})]
        return [
            *((size, own) for size in self.sizes if size != self.whole),
            (self.whole, own),
            *more,
        ]

    def networks(self, own: int) -> int:
        """How many networks are trained for a seed."""
        return self.halves * self.trainings + (4 + self.random) * len(self.regimes(own))


class _InTwoParts(Evaluator):
    """The evaluator, which also keeps the accuracy on each of two parts of T3.

    Attributes:
        curve (list): an epoch's accuracies.
        first (numpy.ndarray): (m,) bool, the sentences of the first part.
    """

    def __init__(
        self, model: TextCNN, corpus: Corpus, sentences: np.ndarray, first: np.ndarray
    ) -> None:
        super().__init__(model, corpus, sentences)
        self.first = first
        self.curve: list[tuple[float, float]] = []

    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        right, loss = super().answers()
        self.curve.append((float(right[self.first].mean()), float(right[~self.first].mean())))
        return right, loss


# --- one seed --------------------------------------------------------------------------


def _folder(run: Run, seed: int) -> Path:
    return run.seed_folder(seed) / "ceiling"


def _training_seed(seed: int, training: int) -> int:
    """The seed of a training: the run's own first."""
    return seed if training == 0 else further_seed("crossed training", seed, training)


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def work_on_ceiling(
    out: str, seed: int, design: Design, on_progress: Callable[[Any], None]
) -> None:
    """Task: the networks of a seed; what is there already is kept."""
    run = Run(out)
    done = 0

    def trained(networks):
        nonlocal done
        done += networks
        on_progress((done, None))

    _crossed(run, seed, design, trained)
    _regimes(run, seed, design, trained)


def _crossed(run, seed, design, trained):
    t1, t2, t3 = run.split(seed)
    place = _folder(run, seed) / CROSSED
    found = {}
    for row in rows_there(place, CROSSED_ROW):
        key = int(row["half"]), int(row["training"])
        found[key] = [*key, row["first"], row["second"]]
    first = generator("parts of T3", seed).permutation(len(t3)) < len(t3) // 2
    for half in range(design.halves):
        added = np.sort(np.concatenate([t1, random_half(seed, half, t2)]))
        for training in range(design.trainings):
            if (half, training) not in found:
                made: list[_InTwoParts] = []

                def evaluator(model, corpus, sentences, made=made):
                    made.append(_InTwoParts(model, corpus, sentences, first))
                    return made[0]

                curve = train_on(
                    run, seed, added, f"half {half}, training {training}", place.parent,
                    own=_training_seed(seed, training), parts=Parts(evaluator=evaluator),
                    # After a stop the curve would lack its beginning: such a training starts again.
                    snapshot_seconds=float("inf"),
                )  # fmt: skip
                epochs = np.array([row[0] for row in curve])
                late = window(epochs, *PAPER["level_epochs"])
                parts = np.array(made[0].curve)[late].mean(axis=0)
                found[half, training] = [half, training, *parts.tolist()]
                save_csv(place, CROSSED_ROW, found.values())
            trained(1)


def _regimes(run, seed, design, trained):
    t1, t2, _ = run.split(seed)
    place = _folder(run, seed) / REGIMES
    rows = rows_there(place, REGIME_ROW, text=["name"])
    found = {(int(r["share"]), int(r["filters"]), r["name"]): r["value"] for r in rows}
    order = generator("part of T1", seed).permutation(t1)
    for share, filters in design.regimes(run.config.n_filters):
        config = run.config.replace(n_filters=filters)
        n = len(t1) if share == design.whole else share * len(run.corpus) // 100
        part = np.sort(order[:n])

        def level(name, half, config=config, part=part, place=place, key=(share, filters)):
            added = np.sort(np.concatenate([part, half]))
            curve = train_on(run, seed, added, f"{key} {name}", place.parent, config)
            return late_and_mean(curve)[0]

        wanted = {
            "T2": t2,
            **{f"random_{k}": random_half(seed, k, t2) for k in range(design.random)},
        }
        if (share, filters, "T2h") not in found:
            # Kept when T2h is trained, whose sentences they decide.
            scores = [_score_after(run, seed, config, part, k, place.parent) for k in range(2)]
            h, other = (median_halves(score, t2)[0] for score in scores)
            found[share, filters, "reliability"] = float(stats.spearmanr(*scores)[0])
            found[share, filters, "overlap"] = len(np.intersect1d(h, other)) / len(h)
            found[share, filters, "T2h"] = level("T2h", h)
            save_csv(place, REGIME_ROW, [(*key, value) for key, value in found.items()])
        trained(3)
        for name, half in wanted.items():
            if (share, filters, name) not in found:
                found[share, filters, name] = level(name, half)
                save_csv(place, REGIME_ROW, [(*key, value) for key, value in found.items()])
            trained(1)


def _score_after(run, seed, config, part, phase, folder):
    """A_S of T2 after a first phase on a part of T1."""
    own = _training_seed(seed, phase)
    what = f"seed {seed}, first phase {phase}, {len(part)} sentences, {config.n_filters} filters"
    model = initial_model(run, seed, own, config)
    wac, _ = first_phase(run, model, (part, run.split(seed)[2]), own, what, folder)
    return scores_of_t2(run, seed, wac)


def run_ceiling(
    run: Run,
    seeds: Sequence[int],
    design: Design,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
) -> Outcome:
    """Train the networks of every seed; resumable.

    Args:
        run: of an experiment.
        seeds: finished seeds.
        design: which networks.
        jobs: seeds at once.
        on_progress: callable ``(seed, message)``, as of :func:`replicate.beyond.choice.run_choice`.

    Returns:
        Failures by seed.

    Raises:
        InputError: if a seed is not finished, or a size of T1 is no sentence of this corpus.
    """
    n, smallest = len(run.corpus), min(design.sizes)
    if smallest * n < 100:
        raise InputError(
            f"{run.out}: {smallest} % of {n} sentences is no sentence; give sizes from "
            f"{-(-100 // n)}"
        )
    check_finished(run, seeds)
    return run_seeds(run, seeds, work_on_ceiling, design, jobs=jobs, on_progress=on_progress)


# --- the answers -----------------------------------------------------------------------


def components(levels: NDArray[np.floating]) -> dict[str, tuple[float, float, float]]:
    """Variance of each source in a crossed design, with its interval over divisions.

    With M the mean squares of a division's table of H halves and R trainings,

        half = (M_half - M_rest) / R,   training = (M_training - M_rest) / H,
        rest = M_rest,   division = var(table means) - half/H - training/R - rest/(HR).

    The first three are means over divisions, with the t interval of a mean; that of the
    last is by the jackknife over divisions.  An estimate may be negative where there is
    no such variance.

    Args:
        levels: (S, H, R) accuracies of S divisions.

    Returns:
        Source -> variance, and the bounds of its 95 % interval.

    Raises:
        ValueError: for fewer than two halves or trainings.

    Source:
        Searle, Casella and McCulloch (1992), Variance Components, section 4.4.

    Example:
        >>> table = np.array([[[0.0, 0.0], [2.0, 2.0]], [[1.0, 1.0], [3.0, 3.0]]])
        >>> {name: found[0] for name, found in components(table).items()}
        {'division': -0.5, 'half': 2.0, 'training': 0.0, 'rest': 0.0}
    """
    n, halves, trainings = levels.shape
    if min(halves, trainings) < 2:
        raise ValueError("a crossed design needs two halves and two trainings")
    of_half, of_training = levels.mean(axis=2), levels.mean(axis=1)
    means = levels.mean(axis=(1, 2))
    rest = levels - of_half[:, :, None] - of_training[:, None, :] + means[:, None, None]
    m_rest = (rest**2).sum(axis=(1, 2)) / ((halves - 1) * (trainings - 1))
    m_half = trainings * of_half.var(axis=1, ddof=1)
    m_training = halves * of_training.var(axis=1, ddof=1)
    within = {
        "half": (m_half - m_rest) / trainings,
        "training": (m_training - m_rest) / halves,
        "rest": m_rest,
    }
    noise = within["half"] / halves + within["training"] / trainings + m_rest / halves / trainings

    def division(kept):
        return means[kept].var(ddof=1) - noise[kept].mean() if kept.sum() > 1 else np.nan

    every = np.ones(n, dtype=bool)
    found = {"division": _jackknife(division, every)}
    for name, values in within.items():
        spread = values.std(ddof=1) if n > 1 else np.nan
        low, high = mean_interval(values.mean(), spread, n)
        found[name] = (float(values.mean()), float(low), float(high))
    return found


def _jackknife(statistic, every):
    """A statistic of all divisions, with the t interval of its pseudo-values."""
    n, whole = len(every), float(statistic(every))
    if n < 3:
        return whole, float("nan"), float("nan")
    left_out = []
    for i in range(n):
        kept = every.copy()
        kept[i] = False
        left_out.append(statistic(kept))
    pseudo = n * whole - (n - 1) * np.array(left_out)
    reach = stats.t.ppf(1 - ALPHA / 2, n - 1) * pseudo.std(ddof=1) / np.sqrt(n)
    return whole, whole - float(reach), whole + float(reach)


def best_half(first: NDArray[np.floating], second: NDArray[np.floating]) -> dict[str, NDArray]:
    """What the best of H halves gains over their mean, seen and real.

    The best half is that of the highest mean accuracy; of equal ones the mean counts.  What
    is real is measured where nothing has chosen: on other sentences, and in another training.
    The luck of a network is on both parts of T3, and would count as a gain of its half.

    Args:
        first, second: (S, H, R) accuracies on two parts of T3.

    Returns:
        ``"seen"``: (S,) gain where the same sentences and trainings choose and measure;
        ``"real"``: (S,) one part of T3 and all trainings but one choose, the other part
        and that training measure; mean over trainings and both ways.

    Raises:
        ValueError: for fewer than two trainings.

    Example:
        >>> one = np.array([[[0.5, 0.5], [0.7, 0.7]]])
        >>> found = best_half(one, 1 - one)
        >>> found["seen"].round(3).tolist(), found["real"].round(3).tolist()
        ([0.0], [-0.1])
    """
    trainings = first.shape[2]
    if trainings < 2:
        raise ValueError("a training that has chosen measures no gain; give two or more")

    def lead(chooses, measures):
        levels = comparable(chooses)
        best = levels == levels.max(axis=1, keepdims=True)
        return np.average(measures, axis=1, weights=best) - measures.mean(axis=1)

    both = (first + second).mean(axis=2) / 2
    real = [
        lead(np.delete(chooses, r, axis=2).mean(axis=2), measures[:, :, r])
        for chooses, measures in ((first, second), (second, first))
        for r in range(trainings)
    ]
    return {"seen": lead(both, both), "real": np.mean(real, axis=0)}


def known_best(variances: ArrayLike, halves: int) -> NDArray[np.float64]:
    """What the best of H halves gains over their mean if one knows which it is.

    .. math::
        \\sigma \\, E[\\max_{i \\le H} z_i], \\quad z_i \\sim N(0, 1)

    Args:
        variances: of the part of the half, in :func:`components`; below 0 they count as 0.
        halves: H.

    Returns:
        float64 of the same shape.  A score has to find that half, so it gains less.

    Example:
        >>> known_best([0.0, 1.0], halves=2).round(3).tolist()
        [0.0, 0.564]
    """
    greatest = integrate.quad(
        lambda z: 1 - stats.norm.cdf(z) ** halves - stats.norm.cdf(-z) ** halves, 0, np.inf
    )[0]
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)) * greatest)


def seed_regimes(run: Run, seed: int, design: Design) -> dict[tuple[int, int], dict[str, float]]:
    """What the networks of a seed say in every regime.

    Args:
        run, seed, design: after :func:`run_ceiling`.

    Returns:
        (share, filters) -> ``level``: mean accuracy of random halves; ``headroom``: all of
        T2 less that; ``lead``: T2h less that; ``rank``: place of T2h among random halves,
        0 worst, 1 best; ``reliability`` and ``overlap`` of A_S between two first phases.

    Raises:
        InputError: if a network is missing.
    """
    rows = rows_there(_folder(run, seed) / REGIMES, REGIME_ROW, text=["name"])
    found = {(int(r["share"]), int(r["filters"]), r["name"]): r["value"] for r in rows}
    answers = {}
    for share, filters in design.regimes(run.config.n_filters):
        try:
            drawn = np.array([found[share, filters, f"random_{k}"] for k in range(design.random)])
            all_of_it, chosen = (found[share, filters, name] for name in ("T2", "T2h"))
            agreement = [found[share, filters, name] for name in ("reliability", "overlap")]
        except KeyError as error:
            raise InputError(
                f"{run.out}: seed {seed} has no network {error}; run it first"
            ) from None
        level = float(drawn.mean())
        lead = comparable(chosen - drawn)
        below = (lead > 0).mean() + (lead == 0).mean() / 2
        values = (level, all_of_it - level, chosen - level, float(below), *agreement)
        answers[share, filters] = dict(zip(MEASURES, values))
    return answers


def _levels(run, seeds, design):
    """(S, H, R) accuracies on the first and on the second part of T3."""
    shape = (design.halves, design.trainings)
    both = np.full((2, len(seeds), *shape), np.nan)
    for i, seed in enumerate(seeds):
        for row in rows_there(_folder(run, seed) / CROSSED, CROSSED_ROW):
            place = int(row["half"]), int(row["training"])
            if place[0] < shape[0] and place[1] < shape[1]:
                both[:, i, place[0], place[1]] = row["first"], row["second"]
        if np.isnan(both[:, i]).any():
            raise InputError(f"{run.out}: seed {seed} has not all networks; run it first")
    return both


def write_ceiling(run: Run, seeds: Sequence[int], design: Design) -> list[Path]:
    """Write the crossed levels, their components, what the best half gains, regimes, a figure.

    Args:
        run, seeds, design: after :func:`run_ceiling`.

    Returns:
        What was written, in ``DIR/ceiling``.
    """
    out = run.out / "ceiling"
    first, second = _levels(run, seeds, design)
    found = components((first + second) / 2)
    total = sum(max(variance, 0.0) for variance, _, _ in found.values()) or float("nan")
    made: list[tuple] = [
        (name, *values, max(values[0], 0.0) ** 0.5, max(values[0], 0.0) / total, len(seeds))
        for name, values in found.items()
    ]
    best = [
        (f"gain of the best of {design.halves} halves, {what}", *_mean(values), len(seeds))
        for what, values in zip(
            (
                "chosen and measured on the same sentences",
                "chosen and measured on different sentences and trainings",
            ),
            best_half(first, second).values(),
        )
    ]
    known = known_best(found["half"], design.halves).tolist()
    best.append((f"gain of the best of {design.halves} halves, if it is known", *known, len(seeds)))
    table = [seed_regimes(run, seed, design) for seed in seeds]
    regimes = []
    for share, filters in design.regimes(run.config.n_filters):
        n = len(run.split(seeds[0])[0]) if share == design.whole else share * len(run.corpus) // 100
        for measure in MEASURES:
            values = np.array([row[share, filters][measure] for row in table])
            regimes.append((share, n, filters, measure, *_mean(values), len(seeds)))
    levels = [
        (seed, half, training, first[i, half, training], second[i, half, training])
        for i, seed in enumerate(seeds)
        for half, training in np.ndindex(design.halves, design.trainings)
    ]
    save_csv(out / CROSSED, LEVELS, levels)
    save_csv(out / "components.csv", COMPONENTS, made)
    save_csv(out / "best.csv", BEST, best)
    save_csv(out / "regimes.csv", REGIME, regimes)
    figure = draw_ceiling(made, regimes, out / "ceiling", f"{run.title}; {len(seeds)} divisions")
    return [*(out / f"{name}.csv" for name in ("crossed", "components", "best", "regimes")), figure]


def _mean(values):
    spread = values.std(ddof=1) if len(values) > 1 else np.nan
    low, high = mean_interval(values.mean(), spread, len(values))
    return float(values.mean()), float(low), float(high)


def draw_ceiling(
    made: Sequence[tuple], regimes: Sequence[tuple], stem: str | Path, title: str
) -> Path:
    """Components of variance, and headroom, lead and reliability by regime.

    Args:
        made: rows of ``components.csv``.
        regimes: rows of ``regimes.csv``.
        stem: path without suffix.
        title: shown below.

    Returns:
        The PNG.
    """
    from matplotlib.figure import Figure

    from ..show.figures import caption, save_figure, styled, titled

    keys = list(dict.fromkeys((row[0], row[2]) for row in regimes))
    own = max(key[1] for key in keys if key[0] == min(k[0] for k in keys))
    labels = [f"{share} %" if filters == own else f"{filters} filters" for share, filters in keys]
    by = {(row[0], row[2], row[3]): row[4:7] for row in regimes}
    with styled():
        figure = Figure(figsize=(11.5, 3.6))
        left, middle, right = figure.subplots(1, 3, width_ratios=(0.8, 1.2, 1))
        for i, (_, variance, low, high, *_) in enumerate(made):
            bounds = np.sqrt(np.maximum([low, variance, high], 0)) * 100
            left.plot([i, i], bounds[[0, 2]], color="#0072B2", lw=1.4)
            left.plot(i, bounds[1], "o", color="#0072B2", ms=5)
        left.set_xticks(range(len(made)), [row[0] for row in made], fontsize=8)
        left.set_xlim(-0.5, len(made) - 0.5)
        left.set_ylim(bottom=0)
        left.set_title("standard deviation of accuracy, points", fontsize=9)
        for axis, shown, scale in (
            (middle, (("headroom", "#000000"), ("lead", "#D55E00")), 100),
            (right, (("reliability", "#0072B2"), ("overlap", "#009E73")), 1),
        ):
            for j, (measure, colour) in enumerate(shown):
                for i, key in enumerate(keys):
                    mean, low, high = (scale * value for value in by[(*key, measure)])
                    place = i + (j - 0.5) * 0.16
                    axis.plot([place, place], [low, high], color=colour, lw=1.4)
                    axis.plot(
                        place, mean, "o", color=colour, ms=5, label=measure if i == 0 else None
                    )
            axis.axhline(0, color="#000000", lw=0.8)
            axis.set_xticks(range(len(keys)), labels, fontsize=8)
            axis.set_xlim(-0.5, len(keys) - 0.5)
            axis.legend(fontsize=7.5)
        right.set_ylim(-0.05, 1)
        middle.set_title("all of T2, and T2h, over random halves: points", fontsize=9)
        right.set_title("agreement of A_S between two first phases", fontsize=9)
        middle.set_xlabel("size of T1, per cent of the corpus")
        right.set_xlabel("size of T1, per cent of the corpus")
        titled(figure, "Could choosing ever pay?")
        caption(figure, f"{title}; bars: 95 % intervals")
        figure.subplots_adjust(left=0.05, right=0.99, top=0.83, bottom=0.2, wspace=0.2)
        return save_figure(figure, Path(stem))
