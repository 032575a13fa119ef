import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import fltrust


def plain_fltrust(rows, own):
    """Cao et al. 2021, equations 1 to 4, one row at a time."""
    trusted, total = np.zeros(own.size), 0.0
    for row in rows:
        trust = max(0.0, row @ own / (np.linalg.norm(row) * np.linalg.norm(own)))
        trusted += trust * np.linalg.norm(own) / np.linalg.norm(row) * row
        total += trust
    return trusted / total if total > 0.0 else np.zeros(own.size)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_rows_count_by_their_direction_and_all_with_the_same_length(count, dim, seed):
    rng = np.random.default_rng(seed)
    rows, own = rng.normal(size=(count, dim)), rng.normal(size=dim)
    np.testing.assert_allclose(
        fltrust(own)(rows, np.ones(count)), plain_fltrust(rows, own), rtol=0, atol=1e-12
    )


@given(st.integers(1, 9), st.sampled_from([1e-200, 1.0, 1e9, 1e250]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_whatever_the_rows_are_the_result_is_no_longer_and_points_no_other_way(count, reach, seed):
    rng = np.random.default_rng(seed)
    rows, own = reach * rng.normal(size=(count, 4)), rng.normal(size=4)
    result = fltrust(own)(rows, np.ones(count))
    assert np.linalg.norm(result) <= np.linalg.norm(own) * (1 + 1e-12)
    assert result @ own >= -1e-12


def test_a_row_of_length_zero_has_no_trust_and_divides_nothing():
    own = np.array([0.0, 2.0])
    assert fltrust(own)(np.array([[0.0, 0.0], [0.0, 5.0]]), np.ones(2)).tolist() == [0.0, 2.0]


def test_with_nobody_to_trust_or_no_own_direction_the_model_stays():
    assert fltrust(np.ones(2))(np.array([[-1.0, 0.0], [0.0, 0.0]]), np.ones(2)).tolist() == [0.0, 0.0]
    assert fltrust(np.zeros(2))(np.ones((3, 2)), np.ones(3)).tolist() == [0.0, 0.0]


def test_a_reference_that_does_not_fit_and_no_rows_are_refused():
    with pytest.raises(ValueError, match=r"reference of shape \(2,\)"):
        fltrust(np.zeros(3))(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="finite reference"):
        fltrust(np.array([np.inf, 0.0]))(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(RoundAbandoned, match="at least 1 rows"):
        fltrust(np.zeros(2))(np.empty((0, 2)), np.empty(0))
