"""Answers to the questions that the paper leaves open, as the report shows them.

They are read from what ``replicate questions``, ``choice``, ``ceiling`` and ``trust`` wrote.
"""

from pathlib import Path
from typing import Any

from ..io.files import read_csv
from .strings import Words

__all__ = ["BEST", "CHOICE", "COMPONENTS", "MEANS", "QUESTIONS", "RIVALS", "TRUST", "answers"]

#: Columns of ``questions/questions.csv``.
QUESTIONS = ("id", "measure", "test", "ours", "low", "high", "seeds", "answer")
#: Columns of ``questions/rivals.csv``.
RIVALS = ("score", "share", "labels", "accuracy", "gain", "low", "high", "seeds", "p", "verdict")
#: Columns of ``choice/choice.csv``.
CHOICE = ("measure", "paper", "ours", "low", "high", "seeds", "answer")

#: Columns of ``ceiling/components.csv``.
COMPONENTS = ("source", "variance", "low", "high", "deviation", "share", "seeds")
#: Columns of ``ceiling/best.csv``.
BEST = ("measure", "mean", "low", "high", "seeds")
#: Columns of tables of ``trust``, after the first.
MEANS = ("measure", "mean", "low", "high", "seeds")
#: What is shown of ``trust``: file -> cells of a row -> the key of its text.
TRUST: dict[str, dict[tuple[str, ...], str]] = {
    "totals.csv": {("all", "zero"): "zero", ("all", "jump"): "jump"},
    "agreement.csv": {
        (source, "wac"): source.replace(" ", "_")
        for source in ("initialisation", "order", "split", "unknown words", "all")
    },
}
#: Beginning of an answer -> class of its colour.
COLOURS = {
    "yes": "good", "reproduced": "good", "alike": "good", "better": "good",
    "weaker": "part", "direction only": "part",
    "no such effect": "bad", "not alike": "bad", "reversed": "bad", "no": "bad", "worse": "bad",
    "undecided": "open",
}  # fmt: skip


def answers(folder: Path, words: Words) -> list[dict[str, Any]]:
    """Tables of the answers that a run's folder has.

    Args:
        folder: DIR.
        words: the page's language.

    Returns:
        For each table its title, header and rows, and the path of its CSV file.

    Example:
        >>> answers(Path("nowhere"), Words("en"))
        []
    """
    made = []
    for build, place in (
        (_questions, folder / "questions" / "questions.csv"),
        (_rivals, folder / "questions" / "rivals.csv"),
        (_choice, folder / "choice" / "choice.csv"),
        (_ceiling, folder / "ceiling" / "components.csv"),
        (_trust, folder / "trust" / "agreement.csv"),
    ):
        if place.exists():
            made.append({"about": "", "grid": False, "place": place, **build(place, words)})
    return made


def _cell(text: str, note: str = "", colour: str = "") -> dict[str, str]:
    return {"text": text, "note": note, "colour": colour}


def _colour(answer: str) -> str:
    return COLOURS.get(answer.partition(":")[0], "")


def _range(low: str, high: str, digits: int, factor: float = 1.0) -> str:
    try:
        bounds = [factor * float(bound) for bound in (low, high)]
    except ValueError:  # a row without an interval
        return "–"
    # Fewer than three seeds have none either.
    return "–" if bounds[0] != bounds[0] else " … ".join(f"{b:+.{digits}f}" for b in bounds)


def _header(words: Words, *names: str) -> list[str]:
    return [words(f"answers.{name}") for name in names]


def _questions(place: Path, words: Words) -> dict[str, Any]:
    rows = []
    for row in read_csv(place, QUESTIONS, {"ours": float}):
        rows.append(
            (
                f"{row['id']}: {words.of(row['measure'])}",
                _cell(f"{row['ours']:+.3f}"),
                _cell(_range(row["low"], row["high"], 3)),
                _cell(row["seeds"]),
                _cell(words.of(row["answer"]), "", _colour(row["answer"])),
            )
        )
    header = _header(words, "measure", "ours", "interval", "seeds", "answer")
    return {"title": words("answers.questions"), "header": header, "rows": rows}


