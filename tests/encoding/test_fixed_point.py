import hashlib
import tracemalloc
from dataclasses import replace
from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from securefl.crypto import SeededRandomness, Stream, add_mask
from securefl.encoding import FixedPoint, clip_to_norm, pack, quantise, unpack
from securefl.encoding.fixed_point import _BLOCK
from securefl.errors import ConfigError, DataError, ProtocolError

quick = settings(deadline=None, max_examples=80)
CODECS = st.builds(
    FixedPoint,
    clip_norm=st.floats(1e-6, 1e6),
    bits=st.integers(4, 32),
    dim=st.integers(1, 6),
    members=st.integers(1, 64),
    cap=st.integers(1, 1000),
    weighted=st.booleans(),
)
ROTATED = st.builds(replace, CODECS, rotation=st.one_of(st.none(), st.binary(min_size=32, max_size=32)))
"""So few coordinates that the range is the whole clip norm, and nothing can be cut."""


def stream(*label):
    return SeededRandomness(b"fixed point").stream(*label)


def signed(words, ring_bits):
    return [value - (1 << ring_bits) if value >> (ring_bits - 1) else value for value in map(int, words)]


def largest_update(codec, sign):
    """As large as one coordinate can be, and longer than the bound, so that clipping takes part."""
    update = np.zeros(codec.dim)
    update[0] = sign * codec.clip_norm * 3.0
    return update


# --- overflow ---------------------------------------------------------------------------------------


@given(CODECS, st.sampled_from([-1.0, 1.0]))
@quick
def test_as_many_extreme_updates_as_members_sum_without_wrapping(codec, sign):
    update = largest_update(codec, sign)
    words = codec.encode(update, stream(), weight=codec.cap)
    total = words * codec.dtype(codec.members)
    ring = codec.dtype((1 << codec.ring_bits) - 1)
    assert signed(total & ring, codec.ring_bits)[0] == int(sign) * codec.members * codec.limit
    mean, weight_total = codec.decode(total, codec.members, public_weight=codec.members * codec.cap)
    assert weight_total == codec.members * codec.cap
    assert mean[0] == pytest.approx(sign * codec.clip_norm, rel=1e-12)


@given(CODECS)
@quick
def test_the_ring_holds_the_largest_sum_and_one_bit_less_would_not(codec):
    largest = codec.members * codec.limit
    assert largest <= 2 ** (codec.ring_bits - 1) - 1
    assert largest > 2 ** (codec.ring_bits - 2) - 1


@pytest.mark.parametrize(
    ("members", "ring_bits"),
    # bits = 4 gives at most 7 steps: 9 members reach 63 = 2^6 - 1, 10 members reach 70.
    [(1, 4), (2, 5), (4, 6), (5, 7), (9, 7), (10, 8), (18, 8), (19, 9)],
)
def test_one_member_more_than_a_ring_bears_costs_a_bit(members, ring_bits):
    codec = FixedPoint(clip_norm=1.0, bits=4, dim=1, members=members)
    assert codec.ring_bits == ring_bits
    for sign in (-1.0, 1.0):
        total = codec.encode(np.array([sign]), stream()) * np.uint32(members)
        assert codec.decode(total, members)[0].tolist() == [sign]


def test_one_step_beyond_the_boundary_of_the_ring_would_wrap():
    codec = FixedPoint(clip_norm=7.0, bits=4, dim=1, members=9)
    assert (codec.step, codec.ring_bits) == (1.0, 7)
    boundary = {63: 63.0, 64: -64.0, 2**32 - 63: -63.0, 2**32 - 64: -64.0, 2**32 - 65: 63.0}
    for total, decoded in boundary.items():
        assert codec.decode(np.array([total], dtype=np.uint32), 1)[0].tolist() == [decoded]


@given(st.floats(1e-9, 1e9), st.integers(4, 32), st.floats(0.0, 1.0), st.integers(0, 2**32))
@quick
def test_no_update_whatever_its_size_encodes_beyond_the_limit(clip_norm, bits, fraction, seed):
    codec = FixedPoint(clip_norm=clip_norm, bits=bits, dim=3, members=1)
    source = SeededRandomness(seed.to_bytes(5, "big")).stream()
    edge = np.array([clip_norm, np.nextafter(clip_norm, inf), clip_norm * fraction])
    for update in (edge, -edge, edge * 1e30, np.array([0.0, clip_norm, 0.0])):
        encoded = signed(codec.encode(update, source), codec.ring_bits)
        assert max(map(abs, encoded)) <= codec.limit


