"""Time the fused form against plain Chainer, PyTorch, Captum and the bare matrix product.

The variants take turns, A B C A B C ..., in one process on one machine, so that a
change of its speed affects all of them.  Minimum and median of several
repetitions are written to ``results/bench.csv``.  Run it by ``make bench``.
"""

import os
import sys

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
names = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"
for name in names:
    # Before a matrix library is loaded, because it reads them once.
    os.environ[name] = THREADS
# As replicate.parallel.pool has it for workers.
os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"

import argparse
import contextlib
import ctypes
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from replicate import experiment
from replicate import model as network
from replicate.beyond.kim import SPECIFICATION
from replicate.config import ARMS, PAPER, PRESETS
from replicate.corpus import Corpus, read_corpus
from replicate.experiment import UNSCORED, prepare, run_stage
from replicate.fast.compat import chainer, training
from replicate.fast.convolution import gather_rows
from replicate.io.data import find_data
from replicate.io.files import read_csv, save_csv
from replicate.model import TextCNN
from replicate.parallel.memory import memory_of_family
from replicate.recorder import Recorder
from replicate.run import Options, Run
from replicate.saliency import flat_batch, word_saliency
from replicate.split import split_corpus
from replicate.statistics import window
from replicate.training import EpochIterator, Evaluator, Updater, make_optimizer
from replicate.vectors import embedding_matrix

HEADER = ("measure", "variant", "threads", "repetitions", "minimum_s", "median_s", "times_slower")

# The case for which the project states its bounds.
CASE = PRESETS["paper"].replace(n_filters=100, batch_size=50)
# Kim's own network, static word vectors.
KIM = SPECIFICATION


def chainer_epoch(matrix, corpus, sentences, implementation, config=CASE):
    """A callable that trains one epoch of T1 inside Chainer's Trainer."""
    model = TextCNN(matrix, 2, config, 0, implementation)
    optimizer = make_optimizer(model, config)

    def run():
        iterator = EpochIterator(corpus, sentences, config.batch_size, 0)
        with tempfile.TemporaryDirectory() as out:
            trainer = training.Trainer(Updater(iterator, optimizer, model, 0), (1, "epoch"), out)
            trainer.extend(training.extensions.LogReport(trigger=(1, "epoch"), log_name=None))
            with chainer.using_config("type_check", False):
                trainer.run()

    return run, model


def matrix_products(matrix, corpus, sentences, config=CASE):
    """A callable of the bare matrix products of an epoch: distinct words x filters."""
    iterator = EpochIterator(corpus, sentences, config.batch_size, 0)
    batches = []
    while not (batches and iterator.is_new_epoch):
        batches.append(matrix[next(iterator).ids])
    rows = filter_rows(TextCNN(matrix, 2, config, 0))
    return lambda: [np.matmul(words, rows.T) for words in batches]


def filter_rows(model):
    """(R, D): the rows of all filters."""
    width = model.embed.array.shape[1]
    return np.concatenate([conv.W.array.reshape(-1, width) for conv in model.convolutions])


