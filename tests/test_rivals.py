"""Scores against naive restatements, controls, and the comparison's arithmetic."""

import dataclasses
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from scipy import stats

from replicate.beyond import rivals
from replicate.beyond import trainings as further
from replicate.config import generator
from replicate.io.files import load_npy, load_npz, read_csv, save_csv
from replicate.model import initial_model
from replicate.run import Run
from replicate.saliency import classify, flat_batch

ALL = tuple(score.name for score in rivals.SCORES)


@pytest.fixture(scope="module")
def scored(recorded_run):
    """All scores of seed 0."""
    return rivals.score_sentences(recorded_run, 0)


@pytest.fixture(scope="module")
def predictions(recorded_run):
    """Probabilities on T2 by the T1 model of every epoch, (E, n, 2), and labels."""
    t2 = np.flatnonzero(recorded_run.subset(0) == 2)
    model, weights = (
        initial_model(recorded_run, 0),
        load_npz(recorded_run.folder(0, "T1") / "weights.npz"),
    )
    batch = flat_batch(model, *recorded_run.corpus.take(t2))
    made = []
    for epoch in range(6):
        model.set_weights({name: array[epoch] for name, array in weights.items()})
        made.append(classify(model, batch).probabilities.astype(np.float64))
    return np.array(made), recorded_run.corpus.labels[t2]


def test_every_score_is_a_number_a_sentence(recorded_run, scored):
    """Names in order, one finite number for each sentence of T2."""
    assert list(scored) == [score.name for score in rivals.SCORES]
    n = (recorded_run.subset(0) == 2).sum()
    for name, values in scored.items():
        assert values.shape == (n,) and np.isfinite(values).all(), name


def test_the_papers_score_is_that_of_the_run(recorded_run, scored):
    """instability is A_S as sentences.csv has it."""
    rows = read_csv(
        recorded_run.seed_folder(0) / "sentences.csv",
        ("sentence", "label", "subset", "arm", "instability"),
    )
    stored = [float(row["instability"]) for row in rows if row["subset"] == "2"]
    np.testing.assert_allclose(scored["instability"], stored, rtol=1e-9)


def test_switches_and_smooth_change_add_up_to_the_papers_score(scored):
    """As eq. (10) is linear in wac; both have a part in it, and rank otherwise than it."""
    parts = scored["instability_switch"], scored["instability_smooth"]
    np.testing.assert_allclose(sum(parts), scored["instability"], rtol=1e-5)
    assert all((part >= 0).all() and part.any() for part in parts)
    assert all(stats.spearmanr(part, scored["instability"])[0] < 1 for part in parts)


def test_scores_of_words(recorded_run, scored):
    """Length, rarity, unknown, level variance and the logit form, word by word."""
    corpus = recorded_run.corpus
    t1, t2 = (np.flatnonzero(recorded_run.subset(0) == k) for k in (1, 2))
    tokens1, offsets1 = corpus.take(t1)
    count = np.bincount(tokens1, minlength=len(corpus.words))
    total = count.sum() + len(count)
    saliency = load_npy(recorded_run.folder(0, "T1") / "saliency.npy").astype(np.float64)
    doubt = load_npy(recorded_run.folder(0, "T1") / "doubt.npy").astype(np.float64)
    logit = saliency / np.repeat(doubt, np.diff(offsets1), axis=1)
    level, changes = saliency.var(axis=0), naive.token_instability(logit)
    for place in (0, 7, len(t2) - 1):
        words = corpus.take(t2[place : place + 1])[0]
        assert scored["length"][place] == len(words)
        assert scored["rarity"][place] == pytest.approx(
            np.mean([-np.log((count[w] + 1) / total) for w in words])
        )
        assert scored["unknown"][place] == pytest.approx(
            np.mean([not recorded_run.known[w] for w in words])
        )
        for name, values in (("level_variance", level), ("instability_logit", changes)):
            of_word = [values[tokens1 == w].mean() for w in words if count[w]]
            assert scored[name][place] == pytest.approx(np.mean(of_word), rel=1e-5), name


