"""Is the saliency to be trusted? (beyond the paper)

What a run's first phase says of its own saliency, in three parts: how much of its change
is jumps (:mod:`~replicate.beyond.jumps`), whether it shows what the network does
(:mod:`~replicate.beyond.faithful`), and how far another training agrees with it.  For the
last the first phase is trained again with one thing changed at a time: the initial
weights, the order of the sentences (and dropout), the division of the corpus, the
vectors of unknown words, or all of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from ..config import generator
from ..inference import t_test
from ..io.files import read_csv, save_csv
from ..model import TextCNN, initial_model, trained_model
from ..parallel.pool import Outcome
from ..run import Run
from ..saliency import flat_batch, word_saliency
from ..show.figures import CORRECT, WRONG, caption, save_figure, styled, titled
from ..show.wording import seeds_counted
from ..split import split_corpus
from . import faithful, jumps, rivals
from .trainings import check_finished, first_phase, further_seed, run_seeds

__all__ = [
    "SOURCES",
    "agreement",
    "check_run",
    "draw_faithful",
    "draw_jumps",
    "run_trust",
    "seed_faithful",
    "seed_randomised",
    "sources_of",
    "summarised",
    "trainings",
    "write_trust",
]

#: Further first phases of a seed with each thing changed.
DRAWS = 3
#: What is changed from one training to another.
SOURCES = ("initialisation", "order", "split", "unknown words", "all")
#: Epochs of the paper's fifty at which saliency is tested.
EPOCHS = (1, 5, 10, 20, 50)
#: Correctly classified, and misclassified, sentences of T1 that are tested at an epoch.
TESTED = 300
#: Times that each layer's weights are shuffled.
SHUFFLES = 3
#: Occurrences in T1 from which a word is called frequent.
OFTEN = 5
#: Share of the words, of the highest wac, whose overlap is counted.
TOP = 0.25

FAITHFUL = ("comprehensiveness", "sufficiency", "loo", "loo_size")
RANDOMISED = ("within", "overall")
AGREEMENT = ("wac", "wac_often", "top", "saliency", "predicted")
#: Tables of a seed beside those of :data:`replicate.beyond.jumps.TABLES`: columns that
#: name a row, and columns that are measured.
TABLES = {
    "faithful": (("epoch", "sentences", "deletion", "method"), FAITHFUL),
    "randomised": (("layers", "method", "shuffle"), RANDOMISED),
    "agreement": (("source", "draw"), AGREEMENT),
}
#: How the tables of all seeds are summarised: columns that name a row, the rest is measured.
SUMMARIES = {
    "shares": ("reading", "sentences", "step"),
    "epochs": ("reading", "epoch", "step"),
    "linearity": ("reading", "sentences"),
    "totals": ("sentences",),
    "faithful": ("epoch", "sentences", "deletion", "method"),
    "randomised": ("layers", "method"),
    "agreement": ("source",),
}
SUMMARY = ("measure", "mean", "low", "high", "seeds")

Row = Mapping[str, Any]


def check_run(run: Run) -> None:
    """Look whether a run kept saliency and the weights of every epoch, before anything is done.

    Raises:
        InputError: if it did not.

    Example:
        >>> check_run(sample_run())
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: ...: the weights of every epoch were not kept; run again \
in another --out, with --epoch-weights all
    """
    rivals.check_run(run)


def sources_of(run: Run) -> tuple[str, ...]:
    """What can differ between two trainings of a run: all of :data:`SOURCES` that are random.

    Example:
        >>> sources_of(sample_run())
        ('initialisation', 'order', 'split', 'unknown words', 'all')
    """
    config = run.config
    fixed = config.unknown_words == "zero" or config.unknown_words_seed >= 0 or run.known.all()
    return tuple(name for name in SOURCES if name != "unknown words" or not fixed)


def trainings(run: Run, draws: int = DRAWS) -> int:
    """How many first phases are trained for a seed.

    Example:
        >>> trainings(sample_run(), draws=2)
        10
    """
    return len(sources_of(run)) * draws


def _folder(run: Run, seed: int) -> Path:
    return run.seed_folder(seed) / "trust"


def _columns(name: str) -> tuple[str, ...]:
    return jumps.TABLES[name] if name in jumps.TABLES else sum(TABLES[name], ())


_TEXT = {"reading", "sentences", "step", "word", "deletion", "method", "layers", "source"}
_WHOLE = {"epoch", "shuffle", "draw"}


def _read(run: Run, seed: int, name: str) -> list[dict[str, Any]]:
    """The rows of a seed's table; none before it is made."""
    place, columns = _folder(run, seed) / f"{name}.csv", _columns(name)
    if not place.exists():
        return []
    numbers = {c: int if c in _WHOLE else float for c in columns if c not in _TEXT}
    return read_csv(place, columns, numbers)


