"""Attributions, deletion and leave-one-out restated sentence by sentence; noise must not pass."""

import numpy as np
import pytest
from scipy import stats

from replicate.beyond import faithful
from replicate.config import Config, generator
from replicate.fast.compat import chainer
from replicate.model import TextCNN, trained_model
from replicate.saliency import classify, flat_batch, word_saliency

RANDOM = np.random.RandomState(0)
LENGTHS = np.array([1, 2, 3, 9, 5, 14, 1, 10])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = RANDOM.randint(0, 20, OFFSETS[-1]).astype(np.int32)
VECTORS = np.concatenate([np.zeros((1, 6)), RANDOM.uniform(-1, 1, (20, 6))]).astype(np.float32)
DELETION = pytest.mark.parametrize("deletion", faithful.DELETIONS)


def network(labels=2, **readings):
    readings = {"n_filters": 4, **readings}
    model = TextCNN(VECTORS, labels, Config(**readings), 0)
    random = np.random.RandomState(1)
    for conv in model.convolutions:
        conv.b.array[:] = random.uniform(-0.3, 0.3, len(conv.b.array))
    model.fc.W.array[...] *= 3
    return model


def drawn(name="made up"):
    return generator(name, 0)


def probability(model, tokens, label):
    """p of a label for one sentence, tokens -1 being zero vectors."""
    tokens = np.array(tokens, dtype=np.int32)
    found = classify(model, flat_batch(model, tokens, np.array([0, len(tokens)])))
    return float(found.probabilities[0, label])


def own_label(model, tokens):
    offsets = np.array([0, len(tokens)])
    return int(classify(model, flat_batch(model, np.array(tokens), offsets)).predicted[0])


def without(tokens, gone, deletion):
    if deletion == "zero":
        return [-1 if i in gone else t for i, t in enumerate(tokens)]
    return [t for i, t in enumerate(tokens) if i not in gone] or [-1]


# --- attributions ------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("height", [3, (2, 4)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_eq_6_is_the_l1_norm_of_the_log_odds(activation, height, labels):
    """wa = (1 - p_R) |d log odds| / D, with any number of labels."""
    model = network(labels, activation=activation, filter_height=height)
    batch = flat_batch(model, TOKENS, OFFSETS)
    seen = word_saliency(model, batch)
    x = VECTORS[TOKENS + 1]
    gradient = faithful.occurrence_gradient(model, x, OFFSETS, seen.predicted)
    wanted = np.repeat(seen.uncertainty, LENGTHS) * np.abs(gradient).mean(axis=1)
    np.testing.assert_allclose(seen.token_saliency, wanted, rtol=1e-4, atol=1e-8)
    # The logit alone is another target.
    logit = faithful.occurrence_gradient(model, x, OFFSETS, seen.predicted, "logit")
    assert not np.allclose(logit, gradient)


def test_gradients_by_differences():
    """Of the log odds and of the logit, at some coordinates of a smooth network."""
    model = network(3, activation="tanh")
    x = VECTORS[TOKENS + 1]
    own = classify(model, flat_batch(model, TOKENS, OFFSETS)).predicted

    def value(x, target):
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            z = faithful._logits(model, x.astype(np.float32), OFFSETS).array.astype(np.float64)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        rows = np.arange(len(own)), own
        return (np.log(p[rows] / (1 - p[rows])) if target == "odds" else z[rows]).sum()

    for target in ("odds", "logit"):
        found = faithful.occurrence_gradient(model, x, OFFSETS, own, target)
        for i, j in ((0, 0), (7, 3), (30, 5), (44, 1)):
            step = np.zeros_like(x)
            step[i, j] = 1e-2
            by_difference = (value(x + step, target) - value(x - step, target)) / 2e-2
            assert found[i, j] == pytest.approx(by_difference, rel=2e-2, abs=2e-3)


