"""Claims and figures of a run as one self-contained HTML file."""

import base64
from pathlib import Path

import jinja2

from .claims import ALPHA, MARGIN, judge, seed_statistics
from .config import Config
from .storage import load_json, read_csv, save_csv, save_json, save_text

__all__ = ["CLAIMS_HEADER", "write_claims", "write_report"]

#: Columns of ``claims.csv``.
CLAIMS_HEADER = ("id", "statement", "paper", "ours", "low", "high", "seeds", "verdict")

#: Which figure shows a claim.
FIGURE_OF = {"S1": "table1", "F3": "fig3", "F4": "fig4", "F5": "fig5", "F5b": "fig5"}

#: Figure -> title and what the paper says of it.
FIGURES = {
    "fig3": (
        "Fig. 3: correctly classified sentences",
        "The paper: saliency moves much in epochs 0–20 and little after; roughly linear change.",
    ),
    "fig4": (
        "Fig. 4: misclassified sentences",
        "The paper: saliency moves much in epochs 0–20 too, and keeps moving up and down after 20.",
    ),
    "fig5": (
        "Fig. 5: movement from epoch to epoch",
        "The paper: the misclassified move more at most epochs; the curves are broadly similar. "
        "With the model's own label, saliency is (1 − p) times the gradient of the logit "
        "difference, so part of the gap is confidence: the third panel leaves that out.",
    ),
    "fig6": (
        "Fig. 6: accuracy of the models",
        "The paper, epochs 40–50: T1andT2 about 0.78, T1andT2h about 0.76, the others about 0.75.",
    ),
}


def _text(value):
    """A value of a claim as text: numbers with all digits, NaN as nothing."""
    if isinstance(value, tuple):
        return ", ".join(f"{n:.0f}" for n in value)
    return "" if value != value else repr(float(value))


def write_claims(run, verdicts):
    """Write ``claims.csv`` and, with every component and p value, ``claims.json``.

    Args:
        run (replicate.experiment.RunFolder): where to.
        verdicts (list of replicate.claims.Verdict): of :func:`replicate.claims.judge`.
    """
    rows = [
        (v.claim.id, v.claim.statement, v.claim.paper, _text(v.ours), _text(v.low), _text(v.high),
         v.seeds, v.verdict)
        for v in verdicts
    ]  # fmt: skip
    save_csv(run.out / "claims.csv", CLAIMS_HEADER, rows)
    whole = [
        {
            **dict(zip(CLAIMS_HEADER, row)),
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
    save_json(run.out / "claims.json", whole)


def _number(value):
    """JSON has no NaN."""
    return None if isinstance(value, float) and value != value else value


def write_report(run):
    """Write ``DIR/report.html`` from the run's claims, figures and settings.

    Returns:
        Path: of the page; it asks nothing of the network and runs no code from
        the corpus.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html").render(
        title=run.title,
        settings=run.settings,
        seeds=run.finished_seeds(),
        claims=[_row(v) for v in judge([seed_statistics(run, s) for s in run.finished_seeds()])],
        figures=_figures(run),
        table1=_table_1(run),
        readings=[(*row, run.settings[row[0]]) for row in Config.readings()],
        timing=_timing(run),
        command=_command(run),
        margin=MARGIN,
        alpha=ALPHA,
    )
    place = run.out / "report.html"
    save_text(place, page)
    return place


def _row(verdict):
    short = {
        name: "–" if value != value else f"{value:.3f}"
        for name, value in (("low", verdict.low), ("high", verdict.high))
    }
    ours = verdict.ours
    if isinstance(ours, tuple):
        ours = _text(ours)
    else:
        ours = "–" if ours != ours else f"{ours:.3f}"
    detectable = verdict.detectable
    return {
        "claim": verdict.claim,
        "ours": ours,
        **short,
        "seeds": verdict.seeds,
        "verdict": verdict.verdict,
        "detectable": "" if detectable != detectable else f"{detectable:.3f}",
        "figure": FIGURE_OF.get(verdict.claim.id, "fig6"),
    }


def _figures(run):
    made = []
    for name, (title, says) in FIGURES.items():
        place = run.out / "figures" / f"{name}.png"
        picture = ""
        if place.exists():
            picture = base64.b64encode(place.read_bytes()).decode("ascii")
        made.append({"name": name, "title": title, "says": says, "picture": picture})
    return made


def _table_1(run):
    place = run.out / "figures" / "table1.csv"
    return read_csv(place, ("subset", "paper", "ours")) if place.exists() else []


def _timing(run):
    place = run.out / "timing.json"
    return load_json(place) if place.exists() else None


def _command(run):
    """The command that repeats the run, from its settings."""
    settings = run.settings
    changed = [
        f"--set {name}={str(settings[name]).lower() if isinstance(settings[name], bool) else settings[name]}"
        for name, default, *_ in Config.readings()
        if str(settings[name]).lower() != default.lower() and name != "epochs"
    ]
    seeds = ",".join(map(str, settings["seeds"])) + ("," if len(settings["seeds"]) == 1 else "")
    parts = [f"--epochs {settings['epochs']}", f"--seeds {seeds}", "--corpus CORPUS"]
    vectors = settings["vectors"]
    parts.append(f"--vectors {vectors['name']}")
    if vectors["name"] == "random":
        parts.append(f"--dimensions {vectors['dimensions']}")
    return " ".join(["replicate run --preset paper", *parts, *changed, "--out DIR"])
