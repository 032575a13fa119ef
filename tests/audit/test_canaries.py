"""The one-run audit of a run's own releases: what is played, what is seen, what is refuted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from securefl.audit.canaries import amounts, canary_examples, one_run_audit, played
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness, SystemRandomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms, settle
from securefl.privacy.noise import gaussian
from securefl.training import dp_sgd

Make = Callable[..., Config]
SURE = 1 - 1e-8
UNSAMPLED = (
    "training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 20}",
    "secure_aggregation={group_size: 3, threshold: 2, clip_norm: 50.0, epoch_rounds: 1}",
)
ONE_ROUND = ("server.rounds=1", "privacy.spare_releases=0")


def terms(small: Make, *overrides: str) -> Terms:
    config = small(*UNSAMPLED, *overrides)
    return settle(config, load_dataset(config))


@pytest.mark.parametrize("rounds", [ONE_ROUND, ("server.rounds=4",)], ids=["one release", "five"])
def test_canaries_of_a_run_show_and_never_more_than_is_accounted(
    small: Make, rounds: tuple[str, ...]
) -> None:
    found = one_run_audit(terms(small, *rounds), SystemRandomness(), 200, SURE)
    assert not found.refuted
    assert found.whole_run and found.upper == found.claim.upper_run <= 8.0
    assert found.lower.samples == 66
    # Near 58 of 66, and 33 by chance; replayed, so that it is the same every time.
    assert played(terms(small, *rounds), SeededRandomness(b"game"), 200).correct > 50


def test_without_noise_nearly_all_guesses_are_right_and_the_run_is_refuted(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dp_sgd, "gaussian", lambda stream, count: 1e-3 * gaussian(stream, count))
    settled = terms(small, *ONE_ROUND, "privacy.epsilon=0.5")
    assert one_run_audit(settled, SeededRandomness(b"quiet"), 150, 0.99).refuted


def test_the_coins_come_from_the_randomness_that_is_passed_in(small: Make) -> None:
    settled = terms(small, *ONE_ROUND)
    once, again, other = (
        played(settled, source, 40)
        for source in (SeededRandomness(b"a"), SeededRandomness(b"a"), SeededRandomness(b"b"))
    )
    assert once == again
    assert once.made == other.made == 13


def test_canaries_are_of_all_classes_and_of_one_size(small: Make) -> None:
    found = canary_examples(terms(small), 0, 25)
    assert found.labels.tolist() == [*range(10), *range(10), *range(5)]
    norms = np.linalg.norm(found.features.reshape(25, -1), axis=1)
    assert norms == pytest.approx(np.full(25, norms[0]), rel=1e-5)


def test_too_few_canaries_are_refused(small: Make) -> None:
    with pytest.raises(ConfigError, match="at least 3 canaries"):
        one_run_audit(terms(small), SystemRandomness(), 2, 0.99)


def test_amounts_are_read_off_exactly_without_noise_and_shrink_to_one_half_with_much() -> None:
    alone = np.random.default_rng(0).standard_normal((6, 40))
    coins = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    assert amounts(coins @ alone, alone, 1e-6) == pytest.approx(coins - 0.5, abs=1e-6)
    assert np.abs(amounts(coins @ alone, alone, 1e3)).max() < 1e-3
