"""Fill the tables and the numbers of the READMEs and the docs from ``results/``.

Usage: python tools/readme.py [--check]

There are three kinds of block; all other text stays as it is.

* Rows of a file.  The comment names the file and says how a row is written;
  the two lines of the table's head are written by hand::

      <!-- table growth.csv
      | {parameter} | {value:,.0f} | {seconds:.3f} |
      -->

* Sentences.  The comment names the sources of their numbers, in order: a file,
  cells that only one row has (``0.5``, or ``share=0.5``), columns of this row;
  or, after ``=``, numbers that are not results.  A number keeps its sign, commas and decimals; only its
  value is filled::

      <!-- numbers
      imdb-large/config.json | corpus.sentences corpus.tokens/1e6
      calibrated-imdb/claims.csv | O2 | 100*ours
      = 40 50
      -->

* What a function of :data:`MADE` returns: ``<!-- effects -->``, ``<!-- claims paper-imdb -->``.

Each ends with ``<!-- end table -->``, ``<!-- end numbers -->`` or ``<!-- end
effects -->``.  With ``--check`` nothing is written, and the exit code is 1 if a
page is out of date.
"""

import csv
import gzip
import re
import sys
from pathlib import Path

import numpy as np
import regression

from replicate import claims as paper
from replicate import inference
from replicate import verdicts as judging
from replicate.beyond.rivals import SHARES
from replicate.config import ARMS, Config
from replicate.io.files import load_json, save_text
from replicate.show import wording

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "results"
PAGES = (
    "README.md",
    "README.ja.md",
    "article/article.md",
    "results/README.md",
    "docs/artifact.md",
    "docs/cluster.md",
    "docs/faq.md",
    "docs/kim.md",
    "docs/corpora.md",
    "docs/readings.md",
    "docs/results.ja.md",
    "docs/results.md",
    "docs/speed.md",
    "docs/statistics.md",
    "docs/trust.md",
    "docs/versions.md",
)

#: The runs that verdicts come from; with other vectors; with five filters, as version 1.0.0
#: had them; those whose rounding was measured.
RUNS = {
    "calibrated-googlenews-31530": "calibrated",
    "as-written-googlenews-31530": "as written",
}
IMDB = {
    "calibrated-imdb": "calibrated, IMDB vectors",
    "as-written-imdb": "as written, IMDB vectors",
}
FIVE_FILTERS = {
    "five-filters-googlenews-31530": "five filters",
    "five-filters-imdb": "five filters, IMDB vectors",
}
ROUNDED = RUNS | {
    "paper-googlenews-subset": "five filters",
    "paper-imdb": "five filters, IMDB vectors",
}
JAPANESE = {
    "reproduced": "再現された",
    "weaker": "論文より弱い",
    "direction only": "方向のみ",
    "no such effect": "その大きさの効果なし",
    "reversed": "逆",
    "alike": "同程度",
    "not alike": "異なる",
    "undecided": "未決定",
    "not applicable": "対象外",
    "checked": "確認済み",
    "failed": "不一致",
}


def parted(spec):
    """The factor and the format of ``100*+.2f``; without a factor, 1."""
    factor, _, spec = spec.rpartition("*")
    return float(factor or 1), spec


class Cell(str):
    """A cell of a CSV file that formats itself: ``{gain:100*+.2f}``, ``{verdict:ja}``.

    Text ignores the format of numbers; an empty cell and NaN become a dash.
    """

    def __format__(self, spec):
        if spec == "ja":
            return JAPANESE[self]
        factor, spec = parted(spec)
        try:
            value = factor * float(self)
        except ValueError:
            return self or "–"
        return "–" if value != value else format(value, spec) if spec else str(self)


