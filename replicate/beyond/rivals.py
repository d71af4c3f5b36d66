"""Does instability choose better than simpler scores, and is it the words? (beyond the paper)

Every score ranks the sentences of T2; the highest are added to T1, and the
model is trained from fresh weights, as ``T1andT2h`` is.  The result is the
accuracy on T3 less that of T1 with as many random sentences, paired by seed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..config import PAPER, generator
from ..inference import ALPHA, holm, ratio_interval, t_test
from ..instability import logit_saliency, mean_by_word, sentence_instability, word_instability
from ..io.errors import InputError, shorten
from ..io.files import read_csv, save_csv
from ..model import initial_model
from ..parallel.pool import Outcome
from ..run import Run
from ..saliency import classify, flat_batch
from ..selection import budget, select_top
from ..statistics import late_and_mean
from . import jumps
from .trainings import check_finished, rows_there, run_seeds, train_on
from .valuation import (
    Look,
    badge_order,
    detection,
    entropy,
    influence,
    k_centre_order,
    score_of_order,
    small_margin,
    tracin,
)

__all__ = [
    "CONTROLS",
    "SCORES",
    "SHARES",
    "Growth",
    "Score",
    "check_run",
    "commonest_labels",
    "compare",
    "confounds",
    "correlations",
    "curves",
    "growth",
    "learning_curve",
    "levels",
    "matched_halves",
    "run_rivals",
    "score_sentences",
]

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
#: Seed -> rows of a table of accuracies.
Curves = dict[int, list[dict[str, Any]]]
#: (arm, share) -> seed -> late and mean accuracy.
Levels = dict[tuple[str, float], dict[int, Floats]]

#: Shares of T2 that scores are compared at.
SHARES = (0.10, 0.25, 0.50, 0.75, 0.90)
#: Random samples a share and seed; their mean is what scores are held against.
RANDOM_DRAWS = 3
#: The smallest gain that matters, as for the paper's own score.
SMALLEST = PAPER["effects"]["lead of T1andT2h"][1]
#: Epochs of T1, from the first, that EL2N and GraNd are averaged over.
EARLY = 0.2

CURVE = ("arm", "share", "late", "mean")
#: Files of a seed, in a folder of their own.
CURVES, SCORED = "accuracy.csv", "scores.csv"
_NUMBERS = dict.fromkeys(CURVE[1:], float)


@dataclass(frozen=True)
class Score:
    """A score of sentences; the highest are selected.

    Attributes:
        name: in files.
        about: what is measured.
        labels: whether it needs the true labels of the sentences scored, which
            one who chooses what to label does not have.
    """

    name: str
    about: str
    labels: bool = False


#: All scores; the first is the paper's.
SCORES = (
    Score("instability", "A_S, eq. (10): mean wac of the words"),
    Score("instability_logit", "A_S of the gradient of the logit difference: confidence left out"),
    Score("instability_shuffled", "A_S with wac exchanged among words of similar frequency in T1"),
    Score(
        "level_variance", "as A_S, variance of saliency itself, not of its changes (VoG on words)"
    ),
    Score("instability_switch", "A_S of the part of wac that comes from switches of the windows"),
    Score("instability_smooth", "A_S of the rest of wac, smooth change; both add up to A_S"),
    Score("length", "words"),
    Score("rarity", "mean of -log frequency in T1 of the words"),
    Score("unknown", "share of words without a vector"),
    Score("entropy", "entropy of the T1 model's probabilities"),
    Score("small_margin", "minus the gap of the two highest probabilities of the T1 model"),
    Score("k_centre", "order in which each is farthest from T1 and all before it (core-set)"),
    Score("badge", "order of k-means++ on output-layer gradients: unsure and diverse (BADGE)"),
    Score("el2n", "norm of probabilities less label, mean over early epochs (EL2N)", True),
    Score("grand", "norm of the output layer's gradient, mean over early epochs (GraNd)", True),
    Score("forgetting", "times that right turned wrong from an epoch to the next", True),
    Score(
        "variability", "deviation over epochs of the true label's probability (Cartography)", True
    ),
    Score("low_aum", "minus the mean margin of the true label over epochs (AUM)", True),
    Score("tracin", "how much steps on it lower the loss of all of T2 (TracIn, last layer)", True),
    Score(
        "influence", "how much more weight on it lowers the loss of all of T2 (last layer)", True
    ),
)
#: Scores whose lack is tried: T1andT2 without the sentences that are highest.
REMOVED = ("instability", "small_margin", "el2n", "tracin")
#: Shares of T2 that are taken away; what stays is a share that random draws have too.
REMOVED_SHARES = (0.10, 0.25, 0.50)
#: Share of T2's labels that are changed, and shares of T2 in which they are looked for.
NOISE, INSPECTED = 0.10, (0.05, 0.10, 0.20, 0.50)
#: Not scores: halves of T2 by A_S, of pairs alike in length, rarity, coverage and label.
CONTROLS = ("matched_high", "matched_low")


def _folder(run: Run, seed: int) -> Path:
    return run.seed_folder(seed) / "rivals"


# --- scores --------------------------------------------------------------------


def score_sentences(run: Run, seed: int) -> dict[str, Floats]:
    """Every score of every sentence of T2.

    Args:
        run: with T1 of the seed done, and saliency and the weights of every
            epoch kept.
        seed: of the run.

    Returns:
        Name -> (n,) float64, sentences of T2 by index.

    Raises:
        InputError: when the run kept neither.
    """
    check_run(run)
    t1, t2, _ = run.split(seed)
    scores = {**_of_words(run, seed, t1, t2), **_of_predictions(run, seed, t2)}
    return {score.name: scores[score.name] for score in SCORES}


def check_run(run: Run) -> None:
    """Look whether a run kept what sentences are scored by.

    Raises:
        InputError: when saliency, or the weights of every epoch, were not kept.
    """
    if not run.options.stored:
        raise InputError(
            f"{run.out}: no saliency was kept; run again in another --out, without --streaming"
        )
    if run.options.epoch_weights != "all":
        raise InputError(
            f"{run.out}: the weights of every epoch were not kept; "
            "run again in another --out, with --epoch-weights all"
        )


def _of_words(run, seed, t1, t2):
    """Scores that are means over a sentence's words."""
    config, corpus = run.config, run.corpus
    tokens1, offsets1 = corpus.take(t1)
    tokens2, offsets2 = corpus.take(t2)
    n_words = len(corpus.words)
    record, lengths = run.record(seed), np.diff(offsets1)
    logit = np.stack(
        [logit_saliency(*pair, lengths) for pair in zip(record.saliency, record.uncertainty)]
    )
    wac, count = run.instability(seed)
    steps = jumps.recorded_steps(run, seed)
    of_switches, of_smooth = jumps.decomposed_instability(
        record.saliency, steps.switched, tokens1, n_words, config.ddof
    )

    def of_words(saliency):
        return word_instability(saliency, tokens1, n_words, config.ddof)[0]

    def by_sentence(word_values):
        return sentence_instability(
            word_values, tokens2, offsets2, config.unseen_words, config.repeated_words
        )

    n = len(t2)
    sentence = np.repeat(np.arange(n), np.diff(offsets2))

    def mean(values):
        return np.bincount(sentence, weights=values[tokens2], minlength=n) / np.diff(offsets2)

    return {
        "instability": by_sentence(wac),
        "instability_logit": by_sentence(of_words(logit)),
        "instability_shuffled": by_sentence(shuffled(wac, count, seed)),
        "instability_switch": by_sentence(of_switches),
        "instability_smooth": by_sentence(of_smooth),
        "level_variance": by_sentence(
            mean_by_word(record.saliency.var(axis=0, dtype=np.float64), tokens1, n_words)[0]
        ),
        "length": np.diff(offsets2).astype(np.float64),
        "rarity": mean(-np.log((count + 1) / (count.sum() + n_words))),
        "unknown": mean((~run.known).astype(np.float64)),
    }


