"""Draw whether saliency is to be trusted, and could choosing pay, on several corpora.

Usage: python tools/elsewhere.py

``results/corpora/elsewhere.png`` has a panel for each measure of ``readme.ELSEWHERE``, which
also makes the table of ``docs/corpora.md``: both show the same numbers.
"""

import sys
import textwrap
from pathlib import Path

import collect
import readme
from matplotlib.figure import Figure

from replicate.show import forest
from replicate.show.figures import styled

PLACE = readme.RESULTS / "corpora" / "elsewhere.png"
#: Readings of one panel, told apart by the colour-blind too; the marks differ for printers.
COLOURS, MARKS = (*forest.COLOURS, "#009E73"), "osD"
COLUMNS = 5
#: Of a line of a title.
LETTERS = 30


def drawn(ax, title, form, places):
    """One panel: a row for each corpus, in it a mean and its interval for each reading."""
    factor, _ = readme.parted(form)
    for number, (reading, place) in enumerate(places.items()):
        below = 0.24 * (number - (len(places) - 1) / 2)
        for row, (mean, low, high) in enumerate(readme.measured_elsewhere(place).values()):
            mean, low, high = (factor * float(value) for value in (mean, low, high))
            ax.plot([low, high], [row + below] * 2, color=COLOURS[number], lw=1.6, alpha=0.75)
            ax.plot(
                mean, row + below, MARKS[number], color=COLOURS[number], ms=4.5, mec="white",
                mew=0.6, label=reading if row == 0 else None,
            )  # fmt: skip
    low, high = ax.get_xlim()
    if "+" in form:
        ax.axvline(0, color="#888888", lw=0.8, zorder=1)
    else:
        ax.set_xlim(0, high)
    ax.set_yticks(range(len(readme.CORPORA)), readme.CORPORA.values())
    ax.set_ylim(len(readme.CORPORA) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.set_title(textwrap.fill(title, LETTERS), fontsize=8.5, loc="left")
    ax.tick_params(labelsize=7.5)
    ax.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.11), fontsize=7, frameon=False,
        handlelength=1, labelspacing=0.25, borderpad=0,
    )  # fmt: skip


def main(place=PLACE):
    """Draw the picture."""
    rows = -(-len(readme.ELSEWHERE) // COLUMNS)
    with styled():
        figure = Figure(figsize=(11, 3.1 * rows))
        axes = figure.subplots(rows, COLUMNS, sharey=True)
        for ax, (title, (form, places)) in zip(axes.flat, readme.ELSEWHERE.items(), strict=True):
            drawn(ax, title, form, places)
        figure.subplots_adjust(left=0.06, right=0.985, top=0.92, bottom=0.12, hspace=0.75)
        Path(place).parent.mkdir(exist_ok=True)
        figure.savefig(place, dpi=140)
    collect.smaller(place)


if __name__ == "__main__":
    sys.exit(main())
