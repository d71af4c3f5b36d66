"""Compare a finished run, seed by seed, with the committed one of the same settings.

Usage: python tools/regression.py DIR
       python tools/regression.py --rounding NAME DIR…

The exit code is 0 if every seed repeats, and 1 if one does not.  It is also 0,
with a message, if there is nothing to compare with: no committed run has these
readings, corpus and vectors, or its spread under rounding was not measured.  If only
the vectors are others, the message has the levels of both runs.

On the kind of processor and with the versions that the committed run had, every
accuracy must be the same to the last bit.  Elsewhere the levels must agree within rounding:
rounding differs between matrix libraries and processors.  It moves sentences
near the median into the other half of T2, and fifty epochs amplify it, so the
levels of a seed cannot repeat exactly.  We measured how far it moves them: `make
rounding` runs the same seeds with several sets of OpenBLAS's kernels, and
``--rounding`` writes the levels to ``results/NAME/rounding.csv``.

There are two kinds of arms: those that depend on the halves of T2 and those that
do not.  The level of a seed may differ by 1.5 times the greatest difference that
two sets of kernels made in any seed and arm of its kind.  (Most differences are
much smaller or 0; their distribution is not a usual one.)  The mean over ten
seeds or more may differ by so much that rounding alone exceeds it once in a
thousand comparisons.
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
from replicate.results import read_accuracies
from replicate.run import Run
from replicate.settings import ADDED

RESULTS = Path(__file__).resolve().parents[1] / "results"
#: Allowed difference of a seed, in greatest measured differences.
MARGIN = 1.5
#: Probability that means over seeds are reported although only rounding differs.
FALSE_ALARM = 0.001
#: Number of seeds from which on their mean is nearly normal.
SEEDS_OF_A_MEAN = 10
#: Arms that do not depend on the halves of T2, and arms that do.
KINDS = (("T1", *UNSCORED), tuple(arm for arm in ARMS if arm not in ("T1", *UNSCORED)))
LEVELS = tuple(f"A.{arm}" for arm in ARMS)
MEASURED = (*LEVELS, "H.mean", "O2.mean")
#: For a seed and a set of kernels: number of sentences of T2 in another half than
#: with the first set, levels, and mean differences of arms.
ROUNDING = ("kernels", "seed", "other_half", *MEASURED)


def collect_rounding(name, folders, results=RESULTS):
    """Write ``rounding.csv``: every seed with several sets of kernels, named as the runs' folders.

    Raises:
        InputError: if the runs differ in readings, corpus, vectors or seeds.
    """
    runs = [Run(folder) for folder in folders]
    seeds = runs[0].finished_seeds()
    for run in runs[1:]:
        if (run.identity, run.finished_seeds()) != (runs[0].identity, seeds):
            raise InputError(
                f"{run.out}: other settings or seeds than {runs[0].out}; choose runs that agree"
            )
    rows = []
    for seed in seeds:
        halves = [run.halves(seed) for run in runs]
        for run, half in zip(runs, halves):
            found = statistics.accuracy_statistics(run.accuracies(seed))
            moved = sum(a != b for a, b in zip(half, halves[0], strict=True))
            rows.append((run.out.name, seed, moved, *(found[name] for name in MEASURED)))
    save_csv(Path(results) / name / "rounding.csv", ROUNDING, rows)


#: Effect of rounding on a statistic of a seed: standard deviation within a seed, its
#: degrees of freedom, and the greatest difference between two sets of kernels.
Spread = namedtuple("Spread", "deviation freedom greatest")


def spread(folder):
    """The :class:`Spread` of every measured statistic, by name.

    Args:
        folder (Path): committed results, with ``rounding.csv``.
    """
    by_seed = {}
    for row in read_csv(folder / "rounding.csv", ROUNDING):
        by_seed.setdefault(row["seed"], []).append([float(row[name]) for name in MEASURED])
    # Two sets that round in the same way count once: they add nothing to the spread.
    distinct = [np.unique(rows, axis=0) for rows in by_seed.values()]
    freedom = sum(len(rows) - 1 for rows in distinct)
    squares = sum(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for rows in distinct)
    greatest = np.max([np.ptp(rows, axis=0) for rows in distinct], axis=0)
    columns = zip(MEASURED, np.sqrt(squares / freedom), greatest)
    return {name: Spread(deviation, freedom, most) for name, deviation, most in columns}


def pooled(spreads):
    """Several spreads with the same degrees of freedom as one :class:`Spread`."""
    deviations, freedoms, greatest = zip(*spreads)
    return Spread(np.sqrt(np.mean(np.square(deviations))), min(freedoms), max(greatest))


def bounds(spread, seeds):
    """Allowed differences from another run: of the level of a seed, and of the mean over seeds."""
    # Both runs round, so their difference has twice the variance.
    quantile = stats.t.isf(FALSE_ALARM / 2 / len(LEVELS), spread.freedom)
    mean = quantile * spread.deviation * np.sqrt(2 / seeds) if seeds >= SEEDS_OF_A_MEAN else np.inf
    return MARGIN * spread.greatest, mean


def committed(identity_of, results=RESULTS):
    """Folder of the committed run with these settings, corpus and vectors, or None."""
    for place in sorted(results.glob("*/config.json")):
        # Answers beyond the paper have settings too, but no verdicts.
        if (place.parent / "claims.csv").is_file() and identity_of(load_json(place)):
            return place.parent
    return None


def statistics_of(folder):
    """Statistics of committed seeds, as they are written: seed -> row."""
    place = folder / "statistics.csv"
    header = place.read_text(encoding="utf-8").splitlines()[0].split(",")
    return {int(row["seed"]): row for row in read_csv(place, header)}


def compare(run, folder):
    """Compare the levels of a run with committed ones.

    Args:
        run (Run): a finished run.
        folder (Path): committed results, with ``statistics.csv`` and
            ``rounding.csv``.

    Returns:
        tuple: list of str, one for each level that does not repeat, and the
        number of seeds that both runs have.
    """
    rows = statistics_of(folder)
    both = [seed for seed in run.finished_seeds() if seed in rows]
    if not both:
        return ["the runs have no seed in common"], 0
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
                    wrong.append(f"{place} differs by {difference:+.4f}; {bound:.4f} is allowed")
    return wrong, len(both)


def compare_exactly(run, folder):
    """Compare the accuracies of a run with committed ones, to the last bit.

    Args and Returns: those of :func:`compare`; `folder` needs ``accuracy.csv.gz``.
    """
    curves = read_accuracies(folder)
    both = [seed for seed in run.finished_seeds() if seed in curves]
    wrong = [] if both else ["the runs have no seed in common"]
    for seed in both:
        mine = run.accuracies(seed)
        wrong += [
            f"seed {seed}, {arm}: other accuracies, on the same kind of machine"
            for arm in ARMS
            if not np.array_equal(mine[arm][:, :2], curves[seed][arm])
        ]
    return wrong, len(both)


def levels_of_both(run, folder):
    """A table: the level of every arm, mean over seeds, of a run and of committed results."""
    rows = statistics_of(folder).values()
    mine = [statistics.accuracy_statistics(run.accuracies(s)) for s in run.finished_seeds()]
    known = (
        r["vectors"]["known_tokens"] for r in (run.settings, load_json(folder / "config.json"))
    )
    lines = ["tokens with a vector   {:.1%}   {:.1%}".format(*known)]
    for name in LEVELS:
        means = (np.mean([float(row[name]) for row in table]) for table in (mine, rows))
        lines.append("{:22} {:.4f}  {:.4f}".format(name.removeprefix("A."), *means))
    return "\n".join(lines)


def main(folder):
    """Compare and print the outcome; returns the exit code."""
    run = Run(folder)
    mine = {**run.settings, **run.data_facts()}

    def same(settings, checksums=("corpus", "vectors")):
        settings = {**ADDED, **settings}
        readings = all(settings.get(name) == mine[name] for name in run.config.to_dict())
        return readings and all(_same_data(settings, mine, n, CHECKSUMS[n]) for n in checksums)

    place = committed(same)
    if place is None:
        place = committed(lambda settings: same(settings, ("corpus",)))
        if place is None:
            print("no committed run has these readings and this corpus: nothing to compare with")
        else:
            print(f"other vectors than results/{place.name}: nothing to compare seed by seed")
            print(f"{'':22} here    there\n{levels_of_both(run, place)}")
        return 0
    alike = made_alike(run.settings, load_json(place / "config.json"))
    if alike and (place / "accuracy.csv.gz").is_file():
        wrong, seeds = compare_exactly(run, place)
        how = "to the last bit"
    elif (place / "rounding.csv").is_file():
        wrong, seeds = compare(run, place)
        how = "within rounding"
    else:
        print(f"results/{place.name} has no rounding.csv (make rounding): nothing to compare with")
        return 0
    print("\n".join(wrong) or f"{seeds} seeds repeat results/{place.name} {how}")
    return int(bool(wrong))


#: Entry of the settings -> its checksum of what was used.
CHECKSUMS = {"corpus": "content", "vectors": "matrix"}
#: Versions that the bytes of a run depend on, beside the code.
VERSIONS = ("numpy", "numba", "chainer")


def made_alike(mine, committed):
    """Whether two runs were made on one kind of processor, with the same libraries."""
    return mine["environment"] == committed.get("environment") and all(
        mine["versions"][name] == committed["versions"].get(name) for name in VERSIONS
    )


def _same_data(committed, mine, entry, checksum):
    """Whether two runs are of the same data, however its files are named and packed."""
    if checksum in committed[entry]:
        return committed[entry][checksum] == mine[entry][checksum]
    # Results of version 1.0.0 have checksums of the files only.
    files = committed[entry]["sha256"], mine[entry]["sha256"]
    return files[0] == files[1] or (
        entry == "corpus" and sorted(files[0].values()) == sorted(files[1].values())
    )


if __name__ == "__main__":
    try:
        if sys.argv[1] == "--rounding":
            collect_rounding(sys.argv[2], sys.argv[3:])
        else:
            sys.exit(main(sys.argv[1]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
