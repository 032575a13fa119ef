"""The KEM half of the secret behind a pair's mask, under hybrid agreement.

    offer    the lower id encapsulates to the mask key of the higher one; the deal carries the ciphertext, the
             secret sealed under the offerer's own mask secret, and a commitment to it, all signed
    accept   the higher id opens the ciphertext and holds the secret against the commitment
    recover  whoever rebuilds one of both mask secrets gets the half back, from `sealed` or from the
    ciphertext

An encapsulation draws its randomness inside the library, so it cannot be repeated from a rebuilt key: hence
`sealed`. The commitment makes a wrong half a provable fault of its offerer instead of a wrong sum.

Rules kept here: a half that does not match its commitment is never used.

What this file does NOT do: X25519. The mask seed depends on both (`securefl.crypto.agreement`).
"""

from __future__ import annotations

from collections.abc import Callable

from securefl.crypto import KeyPair, derive, encapsulate, kem_public, open_sealed, seal
from securefl.crypto.seal import NONCE_BYTES
from securefl.errors import PeerFault, ProtocolError
from securefl.secagg import transcript
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.messages import HYBRID, AdvertiseReply, PairOffer, Terms

_NONCE = bytes(NONCE_BYTES)  # the key of a sealed half is derived for it alone


def offers_to(terms: Terms, member: int, peer: int) -> bool:
    """Whether `member` is the one of a pair that offers."""
    return terms.agreement == HYBRID and member < peer


def offer(mask: KeyPair, keys: bytes, dealer: int, holder: AdvertiseReply) -> tuple[bytes, bytes]:
    """A `PairOffer` as bytes, and the half that it is about."""
    ciphertext, half = encapsulate(kem_public(holder.mask_public))
    data = transcript.pair_box(keys, dealer, holder.sender)
    sealed = seal(derive(mask.secret, data), half, data, _NONCE)
    commitment = transcript.pair_commitment(keys, dealer, holder.sender, half)
    return record_to_bytes(PairOffer(ciphertext, sealed, commitment)), half


def accept(mask: KeyPair, keys: bytes, dealer: int, holder: int, data: bytes) -> bytes:
    """The half behind the offer of `dealer`, by the mask key of `holder`.

    Raises:
        PeerFault: it is not the one that the dealer committed to.
    """
    return _checked(keys, dealer, holder, data, lambda made: mask.open(made.ciphertext))


def recover(mask: KeyPair, keys: bytes, dealer: int, holder: int, data: bytes) -> bytes:
    """The half behind an offer, by the rebuilt mask key of the `dealer` that made it.

    Raises:
        PeerFault: it is not the one that the dealer committed to.
    """
    box = transcript.pair_box(keys, dealer, holder)
    key = derive(mask.secret, box)
    return _checked(keys, dealer, holder, data, lambda made: open_sealed(key, made.sealed, box))


def _checked(
    keys: bytes, dealer: int, holder: int, data: bytes, half_of: Callable[[PairOffer], bytes]
) -> bytes:
    try:
        made = record_from_bytes(PairOffer, data)
        half = half_of(made)
        sound = transcript.pair_commitment(keys, dealer, holder, half) == made.commitment
    except ProtocolError as error:
        raise PeerFault(dealer, f"its signed offer to {holder} does not open: {error}") from error
    if not sound:
        raise PeerFault(dealer, f"its signed offer to {holder} is not what it committed to; no sum")
    return half
