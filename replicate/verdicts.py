"""The verdict on every claim, from the statistics of many seeds.  NumPy and SciPy only.

Rows of statistics of S seeds (:mod:`replicate.statistics`) are judged here by the rule of
:mod:`replicate.claims`.  The interval is a t interval: seeds are independent draws of the
paper's procedure on this corpus.  A claim takes the worst verdict of its parts; parts that
only stand beside it are judged, and do not count.  With fewer than :data:`LEAST_SEEDS`
seeds nothing is decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .claims import CLAIMS, OF_THE_CORPUS, S1, VERDICTS, Claim, Part, family_alpha
from .config import PAPER
from .inference import (
    ALPHA,
    another_sample_interval,
    confidence_sequence,
    mean_interval,
    prediction_interval,
    share_interval,
)
from .statistics import OTHERS

__all__ = [
    "Committed",
    "Judged",
    "LEAST_SEEDS",
    "Row",
    "SEEDS_TO_VERIFY",
    "Verdict",
    "column",
    "decided",
    "judge",
    "judge_part",
    "verify",
]

#: Seeds below which nothing is decided.
LEAST_SEEDS = 50
#: Share of runs below which a pattern is rare.
RARE = 0.05

#: Statistics of one seed: name -> number.
Row = Mapping[str, float]


# --- judging ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A part judged.  All numbers but `effects` are as they are shown.

    Attributes:
        part: what was judged.
        seeds: how many had a number.
        mean: over seeds (of effects, then shown).
        low, high: on average: t interval, simultaneous within the family; it decides.
        always_low, always_high: confidence sequence, which holds at every number of seeds.
        run_low, run_high: where one more run lies, 95 %.
        other_low, other_high: mean over another sample of reviews, 95 %; levels only.
        not_excluded: largest effect that is not excluded, one-sided 95 %.
        percentile: share of single runs below the paper's figure; NaN without a figure.
        positive: share of single runs on the paper's side of 0.
        verdict: from low and high.
        always: from always_low and always_high.
        on_scale: mean, low, high, run_low, run_high as effects: what :data:`SCALES`
            averages, above 0 on the paper's side.
        effects: (S,) of the seeds that have a number.
    """

    part: Part
    seeds: int
    mean: float
    low: float
    high: float
    always_low: float
    always_high: float
    run_low: float
    run_high: float
    other_low: float
    other_high: float
    not_excluded: float
    percentile: float
    positive: float
    verdict: str
    always: str
    on_scale: tuple[float, ...] = field(repr=False)
    effects: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """A claim judged.

    Attributes:
        claim: what was judged.
        parts: its parts, judged.
        seeds: fewest of any part that counts.
        verdict: of :data:`VERDICTS`, or "not applicable"; of S1 "checked" or "failed".
        always: the same from the confidence sequences: for who looks while seeds are added.
        reason: why it is undecided or not applicable; else empty.
        hits, runs: single runs that show the pattern, of how many.
        share_low, share_high: interval of that share (Clopper and Pearson).
        sizes: of S1, the four sizes of the first seed.
    """

    claim: Claim
    parts: tuple[Judged, ...]
    seeds: int
    verdict: str
    always: str
    reason: str = ""
    hits: int = 0
    runs: int = 0
    share_low: float = float("nan")
    share_high: float = float("nan")
    sizes: tuple[float, ...] = ()

    @property
    def ours(self) -> float | tuple[float, ...]:
        """Mean of the first part; the sizes of S1."""
        return self.parts[0].mean if self.parts else self.sizes or float("nan")

    @property
    def low(self) -> float:
        """Of the first part."""
        return self.parts[0].low if self.parts else float("nan")

    @property
    def high(self) -> float:
        """Of the first part."""
        return self.parts[0].high if self.parts else float("nan")

    @property
    def one_run(self) -> str:
        """Would one run show it: "usual", "rare" (below 5 %), "never in n", or nothing."""
        if not self.runs:
            return ""
        if not self.hits:
            return f"never in {self.runs}"
        return "rare" if self.hits < RARE * self.runs else "usual"


def judge(table: Sequence[Row], paper_corpus: bool = True) -> list[Verdict]:
    """Judge all claims on the statistics of S seeds.

    Args:
        table: rows of :func:`replicate.statistics.seed_statistics`; a statistic
            that a row lacks is NaN.  The order of rows does not matter.
        paper_corpus: whether it is the paper's own, see :func:`is_paper_corpus`.

    Returns:
        S1 first, then :data:`CLAIMS` in order.

    Example:
        >>> found = {verdict.claim.id: verdict for verdict in judge([{"O2.mean": 0.01}] * 20)}
        >>> found["O2"].verdict, found["O2"].reason
        ('undecided', 'undecided: not measured')
    """
    sizes = _judge_sizes(table, paper_corpus)
    applies = sizes.verdict != "not applicable"
    return [sizes, *(_judge_claim(claim, table, applies) for claim in CLAIMS)]