def torch_variants(matrix, corpus, sentences, config=CASE):
    """PyTorch's epoch of training and, by batch size, its saliency and Captum's.

    Every one comes twice: as usual, and through ``torch.compile``.
    """
    import torch
    from captum.attr import Saliency

    torch.set_num_threads(int(THREADS))

    class Net(torch.nn.Module):
        """Embedding, conv1d, max over time, linear: the usual composition."""

        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding.from_pretrained(
                torch.from_numpy(matrix), freeze=True, padding_idx=0
            )
            self.conv = torch.nn.ModuleList(
                torch.nn.Conv1d(matrix.shape[1], config.n_filters, h, padding=h - 1)
                for h in config.heights
            )
            self.fc = torch.nn.Linear(config.n_features, 2)

        def of_embedded(self, x):
            x = x.transpose(1, 2)
            found = [torch.relu(conv(x)).max(dim=2).values for conv in self.conv]
            found = torch.cat(found, 1) if len(found) > 1 else found[0]
            if config.dropout:
                found = torch.nn.functional.dropout(found, config.dropout, self.training)
            return self.fc(found)

        def forward(self, ids):
            return self.of_embedded(self.embed(ids))

    net = Net()
    make = {
        "Adam": lambda p: torch.optim.Adam(p, lr=config.learning_rate),
        "AdaDelta": lambda p: torch.optim.Adadelta(p, 1.0, rho=0.95, eps=1e-6),
    }[config.optimizer]
    optimizer = make(p for p in net.parameters() if p.requires_grad)

    def batches(size, order):
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            rows = [corpus.tokens[corpus.offsets[n] : corpus.offsets[n + 1]] + 1 for n in chosen]
            ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
            for row, words in zip(ids, rows):
                row[: len(words)] = words
            yield torch.from_numpy(ids), torch.from_numpy(corpus.labels[chosen].astype(np.int64))

    def epoch(net=net):
        order = np.random.RandomState(0).permutation(sentences)
        for ids, labels in batches(config.batch_size, order):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(ids), labels).backward()
            optimizer.step()
            if config.max_norm:
                with torch.no_grad():
                    weight = net.fc.weight
                    weight.copy_(torch.renorm(weight, 2, 0, config.max_norm))

    def compiled_epoch():
        epoch(torch.compile(net, dynamic=True))

    # A record has the order of the corpus.  Batches of sentences of similar length
    # need less padding; restoring the order of the result is not timed.
    by_length = sentences[np.argsort(corpus.lengths[sentences], kind="stable")]

    def autograd(size, order=sentences, of_embedded=net.of_embedded):
        def run():
            for ids, _ in batches(size, order):
                x = net.embed(ids).requires_grad_(True)
                z = of_embedded(x)
                loss = torch.nn.functional.cross_entropy(z, z.argmax(1), reduction="sum")
                (grad,) = torch.autograd.grad(loss, x)
                grad.abs().mean(2).numpy()

        return run

    def captum(size, order=sentences):
        def loss(x):
            z = net.of_embedded(x)
            return torch.nn.functional.cross_entropy(z, z.argmax(1), reduction="none")

        saliency = Saliency(loss)

        def run():
            for ids, _ in batches(size, order):
                x = net.embed(ids).requires_grad_(True)
                saliency.attribute(x, abs=True).mean(2).detach().numpy()

        return run

    def compiled(size, order=sentences):
        return autograd(size, order, torch.compile(net.of_embedded, dynamic=True))

    def sorted_by_length(make):
        return lambda size: make(size, by_length)

    recordings = {
        "PyTorch autograd": autograd,
        "PyTorch autograd, torch.compile": compiled,
        "Captum Saliency": captum,
    }
    for name, make in list(recordings.items()):
        recordings[f"{name}, sorted by length"] = sorted_by_length(make)
    return {"PyTorch": epoch, "PyTorch, torch.compile": compiled_epoch}, recordings


def timed(variants, repetitions):
    """Seconds of each variant, run in turn, each time after one run that is not timed."""
    seconds = {name: [] for name in variants}
    for _ in range(repetitions):
        for name, run in variants.items():
            time.sleep(0.5)  # threads of the one before still wait for more, in loops
            run()
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def best_size(make, sizes=(8, 16, 32, 64, 128, 256)):
    """The batch size that is fastest of all, and its callable."""
    trial = {size: min(timed({size: make(size)}, 2)[size]) for size in sizes}
    size = min(trial, key=trial.get)
    return size, make(size)


def rows_of(measure, seconds, baseline):
    """CSV rows; times slower is of medians against `baseline`."""
    base = statistics.median(seconds[baseline])
    for name, values in seconds.items():
        median = statistics.median(values)
        yield measure, name, THREADS, len(values), min(values), median, median / base