# --- one seed ----------------------------------------------------------------------------


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def work_on_trust(out: str, seed: int, draws: int, on_progress: Callable[[Any], None]) -> None:
    """Task: all tables of a seed; what is there already is kept."""
    run = Run(out)
    folder = _folder(run, seed)
    # The last of them is written last.
    if not (folder / f"{list(jumps.TABLES)[-1]}.csv").exists():
        for name, rows in jumps.seed_jumps(run, seed).items():
            save_csv(folder / f"{name}.csv", jumps.TABLES[name], rows)
    for name, make in (("faithful", seed_faithful), ("randomised", seed_randomised)):
        if not (folder / f"{name}.csv").exists():
            save_csv(folder / f"{name}.csv", _columns(name), make(run, seed))
    rows = [tuple(row.values()) for row in _read(run, seed, "agreement")]
    have = {row[:2] for row in rows}
    for source in sources_of(run):
        for draw in range(draws):
            if (source, draw) not in have:
                rows.append((source, draw, *agreement(run, seed, source, draw).values()))
                save_csv(folder / "agreement.csv", _columns("agreement"), rows)
                on_progress((len(rows), None))


def _epoch_models(run: Run, seed: int) -> Iterable[tuple[int, TextCNN]]:
    """The network at the epochs at which saliency is tested."""
    model, epochs = initial_model(run, seed), run.config.epochs
    weights = jumps.kept_weights(run, seed, model)
    for epoch in sorted({max(1, round(e * epochs / EPOCHS[-1])) for e in EPOCHS}):
        model.set_weights({name: array[epoch - 1] for name, array in weights.items()})
        yield epoch, model


def _tested(run: Run, seed: int, epoch: int) -> dict[str, NDArray[np.intp]]:
    """Sentences of T1 that are right at an epoch, and that are not, up to :data:`TESTED` each."""
    record, t1 = run.record(seed), run.split(seed)[0]
    row = int(np.flatnonzero(record.epochs == epoch)[0])
    correct = record.predicted[row] == record.labels
    random = generator("sentences of trust", seed, epoch)
    return {
        name: np.sort(random.permutation(t1[mask])[:TESTED])
        for name, mask in (("correct", correct), ("misclassified", ~correct))
    }


def seed_faithful(run: Run, seed: int) -> list[tuple]:
    """How faithful each attribution is at some epochs, for right and for wrong sentences.

    ``loo`` is the mean rank correlation, within sentences, with the change of probability
    when one word is deleted; ``loo_size`` that of absolute values, which asks how strongly a
    word counts, not for which label.

    Args:
        run: with the weights of every epoch kept.
        seed: a seed of it.

    Returns:
        Rows: epoch, sentences, deletion, method, and the means over sentences of
        comprehensiveness, sufficiency, ``loo`` and ``loo_size``.

    Example:
        >>> rows = seed_faithful(sample_run(), 0)
        >>> rows[0][:4], len(rows[0])
        ((1, 'correct', 'zero', 'saliency'), 8)
    """
    rows = []
    for epoch, model in _epoch_models(run, seed):
        random = generator("ties of trust", seed, epoch)
        for name, sentences in _tested(run, seed, epoch).items():
            if not len(sentences):
                continue
            tokens, offsets = run.corpus.take(sentences)
            found = faithful.attributions(model, tokens, offsets, random)
            for deletion in faithful.DELETIONS:
                effect = faithful.leave_one_out(model, tokens, offsets, deletion)
                for method, scores in found.items():
                    both = faithful.deletion_scores(
                        model, tokens, offsets, scores, random, deletion
                    )
                    agree = [
                        faithful.correlation_within(size(scores), size(effect), offsets)
                        for size in (np.asarray, np.abs)
                    ]
                    means = (_mean(values) for values in (*both, *agree))
                    rows.append((epoch, name, deletion, method, *means))
    return rows


