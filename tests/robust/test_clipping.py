import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.robust import clipping, quantile_clipping


@given(st.integers(1, 9), st.integers(1, 6), st.floats(0.01, 10.0), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_longer_rows_end_at_the_bound_and_keep_their_direction(count, dim, norm, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    before = rows.copy()
    expected = [row * min(1.0, norm / np.linalg.norm(row)) for row in rows]
    np.testing.assert_allclose(clipping(norm)(rows), expected, rtol=0, atol=1e-14)
    assert np.array_equal(rows, before)


@given(st.integers(1, 9), st.floats(0.0, 1.0), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_adaptive_bound_is_one_of_the_norms(count, quantile, seed):
    rows = np.random.default_rng(seed).normal(size=(count, 4))
    norms = sorted(np.linalg.norm(rows, axis=1))
    bound = norms[int(np.floor(quantile * (count - 1)))]
    np.testing.assert_allclose(quantile_clipping(quantile)(rows), clipping(bound)(rows), rtol=0, atol=1e-14)


@given(st.integers(1, 4), st.sampled_from([1.0, 10.0, 1e30, 1e300]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_liars_within_the_part_that_is_cut_cannot_lift_the_bound(f, reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(10 - f, 3))
    rows = np.concatenate([reach * rng.normal(size=(f, 3)), honest])
    clipped = quantile_clipping(1.0 - f / 10)(rows)
    longest = np.linalg.norm(honest, axis=1).max()
    assert np.linalg.norm(clipped, axis=1).max() <= longest * (1 + 1e-12)


def test_rows_of_length_zero_stay_and_types_are_kept():
    rows = np.array([[0.0, 0.0], [30.0, 40.0]], dtype=np.float32)
    assert clipping(5.0)(rows).tolist() == [[0.0, 0.0], [3.0, 4.0]]
    assert clipping(5.0)(rows).dtype == np.float32
    assert quantile_clipping(0.0)(rows).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_bounds_that_cannot_be_are_refused():
    for norm in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="norm above 0"):
            clipping(norm)
    for quantile in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="quantile in"):
            quantile_clipping(quantile)
