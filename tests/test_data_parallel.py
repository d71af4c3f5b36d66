"""One model trained by several ranks: the numbers of one process, and the same calls on every rank."""

import copy
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ranks import SMALL, UNDRAWN, _mpi, contents, done, needs_mpi, read_rows, start  # noqa: F401

from replicate import experiment, recorder, training
from replicate.config import Config
from replicate.corpus import Corpus
from replicate.experiment import prepare, run_seed
from replicate.io import files
from replicate.model import initial_model
from replicate.parallel import data_parallel
from replicate.run import Options
from replicate.training import EpochIterator, Evaluator

#: Of numbers that ranks compute together: float32 sums in another order.
TOLERANCE = 1e-5
CONFIG = Config(n_filters=3, epochs=3, batch_size=8, learning_rate=0.01, optimizer="MomentumSGD")


def differences(ours, theirs):
    """Greatest difference of what a seed recorded, against the greatest value."""
    found = {}
    for name in ("saliency", "doubt", "movement_raw", "movement_words"):
        a, b = (np.load(run / "seed-000" / "T1" / f"{name}.npy") for run in (ours, theirs))
        found[name] = np.abs(a - b).max() / np.abs(b).max()
    for arm in ("T1", "arms/T2h", "arms/T1andT2"):
        a, b = (np.load(run / "seed-000" / arm / "model.npz") for run in (ours, theirs))
        found[arm] = max(np.abs(a[n] - b[n]).max() / np.abs(b[n]).max() for n in b.files)
    a, b = (read_rows(run / "seed-000" / "accuracy.csv") for run in (ours, theirs))
    found["training"] = max(abs(float(x["loss"]) - float(y["loss"])) for x, y in zip(a, b))
    assert [x["arm"] for x in a] == [x["arm"] for x in b]
    assert [x["accuracy"] for x in a] == [x["accuracy"] for x in b]
    return found


# --- ranks that are threads ----------------------------------------------------------


