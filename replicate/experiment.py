"""The stages of section 4 in order, resumable.

A stage reads files and writes files; ``stage.json`` beside them names each
with its checksum and is written last.  A stage whose marker is missing or
does not hold is done again, from its last snapshot.
"""

import hashlib
import json
import platform
import re
import zlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from . import __version__
from .config import ARMS, Config, is_seed
from .corpus import Corpus, read_corpus
from .fast.compat import chainer, cuda
from .instability import sentence_instability, word_instability
from .io.errors import InputError, shorten
from .io.files import (
    load_json,
    load_npy,
    load_npz,
    read_csv,
    save_csv,
    save_json,
    save_npy,
    save_npz,
    sha256,
    sweep_temporaries,
)
from .model import TextCNN, load_weights
from .recorder import Recorder
from .selection import arm_sentences, median_halves, unscored_arms
from .split import split_corpus, subset_sizes
from .training import PARTS, EpochCheckpoints, make_optimizer, train
from .vectors import coverage, embedding_matrix

__all__ = ["Options", "RunFolder", "prepare", "run_seed", "run_stage"]

ACCURACY = ("arm", "epoch", "accuracy", "loss")
INSTABILITY = ("word", "count", "wac")
SENTENCES = ("sentence", "label", "subset", "arm", "instability")

#: Arms that need nothing of the first phase: they may run beside it.
UNSCORED = ("T1andT2", "T1andT2ran")


@dataclass(frozen=True)
class Options:
    """How a run is carried out; unlike readings, these do not change its meaning.

    Attributes:
        device: ``"@cpu"`` or ``"@cupy:0"``.
        implementation: ``"fused"`` or ``"reference"``.
        stored: keep ``saliency.npy`` (the streaming form does not).
        epoch_weights: ``"first"`` keeps the weights of every epoch of T1 for
            the first seed (for ``replicate explain``), ``"all"`` for every
            seed, ``"none"`` for none.
        record_arms: record T1's saliency in the second phase too (Q1).
    """

    device: str = "@cpu"
    implementation: str = "fused"
    stored: bool = True
    epoch_weights: str = "first"
    record_arms: bool = False


def chainer_device(name):
    """The Chainer device that ``--device`` names.

    Raises:
        InputError: for another name, or a GPU that is not there.
    """
    if name == "@cpu":
        return chainer.get_device("@numpy")
    kind, _, number = name.partition(":")
    if kind != "@cupy" or not (number or "0").isdigit():
        raise InputError(f"--device {name}: no such kind of device; choose @cpu or @cupy:0")
    try:
        device = chainer.get_device(f"@cupy:{number or 0}")
        device.use()
    except Exception as error:  # CuPy absent, no driver, no such device
        # Where it could not import CuPy, Chainer tells why at the end of several lines.
        cause = error if cuda.available else cuda._resolution_error
        reason = str(cause).strip().split("\n")[0]
        raise InputError(f"--device {name}: not to be had here ({reason}); use @cpu") from None
    return device


def versions():
    """Versions of what numbers depend on: name -> text."""
    names = ("chainer", "numpy", "scipy", "numba", "gensim", "cupy-cuda12x", "cupy-cuda13x")
    found = {"python": platform.python_version(), "replicate": __version__}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return found


