"""Published corpora by name: found, checked, read with their parts and labels; folds."""

import csv
import hashlib
import io
import re
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from replicate.beyond.kim import published_accuracies
from replicate.cli import cli
from replicate.corpus import Corpus, clean_kim, read_corpus
from replicate.io.corpora import labelled_texts
from replicate.io.data import find_data, find_published
from replicate.io.published import PARTS, PUBLISHED, by_name, published, published_as
from replicate.split import folds

REPOSITORY = Path(__file__).resolve().parents[1]

#: Kim (2014), Table 1: sentences, labels, word types, sentences of the official test part.
TABLE_1 = {
    "mr": (10_662, 2, 18_765, None),
    "sst1": (11_855, 5, 17_836, 2210),
    "sst2": (9613, 2, 16_185, 1821),
    "subj": (10_000, 2, 21_323, None),
    "trec": (5952, 6, 9592, 500),
    "cr": (3775, 2, 5340, None),
    "mpqa": (10_606, 2, 6246, None),
}

#: Sentences and word types that we read: blank lines and sentences without words are left
#: out (four and one of CR, three of MPQA), and all is cleaned as MR is, in lower case.
OURS = {
    "mr": (10_662, 18_765),
    "sst1": (11_855, 17_833),
    "sst2": (9613, 16_186),
    "subj": (10_000, 21_322),
    "trec": (5952, 8764),
    "cr": (3770, 5339),
    "mpqa": (10_603, 6246),
}

#: Sentences of each label, in the order of the labels, and of each part.
LABELS = {
    "mr": [5331, 5331],
    "sst1": [1510, 3140, 2242, 3111, 1852],
    "sst2": [4650, 4963],
    "subj": [5000, 5000],
    "trec": [1300, 1344, 95, 1288, 916, 1009],
    "cr": [1365, 2405],
    "mpqa": [7292, 3311],
}
PART_SIZES = {"sst1": [8544, 1101, 2210], "sst2": [6920, 872, 1821], "trec": [5452, 0, 500]}


# --- made-up corpora of the published names ---------------------------------------------


def made(monkeypatch, folder, name, bodies):
    """A published corpus that has other contents, written into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = PUBLISHED[name]
    files = []
    for file, body in zip(corpus.files, bodies, strict=True):
        (folder / file.name).write_bytes(body)
        files.append(replace(file, sha256=hashlib.sha256(body).hexdigest(), size=len(body)))
    monkeypatch.setitem(PUBLISHED, name, replace(corpus, files=tuple(files)))
    return [folder / file.name for file in files]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and a folder of data that ``REPLICATE_DATA`` names."""
    (tmp_path / "work").mkdir()
    (tmp_path / "named").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path / "named"))
    return tmp_path


PIECES = {
    "trec": (b"0 how so ?\n5 how many ?\n", b"2 what is it ?\n"),
    "sst1": (b"4 superb .\n0 awful .\n2 a film .\n", b"1 poor .\n", b"3 good .\n4 great .\n"),
    "subj": (b"a \x85 dull film\n", b"he goes home\n\nshe stays\n"),
    "mpqa": (b"fine\nfine\n", b"bad\n"),
}


@pytest.mark.parametrize("name", PIECES)
def test_all_parts_are_one_corpus_in_the_order_of_its_files(name, here, monkeypatch):
    """Labels before a text or of its file, blank lines passed over, repeated sentences kept."""
    bodies = PIECES[name]
    made(monkeypatch, here / "named", name, bodies)
    corpus = read_corpus([name])
    texts, labels, parts = [], [], []
    for file, body in zip(PUBLISHED[name].files, bodies):
        for line in filter(None, body.decode("cp1252").split("\n")):
            text = line if file.label else line[2:]
            texts.append(clean_kim(text))
            labels.append(file.label or line[0])
            parts.append(file.part)
    assert [corpus.sentence(n) for n in range(len(corpus))] == texts
    assert [corpus.label_names[label] for label in corpus.labels] == labels
    if any(parts):
        assert corpus.part.dtype == np.int8 and [PARTS[p] for p in corpus.part] == parts
    else:
        assert corpus.part is None
    assert corpus.label_titles == tuple(PUBLISHED[name].labels[n] for n in corpus.label_names)
    assert published_as(corpus.sha256).name == name
    # Twin: an order of the files that is not the table's is another corpus.
    files = PUBLISHED[name].files
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], files=files[::-1]))
    assert corpus.sentence(0) != read_corpus([name]).sentence(0)


