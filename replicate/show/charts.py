"""Drawings of the report as SVG inside of the page: they follow its colours, light and dark.

Matplotlib's figures are files of their own.  These are made of the same CSV files,
and have text that a browser can search, and classes instead of colours.  A panel is
as wide as a phone, so that its labels can be read there; wide screens have several
beside one another.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

__all__ = ["KINDS", "REACH", "Level", "Line", "interval", "most_changing", "moved_apart", "panel"]

#: Classes of the colours of words, in order.
KINDS = ("blue", "orange", "green", "pink", "sky", "red", "ink")
#: Width of a panel, and of a letter, in units of the drawing.
WIDTH, LETTER = 360.0, 6.9
#: The picture of the claims ends here, in smallest effects that matter.
REACH = 7.0


@dataclass(frozen=True)
class Line:
    """A curve of a panel.

    Attributes:
        x, y: its points.
        kind: class of its colour.
        name: written at its end; nothing for a line without a name.
        low, high: band around it, as long as `y`.
    """

    x: Sequence[float] | NDArray[np.floating]
    y: Sequence[float] | NDArray[np.floating]
    kind: str
    name: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Level:
    """A dashed level of a panel, from `start` to `stop`, with its text beside the panel."""

    start: float
    stop: float
    height: float
    kind: str
    text: str


def most_changing(curves: NDArray[np.floating], number: int = 7) -> list[int]:
    """Columns whose curves lie farthest from their own means: the words that are named.

    Args:
        curves: (E, words).
        number: of columns, at most.

    Example:
        >>> most_changing(np.array([[0.0, 1.0, 5.0], [0.1, 3.0, 5.0]]), 2)
        [1, 0]
    """
    distance = np.abs(curves - curves.mean(axis=0)).sum(axis=0)
    return [int(i) for i in np.argsort(-distance, kind="stable")[:number]]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0.731, 0.784), ticks(1, 50)
        ([0.74, 0.75, 0.76, 0.77, 0.78], [10.0, 20.0, 30.0, 40.0, 50.0])
    """
    if not high > low:
        return [low]
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(m * power for m in (1, 2, 5, 10, 20) if (high - low) / (m * power) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]


def panel(
    lines: Sequence[Line],
    label: str,
    range_y: tuple[float, float],
    height: float = 220.0,
    x_title: str = "",
    y_title: str = "",
    right: float = 10.0,
    upright: float | None = None,
    zero: bool = False,
    levels: Sequence[Level] = (),
) -> Markup:
    """One panel of curves over epochs.

    Args:
        lines: the curves; later ones lie above earlier ones.
        label: what it shows, for screen readers.
        range_y: what the upright axis spans; curves are cut there.
        height: of the panel, which is :data:`WIDTH` wide.
        x_title, y_title: of the axes.
        right: room for names at the ends of the lines.
        upright: an epoch with a dashed line.
        zero: draw a line at 0.
        levels: dashed levels with a text.

    Returns:
        An ``svg`` element without colours, fonts or ids.

    Example:
        >>> line = Line([1, 2], [0.1, 0.2], "red", "<b>")
        >>> drawn = panel([line], "a test", (0, 0.3), right=60)
        >>> drawn.count("line k-red"), "&lt;b&gt;" in drawn, "<b>" in drawn
        (1, True, False)
    """
    left, top, bottom = 44.0, 20.0 if y_title else 8.0, 34.0
    wide, high = WIDTH - left - right, height - top - bottom
    ends = [x for line in lines for x in (line.x[0], line.x[-1])] or [0, 1]
    first, last = min(ends), max(ends)
    low, top_y = range_y
    span_x, span_y = (last - first) or 1, (top_y - low) or 1

    def x(value: float) -> float:
        return wide * (value - first) / span_x

    def y(value: float) -> float:
        return high * (1 - (value - low) / span_y)

    def path(xs: Iterable[float], ys: Iterable[float]) -> str:
        return "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in zip(xs, ys))

    made = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
    ]
    if y_title:
        made.append(f'<text class="title" x="0" y="11">{escape(y_title)}</text>')
    marks = ticks(low, top_y, max(3, int(high / 26)))
    digits = max((len(f"{mark:.6f}".rstrip("0").partition(".")[2]) for mark in marks), default=0)
    for mark in marks:
        at = top + y(mark)
        made.append(f'<path class="grid" d="M{left:.0f} {at:.1f}h{wide:.0f}"/>')
        text = f"{mark:.{digits}f}".replace("-", "−")
        made.append(f'<text class="y" x="{left - 6:.0f}" y="{at + 3.8:.1f}">{text}</text>')
    for mark in ticks(first, last):
        if mark == int(mark):
            at = left + x(mark)
            made.append(f'<text class="x" x="{at:.1f}" y="{height - 20:.0f}">{mark:.0f}</text>')
    if x_title:
        made.append(
            f'<text class="x" x="{left + wide / 2:.0f}" y="{height - 4:.0f}">{escape(x_title)}</text>'
        )
    # A drawing inside of the drawing cuts what lies outside of it, without an id.
    made.append(
        f'<svg x="{left:.0f}" y="{top:.0f}" width="{wide:.0f}" height="{high:.0f}" class="inside">'
    )
    if upright is not None:
        made.append(f'<path class="upright" d="M{x(upright):.1f} 0v{high:.0f}"/>')
    if zero:
        made.append(f'<path class="zero" d="M0 {y(0):.1f}h{wide:.0f}"/>')
    for line in lines:
        if len(line.low):
            back = path(list(line.x)[::-1], list(line.low)[::-1])
            made.append(
                f'<path class="band k-{line.kind}" d="M{path(line.x, line.high)}L{back}Z"/>'
            )
    for one in levels:
        ends_x = x(max(one.start, first)), x(min(one.stop, last))
        made.append(
            f'<path class="level k-{one.kind}" d="M{ends_x[0]:.1f} {y(one.height):.1f}H{ends_x[1]:.1f}"/>'
        )
    for line in lines:
        made.append(f'<path class="line k-{line.kind}" d="M{path(line.x, line.y)}"/>')
    made.append("</svg>")
    named = [(line.name, line.kind, y(line.y[-1])) for line in lines if line.name]
    named += [(one.text, one.kind, y(one.height)) for one in levels]
    made += _names(named, left + wide + 5, top, high, right - 6)
    return Markup("".join(made) + "</svg>")