def _rivals(place: Path, words: Words) -> dict[str, Any]:
    """Gains over random sentences: a row a score, a column a share of T2."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in read_csv(place, RIVALS):
        found.setdefault(row["score"], {})[row["share"]] = row
    shares = sorted({share for own in found.values() for share in own}, key=float)
    rows: list[tuple[Any, ...]] = []
    for score, own in found.items():
        star = " *" if any(row["labels"] == "1" for row in own.values()) else ""
        cells = []
        for share in shares:
            if share not in own:
                cells.append(_cell("–"))
                continue
            row = own[share]
            gain = f"{100 * float(row['gain']):+.2f}"
            note = _range(row["low"], row["high"], 2, 100)
            decided = row["verdict"] in ("better", "worse")
            cells.append(_cell(gain, note, _colour(row["verdict"]) if decided else ""))
        name = words.of(score.removeprefix("without_"))
        if score.startswith("without_"):
            name = words("answers.without", score=name)
        rows.append((name + star, *cells))
    header = [words("answers.score")]
    header += [words("answers.share", share=f"{100 * float(share):.0f}") for share in shares]
    about = words("answers.rivals.about")
    return {
        "title": words("answers.rivals"),
        "about": about,
        "header": header,
        "rows": rows,
        "grid": True,
    }


def _choice(place: Path, words: Words) -> dict[str, Any]:
    rows = []
    for row in read_csv(place, CHOICE, {"ours": float}):
        # What is compared with a figure or judged is a difference of accuracies, in points.
        points = bool(row["paper"])
        factor, digits = (100.0, 2) if points else (1.0, 3)
        ours = f"{factor * row['ours']:+.{digits}f}" if points else f"{row['ours']:.3g}"
        unit = " points" if points else ""
        rows.append(
            (
                words.of(row["measure"]),
                _cell(words.number(row["paper"])),
                _cell(words.number(ours + unit)),
                _cell(_range(row["low"], row["high"], digits, factor)),
                _cell(row["seeds"]),
                _cell(words.of(row["answer"]), "", _colour(row["answer"])),
            )
        )
    header = _header(words, "measure", "paper", "ours", "interval", "seeds", "answer")
    about = words("answers.choice.about")
    return {"title": words("answers.choice"), "about": about, "header": header, "rows": rows}


def _ceiling(place: Path, words: Words) -> dict[str, Any]:
    """Where the accuracy comes from, and what the best half gains."""
    found = {row["source"]: row for row in read_csv(place, COMPONENTS)}
    best = read_csv(place.parent / "best.csv", BEST)
    rows: list[tuple[Any, ...]] = []
    for source, row in found.items():
        spread = _cell(words.number(f"{100 * float(row['deviation']):.2f} points"))
        low, high = (str(max(float(row[name]), 0.0) ** 0.5) for name in ("low", "high"))
        shown = _range(low, high, 2, 100).replace("+", "")
        rows.append((words(f"answers.source.{source}"), spread, _cell(shown), _cell(row["seeds"])))
    # A folder of an earlier version has two.
    for key, row in zip(("answers.best.seen", "answers.best.real", "answers.best.known"), best):
        gain = _cell(words.number(f"{100 * float(row['mean']):+.2f} points"))
        rows.append((words(key), gain, _cell(_range(row["low"], row["high"], 2, 100)),
                     _cell(row["seeds"])))  # fmt: skip
    shares = {name: f"{100 * float(row['share']):.0f}" for name, row in found.items()}
    seen, real = (f"{100 * float(row['mean']):+.2f}" for row in best[:2])
    about = words("answers.ceiling.about", **shares, seen=seen, real=real)
    header = _header(words, "measure", "ours", "interval", "seeds")
    return {"title": words("answers.ceiling"), "about": about, "header": header, "rows": rows}


def _trust(place: Path, words: Words) -> dict[str, Any]:
    """How much jumps, and how much of it another training finds again."""
    rows: list[tuple[Any, ...]] = []
    numbers = {}
    for name, wanted in TRUST.items():
        kind = "source" if name == "agreement.csv" else "sentences"
        for row in read_csv(place.parent / name, (kind, *MEANS)):
            first, measure = row[kind], row["measure"]
            if (first, measure) not in wanted:
                continue
            key = wanted[first, measure]
            numbers[key] = float(row["mean"])
            rows.append((words(f"answers.trust.{key}"), _cell(f"{numbers[key]:.2f}"),
                         _cell(_range(row["low"], row["high"], 2).replace("+", "")),
                         _cell(row["seeds"])))  # fmt: skip
    about = words(
        "answers.trust.about",
        jump=f"{100 * numbers['jump']:.0f}", zero=f"{100 * numbers['zero']:.0f}",
        weights=f"{numbers['initialisation']:.2f}", all=f"{numbers['all']:.2f}",
    )  # fmt: skip
    header = _header(words, "measure", "ours", "interval", "seeds")
    return {"title": words("answers.trust"), "about": about, "header": header, "rows": rows}
