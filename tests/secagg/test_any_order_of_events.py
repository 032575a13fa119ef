"""Whatever the network and crashes do, an opened sum is exactly its survivors' and nobody is exposed.

A state machine drives the real server door (`aggregate`, in a thread that stops at every exchange) and
real clients with their durable ledgers through deliveries, lost requests, lost replies, replays of any
earlier bytes to anybody, any order, and crashes of clients and of the server, with resumption.

The oracle: coordinate i of a vector belongs to client i, and its k-th training puts 4^k there. So a sum
says, digit by digit, whose vectors are in it and how often: a digit above 1 is a vector counted twice,
another digit than the survivor's own is a wrong vector. Whatever leaves a client, lost or not, is seen by
the adversary and held against what was ever allowed to leave.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from queue import Queue

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from securefl.errors import SecureFLError
from securefl.federation.client import Client, answer_all
from securefl.federation.stopwatch import Stopwatch
from securefl.privacy.ledger import Ledger
from securefl.secagg import Step, aggregate, respond, step_of
from securefl.secagg.messages import from_bytes

QUICK, SLOW, STEPS = 50, 5_000, 40
RING_BITS, DIGIT_BITS = 64, 2
# Memory-backed where there is such a folder: what is under test is what was written, not the disk.
FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class ServerCrash(BaseException):
    """Ends the server's thread; no honest code may catch it."""


class Server:
    """One run of `aggregate` that stands still at every exchange until its replies are given."""

    def __init__(self, plan, model: bytes) -> None:
        self.plan = plan
        self._replies: Queue = Queue()
        self._said: Queue = Queue()
        self._thread = threading.Thread(target=self._run, args=(model,), daemon=True)
        self._thread.start()
        self._listen()

    def go_on(self, replies: dict[int, bytes]) -> None:
        self._replies.put(replies)
        self._listen()

    def crash(self) -> None:
        self._replies.put(None)
        self._thread.join()

    def _listen(self) -> None:
        """The requests of the next exchange, or the outcome."""
        self.requests, self.outcome = self._said.get()
        if isinstance(self.outcome, Exception):
            raise self.outcome

    def _exchange(self, requests):
        self._said.put((dict(requests), None))
        replies = self._replies.get()
        if replies is None:
            raise ServerCrash
        return replies

    def _run(self, model: bytes) -> None:
        try:
            (outcome,) = aggregate(self.plan, model, self._exchange)
            self._said.put(({}, outcome))
        except ServerCrash:
            return
        except Exception as error:
            self._said.put(({}, error))


class Device:
    """A client with its ledger file: it trains, answers, dies and comes back."""

    def __init__(self, endpoint, place: int, length: int, path: str) -> None:
        self.place, self.length, self._path = place, length, path
        self.trained = 0
        self._store = Ledger.open(path, run=str(endpoint.member.id))
        self.client = Client(endpoint.member, self.contribute, self._store, None, Stopwatch())

    def contribute(self, model: bytes, round: int) -> np.ndarray:
        vector = np.zeros(self.length, dtype=np.uint64)
        vector[self.place] = 1 << (DIGIT_BITS * self.trained)
        self.trained += 1
        return vector

    def answer(self, request: bytes) -> bytes | None:
        return answer_all({self.client.id: self.client}, {self.client.id: request}).replies.get(
            self.client.id
        )

    def die_before_anything_is_stored(self, request: bytes) -> None:
        with suppress(SecureFLError):
            self.client.prepare(request)
        self.restart()

    def restart(self) -> None:
        self._store.close()
        self._store = Ledger.open(self._path, create=False, run=str(self.client.id))
        self.client = replace(self.client, store=self._store)

    def close(self) -> None:
        self._store.close()


# What the wire says: the only lines here that know fields of messages -----------------------------


