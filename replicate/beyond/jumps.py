"""How much of the change of saliency is jumps? (beyond the paper)

The saliency of a word occurrence (eq. 6) is a sum over the filters whose winning window
covers it.  From one epoch to the next it can change in two ways.  The weights move, and
it changes a little: it is *smooth*.  Or the set of pairs (filter, offset of the word in
the window) that touch the occurrence becomes another, because another window wins or
because an activation opens or closes: a *switch*, and a jump, however little the weights
moved.  The set is known exactly from the weights of every epoch.

Every step of an occurrence, from one epoch to the next, is of one kind:

========== =============================================================================
appears    no filter touched the word before or none does after: saliency to or from 0
switches   its set of pairs changed otherwise
neighbours its own set is the same, that of another word of its sentence is not
smooth     no set of the sentence changed
========== =============================================================================

With many filters nearly every step has a switch of some filter, which moves saliency
little.  So each change of eq. (8) is also split exactly into a *jump* and a *drift*.
With S(w, P) the saliency by the weights w through the windows P, and 0 and 1 for the
epochs before and after,

    jump  = ((S(w1, P1) - S(w1, P0)) + (S(w0, P1) - S(w0, P0))) / 2
    drift = ((S(w1, P1) - S(w0, P1)) + (S(w1, P0) - S(w0, P0))) / 2

With more than two labels, a change of the label R is a switch too: eq. (4) is then
taken from another loss.  With two it changes the gradient's sign only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from ..config import generator
from ..instability import logit_saliency, mean_by_word, standardise, word_instability
from ..io.errors import InputError
from ..model import TextCNN, initial_model
from ..run import Record, Run
from ..saliency import WinningWindows, flat_batch, winning_windows, word_saliency
from ..statistics import window

__all__ = [
    "KINDS",
    "READINGS",
    "SENTENCES",
    "TABLES",
    "Steps",
    "decomposed_instability",
    "kept_weights",
    "line_share",
    "linearity",
    "read_as",
    "recorded_steps",
    "seed_jumps",
    "shares",
    "step_kinds",
    "touched",
]

#: Kinds of steps; the first two are switches.
KINDS = ("appears", "switches", "neighbours", "smooth")
SWITCHES = 2
#: Readings of saliency: eq. (6), scaled within the sentence, and on the logit difference.
READINGS = ("raw", "standardised", "logit")
#: Share of occurrences whose recomputed saliency may differ by rounding: a maximum
#: that is nearly tied.
ODD = 1e-3


# --- one step ----------------------------------------------------------------------------


def _covered(
    windows: WinningWindows, offsets: NDArray[np.integer], which: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(T,) whether a window of one of the pairs (sentence, filter) in `which` covers a word."""
    found = np.zeros(int(offsets[-1]), dtype=bool)
    _cover(windows.argmax, which, windows.heights, np.asarray(offsets), found)
    return found


@numba.njit(cache=True, nogil=True)
def _cover(argmax, which, heights, offsets, found):
    for s in range(len(argmax)):
        begin, length = offsets[s], offsets[s + 1] - offsets[s]
        for f in range(len(heights)):
            if which[s, f]:
                p = argmax[s, f]
                for i in range(max(0, p), min(p + heights[f], length)):
                    found[begin + i] = True


