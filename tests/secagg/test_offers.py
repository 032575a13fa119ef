"""The KEM half of a pair's mask: who offers, who finds it again, and whose fault a wrong one is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.crypto import KeyPair, derive, encapsulate, kem_public, seal
from securefl.errors import PeerFault
from securefl.secagg import offers, transcript
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.messages import HYBRID, X25519, AdvertiseReply, PairOffer

DEALER, HOLDER = 11, 12
KEYS = b"k" * 32
MINE, THEIRS, STRANGER = (KeyPair(letter * 32, True) for letter in (b"d", b"h", b"s"))
BOTH = ((offers.accept, THEIRS), (offers.recover, MINE))
"""Each way to the half, with the key pair that it takes."""


def advertised(pair):
    """What `offer` needs of a holder's key message."""
    return AdvertiseReply(HOLDER, pair.public, pair.public, bytes(32), bytes(64))


@pytest.fixture
def made():
    """An offer as bytes, and its half."""
    return offers.offer(MINE, KEYS, DEALER, advertised(THEIRS))


def refused(get, key, data, keys=KEYS, dealer=DEALER, holder=HOLDER):
    """What is said of an offer that is not used; its dealer must be the culprit."""
    with pytest.raises(PeerFault) as fault:
        get(key, keys, dealer, holder, data)
    assert fault.value.culprit == dealer
    return str(fault.value)


def test_exactly_one_of_a_pair_offers_and_only_under_hybrid_agreement(make_world, start):
    terms = start(make_world()).group.terms
    for one, other in ((3, 4), (4, 3), (3, 3)):
        assert offers.offers_to(replace(terms, agreement=HYBRID), one, other) == (one < other)
        assert not offers.offers_to(replace(terms, agreement=X25519), one, other)


def test_holder_and_rebuilder_find_the_same_half_and_nobody_else_does(made):
    data, half = made
    for get, key in BOTH:
        assert get(key, KEYS, DEALER, HOLDER, data) == half
        refused(get, STRANGER, data)


def test_every_offer_has_a_half_of_its_own():
    assert len({offers.offer(MINE, KEYS, DEALER, advertised(THEIRS))[1] for _ in range(8)}) == 8


@pytest.mark.parametrize("place", [(b"j" * 32, 11, 12), (KEYS, 10, 12), (KEYS, 11, 14), (KEYS, 12, 11)])
def test_an_offer_is_bound_to_the_keys_of_the_group_to_dealer_and_to_holder(made, place):
    for get, key in BOTH:
        refused(get, key, made[0], *place)


def test_a_flipped_bit_that_a_reader_meets_is_the_dealers_fault(made):
    data, half = made
    sealed_at = len(record_from_bytes(PairOffer, data).ciphertext)
    commitment_at = len(data) - 32
    for at in (0, 7, sealed_at - 1, sealed_at, commitment_at - 1, commitment_at, len(data) - 1):
        bent = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        # A holder does not read what is sealed for a rebuilder, nor a rebuilder the ciphertext.
        if at < sealed_at or at >= commitment_at:
            refused(offers.accept, THEIRS, bent)
        else:
            assert offers.accept(THEIRS, KEYS, DEALER, HOLDER, bent) == half
        if at >= sealed_at:
            refused(offers.recover, MINE, bent)
        else:
            assert offers.recover(MINE, KEYS, DEALER, HOLDER, bent) == half


@pytest.mark.parametrize("change", [lambda data: b"", lambda data: data[:-1], lambda data: data + b"\0"])
def test_an_offer_of_another_size_is_the_dealers_fault(made, change):
    for get, key in BOTH:
        assert "does not open" in refused(get, key, change(made[0]))


def test_another_half_than_the_committed_one_is_never_used_by_either_side(made):
    data, _ = made
    offer = record_from_bytes(PairOffer, data)
    box = transcript.pair_box(KEYS, DEALER, HOLDER)
    resealed = seal(derive(MINE.secret, box), b"w" * 32, box, bytes(12))
    another = encapsulate(kem_public(THEIRS.public))[0]
    assert "committed" in refused(offers.recover, MINE, record_to_bytes(replace(offer, sealed=resealed)))
    assert "committed" in refused(offers.accept, THEIRS, record_to_bytes(replace(offer, ciphertext=another)))
    for get, key in BOTH:
        assert "committed" in refused(get, key, record_to_bytes(replace(offer, commitment=bytes(32))))
