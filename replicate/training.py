"""One training run in Chainer's idiom: iterator, optimizer, Trainer, extensions, snapshots (4.3)."""

import contextlib
import hashlib
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np

from .config import generator
from .fast.compat import chainer, cuda, extensions, optimizer_hooks, optimizers, training
from .io.errors import InputError
from .io.files import load_npz, save_npz
from .model import Batch
from .parallel.ranks import ALONE
from .saliency import classify, flat_batch

__all__ = ["EpochIterator", "Updater", "make_optimizer", "train"]


class EpochIterator(chainer.dataset.Iterator):
    """Batches of an epoch, in an order drawn from the seed and the epoch.

    The last batch of an epoch is smaller where B does not divide n; none
    straddles two epochs.  An epoch's order depends on nothing that came
    before, so the state is two numbers.

    Args:
        corpus (Corpus): where sentences come from.
        sentences (numpy.ndarray): (n,) indices, the training set.
        batch_size (int): B.
        seed (int): names the order; arms of like size share it.
        xp: numpy or cupy, where batches go.
        group (replicate.parallel.ranks.OneRank): ranks that share every batch.

    Attributes:
        last (numpy.ndarray): sentences of the last batch, of all ranks.
    """

    def __init__(self, corpus, sentences, batch_size, seed, xp=np, group=ALONE):
        self.corpus = corpus
        self.sentences = np.asarray(sentences)
        self.batch_size = batch_size
        self.seed = seed
        self.xp = xp
        self.group = group
        self.last = self.sentences[:0]
        self.epoch = 0
        self.position = 0
        self.is_new_epoch = False
        self._order = None
        # When a word was last packed: tells distinct words without sorting.
        self._stamp = np.zeros(len(corpus.words), dtype=np.int64)
        self._place = np.zeros(len(corpus.words), dtype=np.int32)
        self._packed = 0

    @property
    def epoch_detail(self):
        """Epochs done, with the part of the current one."""
        return self.epoch + self.position / len(self.sentences)

    @property
    def previous_epoch_detail(self):
        """:attr:`epoch_detail` before the last batch; triggers read it."""
        return self._previous if hasattr(self, "_previous") else -1.0

    def __next__(self):
        if self._order is None:
            order = generator("order", self.seed, self.epoch).permutation(len(self.sentences))
            self._order = self.sentences[order]
        self._previous = self.epoch_detail
        chosen = self._order[self.position : self.position + self.batch_size]
        self.position += len(chosen)
        self.is_new_epoch = self.position >= len(self.sentences)
        if self.is_new_epoch:
            self.epoch += 1
            self.position = 0
            self._order = None
        self.last = chosen
        return self._batch(chosen[self.group.rank :: self.group.size])

    next = __next__

    def _batch(self, chosen):
        corpus = self.corpus
        self._packed += 1
        parts = _pack(
            corpus.tokens, corpus.offsets, corpus.labels, chosen,
            self._stamp, self._place, self._packed,
        )  # fmt: skip
        return Batch.on(self.xp, *parts)

    def serialize(self, serializer):
        self.epoch = serializer("epoch", self.epoch)
        self.position = serializer("position", self.position)


@numba.njit(cache=True, nogil=True)
def _pack(tokens, offsets, labels, chosen, stamp, place, packed):
    """Flat tokens, offsets, labels and distinct words (+ 1) of chosen sentences."""
    n = len(chosen)
    out_offsets = np.empty(n + 1, dtype=np.int64)
    out_offsets[0] = 0
    out_labels = np.empty(n, dtype=np.int32)
    for i in range(n):
        s = chosen[i]
        out_offsets[i + 1] = out_offsets[i] + offsets[s + 1] - offsets[s]
        out_labels[i] = labels[s]
    out_tokens = np.empty(out_offsets[n], dtype=np.int32)
    ids = np.empty(out_offsets[n], dtype=np.int32)
    distinct = 0
    t = 0
    for i in range(n):
        for j in range(offsets[chosen[i]], offsets[chosen[i] + 1]):
            word = tokens[j]
            if stamp[word] != packed:
                stamp[word] = packed
                place[word] = distinct
                ids[distinct] = word + 1
                distinct += 1
            out_tokens[t] = place[word]
            t += 1
    return ids[:distinct].copy(), out_tokens, out_offsets, out_labels


