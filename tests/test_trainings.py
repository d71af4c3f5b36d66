"""Further trainings of a seed: what is complete, which draws they have, and how they go on."""

import numpy as np
import pytest

from replicate.beyond import trainings
from replicate.config import ARMS
from replicate.instability import sentence_instability
from replicate.io.files import save_csv
from replicate.model import initial_model
from replicate.run import Run


@pytest.fixture
def run(reported_run, copied):
    return copied(reported_run)


def test_a_seed_is_finished_with_all_arms_or_those_that_are_asked_for(run, refused):
    """A file of T2l that is gone: the seed is not finished, its first phase is."""
    trainings.check_finished(run, [0, 1, 2])
    (run.folder(1, "T2l") / "stage.json").unlink()
    again = Run(run.out)
    trainings.check_finished(again, [0, 2])
    trainings.check_finished(again, [0, 1, 2], [arm for arm in ARMS if arm != "T2l"])
    with refused("seed 1 is not finished; run it first"):
        trainings.check_finished(again, [0, 1, 2])
    with refused("seed 7 is not finished; run it first"):
        trainings.check_finished(again, [7], ["T1"])


def test_rows_that_are_there(tmp_path):
    """None before the table is made; numbers, and text where it is said so."""
    place = tmp_path / "t.csv"
    assert trainings.rows_there(place, ("name", "x"), ["name"]) == []
    save_csv(place, ("name", "x"), [("1", 0.5)])
    assert trainings.rows_there(place, ("name", "x"), ["name"]) == [{"name": "1", "x": 0.5}]
    assert trainings.rows_there(place, ("name", "x")) == [{"name": 1.0, "x": 0.5}]


def test_draws_differ_by_question_seed_and_number():
    drawn = {
        trainings.further_seed(name, seed, k)
        for name in ("one question", "another")
        for seed in (0, 1)
        for k in (0, 1)
    }
    assert len(drawn) == 8 and all(0 <= seed < 2**31 for seed in drawn)
    t2 = np.arange(100, 141)
    halves = [trainings.random_half(seed, k, t2) for seed in (0, 1) for k in (0, 1)]
    assert all(len(set(half)) == 20 and set(half) <= set(t2) for half in halves)
    assert len({tuple(sorted(half)) for half in halves}) == 4
    assert trainings.random_half(1, 1, t2).tolist() == halves[3].tolist()


def test_an_arm_trained_once_more_is_that_arm(run, tmp_path):
    """The sentences, weights and order of T1andT2h give its accuracies; another seed others."""
    sentences = run.sentences(0, "T1andT2h")
    rows = trainings.train_on(run, 0, sentences, "again", tmp_path)
    own = run.accuracies(0)["T1andT2h"]
    assert [row[1] for row in rows] == own[:, 1].tolist()
    other = trainings.train_on(run, 0, sentences, "other", tmp_path, own=99)
    assert [row[2] for row in other] != own[:, 2].tolist()
    # A state of one is not taken for the other's.
    config = run.config.replace(n_filters=run.config.n_filters + 1)
    wide = trainings.train_on(run, 0, sentences, "wide", tmp_path, config)
    assert [row[2] for row in wide] != own[:, 2].tolist()


def test_a_first_phase_trained_once_more_is_that_first_phase(run, tmp_path):
    """wac, and the scores A_S of T2, to the bit; another order gives others."""
    t1, t2, t3 = run.split(0)
    wac, count = trainings.first_phase(run, initial_model(run, 0), (t1, t3), 0, "again", tmp_path)
    own_wac, own_count = run.instability(0)
    np.testing.assert_array_equal(wac, own_wac)
    np.testing.assert_array_equal(count, own_count)
    scores = trainings.scores_of_t2(run, 0, wac)
    tokens, offsets = run.corpus.take(t2)
    config = run.config
    restated = sentence_instability(
        own_wac, tokens, offsets, config.unseen_words, config.repeated_words
    )
    np.testing.assert_array_equal(scores, restated)
    other, _ = trainings.first_phase(
        run, initial_model(run, 0), (t1, t3), 1, "another order", tmp_path
    )
    assert not np.array_equal(other, own_wac)


def work(out, seed, word, on_progress):
    (Run(out).out / f"{seed}-{word}").touch()
    on_progress((1, None))


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_every_seed_has_its_task(run):
    seen = []
    outcome = trainings.run_seeds(
        run,
        [0, 2],
        work,
        "x",
        jobs=2,
        on_progress=lambda seed, message: seen.append((seed, message)),
    )
    assert outcome.failures == {}
    assert sorted(place.name for place in run.out.glob("*-x")) == ["0-x", "2-x"]
    assert sorted(map(str, seen)) == sorted(
        map(str, [(0, (1, None)), (0, "done"), (2, (1, None)), (2, "done")])
    )
