"""The file under the ledger: whole or absent, durable, and readable about every failure."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from securefl.errors import LedgerError
from securefl.privacy import database as module
from securefl.privacy.database import Database, open_database


def initialise(database: Database) -> None:
    database.rows("CREATE TABLE things (name TEXT PRIMARY KEY)")


def opened(path: Path, create: bool = True) -> Database:
    return open_database(path, initialise, create)


def put(database: Database, name: str) -> None:
    database.rows("INSERT INTO things VALUES (?)", (name,))


def names(database: Database) -> list[object]:
    return [row[0] for row in database.rows("SELECT name FROM things ORDER BY name")]


@pytest.fixture
def database(tmp_path: Path):
    with_things = opened(tmp_path / "file")
    yield with_things
    with_things.close()


def test_the_settings_that_durability_and_forgetting_rest_on_are_in_force(database: Database) -> None:
    for pragma, expected in (("journal_mode", "delete"), ("synchronous", 3), ("secure_delete", 1)):
        assert database.rows(f"PRAGMA {pragma}") == [(expected,)]


def test_a_new_file_is_for_its_owner_only_and_leaves_nothing_beside_it(
    database: Database, tmp_path: Path
) -> None:
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_transaction_keeps_all_or_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.transaction():
        put(database, "a")
        raise KeyError
    with database.transaction():
        put(database, "b")
    assert names(database) == ["b"]


def test_an_inner_block_that_raises_undoes_its_own_writes_only(database: Database) -> None:
    with database.transaction():
        put(database, "outer")
        with pytest.raises(KeyError), database.transaction():
            put(database, "inner")
            raise KeyError
        with database.transaction():
            put(database, "second")
    assert names(database) == ["outer", "second"]


def test_inner_blocks_are_not_durable_before_the_outer_one_is(database: Database) -> None:
    with pytest.raises(KeyError), database.transaction():
        with database.transaction():
            put(database, "inner")
        raise KeyError
    assert names(database) == []


def test_a_missing_file_is_refused_where_one_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="forget the spent budget"):
        opened(tmp_path / "none", create=False)
    assert os.listdir(tmp_path) == []


def test_an_empty_file_is_damage_and_not_a_new_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="0 bytes"):
        opened(tmp_path / "file")


def test_files_of_others_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text", tmp_path / "foreign"
    text.write_text("certainly no database, " * 100)
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    for path, message in ((text, "not a database.*restore it"), (foreign, "not a securefl ledger")):
        before = path.read_bytes()
        with pytest.raises(LedgerError, match=message):
            opened(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["no/such/folder/file", "."])
def test_a_path_that_cannot_be_a_file_is_refused_with_advice(tmp_path: Path, path: str) -> None:
    with pytest.raises(LedgerError, match="folder that exists"):
        opened(tmp_path / path)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write read-only files, so a test that runs as root steps down for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_file_can_be_read_and_is_refused_for_writing_with_advice() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        opened(path).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with unprivileged():
            database = opened(path)
            assert names(database) == []
            with pytest.raises(LedgerError, match="must be writable"), database.transaction():
                put(database, "a")
            database.close()
            with pytest.raises(LedgerError, match="must be writable"):
                opened(Path(folder) / "new")
        Path(folder).chmod(0o755)


def test_a_full_disk_loses_the_transaction_and_nothing_else(database: Database) -> None:
    with database.transaction():
        put(database, "before")
    (pages,) = database.rows("PRAGMA page_count")[0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="free some disk space"), database.transaction():
        put(database, "x" * 100_000)
    assert names(database) == ["before"]
    with database.transaction():
        put(database, "after")
    assert names(database) == ["after", "before"]


def test_a_file_held_by_another_is_waited_for_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    one, two = opened(tmp_path / "file"), opened(tmp_path / "file")
    with one.transaction(), pytest.raises(LedgerError, match="another process holds"), two.transaction():
        pass
    with two.transaction():
        put(two, "later")
    assert names(one) == ["later"]
    one.close()
    two.close()


def test_a_connection_that_crossed_a_fork_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    with pytest.raises(LedgerError, match="fork"):
        names(database)


def test_two_creators_end_up_with_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def slow(database: Database) -> None:
        initialise(database)
        if not path.exists():  # another process is faster
            first = opened(path)
            with first.transaction():
                put(first, "first")
            first.close()

    second = open_database(path, slow, True)
    assert names(second) == ["first"]
    assert os.listdir(tmp_path) == ["file"]
    second.close()


def test_deleted_content_is_gone_from_the_file(database: Database, tmp_path: Path) -> None:
    secret = "a-secret-that-must-go"
    with database.transaction():
        put(database, secret)
    assert secret.encode() in (tmp_path / "file").read_bytes()
    with database.transaction():
        database.rows("DELETE FROM things")
    assert secret.encode() not in (tmp_path / "file").read_bytes()
