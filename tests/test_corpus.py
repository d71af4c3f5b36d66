"""Flat arrays, stored and read back; Kim's cleaning; the counts of MR."""

import hashlib
import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples import equal, sentences

from replicate import corpus as corpus_module
from replicate.corpus import Corpus, clean_kim, read_corpus, sample_path, tokenize
from replicate.io.data import POLARITY_FILES

# --- Kim's cleaning ------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("It's", "it 's"),
        ("I've didn't you're he'd they'll", "i 've did n't you 're he 'd they 'll"),
        ("can't", "ca n't"),
        ("DON'T", "don't"),  # Kim lowers last: N'T is no clitic to his rules
        ("good,bad", "good , bad"),
        ("what?! (yes)", "what ? ! ( yes )"),
        ("a-b/c.d;e:f", "a b c d e f"),
        ("  many \t blanks\n", "many blanks"),
        ('the 1980\'s `quoted` "word"', "the 1980 's `quoted` word"),
        ("caf\xe9 na\xefve", "caf na ve"),
        ("rock'n'roll", "rock'n'roll"),
        ("\x85 \x97 -- ...", ""),
        ("\u0130stanbul", "stanbul"),
        ("", ""),
    ],
)
def test_kim_examples(text, words):
    """His clitics, his marks, his letters."""
    assert clean_kim(text) == words
    assert tokenize(text, "kim") == words.split()


def kim_restated(text):
    """``clean_str`` of Kim's process_data.py, one rule after another."""
    text = re.sub(r"[^A-Za-z0-9(),!?\'\`]", " ", text)
    for clitic in ("'s", "'ve", "n't", "'re", "'d", "'ll"):
        text = re.sub(clitic, " " + clitic, text)
    for mark in ",!()?":
        text = text.replace(mark, f" {mark} ")
    return re.sub(r"\s{2,}", " ", text).strip().lower()


TEXTS = st.text(st.sampled_from("'''nnstvedrlASNT aZ0,!?()`.-\t\x85\xe9\u0130\u212a"), max_size=30)


@given(TEXTS)
@example("n't's'll''ven'tn't'd're")
def test_kim_rule_by_rule(text):
    """The combined rules give what his do one by one, on texts full of clitics."""
    assert clean_kim(text) == kim_restated(text)


@pytest.mark.parametrize(
    "broken, text",
    [
        (lambda text: kim_restated(text.lower()), "DON'T"),
        (lambda text: kim_restated(text.replace("`", " ")), "`quoted`"),
        (lambda text: kim_restated(text.replace("'", "")), "it's"),
        (lambda text: kim_restated(text).replace(" , ", ","), "a,b"),
    ],
)
def test_other_cleanings_are_told_apart(broken, text):
    """Lower case first, a lost backtick, clitic or mark: each gives other words."""
    assert broken(text) != clean_kim(text) == kim_restated(text)


def test_whitespace_reading():
    """Lower case and white space only: marks and clitics stay on their words."""
    assert tokenize("It's DULL,  dull.\u3000\xc9t\xe9", "whitespace") == [
        "it's", "dull,", "dull.", "\xe9t\xe9"
    ]  # fmt: skip


# --- Flat arrays ---------------------------------------------------------------


def test_flat_arrays():
    """Words by first occurrence; tokens, offsets and labels of their types."""
    corpus = Corpus.from_texts(["b a b", "c", "a c"], ["x", "y", "x"])
    assert corpus.words.tolist() == ["b", "a", "c"]
    assert corpus.tokens.tolist() == [0, 1, 0, 2, 1, 2] and corpus.tokens.dtype == np.int32
    assert corpus.offsets.tolist() == [0, 3, 4, 6] and corpus.offsets.dtype == np.int64
    assert corpus.labels.tolist() == [0, 1, 0] and corpus.labels.dtype == np.int32
    assert len(corpus) == 3 and corpus.lengths.tolist() == [3, 1, 2]
    assert sentences(corpus) == (["b a b", "c", "a c"], ["x", "y", "x"])


WORDS = st.lists(st.sampled_from(string.ascii_lowercase[:6]), min_size=1, max_size=5)


