"""Do the claims hold on other corpora? Runs on several, one by one and together (beyond the paper).

Each corpus is one study.  What all say together is a random-effects mean
(:func:`replicate.inference.random_effects`) with an interval for the mean, and one for
the effect on a further corpus.  Corpora that share sentences (MR, SST-1, SST-2, Subj) are no
independent answers: of those, only the first that is given counts together.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..claims import Part, is_paper_corpus, part_of
from ..config import Config
from ..experiment import statistics_of
from ..inference import SEEDS_TO_TEST, RandomEffects, mean_interval, random_effects
from ..io.errors import InputError
from ..io.files import check_own_folder, folder_lock, read_csv, read_text, save_csv
from ..io.published import published_as
from ..run import Run
from ..show.figures import save_figure, styled, titled
from ..show.wording import shown_number
from ..verdicts import Row, Verdict, column, judge

log = logging.getLogger(__name__)

__all__ = ["PARTS", "Study", "judge_studies", "locked", "read_study", "write_corpora"]


#: What is taken over all corpora: claim and part.
PARTS = (
    part_of("F5", "100 of each"),
    part_of("F5b", "raw"),
    part_of("H", "epochs 40-50"),
    part_of("O2", "epochs 40-50"),
    part_of("R1", "T1andT2 less T1andT2ran"),
)

#: What a panel of the picture shows, by claim.
HEADINGS = {
    "F5": "share of epochs at which\nthe misclassified move more",
    "F5b": "change of saliency,\nmisclassified over correct",
    "H": "T1andT2h − T1andT2l,\npoints of accuracy",
    "O2": "T1andT2h − T1andT2ran,\npoints of accuracy",
    "R1": "T1andT2 − T1andT2ran,\npoints of accuracy",
}

STUDIES = (
    "corpus", "sentences", "labels", "vectors", "coverage", "seeds", "T1andT2", "misclassified",
)  # fmt: skip
EFFECTS = (
    "id", "part", "corpus", "seeds", "smallest", "mean", "low", "high", "verdict", "between",
    "p_between", "new_low", "new_high",
)  # fmt: skip
VERDICTS = ("corpus", "id", "ours", "low", "high", "seeds", "verdict")
#: The tables, and the columns by which one is known as ours.
TABLES = {"studies.csv": STUDIES, "effects.csv": EFFECTS, "verdicts.csv": VERDICTS}
PICTURES = ("corpora.png", "corpora.svg")
TOGETHER = "all together"


@dataclass(frozen=True)
class Study:
    """A run on one corpus.

    Attributes:
        title: of the corpus; no two studies that are compared have the same.
        config: the readings.
        settings: ``config.json``.
        rows: statistics, one row a seed.
    """

    title: str
    config: Config
    settings: dict[str, Any]
    rows: list[Row]

    @property
    def verdicts(self) -> list[Verdict]:
        """The claims judged; levels belong to the paper's corpus alone."""
        return judge(self.rows, is_paper_corpus(self.settings["corpus"]["sha256"]))

    @property
    def sentences_of(self) -> str:
        """What studies on corpora that share sentences have in common; others, nothing."""
        known = published_as(self.settings["corpus"]["sha256"])
        return known.sentences_of if known and known.sentences_of else f"only {self.title}"


def read_study(place: str | Path) -> Study:
    """A run, or a folder of committed results that has ``config.json`` and ``statistics.csv``.

    Args:
        place: the folder.

    Returns:
        Its statistics, those of finished seeds.

    Raises:
        InputError: for another folder, fewer than three seeds, or statistics that have none
            of what is compared.
    """
    run = Run(place)
    table = run.out / "statistics.csv"
    if table.exists():
        header = read_text(table).partition("\n")[0].rstrip("\r").split(",")
        rows: list[Row] = [*read_csv(table, header, dict.fromkeys(header, _number))]
    else:
        rows = [statistics_of(run, seed) for seed in run.finished_seeds()]
    if len(rows) < SEEDS_TO_TEST:
        raise InputError(f"{place}: has {len(rows)} finished seeds; {SEEDS_TO_TEST} are needed")
    if not any(np.isfinite(column(rows, part.statistic)).any() for _, part in PARTS):
        raise InputError(f"{place}: has no statistic that is compared; name a run folder")
    facts = run.settings["corpus"]
    known = published_as(facts["sha256"])
    title = known.title if known else ", ".join(facts["sha256"])
    return Study(title, run.config, run.settings, rows)


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def judge_studies(
    studies: Sequence[Study], part: Part
) -> tuple[list[tuple[Study, int, float, float]], RandomEffects | None]:
    """A part's effect on each corpus, and what all corpora say together.

    Args:
        studies: one a corpus.
        part: of a claim.

    Returns:
        For every study that has the number: itself, seeds, mean and standard error, as
        effects (see :class:`~replicate.claims.Part`); and what they say together, of those
        with the same :attr:`Study.sentences_of` only the first; None with fewer than two.
    """
    found = []
    for study in studies:
        effects = part.effects(column(study.rows, part.statistic))
        effects = effects[np.isfinite(effects)]
        if len(effects) >= SEEDS_TO_TEST and effects.std():
            error = effects.std(ddof=1) / np.sqrt(len(effects))
            found.append((study, len(effects), float(effects.mean()), float(error)))
        elif len(effects) >= SEEDS_TO_TEST:
            log.warning(
                "%s: all %d seeds have the same %s, which so has no error; it is left out",
                study.title, len(effects), part.title,
            )  # fmt: skip
    together, pooled = None, _pooled(found)
    if len(pooled) > 1:
        together = random_effects([mean for *_, mean, _ in pooled], [error for *_, error in pooled])
    return found, together


