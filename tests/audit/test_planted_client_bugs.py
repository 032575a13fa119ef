"""Bugs of privacy for whole clients, planted into the run's own functions, and refuted by the audit of a sum.

What an audit sees too late or cannot see has direct checks in tests/guarantee/test_planted_bugs.py: noise
that is a little too small, fresh noise that all clients share (a sum of it is noisier, and colluders know
it), a retry that is not charged, rounding beyond the bound, a ring that wraps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.audit import Audit, audit, client_subject
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.crypto.randomness import Stream
from securefl.encoding import NoisyFixedPoint, quantise
from securefl.encoding.fixed_point import sign_extended
from securefl.guarantee import noisy_sum, settle
from securefl.privacy.discrete import DiscreteGaussian
from securefl.privacy.shares import share_for

Make = Callable[..., Config]
Patch = pytest.MonkeyPatch
Words = NDArray[np.unsignedinteger]

CONFIDENCE = 1 - 1e-4 / 24
SHARED, CENTRAL = "noise: distributed", "noise: central, trusted_server: true"
SURVIVORS, COLLUDERS = 9, 7
"""Of a group of 10, so that two honest shares have to be enough."""


def audited(small: Make, noise: str = SHARED, draws: int = 500) -> Audit:
    """At epsilon 8, a shift of 1.57; twice as much leaves it by far more than so many draws err."""
    config = small(
        f"privacy={{unit: client, {noise}, epsilon: 8.0, delta: 1e-5, spare_releases: 0}}",
        "clients=10",
        "secure_aggregation={group_size: 10, clip_norm: 0.5, "
        f"threshold: {SURVIVORS}, max_colluding: {COLLUDERS}}}",
        "robust={rule: mean, max_malicious: 0}",
        "server.rounds=1",
    )
    # Replayed, so that what this file says is so every time.
    subject = client_subject(settle(config, load_dataset(config)), SeededRandomness(b"bugs"))
    return audit(subject, draws, CONFIDENCE)


def noise_off(patch: Patch) -> None:
    patch.setattr(DiscreteGaussian, "draw", lambda self, stream, count: np.zeros(count, dtype=np.int64))


def noise_times_a_half(patch: Patch) -> None:
    patch.setattr(noisy_sum, "DiscreteGaussian", lambda sigma: DiscreteGaussian(sigma / 2))


def seeded_noise_the_same_at_all_clients(patch: Patch) -> None:
    honest = DiscreteGaussian.draw
    patch.setattr(DiscreteGaussian, "draw", lambda self, _, count: honest(self, Stream(bytes(32)), count))


def noise_sized_for_the_threshold_met(patch: Patch) -> None:
    def share(*args: float, shares: int, **kwargs: int):
        return share_for(*args, shares=SURVIVORS, **kwargs)

    patch.setattr(noisy_sum, "share_for", share)


def noise_sized_for_the_whole_group(patch: Patch) -> None:
    def share(*args: float, shares: int, **kwargs: int):
        return share_for(*args, shares=10, **kwargs)

    patch.setattr(noisy_sum, "share_for", share)


def noise_before_clipping(patch: Patch) -> None:
    def encode(self: NoisyFixedPoint, update: NDArray, stream: Stream, weight: int = 1) -> Words:
        noise = self.noise.draw(stream, self.dim) * self.step
        return self._wrapped(self.rounded(update + noise, stream))

    patch.setattr(NoisyFixedPoint, "encode", encode)


def clipping_off(patch: Patch) -> None:
    def rounded(self: NoisyFixedPoint, update: NDArray, stream: Stream) -> NDArray[np.int64]:
        return quantise(self.spread(update) / self.step, 1.0, stream, np.uint64).view(np.int64)

    patch.setattr(NoisyFixedPoint, "rounded", rounded)


def noise_that_grows_with_the_update(patch: Patch) -> None:
    honest = NoisyFixedPoint.encode

    def encode(self: NoisyFixedPoint, update: NDArray, stream: Stream, weight: int = 1) -> Words:
        quiet = not np.any(update)
        words = honest(self, update, stream, weight)
        return self._wrapped(sign_extended(words, self.ring_bits) // 4) if quiet else words

    patch.setattr(NoisyFixedPoint, "encode", encode)


BY_CLIENTS = [
    noise_off,
    noise_times_a_half,
    seeded_noise_the_same_at_all_clients,
    noise_sized_for_the_threshold_met,
    noise_sized_for_the_whole_group,
    noise_before_clipping,
    clipping_off,
    noise_that_grows_with_the_update,
]
BY_A_SERVER = [noise_off, noise_times_a_half, seeded_noise_the_same_at_all_clients, clipping_off]


@pytest.mark.parametrize("noise", [SHARED, CENTRAL], ids=["shared", "central"])
def test_the_honest_mechanism_passes_the_audit(small: Make, noise: str) -> None:
    found = audited(small, noise)
    assert not found.refuted
    assert found.lower.epsilon > 2.5


@pytest.mark.parametrize("bug", BY_CLIENTS, ids=lambda bug: bug.__name__)
def test_a_bug_of_shared_noise_is_refuted_by_the_audit(
    bug: Callable[[Patch], None], small: Make, monkeypatch: Patch
) -> None:
    bug(monkeypatch)
    assert audited(small).refuted


@pytest.mark.parametrize("bug", BY_A_SERVER, ids=lambda bug: bug.__name__)
def test_a_bug_of_the_servers_noise_is_refuted_by_the_audit(
    bug: Callable[[Patch], None], small: Make, monkeypatch: Patch
) -> None:
    bug(monkeypatch)
    assert audited(small, CENTRAL).refuted
