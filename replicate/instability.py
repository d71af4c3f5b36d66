"""From recorded saliency to unstable words and sentences (eqs 7-10).  NumPy only.

The variance is that of differences between epochs, so saliency that rises
steadily scores 0 and saliency that jumps scores high.  Eq. (9) is computed one
epoch at a time and keeps 8 bytes a word occurrence, however many epochs there are.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .config import Config

__all__ = [
    "StreamingInstability",
    "check_finite",
    "check_offsets",
    "logit_saliency",
    "mean_by_word",
    "saliency_change",
    "sentence_change",
    "sentence_instability",
    "standardise",
    "token_instability",
    "word_instability",
]


def check_offsets(offsets: ArrayLike, n_tokens: int, empty: bool = False) -> None:
    """Refuse offsets that do not cut so many tokens into sentences.

    Args:
        offsets: (N + 1,), where sentences begin, and where the last one ends.
        n_tokens: T.
        empty: whether a sentence may have no words.

    Raises:
        ValueError: if they do not go from 0 to T, or a sentence has no words.

    Example:
        >>> check_offsets([0, 2, 3], 3)
        >>> check_offsets([0, 2], 3)
        Traceback (most recent call last):
            ...
        ValueError: offsets go from 0 to 2, and there are 3 tokens; give 0, where each next \
sentence begins, and last 3
    """
    ends = np.asarray(offsets)
    if ends.ndim != 1 or not len(ends) or ends.dtype.kind not in "iu":
        raise ValueError(
            f"offsets are {ends.dtype} of shape {ends.shape}; give N + 1 whole numbers in a row"
        )
    if ends[0] != 0 or ends[-1] != n_tokens:
        raise ValueError(
            f"offsets go from {ends[0]} to {ends[-1]}, and there are {n_tokens} tokens; give 0, "
            f"where each next sentence begins, and last {n_tokens}"
        )
    odd = np.flatnonzero(ends[1:] < ends[:-1] if empty else ends[1:] <= ends[:-1])
    if len(odd):
        first = int(odd[0])
        found = f"offsets[{first}:{first + 2}] are {ends[first]}, {ends[first + 1]}"
        raise ValueError(
            f"{found}: a sentence has no words; leave it out"
            if ends[first] == ends[first + 1]
            else f"{found}: they fall; give them in ascending order"
        )


def check_finite(wac: NDArray[np.floating], count: NDArray[np.integer]) -> None:
    """Refuse a wac of NaN for a word that occurs: eq. (10) would take the word for unseen.

    Args:
        wac, count: (V,), of :func:`word_instability`.

    Raises:
        ValueError: if there is one.
    """
    odd = np.flatnonzero((count > 0) & ~np.isfinite(wac))
    if len(odd):
        raise ValueError(
            f"the saliency of {len(odd)} of {np.count_nonzero(count)} words, word {odd[0]} the first, "
            "is not finite; train with a lower learning rate, or leave those words out"
        )


def _rows(saliency: ArrayLike) -> NDArray[Any]:
    """(E, T), also of a list of rows."""
    rows = np.asarray(saliency)
    if rows.ndim != 2:
        raise ValueError(f"saliency has shape {rows.shape}, not (E, T); give a row an epoch")
    return rows


def token_instability(saliency: NDArray[np.floating], ddof: int = 0) -> NDArray[np.float64]:
    """Variance of each occurrence's differences between epochs (eq. 8; the term inside eq. 9).

    .. math::
        V(wad_v), \\quad wad_{v,k} = wa_{v,k+1} - wa_{v,k}

    Args:
        saliency (numpy.ndarray): (E, T), wa_array of eq. (7).
        ddof (int): the sum of squares is divided by E - 1 - ddof.

    Returns:
        numpy.ndarray: (T,) float64.

    Raises:
        ValueError: as :func:`word_instability`.

    Example:
        >>> token_instability(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]])).tolist()
        [0.0, 1.0]
    """
    saliency = _rows(saliency)
    occurrences = np.arange(saliency.shape[1])
    return word_instability(saliency, occurrences, len(occurrences), ddof)[0]


def _enough(epochs: int, ddof: int) -> None:
    # Two epochs have one difference, whose variance is 0 for every word.
    least = max(3, 2 + ddof)
    if epochs < least:
        raise ValueError(
            f"{epochs} recorded epochs are too few for a variance; record {least} or more"
        )


def word_instability(
    saliency: NDArray[np.floating], tokens: NDArray[np.integer], n_words: int, ddof: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Instability wac of every word: the mean over its occurrences (eq. 9).

    .. math::
        wac(w) = \\frac{1}{v} \\sum_i V(wad_i)

    Args:
        saliency (numpy.ndarray): (E, T).
        tokens (numpy.ndarray): (T,) int32, the word of each occurrence.
        n_words (int): V.
        ddof (int): 0 divides by the K - 1 differences, 1 by one less.

    Returns:
        tuple: wac (V,) float64, NaN for words that do not occur, and the
        number of occurrences (V,) int64.

    Raises:
        ValueError: if there are fewer than three epochs, a row has not T numbers, a token is
            not from 0 to V - 1, or the wac of a word that occurs is not finite.

    Example:
        >>> saliency = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
        >>> wac, count = word_instability(saliency, np.array([0, 0]), n_words=2)
        >>> wac.tolist(), count.tolist()
        ([0.5, nan], [2, 0])
    """
    saliency = _rows(saliency)
    stream = StreamingInstability(tokens, n_words, saliency.dtype)
    for row in saliency:
        stream.add(row)
    found = stream.result(ddof)
    check_finite(*found)
    return found


