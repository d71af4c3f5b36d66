"""Compare a finished run, seed by seed, with the committed one of the same settings.

Usage: python tools/regression.py DIR
       python tools/regression.py --rounding NAME DIR…

Exit code 0 when every seed repeats, or when nothing can be compared (which is
said): no committed run is of these readings, corpus and vectors, or its
spread under rounding is not measured; 1 when one does not repeat.

Rounding differs between matrix libraries and processors.  It moves sentences
near the median into another half of T2, and fifty epochs amplify it, so a
seed's levels cannot repeat exactly.  How far it moves them was measured:
`make rounding` runs the same seeds under several sets of OpenBLAS's kernels,
and with ``--rounding`` what each came to goes to ``results/NAME/rounding.csv``.
A seed's level may differ by half more than any two sets made any arm of its
kind differ in any seed: most differences are far smaller or nil, and no
distribution of textbooks has their tails.  Arms are of two kinds, those that
go by the halves of T2 and those that do not.  The mean over ten seeds or more
may differ by what the spread leaves to chance once in a thousand comparisons.
"""

import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
from scipy import stats

from replicate import statistics
from replicate.config import ARMS
from replicate.experiment import UNSCORED
from replicate.io.errors import InputError
from replicate.io.files import load_json, read_csv, save_csv
from replicate.run import Run

RESULTS = Path(__file__).resolve().parents[1] / "results"
#: What a seed may differ by, in greatest differences measured.
MARGIN = 1.5
#: Chance that the means over seeds of a run that differs by rounding alone are told.
FALSE_ALARM = 0.001
#: Seeds whose mean is near enough to normal.
SEEDS_OF_A_MEAN = 10
#: Arms that the halves have no part in, and those of one half.
KINDS = (("T1", *UNSCORED), tuple(arm for arm in ARMS if arm not in ("T1", *UNSCORED)))
LEVELS = tuple(f"A.{arm}" for arm in ARMS)
MEASURED = (*LEVELS, "H.mean", "O2.mean")
#: Of a seed under one set of kernels: sentences of T2 in another half than
#: under the first set, levels, and mean differences of arms.
ROUNDING = ("kernels", "seed", "other_half", *MEASURED)


def collect_rounding(name, folders, results=RESULTS):
    """Write ``rounding.csv``: every seed under several sets of kernels, named by the runs' folders.

    Raises:
        InputError: where the runs differ in readings, corpus, vectors or seeds.
    """
    runs = [Run(folder) for folder in folders]
    seeds = runs[0].finished_seeds()
    for run in runs[1:]:
        if (run.identity, run.finished_seeds()) != (runs[0].identity, seeds):
            raise InputError(
                f"{run.out}: other settings or seeds than {runs[0].out}; name runs alike"
            )
    rows = []
    for seed in seeds:
        halves = [run.halves(seed) for run in runs]
        for run, half in zip(runs, halves):
            found = statistics.accuracy_statistics(run.accuracies(seed))
            moved = sum(a != b for a, b in zip(half, halves[0], strict=True))
            rows.append((run.out.name, seed, moved, *(found[name] for name in MEASURED)))
    save_csv(Path(results) / name / "rounding.csv", ROUNDING, rows)


#: What rounding alone does to a statistic of a seed: standard deviation within a
#: seed, its degrees of freedom, and the greatest difference of two sets of kernels.
Spread = namedtuple("Spread", "deviation freedom greatest")


def spread(folder):
    """The :class:`Spread` of every measured statistic, by name.

    Args:
        folder (Path): of committed results, with ``rounding.csv``.
    """
    by_seed = {}
    for row in read_csv(folder / "rounding.csv", ROUNDING):
        by_seed.setdefault(row["seed"], []).append([float(row[name]) for name in MEASURED])
    # Two sets that round alike are one: they tell nothing of a spread.
    distinct = [np.unique(rows, axis=0) for rows in by_seed.values()]
    freedom = sum(len(rows) - 1 for rows in distinct)
    squares = sum(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for rows in distinct)
    greatest = np.max([np.ptp(rows, axis=0) for rows in distinct], axis=0)
    columns = zip(MEASURED, np.sqrt(squares / freedom), greatest)
    return {name: Spread(deviation, freedom, most) for name, deviation, most in columns}


