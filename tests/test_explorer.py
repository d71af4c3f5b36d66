"""What the explorer shows is what was recorded, within its stated bounds."""

import csv
import json
import shutil

import numpy as np
import pytest
from odd_corpus import LABELS, ODD_WORDS, odd_run, saliency_of, sentence_words, unpacked

from replicate.config import ARMS, Config
from replicate.experiment import prepare, run_first_phase
from replicate.io.errors import InputError
from replicate.model import trained_model
from replicate.run import Options
from replicate.saliency import flat_batch, word_saliency
from replicate.show import explorer, figures


def rounding(data, exact):
    """Greatest error of a saliency stored as a whole number: half a step of the square root."""
    half = 0.5 / data["levels"]
    return data["top"] * (2 * half * np.sqrt(np.asarray(exact) / data["top"]) + half**2) + 1e-12


def close(data, found, exact):
    """Whether stored saliency is the recorded one, rounded."""
    found, exact = np.ravel(found), np.ravel(exact).astype(np.float64)
    return found.shape == exact.shape and bool(
        (np.abs(found - exact) <= rounding(data, exact)).all()
    )


@pytest.fixture(scope="module")
def run(reported_run):
    return reported_run


@pytest.fixture(scope="module")
def data(run):
    return explorer.gather(run, 0)


@pytest.fixture(scope="module")
def recorded(run):
    """The seed's saliency, T1's tokens and bounds."""
    t1 = np.flatnonzero(run.subset(0) == 1)
    tokens, offsets = run.corpus.take(t1)
    saliency = np.load(run.folder(0, "T1") / "saliency.npy", allow_pickle=False)
    return saliency.astype(np.float64), tokens, offsets, t1


# --- numbers as text -------------------------------------------------------------


def test_packed_numbers_come_back():
    numbers = np.random.RandomState(0).randint(0, 4096, (3, 5))
    assert unpacked(explorer.packed(numbers)).tolist() == numbers.ravel().tolist()
    assert unpacked(explorer.packed([262143, 0, 4096], 3), 3).tolist() == [262143, 0, 4096]
    assert explorer.packed(np.zeros((0, 4))) == ""


def test_json_holds_nothing_that_ends_a_script():
    value = {word: [word, 1.5, None, True] for word in ODD_WORDS + LABELS}
    text = explorer.safe_json(value)
    assert json.loads(text) == value
    assert not set("<>&") & set(text)
    assert set("<>&") & set(json.dumps(value))


def test_json_has_no_nan():
    with pytest.raises(ValueError):
        explorer.safe_json([float("nan")])


# --- words -----------------------------------------------------------------------


def test_words_are_those_of_instability_csv(run, data):
    with open(run.seed_folder(0) / "instability.csv", newline="", encoding="utf-8") as file:
        rows = {row["word"]: row for row in csv.DictReader(file)}
    words = data["words"]
    assert sorted(words["word"]) == sorted(rows) and set(ODD_WORDS) & set(words["word"])
    for word, wac, count in zip(words["word"], words["wac"], words["count"]):
        assert count == int(rows[word]["count"])
        assert wac == pytest.approx(float(rows[word]["wac"]), rel=5e-4)
    assert words["rank"] == list(range(1, len(rows) + 1))
    assert words["wac"] == sorted(words["wac"], reverse=True)
    assert set(words["known"]) == {"0"}


def test_means_are_over_a_words_occurrences(run, data, recorded):
    saliency, tokens, _, _ = recorded
    n_epochs = len(data["epochs"])
    means = saliency_of(data, data["words"]["mean"]).reshape(-1, n_epochs)
    vocabulary = run.corpus.words.tolist()
    for i, word in enumerate(data["words"]["word"]):
        exact = saliency[:, tokens == vocabulary.index(word)].mean(axis=1)
        assert close(data, means[i], exact), word
    assert not close(data, means[::-1], means)


