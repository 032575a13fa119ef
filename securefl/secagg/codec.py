"""Records as bytes: one canonical binary encoding for every message and every step state.

A record is a frozen dataclass whose annotated field types ARE its wire format:

    Annotated[int, Uint(4)]              big-endian integer of that many bytes
    Annotated[bytes, Fixed(32)]          exactly that many bytes
    Annotated[bytes, Blob(256)]          u32 length, then at most that many bytes
    Annotated[tuple[X, ...], Many(64)]   u32 count, then at most that many X
    another record                       its fields, one after the other

Rules kept here:
- One value has one encoding and only that encoding is read: fixed widths, no optional parts, no
  trailing bytes, and a `Many` is strictly ascending in X's first field (so nothing is listed twice)
  unless it is marked as a sequence.
- Counts and lengths are held against their caps and against the bytes that are there BEFORE anything
  is allocated. Records nest only as deep as their types do.
- A `Format` is a closed set of records: magic, version and kind come first, anything else is refused.
- Long blobs, such as models and vectors, are not copied on the way in: a `Blob` whose limit is above
  `COPIED_BLOB_BYTES` is read as a read-only memoryview, which equals and hashes like its bytes and keeps
  the message alive. On the way out every byte is copied once, into the encoding.

What this file does NOT do: judge values beyond their size. Meaning is checked where it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter, lt
from typing import Annotated, NamedTuple, TypeGuard, TypeVar, cast, get_args, get_origin, get_type_hints

from securefl.errors import DecodeError

R = TypeVar("R")
VERSION = 1
COPIED_BLOB_BYTES = 4096
"""Blobs with a limit up to here are read as bytes of their own, longer ones as views into the message."""
Octets = bytes | memoryview
_COUNT_BYTES = 4


@dataclass(frozen=True)
class Uint:
    """An unsigned big-endian integer of `size` bytes."""

    size: int


@dataclass(frozen=True)
class Fixed:
    """Exactly `size` bytes."""

    size: int


@dataclass(frozen=True)
class Blob:
    """At most `limit` bytes, with their length in front; see `COPIED_BLOB_BYTES` for how it is read."""

    limit: int


@dataclass(frozen=True)
class Many:
    """At most `limit` items, with their count in front; ascending and distinct unless a sequence."""

    limit: int
    sequence: bool = False


@dataclass(frozen=True)
class Format:
    """A closed set of records that share a magic.

    Attributes:
        magic: 4 bytes that open every encoding.
        kinds: number on the wire -> record class.
    """

    magic: bytes
    kinds: Mapping[int, type]

    def to_bytes(self, record: object) -> bytes:
        """The canonical bytes of `record`, whose class is one of `kinds`."""
        kind = next(number for number, cls in self.kinds.items() if cls is type(record))
        return _written(record, self.magic + bytes((VERSION, kind)))

    def from_bytes(self, data: Octets) -> object:
        """The record behind canonical bytes.

        Raises:
            DecodeError: anything but exactly one canonical record of this format.
        """
        start = len(self.magic)
        if data[:start] != self.magic or len(data) < start + 2:
            raise DecodeError(
                f"expected a message that starts with {self.magic!r}, got {bytes(data[:start])!r}"
            )
        version, kind = data[start], data[start + 1]
        if version != VERSION:
            raise DecodeError(f"expected version {VERSION}, got {version}; both ends need the same securefl")
        if kind not in self.kinds:
            raise DecodeError(f"expected one of the kinds {sorted(self.kinds)}, got {kind}; discard it")
        return _read_whole(self.kinds[kind], data, start + 2)


def record_to_bytes(record: object) -> bytes:
    """The fields of `record` without magic, version and kind."""
    return _written(record, b"")


def record_from_bytes(cls: type[R], data: Octets) -> R:
    """The record behind `record_to_bytes`.

    Raises:
        DecodeError: anything but exactly one canonical `cls`.
    """
    return cast(R, _read_whole(cls, data, 0))


class _Reader:
    """A cursor over bytes from outside; it never hands out more than is there."""

    def __init__(self, data: Octets, position: int) -> None:
        self._data = memoryview(data).toreadonly()
        self._position = position

    @property
    def remaining(self) -> int:
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        return bytes(self.view(size))

    def view(self, size: int) -> memoryview:
        start, end = self._position, self._position + size
        if end > len(self._data):
            raise DecodeError(f"expected {size} more bytes, got {self.remaining}: the message is cut short")
        self._position = end
        return self._data[start:end]


class _Codec(NamedTuple):
    """How one type is written and read; `least` is its smallest size in bytes."""

    write: Callable[[list[Octets], object], None]
    read: Callable[[_Reader], object]
    least: int


def _written(record: object, head: bytes) -> bytes:
    chunks: list[Octets] = [head]
    cls: type = type(record)
    _codec_of(cls).write(chunks, record)
    return b"".join(chunks)


def _read_whole(cls: type, data: Octets, start: int) -> object:
    reader = _Reader(data, start)
    record = _codec_of(cls).read(reader)
    if reader.remaining:
        raise DecodeError(f"expected the message to end, got {reader.remaining} more bytes; discard it")
    return record


@cache
def _codec_of(cls: type) -> _Codec:
    if not is_dataclass(cls):
        raise TypeError(f"only dataclasses are records, got {cls!r}")
    hints = get_type_hints(cls, include_extras=True)
    parts = [(field.name, _codec_for(hints[field.name])) for field in fields(cls)]

    def write(chunks: list[Octets], record: object) -> None:
        if type(record) is not cls:
            raise TypeError(f"expected a {cls.__name__}, got {type(record).__name__}")
        for name, part in parts:
            part.write(chunks, getattr(record, name))

    def read(reader: _Reader) -> object:
        return cls(*(part.read(reader) for _, part in parts))

    return _Codec(write, read, sum(part.least for _, part in parts))


def _codec_for(hint: object) -> _Codec:
    if get_origin(hint) is not Annotated:
        if not isinstance(hint, type):
            raise TypeError(f"a record field needs a wire format, got {hint!r}")
        return _codec_of(hint)
    base, mark = get_args(hint)
    match mark:
        case Uint(size):
            return _uint(size)
        case Fixed(size):
            return _fixed(size)
        case Blob(limit):
            return _blob(limit)
        case Many():
            return _many(get_args(base)[0], mark)
    raise TypeError(f"unknown wire format {mark!r}")


def _uint(size: int) -> _Codec:
    def write(chunks: list[Octets], value: object) -> None:
        if not isinstance(value, int) or value < 0 or value >> (8 * size):
            raise ValueError(f"expected an integer from 0 to 2^{8 * size} - 1, got {value!r}")
        chunks.append(value.to_bytes(size, "big"))

    return _Codec(write, lambda reader: int.from_bytes(reader.take(size), "big"), size)


def _fixed(size: int) -> _Codec:
    def write(chunks: list[Octets], value: object) -> None:
        if not isinstance(value, bytes) or len(value) != size:
            raise ValueError(f"expected {size} bytes, got {value!r:.80}")
        chunks.append(value)

    return _Codec(write, lambda reader: reader.take(size), size)


def _blob(limit: int) -> _Codec:
    def write(chunks: list[Octets], value: object) -> None:
        if not _is_octets(value) or len(value) > limit:
            raise ValueError(f"expected at most {limit} bytes, got {value!r:.80}")
        chunks.append(len(value).to_bytes(_COUNT_BYTES, "big"))
        chunks.append(value)

    def read(reader: _Reader) -> object:
        size = _read_count(reader, limit, 1)
        return reader.view(size) if limit > COPIED_BLOB_BYTES else reader.take(size)

    return _Codec(write, read, _COUNT_BYTES)


def _is_octets(value: object) -> TypeGuard[Octets]:
    if isinstance(value, memoryview):
        return value.format == "B" and value.ndim == 1 and value.c_contiguous
    return isinstance(value, bytes)


def _many(hint: object, mark: Many) -> _Codec:
    if get_args(hint)[1:] == (Uint(4),):
        return _ids(mark)
    item = _codec_for(hint)
    key = _order_key(hint)

    def write(chunks: list[Octets], value: object) -> None:
        if not isinstance(value, tuple) or len(value) > mark.limit:
            raise ValueError(f"expected a tuple of at most {mark.limit} items, got {value!r:.80}")
        _check_order(tuple(map(key, value)), mark, ValueError)
        chunks.append(len(value).to_bytes(_COUNT_BYTES, "big"))
        for one in value:
            item.write(chunks, one)

    def read(reader: _Reader) -> object:
        count = _read_count(reader, mark.limit, item.least)
        items = tuple(item.read(reader) for _ in range(count))
        _check_order(tuple(map(key, items)), mark, DecodeError)
        return items

    return _Codec(write, read, _COUNT_BYTES)


def _ids(mark: Many) -> _Codec:
    """`_many` for integers of 4 bytes, all at once: lists of members are the longest that there are."""

    def write(chunks: list[Octets], value: object) -> None:
        if not isinstance(value, tuple) or len(value) > mark.limit:
            raise ValueError(f"expected a tuple of at most {mark.limit} items, got {value!r:.80}")
        try:
            listed = struct.pack(f">{len(value)}I", *value)
        except struct.error as error:
            raise ValueError(f"expected integers from 0 to 2^32 - 1, got {value!r:.80}") from error
        _check_order(value, mark, ValueError)
        chunks += (len(value).to_bytes(_COUNT_BYTES, "big"), listed)

    def read(reader: _Reader) -> object:
        count = _read_count(reader, mark.limit, 4)
        items = struct.unpack(f">{count}I", reader.view(4 * count))
        _check_order(items, mark, DecodeError)
        return items

    return _Codec(write, read, _COUNT_BYTES)


def _read_count(reader: _Reader, limit: int, least: int) -> int:
    count = int.from_bytes(reader.take(_COUNT_BYTES), "big")
    if count > limit or count * least > reader.remaining:
        raise DecodeError(
            f"expected at most {limit} items that fit in {reader.remaining} bytes, got a count of {count}"
        )
    return count


def _order_key(hint: object) -> Callable[[object], int]:
    """Where the id of a list item is: the item itself, or a record's first field."""
    if isinstance(hint, type) and is_dataclass(hint):
        return attrgetter(fields(hint)[0].name)
    return lambda item: cast(int, item)


def _check_order(keys: tuple[int, ...], mark: Many, error: type[Exception]) -> None:
    if not mark.sequence and not all(map(lt, keys, keys[1:])):
        raise error(f"expected a strictly ascending list, got the order {list(keys[:8])}; discard it")
