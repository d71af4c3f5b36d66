"""From sentence scores to arms of equal size (sections 4.3.3 and 4.4)."""

import numpy as np
from numpy.typing import NDArray

from .config import generator
from .io.errors import InputError

__all__ = ["arm_sentences", "budget", "median_halves", "select_top", "unscored_arms"]


def budget(n: int, share: float = 0.5) -> int:
    """Number of sentences in a share of `n`; every arm uses this rule.

    Raises:
        InputError: if the share is outside (0, 1], or the number is 0.

    Example:
        >>> budget(4798), budget(5), budget(10, 0.25)
        (2399, 2, 2)
    """
    if not 0 < share <= 1:
        raise InputError(
            f"a share of {share} is not in the range above 0 and up to 1; choose one that is"
        )
    # Rounding must not take a product such as 0.1 * 30 below a whole number.
    size = int(n * share + 1e-9)
    if size < 1:
        raise InputError(
            f"a share of {share} of {n} sentences is less than one sentence; take more"
        )
    return size


def select_top(scores: NDArray[np.floating], size: int) -> NDArray[np.int64]:
    """Indices of the `size` highest scores; of equal scores the lower index comes first.

    Args:
        scores (numpy.ndarray): (N,) without NaN.
        size (int): how many to select.

    Returns:
        numpy.ndarray: (size,) int64, highest score first.

    Raises:
        ValueError: if a score is NaN, or `size` exceeds the number of scores.

    Example:
        >>> select_top(np.array([1.0, 3.0, 3.0]), 2).tolist()
        [1, 2]
    """
    if np.isnan(scores).any():
        raise ValueError("a NaN score cannot be ranked; give every sentence a score")
    if not 0 <= size <= len(scores):
        raise ValueError(f"{size} of {len(scores)} sentences cannot be selected")
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")[:size]


def median_halves(
    scores: NDArray[np.floating], sentences: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """T2h, the sentences above the median of A_S, and T2l, those below it (section 4.3.3).

    Sentences are ordered by descending A_S, then by index.  T2h is the first
    half and T2l the last.  If their number is odd, the sentence in the middle
    (the median) belongs to neither.

    Args:
        scores (numpy.ndarray): (n,) A_S of the sentences of T2.
        sentences (numpy.ndarray): (n,) indices of these sentences, ascending.

    Returns:
        tuple: T2h and T2l, sorted sentence indices; both have the same size.

    Raises:
        InputError: if there are fewer than two sentences.
        ValueError: if a score is NaN.

    Example:
        >>> h, l = median_halves(np.array([0.1, 0.9, 0.5, 0.5]), np.array([10, 11, 12, 13]))
        >>> h.tolist(), l.tolist()
        ([11, 12], [10, 13])
    """
    order = select_top(scores, len(scores))
    size = budget(len(scores))
    return np.sort(sentences[order[:size]]), np.sort(sentences[order[len(scores) - size :]])


def arm_sentences(
    subset: NDArray[np.integer], h: NDArray[np.integer], l: NDArray[np.integer], seed: int
) -> dict[str, NDArray[np.int64]]:
    """Training sentences of the seven arms (section 4.4).

    Args:
        subset (numpy.ndarray): (N,) int8 with values 1, 2 and 3.
        h, l (numpy.ndarray): T2h and T2l.
        seed (int): seed of the random sample of T2.

    Returns:
        dict: arm -> sorted sentence indices, int64.

    Example:
        >>> arms = arm_sentences(np.array([1, 2, 2, 3]), np.array([2]), np.array([1]), seed=0)
        >>> arms["T2h"].tolist(), arms["T1andT2h"].tolist()
        ([2], [0, 2])
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


def unscored_arms(subset: NDArray[np.integer], seed: int) -> dict[str, NDArray[np.int64]]:
    """Training sentences of the two arms that need no score: T1 with all of T2, or with a random half.

    Args:
        subset (numpy.ndarray): (N,) int8 with values 1, 2 and 3.
        seed (int): seed of the random sample of T2.

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