def test_spread_and_lines_are_of_the_words_occurrences(run, data, recorded):
    saliency, tokens, offsets, t1 = recorded
    details, n_epochs = data["details"], len(data["epochs"])
    curves = saliency_of(data, details["curves"]).reshape(-1, n_epochs)
    vocabulary = run.corpus.words.tolist()
    start = 0
    assert len(details["word"]) > 20
    for word, places in zip(details["word"], details["at"]):
        count = data["words"]["count"][word]
        text = data["words"]["word"][word]
        mine = saliency[:, tokens == vocabulary.index(text)]
        assert count > 1 and len(places) == min(4, count)
        spread = np.quantile(mine, details["quantiles"], axis=1)
        assert close(data, curves[start : start + 4], spread), text
        for line, (sentence, position) in zip(curves[start + 4 :], places):
            assert sentence_words(data, sentence)[position] == text
            place = np.searchsorted(t1, data["sentences"]["number"][sentence])
            assert close(data, line, saliency[:, offsets[place] + position])
        start += 4 + len(places)
    assert start == len(curves)


# --- sentences --------------------------------------------------------------------


def test_sentences_are_of_T1_word_by_word(run, data):
    kept = data["sentences"]
    t1 = np.flatnonzero(run.subset(0) == 1)
    assert sorted(kept["number"]) == t1.tolist()
    for s, number in enumerate(kept["number"]):
        assert " ".join(sentence_words(data, s)) == run.corpus.sentence(number)
        assert kept["label"][s] == run.corpus.labels[number]
    last = np.load(run.folder(0, "T1") / "predicted.npy", allow_pickle=False)[-1]
    assert kept["predicted"] == last[np.searchsorted(t1, kept["number"])].tolist()


def test_maps_are_the_recorded_saliency_correct_ones_first(run, data, recorded):
    saliency, _, offsets, t1 = recorded
    correct = run.record(0).correct
    maps, kept = data["maps"], data["kept"]
    places = [int(np.searchsorted(t1, data["sentences"]["number"][s])) for s in maps["sentence"]]
    n = kept["correct"]
    assert correct[places[:n]].all() and not correct[places[n:]].any()
    assert n > 3 and kept["misclassified"] > 3 and len(places) == n + kept["misclassified"]
    assert set(figures.drawn_sentences(run.record(0), 0, False)) <= set(places[:n])
    assert set(figures.drawn_sentences(run.record(0), 0, True)) <= set(places[n:])
    assert data["labels"] == list(LABELS)
    values = saliency_of(data, maps["saliency"])
    uncertainty = np.load(run.folder(0, "T1") / "doubt.npy", allow_pickle=False)
    predicted = np.load(run.folder(0, "T1") / "predicted.npy", allow_pickle=False)
    at = 0
    for place in places:
        exact = saliency[:, offsets[place] : offsets[place + 1]]
        assert close(data, values[at : at + exact.size], exact)
        at += exact.size
    assert at == len(values)
    assert unpacked(maps["predicted"]).tolist() == predicted[:, places].T.ravel().tolist()
    assert unpacked(maps["uncertainty"]) / 4095 == pytest.approx(
        uncertainty[:, places].T.ravel(), abs=0.5001 / 4095
    )


def test_arms_are_the_final_models(run, data, recorded):
    saliency, _, _, t1 = recorded
    numbers = np.array([data["sentences"]["number"][s] for s in data["maps"]["sentence"]])
    assert data["arms"]["arm"] == list(ARMS)
    values = saliency_of(data, data["arms"]["saliency"]).reshape(len(ARMS), -1)
    uncertainty = unpacked(data["arms"]["uncertainty"]).reshape(len(ARMS), -1) / 4095
    for a, arm in enumerate(ARMS):
        model = trained_model(run, 0, arm)
        exact = word_saliency(model, flat_batch(model, *run.corpus.take(numbers)))
        assert close(data, values[a], exact.token_saliency), arm
        assert data["arms"]["predicted"][a] == exact.predicted.tolist()
        assert uncertainty[a] == pytest.approx(exact.uncertainty, abs=0.5001 / 4095)
    # The first phase's final model is the last epoch of the record.
    offsets = recorded[2]
    places = np.searchsorted(t1, numbers)
    last = np.concatenate([saliency[-1, offsets[p] : offsets[p + 1]] for p in places])
    assert close(data, values[0], last) and not close(data, values[1], last)


