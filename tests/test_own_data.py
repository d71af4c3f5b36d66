"""The method for data of one's own: fitting, ranking a pool, and its bad input."""

import json
import os
import sys

import numpy as np
import pytest
from gensim.models import KeyedVectors
from samples import BAD_SEEDS
from scipy import stats

from replicate import cli
from replicate.beyond import own_data
from replicate.beyond.own_data import PRESET, fit, rank_pool, read_pool, select, size_of
from replicate.config import PRESETS, Config
from replicate.corpus import read_corpus
from replicate.experiment import read_inputs
from replicate.instability import sentence_instability
from replicate.io import files
from replicate.io.files import read_csv, sha256
from replicate.saliency import classify, flat_batch

CONFIG = Config(n_filters=4, epochs=4, batch_size=8, learning_rate=0.01)
GOOD, BAD = "fine great lovely quick solid".split(), "bad dull slow weak noisy".split()


def texts(n, seed=0):
    """Made-up reviews and their labels."""
    random = np.random.RandomState(seed)
    labels = random.randint(0, 3, n)
    kinds = (BAD, ["plain", "usual", "common"], GOOD)
    return [
        (("low", "middle", "high")[label], f"the {random.choice(['lamp', 'kettle'])} is {random.choice(kinds[label])} , "
         f"and {random.choice(kinds[label])}")
        for label in labels
    ]  # fmt: skip


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Sixty labelled texts of three labels."""
    place = tmp_path_factory.mktemp("select") / "labelled.tsv"
    rows = "".join(f"{label}\t{text}\n" for label, text in texts(60))
    place.write_text("label\ttext\n" + rows, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def pool(labelled):
    """Thirty texts without labels."""
    place = labelled.with_name("pool.txt")
    place.write_text("".join(f"{text}\n\n" for _, text in texts(30, seed=1)), encoding="utf-8")
    return place


def test_what_is_written(labelled, pool, tmp_path):
    """selected.csv is the top of the pool by the mean wac in words.csv; nothing else is left."""
    place = select([labelled], pool, "random", CONFIG, tmp_path / "o", "20%", dimensions=8)
    rows = read_csv(place, ("rank", "score", "text", "words", "label", "line"))
    words = read_csv(tmp_path / "o" / "words.csv", ("word", "count", "wac"))
    wac = {row["word"]: float(row["wac"]) for row in words}
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [
        "select.json", "selected.csv", "words.csv",
    ]  # fmt: skip
    assert [int(row["rank"]) for row in rows] == list(range(1, 7))
    every = {
        text: np.mean([wac[w] for w in text.split() if w in wac]) for _, text in texts(30, seed=1)
    }
    for row in rows:
        assert float(row["score"]) == pytest.approx(every[row["text"]], rel=1e-12)
        first = max(set(row["text"].split()) & set(wac), key=wac.get)
        assert row["words"].split()[0] == first
        assert pool.read_text(encoding="utf-8").split("\n")[int(row["line"]) - 1] == row["text"]
    best = sorted(every.values(), reverse=True)
    assert [float(row["score"]) for row in rows] == pytest.approx(
        sorted((float(r["score"]) for r in rows), reverse=True)
    )
    assert float(rows[0]["score"]) == pytest.approx(best[0], rel=1e-12)
    assert list(wac.values()) == sorted(wac.values(), reverse=True)


def test_same_input_same_bytes(labelled, pool, tmp_path):
    """Two runs write the same; another seed does not."""
    made = []
    for name, seeds in (("a", (0,)), ("b", (0,)), ("c", (1,))):
        place = select([labelled], pool, "random", CONFIG, tmp_path / name, 5, seeds, dimensions=8)
        made.append((place.read_bytes(), (place.parent / "words.csv").read_bytes()))
    assert made[0] == made[1] != made[2]


def test_seeds_are_averaged(labelled, tmp_path):
    """wac over two seeds is the mean of each."""
    one, two, both = (
        fit([labelled], "random", CONFIG, tmp_path / str(i), seeds, dimensions=8)
        for i, seeds in enumerate(((0,), (1,), (0, 1)))
    )
    shared = np.isfinite(one.wac) & np.isfinite(two.wac)
    np.testing.assert_allclose(both.wac[shared], (one.wac + two.wac)[shared] / 2, rtol=1e-12)
    assert len(both.accuracy) == 2


def test_labels_of_the_pool_are_not_used(labelled, tmp_path):
    """A pool with labels, right or wrong, is ranked as one without."""
    made = []
    for name, label in (("x", "low"), ("y", "high")):
        place = tmp_path / f"{name}.csv"
        rows = "".join(f'{label},"{text}"\n' for _, text in texts(12, seed=2))
        place.write_text("label,text\n" + rows, encoding="utf-8")
        out = select([labelled], place, "random", CONFIG, tmp_path / name, 12, dimensions=8)
        made.append(
            [
                (r["score"], r["text"])
                for r in read_csv(out, ("rank", "score", "text", "words", "label", "line"))
            ]
        )
    assert made[0] == made[1]


def test_rank_pool_is_eq_10(labelled, tmp_path):
    """Scores are sentence_instability's; texts without known words come last; ties in order."""
    fitted = fit([labelled], "random", CONFIG, tmp_path, dimensions=8)
    found = rank_pool(fitted, ["never seen words", "the lamp", "", "the lamp"], CONFIG)
    index = {w: i for i, w in enumerate(fitted.corpus.words)}
    tokens = np.array([index["the"], index["lamp"]])
    expected = sentence_instability(fitted.wac, tokens, np.array([0, 2]))[0]
    assert found.score.tolist() == [0, expected, 0, expected]
    assert found.order.tolist() == [1, 3, 0, 2]
    assert found.words[0] == [] and sorted(found.words[1]) == ["lamp", "the"]


