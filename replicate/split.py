"""The corpus divided 4.5 : 4.5 : 1 into T1, T2 and T3 (section 4.2)."""

import numpy as np

from .config import PAPER, generator
from .io.errors import InputError

__all__ = ["split_corpus", "subset_sizes"]


def subset_sizes(n):
    """Sizes of T1, T2, T3 of `n` sentences: Table 1 for 10,662.

    T1 is floor(0.45 n), T1 and T2 together floor(0.9 n), T3 the rest.  The
    shares are counted in whole hundredths, since 0.9 n in floating point can
    fall below a whole number.

    Raises:
        InputError: when a subset would be too small: T1 and T3 need a
            sentence, T2 two.

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
            f"a corpus of {n} sentences cannot be split 4.5 : 4.5 : 1; 4 are the least"
        )
    return t1, t2, t3


def split_corpus(labels, seed, split="uniform"):
    """Assign every sentence to T1, T2 or T3.

    Args:
        labels (numpy.ndarray): (N,) int32.
        seed (int): the run's seed.
        split (str): ``"uniform"``, a permutation; or ``"stratified"``: each
            label in like shares, sizes still those of :func:`subset_sizes`.

    Returns:
        numpy.ndarray: (N,) int8 of 1, 2, 3.

    Example:
        >>> subset = split_corpus(np.zeros(10662, dtype=np.int32), seed=0)
        >>> np.bincount(subset)[1:].tolist()
        [4797, 4798, 1067]
    """
    n = len(labels)
    t1, t2, _ = subset_sizes(n)
    order = generator("split", seed).permutation(n)
    if split == "stratified":
        # Each label is spread evenly over (0, 1); cutting the common order gives
        # every subset its share of each of two labels to within a sentence, and
        # of more labels to within two.
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
