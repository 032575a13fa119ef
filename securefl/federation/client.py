"""One client between its data and the wire: answers protocol requests, charges its ledger first.

Rules kept here, in order:
- One answer per step of a context, ever. An identical request gets the stored bytes again (a crash
  or a lost reply costs nothing); a different one for the same step is refused.
- The privacy event, the step's state and the reply are written in ONE durable transaction before the
  reply is handed over. Killed before it, nothing left the client; killed after it, the release is
  charged and the same bytes are sent again.
- What a contribution leaves owing is kept in that transaction too: what did not leave changed nothing.
- A release is marked done when a later step shows that it arrived; for the record only, it was spent
  either way.
- The groups of an epoch come from one draw: the last one committed in before its first round. It holds for
  all processes of a client together: it is decided in the transaction that stores the answer.
- A client that is over its budget, asked for what its policy forbids, or whose own training or data
  fails falls silent: nothing of it leaves, nothing is charged, and the others go on without it.

What this file does NOT do: know whether anybody is malicious. An attacker is another party object,
or another `contribution`, put in from outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from securefl.errors import BudgetExceeded, DataError, PolicyError, ProtocolError
from securefl.federation.contribution import Contributed, Contribution, Words
from securefl.federation.stopwatch import Stopwatch
from securefl.privacy.events import Event
from securefl.privacy.ledger import Ledger, Release
from securefl.privacy.unsent import Unsent
from securefl.secagg import Member, Step, StepId, join, respond, split, step_of

_REFUSALS = (ProtocolError, BudgetExceeded, DataError)
"""What silences one client. A ledger that cannot be written is not among them: it stops everybody."""


_ENDS_EARLIER = {Step.COMMIT: 0, Step.SHARE: int(Step.REVEAL), Step.MASK: int(Step.REVEAL)}
"""Steps at which earlier rounds are over, and up to which step their answers stay: a draw serves an epoch."""


@dataclass(frozen=True)
class Charge:
    """What one contribution costs, and the cap it is held against.

    Attributes:
        source: hash of the data source before partitioning (hex).
        run: id of the run.
        event: the privacy event of one release.
        releases: most that the client makes in this run: what the run's own epsilon was computed for.
        epsilon: cap of the ledger for this source, over all runs.
        delta: the delta at which the cap is stated.
        method: accountant, `pld` or `rdp`.
    """

    source: str
    run: str
    event: Event
    releases: int
    epsilon: float
    delta: float
    method: str = "pld"


@dataclass(frozen=True)
class Prepared:
    """A reply that may not leave before `commit` has run inside `store.transaction()`."""

    reply: bytes
    store: Ledger
    commit: Callable[[], None]


class Party(Protocol):
    """Whoever answers requests under an id: an honest client, or what a test puts in its place."""

    @property
    def id(self) -> int:
        """The id under which the roster knows it."""

    def prepare(self, request: bytes) -> Prepared:
        """Computes the reply and what must be durable before it leaves."""


@dataclass(frozen=True)
class Client:
    """An honest client.

    Attributes:
        member: identity, roster and policy of the secure-aggregation protocol.
        contribution: from model bytes to ring words, with a memory or without.
        store: the durable ledger, which also keeps this client's answers of the round in flight.
        charge: what a contribution costs; None without differential privacy.
        stopwatch: collects the seconds of masking and of the privacy accounting.
    """

    member: Member
    contribution: Contribution
    store: Ledger
    charge: Charge | None
    stopwatch: Stopwatch

    @property
    def id(self) -> int:
        """The id under which the roster knows this client."""
        return self.member.id

    def prepare(self, request: bytes) -> Prepared:
        """The reply to one request, stored or new.

        Raises:
            PolicyError: another request for a step that was answered before.
            BudgetExceeded: the contribution would pass the ledger's cap, or the run's plan.
            ProtocolError: the request is not a sound step of the protocol.
            DataError: its own update is not finite.
        """
        parts = split(request)
        if len(parts) == 1:
            return self._prepare(request)
        first = self._prepare(parts[0])
        try:
            return _together(self.store, first, self._prepare(parts[1]))
        except _REFUSALS:
            return first  # what was to ride along may be asked again by itself, and refused by name

    def _prepare(self, request: bytes) -> Prepared:
        step = step_of(request)
        digest = hashlib.sha256(request).digest()
        stored = self.store.stored_answer(self.id, step.context, int(step.step))
        if stored is None:
            return self._answer(step, digest, request)
        if stored.request_hash != digest:
            raise PolicyError(
                f"step {step.step} of round {step.round} was answered before for another request; "
                "one answer per step, ever: start a new attempt"
            )
        return Prepared(stored.reply, self.store, _nothing)

    def _answer(self, step: StepId, digest: bytes, request: bytes) -> Prepared:
        releases: list[Release] = []
        owed: list[Unsent] = []

        def contribute(model: bytes, round: int) -> Words:
            releases.extend(self._checked_release(step))
            made = self.contribution(model, round)
            if not isinstance(made, Contributed):
                return made
            owed.append(made.unsent)
            return made.words

        self.store.require_open(self.id, step.round)
        self._require_current_draw(step)
        state = self.store.latest_state(self.id, step.after)
        with self.stopwatch.measure("masking"):
            answer = respond(self.member, state, request, contribute)

        def commit() -> None:
            # Both first, for they refuse what another process has answered in the meantime: another draw
            # or a round under another one, and this very step.
            self._require_current_draw(step)
            self.store.store_answer(
                self.id, step.context, int(step.step), step.round, digest, answer.state, answer.reply
            )
            for release in releases:
                self._charge(release)
            for memory in owed:
                self.store.keep_unsent(self.id, memory)
            if step.step in _ENDS_EARLIER:
                # Keys for a round may be asked while the round before can still be played again; shares not.
                self.store.forget_before(self.id, step.round, _ENDS_EARLIER[step.step])
            if self.charge is not None and step.step > Step.MASK:
                self.store.mark_done(self.charge.run, self.id, step.round, step.attempt)

        return Prepared(answer.reply, self.store, commit)

    def _require_current_draw(self, step: StepId) -> None:
        """Refuses a second draw for an epoch that has begun, and rounds under a draw that was voided.

        Guarantee: inside a transaction the answer stays true until it ends, for the file is locked. Outside
        it only spares work.
        """
        if step.step is Step.COMMIT and self.store.answered_since(self.id, step.round, int(Step.REVEAL)):
            raise PolicyError(
                f"expected no other draw in the epoch from round {step.round} on, which has begun; its "
                "groups stay fixed"
            )
        begins = step.after != step.context
        if begins and self.store.latest_context(self.id, int(Step.COMMIT)) != step.after:
            raise PolicyError(
                "expected the latest draw that this client committed in, got an earlier one; stop"
            )

    def _checked_release(self, step: StepId) -> list[Release]:
        if self.charge is None:
            return []
        one = self.charge
        with self.stopwatch.measure("accounting"):
            self.store.require_planned(one.source, one.run, self.id, one.releases)
            self.store.check(one.source, one.run, self.id, one.event, one.epsilon, one.delta, one.method)
        return [Release(one.source, one.run, self.id, step.round, step.attempt, one.event)]

    def _charge(self, release: Release) -> None:
        # Checked again inside the transaction: another process may have spent since.
        assert self.charge is not None  # noqa: S101 - there is no release without a charge
        with self.stopwatch.measure("accounting"):
            self.store.require_planned(release.source, release.run, release.client, self.charge.releases)
            self.store.charge(release, self.charge.epsilon, self.charge.delta, self.charge.method)


@dataclass(frozen=True)
class Answers:
    """Replies by client, and for those who refused, why."""

    replies: Mapping[int, bytes]
    refusals: Mapping[int, str]


def answer_all(parties: Mapping[int, Party], requests: Mapping[int, bytes]) -> Answers:
    """Lets each party answer, makes all of it durable, and only then hands the replies over.

    Guarantee: no reply is returned before its intent is on disk. Parties that share a ledger file
    share one transaction, so a whole exchange costs one sync; one that refuses takes no other down.

    Raises:
        LedgerError: the ledger cannot be read or written, so nothing may leave.
    """
    prepared: dict[int, Prepared] = {}
    refusals: dict[int, str] = {}
    for client, request in requests.items():
        if client not in parties:
            refusals[client] = "nobody takes part under this id"
            continue
        try:
            prepared[client] = parties[client].prepare(request)
        except _REFUSALS as refusal:
            refusals[client] = _why(refusal)
    refusals |= _committed(prepared)
    return Answers(
        {client: one.reply for client, one in prepared.items() if client not in refusals}, refusals
    )


def _committed(prepared: Mapping[int, Prepared]) -> dict[int, str]:
    """Makes every reply durable; says whose could not be after all, and why."""
    refusals: dict[int, str] = {}
    with ExitStack() as transactions:
        entered: set[int] = set()
        for client, one in prepared.items():
            if one.commit is _nothing:
                continue
            if id(one.store) not in entered:
                entered.add(id(one.store))
                transactions.enter_context(one.store.transaction())
            try:
                with one.store.transaction():
                    one.commit()
            except _REFUSALS as refusal:
                refusals[client] = _why(refusal)
    return refusals


def _together(store: Ledger, first: Prepared, second: Prepared) -> Prepared:
    """Two replies in one envelope, durable in one transaction."""

    def commit() -> None:
        first.commit()
        second.commit()

    return Prepared(join((first.reply, second.reply)), store, commit)


def _why(refusal: Exception) -> str:
    return f"{type(refusal).__name__}: {refusal}"


def _nothing() -> None:
    """A stored answer is durable already."""
