"""A verdict on every claim of the paper, from stored results only (sections 5 and 6).

Each seed gives a row of statistics (:func:`seed_statistics`); rows of S seeds
give the claims (:func:`judge`).  NumPy and SciPy only.

**Intervals.**  Seeds redraw splits of one fixed corpus, so their results
overlap: the intervals speak of splits of this corpus, not of other corpora.
The plain paired interval takes the seeds as independent; the interval of
Nadeau and Bengio (2003), which decides, widens the variance to

.. math::
    \\sigma^2 (1/S + \\rho / (1 - \\rho)),

where rho is the share of the corpus that a statistic is measured on: 0.1 for
accuracies on T3 (their n_test / n_train = 1/9), 0.45 for movements on T1.

**Verdicts.**  A claim is one or more components, each with a one-sided t test
(S - 1 degrees of freedom): ``above`` or ``below`` a value, or ``within`` a
margin of it (two one-sided tests).  A claim is *reproduced* when all its
components are shown (intersection-union: the greatest p), *contradicted* when
one is shown to be the opposite (Bonferroni: the smallest p times their
number), each at 5 % after Holm's correction over the family of claims, and
*inconclusive* otherwise.  A missing result is inconclusive.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .config import ARMS, PAPER, generator

__all__ = [
    "CLAIMS",
    "MARGIN",
    "Claim",
    "Component",
    "Recorded",
    "Tested",
    "Verdict",
    "judge",
    "recorded",
    "seed_statistics",
    "test_component",
]

#: Half-width of equivalence for levels and "about the same", in accuracy.
MARGIN = 0.015
#: Late movement below this share of early movement is "little" (F3).
LITTLE = 0.5
#: Level of the tests and complement of the intervals' coverage.
ALPHA = 0.05
#: Power that the smallest detectable effect is told for.
POWER = 0.8
#: Shares of the corpus: of T3, and of T1.
ON_T3, ON_T1 = PAPER["shares"][2], PAPER["shares"][0]
#: Blocks of epochs that "throughout" is judged over jointly.
BLOCKS = 5
#: Fewest seeds that a test is made of.
LEAST_SEEDS = 3

OTHERS = ("T2h", "T2l", "T1andT2l", "T1andT2ran")


# --- one seed ------------------------------------------------------------------


def window(epochs, first, last):
    """Which of `epochs` lie in the paper's epochs first ... last, both included.

    The paper's run has 50 epochs; those of a shorter or longer run are taken
    in proportion.

    Example:
        >>> np.flatnonzero(window(np.arange(1, 51), 40, 50)).tolist()[:2]
        [39, 40]
    """
    scaled = epochs * (PAPER["epochs"] / epochs[-1])
    return (scaled >= first - 1e-9) & (scaled <= last + 1e-9)


def accuracy_statistics(curves):
    """Statistics of Fig. 6 of one seed.

    Args:
        curves (dict): arm -> (epochs, >= 2) array of epoch, accuracy.

    Returns:
        dict: name -> float; NaN where an arm is missing.  ``A.ARM`` is the
        mean accuracy of epochs 40-50; ``O...`` see :data:`CLAIMS`.
    """
    curves = {arm: rows[rows[:, 0] > 0] for arm, rows in curves.items()}
    lengths = {len(rows) for rows in curves.values()}
    if not curves or len(lengths) != 1 or min(lengths) < 1:
        return dict.fromkeys(_accuracy_names(), np.nan)
    epochs = next(iter(curves.values()))[:, 0]
    missing = np.full(len(epochs), np.nan)
    acc = {arm: curves[arm][:, 1] if arm in curves else missing for arm in ARMS}
    made = {f"A.{arm}": _mean(acc[arm][window(epochs, *PAPER["level_epochs"])]) for arm in ARMS}
    h_l = acc["T1andT2h"] - acc["T1andT2l"]
    blocks = np.array_split(h_l, BLOCKS) if len(h_l) >= BLOCKS else [h_l] * BLOCKS
    made.update({f"O1.block{i}": _mean(block) for i, block in enumerate(blocks, start=1)})
    made["O2.mean"] = _mean(acc["T1andT2h"] - acc["T1andT2ran"])
    made["H.mean"] = _mean(h_l)
    early, late = window(epochs, 0, 20), window(epochs, 30, 50)
    made["O3.early"] = _mean((acc["T2h"] - acc["T2l"])[early])
    made["O3.late"] = _mean((acc["T2h"] - acc["T2l"])[late])
    made["O3.fall"] = _mean(acc["T2h"][late]) - _mean(acc["T2h"][early])
    all_h = acc["T1andT2"] - acc["T1andT2h"]
    made["O4.first"] = _mean(all_h[window(epochs, 0, 10)])
    made["O4.middle"] = _mean(all_h[window(epochs, 20, 30)])
    made["O4.second"] = _mean(all_h[window(epochs, 25, 50)])
    made["O5.fall"] = _change(epochs, acc["T1andT2h"], 20, 50)
    made["O5.steady"] = _change(epochs, acc["T1andT2"], 25, 50)
    return made


def _accuracy_names():
    fixed = ["O2.mean", "H.mean", "O3.early", "O3.late", "O3.fall", "O4.first", "O4.middle"]
    fixed += ["O4.second", "O5.fall", "O5.steady"]
    return [f"A.{a}" for a in ARMS] + [f"O1.block{i + 1}" for i in range(BLOCKS)] + fixed


def _mean(values):
    return float(np.mean(values)) if len(values) else float("nan")


def _change(epochs, values, first, last):
    """Change over a window by the slope of its least-squares line."""
    inside = window(epochs, first, last)
    if inside.sum() < 2 or np.isnan(values).any():
        return float("nan")
    slope = np.polyfit(epochs[inside], values[inside], 1)[0]
    return float(slope * (epochs[inside][-1] - epochs[inside][0]))


@dataclass(frozen=True)
class Recorded:
    """What the first phase recorded of T1's n sentences, as :class:`replicate.saliency.Recorder` wrote it.

    Attributes:
        epochs: (k,) the epoch each movement arrives at (n to n + 1 is at n + 1).
        movement: name -> (k, n): raw, standardised, logit.
        correct: (n,) bool, at the judged epoch.
        lengths: (n,) words.
    """

    epochs: np.ndarray
    movement: dict
    correct: np.ndarray
    lengths: np.ndarray


def recorded(run, seed):
    """Read the record of a seed's first phase.

    Args:
        run (replicate.experiment.RunFolder): with the seed's T1 done.

    Returns:
        Recorded: correctness against the true label at ``judged_epoch``.
    """
    from .io.files import load_npy

    config, corpus = run.config, run.corpus
    t1 = np.flatnonzero(run.subset(seed) == 1)
    folder = run.phase(seed, "T1")
    n_rows = config.epochs + config.dropped_epochs
    predicted = load_npy(folder / "predicted.npy", "i", (n_rows, len(t1)))
    row = (config.judged_epoch or config.epochs) - 1 + config.dropped_epochs
    names = ("raw", "standardised", "logit")
    shape = (n_rows - 1, len(t1))
    moved = {n: load_npy(folder / f"movement_{n}.npy", "f", shape, finite=True) for n in names}
    epochs = np.arange(n_rows - 1) + 2 - config.dropped_epochs
    return Recorded(epochs, moved, predicted[row] == corpus.labels[t1], corpus.lengths[t1])


def movement_statistics(record, seed):
    """Statistics of Figs 3-5 of one seed, over all sentences of T1.

    Returns:
        dict: ``F3.ratio``: movement of standardised saliency a word and
        epoch, epochs 21-50 over epochs up to 20, correctly classified;
        ``F4.excess``: the same ratio of the misclassified less that;
        ``F5.share``: share of epochs at which the misclassified move more a
        sentence (raw); ``F5.correlation`` of the two curves over epochs;
        ``F5b.log_ratio``: log of total movement, misclassified over correct;
        ``....logit``: the same of the gradient of the logit difference;
        ``F5.share.100``: with 100 of each, drawn as for Fig. 5;
        ``misclassified``: their number.
    """
    wrong = ~record.correct
    made = {"misclassified": float(wrong.sum())}
    names = ["F3.ratio", "F4.excess", "F5.share", "F5.correlation", "F5b.log_ratio"]
    names += ["F5.share.logit", "F5b.log_ratio.logit", "F5.share.100"]
    if not (wrong.any() and record.correct.any()):
        return {**made, **dict.fromkeys(names, float("nan"))}
    early, late = window(record.epochs, 0, 20), window(record.epochs, 20.01, 50)
    ratio = {}
    for name, chosen in (("correct", record.correct), ("wrong", wrong)):
        moved = record.movement["standardised"][:, chosen].sum(axis=1, dtype=np.float64)
        a_word = moved / record.lengths[chosen].sum()
        before = _mean(a_word[early])
        ratio[name] = _mean(a_word[late]) / before if before else float("nan")
    made["F3.ratio"] = ratio["correct"]
    made["F4.excess"] = ratio["wrong"] - ratio["correct"]
    for kind, suffix in (("raw", ""), ("logit", ".logit")):
        right, mis = movement_curves(record, kind)
        made[f"F5.share{suffix}"] = _mean(mis > right)
        total = right.sum() * mis.sum()
        made[f"F5b.log_ratio{suffix}"] = (
            float(np.log(mis.sum() / right.sum())) if total > 0 else float("nan")
        )
        if kind == "raw":
            moving = len(right) > 1 and right.std() > 0 and mis.std() > 0
            made["F5.correlation"] = (
                float(np.corrcoef(right, mis)[0, 1]) if moving else float("nan")
            )
    right, mis = movement_curves(record, "raw", drawn_hundred(record.correct, seed))
    made["F5.share.100"] = _mean(mis > right)
    return made


def drawn_hundred(correct, seed, size=100):
    """Up to 100 correctly classified and 100 misclassified sentences (Fig. 5).

    Returns:
        tuple: two arrays of places in T1, sorted, of equal length: sums over
        them can be compared; fewer than 100 where one kind has fewer.
    """
    random = generator("figure 5", seed)
    size = min(size, int(correct.sum()), int((~correct).sum()))
    return tuple(
        np.sort(random.permutation(np.flatnonzero(which))[:size]) for which in (correct, ~correct)
    )


def movement_curves(record, kind="raw", chosen=None):
    """Movement of a mean sentence by epoch: correctly classified, misclassified (Fig. 5).

    Args:
        record (Recorded): of a seed.
        kind (str): raw, standardised or logit.
        chosen (tuple): places of the two sets; None takes all.

    Returns:
        tuple: two (k,) float64 arrays.
    """
    if chosen is None:
        chosen = np.flatnonzero(record.correct), np.flatnonzero(~record.correct)
    moved = record.movement[kind]
    return tuple(moved[:, places].mean(axis=1, dtype=np.float64) for places in chosen)


def seed_statistics(run, seed):
    """All statistics of a finished seed: name -> float, the row that claims are judged from."""
    subset = run.subset(seed)
    sizes = {f"size.T{k}": float((subset == k).sum()) for k in (1, 3)}
    for arm in ("T2h", "T2l"):
        from .io.files import load_npy

        sizes[f"size.{arm}"] = float(len(load_npy(run.phase(seed, arm) / "sentences.npy", "i")))
    return {
        **sizes,
        **accuracy_statistics(run.accuracies(seed)),
        **movement_statistics(recorded(run, seed), seed),
    }


# --- many seeds ----------------------------------------------------------------


@dataclass(frozen=True)
class Component:
    """One test of a claim.

    Attributes:
        name: statistic, or ``"a - b"`` of two.
        kind: ``"above"``, ``"below"`` or ``"within"``.
        value: what it is held against.
        share: rho, the share of the corpus it is measured on.
        margin: half-width for ``"within"``.
    """

    name: str
    kind: str
    value: float = 0.0
    share: float = ON_T3
    margin: float = MARGIN


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        id: as in the table of claims.
        statement: what the paper says.
        paper: its number or order.
        how: statistic, test and margin, in words.
        components: tests that must all hold; ``ours`` and the interval shown
            are of the first.
    """

    id: str
    statement: str
    paper: str
    how: str
    components: tuple