class Updater(training.updaters.StandardUpdater):
    """One step of the optimiser on one batch, dropout drawn from its own generator."""

    def __init__(self, iterator, optimizer, model, seed):
        super().__init__(iterator, optimizer, device=model.device)
        self.model = model
        self.seed = seed
        self._dropout = None

    def update_core(self):
        iterator = self._iterators["main"]
        epoch = iterator.epoch
        batch = iterator.next()
        mask = self._mask(len(iterator.last), epoch)
        group = iterator.group
        total = 0.0
        if len(batch):
            share = None if mask is None else mask[group.rank :: group.size]
            # ChainerMN averages over ranks; shares differ in length, so each loss
            # is weighted for the average to be the mean over sentences.
            weight = len(batch) * group.size / len(iterator.last)
            total = self.model.set_gradients(batch, share, weight)
        else:
            self.model.cleargrads()
        group.mean_gradient(self.model)
        # Not by ChainerMN's own optimizer, which would leave out the first step.
        self._optimizers["main"].update()
        chainer.report({"main/loss": group.sum(total) / group.size})

    def _mask(self, n, epoch):
        """Dropout's mask (B, F), or None."""
        ratio = self.model.config.dropout
        if ratio == 0:
            return None
        if self._dropout is None or self._dropout[0] != epoch:
            self._dropout = (epoch, generator("dropout", self.seed, epoch))
        drawn = self._dropout[1].random_sample((n, self.model.config.n_filters))
        mask = (drawn >= ratio).astype(np.float32) / np.float32(1 - ratio)
        return self.model.xp.asarray(mask)


def make_optimizer(model, config):
    """The optimiser of a reading, with weight decay and max-norm where they are on.

    Returns:
        chainer.Optimizer: set up for `model`.
    """
    rate = config.learning_rate
    adam = FusedAdam if model.implementation == "fused" else optimizers.Adam
    optimizer = {
        "Adam": lambda: adam(alpha=rate),
        "SGD": lambda: optimizers.SGD(lr=rate),
        "MomentumSGD": lambda: optimizers.MomentumSGD(lr=rate),
        "AdaDelta": lambda: optimizers.AdaDelta(),
        "AdaGrad": lambda: optimizers.AdaGrad(lr=rate),
    }[config.optimizer]()
    optimizer.setup(model)
    if config.weight_decay:
        optimizer.add_hook(optimizer_hooks.WeightDecay(config.weight_decay))
    if config.max_norm:
        model.fc.W.update_rule.add_hook(MaxNorm(config.max_norm))
    return optimizer


