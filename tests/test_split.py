"""T1, T2, T3: Table 1's sizes, uniform and stratified, one seed one split."""

import hashlib
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from replicate.config import PAPER
from replicate.corpus import Corpus
from replicate.selection import budget
from replicate.split import folds, split_corpus, subset_sizes

#: Of the first twelve of 1000 sentences, and of all of them, with seed 0.
FIRST_FOLDS = [3, 0, 8, 0, 8, 1, 3, 2, 1, 1, 6, 5]
FOLDS_SHA256 = "1f683ee80ec79b34d9193bf9296f049887a8ca62a93c541b488bcffc7af38330"


def sizes_of(subset):
    """How many sentences each of T1, T2, T3 has."""
    return tuple(np.bincount(subset, minlength=4)[1:].tolist())


# --- Sizes ---------------------------------------------------------------------


def test_table_1():
    """10,662 sentences give 4,797, two halves of 2,399 and 1,067."""
    t1, t2, t3 = subset_sizes(10_662)
    half = budget(t2)
    assert (t1, half, half, t3) == tuple(PAPER["sizes"].values()) == (4797, 2399, 2399, 1067)
    assert t2 == 2 * half == 4798


@given(st.integers(4, 10**12))
def test_sizes_of_any_corpus(n):
    """floor(0.45 n), up to floor(0.9 n), the rest; exact whatever the size."""
    first, both = floor(Fraction(45, 100) * n), floor(Fraction(9, 10) * n)
    assert subset_sizes(n) == (first, both - first, n - both)


def test_other_roundings_are_caught():
    """Rounding to the nearest gives another table than the paper's."""
    nearest = tuple(round(share * 10_662) for share in PAPER["shares"])
    assert sum(nearest) == 10_662 and nearest != subset_sizes(10_662)


@pytest.mark.parametrize("n", range(4))
def test_fewer_sentences_than_a_split_needs(n, refused):
    """Below 4 there is no T1, T2 of two and T3."""
    with refused(f"{n} sentences", "use 4 sentences or more"):
        subset_sizes(n)
    with refused(f"{n} sentences"):
        split_corpus(np.zeros(n, dtype=np.int32), seed=0)


def test_the_least_corpus():
    """Four sentences: one, two, one."""
    assert subset_sizes(4) == (1, 2, 1) and subset_sizes(5) == (2, 2, 1)
    assert sizes_of(split_corpus(np.array([0, 1, 0, 1]), 0)) == (1, 2, 1)


def test_the_least_number_is_named(refused):
    """The number in the message is the one that works."""
    with refused("use 4 sentences or more"):
        subset_sizes(3)


# --- The draw ------------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", ["uniform", "stratified"])


@KINDS
def test_same_seed_same_bytes(kind):
    """A seed names one split of type int8; another seed another."""
    labels = np.arange(1000) % 2
    first = split_corpus(labels, 3, kind)
    assert first.dtype == np.int8 and first.shape == (1000,)
    assert split_corpus(labels, 3, kind).tobytes() == first.tobytes()
    assert len({split_corpus(labels, seed, kind).tobytes() for seed in range(20)}) == 20


PINNED = {
    "uniform": [2, 3, 1, 2, 2, 1, 1, 2, 2, 1, 2, 3, 1, 1, 2, 1, 2, 1, 2, 1],
    "stratified": [3, 2, 1, 2, 2, 1, 1, 2, 2, 1, 2, 3, 1, 1, 2, 1, 2, 2, 1, 1],
}


def test_pinned_split():
    """The first sentences of seed 0: a change of the draw changes every result."""
    labels = np.arange(20) % 2
    assert split_corpus(labels, 0).tolist() == PINNED["uniform"]
    assert split_corpus(labels, 0, "stratified").tolist() == PINNED["stratified"]


@pytest.mark.parametrize("kind", ["Stratified", "by label", "", None])
def test_another_split_is_refused(kind, refused):
    """It would be the uniform one without a word."""
    with refused(f"split = {kind!r} is not offered; choose one of uniform, stratified"):
        split_corpus(np.array([0, 1] * 5), 0, kind)


def test_uniform_looks_at_no_label():
    """Under the uniform reading the labels do not enter."""
    one = split_corpus(np.zeros(500, dtype=np.int32), 1)
    other = split_corpus(np.arange(500, dtype=np.int32), 1)
    assert (one == other).all()


@KINDS
def test_every_sentence_is_as_likely_in_t1(kind):
    """Over 400 seeds each of 40 sentences is in T1 about 45 % of the time."""
    labels = np.arange(40) % 2
    share = np.mean([split_corpus(labels, seed, kind) == 1 for seed in range(400)], axis=0)
    assert abs(share - 0.45).max() < 0.1  # 4 standard errors
    halves = np.array([split_corpus(labels, seed, kind)[:2] for seed in range(400)])
    together = (halves[:, 0] == halves[:, 1]).mean()
    assert 0.25 < together < 0.55  # of neighbours: no block of one subset