def _mean(values: NDArray[np.floating]) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def seed_randomised(run: Run, seed: int) -> list[tuple]:
    """What is left of each attribution when trained weights are shuffled.

    Args:
        run, seed: as of :func:`seed_faithful`; the network after the last epoch.

    Returns:
        Rows: layers, method, number of the shuffle, the mean rank correlation within
        sentences with the attribution of the trained network, and that over all words.

    Example:
        >>> rows = seed_randomised(sample_run(), 0)
        >>> rows[0][:3], len(rows)
        (('output', 'saliency', 0), 72)
    """
    *_, (epoch, model) = _epoch_models(run, seed)
    sentences = np.concatenate(list(_tested(run, seed, epoch).values()))
    tokens, offsets = run.corpus.take(np.sort(sentences))
    random = generator("shuffled weights", seed)
    methods = [name for name in faithful.METHODS if name != "random"]
    trained = faithful.attributions(model, tokens, offsets, random, methods)
    rows = []
    for name, layers in faithful.LAYERS.items():
        for shuffle in range(SHUFFLES):
            with faithful.shuffled_weights(model, layers, random):
                found = faithful.attributions(model, tokens, offsets, random, methods)
            for method in methods:
                within = faithful.correlation_within(trained[method], found[method], offsets)
                overall = _rank_correlation(trained[method], found[method])
                rows.append((name, method, shuffle, _mean(within), overall))
    return rows


def _rank_correlation(one: NDArray, other: NDArray) -> float:
    """Spearman's; NaN where there is nothing to rank."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(stats.spearmanr(one, other).statistic)


def agreement(run: Run, seed: int, source: str, draw: int) -> dict[str, float]:
    """How far a further first phase agrees with the run's own.

    Args:
        run: of an experiment.
        seed: a seed whose first phase is complete.
        source: what differs, of :data:`SOURCES`.
        draw: number of the further training.

    Returns:
        ``wac``: rank correlation of wac (eq. 9) over the words that both T1 have;
        ``wac_often``: over those that occur :data:`OFTEN` times in both; ``top``: share of the
        quarter of the highest wac that is the same; ``saliency``: mean rank correlation of
        eq. (6) within sentences that both have learned, after the last epoch;
        ``predicted``: share of these to which both give the same label.

    Example:
        >>> found = agreement(sample_run(), 0, "order", 0)
        >>> list(found), -1 <= found["saliency"] <= 1
        (['wac', 'wac_often', 'top', 'saliency', 'predicted'], True)
    """
    config, corpus = run.config, run.corpus
    drawn = further_seed("training of trust", seed, draw)

    def seed_of(name: str) -> int:
        return drawn if source in (name, "all") else seed

    model = initial_model(run, seed_of("unknown words"), seed_of("initialisation"))
    subset = split_corpus(corpus.labels, seed_of("split"), config.split)
    t1, t3 = np.flatnonzero(subset == 1), np.flatnonzero(subset == 3)
    what = f"seed {seed}, {source}, draw {draw}"
    wac, count = first_phase(run, model, (t1, t3), seed_of("order"), what, _folder(run, seed))
    own_wac, own_count = run.instability(seed)
    both = np.flatnonzero((count > 0) & (own_count > 0))
    often = both[np.minimum(count, own_count)[both] >= OFTEN]
    size = max(1, int(TOP * len(both)))
    tops = [set(both[np.argsort(-values[both], kind="stable")[:size]]) for values in (wac, own_wac)]
    common = np.intersect1d(t1, run.split(seed)[0])
    found = {
        "wac": _rank_correlation(wac[both], own_wac[both]),
        "wac_often": _rank_correlation(wac[often], own_wac[often]),
        "top": len(tops[0] & tops[1]) / size,
        "saliency": float("nan"),
        "predicted": float("nan"),
    }
    if len(common):
        tokens, offsets = corpus.take(common)
        one, other = (
            word_saliency(network, flat_batch(network, tokens, offsets))
            for network in (model, trained_model(run, seed))
        )
        within = faithful.correlation_within(one.token_saliency, other.token_saliency, offsets)
        found["saliency"] = _mean(within)
        found["predicted"] = float((one.predicted == other.predicted).mean())
    return found


def run_trust(
    run: Run,
    seeds: Sequence[int],
    draws: int = DRAWS,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
) -> Outcome:
    """Measure, and train, all that :func:`write_trust` needs; resumable.

    Args:
        run: with saliency and the weights of every epoch kept.
        seeds: seeds whose first phase is complete.
        draws: further first phases with each thing changed.
        jobs: seeds at once.
        on_progress: callable ``(seed, message)``: the number of models trained, and None;
            then ``"done"`` or ``"failed"``.

    Returns:
        Failures by seed.

    Raises:
        InputError: if a seed is not finished, or the run kept too little.
    """
    check_run(run)
    check_finished(run, seeds, ["T1"])
    return run_seeds(run, seeds, work_on_trust, draws, jobs=jobs, on_progress=on_progress)


# --- all seeds ---------------------------------------------------------------------------


def summarised(tables: Sequence[Sequence[Row]], keys: Sequence[str]) -> list[tuple]:
    """Mean over seeds of every measured column, with the 95 % interval of the mean.

    Rows of a seed that have the same name are averaged first.

    Args:
        tables: the rows of each seed.
        keys: columns that name a row; all others are numbers.

    Returns:
        Rows: the keys, the column's name, mean, low, high and the number of seeds that
        have a number; the interval is NaN with fewer than three.

    Example:
        >>> tables = [[{"step": "smooth", "steps": share}] for share in (0.2, 0.4, 0.3)]
        >>> [(*row[:2], round(row[2], 3)) for row in summarised(tables, ["step"])]
        [('smooth', 'steps', 0.3)]
    """
    found: dict[tuple, list[list[float]]] = {}
    for seed, rows in enumerate(tables):
        for row in rows:
            name = tuple(row[key] for key in keys)
            for column, value in row.items():
                if column not in keys and column not in ("shuffle", "draw"):
                    by_seed = found.setdefault((*name, column), [[] for _ in tables])
                    by_seed[seed].append(float(value))
    made = []
    for name, by_seed in found.items():
        tested = t_test([_mean(np.array(values)) for values in by_seed])
        made.append((*name, tested.mean, tested.low, tested.high, tested.seeds))
    return made


def _with_gains(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of ``faithful`` with what each method has over random order."""
    names = TABLES["faithful"][0][:3]
    drawn = {tuple(r[n] for n in names): r for r in rows if r["method"] == "random"}
    made = []
    for row in rows:
        against = drawn[tuple(row[n] for n in names)]
        gains = {f"{name}_gain": row[name] - against[name] for name in FAITHFUL[:2]}
        made.append({**row, **gains})
    return made


