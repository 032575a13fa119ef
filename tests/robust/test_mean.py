import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import mean


@given(st.integers(1, 12), st.integers(0, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_mean_is_federated_averaging_in_float64(count, dim, seed):
    rng = np.random.default_rng(seed)
    rows, weights = rng.normal(size=(count, dim)), rng.uniform(0.1, 100.0, count)
    expected = sum(w / weights.sum() * row for w, row in zip(weights, rows, strict=True))
    np.testing.assert_allclose(mean()(rows, weights), expected, rtol=0, atol=1e-13)


def test_group_means_with_weight_totals_give_the_mean_over_all_clients():
    rng = np.random.default_rng(0)
    clients, sizes = rng.normal(size=(6, 4)), np.array([5.0, 1.0, 9.0, 2.0, 2.0, 7.0])
    groups = [[0, 1], [2, 3, 4], [5]]
    rows = np.array([np.average(clients[group], axis=0, weights=sizes[group]) for group in groups])
    totals = np.array([sizes[group].sum() for group in groups])
    np.testing.assert_allclose(mean()(rows, totals), np.average(clients, axis=0, weights=sizes), atol=1e-15)


def test_float32_rows_are_added_in_float64():
    rows = np.array([[1e8], [1.0], [-1e8]], dtype=np.float32)
    result = mean()(rows, np.ones(3))
    assert result.dtype == np.float64
    assert result[0] == pytest.approx(1 / 3, rel=1e-12)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0, np.inf]])
def test_weights_that_are_missing_or_not_positive_are_refused(weights):
    with pytest.raises(ValueError, match="weight above 0"):
        mean()(np.ones((2, 3)), np.array(weights))


def test_no_rows_have_no_mean():
    with pytest.raises(RoundAbandoned, match="at least 1 rows"):
        mean()(np.empty((0, 3)), np.empty(0))
