"""Every reader of outside data as a function of bytes, with valid inputs to start from.

The rule of all: any input gives a result, or one :class:`InputError` whose
message is one line.  :func:`fault` says how an input breaks it.  Used by
``fuzz.py`` beside this file and by ``tests/test_fuzz.py``.
"""

import atexit
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import signal
import struct
import tarfile
import tempfile
import traceback
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from replicate import run
from replicate.beyond import sweep
from replicate.beyond.own_data import read_pool
from replicate.config import Config
from replicate.corpus import Corpus, read_corpus
from replicate.experiment import prepare
from replicate.io import files as storage
from replicate.io.errors import InputError
from replicate.io.wordvectors import read_vectors
from replicate.model import TextCNN, initial_model, load_weights
from replicate.run import Options, Run
from replicate.training import train

__all__ = ["READERS", "SEEDS", "TOKENS", "fault", "folder"]

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = ("good", "film", "bad")
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 4
#: Of the runs below: small enough for a thousand of them a minute.
CONFIG = Config(n_filters=2, epochs=3, batch_size=2, tokens="whitespace")
TABLE = "label\ttext\n1\tgood film\n0\tbad film\n1\tgood good\n0\tbad bad film\n"

#: What parsers stumble over.
TOKENS = (
    b"\n", b"\r", b"\r\n", b'"', b"'", b"\\", b"\0", b"\xff", b"\xc2\x85", b"\xed\xa0\x80", b" ",
    b"\t", b",", b"[", b"]", b"{", b"}", b"=", b"-1", b"NaN", b"Infinity", b"1e999", b"null",
    b"true", b"[[a]]\n", b"0x", b"1979-05-27", b"9" * 20, b"9" * 5000,
    b"\x7f\xff\xff\xff", b"\x80\0\0\0", bytes(64),
)  # fmt: skip


@cache
def folder():
    """A temporary folder, in memory where that is to be had; removed at the end."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    made = Path(
        tempfile.mkdtemp(prefix="replicate-fuzz-", dir=os.environ.get("FUZZ_FOLDER", memory))
    )
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def put(name, data):
    """A new file under an old name: what still maps the last one keeps it."""
    place = folder() / name
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


# --- the rule ---------------------------------------------------------------------


class TooLong(BaseException):
    """A reader did not end; no ``except Exception`` hides it."""


@contextlib.contextmanager
def _limit(seconds):
    """Interrupt the body after so many seconds; 0 is no limit."""

    def stop(number, frame):
        raise TooLong(f"no end within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop) if seconds else None
    signal.setitimer(signal.ITIMER_REAL, seconds) if seconds else None
    try:
        yield
    finally:
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def fault(read, data, seconds=0):
    """How a reader breaks the rule at an input.

    Args:
        read: function of bytes.
        data (bytes): the input.
        seconds (float): a reader that takes longer does not end; 0 is no limit.

    Returns:
        str: kind and place, the same for the same cause; empty when all is well.
    """
    try:
        with warnings.catch_warnings(), _limit(seconds):
            warnings.simplefilter("ignore")
            read(data)
    except InputError as error:
        message = str(error)
        if message.strip() and not re.search(r"[\r\n]", message):
            return ""
        what = f"{type(error).__name__} of {len(message.splitlines())} lines"
        return f"{what} at {_place(error)}"
    except (Exception, TooLong) as error:
        return f"{type(error).__name__} at {_place(error)}: {' '.join(str(error).split())[:100]}"
    return ""


def _place(error):
    """The last line of this package that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if Path(f.filename).parent == REPOSITORY / "replicate"] or frames
    return f"{Path(ours[-1].filename).name} {ours[-1].name} line {ours[-1].lineno}"


# --- checksums that a mutation would not get past -----------------------------------


