"""Scores against naive restatements, controls, and the comparison's arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest

from replicate import convergence, rivals
from replicate.config import PRESETS
from replicate.experiment import Options, prepare, run_seed
from replicate.corpus import sample_path
from replicate.instability import sentence_instability, token_instability
from replicate.saliency import classify, flat_batch
from replicate.storage import load_npy, load_npz, read_csv, save_csv

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three seeds of the sample with six epochs, all that the questions need recorded."""
    out = tmp_path_factory.mktemp("rivals") / "run"
    config = PRESETS["sample"].replace(epochs=6, n_filters=6)
    options = Options(epoch_weights="all", record_arms=True)
    corpus, vectors = sample_path()
    made = prepare(out, config, options, list(SEEDS), [corpus], vectors)
    for seed in SEEDS:
        run_seed(made, seed)
    return made


@pytest.fixture(scope="module")
def scored(run):
    """All scores of seed 0."""
    return rivals.score_sentences(run, 0)


@pytest.fixture(scope="module")
def predictions(run):
    """Probabilities on T2 by the T1 model of every epoch, (E, n, 2), and labels."""
    t2 = np.flatnonzero(run.subset(0) == 2)
    model, weights = run.model(0), load_npz(run.phase(0, "T1") / "weights.npz")
    batch = flat_batch(model, *run.corpus.take(t2))
    made = []
    for epoch in range(6):
        model.set_weights({name: array[epoch] for name, array in weights.items()})
        made.append(classify(model, batch).probabilities.astype(np.float64))
    return np.array(made), run.corpus.labels[t2]


def test_every_score_is_a_number_a_sentence(run, scored):
    """Names in order, one finite number for each sentence of T2."""
    assert list(scored) == [score.name for score in rivals.SCORES]
    n = (run.subset(0) == 2).sum()
    for name, values in scored.items():
        assert values.shape == (n,) and np.isfinite(values).all(), name


def test_the_papers_score_is_that_of_the_run(run, scored):
    """instability is A_S as sentences.csv has it."""
    rows = read_csv(run.seed(0) / "sentences.csv", ("sentence", "label", "subset", "arm", "instability"))
    stored = [float(row["instability"]) for row in rows if row["subset"] == "2"]
    np.testing.assert_allclose(scored["instability"], stored, rtol=1e-9)


def test_scores_of_words(run, scored):
    """Length, rarity, unknown, level variance and the logit form, word by word."""
    corpus = run.corpus
    t1, t2 = (np.flatnonzero(run.subset(0) == k) for k in (1, 2))
    tokens1, offsets1 = corpus.take(t1)
    count = np.bincount(tokens1, minlength=len(corpus.words))
    total = count.sum() + len(count)
    saliency = load_npy(run.phase(0, "T1") / "saliency.npy").astype(np.float64)
    doubt = load_npy(run.phase(0, "T1") / "doubt.npy").astype(np.float64)
    logit = saliency / np.repeat(doubt, np.diff(offsets1), axis=1)
    level, changes = saliency.var(axis=0), token_instability(logit)
    for place in (0, 7, len(t2) - 1):
        words = corpus.take(t2[place : place + 1])[0]
        assert scored["length"][place] == len(words)
        assert scored["rarity"][place] == pytest.approx(np.mean([-np.log((count[w] + 1) / total) for w in words]))
        assert scored["unknown"][place] == pytest.approx(np.mean([not run.known[w] for w in words]))
        for name, values in (("level_variance", level), ("instability_logit", changes)):
            of_word = [values[tokens1 == w].mean() for w in words if count[w]]
            assert scored[name][place] == pytest.approx(np.mean(of_word), rel=1e-5), name


