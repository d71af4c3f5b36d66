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
    \\sigma^2 (1/S + n_{T3} / n_{learned}),

their n_test / n_train: 1/9 for T1andT2, which learns nine tenths, and more for others.
This is for levels of accuracy, see :func:`another_sample_interval`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, chdtrc, stdtr, stdtrit

from .config import PAPER, generator

__all__ = [
    "RandomEffects",
    "TTest",
    "another_sample_interval",
    "confidence_sequence",
    "holm",
    "mean_interval",
    "prediction_interval",
    "random_effects",
    "ratio_interval",
    "share_interval",
    "simultaneous_band",
    "t_test",
]

#: Level of the tests; the intervals cover 1 - ALPHA.
ALPHA = 0.05
#: Number of seeds at which the confidence sequence is narrowest.
PLANNED_SEEDS = 200
#: Share of the corpus that T3 holds.
ON_T3 = PAPER["shares"][2]
#: A test needs at least this many seeds.
SEEDS_TO_TEST = 3

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
        Low and high; infinite where S is too small to say anything, NaN below three.

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
    low = betaincinv(hits, seeds - hits + 1, alpha / 2) if hits else 0.0
    high = betaincinv(hits + 1, seeds - hits, 1 - alpha / 2) if hits < seeds else 1.0
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
    if seeds < SEEDS_TO_TEST:
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
    critical = max(critical, stdtrit(freedom, 1 - alpha / 2))
    reach = critical * deviation / np.sqrt(seeds)
    return mean - reach, mean + reach


def _counted(seeds: Numbers) -> np.ndarray:
    """S as float64, and NaN where there are too few: so are the bounds then."""
    n = np.asarray(seeds, dtype=np.float64)
    return np.where(n >= SEEDS_TO_TEST, n, np.nan)


def _reach(n: np.ndarray, alpha: float) -> np.ndarray:
    return np.asarray(stdtrit(n - 1, 1 - alpha / 2))


def _around(mean: Numbers, reach: np.ndarray) -> Bounds:
    return np.asarray(mean) - reach, np.asarray(mean) + reach


def another_sample_interval(
    mean: Numbers, deviation: Numbers, seeds: Numbers, learned: float = 1 - ON_T3
) -> Bounds:
    """95 % interval of the mean over another sample of reviews, for accuracies on T3.

    .. math::
        \\bar x \\pm t_{S-1} \\, s \\sqrt{1/S + n_{T3} / n_{learned}}

    Args:
        mean, deviation, seeds: see :func:`mean_interval`.
        learned: share of the corpus that the network learns; T3 has a tenth.

    Source:
        Nadeau and Bengio (2003), Inference for the generalization error.

    Example:
        >>> [round(float(bound), 2) for bound in another_sample_interval(1.0, 1.0, 25)]
        [0.2, 1.8]
    """
    n = _counted(seeds)
    wider = np.sqrt(1 / n + ON_T3 / learned)
    return _around(mean, _reach(n, ALPHA) * np.asarray(deviation) * wider)


@dataclass(frozen=True)
class TTest:
    """A t test of a mean against 0.

    Attributes:
        mean: over seeds; NaN without any.
        low, high: 95 % interval of the mean; NaN with fewer than three seeds.
        seeds: the number of seeds with a value.
        p_above, p_below: one-sided p that the mean is not above, not below 0; 1 with
            fewer than three seeds.
    """

    mean: float
    low: float
    high: float
    seeds: int
    p_above: float
    p_below: float


def t_test(values: ArrayLike) -> TTest:
    """Test whether the mean of S independent seeds is above or below 0.

    Args:
        values: (S,); seeds with NaN are left out.

    Example:
        >>> found = t_test([0.02, 0.03, 0.025])
        >>> found.p_above < 0.05, round(found.low, 3)
        (True, 0.013)
    """
    given = np.asarray(values, dtype=np.float64)
    given = given[np.isfinite(given)]
    seeds = len(given)
    mean = float(given.mean()) if seeds else float("nan")
    if seeds < SEEDS_TO_TEST:
        return TTest(mean, float("nan"), float("nan"), seeds, 1.0, 1.0)
    deviation = given.std(ddof=1)
    low, high = map(float, mean_interval(mean, deviation, seeds))
    if deviation == 0:
        return TTest(mean, low, high, seeds, 1.0 - (mean > 0), 1.0 - (mean < 0))
    t = mean / (deviation / np.sqrt(seeds))
    above, below = float(stdtr(seeds - 1, -t)), float(stdtr(seeds - 1, t))
    return TTest(mean, low, high, seeds, above, below)


