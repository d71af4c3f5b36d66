"""Files are whole or not there, are read with checks, and are never unpickled."""

import ast
import builtins
import contextlib
import csv
import errno
import gc
import hashlib
import io
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replicate.io import files as storage
from replicate.io.errors import InputError, Unreadable
from replicate.io.files import (
    atomic,
    folder_lock,
    load_json,
    load_npy,
    load_npz,
    read_csv,
    read_text,
    save_csv,
    save_json,
    save_npy,
    save_npz,
    save_text,
    sha256,
    toml_table,
)

REPOSITORY = Path(__file__).resolve().parents[1]


def names(folder):
    """What lies in a folder, hidden files too."""
    return sorted(os.listdir(folder))


# --- Whole or not at all -------------------------------------------------------


def test_atomic_appears_only_when_complete(tmp_path):
    """While it is written the place is as before; after it, whole and alone."""
    place = tmp_path / "deep" / "file"
    save_text(place, "before")
    with atomic(place) as file:
        file.write(b"after")
        file.flush()
        assert place.read_text() == "before"
        (other,) = set(names(place.parent)) - {"file"}
        assert other.endswith(".part")  # .gitignore and `make clean` know this ending
    assert place.read_text() == "after"
    assert names(place.parent) == ["file"]


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit]
)
@pytest.mark.parametrize("existed", [True, False])
def test_an_exception_leaves_nothing_half_written(error, existed, tmp_path):
    """The exception passes, the old file stays, no rubbish is left."""
    place = tmp_path / "file"
    if existed:
        place.write_text("before")
    with pytest.raises(error), atomic(place) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == (["file"] if existed else [])
    assert not existed or place.read_text() == "before"


def test_a_plain_writer_would_be_caught(tmp_path):
    """The check above is no wall: ``open`` fails it."""
    place = tmp_path / "file"
    place.write_text("before")
    with pytest.raises(ValueError), open(place, "wb") as file:
        file.write(b"half")
        raise ValueError
    assert place.read_text() != "before"


def test_atomic_flushes_before_and_after_the_move(tmp_path, monkeypatch):
    """The data first, then the name, then the folder: a power cut leaves the old file or the new."""
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def fsync(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real["fsync"](handle)

    def replace(source, target):
        done.append(f"{Path(target).name} of {os.path.getsize(source)} bytes")
        real["replace"](source, target)

    monkeypatch.setattr(storage.os, "fsync", fsync)
    monkeypatch.setattr(storage.os, "replace", replace)
    save_text(tmp_path / "file", "whole")
    assert done == ["file", "file of 5 bytes", "folder"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk(step, tmp_path, monkeypatch, refused):
    """ENOSPC at the flush or the move: one line, the old file, no rubbish."""
    place = tmp_path / "file"
    place.write_text("before")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, step, full)
    with refused(place, "No space left on device", "free space"):
        save_text(place, "after")
    assert names(tmp_path) == ["file"] and place.read_text() == "before"


@pytest.mark.slow
def test_the_kernel_refuses_to_write(tmp_path, fresh_python):
    """A real failure in the middle of the data: the size limit of a process."""
    code = """
import os, resource, signal, sys
from replicate.io.errors import InputError
from replicate.io.files import save_npy
import numpy as np
import pandas
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
place = sys.argv[1]
save_npy(place, np.arange(3))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_npy(place, np.zeros(1_000_000))
except InputError as error:
    print(str(error).count("\\n"), place in str(error), np.load(place).tolist())
print(os.listdir(os.path.dirname(place)))
"""
    out = fresh_python(code, tmp_path / "array.npy", PYTHONDONTWRITEBYTECODE="1")
    assert out.splitlines() == ["0 True [0, 1, 2]", "['array.npy']"]


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, refused):
    """Permission denied, a read-only file system, a file in place of a folder."""
    (tmp_path / "taken").write_text("a file")
    with refused(tmp_path / "taken" / "x.csv", "another folder"):
        save_csv(tmp_path / "taken" / "x.csv", ["a"], [])
    (tmp_path / "folder").mkdir()
    with refused(tmp_path / "folder", "another folder"):
        save_text(tmp_path / "folder", "over a folder")
    assert names(tmp_path) == ["folder", "taken"]

    for number in (errno.EACCES, errno.EROFS):

        def denied(path, mode="r", *arguments, number=number, **keywords):
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(storage, "open", denied, raising=False)
        with refused(tmp_path / "new.json", os.strerror(number)):
            save_json(tmp_path / "new.json", {})
    monkeypatch.setattr(storage, "open", builtins.open)
    save_json(tmp_path / "new.json", {})  # and nothing else stood in the way


