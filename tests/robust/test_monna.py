import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import monna


def plain_monna(rows, f, own):
    """Farhadkhani et al. 2023: of all vectors, one's own included, average the n - f nearest to one's own."""
    vectors = [own, *rows]
    nearest = sorted(vectors, key=lambda vector: np.linalg.norm(vector - own))[: len(vectors) - f]
    return sum(nearest) / len(nearest)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_vectors_nearest_to_the_own_one_are_averaged(f, extra, dim, seed):
    rng = np.random.default_rng(seed)
    rows, own = rng.normal(size=(2 * f + 1 + extra, dim)), rng.normal(size=dim)
    found = monna(f, own)(rows, np.ones(len(rows)))
    np.testing.assert_allclose(found, plain_monna(rows, f, own), rtol=0, atol=1e-13)


@given(st.integers(1, 4), st.sampled_from([0.5, 3.0, 1e9, 1e250]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_result_is_no_further_away_than_the_furthest_honest_row(f, reach, seed):
    rng = np.random.default_rng(seed)
    honest, own = rng.normal(size=(f + 1, 3)), rng.normal(size=3)
    rows = np.concatenate([reach * rng.normal(size=(f, 3)), honest])
    result = monna(f, own)(rows, np.ones(len(rows)))
    assert np.linalg.norm(result - own) <= np.linalg.norm(honest - own, axis=1).max() * (1 + 1e-12)


def test_a_reference_that_does_not_fit_and_too_few_rows_are_refused():
    for bad in (np.zeros(3), np.zeros((1, 2)), np.array([np.nan, 0.0])):
        with pytest.raises(ValueError, match="reference"):
            monna(1, bad)(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(RoundAbandoned, match="at least 3 rows"):
        monna(1, np.zeros(2))(np.zeros((2, 2)), np.ones(2))
