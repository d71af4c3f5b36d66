"""Files of every format of corpora, and in every bad state: labels and texts as they are there."""

import csv
import gc
import gzip
import hashlib
import io
import tarfile
import warnings

import pytest
from samples import equal, sentences

from replicate.corpus import read_corpus
from replicate.io import corpora
from replicate.io.corpora import polarity_archive, pool_texts
from replicate.io.data import POLARITY_FILES, SAMPLE_FILE
from replicate.io.errors import InputError

GOOD = b"a fine , fine film .\nit works\n"
BAD = b"dull\n"


@pytest.fixture
def pair(tmp_path):
    """A tiny MR: two positives, one negative."""
    paths = [tmp_path / name for name in POLARITY_FILES]
    for path, data in zip(paths, (GOOD, BAD)):
        path.write_bytes(data)
    return paths


def archive(path, members, mode="w:gz", kind=tarfile.REGTYPE):
    """A tar file of name -> bytes."""
    with tarfile.open(path, mode) as file:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            file.addfile(member, io.BytesIO(data))
    return path


MEMBERS = [(f"rt-polaritydata/{n}", d) for n, d in zip(POLARITY_FILES, (GOOD, BAD))]


# --- The pair, the folder, the archive -----------------------------------------


def test_one_path_needs_no_list(tmp_path, refused):
    """As a text, which was taken apart into letters, and as a path."""
    place = tmp_path / "a.tsv"
    place.write_text("label\ttext\n1\ta fine film\n0\tso dull\n")
    corpus = read_corpus([place])
    for paths in (place, str(place)):
        assert equal(read_corpus(paths), corpus) and read_corpus(paths).sha256 == corpus.sha256
    for paths in ("none.tsv", tmp_path / "none.tsv"):
        with refused(f"{paths}: no such file"):
            read_corpus(paths)


def test_pair_folder_and_archive_agree(pair, tmp_path):
    """Both orders of the pair, the folder, the archives: one corpus, positives first."""
    corpus = read_corpus(pair)
    assert sentences(corpus) == (["a fine , fine film", "it works", "dull"], ["1", "1", "0"])
    assert corpus.label_names == ("0", "1")
    digests = [hashlib.sha256(data).hexdigest() for data in (GOOD, BAD)]
    assert corpus.sha256 == dict(zip(POLARITY_FILES, digests))
    zipped = archive(tmp_path / "rt-polaritydata.tar.gz", MEMBERS)
    turned = archive(tmp_path / "turned.TGZ", [("README", b"x"), *reversed(MEMBERS)])
    for other in (pair[::-1], [tmp_path], [str(tmp_path)], [zipped], [turned]):
        again = read_corpus(other)
        assert equal(again, corpus) and again.sha256 == corpus.sha256


def test_flipped_labels_are_caught(pair):
    """The comparison above sees positives taken for negatives."""
    corpus = read_corpus(pair)
    pair[0].write_bytes(BAD)
    pair[1].write_bytes(GOOD)
    assert not equal(read_corpus(pair), corpus)


def test_nel_is_no_line_end(pair):
    """0x85 is an ellipsis inside a line; str.splitlines would break there."""
    pair[0].write_bytes(b"wait\x85 what\nan \x96 other \x1c \x0b \x0c line\n")
    corpus = read_corpus(pair)
    assert sentences(corpus)[0][:2] == ["wait what", "an other line"]
    assert len(pair[0].read_bytes().decode("latin-1").splitlines()) == 6
    spaced = read_corpus(pair, tokens="whitespace")
    assert sentences(spaced)[0][0] == "wait\u2026 what"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("tokens", ["kim", "whitespace"])
def test_line_ends_of_the_pair(end, last, tokens, pair):
    """LF or CRLF, with or without one at the end of the file."""
    plain = read_corpus(pair, tokens=tokens)
    data = GOOD.replace(b"\n", end)
    pair[0].write_bytes(data if last else data[: -len(end)])
    assert equal(read_corpus(pair, tokens=tokens), plain)


def test_bytes_outside_windows_1252(pair, refused):
    """A byte that no encoding has is refused with its line, and never replaced."""
    pair[0].write_bytes(b"caf\xe9 na\xefve good\nan odd \x81\x8d byte\n")
    with refused(pair[0], "line 2", "neither UTF-8 nor Windows-1252"):
        read_corpus(pair)