def prepare(out, config, options, seeds, corpus_paths, vectors, preset="", dimensions=300):
    """Make a run folder, or check that it is of these very settings.

    Args:
        out: DIR.
        config (Config): readings.
        options (Options): how it is carried out.
        seeds (list of int): seeds to be run; further ones may be added later.
        corpus_paths: see :func:`replicate.corpus.read_corpus`.
        vectors: see :func:`replicate.vectors.embedding_matrix`.
        preset (str): named in ``config.json``.
        dimensions (int): D of random vectors.

    Returns:
        RunFolder: ready to be worked on.

    Raises:
        InputError: for bad data, or a folder of other settings.
    """
    out = Path(out)
    least = 2 + config.ddof
    if config.epochs + config.dropped_epochs < least:
        raise InputError(
            f"epochs = {config.epochs}: eq. (9) needs {least} recorded epochs; choose more epochs"
        )
    chainer_device(options.device)
    corpus = read_corpus(corpus_paths, config.tokens)
    subset_sizes(len(corpus))
    matrix, known = embedding_matrix(corpus.words, vectors, config, dimensions)
    types, tokens = coverage(known, corpus.tokens)
    is_file = str(vectors) != "random"
    settings = {
        "format": 1,
        "preset": preset,
        **config.to_dict(),
        "seeds": sorted(seeds),
        "device": options.device,
        "implementation": options.implementation,
        "stored": options.stored,
        "epoch_weights": options.epoch_weights,
        "record_arms": options.record_arms,
        "corpus": {
            "sha256": corpus.sha256,
            "label_names": list(corpus.label_names),
            "sentences": len(corpus),
            "words": len(corpus.words),
            "tokens": len(corpus.tokens),
        },
        "vectors": {
            "name": Path(vectors).name if is_file else "random",
            "sha256": sha256(vectors) if is_file else "",
            "dimensions": matrix.shape[1],
            "known_words": types,
            "known_tokens": tokens,
        },
        "versions": versions(),
    }
    place = out / "config.json"
    if place.exists():
        have = _read_settings(place)
        for name in settings:
            if name not in ("seeds", "versions", "preset") and have.get(name) != settings[name]:
                raise InputError(
                    f"{out}: was made with {name} = {shorten(have.get(name))}, not "
                    f"{shorten(settings[name])}; choose another --out or the old setting"
                )
        settings["versions"] = have["versions"]
        settings["preset"] = have["preset"]
        settings["seeds"] = sorted(set(seeds) | set(have["seeds"]))
    elif out.exists() and any(name.name != ".lock" for name in out.iterdir()):
        leftovers = {"corpus.npz", "vectors.npy", "known.npy", ".lock", "run.log"}
        if any(f.name not in leftovers and not f.name.endswith(".part") for f in out.iterdir()):
            raise InputError(f"{out}: holds other files and no run; choose an empty --out")
    sweep_temporaries(out)
    corpus.save(out / "corpus.npz")
    save_npy(out / "vectors.npy", matrix)
    save_npy(out / "known.npy", known)
    save_json(place, settings)
    return RunFolder(out)


def _texts(value):
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _text(value):
    return isinstance(value, str)


def _flag(value):
    return isinstance(value, bool)


def _count(value):
    return type(value) is int and value >= 0


def _share(value):
    return type(value) in (int, float) and 0 <= value <= 1


#: What ``config.json`` holds beside the readings: name -> what a value must be.
_FACTS = {
    "preset": _text,
    "seeds": lambda value: isinstance(value, list) and value and all(map(is_seed, value)),
    "device": lambda value: _text(value) and re.fullmatch(r"@cpu|@cupy(:\d{1,3})?", value),
    "implementation": lambda value: value in ("fused", "reference"),
    "stored": _flag,
    "epoch_weights": lambda value: value in ("first", "all", "none"),
    "record_arms": _flag,
    "corpus": {
        "sha256": _texts,
        "label_names": lambda value: (
            isinstance(value, list) and len(value) > 1 and all(map(_text, value))
        ),
        "sentences": _count,
        "words": _count,
        "tokens": _count,
    },
    "vectors": {
        "name": _text,
        "sha256": _text,
        "dimensions": _count,
        "known_words": _share,
        "known_tokens": _share,
    },
    "versions": _texts,
}


def _read_settings(place):
    """``config.json`` of a run, whose facts are of the kinds that they should be."""
    settings = load_json(place)
    for name, test in _FACTS.items():
        have = settings.get(name) if isinstance(settings, dict) else None
        if isinstance(test, dict):
            sound = isinstance(have, dict) and all(
                n in have and t(have[n]) for n, t in test.items()
            )
        else:
            sound = test(have)
        if not sound:
            raise InputError(
                f"{place}: not of this program ({name} is {shorten(have)}); name a run folder"
            )
    return settings


