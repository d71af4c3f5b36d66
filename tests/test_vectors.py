"""The input matrix: unknown words, and the cache of what was read."""

import os
from pathlib import Path

import numpy as np
import pytest
from samples import AWKWARD, VECTORS, WORDS, expected

from replicate import vectors as vectors_module
from replicate.config import Config
from replicate.experiment import prepare
from replicate.io.wordvectors import read_vectors
from replicate.run import Options
from replicate.vectors import coverage, embedding_matrix

# --- Unknown words -------------------------------------------------------------

MANY = [f"w{i}" for i in range(500)]


def matrix_of(path, words=MANY, **readings):
    """The embedding matrix without the cache."""
    return embedding_matrix(words, path, Config(**readings), dimensions=20, cache=False)


def test_embedding_matrix(file, binary_vectors):
    """Row 0 is padding, row i + 1 the i-th word; known rows are the file's, bit for bit."""
    matrix, known = matrix_of(file(binary_vectors(VECTORS)), WORDS)
    wanted, there = expected(VECTORS, WORDS)
    assert matrix.shape == (len(WORDS) + 1, 3) and matrix.dtype == np.float32
    assert known.tolist() == there and not matrix[0].any()
    np.testing.assert_array_equal(matrix[1:][known], wanted[known])
    drawn = matrix[1:][~known]
    assert (drawn != 0).all() and (abs(drawn) <= 0.25).all()


def test_readings_of_unknown_words(tmp_path, file, binary_vectors):
    """Uniform(-0.25, 0.25), zero, and normal with the spread of the known."""
    known_rows = {w: np.full(20, 3.0) * (-1) ** i for i, w in enumerate(MANY[:10])}
    path = file(binary_vectors(known_rows))
    uniform, known = matrix_of(path, unknown_words="uniform")
    assert known.sum() == 10
    drawn = uniform[11:]
    assert -0.25 <= drawn.min() < -0.249 and 0.249 < drawn.max() <= 0.25
    assert abs(drawn.mean()) < 0.006 and drawn.std() == pytest.approx(0.25 / 3**0.5, rel=0.02)
    zero, _ = matrix_of(path, unknown_words="zero")
    assert not zero[11:].any() and (zero[1:11] == uniform[1:11]).all()
    normal, _ = matrix_of(path, unknown_words="normal")
    drawn = normal[11:]
    assert abs(drawn.mean()) < 0.12 and drawn.std() == pytest.approx(3.0, rel=0.03)
    assert (normal[1:11] == uniform[1:11]).all()


def test_random_vectors():
    """No file at all: nothing is known, D is as asked, normal has uniform's spread."""
    matrix, known = matrix_of("random")
    assert matrix.shape == (501, 20) and not known.any() and not matrix[0].any()
    assert abs(matrix).max() <= 0.25 and (matrix[1:] != 0).all()
    normal, _ = matrix_of("random", unknown_words="normal")
    assert normal[1:].std() == pytest.approx(0.25 / 3**0.5, rel=0.03)
    assert not matrix_of("random", unknown_words="zero")[0].any()


def test_the_draw_has_its_seed():
    """One seed, one draw; another seed, another; the reading can fix it for all seeds."""
    first, again = matrix_of("random")[0], matrix_of("random")[0]
    assert first.tobytes() == again.tobytes()
    for other in (
        matrix_of("random", unknown_words_seed=1)[0],
        embedding_matrix(MANY, "random", Config(), 20, seed=1)[0],
    ):
        assert (first[1:] != other[1:]).mean() > 0.99
    fixed = [
        embedding_matrix(MANY, "random", Config(unknown_words_seed=7), 20, seed=s)[0]
        for s in (0, 1)
    ]
    assert fixed[0].tobytes() == fixed[1].tobytes()
    state = np.random.get_state()[2]
    matrix_of("random")
    assert np.random.get_state()[2] == state


def test_a_run_draws_for_each_seed(tmp_path, file, binary_vectors):
    """Known rows are one in all seeds; unknown rows are each seed's own, or the reading's."""
    corpus = tmp_path / "corpus.tsv"
    lines = [f"{i % 2}\t{' '.join(MANY[i : i + 3])}" for i in range(200)]
    corpus.write_text("label\ttext\n" + "\n".join(lines) + "\n")
    path = file(binary_vectors({w: np.full(20, 3.0) for w in MANY[:100]}))

    def rows(seed, **readings):
        out = tmp_path / f"run{len(readings)}"
        run = prepare(out, Config(epochs=3, **readings), Options(), [0, 1], [corpus], path)
        return run.vectors_of(seed)[1:], run.known, run.vectors[1:]

    (one, known, stored), (two, _, _) = rows(0), rows(1)
    assert known.any() and not known.all() and not stored[~known].any()
    assert (one[known] == 3).all() and (two[known] == 3).all()
    assert (one[~known] != two[~known]).mean() > 0.99
    (one, _, stored), (two, _, _) = (rows(seed, unknown_words_seed=0) for seed in (0, 1))
    assert one.tobytes() == two.tobytes() == stored.tobytes()


