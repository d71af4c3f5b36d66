"""Fill the tables of the READMEs from the files under ``results/``.

Usage: python tools/readme.py [--check]

A table stands between ``<!-- NAME -->`` and ``<!-- end NAME -->``; all other
text is left as it is.  With ``--check`` nothing is written, and the exit code
is 1 where a file would change.
"""

import ast
import re
import sys
from pathlib import Path

import numpy as np
import regression

from replicate import inference
from replicate.config import ARMS, PAPER, Config
from replicate.io.files import load_json, read_csv, save_text

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "results"
PAGES = ("README.md", "README.ja.md", "results/README.md", "docs/api.md", "docs/cluster.md")

CLAIMS_HEADER = ("id", "statement", "paper", "ours", "low", "high", "seeds", "verdict")
RUNS = {
    "paper-googlenews-subset": "GoogleNews subset (not the full file)",
    "paper-imdb": "IMDB vectors (not GoogleNews)",
}
JAPANESE = {
    "reproduced": "再現された",
    "contradicted": "反証された",
    "inconclusive": "判定できない",
}
#: Claims in Japanese: what is claimed, and the paper's value where it is words.
JAPANESE_CLAIMS = {
    "S1": ("T1、T2h、T2l、T3 の文数（表 1）", ""),
    "F3": (
        "正しく分類された文：注目度は 0–20 エポックで大きく動き、以後はほとんど動かない",
        "20 以後は小",
    ),
    "F4": ("誤分類された文：注目度は 20 エポック以後も動き続ける", "動き続ける"),
    "F5": ("大半のエポックで、誤分類された文のほうが注目度の動きが大きい", "大半のエポック"),
    "F5b": ("学習全体の合計でも、誤分類された文のほうが注目度の動きが大きい", "大きい"),
    "A1": ("40–50 エポックの T1andT2 の正解率", ""),
    "A2": ("40–50 エポックの T1andT2h の正解率", ""),
    "A3": ("40–50 エポックの他の四つの正解率", ""),
    "R1": (
        "40–50 エポックでは T1andT2 が一位、T1andT2h が二位、他は同程度",
        "T1andT2 > T1andT2h > 他",
    ),
    "O1": ("T1andT2h は常に T1andT2l を上回る", "常に > 0"),
    "O2": ("T1andT2h は T1andT2ran を上回る", ""),
    "O3": (
        "0–20 エポックでは T2h が T2l を上回り、T2h が下がるため 30–50 では同程度",
        "> 0、のち同程度",
    ),
    "O4": (
        "0–10 エポックでは T1andT2h と T1andT2 は同程度、20–30 と 25–50 では T1andT2 が上",
        "同程度、のち T1andT2",
    ),
    "O5": ("T1andT2h は 20 エポック以後下がり、T1andT2 は後半ほとんど変わらない", "下降；横ばい"),
    "H": ("T1 と T2h で学習したモデルは、T1 と T2l で学習したモデルより良い", ""),
}


