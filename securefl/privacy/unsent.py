"""What a client still owes: the part of its updates that has not travelled yet, one record per client.

Rules kept here:
- A record belongs to a run and carries a checksum over all its fields, checked whenever it is read.
- It is overwritten round by round and erased when the run is over.

What this file does NOT do: open transactions (`ledger` does), or understand the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

from securefl.errors import LedgerError
from securefl.privacy.database import Database, Value, checksum

_TABLE = (
    "CREATE TABLE IF NOT EXISTS unsent (run TEXT NOT NULL, client INTEGER NOT NULL, heard BLOB NOT NULL,"
    " before BLOB NOT NULL, after BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, client))"
)


@dataclass(frozen=True)
class Unsent:
    """A client's memory around its latest contribution.

    Attributes:
        heard: hash of the broadcast that the contribution was made for.
        before: what was owed before it.
        after: what is owed once it counts.
    """

    heard: bytes
    before: bytes
    after: bytes


def keep(database: Database, run: str, client: int, unsent: Unsent) -> None:
    """Keeps the record in place of the client's last one."""
    database.rows(_TABLE)  # made at its first use, so that ledgers of earlier versions may be gone on with
    row = (run, client, unsent.heard, unsent.before, unsent.after)
    database.rows("INSERT OR REPLACE INTO unsent VALUES (?,?,?,?,?,?)", (*row, _digest(row)))


def kept(database: Database, run: str, client: int) -> Unsent | None:
    """The client's record, if there is one.

    Raises:
        LedgerError: it was damaged.
    """
    if not _exists(database):
        return None
    rows = database.rows("SELECT * FROM unsent WHERE run = ? AND client = ?", (run, client))
    return _checked(database, rows[0]) if rows else None


def erase(database: Database, run: str, client: int) -> None:
    """Erases the client's record."""
    if _exists(database):
        database.rows("DELETE FROM unsent WHERE run = ? AND client = ?", (run, client))


def verify(database: Database) -> None:
    """Checks every record against its checksum, one at a time.

    Raises:
        LedgerError: one was damaged.
    """
    if _exists(database):
        for run, client in database.rows("SELECT run, client FROM unsent"):
            for row in database.rows("SELECT * FROM unsent WHERE run = ? AND client = ?", (run, client)):
                _checked(database, row)


def _exists(database: Database) -> bool:
    return bool(database.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'unsent'"))


def _checked(database: Database, row: tuple[Value, ...]) -> Unsent:
    match row:
        case (str(), int(), bytes(heard), bytes(before), bytes(after), bytes(digest)):
            if digest == _digest(row[:-1]):
                return Unsent(heard, before, after)
    raise LedgerError(
        f"{database.path}: what client {row[1]!r} still owes is damaged; restore the file from a copy"
    )


def _digest(fields: tuple[Value, ...]) -> bytes:
    return checksum(b"securefl unsent v1", fields)
