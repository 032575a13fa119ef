"""Bugs of noise shared among clients, planted on purpose: each is caught by a check that honest code passes.

A check is a function that takes an implementation and asserts; a bug is a wrong implementation. `Sender` is
what one client does with its update, `Plan` what a run derives from its config. The two tests at the bottom
run every check against the honest code and against its bugs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl import config as configuration
from securefl.config import Config
from securefl.crypto import Randomness, Stream, SystemRandomness
from securefl.encoding import NoisyFixedPoint, clip_to_norm, quantise, rounded_norm_squared
from securefl.encoding.fixed_point import sign_extended
from securefl.guarantee.noisy_sum import noisy_sum
from securefl.privacy.accountant import epsilon
from securefl.privacy.discrete import DiscreteGaussian
from securefl.privacy.events import DistributedDiscreteGaussian, SampledGaussian
from securefl.privacy.shares import share_for

Words: TypeAlias = NDArray[np.unsignedinteger]
Sender: TypeAlias = Callable[[NoisyFixedPoint, NDArray[np.float64], Randomness], Words]
Plan: TypeAlias = Callable[[Config], tuple[NoisyFixedPoint, DistributedDiscreteGaussian]]

SIGMA, MEMBERS, DIM = 60.0, 4, 300_000
CODEC = NoisyFixedPoint(1.0, 12, DIM, MEMBERS, DiscreteGaussian(SIGMA))

CONFIG = """
version: 1
data: {kind: digits, partition: {kind: iid}}
clients: 30
model: {kind: linear}
training: {local_steps: 1, learning_rate: 0.5, sample_rate: 0.5, expected_batch: 12}
privacy: {unit: client, noise: distributed, epsilon: 4.0, delta: 1.0e-3, spare_releases: 3}
secure_aggregation: {group_size: 10, threshold: 8, max_colluding: 2, clip_norm: 0.5, bits: 16}
robust: {rule: trimmed_mean, max_malicious: 1}
server: {rounds: 5}
"""
GUARANTEED = 8 - 2 - 1


def honest(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
    return codec.encode(update, source.stream("rounding", 1, 1))


def noise_of(words: Words, codec: NoisyFixedPoint = CODEC) -> NDArray[np.int64]:
    return sign_extended(words, codec.ring_bits)


# -- noise in the sum --------------------------------------------------------------------------------


def a_sum_carries_the_noise_of_all_its_shares(send: Sender) -> None:
    source, nothing = SystemRandomness(), np.zeros(DIM)
    total = np.zeros(DIM, dtype=CODEC.dtype)
    for _ in range(MEMBERS):
        total += send(CODEC, nothing, source)
    # Relative deviation of a variance: sqrt(2 / 300,000) = 0.26 %, so 1.6 % is six of them: missed with 2e-9.
    assert abs(noise_of(total).var() / (MEMBERS * SIGMA**2) - 1) < 6 * math.sqrt(2 / DIM)


def clients_have_independent_noise(send: Sender) -> None:
    source, nothing = SystemRandomness(), np.zeros(DIM)
    left, right = (noise_of(send(CODEC, nothing, source)).astype(float) for _ in range(2))
    assert left.std() > 0 and right.std() > 0
    # Six deviations of the mean of so many products: 2e-9.
    assert abs(np.mean(left * right)) < 6 * left.std() * right.std() / math.sqrt(DIM)


def noise_cannot_be_replayed_from_a_seed(send: Sender) -> None:
    runs = []
    for _ in range(2):
        np.random.seed(7)  # the experiment seed of two equal runs
        runs.append(send(CODEC, np.zeros(DIM), SystemRandomness()))
    assert not np.array_equal(*runs)


def noise_is_not_clipped_with_the_update(send: Sender) -> None:
    # An update at the bound: noise that was added before the clip is inside the bound with it.
    update = np.full(DIM, 1.0)
    mean, _ = CODEC.decode(send(CODEC, update, SystemRandomness()), 1)
    expected = math.hypot(1.0, SIGMA * CODEC.step * math.sqrt(DIM))
    assert abs(np.linalg.norm(mean) / expected - 1) < 0.02


def noise_off(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
    return codec.rounded(update, source.stream("rounding")).astype(codec.dtype) & ring(codec)


def ring(codec: NoisyFixedPoint) -> np.unsignedinteger:
    return codec.dtype((1 << codec.ring_bits) - 1)


def scaled_by(factor: float) -> Sender:
    def send(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
        less = replace(codec, noise=DiscreteGaussian(codec.noise.sigma * factor))
        values = less.rounded(update, stream := source.stream("rounding"))
        values += less.noise.draw(stream, codec.length)
        return values.astype(codec.dtype) & ring(codec)

    return send


def same_at_all(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
    return codec.encode(update, Stream(bytes(32)))


def from_numpy(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
    noise = np.rint(np.random.standard_normal(codec.length) * codec.noise.sigma).astype(np.int64)
    return (codec.rounded(update, Stream(bytes(32))) + noise).astype(codec.dtype) & ring(codec)


def before_the_clip(codec: NoisyFixedPoint, update: NDArray[np.float64], source: Randomness) -> Words:
    stream = source.stream("rounding")
    noisy = update + codec.noise.draw(stream, codec.dim) * codec.step
    return codec.rounded(noisy, stream).astype(codec.dtype) & ring(codec)


# -- sensitivity -------------------------------------------------------------------------------------

COARSE = NoisyFixedPoint(1.0, 6, 4000, 2, DiscreteGaussian(0.5))


def rounded_updates_are_within_what_is_charged(
    round_off: Callable[[NDArray[np.float64], Stream], NDArray],
) -> None:
    event = share_for(4.0, 1e-3, 5, 2, rounded_norm_squared(6, 4000), 4000)
    update = np.full(4000, 1.0)
    # Every coordinate is half a step from two integers: without the condition one rounding in 40 is too long.
    for number in range(400):
        whole = round_off(update, Stream(number.to_bytes(32, "big")))
        assert int(np.square(whole).sum()) <= event.squared_sensitivity


def unconditional(update: NDArray[np.float64], stream: Stream) -> NDArray[np.int64]:
    return quantise(clip_to_norm(update, 1.0), COARSE.step, stream, np.uint64).view(np.int64)


def rounded_away_from_zero(update: NDArray[np.float64], stream: Stream) -> NDArray[np.int64]:
    return np.ceil(clip_to_norm(update, 1.0) / COARSE.step).astype(np.int64)


def not_clipped(update: NDArray[np.float64], stream: Stream) -> NDArray[np.int64]:
    return quantise(update, COARSE.step, stream, np.uint64).view(np.int64)


# -- sizing ------------------------------------------------------------------------------------------


def config_of(plan: Plan) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
    return plan(configuration.parse(CONFIG))


def the_guaranteed_honest_shares_alone_keep_epsilon(plan: Plan) -> None:
    codec, _ = config_of(plan)
    # By another road: h discrete Gaussians of so many steps are as good as one Gaussian of this multiplier.
    multiplier = math.sqrt(GUARANTEED) * codec.noise.sigma / math.sqrt(codec.squared_norm)
    rho = (5 + 3) / (2 * multiplier**2)
    orders = 1 + np.logspace(-2, 3, 5000)
    # The conversion of Canonne, Kamath and Steinke 2020, by a grid of orders instead of dp-accounting.
    bounds = orders * rho + np.log1p(-1 / orders) - np.log(1e-3 * orders) / (orders - 1)
    assert 0.99 * 4.0 < bounds.min() <= 4.0 * (1 + 1e-6)
    assert epsilon(((SampledGaussian(multiplier, 1.0, 1), 5 + 3),), 1e-3, "pld") <= 4.0


def honest_plan(config: Config) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
    assert config.privacy.unit == "client"
    return noisy_sum(config, config.privacy, 650)


def sized_for(shares: int, releases: int = 8) -> Plan:
    def plan(config: Config) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
        codec, _ = honest_plan(config)
        event = share_for(4.0, 1e-3, releases, shares, codec.squared_norm, codec.length)
        return replace(codec, noise=DiscreteGaussian(event.sigma)), event

    return plan


def sized_before_rounding(config: Config) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
    coarse = configuration.parse(CONFIG, ["secure_aggregation.bits=5"])
    codec, _ = honest_plan(coarse)
    event = share_for(4.0, 1e-3, 8, GUARANTEED, 15**2, codec.length)
    return replace(codec, noise=DiscreteGaussian(event.sigma)), event


# -- the ring ----------------------------------------------------------------------------------------


def honest_sums_do_not_wrap(make: Callable[..., NoisyFixedPoint]) -> None:
    # The sum's noise has a deviation of 30 sqrt(30) = 164 steps. A ring of 10 bits, for three deviations of
    # one share, is passed at 512, by one coordinate in 560: by none of 20,000 with probability below 1e-15.
    length = 20_000
    codec = make(1.0, 4, length, 30, DiscreteGaussian(30.0))
    source, exact = SystemRandomness(), np.zeros(length, dtype=np.int64)
    total = np.zeros(length, dtype=codec.dtype)
    spike = np.zeros(length)
    spike[0] = 1.0
    for _ in range(30):
        values = codec.rounded(spike, stream := source.stream("x"))
        values += codec.noise.draw(stream, length)
        exact += values
        total += values.astype(codec.dtype)
    assert np.array_equal(sign_extended(total, codec.ring_bits), exact)


@dataclass(frozen=True)
class NoReach(NoisyFixedPoint):
    """A ring for the updates alone: overflow by noise is unchecked."""

    @property
    def reach(self) -> int:
        return 0


@dataclass(frozen=True)
class ReachOfOne(NoisyFixedPoint):
    """A ring for three deviations of one share."""

    @property
    def reach(self) -> int:
        return math.ceil(3 * self.noise.sigma)


HONEST_AND_BUGS: list[tuple[Callable[..., None], object, dict[str, object]]] = [
    (
        a_sum_carries_the_noise_of_all_its_shares,
        honest,
        {
            "noise off": noise_off,
            "noise x0.5": scaled_by(0.5),
            "noise x0.98": scaled_by(0.98),
            "same noise at all clients": same_at_all,
            "noise before clipping": before_the_clip,
        },
    ),
    (
        clients_have_independent_noise,
        honest,
        {"same noise at all clients": same_at_all, "noise off": noise_off},
    ),
    (
        noise_cannot_be_replayed_from_a_seed,
        honest,
        {"seeded noise": from_numpy, "same noise at all clients": same_at_all},
    ),
    (
        noise_is_not_clipped_with_the_update,
        honest,
        {"noise before clipping": before_the_clip, "noise off": noise_off},
    ),
    (
        rounded_updates_are_within_what_is_charged,
        COARSE.rounded,
        {
            "rounding not held to the bound": unconditional,
            "rounding away from zero": rounded_away_from_zero,
            "clipping off": not_clipped,
        },
    ),
    (
        the_guaranteed_honest_shares_alone_keep_epsilon,
        honest_plan,
        {
            "noise sized for the threshold met": sized_for(8),
            "noise sized for the whole group": sized_for(10),
            "colluders counted as noise": sized_for(8 - 1),
            "poisoners counted as noise": sized_for(8 - 2),
            "retry not charged": sized_for(GUARANTEED, releases=5),
            "one round charged": sized_for(GUARANTEED, releases=1),
            "sensitivity before rounding": sized_before_rounding,
        },
    ),
    (
        honest_sums_do_not_wrap,
        NoisyFixedPoint,
        {"overflow unchecked": NoReach, "ring for one share of noise": ReachOfOne},
    ),
]


@pytest.mark.parametrize(
    ("check", "implementation"),
    [pytest.param(check, right, id=check.__name__) for check, right, _ in HONEST_AND_BUGS],
)
def test_the_honest_code_passes_the_check(check: Callable[..., None], implementation: object) -> None:
    check(implementation)


@pytest.mark.parametrize(
    ("check", "bug"),
    [
        pytest.param(check, bug, id=f"{name} is caught by {check.__name__}")
        for check, _, bugs in HONEST_AND_BUGS
        for name, bug in bugs.items()
    ],
)
def test_a_planted_bug_fails_the_check(check: Callable[..., None], bug: object) -> None:
    with pytest.raises(AssertionError):
        check(bug)
