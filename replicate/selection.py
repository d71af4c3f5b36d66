"""From sentence scores to arms of equal size (section 4.3.3 and 4.4)."""

import numpy as np

from .config import generator
from .io.errors import InputError

__all__ = ["arm_sentences", "budget", "median_halves", "select_top", "unscored_arms"]


def budget(n, share=0.5):
    """How many of `n` sentences a share is: the one rule for all arms.

    Raises:
        InputError: when that is none, or the share is not above 0 up to 1.

    Example:
        >>> budget(4798), budget(5), budget(10, 0.25)
        (2399, 2, 2)
    """
    if not 0 < share <= 1:
        raise InputError(f"a share of {share} is not above 0 up to 1; choose one")
    # A share like 0.1 * 30 must not fall below a whole number by rounding.
    size = int(n * share + 1e-9)
    if size < 1:
        raise InputError(f"a share of {share} of {n} sentences is none; take more")
    return size


def select_top(scores, size):
    """Indices of the `size` highest scores, by (-score, index): the one tie rule.

    Returns:
        numpy.ndarray: (size,) int64, best first.

    Raises:
        ValueError: for a NaN score, or a size beyond the scores.

    Example:
        >>> select_top(np.array([1.0, 3.0, 3.0]), 2).tolist()
        [1, 2]
    """
    if np.isnan(scores).any():
        raise ValueError("a NaN score has no rank; score every sentence")
    if not 0 <= size <= len(scores):
        raise ValueError(f"{size} of {len(scores)} sentences cannot be selected")
    return np.argsort(-scores, kind="stable")[:size]


def median_halves(scores, sentences):
    """T2h above the median of A_S, T2l below, of one size (section 4.3.3).

    Sentences are ordered by (-A_S, index); the first half is T2h, the last
    T2l.  Of an odd number the one in the middle, the median, is in neither.

    Args:
        scores (numpy.ndarray): (n,) A_S of the sentences of T2.
        sentences (numpy.ndarray): (n,) their indices, ascending.

    Returns:
        tuple: T2h and T2l, sorted sentence indices of equal number.

    Example:
        >>> h, l = median_halves(np.array([0.1, 0.9, 0.5, 0.5]), np.array([10, 11, 12, 13]))
        >>> h.tolist(), l.tolist()
        ([11, 12], [10, 13])
    """
    order = select_top(scores, len(scores))
    size = budget(len(scores))
    return np.sort(sentences[order[:size]]), np.sort(sentences[order[len(scores) - size :]])


def arm_sentences(subset, h, l, seed):
    """Training sentences of the seven arms (section 4.4).

    Args:
        subset (numpy.ndarray): (N,) int8 of 1, 2, 3.
        h, l (numpy.ndarray): T2h and T2l.
        seed (int): names the random sample of T2.

    Returns:
        dict: arm -> sorted sentence indices, int64.
    """
    t1 = np.flatnonzero(subset == 1)
    arms = {
        "T1": t1,
        "T2h": np.sort(h).astype(np.int64),
        "T2l": np.sort(l).astype(np.int64),
        "T1andT2h": np.sort(np.concatenate([t1, h])),
        "T1andT2l": np.sort(np.concatenate([t1, l])),
    }
    return {**arms, **unscored_arms(subset, seed)}


def unscored_arms(subset, seed):
    """Training sentences of the arms that need no score: all of T2, and a random half.

    Args:
        subset (numpy.ndarray): (N,) int8 of 1, 2, 3.
        seed (int): names the random sample of T2.

    Returns:
        dict: ``T1andT2`` and ``T1andT2ran`` -> sorted sentence indices, int64.

    Example:
        >>> {k: v.tolist() for k, v in unscored_arms(np.array([1, 2, 2, 3]), 0).items()}
        {'T1andT2': [0, 1, 2], 'T1andT2ran': [0, 2]}
    """
    t1, t2 = np.flatnonzero(subset == 1), np.flatnonzero(subset == 2)
    ran = generator("random arm", seed).permutation(t2)[: budget(len(t2))]
    return {
        "T1andT2": np.sort(np.concatenate([t1, t2])),
        "T1andT2ran": np.sort(np.concatenate([t1, ran])),
    }
