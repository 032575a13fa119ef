import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.encoding import pack, pack_in_place, packed_size, unpack
from securefl.encoding.packing import _BLOCK_COORDINATES
from securefl.errors import DecodeError

quick = settings(deadline=None, max_examples=80)
WIDTHS = range(1, 65)


def word_type(ring_bits):
    return np.uint32 if ring_bits <= 32 else np.uint64


def random_words(count, ring_bits, seed=0):
    words = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    return (words & np.uint64(2**ring_bits - 1)).astype(word_type(ring_bits))


def as_one_number(words, ring_bits):
    """The definition, one coordinate at a time in Python integers."""
    number = sum(int(word) << (index * ring_bits) for index, word in enumerate(words))
    return number.to_bytes((len(words) * ring_bits + 7) // 8, "little")


@pytest.mark.parametrize("ring_bits", WIDTHS)
def test_packing_is_one_little_endian_number_and_unpacking_inverts_it(ring_bits):
    for count in (0, 1, 2, 63, 64, 65, 131):
        words = random_words(count, ring_bits, seed=count)
        data = pack(words, ring_bits)
        assert data == as_one_number(words, ring_bits)
        assert len(data) == packed_size(count, ring_bits)
        assert np.array_equal(unpack(data, ring_bits, count, word_type(ring_bits)), words)


@pytest.mark.parametrize("ring_bits", [1, 8, 17, 24, 31, 32, 33, 48, 63, 64])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_blocks_join_without_a_seam(ring_bits, extra):
    words = random_words(_BLOCK_COORDINATES + extra, ring_bits)
    data = pack(words, ring_bits)
    assert np.array_equal(unpack(data, ring_bits, words.size, word_type(ring_bits)), words)
    tail_start = (words.size - 70) // 8 * 8  # a multiple of eight coordinates starts on a whole byte
    assert data[tail_start * ring_bits // 8 :] == as_one_number(words[tail_start:], ring_bits)


@pytest.mark.parametrize("ring_bits", WIDTHS)
def test_packing_in_place_gives_the_bytes_of_packing(ring_bits):
    block = _BLOCK_COORDINATES
    for count in (0, 1, 2, 63, 64, 65, 131, block - 1, block, block + 1, 2 * block + 33):
        for dtype in {word_type(ring_bits), np.uint64}:
            words = np.random.default_rng(count).integers(0, 2**32, count, dtype=np.uint64).astype(dtype)
            expected = pack(words, ring_bits)
            packed = pack_in_place(words, ring_bits)
            assert packed == expected
            assert count == 0 or np.shares_memory(np.frombuffer(packed, dtype=np.uint8), words)


@pytest.mark.parametrize("ring_bits", [1, 20, 31, 32])
def test_packing_a_slice_in_place_leaves_its_neighbours_alone(ring_bits):
    words = random_words(1000, 32)
    before = words.copy()
    assert pack_in_place(words[3:700], ring_bits) == pack(before[3:700], ring_bits)
    assert np.array_equal(words[:3], before[:3])
    assert np.array_equal(words[700:], before[700:])


def test_bytes_packed_in_place_cannot_be_changed_through_the_result():
    with pytest.raises(TypeError, match="read-only"):
        pack_in_place(random_words(8, 20), 20)[0] = 1


@pytest.mark.parametrize(
    ("words", "ring_bits", "message"),
    [
        (np.zeros(4, dtype=np.uint16), 8, "uint32 or uint64"),
        (np.zeros((2, 2), dtype=np.uint32), 8, "vector"),
        (np.zeros(8, dtype=np.uint32)[::2], 8, "contiguous"),
        (np.frombuffer(bytes(8), dtype=np.uint32), 8, "writable"),
        (np.zeros(4, dtype=np.uint32), 33, "do not fit uint32"),
        (np.zeros(4, dtype=np.uint32), 0, "1 to 64 bits"),
    ],
)
def test_what_cannot_be_packed_in_place_is_refused(words, ring_bits, message):
    with pytest.raises(ValueError, match=message):
        pack_in_place(words, ring_bits)


@pytest.mark.parametrize("ring_bits", [1, 17, 20, 32, 33, 63])
def test_packing_leaves_the_callers_words_alone(ring_bits):
    # 64 words of 64 bits are one group of any odd width: a vector that could be worked on without a copy.
    for count in (1, 64, 65, 640):
        words = random_words(count, 64)
        before = words.copy()
        pack(words, ring_bits)
        assert np.array_equal(words, before)


@given(st.integers(1, 64), st.integers(0, 200))
@quick
def test_a_view_into_a_longer_message_is_unpacked_like_bytes_of_its_own(ring_bits, count):
    words = random_words(count, ring_bits, seed=count)
    message = b"odd" + pack(words, ring_bits) + b"tail"
    view = memoryview(message)[3 : 3 + packed_size(count, ring_bits)]
    assert np.array_equal(unpack(view, ring_bits, count, word_type(ring_bits)), words)


@given(st.integers(1, 31), st.lists(st.integers(0, 2**32 - 1), max_size=80))
@quick
def test_words_are_reduced_to_the_ring_before_packing(ring_bits, values):
    words = np.array(values, dtype=np.uint32)
    assert pack(words, ring_bits) == pack(words & np.uint32(2**ring_bits - 1), ring_bits)
    assert np.array_equal(words, np.array(values, dtype=np.uint32))


@given(st.integers(1, 64), st.integers(0, 40), st.binary(max_size=320))
@quick
def test_only_canonical_bytes_are_accepted(ring_bits, count, data):
    size = packed_size(count, ring_bits)
    data = data[:size].ljust(size, b"\xa5")
    try:
        words = unpack(data, ring_bits, count, word_type(ring_bits))
    except DecodeError:
        assert size * 8 != count * ring_bits
    else:
        assert pack(words, ring_bits) == data


@pytest.mark.parametrize("ring_bits", [w for w in WIDTHS if 3 * w % 8])
def test_a_padding_bit_that_is_not_zero_is_refused(ring_bits):
    data = bytearray(pack(random_words(3, ring_bits), ring_bits))
    for bit in range(3 * ring_bits % 8, 8):
        spoiled = bytes(data[:-1]) + bytes([data[-1] | 1 << bit])
        with pytest.raises(DecodeError, match="are zero"):
            unpack(spoiled, ring_bits, 3, word_type(ring_bits))


@pytest.mark.parametrize("size", [0, 6, 8, 100])
def test_any_other_length_is_refused(size):
    with pytest.raises(DecodeError, match="take 7 bytes"):
        unpack(bytes(size), 18, 3, np.uint32)


def test_widths_outside_the_word_are_refused():
    for ring_bits in (0, 65, -1):
        with pytest.raises(ValueError, match="1 to 64 bits"):
            pack(np.zeros(1, dtype=np.uint64), ring_bits)
        with pytest.raises(ValueError, match="1 to 64 bits"):
            unpack(b"", ring_bits, 0, np.uint64)
    with pytest.raises(ValueError, match="do not fit uint32"):
        unpack(bytes(5), 33, 1, np.uint32)


def test_the_unpacked_vector_may_be_changed():
    words = unpack(bytes(8), 32, 2, np.uint32)
    words += np.uint32(1)
    assert words.tolist() == [1, 1]