def repeated(corpus, times):
    """The corpus, several times over."""
    n = len(corpus.tokens)
    offsets = [corpus.offsets] + [corpus.offsets[1:] + n * i for i in range(1, times)]
    return Corpus(
        corpus.words,
        np.tile(corpus.tokens, times),
        np.concatenate(offsets),
        np.tile(corpus.labels, times),
        corpus.label_names,
        {},
    )


GROWTH_HEADER = ("parameter", "value", "seconds", "peak_memory_mb")


def growth_point(matrix, corpus, sentences, parameter, value):
    """Least seconds of an epoch at one value, and this process's peak memory in MB."""
    config = CASE
    if parameter == "sentences":
        times = value // len(sentences)
        corpus, sentences = (
            repeated(corpus, times),
            np.concatenate([sentences + len(corpus) * i for i in range(times)]),
        )
    else:
        config = CASE.replace(**{parameter: value})
    model = TextCNN(matrix, 2, config, 0)
    optimizer = make_optimizer(model, config)

    def run():
        iterator = EpochIterator(corpus, sentences, config.batch_size, 0)
        updater = Updater(iterator, optimizer, model, 0)
        with chainer.using_config("type_check", False):
            while iterator.epoch < 1:
                updater.update()

    seconds = min(timed({"": run}, 3 if len(sentences) < 100_000 else 2)[""])
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def growth(n_sentences, most, rounds=3):
    """Rows of ``growth.csv``: least time and greatest memory of several rounds over all points.

    Each point runs in a separate process, so that memory is its own.  There are
    rounds, so that a change of the machine's speed does not look like growth.
    """
    points = [("sentences", n_sentences * t) for t in (1, 10, 100) if t <= most]
    points += [("n_filters", v) for v in (10, 50, 100, 200, 400)]
    points += [("batch_size", v) for v in (10, 50, 200, 1000)]
    measured = {point: [] for point in points}
    for _ in range(rounds):
        for (parameter, value), made in measured.items():
            point = f"{parameter}={value}"
            command = [sys.executable, __file__, "--threads", THREADS, "--growth-point", point]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            made.append([float(number) for number in output.split()])
    for (parameter, value), made in measured.items():
        seconds, memory = zip(*made)
        yield parameter, value, min(seconds), max(memory)


