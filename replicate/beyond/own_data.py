"""The method for data of one's own: which texts of a pool are worth labelling or adding? (4.3.3)

Train on the texts that are labelled, record saliency, and rank a pool by the
instability of its words (eqs 4 to 10), or by how unsure the network is of its
labels.  Labels of the pool are not used.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config, checked_seeds, generator
from ..corpus import Corpus, tokenize
from ..environment import inherited, versions
from ..experiment import Inputs, OnRead, check_converged, check_epochs, read_inputs
from ..instability import sentence_instability
from ..io.corpora import Texts, pool_texts
from ..io.data import Paths
from ..io.errors import InputError, shorten
from ..io.files import (
    OWN,
    check_own_folder,
    folder_lock,
    load_json,
    save_csv,
    save_json,
    sync_folder,
)
from ..io.lines import Text
from ..io.wordvectors import Vectors
from ..model import TextCNN
from ..recorder import Recorder
from ..saliency import classify, flat_batch
from ..selection import budget as budget_of
from ..selection import select_top
from ..training import train
from ..vectors import coverage, identified, with_unknown_words
from .valuation import entropy

__all__ = [
    "BY",
    "PRESET",
    "Fitted",
    "Ranked",
    "fit",
    "locked",
    "rank_pool",
    "read_pool",
    "select",
    "size_of",
]

#: Scores that a pool can be ranked by; the first is the paper's.
BY = ("instability", "entropy")
#: Share of the labelled texts that is held out to measure the model's accuracy.
HELD_OUT = 0.1
#: Words shown for each selected text.
SHOWN = 5
#: Texts of a pool that the network is asked about at once.
_ASKED = 4096

#: Called with seed, epoch and accuracy on the texts held out.
OnEpoch = Callable[[int, int, float], None]

#: Settings for data of one's own: Kim's (2014), a good classifier. The presets of the
#: experiment have the few filters that give the paper's accuracy of 0.75.
PRESET = Config(
    n_filters=100,
    dropout=0.5,
    max_norm=3.0,
    optimizer="AdaDelta",
    batch_size=50,
    epochs=25,
)

SELECTED = ("rank", "score", "text", "words", "label", "line")
WORDS = ("word", "count", "wac")
#: What was done; a folder that has it is one to which a selection was written.
SETTINGS = "select.json"
#: Beginning of the name of the folder in which a network is trained.
_TRAINING = f"{OWN}training-"


@dataclass(frozen=True)
class Fitted:
    """What training on the labelled texts gave.

    Attributes:
        corpus (replicate.corpus.Corpus): the labelled texts.
        wac (numpy.ndarray): (V,) float64, mean over seeds; NaN where a word was never seen.
        count (numpy.ndarray): (V,) occurrences of each word.
        accuracy (list of float): on the texts held out, by seed.
        known_tokens (float): share of word occurrences that have a vector.
        probabilities (numpy.ndarray): (n, C) float64, of each label of the n texts of a pool,
            mean over seeds; (0, C) without a pool.
    """

    corpus: Corpus
    wac: np.ndarray
    count: np.ndarray
    accuracy: list[float]
    known_tokens: float
    probabilities: np.ndarray


@dataclass(frozen=True)
class Ranked:
    """A pool ranked.

    Attributes:
        order (numpy.ndarray): (n,) texts by falling score; equal scores in the order of the pool.
        score (numpy.ndarray): (n,) float64, A_S of eq. (10), or entropy.
        words (list of list of str): the most unstable words of each text, at most five.
    """

    order: np.ndarray
    score: np.ndarray
    words: list[list[str]]


def read_pool(path: str | Path, notes: list[str] | None = None) -> list[Text]:
    """Texts of a pool that are not blank, read as those of a corpus; labels may be missing.

    Args:
        path: a table with a column of texts, JSON Lines, or ``.txt``, one
            text a line; packed with gzip or not.
        notes (list of str): grows by what was not as the name says.

    Returns:
        list of replicate.io.lines.Text: text, label ("" where there is
        none), line, and place.

    Raises:
        InputError: for a missing, empty or damaged file.
    """
    return _texts_of(pool_texts(path), notes)


def _texts_of(pool: Texts, notes: list[str] | None) -> list[Text]:
    texts = [text for text in pool if text.text.strip()]
    if not texts:
        raise InputError(f"{pool.where}: empty; texts to choose from are needed")
    if notes is not None:
        notes += pool.notes
    return texts


def size_of(budget: str | int, n: int) -> int:
    """How many texts a budget is: a number, or a share like ``10%``.

    Raises:
        InputError: for anything else, or more than there are.

    Example:
        >>> size_of("25%", 40), size_of("7", 40)
        (10, 7)
    """
    text = str(budget).strip()
    try:
        size = budget_of(n, float(text[:-1]) / 100) if text.endswith("%") else int(text)
    except InputError as error:
        raise InputError(f"--budget {text!r}: {error}") from None
    except ValueError:
        raise InputError(
            f"--budget {text!r}: no number of texts; write one, or a share like 10%"
        ) from None
    if not 1 <= size <= n:
        raise InputError(f"--budget {text!r}: the pool has {n} texts; choose 1 to {n}, or a share")
    return size


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def fit(
    paths: Paths | Inputs,
    vectors: Vectors,
    config: Config,
    folder: str | Path,
    seeds: int | Iterable[int] = (0,),
    dimensions: int = 300,
    implementation: str = "fused",
    on_epoch: OnEpoch | None = None,
    pool: Sequence[str] = (),
    digest: str = "",
) -> Fitted:
    """Train on labelled texts and measure the instability of their words (eqs 4-9).

    A tenth is held out, drawn by each seed, to measure the accuracy.

    Args:
        paths: see :func:`replicate.corpus.read_corpus`; or ``Inputs`` that were read.
        vectors: see :func:`replicate.vectors.embedding_matrix`.
        config: readings.
        folder: where records and snapshots go while training.
        seeds: which, or how many; wac is the mean over them.
        dimensions: D of random vectors.
        implementation: ``"fused"`` or ``"reference"``.
        on_epoch: callable ``(seed, epoch, accuracy)``; may be None.
        pool: n texts whose labels the trained networks predict.  With ``Inputs``, a word of a
            text that these lack is as padding; ``words`` of
            :func:`replicate.experiment.read_inputs` adds it.
        digest: checksum of the vectors, if it is known already.

    Returns:
        See there.

    Raises:
        InputError: for bad data or seeds, fewer than ten texts, or training that diverged.
    """
    check_epochs(config)
    chosen = checked_seeds(seeds)
    if isinstance(paths, Inputs):
        inputs = paths
    else:
        inputs = read_inputs(config, paths, vectors, dimensions, _words_of(pool, config))
        inputs.read.check()
    corpus, n = inputs.corpus, len(inputs.corpus)
    if n < 10:
        raise InputError(f"{n} labelled texts are too few to learn from; give 10 or more")
    _, known_tokens = coverage(inputs.known, corpus.tokens)
    # Before training, after which the file may be another, or gone.
    digest = digest or sha256_of(vectors)
    total, seen = np.zeros(len(corpus.words)), np.zeros(len(corpus.words))
    accuracy = []
    asked = _indexed(pool, corpus.words, config, unseen=-1)
    probabilities = np.zeros((len(pool), len(corpus.label_names)))
    for seed in chosen:
        order = generator("held out", seed).permutation(n)
        held = np.sort(order[: max(1, int(HELD_OUT * n))])
        used = np.sort(order[len(held) :])
        drawn = with_unknown_words(inputs.matrix, inputs.known, config, seed)
        model = TextCNN(drawn, len(corpus.label_names), config, seed, implementation)
        place = Path(folder) / f"seed-{seed:03d}"
        tokens, offsets = corpus.take(used)
        recorder = Recorder.of_model(model, tokens, offsets, len(corpus.words), place, stored=False)
        mark = f"select {sorted(config.to_dict().items())} {corpus.sha256} {seed} {implementation} {digest}"
        rows, _ = train(
            model, corpus, used, held, seed=seed, folder=place, recorder=recorder, fingerprint=mark,
            on_progress=None if on_epoch is None else partial(on_epoch, seed),
        )  # fmt: skip
        wac, occurrences = recorder.stream.result(config.ddof)
        check_converged(rows, config, f"seed {seed}", wac[occurrences > 0])
        there = occurrences > 0
        total[there] += wac[there]
        seen += there
        accuracy.append(rows[-1][1])
        probabilities += _predicted(model, *asked, len(corpus.label_names)) / len(chosen)
    mean = np.divide(total, seen, out=np.full(len(total), np.nan), where=seen > 0)
    count = np.bincount(corpus.tokens, minlength=len(corpus.words))
    return Fitted(corpus, mean, count, accuracy, known_tokens, probabilities)


def _words_of(texts: Iterable[str], config: Config) -> Iterator[str]:
    """All words of some texts, in their order."""
    return (word for text in texts for word in tokenize(text, config.tokens))


def _indexed(
    texts: Iterable[str], words: np.ndarray, config: Config, unseen: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flat tokens and offsets of some texts over a vocabulary; `unseen` is a word that it lacks."""
    index = {word: i for i, word in enumerate(words.tolist())}
    tokens, offsets = [], [0]
    for text in texts:
        tokens += [index.get(word, unseen) for word in tokenize(text, config.tokens)]
        offsets.append(len(tokens))
    return np.array(tokens, dtype=np.int32), np.array(offsets, dtype=np.int64)