def test_scores_of_predictions(scored, predictions):
    """Entropy, margin, EL2N, forgetting, variability and AUM from probabilities."""
    p, labels = predictions
    last = p[-1]
    np.testing.assert_allclose(scored["entropy"], -(last * np.log(last)).sum(axis=1), rtol=1e-6)
    # Probabilities of float32 have an error of 6e-8.
    np.testing.assert_allclose(
        scored["small_margin"], -np.abs(last[:, 0] - last[:, 1]), atol=1.2e-7
    )
    own = p[:, np.arange(len(labels)), labels]
    np.testing.assert_allclose(scored["el2n"], np.sqrt(2) * (1 - own[0]), rtol=1e-5)
    right = p.argmax(axis=2) == labels
    forgotten = [sum(a and not b for a, b in zip(r[:-1], r[1:])) for r in right.T]
    assert scored["forgetting"].tolist() == forgotten
    np.testing.assert_allclose(scored["variability"], own.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        scored["low_aum"], -np.log(own / (1 - own)).mean(axis=0), rtol=1e-4, atol=1e-5
    )


def test_grand_is_the_gradient_of_the_output_layer(recorded_run, scored):
    """GraNd against Chainer's own gradient of fc/W and fc/b for single sentences."""
    t2 = np.flatnonzero(recorded_run.subset(0) == 2)
    model, weights = (
        initial_model(recorded_run, 0),
        load_npz(recorded_run.folder(0, "T1") / "weights.npz"),
    )
    model.set_weights({name: array[0] for name, array in weights.items()})
    for place in (0, 5):
        batch = flat_batch(
            model,
            *recorded_run.corpus.take(t2[place : place + 1]),
            recorded_run.corpus.labels[t2[place : place + 1]],
        )
        model.cleargrads()
        model.training_loss(batch).backward()
        norm = np.sqrt((model.fc.W.grad**2).sum() + (model.fc.b.grad**2).sum())
        assert scored["grand"][place] == pytest.approx(float(norm), rel=1e-4)


def test_shuffled_keeps_frequencies():
    """Values stay among words of one count; those of many counts in groups of fifty."""
    random = np.random.RandomState(0)
    count = np.concatenate([random.randint(0, 21, 500), random.randint(21, 5000, 120)])
    wac = np.where(count > 0, random.rand(620), np.nan)
    made = rivals.shuffled(wac, count, 0)
    assert (np.isnan(made) == np.isnan(wac)).all()
    for c in range(1, 21):
        assert sorted(made[count == c]) == sorted(wac[count == c])
    often = np.flatnonzero(count > 20)
    often = often[np.argsort(count[often], kind="stable")]
    for start in range(0, len(often), 50):
        group = often[start : start + 50]
        assert sorted(made[group]) == sorted(wac[group])
    assert np.nanmean(made != wac) > 0.5
    assert (rivals.shuffled(wac, count, 0)[count > 0] == made[count > 0]).all()
    assert (rivals.shuffled(wac, count, 1)[count > 0] != made[count > 0]).any()


def test_shuffling_changes_the_score(scored):
    """The control is no copy of what it controls."""
    assert np.corrcoef(scored["instability"], scored["instability_shuffled"])[0, 1] < 0.9


def test_matched_halves_are_alike():
    """Equal labels, no sentence twice, covariates balanced, A_S apart; A_S halves are not balanced."""
    random = np.random.RandomState(0)
    n = 1000
    length, rarity = random.poisson(20, n).astype(float), random.rand(n)
    labels = random.randint(0, 2, n)
    score = 0.2 * length + random.rand(n)
    high, low = rivals.matched_halves(score, [length, rarity], labels, 0)
    assert len(high) == len(low) >= 0.99 * n // 2
    assert len(set(high) | set(low)) == 2 * len(high)
    assert (labels[high].sum(), len(high)) == (labels[low].sum(), len(low))
    assert abs(rivals._difference(length, high, low)) < 0.25
    order = np.argsort(-score)
    assert rivals._difference(length, order[:500], order[500:]) > 1
    assert score[high].mean() > score[low].mean()