def test_parts_survive_the_run_folder(here, monkeypatch, refused):
    """``corpus.npz`` keeps the part; one that does not fit the sentences is refused."""
    made(monkeypatch, here / "named", "trec", PIECES["trec"])
    corpus, place = read_corpus(["trec"]), here / "corpus.npz"
    corpus.save(place)
    back = Corpus.load(place, corpus.label_names, corpus.sha256)
    assert back.part.tolist() == corpus.part.tolist() == [0, 0, 2]
    assert back.label_titles == ("description", "abbreviation", "number")
    replace(corpus, part=None).save(place)
    assert Corpus.load(place, corpus.label_names, {}).part is None
    for part in ([0, 0], [0, 0, 3], [0, -1, 2]):
        replace(corpus, part=np.array(part, dtype=np.int8)).save(place)
        with refused(place, "do not agree"):
            Corpus.load(place, corpus.label_names, {})


def test_a_column_split_is_an_official_split(tmp_path):
    """Of a table; not where a row has no part, and not under another name."""
    place = tmp_path / "x.tsv"
    rows = "train\t1\tgood film\nTEST\t0\tbad film\nvalidation\t0\tdull\n"
    place.write_text("split\tlabel\ttext\n" + rows)
    assert read_corpus([place]).part.tolist() == [0, 2, 1]
    for other in (("validation", "later"), ("validation", ""), ("split\t", "fold\t")):
        place.write_text(("split\tlabel\ttext\n" + rows).replace(*other))
        assert read_corpus([place]).part is None
    place.write_text("label\ttext\n1\tgood\n0\tbad\n")
    assert read_corpus([place]).part is None


def reviews(members, mode="w:gz"):
    """An archive of (name, text)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, text in members:
            header = tarfile.TarInfo(name)
            header.size = len(text.encode())
            archive.addfile(header, io.BytesIO(text.encode()))
    return stream.getvalue()


REVIEWS = [
    ("aclImdb/train/unsup/0_0.txt", "no label"),
    ("aclImdb/train/pos/0_9.txt", "good<br />film \u00e9"),
    ("aclImdb/train/neg/0_3.txt", "bad film"),
    ("aclImdb/test/pos/0_10.txt", "fine film"),
    ("aclImdb/test/neg/10_1.txt", "awful"),
    ("aclImdb/test/neg/1_1.txt", "dull"),
    ("aclImdb/test/urls_pos.txt", "an address"),
    ("aclImdb/README", "read me"),
]


def test_imdb_is_read_out_of_its_archive(here, monkeypatch):
    """By the name of each review, as the table of the same reviews; unlabelled ones left out."""
    made(monkeypatch, here / "named", "imdb", [reviews(REVIEWS)])
    corpus = read_corpus(["imdb"])
    found = [corpus.sentence(n) for n in range(len(corpus))]
    # A digit comes before the underscore, as where a folder is listed.
    assert found == ["awful", "dull", "fine film", "bad film", "good film"]
    assert corpus.labels.tolist() == [0, 0, 1, 0, 1] and corpus.part.tolist() == [2, 2, 2, 0, 0]
    assert corpus.label_titles == ("negative", "positive")


def test_a_copy_is_read_where_the_files_are_not(here, monkeypatch):
    """IMDB's table, under its own checksum; the archive is preferred."""
    body = b"split\tlabel\ttext\ntest\t0\tdull\ntrain\t1\tgood film\n"
    place = here / "named" / "imdb-reviews.tsv.gz"
    place.write_bytes(body)
    [copy] = PUBLISHED["imdb"].copies
    copies = (replace(copy, sha256=hashlib.sha256(body).hexdigest()),)
    monkeypatch.setitem(PUBLISHED, "imdb", replace(PUBLISHED["imdb"], copies=copies))
    corpus = read_corpus(["imdb"])
    assert corpus.part.tolist() == [2, 0] and corpus.label_titles == ("negative", "positive")
    made(monkeypatch, here / "named", "imdb", [reviews(REVIEWS)])
    assert len(read_corpus(["imdb"])) == 5