def test_scale_of_colours_leaves_out_the_greatest_few(data):
    values = [saliency_of(data, data[part]["saliency"]) for part in ("maps", "arms")]
    joined = np.concatenate(values)
    exact = np.quantile(joined[joined > 0], 0.995)
    assert data["shade"] == pytest.approx(exact, rel=2e-3) and data["shade"] < joined.max()
    assert data["top"] >= joined.max() * (1 - 1e-9)


def test_totals_are_those_of_the_seed(run, data, recorded):
    correct = run.record(0).correct
    assert data["totals"] == {
        "words": len(set(recorded[1].tolist())),
        "sentences": len(correct),
        "correct": int(correct.sum()),
        "misclassified": len(correct) - int(correct.sum()),
        "epochs": 6,
    }
    assert data["judged"] == 6 and data["epochs"] == [1, 2, 3, 4, 5, 6]
    kept = data["kept"]
    assert kept["words"] == len(data["words"]["word"]) and kept["details"] == len(
        data["details"]["word"]
    )
    assert kept["sentences"] == len(data["sentences"]["number"])


def test_labels_of_mr_have_names(tmp_path):
    for name, word in (("rt-polarity.pos", "good"), ("rt-polarity.neg", "bad")):
        lines = [f"{word} film number{i % 5} {'good' if i % 4 else 'bad'}" for i in range(40)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    config = Config(n_filters=2, epochs=3, learning_rate=0.01, batch_size=10)
    run = prepare(tmp_path / "run", config, Options(), [0], [tmp_path], "random", dimensions=4)
    from replicate.experiment import run_seed

    run_seed(run, 0)
    assert explorer.gather(run, 0)["labels"] == ["negative", "positive"]


# --- the choice among T2 -------------------------------------------------------------


def naive_logarithms(text, shape):
    """The inverse of ``logarithms``."""
    q = unpacked(text).reshape(shape).astype(float)
    values = 10.0 ** (-12 * (4095 - q) / 4093)
    return np.where(q == 0, np.nan, np.where(q == 1, 0.0, values))


def test_logarithms_keep_small_numbers():
    values = np.array([1.0, 0.37, 2.5e-4, 3.3e-9, 0.0, np.nan])
    found = naive_logarithms(explorer.packed(explorer.logarithms(values)), 6)
    assert found == pytest.approx(values, rel=4e-3, abs=1e-300, nan_ok=True)
    # Below the smallest, a number is not zero.
    assert explorer.logarithms([1e-40]).tolist() == [2]


def choice_rows(run, seed):
    with open(run.seed_folder(seed) / "sentences.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_choice_is_that_of_sentences_csv(run, data):
    choice, seeds = data["choice"], data["seeds"]
    assert seeds == [0, 1, 2] and choice["all"] == 3
    tables = [choice_rows(run, seed) for seed in seeds]
    t2 = [r for r in tables[0] if r["subset"] == "2"]
    t2.sort(key=lambda r: (-float(r["instability"]), int(r["sentence"])))
    numbers = [int(r["sentence"]) for r in t2]
    assert choice["number"] == numbers and choice["total"] == len(numbers)
    assert choice["rank"] == list(range(1, len(numbers) + 1))
    score = choice["top"] * (unpacked(choice["score"]) / 4095) ** 2
    for i, table in enumerate(tables):
        for s, number in enumerate(numbers):
            row, letter = table[number], choice["half"][i * len(numbers) + s]
            assert letter == ("-" if row["subset"] != "2" else row["arm"] or "m")
            if letter != "-":
                exact = float(row["instability"])
                assert score[i * len(numbers) + s] == pytest.approx(
                    exact, abs=choice["top"] * 2.5e-4
                )
    for s, number in enumerate(numbers):
        rows = [table[number] for table in tables]
        assert choice["in_t2"][s] == sum(r["subset"] == "2" for r in rows)
        assert choice["in_h"][s] == sum(r["arm"] == "h" for r in rows)
    assert {"h", "l", "-"} == set(choice["half"])


def test_words_of_the_choice_have_the_wac_of_every_seed(run, data):
    choice = data["choice"]
    words = data["words"]["word"] + data["others"] + choice["others"]
    tokens, start = unpacked(choice["tokens"], 3), 0
    for number, length in zip(choice["number"], choice["length"]):
        mine = [words[t] for t in tokens[start : start + length]]
        assert " ".join(mine) == run.corpus.sentence(number)
        start += length
    assert start == len(tokens)
    found = naive_logarithms(choice["wac"], (3, len(words)))
    vocabulary = run.corpus.words.tolist()
    ids = [vocabulary.index(word) for word in words]
    n = len(data["words"]["word"])
    ranks = unpacked(data["words"]["ranks"], 3).reshape(2, n)
    counts = unpacked(data["words"]["counts"], 3).reshape(2, n)
    for i, seed in enumerate(data["seeds"]):
        wac, count = run.instability(seed)
        assert found[i] == pytest.approx(wac[ids], rel=4e-3, abs=1e-12, nan_ok=True)
        if i:
            assert counts[i - 1].tolist() == count[ids[:n]].tolist()
            higher = [np.sum(wac[count > 0] > wac[j]) + 1 for j in ids[:n] if count[j]]
            seen = [r for r, j in zip(ranks[i - 1], ids) if count[j]]
            assert all(h <= r for h, r in zip(higher, seen)) and sorted(seen) == sorted(set(seen))
    assert not np.allclose(found[0], found[1], equal_nan=True)


def test_only_what_no_filter_chose_is_exactly_zero(run, data, recorded):
    """A saliency that is small is not stored as 0."""
    saliency, _, offsets, t1 = recorded
    q, at = unpacked(data["maps"]["saliency"]), 0
    for s in data["maps"]["sentence"]:
        place = int(np.searchsorted(t1, data["sentences"]["number"][s]))
        exact = saliency[:, offsets[place] : offsets[place + 1]].ravel()
        assert ((q[at : at + exact.size] == 0) == (exact == 0)).all()
        at += exact.size
    assert 0 < (q == 0).mean() < 1


def test_many_seeds_are_counted_and_some_are_shown(run, monkeypatch):
    monkeypatch.setattr(explorer, "_SEEDS", 2)
    few = explorer.gather(run, 1)
    assert few["seed"] == 1 and few["seeds"] == [1, 0] and few["choice"]["all"] == 3
    assert max(few["choice"]["in_t2"]) == 3
    assert len(few["choice"]["half"]) == 2 * len(few["choice"]["number"])


def test_scores_of_another_corpus_are_refused(run, refused, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.out, copy)
    place = copy / "seed-001" / "sentences.csv"
    rows = place.read_text().splitlines(keepends=True)
    for text, words in (
        ("".join(rows[:-1]), "another corpus"),
        ("".join([*rows[:1], *(r.replace(",h,", ",h,x") for r in rows[1:])]), "not a number"),
    ):
        place.write_text(text)
        with refused(words):
            type(run)(copy).sentence_scores(1)


# --- other runs -------------------------------------------------------------------


def test_streaming_run_shows_what_its_weights_give(tmp_path, data):
    streamed = explorer.gather(odd_run(tmp_path, options=Options(stored=False)), 0)
    assert not streamed["stored"] and streamed["words"]["mean"] is None
    assert streamed["details"]["word"] == []
    assert streamed["words"]["word"] == data["words"]["word"]
    assert streamed["maps"]["epochs"] == data["maps"]["epochs"]
    same = {
        n: s
        for s, n in zip(
            data["maps"]["sentence"],
            [data["sentences"]["number"][s] for s in data["maps"]["sentence"]],
        )
    }
    numbers = [streamed["sentences"]["number"][s] for s in streamed["maps"]["sentence"]]
    assert numbers == list(same)
    # The same model, looked at again: the same saliency, rounded on either scale.
    found, exact = (
        saliency_of(streamed, streamed["maps"]["saliency"]),
        saliency_of(data, data["maps"]["saliency"]),
    )
    assert (np.abs(found - exact) <= rounding(streamed, exact) + rounding(data, exact)).all()
    assert (exact > 0).mean() > 0.2


def test_streaming_run_without_weights_shows_the_last_epoch(tmp_path, data):
    options = Options(stored=False, epoch_weights="none")
    run = odd_run(tmp_path, options=options, record_epoch_0=True)
    last = explorer.gather(run, 0)
    assert last["epochs"] == [0, 1, 2, 3, 4, 5, 6] and last["maps"]["epochs"] == [6]
    # All there is: the last epoch is the final model of T1.
    n = len(last["arms"]["saliency"]) // len(ARMS)
    assert last["maps"]["saliency"] == last["arms"]["saliency"][:n]


def test_many_epochs_are_thinned_evenly(run, monkeypatch):
    monkeypatch.setattr(explorer, "_EPOCHS", 3)
    thin = explorer.gather(run, 0)
    assert thin["totals"]["epochs"] == 6 and len(thin["epochs"]) == 3
    assert thin["epochs"][0] == 1 and thin["epochs"][-1] == 6


def test_a_run_from_before_vectors_were_told_has_no_known_words(run, monkeypatch):
    def absent(self):
        raise InputError("known.npy: not there; run again")

    monkeypatch.setattr(type(run), "known", property(absent))
    assert explorer.gather(run, 0)["words"]["known"] is None


def test_another_corpus_table_is_refused(run, refused, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.out, copy)
    place = copy / "seed-000" / "instability.csv"
    place.write_text("word,count,wac\nother,1,0.5\n")
    with refused(place):
        explorer.gather(type(run)(copy), 0)


# --- bounds -----------------------------------------------------------------------


BOUNDS = {
    "_WORD_BYTES": (1500, "words", lambda d: {k: v for k, v in d["words"].items() if k != "known"}),
    "_DETAIL_BYTES": (1200, "details", lambda d: d["details"]),
    "_SENTENCE_BYTES": (900, "sentences", lambda d: [d["sentences"], d["others"]]),
    "_MAP_BYTES": (2400, "correct", lambda d: [d["maps"], d["arms"]]),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_each_part_stays_within_its_bytes(run, data, monkeypatch, name):
    budget, kept, part = BOUNDS[name]
    # Names and brackets of a part, and the JSON of seven arms' labels.
    fixed = 420
    # Sentences with heat maps are kept in any case: there must be few of them.
    monkeypatch.setattr(explorer, "_MAP_BYTES", 2400)
    monkeypatch.setattr(explorer, name, budget)
    small = explorer.gather(run, 0)
    assert len(explorer.safe_json(part(small)).encode()) <= budget + fixed
    assert len(explorer.safe_json(part(data)).encode()) > budget + fixed
    assert 0 < small["kept"][kept] < data["kept"][kept]
    # What is left is still whole.
    words = small["words"]["word"] + small["others"]
    assert max(unpacked(small["sentences"]["tokens"], 3), default=0) < len(words)
    n_epochs = len(small["epochs"])
    assert len(small["words"]["mean"]) == 2 * n_epochs * len(small["words"]["word"])
    for s, number in enumerate(small["sentences"]["number"]):
        assert " ".join(sentence_words(small, s)) == run.corpus.sentence(number)
    for word, places in zip(small["details"]["word"], small["details"]["at"]):
        for sentence, position in filter(None, places):
            assert sentence_words(small, sentence)[position] == small["words"]["word"][word]


def test_the_choice_stays_within_its_bytes_and_keeps_its_extremes(run, data, monkeypatch):
    monkeypatch.setattr(explorer, "_CHOICE_BYTES", 1500)
    monkeypatch.setattr(explorer, "_NEAREST", 3)
    small = explorer.gather(run, 0)["choice"]
    total = len(data["choice"]["number"])
    # Beside the sentences there is wac of the words that the page has already.
    assert len(explorer.safe_json({**small, "wac": ""}).encode()) <= 1500 + 400
    assert 9 <= len(small["number"]) < total == small["total"]
    middle = {total // 2, total // 2 + 1}
    assert {1, 2, 3, total - 2, total - 1, total} | middle <= set(small["rank"])
    assert small["rank"] == sorted(small["rank"])


def test_extremes_come_before_frequent_words(run, data, monkeypatch):
    monkeypatch.setattr(explorer, "_EXTREMES", 3)
    monkeypatch.setattr(explorer, "_WORD_BYTES", 1000)
    small = explorer.gather(run, 0)["words"]
    n = len(data["words"]["word"])
    assert {1, 2, 3, n - 2, n - 1, n} <= set(small["rank"]) and len(small["rank"]) < n / 2


@pytest.mark.slow
def test_a_large_corpus_stays_under_the_cap(tmp_path, monkeypatch):
    """As many sentences and epochs as MR has in the paper preset, and twice the words."""
    random = np.random.RandomState(0)
    # Zipf's law, so that there are frequent and rare words.
    shares = 1 / np.arange(1, 40_001)
    ids = random.choice(len(shares), size=(10_662, 30), p=shares / shares.sum())
    lines = [f"{i % 2}\t{' '.join(f'w{w}ord' for w in row)}" for i, row in enumerate(ids)]
    (tmp_path / "corpus.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n")
    config = Config(n_filters=1, epochs=50, batch_size=2000)
    options = Options(epoch_weights="none")
    corpus = [tmp_path / "corpus.tsv"]
    run = prepare(tmp_path / "run", config, options, [0], corpus, "random", dimensions=2)
    run_first_phase(run, 0)
    for arm in ARMS[1:]:
        shutil.copy(run.folder(0, "T1") / "model.npz", run.folder(0, arm) / "model.npz")
    data = explorer.gather(run, 0)
    size = len(explorer.safe_json(data).encode())
    # T2's sentences have their own limit, of 560,000 bytes; their words' wac comes to it.
    assert 3_000_000 < size < 3_900_000
    assert 300_000 < len(explorer.safe_json(data["choice"]).encode()) < 700_000
    assert data["kept"]["words"] < data["totals"]["words"]
    assert data["kept"]["sentences"] < data["totals"]["sentences"]
    assert 1000 < len(data["choice"]["number"]) < data["choice"]["total"]


def test_words_without_end_are_left_out(tmp_path):
    """A line that is no language neither fills the page nor empties it."""
    lines = [f"{i % 2}\tgood bad film number{i % 9}" for i in range(60)]
    endless = [letter * 900 for letter in "uvwxyz"]
    lines += [f"{i % 2}\t{' '.join(endless)} film" for i in range(4)]
    lines += [f"{i % 2}\tfilm {'y' * 300} number1" for i in range(4)]
    (tmp_path / "corpus.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n")
    config = Config(n_filters=2, epochs=3, batch_size=10, tokens="whitespace")
    corpus = [tmp_path / "corpus.tsv"]
    run = prepare(tmp_path / "run", config, Options(), [0], corpus, "random", dimensions=4)
    run_first_phase(run, 0)
    for arm in ARMS[1:]:
        shutil.copy(run.folder(0, "T1") / "model.npz", run.folder(0, arm) / "model.npz")
    data = explorer.gather(run, 0)
    assert data["kept"]["words"] == data["totals"]["words"] - 7
    assert "x" * 900 not in explorer.safe_json(data)
    assert data["others"] == ["y" * 300]
    assert data["kept"]["correct"] > 5
