"""The rule of verdicts: hand-made seeds that must give each verdict, and twins that must not."""

import itertools

import numpy as np
import pytest
from scipy import stats

from replicate import claims
from replicate import verdicts as judging
from replicate.claims import CLAIMS, VERDICTS, Part, alike_verdict, effect_verdict
from replicate.config import ARMS, PAPER
from replicate.io.published import PUBLISHED
from replicate.show import wording
from replicate.statistics import OTHERS
from replicate.verdicts import LEAST_SEEDS

#: What a paper that is right in everything would measure, in statistics.
TRUE = {
    **{f"size.{name}": float(n) for name, n in PAPER["sizes"].items()},
    **{f"A.{arm}": level for arm, level in PAPER["levels"].items()},
    "A.T1": 0.74, "R1.order": 1.0, "O1.share": 1.0,
    **{f"O1.block{i}": 0.01 for i in range(1, 6)},
    "O2.mean": 0.01, "H.mean": 0.01,
    "O3.early": 0.01, "O3.late": 0.0, "O3.fall": -0.01,
    "O4.first": 0.0, "O4.middle": 0.01, "O4.second": 0.02, "O4.growth": 0.02,
    "O4.growth.updates": 0.02,
    "O5.fall": -0.01, "O5.fall.T1andT2": 0.0, "O5.steady": 0.0,
    "F3.ratio": 0.2, "F4.log_ratio": 0.3, "F4b.straight": 0.15, "F4b.straight.raw": 0.1,
    "F5.share": 0.9, "F5.share.100": 0.9, "F5.share.logit": 0.8, "F5c.agreement": 0.95,
    "F5b.log_ratio": 0.4, "F5b.log_ratio.logit": 0.3,
}  # fmt: skip
#: Statistics that have no spread: sizes, and what is yes or no.
FIXED = ("size", "R1.order", "O1.share")


def rows(truth, seeds=60, spread=1e-3, seed=0):
    """Statistics of `seeds` seeds whose means are exactly a truth."""
    random = np.random.RandomState(seed)
    made = {}
    for name, value in truth.items():
        noise = np.zeros(seeds) if name.startswith(FIXED) else random.standard_normal(seeds)
        made[name] = value + spread * (noise - (noise.mean() if seeds else 0))
        if name.startswith(("F5.share", "F5c")):
            made[name] = np.clip(made[name], 0, 1)
    return [{name: float(made[name][i]) for name in made} for i in range(seeds)]


def judged(table, **options):
    return {v.claim.id: v for v in judging.judge(table, **options)}


def verdicts(table, **options):
    return {name: v.verdict for name, v in judged(table, **options).items()}


