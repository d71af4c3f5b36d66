"""Draw the README's picture, the experiment and its outcome, from ``results/``.

Usage: python tools/picture.py

`results/experiment.svg` has no number of its own: sizes are the paper's
(``config.PAPER``), curves and intervals are those of the runs of 200 seeds.
"""

from collections import defaultdict
from xml.sax.saxutils import escape

import numpy as np
from readme import RESULTS, rows_of

from replicate.config import PAPER
from replicate.io.files import save_text

#: Run -> its name in the picture, and its colour.
RUNS = {
    "calibrated-googlenews-31530": ("calibrated", "#0072b2"),
    "as-written-googlenews-31530": ("as written", "#d55e00"),
}
MAIN = next(iter(RUNS))
#: The longest word that there is room for beside its curve.
LETTERS = 9
INK, SOFT, LINE, CARD = "#1f2933", "#52606d", "#cbd2d9", "#f5f7fa"
STEADY, UNSTABLE = "#52606d", "#b3261e"


def text(x, y, words, size=14, color=INK, weight="400", anchor="start"):
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def lines(x, y, *many, **how):
    """Lines of text below one another."""
    return "".join(text(x, y + 19 * place, words, **how) for place, words in enumerate(many))


def box(x, y, width, height, fill, line="none", round_by=4):
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_by}" '
        f'fill="{fill}" stroke="{line}"/>'
    )


def curve(x, y, values, color, width=2.0):
    """A curve through points of the page."""
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y(np.asarray(values))))
    return (
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}" '
        'stroke-linejoin="round"/>'
    )


def two_words():
    """Of Fig. 3's sentences: the least steady word, and the steadiest in its sentence."""
    found = defaultdict(list)
    for row in rows_of(f"{MAIN}/figures/fig3.csv.gz"):
        found[row["sentence"], row["position"], row["word"]].append(float(row["saliency"]))
    short = [key for key in found if key[2].isalpha() and len(key[2]) <= LETTERS]
    jumps = {key: np.var(np.diff(found[key])) for key in short}
    unstable = max(jumps, key=jumps.get)
    steady = min((key for key in jumps if key[0] == unstable[0]), key=jumps.get)
    return (steady[2], found[steady]), (unstable[2], found[unstable])


def steps():
    """The four steps of the experiment, as cards in a row."""
    made = []
    titles = ("1  Learn", "2  Watch", "3  Choose", "4  Compare")
    for place, title in enumerate(titles):
        x = 20 + 236 * place
        made += [box(x, 44, 212, 206, CARD, LINE, 8), text(x + 14, 70, title, 16, weight="700")]
        if place:
            made.append(text(x - 12, 152, "›", 24, SOFT, anchor="middle"))
    sizes = PAPER["sizes"]
    parts = {
        "T1": sizes["T1"], "T2": sizes["T2h"] + sizes["T2l"], "T3": sizes["T3"],
    }  # fmt: skip
    made.append(lines(34, 94, "A CNN learns T1, for", "50 epochs", color=SOFT))
    x = 34.0
    for (name, size), fill in zip(parts.items(), ("#9fb3c8", "#bcccdc", "#d9e2ec")):
        width = 184 * size / sum(parts.values())
        made += [
            box(x, 134, width - 2, 44, fill),
            text(x + width / 2 - 1, 161, name, 14 if width > 30 else 11, anchor="middle"),
        ]
        x += width
    made += [
        lines(
            34,
            200,
            f"{sum(parts.values()):,} review sentences;",
            "T3 is for the test",
            color=SOFT,
            size=13,
        )
    ]
    made.append(lines(270, 94, "After each epoch: how", "much does a word matter?", color=SOFT))
    for place, ((word, values), color) in enumerate(zip(two_words(), (STEADY, UNSTABLE))):
        low, high = min(values), max(values)
        top, height = 130 + 54 * place, 40
        spread = max(high - low, 2.0)

        def y(v, top=top, low=low, spread=spread, height=height):
            return top + height - height * (v - low) / spread

        made += [
            curve(np.linspace(270, 372, len(values)), y, values, color, 1.6),
            text(380, top + 18, word, 13, color, "600"),
            text(380, top + 34, ("steady", "unstable")[place], 12, color),
        ]
    made.append(lines(506, 94, "T2’s sentences, sorted by", "how unstable words are", color=SOFT))
    for place in range(14):
        half = place < 7
        made.append(
            box(
                506, 130 + 8 * place, 96 - 5 * place, 5, UNSTABLE if half else "#9fb3c8", round_by=2
            )
        )
    made += [
        text(612, 160, "T2h", 14, UNSTABLE, "700"), text(612, 176, "upper half", 12, SOFT),
        text(612, 214, "T2l", 14, INK, "700"), text(612, 230, "lower half", 12, SOFT),
    ]  # fmt: skip
    made.append(lines(742, 94, "New models: T1 and …", "Which is best on T3?", color=SOFT))
    for place, (name, about) in enumerate(
        [("T2h", ""), ("T2l", ""), ("T2ran", "a random half"), ("T2", "all of it")]
    ):
        y = 130 + 28 * place
        fill = UNSTABLE if name == "T2h" else "#627d98"
        made += [
            box(742, y, 62, 22, fill, round_by=11),
            text(773, y + 16, name, 13, "#ffffff", "600", "middle"),
            text(
                814,
                y + 16,
                about or ("unstable words" if name == "T2h" else "the others"),
                12,
                SOFT,
            ),
        ]
    return made