class FusedAdam(optimizers.Adam):
    """Chainer's Adam with its CPU update in one loop over memory instead of twelve."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # What the rules of one update have in common, while it lasts.
        self._shared = {}

    def create_update_rule(self):
        return FusedAdamRule(self.hyperparam, self._shared)

    def update(self, *args, **kwargs):
        try:
            super().update(*args, **kwargs)
        finally:
            self._shared.clear()

    def reallocate_cleared_grads(self):
        """Nothing: the rule leaves out a parameter without a gradient (Chainer allows this)."""


class FusedAdamRule(optimizers.adam.AdamRule):
    """Update rule of :class:`FusedAdam`: Chainer's formula, element by element."""

    _hooked = False

    def __init__(self, parent_hyperparam, shared):
        super().__init__(parent_hyperparam)
        self._shared = shared

    def add_hook(self, *args, **kwargs):
        self._hooked = True
        super().add_hook(*args, **kwargs)

    def update(self, param):
        # Chainer's way around a parameter (devices, states, loss scaling, hooks)
        # costs more than the update itself; a plain NumPy array needs none of it.
        plain = (
            self.enabled
            and self._state is not None
            and not self._hooked
            and param._loss_scale is None
            and type(param.array) is np.ndarray
            and type(self._state["m"]) is np.ndarray
        )
        if not plain:
            super().update(param)
            return
        self.t += 1
        self.update_core_cpu(param)

    def update_core_cpu(self, param):
        constants, weight = self._constants(), param.array
        if constants is None or weight.dtype != np.float32 or not weight.flags.c_contiguous:
            super().update_core_cpu(param)
        elif param.grad is not None:
            grad = np.ascontiguousarray(param.grad)
            _adam(
                weight.ravel(),
                grad.ravel(),
                self._state["m"].ravel(),
                self._state["v"].ravel(),
                *constants,
            )

    def _constants(self):
        """Step size, 1 - beta1, 1 - beta2 and epsilon; None for a form of Adam other than its first."""
        # Chainer looks each name up in a chain of three; rules that have no
        # hyperparameter of their own, and all else in common, do so once.
        own = len(self.hyperparam.__dict__) > 1  # beside its parent
        if not own and self.t in self._shared:
            return self._shared[self.t]
        hp = SimpleNamespace(**self.hyperparam.get_dict())
        constants = None
        if not (hp.amsgrad or hp.adabound or hp.weight_decay_rate):
            numbers = (self.alpha_t * hp.eta, 1 - hp.beta1, 1 - hp.beta2, hp.eps)
            constants = tuple(map(np.float32, numbers))
        if not own:
            self._shared[self.t] = constants
        return constants


# Division as NumPy's, without a check for zero that would keep it from SIMD.
@numba.njit(cache=True, nogil=True, error_model="numpy")
def _adam(weight, grad, m, v, rate, rest1, rest2, eps):
    for i in range(len(weight)):
        g = grad[i]
        m[i] += rest1 * (g - m[i])
        v[i] += rest2 * (g * g - v[i])
        weight[i] -= rate * m[i] / (np.sqrt(v[i]) + eps)


class MaxNorm:
    """Hook of an update rule: rows longer than a bound are scaled back to it (Kim 2014)."""

    name = "MaxNorm"
    timing = "post"

    def __init__(self, bound):
        self.bound = bound

    def __call__(self, rule, param):
        weight = param.array
        xp = cuda.get_array_module(weight)
        norm = xp.sqrt((weight * weight).sum(axis=1, keepdims=True))
        weight *= xp.minimum(1.0, self.bound / xp.maximum(norm, 1e-12)).astype(weight.dtype)


class Evaluator(training.Extension):
    """Trainer extension: accuracy and mean loss on T3 after every epoch (section 4.5)."""

    trigger = (1, "epoch")
    priority = training.PRIORITY_WRITER

    def __init__(self, model, corpus, sentences, group=ALONE):
        self.model = model
        self.group = group
        sentences = sentences[group.rank :: group.size]
        self.labels = corpus.labels[sentences]
        self.batch = flat_batch(model, *corpus.take(sentences), self.labels)

    def evaluate(self):
        """Accuracy and mean loss, as floats."""
        right = loss = np.zeros(0)
        if len(self.batch):
            classified = classify(self.model, self.batch)
            right, loss = classified.predicted == self.labels, classified.loss
        sums = (len(loss), right.sum(), loss.sum(dtype=np.float64))
        n, right, loss = (self.group.sum(float(number)) for number in sums)
        return right / n, loss / n

    def __call__(self, trainer):
        accuracy, loss = self.evaluate()
        chainer.report({"T3/accuracy": accuracy, "T3/loss": loss})