# --- Stratified ----------------------------------------------------------------


def imbalance(labels, subset):
    """Greatest distance, in sentences, of a label's number from its share of a subset."""
    n = len(labels)
    sizes = sizes_of(subset)
    worst = 0
    for label in np.unique(labels):
        of_label = subset[labels == label]
        for number, size in enumerate(sizes, start=1):
            share = Fraction(int(len(of_label)) * size, n)
            worst = max(worst, abs(int((of_label == number).sum()) - share))
    return worst


@given(st.integers(5, 400), st.data())
@settings(max_examples=120)
def test_stratified_is_balanced_within_a_sentence(n, data):
    """Two labels in any order and any shares: each subset has its share, within one."""
    rare = data.draw(st.integers(1, n // 2))
    order = data.draw(st.randoms(use_true_random=False))
    labels = [0] * rare + [1] * (n - rare)
    order.shuffle(labels)
    labels = np.array(labels, dtype=np.int32)
    subset = split_corpus(labels, data.draw(st.integers(0, 10**6)), "stratified")
    assert sizes_of(subset) == subset_sizes(n)
    assert imbalance(labels, subset) <= 1


def test_a_uniform_split_is_caught():
    """The balance is no accident: a permutation does not have it, nor a split in order."""
    labels = np.arange(400) % 2
    worst = [imbalance(labels, split_corpus(labels, seed)) for seed in range(5)]
    assert max(worst) > 1
    in_order = np.repeat([1, 2, 3], subset_sizes(400)).astype(np.int8)
    assert imbalance(np.sort(labels), in_order) > 1


def test_stratified_of_mr_has_table_1():
    """5,331 and 5,331: half of every subset is positive, within a sentence."""
    labels = np.repeat([1, 0], 5331)
    subset = split_corpus(labels, 0, "stratified")
    assert sizes_of(subset) == (4797, 4798, 1067)
    assert imbalance(labels, subset) <= 1


@given(st.lists(st.integers(0, 6), min_size=5, max_size=120), st.integers(0, 99))
def test_stratified_with_several_labels(labels, seed):
    """Sizes hold; a label strays from its share by no more than half its rivals' rounding."""
    labels = np.array(labels, dtype=np.int32)
    subset = split_corpus(labels, seed, "stratified")
    assert sizes_of(subset) == subset_sizes(len(labels))
    for label, count in zip(*np.unique(labels, return_counts=True)):
        only = (labels == label).astype(np.int32)
        bound = 1 + len(np.unique(labels)) * Fraction(int(count), len(labels))
        assert imbalance(only, subset) <= bound


def test_stratified_within_a_sentence_for_several_labels():
    """Within two, for seven labels in 19 sentences; the comment in split_corpus says so."""
    worst = 0
    for seed in range(300):
        labels = np.random.RandomState(seed).randint(0, 7, 19)
        worst = max(worst, imbalance(labels, split_corpus(labels, seed, "stratified")))
    assert worst <= 2


# --- folds ------------------------------------------------------------------------


def of_sentences(n, part=None):
    """A corpus of `n` sentences of one word."""
    corpus = Corpus.from_texts(["film"] * n, [i % 2 for i in range(n)])
    return replace(corpus, part=part)


def test_folds_are_those_that_were_drawn_before():
    """The same seed gives the same bytes; another seed or corpus size gives others."""
    fold = folds(of_sentences(1000))
    assert fold.dtype == np.int8 and fold[:12].tolist() == FIRST_FOLDS
    assert hashlib.sha256(fold.tobytes()).hexdigest() == FOLDS_SHA256
    assert np.array_equal(fold, folds(of_sentences(1000), k=10, seed=0))
    assert not np.array_equal(fold, folds(of_sentences(1000), seed=1))


def test_each_sentence_draws_its_fold_with_equal_chances():
    """Sizes as of a multinomial draw: neither equal nor far from equal; labels are ignored."""
    sizes = np.bincount(folds(of_sentences(10_000), seed=3), minlength=10)
    assert len(sizes) == 10 and sizes.sum() == 10_000 and len(set(sizes)) > 1
    assert stats.chisquare(sizes).pvalue > 1e-4
    # A fold is drawn as others go before it: the first sentences are those of a shorter corpus.
    shorter, longer = (folds(of_sentences(n), seed=3) for n in (2000, 10_000))
    assert np.array_equal(shorter, longer[:2000])


def test_folds_are_refused_where_they_make_no_sense(refused):
    """With an official split, with an empty fold, with one fold or with 101."""
    with refused("official split", "use its parts"):
        folds(of_sentences(100, part=np.zeros(100, dtype=np.int8)))
    with refused("of 10 is empty with 9 sentences", "choose fewer folds"):
        folds(of_sentences(9))
    for k in (1, 101):
        with refused(f"{k} folds", "choose 2 to 100"):
            folds(of_sentences(100), k=k)
