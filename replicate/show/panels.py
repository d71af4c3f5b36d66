"""Figs 3-6 of the report: panels drawn from the CSV files of the figures, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ..config import PAPER
from ..io.files import read_csv
from .charts import KINDS, Level, Line, most_changing, panel
from .strings import Words

__all__ = [
    "ARM_KINDS",
    "DIFFERENCES",
    "FIG_3",
    "FIG_5",
    "FIG_6",
    "experiment",
    "panels",
    "read_sentences",
]

#: Columns of ``fig3.csv`` and ``fig4.csv``.
FIG_3 = ("seed", "sentence", "position", "word", "epoch", "saliency")
#: Columns of ``fig5.csv``.
FIG_5 = ("panel", "sentences", "epoch", "mean", "low", "high")
#: Columns of ``fig6.csv``.
FIG_6 = ("arm", "epoch", "mean", "low", "high")
#: Columns of ``fig6-differences.csv``.
DIFFERENCES = ("difference", "epoch", "mean", "low", "high")

#: Class of the colour of each arm, as in the figures.
ARM_KINDS = {
    "T2h": "orange",
    "T2l": "sky",
    "T1andT2h": "red",
    "T1andT2l": "blue",
    "T1andT2": "ink",
    "T1andT2ran": "green",
}
#: Fig. 5: the two kinds of sentences.
SENTENCE_KINDS = {"correct": "blue", "misclassified": "red"}

Row = dict[str, Any]
#: Words of a sentence, the epochs (E,), and the curves (E, words).
Sentence = tuple[list[str], np.ndarray, np.ndarray]


def panels(
    name: str,
    folder: Path,
    words: Words,
    epochs: int,
    seeds: int,
    levels: bool,
    sentences: Mapping[str, list[Sentence]] | None = None,
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Panels of a figure, and the key of their colours.

    Args:
        name: ``"fig3"`` … ``"fig6"``.
        folder: ``DIR/figures``.
        words: the page's language.
        epochs: of a phase, to which the paper's epochs are scaled.
        seeds: how many are finished.
        levels: draw the paper's levels of accuracy, which belong to its corpus.
        sentences: of :func:`read_sentences`, if they are read already.

    Returns:
        For each panel its title, drawing, and what stands there without a drawing; then
        pairs of a class and a name.  Both are empty where the CSV file is missing.

    Example:
        >>> made, _ = panels("fig6", Path("nowhere"), Words("en"), 50, 0, True)
        >>> made
        []
    """
    if not (folder / f"{name}.csv").exists():
        return [], []
    if name in ("fig3", "fig4"):
        sets = read_sentences(folder) if sentences is None else sentences
        return _words_panels(name, sets, words, 0.4 * epochs), []
    if name == "fig5":
        key = [(kind, words.plain(f"fig.{name}")) for name, kind in SENTENCE_KINDS.items()]
        return _change_panels(folder, words, seeds), key
    return _accuracy_panels(folder, words, epochs, seeds, levels), []


def _rows(place: Path, header: Sequence[str], numbers: Sequence[str]) -> list[Row]:
    return list(read_csv(place, header, dict.fromkeys(numbers, float)))


# --- Figs 3 and 4 ------------------------------------------------------------------------


def read_sentences(folder: Path) -> dict[str, list[Sentence]]:
    """The sentences of Figs 3 and 4: ``"fig3"`` and ``"fig4"`` -> sentences.

    Args:
        folder: ``DIR/figures``.

    Example:
        >>> read_sentences(Path("nowhere"))
        {'fig3': [], 'fig4': []}
    """
    return {name: _sentences(folder / f"{name}.csv") for name in ("fig3", "fig4")}


def _sentences(place: Path) -> list[Sentence]:
    if not place.exists():
        return []
    found: dict[str, dict[int, tuple[str, list[float], list[float]]]] = {}
    for row in _rows(place, FIG_3, ("epoch", "saliency")):
        own = found.setdefault(row["sentence"], {})
        _, at, values = own.setdefault(int(row["position"]), (row["word"], [], []))
        at.append(row["epoch"])
        values.append(row["saliency"])
    made = []
    for own in found.values():
        words = [own[i] for i in sorted(own)]
        made.append(
            (
                [word for word, _, _ in words],
                np.array(words[0][1]),
                np.array([v for _, _, v in words]).T,
            )
        )
    return made


