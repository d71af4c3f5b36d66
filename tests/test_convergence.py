"""Do unstable words settle: the words compared, one seed's numbers, and the answers."""

import csv
import shutil

import numpy as np
import pytest

from replicate.beyond import convergence
from replicate.model import trained_model
from replicate.run import Run
from replicate.saliency import classify, flat_batch


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


def rank(values):
    """Ranks from 1, equal values sharing their mean rank."""
    return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]


def restated(run, seed):
    """What :func:`convergence.seed_answers` gives, word by word and sentence by sentence."""
    corpus, n_epochs = run.corpus, run.config.epochs
    number = {word: i for i, word in enumerate(corpus.words.tolist())}

    def wac_of(folder):
        with open(folder / "instability.csv", newline="", encoding="utf-8") as file:
            return {number[row["word"]]: row for row in csv.DictReader(file)}

    first = wac_of(run.out / f"seed-{seed:03d}")
    wac = np.array([float(first[i]["wac"]) if i in first else np.nan for i in range(len(number))])
    count = np.array([int(first[i]["count"]) if i in first else 0 for i in range(len(number))])
    unstable, stable = convergence.matched_words(wac, count, seed)
    assert len(unstable) > 10
    made = {"words": len(unstable)}
    t3 = np.flatnonzero(np.load(run.seed_folder(seed) / "split.npz")["subset"] == 3).tolist()
    sentences = {s: corpus.tokens[corpus.offsets[s] : corpus.offsets[s + 1]].tolist() for s in t3}
    score = {
        s: np.mean([wac[w] for w in words if count[w]] or [0.0]) for s, words in sentences.items()
    }
    ranked = sorted(t3, key=lambda s: (-score[s], s))
    rich = ranked[: len(t3) // 4]
    for arm in ("T1", *convergence.ARMS_ASKED):
        folder = run.seed_folder(seed) / ("T1" if arm == "T1" else f"arms/{arm}")
        values = first if arm == "T1" else wac_of(folder)
        moved = np.load(folder / "movement_words.npy").astype(float)
        # Row n is the change that arrives at epoch n + 2; epochs are as of the paper's 50.
        epochs = [50 * (n + 2) / n_epochs for n in range(len(moved))]
        logs, late = [], {True: [], False: []}
        for w, s in zip(unstable, stable):
            pair = float(values[w]["wac"]), float(values[s]["wac"])
            if min(pair) > 0:
                logs.append(np.log(pair[0]) - np.log(pair[1]))
            for word in (w, s):
                before = np.mean([m[word] for m, e in zip(moved, epochs) if e <= 20])
                after = np.mean([m[word] for m, e in zip(moved, epochs) if e > 20.01])
                if min(before, after) > 0:
                    late[word == w].append(np.log(after / before))
        made[f"gap.{arm}"] = np.mean(logs)
        made[f"late.{arm}"] = np.mean(late[True]) - np.mean(late[False])
        model = trained_model(run, seed, arm)
        right = {}
        for s, words in sentences.items():
            batch = flat_batch(model, np.array(words), np.array([0, len(words)]))
            right[s] = classify(model, batch).predicted[0] == corpus.labels[s]
        made[f"rich.{arm}"] = np.mean([right[s] for s in rich])
        made[f"rest.{arm}"] = np.mean([right[s] for s in t3 if s not in rich])
    for name, least in (("rarity", 1), ("rarity.often", 2)):
        words = [w for w in range(len(wac)) if count[w] >= least]
        ranks = rank([wac[w] for w in words]), rank([count[w] for w in words])
        made[name] = np.corrcoef(*ranks)[0, 1]
    return made


@pytest.mark.parametrize("seed", [0, 2])
def test_seed_answers(seed, recorded_run):
    """Numbers of one seed, restated from the files: of each arm its own, late over early."""
    found, expected = convergence.seed_answers(recorded_run, seed), restated(recorded_run, seed)
    assert found == pytest.approx(expected, rel=1e-6)
    # Twin: arms differ, so that one arm's numbers would not do for another's.
    for kind in ("gap", "late"):
        assert len({found[f"{kind}.{arm}"] for arm in ("T1", *convergence.ARMS_ASKED)}) == 5


def test_an_unrecorded_run_is_told(recorded_run, tmp_path, refused):
    """Without --record-arms there is nothing to follow."""
    out = tmp_path / "run"
    shutil.copytree(recorded_run.out, out)
    (recorded := Run(out)).folder(0, "T2h").joinpath("movement_words.npy").unlink()
    with refused("--record-arms"):
        convergence.seed_answers(recorded, 0)


def table(shift, seeds=10):
    """Made-up statistics: T1andT2h closes `shift` more of the gap than T1andT2ran."""
    random = np.random.RandomState(0)
    rows = []
    for _ in range(seeds):

        def noise():
            return 0.02 * random.randn()

        row = {"gap.T1": 1 + noise(), "rarity": -0.3 + noise(), "rarity.often": noise()}
        for arm in convergence.ARMS_ASKED:
            row[f"gap.{arm}"] = 0.6 + noise() - (shift if arm == "T1andT2h" else 0)
            row[f"late.{arm}"] = 0.1 + noise()
            row[f"rich.{arm}"], row[f"rest.{arm}"] = 0.7 + noise(), 0.75 + noise()
        rows.append({**row, "late.T1": 0.3 + noise(), "rich.T1": 0.6, "rest.T1": 0.75})
    return rows


@pytest.mark.parametrize("shift, answer", [(0.3, "yes"), (-0.3, "no"), (0.0, "undecided")])
def test_answers(shift, answer):
    """The contrast with random sentences decides, not the fall itself."""
    rows = {row[1]: row for row in convergence.answers(table(shift))}
    assert rows["closed in T1andT2h less in T1andT2ran"][-1].split(":")[0] == answer
    assert rows["how much of that gap is closed in T1andT2ran"][-1].startswith("yes")
    assert rows["rank correlation of wac with frequency in T1"][-1].startswith("yes")


def test_answers_without_seeds():
    """Everything is undecided, never yes."""
    assert {row[-1] for row in convergence.answers([])} == {"undecided"}
