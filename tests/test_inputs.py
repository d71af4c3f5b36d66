"""A table of inputs with their expected readings: labels, texts and vectors.

Fuzzing finds tracebacks; it cannot find a wrong reading.  Every row here has an
input that people's tools write, made in code, and what it says.  pandas and
gensim are asked too, where they can read it.
"""

import csv
import gzip
import io
import json
from unicodedata import normalize

import numpy as np
import pandas
import pytest
from gensim.models import KeyedVectors

from replicate.beyond.own_data import fit, read_pool, select
from replicate.cli import main
from replicate.config import Config
from replicate.corpus import Corpus, read_corpus, tokenize
from replicate.io.corpora import labelled_texts
from replicate.io.data import SAMPLE_FILE
from replicate.io.files import load_json, read_csv, save_csv
from replicate.io.wordvectors import read_vectors
from replicate.vectors import embedding_matrix

GOOD, BAD = "a warm and lively film", "a dull and noisy plot"
#: What most rows say: labels and texts.
TWO = [("1", GOOD), ("0", BAD)]


def put(folder, files):
    """Write name -> bytes (or text, as UTF-8); the paths."""
    paths = []
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        paths.append(path)
    return paths


def rows_of(texts):
    """Labels and texts as they come out of a reader, blanks round them cut."""
    return [(row.label, row.text.strip()) for row in texts]


def table(separator=",", header=("label", "text"), rows=TWO, end="\n", last=True):
    """A plain table."""
    lines = [separator.join(row) for row in (header, *rows)]
    return end.join(lines) + end * last


def excel(separator=",", rows=TWO, header=("label", "text")):
    """A table as spreadsheets write it: quoted where needed, CRLF."""
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows([header, *rows])
    return file.getvalue()


def by_pandas(rows=TWO, columns=("label", "text"), **options):
    """A table as ``DataFrame.to_csv`` writes it."""
    return pandas.DataFrame(rows, columns=list(columns)).to_csv(**{"index": False, **options})


QUOTED = [("1", 'she said "well, yes" twice'), ("0", '"dull", he said'), ("1", "plain; text, here")]
BROKEN = [("1", "first line\nsecond line"), ("0", "one\n\nthree"), ("1", "whole")]
JAPANESE = [("良い", "映画 は 面白い"), ("悪い", "映画 は 退屈"), ("好き", "音楽 が 好き")]
RUSSIAN = [("да", "я люблю этот фильм"), ("нет", "с ним скучно э")]

#: Tables: name of the file -> bytes, what it says, and what pandas needs to read it (None: it
#: cannot, or reads something else).
TABLES = {
    # --- as pandas writes them
    "pandas.csv": (by_pandas(), TWO, {}),
    "pandas-index.csv": (by_pandas(index=True), TWO, {}),
    "pandas-named-index.csv": (by_pandas(index=True, index_label="id"), TWO, {}),
    "pandas-all-quoted.csv": (by_pandas(quoting=csv.QUOTE_ALL), TWO, {}),
    "pandas-texts-quoted.csv": (by_pandas(quoting=csv.QUOTE_NONNUMERIC), TWO, {}),
    "pandas-quotes.csv": (by_pandas(QUOTED), QUOTED, {}),
    "pandas-line-ends.csv": (by_pandas(BROKEN), BROKEN, {}),
    "pandas-crlf.csv": (by_pandas(lineterminator="\r\n"), TWO, {}),
    "pandas-bom.csv": (by_pandas().encode("utf-8-sig"), TWO, {}),
    "pandas.tsv": (by_pandas(sep="\t"), TWO, {"sep": "\t"}),
    "pandas-quotes.tsv": (by_pandas(QUOTED, sep="\t"), QUOTED, {"sep": "\t"}),
    "pandas-line-ends.tsv": (by_pandas(BROKEN, sep="\t"), BROKEN, {"sep": "\t"}),
    "pandas-tab-in-text.tsv": (
        by_pandas([("1", "a\tb"), ("0", "c")], sep="\t"), [("1", "a\tb"), ("0", "c")], {"sep": "\t"}
    ),
    "pandas-packed.csv.gz": (gzip.compress(by_pandas().encode()), TWO, {}),
    "pandas-utf16.tsv": (
        by_pandas(sep="\t").encode("utf-16"), TWO, {"sep": "\t", "encoding": "utf-16"}
    ),
    "pandas-utf32.csv": (by_pandas().encode("utf-32"), TWO, {"encoding": "utf-32"}),
    "pandas-bars.csv": (by_pandas(sep="|"), TWO, {"sep": "|"}),
    "pandas-japanese.csv": (by_pandas(JAPANESE), JAPANESE, {}),
    "pandas-russian.tsv": (by_pandas(RUSSIAN, sep="\t"), RUSSIAN, {"sep": "\t"}),
    "pandas-columns-turned.csv": (
        by_pandas([(b, a) for a, b in TWO], ("text", "label")), TWO, {}
    ),
    "pandas-more-columns.csv": (
        by_pandas([(i, *row, "x") for i, row in enumerate(TWO)], ("id", "label", "text", "split")),
        TWO, {},
    ),
    # --- as spreadsheets write them
    "excel.csv": (excel(), TWO, {}),
    "excel-quotes.csv": (excel(rows=QUOTED), QUOTED, {}),
    "excel-utf8.csv": (excel().encode("utf-8-sig"), TWO, {}),
    "excel-semicolons.csv": (excel(";"), TWO, {"sep": ";"}),
    "excel-semicolons-bom.csv": (excel(";").encode("utf-8-sig"), TWO, {"sep": ";"}),
    "excel-semicolons-quotes.csv": (excel(";", QUOTED), QUOTED, {"sep": ";"}),
    "excel-sep.csv": ("sep=;\r\n" + excel(";"), TWO, {"sep": ";", "skiprows": 1}),
    "excel-sep-quoted.csv": ('"sep=;"\r\n' + excel(";"), TWO, {"sep": ";", "skiprows": 1}),
    "excel-sep-comma.csv": ("sep=,\r\n" + excel(), TWO, {"skiprows": 1}),
    "excel-unicode-text.txt.tsv": (
        excel("\t").encode("utf-16"), TWO, {"sep": "\t", "encoding": "utf-16"}
    ),
    "excel-unicode-big.tsv": (
        b"\xfe\xff" + excel("\t", QUOTED).encode("utf-16-be"), QUOTED,
        {"sep": "\t", "encoding": "utf-16"},
    ),
    "excel-old-mac.csv": (table(end="\r"), TWO, {"lineterminator": "\r"}),
    "excel-old-mac.tsv": (table("\t", end="\r"), TWO, {"sep": "\t", "lineterminator": "\r"}),
    "excel-line-ends.csv": (
        'label,text\r\n1,"first\nsecond"\r\n0,"third\r\nfourth"\r\n',
        [("1", "first\nsecond"), ("0", "third\nfourth")], None,
    ),
    "excel-empty-rows.csv": (excel() + ",\r\n,\r\n", TWO, None),
    "excel-empty-rows.tsv": (excel("\t") + "\t\r\n", TWO, None),
    # --- as GLUE and others write them, without quoting
    "glue.tsv": (table("\t", ("sentence", "label"), [(b, a) for a, b in TWO]), TWO, {"sep": "\t"}),
    "glue-quotes.tsv": (
        table("\t", rows=[("1", 'an "odd film'), ("0", 'a 5" screen , " dull')]),
        [("1", 'an "odd film'), ("0", 'a 5" screen , " dull')], {"sep": "\t", "quoting": 3},
    ),
    "glue-lone-quotes.tsv": (
        table("\t", rows=[("1", 'so it "ends'), ("0", 'and "begins'), ("1", "well")]),
        [("1", 'so it "ends'), ("0", 'and "begins'), ("1", "well")], {"sep": "\t", "quoting": 3},
    ),
    "glue-quote-over-two-fields.tsv": (
        table("\t", ("text", "label"), [('"well', 'one"'), ("dull", "two")]),
        [('one"', '"well'), ("two", "dull")], {"sep": "\t", "quoting": 3},
    ),
    "quotes-on-two-lines.tsv": (
        'text\tlabel\n"it begins\tyes\nit ends"\tno\n',
        [("yes", '"it begins'), ("no", 'it ends"')], {"sep": "\t", "quoting": 3},
    ),
    "a-field-of-two-lines.tsv": (
        'text\tlabel\n"it begins\nit ends"\tyes\nwhole\tno\n',
        [("yes", "it begins\nit ends"), ("no", "whole")], {"sep": "\t"},
    ),
    # --- separators that the name does not promise
    "tabs.csv": (table("\t"), TWO, {"sep": "\t"}),
    "commas.tsv": (table(","), TWO, {}),
    "semicolons.tsv": (table(";"), TWO, {"sep": ";"}),
    "tabs.tab": (table("\t"), TWO, {"sep": "\t"}),
    "CAPITALS.CSV": (table(), TWO, {}),
    "packed-without-a-name.csv": (gzip.compress(table().encode()), TWO, None),
    "a-name-without-packing.csv.gz": (table(), TWO, None),
    # --- headers
    "header-capitals.csv": (table(header=("LABEL", "Text")), TWO, {}),
    "header-blanks.csv": (table(header=(" label ", " text")), TWO, {}),
    "header-quoted.csv": (table(header=('"label"', '"text"')), TWO, {}),
    "header-imdb.csv": (table(header=("sentiment", "review")), TWO, {}),
    "header-yelp.csv": (table(header=("stars", "Text")), TWO, {}),
    "header-tweets.csv": (table(header=("polarity", "tweet")), TWO, {}),
    "header-class.tsv": (table("\t", ("Class", "Document")), TWO, {"sep": "\t"}),
    "header-category.csv": (table(header=("category", "message")), TWO, {}),
    "header-target.csv": (table(header=("target", "content")), TWO, {}),
    "header-rating.csv": (table(header=("Rating", "Comment")), TWO, {}),
    "header-exact-wins.csv": (
        table(header=("rating", "label", "text", "title"), rows=[("5", *row, "t") for row in TWO]),
        TWO, {},
    ),
    # --- lines
    "no-last-line-end.csv": (table(last=False), TWO, {}),
    "blank-lines.csv": (table(end="\n\n"), TWO, {}),
    "blank-first.csv": ("\n\n" + table(), TWO, {}),
    "spaced-labels.tsv": (table("\t", rows=[(" 1 ", GOOD), ("0  ", BAD)]), TWO, None),
    "lone-cr.tsv": (
        table("\t", rows=[("1", "a warm\rfilm"), ("0", "dull")]),
        [("1", "a warm film"), ("0", "dull")], None,
    ),
    "lone-cr.csv": (
        'label,text\n1,"a warm\rfilm"\n0,a dull\rplot\n',
        [("1", "a warm film"), ("0", "a dull plot")], None,
    ),
    "joined-with-marks.csv": (
        "\ufefflabel,text\n1,good\n\ufeff0,bad\n", [("1", "good"), ("0", "bad")], None
    ),
    "separators-of-unicode.csv": (
        "label,text\n1,a\u2028b\x85c\x0bd\n0,x\n", [("1", "a\u2028b\x85c\x0bd"), ("0", "x")], {}
    ),
    "long-field.csv": (
        table(rows=[("1", "good " * 40_000 + "film"), ("0", "bad")]),
        [("1", "good " * 40_000 + "film"), ("0", "bad")], {},
    ),
    # --- labels
    "labels-alike.csv": (
        table(rows=[("0", "a"), ("0.0", "b"), ("Pos", "c"), ("pos", "d")]),
        [("0", "a"), ("0.0", "b"), ("Pos", "c"), ("pos", "d")], {},
    ),
    "labels-of-words.csv": (
        table(rows=[("very  good", "a"), ("bad", "b")]), [("very good", "a"), ("bad", "b")], None
    ),
}  # fmt: skip


