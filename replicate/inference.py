"""Means, intervals and tests from the numbers of S seeds (sections 5 and 6).

Three questions have three intervals, and each interval answers one of them.

*What does the procedure give on average, on this corpus?*  Seeds are independent
draws of the procedure (split, initial weights, order), so this is the t interval
of a mean, :func:`mean_interval`.  Who looks at the results while seeds are added
needs :func:`confidence_sequence`, which holds for all numbers of seeds at once.

*What could one run show?*  :func:`prediction_interval`, and the share of the runs
that show a pattern, :func:`share_interval`.

*What would another sample of such sentences give?*  Splits of one corpus overlap,
so Nadeau and Bengio (2003) widen the variance of the mean to

.. math::
    \\sigma^2 (1/S + \\rho / (1 - \\rho)),

where rho is the share of the corpus that a statistic is measured on: 0.1 for
accuracies on T3 (their n_test / n_train = 1/9).  See :func:`interval`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .config import PAPER, generator

__all__ = [
    "Component",
    "Interval",
    "TestResult",
    "confidence_sequence",
    "holm",
    "interval",
    "mean_interval",
    "prediction_interval",
    "share_interval",
    "simultaneous_band",
    "test_component",
]

#: Level of the tests; the intervals cover 1 - ALPHA.
ALPHA = 0.05
#: Number of seeds at which the confidence sequence is narrowest.
PLANNED_SEEDS = 200
#: Shares of the corpus that T3 and T1 hold.
ON_T3, ON_T1 = PAPER["shares"][2], PAPER["shares"][0]
#: A test needs at least this many seeds.
LEAST_SEEDS = 3
#: Half-width of equivalence of a :class:`Component`, in accuracy.
MARGIN = 0.015


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % intervals; each array has the shape of one seed's values.

    Attributes:
        mean: the mean over seeds.
        deviation: the standard deviation over seeds, with divisor S - 1.
        error: the standard error of the mean, corrected for overlapping splits.
        low, high: the interval from `error`.
        plain_low, plain_high: the interval if the seeds were independent.

    Example:
        >>> found = interval([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6]], share=0.1)
        >>> found.mean.round(2).tolist(), bool((found.low < found.plain_low).all())
        ([0.2, 0.4], True)
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    error: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    plain_low: NDArray[np.float64]
    plain_high: NDArray[np.float64]


def interval(values: ArrayLike, share: float) -> Interval:
    """Mean and 95 % interval over seeds, by Student's t with S - 1 degrees of freedom.

    Args:
        values: (S, …), one entry for each seed, all finite.
        share: rho, the share of the corpus that the values are measured on.

    Returns:
        With fewer than three seeds, everything but the mean is NaN.

    Source:
        Nadeau and Bengio (2003), Inference for the generalization error.

    Example:
        >>> found = interval(np.array([0.02, 0.03, 0.025]), share=0.1)
        >>> round(float(found.low), 3), round(float(found.high), 3)
        (0.011, 0.039)
    """
    numbers = np.asarray(values, dtype=np.float64)
    seeds = len(numbers)
    mean = numbers.mean(axis=0)
    if seeds < LEAST_SEEDS:
        nan = np.full(np.shape(mean), np.nan)
        return Interval(mean, nan, nan, nan, nan, nan, nan)
    deviation = numbers.std(axis=0, ddof=1)
    error = deviation * np.sqrt(1 / seeds + share / (1 - share))
    plain = deviation / np.sqrt(seeds)
    reach = special.stdtrit(seeds - 1, 1 - ALPHA / 2)
    return Interval(
        mean,
        deviation,
        error,
        mean - reach * error,
        mean + reach * error,
        mean - reach * plain,
        mean + reach * plain,
    )


Numbers = float | np.ndarray
Bounds = tuple[np.ndarray, np.ndarray]


def mean_interval(
    mean: Numbers, deviation: Numbers, seeds: Numbers, alpha: float = ALPHA
) -> Bounds:
    """t interval of the mean of S independent seeds, S - 1 degrees of freedom.

    Args:
        mean, deviation: over seeds, of any one shape; the deviation is divided by S - 1.
        seeds: S; with fewer than three the bounds are NaN.
        alpha: complement of the coverage.

    Returns:
        Low and high, of the same shape.

    Example:
        >>> [round(float(bound), 2) for bound in mean_interval(1.0, 1.0, 25)]
        [0.59, 1.41]
    """
    n = _counted(seeds)
    return _around(mean, _reach(n, alpha) * np.asarray(deviation) / np.sqrt(n))


def prediction_interval(
    mean: Numbers, deviation: Numbers, seeds: Numbers, alpha: float = ALPHA
) -> Bounds:
    """Where one more seed lies with probability 1 - alpha: the mean and its own spread.

    Args:
        mean, deviation, seeds, alpha: see :func:`mean_interval`.

    Source:
        Spence and Stanley (2016), Prediction interval.

    Example:
        >>> [round(float(bound), 2) for bound in prediction_interval(1.0, 1.0, 25)]
        [-1.1, 3.1]
    """
    n = _counted(seeds)
    return _around(mean, _reach(n, alpha) * np.asarray(deviation) * np.sqrt(1 + 1 / n))


def confidence_sequence(
    mean: Numbers,
    deviation: Numbers,
    seeds: Numbers,
    alpha: float = ALPHA,
    planned: int = PLANNED_SEEDS,
) -> Bounds:
    """Interval of the mean that holds for all S at once: one may look after every seed.

    The t statistic's likelihood ratio, averaged over effects from N(0, g sigma^2),
    exceeds 1 / alpha at any time with probability alpha at most.  Inverted:

    .. math::
        \\bar x \\pm s \\sqrt{\\frac{S - 1}{S} \\cdot \\frac{a - 1}{1 - a / (1 + S g)}}, \\quad
        a = \\left(\\frac{1 + S g}{\\alpha^2}\\right)^{1 / S}.

    Args:
        mean, deviation, seeds, alpha: see :func:`mean_interval`.
        planned: S at which the interval is nearly the narrowest.

    Returns:
        Low and high; infinite where S is too small to say anything.

    Source:
        Lai (1976), On confidence sequences; Wang and Ramdas (2023), Anytime-valid
        t-tests (arXiv:2310.03722).

    Example:
        >>> [round(float(bound), 2) for bound in confidence_sequence(0.0, 1.0, 200)]
        [-0.22, 0.22]
    """
    n = _counted(seeds)
    odds = -2 * np.log(alpha)
    g = (odds + np.log(1 + odds)) / planned
    with np.errstate(over="ignore", invalid="ignore"):
        a = ((1 + n * g) / alpha**2) ** (1 / n)
        room = 1 - a / (1 + n * g)
        squared = np.where(room > 0, (a - 1) / np.where(room > 0, room, 1.0), np.inf)
        reach = np.sqrt((n - 1) / n * squared) * np.asarray(deviation)
    return _around(mean, reach)


def share_interval(hits: int, seeds: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Interval of Clopper and Pearson (1934) of a probability: `hits` of `seeds` runs.

    Example:
        >>> [round(bound, 3) for bound in share_interval(0, 20)]
        [0.0, 0.168]
    """
    if not seeds:
        return float("nan"), float("nan")
    low = special.betaincinv(hits, seeds - hits + 1, alpha / 2) if hits else 0.0
    high = special.betaincinv(hits + 1, seeds - hits, 1 - alpha / 2) if hits < seeds else 1.0
    return float(low), float(high)