def _predicted(
    model: TextCNN, tokens: np.ndarray, offsets: np.ndarray, n_labels: int
) -> np.ndarray:
    """(n, C): probability of each label of n texts; those of a text without words are zeros."""
    full = np.flatnonzero(np.diff(offsets))
    found = np.zeros((len(offsets) - 1, n_labels))
    for start in range(0, len(full), _ASKED):
        some = full[start : start + _ASKED]
        first, last = offsets[some[0]], offsets[some[-1] + 1]
        ends = np.concatenate([[0], np.cumsum(np.diff(offsets)[some])])
        batch = flat_batch(model, tokens[first:last], ends)
        found[some] = classify(model, batch).probabilities
    return found


def sha256_of(vectors: Vectors) -> str:
    """Checksum of word vectors, ``"random"`` for random ones."""
    return identified(vectors)[1] or "random"


def rank_pool(
    fitted: Fitted, texts: Sequence[str], config: Config, by: str = "instability"
) -> Ranked:
    """Score texts by the mean wac of their words (eq. 10), or by entropy; highest first.

    Args:
        fitted: of :func:`fit`; to rank by entropy, with these texts as its pool.
        texts: n texts; words that were never seen are left out
            under the reading ``unseen_words = skip``, and count as 0 under ``zero``.
        config: readings ``tokens``, ``unseen_words``, ``repeated_words``.
        by: ``"instability"``, or ``"entropy"`` of the probabilities' mean over seeds.

    Returns:
        The n texts.

    Raises:
        ValueError: for another score, or if the pool of `fitted` has another number of texts.
    """
    _check_by(by)
    wac = np.append(fitted.wac, np.nan)  # one more word, which was never seen
    tokens, offsets = _indexed(texts, fitted.corpus.words, config, unseen=len(fitted.wac))
    shown = []
    for start, stop in pairwise(offsets.tolist()):
        ids = {i for i in tokens[start:stop].tolist() if np.isfinite(wac[i])}
        most = sorted(ids, key=lambda i: (-wac[i], i))[:SHOWN]
        shown.append([str(fitted.corpus.words[i]) for i in most])
    if by == "instability":
        score = sentence_instability(
            wac, tokens, offsets, config.unseen_words, config.repeated_words
        )
    elif len(fitted.probabilities) == len(texts):
        score = entropy(fitted.probabilities)
    else:
        raise ValueError(
            f"{len(texts)} texts, and a pool of {len(fitted.probabilities)}; fit with these texts"
        )
    return Ranked(select_top(score, len(score)), score, shown)


