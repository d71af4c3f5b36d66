"""Where corpus and word vectors are found."""

from pathlib import Path

import pytest

from replicate.io.data import (
    POLARITY_FILES,
    SAMPLE_FILE,
    VECTOR_FILES,
    data_folders,
    find_data,
    paths_of,
    sample_path,
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and no folder of data."""
    monkeypatch.delenv("REPLICATE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def filled(folder, *names):
    """A folder with empty files of these names."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_folders_that_are_searched(here, monkeypatch, refused):
    """REPLICATE_DATA where it is set, then ``data`` where it is there; a clear refusal."""
    assert data_folders() == []
    filled(here / "data")
    assert data_folders() == [Path("data")]
    monkeypatch.setenv("REPLICATE_DATA", "")
    assert data_folders() == [Path("data")]
    named = filled(here / "named")
    monkeypatch.setenv("REPLICATE_DATA", str(named))
    assert data_folders() == [named, Path("data")]
    monkeypatch.setenv("REPLICATE_DATA", str(here / "none"))
    with refused(f"REPLICATE_DATA={here / 'none'}", "correct or unset it"):
        data_folders()


def test_the_sample_where_nothing_else_is(here, refused):
    """Without a folder of data: the sample, its vectors, or other vectors beside it."""
    corpus, vectors = sample_path()
    assert corpus.name == SAMPLE_FILE and corpus.is_file() and vectors.is_file()
    assert find_data() == find_data("sample") == ("sample", [corpus], vectors)
    assert find_data(vectors="random") == ("sample", [corpus], "random")
    with refused("no corpus found", "replicate fetch"):
        find_data("paper")


def test_mr_of_a_folder(here, monkeypatch, refused):
    """MR whole, with the preferred vectors; without vectors or half of it, a refusal."""
    folder = filled(here / "named", POLARITY_FILES[0])
    monkeypatch.setenv("REPLICATE_DATA", str(folder))
    assert find_data()[0] == "sample"
    filled(folder, *POLARITY_FILES)
    with refused("no word vectors", "replicate fetch"):
        find_data()
    assert find_data(vectors="random") == ("paper", [folder], "random")
    filled(folder, VECTOR_FILES[-1])
    assert find_data() == find_data("paper") == ("paper", [folder], folder / VECTOR_FILES[-1])
    filled(folder, *VECTOR_FILES)
    assert find_data("mine.toml") == ("mine.toml", [folder], folder / VECTOR_FILES[0])
    assert find_data("sample")[1] == [sample_path()[0]]


def test_mr_of_two_folders(here, monkeypatch):
    """The corpus of ``data``, the vectors of REPLICATE_DATA; the named folder counts first."""
    filled(here / "data", *POLARITY_FILES, VECTOR_FILES[0])
    named = filled(here / "named", VECTOR_FILES[1])
    monkeypatch.setenv("REPLICATE_DATA", str(named))
    assert find_data() == ("paper", [Path("data")], named / VECTOR_FILES[1])
    filled(named, *POLARITY_FILES)
    assert find_data()[1] == [named]


def test_what_is_named_counts(here, refused):
    """A named corpus with vectors beside it, named vectors, and neither found nor named."""
    mine = filled(here / "mine", VECTOR_FILES[1])
    assert find_data("paper", [mine]) == ("paper", [mine], mine / VECTOR_FILES[1])
    assert find_data(corpus=[str(mine)], vectors="random") == ("paper", [mine], "random")
    with refused("no word vectors found", "--vectors, or use random"):
        find_data("paper", ["mine.tsv"])
    with refused(here / "none.bin", "no such file"):
        find_data("paper", [mine], here / "none.bin")


def test_one_path_is_a_list_of_itself(here):
    """A text is no list of letters; a name that is none is refused as itself."""
    filled(here, "a.tsv", "v.bin")
    for corpus in ("a.tsv", Path("a.tsv"), ["a.tsv"], iter([Path("a.tsv")])):
        assert find_data("paper", corpus, "v.bin")[1] == [Path("a.tsv")]
    assert paths_of(["a", Path("b")]) == [Path("a"), Path("b")] and paths_of(()) == []
