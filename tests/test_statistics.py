"""Statistics of one seed, by hand and on made-up records."""

import dataclasses

import numpy as np
import operating
import pytest
import readme

from replicate import statistics
from replicate import verdicts as judging
from replicate.claims import CLAIMS
from replicate.config import ARMS
from replicate.io.files import load_json, read_csv
from replicate.run import Record, last_with_enough

#: The committed runs of 200 seeds.
PUBLISHED = (*readme.RUNS, *readme.IMDB, *readme.FIVE_FILTERS)


def curves(epochs=50, **levels):
    made = {}
    for arm in ARMS:
        level = np.broadcast_to(levels.get(arm, 0.75), epochs).astype(float)
        made[arm] = np.column_stack([np.arange(1, epochs + 1), level])
    return made


def restated(acc):
    """Every statistic of accuracies, epoch by epoch, as the claims say them: no window, no helper."""

    def mean(first, last, *signed):
        """Mean over epochs first ... last of the arms with their signs."""
        chosen = range(max(first, 1), last + 1)
        return sum(s * acc[a][e - 1] for e in chosen for s, a in signed) / len(chosen)

    def fall(arm, first, last):
        x = np.arange(first, last + 1, dtype=float)
        y = np.array([acc[arm][e - 1] for e in range(first, last + 1)])
        slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
        return slope * (last - first)

    def at(arm, epoch):
        below = int(epoch)
        part = epoch - below
        return (1 - part) * acc[arm][below - 1] + part * acc[arm][min(below, 49)]

    h_l = [(1, "T1andT2h"), (-1, "T1andT2l")]
    h_ran = [(1, "T1andT2h"), (-1, "T1andT2ran")]
    all_h = [(1, "T1andT2"), (-1, "T1andT2h")]
    halves = [(1, "T2h"), (-1, "T2l")]
    late = {arm: mean(40, 50, (1, arm)) for arm in ARMS}
    # T1 and half of T2 are three quarters of T1 and T2.
    by_updates = {e: at("T1andT2", 0.75 * e) - acc["T1andT2h"][e - 1] for e in range(2, 51)}
    made = {f"A.{arm}": late[arm] for arm in ARMS}
    others = max(late[arm] for arm in ("T2h", "T2l", "T1andT2l", "T1andT2ran"))
    made["R1.order"] = float(late["T1andT2"] > late["T1andT2h"] > others)
    above = sum(acc["T1andT2h"][e] > acc["T1andT2l"][e] for e in range(50))
    made["O1.share"] = above / 50
    for block in range(1, 6):
        made[f"O1.block{block}"] = mean(10 * block - 9, 10 * block, *h_l)
    made["H.mean"], made["O2.mean"] = mean(1, 50, *h_l), mean(1, 50, *h_ran)
    made["O3.early"], made["O3.late"] = mean(1, 20, *halves), mean(30, 50, *halves)
    made["O3.fall"] = mean(30, 50, (1, "T2h")) - mean(1, 20, (1, "T2h"))
    made["O4.first"], made["O4.middle"] = mean(1, 10, *all_h), mean(20, 30, *all_h)
    made["O4.second"] = mean(25, 50, *all_h)
    made["O4.growth"] = late["T1andT2"] - late["T1andT2h"] - mean(1, 10, *all_h)
    lead = sum(by_updates[e] for e in range(40, 51)) / 11
    made["O4.growth.updates"] = lead - sum(by_updates[e] for e in range(2, 11)) / 9
    made["O5.fall"], made["O5.fall.T1andT2"] = fall("T1andT2h", 20, 50), fall("T1andT2", 20, 50)
    made["O5.steady"] = fall("T1andT2", 25, 50)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_statistics_of_accuracies_restated(seed):
    """Other numbers at every epoch of every arm: another arm, window or sign is noticed."""
    random = np.random.RandomState(seed)
    acc = {arm: random.uniform(0.5, 0.9, 50) for arm in ARMS}
    if seed == 2:
        acc["T1andT2"], acc["T1andT2h"] = acc["T1andT2"] + 1, acc["T1andT2h"] + 0.5
    made = statistics.accuracy_statistics(curves(**acc))
    wanted = restated(acc)
    assert set(made) == set(wanted) and wanted["R1.order"] == (seed == 2)
    for name, number in wanted.items():
        assert made[name] == pytest.approx(number, abs=1e-12), name


