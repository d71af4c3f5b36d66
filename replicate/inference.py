"""Means, intervals and tests from the numbers of S seeds (sections 5 and 6).

Every seed draws a new split of one fixed corpus, so the data of two seeds
overlap.  The intervals are about splits of this corpus, not about other corpora.
The interval of Nadeau and Bengio (2003) widens the variance of the mean to

.. math::
    \\sigma^2 (1/S + \\rho / (1 - \\rho)),

where rho is the share of the corpus that a statistic is measured on: 0.1 for
accuracies on T3 (their n_test / n_train = 1/9), 0.45 for changes of saliency
on T1.  Figures and verdicts both use :func:`interval`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .config import PAPER

__all__ = ["Component", "Interval", "TestResult", "holm", "interval", "test_component"]

#: Level of the tests; the intervals cover 1 - ALPHA.
ALPHA = 0.05
#: Power at which the smallest detectable effect is given.
POWER = 0.8
#: Shares of the corpus that T3 and T1 hold.
ON_T3, ON_T1 = PAPER["shares"][2], PAPER["shares"][0]
#: A test needs at least this many seeds.
LEAST_SEEDS = 3
#: Margin of equivalence for levels of accuracy and for "about the same".
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
    reach = stats.t.ppf(1 - ALPHA / 2, seeds - 1)
    return Interval(
        mean,
        deviation,
        error,
        mean - reach * error,
        mean + reach * error,
        mean - reach * plain,
        mean + reach * plain,
    )


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
        detectable: the smallest effect that a test has 80 % power to show, with this
            standard error.
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
    detectable: float


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
        return TestResult(*about, mean, nan, seeds, nan, nan, nan, nan, 1.0, 1.0, nan)
    found = interval(given, component.share)
    mean, error, freedom = float(found.mean), float(found.error), seeds - 1

    def above(bound: float) -> float:
        """One-sided p that the mean is above `bound`."""
        if error == 0:
            return 0.0 if mean > bound else 1.0
        return float(stats.t.sf((mean - bound) / error, freedom))

    def below(bound: float) -> float:
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
    numbers = (found.low, found.high, found.plain_low, found.plain_high, p_yes, p_no, detectable)
    return TestResult(*about, mean, float(found.deviation), seeds, *map(float, numbers))


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