def test_an_error_on_the_way_out_hides_no_other(tmp_path, monkeypatch):
    """When the rubbish cannot be removed, the first error is still told."""

    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(storage.os, "unlink", denied)
    with pytest.raises(KeyError, match="first"), atomic(tmp_path / "file"):
        raise KeyError("first")
    storage.temporary_gone(tmp_path / "none")


# --- Equal content, equal bytes ------------------------------------------------

ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "w": np.array(["good", "ü"])}


def test_equal_arrays_equal_bytes(tmp_path, monkeypatch):
    """Neither the clock nor the file's name enters an ``.npz``."""
    save_npz(tmp_path / "a.npz", ARRAYS)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e7)
    save_npz(tmp_path / "b.npz", ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as file:
        assert {i.date_time for i in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    other = {**ARRAYS, "x": np.nextafter(ARRAYS["x"], np.float32(9))}
    save_npz(tmp_path / "b.npz", other)
    assert (tmp_path / "a.npz").read_bytes() != (tmp_path / "b.npz").read_bytes()


def test_npz_round_trip(tmp_path):
    """Names, dtypes, shapes and values come back."""
    save_npz(tmp_path / "a.npz", ARRAYS)
    back = load_npz(tmp_path / "a.npz", {"x": ("f", (2, None)), "w": ("U", (None,))})
    assert list(back) == ["x", "w"]
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("mmap", [False, True])
def test_npy_round_trip(mmap, tmp_path):
    """One array comes back; mapped, it is read only."""
    place = tmp_path / "a.npy"
    save_npy(place, ARRAYS["x"])
    back = load_npy(place, "f", (2, 3), mmap=mmap)
    np.testing.assert_array_equal(back, ARRAYS["x"])
    assert isinstance(back, np.memmap) == mmap
    assert back.flags.writeable != mmap


def refused_in_threads(read):
    """What eight threads that call `read` at once raise; every collection lets another run."""

    def switch(*_):
        time.sleep(0)

    def often():
        for _ in range(100):
            try:
                read()
            except SystemError as error:
                errors.append(error)

    errors, before = [], gc.get_threshold()
    threads = [threading.Thread(target=often) for _ in range(8)]
    gc.callbacks.append(switch)
    gc.set_threshold(20)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(switch)
    return errors


@pytest.fixture
def of_every_kind(tmp_path):
    """A function that reads an archive, an array, a mapped array and a mapped member."""
    array = np.arange(6)
    save_npz(tmp_path / "a.npz", {"x": array, "y": array})
    save_npy(tmp_path / "a.npy", array)

    def read():
        load_npz(tmp_path / "a.npz", mapped=("y",))
        load_npy(tmp_path / "a.npy")
        load_npy(tmp_path / "a.npy", mmap=True)

    return read


@pytest.mark.slow
def test_threads_may_read_at_once(of_every_kind):
    assert refused_in_threads(of_every_kind) == []


@pytest.mark.slow
def test_without_the_lock_threads_fail_where_python_does(of_every_kind, monkeypatch):
    """CPython issue 106905: 3.11.7 fails, 3.12.1 does not."""
    monkeypatch.setattr(storage, "HEADER", contextlib.nullcontext())
    numbers = f"({'1,' * 200})"
    python_fails = bool(refused_in_threads(lambda: ast.literal_eval(numbers)))
    assert bool(refused_in_threads(of_every_kind)) == python_fails


def test_json_round_trip(tmp_path):
    """Order and letters are kept; NaN, which is not JSON, is not written."""
    value = {"b": [1, 0.1, None, True], "a": "Zürich"}
    save_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text.endswith("}\n") and "Zürich" in text and text.index('"b"') < text.index('"a"')
    assert load_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError):
        save_json(tmp_path / "a.json", {"a": float("nan")})
    assert load_json(tmp_path / "a.json") == value


# --- CSV -----------------------------------------------------------------------

CELLS = st.lists(
    st.tuples(
        st.floats(allow_nan=False),
        st.floats(width=32, allow_nan=False).map(np.float32),
        st.integers(),
        # No word holds a line end; csv before Python 3.13 does not quote a lone CR.
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
    ),
    max_size=5,
)


def csv_text(folder, rows, save=save_csv):
    """Rows of text after writing and reading."""
    place = folder / "a.csv"
    save(place, ["f", "g", "i", "t"], rows)
    return [tuple(row.values()) for row in read_csv(place, ["f", "g", "i", "t"])]


@given(CELLS)
@example([(0.1 + 0.2, np.float32(0.1), 0, 'a "b", c'), (5e-324, np.float32(1e-45), 2**70, "\n")])
def test_csv_round_trip(tmp_path_factory, rows):
    """Every float comes back in all its bits, every text as it was."""
    back = csv_text(tmp_path_factory.getbasetemp(), rows)
    assert [(float(f), np.float32(float(g)), int(i), t) for f, g, i, t in back] == rows
    assert [(f, g) for f, g, _, _ in back] == [(repr(f), repr(float(g))) for f, g, _, _ in rows]


def test_a_writer_of_fewer_digits_is_caught(tmp_path, monkeypatch):
    """Twelve digits, as much as ``%g`` is often given, lose the value."""
    monkeypatch.setattr(storage, "_cell", lambda v: f"{v:.12g}" if isinstance(v, float) else v)
    back = csv_text(tmp_path, [(0.1 + 0.2, np.float32(1), 0, "x")])
    assert float(back[0][0]) != 0.1 + 0.2


def test_csv_bytes(tmp_path):
    """UTF-8, LF, a header; a value that is no float is written as it is."""
    rows = [["naïve", np.float64(1)], ["b,c", float("nan")]]
    save_csv(tmp_path / "a.csv", ["word", "wac"], rows)
    assert (tmp_path / "a.csv").read_bytes() == 'word,wac\nnaïve,1.0\n"b,c",nan\n'.encode()


@pytest.mark.parametrize(
    "data, parts",
    [
        (b"", ["line 1 should read a,b"]),
        (b"b,a\n1,2\n", ["line 1 should read a,b"]),
        (b"a,b,c\n1,2,3\n", ["line 1 should read a,b"]),
        (b"a,b\n1,2\n3\n", ["line 3 is incomplete"]),
        (b"a,b\n1,2,3\n", ["line 2 is incomplete"]),
        (b'a,b\n1,"2\n', ["cannot be read"]),
        (b"a,b\n1,\xff\n", ["cannot be read"]),
    ],
)
def test_bad_csv(data, parts, tmp_path, refused):
    """A table of another program, torn or damaged, is told with its line."""
    place = tmp_path / "a.csv"
    place.write_bytes(data)
    with refused(place, *parts):
        read_csv(place, ["a", "b"])


def test_csv_numbers(tmp_path, refused):
    """Columns that are told are numbers; what is none is told with its line."""
    place = tmp_path / "table.csv"
    place.write_text("word,count,wac\nfilm,3,0.25\ngood,-1,nan\n")
    kinds = {"count": int, "wac": float}
    rows = read_csv(place, ("word", "count", "wac"), kinds)
    assert rows[0] == {"word": "film", "count": 3, "wac": 0.25} and rows[1]["wac"] != rows[1]["wac"]
    for bad in ("", "x", "1.5", '"1\n2"', "9" * 5000):
        place.write_text(f"word,count,wac\nfilm,3,0.25\ngood,{bad},1\n")
        with refused(place, "line 3 has count = "):
            read_csv(place, ("word", "count", "wac"), kinds)


def test_missing_files(tmp_path, refused):
    """Every reader names the file that is not there."""
    place = tmp_path / "none"
    for read in (load_json, load_npy, load_npz, sha256, lambda p: read_csv(p, ["a"])):
        with refused(place):
            read(place)


READS = {
    "x.npz": load_npz,
    "x.npy": load_npy,
    "mapped.npy": lambda place: load_npy(place, mmap=True),
    "x.json": load_json,
    "x.toml": read_text,
    "x.csv": lambda place: read_csv(place, ["a"]),
    "x.txt": sha256,
}


@pytest.fixture
def sound(tmp_path):
    """A folder with a sound file for each reader."""
    save_npz(tmp_path / "x.npz", ARRAYS)
    for name in ("x.npy", "mapped.npy"):
        save_npy(tmp_path / name, X)
    save_json(tmp_path / "x.json", {})
    save_csv(tmp_path / "x.csv", ["a"], [])
    for name in ("x.toml", "x.txt"):
        (tmp_path / name).write_text("")
    return tmp_path


def unreadable_line(read, place):
    """The line of a refusal that is not damage, and that says nothing of removing the file."""
    with pytest.raises(InputError) as caught:
        read(place)
    assert "remove" not in str(caught.value) and "damaged" not in str(caught.value)
    assert "run again" not in str(caught.value) and "run the exp" not in str(caught.value)
    assert str(caught.value).count("\n") == 0
    return caught.value


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.EACCES, "give yourself permission to read it"),
        (errno.EMFILE, "raise the limit of open files"),
        (errno.ENOMEM, "free memory"),
        (errno.EIO, "check the disk, or restore the file"),
    ],
)
def test_a_refusal_of_the_system_is_not_damage(name, number, remedy, sound, monkeypatch):
    """A sound file that cannot be opened now is never to be removed, nor made again."""

    def denied(path, *arguments, **keywords):
        raise OSError(number, os.strerror(number), str(path))

    READS[name](sound / name)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", denied)
        error = unreadable_line(READS[name], sound / name)
    assert isinstance(error, Unreadable)
    assert str(error).startswith(
        f"{sound / name}: cannot be read ({os.strerror(number)}); {remedy}"
    )
    READS[name](sound / name)


