"""The files of a run: each has one accessor here, and no other module names them.

:class:`Run` is the folder.  :class:`Record` is what was recorded while one
network was trained.  Chainer is not imported, so results can be read without it.
"""

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import ARMS, checked_seeds
from .corpus import Corpus
from .io.errors import InputError, Unreadable
from .io.files import (
    OWN,
    check_own_folder,
    folder_lock,
    load_json,
    load_npy,
    load_npz,
    read_csv,
    remove_temporaries,
    save_csv,
    save_json,
    save_npy,
    save_npz,
    save_text,
    sha256,
    temporary_gone,
)
from .io.table import Table
from .settings import (
    ADDED,
    VECTOR_TITLES,
    Options,
    check_settings,
    content_of,
    matrix_of,
    read_settings,
)
from .vectors import with_unknown_words

__all__ = ["Options", "Record", "Run"]

#: What a command took.
TIMING = "timing.json"
ACCURACY = ("arm", "epoch", "accuracy", "loss")
TRAINING = (*ACCURACY, "training_loss")
INSTABILITY = ("word", "count", "wac")
SENTENCES = ("sentence", "label", "subset", "arm", "instability")
CLAIMS = (
    "id", "statement", "paper", "ours", "low", "high", "seeds", "verdict", "reason", "one_run",
    "hits", "runs",
)  # fmt: skip

#: Arrays that are recorded besides saliency, one row for each epoch: file name -> dtype.
#: ``movement_*`` hold changes between epochs and have one row less.  Columns are
#: sentences of T1, or word types for ``movement_words``.
RECORDED = {
    "predicted": np.int32,
    "doubt": np.float32,
    "movement_raw": np.float32,
    "movement_standardised": np.float32,
    "movement_logit": np.float32,
    "movement_words": np.float32,
}

#: What a run starts from beside its settings, and the file that says that they are being
#: written: without it, and without settings, such files are somebody else's.
_ARRAYS = ("corpus.npz", "vectors.npy", "known.npy")
_PREPARING = f"{OWN}preparing"

#: A line of the log that says that a training run is done.
_TRAINED = r"\d{4}-\d\d-\d\d \S+ INFO seed \d+, \S+: done"

#: Folders of a run in which files are written, as patterns.
_FOLDERS = (
    "", "figures", "parquet", "questions", "choice", "ceiling", "trust", "seed-*", "seed-*/T1",
    "seed-*/arms/*", "seed-*/cartography/training_dynamics", "seed-*/rivals", "seed-*/choice",
    "seed-*/ceiling", "seed-*/trust",
)  # fmt: skip

#: Sentences of each kind in Fig. 5.
FIG_5 = 100

# --- what was recorded -----------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """What was recorded of the N sentences and T tokens of T1 while one network was trained.

    Attributes:
        epochs: (E,) int64, the epoch of each row; 0 is before training.
        predicted: (E, N) int32, the label R that the network itself gives.
        labels: (N,) int32, the true labels.
        lengths: (N,) int64, words in each sentence.
        change: name -> (E - 1, N) float32, absolute change of saliency, summed over
            the words of a sentence (Fig. 5): ``raw``, ``standardised``, ``logit``.
        judged: the epoch at which a sentence counts as misclassified or not.
        uncertainty: (E, N) float32, 1 - p_R.
        word_change: (E - 1, V) float32, raw change, summed over a word's occurrences.
        saliency: (E, T) float32, wa of eq. (6); None if it was not stored.
        standardised_over: the reading of that name.

    Example:
        >>> record = Record(
        ...     epochs=np.array([1, 2]), predicted=np.array([[0, 1], [0, 0]]),
        ...     labels=np.array([0, 1]), lengths=np.array([4, 6]), change={}, judged=2,
        ... )
        >>> record.correct.tolist(), record.change_epochs.tolist()
        ([True, False], [2])
    """

    epochs: NDArray[np.integer]
    predicted: NDArray[np.int32]
    labels: NDArray[np.int32]
    lengths: NDArray[np.integer]
    change: dict[str, NDArray[np.float32]]
    judged: int
    uncertainty: NDArray[np.float32] | None = None
    word_change: NDArray[np.float32] | None = None
    saliency: NDArray[np.float32] | None = None
    standardised_over: str = "sentence"

    @property
    def change_epochs(self) -> NDArray[np.integer]:
        """(E - 1,): the change from epoch n to n + 1 belongs to epoch n + 1."""
        return self.epochs[1:]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,): whether the network gives the true label at the judged epoch."""
        row = np.flatnonzero(self.epochs == self.judged)[0]
        same: NDArray[np.bool_] = self.predicted[row] == self.labels
        return same


