"""Does saliency show what the network does? (beyond the paper)

Three questions to the saliency of eq. (6), and to others like it:

- *Deletion* (DeYoung et al. 2020, ERASER): a word that matters is missed when it is
  gone.  Without the k % most salient words the label's probability should fall
  (comprehensiveness), and these words alone should keep it (sufficiency).
- *Leave one out*: the rank correlation, within a sentence, of a word's saliency with how
  much the probability changes when this word alone is gone.
- *Randomisation* (Adebayo et al. 2018): saliency that stays the same when trained weights
  are shuffled does not come from what was learned.

A deleted word becomes a zero vector, or, in a second reading, leaves the sentence.  All
is asked of the label R that the network gives to the whole sentence.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fast.compat import F, chainer, cuda
from ..model import TextCNN
from ..saliency import classify, flat_batch, word_saliency

__all__ = [
    "BINS",
    "DELETIONS",
    "LAYERS",
    "METHODS",
    "attributions",
    "correlation_within",
    "deleted",
    "deletion_scores",
    "integrated_gradients",
    "leave_one_out",
    "log_odds",
    "occurrence_gradient",
    "shuffled_weights",
    "top_words",
]

#: What is held against eq. (6): norms over D of the gradient of the label's own logit, and
#: of its log odds; gradient x input and integrated gradients of the log odds; no order.
METHODS = (
    "saliency", "logit_l1", "logit_l2", "odds_l2", "gradient_x_input", "integrated_gradients",
    "random",
)  # fmt: skip
#: Shares of a sentence's words that are deleted or kept, those of ERASER.
BINS = (0.01, 0.05, 0.10, 0.20, 0.50)
#: What becomes of a deleted word.
DELETIONS = ("zero", "removal")
#: Points of the path of integrated gradients.
STEPS = 32
#: What is shuffled, from the output down: together and one at a time.
LAYERS = {
    "output": ("output",),
    "output and filters": ("output", "filters"),
    "filters": ("filters",),
    "vectors": ("vectors",),
}

#: Words of the sentences that are classified at once.
_AT_ONCE = 400_000


# --- attributions ------------------------------------------------------------------------


def log_odds(logits: Any, own: Any) -> Any:
    """Log odds of a label against all others; with two labels the difference of logits.

    .. math::
        \\log \\frac{p_R}{1 - p_R} = z_R - \\log \\sum_{c \\neq R} e^{z_c}

    The gradient of the loss of eq. (4) is that of the log odds times -(1 - p_R), so
    within a sentence eq. (6) puts words in the order of this gradient's L1 norm.

    Args:
        logits: (n, C) Variable.
        own: (n,) int32, R.

    Returns:
        (n,) Variable.

    Example:
        >>> z = chainer.Variable(np.array([[1.0, 3.0]], dtype=np.float32))
        >>> log_odds(z, np.array([1], dtype=np.int32)).array.tolist()
        [2.0]
    """
    xp = cuda.get_array_module(logits.array)
    mask = xp.arange(logits.shape[1])[None] == own[:, None]
    lowest = xp.full(logits.shape, xp.finfo(logits.dtype).min / 2, dtype=logits.dtype)
    return F.select_item(logits, own) - F.logsumexp(F.where(mask, lowest, logits), axis=1)


def _vectors(model, tokens):
    """(T, D), the vector of each occurrence; zeros for token -1."""
    return model.embed.array[model.xp.asarray(np.asarray(tokens) + 1)]


def _logits(model, x, offsets):
    places = model.xp.arange(len(x), dtype=np.int32)
    return model.head(model.features_of_words(x, places, offsets))


def occurrence_gradient(
    model: TextCNN, x: Any, offsets: NDArray[np.integer], own: Any, target: str = "odds"
) -> Any:
    """Gradient at every word occurrence of a label's log odds, or of its logit.

    .. math::
        \\partial z_R / \\partial w_{ij} \\quad or \\quad
        \\partial \\log \\frac{p_R}{1 - p_R} / \\partial w_{ij}

    Eq. (4) has the loss in their place.

    Args:
        model: on any device.
        x: (T, D) word vectors of n sentences, one row an occurrence.
        offsets: (n + 1,) int64.
        own: (n,) int32, R.
        target: ``"odds"`` or ``"logit"``.

    Returns:
        (T, D) array.

    Example:
        >>> vectors = np.eye(3, 2, dtype=np.float32)
        >>> model = TextCNN(vectors, 2, Config(n_filters=2), seed=0)
        >>> own = np.array([0], dtype=np.int32)
        >>> occurrence_gradient(model, vectors, np.array([0, 3]), own).shape
        (3, 2)
    """
    variable = chainer.Variable(x)
    offsets = model.xp.asarray(offsets, dtype=np.int64)
    with chainer.using_config("train", False), chainer.force_backprop_mode():
        logits = _logits(model, variable, offsets)
        value = log_odds(logits, own) if target == "odds" else F.select_item(logits, own)
        return chainer.grad([F.sum(value)], [variable])[0].array


def integrated_gradients(
    model: TextCNN, x: Any, offsets: NDArray[np.integer], own: Any, steps: int = STEPS
) -> Any:
    """Integrated gradients of the log odds, from a sentence of zero vectors to the sentence.

    .. math::
        \\sum_j w_{ij} \\int_0^1 \\frac{\\partial \\log odds_R(\\alpha S)}{\\partial w_{ij}}
        d\\alpha

    by the middle of each of `steps` parts of the path.  They add up to the log odds of the
    sentence less those of the zero vectors, but for the error of the sum.

    Args:
        model, x, offsets, own: as of :func:`occurrence_gradient`.
        steps: parts of the path.

    Returns:
        (T,) array, one signed number an occurrence.

    Source:
        Sundararajan, Taly and Yan (2017), eqs 1 and 3.

    Example:
        >>> vectors = np.eye(3, 2, dtype=np.float32)
        >>> model = TextCNN(vectors, 2, Config(n_filters=2), seed=0)
        >>> own = np.array([0], dtype=np.int32)
        >>> integrated_gradients(model, vectors, np.array([0, 3]), own).shape
        (3,)
    """
    total = model.xp.zeros(len(x), dtype=x.dtype)
    for step in range(steps):
        scale = x.dtype.type((step + 0.5) / steps)
        total += (occurrence_gradient(model, x * scale, offsets, own) * x).sum(axis=1)
    return total / x.dtype.type(steps)


def attributions(
    model: TextCNN,
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    random: np.random.RandomState,
    methods: Sequence[str] = METHODS,
    steps: int = STEPS,
) -> dict[str, NDArray[np.float64]]:
    """How much each word occurrence counts, by several methods, the first that of eq. (6).

    Args:
        model: on any device.
        tokens, offsets: (T,) and (n + 1,), the sentences.
        random: draws the random order.
        methods: of :data:`METHODS`.
        steps: of :func:`integrated_gradients`.

    Returns:
        Method -> (T,) float64.  Norms are not negative; gradient x input and integrated
        gradients are above 0 for a word that speaks for R.

    Example:
        >>> model = TextCNN(np.eye(3, 2, dtype=np.float32), 2, Config(n_filters=2), seed=0)
        >>> random = generator("random order", 0)
        >>> found = attributions(model, np.array([0, 1]), np.array([0, 2]), random)
        >>> list(found) == list(METHODS), found["saliency"].shape
        (True, (2,))
    """
    batch = flat_batch(model, tokens, offsets)
    seen = word_saliency(model, batch)
    own, x = model.xp.asarray(seen.predicted), _vectors(model, tokens)
    made: dict[str, Any] = {"saliency": seen.token_saliency}
    if {"logit_l1", "logit_l2"} & set(methods):
        of_logit = occurrence_gradient(model, x, offsets, own, "logit")
        made["logit_l1"] = abs(of_logit).sum(axis=1)
        made["logit_l2"] = (of_logit**2).sum(axis=1) ** 0.5
    if {"odds_l2", "gradient_x_input"} & set(methods):
        of_odds = occurrence_gradient(model, x, offsets, own)
        made["odds_l2"] = (of_odds**2).sum(axis=1) ** 0.5
        made["gradient_x_input"] = (of_odds * x).sum(axis=1)
    if "integrated_gradients" in methods:
        made["integrated_gradients"] = integrated_gradients(model, x, offsets, own, steps)
    made["random"] = random.random_sample(len(tokens))
    return {name: cuda.to_cpu(made[name]).astype(np.float64) for name in methods}


# --- deletion ----------------------------------------------------------------------------


def top_words(
    scores: NDArray[np.floating],
    offsets: NDArray[np.integer],
    share: float,
    random: np.random.RandomState,
) -> NDArray[np.bool_]:
    """The words of the highest scores in each sentence, a share of them, rounded up.

    Args:
        scores: (T,).
        offsets: (n + 1,).
        share: of a sentence's words.
        random: orders words of equal score; with few filters many scores are 0.

    Returns:
        (T,) bool.

    Example:
        >>> scores, offsets = np.array([1.0, 3.0, 2.0, 5.0]), np.array([0, 3, 4])
        >>> top_words(scores, offsets, 0.5, generator("ties", 0)).tolist()
        [False, True, True, True]
    """
    lengths = np.diff(offsets)
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((random.random_sample(len(scores)), -scores, sentence))
    rank = np.empty(len(scores), dtype=np.int64)
    rank[order] = np.arange(len(scores)) - np.repeat(offsets[:-1], lengths)
    # 7 % of 100 words are 7, not 8 by rounding.
    return rank < np.ceil(share * lengths - 1e-9)[sentence]


def deleted(
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    gone: NDArray[np.bool_],
    deletion: str,
) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Sentences without some of their words.

    Args:
        tokens, offsets: (T,) and (n + 1,), the sentences.
        gone: (T,) the words that are deleted.
        deletion: ``"zero"``: a zero vector takes the word's place; ``"removal"``: nothing
            does, and a sentence of which nothing is left becomes one zero vector.

    Returns:
        Tokens, -1 for a zero vector, and offsets.

    Raises:
        ValueError: for another deletion.

    Example:
        >>> gone = np.array([True, False, True])
        >>> [[a.tolist() for a in deleted(np.array([7, 8, 9]), np.array([0, 2, 3]), gone, how)]
        ...  for how in DELETIONS]
        [[[-1, 8, -1], [0, 2, 3]], [[8, -1], [0, 1, 2]]]
    """
    if deletion not in DELETIONS:
        raise ValueError(f"deletion = {deletion!r}; choose one of {', '.join(DELETIONS)}")
    zeros = np.where(gone, np.asarray(tokens).dtype.type(-1), tokens)
    if deletion == "zero":
        return zeros, np.asarray(offsets, dtype=np.int64)
    left = np.add.reduceat(~gone, offsets[:-1], dtype=np.int64)
    stays = ~gone
    stays[offsets[:-1][left == 0]] = True
    return zeros[stays], np.concatenate([[0], np.cumsum(np.maximum(left, 1))])