@pytest.mark.parametrize("name", READS)
def test_too_many_open_files(name, sound):
    """The same as the kernel has it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    (sound / "open").touch()
    with open(sound / "open") as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno(), before[1]))
        try:
            error = unreadable_line(READS[name], sound / name)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "Too many open files" in str(error) and "limit of open files" in str(error)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "mapped.npy"])
def test_a_missing_array_is_to_be_restored(name, tmp_path):
    """It cannot be removed, and it is not one that cannot be read."""
    error = unreadable_line(READS[name], tmp_path / name)
    assert "(No such file or directory); check the name, or restore the file" in str(error)
    assert not isinstance(error, Unreadable)


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_an_array_beyond_the_memory(name, sound, monkeypatch):
    """Too little memory for a sound file, or a damaged header: the line has the size."""

    def short(*arguments, **keywords):
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(np.lib.format, "read_array", short)
    monkeypatch.setattr(np, "load", short)
    error = unreadable_line(READS[name], sound / name)
    assert "(Unable to allocate 7 TiB); free memory, or restore the file" in str(error)


def test_damaged_bytes_that_raise_oserror_are_damage(tmp_path, refused):
    """bzip2's complaint has no number of the system: that file may go."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("x.npy", npy_bytes(X))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    place = data.index(b"BZh")
    data[place + 4 : place + 12] = bytes(8)
    (tmp_path / "a.npz").write_bytes(data)
    with refused(tmp_path / "a.npz", "damaged, or not an .npz file", "remove it"):
        load_npz(tmp_path / "a.npz")