def _words_panels(
    name: str, sets: Mapping[str, list[Sentence]], words: Words, upright: float
) -> list[dict[str, Any]]:
    both = [curves for found in sets.values() for _, _, curves in found]
    if not sets[name]:
        return [{"title": "", "drawing": "", "none": words("fig.no_sentence")}]
    # One scale for both figures: how much the curves move can be compared.
    low, high = min(c.min() for c in both), max(c.max() for c in both)
    pad = 0.04 * (high - low)
    made = []
    for texts, epochs, curves in sets[name]:
        kinds = dict(zip(most_changing(curves), KINDS))
        order = [i for i in range(len(texts)) if i not in kinds] + list(kinds)[::-1]
        lines = [
            Line(epochs, curves[:, i], kinds.get(i, "grey"), texts[i] if i in kinds else "")
            for i in order
        ]
        sentence = " ".join(texts)
        made.append(
            {
                "title": sentence,
                "quoted": True,
                "drawing": panel(
                    lines,
                    f"{words.plain(f'{name}.short')}: {sentence}",
                    (low - pad, high + pad),
                    height=230,
                    x_title=words.plain("js.epoch"),
                    y_title=words.plain("fig.standardised"),
                    right=88,
                    upright=upright,
                ),
            }
        )
    return made


# --- Fig. 5 ------------------------------------------------------------------------------


def _change_panels(folder: Path, words: Words, seeds: int) -> list[dict[str, Any]]:
    rows = _rows(folder / "fig5.csv", FIG_5, ("epoch", "mean", "low", "high"))
    made: list[dict[str, Any]] = []
    for title in dict.fromkeys(row["panel"] for row in rows):
        lines = []
        for name, kind in SENTENCE_KINDS.items():
            own = [r for r in rows if (r["panel"], r["sentences"]) == (title, name)]
            if own:
                x, y, low, high = ([r[n] for r in own] for n in ("epoch", "mean", "low", "high"))
                lines.append(Line(x, y, kind, "", low, high))
        top = max(max(*line.y, *line.high) for line in lines)
        shown, unit = _panel_title(title, words, seeds)
        drawing = panel(
            lines,
            shown,
            (0, 1.05 * top or 1.0),
            x_title=words.plain("js.epoch"),
            y_title=words.plain(unit),
        )
        made.append({"title": shown, "drawing": drawing})
    return made or [{"title": "", "drawing": "", "none": words("fig.one_kind")}]


def _panel_title(title: str, words: Words, seeds: int) -> tuple[str, str]:
    """The title of a panel of Fig. 5 in the page's language, and the key of its unit."""
    found = re.match(r"as in the paper: (\d+) against (\d+), seed (\d+)", title)
    if found:
        right, wrong, seed = found.groups()
        return (
            words.plain("fig5.panel.paper", right=right, wrong=wrong, seed=seed),
            "fig5.y.sum",
        )
    kind = "logit" if title.startswith("of the logit") else "all"
    return words.plain(f"fig5.panel.{kind}", seeds=seeds), "fig5.y.mean"


# --- Fig. 6 ------------------------------------------------------------------------------


def _accuracy_panels(
    folder: Path, words: Words, epochs: int, seeds: int, levels: bool
) -> list[dict[str, Any]]:
    rows = _rows(folder / "fig6.csv", FIG_6, ("epoch", "mean", "low", "high"))
    lines = []
    for arm, kind in ARM_KINDS.items():
        own = [r for r in rows if r["arm"] == arm]
        lines.append(Line([r["epoch"] for r in own], [r["mean"] for r in own], kind, arm))
    means = np.array([r["mean"] for r in rows])
    # The first epochs of a new model are far lower, and would flatten all else.
    low, high = max(means.min(), np.quantile(means, 0.04)), means.max()
    drawn: list[Level] = []
    if levels:
        reported = PAPER["levels"]
        low, high = min(low, *reported.values()), max(high, *reported.values())
        start, stop = (e * epochs / PAPER["epochs"] for e in PAPER["level_epochs"])
        for arm in ("T1andT2", "T1andT2h", "T2h"):
            # T2h and three more arms have one level.
            kind = "soft" if arm == "T2h" else ARM_KINDS[arm]
            text = words.plain("fig.level", level=reported[arm])
            drawn.append(Level(start, stop, reported[arm], kind, text))
    pad = max(0.06 * (high - low), 0.004)
    title = words.plain("fig6.panel.means", seeds=seeds)
    made = [
        {
            "title": title,
            "drawing": panel(
                lines,
                title,
                (low - pad, high + pad),
                height=330,
                x_title=words.plain("js.epoch"),
                y_title=words.plain("fig6.y"),
                right=88,
                levels=drawn,
            ),
        }
    ]
    return made + _difference_panels(folder / "fig6-differences.csv", words)


