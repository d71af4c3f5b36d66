"""The stages in order: the run folder's contract, arms, readings, resuming."""

import csv
import hashlib
import json

import naive
import numpy as np
import pytest
from samples import BAD_SEEDS

from replicate import experiment, saliency, selection
from replicate.config import ARMS, Config
from replicate.experiment import prepare, run_seed
from replicate.fast.compat import cuda
from replicate.fast.device import chainer_device
from replicate.instability import sentence_instability, word_instability
from replicate.io.files import load_npy, load_npz, read_csv
from replicate.model import initial_model, trained_model
from replicate.run import SENTENCES, Options, Run
from replicate.saliency import flat_batch, word_saliency

CONFIG = Config(n_filters=3, epochs=4, batch_size=8, learning_rate=0.02)
N, V, D = 60, None, 6


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory):
    """Sixty made-up labelled sentences."""
    random = np.random.RandomState(0)
    words = [f"w{i}" for i in range(40)]
    rows = []
    for i in range(N):
        own = ["fine", "great"] if i % 2 else ["bad", "dull"]
        rows.append(f"{i % 2}\t{' '.join([*random.choice(words, 1 + i % 9), own[i % 3 % 2]])}")
    place = tmp_path_factory.mktemp("experiment") / "corpus.tsv"
    place.write_text("label\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def made(corpus_file):
    """Prepare and run: ``made(folder, seeds, options, **readings)``."""

    def make(folder, seeds=(0,), options=None, run=True, **readings):
        work = prepare(
            folder, CONFIG.replace(**readings), options or Options(), list(seeds), [corpus_file],
            "random", dimensions=D,
        )  # fmt: skip
        for seed in seeds if run else ():
            run_seed(work, seed)
        return work

    return make


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    """Seed 0 of the plain settings."""
    return made(tmp_path_factory.mktemp("run") / "run")


def files_of(folder):
    """Relative name -> bytes of all files that must repeat."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in (".replicate.lock", "run.log", "timing.json")
    }


# --- the contract --------------------------------------------------------------


def test_the_files_of_a_run(run):
    """Names, shapes and dtypes as the README promises."""
    corpus, out = run.corpus, run.out
    V, T = len(corpus.words), len(corpus.tokens)
    arrays = load_npz(out / "corpus.npz")
    assert {n: (a.dtype.kind, a.shape) for n, a in arrays.items()} == {
        "words": ("U", (V,)), "tokens": ("i", (T,)), "offsets": ("i", (N + 1,)), "label": ("i", (N,)),
    }  # fmt: skip
    assert arrays["tokens"].dtype == arrays["label"].dtype == np.int32
    assert arrays["offsets"].dtype == np.int64
    assert load_npy(out / "vectors.npy").shape == (V + 1, D)
    assert load_npy(out / "known.npy").dtype == bool
    seed = out / "seed-000"
    subset = load_npz(seed / "split.npz")["subset"]
    assert subset.dtype == np.int8 and np.bincount(subset)[1:].tolist() == [27, 27, 6]
    model = load_npz(seed / "T1" / "model.npz")
    assert {n: a.shape for n, a in model.items()} == {
        "conv/W": (3, 1, 3, D), "conv/b": (3,), "fc/W": (2, 3), "fc/b": (2,), "embed/W": (V + 1, D),
    }  # fmt: skip
    assert {a.dtype for a in model.values()} == {np.dtype(np.float32)} and not model["embed/W"][
        0
    ].any()
    t1 = np.flatnonzero(subset == 1)
    tokens = corpus.take(t1)[0]
    saliency = load_npy(seed / "T1" / "saliency.npy")
    predicted = load_npy(seed / "T1" / "predicted.npy")
    assert saliency.shape == (4, len(tokens)) and saliency.dtype == np.float32
    assert predicted.shape == (4, 27) and predicted.dtype == np.int32
    assert {p.name for p in (seed / "arms").iterdir()} == set(ARMS)
    with open(seed / "accuracy.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["arm", "epoch", "accuracy", "loss"] and len(rows) == 1 + 7 * 4
    with open(seed / "instability.csv", newline="") as file:
        assert next(csv.reader(file)) == ["word", "count", "wac"]
    with open(seed / "sentences.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["sentence", "label", "subset", "arm", "instability"] and len(rows) == N + 1
    config = json.loads((out / "config.json").read_text())
    assert {**config, **CONFIG.to_dict()} == config
    assert config["corpus"]["sha256"] and config["versions"]["chainer"]
    assert not list(out.rglob("*.part")) and not list(out.rglob("snapshot.npz"))


def test_instability_is_that_of_the_saliency(run):
    """wac and A_S in the CSVs are eqs (7) to (10) of saliency.npy, at full precision."""
    seed = run.seed_folder(0)
    subset = run.subset(0)
    t1, t2 = np.flatnonzero(subset == 1), np.flatnonzero(subset == 2)
    tokens, _ = run.corpus.take(t1)
    saliency = load_npy(seed / "T1" / "saliency.npy")
    wac, count = word_instability(saliency, tokens, len(run.corpus.words))
    wanted, _ = naive.word_instability(saliency, tokens, len(run.corpus.words))
    np.testing.assert_allclose(wac, wanted, rtol=1e-9, atol=1e-18)
    rows = read_csv(seed / "instability.csv", ("word", "count", "wac"))
    index = {w: i for i, w in enumerate(run.corpus.words)}
    assert len(rows) == (count > 0).sum()
    for row in rows:
        i = index[row["word"]]
        assert int(row["count"]) == count[i] and float(row["wac"]) == wac[i]
    scores = sentence_instability(wac, *run.corpus.take(t2))
    rows = read_csv(seed / "sentences.csv", SENTENCES)
    assert [float(r["instability"]) for r in rows if r["subset"] == "2"] == scores.tolist()
    assert all(r["instability"] == r["arm"] == "" for r in rows if r["subset"] != "2")
    high = [int(r["sentence"]) for r in rows if r["arm"] == "h"]
    low = [int(r["sentence"]) for r in rows if r["arm"] == "l"]
    assert len(high) == len(low) == 13
    value = dict(zip(t2.tolist(), scores))
    assert min(value[s] for s in high) >= max(value[s] for s in low)


def test_arms_are_what_the_paper_says(run):
    """Sizes and members of the seven training sets; ran is another half than h."""
    subset = run.subset(0)
    t1, t2 = (set(np.flatnonzero(subset == k).tolist()) for k in (1, 2))
    of = {
        arm: load_npy(run.seed_folder(0) / "arms" / arm / "sentences.npy").tolist() for arm in ARMS
    }
    h, l = set(of["T2h"]), set(of["T2l"])
    assert set(of["T1"]) == t1 and not h & l and h | l <= t2
    assert set(of["T1andT2h"]) == t1 | h and set(of["T1andT2l"]) == t1 | l
    assert set(of["T1andT2"]) == t1 | t2
    ran = set(of["T1andT2ran"]) - t1
    assert t1 <= set(of["T1andT2ran"]) and ran <= t2 and len(ran) == len(h) and ran != h
    for sentences in of.values():
        assert sentences == sorted(set(sentences))


def test_t2h_goes_on_from_t1_and_others_start_afresh(made, tmp_path):
    """Epoch 0 of T2h and T2l is the T1 model; of the others the seed's first weights."""
    run = made(tmp_path / "run", record_epoch_0=True)
    curves = run.accuracies(0)
    assert {len(rows) for rows in curves.values()} == {5}
    for arm in ("T2h", "T2l"):
        assert curves[arm][0, 1:].tolist() == curves["T1"][-1, 1:].tolist()
    for arm in ("T1andT2h", "T1andT2l", "T1andT2", "T1andT2ran"):
        assert curves[arm][0, 1:].tolist() == curves["T1"][0, 1:].tolist()
    assert curves["T1"][0, 2] != curves["T1"][-1, 2]


def test_the_record_is_of_the_stored_model(run):
    """The last row of saliency.npy is word_saliency of model.npz."""
    model = trained_model(run, 0, "T1")
    batch = flat_batch(model, *run.corpus.take(np.flatnonzero(run.subset(0) == 1)))
    rows = load_npy(run.seed_folder(0) / "T1" / "saliency.npy")
    assert rows[-1].tobytes() == word_saliency(model, batch).token_saliency.tobytes()


# --- same seed, same bytes -----------------------------------------------------


def test_same_seed_same_bytes(run, made, tmp_path):
    """All files of a seed; another seed has others."""
    again = made(tmp_path / "again", seeds=(0, 1))
    first, second = files_of(run.seed_folder(0)), files_of(again.seed_folder(0))
    assert first == second
    other = files_of(again.seed_folder(1))
    assert (
        other["split.npz"] != first["split.npz"] and other["T1/model.npz"] != first["T1/model.npz"]
    )


def test_streaming_gives_the_same_instability(run, made, tmp_path):
    """Without saliency.npy: wac to 1e-6, the same halves, the same accuracies."""
    work = made(tmp_path / "run", options=Options(stored=False))
    assert not (work.seed_folder(0) / "T1" / "saliency.npy").exists()
    for name in ("T2h", "T1andT2l"):
        a, b = (load_npy(r.seed_folder(0) / "arms" / name / "sentences.npy") for r in (run, work))
        assert a.tolist() == b.tolist()
    a, b = (
        read_csv(r.seed_folder(0) / "instability.csv", ("word", "count", "wac"))
        for r in (run, work)
    )
    np.testing.assert_allclose(
        [float(r["wac"]) for r in a], [float(r["wac"]) for r in b], rtol=1e-6, atol=1e-18
    )
    assert (work.seed_folder(0) / "accuracy.csv").read_bytes() == (
        run.seed_folder(0) / "accuracy.csv"
    ).read_bytes()


def test_both_forms_agree(run, made, tmp_path):
    """The plain Chainer composition, from start to end: accuracies equal, wac to 1 per cent."""
    work = made(tmp_path / "run", options=Options(implementation="reference"))
    a, b = (np.array([r.accuracies(0)[arm][:, 1] for arm in ARMS]) for r in (run, work))
    assert a.tolist() == b.tolist() and len(np.unique(a)) > 2
    a, b = (np.array([r.accuracies(0)[arm][:, 2] for arm in ARMS]) for r in (run, work))
    np.testing.assert_allclose(a, b, rtol=1e-3)
    a, b = (
        read_csv(r.seed_folder(0) / "instability.csv", ("word", "count", "wac"))
        for r in (run, work)
    )
    np.testing.assert_allclose(
        [float(r["wac"]) for r in a], [float(r["wac"]) for r in b], rtol=1e-2, atol=1e-12
    )


def test_fine_tuned_vectors_are_stored(made, tmp_path):
    """embed/W of an arm is its own and differs from the start."""
    work = made(tmp_path / "run", vectors_mode="finetuned")
    first, second = (
        load_npz(work.folder(0, arm) / "model.npz")["embed/W"] for arm in ("T1", "T1andT2")
    )
    assert (first != work.vectors).any() and (first != second).any() and not first[0].any()


def test_arms_are_recorded_where_asked(made, run, tmp_path):
    """--record-arms follows T1's occurrences in every arm, and changes no weight."""
    work = made(tmp_path / "run", options=Options(record_arms=True, epoch_weights="none"))
    for arm in ARMS[1:]:
        rows = read_csv(work.folder(0, arm) / "instability.csv", ("word", "count", "wac"))
        assert len(rows) == len(
            read_csv(work.seed_folder(0) / "instability.csv", ("word", "count", "wac"))
        )
        a, b = (r.folder(0, arm) / "model.npz" for r in (work, run))
        assert a.read_bytes() == b.read_bytes()
    assert not (work.folder(0, "T1") / "weights.npz").exists()
    assert (run.folder(0, "T1") / "weights.npz").exists()


# --- what stays and what is done again -----------------------------------------------


def test_what_is_done_is_not_done_again(made, tmp_path, monkeypatch):
    """A further seed leaves the first alone; a file that was changed is made anew."""
    work = made(tmp_path / "run", seeds=(0,))
    trained = []
    real = experiment.train
    monkeypatch.setattr(experiment, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    before = files_of(work.seed_folder(0))
    work = made(tmp_path / "run", seeds=(0, 1))
    assert len(trained) == 7 and work.seeds == [0, 1]
    trained.clear()
    place = work.folder(0, "T1andT2") / "model.npz"
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    assert not work.finished(0, "T1andT2") and work.finished(0, "T1")
    run_seed(work, 0)
    assert len(trained) == 1 and files_of(work.seed_folder(0)) == before


def test_a_lost_marker_is_a_stage_undone(made, tmp_path):
    """Without stage.json, or with a damaged one, the stage is done again to the same bytes."""
    work = made(tmp_path / "run")
    before = files_of(work.seed_folder(0))
    (work.folder(0, "T1") / "stage.json").unlink()
    (work.folder(0, "T2h") / "stage.json").write_text("{torn")
    run_seed(work, 0)
    assert files_of(work.seed_folder(0)) == before


@pytest.mark.parametrize(
    "change, named",
    [({"n_filters": 4}, "n_filters"), ({"epochs": 5}, "epochs"), ({"dropout": 0.1}, "dropout")],
)
def test_other_settings_on_the_same_folder_are_refused(change, named, made, tmp_path, refused):
    """The line names the setting, and nothing in the folder changes."""
    made(tmp_path / "run", run=False)
    before = files_of(tmp_path / "run")
    with refused(tmp_path / "run", named):
        made(tmp_path / "run", run=False, **change)
    assert files_of(tmp_path / "run") == before


def test_other_data_on_the_same_folder_is_refused(made, corpus_file, tmp_path, refused):
    """Another corpus under the same name, and other options."""
    made(tmp_path / "run", run=False)
    other = tmp_path / "corpus.tsv"
    other.write_text(corpus_file.read_text().replace("dull", "weak"))
    with refused("corpus"):
        prepare(tmp_path / "run", CONFIG, Options(), [0], [other], "random", dimensions=D)
    with refused("stored"):
        made(tmp_path / "run", run=False, options=Options(stored=False))
    with refused("vectors"):
        prepare(tmp_path / "run", CONFIG, Options(), [0], [corpus_file], "random", dimensions=D + 1)


def test_a_run_of_version_1_0_0_goes_on(made, tmp_path):
    """Its settings do not say what was read; they stay as they are."""
    run = made(tmp_path / "run", run=False)
    old = {name: value for name, value in run.settings.items() if name != "read"}
    (run.out / "config.json").write_text(json.dumps(old))
    assert made(tmp_path / "run", seeds=(0, 1), run=False).settings == {**old, "seeds": [0, 1]}


def test_a_folder_of_other_things_is_refused(made, tmp_path, refused):
    """Somebody's files are not mixed with ours."""
    (tmp_path / "thesis.tex").write_text("x")
    with refused(tmp_path):
        made(tmp_path, run=False)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_too_few_epochs_for_a_variance(made, tmp_path, refused):
    """Eq. (9) needs two changes: the variance of one is 0, and all scores would be alike."""
    for i, few in enumerate(
        ({"epochs": 1}, {"epochs": 2}, {"epochs": 2, "variance": "sample"},
         {"epochs": 1, "record_epoch_0": True})
    ):  # fmt: skip
        with refused("epochs", "needs 3 recorded epochs"):
            made(tmp_path / str(i), run=False, **few)
        assert not (tmp_path / str(i)).exists() or not any((tmp_path / str(i)).iterdir())
    made(tmp_path / "c", run=False, epochs=2, record_epoch_0=True)


def test_the_untrained_network_judges_nothing(made, tmp_path):
    """It has most misclassified sentences, but ``judged_epoch = -1`` asks trained ones."""
    run = made(tmp_path / "run", epochs=3, record_epoch_0=True, judged_epoch=-1)
    record = run.record(0)
    wrong = (record.predicted != record.labels).sum(axis=1)
    assert record.epochs[0] == 0 and record.judged > 0
    assert wrong[record.judged] == wrong[1:].max()


def test_the_least_epochs_give_scores_that_differ(made, tmp_path):
    """With two changes words have variances, and the halves are not the order of the corpus."""
    run = made(tmp_path / "run", epochs=3)
    wac, count = run.instability(0)
    assert len(np.unique(wac[count > 0])) > 1


@pytest.mark.parametrize("device", ["@cupy:x", "cpu", "@cupy:99"])
def test_devices_that_are_not_there(device, made, tmp_path, refused):
    """One line, before anything is written."""
    with refused(device):
        made(tmp_path / "run", run=False, options=Options(device=device))
    assert not (tmp_path / "run").exists()


def test_why_there_is_no_gpu_is_told(monkeypatch, refused):
    """What stopped CuPy's import, not only that it is not there."""
    lacking = ImportError("libcublas.so.12: cannot open shared object file")
    monkeypatch.setattr(cuda, "available", False)
    monkeypatch.setattr(cuda, "_resolution_error", lacking, raising=False)
    with refused("--device @cupy:0", "libcublas.so.12: cannot open"):
        chainer_device("@cupy:0")


@pytest.mark.parametrize("text", ["{}", "[]", "torn", '{"n_filters": "x"}'])
def test_a_folder_that_is_no_run(text, tmp_path, refused):
    """config.json that is not ours is told by its name."""
    (tmp_path / "config.json").write_text(text)
    with refused(tmp_path / "config.json"):
        Run(tmp_path)


def test_stage_checksums_are_of_the_files(run):
    """Each file of a stage is named with its SHA-256."""
    folder = run.folder(0, "T1")
    named = json.loads((folder / "stage.json").read_text())["sha256"]
    assert {
        "model.npz",
        "training.csv",
        "saliency.npy",
        "../instability.csv",
        "../split.npz",
    } <= set(named)
    for name, digest in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


# --- sabotage ------------------------------------------------------------------


def test_sabotage_shows(run, made, tmp_path, monkeypatch):
    """A leaking split, a wrong start or a swapped selection do not pass these tests unseen."""

    def halves_swapped(scores, sentences):
        return selection.median_halves(scores, sentences)[::-1]

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "median_halves", halves_swapped)
        swapped = made(tmp_path / "a")
    with pytest.raises(AssertionError):
        test_instability_is_that_of_the_saliency(swapped)

    def afresh(run, seed, arm="T1"):
        return initial_model(run, seed)

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "trained_model", afresh)
        with pytest.raises(AssertionError):
            test_t2h_goes_on_from_t1_and_others_start_afresh(made, tmp_path / "b")

    real = saliency._at_logits
    with monkeypatch.context() as patch:
        patch.setattr(saliency, "_at_logits", lambda *a: tuple(2 * part for part in real(*a)))
        doubled = made(tmp_path / "c")
    assert (
        files_of(doubled.seed_folder(0))["T1/saliency.npy"]
        != files_of(run.seed_folder(0))["T1/saliency.npy"]
    )


