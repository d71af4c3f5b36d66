"""The cost of a corpus: a model of time, memory and traffic, fitted to measurements.

This measures epochs of training and recordings for up to 100 times MR, models
that two ranks train together, the averaging of gradients, and a sweep over two
ranks.  It fits the cost model of ``docs/cluster.md`` to them and predicts a corpus
of 10^9 tokens.  It writes ``results/scaling.csv`` and ``results/cost.csv``.  Run it
by ``make scaling`` on a machine without other work.

One epoch of training on T tokens in n batches of U distinct words in all, by
R ranks with F filters and P parameters:

    n c_n + (T c_T + T F c_TF + U F c_UF) / R + n log2(R) (c_s + P c_P)

One recording of T1's tokens; only rank 0 does the second part:

    (T r_T + T F r_TF) / R + T k_T
"""

import os

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import CASE, repeated
from scipy.optimize import nnls

from replicate.corpus import read_corpus
from replicate.fast.compat import chainer
from replicate.io.data import find_data
from replicate.io.files import read_csv, save_csv
from replicate.model import TextCNN
from replicate.parallel import data_parallel, mpi
from replicate.recorder import Recorder
from replicate.split import split_corpus
from replicate.training import PARTS, EpochIterator, make_optimizer
from replicate.vectors import embedding_matrix

RESULTS = Path(__file__).resolve().parents[1] / "results"
LARGEST = "epoch, Large Movie Review Dataset"
HEADER = (
    "measure", "ranks", "times", "filters", "batch_size", "tokens", "batches", "distinct",
    "parameters", "seconds", "recording_s", "keeping_s", "averaging_s", "peak_memory_mb",
)  # fmt: skip
COST = ("part", "coefficient", "value", "unit")

#: (ranks, times MR, filters, batch size) of the points that are measured.
POINTS = [
    (1, 1, 100, 50), (1, 10, 100, 50), (1, 100, 100, 50),
    (1, 1, 5, 100), (1, 10, 5, 100), (1, 1, 10, 50), (1, 1, 400, 50), (1, 1, 100, 10),
    (1, 10, 100, 1000),
    (2, 10, 100, 50), (2, 10, 100, 1000), (2, 10, 5, 100), (2, 1, 400, 50),
]  # fmt: skip
SWEEP = """
seeds = [0, 1]
[base]
epochs = 20
[[grid]]
n_filters = [20, 50]
batch_size = [50, 100]
"""