def column(table: Sequence[Row], name: str) -> np.ndarray:
    """(S,) values of a statistic, or of the difference ``"a - b"`` of two.

    ``A.others`` is the mean level of the four arms that the paper calls alike.

    Args:
        table: S rows of statistics.
        name: of a statistic, ``"a - b"``, or ``"A.others"``.

    Returns:
        (S,) float64; NaN for a row without the statistic.

    Example:
        >>> column([{"a": 3.0, "b": 1.0}, {"a": 2.0}], "a - b").tolist()
        [2.0, nan]
    """
    first, _, second = name.partition(" - ")
    if second:
        return np.asarray(column(table, first) - column(table, second))
    if name == "A.others":
        return np.asarray(np.mean([column(table, f"A.{arm}") for arm in OTHERS], axis=0))
    return np.array([row.get(name, np.nan) for row in table], dtype=np.float64)


def learned_by(arm: str) -> float:
    """Share of the corpus that a model has learned (section 4.4); T2h and T2l go on from T1.

    Example:
        >>> [learned_by(arm) for arm in ("T1", "T2h", "T1andT2ran", "T1andT2")]
        [0.45, 0.675, 0.675, 0.9]
    """
    t1, t2, _ = PAPER["shares"]
    return float(t1 + {"T1": 0.0, "T1andT2": t2}.get(arm, t2 / 2))


def judge_part(part: Part, table: Sequence[Row], alpha: float) -> Judged:
    """Judge one part on the statistics of S seeds.

    Args:
        part: what is measured, and what would matter.
        table: S rows of statistics; rows without this one are left out.
        alpha: complement of the coverage of the interval that decides.

    Example:
        >>> part = Part("h less l", "H.mean", "lead of T1andT2h")
        >>> judge_part(part, [{"H.mean": 0.01 + i / 1e4} for i in range(60)], 0.05).verdict
        'reproduced'
    """
    effects = part.effects(column(table, part.statistic))
    # Sorted: sums, and so verdicts, do not depend on the order of the seeds.
    effects = np.sort(effects[np.isfinite(effects)])
    seeds, nan = len(effects), float("nan")
    mean = float(effects.mean()) if seeds else nan
    deviation = float(effects.std(ddof=1)) if seeds > 1 else nan
    about = (mean, deviation, seeds)
    bounds = mean_interval(*about, alpha)
    always = confidence_sequence(*about, alpha)
    run = prediction_interval(*about)
    other: tuple[Any, Any] = (nan, nan)
    if part.scale == "level":
        other = another_sample_interval(*about, learned_by(part.statistic.removeprefix("A.")))
    enough = seeds >= LEAST_SEEDS
    percentile = nan
    if part.reported is not None and seeds:
        below, equal = (effects < part.reported).sum(), (effects == part.reported).sum()
        percentile = float(below + equal / 2) / seeds

    def shown(low_high: tuple[Any, ...]) -> tuple[float, float]:
        low, high = map(float, part.shown(np.array(low_high)))
        return (low, high) if part.sign > 0 else (high, low)

    return Judged(
        part,
        seeds,
        float(part.shown(mean)),
        *shown(bounds),
        *shown(always),
        *shown(run),
        *shown(other),
        float(part.shown(mean_interval(*about, 2 * ALPHA)[1])),
        percentile,
        float((effects > 0).mean()) if seeds else nan,
        str(part.verdict(*bounds)) if enough else "undecided",
        str(part.verdict(*always)) if enough else "undecided",
        (mean, *map(float, (*bounds, *run))),
        effects,
    )


def _judge_claim(claim: Claim, table: Sequence[Row], applies: bool) -> Verdict:
    alpha = family_alpha(claim.family)
    judged = tuple(judge_part(part, table, alpha) for part in claim.parts)
    counted = [part for part in judged if not part.part.beside]
    seeds = min(part.seeds for part in counted)
    shows = _shows(claim, table)
    hits, runs = int(shows.sum()), len(shows)
    one_run = (hits, runs, *share_interval(hits, runs))
    if claim.id in OF_THE_CORPUS and not applies:
        reason = "not applicable: another corpus than the paper's"
        return Verdict(claim, judged, seeds, "not applicable", "not applicable", reason, *one_run)
    verdict, always = (
        min((getattr(part, name) for part in counted), key=VERDICTS.index)
        for name in ("verdict", "always")
    )
    # A claim of likeness alone is alike; one with an effect too is reproduced.
    if "reproduced" in (part.verdict for part in counted) and verdict == "alike":
        verdict = "reproduced"
    if "reproduced" in (part.always for part in counted) and always == "alike":
        always = "reproduced"
    return Verdict(claim, judged, seeds, verdict, always, _reason(verdict, counted), *one_run)