def test_the_limit_holds_even_if_the_stream_gives_its_extreme_values(monkeypatch):
    codec = FixedPoint(clip_norm=0.1, bits=32, dim=2, members=1)
    for uniform in (2.0**-54, 1.0 - 2.0**-53, 1.0):
        monkeypatch.setattr(Stream, "uniforms", lambda self, count, u=uniform: np.full(count, u))
        encoded = codec.encode(np.array([0.1, 0.0]), stream())
        assert signed(encoded, codec.ring_bits) == [codec.limit, 0]


def test_the_ring_boundary_of_64_bits_is_exact():
    # 2^31 - 1 steps: 2^32 members reach 2^63 - 2^32, which 64 signed bits hold; 2^33 members do not.
    assert FixedPoint(clip_norm=1.0, bits=32, dim=1, members=2**32).ring_bits == 64
    most = (2**63 - 1) // (2**31 - 1)
    assert FixedPoint(clip_norm=1.0, bits=32, dim=1, members=most).ring_bits == 64
    with pytest.raises(ConfigError, match="needs 65 bits") as caught:
        FixedPoint(clip_norm=1.0, bits=32, dim=1, members=most + 1)
    assert caught.value.path == "secure_aggregation.bits"


def test_a_cap_whose_total_no_float_holds_is_refused():
    assert FixedPoint(1.0, 16, 1, members=2, cap=2**52, weighted=True).ring_bits == 17
    with pytest.raises(ConfigError, match="lower the cap") as caught:
        FixedPoint(1.0, 16, 1, members=2, cap=2**52 + 1, weighted=True)
    assert caught.value.path == "server.weights.cap"


@given(st.integers(4, 32), st.integers(1, 64), st.data())
@quick
def test_weights_travel_in_digits_that_need_no_wider_ring_and_add_up_exactly(bits, members, data):
    cap = data.draw(st.integers(1, 2**40))
    codec = FixedPoint(1.0, bits, 1, members, cap=cap, weighted=True)
    assert codec.ring_bits == FixedPoint(1.0, bits, 1, members).ring_bits
    weights = data.draw(st.lists(st.integers(1, cap), min_size=1, max_size=min(members, 5)))
    total = np.add.reduce([codec.encode(np.zeros(1), stream(), each) for each in weights], dtype=codec.dtype)
    assert codec.decode(total, len(weights))[1] == sum(weights)


def test_few_bits_stay_few_bits_on_the_wire_with_weights_too():
    codec = FixedPoint(1.0, 4, 1000, members=4, cap=200, weighted=True)
    # 7 steps, 4 members: 28 < 2^5, with a sign 6 bits; 200 < 8^3 is three digits.
    assert (codec.ring_bits, codec.length, codec.wire_bytes) == (6, 1003, 753)


def test_the_word_type_follows_the_ring():
    assert FixedPoint(1.0, 16, 1, members=2**16).dtype is np.uint32
    assert FixedPoint(1.0, 16, 1, members=2**17 + 4).dtype is np.uint64


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"clip_norm": 0.0}, "secure_aggregation.clip_norm"),
        ({"clip_norm": nan}, "secure_aggregation.clip_norm"),
        ({"clip_norm": inf}, "secure_aggregation.clip_norm"),
        ({"bits": 3}, "secure_aggregation.bits"),
        ({"bits": 33}, "secure_aggregation.bits"),
        ({"dim": 0}, ""),
        ({"members": 0}, ""),
        ({"cap": 0}, ""),
    ],
)
def test_a_field_out_of_range_is_a_config_error(fields, path):
    with pytest.raises(ConfigError) as caught:
        FixedPoint(**{"clip_norm": 1.0, "bits": 16, "dim": 1, "members": 1, **fields})
    assert caught.value.path == path


# --- exactness ----------------------------------------------------------------------------------------


@given(CODECS, st.integers(1, 5), st.data())
@quick
def test_a_masked_packed_sum_decodes_to_the_exact_sum_of_the_rounded_updates(codec, count, data):
    assume(count <= codec.members)
    coordinates = st.lists(st.floats(-2e6, 2e6), min_size=codec.dim, max_size=codec.dim)
    updates = [np.array(data.draw(coordinates)) for _ in range(count)]
    weights = [data.draw(st.integers(1, codec.cap)) for _ in range(count)]
    source = stream()
    vectors = [codec.encode(u, source, weight=w) for u, w in zip(updates, weights, strict=True)]
    integers = np.array([signed(vector, codec.ring_bits) for vector in vectors], dtype=object).sum(axis=0)

    sent = [vector.copy() for vector in vectors]
    add_mask(sent[0], b"m" * 32, 1)
    add_mask(sent[-1], b"m" * 32, -1)
    received = [
        unpack(pack(vector, codec.ring_bits), codec.ring_bits, codec.length, codec.dtype) for vector in sent
    ]
    total = np.add.reduce(received, axis=0, dtype=codec.dtype)

    public_weight = None if codec.weighted or codec.cap == 1 else sum(weights)
    mean, weight_total = codec.decode(total, count, public_weight=public_weight)
    assert weight_total == sum(weights)
    factor = codec.step * codec.cap / sum(weights)
    assert mean.tolist() == [float(integer) * factor for integer in integers[: codec.dim]]


