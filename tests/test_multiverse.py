"""Many specifications together: variance components, shrinkage, sign flips, and the picture."""

import itertools

import numpy as np
import pytest
from scipy import stats

from replicate.beyond import multiverse
from replicate.claims import Part
from replicate.io.files import read_csv

PART = Part("h less l", "H.mean", "lead of T1andT2h")


def table(mean=0.0, between=0.0, of_seeds=0.01, noise=0.01, many=12, seeds=10, random=0):
    """Made-up rows: specification effects, seed effects, residuals."""
    random = np.random.RandomState(random)
    names = ["default", *(f"dropout=0.{k}" for k in range(1, many))]
    own = between * random.standard_normal(many)
    shared = of_seeds * random.standard_normal(seeds)
    return {
        (name, seed): {"H.mean": mean + own[i] + shared[seed] + noise * random.standard_normal()}
        for i, name in enumerate(names)
        for seed in range(seeds)
    }


def matrix(rows):
    names = sorted({name for name, _ in rows}, key=lambda n: (n != "default", n))
    seeds = sorted({seed for _, seed in rows})
    return np.array([[rows[n, s]["H.mean"] for s in seeds] for n in names])


# --- pooling -----------------------------------------------------------------------------


def test_components_are_those_of_a_regression():
    """Mean squares restated by least squares on indicators of specifications and seeds."""
    rows = table(0.01, 0.01)
    found = multiverse.pool(rows, PART)
    y = matrix(rows)
    many, seeds = y.shape
    indicator = [
        np.kron(np.eye(many), np.ones((seeds, 1))),
        np.kron(np.ones((many, 1)), np.eye(seeds)),
    ]

    def left_over(*designs):
        design = np.concatenate([np.ones((many * seeds, 1)), *designs], axis=1)
        fitted = np.linalg.lstsq(design, y.ravel(), rcond=None)[0]
        return float(((y.ravel() - design @ fitted) ** 2).sum())

    both, without = left_over(*indicator), left_over(indicator[1])
    residual = both / ((many - 1) * (seeds - 1))
    of_names = (without - both) / (many - 1)
    assert found.between == pytest.approx(np.sqrt((of_names - residual) / seeds))
    f = of_names / residual
    assert found.p_between == pytest.approx(stats.f.sf(f, many - 1, (many - 1) * (seeds - 1)))
    assert found.shrinkage == pytest.approx(1 - 1 / f)
    assert found.mean == pytest.approx(y.mean())
    wanted = stats.t.interval(0.95, seeds - 1, y.mean(), stats.sem(y.mean(axis=0)))
    assert (found.low, found.high) == pytest.approx(wanted)


def test_equal_specifications_are_drawn_together_and_different_ones_are_not():
    alike = multiverse.pool(table(0.01, 0.0, random=1), PART)
    assert alike.shrinkage < 0.5
    assert np.ptp(alike.shrunken) < 0.6 * np.ptp(alike.means)
    apart = multiverse.pool(table(0.01, 0.1), PART)
    assert apart.shrinkage > 0.98 and apart.p_between < 1e-6
    np.testing.assert_allclose(apart.shrunken, apart.means, atol=3e-3)


def hits(between, trials=400):
    """How often intervals hold: of the mean, of a new specification, of an estimate."""
    random, counts = np.random.RandomState(5), np.zeros(3)
    for _ in range(trials):
        own = between * random.standard_normal(13)
        y = (
            own[:12, None]
            + 0.01 * random.standard_normal((1, 10))
            + 0.01 * random.standard_normal((12, 10))
        )
        rows = {(f"a={i}", s): {"H.mean": y[i, s]} for i in range(12) for s in range(10)}
        found = multiverse.pool(rows, PART)
        order = [int(name[2:]) for name in found.names]
        inside = (found.shrunken_low < own[order]) & (own[order] < found.shrunken_high)
        counts += [
            found.low < own[:12].mean() < found.high,
            found.new_low < own[12] < found.new_high,
            inside.mean(),
        ]
    return counts / trials


def test_intervals_hold_as_often_as_they_say():
    of_mean, of_new, of_each = hits(0.02)
    assert of_mean == pytest.approx(0.95, abs=0.035)
    assert of_new == pytest.approx(0.95, abs=0.04)
    assert of_each == pytest.approx(0.95, abs=0.04)


def test_specifications_with_the_same_numbers_count_once():
    """A reading that touches no effect is no evidence; the default is the one that stays."""
    rows = table()
    plain = multiverse.pool(rows, PART)
    twice = {**rows, **{("a=1", s): dict(rows["default", s]) for s in range(10)}}
    found = multiverse.pool(twice, PART)
    assert found.names == plain.names and found.names[0] == "default"
    changed = {**twice, ("a=1", 3): {"H.mean": 0.5}}
    assert len(multiverse.pool(changed, PART).names) == len(plain.names) + 1


@pytest.mark.parametrize("differs", [("A.T1",), ("A.T1andT2h", "A.T1andT2l")], ids=str)
def test_specifications_with_one_effect_by_chance_count_each(differs):
    """No gain in all seeds, as in the default: T1, or both sides, show that the network is another."""
    _, part = multiverse.PARTS[0]
    level = dict.fromkeys(("A.T1", "A.T1andT2h", "A.T1andT2l"), 0.75)
    rows = {("default", s): {**level, "F3.ratio": 0.5} for s in range(4)}
    rows |= {("dropout=0.5", s): {**level, "A.T1andT2h": 0.875 + 0.01 * s} for s in range(4)}
    # Twin: a reading of what is drawn of T1 only is no evidence on this effect.
    rows |= {("judged_epoch=25", s): {**level, "F3.ratio": 0.9} for s in range(4)}
    assert multiverse.pool(rows, part).names == ("default", "dropout=0.5")
    for s in range(4):
        rows["dropout=0.9", s] = {**level, **(dict.fromkeys(differs, 0.625) if s == 3 else {})}
    found = multiverse.pool(rows, part)
    assert found.names == ("default", "dropout=0.5", "dropout=0.9")
    assert (found.means[[0, 2]] == 0).all()


