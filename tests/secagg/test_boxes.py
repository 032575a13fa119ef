"""Sealed boxes: only the holder opens one, as its dealer made it; whatever else is the dealer's fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.crypto import KeyPair, SystemRandomness
from securefl.crypto.kem import KEM_CIPHERTEXT_BYTES
from securefl.crypto.seal import NONCE_BYTES
from securefl.errors import PeerFault, ProtocolError
from securefl.secagg.boxes import open_box, seal_box
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.messages import AdvertiseReply
from securefl.secagg.states import SharePair

STREAM = SystemRandomness().stream("box tests")
KEYS, NONCE = b"k" * 32, bytes(NONCE_BYTES)
DEALER, HOLDER = 3, 8
PAIR = SharePair(b"\x01" * 33, b"\x02" * 33, b"\x03" * 16, b"\x04" * 16)


class Two:
    """A dealer and a holder with their channel keys, and what both advertised."""

    def __init__(self, hybrid: bool) -> None:
        self.dealer, self.holder = (KeyPair(STREAM.take(32), hybrid=hybrid) for _ in range(2))
        mask = KeyPair(STREAM.take(32), hybrid=hybrid).public
        self.from_dealer = AdvertiseReply(DEALER, self.dealer.public, mask, b"c" * 32, b"s" * 64)
        self.from_holder = replace(self.from_dealer, sender=HOLDER, channel_public=self.holder.public)

    def sealed(self, pair: SharePair = PAIR) -> bytes:
        return seal_box(self.dealer, KEYS, DEALER, self.from_holder, pair, NONCE)

    def opened(self, box: bytes, keys: bytes = KEYS, holder: int = HOLDER) -> SharePair:
        return open_box(self.holder, keys, self.from_dealer, holder, box)


@pytest.fixture(params=[False, True], ids=["x25519", "hybrid"])
def two(request: pytest.FixtureRequest) -> Two:
    return Two(request.param)


def test_a_holder_gets_the_pair_that_its_dealer_sealed(two: Two) -> None:
    assert two.opened(two.sealed()) == PAIR


def test_a_box_shows_nothing_of_the_shares_and_all_boxes_have_one_size(two: Two) -> None:
    box, other = two.sealed(), two.sealed(replace(PAIR, key_share=b"\x09" * 33))
    for part in (PAIR.key_share, PAIR.seed_share, PAIR.key_salt, PAIR.seed_salt):
        assert part[:8] not in box
    assert len(box) == len(other)


def test_a_flipped_bit_anywhere_is_the_dealers_fault(two: Two) -> None:
    box = two.sealed()
    for at in range(len(box)):
        damaged = bytearray(box)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(PeerFault, match="does not open") as caught:
            two.opened(bytes(damaged))
        assert caught.value.culprit == DEALER


def test_a_box_cut_short_or_made_longer_does_not_open(two: Two) -> None:
    box = two.sealed()
    for size in {0, 1, 11, 12, 28, min(KEM_CIPHERTEXT_BYTES, len(box) - 1), len(box) - 1}:
        with pytest.raises(PeerFault):
            two.opened(box[:size])
    with pytest.raises(PeerFault):
        two.opened(box + b"\0")


def test_a_box_is_bound_to_the_groups_keys_to_its_dealer_and_to_its_holder(two: Two) -> None:
    box = two.sealed()
    with pytest.raises(PeerFault):
        two.opened(box, keys=b"K" * 32)
    with pytest.raises(PeerFault):
        two.opened(box, holder=HOLDER + 1)
    two.from_dealer = replace(two.from_dealer, sender=DEALER + 1)
    with pytest.raises(PeerFault) as caught:
        two.opened(box)
    assert caught.value.culprit == DEALER + 1, "who claims to have dealt it"


def test_nobody_but_the_holder_opens_a_box_not_even_with_the_mask_key(two: Two) -> None:
    box = two.sealed()
    two.holder = KeyPair(STREAM.take(32), hybrid=two.holder.hybrid)
    with pytest.raises(PeerFault):
        two.opened(box)


def test_a_box_that_holds_anything_but_a_pair_of_shares_is_the_dealers_fault(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (b"", record_to_bytes(PAIR)[:-1], record_to_bytes(PAIR) + b"\0"):
        with monkeypatch.context() as patched:
            patched.setattr("securefl.secagg.boxes.record_to_bytes", lambda _, wrong=wrong: wrong)
            box = two.sealed()
        with pytest.raises(PeerFault) as caught:
            two.opened(box)
        assert caught.value.culprit == DEALER


def test_boxes_of_one_kind_of_agreement_do_not_open_under_the_other() -> None:
    plain, hybrid = Two(False), Two(True)
    with pytest.raises(PeerFault):
        hybrid.opened(plain.sealed())
    with pytest.raises(PeerFault):
        plain.opened(hybrid.sealed())


def test_a_holder_whose_channel_key_is_unusable_gets_no_box() -> None:
    two = Two(False)
    two.from_holder = replace(two.from_holder, channel_public=bytes(32))  # the point of order one
    with pytest.raises(ProtocolError):
        two.sealed()