def _pooled(found):
    """The first study of each group: the same sentences do not count twice."""
    first: dict[str, Any] = {}
    for one in found:
        first.setdefault(one[0].sentences_of, one)
    return list(first.values())


def write_corpora(places: Sequence[str | Path], out: str | Path) -> list[Path]:
    """Write what runs on several corpora say: tables, and a picture.

    Args:
        places: folders for :func:`read_study`, of different corpora.  Of those that share
            sentences, the first is the one that is pooled with the others.
        out: folder.

    Returns:
        What was written: ``studies.csv`` (the corpora), ``effects.csv`` (each part on
        each corpus and together; ``seeds`` of a row for all together is the number of
        corpora in it), ``verdicts.csv`` (every claim on every corpus), and the picture.

    Raises:
        InputError: for two runs of one corpus, or of different settings.
    """
    studies = [read_study(place) for place in places]
    _check(studies, places)
    studies = _told_apart(studies, places)
    out = Path(out)
    rows = []
    for study in studies:
        corpus, vectors = study.settings["corpus"], study.settings["vectors"]
        accuracy, wrong = (
            float(np.nanmean(column(study.rows, name))) for name in ("A.T1andT2", "misclassified")
        )
        rows.append(
            (
                study.title, corpus["sentences"], len(corpus["label_names"]), vectors["name"],
                vectors["known_tokens"], len(study.rows), accuracy, wrong,
            )
        )  # fmt: skip
    save_csv(out / "studies.csv", STUDIES, rows)
    judged = [
        (study.title, v.claim.id, v.ours, v.low, v.high, v.seeds, v.verdict)
        for study in studies
        for v in study.verdicts[1:]
    ]
    save_csv(out / "verdicts.csv", VERDICTS, judged)
    found = [(claim, part, *judge_studies(studies, part)) for claim, part in PARTS]
    save_csv(out / "effects.csv", EFFECTS, _effects(found))
    return [
        *(out / name for name in ("studies.csv", "verdicts.csv", "effects.csv")),
        _draw(found, out / "corpora"),
    ]


@contextlib.contextmanager
def locked(out: str | Path) -> Iterator[None]:
    """The lock of a folder in which the tables are or may be written.

    Raises:
        InputError: for a folder of other files, or one that another command uses.
    """
    own = [name for name, header in TABLES.items() if _is_table(Path(out) / name, header)]
    if "effects.csv" in own:  # the picture is written after it
        own += PICTURES
    check_own_folder(out, "comparison of corpora", own)
    with folder_lock(out, ("",)):
        yield


def _is_table(place: Path, header: Sequence[str]) -> bool:
    """Whether a file begins as a table of ours does."""
    wanted = ",".join(header).encode() + b"\n"
    try:
        with open(place, "rb") as file:
            return file.read(len(wanted)) == wanted
    except OSError:
        return False


