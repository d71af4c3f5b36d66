"""A run in the forms of other tools: training dynamics for Cartography, tables as Parquet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.errors import InputError
from ..io.files import atomic, save_text
from ..run import Record, Run

__all__ = ["log_probabilities", "write_cartography", "write_parquet"]


def write_cartography(run: Run, seed: int) -> Path:
    """Write the training dynamics of T1 as Dataset Cartography reads them.

    ``training_dynamics/dynamics_epoch_0.jsonl`` and so on, one for each recorded epoch, have a
    line for each sentence of T1: ``guid``, its place in the corpus; ``logits_epoch_0``, the
    logarithms of the labels' probabilities; ``gold``, its label.

    Args:
        run: a run.
        seed: a seed whose first phase is complete.

    Returns:
        The folder that Cartography takes as ``--model_dir``.

    Raises:
        InputError: if the seed is not finished, or the corpus has more than two labels.

    Example:
        >>> folder = write_cartography(sample_run(), 0)
        >>> sorted(path.name for path in (folder / "training_dynamics").iterdir())
        ['dynamics_epoch_0.jsonl', 'dynamics_epoch_1.jsonl', 'dynamics_epoch_2.jsonl']
    """
    if not run.finished(seed, "T1"):
        raise InputError(f"{run.out}: seed {seed} is not finished; choose one that is")
    labels = len(run.settings["corpus"]["label_names"])
    if labels != 2:
        raise InputError(
            f"{run.out}: has {labels} labels, and a run records the probability of the network's "
            "own label only; export a run with two labels"
        )
    record, t1 = run.record(seed), run.split(seed)[0]
    logits = log_probabilities(record)
    for row in range(len(record.epochs)):
        lines = (
            json.dumps({"guid": guid, f"logits_epoch_{row}": pair, "gold": gold})
            for guid, pair, gold in zip(t1.tolist(), logits[row].tolist(), record.labels.tolist())
        )
        save_text(run.dynamics_file(seed, row), "\n".join(lines) + "\n")
    return run.dynamics_file(seed, 0).parents[1]


def log_probabilities(record: Record) -> NDArray[np.float64]:
    """Logarithms of the probabilities of two labels, from the recorded label R and 1 - p_R.

    Args:
        record: of N sentences, E epochs.

    Returns:
        (E, N, 2) float64; their softmax gives the probabilities.

    Example:
        >>> logits = log_probabilities(sample_run().record(0))
        >>> logits.shape, np.allclose(np.exp(logits).sum(axis=2), 1)
        ((3, 90, 2), True)
    """
    assert record.uncertainty is not None
    # In float32, a probability of 1 may be one that is a little smaller.
    doubt = np.maximum(record.uncertainty.astype(np.float64), np.finfo(np.float32).tiny)
    both = np.stack([np.log1p(-doubt), np.log(doubt)], axis=2)
    swapped = record.predicted[:, :, None] == 1
    return np.where(swapped, both[:, :, ::-1], both)


def write_parquet(run: Run) -> Path:
    """Write the tables of all finished seeds as Parquet files.

    ``sentences.parquet`` has seed, sentence, label, subset, half and A_S; ``words.parquet``
    seed, word, count and wac; ``accuracy.parquet`` seed, arm, epoch, accuracy and loss.  Each
    seed is a row group.

    Args:
        run: a run.

    Returns:
        The folder of the files.

    Raises:
        InputError: if no seed is finished, or pyarrow is not installed.

    Example:
        >>> import pandas
        >>> from replicate.experiment import run_arm
        >>> run = sample_run()
        >>> for arm in ("T1andT2", "T1andT2h", "T1andT2l", "T1andT2ran", "T2h", "T2l"):
        ...     run_arm(run, 0, arm)
        >>> table = pandas.read_parquet(write_parquet(run) / "sentences.parquet")
        >>> table.columns.tolist(), len(table)
        (['seed', 'sentence', 'label', 'subset', 'half', 'instability'], 200)
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError("Parquet files need pyarrow; install it: pip install pyarrow") from None
    seeds = run.finished_seeds()
    if not seeds:
        raise InputError(f"{run.out}: no seed is finished; finish the run first")
    for name, tables in (("sentences", _sentences), ("words", _words), ("accuracy", _accuracy)):
        place, writer = run.parquet_file(name), None
        with atomic(place) as file:
            for table in tables(run, seeds):
                writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd")
                writer.write_table(table)
            assert writer is not None
            writer.close()
    return run.parquet_file("words").parent


def _table(seed: int, **columns: Any) -> Any:
    """A table whose first column is the seed."""
    import pyarrow

    rows = len(next(iter(columns.values())))
    return pyarrow.table({"seed": np.full(rows, seed), **columns})


def _sentences(run: Run, seeds: list[int]) -> Iterator[Any]:
    for seed in seeds:
        scores, half = run.sentence_scores(seed)
        yield _table(
            seed, sentence=np.arange(len(scores)), label=run.corpus.labels,
            subset=run.subset(seed), half=[h or None for h in half.tolist()],
            instability=[None if np.isnan(score) else score for score in scores],
        )  # fmt: skip


def _words(run: Run, seeds: list[int]) -> Iterator[Any]:
    for seed in seeds:
        wac, count = run.instability(seed)
        own = np.flatnonzero(count)
        words = run.corpus.words[own].tolist()
        yield _table(seed, word=words, count=count[own], wac=wac[own])


def _accuracy(run: Run, seeds: list[int]) -> Iterator[Any]:
    for seed in seeds:
        curves = run.accuracies(seed)
        arms = [arm for arm, rows in curves.items() for _ in rows]
        epoch, accuracy, loss = np.concatenate(list(curves.values())).T
        yield _table(seed, arm=arms, epoch=epoch.astype(int), accuracy=accuracy, loss=loss)
