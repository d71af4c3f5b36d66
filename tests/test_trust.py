"""The parts of trust in a run: other trainings, summaries over seeds, tables and figures."""

import dataclasses
import shutil

import numpy as np
import pytest
from scipy import stats

from replicate import cli
from replicate.beyond import faithful, jumps, trainings, trust
from replicate.io.files import load_json, read_csv, save_json
from replicate.model import initial_model
from replicate.run import Run
from replicate.saliency import classify, flat_batch
from replicate.split import split_corpus

pytestmark = pytest.mark.slow
DRAWS = 1


@pytest.fixture(scope="module")
def trusted(recorded_run, tmp_path_factory):
    """A run with the tables of all its seeds."""
    out = tmp_path_factory.mktemp("trust") / "run"
    shutil.copytree(recorded_run.out, out)
    run = Run(out)
    for seed in run.seeds:
        trust.work_on_trust(str(out), seed, DRAWS, lambda message: None)
    return run


# --- other trainings -----------------------------------------------------------------------


def test_the_same_training_agrees_with_itself(recorded_run, copied):
    """With nothing changed it is the run's own, to the last bit of wac."""
    found = trust.agreement(copied(recorded_run), 1, "nothing", 0)
    assert found == {
        "wac": pytest.approx(1), "wac_often": pytest.approx(1), "top": 1.0,
        "saliency": pytest.approx(1), "predicted": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("source", trust.SOURCES)
def test_one_thing_differs(source, recorded_run, copied, monkeypatch):
    """Initial weights, order, split or vectors of unknown words; or all of them."""
    run, seen = copied(recorded_run), {}
    real = trainings.train

    def train(model, corpus, sentences, evaluation, *, seed, **options):
        weights = {name: array.copy() for name, array in model.weights(True).items()}
        seen.update(weights=weights, t1=sentences, t3=evaluation, seed=seed)
        return real(model, corpus, sentences, evaluation, seed=seed, **options)

    monkeypatch.setattr(trainings, "train", train)
    found = trust.agreement(run, 1, source, 0)
    own, t1 = initial_model(run, 1).weights(True), run.split(1)[0]
    changed = {
        "initialisation": (seen["weights"]["conv/W"] != own["conv/W"]).any(),
        "order": seen["seed"] != 1,
        "split": not np.array_equal(seen["t1"], t1),
        "unknown words": (seen["weights"]["embed/W"] != own["embed/W"]).any(),
    }
    assert changed == {name: source in (name, "all") for name in changed}
    assert not set(seen["t1"]) & set(seen["t3"]) and len(seen["t1"]) == len(t1)
    if source == "unknown words":  # and of no others
        rows = (seen["weights"]["embed/W"] != own["embed/W"]).any(axis=1)[1:]
        assert rows.any() and not (rows & run.known).any()
    assert found["wac"] < 0.9999 and all(-1 <= value <= 1 for value in found.values())


def test_draws_are_other_trainings(recorded_run, copied):
    run = copied(recorded_run)
    one, other = (trust.agreement(run, 0, "order", draw) for draw in (0, 1))
    assert one["wac"] != other["wac"]


def test_agreement_is_of_the_words_and_sentences_of_both(recorded_run, copied, monkeypatch):
    """Of another split: restated from what the other training left."""
    run, kept = copied(recorded_run), {}
    real = trainings.train

    def train(model, corpus, sentences, evaluation, **options):
        made = real(model, corpus, sentences, evaluation, **options)
        kept.update(model=model, t1=sentences, found=options["recorder"].word_instability(0))
        return made

    monkeypatch.setattr(trainings, "train", train)
    found = trust.agreement(run, 0, "split", 0)
    (wac, count), (own, own_count) = kept["found"], run.instability(0)
    words = [w for w in range(len(wac)) if count[w] and own_count[w]]
    assert found["wac"] == pytest.approx(stats.spearmanr(wac[words], own[words])[0])
    often = [w for w in words if count[w] >= 5 and own_count[w] >= 5]
    assert found["wac_often"] == pytest.approx(stats.spearmanr(wac[often], own[often])[0])
    k = len(words) // 4
    tops = [sorted(words, key=lambda w, v=v: -v[w])[:k] for v in (wac, own)]
    assert found["top"] == pytest.approx(len(set(tops[0]) & set(tops[1])) / k)
    common = np.array(sorted(set(kept["t1"]) & set(run.split(0)[0])))
    assert 0 < len(common) < len(kept["t1"])
    tokens, offsets = run.corpus.take(common)
    label = classify(kept["model"], flat_batch(kept["model"], tokens, offsets)).predicted
    recorded = run.record(0)
    mine = recorded.predicted[-1][np.isin(run.split(0)[0], common)]
    assert found["predicted"] == pytest.approx(np.mean(label == mine))


def test_what_does_not_vary_is_not_trained(recorded_run):
    """Without random vectors there are four sources."""
    run = Run(recorded_run.out)
    assert trust.sources_of(run) == trust.SOURCES and trust.trainings(run, 2) == 10
    for fixed in ({"unknown_words": "zero"}, {"unknown_words_seed": 0}):
        run.config = recorded_run.config.replace(**fixed)
        assert trust.sources_of(run) == ("initialisation", "order", "split", "all")
        assert trust.trainings(run, 2) == 8


# --- what a seed says ----------------------------------------------------------------------


def test_the_tests_of_a_seed(trusted, recorded_run):
    """Rows of every epoch, kind, deletion and method; one of them restated."""
    rows = trust._read(trusted, 1, "faithful")
    names = [(r["epoch"], r["sentences"], r["deletion"], r["method"]) for r in rows]
    # Six epochs: 1, 5, 10, 20 and 50 of fifty are 1 (twice), 2 and 6.
    wanted = {
        (epoch, kind, deletion, method)
        for epoch in (1, 2, 6)
        for kind in ("correct", "misclassified")
        for deletion in faithful.DELETIONS
        for method in faithful.METHODS
    }
    assert len(names) == len(set(names)) and set(names) <= wanted
    assert {name[0] for name in names} == {1, 2, 6} and {name[1] for name in names} == {
        "correct", "misclassified",
    }  # fmt: skip
    (epoch, model), *_ = [pair for pair in trust._epoch_models(trusted, 1) if pair[0] == 6]
    t1, record = trusted.split(1)[0], trusted.record(1)
    sentences = t1[record.predicted[5] == trusted.corpus.labels[t1]]  # all: fewer than 300
    tokens, offsets = trusted.corpus.take(sentences)
    assert (classify(model, flat_batch(model, tokens, offsets)).predicted
            == trusted.corpus.labels[sentences]).all()  # fmt: skip
    effect = faithful.leave_one_out(model, tokens, offsets)
    found = faithful.attributions(model, tokens, offsets, np.random.RandomState(0))
    row = rows[names.index((6, "correct", "zero", "gradient_x_input"))]
    scores = found["gradient_x_input"]
    for name, made in (
        ("loo", faithful.correlation_within(scores, effect, offsets)),
        ("loo_size", faithful.correlation_within(abs(scores), abs(effect), offsets)),
        ("comprehensiveness", faithful.deletion_scores(
            model, tokens, offsets, scores, np.random.RandomState(0))[0]),
    ):  # fmt: skip
        # Words of equal score are drawn, so that deletion may differ a little.
        assert row[name] == pytest.approx(np.nanmean(made), abs=0.01)


def test_no_more_sentences_than_asked(recorded_run, monkeypatch):
    """Drawn without repetition, of each kind; the same draw with the same seed."""
    monkeypatch.setattr(trust, "TESTED", 7)
    found = trust._tested(recorded_run, 0, 6)
    assert {name: len(set(s.tolist())) for name, s in found.items()}["correct"] == 7
    again = trust._tested(recorded_run, 0, 6)
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_unshuffled_weights_keep_every_attribution(recorded_run, monkeypatch):
    """Twin of randomisation: where nothing is shuffled the correlation is 1."""
    monkeypatch.setattr(faithful, "LAYERS", {"nothing": (), "filters": ("filters",)})
    monkeypatch.setattr(trust, "SHUFFLES", 1)
    rows = {row[:2]: row[3:] for row in trust.seed_randomised(recorded_run, 0)}
    assert {name for _, name in rows} == set(faithful.METHODS) - {"random"}
    for (layers, _), values in rows.items():
        if layers == "nothing":
            assert values == pytest.approx((1, 1))
        else:
            assert max(values) < 0.9


# --- over seeds ----------------------------------------------------------------------------


def test_a_summary_by_hand():
    """Draws of a seed first; a seed without the number does not count."""
    tables = [
        [{"source": "order", "draw": 0, "wac": 0.2}, {"source": "order", "draw": 1, "wac": 0.4}],
        [{"source": "order", "draw": 0, "wac": 0.5}],
        [{"source": "order", "draw": 0, "wac": float("nan")}],
        [{"source": "order", "draw": 0, "wac": 0.7}, {"source": "all", "draw": 0, "wac": 0.1}],
    ]
    found = {row[0]: row[1:] for row in trust.summarised(tables, ["source"])}
    name, mean, low, high, seeds = found["order"]
    assert (name, seeds) == ("wac", 3) and mean == pytest.approx(0.5)
    wanted = stats.t.interval(0.95, 2, 0.5, np.std([0.3, 0.5, 0.7], ddof=1) / np.sqrt(3))
    assert (low, high) == pytest.approx(wanted)
    assert found["all"][1] == 0.1 and np.isnan(found["all"][2]) and found["all"][4] == 1


def test_the_gain_over_random_is_of_the_same_test():
    rows = [
        {"epoch": e, "sentences": "correct", "deletion": d, "method": m,
         "comprehensiveness": value, "sufficiency": -value, "loo": 0.0, "loo_size": 0.0}
        for e, d, m, value in ((1, "zero", "saliency", 0.5), (1, "zero", "random", 0.2),
                               (1, "removal", "saliency", 0.3), (1, "removal", "random", 0.3))
    ]  # fmt: skip
    gains = [row["comprehensiveness_gain"] for row in trust._with_gains(rows)]
    assert gains == pytest.approx([0.3, 0, 0, 0])
    assert trust._with_gains(rows)[0]["sufficiency_gain"] == pytest.approx(-0.3)


def test_tables_and_figures_have_the_numbers_of_the_seeds(trusted):
    """Means of the seeds' own files; figures draw what the tables say; twice the same bytes."""
    written = trust.write_trust(trusted, list(trusted.seeds))
    out = trusted.out / "trust"
    assert [place.name for place in written] == [
        *(f"{name}.csv" for name in trust.SUMMARIES), "jumps.png", "saliency.png",
    ]  # fmt: skip
    for name, measure, row in (
        ("shares", "squares", {"reading": "raw", "sentences": "all", "step": "appears"}),
        ("linearity", "line", {"reading": "logit", "sentences": "correct"}),
        ("totals", "jump", {"sentences": "all"}),
        ("agreement", "wac", {"source": "all"}),
        ("randomised", "within", {"layers": "filters", "method": "saliency"}),
    ):
        columns = (*trust.SUMMARIES[name], *trust.SUMMARY)
        table = read_csv(out / f"{name}.csv", columns, dict.fromkeys(trust.SUMMARY[1:], float))
        (found,) = [r for r in table if {**row, "measure": measure}.items() <= r.items()]
        values = [
            np.mean(
                [r[measure] for r in trust._read(trusted, seed, name) if row.items() <= r.items()]
            )
            for seed in trusted.seeds
        ]
        assert found["mean"] == pytest.approx(np.mean(values)) and found["seeds"] == 3
        assert found["low"] < found["mean"] < found["high"]
    drawn = read_csv(out / "jumps.csv", trust._DRAWN, {"mean": float})
    steps = [r["mean"] for r in drawn if r["panel"] == "by epoch"]
    assert len(steps) == 5 * len(jumps.KINDS) and sum(steps) == pytest.approx(1)
    drawn = read_csv(out / "saliency.csv", trust._DRAWN, {"mean": float})
    panels = ["comprehensiveness", "leave one out", "randomisation", "agreement"]
    assert list(dict.fromkeys(r["panel"] for r in drawn)) == panels
    before = {place: place.read_bytes() for place in out.iterdir()}
    assert all(before[out / f"{n}.png"].startswith(b"\x89PNG") for n in ("jumps", "saliency"))
    trust.write_trust(trusted, list(trusted.seeds))
    assert before == {place: place.read_bytes() for place in out.iterdir()}


# --- the command ---------------------------------------------------------------------------


def test_it_goes_on_and_repeats(trusted, recorded_run, copied, monkeypatch):
    """Stopped in any training, the same call does the rest, to the same bytes."""
    run = copied(recorded_run)
    real, trained = trainings.train, []

    def stopping(*args, **options):
        trained.append(options["fingerprint"])
        if len(trained) % 2 == 0:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(trainings, "train", stopping)
    monkeypatch.setattr(jumps, "seed_jumps", one_call(jumps.seed_jumps))
    for _ in range(20):
        try:
            trust.work_on_trust(str(run.out), 0, DRAWS, lambda message: None)
            break
        except KeyboardInterrupt:
            continue
    assert len(set(trained)) == trust.trainings(run, DRAWS) < len(trained)
    there = trusted.seed_folder(0) / "trust"
    assert {p.name: p.read_bytes() for p in (run.seed_folder(0) / "trust").iterdir()} == {
        p.name: p.read_bytes() for p in there.iterdir()
    }


def one_call(function):
    """A function that may be called once only."""
    left = [True]

    def call(*arguments):
        assert left.pop()
        return function(*arguments)

    return call


def test_the_command(recorded_run, copied, capsys):
    """It says how much it trains, and writes tables and pictures."""
    run = copied(recorded_run)
    with pytest.raises(SystemExit) as ended:
        cli.main(["trust", str(run.out), "--seeds", "1", "--draws", "1", "--jobs", "1"])
    told = capsys.readouterr()
    assert ended.value.code == 0 and "5 models for 1 seed: about" in told.err
    assert [line.rpartition("/")[2] for line in told.out.splitlines()] == [
        *(f"{name}.csv" for name in trust.SUMMARIES), "jumps.png", "saliency.png",
    ]  # fmt: skip


@pytest.mark.parametrize("option, value, remedy", [
    ("stored", False, "--streaming"), ("epoch_weights", "first", "--epoch-weights all"),
])  # fmt: skip
def test_a_run_of_the_wrong_kind_is_refused_before_anything(option, value, remedy, recorded_run, copied, capsys):  # fmt: skip
    """In one line, and no file is written."""
    run = copied(recorded_run)
    settings = load_json(run.out / "config.json")
    save_json(run.out / "config.json", {**settings, option: value})
    before = set(run.out.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["trust", str(run.out)])
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and remedy in told and len(told.splitlines()) == 1
    assert set(run.out.rglob("*")) == before


def test_an_unfinished_seed_is_refused(recorded_run, refused):
    with refused("seed 77 is not finished"):
        trust.run_trust(recorded_run, [77])
    run = Run(recorded_run.out)
    run.options = dataclasses.replace(run.options, stored=False)
    with refused("--streaming"):
        trust.run_trust(run, [0])


def test_a_training_that_diverged_is_refused(recorded_run, copied, monkeypatch, refused):
    """Its wac says nothing: no row of it."""
    run = copied(recorded_run)
    real = trainings.train

    def train(*arguments, **options):
        rows, optimizer = real(*arguments, **options)
        return [(e, a, float("nan"), t) for e, a, _, t in rows], optimizer

    monkeypatch.setattr(trainings, "train", train)
    with refused("seed 0, order, draw 0: training diverged"):
        trust.agreement(run, 0, "order", 0)


def test_no_two_sources_share_a_snapshot(recorded_run, copied, monkeypatch):
    """Each training is named, so that none goes on from what another left."""
    run, marks = copied(recorded_run), []

    def train(*arguments, fingerprint, **options):
        marks.append(fingerprint)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings, "train", train)
    for source in trust.SOURCES:
        for draw in (0, 1):
            with pytest.raises(KeyboardInterrupt):
                trust.agreement(run, 0, source, draw)
    assert len(set(marks)) == 10


def test_another_split_is_that_of_the_division(recorded_run):
    """Twin: the split of another seed is another, so that the test above can fail."""
    labels = recorded_run.corpus.labels
    assert (split_corpus(labels, 0, "uniform") != split_corpus(labels, 1, "uniform")).any()
