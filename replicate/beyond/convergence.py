"""Do unstable words settle in the second phase, and are they the rare ones? (Q1, Q3)

The paper asks both and answers neither (sections 6.1, 6.2 and 7).  Words that
were chosen for a high wac have a lower one in any later training, by
regression to the mean; so what counts is not the fall, but how much more of
it ``T1andT2h`` brings than ``T1andT2ran``, which is as large and random.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..config import generator
from ..inference import ALPHA, holm, t_test
from ..instability import sentence_instability
from ..io.errors import InputError
from ..model import trained_model
from ..run import Record, Run
from ..saliency import classify, flat_batch
from ..statistics import window
from ..verdicts import column

__all__ = ["ARMS_ASKED", "answers", "matched_words", "seed_answers"]

#: Arms whose saliency on T1 is followed.
ARMS_ASKED = ("T2h", "T1andT2h", "T1andT2l", "T1andT2ran")
#: Words that are called unstable: this share, of the highest wac.
UNSTABLE = 0.25
#: Fewest occurrences in T1 of the words compared: a mean needs two numbers.
LEAST = 2


def matched_words(
    wac: NDArray[np.float64], count: NDArray[np.integer], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Unstable words and as many stable ones of the same frequencies.

    Of the words that occur twice or more, those in the highest quarter of wac
    are unstable, those in the lower half are candidates for stable ones; each
    unstable word gets a candidate of the same count, where one is left.

    Args:
        wac: (V,), NaN where a word does not occur.
        count: (V,) occurrences in T1.
        seed: names which of the candidates of a count are taken.

    Returns:
        Unstable and stable words, (k,) each, of equal counts pair by pair.

    Example:
        >>> wac = np.array([9.0, 1.0, 2.0, 3.0, np.nan])
        >>> unstable, stable = matched_words(wac, np.array([2, 2, 3, 3, 0]), seed=0)
        >>> unstable.tolist(), stable.tolist()
        ([0], [1])
    """
    random = generator("matched words", seed)
    words = np.flatnonzero((count >= LEAST) & np.isfinite(wac))
    if not len(words):
        return words, words
    order = words[np.argsort(-wac[words], kind="stable")]
    unstable = order[: max(1, int(UNSTABLE * len(order)))]
    candidates = random.permutation(order[len(order) // 2 :])
    free: dict[int, list[int]] = {}
    for word in candidates.tolist():
        free.setdefault(int(count[word]), []).append(word)
    pairs = [(w, free[c].pop()) for w in unstable.tolist() if free.get(c := int(count[w]))]
    matched = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def _late_share(record: Record, words: np.ndarray) -> float:
    """Mean log of late over early change, epochs 21-50 over those up to 20."""
    assert record.word_change is not None  # every run on disk has it
    epochs, change = record.change_epochs, record.word_change[:, words].astype(np.float64)
    early = change[window(epochs, 0, 20)].mean(axis=0)
    late = change[window(epochs, 20.01, 50)].mean(axis=0)
    both = (early > 0) & (late > 0)
    return float(np.mean(np.log(late[both] / early[both]))) if both.any() else float("nan")


def seed_answers(run: Run, seed: int) -> dict[str, float]:
    """Statistics of one seed for Q1 and Q3.

    Args:
        run: made with ``--record-arms``.
        seed: a finished seed of it.

    Returns:
        dict: name -> float.  ``gap.PHASE``: mean log wac of unstable words less
        that of their matches; ``late.PHASE``: the same of late over early
        movement; ``rich.ARM``: accuracy of the final model on the quarter of
        T3 with the highest A_S; ``rest.ARM``: on the rest; ``rarity``: rank
        correlation of wac with frequency; ``words``: pairs of words.

    Raises:
        InputError: when the arms were not recorded.
    """
    wac, count = run.instability(seed)
    unstable, stable = matched_words(wac, count, seed)
    made = {"words": float(len(unstable))}
    for arm in ("T1", *ARMS_ASKED):
        if not run.recorded(seed, arm):
            raise InputError(
                f"{run.out}: seed {seed} has no record of saliency in {arm}; "
                "run in another --out with --record-arms"
            )
        values, _ = run.instability(seed, arm)
        # A word whose saliency never moves (no filter ever meets it) has no log.
        both = (values[unstable] > 0) & (values[stable] > 0)
        made[f"gap.{arm}"] = _mean(np.log(values[unstable][both]) - np.log(values[stable][both]))
        record = run.record(seed, arm)
        made[f"late.{arm}"] = _late_share(record, unstable) - _late_share(record, stable)
    occurs = np.flatnonzero(count)
    made["rarity"] = float(stats.spearmanr(wac[occurs], count[occurs]).statistic)
    often = np.flatnonzero(count >= LEAST)
    made["rarity.often"] = float(stats.spearmanr(wac[often], count[often]).statistic)
    made.update(_accuracy_where_unstable(run, seed, wac))
    return made


def _mean(values):
    return float(np.mean(values)) if len(values) else float("nan")


def _accuracy_where_unstable(run, seed, wac):
    """Accuracy on T3's sentences that are rich in unstable words, and on the others."""
    corpus, config = run.corpus, run.config
    _, _, t3 = run.split(seed)
    tokens, offsets = corpus.take(t3)
    scores = sentence_instability(wac, tokens, offsets, config.unseen_words, config.repeated_words)
    rich = np.zeros(len(t3), dtype=bool)
    rich[np.argsort(-scores, kind="stable")[: max(1, len(t3) // 4)]] = True
    made = {}
    for arm in ("T1", *ARMS_ASKED):
        model = trained_model(run, seed, arm)
        right = classify(model, flat_batch(model, tokens, offsets)).predicted == corpus.labels[t3]
        made[f"rich.{arm}"], made[f"rest.{arm}"] = (
            float(right[rich].mean()),
            float(right[~rich].mean()),
        )
    return made


#: Rows of the answers: id, what is measured, its kind of test, the statistic, and what
#: it says where the test holds.
QUESTIONS = (
    ("Q1", "log wac, unstable less matched stable words, first phase", "above", "gap.T1",
     "unstable words differ from stable ones"),
    *(
        ("Q1", f"how much of that gap is closed in {arm}", "above", f"gap.T1 - gap.{arm}",
         "the gap closes")
        for arm in ARMS_ASKED
    ),
    ("Q1", "closed in T1andT2h less in T1andT2ran", "above", "gap.T1andT2ran - gap.T1andT2h",
     "T2h settles them more than random sentences"),
    ("Q1", "closed in T1andT2h less in T1andT2l", "above", "gap.T1andT2l - gap.T1andT2h",
     "T2h settles them more than T2l"),
    ("Q1", "log late / early movement, unstable less stable, first phase", "above", "late.T1",
     "unstable words move later"),
    ("Q1", "the same in T1andT2h less in T1andT2ran", "below", "late.T1andT2h - late.T1andT2ran",
     "T2h makes them settle earlier than random sentences"),
    ("Q1", "T1's accuracy on T3 rich in unstable words less on the rest", "below",
     "rich.T1 - rest.T1", "sentences rich in unstable words are classified worse"),
    ("Q1", "accuracy on T3 rich in unstable words, T1andT2h less T1andT2ran", "above",
     "rich.T1andT2h - rich.T1andT2ran", "those words are learned better from T2h"),
    ("Q3", "rank correlation of wac with frequency in T1", "below", "rarity",
     "unstable words are the rare ones"),
    ("Q3", "the same among words that occur twice or more", "below", "rarity.often",
     "unstable words are the rare ones"),
)  # fmt: skip


def answers(table: Sequence[Mapping[str, float]]) -> list[tuple[Any, ...]]:
    """Answers from the statistics of S seeds.

    Args:
        table: rows of :func:`seed_answers`.

    Returns:
        Rows ``(id, measure, test, ours, low, high, seeds, answer)``:
        mean, 95 % interval; the answer is ``"yes: ..."``, ``"no"``
        (shown to be the opposite) or ``"undecided"``, after Holm's
        correction over all rows.
    """
    tested = [t_test(column(table, name)) for _, _, _, name, _ in QUESTIONS]
    above, below = holm([t.p_above for t in tested]), holm([t.p_below for t in tested])
    rows = []
    for (ident, measure, kind, _, says), t, *p in zip(QUESTIONS, tested, above, below):
        p_yes, p_no = p if kind == "above" else reversed(p)
        # Either side has half of the errors, as with the interval.
        yes, no = p_yes < ALPHA / 2, p_no < ALPHA / 2
        answer = f"yes: {says}" if yes else "no" if no else "undecided"
        rows.append((ident, measure, f"{kind} 0", t.mean, t.low, t.high, t.seeds, answer))
    return rows
