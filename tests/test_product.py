"""Word vectors times filters: the numbers, their bits, and what is out of range."""

import numpy as np
import pytest

from replicate.fast import product
from replicate.fast.product import project_rows

#: Rows: one, fewer than a vector has lanes, as many, one more; two vectors and a part.
ROWS = (1, 15, 16, 17, 32, 33, 70)


def made(n_rows, dtype, n_words=21, dimensions=7):
    random = np.random.RandomState(n_rows)
    vectors = random.randn(40, dimensions).astype(dtype)
    ids = random.randint(0, 40, n_words).astype(np.int32)
    return vectors, ids, random.randn(n_rows, dimensions).astype(dtype)


@pytest.mark.parametrize("n_words", [0, 1, 7, 8, 9, 21, 127, 128, 129, 300])
@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_the_product(dtype, bound, n_rows, n_words):
    """Any number of words and rows, at the ends of a block and between."""
    vectors, ids, rows = made(n_rows, dtype, n_words)
    found = project_rows(vectors, ids, rows)
    assert found.dtype == dtype and found.flags.c_contiguous
    np.testing.assert_allclose(found, vectors[ids] @ rows.T, rtol=bound, atol=bound)


@pytest.mark.parametrize("n_rows", ROWS)
def test_a_number_knows_nothing_of_the_others(n_rows):
    """A word alone, one row alone, a copy, or vectors that are read-only: the same bits."""
    vectors, ids, rows = made(n_rows, np.float32, dimensions=300)
    whole = project_rows(vectors, ids, rows)
    for i in range(len(ids)):
        assert project_rows(vectors, ids[i : i + 1], rows).tobytes() == whole[i : i + 1].tobytes()
    for r in range(n_rows):
        alone = project_rows(vectors, ids, rows[r : r + 1])
        assert alone.tobytes() == np.ascontiguousarray(whole[:, r : r + 1]).tobytes()
    assert project_rows(vectors[ids], None, rows).tobytes() == whole.tobytes()
    vectors.flags.writeable = False
    assert project_rows(vectors, ids, rows).tobytes() == whole.tobytes()


def test_sums_are_in_the_order_of_the_dimensions():
    """In float64, whose products of float32 are exact: to the bit that of adding one by one."""
    vectors, ids, rows = made(5, np.float32, dimensions=300)
    wide = [array.astype(np.float64) for array in (vectors, rows)]
    terms = wide[0][ids][:, None] * wide[1]
    one_by_one = np.cumsum(terms, axis=2)[:, :, -1]
    assert project_rows(wide[0], ids, wide[1]).tobytes() == one_by_one.tobytes()
    assert terms.sum(axis=2).tobytes() != one_by_one.tobytes(), "no order to tell apart"


def test_strided_arrays():
    vectors, ids, rows = made(5, np.float64)
    twice = np.repeat(np.repeat(vectors, 2, axis=0), 2, axis=1)
    found = project_rows(
        twice[::2, ::2], np.repeat(ids, 2)[::2], np.repeat(rows, 2, axis=1)[:, ::2]
    )
    np.testing.assert_array_equal(found, project_rows(vectors, ids, rows))


@pytest.mark.parametrize("wrong", [-1, 40])
def test_a_word_that_is_not_there_is_refused(wrong):
    vectors, ids, rows = made(5, np.float32)
    ids[3] = wrong
    with pytest.raises(IndexError, match="rows 0 to 39"):
        project_rows(vectors, ids, rows)


def test_no_dimensions_give_zeros():
    vectors, ids, rows = made(5, np.float32, dimensions=0)
    assert project_rows(vectors, ids, rows).tolist() == [[0.0] * 5] * len(ids)


def test_a_block_that_forgets_the_last_words_is_noticed(monkeypatch):
    """Twin: words that fill no block are left out."""
    real = product._project_cpu
    monkeypatch.setattr(
        product, "_project_cpu", lambda v, ids, r, out: real(v, ids[: len(ids) // 8 * 8], r, out)
    )
    vectors, ids, rows = made(15, np.float32)
    assert not np.allclose(project_rows(vectors, ids, rows), vectors[ids] @ rows.T)
