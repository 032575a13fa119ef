"""A whole round of the real steps in one process: what it costs a client and the server.

Every member and the server run as in a deployment: all signatures and checks, states sealed between the
steps, and the sum is compared with the plain one. Above 64 members the group is a ring. A tenth of the
members collude in the plan's numbers, and a tenth vanishes with its masked vectors, the most that it allows.

What this does NOT count: training, transport, and what is computed once here but once per process by a
client that lives elsewhere: the graph's numbers and its order (`cold_seconds`).
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

import bench
import numpy as np

from securefl.crypto import Identity, SystemRandomness
from securefl.encoding import FixedPoint
from securefl.secagg import (
    HYBRID,
    X25519,
    Member,
    Policy,
    Roster,
    RoundPlan,
    Step,
    StepId,
    aggregate,
    graph,
    respond,
    step_of,
)

SOURCE = SystemRandomness()
DIGEST = bytes(32)
DROPOUT = Fraction(1, 10)
AGREEMENTS = {X25519: "x25519", HYBRID: "x25519-mlkem768"}


@dataclass(frozen=True)
class Cost:
    """Of one round: CPU seconds and bytes of the median surviving client, CPU seconds of the server."""

    members: int
    holders: int
    threshold: int
    agreement: int
    dim: int
    client: float
    unmasking: float
    bytes_up: int
    bytes_down: int
    vector_bytes: int

    def row(self, what: str) -> bench.Figure:
        """One line of the table; `what` says what it is there for."""
        return {
            "round": what,
            "n": self.members,
            "k": self.holders,
            "t": self.threshold,
            "agreement": AGREEMENTS[self.agreement],
            "d": self.dim,
            "client CPU ms": 1e3 * self.client,
            "up kB": self.bytes_up / 1e3,
            "of it vector kB": self.vector_bytes / 1e3,
            "down kB": self.bytes_down / 1e3,
            "unmasking CPU ms": 1e3 * self.unmasking,
        }


def play(codec: FixedPoint, members: int, agreement: int = X25519, model: bytes = b"model") -> Cost:
    """One round among `members`, a tenth of whom vanish at the mask step; the sum is checked."""
    people, plan = group(codec, members, agreement)
    wire = _Wire(codec, people, set(range(members - members // 10, members)))
    (outcome,) = aggregate(plan, model, wire)
    unmasking = time.process_time() - wire.ended
    assert len(outcome.survivors) == members - members // 10, outcome.failure
    mask = wire.expected.dtype.type((1 << codec.ring_bits) - 1)
    assert np.array_equal(outcome.total, wire.expected & mask)
    shape, survivors = plan.shape(members), outcome.survivors
    return Cost(
        members=members,
        holders=shape.holders,
        threshold=shape.threshold,
        agreement=agreement,
        dim=codec.dim,
        client=statistics.median(wire.spent[client] for client in survivors),
        unmasking=unmasking,
        bytes_up=round(statistics.median(outcome.bytes_up[client] for client in survivors)),
        bytes_down=round(statistics.median(outcome.bytes_down[client] for client in survivors)),
        vector_bytes=codec.wire_bytes,
    )


def group(codec: FixedPoint, members: int, agreement: int = X25519) -> tuple[dict[int, Member], RoundPlan]:
    """Members with identities and a policy, and the plan of a round among all of them."""
    stream = SOURCE.stream("identities")
    identities = {client: Identity.generate(stream) for client in range(members)}
    authority = Identity.generate(stream)
    roster = Roster.sign(authority, {client: one.public for client, one in identities.items()})
    policy = Policy(
        task=DIGEST,
        config=DIGEST,
        authority=authority.public,
        length=codec.length,
        ring_bits=codec.ring_bits,
        threshold_min=None,
        group_min=members,
        colluding=members // 10,
        epoch_rounds=None,
        max_dropout=DROPOUT,
        agreement=agreement,
    )
    people = {client: Member(client, one, roster, policy, SOURCE) for client, one in identities.items()}
    plan = RoundPlan(
        task=DIGEST,
        config=DIGEST,
        roster=roster,
        round=1,
        attempt=0,
        groups=(tuple(range(members)),),
        group_seed=DIGEST,
        threshold=None,
        colluding=members // 10,
        length=codec.length,
        ring_bits=codec.ring_bits,
        masking=True,
        max_dropout=DROPOUT,
        agreement=agreement,
    )
    return people, plan


def cold_seconds(members: int) -> float:
    """CPU seconds for a ring's numbers and its order in a process that has not computed them yet."""
    graph.ring_parameters.cache_clear()
    graph._graph.cache_clear()
    start = time.process_time()
    k, _ = graph.ring_parameters(members, members // 10, members // 10)
    graph._graph(tuple(range(members)), k, DIGEST).holders(0)
    return time.process_time() - start


class _Wire:
    """An exchange that drives the members, times each, and adds their plain vectors up."""

    def __init__(self, codec: FixedPoint, people: dict[int, Member], vanishing: set[int]) -> None:
        self.codec, self.people, self.vanishing = codec, people, vanishing
        self.spent: dict[int, float] = defaultdict(float)
        self.states: dict[tuple[int, bytes], bytes] = {}
        self.update = np.random.default_rng(0).normal(size=codec.dim).astype(np.float32)
        self.expected = 0 * codec.encode(self.update, SOURCE.stream("rounding"))
        self.ended = 0.0

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        asked = {client: (step_of(request), request) for client, request in requests.items()}
        replies = {
            client: self._answer(client, step, request)
            for client, (step, request) in asked.items()
            if step.step != Step.MASK or client not in self.vanishing
        }
        self.ended = time.process_time()
        return replies

    def _answer(self, client: int, step: StepId, request: bytes) -> bytes:
        plain = []
        update = np.roll(self.update, client)  # another one for each client

        def contribute(model: bytes, round: int) -> np.ndarray:
            words = self.codec.encode(update, SOURCE.stream("rounding", client))
            plain.append(words.copy())  # it is masked in place
            return words

        state = self.states.get((client, step.after))
        start = time.process_time()
        answer = respond(self.people[client], state, request, contribute)
        self.spent[client] += time.process_time() - start
        self.states[client, step.context] = answer.state
        for words in plain:
            self.expected += words
        return answer.reply
