"""Sealed boxes: a dealer's two shares on their way to one holder, through a server that cannot read them.

Rules kept here:
- A box has its own key, agreed between both channel keys and bound to all keys of the group, to dealer and to
  holder; it is used once. Under hybrid agreement the box starts with a KEM ciphertext for the holder.
- Channel keys are never shared: whoever rebuilds a mask key opens no box.

What this file does NOT do: judge the shares (`masking` holds them against their signed hashes).

Reference: Bonawitz et al. 2017, figure 4, round 1.
"""

from __future__ import annotations

from securefl.crypto import KeyPair, encapsulate, kem_public, open_sealed, seal
from securefl.crypto.kem import KEM_CIPHERTEXT_BYTES
from securefl.errors import PeerFault, ProtocolError
from securefl.secagg import transcript
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.messages import AdvertiseReply
from securefl.secagg.states import SharePair


def seal_box(
    channel: KeyPair, keys: bytes, dealer: int, holder: AdvertiseReply, pair: SharePair, nonce: bytes
) -> bytes:
    """The box with `pair` for the holder.

    Raises:
        ProtocolError: the holder's channel key is unusable.
    """
    ciphertext, secret = b"", b""
    if channel.hybrid:
        ciphertext, secret = encapsulate(kem_public(holder.channel_public))
    data = transcript.box_data(keys, dealer, holder.sender) + ciphertext
    key = channel.agree(holder.channel_public, data, secret)
    return ciphertext + seal(key, record_to_bytes(pair), data, nonce)


def open_box(channel: KeyPair, keys: bytes, dealer: AdvertiseReply, holder: int, box: bytes) -> SharePair:
    """The shares in a box that the dealer signed.

    Raises:
        PeerFault: it does not open; the dealer is at fault.
    """
    size = KEM_CIPHERTEXT_BYTES if channel.hybrid else 0
    ciphertext, sealed = box[:size], box[size:]
    data = transcript.box_data(keys, dealer.sender, holder) + ciphertext
    try:
        secret = channel.open(ciphertext) if size else b""
        key = channel.agree(dealer.channel_public, data, secret)
        return record_from_bytes(SharePair, open_sealed(key, sealed, data))
    except ProtocolError as error:
        raise PeerFault(dealer.sender, f"its signed box for {holder} does not open: {error}") from error