def test_a_selection_is_trained_once_and_kept(recorded_run, copied, monkeypatch):
    """Rows of a stopped seed are kept, alike selections copied, arms have the right size."""
    run, trained = copied(recorded_run), []
    real = further.train

    def counted(model, corpus, sentences, *args, **kwargs):
        trained.append(len(sentences))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(model, corpus, sentences, *args, **kwargs)

    monkeypatch.setattr(further, "train", counted)
    told = []
    with pytest.raises(KeyboardInterrupt):
        rivals.work_on_rivals(str(run.out), 0, (0.5,), ALL, told.append)
    assert len(told) == 2
    rivals.work_on_rivals(str(run.out), 0, (0.5,), ALL, told.append)
    rows = read_csv(run.seed_folder(0) / "rivals" / "accuracy.csv", rivals.CURVE)
    names = {row["arm"] for row in rows}
    assert names == {
        *(s.name for s in rivals.SCORES),
        *rivals.CONTROLS,
        *(f"without_{name}" for name in rivals.REMOVED),
        "random_0",
        "random_1",
        "random_2",
    }
    by_name = {row["arm"]: row for row in rows}
    assert (
        by_name["entropy"]["late"] == by_name["small_margin"]["late"]
    )  # two labels: the same order
    assert len(trained) < len(rows) + 1
    t1, t2 = ((run.subset(0) == k).sum() for k in (1, 2))
    assert max(trained) == t1 + t2 // 2
    trained.clear()
    monkeypatch.setattr(rivals, "score_sentences", lambda *_: pytest.fail("scored"))
    rivals.work_on_rivals(str(run.out), 0, (0.5,), ALL, told.append)
    assert trained == []  # nothing is scored again either


def test_a_model_that_diverged_is_no_rival(recorded_run, copied, monkeypatch, refused):
    """Its loss is no number: one line, and no row of it."""
    run = copied(recorded_run)
    rows = [(1, 0.5, 0.7, 0.7), (2, 0.5, float("nan"), 0.7)]
    monkeypatch.setattr(further, "train", lambda *a, **k: (rows, None))
    with refused("seed 0, random_0 0.5: training diverged at epoch 2"):
        rivals.work_on_rivals(str(run.out), 0, (0.5,), ALL, lambda message: None)
    assert not (rivals._folder(run, 0) / rivals.CURVES).exists()


def test_what_was_not_kept_is_told(recorded_run, tmp_path, refused):
    """A run without weights of every epoch, or without saliency, cannot be scored."""
    for options, remedy in (
        ({"stored": False}, "--streaming"),
        ({"epoch_weights": "first"}, "--epoch-weights all"),
    ):
        run = Run(recorded_run.out)
        run.options = dataclasses.replace(run.options, **options)
        with refused(remedy):
            rivals.score_sentences(run, 0)


def made_up(tmp_path, gain, seeds=8, noise=0.002):
    """A folder of accuracies in which one score gains and the others do not."""
    # In some tables of noise chance finds something: not in this one.
    random = np.random.RandomState(0)
    run = SimpleNamespace(seed_folder=lambda seed: tmp_path / str(seed))
    for seed in range(seeds):
        base = 0.75 + 0.01 * random.randn()
        rows = []
        for share in rivals.SHARES:
            rows += [(f"random_{d}", share, base + noise * random.randn(), base) for d in range(3)]
            for score in rivals.SCORES:
                plus = gain if score.name == "entropy" else 0
                rows.append((score.name, share, base + plus + noise * random.randn(), base))
        rows += [(c, 0.5, base + noise * random.randn(), base) for c in rivals.CONTROLS]
        save_csv(tmp_path / str(seed) / "rivals" / "accuracy.csv", rivals.CURVE, rows)
    return run


def compared(run, seeds):
    """Every score against random sentences, from the files of a run."""
    return rivals.compare(rivals.levels(rivals.curves(run, seeds)))