# --- by entropy ---------------------------------------------------------------------------


class Trained:
    """The networks that `fit` trains, and what each says of one text, asked by itself."""

    def __init__(self, monkeypatch):
        self.models = []
        real = own_data.train

        def train(model, *arguments, **keywords):
            self.models.append(model)
            return real(model, *arguments, **keywords)

        monkeypatch.setattr(own_data, "train", train)

    def says(self, text, words):
        """(C,): mean over networks; words that are not in the vocabulary are padding."""
        index = {word: i for i, word in enumerate(words)}
        tokens = np.array([index.get(word, -1) for word in text.split()])
        ends = np.array([0, len(tokens)])
        found = [
            classify(m, flat_batch(m, tokens, ends)).probabilities[0].astype(np.float64)
            for m in self.models
        ]
        return np.mean(found, axis=0)


@pytest.mark.parametrize("at_once", [4096, 4, 1])
def test_the_pool_is_asked_text_by_text(labelled, tmp_path, monkeypatch, at_once):
    """Mean over seeds of each text's probabilities; a text without words has none."""
    trained = Trained(monkeypatch)
    monkeypatch.setattr(own_data, "_ASKED", at_once)
    asked = ["", *(text for _, text in texts(9, seed=1)), " ", "a word of no labelled text", ""]
    fitted = fit([labelled], "random", CONFIG, tmp_path, (0, 1), dimensions=8, pool=asked)
    assert len(trained.models) == 2
    for text, found in zip(asked, fitted.probabilities, strict=True):
        wanted = trained.says(text, fitted.corpus.words) if text.strip() else np.zeros(3)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    ranked = rank_pool(fitted, asked, CONFIG, by="entropy")
    known = fitted.probabilities[1:10]
    wanted = [stats.entropy(p) for p in known]  # which divides by their sum, 1 in float32
    np.testing.assert_allclose(ranked.score[1:10], wanted, rtol=1e-7)
    assert ranked.score[[0, 10, 12]].tolist() == [0, 0, 0]
    assert ranked.order[-3:].tolist() == [0, 10, 12]
    assert ranked.score[ranked.order].tolist() == sorted(ranked.score, reverse=True)


