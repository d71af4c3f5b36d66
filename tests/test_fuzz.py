"""Whatever a reader is given: a result, or one clear line.

Readers, seeds and the rule are those of ``faults/fuzz.py``, which searches
for longer, guided by coverage.
"""

import gzip
import importlib.util
import io
import itertools
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from replicate.io import files as storage
from replicate.io import tables, wordvectors
from replicate.io.errors import InputError
from replicate.io.files import tomllib
from replicate.io.lines import Form

_spec = importlib.util.spec_from_file_location(
    "readers", Path(__file__).parent / "faults" / "readers.py"
)
readers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readers)
READERS, SEEDS, TOKENS, fault = readers.READERS, readers.SEEDS, readers.TOKENS, readers.fault

# NumPy leaves a damaged archive open that was named .npy.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
#: The same inputs every time.
SAME = settings(derandomize=True, database=None, suppress_health_check=list(HealthCheck))
#: Far more than any input of this file takes.
SECONDS = 30


# --- inputs ---------------------------------------------------------------------

PLACES = st.integers(0, 2**14)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("cut"), PLACES),
        st.tuples(st.just("set"), PLACES, st.integers(0, 255)),
        st.tuples(st.just("delete"), PLACES, st.integers(1, 40)),
        st.tuples(st.just("repeat"), PLACES, st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.just("insert"), PLACES, st.sampled_from(TOKENS)),
        st.tuples(st.just("put"), PLACES, st.sampled_from(TOKENS)),
    ),
    min_size=1,
    max_size=4,
)


def edited(data, edits):
    """A valid file damaged on purpose."""
    for kind, at, *rest in edits:
        at %= len(data) + 1
        if kind == "cut":
            data = data[:at]
        elif kind == "set":
            data = data[:at] + bytes(rest) + data[at + 1 :]
        elif kind == "delete":
            data = data[:at] + data[at + rest[0] :]
        elif kind == "repeat":
            length, times = rest
            data = data[:at] + data[at : at + length] * times + data[at:]
        else:
            data = data[:at] + rest[0] + data[at + (len(rest[0]) if kind == "put" else 0) :]
    return data


def damaged(name):
    """Strategy: a seed of a reader, edited."""
    return st.builds(edited, st.sampled_from(SEEDS[name]), EDITS)


def test_edits():
    """Each kind of edit does what it says."""
    assert edited(b"abcdef", [("cut", 2)]) == b"ab"
    assert edited(b"abcdef", [("set", 2, 0)]) == b"ab\0def"
    assert edited(b"abcdef", [("delete", 2, 3)]) == b"abf"
    assert edited(b"abcdef", [("repeat", 1, 2, 2)]) == b"abcbcbcdef"
    assert edited(b"abcdef", [("insert", 1, b"xy")]) == b"axybcdef"
    assert edited(b"abcdef", [("put", 1, b"xy"), ("cut", 5)]) == b"axyde"


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_valid(name):
    """What is edited is read to its end before."""
    assert SEEDS[name]
    for data in SEEDS[name]:
        READERS[name](data)


@pytest.mark.parametrize("name", READERS)
@settings(SAME, max_examples=30)
@given(data=st.binary(max_size=300))
def test_any_bytes(name, data):
    """Bytes of no format."""
    assert fault(READERS[name], data, SECONDS) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings(SAME, max_examples=80)
@given(data=st.data())
def test_damaged_files(name, data):
    """Valid files with some edits."""
    assert fault(READERS[name], data.draw(damaged(name)), SECONDS) == ""


# --- sound in form, odd in content ------------------------------------------------

#: Values that a field of JSON or TOML can have; most fields should not.
ODD = (
    None, True, -1, 0, 10**30, 0.5, float("inf"), float("nan"), "", "x", "a\nb", "/dev/zero", "\0",
    "\ud800", [], [[]], ["x"], [None], {}, {"a\nb": 1}, {"x": []},
)  # fmt: skip


