"""Figures 3-6 and Table 1 of a run, each with a CSV of exactly the numbers that it shows.

Equal results give equal bytes: files have no dates, and ids are fixed.  The colours
are those of Okabe and Ito, which colour-blind readers can distinguish.  An arm has
the same colour in every figure.
"""

import contextlib
import io
import logging
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .. import statistics
from ..config import ARMS, PAPER, generator
from ..inference import mean_interval
from ..instability import standardise
from ..io.files import atomic, save_csv
from ..run import Record, Run
from .charts import most_changing, moved_apart
from .panels import FIG_3, FIG_5, FIG_6
from .wording import seeds_counted

__all__ = [
    "ARM_COLOURS",
    "STYLE",
    "draw_figure_5",
    "draw_figures",
    "drawn_sentences",
    "save_figure",
    "styled",
]

#: The colour of each arm in every figure.
ARM_COLOURS = {
    "T1": "#999999",
    "T2h": "#E69F00",
    "T2l": "#56B4E9",
    "T1andT2h": "#D55E00",
    "T1andT2l": "#0072B2",
    "T1andT2": "#000000",
    "T1andT2ran": "#009E73",
}
CORRECT, WRONG = "#0072B2", "#D55E00"
WORD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")

#: Matplotlib settings of every figure.
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "replicate",
    "svg.fonttype": "path",
    "figure.dpi": 150,
    # A corpus and the name of a file may have dollar signs: they are no formulas.
    "text.parse_math": False,
}


