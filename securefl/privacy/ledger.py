"""What was spent on which data, and what was answered: a party's durable memory.

Rules kept here:
- Charged before released: `intend` and the stored answer are written in one transaction, and the
  caller hands the reply over only after it. An intent without `mark_done` counts as spent.
- One charge per (run, client, round, attempt), one answer per (client, context, step): a second is
  refused, the first is found again.
- Budgets are held per data source. An example sits at one client within a run, but may sit at another
  in the next (repartition), so a source is charged the sum over runs of the worst client of each.
- What is summed is only what the hash chain vouches for, and each look at the file continues it. An older
  copy of the file, or one that was cut and chained again, is sound by itself: a head that was kept
  elsewhere (`verify(head)`) finds it out, and nothing else does.
- Answers in flight hold protocol secrets. They belong to the run that opened the ledger, are overwritten
  when forgotten, and a forgotten round stays closed.

What this file does NOT do: encrypt (the file is as secret as the client's data; it is created for its
owner only), or decide what an event costs (`accountant`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from securefl.errors import BudgetExceeded, LedgerError, LedgerUnusable
from securefl.privacy import answers, records, unsent
from securefl.privacy.answers import StoredAnswer
from securefl.privacy.chain import DONE, INTENT, Record, checked
from securefl.privacy.database import Database, open_database
from securefl.privacy.events import Event, Releases, event_text, releases, total, worst
from securefl.privacy.spending import Spending, require_within
from securefl.privacy.unsent import Unsent

_SCHEMA = (*records.SCHEMA, *answers.SCHEMA)


@dataclass(frozen=True)
class Release:
    """One thing that is about to leave a client.

    Attributes:
        source: hash of the data source before partitioning, hex.
        run: id of the run; one fixed partition of the source among clients.
        client: whose data is used.
        round: the round it is for.
        attempt: the attempt within the round.
        event: what it costs.
    """

    source: str
    run: str
    client: int
    round: int
    attempt: int
    event: Event


class Ledger:
    """An open ledger. A resource: close it, or use it as a context manager.

    Attributes:
        private: whether it is of real runs; False if its charges mean nothing (a replayable test source).

    Example:
        >>> import tempfile
        >>> from securefl.privacy.events import SampledGaussian
        >>> event = SampledGaussian(1.7, 0.2, 5)
        >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(f"{folder}/ledger.sqlite") as ledger:
        ...     ledger.intend(Release("c0ffee", "run-1", 3, round=1, attempt=0, event=event))
        ...     ledger.spent("c0ffee") == ((event, 1),)
        True
    """

    def __init__(self, database: Database, run: str, genesis: str, private: bool) -> None:
        self.private = private
        self._database = database
        self._run = run
        self._genesis = genesis
        self._spending = Spending(genesis)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, create: bool = True, private: bool | None = True, run: str = ""
    ) -> Ledger:
        """Opens and checks the ledger at `path`.

        Args:
            create: make a new one where there is none; False where one must exist (a resumed run).
            private: False for runs under a replayable test source, whose charges mean nothing and may
                not mix with real ones. Fixed when the file is created; None takes either, to read it.
            run: whose answers in flight this handle keeps, in a file shared by several runs.

        Raises:
            LedgerUnusable: missing, damaged, locked, or of the other kind of run.
        """

        def initialise(database: Database) -> None:
            for table in _SCHEMA:
                database.rows(table)
            records.initialise(database, private is not False)

        with _unusable(Path(path)), ExitStack() as closing:
            database = open_database(Path(path), initialise, create)
            closing.callback(database.close)
            facts = records.facts(database)
            _require_kind(database.path, facts.private, private)
            ledger = cls(database, run, facts.genesis, facts.private)
            ledger.records()
            closing.pop_all()
        return ledger

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block whose writes are all durable when it exits, or none of them.

        Blocks nest: an inner one that raises undoes its own writes, and the outer one may go on.
        """
        try:
            with self._database.transaction():
                yield
        except BaseException:
            # What was undone may have been read already: forget it and read again.
            self._spending = Spending(self._genesis)
            raise

    # -- charges ------------------------------------------------------------------------------------

    def intend(self, release: Release) -> None:
        """Charges `release`. Only after the surrounding transaction has exited may it leave.

        Raises:
            LedgerError: this (run, client, round, attempt) was charged before: send the stored answer
                again, or start a new attempt; or the file could not be written.
        """
        key = (release.run, release.client, release.round, release.attempt)
        with self.transaction():
            if key in self._current().intents:
                raise LedgerError(
                    f"{_name(*key)} was charged before; send the stored answer again, "
                    "or start a new attempt, which is charged anew"
                )
            self._append(Record(0, INTENT, release.source, *key, event_text(release.event), ""))

    def charge(self, release: Release, cap: float, delta: float, method: str = "pld") -> None:
        """Checks and charges in one step, so that two processes cannot both take the last release.

        Raises:
            BudgetExceeded: nothing was written.
        """
        with self.transaction():
            self.check(release.source, release.run, release.client, release.event, cap, delta, method)
            self.intend(release)

    def mark_done(self, run: str, client: int, round: int, attempt: int) -> None:
        """Notes that a charged release did happen. For the record only: it was spent either way."""
        with self.transaction():
            spending = self._current()
            release = (run, client, round, attempt)
            intent = spending.intents.get(release)
            if intent is None:
                raise LedgerError(f"no charge for {_name(*release)}; charge before releasing")
            if release not in spending.done:
                self._append(replace(intent, kind=DONE))

    def spent(self, source: str, *, excluding: str | None = None) -> Releases:
        """What any one example of `source` has cost at most: the worst client of each run, summed.

        Args:
            excluding: a run to leave out.
        """
        return self._current().of_source(source, excluding)

    def spent_by(self, source: str, run: str, client: int) -> Releases:
        """What `client` was charged within `run` alone."""
        return self._current().of_client(source, run, client)

    def sources(self) -> tuple[str, ...]:
        """The data sources that were charged, in the order of their first charge."""
        return self._current().sources()

    def runs(self, source: str) -> tuple[str, ...]:
        """The runs that charged `source`, in the order of their first charge."""
        return self._current().runs(source)

    def spent_in(self, source: str, run: str) -> tuple[Releases, ...]:
        """What each client was charged for `source` within `run`."""
        return self._current().by_client(source, run)

    def check(
        self,
        source: str,
        run: str,
        client: int,
        event: Event,
        cap: float,
        delta: float,
        method: str = "pld",
    ) -> None:
        """Refuses one more release of `event` by `client` if it would pass `cap`.

        Raises:
            BudgetExceeded: says by how much.
        """
        elsewhere = self.spent(source, excluding=run)
        before = total(elsewhere, self.spent_by(source, run, client))
        after = total(before, ((event, 1),))
        require_within(f"client {client}", source, before, after, cap, delta, method)

    def require_planned(self, source: str, run: str, client: int, most: int) -> None:
        """Refuses one more release of `client` if its run plans no more than it has made.

        The cap of `check` may leave room for other runs; this one's epsilon holds for its own plan only.

        Raises:
            BudgetExceeded: the client has made all `most` releases of the run.
        """
        made = sum(count for _, count in self.spent_by(source, run, client))
        if made >= most:
            raise BudgetExceeded(
                f"client {client} has made all {most} releases that this run planned its epsilon for (rounds "
                "and privacy.spare_releases); nothing was released. Plan more spare releases in a new run"
            )

    def check_run(
        self,
        source: str,
        run: str,
        event: Event,
        count: int,
        cap: float,
        delta: float,
        method: str = "pld",
    ) -> None:
        """Refuses to start (or resume) a run of `count` releases per client that cannot finish within `cap`.

        Args:
            run: id of the run; "" for one that has none yet.

        Raises:
            BudgetExceeded: says by how much.
        """
        elsewhere = self.spent(source, excluding=run)
        planned = worst([releases([(event, count)]), *self._current().by_client(source, run)])
        who = f"run {run!r}" if run else "this run"
        require_within(who, source, elsewhere, total(elsewhere, planned), cap, delta, method)

    # -- the chain ----------------------------------------------------------------------------------

    def head(self) -> str:
        """Digest of the last record; keep it elsewhere, and `verify(head)` shows that none was lost."""
        return self._current().head

    def records(self) -> tuple[Record, ...]:
        """All records, checked from the first to the last."""
        with self._database.snapshot():
            found = tuple(checked(records.read(self._database), self._genesis, 0))
            self._spending = Spending(self._genesis)
            self._current()
        return found

    def verify(self, contains: str | None = None) -> None:
        """Checks the whole file: its pages, the chain, and every stored answer.

        Args:
            contains: a head that was kept earlier and must be in the chain, as `head` gave it. Without one an
                older copy, or a tail cut so that the rest looks whole, is not noticed.

        Raises:
            LedgerUnusable: something was changed, removed or damaged.
        """
        with _unusable(self._database.path):
            self._verify(contains)

    # -- answers in flight --------------------------------------------------------------------------

    def stored_answer(self, client: int, context: bytes, step: int) -> StoredAnswer | None:
        """What `client` answered to this step of this context, if it did."""
        return answers.stored(self._database, self._run, client, context, step)

    def store_answer(
        self,
        client: int,
        context: bytes,
        step: int,
        round: int,
        request_hash: bytes,
        state: bytes,
        reply: bytes,
    ) -> None:
        """Keeps an answer. Only after the surrounding transaction has exited may the reply leave.

        Raises:
            PolicyError: the step was answered before, or its round is closed.
            LedgerError: the file could not be written.
        """
        with self.transaction():
            answer = StoredAnswer(request_hash, state, reply)
            answers.store(self._database, self._run, client, context, step, round, answer)

    def latest_state(self, client: int, context: bytes) -> bytes | None:
        """The client's state after its latest step in this context."""
        return answers.latest_state(self._database, self._run, client, context)

    def latest_context(self, client: int, step: int) -> bytes | None:
        """The context in which the client last answered a step for the first time."""
        return answers.latest_context(self._database, self._run, client, step)

    def answered_since(self, client: int, round: int, step: int) -> bool:
        """Whether the client has answered a step after number `step` in a round from `round` on."""
        return answers.answered_since(self._database, self._run, client, round, step)

    def require_open(self, client: int, round: int) -> None:
        """Refuses a round that the client has left behind.

        Raises:
            PolicyError: its secrets are gone, so nothing of it may be answered anew.
        """
        answers.require_open(self._database, self._run, client, round)

    def forget_before(self, client: int, round: int, keep_steps: int = 0) -> None:
        """Closes the rounds before `round` for good and erases the client's answers in them.

        Answers to steps numbered up to `keep_steps` stay: later rounds start from a draw's.
        """
        with self.transaction():
            answers.forget_before(self._database, self._run, client, round, keep_steps)

    def forget_all(self, client: int) -> None:
        """Erases all that the client keeps and closes every round it answered: its run is over."""
        with self.transaction():
            answers.forget_all(self._database, self._run, client)
            unsent.erase(self._database, self._run, client)

    # -- memory -------------------------------------------------------------------------------------

    def keep_unsent(self, client: int, owed: Unsent) -> None:
        """Keeps what the client still owes, in the transaction of the reply that it goes with."""
        with self.transaction():
            unsent.keep(self._database, self._run, client, owed)

    def unsent(self, client: int) -> Unsent | None:
        """What the client still owes, if it has sent a part of an update in this run."""
        return unsent.kept(self._database, self._run, client)

    # -- private ------------------------------------------------------------------------------------

    def _verify(self, contains: str | None) -> None:
        found = self._database.rows("PRAGMA integrity_check")
        if found != [("ok",)]:
            raise LedgerError(f"{self._database.path}: damaged ({found[0][0]!r}); restore it from a copy")
        heads = {self._genesis, *(record.digest for record in self.records())}
        if contains is not None and contains not in heads:
            raise LedgerError(
                f"{self._database.path}: expected a ledger that continues the one with head {contains[:16]}, "
                "got an older copy or another file, so spent budget may be missing; restore the right one"
            )
        answers.verify(self._database)
        unsent.verify(self._database)

    def _append(self, draft: Record) -> None:
        spending = self._current()
        spending.absorb(records.append(self._database, draft, spending.number, spending.head))

    def _current(self) -> Spending:
        """The spending after all that is in the file by now, also from other processes."""
        spending = self._spending
        with self._database.snapshot():
            fresh = records.read(self._database, spending.number)
            for record in checked(fresh, spending.head, spending.number):
                spending.absorb(record)
            facts = records.facts(self._database)
        if (facts.head, facts.count) != (spending.head, spending.number):
            raise LedgerError(
                f"{self._database.path}: expected {facts.count} records, got {spending.number}; the file was "
                "cut or replaced. Restore it from a copy; until then the spent budget is unknown"
            )
        return spending


@contextmanager
def _unusable(path: Path) -> Iterator[None]:
    """What goes wrong while a ledger is opened or checked as a whole is the file's fault, and names it."""
    try:
        yield
    except LedgerError as error:
        text = str(error)
        raise LedgerUnusable(text if str(path) in text else f"{path}: {text}") from error


def _require_kind(path: Path, found: bool, expected: bool | None) -> None:
    if expected is not None and found != expected:
        kinds = ("a replayable test run (NOT PRIVATE)", "real runs")
        raise LedgerError(
            f"{path}: a ledger of {kinds[int(found)]} cannot be used by {kinds[int(expected)]}; "
            "choose another path"
        )


def _name(run: str, client: int, round: int, attempt: int) -> str:
    return f"client {client} in round {round}, attempt {attempt}, of run {run!r}"
