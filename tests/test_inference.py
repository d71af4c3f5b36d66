"""Intervals of the three questions: against SciPy, restated, and by how often they hold."""

import numpy as np
import pytest
from scipy import stats

from replicate import inference
from replicate.inference import another_sample_interval, holm, mean_interval, t_test

VALUES = np.random.RandomState(0).normal(0.01, 0.02, 24)
ABOUT = (VALUES.mean(), VALUES.std(ddof=1), len(VALUES))


def test_interval_of_the_mean_is_scipys():
    found = inference.mean_interval(*ABOUT, alpha=0.01)
    error = stats.sem(VALUES)
    assert found == pytest.approx(stats.t.interval(0.99, 23, VALUES.mean(), error), rel=1e-12)


def test_bounds_have_the_shape_of_the_numbers():
    mean, deviation = np.zeros((2, 3)), np.ones((2, 3))
    for bounds in (
        inference.mean_interval,
        inference.prediction_interval,
        inference.confidence_sequence,
    ):
        low, high = bounds(mean, deviation, np.array([2, 20, 200]))
        assert low.shape == high.shape == (2, 3)
        # Two seeds are too few; more seeds never widen it.
        assert np.isnan(low[:, 0]).all() and (low[:, 1] < low[:, 2]).all()


def test_a_prediction_interval_holds_for_the_next_run():
    """As often as it says; the twin, the interval of the mean, does not."""
    random = np.random.RandomState(1)
    runs, following = random.standard_normal((20_000, 10)), random.standard_normal(20_000)
    about = (runs.mean(axis=1), runs.std(axis=1, ddof=1), 10)
    low, high = inference.prediction_interval(*about)
    assert ((low < following) & (following < high)).mean() == pytest.approx(0.95, abs=0.006)
    low, high = inference.mean_interval(*about)
    assert ((low < following) & (following < high)).mean() < 0.7


def test_a_confidence_sequence_holds_at_all_numbers_of_seeds():
    """Also for 5 % and after every seed from the third on; the twin, the t interval, does not."""
    random = np.random.RandomState(2)
    values = random.standard_normal((4000, 300))
    n = np.arange(1, 301)
    mean = values.cumsum(axis=1) / n
    deviation = np.sqrt(((values**2).cumsum(axis=1) - n * mean**2) / np.maximum(n - 1, 1))

    def misses(bounds):
        low, high = bounds(mean, deviation, n, 0.05)
        return ((low > 0) | (high < 0)).any(axis=1).mean()

    assert misses(inference.confidence_sequence) < 0.05
    assert misses(inference.mean_interval) > 0.25


@pytest.mark.parametrize("seeds", [25, 50, 200])
def test_a_confidence_sequence_ends_where_the_likelihood_ratio_does(seeds):
    """Restated by densities: effects N(0, g) against none, on the t statistic."""
    alpha, planned = 0.02, 200
    low, high = map(float, inference.confidence_sequence(0.0, 1.0, seeds, alpha, planned))
    assert low == -high
    t, freedom = high * np.sqrt(seeds), seeds - 1
    odds = 2 * np.log(1 / alpha)
    g = (odds + np.log(odds + 1)) / planned

    # With such effects the t statistic is a wider t: its numerator has variance 1 + S g.
    wider = np.sqrt(1 + seeds * g)
    mixed = stats.t.pdf(t / wider, freedom) / wider
    assert mixed / stats.t.pdf(t, freedom) == pytest.approx(1 / alpha, rel=1e-9)


def test_a_confidence_sequence_costs_a_third_at_the_planned_number():
    wide = inference.confidence_sequence(0.0, 1.0, 200, 0.05 / 12)[1]
    narrow = inference.mean_interval(0.0, 1.0, 200, 0.05 / 12)[1]
    assert 1.3 < wide / narrow < 1.4
    # Too few seeds for the level: nothing is said, which is not an error.
    assert inference.confidence_sequence(0.0, 1.0, 3, 1e-9) == (-np.inf, np.inf)


@pytest.mark.parametrize(("hits", "runs"), [(0, 20), (5, 20), (20, 20), (37, 180)])
def test_interval_of_a_share_is_clopper_and_pearsons(hits, runs):
    low, high = inference.share_interval(hits, runs)
    assert low == pytest.approx(stats.beta.ppf(0.025, hits, runs - hits + 1) if hits else 0)
    assert high == pytest.approx(stats.beta.ppf(0.975, hits + 1, runs - hits) if hits < runs else 1)