def test_a_text_may_begin_with_a_mark(tmp_path, refused):
    """Notepad writes one into settings; a fault after it keeps its place in the file."""
    place = tmp_path / "mine.toml"
    place.write_text("epochs = 3\n", encoding="utf-8-sig")
    assert toml_table(read_text(place), place) == {"epochs": 3}
    place.write_text("\ufeffepochs = 3\n", encoding="utf-8-sig")
    with refused(place, "not TOML"):  # two marks are an error as before
        toml_table(read_text(place), place)
    place.write_bytes(b"\xef\xbb\xbfab\xff")
    with refused(place, "not UTF-8 text at byte 5"):
        read_text(place)


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1', b"\xff\xfe", b"<html>"])
def test_bad_json(data, tmp_path, refused):
    """What is not JSON is told by its file."""
    place = tmp_path / "a.json"
    place.write_bytes(data)
    with refused(place, "cannot be read"):
        load_json(place)


# --- Read with checks ----------------------------------------------------------


@pytest.mark.parametrize(
    "spec, parts",
    [
        ({"x": ("f", (2, 3))}, ["w"]),
        ({"x": ("f", (2, 3)), "w": ("U", (2,)), "z": ("f", ())}, ["z"]),
        ({"x": ("i", (2, 3)), "w": ("U", (2,))}, ["x", "float32"]),
        ({"x": ("f", (2, 4)), "w": ("U", (2,))}, ["x", "(2, 3)", "(2, 4)"]),
        ({"x": ("f", (6,)), "w": ("U", (2,))}, ["x", "(2, 3)"]),
    ],
)
def test_arrays_of_another_kind(spec, parts, tmp_path, refused):
    """A name, dtype or shape that does not fit is told."""
    place = tmp_path / "a.npz"
    save_npz(place, ARRAYS)
    with refused(place, *parts):
        load_npz(place, spec)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(value, tmp_path, refused):
    """NaN and infinity do not come in unasked."""
    array = np.array([1, value], dtype=np.float32)
    save_npz(tmp_path / "a.npz", {"x": array})
    with refused(tmp_path / "a.npz", "x", "NaN or infinity"):
        load_npz(tmp_path / "a.npz")
    assert len(load_npz(tmp_path / "a.npz", finite=False)["x"]) == 2
    save_npy(tmp_path / "a.npy", array)
    with refused(tmp_path / "a.npy", "NaN or infinity"):
        load_npy(tmp_path / "a.npy", finite=True)