@given(ROTATED, st.data())
@quick
def test_the_decoded_mean_is_the_weighted_mean_of_the_clipped_updates_within_its_bound(codec, data):
    count = data.draw(st.integers(1, min(codec.members, 5)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    updates = rng.normal(size=(count, codec.dim)) * codec.clip_norm
    weights = [data.draw(st.integers(1, codec.cap)) for _ in range(count)]
    source = stream()
    total = np.add.reduce(
        [codec.encode(u, source, weight=w) for u, w in zip(updates, weights, strict=True)],
        axis=0,
        dtype=codec.dtype,
    )
    mean, weight_total = codec.decode(total, count, public_weight=sum(weights))
    clipped = np.array([clip_to_norm(update, codec.clip_norm) for update in updates])
    oracle = np.average(clipped, axis=0, weights=weights)
    # Each member's rounding moves a coordinate by less than one step of weight `cap`; a rotation mixes them.
    mixed = 1.0 if codec.rotation is None else sqrt(codec.length)
    assert np.abs(mean - oracle).max() < mixed * codec.step * codec.cap * count / weight_total * (1 + 1e-9)
    assert np.linalg.norm(mean) <= codec.norm_bound


def test_rounding_is_unbiased():
    codec = FixedPoint(clip_norm=7.0, bits=4, dim=40_000, members=1)
    for value in (0.1, 0.5, 0.9, -0.3):
        words = quantise(np.full(codec.dim, value), codec.step, stream("unbiased"), codec.dtype)
        # A Bernoulli mean over 40,000 draws has standard deviation at most 0.5 / 200; six of them.
        assert abs(words.view(np.int32).mean() - value) < 6 * 0.5 / 200


def test_whole_steps_are_never_moved():
    whole = np.arange(-1000.0, 1001.0)
    assert quantise(whole, 1.0, stream(), np.uint32).view(np.int32).tolist() == whole.tolist()
    assert quantise(whole * 0.25, 0.25, stream(), np.uint64).view(np.int64).tolist() == whole.tolist()


def test_encoding_replays_from_its_stream_alone_and_leaves_the_update_alone():
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=50_000, members=4)
    update = np.random.default_rng(0).normal(size=codec.dim).astype(np.float32)
    before = update.copy()
    assert np.array_equal(codec.encode(update, stream("a")), codec.encode(update, stream("a")))
    assert not np.array_equal(codec.encode(update, stream("a")), codec.encode(update, stream("b")))
    assert np.array_equal(update, before)


@pytest.mark.parametrize(
    ("dim", "bits", "cap", "weight", "scale", "kind", "known"),
    # What the first release of this encoding gave, which held the whole update in float64 at once.
    [
        (1, 16, 1, 1, 3.0, "f8", "623cabcf143d80f2"),
        (129, 16, 1, 1, 1.0, "f4", "26d742af32cbe664"),
        (16384, 32, 1, 1, 0.001, "f8", "2faa0ebc8892bb17"),
        (16385, 16, 7, 3, 1.0, "f4", "52d80e7ab9166169"),
        (50000, 12, 1, 1, 1e30, "f4", "a653788e98131c5b"),
        (131077, 16, 1, 1, 1.0, "f8", "e0d9deef28dd21c1"),
        (300001, 20, 100, 42, 1.0, "f4", "f574b4ab693d4dcb"),
    ],
)
def test_known_updates_encode_to_known_words_whatever_the_blocks(dim, bits, cap, weight, scale, kind, known):
    codec = FixedPoint(1.0, bits, dim, 100, cap=cap, weighted=cap > 1)
    update = (((np.arange(dim) * 7919 + 1) % 1009 - 504) / 504 * scale).astype(kind)
    words = codec.encode(update, stream("known", dim), weight=weight)
    assert hashlib.sha256(words.astype("<u8").tobytes()).hexdigest()[:16] == known


@pytest.mark.parametrize("extra", [-1, 0, 1, 9])
@pytest.mark.parametrize("blocks", [1, 3])
def test_encoding_is_clipping_scaling_and_rounding_whole_at_the_edges_of_blocks(blocks, extra):
    codec = FixedPoint(clip_norm=2.0, bits=20, dim=blocks * _BLOCK + extra, members=10, cap=5)
    update = np.random.default_rng(0).normal(size=codec.dim).astype(np.float32)
    whole = clip_to_norm(update, 2.0) * (3 / 5)
    rounded = quantise(whole, codec.step, stream("edges"), codec.dtype) & np.uint32(2**codec.ring_bits - 1)
    assert np.array_equal(codec.encode(update, stream("edges"), weight=3), rounded)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_encoding_needs_the_ring_image_and_one_block_beside_the_update(kind):
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=1_000_000, members=100)
    update = np.random.default_rng(0).normal(size=codec.dim).astype(kind)
    source = stream("memory")
    tracemalloc.start()
    words = codec.encode(update, source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A block takes at most a dozen float64 scratch arrays; a copy of the update would take 4 MB or more.
    assert peak - words.nbytes < 12 * 8 * _BLOCK


def test_lengths_and_bytes_count_the_weight_coordinate():
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=650, members=4)
    assert (codec.length, codec.ring_bits, codec.wire_bytes) == (650, 18, 1463)
    weighted = FixedPoint(clip_norm=1.0, bits=16, dim=650, members=4, cap=100, weighted=True)
    assert (weighted.length, weighted.wire_bytes) == (651, 1465)
    assert weighted.encode(np.zeros(650), stream(), weight=42)[-1] == 42