def test_words_of_the_pool_alone_have_vectors(labelled, tmp_path, monkeypatch):
    """A word that no labelled text has, with the vector of one that they have, counts as that one.

    Twin: where its vector was not read, the word is padding.
    """
    corpus = read_corpus([labelled])
    keyed = KeyedVectors(8)
    rows = np.random.RandomState(0).normal(size=(len(corpus.words), 8)).astype(np.float32)
    names = [*corpus.words.tolist(), "superb"]
    keyed.add_vectors(names, np.vstack([rows, rows[names.index("great")]]))
    pool = ["the lamp is great , and great", "the lamp is superb , and superb"]
    made = fit([labelled], keyed, CONFIG, tmp_path / "a", pool=pool)
    np.testing.assert_array_equal(made.probabilities[0], made.probabilities[1])
    inputs = read_inputs(CONFIG, [labelled], keyed)
    without = fit(inputs, keyed, CONFIG, tmp_path / "b", pool=pool)
    np.testing.assert_array_equal(without.probabilities[0], made.probabilities[0])
    assert not np.array_equal(without.probabilities[1], made.probabilities[1])


def test_the_network_learned_something(labelled, tmp_path):
    """Asked about the texts that it learned from, it mostly gives their labels, and is surer than of noise."""
    config = CONFIG.replace(epochs=30)
    known = [text for _, text in texts(60)]
    noise = [text.replace("is", "dull fine") for text in known]
    fitted = fit([labelled], "random", config, tmp_path, dimensions=8, pool=known + noise)
    names = np.array(fitted.corpus.label_names)
    right = names[fitted.probabilities[:60].argmax(axis=1)] == [label for label, _ in texts(60)]
    assert right.mean() > 0.8
    score = rank_pool(fitted, known + noise, config, by="entropy").score
    assert score[:60].mean() < score[60:].mean()


def test_selected_by_entropy(labelled, pool, tmp_path):
    """The same networks as by instability, another order; the settings say which."""
    made = {}
    for by in own_data.BY:
        place = select(
            [labelled], pool, "random", CONFIG, tmp_path / by, 30, (0, 1), dimensions=8, by=by
        )
        rows = read_csv(place, ("rank", "score", "text", "words", "label", "line"))
        kept = json.loads((place.parent / "select.json").read_text())
        assert kept["by"] == by
        words = (place.parent / "words.csv").read_bytes()
        made[by] = ([r["text"] for r in rows], {r["text"]: r["words"] for r in rows}, words)
        scores = [float(row["score"]) for row in rows]
        assert scores == sorted(scores, reverse=True) and min(scores) > 0
        assert by == "instability" or max(scores) <= np.log(3)
    first, second = made.values()
    assert first[0] != second[0] and sorted(first[0]) == sorted(second[0])
    assert first[1:] == second[1:]


def test_a_pool_without_labels_of_its_own_network_is_no_ranking(labelled, tmp_path):
    """Probabilities of other texts, or a score that does not exist."""
    fitted = fit([labelled], "random", CONFIG, tmp_path, dimensions=8)
    assert fitted.probabilities.shape == (0, 3)
    with pytest.raises(ValueError, match="2 texts, and a pool of 0"):
        rank_pool(fitted, ["the lamp", "the kettle"], CONFIG, by="entropy")
    with pytest.raises(ValueError, match="'doubt'; it is one of instability, entropy"):
        rank_pool(fitted, ["the lamp"], CONFIG, by="doubt")
    with pytest.raises(ValueError, match="'doubt'"):
        select([labelled], "none.txt", "random", CONFIG, tmp_path / "o", by="doubt")


def test_the_command_selects_by_entropy(labelled, pool, tmp_path, capsys):
    """--by has the scores of the module; another is refused before anything is read."""
    common = ["select", "--corpus", str(labelled), "--pool", str(pool), "--vectors", "random"]
    common += ["--dimensions", "8", "--preset", "sample", "--out", str(tmp_path / "o")]
    option = next(p for p in cli.cli.commands["select"].params if p.name == "by")
    assert tuple(option.type.choices) == own_data.BY and option.default == own_data.BY[0]
    with pytest.raises(SystemExit, match="2"):
        cli.main([*common, "--by", "doubt"])
    assert "--by" in capsys.readouterr().err and not (tmp_path / "o").exists()
    with pytest.raises(SystemExit, match="0"):
        cli.main([*common, "--by", "entropy"])
    assert json.loads((tmp_path / "o" / "select.json").read_text())["by"] == "entropy"