def last_with_enough(
    epochs: NDArray[np.integer],
    predicted: NDArray[np.integer],
    labels: NDArray[np.integer],
    enough: int = FIG_5,
) -> int:
    """The last epoch after which so many sentences are misclassified (reading ``judged_epoch``).

    Args:
        epochs: (E,), those that were recorded.
        predicted: (E, N), the network's labels.
        labels: (N,), the true labels.
        enough: sentences.

    Returns:
        The epoch; with too few at every epoch, the last of those with most.

    Example:
        >>> predicted = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
        >>> last_with_enough(np.array([1, 2, 3]), predicted, np.array([1, 1, 1]), enough=1)
        2
    """
    wrong = (predicted != labels).sum(axis=1)
    found = np.flatnonzero(wrong >= min(enough, wrong.max()))
    return int(epochs[found[-1]])


def stage_holds(folder: Path) -> bool:
    """Whether ``stage.json`` exists and the checksums of all files that it names are right.

    Raises:
        InputError: for a file that is there and cannot be read.
    """
    try:
        files = load_json(folder / "stage.json")["sha256"]
        return bool(files) and all(sha256(folder / n) == digest for n, digest in files.items())
    except Unreadable:
        # Of a stage that may be finished: trained again, its results would be lost.
        raise
    except (InputError, KeyError, AttributeError, TypeError):
        return False


#: Numbers of ``timing.json``, and their types; JSON's true is none of them.
_TAKEN = {
    "seconds": (float, int),
    "peak_memory_bytes": (int,),
    "peak_together_bytes": (int,),
    "jobs": (int,),
}


def timing_of(place: Path) -> dict[str, Any] | None:
    """What a ``timing.json`` holds; None where it is missing or damaged: no result needs it."""
    try:
        # Version 1.0.0 does not write the memory of all processes together.
        value = {"peak_together_bytes": 0, **load_json(place)}
    except (InputError, TypeError):  # TypeError: no object
        return None
    starts = value.get("starts", [])
    sound = (
        all(type(value.get(n)) in kinds and 0 <= value[n] < 2**63 for n, kinds in _TAKEN.items())
        and isinstance(value.get("machine"), str)
        and isinstance(starts, list)
        and all(isinstance(start, dict) for start in starts)
    )
    return value if sound else None


# --- the folder ------------------------------------------------------------------------