def moved_apart(places: Sequence[float], step: float, high: float) -> list[float]:
    """Ascending places with a step between neighbours, none above the highest allowed.

    Example:
        >>> moved_apart([1.0, 1.2, 5.0], step=1.0, high=5.0)
        [1.0, 2.0, 5.0]
        >>> moved_apart([4.0, 4.5, 5.0], step=1.0, high=5.0)
        [3.0, 4.0, 5.0]
    """
    made = list(places)
    for i in range(1, len(made)):
        made[i] = max(made[i], made[i - 1] + step)
    if made and made[-1] > high:
        made[-1] = high
        for i in range(len(made) - 2, -1, -1):
            made[i] = min(made[i], made[i + 1] - step)
    return made


def _names(
    named: Sequence[tuple[str, str, float]], start: float, top: float, high: float, room: float
) -> list[str]:
    """Names (text, kind, place) at the ends of lines, moved apart so that none covers another."""
    named = sorted(named, key=lambda entry: entry[2])
    step = min(12.5, high / max(1, len(named)))
    places = moved_apart([min(max(place, 2.0), high - 2) for *_, place in named], step, high)
    return [
        f'<text class="name k-{kind}" x="{start:.0f}" y="{top + at + 3.8:.1f}">'
        f"{escape(fitting(text, room))}</text>"
        for (text, kind, _), at in zip(named, places)
    ]


def fitting(text: str, room: float) -> str:
    """As much of a name as fits; a lone punctuation mark is put in quotes.

    Example:
        >>> fitting("extraordinarily", 60), fitting(",", 60)
        ('extraor…', '“,”')
    """
    if not any(c.isalnum() for c in text):
        text = f"“{text}”"
    used, kept = 0.0, ""
    for character in text:
        used += LETTER * (2 if unicodedata.east_asian_width(character) in "WF" else 1)
        if used > room:
            return kept.rstrip()[:-1] + "…" if len(kept) > 1 else kept
        kept += character
    return kept


def interval(
    mean: float, low: float, high: float, reported: float | None, width: float = 220.0
) -> Markup:
    """A claim as a picture: our interval, the paper's figure, and what is too small to matter.

    Args:
        mean, low, high: of the effect, in smallest effects that matter; above 0 is the
            paper's side.
        reported: the paper's figure in the same unit; None where it has no figure.
        width: of the drawing.

    Returns:
        An ``svg`` element; what lies beyond :data:`REACH` ends in an arrow.

    Example:
        >>> drawn = interval(9.0, 8.0, 12.0, 2.0)
        >>> "arrow" in drawn, "paper" in drawn
        (True, True)
    """

    def x(value: float) -> float:
        return 6 + (width - 12) * (min(max(value, -REACH), REACH) + REACH) / (2 * REACH)

    made = [
        f'<svg class="interval" viewBox="0 0 {width:.0f} 20" aria-hidden="true">',
        f'<rect class="small" x="{x(-1):.1f}" y="0" width="{x(1) - x(-1):.1f}" height="20"/>',
        f'<path class="value" d="M{x(0):.1f} 0v20"/>',
    ]
    if reported is not None:
        made.append(f'<path class="paper" d="M{x(reported):.1f} 4.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>')
    if math.isfinite(low):
        made.append(f'<path class="reach" d="M{x(low):.1f} 10H{x(high):.1f}"/>')
    if math.isfinite(mean):
        if abs(mean) > REACH:
            at, side = x(mean), math.copysign(1.0, mean)
            made.append(
                f'<path class="ours arrow" d="M{at + 5 * side:.1f} 10l{-8 * side:.0f} -5v10z"/>'
            )
        else:
            made.append(f'<circle class="ours" cx="{x(mean):.1f}" cy="10" r="4"/>')
    return Markup("".join(made) + "</svg>")