def test_an_array_for_an_archive(tmp_path, refused):
    """An ``.npy`` under ``.npz``'s name."""
    save_npy(tmp_path / "a.npz", ARRAYS["x"])
    with refused(tmp_path / "a.npz"):
        load_npz(tmp_path / "a.npz")


def test_an_archive_for_an_array(tmp_path, refused):
    """An ``.npz`` under ``.npy``'s name; the file does not stay open."""
    save_npz(tmp_path / "a.npy", ARRAYS)
    with refused(tmp_path / "a.npy"):
        load_npy(tmp_path / "a.npy")
    opened = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
    assert str(tmp_path / "a.npy") not in opened


def npz_bytes(save=np.savez, **arrays):
    """An archive in memory."""
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy_bytes(array):
    """An array file in memory."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


X = np.arange(5, dtype=np.float32)
KINDS = {
    "npz": (npz_bytes(x=X), load_npz),
    "npy": (npy_bytes(X), load_npy),
    "npy mapped": (npy_bytes(X), lambda place: load_npy(place, mmap=True)),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # has a test of its own below
@pytest.mark.parametrize("kind", KINDS)
def test_truncated_anywhere(kind, tmp_path, refused):
    """Cut after any byte, a file is refused; whole, it is not."""
    whole, load = KINDS[kind]
    place = tmp_path / "array"
    for length in range(len(whole)):
        place.write_bytes(whole[:length])
        with refused(place):
            load(place)
    place.write_bytes(whole)
    back = load(place)
    np.testing.assert_array_equal(back["x"] if kind == "npz" else back, X)


def test_a_damaged_archive_is_closed(tmp_path, refused):
    """No file stays open behind the error."""
    place = tmp_path / "a.npz"
    place.write_bytes(npz_bytes(x=X)[:-1])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with refused(place):
            load_npz(place)
        gc.collect()
    assert [str(w.message) for w in told] == []


def damages(whole):
    """Copies of a file with one byte set to another value."""
    for place in range(len(whole)):
        for value in (0, 1, 8, 0xFF):
            if whole[place] != value:
                yield whole[:place] + bytes([value]) + whole[place + 1 :]


def strange_errors(copies, load, folder):
    """Names of exceptions, other than InputError, that damaged copies raise."""
    found = set()
    place = folder / "damaged"
    for data in copies:
        place.write_bytes(data)
        try:
            load(place)
        except InputError as error:
            if "\n" in str(error):
                found.add("message of several lines")
        except Exception as error:
            found.add(type(error).__name__)
    return found


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", ["npz", "npz compressed", "npy"])
def test_one_byte_damaged_anywhere(kind, tmp_path):
    """A damaged byte gives an InputError or an array, never a traceback."""
    copies, load = {
        "npz": (damages(npz_bytes(x=X)), load_npz),
        "npz compressed": (damages(npz_bytes(np.savez_compressed, x=X)), load_npz),
        "npy": (damages(npy_bytes(X)), load_npy),
    }[kind]
    assert strange_errors(copies, load, tmp_path) == set()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_search_for_strange_errors_finds_one(tmp_path):
    """NumPy itself raises other things than InputError."""
    assert "BadZipFile" in strange_errors([npz_bytes(x=X)[:-1]], np.load, tmp_path)


def test_a_header_beyond_all_measure(tmp_path, refused):
    """NumPy refuses a header of 20,000 bytes; ours says so in one line."""
    place = tmp_path / "a.npy"
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}" + b" " * 20_000 + b"\n"
    data = b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head + bytes(4)
    place.write_bytes(data)
    with refused(place):
        load_npy(place)


# --- Never unpickled -----------------------------------------------------------


def test_the_payload_is_live(planted):
    """Unpickling the planted object runs it: what the tests below must prevent."""
    pickle.loads(pickle.dumps(planted))
    assert os.path.isdir(planted.folder)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("load", [load_npz, load_npy, lambda p: load_npy(p, mmap=True), load_json])
def test_a_raw_pickle(load, protocol, planted, tmp_path, refused):
    """A pickle under an array's name is refused, and does not run."""
    place = tmp_path / "a.npz"
    place.write_bytes(pickle.dumps(planted, protocol))
    with refused(place):
        load(place)
    assert not os.path.exists(planted.folder)