def simultaneous_band(values: np.ndarray, alpha: float = ALPHA, draws: int = 4000) -> Bounds:
    """Band around the mean curve that holds at all its points at once.

    The critical value is the quantile of the greatest \\|t\\| over the points, drawn
    from a multivariate t distribution with the correlation of the seeds' curves.

    Args:
        values: (S, E) a curve a seed.
        alpha: complement of the coverage.
        draws: number of draws of the greatest \\|t\\|.

    Returns:
        Low and high, (E,); NaN with fewer than three seeds.

    Example:
        >>> curves = np.random.RandomState(0).standard_normal((20, 50))
        >>> low, high = simultaneous_band(curves)
        >>> bool(np.all(high > mean_interval(curves.mean(axis=0), curves.std(axis=0, ddof=1), 20)[1]))
        True
    """
    seeds = len(values)
    mean = values.mean(axis=0)
    if seeds < LEAST_SEEDS:
        nan = np.full(mean.shape, np.nan)
        return nan, nan.copy()
    deviation = values.std(axis=0, ddof=1)
    scaled = (values - mean) / np.where(deviation > 0, deviation, 1.0) / np.sqrt(seeds - 1)
    random = generator("simultaneous band", seeds)
    freedom = seeds - 1
    drawn = random.standard_normal((draws, seeds)) @ scaled
    drawn /= np.sqrt(random.chisquare(freedom, (draws, 1)) / freedom)
    critical = np.quantile(np.abs(drawn).max(axis=1), 1 - alpha)
    # Of one point the quantile is known.
    critical = max(critical, special.stdtrit(freedom, 1 - alpha / 2))
    reach = critical * deviation / np.sqrt(seeds)
    return mean - reach, mean + reach