def rows_of(name):
    """Rows of a CSV file of results: column -> :class:`Cell`."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(RESULTS / name, "rt", encoding="utf-8", newline="") as file:
        return [{key: Cell(text) for key, text in row.items()} for row in csv.DictReader(file)]


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


# --- Rows of a file, and sentences -----------------------------------------------


def with_rows(source, text):
    """A table whose rows are those of a file; its head is kept."""
    place, row = source.strip().split("\n")
    name, _, most = place.partition(" first ")
    head = text.strip().split("\n")[:2]
    rows = rows_of(name)[: int(most) if most else None]
    lines = [*head, *(row.format(**cells).replace("– … –", "–") for cells in rows)]
    return "\n".join(lines)


#: A number, unless it is part of a name (T1, 2.0.2) or of a range (40–50).
NUMBER = re.compile(r"(?<![\w.,–-])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w–-]|\.\d)")


def values(source):
    """The numbers that the comment of a block of sentences names, in order.

    Raises:
        ValueError: if the cells do not select one row.
        KeyError: if a file has no such column.
    """
    for line in filter(None, source.split("\n")):
        if line.startswith("="):
            yield from map(float, line[1:].split())
            continue
        name, *cells, columns = line.split(" | ")
        if name.endswith(".json"):
            row = _flat(load_json(RESULTS / name))
        else:
            row = row_of(name, *cells)
        for factor, column, divisor in re.findall(r"(?:(\S+)\*)?([^\s/*]+)(?:/(\S+))?", columns):
            yield float(factor or 1) * float(row[column]) / float(divisor or 1)


def row_of(name, *cells):
    """The row of a CSV file of results that alone has these cells: ``0.5``, or ``share=0.5``.

    Raises:
        ValueError: if no row has them, or several have.
    """
    rows = [
        row for row in rows_of(name) if set(cells) <= {*row.values(), *map("=".join, row.items())}
    ]
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows, not 1: {name} | {' | '.join(cells)}")
    return rows[0]


def _flat(value, name=""):
    """Nested dictionaries as one row with dotted names; a list counts its items."""
    if not isinstance(value, dict):
        return {name: len(value) if isinstance(value, list) else value}
    parts = [_flat(part, f"{name}.{key}" if name else key) for key, part in value.items()]
    return {key: cell for part in parts for key, cell in part.items()}


def with_numbers(source, text):
    """Sentences with their numbers filled.

    Raises:
        ValueError: if they have more or fewer numbers than the comment names.
    """
    wanted, written = list(values(source)), NUMBER.findall(text)
    if len(wanted) != len(written):
        raise ValueError(f"{len(wanted)} numbers for {', '.join(written)} in: {text}")
    following = iter(wanted)

    def as_written(match):
        sign, comma = "+" * (match[0][0] in "+-"), "," * ("," in match[0])
        decimals = len(match[0].partition(".")[2])
        return f"{next(following):{sign}{comma}.{decimals}f}"

    return NUMBER.sub(as_written, text.strip("\n"))


# --- What needs more than a row at a time ------------------------------------------


def estimate(values, digits=2, sign="", scale=1):
    """Mean of a statistic over seeds with its 95 % interval, as text."""
    values = scale * np.array(values, dtype=float)
    mean, deviation = values.mean(), values.std(ddof=1)
    low, high = inference.mean_interval(mean, deviation, len(values))
    return with_interval((mean, low, high), f"{sign}.{digits}f")


def with_interval(values, form):
    """A mean and the bounds of its interval, as text."""
    mean, low, high = (format(value, form) for value in values)
    return f"{mean} ({low} … {high})"


def interval_of(row, form, mean="mean"):
    """A row's mean and interval, as text."""
    return with_interval((row[mean], row["low"], row["high"]), form)


def claims(name):
    """Every claim of a run, with its parts."""
    places = {(c.id, p.statistic): p for c in paper.CLAIMS for p in c.parts}
    rows = []
    for found in load_json(RESULTS / name / "claims.json"):
        verdict = f"**{found['verdict']}**" + found["reason"].removeprefix(found["verdict"])
        runs = f"{found['hits']} of {found['runs']}" if found["runs"] else "–"
        about = [found["id"], found["statement"], found["paper"]]
        if len(found["parts"]) != 1:
            rows.append((*about, found["ours"] if not found["parts"] else "", verdict, runs))
        for part in found["parts"]:
            where = places[found["id"], part["statistic"]]
            mean, low, high = (
                float("nan") if part[n] is None else part[n] for n in ("mean", "low", "high")
            )
            interval = wording.shown_range(where, low, high)
            ours = wording.shown_number(where, mean)
            ours += f" ({interval})" if interval != "–" else ""
            if len(found["parts"]) == 1:
                rows.append((*about, ours, verdict, runs))
            else:
                beside = " (beside)" if part["beside"] else ""
                word = "" if found["reason"] else part["verdict"]
                rows.append(("", part["title"] + beside, "", ours, word, ""))
    header = ("id", "claim", "paper", "ours, on average (interval)", "verdict", "one run shows it")
    return table(header, rows)