class Run:
    """A run folder: settings, corpus, word vectors, and the results of each seed.

    Args:
        out: the folder DIR of ``replicate run --out DIR``.

    Attributes:
        out (Path): the folder.
        config (Config): the readings.
        options (Options): how the run is carried out.
        seeds (list of int): all requested seeds, finished or not.
        settings (dict): the content of ``config.json``.

    Raises:
        InputError: if DIR is not a run folder, or a file is damaged.

    Example:
        >>> run = Run(sample_run().out)
        >>> run.finished_seeds(), len(run.corpus), run.config.epochs
        ([0], 200, 3)
        >>> run.record(0).predicted.shape  # epochs, sentences of T1
        (3, 90)
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out)
        self.settings, self.config = read_settings(self.out / "config.json")
        self.options = Options(*(self.settings[field.name] for field in fields(Options)))
        self.seeds: list[int] = self.settings["seeds"]
        self._corpus: Corpus | None = None
        self._vectors: NDArray[np.float32] | None = None
        self._drawn: tuple[int, NDArray[np.float32]] | None = None

    @staticmethod
    def exists(out: str | Path) -> bool:
        """Whether a folder contains a run."""
        return (Path(out) / "config.json").exists()

    @staticmethod
    def check_folder(out: str | Path) -> None:
        """Check that a run can be created in a folder, without changing anything there.

        Raises:
            InputError: for a folder that holds other files and no run, or another
                program's ``config.json``.
        """
        out = Path(out)
        if Run.exists(out):
            read_settings(out / "config.json")
        else:
            interrupted = (out / _PREPARING).exists()
            check_own_folder(out, "run", _ARRAYS if interrupted else ())

    @staticmethod
    @contextlib.contextmanager
    def locked(out: str | Path) -> Iterator[None]:
        """The lock of a folder in which a run is or may be made.

        Raises:
            InputError: for a folder of other files, or one that another run uses.
        """
        Run.check_folder(out)
        with folder_lock(out, _FOLDERS):
            yield

    @classmethod
    def create(
        cls,
        out: str | Path,
        settings: dict[str, Any],
        corpus: Corpus,
        vectors: NDArray[np.float32],
        known: NDArray[np.bool_],
    ) -> "Run":
        """Write the inputs of a run; ``config.json`` comes last and marks the folder as a run.

        Args:
            out: the folder DIR.
            settings: the content of ``config.json``.
            corpus: the sentences.
            vectors: (V + 1, D) float32; row 0 is padding.
            known: (V,) bool, whether a word has a vector.

        Raises:
            InputError: if the folder contains other files and no run, or the settings are
                none that a run can have; nothing is written then.
        """
        out = Path(out)
        cls.check_folder(out)
        check_settings(settings, out / "config.json")
        remove_temporaries(out, _FOLDERS)
        if not cls.exists(out):
            save_text(out / _PREPARING, "")
        corpus.save(out / "corpus.npz")
        save_npy(out / "vectors.npy", vectors)
        save_npy(out / "known.npy", known)
        save_json(out / "config.json", settings)
        temporary_gone(out / _PREPARING)
        return cls(out)

    def add_seeds(self, seeds: int | Iterable[int]) -> None:
        """Ask for further seeds of this run, and store that.

        Args:
            seeds: which, or how many from 0; those that the run has are kept.

        Raises:
            InputError: where one is not a seed; nothing is written then.
        """
        settings = {**self.settings, "seeds": sorted({*self.seeds, *checked_seeds(seeds)})}
        place = self.out / "config.json"
        check_settings(settings, place)
        save_json(place, settings)
        self.settings, self.seeds = settings, settings["seeds"]

    # Inputs that all seeds share.

    @property
    def corpus(self) -> Corpus:
        """The corpus, read when it is first used."""
        if self._corpus is None:
            facts = self.settings["corpus"]
            self._corpus = Corpus.load(
                self.out / "corpus.npz", facts["label_names"], facts["sha256"]
            )
        return self._corpus

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(V + 1, D) word vectors, memory-mapped read-only, so that processes share one copy.

        Rows of unknown words are 0 if every seed draws its own, see :meth:`vectors_of`.
        """
        if self._vectors is None:
            shape = (len(self.corpus.words) + 1, None)
            self._vectors = np.asarray(load_npy(self.out / "vectors.npy", "f", shape, mmap=True))
        return self._vectors

    def vectors_of(self, seed: int) -> NDArray[np.float32]:
        """(V + 1, D) the word vectors that a seed's networks start with."""
        if self.config.unknown_words_seed >= 0:
            return self.vectors
        if self._drawn is None or self._drawn[0] != seed:
            made = with_unknown_words(self.vectors, self.known, self.config, seed)
            self._drawn = (seed, made)
        return self._drawn[1]

    @property
    def known(self) -> NDArray[np.bool_]:
        """(V,), whether the vector file has the word."""
        known: NDArray[np.bool_] = load_npy(self.out / "known.npy", "b", (len(self.corpus.words),))
        return known

    @property
    def identity(self) -> str:
        """Digest of readings, corpus and vectors: what results of one kind have in common."""
        data = self.data_facts()
        # Without what version 1.0.0 lacks, where it is done as there: such results are alike.
        readings = {n: v for n, v in self.config.to_dict().items() if ADDED.get(n) != v}
        facts = [readings, data["corpus"]["content"], data["vectors"]["matrix"]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def data_facts(self) -> dict[str, dict[str, Any]]:
        """``corpus`` and ``vectors`` of ``config.json``; version 1.0.0 left out two checksums."""
        corpus, vectors = dict(self.settings["corpus"]), dict(self.settings["vectors"])
        corpus["content"] = corpus.get("content") or content_of(self.corpus)
        vectors["matrix"] = vectors.get("matrix") or matrix_of(self.vectors, self.known)
        return {"corpus": corpus, "vectors": vectors}

    @property
    def title(self) -> str:
        """The word vectors and their coverage, as every figure's caption shows them."""
        facts = self.settings["vectors"]
        name = VECTOR_TITLES.get(facts["sha256"], facts["name"])
        return f"{name} ({facts['known_tokens']:.0%} of tokens known)"

    # Paths.

    def seed_folder(self, seed: int) -> Path:
        """The folder of a seed."""
        return self.out / f"seed-{seed:03d}"

    def folder(self, seed: int, arm: str) -> Path:
        """The folder of a training run: ``T1`` or ``arms/ARM``."""
        return self.seed_folder(seed) / ("T1" if arm == "T1" else f"arms/{arm}")

    def model_file(self, seed: int, arm: str) -> Path:
        """The path of a training run's final weights."""
        return self.folder(seed, arm) / "model.npz"

    def figure(self, name: str) -> Path:
        """The path, without suffix, of a figure: ``fig3`` … ``fig6``, ``table1``."""
        return self.out / "figures" / name

    @property
    def report_file(self) -> Path:
        """The path of the report."""
        return self.out / "report.html"

    def report_in(self, language: str) -> Path:
        """The path of the report in a language: ``report.html``, ``report.ja.html``."""
        return self.report_file if language == "en" else self.out / f"report.{language}.html"

    @property
    def last_trained(self) -> str:
        """The day of the last training run that the log has, as 2026-11-26; empty without one."""
        try:
            lines = (self.out / "run.log").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        days = [line[:10] for line in lines if re.match(_TRAINED, line)]
        return days[-1] if days else ""

    @property
    def claims_files(self) -> tuple[Path, Path]:
        """The paths of the verdicts: a table, and all details."""
        return self.out / "claims.csv", self.out / "claims.json"

    @property
    def crate_file(self) -> Path:
        """The path of what describes the run for archives, see :mod:`replicate.show.crate`."""
        return self.out / "ro-crate-metadata.json"

    def dynamics_file(self, seed: int, row: int) -> Path:
        """The path of T1's outputs at a recorded epoch, for Cartography."""
        name = f"dynamics_epoch_{row}.jsonl"
        return self.seed_folder(seed) / "cartography" / "training_dynamics" / name

    def parquet_file(self, name: str) -> Path:
        """The path of a table of all seeds, for other programs."""
        return self.out / "parquet" / f"{name}.parquet"

    def input_files(self) -> list[Path]:
        """What the run starts from: its settings, corpus and word vectors."""
        return [self.out / name for name in ("config.json", *_ARRAYS)]

    def result_files(self) -> list[Path]:
        """What is there of the run as a whole: verdicts, figures with their data, the report."""
        places = [
            *self.claims_files,
            *sorted((self.out / "figures").glob("[!.]*")),
            self.report_file,
        ]
        return [place for place in places if place.is_file()]

    # Progress.

    def finished(self, seed: int, arm: str) -> bool:
        """Whether a training run is complete and none of its files has changed since."""
        return stage_holds(self.folder(seed, arm))

    def finished_seeds(self) -> list[int]:
        """The seeds whose training runs are all complete."""
        return [seed for seed in self.seeds if all(self.finished(seed, arm) for arm in ARMS)]

    def _mark(self, seed: int, arm: str, names: Sequence[str]) -> None:
        folder = self.folder(seed, arm)
        digests = {name: sha256(folder / name) for name in sorted(names)}
        save_json(folder / "stage.json", {"sha256": digests})

    # Reading one seed.

    def subset(self, seed: int) -> NDArray[np.int8]:
        """(N,) int8: 1, 2 or 3 for a sentence of T1, T2 or T3 (section 4.2)."""
        spec = {"subset": ("i", (len(self.corpus),))}
        subset: NDArray[np.int8] = load_npz(self.seed_folder(seed) / "split.npz", spec)["subset"]
        return subset

    def split(self, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """The sentence indices of T1, T2 and T3, in ascending order."""
        subset = self.subset(seed)
        t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))
        return t1, t2, t3

    def sizes(self, seed: int) -> dict[str, int]:
        """The numbers of sentences in T1, T2h, T2l and T3 (Table 1)."""
        t1, _, t3 = self.split(seed)
        halves = {arm: len(self.sentences(seed, arm)) for arm in ("T2h", "T2l")}
        return {"T1": len(t1), **halves, "T3": len(t3)}

    def sentences(self, seed: int, arm: str) -> NDArray[np.integer]:
        """The indices of an arm's training sentences, in ascending order."""
        place = self.seed_folder(seed) / "arms" / arm / "sentences.npy"
        sentences: NDArray[np.integer] = load_npy(place, "i")
        return sentences

    def halves(self, seed: int) -> list[str]:
        """The half, h or l, of every sentence of T2, in the order of the corpus."""
        rows = read_csv(self.seed_folder(seed) / "sentences.csv", SENTENCES)
        return [row["arm"] for row in rows if row["arm"]]

    def sentence_scores(self, seed: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
        """A_S of eq. (10) and the half of every sentence of the corpus.

        Args:
            seed: a seed whose first phase is complete.

        Returns:
            A_S (N,) float64, NaN for a sentence that is not in T2, and half (N,): ``h``,
            ``l``, or empty for a sentence that is in neither half.

        Raises:
            InputError: if the file is missing, damaged, or of another corpus.
        """
        place = self.seed_folder(seed) / "sentences.csv"
        rows = read_csv(place, SENTENCES, {"sentence": int})
        if [row["sentence"] for row in rows] != list(range(len(self.corpus))):
            raise InputError(f"{place}: contains sentences of another corpus; run again")
        try:
            scores = [float(row["instability"] or "nan") for row in rows]
        except ValueError:
            raise InputError(f"{place}: an instability is not a number; run again") from None
        return np.array(scores), np.array([row["arm"] for row in rows], dtype="U1")

    def instability(
        self, seed: int, arm: str = "T1"
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """wac of eq. (9) for every word, and the number of its occurrences in T1.

        Args:
            seed: a seed of the run.
            arm: a training run whose saliency was recorded.

        Returns:
            wac (V,) float64, NaN for a word that T1 does not contain, and count (V,) int64.

        Raises:
            InputError: if the file is missing, damaged, or of another corpus.
        """
        folder = self.seed_folder(seed) if arm == "T1" else self.folder(seed, arm)
        place, words = folder / "instability.csv", self.corpus.words
        index = {word: i for i, word in enumerate(words.tolist())}
        wac, count = np.full(len(words), np.nan), np.zeros(len(words), dtype=np.int64)
        for row in read_csv(place, INSTABILITY, {"count": int, "wac": float}):
            if row["word"] not in index:
                raise InputError(f"{place}: contains words of another corpus; run again")
            wac[index[row["word"]]], count[index[row["word"]]] = row["wac"], row["count"]
        return wac, count

    def accuracies(self, seed: int) -> dict[str, NDArray[np.float64]]:
        """Accuracy and loss on T3: arm -> (E, 3) with epoch, accuracy, loss.

        Args:
            seed: a seed all of whose arms are finished.

        Raises:
            InputError: if one is not.
        """
        place, numbers = self.seed_folder(seed) / "accuracy.csv", dict.fromkeys(ACCURACY[1:], float)
        if place.exists():
            tables = [read_csv(place, ACCURACY, numbers)]
        else:  # the command was stopped when this seed was done, and others were not
            tables = [
                read_csv(self.folder(seed, arm) / "training.csv", TRAINING, numbers) for arm in ARMS
            ]
        curves: dict[str, list[list[float]]] = {}
        for row in itertools.chain(*tables):
            curves.setdefault(row["arm"], []).append([row[name] for name in ACCURACY[1:]])
        return {arm: np.array(rows) for arm, rows in curves.items()}

    @property
    def recorded_epochs(self) -> NDArray[np.integer]:
        """(E,), the epoch of each recorded row; it begins with 0 if ``record_epoch_0`` says so."""
        return np.arange(1 - self.config.record_epoch_0, self.config.epochs + 1)

    def record(self, seed: int, arm: str = "T1") -> Record:
        """What was recorded of T1 during a training run.

        Args:
            seed: a seed whose first phase is complete.
            arm: ``"T1"``, or another arm if the run was made with ``record_arms``.

        Raises:
            InputError: if a file is missing or damaged.
        """
        t1, _, _ = self.split(seed)
        folder, lengths = self.folder(seed, arm), self.corpus.lengths[t1]
        epochs = self.recorded_epochs
        rows, n = len(epochs), len(t1)

        def read(name: str, height: int, width: int) -> NDArray[Any]:
            kind = np.dtype(RECORDED.get(name, np.float32)).kind
            array: NDArray[Any] = load_npy(folder / f"{name}.npy", kind, (height, width), mmap=True)
            return array

        change = {name: read(f"movement_{name}", rows - 1, n) for name in _CHANGES}
        for name, array in change.items():
            if not np.isfinite(array).all():
                raise InputError(f"{folder}: change {name} contains NaN or infinity; run again")
        stored = self.options.stored and arm == "T1"
        predicted, labels = read("predicted", rows, n), self.corpus.labels[t1]
        judged = self.config.judged_epoch or self.config.epochs
        if judged < 0:
            # The untrained network, which ``record_epoch_0`` has recorded, judges nothing.
            trained = epochs > 0
            judged = last_with_enough(epochs[trained], predicted[trained], labels)
        return Record(
            epochs=epochs,
            predicted=predicted,
            labels=labels,
            lengths=lengths,
            change=change,
            judged=judged,
            uncertainty=read("doubt", rows, n),
            word_change=read("movement_words", rows - 1, len(self.corpus.words)),
            saliency=read("saliency", rows, int(lengths.sum())) if stored else None,
            standardised_over=self.config.standardised_over,
        )

    def recorded(self, seed: int, arm: str) -> bool:
        """Whether a training run has recorded saliency and the instability of its words."""
        folder = self.folder(seed, arm)
        words = self.seed_folder(seed) if arm == "T1" else folder
        return all((folder / f"{name}.npy").is_file() for name in RECORDED) and (
            (words / "instability.csv").is_file()
        )

    def epoch_weights(
        self, seed: int, shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float32]] | None:
        """The weights of T1 after every epoch: Chainer's parameter name -> (E, …) float32.

        Args:
            seed: a seed of the run.
            shapes: parameter name -> shape, of the network.

        Returns:
            None if they were not kept (``--epoch-weights``).

        Raises:
            InputError: if the file is damaged or has other shapes.
        """
        place = self.folder(seed, "T1") / "weights.npz"
        if not place.exists():
            return None
        spec = {name: ("f", (self.config.epochs, *shape)) for name, shape in shapes.items()}
        arrays: dict[str, NDArray[np.float32]] = load_npz(place, spec)
        return arrays

    def keep_first_epoch_weights(self) -> None:
        """Under ``epoch_weights = "first"``, leave those of the first seed only.

        A seed that was the first no longer is when a lower one is added: the files
        are then those of all seeds run at once.
        """
        if self.options.epoch_weights != "first":
            return
        for seed in set(self.seeds) - {min(self.seeds)}:
            folder = self.folder(seed, "T1")
            if not (folder / "weights.npz").exists():
                continue
            if self.finished(seed, "T1"):
                digests = load_json(folder / "stage.json")["sha256"]
                save_json(
                    folder / "stage.json",
                    {"sha256": {n: d for n, d in digests.items() if n != "weights.npz"}},
                )
            temporary_gone(folder / "weights.npz")

    def optimizer_state(self, seed: int) -> dict[str, NDArray[Any]]:
        """The optimiser's state after T1, kept with the reading ``optimizer_state = carried``."""
        arrays: dict[str, NDArray[Any]] = load_npz(self.folder(seed, "T1") / "optimizer.npz")
        return arrays

    # Writing one seed.

    def save_first_phase(
        self,
        seed: int,
        *,
        weights: Mapping[str, NDArray[np.float32]],
        rows: Sequence[Sequence[Any]],
        recorded: Sequence[str],
        subset: NDArray[np.int8],
        instability: tuple[NDArray[np.float64], NDArray[np.int64]],
        scores: NDArray[np.float64],
        arms: Mapping[str, NDArray[np.integer]],
        epoch_weights: Mapping[str, NDArray[np.float32]] | None = None,
        optimizer_state: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write the results of the first phase, and mark it as complete (4.3).

        Args:
            seed: a seed of the run.
            weights: the final weights, by Chainer's parameter names.
            rows: epoch, accuracy on T3, loss on T3, training loss.
            recorded: the names of the recorder's files.
            subset: (N,) int8: 1, 2 or 3.
            instability: wac (V,) and count (V,).
            scores: A_S of each sentence of T2, eq. (10).
            arms: the training sentences of each of the seven arms.
            epoch_weights: the weights after every epoch, to be kept if given.
            optimizer_state: the optimiser's state, to be kept if given.
        """
        place, folder = self.seed_folder(seed), self.folder(seed, "T1")
        names = self._save_training(seed, "T1", weights, rows)
        for name, arrays in (("weights", epoch_weights), ("optimizer", optimizer_state)):
            if arrays is not None:
                save_npz(folder / f"{name}.npz", arrays)
                names.append(f"{name}.npz")
        names += [f"{name}.npy" for name in recorded]
        save_npz(place / "split.npz", {"subset": subset})
        self._save_instability(place, *instability)
        n = len(self.corpus)
        half, shown = np.full(n, "", dtype="U1"), np.full(n, "", dtype=object)
        half[arms["T2h"]], half[arms["T2l"]] = "h", "l"
        shown[subset == 2] = scores
        labels = self.corpus.labels.tolist()
        save_csv(
            place / "sentences.csv",
            SENTENCES,
            zip(range(n), labels, subset.tolist(), half.tolist(), shown),
        )
        names += ["../split.npz", "../instability.csv", "../sentences.csv"]
        for arm, sentences in arms.items():
            save_npy(place / "arms" / arm / "sentences.npy", sentences)
            names.append(f"../arms/{arm}/sentences.npy")
        self._mark(seed, "T1", names)

    def save_arm(
        self,
        seed: int,
        arm: str,
        *,
        weights: Mapping[str, NDArray[np.float32]],
        rows: Sequence[Sequence[Any]],
        recorded: Sequence[str] = (),
        instability: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None,
    ) -> None:
        """Write the results of an arm of the second phase, and mark it as complete (4.4).

        Args:
            seed: a seed of the run.
            arm: one of :data:`replicate.config.ARMS`, but not T1.
            weights: the final weights, by Chainer's parameter names.
            rows: epoch, accuracy on T3, loss on T3, training loss.
            recorded: the names of the recorder's files.
            instability: wac (V,) and count (V,), if saliency was recorded.
        """
        names = self._save_training(seed, arm, weights, rows)
        if instability is not None:
            self._save_instability(self.folder(seed, arm), *instability)
            names += ["instability.csv", *(f"{name}.npy" for name in recorded)]
        self._mark(seed, arm, names)

    def save_accuracies(self, seed: int) -> None:
        """Collect the accuracies of all arms of a finished seed in one table (Fig. 6)."""
        rows = []
        for arm in ARMS:
            for row in read_csv(self.folder(seed, arm) / "training.csv", TRAINING):
                rows.append([row[name] for name in ACCURACY])
        save_csv(self.seed_folder(seed) / "accuracy.csv", ACCURACY, rows)

    def _save_training(
        self,
        seed: int,
        arm: str,
        weights: Mapping[str, NDArray[np.float32]],
        rows: Sequence[Sequence[Any]],
    ) -> list[str]:
        folder = self.folder(seed, arm)
        save_npz(folder / "model.npz", weights)
        save_csv(folder / "training.csv", TRAINING, [(arm, *row) for row in rows])
        return ["model.npz", "training.csv"]

    def _save_instability(
        self, folder: Path, wac: NDArray[np.float64], count: NDArray[np.int64]
    ) -> None:
        words = self.corpus.words
        rows = ((words[i], int(count[i]), wac[i]) for i in np.flatnonzero(count))
        save_csv(folder / "instability.csv", INSTABILITY, rows)

    # The whole run.

    def save_claims(self, rows: Sequence[Sequence[Any]], details: list[dict[str, Any]]) -> None:
        """Write the verdicts: a table, and all details."""
        table, whole = self.claims_files
        save_csv(table, CLAIMS, rows)
        save_json(whole, details)

    @property
    def verdicts(self) -> Table:
        """The verdict on every claim, from the last time that the claims were judged."""
        rows = read_csv(self.claims_files[0], CLAIMS)
        shown = CLAIMS[:8]
        return Table(shown, [[_number(row[name]) for name in shown] for row in rows])

    @property
    def timing(self) -> dict[str, Any] | None:
        """Seconds and memory that the run took; None if they were not recorded, or are damaged."""
        return timing_of(self.timing_file())

    def timing_file(self, command: str = "") -> Path:
        """Where they are, or those of a command that trained further models of this run."""
        return self.out / command / TIMING

    def __repr__(self) -> str:
        try:
            state = f"{len(self.finished_seeds())} of {len(self.seeds)} seeds finished"
        except InputError as error:  # a file that the system refuses to read
            state = str(error)
        return f"Run({str(self.out)!r}: {state}; {len(self.corpus):,} sentences; {self.title})"

    def _repr_html_(self) -> str:
        import html

        verdicts = self.verdicts._repr_html_() if self.claims_files[0].exists() else ""
        return f"<p>{html.escape(repr(self))}</p>{verdicts}"


_CHANGES = ("raw", "standardised", "logit")


def _number(text: str) -> int | float | str:
    """The text of a cell, converted to a number if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
