"""From the numbers of S seeds to means, intervals and tests (sections 5 and 6).

Seeds redraw splits of one fixed corpus, so their results overlap: the intervals
speak of splits of this corpus, not of other corpora.  The interval of Nadeau
and Bengio (2003) widens the variance of the mean to

.. math::
    \\sigma^2 (1/S + \\rho / (1 - \\rho)),

where rho is the share of the corpus that a statistic is measured on: 0.1 for
accuracies on T3 (their n_test / n_train = 1/9), 0.45 for changes of saliency
on T1.  Figures and verdicts take it from :func:`interval`; there is no other.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .config import PAPER

__all__ = ["Component", "Interval", "TestResult", "holm", "interval", "test_component"]

#: Level of the tests and complement of the intervals' coverage.
ALPHA = 0.05
#: Power of the smallest detectable effect.
POWER = 0.8
#: Shares of the corpus: of T3, and of T1.
ON_T3, ON_T1 = PAPER["shares"][2], PAPER["shares"][0]
#: Fewest seeds that a test is made of.
LEAST_SEEDS = 3
#: Half-width of equivalence for levels and "about the same", in accuracy.
MARGIN = 0.015


@dataclass(frozen=True)
class Interval:
    """Mean over seeds with its 95 % intervals; each is of the shape of one seed's numbers.

    Attributes:
        mean: over seeds.
        deviation: over seeds, divided by S - 1.
        error: standard error of the mean with the overlap of splits.
        low, high: interval from `error`.
        plain_low, plain_high: interval that takes the seeds as independent.
    """

    mean: np.ndarray
    deviation: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    plain_low: np.ndarray
    plain_high: np.ndarray


def interval(values: np.ndarray, share: float) -> Interval:
    """Mean and 95 % interval over seeds, S - 1 degrees of freedom.

    Args:
        values: (S, ...) one entry a seed; all must be numbers.
        share: rho, the share of the corpus that the values are measured on.

    Returns:
        NaN but for the mean with fewer than three seeds.

    Source:
        Nadeau and Bengio (2003), Inference for the generalization error.

    Example:
        >>> found = interval(np.array([0.02, 0.03, 0.025]), share=0.1)
        >>> round(float(found.low), 3), round(float(found.high), 3)
        (0.011, 0.039)
    """
    values = np.asarray(values, dtype=np.float64)
    seeds = len(values)
    mean = values.mean(axis=0)
    if seeds < LEAST_SEEDS:
        nan = np.full(np.shape(mean), np.nan)
        return Interval(mean, nan, nan, nan, nan, nan, nan)
    deviation = values.std(axis=0, ddof=1)
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
class TestResult:
    """A component tested on S seeds.

    Attributes:
        mean, deviation: over seeds (NaN without).
        seeds: how many had a number.
        low, high: 95 % interval of :func:`interval`; it decides.
        plain_low, plain_high: the one that takes seeds as independent.
        p_yes, p_no: of the claim's side and of the opposite.
        detectable: smallest effect shown with 80 % power at this spread.
    """

    # The name is the method's, not a test of pytest's.
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


def test_component(component: Component, values: np.ndarray) -> TestResult:
    """Test one component on the seeds' values.

    Args:
        component: what to test.
        values: (S,); NaN seeds are left out.

    Returns:
        p values of 1 with fewer than three seeds.

    Source:
        Nadeau and Bengio (2003); Schuirmann (1987), two one-sided tests.

    Example:
        >>> tested = test_component(Component("H.mean", "above"), np.array([0.02, 0.03, 0.025]))
        >>> tested.p_yes < 0.05, tested.p_no > 0.9
        (True, True)
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    seeds, nan = len(values), float("nan")
    about = (component.name, component.kind, component.value)
    if seeds < LEAST_SEEDS:
        mean = float(values.mean()) if seeds else nan
        return TestResult(*about, mean, nan, seeds, nan, nan, nan, nan, 1.0, 1.0, nan)
    found = interval(values, component.share)
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


def holm(p_values: np.ndarray | list[float]) -> np.ndarray:
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
