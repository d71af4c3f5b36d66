"""The calibration: which settings of Kim (2014) must change so that Figs 3 to 5 can be drawn?

Usage: python tools/calibrate.py results/calibration/grid.toml results/calibration [--jobs N]

Trains first phases only, of every specification of the grid: with the first seeds
(``screening.csv``), and with the others those that pass (``seeds.csv``, one row a
specification and seed; a row that is there is not trained again).  ``calibration.csv``
judges each by the rule of results/PLAN.md: it must be *feasible*, and of those the one
nearest to Kim's network is chosen.  How accuracies move, and which model is better,
enter nowhere: no second phase is trained.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from replicate.beyond.jumps import seed_jumps
from replicate.beyond.sweep import read_grid
from replicate.config import PRESETS, Config
from replicate.experiment import prepare, run_first_phase
from replicate.inference import mean_interval
from replicate.io.data import find_data
from replicate.io.files import read_csv, save_csv
from replicate.model import trained_model
from replicate.parallel.pool import Task, run_tasks
from replicate.run import FIG_5
from replicate.settings import Options
from replicate.show import figures

KIM = PRESETS["as-written"]
#: So many of the grid's seeds screen; the others judge.
SCREENING = 4
#: Misclassified sentences, on average over the screening seeds, of what is looked at further.
SCREENED = 50, 2000
#: The bounds of feasibility: results/PLAN.md has the reasons.
ENOUGH, BEHIND, MOST_ZERO, MOST_SQUARE = 0.95, 0.02, 0.10, 0.10
CHOSEN, FEASIBLE, REFUSED = "#009E73", "#0072B2", "#888888"

SETTINGS = {"n_filters": int, "optimizer": str, "learning_rate": float}
TRAINED = {"last": float, "best": float, "misclassified": int, "one_sided": int}
SHAPE = (
    "zero", "to_or_from_0", "switches", "jump", "to_or_from_0_standardised",
    "switches_standardised", "straight_correct", "straight_misclassified",
    "straight_correct_standardised", "straight_misclassified_standardised",
)  # fmt: skip
ROW = {**SETTINGS, "seed": int, **TRAINED, **dict.fromkeys(SHAPE, float)}
MEANS = ("last", "best", "misclassified", *SHAPE)
HEADER = (
    *SETTINGS, "seeds", *MEANS, "misclassified_low", "misclassified_high", "enough",
    "one_sided", "changes", "refused", "chosen",
)  # fmt: skip


# --- one training ------------------------------------------------------------------------


def first_phase(settings, seed, data, shape, on_progress):
    """Task: train on T1, and report a row of :data:`ROW`; without `shape`, its first columns."""
    options = Options(stored=shape, epoch_weights="all" if shape else "none")
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(folder, Config(**settings), options, [seed], *data)
        seen = []
        run_first_phase(run, seed, lambda epoch, accuracy: seen.append(accuracy))
        weights = trained_model(run, seed).weights(embedding=False)["fc/W"]
        row = {
            **{name: settings[name] for name in SETTINGS},
            "seed": seed,
            "last": float(seen[-1]),
            "best": float(max(seen)),
            "misclassified": int((~run.record(seed).correct).sum()),
            # Filters that all speak for the same label.
            "one_sided": int(len(set(np.sign(weights[1] - weights[0]).tolist())) == 1),
            **(shape_of(seed_jumps(run, seed)) if shape else {}),
        }
    on_progress(row)


def shape_of(found):
    """The columns :data:`SHAPE` from what :func:`replicate.beyond.jumps.seed_jumps` finds."""
    squares = {row[:3]: row[4] for row in found["shares"]}
    line = {row[:2]: row[2] for row in found["linearity"]}
    _, zero, _, jump, _, _ = next(row for row in found["totals"] if row[0] == "all")
    made = {"zero": zero, "jump": jump}
    for reading, end in (("raw", ""), ("standardised", "_standardised")):
        made[f"to_or_from_0{end}"] = squares[reading, "all", "appears"]
        made[f"switches{end}"] = squares[reading, "all", "switches"]
        for kind in ("correct", "misclassified"):
            made[f"straight_{kind}{end}"] = line[reading, kind]
    return {name: made[name] for name in SHAPE}


def train_all(place, configs, seeds, data, jobs, shape):
    """Train what the table `place` lacks.

    Returns:
        list of dict: the rows of `configs` and `seeds`, in their order.
    """
    header = {name: ROW[name] for name in ROW if shape or name not in SHAPE}
    have = read_csv(place, tuple(header), header) if place.exists() else []
    rows = {(*candidate(row), row["seed"]): row for row in have}
    tasks = [
        Task((*candidate(config.to_dict()), seed), first_phase, (config.to_dict(), seed, data, shape), ())
        for seed in seeds  # all of one seed first
        for config in configs
        if (*candidate(config.to_dict()), seed) not in rows
    ]  # fmt: skip

    def keep(name, message):
        if isinstance(message, dict):
            rows[name] = message
            save_csv(place, header, [[rows[key][n] for n in header] for key in sorted(rows)])
            print(*name, message["misclassified"], flush=True)

    failures = run_tasks(tasks, jobs, keep).failures
    for name, reason in failures.items():
        raise RuntimeError(f"{name}: {reason.strip().splitlines()[-1]}")
    return [rows[(*candidate(config.to_dict()), seed)] for config in configs for seed in seeds]


def candidate(row):
    """The settings by which specifications of the grid differ."""
    return tuple(row[name] for name in SETTINGS)


# --- the rule ----------------------------------------------------------------------------


def changes(row):
    """Settings that differ from Kim's: the number of filters; the optimiser with its rate."""
    rate = row["optimizer"] != "AdaDelta" and row["learning_rate"] != KIM.learning_rate
    return int(row["n_filters"] != KIM.n_filters) + int(row["optimizer"] != KIM.optimizer or rate)


