"""Claims, figures and the explorer of a run as one self-contained HTML file.

The page asks nothing of the network and runs no code from the corpus: its
content-security policy names its own scripts and styles by their hashes and
forbids all else.  Without JavaScript only the explorer's interaction is gone.
"""

import base64
import hashlib
import math
import re
import shlex
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from ..claims import Verdict
from ..config import PAPER, PRESETS, Config
from ..inference import ALPHA, MARGIN, POWER
from ..io.data import SAMPLE_FILE, SAMPLE_VECTORS
from ..io.files import read_csv, save_text
from ..run import CLAIMS, VECTOR_TITLES, Run
from . import explorer

__all__ = ["write_claims", "write_report"]

#: Which figure shows a claim; Fig. 6 shows the others.
FIGURE_OF = {"S1": "table1", "F3": "fig3", "F4": "fig4", "F5": "fig5", "F5b": "fig5"}

#: Figure -> title, what the paper says of it, and how to read ours.
FIGURES = {
    "fig3": {
        "title": "Fig. 3: correctly classified sentences",
        "says": "Saliency of words, standardised within each epoch, moves much in epochs 0–20 and "
        "little from 20 on; the change is roughly linear (§5.5.1, §6.1, §7).",
        "caption": "Each panel is a sentence of T1, each line a word of it; the words that move "
        "most are named. The dashed line is where the paper sees the movement end. One seed, as in "
        "the paper; the interval is over all seeds and all correctly classified sentences.",
    },
    "fig4": {
        "title": "Fig. 4: misclassified sentences",
        "says": "It moves much in epochs 0–20 too, and keeps moving up and down after 20: for many "
        "words it has not converged in the second half of training (§5.5.1, §6.1, §7).",
        "caption": "Drawn as Fig. 3, from sentences that the model misclassifies. The interval is "
        "over all seeds and all misclassified sentences.",
    },
    "fig5": {
        "title": "Fig. 5: movement from epoch to epoch",
        "says": "Summed over all words, saliency of 100 misclassified sentences changes more from "
        "epoch to epoch than that of 100 correctly classified ones, at most epochs; the curves are "
        "broadly similar (§5.5.2). Over the whole training the misclassified change more (§6.1, "
        "§7).",
        "caption": "Left: the paper's drawing, one seed. Middle: all sentences of T1, mean over "
        "seeds with its interval. Right: the same of the gradient of the logit difference. With "
        "the model's own label, saliency is (1 − p) times that gradient, so part of the gap is the "
        "model's lack of confidence; the right panel leaves that part out.",
    },
    "fig6": {
        "title": "Fig. 6: accuracy of the six models",
        "says": "Epochs 40–50: T1andT2 about 0.78, T1andT2h about 0.76, the four others about 0.75 "
        "(§6.2). T1andT2h lies above T1andT2l throughout, and falls from epoch 20 on.",
        "caption": "Accuracy on T3 of the models of the second phase, mean over seeds; the upright "
        "bars are its intervals at some epochs, moved aside so that all can be seen (the CSV has "
        "every epoch's); the dashed lines are the paper's levels.",
    },
}

#: Readings whose default was calibrated, not taken from the paper.
CALIBRATED = ("n_filters", "dropout", "optimizer", "learning_rate", "batch_size")

#: A figure or table above this size is named, not held in the page.
EMBEDDED_BYTES = 600_000

MEDIA_TYPES = {".csv": "text/csv", ".json": "application/json"}


def _text(value):
    """A value of a claim as text: numbers with all digits, NaN as nothing."""
    if isinstance(value, tuple):
        return ", ".join(f"{n:.0f}" for n in value)
    return "" if math.isnan(value) else repr(float(value))


def write_claims(run: Run, verdicts: list[Verdict]) -> None:
    """Write the verdicts: a table, and every component with its p values.

    Args:
        run: where to.
        verdicts: of :func:`replicate.claims.judge`.
    """
    rows = [
        (v.claim.id, v.claim.statement, v.claim.paper, _text(v.ours), _text(v.low), _text(v.high),
         v.seeds, v.verdict)
        for v in verdicts
    ]  # fmt: skip
    whole = [
        {
            **dict(zip(CLAIMS, row)),
            "how": v.claim.how,
            "p_reproduced": _number(v.p_yes),
            "p_contradicted": _number(v.p_no),
            "smallest_detectable_effect": _number(v.detectable),
            "components": [
                {key: _number(value) for key, value in vars(tested).items()} for tested in v.tested
            ],
        }
        for v, row in zip(verdicts, rows)
    ]
    run.save_claims(rows, whole)


