"""How much any choice could matter: the average score, exact ranks, and what is judged."""

import itertools
import shutil

import numpy as np
import pytest
from scipy import stats

import replicate
from replicate import cli
from replicate.beyond import choice, trainings
from replicate.config import generator
from replicate.io.errors import InputError
from replicate.io.files import load_json, read_csv
from replicate.run import Run

pytestmark = pytest.mark.slow
HALVES, PHASES = 3, 2


@pytest.fixture(scope="module")
def chosen(recorded_run, tmp_path_factory):
    """A run whose further models are trained."""
    out = tmp_path_factory.mktemp("choice") / "run"
    shutil.copytree(recorded_run.out, out)
    run = Run(out)
    for seed in run.seeds:
        choice.work_on_choice(str(out), seed, HALVES, PHASES, lambda message: None)
    return run


def rows_of(run, seed, name, header):
    return read_csv(run.seed_folder(seed) / "choice" / name, header)


# --- the average score -----------------------------------------------------------------


def test_the_average_does_not_depend_on_the_size_of_gradients():
    """A phase with saliency a thousand times as large has the same part in the average."""
    scores = np.abs(np.random.RandomState(0).standard_normal((4, 30)))
    scaled = scores * np.array([[1.0], [1000.0], [0.1], [7.0]])
    np.testing.assert_allclose(choice.average_score(scaled), choice.average_score(scores))
    # Twin: the plain mean is one phase's.
    assert stats.spearmanr(scaled.mean(axis=0), scores[1])[0] > 0.99
    assert stats.spearmanr(choice.average_score(scaled), scores[1])[0] < 0.9


def test_a_phase_without_instability_adds_nothing():
    scores = np.array([[1.0, 3.0], [0.0, 0.0]])
    assert choice.average_score(scores).tolist() == [0.25, 0.75]


def test_the_average_is_more_reliable():
    """With noise as large as what is measured, twenty phases correlate more with the truth."""
    random = np.random.RandomState(1)
    truth = random.gamma(4.0, size=500)
    phases = truth * random.lognormal(sigma=0.8, size=(20, 500))
    one = stats.spearmanr(phases[0], truth)[0]
    assert stats.spearmanr(choice.average_score(phases), truth)[0] > one + 0.2


# --- exact ranks -----------------------------------------------------------------------


def by_enumeration(rows):
    """The same p from all combinations of places."""
    total = sum(row[0] for row in rows)
    sums = np.array([sum(places) for places in itertools.product(*rows)])
    return min(1.0, 2 * min(np.mean(sums <= total), np.mean(sums >= total)))


@pytest.mark.parametrize("ties", [False, True])
def test_the_p_of_ranks_is_exact(ties):
    random = np.random.RandomState(2)
    for _ in range(30):
        values = random.randint(0, 3 if ties else 10**6, size=(4, 5))
        rows = [np.rint(2 * stats.rankdata(row)).astype(int).tolist() for row in values]
        assert choice.sum_of_ranks_p(rows) == pytest.approx(by_enumeration(rows))


def test_the_p_of_ranks_is_small_for_a_gain_only():
    """Uniform without a gain: below 5 % in 5 % of tables at most; always with a gain."""
    random = np.random.RandomState(3)

    def share(gain):
        found = []
        for _ in range(300):
            values = random.standard_normal((20, 21))
            values[:, 0] += gain
            ranks = np.rint(2 * stats.rankdata(values, axis=1)).astype(int).tolist()
            found.append(choice.sum_of_ranks_p(ranks) < 0.05)
        return np.mean(found)

    assert 0.01 < share(0.0) < 0.09
    assert share(1.5) == 1


# --- what is judged --------------------------------------------------------------------


def seeds_table(gain, seeds=60):
    random = np.random.RandomState(4)
    table = []
    for _ in range(seeds):
        level = 0.75 + 0.01 * random.standard_normal()
        row = {
            name: level + 0.005 * random.standard_normal()
            for name in ("T1andT2", "T1andT2h", "T1andT2l", "T1andT2h*", "T1andT2l*", "random")
        }
        row["T1andT2h*"] += gain
        table.append(row)
    return table