def _check_by(by: str) -> None:
    if by not in BY:
        raise ValueError(f"by = {by!r}; it is one of {', '.join(BY)}")


def select(
    paths: Paths,
    pool: str | Path,
    vectors: Vectors,
    config: Config,
    out: str | Path,
    budget: str | int = "10%",
    seeds: int | Iterable[int] = (0,),
    dimensions: int = 300,
    implementation: str = "fused",
    on_epoch: OnEpoch | None = None,
    on_read: OnRead | None = None,
    by: str = "instability",
) -> Path:
    """Train, rank the pool, and write ``selected.csv``, ``words.csv`` and ``select.json``.

    Args:
        paths, vectors, config, seeds, dimensions, implementation, on_epoch: see :func:`fit`.
        pool: see :func:`read_pool`.
        out: folder to write to.
        budget: see :func:`size_of`.
        on_read: callable that gets what was read, a
            :class:`replicate.io.summary.Summary`, before training; may be None.
        by: one of :data:`BY`, see :func:`rank_pool`.

    Returns:
        ``selected.csv``: rank, score, text, its most unstable words,
        label (where the pool has one; it was not used), line in the pool.

    Raises:
        InputError: for bad input, and where the folder has a selection of other data or
            settings; nothing is written then.
        ValueError: for a score that is not in :data:`BY`.
    """
    _check_by(by)
    chosen = checked_seeds(seeds)
    out = Path(out)
    notes: list[str] = []
    _check_folder(out)
    source = pool_texts(pool)
    rows = _texts_of(source, notes)
    size = size_of(budget, len(rows))
    check_epochs(config)
    texts = [row.text for row in rows]
    asked = texts if by == "entropy" else []
    inputs = read_inputs(config, paths, vectors, dimensions, _words_of(asked, config))
    words = set(inputs.corpus.words[np.unique(inputs.corpus.tokens)].tolist())
    known = [not words.isdisjoint(tokenize(text, config.tokens)) for text in texts]
    read = inputs.read.with_pool(known, notes)
    if on_read is not None:
        on_read(read)
    read.check()
    # Of what was read, and before training: the files may be others when it is over.
    digest = sha256_of(vectors)
    asked_for = {
        **config.to_dict(),
        "by": by,
        "seeds": chosen,
        "labelled": inputs.corpus.sha256,
        "pool": source.sha256,
        "vectors": digest,
        "dimensions": inputs.matrix.shape[1],
        "implementation": implementation,
        "selected": size,
    }
    _check_same(out, asked_for)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=_TRAINING, dir=out, ignore_cleanup_errors=True
    ) as folder:
        fitted = fit(
            inputs, vectors, config, folder, chosen, dimensions, implementation, on_epoch, asked,
            digest,
        )  # fmt: skip
        ranked = rank_pool(fitted, texts, config, by)
        _write(Path(folder), fitted, ranked, rows, {**asked_for, "read": read.to_dict()})
        _put(Path(folder), out)
    return out / "selected.csv"


