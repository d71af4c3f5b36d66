"""The report: claims, figures and word explorer of a run in one self-contained HTML file.

The page loads nothing from the network and runs no code from the corpus: its
content-security policy allows its own scripts and styles, by their hashes, and
nothing else.  Without JavaScript, only the interactive explorer is missing.
"""

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from ..claims import LEAST_SEEDS, Judged, Verdict, seeds_note, sentence, shown_number, shown_range
from ..config import PAPER, PRESETS, Config
from ..inference import ALPHA
from ..io.data import SAMPLE_FILE, SAMPLE_VECTORS
from ..io.files import read_csv, save_text
from ..io.published import published_as
from ..run import CLAIMS, Run
from ..settings import VECTOR_TITLES
from . import explorer

__all__ = ["write_claims", "write_report"]

#: Claim -> the figure that shows it; Fig. 6 shows all other claims.
FIGURE_OF = {
    "S1": "table1", "F3": "fig3", "F4": "fig4", "F4b": "fig4", "F5": "fig5", "F5b": "fig5",
    "F5c": "fig5",
}  # fmt: skip

#: Figure -> title, what the paper says about it, and how to read ours.
FIGURES = {
    "fig3": {
        "title": "Fig. 3: correctly classified sentences",
        "says": "The saliency of words, standardised within each epoch, changes much in epochs "
        "0–20 and little after epoch 20; the change is roughly linear (§5.5.1, §6.1, §7).",
        "caption": "Each panel shows a sentence of T1, and each line a word of it. The words that "
        "change most are named. The dashed line marks the end of the paper's period of large "
        "changes. The figure shows one seed, as in the paper; the interval of the claim uses all "
        "seeds and all correctly classified sentences.",
    },
    "fig4": {
        "title": "Fig. 4: misclassified sentences",
        "says": "Saliency also changes much in epochs 0–20, and it keeps going up and down after "
        "epoch 20: for many words it has not converged in the second half of training (§5.5.1, "
        "§6.1, §7).",
        "caption": "As Fig. 3, for sentences that the model misclassifies. The interval of the "
        "claim uses all seeds and all misclassified sentences.",
    },
    "fig5": {
        "title": "Fig. 5: change from epoch to epoch",
        "says": "At most epochs, the saliency of 100 misclassified sentences, summed over all "
        "words, changes more from one epoch to the next than that of 100 correctly classified "
        "ones; the two curves are broadly similar (§5.5.2). Over the whole training, the "
        "misclassified sentences change more (§6.1, §7).",
        "caption": "Left: as in the paper, one seed. Middle: all sentences of T1, the mean over "
        "seeds with its interval. Right: the same for the gradient of the logit difference. With "
        "the model's own label, saliency is (1 − p) times that gradient. So part of the gap between "
        "the curves comes from the model's uncertainty; the right panel removes that part.",
    },
    "fig6": {
        "title": "Fig. 6: accuracy of the six models",
        "says": "In epochs 40–50, T1andT2 reaches about 0.78, T1andT2h about 0.76 and the four "
        "others about 0.75 (§6.2). T1andT2h is above T1andT2l throughout, and falls from epoch 20 "
        "on.",
        "caption": "Accuracy on T3 of the models of the second phase, mean over seeds. The vertical "
        "bars are intervals at some epochs, shifted sideways so that they do not overlap; the CSV "
        "has the intervals of all epochs. The dashed lines are the paper's levels.",
    },
}

#: Readings whose default comes from the calibration, not from the paper.
CALIBRATED = ("n_filters", "dropout", "optimizer", "learning_rate", "batch_size")

#: Figures and tables larger than this, in bytes, are named but not embedded in the page.
EMBEDDED_BYTES = 600_000

MEDIA_TYPES = {".csv": "text/csv", ".json": "application/json"}


def _text(value: float | tuple[float, ...]) -> str:
    """A number of a claim as text with all its digits; empty for NaN."""
    if isinstance(value, tuple):
        return ", ".join(f"{n:.0f}" for n in value)
    return "" if math.isnan(value) else repr(float(value))


def write_claims(run: Run, verdicts: list[Verdict]) -> None:
    """Write the verdicts: ``claims.csv``, and with all parts and intervals ``claims.json``.

    Args:
        run: the run to write to.
        verdicts: the result of :func:`replicate.claims.judge`.

    Example:
        >>> from replicate.claims import judge
        >>> write_claims(sample_run(), judge([]))
        >>> sample_run().verdicts["verdict"][0]
        'undecided'
    """
    run.save_claims(*claims_tables(verdicts))


