from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.crypto import Stream, add_mask, add_masks
from securefl.crypto.prg import _BATCH, _CHUNK_BYTES

# AES-256 under the zero key of counters 0, 1 and 2: the hash key, the tag of test case 13 and the
# ciphertext of test case 14 of the GCM specification.
ZERO_KEY_KEYSTREAM = bytes.fromhex(
    "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18"
)
# NIST AESAVS, KeySbox, 256 bits, first entry: the encryption of the zero block.
KEY_SBOX_KEY = bytes.fromhex("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558")
KEY_SBOX_BLOCK = bytes.fromhex("46f2fb342d6f0ab477476fc501242c5f")
# NIST SP 800-38A, F.5.5 (CTR-AES256.Encrypt): key, initial counter block, plaintext, ciphertext.
CTR_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
CTR_COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
CTR_PLAINTEXT = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CTR_CIPHERTEXT = bytes.fromhex(
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)


def mask_of(seed, count, dtype):
    words = np.zeros(count, dtype=dtype)
    add_mask(words, seed, 1)
    return words


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_a_mask_is_the_published_aes_keystream_in_little_endian_words(dtype):
    size = np.dtype(dtype).itemsize
    assert mask_of(bytes(32), 48 // size, dtype).astype(f"<u{size}").tobytes() == ZERO_KEY_KEYSTREAM
    assert mask_of(KEY_SBOX_KEY, 16 // size, dtype).astype(f"<u{size}").tobytes() == KEY_SBOX_BLOCK


def start_counting_at(counter):
    """Our streams and masks count from zero; the published example from another block."""
    return SimpleNamespace(CTR=lambda _: modes.CTR(counter))


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_a_mask_and_a_stream_are_the_keystream_of_sp_800_38a(dtype, monkeypatch):
    keystream = bytes(one ^ other for one, other in zip(CTR_PLAINTEXT, CTR_CIPHERTEXT, strict=True))
    for module in ("prg", "randomness"):
        monkeypatch.setattr(f"securefl.crypto.{module}.modes", start_counting_at(CTR_COUNTER))
    size = np.dtype(dtype).itemsize
    assert mask_of(CTR_KEY, 64 // size, dtype).astype(f"<u{size}").tobytes() == keystream
    assert Stream(CTR_KEY).take(64) == keystream


@pytest.mark.parametrize("extra_words", [-1, 0, 1])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_chunks_join_without_a_seam(dtype, extra_words):
    count = 2 * _CHUNK_BYTES // np.dtype(dtype).itemsize + extra_words
    encryptor = Cipher(algorithms.AES256(b"s" * 32), modes.CTR(bytes(16))).encryptor()
    whole = np.frombuffer(encryptor.update(bytes(count * np.dtype(dtype).itemsize)), dtype=dtype)
    assert np.array_equal(mask_of(b"s" * 32, count, dtype), whole)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 700), st.sampled_from([np.uint32, np.uint64]))
@settings(deadline=None, max_examples=60)
def test_a_mask_added_and_subtracted_leaves_the_vector(seed, count, dtype):
    words = np.arange(count, dtype=dtype) - dtype(3)
    masked = words.copy()
    add_mask(masked, seed, 1)
    assert np.array_equal(masked - mask_of(seed, count, dtype), words)
    add_mask(masked, seed, -1)
    assert np.array_equal(masked, words)


MASKS = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), st.sampled_from([1, -1])),
    max_size=5,
    unique_by=lambda m: m[0],
)


@given(MASKS, st.integers(0, 700), st.sampled_from([np.uint32, np.uint64]))
@settings(deadline=None, max_examples=60)
def test_several_masks_in_one_pass_are_those_masks_one_after_the_other(masks, count, dtype):
    together = np.arange(count, dtype=dtype)
    one_by_one = together.copy()
    add_masks(together, iter(masks))
    for seed, sign in masks:
        add_mask(one_by_one, seed, sign)
    assert np.array_equal(together, one_by_one)


@pytest.mark.parametrize("extra_words", [-1, 0, 1])
def test_several_masks_join_without_a_seam_at_chunks_and_batches(extra_words):
    count = _CHUNK_BYTES // 4 + extra_words
    seeds = [number.to_bytes(32, "big") for number in range(_BATCH + 1)]
    words = np.zeros(count, dtype=np.uint32)
    add_masks(words, [(seed, 1) for seed in seeds])
    for seed in seeds:
        add_mask(words, seed, -1)
    assert not words.any()


def test_one_malformed_mask_in_a_list_leaves_the_vector_as_it_was():
    words = np.arange(5, dtype=np.uint32)
    for wrong in ((bytes(31), 1), (bytes(32), 2)):
        with pytest.raises(ValueError, match="mask"):
            add_masks(words, [(b"s" * 32, 1), wrong])
    assert words.tolist() == [0, 1, 2, 3, 4]


def test_a_slice_is_masked_in_place_and_its_neighbours_are_not():
    words = np.zeros(10, dtype=np.uint32)
    add_mask(words[2:5], b"s" * 32, 1)
    assert np.flatnonzero(words).tolist() == [2, 3, 4]


def test_every_byte_value_is_equally_frequent_in_a_mask():
    counts = np.bincount(mask_of(b"u" * 32, 1 << 18, np.uint32).view(np.uint8), minlength=256)
    expected = (1 << 20) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    # Chi-square with 255 degrees of freedom: mean 255, standard deviation 22.6; six of them either way.
    assert abs(statistic - 255) < 6 * np.sqrt(2 * 255)


def test_two_seeds_that_differ_in_one_bit_give_unrelated_masks():
    first, second = (mask_of(bytes([bit]) + bytes(31), 1 << 15, np.uint32) for bit in (0, 1))
    differing = int(np.bitwise_count(first ^ second).sum())
    bits = 32 << 15
    # Binomial(bits, 1/2): standard deviation sqrt(bits) / 2; six of them.
    assert abs(differing - bits / 2) < 6 * np.sqrt(bits) / 2


@pytest.mark.parametrize(
    ("words", "seed", "sign", "message"),
    [
        (np.zeros(4, dtype=np.int32), bytes(32), 1, "uint32 or uint64"),
        (np.zeros(4, dtype=np.uint16), bytes(32), 1, "uint32 or uint64"),
        (np.zeros((2, 2), dtype=np.uint32), bytes(32), 1, "vector"),
        (np.zeros(8, dtype=np.uint32)[::2], bytes(32), 1, "contiguous"),
        (np.frombuffer(bytes(8), dtype=np.uint32), bytes(32), 1, "writable"),
        (np.zeros(4, dtype=np.uint32), bytes(4), 1, "32 bytes, got 4"),
        (np.zeros(4, dtype=np.uint32), bytes(32), 0, "1 or -1"),
    ],
)
def test_what_cannot_be_masked_in_place_is_refused(words, seed, sign, message):
    with pytest.raises(ValueError, match=message):
        add_mask(words, seed, sign)
