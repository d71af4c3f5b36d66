"""Equations of the paper restated in the plainest way, for tests to compare the program with."""

import numpy as np


def token_instability(saliency, ddof=0):
    """Eqs 8 and 9 for one occurrence, from all epochs at once."""
    return np.diff(saliency.astype(np.float64), axis=0).var(axis=0, ddof=ddof)


def word_instability(saliency, tokens, n_words, ddof=0):
    """Eq. (9): wac (V,), NaN where a word does not occur, and count (V,)."""
    each = token_instability(saliency, ddof)
    of_word = [each[tokens == word] for word in range(n_words)]
    wac = np.array([values.mean() if len(values) else np.nan for values in of_word])
    return wac, np.array([len(values) for values in of_word])