def mended_zip(data):
    """A zip archive whose checksums are of what it holds now; other bytes as they are."""
    data = bytearray(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            at = archive.start_dir
            for member in archive.infolist():
                head = member.header_offset
                start = head + 30 + sum(struct.unpack_from("<HH", data, head + 26))
                held = bytes(data[start : start + member.compress_size])
                if member.compress_type == zipfile.ZIP_DEFLATED:
                    held = zlib.decompressobj(-15).decompress(held, 1 << 20)
                sum_ = struct.pack("<I", zlib.crc32(held))
                data[head + 14 : head + 18] = sum_
                data[at + 16 : at + 20] = sum_
                at += 46 + sum(struct.unpack_from("<HHH", data, at + 28))
    except Exception:  # no archive (any more), which is an input too
        pass
    return bytes(data)


def mended_tar(data):
    """A plain tar archive whose headers have the checksums of what they hold now."""
    if data[:2] == b"\x1f\x8b":
        return data
    data = bytearray(data)
    at = 0
    while at + 512 <= len(data):
        head = data[at : at + 512]
        if not any(head):
            break
        head[148:156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(head)
        try:
            size = int(bytes(head[124:136]).strip(b" \0") or b"0", 8)
        except ValueError:
            break
        at += 512 * (1 + (max(size, 0) + 511) // 512)
    return bytes(data)


# --- readers ------------------------------------------------------------------------

#: Name -> function of bytes.
READERS = {}


def reader(name):
    """Enter a function of bytes under its name."""

    def enter(function):
        READERS[name] = function
        return function

    return enter


def _both(paths):
    for tokens in ("kim", "whitespace"):
        read_corpus(paths, tokens)


@reader("pair")
def pair(data):
    _both([put("x.pos", data), put("x.neg", b"bad film\n")])


@reader("folder")
def pair_in_folder(data):
    put("mr/rt-polarity.pos", b"good film\n")
    _both([put("mr/rt-polarity.neg", data).parent])


@reader("archive")
def archive(data):
    _both([put("x.tar.gz", mended_tar(data))])


def _of_one_file(name):
    """A reader of a corpus that is one file of this name."""
    return lambda data: _both([put(name, data)])


for _kind, _name in (
    ("tsv", "x.tsv"), ("csv", "x.csv"), ("csv.gz", "x.csv.gz"), ("fastText", "x.cor"),
    ("jsonl", "x.jsonl"), ("numbered", "x.train.all"),
):  # fmt: skip
    reader(_kind)(_of_one_file(_name))


@reader("folders")
def folders(data):
    put("labels/neg/0_1.txt", b"bad film")
    _both([put("labels/pos/0_9.txt", data).parents[1]])


@reader("pool.txt")
def pool_of_lines(data):
    read_pool(put("pool.txt", data))


@reader("pool")
def pool(data):
    read_pool(put("pool.csv", data))


@reader("vectors")
def vectors(data):
    read_vectors(put("vectors", data), WORDS)


@reader("config")
def config(data):
    Config.from_toml(put("mine.toml", data))


@reader("grid")
def grid(data):
    sweep.read_grid(put("grid.toml", data))


@reader("sweep.csv")
def sweep_table(data):
    sweep.sweep_rows(put("sweep.csv", data))


@reader("json")
def json_file(data):
    storage.load_json(put("x.json", data))


@reader("table")
def csv_table(data):
    storage.read_csv(put("table.csv", data), ["a", "b"])


@reader("npz")
def npz(data):
    storage.load_npz(put("x.npz", mended_zip(data)))


@reader("npz mapped")
def npz_mapped(data):
    spec = {"x": ("f", (None, 4)), "y": ("i", (None,))}
    storage.load_npz(put("mapped.npz", mended_zip(data)), spec, mapped=("x",))


@reader("npy")
def npy(data):
    storage.load_npy(put("x.npy", data), "fb", (None, None), finite=True)


@reader("npy mapped")
def npy_mapped(data):
    np.sum(storage.load_npy(put("mapped.npy", data), "fb", (None, None), mmap=True))


@reader("corpus.npz")
def stored_corpus(data):
    """The words are asked for too: bytes that are no text must not wait for the report."""
    found = Corpus.load(put("corpus.npz", mended_zip(data)), ("0", "1"), {})
    "".join(found.words.tolist()).encode()
    found.take(np.arange(len(found)))


@reader("model.npz")
def weights(data):
    load_weights(put("model.npz", mended_zip(data)), model())


@reader("snapshot")
def snapshot(data):
    """Training that goes on from it."""
    train_on(put("snapshot/snapshot.npz", mended_zip(data)).parent)


@reader("config.json")
def run_settings(data):
    """All that a run folder tells of itself."""
    run_files()
    put("run/config.json", data)
    found = Run(folder() / "run")
    found.finished_seeds()
    assert found.title and found.identity and len(found.known)
    initial_model(found, 0)


@reader("accuracy.csv")
def accuracies(data):
    run_files()
    put("run/config.json", SEEDS["config.json"][0])
    put("run/seed-000/accuracy.csv", data)
    Run(folder() / "run").accuracies(0)


@reader("stage.json")
def stage(data):
    put("stage/model.npz", b"weights")
    run.stage_holds(put("stage/stage.json", data).parent)


@reader("same run again")
def again(data):
    """The command of a run repeated on its folder, whose settings are the input."""
    run_files()
    put("run/config.json", data)
    prepare(
        folder() / "run",
        CONFIG,
        Options(),
        [0],
        [put("run.tsv", TABLE.encode())],
        "random",
        dimensions=4,
    )


# --- what they start from -----------------------------------------------------------


@cache
def corpus():
    """Four sentences of three words."""
    return read_corpus([put("seed.tsv", TABLE.encode())], "whitespace")


def model():
    """An untrained network over them."""
    rows = np.zeros((len(corpus().words) + 1, 4), np.float32)
    rows[1:] = ROWS
    return TextCNN(rows, 2, CONFIG, 0, "fused")


def train_on(place, on_progress=None):
    """Three epochs, from the snapshot of a folder where it has one."""
    four = np.arange(4)
    train(
        model(), corpus(), four, four, seed=0, folder=place,
        fingerprint="fuzz", on_progress=on_progress, snapshot_seconds=0,
    )  # fmt: skip


@cache
def snapshot_bytes():
    """The snapshot after the first of three epochs."""
    place, kept = folder() / "first", []
    place.mkdir()

    def keep(epoch, accuracy):
        if epoch == 2:
            kept.append((place / "snapshot.npz").read_bytes())

    train_on(place, keep)
    return kept[0]


@cache
def settings_bytes():
    """``config.json`` of a prepared run."""
    place = folder() / "prepared"
    prepare(place, CONFIG, Options(), [0], [put("run.tsv", TABLE.encode())], "random", dimensions=4)
    return (place / "config.json").read_bytes()


@cache
def run_files():
    """The arrays of a run folder, written once."""
    settings_bytes()
    for name in ("corpus.npz", "vectors.npy", "known.npy"):
        put(f"run/{name}", (folder() / "prepared" / name).read_bytes())


def npz_bytes(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy_bytes(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def csv_bytes(save, *rows):
    save(folder() / "seed.csv", *rows)
    return (folder() / "seed.csv").read_bytes()


def tar_bytes(kind, members):
    """A plain archive without the zeros that tar fills its last record with."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as made:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
        end = file.tell()
    return file.getvalue()[: end + 1024]


def vector_text(header, end="\n"):
    first = f"3 4{end}" if header else ""
    return (
        first + "".join(f"{w} {' '.join(map(str, r))}{end}" for w, r in zip(WORDS, ROWS))
    ).encode()


@cache
def _seeds():
    pair = [b"good film\ngood\n", b"it's a \x85 fine film , isn't it ?\nna\xefve\n"]
    table = TABLE.encode()
    commas = b'label,text\r\n1,"good, ""fine"" film"\r\n0,"bad\nfilm"\r\n'
    members = [("mr/rt-polarity.pos", b"good film\n"), ("mr/rt-polarity.neg", b"bad film\n")]
    long_name = [("x" * 120 + "/" + name, data) for name, data in members]
    tars = [
        tar_bytes(tarfile.USTAR_FORMAT, members),
        tar_bytes(tarfile.GNU_FORMAT, long_name),
        tar_bytes(tarfile.PAX_FORMAT, long_name),
    ]
    records = [w.encode() + b" " + r.tobytes() for w, r in zip(WORDS, ROWS)]
    binary = b"3 4\n" + b"\n".join([*records, b""])
    toml = Config().to_toml().encode()
    grids = [
        b'seeds = [0, 1]\npreset = "sample"\n[base]\nepochs = 3\n[[grid]]\ndropout = [0.0, 0.5]\n'
        b'n_filters = [5, 10]\n[[one]]\nactivation = "tanh"\n',
        b"seeds = [0]\none = [{max_norm = 3.0}, {}]\ngrid = [{split = 'stratified'}]\n",
    ]
    header = ["specification", "seed", *Config.names(), "level.T1"]
    row = ["default", 0, *Config().to_dict().values(), 0.5]
    x, y = ROWS, np.arange(3)
    arrays = [
        npz_bytes(x=x, y=y),
        npz_bytes(np.savez_compressed, x=x, y=y),
        npz_bytes(x=np.asfortranarray(x), y=y.astype(">i4")),
        npz_bytes(x=np.array(["a", "bc"]), y=np.array(True)),
    ]
    single = [npy_bytes(x), npy_bytes(np.asfortranarray(x), (2, 0)), npy_bytes(x > 1, (3, 0))]
    single.append(npy_bytes(np.zeros((0, 4), ">f8")))
    stored = npz_bytes(
        words=corpus().words,
        tokens=corpus().tokens,
        offsets=corpus().offsets,
        label=corpus().labels,
    )
    marker = {"sha256": {"model.npz": storage.sha256(put("seed.bin", b"weights"))}}
    return {
        "pair": pair,
        "folder": pair,
        "archive": [*tars, *map(gzip.compress, tars[:1])],
        "tsv": [table, b'text\tlabel\n"a ""b"" c"\tx\nd <br /> e\ty\n', b"\xef\xbb\xbf" + table],
        "csv": [commas, table.replace(b"\t", b",")],
        "csv.gz": [gzip.compress(commas, mtime=0), gzip.compress(commas, 0, mtime=0)],
        "jsonl": [b'{"label": 1, "text": "good film"}\n{"label": "0", "text": "b\\u00e9"}\n'],
        "numbered": [b"1 good film\n0 bad film\n"],
        "folders": [b"a good\nfilm", "très bon film".encode()],
        "pool.txt": [b"a film\n\nanother\r\n", "\ufeffa film\n".encode("utf-16")],
        "fastText": [b"__label__pos good film\n__label__neg bad \x93film\x94\n"],
        "pool": [commas, b"text\na film\n"],
        "vectors": [
            binary, b"3 4\n" + b"".join(records), binary.replace(b"film ", b"bad film "),
            vector_text(True), vector_text(False, "\r\n"),
            gzip.compress(binary, mtime=0), vector_text(True).replace(b"good", b"so good"),
        ],
        "config": [toml, b"epochs = 3\njudged_epoch = 2\nlearning_rate = 1e-2\n"],
        "grid": grids,
        "sweep.csv": [csv_bytes(storage.save_csv, header, [row])],
        "json": [json.dumps({"a": [1, 2.5, None, True, "é\n"], "b": {"c": {}}}).encode()],
        "table": [b'a,b\n1,2\n"x\ny","""z"""\n'],
        "npz": arrays,
        "npz mapped": arrays[:2],
        "npy": single,
        "npy mapped": single,
        "corpus.npz": [stored],
        "model.npz": [npz_bytes(**model().weights(True)), npz_bytes(**model().weights(False))],
        "snapshot": [snapshot_bytes()],
        "config.json": [settings_bytes()],
        "accuracy.csv": [b"arm,epoch,accuracy,loss\nT1,1,0.5,0.69\nT1,2,0.75,0.5\n"],
        "stage.json": [json.dumps(marker).encode()],
        "same run again": [settings_bytes()],
    }  # fmt: skip


class _Seeds(dict):
    """Name -> valid inputs, made on first use."""

    def __missing__(self, name):
        self.update(_seeds())
        if name not in self:
            raise KeyError(name)
        return self[name]


#: Name -> list of valid inputs.
SEEDS = _Seeds()
