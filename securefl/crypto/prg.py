"""Masks: 32-byte seeds expanded by AES-256 in counter mode and added to a vector in place.

Rules kept here:
- A mask is uniform on the whole word (2^32 or 2^64), so it is uniform in every smaller ring of
  2^bits as well; addition wraps natively and exactly.
- A mask is generated in chunks that stay in the cache and is never held whole. Several masks pass over
  the vector together, so that a long vector travels through memory once per batch, not once per mask.
- Words are read from the keystream in little-endian order on every machine, so that two parties with
  one seed agree whatever their processors.

What this file does NOT do: derive seeds (`securefl.crypto.keys.derive`). A seed must key one mask only:
two masks from one seed are equal.

Reference: Bonawitz et al. 2017, section 4 (masking with a PRG); NIST SP 800-38A section 6.5 (CTR).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

SEED_BYTES = 32
# Measured: zeros, keystream and words of this size stay in the cache, and smaller chunks pay more for calls.
_CHUNK_BYTES = 1 << 18
# Bounds what the ciphers of one pass over the vector take, about a kilobyte each.
_BATCH = 256
_BLOCK_BYTES = 16
_ZEROS = memoryview(bytes(_CHUNK_BYTES))


def add_mask(words: NDArray[np.unsignedinteger], seed: bytes, sign: int) -> None:
    """Add (`sign` = 1) or subtract (`sign` = -1) the mask of `seed`, in place, modulo the word size.

    Args:
        words: a contiguous, writable vector of uint32 or uint64; it is changed.
        seed: 32 bytes, secret, used for this one mask.
        sign: 1 or -1.

    Guarantee: who does not know `seed` cannot tell the result from uniform words (AES-256 as a
    pseudorandom permutation, up to the birthday bound of 2^64 blocks).

    Shapes: words (count,).

    Example:
        >>> words = np.arange(3, dtype=np.uint32)
        >>> add_mask(words, bytes(32), 1)
        >>> add_mask(words, bytes(32), -1)
        >>> words.tolist()
        [0, 1, 2]
    """
    add_masks(words, [(seed, sign)])


def add_masks(words: NDArray[np.unsignedinteger], masks: Iterable[tuple[bytes, int]]) -> None:
    """What `add_mask` does for every (seed, sign), with fewer passes over a long vector.

    Either all masks are added or, if one of them is malformed, none.
    """
    listed = list(masks)
    _check(words, listed)
    for first in range(0, len(listed), _BATCH):
        _add_batch(words, listed[first : first + _BATCH])


def _add_batch(words: NDArray[np.unsignedinteger], masks: Sequence[tuple[bytes, int]]) -> None:
    turns = [(_cipher(seed), np.add if sign == 1 else np.subtract) for seed, sign in masks]
    # The cipher wants a block of slack behind the bytes that it writes.
    chunk_bytes = min(_CHUNK_BYTES, words.nbytes)
    buffer = np.empty(chunk_bytes + _BLOCK_BYTES, dtype=np.uint8)
    keystream = buffer[:chunk_bytes].view(words.dtype.newbyteorder("<"))
    target = buffer.data
    for start in range(0, words.size, keystream.size or 1):
        part = words[start : start + keystream.size]
        zeros, mask = _ZEROS[: part.nbytes], keystream[: part.size]
        for cipher, accumulate in turns:
            cipher.update_into(zeros, target)
            accumulate(part, mask, out=part)


def _cipher(seed: bytes) -> CipherContext:
    return Cipher(algorithms.AES256(seed), modes.CTR(bytes(_BLOCK_BYTES))).encryptor()


def _check(words: NDArray[np.unsignedinteger], masks: Sequence[tuple[bytes, int]]) -> None:
    if words.dtype not in (np.uint32, np.uint64) or words.ndim != 1:
        raise ValueError(f"a mask needs a vector of uint32 or uint64, got {words.dtype}, {words.shape}")
    if not (words.flags.c_contiguous and words.flags.writeable):
        raise ValueError("a mask is added in place: expected a contiguous, writable vector; copy it first")
    for seed, sign in masks:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a mask seed has {SEED_BYTES} bytes, got {len(seed)}")
        if sign not in (1, -1):
            raise ValueError(f"a mask is added with sign 1 or -1, got {sign}")