def effects():
    """Differences of arms, and what confidence has to do with F5."""
    points = {"sign": "+", "scale": 100}
    rows = {
        "A.T1andT2h - A.T1andT2l": ("T1andT2h − T1andT2l, points, epochs 40–50", points),
        "A.T1andT2h - A.T1andT2ran": ("T1andT2h − T1andT2ran, points, epochs 40–50", points),
        "A.T1andT2 - A.T1andT2ran": ("T1andT2 − T1andT2ran, points, epochs 40–50", points),
        "O3.early": ("T2h − T2l, points, epochs 0–20", points),
        "O5.fall": ("change of T1andT2h over epochs 20–50, points", points),
        "O5.fall.T1andT2": ("change of T1andT2 over epochs 20–50, points", points),
        "misclassified": ("misclassified T1 sentences, at the epoch that is judged", {"digits": 0}),
        "F5.share": ("share of epochs at which the misclassified change more", {}),
        "F5.share.logit": ("the same, gradient of the logit difference", {}),
        "F5b.log_ratio": ("log of total change, misclassified / correct", {}),
        "F5b.log_ratio.logit": ("the same, gradient of the logit difference", {}),
    }
    shown = RUNS | IMDB | FIVE_FILTERS
    runs = [numbers_of(f"{name}/statistics.csv") for name in shown]
    made = [
        (title, *(estimate(judging.column(run, name), **options) for run in runs))
        for name, (title, options) in rows.items()
    ]
    return table(("statistic: mean (95 % interval)", *shown.values()), made)


def numbers_of(name):
    """Rows of a CSV file of results, as numbers where they are numbers."""
    return [{key: _number(cell) for key, cell in row.items()} for row in rows_of(name)]


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return cell


def rounding():
    """How far rounding alone moves a seed."""
    titles = {f"A.{arm}": f"level of {arm}" for arm in ARMS}
    titles |= {"H.mean": "T1andT2h − T1andT2l", "O2.mean": "T1andT2h − T1andT2ran"}
    spreads = [regression.spread(RESULTS / name) for name in ROUNDED]
    rows = [
        (title, *(f"{100 * s[name].deviation:.2f} ({100 * s[name].greatest:.2f})" for s in spreads))
        for name, title in titles.items()
    ]
    moved, same = [], []
    for found in (rows_of(f"{name}/rounding.csv") for name in ROUNDED):
        others = [int(row["other_half"]) for row in found if row["kernels"] != found[0]["kernels"]]
        moved.append(f"{np.mean(others):.0f} ({max(others)})")
        seeds = {row["seed"] for row in found}
        changed = {row["seed"] for row in found if int(row["other_half"])}
        same.append(f"{len(seeds - changed)} of {len(seeds)}")
    rows.append(("sentences of T2 in another half, mean (most)", *moved))
    rows.append(("seeds whose halves are the same with all sets", *same))
    return table(("standard deviation (greatest difference)", *ROUNDED.values()), rows)


def kernels():
    """Mean differences of arms, in points, by set of kernels."""
    rows = []
    for name, title in RUNS.items():
        by = {}
        for row in numbers_of(f"{name}/rounding.csv"):
            by.setdefault(row["kernels"], []).append(row)
        for kernel, found in by.items():
            columns = (
                judging.column(found, f"A.T1andT2h - A.{arm}") for arm in ("T1andT2l", "T1andT2ran")
            )
            rows.append((title, kernel, *(estimate(c, sign="+", scale=100) for c in columns)))
    return table(("network", "kernels", "T1andT2h − T1andT2l", "T1andT2h − T1andT2ran"), rows)


def gpu():
    """Seconds on a GPU and on a CPU, by form and number of filters."""
    parts = load_json(RESULTS / "gpu.json")["parts"]
    forms = {"fused": "fused", "reference": "reference (plain Chainer)", "torch": "PyTorch"}
    places = {"device": "GPU", "cpu": "CPU"}
    rows = []
    for one in sorted(parts["c"]["measured"], key=lambda one: (one["filters"], one["form"])):
        threads = f", {one['threads']} threads" if one["threads"] > 1 else ""
        seconds = [f"{one['seconds'][what]:.3f}" for what in ("training", "recording")]
        rows.append((one["filters"], forms[one["form"]], places[one["place"]] + threads, *seconds))
    return table(("filters", "form", "place", "s an epoch", "s a recording"), rows)


