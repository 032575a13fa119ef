"""A clip that moves: bounded steps, the bit inside its vector's bound, exact sums, the right quantile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.crypto import SeededRandomness, Stream
from securefl.encoding import AdaptiveClip, NoisyFixedPoint
from securefl.encoding.fixed_point import sign_extended
from securefl.privacy.discrete import DiscreteGaussian

SEED = bytes(range(32))
quick = settings(deadline=None, max_examples=60)
RULE = AdaptiveClip(initial=1.0, quantile=0.5, learning_rate=0.2, bit_share=0.2)
RULES = st.builds(
    AdaptiveClip,
    initial=st.floats(1e-6, 1e6),
    quantile=st.floats(0.01, 0.99),
    learning_rate=st.floats(0.01, 5.0),
    bit_share=st.floats(0.01, 0.99),
)


@dataclass(frozen=True)
class Silence:
    """No noise, which no run can have: to see what noise is added to."""

    sigma: float = 0.0

    def draw(self, stream: Stream, count: int) -> NDArray[np.int64]:
        return np.zeros(count, dtype=np.int64)


def stream(*label: object) -> Stream:
    return SeededRandomness(b"adaptive clip").stream(*label)


def codec(rule: AdaptiveClip = RULE, **changes: object) -> NoisyFixedPoint:
    fields = {"bits": 16, "dim": 50, "members": 8, "noise": DiscreteGaussian(40.0)}
    return NoisyFixedPoint(**{"clip_norm": rule.initial, "adaptive": rule, **fields, **changes})


@given(RULES, st.floats(-1e6, 1e6), st.floats(0.0, 1.0))
@example(RULE, -1e6, 0.0)
@quick
def test_no_sum_moves_the_clip_by_more_than_its_step_or_out_of_its_limits(
    rule: AdaptiveClip, within: float, place: float
) -> None:
    clip = rule.lowest * (rule.highest / rule.lowest) ** place
    after = rule.after(clip, within)
    assert rule.lowest <= after <= rule.highest
    assert abs(math.log(after / clip)) <= rule.learning_rate * max(rule.quantile, 1 - rule.quantile) + 1e-9
    if rule.lowest < after < rule.highest and 0 <= within <= 1:
        assert math.log(after / clip) == pytest.approx(
            rule.learning_rate * (rule.quantile - within), abs=1e-9
        )


@given(RULES, st.integers(0, 2**16), st.booleans(), st.floats(1e-3, 1e3), st.sampled_from([None, SEED]))
@quick
def test_update_and_bit_together_are_within_the_bound_that_is_charged(
    rule: AdaptiveClip, key: int, spiky: bool, length: float, rotation: bytes | None
) -> None:
    noisy = codec(rule, rotation=rotation, bits=12)
    update = np.random.default_rng(key).standard_normal(50)
    update = np.where(np.arange(50) == key % 50, 1.0, 0.0) if spiky else update / np.linalg.norm(update)
    whole = noisy.rounded(update * rule.initial * length, stream(key))
    assert whole.shape == (noisy.length,)
    assert sum(value**2 for value in whole.tolist()) <= noisy.squared_norm
    assert noisy.squared_norm == codec(rule, rotation=rotation, bits=12, adaptive=None, dim=51).squared_norm


@pytest.mark.parametrize("rotation", [None, SEED])
@pytest.mark.parametrize("clip", [2.0**-10, 2.0**-3, 2.0**10])
def test_what_is_sent_depends_on_the_update_in_units_of_the_clip_and_on_nothing_else_of_it(
    rotation: bytes | None, clip: float
) -> None:
    """Whatever clip a server tells, it learns about an update what it would learn about another at clip 1."""
    noisy, update = codec(rotation=rotation), np.random.default_rng(1).standard_normal(50) / 9.0
    told = noisy.at(clip).encode(update, stream("same"))
    assert np.array_equal(told, noisy.encode(update / clip, stream("same")))


@given(RULES, st.integers(0, 1000), st.sampled_from([None, SEED]))
@quick
def test_a_sum_with_bits_is_exact(rule: AdaptiveClip, key: int, rotation: bytes | None) -> None:
    noisy, total = codec(rule, rotation=rotation), np.zeros(codec(rotation=rotation).length, dtype=object)
    words = np.zeros(noisy.length, dtype=noisy.dtype)
    for number in range(8):
        update = np.random.default_rng([key, number]).standard_normal(50) * rule.initial / 7
        words += noisy.encode(update, stream(key, number))
        total += noisy.rounded(update, source := stream(key, number)) + noisy.noise.draw(source, noisy.length)
    assert sign_extended(words, noisy.ring_bits).tolist() == total.tolist()


@pytest.mark.parametrize("rotation", [None, SEED])
@pytest.mark.parametrize("inside", [0, 3, 8])
def test_the_mean_and_the_part_within_come_back_from_one_sum(rotation: bytes | None, inside: int) -> None:
    noisy = codec(rotation=rotation, noise=Silence()).at(0.25)
    random = np.random.default_rng(5)
    updates = [random.standard_normal(50) for _ in range(8)]
    lengths = [0.2 if number < inside else 3.0 for number in range(8)]
    updates = [length * one / np.linalg.norm(one) for length, one in zip(lengths, updates, strict=True)]
    total = np.zeros(noisy.length, dtype=noisy.dtype)
    for number, update in enumerate(updates):
        total += noisy.encode(update, stream(number))
    clipped = [one * min(1.0, 0.25 / np.linalg.norm(one)) for one in updates]
    # Rounding moves each of at most 64 coordinates by less than a step.
    assert np.linalg.norm(noisy.decode(total, 8)[0] - np.mean(clipped, axis=0)) < 8 * noisy.step
    assert noisy.within(total, 8) == pytest.approx(inside / 8, abs=1e-3)


def test_an_update_of_exactly_the_clip_is_within_and_zeros_and_numbers_that_are_none_are_too() -> None:
    noisy = codec(noise=Silence(), dim=4).at(0.5)
    for update in (np.full(4, 0.25), np.zeros(4), np.full(4, np.nan)):
        assert noisy.within(noisy.encode(update, stream()), 1) == pytest.approx(1.0, abs=1e-3)
    assert noisy.within(noisy.encode(np.full(4, 0.2501), stream()), 1) == pytest.approx(0.0, abs=1e-3)
    nothing = noisy.encode(np.full(4, np.nan), stream("x"))
    assert np.abs(noisy.decode(nothing, 1)[0]).max() == 0.0


@pytest.mark.parametrize(("quantile", "start"), [(0.5, 30.0), (0.8, 1 / 30)])
def test_the_clip_finds_the_quantile_of_a_population(quantile: float, start: float) -> None:
    """Log-normal norms of 60 clients through the real encoding, with noise of 0.06 on the part that is told.

    Near the quantile one round pulls log C back by 0.5 times the density of log-norms, which is 0.80 at the
    median (spread 0.5) and 0.56 at 0.8, and noise pushes it by 0.5 * 0.06 = 0.03. So log C is autoregressive,
    and its mean over 50 rounds deviates by at most 0.03 / 0.28 / sqrt(50) = 0.015. The population's steps of
    1/60 are gaps of 1 / 60 / 0.56 = 0.03. Beyond 0.13 is 6.6 deviations: probability below 1e-10.
    """
    population = NormalDist(0.0, 0.5)
    norms = np.exp([population.inv_cdf((client + 0.5) / 60) for client in range(60)])
    true = math.exp(population.inv_cdf(quantile))
    rule = AdaptiveClip(start * true, quantile, learning_rate=0.5, bit_share=0.2)
    sigma = 0.06 * 2 * 0.2 * 60 * (2**15 - 1)
    noisy = codec(rule, dim=2, members=60, noise=DiscreteGaussian(sigma), shared=False)
    updates, clips = np.stack([norms, np.zeros(60)], axis=1), [rule.initial]
    for round in range(80):
        now, total = noisy.at(clips[-1]), np.zeros(noisy.length, dtype=noisy.dtype)
        for client, update in enumerate(updates):
            total += now.encode(update, stream(quantile, round, client))
        clips.append(rule.after(clips[-1], now.within(now.noised(total, stream(quantile, round)), 60)))
    assert abs(np.mean(np.log(clips[-50:])) - math.log(true)) < 0.13
