import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.crypto import open_sealed, seal
from securefl.errors import DecodeError, ProtocolError

# McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16 (AES-256, 96-bit
# nonces): key, nonce, plaintext, associated data, ciphertext || tag.
GCM = [
    ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
        "",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        "b094dac5d93471bdec1a502270e3cc6c",
    ),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@pytest.mark.parametrize(("key", "nonce", "plaintext", "associated", "expected"), GCM)
def test_boxes_are_those_of_the_gcm_specification(key, nonce, plaintext, associated, expected):
    key, nonce, plaintext, associated = map(bytes.fromhex, (key, nonce, plaintext, associated))
    box = seal(key, plaintext, associated, nonce)
    assert box.hex() == nonce.hex() + expected
    assert open_sealed(key, box, associated) == plaintext


@given(st.binary(max_size=80), st.binary(max_size=20), st.integers(min_value=0))
@settings(deadline=None, max_examples=60)
def test_one_flipped_bit_anywhere_opens_nothing(plaintext, associated, position):
    box = bytearray(seal(b"k" * 32, plaintext, associated, b"n" * 12))
    position %= 8 * len(box)
    box[position // 8] ^= 1 << position % 8
    with pytest.raises(ProtocolError, match="does not authenticate"):
        open_sealed(b"k" * 32, bytes(box), associated)


def test_another_key_or_other_associated_data_open_nothing():
    box = seal(b"k" * 32, b"share", b"round 1", b"n" * 12)
    for key, associated in ((b"K" * 32, b"round 1"), (b"k" * 32, b"round 2"), (b"k" * 32, b"")):
        with pytest.raises(ProtocolError, match="does not authenticate"):
            open_sealed(key, box, associated)


@pytest.mark.parametrize("size", [0, 12, 27])
def test_a_box_too_short_for_nonce_and_tag_is_a_decode_error(size):
    with pytest.raises(DecodeError, match="at least 28 bytes"):
        open_sealed(bytes(32), bytes(size), b"")


def test_short_keys_and_nonces_are_refused():
    with pytest.raises(ValueError, match="32 bytes, got 16"):
        seal(bytes(16), b"", b"", bytes(12))
    with pytest.raises(ValueError, match="32 bytes, got 16"):
        open_sealed(bytes(16), bytes(28), b"")
    with pytest.raises(ValueError, match="12 bytes, got 8"):
        seal(bytes(32), b"", b"", bytes(8))
