"""Bugs of a clip that moves, planted on purpose: each is caught by a check that honest code passes.

A `Sender` is what one client does with its update at a given clip. That the clip is bound to the session is
checked, and its bug planted, in tests/test_adaptive_clip.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.crypto import Stream, SystemRandomness
from securefl.encoding import AdaptiveClip, NoisyFixedPoint
from securefl.encoding.fixed_point import sign_extended
from securefl.privacy.discrete import DiscreteGaussian

Words: TypeAlias = NDArray[np.unsignedinteger]
Sender: TypeAlias = Callable[[NoisyFixedPoint, NDArray[np.float64], Stream], Words]

SIGMA, DRAWS, BITS = 60.0, 20_000, 5_000
RULE = AdaptiveClip(initial=1.0, quantile=0.5, learning_rate=0.2, bit_share=0.3)


def codec(dim: int, clip: float = 1.0) -> NoisyFixedPoint:
    return NoisyFixedPoint(clip, 12, dim, 2, DiscreteGaussian(SIGMA), adaptive=RULE)


def honest(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    return codec.encode(update, stream)


def wrapped(codec: NoisyFixedPoint, values: NDArray[np.int64]) -> Words:
    return (values & ((1 << codec.ring_bits) - 1)).astype(codec.dtype)


# -- the bit -------------------------------------------------------------------------------------------


def the_bit_carries_the_noise_of_every_coordinate(send: Sender) -> None:
    noisy, stream, nothing = codec(1), SystemRandomness().stream("bits"), np.zeros(1)
    sent = np.stack([sign_extended(send(noisy, nothing, stream), noisy.ring_bits) for _ in range(BITS)])
    # Six deviations of a variance's relative error, sqrt(2 / 5,000) = 2 %: passed with probability 2e-9.
    assert abs(sent[:, noisy.dim].var() / SIGMA**2 - 1) < 6 * math.sqrt(2 / BITS)
    bits, others = sent[:, noisy.dim] - sent[:, noisy.dim].mean(), sent[:, 0]
    assert abs(np.mean(bits * others)) < 6 * SIGMA**2 / math.sqrt(BITS), "noise of its own"


def bit_without_noise(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    values = codec.rounded(update, stream)
    values[: codec.dim] += codec.noise.draw(stream, codec.dim)
    return wrapped(codec, values)


def bit_with_half_the_noise(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    values = codec.rounded(update, stream)
    values[: codec.dim] += codec.noise.draw(stream, codec.dim)
    values[codec.dim] += DiscreteGaussian(codec.noise.sigma / 2).draw(stream, 1)[0]
    return wrapped(codec, values)


def one_draw_for_both(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    return wrapped(codec, codec.rounded(update, stream) + codec.noise.draw(stream, 1))


# -- the scale -----------------------------------------------------------------------------------------


def noise_is_a_part_of_the_clip_at_every_clip(send: Sender) -> None:
    for clip in (RULE.lowest, 0.1, 1.0, 7.0, RULE.highest):
        noisy = codec(DRAWS, clip)
        mean, _ = noisy.decode(send(noisy, np.zeros(DRAWS), SystemRandomness().stream("scale")), 1)
        expected = SIGMA / (2**11 - 1) / math.sqrt(1 - 0.3**2)
        # Six deviations of a deviation's relative error, sqrt(1 / 40,000) = 0.5 %: 1e-8 for all five.
        assert abs(mean.std() / (expected * clip) - 1) < 3 * math.sqrt(2 / DRAWS)


def noise_of_the_first_clip(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    less = DiscreteGaussian(max(0.5, codec.noise.sigma * RULE.initial / codec.clip_norm))
    return wrapped(codec, codec.rounded(update, stream) + less.draw(stream, codec.length))


# -- the bound -----------------------------------------------------------------------------------------


def update_and_bit_are_within_what_is_charged(send: Sender) -> None:
    """The mean of many sendings is the vector without noise: its length is what noise must cover."""
    noisy, stream, count = codec(1, 0.5), SystemRandomness().stream("bound"), 4000
    total = np.zeros(2)
    for _ in range(count):
        total += sign_extended(send(noisy, np.array([9.0]), stream), noisy.ring_bits)
    # Noise of a mean of 4,000 is 0.95 steps on each of two coordinates: beyond 7 with probability 2e-12.
    assert np.linalg.norm(total / count) <= math.sqrt(noisy.squared_norm) + 7.0


def bit_beside_the_bound(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    plain = replace(codec, adaptive=None)
    bit = int(RULE.bit_share * (2**11 - 1)) * (1 if np.linalg.norm(update) <= codec.clip_norm else -1)
    values = np.append(plain.rounded(update, stream), bit) + codec.noise.draw(stream, codec.length)
    return wrapped(codec, values)


def clipped_to_the_first_clip(codec: NoisyFixedPoint, update: NDArray[np.float64], stream: Stream) -> Words:
    values = np.append(np.rint(np.clip(update, -1.0, 1.0) / codec.step).astype(np.int64), 0)
    return wrapped(codec, values + codec.noise.draw(stream, codec.length))


HONEST_AND_BUGS: list[tuple[Callable[[Sender], None], dict[str, Sender]]] = [
    (
        the_bit_carries_the_noise_of_every_coordinate,
        {
            "bit without noise": bit_without_noise,
            "bit with half the noise": bit_with_half_the_noise,
            "one draw for update and bit": one_draw_for_both,
        },
    ),
    (noise_is_a_part_of_the_clip_at_every_clip, {"noise not scaled with the clip": noise_of_the_first_clip}),
    (
        update_and_bit_are_within_what_is_charged,
        {
            "bit beside the bound": bit_beside_the_bound,
            "clip of the first round kept": clipped_to_the_first_clip,
        },
    ),
]


@pytest.mark.parametrize("check", [pytest.param(one, id=one.__name__) for one, _ in HONEST_AND_BUGS])
def test_the_honest_code_passes_the_check(check: Callable[[Sender], None]) -> None:
    check(honest)


@pytest.mark.parametrize(
    ("check", "bug"),
    [
        pytest.param(check, bug, id=f"{name} is caught by {check.__name__}")
        for check, bugs in HONEST_AND_BUGS
        for name, bug in bugs.items()
    ],
)
def test_a_planted_bug_fails_the_check(check: Callable[[Sender], None], bug: Sender) -> None:
    with pytest.raises(AssertionError):
        check(bug)