def claims_tables(
    verdicts: Sequence[Verdict],
) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
    """Rows of ``claims.csv``, and the content of ``claims.json``."""
    rows = [
        (v.claim.id, v.claim.statement, v.claim.paper, _text(v.ours), _text(v.low), _text(v.high),
         v.seeds, v.verdict, v.reason, v.one_run, v.hits, v.runs)
        for v in verdicts
    ]  # fmt: skip
    whole = [
        {
            **dict(zip(CLAIMS, row)),
            "how": v.claim.how,
            "family": v.claim.family,
            "always": v.always,
            "runs_low": _number(v.share_low),
            "runs_high": _number(v.share_high),
            "parts": [_details(judged) for judged in v.parts],
        }
        for v, row in zip(verdicts, rows)
    ]
    return rows, whole


def _details(judged: Judged) -> dict[str, Any]:
    part = judged.part
    figure = float("nan") if part.reported is None else part.shown(part.reported)
    numbers = {n: v for n, v in vars(judged).items() if n not in ("part", "effects", "on_scale")}
    return {
        "title": part.title,
        "statistic": part.statistic,
        "scale": part.scale,
        "alike": part.alike,
        "beside": part.beside,
        "paper": _number(float(figure)),
        "smallest": _number(float(part.shown(part.smallest))),
        "source": part.source,
        **{name: _number(value) for name, value in numbers.items()},
    }


def _number(value: Any) -> Any:
    """None for NaN and infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_report(run: Run, verdicts: list[Verdict], seeds: list[int] | None = None) -> Path:
    """Write the report from the run's claims, figures and settings.

    Args:
        run: a run; it may have no finished seed.
        verdicts: the result of :func:`replicate.claims.judge`.
        seeds: the finished seeds, if they are known already.

    Returns:
        The path of the page.

    Example:
        >>> from replicate.claims import judge
        >>> write_report(sample_run(), judge([])).name
        'report.html'
    """
    seeds = run.finished_seeds() if seeds is None else seeds
    templates = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(decimals=decimals, short=short, grouped=grouped)
    style = (templates / "report.css").read_text(encoding="utf-8")
    scripts, data = [], None
    if seeds:
        data = explorer.gather(run, seeds[0])
        terms = (templates / "d3.LICENSE").read_text(encoding="utf-8")
        d3 = (templates / "d3.min.js").read_text(encoding="utf-8")
        scripts = [f"/*!\n{terms}*/\n{d3}", (templates / "explorer.js").read_text(encoding="utf-8")]
    claims = [_row(verdict) for verdict in verdicts]
    page = environment.get_template("report.html").render(
        policy=_policy(style, scripts),
        # Our own files: their hashes in the policy are of exactly these bytes.
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        data=None if data is None else Markup(explorer.safe_json(data)),
        explorer=data,
        extremes=None if data is None else _extremes(data),
        settings=run.settings,
        paper_epochs=PAPER["epochs"],
        vectors=_vectors(run),
        seeds=seeds,
        claims=claims,
        tally=_tally(verdicts),
        colours=COLOUR_OF,
        note=seeds_note(run.seeds),
        pictures=_pictures(run),
        figures=_figures(run, claims),
        table1=_table_1(run),
        readings=_readings(run),
        timing=run.timing,
        command=command(run),
        files=[f for f in map(_file, run.claims_files) if f],
        alpha=ALPHA,
        least_seeds=LEAST_SEEDS,
    )
    save_text(run.report_file, page)
    return run.report_file


#: Verdicts in the order of the page, with the class of their colour.
COLOUR_OF = {
    "reproduced": "good",
    "alike": "good",
    "checked": "good",
    "weaker": "part",
    "direction only": "part",
    "no such effect": "bad",
    "not alike": "bad",
    "reversed": "bad",
    "failed": "bad",
    "undecided": "open",
    "not applicable": "open",
}

#: Pictures of all claims: name -> title.
PICTURES = {
    "forest": "Where the mean of every claim’s parts lies",
    "difference": "T1andT2h less T1andT2l, epoch by epoch (O1, H)",
}


def _tally(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many claims have each verdict; S1 is arithmetic, and is not counted."""
    found = [v.verdict for v in verdicts if v.claim.id != "S1"]
    return {name: found.count(name) for name in COLOUR_OF if name in found}