def test_scores_of_predictions(scored, predictions):
    """Entropy, margin, EL2N, forgetting, variability and AUM from probabilities."""
    p, labels = predictions
    last = p[-1]
    np.testing.assert_allclose(scored["entropy"], -(last * np.log(last)).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(scored["small_margin"], -np.abs(last[:, 0] - last[:, 1]), rtol=1e-6)
    own = p[:, np.arange(len(labels)), labels]
    np.testing.assert_allclose(scored["el2n"], np.sqrt(2) * (1 - own[0]), rtol=1e-5)
    right = p.argmax(axis=2) == labels
    forgotten = [sum(a and not b for a, b in zip(r[:-1], r[1:])) for r in right.T]
    assert scored["forgetting"].tolist() == forgotten
    np.testing.assert_allclose(scored["variability"], own.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        scored["low_aum"], -np.log(own / (1 - own)).mean(axis=0), rtol=1e-4, atol=1e-5
    )


def test_grand_is_the_gradient_of_the_output_layer(run, scored):
    """GraNd against Chainer's own gradient of fc/W and fc/b for single sentences."""
    t2 = np.flatnonzero(run.subset(0) == 2)
    model, weights = run.model(0), load_npz(run.phase(0, "T1") / "weights.npz")
    model.set_weights({name: array[0] for name, array in weights.items()})
    for place in (0, 5):
        batch = flat_batch(model, *run.corpus.take(t2[place : place + 1]), run.corpus.labels[t2[place : place + 1]])
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


def test_a_selection_is_trained_once_and_kept(run, monkeypatch):
    """Rows of a stopped seed are kept, alike selections copied, arms have the right size."""
    trained = []
    real = rivals.train

    def counted(model, corpus, sentences, *args, **kwargs):
        trained.append(len(sentences))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(model, corpus, sentences, *args, **kwargs)

    monkeypatch.setattr(rivals, "train", counted)
    told = []
    with pytest.raises(KeyboardInterrupt):
        rivals.work_on_rivals(str(run.out), 0, (0.5,), told.append)
    assert len(told) == 2
    rivals.work_on_rivals(str(run.out), 0, (0.5,), told.append)
    rows = read_csv(run.seed(0) / "rivals" / "accuracy.csv", rivals.CURVE)
    names = {row["arm"] for row in rows}
    assert names == {*(s.name for s in rivals.SCORES), *rivals.CONTROLS, "random_0", "random_1", "random_2"}
    by_name = {row["arm"]: row for row in rows}
    assert by_name["entropy"]["late"] == by_name["small_margin"]["late"]  # two labels: the same order
    assert len(trained) < len(rows) + 1
    t1, t2 = ((run.subset(0) == k).sum() for k in (1, 2))
    assert max(trained) == t1 + t2 // 2
    trained.clear()
    rivals.work_on_rivals(str(run.out), 0, (0.5,), told.append)
    assert trained == []


def test_what_was_not_kept_is_told(run, tmp_path, refused):
    """A run without weights of every epoch, or without saliency, cannot be scored."""
    fake = SimpleNamespace(
        phase=lambda seed, arm: tmp_path, subset=run.subset, config=run.config, corpus=run.corpus
    )
    with refused("saliency.npy"):
        rivals.score_sentences(fake, 0)
    (tmp_path / "saliency.npy").touch()
    with refused("weights.npz"):
        rivals.score_sentences(fake, 0)


def made_up(tmp_path, gain, seeds=8, noise=0.002):
    """A folder of accuracies in which one score gains and the others do not."""
    random = np.random.RandomState(0)
    run = SimpleNamespace(seed=lambda seed: tmp_path / str(seed))
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


@pytest.mark.parametrize("gain, verdict", [(0.02, "better"), (-0.02, "worse"), (0.0, "inconclusive")])
def test_compare_finds_what_is_there(tmp_path, gain, verdict):
    """A gain is found where it is, and nowhere else."""
    rows = rivals.compare(made_up(tmp_path, gain), range(8))
    assert {row[-1] for row in rows if row[0] == "entropy"} == {verdict}
    assert {row[-1] for row in rows if row[0] != "entropy"} == {"inconclusive"}
    mine = next(row for row in rows if row[:2] == ("entropy", 0.5))
    assert mine[4] == pytest.approx(gain, abs=0.003) and mine[5] < mine[4] < mine[6]
    assert next(row[2] for row in rows if row[0] == "el2n") == 1


def test_shares_of_ones_own_are_compared(tmp_path, monkeypatch):
    """What was trained is told, whatever the shares."""
    monkeypatch.setattr(rivals, "SHARES", (0.2, 0.5))
    run = made_up(tmp_path, 0.02)
    monkeypatch.undo()
    assert {row[1] for row in rivals.compare(run, range(8))} == {0.2, 0.5}


def test_compare_needs_seeds(tmp_path):
    """Two seeds tell nothing, none give no row."""
    run = made_up(tmp_path, 0.1)
    assert {row[-1] for row in rivals.compare(run, range(2))} == {"inconclusive"}
    assert rivals.compare(run, []) == []


# --- convergence ---------------------------------------------------------------


def test_matched_words_are_of_equal_frequency():
    """Pairs have one count; unstable ones are of the top quarter, stable ones of the lower half."""
    random = np.random.RandomState(1)
    count = random.poisson(3, 2000)
    wac = np.where(count > 0, random.rand(2000), np.nan)
    unstable, stable = convergence.matched_words(wac, count, 0)
    assert len(unstable) == len(stable) > 100
    assert (count[unstable] == count[stable]).all() and (count[unstable] >= 2).all()
    usable = np.sort(wac[(count >= 2)])
    assert wac[unstable].min() >= usable[int(0.74 * len(usable))]
    assert wac[stable].max() <= usable[int(0.51 * len(usable))]
    assert len(set(stable)) == len(stable)
    assert convergence.matched_words(np.full(3, np.nan), np.zeros(3, int), 0)[0].size == 0


def test_seed_answers(run):
    """Numbers of one seed, restated from the files."""
    found = convergence.seed_answers(run, 0)
    assert found["gap.T1"] > 0
    assert set(found) >= {f"gap.{a}" for a in convergence.ARMS_ASKED} | {"rich.T1", "rest.T1", "rarity"}
    corpus = run.corpus
    t3 = np.flatnonzero(run.subset(0) == 3)
    model = run.trained_model(0, "T1andT2h")
    right = classify(model, flat_batch(model, *corpus.take(t3))).predicted == corpus.labels[t3]
    quarter = len(t3) // 4
    whole = (found["rich.T1andT2h"] * quarter + found["rest.T1andT2h"] * (len(t3) - quarter)) / len(t3)
    assert whole == pytest.approx(right.mean())


def test_an_unrecorded_run_is_told(run, tmp_path, refused):
    """Without --record-arms there is nothing to follow."""
    fake = SimpleNamespace(
        corpus=run.corpus, config=run.config, seed=run.seed, subset=run.subset,
        phase=lambda seed, arm: run.phase(seed, arm) if arm == "T1" else tmp_path,
    )  # fmt: skip
    with refused("--record-arms"):
        convergence.seed_answers(fake, 0)


def table(shift, seeds=10):
    """Made-up statistics: T1andT2h closes `shift` more of the gap than T1andT2ran."""
    random = np.random.RandomState(0)
    rows = []
    for _ in range(seeds):
        noise = lambda: 0.02 * random.randn()  # noqa: E731
        row = {"gap.T1": 1 + noise(), "rarity": -0.3 + noise(), "rarity.often": noise()}
        for arm in convergence.ARMS_ASKED:
            row[f"gap.{arm}"] = 0.6 + noise() - (shift if arm == "T1andT2h" else 0)
            row[f"late.{arm}"] = 0.1 + noise()
            row[f"rich.{arm}"], row[f"rest.{arm}"] = 0.7 + noise(), 0.75 + noise()
        rows.append({**row, "late.T1": 0.3 + noise(), "rich.T1": 0.6, "rest.T1": 0.75})
    return rows


@pytest.mark.parametrize("shift, answer", [(0.3, "yes"), (-0.3, "no"), (0.0, "inconclusive")])
def test_answers(shift, answer):
    """The contrast with random sentences decides, not the fall itself."""
    rows = {row[1]: row for row in convergence.answers(table(shift))}
    assert rows["closed in T1andT2h less in T1andT2ran"][-1].split(":")[0] == answer
    assert rows["how much of that gap is closed in T1andT2ran"][-1].startswith("yes")
    assert rows["rank correlation of wac with frequency in T1"][-1].startswith("yes")


def test_answers_without_seeds():
    """Nothing is inconclusive, never yes."""
    assert {row[-1] for row in convergence.answers([])} == {"inconclusive"}