def _number(value):
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def write_report(run: Run, verdicts: list[Verdict], seeds: list[int] | None = None) -> Path:
    """Write the report from the run's claims, figures and settings.

    Args:
        run: with or without finished seeds.
        verdicts: of :func:`replicate.claims.judge`.
        seeds: those that are finished; None looks.

    Returns:
        The page.
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
        # Our own files, named in the policy by these very bytes.
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
        tally={name: sum(v.verdict == name for v in verdicts) for name in VERDICTS},
        figures=_figures(run, claims),
        table1=_table_1(run),
        readings=_readings(run),
        timing=run.timing,
        command=command(run),
        files=[f for f in map(_file, run.claims_files) if f],
        margin=MARGIN,
        alpha=ALPHA,
        power=POWER,
    )
    save_text(run.report_file, page)
    return run.report_file


VERDICTS = ("reproduced", "contradicted", "inconclusive")


# --- numbers as they are shown ---------------------------------------------------


def decimals(value, digits=3):
    """A number with a fixed number of decimals, a true minus, and no minus before zero.

    Example:
        >>> decimals(-0.0213), decimals(-0.0001), decimals(float("nan"))
        ('−0.021', '0.000', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def short(value):
    """A small number with three digits, as the page's JavaScript writes it.

    Example:
        >>> short(0.000989593), short(0.0)
        ('9.90e-4', '0')
    """
    return re.sub(r"e([-+])0*(\d)", r"e\1\2", f"{value:.2e}") if value else "0"


def grouped(value):
    """A whole number with a comma every three digits.

    Example:
        >>> grouped(10662)
        '10,662'
    """
    return f"{value:,}"


# --- parts of the page -------------------------------------------------------------


def _policy(style, scripts):
    """The content-security policy: nothing but these very scripts and styles."""

    def hashes(texts):
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


def _row(verdict):
    ours = verdict.ours
    found = isinstance(ours, tuple) or not math.isnan(ours)
    return {
        "id": verdict.claim.id,
        "statement": verdict.claim.statement,
        "how": verdict.claim.how,
        "paper": verdict.claim.paper,
        "ours": _text(ours) if isinstance(ours, tuple) else decimals(ours),
        "found": found,
        "low": decimals(verdict.low),
        "high": decimals(verdict.high),
        "interval": not math.isnan(verdict.low),
        "seeds": verdict.seeds,
        "verdict": verdict.verdict,
        "detectable": decimals(verdict.detectable),
        "figure": FIGURE_OF.get(verdict.claim.id, "fig6"),
        "plot": _plot(verdict),
    }


def _plot(verdict, width=150, pad=6):
    """Places in a small drawing of a claim's interval, or None where there is none.

    Returns:
        dict: x of the interval's ends, of ours, of the value it is held
        against, and of the ends of where the claim would have it.
    """
    if not verdict.claim.components or not math.isfinite(verdict.low):
        return None
    component = verdict.claim.components[0]
    value = component.value
    reach = component.margin if component.kind == "within" else 0.0
    points = [verdict.low, verdict.high, value - reach, value + reach]
    low, high = min(points), max(points)
    if low == high:
        return None
    # Room beyond the outermost, so that "above" and "below" have a side.
    low, high = low - 0.12 * (high - low), high + 0.12 * (high - low)

    def x(number):
        return round(pad + (width - 2 * pad) * (number - low) / (high - low), 1)

    start = x(value - reach) if component.kind == "within" else x(value)
    stop = x(value + reach) if component.kind == "within" else width
    if component.kind == "below":
        start, stop = 0, x(value)
    return {
        "width": width,
        "low": x(verdict.low),
        "high": x(verdict.high),
        "ours": x(verdict.ours),
        "value": x(value),
        "start": start,
        "extent": round(stop - start, 1),
    }


def _vectors(run):
    """What the run's word vectors are, and whether they are the paper's."""
    facts = run.settings["vectors"]
    title = VECTOR_TITLES.get(facts["sha256"], "")
    if facts["name"] == "random":
        title = "random vectors"
    return {**facts, "title": title or facts["name"], "full": title == "GoogleNews, full file"}


def _file(place):
    """A file as a download link: its name and, unless it is large, a data: address."""
    if not place.exists():
        return None
    data = place.read_bytes()
    if len(data) > EMBEDDED_BYTES:
        return {"name": place.name, "size": len(data), "address": ""}
    kind = MEDIA_TYPES[place.suffix]
    address = f"data:{kind};charset=utf-8," + quote(data, safe=",.:;()*-_~!")
    return {"name": place.name, "size": len(data), "address": address}


def _figures(run, claims):
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


def _picture(stem):
    """A figure as a data: address: SVG, or PNG where that is too large."""
    for suffix, kind in ((".svg", "image/svg+xml"), (".png", "image/png")):
        place = stem.with_suffix(suffix)
        if place.exists() and (suffix == ".png" or place.stat().st_size <= EMBEDDED_BYTES):
            return f"data:{kind};base64," + base64.b64encode(place.read_bytes()).decode("ascii")
    return ""


def _table_1(run):
    place = run.figure("table1").with_suffix(".csv")
    if not place.exists():
        return None
    return {"rows": read_csv(place, ("subset", "paper", "ours")), "file": _file(place)}


def _extremes(data, most=12, least=8):
    """First and last words by rank, for readers without JavaScript."""
    words = data["words"]
    rows = list(zip(words["rank"], words["word"], words["wac"], words["count"]))
    return rows[:most] + rows[max(most, len(rows) - least) :]


def _readings(run):
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


def command(run):
    """The command that repeats the run, from its settings; files are named without their folders."""
    settings = run.settings
    seeds = settings["seeds"]
    if seeds == list(range(len(seeds))):
        shown = str(len(seeds))
    else:
        shown = ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")
    files, vectors = list(settings["corpus"]["sha256"]), settings["vectors"]
    sample = files == [SAMPLE_FILE]
    preset = "sample" if sample else "paper"
    parts = [f"replicate run --preset {preset} --seeds {shown}"]
    if not sample:
        parts += [f"--corpus {shlex.quote(name)}" for name in files]
    # The sample's own vectors lie beside it.
    if not (sample and vectors["name"] == SAMPLE_VECTORS):
        parts.append(f"--vectors {shlex.quote(vectors['name'])}")
    if vectors["name"] == "random":
        parts.append(f"--dimensions {vectors['dimensions']}")
    for row in _readings(run):
        if settings[row["name"]] != getattr(PRESETS[preset], row["name"]):
            option = "--epochs " if row["name"] == "epochs" else f"--set {row['name']}="
            parts.append(option + row["value"])
    # What does not change the numbers, or only their last digits.
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
