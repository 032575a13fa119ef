"""Epsilon against closed formulas, against dp-accounting itself, and against its other accountant."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise, product

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import BudgetExceeded, ConfigError, PrivacyError
from securefl.privacy import accountant
from securefl.privacy.accountant import cross_checked_epsilon, epsilon, noise_multiplier_for
from securefl.privacy.events import SampledGaussian

DELTA = 1e-5
NOISES, RATES, STEPS = (0.8, 1.5, 6.0), (0.02, 0.2, 1.0), (1, 5, 160)


def once(noise: float, rate: float, steps: int, delta: float = DELTA, method: str = "pld") -> float:
    return epsilon(((SampledGaussian(noise, rate, steps), 1),), delta, method)


def cdf(x: float) -> float:
    """The standard normal distribution function; by erfc, which keeps its digits in the tail."""
    return math.erfc(-x / math.sqrt(2)) / 2


def solved(delta_of: Callable[[float], float], delta: float) -> float:
    """The epsilon at which a decreasing delta(epsilon) falls to `delta`, by bisection."""
    low, high = 0.0, 200.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) > delta else (low, middle)
    return high


def gaussian_delta(noise: float, eps: float) -> float:
    """Balle and Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 8."""
    shift, tilt = 1 / (2 * noise), eps * noise
    return cdf(shift - tilt) - math.exp(eps) * cdf(-shift - tilt)


def sampled_delta(noise: float, rate: float, eps: float) -> float:
    """Hockey-stick divergence of (1-q) N(0, s^2) + q N(1, s^2) from N(0, s^2), in both directions."""
    removed = noise**2 * math.log1p((math.exp(eps) - 1) / rate) + 0.5
    delta = (1 - rate - math.exp(eps)) * cdf(-removed / noise) + rate * cdf((1 - removed) / noise)
    inner = (math.exp(-eps) - 1 + rate) / rate
    if inner <= 0:
        return delta
    added = noise**2 * math.log(inner) + 0.5
    mixture = (1 - rate) * cdf(added / noise) + rate * cdf((added - 1) / noise)
    return max(delta, cdf(added / noise) - math.exp(eps) * mixture)


@pytest.mark.parametrize("noise", [0.6, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("steps", [1, 30])
def test_full_batches_cost_what_the_analytic_gaussian_formula_says(noise: float, steps: int) -> None:
    exact = solved(lambda eps: gaussian_delta(noise / math.sqrt(steps), eps), DELTA)
    # One discretisation, always upwards, by at most the grid width.
    assert exact - 1e-9 <= once(noise, 1.0, steps) <= exact + accountant.DISCRETISATION


@pytest.mark.parametrize("noise", [0.6, 1.0, 3.0])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.7])
def test_one_poisson_step_costs_what_the_exact_divergence_says(noise: float, rate: float) -> None:
    exact = solved(lambda eps: sampled_delta(noise, rate, eps), DELTA)
    assert exact - 1e-9 <= once(noise, rate, 1) <= exact + accountant.DISCRETISATION


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.0, 0.2, 5), (1.723, 0.2, 160), (0.7, 0.01, 500)])
def test_epsilon_is_that_of_dp_accounting(noise: float, rate: float, steps: int) -> None:
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    same = PLDAccountant(value_discretization_interval=1e-3).compose(event, steps).get_epsilon(DELTA)
    finer = PLDAccountant(value_discretization_interval=1e-4).compose(event, steps).get_epsilon(DELTA)
    assert once(noise, rate, steps) == pytest.approx(same, rel=1e-9)
    assert finer <= once(noise, rate, steps) * (1 + 1e-9) <= finer * 1.01


def test_renyi_dp_never_falls_below_the_tight_value_over_a_grid() -> None:
    for noise, rate, steps in product(NOISES, RATES, STEPS):
        tight, loose = once(noise, rate, steps), once(noise, rate, steps, method="rdp")
        # The PLD rounds each step up by at most the grid width; a plain Gaussian is rounded once.
        slack = accountant.DISCRETISATION * (1 if rate == 1 else steps)
        assert loose >= tight - slack, (noise, rate, steps)
        assert cross_checked_epsilon(((SampledGaussian(noise, rate, steps), 1),), DELTA) == tight


def test_accountants_that_disagree_stop_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accountant, "_rdp_epsilon", lambda steps, delta: 1.0)
    with pytest.raises(PrivacyError, match="disagree"):
        cross_checked_epsilon(((SampledGaussian(1.0, 0.2, 5), 1),), DELTA)


def test_epsilon_falls_with_noise_and_grows_with_rate_steps_and_certainty() -> None:
    for rate, steps in product(RATES, STEPS):
        assert all(once(low, rate, steps) > once(high, rate, steps) for low, high in pairwise(NOISES))
    for noise, steps in product(NOISES, STEPS):
        assert all(once(noise, low, steps) < once(noise, high, steps) for low, high in pairwise(RATES))
    for noise, rate in product(NOISES, RATES):
        assert all(once(noise, rate, low) < once(noise, rate, high) for low, high in pairwise(STEPS))
        assert once(noise, rate, 5, 1e-7) > once(noise, rate, 5, 1e-5) > once(noise, rate, 5, 1e-3)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 20), st.floats(0.001, 1), st.integers(1, 300), st.floats(1.01, 3), st.integers(1, 50))
def test_renyi_epsilon_is_monotone_anywhere(
    noise: float, rate: float, steps: int, factor: float, more: int
) -> None:
    here = once(noise, rate, steps, method="rdp")
    assert once(noise * factor, rate, steps, method="rdp") <= here + 1e-9
    assert once(noise, rate / factor, steps, method="rdp") <= here + 1e-9
    assert once(noise, rate, steps + more, method="rdp") >= here - 1e-9


def test_the_smallest_delta_is_still_within_numerical_reach() -> None:
    tiny = accountant.SMALLEST_DELTA
    spent = ((SampledGaussian(1.0, 0.01, 10_000), 1),)
    # Were truncated tails to drown delta, epsilon would jump; instead it stays below Renyi DP's bound.
    assert epsilon(spent, 1e-9) < epsilon(spent, tiny) < epsilon(spent, tiny, "rdp")


def test_sampling_amplifies_and_a_rate_of_one_claims_nothing() -> None:
    assert once(1.0, 0.2, 1) < once(1.0, 1.0, 1)
    assert once(1.0, 1.0 - 1e-9, 1) == pytest.approx(once(1.0, 1.0, 1), abs=2e-3)


def test_epsilon_depends_on_what_was_released_and_on_no_grouping_or_order() -> None:
    one, two = SampledGaussian(1.5, 0.2, 5), SampledGaussian(2.0, 1.0, 1)
    merged = epsilon(((one, 4), (two, 2)), DELTA)
    assert epsilon(((two, 1), (one, 3), (two, 1), (one, 1)), DELTA) == merged
    assert epsilon(((SampledGaussian(1.5, 0.2, 20), 1), (two, 2)), DELTA) == merged
    assert merged > max(epsilon(((one, 4),), DELTA), epsilon(((two, 2),), DELTA))


def test_nothing_released_costs_nothing() -> None:
    assert epsilon((), DELTA) == 0.0
    assert epsilon(((SampledGaussian(1.0, 0.2, 5), 0),), DELTA) == 0.0


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan, 1e-13, True])
def test_a_delta_that_promises_nothing_or_is_too_small_to_compute_is_refused(delta: float) -> None:
    with pytest.raises(ConfigError, match="delta"):
        epsilon((), delta)


def test_an_unknown_accountant_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of pld, rdp"):
        epsilon(((SampledGaussian(1.0, 0.2, 5), 1),), DELTA, "gdp")


@pytest.mark.parametrize("method", ["pld", "rdp"])
@pytest.mark.parametrize(
    ("target", "rate", "steps"), [(8.0, 0.2, 160), (1.0, 0.2, 160), (2.0, 1.0, 30), (0.1, 1.0, 1)]
)
def test_the_noise_solved_for_meets_its_target_and_wastes_under_one_percent(
    target: float, rate: float, steps: int, method: str
) -> None:
    noise = noise_multiplier_for(target, DELTA, rate, steps, method=method)
    assert once(noise, rate, steps, method=method) <= target < once(noise * 0.99, rate, steps, method=method)
    assert float(f"{noise:.5g}") == noise


def test_noise_solved_on_top_of_earlier_spending_keeps_the_sum_within_the_target() -> None:
    prior = ((SampledGaussian(2.0, 0.2, 5), 10),)
    alone, beside = (
        noise_multiplier_for(8.0, DELTA, 0.2, 60),
        noise_multiplier_for(8.0, DELTA, 0.2, 60, prior),
    )
    assert beside > alone
    assert epsilon((*prior, (SampledGaussian(beside, 0.2, 60), 1)), DELTA) <= 8.0


def test_a_target_that_is_spent_already_is_refused_and_says_by_how_much() -> None:
    prior = ((SampledGaussian(1.0, 0.2, 5), 10),)
    over = epsilon(prior, DELTA) - 2.0
    with pytest.raises(BudgetExceeded, match=f"{over:.4g} above the target of 2"):
        noise_multiplier_for(2.0, DELTA, 0.2, 5, prior)


def test_a_target_that_no_noise_can_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accountant, "_NOISE_CEILING", 4.0)
    with pytest.raises(BudgetExceeded, match="no noise multiplier up to 4"):
        noise_multiplier_for(0.01, DELTA, 1.0, 1)


@pytest.mark.parametrize("target", [0.0, -1.0, math.inf, math.nan, True])
def test_a_target_that_is_no_epsilon_is_refused(target: float) -> None:
    with pytest.raises(ConfigError, match="epsilon must be"):
        noise_multiplier_for(target, DELTA, 0.2, 5)


def test_the_package_loads_without_the_accounting_library_and_never_loads_torch() -> None:
    script = (
        "import sys, securefl.privacy as p; assert 'dp_accounting' not in sys.modules;"
        "e = p.SampledGaussian(1.0, 1.0, 1); p.epsilon(((e, 1),), 1e-5); p.epsilon(((e, 1),), 1e-5, 'rdp');"
        "assert 'dp_accounting' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_noise_for_very_many_steps_is_found_without_walking_through_the_expensive_small_ones() -> None:
    # Full batches add up exactly, so a million steps need a thousand times the noise of one.
    one, many = (noise_multiplier_for(8.0, 1e-5, 1.0, steps) for steps in (1, 1_000_000))
    assert many == pytest.approx(1000 * one, rel=1e-4)
