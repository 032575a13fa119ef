import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import nearest_neighbours


def plain_mixing(rows, f):
    """Allouah et al. 2023, algorithm 2."""
    mixed = []
    for row in rows:
        nearest = sorted(rows, key=lambda other: np.linalg.norm(other - row))[: len(rows) - f]
        mixed.append(sum(nearest) / len(nearest))
    return mixed


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_each_row_becomes_the_mean_of_its_nearest(f, extra, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(2 * f + 1 + extra, dim))
    before = rows.copy()
    np.testing.assert_allclose(nearest_neighbours(f)(rows), plain_mixing(rows, f), rtol=0, atol=1e-13)
    assert np.array_equal(rows, before)


@given(st.integers(1, 3), st.sampled_from([1e3, 1e20, 1e250]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_an_honest_row_mixes_with_no_outlier(f, reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(f + 2, 3))
    mixed = nearest_neighbours(f)(np.concatenate([reach * np.ones((f, 3)), honest]))
    assert (mixed[f:].min(axis=0) >= honest.min(axis=0) - 1e-12).all()
    assert (mixed[f:].max(axis=0) <= honest.max(axis=0) + 1e-12).all()


def test_equal_rows_do_not_crowd_out_the_row_itself():
    rows = np.array([[0.0], [0.0], [0.0], [1.0], [2.0]])
    assert nearest_neighbours(2)(rows)[4].tolist() == [1.0]
    np.testing.assert_allclose(nearest_neighbours(0)(rows), [[0.6]] * 5, rtol=0, atol=1e-15)


def test_a_minority_of_honest_rows_is_refused():
    with pytest.raises(RoundAbandoned, match="at least 5 rows"):
        nearest_neighbours(2)(np.zeros((4, 1)))
