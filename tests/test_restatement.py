"""The program against a restatement of everything, in float64, under many sets of readings."""

import functools

import numpy as np
import pytest
import restatement

from replicate.config import ARMS, Config
from replicate.experiment import prepare, run_seed
from replicate.io.files import load_npy, load_npz, read_csv
from replicate.run import SENTENCES, Options

pytestmark = pytest.mark.slow

#: Settings of all sets, but for what each changes.
BASE = Config(n_filters=4, epochs=4, batch_size=7, learning_rate=0.05)

#: Sets of readings: each reading of the paper that decides numbers is in one with others, ...
SETS = {
    "defaults": {},
    "trained vectors": {
        "vectors_mode": "finetuned", "dropout": 0.3, "max_norm": 0.9, "weight_decay": 0.01,
        "optimizer": "MomentumSGD", "optimizer_state": "carried",
    },
    "short windows": {
        "padding": "narrow", "filter_height": 2, "activation": "tanh", "optimizer": "AdaDelta",
        "variance": "sample", "unseen_words": "zero", "repeated_words": "once", "max_norm": 0.7,
    },
    "absent words": {
        "vectors_mode": "finetuned", "absent_words": "stay", "weight_decay": 0.02,
        "optimizer_state": "carried", "dropout": 0.2,
    },
    "other words": {
        "tokens": "whitespace", "unknown_words": "normal", "split": "stratified",
        "optimizer": "AdaGrad", "optimizer_state": "carried", "vectors_mode": "finetuned",
    },
    "softmax twice": {
        "loss": "probabilities", "initial_weights": "kim", "activation": "sigmoid",
        "optimizer": "SGD", "learning_rate": 0.5, "filter_height": 1, "unknown_words": "zero",
    },
    "from epoch 0": {
        "record_epoch_0": True, "optimizer_state": "carried", "dropout": 0.5,
        "batch_size": 1000, "unseen_words": "zero",
    },
    "long filters": {
        "filter_height": 5, "padding": "narrow", "loss": "probabilities", "weight_decay": 0.1,
        "vectors_mode": "finetuned", "repeated_words": "once", "split": "stratified",
    },
    "Kim's network": {
        "filter_height": (1, 3, 4), "vectors_mode": "multichannel", "optimizer": "AdaDelta",
        "dropout": 0.5, "max_norm": 3.0, "optimizer_state": "carried",
    },
}  # fmt: skip

