"""Values of training sentences: against gradients written out, brute force, and by hand."""

import numpy as np
import pytest

from replicate.beyond import valuation
from replicate.beyond.valuation import (
    Look,
    badge_order,
    detection,
    influence,
    k_centre_order,
    score_of_order,
    tracin,
)
from replicate.fast.compat import F, chainer

RANDOM = np.random.RandomState(0)
N, WIDTH, LABELS = 14, 5, 3


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def made(seed, n=N):
    """Features, labels, and an output layer, in float64."""
    random = np.random.RandomState(seed)
    features = random.normal(size=(n, WIDTH))
    weight = random.normal(size=(LABELS, WIDTH + 1))
    return features, random.randint(0, LABELS, n), weight


def look_of(features, weight):
    inputs = np.hstack([features, np.ones((len(features), 1))])
    return Look(features, softmax(inputs @ weight.T))


def gradients(features, labels, weight):
    """(n, C (F + 1)) of each sentence's loss, by Chainer."""
    rows = []
    for feature, label in zip(features, labels):
        parameter = chainer.Parameter(weight.copy())
        inputs = np.append(feature, 1.0)[None]
        loss = F.softmax_cross_entropy(F.linear(inputs, parameter), np.array([label]))
        loss.backward()
        rows.append(parameter.grad.ravel())
    return np.array(rows)


# --- gradients --------------------------------------------------------------------------


def test_tracin_is_the_sum_of_inner_products():
    """Gradients of Chainer, written out, at three epochs."""
    features, labels, _ = made(1)
    weights = [made(seed)[2] for seed in (1, 2, 3)]
    wanted = np.zeros(N)
    for weight in weights:
        rows = gradients(features, labels, weight)
        wanted += rows @ rows.mean(axis=0)
    found = tracin([look_of(features, weight) for weight in weights], labels)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    with pytest.raises(AssertionError):  # twin: a label that is another
        other = labels.copy()
        other[0] = (other[0] + 1) % LABELS
        other_found = tracin([look_of(features, weight) for weight in weights], other)
        np.testing.assert_allclose(other_found, wanted, rtol=1e-3)


def test_influence_by_a_hessian_of_finite_differences():
    """The inverse of the Hessian of T1's mean loss, taken numerically."""
    features, labels, weight = made(4)
    trained, truth, _ = made(5, n=40)

    def mean_gradient(flat):
        return gradients(trained, truth, flat.reshape(weight.shape)).mean(axis=0)

    flat, step = weight.ravel(), 1e-5
    hessian = np.array(
        [
            (mean_gradient(flat + step * unit) - mean_gradient(flat - step * unit)) / (2 * step)
            for unit in np.eye(flat.size)
        ]
    )
    damping = 0.01 * np.trace(hessian) / len(hessian)
    rows = gradients(features, labels, weight)
    wanted = rows @ np.linalg.solve(hessian + damping * np.eye(len(hessian)), rows.mean(axis=0))
    found = influence(look_of(features, weight), labels, look_of(trained, weight))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)


def test_influence_tells_what_more_weight_does():
    """Weight on the most helpful sentence lowers the loss of all; on the most harmful, raises it.

    The output layer is trained to its optimum on T1, and again with a little weight more.
    """
    features, labels, weight = made(6, n=30)
    trained, truth, _ = made(7, n=60)

    def optimum(extra=None):
        inputs = np.hstack([trained, np.ones((60, 1))])
        own = np.append(features[extra], 1.0) if extra is not None else None
        W = np.zeros_like(weight)
        for _ in range(4000):
            p = softmax(inputs @ W.T)
            p[np.arange(60), truth] -= 1
            g = p.T @ inputs / 60 + 1e-3 * W
            if own is not None:
                q = softmax((W @ own)[None])[0]
                q[labels[extra]] -= 1
                g += 0.005 * np.outer(q, own)
            W -= 0.5 * g
        return W

    def loss(W):
        p = softmax(np.hstack([features, np.ones((30, 1))]) @ W.T)
        return -np.log(p[np.arange(30), labels]).mean()

    W = optimum()
    values = influence(look_of(features, W), labels, look_of(trained, W), damping=1e-6)
    before = loss(W)
    best, worst = int(np.argmax(values)), int(np.argmin(values))
    assert loss(optimum(best)) < before < loss(optimum(worst))
    assert values[best] > 0 > values[worst]


# --- orders -----------------------------------------------------------------------------


