"""Authenticated encryption of one message under one key: AES-256-GCM.

Rules kept here:
- The nonce travels in front of the ciphertext: box = nonce (12) || ciphertext || tag (16).
- Associated data is authenticated but not sent; both ends must know it.
- A box that fails raises; nothing of its plaintext is returned.

What this file does NOT do: choose nonces. Under one key a nonce must never repeat, or GCM loses both
secrecy and integrity; callers use a fresh key per direction and message, or a stream's next bytes.

Reference: NIST SP 800-38D (GCM), section 8 for the rule on nonces.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from securefl.errors import DecodeError, ProtocolError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES


def seal(key: bytes, plaintext: bytes, associated_data: bytes, nonce: bytes) -> bytes:
    """Encrypt and authenticate. The box is 28 bytes longer than the plaintext.

    Args:
        key: 32 bytes.
        plaintext: what only the key holders may read.
        associated_data: authenticated, not encrypted, not sent.
        nonce: 12 bytes, never used before under `key`.

    Guarantee: without `key`, a box reveals the length of its plaintext and nothing else, and no other
    pair of box and associated data opens.

    Example:
        >>> box = seal(bytes(32), b"share", b"round 1", bytes(12))
        >>> open_sealed(bytes(32), box, b"round 1")
        b'share'
    """
    _expect_key(key)
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a GCM nonce has {NONCE_BYTES} bytes, got {len(nonce)}")
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated_data)


def open_sealed(key: bytes, box: bytes, associated_data: bytes) -> bytes:
    """The plaintext of a box from `seal`.

    Raises:
        ProtocolError: the key, the box or the associated data is not the one that was sealed.
    """
    _expect_key(key)
    if len(box) < OVERHEAD_BYTES:
        raise DecodeError(f"a sealed box has at least {OVERHEAD_BYTES} bytes, got {len(box)}; discard it")
    try:
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], associated_data)
    except InvalidTag as error:
        raise ProtocolError(
            "expected a box sealed under this key and associated data, got one that does not authenticate; "
            "discard the message"
        ) from error


def _expect_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"an AES-256 key has {KEY_BYTES} bytes, got {len(key)}")
