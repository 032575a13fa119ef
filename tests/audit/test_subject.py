from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from securefl.audit import Claim, Subject, audit, sampled_gaussian
from securefl.audit.subject import scores
from securefl.errors import ConfigError, DataError
from securefl.privacy import SampledGaussian, epsilon

EVENT, RELEASES, DELTA = SampledGaussian(1.0, 1.0, 1), 4, 1e-5


def subject(noise: float = 1.0, shift: float = 1.0) -> Subject:
    """A Gaussian accounted at noise 1; `noise` is what it really has."""
    random = np.random.default_rng(5)
    return Subject(
        draw=lambda there, number: (shift * there + noise * float(random.standard_normal()),),
        claim=Claim(
            one=sampled_gaussian(EVENT, 1, DELTA),
            run=sampled_gaussian(EVENT, RELEASES, DELTA),
            upper=epsilon(((EVENT, 1),), DELTA),
            upper_run=epsilon(((EVENT, RELEASES),), DELTA),
            unit="a number",
        ),
    )


def test_an_honest_mechanism_is_not_refuted_and_both_bounds_are_told() -> None:
    found = audit(subject(), 4000, 1 - 1e-6)
    assert not found.refuted
    assert 0.0 < found.lower_any.epsilon < found.lower.epsilon < found.upper < found.claim.upper_run
    assert found.lower.epsilon < found.lower_run < found.claim.upper_run
    assert found.lower.samples == 8000


@pytest.mark.parametrize("noise", [0.0, 0.5, 0.7])
def test_noise_that_is_too_small_is_refuted(noise: float) -> None:
    # At 0.7 the shift is 1.43; with 8,000 counted draws its bound deviates by 0.02, and lies 0.2 below it.
    assert audit(subject(noise=noise), 10_000, 1 - 1e-4 / 24).refuted


def test_an_audit_without_any_signal_says_nothing_and_refutes_nothing() -> None:
    found = audit(subject(shift=0.0), 1000, 1 - 1e-6)
    assert (found.lower.epsilon, found.lower_run, found.refuted) == (0.0, 0.0, False)


def test_the_error_is_shared_between_the_two_bounds() -> None:
    found = audit(subject(), 100, 0.9)
    assert (found.confidence, found.lower.confidence, found.lower_any.confidence) == (0.9, 0.95, 0.95)


def test_draws_are_numbered_once_per_world_and_progress_is_told() -> None:
    seen: list[tuple[bool, int]] = []
    told: list[tuple[int, int]] = []

    def draw(there: bool, number: int) -> tuple[float, float]:
        seen.append((there, number))
        return float(there), 5.0

    without, with_record = scores(draw, 100, lambda done, count, words: told.append((done, count)))
    assert sorted(seen) == sorted((world, number) for world in (False, True) for number in range(100))
    assert told == [(50, 100), (100, 100)]
    assert (without.tolist(), with_record.tolist()) == ([[0.0, 5.0]] * 100, [[1.0, 5.0]] * 100)


def test_too_few_draws_and_releases_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ConfigError, match="draws"):
        audit(subject(), 4, 0.99)
    broken = replace(subject(), draw=lambda there, number: (float("nan"),))
    with pytest.raises(DataError, match="finite"):
        audit(broken, 100, 0.99)