# --- the rule --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 0.9, "reproduced"),
        (0.5, 5.0, "reproduced"),
        (0.49, 0.9, "weaker"),
        (0.01, 0.5, "weaker"),
        (0.01, 0.99, "weaker"),
        (0.01, 1.0, "direction only"),
        (0.49, 3.0, "direction only"),
        (0.01, 0.49, "no such effect"),
        (-0.49, 0.49, "no such effect"),
        (-0.49, -0.01, "no such effect"),
        (-0.5, -0.01, "reversed"),
        (-3.0, -2.0, "reversed"),
        (-0.5, 0.0, "undecided"),
        (-0.5, 0.49, "undecided"),
        (0.0, 0.5, "undecided"),
        (-0.01, 2.0, "undecided"),
        (-3.0, 3.0, "undecided"),
        (np.nan, np.nan, "undecided"),
        (-np.inf, np.inf, "undecided"),
    ],
)
def test_verdicts_of_an_effect(low, high, verdict):
    """Smallest effect of interest 0.5, reported 1; the limits themselves are among them."""
    assert effect_verdict(low, high, 0.5, 1.0) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.49, 0.49, "alike"),
        (0.1, 0.4, "alike"),
        (-0.49, 0.5, "undecided"),
        (0.49, 2.0, "undecided"),
        (0.5, 2.0, "not alike"),
        (-2.0, -0.5, "not alike"),
        (-2.0, 2.0, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_verdicts_of_likeness(low, high, verdict):
    assert alike_verdict(low, high, 0.5) == verdict


def says(word, small, reported):
    """Greatest interval of true effects for which a verdict is true."""
    return {
        "reproduced": (small, np.inf),
        "weaker": (0, reported),
        "direction only": (0, np.inf),
        "no such effect": (-small, small),
        "reversed": (-np.inf, 0),
        "alike": (-small, small),
        "undecided": (-np.inf, np.inf),
    }[word]


def test_a_verdict_says_no_more_than_its_interval():
    """Whatever lies in the interval, the verdict is true of it; and an interval has one verdict."""
    ends = np.linspace(-2.5, 2.5, 41)
    seen = set()
    for low, high in itertools.combinations(ends, 2):
        for figure in (1.0, None):
            word = str(effect_verdict(low, high, 0.5, figure))
            least, most = says(word, 0.5, figure or np.inf)
            assert least <= low and high <= most, (low, high, word)
            seen.add(word)
        word = str(alike_verdict(low, high, 0.5))
        if word == "not alike":
            assert low >= 0.5 or high <= -0.5
        else:
            least, most = says(word, 0.5, None)
            assert least <= low and high <= most
        seen.add(word)
    assert seen == set(VERDICTS)
    # The twin: a rule that takes the estimate for the interval says more.
    assert effect_verdict(0.6, 0.6, 0.5, 1.0) != effect_verdict(0.3, 0.9, 0.5, 1.0)


def test_without_a_figure_nothing_is_weaker():
    assert effect_verdict(0.2, 0.8, 0.5) == "direction only"
    assert effect_verdict(0.2, 0.8, 0.5, 1.0) == "weaker"


def test_more_than_one_point_apart_is_never_alike():
    """However many seeds there are; today's margin of 1.5 points called +1.2 the same."""
    for spread, seeds in itertools.product((1e-6, 1e-3, 1e-2), (50, 200, 2000)):
        table = rows({**TRUE, "O4.first": 0.012}, seeds, spread)
        part = judged(table)["O4"].parts[1]
        assert part.part.title == "epochs 0-10" and part.verdict != "alike"
    assert judged(rows({**TRUE, "O4.first": 0.001}))["O4"].parts[1].verdict == "alike"


# --- claims ----------------------------------------------------------------------------


def test_every_claim_of_the_paper_has_one_row():
    ids = [v.claim.id for v in judging.judge([])]
    assert ids == "S1 F3 F4 F4b F5 F5c F5b A1 A2 A3 R1 O1 O2 O3 O4 O5 H".split()


def test_a_paper_that_is_right_is_reproduced():
    found = verdicts(rows(TRUE))
    assert found.pop("S1") == "checked"
    assert {found.pop(name) for name in ("A1", "A2", "A3")} == {"alike"}
    assert set(found.values()) == {"reproduced"}


#: Claim -> statistics that change, and the verdict that it must then have.  With the
#: same numbers the paper's own claim is reproduced, which is the twin of each.
CASES = [
    ("F3", {"F3.ratio": 0.5}, "direction only"),
    ("F3", {"F3.ratio": 0.6}, "no such effect"),
    ("F3", {"F3.ratio": 2.5}, "reversed"),
    ("F4", {"F4.log_ratio": 0.05}, "no such effect"),
    ("F4", {"F4.log_ratio": -0.3}, "reversed"),
    ("F4b", {"F4b.straight": 0.01}, "no such effect"),
    ("F4b", {"F4b.straight": -0.15}, "reversed"),
    ("F5", {"F5.share.100": 0.52}, "no such effect"),
    ("F5", {"F5.share.100": 0.1}, "reversed"),
    ("F5c", {"F5c.agreement": 0.5}, "no such effect"),
    ("F5c", {"F5c.agreement": 0.7}, "no such effect"),
    ("F5b", {"F5b.log_ratio": 0.0}, "no such effect"),
    ("F5b", {"F5b.log_ratio": -0.4}, "reversed"),
    ("A1", {"A.T1andT2": 0.75}, "not alike"),
    ("A2", {"A.T1andT2h": 0.75}, "not alike"),
    ("A3", {"A.T2l": 0.74}, "not alike"),
    ("R1", {"A.T1andT2": 0.763}, "no such effect"),
    ("R1", {"A.T1andT2": 0.74}, "reversed"),
    ("R1", {"A.T1andT2h": 0.755, "A.T1andT2": 0.775}, "weaker"),
    ("R1", {"A.T2h": 0.759, "A.T2l": 0.741}, "not alike"),
    ("O1", {"O1.block4": 0.0}, "no such effect"),
    ("O1", {"O1.block1": -0.01}, "reversed"),
    ("O1", {"O1.block5": 0.0048}, "weaker"),
    ("O2", {"A.T1andT2ran": 0.76}, "no such effect"),
    ("O2", {"A.T1andT2ran": 0.77}, "reversed"),
    ("O3", {"O3.early": 0.0}, "no such effect"),
    ("O3", {"O3.late": 0.01}, "no such effect"),
    ("O3", {"O3.late": 0.007, "O3.early": 0.02}, "not alike"),
    ("O4", {"O4.first": 0.0125}, "not alike"),
    ("O4", {"O4.growth": -0.02}, "reversed"),
    ("O4", {"O4.growth": 0.0}, "no such effect"),
    ("O5", {"O5.fall.T1andT2": -0.01, "O5.steady": -0.01}, "no such effect"),
    ("O5", {"O5.fall.T1andT2": 0.01, "O5.fall": 0.0}, "no such effect"),
    ("O5", {"O5.steady": -0.007}, "not alike"),
    ("O5", {"O5.fall": 0.01, "O5.fall.T1andT2": 0.0}, "reversed"),
    ("H", {"A.T1andT2l": 0.76}, "no such effect"),
    ("H", {"A.T1andT2l": 0.77}, "reversed"),
    ("H", {"A.T1andT2l": 0.7552}, "weaker"),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "changed", "verdict"), CASES)
