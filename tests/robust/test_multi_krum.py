import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import krum, multi_krum


def plain_multi_krum(rows, f, selected):
    """Blanchard et al. 2017: score every row, average the best."""
    scores = []
    for i, one in enumerate(rows):
        others = sorted(float(((one - other) ** 2).sum()) for j, other in enumerate(rows) if j != i)
        scores.append(sum(others[: len(rows) - f - 2]))
    best = sorted(range(len(rows)), key=lambda i: scores[i])[:selected]
    return sum(rows[i] for i in best) / selected


@given(st.integers(0, 3), st.integers(1, 5), st.integers(2, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_best_rows_are_averaged(f, extra, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(2 * f + 3 + extra, dim))
    ones = np.ones(len(rows))
    expected = plain_multi_krum(rows, f, len(rows) - f)
    np.testing.assert_allclose(multi_krum(f)(rows, ones), expected, rtol=0, atol=1e-12)
    for selected in (2, len(rows)):
        expected = plain_multi_krum(rows, f, selected)
        found = multi_krum(f, selected)(rows, ones)
        # With few neighbours two rows can tie for the last place; then either is right.
        assert np.allclose(found, expected, rtol=0, atol=1e-12) or f + 3 >= len(rows) - f


def test_one_selected_row_is_krum_and_all_of_them_the_mean():
    rows = np.random.default_rng(0).normal(size=(9, 5))
    assert np.array_equal(multi_krum(2, 1)(rows, np.ones(9)), krum(2)(rows, np.ones(9)))
    np.testing.assert_allclose(multi_krum(2, 9)(rows, np.ones(9)), rows.mean(axis=0), atol=1e-15)


def test_declared_outliers_are_not_among_the_rows_left_over():
    rows = np.concatenate([np.full((2, 3), 1e12), np.random.default_rng(0).normal(size=(6, 3))])
    np.testing.assert_allclose(multi_krum(2)(rows, np.ones(8)), rows[2:].mean(axis=0), atol=1e-12)


def test_more_rows_than_there_are_and_fewer_than_one_are_refused():
    with pytest.raises(RoundAbandoned, match="at least 8 rows"):
        multi_krum(1, 8)(np.zeros((7, 2)), np.ones(7))
    with pytest.raises(RoundAbandoned, match="at least 5 rows"):
        multi_krum(1)(np.zeros((4, 2)), np.ones(4))
    with pytest.raises(ValueError, match="at least 1 selected row"):
        multi_krum(1, 0)