def test_k_centre_is_greedy():
    """Each is the farthest from T1 and all before it, by brute force; blocks change nothing."""
    features = RANDOM.normal(size=(25, 3))
    covered = RANDOM.normal(size=(9, 3))
    order = k_centre_order(features, covered)
    assert sorted(order) == list(range(25))
    there = list(covered)
    left = list(range(25))
    for place in order:
        distance = [min(((features[i] - c) ** 2).sum() for c in there) for i in left]
        assert left[int(np.argmax(distance))] == place
        there.append(features[place])
        left.remove(place)


def test_k_centre_in_blocks(monkeypatch):
    features, covered = RANDOM.normal(size=(12, 3)), RANDOM.normal(size=(7, 3))
    whole = k_centre_order(features, covered).tolist()
    monkeypatch.setattr(valuation, "_AT_ONCE", 2)
    assert k_centre_order(features, covered).tolist() == whole


def test_badge_draws_as_k_means_does():
    """The same draws as with gradients written out; the longest gradient comes first."""
    features, _, weight = made(8)
    look = look_of(features, weight)
    own = np.argmax(look.probabilities, axis=1)
    rows = gradients(features, own, weight)
    random, order = np.random.RandomState(3), [int(np.argmax((rows**2).sum(axis=1)))]
    while len(order) < N:
        nearest = ((rows[:, None] - rows[order]) ** 2).sum(axis=2).min(axis=1)
        nearest[order] = 0
        edges = np.cumsum(nearest)
        order.append(int(np.searchsorted(edges, random.random_sample() * edges[-1], side="right")))
    assert badge_order(look, np.random.RandomState(3)).tolist() == order
    assert badge_order(look, np.random.RandomState(4)).tolist() != order


def test_badge_of_sentences_that_are_alike():
    """Copies of one sentence come in some order, each once."""
    look = Look(np.ones((6, 2)), np.tile([0.6, 0.4], (6, 1)))
    assert sorted(badge_order(look, np.random.RandomState(0))) == list(range(6))


def test_an_order_and_its_scores():
    order = np.random.RandomState(1).permutation(20)
    assert np.argsort(-score_of_order(order), kind="stable").tolist() == order.tolist()


# --- wrong labels ------------------------------------------------------------------------


def test_detection_by_hand():
    scores = np.array([5.0, 4.0, 3.0, 2.0])
    area, found = detection(scores, np.array([True, False, True, False]), [0.25, 0.5, 0.75, 1.0])
    assert area == 0.75 and found == [0.5, 0.5, 1.0, 1.0]
    assert detection(-scores, np.array([True, False, True, False]), [])[0] == 0.25
    assert detection(np.zeros(4), np.array([True, False, True, False]), [])[0] == 0.5


def test_noise_detects_nothing_and_labels_do():
    """Random scores find wrong labels by chance; the size of the error finds most."""
    features, _, weight = made(9, n=600)
    look = look_of(features, weight)
    labels = np.argmax(look.probabilities, axis=1)
    wrong = np.arange(600) % 10 == 0
    labels[wrong] = (labels[wrong] + 1) % LABELS
    chance, _ = detection(np.random.RandomState(0).rand(600), wrong, [0.1])
    assert abs(chance - 0.5) < 0.1
    size = np.sqrt((look.errors(labels) ** 2).sum(axis=1))
    area, [tenth] = detection(size, wrong, [0.1])
    assert area > 0.95 and tenth > 0.7
    reversed_area, _ = detection(-size, wrong, [0.1])
    assert reversed_area == pytest.approx(1 - area)


@pytest.mark.parametrize("exponent", [2, 6, 9, 14, 20])
def test_scores_of_confident_sentences_keep_their_digits(exponent):
    """What is missing to 1 is the sum of the others; 1 - p of float32 is 0 from 1e-8 on."""
    rest = 10.0**-exponent
    p = np.array([[1 - rest, rest / 4, 3 * rest / 4]], dtype=np.float32)
    error = Look(np.zeros((1, 2)), p).errors(np.array([0]))
    np.testing.assert_allclose(error, [[-rest, rest / 4, 3 * rest / 4]], rtol=1e-6)
    others = np.array([rest / 4, 3 * rest / 4])
    wanted = -(others * np.log(others)).sum() - (1 - rest) * np.log1p(-rest)
    assert valuation.entropy(p) == pytest.approx(wanted, rel=1e-6)
    assert valuation.small_margin(p)[0] + 1 == pytest.approx(1.75 * rest, rel=1e-6, abs=2.3e-16)
    # Twin: as float32 gives it.
    assert exponent < 9 or p[0, 0] - 1 == 0