def _reason(verdict: str, counted: Sequence[Judged]) -> str:
    if verdict != "undecided":
        return ""
    seeds = min(part.seeds for part in counted)
    if not seeds:
        return "undecided: not measured"
    if seeds < LEAST_SEEDS:
        return f"undecided: {seeds} of {LEAST_SEEDS} seeds"
    open_parts = [part.part.title for part in counted if part.verdict == "undecided"]
    return f"undecided: the interval includes a limit ({', '.join(open_parts)}); more seeds decide"


def _shows(claim: Claim, table: Sequence[Row]) -> np.ndarray:
    """(runs,) bool: which single runs show the claim; runs without all its numbers left out."""
    if claim.pattern:
        name, least = claim.pattern
        values = column(table, name)
        return np.asarray(values[np.isfinite(values)] >= least)
    each = [p.holds(p.effects(column(table, p.statistic))) for p in claim.parts if not p.beside]
    found = np.min(each, axis=0)
    return np.asarray(found[np.isfinite(found)] > 0)


def _judge_sizes(table: Sequence[Row], paper_corpus: bool) -> Verdict:
    sizes = PAPER["sizes"]
    rows = [tuple(row.get(f"size.{name}", np.nan) for name in sizes) for row in table]
    # Shown as they are of the first seed; all seeds are judged.
    shown = rows[0] if rows else ()
    if rows and not (paper_corpus and all(sum(row) == sum(sizes.values()) for row in rows)):
        known = not np.isnan(rows).any()
        verdict = "not applicable" if known or not paper_corpus else "undecided"
    elif not rows:
        verdict = "undecided" if paper_corpus else "not applicable"
    else:
        verdict = "checked" if all(row == tuple(sizes.values()) for row in rows) else "failed"
    reason = {
        "undecided": "undecided: not measured",
        "not applicable": "not applicable: another corpus than the paper's",
        "failed": "failed: the sizes are not those of Table 1",
    }.get(verdict, "")
    return Verdict(S1, (), len(rows), verdict, verdict, reason, sizes=shown)


def decided(verdicts: Sequence[Verdict]) -> bool:
    """Whether every claim that is measured is decided, for who looks while seeds are added.

    Judged by the confidence sequences: a rule that stops a run by it keeps its error.

    Args:
        verdicts: of :func:`judge`.

    Example:
        >>> decided(judge([]))
        False
    """
    measured = [v for v in verdicts[1:] if v.verdict != "not applicable" and v.seeds]
    return bool(measured) and all(v.always != "undecided" for v in measured)


# --- verify ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Committed:
    """What is committed of a part.

    Attributes:
        low, high: interval, as shown.
        rounding: greatest difference that rounding alone made to the mean.
        seeds: of the committed run.
    """

    low: float
    high: float
    rounding: float
    seeds: int


#: Fewest seeds that `verify` compares.
SEEDS_TO_VERIFY = 5


def verify(
    verdicts: Sequence[Verdict], expected: Mapping[tuple[str, str], Committed] | None = None
) -> tuple[int, list[str]]:
    """Whether a run agrees with the committed one of the same settings and vectors.

    S1 must be exact on the paper's corpus.  A part disagrees when its interval and
    the committed one are further apart than rounding moves a mean.

    Args:
        verdicts: of :func:`judge`.
        expected: (claim id, statistic) -> what is committed; None where nothing is.

    Returns:
        Exit code (0 agrees, 1 does not, 2 undecided) and lines that say why.

    Example:
        >>> verify(judge([]))
        (2, ['undecided: no seed is finished'])
    """
    seeds = verdicts[0].seeds
    if not seeds:
        return 2, ["undecided: no seed is finished"]
    if verdicts[0].verdict == "failed":
        return 1, ["S1: the sizes are not those of Table 1"]
    if seeds < SEEDS_TO_VERIFY:
        return 2, [f"undecided: {seeds} finished seeds; {SEEDS_TO_VERIFY} or more are needed"]
    if expected is None:
        return 0, [
            "nothing to compare with: no results are committed for these settings and vectors"
        ]
    wrong = []
    compared = 0
    for verdict in verdicts[1:]:
        for judged in verdict.parts:
            was = expected.get((verdict.claim.id, judged.part.statistic))
            if was is None or not np.isfinite([judged.low, was.low]).all():
                continue
            compared += 1
            apart = max(judged.low - was.high, was.low - judged.high)
            if apart > was.rounding:
                wrong.append(
                    f"{verdict.claim.id}, {judged.part.title}: {judged.low:.4f} to "
                    f"{judged.high:.4f}; committed ({was.seeds} seeds): {was.low:.4f} to "
                    f"{was.high:.4f}"
                )
    if wrong:
        return 1, wrong
    if not compared:
        return 2, ["undecided: this run and the committed one have no statistic in common"]
    return 0, [f"{compared} statistics of {seeds} seeds agree with the committed results"]