@pytest.mark.parametrize(
    "gain, verdict", [(0.02, "better"), (-0.02, "worse"), (0.0, "no such gain")]
)
def test_compare_finds_what_is_there(tmp_path, gain, verdict):
    """A gain is found where it is, and nowhere else."""
    rows = compared(made_up(tmp_path, gain), range(8))
    assert {row[-1] for row in rows if row[0] == "entropy"} == {verdict}
    assert {row[-1] for row in rows if row[0] != "entropy"} == {"no such gain"}
    mine = next(row for row in rows if row[:2] == ("entropy", 0.5))
    assert mine[4] == pytest.approx(gain, abs=0.003) and mine[5] < mine[4] < mine[6]
    assert next(row[2] for row in rows if row[0] == "el2n") == 1


def test_a_gain_that_may_be_large_is_undecided(tmp_path):
    """Twin: intervals that reach half a point exclude nothing."""
    rows = compared(made_up(tmp_path, 0.0, noise=0.02), range(8))
    assert {row[-1] for row in rows if row[6] >= 0.005} == {"undecided"}
    assert sum(row[6] >= 0.005 for row in rows) > len(rows) / 2


def test_the_other_shares_do_not_change_a_verdict(tmp_path):
    """Many scores are tested at a share, and p is corrected for these; not for other shares."""
    run = made_up(tmp_path, 0.0, noise=0.01)
    found = rivals.levels(rivals.curves(run, range(8)))
    half = {key: value for key, value in found.items() if key[1] == 0.5}
    alone = {row[:2]: row for row in rivals.compare(half)}
    together = {row[:2]: row for row in rivals.compare(found) if row[1] == 0.5}
    assert alone == together and len(alone) == len(rivals.SCORES) + 1
    pair = {key: value for key, value in half.items() if key[0] in ("random", "length")}
    ((*_, p, _),) = rivals.compare(pair)
    assert p < together["length", 0.5][-2] <= 1


def test_shares_of_ones_own_are_compared(tmp_path, monkeypatch):
    """What was trained is told, whatever the shares."""
    monkeypatch.setattr(rivals, "SHARES", (0.2, 0.5))
    run = made_up(tmp_path, 0.02)
    monkeypatch.undo()
    assert {row[1] for row in compared(run, range(8))} == {0.2, 0.5}


def test_compare_needs_seeds(tmp_path):
    """Two seeds tell nothing, none give no row."""
    run = made_up(tmp_path, 0.1)
    assert {row[-1] for row in compared(run, range(2))} == {"undecided"}
    assert compared(run, []) == []


# --- what is selected, trained and told, restated -------------------------------------------

EPOCHS = 10


def _ten_epochs(folder):
    from replicate.config import PRESETS
    from replicate.corpus import sample_path
    from replicate.experiment import prepare, run_first_phase
    from replicate.run import Options

    config = PRESETS["sample"].replace(epochs=EPOCHS, n_filters=6, learning_rate=1e-3)
    corpus, vectors = sample_path()
    made = prepare(folder, config, Options(epoch_weights="all"), [0, 1], [corpus], vectors)
    for seed in made.seeds:
        run_first_phase(made, seed)


@pytest.fixture(scope="module")
def ten(made_once):
    """The first phase of two seeds, of ten epochs: "early" is two of them."""
    return Run(made_once("ten-epochs", _ten_epochs))


def course(n):
    """A made-up accuracy of each epoch, another with each training."""
    return [(e, 0.5 + 0.01 * e**1.5 + 0.001 * n, 0.7, 0.7) for e in range(1, EPOCHS + 1)]


@pytest.fixture
def trainings(ten, copied, monkeypatch):
    """Every training of seed 1, as it was asked for; and the rows that were written."""
    run, seen = copied(ten), []

    def train(model, corpus, sentences, evaluation, *, seed, **keywords):
        seen.append((sentences.tolist(), evaluation.tolist(), seed, model.weights(False)))
        return course(len(seen)), None

    monkeypatch.setattr(further, "train", train)
    rivals.work_on_rivals(str(run.out), 1, (0.25, 0.5), ALL, lambda message: None)
    rows = read_csv(run.seed_folder(1) / "rivals" / "accuracy.csv", rivals.CURVE)
    return run, seen, rows


