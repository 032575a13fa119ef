"""The test split keeps classes and clients in proportion and never empties a client."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.data.split import held_out
from securefl.errors import DataError

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60)


@given(LABELS, st.floats(0.05, 0.95), st.integers(0, 2**40))
def test_every_row_is_in_one_part_and_every_stratum_keeps_its_share(rows, fraction: float, seed: int) -> None:
    labels, clients = np.array(rows).T
    train, test = held_out(labels, clients, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(rows)))
    strata = clients * 10 + labels
    for stratum in np.unique(strata):
        size, given_ = int((strata == stratum).sum()), int((strata[test] == stratum).sum())
        assert given_ < size
        assert given_ == size - 1 or int(size * fraction) <= given_ <= int(np.ceil(size * fraction + 1e-9))


def test_the_test_part_has_the_fraction_rounded_up() -> None:
    labels = np.repeat(np.arange(10), 180)[:1797]
    assert len(held_out(labels, None, 0.2, 7)[1]) == 360
    assert len(held_out(np.repeat([0, 1], 500), None, 0.2, 7)[1]) == 200


def test_the_seed_decides_the_split_and_only_the_seed() -> None:
    labels = np.repeat(np.arange(4), 25)
    assert np.array_equal(held_out(labels, None, 0.2, 1)[1], held_out(labels, None, 0.2, 1)[1])
    assert not np.array_equal(held_out(labels, None, 0.2, 1)[1], held_out(labels, None, 0.2, 2)[1])


def test_test_rows_are_spread_over_a_sorted_source() -> None:
    test = held_out(np.zeros(1000, dtype=np.int64), None, 0.2, 5)[1]
    # 200 of 1000 without replacement: the mean is 499.5 with standard error
    # 288.7 / sqrt(200) * sqrt(0.8) = 18.3; 5 of them.
    assert abs(test.mean() - 499.5) < 92


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="test_fraction: expected a number above 0 and below 1"):
        held_out(np.array([0, 1]), None, fraction, 0)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DataError, match="seed"):
        held_out(np.array([0, 1]), None, 0.5, -1)