def test_seeds_that_not_all_have_are_left_out():
    rows = table()
    more = {**rows, ("default", 77): {"H.mean": 9.0}}
    found = multiverse.pool(more, PART)
    assert found.seeds == tuple(range(10)) and found.mean == multiverse.pool(rows, PART).mean


@pytest.mark.parametrize("many, seeds", [(1, 10), (5, 2), (0, 0)])
def test_too_little_is_not_pooled(many, seeds):
    rows = {(f"a={i}", s): {"H.mean": 0.1 * i + s} for i in range(many) for s in range(seeds)}
    assert multiverse.pool(rows, PART) is None
    assert multiverse.pool({("a=1", 0): {}, ("a=2", 0): {}}, PART) is None


# --- sign flips --------------------------------------------------------------------------


def test_sign_flips_are_all_tried():
    """Restated seed by seed."""
    effects = np.random.RandomState(0).normal(0.3, 1.0, (5, 6))

    def statistics(flipped):
        t = stats.ttest_1samp(flipped, 0, axis=1).pvalue
        return abs(np.median(flipped.mean(axis=1))), np.mean(t < 0.05)

    all_of_them = np.array(
        [statistics(effects * np.array(signs)) for signs in itertools.product((1, -1), repeat=6)]
    )
    wanted = (all_of_them >= all_of_them[0] - 1e-12).mean(axis=0)
    assert multiverse.sign_flip(effects) == pytest.approx(tuple(wanted))


@pytest.mark.parametrize("seeds", [8, 30])
def test_sign_flips_find_a_common_effect_only(seeds):
    """Below 5 % in 5 % of null tables, though all specifications share their seeds."""
    random = np.random.RandomState(1)

    def share(effect):
        found = []
        for _ in range(120):
            shared = random.standard_normal((1, seeds))
            effects = effect + shared + 0.3 * random.standard_normal((6, seeds))
            found.append(multiverse.sign_flip(effects)[0] <= 0.05)
        return np.mean(found)

    assert share(0.0) < 0.11
    assert share(2.0) > 0.95


def test_drawn_signs_are_the_same_each_time():
    effects = np.random.RandomState(2).normal(0.1, 1.0, (4, 20))
    assert multiverse.sign_flip(effects) == multiverse.sign_flip(effects)
    assert multiverse.sign_flip(effects + 5)[0] == pytest.approx(1 / (multiverse.DRAWS + 1))


# --- tables and the picture --------------------------------------------------------------


def whole(seeds=60):
    random = np.random.RandomState(0)
    return {
        (name, seed): {
            "A.T1andT2h": effect, "A.T1andT2l": 0.001 * random.standard_normal(),
            "A.T1andT2ran": 0.001 * random.standard_normal(),
            "F5b.log_ratio": 0.5 + 0.01 * random.standard_normal(),
            "A.T1andT2": 0.78 + 0.001 * random.standard_normal(),
        }
        for name, effect in (
            ("default", 0.0),
            ("dropout=0.5; n_filters=7", 0.02),
            ("tokens=whitespace", -0.02),
        )
        for seed in range(seeds)
    }  # fmt: skip


def test_what_is_written(tmp_path):
    written = multiverse.write_multiverse(whole(), tmp_path)
    assert [place.name for place in written] == [
        "multiverse.csv", "verdicts.csv", "specification_curve.png",
    ]  # fmt: skip
    pooled = {row["id"]: row for row in read_csv(tmp_path / "multiverse.csv", multiverse.TABLE)}
    assert set(pooled) == {"H", "O2", "F5b", "A1"}
    assert all(row["specifications"] == "3" and row["seeds"] == "60" for row in pooled.values())
    assert float(pooled["F5b"]["mean"]) == pytest.approx(np.exp(0.5), rel=0.01)
    # A ratio and a level are shown as such, with their ends in order.
    for row in pooled.values():
        assert float(row["low"]) < float(row["mean"]) < float(row["high"])
        assert float(row["new_low"]) < float(row["new_high"])
    assert pooled["H"]["p_median"] and not pooled["F5b"]["p_median"]
    # One of the three is below the smallest effect, and one has none.
    assert float(pooled["H"]["below"]) == pytest.approx(2 / 3)
    curve = read_csv(tmp_path / "specification_curve.csv", multiverse.CURVE)
    drawn = [row["specification"] for row in curve if row["id"] == "H"]
    assert drawn == ["default", "dropout=0.5; n_filters=7", "tokens=whitespace"]


def test_verdicts_by_specification():
    found = {(r[0], r[1]): r[6] for r in multiverse.verdicts_by_specification(whole())}
    assert found["dropout=0.5; n_filters=7", "H"] == "reproduced"
    assert found["tokens=whitespace", "H"] == "reversed"
    assert found["default", "H"] == "no such effect"
    few = multiverse.verdicts_by_specification(whole(5))
    assert {row[6] for row in few} == {"undecided"}


def test_nothing_to_pool_writes_tables_only(tmp_path):
    assert len(multiverse.write_multiverse({}, tmp_path)) == 2
    assert read_csv(tmp_path / "multiverse.csv", multiverse.TABLE) == []