#: Fonts of other scripts, for characters that Matplotlib's own font lacks.
FALLBACK = (
    *("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "VL Gothic"),
    *("Yu Gothic", "Hiragino Sans", "MS Gothic", "Noto Sans CJK SC", "WenQuanYi Zen Hei"),
    *("WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC", "Droid Sans Fallback"),
    *("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo"),
    *("Noto Sans Thai", "Noto Sans Devanagari", "Arial Unicode MS", "Unifont"),
)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own settings and :data:`STYLE`, whatever a user's matplotlibrc says.

    Characters that no font has are drawn as boxes, and the log says so once.
    """
    there = {font.name for font in fontManager.ttflist}
    with mpl.rc_context(), warnings.catch_warnings(record=True) as seen:
        warnings.filterwarnings("always", _LACKING, UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        mpl.rcParams["font.family"] = ["sans-serif", *(name for name in FALLBACK if name in there)]
        yield
    lacking = [one for one in seen if str(one.message).startswith(_LACKING)]
    for one in seen:
        if one not in lacking:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        logging.getLogger("replicate").warning(
            "figures: no font here has all characters of the words; those are drawn as boxes: "
            "install a font of their script, such as Noto Sans CJK"
        )


#: Beginning of Matplotlib's warning of a character that no font has.
_LACKING = "Glyph "


def draw_figures(run: Run, seeds: list[int] | None = None) -> list[Path]:
    """Draw Figs 3-6 and Table 1 from the finished seeds of a run, into ``DIR/figures``.

    Args:
        run: a run; without a finished seed nothing is drawn.
        seeds: the finished seeds, if they are known already.

    Returns:
        The paths of the PNG files.  Figs 3 and 4 need stored saliency, so a streaming
        run does not have them.

    Example:
        >>> [place.name for place in draw_figures(sample_run())]
        ['fig3.png', 'fig4.png', 'fig5.png', 'fig6.png']
    """
    seeds = run.finished_seeds() if seeds is None else seeds
    if not seeds:
        return []
    _table_1(run, seeds[0])
    drawn = []
    with styled():
        if run.options.stored:
            for number, wrong in ((3, False), (4, True)):
                drawn.append(_figure_words(run, seeds[0], run.figure(f"fig{number}"), wrong))
        drawn.append(draw_figure_5(run.title, _table_5(run, seeds), run.figure("fig5")))
        curves = {seed: run.accuracies(seed) for seed in seeds}
        drawn.append(_figure_6(run.title, curves, run.figure("fig6")))
    return drawn


def save_figure(figure: Figure, stem: Path) -> Path:
    """Write a figure as PNG and SVG, without dates, so that equal figures have equal bytes.

    Args:
        figure: the figure.
        stem: the path without suffix.

    Returns:
        The path of the PNG file.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_figure(Figure(), Path(folder) / "empty").name
        'empty.png'
    """
    png, svg = io.BytesIO(), io.BytesIO()
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
    for suffix, data in ((".png", png), (".svg", svg)):
        with atomic(stem.with_suffix(suffix)) as file:
            file.write(data.getvalue())
    return stem.with_suffix(".png")


def titled(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def over_epochs(axis: Axes, label: str = "epoch") -> None:
    axis.set_xlabel(label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def caption(figure: Figure, text: str) -> None:
    figure.text(0.01, 0.005, text, fontsize=7, color="#666666", ha="left", va="bottom")


def _table_1(run: Run, seed: int) -> None:
    rows = [(name, PAPER["sizes"][name], size) for name, size in run.sizes(seed).items()]
    save_csv(run.figure("table1").with_suffix(".csv"), ("subset", "paper", "ours"), rows)


# --- Figs 3 and 4 ----------------------------------------------------------------


def drawn_sentences(
    record: Record, seed: int, wrong: bool, number: int = 3, shortest: int = 15, longest: int = 25
) -> NDArray[np.intp]:
    """Positions in T1 of the sentences that Figs 3 and 4 show.

    Args:
        record: the record of the seed's first phase.
        seed: the run's seed, from which the draw's generator is made.
        wrong: draw from the misclassified sentences, else from the correctly classified.
        number: how many sentences to draw.
        shortest, longest: limits of their number of words, ignored if no sentence fits.

    Returns:
        Up to `number` positions, sorted.

    Example:
        >>> drawn_sentences(sample_run().record(0), seed=0, wrong=False).shape
        (3,)
    """
    kind = ~record.correct if wrong else record.correct
    fitting = kind & (record.lengths >= shortest) & (record.lengths <= longest)
    places = np.flatnonzero(fitting if fitting.any() else kind)
    random = generator("figures 3 and 4", seed, int(wrong))
    return np.sort(random.permutation(places)[:number])


def _figure_words(run: Run, seed: int, stem: Path, wrong: bool) -> Path:
    """Figs 3 and 4: standardised saliency of every word of three sentences, epoch by epoch."""
    corpus, config, record = run.corpus, run.config, run.record(seed)
    t1, _, _ = run.split(seed)
    tokens, offsets = corpus.take(t1)
    places = drawn_sentences(record, seed, wrong)
    epochs = record.epochs
    parts = [np.arange(offsets[p], offsets[p + 1]) for p in places]
    curves = _standardised(record.saliency, parts, config.standardised_over)
    height = 2.5 * max(1, len(parts)) + 0.8
    figure = Figure(figsize=(8.0, height))
    axes = figure.subplots(max(1, len(parts)), 1, sharex=True, squeeze=False)[:, 0]
    table = []
    for axis, place, part, curve in zip(axes, places, parts, curves):
        words = corpus.words[tokens[part]]
        last = curve[-1]
        shown = set(most_changing(curve))
        colours = iter(WORD_COLOURS)
        labels = []
        for i, word in enumerate(words):
            bold = i in shown
            colour = next(colours) if bold else "#BBBBBB"
            axis.plot(
                epochs, curve[:, i], color=colour, lw=1.3 if bold else 0.7, zorder=3 if bold else 2
            )
            if bold:
                labels.append((last[i], word, colour))
            table += [
                (seed, int(t1[place]), i, word, int(e), float(v))
                for e, v in zip(epochs, curve[:, i])
            ]
        _label_ends(axis, epochs[-1], labels)
        # The paper sees large changes up to epoch 20 of its 50.
        axis.axvline(0.4 * config.epochs, color="#777777", lw=1, ls=(0, (4, 3)), zorder=1)
        axis.set_ylabel("standardised saliency")
        axis.set_title(textwrap.fill(" ".join(words), 105), fontsize=7.5)
    over_epochs(axes[-1])
    kind = "misclassified" if wrong else "correctly classified"
    if not parts:
        axes[0].text(
            0.5, 0.5, f"no {kind} sentence in T1", transform=axes[0].transAxes, ha="center"
        )
    number = 4 if wrong else 3
    titled(figure, f"Fig. {number}: word saliency of three {kind} sentences")
    whole = PAPER["epochs"]
    of = "" if config.epochs == whole else f" of {config.epochs} (epoch 20 of the paper's {whole})"
    caption(
        figure,
        f"{run.title}; seed {seed}\nstandardised within each epoch over "
        f"{_STANDARDISED[config.standardised_over]}; the seven words that change most are named\n"
        f"dashed: epoch {0.4 * config.epochs:g}{of}, up to which the paper sees large changes",
    )
    figure.subplots_adjust(
        left=0.09, right=0.86, top=1 - 0.75 / height, bottom=0.9 / height, hspace=0.32
    )
    save_csv(
        stem.with_suffix(".csv"),
        FIG_3,
        table,
    )
    return save_figure(figure, stem)


#: Reading ``standardised_over`` -> the set in words.
_STANDARDISED = {
    "sentence": "the sentence",
    "extracted": "the sentences shown",
    "T1": "all of T1",
}


def _standardised(
    saliency: NDArray[np.float32] | None, parts: list[NDArray[np.integer]], over: str
) -> list[NDArray[np.floating]]:
    """(E, words) for each sentence, standardised within each epoch over a set of words."""
    if saliency is None or not parts:
        return []
    joined = np.concatenate(parts)
    bounds = np.concatenate([[0], np.cumsum([len(p) for p in parts])])
    made = []
    for row in saliency:
        if over == "T1":
            values = standardise(np.asarray(row))[joined]
        else:
            values = standardise(np.asarray(row)[joined], bounds if over == "sentence" else None)
        made.append(values)
    whole = np.array(made)
    return [whole[:, a:b] for a, b in zip(bounds[:-1], bounds[1:])]


def _label_ends(
    axis: Axes, x: float, labels: list[tuple[float, str, str]], gap: float = 0.075
) -> None:
    """Write names at the ends of lines, moved apart so that no name covers another.

    Args:
        axis: the axes that the lines are on.
        x: where the lines end.
        labels: height, name and colour of each line.
        gap: smallest distance of two names, as a share of the axis.
    """
    low, high = axis.get_ylim()
    step = gap * (high - low)
    labels.sort(key=lambda entry: entry[0])
    heights = moved_apart([value for value, _, _ in labels], step, high)
    for height, (value, text, colour) in zip(heights, labels):
        # A lone punctuation mark would be hard to see.
        text = text if any(c.isalnum() for c in text) else f"“{text}”"
        axis.annotate(
            text, (x, value), xytext=(1.015, (height - low) / (high - low)),
            textcoords=axis.transAxes, color=_ink(colour), fontsize=7.5, va="center",
            # The line starts at the left end of the name.
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "relpos": (0, 0.5)},
            annotation_clip=False,
        )  # fmt: skip


def _ink(colour: str) -> tuple[float, float, float]:
    """A darker colour, for small text on white: its contrast is 4.5 or more."""
    red, green, blue = to_rgb(colour)
    return 0.62 * red, 0.62 * green, 0.62 * blue


# --- Figs 5 and 6 ------------------------------------------------------------------


def band(
    curves: Sequence[NDArray[np.floating]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean over seeds and its 95 % interval, at every epoch by itself.

    Args:
        curves: S arrays (E,).

    Returns:
        Mean, low and high, each (E,) float64.  With fewer than three seeds, low and
        high equal the mean.

    Example:
        >>> mean, low, high = band([np.array([0.1]), np.array([0.3])])
        >>> mean.tolist() == low.tolist() == high.tolist() == [0.2]
        True
    """
    values = np.array(curves)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=min(1, len(values) - 1))
    low, high = mean_interval(mean, deviation, len(values))
    return mean, np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)


