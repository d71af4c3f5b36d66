"""One row of numbers a seed: what the claims are judged from (sections 5 and 6).

Arrays in, numbers out: nothing here opens a file, so the same numbers come from
a run on disk, from a table of accuracies alone, or from arrays made by hand.
"""

from collections.abc import Mapping

import numpy as np

from .config import ARMS, PAPER, generator
from .run import Record

__all__ = [
    "accuracy_statistics",
    "change_curves",
    "change_statistics",
    "drawn_hundred",
    "seed_statistics",
    "window",
]

#: Blocks of epochs that "throughout" is judged over jointly (O1).
BLOCKS = 5

#: Accuracies of one arm: (epochs, 2 or more) of epoch, accuracy, …
Curves = Mapping[str, np.ndarray]


def seed_statistics(
    record: Record, curves: Curves, sizes: Mapping[str, int], seed: int
) -> dict[str, float]:
    """All statistics of a finished seed: the row that claims are judged from.

    Args:
        record: what the first phase recorded.
        curves: see :func:`accuracy_statistics`.
        sizes: sentences of each subset of Table 1.
        seed: names the sentences that are drawn for Fig. 5.

    Returns:
        name -> number; NaN where the data do not allow one.
    """
    return {
        **{f"size.{name}": float(sizes[name]) for name in ("T1", "T3", "T2h", "T2l")},
        **accuracy_statistics(curves),
        **change_statistics(record, seed),
    }


def window(epochs: np.ndarray, first: float, last: float) -> np.ndarray:
    """Which of `epochs` lie in the paper's epochs first ... last, both included.

    The paper's run has 50 epochs; those of a shorter or longer run are taken
    in proportion.

    Example:
        >>> np.flatnonzero(window(np.arange(1, 51), 40, 50)).tolist()[:2]
        [39, 40]
    """
    scaled = epochs * (PAPER["epochs"] / epochs[-1])
    return (scaled >= first - 1e-9) & (scaled <= last + 1e-9)


def accuracy_statistics(curves: Curves) -> dict[str, float]:
    """Statistics of Fig. 6 of one seed.

    Args:
        curves: arm -> (epochs, 2 or more) array of epoch, accuracy.

    Returns:
        name -> number; NaN where an arm is missing.  ``A.ARM`` is the mean
        accuracy of epochs 40-50; ``O...`` see :data:`replicate.claims.CLAIMS`.

    Example:
        >>> rising = np.column_stack([np.arange(1, 51), np.linspace(0.5, 0.75, 50)])
        >>> round(accuracy_statistics(dict.fromkeys(ARMS, rising))["A.T1andT2"], 3)
        0.724
    """
    curves = {arm: rows[rows[:, 0] > 0] for arm, rows in curves.items()}
    lengths = {len(rows) for rows in curves.values()}
    if not curves or len(lengths) != 1 or min(lengths) < 1:
        return dict.fromkeys(_accuracy_names(), np.nan)
    epochs = next(iter(curves.values()))[:, 0]
    missing = np.full(len(epochs), np.nan)
    acc = {arm: curves[arm][:, 1] if arm in curves else missing for arm in ARMS}
    made = {f"A.{arm}": _mean(acc[arm][window(epochs, *PAPER["level_epochs"])]) for arm in ARMS}
    h_l = acc["T1andT2h"] - acc["T1andT2l"]
    blocks = np.array_split(h_l, BLOCKS) if len(h_l) >= BLOCKS else [h_l] * BLOCKS
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
    made["O5.fall"] = _change(epochs, acc["T1andT2h"], 20, 50)
    made["O5.steady"] = _change(epochs, acc["T1andT2"], 25, 50)
    return made


def _accuracy_names() -> list[str]:
    fixed = ["O2.mean", "H.mean", "O3.early", "O3.late", "O3.fall", "O4.first", "O4.middle"]
    fixed += ["O4.second", "O5.fall", "O5.steady"]
    return [f"A.{a}" for a in ARMS] + [f"O1.block{i + 1}" for i in range(BLOCKS)] + fixed


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _change(epochs: np.ndarray, values: np.ndarray, first: float, last: float) -> float:
    """Change over a window by the slope of its least-squares line."""
    inside = window(epochs, first, last)
    if inside.sum() < 2 or np.isnan(values).any():
        return float("nan")
    slope = np.polyfit(epochs[inside], values[inside], 1)[0]
    return float(slope * (epochs[inside][-1] - epochs[inside][0]))


def change_statistics(record: Record, seed: int) -> dict[str, float]:
    """Statistics of Figs 3-5 of one seed, over all sentences of T1.

    Args:
        record: what the first phase recorded.
        seed: names the sentences that are drawn for Fig. 5.

    Returns:
        ``F3.ratio``: change of standardised saliency a word and epoch, epochs
        21-50 over epochs up to 20, correctly classified; ``F4.excess``: the
        same ratio of the misclassified less that; ``F5.share``: share of
        epochs at which a misclassified sentence changes more (raw);
        ``F5.correlation`` of the two curves over epochs; ``F5b.log_ratio``:
        log of the total change, misclassified over correct; ``....logit``: the
        same of the gradient of the logit difference; ``F5.share.100``: with
        100 of each, drawn as for Fig. 5; ``misclassified``: their number.
    """
    correct = record.correct
    wrong = ~correct
    made = {"misclassified": float(wrong.sum())}
    names = ["F3.ratio", "F4.excess", "F5.share", "F5.correlation", "F5b.log_ratio"]
    names += ["F5.share.logit", "F5b.log_ratio.logit", "F5.share.100"]
    if not (wrong.any() and correct.any()):
        return {**made, **dict.fromkeys(names, float("nan"))}
    epochs = record.change_epochs
    early, late = window(epochs, 0, 20), window(epochs, 20.01, 50)
    ratio = {}
    for name, chosen in (("correct", correct), ("wrong", wrong)):
        change = record.change["standardised"][:, chosen].sum(axis=1, dtype=np.float64)
        a_word = change / record.lengths[chosen].sum()
        before = _mean(a_word[early])
        ratio[name] = _mean(a_word[late]) / before if before else float("nan")
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
    return made


def drawn_hundred(correct: np.ndarray, seed: int, size: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Up to 100 correctly classified and 100 misclassified sentences (Fig. 5).

    Args:
        correct: (n,) bool.
        seed: names the draw.
        size: of each kind.

    Returns:
        Two arrays of places in T1, sorted, of equal length: sums over them can
        be compared.  Fewer than `size` where one kind has fewer.

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
    record: Record, kind: str = "raw", chosen: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Change of a mean sentence by epoch: correctly classified, misclassified (Fig. 5).

    Args:
        record: of a seed.
        kind: raw, standardised or logit.
        chosen: places of the two sets; None takes all.

    Returns:
        Two (E - 1,) float64 arrays.
    """
    if chosen is None:
        chosen = np.flatnonzero(record.correct), np.flatnonzero(~record.correct)
    change = record.change[kind]
    right, wrong = (change[:, places].mean(axis=1, dtype=np.float64) for places in chosen)
    return right, wrong
