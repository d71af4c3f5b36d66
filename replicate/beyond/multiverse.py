"""Many specifications of one experiment, judged together (beyond the paper).

A specification is one set of readings.  All specifications have the same S seeds, so
an effect is

.. math::
    y_{cs} = \\mu + \\text{specification}_c + \\text{seed}_s + \\text{residual}_{cs}.

The mean of a specification is a noisy measurement of its effect.  The largest of many
are large by chance, so every mean is drawn towards that of all, as far as the spread
between specifications does not exceed what the residuals explain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from ..claims import Part, part_of
from ..config import generator
from ..inference import ALPHA, mean_interval
from ..io.files import save_csv
from ..show.figures import caption, save_figure, styled, titled
from ..verdicts import column, judge

__all__ = [
    "PARTS",
    "Pooled",
    "draw_multiverse",
    "pool",
    "sign_flip",
    "verdicts_by_specification",
    "write_multiverse",
]

#: Rows of ``sweep.csv``: (specification, seed) -> its statistics.
Rows = Mapping[tuple[str, int], Mapping[str, Any]]

TABLE = (
    "id", "part", "specifications", "seeds", "mean", "low", "high", "between", "p_between",
    "shrinkage", "new_low", "new_high", "smallest", "below", "p_median", "p_share",
)  # fmt: skip
CURVE = ("id", "part", "specification", "seeds", "mean", "shrunken", "low", "high")
VERDICTS = ("specification", "id", "ours", "low", "high", "seeds", "verdict")
#: Sign patterns that are drawn where there are too many to try all.
DRAWS = 9999


#: What is pooled and drawn: claim and part.
PARTS = (
    part_of("H", "epochs 40-50"),
    part_of("O2", "epochs 40-50"),
    part_of("F5b", "raw"),
    part_of("A1", "T1andT2"),
)
#: Differences whose sign is a coin's if halves of T2 are alike.
EXCHANGEABLE = ("H", "O2")


# --- pooling ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Pooled:
    """A part under C specifications and S seeds; numbers are effects, see :class:`Part`.

    Attributes:
        part: what was measured.
        names: the specifications; of those with the same numbers in all seeds (the accuracy of
            T1, and what the effect is the difference of), the first.
        seeds: those that all specifications have.
        mean, low, high: over all specifications and seeds, with a t interval of the S
            means over specifications: seeds are what chance drew.
        between: standard deviation between specifications, residuals taken off.
        p_between: F test of the hypothesis that they do not differ.
        shrinkage: part of a specification's difference from the mean that is kept.
        new_low, new_high: where the effect of a further such specification lies, 95 %.
        means: (C,) mean of each specification.
        shrunken, shrunken_low, shrunken_high: (C,) its estimate, with a 95 % interval.
    """

    part: Part
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    between: float
    p_between: float
    shrinkage: float
    new_low: float
    new_high: float
    means: NDArray[np.float64]
    shrunken: NDArray[np.float64]
    shrunken_low: NDArray[np.float64]
    shrunken_high: NDArray[np.float64]
    effects: NDArray[np.float64]

    @property
    def below(self) -> float:
        """Share of specifications whose effect is below the smallest effect of interest."""
        return float(np.mean(self.shrunken_high < self.part.smallest))


def _balanced(rows: Rows, part: Part) -> tuple[tuple[str, ...], tuple[int, ...], NDArray]:
    """Specifications, the seeds that all of them have, and effects (C, S)."""
    table: dict[str, dict[int, Mapping[str, Any]]] = {}
    # The default first: of two with the same numbers it is the one that stays.
    for name, seed in sorted(rows, key=lambda key: (key[0] != "default", *key)):
        table.setdefault(name, {})[seed] = rows[name, seed]
    seeds = sorted(set.intersection(*(set(found) for found in table.values()))) if table else []
    # Two specifications may have one difference by chance: a reading that touches nothing
    # leaves both sides of it, and the training on T1, as they are.
    compared = ("A.T1", *part.statistic.split(" - "))
    kept: dict[bytes, tuple[str, NDArray]] = {}
    for name, found in table.items():
        of_seeds = [found[seed] for seed in seeds]
        effects = part.effects(column(of_seeds, part.statistic))
        if len(seeds) and np.isfinite(effects).all():
            numbers = np.array([column(of_seeds, statistic) for statistic in compared])
            kept.setdefault(numbers.tobytes(), (name, effects))
    names = tuple(name for name, _ in kept.values())
    return names, tuple(seeds), np.array([effects for _, effects in kept.values()])


def pool(rows: Rows, part: Part) -> Pooled | None:
    """Estimate a part's effect over specifications, from a balanced table (two-way ANOVA).

    Args:
        rows: of :func:`replicate.beyond.sweep.sweep_rows`.
        part: of a claim.

    Returns:
        None with fewer than two distinct specifications or three common seeds.

    Source:
        Searle, Casella and McCulloch (1992), Variance Components: estimators from mean
        squares, 0 where negative; Efron and Morris (1975), shrinkage.

    Example:
        >>> rows = {(name, s): {"H.mean": 0.01 + gain + 0.001 * (-1) ** s * sign}
        ...         for name, gain, sign in (("default", 0, 1), ("dropout=0.5", 0.02, -1))
        ...         for s in range(8)}
        >>> found = pool(rows, Part("h less l", "H.mean", "lead of T1andT2h"))
        >>> round(found.mean, 3), round(found.shrinkage, 2)
        (0.02, 1.0)
    """
    names, seeds, effects = _balanced(rows, part)
    many, n = len(names), len(seeds)
    if many < 2 or n < 3:
        return None
    means, by_seed = effects.mean(axis=1), effects.mean(axis=0)
    mean = float(effects.mean())
    rest = effects - means[:, None] - by_seed[None, :] + mean
    residual = float((rest**2).sum() / ((many - 1) * (n - 1)))
    of_names = float(n * ((means - mean) ** 2).sum() / (many - 1))
    between = max(0.0, (of_names - residual) / n)
    noise = residual / n
    kept = between / (between + noise) if between + noise > 0 else 0.0
    p = float(stats.f.sf(of_names / residual, many - 1, (many - 1) * (n - 1))) if residual else 0.0
    error = float(by_seed.std(ddof=1) / np.sqrt(n))
    low, high = (float(b) for b in mean_interval(mean, by_seed.std(ddof=1), n))
    reach = stats.t.ppf(1 - ALPHA / 2, n - 1)
    shrunken = mean + kept * (means - mean)
    own = reach * np.sqrt(kept * noise + error**2)
    further = float(reach * np.sqrt(between + error**2))
    return Pooled(
        part, names, seeds, mean, low, high, float(np.sqrt(between)), p, kept, mean - further,
        mean + further, means, shrunken, shrunken - own, shrunken + own, effects,
    )  # fmt: skip


def sign_flip(effects: NDArray[np.floating]) -> tuple[float, float]:
    """Joint test of all specifications: the sign of a whole seed is a coin's if halves are alike.

    Under every pattern of signs, one a seed and the same for all specifications, two
    numbers are computed: the size of the median mean, and the share of specifications
    whose own t test is significant.  Correlated specifications stay correlated.

    Args:
        effects: (C, S).

    Returns:
        Two-sided p of the median and of the share; exact with up to 12 seeds.

    Source:
        Simonsohn, Simmons and Nelson (2020), Specification curve analysis.

    Example:
        >>> sign_flip(np.ones((3, 6)) + 0.01 * np.arange(6))[0]
        0.03125
    """
    seeds = effects.shape[1]
    if seeds <= 12:
        patterns = np.arange(2**seeds)
        signs = 1.0 - 2.0 * ((patterns[:, None] >> np.arange(seeds)) & 1)
    else:
        random = generator("sign flip", seeds)
        drawn = 1.0 - 2.0 * random.randint(0, 2, (DRAWS, seeds))
        signs = np.concatenate([np.ones((1, seeds)), drawn])
    means = signs @ effects.T / seeds
    variance = ((effects**2).sum(axis=1) - seeds * means**2) / (seeds - 1)
    bound = stats.t.ppf(1 - ALPHA / 2, seeds - 1) * np.sqrt(np.maximum(variance, 0) / seeds)
    found = (np.abs(np.median(means, axis=1)), (np.abs(means) > bound).mean(axis=1))
    # The first pattern changes nothing.  Sums of floats: equal up to rounding is equal.
    return tuple(float(np.mean(f >= f[0] - 1e-12)) for f in found)  # type: ignore[return-value]


# --- tables and the picture ------------------------------------------------------------


def verdicts_by_specification(rows: Rows) -> list[tuple]:
    """The verdict on every claim under every specification by itself.

    Args:
        rows: of :func:`replicate.beyond.sweep.sweep_rows`.

    Returns:
        ``(specification, claim id, ours, low, high, seeds, verdict)``, S1 left out.
    """
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for (name, _), row in rows.items():
        tables.setdefault(name, []).append(row)
    return [
        (name, v.claim.id, v.ours, v.low, v.high, v.seeds, v.verdict)
        for name, table in sorted(tables.items())
        for v in judge(table)[1:]
    ]


def write_multiverse(
    rows: Rows, out: str | Path, parts: Sequence[tuple[str, Part]] = PARTS
) -> list[Path]:
    """Write the pooled answer, every specification's estimate and verdicts, and a picture.

    Args:
        rows: of :func:`replicate.beyond.sweep.sweep_rows`.
        out: folder.
        parts: claim and part.

    Returns:
        What was written: ``multiverse.csv``, ``verdicts.csv``, and, where something can be
        pooled, the specification curve as PNG, SVG and CSV.
    """
    out = Path(out)
    pooled = [(claim, found) for claim, part in parts if (found := pool(rows, part))]
    table = []
    for claim, found in pooled:
        shown = found.part.shown
        ends = (
            shown(np.array(pair))
            for pair in ((found.low, found.high), (found.new_low, found.new_high))
        )
        (low, high), (new_low, new_high) = (sorted(map(float, pair)) for pair in ends)
        flips = sign_flip(found.effects) if claim in EXCHANGEABLE else ("", "")
        table.append(
            (
                claim, found.part.title, len(found.names), len(found.seeds),
                float(shown(found.mean)), low, high, found.between, found.p_between,
                found.shrinkage, new_low, new_high, found.part.smallest, "" if found.part.alike else found.below, *flips,
            )
        )  # fmt: skip
    save_csv(out / "multiverse.csv", TABLE, table)
    save_csv(out / "verdicts.csv", VERDICTS, verdicts_by_specification(rows))
    written = [out / "multiverse.csv", out / "verdicts.csv"]
    return [*written, draw_multiverse(pooled, out / "specification_curve")] if pooled else written


def draw_multiverse(pooled: Sequence[tuple[str, Pooled]], stem: str | Path) -> Path:
    """Draw a multiverse: a column for each specification, with effects above and readings below.

    Args:
        pooled: claim and what was pooled of a part of it; the first gives the order.
        stem: the path without suffix of the PNG, SVG and CSV files.

    Returns:
        The path of the PNG file.
    """
    stem = Path(stem)
    lead = pooled[0][1]
    order = [lead.names[i] for i in np.argsort(lead.means, kind="stable")]
    order += sorted({name for _, found in pooled for name in found.names} - set(order))
    changes = sorted({part for name in order for part in name.split("; ")} - {"default"})
    place = {name: i for i, name in enumerate(order)}
    table = []
    with styled():
        height = 1.6 * len(pooled) + 0.16 * len(changes) + 1.1
        figure = Figure(figsize=(10, height))
        heights = [1.6] * len(pooled) + [0.16 * max(1, len(changes))]
        axes = figure.subplots(len(pooled) + 1, 1, sharex=True, height_ratios=heights)
        for axis, (claim, found) in zip(axes, pooled):
            part = found.part
            x = np.array([place[name] for name in found.names])
            scale = 100.0 if part.scale == "points" else 1.0
            ends = scale * part.shown(np.array([-part.smallest, part.smallest]))
            axis.axhspan(*sorted(ends), color="#E3E3E3", lw=0, zorder=0)
            low, high, means, shrunken = (
                scale * part.shown(values)
                for values in (found.shrunken_low, found.shrunken_high, found.means, found.shrunken)
            )
            axis.vlines(x, low, high, color="#0072B2", lw=1.3, zorder=2)
            axis.scatter(x, means, s=9, facecolors="none", edgecolors="#999999", lw=0.7, zorder=3)
            axis.scatter(x, shrunken, s=14, color="#0072B2", zorder=4)
            axis.axhline(scale * float(part.shown(0.0)), color="#000000", lw=0.8, zorder=1)
            axis.axhline(
                scale * float(part.shown(found.mean)), color="#0072B2", lw=0.8, ls=(0, (4, 2))
            )
            unit = ", points" if part.scale == "points" else ""
            axis.set_title(f"{claim}: {part.title} ({part.statistic}){unit}", fontsize=8.5, pad=3)
            rows = (found.means, found.shrunken, found.shrunken_low, found.shrunken_high)
            table += [
                (claim, part.title, name, len(found.seeds), *map(float, part.shown(np.array(row))))
                for name, *row in zip(found.names, *rows)
            ]
        grid = axes[-1]
        for i, change in enumerate(changes):
            has = [j for j, name in enumerate(order) if change in name.split("; ")]
            grid.scatter(has, [i] * len(has), s=13, color="#000000")
        grid.set_yticks(range(len(changes)), changes, fontsize=6.5)
        grid.set_ylim(max(1, len(changes)) - 0.5, -0.5)
        default = [place["default"]] if "default" in place else []
        grid.set_xticks(default, ["default"] * len(default), fontsize=7)
        grid.grid(visible=True, axis="y", color="#EEEEEE")
        titled(figure, "The effect of each claim under other readings")
        caption(
            figure,
            f"{len(order)} specifications × {len(lead.seeds)} seeds; grey: too small to matter; "
            "circles: means; dots and bars: shrunken\ntowards the mean of all (dashed), with 95 % "
            "intervals; specifications with the same numbers as another are left out",
        )
        figure.subplots_adjust(
            left=0.25, right=0.985, top=1 - 0.75 / height, bottom=0.55 / height, hspace=0.17
        )
        save_csv(stem.with_suffix(".csv"), CURVE, table)
        return save_figure(figure, stem)
