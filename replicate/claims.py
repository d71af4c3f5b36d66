"""A verdict on every claim of the paper (sections 5 and 6).  NumPy and SciPy only.

The input is a table with the statistics of S seeds (:mod:`replicate.statistics`).
A claim has one or more components.  Each is a one-sided t test with S - 1 degrees
of freedom: ``above`` or ``below`` a value, or ``within`` a margin of it (two
one-sided tests).  A claim is

* *reproduced* if all its components are shown (intersection-union test: the
  greatest p),
* *contradicted* if the opposite of one component is shown (Bonferroni: the
  smallest p times the number of components),
* *inconclusive* otherwise, also if a result is missing.

Both use a level of 5 % after Holm's correction over all claims.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .config import PAPER
from .inference import ALPHA, MARGIN, ON_T1, Component, TestResult, holm, test_component
from .statistics import BLOCKS

__all__ = ["CLAIMS", "Claim", "Verdict", "column", "judge", "verify"]

#: F3: "little" change is less than this share of the early change.
LITTLE = 0.5

OTHERS = ("T2h", "T2l", "T1andT2l", "T1andT2ran")

#: Statistics of one seed: name -> number.
Row = Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        id: the short name in the table of claims.
        statement: what the paper says.
        paper: the number or order that the paper gives.
        how: statistic, test and margin, in words.
        components: the tests that must all hold; a verdict shows the number and
            the interval of the first.

    Example:
        >>> next(claim.statement for claim in CLAIMS if claim.id == "O2")
        'T1andT2h above T1andT2ran'
    """

    id: str
    statement: str
    paper: str
    how: str
    components: tuple[Component, ...]


def _r1() -> tuple[Component, ...]:
    first = [Component("A.T1andT2 - A.T1andT2h", "above")]
    second = [Component(f"A.T1andT2h - A.{arm}", "above") for arm in OTHERS]
    alike = [
        Component(f"A.{a} - A.{b}", "within") for i, a in enumerate(OTHERS) for b in OTHERS[i + 1 :]
    ]
    return (*first, *second, *alike)