def _probability_less_1(model, sentences, own):
    """(n,) float64, probability of given labels, less 1; near 1 it keeps its digits so."""
    others = classify(model, flat_batch(model, *sentences)).probabilities.astype(np.float64)
    others[np.arange(len(own)), own] = 0
    return -others.sum(axis=1)


def _joined(parts):
    """Several sets of sentences as one."""
    sizes = np.concatenate([np.diff(offsets) for _, offsets in parts])
    return np.concatenate([tokens for tokens, _ in parts]), np.concatenate([[0], np.cumsum(sizes)])


def deletion_scores(
    model: TextCNN,
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    scores: NDArray[np.floating],
    random: np.random.RandomState,
    deletion: str = "zero",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Comprehensiveness and sufficiency of each sentence, mean over :data:`BINS` (AOPC).

    .. math::
        \\frac{1}{|B|} \\sum_{k \\in B} p_R(S) - p_R(S \\setminus S_k), \\quad
        \\frac{1}{|B|} \\sum_{k \\in B} p_R(S) - p_R(S_k)

    with S_k the k % of the words of the highest scores, one at least.  A high
    comprehensiveness and a low sufficiency are good.

    Args:
        model: on any device.
        tokens, offsets: (T,) and (n + 1,), the sentences.
        scores: (T,).
        random: orders words of equal score.
        deletion: of :data:`DELETIONS`.

    Returns:
        (n,) float64 each.

    Source:
        DeYoung et al. (2020), section 4; the mean is that of their code.

    Example:
        >>> model = TextCNN(np.eye(3, 2, dtype=np.float32), 2, Config(n_filters=2), seed=0)
        >>> tokens, offsets, random = np.array([0, 1]), np.array([0, 2]), generator("ties", 0)
        >>> both = deletion_scores(model, tokens, offsets, np.array([2.0, 1.0]), random)
        >>> [score.shape for score in both]
        [(1,), (1,)]
    """
    n = len(offsets) - 1
    tops = [top_words(scores, offsets, share, random) for share in BINS]
    parts = [deleted(tokens, offsets, gone, deletion) for top in tops for gone in (top, ~top)]
    own = classify(model, flat_batch(model, tokens, offsets)).predicted
    whole = _probability_less_1(model, (tokens, offsets), own)
    changed = _probability_less_1(model, _joined(parts), np.tile(own, len(parts)))
    fall = whole - changed.reshape(len(BINS), 2, n).mean(axis=0)
    return fall[0], fall[1]


def leave_one_out(
    model: TextCNN,
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    deletion: str = "zero",
) -> NDArray[np.float64]:
    """How much the label's probability falls when one word is deleted.

    .. math::
        p_R(S) - p_R(S \\setminus w_i)

    Args:
        model, tokens, offsets, deletion: as of :func:`deletion_scores`.

    Returns:
        (T,) float64; below 0 for a word that spoke against R.

    Example:
        >>> model = TextCNN(np.eye(3, 2, dtype=np.float32), 2, Config(n_filters=2), seed=0)
        >>> leave_one_out(model, np.array([0, 1]), np.array([0, 2])).shape
        (2,)
    """
    lengths = np.diff(offsets).astype(np.int64)
    own = classify(model, flat_batch(model, tokens, offsets)).predicted
    whole = _probability_less_1(model, (tokens, offsets), own)
    made, start = np.empty(len(tokens)), 0
    work = np.cumsum(lengths**2)
    while start < len(lengths):
        done = work[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(work, done + _AT_ONCE, "right")))
        size = lengths[start:stop]
        # Each sentence as often as it has words, each time without another of them.
        copies = np.repeat(size, size)
        ends = np.concatenate([[0], np.cumsum(copies)])
        within = np.arange(ends[-1]) - np.repeat(ends[:-1], copies)
        first = np.repeat(np.repeat(offsets[start:stop], size), copies)
        missing = np.concatenate([np.arange(length) for length in size])
        changed = deleted(
            tokens[first + within], ends, within == np.repeat(missing, copies), deletion
        )
        words = slice(offsets[start], offsets[stop])
        made[words] = np.repeat(whole[start:stop], size) - _probability_less_1(
            model, changed, np.repeat(own[start:stop], size)
        )
        start = stop
    return made


# --- agreement ---------------------------------------------------------------------------


def correlation_within(
    one: NDArray[np.floating], other: NDArray[np.floating], offsets: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Spearman's rank correlation of two scores within each sentence.

    Args:
        one, other: (T,).
        offsets: (n + 1,).

    Returns:
        (n,) float64; NaN for a sentence of fewer than three words, or of equal scores.

    Example:
        >>> one, other = np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 9.0])
        >>> correlation_within(one, other, np.array([0, 3])).tolist()
        [1.0]
    """
    lengths = np.diff(offsets)
    ranks = [_centred_ranks(values, offsets) for values in (one, other)]
    covered, first, second = (
        np.add.reduceat(a * b, offsets[:-1]) for a, b in ((ranks[0], ranks[1]), (ranks[0],) * 2, (ranks[1],) * 2)
    )  # fmt: skip
    size = np.sqrt(first * second)
    made = np.full(len(lengths), np.nan)
    np.divide(covered, size, out=made, where=(size > 0) & (lengths > 2))
    return made


def _centred_ranks(values, offsets):
    """Midranks within each sentence, less their mean."""
    lengths = np.diff(offsets)
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((values, sentence))
    ordered = values[order]
    new = np.ones(len(values), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]) | (np.diff(sentence) > 0)
    group = np.cumsum(new) - 1
    middle = np.bincount(group, weights=np.arange(len(values))) / np.bincount(group)
    ranks = np.empty(len(values))
    ranks[order] = middle[group]
    return ranks - np.repeat(offsets[:-1] + (lengths - 1) / 2, lengths)


