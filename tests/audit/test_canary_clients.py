"""The one-shot audit of a run's own sums: what is played, what is seen, what is refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from securefl.audit import gaussian_epsilon
from securefl.audit.canary_clients import one_shot_audit, played
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SystemRandomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms, settle
from securefl.privacy.discrete import DiscreteGaussian

Make = Callable[..., Config]
SURE = 1 - 1e-8


def terms(small_client_level: Make, *overrides: str) -> Terms:
    config = small_client_level("server.rounds=1", "privacy.spare_releases=0", *overrides)
    return settle(config, load_dataset(config))


def test_the_estimate_is_near_the_noise_and_the_bound_below_the_accountant(small_client_level: Make) -> None:
    settled = terms(small_client_level)
    event = settled.budget.event
    found = one_shot_audit(settled, SystemRandomness(), 400, SURE)
    assert not found.refuted
    shift = np.sqrt(event.squared_sensitivity / event.shares) / event.sigma
    # The shift, about 2.1, is seen in 400 cosines to +-0.05 and their deviation to 3.5 %; seven of these.
    low, high = (gaussian_epsilon(shift * (1 + side), settled.budget.delta) for side in (-0.35, 0.35))
    assert low < found.estimate < high
    assert "independent" in found.lower.assumes


def test_every_sum_has_canaries_of_its_own_as_many_as_honest_shares(small_client_level: Make) -> None:
    present, absent, sums = played(terms(small_client_level), SystemRandomness(), 9)
    assert (len(present), len(absent), sums) == (10, 20, 5)


def test_noise_switched_off_is_refuted(small_client_level: Make) -> None:
    settled = terms(small_client_level, "privacy.epsilon=2.0")
    quiet = replace(settled, encoding=replace(settled.encoding, noise=DiscreteGaussian(1.0)))
    assert one_shot_audit(quiet, SystemRandomness(), 200, SURE).refuted


def test_too_few_canaries_are_refused(small_client_level: Make) -> None:
    with pytest.raises(ConfigError, match="at least 5 canaries"):
        one_shot_audit(terms(small_client_level), SystemRandomness(), 4, 0.99)
