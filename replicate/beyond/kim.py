"""Kim's table once more: how good is his network here, by his protocol? (beyond the paper)

The paper takes its network from Kim (2014).  His accuracies, and those of the
replications after his, are a yardstick: whoever sees 0.76 in this experiment can look
here whether the network or the experiment makes it so.

Protocol (Kim 2014, sections 3.1 and 4): the official test sentences, or ten folds of a
corpus without; the official development sentences, or a random tenth of the training
sentences; 25 epochs; what counts is the accuracy on the test sentences after the epoch
that is best on the development sentences, of equal epochs the last.
"""

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import Config, checked_seeds, generator
from ..corpus import Corpus
from ..environment import inherited, versions
from ..experiment import Inputs, OnRead, check_converged, read_inputs
from ..io.errors import InputError, shorten
from ..io.files import check_own_folder, folder_lock, read_csv, save_csv, save_json
from ..io.files import sha256 as checksum
from ..io.published import PUBLISHED
from ..model import TextCNN
from ..parallel.pool import Outcome, Task, checked_jobs, run_tasks
from ..settings import content_of, matrix_of, settings_like
from ..split import folds
from ..training import PARTS, Evaluator, train
from ..vectors import coverage, with_unknown_words

__all__ = [
    "CORPORA",
    "SPECIFICATION",
    "VARIANTS",
    "division",
    "fold_rows",
    "kim_table",
    "locked",
    "published_accuracies",
    "run_kim",
    "write_kim",
]

#: His corpora, in the order of his table.
CORPORA = ("mr", "sst1", "sst2", "subj", "trec", "cr", "mpqa")

#: His network and optimiser: three heights of 100 filters, dropout, AdaDelta, max-norm.
SPECIFICATION = Config(
    n_filters=100,
    filter_height=(3, 4, 5),
    dropout=0.5,
    max_norm=3.0,
    optimizer="AdaDelta",
    batch_size=50,
    initial_weights="kim",
    epochs=25,
)

#: His four kinds of word vectors: whether they are random, and the reading ``vectors_mode``.
VARIANTS = {
    "rand": (True, "finetuned"),
    "static": (False, "static"),
    "non-static": (False, "finetuned"),
    "multichannel": (False, "multichannel"),
}

FOLDS = 10
#: A file of a folder, and what it holds: a row a training run.
ROWS, SETTINGS = "folds.csv", "kim.json"
ROW = (
    "corpus", "variant", "seed", "fold", "train", "dev", "test", "coverage", "epoch",
    "dev_accuracy", "accuracy", "last_accuracy", "best_accuracy",
)  # fmt: skip
TABLE = (
    "corpus", "variant", "kim", "others_low", "others_high", "others", "ours", "sd_runs", "sd_seeds",
    "runs", "seeds", "difference", "coverage", "epoch", "last", "best_on_test",
)  # fmt: skip
_WORDS = ("corpus", "variant")


class _Settings(msgspec.Struct):
    """What ``kim.json`` holds, beside versions; ``corpora`` has their checksums by name."""

    specification: dict[str, Any]
    vectors: dict[str, str]
    corpora: dict[str, str] = {}  # version 1.0.0 does not write it


#: Called with the name of a training run and what happened to it.
OnProgress = Callable[[Any, Any], None]


# --- one training run --------------------------------------------------------------------


