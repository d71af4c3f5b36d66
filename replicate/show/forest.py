"""Verdicts as pictures: every part of every claim in one forest, and one difference as a curve.

Each picture has the CSV of exactly what it draws.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..inference import simultaneous_band
from ..io.files import save_csv
from ..run import Run
from ..verdicts import Judged, Verdict
from .figures import over_epochs, save_figure, styled, titled
from .panels import DIFFERENCES
from .wording import shown_number

__all__ = ["PAIRS", "difference", "differences", "draw", "forest"]

#: One colour for each set of verdicts, told apart by the colour-blind too.
COLOURS = ("#0072B2", "#D55E00")
#: The axis ends here, in smallest effects of interest; what lies beyond has an arrow.
REACH = 9.0
#: Single runs in the curve of a difference.
SINGLE_RUNS = 20
#: A level is rounded to two digits; a difference of two levels is rounded twice.
ROUNDING = {"level": 0.005, "points": 0.01}

#: What Fig. 6 asks: the paper's half of T2 against the other, a random one, and all of T2.
PAIRS = (("T1andT2h", "T1andT2l"), ("T1andT2h", "T1andT2ran"), ("T1andT2h", "T1andT2"))

FOREST = (
    "set", "id", "part", "statistic", "seeds", "smallest", "reported", "mean", "low", "high",
    "run_low", "run_high", "verdict",
)  # fmt: skip


def draw(run: Run, verdicts: Sequence[Verdict], seeds: Sequence[int]) -> None:
    """Both pictures of a run, into ``DIR/figures``; nothing without a finished seed.

    Args:
        run: where to.
        verdicts: of :func:`replicate.verdicts.judge`.
        seeds: those that are finished.
    """
    if not seeds:
        return
    forest({run.title: verdicts}, run.figure("forest"))
    curves = {seed: run.accuracies(seed) for seed in seeds}
    difference(run.title, curves, run.figure("difference"))
    differences(curves, run.figure("fig6-differences"))


def forest(
    found: Mapping[str, Sequence[Verdict]],
    stem: Path,
    heading: str = "Where the mean of every claim's parts lies",
) -> Path:
    """Every part that is measured: where its mean lies, and what that means.

    All numbers are in smallest effects of interest, so that one grey band is the
    effects too small to matter, of every row.

    Args:
        found: title -> verdicts of :func:`replicate.verdicts.judge`; two sets at most.
        stem: path without suffix for PNG, SVG and CSV.
        heading: of the picture.

    Returns:
        The PNG.
    """
    rows: dict[tuple[str, str], list[tuple[int, Judged]]] = {}
    for number, verdicts in enumerate(found.values()):
        for verdict in verdicts:
            if verdict.verdict == "not applicable":
                continue
            for judged in verdict.parts:
                if judged.seeds:
                    rows.setdefault((verdict.claim.id, judged.part.title), []).append(
                        (number, judged)
                    )
    titles = list(found)
    height = 0.21 * sum(map(len, rows.values())) + 1.7
    table = []
    with styled():
        figure = Figure(figsize=(10, height))
        axis = figure.subplots()
        axis.axvspan(-1, 1, color="#E3E3E3", lw=0, zorder=0)
        axis.axvline(0, color="#888888", lw=0.8, zorder=1)
        y, ticks, labels = 0.0, [], []
        for (claim, title), sets in rows.items():
            ticks.append(y + (len(sets) - 1) / 2)
            beside = " (beside)" if sets[0][1].part.beside else ""
            labels.append(f"{claim}: {title}{beside}")
            for number, judged in sets:
                _draw_part(axis, y, judged, COLOURS[number])
                table.append(_row(titles[number], claim, judged))
                y += 1
            axis.axhline(y - 0.5, color="#EEEEEE", lw=0.6, zorder=0)
        axis.set_yticks(ticks, labels, fontsize=7)
        axis.set_ylim(max(y, 1) - 0.5, -0.7)
        axis.set_xlim(-REACH, REACH)
        axis.grid(visible=False)
        axis.set_xlabel("in smallest effects of interest; right: the paper's side")
        figure.suptitle(
            heading,
            x=0.01, y=1 - 0.08 / height, ha="left", va="top", fontsize=11,
        )  # fmt: skip
        for number, title in enumerate(titles):
            figure.text(
                0.01, 1 - (0.36 + 0.17 * number) / height, f"● {title}",
                color=COLOURS[number], fontsize=7.5, va="top",
            )  # fmt: skip
        figure.text(
            0.01, 0.006,
            "grey: too small to matter; diamond: the paper's figure, with its rounding; dot: our mean; "
            "thick: interval that decides;\nthin: where one more run lies (95 %); ticks: single runs",
            fontsize=7, color="#666666", ha="left", va="bottom",
        )  # fmt: skip
        figure.subplots_adjust(
            left=0.3, right=0.77, top=1 - (0.5 + 0.17 * len(titles)) / height, bottom=0.85 / height
        )
        save_csv(stem.with_suffix(".csv"), FOREST, table)
        return save_figure(figure, stem)


def _row(title: str, claim: str, judged: Judged) -> list:
    part = judged.part
    reported = "" if part.reported is None else part.reported
    about = [title, claim, part.title, part.statistic, judged.seeds, part.smallest, reported]
    return [*about, *judged.on_scale, judged.verdict]


def _draw_part(axis, y: float, judged: Judged, colour: str) -> None:
    part, unit = judged.part, judged.part.smallest
    mean, low, high, run_low, run_high = np.array(judged.on_scale) / unit
    runs = judged.effects / unit
    inside = runs[np.abs(runs) <= REACH]
    axis.vlines(inside, y + 0.18, y + 0.38, color=colour, lw=0.5, alpha=0.45)
    if np.isfinite(low):
        axis.hlines(y, *np.clip([run_low, run_high], -REACH, REACH), color=colour, lw=0.8)
        axis.hlines(y, *np.clip([low, high], -REACH, REACH), color=colour, lw=3.0, alpha=0.85)
    marker = "o" if abs(mean) <= REACH else ">" if mean > 0 else "<"
    at = float(np.clip(mean, -REACH, REACH))
    axis.plot([at], [y], marker, color=colour, ms=4.5, mec="white", mew=0.6, zorder=4,
              clip_on=False)  # fmt: skip
    if part.reported is not None:
        rounding = ROUNDING[part.scale] / unit
        figure = part.reported / unit
        axis.hlines(y, figure - rounding, figure + rounding, color="#000000", lw=0.7, zorder=3)
        axis.plot([figure], [y], "D", color="#000000", ms=3.2, zorder=3)
    text = f"{shown_number(part, judged.mean)}: {judged.verdict}"
    axis.text(1.01, y, text, transform=axis.get_yaxis_transform(), fontsize=7, va="center",
              color=colour)  # fmt: skip


def difference(
    title: str,
    curves: Mapping[int, Mapping[str, np.ndarray]],
    stem: Path,
    first: str = "T1andT2h",
    second: str = "T1andT2l",
) -> Path:
    """Accuracy of one arm less another at every epoch: mean, band, and single runs (O1, H).

    Args:
        title: of the word vectors.
        curves: seed -> arm -> (epochs, 2 or more) of epoch, accuracy.
        stem: path without suffix for PNG, SVG and CSV.
        first, second: arms.

    Returns:
        The PNG.
    """
    seeds = list(curves)
    epochs = curves[seeds[0]][first][:, 0]
    values = np.array([c[first][:, 1] - c[second][:, 1] for c in curves.values()])
    mean = values.mean(axis=0)
    low, high = simultaneous_band(values)
    table = []
    with styled():
        figure = Figure(figsize=(8.4, 4.2))
        axis = figure.subplots()
        for seed, run in list(zip(seeds, values))[:SINGLE_RUNS]:
            axis.plot(epochs, 100 * run, color="#BBBBBB", lw=0.6, zorder=1)
            table += [(f"seed {seed}", int(e), float(v)) for e, v in zip(epochs, run)]
        if np.isfinite(low).all():
            axis.fill_between(epochs, 100 * low, 100 * high, color=COLOURS[0], alpha=0.3, lw=0)
        axis.plot(epochs, 100 * mean, color=COLOURS[0], lw=1.8, zorder=3)
        axis.axhline(0, color="#000000", lw=0.8)
        for name, line in (("mean", mean), ("low", low), ("high", high)):
            table += [(name, int(e), float(v)) for e, v in zip(epochs, line)]
        over_epochs(axis)
        axis.set_ylabel("difference, points of accuracy")
        # The first epochs of a fresh model lie far away: they would flatten all else.
        ends = 100 * np.quantile(values, [0.005, 0.995])
        axis.set_ylim(min(ends[0], -1) - 0.5, max(ends[1], 1) + 0.5)
        titled(figure, f"{first} − {second} on T3")
        one = min(len(seeds), SINGLE_RUNS)
        figure.text(
            0.01, 0.006,
            f"{title}\nblue: mean of {len(seeds)} seeds with a band that holds at all epochs at once "
            f"(95 %); grey: {one} single runs",
            fontsize=7, color="#666666", ha="left", va="bottom",
        )  # fmt: skip
        figure.subplots_adjust(left=0.095, right=0.98, top=0.9, bottom=0.19)
        save_csv(stem.with_suffix(".csv"), ("line", "epoch", "difference"), table)
        return save_figure(figure, stem)


def differences(
    curves: Mapping[int, Mapping[str, np.ndarray]],
    stem: Path,
    pairs: Sequence[tuple[str, str]] = PAIRS,
) -> Path:
    """Write the differences of accuracy over epochs that the report draws beside Fig. 6.

    Args:
        curves: seed -> arm -> (epochs, 2 or more) of epoch, accuracy.
        stem: path without suffix.
        pairs: arms, the second of which is subtracted.

    Returns:
        The CSV file: mean, and the band that holds at all epochs at once; NaN with fewer
        than three seeds.

    Example:
        >>> curves = {0: {"a": np.array([[1, 0.75]]), "b": np.array([[1, 0.5]])}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     place = differences(curves, Path(folder) / "d", [("a", "b")])
        ...     place.read_text(encoding="utf-8").splitlines()
        ['difference,epoch,mean,low,high', 'a − b,1,0.25,nan,nan']
    """
    table = []
    for first, second in pairs:
        epochs = next(iter(curves.values()))[first][:, 0]
        values = np.array([c[first][:, 1] - c[second][:, 1] for c in curves.values()])
        low, high = simultaneous_band(values)
        table += [
            (f"{first} − {second}", int(e), float(m), float(a), float(b))
            for e, m, a, b in zip(epochs, values.mean(axis=0), low, high)
        ]
    save_csv(stem.with_suffix(".csv"), DIFFERENCES, table)
    return stem.with_suffix(".csv")
