from __future__ import annotations

import pytest

from securefl.crypto import AgreementKey, KeyPair, check_public, derive, encapsulate, kem_public
from securefl.crypto.kem import KemKey
from securefl.errors import DecodeError, ProtocolError

ONE, OTHER = b"1" * 32, b"2" * 32


def pairs(hybrid: bool) -> tuple[KeyPair, KeyPair]:
    return KeyPair(ONE, hybrid), KeyPair(OTHER, hybrid)


@pytest.mark.parametrize(("hybrid", "size"), [(False, 32), (True, 1216)])
def test_a_public_key_has_the_size_of_its_agreement(hybrid, size):
    one, _ = pairs(hybrid)
    assert len(one.public) == size
    assert one.hybrid is hybrid
    assert len(kem_public(one.public)) == size - 32
    check_public(one.public, hybrid)


def test_both_halves_are_independent_expansions_of_the_secret():
    pair = KeyPair(ONE, hybrid=True)
    x25519 = derive(ONE, b"securefl x25519 v1")
    kem = derive(ONE, b"securefl mlkem768 v1", 64)
    assert pair.public[:32] == AgreementKey.from_bytes(x25519).public
    assert pair.public[32:] == KemKey.from_seed(kem).public
    # Neither is the secret itself, nor a part of the other one.
    assert pair.public[:32] != AgreementKey.from_bytes(ONE).public
    assert len({ONE, x25519, kem[:32], kem[32:]}) == 4


def test_both_owners_agree_without_a_kem():
    one, other = pairs(False)
    assert one.agree(other.public, b"mask") == other.agree(one.public, b"mask")


def test_both_owners_agree_under_hybrid_agreement():
    one, other = pairs(True)
    ciphertext, half = encapsulate(kem_public(other.public))
    opened = other.open(ciphertext)
    assert one.agree(other.public, b"mask", half) == other.agree(one.public, b"mask", opened)


def test_the_agreed_key_depends_on_each_half_and_on_its_purpose():
    one, other = pairs(True)
    half = b"h" * 32
    honest = one.agree(other.public, b"mask", half)
    others = [
        one.agree(other.public, b"mask", b"g" * 32),
        one.agree(other.public, b"mask"),
        one.agree(other.public, b"box", half),
        KeyPair(b"3" * 32, hybrid=True).agree(other.public, b"mask", half),
        KeyPair(ONE, hybrid=False).agree(other.public[:32], b"mask", half),
    ]
    assert honest not in others
    assert len(set(others)) == len(others)


def test_the_agreed_key_is_bound_to_the_whole_public_keys():
    # The X25519 half alone stays, so the shared secret does; the KEM half of the peer is another one.
    one, other = pairs(True)
    mixed = other.public[:32] + KeyPair(b"3" * 32, hybrid=True).public[32:]
    assert one.agree(mixed, b"mask", b"h" * 32) != one.agree(other.public, b"mask", b"h" * 32)


def test_a_wrong_ciphertext_leads_to_another_key_on_one_side_only():
    one, other = pairs(True)
    _, half = encapsulate(kem_public(other.public))
    stray, _ = encapsulate(kem_public(one.public))
    assert one.agree(other.public, b"mask", half) != other.agree(one.public, b"mask", other.open(stray))


def test_an_x25519_pair_opens_no_ciphertext():
    with pytest.raises(ProtocolError, match="no KEM ciphertext"):
        KeyPair(ONE, hybrid=False).open(bytes(1088))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + b"\0", lambda _: b""])
def test_a_public_key_of_another_size_is_refused(hybrid, change):
    one, other = pairs(hybrid)
    for refuse in (lambda key: check_public(key, hybrid), lambda key: one.agree(key, b"mask")):
        with pytest.raises(DecodeError, match="a public key of this agreement"):
            refuse(change(other.public))


def test_a_key_of_the_other_agreement_is_refused():
    for hybrid in (False, True):
        one, _ = pairs(hybrid)
        _, other = pairs(not hybrid)
        with pytest.raises(DecodeError):
            one.agree(other.public, b"mask")


def test_a_malformed_kem_half_is_refused_and_so_is_an_x25519_half_of_small_order():
    one, other = pairs(True)
    with pytest.raises(ProtocolError, match="ML-KEM-768"):
        one.agree(other.public[:32] + b"\xff" * 1184, b"mask")
    with pytest.raises(ProtocolError, match="all-zero secret"):
        one.agree(bytes(32) + other.public[32:], b"mask", b"h" * 32)


@pytest.mark.parametrize("hybrid", [False, True])
def test_repr_shows_no_secret(hybrid):
    assert ONE.hex() not in repr(KeyPair(ONE, hybrid))
    assert ONE.hex()[:16] not in repr(KeyPair(ONE, hybrid))