def test_an_archive_that_is_not_sound_is_refused(here, monkeypatch, refused):
    """Damaged, cut, or with a text that is not UTF-8, although its checksum is right."""
    whole = reviews(REVIEWS)
    for body in (b"not an archive", whole[: len(whole) // 2]):
        made(monkeypatch, here / "named", "imdb", [body])
        with refused("aclImdb_v1.tar.gz", "not a sound archive", "fetch it again"):
            read_corpus(["imdb"])


# --- where they lie -----------------------------------------------------------------------


def test_folders_that_are_searched(here, monkeypatch):
    """REPLICATE_DATA, its folder ``kim``, then ``data``; the first that has all files."""
    bodies = PIECES["mpqa"]
    last = made(monkeypatch, Path("data") / "kim", "mpqa", bodies)
    assert find_published(PUBLISHED["mpqa"]) == last
    for folder in (Path("data"), here / "named" / "kim", here / "named"):
        before = find_published(PUBLISHED["mpqa"])
        paths = made(monkeypatch, folder, "mpqa", bodies)
        paths[1].unlink()
        assert find_published(PUBLISHED["mpqa"]) == before, "half of it counts as nothing"
        paths = made(monkeypatch, folder, "mpqa", bodies)
        assert find_published(PUBLISHED["mpqa"]) == paths


def test_a_missing_file_is_named(here, monkeypatch, refused):
    """With the folders that were searched, and the command that brings it."""
    paths = made(monkeypatch, here / "named" / "kim", "sst1", PIECES["sst1"])
    paths[1].unlink()
    with refused("sst1: stsa.fine.dev not in", here / "named", "`replicate fetch --corpus sst1`"):
        read_corpus(["sst1"])
    monkeypatch.delenv("REPLICATE_DATA")
    with refused("stsa.fine.train, stsa.fine.dev, stsa.fine.test missing (no folder of data"):
        read_corpus(["sst1"])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_with_another_content_is_refused(which, here, monkeypatch, refused):
    """One byte of one part, and none of it is read; as published it is."""
    paths = made(monkeypatch, here / "named", "sst1", PIECES["sst1"])
    assert len(read_corpus(["sst1"])) == 6
    body = paths[which].read_bytes()
    paths[which].write_bytes(body.replace(b".", b"!", 1))
    remedy = "move it away, then run `replicate fetch --corpus sst1`"
    with refused(paths[which], "not the published file of sst1", remedy):
        read_corpus(["sst1"])


def test_a_path_of_the_name_is_used_first(here, monkeypatch):
    """A folder that is called ``mpqa`` is somebody's own corpus."""
    made(monkeypatch, here / "named", "mpqa", PIECES["mpqa"])
    assert read_corpus(["mpqa"]).label_titles == ("negative", "positive")
    for label in ("ham", "spam"):
        (Path("mpqa") / label).mkdir(parents=True)
        (Path("mpqa") / label / "1.txt").write_text(f"some {label}")
    assert read_corpus(["mpqa"]).label_titles == ("ham", "spam")
    assert read_corpus(["MPQA"]).label_titles == ("negative", "positive")


def test_a_name_stands_alone(here, monkeypatch, refused):
    """Beside a file, or another name, it is refused; so is a name that nobody knows."""
    [path, _] = made(monkeypatch, here / "named", "mpqa", PIECES["mpqa"])
    for paths in (["mpqa", path], [path, "mpqa"], ["mpqa", "cr"]):
        with refused("--corpus", "name it alone"):
            labelled_texts(paths)
    with refused("sst3: no such file, nor the name of a published corpus (mr, sst1,"):
        labelled_texts(["sst3"])


def test_names_are_taken_in_capitals_and_with_hyphens(refused):
    """As papers write them; another name is refused with those that are offered."""
    for corpus in PUBLISHED.values():
        assert by_name(corpus.title) is published(corpus.name) is corpus
    assert by_name("sst") is by_name("mr.tsv") is by_name("") is None
    with refused("'sst'", "choose mr, sst1, sst2, subj, trec, cr, mpqa, imdb"):
        published("sst")


def test_named_corpora_keep_the_vectors_of_the_folder_of_data(here, monkeypatch):
    """A name is a corpus as a path is: vectors are looked for, random ones are taken."""
    assert find_data("paper", ["sst2"], "random") == ("paper", [Path("sst2")], "random")
    place = here / "named" / "GoogleNews-vectors-negative300.bin"
    place.touch()
    assert find_data("paper", ["sst2"]) == ("paper", [Path("sst2")], place)


def test_doctor_lists_them(here, monkeypatch, capsys):
    """The folder of each; what is missing or wrong, with the remedy."""
    monkeypatch.setenv("COLUMNS", "400")
    made(monkeypatch, here / "named" / "kim", "mpqa", PIECES["mpqa"])
    made(monkeypatch, here / "named", "trec", PIECES["trec"])[0].write_bytes(b"0 other\n")
    cli.main(["doctor"], standalone_mode=False)
    lines = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines()]
    found = {row[0].strip(): row[1].strip() for row in lines if row}
    assert found["--corpus mpqa"] == str(here / "named" / "kim")
    assert "not the published file of trec" in found["--corpus trec"]
    assert "run `replicate fetch --corpus cr`" in found["--corpus cr"]


def test_the_command_line_offers_every_name():
    """The help of ``run`` and of ``fetch`` lists the table's names in its order."""
    names = ", ".join(PUBLISHED)
    for command in ("run", "sweep", "select", "fetch"):
        [option] = [p for p in cli.commands[command].params if "--corpus" in p.opts]
        assert names in option.help, command


# --- the genuine files ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE_1)
def test_counts_are_those_of_kims_table(name, kim_corpora):
    """Sentences, labels and parts, and how far from Kim's Table 1."""
    corpus = read_corpus([name])
    n, c, v, test = TABLE_1[name]
    assert (len(corpus), len(corpus.words)) == OURS[name]
    assert np.bincount(corpus.labels).tolist() == LABELS[name] and len(LABELS[name]) == c
    lines = {"cr": 4 + 1, "mpqa": 3}.get(name, 0)
    assert len(corpus) + lines == n
    assert name == "trec" or abs(len(corpus.words) - v) <= 3
    if test is None:
        assert corpus.part is None
    else:
        assert np.bincount(corpus.part, minlength=3).tolist() == PART_SIZES[name]
        assert PART_SIZES[name][2] == test
        # In the order of the files: the parts stand one after another.
        assert (np.diff(corpus.part) >= 0).all()
    assert published_as(corpus.sha256) is PUBLISHED[name]


def plain(text):
    """Kim's ``clean_str_sst``: no clitic and no mark is set apart."""
    return re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text).lower().split()