def draw_growth(rows, stem):
    """Time and peak memory of an epoch against sentences, filters and batch size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = {"sentences": "sentences", "n_filters": "filters", "batch_size": "sentences a batch"}
    figure, axes = pyplot.subplots(2, 3, figsize=(9, 5), sharex="col", layout="constrained")
    for (upper, lower), (parameter, label) in zip(axes.T, names.items()):
        points = sorted(row[1:] for row in rows if row[0] == parameter)
        x, seconds, memory = zip(*points)
        upper.loglog(x, seconds, "o-", color="#0072b2")
        straight = [seconds[0] * v / x[0] for v in x]
        if parameter != "batch_size":
            upper.loglog(x, straight, ":", color="#777777", label="in proportion")
            upper.legend(frameon=False, fontsize=8)
        lower.semilogx(x, memory, "o-", color="#d55e00")
        lower.set_ylim(0, max(memory) * 1.15)
        lower.set_xlabel(label)
    axes[0, 0].set_ylabel("seconds an epoch")
    axes[1, 0].set_ylabel("peak memory, MB")
    figure.suptitle(
        "One epoch of training in the fused form, one thread", x=0.01, ha="left", fontsize=11
    )
    figure.savefig(stem.with_suffix(".png"), dpi=120)


def seed_command(corpus, vectors, out, config, implementation="fused", jobs=1, threads=1, seeds=1):
    """The command line of whole seeds into a new folder `out`."""
    command = [
        sys.executable, "-m", "replicate", "run", "--preset", "paper", "--quiet",
        "--set", f"n_filters={config.n_filters}", "--set", f"batch_size={config.batch_size}",
        "--epochs", str(config.epochs), "--seeds", str(seeds),
        "--implementation", implementation, "--jobs", str(jobs), "--threads", str(threads),
        "--out", str(out), "--vectors", str(vectors),
    ]  # fmt: skip
    for path in corpus:
        command += ["--corpus", str(path)]
    return command


def full_seed(corpus, vectors, implementation, jobs, threads, out):
    """Seconds of a whole seed, run by the command line into a new folder `out`."""
    command = seed_command(corpus, vectors, out, CASE, implementation, jobs, threads)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


SEED_HEADER = ("n_filters", "part", "core_seconds", "peak_memory_mb")


def of_all_processes(command):
    """Core-seconds of a command with all processes that it starts, and the peak of their memory in MB.

    Memory is proportional (PSS): what processes share counts once.
    """
    # A server that outlives the command becomes this process's child, to be waited for.
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: this system has no subreaper")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of_family(process.pid))
        time.sleep(0.25)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, peak / 1e6


#: PR_SET_CHILD_SUBREAPER of <linux/prctl.h>.
_SUBREAPER = 36


SEEDS_HEADER = ("seeds", "jobs", "core_seconds", "seconds", "peak_memory_mb", "thousand_minutes")


def many_seeds(corpus, vectors, seeds, jobs=2):
    """Core-seconds, seconds and memory of so many seeds of the preset, in one command.

    The last column is the minutes that a thousand would take.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = seed_command(
            corpus, vectors, f"{folder}/run", PRESETS["paper"], jobs=jobs, seeds=seeds
        )
        began = time.monotonic()
        core, memory = of_all_processes(command)
        seconds = time.monotonic() - began
    return seeds, jobs, core, seconds, memory, seconds / seeds * 1000 / 60


def seed_parts(corpus, vectors, config):
    """Core-seconds of a seed by part, all of it in this process; and of the floor.

    The floor is what the training steps cannot do without: one copy of the words of
    each batch, and the matrix library's product with the filters.
    """
    spent = dict.fromkeys(("training", "evaluation", "recording", "files"), 0.0)
    inside = []

    def timed_as(part, real):
        def run(*arguments, **options):
            began = time.process_time()
            inside.append(0.0)
            try:
                return real(*arguments, **options)
            finally:
                taken = time.process_time() - began
                spent[part] += taken - inside.pop()
                if inside:
                    inside[-1] += taken

        return run

    for owner, name, part in (
        (experiment, "train", "training"),
        (Evaluator, "__call__", "evaluation"),
        (Recorder, "__call__", "recording"),
        (Recorder, "finish", "files"),
        (Run, "save_first_phase", "files"),
        (Run, "save_arm", "files"),
        (Run, "save_accuracies", "files"),
    ):
        setattr(owner, name, timed_as(part, getattr(owner, name)))
    with tempfile.TemporaryDirectory() as out:
        began = time.process_time()
        run = prepare(out, config, Options(), [0], corpus, vectors)
        spent["reading corpus and vectors"] = time.process_time() - began
        experiment.run_seed(run, 0)
        began = time.process_time()
        experiment.conclude(run)
        spent["claims, figures and report"] = time.process_time() - began
        spent["floor of training"] = sum(floor(run, arm) for arm in ARMS)
    return spent


def floor(run, arm):
    """Core-seconds that words and product of an arm's batches take, all epochs."""
    rows = filter_rows(TextCNN(run.vectors, 2, run.config, 0))
    iterator = EpochIterator(run.corpus, run.sentences(0, arm), run.config.batch_size, 0)
    ids = [next(iterator).ids]
    while not iterator.is_new_epoch:
        ids.append(next(iterator).ids)
    times = []
    for _ in range(4):
        began = time.process_time()
        for words in ids:
            np.matmul(gather_rows(run.vectors, words), rows.T)
        times.append(time.process_time() - began)
    return min(times) * run.config.epochs


