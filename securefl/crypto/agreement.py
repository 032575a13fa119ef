"""Key pairs of one attempt: X25519, or X25519 with ML-KEM-768 beside it.

Rules kept here:
- A pair is a function of 32 secret bytes, which may be secret-shared. Each half gets its own one-way
  expansion of them: whoever breaks one half learns nothing about the other.
- An agreed key depends on both halves: HKDF over the X25519 secret and the KEM secret, bound to the caller's
  label and to both whole public keys.
- X25519 needs both public keys and no message. A KEM needs one: who offers sends a ciphertext, who accepts
  opens it.

What this file does NOT do: authenticate public keys or ciphertexts; the protocol signs them.

Reference: RFC 7748; FIPS 203; for the combination, Barbosa et al. 2024 (X-Wing), section 4.
"""

from __future__ import annotations

import hashlib

from securefl.crypto.kem import KEM_PUBLIC_BYTES, KemKey, check_kem_public
from securefl.crypto.keys import KEY_BYTES, AgreementKey, derive
from securefl.errors import DecodeError, ProtocolError

_LABEL = b"securefl x25519 v1"


class KeyPair:
    """A short-lived key pair for agreement. Its `repr` shows the public half only.

    Args:
        secret: 32 bytes.
        hybrid: whether ML-KEM-768 stands beside X25519.

    Example:
        >>> one, other = KeyPair(bytes(32), hybrid=False), KeyPair(bytes(31) + b"!", hybrid=False)
        >>> one.agree(other.public, b"mask") == other.agree(one.public, b"mask")
        True
    """

    def __init__(self, secret: bytes, hybrid: bool) -> None:
        self.secret = secret
        self._x25519 = AgreementKey.from_bytes(derive(secret, _LABEL))
        self._kem = KemKey.from_secret(secret) if hybrid else None

    @property
    def hybrid(self) -> bool:
        """Whether ML-KEM-768 stands beside X25519."""
        return self._kem is not None

    @property
    def public(self) -> bytes:
        """What peers need: 32 bytes, or 1,216 under hybrid agreement."""
        return self._x25519.public + (b"" if self._kem is None else self._kem.public)

    def open(self, ciphertext: bytes) -> bytes:
        """The KEM secret that somebody offered to this pair. Hybrid pairs only."""
        if self._kem is None:
            raise ProtocolError("expected no KEM ciphertext for an X25519 pair, got one; discard the message")
        return self._kem.open(ciphertext)

    def agree(self, peer_public: bytes, info: bytes, kem_secret: bytes = b"") -> bytes:
        """32 bytes that only the two owners know, bound to `info` and to both public keys.

        Args:
            peer_public: the peer's whole public key.
            info: the purpose.
            kem_secret: what one of both offered and the other opened; empty without a KEM.

        Raises:
            ProtocolError: `peer_public` has the wrong size or yields the all-zero secret.
        """
        check_public(peer_public, self.hybrid)
        publics = hashlib.sha256(b"".join(sorted((self.public, peer_public)))).digest()
        return self._x25519.agree(peer_public[:KEY_BYTES], publics + info, also=kem_secret)

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public[:16].hex()}...)"


def kem_public(public: bytes) -> bytes:
    """The ML-KEM half of a hybrid public key."""
    return public[KEY_BYTES:]


def check_public(public: bytes, hybrid: bool) -> None:
    """Return if `public` has the form of a public key of this agreement.

    Raises:
        ProtocolError: it has another size, or its ML-KEM half is malformed.
    """
    size = KEY_BYTES + (KEM_PUBLIC_BYTES if hybrid else 0)
    if len(public) != size:
        raise DecodeError(f"a public key of this agreement has {size} bytes, got {len(public)}; discard it")
    if hybrid:
        check_kem_public(kem_public(public))
