import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import geometric_median

GAP = 1e-8  # what the guarantee says: relative to the smallest sum of distances


def total(rows, point):
    return np.linalg.norm(rows - point, axis=1).sum()


def plain_optimum(rows):
    """The smallest sum of distances: over the rows themselves, and by Weiszfeld's steps from their mean."""
    point, best = rows.mean(axis=0), min(total(rows, row) for row in rows)
    for _ in range(1000):
        distances = np.linalg.norm(rows - point, axis=1)
        if distances.min() < 1e-12:
            break
        point = (rows / distances[:, None]).sum(axis=0) / (1.0 / distances).sum()
    return min(best, total(rows, point))


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_no_point_has_a_smaller_sum_of_distances(count, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    found = total(rows, geometric_median()(rows, np.ones(count)))
    assert found <= plain_optimum(rows) * (1.0 + GAP)


@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_rows_on_a_grid_where_many_coincide_or_lie_on_a_line_are_no_exception(count, dim, seed):
    rows = np.random.default_rng(seed).integers(-1, 2, size=(count, dim)).astype(np.float64)
    found = total(rows, geometric_median()(rows, np.ones(count)))
    assert found <= plain_optimum(rows) * (1.0 + GAP) + 1e-12


@given(st.floats(-9.0, -0.2))
@settings(deadline=None, max_examples=40)
def test_an_optimum_very_close_to_a_row_is_found_too(exponent):
    # The unit vectors from the row at 0 add up to 1 + 2 sin(a): it just fails to be the optimum. By symmetry
    # that lies on the first axis, where the sum of distances is 1 + 2 sqrt((sin(a) - x)^2 + cos(a)^2).
    a = 10.0**exponent
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [np.sin(a), np.cos(a)], [np.sin(a), -np.cos(a)]])
    point = geometric_median()(rows, np.ones(4))
    assert total(rows, point) <= (1.0 + 2.0 * np.cos(a)) * (1.0 + GAP)
    np.testing.assert_allclose(point, [np.sin(a), 0.0], rtol=0, atol=1e-7)


def test_a_row_that_is_the_optimum_is_returned_to_the_last_bit():
    rows = np.array([[0.1, 0.0], [1.1, 0.0], [-0.9, 0.0], [0.1, 1.0], [0.1, -1.0]])
    assert np.array_equal(geometric_median()(rows, np.ones(5)), rows[0])
    assert np.array_equal(geometric_median()(rows[:1], np.ones(1)), rows[0])
    assert np.array_equal(geometric_median()(np.array([[7.0], [7.0], [7.0]]), np.ones(3)), [7.0])


def test_it_moves_and_turns_with_the_rows():
    rng = np.random.default_rng(0)
    rows, shift = rng.normal(size=(8, 5)), rng.normal(size=5) * 100.0
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    here = geometric_median()(rows, np.ones(8))
    there = geometric_median()(rows @ turn + shift, np.ones(8))
    np.testing.assert_allclose(there, here @ turn + shift, rtol=0, atol=1e-7)


@given(
    st.integers(1, 4), st.integers(0, 3), st.sampled_from([1.0, 1e3, 1e9, 1e36, 1e200]), st.integers(0, 2**32)
)
@settings(deadline=None, max_examples=40)
def test_a_minority_moves_it_no_further_than_the_guarantee_says(f, extra, reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(f + 1 + extra, 4))
    rows = np.concatenate([reach * (rng.normal(size=4) + 0.1 * rng.normal(size=(f, 4))), honest])
    count = len(rows)
    result = geometric_median()(rows, np.ones(count))
    centre = honest.mean(axis=0)
    bound = 2 * (count - f) / (count - 2 * f) * np.linalg.norm(honest - centre, axis=1).max()
    assert np.linalg.norm(result - centre) <= bound * (1 + 1e-9)


@given(st.integers(1, 3), st.sampled_from([1e3, 1e6, 1e9, 1e12]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_far_rows_pull_with_their_direction_and_add_no_rounding(f, reach, seed):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([reach * rng.normal(size=(f, 4)), rng.normal(size=(2 * f + 2, 4))])
    wide = rows.astype(np.longdouble)
    best = wide[f:].mean(axis=0)
    for _ in range(1000):
        distances = np.maximum(np.linalg.norm(wide - best, axis=1), 1e-15)
        best = (wide / distances[:, None]).sum(axis=0) / (1.0 / distances).sum()
    found = geometric_median()(rows, np.ones(len(rows))).astype(np.longdouble)
    # Row by row, so that what far rows have in common cancels; against the honest rows' part of the sum.
    excess = (np.linalg.norm(wide - found, axis=1) - np.linalg.norm(wide - best, axis=1)).sum()
    assert excess <= GAP * np.linalg.norm(wide[f:] - best, axis=1).sum()


def test_half_of_the_rows_carry_it_away():
    rows = np.array([[0.0, 0.0], [0.0, 1.0], [1e9, 0.0], [1e9, 0.0]])
    assert geometric_median()(rows, np.ones(4))[0] > 1e8


def test_float32_rows_of_small_updates_on_large_weights_reach_the_same_optimum():
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=20_000) + 1e-5 * rng.normal(size=(9, 20_000))).astype(np.float32)
    found = total(rows.astype(np.float64), geometric_median()(rows, np.ones(9)))
    assert found <= plain_optimum(rows.astype(np.float64)) * (1.0 + GAP)


def test_no_rows_have_no_geometric_median():
    with pytest.raises(RoundAbandoned, match="at least 1 rows"):
        geometric_median()(np.empty((0, 3)), np.empty(0))