def touched(windows: WinningWindows, offsets: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which word occurrences have a saliency other than 0: a filter looks at them.

    Args:
        windows: of n sentences.
        offsets: (n + 1,), where sentences begin.

    Returns:
        (T,) bool.

    Example:
        >>> windows = WinningWindows(np.array([[1, -1]]), np.array([[True, False]]), np.array([2, 2]))
        >>> touched(windows, np.array([0, 4])).tolist()
        [False, True, True, False]
    """
    return _covered(windows, offsets, windows.active)


def step_kinds(
    before: WinningWindows,
    after: WinningWindows,
    offsets: NDArray[np.integer],
    relabelled: NDArray[np.bool_] | None = None,
) -> NDArray[np.int8]:
    """The kind of the step of every word occurrence from one epoch to the next.

    Args:
        before, after: windows of the same n sentences.
        offsets: (n + 1,), where sentences begin.
        relabelled: (n,) sentences in which a change of R is a switch; None: no sentence.

    Returns:
        (T,) int8, an index into :data:`KINDS`.

    Example:
        >>> before = WinningWindows(np.array([[0]]), np.array([[True]]), np.array([2]))
        >>> after = WinningWindows(np.array([[1]]), np.array([[True]]), np.array([2]))
        >>> [KINDS[kind] for kind in step_kinds(before, after, np.array([0, 4]))]
        ['appears', 'switches', 'appears', 'neighbours']
    """
    changed = (before.argmax != after.argmax) | (before.active != after.active)
    # A pair is gone, or new, wherever the window of such a filter was or is.
    switched = _covered(before, offsets, changed & before.active)
    switched |= _covered(after, offsets, changed & after.active)
    had, has = touched(before, offsets), touched(after, offsets)
    lengths = np.diff(offsets)
    if relabelled is not None:
        switched |= np.repeat(relabelled, lengths) & (had | has)
    in_sentence = np.repeat(np.add.reduceat(switched, offsets[:-1], dtype=np.int64) > 0, lengths)
    kinds = np.full(len(switched), KINDS.index("smooth"), dtype=np.int8)
    kinds[in_sentence] = KINDS.index("neighbours")
    kinds[switched] = KINDS.index("switches")
    kinds[had != has] = KINDS.index("appears")
    return kinds


# --- a training --------------------------------------------------------------------------


@dataclass(frozen=True)
class Steps:
    """The steps of all T word occurrences of T1 over E epochs.

    Attributes:
        kinds: (E - 1, T) int8, indices into :data:`KINDS`.
        touched: (E, T) bool, see :func:`touched`.
        jump: (E - 1, T) float32, the jump of each change; its drift is the rest.
        tokens: (T,) int32, the word of each occurrence.
        offsets: (N + 1,), where sentences begin.
        record: what was recorded.
    """

    kinds: NDArray[np.int8]
    touched: NDArray[np.bool_]
    jump: NDArray[np.float32]
    tokens: NDArray[np.integer]
    offsets: NDArray[np.integer]
    record: Record

    @property
    def switched(self) -> NDArray[np.bool_]:
        """(E - 1, T), whether a step is a switch."""
        return self.kinds < SWITCHES


def recorded_steps(run: Run, seed: int) -> Steps:
    """The kinds of all steps of a recorded training, from the weights of every epoch.

    Saliency is computed again from the weights and compared with what was recorded.

    Args:
        run: made with saliency and the weights of every epoch kept.
        seed: a seed whose first phase is complete.

    Raises:
        InputError: if the run kept neither, or the weights give another saliency.

    Example:
        >>> recorded_steps(sample_run(), 0).kinds.shape  # differences of three epochs, T
        (2, 1802)
    """
    record, t1 = run.record(seed), run.split(seed)[0]
    if record.saliency is None:
        raise InputError(f"{run.out}: no saliency was kept; run again in another --out")
    tokens, offsets = run.corpus.take(t1)
    several = len(run.settings["corpus"]["label_names"]) > 2
    kinds, looked_at, jump = [], [], []
    batch = flat_batch(initial_model(run, seed), tokens, offsets)
    before: tuple | None = None
    for row, model in enumerate(_networks(run, seed)):
        now = word_saliency(model, batch).token_saliency
        windows = winning_windows(model, batch)
        stored = record.saliency[row]
        odd = ~np.isclose(now, stored, rtol=1e-3, atol=1e-6 * float(stored.max(initial=0)))
        if odd.mean() > ODD:
            raise InputError(
                f"{run.out}: seed {seed}, epoch {record.epochs[row]}: the weights give another "
                "saliency than was recorded; run again in another --out"
            )
        looked_at.append(touched(windows, offsets))
        if before is not None:
            old_model, old_windows, old = before
            other = record.predicted[row] != record.predicted[row - 1] if several else None
            kinds.append(step_kinds(old_windows, windows, offsets, other))
            by_old_windows, by_old_weights = (
                word_saliency(*pair).token_saliency
                for pair in ((model, batch, None, old_windows), (old_model, batch, None, windows))
            )
            jump.append(((now - by_old_windows) + (by_old_weights - old)) / 2)
        before = model, windows, now
    return Steps(np.array(kinds), np.array(looked_at), np.array(jump), tokens, offsets, record)


def kept_weights(run: Run, seed: int, model: TextCNN) -> dict[str, NDArray[np.float32]]:
    """The weights of T1 after every epoch: Chainer's parameter name -> (E, …) float32.

    Args:
        run, seed: the first phase is complete.
        model: of the run, for the shapes.

    Raises:
        InputError: if they were not kept.
    """
    weights = run.epoch_weights(seed, model.shapes())
    if weights is None:
        raise InputError(
            f"{run.out}: the weights of every epoch were not kept; "
            "run again in another --out, with --epoch-weights all"
        )
    return weights


def _networks(run: Run, seed: int) -> Iterator[TextCNN]:
    """The network of every recorded epoch; that of the epoch before stays as it is."""
    models = initial_model(run, seed), initial_model(run, seed)
    weights = kept_weights(run, seed, models[0])
    for row, epoch in enumerate(run.recorded_epochs):
        model = models[row % 2]
        if epoch > 0:  # epoch 0 has the initial weights
            model.set_weights({name: array[epoch - 1] for name, array in weights.items()})
        yield model


def read_as(record: Record, reading: str, rows: NDArray[np.integer] | None = None) -> NDArray:
    """Recorded saliency under one of :data:`READINGS`.

    Args:
        record: with saliency.
        reading: ``"raw"`` is eq. (6); ``"standardised"`` has mean 0 and deviation 1
            within each sentence (5.5.1); ``"logit"`` is the gradient of the logit difference.
        rows: epochs, as rows of the record; None: all.

    Returns:
        (E, T) float64.

    Example:
        >>> read_as(sample_run().record(0), "raw").shape
        (3, 1802)
    """
    saliency, uncertainty, lengths = record.saliency, record.uncertainty, record.lengths
    assert saliency is not None and uncertainty is not None
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    forms: dict[str, Callable[[int], NDArray]] = {
        "raw": lambda row: saliency[row],
        "standardised": lambda row: standardise(saliency[row], offsets),
        "logit": lambda row: logit_saliency(saliency[row], uncertainty[row], lengths),
    }
    form = forms[reading]
    chosen = range(len(record.epochs)) if rows is None else rows.tolist()
    return np.array([form(row) for row in chosen], dtype=np.float64)


# --- what is measured --------------------------------------------------------------------


def shares(
    saliency: NDArray[np.floating], kinds: NDArray[np.integer]
) -> dict[str, NDArray[np.float64]]:
    """Of each kind of step: how many there are, and their part in all change.

    .. math::
        \\frac{\\sum_{(v, k) \\in kind} wad_{v,k}^2}{\\sum_{v,k} wad_{v,k}^2}

    with the differences of eq. (8), and the same of their absolute values.

    Args:
        saliency: (E, T), any reading.
        kinds: (E - 1, T).

    Returns:
        ``steps``, ``squares`` and ``absolute``, (4,) each in the order of
        :data:`KINDS`; NaN where nothing changes at all.

    Example:
        >>> found = shares(np.array([[0.0, 1.0], [3.0, 2.0]]), np.array([[0, 3]]))
        >>> found["squares"].tolist(), found["absolute"].tolist()
        ([0.9, 0.0, 0.0, 0.1], [0.75, 0.0, 0.0, 0.25])
    """
    change = np.diff(saliency.astype(np.float64), axis=0).ravel()
    kind = np.asarray(kinds).ravel()
    parts = {"steps": np.ones(len(change)), "squares": change**2, "absolute": np.abs(change)}
    made = {}
    for name, values in parts.items():
        total = np.bincount(kind, weights=values, minlength=len(KINDS))
        whole = total.sum()
        made[name] = total / whole if whole > 0 else np.full(len(KINDS), np.nan)
    return made


def decomposed_instability(
    saliency: NDArray[np.floating],
    switched: NDArray[np.bool_],
    tokens: NDArray[np.integer],
    n_words: int,
    ddof: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """wac of eq. (9) in two parts, of switches and of smooth change, which add up to it.

    The variance of eq. (9) is a mean of squared deviations from one mean; each deviation
    belongs to one step, and counts where that step belongs:

    .. math::
        wac(w) = wac_{switch}(w) + wac_{smooth}(w), \\quad
        wac_{switch}(w) = \\frac{1}{v} \\sum_i \\frac{1}{K - 1}
        \\sum_{k\\ switched} (wad_{i,k} - \\overline{wad_i})^2

    The mean :math:`\\overline{wad_i}` is over all steps of the occurrence, and both parts
    are divided by their number (K - 2 under ``variance = sample``), so nothing is left
    over and no part is negative.

    Args:
        saliency: (E, T).
        switched: (E - 1, T), whether each step is a switch.
        tokens: (T,) the word of each occurrence.
        n_words: V.
        ddof: as of :func:`replicate.instability.word_instability`.

    Returns:
        Part of switches and part of smooth change, (V,) float64 each, NaN for words that
        do not occur.

    Example:
        >>> saliency = np.array([[1.0], [2.0], [5.0]])  # differences 1 and 3, their mean 2
        >>> parts = decomposed_instability(saliency, np.array([[False], [True]]), np.array([0]), 1)
        >>> [part.tolist() for part in parts]
        [[0.5], [0.5]]
    """
    steps = len(saliency) - 1
    mean = (saliency[-1].astype(np.float64) - saliency[0]) / steps
    sums = np.zeros((2, n_words))
    for row in range(steps):
        deviation = (saliency[row + 1].astype(np.float64) - saliency[row] - mean) ** 2
        for part, which in enumerate((switched[row], ~switched[row])):
            sums[part] += np.bincount(tokens[which], weights=deviation[which], minlength=n_words)
    count = np.bincount(tokens, minlength=n_words)
    parts = np.full((2, n_words), np.nan)
    np.divide(sums, count * (steps - ddof), out=parts, where=np.tile(count > 0, (2, 1)))
    return parts[0], parts[1]


def line_share(curves: NDArray[np.floating], epochs: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share of each curve's variance that a straight line explains (R squared).

    .. math::
        1 - \\frac{\\sum_k (x_k - a - b k)^2}{\\sum_k (x_k - \\bar x)^2}

    with the least-squares line a + b k: the squared correlation with the epoch.

    Args:
        curves: (K, T) K points of T curves.
        epochs: (K,).

    Returns:
        (T,) float64, 0 to 1; NaN for a curve that does not move.

    Example:
        >>> line_share(np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [2.0, 0.0, 1.0]]), np.arange(3))
        array([ 1.,  0., nan])
    """
    explained, whole = _line(curves, epochs)
    return np.divide(explained, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _line(curves, epochs):
    """Sums of squares of T curves about their means: what a line explains of them, and all."""
    x = curves.astype(np.float64)
    moves = (x != x[0]).any(axis=0)
    x -= x.mean(axis=0)
    t = epochs - np.mean(epochs)
    whole = np.where(moves, (x**2).sum(axis=0), 0.0)
    return np.minimum((t @ x) ** 2 / (t**2).sum(), whole), whole


def linearity(
    curves: NDArray[np.floating], epochs: NDArray[np.integer], seed: int
) -> dict[str, float]:
    """How straight the curves of many occurrences are, against a random walk's.

    A curve that goes up or down at random has a straight part too, by chance.  So each
    is also compared with itself, its differences between epochs in a random order: from
    the same first value to the same last.

    Args:
        curves: (K, T).
        epochs: (K,).
        seed: names the random order.

    Returns:
        ``line``: mean of :func:`line_share` over the curves that move; ``shuffled``: the
        same with differences in random order; ``pooled``: share of the variance of all
        curves together that their lines explain; ``moving``: share of curves that move.

    Example:
        >>> {k: round(v, 2) for k, v in linearity(np.arange(6.0).reshape(6, 1), np.arange(6), 0).items()}
        {'line': 1.0, 'shuffled': 1.0, 'pooled': 1.0, 'moving': 1.0}
    """
    names = ("line", "shuffled", "pooled", "moving")
    if curves.shape[1] == 0:
        return dict.fromkeys(names, float("nan"))
    explained, whole = _line(curves, epochs)
    moves = whole > 0
    made = dict.fromkeys(names, float("nan"))
    made["moving"] = float(moves.mean())
    if moves.any():
        moving = curves[:, moves].astype(np.float64)
        steps = np.diff(moving, axis=0)
        order = generator("shuffled differences", seed).random_sample(steps.shape).argsort(axis=0)
        other = np.take_along_axis(steps, order, axis=0)
        walk = np.concatenate([moving[:1], moving[:1] + np.cumsum(other, axis=0)])
        made["line"] = float(np.mean(explained[moves] / whole[moves]))
        made["pooled"] = float(explained.sum() / whole.sum())
        made["shuffled"] = float(np.nanmean(line_share(walk, epochs)))
    return made


# --- one seed ----------------------------------------------------------------------------

#: Tables of a seed: name -> columns.
TABLES = {
    "shares": ("reading", "sentences", "step", "steps", "squares", "absolute"),
    "epochs": ("reading", "epoch", "step", "steps", "squares", "part"),
    "linearity": ("reading", "sentences", "line", "shuffled", "pooled", "moving"),
    "words": ("word", "count", "wac", "wac_switch", "wac_smooth", "wac_jump", "squares_switch"),
    "totals": ("sentences", "zero", "untouched", "jump", "drift", "crossed"),
}
#: Sets of sentences that numbers are given for.
SENTENCES = ("all", "correct", "misclassified")


def seed_jumps(run: Run, seed: int) -> dict[str, list[tuple]]:
    """What a seed says about jumps: the rows of :data:`TABLES`.

    ``shares``: of all steps, of the sum of squared changes and of the sum of absolute
    changes, by kind of step.  ``epochs``: the same within each epoch, and ``part``, of the
    squares of all epochs.  ``linearity``: over epochs 20-50, see :func:`linearity`.
    ``words``: the two parts of wac; ``wac_jump``, the covariance of jumps with changes,
    which with that of drift is wac too; and the share of a word's squared changes that
    comes from switches.  ``totals``: share of word-epochs whose saliency is exactly 0, and
    that no filter touches; and of the sum of squared changes, the squares of jumps, of
    drift, and twice their product, which add up to 1.

    Args:
        run, seed: as of :func:`recorded_steps`.

    Example:
        >>> found = seed_jumps(sample_run(), 0)
        >>> {len(row) == len(TABLES[name]) for name, rows in found.items() for row in rows}
        {True}
    """
    steps = recorded_steps(run, seed)
    record = steps.record
    correct = np.repeat(record.correct, record.lengths)
    masks = dict(zip(SENTENCES, (np.ones(len(correct), dtype=bool), correct, ~correct)))
    late = window(record.epochs, 20, 50)
    made: dict[str, list[tuple]] = {name: [] for name in TABLES}
    for reading in READINGS:
        saliency = read_as(record, reading)
        for name, mask in masks.items():
            found = shares(saliency[:, mask], steps.kinds[:, mask])
            made["shares"] += [
                (reading, name, kind, *(float(found[part][i]) for part in found))
                for i, kind in enumerate(KINDS)
            ]
            straight = linearity(saliency[late][:, mask], record.epochs[late], seed)
            made["linearity"].append((reading, name, *straight.values()))
        made["epochs"] += _by_epoch(saliency, steps, reading)
        if reading == "raw":
            made["words"] = _by_word(saliency, steps, run)
    zero = np.array([row == 0 for row in record.saliency])  # type: ignore[union-attr]
    change = np.diff(read_as(record, "raw"), axis=0)
    drift = change - steps.jump
    products = steps.jump**2, drift**2, 2 * steps.jump * drift
    for name, mask in masks.items():
        two = (float(np.mean(a[:, mask])) if mask.any() else np.nan for a in (zero, ~steps.touched))
        whole = float((change[:, mask] ** 2).sum())
        parts = (float(a[:, mask].sum() / whole) if whole > 0 else np.nan for a in products)
        made["totals"].append((name, *two, *parts))
    return made


def _by_epoch(saliency: NDArray, steps: Steps, reading: str) -> list[tuple]:
    rows = []
    whole = float((np.diff(saliency, axis=0) ** 2).sum())
    for row, epoch in enumerate(steps.record.change_epochs.tolist()):
        pair = saliency[row : row + 2]
        found = shares(pair, steps.kinds[row : row + 1])
        squares = np.bincount(
            steps.kinds[row], weights=(pair[1] - pair[0]) ** 2, minlength=len(KINDS)
        )
        for i, kind in enumerate(KINDS):
            part = float(squares[i] / whole) if whole > 0 else np.nan
            rows.append((reading, epoch, kind, float(found["steps"][i]),
                         float(found["squares"][i]), part))  # fmt: skip
    return rows


def _by_word(saliency: NDArray, steps: Steps, run: Run) -> list[tuple]:
    words, ddof = run.corpus.words, run.config.ddof
    wac, count = word_instability(saliency, steps.tokens, len(words), ddof)
    parts = decomposed_instability(saliency, steps.switched, steps.tokens, len(words), ddof)
    change = np.diff(saliency, axis=0)
    deviations = (change - change.mean(axis=0)) * (steps.jump - steps.jump.mean(axis=0))
    jump, _ = mean_by_word(deviations.sum(axis=0) / (len(change) - ddof), steps.tokens, len(words))
    change = change**2
    whole, of_switches = (
        np.bincount(steps.tokens, weights=squares.sum(axis=0), minlength=len(words))
        for squares in (change, change * steps.switched)
    )
    share = np.divide(of_switches, whole, out=np.full(len(words), np.nan), where=whole > 0)
    return [
        (str(words[i]), int(count[i]), *(float(v[i]) for v in (wac, *parts, jump, share)))
        for i in np.flatnonzero(count)
    ]
