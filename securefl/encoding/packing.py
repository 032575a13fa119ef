"""Ring vectors on the wire: exactly `ring_bits` bits per coordinate, any width from 1 to 64.

Rules kept here:
- The bits of coordinate i are bits i * ring_bits, ..., (i + 1) * ring_bits - 1 of one little-endian
  number; the last byte is filled up with zero bits.
- One vector has one encoding: words are reduced modulo 2^ring_bits before packing, and unpacking
  accepts no other length and no other padding.
- Work is done in blocks that stay in the cache, without a Python loop over coordinates. So a vector can
  be packed into its own memory: a block is read before its bytes are written, and never ahead of them.

What this file does NOT do: bound `count`. The caller knows the agreed length and caps it before
anything is allocated.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DecodeError

_WORD_BITS = 64
_LANE_BYTES = 8
_BLOCK_COORDINATES = 1 << 16
_LITTLE = np.dtype("<u8")


def packed_size(count: int, ring_bits: int) -> int:
    """Bytes that `count` coordinates of `ring_bits` bits take.

    Example:
        >>> packed_size(3, 11)
        5
    """
    return (count * ring_bits + 7) // 8


def ring_dtype(ring_bits: int) -> type[np.uint32] | type[np.uint64]:
    """The native word that a ring of so many bits wraps in."""
    return np.uint32 if ring_bits <= 32 else np.uint64


def pack(words: NDArray[np.unsignedinteger], ring_bits: int) -> bytes:
    """The canonical bytes of a vector modulo 2^ring_bits. Shapes: words (count,).

    Example:
        >>> pack(np.array([1, 2, 9], dtype=np.uint32), 3).hex()
        '5100'
    """
    _check_width(ring_bits)
    packed = np.empty(packed_size(words.size, ring_bits), dtype=np.uint8)
    _pack_into(packed, words, ring_bits)
    return packed.tobytes()


def pack_in_place(words: NDArray[np.unsignedinteger], ring_bits: int) -> memoryview:
    """What `pack` gives, written over the front of `words`; the vector is gone afterwards.

    The result is read-only and keeps the memory of `words` alive. Shapes: words (count,).

    Example:
        >>> bytes(pack_in_place(np.array([1, 2, 9], dtype=np.uint32), 3)).hex()
        '5100'
    """
    _check_width(ring_bits)
    if words.dtype not in (np.uint32, np.uint64) or words.ndim != 1:
        raise ValueError(f"packing needs a vector of uint32 or uint64, got {words.dtype}, {words.shape}")
    if not (words.flags.c_contiguous and words.flags.writeable):
        raise ValueError("packing in place needs a contiguous, writable vector; copy it first, or use pack")
    _check_fits(ring_bits, words.dtype)
    packed = words.view(np.uint8)[: packed_size(words.size, ring_bits)]
    _pack_into(packed, words, ring_bits)
    return packed.data.toreadonly()


def unpack(
    data: bytes | memoryview, ring_bits: int, count: int, dtype: type[np.uint32] | type[np.uint64]
) -> NDArray[np.unsignedinteger]:
    """The `count` words behind canonical bytes. Shapes: (count,).

    Raises:
        DecodeError: `data` has another length, or its padding bits are not zero.

    Example:
        >>> unpack(bytes.fromhex("5100"), 3, 3, np.uint32).tolist()
        [1, 2, 1]
    """
    _check_width(ring_bits)
    _check_fits(ring_bits, np.dtype(dtype))
    _check_canonical(data, ring_bits, count)
    period, lanes = _period(ring_bits)
    source, words = np.frombuffer(data, dtype=np.uint8), np.empty(count, dtype=dtype)
    whole = count // period
    for first, last in _blocks(whole, period):
        part = words[first * period : last * period].reshape(-1, period)
        part[:] = _unpack_block(_lanes_of(source, first, last, lanes), ring_bits, period)
    if count % period:
        rest = np.zeros(lanes * _LANE_BYTES, dtype=np.uint8)
        rest[: source.size - whole * rest.size] = source[whole * rest.size :]
        group = _unpack_block(_lanes_of(rest, 0, 1, lanes), ring_bits, period)
        words[whole * period :] = group[0, : count % period]
    return words


def _pack_into(target: NDArray[np.uint8], words: NDArray[np.unsignedinteger], ring_bits: int) -> None:
    """Writes block after block; `target` may be the front of the memory of `words`."""
    period, lanes = _period(ring_bits)
    whole = words.size // period
    for first, last in _blocks(whole, period):
        values = words[first * period : last * period].reshape(-1, period)
        _lanes_of(target, first, last, lanes)[:] = _pack_block(values, ring_bits, lanes)
    if words.size % period:
        rest = np.zeros((1, period), dtype=words.dtype)
        rest[0, : words.size % period] = words[whole * period :]
        group = _pack_block(rest, ring_bits, lanes).astype(_LITTLE)
        start = whole * lanes * _LANE_BYTES
        target[start:] = group.reshape(-1).view(np.uint8)[: target.size - start]


def _lanes_of(octets: NDArray[np.uint8], first: int, last: int, lanes: int) -> NDArray[np.uint64]:
    """The groups from `first` to `last` as they lie in memory. Shapes: -> (last - first, lanes)."""
    size = lanes * _LANE_BYTES
    return octets[first * size : last * size].view(_LITTLE).reshape(-1, lanes)


def _period(ring_bits: int) -> tuple[int, int]:
    """The smallest number of coordinates that fills whole 64-bit lanes, and the number of lanes."""
    common = gcd(ring_bits, _WORD_BITS)
    return _WORD_BITS // common, ring_bits // common


def _blocks(groups: int, period: int) -> list[tuple[int, int]]:
    size = max(1, _BLOCK_COORDINATES // period)
    return [(first, min(first + size, groups)) for first in range(0, groups, size)]


def _pack_block(values: NDArray[np.unsignedinteger], ring_bits: int, lanes: int) -> NDArray[np.uint64]:
    """Shapes: values (groups, period) -> (groups, lanes)."""
    # Column-major inside the block: every shift below then runs over contiguous memory. Always a copy:
    # the caller's words are not reduced in place, and may be overwritten by this block's bytes.
    columns = np.array(values.T, dtype=np.uint64, order="C", copy=True)
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


def _check_fits(ring_bits: int, dtype: np.dtype[np.unsignedinteger]) -> None:
    if ring_bits > 8 * dtype.itemsize:
        raise ValueError(f"{ring_bits}-bit coordinates do not fit {dtype}; use uint64")


def _check_canonical(data: bytes | memoryview, ring_bits: int, count: int) -> None:
    size = packed_size(count, ring_bits)
    if len(data) != size:
        raise DecodeError(f"{count} coordinates of {ring_bits} bits take {size} bytes, got {len(data)}")
    padding = size * 8 - count * ring_bits
    if padding and data[-1] >> (8 - padding):
        raise DecodeError(f"the last {padding} bits of a packed vector are zero, got others; discard it")