def test_integrated_gradients_add_up():
    """To the log odds of the sentence less those of zeros; the more steps, the nearer."""
    model = network()
    x = VECTORS[TOKENS + 1]
    own = classify(model, flat_batch(model, TOKENS, OFFSETS)).predicted
    zeros = np.full(len(TOKENS), -1, dtype=np.int32)

    def odds(tokens):
        p = classify(model, flat_batch(model, tokens, OFFSETS)).probabilities
        p = p[np.arange(len(own)), own].astype(np.float64)
        return np.log(p / (1 - p))

    wanted, far = odds(TOKENS) - odds(zeros), []
    for steps in (2, 200):
        found = faithful.integrated_gradients(model, x, OFFSETS, own, steps)
        far.append(np.abs(np.add.reduceat(found, OFFSETS[:-1]) - wanted).max())
    # One step is the gradient half way.
    half = (faithful.occurrence_gradient(model, x / 2, OFFSETS, own) * x).sum(axis=1)
    found = faithful.integrated_gradients(model, x, OFFSETS, own, 1)
    np.testing.assert_allclose(found, half, rtol=1e-5, atol=1e-6)
    assert far[1] < 0.02 * np.abs(wanted).max() and far[1] < far[0]


def test_every_method_is_there():
    """By name, one finite number an occurrence; norms are norms; the random order is drawn."""
    model = network()
    found = faithful.attributions(model, TOKENS, OFFSETS, drawn())
    assert tuple(found) == faithful.METHODS
    own = classify(model, flat_batch(model, TOKENS, OFFSETS)).predicted
    x = VECTORS[TOKENS + 1]
    of_logit = faithful.occurrence_gradient(model, x, OFFSETS, own, "logit")
    of_odds = faithful.occurrence_gradient(model, x, OFFSETS, own)
    for name, wanted in {
        "logit_l1": np.abs(of_logit).sum(axis=1),
        "logit_l2": np.linalg.norm(of_logit, axis=1),
        "odds_l2": np.linalg.norm(of_odds, axis=1),
        "gradient_x_input": (of_odds * x).sum(axis=1),
        "integrated_gradients": faithful.integrated_gradients(model, x, OFFSETS, own),
        "random": drawn().random_sample(len(TOKENS)),
    }.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-7)


# --- deletion ----------------------------------------------------------------------------


@pytest.mark.parametrize("share, wanted", [(0.01, 1), (0.1, 1), (0.2, 2), (0.5, 5), (0.11, 2)])
def test_the_top_is_rounded_up(share, wanted):
    top = faithful.top_words(np.arange(10.0), np.array([0, 10]), share, drawn())
    assert np.flatnonzero(top).tolist() == list(range(10 - wanted, 10))
    # 0.07 times 100 is a little more than 7 in floating point.
    top = faithful.top_words(np.arange(100.0), np.array([0, 100]), 0.07, drawn())
    assert top.sum() == 7 < np.ceil(0.07 * 100)


def test_equal_scores_are_drawn():
    """Not the first words of the sentence: each as often, and others with another draw."""
    random, offsets = drawn(), np.array([0, 6])
    tops = [faithful.top_words(np.zeros(6), offsets, 0.3, random) for _ in range(600)]
    assert {top.sum() for top in tops} == {2}
    assert np.all(np.abs(np.sum(tops, axis=0) - 200) < 60)


@pytest.mark.parametrize("deletion", ["Zero", "remove", ""])
def test_another_deletion_is_refused(deletion):
    with pytest.raises(ValueError, match="choose one of zero, removal"):
        faithful.deleted(TOKENS, OFFSETS, TOKENS < 0, deletion)