def test_seeds_that_give_each_verdict(claim, changed, verdict):
    assert verdicts(rows({**TRUE, **changed}))[claim] == verdict
    assert verdicts(rows(TRUE))[claim] in ("reproduced", "alike")


def test_cases_have_every_verdict_and_every_claim():
    assert {case[2] for case in CASES} | {"reproduced", "alike", "undecided"} == set(VERDICTS)
    assert {case[0] for case in CASES} == {claim.id for claim in CLAIMS}


def test_the_size_of_an_effect_is_open_where_the_interval_reaches_the_papers():
    wide = rows({**TRUE, "A.T1andT2l": 0.754}, spread=0.004, seeds=60)
    assert judged(wide)["H"].parts[0].verdict == "weaker"
    wider = rows({**TRUE, "A.T1andT2l": 0.752}, spread=0.012, seeds=100)
    assert judged(wider)["H"].parts[0].verdict == "direction only"


def test_all_fall_alike_is_not_the_papers_fall():
    """T1andT2h falls by a point, and so does T1andT2: the claim is about the difference."""
    for seeds in (50, 200, 1000):
        table = rows({**TRUE, "O5.fall.T1andT2": -0.01, "O5.steady": -0.003}, seeds, 0.009)
        assert verdicts(table)["O5"] not in ("reproduced", "weaker", "direction only")


def test_a_part_beside_a_claim_is_judged_and_does_not_count():
    """F4b of raw saliency is reversed: shown, while the claim is of the standardised one."""
    found = judged(rows({**TRUE, "F4b.straight.raw": -0.1}))["F4b"]
    assert found.verdict == "reproduced"
    assert [(p.part.beside, p.verdict) for p in found.parts] == [
        (False, "reproduced"), (True, "reversed")
    ]  # fmt: skip
    beside = {p.title for c in CLAIMS for p in c.parts if p.beside}
    assert beside == {
        "raw", "all of T1", "logit difference", "T1andT2 less T1andT2ran", "all epochs",
        "growth, by updates", "growth to 20-30",
    }  # fmt: skip


def test_an_open_part_leaves_a_claim_open_unless_another_fails():
    open_ = rows({**TRUE, "O4.first": 0.005}, spread=0.001)
    assert verdicts(open_)["O4"] == "undecided"
    assert "epochs 0-10" in judged(open_)["O4"].reason
    fails = rows({**TRUE, "O4.first": 0.005, "O4.growth": 0.0}, spread=0.001)
    assert verdicts(fails)["O4"] == "no such effect" and not judged(fails)["O4"].reason


