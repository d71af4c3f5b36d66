"""Halves of one size, one tie rule, arms that differ in one thing."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replicate.config import ARMS, PAPER
from replicate.selection import arm_sentences, budget, median_halves, select_top
from replicate.split import split_corpus

#: Few values, so that ties are many.
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 1e-9, 7.0]), min_size=2, max_size=25)


# --- The budget ----------------------------------------------------------------


@given(st.integers(2, 10**9))
def test_half_is_rounded_down(n):
    """Half of an odd number leaves one out, whatever the size."""
    assert budget(n) == n // 2


@given(st.integers(1, 10**6), st.integers(1, 1000))
@example(30, 100)  # 0.1 * 30
@example(10, 700)
def test_any_share(n, thousandths):
    """floor of the exact share, though the share is a float."""
    wanted = floor(Fraction(thousandths, 1000) * n)
    if wanted:
        assert budget(n, thousandths / 1000) == wanted


def test_floor_of_floats_would_be_caught():
    """``int(n * share)`` falls below a whole number; the budget does not."""
    short = [n for n in range(1, 1000) if int(n * 0.29) != 29 * n // 100]
    assert short and all(budget(n, 0.29) == 29 * n // 100 for n in short)


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan"), float("inf")])
def test_a_share_out_of_range(share, refused):
    """Above 0 and up to 1."""
    with refused(f"a share of {share}", "choose one"):
        budget(10, share)
    assert budget(10, 1) == 10


@pytest.mark.parametrize("n, share", [(1, 0.5), (0, 0.5), (9, 0.1)])
def test_a_share_of_none(n, share, refused):
    """A share too small for one sentence."""
    with refused(f"of {n} sentences is less than one sentence", "take more"):
        budget(n, share)


# --- The tie rule --------------------------------------------------------------


@given(SCORES, st.data())
def test_top_by_score_then_index(scores, data):
    """Best first; of equal scores the lower index."""
    size = data.draw(st.integers(0, len(scores)))
    naive = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:size]
    assert select_top(np.array(scores), size).tolist() == naive


def test_another_tie_rule_is_caught():
    """An unstable or a turned order gives other indices on these ties."""
    scores = np.tile([0.5, 1.0], 50)
    ours = select_top(scores, 60).tolist()
    assert ours == [*range(1, 100, 2), *range(0, 20, 2)]
    assert np.argsort(scores, kind="stable")[::-1][:60].tolist() != ours


def test_scores_without_rank():
    """NaN has no rank; a size must fit."""
    with pytest.raises(ValueError, match="NaN score"):
        select_top(np.array([1.0, np.nan]), 1)
    for size in (-1, 3):
        with pytest.raises(ValueError, match="cannot be selected"):
            select_top(np.array([1.0, 2.0]), size)
    assert select_top(np.array([-np.inf, 0.0, np.inf]), 3).tolist() == [2, 1, 0]


# --- Halves --------------------------------------------------------------------


def naive_halves(scores, sentences):
    """Section 4.3.3 by sorting pairs; the middle of an odd number in neither half."""
    order = [s for _, s in sorted(zip([-x for x in scores], sentences))]
    size = len(order) // 2
    return sorted(order[:size]), sorted(order[-size:])


@given(SCORES, st.data())
def test_halves(scores, data):
    """As by sorting; equal in size, disjoint, sorted; h never below l."""
    sentences = sorted(
        data.draw(st.sets(st.integers(0, 99), min_size=len(scores), max_size=len(scores)))
    )
    h, l = median_halves(np.array(scores), np.array(sentences))
    assert (h.tolist(), l.tolist()) == naive_halves(scores, sentences)
    assert len(h) == len(l) == len(scores) // 2
    assert not set(h) & set(l)
    score = dict(zip(sentences, scores))
    median = np.median(scores)
    assert min(score[s] for s in h) >= median >= max(score[s] for s in l)
    left_out = set(sentences) - set(h) - set(l)
    assert len(left_out) == len(scores) % 2
    assert all(score[s] == median for s in left_out)


def test_ties_at_the_median():
    """All equal: the lower indices are h; ties across the middle go by index."""
    sentences = np.array([3, 5, 8, 9])
    h, l = median_halves(np.ones(4), sentences)
    assert (h.tolist(), l.tolist()) == ([3, 5], [8, 9])
    h, l = median_halves(np.array([0.5, 0.5, 0.9, 0.1]), sentences)
    assert (h.tolist(), l.tolist()) == ([3, 8], [5, 9])


def test_odd_number_with_ties():
    """Five, three of them at the median: the second of these is in neither."""
    h, l = median_halves(np.array([0.5, 0.9, 0.5, 0.1, 0.5]), np.arange(5))
    assert (h.tolist(), l.tolist()) == ([0, 1], [3, 4])


@given(SCORES, st.randoms(use_true_random=False))
def test_flipped_halves_are_caught(scores, random):
    """h and l change places with the sign of distinct scores, and only then."""
    distinct = np.array(scores) + np.arange(len(scores)) * 1e3
    random.shuffle(distinct)
    sentences = np.arange(len(scores))
    h, l = median_halves(distinct, sentences)
    turned_h, turned_l = median_halves(-distinct, sentences)
    assert (turned_h == l).all() and (turned_l == h).all()
    assert h.tolist() != l.tolist()


def test_permuted_scores_permute_halves():
    """Which sentence stands where does not matter, but for ties."""
    random = np.random.RandomState(0)
    scores = random.permutation(31) / 7
    order = random.permutation(31)
    h, l = median_halves(scores, np.arange(31))
    again_h, again_l = median_halves(scores[order], np.arange(31))
    assert sorted(order[again_h]) == h.tolist() and sorted(order[again_l]) == l.tolist()


def test_too_few_for_halves(refused):
    """One sentence has no half."""
    with refused("1 sentences is less than one sentence"):
        median_halves(np.array([1.0]), np.array([0]))


# --- Arms ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def arms():
    """The seven arms of a corpus of MR's size, seed 0, random scores."""
    subset = split_corpus(np.zeros(10_662, dtype=np.int32), 0)
    t2 = np.flatnonzero(subset == 2)
    h, l = median_halves(np.random.RandomState(0).rand(len(t2)), t2)
    return subset, h, l, arm_sentences(subset, h, l, 0)