@pytest.mark.parametrize("gain, wanted", [(0.012, "reproduced"), (0.0, "no such effect")])
def test_a_gain_is_found_where_it_is(gain, wanted):
    parts = {p.part.title: p for p in choice.judge_choice(seeds_table(gain)).parts}
    assert parts["T1andT2h* less random halves"].verdict == wanted
    assert parts["T1andT2h* less T1andT2l*"].verdict == wanted
    assert parts["all of T2 less a random half"].verdict == "no such effect"
    assert parts["T1andT2l less random halves"].verdict == "alike"


def test_few_seeds_decide_nothing():
    parts = choice.judge_choice(seeds_table(0.05, 20)).parts
    assert {part.verdict for part in parts} == {"undecided"}
    assert np.isfinite([part.low for part in parts]).all()


# --- the trainings ---------------------------------------------------------------------


def test_what_is_trained(chosen):
    """Every seed has its phases and arms; halves are the named draws; scores are of T2."""
    run = chosen
    for seed in run.seeds:
        arms = [row["arm"] for row in rows_of(run, seed, choice.LEVELS, choice.LEVEL)]
        assert arms == ["T1andT2h* 2", "T1andT2l* 2", "random_0", "random_1", "random_2"]
        assert len(arms) + PHASES - 1 == choice.trainings(HALVES, PHASES)
        rows = rows_of(run, seed, choice.SCORES, ("phase", "sentence", "score"))
        _, t2, _ = run.split(seed)
        by_phase = [
            np.array([float(r["score"]) for r in rows if int(r["phase"]) == phase])
            for phase in range(PHASES)
        ]
        assert [len(scores) for scores in by_phase] == [len(t2)] * PHASES
        assert not np.allclose(by_phase[0], by_phase[1])
        # The first is the run's own.
        h = t2[np.argsort(-by_phase[0], kind="stable")[: len(t2) // 2]]
        assert sorted(h.tolist()) == run.sentences(seed, "T2h").tolist()


def test_further_phases_are_other_trainings_of_the_same_split(chosen):
    """Other weights and another order; the same sentences and vectors."""
    draws = {
        int(generator("further first phase", seed, k).randint(2**31))
        for seed in chosen.seeds
        for k in range(1, 20)
    }
    assert len(draws) == 19 * len(chosen.seeds) and not draws & set(chosen.seeds)


def test_it_goes_on_and_repeats(chosen, recorded_run, tmp_path, monkeypatch):
    """Stopped after any training, the same call does the rest, to the same bytes."""
    out = tmp_path / "run"
    shutil.copytree(recorded_run.out, out)
    real, trained = trainings.train, []

    def stopping(*args, **options):
        trained.append(options["fingerprint"])
        if len(trained) % 2 == 0:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(trainings, "train", stopping)
    for _ in range(20):
        try:
            choice.work_on_choice(str(out), 0, HALVES, PHASES, lambda message: None)
            break
        except KeyboardInterrupt:
            continue
    assert len(set(trained)) == choice.trainings(HALVES, PHASES) < len(trained)
    for name in (choice.LEVELS, choice.SCORES):
        there = chosen.seed_folder(0) / "choice" / name
        assert (out / "seed-000" / "choice" / name).read_bytes() == there.read_bytes()


def test_a_seed_says_what_was_measured(chosen):
    """Levels are the run's and the files'; the rank counts the random halves below."""
    row = choice.seed_choice(chosen, 0, HALVES, PHASES)
    late = {r["arm"]: float(r["late"]) for r in rows_of(chosen, 0, choice.LEVELS, choice.LEVEL)}
    drawn = [late[f"random_{k}"] for k in range(HALVES)]
    assert row["random"] == pytest.approx(np.mean(drawn))
    assert row["spread"] == pytest.approx(np.std(drawn, ddof=1))
    assert row["T1andT2h*"] == late["T1andT2h* 2"] and row["T1andT2l*"] == late["T1andT2l* 2"]
    below = sum(value < row["T1andT2h"] for value in drawn)
    same = sum(value == row["T1andT2h"] for value in drawn)
    assert row["rank"] == pytest.approx((below + same / 2) / HALVES)
    assert -1 <= row["reliability"] <= 1 and 0 <= row["overlap"] <= 1
    with pytest.raises(InputError, match="random_3"):
        choice.seed_choice(chosen, 0, HALVES + 1, PHASES)


def test_the_command(recorded_run, tmp_path, capsys):
    """It says how much it trains, and writes a table, the seeds and a picture."""
    out = tmp_path / "run"
    shutil.copytree(recorded_run.out, out)
    with pytest.raises(SystemExit) as ended:
        cli.main(["choice", str(out), "--halves", "2", "--phases", "2", "--jobs", "1"])
    told = capsys.readouterr()
    assert ended.value.code == 0 and "5 models for each of 3 seeds" in told.err
    table = read_csv(out / "choice" / "choice.csv", choice.TABLE)
    assert [row["answer"] for row in table[:6]] == ["undecided"] * 6
    assert (out / "choice" / "choice-forest.png").read_bytes().startswith(b"\x89PNG")
    taken = load_json(out / "choice" / "timing.json")
    assert taken["seconds"] > 0 and taken["peak_memory_bytes"] > 0
    assert (taken["seeds"], taken["jobs"]) == ([0, 1, 2], 1)
    assert taken["starts"] == [{"models": 5, "seconds": taken["seconds"]}]
    assert taken["versions"]["replicate"] == replicate.__version__ and "environment" in taken
    # The same command again trains nothing, and adds the little that it took.
    with pytest.raises(SystemExit):
        cli.main(["choice", str(out), "--halves", "2", "--phases", "2", "--jobs", "2"])
    again = load_json(out / "choice" / "timing.json")
    assert again["seconds"] > taken["seconds"] and again["jobs"] == 2
    assert [start["models"] for start in again["starts"]] == [5, 5]
    assert sum(start["seconds"] for start in again["starts"]) == pytest.approx(again["seconds"])
    assert again["peak_memory_bytes"] >= taken["peak_memory_bytes"]
    # One that cannot be read counts as none.
    (out / "choice" / "timing.json").write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit):
        cli.main(["choice", str(out), "--halves", "2", "--phases", "2", "--jobs", "2"])
    assert 0 < load_json(out / "choice" / "timing.json")["seconds"] < again["seconds"]


def test_an_unfinished_seed_is_refused(recorded_run):
    with pytest.raises(InputError, match="seed 77 is not finished"):
        choice.run_choice(recorded_run, [77])


def test_each_model_learns_its_half(chosen, recorded_run, tmp_path, monkeypatch):
    """T1 with the higher half by the average, with the lower, and with the named draws."""
    out = tmp_path / "run"
    shutil.copytree(chosen.out, out)
    (out / "seed-001" / "choice" / choice.LEVELS).unlink()
    real, learnt = trainings.train, {}

    def seen(model, corpus, sentences, evaluation, **options):
        learnt[options["fingerprint"].split(" ", 2)[2]] = sentences
        assert options["seed"] == 1
        return real(model, corpus, sentences, evaluation, **options)

    monkeypatch.setattr(trainings, "train", seen)
    choice.work_on_choice(str(out), 1, HALVES, PHASES, lambda message: None)
    t1, t2, _ = chosen.split(1)
    rows = rows_of(chosen, 1, choice.SCORES, ("phase", "sentence", "score"))
    scores = np.array([float(row["score"]) for row in rows]).reshape(PHASES, len(t2))
    order = np.argsort(-choice.average_score(scores), kind="stable")
    half = len(t2) // 2
    added = {"T1andT2h* 2": t2[order[:half]], "T1andT2l* 2": t2[order[-half:]]}
    for k in range(HALVES):
        added[f"random_{k}"] = generator("random half", 1, k).permutation(t2)[:half]
    assert {name: sorted([*t1, *extra]) for name, extra in added.items()} == {
        name: sentences.tolist() for name, sentences in learnt.items()
    }