def _pictures(run: Run) -> list[dict[str, Any]]:
    made = []
    for name, title in PICTURES.items():
        picture = _picture(run.figure(name))
        if picture:
            file = _file(run.figure(name).with_suffix(".csv"))
            made.append({"name": name, "title": title, "picture": picture, "file": file})
    return made


# --- numbers as text --------------------------------------------------------------


def decimals(value: float | None, digits: int = 3) -> str:
    """A number with a fixed number of decimals; a dash for NaN, and no minus before zero.

    Example:
        >>> decimals(-0.0213), decimals(-0.0001), decimals(float("nan"))
        ('−0.021', '0.000', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def short(value: float) -> str:
    """A small number with three digits, in the form that the page's JavaScript uses.

    Example:
        >>> short(0.000989593), short(0.0)
        ('9.90e-4', '0')
    """
    return re.sub(r"e([-+])0*(\d)", r"e\1\2", f"{value:.2e}") if value else "0"


def grouped(value: int) -> str:
    """A whole number with commas between thousands.

    Example:
        >>> grouped(10662)
        '10,662'
    """
    return f"{value:,}"


# --- parts of the page -------------------------------------------------------------


def _policy(style: str, scripts: Sequence[str]) -> str:
    """The content-security policy: it allows exactly these scripts and styles."""

    def hashes(texts: Sequence[str]) -> str:
        digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
        return " ".join(f"'sha256-{base64.b64encode(d).decode('ascii')}'" for d in digests)

    return "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {hashes([style])}",
            f"script-src {hashes(scripts) or chr(39) + 'none' + chr(39)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _row(verdict: Verdict) -> dict[str, Any]:
    counted = len(verdict.parts)
    first = verdict.parts[0] if verdict.parts else None
    return {
        "id": verdict.claim.id,
        "statement": verdict.claim.statement,
        "how": verdict.claim.how,
        "paper": verdict.claim.paper,
        "ours": shown_number(first.part, first.mean) if first else _text(verdict.ours),
        "found": first is None or first.seeds > 0,
        "interval": shown_range(first.part, first.low, first.high) if first else "–",
        "parts": [_part_row(judged) for judged in verdict.parts],
        "several": counted > 1,
        "sentence": sentence(verdict),
        "seeds": verdict.seeds,
        "verdict": verdict.verdict,
        "reason": verdict.reason.partition(": ")[2],
        "colour": COLOUR_OF[verdict.verdict],
        "hits": verdict.hits,
        "runs": verdict.runs,
        "one_run": verdict.one_run,
        "figure": FIGURE_OF.get(verdict.claim.id, "fig6"),
    }


def _part_row(judged: Judged) -> dict[str, Any]:
    part = judged.part
    return {
        "title": part.title,
        "beside": part.beside,
        "ours": shown_number(part, judged.mean),
        "interval": shown_range(part, judged.low, judged.high),
        "other": shown_range(part, judged.other_low, judged.other_high),
        "verdict": judged.verdict,
        "colour": COLOUR_OF[judged.verdict],
        "plot": _plot(judged),
    }


def _plot(judged: Judged, width: int = 150, pad: int = 6) -> dict[str, Any] | None:
    """Coordinates of the small drawing of a part's interval.

    Returns:
        The x coordinates of the interval, of our mean, of no effect, of the paper's
        figure, and of the effects too small to matter; None without an interval.
    """
    mean, low, high, *_ = judged.on_scale
    if not math.isfinite(low):
        return None
    smallest, reported = judged.part.smallest, judged.part.reported
    points = [low, high, -smallest, smallest, reported or 0.0]
    least, most = min(points), max(points)
    least, most = least - 0.06 * (most - least), most + 0.06 * (most - least)

    def x(number: float) -> float:
        return round(pad + (width - 2 * pad) * (number - least) / (most - least), 1)

    return {
        "width": width,
        "low": x(low),
        "high": x(high),
        "ours": x(mean),
        "value": x(0.0),
        "paper": None if reported is None else x(reported),
        "start": x(-smallest),
        "extent": round(x(smallest) - x(-smallest), 1),
    }


def _vectors(run: Run) -> dict[str, Any]:
    """Facts about the run's word vectors, and whether they are the paper's."""
    facts = run.settings["vectors"]
    title = VECTOR_TITLES.get(facts["sha256"], "")
    if facts["name"] == "random":
        title = "random vectors"
    return {**facts, "title": title or facts["name"], "full": title == "GoogleNews, full file"}


def _file(place: Path) -> dict[str, Any] | None:
    """A download link: the name of the file and, unless it is large, a data: address."""
    if not place.exists():
        return None
    data = place.read_bytes()
    if len(data) > EMBEDDED_BYTES:
        return {"name": place.name, "size": len(data), "address": ""}
    kind = MEDIA_TYPES[place.suffix]
    address = f"data:{kind};charset=utf-8," + quote(data, safe=",.:;()*-_~!")
    return {"name": place.name, "size": len(data), "address": address}


def _figures(run: Run, claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for name, texts in FIGURES.items():
        made.append(
            {
                "name": name,
                **texts,
                "picture": _picture(run.figure(name)),
                "file": _file(run.figure(name).with_suffix(".csv")),
                "claims": [row for row in claims if row["figure"] == name],
            }
        )
    return made


def _picture(stem: Path) -> str:
    """A figure as a data: address: the SVG, or the PNG if the SVG is too large."""
    for suffix, kind in ((".svg", "image/svg+xml"), (".png", "image/png")):
        place = stem.with_suffix(suffix)
        if place.exists() and (suffix == ".png" or place.stat().st_size <= EMBEDDED_BYTES):
            return f"data:{kind};base64," + base64.b64encode(place.read_bytes()).decode("ascii")
    return ""


def _table_1(run: Run) -> dict[str, Any] | None:
    place = run.figure("table1").with_suffix(".csv")
    if not place.exists():
        return None
    return {"rows": read_csv(place, ("subset", "paper", "ours")), "file": _file(place)}


def _extremes(
    data: dict[str, Any], most: int = 12, least: int = 8
) -> list[tuple[int, str, float, int]]:
    """The first and the last words by rank, for readers without JavaScript."""
    words = data["words"]
    rows = list(zip(words["rank"], words["word"], words["wac"], words["count"]))
    return rows[:most] + rows[max(most, len(rows) - least) :]


def _readings(run: Run) -> list[dict[str, Any]]:
    made = []
    for name, default, others, doc in Config.readings():
        value = run.settings[name]
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        paper = getattr(PRESETS["paper"], name)
        made.append(
            {
                "name": name,
                "value": shown,
                "default": default,
                "others": others,
                "doc": doc,
                "changed": shown != default,
                "calibrated": name in CALIBRATED and value == paper,
            }
        )
    return made


def command(run: Run) -> str:
    """The command that repeats the run; it names published corpora, and files without folders."""
    settings = run.settings
    seeds = settings["seeds"]
    if seeds == list(range(len(seeds))):
        shown = str(len(seeds))
    else:
        shown = ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")
    files, vectors = list(settings["corpus"]["sha256"]), settings["vectors"]
    sample = files == [SAMPLE_FILE]
    preset = "sample" if sample else "paper"
    corpus = published_as(settings["corpus"]["sha256"])
    if corpus is not None:
        files = [corpus.name]
    parts = [f"replicate run --preset {preset} --seeds {shown}"]
    if not sample:
        parts += [f"--corpus {shlex.quote(name)}" for name in files]
    # The sample's own vectors are the default of its preset.
    if not (sample and vectors["name"] == SAMPLE_VECTORS):
        parts.append(f"--vectors {shlex.quote(vectors['name'])}")
    if vectors["name"] == "random":
        parts.append(f"--dimensions {vectors['dimensions']}")
    for row in _readings(run):
        if settings[row["name"]] != getattr(PRESETS[preset], row["name"]):
            option = "--epochs " if row["name"] == "epochs" else f"--set {row['name']}="
            parts.append(option + row["value"])
    # Options that do not change the numbers, or only their last digits.
    if settings["device"] != "@cpu":
        parts.append(f"--device {settings['device']}")
    if settings["implementation"] != "fused":
        parts.append(f"--implementation {settings['implementation']}")
    if not settings["stored"]:
        parts.append("--streaming")
    if settings["epoch_weights"] != "first":
        parts.append(f"--epoch-weights {settings['epoch_weights']}")
    if settings["record_arms"]:
        parts.append("--record-arms")
    return " ".join([*parts, "--out DIR"])
