"""One model trained by all ranks, for a large corpus: the parts of a training run, shared out.

Every rank holds the model.  Of each batch, of the recording and of the
evaluation it takes its share of sentences; gradients are averaged by
ChainerMN's communicator.  Rank 0 runs the stages and writes; the others
follow it, call by call, and write nothing.
"""

import resource
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..config import ARMS
from ..experiment import run_stage, starting_point
from ..fast.compat import chainer
from ..model import Batch, TextCNN
from ..recorder import saliency_measure
from ..run import Run
from ..saliency import Saliency
from ..split import split_corpus
from ..training import EpochIterator, Evaluator, Parts, Snapshot, Updater, make_optimizer
from .mpi import wait, world
from .pool import Outcome

__all__ = ["communicator", "follow", "lead", "shared_parts"]


def communicator() -> Any:
    """ChainerMN's communicator of all ranks."""
    import chainermn

    return chainermn.create_communicator("naive", mpi_comm=world())


def shared_parts(comm: Any) -> Parts:
    """The parts of a training run that all ranks of a communicator share."""
    return Parts(
        iterator=partial(ShareIterator, comm=comm),
        updater=partial(MeanUpdater, comm=comm),
        evaluator=partial(SumEvaluator, comm=comm),
        snapshot=partial(SentSnapshot, comm=comm),
        measure=partial(gathered_measure, comm=comm),
    )


class ShareIterator(EpochIterator):
    """Batches of which every rank has its share of sentences, which may be none."""

    def __init__(self, *arguments: Any, comm: Any) -> None:
        super().__init__(*arguments)
        self.comm = comm

    def _batch(self, chosen):
        return super()._batch(chosen[self.comm.rank :: self.comm.size])


class MeanUpdater(Updater):
    """One step on the gradients of all ranks' shares of a batch."""

    def __init__(self, *arguments: Any, comm: Any) -> None:
        super().__init__(*arguments)
        self.comm = comm

    def set_gradients(self, batch: Batch, mask: Any) -> Any:
        """Leave the batch's gradients in the parameters of every rank, and return its loss."""
        comm, n = self.comm, len(self._iterators["main"].last)
        loss: Any = 0.0
        if len(batch):
            share = None if mask is None else mask[comm.rank :: comm.size]
            # ChainerMN averages over ranks; shares differ in length, so each loss is
            # weighted for the average to be the mean over sentences.
            loss = self.model.set_gradients(batch, share, len(batch) * comm.size / n)
        else:
            self.model.cleargrads()
        # Not by ChainerMN's own optimizer, which would leave out the first step.
        comm.multi_node_mean_grad(self.model, zero_fill=True)
        return comm.mpi_comm.allreduce(loss) / comm.size


class SumEvaluator(Evaluator):
    """Accuracy and mean loss over all ranks' shares of T3."""

    def __init__(self, model: TextCNN, corpus: Any, sentences: np.ndarray, comm: Any) -> None:
        super().__init__(model, corpus, sentences[comm.rank :: comm.size])
        self.comm = comm

    def sums(self) -> tuple[float, float, float]:
        """Sums over all ranks, on each of them."""
        own = super().sums() if len(self.batch) else (0.0, 0.0, 0.0)
        n, right, loss = map(self.comm.mpi_comm.allreduce, own)
        return n, right, loss


class SentSnapshot(Snapshot):
    """Rank 0's snapshot, which it sends to the others when it resumes."""

    def __init__(self, *arguments: Any, comm: Any) -> None:
        super().__init__(*arguments)
        self.comm = comm

    def resume(self, trainer: Any) -> bool:
        """Resume from a state of this very run, as every rank does."""
        there = super().resume(trainer)
        self.comm.bcast_data(trainer.updater.model)
        return there

    def _read(self, trainer):
        return self.comm.mpi_comm.bcast(super()._read(trainer))