def pooled(spreads):
    """One :class:`Spread` of several of like freedom."""
    deviations, freedoms, greatest = zip(*spreads)
    return Spread(np.sqrt(np.mean(np.square(deviations))), min(freedoms), max(greatest))


def bounds(spread, seeds):
    """What a level of a seed, and the mean of so many seeds, may differ by from another run's."""
    # Both runs round, so their difference has twice the variance.
    quantile = stats.t.isf(FALSE_ALARM / 2 / len(LEVELS), spread.freedom)
    mean = quantile * spread.deviation * np.sqrt(2 / seeds) if seeds >= SEEDS_OF_A_MEAN else np.inf
    return MARGIN * spread.greatest, mean


def committed(identity_of, results=RESULTS):
    """The committed run whose settings, corpus and vectors are these; None without one."""
    for place in sorted(results.glob("*/config.json")):
        # Answers to further questions have settings too, and no verdicts.
        if (place.parent / "claims.csv").is_file() and identity_of(load_json(place)):
            return place.parent
    return None


def compare(run, folder):
    """What does not repeat, in words, and how many seeds were compared.

    Args:
        run (Run): a finished run.
        folder (Path): of committed results, with ``statistics.csv`` and
            ``rounding.csv``.

    Returns:
        tuple: list of str, and the number of seeds that both have.
    """
    place = folder / "statistics.csv"
    header = place.read_text(encoding="utf-8").splitlines()[0].split(",")
    rows = {int(row["seed"]): row for row in read_csv(place, header)}
    both = [seed for seed in run.finished_seeds() if seed in rows]
    if not both:
        return ["no seed is of both runs"], 0
    measured = spread(folder)
    found = [statistics.accuracy_statistics(run.accuracies(seed)) for seed in both]
    wrong = []
    for kind in KINDS:
        of_seed, of_mean = bounds(pooled(measured[f"A.{arm}"] for arm in kind), len(both))
        for arm in kind:
            differences = [
                mine[f"A.{arm}"] - float(rows[seed][f"A.{arm}"]) for mine, seed in zip(found, both)
            ]
            places = [(f"seed {seed}, {arm}: level", of_seed) for seed in both]
            places.append((f"{arm}: the mean over {len(both)} seeds", of_mean))
            for (place, bound), difference in zip(places, [*differences, np.mean(differences)]):
                if not abs(difference) <= bound:
                    wrong.append(f"{place} differs by {difference:+.4f}, not {bound:.4f} at most")
    return wrong, len(both)


def main(folder):
    """Compare and tell; the exit code."""
    run = Run(folder)
    mine = {**run.settings, "seeds": None, "versions": None}

    def same(settings):
        keys = [*run.config.to_dict(), "corpus", "vectors"]
        return all(
            _without_names(settings.get(key)) == _without_names(mine.get(key)) for key in keys
        )

    place = committed(same)
    if place is None:
        print("no committed run is of these readings, corpus and vectors: nothing to compare with")
        return 0
    if not (place / "rounding.csv").is_file():
        print(f"results/{place.name} has no rounding.csv (make rounding): nothing to compare by")
        return 0
    wrong, seeds = compare(run, place)
    print("\n".join(wrong) or f"{seeds} seeds repeat results/{place.name}")
    return int(bool(wrong))


def _without_names(value):
    return {k: v for k, v in value.items() if k != "name"} if isinstance(value, dict) else value


if __name__ == "__main__":
    try:
        if sys.argv[1] == "--rounding":
            collect_rounding(sys.argv[2], sys.argv[3:])
        else:
            sys.exit(main(sys.argv[1]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