def test_the_highest_scores_are_selected(trainings):
    """T1 with the sentences of T2 that a score puts first, for each score and share."""
    run, seen, rows = trainings
    scores = rivals.score_sentences(run, 1)
    t1, t2 = (np.flatnonzero(run.subset(1) == k).tolist() for k in (1, 2))
    trained = [set(sentences) - set(t1) for sentences, *_ in seen]
    half = int(0.5 * len(t2))
    lowest = [{s for _, s in sorted(zip(-scores[name], t2))[-half:]} for name in rivals.REMOVED]
    for name, values in scores.items():
        best = [s for _, s in sorted(zip(-values, t2))]
        for share in (0.25, 0.5):
            size = int(share * len(t2))
            assert set(best[:size]) in trained, (name, share)
            # The lowest are what is left without the highest.
            # The lowest half of a score is trained where it is what its highest leave.
            left = share == 0.5 and set(best[-size:]) in lowest
            assert (set(best[-size:]) in trained) == left or len(set(values)) < 3, (name, share)
    for sentences, *_ in seen:
        assert sentences == sorted(set(sentences)) and set(t1) <= set(sentences)


def test_random_draws_are_others(trainings):
    """Three of each share: no two alike, each of its size."""
    run, seen, rows = trainings
    t1, t2 = (np.flatnonzero(run.subset(1) == k).tolist() for k in (1, 2))
    added = [set(s) - set(t1) for s, *_ in seen]
    for share in (0.25, 0.5):
        size = int(share * len(t2))
        draws = [one for one in added if len(one) == size][:3]  # they are the first
        wanted = [set(generator("random rival", 1, k).permutation(t2)[:size]) for k in range(3)]
        assert draws == wanted and len({tuple(sorted(d)) for d in draws}) == 3
    # Selections that are alike are trained once, and have one accuracy.
    drawn = [(row["share"], row["late"]) for row in rows if row["arm"].startswith("random_")]
    assert len(drawn) == len(set(drawn)) == 6


def test_each_model_is_of_its_seed(trainings):
    """Initial weights, order and evaluation set are those of seed 1, and not of seed 0."""
    run, seen, _ = trainings
    t3 = np.flatnonzero(run.subset(1) == 3).tolist()
    mine, other = (initial_model(run, seed).weights(False) for seed in (1, 0))
    assert (mine["conv/W"] != other["conv/W"]).any()
    for _, evaluation, seed, weights in seen:
        assert (evaluation, seed) == (t3, 1)
        for name, value in mine.items():
            assert weights[name].tobytes() == value.tobytes()


def test_what_is_told_are_the_last_epochs_and_all(trainings):
    """Of ten epochs those from 40 to 50 of the paper's fifty are the last three."""
    _, seen, rows = trainings
    found = [(float(row["late"]), float(row["mean"])) for row in rows]
    accuracies = [[row[1] for row in course(n)] for n in range(1, len(seen) + 1)]
    expected = [(np.mean(a[7:]), np.mean(a)) for a in accuracies]
    assert {tuple(np.round(pair, 9)) for pair in found} == {
        tuple(np.round(pair, 9)) for pair in expected
    }


