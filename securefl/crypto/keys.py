"""Signing identities and key agreement: Ed25519, X25519 and HKDF-SHA256.

Rules kept here:
- Every private key is 32 bytes from a `Stream`, so a replayable stream replays the keys.
- A signature names its purpose: the signed bytes start with a length-prefixed domain, and no two
  (domain, message) pairs share an encoding.
- An agreed secret is never used raw: HKDF binds the caller's label and both public keys, in sorted
  order so that both ends derive the same bytes.
- A peer's public key that forces the all-zero secret is refused. Verification raises.

What this file does NOT do: pin or exchange public keys, and it promises nothing about wiping memory
(Python cannot). A small-order Ed25519 public key is not refused: rosters pin keys before use.

Reference: RFC 7748 section 6.1 (X25519), RFC 8032 section 5.1 (Ed25519), RFC 5869 (HKDF).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from securefl.crypto.randomness import Stream
from securefl.errors import DecodeError, ProtocolError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_SIGNATURE_PREFIX = b"securefl signature v1"
_AGREEMENT_PREFIX = b"securefl agreement v1"


class Identity:
    """A long-term Ed25519 signing key. Its `repr` shows the public half only.

    Guarantee: without the private bytes nobody produces a signature that `verify` accepts under
    `public`, for any domain and message that this identity has not signed (EUF-CMA of Ed25519).

    Example:
        >>> identity = Identity.from_bytes(bytes(32))
        >>> signature = identity.sign(b"greeting", b"hello")
        >>> verify(identity.public, b"greeting", b"hello", signature)
        >>> verify(identity.public, b"farewell", b"hello", signature)
        Traceback (most recent call last):
            ...
        securefl.errors.ProtocolError: ...
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, stream: Stream) -> Identity:
        """A fresh identity from the next 32 bytes of `stream`."""
        return cls.from_bytes(stream.take(KEY_BYTES))

    @classmethod
    def from_bytes(cls, private: bytes) -> Identity:
        """The identity with these 32 private bytes (the RFC 8032 seed)."""
        _expect(private, KEY_BYTES, "an Ed25519 private key")
        return cls(Ed25519PrivateKey.from_private_bytes(private))

    @property
    def private_bytes(self) -> bytes:
        """The 32 private bytes, for the owner's own storage."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        """The 32 public bytes that others pin."""
        return self._public

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """64 bytes that vouch for `message` under the purpose `domain`."""
        return self._key.sign(_signed_bytes(domain, message))

    def __repr__(self) -> str:
        return f"Identity(public={self._public.hex()})"


def verify(public: bytes, domain: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` by `public` covers `message` under `domain`.

    Raises:
        ProtocolError: the signature does not match, or an input has the wrong size.
    """
    _expect(public, KEY_BYTES, "an Ed25519 public key")
    _expect(signature, SIGNATURE_BYTES, "an Ed25519 signature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed_bytes(domain, message))
    except (InvalidSignature, ValueError) as error:
        label = domain.decode("ascii", "replace")
        raise ProtocolError(
            f"expected a signature of {public.hex()[:16]}... under the purpose {label!r}, got one that does "
            "not match; discard the message"
        ) from error


class AgreementKey:
    """A short-lived X25519 key pair. Its `repr` shows the public half only.

    Guarantee: who sees both public keys but neither private key cannot tell `agree` from random bytes
    (gap Diffie-Hellman on Curve25519, HKDF as a random oracle).
    """

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, stream: Stream) -> AgreementKey:
        """A fresh key pair from the next 32 bytes of `stream`."""
        return cls.from_bytes(stream.take(KEY_BYTES))

    @classmethod
    def from_bytes(cls, private: bytes) -> AgreementKey:
        """The key pair with these 32 private bytes (clamped by X25519 itself)."""
        _expect(private, KEY_BYTES, "an X25519 private key")
        return cls(X25519PrivateKey.from_private_bytes(private))

    @property
    def private_bytes(self) -> bytes:
        """The 32 private bytes, for secret sharing and for the owner's own storage."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        """The 32 public bytes that peers need."""
        return self._public

    def agree(self, peer_public: bytes, info: bytes, also: bytes = b"") -> bytes:
        """32 bytes that only the two key holders know, bound to `info` and to both public keys.

        `also` is a second shared secret of fixed size; the result is secret as long as one of both is.

        Raises:
            ProtocolError: `peer_public` has the wrong size or yields the all-zero secret.
        """
        _expect(peer_public, KEY_BYTES, "an X25519 public key")
        first, second = sorted((self._public, peer_public))
        return derive(self._shared(peer_public) + also, _AGREEMENT_PREFIX + first + second + info)

    def _shared(self, peer_public: bytes) -> bytes:
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(peer_public))
        except ValueError as error:
            raise ProtocolError(
                f"expected an X25519 public key of full order, got {peer_public.hex()[:16]}..., which gives "
                "the all-zero secret; discard the message"
            ) from error

    def __repr__(self) -> str:
        return f"AgreementKey(public={self._public.hex()})"


def derive(secret: bytes, info: bytes, size: int = KEY_BYTES, salt: bytes = b"") -> bytes:
    """HKDF-SHA256: `size` bytes from `secret` for the purpose `info`.

    Guarantee: distinct `info` gives independent bytes as long as `secret` has full entropy.

    Example:
        >>> derive(bytes(32), b"a") != derive(bytes(32), b"b")
        True
    """
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt or None, info=info).derive(secret)


def _signed_bytes(domain: bytes, message: bytes) -> bytes:
    return _SIGNATURE_PREFIX + len(domain).to_bytes(4, "big") + domain + message


def _expect(data: bytes, size: int, noun: str) -> None:
    if len(data) != size:
        raise DecodeError(f"{noun} has {size} bytes, got {len(data)}; discard it")
