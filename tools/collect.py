"""Copy the small files of a finished run, which pages quote, to ``results/NAME``.

Usage: python tools/collect.py DIR NAME
       python tools/collect.py --seeds DIR NAME
       python tools/collect.py --questions|--choice|--ceiling|--trust DIR NAME [--no-pictures]
       python tools/collect.py --resume DIR NAME
       python tools/collect.py --kim DIR NAME
       python tools/collect.py --multiverse DIR
       python tools/collect.py --corpora DIR RUN…
       python tools/collect.py --memory NAME DIR…
       python tools/collect.py --together NAME DIR
       python tools/collect.py --judge NAME[=IDENTITY]…
       python tools/collect.py --forest NAME…

``--seeds`` writes only what :func:`replicate.load_results` reads, of a run whose other files
are committed already.  ``--questions``, ``--choice``, ``--ceiling`` and ``--trust`` copy what the
commands of these names found.  ``--resume`` puts the committed accuracies of ``questions`` into
the folder of a run that repeats the committed seeds: ``replicate questions`` then goes on from
them.  ``--kim`` copies what ``replicate kim`` did.  ``--multiverse`` copies the seeds of a sweep
that all specifications have, and judges those.  ``--corpora`` copies a comparison
of ``replicate corpora``, and the statistics of the runs that it compares, to
``results/corpora``.  ``--memory`` writes the peak memory of runs that differ in their number
of epochs.  ``--together`` adds the memory of all processes to the timing of a committed run
that did not measure it, from a run of a few seeds with the same settings.  ``--judge`` judges
committed runs again from their tables, after a change of the claims: statistics of
accuracies are computed again from ``accuracy.csv.gz``, those of saliency are as stored.
``--forest`` draws the intervals of committed runs into one picture, ``results/forest.png``.
"""

import gzip
import re
import shutil
import sys
import tempfile
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import operating
import regression
from PIL import Image

from replicate import claims
from replicate import verdicts as judging
from replicate.beyond import kim, multiverse, sweep
from replicate.beyond.rivals import CURVE
from replicate.experiment import statistics_of, verdicts_of
from replicate.io.files import load_json, read_csv, save_csv, save_json
from replicate.results import save_seeds
from replicate.run import Run
from replicate.show import forest, report

REPOSITORY = Path(__file__).resolve().parents[1]
EXPECTED = REPOSITORY / "replicate" / "data" / "expected.csv"
EXPECTED_HEADER = ("identity", "id", "statistic", "low", "high", "rounding", "seeds")
#: How a line of ``run.log`` begins.
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")
MEMORY = ("epochs", "seeds", "peak_memory_bytes")


def collect(folder, name, root=REPOSITORY / "results", expected=EXPECTED):
    """Claims, statistics, accuracies and scores of all seeds, figures, settings, time.

    The intervals are also stored for ``replicate verify``, which compares later
    runs with the same readings, corpus and vectors with them.
    """
    run = Run(folder)
    place = Path(root) / name
    (place / "figures").mkdir(parents=True, exist_ok=True)
    for file in ("claims.csv", "claims.json"):
        shutil.copy(run.out / file, place / file)
    timing = {**run.timing, "seconds_by_log": seconds_by_log(run.out / "run.log")}
    save_json(place / "timing.json", timing)
    for file in sorted((run.out / "figures").iterdir()):
        # Vector graphics of thousands of points are large, and can be redrawn; `draw_forest`
        # has the verdicts of several runs in one picture.
        few = file.suffix in (".png", ".csv") and file.stat().st_size < 600_000
        if few and file.name != "forest.png":
            keep(file, place / "figures")
    save_statistics(run, place)
    save_seeds(run, place)
    expect(run.identity, verdicts_of(run), place, expected)


#: A pause between two lines of a log, in seconds: nothing was trained meanwhile.
PAUSE = 60