def write_trust(run: Run, seeds: Sequence[int]) -> list[Path]:
    """Write the tables of all seeds together, and two figures.

    Args:
        run, seeds: after :func:`run_trust`.

    Returns:
        What was written, in ``DIR/trust``.
    """
    out, written = run.out / "trust", []
    tables: dict[str, list[tuple]] = {}
    for name, keys in SUMMARIES.items():
        of_seeds: list[Sequence[Row]] = [_read(run, seed, name) for seed in seeds]
        if name == "faithful":
            of_seeds = [_with_gains(rows) for rows in of_seeds]
        tables[name] = summarised(of_seeds, keys)
        save_csv(out / f"{name}.csv", (*keys, *SUMMARY), tables[name])
        written.append(out / f"{name}.csv")
    title = f"{run.title}; {seeds_counted(len(seeds))}"
    written.append(draw_jumps(tables, out / "jumps", title))
    written.append(draw_faithful(tables, out / "saliency", title))
    return written


# --- figures -----------------------------------------------------------------------------

_DRAWN = ("panel", "series", "at", "mean", "low", "high")
_COLOURS = {"appears": "#D55E00", "switches": "#E69F00", "neighbours": "#56B4E9", "smooth": "#0072B2"}  # fmt: skip


def _points(axis, rows, names, series, panel, drawn, colours):
    """Means and intervals side by side; rows: (series, name) -> mean, low, high."""
    for i, one in enumerate(series):
        for j, name in enumerate(names):
            if (one, name) not in rows:
                continue
            mean, low, high = rows[one, name]
            drawn.append((panel, one, name, mean, low, high))
            place = j + (i - (len(series) - 1) / 2) * 0.2
            if np.isfinite(low):
                axis.plot([place, place], [low, high], color=colours[i], lw=1.2)
            axis.plot(place, mean, "o", color=colours[i], ms=4.5,
                      label=one.replace("_", " ") if j == 0 else None)  # fmt: skip
    axis.set_xticks(range(len(names)), [str(n).replace("_", " ") for n in names], fontsize=7)
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.axhline(0, color="#000000", lw=0.8)
    # Room above the points: a legend beside them looks like more points.
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.16 * (high - low))
    axis.legend(fontsize=7, loc="upper right", ncol=len(series))


