"""Do unstable words settle: the words compared, one seed's numbers, and the answers."""

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


def test_seed_answers(recorded_run):
    """Numbers of one seed, restated from the files."""
    found = convergence.seed_answers(recorded_run, 0)
    assert found["gap.T1"] > 0
    assert set(found) >= {f"gap.{a}" for a in convergence.ARMS_ASKED} | {
        "rich.T1",
        "rest.T1",
        "rarity",
    }
    corpus = recorded_run.corpus
    t3 = np.flatnonzero(recorded_run.subset(0) == 3)
    model = trained_model(recorded_run, 0, "T1andT2h")
    right = classify(model, flat_batch(model, *corpus.take(t3))).predicted == corpus.labels[t3]
    quarter = len(t3) // 4
    whole = (found["rich.T1andT2h"] * quarter + found["rest.T1andT2h"] * (len(t3) - quarter)) / len(
        t3
    )
    assert whole == pytest.approx(right.mean())


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
