import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.robust import geometry
from securefl.robust.geometry import about, middle, within_reach


def exact_squares(rows):
    wide = rows.astype(np.longdouble)
    return np.array([[((one - other) ** 2).sum() for other in wide] for one in wide], dtype=np.float64)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_distances_are_those_of_the_differences(count, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    np.testing.assert_allclose(geometry(rows).squared, exact_squares(rows), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_updates_of_a_hundred_thousandth_of_the_weights_keep_their_distances_to_1e_4(kind):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=50_000)
    rows = (weights + 1e-5 * rng.normal(size=(7, 50_000))).astype(kind)
    exact = exact_squares(rows)
    found = geometry(rows).squared
    apart = ~np.eye(7, dtype=bool)
    assert (np.abs(found - exact)[apart] <= 1e-4 * exact[apart]).all()
    # The formula that is not used: in float32 it loses every digit.
    narrow = rows.astype(np.float32)
    norms = (narrow**2).sum(axis=1)
    textbook = norms[:, None] + norms[None, :] - 2 * narrow @ narrow.T
    assert np.abs(textbook - exact)[apart].max() > 0.5 * exact[apart].max()


@given(st.lists(st.sampled_from([1e3, 1e9, 1e20, 1e35]), min_size=1, max_size=3), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_far_rows_do_not_drown_the_distances_among_the_others(far, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(4, 6))
    rows = np.concatenate([np.array(far)[:, None] * rng.normal(size=(len(far), 6)), honest])
    found = geometry(rows)
    assert found.anchor >= len(far)
    near = found.squared[len(far) :, len(far) :]
    np.testing.assert_allclose(near, exact_squares(honest), rtol=1e-9, atol=1e-11)


@given(st.integers(0, 5), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_a_point_of_the_span_has_the_distances_of_the_real_point(anchor, seed):
    rng = np.random.default_rng(seed)
    rows, point = rng.normal(size=(6, 9)), rng.normal(size=6)
    point /= point.sum()
    real = np.linalg.norm(rows - point @ rows, axis=1)
    scale = 1.0 + np.abs(point).max()
    np.testing.assert_allclose(about(geometry(rows), anchor).distances_from(point), real, atol=1e-6 * scale)


def test_the_middle_is_a_row_that_a_minority_cannot_choose():
    rows = np.array([[9.0], [9.0], [0.0], [0.1], [0.2]])
    assert middle(geometry(rows).squared) == 3


def test_rows_that_would_overflow_when_squared_keep_their_direction():
    rows = np.array([[3e300, -4e300], [1.0, 2.0]])
    before = rows.copy()
    near = within_reach(rows)
    assert np.isfinite(near**2).all()
    np.testing.assert_allclose(near, [[0.75e100, -1e100], [1.0, 2.0]], rtol=1e-15)
    assert np.array_equal(rows, before)


def test_rows_that_can_be_squared_are_handed_through():
    for rows in (
        np.ones((2, 2)),
        np.full((2, 2), 3e38, dtype=np.float32),
        np.empty((0, 2)),
        np.empty((2, 0)),
    ):
        assert within_reach(rows) is rows