def draw_jumps(tables: Mapping[str, Sequence[tuple]], stem: Path, title: str) -> Path:
    """Which steps the change of saliency comes from, what jumps, and how straight the curves are.

    Args:
        tables: of :func:`summarised`, by name.
        stem: path without suffix, for PNG, SVG and the CSV of what is drawn.
        title: shown below.

    Returns:
        The PNG.
    """
    drawn: list[tuple] = []
    with styled():
        figure = Figure(figsize=(11.5, 3.9))
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.2, 0.8, 1.2))
        parts: dict[str, list[tuple]] = {}
        for reading, epoch, step, measure, mean, low, high, _ in tables["epochs"]:
            if (reading, measure) == ("raw", "part"):
                parts.setdefault(step, []).append((epoch, mean))
                drawn.append(("by epoch", step, epoch, mean, low, high))
        bottom: Any = 0
        for step in jumps.KINDS:
            epochs, values = np.array(parts[step]).T
            left.bar(epochs, 100 * values, 0.85, bottom, color=_COLOURS[step], label=step)
            bottom = bottom + 100 * values
        left.set_title("% of all squared change of eq. (6), by kind of step", fontsize=9)
        left.set_xlabel("epoch")
        left.set_axisbelow(True)
        left.legend(fontsize=7)
        rows: dict[tuple, list] = {
            (measure, sentences): mean for sentences, measure, *mean, _ in tables["totals"]
        }
        _points(middle, rows, jumps.SENTENCES, ("jump", "drift"), "totals", drawn, (WRONG, CORRECT))
        middle.set_title("part in squared change", fontsize=9)
        rows = {}
        for reading, sentences, measure, *mean, _ in tables["linearity"]:
            if sentences != "all" and measure in ("line", "shuffled"):
                series = sentences if measure == "line" else f"{sentences}, shuffled"
                rows[series, reading] = mean
        series = [s + more for s in ("correct", "misclassified") for more in ("", ", shuffled")]
        colours = (CORRECT, "#56B4E9", WRONG, "#E69F00")
        _points(right, rows, jumps.READINGS, series, "linearity", drawn, colours)
        right.legend(fontsize=7, loc="upper right", ncol=2)
        right.set_ylim(0, 1.35)
        right.set_yticks(np.arange(0, 1.1, 0.2))
        right.set_title("variance that a straight line explains, epochs 20–50", fontsize=9)
        titled(figure, "What jumps")
        caption(figure, f"{title}; bars: 95 % intervals")
        figure.subplots_adjust(left=0.05, right=0.99, top=0.84, bottom=0.15, wspace=0.2)
        save_csv(stem.with_suffix(".csv"), _DRAWN, drawn)
        return save_figure(figure, stem)


def draw_faithful(tables: Mapping[str, Sequence[tuple]], stem: Path, title: str) -> Path:
    """Saliency against deletion, leave-one-out, shuffled weights and other trainings.

    Args:
        tables, stem, title: as of :func:`draw_jumps`.

    Returns:
        The PNG.
    """
    drawn: list[tuple] = []
    kinds, methods = jumps.SENTENCES[1:], faithful.METHODS
    last = max(row[0] for row in tables["faithful"])
    found: dict[str, dict] = {"comprehensiveness": {}, "loo_size": {}}
    for epoch, sentences, deletion, method, measure, *mean, _ in tables["faithful"]:
        if (epoch, deletion) == (last, "zero") and measure in found:
            found[measure][sentences, method] = mean
    shuffled = {
        (method, layers): mean
        for layers, method, measure, *mean, _ in tables["randomised"]
        if measure == "within"
    }
    again = {
        (measure, source): mean
        for source, measure, *mean, _ in tables["agreement"]
        if measure in ("wac", "saliency")
    }
    some = ("saliency", "logit_l2", "gradient_x_input", "integrated_gradients")
    colours = (CORRECT, WRONG, "#009E73", "#CC79A7")
    panels: tuple[tuple, ...] = (
        ("comprehensiveness", found["comprehensiveness"], methods, kinds,
         "fall of p without the most salient words (AOPC)"),
        ("leave one out", found["loo_size"], methods, kinds,
         "rank correlation with leaving each word out"),
        ("randomisation", shuffled, tuple(faithful.LAYERS), some,
         "rank correlation after weights are shuffled"),
        ("agreement", again, SOURCES, ("wac", "saliency"),
         "rank correlation with another training"),
    )  # fmt: skip
    with styled():
        figure = Figure(figsize=(11, 6.6))
        for axis, (panel, rows, names, series, label) in zip(figure.subplots(2, 2).flat, panels):
            _points(axis, rows, names, series, panel, drawn, colours)
            axis.set_title(label, fontsize=9)
            axis.tick_params(axis="x", labelrotation=12)
        titled(figure, "Does saliency show what the network does?")
        caption(figure, f"{title}; after the last epoch; bars: 95 % intervals")
        figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.1, wspace=0.13, hspace=0.42)
        save_csv(stem.with_suffix(".csv"), _DRAWN, drawn)
        return save_figure(figure, stem)