def test_enough_rows():
    """The tables of this file hold at least 150 inputs."""
    tables = (TABLES, LINES, POOLS, REFUSED, TEXT_VECTORS, BINARY_VECTORS, MISREAD, BAD_VECTORS)
    assert sum(map(len, tables)) >= 150


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, tmp_path):
    """Labels and texts are those of the table, and pandas agrees where it can read it."""
    data, expected, options = TABLES[name]
    [path] = put(tmp_path, {name: data})
    assert rows_of(labelled_texts([path])) == expected
    if options is not None:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, **options)
        names = {str(c).strip().strip('"').lower(): c for c in frame.columns}
        text = next(n for n in "text sentence review tweet document message content comment".split()
                    if n in names)  # fmt: skip
        label = next(n for n in "label sentiment stars polarity class category target rating".split()
                     if n in names)  # fmt: skip
        read = [(a.strip(), b.strip()) for a, b in zip(frame[names[label]], frame[names[text]])]
        assert read == expected


# --- one text a line, JSON, folders -------------------------------------------------


def lines(*texts, end="\n"):
    """Texts, one a line."""
    return "".join(text + end for text in texts)


FT = lines(f"__label__good {GOOD}", f"__label__bad {BAD}")
FT_TWO = [("good", GOOD), ("bad", BAD)]
REVIEWS = {"pos/0_9.txt": GOOD, "pos/1_8.txt": "fine", "neg/0_2.txt": BAD}
OBJECTS = [{"label": a, "text": b} for a, b in TWO]
POSITIVE, NEGATIVE = ["a warm film", "it works"], ["so dull"]
PAIR_ROWS = [("1", "a warm film"), ("1", "it works"), ("0", "so dull")]


def pair(positive=POSITIVE, negative=NEGATIVE, end="\n", encoding="utf-8"):
    """Two files, one text a line."""
    return {
        "train.pos": lines(*positive, end=end).encode(encoding),
        "train.neg": lines(*negative, end=end).encode(encoding),
    }