def test_the_norm_bound_adds_the_rounding_to_the_clip_norm():
    codec = FixedPoint(clip_norm=2.0, bits=16, dim=100, members=4)
    assert codec.norm_bound == 2.0 + 10.0 * codec.step
    capped = FixedPoint(clip_norm=2.0, bits=16, dim=100, members=4, cap=5, weighted=True)
    assert capped.norm_bound == 2.0 + 5 * 10.0 * codec.step


# --- rotation -----------------------------------------------------------------------------------------


def spiky(dim, spike=0.5, seed=0):
    """Of norm 1, `spike` of its square in one coordinate and the rest spread over the others."""
    vector = np.random.default_rng(seed).normal(size=dim)
    vector[dim // 3] = 0.0
    vector *= sqrt(1.0 - spike) / np.linalg.norm(vector)
    vector[dim // 3] = sqrt(spike)
    return vector


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_at_few_bits_a_spiky_update_loses_much_less_when_it_is_rotated(bits):
    dim = 20_000
    errors = []
    for rotation in (None, b"r" * 32):
        codec = FixedPoint(1.0, bits, dim, members=4, rotation=rotation)
        mean, _ = codec.decode(codec.encode(spiky(dim), stream("spiky", bits)), 1)
        errors.append(np.linalg.norm(mean - spiky(dim)))
    assert errors[1] < errors[0] / 4
    # The sum over 2^15 coordinates of independent roundings, each with variance at most step^2 / 4.
    assert errors[1] < 0.5 * codec.step * sqrt(codec.length)


def test_the_rotated_error_does_not_grow_with_the_dimension_and_the_other_one_does():
    def error(dim, rotation):
        codec = FixedPoint(1.0, 4, dim, members=1, rotation=rotation)
        return np.linalg.norm(codec.decode(codec.encode(spiky(dim), stream(dim)), 1)[0] - spiky(dim))

    plain, rotated = ([error(2**log, key) for log in (10, 14)] for key in (None, b"r" * 32))
    assert plain[1] > 1.7 * plain[0], "16 times as many coordinates, twice the error"
    assert rotated[1] < 1.2 * rotated[0]


def test_rotated_rounding_is_unbiased():
    codec = FixedPoint(1.0, 4, 500, members=1, rotation=b"u" * 32)
    update, source, many = spiky(500), stream("unbiased"), 400
    mean = np.mean([codec.decode(codec.encode(update, source), 1)[0] for _ in range(many)], axis=0)
    # Seeded. A coordinate mixes 512 roundings with weights of squared sum 1, each of deviation at most
    # step / 2: sub-Gaussian, so that six deviations have a chance of 2 exp(-18) each.
    assert np.abs(mean - update).max() < 6 * 0.5 * codec.step / sqrt(many)


def test_one_rotation_serves_all_and_is_undone_once_on_the_sum():
    codec = FixedPoint(1.0, 20, 300, members=3, rotation=b"s" * 32)
    updates = [spiky(300, seed=seed) for seed in range(3)]
    total = np.add.reduce([codec.encode(u, stream("sum")) for u in updates], axis=0, dtype=codec.dtype)
    mean, _ = codec.decode(total, 3)
    assert np.abs(mean - np.mean(updates, axis=0)).max() < codec.step * sqrt(codec.length)
    other = replace(codec, rotation=b"t" * 32)
    assert np.abs(other.decode(total, 3)[0] - np.mean(updates, axis=0)).max() > 0.1, (
        "another seed, another sum"
    )


def test_the_range_of_rotated_coordinates_is_passed_as_rarely_as_it_says():
    codec = FixedPoint(1.0, 8, 1000, members=1)
    beyond = 0
    for key in range(200):
        turned = replace(codec, rotation=key.to_bytes(32, "big"))
        beyond += int(np.abs(turned.spread(spiky(1000))).max() > turned.step * turned.limit)
    assert beyond == 0, "200 seeds at a chance of 2^-20 each"


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_non_finite_coordinate_is_never_encoded(bad, kind):
    update = np.array([0.0, bad, 0.0], dtype=kind)
    with pytest.raises(DataError, match="finite"):
        FixedPoint(clip_norm=1.0, bits=16, dim=3, members=1).encode(update, stream())
    with pytest.raises(DataError, match="finite"):
        quantise(update, 1.0, stream(), np.uint32)


@pytest.mark.parametrize("weight_total", [1, 2, 31, 1000, -3])
def test_a_weight_total_that_no_honest_survivors_have_is_refused(weight_total):
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=2, members=4, cap=10, weighted=True)
    total = np.array([0, 0, weight_total % 2**32], dtype=np.uint32)
    with pytest.raises(ProtocolError, match="between 3 and 30"):
        codec.decode(total, survivors=3)
    for fair in (3, 30):
        assert codec.decode(np.array([0, 0, fair], dtype=np.uint32), survivors=3)[1] == fair


def test_a_caller_who_contradicts_the_codec_is_told():
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=2, members=4, cap=10)
    with pytest.raises(ValueError, match="shape"):
        codec.encode(np.zeros(3), stream())
    for weight in (0, 11):
        with pytest.raises(ValueError, match="from 1 to the cap 10"):
            codec.encode(np.zeros(2), stream(), weight=weight)
    with pytest.raises(ValueError, match="2 words of uint32"):
        codec.decode(np.zeros(2, dtype=np.uint64), 1, 1.0)
    for survivors in (0, 5):
        with pytest.raises(ValueError, match="1 to 4 survivors"):
            codec.decode(np.zeros(2, dtype=np.uint32), survivors, 1.0)
    with pytest.raises(ValueError, match="pass public_weight"):
        codec.decode(np.zeros(2, dtype=np.uint32), 1)


