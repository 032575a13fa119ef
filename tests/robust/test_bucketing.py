import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.robust import bucketing


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_buckets_of_the_shuffled_rows_become_their_means(count, size, seed):
    rng = np.random.default_rng(seed)
    rows, places = rng.normal(size=(count, 3)), rng.permutation(count)
    before = rows.copy()
    shuffled = rows[places]
    expected = [shuffled[start : start + size].mean(axis=0) for start in range(0, count, size)]
    np.testing.assert_allclose(bucketing(size, lambda _: places)(rows), expected, rtol=0, atol=1e-14)
    assert np.array_equal(rows, before)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_each_malicious_row_spoils_one_bucket_at_most(f, size, seed):
    rows = np.zeros((12, 1))
    rows[:f] = 1.0
    buckets = bucketing(size, np.random.default_rng(seed).permutation)(rows)
    assert np.count_nonzero(buckets) <= f


def test_the_order_is_asked_for_anew_each_time():
    mixing = bucketing(1, np.random.default_rng(0).permutation)
    rows = np.arange(8.0)[:, None]
    assert mixing(rows).tolist() != mixing(rows).tolist()


def test_float32_rows_stay_float32():
    assert bucketing(2, np.arange)(np.ones((4, 2), dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("places", [[0, 0, 1], [0, 1], [1, 2, 3], [0, 1, 2, 3]])
def test_anything_but_a_permutation_is_refused(places):
    with pytest.raises(ValueError, match="permutation of 3 rows"):
        bucketing(2, lambda _: np.array(places))(np.zeros((3, 1)))


def test_empty_buckets_are_refused():
    with pytest.raises(ValueError, match="at least 1 row"):
        bucketing(0, np.arange)
