"""The drawn part: known to all from the seed, one length, and everything has travelled after a cycle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.encoding import Subsample

SEED = b"s" * 32


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 5))
def test_in_every_cycle_each_coordinate_travels_at_least_once(dim: int, count: int, cycle: int) -> None:
    sample = Subsample(SEED, min(count, dim), (np.arange(dim),))
    rounds = -(-dim // sample.count)
    drawn = [sample.of(cycle * rounds + one) for one in range(1, rounds + 1)]
    for places in drawn:
        assert len(places) == sample.count == len(np.unique(places))
        assert np.array_equal(places, np.sort(places))
    assert set(np.concatenate(drawn).tolist()) == set(range(dim))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20))
def test_where_factors_take_turns_each_turn_draws_from_its_own(first: int, second: int, count: int) -> None:
    dim = first + second
    sample = Subsample(SEED, count, (np.arange(first), np.arange(first, dim)))
    for round in range(1, 12):
        part = sample.parts[(round - 1) % 2]
        assert set(sample.of(round).tolist()) <= set(part.tolist())
        assert sample.padded(np.ones(len(sample.of(round)))).shape == (count,)


def test_the_draw_follows_the_seed_and_the_round_and_is_the_same_on_every_machine() -> None:
    one, same, other = (Subsample(seed, 5, (np.arange(100),)) for seed in (SEED, SEED, b"t" * 32))
    assert one.of(7).tolist() == same.of(7).tolist() == [13, 42, 51, 62, 96]
    assert one.of(7).tolist() != other.of(7).tolist()
    assert len({tuple(one.of(round)) for round in range(1, 41)}) == 40


def test_the_drawn_part_is_uniform() -> None:
    sample = Subsample(SEED, 10, (np.arange(100),))
    firsts = np.concatenate([sample.of(10 * cycle + 1) for cycle in range(400)])
    counts = np.bincount(firsts, minlength=100)
    # 400 draws of a tenth each: 40 expected, deviation 6; the seed is fixed.
    assert counts.min() > 10
    assert counts.max() < 70


@pytest.mark.parametrize("fraction", [0.1, 0.34, 0.999])
def test_a_full_cycle_after_the_last_one_is_another_order(fraction: float) -> None:
    sample = Subsample(SEED, int(100 * fraction) + 1, (np.arange(100),))
    rounds = -(-100 // sample.count)
    if sample.count < 100:
        assert sample.of(1).tolist() != sample.of(1 + rounds).tolist()
