"""Word vectors out of files of every format, and out of bad ones: as gensim reads them."""

import gzip
import os
import pickle
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gensim.models import KeyedVectors, Word2Vec
from gensim.test.utils import datapath
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import AWKWARD, VECTORS, WORDS, expected

from replicate.corpus import read_corpus, sample_path
from replicate.io import wordvectors
from replicate.io.errors import InputError
from replicate.io.wordvectors import content_sha256, is_keyed, read_keyed, read_vectors
from replicate.vectors import coverage


def check(path, vectors=VECTORS, words=WORDS):
    """The file gives just these vectors, bit for bit."""
    rows, known = read_vectors(path, words)
    wanted, there = expected(vectors, words)
    assert rows.dtype == np.float32 and rows.flags.c_contiguous
    assert known.dtype == bool and known.tolist() == there
    np.testing.assert_array_equal(rows, wanted)


# --- Formats -------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"", b"\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("block", [1, 2, 7, 16, 64, None])
def test_word2vec_binary(end, zipped, block, file, binary_vectors, monkeypatch):
    """With and without line ends, gzipped or not, whatever is read at once."""
    if block:
        monkeypatch.setattr(wordvectors, "_BLOCK", max(block, 8))
    data = binary_vectors(VECTORS, end)
    check(file(gzip.compress(data) if zipped else data))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("block", [60, 75, None])  # the first two lines at least
def test_text(zipped, end, header, block, file, text_vectors, monkeypatch):
    """word2vec and fastText text (header, blank at the end) and GloVe (none)."""
    if block:
        monkeypatch.setattr(wordvectors, "_BLOCK", block)
    data = text_vectors(VECTORS, header, end)
    check(file(gzip.compress(data) if zipped else data))


def test_a_wrong_vector_is_caught(file, binary_vectors):
    """The comparison sees one bit, a swapped word and a lost one."""
    other = {**VECTORS, "film": np.nextafter(AWKWARD, np.float32(1))}
    swapped = {**VECTORS, "good": VECTORS["5"], "5": VECTORS["good"]}
    lost = {word: row for word, row in VECTORS.items() if word != "'s"}
    for broken in (other, swapped, lost):
        with pytest.raises(AssertionError):
            check(file(binary_vectors(broken)))


def test_last_line_without_end(file, text_vectors):
    """A text file need not end in a line end."""
    for header in (True, False):
        check(file(text_vectors(VECTORS, header).rstrip()))


def test_words_with_blanks_in_text(file):
    """GloVe has tokens that hold blanks; the numbers are counted from the end."""
    check(file(b"good 1 2\n. . . 3 4\nfilm 5 6\n"), {"good": [1, 2], "film": [5, 6]})