def shuffled(wac: Floats, count: NDArray[np.integer], seed: int) -> Floats:
    """wac exchanged at random among words that occur equally often in T1.

    The control that shows whether the words matter, or their frequency only.
    Words that occur more than 20 times are grouped by like frequency, fifty
    at a time, since few words share an exact count there.

    Example:
        >>> wac = np.array([1.0, 2.0, np.nan])
        >>> sorted(shuffled(wac, np.array([1, 1, 0]), seed=0)[:2].tolist())
        [1.0, 2.0]
    """
    random = generator("shuffled words", seed)
    order = np.argsort(count, kind="stable")
    order = order[count[order] > 0]
    group = count[order].astype(np.int64)
    frequent = np.flatnonzero(group > 20)
    group[frequent] = group.max(initial=0) + 1 + np.arange(len(frequent)) // 50
    out = np.full(len(wac), np.nan)
    for members in np.split(order, np.flatnonzero(np.diff(group)) + 1):
        out[members] = wac[random.permutation(members)]
    return out


def _of_predictions(run, seed, t2, labels=None):
    """Scores from what the T1 model of each epoch says of T2's sentences.

    Args:
        run, seed: T1 of the seed is done.
        t2: (n,) sentences.
        labels: (n,) in the place of their true labels.
    """
    looks, predicted, trained = _looks(run, seed, t2)
    centres = k_centre_order(looks[-1].features, trained.features)
    drawn = badge_order(looks[-1], generator("badge", seed))
    labels = run.corpus.labels[t2] if labels is None else labels
    return {
        "entropy": entropy(looks[-1].probabilities),
        "small_margin": small_margin(looks[-1].probabilities),
        "k_centre": score_of_order(centres),
        "badge": score_of_order(drawn),
        **_of_labels(looks, predicted, trained, labels),
    }