class RunFolder:
    """A prepared run: its settings, corpus and vectors, and the places of its files.

    Raises:
        InputError: when DIR is no run folder, or its files are damaged.
    """

    def __init__(self, out):
        self.out = Path(out)
        place = self.out / "config.json"
        self.settings = _read_settings(place)
        self.options = Options(*(self.settings[name] for name in Options.__dataclass_fields__))
        self.seeds = self.settings["seeds"]
        self._corpus_facts = self.settings["corpus"]
        try:
            self.config = Config(**{name: self.settings[name] for name in Config.names()})
        except (KeyError, InputError) as error:
            raise InputError(f"{place}: not of this program ({error}); name a run folder") from None
        self._corpus = None
        self._vectors = None

    @property
    def corpus(self):
        """The corpus, read on first use."""
        if self._corpus is None:
            facts = self._corpus_facts
            self._corpus = Corpus.load(
                self.out / "corpus.npz", facts["label_names"], facts["sha256"]
            )
        return self._corpus

    @property
    def vectors(self):
        """(V + 1, D) float32, mapped read only: processes share one copy."""
        if self._vectors is None:
            shape = (len(self.corpus.words) + 1, None)
            self._vectors = np.asarray(load_npy(self.out / "vectors.npy", "f", shape, mmap=True))
        return self._vectors

    @property
    def known(self):
        """(V,) bool, the words that the vector file has."""
        return load_npy(self.out / "known.npy", "b", (len(self.corpus.words),))

    def seed(self, seed):
        """Folder of a seed."""
        return self.out / f"seed-{seed:03d}"

    def phase(self, seed, arm):
        """Folder of a training run: ``T1`` or ``arms/ARM``."""
        return self.seed(seed) / ("T1" if arm == "T1" else f"arms/{arm}")

    def model(self, seed):
        """A model with the initial weights of a seed."""
        model = TextCNN(
            self.vectors,
            len(self._corpus_facts["label_names"]),
            self.config,
            seed,
            self.options.implementation,
        )
        model.to_device(chainer_device(self.options.device))
        return model

    def trained_model(self, seed, arm="T1"):
        """A model with the final weights of an arm."""
        model = self.model(seed)
        load_weights(self.phase(seed, arm) / "model.npz", model)
        return model

    def subset(self, seed):
        """(N,) int8 of 1, 2, 3."""
        spec = {"subset": ("i", (len(self.corpus),))}
        return load_npz(self.seed(seed) / "split.npz", spec)["subset"]

    def halves(self, seed):
        """The half, h or l, of every sentence of T2, in the corpus's order."""
        rows = read_csv(self.seed(seed) / "sentences.csv", SENTENCES)
        return [row["arm"] for row in rows if row["arm"]]

    def accuracies(self, seed):
        """Accuracy and loss on T3: arm -> (epochs,) arrays of epoch, accuracy, loss.

        Arms not finished are absent.
        """
        place = self.seed(seed) / "accuracy.csv"
        curves = {}
        for row in read_csv(place, ACCURACY, dict.fromkeys(ACCURACY[1:], float)):
            curves.setdefault(row["arm"], []).append([row[name] for name in ACCURACY[1:]])
        return {arm: np.array(rows) for arm, rows in curves.items()}

    def finished(self, seed, arm):
        """Whether a stage is done and each of its files is as it was written."""
        return stage_holds(self.phase(seed, arm))

    def finished_seeds(self):
        """Seeds all of whose arms are done."""
        return [s for s in self.seeds if all(self.finished(s, arm) for arm in ARMS)]

    @property
    def identity(self):
        """Digest of readings, corpus and vectors: what results of one kind have in common."""
        facts = [self.config.to_dict(), self.settings["corpus"]["sha256"]]
        facts += [self.settings["vectors"][name] for name in ("sha256", "dimensions")]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def title(self):
        """Vectors and what they cover, as it stands beside every figure."""
        facts = self.settings["vectors"]
        name = VECTOR_TITLES.get(facts["sha256"], facts["name"])
        return f"{name} ({facts['known_tokens']:.0%} of tokens known)"


#: Files whose content is known, and what must be said of them.
VECTOR_TITLES = {
    "21c05ae916a67a4da59b1d006903355cced7de7da1e42bff9f0504198c748da8": "GoogleNews, full file",
    "80419219bd4e7143b9555a092b01522c5616b880758595a950df6eb687f77e41": "GoogleNews subset, not the full file",
    "a060ffa2ef0ace97699a2d4f000aec786c741533dc338dd432b25b413dc6da79": "IMDB word2vec, not GoogleNews",
}


# --- stages --------------------------------------------------------------------