def mean_by_word(
    values: NDArray[np.floating], tokens: NDArray[np.integer], n_words: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean by word of one number a word occurrence.

    Args:
        values: (T,).
        tokens: (T,) the word of each occurrence.
        n_words: V.

    Returns:
        Mean (V,), NaN for words that do not occur, and the number of occurrences (V,).

    Example:
        >>> mean_by_word(np.array([1.0, 3.0]), np.array([0, 0]), 1)[0].tolist()
        [2.0]
    """
    count = np.bincount(tokens, minlength=n_words)
    total = np.bincount(tokens, weights=values, minlength=n_words)
    mean = np.full(n_words, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean, count


def _check_tokens(tokens: NDArray[Any], n_words: int, least: int) -> None:
    """Refuse words outside a vocabulary: NumPy counts negative ones from its end."""
    if not len(tokens):
        return
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"tokens are {tokens.dtype} of shape {tokens.shape}; give T whole numbers in a row"
        )
    low, high = int(tokens.min()), int(tokens.max())
    if low < least or high >= n_words:
        odd = low if low < least else high
        raise ValueError(
            f"token {odd} is none of {n_words} words; give numbers from {least} to {n_words - 1}"
        )


class StreamingInstability:
    """Eq. (9) from one epoch at a time, without stored saliency.

    The differences of an occurrence add up to its last value minus its first.
    So its variance needs only these two values and the sum of squared
    differences, which can be summed for each word.  That takes 8 bytes for
    each occurrence and 8 for each word.

    Args:
        tokens (numpy.ndarray): (T,) int32, the word of each occurrence.
        n_words (int): V.

    Raises:
        ValueError: if a token is not from 0 to V - 1.

    Example:
        >>> stream = StreamingInstability(np.array([0, 0]), n_words=1)
        >>> for row in [[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]]:
        ...     stream.add(np.array(row, dtype=np.float32))
        >>> stream.result()[0].tolist()
        [0.5]
    """

    def __init__(
        self, tokens: NDArray[np.integer], n_words: int, dtype: DTypeLike = np.float32
    ) -> None:
        self.tokens = np.asarray(tokens)
        self.n_words = n_words
        _check_tokens(self.tokens, n_words, 0)
        self.epochs = 0
        self.first = np.zeros(len(tokens), dtype=dtype)
        self.last = np.zeros(len(tokens), dtype=dtype)
        self.squares = np.zeros(n_words)

    def add(self, token_saliency: NDArray[np.floating]) -> None:
        """Add the saliency of one epoch, (T,) float32.

        Raises:
            ValueError: if it has not T numbers: NumPy would spread one over all.
        """
        token_saliency = np.asarray(token_saliency)
        if token_saliency.shape != self.first.shape:
            raise ValueError(
                f"{token_saliency.shape} saliencies for {self.first.shape} tokens; give one an "
                "occurrence"
            )
        if self.epochs == 0:
            self.first[:] = token_saliency
        else:
            for start in range(0, len(self.tokens), 1 << 20):
                part = slice(start, start + (1 << 20))
                change = token_saliency[part].astype(np.float64) - self.last[part]
                self.squares += np.bincount(
                    self.tokens[part], weights=change * change, minlength=self.n_words
                )
        self.last[:] = token_saliency
        self.epochs += 1

    def result(self, ddof: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Instability and count of every word, as :func:`word_instability` returns them.

        Raises:
            ValueError: if there are too few epochs for a variance.
        """
        _enough(self.epochs, ddof)
        differences = self.epochs - 1
        total = self.squares.copy()
        for start in range(0, len(self.tokens), 1 << 20):
            part = slice(start, start + (1 << 20))
            rise = self.last[part].astype(np.float64) - self.first[part]
            total -= np.bincount(
                self.tokens[part], weights=rise * rise / differences, minlength=self.n_words
            )
        count = np.bincount(self.tokens, minlength=self.n_words)
        wac = np.full(self.n_words, np.nan)
        np.divide(total, count * (differences - ddof), out=wac, where=count > 0)
        # Rounding can make the variance of a steady word slightly negative.
        return np.maximum(wac, 0.0), count

    def serialize(self, serializer: Any) -> None:
        """Chainer's protocol: a snapshot stores the sums so far."""
        self.epochs = serializer("epochs", self.epochs)
        self.first = serializer("first", self.first)
        self.last = serializer("last", self.last)
        self.squares = serializer("squares", self.squares)


def sentence_instability(
    word_wac: NDArray[np.floating],
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    unseen: str = "skip",
    repeated: str = "each",
) -> NDArray[np.float64]:
    """Score A_S of every sentence: the mean wac of its words (eq. 10).

    .. math::
        A_S = \\frac{1}{n} \\sum_i wac(w_i)

    Args:
        word_wac (numpy.ndarray): (V,), NaN for words that do not occur in T1.
        tokens (numpy.ndarray): (T,) words of all sentences, one after another; -1 is a word
            that T1's vocabulary lacks, which counts as one that does not occur in T1.
        offsets (numpy.ndarray): (N + 1,), where each sentence begins in `tokens`.
        unseen (str): ``"skip"`` leaves words without a wac out of the mean (a
            sentence that has only such words scores 0); ``"zero"`` counts
            their wac as 0.
        repeated (str): ``"each"`` counts every occurrence of a word,
            ``"once"`` counts a word once for each sentence.

    Returns:
        numpy.ndarray: (N,) float64.

    Raises:
        ValueError: for another reading, a token that is not from -1 to V - 1, or offsets that
            do not go from 0 to T.

    Example:
        >>> wac = np.array([1.0, 3.0, np.nan])
        >>> tokens, offsets = np.array([0, 0, 1, 2]), np.array([0, 4])
        >>> float(sentence_instability(wac, tokens, offsets)[0])
        1.6666666666666667
        >>> float(sentence_instability(wac, tokens, offsets, unseen="zero")[0])
        1.25
        >>> float(sentence_instability(wac, tokens, offsets, repeated="once")[0])
        2.0
    """
    Config(unseen_words=unseen, repeated_words=repeated)  # refuses any other reading
    word_wac, tokens = np.asarray(word_wac), np.asarray(tokens)
    check_offsets(offsets, len(tokens), empty=True)
    _check_tokens(tokens, len(word_wac), -1)
    n = len(offsets) - 1
    sentence = np.repeat(np.arange(n), np.diff(offsets))
    if repeated == "once":
        pair = sentence.astype(np.int64) * (len(word_wac) + 1) + (tokens.astype(np.int64) + 1)
        _, kept = np.unique(pair, return_index=True)
        sentence, tokens = sentence[kept], tokens[kept]
    # One more, which -1 stands for.
    value = np.append(word_wac, np.nan)[tokens]
    seen = ~np.isnan(value)
    total = np.bincount(sentence, weights=np.where(seen, value, 0.0), minlength=n)
    counted = np.ones(len(seen)) if unseen == "zero" else seen.astype(np.float64)
    count = np.bincount(sentence, weights=counted, minlength=n)
    return np.divide(total, count, out=np.zeros(n), where=count > 0)


def standardise(
    token_saliency: NDArray[np.floating], offsets: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Saliency of one epoch, scaled to mean 0 and standard deviation 1 (section 5.5.1).

    Args:
        token_saliency (numpy.ndarray): (T,).
        offsets (numpy.ndarray): (N + 1,) to standardise within each sentence;
            None: over all words.

    Returns:
        numpy.ndarray: (T,) float64; 0 where the standard deviation is 0.

    Raises:
        ValueError: as :func:`check_offsets`.

    Example:
        >>> standardise(np.array([1.0, 3.0, 5.0, 5.0]), np.array([0, 2, 4])).tolist()
        [-1.0, 1.0, 0.0, 0.0]
    """
    value = token_saliency.astype(np.float64)
    if not len(value):
        return value
    if offsets is None:
        offsets = np.array([0, len(value)])
    lengths = np.diff(offsets)
    centred = value - np.repeat(_by_sentence(value, offsets) / lengths, lengths)
    deviation = np.sqrt(_by_sentence(centred**2, offsets) / lengths)
    scale = np.zeros(len(deviation))
    # The deviation of equal values is not exactly 0: it is what rounding leaves.
    top = np.maximum.reduceat(np.abs(value), offsets[:-1]) if len(value) else deviation
    np.divide(1.0, deviation, out=scale, where=deviation > 1e-7 * top)
    return centred * np.repeat(scale, lengths)


def _by_sentence(values: NDArray[np.floating], offsets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum of the values of each sentence, (N,)."""
    check_offsets(offsets, len(values))
    return np.add.reduceat(values, offsets[:-1]) if len(values) else np.zeros(len(offsets) - 1)


def sentence_change(
    before: NDArray[np.floating], after: NDArray[np.floating], offsets: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Absolute change from one epoch to the next, summed over each sentence's words (Fig. 5).

    .. math::
        \\sum_{i \\in S} |wa_{i,n+1} - wa_{i,n}|

    Args:
        before, after (numpy.ndarray): (T,) saliency of two epochs.
        offsets (numpy.ndarray): (N + 1,).

    Returns:
        numpy.ndarray: (N,) float64.

    Raises:
        ValueError: as :func:`check_offsets`.

    Example:
        >>> before, after = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, 3.0])
        >>> sentence_change(before, after, np.array([0, 2, 3])).tolist()
        [3.0, 0.0]
    """
    return _by_sentence(np.abs(after.astype(np.float64) - before), offsets)


def logit_saliency(
    token_saliency: NDArray[np.floating],
    uncertainty: NDArray[np.floating],
    lengths: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Eq. (6) on the logit difference instead of the loss: saliency / (1 - p_R).

    Raw saliency shrinks as the model grows confident; this does not.  It is so for cross
    entropy on logits; with the reading ``loss = probabilities``, softmax twice, eq. (4) has
    another factor beside 1 - p_R, which stays.

    Args:
        token_saliency (numpy.ndarray): (T,).
        uncertainty (numpy.ndarray): (N,), 1 - p_R.
        lengths (numpy.ndarray): (N,), words of each sentence.

    Returns:
        numpy.ndarray: (T,) float64; 0 where 1 - p_R has vanished.

    Example:
        >>> logit_saliency(np.array([0.2, 0.1]), np.array([0.5]), np.array([2])).tolist()
        [0.4, 0.2]
    """
    uncertainty = uncertainty.astype(np.float64)
    scale = np.divide(1.0, uncertainty, out=np.zeros(len(uncertainty)), where=uncertainty > 0)
    return np.asarray(token_saliency * np.repeat(scale, lengths))


def saliency_change(
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    uncertainties: tuple[NDArray[np.floating], NDArray[np.floating]],
    tokens: NDArray[np.integer],
    offsets: NDArray[np.integer],
    n_words: int,
    standardised_over: str = "sentence",
) -> dict[str, NDArray[np.float64]]:
    """How much saliency changes from one epoch to the next, in the four forms of Fig. 5.

    Args:
        before, after (numpy.ndarray): (T,) saliency of two epochs.
        uncertainties (tuple): (N,) 1 - p_R of the sentences in each of them.
        tokens (numpy.ndarray): (T,) int32, the word of each occurrence.
        offsets (numpy.ndarray): (N + 1,).
        n_words (int): V.
        standardised_over (str): ``"sentence"`` standardises within each
            sentence, anything else over all occurrences of an epoch.

    Returns:
        dict: float64 arrays: of raw saliency, of standardised saliency and of
        the gradient of the logit difference by sentence, (N,) ``raw``,
        ``standardised`` and ``logit``; of raw saliency by word, (V,) ``words``.

    Raises:
        ValueError: as :func:`check_offsets`.

    Example:
        >>> before, after = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, 3.0])
        >>> p = np.array([0.5, 0.5]), np.array([0.5, 0.25])
        >>> found = saliency_change(before, after, p, np.array([0, 1, 0]), np.array([0, 2, 3]), 2)
        >>> {name: values.tolist() for name, values in found.items()}
        {'raw': [3.0, 0.0], 'standardised': [4.0, 0.0], 'logit': [6.0, 6.0], 'words': [1.0, 2.0]}
    """
    check_offsets(offsets, len(before))
    n, lengths = len(offsets) - 1, np.diff(offsets)
    found = {name: np.zeros(n) for name in ("raw", "standardised", "logit")}
    words = np.zeros(n_words)
    within = standardised_over == "sentence"
    for start, stop in _blocks(offsets) if within else [(0, n)]:
        part, own = slice(offsets[start], offsets[stop]), slice(start, stop)
        local = offsets[start : stop + 1] - offsets[start]
        pair = before[part], after[part]
        forms: dict[str, Any] = {
            "raw": pair,
            "standardised": [standardise(values, local if within else None) for values in pair],
            "logit": [
                logit_saliency(values, share[own], lengths[own])
                for values, share in zip(pair, uncertainties)
            ],
        }
        for name, (old, new) in forms.items():
            found[name][own] = sentence_change(old, new, local)
        change = np.abs(pair[1].astype(np.float64) - pair[0])
        words += np.bincount(tokens[part], weights=change, minlength=n_words)
    return {**found, "words": words}


# Words whose change is computed at a time, in float64.
_BLOCK = 1 << 20


def _blocks(offsets: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Bounds of sentences, of about `_BLOCK` words each."""
    n, words = len(offsets) - 1, int(offsets[-1])
    cuts = np.searchsorted(offsets, np.arange(_BLOCK, words, _BLOCK))
    ends = np.unique(np.concatenate([[0], cuts, [n]])).tolist()
    return zip(ends[:-1], ends[1:])
