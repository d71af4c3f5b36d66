"""Verdict logic on made-up results of every kind, and how often it errs."""

import numpy as np
import pytest
from scipy import stats

from replicate import claims, inference
from replicate.claims import CLAIMS, judge
from replicate.config import ARMS, PAPER
from replicate.inference import Component
from replicate.inference import test_component as check

#: What a paper that is right in everything would measure, in statistics.
TRUE = {
    **{f"size.{name}": float(n) for name, n in PAPER["sizes"].items()},
    **{f"A.{arm}": level for arm, level in PAPER["levels"].items()},
    "A.T1": 0.74,
    **{f"O1.block{i}": 0.02 for i in range(1, 6)},
    "O2.mean": 0.02, "H.mean": 0.02,
    "O3.early": 0.02, "O3.late": 0.0, "O3.fall": -0.02,
    "O4.first": 0.0, "O4.middle": 0.02, "O4.second": 0.02,
    "O5.fall": -0.02, "O5.steady": 0.0,
    "F3.ratio": 0.2, "F4.excess": 0.3, "F5.share": 0.9, "F5b.log_ratio": 0.4,
}  # fmt: skip


def rows(truth, seeds=20, spread=0.001, seed=0):
    """Statistics of `seeds` seeds around a truth."""
    random = np.random.RandomState(seed)
    return [
        {
            k: v if k.startswith("size") else v + spread * random.standard_normal()
            for k, v in truth.items()
        }
        for _ in range(seeds)
    ]


def verdicts(table):
    return {v.claim.id: v.verdict for v in judge(table)}


def test_every_claim_of_the_paper_has_one_row():
    ids = [v.claim.id for v in judge([])]
    assert ids == [
        "S1",
        "F3",
        "F4",
        "F5",
        "F5b",
        "A1",
        "A2",
        "A3",
        "R1",
        "O1",
        "O2",
        "O3",
        "O4",
        "O5",
        "H",
    ]


def test_clear_results_are_reproduced():
    assert set(verdicts(rows(TRUE)).values()) == {"reproduced"}


def test_opposite_results_are_contradicted():
    opposite = {
        **TRUE,
        **{f"A.{arm}": 0.60 for arm in ARMS},
        **{name: -TRUE[name] for name in TRUE if name[0] in "OH" and TRUE[name]},
        "F3.ratio": 0.9, "F4.excess": -0.3, "F5.share": 0.1, "F5b.log_ratio": -0.4,
        "size.T1": 4798.0, "size.T3": 1066.0,
    }  # fmt: skip
    found = verdicts(rows(opposite))
    # R1 is contradicted by its first part only if T1andT2 is beaten.
    assert {k for k, v in found.items() if v != "contradicted"} == {"R1"}
    beaten = {**opposite, "A.T1andT2": 0.58}
    assert verdicts(rows(beaten))["R1"] == "contradicted"


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_too_few_seeds_decide_nothing(seeds):
    found = verdicts(rows(TRUE, seeds))
    found.pop("S1")
    assert set(found.values()) == {"inconclusive"}


def test_wide_spread_is_inconclusive():
    found = verdicts(rows(TRUE, seeds=5, spread=0.5))
    found.pop("S1")
    assert set(found.values()) == {"inconclusive"}


def test_a_missing_arm_makes_its_claims_inconclusive_and_no_others():
    table = rows(TRUE)
    for row in table:
        del row["A.T1andT2l"]
    found = verdicts(table)
    assert {k for k, v in found.items() if v == "inconclusive"} == {"A3", "R1"}


def test_nan_is_inconclusive_never_reproduced():
    table = [{name: float("nan") for name in row} for row in rows(TRUE)]
    assert set(verdicts(table).values()) == {"inconclusive"}


def test_nan_seeds_are_left_out_and_counted():
    table = rows(TRUE)
    for row in table[:4]:
        row["H.mean"] = float("nan")
    judged = {v.claim.id: v for v in judge(table)}
    assert judged["H"].seeds == 16 and judged["O2"].seeds == 20


def test_throughout_is_refuted_by_one_block_of_epochs():
    one_bad = {**TRUE, "O1.block4": -0.02}
    assert verdicts(rows(one_bad))["O1"] == "contradicted"
    # One that is only not shown leaves it open.
    one_open = {**TRUE, "O1.block4": 0.0}
    assert verdicts(rows(one_open))["O1"] == "inconclusive"


def test_interval_is_nadeau_and_bengios():
    values = np.array([0.01, 0.03, 0.02, 0.05, 0.01])
    tested = check(Component("x", "above", share=0.1), values)
    reach = stats.t.ppf(0.975, 4) * values.std(ddof=1)
    assert tested.high - tested.mean == pytest.approx(reach * np.sqrt(1 / 5 + 1 / 9))
    assert tested.plain_high - tested.mean == pytest.approx(reach * np.sqrt(1 / 5))


def test_one_sided_p_is_scipys_when_seeds_are_independent():
    values = np.random.RandomState(1).normal(0.01, 0.02, 12)
    tested = check(Component("x", "above", share=0.0), values)
    assert tested.p_yes == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