@pytest.mark.parametrize("header", [True, False, None])
def test_the_first_of_two_counts(header, file, binary_vectors, text_vectors):
    """A word that stands twice in a file has its first vector."""
    first, second = {"good": [1, 2], "film": [3, 4]}, {"good": [5, 6]}
    if header is None:
        data = binary_vectors(first, count=3) + binary_vectors(second).split(b"\n", 1)[1]
    else:
        data = text_vectors(first, header) + text_vectors(second, False)
        data = data.replace(b"2 2\n", b"3 2\n")
    rows, known = read_vectors(file(data), ["good", "film"])
    assert rows.tolist() == [[1, 2], [3, 4]] and known.all()


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=9),
        # Beyond sizes that vectors have, bytes of numbers may look like a word with blanks.
        st.lists(st.floats(-(2.0**30), 2.0**30, width=32), min_size=3, max_size=3),
        min_size=2,
        max_size=12,
    ),
    st.sampled_from([b"\n", b""]),
    st.integers(8, 80),
    st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_any_binary_file(tmp_path_factory, binary_vectors, vectors, end, block, random):
    """Any words and values, any block, any wish: as a dictionary."""
    # A number as first word before a line end among its bytes has a test of its own.
    vectors = {"the": [0.0, 0.5, 1.0], **vectors}
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(binary_vectors(vectors, end))
    wish = random.sample(sorted(vectors), len(vectors) // 2) + ["not there"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordvectors, "_BLOCK", block)
        check(path, vectors, wish)


def test_a_number_as_first_word_of_a_binary_file(file, binary_vectors):
    """A first word that is a number, with 0x0A as the first byte of its vector."""
    first = np.frombuffer(b"\x0a\x00\x80\x3f" * 3, "<f4")
    vectors = {"5": first, "good": VECTORS["good"]}
    check(file(binary_vectors(vectors)), vectors)


@pytest.mark.parametrize(
    "name, binary",
    [
        ("euclidean_vectors.bin", True),
        ("high_precision.kv.bin", True),  # no line ends between records
        ("toy-model.vec", False),
        ("crime-and-punishment.vec", False),
        ("lee_fasttext.vec", False),
        ("pang_lee_polarity_fasttext.vec", False),
        ("word2vec_pre_kv_c", False),
    ],
)
def test_same_as_gensim(name, binary):
    """All of gensim's own test files, all words, bit for bit."""
    gensim = KeyedVectors.load_word2vec_format(
        datapath(name), binary=binary, unicode_errors="ignore"
    )
    kept = [w for w in gensim.index_to_key if w.strip() == w and w.isprintable()]
    # Bytes that are no UTF-8 cannot be wished for; gensim gives them other names.
    with open(datapath(name), "rb") as file:
        data = file.read()
    kept = [w for w in kept if b"\n" + w.encode() + b" " in b"\n" + data or binary]
    assert len(kept) >= 0.9 * len(gensim.index_to_key)
    rows, known = read_vectors(datapath(name), [*kept, "no such word"])
    assert known.tolist() == [True] * len(kept) + [False]
    np.testing.assert_array_equal(rows[:-1], np.array([gensim[w] for w in kept]))


def test_the_real_subset(mr_folder, mr_vectors):
    """GoogleNews subset: 40 % of the types, 68 % of the tokens of MR, as its README says."""
    corpus = read_corpus([mr_folder])
    rows, known = read_vectors(mr_vectors, corpus.words)
    # Of its 7,503 vectors, that of "naïve" has no word after Kim's cleaning.
    assert rows.shape == (18_765, 300) and known.sum() == 7502
    types, tokens = coverage(known, corpus.tokens)
    assert (round(types, 2), round(tokens, 2)) == (0.40, 0.68)
    assert np.linalg.norm(rows[known], axis=1).mean() == pytest.approx(2.90, abs=0.005)
    assert rows[known].std() == pytest.approx(0.169, abs=0.0005)
    for word in ("a", "and", "of", "to", ","):
        assert not known[corpus.words == word].any()


# --- Only what is wanted -------------------------------------------------------


def test_only_wanted_rows(file, binary_vectors):
    """The result is as long as the wish, in its order, and unknown rows are zero."""
    path = file(binary_vectors(VECTORS))
    rows, known = read_vectors(path, ["good"])
    assert rows.shape == (1, 3) and known.tolist() == [True]
    forth, _ = read_vectors(path, ["good", "none", "film"])
    back, _ = read_vectors(path, ["film", "none", "good"])
    np.testing.assert_array_equal(forth, back[::-1])
    assert not forth[1].any()
    rows, known = read_vectors(path, [])
    assert rows.shape == (0, 3) and known.shape == (0,)


def test_memory_of_the_wish_only(file, binary_vectors):
    """A file of many vectors costs no more memory than a few rows and the block."""
    random = np.random.RandomState(0)
    many = {f"w{i}": row for i, row in enumerate(random.rand(40_000, 100).astype("f4"))}
    path = file(binary_vectors(many))
    read_vectors(path, ["w1"])  # compiled, loaded
    tracemalloc.start()
    try:
        read_vectors(path, ["w1", "w39999"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 16e6
    assert peak < 3.2 * wordvectors._BLOCK < path.stat().st_size


def test_words_that_hash_to_one_slot(file, binary_vectors):
    """Many words in a small table: each finds its own row."""
    many = {f"w{i}": [i, -i] for i in range(3000)}
    path = file(binary_vectors(many))
    rows, known = read_vectors(path, list(many))
    assert known.all() and (rows == np.array(list(many.values()))).all()
    rows, known = read_vectors(path, [f"v{i}" for i in range(3000)])
    assert not known.any() and not rows.any()


# --- Bad files -----------------------------------------------------------------

TWO = {"good": [1, 2], "bad": [3, 4]}


def floats(*values):
    """Little-endian float32 bytes."""
    return np.array(values, dtype="<f4").tobytes()


BAD = {
    "empty": (b"", ["empty"]),
    "blank": (b" \n\n", ["empty"]),
    "web page": (b"\n<!DOCTYPE html>\n<html>\n", ["web page", "fetch it again"]),
    "web page in capitals": (b"<HTML><BODY>404", ["web page", "fetch it again"]),
    "xml": (b"<?xml version='1.0'?>", ["web page"]),
    "zipped web page": (gzip.compress(b"<!doctype html>"), ["web page"]),
    "another page": (b"<head><title>404</title></head>", ["line 1"]),
    "json": (b'{"error": "quota"}', ["line 1"]),
    "zip": (b"PK\x03\x04" + bytes(30), ["archive"]),
    "npy": (b"\x93NUMPY\x01\x00", ["archive"]),
    "a sentence": (b"it works\nvery well\n", ["line 1"]),
    "header only": (b"3 2\n", ["truncated", "0 of 3"]),
    "header without end": (b"3 2", ["truncated", "0 of 3"]),
    "no vectors": (b"0 2\n", ["line 1", "0 vectors"]),
    "no dimensions": (b"2 0\n", ["line 1", "0 dimensions"]),
    "too many dimensions": (b"2 1000000\n", ["line 1", "1000000 dimensions"]),
    "cut text": (b"3 2\ngood 1 2\nbad 3 4\n", ["truncated", "2 of 3"]),
    "more text": (b"1 2\ngood 1 2\nbad 3 4\n", ["line 3", "more than the 1 vectors of line 1"]),
    "CR in text": (b"2 2\ngood 1 2\rbad 3 4\nfilm 5 6\n", ["line 2", "several lines", "CR"]),
    "CR after the header": (b"3 2\rgood 1 2\nbad 3 4\n", ["line 1", "several lines", "CR"]),
    "CR and one LF": (b"good 1 2\rbad 3 4\rfilm 5 6\n", ["line 1", "several lines", "CR"]),
    "cut text line": (b"2 2\ngood 1 2\nbad 3", ["line 3", "not 2 numbers"]),
    "cut GloVe line": (b"other 1 2\ngood 3", ["line 2", "not 2 numbers"]),
    "fewer dimensions": (b"2 2\ngood 1 2\nbad 1\n", ["line 3", "not 2 numbers"]),
    "text for a number": (b"other 1 2\ngood one 2\n", ["line 2", "not 2 numbers"]),
    "NaN in text": (b"2 2\ngood 1 2\nbad nan 2\n", ["'bad'", "NaN or infinity"]),
    "infinity in text": (b"good 1 2\nbad 1 -inf\n", ["'bad'", "NaN or infinity"]),
    "NaN": (b"1 2\ngood " + floats(1, np.nan), ["'good'", "NaN or infinity"]),
    "infinity": (b"1 2\ngood " + floats(-np.inf, 1), ["'good'", "NaN or infinity"]),
    "header of more": (b"3 2\ngood " + floats(1, 2) + b"\n", ["truncated", "1 of 3"]),
    "header of fewer": (
        b"1 2\ngood " + floats(1, 2) + b"\nbad " + floats(1, 2),
        ["more than the 1 vectors"],
    ),
    "header too wide": (
        b"2 3\ngood " + floats(1, 2) + b"\nbad " + floats(1, 2),
        ["truncated"],
    ),
    "header too narrow": (
        b"2 2\ngood " + floats(1, 2, 3) + b"\nbad " + floats(1, 2, 3),
        ["more than the 2 vectors"],
    ),
    "no words": (b"2 2\n" + b"\x01" * 9000, ["vector 1 of 2", "not word2vec binary"]),
}


@pytest.mark.parametrize("data, parts", BAD.values(), ids=BAD)
@pytest.mark.parametrize("block", [64, None])
def test_bad_file(data, parts, block, file, refused, monkeypatch):
    """Every fault is told with file, place and remedy, in small blocks too."""
    if block:
        monkeypatch.setattr(wordvectors, "_BLOCK", block)
    path = file(data)
    with refused(path, *parts):
        read_vectors(path, ["good", "bad"])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_binary_cut_anywhere(zipped, end, file, binary_vectors, refused):
    """Cut after any byte of the vectors, the file is refused; whole, it is not."""
    whole = binary_vectors(TWO, end)
    needed = len(whole) - len(end)  # a last line end is no part of a vector
    if zipped:
        whole = gzip.compress(whole)
        needed = len(whole)
    for length in range(needed):
        path = file(whole[:length])
        with refused(path):
            read_vectors(path, list(TWO))
    check(file(whole), TWO, list(TWO))


def test_gzip_damaged_anywhere(file, binary_vectors):
    """One flipped bit in a gzipped file: refused or the same rows, never others."""
    whole = gzip.compress(binary_vectors(VECTORS), mtime=0)
    wanted, _ = read_vectors(file(whole), WORDS)
    refusals = 0
    for place in range(len(whole)):
        path = file(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            rows, _ = read_vectors(path, WORDS)
        except InputError:
            refusals += 1
        else:
            np.testing.assert_array_equal(rows, wanted)
    assert refusals > 0.7 * len(whole)


def test_missing_file(tmp_path, refused):
    """Not there, and a folder."""
    with refused(tmp_path / "none.bin", "No such file"):
        read_vectors(tmp_path / "none.bin", ["good"])
    with refused(tmp_path, "Is a directory"):
        read_vectors(tmp_path, ["good"])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_does_not_run(protocol, file, planted, refused):
    """As a file, zipped too, and as gensim saves its own vectors."""
    data = pickle.dumps(planted, protocol)
    for path in (file(data, "a.bin"), file(gzip.compress(data), "b.bin")):
        with refused(path):
            read_vectors(path, ["good"])
    assert not os.path.exists(planted.folder)
    pickle.loads(data)
    assert os.path.exists(planted.folder)


def test_arrays_of_pickles_are_refused(planted, tmp_path, refused):
    """``.npy`` and ``.npz`` are no vector files at all."""
    array = np.array([planted], dtype=object)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array)
    for name in ("a.npy", "a.npz"):
        with refused(tmp_path / name, "an archive or array"):
            read_vectors(tmp_path / name, ["good"])
    assert not os.path.exists(planted.folder)


def test_gensims_own_format_is_refused(tmp_path, refused, monkeypatch):
    """``save`` pickles; the line in the message converts vectors and whole models."""
    made = KeyedVectors(2)
    made.add_vectors(["good"], [np.ones(2, dtype="f4")])
    made.save(str(tmp_path / "a.kv"))
    texts = [["good", "film"], ["bad", "film"]]
    Word2Vec(texts, vector_size=2, min_count=1, seed=1, workers=1).save(str(tmp_path / "b.model"))
    monkeypatch.chdir(tmp_path)
    for name in ("a.kv", "b.model"):
        with refused(tmp_path / name, "never opened", "save_word2vec_format"):
            read_vectors(tmp_path / name, ["good"])
        with pytest.raises(InputError) as caught:
            read_vectors(tmp_path / name, ["good"])
        exec(re.search("from gensim.*", str(caught.value))[0], {})
        rows, known = read_vectors(tmp_path / f"{Path(name).stem}.bin", ["good"])
        assert known.all() and rows.any()


# --- vectors in memory -----------------------------------------------------------


def in_memory(words, table):
    made = KeyedVectors(np.shape(table)[1])
    made.add_vectors(list(words), np.asarray(table, dtype="f4"))
    return made


def test_vectors_in_memory_are_those_of_their_file(tmp_path):
    """Saved and read again, the same rows; a word that it lacks is unknown."""
    table = np.random.RandomState(0).normal(size=(4, 3))
    keyed = in_memory(["good", "new york", "bad", "é"], table)
    keyed.save_word2vec_format(str(tmp_path / "a.bin"), binary=True)
    words = ["é", "film", "good", "new york"]
    saved = read_vectors(tmp_path / "a.bin", words)
    for found, wanted in zip(read_keyed(keyed, words), saved):
        np.testing.assert_array_equal(found, wanted)
    assert is_keyed(keyed) and not is_keyed("random") and not is_keyed(tmp_path)


def test_the_checksum_is_of_words_and_rows():
    """The order does not count; a word, a row, a bit do."""
    base = in_memory(["a", "b"], [[1, 2], [3, 4]])
    assert content_sha256(base) == content_sha256(in_memory(["b", "a"], [[3, 4], [1, 2]]))
    others = [
        in_memory(["a", "c"], [[1, 2], [3, 4]]),
        in_memory(["b", "a"], [[1, 2], [3, 4]]),
        in_memory(["a", "b"], [[1, 2], [3, np.nextafter(np.float32(4), np.float32(5))]]),
        in_memory(["a", "b", "c"], [[1, 2], [3, 4], [0, 0]]),
    ]
    assert len({content_sha256(keyed) for keyed in [base, *others]}) == 5
    assert re.fullmatch("[0-9a-f]{64}", content_sha256(base))


def test_vectors_in_memory_that_are_not_sound(refused):
    model = Word2Vec([["good", "film"]], vector_size=2, min_count=1, workers=1)
    with refused("Word2Vec", "model.wv"):
        is_keyed(model)
    assert read_keyed(model.wv, ["good"])[1].all()
    bad = in_memory(["good"], [[np.nan, 1]])
    with refused("KeyedVectors", "'good' holds NaN"):
        read_keyed(bad, ["good"])
    short = in_memory(["good", "bad"], np.eye(2))
    short.vectors = short.vectors[:1]
    with refused("words have no row"):
        read_keyed(short, ["good"])
    with refused("shape (2,)"):
        read_keyed(SimpleNamespace(key_to_index={"good": 0}, vectors=np.ones(2)), ["good"])


@pytest.mark.parametrize(
    "data",
    [
        b"2 2\ngood 1 2 3\nbad 1 2 3\n",
        b"2 2\nother 1 2\ngood 1 2 3\n",
        b"other 1 2\ngood 1 2 3\n",
        b"\xef\xbb\xbf2 2\ngood 1 2 3\nbad 1 2\n",  # a BOM does not hide the header
        b"2 2\nother 1 2\ngood 1  2  3\n",
    ],
    ids=["all lines", "one line", "GloVe", "BOM", "two blanks"],
)
def test_more_dimensions_than_told(data, file, refused):
    """A text file of a wrong dimension is refused, its words not passed over in silence."""
    path = file(data)
    with refused(path, "line"):
        read_vectors(path, ["good", "bad"])


def test_nan_in_the_first_line_of_text(file, refused):
    """The message tells of NaN, not of a truncated file."""
    path = file(b"2 2\ngood nan 1\nbad 1 2\n")
    with refused(path, "NaN"):
        read_vectors(path, ["good", "bad"])


@pytest.mark.parametrize("data", [b"good 1 1e39\n", b"2 2\nbad 1 2\ngood 1 -1e39\n"])
def test_numbers_beyond_float32(data, file, refused):
    """An overflow is infinity, and told as such."""
    path = file(data)
    with refused(path, "'good'", "infinity"):
        read_vectors(path, ["good", "bad"])


def test_a_header_of_many_digits(file, refused):
    """A first line of nothing but digits."""
    path = file(b"9" * 5000 + b" 3\n")
    with refused(path, "line 1"):
        read_vectors(path, ["good"])


def test_blank_lines_are_no_vectors(file, refused):
    """A text file cut short and filled up with blank lines is truncated."""
    path = file(b"3 2\ngood 1 2\n\n\n\n")
    with refused(path, "truncated: 1 of 3"):
        read_vectors(path, ["good"])


# --- The sample ----------------------------------------------------------------


def test_vectors_of_the_sample():
    """gensim's vectors of the sample have 100 dimensions and many of its words."""
    corpus_path, path = sample_path()
    words = sorted(set(corpus_path.read_text(encoding="cp1252").lower().split()))
    rows, known = read_vectors(path, words)
    assert rows.shape[1] == 100 and known.mean() > 0.3
