"""The records of a ledger, chained by hash so that none can change, vanish or move unseen.

Rules kept here:
- A record's digest covers its number, all its fields and the digest before it; the first follows a
  random genesis of this one ledger, so two ledgers never share a head.
- A chain is checked record by record, and the first that does not fit is named.

What this file does NOT do: sign. Whoever may write the file can write a new chain from scratch; it no
longer contains the heads that others kept (a manifest, a checkpoint), and that is how it is found out.

Reference: Haber and Stornetta 1991, "How to Time-Stamp a Digital Document", section 5 (linking).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass

from securefl.errors import LedgerError

INTENT, DONE = "intent", "done"
_DOMAIN = b"securefl ledger v1\0"


@dataclass(frozen=True)
class Record:
    """One line of a ledger.

    Attributes:
        number: 1 for the first record.
        kind: `intent` (charged; the release may have happened) or `done` (it did).
        source: hash of the data source before partitioning, hex.
        run: id of the run.
        client: whose data was used.
        round: the round of the release.
        attempt: the attempt within the round.
        event: text of the privacy event (`events.event_text`).
        digest: chained hash, hex.
    """

    number: int
    kind: str
    source: str
    run: str
    client: int
    round: int
    attempt: int
    event: str
    digest: str


def genesis(identity: str, private: bool) -> str:
    """The digest before the first record."""
    return hashlib.sha256(_DOMAIN + json.dumps([identity, private]).encode()).hexdigest()


def chained(previous: str, record: Record) -> str:
    """The digest that `record` must have after one with digest `previous`."""
    text = json.dumps(astuple(record)[:-1], separators=(",", ":"))
    return hashlib.sha256(_DOMAIN + bytes.fromhex(previous) + text.encode()).hexdigest()


def checked(records: Iterable[Record], previous: str, number: int) -> Iterator[Record]:
    """The same records, each checked to follow `previous`, a record with number `number`.

    Raises:
        LedgerError: a record was changed, removed, inserted or moved.
    """
    for record in records:
        number += 1
        if record.number != number or chained(previous, record) != record.digest:
            raise LedgerError(
                f"record {number} of the ledger does not follow from the one before it: the file was changed "
                "or damaged. Restore it from a copy; until then the spent budget is unknown, release nothing"
            )
        previous = record.digest
        yield record