def cased(text):
    """Kim's ``clean_str`` with ``TREC=True``: as it is written."""
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    for clitic in ("'s", "'ve", "n't", "'re", "'d", "'ll"):
        text = text.replace(clitic, f" {clitic}")
    return re.sub(r"([,!()?])", r" \1 ", text).split()


def test_the_reason_of_other_counts_of_words(kim_corpora):
    """Kim cleans SST and TREC by other rules: with these SST-1 and TREC have his counts."""
    found = {}
    for name, rule in (("sst1", plain), ("sst2", plain), ("trec", cased)):
        found[name] = len({word for row in labelled_texts([name]) for word in rule(row.text)})
    assert found == {"sst1": TABLE_1["sst1"][2], "sst2": 16_188, "trec": TABLE_1["trec"][2]}


def test_trec_labels_mean_what_the_questions_ask(kim_corpora):
    """By the words that open a question, the class is mostly the one of its title."""
    corpus = read_corpus(["trec"])
    opens = (
        ("where ", "location"), ("who ", "human"), ("how many ", "number"),
        ("what does ", "abbreviation"), ("why ", "description"), ("what animal ", "entity"),
    )  # fmt: skip
    for start, title in opens:
        counts = Counter(
            corpus.label_titles[corpus.labels[n]]
            for n in range(len(corpus))
            if corpus.sentence(n).startswith(start)
            and (title != "abbreviation" or "stand for" in corpus.sentence(n))
        )
        assert counts[title] > 0.8 * sum(counts.values()) > 0, (start, counts)