class Rank:
    """Stands for ChainerMN's communicator and MPI's: a call ends when all ranks have made it."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.size, self.slots, self.barrier = rank, len(slots), slots, barrier
        self.mpi_comm = self

    def exchange(self, call, value):
        """Values of all ranks, which must have made the same call."""
        self.slots[self.rank] = (call, value)
        self.barrier.wait()
        calls, values = zip(*copy.deepcopy(self.slots))
        self.barrier.wait()
        assert set(calls) == {call}, calls
        return values

    def bcast(self, value):
        return self.exchange("bcast", value)[0]

    def allreduce(self, value):
        return sum(self.exchange("allreduce", value))

    def gather(self, value):
        values = self.exchange("gather", value)
        return list(values) if self.rank == 0 else None

    def Gatherv(self, array, target):
        arrays = self.exchange("Gatherv", array)
        if self.rank == 0:
            whole, lengths = target
            assert [len(a) for a in arrays] == lengths
            whole[:] = np.concatenate(arrays)

    def bcast_data(self, model):
        weights = {name: param.array for name, param in model.namedparams()}
        weights = self.exchange("bcast_data", weights)[0]
        for name, param in model.namedparams():
            param.array[...] = weights[name]

    def multi_node_mean_grad(self, model, zero_fill=False):
        assert zero_fill
        own = {name: param.grad for name, param in model.namedparams()}
        others = self.exchange("mean", own)
        for name, param in model.namedparams():
            zero = np.zeros_like(param.array)
            grads = [zero if grads[name] is None else grads[name] for grads in others]
            param.grad = sum(grads) / np.float32(self.size)


def together(n, work):
    """``work(comm)`` on each of n ranks at once: what it returned, by rank."""
    barrier, slots, errors, returned = threading.Barrier(n, timeout=60), [None] * n, [], [None] * n

    def guarded(rank):
        try:
            returned[rank] = work(Rank(rank, slots, barrier))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=guarded, args=(rank,)) for rank in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    assert errors == []
    return returned


@pytest.fixture
def ranks(monkeypatch):
    """``ranks(n, run)``: n ranks carry out a run together; what rank 0 reported."""
    own = threading.local()
    monkeypatch.setattr(data_parallel, "communicator", lambda: own.comm)
    monkeypatch.setattr(data_parallel, "wait", lambda: own.comm.exchange("wait", None))

    def carry_out(n, run):
        reported = []

        def work(comm):
            own.comm = comm
            if comm.rank:
                return data_parallel.follow(run.out)
            return data_parallel.lead(run, lambda *message: reported.append(message))

        assert together(n, work)[1:] == [0] * (n - 1)
        return reported

    return carry_out


@pytest.fixture
def prepared(corpus_file, tmp_path):
    """``prepared(name, **readings)``: a run of which nothing is done."""

    def make(name, options=None, **readings):
        return prepare(
            tmp_path / name, CONFIG.replace(**readings), options or Options(), [0], [corpus_file],
            "random", dimensions=6,
        )  # fmt: skip

    return make


#: Batches that no rank shares evenly, the last with fewer sentences than ranks; dropout;
#: the untrained model's record; weights that are sent to and fro.
ODD = {
    "batch_size": 17,
    "dropout": 0.3,
    "record_epoch_0": True,
    "vectors_mode": "finetuned",
    "optimizer_state": "carried",
}
CASES = {
    "two": (2, {}),
    "three, odd": (3, {**ODD, "options": Options(record_arms=True)}),
    "two, absent words stay": (2, {**ODD, "absent_words": "stay", "optimizer": "Adam"}),
    "three, streaming": (3, {"batch_size": 7, "options": Options(stored=False)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["two", "three, odd", "two, absent words stay"])
def test_ranks_together_give_the_numbers_of_one_process(case, ranks, prepared):
    """All arms, the record and the evaluation; rank 0 reports every epoch."""
    n, readings = CASES[case]
    alone, shared = prepared("alone", **readings), prepared("shared", **readings)
    run_seed(alone, 0)
    reported = ranks(n, shared)
    assert max(differences(shared.out, alone.out).values()) < TOLERANCE
    assert contents(shared.out).keys() == contents(alone.out).keys()
    assert [message for name, message in reported if name == (0, "T2h")][-1] == "done"
    assert [m[0] for name, m in reported if name == (0, "T1") and m != "done"] == [1, 2, 3]
    assert ranks(n, shared) == []  # nothing is left to do


def test_a_streaming_run_is_shared_too(ranks, prepared):
    n, readings = CASES["three, streaming"]
    alone, shared = prepared("alone", **readings), prepared("shared", **readings)
    run_seed(alone, 0)
    ranks(n, shared)
    a, b = (np.load(run.folder(0, "T1") / "doubt.npy") for run in (alone, shared))
    np.testing.assert_allclose(a, b, rtol=1e-4)
    assert contents(shared.out).keys() == contents(alone.out).keys()


@pytest.mark.parametrize("what", ["gradients", "batches", "evaluation"])
def test_what_is_not_shared_is_noticed(what, ranks, prepared, monkeypatch):
    """Twin of the comparison: each rank goes its own way in one thing."""
    alone, shared = prepared("alone"), prepared("shared")
    run_seed(alone, 0)
    if what == "gradients":
        monkeypatch.setattr(Rank, "multi_node_mean_grad", lambda self, model, zero_fill: None)
    elif what == "batches":
        monkeypatch.setattr(data_parallel.ShareIterator, "_batch", EpochIterator._batch)
    else:
        monkeypatch.setattr(data_parallel.SumEvaluator, "sums", Evaluator.sums)
    ranks(2, shared)
    with pytest.raises(AssertionError):
        assert max(differences(shared.out, alone.out).values()) < TOLERANCE


@pytest.mark.parametrize("sent", [True, False])
def test_ranks_start_from_the_weights_of_rank_0(sent, ranks, prepared, monkeypatch):
    """Those that start with others have its weights at the first step; twin: where none are sent."""
    alone, shared = prepared("alone"), prepared("shared")
    run_seed(alone, 0)
    real, leader = experiment.initial_model, []

    def model(run, seed):
        return real(run, seed, seed + (threading.current_thread() not in leader))

    def lead(*arguments, real=data_parallel.lead):
        leader.append(threading.current_thread())
        return real(*arguments)

    monkeypatch.setattr(data_parallel, "lead", lead)
    monkeypatch.setattr(experiment, "initial_model", model)
    if not sent:
        monkeypatch.setattr(Rank, "bcast_data", lambda self, model: None)
    ranks(2, shared)
    a, b = (np.load(run.folder(0, "T1") / "model.npz")["conv/W"] for run in (shared, alone))
    assert (np.abs(a - b).max() < TOLERANCE * np.abs(b).max()) == sent


class Kill(BaseException):
    """Stands for a kill."""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_ranks_go_on_after_a_kill(case, ranks, prepared, monkeypatch):
    """After the snapshot of epoch 2 of T1: the same bytes as undisturbed."""
    n, readings = CASES[case]
    monkeypatch.setenv("REPLICATE_SNAPSHOT_SECONDS", "0")
    whole, killed = prepared("whole", **readings), prepared("killed", **readings)
    ranks(n, whole)
    write = training.Snapshot.__call__

    def until(self, trainer):
        write(self, trainer)
        if trainer.updater.epoch == 2:
            raise Kill

    with monkeypatch.context() as patch, pytest.raises(Kill):
        patch.setattr(training.Snapshot, "__call__", until)
        ranks(n, killed)
    assert (killed.folder(0, "T1") / "snapshot.npz").is_file()
    reported = ranks(n, killed)
    assert [m[0] for name, m in reported if name == (0, "T1") and m != "done"] == [3]
    assert contents(killed.out) == contents(whole.out)


def test_ranks_above_0_write_nothing(ranks, prepared, monkeypatch):
    """Rank 0 alone has the folder's lock."""
    run, writers = prepared("run"), set()
    real = files.atomic

    def noted(path):
        writers.add(threading.current_thread().name)
        return real(path)

    monkeypatch.setattr(files, "atomic", noted)
    monkeypatch.setattr(
        recorder._Rows, "put",
        lambda *arguments, real=recorder._Rows.put, **values: (
            writers.add(threading.current_thread().name), real(*arguments, **values)
        ),
    )  # fmt: skip
    ranks(3, run)
    assert len(writers) == 1