@contextlib.contextmanager
def shuffled_weights(
    model: TextCNN, layers: Sequence[str], random: np.random.RandomState
) -> Iterator[None]:
    """A context in which the weights of some layers are shuffled, each array within itself.

    Args:
        model: has its own weights again at the end.
        layers: of ``"output"`` (fc), ``"filters"`` (conv) and ``"vectors"``, of which the
            words exchange theirs.
        random: draws the order.

    Example:
        >>> model = TextCNN(np.eye(4, dtype=np.float32), 2, Config(n_filters=2), seed=0)
        >>> before = model.fc.W.array.copy()
        >>> with shuffled_weights(model, ["output"], generator("shuffled weights", 0)):
        ...     sorted(model.fc.W.array.ravel()) == sorted(before.ravel())
        True
        >>> bool((model.fc.W.array == before).all())
        True
    """
    beginning = {"output": "/fc/", "filters": "/conv", "vectors": "/embed/"}
    xp, words = model.xp, 1 + random.permutation(len(model.embed.array) - 1)
    held = [
        (name, param, param.array.copy())
        for name, param in sorted(model.namedparams())
        if name.startswith(tuple(beginning[layer] for layer in layers))
    ]
    fixed = {
        name: value
        for name in ("W", "constant")
        if "vectors" in layers and isinstance(value := getattr(model.embed, name), xp.ndarray)
    }
    try:
        for name, param, array in held:
            if name.startswith("/embed/"):
                param.array[1:] = array[words]
            else:
                order = random.permutation(array.size)
                param.array[...] = array.ravel()[order].reshape(array.shape)
        for name, array in fixed.items():
            changed = xp.array(array)
            changed[1:] = array[words]
            setattr(model.embed, name, changed)
        yield
    finally:
        for _, param, array in held:
            param.array[...] = array
        for name, array in fixed.items():
            setattr(model.embed, name, array)
