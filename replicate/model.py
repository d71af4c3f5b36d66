"""The network of Fig. 2 in two forms with the same parameters.

``reference`` is the plain Chainer composition: padded batches,
``Convolution2D``, ``max_pooling_2d``.  ``fused`` is
:func:`replicate.fast.convolution.convolution_max` on flat tokens.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .config import Config, generator
from .fast.compat import F, L, chainer, cuda
from .fast.convolution import Array, convolution_max, gather_rows, loss_and_gradients
from .fast.device import chainer_device
from .fast.rows import RowParameter
from .io.errors import InputError
from .io.files import load_npz, save_npz
from .run import Run

__all__ = [
    "Batch",
    "TextCNN",
    "initial_model",
    "load_weights",
    "pad",
    "padded_places",
    "trained_model",
]


@dataclass(frozen=True)
class Batch:
    """Sentences of one batch as flat arrays on one device.

    Attributes:
        ids: (U,) int32, the distinct words, as rows of the embedding.
        tokens: (T,) int32 into `ids`.
        offsets: (B + 1,) int64.
        labels: (B,) int32.
        host_offsets: (B + 1,) int64, NumPy's: `offsets`, without asking the device,
            which would have to finish its work first.
    """

    ids: Array
    tokens: Array
    offsets: Array
    labels: Array
    host_offsets: np.ndarray

    @classmethod
    def on(cls, xp: Any, ids: Array, tokens: Array, offsets: np.ndarray, labels: Array) -> "Batch":
        """A batch of NumPy arrays, put where `xp` (numpy or cupy) has its arrays.

        Raises:
            ValueError: for a sentence without words, which no device looks for.

        Example:
            >>> offsets = np.array([0, 1, 3])
            >>> len(Batch.on(np, np.array([7, 9]), np.array([0, 1, 0]), offsets, np.array([1, 0])))
            2
        """
        # The loops on a CPU look for themselves.
        if xp is not np and (offsets[1:] <= offsets[:-1]).any():
            raise ValueError("a sentence without words has no maximum")
        arrays = _sent(xp, (ids, tokens, offsets, labels))
        return cls(arrays[0], arrays[1], arrays[2], arrays[3], offsets)

    def __len__(self) -> int:
        return len(self.labels)


def _sent(xp, arrays):
    """Arrays where `xp` has its own; to a device in one transfer, which costs as much as a kernel."""
    if xp is np or not all(type(array) is np.ndarray for array in arrays):
        return [xp.asarray(array) for array in arrays]
    places, end = [], 0
    for array in arrays:
        places.append(slice(end, end + array.nbytes))
        end += -(-array.nbytes // 8) * 8  # where an array of any type may begin
    host = np.empty(end, dtype=np.uint8)
    for array, place in zip(arrays, places):
        host[place].view(array.dtype)[:] = array
    whole = xp.asarray(host)
    return [whole[place].view(array.dtype) for array, place in zip(arrays, places)]


class Embedding(chainer.Link):
    """The word vectors: a parameter when fine-tuned, a constant when static.

    Kim's two channels are one of each.  Every filter is applied to both, and the
    results are added; that is the filter applied to the sum of both vectors.

    The parameter is a :class:`~replicate.fast.rows.RowParameter`.  A step of the
    fused form on a CPU leaves the rows of the batch's words as its gradient, and
    ``W.grad`` is made dense (V + 1, D) for whoever asks.  The reference form, a GPU
    and Chainer's own ``backward`` leave it dense.

    Args:
        vectors: (V + 1, D) float32; row 0 is padding.
        mode: ``"static"``, ``"finetuned"`` or ``"multichannel"``.

    Attributes:
        static (bool): whether nothing is trained.
        W (RowParameter or array): what is trained; an array where nothing is, used as it
            is, so that processes share one memory-mapped file.
        constant (array or None): (V + 1, D), the channel that is not trained, of two.
    """

    W: Any

    def __init__(self, vectors: Array, mode: str):
        super().__init__()
        self.static = mode == "static"
        # No persistent value: snapshots need not hold what never changes.
        self.constant = vectors if mode == "multichannel" else None
        if self.static:
            self.W = vectors
        else:
            with self.init_scope():
                self.W = RowParameter(np.array(vectors))

    def device_resident_accept(self, visitor: Any) -> None:
        super().device_resident_accept(visitor)
        if self.static:
            self.W = visitor.visit_array(self.W)
        if self.constant is not None:
            self.constant = visitor.visit_array(self.constant)

    @property
    def array(self) -> Array:
        """(V + 1, D), the vectors as they are now; of two channels their sum."""
        if self.static:
            return self.W
        return self.W.array if self.constant is None else self.constant + self.W.array

    def rows(self, ids: Array) -> tuple[Array, Array | None]:
        """Arrays for a step of the fused form: vectors, and which of them are the words `ids`.

        Returns:
            (V + 1, D) and `ids`; of two channels (U, D), the words' own, and None.
        """
        if self.constant is None:
            return self.array, ids
        return gather_rows(self.constant, ids) + gather_rows(self.W.array, ids), None

    def __call__(self, ids: Array) -> chainer.Variable | Array:
        """Vectors of words, zero for id 0; an array when static."""
        if self.static:
            return _taken(self.W, ids)
        tuned = F.embed_id(ids, self.W, ignore_label=0)
        return tuned if self.constant is None else tuned + _taken(self.constant, ids)


def _taken(vectors, ids):
    return gather_rows(vectors, ids) if ids.ndim == 1 else vectors.take(ids, axis=0)


class TextCNN(chainer.Chain):
    """Words, one convolution over h words, max over time, softmax (Fig. 2).

    Parameters are named as Chainer names them: ``embed/W`` (V + 1, D),
    ``conv/W`` (F, 1, h, D), ``conv/b`` (F,), ``fc/W`` (C, F), ``fc/b`` (C,).
    With filters of several heights, as Kim (2014) has them, each height has F filters
    and a convolution of its own: ``conv3/W`` (F, 1, 3, D), ``conv4/W`` and so on; the
    features of all heights stand side by side, and ``fc/W`` is (C, F times heights).

    Args:
        vectors (numpy.ndarray): (V + 1, D) float32, row 0 zero.
        n_labels (int): C.
        config (Config): readings of the network.
        seed (int): names the initial weights; all arms of a seed share them.
        implementation (str): ``"fused"`` or ``"reference"``.

    Example:
        >>> model = TextCNN(np.zeros((5, 4), dtype=np.float32), 2, Config(n_filters=3), seed=0)
        >>> model.conv.W.shape, model.fc.W.shape
        ((3, 1, 3, 4), (2, 3))
    """

    def __init__(
        self,
        vectors: np.ndarray,
        n_labels: int,
        config: Config,
        seed: int,
        implementation: str = "fused",
    ):
        super().__init__()
        if implementation not in ("fused", "reference"):
            raise InputError(
                f"implementation {implementation!r} is not offered; choose fused or reference"
            )
        self.config = config
        self.implementation = implementation
        random = generator("initial weights", seed)
        if config.initial_weights == "kim":
            initial = chainer.initializers.Uniform(0.01, rng=random)
        else:
            initial = chainer.initializers.LeCunNormal(rng=random)
        several = len(config.heights) > 1
        with self.init_scope():
            self.embed = Embedding(vectors, config.vectors_mode)
            for height in config.heights:
                shape = height, vectors.shape[1]
                conv = L.Convolution2D(1, config.n_filters, shape, initialW=initial)
                setattr(self, f"conv{height}" if several else "conv", conv)
            self.fc = L.Linear(config.n_features, n_labels, initialW=initial)

    @property
    def convolutions(self) -> list[L.Convolution2D]:
        """The convolution of each height, in ascending order."""
        if len(self.config.heights) == 1:
            return [self.conv]
        return [self[f"conv{height}"] for height in self.config.heights]

    def features(self, batch: Batch) -> chainer.Variable:
        """Max-over-time features of a batch.

        Returns:
            Variable: (B, F), of several heights side by side.
        """
        if self.implementation == "reference":
            return self.features_of_padded(self.embed(self.padded(batch)), batch.offsets)
        return self.features_of_words(self.embed(batch.ids), batch.tokens, batch.offsets)

    def features_of_words(
        self, words: chainer.Variable | Array, tokens: Array, offsets: Array
    ) -> chainer.Variable:
        """Features of sentences from word vectors, by the fused convolution.

        Args:
            words, tokens, offsets: as :func:`~replicate.fast.convolution.convolution_max`.

        Returns:
            Variable: (B, F), of several heights side by side.
        """
        return _side_by_side(
            convolution_max(
                words, conv.W, conv.b, tokens, offsets,
                self.config.activation, self.config.padding,
            )
            for conv in self.convolutions
        )  # fmt: skip

    def padded(self, batch: Batch) -> Array:
        """(B, L) int32: rows of the embedding, 0 for padding; the reference form's input."""
        shortest = 0 if self.padding else self.config.heights[-1]
        return pad(batch.ids[batch.tokens], batch.host_offsets, self.padding, shortest)

    @property
    def padding(self) -> int:
        """Zero vectors on either side of a sentence in the reference form."""
        return self.config.heights[-1] - 1 if self.config.padding == "wide" else 0

    def features_of_padded(self, x: chainer.Variable | Array, offsets: Array) -> chainer.Variable:
        """Features from word vectors of padded sentences, in plain Chainer.

        Args:
            x: (B, L, D) Variable or array.
            offsets: (B + 1,) int64; separates windows of words from windows of
                padding, which take no part in the maximum.
        """
        x = F.expand_dims(chainer.as_variable(x), 1)
        heights = self.config.heights
        return _side_by_side(
            self._maxima(conv(x), height, offsets)
            for conv, height in zip(self.convolutions, heights)
        )

    def _maxima(self, h, height, offsets):
        """Maxima over the windows of words, from those of a padded rectangle."""
        xp = self.xp
        h = {"relu": F.relu, "tanh": F.tanh, "sigmoid": F.sigmoid}[self.config.activation](h)
        lengths = xp.diff(offsets)
        # Shorter filters have windows in the padding of longer ones.
        first = 0
        if self.config.padding == "wide":
            first = self.padding - (height - 1)
            n_windows = lengths + (height - 1)
        else:
            n_windows = xp.maximum(lengths - height, 0) + 1
        place = xp.arange(h.shape[2])[None, :] - first
        inside = (place >= 0) & (place < n_windows[:, None])
        inside = xp.broadcast_to(inside[:, None, :, None], h.shape)
        lowest = xp.full(h.shape, xp.finfo(h.dtype).min, dtype=h.dtype)
        h = F.where(inside, h, lowest)
        return F.max_pooling_2d(h, (h.shape[2], 1))[:, :, 0, 0]

    def head(
        self, features: chainer.Variable | Array, mask: Array | None = None
    ) -> chainer.Variable:
        """Output layer: logits (B, C).  `mask` is dropout's, drawn by the caller."""
        if mask is not None:
            features = F.dropout(features, self.config.dropout, mask=mask)
        return self.fc(features)

    def loss(
        self, logits: chainer.Variable | Array, labels: Array, reduce: str = "mean"
    ) -> chainer.Variable:
        """L of eq. (4) under the reading ``loss``: cross entropy, per batch or sentence."""
        if self.config.loss == "probabilities":
            logits = F.softmax(logits)
        return F.softmax_cross_entropy(logits, labels, reduce=reduce)

    def training_loss(self, batch: Batch, mask: Array | None = None) -> chainer.Variable:
        """Mean loss of a batch against the true labels."""
        return self.loss(self.head(self.features(batch), mask), batch.labels)

    def set_gradients(self, batch: Batch, mask: Array | None = None, weight: float = 1.0) -> Array:
        """Leave the gradients of a batch's mean loss, times a weight, in the parameters.

        That of fine-tuned word vectors is of the batch's rows, see :class:`Embedding`.

        Returns:
            array: (), the loss times the weight.
        """
        if not self._needs_no_graph():
            self.cleargrads()
            loss = self.training_loss(batch, mask)
            if weight != 1:
                loss *= weight
            loss.backward()
            if not self.embed.static:
                self.embed.W.ids = batch.ids
            return loss.array
        filters = [(conv.W, conv.b) for conv in self.convolutions]
        params = [param for pair in filters for param in pair] + [self.fc.W, self.fc.b]
        words, ids = self.embed.rows(batch.ids)
        loss, gradients = loss_and_gradients(
            words, [(W.array, b.array) for W, b in filters], self.fc.W.array, self.fc.b.array,
            batch.tokens, batch.offsets, batch.labels,
            self.config.activation, self.config.padding, mask, weight, ids,
            not self.embed.static,
        )  # fmt: skip
        for param, gradient in zip(params, gradients):
            # `param.grad = gradient` looks at type and shape first, which costs as
            # much as an update; these are known to fit.
            param._set_grad_without_check(gradient)
        if not self.embed.static:
            self.embed.W.set_rows(batch.ids, gradients[-1])
        return loss

    def _needs_no_graph(self):
        """Whether :func:`~replicate.fast.convolution.loss_and_gradients` does the whole step."""
        return (
            self.implementation == "fused"
            and self.config.loss != "probabilities"
            and not chainer.get_function_hooks()
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all weights, Chainer's names, embedding included."""
        save_npz(path, self.weights(embedding=True))

    def weights(self, embedding: bool) -> dict[str, np.ndarray]:
        """Weights as NumPy arrays by Chainer's names.

        Args:
            embedding (bool): with ``embed/W`` even where it is constant; of two channels
                it is the trained one.
        """
        arrays = {}
        for name, param in sorted(self.namedparams()):
            arrays[name[1:]] = cuda.to_cpu(param.array)
        if embedding and self.embed.static:
            arrays["embed/W"] = cuda.to_cpu(self.embed.W)
        return arrays

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trained weights by Chainer's names."""
        return {name[1:]: param.shape for name, param in self.namedparams()}

    def set_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy weights in, on whichever device the model is."""
        for name, param in self.namedparams():
            param.array[...] = self.xp.asarray(arrays[name[1:]])


def _side_by_side(features):
    """(B, F) Variables of some heights as one; that of one height as it is."""
    parts = list(features)
    return parts[0] if len(parts) == 1 else F.concat(parts, axis=1)


def load_weights(path: str | os.PathLike[str], model: TextCNN) -> None:
    """Read weights of ``model.npz`` into `model`, checked and never unpickled.

    ``chainer.serializers.load_npz`` would unpickle what it finds.

    Raises:
        InputError: when names, shapes, dtypes or static word vectors are not
            the model's, or a weight is not finite.
    """
    arrays = load_npz(path)
    wanted = {name[1:]: param.array for name, param in model.namedparams()}
    for name, like in wanted.items():
        have = arrays.get(name)
        if have is None or (have.dtype, have.shape) != (like.dtype, like.shape):
            raise InputError(
                f"{path}: no {like.dtype} {name} of shape {like.shape}; it is another model's"
            )
    odd = set(arrays) - set(wanted) - {"embed/W"}
    if odd:
        raise InputError(
            f"{path}: {sorted(odd)[0][:70]} is not a weight of this model; remove the file"
        )
    if model.embed.static and "embed/W" in arrays:
        if not np.array_equal(arrays["embed/W"], cuda.to_cpu(model.embed.array)):
            raise InputError(f"{path}: embed/W has other word vectors; it is another model's")
    model.set_weights(arrays)


def pad(ids: Array, offsets: Array, padding: int, shortest: int = 0) -> Array:
    """Sentences as rows of one rectangle, for the reference form.

    Args:
        ids: (T,) int32, NumPy's or CuPy's.
        offsets: (B + 1,) int64, NumPy's.
        padding (int): zeros before and after every sentence.
        shortest (int): least width of the rectangle.

    Returns:
        array: (B, max(longest + 2 padding, shortest)) int32, 0 where no word is.

    Example:
        >>> pad(np.array([7, 8, 9], dtype=np.int32), np.array([0, 1, 3]), 1).tolist()
        [[0, 7, 0, 0], [0, 8, 9, 0]]
    """
    xp = cuda.get_array_module(ids)
    width = max(int(np.diff(offsets).max()) + 2 * padding, shortest)
    out = xp.zeros((len(offsets) - 1) * width, dtype=np.int32)
    out[xp.asarray(padded_places(offsets, padding, width))] = ids
    return out.reshape(-1, width)


def padded_places(offsets: np.ndarray, padding: int, width: int) -> np.ndarray:
    """Where :func:`pad` puts each word, (T,) int64, counted through its rectangle's rows.

    Example:
        >>> padded_places(np.array([0, 1, 3]), padding=1, width=4).tolist()
        [1, 5, 6]
    """
    lengths = np.diff(offsets)
    first = np.arange(len(lengths)) * width + padding
    return np.repeat(first - offsets[:-1], lengths) + np.arange(offsets[-1])


def initial_model(
    run: Run, seed: int, weights: int | None = None, config: Config | None = None
) -> TextCNN:
    """The network with the initial weights of a seed, on the run's device.

    Args:
        run: prepared.
        seed: names the weights, and the vectors of unknown words.
        weights: another seed of the weights.
        config: other readings of the network.
    """
    initial = seed if weights is None else weights
    n_labels = len(run.settings["corpus"]["label_names"])
    readings = run.config if config is None else config
    model = TextCNN(run.vectors_of(seed), n_labels, readings, initial, run.options.implementation)
    model.to_device(chainer_device(run.options.device))
    return model


def trained_model(run: Run, seed: int, arm: str = "T1") -> TextCNN:
    """The network with the final weights of a training run.

    Args:
        run: with the training run done.
        seed: of the run.
        arm: which training run.
    """
    model = initial_model(run, seed)
    load_weights(run.model_file(seed, arm), model)
    return model