def _looks(run, seed, t2):
    """What the T1 model says of T2 after every epoch, its labels, and of T1 after the last."""
    model = initial_model(run, seed)
    corpus, t1 = run.corpus, run.split(seed)[0]
    tokens, offsets = corpus.take(t2)
    batch = flat_batch(model, tokens, offsets, corpus.labels[t2])
    weights = run.epoch_weights(seed, model.shapes())
    looks, predicted = [], []
    for epoch in range(run.config.epochs):
        model.set_weights({name: array[epoch] for name, array in weights.items()})
        found = classify(model, batch)
        looks.append(Look(found.features, found.probabilities))
        predicted.append(found.predicted)
    tokens, offsets = corpus.take(t1)
    of_t1 = classify(model, flat_batch(model, tokens, offsets, corpus.labels[t1]))
    return looks, predicted, Look(of_t1.features, of_t1.probabilities)


def _of_labels(looks, predicted, trained, labels):
    """The scores that need labels of T2's sentences."""
    place = np.arange(len(labels))
    early = max(1, round(EARLY * len(looks)))
    answers, own, margins = [], [], []
    el2n, grand = np.zeros(len(labels)), np.zeros(len(labels))
    for epoch, look in enumerate(looks):
        p = look.probabilities.astype(np.float64)
        of_label = p[place, labels]
        others = p.copy()
        others[place, labels] = 0
        answers.append(predicted[epoch] == labels)
        own.append(of_label)
        # Difference of logits: a quotient of probabilities is one of exponentials.
        margins.append(np.log(np.maximum(of_label, 1e-30) / np.maximum(others.max(axis=1), 1e-30)))
        if epoch < early:
            norm = np.sqrt((look.errors(labels) ** 2).sum(axis=1))
            features = look.features.astype(np.float64)
            el2n += norm / early
            # The gradient is an outer product of the error with (features, 1).
            grand += norm * np.sqrt((features**2).sum(axis=1) + 1) / early
    right = np.array(answers)
    return {
        "el2n": el2n,
        "grand": grand,
        "forgetting": (right[:-1] & ~right[1:]).sum(axis=0).astype(np.float64),
        "variability": np.std(own, axis=0),
        "low_aum": -np.mean(margins, axis=0),
        "tracin": tracin(looks, labels),
        "influence": influence(looks[-1], labels, trained),
    }