@pytest.mark.parametrize("seeds", [0, 1, 2, 3, LEAST_SEEDS - 1])
def test_too_few_seeds_decide_nothing(seeds):
    found = judged(rows(TRUE, seeds))
    found.pop("S1")
    assert (
        {v.verdict for v in found.values()} == {v.always for v in found.values()} == {"undecided"}
    )
    assert {v.reason for v in found.values()} == {
        f"undecided: {seeds} of 50 seeds" if seeds else "undecided: not measured"
    }
    if seeds > 2:
        assert np.isfinite([found["H"].low, found["H"].high]).all()
    assert verdicts(rows(TRUE, LEAST_SEEDS))["H"] == "reproduced"


def test_wide_spread_is_undecided():
    found = verdicts(rows(TRUE, spread=0.5))
    assert {found[name] for name in ("A1", "R1", "O1", "O2", "O3", "O4", "O5", "H")} == {
        "undecided"
    }


def test_a_missing_arm_leaves_its_claims_undecided_and_no_others():
    table = rows(TRUE)
    for row in table:
        del row["A.T1andT2l"]
    found = verdicts(table)
    assert {k for k, v in found.items() if v == "undecided"} == {"A3", "R1", "H"}
    assert judged(table)["H"].reason == "undecided: not measured"


def test_nan_is_undecided_never_reproduced():
    table = [{name: float("nan") for name in row} for row in rows(TRUE)]
    assert set(verdicts(table).values()) == {"undecided"}


def test_nan_seeds_are_left_out_and_counted():
    table = rows(TRUE)
    for row in table[:4]:
        row["A.T1andT2l"] = float("nan")
    found = judged(table)
    assert found["H"].seeds == 56 and found["O2"].seeds == 60


def test_verdicts_do_not_depend_on_the_order_of_seeds():
    table = rows(TRUE, 70, spread=0.02)
    other = [table[i] for i in np.random.RandomState(1).permutation(len(table))]
    # All digits; NaN does not equal NaN.
    assert repr(judging.judge(table)) == repr(judging.judge(other))
    assert repr(judging.judge(table)) != repr(judging.judge([*table[:-1], table[0]]))


# --- the numbers -------------------------------------------------------------------------


def bonferroni(claim):
    """Restated: 5 % over the parts of the family, two sides."""
    headline = {"H", "O2", "R1"}
    mine = [c for c in CLAIMS if (c.id in headline) == (claim in headline)]
    return 0.05 / sum(len(c.parts) for c in mine)


@pytest.mark.parametrize("claim", ["H", "O1"])
def test_intervals_are_those_of_the_family(claim):
    """Against SciPy: plain t intervals, at the level of all parts of the family together."""
    table = rows(TRUE, 60, 0.01)
    found = judged(table)[claim]
    names = {"H": ("A.T1andT2h", "A.T1andT2l"), "O1": ("O1.block1", None)}[claim]
    values = np.array([row[names[0]] - (row[names[1]] if names[1] else 0) for row in table])
    error = values.std(ddof=1) / np.sqrt(60)
    level = 1 - bonferroni(claim)
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(level, 59, values.mean(), error), rel=1e-12
    )
    # Neither unadjusted, nor Nadeau and Bengio's.
    assert found.low != pytest.approx(stats.t.interval(0.95, 59, values.mean(), error)[0], rel=1e-3)
    wide = stats.t.interval(level, 59, values.mean(), error * np.sqrt(1 + 60 / 9))
    assert found.low != pytest.approx(wide[0], rel=1e-3)


def test_the_other_numbers_of_a_part():
    table = rows({**TRUE, "A.T1andT2l": 0.7525}, 200, 0.007)
    part = judged(table)["H"].parts[0]
    values = np.array([row["A.T1andT2h"] - row["A.T1andT2l"] for row in table])
    error = values.std(ddof=1) / np.sqrt(200)
    assert part.mean == pytest.approx(values.mean()) == pytest.approx(0.0075)
    assert part.not_excluded == pytest.approx(values.mean() + stats.t.ppf(0.95, 199) * error)
    assert part.percentile == np.mean(values < 0.01)
    assert part.positive == np.mean(values > 0)
    reach = stats.t.ppf(0.975, 199) * values.std(ddof=1) * np.sqrt(1 + 1 / 200)
    assert part.run_high - part.mean == pytest.approx(reach)
    assert part.always_low < part.low < part.high < part.always_high
    # Another sample of reviews is asked of levels only.
    assert np.isnan(part.other_low)
    level = judged(table)["A1"].parts[0]
    values = np.array([row["A.T1andT2"] for row in table])
    wide = values.std(ddof=1) * np.sqrt(1 / 200 + 1 / 9)
    assert level.other_low == pytest.approx(values.mean() - stats.t.ppf(0.975, 199) * wide)
    assert level.other_low < level.low


