"""Processes that train one model together, and the usual case: one alone.

:class:`replicate.parallel.mpi.Group` has the methods of :class:`OneRank`, by MPI.  Code
that trains and records is written for a group, and cuts what it is given into
as many shares as there are ranks.
"""

__all__ = ["ALONE", "OneRank"]


class OneRank:
    """A group of this process only.

    Attributes:
        rank (int): of this process, 0.
        size (int): number of ranks, 1.
        leads (bool): whether it is rank 0, the one that writes.
    """

    rank, size, leads = 0, 1, True

    def bcast(self, value=None):
        """Rank 0's value, on all ranks."""
        return value

    def wait(self):
        """Return when all ranks are here."""

    def sum(self, number):
        """Sum of a number over ranks, on all of them."""
        return number

    def same_weights(self, model):
        """Give every rank rank 0's weights."""

    def mean_gradient(self, model):
        """Average the gradients over ranks, in place; one that is missing counts as zero."""

    def bounds(self, offsets):
        """First and last (exclusive) of this rank's sentences: equal shares of the words.

        Args:
            offsets (numpy.ndarray): (n + 1,) of all sentences.

        Example:
            >>> ALONE.bounds([0, 3, 5])
            (0, 2)
        """
        return 0, len(offsets) - 1

    def gather(self, arrays):
        """Arrays of all ranks, one after another, on rank 0; None on the others.

        Args:
            arrays (list of numpy.ndarray): one-dimensional, the same number and
                dtypes on every rank.
        """
        return arrays


#: The group of a process that trains alone.
ALONE = OneRank()
