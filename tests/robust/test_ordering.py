from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.robust.ordering import NETWORK_ROWS, network, ranked


@pytest.mark.parametrize("count", range(1, 11))
def test_the_network_sorts_every_column_of_zeros_and_ones_and_therefore_everything(count):
    # The zero-one principle (Knuth, volume 3, 5.3.4, theorem Z).
    columns = np.array(list(product((0.0, 1.0), repeat=count))).T
    assert np.array_equal(ranked(columns, 0, count), np.sort(columns, axis=0))


@given(st.integers(1, 2 * NETWORK_ROWS), st.data())
@settings(deadline=None, max_examples=80)
def test_wanted_ranks_are_those_of_a_plain_sort(count, data):
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first + 1, count))
    block = np.random.default_rng(count).normal(size=(count, 9)).astype(np.float32)
    before = block.copy()
    found = ranked(block, first, last)
    assert np.array_equal(found, np.sort(block, axis=0)[first:last])
    assert np.array_equal(block, before)
    assert found.dtype == np.float32


def test_a_pair_that_no_wanted_rank_depends_on_is_left_out():
    assert len(network(20, 9, 11)) < len(network(20, 0, 20))
    assert network(1, 0, 1) == ()
