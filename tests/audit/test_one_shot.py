"""Canary clients in one sum: their cosines, what is fitted to them and what may be concluded."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.audit import cosines, directions, gaussian, gaussian_epsilon, one_shot
from securefl.audit.one_shot import fitted_epsilon
from securefl.errors import DataError

DELTA, DIM = 1e-5, 20_000


def release(present: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """The sum of unit vectors under Gaussian noise."""
    return present.sum(axis=0) + noise * np.random.default_rng(seed).standard_normal(DIM)


def played(noise: float, canaries: int = 200, seed: int = 0):
    random = np.random.default_rng(seed)
    present, absent = directions(canaries, DIM, random), directions(2 * canaries, DIM, random)
    total = release(present, noise, seed + 1)
    return one_shot(cosines(total, present), cosines(total, absent), DIM, gaussian(DELTA), 0.95)


def test_the_estimate_is_near_the_gaussians_epsilon_and_the_bound_below_it() -> None:
    found = played(noise=0.5)
    # The sum's own norm, sqrt(200 + 0.25 * dim), shrinks the shift of 2 by 2 %; its estimate deviates by
    # 1 / sqrt(200), and an epsilon of 9.97 by five of these times its slope of 5.6 at most.
    true = gaussian_epsilon(2.0, DELTA)
    assert found.seen == pytest.approx(2.0, abs=0.05 + 5 / np.sqrt(200))
    assert found.estimate == pytest.approx(true, abs=3.0)
    assert 4.0 < found.bound.epsilon < true


def test_noise_switched_off_stands_out_and_strong_noise_hides_canaries() -> None:
    off, strong = played(noise=0.0), played(noise=20.0)
    assert off.bound.epsilon > 15.0
    # A shift of 0.05; the error of 5 % per audit would have to strike for a bound above 1.
    assert strong.bound.epsilon < 1.0


def test_directions_are_unit_vectors_and_nearly_orthogonal() -> None:
    drawn = directions(50, DIM, np.random.default_rng(0))
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1.0)
    overlaps = drawn @ drawn.T - np.eye(50)
    # Normal with variance 1 / dim; six deviations for 1,225 pairs are 2e-6.
    assert np.abs(overlaps).max() < 6 / np.sqrt(DIM)


def test_a_fit_of_equal_normals_is_the_gaussian_mechanism() -> None:
    # The best threshold's (true - delta) / false IS the mechanism's epsilon; 2,001 of them nearly reach it.
    for mean in (0.0, 0.5, 1.0, 3.0):
        true = gaussian_epsilon(mean, DELTA)
        assert fitted_epsilon(mean, 1.0, DELTA) == pytest.approx(true, abs=1e-3)


@pytest.mark.parametrize("total", [np.zeros(4), np.array([1.0, np.nan, 0, 0]), np.full(4, np.inf)])
def test_a_sum_without_direction_is_refused(total: np.ndarray) -> None:
    with pytest.raises(DataError, match="direction"):
        cosines(total, np.eye(4))


def test_too_few_or_equal_cosines_are_refused() -> None:
    with pytest.raises(DataError, match="5 scores"):
        one_shot(np.zeros(3), np.zeros(9), DIM, gaussian(DELTA), 0.95)
    with pytest.raises(DataError, match="differ"):
        one_shot(np.zeros(9), np.zeros(9), DIM, gaussian(DELTA), 0.95)
