"""What the paper claims (sections 5 and 6), and the rule that decides it.  NumPy and SciPy only.

A claim has one part or more, and a part is a number that every seed has.  Its verdict comes
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

The claims are two families, :data:`HEADLINE` and the rest; the intervals of a family hold
together with 95 % (Bonferroni).  :mod:`replicate.verdicts` judges them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from .config import PAPER
from .inference import ALPHA
from .statistics import BLOCKS, OTHERS, comparable

__all__ = [
    "CLAIMS",
    "Claim",
    "HEADLINE",
    "OF_THE_CORPUS",
    "Part",
    "S1",
    "VERDICTS",
    "alike_verdict",
    "effect_verdict",
    "family_alpha",
    "is_paper_corpus",
    "part_of",
]

#: Claims of the first family.
HEADLINE = ("H", "O2", "R1")
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
        return comparable(self.sign * (forward(numbers) - self._neutral))

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
        "fall of T1andT2h beyond that of T1andT2 over epochs 20-50, change of T1andT2h over 20-50 and "
        "change of T1andT2 over 25-50, by least-squares lines",
        (
            Part("beyond T1andT2", "O5.fall.T1andT2 - O5.fall", "unstated"),
            Part("change of T1andT2h", "O5.fall", "unstated", sign=-1),
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

#: Table 1, which is exact and has no parts.
S1 = Claim(
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


def part_of(claim: str, title: str) -> tuple[str, Part]:
    """A claim's id, and its part of a title.

    Example:
        >>> part_of("H", "epochs 40-50")[1].statistic
        'A.T1andT2h - A.T1andT2l'
    """
    parts = next(c.parts for c in CLAIMS if c.id == claim)
    return claim, next(part for part in parts if part.title == title)


def is_paper_corpus(checksums: Mapping[str, str]) -> bool:
    """Whether files are those of the paper's corpus (MR).

    Args:
        checksums: file name -> sha256, as in ``config.json``.
    """
    return set(checksums.values()) == set(PAPER["corpus"]["sha256"])