def table(header, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(text, digits=3):
    """A number of a CSV file, short; what is no number as it is."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return text
    return "–" if value != value else f"{value:.{digits}f}"


def claims(name, words=None):
    """Claim, paper, ours, interval, seeds, verdict of one committed run."""
    place = RESULTS / name / "claims.csv"
    if not place.exists():
        return f"No run with the {RUNS[name]} is committed yet."
    rows = []
    least = {
        claim["id"]: claim["smallest_detectable_effect"]
        for claim in load_json(RESULTS / name / "claims.json")
    }
    for row in read_csv(place, CLAIMS_HEADER):
        interval = f"{number(row['low'])} … {number(row['high'])}"
        verdict = f"**{(words or {}).get(row['verdict'], row['verdict'])}**"
        rows.append(
            (row["id"], row["statement"], row["paper"], number(row["ours"]),
             "–" if interval == " … " else interval, number(least[row["id"]] or ""), row["seeds"],
             verdict)
        )  # fmt: skip
    if words:
        told = [JAPANESE_CLAIMS[row[0]] for row in rows]
        rows = [
            (row[0], statement, paper or row[2], *row[3:5], *row[6:])
            for row, (statement, paper) in zip(rows, told)
        ]
        return table(("記号", "主張", "論文", "本実装", "95 % 区間", "シード数", "判定"), rows)
    header = ("id", "claim", "paper", "ours", "95 % interval", "detectable", "seeds", "verdict")
    return table(header, rows)


def costs():
    """Time, memory and settings of the committed runs."""
    rows = []
    for name, title in RUNS.items():
        folder = RESULTS / name
        if not (folder / "timing.json").exists():
            continue
        timing, config = load_json(folder / "timing.json"), load_json(folder / "config.json")
        command = (
            f"`replicate run --preset paper --seeds {len(config['seeds'])} "
            f"--vectors {config['vectors']['name']}`"
        )
        rows.append(
            (title, f"{config['vectors']['known_tokens']:.1%}", len(config["seeds"]),
             f"{timing['seconds'] / 60:.1f} min", f"{timing['peak_memory_bytes'] / 1e6:.0f} MB",
             timing["machine"], command)
        )  # fmt: skip
    header = (
        "vectors",
        "tokens known",
        "seeds",
        "time",
        "memory of a process",
        "machine",
        "command",
    )
    return table(header, rows) if rows else "No run is committed yet."


def tested(name, statistic, kind="above", value=0.0, share=inference.ON_T3):
    """A statistic of a committed run over its seeds, with its corrected interval."""
    place = RESULTS / name / "statistics.csv"
    rows = read_csv(place, place.read_text(encoding="utf-8").splitlines()[0].split(","))
    values = np.array([float(row[statistic]) for row in rows])
    return inference.test_component(inference.Component(statistic, kind, value, share), values)


def points(test):
    """Mean and interval of a difference of accuracies, in points of per cent."""
    return f"{100 * test.mean:+.2f} ({100 * test.low:+.2f} … {100 * test.high:+.2f})"


def effects():
    """What the inconclusive verdicts still exclude, and what confidence has to do with F5."""
    differences = {
        "H.mean": "T1andT2h − T1andT2l, points, all epochs",
        "O2.mean": "T1andT2h − T1andT2ran, points, all epochs",
        "O3.early": "T2h − T2l, points, epochs 0–20",
        "O4.second": "T1andT2 − T1andT2h, points, epochs 25–50",
        "O5.fall": "change of T1andT2h over epochs 20–50, points",
    }
    others = {
        "misclassified": ("misclassified T1 sentences at the last epoch", 0),
        "F5.share": ("share of epochs at which the misclassified move more", 2),
        "F5.share.logit": ("the same, gradient of the logit difference", 2),
        "F5b.log_ratio": ("log of total movement, misclassified / correct", 2),
        "F5b.log_ratio.logit": ("the same, gradient of the logit difference", 2),
    }
    names = [name for name in RUNS if (RESULTS / name / "statistics.csv").exists()]
    rows = [(title, *(points(tested(n, s)) for n in names)) for s, title in differences.items()]
    for statistic, (title, digits) in others.items():
        cells = []
        for name in names:
            t = tested(name, statistic, share=inference.ON_T1)
            cells.append(f"{t.mean:.{digits}f} ({t.low:.{digits}f} … {t.high:.{digits}f})")
        rows.append((title, *cells))
    return table(("statistic: mean (95 % interval)", *(RUNS[n] for n in names)), rows)


def excluded():
    """The largest advantage of unstable sentences that the intervals leave open, in a sentence."""
    parts = []
    for name, title in RUNS.items():
        if not (RESULTS / name / "statistics.csv").exists():
            continue
        best = max(tested(name, s).high for s in ("H.mean", "O2.mean"))
        parts.append(f"{100 * best:.1f} points with the {title}")
    return (
        "An advantage of `T1andT2h` over `T1andT2l` or `T1andT2ran` above "
        + " and ".join(parts)
        + " is outside of the intervals; the paper's levels would make it "
        + f"{100 * (PAPER['levels']['T1andT2h'] - PAPER['levels']['T1andT2l']):.0f} point."
    )


def rounding():
    """How far rounding alone moves a seed."""
    names = [name for name in RUNS if (RESULTS / name / "rounding.csv").exists()]
    if not names:
        return "Not measured yet: `make rounding`."
    titles = {f"A.{arm}": f"level of {arm}" for arm in ARMS}
    titles |= {"H.mean": "T1andT2h − T1andT2l", "O2.mean": "T1andT2h − T1andT2ran"}
    spreads = [regression.spread(RESULTS / name) for name in names]
    rows = [
        (title, *(f"{100 * s[name].deviation:.2f} ({100 * s[name].greatest:.2f})" for s in spreads))
        for name, title in titles.items()
    ]
    moved, alike = [], []
    for name in names:
        found = read_csv(RESULTS / name / "rounding.csv", regression.ROUNDING)
        others = [int(row["other_half"]) for row in found if row["kernels"] != found[0]["kernels"]]
        moved.append(f"{np.mean(others):.0f} ({max(others)})")
        seeds = {row["seed"] for row in found}
        restless = {row["seed"] for row in found if int(row["other_half"])}
        alike.append(f"{len(seeds - restless)} of {len(seeds)}")
    rows.append(("sentences of T2 in another half, mean (most)", *moved))
    rows.append(("seeds whose halves are the same under all sets", *alike))
    return table(
        ("standard deviation (greatest difference)", *(RUNS[name] for name in names)), rows
    )


def multiverse():
    """Which verdicts flip with which reading."""
    place = RESULTS / "multiverse" / "verdicts.csv"
    if not place.exists():
        return "No multiverse is committed yet."
    header = ("specification", "id", "ours", "low", "high", "seeds", "verdict")
    found = {}
    for row in read_csv(place, header):
        found.setdefault(row["id"], []).append(row)
    rows = []
    for claim, verdicts in found.items():
        by = {}
        for row in verdicts:
            by.setdefault(row["verdict"], []).append(row["specification"])
        usual = max(by, key=lambda v: len(by[v]))
        odd = [
            f"{verdict}: " + ", ".join(f"`{s}`" for s in names)
            for verdict, names in by.items()
            if verdict != usual
        ]
        counts = [str(len(by.get(v, ()))) for v in ("reproduced", "inconclusive", "contradicted")]
        rows.append((claim, *counts, "; ".join(odd) or "none"))
    return table(("claim", "reproduced", "inconclusive", "contradicted", "other than most"), rows)


def answers(name="questions-googlenews-subset"):
    """Q1 and Q3 of a committed run."""
    place = RESULTS / name / "questions.csv"
    if not place.exists():
        return "Not answered yet."
    header = ("id", "measure", "test", "ours", "low", "high", "seeds", "answer")
    rows = [
        (r["id"], r["measure"], number(r["ours"]), f"{number(r['low'])} … {number(r['high'])}", r["seeds"],
         f"**{r['answer']}**")
        for r in read_csv(place, header)
    ]  # fmt: skip
    return table(("id", "measure", "ours", "95 % interval", "seeds", "answer"), rows)


def rivals(name="questions-googlenews-subset"):
    """Gain over random sentences of every score at every share, in points."""
    place = RESULTS / name / "rivals.csv"
    if not place.exists():
        return "Not compared yet."
    header = (
        "score",
        "share",
        "labels",
        "accuracy",
        "gain",
        "low",
        "high",
        "seeds",
        "p",
        "verdict",
    )
    by, shares = {}, set()
    for row in read_csv(place, header):
        share = float(row["share"])
        if row["score"] != "matched_high":
            shares.add(share)
        mark = {"better": " **better**", "worse": " **worse**"}.get(row["verdict"], "")
        by.setdefault((row["score"], row["labels"]), {})[share] = (
            f"{100 * float(row['gain']):+.2f} ± {50 * (float(row['high']) - float(row['low'])):.2f}{mark}"
        )
    rows = []
    for (score, labels), cells in by.items():
        title = (
            "A_S high − low, matched halves" if score == "matched_high" else score.replace("_", " ")
        )
        rows.append(
            (title, "yes" if labels == "1" else "no", *(cells.get(s, "–") for s in sorted(shares)))
        )
    return table(
        ("score", "needs labels", *(f"{100 * s:.0f} % of T2" for s in sorted(shares))), rows
    )


def confounds(name="questions-googlenews-subset"):
    """How far A_S is explained by simpler things."""
    place = RESULTS / name / "confounds.csv"
    if not place.exists():
        return "Not measured yet."
    header = ("covariate", "correlation", "partial", "low", "high", "smd", "smd_matched")
    rows = []
    for r in read_csv(place, header):
        interval = f"{number(r['low'], 2)} … {number(r['high'], 2)}"
        if r["covariate"] == "R2":
            rows.append(("all together, R²", number(r["correlation"], 2), "–", interval, "–", "–"))
        else:
            cells = [number(r[n], 2) for n in ("correlation", "partial", "smd", "smd_matched")]
            rows.append((r["covariate"], cells[0], cells[1], interval, cells[2], cells[3]))
    return table(
        (
            "of A_S with",
            "rank correlation",
            "partial",
            "95 % interval",
            "T2h − T2l, SD",
            "matched halves, SD",
        ),
        rows,
    )


def readings():
    """All settings with their alternatives."""
    rows = [(f"`{n}`", f"`{d}`", o, doc) for n, d, o, doc in Config.readings()]
    return table(("setting", "default", "alternatives", "about"), rows)


def bench():
    """Timings of ``results/bench.csv``."""
    place = RESULTS / "bench.csv"
    if not place.exists():
        return "Not measured yet: `make bench`."
    header = (
        "measure",
        "variant",
        "threads",
        "repetitions",
        "minimum_s",
        "median_s",
        "times_slower",
    )
    rows = [
        (r["measure"], r["variant"], r["threads"], r["repetitions"], number(r["minimum_s"]),
         number(r["median_s"]), number(r["times_slower"], 2))
        for r in read_csv(place, header)
    ]  # fmt: skip
    shown = ("measure", "variant", "threads", "runs", "minimum, s", "median, s", "times ours")
    return table(shown, rows)


def agreement():
    """How far the two forms' accuracies lie apart after a full run, and how far rounding alone goes."""
    place = RESULTS / "agreement.csv"
    if not place.exists():
        return "… not measured yet."
    found = {}
    for row in read_csv(place, ("variant", "arm", "last", "epochs_40_50", "other_half")):
        found.setdefault(row["variant"], {})[row["arm"]] = row

    def apart(names, column="last", of="fused"):
        """The largest difference from a variant, in points, with its arm if any; None if not measured."""
        differences = [
            (100 * abs(float(row[column]) - float(found[of][arm][column])), arm)
            for name in names
            for arm, row in found.get(name, {}).items()
            if row[column]
        ]
        if not differences:
            return None
        most, arm = max(differences)
        return f"{most:.2f} points at most ({arm})" if most else "0.00 points"

    parts = [f"{apart(['reference'])} at the last epoch of a full seed's seven arms"]
    if level := apart(["reference"], "epochs_40_50"):
        parts.append(f", by {level} in the mean of epochs 40–50")
    parts.append(". ")
    if moved := found["reference"]["T1"]["other_half"]:
        parts.append(
            f"Rounding is passed on by the halves: {moved} sentences of T2 lie in another half. "
        )
    if same := apart(["reference, fused's halves"]):
        parts.append(f"With the fused form's halves T2h and T2l are {same} apart. ")
    if double := apart(["reference, float64"], of="fused, float64"):
        parts.append(
            f"It is rounding and nothing else: in float64 the two forms are {double} apart at the last "
            f"epoch, by {apart(['reference, float64'], 'epochs_40_50', 'fused, float64')} in the mean "
            "of epochs 40–50. "
        )
    if nudged := [name for name in found if name.startswith("fused, weights")]:
        some = " and ".join(found[name]["T1"]["other_half"] for name in nudged)
        parts.append(
            "The fused form against itself, every initial weight moved by one unit in its last place: "
            f"{some} sentences in another half, accuracies {apart(nudged)} apart. Two programs that "
            "round differently cannot be expected to agree better."
        )
    return "".join(parts).strip()


def growth():
    """Time and memory of an epoch by sentences, filters and batch size."""
    place = RESULTS / "growth.csv"
    if not place.exists():
        return "Not measured yet: `make bench`."
    rows = read_csv(place, ("parameter", "value", "seconds", "peak_memory_mb"))
    first = {}
    for r in rows:
        first.setdefault(r["parameter"], r)
    cells = [
        (r["parameter"].replace("_", " "), f"{int(r['value']):,}", number(r["seconds"]),
         f"{float(r['seconds']) / float(first[r['parameter']]['seconds']):.1f}",
         f"{float(r['peak_memory_mb']):.0f}")
        for r in rows
    ]  # fmt: skip
    return table(("", "value", "seconds", "times the first", "peak memory, MB"), cells)


def cost():
    """Coefficients of the cost model, how well it fits, and what it foretells."""
    place = RESULTS / "cost.csv"
    if not place.exists():
        return "Not measured yet: `make scaling`."
    rows = read_csv(place, ("part", "coefficient", "value", "unit"))
    shown = [(r["part"], r["coefficient"], f"{float(r['value']):.3g}", r["unit"]) for r in rows]
    return table(("part", "what", "value", "unit"), shown)


def beyond(name="questions-googlenews-subset"):
    """One paragraph each on Q1, on simpler scores, on confounds and Q3, and on Q2."""
    folder = RESULTS / name
    if not (folder / "questions.csv").exists():
        return "Not answered yet."
    header = ("id", "measure", "test", "ours", "low", "high", "seeds", "answer")
    rows = {r["measure"]: r for r in read_csv(folder / "questions.csv", header)}

    def told(measure, scale=1.0, digits=2):
        r = rows[measure]
        ours, low, high = (scale * float(r[n]) for n in ("ours", "low", "high"))
        return f"{ours:+.{digits}f} ({low:+.{digits}f} … {high:+.{digits}f})"

    seeds = rows["closed in T1andT2h less in T1andT2ran"]["seeds"]
    parts = [
        "**Q1, do unstable words settle in the second phase, and are they learned well?** "
        f"Over {seeds} seeds, the gap in log wac between unstable words and stable ones of the same "
        f"frequency is {told('log wac, unstable less matched stable words, first phase')} in the first "
        f"phase, and {told('how much of that gap is closed in T1andT2h')} of it is closed in "
        f"`T1andT2h`; but as much is closed in `T1andT2ran`, whose sentences are random: the difference "
        f"is {told('closed in T1andT2h less in T1andT2ran')}. On sentences of T3 rich in unstable words "
        "`T1andT2h` is "
        f"{told('accuracy on T3 rich in unstable words, T1andT2h less T1andT2ran', 100)} points better "
        "than `T1andT2ran`."
    ]
    header = (
        "score",
        "share",
        "labels",
        "accuracy",
        "gain",
        "low",
        "high",
        "seeds",
        "p",
        "verdict",
    )
    gains = read_csv(folder / "rivals.csv", header)
    found = {}
    for r in gains:
        if r["verdict"] != "inconclusive":
            share = f"{100 * float(r['share']):.0f} %"
            found.setdefault((r["verdict"], r["score"].replace("_", " ")), []).append(share)
    lists = {
        verdict: "; ".join(
            f"{score} ({', '.join(shares)})" for (v, score), shares in found.items() if v == verdict
        )
        for verdict in ("better", "worse")
    }
    half = next(r for r in gains if r["score"] == "instability" and float(r["share"]) == 0.5)
    shuffled = next(
        r for r in gains if r["score"] == "instability_shuffled" and float(r["share"]) == 0.5
    )

    def gain(r):
        return f"{100 * float(r['gain']):+.2f} ({100 * float(r['low']):+.2f} … {100 * float(r['high']):+.2f})"

    parts.append(
        "**Do simpler scores choose better?** Half of T2 by instability gains "
        f"{gain(half)} points over random sentences; with wac exchanged among words of like frequency it "
        f"gains {gain(shuffled)}. Shown to be better than random, after Holm's correction over all scores "
        f"and shares: {lists['better'] or 'none'}. Shown to be worse: {lists['worse'] or 'none'}."
    )
    header = ("covariate", "correlation", "partial", "low", "high", "smd", "smd_matched")
    of = {r["covariate"]: r for r in read_csv(folder / "confounds.csv", header)}
    matched = next(r for r in gains if r["score"] == "matched_high")
    low, high = (
        float(rows["rank correlation of wac with frequency in T1"][n]) for n in ("low", "high")
    )
    rarity = (
        "they are" if high < 0 else "frequent words are the more unstable" if low > 0 else "neither"
    )
    parts.append(
        "**Is it the words?** Length, rarity, coverage and class together explain "
        f"{100 * float(of['R2']['correlation']):.0f} % of the variance of A_S's ranks. Between halves "
        f"matched on them, the unstable one gains {gain(matched)} points. **Q3, are unstable words the "
        f"rare ones?** The rank correlation of wac with frequency is "
        f"{told('rank correlation of wac with frequency in T1')}: {rarity}."
    )
    parts.append(larger())
    return "\n\n".join(part for part in parts if part)


def larger(name="imdb-large"):
    """Q2 in a paragraph, from the run on the Large Movie Review Dataset."""
    folder = RESULTS / name
    if not (folder / "claims.csv").exists():
        return ""
    rows = {r["id"]: r for r in read_csv(folder / "claims.csv", CLAIMS_HEADER)}
    config, timing = load_json(folder / "config.json"), load_json(folder / "timing.json")
    corpus = config["corpus"]

    def told(claim, scale=1.0, unit=""):
        r = rows[claim]
        ours, low, high = (scale * float(r[n]) for n in ("ours", "low", "high"))
        return f"{ours:+.2f}{unit} ({low:+.2f} … {high:+.2f}), {r['verdict']}"

    return (
        f"**Q2, does it hold on a larger corpus?** {corpus['sentences']:,} documents, "
        f"{corpus['tokens'] / 1e6:.1f} million tokens, IMDB vectors (trained on these very texts, without labels), "
        f"{len(config['seeds'])} seeds of "
        f"{config['epochs']} epochs: T1andT2h − T1andT2ran (O2) {told('O2', 100, ' points')}; "
        f"T1andT2h − T1andT2l (O1, first block) {told('O1', 100, ' points')}; change of T1andT2h in "
        f"training's later part (O5: it falls) {told('O5', 100, ' points')}; share of epochs at which the misclassified move more (F5) "
        f"{told('F5')}. It took {timing['seconds'] / 60:.0f} minutes and "
        f"{timing['peak_memory_bytes'] / 1e6:.0f} MB a process on two cores."
        + memory(folder / "memory.csv")
    )


def memory(place):
    """How memory goes with epochs, in a sentence."""
    if not place.exists():
        return ""
    rows = read_csv(place, ("epochs", "seeds", "peak_memory_bytes"))
    told = [f"{float(r['peak_memory_bytes']) / 1e6:.0f} MB with {r['epochs']}" for r in rows]
    return f" Peak memory of a process by epochs: {', '.join(told[:-1])} and {told[-1]}."


def calibration(most=8):
    """The nearest specifications of the calibration."""
    place = RESULTS / "calibration" / "calibration.csv"
    if not place.exists():
        return "Not calibrated yet."
    header = ("specification", "seeds", "distance", "levels", "misclassified", "fall", "steady")
    rows = [
        (r["specification"], r["seeds"], *[number(r[n], 2) for n in header[2:]])
        for r in read_csv(place, header)
    ]
    return table(header, rows[:most])


def api():
    """Every public name of every module, with the first sentence of its docstring."""
    parts = []
    package = REPOSITORY / "replicate"
    for place in sorted(package.rglob("*.py"), key=lambda p: (len(p.parts), p)):
        if place.stem.startswith("_") or place.stem in ("cli", "preload"):
            continue
        tree = ast.parse(place.read_text(encoding="utf-8"))
        docs = {
            node.name: (ast.get_docstring(node) or "", _signature(node))
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        names = [
            element.value
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            for element in node.value.elts
        ]
        rows = [
            (
                f"`{name}{docs[name][1]}`",
                docs[name][0].split("\n\n")[0].replace("\n", " ").replace("|", "\\|"),
            )
            for name in sorted(names)
            if name in docs
        ]
        if rows:
            about = ast.get_docstring(tree).split("\n\n")[0].replace("\n", " ")
            parts.append(
                f"## `{name_of(place, package)}`\n\n{about}\n\n" + table(("name", "does"), rows)
            )
    return "\n\n".join(parts)


def name_of(place, package):
    """Dotted name of a module."""
    return ".".join(place.relative_to(package.parent).with_suffix("").parts)


def _signature(node):
    if isinstance(node, ast.ClassDef):
        return ""
    arguments = node.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    required = len(names) - len(arguments.defaults)
    shown = [n if i < required else f"{n}=…" for i, n in enumerate(names)]
    if arguments.vararg:
        shown.append("*" + arguments.vararg.arg)
    shown += [f"{a.arg}=…" for a in arguments.kwonlyargs]
    return f"({', '.join(shown)})"


def versions():
    """Cells of ``make matrix``: versions, what ``compat`` supplied, tests, differences."""
    place = RESULTS / "versions.csv"
    if not place.exists():
        return "Not run yet."
    names = (
        "python",
        "numpy",
        "cupy",
        "scipy",
        "numba",
        "supplied",
        "tests",
        "accuracy",
        "loss",
        "wac",
    )
    rows = list(read_csv(place, (*names, "date", "system")))
    header = ("Python", "NumPy", "CuPy", "SciPy", "Numba", "supplied", *names[6:])
    shown = []
    for row in rows:
        # A cell that was not run has its reason in the place of its tests.
        ran = bool(row["scipy"])
        supplied = ", ".join(f"`{name}`" for name in row["supplied"].split()) or "nothing"
        shown.append([row[name] or "–" for name in names])
        shown[-1][5] = supplied if ran else "–"
    ran = [row for row in rows if row["scipy"]]
    return f"Run on {ran[0]['date']}, {ran[0]['system']}.\n\n" + table(header, shown)


BLOCKS = {
    "api": api,
    "claims googlenews-subset": lambda: claims("paper-googlenews-subset"),
    "claims imdb": lambda: claims("paper-imdb"),
    "claims googlenews-subset ja": lambda: claims("paper-googlenews-subset", JAPANESE),
    "claims imdb ja": lambda: claims("paper-imdb", JAPANESE),
    "costs": costs,
    "readings": readings,
    "bench": bench,
    "calibration": calibration,
    "effects": effects,
    "excluded": excluded,
    "rounding": rounding,
    "agreement": agreement,
    "growth": growth,
    "cost": cost,
    "beyond": beyond,
    "multiverse": multiverse,
    "questions": answers,
    "rivals": rivals,
    "versions": versions,
    "confounds": confounds,
}


def filled(text):
    """`text` with every block made anew.

    Raises:
        KeyError: for a block that no generator makes.
    """

    def block(match):
        return f"<!-- {match[1]} -->\n{BLOCKS[match[1]]()}\n<!-- end {match[1]} -->"

    return re.sub(r"<!-- (?!end )([^>]+?) -->\n.*?<!-- end \1 -->", block, text, flags=re.DOTALL)


def main():
    """Fill all pages, or check them."""
    check = "--check" in sys.argv
    stale = []
    for page in PAGES:
        place = REPOSITORY / page
        if not place.exists():
            continue
        text = place.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(page)
            if not check:
                save_text(place, filled(text))
    print(
        "\n".join(f"{'out of date' if check else 'filled'}: {page}" for page in stale)
        or "up to date"
    )
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