def test_shares_and_ratios_are_shown_as_such():
    table = rows(TRUE, 60, 0.05)
    for row, k in zip(table, itertools.cycle([0, 30, 45, 49])):
        row["F5.share.100"] = k / 49
    found = judged(table)
    (share, *_), ratio = found["F5"].parts, found["F3"].parts[0]
    assert 0 < share.low < share.mean < share.high < 1
    values = np.log(
        [(49 * r["F5.share.100"] + 0.5) / (49 * (1 - r["F5.share.100"]) + 0.5) for r in table]
    )
    assert 49 * share.mean + 0.5 == pytest.approx(50 / (1 + np.exp(-values.mean())))
    logs = np.log([row["F3.ratio"] for row in table])
    assert ratio.mean == pytest.approx(np.exp(logs.mean())) and ratio.low < ratio.mean < ratio.high
    # A share that is always 1 has an interval, too.
    for row in table:
        row["F5.share.100"] = 1.0
    assert judged(table)["F5"].high <= 1


@pytest.mark.parametrize("part", [p for c in CLAIMS for p in c.parts], ids=lambda p: p.statistic)
def test_effects_are_shown_on_the_scale_they_came_from(part):
    shown = {"ratio": [0.3, 2.0], "share": [0.2, 0.9], "early share": [0.3, 0.8]}.get(
        part.scale, [0.1, 0.7]
    )
    numbers = np.array(shown)
    back = part.shown(part.effects(numbers))
    wanted = np.exp(numbers) if part.scale == "log ratio" else numbers
    assert back == pytest.approx(wanted)
    assert part.smallest > 0 and (part.reported is None or part.reported >= 0)
    if part.reported:
        assert part.reported == pytest.approx(2 * part.smallest)


def test_smallest_effects_are_half_of_the_papers_levels():
    levels = PAPER["levels"]
    for name, one, other in (
        ("lead of T1andT2h", "T1andT2h", "T1andT2l"),
        ("lead of T1andT2", "T1andT2", "T1andT2h"),
        ("headroom", "T1andT2", "T1andT2ran"),
    ):
        reported, smallest, source = PAPER["effects"][name]
        assert reported == pytest.approx(levels[one] - levels[other])
        assert smallest == reported / 2 and "half" in source
    assert {p.effect for c in CLAIMS for p in c.parts} == set(PAPER["effects"])


# --- one run -----------------------------------------------------------------------------


def test_one_run_is_counted_and_has_its_interval():
    table = rows({**TRUE, "A.T1andT2l": 0.76}, 200, 0.007)
    found = judged(table)["H"]
    hits = sum(row["A.T1andT2h"] - row["A.T1andT2l"] >= 0.01 for row in table)
    assert (found.verdict, found.hits, found.runs) == ("no such effect", hits, 200)
    assert found.one_run == "usual" and 0.1 < hits / 200 < 0.25
    assert found.share_low == pytest.approx(stats.beta.ppf(0.025, hits, 201 - hits))
    assert found.share_high == pytest.approx(stats.beta.ppf(0.975, hits + 1, 200 - hits))


@pytest.mark.parametrize(("hits", "word"), [(0, "never in 60"), (2, "rare"), (3, "usual")])
def test_words_for_one_run(hits, word):
    table = rows(TRUE)
    for i, row in enumerate(table):
        row["O1.share"] = 0.9 if i < hits else 0.88
        row["R1.order"] = float(i < hits)
    found = judged(table)
    assert found["O1"].one_run == found["R1"].one_run == word
    assert found["O1"].hits == found["R1"].hits == hits