@given(st.lists(WORDS, min_size=2, max_size=8), st.data())
@settings(max_examples=50)
def test_take_any_sentences(texts, data):
    """Any choice in any order, with repetition, and none: as lists would give it."""
    texts = [" ".join(words) for words in texts]
    corpus = Corpus.from_texts(texts, [str(i % 2) for i in range(len(texts))])
    assert [corpus.sentence(n) for n in range(len(corpus))] == texts
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=6))
    tokens, offsets = corpus.take(np.array(chosen, dtype=np.int64))
    assert (tokens.dtype, offsets.dtype) == (np.int32, np.int64)
    cut = [tokens[a:b] for a, b in zip(offsets[:-1], offsets[1:])]
    assert [" ".join(corpus.words[part]) for part in cut] == [texts[n] for n in chosen]


@pytest.mark.parametrize(
    "labels, order",
    [
        (["10", "9"], ("9", "10")),
        (["1", "-1"], ("-1", "1")),
        (["pos", "neg"], ("neg", "pos")),
        (["b", "2", "a", "10"], ("2", "10", "a", "b")),
    ],
)
def test_label_order(labels, order):
    """Numbers by value before names: 0 is label 0 and 1 label 1."""
    corpus = Corpus.from_texts(["x"] * len(labels), labels)
    assert corpus.label_names == order
    assert sentences(corpus)[1] == labels


def test_a_label_for_every_text():
    """Fewer labels than texts is a mistake, not a shorter corpus."""
    with pytest.raises(ValueError):
        Corpus.from_texts(["a", "b", "c"], ["1", "0"])


@pytest.mark.parametrize(
    "labels, names",
    [
        ([1, 0, 1.0], ("0", "1")),
        ([1.0, 0.0, -0.0], ("0", "1")),
        (np.array([2.0, 1.0, 2.0]), ("1", "2")),
        (np.array([2.0, 1.0, 2.0], dtype=np.float32), ("1", "2")),
        ([0.5, 1, 2.0], ("1", "2", "0.5")),
        (np.array([3, 1, 3]), ("1", "3")),
        (np.array(["b", "a", "b"]), ("a", "b")),
        ([True, False, True], ("False", "True")),
        (np.array([True, False, True]), ("False", "True")),
        (["1.0", "1", "nan"], ("1", "1.0", "nan")),
    ],
    ids=str,
)
def test_labels_of_python(labels, names):
    """A whole number is one label, as int and as float; names stay as they are."""
    corpus = Corpus.from_texts(["a", "b", "c"], labels)
    assert corpus.label_names == names and len(corpus) == 3


