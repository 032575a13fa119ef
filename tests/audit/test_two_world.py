"""Coverage and reach of the two-world audit, on mechanisms whose epsilon is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from securefl.audit import LowerBound, approximate, gaussian, gaussian_epsilon, sampled_gaussian, two_world
from securefl.errors import ConfigError, DataError
from securefl.privacy import SampledGaussian, noise_multiplier_for

DELTA = 1e-5
TABLE = 1 - 1e-4 / 24
"""Confidence of one of 24 audits that together raise a false alarm with probability 1e-4 at most."""


def gaussian_scores(draws: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return noise * random.standard_normal(draws), 1.0 + noise * random.standard_normal(draws)


NOISE_AT_4 = noise_multiplier_for(4.0, DELTA, 1.0, 1)


@pytest.mark.parametrize(("confidence", "reach"), [(0.99, 3.0), (TABLE, 2.7)])
def test_ten_thousand_draws_of_a_gaussian_at_epsilon_4_reach_far(confidence: float, reach: float) -> None:
    # Over 200 seeds: 3.60 +- 0.11 and 3.32 +- 0.10, the smallest 3.33 and 3.04.
    found = [
        two_world(*gaussian_scores(10_000, NOISE_AT_4, seed), gaussian(DELTA), confidence).epsilon
        for seed in range(5)
    ]
    assert reach <= min(found)
    assert max(found) <= 4.0


@pytest.mark.parametrize(
    ("family", "scores", "true"),
    [
        (gaussian(DELTA), lambda seed: gaussian_scores(60, 1.0, seed), gaussian_epsilon(1.0, DELTA)),
        (approximate(DELTA), lambda seed: gaussian_scores(60, 1.0, seed), gaussian_epsilon(1.0, DELTA)),
        (
            approximate(0.0),
            lambda seed: tuple(np.random.default_rng(seed).random((2, 60)) < np.array([[0.3], [0.7]])),
            float(np.log(7 / 3)),
        ),
    ],
    ids=["gaussian", "gaussian without an assumption", "randomised response"],
)
def test_the_bound_is_above_the_true_epsilon_no_more_often_than_its_confidence_says(
    family, scores, true: float
) -> None:
    audits, error = 200, 0.2
    alarms = 0
    for seed in range(audits):
        without, there = scores(seed)
        alarms += two_world(without * 1.0, there * 1.0, family, 1 - error).epsilon > true
    # Binomial: exceeded with probability 1e-6 where the error is exactly 0.2.
    assert alarms <= stats.binom.isf(1e-6, audits, error)


def test_bounds_of_a_sampled_mechanism_stay_below_its_epsilon() -> None:
    event = SampledGaussian(1.0, 0.5, 3)
    family = sampled_gaussian(event, 1, DELTA)
    random = np.random.default_rng(3)
    taken = random.binomial(3, 0.5, 2000)
    without = np.sqrt(3) * random.standard_normal(2000)
    found = two_world(without, taken + np.sqrt(3) * random.standard_normal(2000), family, 0.99)
    # At 99 % one seed in a hundred may raise an alarm at worst; this bound lies 2 below the true 5.84.
    assert 2.0 < found.epsilon < family.epsilon(1.0)


def test_a_record_that_lowers_the_score_is_found_as_well() -> None:
    without, there = gaussian_scores(2000, 1.0, seed=1)
    up = two_world(without, there, gaussian(DELTA), 0.99).epsilon
    down = two_world(-without, -there, gaussian(DELTA), 0.99).epsilon
    assert down == pytest.approx(up, rel=0.2)
    assert down > 2.0


def test_of_several_scores_the_one_that_shows_most_is_used() -> None:
    without, there = gaussian_scores(2000, 0.5, seed=4)
    idle = np.random.default_rng(5).standard_normal((2, 2000))
    alone = two_world(without, there, gaussian(DELTA), 0.99)
    beside = [np.column_stack(pair) for pair in zip(idle, (without, there), strict=True)]
    assert two_world(*beside, gaussian(DELTA), 0.99) == alone


def test_equal_worlds_show_nothing() -> None:
    random = np.random.default_rng(2)
    # With error 1e-6 per audit, a bound above 0 in ten is a false alarm of probability 1e-5.
    for _ in range(10):
        one, other = random.standard_normal((2, 1000))
        assert two_world(one, other, gaussian(DELTA), 1 - 1e-6).epsilon == 0.0


def test_worlds_without_noise_end_at_the_ceiling() -> None:
    for family in (gaussian(DELTA), approximate(DELTA)):
        found = two_world(np.zeros(1000), np.ones(1000), family, 0.99)
        assert found.epsilon == found.ceiling > 4.0


def test_the_ceiling_grows_with_the_draws_and_shrinks_with_the_confidence() -> None:
    def ceiling(draws: int, confidence: float) -> float:
        return two_world(np.zeros(draws), np.ones(draws), approximate(DELTA), confidence).ceiling

    assert ceiling(100, 0.99) < ceiling(1000, 0.99) < ceiling(1000, 0.9)
    # No success in the 800 that are counted, at half of 1 %: 1 - 0.005^(1/800), and the same from above.
    none = 1 - 0.005 ** (1 / 800)
    assert ceiling(1000, 0.99) == pytest.approx(np.log((1 - none - DELTA) / none), abs=2e-3)


@pytest.mark.parametrize(
    "bad",
    [
        np.array([]),
        np.zeros(4),
        np.zeros((5, 5, 1)),
        np.zeros((9, 0)),
        np.full(9, np.nan),
        np.array([0, 1, np.inf, 2, 3]),
    ],
)
def test_scores_that_are_too_few_or_not_finite_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected"):
        two_world(bad, np.zeros(10), gaussian(DELTA), 0.99)
    with pytest.raises(DataError, match="expected"):
        two_world(np.zeros(10), bad, gaussian(DELTA), 0.99)


@pytest.mark.parametrize("confidence", [0.0, 0.4, 1.0, float("nan"), True])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ConfigError, match="confidence"):
        two_world(np.zeros(10), np.ones(10), gaussian(DELTA), confidence)


def test_five_draws_are_enough_to_be_counted_and_too_few_to_say_anything() -> None:
    assert two_world(np.zeros(5), np.ones(5), gaussian(DELTA), 0.99).epsilon == 0.0


def test_a_bound_above_its_ceiling_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="ceiling"):
        LowerBound(5.0, DELTA, 10, 0.99, ceiling=4.0, assumes="nothing", strength=5.0)
