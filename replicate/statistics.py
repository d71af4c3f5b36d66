"""The statistics of one seed, from which the claims are judged (sections 5 and 6).

These functions take arrays and return numbers.  They open no file, so the arrays
may come from a run on disk, from a table of accuracies, or from another program.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .config import ARMS, PAPER, generator
from .instability import standardise
from .run import FIG_5, Record

__all__ = [
    "accuracy_statistics",
    "change_curves",
    "change_statistics",
    "comparable",
    "drawn_hundred",
    "late_and_mean",
    "seed_statistics",
    "straightness",
    "window",
]

#: Number of blocks of epochs; "throughout" (O1) must hold in all of them together.
BLOCKS = 5
#: Epochs of T1andT2 that make as many updates as one of T1andT2h: T1 and half of T2
#: against T1 and all of T2.
UPDATES = (PAPER["shares"][0] + PAPER["shares"][1] / 2) / sum(PAPER["shares"][:2])
#: The arms that the paper calls alike (R1).
OTHERS = ("T2h", "T2l", "T1andT2l", "T1andT2ran")

#: Arm -> (E, 2 or more) with epoch, accuracy, …
Curves = Mapping[str, NDArray[np.float64]]


def seed_statistics(
    record: Record, curves: Curves, sizes: Mapping[str, int], seed: int
) -> dict[str, float]:
    """All statistics of a finished seed: one row of the table that claims are judged from.

    Args:
        record: the record of the first phase.
        curves: accuracies on T3, see :func:`accuracy_statistics`.
        sizes: the number of sentences in each subset of Table 1.
        seed: selects the sentences that are drawn for Fig. 5.

    Returns:
        Name -> number; NaN if the data do not determine it.

    Example:
        >>> run = sample_run()
        >>> row = seed_statistics(run.record(0), run.accuracies(0), run.sizes(0), seed=0)
        >>> row["size.T1"], sorted(row)[:3]
        (90.0, ['A.T1', 'A.T1andT2', 'A.T1andT2h'])
    """
    return {
        **{f"size.{name}": float(sizes[name]) for name in ("T1", "T3", "T2h", "T2l")},
        **accuracy_statistics(curves),
        **change_statistics(record, seed),
    }


def window(epochs: NDArray[np.number], first: float, last: float) -> NDArray[np.bool_]:
    """Which epochs lie in the paper's epochs first ... last, both included.

    The paper's run has 50 epochs.  For a shorter or longer run the window is
    scaled in proportion.

    Args:
        epochs: (E,), the last one being the number of epochs of the run.
        first, last: epochs of the paper.

    Returns:
        (E,) bool.

    Example:
        >>> np.flatnonzero(window(np.arange(1, 51), 40, 50)).tolist()[:2]
        [39, 40]
    """
    scaled = epochs * (PAPER["epochs"] / epochs[-1])
    inside: NDArray[np.bool_] = (scaled >= first - 1e-9) & (scaled <= last + 1e-9)
    return inside


def late_and_mean(
    rows: Sequence[Sequence[float]] | NDArray[np.float64],
) -> tuple[float, float]:
    """Accuracy of one training: mean of epochs 40-50, and mean of all trained epochs.

    Args:
        rows: epoch, accuracy, …; the untrained network (epoch 0) is left out.

    Example:
        >>> late_and_mean([(0, 0.5), (1, 0.6), (2, 0.8)])
        (0.8, 0.7)
    """
    points = np.array([row[:2] for row in rows if row[0] > 0])
    late = window(points[:, 0], *PAPER["level_epochs"])
    return float(points[late, 1].mean()), float(points[:, 1].mean())


def accuracy_statistics(curves: Curves) -> dict[str, float]:
    """Statistics of the accuracies in Fig. 6, for one seed.

    Args:
        curves: arm -> (E, 2 or more) float64 with epoch, accuracy.

    Returns:
        Name -> number; NaN if an arm is missing.  ``A.ARM`` is the mean accuracy
        in epochs 40-50; ``R1.order`` is 1 if these levels are in the paper's order,
        else 0; ``O1.share`` is the share of epochs at which T1andT2h is above
        T1andT2l, ``O1.blockN`` their mean difference in the Nth fifth of the epochs;
        :data:`replicate.claims.CLAIMS` explains the others.

    Example:
        >>> rising = np.column_stack([np.arange(1, 51), np.linspace(0.5, 0.75, 50)])
        >>> round(accuracy_statistics(dict.fromkeys(ARMS, rising))["A.T1andT2"], 3)
        0.724
    """
    curves = {arm: rows[rows[:, 0] > 0] for arm, rows in curves.items()}
    lengths = {len(rows) for rows in curves.values()}
    made = dict.fromkeys(_accuracy_names(), float("nan"))
    if not curves or len(lengths) != 1 or min(lengths) < 1:
        return made
    epochs = next(iter(curves.values()))[:, 0]
    missing = np.full(len(epochs), np.nan)
    acc = {arm: curves[arm][:, 1] if arm in curves else missing for arm in ARMS}
    level = window(epochs, *PAPER["level_epochs"])
    made.update({f"A.{arm}": _mean(acc[arm][level]) for arm in ARMS})
    h_l = acc["T1andT2h"] - acc["T1andT2l"]
    blocks = np.array_split(h_l, BLOCKS) if len(h_l) >= BLOCKS else [h_l] * BLOCKS
    made["R1.order"] = _ordered(made)
    made["O1.share"] = _mean(h_l > 0) if np.isfinite(h_l).all() else float("nan")
    made.update({f"O1.block{i}": _mean(block) for i, block in enumerate(blocks, start=1)})
    made["O2.mean"] = _mean(acc["T1andT2h"] - acc["T1andT2ran"])
    made["H.mean"] = _mean(h_l)
    early, late = window(epochs, 0, 20), window(epochs, 30, 50)
    made["O3.early"] = _mean((acc["T2h"] - acc["T2l"])[early])
    made["O3.late"] = _mean((acc["T2h"] - acc["T2l"])[late])
    made["O3.fall"] = _mean(acc["T2h"][late]) - _mean(acc["T2h"][early])
    all_h = acc["T1andT2"] - acc["T1andT2h"]
    made["O4.first"] = _mean(all_h[window(epochs, 0, 10)])
    made["O4.middle"] = _mean(all_h[window(epochs, 20, 30)])
    made["O4.second"] = _mean(all_h[window(epochs, 25, 50)])
    lead = _mean(all_h[level])
    made["O4.growth"] = lead - made["O4.first"]
    # Both after as many updates: T1andT2 makes more of them in an epoch.
    updates = np.interp(UPDATES * epochs, epochs, acc["T1andT2"]) - acc["T1andT2h"]
    first = window(epochs, 0, 10) & (UPDATES * epochs >= epochs[0])
    lead = _mean(updates[level])
    made["O4.growth.updates"] = lead - _mean(updates[first])
    made["O5.fall"] = _change(epochs, acc["T1andT2h"], 20, 50)
    made["O5.fall.T1andT2"] = _change(epochs, acc["T1andT2"], 20, 50)
    made["O5.steady"] = _change(epochs, acc["T1andT2"], 25, 50)
    return made


def _accuracy_names() -> list[str]:
    """In the order of the columns, whatever an arm lacks: tables have one header for all seeds."""
    names = [f"A.{arm}" for arm in ARMS] + ["R1.order", "O1.share"]
    names += [f"O1.block{i}" for i in range(1, BLOCKS + 1)]
    names += ["O2.mean", "H.mean", "O3.early", "O3.late", "O3.fall"]
    names += ["O4.first", "O4.middle", "O4.second", "O4.growth", "O4.growth.updates"]
    return [*names, "O5.fall", "O5.fall.T1andT2", "O5.steady"]


def _ordered(levels: Mapping[str, float]) -> float:
    """1 if T1andT2 is first and T1andT2h second, else 0 (R1)."""
    others = [levels[f"A.{arm}"] for arm in OTHERS]
    first, second = levels["A.T1andT2"], levels["A.T1andT2h"]
    if not np.isfinite([first, second, *others]).all():
        return float("nan")
    first, second, *others = comparable([first, second, *others])
    return float(first > second > max(others))


def comparable(values: ArrayLike) -> NDArray[np.float64]:
    """Levels of accuracy, or their differences, so that equal ones are equal.

    Two levels from the same numbers of right answers, added in different orders, may differ
    in their last bit.  Real differences are above 1e-9.

    Args:
        values: any shape.

    Returns:
        float64 of the same shape, 12 decimals.

    Example:
        >>> one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
        >>> one == other, bool(comparable(one) == comparable(other))
        (False, True)
    """
    return np.asarray(values, dtype=np.float64).round(12)


def _mean(values: NDArray[np.bool_ | np.floating]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _change(
    epochs: NDArray[np.float64], values: NDArray[np.float64], first: float, last: float
) -> float:
    """Change over a window: the slope of its least-squares line times its length."""
    inside = window(epochs, first, last)
    if inside.sum() < 2 or np.isnan(values).any():
        return float("nan")
    slope = np.polyfit(epochs[inside], values[inside], 1)[0]
    return float(slope * (epochs[inside][-1] - epochs[inside][0]))


def change_statistics(record: Record, seed: int) -> dict[str, float]:
    """Statistics of the changes of saliency in Figs 3-5, for one seed and all sentences of T1.

    Args:
        record: the record of the first phase.
        seed: selects the sentences that are drawn for Fig. 5.

    Returns:
        Name -> number; all but the first are NaN if one kind of sentence is missing.

        * ``misclassified``: number of misclassified sentences.
        * ``F3.ratio``: mean change of standardised saliency per word and epoch, in
          epochs 21-50 divided by that up to epoch 20, in correctly classified sentences.
        * ``F4.excess``: the same ratio for misclassified sentences, minus F3.ratio.
        * ``F4.log_ratio``: log of the change in epochs 21-50 of misclassified sentences,
          divided by that of correctly classified ones.
        * ``F4b.straight``: :func:`straightness` of the words' standardised saliency over
          epochs 20-50, mean in correctly classified sentences minus mean in misclassified
          ones; ``F4b.straight.raw``: of raw saliency.  NaN if saliency was not stored.
        * ``F5.share``: share of epochs at which the raw saliency of a mean
          misclassified sentence changes more.
        * ``F5.correlation``: correlation of the two curves of Fig. 5 over epochs.
        * ``F5b.log_ratio``: log of the total change of a misclassified sentence
          divided by that of a correctly classified one.
        * ``….logit``: the same for the gradient of the logit difference.
        * ``F5.share.100``: F5.share for 100 sentences of each kind, drawn as in Fig. 5.
        * ``F5c.agreement``: with these, share of epochs up to 10 at which both curves
          rise or both fall.

    Example:
        >>> found = change_statistics(sample_run().record(0), seed=0)
        >>> 0 <= found["F5.share"] <= 1
        True
    """
    correct = record.correct
    wrong = ~correct
    # All names first, in the order of the columns: tables have one header for all seeds.
    names = ["misclassified", "F3.ratio", "F4.excess", "F5.share", "F5b.log_ratio"]
    names += ["F5.correlation", "F5.share.logit", "F5b.log_ratio.logit", "F5.share.100"]
    names += ["F4.log_ratio", "F4b.straight", "F4b.straight.raw", "F5c.agreement"]
    made = {**dict.fromkeys(names, float("nan")), "misclassified": float(wrong.sum())}
    if not (wrong.any() and correct.any()):
        return made
    epochs = record.change_epochs
    early, late = window(epochs, 0, 20), window(epochs, 20.01, 50)
    ratio, moved = {}, {}
    for name, chosen in (("correct", correct), ("wrong", wrong)):
        change = record.change["standardised"][:, chosen].sum(axis=1, dtype=np.float64)
        a_word = change / record.lengths[chosen].sum()
        before, moved[name] = _mean(a_word[early]), _mean(a_word[late])
        ratio[name] = moved[name] / before if before else float("nan")
    made["F3.ratio"] = ratio["correct"]
    made["F4.excess"] = ratio["wrong"] - ratio["correct"]
    for kind, suffix in (("raw", ""), ("logit", ".logit")):
        right, mis = change_curves(record, kind)
        made[f"F5.share{suffix}"] = _mean(mis > right)
        total = right.sum() * mis.sum()
        made[f"F5b.log_ratio{suffix}"] = (
            float(np.log(mis.sum() / right.sum())) if total > 0 else float("nan")
        )
        if kind == "raw":
            varying = len(right) > 1 and right.std() > 0 and mis.std() > 0
            made["F5.correlation"] = (
                float(np.corrcoef(right, mis)[0, 1]) if varying else float("nan")
            )
    right, mis = change_curves(record, "raw", drawn_hundred(correct, seed))
    made["F5.share.100"] = _mean(mis > right)
    made["F4.log_ratio"] = _log_ratio(moved["wrong"], moved["correct"])
    made.update(_straightness_gaps(record))
    rises, also = (np.diff(curve[window(epochs, 0, 10)]) > 0 for curve in (right, mis))
    made["F5c.agreement"] = _mean(rises == also)
    return made


def _log_ratio(one: float, other: float) -> float:
    return float(np.log(one / other)) if one > 0 and other > 0 else float("nan")


def straightness(curves: np.ndarray) -> np.ndarray:
    """How straight each curve is: its net change over the length of its path (5.5.1).

    .. math::
        |x_K - x_1| / \\sum_{k < K} |x_{k+1} - x_k|

    Args:
        curves: (K, T) K points of T curves.

    Returns:
        (T,) float64: 1 for a curve that only rises or only falls, near 0 for one
        that goes up and down; NaN for one that does not move.

    Example:
        >>> straightness(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]])).round(2).tolist()
        [1.0, 0.33]
    """
    path = np.abs(np.diff(curves, axis=0)).sum(axis=0, dtype=np.float64)
    net = np.abs(curves[-1].astype(np.float64) - curves[0])
    return np.asarray(np.divide(net, path, out=np.full(len(path), np.nan), where=path > 0))


def _straightness_gaps(record: Record) -> dict[str, float]:
    """Mean straightness of the words of correct sentences less that of misclassified ones."""
    names = ("F4b.straight", "F4b.straight.raw")
    rows = np.flatnonzero(window(record.epochs, 20, PAPER["epochs"]))
    if record.saliency is None or len(rows) < 3:
        return dict.fromkeys(names, float("nan"))
    raw = np.asarray(record.saliency[rows])
    within = record.standardised_over == "sentence"
    offsets = np.concatenate([[0], np.cumsum(record.lengths)]) if within else None
    standardised = np.array([standardise(row, offsets) for row in raw])
    correct = np.repeat(record.correct, record.lengths)
    made = {}
    for name, curves in zip(names, (standardised, raw)):
        straight = straightness(curves)
        moves = np.isfinite(straight)
        made[name] = _mean(straight[correct & moves]) - _mean(straight[~correct & moves])
    return made


def drawn_hundred(
    correct: NDArray[np.bool_], seed: int, size: int = FIG_5
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Up to 100 correctly classified and as many misclassified sentences (Fig. 5).

    Args:
        correct: (N,) bool.
        seed: the run's seed, from which the draw's generator is made.
        size: sentences of each kind.

    Returns:
        Two sorted arrays of positions in T1.  They have the same length, so that
        sums over them can be compared; fewer than `size` if one kind has fewer.

    Example:
        >>> right, wrong = drawn_hundred(np.array([True, False, True]), seed=0)
        >>> len(right), wrong.tolist()
        (1, [1])
    """
    random = generator("figure 5", seed)
    size = min(size, int(correct.sum()), int((~correct).sum()))
    right, wrong = (
        np.sort(random.permutation(np.flatnonzero(which))[:size]) for which in (correct, ~correct)
    )
    return right, wrong


def change_curves(
    record: Record,
    kind: str = "raw",
    chosen: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean change per sentence at each epoch: correctly classified, misclassified (Fig. 5).

    Args:
        record: the record of a training run.
        kind: ``"raw"``, ``"standardised"`` or ``"logit"``.
        chosen: positions in T1 of the two sets of sentences; None takes all.

    Returns:
        Two arrays, (E - 1,) float64.

    Example:
        >>> correct, misclassified = change_curves(sample_run().record(0))
        >>> correct.shape, misclassified.shape
        ((2,), (2,))
    """
    if chosen is None:
        chosen = np.flatnonzero(record.correct), np.flatnonzero(~record.correct)
    change = record.change[kind]
    right, wrong = (change[:, places].mean(axis=1, dtype=np.float64) for places in chosen)
    return right, wrong
