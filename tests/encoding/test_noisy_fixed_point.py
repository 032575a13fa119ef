"""Noisy fixed point: the bound after rounding, exact sums, and a ring that noise seldom passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.crypto import SeededRandomness, Stream, add_mask
from securefl.encoding import NoisyFixedPoint, noisy_fixed_point, rounded_norm_squared
from securefl.errors import ConfigError
from securefl.privacy.discrete import DiscreteGaussian

SEED = bytes(range(32))
quick = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Silence:
    """No noise, which no run can have: to see what noise is added to."""

    sigma: float = 0.0

    def draw(self, stream: Stream, count: int) -> NDArray[np.int64]:
        return np.zeros(count, dtype=np.int64)


def stream(*label):
    return SeededRandomness(b"noisy fixed point").stream(*label)


def codec(**changes):
    fields = {"clip_norm": 2.0, "bits": 12, "dim": 50, "members": 6, "noise": DiscreteGaussian(40.0)}
    return NoisyFixedPoint(**{**fields, **changes})


CODECS = st.builds(
    NoisyFixedPoint,
    clip_norm=st.floats(1e-6, 1e6),
    bits=st.integers(4, 24),
    dim=st.integers(1, 200),
    members=st.integers(1, 64),
    noise=st.floats(0.1, 1e6).map(DiscreteGaussian),
    rotation=st.sampled_from([None, SEED]),
    sums=st.integers(1, 50),
)


def direction(dim, key, spiky):
    one = np.random.default_rng(key).standard_normal(dim)
    return np.where(np.arange(dim) == key % dim, 1.0, 0.0) if spiky else one


# --- sensitivity ------------------------------------------------------------------------------------


@given(CODECS, st.integers(0, 2**16), st.booleans(), st.floats(1e-3, 1e3))
@quick
def test_no_update_is_longer_than_the_stated_bound_after_rounding(codec, key, spiky, length):
    update = direction(codec.dim, key, spiky) * codec.clip_norm * length
    whole = codec.rounded(update, stream(key))
    assert sum(value**2 for value in whole.tolist()) <= codec.squared_norm
    assert np.abs(whole).max() <= codec.limit


@pytest.mark.parametrize(("bits", "length"), [(4, 1), (4, 1000), (8, 10**6), (16, 10**6), (24, 7)])
def test_the_bound_is_the_published_one_rounded_down(bits, length):
    steps = 2 ** (bits - 1) - 1
    always = (steps + math.sqrt(length)) ** 2
    likely = steps**2 + length / 4 + math.sqrt(2 * math.log(math.exp(0.5))) * (steps + math.sqrt(length) / 2)
    assert rounded_norm_squared(bits, length) == math.floor(min(always, likely) * (1 + 1e-14))


def test_a_rounding_that_breaks_the_bound_is_drawn_again(monkeypatch):
    honest, calls = noisy_fixed_point.quantise, []

    def long_at_first(scaled, step, source, dtype):
        calls.append(scaled.copy())
        return (
            honest(scaled, step, source, dtype) if len(calls) > 2 else np.full(scaled.size, 500, dtype=dtype)
        )

    monkeypatch.setattr(noisy_fixed_point, "quantise", long_at_first)
    whole = codec().rounded(np.ones(50), stream())
    assert len(calls) == 3
    assert np.array_equal(calls[0], calls[2])
    assert int(np.square(whole).sum()) <= codec().squared_norm < 50 * 500**2


@given(CODECS, st.integers(0, 2**16))
@quick
def test_without_noise_the_mean_is_the_clipped_update_up_to_rounding(codec, key):
    silent = NoisyFixedPoint(
        codec.clip_norm, codec.bits, codec.dim, codec.members, Silence(), codec.rotation, codec.sums
    )
    update = direction(codec.dim, key, False)
    update *= codec.clip_norm * 0.5 / np.linalg.norm(update)
    mean, weight = silent.decode(silent.encode(update, stream(key)), 1)
    assert weight == 1.0
    # Each rounded coordinate moves by less than a step; a rotation keeps the length of the difference.
    assert np.linalg.norm(mean - update) <= silent.step * math.sqrt(silent.length) * (1 + 1e-9)


def test_rounding_is_unbiased_and_noise_has_the_stated_variance():
    noisy, size = codec(dim=20_000, noise=DiscreteGaussian(3.0)), 20_000
    update = np.full(size, 0.3 * noisy.step)
    mean, _ = noisy.decode(noisy.encode(update, stream(1)), 1)
    steps = mean / noisy.step
    variance = 9.0 + 0.3 * 0.7
    assert abs(steps.mean() - 0.3) < 5 * math.sqrt(variance / size)
    assert abs(steps.var() / variance - 1) < 5 * math.sqrt(2 / size)


# --- sums -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [None, SEED])
def test_masked_and_unmasked_sums_are_the_same_bits(rotation):
    noisy = codec(rotation=rotation)
    updates = np.random.default_rng(1).standard_normal((6, 50))
    words = [noisy.encode(update, stream(number)) for number, update in enumerate(updates)]
    plain = sum(words[1:], words[0].copy())
    masked = np.zeros(noisy.length, dtype=noisy.dtype)
    for number, one in enumerate(words):
        sent = one.copy()
        add_mask(sent, bytes([number]) * 32, 1)
        masked += sent
    for number in range(len(words)):
        add_mask(masked, bytes([number]) * 32, -1)
    assert np.array_equal(plain, masked)
    assert np.array_equal(noisy.decode(plain, 6)[0], noisy.decode(masked, 6)[0])


@given(CODECS, st.integers(0, 1000))
@quick
def test_a_sum_decodes_to_the_exact_sum_of_rounded_updates_and_noise(codec, key):
    members = min(codec.members, 3)
    updates = [direction(codec.dim, key + n, n == 0) * codec.clip_norm for n in range(members)]
    total = np.zeros(codec.length, dtype=codec.dtype)
    exact = np.zeros(codec.length, dtype=np.int64)
    for number, update in enumerate(updates):
        total += codec.encode(update, stream(key, number))
        source = stream(key, number)
        exact += codec.rounded(update, source) + codec.noise.draw(source, codec.length)
    assert np.array_equal(noisy_fixed_point.sign_extended(total, codec.ring_bits), exact)
    vector = (
        exact
        if codec.rotation is None
        else noisy_fixed_point.unrotate(exact.astype(np.float64), codec.rotation, codec.dim)
    )
    mean, weight = codec.decode(total, members)
    scale = codec.step * (np.abs(exact).max() + 1)
    np.testing.assert_allclose(mean, vector * codec.step / members, rtol=1e-9, atol=scale * 1e-9)
    assert weight == members


def test_every_share_of_noise_is_in_the_sum():
    members, sigma = 5, 50.0
    noisy = codec(dim=20_000, members=members, noise=DiscreteGaussian(sigma))
    total = sum(
        (noisy.encode(np.zeros(20_000), stream(n)) for n in range(1, members)),
        noisy.encode(np.zeros(20_000), stream(0)),
    )
    mean, _ = noisy.decode(total, members)
    variance = (mean / noisy.step * members).var()
    assert abs(variance / (members * sigma**2) - 1) < 5 * math.sqrt(2 / 20_000)


def test_where_members_add_nothing_a_sum_is_noised_once():
    noisy = codec(dim=20_000, noise=DiscreteGaussian(50.0), shared=False)
    words = [noisy.encode(np.ones(20_000), stream(n)) for n in range(3)]
    rounded = [noisy.rounded(np.ones(20_000), stream(n)) for n in range(3)]
    total = sum(words[1:], words[0].copy())
    assert np.array_equal(noisy_fixed_point.sign_extended(total, noisy.ring_bits), sum(rounded))
    noise = noisy_fixed_point.sign_extended(noisy.noised(total, stream("server")), noisy.ring_bits) - sum(
        rounded
    )
    assert abs(noise.var() / 50.0**2 - 1) < 5 * math.sqrt(2 / 20_000)
    assert noisy.reach < codec(dim=20_000, noise=DiscreteGaussian(50.0)).reach


# --- the ring ---------------------------------------------------------------------------------------


@given(CODECS)
@quick
def test_the_ring_holds_all_updates_and_the_reach_of_the_noise(codec):
    largest = codec.members * codec.limit + codec.reach
    assert largest <= 2 ** (codec.ring_bits - 1) - 1
    assert largest > 2 ** (codec.ring_bits - 2) - 1
    per_coordinate = 2 * math.exp(-(codec.reach**2) / (2 * codec.members * codec.noise.sigma**2))
    assert per_coordinate * codec.length * codec.sums <= 2.0**-40 * (1 + 1e-9)


@pytest.mark.parametrize("chance", [0.5, 0.05])
def test_noise_passes_its_reach_no_more_often_than_stated(monkeypatch, chance):
    monkeypatch.setattr(noisy_fixed_point, "WRAP_CHANCE", chance)
    noisy = codec(dim=30, members=4, noise=DiscreteGaussian(20.0), sums=1)
    source, rounds = stream("reach"), 3000
    noise = sum(noisy.noise.draw(source, rounds * 30).reshape(rounds, 30) for _ in range(4))
    passed = int((np.abs(noise).max(axis=1) > noisy.reach).sum())
    assert passed <= rounds * chance + 5 * math.sqrt(rounds * chance)
    # Not a vacuous bound: at two thirds of the reach far more rounds are beyond than it allows.
    assert (np.abs(noise).max(axis=1) > noisy.reach * 2 / 3).mean() > chance


@pytest.mark.parametrize("rotation", [None, SEED])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_as_many_extreme_updates_as_members_do_not_wrap(rotation, sign):
    silent = codec(noise=Silence(), rotation=rotation, dim=1 if rotation is None else 4096, members=64)
    # The vector whose rotation is one spike: it depends on the seed, so the clamp takes part.
    spike = np.zeros(silent.length)
    spike[0] = sign
    update = spike[: silent.dim] if rotation is None else noisy_fixed_point.unrotate(spike, SEED, silent.dim)
    words = silent.encode(update * silent.clip_norm * 3, stream())
    total = words * silent.dtype(64)
    signed = noisy_fixed_point.sign_extended(total, silent.ring_bits)
    assert signed[0] == sign * 64 * silent.limit


def test_more_groups_or_members_need_a_larger_reach():
    assert codec(sums=1000).reach > codec().reach
    assert codec(members=60).reach > codec().reach


def test_a_rotated_ring_is_smaller_where_many_are_summed():
    many = {"dim": 65536, "members": 1000, "noise": DiscreteGaussian(10.0)}
    assert codec(**many, rotation=SEED).ring_bits < codec(**many).ring_bits - 2


def test_a_sum_that_needs_more_than_64_bits_is_refused():
    with pytest.raises(ConfigError, match="64"):
        codec(bits=32, members=2**33)
    assert codec(bits=32, members=2**31).ring_bits <= 64


@pytest.mark.parametrize(
    "changes", [{"bits": 3}, {"bits": 33}, {"clip_norm": 0.0}, {"dim": 0}, {"members": 0}]
)
def test_fields_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError):
        codec(**changes)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_update_that_is_not_finite_counts_as_zeros(value):
    update = np.ones(50)
    update[7] = value
    assert not codec().rounded(update, stream()).any()
    assert np.array_equal(codec().encode(update, stream()), codec().encode(np.zeros(50), stream()))


def test_weights_other_than_one_and_wrong_shapes_are_refused():
    noisy = codec()
    with pytest.raises(ValueError, match="weight 1"):
        noisy.encode(np.zeros(50), stream(), weight=2)
    with pytest.raises(ValueError, match="shape"):
        noisy.encode(np.zeros(51), stream())
    with pytest.raises(ValueError, match="survivors"):
        noisy.decode(np.zeros(50, dtype=noisy.dtype), 7)
    with pytest.raises(ValueError, match="words"):
        noisy.decode(np.zeros(49, dtype=noisy.dtype), 1)


@given(CODECS)
@quick
def test_no_sum_at_all_decodes_to_more_than_the_norm_bound(codec):
    furthest = np.full(codec.length, 1 << (codec.ring_bits - 1), dtype=codec.dtype)
    mean, _ = codec.decode(furthest, 1)
    assert np.linalg.norm(mean) <= codec.norm_bound * (1 + 1e-9)


def test_equal_streams_give_equal_words_and_other_streams_other_noise():
    noisy, update = codec(), np.ones(50)
    assert np.array_equal(noisy.encode(update, stream(1)), noisy.encode(update, stream(1)))
    assert not np.array_equal(noisy.encode(update, stream(1)), noisy.encode(update, stream(2)))