def point(times, filters, batch_size, large=None):
    """One point, measured on this rank; the other ranks than 0 return None.

    MR `times` times over, or the corpus and vectors that `large` names.
    """
    comm = data_parallel.communicator() if mpi.active() else None
    parts = data_parallel.shared_parts(comm) if comm else PARTS
    config = CASE.replace(n_filters=filters, batch_size=batch_size, epochs=3)
    _, paths, vectors = find_data("paper", *(large or ()))
    corpus = read_corpus(paths)
    matrix, _ = embedding_matrix(corpus.words, vectors, config)
    sentences = np.flatnonzero(split_corpus(corpus.labels, 0) == 1)
    model = TextCNN(matrix, 2, config, 0)
    optimizer = make_optimizer(model, config)

    def epoch(corpus, sentences):
        iterator = parts.iterator(corpus, sentences, batch_size, 0)
        updater = parts.updater(iterator, optimizer, model, 0)
        began = time.perf_counter()
        with chainer.using_config("type_check", False):
            while iterator.epoch < 1:
                updater.update()
        return time.perf_counter() - began

    epoch(corpus, sentences[: 4 * batch_size])  # compiled, and states made
    n = len(corpus)
    if not large:
        corpus = repeated(corpus, times)
        sentences = np.concatenate([sentences + n * i for i in range(times)])
    seconds = min(epoch(corpus, sentences) for _ in range(3 if len(sentences) < 20_000 else 1))

    averaging = []
    for _ in range(200 if comm else 0):
        comm.mpi_comm.barrier()
        began = time.perf_counter()
        comm.multi_node_mean_grad(model, zero_fill=True)
        averaging.append(time.perf_counter() - began)

    tokens, offsets = corpus.take(sentences)
    measure = parts.measure(model, tokens, offsets)
    looks, whole = [], []

    def timed():
        began = time.perf_counter()
        found = measure()
        looks.append(time.perf_counter() - began)
        return found

    if comm and comm.rank:
        for _ in range(3):
            timed()
        return None
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder.of_model(
            model, tokens, offsets, len(corpus.words), folder, False, lambda *sentences: timed
        )
        for _ in range(3):
            began = time.perf_counter()
            recorder.record()
            whole.append(time.perf_counter() - began)
    # A batch's distinct words, all ranks' shares together.
    walker = EpochIterator(corpus, sentences, batch_size, 0)
    distinct = batches = 0
    while walker.epoch < 1:
        distinct += len(next(walker).ids)
        batches += 1
    return {
        "tokens": len(tokens),
        "batches": batches,
        "distinct": distinct,
        "parameters": sum(p.size for p in model.params()),
        "seconds": seconds,
        "recording_s": min(looks[1:]),
        # The first record has no change.
        "keeping_s": min(w - l for w, l in zip(whole[1:], looks[1:])),
        "averaging_s": float(np.median(averaging)) if averaging else 0.0,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def launched(ranks, command):
    """The command that starts another command on several ranks."""
    if ranks == 1:
        return command
    return [shutil.which("mpiexec"), "--oversubscribe", "-n", str(ranks), *command]


def measured(large):
    """Rows of ``scaling.csv``; `large` names a further corpus and vectors to measure."""
    environment = {
        **os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }  # fmt: skip
    more = [(1, 0, 5, 100)] if large else []
    for ranks, times, filters, batch_size in POINTS + more:
        command = [sys.executable, __file__, "--point", f"{times},{filters},{batch_size}"]
        command += ["--large", *large] if times == 0 else []
        output = subprocess.run(
            launched(ranks, command), env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        found = json.loads(output.splitlines()[-1])
        print(
            ranks,
            times,
            filters,
            batch_size,
            {k: round(v, 4) for k, v in found.items()},
            flush=True,
        )
        yield [
            "epoch" if times else LARGEST,
            ranks,
            times,
            filters,
            batch_size,
            *(found[n] for n in HEADER[5:]),
        ]
    _, paths, vectors = find_data("paper")
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid.toml"
        grid.write_text(SWEEP)
        for turn in range(2):
            for ranks in (1, 2):
                command = [sys.executable, "-m", "replicate", "sweep", str(grid), "--jobs", "1"]
                command += ["--vectors", str(vectors), "--quiet"]
                for path in paths:
                    command += ["--corpus", str(path)]
                command += ["--out", f"{folder}/{ranks}-{turn}"]
                began = time.perf_counter()
                subprocess.run(launched(ranks, command), env=environment, check=True)
                seconds = time.perf_counter() - began
                print("sweep", ranks, round(seconds, 1), flush=True)
                yield ["sweep", ranks, 1, "", "", "", "", "", "", seconds, "", "", "", ""]


def fitted(columns, seconds):
    """Non-negative coefficients with the least squares of relative errors of the seconds."""
    scaled = np.array(columns, dtype=float).T / np.array(seconds)[:, None]
    size = scaled.max(axis=0)
    return nnls(scaled / size, np.ones(len(seconds)))[0] / size


def fit(rows):
    """The cost model fitted to measured rows: name -> value."""
    epochs = [dict(zip(HEADER, row)) for row in rows if row[0] == "epoch"]
    epochs = [
        {k: float(v) if v != "" and k != "measure" else v for k, v in e.items()} for e in epochs
    ]
    alone = [e for e in epochs if e["ranks"] == 1]

    def column(table, make):
        return [make(e) for e in table]

    training = fitted(
        [
            column(alone, lambda e: e["batches"]),
            column(alone, lambda e: e["tokens"]),
            column(alone, lambda e: e["tokens"] * e["filters"]),
            column(alone, lambda e: e["distinct"] * e["filters"]),
        ],
        column(alone, lambda e: e["seconds"]),
    )
    recording = fitted(
        [column(alone, lambda e: e["tokens"]), column(alone, lambda e: e["tokens"] * e["filters"])],
        column(alone, lambda e: e["recording_s"]),
    )
    keeping = fitted(
        [column(alone, lambda e: e["tokens"])], column(alone, lambda e: e["keeping_s"])
    )
    together = [e for e in epochs if e["ranks"] == 2]
    averaging = fitted(
        [column(together, lambda e: 1.0), column(together, lambda e: e["parameters"])],
        column(together, lambda e: e["averaging_s"]),
    )
    # Memory against tokens, at one number of filters.
    same = [e for e in alone if e["filters"] == 100 and e["batch_size"] == 50]
    memory = np.polyfit(
        column(same, lambda e: e["tokens"]), column(same, lambda e: e["peak_memory_mb"]), 1
    )
    model = dict(zip(("c_n", "c_T", "c_TF", "c_UF"), training))
    model.update(zip(("r_T", "r_TF"), recording))
    model.update(k_T=keeping[0], c_s=averaging[0], c_P=averaging[1])
    model.update(m_0=memory[1], m_T=memory[0] * 1e6)
    return model


def epoch_seconds(model, tokens, batches, distinct, filters, parameters, ranks=1):
    """Seconds of an epoch of training according to the model."""
    alone = batches * model["c_n"]
    shared = tokens * (model["c_T"] + filters * model["c_TF"]) + distinct * filters * model["c_UF"]
    averaging = batches * np.log2(ranks) * (model["c_s"] + parameters * model["c_P"])
    return alone + shared / ranks + averaging


def record_seconds(model, tokens, filters, ranks=1):
    """Seconds of a recording according to the model: shared by all ranks, and rank 0 alone."""
    return (
        tokens * (model["r_T"] + filters * model["r_TF"]) / ranks,
        tokens * model["k_T"],
    )


UNITS = {
    "c_n": "s a batch", "c_T": "s a token", "c_TF": "s a token and filter",
    "c_UF": "s a distinct word and filter", "r_T": "s a token", "r_TF": "s a token and filter",
    "k_T": "s a token", "c_s": "s an averaging", "c_P": "s a parameter", "m_0": "MB", "m_T": "bytes a token",
}  # fmt: skip


def cost_rows(rows):
    """Rows of ``cost.csv``: coefficients, errors of the fit, efficiency, predictions."""
    model = fit(rows)
    made = [("model", name, value, UNITS[name]) for name, value in model.items()]
    errors = []
    for row in rows:
        if row[0] != "epoch":
            continue
        e = {k: float(v) for k, v in zip(HEADER[1:], row[1:])}
        predicted = epoch_seconds(
            model,
            e["tokens"],
            e["batches"],
            e["distinct"],
            e["filters"],
            e["parameters"],
            e["ranks"],
        )
        errors.append((e["ranks"], abs(predicted / e["seconds"] - 1)))
    for ranks in (1, 2):
        of = [error for r, error in errors if r == ranks]
        made.append(
            (
                "fit",
                f"greatest error of an epoch, {ranks} rank{'s' * (ranks > 1)}",
                max(of),
                "share",
            )
        )
    by = {tuple(map(float, row[1:5])): float(row[9]) for row in rows if row[0] == "epoch"}
    for (ranks, *rest), seconds in by.items():
        one = by.get((1.0, *rest))
        if ranks == 2 and one:
            name = "{:.0f} x MR, {:.0f} filters, batches of {:.0f}".format(*rest)
            made.append(("efficiency, data-parallel", name, one / seconds / 2, "share"))
    sweeps = {
        n: [float(row[9]) for row in rows if row[0] == "sweep" and int(row[1]) == n] for n in (1, 2)
    }
    made.append(
        (
            "efficiency, sweep",
            "4 specifications x 2 seeds",
            min(sweeps[1]) / min(sweeps[2]) / 2,
            "share",
        )
    )
    one = {
        row[0]: row
        for row in rows
        if list(map(str, row[1:5])) in (["1", "1", "5", "100"], ["1", "0", "5", "100"])
    }
    if LARGEST in one:
        small, large = ([float(cell) for cell in one[name][5:]] for name in ("epoch", LARGEST))
        for name, place in (("training", 4), ("recording", 5), ("keeping", 6)):
            ratio = large[place] / large[0] / (small[place] / small[0])
            made.append(
                (
                    "Large Movie Review Dataset",
                    f"time a token of {name}, times MR's",
                    ratio,
                    "times",
                )
            )
        made.append(("Large Movie Review Dataset", "memory", large[8], "MB"))
    made += predictions(model, rows)
    return made


#: The predicted case: tokens of a corpus, ranks, words a sentence, sentences a batch and rank.
LARGE = {"tokens": 1e9, "ranks": 64, "length": 235, "share": 100}


def predictions(model, rows):
    """Rows on :data:`LARGE`, with 5 and 100 filters."""
    # The share of distinct words in a batch is that of MR's largest batches.
    largest = max((row for row in rows if row[0] == "epoch"), key=lambda row: int(row[4]))
    distinct = float(largest[7]) / float(largest[5])
    ranks = LARGE["ranks"]
    for filters in (5, 100):
        t1 = 0.45 * LARGE["tokens"]
        parameters = filters * 3 * 300 + filters + 2 * filters + 2
        batches = t1 / LARGE["length"] / (LARGE["share"] * ranks)
        name = f"10^9 tokens, {ranks} ranks, {filters} filters"
        epoch = epoch_seconds(model, t1, batches, distinct * t1, filters, parameters, ranks)
        shared, own = record_seconds(model, t1, filters, ranks)
        # T1, three arms of 1.5 times its size, one of 2, two of half.
        arms = (1 + 2 * 0.5 + 3 * 1.5 + 2) * epoch
        yield name, "an epoch of training on T1", epoch, "s"
        yield name, "a recording, shared by ranks", shared, "s"
        yield name, "a recording, rank 0 alone", own, "s"
        yield name, "an epoch of all seven arms, recorded", arms + shared + own, "s"
        yield name, "50 epochs of a seed", 50 * (arms + shared + own) / 3600, "hours"
        yield name, "the same without ranks", 50 * (
            8.5 * epoch_seconds(model, t1, batches * ranks, distinct * t1, filters, parameters)
            + sum(record_seconds(model, t1, filters))
        ) / 3600, "hours"  # fmt: skip
        yield name, "memory of rank 0", (model["m_0"] + t1 * model["m_T"] / 1e6) / 1e3, "GB"
        yield (
            name,
            "traffic of a rank an epoch of training",
            2 * 4 * parameters * batches / 1e6,
            "MB",
        )
        yield name, "traffic to rank 0 a recording", 4 * t1 / 1e9, "GB"


def main():
    """Measure, fit and write; or measure one point for the parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", metavar="TIMES,FILTERS,BATCH", help="one point, printed")
    parser.add_argument(
        "--large",
        nargs=2,
        metavar=("CORPUS", "VECTORS"),
        help="the Large Movie Review Dataset, measured in addition to MR",
    )
    parser.add_argument("--fit", action="store_true", help="fit to stored measurements only")
    chosen = parser.parse_args()
    if chosen.point:
        large = ((chosen.large[0],), chosen.large[1]) if chosen.large else None
        found = point(*map(int, chosen.point.split(",")), large)
        if found is not None:
            print(json.dumps(found), flush=True)
        mpi.leave(0)
    place = RESULTS / "scaling.csv"
    if not chosen.fit:
        save_csv(place, HEADER, list(measured(chosen.large)))
    rows = [list(row.values()) for row in read_csv(place, HEADER)]
    save_csv(RESULTS / "cost.csv", COST, cost_rows(rows))


if __name__ == "__main__":
    main()