def _r1():
    first = [Component("A.T1andT2 - A.T1andT2h", "above")]
    second = [Component(f"A.T1andT2h - A.{arm}", "above") for arm in OTHERS]
    alike = [
        Component(f"A.{a} - A.{b}", "within") for i, a in enumerate(OTHERS) for b in OTHERS[i + 1 :]
    ]
    return (*first, *second, *alike)


#: Every claim but S1, which is no matter of chance.
CLAIMS = (
    Claim(
        "F3",
        "correctly classified: saliency moves much in epochs 0-20 and little after",
        "little after 20",
        "movement of standardised saliency a word and epoch, epochs 21-50 over epochs up to 20, "
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
        "log of total movement a sentence, misclassified over correct; above 0",
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
class Tested:
    """A component tested on S seeds.

    Attributes:
        mean, deviation: over seeds (NaN without).
        seeds: how many had a number.
        low, high: corrected 95 % interval; it decides.
        plain_low, plain_high: the plain paired one.
        p_yes, p_no: of the claim's side and of the opposite.
        detectable: smallest effect shown with 80 % power at this spread.
    """

    name: str
    kind: str
    value: float
    mean: float
    deviation: float
    seeds: int
    low: float
    high: float
    plain_low: float
    plain_high: float
    p_yes: float
    p_no: float
    detectable: float


def test_component(component, values):
    """Test one component on the seeds' values.

    Args:
        component (Component): what to test.
        values (numpy.ndarray): (S,); NaN seeds are left out.

    Returns:
        Tested: p values of 1 with fewer than three seeds.

    Source:
        Nadeau and Bengio (2003), Inference for the generalization error;
        Schuirmann (1987), two one-sided tests.

    Example:
        >>> tested = test_component(Component("H.mean", "above"), np.array([0.02, 0.03, 0.025]))
        >>> tested.p_yes < 0.05, tested.p_no > 0.9
        (True, True)
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    seeds = len(values)
    nan = float("nan")
    if seeds < LEAST_SEEDS:
        mean = float(values.mean()) if seeds else nan
        return Tested(
            component.name, component.kind, component.value, mean, nan, seeds,
            nan, nan, nan, nan, 1.0, 1.0, nan,
        )  # fmt: skip
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    freedom = seeds - 1
    plain = deviation / np.sqrt(seeds)
    error = deviation * np.sqrt(1 / seeds + component.share / (1 - component.share))
    reach = stats.t.ppf(1 - ALPHA / 2, freedom)

    def above(bound):
        """One-sided p that the mean is above `bound`."""
        if error == 0:
            return 0.0 if mean > bound else 1.0
        return float(stats.t.sf((mean - bound) / error, freedom))

    def below(bound):
        if error == 0:
            return 0.0 if mean < bound else 1.0
        return float(stats.t.cdf((mean - bound) / error, freedom))

    if component.kind == "above":
        p_yes, p_no = above(component.value), below(component.value)
    elif component.kind == "below":
        p_yes, p_no = below(component.value), above(component.value)
    else:
        low, high = component.value - component.margin, component.value + component.margin
        p_yes = max(above(low), below(high))
        p_no = min(1.0, 2 * min(below(low), above(high)))
    detectable = (stats.t.ppf(1 - ALPHA, freedom) + stats.t.ppf(POWER, freedom)) * error
    return Tested(
        component.name, component.kind, component.value, mean, deviation, seeds,
        mean - reach * error, mean + reach * error, mean - reach * plain, mean + reach * plain,
        p_yes, p_no, float(detectable),
    )  # fmt: skip


# The name is the method's, not a test of pytest's.
test_component.__test__ = False  # type: ignore[attr-defined]


def holm(p_values):
    """Holm's step-down adjusted p values.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.maximum.accumulate(np.minimum(p_values[order] * factors, 1.0))
    out = np.empty(len(p_values))
    out[order] = adjusted
    return out


@dataclass(frozen=True)
class Verdict:
    """A claim judged.

    Attributes:
        claim: what was judged.
        ours, low, high: of the first component (the mean of all for A3; for
            S1 the four sizes of the first seed).
        seeds: fewest of any component.
        verdict: reproduced, contradicted or inconclusive.
        p_yes, p_no: after Holm's correction.
        detectable: see :class:`Tested`; of the first component.
        tested: all components.
    """

    claim: Claim
    ours: float
    low: float
    high: float
    seeds: int
    verdict: str
    p_yes: float
    p_no: float
    detectable: float
    tested: tuple


def judge(table):
    """Judge all claims on the statistics of S seeds.

    Args:
        table (list of dict): rows of :func:`seed_statistics`; a statistic that
            a row lacks is NaN.

    Returns:
        list of Verdict: S1 first, then :data:`CLAIMS` in order.

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


def column(table, name):
    """(S,) values of a statistic, or of the difference ``"a - b"`` of two."""
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


def _judge_sizes(table):
    nan = float("nan")
    sizes = PAPER["sizes"]
    rows = [tuple(row.get(f"size.{name}", nan) for name in sizes) for row in table]
    n = sum(sizes.values())
    if not rows or any(np.isnan(row).any() or sum(row) != n for row in rows):
        verdict = "inconclusive"
    else:
        same = all(row == tuple(sizes.values()) for row in rows)
        verdict = "reproduced" if same else "contradicted"
    # Shown as they are of the first seed; all seeds are judged.
    ours = rows[0] if rows else nan
    return Verdict(_S1, ours, nan, nan, len(rows), verdict, nan, nan, nan, ())


#: Fewest seeds that `verify` will speak on.
SEEDS_TO_VERIFY = 5


def verify(verdicts, expected=None):
    """Whether what must hold holds.

    S1 must be exact where the corpus is MR's size, and no claim may come out
    opposite to the committed verdict for the same preset and vectors.

    Args:
        verdicts (list of Verdict): of :func:`judge`.
        expected (dict): claim id -> verdict, where results are committed for
            such a run; None where not.

    Returns:
        tuple: exit code (0 holds, 1 does not, 2 cannot tell) and lines that
        say why.

    Example:
        >>> verify(judge([]))
        (2, ['cannot tell: no finished seed'])
    """
    seeds = verdicts[0].seeds
    if not seeds:
        return 2, ["cannot tell: no finished seed"]
    opposite = {"reproduced": "contradicted", "contradicted": "reproduced"}
    wrong = (
        [] if verdicts[0].verdict != "contradicted" else ["S1: the sizes are not those of Table 1"]
    )
    for verdict in verdicts[1:]:
        was = (expected or {}).get(verdict.claim.id)
        if was in opposite and verdict.verdict == opposite[was]:
            wrong.append(f"{verdict.claim.id}: {verdict.verdict}; the committed results say {was}")
    if wrong:
        return 1, wrong
    if seeds < SEEDS_TO_VERIFY:
        return 2, [f"cannot tell: {seeds} finished seeds; {SEEDS_TO_VERIFY} or more are needed"]
    if verdicts[0].verdict == "inconclusive":
        return 2, ["cannot tell: another corpus than the paper's"]
    if expected is None:
        return 2, ["cannot tell: no results are committed for these settings and vectors"]
    return 0, [f"all that must hold holds ({seeds} seeds)"]
