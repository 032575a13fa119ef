"""Colluders who know their own noise: what is left is what is charged, and less if they were counted upon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from securefl import config as configuration
from securefl.attacks.inference.own_noise import left_over
from securefl.audit import audit, client_subject
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms, settle
from securefl.threats.tables import OWN_NOISE
from securefl.threats.trial import Trial, play

Make = Callable[..., Config]
SEED = SeededRandomness(b"own noise")
SHARED = "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 1e-3, spare_releases: 0}"


def overrides(colluding: int) -> tuple[str, ...]:
    """One group of 12 of which 9 survive for sure."""
    return (
        SHARED,
        "clients=12",
        f"secure_aggregation={{group_size: 12, threshold: 9, max_colluding: {colluding}, clip_norm: 0.5}}",
        "robust={rule: mean, max_malicious: 0}",
        "server.rounds=1",
    )


def terms(small: Make, colluding: int) -> Terms:
    config = small(*overrides(colluding))
    return settle(config, load_dataset(config))


def test_what_declared_colluders_are_left_with_is_the_sum_of_the_guaranteed_honest_members(
    small: Make,
) -> None:
    settled = terms(small, 5)
    attack, guaranteed = left_over(settled, SEED, 5), client_subject(settled, SEED)
    for there in (False, True):
        assert attack.draw(there, 3) == guaranteed.draw(there, 3)


def test_colluders_whose_noise_was_counted_upon_break_the_budget(small: Make) -> None:
    # Replayed, so that what this test says is so every time.
    assert not audit(left_over(terms(small, 5), SEED, 5), 250, 0.99).refuted
    assert audit(left_over(terms(small, 0), SEED, 7), 250, 0.99).refuted


def test_nobody_left_and_no_shared_noise_are_refused(small: Make) -> None:
    with pytest.raises(ConfigError, match="expected fewer colluders than the 9 survivors"):
        left_over(terms(small, 5), SEED, 9)
    config = small()
    with pytest.raises(ConfigError, match="none to take off"):
        left_over(settle(config, load_dataset(config)), SEED, 1)


def test_a_trial_is_one_audit_and_can_be_played_again(
    small: Make, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securefl.threats.trial.DRAWS", 60)
    path = tmp_path / "small.yaml"
    path.write_text(configuration.dump(small(*overrides(0))))
    (harm,) = play(Trial(str(path), (), ((OWN_NOISE, None),), "all_but_one", seed=1))
    assert (harm.attack, harm.seed, harm.successes, harm.trials) == (OWN_NOISE, 1, int(harm.harm), 1)
    assert (harm,) == play(Trial(str(path), (), ((OWN_NOISE, None),), "all_but_one", seed=1))
    (calm,) = play(Trial(str(path), (), ((OWN_NOISE, None),), "declared", seed=1))
    assert not np.any(calm.harm)
