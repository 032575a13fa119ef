"""Noise shares: enough for the target with the guaranteed shares alone, and not more than that."""

from __future__ import annotations

import math
from dataclasses import replace

import dp_accounting
import pytest
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import BudgetExceeded, ConfigError, PrivacyError
from securefl.privacy.accountant import epsilon
from securefl.privacy.concentrated import rho
from securefl.privacy.events import SMALLEST_SHARE, DistributedDiscreteGaussian, SampledGaussian
from securefl.privacy.shares import share_for

DELTA = 1e-5
EVENT = DistributedDiscreteGaussian(sigma=200.0, shares=4, squared_sensitivity=300**2, length=1000)


def spent(event: DistributedDiscreteGaussian, releases: int, delta: float = DELTA) -> float:
    return epsilon(((event, releases),), delta, "rdp")


@given(
    target=st.floats(0.1, 20.0),
    releases=st.integers(1, 200),
    shares=st.integers(1, 500),
    bits=st.integers(8, 20),
    length=st.integers(1, 10**6),
)
@settings(deadline=None, max_examples=25)
def test_the_noise_is_enough_and_one_percent_less_is_not(
    target: float, releases: int, shares: int, bits: int, length: int
) -> None:
    event = share_for(target, DELTA, releases, shares, 4**bits, length)
    assert (event.shares, event.squared_sensitivity, event.length) == (shares, 4**bits, length)
    assert spent(event, releases) <= target
    less = event.sigma * 0.99
    # At its least a share cannot shrink; just above it the gap of coarse shares bends the curve.
    if less > 2 * SMALLEST_SHARE:
        assert spent(replace(event, sigma=less), releases) > target


def test_a_share_grows_as_guaranteed_shares_shrink_by_the_root_of_their_ratio() -> None:
    small, large = (share_for(4.0, DELTA, 20, shares, 10**8, 650) for shares in (3, 48))
    assert small.sigma / large.sigma == pytest.approx(math.sqrt(48 / 3), rel=1e-4)


def test_spare_releases_are_in_the_noise() -> None:
    assert share_for(4.0, DELTA, 12, 3, 10**8, 650).sigma > share_for(4.0, DELTA, 10, 3, 10**8, 650).sigma


@pytest.mark.parametrize("releases", [1, 7, 100])
def test_epsilon_is_that_of_dp_accounting_for_the_same_rho(releases: int) -> None:
    accountant = RdpAccountant(orders=[1 + 10 ** (n / 100) for n in range(-200, 400)])
    accountant.compose(dp_accounting.ZCDpEvent(rho(EVENT)), releases)
    assert spent(EVENT, releases) == pytest.approx(accountant.get_epsilon(DELTA), rel=2e-3)


@pytest.mark.parametrize("releases", [1, 10, 100])
def test_epsilon_is_above_that_of_the_gaussian_it_stands_for_and_not_far(releases: int) -> None:
    multiplier = math.sqrt(EVENT.shares / EVENT.squared_sensitivity) * EVENT.sigma
    gaussian = epsilon(((SampledGaussian(multiplier, 1.0, 1), releases),), DELTA, "pld")
    assert gaussian - 1e-3 * releases <= spent(EVENT, releases) <= gaussian * 1.15


def test_releases_add_up() -> None:
    other = replace(EVENT, sigma=300.0)
    both = epsilon(((EVENT, 3), (other, 2)), DELTA, "rdp")
    assert both > max(spent(EVENT, 3), spent(other, 2))
    # rho of the one is 9/4 of the other's: 4 of one are 9 of the other.
    assert spent(other, 9) == pytest.approx(spent(EVENT, 4), rel=1e-9)


def test_the_loss_distribution_accountant_is_refused_with_its_reason() -> None:
    with pytest.raises(PrivacyError, match="no loss distribution"):
        epsilon(((EVENT, 1),), DELTA, "pld")


def test_two_units_are_not_added_up() -> None:
    with pytest.raises(PrivacyError, match="cannot be added up"):
        epsilon(((EVENT, 1), (SampledGaussian(1.0, 0.2, 5), 1)), DELTA, "rdp")


def test_a_budget_that_no_noise_meets_is_refused() -> None:
    with pytest.raises(BudgetExceeded, match="no noise"):
        share_for(1e-6, DELTA, 10**6, 1, 10**8, 650)


@pytest.mark.parametrize("delta", [0.0, 1.0, 1e-13])
def test_a_delta_that_cannot_be_accounted_is_refused(delta: float) -> None:
    with pytest.raises(ConfigError, match="delta"):
        share_for(4.0, delta, 10, 3, 10**8, 650)
