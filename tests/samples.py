"""Small inputs, and what they should give, that the tests of several modules share."""

import numpy as np

#: Values whose bytes hold blanks and line ends (0x20, 0x0A, 0x0D), and some others.
AWKWARD = np.frombuffer(b"\x20\x0a\x0d\x3f\x0a\x0a\x0a\x3e\x20\x20\x20\x41", "<f4")
VECTORS = {
    "film": AWKWARD,
    "good": np.array([1, -2.5, 1e-20], dtype=np.float32),
    "naïve": np.array([0.1, 0, 3e7], dtype=np.float32),
    "'s": np.array([0, 0, 0], dtype=np.float32),
    "5": np.array([-1, 5, 0.25], dtype=np.float32),
}
WORDS = ["naïve", "unknown", "good", "'s", "film", "5", "goo", "goodd", "Good"]


#: What is no choice of seeds: none at all, what is no whole number from 0 to 2**31, a text.
BAD_SEEDS = (
    0, [], -1, [-1], [0, -1], [0.5], np.float32(2), [np.float32(2)], "5", ["1"], [2**31 + 1],
    [2**32], 100_001, True, [True], [None], None,
)  # fmt: skip
#: What is no number of tasks at once.
BAD_JOBS = (0, -1, 2.0, np.float32(2), "2", True, None)


def expected(vectors, words):
    """Rows and known words as a dictionary would give them."""
    width = len(next(iter(vectors.values())))
    rows = np.array([vectors.get(word, np.zeros(width)) for word in words], dtype=np.float32)
    return rows, [word in vectors for word in words]


def sentences(corpus):
    """The texts of a corpus, and the names of their labels."""
    labels = [corpus.label_names[i] for i in corpus.labels]
    return [corpus.sentence(n) for n in range(len(corpus))], labels


def equal(corpus, other):
    """Whether two corpora hold the same, whatever they were read from."""
    arrays = ("words", "tokens", "offsets", "labels")
    same = all(np.array_equal(getattr(corpus, a), getattr(other, a)) for a in arrays)
    return same and corpus.label_names == other.label_names