#: Name -> files and what they say; "" in front of a folder's name reads the folder.
LINES = {
    # --- fastText
    "fasttext.cor": ({"x.cor": FT}, FT_TWO),
    "fasttext.txt": ({"x.txt": FT}, FT_TWO),
    "fasttext.train": ({"cooking.train": FT}, FT_TWO),
    "fasttext.valid.gz": ({"x.valid.gz": gzip.compress(FT.encode())}, FT_TWO),
    "fasttext-tab": ({"x.cor": FT.replace("good ", "good\t").replace("bad ", "bad\t")}, FT_TWO),
    "fasttext-blanks-before": ({"x.cor": lines(f" __label__good  {GOOD} ", f"\t__label__bad {BAD}")}, FT_TWO),
    "fasttext-blank-lines": ({"x.cor": "\n" + FT.replace("\n", "\n\n") + " \n"}, FT_TWO),
    "fasttext-bom": ({"x.cor": FT.encode("utf-8-sig")}, FT_TWO),
    "fasttext-crlf": ({"x.cor": FT.replace("\n", "\r\n")}, FT_TWO),
    "fasttext-comma-apart": (
        {"x.txt": lines(f"__label__good , {GOOD}", f"__label__bad , {BAD}")},
        [("good", f", {GOOD}"), ("bad", f", {BAD}")],
    ),
    "fasttext-label-last": ({"x.cor": lines(f"{GOOD} __label__good", f"__label__bad {BAD}").replace("a warm", "__label__good a warm", 1)}, FT_TWO),
    "fasttext-same-label-twice": ({"x.cor": lines(f"__label__good __label__good {GOOD}", f"__label__bad {BAD}")}, FT_TWO),
    "fasttext-pos-neg": (
        {"x.cor": lines("__label__pos good", "__label__neg bad")}, [("pos", "good"), ("neg", "bad")]
    ),
    "fasttext-sample": (
        {SAMPLE_FILE: lines("__label__pos good", "__label__neg bad")}, [("1", "good"), ("0", "bad")]
    ),
    "fasttext-russian": (
        {"ru.cor": lines(*(f"__label__{a} {b}" for a, b in RUSSIAN))}, RUSSIAN
    ),
    "fasttext-japanese": (
        {"ja.cor": lines(*(f"__label__{a} {b}" for a, b in JAPANESE))}, JAPANESE
    ),
    "fasttext-windows-1252": (
        {"x.cor": lines("__label__good très bien, a really warm and lively film", f"__label__bad {BAD}").encode("cp1252")},
        [("good", "très bien, a really warm and lively film"), ("bad", BAD)],
    ),
    # --- a number before each text
    "kim.all": ({"TREC.train.all": lines(f"1 {GOOD}", f"0 {BAD}")}, TWO),
    "kim.train": ({"stsa.fine.train": lines(f"4 {GOOD}", "10 fine")}, [("4", GOOD), ("10", "fine")]),
    "kim-tabs.txt": ({"x.txt": lines(f"1\t{GOOD}", f"0\t{BAD}")}, TWO),
    # --- pairs
    "pair": (pair(), PAIR_ROWS),
    "pair-crlf": (pair(end="\r\n"), PAIR_ROWS),
    "pair-cr": (pair(end="\r"), PAIR_ROWS[:1] + [("1", "it works")] + PAIR_ROWS[2:]),
    "pair-bom": (pair(encoding="utf-8-sig"), PAIR_ROWS),
    "pair-utf16": (pair(encoding="utf-16"), PAIR_ROWS),
    "pair-packed": ({f"{n}.gz": gzip.compress(d) for n, d in pair().items()}, PAIR_ROWS),
    "pair-russian": (
        pair(["я люблю", "с тобой"], ["э скучно"]),
        [("1", "я люблю"), ("1", "с тобой"), ("0", "э скучно")],
    ),
    "pair-japanese-and-french": (
        pair(["映画 は 楽しい", "très réussi déjà"], ["映画 は 退屈"]),
        [("1", "映画 は 楽しい"), ("1", "très réussi déjà"), ("0", "映画 は 退屈")],
    ),
    "pair-windows-1252": (
        pair(["wait\u2026 what a film", "a caf\xe9 \u2013 and na\xefve people in it"], encoding="cp1252"),
        [("1", "wait\u2026 what a film"), ("1", "a caf\xe9 \u2013 and na\xefve people in it"), ("0", "so dull")],
    ),
    "pair-one-of-each-encoding": (
        {"x.pos": "я люблю\n".encode(), "x.neg": b"a caf\xe9 where nobody ever laughs\n"},
        [("1", "я люблю"), ("0", "a café where nobody ever laughs")],
    ),
    "pair-blank-lines": (pair(["a warm film", "", "it works", " "]), PAIR_ROWS),
    "pair-lone-cr": (pair(["a warm\rfilm", "it works"]), PAIR_ROWS),
    "pair-nel-and-others": (
        pair(["a\x85b\u2028c\x0cd", "it works"]),
        [("1", "a\x85b\u2028c\x0cd"), ("1", "it works"), ("0", "so dull")],
    ),
    "subjectivity": (
        {"subj.objective": "a boy moves\n", "subj.subjective": "a small gem\n"},
        [("subjective", "a small gem"), ("objective", "a boy moves")],
    ),
    # --- JSON Lines
    "objects.jsonl": ({"x.jsonl": lines(*map(json.dumps, OBJECTS))}, TWO),
    "objects.ndjson": ({"x.ndjson": lines(*map(json.dumps, OBJECTS))}, TWO),
    "objects.json": ({"x.json": lines(*map(json.dumps, OBJECTS))}, TWO),
    "objects-packed": ({"x.jsonl.gz": gzip.compress(lines(*map(json.dumps, OBJECTS)).encode())}, TWO),
    "objects-bom": ({"x.jsonl": lines(*map(json.dumps, OBJECTS)).encode("utf-8-sig")}, TWO),
    "objects-blank-lines": ({"x.jsonl": lines("", *map(json.dumps, OBJECTS), "")}, TWO),
    "objects-numbers": (
        {"x.jsonl": lines('{"label": 1, "text": "a"}', '{"label": 0.0, "text": "b"}', '{"label": true, "text": "c"}')},
        [("1", "a"), ("0.0", "b"), ("true", "c")],
    ),
    "objects-of-pandas": (
        {"x.jsonl": pandas.DataFrame(JAPANESE, columns=["label", "text"]).to_json(orient="records", lines=True)},
        JAPANESE,
    ),
    "objects-names": (
        {"x.jsonl": lines('{"stars": 5, "Review": "a"}', '{"Review": "b", "stars": 1}')},
        [("5", "a"), ("1", "b")],
    ),
    "objects-escapes": (
        {"x.jsonl": lines(r'{"label": "1", "text": "a\tb\r\nc\rd \u00e9"}', r'{"label": "0", "text": "x"}')},
        [("1", "a\tb\nc d é"), ("0", "x")],
    ),
    # --- folders
    "aclImdb": ({f"train/{name}": data for name, data in REVIEWS.items()},
                [("neg", BAD), ("pos", GOOD), ("pos", "fine")]),
    "aclImdb-with-unsup": (
        {**{f"train/{name}": data for name, data in REVIEWS.items()}, "train/unsup/0_0.txt": "x", "train/urls_pos.txt": "http"},
        [("neg", BAD), ("pos", GOOD), ("pos", "fine")],
    ),
    "newsgroups": (
        {"news/sci.space/60001": "orbit\nand rocket", "news/rec.autos/101": "wheel", "news/talk/7": "talk"},
        [("rec.autos", "wheel"), ("sci.space", "orbit\nand rocket"), ("talk", "talk")],
    ),
    "folders-of-both-encodings": (
        {"two/a/1.txt": "très bien".encode(), "two/b/1.txt": "a café and nothing much to see there".encode("cp1252")},
        [("a", "très bien"), ("b", "a café and nothing much to see there")],
    ),
    "folders-hidden-files": (
        {"two/a/1.txt": "good", "two/a/.DS_Store": b"\0\1", "two/b/1.TXT": "bad", "two/.git/x": "x"},
        [("a", "good"), ("b", "bad")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_lines_and_folders(name, tmp_path):
    """fastText, numbered lines, pairs, JSON Lines and folders say what they say."""
    files, expected = LINES[name]
    paths = put(tmp_path, files)
    if "/" in next(iter(files)):
        paths = [tmp_path / next(iter(files)).split("/")[0]]
    assert rows_of(labelled_texts(paths)) == expected


# --- pools --------------------------------------------------------------------------

TEXTS = [GOOD, BAD]
#: Name -> bytes, and the texts with their lines.
POOLS = {
    "pool.txt": (lines(*TEXTS), [1, 2]),
    "pool-crlf.txt": (lines(*TEXTS, end="\r\n"), [1, 2]),
    "pool-cr.txt": (lines(*TEXTS, end="\r"), [1, 2]),
    "pool-bom.txt": (lines(*TEXTS).encode("utf-8-sig"), [1, 2]),
    "pool-utf16.txt": (lines(*TEXTS).encode("utf-16"), [1, 2]),
    "pool-blank-lines.txt": ("\n" + lines(GOOD, " ", BAD), [2, 4]),
    "POOL.TXT": (lines(*TEXTS), [1, 2]),
    "pool.txt.gz": (gzip.compress(lines(*TEXTS).encode()), [1, 2]),
    "pool-lone-cr.txt": (lines(GOOD.replace("warm and", "warm\rand"), BAD), [1, 2]),
    "pool-labelled.txt": (FT, [1, 2]),
    "pool.csv": (excel(rows=[(text,) for text in TEXTS], header=("text",)), [2, 3]),
    "pool.tsv": (lines("text", *TEXTS), [2, 3]),
    "pool-no-label.jsonl": (lines(*(json.dumps({"text": text}) for text in TEXTS)), [1, 2]),
    "pool.json.gz": (gzip.compress(lines(*map(json.dumps, OBJECTS)).encode()), [1, 2]),
    "pool-glue-test.tsv": (table("\t", ("index", "sentence"), [("0", GOOD), ("1", BAD)]), [2, 3]),
    "pool-empty-rows.csv": (f"label,text\n1,{GOOD}\n0,\n,{BAD}\n", [2, 4]),
    "pool.all": (lines(f"1 {GOOD}", f"0 {BAD}"), [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", POOLS)
def test_pools(name, tmp_path):
    """The texts of a pool, and the lines where they end."""
    data, places = POOLS[name]
    [path] = put(tmp_path, {name: data})
    read = read_pool(path)
    assert [row.text.strip() for row in read] == TEXTS
    assert [row.line for row in read] == places


def test_a_pool_in_quotes_over_lines(tmp_path):
    """A pool of pandas with line ends inside quotes: one column or two, as many texts as it has."""
    for columns in (("text",), ("text", "id")):
        rows = [(text, "x")[: len(columns)] for _, text in BROKEN]
        for name, options in (("p.tsv", {"sep": "\t"}), ("p.csv", {})):
            [path] = put(tmp_path, {name: by_pandas(rows, columns, **options)})
            assert [row.text for row in read_pool(path)] == [text for _, text in BROKEN]


def test_a_pair_in_several_languages_has_its_vectors(tmp_path):
    """All words of a pair in UTF-8 are known to vectors in UTF-8; as Windows-1252 few were."""
    files, _ = LINES["pair-japanese-and-french"]
    corpus = read_corpus(put(tmp_path, files), "whitespace")
    words = corpus.words.tolist()
    [path] = put(tmp_path, {"v.txt": text_vectors(dict.fromkeys(words, np.ones(2)))})
    assert embedding_matrix(words, path, Config())[1].all()
    misread = [word.encode().decode("cp1252", "replace") for word in words]
    assert not read_vectors(path, misread)[1].all()


def test_a_number_in_a_pool_is_a_word(tmp_path):
    """In a .txt that is a pool the first word may be a number."""
    [path] = put(tmp_path, {"p.txt": lines("5 stars", "2 weeks later")})
    assert [row.text for row in read_pool(path)] == ["5 stars", "2 weeks later"]


# --- what is refused, and what the line says ----------------------------------------------

#: Name -> files and parts of the message.
REFUSED = {
    "utf16-without-mark.tsv": (table("\t").encode("utf-16-le"), ["UTF-16", "UTF-8"]),
    "utf16-big-without-mark.csv": (table().encode("utf-16-be"), ["UTF-16", "UTF-8"]),
    "utf16-without-mark.txt": (FT.encode("utf-16-le"), ["UTF-16", "UTF-8"]),
    "utf16-cut.tsv": (table("\t").encode("utf-16")[:-1], ["damaged UTF-16"]),
    "windows-1252.csv": (table(rows=[("1", "café"), ("0", "b")]).encode("cp1252"), ["line 2", "not UTF-8"]),
    "shift-jis.csv": (table(rows=JAPANESE).encode("shift-jis"), ["line 2", "not UTF-8"]),
    "euc-jp.cor": (lines(*(f"__label__{a} {b}" for a, b in JAPANESE * 5)).encode("euc-jp"), ["UTF-8"]),
    "shift-jis.cor": (lines(*(f"__label__{a} {b}" for a, b in JAPANESE * 5)).encode("shift-jis"), ["UTF-8"]),
    "koi8-r.cor": (lines(*(f"__label__{a} {b}" for a, b in RUSSIAN * 5)).encode("koi8-r"), ["outside ASCII", "UTF-8"]),
    "windows-1251.txt": (lines(*(f"__label__{a} {b}" for a, b in RUSSIAN * 5)).encode("cp1251"), ["outside ASCII", "UTF-8"]),
    "undefined.cor": (b"__label__a caf\xe9 good\n__label__b \x81 film\n", ["line 2", "neither UTF-8 nor Windows-1252"]),
    "binary.csv": (bytes(range(256)) * 9, ["not UTF-8"]),
    "workbook.csv": (b"PK\x03\x04" + bytes(50), ["Excel", "save the sheet as CSV"]),
    "old-workbook.csv": (b"\xd0\xcf\x11\xe0" + bytes(50), ["Excel", "save the sheet as CSV"]),
    "parquet.jsonl": (b"PAR1" + bytes(50), ["Parquet"]),
    "bzip2.tsv": (b"BZh91AY&SY" + bytes(50), ["bzip2", "unpack it"]),
    "page.csv": ("<!DOCTYPE html>\n<html><body>Not found", ["a web page", "fetch it again"]),
    "cut.csv.gz": (gzip.compress(table().encode(), mtime=0)[:-6], ["is it whole?"]),
    "glued.cor": (lines("__label__bad,camera is dull", "__label__good,story is warm"), ["line 1", "'bad,camera'"]),
    "glued-semicolon.cor": (lines("__label__bad;camera is dull", "__label__good;story is warm"), ["line 1", "'bad;camera'"]),
    "comma-after.cor": (lines("__label__bad, a dull film", "__label__good, a warm one"), ["line 1", "'bad,'"]),
    "two-labels.cor": (lines("__label__a __label__b good film", "__label__a bad"), ["line 1", "2 labels"]),
    "two-labels-apart.cor": (lines("__label__a good film __label__b", "__label__a bad"), ["line 1", "2 labels"]),
    "no-name.cor": (lines("__label__ good", "__label__b bad"), ["line 1", "__label__NAME"]),
    "label-missing.cor": (lines("__label__a good", "bad"), ["line 2", "__label__"]),
    "no-labels.txt": (lines(GOOD, BAD), ["line 1", "__label__"]),
    "no-number.all": (lines(f"1 {GOOD}", BAD), ["line 2", "number as label"]),
    "no-header.csv": (table()[len("label,text\n"):], ["line 1", "no column"]),
    "no-text.csv": (table(header=("label", "note")), ["line 1", "no column 'text'", "note"]),
    "no-label.csv": (table(header=("id", "text")), ["line 1", "no column 'label'", "id"]),
    "two-texts.csv": (table(header=("label", "review", "comment"), rows=[(*row, "x") for row in TWO]), ["'review' and 'comment'", "rename"]),
    "two-labels.csv": (table(header=("rating", "sentiment", "text"), rows=[("5", *row) for row in TWO]), ["'rating' and 'sentiment'", "rename"]),
    "label-twice.csv": (table(header=("label", "text", "label"), rows=[(*row, "1") for row in TWO]), ["'label' and 'label'"]),
    "short-row.csv": (table(rows=[*TWO, ("1",)]), ["line 4", "1 fields", "the header 2", "commas"]),
    "long-row.tsv": (table("\t", rows=[*TWO, ("1", "a", "b")]), ["line 4", "3 fields", "tabs"]),
    "label-empty.csv": (table(rows=[*TWO, ("", "x")]), ["line 4", "no label"]),
    "open-quote.csv": ('label,text\n1,"good\n0,bad\n', ["line", "correct that line"]),
    "backslashes.tsv": ('label\ttext\n1\t"he said \\"well\\" twice"\n0\tbad\n', ["line 2", "backslash", "doubled"]),
    "array.json": (json.dumps(OBJECTS), ["JSON array", "one object a line"]),
    "torn.jsonl": ('{"label": 1, "text": "a"}\n{"label": 0, "te\n', ["line 2", "not JSON"]),
    "no-object.jsonl": ('{"label": 1, "text": "a"}\n3\n', ["line 2", "not a JSON object"]),
    "no-text.jsonl": ('{"label": 1, "text": "a"}\n{"label": 0, "text": null}\n', ["line 2", "no 'text'"]),
    "no-label.jsonl": ('{"label": 1, "text": "a"}\n{"text": "b"}\n', ["line 2", "no 'label'"]),
    "not-a-number.jsonl": ('{"label": NaN, "text": "a"}\n', ["line 1", "not JSON"]),
    "half-a-character.jsonl": ('{"label": 1, "text": "a\\ud800"}\n', ["line 1", "half a character"]),
    "nul.jsonl": ('{"label": 1, "text": "a"}\n{"label": 0, "text": "a\\u0000"}\n', ["line 2", "NUL"]),
    "nul-label.jsonl": ('{"label": "x\\u0000", "text": "a"}\n', ["line 1", "NUL"]),
    "deep.jsonl": ("[" * 99999 + "\n", ["JSON"]),
    "one-label.tsv": (table("\t", rows=[("1", "a"), ("1", "b")]), ["only the label '1'"]),
    "long-line.csv": ("label,text\n1," + "a" * (5 << 20) + "\n", ["line 2", "longer than"]),
    "unknown.doc": (GOOD, ["not a corpus by its name", ".jsonl"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path, refused):
    """One line that names the file, the place and the cause."""
    data, parts = REFUSED[name]
    [path] = put(tmp_path, {name: data})
    with refused(path, *parts):
        read_corpus([path], "whitespace")


@pytest.mark.parametrize(
    "files, parts",
    [
        ({"acl/train/pos/1.txt": "a", "acl/train/neg/1.txt": "b", "acl/test/pos/1.txt": "a"}, ["a folder among texts"]),
        ({"acl/a/1.txt": "a"}, ["not in the folder", "pos and neg"]),
        ({"acl/a/1.txt": "a", "acl/b/x.csv": "b"}, ["x.csv", "not a text by its name"]),
        ({"acl/rt-polarity.pos": "a", "acl/a/1.txt": "a", "acl/b/1.txt": "b"}, ["rt-polarity.neg"]),
        ({"acl/a/1.txt": "a", "acl/b/1.txt": b"\0\1"}, ["1.txt", "not text"]),
        ({"acl/a/1.txt": "a", "acl/b/1.txt": "x" * (5 << 20)}, ["1.txt", "longer than"]),
        ({"acl/a/1.txt": "a", "acl/b/.hidden": "x"}, ["only the label 'a'"]),
    ],
)  # fmt: skip
def test_refused_folders(files, parts, tmp_path, refused):
    """Folders of folders, of other files, of one label."""
    put(tmp_path, files)
    with refused("acl", *parts):
        read_corpus([tmp_path / "acl"], "whitespace")


# --- probably misread ------------------------------------------------------------------

UNSPACED = [
    "昔々ある所に映画がありました",
    "とても面白い話でした",
    "退屈で長い物語だった",
    "音楽が最高に良かった",
]
#: Name -> table, reading of words, and parts of the message.
MISREAD = {
    "japanese-by-kim": (JAPANESE * 7, "kim", ["drops", "tokens=whitespace", "tokenizer"]),
    "japanese-with-numbers": ([(str(i % 2), f"とても面白い映画{i}") for i in range(40)], "kim", ["drops"]),
    "russian-by-kim": (RUSSIAN * 10, "kim", ["drops 100%", "tokens=whitespace"]),
    "greek-with-english": ([(str(i % 2), f"η ταινία is good {i}") for i in range(20)], "kim", ["drops"]),
    "vietnamese-by-kim": ([(str(i % 2), "một bộ phim rất hay và đầy cảm xúc") for i in range(9)], "kim", ["drops"]),
    "vietnamese-decomposed": ([(str(i % 2), normalize("NFD", "một bộ phim rất hay và cảm xúc")) for i in range(9)], "kim", ["drops"]),
    "japanese-without-blanks": ([(str(i % 2), UNSPACED[i % 4]) for i in range(40)], "whitespace", ["characters on average", "tokenizer"]),
    "chinese-without-blanks": ([(str(i % 2), "这部电影非常好看我喜欢") for i in range(20)], "whitespace", ["tokenizer"]),
    "thai-without-blanks": ([(str(i % 2), "ภาพยนตร์เรื่องนี้สนุกมาก") for i in range(20)], "whitespace", ["tokenizer"]),
    "english-without-blanks": ([(str(i % 2), "averywarmandlivelyfilmindeed") for i in range(20)], "whitespace", ["characters on average"]),
    "numbers-for-texts": ([(str(i % 2), f"{i} {i * 7} {i * 13}") for i in range(30)], "kim", ["numbers", "'text'"]),
    "decimals-for-texts": ([(str(i % 2), f"{i / 7:.3f} 12:30") for i in range(30)], "whitespace", ["numbers"]),
    "names-for-labels": ([(f"user{i}", f"{GOOD} {'x' * (i % 5)}") for i in range(40)], "kim", ["40 labels in 40 texts", "'label'"]),
    "empty-texts": ([(str(i % 2), GOOD if i % 6 else "") for i in range(60)], "kim", ["10 of 60", "line 2: empty", "line 8: empty"]),
    "marks-for-texts": ([(str(i % 2), GOOD if i % 30 else "...") for i in range(60)], "kim", ["2 of 60", "line 2", "line 32"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISREAD)
def test_probably_misread(name, tmp_path, refused):
    """A corpus that would give a plausible table of nonsense is refused, with the remedy."""
    rows, tokens, parts = MISREAD[name]
    [path] = put(tmp_path, {"x.tsv": by_pandas(rows, sep="\t")})
    with refused(path, *parts):
        read_corpus([path], tokens)


@pytest.mark.parametrize(
    "rows, tokens",
    [
        (JAPANESE * 7, "whitespace"),
        (RUSSIAN * 10, "whitespace"),
        ([(str(i % 2), "un café très réussi, déjà vu à l'été dernier chez nous") for i in range(9)][:2]
         + [(str(i % 2), "the film is warm and lively and so is its cast, which says much") for i in range(30)], "kim"),
        ([(str(i % 2), "ภาพยนตร์ เรื่อง นี้ สนุก มาก") for i in range(20)], "whitespace"),
        ([(str(i % 2), "영화가 정말 재미있었습니다 그리고") for i in range(20)], "whitespace"),
        ([(str(i % 2), "good") for i in range(30)], "kim"),
        ([(str(i % 6), GOOD) for i in range(12)], "kim"),
        ([(str(i % 2), GOOD if i else "...") for i in range(200)], "kim"),
        ([(str(i % 2), "Donaudampfschifffahrtsgesellschaft Rindfleischetikettierung") for i in range(9)] +
         [(str(i % 2), "ein schöner Film mit guter Musik") for i in range(9)], "whitespace"),
    ],
)  # fmt: skip
def test_what_is_not_misread(rows, tokens, tmp_path):
    """The bounds leave sound corpora alone: in words, in German, in French, short, of six labels."""
    [path] = put(tmp_path, {"x.tsv": by_pandas(rows, sep="\t")})
    assert read_corpus([path], tokens).summary.texts >= len(rows) - 1


def test_what_was_read_is_reported(tmp_path):
    """Texts, labels with counts and which look alike, words a text, and what was odd."""
    rows = [
        ("Pos", "good <i>film</i> &amp; so"),
        ("pos", "a caf\xe9"),
        ("0", "bad"),
        ("0.0", "lost \ufffd"),
    ]
    [path] = put(tmp_path, {"x.csv": by_pandas(rows * 3, ("Sentiment", "Review"), sep=";")})
    summary = read_corpus([path]).summary
    told = "\n".join(summary.lines())
    for part in (
        "12 texts", "labels: 0 3, 0.0 3, Pos 3, pos 3; alike: 0 and 0.0; alike: Pos and pos",
        "words a text", "of the letters dropped", "3 texts hold markup", "3 texts hold U+FFFD",
        "parted by semicolons", "column 'Review' taken as text", "column 'Sentiment' taken as label",
    ):  # fmt: skip
        assert part in told
    kept = json.loads(json.dumps(summary.to_dict()))
    assert kept == summary.to_dict()
    assert kept["labels"] == {"0": 3, "0.0": 3, "Pos": 3, "pos": 3}
    assert kept["labels_alike"] == [["0", "0.0"], ["Pos", "pos"]]
    assert kept["words_a_text"] == [1.5, 6] and 0 < kept["letters_dropped"] < 0.1
    assert str(tmp_path) not in json.dumps(kept)


@pytest.mark.parametrize(
    "name, told",
    [
        ("pair-windows-1252", "train.pos: read as Windows-1252, for line 1 is not UTF-8"),
        ("pair-utf16", "train.neg: read as UTF-16"),
        ("pair-cr", "train.pos: lines end in CR"),
        ("pair-blank-lines", "train.pos: blank lines passed over: 2"),
        ("kim.all", "TREC.train.all: the number before a text taken as its label"),
        ("objects-names", "x.jsonl: column 'Review' taken as text"),
        ("aclImdb-with-unsup", "train: unsup left out"),
        ("folders-of-both-encodings", "1.txt: read as Windows-1252, for line 1 is not UTF-8"),
    ],
)
def test_nothing_is_guessed_in_silence(name, told, tmp_path):
    """What is not as its name says stands in the notes; of what is, there are none."""
    files, _ = LINES[name]
    paths = put(tmp_path, files)
    if "/" in next(iter(files)):
        paths = [tmp_path / next(iter(files)).split("/")[0]]
    texts = labelled_texts(paths)
    list(texts)
    assert told in texts.notes
    plain = labelled_texts(put(tmp_path, pair()))
    assert len(list(plain)) == 3 and plain.notes == []


def test_a_line_without_end_is_not_read_to_its_end(tmp_path, monkeypatch, refused):
    """A small packed file of one endless line is refused after some megabytes."""
    taken = []

    class Counted(gzip.GzipFile):
        def read(self, size=-1):
            taken.append(len(data := super().read(size)))
            return data

    [path] = put(tmp_path, {"x.csv.gz": gzip.compress(b"a" * (64 << 20), 1)})
    monkeypatch.setattr("replicate.io.lines._opened", lambda path: Counted(path, "rb"))
    with refused(path, "line 1", "longer than"):
        read_corpus([path])
    assert 4 << 20 < sum(taken) < 16 << 20


def test_one_text_without_words_in_many_is_left_out(tmp_path):
    """It is counted with its line; the others are whole."""
    rows = [(str(i % 2), f"word{i}") for i in range(150)] + [("1", "...")]
    [path] = put(tmp_path, {"x.tsv": by_pandas(rows, sep="\t")})
    corpus = read_corpus([path])
    assert len(corpus) == 150 and corpus.sentence(149) == "word149"
    assert corpus.summary.to_dict()["texts_without_words"] == ["line 152"]
    assert "texts without words, left out: 1 (line 152)" in "\n".join(corpus.summary.lines())


def test_one_very_long_word_is_refused_in_many(tmp_path, refused):
    """Memory is bounded by design: the array of words is not as wide as one of them."""
    rows = [(str(i % 2), f"good w{2 * i} w{2 * i + 1}") for i in range(12_000)]
    [path] = put(tmp_path, {"x.tsv": by_pandas([*rows, ("0", "x" * 999)], sep="\t")})
    with refused(path, "line 12002", "999 characters", "cut it"):
        read_corpus([path], "whitespace")
    [path] = put(tmp_path, {"y.tsv": by_pandas([*rows, ("0", "x" * 99)], sep="\t")})
    assert read_corpus([path], "whitespace").words.nbytes < 64 << 20
    [path] = put(tmp_path, {"z.tsv": by_pandas([*rows[:99], ("0", "x" * 999)], sep="\t")})
    assert read_corpus([path], "whitespace").words.dtype.itemsize == 4 * 999


# --- one reader for corpus, pool and explanations ------------------------------------------


@pytest.mark.parametrize(
    "mark", ["<br />", "<br>", "<br/>", "<BR>", "<br  />", "</br>", '<br clear="all">']
)
def test_markup_is_no_word(mark, tmp_path):
    """A line break of the web is a blank in a corpus, in a pool and in an explanation."""
    marked = f"so good{mark}{mark}film and {mark}dull"
    for tokens in ("kim", "whitespace"):
        assert tokenize(marked, tokens) == "so good film and dull".split()
        corpus = Corpus.from_texts([marked, "other"], ["1", "0"], tokens)
        assert corpus.sentence(0) == "so good film and dull"
    assert tokenize("a <bride> <brick>", "whitespace") == ["a", "<bride>", "<brick>"]


#: Made so that words of a pool are as in the corpus only where both are read alike.
LABELLED = [
    (str(i % 2), f"the {w} is {('dull', 'warm')[i % 2]}<br />and so is the {v}")
    for i, (w, v) in enumerate((w, v) for w in "plot cast score".split() for v in "story end film mood".split())
]  # fmt: skip
CONFIG = Config(n_filters=2, epochs=3, batch_size=4, learning_rate=0.01, tokens="whitespace")


def test_a_corpus_as_its_own_pool(tmp_path):
    """The same file as corpus and pool: as with the markup taken out, line by line."""
    marked, plain = put(
        tmp_path,
        {
            "marked.tsv": by_pandas(LABELLED, sep="\t"),
            "plain.tsv": by_pandas([(a, b.replace("<br />", " ")) for a, b in LABELLED], sep="\t"),
        },
    )
    header = ("rank", "score", "text", "words", "label", "line")
    chosen = []
    for pool in (marked, plain):
        out = tmp_path / pool.stem
        place = select([marked], pool, "random", CONFIG, out, 12, dimensions=6)
        rows = read_csv(place, header)
        assert load_json(out / "select.json")["read"]["pool_without_known_word"] == 0
        chosen.append([(row["line"], row["score"]) for row in rows])
    assert chosen[0] == chosen[1]


def test_a_pool_of_another_language_is_refused(tmp_path, refused):
    """Before anything is trained: scores would be 0 and the first texts selected."""
    corpus, pool, half = put(
        tmp_path,
        {
            "x.tsv": by_pandas(LABELLED, sep="\t"),
            "p.txt": lines(*(b for _, b in RUSSIAN * 3)),
            "h.txt": lines(*(b for _, b in RUSSIAN), "the plot", "the cast"),
        },
    )
    told = []
    with refused(corpus, "6 of 6 texts of the pool"):
        select(
            [corpus], pool, "random", CONFIG, tmp_path / "o", 2, dimensions=6, on_read=told.append
        )
    assert not (tmp_path / "o").exists()
    assert "pool: 6 texts, 6 of them without a word of the corpus" in told.pop().lines()
    select([corpus], half, "random", CONFIG, tmp_path / "h", 2, dimensions=6, on_read=told.append)
    assert "pool: 4 texts, 2 of them without a word of the corpus" in told[0].lines()


def test_vectors_of_another_language_are_refused(tmp_path, refused):
    """Where nearly no token has a vector; with random vectors nothing is asked."""
    rows = [(a, f"{b} x{i}") for i, (a, b) in enumerate(LABELLED * 2)]
    corpus, pool, vectors = put(
        tmp_path,
        {
            "x.tsv": by_pandas(rows, sep="\t"),
            "p.txt": lines("the plot"),
            "v.txt": lines("x1 1 2", "я 3 4", "с 5 6"),
        },
    )
    with refused(corpus, "of the words have a vector", "language"):
        select([corpus], pool, vectors, CONFIG, tmp_path / "o", 1)
    with refused(corpus, "of the words have a vector", "language"):
        fit([corpus], vectors, CONFIG, tmp_path / "f")


#: Two labels written in two ways each, accents, and one word in six without a vector.
TOLD = [("Pos", "a café good"), ("pos", "the good film"), ("0", "the bad film"), ("0.0", "a plot")]


@pytest.fixture
def command(tmp_path, capsys, monkeypatch):
    """``command(name, corpus, vectors, ...)``: exit code, standard error, and what is kept.

    Nothing is trained: what was read is told and kept before.
    """
    for place in ("parallel.schedule.run_all", "beyond.sweep.run_sweep", "beyond.own_data.train"):
        monkeypatch.setattr(f"replicate.{place}", lambda *_, **__: 1 / 0)
    [grid] = put(tmp_path, {"grid.toml": 'seeds = [0]\npreset = "sample"\n'})

    def run(name, corpus, vectors, *more):
        own = {"sweep": [grid], "select": ["--pool", corpus]}.get(name, [])
        data = ["--corpus", corpus, "--vectors", vectors, "--out", tmp_path / name]
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in (name, *own, *data, *more)])
        kept = None
        if name == "run" and (tmp_path / name / "config.json").exists():
            kept = load_json(tmp_path / name / "config.json")["read"]
        if name == "sweep" and (tmp_path / name / "sweep.json").exists():
            kept = load_json(tmp_path / name / "sweep.json")["data"]["kim"]["read"]
        return ended.value.code, capsys.readouterr().err, kept

    return run


@pytest.mark.parametrize("name", ["run", "sweep", "select"])
def test_every_command_tells_what_was_read(name, command, tmp_path):
    """On standard error, before anything is trained; kept by those that come so far."""
    corpus, vectors = put(
        tmp_path,
        {
            "x.csv": by_pandas(TOLD * 5),
            "v.txt": lines("a 1 2", "good 1 2", "the 1 2", "film 1 2", "bad 1 2"),
        },
    )
    code, told, kept = command(name, corpus, vectors)
    assert code == 3 and "ZeroDivisionError" in told.splitlines()[-1]
    for line in (
        f"{corpus}: 20 texts, 55 words of 7 types; 3 words a text, at most 3",
        "labels: 0 5, 0.0 5, Pos 5, pos 5; alike: 0 and 0.0; alike: Pos and pos",
        "2.9% of the letters dropped by the cleaning",
        "81.8% of the words have a vector",
    ):
        assert line in told.splitlines()
    if name != "select":
        assert kept["labels"] == {"0": 5, "0.0": 5, "Pos": 5, "pos": 5}
        assert kept["labels_alike"] == [["0", "0.0"], ["Pos", "pos"]]
        assert kept["tokens_with_vector"] == 45 / 55 and kept["letters_dropped"] == 5 / 175
    # Quiet is quiet, and the same is kept.
    code, told, again = command(name, corpus, vectors, "-q")
    assert code == 3 and len(told.splitlines()) == 1 and again == kept


@pytest.mark.parametrize("name", ["run", "sweep", "select"])
def test_every_command_refuses_vectors_of_another_language(name, command, tmp_path):
    """What was read is told first; no run, table or selection is there then."""
    corpus, vectors = put(
        tmp_path,
        {
            "x.csv": by_pandas([(a, f"{b} x{i % 7}") for i, (a, b) in enumerate(TOLD * 5)]),
            "v.txt": lines("x1 1 2", "я 3 4"),
        },
    )
    code, told, kept = command(name, corpus, vectors)
    assert code == 2 and kept is None and "4.0% of the words have a vector" in told.splitlines()
    assert told.splitlines()[-1].startswith(f"error: {corpus}: only 4.0% of the words have")
    assert sorted(place.name for place in (tmp_path / name).glob("[!.]*")) == ["run.log"]


def test_a_command_that_does_not_look_goes_on(command, tmp_path, monkeypatch):
    """Twin: without the look the same vectors are taken, and the run is made."""
    corpus, vectors = put(
        tmp_path,
        {
            "x.csv": by_pandas([(a, f"{b} x{i % 7}") for i, (a, b) in enumerate(TOLD * 5)]),
            "v.txt": lines("x1 1 2", "я 3 4"),
        },
    )
    monkeypatch.setattr("replicate.io.summary.Summary.check", lambda self: self)
    code, _, kept = command("run", corpus, vectors)
    assert code == 3 and round(kept["tokens_with_vector"], 2) == 0.04


def test_a_carriage_return_tears_no_table(tmp_path):
    """What is selected from a pool with lone CRs stays a row a text, for csv and pandas."""
    texts = [f"the plot\ris dull {i}\r\nand so is the cast" for i in range(6)]
    corpus, pool = put(
        tmp_path,
        {
            "x.tsv": by_pandas(LABELLED, sep="\t"),
            "p.jsonl": lines(*(json.dumps({"text": text}) for text in texts)),
        },
    )
    place = select([corpus], pool, "random", CONFIG, tmp_path / "o", 5, dimensions=6)
    assert len(pandas.read_csv(place)) == 5
    with open(place, newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 6
    # The twin: a CR that reaches the table tears it for both, in some versions of csv at least.
    save_csv(tmp_path / "torn.csv", ("text",), [("a\rb",)])
    assert b"\r" in (tmp_path / "torn.csv").read_bytes()


# --- word vectors ----------------------------------------------------------------------

WORDS = "film good bad the naïve 日本語 don't 5 , x".split()
ROWS = np.random.RandomState(0).uniform(-1, 1, (len(WORDS), 6)).astype("<f4").round(4)
KNOWN = dict(zip(WORDS, ROWS))


def text_vectors(vectors=KNOWN, header=True, between=" ", after=" ", end="\n"):
    """A text file of vectors."""
    body = [
        word + after + between.join(map(str, row.tolist())) + end for word, row in vectors.items()
    ]
    first = f"{len(vectors)} {len(next(iter(vectors.values())))}\n" if header else ""
    return first + "".join(body)


def with_word(word, at=3):
    """The vectors with one more word among them."""
    items = list(KNOWN.items())
    return dict([*items[:at], (word, np.arange(6, dtype="<f4") / 8), *items[at:]])


ODD = {
    "blank": " ", "tab": "\t", "empty": "", "form-feed": "\x0c", "vertical-tab": "\x0b",
    "carriage-return": "\r", "nbsp": "\xa0", "ideographic": "\u3000", "nel": "\x85",
    "line-separator": "\u2028", "tab-inside": "a\tb", "tab-behind": "film\t", "tab-before": "\tfilm",
    "nbsp-inside": "new\xa0york", "number": "95", "minus": "-1", "nan": "nan", "bom": "\ufeff",
    "quote": '"', "long": "y" * 900, "nul": "a\x01b",
}  # fmt: skip

NUMBERS = {str(7 * i): row for i, row in enumerate(ROWS)}

#: Name -> bytes, what the wanted words have, and whether gensim reads the same (and how).
TEXT_VECTORS = {
    "word2vec": (text_vectors(), KNOWN, {}),
    "glove": (text_vectors(header=False), KNOWN, {"no_header": True}),
    "fasttext-blank-at-end": (text_vectors(end=" \n"), KNOWN, {}),
    "crlf": (text_vectors(end="\r\n"), KNOWN, {}),
    "no-last-end": (text_vectors()[:-1], KNOWN, {}),
    "packed": (gzip.compress(text_vectors().encode()), KNOWN, None),
    "bom": (text_vectors().encode("utf-8-sig"), KNOWN, None),
    "blank-lines": (text_vectors(end="\n\n"), KNOWN, None),
    "tabs": (text_vectors(between="\t", after="\t"), KNOWN, None),
    "tab-after-word": (text_vectors(after="\t"), KNOWN, None),
    "tab-after-word-no-header": (text_vectors(header=False, after="\t"), KNOWN, None),
    "double-blanks": (text_vectors(between="  ", after="  "), KNOWN, None),
    "double-blanks-no-header": (text_vectors(header=False, between="  ", after="   "), KNOWN, None),
    "aligned": (text_vectors({f" {w}" if w != "," else "  ,": r for w, r in KNOWN.items()}), KNOWN, None),
    "phrases": (text_vectors({**KNOWN, "new york": ROWS[0], "the good": ROWS[1]}), KNOWN, None),
    "phrase-first-no-header": (text_vectors({"new york": ROWS[0], **KNOWN}, header=False), KNOWN, None),
    "phrase-with-number": (text_vectors({**KNOWN, "film 95": ROWS[0]}), KNOWN, None),
    "phrase-with-number-first": (text_vectors({"film 95": ROWS[0], **KNOWN}), KNOWN, None),
    "phrase-with-number-no-header": (text_vectors({"film 95": ROWS[0], **KNOWN}, header=False), KNOWN, None),
    "only-numbers-no-header": (text_vectors(NUMBERS, header=False), NUMBERS, {"no_header": True}),
    "dots": (text_vectors({**KNOWN, ". . .": ROWS[0], "at x@y.z": ROWS[1]}, header=False), KNOWN, None),
    "word-newline": (text_vectors(with_word("\n")), KNOWN, None),
    "word-newline-first": (text_vectors(with_word("\n", 0)), KNOWN, None),
    "exponents": (text_vectors({"good": np.array([1e-7, -2.5e-8], "<f4"), "bad": np.array([3e8, 1.0], "<f4")}),
                  {"good": np.array([1e-7, -2.5e-8], "<f4"), "bad": np.array([3e8, 1.0], "<f4")}, {}),
    "integers": ("2 3\ngood 1 -2 3\nbad 0 0 7\n", {"good": np.array([1, -2, 3]), "bad": np.array([0, 0, 7])}, {}),
    "word-tab-first-of-two": (
        "2 2\n\t 1 2\nbad 3 4\n", {"\t": np.array([1, 2]), "bad": np.array([3, 4])}, {},
    ),
    "word-empty-first-of-one": (
        "2 1\n 1\nbad 3\n", {"": np.array([1]), "bad": np.array([3])}, {},
    ),
    "twice": (text_vectors().replace("10 6", "11 6") + "film 1 1 1 1 1 1\n", KNOWN, None),
    **{f"word-{name}": (text_vectors(with_word(word)), with_word(word), {}) for name, word in ODD.items()},
    **{f"word-{name}-first": (text_vectors(with_word(word, 0)), with_word(word, 0), {})
       for name, word in ODD.items() if name in ("blank", "tab", "empty", "form-feed", "number", "nan")},
    **{f"word-{name}-no-header": (text_vectors(with_word(word), header=False), with_word(word), {"no_header": True})
       for name, word in ODD.items() if name in ("blank", "tab", "empty", "number", "nbsp", "tab-inside")},
}  # fmt: skip


# gensim leaves a file without a header open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", TEXT_VECTORS)
def test_text_vectors(name, tmp_path):
    """Every word has its own numbers; gensim, word by word, has the same."""
    data, expected, options = TEXT_VECTORS[name]
    [path] = put(tmp_path, {"v.txt": data})
    wanted = [*expected, "unknown", "fil", "york", "new"]
    rows, known = read_vectors(path, wanted)
    assert [w for w, there in zip(wanted, known) if there] == list(expected)
    np.testing.assert_array_equal(rows[: len(expected)], np.array(list(expected.values()), "<f4"))
    if options is not None and name not in (
        "word-blank",
        "word-blank-first",
        "word-blank-no-header",
    ):
        theirs = KeyedVectors.load_word2vec_format(path, binary=False, **options)
        assert set(theirs.index_to_key) == set(expected)
        for word, row in zip(wanted, rows):
            if word in expected:
                np.testing.assert_array_equal(row, theirs[word])


PHRASES = {
    **KNOWN, "new york": ROWS[0], "new york city": ROWS[1], "new car": ROWS[2], "a b": ROWS[3],
    "top 10": ROWS[4], "don't do it": ROWS[5], "日本 語": ROWS[6], "new": ROWS[7],
}  # fmt: skip
WIDE = np.random.RandomState(1).standard_normal((300, 40)).astype("<f4")
MANY = {
    f"{w}{i}" if i % 3 else f"{w} {w}{i}" if i % 2 else f"{w}{i} of {w}": WIDE[i]
    for i, w in zip(range(300), ["film", "plot", "the", "x", "good", "95", "naïve"] * 43)
}
ROUNDED = {w: (r.view("<u4") & 0xFFFF0000).view("<f4") for w, r in MANY.items()}
UNIT = {w: r / np.linalg.norm(r) for w, r in MANY.items()}


def binary(vectors, end=b"", order=None):
    """A binary file: as gensim writes it, or as word2vec does, with line ends."""
    items = list(vectors.items()) if order is None else order
    width = len(items[0][1])
    body = b"".join(w.encode() + b" " + np.asarray(r, "<f4").tobytes() + end for w, r in items)
    return b"%d %d\n" % (len(items), width) + body


def turned(vectors, first):
    """The vectors with one of them first, or last."""
    items = list(vectors.items())
    one = [item for item in items if item[0] == first]
    rest = [item for item in items if item[0] != first]
    return dict(one + rest), dict(rest + one)


SPARSE = {w: np.where(np.arange(40) % 7 == 0, r, 0).astype("<f4") for w, r in MANY.items()}
TINY = {"good": np.array([1, -2.5, 1e-20, 3e9], "<f4"), "bad": np.array([0, 1e-30, 1, 1], "<f4"),
        "film": np.array([1, 1, 1, 0], "<f4")}  # fmt: skip

EARLY = dict.fromkeys(["good x", "film", "bad x"], np.frombuffer(b"\x80\x3f\x80\x3f" * 40, "<f4"))
CONTROL = dict.fromkeys(EARLY, np.frombuffer(b"\x00\x41\x00\x41" * 40, "<f4"))

#: Name -> bytes, and what the words have; gensim reads those without blanks in words.
BINARY_VECTORS = {
    "plain": (binary(KNOWN), KNOWN, True),
    "plain-line-ends": (binary(KNOWN, b"\n"), KNOWN, True),
    "plain-packed": (gzip.compress(binary(KNOWN)), KNOWN, False),
    "word-tab": (binary(with_word("\t")), with_word("\t"), True),
    "word-empty": (binary(with_word("")), with_word(""), True),
    "word-number": (binary(with_word("95", 0)), with_word("95", 0), True),
    "word-cut": (binary(KNOWN).replace("naïve".encode(), b"na\xc3zve"), {w: r for w, r in KNOWN.items() if w != "naïve"}, False),
    "tiny-and-huge": (binary(TINY), TINY, True),
    "tiny-and-huge-line-ends": (binary(TINY, b"\n"), TINY, True),
    "phrases": (binary(PHRASES), PHRASES, False),
    "phrases-line-ends": (binary(PHRASES, b"\n"), PHRASES, False),
    "phrases-crlf": (binary(PHRASES, b"\r\n"), PHRASES, False),
    "phrases-packed": (gzip.compress(binary(PHRASES)), PHRASES, False),
    "phrase-first": (binary(turned(PHRASES, "new york city")[0]), PHRASES, False),
    "phrase-last": (binary(turned(PHRASES, "new york city")[1]), PHRASES, False),
    "phrase-last-line-end": (binary(turned(PHRASES, "new car")[1], b"\n"), PHRASES, False),
    "number-phrase-first": (binary(turned(PHRASES, "top 10")[0]), PHRASES, False),
    "word-blank": (binary({**MANY, " ": WIDE[0]}), {**MANY, " ": WIDE[0]}, False),
    "word-blank-behind": (binary({**MANY, "film ": WIDE[0]}), {**MANY, "film ": WIDE[0]}, False),
    "many-phrases": (binary(MANY), MANY, False),
    "many-phrases-line-ends": (binary(MANY, b"\n"), MANY, False),
    "bfloat16-phrases": (binary(ROUNDED), ROUNDED, False),
    "bfloat16-phrases-line-ends": (binary(ROUNDED, b"\n"), ROUNDED, False),
    "unit-phrases": (binary(UNIT), UNIT, False),
    "sparse-phrases": (binary(SPARSE), SPARSE, False),
    # Read two bytes early they are as good numbers: only the next word is none then.
    "early-numbers-fit": (binary(EARLY), EARLY, False),
    "early-numbers-fit-control": (binary(CONTROL), CONTROL, False),
}  # fmt: skip


@pytest.mark.parametrize("block", [None, 700])
@pytest.mark.parametrize("name", BINARY_VECTORS)
def test_binary_vectors(name, block, tmp_path, monkeypatch):
    """Every word and phrase has its own numbers, bit for bit, whatever is read at once."""
    if block:
        monkeypatch.setattr("replicate.io.wordvectors._BLOCK", block)
    data, expected, gensim = BINARY_VECTORS[name]
    [path] = put(tmp_path, {"v.bin": data})
    wanted = [*expected, "york", "unknown", "of", "10"]
    rows, known = read_vectors(path, wanted)
    assert [w for w, there in zip(wanted, known) if there] == list(expected)
    np.testing.assert_array_equal(rows[: len(expected)], np.array(list(expected.values()), "<f4"))
    if gensim and not block:
        theirs = KeyedVectors.load_word2vec_format(path, binary=True)
        for word, row in zip(wanted, rows):
            assert (word in theirs) == (word in expected)
            if word in expected:
                np.testing.assert_array_equal(row, theirs[word])


def test_phrases_that_gensim_writes(tmp_path):
    """gensim writes a key with blanks into the binary form, and cannot read it again; we can."""
    made = KeyedVectors(40)
    made.add_vectors(list(MANY), list(MANY.values()))
    made.save_word2vec_format(tmp_path / "v.bin", binary=True)
    made.save_word2vec_format(tmp_path / "v.txt", binary=False)
    rows, known = read_vectors(tmp_path / "v.bin", list(MANY))
    assert known.all() and np.array_equal(rows, np.array(list(MANY.values())))
    plain = [word for word in MANY if " " not in word]
    from_text, known = read_vectors(tmp_path / "v.txt", plain)
    assert known.all()
    np.testing.assert_allclose(from_text, [MANY[w] for w in plain], rtol=1e-6)
    with pytest.raises((UnicodeDecodeError, EOFError, ValueError)):
        KeyedVectors.load_word2vec_format(tmp_path / "v.bin", binary=True)


@pytest.mark.parametrize("seed", range(6))
def test_any_phrases(seed, tmp_path):
    """Random words, widths, values: right, or refused where the vectors are very short."""
    random = np.random.RandomState(seed)
    for trial in range(30):
        width = int(random.choice([3, 5, 8, 20, 100]))
        vectors = {}
        for i in range(80):
            words = [WORDS[j] for j in random.randint(len(WORDS), size=random.randint(1, 4))]
            row = random.standard_normal(width).astype("<f4") * np.float32(random.choice([0.02, 1]))
            vectors[" ".join([f"{words[0]}{i}", *words[1:]])] = (
                (row.view("<u4") & 0xFFFF0000).view("<f4") if trial % 3 else row
            )
        [path] = put(tmp_path, {"v.bin": binary(vectors, b"\n" if trial % 2 else b"")})
        wanted = [*vectors, *WORDS]
        try:
            rows, known = read_vectors(path, wanted)
        except ValueError as error:
            assert "where its word ends is not clear" in str(error) and width < 8
            continue
        assert known.tolist() == [True] * 80 + [False] * len(WORDS)
        np.testing.assert_array_equal(rows[:80], np.array(list(vectors.values())))


#: "x y" with a vector whose bytes make "x" a word of a sound vector, and "ABgood" the next.
UNCLEAR = b"2 1\nx y \x80\x3fABgood " + np.float32(1).tobytes()

#: Name -> bytes and parts of the message.
BAD_VECTORS = {
    "two-blanks-that-fit": (UNCLEAR, ["vector 1 of 2", "not clear", "save the vectors as text"]),
    "utf16": (text_vectors().encode("utf-16"), ["UTF-16", "UTF-8"]),
    "utf16-without-mark": (text_vectors().encode("utf-16-le"), ["UTF-16", "UTF-8"]),
    "old-mac": (text_vectors(end="\r").replace("\n", "\r"), ["CR"]),
    "commas": (text_vectors(header=False, between=",", after=","), ["line 1", "parted by blanks"]),
    "a-number-too-many": (text_vectors().replace("film ", "film 7 "), ["line 2", "more than 6 numbers"]),
    "a-number-too-many-glove": (text_vectors(header=False).replace("good ", "good 7 "), ["line 2", "more than 6 numbers"]),
    "a-number-too-few": (text_vectors(KNOWN) + "more 1 2 3 4 5\n", ["line 12", "not 6 numbers"]),
    "no-numbers": (text_vectors() + "more\n", ["line 12", "not 6 numbers"]),
    "a-word-for-a-number": ("2 3\ngood 1 2 3\nbad 1 two 3\n", ["line 3", "not 3 numbers"]),
    "fewer-than-promised": (text_vectors().replace("10 6", "11 6"), ["truncated: 10 of 11"]),
    "cut-phrases": (binary(PHRASES)[:-30], ["vector 17 of 18"]),
    "cut-in-the-middle": (binary(MANY)[:9000], ["truncated"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_bad_vectors(name, tmp_path, refused):
    """One line that names the file, the place and the cause."""
    data, parts = BAD_VECTORS[name]
    [path] = put(tmp_path, {"v": data})
    with refused(path, *parts):
        read_vectors(path, [*WORDS, *MANY])


def test_rows_that_an_older_reader_kept_are_read_again(tmp_path, monkeypatch):
    """The cache carries the reader's version: misread rows do not outlive the reader."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    [path] = put(tmp_path, {"v.bin": binary(PHRASES)})
    words = list(KNOWN)
    with monkeypatch.context() as patch:
        patch.setattr("replicate.vectors.VERSION", 1)
        patch.setattr(
            "replicate.vectors.read_vectors",
            lambda *_: (np.ones((10, 6), "<f4"), np.ones(10, bool)),
        )
        assert (embedding_matrix(words, path, Config())[0][1:] == 1).all()
    matrix, known = embedding_matrix(words, path, Config())
    assert known.all() and np.array_equal(matrix[1:], ROWS)
