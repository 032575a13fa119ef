"""The post-quantum half of a hybrid key agreement: ML-KEM-768.

Rules kept here:
- A key pair is a function of 32 secret bytes, so whoever rebuilds them can open what was sent to it. Only a
  one-way expansion of these bytes is used: another primitive may use another expansion of the same ones.
- An encapsulation draws its randomness inside the library, from the operating system. It cannot be repeated,
  under a replayable source neither.
- A ciphertext that was not made for the key opens to a secret that nobody knows (implicit rejection): callers
  hold the secret against a commitment.

What this file does NOT do: stand alone. The secret is combined with an X25519 secret under HKDF
(`securefl.crypto.keys`), so that breaking either one is not enough.

Reference: FIPS 203 (ML-KEM), algorithms 19 to 21.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from securefl.crypto.keys import derive
from securefl.errors import DecodeError, ProtocolError

KEM_PUBLIC_BYTES = 1184
KEM_CIPHERTEXT_BYTES = 1088
KEM_SECRET_BYTES = 32
SEED_BYTES = 64
_LABEL = b"securefl mlkem768 v1"


class KemKey:
    """An ML-KEM-768 key pair. Its `repr` shows the public half only.

    Guarantee: who sees the public key and a ciphertext, but not the private bytes, cannot tell the secret
    from random bytes (IND-CCA2 of ML-KEM-768).

    Example:
        >>> key = KemKey.from_secret(bytes(32))
        >>> ciphertext, secret = encapsulate(key.public)
        >>> key.open(ciphertext) == secret
        True
    """

    def __init__(self, key: MLKEM768PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def from_secret(cls, secret: bytes) -> KemKey:
        """The key pair that 32 secret bytes give."""
        return cls.from_seed(derive(secret, _LABEL, SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> KemKey:
        """The key pair of a 64-byte seed `d || z` (FIPS 203, algorithm 16)."""
        if len(seed) != SEED_BYTES:
            raise DecodeError(f"an ML-KEM seed has {SEED_BYTES} bytes, got {len(seed)}; discard it")
        return cls(MLKEM768PrivateKey.from_seed_bytes(seed))

    @property
    def public(self) -> bytes:
        """The 1,184 public bytes that peers need."""
        return self._public

    def open(self, ciphertext: bytes) -> bytes:
        """The 32-byte secret behind a ciphertext of 1,088 bytes.

        Raises:
            DecodeError: the ciphertext has another size.
        """
        if len(ciphertext) != KEM_CIPHERTEXT_BYTES:
            raise DecodeError(f"an ML-KEM-768 ciphertext has 1,088 bytes, got {len(ciphertext)}; discard it")
        return self._key.decapsulate(ciphertext)

    def __repr__(self) -> str:
        return f"KemKey(public={self._public[:16].hex()}...)"


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """A fresh (ciphertext, secret) for the owner of `public`.

    Raises:
        ProtocolError: `public` is no ML-KEM-768 key.
    """
    secret, ciphertext = _public_key(public).encapsulate()
    return ciphertext, secret


def check_kem_public(public: bytes) -> None:
    """Return if `public` is a well-formed ML-KEM-768 key (FIPS 203, section 7.2).

    Raises:
        ProtocolError: it is not.
    """
    _public_key(public)


def _public_key(public: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise ProtocolError(
            f"expected an ML-KEM-768 public key of 1,184 bytes, got {public[:16].hex()}...; discard it"
        ) from error
