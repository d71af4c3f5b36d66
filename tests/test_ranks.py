"""A group of one rank is no group at all, and MPI's has the same methods."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from replicate.corpus import Corpus
from replicate.parallel import mpi
from replicate.parallel.ranks import ALONE, OneRank
from replicate.training import EpochIterator

METHODS = [name for name, value in vars(OneRank).items() if inspect.isfunction(value)]


def test_alone_everything_is_ones_own():
    """One rank leads, has all sentences, and gets back what it gives."""
    assert (ALONE.rank, ALONE.size, ALONE.leads) == (0, 1, True)
    value, arrays = object(), [np.arange(3), np.zeros(2)]
    assert ALONE.bcast(value) is value and ALONE.sum(0.1) == 0.1
    assert ALONE.gather(arrays) is arrays
    assert ALONE.bounds(np.array([0, 2, 5, 6])) == (0, 3)


def test_alone_a_model_is_left_as_it_is():
    """Neither weights nor gradients are looked at."""
    assert ALONE.same_weights(None) is None and ALONE.mean_gradient(None) is None
    assert ALONE.wait() is None


@pytest.mark.parametrize("name", METHODS)
def test_mpi_has_each_method(name):
    """Overridden, with the same parameters: one inherited would keep ranks apart."""
    assert name in vars(mpi.Group)
    ours, theirs = (inspect.signature(vars(c)[name]) for c in (OneRank, mpi.Group))
    assert ours == theirs


@pytest.mark.parametrize("lengths", [[3], [1, 1, 9], [4, 1, 1, 1, 4]])
def test_bounds_of_one_are_those_of_mpi(lengths):
    """What MPI's group of one rank would be given."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    one = SimpleNamespace(rank=0, size=1)
    assert mpi.Group.bounds(one, offsets) == ALONE.bounds(offsets)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ranks_share_a_batch(size):
    """The shares of all ranks are the batch of one: every sentence once."""
    lengths = np.arange(1, 8)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.arange(offsets[-1], dtype=np.int32)
    labels = np.arange(len(lengths), dtype=np.int32)
    corpus = Corpus([str(t) for t in tokens], tokens, offsets, labels, ("a", "b"), {})

    def labels_of(group):
        iterator = EpochIterator(corpus, np.arange(7), 4, 0, group=group)
        return [next(iterator).labels.tolist() for _ in range(2)]

    groups = [SimpleNamespace(rank=rank, size=size) for rank in range(size)]
    shares = [labels_of(group) for group in groups]
    for i, whole in enumerate(labels_of(ALONE)):
        assert sorted(sum((share[i] for share in shares), [])) == sorted(whole)
    if size == 1:
        assert shares == [labels_of(ALONE)]