def test_holm_against_a_naive_restatement():
    def naive(p):
        order = sorted(range(len(p)), key=lambda i: p[i])
        out, worst = [0.0] * len(p), 0.0
        for rank, i in enumerate(order):
            worst = max(worst, min(1.0, p[i] * (len(p) - rank)))
            out[i] = worst
        return out

    p = np.random.RandomState(2).rand(14) ** 3
    assert inference.holm(p) == pytest.approx(naive(p))


def overlapping(effect, shape, share, spread, random):
    """Trials of seeds, (N, S), of repeated splits: equal correlation `share` between any two seeds."""
    common = random.standard_normal((shape[0], 1)) * np.sqrt(share)
    own = random.standard_normal(shape) * np.sqrt(1 - share)
    return effect + spread * (common + own)


def p_values(component, values):
    """``check(component, row).p_yes`` of every row of (N, S), restated for all of them at once."""
    seeds = values.shape[1]
    error = values.std(axis=1, ddof=1)
    error = error * np.sqrt(1 / seeds + component.share / (1 - component.share))
    tail = {"above": stats.t.sf, "below": stats.t.cdf}[component.kind]
    found = tail((values.mean(axis=1) - component.value) / error, seeds - 1)
    assert found[:20] == pytest.approx([check(component, row).p_yes for row in values[:20]])
    return found


def test_a_tests_level_is_five_percent_and_its_power_at_twenty_seeds_is_told():
    """No effect: shown one time in twenty, though seeds overlap.  One point: mostly."""
    random = np.random.RandomState(3)
    spread, trials = 0.008, 4000
    component = Component("H.mean", "above", share=inference.ON_T3)
    null = overlapping(0.0, (trials, 20), inference.ON_T3, spread, random)
    effect = overlapping(0.01, (trials, 20), inference.ON_T3, spread, random)
    false = int((p_values(component, null) < 0.05).sum())
    independent = stats.ttest_1samp(null, 0, axis=1, alternative="greater").pvalue
    # The test is exact here, so its rate is 5 % and the count binomial: refuse
    # what a rate of 5 % would give once in a thousand times.
    assert stats.binom.sf(false - 1, trials, 0.05) > 0.001
    # The twin: taking the seeds as independent errs far too often.
    assert stats.binom.sf(int((independent < 0.05).sum()) - 1, trials, 0.05) < 1e-9
    assert (p_values(component, effect) < 0.05).mean() > 0.8


def test_whole_family_without_effect_is_rarely_reproduced_anywhere():
    """False `reproduced` at most 5 % of the time when there is no effect."""
    random = np.random.RandomState(4)
    names = ["H.mean", "O2.mean", "F5b.log_ratio", "F4.excess", "F5.share", "F3.ratio"]
    names += [f"O1.block{i}" for i in range(1, 6)]
    null = {"F5.share": 0.5, "F3.ratio": claims.LITTLE}
    columns = {
        n: overlapping(null.get(n, 0.0), (1000, 20), 0.45 if n[0] == "F" else 0.1, 0.01, random)
        for n in names
    }
    # Of a claim all components must be shown; Holm holds the least p against 0.05 / claims.
    of_claims = [
        np.max([p_values(c, columns[c.name]) for c in claim.components], axis=0)
        for claim in CLAIMS
        if all(c.name in names for c in claim.components)
    ]
    assert len(of_claims) == 7
    wrong = np.min(of_claims, axis=0) < 0.05 / len(CLAIMS)
    assert wrong.mean() <= 0.05
    # What is counted is what the verdicts say.
    for trial in [*np.flatnonzero(wrong), *np.flatnonzero(~wrong)[:50]]:
        table = [{n: columns[n][trial, i] for n in names} for i in range(20)]
        assert any(v.verdict == "reproduced" for v in judge(table)) == wrong[trial]
    assert wrong.any()


def test_smallest_detectable_effect_is_found_with_the_stated_power():
    random = np.random.RandomState(5)
    component = Component("H.mean", "above", share=0.0)
    first = check(component, random.normal(0, 0.01, 20))
    effect = first.detectable / first.deviation * 0.01
    found = p_values(component, random.normal(effect, 0.01, (2000, 20))) < 0.05
    assert found.mean() == pytest.approx(inference.POWER, abs=0.04)


def test_equivalence_needs_both_sides():
    inside = check(Component("x", "within", 0.78), np.full(5, 0.78) + np.linspace(-1, 1, 5) * 1e-3)
    edge = check(Component("x", "within", 0.78), np.full(5, 0.796) + np.linspace(-1, 1, 5) * 1e-3)
    assert inside.p_yes < 1e-3 and edge.p_yes > 0.5


# --- verify ------------------------------------------------------------------------


def test_verify_codes():
    held = {v.claim.id: v.verdict for v in judge(rows(TRUE))}
    assert claims.verify(judge(rows(TRUE)), held)[0] == 0
    assert claims.verify(judge(rows(TRUE, 3)), held)[0] == 2
    code, lines = claims.verify(judge(rows(TRUE)), None)
    assert code == 0 and "nothing to compare with" in lines[0]
    assert claims.verify(judge(rows(TRUE, 3)), None)[0] == 2
    assert claims.verify(judge(rows({**TRUE, "H.mean": -0.02})), held)[0] == 1
    wrong_sizes = {**TRUE, "size.T1": 4798.0, "size.T3": 1066.0}
    assert claims.verify(judge(rows(wrong_sizes)), held)[0] == 1
