from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from securefl.threats.statistic import mean, proportion, t_quantile


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.integers(1, 300), st.data(), st.sampled_from([0.1, 0.05, 0.005, 1e-4]))
def test_proportions_have_the_bounds_of_clopper_and_pearson(
    trials: int, data: st.DataObject, alpha: float
) -> None:
    hits = data.draw(st.integers(0, trials))
    found = proportion(hits, trials, alpha)
    low = stats.beta.ppf(alpha, hits, trials - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - alpha, hits + 1, trials - hits) if hits < trials else 1.0
    # Bisection of [0, 1] to 2^-60; what is left is the rounding of sums of up to 300 terms.
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("trials", "p"), [(20, 0.1), (40, 0.3), (59, 0.05)])
def test_each_bound_misses_the_truth_at_most_as_often_as_it_says(trials: int, p: float) -> None:
    # Summed over all outcomes, so there is no sampling error to tolerate.
    alpha = 0.05
    missed = {"high": 0.0, "low": 0.0}
    for hits in range(trials + 1):
        chance = stats.binom.pmf(hits, trials, p)
        found = proportion(hits, trials, alpha)
        missed["high"] += chance * (found.high < p)
        missed["low"] += chance * (found.low > p)
    assert max(missed.values()) <= alpha


def test_without_trials_nothing_is_said() -> None:
    found = proportion(0, 0, 0.05)
    assert (found.low, found.high, found.samples) == (0.0, 1.0, 0)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10, 29, 100])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.975, 0.9995])
def test_students_t_is_the_one_of_the_tables(level: float, degrees: int) -> None:
    assert t_quantile(level, degrees) == pytest.approx(stats.t.ppf(level, degrees), abs=1e-9, rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-1.0, 1.0, allow_subnormal=False), min_size=2, max_size=12))
def test_a_mean_has_students_bounds(values: list[float]) -> None:
    found, error = mean(values, 0.05), stats.sem(values)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.95, len(values) - 1) * error, abs=1e-9)
    assert found.value - found.low == pytest.approx(found.high - found.value, abs=1e-9)


@pytest.mark.parametrize("values", [[], [0.3]])
def test_one_value_says_nothing_about_a_mean(values: list[float]) -> None:
    found = mean(values, 0.05)
    assert (found.low, found.high) == (-math.inf, math.inf)
