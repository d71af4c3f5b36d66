"""By which code each folder of ``results/`` was made, and whether it is the code of today.

Usage: python tools/provenance.py
       python tools/provenance.py --made FOLDER…
       python tools/provenance.py --neutral FOLDER SEED

Without an argument it says for each folder whether the code that numbers depend on has
changed since.  The exit code is 1 if it has and nobody compared.  ``--made`` notes that
folders were made by the code of today.  ``--neutral`` repeats a seed of a folder and
compares its statistics and accuracies with the committed ones, byte for byte; if they are
the same, it notes that the code of today gives the folder's numbers.

The code is told apart by a checksum of the modules in :data:`NUMBERS`, without comments and
docstrings.  ``results/provenance.json`` holds it: ``made`` (folder -> code), ``neutral``
(from which code to which, and what was compared), and ``older`` (folder -> why it was not
made again).
"""

import ast
import hashlib
import io
import sys
import tempfile
import tokenize
from pathlib import Path

import collect

from replicate.config import ARMS
from replicate.experiment import prepare, run_seed
from replicate.io.data import data_folders, find_data
from replicate.io.errors import InputError
from replicate.io.files import load_json, save_json
from replicate.io.published import published_as
from replicate.results import read_accuracies, save_seeds
from replicate.run import Options
from replicate.settings import read_settings

REPOSITORY = Path(__file__).resolve().parents[1]
PLACE = REPOSITORY / "results" / "provenance.json"
ACCURACIES = "accuracy.csv.gz"
#: What numbers of a run on a CPU depend on, below ``replicate/``.
NUMBERS = (
    "config.py", "corpus.py", "experiment.py", "fast/optimizers.py", "fast/compat.py",
    "fast/convolution.py", "fast/product.py", "fast/rows.py", "instability.py", "model.py",
    "recorder.py", "saliency.py", "selection.py", "split.py", "statistics.py", "training.py",
    "vectors.py",
)  # fmt: skip


def code(package=REPOSITORY / "replicate"):
    """Checksum of the modules that numbers depend on, 16 hexadecimal digits.

    Comments, docstrings and empty lines do not count.  (A dump of the syntax tree would
    differ between versions of Python.)
    """
    digest = hashlib.sha256()
    for name in NUMBERS:
        source = (Path(package) / name).read_text(encoding="utf-8")
        digest.update("\n".join([name, *_lines(source), ""]).encode())
    return digest.hexdigest()[:16]


def _lines(source):
    """Lines of code, without what does not count."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            first, last = body[0].lineno - 1, body[0].end_lineno
            lines[first:last] = [""] * (last - first)
    return [line.rstrip() for line in lines if line.strip()]


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def folders(results=PLACE.parent):
    """Names of the folders whose numbers are those of seeds."""
    return sorted(
        str(place.parent.relative_to(results))
        for place in Path(results).rglob("statistics.csv")
        if (place.parent / "config.json").is_file()
    )


def stale(record, today, names):
    """Folder -> what is wrong, for folders that are not those of today's code.

    Args:
        record (dict): of ``provenance.json``.
        today (str): the code's checksum.
        names: folders that there are.
    """
    found = {}
    for name in names:
        if name in record["older"]:
            continue
        if name not in record["made"]:
            found[name] = "nobody noted by which code it was made"
            continue
        reached, grown = {record["made"][name]}, True
        while grown:
            more = {link["to"] for link in record["neutral"] if link["from"] in reached}
            grown = bool(more - reached)
            reached |= more
        if today not in reached:
            found[name] = "the code that numbers depend on has changed since"
    for name in sorted({*record["made"], *record["older"]} - set(names)):
        found[name] = "is noted, but there is no such folder"
    return found


def links(record, today, name, seed):
    """What is known when a seed of a folder repeats with the code of today.

    It leads here from the code that made the folder, and from every other that made one and
    that repeated the same seed before.
    """
    compared = f"{name}, seed {seed}"
    same = {link["to"] for link in record["neutral"] if link["compared"] == compared}
    sources = sorted({record["made"][name]} | (same & set(record["made"].values())))
    found = [{"from": code, "to": today, "compared": compared} for code in sources]
    return [link for link in found if link["from"] != today and link not in record["neutral"]]


def prepared(committed, folder, seeds, options):
    """A run in `folder` with the settings, corpus and vectors of committed results.

    Raises:
        InputError: where the corpus or the vectors are not there, or are others.
    """
    settings, config = read_settings(committed / "config.json")
    name = settings["vectors"]["name"]
    vectors = [place / name for place in data_folders() if (place / name).is_file()]
    if not vectors:
        raise InputError(f"{name} is not there; set REPLICATE_DATA to the folder that has it")
    corpus = published_as(settings["corpus"]["sha256"])
    _, paths, vectors = find_data("paper", (corpus.name,) if corpus else (), vectors[0])
    run = prepare(folder, config, options, seeds, paths, vectors, settings.get("preset", ""))
    for what in ("corpus", "vectors"):
        if run.settings[what]["sha256"] != settings[what]["sha256"]:
            raise InputError(f"{committed}: made with another {what}; name that of its config.json")
    return run


def repeat(folder, seed):
    """Files whose numbers of a seed do not repeat to the last bit: empty if all do.

    Args:
        folder (Path): of results on MR, or ``corpora/NAME``.
        seed (int): one of its seeds.

    Raises:
        InputError: where the corpus or the vectors are not there, or are others.
    """
    settings, _ = read_settings(folder / "config.json")
    with tempfile.TemporaryDirectory() as work:
        options = Options(stored=settings["stored"])  # without the series a statistic is missing
        run = prepared(folder, Path(work) / "run", [seed], options)
        run_seed(run, seed)
        again = Path(work)
        collect.save_statistics(run, again)
        differing = []
        if rows(folder / "statistics.csv", seed) != rows(again / "statistics.csv", seed):
            differing.append("statistics.csv")
        if (folder / ACCURACIES).is_file():
            save_seeds(run, again)
            was, now = (read_accuracies(place)[seed] for place in (folder, again))
            if any(was[arm].tobytes() != now[arm].tobytes() for arm in ARMS):
                differing.append(ACCURACIES)
        return differing


def rows(place, seed):
    """The head of a table and the lines of a seed, as they are."""
    head, *lines = place.read_bytes().splitlines()
    return [head, *(line for line in lines if line.startswith(b"%d," % seed))]


def main(arguments):
    """Say, or note; the exit code."""
    record, today = load_json(PLACE), code()
    if arguments[:1] == ["--made"]:
        for name in arguments[1:]:
            record["made"][name] = today
            record["older"].pop(name, None)
        save_json(PLACE, record)
    elif arguments[:1] == ["--neutral"]:
        name, seed = arguments[1], int(arguments[2])
        differing = repeat(PLACE.parent / name, seed)
        if differing:
            print(f"{name}: seed {seed} gives other rows in {', '.join(differing)}")
            return 1
        record["neutral"] += links(record, today, name, seed)
        save_json(PLACE, record)
        print(f"{name}: seed {seed} repeats byte for byte")
    wrong = stale(record, today, folders())
    print("\n".join(f"{name}: {why}" for name, why in wrong.items()) or "up to date")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