def _told_apart(studies: Sequence[Study], places: Sequence[str | Path]) -> list[Study]:
    """The studies, with their folders in titles that several have: ``train.tsv (mine)``."""
    names = [Path(place).resolve().name for place in places]
    if len(set(names)) < len(names):
        names = [str(place) for place in places]
    count = Counter(study.title for study in studies)
    return [
        replace(study, title=f"{study.title} ({name})") if count[study.title] > 1 else study
        for study, name in zip(studies, names)
    ]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether ``corpus`` of two runs is one corpus, whatever its files are called."""
    if one.get("content") and other.get("content"):
        return bool(one["content"] == other["content"])
    # Version 1.0.0 has the checksums of the files only.
    return sorted(one["sha256"].values()) == sorted(other["sha256"].values())


def _check(studies: Sequence[Study], places: Sequence[str | Path]) -> None:
    first = studies[0]
    for i, (study, place) in enumerate(zip(studies, places)):
        for other, there in zip(studies[:i], places):
            if _same(study.settings["corpus"], other.settings["corpus"]):
                raise InputError(f"{place}: the corpus of {there} once more; name one run a corpus")
        if study.config != first.config:
            raise InputError(
                f"{place}: other readings than {places[0]}; compare runs of one preset"
            )
        vectors, firsts = study.settings["vectors"], first.settings["vectors"]
        # Random ones have no checksum.
        if any(vectors[name] != firsts[name] for name in ("sha256", "dimensions")):
            raise InputError(f"{place}: other word vectors than {places[0]}; use the same")


def _effects(found) -> list[tuple]:
    """Rows of ``effects.csv``, as they are shown; intervals of 95 %, each for itself."""
    table: list[tuple] = []
    for claim, part, studies, together in found:

        def shown(*effects, part=part):
            ends = [float(part.shown(value)) for value in effects]
            return ends if part.sign > 0 else [ends[0], *ends[:0:-1]]

        for study, seeds, mean, error in studies:
            low, high = map(float, mean_interval(mean, error * np.sqrt(seeds), seeds))
            verdict = str(part.verdict(low, high))
            about = (claim, part.title, study.title, seeds, part.smallest)
            table.append((*about, *shown(mean, low, high), verdict, "", "", "", ""))
        if together is not None:
            verdict = str(part.verdict(together.low, together.high))
            further = shown(together.mean, together.new_low, together.new_high)[1:]
            about = (claim, part.title, TOGETHER, len(_pooled(studies)), part.smallest)
            table.append(
                (
                    *about, *shown(together.mean, together.low, together.high), verdict,
                    together.between, together.p_between, *further,
                )
            )  # fmt: skip
    return table


def _draw(found, stem: Path) -> Path:
    """A panel for each part: a row for each corpus, then all together with the prediction.

    Corpora that share sentences are pooled once, the first of them; the others are hollow.
    """
    n = max(len(studies) for _, _, studies, _ in found) + 1
    height = 0.24 * n + 1.7
    with styled():
        figure = Figure(figsize=(2.35 * len(found) + 1.1, height))
        axes = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
        titles = list(dict.fromkeys(s.title for _, _, studies, _ in found for s, *_ in studies))
        place = {title: i for i, title in enumerate([*titles, TOGETHER])}
        for axis, (claim, part, studies, together) in zip(axes, found):
            scale = 100.0 if part.scale == "points" else 1.0

            def shown(effects, part=part, scale=scale):
                return scale * np.asarray(part.shown(np.asarray(effects)))

            axis.axvspan(*np.sort(shown([-part.smallest, part.smallest])), color="#E3E3E3", lw=0)
            axis.axvline(float(shown(0.0)), color="#888888", lw=0.8)
            if part.reported is not None:
                axis.plot([float(shown(part.reported))], [-0.75], "D", color="#000000", ms=4)
            pooled = [study for study, *_ in _pooled(studies)]
            for study, seeds, mean, error in studies:
                ends = mean_interval(mean, error * np.sqrt(seeds), seeds)
                y = place[study.title]
                axis.hlines(y, *np.sort(shown(ends)), color="#0072B2", lw=2.2)
                fill = "#0072B2" if study in pooled else "#FFFFFF"
                axis.plot([float(shown(mean))], [y], "o", color="#0072B2", mfc=fill, ms=4)
            if together is not None:
                y = place[TOGETHER]
                if np.isfinite(together.new_low):
                    further = np.sort(shown([together.new_low, together.new_high]))
                    axis.hlines(y, *further, color="#D55E00", lw=0.9)
                own = np.sort(shown([together.low, together.high]))
                axis.hlines(y, *own, color="#D55E00", lw=3.2)
                axis.plot([float(shown(together.mean))], [y], "D", color="#D55E00", ms=5)
                text = f"{shown_number(part, float(part.shown(together.mean)))}: "
                axis.set_xlabel(text + str(part.verdict(together.low, together.high)), fontsize=7)
            axis.set_title(f"{claim}: {HEADINGS[claim]}", fontsize=7.5)
            axis.set_ylim(len(place) - 0.5, -1.1)
            if part.scale == "log ratio":
                axis.set_xscale("log")
                axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0)))
                axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
                axis.xaxis.set_minor_formatter(NullFormatter())
            axis.tick_params(axis="x", labelsize=6.5)
            axis.grid(visible=False)
        axes[0].set_yticks(list(place.values()), list(place), fontsize=7.5)
        titled(figure, "The claims on several corpora")
        figure.text(
            0.01, 0.008,
            "grey: too small to matter; black diamond: the paper's figure; bars: 95 % intervals; "
            "thin line: where a further corpus lies (95 %); corpora that share sentences are "
            "pooled once, the first of them (hollow: the others)",
            fontsize=7, color="#666666", ha="left", va="bottom",
        )  # fmt: skip
        figure.subplots_adjust(
            left=0.105, right=0.99, top=1 - 0.75 / height, bottom=0.72 / height, wspace=0.12
        )
        return save_figure(figure, stem)
