import numpy as np
import pytest

from securefl.robust.blocks import BLOCK_BYTES, blocks, combination, combinations, squared_norms

WIDE = BLOCK_BYTES // (8 * 3) * 2 + 5  # three blocks of three rows


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(3, WIDE)).astype(np.float32)


def test_blocks_cover_every_column_once():
    for count, dim in ((3, WIDE), (10**9, 4), (1, 0), (0, 7)):
        covered = [index for block in blocks(count, dim) for index in range(dim)[block]]
        assert covered == list(range(dim))


def test_sums_over_rows_are_made_in_float64_and_join_without_a_seam(rows):
    factors = np.array([0.25, 0.0, -3.0])
    exact = factors @ rows.astype(np.float64)
    np.testing.assert_allclose(combination(rows, factors), exact, rtol=0, atol=1e-14)
    assert combination(rows, factors).dtype == np.float64
    several = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    made = combinations(rows, several)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, (several @ rows.astype(np.float64)).astype(np.float32))


def test_a_row_with_factor_zero_is_not_read():
    assert combination(np.array([[1.0], [np.nan]]), np.array([2.0, 0.0])).tolist() == [2.0]
    assert combination(np.array([[1.0], [2.0]]), np.zeros(2)).tolist() == [0.0]


def test_squared_norms_are_taken_from_the_origin_that_is_given(rows):
    exact = (rows.astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(squared_norms(rows), exact, rtol=1e-13)
    assert squared_norms(rows, rows[1])[1] == 0.0
    moved = ((rows.astype(np.float64) - rows[1].astype(np.float64)) ** 2).sum(axis=1)
    np.testing.assert_allclose(squared_norms(rows, rows[1]), moved, rtol=1e-13)
