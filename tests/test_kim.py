"""Kim's protocol: divisions, the epoch that counts, resumption, and the table."""

import hashlib
import json
from dataclasses import replace

import click
import numpy as np
import pytest
from samples import BAD_JOBS, BAD_SEEDS

from replicate.beyond import kim
from replicate.cli import cli
from replicate.corpus import Corpus, read_corpus
from replicate.io.files import read_csv
from replicate.io.published import PUBLISHED
from replicate.parallel.pool import Outcome

WORDS = ["good", "fine", "great", "bad", "dull", "poor", "film", "plot", "a", "the"]


def lines(n, seed, label=None):
    """Sentences of which the first word tells the label."""
    random = np.random.RandomState(seed)
    made = []
    for i in range(n):
        own = i % 2 if label is None else label
        first = WORDS[3 * (1 - own) + random.randint(3)]
        text = " ".join([first, *random.choice(WORDS[6:], random.randint(1, 6))])
        made.append(text if label is not None else f"{own} {text}")
    return ("\n".join(made) + "\n").encode()


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Small corpora under published names, with an official split and without, and vectors."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("REPLICATE_DATA", str(folder))
    bodies = {
        "cr": [lines(60, 0, 1), lines(60, 1, 0)],
        "trec": [lines(80, 2), lines(30, 3)],
        "sst2": [lines(60, 4), lines(20, 5), lines(30, 6)],
    }
    for name, parts in bodies.items():
        files = []
        for file, body in zip(PUBLISHED[name].files, parts, strict=True):
            (folder / file.name).write_bytes(body)
            files.append(replace(file, sha256=hashlib.sha256(body).hexdigest(), size=len(body)))
        monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], files=tuple(files)))
    random = np.random.RandomState(7)
    rows = [f"{w} " + " ".join(f"{x:.4f}" for x in random.uniform(-1, 1, 6)) for w in WORDS[:-1]]
    (folder / "vectors.txt").write_text(f"{len(rows)} 6\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture
def small(monkeypatch):
    """Two filters of two heights: a training run takes a moment."""
    config = kim.SPECIFICATION.replace(n_filters=2, filter_height=(1, 2), batch_size=20)
    monkeypatch.setattr(kim, "SPECIFICATION", config)


@pytest.fixture
def here(monkeypatch):
    """Tasks run in this process, one after another; their names are kept."""
    names = []

    def in_order(tasks, jobs, on_progress=None, threads=1):
        outcome = Outcome()
        for task in tasks:
            names.append(task.name)
            task.function(*task.arguments, lambda m, name=task.name: on_progress(name, m))
            on_progress(task.name, "done")
        return outcome

    monkeypatch.setattr(kim, "run_tasks", in_order)
    return names


# --- divisions -------------------------------------------------------------------------


def test_ten_folds_and_a_tenth_of_the_rest(data):
    """Each sentence is tested once; a tenth of the others is set aside, never the test's."""
    corpus = read_corpus(["cr"])
    tested = []
    for fold in range(10):
        rest, dev, test = kim.division(corpus, 0, fold)
        assert sorted([*rest, *dev, *test]) == list(range(len(corpus)))
        assert len(dev) == (len(rest) + len(dev)) // 10
        assert (np.diff(rest) > 0).all() and (np.diff(dev) > 0).all()
        tested += test.tolist()
    assert sorted(tested) == list(range(len(corpus)))
    again, other = kim.division(corpus, 0, 3), kim.division(corpus, 1, 3)
    first = kim.division(corpus, 0, 3)
    assert all((a == b).all() for a, b in zip(first, again))
    assert first[2].tolist() != other[2].tolist()


def test_official_parts_are_used(data):
    """The official test sentences; the official development sentences where there are any."""
    sst, trec = read_corpus(["sst2"]), read_corpus(["trec"])
    assert [len(part) for part in kim.division(sst, 0, 0)] == [60, 20, 30]
    assert [part.tolist() for part in kim.division(sst, 0, 0)] == [
        part.tolist() for part in kim.division(sst, 5, 0)
    ]
    rest, dev, test = kim.division(trec, 0, 0)
    assert (len(rest), len(dev), test.tolist()) == (72, 8, list(range(80, 110)))
    assert dev.tolist() != kim.division(trec, 1, 0)[1].tolist()
    assert kim.n_folds(sst) == kim.n_folds(trec) == 1


def test_of_equal_epochs_the_last_counts():
    assert kim.chosen_epoch([0.1, 0.3, 0.2]) == 1
    assert kim.chosen_epoch([0.3, 0.3, 0.2]) == 1
    assert kim.chosen_epoch([0.3]) == 0


def test_the_specification_is_kims():
    """Kim (2014), section 3.1, as far as a reading has it."""
    config = kim.SPECIFICATION
    assert (config.heights, config.n_features, config.activation) == ((3, 4, 5), 300, "relu")
    assert (config.dropout, config.max_norm, config.batch_size) == (0.5, 3.0, 50)
    assert (config.optimizer, config.epochs, config.padding) == ("AdaDelta", 25, "wide")
    assert {v: kim.configuration(v, 25).vectors_mode for v in kim.VARIANTS} == {
        "rand": "finetuned",
        "static": "static",
        "non-static": "finetuned",
        "multichannel": "multichannel",
    }
    assert [v for v, (random, _) in kim.VARIANTS.items() if random] == ["rand"]


# --- training runs -----------------------------------------------------------------------


def row_of(data, name="sst2", variant="static", seed=0, fold=0, epochs=6):
    """The row of a training run, and its accuracies on the development sentences."""
    messages = []
    vectors = str(data / "vectors.txt")
    sums = kim._checksums(kim._data(name, kim.VARIANTS[variant][0], vectors))
    kim.train_fold(name, variant, seed, fold, vectors, epochs, sums, messages.append)
    return messages[-1], [m[1] for m in messages[:-1]]


@pytest.mark.parametrize("variant", kim.VARIANTS)
def test_a_training_run(variant, data, small):
    """The accuracy that counts is the test's at the best development epoch; it can learn."""
    row, dev = row_of(data, variant=variant, epochs=40)
    assert len(dev) == 40 and row["dev_accuracy"] == max(dev)
    assert row["epoch"] == 1 + kim.chosen_epoch(dev)
    assert row["last_accuracy"] <= row["best_accuracy"] and row["accuracy"] <= row["best_accuracy"]
    assert row["best_accuracy"] > 0.8
    assert (row["train"], row["dev"], row["test"]) == (60, 20, 30)
    assert row["coverage"] == 0 if variant == "rand" else 0.6 < row["coverage"] < 1
    assert row_of(data, variant=variant, epochs=40)[0] == row
    assert row_of(data, variant=variant, epochs=40, seed=1)[0] != row


def test_the_test_sentences_choose_nothing(data, small, monkeypatch):
    """Other labels of the test sentences change no chosen epoch; those of the others do."""
    plain, dev = row_of(data, epochs=12)
    real = Corpus.take

    def with_labels(which):
        def read(*args):
            inputs = real_data(*args)
            corpus = inputs.corpus
            labels = corpus.labels.copy()
            labels[corpus.part == which] = 1 - labels[corpus.part == which]
            return replace(inputs, corpus=replace(corpus, labels=labels))

        return read

    real_data = kim._data
    assert real is Corpus.take
    monkeypatch.setattr(kim, "_data", with_labels(2))
    turned, same = row_of(data, epochs=12)
    assert same == dev and turned["epoch"] == plain["epoch"]
    assert turned["accuracy"] == pytest.approx(1 - plain["accuracy"])
    monkeypatch.setattr(kim, "_data", with_labels(1))
    assert row_of(data, epochs=12)[1] != dev


def test_rows_are_kept_and_gone_on_with(data, small, here, tmp_path):
    """A run of fewer folds, then of all: what is there is not trained again, rows are the same."""
    vectors, out = data / "vectors.txt", tmp_path / "out"
    asked = {"variants": ["static"], "vectors": vectors, "epochs": 2}
    kim.run_kim(out, ["sst2"], **asked)
    assert here == [("sst2", "static", 0, 0)]
    started = []
    kim.run_kim(out, ["sst2", "cr"], seeds=[0, 1], on_start=started.append, **asked)
    assert started == [21] and len(here) == 22 and len(set(here)) == 22
    rows = kim.fold_rows(out)
    assert len(rows) == 22 and {r["corpus"] for r in rows} == {"sst2", "cr"}
    whole = tmp_path / "whole"
    kim.run_kim(whole, ["sst2", "cr"], seeds=[0, 1], **asked)
    assert (whole / "folds.csv").read_bytes() == (out / "folds.csv").read_bytes()


def test_other_settings_are_refused(data, small, here, tmp_path, refused):
    out, vectors = tmp_path / "out", data / "vectors.txt"
    kim.run_kim(out, ["sst2"], ["static"], vectors=vectors, epochs=2)
    with refused("kim.json", "specification"):
        kim.run_kim(out, ["sst2"], ["static"], vectors=vectors, epochs=3)
    other = tmp_path / "others.txt"
    other.write_text(vectors.read_text().replace("good", "well"))
    with refused("kim.json", "vectors"):
        kim.run_kim(out, ["sst2"], ["static"], vectors=other, epochs=2)
    with refused("imdb2", "mr"):
        kim.run_kim(out, ["imdb2"], vectors=vectors)
    with refused("frozen", "static"):
        kim.run_kim(out, ["sst2"], ["frozen"], vectors=vectors)


OURS = '{"specification": {}, "vectors": {}}'


@pytest.mark.parametrize(
    "content",
    ["", "{}", "3", "null", '["specification"]', '{"specification": 1, "vectors": {}}', OURS],
)
def test_somebody_elses_folder_is_left_alone(content, tmp_path, refused):
    """Also one whose ``kim.json`` is JSON of another form."""
    (tmp_path / ("kim.json" if content else "letter.txt")).write_text(content or "dear")
    if content == OURS:
        with kim.locked(tmp_path):
            return
    with refused(str(tmp_path)):
        with kim.locked(tmp_path):
            pass
    assert len(list(tmp_path.iterdir())) == 1


def changing(monkeypatch, change):
    """Something happens to the data after the first training run, in this process."""
    ran = []

    def in_order(tasks, jobs, on_progress=None, threads=1):
        for task in tasks:
            task.function(*task.arguments, lambda m, name=task.name: on_progress(name, m))
            if not ran:
                change()
            ran.append(task.name)
        return Outcome()

    monkeypatch.setattr(kim, "run_tasks", in_order)
    return ran


def test_word_vectors_that_change_meanwhile_are_refused(
    data, small, tmp_path, monkeypatch, refused
):
    """One line, and no row of the others beside the first."""
    vectors = data / "vectors.txt"
    before = vectors.read_text()
    ran = changing(monkeypatch, lambda: vectors.write_text(before.replace("film ", "well ")))
    with refused(vectors, "has changed since"):
        kim.run_kim(tmp_path / "out", ["cr"], ["static"], vectors=vectors, epochs=2)
    assert len(ran) == len(kim.fold_rows(tmp_path / "out")) == 1
    # Twin: where nothing changes, all ten are made.
    vectors.write_text(before)
    ran = changing(monkeypatch, lambda: None)
    kim.run_kim(tmp_path / "out", ["cr"], ["static"], vectors=vectors, epochs=2)
    assert len(ran) == 9 and len(kim.fold_rows(tmp_path / "out")) == 10


def test_a_corpus_that_changes_is_refused(data, small, tmp_path, monkeypatch, refused):
    """Meanwhile, and between two commands: a folder of a corpus's name is used before that."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.chdir(own)
    (own / "cr").mkdir()
    for name in ("pos", "neg"):
        (own / "cr" / f"rt-polarity.{name}").write_bytes(lines(60, len(name), int(name == "pos")))
    place = own / "cr" / "rt-polarity.pos"
    before = place.read_text()
    asked = {"variants": ["rand"], "epochs": 2}

    def change():
        place.write_text(before.replace("good", "fine"))

    changing(monkeypatch, change)
    with refused("cr: has changed since"):
        kim.run_kim(tmp_path / "out", ["cr"], **asked)
    assert len(kim.fold_rows(tmp_path / "out")) == 1
    with refused("kim.json", "another corpus cr"):
        kim.run_kim(tmp_path / "out", ["cr"], **asked)
    # Settings of version 1.0.0 have no checksums of corpora: they get those of now.
    settings = json.loads((tmp_path / "out" / "kim.json").read_text())
    found = settings.pop("corpora")
    (tmp_path / "out" / "kim.json").write_text(json.dumps(settings))
    place.write_text(before)
    changing(monkeypatch, lambda: None)
    kim.run_kim(tmp_path / "out", ["cr"], **asked)
    assert json.loads((tmp_path / "out" / "kim.json").read_text())["corpora"] == found


def test_vectors_of_another_language_are_refused(data, small, here, tmp_path, refused):
    """As `replicate run` does; random vectors have no coverage, and the lines show it for a file."""
    vectors, read = tmp_path / "other.txt", []
    rows = (data / "vectors.txt").read_text().splitlines()
    known = [row for row in rows[1:] if row.startswith("poor ")]
    vectors.write_text("\n".join([f"{len(known)} 6", *known]) + "\n")
    asked = {"vectors": vectors, "epochs": 2, "on_read": read.append}
    with refused("of the words have a vector"):
        kim.run_kim(tmp_path / "out", ["sst2"], ["rand", "static"], **asked)
    assert not here and not (tmp_path / "out").exists()
    assert 0 < read[0].tokens_with_vector < 0.1
    kim.run_kim(tmp_path / "out", ["sst2"], ["rand"], **asked)
    assert len(here) == 1 and [summary.tokens_with_vector for summary in read[1:]] == [None]
    asked["vectors"] = data / "vectors.txt"
    kim.run_kim(tmp_path / "more", ["sst2"], ["rand", "static"], **asked)
    assert len(read) == 3 and any("have a vector" in line for line in read[2].lines())


# --- the table ---------------------------------------------------------------------------


def rows(corpus, variant, accuracies, coverage=0.75):
    """Rows of seeds: seed -> accuracies of its folds."""
    return [
        {
            "corpus": corpus, "variant": variant, "seed": seed, "fold": fold, "coverage": coverage,
            "epoch": 4, "accuracy": a, "last_accuracy": a - 0.01, "best_accuracy": a + 0.02,
        }
        for seed, values in accuracies.items()
        for fold, a in enumerate(values)
    ]  # fmt: skip


def test_the_table_by_hand():
    """Means over folds, then over seeds; deviations of runs and of seeds; the others' range."""
    [row] = kim.kim_table(rows("mr", "static", {0: [0.7, 0.8], 1: [0.8, 0.9]}))
    found = dict(zip(kim.TABLE, row, strict=True))
    assert found["ours"] == pytest.approx(80) and found["kim"] == 81.0
    assert found["difference"] == pytest.approx(-1.0)
    assert found["sd_runs"] == pytest.approx(np.std([70, 80, 80, 90], ddof=1))
    assert found["sd_seeds"] == pytest.approx(np.std([75, 85], ddof=1))
    assert (found["runs"], found["seeds"], found["coverage"]) == (4, 2, 0.75)
    assert found["last"] == pytest.approx(79) and found["best_on_test"] == pytest.approx(82)
    published = [r for r in kim.published_accuracies() if r["model"] != "Kim (2014)"]
    others = [r["accuracy"] for r in published if (r["corpus"], r["variant"]) == ("mr", "static")]
    assert (found["others_low"], found["others_high"]) == (min(others), max(others))
    assert found["others"] == len(others) >= 2


def test_his_numbers_are_his_in_any_order(monkeypatch):
    """Whatever the order of what others report."""
    wanted = kim.kim_table(rows("mr", "static", {0: [0.7]}))
    others = list(reversed(kim.published_accuracies()))
    monkeypatch.setattr(kim, "published_accuracies", lambda: others)
    assert kim.kim_table(rows("mr", "static", {0: [0.7]})) == wanted


def test_the_table_without_many():
    """One run has no deviation; a corpus that nobody reports has no yardstick; none is empty."""
    [row] = kim.kim_table(rows("imdb", "rand", {3: [0.9]}))
    found = dict(zip(kim.TABLE, row, strict=True))
    assert found["kim"] == found["sd_runs"] == found["sd_seeds"] == found["difference"] == ""
    assert (found["others"], found["others_low"]) == (0, "")
    assert kim.kim_table([]) == []


def test_the_command(data, small, here, tmp_path, capfd):
    """Says how many models, prints the table, writes both files; names are checked."""
    out = tmp_path / "out"
    asked = ["kim", "--corpus", "sst2,cr", "--variant", "static", "--epochs", "2"]
    asked += ["--vectors", str(data / "vectors.txt"), "--out", str(out)]
    assert cli.main(asked, standalone_mode=False) == 0
    printed, said = capfd.readouterr()
    assert "11 models of 2 epochs" in said
    assert "86.8" in printed and str(out / "table.csv") in printed
    table = read_csv(out / "table.csv", kim.TABLE)
    assert [(r["corpus"], r["runs"]) for r in table] == [("sst2", "1"), ("cr", "10")]
    assert json.loads((out / "kim.json").read_text())["vectors"]["name"] == "vectors.txt"
    for wrong in (["--corpus", "sst3"], ["--variant", "frozen"]):
        with pytest.raises(click.BadParameter):
            cli.main([*asked, *wrong], standalone_mode=False)


@pytest.mark.parametrize(
    "options",
    [{"seeds": seeds} for seeds in BAD_SEEDS] + [{"jobs": jobs} for jobs in BAD_JOBS],
    ids=str,
)
def test_bad_seeds_and_jobs_write_nothing(options, data, small, here, tmp_path, refused):
    with refused(f"{next(iter(options))} = "):
        kim.run_kim(tmp_path / "out", ["sst2"], ["rand"], **options)
    assert not (tmp_path / "out").exists()
