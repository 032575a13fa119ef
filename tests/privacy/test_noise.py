"""Noise and samples: their law, to computed tolerances, and that nothing but the stream drives them.

All draws come from streams under fixed keys, so no test here can fail by chance; the tolerances say
how unlikely a failure would be under fresh keys.
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.crypto.randomness import Stream, SystemRandomness
from securefl.errors import PrivacyError
from securefl.privacy.noise import _directions, _radii, gaussian, poisson_sample


def stream(number: int) -> Stream:
    return Stream(number.to_bytes(32, "big"))


def test_a_million_draws_have_mean_zero_and_variance_one() -> None:
    draws = gaussian(stream(1), 1_000_000)
    # Standard error of the mean 1e-3, of the variance sqrt(2 / n) = 1.41e-3: five of each.
    assert abs(draws.mean()) < 5e-3
    assert abs(draws.var() - 1) < 7e-3
    # Kurtosis 3, standard error sqrt(24 / n) = 4.9e-3.
    assert abs((draws**4).mean() / draws.var() ** 2 - 3) < 5 * math.sqrt(24 / draws.size)


def test_the_distribution_function_is_the_normal_one() -> None:
    n = 200_000
    draws = np.sort(gaussian(stream(2), n))
    cdf = np.array([NormalDist().cdf(x) for x in draws[::20]])
    # Dvoretzky-Kiefer-Wolfowitz: P(sup |F_n - F| > t) <= 2 exp(-2 n t^2); this t has 1e-6. Looking at every
    # 20th point can only make the supremum smaller.
    limit = math.sqrt(math.log(2 / 1e-6) / (2 * n))
    ranks = np.arange(n)[::20]
    assert max(np.abs(cdf - ranks / n).max(), np.abs(cdf - (ranks + 1) / n).max()) < limit


def test_radii_and_directions_are_those_of_the_words_to_a_few_roundings() -> None:
    edges = np.array([0, 1, 2**52, 2**56 - 1, 2**56, 2**63, 2**64 - 1], dtype=np.uint64)
    words = np.concatenate([edges, stream(12).words(100_000, np.uint64)])
    angles = ((words >> np.uint64(4)).astype(np.longdouble) + 0.5) * (np.longdouble(2) ** -60)
    angles *= 2 * np.longdouble("3.14159265358979323846264338327950288")
    cosine, sine = _directions(words)
    assert np.abs(cosine - np.cos(angles)).max() < 1e-15 and np.abs(sine - np.sin(angles)).max() < 1e-15
    uniform = ((words >> np.uint64(12)).astype(np.longdouble) + 0.5) * (np.longdouble(2) ** -52)
    assert np.allclose(_radii(words), np.sqrt(-2 * np.log(uniform)).astype(np.float64), rtol=1e-15, atol=0)


def test_far_tails_are_there() -> None:
    draws = np.abs(gaussian(stream(3), 1_000_000))
    for sigmas in (3.0, 4.0):
        expected = draws.size * 2 * NormalDist().cdf(-sigmas)
        assert abs((draws > sigmas).sum() - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("lag", [1, 2, 1 << 13, 1 << 14])
def test_draws_of_one_stream_are_uncorrelated_also_in_size(lag: int) -> None:
    draws = gaussian(stream(4), 400_000)
    # A correlation of independent pairs has standard error 1 / sqrt(n).
    limit = 5 / math.sqrt(draws.size - lag)
    assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < limit
    assert abs(np.corrcoef(draws[:-lag] ** 2, draws[lag:] ** 2)[0, 1]) < limit


def test_two_streams_give_independent_noise() -> None:
    one, two = gaussian(stream(5), 400_000), gaussian(stream(6), 400_000)
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / math.sqrt(one.size)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16_383, 16_384, 16_385, 65_537])
def test_any_number_of_draws_has_its_shape_and_is_finite(count: int) -> None:
    draws = gaussian(stream(7), count)
    assert draws.shape == (count,) and draws.dtype == np.float64 and np.isfinite(draws).all()


def test_a_later_draw_of_a_stream_is_fresh() -> None:
    one = stream(8)
    assert not np.array_equal(gaussian(one, 100), gaussian(one, 100))


def test_only_the_stream_drives_noise_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = gaussian(stream(9), 1000), poisson_sample(stream(9), 1000, 0.3)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a library's generator was used")

    for name in ("random", "normal", "standard_normal", "uniform", "rand", "randn", "choice", "default_rng"):
        monkeypatch.setattr(np.random, name, forbidden)
    for name in ("random", "gauss", "normalvariate", "sample", "getrandbits"):
        monkeypatch.setattr(random, name, forbidden)
    again = gaussian(stream(9), 1000), poisson_sample(stream(9), 1000, 0.3)
    assert all(np.array_equal(left, right) for left, right in zip(expected, again, strict=True))


def test_the_same_seeds_of_the_libraries_give_different_noise_and_samples() -> None:
    draws, samples = [], []
    for _ in range(2):
        np.random.seed(7)
        random.seed(7)
        fresh = SystemRandomness().stream("noise")
        draws.append(gaussian(fresh, 100))
        samples.append(poisson_sample(fresh, 1000, 0.5))
    assert not np.array_equal(draws[0], draws[1]) and not np.array_equal(samples[0], samples[1])


def test_each_index_is_sampled_at_the_rate_and_sizes_vary_as_poisson_sampling_says() -> None:
    population, rate, trials = 500, 0.2, 4000
    one = stream(10)
    counts, sizes = np.zeros(population), np.empty(trials)
    for trial in range(trials):
        chosen = poisson_sample(one, population, rate)
        counts[chosen] += 1
        sizes[trial] = chosen.size
    variance = population * rate * (1 - rate)
    assert abs(sizes.mean() - population * rate) < 5 * math.sqrt(variance / trials)
    # Sample variance of a near-normal: relative standard error sqrt(2 / trials).
    assert abs(sizes.var() / variance - 1) < 5 * math.sqrt(2 / trials)
    # Chi-square over the indices: mean `population`, variance 2 `population`.
    chi_square = ((counts - trials * rate) ** 2).sum() / (trials * rate * (1 - rate))
    assert abs(chi_square - population) < 5 * math.sqrt(2 * population)


def test_samples_of_two_steps_overlap_as_independent_ones_do() -> None:
    population, rate = 200_000, 0.2
    one = stream(11)
    first, second = poisson_sample(one, population, rate), poisson_sample(one, population, rate)
    both = np.intersect1d(first, second).size
    assert abs(both - population * rate**2) < 5 * math.sqrt(population * rate**2 * (1 - rate**2))


def test_empty_samples_happen_as_often_as_they_must() -> None:
    population, rate, trials = 10, 0.1, 5000
    one = stream(12)
    empty = sum(poisson_sample(one, population, rate).size == 0 for _ in range(trials))
    p = (1 - rate) ** population
    assert abs(empty - trials * p) < 5 * math.sqrt(trials * p * (1 - p))


@given(st.integers(0, 300), st.floats(1e-6, 1.0), st.integers(0, 2**60))
def test_a_sample_holds_ascending_indices_within_the_population(
    population: int, rate: float, key: int
) -> None:
    chosen = poisson_sample(stream(key), population, rate)
    assert chosen.dtype == np.int64 and (np.diff(chosen) > 0).all()
    assert chosen.size == 0 or (chosen[0] >= 0 and chosen[-1] < population)
    assert rate < 1 or chosen.size == population


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, math.nan])
def test_a_rate_outside_its_range_is_refused(rate: float) -> None:
    with pytest.raises(PrivacyError, match="rate"):
        poisson_sample(stream(13), 10, rate)


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(PrivacyError, match="count"):
        gaussian(stream(14), -1)
    with pytest.raises(PrivacyError, match="population"):
        poisson_sample(stream(14), -1, 0.5)


def test_the_largest_value_is_that_of_the_smallest_midpoint_and_stays_below_8_58() -> None:
    class AllZeros(Stream):
        def take(self, size: int) -> bytes:
            return bytes(size)

    largest = gaussian(AllZeros(bytes(32)), 2).max()
    assert largest == pytest.approx(math.sqrt(-2 * math.log(0.5 * 2.0**-52)))
    assert 8.57 < largest < 8.58
