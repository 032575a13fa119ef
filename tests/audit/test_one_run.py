"""The one-run audit: exact coverage, summed over outcomes, and reach with ideal canaries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from securefl.audit import approximate, gaussian, gaussian_epsilon, guess, one_run, one_run_curve
from securefl.audit.one_run import Guesses, impossible, p_value
from securefl.errors import ConfigError, DataError
from securefl.privacy import noise_multiplier_for

DELTA = 1e-5
NOISE_AT_8 = noise_multiplier_for(8.0, DELTA, 1.0, 1)


def ideal(canaries: int, noise: float, made: int, seed: int) -> Guesses:
    """Canaries that each have a coordinate of their own in one Gaussian release."""
    random = np.random.default_rng(seed)
    coins = random.random(canaries) < 0.5
    return guess(coins + noise * random.standard_normal(canaries), coins, made)


def test_a_thousand_ideal_canaries_at_epsilon_8_reach_far_and_never_above() -> None:
    games = [ideal(1000, NOISE_AT_8, 100, seed) for seed in range(41)]
    plain = [one_run(game, DELTA, 0.95).epsilon for game in games]
    curved = [one_run_curve(game, gaussian(DELTA), 0.95).epsilon for game in games]
    # Medians of 41: their standard error is near 0.06 and 0.08, the medians are 2.97 and 4.7.
    assert np.median(plain) >= 2.7
    assert np.median(curved) >= 4.5
    assert max(*plain, *curved) <= 8.0


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("made", [10, 60])
def test_under_randomised_response_alarms_are_no_more_frequent_than_said(epsilon: float, made: int) -> None:
    # Every guess is right with probability e^eps / (1 + e^eps), so alarms are summed exactly.
    rate, alpha = 1 / (1 + math.exp(-epsilon)), 0.05
    false_alarms = {"p-value": 0.0, "curve": 0.0}
    for correct in range(made + 1):
        chance = stats.binom.pmf(correct, made, rate)
        game = Guesses(60, made, correct)
        false_alarms["p-value"] += chance * (one_run(game, 0.0, 1 - alpha).epsilon > epsilon + 1e-9)
        false_alarms["curve"] += chance * (
            one_run_curve(game, approximate(0.0), 1 - alpha).epsilon > epsilon + 1e-9
        )
    assert max(false_alarms.values()) <= alpha


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_under_a_gaussian_alarms_of_the_curve_are_no_more_frequent_than_said(shift: float) -> None:
    # Guessing all of 80 canaries at half the shift is right with probability Phi(shift / 2), independently.
    canaries, alpha, false_alarms = 80, 0.05, 0.0
    for correct in range(canaries + 1):
        found = one_run_curve(Guesses(canaries, canaries, correct), gaussian(DELTA), 1 - alpha).epsilon
        if found > gaussian_epsilon(shift, DELTA):
            false_alarms += stats.binom.pmf(correct, canaries, stats.norm.cdf(shift / 2))
    assert false_alarms <= alpha


def test_abstaining_down_to_the_surest_guesses_raises_no_alarms_beyond_the_error() -> None:
    games, alpha, true = 400, 0.2, gaussian_epsilon(1.0, DELTA)
    alarms = sum(
        one_run_curve(ideal(200, 1.0, 40, seed), gaussian(DELTA), 1 - alpha).epsilon > true
        for seed in range(games)
    )
    # Binomial: exceeded with probability 1e-6 where the error is exactly 0.2.
    assert alarms <= stats.binom.isf(1e-6, games, alpha)


def test_without_delta_the_p_value_is_a_binomial_tail() -> None:
    game = Guesses(100, 40, 33)
    assert p_value(game, 1.0, 0.0) == pytest.approx(stats.binom.sf(32, 40, 1 / (1 + math.exp(-1))), rel=1e-9)


def test_delta_adds_the_worst_average_mass_just_below() -> None:
    made, correct, epsilon = 40, 33, 1.0
    binomial = stats.binom(made, 1 / (1 + math.exp(-epsilon)))
    worst = max(
        (binomial.cdf(correct - 1) - binomial.cdf(correct - 1 - i)) / i for i in range(1, correct + 1)
    )
    game = Guesses(100, made, correct)
    added = p_value(game, epsilon, 1e-3) - p_value(game, epsilon, 0.0)
    assert added == pytest.approx(2 * 100 * 1e-3 * worst, rel=1e-6)


def test_the_p_value_grows_with_epsilon_and_with_delta_and_is_at_most_1() -> None:
    game = Guesses(1000, 100, 90)
    along = [p_value(game, one, DELTA) for one in (0.0, 1.0, 2.0, 3.0, 10.0)]
    assert along == sorted(along)
    assert p_value(game, 1.0, 0.0) < p_value(game, 1.0, 1e-4) < p_value(game, 1.0, 0.9) == 1.0


def test_the_curve_bound_of_one_canary_is_the_two_world_argument() -> None:
    # One canary guessed right with probability p: right <= p / 1 needs wrong >= curve(p), and p + wrong <= 1.
    curve = gaussian(DELTA).curve(1.0)
    best = stats.norm.cdf(0.5)
    assert not impossible(curve, 1, 1, 1, best - 1e-6)
    assert impossible(curve, 1, 1, 1, best + 1e-6)


def test_more_right_guesses_say_more_and_all_of_them_reach_the_ceiling() -> None:
    for bound in (lambda g: one_run(g, DELTA, 0.95), lambda g: one_run_curve(g, gaussian(DELTA), 0.95)):
        found = [bound(Guesses(500, 100, correct)) for correct in (0, 50, 70, 90, 100)]
        values = [one.epsilon for one in found]
        assert values == sorted(values)
        assert values[:2] == [0.0, 0.0]
        assert values[-1] == found[0].ceiling


def test_more_canaries_lift_the_ceiling() -> None:
    ceilings = [one_run(Guesses(count, count, count), DELTA, 0.95).ceiling for count in (10, 100, 1000)]
    assert ceilings == sorted(ceilings)
    # All of n right under pure DP: (e^eps / (1 + e^eps))^n = 0.05.
    rate = 0.05 ** (1 / 100)
    pure = one_run(Guesses(100, 100, 100), 0.0, 0.95).ceiling
    assert pure == pytest.approx(math.log(rate / (1 - rate)), abs=1e-6)


def test_half_of_the_guesses_are_in_and_half_are_out() -> None:
    scores = np.array([5.0, 4.0, 0.0, -4.0, -5.0])
    coins = np.array([True, True, True, False, False])
    assert guess(scores, coins, 4) == Guesses(5, 4, 4)
    assert guess(scores, ~coins, 4) == Guesses(5, 4, 0)
    assert guess(scores, coins, 3) == Guesses(5, 3, 3)
    assert guess(scores, coins, 5).made == 5


@pytest.mark.parametrize(
    ("scores", "coins", "made"),
    [
        (np.zeros(0), np.zeros(0, bool), 1),
        (np.array([0.0, np.nan]), np.zeros(2, bool), 1),
        (np.zeros(3), np.zeros(2, bool), 1),
        (np.zeros(3), np.zeros(3, bool), 4),
        (np.zeros(3), np.zeros(3, bool), 0),
    ],
)
def test_games_that_cannot_be_played_are_refused(scores: np.ndarray, coins: np.ndarray, made: int) -> None:
    with pytest.raises(DataError, match="expected"):
        guess(scores, coins, made)


@pytest.mark.parametrize("numbers", [(0, 0, 0), (5, 6, 1), (5, 0, 0), (5, 3, 4), (5, 3, -1)])
def test_games_that_cannot_have_ended_so_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="expected"):
        Guesses(*numbers)


def test_confidences_and_deltas_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="confidence"):
        one_run(Guesses(5, 5, 5), DELTA, 1.0)
    with pytest.raises(ConfigError, match="delta"):
        one_run(Guesses(5, 5, 5), 1.0, 0.95)