def stage_holds(folder):
    """Whether ``stage.json`` is there and its checksums agree."""
    place = folder / "stage.json"
    try:
        files = load_json(place)["sha256"]
        return bool(files) and all(sha256(folder / n) == digest for n, digest in files.items())
    except (InputError, KeyError, AttributeError, TypeError):
        return False


def _mark(folder, names):
    save_json(folder / "stage.json", {"sha256": {n: sha256(folder / n) for n in sorted(names)}})


def _fingerprint(run, seed, arm, sentences):
    settings = {k: v for k, v in run.settings.items() if k != "seeds"}
    text = f"{sorted(settings.items())} {seed} {arm} {zlib.crc32(sentences.tobytes())}"
    return f"{zlib.crc32(text.encode()):08x}"


def starting_point(run, seed, arm):
    """What a training run starts with: model, training sentences, optimiser (None: a fresh one)."""
    config = run.config
    subset = split_corpus(run.corpus.labels, seed, config.split)
    if arm == "T1":
        return run.model(seed), np.flatnonzero(subset == 1), None
    if arm in UNSCORED:
        sentences = unscored_arms(subset, seed)[arm]
    else:
        sentences = load_npy(run.phase(seed, arm) / "sentences.npy", "i")
    if arm not in ("T2h", "T2l"):
        return run.model(seed), sentences, None
    model = run.trained_model(seed, "T1")
    carried = config.optimizer_state == "carried"
    optimizer = _carried_optimizer(model, config, run.phase(seed, "T1")) if carried else None
    return model, sentences, optimizer


def run_first_phase(run, seed, on_progress=None, parts=PARTS):
    """Train and record T1, score T2, and write the training sets of all arms (4.3).

    Args:
        run (RunFolder): prepared.
        seed (int): of the run.
        on_progress: callable ``(epoch, accuracy)``; may be None.
        parts (replicate.training.Parts): what the training run is built of.
    """
    config, corpus, options = run.config, run.corpus, run.options
    folder = run.phase(seed, "T1")
    subset = split_corpus(corpus.labels, seed, config.split)
    save_npz(run.seed(seed) / "split.npz", {"subset": subset})
    t2, t3 = np.flatnonzero(subset == 2), np.flatnonzero(subset == 3)
    model, t1, _ = starting_point(run, seed, "T1")
    tokens, offsets = corpus.take(t1)
    recorder = Recorder.of_model(
        model, tokens, offsets, len(corpus.words), folder, options.stored, parts.measure
    )
    wanted = options.epoch_weights
    keep = wanted == "all" or (wanted == "first" and seed == min(run.seeds))
    checkpoints = EpochCheckpoints(model, config.epochs) if keep else None
    rows, optimizer = train(
        model, corpus, t1, t3,
        seed=seed, folder=folder, recorder=recorder, checkpoints=checkpoints, parts=parts,
        on_progress=on_progress, fingerprint=_fingerprint(run, seed, "T1", t1),
    )  # fmt: skip
    names = _save_training(folder, model, "T1", rows, embedding=True)
    if checkpoints is not None:
        save_npz(folder / "weights.npz", checkpoints.arrays)
        names.append("weights.npz")
    if config.optimizer_state == "carried":
        save_npz(folder / "optimizer.npz", _optimizer_arrays(optimizer))
        names.append("optimizer.npz")
    names += [f"{name}.npy" for name in recorder.names]
    if options.stored:
        wac, count = word_instability(recorder.saliency, tokens, len(corpus.words), config.ddof)
    else:
        wac, count = recorder.stream.result(config.ddof)
    names += _select(run, seed, subset, t2, wac, count)
    names.append("../split.npz")
    _mark(folder, names)


def _select(run, seed, subset, t2, wac, count):
    """Score T2, halve it, and write words, sentences and arms (4.3.2, 4.3.3)."""
    config, corpus = run.config, run.corpus
    place = run.seed(seed)
    scores = sentence_instability(wac, *corpus.take(t2), config.unseen_words, config.repeated_words)
    h, l = median_halves(scores, t2)
    save_instability(place / "instability.csv", corpus.words, wac, count)
    arm = np.full(len(corpus), "", dtype="U1")
    arm[h], arm[l] = "h", "l"
    shown = np.full(len(corpus), "", dtype=object)
    shown[t2] = scores
    rows = zip(range(len(corpus)), corpus.labels.tolist(), subset.tolist(), arm.tolist(), shown)
    save_csv(place / "sentences.csv", SENTENCES, rows)
    names = ["../instability.csv", "../sentences.csv"]
    for name, sentences in arm_sentences(subset, h, l, seed).items():
        save_npy(place / "arms" / name / "sentences.npy", sentences)
        names.append(f"../arms/{name}/sentences.npy")
    return names


