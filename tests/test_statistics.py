"""Statistics of one seed, by hand and on made-up records."""

import dataclasses

import numpy as np
import pytest

from replicate import statistics
from replicate.claims import CLAIMS
from replicate.config import ARMS
from replicate.run import Record


def curves(epochs=50, **levels):
    made = {}
    for arm in ARMS:
        level = np.broadcast_to(levels.get(arm, 0.75), epochs).astype(float)
        made[arm] = np.column_stack([np.arange(1, epochs + 1), level])
    return made


def test_level_is_the_mean_of_epochs_40_to_50():
    values = np.zeros(50)
    values[39:] = 0.78
    assert statistics.accuracy_statistics(curves(T1andT2=values))["A.T1andT2"] == pytest.approx(
        0.78
    )


def test_fall_is_the_least_squares_change():
    falling = np.concatenate([np.full(19, 0.8), 0.8 - 0.001 * np.arange(31)])
    made = statistics.accuracy_statistics(curves(T1andT2h=falling))
    assert made["O5.fall"] == pytest.approx(-0.030)
    assert made["O5.steady"] == pytest.approx(0.0, abs=1e-12)


def test_epoch_0_is_no_epoch_of_figure_6():
    with_start = {arm: np.vstack([[0, 0.1], rows]) for arm, rows in curves().items()}
    assert statistics.accuracy_statistics(with_start) == statistics.accuracy_statistics(curves())


def test_windows_of_a_shorter_run_are_in_proportion():
    epochs = np.arange(1, 11)
    assert epochs[statistics.window(epochs, 40, 50)].tolist() == [8, 9, 10]


def record(correct, moved):
    moved = np.asarray(moved, dtype=np.float32)
    epochs = np.arange(len(moved) + 1) + 1
    correct = np.asarray(correct)
    predicted = np.broadcast_to(correct.astype(np.int32), (len(epochs), len(correct)))
    one = np.ones(len(correct), dtype=int)
    change = dict.fromkeys(("raw", "standardised", "logit"), moved)
    return Record(epochs, predicted, one, one, change, judged=len(epochs))


def test_change_statistics_by_hand():
    # Two sentences: the correct one moves 1 an epoch up to 20 and 0.1 after,
    # the misclassified one 2 and 1.
    early = (np.arange(2, 51) <= 20)[:, None]
    moved = np.where(early, [[1.0, 2.0]], [[0.1, 1.0]])
    made = statistics.change_statistics(record([True, False], moved), seed=0)
    assert made["F3.ratio"] == pytest.approx(0.1)
    assert made["F4.excess"] == pytest.approx(0.4)
    assert made["F5.share"] == 1.0
    assert made["F5b.log_ratio"] == pytest.approx(np.log((19 * 2 + 30) / (19 + 3)))
    swapped = statistics.change_statistics(record([False, True], moved), seed=0)
    assert swapped["F5.share"] == 0.0


def test_no_misclassified_sentence_is_no_number():
    made = statistics.change_statistics(record([True, True], np.ones((49, 2))), seed=0)
    assert made["misclassified"] == 0 and np.isnan(made["F5.share"])


def test_hundred_are_drawn_by_the_seed():
    correct = np.arange(1000) % 3 > 0
    first, again = statistics.drawn_hundred(correct, 0), statistics.drawn_hundred(correct, 0)
    assert [len(p) for p in first] == [100, 100]
    assert correct[first[0]].all() and not correct[first[1]].any()
    assert all((a == b).all() for a, b in zip(first, again))
    assert not all((a == b).all() for a, b in zip(first, statistics.drawn_hundred(correct, 1)))


def test_the_judged_epoch_decides_who_is_correct():
    """Another epoch than the last, and epoch 0 before training, have rows of their own."""
    epochs, one = np.arange(0, 4), np.ones(2, dtype=int)
    predicted = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    for judged in epochs:
        record = Record(epochs, predicted, one, one, {}, judged=int(judged))
        assert record.correct.tolist() == (predicted[judged] == 1).tolist()
    assert record.change_epochs.tolist() == [1, 2, 3]


def test_statistics_named_by_claims_exist():
    made = {**statistics.accuracy_statistics(curves()), **statistics.change_statistics(
        record([True, False], np.ones((49, 2))), seed=0)}  # fmt: skip
    for claim in CLAIMS:
        for component in claim.components:
            assert set(component.name.split(" - ")) <= set(made), component.name
            assert dataclasses.is_dataclass(component)