def independent(draw, file, binary_vectors):
    """Whether a word's random vector stays when the file knows other words."""
    ones = np.ones(20, dtype="f4")
    few = draw(file(binary_vectors({"w3": ones}), "few"))
    many = draw(file(binary_vectors(dict.fromkeys(MANY[::2], ones)), "many"))
    return (few[2::2][2:] == many[2::2][2:]).all()


def test_a_random_vector_does_not_depend_on_other_words(file, binary_vectors):
    """What else the file knows, and the cache, change no random vector."""
    assert independent(lambda path: matrix_of(path)[0], file, binary_vectors)

    def only_the_unknown(path):
        """The draw that would be wrong: as many as are unknown."""
        rows, known = read_vectors(path, MANY)
        rows[~known] = np.random.RandomState(0).rand((~known).sum(), 20)
        return np.concatenate([rows[:1], rows])

    assert not independent(only_the_unknown, file, binary_vectors)


def test_no_word_known(file, binary_vectors, refused):
    """A file of another language is refused by name."""
    path = file(binary_vectors(VECTORS))
    with refused(path, "none of the corpus's words"):
        embedding_matrix(["ganz", "anders"], path, Config())


def test_coverage():
    """Types count once, occurrences as often as they occur."""
    known = np.array([True, False, True, False])
    tokens = np.array([0, 0, 0, 1, 2, 2, 3, 3])
    assert coverage(known, tokens) == (0.5, 0.625)


# --- Cache ---------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The calls of read_vectors, which a hit of the cache spares."""
    calls = []

    def counted(path, words):
        calls.append(str(path))
        return read_vectors(path, words)

    monkeypatch.setattr(vectors_module, "read_vectors", counted)
    return calls


def cached(path, words=WORDS, **readings):
    """The embedding matrix with the cache."""
    return embedding_matrix(words, path, Config(**readings))[0]


def stored():
    """The cache's files."""
    return sorted(Path(os.environ["XDG_CACHE_HOME"], "replicate").glob("*"))


def test_cache_hit(file, binary_vectors, reads):
    """The second time nothing is read, and the result is the same, bit for bit."""
    path = file(binary_vectors(VECTORS))
    first = cached(path)
    assert len(reads) == 1 and len(stored()) == 1
    assert cached(path).tobytes() == first.tobytes() == matrix_of(path, WORDS)[0].tobytes()
    assert len(reads) == 2  # the one without a cache
    moved = file(path.read_bytes(), "moved")
    assert cached(moved, unknown_words="zero").any()
    assert len(reads) == 2  # the content counts, and the reading is no part of it


def test_cache_miss(file, binary_vectors, reads):
    """Another file under the same name, other words, or another order are read."""
    path = file(binary_vectors(VECTORS))
    cached(path)
    file(binary_vectors({**VECTORS, "good": AWKWARD}))
    row = cached(path)[WORDS.index("good") + 1]
    assert (row == AWKWARD).all() and len(reads) == 2
    turned = cached(path, WORDS[::-1])
    assert (turned[WORDS[::-1].index("good") + 1] == AWKWARD).all() and len(reads) == 3
    assert len(stored()) == 3


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # numpy.load's, of a damaged archive
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "nan", "shape", "names", "pickle"])
def test_a_damaged_cache_is_read_anew(damage, file, binary_vectors, reads, planted):
    """Damage is no error: the file is read and the cache mended; a pickle does not run."""
    path = file(binary_vectors(VECTORS))
    first = cached(path)
    (place,) = stored()
    whole = place.read_bytes()
    with np.load(place) as npz:
        arrays = dict(npz)
    bad = {
        "nan": {**arrays, "rows": arrays["rows"] * np.nan},
        "shape": {**arrays, "rows": arrays["rows"][:-1]},
        "names": {"rows": arrays["rows"]},
        "pickle": {**arrays, "rows": np.array([planted], dtype=object)},
    }
    if damage in bad:
        np.savez(place, **bad[damage])
    else:
        place.write_bytes({"empty": b"", "cut": whole[:-50], "text": b"no"}[damage])
    assert cached(path).tobytes() == first.tobytes() and len(reads) == 2
    assert not os.path.exists(planted.folder)
    assert cached(path).tobytes() == first.tobytes() and len(reads) == 2
    assert stored() == [place]


def test_a_cache_that_cannot_be_written(file, binary_vectors, reads, monkeypatch, tmp_path):
    """It costs time only."""
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    path = file(binary_vectors(VECTORS))
    assert cached(path).tobytes() == cached(path).tobytes()
    assert len(reads) == 2


def test_bad_vectors_are_not_cached(file, refused):
    """A refused file leaves nothing behind."""
    path = file(b"1 2\ngood " + np.array([1, np.nan], dtype="<f4").tobytes())
    with refused(path, "NaN"):
        cached(path, ["good"])
    assert stored() == []


def test_a_cache_that_cannot_be_looked_at(file, binary_vectors, monkeypatch):
    """A home of another user costs time only, too."""
    path = file(binary_vectors(VECTORS))
    stat = Path.stat

    def denied(self, **keywords):
        if "replicate" in self.parts[-2:]:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **keywords)

    monkeypatch.setattr(Path, "stat", denied)
    assert cached(path).any()