def matched_halves(
    instability: Floats, covariates: Sequence[Floats], labels: NDArray[np.integer], seed: int
) -> tuple[Places, Places]:
    """High and low halves by A_S of pairs that are alike in all else.

    Within each label, sentences are cut in two at the median of one covariate
    after another, until pairs are left; of each pair the higher A_S is high.

    Args:
        instability: (n,).
        covariates: each (n,).
        labels: (n,).
        seed: names the order of equal values, and who is left over.

    Returns:
        Places of the high and of the low half, sorted, of equal size.

    Example:
        >>> high, low = matched_halves(np.array([1.0, 2.0, 9.0, 8.0]), [np.array([1.0, 1, 5, 5])],
        ...                            np.zeros(4, dtype=int), seed=0)
        >>> high.tolist(), low.tolist()
        ([1, 2], [0, 3])
    """
    random = generator("matched halves", seed)
    high, low = [], []

    def pair(members, depth):
        if len(members) < 2:
            return  # one of an odd number has no like
        if len(members) <= 3:
            members = random.permutation(members)[:2]
            first, second = members[np.argsort(-instability[members], kind="stable")]
            high.append(first)
            low.append(second)
            return
        by = covariates[depth % len(covariates)][members]
        order = members[np.lexsort((random.random_sample(len(members)), by))]
        middle = len(order) // 2
        middle -= middle % 2  # pairs stay whole
        pair(order[:middle], depth + 1)
        pair(order[middle:], depth + 1)

    for label in np.unique(labels):
        pair(np.flatnonzero(labels == label), 0)
    return np.sort(high), np.sort(low)


# --- training ------------------------------------------------------------------


def check_scores(names: Collection[str]) -> tuple[str, ...]:
    """Those of :data:`SCORES` with these names, in its order; all for none.

    Raises:
        InputError: for another name.

    Example:
        >>> check_scores(["el2n", "length"])
        ('length', 'el2n')
    """
    offered = [score.name for score in SCORES]
    for name in names:
        if name not in offered:
            raise InputError(
                f"--scores {shorten(name)}: not known; choose among {', '.join(offered)}"
            )
    return tuple(name for name in offered if name in names or not names)


def _arms(shares: Sequence[float], names: Sequence[str]) -> list[tuple[str, float]]:
    """(arm, share) of all that is trained for a seed."""
    made = []
    for share in shares:
        made += [(f"random_{draw}", share) for draw in range(RANDOM_DRAWS)]
        made += [(name, share) for name in names]
    for share in REMOVED_SHARES:
        rest = round(1 - share, 10)
        if rest in shares:
            made += [(f"without_{name}", rest) for name in REMOVED if name in names]
    return [*made, *((name, 0.5) for name in CONTROLS)]


def _selections(run, seed, shares, names):
    """All training sets: (arm, share) -> sorted sentence indices of T1 and what is added."""
    t1, t2, _ = run.split(seed)
    scores = score_sentences(run, seed)
    made = {}
    for share in shares:
        size = budget(len(t2), share)
        for draw in range(RANDOM_DRAWS):
            random = generator("random rival", seed, draw)
            made[f"random_{draw}", share] = random.permutation(t2)[:size]
        for name in names:
            made[name, share] = t2[select_top(scores[name], size)]
    # What stays is T2 without the highest, the lowest in its turn.
    for share in REMOVED_SHARES:
        rest = round(1 - share, 10)
        if rest in shares:
            for name in filter(names.__contains__, REMOVED):
                kept = select_top(-scores[name], budget(len(t2), rest))
                made[f"without_{name}", rest] = t2[kept]
    covariates = [scores[name] for name in ("length", "rarity", "unknown")]
    halves = matched_halves(scores["instability"], covariates, run.corpus.labels[t2], seed)
    for name, places in zip(CONTROLS, halves):
        made[name, 0.5] = t2[places]
    return {key: np.sort(np.concatenate([t1, added])) for key, added in made.items()}, scores


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def work_on_rivals(
    out: str,
    seed: int,
    shares: Sequence[float],
    names: Sequence[str],
    on_progress: Callable[[Any], None],
) -> None:
    """Task: scores of a seed, and every selection trained; what is there already is kept."""
    run = Run(out)
    folder = _folder(run, seed)
    place = folder / CURVES
    rows = [list(row.values()) for row in rows_there(place, CURVE, text=["arm"])]
    have = {(row[0], row[1]) for row in rows}
    if have.issuperset(_arms(shares, names)) and (folder / SCORED).exists():
        return  # scores take half a minute a seed
    selections, scores = _selections(run, seed, shares, names)
    t2 = run.split(seed)[1]
    by_sentence = zip(t2.tolist(), *(values.tolist() for values in scores.values()))
    save_csv(folder / SCORED, ("sentence", *scores), by_sentence)
    # Scores that choose alike (entropy and margin, with two labels) train once.
    alike = {
        selections[key].tobytes(): row for row in rows if (key := (row[0], row[1])) in selections
    }
    for (arm, share), sentences in selections.items():
        if (arm, share) in have:
            continue
        if (known := alike.get(sentences.tobytes())) is not None:
            rows.append([arm, share, *known[2:]])
            save_csv(place, CURVE, rows)
            continue
        curve = train_on(run, seed, sentences, f"{arm} {share:g}", folder)
        rows.append([arm, share, *late_and_mean(curve)])
        alike[sentences.tobytes()] = rows[-1]
        save_csv(place, CURVE, rows)
        on_progress((len(rows), None))