def test_pickles_inside_arrays(planted, tmp_path, refused):
    """Object arrays, in ``.npz`` and ``.npy``, are refused and do not run."""
    array = np.array([planted], dtype=object)
    np.savez(tmp_path / "a.npz", x=array)
    for spec in (None, {"x": ("O", (1,))}):
        with refused(tmp_path / "a.npz"):
            load_npz(tmp_path / "a.npz", spec)
    np.save(tmp_path / "a.npy", array)
    for mmap in (False, True):
        with refused(tmp_path / "a.npy"):
            load_npy(tmp_path / "a.npy", mmap=mmap)
    assert not os.path.exists(planted.folder)
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert os.path.exists(planted.folder)


def test_a_pickle_beside_arrays(planted, tmp_path, refused):
    """A member of an archive that is no array is refused, and does not run."""
    save_npz(tmp_path / "a.npz", ARRAYS)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("y.npy", pickle.dumps(planted))
    with refused(tmp_path / "a.npz"):
        try:
            load_npz(tmp_path / "a.npz")
        finally:
            assert not os.path.exists(planted.folder)


def test_objects_are_not_written(tmp_path):
    """An object array is refused when it is saved, not when it is read."""
    with pytest.raises(ValueError):
        save_npy(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert names(tmp_path) == []


def test_objects_are_not_written_to_archives(tmp_path):
    """The same for ``.npz``."""
    with pytest.raises(ValueError):
        save_npz(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})