def _difference_panels(place: Path, words: Words) -> list[dict[str, Any]]:
    if not place.exists():
        return []
    rows = _rows(place, DIFFERENCES, ("epoch", "mean", "low", "high"))
    found = {
        name: [r for r in rows if r["difference"] == name]
        for name in dict.fromkeys(r["difference"] for r in rows)
    }
    means = 100 * np.array([r["mean"] for r in rows])
    ends = 100 * np.array([[r["low"], r["high"]] for r in rows])
    banded = bool(np.isfinite(ends).all())
    reach = np.abs(ends if banded else means)
    # One scale for the three; what lies far beyond the others is cut.
    top = max(1.2, min(float(reach.max()), 2.5 * float(np.quantile(reach, 0.8))))
    made = []
    for name, own in found.items():
        x = [r["epoch"] for r in own]
        y, low, high = ([100 * r[n] for r in own] for n in ("mean", "low", "high"))
        line = Line(x, y, "red", "", low if banded else (), high if banded else ())
        drawing = panel(
            [line],
            name,
            (-top, top),
            height=150,
            x_title=words.plain("js.epoch"),
            y_title=words.plain("fig6.points"),
            zero=True,
        )
        made.append({"title": name, "drawing": drawing})
    return made


def experiment(words: Words) -> dict[str, Markup]:
    """The small drawings of the steps of the experiment: name -> ``svg`` element.

    Args:
        words: the page's language.

    Example:
        >>> sorted(experiment(Words("en")))
        ['halves', 'record', 'train', 'words']
    """
    start = '<svg class="glyph" viewBox="0 0 120 52" aria-hidden="true">'
    texts = {
        # Words, a filter over three of them, features, the two labels.
        "train": "".join(f'<rect x="4" y="{4 + 9 * i}" width="34" height="6"/>' for i in range(5))
        + '<rect class="filter" x="2" y="11" width="38" height="27"/>'
        + '<path class="arrow" d="M44 25h14m-4 -4l4 4l-4 4"/>'
        + "".join(f'<circle cx="70" cy="{9 + 11 * i}" r="3.4"/>' for i in range(4))
        + '<path class="arrow" d="M80 25h12m-4 -4l4 4l-4 4"/>'
        + '<circle class="on" cx="104" cy="17" r="5"/><circle cx="104" cy="35" r="5"/>',
        "record": "".join(
            f'<rect class="{"on" if h > 25 else "off"}" x="{8 + 13 * i}" y="{46 - h}" width="9" height="{h}"/>'
            for i, h in enumerate((8, 12, 38, 6, 17, 10, 30, 14))
        ),
        "words": '<path class="stable" d="M4 44L14 14L24 30L34 21L44 25L56 23L70 24L86 23.5L116 24"/>'
        '<path class="unstable" d="M4 40L14 8L26 44L37 6L49 40L60 10L72 46L84 12L96 42L107 8L116 38"/>',
        "halves": '<rect class="all" x="6" y="4" width="30" height="44"/>'
        '<path class="arrow" d="M42 26h16m-4 -4l4 4l-4 4"/>'
        '<rect class="h" x="64" y="4" width="50" height="20"/><rect class="l" x="64" y="28" width="50" height="20"/>'
        '<text x="21" y="30">T2</text><text x="89" y="18">T2h</text><text x="89" y="42">T2l</text>',
    }
    legend = (
        f'<p class="glyph-key"><span class="unstable">{words("step.words.unstable")}</span> '
        f'<span class="stable">{words("step.words.stable")}</span></p>'
    )
    made = {name: Markup(start + text + "</svg>") for name, text in texts.items()}
    made["words"] += Markup(legend)
    return made
