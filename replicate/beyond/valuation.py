"""What a training sentence is worth, by the gradient of the output layer (beyond the paper).

For sentence z with features f, probabilities p and label y, the gradient of the loss by the
output layer's weights and biases is an outer product:

.. math::
    g_z = (p - e_y) \\otimes (f, 1).

All values here are made of such gradients, at the T1 model of one epoch or of every epoch.
Inner products factor, so no gradient is ever written out:
the product of two is (p - e_y).(p' - e_y') times (f.f' + 1).

Beside them stands the entropy of the probabilities, which needs no gradient.

Letters: n sentences, F features, C labels, E epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

__all__ = [
    "Look",
    "badge_order",
    "detection",
    "entropy",
    "influence",
    "k_centre_order",
    "score_of_order",
    "small_margin",
    "tracin",
]

Floats = NDArray[np.floating]

#: Added to the diagonal of the Hessian, as a share of its mean: it may be singular.
DAMPING = 0.01
#: Sentences whose distances are in memory at a time.
_AT_ONCE = 1024


@dataclass(frozen=True)
class Look:
    """What a network says of some sentences after an epoch.

    Attributes:
        features: (n, F), the input of the output layer.
        probabilities: (n, C).
    """

    features: Floats
    probabilities: Floats

    def errors(self, labels: NDArray[np.integer]) -> Floats:
        """(n, C): probabilities less the one-hot label, the gradient at the logits.

        At the label it is minus the sum of the others: a probability near 1 has lost the
        digits of what is missing to 1.
        """
        found, rows = np.array(self.probabilities, dtype=np.float64), np.arange(len(labels))
        found[rows, labels] = 0
        found[rows, labels] = -found.sum(axis=1)
        return found

    @property
    def inputs(self) -> Floats:
        """(n, F + 1): features and the constant of the bias."""
        ones = np.ones((len(self.features), 1))
        return np.hstack([np.asarray(self.features, dtype=np.float64), ones])


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """How unsure a network is of the label of each sentence.

    .. math::
        H = -\\sum_c p_c \\log p_c

    Args:
        probabilities: (n, C), of each label.

    Returns:
        (n,) float64, in nats: 0 where one label has all, log C where all have the same.

    Source:
        Lewis and Gale (1994) for uncertainty as a reason to label; Settles (2009) for entropy.

    Example:
        >>> entropy(np.array([[0.9, 0.1], [0.5, 0.5]])).round(3).tolist()
        [0.325, 0.693]
    """
    p, rest = _less_likely(probabilities)
    return -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1) - (1 - rest) * np.log1p(-rest)


def small_margin(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """How close the second label of each sentence is to the first.

    .. math::
        p_{(2)} - p_{(1)}

    Args:
        probabilities: (n, C), of each label.

    Returns:
        (n,) float64: -1 where one label has all, 0 where two share the highest.

    Source:
        Scheffer, Decomain and Wrobel (2001).

    Example:
        >>> small_margin(np.array([[0.75, 0.25], [0.5, 0.5]])).tolist()
        [-0.5, 0.0]
    """
    p, rest = _less_likely(probabilities)
    return np.asarray(p.max(axis=1) + rest - 1)


def _less_likely(probabilities):
    """Of all labels but the likeliest: (n, C) with 0 there, and (n,) their sum.

    A float32 near 1 has lost what is missing to 1; this sum has not.
    """
    p = np.array(probabilities, dtype=np.float64)
    p[np.arange(len(p)), p.argmax(axis=1)] = 0
    return p, p.sum(axis=1)


# --- with the labels of the sentences ------------------------------------------------------


def tracin(looks: Sequence[Look], labels: NDArray[np.integer]) -> Floats:
    """How much steps on a sentence lower the loss of all the sentences (TracIn, last layer).

    .. math::
        \\text{tracin}(z) = \\sum_{t=1}^{E} g_z^{(t)} \\cdot \\frac{1}{n} \\sum_{z'} g_{z'}^{(t)}

    The learning rate, the same at every epoch, is left out.

    Args:
        looks: one an epoch, of the n sentences.
        labels: (n,), their true labels.

    Returns:
        (n,) float64; the greatest helps most.

    Source:
        Pruthi et al. (2020), with a checkpoint an epoch and the output layer's weights.

    Example:
        >>> look = Look(np.array([[1.0], [1.0], [1.0]]), np.full((3, 2), 0.5))
        >>> tracin([look], np.array([0, 0, 1])).round(3).tolist()  # the third disagrees
        [0.333, 0.333, -0.333]
    """
    total = np.zeros(len(labels))
    for look in looks:
        errors, inputs = look.errors(labels), look.inputs
        mean = errors.T @ inputs / len(labels)  # (C, F + 1)
        total += ((errors @ mean) * inputs).sum(axis=1)
    return total


def influence(
    look: Look,
    labels: NDArray[np.integer],
    trained: Look,
    damping: float = DAMPING,
) -> Floats:
    """How much more weight on a sentence would lower the loss of all the sentences.

    .. math::
        \\text{influence}(z) = g_z^\\top (H + \\lambda I)^{-1} \\frac{1}{n} \\sum_{z'} g_{z'}

    with H the Hessian of the mean loss of the sentences that the network was trained on, by
    the output layer's weights, and lambda a share of its mean diagonal.

    Args:
        look: of the n sentences, after the last epoch.
        labels: (n,), their true labels.
        trained: of the sentences of T1, after the same epoch.
        damping: that share.

    Returns:
        (n,) float64; the greatest helps most.

    Source:
        Koh and Liang (2017), restricted to the last layer.

    Example:
        >>> look = Look(np.array([[1.0], [1.0], [1.0]]), np.full((3, 2), 0.5))
        >>> found = influence(look, np.array([0, 0, 1]), look)
        >>> bool(found[0] > 0 > found[2])
        True
    """
    hessian = _hessian(trained)
    hessian[np.diag_indices_from(hessian)] += damping * np.trace(hessian) / len(hessian)
    errors, inputs = look.errors(labels), look.inputs
    mean = errors.T @ inputs / len(labels)
    solved = np.linalg.solve(hessian, mean.ravel()).reshape(mean.shape)
    return np.asarray(((errors @ solved) * inputs).sum(axis=1))


def _hessian(look: Look) -> Floats:
    """(C (F + 1), C (F + 1)): of the mean cross entropy by the output layer's weights."""
    p, inputs = np.asarray(look.probabilities, dtype=np.float64), look.inputs
    labels, width = p.shape[1], inputs.shape[1]
    out = np.empty((labels, width, labels, width))
    for c in range(labels):
        for d in range(labels):
            weight = p[:, c] * ((c == d) - p[:, d])
            out[c, :, d, :] = (inputs * weight[:, None]).T @ inputs
    return out.reshape(labels * width, labels * width) / len(p)


