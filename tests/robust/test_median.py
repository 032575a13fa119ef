import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import median


@given(st.integers(1, 12), st.integers(0, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_median_is_taken_coordinate_by_coordinate(count, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    before = rows.copy()
    np.testing.assert_allclose(median()(rows, np.ones(count)), np.median(rows, axis=0), rtol=0, atol=1e-15)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("count", [3, 4, 5, 8, 9])
def test_a_minority_of_liars_never_leaves_the_honest_range(count):
    liars = (count - 1) // 2
    honest = np.random.default_rng(count).normal(size=(count - liars, 50))
    for lie in (-1e9, 1e9):
        result = median()(np.concatenate([honest, np.full((liars, 50), lie)]), np.ones(count))
        assert (honest.min(axis=0) <= result).all()
        assert (result <= honest.max(axis=0)).all()


def test_half_of_the_rows_are_enough_to_leave_it():
    assert median()(np.array([[0.0], [0.0], [1e9], [1e9]]), np.ones(4))[0] > 1e8


def test_weights_buy_no_influence():
    rows = np.array([[1.0], [2.0], [9.0]])
    assert median()(rows, np.array([1.0, 1.0, 1e9])).tolist() == [2.0]


def test_no_rows_have_no_median():
    with pytest.raises(RoundAbandoned, match="at least 1 rows"):
        median()(np.empty((0, 3)), np.empty(0))