def test_one_run_must_show_all_parts_that_count():
    table = rows(TRUE, 60, 1e-9)
    for row in table:
        row["O3.early"], row["O3.late"] = 0.02, 0.0
    table[0]["O3.late"] = 0.01
    table[1]["O3.early"] = 0.0
    assert judged(table)["O3"].hits == 58
    # A part beside the claim is not asked.
    for row in table:
        row["F5.share"], row["F5.share.100"] = 0.1, 0.9
    assert judged(table)["F5"].hits == 60


# --- corpora and sizes -------------------------------------------------------------------


def test_sizes_are_checked_and_every_seed_counts():
    assert verdicts(rows(TRUE))["S1"] == "checked"
    table = rows(TRUE)
    table[1]["size.T1"], table[1]["size.T3"] = 4798.0, 1066.0
    assert verdicts(table)["S1"] == "failed"
    assert judged(table)["S1"].ours == (4797.0, 2399.0, 2399.0, 1067.0)


def test_sizes_and_levels_are_of_the_papers_corpus_alone():
    other = rows({**TRUE, "size.T1": 90.0, "size.T3": 20.0, "size.T2h": 45.0, "size.T2l": 45.0})
    for found in (verdicts(other), verdicts(rows(TRUE), paper_corpus=False)):
        assert {k for k, v in found.items() if v == "not applicable"} == {"S1", "A1", "A2", "A3"}
        assert found["H"] == "reproduced"
    assert "not applicable" not in verdicts(rows(TRUE)).values()


def test_the_papers_corpus_is_known_by_its_bytes():
    sums = {source.name: source.sha256 for source in PUBLISHED["mr"].files}
    assert len(sums) == 2 and claims.is_paper_corpus(sums)
    assert not claims.is_paper_corpus({**sums, "rt-polarity.pos": "0" * 64})
    assert not claims.is_paper_corpus({"rt-polarity.pos": sums["rt-polarity.pos"]})


# --- looking while seeds are added -------------------------------------------------------


def test_decided_asks_the_confidence_sequences():
    sure = judging.judge(rows(TRUE, 60, 1e-4))
    assert judging.decided(sure)
    # Decided for who fixed the number of seeds, and not for who looks.
    table = rows({**TRUE, "A.T1andT2l": 0.76}, 60, 0.0075)
    found = judged(table)["H"]
    assert found.verdict == "no such effect" and found.always == "undecided"
    assert not judging.decided([*judging.judge(rows(TRUE, 60, 1e-4))[:-1], found])
    assert not judging.decided([])


def test_what_is_not_measured_need_not_be_decided():
    table = [{k: v for k, v in row.items() if k[:2] != "F4"} for row in rows(TRUE, 60, 1e-4)]
    assert verdicts(table)["F4"] == "undecided" and judging.decided(judging.judge(table))
    assert judging.decided(judging.judge(table, paper_corpus=False))


def test_seeds_that_are_not_a_full_range_are_pointed_out():
    assert wording.seeds_note(range(1_000_000, 1_000_200)) == "" == wording.seeds_note([])
    assert "without 3, 4" in wording.seeds_note([2, 5, 6])
    assert wording.seeds_note([0, 10**6]).endswith(
        "1, 2, 3, 4, 5 and 999,994 more: not a full range, so seeds may have been chosen"
    )


# --- words -------------------------------------------------------------------------------


def test_a_line_says_what_was_found_how_sure_and_what_one_run_shows():
    table = rows({**TRUE, **{f"O1.block{i}": 0.001 for i in range(1, 6)}, "O1.block3": -0.001}, 200)
    for i, row in enumerate(table):
        row["O1.share"] = 1.0 if i % 8 == 0 else 0.5
    found = judged(table)["O1"]
    assert wording.sentence(found) == (
        "On average an effect that is large enough to matter is excluded. The mean (epochs 21-30) is "
        "-0.10 points; with 95 % certainty it lies in "
        f"{100 * found.parts[2].low:+.2f} … {100 * found.parts[2].high:+.2f} points. "
        "The paper reports +1.00 points; +0.50 points is the least that matters. "
        "25 of 200 single runs show the claim, so 8 to 18 % of all such runs would."
    )  # fmt: skip
    assert "the interval includes a limit (T1andT2)" in wording.sentence(
        judged(rows({**TRUE, "A.T1andT2": 0.775}, 200))["A1"]
    )
    assert wording.sentence(judged(rows(TRUE, 3))["H"]).startswith(
        "Undecided: 3 of 50 seeds. The mean"
    )


