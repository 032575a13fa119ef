"""Bytes to bytes: keys, sealing, masks, secret sharing and the streams that feed them.

Nothing here knows about clients, rounds or models; `securefl.secagg` gives these pieces a protocol.
The only outside dependency is `cryptography` (and NumPy for mask arithmetic); torch is never imported.

Example:
    >>> from securefl.crypto import AgreementKey, SystemRandomness
    >>> stream = SystemRandomness().stream("keys")
    >>> alice, bob = AgreementKey.generate(stream), AgreementKey.generate(stream)
    >>> alice.agree(bob.public, b"channel") == bob.agree(alice.public, b"channel")
    True
"""

from securefl.crypto.agreement import KeyPair, check_public, kem_public
from securefl.crypto.kem import encapsulate
from securefl.crypto.keys import AgreementKey, Identity, derive, verify
from securefl.crypto.prg import add_mask, add_masks
from securefl.crypto.randomness import Randomness, SeededRandomness, Stream, SystemRandomness
from securefl.crypto.seal import open_sealed, seal
from securefl.crypto.shamir import combine, combine_with, lagrange_at_zero, split

__all__ = [
    "AgreementKey",
    "Identity",
    "KeyPair",
    "Randomness",
    "SeededRandomness",
    "Stream",
    "SystemRandomness",
    "add_mask",
    "add_masks",
    "check_public",
    "combine",
    "combine_with",
    "derive",
    "encapsulate",
    "kem_public",
    "lagrange_at_zero",
    "open_sealed",
    "seal",
    "split",
    "verify",
]