@DELETION
def test_deletion_is_that_of_each_sentence(deletion):
    """Both scores, restated one sentence, one share and one word set at a time."""
    model = network()
    scores = np.random.RandomState(3).permutation(len(TOKENS)).astype(float)  # no two equal
    found = faithful.deletion_scores(model, TOKENS, OFFSETS, scores, drawn(), deletion)
    for s in range(len(LENGTHS)):
        part = slice(OFFSETS[s], OFFSETS[s + 1])
        sentence, order = TOKENS[part].tolist(), np.argsort(-scores[part])
        label, fall = own_label(model, sentence), [[], []]
        whole = probability(model, sentence, label)
        for share in faithful.BINS:
            k = int(np.ceil(round(share * len(sentence), 9)))
            top, rest = set(order[:k].tolist()), set(order[k:].tolist())
            for which, gone in enumerate((top, rest)):
                left = without(sentence, gone, deletion)
                fall[which].append(whole - probability(model, left, label))
        for which in (0, 1):
            assert found[which][s] == pytest.approx(np.mean(fall[which]), abs=1e-6)


@DELETION
def test_leave_one_out_is_that_of_each_word(deletion, monkeypatch):
    """Restated word by word, whatever is classified at once."""
    model = network()
    found = faithful.leave_one_out(model, TOKENS, OFFSETS, deletion)
    for s in range(len(LENGTHS)):
        sentence = TOKENS[OFFSETS[s] : OFFSETS[s + 1]].tolist()
        label = own_label(model, sentence)
        whole = probability(model, sentence, label)
        for i in range(len(sentence)):
            wanted = whole - probability(model, without(sentence, {i}, deletion), label)
            assert found[OFFSETS[s] + i] == pytest.approx(wanted, abs=1e-6)
    monkeypatch.setattr(faithful, "_AT_ONCE", 90)
    again = faithful.leave_one_out(model, TOKENS, OFFSETS, deletion)
    np.testing.assert_allclose(again, found, atol=1e-6)


def test_what_is_deleted_by_hand():
    """The last word of the middle sentence is the last that it has: a zero vector stays."""
    tokens, offsets = np.array([3, 4, 5, 6]), np.array([0, 2, 3, 4])
    gone = np.array([True, False, True, False])
    zero = faithful.deleted(tokens, offsets, gone, "zero")
    assert [a.tolist() for a in zero] == [[-1, 4, -1, 6], [0, 2, 3, 4]]
    removal = faithful.deleted(tokens, offsets, gone, "removal")
    assert [a.tolist() for a in removal] == [[4, -1, 6], [0, 1, 2, 3]]


# --- agreement ---------------------------------------------------------------------------


def test_correlation_is_scipy_s():
    """Within each sentence, with ties; none of a sentence of two words or of equal scores."""
    random = np.random.RandomState(4)
    one, other = random.randint(0, 4, (2, len(TOKENS))).astype(float)
    other[OFFSETS[4] : OFFSETS[5]] = 1
    found = faithful.correlation_within(one, other, OFFSETS)
    for s, length in enumerate(LENGTHS):
        part = slice(OFFSETS[s], OFFSETS[s + 1])
        if length < 3 or s == 4:
            assert np.isnan(found[s])
        else:
            assert found[s] == pytest.approx(stats.spearmanr(one[part], other[part])[0])


@pytest.fixture(scope="module")
def learnt(recorded_run):
    """A trained network, sentences of T1, and all attributions of their words."""
    model = trained_model(recorded_run, 0)
    tokens, offsets = recorded_run.corpus.take(recorded_run.split(0)[0])
    return model, tokens, offsets, faithful.attributions(model, tokens, offsets, drawn())


@pytest.mark.parametrize("deletion", faithful.DELETIONS)
def test_noise_is_not_faithful(learnt, deletion):
    """Twin: words in random order are found to matter less; in reverse order, least."""
    model, tokens, offsets, found = learnt
    effect = faithful.leave_one_out(model, tokens, offsets, deletion)
    comprehensive, sufficient, agree = {}, {}, {}
    tried = {**found, "oracle": effect, "reverse": -effect}
    for name, scores in tried.items():
        one, other = faithful.deletion_scores(model, tokens, offsets, scores, drawn(), deletion)
        comprehensive[name], sufficient[name] = one.mean(), other.mean()
        agree[name] = np.nanmean(faithful.correlation_within(scores, effect, offsets))
    assert comprehensive["oracle"] > comprehensive["random"] > comprehensive["reverse"]
    assert sufficient["oracle"] < sufficient["random"] < sufficient["reverse"]
    for name in ("gradient_x_input", "integrated_gradients"):
        assert comprehensive[name] > comprehensive["random"]
        assert sufficient[name] < sufficient["random"]
    assert agree["oracle"] == pytest.approx(1) and agree["reverse"] == pytest.approx(-1)
    assert abs(agree["random"]) < 0.15


