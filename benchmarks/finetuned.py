"""What fine-tuned word vectors cost, and what the reading ``absent_words`` does to results.

Usage: python benchmarks/finetuned.py [SWEEP.csv]

Without an argument, CPU seconds of an epoch of T1 on one thread go to
``results/finetuned_speed.csv``: static vectors, and fine-tuned ones with every optimiser
and both readings, the variants in turn.  ``pass_s`` is a pass that reads and writes
weights and states once a batch, where an exact update moves every row: ``a += 1``.

With the table of ``replicate sweep results/finetuned.toml --out DIR``, statistics of
its seeds go to ``results/finetuned.csv``: their means, and the difference that the
reading makes in the same seed, with a 95 % interval.
"""

import os
import sys

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    # Before a matrix library is loaded, because it reads them once.
    os.environ[name] = "1"

import time
from pathlib import Path

import numpy as np

from replicate.beyond.sweep import sweep_rows
from replicate.config import ARMS, PRESETS
from replicate.corpus import read_corpus
from replicate.fast.compat import chainer
from replicate.inference import mean_interval
from replicate.io.data import find_data
from replicate.io.files import save_csv
from replicate.model import TextCNN
from replicate.split import split_corpus
from replicate.training import EpochIterator, Updater, make_optimizer
from replicate.vectors import embedding_matrix

RESULTS = Path(__file__).resolve().parents[1] / "results"
REPETITIONS = 7
#: Optimiser -> its arrays (V + 1, D), weights and states, where it moves every row.
ARRAYS = {"Adam": 3, "AdaDelta": 3, "MomentumSGD": 2, "SGD": 0, "AdaGrad": 0}
SPEED = ("optimizer", "vectors", "absent_words", "epoch_s", "times_static", "pass_s", "times_pass")
EFFECT = ("statistic", "seeds", "static", "move", "stay", "difference", "low", "high")
#: Statistics of a sweep's table, and by what they are multiplied.
SHOWN = {
    **{f"A.{arm}": 100 for arm in ARMS},
    "H.mean": 100,
    "O2.mean": 100,
    "misclassified": 1,
    "F5.share": 1,
}


def epoch_of(corpus, matrix, sentences, config):
    """A callable that trains one more epoch of T1."""
    model = TextCNN(matrix, 2, config, 0)
    optimizer = make_optimizer(model, config)

    def run():
        iterator = EpochIterator(corpus, sentences, config.batch_size, 0)
        updater = Updater(iterator, optimizer, model, 0)
        with chainer.using_config("type_check", False):
            while iterator.epoch < 1:
                updater.update()

    return run


def pass_of(shape, arrays, batches):
    """A callable of one pass over some arrays for each batch of an epoch."""
    made = [np.zeros(shape, dtype=np.float32) for _ in range(arrays)]

    def run():
        for _ in range(batches):
            for array in made:
                np.add(array, np.float32(1), out=array)

    return run


def speed():
    """Rows of ``finetuned_speed.csv``."""
    _, paths, vectors = find_data("paper")
    config = PRESETS["paper"]
    corpus = read_corpus(paths)
    matrix, _ = embedding_matrix(corpus.words, vectors, config)
    sentences = np.flatnonzero(split_corpus(corpus.labels, 0) == 1)
    variants = {("Adam", "static", ""): epoch_of(corpus, matrix, sentences, config)}
    for optimizer in ARRAYS:
        for words in ("move", "stay"):
            changed = config.replace(
                vectors_mode="finetuned", optimizer=optimizer, absent_words=words
            )
            made = epoch_of(corpus, matrix, sentences, changed)
            variants[optimizer, "finetuned", words] = made
    batches = -(-len(sentences) // config.batch_size)
    for arrays in filter(None, set(ARRAYS.values())):
        variants[arrays] = pass_of(matrix.shape, arrays, batches)
    seconds = dict.fromkeys(variants, np.inf)
    for repetition in range(REPETITIONS + 1):  # the first warms up
        for name, run in variants.items():
            began = time.process_time()
            run()
            taken = time.process_time() - began
            if repetition:
                seconds[name] = min(seconds[name], taken)
    static = seconds["Adam", "static", ""]
    for name, taken in seconds.items():
        if isinstance(name, tuple):
            arrays = ARRAYS[name[0]] if name[2] == "move" else 0
            bound = (seconds[arrays], taken / seconds[arrays]) if arrays else ("", "")
            yield *name, taken, taken / static, *bound


def effect(place):
    """Rows of ``finetuned.csv``."""
    by = {}
    for (_, seed), row in sweep_rows(place).items():
        kind = "static" if row["vectors_mode"] == "static" else row["absent_words"]
        by.setdefault(seed, {})[kind] = row
    whole = [kinds for kinds in by.values() if len(kinds) == 3]
    for name, scale in SHOWN.items():
        static, move, stay = (
            scale * np.array([kinds[kind][name] for kinds in whole])
            for kind in ("static", "move", "stay")
        )
        difference = stay - move
        bounds = mean_interval(difference.mean(), difference.std(ddof=1), len(whole))
        means = [values.mean() for values in (static, move, stay, difference)]
        yield name, len(whole), *(f"{float(value):.4f}" for value in (*means, *bounds))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        save_csv(RESULTS / "finetuned.csv", EFFECT, list(effect(sys.argv[1])))
    else:
        save_csv(RESULTS / "finetuned_speed.csv", SPEED, list(speed()))