def openings_of(reply: bytes) -> list[tuple[int, int]]:
    """(dealer, kind) of every share that a reply opens."""
    return [(record.dealer, record.kind) for record in records(from_bytes(reply)) if hasattr(record, "kind")]


def survivors_asked(request: bytes) -> tuple[int, ...]:
    return from_bytes(request).survivors


def records(thing):
    if is_dataclass(thing):
        yield thing
        for field in fields(thing):
            yield from records(getattr(thing, field.name))
    elif isinstance(thing, tuple):
        for item in thing:
            yield from records(item)


class Adversary:
    """Everything that ever left a client, whether or not it arrived."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self.masked: dict[tuple[int, bytes], bytes] = {}
        self.kinds: dict[tuple[int, int, bytes], set[int]] = defaultdict(set)
        self.opened: dict[bytes, dict[frozenset, set[int]]] = defaultdict(lambda: defaultdict(set))
        self.confirmed: dict[tuple[int, bytes], tuple[int, ...]] = {}
        self.answered: dict[tuple[int, bytes], bytes] = {}

    def hear(self, client: int, request: bytes, reply: bytes) -> None:
        step = step_of(request)
        self.replies.append(reply)
        assert self.answered.setdefault((client, request), reply) == reply, (
            "a repeated request, another answer"
        )
        if step.step == Step.MASK:
            before = self.masked.setdefault((client, step.context), reply)
            assert before == reply, f"client {client} masked twice in one slot"
        if step.step == Step.CONFIRM:
            asked = survivors_asked(request)
            assert self.confirmed.setdefault((client, step.context), asked) == asked, "signed two lists"
        if step.step == Step.UNMASK:
            opened = openings_of(reply)
            assert opened, "an unmask reply that opens nothing"
            for dealer, kind in opened:
                self.kinds[client, dealer, step.context].add(kind)
            self.opened[step.context][frozenset(opened)].add(client)


class AnyOrder(RuleBasedStateMachine):
    """The events; `counts` sums up what happened in all sequences, so that a test can ask for enough."""

    make_world: Callable = None
    counts: Counter = None

    # Setting up ------------------------------------------------------------------------------------

    @initialize(shape=st.sampled_from([(3, 2), (4, 3), (4, 4), (5, 3), (5, 4)]))
    def enrol(self, shape):
        members, self.threshold = shape
        self.world = type(self).make_world(
            sizes=(members,), threshold=self.threshold, length=members, ring_bits=RING_BITS
        )
        self.ids = list(self.world.roster.ids)
        self.folder = tempfile.mkdtemp(dir=FOLDER)
        path = f"{self.folder}/ledger"
        self.devices = {
            client: self.device(self.world.endpoints[client], place, members, path)
            for place, client in enumerate(self.ids)
        }
        self.adversary, self.round, self.attempt = Adversary(), 1, 0
        self.left: dict[tuple[int, bytes], int] = {}
        self.server, self.replies = None, {}
        self.start()

    def device(self, endpoint, place, members, path):
        return Device(endpoint, place, members, path)

    def start(self):
        self.server = Server(self.world.plan(round=self.round, attempt=self.attempt), b"model")
        self.replies, self.pending = {}, dict(self.server.requests)
        self.adversary.requests += self.pending.values()
        type(self).counts["started"] += 1

    def teardown(self):
        if getattr(self, "server", None) is not None and self.server.outcome is None:
            self.server.crash()
        for device in getattr(self, "devices", {}).values():
            device.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
        type(self).counts["sequences"] += 1

    def running(self) -> bool:
        return self.server.outcome is None

    def waiting(self) -> bool:
        return self.running() and bool(self.pending)

    # One request to one client ---------------------------------------------------------------------

    def send(self, client: int, request: bytes) -> bytes | None:
        device = self.devices[client]
        trained = device.trained
        reply = device.answer(request)
        if reply is None:
            type(self).counts["refused"] += 1
            return None
        step = step_of(request)
        if step.step == Step.MASK:
            # Which training is in the vector: the one just made, or, if the bytes are stored ones, as before.
            self.left.setdefault((client, step.context), device.trained - 1)
            type(self).counts["sent again"] += device.trained == trained
        self.adversary.hear(client, request, reply)
        return reply

    def take(self, draw) -> tuple[int, bytes]:
        client = draw.draw(st.sampled_from(sorted(self.pending)))
        return client, self.pending.pop(client)

    @precondition(waiting)
    @rule(draw=st.data())
    def deliver(self, draw):
        client, request = self.take(draw)
        reply = self.send(client, request)
        if reply is not None:
            self.replies[client] = reply

    @precondition(waiting)
    @rule(draw=st.data())
    def drop_request(self, draw):
        self.take(draw)

    @precondition(waiting)
    @rule(draw=st.data())
    def drop_reply(self, draw):
        self.send(*self.take(draw))

    @precondition(running)
    @rule(draw=st.data())
    def replay_a_request(self, draw):
        """Any request of any round so far, to any client; its reply may stand in for the right one."""
        client = draw.draw(st.sampled_from(self.ids))
        request = self.adversary.requests[-draw.draw(st.integers(1, len(self.adversary.requests)))]
        reply = self.send(client, request)
        if reply is not None and draw.draw(st.booleans()):
            self.replies[client] = reply
        type(self).counts["requests replayed"] += 1

    @precondition(lambda self: self.running() and self.adversary.replies)
    @rule(draw=st.data())
    def replay_a_reply(self, draw):
        """Any reply that anybody ever sent, in the place of anybody's."""
        client = draw.draw(st.sampled_from(self.ids))
        self.replies[client] = self.adversary.replies[-draw.draw(st.integers(1, len(self.adversary.replies)))]
        type(self).counts["replies replayed"] += 1

    # Crashes ---------------------------------------------------------------------------------------

    @precondition(waiting)
    @rule(draw=st.data(), ask_again=st.booleans())
    def crash_before_the_answer_is_stored(self, draw, ask_again):
        client, request = self.take(draw)
        self.devices[client].die_before_anything_is_stored(request)
        if ask_again:
            self.pending[client] = request
        type(self).counts["client crashes"] += 1

    @precondition(waiting)
    @rule(draw=st.data(), ask_again=st.booleans())
    def crash_after_the_answer_is_stored(self, draw, ask_again):
        """The bytes may or may not have left; the adversary is given them."""
        client, request = self.take(draw)
        self.send(client, request)
        self.devices[client].restart()
        if ask_again:
            self.pending[client] = request
        type(self).counts["client crashes"] += 1

    @precondition(running)
    @rule()
    def the_server_crashes_and_plays_the_round_again(self):
        self.server.crash()
        self.start()
        type(self).counts["server crashes"] += 1

    # Going on --------------------------------------------------------------------------------------

    @precondition(running)
    @rule()
    def close_the_exchange(self):
        """Who has not answered by now has dropped out of the step; a later answer is too late."""
        replies = {client: data for client, data in self.replies.items() if client in self.server.requests}
        self.server.go_on(replies)
        self.replies, self.pending = {}, dict(self.server.requests)
        self.adversary.requests += self.pending.values()
        if not self.running():
            self.check_outcome()

    @precondition(running)
    @rule()
    def deliver_the_rest(self):
        for client in list(self.pending):
            reply = self.send(client, self.pending.pop(client))
            if reply is not None:
                self.replies.setdefault(client, reply)
        self.close_the_exchange()

    @precondition(running)
    @rule()
    def nothing_happens_for_the_rest_of_the_round(self):
        while self.running():
            self.deliver_the_rest()

    @precondition(lambda self: not self.running())
    @rule(what=st.sampled_from(["next round", "next attempt", "the same again"]))
    def begin(self, what):
        if what == "next round":
            self.round, self.attempt = self.round + 1, 0
        elif what == "next attempt":
            self.attempt += 1
        self.start()

    # What must hold --------------------------------------------------------------------------------

    def check_outcome(self):
        outcome = self.server.outcome
        if outcome.total is None:
            assert outcome.failure
            assert outcome.survivors == ()
            type(self).counts["aborted"] += 1
            return
        assert len(outcome.survivors) >= self.threshold
        context = self.slot()
        for place, client in enumerate(self.ids):
            digits = [int(outcome.total[place]) >> shift & 3 for shift in range(0, RING_BITS, DIGIT_BITS)]
            expected = [0] * len(digits)
            if client in outcome.survivors:
                expected[self.left[client, context]] = 1
            assert digits == expected, f"client {client}: {digits} in a sum of {outcome.survivors}"
        type(self).counts["opened"] += 1
        type(self).counts["opened without somebody"] += len(outcome.survivors) < len(self.ids)

    def slot(self) -> bytes:
        return next(
            step.context
            for step in map(step_of, reversed(self.adversary.requests))
            if (step.round, step.attempt) == (self.round, self.attempt)
        )

    @invariant()
    def no_client_gives_both_kinds_of_share_for_one_key(self):
        if hasattr(self, "adversary"):
            assert all(len(kinds) == 1 for kinds in self.adversary.kinds.values())

    @invariant()
    def at_most_one_list_is_opened(self):
        if hasattr(self, "adversary"):
            for lists in self.adversary.opened.values():
                assert sum(len(holders) >= self.threshold for holders in lists.values()) <= 1


