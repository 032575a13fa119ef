"""The budget table: the run's own accountant, over a grid."""

from __future__ import annotations

import pytest

from securefl.errors import ConfigError
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import SampledGaussian
from securefl.privacy.planning import around_noise, around_rate, around_rounds, budget_table


def test_a_row_costs_what_the_run_would_be_charged() -> None:
    prior = ((SampledGaussian(3.0, 1.0, 1), 2),)
    (row,) = budget_table([1.7], [4], [0.2], local_steps=5, delta=1e-5, spare_releases=2, prior=prior)
    assert row.epsilon == epsilon((*prior, (SampledGaussian(1.7, 0.2, 5), 6)), 1e-5)
    assert (row.noise_multiplier, row.rounds, row.sample_rate) == (1.7, 4, 0.2)


def test_more_noise_costs_less_and_more_rounds_cost_more() -> None:
    rows = budget_table([1.0, 2.0], [2, 4], [1.0], local_steps=1, delta=1e-5)
    cost = {(row.noise_multiplier, row.rounds): row.epsilon for row in rows}
    assert cost[1.0, 2] > cost[2.0, 2] and cost[1.0, 4] > cost[1.0, 2]
    assert list(cost) == [(1.0, 2), (1.0, 4), (2.0, 2), (2.0, 4)]


def test_the_surroundings_of_a_plan_contain_it_and_stay_in_range() -> None:
    assert 1.72345 in around_noise(1.72345) and 30 in around_rounds(30) and 0.123456 in around_rate(0.123456)
    assert around_rounds(1)[0] == 1 and around_rate(0.8)[-1] == 1.0
    assert list(around_noise(1.0)) == sorted(around_noise(1.0))


@pytest.mark.parametrize(("rounds", "spare"), [([0], 0), ([3], -1)])
def test_a_plan_that_no_run_could_have_is_refused(rounds: list[int], spare: int) -> None:
    with pytest.raises(ConfigError, match="at least"):
        budget_table([1.0], rounds, [1.0], local_steps=1, delta=1e-5, spare_releases=spare)
