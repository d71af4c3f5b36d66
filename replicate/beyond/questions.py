"""Answers to what the paper left open, as tables and figures of a run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..inference import t_test
from ..io.errors import InputError
from ..io.files import save_csv
from ..run import Run
from ..show.figures import caption, save_figure, styled, titled
from ..verdicts import column
from . import convergence, rivals

__all__ = ["check_run", "draw_convergence", "draw_learning", "draw_rivals", "write_answers"]

Rows = Sequence[tuple[Any, ...]]

QUESTIONS = ("id", "measure", "test", "ours", "low", "high", "seeds", "answer")
RIVALS = ("score", "share", "labels", "accuracy", "gain", "low", "high", "seeds", "p", "verdict")
SAVED = ("score", "share", "sentences", "random", "saved", "low", "high", "seeds")
NOISE = (
    "score", "labels", "area", "low", "high",
    *(f"found_{100 * share:g}" for share in rivals.INSPECTED), "seeds",
)  # fmt: skip
LABELS = ("score", "share", "greatest", "seeds")
LEARNING = ("share", "sentences", "rise", "low", "high", "line", "seeds")
CONFOUNDS = ("covariate", "correlation", "partial", "low", "high", "smd", "smd_matched")
TABLES = (
    "questions", "statistics", "rivals", "correlations", "confounds", "learning", "saved", "noise",
    "labels",
)  # fmt: skip


def check_run(run: Run) -> None:
    """Look whether a run kept all that the questions need, before anything is trained.

    Raises:
        InputError: if it did not.
    """
    rivals.check_run(run)
    if not run.options.record_arms:
        raise InputError(
            f"{run.out}: the saliency of the second phase was not recorded; "
            "run again in another --out, with --record-arms"
        )


def write_answers(run: Run, seeds: list[int]) -> list[Path]:
    """Write questions, rivals, their correlations, confounds, and two figures.

    Args:
        run: after :func:`replicate.beyond.rivals.run_rivals`.
        seeds: those that are done.

    Returns:
        What was written.
    """
    out = run.out / "questions"
    table = [convergence.seed_answers(run, seed) for seed in seeds]
    answers = convergence.answers(table)
    found = rivals.levels(rivals.curves(run, seeds))
    gains = rivals.compare(found)
    scores, correlation = rivals.correlations(run, seeds)
    save_csv(out / "questions.csv", QUESTIONS, answers)
    save_csv(
        out / "statistics.csv",
        ("seed", *table[0]),
        [(s, *row.values()) for s, row in zip(seeds, table)],
    )
    save_csv(out / "rivals.csv", RIVALS, gains)
    save_csv(
        out / "correlations.csv",
        ("score", *scores),
        [(score, *row) for score, row in zip(scores, correlation)],
    )
    save_csv(out / "confounds.csv", CONFOUNDS, rivals.confounds(run, seeds))
    growths = rivals.growth(run, found)
    curve = rivals.learning_curve(list(growths.values()))
    save_csv(out / "learning.csv", LEARNING, curve)
    save_csv(out / "saved.csv", SAVED, rivals.saved_sentences(found, growths))
    save_csv(out / "noise.csv", NOISE, rivals.wrong_labels(run, seeds))
    save_csv(out / "labels.csv", LABELS, rivals.commonest_labels(run, seeds))
    written = [out / f"{name}.csv" for name in TABLES]
    written.append(draw_rivals(gains, out / "rivals", run.title))
    if curve and len({row[1] for row in gains if row[0] == rivals.SCORES[0].name}) > 1:
        written.append(draw_learning(gains, curve, out / "learning", run.title))
    written.append(draw_convergence(table, out / "convergence", run.title))
    return written


def _share_of_most(rows):
    """The share of T2 at which most scores were compared; of several the nearest to a half."""
    shares = [row[1] for row in rows]
    return max(set(shares), key=lambda share: (shares.count(share), -abs(share - 0.5)), default=0.5)


def draw_rivals(rows: Rows, stem: str | Path, title: str) -> Path:
    """Gain of every score over as many random sentences, with its interval.

    Args:
        rows: of :func:`replicate.beyond.rivals.compare`; shown is the share of most of them.
        stem: path without suffix.
        title: vectors, shown below.

    Returns:
        The PNG.
    """
    share = _share_of_most(rows)
    shown = [row for row in rows if row[1] == share and not row[0].startswith("without_")]
    # Bottom to top: those that need labels, then the others, each by its gain.
    shown.sort(key=lambda row: (-row[2], row[4]))
    names = {"matched_high": "instability, halves alike in all else"}
    height = 0.24 * len(shown) + 1.3
    with styled():
        figure = Figure(figsize=(7.5, height))
        axis = figure.subplots()
        # A gain inside of it is too small to matter.
        axis.axvspan(-100 * rivals.SMALLEST, 100 * rivals.SMALLEST, color="#eeeeee", lw=0)
        axis.axvline(0, color="#000000", lw=0.8)
        for y, (_, _, labels, _, *gain, _, _, verdict) in enumerate(shown):
            mean, low, high = (100 * value for value in gain)
            colour = "#D55E00" if labels else "#0072B2"
            filled = colour if verdict in ("better", "worse") else "#ffffff"
            axis.plot([low, high], [y, y], color=colour, lw=1.4)
            axis.plot(mean, y, "o", color=colour, mfc=filled, ms=5)
        texts = [names.get(row[0], row[0].replace("_", " ")) for row in shown]
        stars = [" *" if row[2] else "" for row in shown]
        axis.set_yticks(range(len(shown)), [t + s for t, s in zip(texts, stars)], fontsize=8)
        axis.set_ylim(-0.7, len(shown) - 0.3)
        axis.set_xlabel("points of accuracy on T3 over random sentences of the same number")
        titled(figure, f"T1 with {100 * share:g} % of T2: does a score choose better than chance?")
        seeds = max((row[7] for row in shown), default=0)
        caption(
            figure,
            f"{title}; {seeds} seeds, epochs 40–50; bars: 95 % intervals; filled: better or worse "
            "(Holm)\n* needs labels; grey: too small to matter",
        )
        figure.subplots_adjust(left=0.3, right=0.98, top=1 - 0.45 / height, bottom=0.78 / height)
        return save_figure(figure, Path(stem))


def draw_learning(rows: Rows, curve: Rows, stem: str | Path, title: str) -> Path:
    """How accuracy grows with random sentences, and what scores add to that by share of T2.

    Args:
        rows: of :func:`replicate.beyond.rivals.compare`; drawn are scores with several shares.
        curve: of :func:`replicate.beyond.rivals.learning_curve`.
        stem: path without suffix.
        title: vectors, shown below.

    Returns:
        The PNG.
    """
    at_half = {r[0]: r[4] for r in rows if r[1] == 0.5}
    scores = [s for s in rivals.SCORES if sum(r[0] == s.name for r in rows) > 1]
    scores.sort(key=lambda score: (score.labels, -at_half.get(score.name, 0.0)))
    panels = {score.name: sorted(r for r in rows if r[0] == score.name) for score in scores}
    # One score that is far off would press all others flat.
    widest = [max(abs(bound) for r in mine for bound in r[5:7]) for mine in panels.values()]
    reach = 100 * max(2 * rivals.SMALLEST, 1.3 * float(np.median(widest or [0.0])))
    white = {"facecolor": "#ffffff", "edgecolor": "none", "pad": 1}
    columns = min(5, 1 + len(scores))
    lines = -(-(1 + len(scores)) // columns)
    height = 2.2 * lines + 1.0
    with styled():
        figure = Figure(figsize=(11, height))
        axes = figure.subplots(lines, columns, sharex=True, squeeze=False).flat
        share, _, rise, low, high, line, _ = np.transpose(curve).astype(float)
        axes[0].errorbar(100 * share[1:], 100 * rise[1:],
                         [100 * (rise - low)[1:], 100 * (high - rise)[1:]],
                         fmt="o", color="#000000", ms=3.5, lw=1.2)  # fmt: skip
        axes[0].plot(100 * share, 100 * line, "--", color="#777777", lw=1)
        axes[0].set_title("random sentences, over T1", fontsize=8.5)
        for axis, score in zip(axes[1:], scores):
            mine = panels[score.name]
            x = np.array([100 * r[1] for r in mine])
            gain, low, high = (np.array([100 * r[i] for r in mine]) for i in (4, 5, 6))
            colour = "#D55E00" if score.labels else "#0072B2"
            axis.axhspan(-100 * rivals.SMALLEST, 100 * rivals.SMALLEST, color="#eeeeee", lw=0)
            axis.axhline(0, color="#000000", lw=0.8)
            axis.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
            axis.plot(x, gain, "o-", color=colour, ms=3.5, lw=1.4)
            for place, value in zip(x, gain):
                if abs(value) > reach:
                    edge = np.sign(value) * 0.93 * reach
                    axis.text(place, edge, f"{value:+.1f}", color=colour, fontsize=7,
                              ha="center", va="center", bbox=white)  # fmt: skip
            axis.set_ylim(-reach, reach)
            name = score.name.replace("_", " ") + (" *" if score.labels else "")
            axis.set_title(name, fontsize=8.5)
        for place, axis in enumerate(axes):
            axis.set_visible(place <= len(scores))
            axis.set_xlim(-4, 104)
            axis.set_xticks([0, 50, 100])
            # The last of its column.
            if place + columns > len(scores):
                axis.set_xlabel("% of T2")
                axis.tick_params(labelbottom=True)
            if place % columns == 0:
                axis.set_ylabel("points")
        titled(figure, "How accuracy on T3 grows with sentences, and what choosing them adds")
        seeds = sorted({row[7] for row in rows if row[0] in panels})
        caption(
            figure,
            f"{title}; {' or '.join(map(str, seeds))} seeds, epochs 40–50; bars and bands: 95 % "
            "intervals; dashed: straight line over the logarithm of the number of sentences\n"
            "all others: over random sentences of the same number; * needs labels; grey: too small "
            "to matter; a number: beyond the edge",
        )
        figure.subplots_adjust(
            left=0.05, right=0.985, top=1 - 0.7 / height, bottom=0.95 / height, hspace=0.3,
            wspace=0.25,
        )  # fmt: skip
        return save_figure(figure, Path(stem))


def _seen(axis, value):
    low, high = axis.get_ylim()
    return low <= value <= high


def draw_convergence(table: Sequence[Mapping[str, float]], stem: str | Path, title: str) -> Path:
    """How far unstable words stand above matched stable ones, by phase and arm (Q1).

    Args:
        table: of :func:`replicate.beyond.convergence.seed_answers`.
        stem: path without suffix, for PNG, SVG and CSV.
        title: vectors, shown below.

    Returns:
        The PNG.
    """
    phases = ("T1", *convergence.ARMS_ASKED)
    kinds = {
        "gap": "instability wac: unstable words, times that of stable ones",
        "late": "late over early change: unstable, times stable",
    }
    stem, rows = Path(stem), []
    with styled():
        figure = Figure(figsize=(9, 3.4))
        for axis, (kind, label) in zip(figure.subplots(1, 2), kinds.items()):
            for i, phase in enumerate(phases):
                values = column(table, f"{kind}.{phase}")
                tested = t_test(values)
                rows.append((kind, phase, tested.seeds, tested.mean, tested.low, tested.high))
                colour = "#777777" if phase == "T1" else "#0072B2"
                # Statistics are logarithms of ratios; beside the bar, which would hide them.
                axis.scatter([i - 0.2] * len(values), np.exp(values), s=8, color=colour, alpha=0.5,
                             lw=0)  # fmt: skip
                mean, low, high = np.exp([tested.mean, tested.low, tested.high])
                axis.errorbar(i, mean, [[mean - low], [high - mean]],
                              fmt="o", color=colour, ms=5, capsize=3)  # fmt: skip
            axis.axhline(1, color="#000000", lw=0.8)
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.yaxis.set_minor_formatter(lambda value, _: "")
            axis.set_yticks([t for t in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50) if _seen(axis, t)])
            axis.set_xticks(range(len(phases)), phases, fontsize=7)
            axis.set_xlim(-0.5, len(phases) - 0.5)
            axis.set_title(label, fontsize=9)
        titled(figure, "Q1: do the unstable words settle in the second phase?")
        figure.text(
            0.01,
            0.01,
            f"{title}; {len(table)} seeds; words of equal frequency; bars: 95 % intervals",
            fontsize=7.5,
            color="#555555",
        )
        figure.subplots_adjust(left=0.07, right=0.985, top=0.82, bottom=0.16)
        save_csv(
            stem.with_suffix(".csv"), ("statistic", "phase", "seeds", "mean", "low", "high"), rows
        )
        return save_figure(figure, stem)
