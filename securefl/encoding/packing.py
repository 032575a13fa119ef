"""Ring vectors on the wire: exactly `ring_bits` bits per coordinate, any width from 1 to 64.

Rules kept here:
- The bits of coordinate i are bits i * ring_bits, ..., (i + 1) * ring_bits - 1 of one little-endian
  number; the last byte is filled up with zero bits.
- One vector has one encoding: words are reduced modulo 2^ring_bits before packing, and unpacking
  accepts no other length and no other padding.
- Work is done in blocks that stay in the cache, without a Python loop over coordinates.

What this file does NOT do: bound `count`. The caller knows the agreed length and caps it before
anything is allocated.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DecodeError

_WORD_BITS = 64
_BLOCK_COORDINATES = 1 << 16
_LITTLE = np.dtype("<u8")


def packed_size(count: int, ring_bits: int) -> int:
    """Bytes that `count` coordinates of `ring_bits` bits take.

    Example:
        >>> packed_size(3, 11)
        5
    """
    return (count * ring_bits + 7) // 8


def pack(words: NDArray[np.unsignedinteger], ring_bits: int) -> bytes:
    """The canonical bytes of a vector modulo 2^ring_bits. Shapes: words (count,).

    Example:
        >>> pack(np.array([1, 2, 9], dtype=np.uint32), 3).hex()
        '5100'
    """
    _check_width(ring_bits)
    period, lanes = _period(ring_bits)
    groups = -(-words.size // period)
    packed = np.zeros((groups, lanes), dtype=_LITTLE)
    for first, last in _blocks(groups, period):
        values = _padded(words[first * period : last * period], (last - first) * period)
        packed[first:last] = _pack_block(values.reshape(-1, period), ring_bits, lanes)
    return packed.tobytes()[: packed_size(words.size, ring_bits)]


def unpack(
    data: bytes, ring_bits: int, count: int, dtype: type[np.uint32] | type[np.uint64]
) -> NDArray[np.unsignedinteger]:
    """The `count` words behind canonical bytes. Shapes: (count,).

    Raises:
        DecodeError: `data` has another length, or its padding bits are not zero.

    Example:
        >>> unpack(bytes.fromhex("5100"), 3, 3, np.uint32).tolist()
        [1, 2, 1]
    """
    _check_width(ring_bits)
    if ring_bits > 8 * np.dtype(dtype).itemsize:
        raise ValueError(f"{ring_bits}-bit coordinates do not fit {np.dtype(dtype)}; use uint64")
    _check_canonical(data, ring_bits, count)
    period, lanes = _period(ring_bits)
    groups = -(-count // period)
    packed = np.frombuffer(data.ljust(groups * lanes * 8, b"\0"), dtype=_LITTLE).reshape(groups, lanes)
    words = np.empty((groups, period), dtype=dtype)
    for first, last in _blocks(groups, period):
        words[first:last] = _unpack_block(packed[first:last], ring_bits, period)
    return words.reshape(-1)[:count]


def _period(ring_bits: int) -> tuple[int, int]:
    """The smallest number of coordinates that fills whole 64-bit lanes, and the number of lanes."""
    common = gcd(ring_bits, _WORD_BITS)
    return _WORD_BITS // common, ring_bits // common


def _blocks(groups: int, period: int) -> list[tuple[int, int]]:
    size = max(1, _BLOCK_COORDINATES // period)
    return [(first, min(first + size, groups)) for first in range(0, groups, size)]


def _padded(words: NDArray[np.unsignedinteger], size: int) -> NDArray[np.unsignedinteger]:
    if words.size == size:
        return words
    padded = np.zeros(size, dtype=words.dtype)
    padded[: words.size] = words
    return padded


def _pack_block(values: NDArray[np.unsignedinteger], ring_bits: int, lanes: int) -> NDArray[np.uint64]:
    """Shapes: values (groups, period) -> (groups, lanes)."""
    # Column-major inside the block: every shift below then runs over contiguous memory.
    columns = np.ascontiguousarray(values.T, dtype=np.uint64)
    columns &= _mask(ring_bits)
    packed = np.zeros((lanes, values.shape[0]), dtype=np.uint64)
    for index, column in enumerate(columns):
        lane, shift = divmod(index * ring_bits, _WORD_BITS)
        packed[lane] |= column << np.uint64(shift)
        if shift + ring_bits > _WORD_BITS:
            packed[lane + 1] |= column >> np.uint64(_WORD_BITS - shift)
    return packed.T


def _unpack_block(packed: NDArray[np.uint64], ring_bits: int, period: int) -> NDArray[np.uint64]:
    """Shapes: packed (groups, lanes) -> (groups, period)."""
    lanes = np.ascontiguousarray(packed.T, dtype=np.uint64)
    columns = np.empty((period, packed.shape[0]), dtype=np.uint64)
    for index, column in enumerate(columns):
        lane, shift = divmod(index * ring_bits, _WORD_BITS)
        np.right_shift(lanes[lane], np.uint64(shift), out=column)
        if shift + ring_bits > _WORD_BITS:
            column |= lanes[lane + 1] << np.uint64(_WORD_BITS - shift)
    columns &= _mask(ring_bits)
    return columns.T


def _mask(ring_bits: int) -> np.uint64:
    return np.uint64((1 << ring_bits) - 1)


def _check_width(ring_bits: int) -> None:
    if not 1 <= ring_bits <= _WORD_BITS:
        raise ValueError(f"a ring has 1 to {_WORD_BITS} bits, got {ring_bits}")


def _check_canonical(data: bytes, ring_bits: int, count: int) -> None:
    size = packed_size(count, ring_bits)
    if len(data) != size:
        raise DecodeError(f"{count} coordinates of {ring_bits} bits take {size} bytes, got {len(data)}")
    padding = size * 8 - count * ring_bits
    if padding and data[-1] >> (8 - padding):
        raise DecodeError(f"the last {padding} bits of a packed vector are zero, got others; discard it")
