"""Reading within caps, finding packaged files, and the hash that names a source."""

import gzip
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.data.source import MIB, content_hash, packaged_file, packaged_folder, read_capped
from securefl.errors import DataError


@given(st.lists(st.binary(max_size=4), max_size=6), st.randoms())
def test_the_hash_ignores_the_order_of_rows_and_nothing_else(rows: list[bytes], random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert content_hash(b"h", rows) == content_hash(b"h", shuffled)
    assert content_hash(b"h", rows) != content_hash(b"h", [*rows, b""])
    assert content_hash(b"h", rows) != content_hash(b"other", rows)


def test_a_gzip_file_and_the_plain_one_read_alike(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"content")
    (tmp_path / "packed").write_bytes(gzip.compress(b"content"))
    assert read_capped(tmp_path / "plain", 7) == read_capped(tmp_path / "packed", 7) == b"content"


def test_a_gzip_bomb_stops_at_the_cap_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(256 * MIB), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(DataError, match="expected at most 1048576 bytes"):
        read_capped(tmp_path / "bomb.gz", MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_a_truncated_or_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(os.urandom(1000))
    for damaged in (packed[:-9], packed[:500] + b"\x00" * 20 + packed[520:], packed[:3]):
        (tmp_path / "damaged.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="whole gzip data"):
            read_capped(tmp_path / "damaged.gz", MIB)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataError, match="expected a regular file"):
            read_capped(path, MIB)


@pytest.mark.parametrize("name", ["missing", "nul\0byte", "missing/missing"])
def test_a_file_that_is_not_there_is_refused_with_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name.split("\0")[0]):
        read_capped(tmp_path / name, MIB)


def test_a_package_is_found_without_running_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "explosive_data_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "table.csv").write_text("a,b")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert packaged_file(package.name, "table.csv", "explosive==1").read_text() == "a,b"
    with pytest.raises(DataError, match=r"expected explosive_data_package/other.csv from explosive==1"):
        packaged_file(package.name, "other.csv", "explosive==1")


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    with pytest.raises(DataError, match="make data"):
        packaged_file("no_such_package_here", "table.csv", "nothing==1.0")


@pytest.mark.parametrize("place", [("this.x", "y"), ("json", "/etc"), ("json", ".."), ("json", "nothing")])
def test_a_packages_folder_is_inside_it_and_found_without_an_import(place: tuple[str, str]) -> None:
    before = set(sys.modules)
    assert packaged_folder(*place) is None
    assert "this" not in set(sys.modules) - before