def odd_trees(tree):
    """Copies of a JSON tree in which one value is another or is missing."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        for odd in ODD:
            copy = tree.copy()
            copy[key] = odd
            yield copy
        copy = tree.copy()
        del copy[key]
        yield copy
        if isinstance(tree, dict):
            for odd in ("", "/dev/zero", "a\nb", "\0", ".", "self"):
                yield {odd if name == key else name: tree[name] for name in tree}
        for inner in odd_trees(value) if isinstance(value, (dict, list)) else ():
            copy = tree.copy()
            copy[key] = inner
            yield copy


def odd_arrays(arrays):
    """Copies of named arrays in which one is another or is missing."""
    for name, value in arrays.items():
        others = [np.array("x"), np.zeros(3), np.zeros((2, 2), "<U2"), value[..., None]]
        if value.dtype.kind == "U":
            others += [
                np.full_like(value, ""),
                np.frombuffer(b"\xff" * max(value.nbytes, 4), "<U1"),
            ]
            others += [np.frombuffer(b"\0\xd8\0\0" * value.size, "<U1").reshape(value.shape)]
        elif value.dtype.kind in "iu":
            ends = np.iinfo(value.dtype)
            others += [np.full_like(value, number) for number in (ends.min, ends.max, 0)]
        elif value.dtype.kind == "f":
            others += [np.full_like(value, number) for number in (np.nan, -1, 1e30)]
            others += [value.astype("f2"), value.astype(">f8")]
        for other in others:
            yield {**arrays, name: other}
        yield {n: v for n, v in arrays.items() if n != name}
    yield {**arrays, "a\nb": np.zeros(1)}


def odd_rows(data):
    """Copies of a CSV table in which one field of its second line is another."""
    first, second, *rest = data.decode().split("\n")
    fields = second.split(",")
    for i in range(len(fields)):
        for odd in ("", "x", "nan", "-1", "1e999", '"a\nb"', "9" * 5000):
            yield "\n".join([first, ",".join([*fields[:i], odd, *fields[i + 1 :]]), *rest]).encode()


def odd_inputs(name):
    """All odd versions of a reader's first seed."""
    data = SEEDS[name][0]
    if name.endswith(".csv"):
        return odd_rows(data)
    if name in ("config", "grid"):
        # TOML has neither null nor half a surrogate pair, and none is asked for.
        trees = odd_trees(tomllib.loads(data.decode()))
        return (text.encode() for text in map(toml, trees) if text is not None)
    if data[:2] == b"PK":
        with np.load(io.BytesIO(data)) as archive:
            arrays = dict(archive)
        return (readers.npz_bytes(**odd) for odd in odd_arrays(arrays))
    return (json.dumps(tree).encode() for tree in odd_trees(json.loads(data)))


def toml(tree):
    """A tree as TOML, or None where that cannot be."""
    try:
        text = tomli_w.dumps(tree)
        text.encode()
    except (TypeError, ValueError):
        return None
    return text


ODDLY = (
    "config", "grid", "config.json", "stage.json", "same run again", "sweep.csv", "accuracy.csv",
    "corpus.npz", "model.npz", "snapshot", "npz mapped",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ODDLY)
def test_odd_values(name):
    """Every field in turn has what it never should."""
    tried = 0
    faults = {}
    # Every fifth of the slow one: it sees most values as other settings only.
    for data in itertools.islice(odd_inputs(name), 0, None, 5 if name == "same run again" else 1):
        tried += 1
        words = fault(READERS[name], data, 3)
        faults.setdefault(words.partition(":")[0], (words, data[:300]))
    faults.pop("", None)
    assert not faults
    assert tried > 15


# --- the rule and the search can fail ---------------------------------------------


class Lines(InputError):
    """An InputError that keeps its lines, as none should."""

    def __init__(self, message):
        ValueError.__init__(self, message)


def _raises(error):
    def read(data):
        raise error

    return read


def _never_ends(data):
    while True:
        pass


@pytest.mark.parametrize(
    "read, words",
    [
        (_raises(IndexError("out of range")), "IndexError at test_fuzz.py"),
        (_raises(ValueError("InputError is one of these")), "ValueError at"),
        (_raises(RecursionError("deep")), "RecursionError at"),
        (_raises(Lines("one\ntwo; mend it")), "Lines of 2 lines at"),
        (_raises(Lines("one\rtwo; mend it")), "Lines of 2 lines at"),
        (_raises(InputError(" ")), "InputError of"),
        (_never_ends, "TooLong at"),
    ],
)
def test_every_kind_of_fault_is_told(read, words):
    """Other errors, several lines, none, and no end."""
    assert fault(read, b"", 0.3).startswith(words)


def test_what_is_no_fault():
    """A result, and one line."""
    assert fault(len, b"") == ""
    assert fault(_raises(InputError("one line; mend it")), b"") == ""