def test_no_run_has_no_share():
    assert np.isnan(inference.share_interval(0, 0)).all()


def smooth_curves(trials, seeds, epochs, random):
    """Noise that neighbouring epochs share, as accuracies do."""
    walk = random.standard_normal((trials, seeds, epochs)).cumsum(axis=2)
    return walk + 5 * random.standard_normal((trials, seeds, 1))


def test_a_simultaneous_band_holds_at_all_epochs():
    """The twin: intervals of each epoch by itself miss somewhere far more often."""
    curves = smooth_curves(300, 25, 30, np.random.RandomState(3))
    missed = alone = 0
    for values in curves:
        low, high = inference.simultaneous_band(values, draws=1000)
        missed += bool(((low > 0) | (high < 0)).any())
        about = (values.mean(axis=0), values.std(axis=0, ddof=1), len(values))
        low, high = inference.mean_interval(*about)
        alone += bool(((low > 0) | (high < 0)).any())
    assert missed <= stats.binom.ppf(0.999, len(curves), 0.05) < alone


def test_a_band_is_the_same_each_time_and_flat_where_nothing_varies():
    values = smooth_curves(1, 8, 12, np.random.RandomState(4))[0]
    values[:, 0] = 1.0
    first, again = inference.simultaneous_band(values), inference.simultaneous_band(values)
    assert (np.array(first) == np.array(again)).all()
    assert first[0][0] == first[1][0] == 1.0
    assert np.isnan(inference.simultaneous_band(values[:2])).all()


# --- another sample of reviews, and tests of questions beyond the paper ------------------


def test_the_interval_of_another_sample_is_nadeau_and_bengios():
    values = np.array([0.01, 0.03, 0.02, 0.05, 0.01])
    mean, spread = values.mean(), values.std(ddof=1)
    low, high = another_sample_interval(mean, spread, 5)
    reach = stats.t.ppf(0.975, 4) * spread
    assert high - mean == pytest.approx(reach * np.sqrt(1 / 5 + 1 / 9)) == mean - low
    low, high = another_sample_interval(mean, spread, 5, learned=0.45)
    assert high - mean == pytest.approx(reach * np.sqrt(1 / 5 + 0.1 / 0.45)) == mean - low
    assert mean_interval(mean, spread, 5)[1] - mean == pytest.approx(reach * np.sqrt(1 / 5))


def test_a_t_test_is_scipys():
    """Both sides, and the interval; seeds without a number are left out."""
    values = np.random.RandomState(1).normal(0.01, 0.02, 12)
    found = t_test([*values, np.nan])
    for side, p in (("greater", found.p_above), ("less", found.p_below)):
        assert p == pytest.approx(stats.ttest_1samp(values, 0, alternative=side).pvalue)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), rel=1e-12)
    assert (found.mean, found.seeds) == (pytest.approx(values.mean()), 12)


def test_few_seeds_and_equal_ones():
    """Two seeds say nothing; seeds that are all alike say all."""
    two = t_test([0.1, 0.2])
    assert (two.seeds, two.p_above, two.p_below) == (2, 1.0, 1.0) and np.isnan(two.low)
    assert np.isnan(t_test([]).mean)
    alike = t_test([0.5] * 4)
    assert (alike.p_above, alike.p_below, alike.low, alike.high) == (0.0, 1.0, 0.5, 0.5)
    nothing = t_test([0.0] * 4)
    assert (nothing.p_above, nothing.p_below) == (1.0, 1.0)


def test_holm_against_a_naive_restatement():
    def naive(p):
        order = sorted(range(len(p)), key=lambda i: p[i])
        out, worst = [0.0] * len(p), 0.0
        for rank, i in enumerate(order):
            worst = max(worst, min(1.0, p[i] * (len(p) - rank)))
            out[i] = worst
        return out

    p = np.random.RandomState(2).rand(14) ** 3
    assert holm(p) == pytest.approx(naive(p))


def test_overlapping_seeds_need_the_wider_interval():
    """Seeds that share a tenth of their variance: plain intervals err far more than one in twenty."""
    random = np.random.RandomState(3)
    common = random.standard_normal((4000, 1)) * np.sqrt(0.1)
    values = common + random.standard_normal((4000, 20)) * np.sqrt(0.9)
    about = (values.mean(axis=1), values.std(axis=1, ddof=1), 20)
    low, high = another_sample_interval(*about)
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(0.05, abs=0.011)
    low, high = mean_interval(*about)
    assert ((low > 0) | (high < 0)).mean() > 0.15


