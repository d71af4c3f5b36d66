"""All that must be learned of a GPU, in under six minutes: one command, no network needed.

Usage: python3 gpu_run.py [OUT] [--dry-run] [--small] [--only a,c] [--patience N]

OUT, else the variable OUT, else ./out, gets ``gpu.json`` and ``gpu.log``, written after
every part.  A part that fails or takes too long does not stop the next:

  install  the wheels beside this file that this Python lacks
  a        what is there; every compiled loop and kernel once
  b        the tests that need a device, split over processes, whole runs last
  c        a first phase of the paper's size on text made here, on the CPU and on the
           device, in both forms; and from how many filters on the device is faster
  d        arms side by side on one device; the same seed twice
  e        what the CUDA image starts, as a user that is not root

``--dry-run`` has the CPU in the device's place; what that replaces or skips stands in
``gpu.json``.  ``--small`` takes small sizes, ``--patience N`` N times as long.
"""

import argparse
import ast
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Where tests and Dockerfile are: beside this file in a folder of gpu_pack.py.
ROOT = HERE if (HERE / "tests").is_dir() else HERE.parent
DEVICE = "@cupy:0"
#: Seconds of each part; together they stay below six minutes.
LIMITS = {"install": 15, "a": 40, "b": 95, "c": 95, "d": 75, "e": 35}
#: Tests of whole runs, the slowest: they come last.
SLOW_TESTS = ("tests/test_device.py",)
#: Tests of the kernels that need no device, for what else is new on the machine.
OTHER_TESTS = ("tests/test_kernels.py", "tests/test_transfers.py")
#: What training gives an epoch.
CURVES = ("accuracy", "loss", "training_loss")
SIZES = {
    False: {
        "sentences": 10_662, "words": 20_500, "dimensions": 300, "filters": [5, 100],
        "epochs": 10, "few_epochs": 3, "sweep": [5, 20, 100, 400], "steps": 60,
        "arm_filters": 100, "seed_epochs": 20,
    },
    True: {
        "sentences": 300, "words": 600, "dimensions": 20, "filters": [5], "epochs": 4,
        "few_epochs": 3, "sweep": [5, 10], "steps": 3, "arm_filters": 5, "seed_epochs": 4,
    },
}  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", default=os.environ.get("OUT", "out"), type=Path)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default=",".join(LIMITS), metavar="PARTS")
    parser.add_argument("--patience", type=float, default=1.0, metavar="N")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.worker:
        name, place = chosen.worker
        return WORKERS[name](json.loads(Path(place).read_text()), Result(place))
    session = Session(chosen.out, chosen.dry_run, chosen.small, chosen.patience)
    try:
        for name in LIMITS:
            if name in chosen.only.split(","):
                session.carry_out(name)
    finally:
        session.end()
    print(session.summary())
    return int(any(part["status"] != "passed" for part in session.report["parts"].values()))