def run_rivals(
    run: Run,
    seeds: Sequence[int],
    shares: Sequence[float] = SHARES,
    names: Collection[str] = (),
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
) -> Outcome:
    """Train every selection of every seed; resumable.

    Args:
        run: of an experiment whose seeds are done.
        seeds: which.
        shares: of T2.
        names: of the scores whose sentences are trained on; all for none.
        jobs: seeds at once.
        on_progress: callable ``(seed, message)``: the number of models trained, and None;
            then ``"done"`` or ``"failed"``.

    Returns:
        Failures by seed.
    """
    check_finished(run, seeds, ["T1"])
    what = tuple(shares), check_scores(names)
    return run_seeds(run, seeds, work_on_rivals, *what, jobs=jobs, on_progress=on_progress)


def trainings(shares: Sequence[float] = SHARES, names: Collection[str] = ()) -> int:
    """How many models are trained a seed."""
    return len(_arms(shares, check_scores(names)))


# --- answers -------------------------------------------------------------------


def curves(run: Run, seeds: Iterable[int]) -> Curves:
    """What was trained: seed -> rows of arm, share, late, mean."""
    places = {seed: _folder(run, seed) / CURVES for seed in seeds}
    return {seed: read_csv(p, CURVE, _NUMBERS) for seed, p in places.items() if p.exists()}


def levels(found: Curves) -> Levels:
    """What every selection reached.

    Args:
        found: seed -> rows, see :func:`curves`.

    Returns:
        (arm, share) -> {seed: (late, mean)}, the random draws averaged as ``random``.
    """
    made: Levels = {}
    for seed, rows in found.items():
        draws: dict[float, list[Floats]] = {}
        for row in rows:
            value, share = np.array([row["late"], row["mean"]]), row["share"]
            if row["arm"].startswith("random_"):
                draws.setdefault(share, []).append(value)
            else:
                made.setdefault((row["arm"], share), {})[seed] = value
        for share, values in draws.items():
            if len(values) == RANDOM_DRAWS:
                made.setdefault(("random", share), {})[seed] = np.mean(values, axis=0)
    return made


def _random_shares(found):
    """Shares of T2 that random sentences were trained at, in order."""
    return sorted({share for arm, share in found if arm == "random"})