# --- several studies ---------------------------------------------------------------------


def test_random_effects_step_by_step():
    """Unequal errors, each formula written out; parity with statsmodels is tested elsewhere."""
    y, s = [0.0, 1.0, 3.0, 0.5], [0.1, 0.5, 1.0, 0.2]
    w = [1 / e**2 for e in s]
    fixed = sum(a * b for a, b in zip(w, y)) / sum(w)
    q = sum(a * (b - fixed) ** 2 for a, b in zip(w, y))
    tau2 = (q - 3) / (sum(w) - sum(a**2 for a in w) / sum(w))
    v = [1 / (e**2 + tau2) for e in s]
    mean = sum(a * b for a, b in zip(v, y)) / sum(v)
    error = (sum(a * (b - mean) ** 2 for a, b in zip(v, y)) / 3 / sum(v)) ** 0.5
    found = inference.random_effects(y, s)
    assert found.mean == pytest.approx(mean) and found.between == pytest.approx(tau2**0.5)
    reach = stats.t.ppf(0.975, 3) * error
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach))
    further = stats.t.ppf(0.975, 2) * (tau2 + error**2) ** 0.5
    assert (found.new_low, found.new_high) == pytest.approx((mean - further, mean + further))
    assert found.p_between == pytest.approx(stats.chi2.sf(q, 3))


def test_studies_that_agree_have_no_spread():
    """Less spread than their errors: none between; two studies predict no third."""
    found = inference.random_effects([0.1, 0.1001], [0.01, 0.02])
    assert found.between == 0 and found.p_between > 0.9
    assert np.isnan(found.new_low) and np.isfinite(found.low)


@pytest.mark.parametrize("errors", [[0.1], [0.1, 0.0], [0.1, np.nan], [0.1, 0.1, 0.1]])
def test_studies_without_an_error_are_refused(errors):
    with pytest.raises(ValueError, match="studies"):
        inference.random_effects([0.0, 1.0][: max(1, len(errors) - (len(errors) == 3))], errors)


# --- ratios of means ---------------------------------------------------------------------


def test_a_ratio_by_hand():
    """Bounds are the ratios at which a t test of the difference is at its limit."""
    a, b = [1.9, 2.1, 2.3, 1.7], [1.0, 1.1, 0.9, 1.0]
    for bound in inference.ratio_interval(a, b):
        assert stats.ttest_1samp(np.array(a) - bound * np.array(b), 0).pvalue == pytest.approx(0.05)
    low, high = inference.ratio_interval(a, np.ones(4))
    assert (low, high) == pytest.approx((t_test(a).low, t_test(a).high))


def test_ratios_are_covered():
    """As often as promised; not if the mean of the denominators is taken as known (twin)."""
    random = np.random.RandomState(0)
    covered = {"ratio": 0, "known": 0}
    for _ in range(1000):
        common, own = random.standard_normal((2, 8))
        a, b = 2 + 0.2 * common, 1 + 0.1 * common + 0.3 * own
        known = t_test(a / b.mean())
        for name, (low, high) in {
            "ratio": inference.ratio_interval(a, b),
            "known": (known.low, known.high),
        }.items():
            covered[name] += low <= 2 <= high
    assert 930 <= covered["ratio"] <= 970 and covered["known"] < 700


def test_no_ratio_to_what_may_be_nothing():
    assert np.isnan(inference.ratio_interval([1.0, 1.1, 0.9], [0.1, -0.2, 0.3])).all()
    assert np.isnan(inference.ratio_interval([1.0, 1.1], [1.0, 1.2])).all()


@pytest.mark.parametrize(
    "means, errors",
    [([1, 1, 1], [0.5] * 3), ([0.01, 0.0101, 0.0102], [0.01] * 3), ([2, 2], [1, 3])],
)
def test_studies_that_agree_by_chance_have_an_interval(means, errors):
    """Never below that of known variances; without the bound it has no width, or hardly any."""
    found = inference.random_effects(means, errors)
    known = 1 / np.sqrt((1 / np.square(errors)).sum())
    reach = stats.t.ppf(0.975, len(means) - 1) * known
    assert (found.low, found.high) == pytest.approx((found.mean - reach, found.mean + reach))


def test_studies_that_differ_are_not_bounded():
    """Twin: where the estimates differ by more than their errors, the spread decides."""
    found = inference.random_effects([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    assert found.high - found.mean > 2 * stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