def save_instability(path, words, wac, count):
    """Write word, count and wac of the words that occur."""
    seen = np.flatnonzero(count)
    rows = ((words[i], int(count[i]), wac[i]) for i in seen)
    save_csv(path, INSTABILITY, rows)


def run_arm(run, seed, arm, on_progress=None, parts=PARTS):
    """Train one model of the second phase (4.4).

    The first phase must be done, but for the arms that need no score.

    Args:
        run (RunFolder): prepared.
        seed (int): of the run.
        arm (str): of :data:`replicate.config.ARMS`, but T1.
        on_progress, parts: see :func:`run_first_phase`.
    """
    config, corpus = run.config, run.corpus
    folder = run.phase(seed, arm)
    subset = split_corpus(corpus.labels, seed, config.split)
    model, sentences, optimizer = starting_point(run, seed, arm)
    recorder = None
    if run.options.record_arms:
        recorder = Recorder.of_model(
            model, *corpus.take(np.flatnonzero(subset == 1)), len(corpus.words), folder, False,
            parts.measure,
        )  # fmt: skip
    rows, _ = train(
        model, corpus, sentences, np.flatnonzero(subset == 3),
        seed=seed, folder=folder, optimizer=optimizer, recorder=recorder, parts=parts,
        on_progress=on_progress, fingerprint=_fingerprint(run, seed, arm, sentences),
    )  # fmt: skip
    names = _save_training(folder, model, arm, rows, config.vectors_mode == "finetuned")
    if recorder is not None:
        wac, count = recorder.stream.result(config.ddof)
        save_instability(folder / "instability.csv", corpus.words, wac, count)
        names += ["instability.csv", *(f"{name}.npy" for name in recorder.names)]
    _mark(folder, names)


def _save_training(folder, model, arm, rows, embedding):
    save_npz(folder / "model.npz", model.weights(embedding))
    save_csv(
        folder / "training.csv",
        (*ACCURACY, "training_loss"),
        [(arm, *row) for row in rows],
    )
    return ["model.npz", "training.csv"]


def _optimizer_arrays(optimizer):
    serializer = chainer.serializers.DictionarySerializer()
    optimizer.serialize(serializer)
    return {n: v for n, v in serializer.target.items() if v.dtype.kind != "O"}


def _carried_optimizer(model, config, folder):
    optimizer = make_optimizer(model, config)
    arrays = load_npz(folder / "optimizer.npz")
    optimizer.serialize(chainer.serializers.NpzDeserializer(arrays, strict=False))
    return optimizer


def finish_seed(run, seed):
    """Gather the arms' accuracies into ``accuracy.csv`` (Fig. 6)."""
    rows = []
    for arm in ARMS:
        place = run.phase(seed, arm) / "training.csv"
        for row in read_csv(place, (*ACCURACY, "training_loss")):
            rows.append([row[name] for name in ACCURACY])
    save_csv(run.seed(seed) / "accuracy.csv", ACCURACY, rows)


def run_stage(run, seed, arm, on_progress=None, parts=PARTS):
    """The first phase, or one arm of the second; see there."""
    if arm == "T1":
        run_first_phase(run, seed, on_progress, parts)
    else:
        run_arm(run, seed, arm, on_progress, parts)


def run_seed(run, seed, on_progress=None, parts=PARTS):
    """All stages of a seed, one after another, in this process.

    Args:
        run (RunFolder): prepared.
        seed (int): which.
        on_progress: callable ``(arm, epoch, accuracy)``; may be None.
        parts: see :func:`run_first_phase`.
    """
    on_progress = on_progress or (lambda arm, epoch, accuracy: None)
    for arm in ARMS:
        if not run.finished(seed, arm):
            run_stage(run, seed, arm, lambda *epoch, arm=arm: on_progress(arm, *epoch), parts)
    finish_seed(run, seed)