def compare(found: Levels) -> list[tuple[Any, ...]]:
    """Each score against random sentences of the same number, paired over seeds.

    Args:
        found: of :func:`levels`.

    Returns:
        Rows ``(score, share, labels, accuracy, gain, low, high,
        seeds, p, verdict)``: `accuracy` and `gain` over epochs 40-50; the
        95 % interval is that of a paired t test, for this row by itself; p is
        one-sided of the nearer side after Holm's correction over all rows of the
        share.  By p a score is ``"better"`` or ``"worse"``; else it has
        ``"no such gain"`` where the interval ends below the smallest gain that
        matters, or is ``"undecided"``.  The last row is ``matched_high`` against
        ``matched_low``.
    """
    about = {score.name: score for score in SCORES}
    rows: list[list[Any]] = []
    tests = []
    shares = _random_shares(found)
    pairs = [((s.name, share), ("random", share)) for s in SCORES for share in shares]
    pairs += [((f"without_{n}", share), ("random", share)) for n in REMOVED for share in shares]
    pairs.append(((CONTROLS[0], 0.5), (CONTROLS[1], 0.5)))
    for key, against in pairs:
        mine, other = found.get(key, {}), found.get(against, {})
        both = sorted(set(mine) & set(other))
        if not both:
            continue
        gain = np.array([mine[s][0] - other[s][0] for s in both])
        tested = t_test(gain)
        tests.append((tested.p_above, tested.p_below))
        name = key[0].removeprefix("without_")
        labels = name in about and about[name].labels
        accuracy = float(np.mean([mine[s][0] for s in both]))
        rows.append([*key, int(labels), accuracy, tested.mean, tested.low, tested.high, len(both)])
    for share in sorted({row[1] for row in rows}):
        family = [i for i, row in enumerate(rows) if row[1] == share]
        better, worse = (holm(column) for column in zip(*(tests[i] for i in family)))
        for i, yes, no in zip(family, better, worse):
            rows[i] += [float(min(yes, no)), _verdict(yes, no, rows[i][6])]
    return [tuple(row) for row in rows]


def _verdict(better, worse, high):
    """In a word; `high` bounds the gain."""
    # Either side has half of the errors, as with the interval.
    if better < ALPHA / 2:
        return "better"
    if worse < ALPHA / 2:
        return "worse"
    return "no such gain" if high < SMALLEST else "undecided"


@dataclass(frozen=True)
class Growth:
    """How accuracy grows with random sentences, in one seed.

    Attributes:
        shares: (k,) of T2 that were added to T1, from none to all.
        sentences: (k,) that were trained on, T1's among them.
        late: (k,) accuracy in epochs 40-50.
        level, slope: of the straight line through `late` over the logarithm of `sentences`.
    """

    shares: Floats
    sentences: Floats
    late: Floats
    level: float
    slope: float


def growth(run: Run, found: Levels) -> dict[int, Growth]:
    """How accuracy grows from T1 alone over random sentences of T2 to all of it, by seed.

    Args:
        run: of the experiment.
        found: of :func:`levels`; seeds without some share of random sentences are left out.
    """
    shares = _random_shares(found)
    made = {}
    for seed in found.get(("random", shares[0]), {}) if shares else ():
        if not all(seed in found["random", share] for share in shares):
            continue
        accuracy = run.accuracies(seed)
        first, last = (late_and_mean(accuracy[arm])[0] for arm in ("T1", "T1andT2"))
        late = np.array([first, *(found["random", share][seed][0] for share in shares), last])
        n_1, n_2 = map(len, run.split(seed)[:2])
        sizes = np.array([n_1, *(n_1 + budget(n_2, share) for share in shares), n_1 + n_2], float)
        line = stats.linregress(np.log(sizes), late)
        made[seed] = Growth(
            np.array([0.0, *shares, 1.0]), sizes, late, float(line.intercept), float(line.slope)
        )
    return made


def learning_curve(growths: Collection[Growth]) -> list[tuple[Any, ...]]:
    """The mean of such curves, above T1 alone, beside their straight line.

    Args:
        growths: of :func:`growth`, one for each seed.

    Returns:
        Rows ``(share, sentences, rise, low, high, line, seeds)``: sentences that were trained
        on; rise of accuracy over T1 alone with its 95 % interval; what the line has there.
    """
    rows = []
    for k, share in enumerate(next(iter(growths)).shares if growths else ()):
        tested = t_test([one.late[k] - one.late[0] for one in growths])
        line = [one.level + one.slope * np.log(one.sentences[k]) - one.late[0] for one in growths]
        size = float(np.mean([one.sentences[k] for one in growths]))
        about = (tested.mean, tested.low, tested.high, float(np.mean(line)), tested.seeds)
        rows.append((float(share), size, *about))
    return rows