# --- without them -------------------------------------------------------------------------


def k_centre_order(features: Floats, covered: Floats) -> NDArray[np.intp]:
    """Sentences in the order in which each is farthest from all before it (core-set).

    Args:
        features: (n, F), of the sentences to choose from.
        covered: (m, F), of the sentences that are there already.

    Returns:
        (n,) places; of equal distances the first comes first.

    Source:
        Sener and Savarese (2018), greedy k-centre.

    Example:
        >>> k_centre_order(np.array([[0.0], [4.0], [9.0]]), np.array([[1.0]])).tolist()
        [2, 1, 0]
    """
    features = np.asarray(features, dtype=np.float64)
    nearest = np.full(len(features), np.inf)
    for start in range(0, len(covered), _AT_ONCE):
        part = cdist(features, covered[start : start + _AT_ONCE], "sqeuclidean")
        nearest = np.minimum(nearest, part.min(axis=1))
    order = np.empty(len(features), dtype=np.intp)
    left = np.ones(len(features), dtype=bool)
    for i in range(len(features)):
        chosen = int(np.argmax(np.where(left, nearest, -1.0)))
        order[i], left[chosen] = chosen, False
        difference = features - features[chosen]
        nearest = np.minimum(nearest, np.einsum("nf,nf->n", difference, difference))
    return order


def badge_order(look: Look, random: np.random.RandomState) -> NDArray[np.intp]:
    """Sentences by uncertainty and diversity together: k-means++ on gradients (BADGE).

    The gradient is that of the output layer for the network's own label: long where the
    network is unsure, and of another direction for another kind of sentence.

    Args:
        look: of n sentences, after the last epoch.
        random: of the draws.

    Returns:
        (n,) places, in the order in which they are drawn.

    Source:
        Ash et al. (2020).

    Example:
        >>> look = Look(np.array([[1.0], [1.0], [5.0]]), np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]]))
        >>> int(badge_order(look, np.random.RandomState(0))[0])
        2
    """
    errors = look.errors(np.argmax(look.probabilities, axis=1))
    inputs = look.inputs
    length = (errors**2).sum(axis=1) * (inputs**2).sum(axis=1)
    n = len(errors)
    nearest = np.full(n, np.inf)
    left, order = np.ones(n, dtype=bool), np.empty(n, dtype=np.intp)
    for i in range(n):
        if i == 0:
            chosen = int(np.argmax(length))
        else:
            share = np.where(left, nearest, 0.0)
            if not share.sum():  # all that are left are like those drawn
                share = left.astype(np.float64)
            edges = np.cumsum(share)
            chosen = int(np.searchsorted(edges, random.random_sample() * edges[-1], side="right"))
        order[i], left[chosen] = chosen, False
        product = (errors @ errors[chosen]) * (inputs @ inputs[chosen])
        nearest = np.minimum(nearest, np.maximum(length + length[chosen] - 2 * product, 0.0))
    return order


def score_of_order(order: NDArray[np.integer]) -> Floats:
    """(n,) scores whose descending order is a given one.

    Example:
        >>> score_of_order(np.array([2, 0, 1])).tolist()
        [1.0, 0.0, 2.0]
    """
    scores = np.empty(len(order))
    scores[order] = np.arange(len(order), 0, -1) - 1.0
    return scores


# --- wrong labels ---------------------------------------------------------------------------


def detection(
    scores: Floats, wrong: NDArray[np.bool_], shares: Sequence[float]
) -> tuple[float, list[float]]:
    """How well a high score finds wrong labels.

    Args:
        scores: (n,).
        wrong: (n,), which labels were changed.
        shares: of the n sentences that are looked at, those of the highest scores.

    Returns:
        The area under the ROC curve (0.5 by chance, ties count half), and the share of all
        wrong labels that is found in each share of the sentences.

    Example:
        >>> detection(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, False, False]), [0.25])
        (1.0, [1.0])
    """
    n, m = len(scores), int(wrong.sum())
    ranks = rankdata(scores)
    area = (ranks[wrong].sum() - m * (m + 1) / 2) / (m * (n - m))
    order = np.argsort(-np.asarray(scores), kind="stable")
    found = np.cumsum(wrong[order]) / m
    return float(area), [float(found[max(1, round(share * n)) - 1]) for share in shares]
