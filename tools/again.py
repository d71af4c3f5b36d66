"""Make the saliency of committed results again, after a change that touches nothing else.

Usage: python tools/again.py NAME DIR [JOBS]

Trains in DIR the first phase of every seed of ``results/NAME``.  Where its accuracies and the halves
of T2 are the committed ones, so are the other models to the last bit: their accuracies are taken from
``results/NAME``.  A seed where they differ is run as a whole.  (Results without ``seeds.npz`` do not say
which the halves were.  There T2h is trained, too, which goes on from the first phase, and its accuracies
are compared.)  At the end everything that a run's saliency gives is written to ``results/NAME``, and
``results/provenance.json`` notes the code of today; ``timing.json`` stays that of the whole run.
"""

import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

for threads in ("OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"

import collect  # noqa: E402
import numpy as np  # noqa: E402
import provenance  # noqa: E402

from replicate.config import ARMS  # noqa: E402
from replicate.experiment import run_stage, verdicts_of  # noqa: E402
from replicate.io.files import load_json, read_csv, save_csv, save_json  # noqa: E402
from replicate.results import Results, read_accuracies, save_seeds  # noqa: E402
from replicate.run import ACCURACY, TRAINING, Run  # noqa: E402
from replicate.settings import continued  # noqa: E402
from replicate.show import figures, report  # noqa: E402

RESULTS = Path(__file__).resolve().parents[1] / "results"


class Again(Run):
    """A run some of whose models were not trained again."""

    def finished(self, seed, arm):
        """Whether it has the first phase, and the accuracies of every model."""
        return super().finished(seed, "T1") and (self.seed_folder(seed) / "accuracy.csv").is_file()


def start(folder, committed):
    """A run with the settings, seeds, corpus and vectors of committed results."""
    run = collect.Run(committed)
    return provenance.prepared(committed, folder, run.seeds, run.options)


def one_seed(folder, seed, curves, half):
    """Train a seed's first phase, and the rest if its halves are not the committed ones.

    Args:
        folder, seed: of the run.
        curves: the committed accuracies.
        half: the committed half of every sentence, or None.

    Returns:
        Whether the halves are the committed ones.
    """
    run = Run(folder)
    if Again(folder).finished(seed, "T1"):
        now = run.accuracies(seed)
        return all(np.array_equal(now[arm][:, 1], curves[arm][:, 1]) for arm in ARMS)
    same = True
    for arm in ("T1", "T2h") if half is None else ("T1",):
        if not run.finished(seed, arm):
            run_stage(run, seed, arm)
        rows = read_csv(run.folder(seed, arm) / "training.csv", TRAINING, {"accuracy": float})
        same = same and [row["accuracy"] for row in rows] == curves[arm][:, 1].tolist()
    if half is not None:
        same = same and np.array_equal(run.sentence_scores(seed)[1], half)
    if not same:
        for arm in ARMS:
            if not run.finished(seed, arm):
                run_stage(run, seed, arm)
        run.save_accuracies(seed)
        return False
    # Losses of the other models are not published.
    rows = [(arm, int(e), a, "nan") for arm in ARMS for e, a in curves[arm]]
    save_csv(run.seed_folder(seed) / "accuracy.csv", ACCURACY, rows)
    return True


def train(folder, committed, jobs):
    """The first phases of all seeds.

    Returns:
        The seeds whose halves are not the committed ones.
    """
    work, curves = start(folder, committed), read_accuracies(committed)
    published = Results(committed) if (committed / "seeds.npz").is_file() else None
    tasks = [
        (folder, s, curves[s], None if published is None else published.sentence_scores(s)[1])
        for s in work.seeds
    ]
    if jobs == 1:
        same = [one_seed(*task) for task in tasks]
    else:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            same = list(pool.map(one_seed, *zip(*tasks)))
    return [seed for seed, is_same in zip(work.seeds, same) if not is_same]


def publish(folder, place, expected=collect.EXPECTED):
    """Everything that saliency gives, in place of what is committed."""
    run = Again(folder)
    verdicts = verdicts_of(run)
    report.write_claims(run, verdicts)
    for file in ("claims.csv", "claims.json"):
        shutil.copy(run.out / file, place / file)
    if (place / "figures").is_dir():
        figures.draw_figures(run, run.finished_seeds())
        for file in sorted((run.out / "figures").iterdir()):
            if any((place / "figures" / f"{file.name}{end}").exists() for end in ("", ".gz")):
                collect.keep(file, place / "figures")
    collect.save_statistics(run, place)
    settings, had_arrays = load_json(place / "config.json"), (place / "seeds.npz").is_file()
    save_seeds(run, place)
    if not had_arrays:
        (place / "seeds.npz").unlink()
    # Both codes have a part in the numbers.
    save_json(place / "config.json", continued(settings, run.settings))
    collect.expect(run.identity, verdicts, place, expected)


def main(name, folder, jobs=2):
    """Train, publish, and note that it was done."""
    folder, place = Path(folder), RESULTS / name
    other = train(folder, place, jobs)
    publish(folder, place)
    record = load_json(provenance.PLACE)
    record["made"][name] = provenance.code()
    record["older"].pop(name, None)
    save_json(provenance.PLACE, record)
    print(f"{name}: made again; seeds with other halves than before: {other or 'none'}")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
