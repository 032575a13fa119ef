from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.audit.binomial import at_least, highest, lowest, masses


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.data(), st.sampled_from([0.1, 0.05, 0.005, 1e-6]))
def test_at_its_bound_a_result_at_least_as_far_out_has_probability_alpha(
    trials: int, data: st.DataObject, alpha: float
) -> None:
    hits = data.draw(st.integers(0, trials))
    if hits > 0:
        assert at_least(hits, trials, lowest(hits, trials, alpha)) == pytest.approx(alpha, rel=1e-6)
    if hits < trials:
        below = masses(trials, highest(hits, trials, alpha))[: hits + 1].sum()
        assert below == pytest.approx(alpha, rel=1e-6)


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.001, 0.999), st.data())
def test_the_tails_are_sums_of_the_masses(trials: int, p: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    mass = [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
    assert masses(trials, p) == pytest.approx(mass, rel=1e-8)
    assert at_least(hits, trials, p) == pytest.approx(sum(mass[hits:]), rel=1e-8)


def test_nothing_and_everything_have_the_trivial_bound_on_their_side() -> None:
    assert lowest(0, 50, 0.01) == 0.0
    assert highest(50, 50, 0.01) == 1.0
    assert highest(0, 50, 0.01) == pytest.approx(1 - 0.01 ** (1 / 50))


@pytest.mark.parametrize(("p", "sure"), [(0.0, 0), (1.0, 7)])
def test_a_sure_outcome_has_all_the_mass(p: float, sure: int) -> None:
    assert masses(7, p).tolist() == [float(k == sure) for k in range(8)]