# --- Checksums -----------------------------------------------------------------


def test_sha256(tmp_path, refused):
    """The digest of the whole file, beyond one block."""
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    assert sha256(tmp_path / "a") != hashlib.sha256(data[:-1]).hexdigest()
    with refused(tmp_path):
        sha256(tmp_path)


def test_a_device_has_no_checksum(tmp_path, refused):
    """It may have no end; nor has a name that no file can have."""
    (tmp_path / "zero").symlink_to("/dev/zero")
    with refused(tmp_path / "zero", "not a file"):
        sha256(tmp_path / "zero")
    for name in ("\0", "\ud800"):
        with refused("not a possible file name"):
            sha256(tmp_path / name)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code, sound", [
    (0x41, True), (0xD7FF, True), (0xD800, False), (0xDFFF, False), (0xE000, True),
    (0x10FFFF, True), (0x110000, False), (0xFFFFFFFF, False),
])  # fmt: skip
def test_a_text_array_holds_text(code, sound, order, tmp_path, refused):
    """NumPy takes any four bytes for a character; Python fails at some of them later."""
    array = np.array([[0x61, code], [0x62, 0]], dtype=f"{order}u4").view(f"{order}U2")
    np.savez(tmp_path / "x.npz", x=array)
    if sound:
        loaded = load_npz(tmp_path / "x.npz")["x"]
        assert loaded.ravel().tolist() == ["a" + chr(code), "b"]
    else:
        with refused("x.npz: x has characters that do not exist"):
            load_npz(tmp_path / "x.npz")


# --- One run a folder ----------------------------------------------------------

