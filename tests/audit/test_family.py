from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from securefl.audit import approximate, gaussian, gaussian_epsilon, sampled_gaussian
from securefl.errors import ConfigError
from securefl.privacy import SampledGaussian, epsilon

DELTA = 1e-5
SAMPLED = SampledGaussian(1.0, 0.5, 3)
CURVE = sampled_gaussian(SAMPLED, 1, DELTA).curve(1.0)
RATES = st.floats(1e-6, 1 - 1e-6)


@pytest.mark.parametrize("shift", [0.3, 1.0, 2.5, 8.0, 25.0])
def test_the_gaussians_epsilon_solves_the_exact_equation(shift: float) -> None:
    found = gaussian_epsilon(shift, DELTA)
    first = stats.norm.logcdf(shift / 2 - found / shift)
    second = found + stats.norm.logcdf(-shift / 2 - found / shift)
    assert math.exp(first) - math.exp(second) == pytest.approx(DELTA, rel=1e-6)


def test_a_shift_beyond_all_numbers_is_bounded_and_does_not_overflow() -> None:
    assert (
        gaussian_epsilon(25.0, DELTA) < gaussian_epsilon(40.0, DELTA) <= gaussian_epsilon(1e6, DELTA) <= 700.0
    )


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_the_gaussians_epsilon_is_the_accountants_up_to_its_grid(noise: float) -> None:
    accounted = epsilon(((SampledGaussian(noise, 1.0, 1), 1),), DELTA)
    assert 0 <= accounted - gaussian_epsilon(1 / noise, DELTA) < 2e-3


@settings(deadline=None)
@given(RATES, st.floats(0.1, 6.0))
def test_a_gaussians_curve_is_its_best_test(true: float, shift: float) -> None:
    threshold = stats.norm.isf(true, loc=shift)
    assert gaussian(DELTA).curve(shift)(true) == pytest.approx(stats.norm.sf(threshold), rel=1e-6)


@settings(deadline=None)
@given(RATES, st.floats(0.0, 10.0))
def test_randomised_response_lies_on_the_curve_of_pure_privacy(true: float, strength: float) -> None:
    kept = 1 / (1 + math.exp(-strength))
    curve = approximate(0.0).curve(strength)
    assert curve(kept) == pytest.approx(1 - kept, abs=1e-11)
    assert curve(true) <= true + 1e-12  # rounding of 1 - (1 - true)


@settings(deadline=None, max_examples=30)
@given(RATES)
def test_a_sampled_curve_is_never_above_what_sampling_really_gives(true: float) -> None:
    # One coordinate against a mixture of shifted normals: any of its thresholds is a test.
    weights = stats.binom.pmf(range(4), 3, 0.5)

    def rates(threshold: float) -> tuple[float, float]:
        spread = math.sqrt(3.0)
        there = sum(w * stats.norm.sf(threshold, k, spread) for k, w in enumerate(weights))
        return float(stats.norm.sf(threshold, 0.0, spread)), float(there)

    false, reached = rates(stats.norm.isf(true, scale=2.0))
    assert CURVE(reached) <= false * (1 + 1e-6)


@pytest.mark.parametrize("family", [approximate(DELTA), gaussian(DELTA), sampled_gaussian(SAMPLED, 1, DELTA)])
def test_stronger_members_leak_more_and_the_strictest_nothing(family) -> None:
    strengths = np.linspace(0.1, 1.0, 4) * min(family.most, 2.0)
    at_half = [family.curve(float(one))(0.5) for one in strengths]
    told = [family.epsilon(float(one)) for one in strengths]
    assert at_half == sorted(at_half, reverse=True)
    assert told == sorted(told)
    assert family.epsilon(0.0) == 0.0


def test_releases_without_sampling_add_up_as_gaussians_do() -> None:
    family = sampled_gaussian(SampledGaussian(2.0, 1.0, 4), 4, DELTA)
    assert family.epsilon(0.25) == gaussian_epsilon(1.0, DELTA)
    assert family.curve(0.25)(0.3) == gaussian(DELTA).curve(1.0)(0.3)
    assert "unsampled" in family.assumes


@pytest.mark.parametrize("delta", [-1e-9, 1.0, float("nan")])
def test_a_delta_that_is_none_is_refused(delta: float) -> None:
    for make in (approximate, gaussian):
        with pytest.raises(ConfigError, match="delta"):
            make(delta)
