"""Division of a corpus into T1, T2 and T3 by 4.5 : 4.5 : 1 (section 4.2), and into folds."""

import numpy as np
from numpy.typing import NDArray

from .config import PAPER, Config, generator
from .corpus import Corpus
from .io.errors import InputError

__all__ = ["folds", "split_corpus", "subset_sizes"]


def subset_sizes(n: int) -> tuple[int, int, int]:
    """Sizes of T1, T2 and T3 for `n` sentences (Table 1: n = 10,662).

    T1 has floor(0.45 n) sentences, T1 and T2 together have floor(0.9 n), and
    T3 has the rest.  The calculation uses whole hundredths, because 0.9 n in
    floating point can fall below a whole number.

    Raises:
        InputError: if a subset is too small: T1 and T3 need one sentence each, T2 needs two.

    Example:
        >>> subset_sizes(10662)
        (4797, 4798, 1067)
    """
    first, second, _ = (round(100 * share) for share in PAPER["shares"])
    t1 = first * n // 100
    t2 = (first + second) * n // 100 - t1
    t3 = n - t1 - t2
    if t1 < 1 or t2 < 2 or t3 < 1:
        raise InputError(
            f"a corpus of {n} sentences cannot be split 4.5 : 4.5 : 1; use 4 sentences or more"
        )
    return t1, t2, t3


def split_corpus(
    labels: NDArray[np.integer], seed: int, split: str = "uniform"
) -> NDArray[np.int8]:
    """Assign every sentence to T1, T2 or T3.

    Args:
        labels (numpy.ndarray): (N,) int32.
        seed (int): the run's seed.
        split (str): ``"uniform"``: by a random permutation; ``"stratified"``:
            each label has nearly the same share of every subset.  The sizes
            are those of :func:`subset_sizes` in both cases.

    Returns:
        numpy.ndarray: (N,) int8 with values 1, 2 and 3.

    Raises:
        InputError: if the corpus is too small, or for another `split`.

    Example:
        >>> subset = split_corpus(np.zeros(10662, dtype=np.int32), seed=0)
        >>> np.bincount(subset)[1:].tolist()
        [4797, 4798, 1067]
    """
    Config(split=split)  # refuses any other reading
    n = len(labels)
    t1, t2, _ = subset_sizes(n)
    order = generator("split", seed).permutation(n)
    if split == "stratified":
        # The sentences of each label are spread evenly over (0, 1).  Cutting the
        # common order gives every subset its share of each label, to within one
        # sentence with two labels and two sentences with more.
        place = np.empty(n)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        order = np.lexsort((rank, place))
    subset = np.empty(n, dtype=np.int8)
    subset[order[:t1]] = 1
    subset[order[t1 : t1 + t2]] = 2
    subset[order[t1 + t2 :]] = 3
    return subset


def folds(corpus: Corpus, k: int = 10, seed: int = 0) -> NDArray[np.int8]:
    """Assign every sentence to one of `k` folds, for a corpus without an official split.

    Each sentence draws its fold alone, with equal chances, as in Kim (2014): the sizes of
    the folds differ by chance.  His own draws are not known.

    Args:
        corpus (Corpus): N sentences.
        k (int): number of folds, 2 to 100.
        seed (int): of the draw.

    Returns:
        numpy.ndarray: (N,) int8 with values 0 to k - 1.

    Raises:
        InputError: for a corpus with an official split, another `k`, or so few
            sentences that a fold is empty.

    Example:
        >>> corpus = Corpus.from_texts(["good film", "bad film", "a film"] * 4, [1, 0, 1] * 4)
        >>> folds(corpus, k=3).tolist()
        [2, 0, 0, 1, 0, 0, 1, 2, 1, 1, 2, 1]

    Source:
        Kim (2014), process_data.py.
    """
    if corpus.part is not None:
        raise InputError("the corpus has an official split, so no folds are drawn; use its parts")
    if not 2 <= k <= 100:
        raise InputError(f"{k} folds are not offered; choose 2 to 100")
    fold = generator("folds", seed).randint(0, k, size=len(corpus)).astype(np.int8)
    empty = np.setdiff1d(np.arange(k), fold)
    if len(empty):
        raise InputError(
            f"fold {empty[0]} of {k} is empty with {len(corpus)} sentences; choose fewer folds"
        )
    return fold