def test_arms_without_a_score_need_no_first_phase(run, made, tmp_path):
    """T1andT2 and T1andT2ran before T1: the same bytes; T2h cannot."""
    work = made(tmp_path / "run", run=False)
    for arm in experiment.UNSCORED:
        experiment.run_arm(work, 0, arm)
        assert files_of(work.folder(0, arm)).items() <= files_of(run.folder(0, arm)).items()
    with pytest.raises(experiment.InputError):
        experiment.run_arm(work, 0, "T2h")
    run_seed(work, 0)
    assert files_of(work.seed_folder(0)) == files_of(run.seed_folder(0))


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["T1", "T2h"])
def test_a_stopped_run_goes_on_as_if_it_had_not(arm, made, tmp_path, monkeypatch):
    """Epoch 0 is not recorded again, dropout and state go on: every file is the same."""
    monkeypatch.setenv("REPLICATE_SNAPSHOT_SECONDS", "0")
    readings = {"record_epoch_0": True, "dropout": 0.5, "optimizer_state": "carried"}
    options = Options(record_arms=True)
    whole = made(tmp_path / "whole", options=options, **readings)

    class Stop(Exception):
        pass

    def stop(at, epoch, _):
        if (at, epoch) == (arm, 3):
            raise Stop

    run = made(tmp_path / "run", options=options, run=False, **readings)
    with pytest.raises(Stop):
        run_seed(run, 0, stop)
    assert (run.folder(0, arm) / "snapshot.npz").exists()
    epochs = []
    run_seed(run, 0, lambda at, epoch, _: epochs.append((at, epoch)))
    assert epochs[:2] == [(arm, 3), (arm, 4)]
    assert files_of(run.out) == files_of(whole.out)


