"""The published bound on sums of discrete Gaussians, against Renyi divergences that are computed in full."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from securefl.privacy.concentrated import rho, sum_gap
from securefl.privacy.events import DistributedDiscreteGaussian

ORDERS = (1.5, 2.0, 4.0)


def masses(sigma: float, reach: int) -> np.ndarray:
    weights = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    return weights / weights.sum()


def summed(sigma: float, shares: int) -> np.ndarray:
    """The masses of a sum of so many discrete Gaussians, out to 30 deviations: sums of products, so no digit
    of the small ones is lost."""
    whole = reduce(np.convolve, [masses(sigma, math.floor(36 * sigma))] * shares)
    middle, reach = whole.size // 2, math.floor(30 * sigma * math.sqrt(shares))
    return whole[middle - reach : middle + reach + 1]


def divergence(order: float, left: np.ndarray, right: np.ndarray) -> float:
    terms = order * np.log(left) + (1 - order) * np.log(right)
    return float(np.logaddexp.reduce(terms) / (order - 1))


@pytest.mark.parametrize("sigma", [0.5, 0.6, 0.8, 1.2])
@pytest.mark.parametrize("shares", [1, 2, 3, 6])
@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_no_renyi_divergence_is_above_the_bound(sigma: float, shares: int, shift: int, order: float) -> None:
    law = summed(sigma, shares)
    event = DistributedDiscreteGaussian(sigma, shares, shift**2, 1)
    for left, right in ((law[shift:], law[:-shift]), (law[:-shift], law[shift:])):
        # The terms peak at order * shift, within 25 deviations; those cut off are far smaller.
        assert divergence(order, left, right) <= order * rho(event) * (1 + 1e-9)


@pytest.mark.parametrize("sigma", [0.5, 0.6, 0.8])
@pytest.mark.parametrize("shares", [2, 3, 5])
def test_the_gap_bounds_how_far_a_sum_is_from_one_discrete_gaussian(sigma: float, shares: int) -> None:
    law = summed(sigma, shares)
    single = masses(sigma * math.sqrt(shares), law.size // 2)
    assert np.abs(np.log(law) - np.log(single)).max() <= sum_gap(sigma, shares)


def test_the_gap_is_the_published_series() -> None:
    by_hand = 10 * (math.exp(-(math.pi**2) * 0.49) + math.exp(-4 / 3 * math.pi**2 * 0.49))
    assert sum_gap(0.7, 3) == pytest.approx(by_hand, rel=1e-12)
    assert sum_gap(0.7, 1) == 0.0


def test_with_coarse_shares_more_coordinates_cost_more_and_with_fine_ones_nothing() -> None:
    coarse = DistributedDiscreteGaussian(0.6, 4, 9, 100)
    assert rho(replace(coarse, length=10_000)) > 2 * rho(coarse)
    fine = DistributedDiscreteGaussian(60.0, 4, 90_000, 100)
    assert rho(replace(fine, length=10**6)) == rho(fine) == pytest.approx(90_000 / (2 * 4 * 3600))


def test_four_times_the_guaranteed_shares_cost_a_quarter() -> None:
    few = DistributedDiscreteGaussian(50.0, 2, 10_000, 10)
    assert rho(replace(few, shares=8)) == pytest.approx(rho(few) / 4)
