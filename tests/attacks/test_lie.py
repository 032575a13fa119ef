"""Vectors of an attacker's choice as ring words."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.attacks import lie
from securefl.crypto import Stream
from securefl.encoding import FixedPoint, NoisyFixedPoint
from securefl.privacy.discrete import DiscreteGaussian

DIM = 3
STREAM = bytes(32)


def decoded(codec: FixedPoint, *words: np.ndarray) -> np.ndarray:
    total = np.zeros(codec.length, dtype=codec.dtype)
    for one in words:
        total += one
    return codec.decode(total, len(words), None if codec.weighted or codec.cap == 1 else float(len(words)))[0]


@pytest.mark.parametrize("members", [1, 3, 4, 5])
def test_a_vector_past_the_clip_norm_arrives_as_it_is(members: int) -> None:
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=DIM, members=members)
    wanted = np.array([0.9, -0.9, 0.8])  # norm 1.5: no honest client may send it
    sent = lie.encode(codec, wanted, 1, Stream(STREAM))
    others = [codec.encode(np.zeros(DIM), Stream(STREAM)) for _ in range(members - 1)]
    assert np.abs(decoded(codec, sent, *others) * members - wanted).max() <= codec.step


@pytest.mark.parametrize("wanted", [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize("members", [1, 3, 4])
def test_what_no_word_can_be_becomes_the_largest_and_never_wraps_the_sum(wanted: float, members: int) -> None:
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=DIM, members=members)
    sign = -1.0 if wanted < 0 else 1.0
    sent = lie.encode(codec, np.full(DIM, wanted), 1, Stream(STREAM))
    friends = [codec.encode(np.full(DIM, sign * 0.5), Stream(STREAM)) for _ in range(members - 1)]
    total = decoded(codec, sent, *friends) * members
    assert (sign * total >= 1.0).all(), "its own sign, and as large as an honest coordinate can be"


def test_knowing_the_others_an_attacker_uses_the_whole_ring_and_still_does_not_wrap_it() -> None:
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=DIM, members=3)
    others = np.full(DIM, -1.0)
    honest = [codec.encode(others / 2 / np.sqrt(DIM), Stream(STREAM)) for _ in range(2)]
    sent = lie.encode(codec, np.full(DIM, 1e9), 1, Stream(STREAM), others / np.sqrt(DIM))
    assert (decoded(codec, sent, *honest) * 3 > 2.0).all(), "beyond what three honest clients could reach"


@pytest.mark.parametrize("rotation", [None, bytes(32)])
def test_beside_honest_noise_a_vector_arrives_as_it_is_and_a_huge_one_does_not_wrap(
    rotation: bytes | None,
) -> None:
    codec = NoisyFixedPoint(1.0, 16, DIM, 3, DiscreteGaussian(100.0), rotation)
    honest = [codec.encode(np.zeros(DIM), Stream(STREAM)) for _ in range(2)]
    wanted = np.array([0.9, -0.9, 0.8])
    sent = lie.encode(codec, wanted, 1, Stream(STREAM))
    mean, _ = codec.decode(sent + honest[0] + honest[1], 3)
    assert np.abs(mean * 3 - wanted).max() <= codec.step * (2 * codec.reach + 1)
    huge = lie.encode(codec, np.array([1e9, -1e9, np.inf]), 1, Stream(STREAM))
    words = (huge + honest[0] + honest[1]).astype(codec.dtype)
    if rotation is None:
        assert np.sign(codec.decode(words, 3)[0]).tolist() == [1.0, -1.0, 1.0], (
            "a sum that wrapped has other signs"
        )
    else:
        assert np.linalg.norm(codec.decode(words, 3)[0]) * 3 > 1.0, "longer than three honest ones"


def test_a_claimed_weight_scales_the_vector_and_travels_with_it() -> None:
    codec = FixedPoint(clip_norm=1.0, bits=20, dim=DIM, members=2, cap=50, weighted=True)
    sent = lie.encode(codec, np.full(DIM, 0.5), 50, Stream(STREAM))
    honest = codec.encode(np.zeros(DIM), Stream(STREAM), 1)
    mean, weight = codec.decode(sent + honest, 2)
    assert weight == 51.0
    assert np.abs(mean - 0.5 * 50 / 51).max() <= codec.step * 50
