"""Division of a corpus into T1, T2 and T3 by 4.5 : 4.5 : 1 (section 4.2)."""

import numpy as np
from numpy.typing import NDArray

from .config import PAPER, generator
from .io.errors import InputError

__all__ = ["split_corpus", "subset_sizes"]


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
        InputError: if the corpus is too small.

    Example:
        >>> subset = split_corpus(np.zeros(10662, dtype=np.int32), seed=0)
        >>> np.bincount(subset)[1:].tolist()
        [4797, 4798, 1067]
    """
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