class Session:
    """The parts, and what they found."""

    def __init__(self, out, dry_run, small, patience):
        self.began = time.monotonic()
        self.out, self.dry_run, self.small, self.patience = out, dry_run, small, patience
        self.device = "@cpu" if dry_run else DEVICE
        self.size = SIZES[small]
        self.cores = len(os.sched_getaffinity(0))
        out.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="gpu-run-"))
        self.work.chmod(0o755)  # part e reads it as another user
        self.site = self.work / "site"
        self.log = open(out / "gpu.log", "w", encoding="utf-8")
        self._writing = threading.Lock()
        self.report = {
            "began": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "device": self.device,
            "dry_run": dry_run,
            "small": small,
            "replaced": [f"{DEVICE} by {self.device} in parts a, c, d and e"] if dry_run else [],
            "skipped": [],
            "parts": {},
        }
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "REPLICATE_DATA"},
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(self.site), os.environ.get("PYTHONPATH")])
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.work),
            "NUMBA_CACHE_DIR": str(self.work / "numba"),
            "CUPY_CACHE_DIR": str(self.work / "cupy"),
            "MPLCONFIGDIR": str(self.work / "matplotlib"),
            "XDG_CACHE_HOME": str(self.work / "cache"),
            **dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"),
        }

    def carry_out(self, name):
        """A part within its time; its end is in the files whatever happens."""
        began = time.monotonic()
        left = self.began + self.patience * sum(LIMITS.values()) - began
        self.until = began + min(self.patience * LIMITS[name], left)
        try:
            found = PARTS[name](self)
        except Exception:
            found = {"failures": [traceback.format_exc()]}
            self.write(found["failures"][0])
        status = "failed" if found.get("failures") else "passed"
        seconds = round(time.monotonic() - began, 1)
        part = {"status": status, "took": seconds, "limit": LIMITS[name], **found}
        self.report["parts"][name] = part
        self.write(f"=== part {name}: {status} after {seconds} s")
        self.save()

    def save(self):
        self.report["seconds"] = round(time.monotonic() - self.began, 1)
        part = self.out / "gpu.json.part"
        part.write_text(json.dumps(self.report, indent=1) + "\n", encoding="utf-8")
        part.replace(self.out / "gpu.json")

    def write(self, text):
        with self._writing:
            self.log.write(text.rstrip("\n") + "\n")
            self.log.flush()

    def end(self):
        self.save()
        self.log.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def summary(self):
        """A line a part, and its failures."""
        lines = [f"{self.report['seconds']} s; {self.out / 'gpu.json'}, {self.out / 'gpu.log'}"]
        for how in ("replaced", "skipped"):
            lines += [f"{how}: {what}" for what in self.report[how]]
        for name, part in self.report["parts"].items():
            lines.append(f"{name:8} {part['status']:7} {part['took']:6.1f} s")
            lines += [
                "    " + failure.strip().splitlines()[-1][:200]
                for failure in part.get("failures", [])[:20]
            ]
        return "\n".join(lines)

    def run(self, *words, until=None, environment=None, **options):
        """Run a command until the part's end: ``(exit code or None, its output)``."""
        words = list(map(str, words))
        place = self.work / f"output-{time.monotonic_ns()}"
        with open(place, "wb") as file:
            process = subprocess.Popen(
                words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**self.environment, **(environment or {})}, start_new_session=True, **options,
            )  # fmt: skip
            try:
                code = process.wait(max(0.1, (until or self.until) - time.monotonic()))
            except subprocess.TimeoutExpired:
                code = None
            # With it what it has started, which would go on.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        output = place.read_text(encoding="utf-8", errors="replace")
        place.unlink()
        end = "out of time" if code is None else f"exit code {code}"
        self.write(f"--- {' '.join(words)[:500]}\n{output}\n--- {end}")
        return code, output

    def work_on(self, name, *, threads=1, until=None, **arguments):
        """Run one of :data:`WORKERS` in a process: ``(what it found, failures)``."""
        place = self.work / f"{name}-{time.monotonic_ns()}.json"
        place.write_text(json.dumps({**arguments, "threads": threads}))
        environment = dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), str(threads)
        )
        script = Path(__file__).resolve()
        code, output = self.run(
            sys.executable, script, "--worker", name, place, until=until, environment=environment
        )
        found = Result(place).read()
        return found, failed(name, code, output)


def failed(name, code, output):
    """Nothing, or in one line why a command failed."""
    if code == 0:
        return []
    last = (output.strip().splitlines() or [""])[-1][:300]
    return [f"{name}: {'out of time' if code is None else f'exit code {code}'}: {last}"]


class Result:
    """What a worker has found so far, on the disk after every step."""

    def __init__(self, arguments):
        self.place = Path(arguments).with_suffix(".found.json")
        self.found = {}

    def read(self):
        return json.loads(self.place.read_text()) if self.place.exists() else {}

    def add(self, **found):
        self.found.update(found)
        part = self.place.with_suffix(".part")
        part.write_text(json.dumps(self.found))
        part.replace(self.place)


# --- install -------------------------------------------------------------------


