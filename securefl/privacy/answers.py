"""The answers of a client in flight: request hash, protocol state and reply, per context and step.

Rules kept here:
- One answer per step of a context, ever; a forgotten round is closed, so "ever" outlives the secrets.
- Answers belong to a run: runs that share a file neither see nor forget each other's.
- Each answer carries a checksum over all its fields and is checked whenever it is read.

What this file does NOT do: open transactions (`ledger` does), or understand states and replies.
"""

from __future__ import annotations

from dataclasses import dataclass

from securefl.errors import LedgerError, PolicyError
from securefl.privacy.database import Database, Value, checksum

SCHEMA = (
    "CREATE TABLE answers (run TEXT NOT NULL, client INTEGER NOT NULL, context BLOB NOT NULL,"
    " step INTEGER NOT NULL, round INTEGER NOT NULL, request_hash BLOB NOT NULL, state BLOB NOT NULL,"
    " reply BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, client, context, step))",
    "CREATE TABLE closed (run TEXT NOT NULL, client INTEGER NOT NULL, before INTEGER NOT NULL,"
    " PRIMARY KEY (run, client))",
)
_SELECT = "SELECT run, client, context, step, round, request_hash, state, reply, digest FROM answers"
_OF_CONTEXT = f"{_SELECT} WHERE run = ? AND client = ? AND context = ?"


@dataclass(frozen=True)
class StoredAnswer:
    """What a client answered to one step.

    Attributes:
        request_hash: hash of the request that was answered.
        state: the client's protocol state after it.
        reply: the bytes that were, or may have been, handed over.
    """

    request_hash: bytes
    state: bytes
    reply: bytes


def stored(database: Database, run: str, client: int, context: bytes, step: int) -> StoredAnswer | None:
    """The answer to one step, if there is one."""
    rows = database.rows(f"{_OF_CONTEXT} AND step = ?", (run, client, context, step))
    return _checked(database, rows[0]) if rows else None


def latest_state(database: Database, run: str, client: int, context: bytes) -> bytes | None:
    """The state after the latest step of a context, if there is one."""
    rows = database.rows(f"{_OF_CONTEXT} ORDER BY step DESC LIMIT 1", (run, client, context))
    return _checked(database, rows[0]).state if rows else None


def latest_context(database: Database, run: str, client: int, step: int) -> bytes | None:
    """The context in which the client last answered a step for the first time."""
    query = (
        "SELECT context FROM answers WHERE run = ? AND client = ? AND step = ? ORDER BY rowid DESC LIMIT 1"
    )
    rows = database.rows(query, (run, client, step))
    return bytes(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else None


def answered_since(database: Database, run: str, client: int, round: int, step: int) -> bool:
    """Whether the client has answered a step after number `step` in a round from `round` on."""
    query = "SELECT 1 FROM answers WHERE run = ? AND client = ? AND round >= ? AND step > ? LIMIT 1"
    return bool(database.rows(query, (run, client, round, step)))


def store(
    database: Database, run: str, client: int, context: bytes, step: int, round: int, answer: StoredAnswer
) -> None:
    """Keeps an answer.

    Raises:
        PolicyError: the step was answered before, or its round is closed.
    """
    require_open(database, run, client, round)
    if stored(database, run, client, context, step) is not None:
        raise PolicyError(
            f"client {client} has answered step {step} of this context; one answer per step, ever"
        )
    row = (run, client, context, step, round, answer.request_hash, answer.state, answer.reply)
    database.rows("INSERT INTO answers VALUES (?,?,?,?,?,?,?,?,?)", (*row, _digest(row)))


def require_open(database: Database, run: str, client: int, round: int) -> None:
    """Refuses a round that the client has left behind.

    Raises:
        PolicyError: its secrets are gone, so nothing of it may be answered anew.
    """
    rows = database.rows("SELECT before FROM closed WHERE run = ? AND client = ?", (run, client))
    if rows and round < _integer(rows[0][0]):
        raise PolicyError(
            f"client {client} has left round {round} behind, its first open round is {rows[0][0]!r}; "
            "ask for that or a later one"
        )


def forget_before(database: Database, run: str, client: int, round: int, keep_steps: int = 0) -> None:
    """Closes the rounds before `round` and erases their answers, but for steps up to `keep_steps`."""
    database.rows(
        "DELETE FROM answers WHERE run = ? AND client = ? AND round < ? AND step > ?",
        (run, client, round, keep_steps),
    )
    database.rows(
        "INSERT INTO closed VALUES (?, ?, ?) ON CONFLICT (run, client)"
        " DO UPDATE SET before = excluded.before WHERE excluded.before > before",
        (run, client, round),
    )


def forget_all(database: Database, run: str, client: int) -> None:
    """Erases all answers and closes every round that has one."""
    rows = database.rows("SELECT MAX(round) FROM answers WHERE run = ? AND client = ?", (run, client))
    if rows[0][0] is not None:
        forget_before(database, run, client, _integer(rows[0][0]) + 1)


def verify(database: Database) -> None:
    """Checks every stored answer against its checksum, one at a time.

    Raises:
        LedgerError: an answer was damaged.
    """
    for (number,) in database.rows("SELECT rowid FROM answers"):
        for row in database.rows(f"{_SELECT} WHERE rowid = ?", (number,)):
            _checked(database, row)


def _checked(database: Database, row: tuple[Value, ...]) -> StoredAnswer:
    match row:
        case (
            str(),
            int(),
            bytes(),
            int(),
            int(),
            bytes(request_hash),
            bytes(state),
            bytes(reply),
            bytes(digest),
        ):
            if digest == _digest(row[:-1]):
                return StoredAnswer(request_hash, state, reply)
    raise LedgerError(
        f"{database.path}: a stored answer of client {row[1]!r} is damaged and may not be sent; restore the "
        "file from a copy, or give the attempt up: its charge stays"
    )


def _digest(fields: tuple[Value, ...]) -> bytes:
    return checksum(b"securefl answer v1", fields)


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise LedgerError(
            f"the ledger holds {value!r} where a round number is expected; restore it from a copy"
        )
    return value