class Missing:
    """As ``pandas.NA``: whether it is itself is unknown, and asking is an error."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __repr__(self):
        return "<NA>"


@pytest.mark.parametrize(
    "label",
    [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), Missing()],
    ids=str,
)
def test_a_missing_label_is_refused(label, refused):
    """It would be a class named nan, or None."""
    with refused("texts: text 3 has no label (", "; give it one"):
        Corpus.from_texts(["a", "b", "c", "d"], [1, 0, label, 1])


@pytest.mark.parametrize("text", [None, float("nan"), 7, b"film", ["a", "film"]], ids=str)
def test_a_text_that_is_not_a_string_is_refused(text, refused):
    """As an empty cell of a table is read by pandas."""
    with refused("reviews: text 2 is ", "not a string"):
        Corpus.from_texts(["a", text, "c"], [1, 0, 1], where="reviews")
    assert len(Corpus.from_texts(np.array(["a", "b"]), [1, 0])) == 2


@pytest.mark.parametrize("tokens", ["Kim", "white space", "", None])
def test_another_cleaning_is_refused(tokens, tmp_path, refused):
    """It would be that of white space without a word; files are not even opened."""
    for read in (
        lambda: Corpus.from_texts(["a", "b"], [1, 0], tokens),
        lambda: read_corpus([tmp_path / "missing.tsv"], tokens=tokens),
        lambda: tokenize("It's good", tokens),
    ):
        with refused(f"tokens = {tokens!r} is not offered; choose one of kim, whitespace"):
            read()


@pytest.mark.parametrize("first", [True, False])
def test_one_long_word_does_not_widen_all(first, refused):
    """The array of words is as wide as the longest: 80 MB for one word of 999 letters here."""
    plain = [f"good w{2 * i} w{2 * i + 1}" for i in range(10_000)]
    long = ["bad " + "x" * 999]
    texts = long + plain if first else plain + long
    place = "text 1:" if first else "text 10001:"
    with refused(place, "999 characters, too long for a vocabulary of", "cut it"):
        Corpus.from_texts(texts, [i % 2 for i in range(len(texts))], "whitespace")


def test_no_word_is_longer_than_a_thousand(refused):
    """In any vocabulary; up to that a small one has room."""
    for length in (999, 1000):
        corpus = Corpus.from_texts(["good", "bad " + "x" * length], [0, 1], "whitespace")
        assert corpus.words.dtype == f"<U{length}"
    with refused("text 2", "1,001 characters"):
        Corpus.from_texts(["good", "bad " + "x" * 1001], [0, 1], "whitespace")


def test_a_word_with_nul_is_refused(refused):
    """An array of words would lose it: "film" would be there twice, the second never looked up."""
    with refused("texts: text 2", "NUL"):
        Corpus.from_texts(["film", "film\0"], ["1", "0"], "whitespace")


def test_further_words_of_a_vocabulary():
    """At its end, each once; sentences, places and width stay; words of over 100 letters are left out."""
    corpus = Corpus.from_texts(["good film", "bad film"], ["1", "0"])
    grown = corpus.with_words(["film", "dull", "x" * 101, "y" * 100, "dull", "good"])
    assert grown.words.tolist() == ["good", "film", "bad", "dull", "y" * 100]
    assert grown.sentence(1) == "bad film" and grown.tokens is corpus.tokens
    same = corpus.with_words([])
    assert same.words.tolist() == corpus.words.tolist() and same.words.dtype == corpus.words.dtype


def test_words_that_are_all_long_have_room():
    """Their array is no larger than sixteen times the words themselves."""
    texts = [f"{i:0500d}" for i in range(36_000)]
    words = Corpus.from_texts(texts, [i % 2 for i in range(len(texts))], "whitespace").words
    assert words.nbytes == 36_000 * 500 * 4 > 4 * (16 << 20)


def test_mr_counts(mr_folder):
    """18,765 word types, 217,353 tokens, 10,662 sentences, the longest of 56 words."""
    corpus = read_corpus([mr_folder])
    assert len(corpus.words) == len(set(corpus.words.tolist())) == 18_765
    assert len(corpus.tokens) == 217_353 and len(corpus) == 10_662
    assert corpus.lengths.max() == 56 and corpus.lengths.min() >= 1
    assert np.bincount(corpus.labels).tolist() == [5331, 5331]
    assert corpus.labels[0] == 1 and corpus.labels[-1] == 0
    pair = [mr_folder / name for name in POLARITY_FILES]
    assert corpus.sha256 == {
        "rt-polarity.pos": "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
        "rt-polarity.neg": "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
    }
    assert equal(read_corpus(pair[::-1]), corpus)
    spaced = read_corpus(pair, tokens="whitespace")
    assert (len(spaced.words), len(spaced.tokens)) == (21_419, 224_041)


def test_mr_by_splitlines_is_another_corpus(mr_folder):
    """What the counts above protect from."""
    pair = [(mr_folder / name).read_bytes().decode("latin-1") for name in POLARITY_FILES]
    assert sum(len(text.splitlines()) for text in pair) != 10_662


def test_mr_holds_a_sentence_twice(mr_folder):
    """Repeated sentences stay: one negative sentence occurs twice."""
    corpus = read_corpus([mr_folder])
    negative = [corpus.sentence(n) for n in range(5331, 10_662)]
    assert len(set(negative)) < len(negative)


def test_sample_of_gensim():
    """200 sentences, half of them positive, and vectors beside them."""
    path, vectors = sample_path()
    corpus = read_corpus([path])
    assert len(corpus) == 200 and corpus.label_names == ("0", "1")
    assert np.bincount(corpus.labels).tolist() == [100, 100]
    assert path.read_bytes().startswith(b"__label__neg") and corpus.labels[0] == 0
    assert corpus.sha256 == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    assert vectors.is_file()


# --- Stored and read back ------------------------------------------------------


@given(st.lists(WORDS, min_size=2, max_size=8))
@settings(max_examples=20)
def test_save_and_load(tmp_path_factory, texts):
    """``corpus.npz`` holds the contract's arrays and comes back equal."""
    labels = ["neg", *["pos"] * (len(texts) - 1)]
    corpus = Corpus.from_texts([" ".join(words) for words in texts], labels)
    path = tmp_path_factory.getbasetemp() / "corpus.npz"
    corpus.save(path)
    with np.load(path, allow_pickle=False) as file:
        kinds = {name: file[name].dtype.kind for name in file.files}
        assert file["tokens"].dtype == file["label"].dtype == np.int32
        assert file["offsets"].dtype == np.int64
    assert kinds == {"words": "U", "tokens": "i", "offsets": "i", "label": "i"}
    back = Corpus.load(path, corpus.label_names, {"a": "b"})
    assert equal(back, corpus) and back.sha256 == {"a": "b"}