def gathered_measure(
    model: TextCNN, tokens: np.ndarray, offsets: np.ndarray, comm: Any
) -> Callable[[], Saliency | None]:
    """As :func:`replicate.recorder.saliency_measure`, each rank its share of sentences.

    Returns:
        callable: gives the saliency of all sentences on rank 0, None on the others.
    """
    first, last = share_of(offsets, comm.rank, comm.size)
    mine = offsets[first : last + 1]
    measure = saliency_measure(model, tokens[mine[0] : mine[-1]], mine - mine[0])

    def measured():
        parts = [np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)]
        if last > first:
            found = measure()
            parts = [found.token_saliency, found.predicted, found.uncertainty]
        whole = [_gathered(comm, part) for part in parts]
        return Saliency(*whole) if comm.rank == 0 else None

    return measured


def _gathered(comm, array):
    """A one-dimensional array of all ranks, one after another, on rank 0."""
    array = np.ascontiguousarray(array)
    lengths = comm.mpi_comm.gather(len(array))
    if comm.rank:
        comm.mpi_comm.Gatherv(array, None)
        return None
    whole = np.empty(sum(lengths), dtype=array.dtype)
    comm.mpi_comm.Gatherv(array, (whole, lengths))
    return whole


def share_of(offsets: np.ndarray, rank: int, size: int) -> tuple[int, int]:
    """First and last (exclusive) of a rank's sentences: shares of about as many words.

    Example:
        >>> offsets = np.array([0, 3, 5, 6])
        >>> share_of(offsets, 0, 2), share_of(offsets, 1, 2)
        ((0, 1), (1, 3))
    """
    cuts = offsets[0] + (offsets[-1] - offsets[0]) * np.arange(size + 1) / size
    ends = np.searchsorted(offsets, cuts)
    return int(ends[rank]), int(ends[rank + 1])


# --- what ranks do -------------------------------------------------------------


def lead(run: Run, on_progress: Callable[[Any, Any], None]) -> Outcome:
    """Carry out what is unfinished of a run on all ranks; this is rank 0.

    Args:
        run: prepared.
        on_progress: see :func:`replicate.parallel.schedule.run_all`.
    """
    comm = communicator()
    wait()  # the folder is prepared
    for seed in run.seeds:
        for arm in ARMS:
            unfinished = not run.finished(seed, arm)
            comm.mpi_comm.bcast(unfinished)
            if unfinished:
                run_stage(
                    run, seed, arm,
                    lambda *epoch, name=(seed, arm): on_progress(name, epoch), shared_parts(comm),
                )  # fmt: skip
                on_progress((seed, arm), "done")
        run.save_accuracies(seed)
    return Outcome({}, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def follow(out: Any) -> int:
    """What ranks above 0 do meanwhile.

    Args:
        out: DIR, which rank 0 prepares.

    Returns:
        int: exit code.
    """
    comm = communicator()
    wait()
    run = Run(out)
    for seed in run.seeds:
        for arm in ARMS:
            if comm.mpi_comm.bcast(None):
                follow_stage(run, seed, arm, comm)
    return 0


def follow_stage(run: Run, seed: int, arm: str, comm: Any) -> None:
    """The calls of :func:`replicate.training.train` that ranks make together, and no others."""
    config, corpus, parts = run.config, run.corpus, shared_parts(comm)
    subset = split_corpus(corpus.labels, seed, config.split)
    model, sentences, optimizer = starting_point(run, seed, arm)
    recorded = arm == "T1" or run.options.record_arms
    t1 = corpus.take(np.flatnonzero(subset == 1))
    measure = parts.measure(model, *t1) if recorded else lambda: None
    iterator = parts.iterator(corpus, sentences, config.batch_size, seed, model.xp)
    updater = parts.updater(iterator, optimizer or make_optimizer(model, config), model, seed)
    evaluator = parts.evaluator(model, corpus, np.flatnonzero(subset == 3))
    if config.record_epoch_0:
        evaluator.evaluate()
    state = comm.mpi_comm.bcast(None)
    if state is not None:
        updater.serialize(chainer.serializers.NpzDeserializer(state, strict=False)["updater"])
    comm.bcast_data(model)
    with chainer.using_config("type_check", False), chainer.using_config("train", True):
        if config.record_epoch_0 and updater.iteration == 0:
            measure()
        while updater.epoch < config.epochs:
            updater.update()
            if updater.is_new_epoch:
                evaluator.evaluate()
                measure()