#: Runs on further corpora, and the one on MR.
CORPORA = {
    "calibrated-googlenews-31530": "MR",
    "calibrated-sst2": "SST-2",
    "calibrated-subj": "Subj",
    "calibrated-cr": "CR",
}
REMOVED = "trust/faithful.csv | epoch=50 | correct | removal | {} | comprehensiveness_gain"
LEFT_OUT = "trust/faithful.csv | epoch=50 | {} | removal | saliency | loo"
REGIME = "ceiling/regimes.csv | share={} | filters=100 | {}"
BEST = "ceiling/best.csv | gain of the best of 6 halves, chosen and measured on {}"
CHOSEN = "questions/rivals.csv | {} | share=0.5"
#: What is measured of them -> how it is written, and for each reading of it where it is.
ELSEWHERE = {
    "Squared change of saliency that is jumps, %": (
        "100*.0f",
        {"all sentences": "trust/totals.csv | all | jump"},
    ),
    "Variance of saliency that a line explains, %": (
        "100*.0f",
        {
            "as it was": "trust/linearity.csv | standardised | correct | line",
            "its changes in random order": "trust/linearity.csv | standardised | correct | shuffled",
        },
    ),
    "Fall of the probability without the first words": (
        "+.3f",
        {
            "by saliency": REMOVED.format("saliency"),
            "by gradient × input": REMOVED.format("gradient_x_input"),
        },
    ),
    "Saliency and leaving one word out, rank correlation": (
        "+.2f",
        {
            "correctly classified": LEFT_OUT.format("correct"),
            "misclassified": LEFT_OUT.format("misclassified"),
        },
    ),
    "Instability of words in two trainings, rank correlation": (
        ".2f",
        {
            "only initial weights differ": "trust/agreement.csv | initialisation | wac",
            "everything differs": "trust/agreement.csv | all | wac",
        },
    ),
    "Reliability of A_S": (
        ".2f",
        {
            "T1: 45 % of the corpus": REGIME.format(45, "reliability"),
            "T1: 5 %": REGIME.format(5, "reliability"),
        },
    ),
    "All of T2 over a random half, points": (
        "100*+.2f",
        {
            "T1: 45 % of the corpus": REGIME.format(45, "headroom"),
            "T1: 5 %": REGIME.format(5, "headroom"),
        },
    ),
    "T2h over random halves, points": (
        "100*+.2f",
        {"T1: 45 % of the corpus": REGIME.format(45, "lead"), "T1: 5 %": REGIME.format(5, "lead")},
    ),
    "The best of 6 random halves, points": (
        "100*+.2f",
        {
            "on the sentences that chose it": BEST.format("the same sentences"),
            "on others": BEST.format("different sentences and trainings"),
        },
    ),
    "A half of T2 by its scores, points": (
        "100*+.2f",
        {
            "instability": CHOSEN.format("instability"),
            "entropy": CHOSEN.format("entropy"),
            "BADGE": CHOSEN.format("badge"),
        },
    ),
}


def measured_elsewhere(place):
    """Corpus -> mean and interval of what is at a place of :data:`ELSEWHERE`."""
    file, *cells = place.split(" | ")
    rows = {title: row_of(f"{name}/{file}", *cells) for name, title in CORPORA.items()}
    return {
        title: (row["gain"] if "gain" in row else row["mean"], row["low"], row["high"])
        for title, row in rows.items()
    }


def elsewhere():
    """Whether saliency is to be trusted, and could choosing pay, on the corpora of :data:`CORPORA`."""
    rows = []
    for title, (form, readings_of) in ELSEWHERE.items():
        for reading, place in readings_of.items():
            found = measured_elsewhere(place).values()
            rows.append((title, reading, *(with_interval(values, form) for values in found)))
            title = ""
    return table(("measure", "reading", *CORPORA.values()), rows)


def regimes():
    """What choosing could gain with less of T1, or other numbers of filters."""
    rows = []
    for name, title in RUNS.items():
        found = {}
        for row in rows_of(f"{name}/ceiling/regimes.csv"):
            key = (row["share"], row["sentences"], row["filters"])
            found.setdefault(key, {})[row["measure"]] = row
        for (share, sentences, filters), by in found.items():
            shown = (("headroom", "100*+.2f"), ("lead", "100*+.2f"), ("reliability", ".2f"))
            cells = [interval_of(by[measure], form) for measure, form in shown]
            rows.append((title, f"{sentences} ({share} %)", filters, *cells))
    header = ("network", "sentences of T1", "filters", "all of T2 over a random half",
              "T2h over a random half", "reliability")  # fmt: skip
    return table(header, rows)


