"""Copy the small files of a finished run, which pages quote, to ``results/NAME``.

Usage: python tools/collect.py DIR NAME
       python tools/collect.py --questions DIR NAME
       python tools/collect.py --memory NAME DIR…

``--questions`` copies the answers of ``replicate questions``; ``--memory`` writes
the peak memory of runs that differ in their number of epochs.
"""

import shutil
import sys
from pathlib import Path

from replicate import claims
from replicate.beyond.rivals import CURVE
from replicate.config import ARMS
from replicate.experiment import statistics_of
from replicate.io.files import load_json, read_csv, save_csv
from replicate.run import Run

REPOSITORY = Path(__file__).resolve().parents[1]
EXPECTED = REPOSITORY / "replicate" / "data" / "expected.csv"
EXPECTED_HEADER = ("identity", "id", "verdict")
MEMORY = ("epochs", "seeds", "peak_memory_bytes")


def collect(folder, name, root=REPOSITORY / "results", expected=EXPECTED):
    """Claims, statistics and accuracies of all seeds, figures, settings, time.

    The verdicts are also stored for ``replicate verify``, which compares later
    runs with the same readings, corpus and vectors with them.
    """
    run = Run(folder)
    place = Path(root) / name
    (place / "figures").mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "timing.json", "claims.csv", "claims.json"):
        shutil.copy(run.out / file, place / file)
    for file in sorted((run.out / "figures").iterdir()):
        # Vector graphics of thousands of points are large, and can be redrawn.
        if file.suffix in (".png", ".csv") and file.stat().st_size < 600_000:
            shutil.copy(file, place / "figures" / file.name)
    seeds = run.finished_seeds()
    table = [statistics_of(run, seed) for seed in seeds]
    rows = [[seed, *row.values()] for seed, row in zip(seeds, table)]
    save_csv(place / "statistics.csv", ["seed", *table[0]], rows)
    rows = []
    for seed in seeds:
        curves = run.accuracies(seed)
        rows += [[seed, arm, int(e), a] for arm in ARMS for e, a in curves[arm][:, :2]]
    save_csv(place / "accuracy.csv", ("seed", "arm", "epoch", "accuracy"), rows)
    kept = [r for r in read_csv(expected, EXPECTED_HEADER) if r["identity"] != run.identity]
    new = [(run.identity, v.claim.id, v.verdict) for v in claims.judge(table)]
    save_csv(expected, EXPECTED_HEADER, [list(r.values()) for r in kept] + new)


def collect_questions(folder, name, root=REPOSITORY / "results"):
    """Answers, figures and settings, and the accuracies of every rival."""
    run = Run(folder)
    place = Path(root) / name
    place.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "timing.json"):
        shutil.copy(run.out / file, place / file)
    for file in sorted((run.out / "questions").iterdir()):
        if file.suffix in (".png", ".csv"):
            shutil.copy(file, place / file.name)
    rows = []
    for seed in run.finished_seeds():
        curve = run.seed_folder(seed) / "rivals" / "accuracy.csv"
        rows += [[seed, *row.values()] for row in read_csv(curve, CURVE)]
    save_csv(place / "accuracy.csv", ("seed", *CURVE), rows)


def collect_memory(name, folders, root=REPOSITORY / "results"):
    """Peak memory of the largest process of several runs, by number of epochs."""
    rows = []
    for run in map(Run, folders):
        peak = load_json(run.out / "timing.json")["peak_memory_bytes"]
        rows.append((run.config.epochs, len(run.seeds), peak))
    save_csv(Path(root) / name / "memory.csv", MEMORY, sorted(rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--questions"]:
        collect_questions(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--memory"]:
        collect_memory(sys.argv[2], sys.argv[3:])
    else:
        collect(*sys.argv[1:3])
