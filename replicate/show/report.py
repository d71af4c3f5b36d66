"""The report: claims, figures and word explorer of a run in one self-contained HTML file.

The page loads nothing from the network and runs no code from the corpus: its
content-security policy allows its own scripts and styles, by their hashes, and
nothing else.  Without JavaScript, only the interactive explorer is missing.  Its texts
are those of :mod:`replicate.show.strings`, in English or in Japanese.
"""

import base64
import functools
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

from ..claims import is_paper_corpus
from ..config import PAPER, PRESETS, Config
from ..environment import commit
from ..inference import ALPHA
from ..io.data import SAMPLE_FILE, SAMPLE_VECTORS
from ..io.files import read_csv, save_text
from ..io.published import published_as
from ..run import CLAIMS, Run
from ..settings import VECTOR_TITLES
from ..verdicts import LEAST_SEEDS, Judged, Verdict
from . import explorer
from .answers import answers
from .charts import interval
from .outcome import banners, outcome, tiles
from .panels import ARM_KINDS, experiment, panels, read_sentences
from .strings import Words
from .wording import deciding, seeds_note, shown_number, shown_range

__all__ = ["write_claims", "write_report"]

#: Claim -> the figure that shows it; Fig. 6 shows all other claims.
FIGURE_OF = {
    "S1": "table1", "F3": "fig3", "F4": "fig4", "F4b": "fig4", "F5": "fig5", "F5b": "fig5",
    "F5c": "fig5",
}  # fmt: skip

#: Figure -> the CSV files that it is drawn from.
FIGURES = {
    "fig3": ("fig3",),
    "fig4": ("fig4",),
    "fig5": ("fig5",),
    "fig6": ("fig6", "fig6-differences"),
}
#: Pictures of claims that are files of the run only: the page offers their numbers.
PICTURES = ("forest", "difference")

#: How the software is cited; the same as in CITATION.cff.
TITLE = "Word saliency while a CNN learns: a replication that decides"
AUTHORS = "The developers of the word saliency replication package"

#: Readings whose default was fitted to the paper's numbers (docs/readings.md).
FITTED = ("n_filters", "dropout", "optimizer", "learning_rate", "batch_size")

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
        verdicts: the result of :func:`replicate.verdicts.judge`.

    Example:
        >>> from replicate.verdicts import judge
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


def write_report(
    run: Run, verdicts: list[Verdict], seeds: list[int] | None = None, language: str = "en"
) -> Path:
    """Write the report from the run's claims, figures and settings.

    Args:
        run: a run; it may have no finished seed.
        verdicts: the result of :func:`replicate.verdicts.judge`.
        seeds: the finished seeds, if they are known already.
        language: ``"en"`` or ``"ja"``.

    Returns:
        The path of the page.

    Example:
        >>> from replicate.verdicts import judge
        >>> write_report(sample_run(), judge([])).name
        'report.html'
    """
    seeds = run.finished_seeds() if seeds is None else seeds
    words = Words(language)
    templates = Path(__file__).parent / "templates"
    style = (templates / "report.css").read_text(encoding="utf-8")
    scripts, data = [(templates / "page.js").read_text(encoding="utf-8")], None
    if seeds:
        data = explorer.gather(run, seeds[0])
        terms = (templates / "d3.LICENSE").read_text(encoding="utf-8")
        d3 = (templates / "d3.min.js").read_text(encoding="utf-8")
        scripts += [
            f"/*!\n{terms}*/\n{d3}",
            (templates / "explorer.js").read_text(encoding="utf-8"),
        ]
    sample = is_sample(run)
    paper_corpus = is_paper_corpus(run.settings["corpus"]["sha256"])
    claims = [_row(verdict, words) for verdict in verdicts]
    table1 = _table_1(run)
    readings = _readings(run, words)
    page = _template().render(
        t=words,
        language=language,
        policy=_policy(style, scripts),
        # Our own files: their hashes in the policy are of exactly these bytes.
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        texts=Markup(explorer.safe_json(words.beginning("js."))),
        data=None if data is None else Markup(explorer.safe_json(data)),
        explorer=data,
        extremes=None if data is None else _extremes(data),
        settings=run.settings,
        paper_epochs=PAPER["epochs"],
        vectors=_vectors(run, words),
        seeds=seeds,
        outcome=outcome(verdicts, words, sample),
        banners=banners(verdicts, words, run.settings["corpus"]["sentences"], sample, paper_corpus),
        steps=_steps(table1, words),
        tiles=tiles(verdicts, words, COLOUR_OF),
        claims=claims,
        note=words.of(seeds_note(run.seeds)),
        figures=_figures(run, claims, words, len(seeds), paper_corpus),
        answers=[{**one, "file": _file(one["place"])} for one in answers(run.out, words)],
        table1=table1,
        readings=readings,
        changed=sum(row["changed"] for row in readings),
        timing=run.timing,
        command=command(run),
        commit=made_by(run),
        date=run.last_trained,
        citation=citation(run),
        files=_present([*run.claims_files, *(_csv(run, name) for name in PICTURES)]),
        alpha=ALPHA,
        least_seeds=LEAST_SEEDS,
    )
    place = run.report_in(language)
    save_text(place, page)
    return place


