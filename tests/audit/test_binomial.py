from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from securefl.audit.binomial import at_least, at_most, highest, lowest, masses


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.data(), st.sampled_from([0.1, 0.05, 0.005, 1e-6]))
def test_the_bounds_are_those_of_clopper_and_pearson(trials: int, data: st.DataObject, alpha: float) -> None:
    hits = data.draw(st.integers(0, trials))
    low = stats.beta.ppf(alpha, hits, trials - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - alpha, hits + 1, trials - hits) if hits < trials else 1.0
    # Bisection of [0, 1] to 2^-60; what is left is the rounding of sums of up to 300 terms.
    assert lowest(hits, trials, alpha) == pytest.approx(low, abs=1e-9)
    assert highest(hits, trials, alpha) == pytest.approx(high, abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.0, 1.0), st.data())
def test_the_tails_are_those_of_the_binomial(trials: int, p: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    assert at_most(hits, trials, p) == pytest.approx(stats.binom.cdf(hits, trials, p), abs=1e-9)
    assert at_least(hits, trials, p) == pytest.approx(stats.binom.sf(hits - 1, trials, p), abs=1e-9)


def test_a_tail_of_ten_thousand_trials_keeps_its_digits() -> None:
    assert at_least(5600, 10_000, 0.5) == pytest.approx(stats.binom.sf(5599, 10_000, 0.5), rel=1e-8)
    assert at_most(4400, 10_000, 0.5) == pytest.approx(stats.binom.cdf(4400, 10_000, 0.5), rel=1e-8)


def test_nothing_and_everything_have_the_trivial_bound_on_their_side() -> None:
    assert lowest(0, 50, 0.01) == 0.0
    assert highest(50, 50, 0.01) == 1.0
    assert highest(0, 50, 0.01) == pytest.approx(1 - 0.01 ** (1 / 50))


@pytest.mark.parametrize(("p", "sure"), [(0.0, 0), (1.0, 7)])
def test_a_sure_outcome_has_all_the_mass(p: float, sure: int) -> None:
    assert masses(7, p).tolist() == [float(k == sure) for k in range(8)]