# --- shuffled weights ----------------------------------------------------------------------


def weights(model):
    found = {name: param.array.copy() for name, param in model.namedparams()}
    found["vectors"] = np.array(model.embed.array)
    return found


@pytest.mark.parametrize("mode", ["static", "finetuned", "multichannel"])
@pytest.mark.parametrize("height", [3, (2, 3)])
def test_shuffling_is_of_its_layers_only(height, mode):
    """The same numbers in another order; row 0 stays padding; afterwards all is as before."""
    model = network(filter_height=height, vectors_mode=mode)
    before = weights(model)
    for layers in faithful.LAYERS.values():
        with faithful.shuffled_weights(model, layers, drawn()):
            within = weights(model)
        changed = {name for name in before if (before[name] != within[name]).any()}
        layer_of = {"/fc": "output", "/co": "filters", "/em": "vectors", "ve": "vectors"}
        found = {
            layer for name in changed for key, layer in layer_of.items() if name.startswith(key)
        }
        assert found == set(layers)
        for name in changed:
            np.testing.assert_array_equal(np.sort(within[name], None), np.sort(before[name], None))
        assert not within["vectors"][0].any()
        rows = {row.tobytes() for row in before["vectors"]}
        assert {row.tobytes() for row in within["vectors"]} == rows
        after = weights(model)
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_shuffled_filters_make_other_saliency(learnt):
    """And unshuffled ones the same: the test of the test."""
    model, tokens, offsets, found = learnt
    random = drawn()
    for layers, most in ((["filters"], 0.6), (["vectors"], 0.6), ([], 1.0)):
        with faithful.shuffled_weights(model, layers, random):
            other = faithful.attributions(model, tokens, offsets, random, ["saliency"])
        same = faithful.correlation_within(found["saliency"], other["saliency"], offsets)
        assert np.nanmean(same) == pytest.approx(1) if not layers else np.nanmean(same) < most


def _confident(gap):
    """A network whose label has a lead of `gap`, to which each of four words adds a little."""
    model = TextCNN(
        np.vstack([np.zeros(4), np.eye(4)]).astype("f"),
        2,
        Config(n_filters=4, filter_height=1),
        seed=0,
    )
    model.conv.W.array[:, 0, 0], model.conv.b.array[...] = np.eye(4), 0
    model.fc.W.array[...], model.fc.b.array[...] = [[gap, 0.5, 1, 2], [0] * 4], 0
    return model


@pytest.mark.parametrize("gap", [4, 10, 18, 30])
def test_leave_one_out_keeps_its_digits_in_confident_sentences(gap):
    """Against the formula in float64; a probability near 1 has lost them."""
    weights = np.array([gap, 0.5, 1, 2])
    tokens, offsets = np.arange(4, dtype="i"), np.array([0, 4])
    found = faithful.leave_one_out(_confident(gap), tokens, offsets)
    doubt = 1 / (1 + np.exp(weights.sum()))
    wanted = 1 / (1 + np.exp(weights.sum() - weights)) - doubt
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert (np.argsort(found) == np.argsort(weights)).all()
    # Twin: the difference of the probabilities themselves, in float32.
    p = np.float32(1) / (np.float32(1) + np.exp(-(weights.sum() - weights)).astype("f"))
    assert gap < 18 or not (np.float32(1 - doubt) - p > 0)[1:].all()