@pytest.mark.parametrize(
    "name, value",
    [
        ("tokens", [0, 1, 2]),
        ("tokens", [0, 1, 2, 4]),
        ("tokens", [0, 1, 2, -1]),
        ("offsets", [0, 2]),
        ("offsets", [1, 2, 4]),
        ("offsets", [0, 4, 4]),
        ("offsets", [0, 5, 4]),
        ("offsets", [0, 2, 3]),
        ("label", [0, 2]),
        ("label", [0, -1]),
        ("label", [0, 1, 1]),
    ],
)
def test_arrays_that_do_not_agree(name, value, tmp_path, refused):
    """A stored corpus whose arrays contradict each other is refused; whole, it is not."""
    path = tmp_path / "corpus.npz"
    arrays = {
        "words": np.array(["a", "b", "c"]),
        "tokens": np.array([0, 1, 2, 1], dtype=np.int32),
        "offsets": np.array([0, 2, 4]),
        "label": np.array([0, 1], dtype=np.int32),
    }
    np.savez(path, **arrays)
    assert len(Corpus.load(path, ("0", "1"), {})) == 2
    np.savez(path, **{**arrays, name: np.array(value)})
    with refused(path, "do not agree", "run again"):
        Corpus.load(path, ("0", "1"), {})


def test_a_pickle_in_a_stored_corpus(planted, tmp_path, refused):
    """Words as pickled objects are refused, and do not run."""
    path = tmp_path / "corpus.npz"
    arrays = {"tokens": [0, 0], "offsets": [0, 1, 2], "label": [0, 1]}
    np.savez(path, words=np.array([planted], dtype=object), **arrays)
    with refused(path):
        Corpus.load(path, ("0", "1"), {})
    assert not Path(planted.folder).exists()


# --- more than fits ---------------------------------------------------------------


TEXTS = [f"word{i % 7} and {'more ' * (i % 5)}" for i in range(100)]


@pytest.mark.parametrize("kept", [1, 50, 10**6])
def test_tokens_that_do_not_stay_in_memory(kept, tmp_path, monkeypatch):
    """The same corpus, and the same file, however few tokens are kept while reading."""
    whole = Corpus.from_texts(TEXTS, [str(i % 2) for i in range(100)])
    monkeypatch.setattr(corpus_module, "_SPILLED", kept)
    read = Corpus.from_texts(TEXTS, [str(i % 2) for i in range(100)])
    assert isinstance(read.tokens, np.memmap) == (kept < 10**6)
    assert read.tokens.dtype == np.int32 and read.tokens.tolist() == whole.tokens.tolist()
    assert read.offsets.tolist() == whole.offsets.tolist()
    whole.save(tmp_path / "whole.npz")
    read.save(tmp_path / "read.npz")
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "read.npz").read_bytes()


@pytest.mark.parametrize("at_a_time", [1, 3, 4096])
def test_sentences_taken_some_at_a_time(at_a_time, monkeypatch):
    monkeypatch.setattr(corpus_module, "_TAKEN", at_a_time)
    corpus = Corpus.from_texts(TEXTS, [str(i % 2) for i in range(100)])
    chosen = np.array([5, 99, 0, 41, 5])
    tokens, offsets = corpus.take(chosen)
    rows = [corpus.tokens[corpus.offsets[n] : corpus.offsets[n + 1]].tolist() for n in chosen]
    assert [tokens[a:b].tolist() for a, b in zip(offsets, offsets[1:])] == rows
    tokens, offsets = corpus.take(np.array([], dtype=int))
    assert tokens.tolist() == [] and offsets.tolist() == [0]