def test_a_missing_arm_takes_its_statistics_and_no_others():
    whole = statistics.accuracy_statistics(curves())
    some = curves()
    del some["T2l"]
    made = statistics.accuracy_statistics(some)
    assert {n for n in made if np.isnan(made[n])} == {"A.T2l", "R1.order", "O3.early", "O3.late"}
    # In one order: tables have one header for all seeds.
    assert list(made) == list(whole) == list(statistics.accuracy_statistics({}))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_accuracies_alone_give_the_same_statistics(name):
    """``accuracy.csv.gz`` of the committed runs against what was measured when they were made."""
    place = operating.RESULTS / name / "statistics.csv"
    header = place.read_text(encoding="utf-8").splitlines()[0].split(",")
    stored = {row["seed"]: row for row in read_csv(place, header, dict.fromkeys(header, float))}
    for seed, found in operating.committed_curves(name).items():
        made = statistics.accuracy_statistics(found)
        both = set(made) & set(stored[seed])
        assert len(both) > 20
        assert {n: made[n] for n in both} == pytest.approx(
            {n: stored[seed][n] for n in both}, abs=1e-9
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_verdicts_are_those_of_the_committed_tables(name):
    """Judged again from statistics and accuracies; the rule and the data are the stored ones."""
    rows = operating.committed_rows(name)
    assert len(rows) == (100 if name == "as-written-imdb" else 200)  # as planned
    stored = load_json(operating.RESULTS / name / "claims.json")
    judged = judging.judge(rows)
    assert [v.verdict for v in judged] == [found["verdict"] for found in stored]
    # Twin: with exchanged halves the main claim is another.
    turned = [{**row, "A.T1andT2h": row["A.T1andT2l"] + 0.01} for row in rows]
    assert [v.verdict for v in judging.judge(turned)] != [v.verdict for v in judged]


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
    assert made["F4.log_ratio"] == pytest.approx(np.log(1 / 0.1))
    swapped = statistics.change_statistics(record([False, True], moved), seed=0)
    assert swapped["F4.log_ratio"] == pytest.approx(np.log(0.1))
    assert swapped["F5.share"] == 0.0


def test_an_epoch_at_which_both_move_alike_is_not_most_epochs():
    moved = np.tile([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [1.0, 3.0], [1.0, 1.0]], (10, 1))[:49]
    made = statistics.change_statistics(record([True, False], moved), seed=0)
    higher = sum(mis > right for right, mis in moved) / 49
    assert made["F5.share"] == made["F5.share.100"] == pytest.approx(higher)
    assert higher != pytest.approx(sum(mis >= right for right, mis in moved) / 49)


def test_rises_at_the_same_epochs_are_counted_up_to_epoch_ten():
    random = np.random.RandomState(0)
    moved = random.rand(49, 2)
    # Changes arrive at epochs 2 to 50: the first nine reach epoch 10.
    turns = np.diff(moved[:9].astype(np.float32), axis=0) > 0
    made = statistics.change_statistics(record([True, False], moved), seed=0)
    assert made["F5c.agreement"] == pytest.approx((turns[:, 0] == turns[:, 1]).mean())
    assert 0 < made["F5c.agreement"] < 1
    same = statistics.change_statistics(record([True, False], moved[:, [0, 0]]), seed=0)
    assert same["F5c.agreement"] == 1


def with_saliency(correct, saliency, lengths):
    """A record of sentences with the saliency of their words."""
    epochs = np.arange(1, len(saliency) + 1)
    right = np.asarray(correct)
    predicted = np.broadcast_to(right.astype(np.int32), (len(epochs), len(right)))
    change = dict.fromkeys(("raw", "standardised", "logit"), np.ones((len(epochs) - 1, len(right))))
    return Record(
        epochs, predicted, np.ones(len(right), int), np.array(lengths), change, len(epochs),
        saliency=np.asarray(saliency, dtype=np.float32),
    )  # fmt: skip


def test_straightness_restated():
    """Raw and standardised, over epochs 20-50, words that do not move left out."""
    random = np.random.RandomState(1)
    saliency = random.rand(50, 7)
    # Up to epoch 19 nothing counts; one word of the correct sentence never moves.
    saliency[:19] = 100 * random.rand(19, 7)
    saliency[:, 3] = 0.5
    lengths, correct = [4, 3], [True, False]
    made = statistics.change_statistics(with_saliency(correct, saliency, lengths), seed=0)

    def straight(curve):
        path = sum(abs(b - a) for a, b in zip(curve, curve[1:]))
        return abs(curve[-1] - curve[0]) / path if path else None

    def gap(values):
        words = [straight([float(row[w]) for row in values[19:50]]) for w in range(7)]
        right, wrong = ([s for s in part if s is not None] for part in (words[:4], words[4:]))
        return np.mean(right) - np.mean(wrong)

    scaled = saliency.astype(np.float32).astype(float)
    assert made["F4b.straight.raw"] == pytest.approx(gap(scaled), rel=1e-5)
    over_all = dataclasses.replace(
        with_saliency(correct, saliency, lengths), standardised_over="T1"
    )
    together = (scaled - scaled.mean(axis=1)[:, None]) / scaled.std(axis=1)[:, None]
    found = statistics.change_statistics(over_all, seed=0)
    assert found["F4b.straight"] == pytest.approx(gap(together), rel=1e-5)
    assert found["F4b.straight"] != pytest.approx(made["F4b.straight"], rel=1e-2)
    for part in (slice(0, 4), slice(4, 7)):
        block = scaled[:, part]
        scaled[:, part] = (block - block.mean(axis=1)[:, None]) / block.std(axis=1)[:, None]
    assert made["F4b.straight"] == pytest.approx(gap(scaled), rel=1e-5)


def test_straight_and_up_and_down():
    """Words that rise steadily against words that go up and down; and saliency that was not kept."""
    steady = np.linspace(0, 1, 50)[:, None] * [1.0, 2.0]
    jumping = np.tile([[0.0, 1.0], [1.0, 0.0]], (25, 1))
    saliency = np.hstack([steady, jumping])
    made = statistics.change_statistics(with_saliency([True, False], saliency, [2, 2]), seed=0)
    assert made["F4b.straight.raw"] == pytest.approx(1.0)
    other = statistics.change_statistics(with_saliency([False, True], saliency, [2, 2]), seed=0)
    assert other["F4b.straight.raw"] == pytest.approx(-1.0)
    none = statistics.change_statistics(record([True, False], np.ones((49, 2))), seed=0)
    assert np.isnan([none["F4b.straight"], none["F4b.straight.raw"]]).all()
    assert none["F4.log_ratio"] == pytest.approx(0)


def test_no_misclassified_sentence_is_no_number():
    made = statistics.change_statistics(record([True, True], np.ones((49, 2))), seed=0)
    assert made["misclassified"] == 0 and np.isnan(made["F5.share"])
    some = statistics.change_statistics(record([True, False], np.ones((49, 2))), seed=0)
    assert list(made) == list(some), "tables have one header for all seeds"


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


def test_the_last_epoch_with_enough_misclassified():
    """The reading -1: later epochs have too few; with too few at all, the most that there are."""
    epochs, labels = np.arange(1, 5), np.ones(300, dtype=int)
    for wrong, enough, found in (
        ((200, 100, 150, 99), 100, 3),
        ((200, 100, 150, 100), 100, 4),
        ((20, 40, 40, 10), 100, 3),
        ((0, 0, 0, 0), 100, 4),
    ):
        predicted = (np.arange(300) >= np.array(wrong)[:, None]).astype(int)
        assert last_with_enough(epochs, predicted, labels, enough) == found


def test_statistics_named_by_claims_exist():
    saliency = np.random.RandomState(0).rand(50, 2)
    made = {
        **statistics.accuracy_statistics(curves()),
        **statistics.change_statistics(with_saliency([True, False], saliency, [1, 1]), seed=0),
    }
    for claim in CLAIMS:
        names = [name for part in claim.parts for name in part.statistic.split(" - ")]
        names += [claim.pattern[0]] if claim.pattern else []
        assert set(names) <= {*made, "A.others"}, claim.id


def test_equal_levels_are_equal():
    """The same numbers of right answers, added in two orders: no model is first."""
    counts = np.random.RandomState(0).randint(250, 350, (400, 11)) / 377
    shuffled = np.array([np.random.RandomState(i).permutation(row) for i, row in enumerate(counts)])
    one, other = counts.mean(axis=1), shuffled.mean(axis=1)
    assert (one != other).sum() > 50, "the twin: sums in floating point part them"
    assert (statistics.comparable(one) == statistics.comparable(other)).all()
    # The least real difference of levels: one answer of a large T3, in one of eleven epochs.
    assert statistics.comparable(0.75) < statistics.comparable(0.75 + 1 / 1e6 / 11)


def test_equal_levels_have_no_order():
    counts = np.array([[0.7, 0.1, 0.2], [0.2, 0.1, 0.7]]) + 0.1
    first, second = counts.mean(axis=1)
    assert first != second
    others = dict.fromkeys((f"A.{arm}" for arm in statistics.OTHERS), 0.1)
    for one, other in ((first, second), (second, first)):
        assert statistics._ordered({"A.T1andT2": one, "A.T1andT2h": other, **others}) == 0
    assert statistics._ordered({"A.T1andT2": first + 1e-6, "A.T1andT2h": second, **others}) == 1