def start_seconds():
    """Core-seconds until a process has imported the stages and loaded the compiled loops."""
    code = "import replicate.parallel.preload"
    return of_all_processes([sys.executable, "-c", code])[0]


def seed_rows(corpus, vectors):
    """Rows of ``seed.csv``: the preset, and the preset with 100 filters."""
    for n_filters in (PRESETS["paper"].n_filters, 100):
        config = PRESETS["paper"].replace(n_filters=n_filters)
        with tempfile.TemporaryDirectory() as out:
            jobs = len(os.sched_getaffinity(0))
            command = seed_command(corpus, vectors, Path(out) / "run", config, jobs=jobs)
            seconds, memory = of_all_processes(command)
        yield n_filters, "the whole command", seconds, memory
        yield n_filters, "start of a process (twice)", 2 * start_seconds(), ""
        command = [sys.executable, __file__, "--threads", "1", "--seed-parts", str(n_filters)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for part, part_seconds in json.loads(output).items():
            yield n_filters, part, part_seconds, ""


def own_process(*arguments):
    """Run this file with some arguments, on one thread of the matrix library."""
    subprocess.run([sys.executable, __file__, "--threads", "1", *map(str, arguments)], check=True)


def side_by_side(function, items):
    """Results of a function for each item, computed on all cores at once."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))


AGREEMENT = ("variant", "arm", "last", "epochs_40_50", "other_half")


def outcome(run):
    """For seed 0: arm -> last accuracy and mean of epochs 40-50; and the half of each T2 sentence."""
    levels = {}
    for arm, rows in run.accuracies(0).items():
        late = window(rows[:, 0], *PAPER["level_epochs"])
        levels[arm] = (rows[-1, 1], rows[late, 1].mean())
    return levels, run.halves(0)


#: Variants in agreement.csv that show what rounding alone does to a seed: the form, the
#: dtype of weights and word vectors, and by how many units in the last place the initial
#: weights are moved.  In float64 there is almost no rounding.
CONTROLS = {
    "fused": ("fused", "float32", 0),
    "fused, weights one unit down": ("fused", "float32", -1),
    "fused, weights one unit up": ("fused", "float32", 1),
    "fused, float64": ("fused", "float64", 0),
    "reference, float64": ("reference", "float64", 0),
}


def train_arm(out, arm, control):
    """Train one arm of seed 0 of a prepared run in this process, with the options of a control."""
    _, dtype, direction = CONTROLS[control]
    chainer.global_config.dtype = np.dtype(dtype)

    def made(vectors, *args, **kwargs):
        model = TextCNN(np.asarray(vectors, dtype=dtype), *args, **kwargs)
        if direction:
            for param in model.params():
                param.array[...] = np.nextafter(param.array, param.dtype.type(direction * np.inf))
        return model

    network.TextCNN = made
    run_stage(Run(out), 0, arm)


def control_seed(corpus, vectors, control):
    """:func:`outcome` of seed 0 with the options of a control."""
    options = Options("@cpu", CONTROLS[control][0], True, "none", False)
    first = ("T1", *UNSCORED)
    with tempfile.TemporaryDirectory() as out:
        run = prepare(out, CASE, options, [0], corpus, vectors)
        for arms in (first, [arm for arm in ARMS if arm not in first]):
            side_by_side(
                lambda arm: own_process("--arm", arm, "--control", control, "--out", out), arms
            )
        run.save_accuracies(0)
        return outcome(run)


def with_other_halves(folder, other):
    """:func:`outcome` of a run whose T2h and T2l are trained again on the halves of another run."""
    run, source = Run(folder), Run(other)
    arms = ("T2h", "T2l")
    for arm in arms:
        shutil.copy(source.folder(0, arm) / "sentences.npy", run.folder(0, arm) / "sentences.npy")
    side_by_side(lambda arm: own_process("--arm", arm, "--out", folder), arms)
    run.save_accuracies(0)
    (levels, _), (_, halves) = outcome(run), outcome(source)
    return {arm: levels[arm] for arm in arms}, halves


def save_agreement(place, found):
    """Write variants to ``agreement.csv``; they replace earlier rows of the same variants.

    Sentences in another half are those that differ from the variant "fused".
    """
    kept = [list(row.values()) for row in read_csv(place, AGREEMENT)] if place.exists() else []
    kept = [row for row in kept if row[0] not in found]
    _, usual = found["fused"]
    for name, (levels, halves) in found.items():
        moved = sum(a != b for a, b in zip(halves, usual, strict=True))
        kept += [
            [name, arm, str(last), str(mean), str(moved)] for arm, (last, mean) in levels.items()
        ]
    save_csv(place, AGREEMENT, sorted(kept, key=lambda row: (row[0], ARMS.index(row[1]))))


def vector_reader(folder, n_words=500_000, width=300):
    """Seconds to read a large file: ours, and gzip or cat of the same file."""
    from replicate.io.wordvectors import read_vectors

    words = [f"word{i}" for i in range(n_words)]
    wanted = words[::25]
    plain = Path(folder) / "large.bin"
    random = np.random.RandomState(0)
    with open(plain, "wb") as file:
        file.write(f"{n_words} {width}\n".encode())
        for word in words:
            # As in GoogleNews: values exact in bfloat16.
            row = random.standard_normal(width).astype(np.float32).view(np.uint32)
            file.write(word.encode() + b" " + (row & 0xFFFF0000).tobytes() + b"\n")
    subprocess.run(["gzip", "-1", "-k", "-f", str(plain)], check=True)
    packed = Path(str(plain) + ".gz")
    for place, other in ((packed, ["gzip", "-dc", str(packed)]), (plain, ["cat", str(plain)])):
        # cat does not read the file if its output is a null device.
        shell = " ".join(other) + " | cat > /dev/null" if other[0] == "cat" else None
        variants = {
            "read_vectors": lambda place=place: read_vectors(place, wanted),
            other[0]: lambda other=other, shell=shell: subprocess.run(
                shell or other, shell=bool(shell), check=True, stdout=subprocess.DEVNULL
            ),
        }
        yield (
            f"read {n_words} vectors, {'gzip' if place is packed else 'plain'}",
            timed(variants, 5),
        )


def main():
    """Measure and write ``results/bench.csv`` and ``results/growth.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", default="results")
    parser.add_argument("--full-seed", action="store_true", help="half an hour for the reference")
    parser.add_argument("--seed", action="store_true", help="where a seed's core-seconds go")
    parser.add_argument("--seeds", type=int, metavar="N", help="so many seeds in one command")
    parser.add_argument("--seed-parts", type=int, metavar="FILTERS", help="its parts, printed")
    parser.add_argument("--growth", type=int, default=0, metavar="TIMES", help="up to TIMES x MR")
    parser.add_argument("--growth-point", metavar="NAME=VALUE", help="one point of it, printed")
    parser.add_argument("--reader", action="store_true")
    parser.add_argument(
        "--rounding",
        action="store_true",
        help="what rounding alone does to a seed; half an hour for the reference",
    )
    parser.add_argument("--arm", choices=ARMS, help="train one arm of the run --out")
    parser.add_argument(
        "--control", choices=list(CONTROLS), default="fused", help="how --arm is trained"
    )
    chosen = parser.parse_args()
    _, paths, vectors = find_data("paper")
    if chosen.arm:
        train_arm(chosen.out, chosen.arm, chosen.control)
        return
    if chosen.seed_parts:
        config = PRESETS["paper"].replace(n_filters=chosen.seed_parts)
        print(json.dumps(seed_parts(paths, vectors, config)))
        return
    if chosen.seeds:
        row = many_seeds(paths, vectors, chosen.seeds)
        save_csv(Path(chosen.out) / "seeds.csv", SEEDS_HEADER, [row])
        return
    if chosen.seed:
        rows = list(seed_rows(paths, vectors))
        save_csv(Path(chosen.out) / "seed.csv", SEED_HEADER, rows)
        return
    corpus = read_corpus(paths)
    matrix, _ = embedding_matrix(corpus.words, vectors, CASE)
    sentences = np.flatnonzero(split_corpus(corpus.labels, 0) == 1)
    if chosen.growth_point:
        parameter, _, value = chosen.growth_point.partition("=")
        print(*growth_point(matrix, corpus, sentences, parameter, int(value)))
        return
    out = Path(chosen.out)
    rows = []
    if not (chosen.full_seed or chosen.rounding or chosen.growth or chosen.reader):
        data = matrix, corpus, sentences
        for measure, config in (("of Kim's network (3 heights)", KIM), ("of training", CASE)):
            fused, fused_model = chainer_epoch(*data, "fused", config)
            reference, reference_model = chainer_epoch(*data, "reference", config)
            epochs, recordings = torch_variants(*data, config)
            variants = {
                "fused": fused,
                "bare matrix product": matrix_products(*data, config),
                "reference (plain Chainer)": reference,
                **epochs,
            }
            seconds = timed(variants, chosen.repetitions)
            rows += rows_of(f"one epoch {measure} on T1", seconds, "fused")
        tokens, offsets = corpus.take(sentences)
        batch = flat_batch(fused_model, tokens, offsets)
        variants = {
            "fused": lambda: word_saliency(fused_model, batch),
            "reference (plain Chainer)": lambda: word_saliency(reference_model, batch),
        }
        for name, make in recordings.items():
            size, run = best_size(make)
            variants[f"{name} (batch {size})"] = run
        rows += rows_of("one recording of T1", timed(variants, chosen.repetitions), "fused")
    if chosen.reader:
        with tempfile.TemporaryDirectory() as folder:
            for measure, seconds in vector_reader(folder):
                rows += rows_of(measure, seconds, "read_vectors")
    if chosen.full_seed:
        cores = len(os.sched_getaffinity(0))
        # The fused form is timed before and after the reference, which takes long.
        ways = [("fused", cores, 1), ("reference", 1, 2), ("fused", cores, 1), ("fused", cores, 1)]
        names = {
            "fused": f"fused, {cores} processes",
            "reference": "reference, 1 process of 2 threads",
        }
        seconds = {name: [] for name in names.values()}
        with tempfile.TemporaryDirectory() as folder:
            places = {form: Path(folder) / form for form in names}
            for form, jobs, threads in ways:
                shutil.rmtree(places[form], ignore_errors=True)
                taken = full_seed(paths, vectors, form, jobs, threads, places[form])
                seconds[names[form]].append(taken)
            rows += rows_of("one full seed, 7 arms x 50 epochs", seconds, names["fused"])
            found = {form: outcome(Run(place)) for form, place in places.items()}
            found["reference, fused's halves"] = with_other_halves(
                places["reference"], places["fused"]
            )
        save_agreement(out / "agreement.csv", found)
    if chosen.rounding:
        found = {control: control_seed(paths, vectors, control) for control in CONTROLS}
        save_agreement(out / "agreement.csv", found)
    if rows:
        place = out / "bench.csv"
        kept = [list(row.values()) for row in read_csv(place, HEADER)] if place.exists() else []
        new = {(row[0], row[1].split(" (batch")[0], str(row[2])) for row in rows}
        kept = [row for row in kept if (row[0], row[1].split(" (batch")[0], row[2]) not in new]
        save_csv(place, HEADER, sorted(kept + [list(map(str, row)) for row in rows]))
    if chosen.growth:
        measured = list(growth(len(sentences), chosen.growth))
        save_csv(out / "growth.csv", GROWTH_HEADER, measured)
        draw_growth(measured, out / "growth")


if __name__ == "__main__":
    main()