def test_sizes_of_table_1(arms):
    """Each arm has the sentences that section 4.4 gives it; names and order are ARMS."""
    _, _, _, made = arms
    t1, half = PAPER["sizes"]["T1"], PAPER["sizes"]["T2h"]
    assert tuple(made) == ARMS
    assert {name: len(part) for name, part in made.items()} == {
        "T1": 4797,
        "T2h": half,
        "T2l": half,
        "T1andT2h": t1 + half,
        "T1andT2l": t1 + half,
        "T1andT2": t1 + 2 * half,
        "T1andT2ran": t1 + half,
    }


def test_what_the_arms_hold(arms):
    """Sorted, without repetition, of T1 and T2 only; h and l make up T2."""
    subset, h, l, made = arms
    for part in made.values():
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()
        assert not (subset[part] == 3).any()
    t1, t2 = (set(np.flatnonzero(subset == number).tolist()) for number in (1, 2))
    sets = {name: set(part.tolist()) for name, part in made.items()}
    assert sets["T1"] == t1
    assert sets["T2h"] == set(h.tolist()) and sets["T2l"] == set(l.tolist())
    assert sets["T2h"] | sets["T2l"] == t2 and not sets["T2h"] & sets["T2l"]
    assert sets["T1andT2"] == t1 | t2
    for name in ("h", "l"):
        assert sets["T1andT2" + name] == t1 | sets["T2" + name]
    assert sets["T1andT2ran"] - t1 <= t2 and t1 <= sets["T1andT2ran"]


def test_arms_of_an_odd_t2():
    """The sentence at the median is in T1andT2, and may be in the random arm."""
    subset = np.array([1, 2, 2, 2, 2, 2, 3], dtype=np.int8)
    h, l = median_halves(np.array([5.0, 4, 3, 2, 1]), np.arange(1, 6))
    drawn = [arm_sentences(subset, h, l, seed) for seed in range(40)]
    assert drawn[0]["T1andT2"].tolist() == [0, 1, 2, 3, 4, 5]
    assert all(len(arms["T1andT2ran"]) == 1 + 2 for arms in drawn)
    assert any(3 in arms["T1andT2ran"] for arms in drawn)
    assert set.union(*(set(arms["T1andT2ran"].tolist()) for arms in drawn)) == set(range(6))


def test_the_random_arm_is_random(arms):
    """One seed, one sample; over seeds as much of h as of l, within chance."""
    subset, h, l, made = arms
    again = arm_sentences(subset, h, l, 0)
    assert all((again[name] == made[name]).all() for name in ARMS)
    shares = []
    for seed in range(30):
        other = arm_sentences(subset, h, l, seed)
        assert all((other[n] == made[n]).all() for n in ARMS if n != "T1andT2ran")
        shares.append(np.isin(h, other["T1andT2ran"]).mean())
    assert len(set(shares)) > 20
    assert abs(np.mean(shares) - 0.5) < 0.006  # 4 standard errors


@pytest.mark.parametrize("kind", ["uint8", "int8", "float32", "bool"])
def test_scores_of_any_kind_are_ranked(kind):
    """Of unsigned numbers the negative wraps."""
    scores = np.array([0, 1, 0, 1, 1]).astype(kind)
    assert select_top(scores, 3).tolist() == [1, 3, 4]
