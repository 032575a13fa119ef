from __future__ import annotations

import pytest

from securefl.crypto import derive, encapsulate
from securefl.crypto.kem import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    KEM_SECRET_BYTES,
    SEED_BYTES,
    KemKey,
    check_kem_public,
)
from securefl.errors import DecodeError, ProtocolError

SECRET = bytes(range(32))


def test_sizes_are_those_of_ml_kem_768():
    key = KemKey.from_secret(SECRET)
    ciphertext, secret = encapsulate(key.public)
    assert (len(key.public), len(ciphertext), len(secret)) == (1184, 1088, 32)
    assert (KEM_PUBLIC_BYTES, KEM_CIPHERTEXT_BYTES, KEM_SECRET_BYTES, SEED_BYTES) == (1184, 1088, 32, 64)


def test_a_key_pair_is_a_function_of_its_secret():
    ciphertext, secret = encapsulate(KemKey.from_secret(SECRET).public)
    again = KemKey.from_secret(SECRET)
    assert again.open(ciphertext) == secret
    assert KemKey.from_secret(bytes(32)).public != again.public


def test_the_seed_is_an_expansion_of_the_secret_and_not_the_secret():
    seed = derive(SECRET, b"securefl mlkem768 v1", SEED_BYTES)
    assert KemKey.from_seed(seed).public == KemKey.from_secret(SECRET).public
    assert KemKey.from_seed(SECRET + bytes(32)).public != KemKey.from_secret(SECRET).public


def test_two_encapsulations_are_never_alike():
    public = KemKey.from_secret(SECRET).public
    assert len({part for _ in range(5) for part in encapsulate(public)}) == 10


def test_a_ciphertext_for_somebody_else_opens_to_a_secret_that_nobody_has():
    ciphertext, secret = encapsulate(KemKey.from_secret(bytes(32)).public)
    opened = KemKey.from_secret(SECRET).open(ciphertext)
    assert len(opened) == 32
    assert opened != secret


@pytest.mark.parametrize("place", [0, 500, 1087])
def test_a_changed_ciphertext_opens_to_another_secret_and_always_the_same_one(place):
    key = KemKey.from_secret(SECRET)
    ciphertext, secret = encapsulate(key.public)
    changed = bytearray(ciphertext)
    changed[place] ^= 1
    assert key.open(bytes(changed)) != secret
    assert key.open(bytes(changed)) == key.open(bytes(changed))


@pytest.mark.parametrize("size", [0, 1087, 1089])
def test_a_ciphertext_of_another_size_is_refused(size):
    with pytest.raises(DecodeError, match="1,088 bytes"):
        KemKey.from_secret(SECRET).open(bytes(size))


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_seed_of_another_size_is_refused(size):
    with pytest.raises(DecodeError, match="seed"):
        KemKey.from_seed(bytes(size))


def malformed_publics():
    public = KemKey.from_secret(SECRET).public
    # Two 12-bit coefficients in three bytes: 0xfff is above q - 1 = 3328, in the first place and in the last.
    return [
        b"",
        public[:-1],
        public + b"\0",
        b"\xff" * 3 + public[3:],
        public[:1149] + b"\xff" * 3 + public[1152:],
    ]


@pytest.mark.parametrize("which", range(5))
def test_a_malformed_public_key_is_refused_before_anything_is_sent_to_it(which):
    for refuse in (check_kem_public, encapsulate):
        with pytest.raises(ProtocolError, match="ML-KEM-768 public key"):
            refuse(malformed_publics()[which])


def test_a_well_formed_public_key_passes():
    check_kem_public(KemKey.from_secret(SECRET).public)


def test_repr_shows_the_public_half_only():
    shown = repr(KemKey.from_secret(SECRET))
    assert KemKey.from_secret(SECRET).public[:16].hex() in shown
    assert len(shown) < 80