def saved_sentences(found: Levels, growths: Mapping[int, Growth]) -> list[tuple[Any, ...]]:
    """What a score is worth in sentences: how many more random ones reach the same accuracy.

    Accuracy grows with the logarithm of the number of training sentences, so a straight line
    goes, seed by seed, through T1 alone, T1 with random sentences, and T1 with all of T2.  With
    its slope b, a gain g over random sentences of the same number is worth

    .. math::
        (n_1 + n) (e^{g / b} - 1)

    random sentences, where n were added to the n_1 of T1.  (Looking for the same accuracy on
    the curve of each seed by itself does not do: where the curve is flat, noise decides, and
    the ends of the curve cut it on one side.)

    Args:
        found: of :func:`levels`.
        growths: of :func:`growth`.

    Returns:
        Rows ``(score, share, sentences, random, saved, low, high, seeds)``:
        sentences that were added; random ones of the same accuracy, which are below 0 where T1
        alone is better, and may be more than T2 has; their difference with its 95 % interval
        (:func:`~replicate.inference.ratio_interval`), NaN where more sentences are not shown
        to help.
    """
    rows = []
    for score in SCORES:
        # On the curves, none of T2 is before them.
        for place, share in enumerate(_random_shares(found), start=1):
            mine = found.get((score.name, share), {})
            seeds = [seed for seed in mine if seed in growths]
            if not seeds:
                continue
            gain = [mine[seed][0] - found["random", share][seed][0] for seed in seeds]
            slope = [growths[seed].slope for seed in seeds]
            trained = np.mean([growths[seed].sentences[place] for seed in seeds])
            added = trained - np.mean([growths[seed].sentences[0] for seed in seeds])
            grows = np.mean(slope) > 0
            ratio = (np.mean(gain) / np.mean(slope), *ratio_interval(gain, slope))
            saved = trained * np.expm1(ratio if grows else [np.nan] * 3)
            rows.append((score.name, share, added, added + saved[0], *saved, len(seeds)))
    return rows


def wrong_labels(run: Run, seeds: Sequence[int]) -> list[tuple[Any, ...]]:
    """Do scores find sentences with a wrong label? A tenth of T2's labels is changed.

    Nothing is trained: the T1 models never saw these labels.

    Args:
        run: with the weights of every epoch.
        seeds: which.

    Returns:
        Rows ``(score, labels, area, low, high, found at each of INSPECTED …,
        seeds)``: area under the ROC curve, 0.5 by chance, with the interval of its mean;
        share of all wrong labels among the sentences of the highest scores.
    """
    made: dict[str, list[list[float]]] = {}
    for seed in seeds:
        _, t2, _ = run.split(seed)
        random = generator("wrong labels", seed)
        wrong = np.zeros(len(t2), dtype=bool)
        wrong[random.permutation(len(t2))[: round(NOISE * len(t2))]] = True
        true, kinds = run.corpus.labels[t2], len(run.corpus.label_names)
        moved = (true + 1 + random.randint(0, kinds - 1, len(t2))) % kinds
        labels = np.where(wrong, moved, true).astype(np.int32)
        looks, predicted, trained = _looks(run, seed, t2)
        scores = {**_scores_of(run, seed), **_of_labels(looks, predicted, trained, labels)}
        for score in SCORES:
            area, found = detection(scores[score.name], wrong, INSPECTED)
            made.setdefault(score.name, []).append([area, *found])
    rows = []
    for score in SCORES:
        values = np.array(made[score.name])
        tested = t_test(values[:, 0] - 0.5)
        about = (0.5 + tested.mean, 0.5 + tested.low, 0.5 + tested.high)
        rows.append(
            (score.name, int(score.labels), *about, *values[:, 1:].mean(axis=0), len(values))
        )
    return rows


def commonest_labels(run: Run, seeds: Sequence[int]) -> list[tuple[Any, ...]]:
    """How large the largest label is in the half of T2 that each score chooses.

    A half of one label teaches little, whatever else it was chosen by.

    Args:
        run: after :func:`run_rivals`.
        seeds: which.

    Returns:
        Rows ``(score, share, greatest, seeds)``: the share of sentences that have the
        half's commonest label, mean over seeds and the greatest of them.
    """
    made: dict[str, list[float]] = {score.name: [] for score in SCORES}
    for seed in seeds:
        scores = _scores_of(run, seed)
        labels = run.corpus.labels[scores["sentence"].astype(np.int64)]
        size = budget(len(labels))
        for name, shares in made.items():
            half = labels[select_top(scores[name], size)]
            shares.append(float(np.bincount(half).max() / size))
    return [(name, float(np.mean(s)), max(s), len(s)) for name, s in made.items()]