#: All claims but S1: the sizes of Table 1 do not depend on chance, so they need no test.
CLAIMS = (
    Claim(
        "F3",
        "correctly classified: saliency moves much in epochs 0-20 and little after",
        "little after 20",
        "change of standardised saliency a word and epoch, epochs 21-50 over epochs up to 20, "
        f"all correctly classified T1 sentences; below {LITTLE}",
        (Component("F3.ratio", "below", LITTLE, ON_T1),),
    ),
    Claim(
        "F4",
        "misclassified: saliency keeps moving after epoch 20",
        "keeps moving",
        "the ratio of F3 for misclassified T1 sentences less that for correct ones; above 0",
        (Component("F4.excess", "above", 0.0, ON_T1),),
    ),
    Claim(
        "F5",
        "raw saliency of the misclassified moves more at most epochs",
        "most epochs",
        "share of epochs at which a misclassified T1 sentence moves more; above 0.5",
        (Component("F5.share", "above", 0.5, ON_T1),),
    ),
    Claim(
        "F5b",
        "summed over training, raw saliency of the misclassified moves more",
        "more",
        "log of total change a sentence, misclassified over correct; above 0",
        (Component("F5b.log_ratio", "above", 0.0, ON_T1),),
    ),
    Claim(
        "A1",
        "epochs 40-50: accuracy of T1andT2",
        "0.78",
        f"mean accuracy of epochs 40-50; within {MARGIN} of 0.78",
        (Component("A.T1andT2", "within", 0.78),),
    ),
    Claim(
        "A2",
        "epochs 40-50: accuracy of T1andT2h",
        "0.76",
        f"mean accuracy of epochs 40-50; within {MARGIN} of 0.76",
        (Component("A.T1andT2h", "within", 0.76),),
    ),
    Claim(
        "A3",
        "epochs 40-50: accuracy of the four others",
        "0.75",
        f"mean accuracy of epochs 40-50; each of the four within {MARGIN} of 0.75 (the mean of the "
        "four is shown)",
        tuple(Component(f"A.{arm}", "within", 0.75) for arm in OTHERS),
    ),
    Claim(
        "R1",
        "epochs 40-50: T1andT2 first, T1andT2h second, the others alike",
        "T1andT2 > T1andT2h > others",
        f"T1andT2 - T1andT2h and T1andT2h - each other above 0, the others within {MARGIN} of each "
        "other (the first difference is shown)",
        _r1(),
    ),
    Claim(
        "O1",
        "T1andT2h above T1andT2l throughout",
        "> 0 throughout",
        f"mean difference in each of {BLOCKS} equal blocks of epochs, jointly; all above 0 (the "
        "first block is shown)",
        tuple(Component(f"O1.block{i + 1}", "above") for i in range(BLOCKS)),
    ),
    Claim(
        "O2",
        "T1andT2h above T1andT2ran",
        "> 0",
        "mean difference over all epochs; above 0",
        (Component("O2.mean", "above"),),
    ),
    Claim(
        "O3",
        "T2h above T2l in epochs 0-20, about the same in 30-50 because T2h falls",
        "> 0, then alike",
        f"mean difference in 0-20 above 0 (shown), in 30-50 within {MARGIN} of 0, and T2h in 30-50 "
        "below its own 0-20",
        (
            Component("O3.early", "above"),
            Component("O3.late", "within"),
            Component("O3.fall", "below"),
        ),
    ),
    Claim(
        "O4",
        "T1andT2h as good as T1andT2 in epochs 0-10; T1andT2 better in 20-30 and 25-50",
        "alike, then T1andT2",
        f"T1andT2 - T1andT2h: within {MARGIN} of 0 in 0-10, above 0 in 20-30 and in 25-50 (shown)",
        (
            Component("O4.second", "above"),
            Component("O4.first", "within"),
            Component("O4.middle", "above"),
        ),
    ),
    Claim(
        "O5",
        "T1andT2h falls from epoch 20 on; T1andT2 changes little in the second half",
        "falls; steady",
        "change by the least-squares line: T1andT2h over epochs 20-50 below 0 (shown), T1andT2 over "
        f"25-50 within {MARGIN} of 0",
        (Component("O5.fall", "below"), Component("O5.steady", "within")),
    ),
    Claim(
        "H",
        "T1 with T2h makes a better model than T1 with T2l",
        "> 0",
        "mean difference over all epochs; above 0",
        (Component("H.mean", "above"),),
    ),
)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim; see :func:`judge`.

    Attributes:
        claim: the claim.
        ours, low, high: mean and interval of the first component; A3 has the mean
            of all components, S1 the four sizes of the first seed.
        seeds: the smallest number of seeds of any component.
        verdict: ``"reproduced"``, ``"contradicted"`` or ``"inconclusive"``.
        p_yes, p_no: p values for the claim and against it, after Holm's correction.
        detectable: the smallest detectable effect of the first component, see
            :class:`~replicate.inference.TestResult`.
        tested: the results of all components.
    """

    claim: Claim
    ours: float | tuple[float, ...]
    low: float
    high: float
    seeds: int
    verdict: str
    p_yes: float
    p_no: float
    detectable: float
    tested: tuple[TestResult, ...]


def judge(table: Sequence[Row]) -> list[Verdict]:
    """Judge all claims on the statistics of S seeds.

    Args:
        table: S rows of :func:`replicate.statistics.seed_statistics`; a missing
            statistic counts as NaN.

    Returns:
        The verdict on S1, then on each of :data:`CLAIMS` in order.

    Example:
        >>> [verdict.verdict for verdict in judge([])][:2]
        ['inconclusive', 'inconclusive']
    """
    tested = [
        [test_component(c, column(table, c.name)) for c in claim.components] for claim in CLAIMS
    ]
    p_yes = holm([max(t.p_yes for t in row) for row in tested])
    p_no = holm([min(1.0, len(row) * min(t.p_no for t in row)) for row in tested])
    made = [_judge_sizes(table)]
    for claim, row, yes, no in zip(CLAIMS, tested, p_yes, p_no):
        if yes < ALPHA:
            verdict = "reproduced"
        elif no < ALPHA:
            verdict = "contradicted"
        else:
            verdict = "inconclusive"
        first = row[0]
        if claim.id == "A3":
            together = np.mean([column(table, c.name) for c in claim.components], axis=0)
            first = test_component(claim.components[0], together)
        seeds = min(t.seeds for t in row)
        made.append(
            Verdict(
                claim,
                first.mean,
                first.low,
                first.high,
                seeds,
                verdict,
                float(yes),
                float(no),
                first.detectable,
                tuple(row),
            )  # fmt: skip
        )
    return made


def column(table: Sequence[Row], name: str) -> np.ndarray:
    """The values of a statistic, or of the difference ``"a - b"`` of two.

    Args:
        table: S rows of statistics.
        name: as in :class:`~replicate.inference.Component`.

    Returns:
        (S,) float64; NaN for a row without the statistic.

    Example:
        >>> column([{"a": 3.0, "b": 1.0}, {"a": 2.0}], "a - b").tolist()
        [2.0, nan]
    """
    first, _, second = name.partition(" - ")
    values = np.array([row.get(first, np.nan) for row in table], dtype=np.float64)
    if second:
        values = values - np.array([row.get(second, np.nan) for row in table], dtype=np.float64)
    return values


_S1 = Claim(
    "S1",
    "sizes of T1, T2h, T2l, T3 (Table 1)",
    "4797, 2399, 2399, 1067",
    "exact; another corpus has other sizes and is no test of it",
    (),
)


def _judge_sizes(table: Sequence[Row]) -> Verdict:
    nan = float("nan")
    sizes = PAPER["sizes"]
    rows = [tuple(row.get(f"size.{name}", nan) for name in sizes) for row in table]
    n = sum(sizes.values())
    if not rows or any(np.isnan(row).any() or sum(row) != n for row in rows):
        verdict = "inconclusive"
    else:
        same = all(row == tuple(sizes.values()) for row in rows)
        verdict = "reproduced" if same else "contradicted"
    # All seeds are judged; the sizes of the first are shown.
    ours = rows[0] if rows else nan
    return Verdict(_S1, ours, nan, nan, len(rows), verdict, nan, nan, nan, ())


#: :func:`verify` decides with at least this many seeds.
SEEDS_TO_VERIFY = 5


def verify(
    verdicts: Sequence[Verdict], expected: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Check the verdicts of a run against Table 1 and against the committed results.

    If the corpus has the size of MR, the sizes must be those of Table 1 (S1).  No
    verdict may be the opposite of the committed one for the same settings and vectors.

    Args:
        verdicts: the result of :func:`judge`.
        expected: claim id -> committed verdict; None if no results are committed
            for these settings and vectors.

    Returns:
        The exit code, and lines that give the reason: 0 if the verdicts are as
        they must be, 1 if not, 2 if that cannot be decided.

    Example:
        >>> verify(judge([]))
        (2, ['undecided: no seed is finished'])
    """
    seeds = verdicts[0].seeds
    if not seeds:
        return 2, ["undecided: no seed is finished"]
    opposite = {"reproduced": "contradicted", "contradicted": "reproduced"}
    wrong = (
        ["S1: the sizes are not those of Table 1"] if verdicts[0].verdict == "contradicted" else []
    )
    for verdict in verdicts[1:]:
        was = (expected or {}).get(verdict.claim.id)
        if was in opposite and verdict.verdict == opposite[was]:
            wrong.append(f"{verdict.claim.id}: {verdict.verdict}; the committed results say {was}")
    if wrong:
        return 1, wrong
    if seeds < SEEDS_TO_VERIFY:
        return 2, [f"undecided: {seeds} finished seeds; {SEEDS_TO_VERIFY} or more are needed"]
    if verdicts[0].verdict == "inconclusive":
        return 2, ["undecided: the corpus is not the paper's"]
    if expected is None:
        return 0, [
            f"S1 holds ({seeds} seeds); no results are committed for these settings, corpus and "
            "vectors: nothing to compare with"
        ]
    return 0, [f"all that must hold holds ({seeds} seeds)"]