def explore(machine: type[AnyOrder], make_world, sequences: int) -> Counter:
    explored = type("Explored", (machine,), {"make_world": staticmethod(make_world), "counts": Counter()})
    run_state_machine_as_test(
        explored,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=sequences != SLOW,  # the quick suite is the same in every run
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return explored.counts


def check_enough_happened(counts: Counter, sequences: int) -> None:
    """A machine in which nothing opens, aborts or repeats would prove nothing."""
    assert counts["sequences"] >= sequences, counts
    assert counts["opened"] >= sequences / 2, counts
    assert counts["opened without somebody"] >= sequences / 20, counts
    for event in ("aborted", "refused", "sent again", "client crashes", "server crashes"):
        assert counts[event] >= sequences / 5, f"{event}: {counts}"


def test_every_order_of_events_keeps_sums_exact_and_secrets_single(make_world):
    check_enough_happened(explore(AnyOrder, make_world, QUICK), QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_five_thousand_orders_of_events_keep_sums_exact_and_secrets_single(make_world):
    counts = explore(AnyOrder, make_world, SLOW)
    print(dict(counts))  # shown with -s: the numbers for the table
    check_enough_happened(counts, SLOW)


# The machine itself ------------------------------------------------------------------------------


class Forgetful(Device):
    """Comes back with an empty memory, as a container without a volume does."""

    def restart(self) -> None:
        self._path += "x"
        self._store.close()
        self._store = Ledger.open(self._path, run=str(self.client.id))
        self.client = replace(self.client, store=self._store)


class Careless(Device):
    """Answers from the state before, whatever it answered already."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._states: dict = {}

    def answer(self, request: bytes) -> bytes | None:
        step = step_of(request)
        with suppress(SecureFLError):
            state = self._states.get((step.context, step.step - 1))
            answer = respond(self.client.member, state, request, self.contribute)
            self._states[step.context, int(step.step)] = answer.state
            return answer.reply
        return None


@pytest.mark.parametrize("broken", [Forgetful, Careless])
def test_the_machine_finds_a_client_that_does_not_keep_one_answer_per_step(make_world, broken):
    class Broken(AnyOrder):
        def device(self, endpoint, place, members, path):
            return broken(endpoint, place, members, path)

    with pytest.raises(AssertionError, match=r"another answer|masked twice|two lists"):
        explore(Broken, make_world, 200)