def _table_5(run: Run, seeds: list[int]) -> list[tuple[Any, ...]]:
    """Rows of Fig. 5: change of saliency, correctly classified against misclassified."""
    first = run.record(seeds[0])
    drawn, change_epochs = statistics.drawn_hundred(first.correct, seeds[0]), first.change_epochs
    hundred = [_pair_5(first, "raw", drawn)]
    del first
    # A record maps seven files, and the system lets a process open about a thousand: the
    # curves are kept, and one record at a time.
    pairs = [_pairs_5(run.record(seed)) for seed in seeds]
    every = seeds_counted(len(seeds))
    panels = [
        (f"as in the paper: {len(drawn[0])} against {len(drawn[1])}, seed {seeds[0]}", hundred),
        (f"all sentences of T1, {every}", [raw for raw, _ in pairs]),
        (f"of the logit difference, {every}", [logit for _, logit in pairs]),
    ]
    table = []
    for panel, found in panels:
        both = [pair for pair in found if pair is not None]
        for i, name in enumerate(SENTENCES_5 if both else ()):
            curves = [pair[i] * (len(drawn[i]) if found is hundred else 1) for pair in both]
            columns = (change_epochs, *band(curves))
            table += [(panel, name, int(e), *map(float, row)) for e, *row in zip(*columns)]
        if not both:
            table.append((panel, "", 0, *[float("nan")] * 3))
    return table


#: Mean change of the correctly classified and of the misclassified sentences, (E - 1,) each.
_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def _pairs_5(record: Record) -> tuple[_Pair | None, _Pair | None]:
    """Curves of one seed over all sentences: of the saliency, and of the logit difference."""
    return _pair_5(record, "raw"), _pair_5(record, "logit")


def _pair_5(record: Record, kind: str, chosen: Any = None) -> _Pair | None:
    """Curves of one seed; None if one kind of sentence is missing."""
    if not record.correct.any() or record.correct.all():
        return None
    return statistics.change_curves(record, kind, chosen)


#: What Fig. 5 compares: sentences -> colour.
SENTENCES_5 = {"correct": CORRECT, "misclassified": WRONG}


