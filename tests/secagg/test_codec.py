from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Annotated

import pytest

from securefl.errors import DecodeError
from securefl.secagg.codec import Blob, Fixed, Format, Many, Uint, record_from_bytes, record_to_bytes


@dataclass(frozen=True)
class Item:
    id: Annotated[int, Uint(1)]
    data: Annotated[bytes, Fixed(2)]


@dataclass(frozen=True)
class Listed:
    ids: Annotated[tuple[Annotated[int, Uint(4)], ...], Many(3)]


@dataclass(frozen=True)
class Sample:
    count: Annotated[int, Uint(4)]
    blob: Annotated[bytes, Blob(8)]
    items: Annotated[tuple[Item, ...], Many(3)]
    path: Annotated[tuple[Annotated[bytes, Fixed(1)], ...], Many(3, sequence=True)]


SAMPLE = Sample(7, b"abc", (Item(1, b"xx"), Item(4, b"yy")), (b"b", b"a", b"b"))
BYTES = bytes.fromhex("00000007 00000003 616263 00000002 01 7878 04 7979 00000003 62 61 62")
FORMAT = Format(b"TEST", {3: Sample})


def test_a_record_has_the_documented_layout():
    assert record_to_bytes(SAMPLE) == BYTES
    assert record_from_bytes(Sample, BYTES) == SAMPLE
    assert FORMAT.to_bytes(SAMPLE) == b"TEST\x01\x03" + BYTES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BYTES[:-1], "count of 3"),
        (BYTES + b"\0", "more bytes"),
        (b"", "cut short"),
        (BYTES.replace(b"\x04yy", b"\x01yy"), "ascending"),
        (BYTES.replace(b"\x01xx", b"\x05xx"), "ascending"),
        (BYTES.replace(b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x09abc"), "count of 9"),
        (BYTES.replace(b"\x00\x00\x00\x02\x01", b"\xff\xff\xff\xff\x01"), "count of 4294967295"),
    ],
)
def test_anything_but_the_canonical_bytes_is_refused(data, said):
    with pytest.raises(DecodeError, match=said):
        record_from_bytes(Sample, data)


def test_a_list_of_ids_has_the_layout_of_any_list():
    data = bytes.fromhex("00000002 00000005 ffffffff")
    assert record_to_bytes(Listed((5, (1 << 32) - 1))) == data
    assert record_from_bytes(Listed, data) == Listed((5, (1 << 32) - 1))


@pytest.mark.parametrize("ids", [(2, 1), (1, 1), (-1,), (1 << 32,), (1 << 70,), ("a",), [1], (1, 2, 3, 4)])
def test_a_list_of_ids_that_is_not_one_is_never_written(ids):
    with pytest.raises(ValueError, match="expected"):
        record_to_bytes(Listed(ids))


@pytest.mark.parametrize(
    "data",
    [
        "00000002 00000005 00000005",
        "00000002 00000005 00000004",
        "00000002 00000005 000000",
        "00000001 00000005 00",
        "00000004 00000001 00000002 00000003 00000004",
    ],
)
def test_a_list_of_ids_that_is_not_canonical_is_refused(data):
    with pytest.raises(DecodeError):
        record_from_bytes(Listed, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "starts with"),
        (b"TEST", "starts with"),
        (b"TESS\x01\x03" + BYTES, "starts with"),
        (b"TEST\x02\x03" + BYTES, "version"),
        (b"TEST\x01\x04" + BYTES, "kinds"),
    ],
)
def test_another_magic_version_or_kind_is_refused(data, said):
    with pytest.raises(DecodeError, match=said):
        FORMAT.from_bytes(data)


def test_a_lying_count_allocates_nothing():
    @dataclass(frozen=True)
    class Large:
        data: Annotated[bytes, Blob((1 << 32) - 1)]
        many: Annotated[tuple[Annotated[int, Uint(4)], ...], Many(1 << 30)]

    tracemalloc.start()
    for data in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00\x3f\xff\xff\xff"):
        with pytest.raises(DecodeError):
            record_from_bytes(Large, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@dataclass(frozen=True)
class Long:
    id: Annotated[int, Uint(1)]
    vector: Annotated[bytes, Blob(1 << 30)]
    short: Annotated[bytes, Blob(4096)]


@pytest.mark.parametrize("wrap", [bytes, memoryview, bytearray])
def test_a_long_blob_is_read_without_a_copy_and_a_short_one_as_bytes_of_its_own(wrap):
    data = wrap(record_to_bytes(Long(1, bytes(1 << 20), b"short")))
    tracemalloc.start()
    record = record_from_bytes(Long, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 16
    assert type(record.short) is bytes
    assert isinstance(record.vector, memoryview)
    assert record.vector.readonly


def test_a_view_and_its_bytes_are_the_same_value_with_the_same_encoding():
    record = Long(1, b"vector", b"")
    read = record_from_bytes(Long, record_to_bytes(record))
    assert read == record
    assert hash(read) == hash(record)
    assert record_to_bytes(read) == record_to_bytes(record)


def test_writing_copies_a_long_blob_once():
    record = Long(1, memoryview(bytes(1 << 20)), b"")
    form = Format(b"TEST", {3: Long})
    tracemalloc.start()
    written = form.to_bytes(record)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(written) + (1 << 16)


@pytest.mark.parametrize(
    "view",
    [memoryview(bytes(16)).cast("I"), memoryview(bytes(16))[::2], memoryview(bytes(4)).cast("B", (2, 2))],
)
def test_a_view_of_anything_but_plain_bytes_is_not_written(view):
    with pytest.raises(ValueError, match="expected"):
        record_to_bytes(Long(1, view, b""))


@pytest.mark.parametrize("end", range(20))
def test_a_view_that_is_cut_short_is_a_decode_error(end):
    data = memoryview(b"TEST\x01\x03" + record_to_bytes(Long(1, b"vector", b"s")))
    with pytest.raises(DecodeError):
        Format(b"TEST", {3: Long}).from_bytes(data[:end])


@pytest.mark.parametrize(
    "wrong",
    [
        Sample(1 << 32, b"", (), ()),
        Sample(-1, b"", (), ()),
        Sample(1, b"123456789", (), ()),
        Sample(1, b"", (Item(2, b"xx"), Item(1, b"xx")), ()),
        Sample(1, b"", (Item(1, b"xx"),) * 2, ()),
        Sample(1, b"", (Item(1, b"x"),), ()),
        Sample(1, b"", (), (b"a",) * 4),
    ],
)
def test_a_value_without_canonical_bytes_is_not_written(wrong):
    with pytest.raises(ValueError, match="expected"):
        record_to_bytes(wrong)