class Snapshot(training.Extension):
    """Trainer extension: the whole state at an epoch's end, not oftener than every few seconds.

    Args:
        path: the file, replaced as a whole.
        fingerprint (str): of what is trained; another run's state is not taken up.
        recorder (Recorder): its files are flushed first; may be None.
        seconds (float): least time between two snapshots.
        group (replicate.parallel.ranks.OneRank): rank 0 writes, all take up.
    """

    trigger = (1, "epoch")
    priority = -100

    def __init__(self, path, fingerprint, recorder=None, seconds=20.0, group=ALONE):
        self.group = group
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.recorder = recorder
        self.seconds = seconds
        self._last = time.monotonic()

    def __call__(self, trainer):
        if time.monotonic() - self._last < self.seconds:
            return
        if not self.group.leads:
            return
        if self.recorder is not None:
            self.recorder.flush()
        serializer = chainer.serializers.DictionarySerializer()
        trainer.serialize(serializer)
        # Chainer writes None as an object, which only pickle could store.
        arrays = {
            name: value for name, value in serializer.target.items() if value.dtype.kind != "O"
        }
        mark = _digest(self.fingerprint, arrays)
        save_npz(self.path, {"fingerprint": np.array(mark), **arrays})
        self._last = time.monotonic()

    def resume(self, trainer):
        """Take up a state of this very run.

        A damaged file or another run's is as good as none: training is
        repeated and gives the same bytes.

        Returns:
            bool: whether there was one.
        """
        arrays = self.group.bcast(self._read(trainer) if self.group.leads else None)
        if arrays is None:
            return False
        # Not strict: what was None at the time has no array.
        trainer.serialize(chainer.serializers.NpzDeserializer(arrays, strict=False))
        return True

    def _read(self, trainer):
        """Arrays of the snapshot, or None where it is not this run's."""
        try:
            arrays = load_npz(self.path)
        except InputError:
            return None
        mark = str(arrays.pop("fingerprint", ""))
        if mark != _digest(self.fingerprint, arrays) or not _fits(trainer, arrays):
            return None
        if self.recorder is not None:
            state = "extensions/Recorder/"
            recorded = (int(arrays[state + "stream/epochs"]), arrays[state + "checks"])
            if not self.recorder.holds(*recorded):
                return None
        return arrays


