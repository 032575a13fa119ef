from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from securefl.threats.statistic import mean, proportion


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.integers(1, 300), st.data(), st.sampled_from([0.1, 0.05, 0.005, 1e-4]))
def test_proportions_have_the_bounds_of_clopper_and_pearson(
    trials: int, data: st.DataObject, alpha: float
) -> None:
    hits = data.draw(st.integers(0, trials))
    found = proportion(hits, trials, alpha)
    # By their definition: at either bound, a result at least as far out has probability alpha.
    if hits > 0:
        assert stats.binom.sf(hits - 1, trials, found.low) == pytest.approx(alpha, rel=1e-6)
    if hits < trials:
        assert stats.binom.cdf(hits, trials, found.high) == pytest.approx(alpha, rel=1e-6)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


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