@pytest.mark.parametrize("budget", ["0", "31", "-1", "1.5", "many", "0%", "101%", ""])
def test_bad_budgets(budget, refused):
    """A number within the pool or a share, else one clear line that names the option."""
    with refused(f"--budget {budget!r}: "):
        size_of(budget, 30)


def test_a_share_of_a_small_pool_is_named(refused):
    """The default is a share; of four texts it is none."""
    with refused("--budget '10%': a share of 0.1 of 4 sentences is less than one"):
        size_of("10%", 4)


@pytest.mark.parametrize(
    "name, data",
    [
        ("p.txt", b""),
        ("p.txt", b"\n \n"),
        ("p.txt", b"\xff\xfe"),
        ("p.csv", b"label,words\n1,x\n"),
        ("none.txt", None),
    ],
)
def test_bad_pools(name, data, tmp_path, refused):
    """Empty, not UTF-8, without a column of texts, missing."""
    place = tmp_path / name
    if data is not None:
        place.write_bytes(data)
    with refused(place):
        read_pool(place)


def test_too_few_texts(tmp_path, refused):
    """Nine labelled texts teach nothing."""
    place = tmp_path / "few.tsv"
    place.write_text("label\ttext\n" + "".join(f"{i % 2}\tword {i}\n" for i in range(9)))
    with refused("9"):
        fit([place], "random", CONFIG, tmp_path, dimensions=8)


def test_nothing_is_written_on_bad_input(labelled, pool, tmp_path, refused):
    """The pool and the budget are looked at before anything is trained."""
    with refused():
        select([labelled], pool, "random", CONFIG, tmp_path / "o", "99", dimensions=8)
    assert not (tmp_path / "o").exists()


def test_settings_are_kept(labelled, pool, tmp_path):
    """select.json tells what was done."""
    place = select([labelled], pool, "random", CONFIG, tmp_path / "o", 3, dimensions=8)
    kept = json.loads((place.parent / "select.json").read_text())
    assert kept["selected"] == 3 and kept["of"] == 30 and len(kept["accuracy_held_out"]) == 1
    assert kept["n_filters"] == 4 and pool.name in kept["pool"]


# --- a selection that is there, and files that change -------------------------------------


