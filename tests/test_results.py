"""Published results: what is read from the small files is what the run had."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import replicate
from replicate import results
from replicate.corpus import read_corpus
from replicate.instability import sentence_instability
from replicate.results import Results, load_results, save_seeds
from replicate.selection import median_halves

REPOSITORY = results.Path(__file__).resolve().parents[1]
PUBLISHED = ("calibrated-googlenews-31530", "as-written-googlenews-31530")
#: What results/ may hold, in bytes: every clone and every source distribution has it.
MOST = 15_000_000


@pytest.fixture(scope="module")
def published(recorded_run, tmp_path_factory):
    return Results(save_seeds(recorded_run, tmp_path_factory.mktemp("published") / "run"))


# --- against the run ---------------------------------------------------------------------


def differences(run, published):
    """What of the published results is not that of the run, in words."""
    found = [] if published.seeds == run.seeds else ["seeds"]
    found += [] if published.words.tolist() == run.corpus.words.tolist() else ["words"]
    found += [] if published.labels.tolist() == run.corpus.labels.tolist() else ["labels"]
    for seed in run.seeds:
        found += [] if np.array_equal(published.subset(seed), run.subset(seed)) else ["split"]
        (scores, half), (mine, kept) = published.sentence_scores(seed), run.sentence_scores(seed)
        found += [] if half.tolist() == kept.tolist() else ["half"]
        found += [] if np.array_equal(np.isnan(scores), np.isnan(mine)) else ["T2"]
        near = np.nan_to_num(np.abs(scores - mine)) <= 0.0101 * np.nan_to_num(mine)
        found += [] if near.all() else ["score"]
        wac, own = published.word_instability(seed), run.instability(seed)[0]
        found += [] if np.array_equal(np.isnan(wac), np.isnan(own)) else ["words of T1"]
        near = np.nan_to_num(np.abs(wac - own)) <= 0.0409 * (np.nan_to_num(own) + 1e-7)
        found += [] if near.all() else ["wac"]
        curves, ours = published.accuracies(seed), run.accuracies(seed)
        found += [] if set(curves) == set(ours) else ["arms"]
        same = all(np.array_equal(curves[arm], ours[arm][:, :2]) for arm in curves)
        found += [] if same else ["accuracy"]
    return found


def test_what_is_read_is_what_the_run_had(recorded_run, published):
    assert differences(recorded_run, published) == []
    assert "3 seeds; 200 sentences" in repr(published) and len(published) == 200


@pytest.mark.parametrize("name", ["scores", "wac", "words", "labels"])
def test_a_changed_array_is_noticed(name, recorded_run, published):
    """Twin: the columns of one array in another order."""
    arrays = {n: published._array(n) for n in results.SPEC}
    changed = Results(published.folder)
    changed._arrays = {**arrays, name: arrays[name][..., ::-1]}
    assert differences(recorded_run, changed)


def test_the_files_are_the_same_bytes_again(recorded_run, published, tmp_path):
    again = save_seeds(recorded_run, tmp_path)
    for path in published.folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_files_are_read_when_they_are_used(published, monkeypatch):
    monkeypatch.setattr(results, "load_npz", None)
    found = load_results(published.folder)
    assert found.accuracies(found.seeds[0])["T1"].shape == (6, 2)
    with pytest.raises(TypeError):
        _ = found.words


# --- rounding ------------------------------------------------------------------------------

SCORES = st.lists(
    st.sampled_from([0.0, 1e-30, 1e-9, 2e-5, 2.001e-5, 2.01e-5, 3e-5, 0.7]), min_size=2
)


@given(SCORES)
def test_halves_are_found_in_rounded_scores(values):
    """With ties at the median, scores of 0, and a sentence in the middle too."""
    scores, sentences = np.array(values), np.arange(len(values))
    h, l = median_halves(scores, sentences)
    half = np.full(len(values), "", "U1")
    half[h], half[l] = "h", "l"
    code, median = results._coded_scores(scores, half)
    again = median_halves(results._scores_of(code, median), sentences)
    assert [part.tolist() for part in again] == [h.tolist(), l.tolist()]


def test_a_wac_that_does_not_fit_is_refused(refused):
    with refused("wac = 1e+03"):
        results._coded_wac(np.array([np.nan, 1e3]))
    code = results._coded_wac(np.array([np.nan, 0.0, 50.0]))
    assert code[:2].tolist() == [0, 1] and results._wac_of(code)[2] == pytest.approx(50, rel=0.04)


# --- refused -------------------------------------------------------------------------------


def test_what_is_not_there(published, refused, tmp_path):
    with refused("results-elsewhere", "no such results"):
        load_results("results-elsewhere")
    for ask in (published.sentence_scores, published.word_instability, published.accuracies):
        with refused("has no seed 7"):
            ask(7)


def test_files_of_two_runs_are_refused(published, refused, tmp_path):
    for path in published.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "seeds": [0, 1]}))
    with refused("is of other results"):
        _ = load_results(tmp_path).words


@pytest.mark.parametrize("name", ["seeds.npz", "accuracy.csv.gz"])
def test_damage_is_one_clear_line(name, published, refused, tmp_path):
    for path in published.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = (tmp_path / name).read_bytes()
    middle = len(whole) // 2
    for bad in (whole[:-9], whole[:middle] + bytes(99) + whole[middle + 99 :], b"", b"x"):
        (tmp_path / name).write_bytes(bad)
        with refused(name):
            found = Results(tmp_path)
            found.word_instability(0)
            found.accuracies(0)


def test_an_unfinished_run_is_refused(copied, recorded_run, refused, tmp_path):
    run = copied(recorded_run)
    (run.folder(1, "T2l") / "stage.json").unlink()
    with refused("seed 1 is not finished"):
        save_seeds(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- what is committed -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_results(name):
    """Table 1, and the accuracies that the committed statistics were made of."""
    found = replicate.load_results(name)
    assert len(found.seeds) == 200 and found.seeds[0] == 3_000_000
    scores, half = found.sentence_scores(3_000_007)
    assert [(half == part).sum() for part in "hl"] == [2399, 2399]
    assert scores[half == "h"].min() > scores[half == "l"].max()
    assert [len(part) for part in found.split(3_000_007)] == [4797, 4798, 1067]
    assert 12_000 < np.isfinite(found.word_instability(3_000_007)).sum() < 14_000
    assert found.accuracies(3_000_007)["T1andT2h"].shape == (50, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_scores_are_the_means_of_the_committed_words(name, mr_folder):
    """Eq. (10) on the corpus, with rounded wac; and the twin with the words of another seed."""
    found, corpus = replicate.load_results(name), read_corpus([mr_folder], "kim")
    assert found.words.tolist() == corpus.words.tolist()
    t2 = found.split(3_000_003)[1]

    def apart(seed):
        wac = found.word_instability(seed)
        made = sentence_instability(wac, corpus.tokens, corpus.offsets)[t2]
        scores = found.sentence_scores(3_000_003)[0][t2]
        return np.abs(made - scores) / (scores + 1e-7)

    # Each wac is within 4 % plus 4e-9, each score within 1 %.
    assert apart(3_000_003).max() < 0.06
    assert np.median(apart(3_000_004)) > 0.06


def test_size_of_the_committed_results():
    assert sum(f.stat().st_size for f in (REPOSITORY / "results").rglob("*") if f.is_file()) < MOST
    seeds = [REPOSITORY / "results" / name / "seeds.npz" for name in PUBLISHED]
    assert sum(place.stat().st_size for place in seeds) < 10_000_000


def test_the_page_says_how_often_one_run_has_both_leads_of_the_paper():
    """T1andT2h above T1andT2l, and T1andT2 above T1andT2h: by as much as in the paper, by a point."""
    runs, both, by_a_point = 0, 0, 0
    for name in PUBLISHED:
        results = load_results(name)
        for seed in results.seeds:
            level = {
                arm: curve[(curve[:, 0] >= 40) & (curve[:, 0] <= 50), 1].mean()
                for arm, curve in results.accuracies(seed).items()
            }
            over_l, below = (
                level["T1andT2h"] - level["T1andT2l"],
                level["T1andT2"] - level["T1andT2h"],
            )
            runs += 1
            both += over_l >= 0.01 and below >= 0.02
            by_a_point += over_l >= 0.01 and below >= 0.01
    page = (REPOSITORY / "results" / "README.md").read_text(encoding="utf-8")
    said = re.search(
        r"of our (\d+) runs\s+(none|\d+) has both, and (\d+) has a point of both", page
    )
    assert said, "the sentence is another one"
    assert [runs, both, by_a_point] == [int(n.replace("none", "0")) for n in said.groups()]