def test_fasttext_labels(tmp_path):
    """Labels keep their names; those of gensim's sample are MR's 1 and 0."""
    file = tmp_path / "x.cor"
    file.write_bytes(b"__label__pos good\x85\n__label__5 odd one\n__label__neg bad\n")
    corpus = read_corpus([file])
    assert sentences(corpus) == (["good", "odd one", "bad"], ["pos", "5", "neg"])
    assert corpus.label_names == ("5", "neg", "pos")
    file = file.rename(tmp_path / SAMPLE_FILE)
    assert sentences(read_corpus([file]))[1] == ["1", "5", "0"]


# --- Tables --------------------------------------------------------------------


def table(folder, name, text, encoding="utf-8"):
    """A table under a name; ``.gz`` names are compressed."""
    data = text.encode(encoding)
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


ROWS = [("1", "a good film"), ("0", "a bad one"), ("1", "fine")]


@pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x.tsv.gz", "x.csv.gz", "x.CSV"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("header", [["label", "text"], ["text", "split", "label"]])
def test_tables_agree(name, end, bom, header, tmp_path):
    """Both kinds, compressed, CRLF, BOM, columns in any order: one corpus."""
    comma = "," if "csv" in name.lower() else "\t"
    lines = [comma.join({"label": a, "text": b, "split": "s"}[h] for h in header) for a, b in ROWS]
    path = table(tmp_path, name, bom + end.join([comma.join(header), *lines]) + end)
    corpus = read_corpus([path])
    assert sentences(corpus) == ([b for _, b in ROWS], [a for a, _ in ROWS])
    assert corpus.sha256 == {name: hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize(
    "name, comma", [("X.TSV", "\t"), ("x.Tsv.GZ", "\t"), ("x.tsv.old.csv", ",")]
)
def test_kind_of_table_by_its_last_ending(name, comma, tmp_path):
    """Capitals do not make a TSV a CSV, and neither does the middle of a name."""
    lines = [f"label{comma}text", f"1{comma}good", f"0{comma}bad"]
    path = table(tmp_path, name, "\n".join(lines))
    if name.endswith("GZ"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_corpus([path])) == 2


def test_quoted_fields_of_csv(tmp_path):
    """Commas, doubled quotes and line ends inside quotes (RFC 4180)."""
    text = 'text,label\n"a, ""b""\nc",yes\n"d",no\n\n'
    corpus = read_corpus([table(tmp_path, "x.csv", text)], tokens="whitespace")
    assert sentences(corpus) == (['a, "b" c', "d"], ["yes", "no"])


def test_quoted_fields_of_tsv(tmp_path):
    """Quoted as pandas does, or quotes that are text and swallow no line."""
    lines = [
        "label\ttext",
        '1\t"she said ""well"""',  # pandas
        '0\t"an open quote',  # text: the next line is one of its own
        '1\ta 5" screen',
        '0\t"a\tb"',  # a quoted tab
        "",
        "1\t'single'",
    ]
    corpus = read_corpus([table(tmp_path, "x.tsv", "\n".join(lines))], tokens="whitespace")
    texts = ['she said "well"', "an open quote", 'a 5" screen', "a b", "'single'"]
    assert sentences(corpus) == (texts, list("10101"))


def test_several_labels_and_markup(tmp_path):
    """Any number of labels; ``<br />`` is no word; blanks round a label are cut."""
    text = "label\ttext\n 2 \tgood<br /><br />film\nneutral\tso so\n10\tgreat\n"
    corpus = read_corpus([table(tmp_path, "x.tsv", text)])
    assert corpus.label_names == ("2", "10", "neutral")
    assert sentences(corpus) == (["good film", "so so", "great"], ["2", "neutral", "10"])


def test_rows_of_a_pool(tmp_path):
    """A text, no label where there is no such column, and the line of the row's end."""
    path = table(tmp_path, "x.csv", 'a,text\n1,"x\ny"\n\n2,z\n')
    rows = [(row.line, row.text, row.label) for row in pool_texts(path)]
    assert rows == [(3, "x\ny", ""), (5, "z", "")]


def test_long_fields_and_the_limit_of_csv(tmp_path):
    """A text beyond csv's own limit is read, and that limit stands afterwards."""
    before = csv.field_size_limit()
    text = "good " * 40_000
    assert len(text) > before
    corpus = read_corpus([table(tmp_path, "x.csv", f"label,text\n1,{text}\n0,bad\n")])
    assert corpus.lengths.tolist() == [40_000, 1]
    assert csv.field_size_limit() == before


# --- Nothing in silence ---------------------------------------------------------


@pytest.mark.parametrize(
    "name, data",
    [
        ("x.all", b"1 good film\r0 bad film\r1 warm one\n0 dull\n"),
        ("x.cor", b"__label__a good film\rbad film\rwarm one\n__label__b dull\n"),
    ],
)
def test_lone_crs_of_texts_are_noted(name, data, tmp_path):
    (tmp_path / name).write_bytes(data)
    notes = read_corpus([tmp_path / name]).summary.notes
    assert f"{name}: CRs alone within lines, read as blanks: 2 (first in line 1)" in notes
    (tmp_path / name).write_bytes(data.replace(b"\rbad film\r", b" ").replace(b"\r", b" "))
    assert "CRs" not in " ".join(read_corpus([tmp_path / name]).summary.notes)


def test_more_lone_crs_than_texts_are_refused(pair, tmp_path, refused):
    """A pair and a pool from an old Mac with one LF; in CR throughout they are read."""
    for ending, known in ((b"\n", False), (b"\r", True)):
        pair[0].write_bytes(b"good one\rfine two\rwarm three" + ending)
        (tmp_path / "pool.txt").write_bytes(pair[0].read_bytes())
        for read in (lambda: read_corpus(pair), lambda: list(pool_texts(tmp_path / "pool.txt"))):
            if known:
                assert len(read()) >= 3
                continue
            with refused("line 1", "CRs alone within lines: 2, but LFs: 1"):
                read()


def folders(place, *names):
    """A folder of texts for each name."""
    for name in names:
        (place / name).mkdir(parents=True)
        (place / name / "1.txt").write_text("good film")
        (place / name / "2.txt").write_bytes(b"bad\rodd\rfilm\n")
    return place


def test_a_folder_that_is_left_out_is_noted(tmp_path, refused):
    """Its name begins with _; a hidden one is nobody's label."""
    corpus = read_corpus([folders(tmp_path / "x", "_neutral", "a", "b", ".git")])
    assert corpus.label_names == ("a", "b") and len(corpus) == 4
    assert corpus.summary.notes == ("x: _neutral left out",)
    plain = read_corpus([folders(tmp_path / "y", "a", "b")])
    assert plain.summary.notes == () and len(plain) == 4
    with refused("two folders of texts", "(names that begin with _ do not count)"):
        read_corpus([folders(tmp_path / "z", "a", "_b")])


def test_a_label_that_is_not_utf_8_is_refused(tmp_path, refused):
    """Python has its bytes as halves of characters, which no file can hold; é itself is a label."""
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    with refused(tmp_path / "x", r"'caf\udce9' is not UTF-8", "rename it"):
        read_corpus([folders(tmp_path / "x", odd, "b")])
    assert read_corpus([folders(tmp_path / "y", "caf\xe9", "b")]).label_names == ("b", "caf\xe9")


# --- Bad input -----------------------------------------------------------------


def test_missing_corpus(tmp_path, refused):
    """The name that is not there, and what to do."""
    with refused(tmp_path / "none.tsv", "no such file", "replicate fetch"):
        read_corpus([tmp_path / "none.tsv"])
    with refused(tmp_path / POLARITY_FILES[0], "not in the folder", "replicate fetch"):
        read_corpus([tmp_path])


def test_wrong_paths(pair, tmp_path, refused):
    """Two files that are no pair, too many, none, and a name of no known kind."""
    other = table(tmp_path, "x.txt", "good")
    for paths in ([pair[0], other], [pair[0], pair[0]], [other, other]):
        with refused(*paths, "the pair .pos and .neg"):
            read_corpus(paths)
    for paths in ([], [*pair, other]):
        with refused("--corpus", remedy="name one file, one folder, or the pair"):
            read_corpus(paths)
    for path in (other, pair[0]):
        with refused(path, "name .tsv, .csv, .jsonl"):
            read_corpus([path])
    (tmp_path / "folder.tsv").mkdir()
    with refused(tmp_path / "folder.tsv" / POLARITY_FILES[0]):
        read_corpus([tmp_path / "folder.tsv"])


@pytest.mark.parametrize(
    "data, parts",
    [
        (b"", ["is empty"]),
        (b" ", ["is empty"]),
        (b"\n", ["is empty"]),
        (b"good\n...\nfine\n", ["line 2", "no words are left", "remove that line"]),
        (b"good\n\n...\n", ["line 3", "remove that line"]),
        (b"good\nba\0d\n", ["line 2", "not text"]),
        (gzip.compress(GOOD, mtime=0)[:-9], ["is it whole?"]),
        (bytes(range(256)), ["line 2", "neither UTF-8"]),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_bad_half_of_the_pair(data, parts, which, pair, tmp_path, refused):
    """Empty, blank or no text: folder, file and line are told."""
    pair[which].write_bytes(data)
    with refused(tmp_path, POLARITY_FILES[which], *parts):
        read_corpus(pair)


@pytest.mark.parametrize("text", ["", "...", " \n\n"])
def test_a_text_that_is_a_file_is_told_as_one(text, tmp_path, refused):
    """Of a folder of texts a file is removed; of a file, a line."""
    for label, words in (("0", "so dull"), ("1", "a fine film")):
        (tmp_path / "fd: line 3" / label).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "fd: line 3" / label / f"{i}.txt").write_text(words)
    odd = tmp_path / "fd: line 3" / "0" / "e.txt"
    odd.write_text(text)
    with refused(odd, "no words are left", remedy="; remove that file$"):
        read_corpus([tmp_path / "fd: line 3"])
    place = tmp_path / "e.txt.tsv"
    place.write_text(f"label\ttext\n1\ta fine film\n0\t{text.strip()}\n0\tso dull\n")
    with refused(f"{place}: line 3", remedy="; remove that line$"):
        read_corpus([place])


def test_a_pair_in_two_folders(tmp_path, refused):
    """The folder told is that of the bad file."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    good, bad = tmp_path / "a" / "x.pos", tmp_path / "b" / "x.neg"
    good.write_bytes(GOOD)
    bad.write_bytes(b"")
    with refused(tmp_path / "b", "x.neg"):
        read_corpus([good, bad])


def test_pair_that_cannot_be_read(pair, refused):
    """A folder by the name of a file."""
    pair[1].unlink()
    pair[1].mkdir()
    with refused(pair[1], "not a file"):
        read_corpus(pair)


@pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x.tsv.gz"])
@pytest.mark.parametrize(
    "lines, parts",
    [
        ([], ["empty"]),
        (["label,text"], ["empty"]),
        (["text,lable", "a,1"], ["line 1", "no column 'label'"]),
        (["label,words", "1,a"], ["line 1", "no column 'text'"]),
        (["1,good", "0,bad"], ["line 1", "no column"]),
        (["label,text", "1,good", "0"], ["line 3", "1 fields", "the header 2"]),
        (["label,text", "1,good,more"], ["line 2", "3 fields", "the header 2"]),
        (["label,text", "1,good", ",bad"], ["line 3", "no label"]),
        (["label,text", "1,good", " ,bad"], ["line 3", "no label"]),
        (["label,text", "1,good", "0,..."], ["line 3", "no words are left"]),
        (["label,text", "1,good", "0,"], ["line 3", "no words are left"]),
        (["label,text", "1,good", "1,bad"], ["only the label '1'", "two labels or more"]),
        (["label,text", "1,good", "0,b\0d"], ["line 3", "not text"]),
    ],
)
def test_bad_table(name, lines, parts, tmp_path, refused):
    """Every fault is told with file and line."""
    comma = "," if "csv" in name else "\t"
    path = table(tmp_path, name, "\n".join(lines).replace(",", comma) + "\n" * bool(lines))
    with refused(path, *parts):
        read_corpus([path])


@pytest.mark.parametrize(
    "name, data, parts",
    [
        ("x.csv", b"label,text\n1,caf\xe9\n", ["line 2", "not UTF-8"]),
        ("x.tsv", "label\ttext\n1\tgood\n".encode("utf-16")[:-1], ["damaged UTF-16"]),
        ("x.tsv", "label\ttext\n1\tgood\n".encode("utf-16-le"), ["line 1", "UTF-16"]),
        ("x.csv.gz", gzip.compress(b"label,text\n1,a\n0,b\n", mtime=0)[:-9], ["is it whole?"]),
        (
            "x.csv.gz",
            gzip.compress(b"label,text\n1,a\n0,b\n", mtime=0)[:-1] + b"!",
            ["is it whole?"],
        ),
        ("x.csv", b'label,text\n1,good\n0,"never closed\n', ["line", "correct that line"]),
        ("x.csv", b'label,text\n1,"a"b\n', ["line", "correct that line"]),
        ("x.csv", b"label,text\r1,good\n0,bad\r", ["line 1", "no column 'text'"]),
        ("x.tsv", b"<html><body>404</body></html>\n", ["a web page", "fetch it again"]),
        ("x.cor", b"good\n", ["line 1", "__label__"]),
        ("x.cor", b"__label__pos good\n__label__neg\n", ["line 2", "no words are left"]),
        ("x.cor", b"__label__pos good\n", ["only the label 'pos'"]),
        ("x.cor", b"", ["empty"]),
        ("x.cor", b"__label__pos \0\n", ["line 1", "not text"]),
    ],
)
def test_bad_bytes(name, data, parts, tmp_path, refused):
    """Another encoding, damage, truncation, a page of the web."""
    path = tmp_path / name
    path.write_bytes(data)
    with refused(path, *parts):
        read_corpus([path])


def test_an_empty_fasttext_label(tmp_path, refused):
    """``__label__`` without a name is no label."""
    path = tmp_path / "x.cor"
    path.write_bytes(b"__label__pos good\n__label__ bad\n")
    with refused(path, "line 2"):
        read_corpus([path])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.cor"])
@pytest.mark.parametrize("good", [True, False])
def test_no_file_stays_open(name, good, tmp_path, recwarn):
    """After the last line, and after an error in the middle."""
    lines = {
        "x.csv": ["label,text", "1,good", "0,bad"],
        "x.tsv": ["label\ttext", "1\tgood", "0\tbad"],
        "x.cor": ["__label__pos good", "__label__neg bad", "__label__pos fine"],
    }[name]
    path = table(tmp_path, name, "\n".join(lines if good else [*lines[:2], "odd"]))
    warnings.simplefilter("always")
    try:
        read_corpus([path])
    except InputError:
        assert not good
    gc.collect()
    assert [str(told.message) for told in recwarn] == []


def test_gzipped_tables_are_closed(tmp_path, recwarn):
    """The same for the compressed ones, and the check above can pass."""
    path = table(tmp_path, "x.csv.gz", "label,text\n1,good\n0,bad\n")
    warnings.simplefilter("always")
    read_corpus([path])
    gc.collect()
    assert [str(told.message) for told in recwarn] == []
    open(path, "rb")
    gc.collect()
    assert len(recwarn) == 1


# --- Bad archives --------------------------------------------------------------


@pytest.mark.parametrize(
    "members, parts",
    [
        ([], ["rt-polarity.pos is not in it"]),
        (MEMBERS[:1], ["rt-polarity.neg is not in it"]),
        ([*MEMBERS, MEMBERS[0]], ["rt-polarity.pos", "there twice"]),
        ([MEMBERS[0], (MEMBERS[1][0], b"")], ["rt-polarity.neg is empty"]),
        ([MEMBERS[0], (MEMBERS[1][0], b"ok\n,\n.\n")], ["rt-polarity.neg: line 3", "no words"]),
    ],
)
def test_bad_archive(members, parts, tmp_path, refused):
    """A member that is missing, twice, empty or bad is told."""
    path = archive(tmp_path / "x.tar.gz", members)
    with refused(path, *parts):
        read_corpus([path])


def test_archive_of_a_bomb_or_of_links(tmp_path, monkeypatch, refused):
    """A member beyond measure is not read; a link is no file; nothing is unpacked."""
    path = archive(tmp_path / "x.tar.gz", MEMBERS)
    size = len(gzip.decompress(path.read_bytes()))
    monkeypatch.setattr(corpora, "_ARCHIVE_LIMIT", size - 1)
    with refused(path, f"more than {size - 1:,} bytes"):
        read_corpus([path])
    monkeypatch.setattr(corpora, "_ARCHIVE_LIMIT", size)
    assert len(read_corpus([path])) == 3
    links = archive(tmp_path / "y.tar.gz", [(n, b"") for n, _ in MEMBERS], kind=tarfile.SYMTYPE)
    with refused(links, "is not in it"):
        read_corpus([links])
    outside = archive(tmp_path / "z.tar.gz", [("../../etc/" + n, d) for n, d in MEMBERS])
    assert len(read_corpus([outside])) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar.gz", "y.tar.gz", "z.tar.gz"]


@pytest.mark.parametrize("length", [2, 30, 100, 130])
def test_truncated_archive(length, tmp_path, refused):
    """Cut in the data, the archive is not sound."""
    path = archive(tmp_path / "x.tar.gz", MEMBERS)
    path.write_bytes(path.read_bytes()[:length])
    with refused(path, "not a sound archive", "fetch it again"):
        read_corpus([path])


@pytest.mark.parametrize(
    "data", [b"", b"<!DOCTYPE html>\n<html></html>\n", b"\0" * 99], ids=["empty", "page", "zeros"]
)
def test_what_is_no_archive(data, tmp_path, refused):
    """Empty, a web page, the start of one: in one line."""
    path = tmp_path / "x.tar.gz"
    path.write_bytes(data)
    with refused(path, "not a sound archive", "fetch it again"):
        read_corpus([path])


def test_a_damaged_archive_is_never_read_as_another_text(tmp_path):
    """One flipped bit anywhere: refused, or the same sentences; never others."""
    whole = archive(tmp_path / "x.tar.gz", MEMBERS).read_bytes()
    wanted = read_corpus([tmp_path / "x.tar.gz"])
    path, others = tmp_path / "damaged.tar.gz", 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            others += not equal(read_corpus([path]), wanted)
        except InputError:
            pass
    assert others == 0


@pytest.mark.parametrize(
    "size, kind, parts",
    [
        (b"77777777777\0", tarfile.REGTYPE, []),
        (b"\x80" + (1 << 60).to_bytes(11, "big"), tarfile.REGTYPE, []),
        # A negative size makes some versions of tarfile read a header again and again.
        (b"\xff" * 10 + b"\xfc\x00", tarfile.REGTYPE, []),
        # A name that long is no TarError but an OverflowError.
        (b"\x80" + (1 << 80).to_bytes(11, "big"), tarfile.GNUTYPE_LONGNAME, []),
        (b"%011o\0" % len(GOOD), tarfile.SYMTYPE, ["rt-polarity.pos is not in it"]),
    ],
)
def test_a_size_or_kind_that_only_a_header_promises(size, kind, parts, tmp_path, refused):
    """Refused, whatever tarfile makes of it; with the right promise the archive is read."""
    tar = bytearray(gzip.decompress(archive(tmp_path / "x.tar.gz", MEMBERS).read_bytes()))
    tar[124:136], tar[156:157] = size, kind
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    with refused("x.tar.gz", *parts):
        polarity_archive(gzip.compress(bytes(tar)), "x.tar.gz")
    assert set(polarity_archive((tmp_path / "x.tar.gz").read_bytes(), "x")) == set(POLARITY_FILES)


def test_an_archive_of_many_members(tmp_path, refused):
    """A hundred members are read; more are no archive of two files."""
    more = [(f"rt/{n}", b"") for n in range(98)]
    path = archive(tmp_path / "x.tar.gz", [*more, *MEMBERS])
    assert len(read_corpus([path])) == 3
    path = archive(tmp_path / "y.tar.gz", [*more, *MEMBERS, ("rt/98", b"")])
    with refused(path, "more than 100 members"):
        read_corpus([path])