def held(folder):
    """Files of a folder and their bytes."""
    return {place.name: place.read_bytes() for place in sorted(folder.iterdir())}


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are in /proc")
@pytest.mark.parametrize("name", ["select.json", "words.csv", "selected.csv"])
def test_a_full_disk_leaves_the_selection_that_was_there(
    name, labelled, pool, tmp_path, monkeypatch, refused
):
    """All three files or none, whichever of them finds the disk full."""
    out = tmp_path / "o"
    select([labelled], pool, "random", CONFIG, out, 3, dimensions=8)
    before = held(out)
    monkeypatch.setattr(own_data, "versions", lambda: {"another": "1"})
    real = files.os.fsync

    def fsync(handle):
        if os.readlink(f"/proc/self/fd/{handle}").rpartition("/")[2].startswith(f".{name}."):
            raise OSError(28, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", fsync)
        with refused(out, name, "No space left on device"):
            select([labelled], pool, "random", CONFIG, out, 3, dimensions=8)
    assert held(out) == before
    # Twin: with room it is written again.
    select([labelled], pool, "random", CONFIG, out, 3, dimensions=8)
    assert held(out).keys() == before.keys() and held(out) != before


def test_another_selection_is_not_written_over(labelled, pool, tmp_path, monkeypatch, refused):
    """Other texts, another pool, score, budget or setting; the same may be repeated."""
    out, asked = tmp_path / "o", {"budget": 3, "dimensions": 8}
    select([labelled], pool, "random", CONFIG, out, **asked)
    before = held(out)
    select([labelled], pool, "random", CONFIG, out, **asked)
    assert held(out) == before
    other, less = tmp_path / "other.tsv", tmp_path / "less.txt"
    lines = labelled.read_text(encoding="utf-8").splitlines(keepends=True)
    other.write_text("".join(lines[:-1]), encoding="utf-8")
    less.write_text("".join(f"{text}\n" for _, text in texts(29, seed=1)), encoding="utf-8")
    monkeypatch.setattr(own_data, "fit", lambda *a, **k: 1 / 0)  # before any training
    for name, arguments, more in (
        ("labelled", ([other], pool, "random", CONFIG), {}),
        ("pool", ([labelled], less, "random", CONFIG), {}),
        ("by", ([labelled], pool, "random", CONFIG), {"by": "entropy"}),
        ("selected", ([labelled], pool, "random", CONFIG), {"budget": 4}),
        ("seeds", ([labelled], pool, "random", CONFIG), {"seeds": (0, 1)}),
        ("dimensions", ([labelled], pool, "random", CONFIG), {"dimensions": 9}),
        ("implementation", ([labelled], pool, "random", CONFIG), {"implementation": "reference"}),
        ("n_filters", ([labelled], pool, "random", CONFIG.replace(n_filters=5)), {}),
    ):
        with refused(f"{out}: was made with {name} = ", "; choose another --out"):
            select(*arguments, out, **{**asked, **more})
    assert held(out) == before
    # Twins: the same pool under another name goes on to training, and so does another folder.
    for name, place in ((less.name, out), (pool.name, tmp_path / "p")):
        (tmp_path / name).write_bytes(pool.read_bytes())
        with pytest.raises(ZeroDivisionError):
            select([labelled], tmp_path / name, "random", CONFIG, place, **asked)


def test_files_that_change_while_it_trains(labelled, pool, tmp_path, monkeypatch):
    """The checksums are those of the pool and the vectors that were read, and nothing is lost."""
    corpus = read_corpus([labelled])
    keyed = KeyedVectors(8)
    rows = np.random.RandomState(0).normal(size=(len(corpus.words), 8)).astype(np.float32)
    keyed.add_vectors(corpus.words.tolist(), rows)
    vectors, own = tmp_path / "v.txt", tmp_path / "pool.txt"
    keyed.save_word2vec_format(str(vectors))
    own.write_bytes(pool.read_bytes())
    digests = sha256(own), sha256(vectors)
    real = own_data.train

    def train(*arguments, **keywords):
        own.write_text("another text\n", encoding="utf-8")
        vectors.unlink(missing_ok=True)
        return real(*arguments, **keywords)

    monkeypatch.setattr(own_data, "train", train)
    place = select([labelled], own, vectors, CONFIG, tmp_path / "o", 3, (0, 1))
    kept = json.loads((place.parent / "select.json").read_text())
    assert (kept["pool"], kept["vectors"]) == ({"pool.txt": digests[0]}, digests[1])


# --- training that diverged, and the preset -----------------------------------------------

#: Such a rate overflows the weights, and the loss is no number.
WILD = {
    "optimizer": "MomentumSGD",
    "learning_rate": 100.0,
    "vectors_mode": "finetuned",
    "epochs": 20,
}


@pytest.mark.parametrize("config", [CONFIG.replace(**WILD), PRESET.replace(**WILD)])
def test_training_that_diverged_selects_nothing(config, labelled, pool, tmp_path, refused):
    """The epoch, the loss and the remedy; no table is written, and nothing is left."""
    with refused("seed 0: training diverged", "lower learning_rate, now 100"):
        select([labelled], pool, "random", config, tmp_path / "o", 3, dimensions=8)
    assert list((tmp_path / "o").iterdir()) == []


def test_a_diverged_training_that_nobody_looks_at_selects_something(
    labelled, pool, tmp_path, monkeypatch
):
    """Twin: without the look there is a table."""
    monkeypatch.setattr(own_data, "check_converged", lambda *arguments: None)
    place = select(
        [labelled], pool, "random", CONFIG.replace(**WILD), tmp_path / "o", 3, dimensions=8
    )
    assert len(place.read_text().splitlines()) == 4


def test_the_held_out_texts_are_not_trained_on(labelled, tmp_path, monkeypatch):
    """A tenth, another with each seed, and the rest for training: none in both."""
    seen = []
    real = own_data.train

    def train(model, corpus, used, held, **keywords):
        seen.append((set(used.tolist()), set(held.tolist())))
        return real(model, corpus, used, held, **keywords)

    monkeypatch.setattr(own_data, "train", train)
    fit([labelled], "random", CONFIG, tmp_path, (0, 1), dimensions=8)
    for used, held in seen:
        assert len(held) == 6 and not used & held and used | held == set(range(60))
    assert seen[0][1] != seen[1][1]


def test_the_command_takes_the_preset_that_it_states(labelled, pool, tmp_path, monkeypatch):
    """Kim's settings where none are named, and as the base of a file."""
    seen = []
    monkeypatch.setattr(own_data, "select", lambda *a, **k: seen.append(a[3]) or 1 / 0)
    (tmp_path / "mine.toml").write_text("epochs = 7\n")
    for more in ((), ("--preset", str(tmp_path / "mine.toml")), ("--preset", "paper")):
        arguments = ["select", "--corpus", labelled, "--pool", pool, "--vectors", "random", *more]
        with pytest.raises(SystemExit):
            cli.main([*map(str, arguments), "--out", str(tmp_path / "o")])
    assert seen == [PRESET, PRESET.replace(epochs=7), PRESETS["paper"]]
    option = next(p for p in cli.cli.commands["select"].params if p.name == "preset")
    assert (option.default, option.show_default) == ("own", True)
    assert (PRESET.n_filters, PRESET.dropout, PRESET.max_norm) == (100, 0.5, 3.0)


@pytest.mark.slow
def test_the_preset_classifies_six_labels(mr_folder, tmp_path, missing):
    """TREC's questions: 0.85 and more of those held out, where the paper's preset has 0.70."""
    place = mr_folder / "kim" / "TREC.train.all"
    vectors = mr_folder / "googlenews-31530.bin.gz"
    for needed in (place, vectors):
        if not needed.is_file():
            missing("data", f"{needed} is not there")
    lines = place.read_bytes().decode("cp1252").split("\n")
    rows = "".join("\t".join(line.split(" ", 1)) + "\n" for line in lines if line)
    (tmp_path / "trec.tsv").write_text("label\ttext\n" + rows, encoding="utf-8")
    fitted = fit([tmp_path / "trec.tsv"], vectors, PRESET, tmp_path / "training")
    assert len(fitted.corpus.label_names) == 6
    assert fitted.accuracy[0] >= 0.85


@pytest.mark.parametrize("seeds", BAD_SEEDS, ids=repr)
def test_what_is_no_choice_of_seeds_selects_nothing(seeds, labelled, pool, tmp_path, refused):
    """With none, a pool was ranked by a network that nobody had trained."""
    with refused("seeds = "):
        select([labelled], pool, "random", CONFIG, tmp_path / "o", 3, seeds, dimensions=8)
    with refused("seeds = "):
        fit([labelled], "random", CONFIG, tmp_path / "o", seeds, dimensions=8)
    assert not (tmp_path / "o").exists()


def test_a_number_of_seeds_and_one_path_will_do(labelled, pool, tmp_path):
    """As a list of them: the same bytes."""
    made = []
    for name, paths, seeds in (
        ("list", [labelled], [0, 1]), ("path", labelled, 2), ("text", str(labelled), np.arange(2)),
    ):  # fmt: skip
        select(paths, pool, "random", CONFIG, tmp_path / name, 3, seeds, dimensions=8)
        made.append({f.name: f.read_bytes() for f in sorted((tmp_path / name).glob("*.csv"))})
        assert json.loads((tmp_path / name / "select.json").read_text())["seeds"] == [0, 1]
    assert made[0] == made[1] == made[2] and len(made[0]) == 2
