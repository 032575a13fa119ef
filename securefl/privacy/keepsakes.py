"""Small secrets that must outlive a crash, by name: identities of simulated clients, for instance.

Rules kept here: a name is given once and its value never changes; each value carries a checksum.

What this file does NOT do: open transactions (`ledger` does), or encrypt: the file is as secret as they.
"""

from __future__ import annotations

import hashlib

from securefl.errors import LedgerError
from securefl.privacy.database import Database

SCHEMA = ("CREATE TABLE keepsakes (name TEXT PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL)",)


def keep(database: Database, name: str, value: bytes) -> None:
    """Keeps `value`; keeping the same again changes nothing.

    Raises:
        LedgerError: the name is taken by another value.
    """
    before = kept(database, name)
    if before is None:
        database.rows("INSERT INTO keepsakes VALUES (?, ?, ?)", (name, value, _digest(name, value)))
    elif before != value:
        raise LedgerError(f"{database.path}: {name!r} is kept already and never changes; choose another name")


def kept(database: Database, name: str) -> bytes | None:
    """What is kept under `name`, if anything.

    Raises:
        LedgerError: it was damaged.
    """
    match database.rows("SELECT value, digest FROM keepsakes WHERE name = ?", (name,)):
        case []:
            return None
        case [(bytes(value), bytes(digest))] if digest == _digest(name, value):
            return value
    raise LedgerError(f"{database.path}: what is kept as {name!r} is damaged; restore the file from a copy")


def verify(database: Database) -> None:
    """Checks every kept value against its checksum."""
    for (name,) in database.rows("SELECT name FROM keepsakes"):
        kept(database, str(name))


def _digest(name: str, value: bytes) -> bytes:
    return hashlib.sha256(b"securefl keepsake v1\0" + name.encode() + b"\0" + value).digest()
