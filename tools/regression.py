"""Compare a finished run, seed by seed, with the committed one of the same settings.

Usage: python tools/regression.py DIR

Exit code 0 when every seed repeats or no committed run is of these readings,
corpus and vectors (which is said); 1 when one does not.

Where the tolerances come from: rounding differs between matrix libraries and
machines, and fifty epochs amplify it.  Between the kernel sets of OpenBLAS
that were tried, and between the fused form and plain Chainer, a seed's mean
accuracy over epochs 40-50 moved by less than half of SEED, and the mean over
seeds by less than half of MEAN (`results/README.md` names the figures).
"""

import sys
from pathlib import Path

import numpy as np

from replicate import claims
from replicate.config import ARMS, InputError
from replicate.experiment import RunFolder
from replicate.storage import load_json, read_csv

RESULTS = Path(__file__).resolve().parents[1] / "results"
#: Greatest difference of one seed's level, and of the mean over seeds.
SEED, MEAN = 0.01, 0.003


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
        run (RunFolder): a finished run.
        folder (Path): of committed results, with ``statistics.csv``.

    Returns:
        tuple: list of str, and the number of seeds that both have.
    """
    place = folder / "statistics.csv"
    header = place.read_text(encoding="utf-8").splitlines()[0].split(",")
    rows = {int(row["seed"]): row for row in read_csv(place, header)}
    wrong, differences = [], {arm: [] for arm in ARMS}
    both = [seed for seed in run.finished_seeds() if seed in rows]
    for seed in both:
        found = claims.accuracy_statistics(run.accuracies(seed))
        for arm in ARMS:
            difference = found[f"A.{arm}"] - float(rows[seed][f"A.{arm}"])
            differences[arm].append(difference)
            if not abs(difference) <= SEED:
                wrong.append(f"seed {seed}, {arm}: level differs by {difference:+.4f}")
    for arm, values in differences.items():
        if values and not abs(np.mean(values)) <= MEAN:
            wrong.append(f"{arm}: the mean over {len(both)} seeds differs by {np.mean(values):+.4f}")
    return wrong, len(both)


def main(folder):
    """Compare and tell; the exit code."""
    run = RunFolder(folder)
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
    wrong, seeds = compare(run, place)
    print("\n".join(wrong) or f"{seeds} seeds repeat results/{place.name}")
    return int(bool(wrong) or not seeds)


def _without_names(value):
    return {k: v for k, v in value.items() if k != "name"} if isinstance(value, dict) else value


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
