"""One SQLite file on which a party's promises rest: created whole, written durably, read suspiciously.

Rules kept here:
- The file comes into being complete or not at all; an empty or foreign file is damage, not a new ledger.
- What a transaction wrote has reached the disk when it exits: rollback journal, synchronous=EXTRA (the
  folder is synced too, so that a power cut cannot bring a used journal back and undo a commit). No
  write-ahead log: committed charges must be in the file itself, since people copy one file, not three.
- Deleted content is overwritten with zeros in the file (secure_delete). Journals, backups and the
  remapping of flash storage are beyond that: forgetting is best effort below the file.
- A connection belongs to one process; used after a fork it raises.
- Every failure of SQLite becomes a LedgerError that says what to do.

What this file does NOT do: know what is in the tables (`ledger`), or protect against whoever may write
the file on purpose (`chain` makes that visible to those who kept a head).

Reference: SQLite documentation, "PRAGMA synchronous" and "Atomic Commit In SQLite".
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from securefl.errors import LedgerError
from securefl.files import sync_folder

APPLICATION_ID = 0x5346_4C31  # "SFL1", shown by file(1)
BUSY_SECONDS = 30.0

Value: TypeAlias = str | int | bytes | None


def checksum(tag: bytes, fields: Sequence[Value]) -> bytes:
    """SHA-256 over the fields of a row under the tag of its table, which shows damage to it."""
    hasher = hashlib.sha256(tag + b"\0")
    for value in fields:
        part = value if isinstance(value, bytes) else repr(value).encode()
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


class Database:
    """An open database file. A resource: close it, or use it as a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._pid = os.getpid()
        self._depth = 0

    def close(self) -> None:
        """Closes the file; an open transaction is rolled back."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable when the outermost block exits.

        An inner block that raises undoes its own writes only, so the outer one may go on without it.

        Raises:
            LedgerError: the file could not be locked, written or synced; nothing of it is kept.
        """
        name = f"level{self._depth}"
        self.rows(f"SAVEPOINT {name}" if self._depth else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            self._undo(name)
            raise
        self._depth -= 1
        try:
            self.rows(f"RELEASE {name}" if self._depth else "COMMIT")
        except LedgerError:
            self._undo(name)
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one state of the file; inside a transaction, that transaction's."""
        if self._connection.in_transaction:
            yield
            return
        self.rows("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def rows(self, statement: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """Runs one statement and returns its rows.

        Raises:
            LedgerError: whatever went wrong, with advice.
        """
        if os.getpid() != self._pid:
            raise LedgerError(f"{self.path}: the ledger crossed a fork; open it again in the child process")
        with readable_errors(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _undo(self, name: str) -> None:
        # After a full disk SQLite may have rolled everything back by itself.
        if not self._connection.in_transaction:
            return
        if self._depth:
            self._connection.execute(f"ROLLBACK TO {name}")
            self._connection.execute(f"RELEASE {name}")
        else:
            self._connection.rollback()


def open_database(path: Path, initialise: Callable[[Database], None], create: bool) -> Database:
    """Opens `path`; where it does not exist and `create` is set, `initialise` fills a new file first.

    Raises:
        LedgerError: missing, empty, unreadable, or not a ledger.
    """
    if not path.exists():
        if not create:
            raise LedgerError(
                f"{path}: no ledger there, but one is expected, because earlier releases are charged in it; "
                "restore the file. Starting an empty one would forget the spent budget"
            )
        _create(path, initialise)
    if path.is_file() and path.stat().st_size == 0:
        raise LedgerError(
            f"{path}: the ledger is empty (0 bytes), expected a file that securefl wrote. Restore it from a "
            "copy, and delete it only if nothing was ever released from this data"
        )
    database = _connect(path)
    try:
        identity = database.rows("PRAGMA application_id")
        if identity != [(APPLICATION_ID,)]:
            raise LedgerError(f"{path}: not a securefl ledger; choose another path for the ledger")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's and the operating system's errors into LedgerError with advice."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # a message may quote damaged text
        raise LedgerError(f"{path}: {error}; {_advice(str(error).lower())}") from error


_ADVICE = {
    ("locked", "busy"): "another process holds the ledger: let it finish, then try again",
    (
        "readonly",
        "read-only",
        "permission",
    ): "the ledger and its folder must be writable, because nothing may "
    "leave before it is charged; change their permissions",
    (
        "full",
        "no space",
        "disk i/o",
    ): "free some disk space and resume; nothing was released that is not charged",
    (
        "unable to open",
        "no such file",
        "directory",
    ): "the path must name a file in a folder that exists and is writable",
    (
        "malformed",
        "not a database",
        "corrupt",
        "decode",
    ): "the file is damaged: restore it from a copy. Do not delete it "
    "to go on, for then the spent budget is unknown",
}


def _advice(text: str) -> str:
    for words, advice in _ADVICE.items():
        if any(word in text for word in words):
            return advice
    return "the ledger could not be used, so nothing was released"


def _create(path: Path, initialise: Callable[[Database], None]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with readable_errors(path):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            database = _connect(temporary)
            try:
                database.rows(f"PRAGMA application_id = {APPLICATION_ID}")
                with database.transaction():
                    initialise(database)
            finally:
                database.close()
            _place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _place(temporary: Path, path: Path) -> None:
    """Gives the finished file its name, unless another process was first."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        temporary.rename(path)


def _connect(path: Path) -> Database:
    with readable_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    database = Database(path, connection)
    try:
        for setting in (
            "journal_mode = DELETE",
            "synchronous = EXTRA",
            "secure_delete = ON",
            "trusted_schema = OFF",
        ):
            database.rows(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return database
