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

from replicate.config import Config
from replicate.storage import load_json, read_csv, save_text

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "results"
PAGES = ("README.md", "README.ja.md", "results/README.md", "docs/api.md")

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


def table(header, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(text, digits=3):
    """A number of a CSV file, short; what is no number as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    return "–" if value != value else f"{value:.{digits}f}"


def claims(name, words=None):
    """Claim, paper, ours, interval, seeds, verdict of one committed run."""
    place = RESULTS / name / "claims.csv"
    if not place.exists():
        return f"No run with the {RUNS[name]} is committed yet."
    rows = []
    for row in read_csv(place, CLAIMS_HEADER):
        interval = f"{number(row['low'])} … {number(row['high'])}"
        verdict = f"**{(words or {}).get(row['verdict'], row['verdict'])}**"
        rows.append(
            (row["id"], row["statement"], row["paper"], number(row["ours"]),
             "–" if "–" in interval else interval, row["seeds"], verdict)
        )  # fmt: skip
    if words:
        rows = [(row[0], *row[2:]) for row in rows]
        return table(("主張", "論文", "本実装", "95 % 区間", "シード数", "判定"), rows)
    return table(("id", "claim", "paper", "ours", "95 % interval", "seeds", "verdict"), rows)


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
    header = ("vectors", "tokens known", "seeds", "time", "memory of a process", "machine", "command")
    return table(header, rows) if rows else "No run is committed yet."


def readings():
    """All settings with their alternatives."""
    rows = [(f"`{n}`", f"`{d}`", o, doc) for n, d, o, doc in Config.readings()]
    return table(("setting", "default", "alternatives", "about"), rows)


def bench():
    """Timings of ``results/bench.csv``."""
    place = RESULTS / "bench.csv"
    if not place.exists():
        return "Not measured yet: `make bench`."
    header = ("measure", "variant", "threads", "repetitions", "minimum_s", "median_s", "times_slower")
    rows = [
        (r["measure"], r["variant"], r["threads"], r["repetitions"], number(r["minimum_s"]),
         number(r["median_s"]), number(r["times_slower"], 2))
        for r in read_csv(place, header)
    ]  # fmt: skip
    shown = ("measure", "variant", "threads", "runs", "minimum, s", "median, s", "times ours")
    return table(shown, rows)


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
    for place in sorted((REPOSITORY / "replicate").glob("*.py")):
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
            (f"`{name}{docs[name][1]}`", docs[name][0].split("\n\n")[0].replace("\n", " ").replace("|", "\\|"))
            for name in sorted(names)
            if name in docs
        ]
        if rows:
            about = ast.get_docstring(tree).split("\n\n")[0].replace("\n", " ")
            parts.append(f"## `replicate.{place.stem}`\n\n{about}\n\n" + table(("name", "does"), rows))
    return "\n\n".join(parts)


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
    print("\n".join(f"{'out of date' if check else 'filled'}: {page}" for page in stale) or "up to date")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