def changes():
    """How much saliency changes, in correctly and in wrongly classified sentences."""
    found = defaultdict(list)
    for row in rows_of(f"{MAIN}/figures/fig5.csv"):
        if row["panel"].startswith("all sentences of T1"):
            found[row["sentences"]].append((int(row["epoch"]), float(row["mean"])))
    top = max(value for points in found.values() for _, value in points)
    left, right, bottom, height = 44, 330, 500, 118

    def y(values):
        return bottom - height * values / top

    made = [
        box(20, 300, 448, 236, CARD, LINE, 8),
        text(34, 327, "Misclassified sentences change more,", 16, weight="700"),
        text(34, 347, "as the paper says: the model is less sure", 16, weight="700"),
        text(34, 370, "change of saliency from epoch to epoch", 12, SOFT),
        f'<path d="M{left} {bottom - height}V{bottom}H{right}" fill="none" stroke="{LINE}"/>',
        text(left, bottom + 17, "0", 12, SOFT, anchor="middle"),
        text(right, bottom + 17, "50", 12, SOFT, anchor="middle"),
        text((left + right) / 2, bottom + 17, "epoch", 12, SOFT, anchor="middle"),
    ]
    for kind, color in (("correct", STEADY), ("misclassified", UNSTABLE)):
        epochs, values = np.array(found[kind]).T
        made += [
            curve(left + (right - left) * epochs / 50, y, values, color, 2.2),
            text(right + 8, float(y(values[-1])) + 4, kind, 13, color, "600"),
        ]
    factors = {
        run: next(float(r["ours"]) for r in rows_of(f"{run}/claims.csv") if r["id"] == "F5b")
        for run in RUNS
    }
    made += [
        text(66, 399, "in sum over all epochs:", 12, SOFT),
        *(
            text(66 + 82 * place, 418, f"{factor:.2f} times", 13, RUNS[run][1], "600")
            for place, (run, factor) in enumerate(factors.items())
        ),
    ]
    return made


def gains():
    """What the choice of T2h gains: intervals against the paper's figure."""
    reported, smallest, _ = PAPER["effects"]["lead of T1andT2h"]
    left, right = 640, 916
    low, high = -0.6, 1.2

    def x(points):
        return left + (right - left) * (points - low) / (high - low)

    smallest, reported = 100 * smallest, 100 * reported
    made = [
        box(492, 300, 448, 236, CARD, LINE, 8),
        text(506, 327, "Choosing unstable words gains nothing", 16, weight="700"),
        text(506, 347, "that matters: not as the paper says", 16, weight="700"),
        text(506, 370, "accuracy of T1 and T2h, less that of T1 and …", 12, SOFT),
        box(x(-smallest), 384, x(smallest) - x(-smallest), 116, "#e4e7eb", round_by=0),
        f'<path d="M{x(0):.1f} 384V500" stroke="{SOFT}"/>',
        f'<path d="M{x(reported):.1f} 384V500" stroke="{INK}" stroke-dasharray="5 4" stroke-width="1.6"/>',
        text(930, 517, "the paper: +1 point", 12, INK, anchor="end"),
        text(x(0), 517, "0", 12, SOFT, anchor="middle"),
        text(x(-smallest) + 3, 531, "grey: too small to matter", 11, SOFT),
    ]
    for place, (claim, other) in enumerate({"O2": "T2ran", "H": "T2l"}.items()):
        y = 406 + 58 * place
        about = ("a random half", "the other half")[place]
        made += [text(506, y + 8, other, 14, weight="700"), text(506, y + 25, about, 12, SOFT)]
        for number, (run, (_, color)) in enumerate(RUNS.items()):
            (row,) = (r for r in rows_of(f"{run}/claims.csv") if r["id"] == claim)
            mean, start, end = (100 * float(row[name]) for name in ("ours", "low", "high"))
            here = y + 22 * number
            made += [
                f'<path d="M{x(start):.1f} {here}H{x(end):.1f}" stroke="{color}" stroke-width="5" '
                'stroke-linecap="round" opacity="0.55"/>',
                f'<circle cx="{x(mean):.1f}" cy="{here}" r="5" fill="{color}"/>',
            ]
    return made


def picture():
    """The whole picture."""
    keys, x = [], 520
    for title, color in RUNS.values():
        keys += [
            f'<circle cx="{x}" cy="282" r="5" fill="{color}"/>',
            text(x + 10, 287, title, 13, SOFT),
        ]
        x += 150
    keys.append(text(x, 287, "200 seeds each", 13, SOFT))
    parts = [
        text(20, 30, "The experiment", 18, weight="700"),
        *steps(),
        text(20, 288, "The outcome", 18, weight="700"),
        *keys,
        *changes(),
        *gains(),
    ]
    title = "The experiment in four steps, and its outcome"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 556" width="960" height="556" '
        f'role="img" font-family="Helvetica, Arial, sans-serif"><title>{title}</title>\n'
        + box(0, 0, 960, 556, "#ffffff", round_by=10)
        + "\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    save_text(RESULTS / "experiment.svg", picture())
