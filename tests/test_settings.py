"""What ``config.json`` states: what identifies the data, and versions as results began and went on."""

import numpy as np
import pytest

from replicate.corpus import Corpus
from replicate.settings import content_of, continued, differences, matrix_of


def corpus(words=("bad", "good"), tokens=(0, 1, 1), labels=(0, 1), names=("neg", "pos")):
    """Two sentences, of one word and of two."""
    return Corpus(
        words=np.array(words),
        tokens=np.array(tokens, dtype=np.int32),
        offsets=np.array([0, 1, 3]),
        labels=np.array(labels, dtype=np.int32),
        label_names=names,
        sha256={},
    )


# --- What identifies data --------------------------------------------------------


def test_the_same_content_has_the_same_checksum():
    assert content_of(corpus()) == content_of(corpus())


@pytest.mark.parametrize(
    "other",
    [
        {"words": ("bad", "fine")},
        {"tokens": (0, 0, 1)},
        {"labels": (1, 0)},
        {"names": ("pos", "neg")},
        {"words": ("bad\ngood", "")},
    ],
)
def test_other_content_has_another_checksum(other):
    assert content_of(corpus(**other)) != content_of(corpus())


def test_vectors_of_unknown_words_do_not_count():
    vectors, known = np.ones((3, 4), dtype=np.float32), np.array([True, False])
    first = matrix_of(vectors, known)
    vectors[2] = 7  # drawn anew for an unknown word
    assert matrix_of(vectors, known) == first
    vectors[1] = 7
    assert matrix_of(vectors, known) != first
    assert matrix_of(vectors, ~known) != matrix_of(vectors, known)


# --- Versions ----------------------------------------------------------------------


def test_only_what_differs_is_named():
    have = {"versions": {"numpy": "2.4", "scipy": "1"}, "environment": {"blas": "a"}}
    now = {"numpy": "2.5", "scipy": "1", "numba": "0.6"}
    assert differences(have, now, {"blas": "a"}) == ["numba none (now 0.6)", "numpy 2.4 (now 2.5)"]
    assert differences(have, have["versions"], {"blas": "b"}) == ["blas a (now b)"]
    assert differences(have, have["versions"], have["environment"]) == []


def test_versions_are_added_once():
    began = {"versions": {"numpy": "2.4"}, "environment": {"blas": "a"}, "seeds": [0]}
    later = {"versions": {"numpy": "2.5"}, "environment": {"blas": "a"}}
    assert continued(began, began) == began
    went_on = continued(began, later)
    assert went_on == {**began, "continued": [later]}
    assert continued(went_on, later) == continued(went_on, began) == went_on
