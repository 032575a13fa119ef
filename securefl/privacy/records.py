"""The records of a ledger in its file: what was written, in order, and how many there must be.

Rules kept here: records are appended and never updated; the head and the number of records are kept
beside them, so that a cut tail shows.

What this file does NOT do: open transactions (`ledger` does), or sum up (`spending`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace

from securefl.errors import LedgerError
from securefl.privacy.chain import Record, chained, genesis
from securefl.privacy.database import Database, Value

SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE records (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL,"
    " run TEXT NOT NULL, client INTEGER NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " event TEXT NOT NULL, digest TEXT NOT NULL)",
)
_FORMAT = "1"


@dataclass(frozen=True)
class Facts:
    """What the file says about itself.

    Attributes:
        genesis: digest before the first record.
        private: whether it is for real runs.
        head: digest of the last record.
        count: number of records.
    """

    genesis: str
    private: bool
    head: str
    count: int


def initialise(database: Database, private: bool) -> None:
    """Writes the facts of a new ledger."""
    identity = os.urandom(16).hex()
    for name, value in (
        ("format", _FORMAT),
        ("identity", identity),
        ("private", str(int(private))),
        ("head", genesis(identity, private)),
        ("count", "0"),
    ):
        database.rows("INSERT INTO meta VALUES (?, ?)", (name, value))


def facts(database: Database) -> Facts:
    """The facts of a ledger.

    Raises:
        LedgerError: damaged, or of another format.
    """
    found = {str(name): str(value) for name, value in database.rows("SELECT name, value FROM meta")}
    if found.get("format", _FORMAT) != _FORMAT:
        raise LedgerError(
            f"{database.path}: ledger format {found['format']!r}, expected {_FORMAT!r}; "
            "use the version of securefl that wrote it"
        )
    try:
        private = {"0": False, "1": True}[found["private"]]
        return Facts(genesis(found["identity"], private), private, found["head"], int(found["count"]))
    except (KeyError, ValueError) as error:
        raise LedgerError(
            f"{database.path}: the ledger's own description is damaged ({error}); restore it from a copy"
        ) from error


def read(database: Database, after: int = 0) -> Iterator[Record]:
    """The records with numbers above `after`, in order, not yet checked."""
    rows = database.rows("SELECT * FROM records WHERE number > ? ORDER BY number", (after,))
    return (_record(row) for row in rows)


def append(database: Database, draft: Record, number: int, head: str) -> Record:
    """Writes `draft` as the next record after number `number` with digest `head`, and returns it."""
    numbered = replace(draft, number=number + 1)
    record = replace(numbered, digest=chained(head, numbered))
    database.rows("INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)", astuple(record))
    for name, value in (("head", record.digest), ("count", str(record.number))):
        database.rows("UPDATE meta SET value = ? WHERE name = ?", (value, name))
    return record


def _record(row: tuple[Value, ...]) -> Record:
    match row:
        case (
            int(number),
            str(kind),
            str(source),
            str(run),
            int(client),
            int(round),
            int(attempt),
            str(event),
            str(digest),
        ):
            return Record(number, kind, source, run, client, round, attempt, event, digest)
    raise LedgerError(f"record {row[0]!r} of the ledger is damaged; restore the file from a copy")