def multiverse():
    """Every pooled part: mean over specifications, how they differ, what a further one would give."""
    places = {(c.id, p.title): p for c in paper.CLAIMS for p in c.parts}
    rows = []
    for row in rows_of("multiverse/multiverse.csv"):
        part = places[row["id"], row["part"]]
        number = {
            name: float(row[name]) for name in row if name not in ("id", "part") and row[name]
        }
        mean = wording.shown_number(part, number["mean"])
        ranges = (
            wording.shown_range(part, number[f"{name}low"], number[f"{name}high"])
            for name in ("", "new_")
        )
        spread = (
            f"{100 * number['between']:.2f}"
            if part.scale in ("points", "level")
            else f"{number['between']:.2f}"
        )
        below = f"{100 * number['below']:.0f} %" if "below" in number else "–"
        p = f"{number['p_median']:.2f}" if "p_median" in number else "–"
        about = f"{number['specifications']:.0f} × {number['seeds']:.0f}"
        of_mean, of_new = ranges
        rows.append(
            (f"{row['id']}: {row['part']}", about, f"{mean} ({of_mean})", spread,
             f"{number['shrinkage']:.2f}", of_new, below, p)
        )  # fmt: skip
    header = (
        "part", "specifications × seeds", "mean of all (95 %)", "spread between", "kept",
        "a further specification", "too small to matter", "p, signs flipped",
    )  # fmt: skip
    return table(header, rows)


def operating():
    """Share of wrong verdicts of a family, and of claims that get the right verdict."""
    found = {}
    for row in rows_of("operating.csv"):
        found.setdefault((row["truth"], row["seeds"]), {})[row["draws"], row["claim"]] = row
    claims_shown = ("H", "O2", "R1", "O1", "O3", "O4", "O5", "A1", "A2", "A3")
    rows = []
    for (truth, seeds), by in found.items():
        wrong = [
            max(float(by[draws, family]["wrong"]) for draws in ("normal", "resampled"))
            for family in ("headline", "rest")
        ]
        shares = []
        for claim in claims_shown:
            both = [by[draws, claim] for draws in ("normal", "resampled")]
            right = both[0]["right"]
            shares.append(
                "–" if truth == "half of it" else f"{min(float(r[right]) for r in both):.2f}"
            )
        used = float(by["resampled", "headline"]["seeds_used"])
        shown = f"{seeds} ({used:.0f})" if seeds == "sequential" else seeds
        rows.append((truth, shown, *(f"{share:.3f}" for share in wrong), *shares))
    header = ("truth", "seeds", "wrong: main claims", "wrong: the rest", *claims_shown)
    return table(header, rows)


#: The share of T2 that all scores were trained at; some were at all of ``SHARES``.
HALF = 0.5


def gained(row):
    """A gain in points with its interval, and what it is by the rule; a small one has no word."""
    gain = interval_of(row, "100*+.2f", "gain")
    word = {"no such gain": "", "undecided": ", undecided"}
    return gain + word.get(row["verdict"], f" **{row['verdict']}**")


def rivals():
    """What the half with the highest scores gains over random halves, by score and network."""
    by = {}
    for name in RUNS:
        for row in rows_of(f"{name}/questions/rivals.csv"):
            if float(row["share"]) == HALF and not row["score"].startswith("without_"):
                by.setdefault((row["score"], row["labels"]), {})[name] = gained(row)
    rows = [
        (score.replace("_", " "), ("no", "yes")[int(labels)], *(cells.get(n, "–") for n in RUNS))
        for (score, labels), cells in by.items()
    ]
    return table(("score", "needs labels", *RUNS.values()), rows)


def learning():
    """What random sentences gain over T1, and what a choice adds, at every share of T2."""
    rows = []
    for name, title in RUNS.items():
        grown = {float(row["share"]): row for row in rows_of(f"{name}/questions/learning.csv")}
        random = [interval_of(grown[share], "100*+.2f", "rise") for share in SHARES]
        rows.append((title, "random sentences, over T1", *random))
        line = [format(grown[share]["line"], "100*+.2f") for share in SHARES]
        rows.append(("", "the same by the line", *line))
        by = {}
        for row in rows_of(f"{name}/questions/rivals.csv"):
            by.setdefault(row["score"].replace("_", " "), {})[float(row["share"])] = gained(row)
        for score, cells in by.items():
            if len(cells) > 1:
                rows.append(("", score, *(cells.get(share, "–") for share in SHARES)))
    return table(("network", "sentences", *(f"{100 * s:.0f} % of T2" for s in SHARES)), rows)