def draw_figure_5(title: str, table: list[tuple[Any, ...]], stem: Path) -> Path:
    """Draw Fig. 5 from its own table, and write both.

    Args:
        title: vectors, shown below.
        table: rows of panel, sentences, epoch, mean, low, high; a panel without
            misclassified sentences has one row without sentences.
        stem: path without suffix.

    Returns:
        The PNG.
    """
    figure = Figure(figsize=(10.5, 3.9))
    axes = figure.subplots(1, 3)
    for axis, panel in zip(axes, dict.fromkeys(row[0] for row in table)):
        for name, colour in SENTENCES_5.items():
            rows = [row[2:] for row in table if row[:2] == (panel, name)]
            if rows:
                epochs, mean, low, high = np.array(rows).T
                axis.plot(epochs, mean, color=colour, lw=1.6, label=name)
                axis.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0)
        if axis.lines:
            axis.legend(loc="upper left")
        else:
            axis.text(
                0.5, 0.5, "one kind of sentence is missing", transform=axis.transAxes, ha="center"
            )
        axis.set_title(panel, fontsize=9)
        over_epochs(axis, "epoch n + 1 of the change n → n + 1")
        axis.set_ylim(bottom=0)
        # Leave room for the legend above the lines.
        axis.set_ylim(top=axis.get_ylim()[1] * 1.15)
    axes[0].set_ylabel("|change|, sum over all words")
    axes[1].set_ylabel("|change| per sentence, mean")
    titled(figure, "Fig. 5: change of word saliency from epoch to epoch")
    caption(figure, f"{title}; bands: 95 % intervals of the mean at each epoch")
    figure.subplots_adjust(left=0.065, right=0.99, top=0.83, bottom=0.17, wspace=0.3)
    save_csv(stem.with_suffix(".csv"), FIG_5, [row for row in table if row[1]])
    return save_figure(figure, stem)


def _figure_6(title: str, curves: dict[int, dict[str, np.ndarray]], stem: Path) -> Path:
    """Fig. 6: accuracy of the six models on T3, with the paper's levels."""
    seeds = list(curves)
    figure = Figure(figsize=(8.4, 4.8))
    axis = figure.subplots()
    table, labels = [], []
    for i, arm in enumerate(ARMS[1:]):
        epochs = curves[seeds[0]][arm][:, 0]
        mean, low, high = band([curves[seed][arm][:, 1] for seed in seeds])
        colour = ARM_COLOURS[arm]
        axis.plot(epochs, mean, color=colour, lw=1.5, zorder=3)
        # Six bands would cover one another: draw bars side by side instead.
        some = np.unique(np.linspace(len(epochs) / 5, len(epochs), 5).round().astype(int)) - 1
        aside = epochs[some] + (i - 2.5) * 0.012 * epochs[-1]
        axis.vlines(aside, low[some], high[some], color=colour, lw=1.2, alpha=0.75)
        labels.append((mean[-1], arm, colour))
        table += [
            (arm, int(e), float(m), float(a), float(b))
            for e, m, a, b in zip(epochs, mean, low, high)
        ]
    top = epochs[-1]
    scale = top / PAPER["epochs"]
    start, stop = (e * scale for e in PAPER["level_epochs"])
    levels = PAPER["levels"]
    for name, arm in (("T1andT2", "T1andT2"), ("T1andT2h", "T1andT2h"), ("the others", "T2h")):
        level = levels[arm]
        colour = ARM_COLOURS.get(name, "#777777")
        axis.plot([start, stop], [level, level], color=colour, lw=1.2, ls=(0, (4, 2)))
        # Text above the line; for the lowest line below it, because the others may be close.
        side, edge = (-2, "top") if name == "the others" else (2, "bottom")
        axis.annotate(
            f"paper: {name} {level}", (start, level), xytext=(0, side), textcoords="offset points",
            ha="left", va=edge, fontsize=7, color=_ink(colour), zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.85},
        )  # fmt: skip
    # The first epochs of a new model are far lower, and would flatten everything else.
    means = np.array([row[2] for row in table])
    axis.set_ylim(
        max(means.min(), np.quantile(means, 0.02)) - 0.01,
        max(means.max(), *levels.values()) + 0.012,
    )
    _label_ends(axis, top, labels, gap=0.045)
    over_epochs(axis)
    axis.set_ylabel("accuracy on T3")
    titled(figure, "Fig. 6: accuracy of the models of the second phase")
    caption(
        figure,
        f"{title}; mean of {seeds_counted(len(seeds))}\nbars, shifted sideways: 95 % intervals of the mean",
    )
    figure.subplots_adjust(left=0.08, right=0.86, top=0.91, bottom=0.155)
    save_csv(stem.with_suffix(".csv"), FIG_6, table)
    return save_figure(figure, stem)