def _counted(seeds: Numbers) -> np.ndarray:
    """S as float64, and NaN where there are too few: so are the bounds then."""
    n = np.asarray(seeds, dtype=np.float64)
    return np.where(n >= LEAST_SEEDS, n, np.nan)


def _reach(n: np.ndarray, alpha: float) -> np.ndarray:
    return np.asarray(special.stdtrit(n - 1, 1 - alpha / 2))


def _around(mean: Numbers, reach: np.ndarray) -> Bounds:
    return np.asarray(mean) - reach, np.asarray(mean) + reach


@dataclass(frozen=True)
class Component:
    """One test of a claim.

    Attributes:
        name: a statistic, or the difference ``"a - b"`` of two.
        kind: ``"above"``, ``"below"`` or ``"within"``.
        value: the value to compare with.
        share: rho, the share of the corpus that the statistic is measured on.
        margin: for ``"within"``, the allowed distance from `value`.

    Example:
        >>> Component("A.T1andT2", "within", 0.78).margin
        0.015
    """

    name: str
    kind: str
    value: float = 0.0
    share: float = ON_T3
    margin: float = MARGIN


@dataclass(frozen=True)
class TestResult:
    """The result of testing one component on S seeds; see :func:`test_component`.

    Attributes:
        name, kind, value: those of the component.
        mean, deviation: over seeds; NaN if there are too few.
        seeds: the number of seeds with a value.
        low, high: the 95 % interval of :func:`interval`.
        plain_low, plain_high: the interval if the seeds were independent.
        p_yes, p_no: p values of the tests for the component and for its opposite.
    """

    # pytest would otherwise collect this class because of its name.
    __test__ = False

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


def test_component(component: Component, values: ArrayLike) -> TestResult:
    """Test one component with one-sided t tests on the values of S seeds.

    Args:
        component: the statistic and what it is compared with.
        values: (S,); seeds with NaN are ignored.

    Returns:
        With fewer than three seeds, both p values are 1.

    Source:
        Nadeau and Bengio (2003); Schuirmann (1987), two one-sided tests.

    Example:
        >>> tested = test_component(Component("H.mean", "above"), np.array([0.02, 0.03, 0.025]))
        >>> tested.p_yes < 0.05, tested.p_no > 0.9
        (True, True)
    """
    given = np.asarray(values, dtype=np.float64)
    given = given[np.isfinite(given)]
    seeds, nan = len(given), float("nan")
    about = (component.name, component.kind, component.value)
    if seeds < LEAST_SEEDS:
        mean = float(given.mean()) if seeds else nan
        return TestResult(*about, mean, nan, seeds, nan, nan, nan, nan, 1.0, 1.0)
    found = interval(given, component.share)
    mean, error, freedom = float(found.mean), float(found.error), seeds - 1

    def above(bound: float) -> float:
        """One-sided p that the mean is above `bound`."""
        if error == 0:
            return 0.0 if mean > bound else 1.0
        return float(special.stdtr(freedom, (bound - mean) / error))

    def below(bound: float) -> float:
        if error == 0:
            return 0.0 if mean < bound else 1.0
        return float(special.stdtr(freedom, (mean - bound) / error))

    if component.kind == "above":
        p_yes, p_no = above(component.value), below(component.value)
    elif component.kind == "below":
        p_yes, p_no = below(component.value), above(component.value)
    else:
        low, high = component.value - component.margin, component.value + component.margin
        p_yes = max(above(low), below(high))
        p_no = min(1.0, 2 * min(below(low), above(high)))
    low, high, plain_low, plain_high = map(
        float, (found.low, found.high, found.plain_low, found.plain_high)
    )
    spread = float(found.deviation)
    return TestResult(*about, mean, spread, seeds, low, high, plain_low, plain_high, p_yes, p_no)


test_component.__test__ = False  # type: ignore[attr-defined]


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p values.

    Args:
        p_values: (n,), the p values of a family of n tests.

    Returns:
        (n,) float64, in the order given.

    Source:
        Holm (1979), A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.maximum.accumulate(np.minimum(p[order] * factors, 1.0))
    out = np.empty(len(p))
    out[order] = adjusted
    return out