def test_sst_labels_go_from_very_negative_to_very_positive(kim_corpora):
    """Words of praise and of blame occur the more, and the less, the higher the label."""
    corpus = read_corpus(["sst1"])
    sentences = [f" {corpus.sentence(n)} " for n in range(len(corpus))]

    def share(words, label):
        of_label = [s for s, k in zip(sentences, corpus.labels) if k == label]
        return sum(any(f" {word} " in s for word in words) for s in of_label) / len(of_label)

    strength = ("very negative", "negative", "neutral", "positive", "very positive")
    assert corpus.label_titles == strength
    praise = [share(("moving", "best", "wonderful", "brilliant"), label) for label in range(5)]
    blame = [share(("bad", "dull", "worst", "mess"), label) for label in range(5)]
    assert praise[4] > praise[3] > max(praise[:3]) and blame[0] > blame[1] > max(blame[2:])


def test_mr_by_name_is_mr_of_its_folder(kim_corpora):
    """The same arrays, labels and checksums."""
    one, other = read_corpus(["mr"]), read_corpus([kim_corpora])
    assert one.sha256 == other.sha256 and one.label_names == other.label_names
    for field in ("words", "tokens", "offsets", "labels"):
        assert np.array_equal(getattr(one, field), getattr(other, field)), field


@pytest.mark.slow
def test_imdb_by_name(kim_corpora):
    """25,000 reviews of each label and of each part."""
    counts = Counter((row.label, row.part) for row in labelled_texts(["imdb"]))
    assert set(counts.values()) == {12_500} and len(counts) == 4
    assert {part for _, part in counts} == {"train", "test"}


# --- results/kim --------------------------------------------------------------------------


def rows_of(name):
    with open(REPOSITORY / "results" / "kim" / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_corpora_is_what_is_read():
    """``corpora.csv`` holds Kim's counts and ours, as the tests above measure them."""
    rows = {row["corpus"]: row for row in rows_of("corpora.csv")}
    assert list(rows) == list(TABLE_1)
    for name, row in rows.items():
        n, c, v, test = TABLE_1[name]
        wanted = [name, PUBLISHED[name].title, n, OURS[name][0], c, v, OURS[name][1], test or ""]
        assert list(row.values())[:8] == [str(value) for value in wanted]
        assert bool(row["reason"]) == ((n, v) != OURS[name])


def test_the_folds_of_each_corpus_are_stored(kim_corpora):
    """``folds.csv`` has a checksum of the ten folds of each corpus without an official split."""
    rows = rows_of("folds.csv")
    wanted = [name for name in TABLE_1 if any(file.label for file in PUBLISHED[name].files)]
    assert [row["corpus"] for row in rows] == wanted
    for row in rows:
        fold = folds(read_corpus([row["corpus"]]), int(row["folds"]), int(row["seed"]))
        assert (len(fold), fold.max() + 1) == (int(row["sentences"]), int(row["folds"]))
        assert hashlib.sha256(fold.tobytes()).hexdigest() == row["sha256"]


def test_published_accuracies_have_a_source():
    """Each is a per cent of a known corpus and variant, once; one that was not read says so."""
    rows = published_accuracies()
    assert {row["corpus"] for row in rows} == set(TABLE_1)
    keys = [(row["corpus"], row["model"], row["variant"]) for row in rows]
    assert len(set(keys)) == len(keys) >= 28
    for row in rows:
        assert row["variant"] in ("rand", "static", "non-static", "multichannel")
        assert 30 < row["accuracy"] < 100
        assert row["source"].startswith("http") and row["protocol"]
        assert row["checked"] in ("yes", "quoted", "no")
    kim = {(r["corpus"], r["variant"]): r["accuracy"] for r in rows if r["model"] == "Kim (2014)"}
    assert len(kim) == 28 and kim["mr", "non-static"] == 81.5
    assert max(kim, key=lambda key: float(kim[key])) == ("trec", "non-static")
