"""The distance of every specification of a sweep to the paper's reported figures.

Usage: python tools/calibrate.py SWEEP.csv RESULTS_DIR

For a specification, with means over the calibration seeds:

    distance = sqrt(mean over the six arms of ((level - reported) / 0.015)^2)
             + max(0, 1 - misclassified / 100)
             + max(0, 1 + fall of T1andT2h over epochs 20-50 / 0.015)
             + max(0, |change of T1andT2 over epochs 25-50| / 0.015 - 1)

These are: levels A1-A3 in margins; at least 100 misclassified T1 sentences at the
end; the fall of O5 by one margin or more; the steadiness of T1andT2.  The claims
about which model is better (O1-O3) are not used.  Of equal distances the first
name wins.
"""

import sys
from pathlib import Path

import numpy as np

from replicate.beyond.sweep import sweep_rows
from replicate.config import PAPER
from replicate.io.files import save_csv
from replicate.show import figures

PARTS = ("levels", "misclassified", "fall", "steady")
#: Unit of the distance, in accuracy.
MARGIN = 0.015
HEADER = ("specification", "seeds", "distance", *PARTS)


def distance(rows):
    """Distance of one specification and its parts, from the statistics of its seeds."""
    mean = {
        name: np.mean([row[name] for row in rows]) for name in rows[0] if name[:2] in ("A.", "O5")
    }
    levels = [(mean[f"A.{arm}"] - level) / MARGIN for arm, level in PAPER["levels"].items()]
    wrong = np.mean([row["misclassified"] for row in rows])
    parts = {
        "levels": float(np.sqrt(np.mean(np.square(levels)))),
        "misclassified": float(max(0.0, 1 - wrong / 100)),
        "fall": float(max(0.0, 1 + mean["O5.fall"] / MARGIN)),
        "steady": float(max(0.0, abs(mean["O5.steady"]) / MARGIN - 1)),
    }
    return {"distance": sum(parts.values()), **parts}


def calibrate(place, out):
    """Write ``calibration.csv`` and its figure; the nearest specification first."""
    grouped = {}
    for (name, _), row in sweep_rows(place).items():
        grouped.setdefault(name, []).append(row)
    made = [
        {"specification": name, "seeds": len(rows), **distance(rows)}
        for name, rows in grouped.items()
    ]
    made.sort(key=lambda row: (row["distance"], row["specification"]))
    save_csv(Path(out) / "calibration.csv", HEADER, [[row[h] for h in HEADER] for row in made])
    figures.calibration(made, Path(out) / "calibration")
    return made


if __name__ == "__main__":
    for row in calibrate(*sys.argv[1:3])[:10]:
        print(f"{row['distance']:.3f}  {row['specification']}")