#: ... and alone, with what it must change (and leave): nothing else may make the difference.
ALONE = [
    ({"tokens": "whitespace"}, "words", ""),
    ({"unknown_words": "zero"}, "saliency", "split"),
    ({"unknown_words": "normal"}, "saliency", "split"),
    ({"unknown_words_seed": 0}, "saliency", "split"),
    ({"vectors_mode": "finetuned"}, "saliency", "split"),
    ({"filter_height": 2}, "saliency", "split"),
    ({"filter_height": (2, 3)}, "saliency", "split"),
    ({"filter_height": (2, 4), "padding": "narrow"}, "saliency", "split"),
    ({"vectors_mode": "multichannel", "learning_rate": 0.02}, "saliency", "split"),
    ({"activation": "tanh"}, "saliency", "split"),
    ({"activation": "sigmoid"}, "saliency", "split"),
    ({"dropout": 0.3}, "saliency", "split"),
    ({"optimizer": "AdaDelta"}, "saliency", "split"),
    ({"max_norm": 0.5}, "saliency", "split"),
    ({"weight_decay": 0.05}, "saliency", "split"),
    ({"initial_weights": "kim"}, "saliency", "split"),
    ({"loss": "probabilities"}, "saliency", "split"),
    ({"padding": "narrow"}, "saliency", "split"),
    ({"split": "stratified"}, "split", "words"),
    ({"variance": "sample"}, "wac", "saliency"),
    ({"unseen_words": "zero"}, "scores", "wac"),
    ({"repeated_words": "once"}, "scores", "wac"),
    ({"optimizer_state": "carried"}, "curves", "arms"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sixty sentences with odd characters, rare words and repeated ones; vectors of most words."""
    random = np.random.RandomState(3)
    common = ["the", "film", "is", "it's", "a", "can't", "plot", "of", "good", "dull", "never", "!"]
    rare = [f"rare{i}" for i in range(60)]
    rows = []
    for i in range(60):
        words = [*random.choice(common, 1 + i % 8), *random.choice(rare, i % 4)]
        words += [words[0]] * (i % 3)
        words.append(("good", "dull")[(i + (random.rand() < 0.2)) % 2])
        text = " ".join(random.permutation(words)) + (" (really?), ok" if i % 7 == 0 else "")
        rows.append(f"{i % 2}\t{text.capitalize()}")
    folder = tmp_path_factory.mktemp("restated")
    (folder / "corpus.tsv").write_text("label\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    known = "the film is it 's a ca n't can't it's plot of good dull ! ?".split()
    known += rare[::3]
    lines = [f"{w} " + " ".join(f"{x:.6f}" for x in random.uniform(-1, 1, 5)) for w in known]
    (folder / "vectors.txt").write_text(f"{len(lines)} 5\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def restated(data):
    """The restatement under some readings, once for each."""

    @functools.cache
    def under(readings):
        config = BASE.replace(**dict(readings)).to_dict()
        return restatement.experiment(data / "corpus.tsv", data / "vectors.txt", config, 1)

    return lambda readings: under(tuple(sorted(readings.items())))


def close(found, expected, tolerance, what):
    """To a share of the greatest value: what float32 leaves after some epochs."""
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected)
    assert found.shape == expected.shape, what
    off = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
    assert off <= tolerance, f"{what} is off by {off:.1e} of the greatest"


def compare(run, seed, expected):
    """All that a seed of a run leaves against the restatement."""
    corpus, folder = run.corpus, run.seed_folder(seed)
    assert corpus.words.tolist() == expected["words"]
    for k, sentences in enumerate(expected["split"], start=1):
        assert np.flatnonzero(run.subset(seed) == k).tolist() == sentences
    close(load_npy(folder / "T1" / "saliency.npy"), expected["saliency"], 1e-4, "saliency")
    wac, _ = run.instability(seed)
    there = np.flatnonzero(np.isfinite(wac))
    assert there.tolist() == sorted(expected["wac"])
    close(wac[there], [expected["wac"][w] for w in there], 1e-3, "wac")
    rows = read_csv(folder / "sentences.csv", SENTENCES)
    scores = [float(row["instability"]) for row in rows if row["subset"] == "2"]
    close(scores, expected["scores"], 1e-3, "A_S")
    curves = run.accuracies(seed)
    for arm in ARMS:
        assert run.sentences(seed, arm).tolist() == expected["arms"][arm], arm
        model = load_npz(run.folder(seed, arm) / "model.npz")
        if arm != "T1" and run.config.vectors_mode == "static":
            assert "embed/W" not in model
        else:
            model["embed/W"] = model["embed/W"][1:]  # row 0 is padding
        for name, value in model.items():
            value = value[:, 0] if value.ndim == 4 else value
            close(value, expected["weights"][arm][name], 1e-4, f"{name} of {arm}")
        close(curves[arm][:, 1], expected["curves"][arm][:, 0], 0, f"accuracy of {arm}")
        close(curves[arm][:, 2], expected["curves"][arm][:, 1], 1e-4, f"loss of {arm}")


def made(folder, data, form="fused", **readings):
    """The program's own run of the same seed."""
    config, options = BASE.replace(**readings), Options(implementation=form)
    vectors = data / "vectors.txt"
    run = prepare(folder, config, options, [1], [data / "corpus.tsv"], vectors)
    run_seed(run, 1)
    return run


@pytest.mark.parametrize("form", ["fused", "reference"])
@pytest.mark.parametrize("name", SETS)
def test_everything_is_as_restated(name, form, data, restated, tmp_path):
    """Words, split, saliency, wac, scores, arms, weights, accuracies, losses."""
    compare(made(tmp_path / "run", data, form, **SETS[name]), 1, restated(SETS[name]))


def flat(value):
    """A part of a restatement as text, exactly."""
    if isinstance(value, dict):
        return str([(key, flat(part)) for key, part in sorted(value.items())])
    return str(np.asarray(value).tolist()) if not isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("readings, changed, same", ALONE, ids=lambda x: str(x))
def test_every_reading_matters_and_is_as_restated(
    readings, changed, same, data, restated, tmp_path
):
    """It alone, against the defaults: what it must change is another, what comes before is not."""
    plain, expected = restated({}), restated(readings)
    assert flat(plain[changed]) != flat(expected[changed])
    assert not same or flat(plain[same]) == flat(expected[same])
    run = made(tmp_path / "run", data, **readings)
    compare(run, 1, expected)
    with pytest.raises(AssertionError):  # twin: it is not the defaults' result
        compare(run, 1, plain)


@pytest.mark.parametrize("name", ["saliency", "wac", "curves", "weights"])
def test_a_number_that_is_off_is_noticed(name, data, restated, tmp_path):
    """Twin: each part of the restatement, changed by a thousandth of its greatest."""
    run = made(tmp_path / "run", data)
    compare(run, 1, restated({}))
    wrong = dict(restated({}))
    if name == "wac":
        top = max(wrong["wac"].values())
        wrong["wac"] = {word: value + 0.002 * top for word, value in wrong["wac"].items()}
    elif name == "saliency":
        wrong["saliency"] = wrong["saliency"] + 1e-3 * wrong["saliency"].max()
    elif name == "curves":
        wrong["curves"] = {arm: curve + 1e-3 for arm, curve in wrong["curves"].items()}
    else:
        changed = {n: w * 1.001 for n, w in wrong["weights"]["T1andT2l"].items()}
        wrong["weights"] = {**wrong["weights"], "T1andT2l": changed}
    with pytest.raises(AssertionError, match="off by"):
        compare(run, 1, wrong)