# --- shares ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_cover_all_sentences_once(size):
    """Contiguous, none twice, alike in words; an empty share is allowed."""
    offsets = 5 + np.cumsum([0, 3, 1, 4, 1, 5, 9, 2, 6])
    bounds = [data_parallel.share_of(offsets, rank, size) for rank in range(size)]
    assert bounds[0][0] == 0 and bounds[-1][1] == len(offsets) - 1
    assert all(a[1] == b[0] for a, b in zip(bounds, bounds[1:]))
    words = [offsets[b] - offsets[a] for a, b in bounds]
    assert max(words) <= (offsets[-1] - offsets[0]) / size + 9


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ranks_share_a_batch(size):
    """The shares of all ranks are the batch of one: every sentence once."""
    lengths = np.arange(1, 8)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.arange(offsets[-1], dtype=np.int32)
    labels = np.arange(len(lengths), dtype=np.int32)
    corpus = Corpus([str(t) for t in tokens], tokens, offsets, labels, ("a", "b"), {})

    def labels_of(iterator):
        return [next(iterator).labels.tolist() for _ in range(2)]

    arguments = (corpus, np.arange(7), 4, 0)
    shares = [
        labels_of(
            data_parallel.ShareIterator(*arguments, comm=SimpleNamespace(rank=rank, size=size))
        )
        for rank in range(size)
    ]
    for i, whole in enumerate(labels_of(EpochIterator(*arguments))):
        assert sorted(sum((share[i] for share in shares), [])) == sorted(whole)
    if size == 1:
        assert shares == [labels_of(EpochIterator(*arguments))]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_empty_share_adds_nothing(size, prepared):
    """More ranks than sentences: saliency and evaluation are those of one process."""
    run = prepared("run")
    model, three = initial_model(run, 0), np.array([5, 8, 9])
    sentences = run.corpus.take(three)

    def work(comm):
        measured = data_parallel.gathered_measure(model, *sentences, comm)()
        return measured, data_parallel.SumEvaluator(model, run.corpus, three, comm).evaluate()

    found = together(size, work)
    expected = recorder.saliency_measure(model, *sentences)()
    for name in ("token_saliency", "predicted", "uncertainty"):
        assert getattr(found[0][0], name).tobytes() == getattr(expected, name).tobytes()
    assert [measured for measured, _ in found[1:]] == [None] * (size - 1)
    for _, evaluated in found:
        np.testing.assert_allclose(evaluated, Evaluator(model, run.corpus, three).evaluate())


# --- ranks that are processes ------------------------------------------------------------


@needs_mpi
def test_the_command_under_mpiexec(tmp_path):
    """The numbers of one process; killed and started again, the bytes of two ranks."""
    undrawn = {"code": UNDRAWN, "script": tmp_path / "undrawn.py"}
    done(1, ["run", *SMALL, "--out", tmp_path / "alone"], **undrawn)
    command = ["run", *SMALL, "--data-parallel", "--out"]
    done(2, [*command, tmp_path / "whole"], **undrawn)
    assert max(differences(tmp_path / "whole", tmp_path / "alone").values()) < TOLERANCE
    assert contents(tmp_path / "whole").keys() == contents(tmp_path / "alone").keys()
    killed = start(
        2, [*command, tmp_path / "killed"], code=KILLED, script=tmp_path / "killed.py",
        REPLICATE_SNAPSHOT_SECONDS="0",
    )  # fmt: skip
    assert killed.returncode != 0
    assert (tmp_path / "killed" / "seed-000" / "T1" / "snapshot.npz").is_file()
    assert not (tmp_path / "killed" / "seed-000" / "T1" / "stage.json").exists()
    done(2, [*command, tmp_path / "killed"], **undrawn)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


#: Rank 0 is killed after it has written a snapshot of epoch 2 of T1.
KILLED = """
    import os, signal
    from replicate import training

    write = training.Snapshot.__call__

    def until(self, trainer):
        write(self, trainer)
        if trainer.updater.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare():
        training.Snapshot.__call__ = until
"""


@pytest.mark.slow
def test_data_parallel_needs_ranks(tmp_path):
    ended = start(1, ["run", *SMALL, "--data-parallel", "--out", tmp_path / "run"])
    assert ended.returncode == 2 and "mpiexec -n 2" in ended.stderr
    assert not (tmp_path / "run").exists()