def division(
    corpus: Corpus, seed: int, fold: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Training, development and test sentences of a run.

    Args:
        corpus: N sentences; with an official split there is one fold.
        seed: of the folds and of the tenth that is set aside.
        fold: which, from 0.

    Returns:
        Three arrays of sentence indices, ascending, which no two have in common.

    Example:
        >>> corpus = Corpus.from_texts(["good film", "bad film"] * 100, [1, 0] * 100)
        >>> train, dev, test = division(corpus, seed=0, fold=3)
        >>> len(train) + len(dev) + len(test), len(dev) == (len(train) + len(dev)) // 10
        (200, True)
    """
    if corpus.part is None:
        own = folds(corpus, FOLDS, seed)
        rest, dev, test = (np.flatnonzero(x) for x in (own != fold, own < 0, own == fold))
    else:
        rest, dev, test = (np.flatnonzero(corpus.part == k) for k in range(3))
    if len(dev) == 0:
        drawn = generator("development tenth", seed, fold).permutation(rest)
        dev, rest = np.sort(drawn[: len(rest) // 10]), np.sort(drawn[len(rest) // 10 :])
    return rest, dev, test


def n_folds(corpus: Corpus) -> int:
    """Training runs of a seed: one with official test sentences, ten otherwise."""
    return FOLDS if corpus.part is None else 1


class DevelopmentAndTest(Evaluator):
    """Evaluates on the development sentences, and keeps the accuracy on the test sentences."""

    def __init__(
        self, model: TextCNN, corpus: Corpus, sentences: np.ndarray, test: np.ndarray
    ) -> None:
        super().__init__(model, corpus, sentences)
        self.test = Evaluator(model, corpus, test)
        self.accuracies: list[float] = []

    def evaluate(self) -> tuple[float, float]:
        """Accuracy and mean loss on the development sentences."""
        self.accuracies.append(self.test.evaluate()[0])
        return super().evaluate()


def chosen_epoch(accuracies: Sequence[float]) -> int:
    """Index of the best epoch on the development sentences; of equal ones the last, as Kim has it.

    Example:
        >>> chosen_epoch([0.5, 0.7, 0.7, 0.6])
        2
    """
    return len(accuracies) - 1 - int(np.argmax(list(accuracies)[::-1]))


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def train_fold(
    name: str, variant: str, seed: int, fold: int, vectors: str, epochs: int,
    checksums: tuple[str, str], on_progress: Any,
) -> None:  # fmt: skip
    """Task: one training run; its last message is its row.

    Raises:
        InputError: if corpus or word vectors have other `checksums` now.
    """
    config = configuration(variant, epochs)
    inputs = _data(name, VARIANTS[variant][0], vectors)
    for what, have, now in zip((name, vectors), checksums, _checksums(inputs)):
        if have != now:
            raise InputError(
                f"{what}: has changed since this command began; choose another --out or bring "
                "the old file back"
            )
    corpus, matrix, known = inputs.corpus, inputs.matrix, inputs.known
    drawn = with_unknown_words(matrix, known, config, seed)
    own = int(generator("kim training", seed, fold).randint(2**31))
    model = TextCNN(drawn, len(corpus.label_names), config, own)
    rest, dev, test = division(corpus, seed, fold)
    made: list[DevelopmentAndTest] = []

    def evaluator(model: TextCNN, corpus: Corpus, sentences: np.ndarray) -> Evaluator:
        made.append(DevelopmentAndTest(model, corpus, sentences, test))
        return made[-1]

    with tempfile.TemporaryDirectory() as folder:
        rows, _ = train(
            model, corpus, rest, dev, seed=own, folder=folder, snapshot_seconds=math.inf,
            on_progress=lambda epoch, accuracy: on_progress((epoch, accuracy)),
            parts=replace(PARTS, evaluator=evaluator),
        )  # fmt: skip
    check_converged(rows, config, f"{name}, {variant}, seed {seed}, fold {fold}")
    accuracies = made[0].accuracies
    best = chosen_epoch([row[1] for row in rows])
    on_progress(
        {
            "corpus": name, "variant": variant, "seed": seed, "fold": fold,
            "train": len(rest), "dev": len(dev), "test": len(test),
            "coverage": coverage(known, corpus.tokens)[1], "epoch": rows[best][0],
            "dev_accuracy": rows[best][1], "accuracy": accuracies[best],
            "last_accuracy": accuracies[-1], "best_accuracy": max(accuracies),
        }
    )  # fmt: skip


def configuration(variant: str, epochs: int) -> Config:
    """His specification with one of the :data:`VARIANTS`."""
    return SPECIFICATION.replace(vectors_mode=VARIANTS[variant][1], epochs=epochs)


def _data(name: str, random: bool, vectors: str, on_read: OnRead | None = None) -> Inputs:
    """A corpus with random vectors, or those of the file; what is probably misread is refused."""
    inputs = read_inputs(SPECIFICATION, [name], "random" if random else vectors)
    if on_read is not None:
        on_read(inputs.read)
    inputs.read.check()
    return inputs


def _checksums(inputs: Inputs) -> tuple[str, str]:
    """Of the corpus and of the word vectors, as they are used."""
    return content_of(inputs.corpus), matrix_of(inputs.matrix, inputs.known)


# --- all of them -------------------------------------------------------------------------


def run_kim(
    out: str | Path,
    corpora: Sequence[str] = CORPORA,
    variants: Sequence[str] = tuple(VARIANTS),
    seeds: int | Iterable[int] = (0,),
    vectors: str | Path = "random",
    epochs: int = SPECIFICATION.epochs,
    jobs: int = 1,
    on_progress: OnProgress | None = None,
    on_start: Callable[[int], None] | None = None,
    on_read: OnRead | None = None,
) -> Outcome:
    """Train what a table of accuracies needs and the folder lacks; resumable.

    Args:
        out: folder; a finished training run is one row of its ``folds.csv``.
        corpora: names of published corpora.
        variants: of :data:`VARIANTS`.
        seeds: which, or how many; each draws its folds, weights and orders.
        vectors: a file of word vectors.
        epochs: of a training run.
        jobs: training runs at once.
        on_progress: callable ``(name, message)``: name is (corpus, variant, seed, fold),
            message ``(epoch, accuracy on the development sentences)``, ``"done"`` or
            ``"failed"``.
        on_start: called with the number of training runs that will be made.
        on_read: called with what was read of each corpus, with the coverage of the vectors
            where a variant uses them.

    Returns:
        Failures by name.

    Raises:
        InputError: for an unknown name, bad seeds, jobs or data, data that change meanwhile,
            or a folder of other settings.
    """
    out = Path(out)
    chosen, jobs = checked_seeds(seeds), checked_jobs(jobs)
    for name in corpora:
        if name not in PUBLISHED:
            offered = ", ".join(PUBLISHED)
            raise InputError(f"corpus {shorten(name)} is not published; choose among {offered}")
    for variant in variants:
        if variant not in VARIANTS:
            raise InputError(
                f"variant {shorten(variant)} is not offered; choose among {', '.join(VARIANTS)}"
            )
    # The file of vectors first, so that its coverage is what is reported.
    kinds = sorted({VARIANTS[variant][0] for variant in variants})
    number, checksums = {}, {}
    for corpus in corpora:
        for random in kinds:
            inputs = _data(corpus, random, str(vectors), on_read if random == kinds[0] else None)
            checksums[corpus, random] = _checksums(inputs)
        number[corpus] = n_folds(inputs.corpus)
    contents = {corpus: content for (corpus, _), (content, _) in checksums.items()}
    _keep_settings(out, vectors, epochs, contents)
    done = {(r["corpus"], r["variant"], r["seed"], r["fold"]): r for r in fold_rows(out)}
    wanted = [
        (name, variant, seed, fold)
        for seed in chosen  # all of one seed first: a table stopped early is whole
        for name in corpora
        for variant in variants
        for fold in range(number[name])
    ]
    tasks = []
    for run in wanted:
        if run not in done:
            of = checksums[run[0], VARIANTS[run[1]][0]]
            tasks.append(Task(run, train_fold, (*run, str(vectors), epochs, of), ()))
    if on_start is not None:
        on_start(len(tasks))

    def collect(name: Any, message: Any) -> None:
        if isinstance(message, dict):
            done[name] = message
            rows = [[row[column] for column in ROW] for _, row in sorted(done.items())]
            save_csv(out / ROWS, ROW, rows)
        elif on_progress is not None:
            on_progress(name, message)

    return run_tasks(tasks, jobs, collect)


@contextlib.contextmanager
def locked(out: str | Path) -> Iterator[None]:
    """The lock of a folder in which a table is or may be made.

    Raises:
        InputError: for a folder of other files, or one that another command uses.
    """
    out = Path(out)
    if not (out / SETTINGS).exists():
        check_own_folder(out, "table of this command")
    else:
        _read_settings(out)
    with folder_lock(out, ("",)):
        yield


def _read_settings(out: Path) -> dict[str, Any]:
    """``kim.json``, with the checksums of corpora that rows are of."""
    return {"corpora": {}, **settings_like(out / SETTINGS, _Settings)}


def _keep_settings(
    out: Path, vectors: str | Path, epochs: int, contents: Mapping[str, str]
) -> None:
    """Write what all rows have in common, or look whether it is the same."""
    is_file = str(vectors) != "random"
    own = {
        "specification": {**SPECIFICATION.to_dict(), "epochs": epochs},
        "vectors": {
            "name": Path(vectors).name,
            "sha256": checksum(Path(vectors)) if is_file else "",
        },
    }
    place = out / SETTINGS
    if place.exists():
        have = _read_settings(out)
        for name, value in own.items():
            if have[name] != value:
                raise InputError(f"{place}: has other {name}; choose another --out")
        for name, content in contents.items():
            if have["corpora"].get(name, content) != content:
                raise InputError(f"{place}: has another corpus {name}; choose another --out")
    else:
        out.mkdir(parents=True, exist_ok=True)
        have = {**own, "versions": versions(), "environment": inherited()}
    corpora = {**have.get("corpora", {}), **contents}
    if corpora != have.get("corpora"):
        save_json(place, {**have, "corpora": corpora})


def fold_rows(out: str | Path) -> list[dict[str, Any]]:
    """The training runs of a folder, a row each; empty without any."""
    place = Path(out) / ROWS
    if not place.exists():
        return []
    whole = ("seed", "fold", "train", "dev", "test", "epoch")
    kinds = {name: int if name in whole else float for name in ROW if name not in _WORDS}
    return read_csv(place, ROW, kinds)


# --- the table ---------------------------------------------------------------------------


def published_accuracies() -> list[dict[str, Any]]:
    """Accuracies in percent that others report, with protocol and source.

    Example:
        >>> row = published_accuracies()[0]
        >>> row["corpus"], row["model"], row["variant"], row["accuracy"]
        ('mr', 'Kim (2014)', 'rand', 76.1)
    """
    header = ("corpus", "model", "variant", "accuracy", "protocol", "source", "checked")
    place = Path(__file__).parents[1] / "data" / "published.csv"
    return read_csv(place, header, {"accuracy": float})


def kim_table(rows: Sequence[Mapping[str, Any]]) -> list[tuple]:
    """Ours beside Kim's and others', in percent: one row a corpus and variant.

    Args:
        rows: of :func:`fold_rows`.

    Returns:
        Rows of :data:`TABLE`.  ``ours`` is the mean over the runs of each seed, then over
        seeds; ``sd_runs`` the standard deviation of single runs (folds, or seeds of an
        official split), ``sd_seeds`` that of the seeds' means; ``best_on_test`` the mean
        of each run's best accuracy on its test sentences, which no honest protocol may
        choose.  Empty where there are too few.
    """
    published = published_accuracies()
    table: list[tuple] = []
    for corpus in PUBLISHED:
        for variant in VARIANTS:
            own = [r for r in rows if (r["corpus"], r["variant"]) == (corpus, variant)]
            if not own:
                continue
            seeds = sorted({r["seed"] for r in own})
            single = 100 * np.array([r["accuracy"] for r in own])
            means = [
                100 * float(np.mean([r["accuracy"] for r in own if r["seed"] == seed]))
                for seed in seeds
            ]
            found = [r for r in published if (r["corpus"], r["variant"]) == (corpus, variant)]
            his = [r["accuracy"] for r in found if r["model"] == "Kim (2014)"]
            others = [r["accuracy"] for r in found if r["model"] != "Kim (2014)"]
            ours = float(np.mean(means))
            table.append(
                (
                    corpus, variant, his[0] if his else "",
                    min(others, default=""), max(others, default=""), len(others), ours,
                    float(single.std(ddof=1)) if len(single) > 1 else "",
                    float(np.std(means, ddof=1)) if len(means) > 1 else "",
                    len(own), len(seeds), ours - his[0] if his else "", own[0]["coverage"],
                    float(np.mean([r["epoch"] for r in own])),
                    100 * float(np.mean([r["last_accuracy"] for r in own])),
                    100 * float(np.mean([r["best_accuracy"] for r in own])),
                )
            )  # fmt: skip
    return table


def write_kim(out: str | Path) -> Path:
    """Write ``table.csv`` of a folder from its training runs.

    Args:
        out: folder of :func:`run_kim`.

    Returns:
        The file.
    """
    place = Path(out) / "table.csv"
    save_csv(place, TABLE, kim_table(fold_rows(out)))
    return place