def screened(rows):
    """Specifications that are looked at further: Kim's own, and those between the bounds."""
    return [
        name
        for name, group in grouped(rows).items()
        if SCREENED[0] <= np.mean([row["misclassified"] for row in group]) <= SCREENED[1]
        or changes(group[0]) == 0
    ]


def grouped(rows):
    """Rows by specification."""
    groups = {}
    for row in rows:
        groups.setdefault(candidate(row), []).append(row)
    return groups


def judge(rows):
    """One row of :data:`HEADER` for each specification, the chosen one first.

    Args:
        rows: of all seeds; those of Kim's own network are among them.
    """
    made = []
    for group in grouped(rows).values():
        row = {name: group[0][name] for name in SETTINGS}
        row |= {name: float(np.mean([one[name] for one in group])) for name in MEANS}
        wrong = np.array([one["misclassified"] for one in group])
        low, high = mean_interval(wrong.mean(), wrong.std(ddof=1), len(group))
        row |= {"misclassified_low": float(low), "misclassified_high": float(high)}
        row |= {"seeds": len(group), "enough": int((wrong >= FIG_5).sum())}
        row |= {"one_sided": sum(one["one_sided"] for one in group), "changes": changes(row)}
        made.append(row)
    (kim,) = (row for row in made if row["changes"] == 0)
    for row in made:
        row["refused"] = "; ".join(refused(row, kim["last"]))
    made.sort(key=lambda row: (bool(row["refused"]), *distance(row)))
    for i, row in enumerate(made):
        row["chosen"] = int(i == 0 and not row["refused"])
    return made


def refused(row, accuracy):
    """The reasons why a specification is not feasible; `accuracy` is that of Kim's network."""
    square = max(row["to_or_from_0"], row["to_or_from_0_standardised"])
    reasons = {
        "too few misclassified": row["enough"] < ENOUGH * row["seeds"],
        "has not learned": row["last"] < accuracy - BEHIND,
        "words at 0": row["zero"] > MOST_ZERO,
        "square waves": square > MOST_SQUARE,
        "output weights of one sign": row["one_sided"] > 0,
    }
    return [reason for reason, holds in reasons.items() if holds]


def distance(row):
    """How far from Kim's: settings changed, then fewer filters, then more misclassified."""
    return row["changes"], -row["n_filters"], row["misclassified"]


# --- the figure --------------------------------------------------------------------------


def name_of(row):
    """A specification in words."""
    rate = "" if row["optimizer"] == "AdaDelta" else f" {row['learning_rate']:g}"
    return f"{row['n_filters']} filters, {row['optimizer']}{rate}"