HOLDER = """
import sys
from replicate.io.files import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of ``tmp_path / "run"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_held_folder_is_refused_until_its_holder_is_killed(holder, tmp_path, refused):
    """SIGKILL leaves the lock's file and no lock."""
    folder = tmp_path / "run"
    for _ in range(2):
        with refused(folder, "another run", "choose another --out"), folder_lock(folder):
            pytest.fail("two runs on one folder")
    with folder_lock(tmp_path / "other"):
        pass
    holder.send_signal(signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    with folder_lock(folder):
        assert (folder / ".replicate.lock").exists()


def test_a_lock_is_given_back(tmp_path, refused):
    """After the run, after its failure, but not in the middle of it."""
    folder = tmp_path / "run"
    with folder_lock(folder):
        with refused(folder, "another run"), folder_lock(folder):
            pass
    with pytest.raises(KeyError), folder_lock(folder):
        raise KeyError
    with folder_lock(folder):
        pass


def test_a_lock_where_none_can_be(tmp_path, monkeypatch, refused):
    """A file in the folder's place, and a folder without permission."""
    (tmp_path / "taken").write_text("a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with refused(folder, "choose another --out"), folder_lock(folder):
            pytest.fail("locked")

    def denied(self, *arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    with refused(tmp_path / "run", "Permission denied"), folder_lock(tmp_path / "run"):
        pytest.fail("locked")


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG])
def test_a_lock_on_a_read_only_file_system(number, tmp_path, monkeypatch, refused):
    """Other errors of the system are bad places for --out too."""

    def denied(self, *arguments, **keywords):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", denied)
    with refused(tmp_path / "run", os.strerror(number)), folder_lock(tmp_path / "run"):
        pytest.fail("locked")


def test_an_error_of_the_run_is_not_blamed_on_the_lock(tmp_path):
    """A PermissionError that the run itself raises passes unchanged."""
    with pytest.raises(PermissionError), folder_lock(tmp_path / "run"):
        raise PermissionError(errno.EACCES, "of the run")


# --- Mapped members ------------------------------------------------------------


def test_a_mapped_member_is_the_same_array(tmp_path):
    """Mapped or read: equal; writing to it does not reach the file."""
    arrays = {"x": np.arange(1000, dtype=np.int32), "none": np.zeros((0, 3)), "y": X}
    save_npz(tmp_path / "a.npz", arrays)
    before = (tmp_path / "a.npz").read_bytes()
    found = load_npz(tmp_path / "a.npz", mapped=("x", "none", "y"))
    for name, value in arrays.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    assert isinstance(found["x"].base, np.memmap) and found["x"].flags.writeable
    found["x"][:] = 7
    assert (tmp_path / "a.npz").read_bytes() == before


def test_a_compressed_member_is_read(tmp_path):
    """What cannot be mapped is read."""
    np.savez_compressed(tmp_path / "a.npz", x=X)
    np.testing.assert_array_equal(load_npz(tmp_path / "a.npz", mapped=("x",))["x"], X)


def test_a_mapped_member_of_another_length_is_refused(tmp_path, refused):
    """A header that promises more than the member holds, and one that is torn."""
    save_npz(tmp_path / "a.npz", {"x": np.arange(100, dtype=np.int32)})
    data = (tmp_path / "a.npz").read_bytes()
    for old, new in ((b"(100,)", b"(900,)"), (b"<i4", b"<i8"), (b"\x93NUMPY", b"\x93NUMBY")):
        assert data.count(old) >= 1
        (tmp_path / "b.npz").write_bytes(data.replace(old, new))
        with refused(tmp_path / "b.npz"):
            load_npz(tmp_path / "b.npz", mapped=("x",))


def test_temporaries_of_killed_processes_are_swept(tmp_path):
    """What atomic left goes, in the folders that are named; all else stays."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "nested").mkdir()
    ours = (".x.npy.123.replicate.part", "a/.stage.json.9.replicate.part")
    others = {
        *("x.npy", "saliency.npy.part", ".lock", ".mine.5.part", ".mine.part", ".replicate.lock"),
        *(".5.replicate.part", ".x.five.replicate.part", "a/nested/.x.npy.1.replicate.part"),
    }
    for name in (*ours, *others):
        (tmp_path / name).touch()

    def left():
        return {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}

    storage.remove_temporaries(tmp_path)
    assert left() == {*others, ours[1]}
    storage.remove_temporaries(tmp_path, ("", "a", "b", "c*/*"))
    assert left() == others


@pytest.mark.parametrize(
    "text", ["a\rb", "\r", "a\r\nb", 'say "a"\rb', "a,b", "a\nb", '"', "plain", " x ", ""]
)
def test_a_table_keeps_its_rows(text, tmp_path):
    """Also with a lone CR, which Python's module left unquoted before 3.11.9 and 3.12.3."""
    place = tmp_path / "t.csv"
    save_csv(place, ("first", "second"), [(text, 1.5), ("next", 2.0)])
    with open(place, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["first", "second"], [text, "1.5"], ["next", "2.0"]]
    frame = pandas.read_csv(place, keep_default_na=False)
    assert frame["first"].tolist() == [text, "next"] and frame["second"].tolist() == [1.5, 2.0]
    if "\r" not in text:
        # Twin: other rows are written as they always were.
        plain = io.StringIO()
        writer = csv.writer(plain, lineterminator="\n")
        writer.writerows([("first", "second"), (text, "1.5"), ("next", "2.0")])
        assert place.read_bytes().decode() == plain.getvalue()


def test_a_name_that_is_not_utf_8_is_written(tmp_path):
    """Python has such bytes as surrogates, which no text can hold."""
    storage.save_json(tmp_path / "a.json", {b"caf\xe9.tsv".decode("utf-8", "surrogateescape"): 1})
    assert storage.load_json(tmp_path / "a.json") == {"caf?.tsv": 1}