# --- training that diverged ---------------------------------------------------------


@pytest.mark.parametrize("form", ["fused", "reference"])
def test_training_that_diverged_is_no_result(form, made, tmp_path, refused):
    """Epoch, model, loss and remedy; no stage is marked as done, and the same again says the same."""
    wild = {"optimizer": "MomentumSGD", "learning_rate": 100.0, "vectors_mode": "finetuned"}
    for _ in range(2):
        with refused("seed 0, T1: training diverged", "lower learning_rate, now 100"):
            made(tmp_path / "run", options=Options(implementation=form), **wild)
        assert not list((tmp_path / "run").rglob("stage.json"))


@pytest.mark.parametrize("arm", ["T2h", "T1andT2"])
def test_an_arm_that_diverged_is_no_result(arm, made, tmp_path, refused, monkeypatch):
    """The others are done."""
    real = experiment.train

    def train(model, *arguments, folder, **keywords):
        if folder.name == arm:
            model.fc.W.array[:] = np.nan
        return real(model, *arguments, folder=folder, **keywords)

    monkeypatch.setattr(experiment, "train", train)
    with refused(f"seed 0, {arm}: training diverged at epoch 1 (loss nan)"):
        made(tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.finished(0, "T1") and not run.finished(0, arm)


NAN = float("nan")


@pytest.mark.parametrize(
    "rows, wac, words",
    [
        ([(1, 0.5, 0.7, NAN)], None, "epoch 1 (loss nan)"),
        ([(1, 0.5, 0.7, 0.7), (2, 0.5, float("inf"), 0.7)], None, "epoch 2 (loss inf)"),
        ([(0, 0.5, NAN, NAN), (1, 0.5, 0.7, 0.7)], None, "epoch 0 (loss nan)"),
        ([(1, 0.5, 0.7, 88837.5)], None, "epoch 1 (loss 8.88e+04)"),
        ([(1, 0.5, 0.7, 0.7)], [0.0, NAN], "saliency of a word"),
        ([(e, 0.5, 0.7, 0.7) for e in (1, 2, 3)], [0.0, 0.0], "no word ever changed"),
        ([(0, 0.5, 0.7, NAN), (1, 0.5, 9.9, 9.9)], [0.0, 0.0], ""),
        ([(e, 0.5, 0.7, 0.7) for e in (1, 2, 3)], [0.0, 1e-9], ""),
    ],
)
def test_what_is_taken_for_a_result(rows, wac, words, refused):
    """The untrained network has no training loss; two rows have no variance."""
    wac = wac and np.array(wac)
    if not words:
        experiment.check_converged(rows, CONFIG, "T1", wac)
        return
    with refused("T1: training diverged", words, "lower learning_rate, now 0.02"):
        experiment.check_converged(rows, CONFIG, "T1", wac)


def test_adadelta_has_no_rate_to_lower(refused):
    with refused("(loss nan); choose another optimizer"):
        experiment.check_converged([(1, 0, NAN, 0)], CONFIG.replace(optimizer="AdaDelta"), "T1")


@pytest.mark.parametrize("seeds", BAD_SEEDS, ids=repr)
def test_what_is_no_seed_leaves_a_run_as_it_is(seeds, run, corpus_file, tmp_path, refused):
    """And a new folder empty: its config.json could not be read again."""
    before = (run.out / "config.json").read_bytes()
    for folder in (run.out, tmp_path / "new"):
        with refused("seeds = "):
            prepare(folder, CONFIG, Options(), seeds, [corpus_file], "random", dimensions=D)
    assert (run.out / "config.json").read_bytes() == before and not (tmp_path / "new").exists()


def test_seeds_may_be_a_number_or_an_array(corpus_file, tmp_path):
    for name, seeds, wanted in (("a", np.int64(2), [0, 1]), ("b", np.array([7, 2, 7]), [2, 7])):
        made = prepare(
            tmp_path / name, CONFIG, Options(), seeds, corpus_file, "random", dimensions=D
        )
        assert made.seeds == Run(made.out).seeds == wanted