def _write(
    folder: Path, fitted: Fitted, ranked: Ranked, rows: Sequence[Text], facts: dict[str, Any]
) -> None:
    """Write the three files of a selection to a folder."""
    chosen = [
        (
            rank,
            ranked.score[i],
            rows[i].text,
            " ".join(ranked.words[i]),
            rows[i].label,
            rows[i].line,
        )
        for rank, i in enumerate(ranked.order[: facts["selected"]].tolist(), start=1)
    ]
    seen = np.flatnonzero(np.isfinite(fitted.wac))
    by_wac = seen[np.argsort(-fitted.wac[seen], kind="stable")]
    settings = {
        **facts,
        "known_tokens": fitted.known_tokens,
        "accuracy_held_out": fitted.accuracy,
        "of": len(rows),
        "without_known_words": sum(not words for words in ranked.words),
        "versions": versions(),
        "environment": inherited(),
    }
    save_json(folder / SETTINGS, settings)
    save_csv(
        folder / "words.csv",
        WORDS,
        [(fitted.corpus.words[i], int(fitted.count[i]), fitted.wac[i]) for i in by_wac],
    )
    save_csv(folder / "selected.csv", SELECTED, chosen)


def _put(folder: Path, out: Path) -> None:
    """Rename what is whole, together: a full disk leaves the selection that was there."""
    # The others are known to be ours where the first is there.
    for name in (SETTINGS, "words.csv", "selected.csv"):
        try:
            os.replace(folder / name, out / name)
        except OSError as error:
            raise InputError(
                f"{out / name}: cannot be written ({error.strerror}); choose another --out"
            ) from error
    sync_folder(out)


def _check_same(out: Path, now: dict[str, Any]) -> None:
    """Refuse to write over a selection of other data or settings, which took a training."""
    if not (out / SETTINGS).exists():
        return
    have = load_json(out / SETTINGS)
    for name, value in now.items():
        # Selections of older versions lack some.
        if name in have and _digests(have[name]) != _digests(value):
            raise InputError(
                f"{out}: was made with {name} = {shorten(have[name])}, not {shorten(value)}; "
                "choose another --out"
            )


def _digests(value: Any) -> Any:
    """A setting; of files the checksums alone, because a file may have another name now."""
    return list(value.values()) if isinstance(value, dict) else value


def _check_folder(out: Path) -> None:
    """Look whether a selection may be written to a folder, before anything is touched."""
    place = out / SETTINGS
    if not place.exists():
        check_own_folder(out, f"selection ({SETTINGS})")
    elif not isinstance(found := load_json(place), dict) or "without_known_words" not in found:
        raise InputError(f"{place}: not of this program; choose another --out")


@contextlib.contextmanager
def locked(out: str | Path) -> Iterator[None]:
    """The lock of a folder to which a selection is written.

    Raises:
        InputError: for a folder of other files, or one that another command uses.
    """
    out = Path(out)
    _check_folder(out)
    with folder_lock(out):
        for place in out.glob(f"{_TRAINING}*"):  # of a command that was killed
            shutil.rmtree(place, ignore_errors=True)
        yield
