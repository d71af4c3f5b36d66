"""A verdict on every claim of the paper (sections 5 and 6).  NumPy and SciPy only.

Rows of statistics of S seeds (:mod:`replicate.statistics`) are judged here.  A claim
has one part or more, and a part is a number that every seed has.  Its verdict comes
from one interval of its mean, and from the smallest effect of interest D and the
figure d that the paper reports (both in ``config.PAPER["effects"]``):

=================  ============================================================
verdict            the interval [L, U] of the effect
=================  ============================================================
reproduced         L >= D
weaker             0 < L < D <= U < d
direction only     0 < L < D and U >= d, or the paper has no figure
no such effect     -D < L and U < D
reversed           U < 0 and L <= -D
undecided          all else
=================  ============================================================

A part that says that two things are alike is *alike* with an interval inside of
(-D, D), *not alike* with one outside of it, and else *undecided*.

The interval is a t interval: seeds are independent draws of the paper's procedure on
this corpus.  The claims are two families, :data:`HEADLINE` and the rest; the
intervals of a family hold together with 95 % (Bonferroni).  A claim takes the worst
verdict of its parts; parts that only stand beside it are judged, and do not count.
With fewer than :data:`LEAST_SEEDS` seeds nothing is decided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from .config import PAPER
from .inference import (
    ALPHA,
    another_sample_interval,
    confidence_sequence,
    mean_interval,
    prediction_interval,
    share_interval,
)
from .statistics import BLOCKS, OTHERS

__all__ = [
    "CLAIMS",
    "VERDICTS",
    "Claim",
    "Committed",
    "Judged",
    "Part",
    "Row",
    "Verdict",
    "alike_verdict",
    "column",
    "decided",
    "deciding",
    "effect_verdict",
    "is_paper_corpus",
    "judge",
    "judge_part",
    "seeds_note",
    "sentence",
    "shown_number",
    "shown_range",
    "verify",
]

#: Claims of the first family.
HEADLINE = ("H", "O2", "R1")
#: Seeds below which nothing is decided.
LEAST_SEEDS = 50
#: From the worst to the best: a claim takes the worst of its parts.  A part that is
#: open leaves the claim open, unless another part does not hold.
VERDICTS = (
    "reversed",
    "no such effect",
    "not alike",
    "undecided",
    "weaker",
    "direction only",
    "alike",
    "reproduced",
)
#: Share of runs below which a pattern is rare.
RARE = 0.05

#: Statistics of one seed: name -> number.
Row = Mapping[str, float]


# --- the rule --------------------------------------------------------------------------


def effect_verdict(
    low: np.ndarray | float,
    high: np.ndarray | float,
    smallest: np.ndarray | float,
    reported: np.ndarray | float | None = None,
) -> np.ndarray:
    """The verdict on an effect, from one interval.

    Args:
        low, high: interval of the effect; NaN is undecided.
        smallest: smallest effect of interest D, above 0.
        reported: the paper's figure d, above D; None where it has no figure.

    Returns:
        Array of verdicts, of the shape of the arguments together.

    Example:
        >>> effect_verdict([0.6, 0.2, 0.2, -0.2, -0.9, -0.9], [1.4, 0.8, 1.2, 0.3, -0.1, 0.6], 0.5, 1).tolist()
        ['reproduced', 'weaker', 'direction only', 'no such effect', 'reversed', 'undecided']
    """
    low, high = np.asarray(low), np.asarray(high)
    figure = smallest if reported is None else reported
    positive = (low > 0) & (high >= smallest)
    rules = (
        (low >= smallest, "reproduced"),
        ((high < 0) & (low <= -np.asarray(smallest)), "reversed"),
        ((low > -np.asarray(smallest)) & (high < smallest), "no such effect"),
        (positive & (high < figure), "weaker"),
        (positive & (high >= figure), "direction only"),
    )
    return _first_of(rules)


def alike_verdict(
    low: np.ndarray | float, high: np.ndarray | float, margin: np.ndarray | float
) -> np.ndarray:
    """The verdict on a difference that the paper says is 0, from one interval.

    Args:
        low, high: interval of the difference; NaN is undecided.
        margin: greatest difference that counts as alike.

    Example:
        >>> alike_verdict([-0.2, 0.6, 0.3], [0.4, 1.2, 0.9], 0.5).tolist()
        ['alike', 'not alike', 'undecided']
    """
    low, high, margin = np.asarray(low), np.asarray(high), np.asarray(margin)
    rules = (
        ((low > -margin) & (high < margin), "alike"),
        ((low >= margin) | (high <= -margin), "not alike"),
    )
    return _first_of(rules)


def _first_of(rules: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    conditions, words = zip(*rules)
    return np.select(list(conditions), list(words), default="undecided")


# --- scales ----------------------------------------------------------------------------


def _logit(share: np.ndarray, of: int = 49) -> np.ndarray:
    """Empirical logit of a share of `of` epochs: finite for 0 and for 1 too."""
    return np.asarray(np.log((of * share + 0.5) / (of * (1 - share) + 0.5)))


def _from_logit(value: np.ndarray, of: int = 49) -> np.ndarray:
    """The share whose empirical logit is `value`; from 0 to 1."""
    return np.asarray(np.clip(((of + 1) * expit(value) - 0.5) / of, 0.0, 1.0))


def _same(value: np.ndarray) -> np.ndarray:
    return value


def _log(value: np.ndarray) -> np.ndarray:
    return np.log(np.where(np.asarray(value) > 0, value, np.nan))


#: Scale -> from the statistic's own numbers to those that are averaged; back to what is shown.
SCALES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    # A difference of accuracies, or an accuracy.
    "points": (_same, _same),
    "level": (_same, _same),
    # From 0 to 1, without a bound that matters.
    "number": (_same, _same),
    "ratio": (_log, np.exp),
    # The statistic is a log ratio; the ratio is shown.
    "log ratio": (_same, np.exp),
    # Shares of the 49 changes of 50 epochs, and of the 8 turns of the first ten epochs.
    "share": (_logit, _from_logit),
    "early share": (lambda share: _logit(share, 8), lambda value: _from_logit(value, 8)),
}


# --- the claims ------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One number of a claim.

    Attributes:
        title: what it is, in words.
        statistic: name of a row's number, or ``"a - b"``.
        effect: of ``config.PAPER["effects"]``: the paper's figure and the smallest
            effect of interest.
        alike: the paper says that it is `value`; else that it is above it.
        value: what it is compared with.
        scale: of :data:`SCALES`.
        sign: -1 where the paper says that it is below `value`.
        beside: judged, but no part of the claim's verdict.
    """

    title: str
    statistic: str
    effect: str
    alike: bool = False
    value: float = 0.0
    scale: str = "points"
    sign: int = 1
    beside: bool = False

    def effects(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of the statistic as effects: above 0 is the paper's side."""
        forward, _ = SCALES[self.scale]
        return np.asarray(self.sign * (forward(numbers) - self._neutral))

    def shown(self, effects: np.ndarray | float) -> np.ndarray:
        """Effects as they are shown: an accuracy, a ratio, a share."""
        _, backward = SCALES[self.scale]
        return np.asarray(backward(self.sign * np.asarray(effects) + self._neutral))

    @property
    def _neutral(self) -> float:
        forward, _ = SCALES[self.scale]
        start = {"ratio": 1.0, "log ratio": 0.0, "share": 0.5, "early share": 0.5}
        return float(forward(np.asarray(start.get(self.scale, self.value))))

    @property
    def smallest(self) -> float:
        """Smallest effect of interest D, as an effect."""
        number = PAPER["effects"][self.effect][1]
        if self.scale in ("points", "level", "number"):
            return float(number)
        if self.scale == "log ratio":
            return float(np.log(number))
        return float(self.effects(np.asarray(number)))

    @property
    def reported(self) -> float | None:
        """The paper's figure d, as an effect."""
        figure = PAPER["effects"][self.effect][0]
        return None if figure is None else float(figure)

    @property
    def source(self) -> str:
        """Where the figure and the smallest effect of interest come from."""
        return str(PAPER["effects"][self.effect][2])

    def verdict(self, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
        """Verdicts from intervals of the effect."""
        if self.alike:
            return alike_verdict(low, high, self.smallest)
        return effect_verdict(low, high, self.smallest, self.reported)

    def holds(self, effects: np.ndarray) -> np.ndarray:
        """Whether single runs show it: as large as reported (or above 0), or alike; NaN stays."""
        if self.alike:
            found = np.abs(effects) <= self.smallest
        else:
            found = effects >= self.reported if self.reported else effects > 0
        return np.where(np.isfinite(effects), found, np.nan)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        id: as in the table of claims.
        statement: what the paper says.
        paper: its number or order.
        how: what is measured, in words.
        parts: numbers that must all be as the paper says; ``ours`` and the
            interval of the claim are those of the first.
        pattern: what one run must have to show the claim: a statistic and its least
            value.  Without it, what all parts that count say.
    """

    id: str
    statement: str
    paper: str
    how: str
    parts: tuple[Part, ...]
    pattern: tuple[str, float] | None = None

    @property
    def family(self) -> str:
        """``"headline"`` or ``"rest"``."""
        return "headline" if self.id in HEADLINE else "rest"


def _r1() -> tuple[Part, ...]:
    first, second = "A.T1andT2", "A.T1andT2h"
    lead = "lead of T1andT2h"
    return (
        Part("T1andT2 less T1andT2h", f"{first} - {second}", "lead of T1andT2"),
        Part("T1andT2h less the mean of the four others", f"{second} - A.others", lead),
        *(Part(f"{a} less the mean of the four", f"A.{a} - A.others", "alike", True) for a in OTHERS),
        Part("T1andT2 less T1andT2ran", f"{first} - A.T1andT2ran", "headroom", beside=True),
    )  # fmt: skip


def _o1() -> tuple[Part, ...]:
    step = PAPER["epochs"] // BLOCKS
    return tuple(
        Part(f"epochs {step * i + 1}-{step * (i + 1)}", f"O1.block{i + 1}", "lead of T1andT2h")
        for i in range(BLOCKS)
    )


def _level(arm: str) -> Part:
    return Part(arm, f"A.{arm}", "level", True, PAPER["levels"][arm], "level")


_LEVEL_HOW = (
    "mean accuracy of epochs 40-50; the preset paper was chosen for this level among others"
)

#: Every claim but S1, which is not a matter of chance.
CLAIMS = (
    Claim(
        "F3",
        "correctly classified: saliency moves much in epochs 0-20 and little after",
        "little after 20",
        "change of standardised saliency a word and epoch, epochs 21-50 over epochs up to 20, "
        "all correctly classified T1 sentences",
        (Part("late over early change", "F3.ratio", "little", scale="ratio", sign=-1),),
    ),
    Claim(
        "F4",
        "misclassified: saliency keeps moving after epoch 20",
        "keeps moving",
        "change of standardised saliency a word and epoch, epochs 21-50, misclassified over "
        "correctly classified T1 sentences",
        (Part("misclassified over correct", "F4.log_ratio", "more", scale="log ratio"),),
    ),
    Claim(
        "F4b",
        "saliency changes linearly in correctly classified data, up and down in misclassified",
        "linear; up and down",
        "straightness of a word's saliency over epochs 20-50 (net change over length of the path), "
        "correctly classified less misclassified; standardised as in Figs 3 and 4, beside it raw, "
        "which wac is made of",
        (
            Part("standardised", "F4b.straight", "straighter", scale="number"),
            Part("raw", "F4b.straight.raw", "straighter", scale="number", beside=True),
        ),
    ),
    Claim(
        "F5",
        "raw saliency of the misclassified moves more at most epochs",
        "most epochs",
        "share of epochs at which 100 misclassified T1 sentences move more than 100 correctly "
        "classified ones; beside it all of T1, and the gradient of the logit difference, which "
        "leaves the model's confidence out",
        (
            Part("100 of each", "F5.share.100", "most epochs", scale="share"),
            Part("all of T1", "F5.share", "most epochs", scale="share", beside=True),
            Part("logit difference", "F5.share.logit", "most epochs", scale="share", beside=True),
        ),
    ),
    Claim(
        "F5c",
        "in epochs 0-10 the curves of both kinds rise and fall at the same epochs",
        "same epochs",
        "share of epochs up to 10 at which both curves of Fig. 5 (100 of each) rise or both fall; "
        "chance is 0.5",
        (Part("100 of each", "F5c.agreement", "same epochs", scale="early share"),),
    ),
    Claim(
        "F5b",
        "summed over training, raw saliency of the misclassified moves more",
        "more",
        "total change a T1 sentence, misclassified over correctly classified; beside it of the "
        "gradient of the logit difference",
        (
            Part("raw", "F5b.log_ratio", "more", scale="log ratio"),
            Part("logit difference", "F5b.log_ratio.logit", "more", scale="log ratio", beside=True),
        ),
    ),
    Claim("A1", "epochs 40-50: accuracy of T1andT2", "0.78", _LEVEL_HOW, (_level("T1andT2"),)),
    Claim("A2", "epochs 40-50: accuracy of T1andT2h", "0.76", _LEVEL_HOW, (_level("T1andT2h"),)),
    Claim(
        "A3",
        "epochs 40-50: accuracy of the four others",
        "0.75",
        _LEVEL_HOW,
        tuple(_level(arm) for arm in OTHERS),
    ),
    Claim(
        "R1",
        "epochs 40-50: T1andT2 first, T1andT2h second, the others alike",
        "T1andT2 > T1andT2h > others",
        "differences of mean accuracies of epochs 40-50; one run: the order of the first two; "
        "beside it what all of T2 brings over a random half",
        _r1(),
        ("R1.order", 1.0),
    ),
    Claim(
        "O1",
        "T1andT2h above T1andT2l throughout",
        "> 0 throughout",
        f"T1andT2h less T1andT2l in each of {BLOCKS} equal blocks of epochs; one run: above at 90 % "
        "of its epochs or more",
        _o1(),
        ("O1.share", 0.9),
    ),
    Claim(
        "O2",
        "T1andT2h above T1andT2ran",
        "> 0",
        "T1andT2h less T1andT2ran, epochs 40-50; beside it over all epochs",
        (
            Part("epochs 40-50", "A.T1andT2h - A.T1andT2ran", "lead of T1andT2h"),
            Part("all epochs", "O2.mean", "lead of T1andT2h", beside=True),
        ),
    ),
    Claim(
        "O3",
        "T2h above T2l in epochs 0-20, about the same in 30-50 because T2h falls",
        "> 0, then alike",
        "T2h less T2l in epochs 0-20, in epochs 30-50, and how much of it is lost between",
        (
            Part("epochs 0-20", "O3.early", "unstated"),
            Part("epochs 30-50", "O3.late", "alike", True),
            Part("lost between", "O3.early - O3.late", "unstated"),
        ),
    ),
    Claim(
        "O4",
        "T1andT2h like T1andT2 in epochs 0-10; T1andT2 better in 20-30 and in the second half",
        "alike, then T1andT2",
        "T1andT2 less T1andT2h in epochs 0-10, and how much it grows to epochs 40-50; beside it the "
        "growth after as many updates, of which T1andT2 makes a third more in an epoch, and the "
        "growth to epochs 20-30",
        (
            Part("growth to epochs 40-50", "O4.growth", "lead of T1andT2"),
            Part("epochs 0-10", "O4.first", "alike", True),
            Part("growth, by updates", "O4.growth.updates", "lead of T1andT2", beside=True),
            Part("growth to 20-30", "O4.middle - O4.first", "unstated", beside=True),
        ),
    ),
    Claim(
        "O5",
        "T1andT2h falls from epoch 20 on; T1andT2 changes little in the second half",
        "falls; steady",
        "fall of T1andT2h beyond that of T1andT2 over epochs 20-50, fall of T1andT2h over 20-50 and "
        "change of T1andT2 over 25-50, by least-squares lines",
        (
            Part("beyond T1andT2", "O5.fall.T1andT2 - O5.fall", "unstated"),
            Part("fall of T1andT2h", "O5.fall", "unstated", sign=-1),
            Part("change of T1andT2", "O5.steady", "alike", True),
        ),
    ),
    Claim(
        "H",
        "T1 with T2h makes a better model than T1 with T2l",
        "> 0",
        "T1andT2h less T1andT2l, epochs 40-50; beside it over all epochs",
        (
            Part("epochs 40-50", "A.T1andT2h - A.T1andT2l", "lead of T1andT2h"),
            Part("all epochs", "H.mean", "lead of T1andT2h", beside=True),
        ),
    ),
)

_S1 = Claim(
    "S1",
    "sizes of T1, T2h, T2l, T3 (Table 1)",
    "4797, 2399, 2399, 1067",
    "exact; another corpus has other sizes and is not a test of it",
    (),
)

#: Claims that only the paper's own corpus can test.
OF_THE_CORPUS = ("S1", "A1", "A2", "A3")


def family_alpha(family: str) -> float:
    """Complement of the coverage of each interval: 5 % over the parts of a family (Bonferroni)."""
    return ALPHA / sum(len(claim.parts) for claim in CLAIMS if claim.family == family)


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


def part_of(claim: str, title: str) -> tuple[str, Part]:
    """A claim's id, and its part of a title.

    Example:
        >>> part_of("H", "epochs 40-50")[1].statistic
        'A.T1andT2h - A.T1andT2l'
    """
    parts = next(c.parts for c in CLAIMS if c.id == claim)
    return claim, next(part for part in parts if part.title == title)


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


def is_paper_corpus(checksums: Mapping[str, str]) -> bool:
    """Whether files are those of the paper's corpus (MR).

    Args:
        checksums: file name -> sha256, as in ``config.json``.
    """
    return set(checksums.values()) == set(PAPER["corpus"]["sha256"])


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
        other = another_sample_interval(*about)
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
    return Verdict(_S1, (), len(rows), verdict, verdict, reason, sizes=shown)


def shown_number(part: Part, value: float) -> str:
    """A number of a part in its own unit: points, an accuracy, times, per cent.

    Example:
        >>> shown_number(Part("h less l", "H.mean", "lead of T1andT2h"), 0.0011)
        '+0.11 points'
        >>> shown_number(Part("a share", "F5.share", "most epochs", scale="share"), 0.935)
        '94 %'
    """
    if not np.isfinite(value):
        return "–"
    if part.scale == "points":
        # No minus before zero.
        return f"{round(100 * value, 2) + 0.0:+.2f} points"
    if part.scale == "level":
        return f"{value:.3f}"
    if part.scale in ("ratio", "log ratio"):
        return f"{value:.2f} times"
    if part.scale in ("share", "early share"):
        return f"{100 * value:.0f} %"
    return f"{value:+.3f}"


def shown_range(part: Part, low: float, high: float) -> str:
    """An interval of a part in its own unit, which stands once.

    Example:
        >>> shown_range(Part("h less l", "H.mean", "lead of T1andT2h"), -0.002, 0.0011)
        '-0.20 … +0.11 points'
    """
    if not np.isfinite([low, high]).all():
        return "–"
    number, _, unit = shown_number(part, high).partition(" ")
    return f"{shown_number(part, low).partition(' ')[0]} … {number} {unit}".strip()


#: What a verdict means, and the other sentences about one.
PHRASES = {
    "reproduced": "On average the effect is there, and large enough to matter.",
    "weaker": "On average the effect is there, but smaller than the paper reports.",
    "direction only": "On average the effect has the paper's direction; its size is open.",
    "no such effect": "On average an effect that is large enough to matter is excluded.",
    "reversed": "On average the effect goes the other way.",
    "alike": "On average they are alike.",
    "not alike": "On average they are not alike.",
    "mean": "The mean{title} is {mean}; with 95 % certainty it lies in {interval}.",
    "title": " ({title})",
    "alike would be": "Alike would be {interval}.",
    "paper": "The paper reports {figure}; {least} is the least that matters.",
    "no figure": "{least} is the least that matters.",
    "one run": "{hits} of {runs} single runs shows the claim, so {share} of all such runs would.",
    "runs": "{hits} of {runs} single runs show the claim, so {share} of all such runs would.",
    "share": "{low} to {high} %",
    "reason": "{reason}.",
    "between": " ",
}


def deciding(verdict: Verdict) -> Judged:
    """The part that decides a claim: the worst, and of equally bad ones the one with the least effect.

    Args:
        verdict: of a claim that has parts.

    Example:
        >>> deciding(judge([])[-1]).part.title
        'epochs 40-50'
    """
    counted = [judged for judged in verdict.parts if not judged.part.beside]
    return min(counted, key=lambda p: (VERDICTS.index(p.verdict), p.on_scale[0] / p.part.smallest))


def sentence(
    verdict: Verdict,
    phrases: Mapping[str, str] = PHRASES,
    translated: Callable[[str], str] = str,
) -> str:
    """What was found, how sure it is, and what one run could have shown, in words.

    Of several parts the one that decides is named.

    Args:
        verdict: of :func:`judge`.
        phrases: the sentences, in another language too.
        translated: a reason, a title or a number in that language.

    Example:
        >>> sentence(judge([])[0])
        'Undecided: not measured.'
    """
    words = translated(verdict.reason or verdict.verdict)
    reason = phrases["reason"].format(reason=f"{words[0].upper()}{words[1:]}")
    if not verdict.parts or verdict.verdict == "not applicable" or not verdict.seeds:
        return reason
    judged = deciding(verdict)
    part = judged.part

    def number(value: float) -> str:
        return translated(shown_number(part, value))

    def interval(low: float, high: float) -> str:
        return translated(shown_range(part, low, high))

    said = [reason if verdict.reason else phrases[verdict.verdict]]
    title = ""
    if len(verdict.parts) > 1:
        title = phrases["title"].format(title=translated(part.title))
    said.append(
        phrases["mean"].format(
            title=title, mean=number(judged.mean), interval=interval(judged.low, judged.high)
        )
    )
    low, high = map(float, part.shown(np.array([-part.smallest, part.smallest])))
    if part.alike:
        said.append(phrases["alike would be"].format(interval=interval(low, high)))
    elif part.reported:
        figure = number(float(part.shown(part.reported)))
        said.append(phrases["paper"].format(figure=figure, least=number(high)))
    else:
        said.append(phrases["no figure"].format(least=number(high)))
    if verdict.runs:
        bounds = (f"{100 * bound:.0f}" for bound in (verdict.share_low, verdict.share_high))
        share = phrases["share"].format(**dict(zip(("low", "high"), bounds)))
        name = "one run" if verdict.hits == 1 else "runs"
        said.append(phrases[name].format(hits=verdict.hits, runs=verdict.runs, share=share))
    return phrases["between"].join(said)


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


def seeds_note(seeds: Sequence[int]) -> str:
    """A sentence where seeds are not a full range: some may have been left out; else nothing.

    Example:
        >>> seeds_note([0, 1, 2]), seeds_note([0, 1, 5])
        ('', 'seeds 0 to 5 without 2, 3, 4: not a full range, so seeds may have been chosen')
    """
    if not seeds:
        return ""
    have = set(seeds)
    first, last = min(have), max(have)
    missing = last - first + 1 - len(have)
    if not missing:
        return ""
    named: list[str] = []
    number = first
    while len(named) < min(missing, 5):
        if number not in have:
            named.append(str(number))
        number += 1
    more = f" and {missing - 5:,} more" if missing > 5 else ""
    without = ", ".join(named) + more
    return f"seeds {first} to {last} without {without}: not a full range, so seeds may have been chosen"


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
