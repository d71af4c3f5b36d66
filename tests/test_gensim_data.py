"""Vectors in gensim's folder: found, fetched from a server on this machine, never executed."""

import gc
import gzip
import hashlib
import json
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner
from gensim import downloader
from gensim.models import KeyedVectors

from replicate import cli
from replicate.io import download
from replicate.io.data import POLARITY_FILES, find_data
from replicate.io.gensim_data import (
    GENSIM,
    GOOGLE_NEWS,
    fetch_gensim,
    gensim_file,
    gensim_folder,
    gensim_name,
)
from replicate.io.wordvectors import read_vectors

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAME = "glove-tiny-2"
TEXT = gzip.compress(b"2 2\ngood 1 0\nbad 0 1\n", mtime=0)
#: What gensim would execute: it leaves a file beside itself.
CODE = b"import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n"


class Server(ThreadingHTTPServer):
    """Serves some files; keeps what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, []

    def publish(self, name, data, checksum=None, **more):
        """A set of vectors, as gensim-data publishes it."""
        entry = {"file_name": f"{name}.gz", "parts": 1, **more}
        entry["checksum"] = checksum or hashlib.md5(data).hexdigest()
        self.models = {**getattr(self, "models", {}), name: entry}
        self.files["/list.json"] = json.dumps({"corpora": {}, "models": self.models}).encode()
        self.files[f"/{name}/__init__.py"] = CODE
        self.files[f"/{name}/{name}.gz"] = data


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """gensim's folder, empty."""
    place = tmp_path / "gensim"
    monkeypatch.setenv("GENSIM_DATA_DIR", str(place))
    monkeypatch.delenv("REPLICATE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return place


@pytest.fixture
def server(folder, monkeypatch):
    """A server in gensim-data's place."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(downloader, "DOWNLOAD_BASE_URL", url)
        monkeypatch.setattr(downloader._load_info, "__defaults__", (f"{url}/list.json", "utf-8"))
        yield server
        server.shutdown()
        thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gensim leaves its connections to the collector
        gc.collect()


def laid(folder, name, data=TEXT):
    """A set of vectors, as gensim leaves it."""
    place = folder / name / f"{name}.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    (place.parent / "__init__.py").write_bytes(CODE)
    return place


def nothing_was_executed(folder):
    loaded = [n for n, m in sys.modules.items() if str(folder) in str(getattr(m, "__file__", ""))]
    return not list(folder.rglob("executed")) and not loaded


# --- what is there ---------------------------------------------------------------


def test_the_folder_is_that_of_gensim(folder, monkeypatch, tmp_path):
    assert gensim_folder() == folder
    monkeypatch.delenv("GENSIM_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert gensim_folder() == tmp_path / "home" / "gensim-data"
    assert gensim_folder().name == downloader._DEFAULT_BASE_DIR.rpartition("/")[2]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "/etc", ".hidden", "a b", "x" * 300, "a\n"])
def test_a_path_is_not_a_name(name, folder, refused):
    """A name never leaves the folder."""
    with refused("not a name of gensim-data"):
        gensim_name(GENSIM + name)
    with refused("not a name of gensim-data"):
        find_data("sample", vectors=GENSIM + name)


def test_what_is_there_is_read_and_nothing_is_executed(folder, server):
    place = laid(folder, NAME)
    assert find_data("sample", vectors=GENSIM + NAME)[2] == place == gensim_file(NAME)
    assert fetch_gensim(NAME) == place and server.asked == []
    rows, known = read_vectors(place, ["bad", "film"])
    assert rows.tolist() == [[0, 1], [0, 0]] and known.tolist() == [True, False]
    assert nothing_was_executed(folder)


def test_the_twin_is_executed(folder, server):
    """What gensim itself does: the check above would notice it."""
    server.publish(NAME, TEXT)
    laid(folder, NAME)
    downloader.BASE_DIR, had = str(folder), downloader.BASE_DIR
    try:
        with pytest.raises(AttributeError, match="load_data"):
            downloader.load(NAME)
    finally:
        downloader.BASE_DIR = had
        sys.path.remove(str(folder))
    assert not nothing_was_executed(folder)
    sys.modules.pop(NAME)


def test_what_is_missing_is_not_downloaded_unasked(folder, server, refused):
    server.publish(NAME, TEXT)
    with refused(f"{GENSIM}{NAME}: not in {folder}", f"replicate fetch --vectors {GENSIM}{NAME}"):
        find_data("sample", vectors=GENSIM + NAME)
    assert server.asked == [] and not folder.exists()


def test_google_news_of_gensim_where_no_folder_of_data_has_vectors(folder, tmp_path):
    """The last resort, not before the files of ``data``."""
    data = tmp_path / "data"
    data.mkdir()
    for name in POLARITY_FILES:
        (data / name).write_bytes(b"")
    place = laid(folder, GOOGLE_NEWS)
    assert find_data("paper")[2] == place
    (data / "GoogleNews-vectors-negative300.bin").write_bytes(b"")
    assert find_data("paper")[2].parent.name == "data"


# --- what is downloaded ----------------------------------------------------------


def test_fetched_checked_and_not_executed(folder, server, capsys):
    server.publish(NAME, TEXT)
    place = fetch_gensim(NAME)
    assert place == folder / NAME / f"{NAME}.gz" and place.read_bytes() == TEXT
    assert nothing_was_executed(folder)
    assert capsys.readouterr().out == "", "progress goes to standard error"
    # gensim's own users find it there, with the file that gensim executes.
    assert (place.parent / "__init__.py").read_bytes() == CODE
    asked = len(server.asked)
    assert fetch_gensim(NAME) == place and len(server.asked) == asked


def test_gensim_itself_finds_what_was_fetched(folder, server, monkeypatch):
    server.publish(NAME, TEXT)
    place = fetch_gensim(NAME)
    monkeypatch.setattr(downloader, "BASE_DIR", str(folder))
    assert downloader.load(NAME, return_path=True) == str(place)


def test_what_goes_wrong_is_one_line(folder, server, refused):
    """A wrong checksum, an unknown name, no server, a folder without the file."""
    server.publish(NAME, TEXT, checksum="0" * 32)
    with refused(f"{GENSIM}{NAME}", "Checksum comparison failed"):
        fetch_gensim(NAME)
    assert gensim_file(NAME) is None
    with refused("Incorrect model/corpus name", "check the name"):
        fetch_gensim("no-such-vectors")
    (folder / "half").mkdir()
    with refused(folder / "half", "has no half.gz"):
        fetch_gensim("half")
    server.publish("other", TEXT, file_name="other.bin")
    del server.files["/other/other.gz"]
    with refused(f"{GENSIM}other", "404"):
        fetch_gensim("other")


def test_without_gensim(folder, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "gensim", None)
    with refused("gensim is not installed", "--vectors"):
        fetch_gensim(NAME)


# --- the command -----------------------------------------------------------------


@pytest.fixture
def fetched(monkeypatch):
    """What ``fetch`` was asked for beside gensim's vectors; nothing is downloaded."""
    asked = []

    def fetch(dest, *, corpora=("mr",), vectors=True, progress=None):
        asked.append(vectors)
        return {}

    monkeypatch.setattr(download, "fetch", fetch)
    return asked


def told(*words):
    found = CliRunner().invoke(cli.cli, ["fetch", *words], standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return found.output


def test_the_command_fetches_what_is_named(folder, server, fetched):
    server.publish(NAME, TEXT)
    output = told("--quiet", "--vectors", GENSIM + NAME)
    assert output.endswith(f"{folder / NAME / NAME}.gz\n") and fetched == [False]


def test_google_news_of_gensim_is_not_downloaded_again(folder, server, fetched):
    told("--quiet")
    assert fetched == [True]
    place = laid(folder, GOOGLE_NEWS)
    assert told("--quiet") == f"{place}\n" and fetched == [True, False]
    assert told("--quiet", "--corpus-only") == "" and server.asked == []


@pytest.mark.parametrize("words", [["vectors.bin"], ["random"], [GENSIM + NAME, "--corpus-only"]])
def test_what_fetch_does_not_take(words, folder, fetched, refused):
    with refused("not what fetch downloads"):
        told("--vectors", *words)
    assert fetched == []


# --- a run -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_is_the_same_by_name_by_file_and_by_object(folder, server, tmp_path):
    """One identity and the same bytes: by content, however the vectors are packed."""
    from replicate import run_experiment
    from replicate.corpus import read_corpus, sample_path

    words = read_corpus(sample_path()[:1]).words
    table = np.random.RandomState(3).normal(size=(len(words), 50)).astype("f4")
    keyed = KeyedVectors(50)
    keyed.add_vectors(list(words), table)
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    server.publish(NAME, gzip.compress((tmp_path / "v.bin").read_bytes()))
    fetch_gensim(NAME)
    runs = [
        run_experiment("sample", vectors=vectors, out=tmp_path / name, epochs=3, jobs=1)
        for name, vectors in {"a": GENSIM + NAME, "b": tmp_path / "v.bin", "c": keyed}.items()
    ]
    assert len({run.identity for run in runs}) == 1
    assert len({(run.out / "vectors.npy").read_bytes() for run in runs}) == 1
    assert len({run.model_file(0, "T2h").read_bytes() for run in runs}) == 1
    names = [run.settings["vectors"]["name"] for run in runs]
    assert names == [f"{NAME}.gz", "v.bin", "KeyedVectors in memory"]
    assert len({run.settings["vectors"]["sha256"] for run in runs}) == 3
    # The same object continues the run; another one is refused.
    run_experiment("sample", vectors=keyed, out=tmp_path / "c", epochs=3, jobs=1)
    keyed.vectors[0] += 1
    with pytest.raises(ValueError, match="other word vectors"):
        run_experiment("sample", vectors=keyed, out=tmp_path / "c", epochs=3, jobs=1)