def test_a_value_beyond_any_word_is_refused_instead_of_wrapped():
    with pytest.raises(DataError, match="below 2"):
        quantise(np.array([2.0**62]), 1.0, stream(), np.uint64)
    assert quantise(np.array([2.0**61]), 1.0, stream(), np.uint64).tolist() == [2**61]


# --- clipping -------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20), st.floats(1e-6, 1e6))
@quick
def test_a_clipped_vector_keeps_its_direction_and_the_bound(values, bound):
    vector = np.array(values)
    clipped = clip_to_norm(vector, bound)
    assert np.linalg.norm(clipped) <= bound * (1 + 1e-12)
    peak = np.abs(vector).max()
    if peak and np.linalg.norm(vector / peak) * (peak / bound) <= 1 - 1e-12:
        assert np.array_equal(clipped, vector)
    elif peak:
        direction = vector / peak / np.linalg.norm(vector / peak)
        assert np.allclose(clipped, direction * np.linalg.norm(clipped), rtol=1e-9, atol=bound * 1e-12)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-30, 1e30, 1e200, 1e307])
def test_tiny_and_huge_updates_neither_vanish_nor_overflow(scale):
    clipped = clip_to_norm(np.array([3.0, -4.0]) * scale, 1.0)
    assert np.linalg.norm(clipped) == pytest.approx(min(1.0, 5 * scale), rel=1e-3)


def test_a_float32_update_is_clipped_in_float64_and_not_changed():
    update = np.full(10_000, 1.0, dtype=np.float32)
    clipped = clip_to_norm(update, 1.0)
    assert clipped.dtype == np.float64
    assert np.linalg.norm(clipped) == pytest.approx(1.0, rel=1e-14)
    assert clipped[0] == pytest.approx(1.0 / sqrt(10_000), rel=1e-14)
    assert update[0] == 1.0