@functools.cache
def _template() -> jinja2.Template:
    """The page's template, compiled once for all languages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(decimals=decimals, short=short, grouped=grouped)
    return environment.get_template("report.html")


def is_sample(run: Run) -> bool:
    """Whether the corpus is the sample that the package can always find."""
    return list(run.settings["corpus"]["sha256"]) == [SAMPLE_FILE]


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


def _row(verdict: Verdict, words: Words) -> dict[str, Any]:
    claim = verdict.claim
    # Another corpus is not compared with the paper's levels, so it is not drawn beside them.
    drawn = verdict.verdict != "not applicable"
    parts = [_part_row(judged, words, drawn) for judged in verdict.parts]
    figure = FIGURE_OF.get(claim.id, "fig6")
    row = {
        "id": claim.id,
        "statement": words.of(claim.statement),
        "how": words.of(claim.how),
        "paper": words.of(claim.paper),
        "ours": parts[0]["ours"] if parts else _text(verdict.ours),
        "found": not parts or verdict.parts[0].seeds > 0,
        "interval": parts[0]["interval"] if parts else "–",
        "parts": parts,
        "sentence": words.said(verdict),
        "seeds": verdict.seeds,
        "verdict": words(f"verdict.{verdict.verdict}"),
        "colour": COLOUR_OF[verdict.verdict],
        "hits": verdict.hits,
        "runs": verdict.runs,
        "one_run": words.of(verdict.one_run),
        "figure": figure,
        "figure_title": words(f"{figure}.short"),
        "drawing": "",
        "shown": "–",
        "shown_interval": "–",
    }
    if verdict.parts:
        # A claim is drawn by the part that its verdict comes from.
        shown = parts[verdict.parts.index(deciding(verdict))]
        row.update(drawing=shown["drawing"], shown=shown["ours"], shown_interval=shown["interval"])
    elif row["ours"]:
        row["shown"] = row["ours"]
    return row


def _part_row(judged: Judged, words: Words, drawn: bool = True) -> dict[str, Any]:
    part = judged.part
    mean, low, high, *_ = (effect / part.smallest for effect in judged.on_scale)
    reported = None if part.reported is None else part.reported / part.smallest
    return {
        "title": words.of(part.title),
        "beside": part.beside,
        "ours": words.number(shown_number(part, judged.mean)),
        "interval": words.number(shown_range(part, judged.low, judged.high)),
        "other": words.number(shown_range(part, judged.other_low, judged.other_high)),
        "verdict": words(f"verdict.{judged.verdict}"),
        "colour": COLOUR_OF[judged.verdict],
        "drawing": interval(mean, low, high, reported) if drawn else "",
    }


def _steps(table1: dict[str, Any] | None, words: Words) -> list[dict[str, Any]]:
    """The drawing of the experiment: its steps, with the sizes of this run where they are known."""
    sizes = {row["subset"]: int(row["ours"]) for row in table1["rows"]} if table1 else {}
    drawings = experiment(words)
    texts = {name: words(f"step.{name}.text") for name in ("record", "words", "models")}
    if sizes:
        texts["train"] = words("step.train.sized", size=grouped(sizes["T1"]))
        texts["halves"] = words(
            "step.halves.sized", size=grouped(sizes["T2h"]), other=grouped(sizes["T2l"])
        )
    else:
        texts["train"], texts["halves"] = words("step.train.text"), words("step.halves.text")
    arms = [{"name": arm, "kind": kind} for arm, kind in ARM_KINDS.items()]
    return [
        {
            "name": name,
            "title": words(f"step.{name}"),
            "drawing": drawings.get(name, ""),
            "text": texts[name],
            "arms": arms if name == "models" else [],
        }
        for name in ("train", "record", "words", "halves", "models")
    ]


def _vectors(run: Run, words: Words) -> dict[str, Any]:
    """Facts about the run's word vectors, and whether they are the paper's."""
    facts = run.settings["vectors"]
    title = VECTOR_TITLES.get(facts["sha256"], "")
    if facts["name"] == "random":
        title = "random vectors"
    full = title == "GoogleNews, full file"
    return {**facts, "title": words.of(title) or facts["name"], "full": full}


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


def _csv(run: Run, name: str) -> Path:
    return run.figure(name).with_suffix(".csv")


def _present(places: Sequence[Path]) -> list[dict[str, Any]]:
    """Download links of the files that are there."""
    return [file for file in map(_file, places) if file]


def _figures(
    run: Run, claims: Sequence[dict[str, Any]], words: Words, seeds: int, paper_corpus: bool
) -> list[dict[str, Any]]:
    made = []
    epochs = run.settings["epochs"]
    more = {
        "fig3": {"epoch": f"{0.4 * epochs:g}"},
        "fig6": {"levels": words("fig6.levels") if paper_corpus else ""},
    }
    folder = run.figure("fig3").parent
    sentences = read_sentences(folder) if seeds else {}
    given = (folder, words, epochs, seeds, paper_corpus, sentences)
    for name, files in FIGURES.items():
        drawn, key = panels(name, *given) if seeds else ([], [])
        made.append(
            {
                "name": name,
                "short": words(f"{name}.short"),
                "title": words(f"{name}.title"),
                "says": words(f"{name}.says"),
                "caption": words(f"{name}.caption", **more.get(name, {})),
                "panels": [{"quoted": False, "none": "", **one} for one in drawn],
                "key": key,
                "files": _present([_csv(run, file) for file in files]),
                "claims": [row for row in claims if row["figure"] == name],
            }
        )
    return made


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


def _readings(run: Run, words: Words) -> list[dict[str, Any]]:
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
                "doc": words.of(doc),
                "changed": shown != default,
                "fitted": name in FITTED and value == paper,
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
    for row in _readings(run, Words("en")):
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


def unplaced(run: Run) -> list[str]:
    """Files that :func:`command` names and whose folders nobody knows: a run stores none."""
    checksums, vectors = run.settings["corpus"]["sha256"], run.settings["vectors"]["name"]
    files = [] if is_sample(run) or published_as(checksums) else list(checksums)
    found = vectors == "random" or (is_sample(run) and vectors == SAMPLE_VECTORS)
    return files if found else [*files, vectors]


def made_by(run: Run) -> str:
    """The commit that a run was begun with; for runs that do not say so, the one of today."""
    return run.settings["versions"].get("commit") or commit()


def citation(run: Run) -> str:
    """How to cite the software and this run, as BibTeX."""
    version, day = run.settings["versions"]["replicate"], run.last_trained
    digest = made_by(run)
    entry = {
        "title": TITLE,
        "author": f"{{{AUTHORS}}}",
        "version": version,
        "year": day[:4],
        "note": f"commit {digest[:12]}" if digest else "",
    }
    lines = [f"  {name} = {{{value}}}" for name, value in entry.items() if value]
    return "@software{word-saliency-replication,\n" + ",\n".join(lines) + "\n}"