def seconds_by_log(log, pause=PAUSE):
    """Seconds between the lines of a log, without pauses: of all commands, stopped ones too.

    ``timing.json`` has the time of the commands that came to their end.
    """
    lines = log.read_text(encoding="utf-8").splitlines()
    times = [datetime.fromisoformat(line[:23]) for line in lines if STAMP.match(line)]
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    return sum(gap for gap in gaps if 0 <= gap < pause)


#: A table of more bytes is compressed.
LARGE = 100_000


def keep(file, place):
    """Copy a file into a folder of results: large tables compressed, pictures with few colours."""
    if file.suffix == ".csv" and file.stat().st_size > LARGE:
        (place / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        return
    shutil.copy(file, place / file.name)
    if file.suffix == ".png":
        smaller(place / file.name)


def smaller(picture):
    """Keep a picture's 256 commonest colours: no eye sees the difference, and it is a third as large."""
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def save_statistics(run, place):
    """The statistics of every finished seed of a run, a row each."""
    seeds = run.finished_seeds()
    table = [statistics_of(run, seed) for seed in seeds]
    rows = [[seed, *row.values()] for seed, row in zip(seeds, table)]
    save_csv(place / "statistics.csv", ["seed", *table[0]], rows)


def judge_again(names, root=REPOSITORY / "results", expected=EXPECTED):
    """Claims, pictures and expected intervals of committed runs, from their tables.

    Args:
        names: ``NAME=IDENTITY``: the identity needs corpus and vectors, which are not there;
            ``NAME`` for results whose intervals are not expected of later runs.
    """
    for name, _, identity in (pair.partition("=") for pair in names):
        place, run = Path(root) / name, Run(Path(root) / name)
        table = operating.committed_rows(name, Path(root))
        header = list(dict.fromkeys(column for row in table for column in row))
        rows = [[int(row["seed"]), *(row[column] for column in header[1:])] for row in table]
        save_csv(place / "statistics.csv", header, rows)
        of_paper = claims.is_paper_corpus(run.settings["corpus"]["sha256"])
        verdicts = judging.judge(table, of_paper)
        run.save_claims(*report.claims_tables(verdicts))
        if (place / "figures").is_dir():
            curves = operating.committed_curves(name, Path(root))
            forest.difference(run.title, curves, place / "figures" / "difference")
            (place / "figures" / "difference.svg").unlink()
            smaller(place / "figures" / "difference.png")
        if identity:
            expect(identity, verdicts, place, expected)


def draw_forest(names, root=REPOSITORY / "results"):
    """``forest.png`` and ``forest.csv``: every part of every claim, of several committed runs."""
    found = {}
    for name in names:
        run = Run(Path(root) / name)
        rows = operating.committed_rows(name, Path(root))
        found[f"{run.settings['preset']}: {run.title}"] = judging.judge(rows)
    forest.forest(found, Path(root) / "forest")
    (Path(root) / "forest.svg").unlink()
    smaller(Path(root) / "forest.png")


def expect(identity, verdicts, place, expected=EXPECTED):
    """Store the intervals of a run, and how far rounding moves its means, for ``replicate verify``."""
    rounding = {}
    if (place / "rounding.csv").is_file():
        by_kernels = {}
        for row in read_csv(place / "rounding.csv", regression.ROUNDING):
            numbers = {name: float(row[name]) for name in regression.MEASURED}
            by_kernels.setdefault(row["kernels"], []).append(numbers)
        names = {judged.part.statistic for verdict in verdicts for judged in verdict.parts}
        for name in names:
            means = [judging.column(rows, name).mean() for rows in by_kernels.values()]
            rounding[name] = float(np.nan_to_num(np.ptp(means)))
    kept = [r for r in read_csv(expected, EXPECTED_HEADER) if r["identity"] != identity]
    new = [
        (identity, verdict.claim.id, judged.part.statistic, judged.low, judged.high,
         rounding.get(judged.part.statistic, 0.0), judged.seeds)
        for verdict in verdicts
        for judged in verdict.parts
        if judged.seeds >= judging.SEEDS_TO_VERIFY and verdict.verdict != "not applicable"
    ]  # fmt: skip
    save_csv(expected, EXPECTED_HEADER, [list(r.values()) for r in kept] + new)


#: Commands that train further models of a run, and leave tables in a folder of their own.
FURTHER = ("questions", "choice", "ceiling", "trust")


def collect_further(what, folder, name, root=REPOSITORY / "results", pictures=True):
    """Tables and pictures of a command of :data:`FURTHER`, its cost, and how the run was made."""
    place = Path(root) / name / what
    place.mkdir(parents=True, exist_ok=True)
    for file in sorted((Path(folder) / what).iterdir()):
        if file.suffix in (".csv", ".json") or (file.suffix == ".png" and pictures):
            keep(file, place)
    if not (place.parent / "config.json").exists():
        shutil.copy(Path(folder) / "config.json", place / "config.json")
    if what == "questions":
        rows = []
        for curve in sorted(Path(folder).glob("seed-*/rivals/accuracy.csv")):
            seed = int(curve.parts[-3].removeprefix("seed-"))
            rows += [[seed, *row.values()] for row in read_csv(curve, CURVE)]
        save_csv(place / "accuracy.csv.gz", ("seed", *CURVE), rows)


def resume(folder, name, root=REPOSITORY / "results"):
    """What ``--questions`` has collected, back in a run's folder, with what it had cost.

    Raises:
        SystemExit: before anything is written, if there is no seed in common, or one has other
            accuracies than the committed one: another processor or other code made it, and
            their rows do not belong in one table.
    """
    run, place = Run(folder), Path(root) / name
    wrong, seeds = regression.compare_exactly(run, place)
    if not seeds:
        sys.exit(f"{folder}: {wrong[0]} with results/{name}")
    if wrong:
        seed, _, difference = wrong[0].partition(", ")
        sys.exit(f"{folder}: {seed} is not that of results/{name} ({difference})")
    by_seed = {}
    for row in read_csv(place / "questions" / "accuracy.csv.gz", ("seed", *CURVE)):
        by_seed.setdefault(int(row.pop("seed")), []).append(list(row.values()))
    for seed in by_seed.keys() & set(run.finished_seeds()):
        save_csv(run.seed_folder(seed) / "rivals" / "accuracy.csv", CURVE, by_seed[seed])
    (run.out / "questions").mkdir(exist_ok=True)
    shutil.copy(place / "questions" / "timing.json", run.out / "questions" / "timing.json")


def collect_kim(folder, name, root=REPOSITORY / "results"):
    """Kim's table here: settings, a row a training run, and the table."""
    place = Path(root) / "kim" / name
    place.mkdir(parents=True, exist_ok=True)
    for file in (kim.SETTINGS, kim.ROWS, "table.csv"):
        shutil.copy(Path(folder) / file, place / file)


def collect_multiverse(folder, root=REPOSITORY / "results"):
    """The seeds that every specification of a sweep has, and what they say together.

    A sweep that is stopped and goes on is timed by its log; ``timing.json`` has the memory
    of those of its commands that came to their end.

    Raises:
        SystemExit: before anything is written, if there is no such seed.
    """
    folder, place = Path(folder), Path(root) / "multiverse"
    rows = sweep.sweep_rows(folder / sweep.ROWS)
    names, of_seed = {name for name, _ in rows}, Counter(seed for _, seed in rows)
    whole = {key: rows[key] for key in sorted(rows) if of_seed[key[1]] == len(names)}
    if not whole:
        sys.exit(f"{folder}: no seed has all {len(names)} specifications yet")
    place.mkdir(exist_ok=True)
    shutil.copy(folder / sweep.SETTINGS, place / sweep.SETTINGS)
    # The log has all rows: the time of those that are collected is their part of it.
    seconds = seconds_by_log(folder / "run.log", 5 * PAUSE) * len(whole) / len(rows)
    ended = folder / "timing.json"
    timing = load_json(ended) if ended.exists() else {}
    save_json(place / "timing.json", {**timing, "seconds_by_log": seconds})
    with tempfile.TemporaryDirectory() as scratch:
        sweep.save_rows(Path(scratch, sweep.ROWS), list(whole.values()))
        multiverse.write_multiverse(whole, scratch)
        for file in sorted(Path(scratch).iterdir()):
            if file.suffix != ".svg":
                keep(file, place)


def collect_corpora(folder, runs, root=REPOSITORY / "results"):
    """A comparison of corpora, and settings, time and statistics of each run in it.

    A folder of committed results is compared as it is, and not copied once more.
    """
    place = Path(root) / "corpora"
    place.mkdir(parents=True, exist_ok=True)
    for file in sorted(Path(folder).iterdir()):
        if file.suffix in (".png", ".csv"):
            shutil.copy(file, place / file.name)
    for path in map(Path, runs):
        if (path / "statistics.csv").exists():
            continue
        own = place / path.name
        own.mkdir(exist_ok=True)
        for file in ("config.json", "timing.json"):
            shutil.copy(path / file, own / file)
        save_statistics(Run(path), own)


def collect_memory(name, folders, root=REPOSITORY / "results"):
    """Peak memory of the largest process of several runs, by number of epochs."""
    rows = []
    for run in map(Run, folders):
        peak = load_json(run.out / "timing.json")["peak_memory_bytes"]
        rows.append((run.config.epochs, len(run.seeds), peak))
    save_csv(Path(root) / name / "memory.csv", MEMORY, sorted(rows))


#: Settings that belong to the start of a run, not to what it computes.
OF_ONE_START = {"seeds", "versions", "environment", "continued"}


def collect_together(name, folder, root=REPOSITORY / "results"):
    """Memory of all processes of a committed run, from a later run of a few of its seeds.

    Raises:
        SystemExit: if settings, corpus or vectors differ, or that run has another number of jobs.
    """
    made, later = Run(Path(root) / name), Run(folder)
    timing, found = made.timing, later.timing
    # What only the later settings have did not exist yet.
    for what in sorted({*made.settings} - OF_ONE_START):
        if made.settings[what] != later.settings.get(what):
            sys.exit(f"{folder}: another {what} than results/{name}")
    if timing["jobs"] != found["jobs"] or len(later.seeds) < found["jobs"]:
        sys.exit(f"{folder}: run {timing['jobs']} seeds at once, as results/{name}")
    timing["peak_together_bytes"] = found["peak_together_bytes"]
    timing["peak_together_of"] = f"{len(later.seeds)} seeds, run again"
    save_json(Path(root) / name / "timing.json", timing)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seeds"]:
        save_seeds(Run(sys.argv[2]), REPOSITORY / "results" / sys.argv[3])
    elif sys.argv[1:2] in ([f"--{what}"] for what in FURTHER):
        collect_further(
            sys.argv[1].removeprefix("--"),
            *sys.argv[2:4],
            pictures=sys.argv[4:] != ["--no-pictures"],
        )
    elif sys.argv[1:2] == ["--resume"]:
        resume(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--kim"]:
        collect_kim(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--multiverse"]:
        collect_multiverse(sys.argv[2])
    elif sys.argv[1:2] == ["--corpora"]:
        collect_corpora(sys.argv[2], sys.argv[3:])
    elif sys.argv[1:2] == ["--judge"]:
        judge_again(sys.argv[2:])
    elif sys.argv[1:2] == ["--forest"]:
        draw_forest(sys.argv[2:])
    elif sys.argv[1:2] == ["--memory"]:
        collect_memory(sys.argv[2], sys.argv[3:])
    elif sys.argv[1:2] == ["--together"]:
        collect_together(*sys.argv[2:4])
    else:
        collect(*sys.argv[1:3])