def ratio_interval(
    numerators: ArrayLike, denominators: ArrayLike, alpha: float = ALPHA
) -> tuple[float, float]:
    """Interval of the ratio of two means over the same S seeds (Fieller 1954).

    These are all ratios r for which a t test does not reject that the mean over seeds of

    .. math::
        numerators_s - r \\; denominators_s

    is 0.  They are one interval only if the same test rejects that the mean of the
    denominators is 0.

    Args:
        numerators: (S,).
        denominators: (S,), of the same seeds.
        alpha: share of such intervals that miss.

    Returns:
        Low and high; NaN with fewer than three seeds, or where the mean of the
        denominators may be 0.

    Example:
        >>> low, high = ratio_interval([1.9, 2.1, 2.3, 1.7], [1.0, 1.1, 0.9, 1.0])
        >>> round(low, 2), round(high, 2)
        (1.49, 2.61)
    """
    a, b = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if len(a) < SEEDS_TO_TEST:
        return float("nan"), float("nan")
    reach = stdtrit(len(a) - 1, 1 - alpha / 2) ** 2 / len(a)
    (saa, sab), (_, sbb) = np.cov(a, b)
    bottom = b.mean() ** 2 - reach * sbb
    if bottom <= 0:
        return float("nan"), float("nan")
    middle = a.mean() * b.mean() - reach * sab
    # Not below 0 where the bottom is above it, but for rounding.
    half = np.sqrt(max(0.0, middle**2 - bottom * (a.mean() ** 2 - reach * saa)))
    return float((middle - half) / bottom), float((middle + half) / bottom)


@dataclass(frozen=True)
class RandomEffects:
    """What several studies say together; see :func:`random_effects`.

    Attributes:
        mean, low, high: of the distribution of true effects, with its interval.
        between: standard deviation of true effects.
        p_between: of the hypothesis that all studies have one effect (Cochran's Q).
        new_low, new_high: where the true effect of a further such study lies; NaN with
            fewer than three studies.
    """

    mean: float
    low: float
    high: float
    between: float
    p_between: float
    new_low: float
    new_high: float


def random_effects(means: ArrayLike, errors: ArrayLike, alpha: float = ALPHA) -> RandomEffects:
    """The mean effect of K studies whose true effects differ.

    .. math::
        y_k = \\mu + u_k + e_k, \\quad u_k \\sim N(0, \\tau^2), \\; e_k \\sim N(0, s_k^2)

    Args:
        means: (K,) effects, K at least 2.
        errors: (K,) standard errors, above 0.
        alpha: complement of the coverage of both intervals.

    Raises:
        ValueError: for fewer studies, or an error that is not above 0.

    Source:
        DerSimonian and Laird (1986) for the variance between studies, Hartung and Knapp
        (2001) for the interval of the mean, never below that of known variances (Röver,
        Knapp and Friede 2015), Higgins et al. (2009) for the prediction.

    Example:
        >>> found = random_effects([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
        >>> round(found.mean, 2), round(found.between, 2), round(found.high, 2)
        (1.0, 0.99, 3.48)
    """
    y, s = np.asarray(means, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    k = len(y)
    if k < 2 or y.shape != s.shape or not (s > 0).all():
        raise ValueError("give two studies or more, each with a standard error above 0")
    weight = 1 / s**2
    fixed = (weight * y).sum() / weight.sum()
    q = (weight * (y - fixed) ** 2).sum()
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    variance = max(0.0, (q - (k - 1)) / scale)
    weight = 1 / (s**2 + variance)
    mean = (weight * y).sum() / weight.sum()
    # At least 1: studies that agree by chance would else give an interval of no width.
    spread = max(1.0, (weight * (y - mean) ** 2).sum() / (k - 1))
    error = np.sqrt(spread / weight.sum())
    reach = stdtrit(k - 1, 1 - alpha / 2) * error
    further = np.nan
    if k > 2:
        further = stdtrit(k - 2, 1 - alpha / 2) * np.sqrt(variance + error**2)
    ends = (mean, mean - reach, mean + reach, np.sqrt(variance), chdtrc(k - 1, q))
    return RandomEffects(*map(float, (*ends, mean - further, mean + further)))


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