def test_early_scores_are_means_over_the_first_epochs(ten):
    """EL2N and GraNd over two of ten epochs, restated from the weights of each."""
    found = rivals.score_sentences(ten, 1)
    t2 = np.flatnonzero(ten.subset(1) == 2)
    model, labels = initial_model(ten, 1), ten.corpus.labels[t2]
    weights = load_npz(ten.folder(1, "T1") / "weights.npz")
    norms, gradients = [], []
    for epoch in range(2):
        model.set_weights({name: array[epoch] for name, array in weights.items()})
        seen = classify(model, flat_batch(model, *ten.corpus.take(t2)))
        error = seen.probabilities.astype(float) - np.eye(2)[labels]
        norms.append(np.sqrt((error**2).sum(axis=1)))
        features = seen.features.astype(float)
        gradients.append(norms[-1] * np.sqrt(1 + (features**2).sum(axis=1)))
    np.testing.assert_allclose(found["el2n"], np.mean(norms, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["grand"], np.mean(gradients, axis=0), rtol=1e-5)
    assert not np.allclose(norms[0], np.mean(norms, axis=0), rtol=1e-4)


def test_confounds_hold_all_others(ten, copied, monkeypatch):
    """Partial correlation with A_S given the other three, the class among them."""
    run = copied(ten)
    monkeypatch.setattr(further, "train", lambda *a, **k: (course(0), None))
    for seed in (0, 1):
        rivals.work_on_rivals(str(run.out), seed, (0.5,), ALL, lambda message: None)
    found = {row[0]: row for row in rivals.confounds(run, [0, 1])}
    partial = {name: [] for name in ("length", "rarity", "unknown", "label")}
    for seed in (0, 1):
        scores = rivals.score_sentences(run, seed)
        t2 = np.flatnonzero(run.subset(seed) == 2)
        scores["label"] = run.corpus.labels[t2]
        names = ["instability", *partial]
        ranks = np.stack([stats.rankdata(scores[name]) for name in names])
        precision = np.linalg.inv(np.corrcoef(ranks))
        for i, name in enumerate(partial, start=1):
            partial[name].append(-precision[0, i] / np.sqrt(precision[0, 0] * precision[i, i]))
    for name, values in partial.items():
        assert found[name][2] == pytest.approx(np.mean(values), rel=1e-6), name


def test_confounds_of_what_does_not_vary_are_not_numbers(ten, copied, monkeypatch):
    """With random vectors no word is unknown: no correlation, and no warning, which is an error here."""
    run, real = copied(ten), rivals._scores_of
    monkeypatch.setattr(further, "train", lambda *a, **k: (course(0), None))
    for seed in (0, 1):
        rivals.work_on_rivals(str(run.out), seed, (0.5,), ALL, lambda message: None)
    plain = {name: numbers for name, *numbers in rivals.confounds(run, [0, 1])}
    assert np.isfinite([plain[name][:2] for name in ("length", "unknown", "label")]).all()
    for constant, without in (("unknown", ["unknown"]), ("instability", ["label", "length"])):

        def scores(run, seed, constant=constant):
            found = real(run, seed)
            return {**found, constant: np.full_like(found[constant], 0.25)}

        monkeypatch.setattr(rivals, "_scores_of", scores)
        found = {name: numbers for name, *numbers in rivals.confounds(run, [0, 1])}
        for name in without:
            correlation, partial = found[name][:2]
            assert correlation == 0 and np.isnan(partial), name
        if constant == "unknown":  # the others keep theirs
            assert np.isfinite([found[name][:2] for name in ("length", "label")]).all()


# --- sentences saved, wrong labels, what is taken away ---------------------------------------


def saved(lead=0.0, noise=0.0, seeds=20, draw=0, rise=0.1):
    """Rows of sentences saved: accuracy that rises in the logarithm from 500 to 1,500, and a lead."""
    random = np.random.RandomState(draw)

    def late(share, more=0.0):
        level = 0.7 + rise * np.log((500 + 1000 * share) / 500)
        return level + more + noise * random.standard_normal()

    found = {}
    for seed in range(seeds):
        for share in rivals.SHARES:
            found.setdefault(("random", share), {})[seed] = (late(share), 0)
            found.setdefault(("entropy", share), {})[seed] = (late(share, lead), 0)
            found.setdefault(("length", share), {})[seed] = (late(share), 0)
    ends = {seed: {"T1": late(0), "T1andT2": late(1)} for seed in range(seeds)}

    def accuracies(seed):
        return {
            arm: np.array([[e, level] for e in range(1, 51)]) for arm, level in ends[seed].items()
        }

    run = SimpleNamespace(
        accuracies=accuracies, split=lambda seed: (np.zeros(500), np.zeros(1000), None)
    )
    rows = rivals.saved_sentences(found, rivals.growth(run, found))
    return {(row[0], row[1]): row for row in rows}


def test_a_lead_is_told_in_sentences():
    """What grows in a straight line over logarithms, turned: (500 + n) (exp(lead / slope) - 1)."""
    ahead, behind = saved(lead=0.01), saved(lead=-0.1)
    for share in rivals.SHARES:
        _, _, own, other, worth, low, high, seeds = ahead["entropy", share]
        more = (500 + 1000 * share) * (np.exp(0.01 / 0.1) - 1)
        assert own == pytest.approx(1000 * share) and worth == pytest.approx(more)
        assert other == pytest.approx(own + more) and seeds == 20
        assert low == pytest.approx(worth) and high == pytest.approx(worth)
        assert ahead["length", share][4] == pytest.approx(0, abs=1e-6)
    # Worse than T1 alone: as good as fewer sentences than T1 has.
    assert behind["entropy", 0.1][3] == pytest.approx(600 / np.e - 500) and 600 / np.e < 500


def test_noise_saves_nothing():
    """As good as random sentences: about 0 at every share, and within its interval; a lead is not."""
    curves = [saved(lead=0.01, noise=0.006, draw=draw, rise=0.025) for draw in range(200)]
    for share in rivals.SHARES:
        worth, low, high = np.transpose([curve["length", share][4:7] for curve in curves])
        assert abs(worth.mean()) < 4 * worth.std() / np.sqrt(len(curves)), share
        assert 0.9 <= ((low <= 0) & (high >= 0)).mean() <= 0.99, share
        found = np.array([curve["entropy", share][5] for curve in curves])
        assert (found > 0).mean() > 0.9, share  # twin


def test_sentences_that_do_not_help_are_worth_nothing():
    """No number where accuracy does not grow; no interval where it is not shown to."""
    flat = saved(rise=-0.01)["entropy", 0.5]
    assert np.isnan(flat[3:7]).all()
    noisy = saved(lead=0.01, noise=0.05, rise=0.01, draw=1)["entropy", 0.5]
    assert np.isnan(noisy[5:7]).all()


def store(run, seed, scores):
    """The file of a seed's scores, as training leaves it."""
    rows = zip(run.split(seed)[1].tolist(), *(values.tolist() for values in scores.values()))
    save_csv(run.seed_folder(seed) / "rivals" / rivals.SCORED, ("sentence", *scores), rows)


def test_wrong_labels_are_found_by_scores_that_see_them(ten, copied):
    """Areas and shares of every score; a score without labels has none of the labels' news."""
    run = copied(ten)
    for seed in run.seeds:
        store(run, seed, rivals.score_sentences(run, seed))
    found = {row[0]: row for row in rivals.wrong_labels(run, run.seeds)}
    assert list(found) == [score.name for score in rivals.SCORES]
    for name, row in found.items():
        assert 0 <= row[2] <= 1 and row[-1] == 2 and list(row[5:-1]) == sorted(row[5:-1]), name
    areas = []
    for seed in run.seeds:  # el2n once more: the share of pairs in which the wrong is higher
        t2 = run.split(seed)[1]
        random = generator("wrong labels", seed)
        wrong = np.isin(np.arange(len(t2)), random.permutation(len(t2))[: round(0.1 * len(t2))])
        turned = np.where(wrong, 1 - run.corpus.labels[t2], run.corpus.labels[t2])
        el2n = rivals._of_predictions(run, seed, t2, turned)["el2n"]
        pairs = el2n[wrong][:, None] - el2n[~wrong]
        areas.append((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert found["el2n"][2] == pytest.approx(np.mean(areas))
    labelled = {score.name for score in rivals.SCORES if score.labels}
    assert {name for name, row in found.items() if row[1]} == labelled
    assert str(rivals.wrong_labels(run, run.seeds)) == str(list(found.values()))  # one draw a seed


def test_a_half_of_one_label_is_seen(ten, copied):
    """A score that is the label chooses one only; one that knows nothing of it has about half of each."""
    run = copied(ten)
    ones, others = [], []
    for seed in run.seeds:
        t2 = run.split(seed)[1]
        labels = run.corpus.labels[t2]
        chance = np.random.RandomState(seed).permutation(len(t2)).astype(float)
        scores = {score.name: chance for score in rivals.SCORES} | {"tracin": labels.astype(float)}
        store(run, seed, scores)
        size = rivals.budget(len(labels))
        ones.append(min(1, labels.sum() / size))
        of_chance = labels[chance >= len(t2) - size].mean()
        others.append(max(of_chance, 1 - of_chance))
    found = {row[0]: row[1:] for row in rivals.commonest_labels(run, run.seeds)}
    for name, expected in (("tracin", ones), ("length", others)):
        assert found[name] == pytest.approx((np.mean(expected), max(expected), len(run.seeds)))
    assert found["tracin"][0] > 0.9 and found["length"][0] < 0.7


def test_the_score_sees_the_changed_labels(ten):
    """Those that need no labels do not change with them; those that need them do."""
    t2 = ten.split(0)[1]
    labels = ten.corpus.labels[t2]
    plain = rivals._of_predictions(ten, 0, t2)
    turned = rivals._of_predictions(ten, 0, t2, 1 - labels)
    about = {score.name: score.labels for score in rivals.SCORES}
    for name in plain:
        same = np.array_equal(plain[name], turned[name])
        assert same == (not about[name]), name


def test_how_many_models_are_told(ten, copied, monkeypatch):
    """What is announced is what is trained, but for selections that are alike."""
    run, rows = copied(ten), []
    monkeypatch.setattr(further, "train", lambda *a, **k: (course(1), None))
    few = ("instability", "length")
    rivals.work_on_rivals(str(run.out), 0, (0.25, 0.5), few, lambda message: None)
    place = run.seed_folder(0) / "rivals" / "accuracy.csv"
    # Three draws and two scores twice, the lack of one of them, two controls.
    assert len(read_csv(place, rivals.CURVE)) == rivals.trainings((0.25, 0.5), few) == 13
    for shares in ((0.5,), rivals.SHARES):
        rivals.work_on_rivals(str(run.out), 0, shares, ALL, lambda message: None)
        rows = read_csv(run.seed_folder(0) / "rivals" / "accuracy.csv", rivals.CURVE)
        mine = [row for row in rows if float(row["share"]) in shares]
        assert len(mine) == rivals.trainings(shares)
        arms = {(row["arm"], float(row["share"])) for row in mine}
        assert arms == set(rivals._arms(shares, ALL))


def test_some_scores_only(ten, copied, monkeypatch):
    """Others select nothing; what was trained before stays, also where it is not asked for."""
    run = copied(ten)
    monkeypatch.setattr(further, "train", lambda *a, **k: (course(1), None))
    rivals.work_on_rivals(str(run.out), 0, (0.5,), ("el2n",), lambda message: None)
    place = run.seed_folder(0) / "rivals" / "accuracy.csv"
    arms = {row["arm"] for row in read_csv(place, rivals.CURVE)}
    drawn = {f"random_{k}" for k in range(rivals.RANDOM_DRAWS)}
    assert arms == {"el2n", "without_el2n", *drawn, *rivals.CONTROLS}
    rivals.work_on_rivals(str(run.out), 0, (0.25,), ("length",), lambda message: None)
    rows = {(row["arm"], row["share"]) for row in read_csv(place, rivals.CURVE)}
    assert {("el2n", "0.5"), ("length", "0.25")} <= rows
    assert ("length", "0.5") not in rows and ("el2n", "0.25") not in rows
    assert len(load_scores(run)) == len(rivals.SCORES) + 1  # all are computed, and correlated


def load_scores(run):
    place = run.seed_folder(0) / "rivals" / "scores.csv"
    return place.read_text(encoding="utf-8").partition("\n")[0].split(",")


def test_an_unknown_score_is_refused(ten, refused):
    with refused("--scores 'magic': not known; choose among instability,"):
        rivals.run_rivals(ten, [0], names=["length", "magic"])