def install(session):
    """Wheels that this Python lacks; this package always."""
    wheels = sorted((HERE / "wheels").glob("*.whl"))
    if not wheels:
        session.report["replaced"].append("the wheels by the packages of this Python")
        return {"wheels": []}
    lacking, there = [], {}
    for wheel in wheels:
        name = wheel.name.split("-")[0].replace("_", "-")
        try:
            there[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(wheel)
            continue
        if name == "word-saliency-replication":
            lacking.append(wheel)
    pip = [sys.executable, "-m", "pip"]
    bundled = sorted((HERE / "wheels").glob("pip-*.whl"))
    if bundled and not importlib.util.find_spec("pip"):
        pip = [sys.executable, bundled[0] / "pip"]
    code, output = session.run(
        *pip, "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps",
        "--no-compile", "--no-cache-dir", "--target", session.site, *lacking,
    )  # fmt: skip
    return {
        "wheels": [wheel.name for wheel in lacking],
        "there": there,
        "failures": failed("pip", code, output),
    }


# --- a: what is there ------------------------------------------------------------


def look_around(session):
    found, failures = session.work_on("look", device=session.device, **session.size)
    asked = "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem"
    if shutil.which("nvidia-smi"):
        _, found["nvidia-smi"] = session.run("nvidia-smi", asked, "--format=csv,noheader")
    # What it says of the machine stands in the log.
    code, output = session.run(sys.executable, "-m", "replicate", "doctor")
    return {**found, "failures": failures + failed("doctor", code, output)}


def look(arguments, result):
    import numpy as np

    from replicate.config import Config
    from replicate.experiment import chainer_device, versions
    from replicate.model import TextCNN
    from replicate.parallel import preload
    from replicate.saliency import classify, flat_batch, word_saliency
    from replicate.training import make_optimizer

    result.add(
        machine={
            "platform": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
        },
        versions=versions(),
    )
    device = chainer_device(arguments["device"])
    if arguments["device"] == DEVICE:
        import cupy
        from cupy.cuda import nvrtc, runtime

        facts = runtime.getDeviceProperties(0)
        result.add(
            gpu={
                "name": facts["name"].decode(),
                "memory": facts["totalGlobalMem"],
                "multiprocessors": facts["multiProcessorCount"],
                "compute_capability": f"{facts['major']}.{facts['minor']}",
                "driver": runtime.driverGetVersion(),
                "runtime": runtime.runtimeGetVersion(),
                "nvrtc": list(nvrtc.getVersion()),
                "cupy": cupy.__version__,
            }
        )
    seconds = {"compiled loops": timed(preload.warm_up)}
    random = np.random.RandomState(0)
    vectors = random.uniform(-1, 1, (50, 30)).astype(np.float32)
    tokens, offsets = random.randint(0, 49, 60).astype(np.int32), np.array([0, 3, 20, 21, 60])
    for form in ("fused", "reference"):
        for mode, heights in (
            ("static", 3),
            ("finetuned", 3),
            ("static", (3, 4, 5)),
            ("multichannel", (3, 4, 5)),
        ):
            config = Config(n_filters=5, vectors_mode=mode, filter_height=heights, dropout=0.5)
            model = TextCNN(vectors, 2, config, 0, form)
            model.to_device(device)
            optimizer = make_optimizer(model, config)
            batch = flat_batch(model, tokens, offsets)
            mask = model.xp.ones((4, config.n_features), dtype=np.float32)

            def step(model=model, batch=batch, mask=mask, optimizer=optimizer):
                model.set_gradients(batch, mask)
                optimizer.update()
                word_saliency(model, batch)
                classify(model, batch)

            what = f"{form}, {mode}, {np.size(heights)} height{'s'[: np.size(heights) - 1]}"
            seconds[f"first step, {what}"] = timed(step)
            seconds[f"second step, {what}"] = timed(step)
            result.add(seconds=seconds)


def timed(function):
    began = time.perf_counter()
    function()
    return round(time.perf_counter() - began, 6)


def processor():
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor()


# --- b: tests ----------------------------------------------------------------------


def run_tests(session):
    """Tests that need a device first, those of whole runs after them, then what needs none."""
    every = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("test_*.py"))
    if HERE != ROOT:  # the repository: not every file has such a test
        every = [name for name in every if "gpu" in (ROOT / name).read_text(encoding="utf-8")]
    quick = [name for name in every if name not in SLOW_TESTS]
    # Words for pytest, by when it must be done, and how many processes.
    groups = {
        "kernels to training": (["-m", "gpu", *quick], 0.65, min(8, session.cores)),
        "whole runs": (["-m", "gpu", *SLOW_TESTS], 0.9, min(4, session.cores)),
        "without a device": (["-m", "not gpu", *OTHER_TESTS], 1.0, min(12, session.cores)),
    }
    if session.small:
        groups = {"a few": (["-k", "asks or asked", "tests/test_transfers.py"], 1.0, 2)}
        session.report["skipped"].append("all tests but a few of tests/test_transfers.py")
    began, found, failures = time.monotonic(), {}, []
    for name, (words, share, processes) in groups.items():
        until = began + (session.until - began) * share
        code, output = session.run(
            sys.executable, "-m", "pytest", "-v", "-rfEs", "--tb=short", "-p", "no:cacheprovider",
            "-p", "xdist", "-n", processes, "-o", "filterwarnings=default", *words,
            until=until, cwd=ROOT,
            environment={
                "REPLICATE_REQUIRE": "" if session.dry_run else "gpu",
                # Other plugins of the machine may warn, or change what is collected.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
        )  # fmt: skip
        found[name] = {**outcomes(output), "out_of_time": code is None}
        failures += found[name]["failed"]
        without = found[name]["without"]
        # Without a device there may be no test at all, which is pytest's exit code 5.
        if code not in (0, 1) and not (session.dry_run and without and code == 5):
            failures += failed(f"tests, {name}", code, output)
        if without and "not gpu" not in words:
            session.report["skipped"].append(f"tests of {name}: {'; '.join(without)}")
    return {"tests": found, "failures": failures}


def outcomes(output):
    """Counts of pytest's verbose output, also of one that was cut short."""
    seen = {}
    for line in output.splitlines():
        # One process says the outcome last, several say it first.
        match = re.match(r"\[gw\d+\] .*?(PASSED|FAILED|ERROR|SKIPPED) (\S+::.+?)\s*$", line)
        swapped = re.match(r"(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b", line)
        if match:
            seen[match[2]] = match[1]
        elif swapped:
            seen[swapped[1]] = swapped[2]
    names = list(seen.values())
    skipped = re.findall(r"^SKIPPED \[\d+\] \S+?:\d+: (.+)$", output, re.MULTILINE)
    left_out = re.findall(r"^Tests marked gpu are left out: (.+)\.$", output, re.MULTILINE)
    said = dict(re.findall(r"^(?:FAILED|ERROR) (\S+::.+?) - (.+)$", output, re.MULTILINE))
    return {
        "passed": names.count("PASSED"),
        "skipped": names.count("SKIPPED"),
        "failed": [
            f"{name} - {said.get(name, 'see gpu.log')}"
            for name, outcome in seen.items()
            if outcome in ("FAILED", "ERROR")
        ],
        "without": sorted({*skipped, *left_out}),
    }


# --- c: the CPU and the device, both forms -------------------------------------------


def compare_places(session):
    """One lane for the device and one for the CPU, side by side where cores allow."""
    size, data = session.size, session.work / "data"
    made, failures = session.work_on("make", folder=str(data), **size)
    both = {"data": str(data), "folder": str(session.work), **size}
    # The package trains with one thread a process; plain Chainer gets all it can use.
    many = max(1, min(8, session.cores - 2))
    until = session.until - 4 * session.patience  # for the comparison
    measured, sweeps = [], {}

    def go(place, device, threads):
        # A device that a kernel has broken is of no use to the rest of its process.
        shares = [(["fused", "sweep"], 1), (["reference"], threads)]
        if session.small:
            shares = [(["fused", "sweep", "reference"], 1)]
        if place == "device" and importlib.util.find_spec("torch"):
            shares.append((["torch"], 1))
        for share, n in shares:
            found, wrong = session.work_on(
                "first_phases",
                place=place,
                device=device,
                share=share,
                threads=n,
                until=until,
                **both,
            )
            measured.extend(found.get("measured", []))
            sweeps.update({place: found["sweep"]} if "sweep" in found else {})
            failures.extend(f"{place}: {reason}" for reason in wrong)

    # In a dry run both are of one name, so places have their own.
    lanes = [
        threading.Thread(target=go, args=("device", session.device, 1)),
        threading.Thread(target=go, args=("cpu", "@cpu", many)),
    ]
    side_by_side = session.cores >= many + 2 > 3
    for lane in lanes:
        lane.start()
        if not side_by_side:
            lane.join()
    for lane in lanes:
        lane.join()
    kept = [one.pop("kept") for one in measured if "kept" in one]
    compared, wrong = session.work_on("compare", kept=kept)
    return {
        "text": made,
        "side_by_side": side_by_side,
        "reference_threads_on_cpu": many,
        "measured": measured,
        "against_fused_on_cpu": compared.get("compared", []),
        "sweep": sweeps,
        "faster_from": {what: faster_from(sweeps, what) for what in ("step", "recording")},
        "failures": failures + wrong,
    }


def faster_from(sweeps, what):
    """Least number of filters from which on the device is faster than one core; None: never."""
    device, cpu = (
        {
            row["filters"]: row[f"{what}_seconds"]
            for row in sweeps.get(place, [])
            if row["vectors_mode"] == "static"
        }
        for place in ("device", "cpu")
    )
    both = sorted(device.keys() & cpu.keys(), reverse=True)
    least = None
    for filters in both:
        if device[filters] >= cpu[filters]:
            break
        least = filters
    return least


def make(arguments, result):
    """A corpus and vectors of it, written as a user's would be."""
    import numpy as np

    folder = Path(arguments["folder"])
    folder.mkdir(exist_ok=True)
    texts, labels, words, leaning = made_texts(arguments["sentences"], arguments["words"])
    with open(folder / "made.tsv", "w", encoding="utf-8") as file:
        file.write("label\ttext\n")
        file.writelines(f"{label}\t{text}\n" for label, text in zip(labels, texts))
    random = np.random.RandomState(1)
    dimensions = arguments["dimensions"]
    vectors = random.normal(0, 0.13, (len(words), dimensions))
    vectors += np.outer(leaning, random.normal(0, 0.06, dimensions))
    known = random.rand(len(words)) < 0.92  # as of MR's words in GoogleNews
    with open(folder / "made.bin", "wb") as file:
        file.write(b"%d %d\n" % (known.sum(), dimensions))
        for word, vector in zip(np.array(words)[known], vectors[known].astype("<f4")):
            file.write(word.encode() + b" " + vector.tobytes() + b"\n")
    lengths = [len(text.split()) for text in texts]
    seen = {word for text in texts for word in text.split()}
    result.add(sentences=len(texts), tokens=sum(lengths), words=len(seen), longest=max(lengths))


def made_texts(n_sentences, n_words):
    """Sentences of about twenty words by Zipf's law; some words lean to a label.

    Returns:
        tuple: texts, labels 0 and 1, all words, and how each leans.
    """
    import numpy as np

    random = np.random.RandomState(0)
    words = [f"w{i}" for i in range(n_words)]
    share = 1 / (np.arange(n_words) + 3.0)
    leaning = random.normal(0, 1, n_words) * (random.rand(n_words) < 0.2)
    leaning[:30] = 0
    labels = np.arange(n_sentences) % 2
    lengths = np.clip(np.rint(random.normal(20.4, 9.3, n_sentences)), 1, 56).astype(int)
    texts = []
    tilted = [share * np.exp(0.5 * leaning * sign) for sign in (-1, 1)]
    drawn = [
        iter(random.choice(n_words, lengths[labels == k].sum(), p=p / p.sum()).tolist())
        for k, p in enumerate(tilted)
    ]
    for label, length in zip(labels, lengths):
        texts.append(" ".join(words[next(drawn[label])] for _ in range(length)))
    return texts, labels.tolist(), words, leaning


def prepared(arguments, filters, form="fused", mode="static"):
    """Corpus, subsets and a model on its device."""
    import numpy as np

    from replicate.config import PRESETS
    from replicate.corpus import read_corpus
    from replicate.experiment import chainer_device
    from replicate.model import TextCNN
    from replicate.split import split_corpus
    from replicate.vectors import embedding_matrix

    data = Path(arguments["data"])
    config = PRESETS["paper"].replace(
        n_filters=filters, epochs=arguments["epochs"], vectors_mode=mode
    )
    corpus = read_corpus([data / "made.tsv"], config.tokens)
    matrix, _ = embedding_matrix(corpus.words, data / "made.bin", config)
    subset = split_corpus(corpus.labels, 0, config.split)
    model = TextCNN(matrix, 2, config, 0, form)
    model.to_device(chainer_device(arguments["device"]))
    return corpus, [np.flatnonzero(subset == k) for k in (1, 2, 3)], model


def first_phases(arguments, result):
    """First phases of one place, by form and number of filters, and its sweep."""
    for part in arguments["share"]:
        if part == "sweep":
            sweep(arguments, result)
        elif part == "torch":
            for filters in arguments["filters"]:
                measure_torch(arguments, result, filters)
        else:
            for filters in arguments["filters"]:
                measure(arguments, result, part, filters)


def measure(arguments, result, form, filters):
    """A first phase: what it gives, and what it takes."""
    import numpy as np

    from replicate.instability import sentence_instability
    from replicate.recorder import Recorder
    from replicate.selection import median_halves
    from replicate.training import train

    wait, pool, forget = watching(arguments["device"])
    forget()
    if form == "reference" and arguments["place"] == "cpu":
        # Plain Chainer takes seconds an epoch there.
        arguments = {**arguments, "epochs": arguments["few_epochs"]}
    corpus, (t1, t2, t3), model = prepared(arguments, filters, form)
    before = result.found.get("measured", [])
    one = {name: arguments[name] for name in ("place", "device", "threads")}
    one.update(form=form, filters=filters)
    recordings, ends = [], []

    class Timed(Recorder):
        """The recorder, its seconds, and the device's memory before and after."""

        def record(self):
            wait()
            began, held = time.perf_counter(), pool()
            super().record()
            wait()
            recordings.append((time.perf_counter() - began, held, pool()))

    def on_epoch(epoch, accuracy):
        wait()
        ends.append(time.perf_counter())
        result.add(measured=[*before, {**one, "epochs_done": epoch}])

    folder = Path(tempfile.mkdtemp(dir=arguments["folder"]))
    recorder = Timed.of_model(model, *corpus.take(t1), len(corpus.words), folder)
    ends.append(time.perf_counter())
    rows, _ = train(
        model, corpus, t1, t3, seed=0, folder=folder, recorder=recorder, on_progress=on_epoch
    )
    recording = np.array([taken for taken, _, _ in recordings])
    training = np.diff(ends) - recording
    wac, _ = recorder.word_instability()
    h, _ = median_halves(sentence_instability(wac, *corpus.take(t2)), t2)
    _, *columns = (np.array(column) for column in zip(*rows))
    curves = dict(zip(CURVES, columns))
    name = f"{one['place']}, {form}"
    np.savez(folder / "kept.npz", wac=wac, h=h, name=name, filters=filters, **curves)
    one.update({name: column.tolist() for name, column in curves.items()})
    one.update(
        kept=str(folder / "kept.npz"),
        seconds={
            # Training with T3's evaluation; without the first epoch, which compiles.
            "training": float(np.median(training[1:])),
            "recording": float(np.median(recording[1:])),
            "first_training": float(training[0]),
            "first_recording": float(recording[0]),
        },
        memory={
            "device_training": recordings[0][1],
            "device_recording": recordings[-1][2],
            "host_peak": peak(),
        },
    )
    result.add(measured=[*before, one])


def measure_torch(arguments, result, filters):
    """The same network in plain PyTorch on the place: seconds of an epoch and of a recording."""
    import numpy as np
    import torch

    corpus, (t1, _, _), model = prepared({**arguments, "device": "@cpu"}, filters)
    place = torch.device("cuda" if arguments["device"] == DEVICE else "cpu")
    size = model.config.batch_size
    vectors = torch.from_numpy(np.array(model.embed.array))
    embed = torch.nn.Embedding.from_pretrained(vectors, freeze=True, padding_idx=0).to(place)
    conv = torch.nn.Conv1d(vectors.shape[1], filters, 3, padding=2).to(place)
    out = torch.nn.Linear(filters, 2).to(place)
    trained = [*conv.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(trained, lr=model.config.learning_rate, fused=place.type == "cuda")
    entropy = torch.nn.functional.cross_entropy

    def batches(order, size):
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            rows = [torch.from_numpy(corpus.tokens[slice(*corpus.offsets[n : n + 2])] + 1)
                    for n in chosen.tolist()]  # fmt: skip
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            labels = torch.from_numpy(corpus.labels[chosen].astype(np.int64))
            yield ids.to(place), labels.to(place)

    def logits(x):
        return out(torch.relu(conv(x.transpose(1, 2))).amax(dim=2))

    def epoch():
        for ids, labels in batches(np.random.RandomState(0).permutation(t1), size):
            optimizer.zero_grad()
            entropy(logits(embed(ids)), labels).backward()
            optimizer.step()
        wait()

    def record():
        for ids, _ in batches(t1, 512):
            x = embed(ids).requires_grad_(True)
            z = logits(x)
            (gradient,) = torch.autograd.grad(entropy(z, z.argmax(1), reduction="sum"), x)
            gradient.abs().mean(2).cpu()

    wait = torch.cuda.synchronize if place.type == "cuda" else (lambda: None)
    taken = {"training": [timed(epoch) for _ in range(4)]}
    taken["recording"] = [timed(record) for _ in range(4)]
    before = result.found.get("measured", [])
    one = {name: arguments[name] for name in ("place", "device", "threads")}
    one.update(form="torch", filters=filters, torch=torch.__version__)
    # The first of each compiles.
    one["seconds"] = {name: float(np.median(times[1:])) for name, times in taken.items()}
    result.add(measured=[*before, one])


def watching(device):
    """To wait for a device, to ask for the memory it holds, and to give that back."""
    if device != DEVICE:
        return (lambda: None), (lambda: None), lambda: reset_peak()
    import cupy

    pool = cupy.get_default_memory_pool()

    def forget():
        reset_peak()
        pool.free_all_blocks()

    return cupy.cuda.Device(0).synchronize, pool.total_bytes, forget


def reset_peak():
    """Begin to count this process's peak memory again, where the system lets it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak():
    """Greatest resident memory of this process in bytes."""
    named = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(named[1]) if named else None


def sweep(arguments, result):
    """Seconds of a step and of a recording of T1, by number of filters; with one also fine-tuned."""
    import numpy as np

    from replicate.fast.compat import chainer
    from replicate.saliency import flat_batch, word_saliency
    from replicate.training import EpochIterator, Updater, make_optimizer

    wait, _, _ = watching(arguments["device"])
    rows = []
    kinds = [("static", filters) for filters in arguments["sweep"]]
    for mode, filters in (*kinds, ("finetuned", arguments["arm_filters"])):
        corpus, (t1, _, _), model = prepared(arguments, filters, mode=mode)
        iterator = EpochIterator(corpus, t1, model.config.batch_size, 0, model.xp)
        updater = Updater(iterator, make_optimizer(model, model.config), model, 0)
        batch = flat_batch(model, *corpus.take(t1))

        def steps(updater=updater):
            for _ in range(arguments["steps"]):
                updater.update_core()
            wait()

        def record(model=model, batch=batch):
            word_saliency(model, batch)
            wait()

        with chainer.using_config("train", True), chainer.using_config("type_check", False):
            taken = {"step": [timed(steps) for _ in range(4)]}
        taken["recording"] = [timed(record) for _ in range(4)]
        rows.append(
            {
                "vectors_mode": mode,
                "filters": filters,
                # The first of each compiles.
                "step_seconds": float(np.median(taken["step"][1:])) / arguments["steps"],
                "recording_seconds": float(np.median(taken["recording"][1:])),
            }
        )
        result.add(sweep=rows)


def compare(arguments, result):
    """Each first phase against the fused one on the CPU of as many filters."""
    import numpy as np

    kept = []
    for place in arguments["kept"]:
        with np.load(place, allow_pickle=False) as file:
            kept.append({name: file[name] for name in file.files})
    base = {int(one["filters"]): one for one in kept if str(one["name"]) == "cpu, fused"}
    rows = []
    for one in kept:
        filters, name = int(one["filters"]), str(one["name"])
        if filters not in base or name == "cpu, fused":
            continue
        other = base[filters]
        epochs = len(one["loss"])
        curves = {what: (one[what], other[what][:epochs]) for what in CURVES}
        row = {
            "name": name,
            "filters": filters,
            "epochs": epochs,
            "accuracy": float(abs(np.subtract(*curves["accuracy"])).max()),
            "loss": apart(*curves["loss"]),
            "training_loss": apart(*curves["training_loss"]),
        }
        rows.append(row)
        if epochs < len(other["loss"]):
            continue  # wac is of all epochs
        seen = ~np.isnan(other["wac"])
        wac, expected = one["wac"][seen], other["wac"][seen]
        row.update(
            # A window that switches makes one of two numbers zero: not by the larger.
            wac=float(abs(wac - expected).max() / expected.max()),
            wac_mean=float(abs(wac - expected).mean() / expected.mean()),
            h_differ=len(np.setdiff1d(one["h"], other["h"])),
            h=len(other["h"]),
        )
    result.add(compared=rows)


def apart(found, expected):
    """Greatest difference, relative to the larger of the two."""
    import numpy as np

    found, expected = (np.asarray(array, dtype=np.float64) for array in (found, expected))
    larger = np.maximum(abs(found), abs(expected))
    return float((abs(found - expected) / np.maximum(larger, 1e-300)).max())


# --- d: arms side by side, and the same seed twice -----------------------------------


def side_by_side(session):
    data = session.work / "data"
    failures = []
    if not (data / "made.tsv").exists():
        _, failures = session.work_on("make", folder=str(data), **session.size)
    found, wrong = session.work_on(
        "arms", data=str(data), folder=str(session.work), device=session.device,
        jobs=max(2, min(6, session.cores)), **session.size,
    )  # fmt: skip
    failures += wrong
    for mode in ("static", "finetuned"):
        if differ := found.get(f"{mode}_differ"):
            failures.append(f"{mode}: {len(differ)} files differ between two runs")
    return {**found, "failures": failures}


def arms(arguments, result):
    """Two static runs of a seed, of one process and of several, and two fine-tuned ones.

    Then a whole seed on the device and on the CPU, by number of filters.
    """
    from replicate.config import PRESETS
    from replicate.experiment import prepare
    from replicate.parallel.schedule import run_all
    from replicate.run import Options

    data, jobs = Path(arguments["data"]), arguments["jobs"]
    config = PRESETS["paper"].replace(n_filters=arguments["arm_filters"], epochs=4)
    folders, seconds = {}, {}

    def go(name, config, device, at_once):
        folder = Path(arguments["folder"]) / name.replace(", ", "-").replace(" ", "-")
        run = prepare(
            folder, config, Options(device), [0], [data / "made.tsv"], data / "made.bin"
        )  # fmt: skip
        began = time.perf_counter()
        outcome = run_all(run, at_once)
        seconds[name] = round(time.perf_counter() - began, 2)
        if outcome.failures:
            raise RuntimeError(f"{name}: {outcome.failures}")
        result.add(jobs=jobs, seconds=seconds)
        return folder

    for name, mode, at_once in (
        ("static, side by side", "static", jobs),
        ("static, one after another", "static", 1),
        ("finetuned, first", "finetuned", jobs),
        ("finetuned, second", "finetuned", jobs),
    ):
        folders[name] = go(name, config.replace(vectors_mode=mode), arguments["device"], at_once)
    static, tuned = list(folders.values())[:2], list(folders.values())[2:]
    result.add(static_differ=differing_files(*static), finetuned_differ=differing_files(*tuned))
    for filters in arguments["filters"]:
        whole = config.replace(n_filters=filters, epochs=arguments["seed_epochs"])
        for place, device in (("device", arguments["device"]), ("cpu", "@cpu")):
            go(f"a whole seed, {filters} filters, {place}", whole, device, jobs)


def differing_files(first, second):
    """Names of a seed's files that are not the same bytes in two runs."""
    found = []
    for folder in (first, second):
        files = [p for p in (folder / "seed-000").rglob("*") if p.is_file()]
        found.append({str(p.relative_to(folder)): p.read_bytes() for p in files})
    assert found[0], "a run without files"
    names = found[0].keys() | found[1].keys()
    return sorted(name for name in names if found[0].get(name) != found[1].get(name))


# --- e: the image's entry --------------------------------------------------------------


def entry(dockerfile, target):
    """What an image's target starts, and its environment."""
    text = re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    stages, here = {}, None
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, _, here = " ".join(rest.split()).partition(" AS ")
            stages[here] = {"ENV": dict(stages.get(base, {}).get("ENV", {}))}
        elif name == "ENV":
            stages[here]["ENV"].update(word.split("=", 1) for word in rest.split())
        elif name in ("ENTRYPOINT", "CMD"):
            stages[here][name] = ast.literal_eval(rest)
    stage = stages[target]
    return stage["ENTRYPOINT"] + stage["CMD"], stage["ENV"]


def start_as_image(session):
    """The CUDA image's command, its folders in ours, as the image's user."""
    words, environment = entry((ROOT / "Dockerfile").read_text(encoding="utf-8"), "cuda")
    place = session.work / "image"

    def own(text):
        return re.sub(r"^/(tmp|results|data)\b", rf"{place}/\1", text)

    for name in ("tmp", "results", "data"):
        (place / name).mkdir(parents=True)
    # Compiled loops and kernels: compiling them again would take most of the time.
    for name in ("numba", "cupy"):
        if (session.work / name).is_dir():
            shutil.copytree(session.work / name, place / "tmp" / name)
    environment = {name: own(value) for name, value in environment.items() if name != "PATH"}
    environment["TMPDIR"] = own("/tmp")
    shown = [own(word) for word in words]
    if session.dry_run:
        shown = [session.device if word == DEVICE else word for word in shown]
    if session.small:
        shown += ["--seeds", "1", "--epochs", "3"]
    user = image_user(session)
    for name in (place, *place.rglob("*")) if user else ():
        os.chown(name, user["user"], user["group"])
    replaced = ["the image's packages by this machine's, /tmp, /results and /data by other folders"]
    if not user:
        replaced.append("the image's user, whom this Python cannot be started as, by this one")
    session.report["replaced"] += [f"{what}, in part e" for what in replaced]
    code, output = session.run(
        sys.executable, "-m", *shown, environment=environment, cwd=place / "results", **user
    )
    report = place / "results" / "sample" / "report.html"
    failures = failed("the image's command", code, output)
    if not failures and not report.is_file():
        failures = [f"{report}: not written"]
    return {
        "command": words,
        "user": user.get("user", os.geteuid()),
        "report_bytes": report.stat().st_size if report.is_file() else None,
        "failures": failures,
    }


def image_user(session):
    """How to start a command as the image's user, where that can be done here."""
    user = {"user": 1000, "group": 1000, "extra_groups": []}
    try:
        code, _ = session.run(sys.executable, "-c", "", **user)
    except PermissionError:
        return {}
    return user if code == 0 else {}


PARTS = {
    "install": install,
    "a": look_around,
    "b": run_tests,
    "c": compare_places,
    "d": side_by_side,
    "e": start_as_image,
}
WORKERS = {
    "look": look,
    "make": make,
    "first_phases": first_phases,
    "compare": compare,
    "arms": arms,
}

if __name__ == "__main__":
    sys.exit(main())