# --- verify ------------------------------------------------------------------------------


def committed(table, rounding=0.0):
    return {
        (v.claim.id, p.part.statistic): judging.Committed(p.low, p.high, rounding, p.seeds)
        for v in judging.judge(table)
        for p in v.parts
    }


def test_verify_agrees_with_itself_and_with_other_seeds():
    table = rows(TRUE, 60, 0.01)
    assert judging.verify(judging.judge(table), committed(table))[0] == 0
    other = rows({**TRUE, "A.T1andT2l": 0.752}, 20, 0.01, seed=1)
    code, lines = judging.verify(judging.judge(other), committed(table))
    assert code == 0 and "20 seeds agree" in lines[0]


@pytest.mark.parametrize("statistic", ["A.T1andT2l", "F3.ratio", "O4.first", "F5.share.100"])
def test_verify_fails_where_an_estimate_is_elsewhere(statistic):
    """Also where the verdict is the same, and for parts that are undecided."""
    table = rows(TRUE, 20, 0.001)
    moved = rows({**TRUE, statistic: TRUE[statistic] - 0.06}, 20, 0.001)
    code, lines = judging.verify(judging.judge(moved), committed(table))
    assert code == 1 and lines
    # What rounding may do is not held against it.
    assert judging.verify(judging.judge(moved), committed(table, rounding=3.0))[0] == 0


def test_verify_without_anything_committed_is_no_failure():
    code, lines = judging.verify(judging.judge(rows(TRUE)), None)
    assert code == 0 and lines[0].startswith("nothing to compare with")
    assert judging.verify(judging.judge(rows(TRUE, 3)), committed(rows(TRUE)))[0] == 2
    assert judging.verify(judging.judge([]), None)[0] == 2
    wrong = rows({**TRUE, "size.T1": 4798.0, "size.T3": 1066.0})
    assert judging.verify(judging.judge(wrong), None)[0] == 1
    other = {("H", "another statistic"): judging.Committed(0, 1, 0, 20)}
    assert judging.verify(judging.judge(rows(TRUE)), other)[0] == 2


def test_parts_name_arms_that_exist():
    for part in (p for c in CLAIMS for p in c.parts if p.statistic.startswith("A.")):
        for name in part.statistic.split(" - "):
            assert name.removeprefix("A.") in (*ARMS, "others")
    assert judging.column([{f"A.{a}": i for i, a in enumerate(OTHERS)}], "A.others") == 1.5
    assert isinstance(CLAIMS[0].parts[0], Part)


# --- equal levels, and claims without a figure -------------------------------------------


def test_levels_that_are_equal_do_not_lead():
    """Both from the same right answers, added in two orders; the last bit is no lead."""
    counts = np.array([[0.7, 0.1, 0.2], [0.2, 0.1, 0.7]]) + 0.1
    high, low = sorted(counts.mean(axis=1))[::-1]
    assert high > low
    table = [{"A.T1andT2h": high, "A.T1andT2l": low, "H.mean": high - low} for _ in range(60)]
    parts = judged(table)["H"].parts
    assert [part.positive for part in parts] == [0.0, 0.0]
    # Twin: a real lead of one answer counts.
    table = [{**row, "A.T1andT2h": high + 1e-7, "H.mean": 1e-7} for row in table]
    assert [part.positive for part in judged(table)["H"].parts] == [1.0, 1.0]


def test_a_claim_without_a_figure_of_the_paper_asks_for_none_of_one_run():
    """O5: T1andT2h falls, how far the paper does not say.  Half of the runs show it, by a tenth of a point."""
    table = [
        {"O5.fall": (-1) ** i * 0.001, "O5.fall.T1andT2": 0.0, "O5.steady": 0.0} for i in range(60)
    ]
    found = {p.part.title: p for p in judged(table)["O5"].parts}
    fall = found["change of T1andT2h"]
    assert fall.part.reported is None and np.isnan(fall.percentile)
    assert judged(table)["O5"].hits == 30
    # Twin: H has a figure, of one point, so that no run of a tenth of it shows it.
    row = {"A.T1andT2h": 0.751, "A.T1andT2l": 0.75, "H.mean": 0.001}
    assert judged([row] * 60)["H"].hits == 0