def _bare_json(place):
    return json.loads(Path(place).read_bytes())


def _two_lines(place):
    try:
        return _bare_json(place)
    except ValueError as error:
        raise Lines(f"{place}:\n{error}; mend it") from None


def _no_form(path, notes, **options):
    return Form("utf-8", "\n")


SABOTAGE = {
    "json": (storage, "load_json", _bare_json, "JSONDecodeError"),
    "npz": (storage, "_DAMAGED", (ValueError,), "BadZipFile"),
    "npy": (storage, "load_npy", lambda place, *_, **__: np.load(place), "EOFError"),
    "csv": (tables, "form_of", _no_form, "UnicodeDecodeError"),
    "vectors": (wordvectors, "_is_number", lambda text: bool(float(text)), "ValueError"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SABOTAGE)
def test_a_broken_reader_is_found(name, monkeypatch):
    """The edits reach what a reader guards against."""
    module, attribute, broken, words = SABOTAGE[name]
    monkeypatch.setattr(module, attribute, broken)
    data = find(damaged(name), lambda data: fault(READERS[name], data), settings=SAME)
    assert fault(READERS[name], data).startswith(words)


def test_two_lines_are_found(monkeypatch):
    """A message that quotes text as it is."""
    monkeypatch.setattr(storage, "load_json", _two_lines)
    data = find(damaged("json"), lambda data: fault(READERS["json"], data), settings=SAME)
    assert fault(READERS["json"], data).startswith("Lines of 2 lines")


def test_nothing_is_found_in_a_sound_reader():
    """The same search without sabotage."""
    with pytest.raises(NoSuchExample):
        find(damaged("json"), lambda data: fault(READERS["json"], data), settings=SAME)


def test_edits_get_past_checksums(refused):
    """Archives are mended: an edited array is read, which the checksum would refuse."""
    whole = SEEDS["npz"][0]
    at = whole.index(readers.ROWS.tobytes())
    data = edited(whole, [("set", at, 7)])
    place = readers.put("mended.npz", data)
    with refused(place, "CRC"):
        storage.load_npz(place)
    place = readers.put("mended.npz", readers.mended_zip(data))
    assert storage.load_npz(place)["x"].tobytes()[:1] == b"\x07"
    assert readers.mended_zip(whole) == whole and readers.mended_zip(b"PK") == b"PK"

    whole = SEEDS["archive"][0]
    data = edited(whole, [("set", 0, ord("n"))])
    with pytest.raises(tarfile.ReadError):
        tarfile.open(fileobj=io.BytesIO(data))
    with tarfile.open(fileobj=io.BytesIO(readers.mended_tar(data))) as archive:
        assert archive.getnames() == ["nr/rt-polarity.pos", "mr/rt-polarity.neg"]


# --- giants -------------------------------------------------------------------------


def array_head(shape, descr="<f4"):
    """The start of an ``.npy`` file."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return header_of(text)


def header_of(text):
    """The start of an ``.npy`` file with any text for a header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(data, name="x.npy", method=zipfile.ZIP_STORED):
    """An archive of one member."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def expands(start, filling, millions):
    """A gzip file of a start and so many million times some bytes: members follow each other."""
    return gzip.compress(start) + gzip.compress(filling * 10**6, 1) * millions


def bomb(count):
    """An archive of one array of zeros, a thousandth of its size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x.npy", array_head((count,), "|u1") + bytes(count))
    return file.getvalue()


def tar_head(kind, size, name="x"):
    """The header of a member that is not followed by anything."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def grid_of(n):
    """A sweep of 20^n specifications in a few hundred bytes."""
    numbers = [0.01 * (1 + i) for i in range(20)]
    names = ["dropout", "learning_rate", "max_norm", "weight_decay", "epochs", "batch_size"]
    rows = [
        f"{name} = {[int(100 * x) if i > 3 else x for x in numbers]}"
        for i, name in enumerate(names[:n])
    ]
    return ("seeds = [0]\n[[grid]]\n" + "\n".join(rows) + "\n").encode()


#: Memory that a giant may take beyond what was taken before, in bytes.
MEMORY = 256 << 20


def _unguarded(data):
    """The twin: reads all that there is."""
    with gzip.open(io.BytesIO(data)) as file:
        return file.read()


#: Name -> reader and input.  All that expand do so to more than MEMORY.
GIANTS = {
    "a promise of 10^12 words": ("vectors", lambda: b"1000000000000 4\ngood " + bytes(999)),
    "a promise of 10^12 words in text": ("vectors", lambda: b"1000000000000 1\ngood 1\n"),
    "a promise of 10^9 dimensions": ("vectors", lambda: b"3 1000000000\ngood " + bytes(999)),
    "10^12 words of 10,000 dimensions": ("vectors", lambda: b"1000000000000 10000\n" + bytes(999)),
    "a line of vectors": ("vectors", lambda: expands(b"3 4\ngood 1 2 3 4\n", b"a", 500)),
    "a line of numbers": ("vectors", lambda: expands(b"3 4\ngood", b" 1", 200)),
    "a first line of numbers": ("vectors", lambda: expands(b"good", b" 11", 5)),
    "blank lines": ("vectors", lambda: expands(b"3 4\n", b"\n", 500)),
    "a line of a table": ("csv.gz", lambda: expands(b"label,text\n1,", b"a", 500)),
    "a quoted field": ("csv.gz", lambda: expands(b'label,text\n1,"', b"a\n", 300)),
    "a first line of a table": ("csv.gz", lambda: expands(b"", b"a,", 300)),
    "a member of an archive": (
        "archive",
        lambda: expands(tar_head(tarfile.REGTYPE, 1 << 32, "rt-polarity.pos"), b"\0", 500),
    ),
    "a name in an archive": (
        "archive", lambda: expands(tar_head(tarfile.GNUTYPE_LONGNAME, 500 * 10**6), b"a", 500)
    ),
    "attributes in an archive": (
        "archive", lambda: expands(tar_head(tarfile.XHDTYPE, 500 * 10**6), b"\0", 500)
    ),
    "a long word": (
        "tsv",
        lambda: (
            b"label\ttext\n1\t" + b"a" * 10**6 + b"\n0\t" + b" ".join(b"%d" % i for i in range(999))
        ),
    ),
    "a promised array": ("npz", lambda: zipped(array_head((10**12,)))),
    "a promised array beyond counting": ("npz", lambda: zipped(array_head((10**12, 10**12)))),
    "a promised mapped member": ("npz mapped", lambda: zipped(array_head((10**12,)))),
    "a promised array file": ("npy", lambda: array_head((10**6, 10**6))),
    "a promised mapped file": ("npy mapped", lambda: array_head((10**6, 10**6))),
    "a bomb": ("npz", lambda: bomb(2 * MEMORY)),
    "a sweep of 20^6": ("grid", lambda: grid_of(6)),
    "dotted names": ("config", lambda: b"a" + b".a" * 40_000 + b" = 1"),
    "a field beyond csv's limit": ("table", lambda: b"a,b\n1," + b"x" * 200_000 + b"\n"),
    "the twin": (_unguarded, lambda: expands(b"", b"a", 500)),
}  # fmt: skip


def feed_giants():
    """Every giant to its reader under a limit of memory; name -> fault.

    For a process of its own: the limit stays.
    """
    import resource

    inputs = {
        name: (readers.READERS.get(read, read), make()) for name, (read, make) in GIANTS.items()
    }
    for read, _ in GIANTS.values():
        if read in READERS:
            fault(READERS[read], SEEDS[read][0])  # compiled and imported
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    return {name: fault(read, data, 20) for name, (read, data) in inputs.items()}


@pytest.fixture(scope="module")
def fed(fresh_python):
    """What :func:`feed_giants` told."""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no limit of memory on this system")
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import test_fuzz; "
        "print(json.dumps(test_fuzz.feed_giants()))"
    )
    return json.loads(fresh_python(code, Path(__file__).parent).splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", GIANTS)
def test_giants(name, fed):
    """Small files that expand, or promise, to more than there is memory."""
    if name == "the twin":
        assert fed[name].startswith("MemoryError")
    else:
        assert fed[name] == ""


# --- inputs that once were a fault ---------------------------------------------


def again_with(**fields):
    """The settings of a run with some of them changed."""
    return json.dumps({**json.loads(SEEDS["config.json"][0]), **fields}).encode()


#: Name -> reader and input.
FOUND = {
    "deep TOML": ("config", lambda: b"a = " + b"[" * 50_000),
    "deep inline tables": ("config", lambda: b"a = " + b"{a=" * 50_000),
    "deep TOML of a sweep": ("grid", lambda: b"seeds = " + b"[" * 50_000),
    "deep JSON": ("json", lambda: b"[" * 50_000),
    "deep JSON of a run": ("config.json", lambda: b'{"a":' * 50_000),
    "deep JSON of a stage": ("stage.json", lambda: b'{"a":' * 50_000),
    "many digits": ("config", lambda: b"epochs = " + b"9" * 5000),
    "many hexadecimal digits": ("config", lambda: b"epochs = 0x" + b"f" * 5000),
    "a choice of many digits": ("config", lambda: b"tokens = 0x" + b"f" * 5000),
    "a setting named self": ("config", lambda: b"self = 1"),
    "a preset that is a list": ("grid", lambda: b"seeds = [0]\npreset = [1]"),
    "a grid that is a number": ("grid", lambda: b"seeds = [0]\ngrid = 1"),
    "a grid of texts": ("grid", lambda: b"seeds = [0]\ngrid = ['x']"),
    "a single one that is a number": ("grid", lambda: b"seeds = [0]\none = 1"),
    "a seed that is no number": (
        "sweep.csv", lambda: SEEDS["sweep.csv"][0].replace(b"default,0,", b"default,x,")
    ),
    "a statistic that is no number": (
        "sweep.csv", lambda: SEEDS["sweep.csv"][0].replace(b",0.5\n", b",x\n")
    ),
    "an accuracy that is no number": (
        "accuracy.csv", lambda: SEEDS["accuracy.csv"][0].replace(b"0.75", b"x")
    ),
    "a member whose name is two lines": (
        "npz mapped", lambda: zipped(array_head((0,)), "a\nb.npy")
    ),
    "a weight whose name is two lines": (
        "model.npz", lambda: readers.npz_bytes(**readers.model().weights(False), **{"a\nb": [1.0]})
    ),
    "a header of unlike keys": ("npz", lambda: zipped(header_of(b"{1: 2, 'a': 3}\n"))),
    "a header that cannot be": ("npz", lambda: zipped(header_of(b"{[]: 2}\n"))),
    "a stage of a device": ("stage.json", lambda: b'{"sha256": {"/dev/zero": ""}}'),
    "a stage of no name": ("stage.json", lambda: b'{"sha256": {"\\u0000": ""}}'),
    "an infinite seed": ("config.json", lambda: again_with(seeds=[float("inf")])),
    "a device that is none": ("config.json", lambda: again_with(device=None)),
    "a run without facts": ("config.json", lambda: again_with(corpus={})),
    "a run without vectors": ("config.json", lambda: again_with(vectors={})),
    "the same run with no seeds": ("same run again", lambda: again_with(seeds=None)),
    "the same run on two lines": ("same run again", lambda: again_with(device="a\nb")),
    "words that are no text": (
        "corpus.npz",
        lambda: SEEDS["corpus.npz"][0].replace("film".encode("utf-32-le"), b"\0\xd8\0\0" * 4),
    ),
    "a snapshot of another type": (
        "snapshot",
        lambda: SEEDS["snapshot"][0].replace('{"'.encode("utf-32-le"), '}"'.encode("utf-32-le")),
    ),
    "a chain of names": (
        "archive",
        lambda: (tar_head(tarfile.GNUTYPE_LONGNAME, 5) + b"name".ljust(512, b"\0")) * 2000,
    ),
    "a sparse member that is cut": (
        "archive",
        lambda: tar_head(tarfile.GNUTYPE_SPARSE, 0)[:482] + b"\1" + bytes(29),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_found(name):
    """What fuzzing found, one input for each cause."""
    read, make = FOUND[name]
    assert fault(READERS[read], make(), 3) == ""


# --- no pickle runs ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["snapshot", "model.npz", "corpus.npz"])
def test_pickles_in_files_of_a_run(name, planted):
    """A whole pickle, a pickled member and one more: none is run, though NumPy would."""
    with np.load(io.BytesIO(SEEDS[name][0])) as archive:
        arrays = dict(archive)
    evil = np.empty(1, dtype=object)
    evil[0] = planted
    first = next(iter(arrays))
    inputs = [
        pickle.dumps(planted),
        readers.npz_bytes(**{**arrays, first: evil}),
        readers.npz_bytes(**arrays, more=evil),
    ]
    for data in inputs:
        assert fault(READERS[name], data, SECONDS) == ""
        assert not os.path.exists(planted.folder)
    with np.load(io.BytesIO(inputs[1]), allow_pickle=True) as archive:
        archive[first]
    assert os.path.exists(planted.folder)