def _scores_of(run, seed):
    place = _folder(run, seed) / SCORED
    names = ("sentence", *(score.name for score in SCORES))
    rows = read_csv(place, names, dict.fromkeys(names, float))
    return {name: np.array([row[name] for row in rows]) for name in names}


def correlations(run: Run, seeds: Sequence[int]) -> tuple[list[str], Floats]:
    """Spearman's rank correlation of every two scores over T2, mean over seeds.

    Returns:
        Names, and a (k, k) array.
    """
    names = [score.name for score in SCORES]
    made = []
    for seed in seeds:
        scores = _scores_of(run, seed)
        ranks = np.stack([_standard(stats.rankdata(scores[name])) for name in names])
        made.append(ranks @ ranks.T / ranks.shape[1])  # 0 for a constant score
    return names, np.mean(made, axis=0)


def confounds(run: Run, seeds: Sequence[int]) -> list[tuple[Any, ...]]:
    """How far A_S is explained by length, rarity, coverage and class.

    Args:
        run: after :func:`run_rivals`.
        seeds: those to count.

    Returns:
        Rows ``(covariate, correlation, partial, low, high, smd,
        smd_matched)``: rank correlation with A_S; the same with the other
        covariates held (partial), its 95 % interval; standardised mean
        difference of the covariate between T2h and T2l, and between the
        matched halves.  The last row, ``R2``, has the share of the variance
        of A_S's ranks that all explain together, and its interval.  Partial is NaN for a
        covariate that does not vary, as the unknown words with random vectors.
    """
    covariates = ("length", "rarity", "unknown", "label")
    made: dict[str, list[list[float]]] = {name: [] for name in (*covariates, "R2")}
    for seed in seeds:
        scores = _scores_of(run, seed)
        sentences = scores["sentence"].astype(np.int64)
        scores["label"] = run.corpus.labels[sentences].astype(np.float64)
        target = _standard(stats.rankdata(scores["instability"]))
        ranks = {name: _standard(stats.rankdata(scores[name])) for name in covariates}
        order = np.argsort(-scores["instability"], kind="stable")
        half = budget(len(order))
        halves = order[:half], order[len(order) - half :]
        matched = matched_halves(
            scores["instability"], [scores[n] for n in covariates[:3]],
            run.corpus.labels[sentences], seed,
        )  # fmt: skip
        for name in covariates:
            others = np.stack([ranks[n] for n in covariates if n != name], axis=1)
            partial = _correlation(_residual(target, others), _residual(ranks[name], others))
            made[name].append(
                [float(np.mean(target * ranks[name])), partial,
                 _difference(scores[name], *halves), _difference(scores[name], *matched)]
            )  # fmt: skip
        rest = _residual(target, np.stack([ranks[n] for n in covariates], axis=1))
        made["R2"].append([1 - float(np.mean(rest**2)), np.nan, np.nan, np.nan])
    rows = []
    for name, by_seed in made.items():
        values = np.array(by_seed)
        shown = values[:, 0] if name == "R2" else values[:, 1]
        tested = t_test(shown)
        mean = values.mean(axis=0)
        rows.append((name, mean[0], mean[1], tested.low, tested.high, mean[2], mean[3]))
    return rows


def _standard(values):
    spread = values.std()
    return (values - values.mean()) / spread if spread else np.zeros(len(values))


def _correlation(one, other):
    """NaN where one does not vary: NumPy would divide by 0, and warn."""
    varying = one.std() > 0 and other.std() > 0
    return float(np.corrcoef(one, other)[0, 1]) if varying else float("nan")


def _residual(target, others):
    """What a linear fit leaves."""
    design = np.column_stack([others, np.ones(len(target))])
    return target - design @ np.linalg.lstsq(design, target, rcond=None)[0]


def _difference(values, high, low):
    """Standardised mean difference of two sets."""
    spread = np.sqrt((values[high].var() + values[low].var()) / 2)
    return float((values[high].mean() - values[low].mean()) / spread) if spread else 0.0