def answered():
    """Q1 and Q3: every measure, in both networks."""
    by = {}
    for name in RUNS:
        for row in rows_of(f"{name}/questions/questions.csv"):
            found = interval_of(row, "+.3f", "ours")
            word = row["answer"].partition(":")[0]
            by.setdefault((row["id"], row["measure"]), {})[name] = f"{found} **{word}**"
    rows = [(*about, *(cells[name] for name in RUNS)) for about, cells in by.items()]
    return table(("id", "measure", *RUNS.values()), rows)


def confounds():
    """How much of A_S is explained by something simpler, in both networks."""
    rows = []
    for name, title in RUNS.items():
        for row in rows_of(f"{name}/questions/confounds.csv"):
            cells = (f"{row[c]:.2f}" for c in ("correlation", "partial", "smd", "smd_matched"))
            rows.append((title, row["covariate"], *cells))
    header = ("network", "of A_S with", "rank correlation", "partial", "difference", "matched")
    return table(header, rows)


def agreement():
    """How far the accuracies of two variants of one seed lie apart, in points."""
    found = {}
    for row in rows_of("agreement.csv"):
        found.setdefault(row["variant"], {})[row["arm"]] = row
    rows = []
    for name, arms in found.items():
        other = "fused, float64" if name == "reference, float64" else "fused"
        if name != other:
            cells = []
            for column in ("last", "epochs_40_50"):
                base = found[other]
                apart = {a: abs(float(r[column]) - float(base[a][column])) for a, r in arms.items()}
                most = max(apart, key=apart.get)
                cells.append(f"{100 * apart[most]:.2f} ({most})")
            rows.append((name, other, *cells, next(iter(arms.values()))["other_half"]))
    header = ("variant", "against", "last epoch", "epochs 40–50", "T2 in another half than fused")
    return table(header, rows)


def readings():
    """All settings with their alternatives."""
    rows = [(f"`{name}`", f"`{default}`", *rest) for name, default, *rest in Config.readings()]
    return table(("setting", "default", "alternatives", "about"), rows)


def verdicts(language="en", more=""):
    """The verdict on every claim, in a table that fits beside a text; `more`: of every run."""
    shown = RUNS | IMDB | FIVE_FILTERS if more else RUNS
    runs = [{row["id"]: row for row in rows_of(f"{name}/claims.csv")} for name in shown]
    heads = ("claim", *shown.values()) if language == "en" else ("主張", "較正済み", "原文どおり")
    page = (REPOSITORY / "docs" / "results.ja.md").read_text(encoding="utf-8")
    japanese = dict(re.findall(r"^\| (\w+) \| (.*?) \|", page.split("<!-- table")[0], flags=re.M))
    rows = []
    for name, first in runs[0].items():
        text = first["statement"] if language == "en" else japanese[name]
        form = "" if language == "en" else language
        rows.append((name, text, *(format(run[name]["verdict"], form) for run in runs)))
    return table(("", *heads), rows)


MADE = {
    made.__name__: made
    for made in (
        agreement,
        answered,
        claims,
        confounds,
        effects,
        elsewhere,
        gpu,
        kernels,
        learning,
        multiverse,
        operating,
        readings,
        regimes,
        rivals,
        rounding,
        verdicts,
    )
}


# --- Pages -----------------------------------------------------------------------


def filled(text):
    """`text` with every block filled.

    Raises:
        KeyError: if there is no function of a block's name, or no such column.
        ValueError: if sentences and their sources do not fit.
    """

    def block(match):
        name, source, body = match["name"], match["source"], match["body"]
        if name == "table":
            made = with_rows(source, body)
        elif name == "numbers":
            made = with_numbers(source, body)
        else:
            made = MADE[name](*source.split())
        return f"<!-- {name}{source}-->\n{made}\n<!-- end {name} -->"

    pattern = r"<!-- (?P<name>(?!end )\w+)(?P<source>[^>]*)-->\n(?P<body>.*?)<!-- end (?P=name) -->"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def main():
    """Fill all pages, or check them; the exit code."""
    check = "--check" in sys.argv
    stale = []
    for page in PAGES:
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(page)
            if not check:
                save_text(REPOSITORY / page, filled(text))
    done = "out of date, run `make readme`" if check else "filled"
    print("\n".join(f"{page}: {done}" for page in stale) or "up to date")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