def draw(made, rows, stem):
    """Accuracy, misclassified and shape of every specification that was judged, side by side.

    Args:
        made: of :func:`judge`; the first is the uppermost.
        rows: of the seeds, for the small dots.
        stem: the path without suffix.
    """
    groups = grouped(rows)
    y = np.arange(len(made))
    (kim,) = (row for row in made if row["changes"] == 0)
    colours = [CHOSEN if row["chosen"] else REFUSED if row["refused"] else FEASIBLE for row in made]
    panels = (
        ("accuracy of T1 at the last epoch", ("last",), kim["last"] - BEHIND),
        ("misclassified sentences of T1", ("misclassified",), FIG_5),
        ("share of word-epochs at 0", ("zero",), MOST_ZERO),
        ("share of change to or from 0", ("to_or_from_0", "to_or_from_0_standardised"), MOST_SQUARE),
    )  # fmt: skip
    with figures.styled():
        height = 0.24 * len(made) + 1.2
        figure = Figure(figsize=(11, height))
        axes = figure.subplots(1, len(panels), sharey=True)
        for axis, (title, columns, bound) in zip(axes, panels):
            for i, row in enumerate(made):
                for column, marker in zip(columns, "oD"):
                    seeds = [one[column] for one in groups[candidate(row)]]
                    axis.plot(seeds, [i] * len(seeds), "|", color=colours[i], alpha=0.35, ms=5)
                    fill = "white" if row["refused"] else colours[i]
                    axis.plot(row[column], i, marker, color=colours[i], mfc=fill, ms=5)
            if made[0]["chosen"]:
                axis.axhspan(-0.5, 0.5, color=CHOSEN, alpha=0.12, lw=0)
            axis.axvline(bound, color="#444444", lw=1, ls="--")
            axis.set_title(title, fontsize=9)
        axes[0].set_yticks(y, [name_of(row) for row in made], fontsize=8)
        axes[0].set_ylim(len(made) - 0.5, -0.5)
        axes[1].set_xscale("symlog", linthresh=10)
        axes[1].set_xticks([0, 10, 100, 1000], ["0", "10", "100", "1,000"])
        axes[1].set_xlim(-2, 3000)
        for axis in axes[2:]:
            axis.set_xlim(left=-0.02)
        figures.titled(figure, "What must change in Kim's network so that Figs 3 to 5 can be drawn")
        figures.caption(
            figure,
            f"ticks: seeds; dots: means of {made[0]['seeds']}; diamonds: standardised saliency; "
            "dashed: bounds; green: chosen; filled: feasible",
        )
        figure.subplots_adjust(
            left=0.16, right=0.985, top=1 - 0.6 / height, bottom=0.5 / height, wspace=0.12
        )
        made = figures.save_figure(figure, Path(stem))
    made.with_suffix(".svg").unlink(missing_ok=True)  # larger than the table, and drawn from it
    return made


# --- the command -------------------------------------------------------------------------


def calibrate(grid, out, data, jobs=1):
    """Train what is lacking, and write the tables and the figure; returns the rows."""
    specifications, seeds = read_grid(grid)
    out = Path(out)
    configs = {candidate(one.config.to_dict()): one.config for one in specifications}
    first, others = seeds[:SCREENING], seeds[SCREENING:]
    rows = train_all(out / "screening.csv", configs.values(), first, data, jobs, False)
    further = [configs[name] for name in screened(rows)]
    rows = train_all(out / "seeds.csv", further, others, data, jobs, True)
    made = judge(rows)
    save_csv(out / "calibration.csv", HEADER, [[row[name] for name in HEADER] for row in made])
    draw(made, rows, out / "calibration")
    return made


if __name__ == "__main__":
    import calibrate as tool  # workers look for the task in a module of this name

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid")
    parser.add_argument("out")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--vectors", help="as of `replicate run`")
    options = parser.parse_args()
    for row in tool.calibrate(
        options.grid, options.out, find_data("paper", (), options.vectors)[1:], options.jobs
    ):
        print(*tool.candidate(row), row["refused"] or ("chosen" if row["chosen"] else "feasible"))