def _digest(fingerprint, arrays):
    """Of a run and of a whole state: no array of it can be another's."""
    digest = hashlib.blake2b(fingerprint.encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(f"|{name} {arrays[name].dtype.str} {arrays[name].shape}|".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _fits(trainer, arrays):
    """Whether arrays are a state of this trainer, before any of it is changed."""
    serializer = chainer.serializers.DictionarySerializer()
    trainer.updater.serialize(serializer["updater"])
    for name in ("Recorder", "EpochWeights"):
        with contextlib.suppress(ValueError):  # not among this trainer's
            trainer.get_extension(name).serialize(serializer["extensions"][name])
    now = serializer.target
    for name, value in now.items():
        if value.dtype.kind == "O":
            continue  # None: no state yet
        found = arrays.get(name)
        if found is None or found.dtype.kind != value.dtype.kind or found.shape != value.shape:
            return False
    for name in arrays.keys() - now.keys():
        if not name.startswith("updater/"):
            continue  # triggers and the log: single values
        # The optimiser's states of a parameter are made at its first update.
        owner = name.rpartition("/")[0].replace("/optimizer:", "/model:")
        if owner not in now or arrays[name].shape not in ((), now[owner].shape):
            return False
    return True


class EpochWeights(training.Extension):
    """Trainer extension: the trained weights of every epoch, to explain a text afterwards.

    Attributes:
        arrays (dict): Chainer's name -> (E, ...) float32; static word vectors
            are not among them.
    """

    trigger = (1, "epoch")
    priority = training.PRIORITY_WRITER

    def __init__(self, model, epochs):
        self.model = model
        self.arrays = {
            name: np.zeros((epochs, *value.shape), dtype=value.dtype)
            for name, value in model.weights(embedding=False).items()
        }

    def __call__(self, trainer):
        for name, value in self.model.weights(embedding=False).items():
            self.arrays[name][trainer.updater.epoch - 1] = value

    def serialize(self, serializer):
        for name, value in self.arrays.items():
            self.arrays[name] = serializer(name, value)


class Progress(training.Extension):
    """Trainer extension: tells a callable the epoch and the accuracy."""

    trigger = (1, "epoch")
    # Before the snapshot, whose state would else have it told once more.
    priority = -50

    def __init__(self, tell):
        self.tell = tell

    def __call__(self, trainer):
        observed = trainer.observation.get("T3/accuracy")
        self.tell(trainer.updater.epoch, observed)


def train(
    model,
    corpus,
    sentences,
    evaluation,
    *,
    seed,
    folder,
    optimizer=None,
    recorder=None,
    keeper=None,
    fingerprint="",
    tell=None,
    snapshot_seconds=None,
    group=ALONE,
):
    """Train a model on some sentences and evaluate it after every epoch.

    A snapshot in `folder` is taken up when it is there.  Weights are the same
    bits with and without a recorder, and however often training was stopped.

    Args:
        model (TextCNN): trained in place.
        corpus (Corpus): the corpus.
        sentences (numpy.ndarray): (n,) training sentences.
        evaluation (numpy.ndarray): (m,) sentences of T3.
        seed (int): names order and dropout.
        folder: where the snapshot goes while training.
        optimizer: carried over from before; None makes a fresh one.
        recorder (Recorder): may be None.
        keeper (EpochWeights): may be None.
        fingerprint (str): of the run, see :class:`Snapshot`.
        tell: callable ``(epoch, accuracy)``; may be None.
        snapshot_seconds (float): least time between two snapshots; None takes
            that of the environment's ``REPLICATE_SNAPSHOT_SECONDS``, or 20.
        group (replicate.parallel.ranks.OneRank): ranks that train this model together,
            all of which call this.

    Returns:
        tuple: rows ``(epoch, accuracy, loss, training loss)`` and the
        optimiser.  Under ``record_epoch_0`` the first row is of epoch 0,
        whose training loss is NaN.
    """
    config = model.config
    folder = Path(folder)
    if snapshot_seconds is None:
        snapshot_seconds = float(os.environ.get("REPLICATE_SNAPSHOT_SECONDS", 20))
    iterator = EpochIterator(corpus, sentences, config.batch_size, seed, model.xp, group)
    if optimizer is None:
        optimizer = make_optimizer(model, config)
    updater = Updater(iterator, optimizer, model, seed)
    trainer = training.Trainer(updater, (config.epochs, "epoch"), out=str(folder))
    evaluator = Evaluator(model, corpus, evaluation, group)
    log = extensions.LogReport(trigger=(1, "epoch"), log_name=None)
    snapshot = Snapshot(folder / "snapshot.npz", fingerprint, recorder, snapshot_seconds, group)
    for extension in filter(None, (evaluator, recorder, keeper, log, snapshot)):
        trainer.extend(extension)
    if tell is not None:
        trainer.extend(Progress(tell))
    rows = []
    if config.record_epoch_0:
        rows.append((0, *evaluator.evaluate(), float("nan")))
    snapshot.resume(trainer)
    group.same_weights(model)
    # Types were checked when the functions were tested; per call it costs as
    # much as some of them.
    with chainer.using_config("type_check", False), chainer.using_config("train", True):
        trainer.run(show_loop_exception_msg=False)
    if recorder is not None:
        recorder.finish()
    if group.leads:
        with contextlib.suppress(OSError):
            (folder / "snapshot.npz").unlink()
    rows += [
        (entry["epoch"], entry["T3/accuracy"], entry["T3/loss"], entry["main/loss"])
        for entry in log.log
    ]
    return rows, optimizer
