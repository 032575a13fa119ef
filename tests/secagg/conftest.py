"""A world of real members and a real server, with room for whoever sits on the wire."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

from securefl.crypto import Identity, SeededRandomness, SystemRandomness
from securefl.errors import PolicyError, ProtocolError
from securefl.secagg import EpochPlan, Member, Policy, Roster, RoundPlan, StepId, aggregate, respond, step_of
from securefl.secagg.states import SALT_BYTES, open_state, seal_state

TASK, CONFIG, MODEL = b"t" * 32, b"c" * 32, b"model of the round"
SYSTEM = SystemRandomness()


@dataclass
class Endpoint:
    """A member with a store that keeps one answer per (context, step), as the federation layer does.

    `states` holds them sealed; `opened` and `put` are for tests that look into one or change it.
    """

    member: Member
    vector: np.ndarray
    answers: dict = field(default_factory=dict)
    states: dict = field(default_factory=dict)
    trained: int = 0

    def contribute(self, model, round):
        self.trained += 1
        return self.vector.copy()  # handed over: it is masked in place

    def opened(self, context):
        return open_state(self.states[context], self.member.storage_key)

    def put(self, context, state) -> None:
        self.states[context] = seal_state(state, self.member.storage_key, os.urandom(SALT_BYTES))

    def __call__(self, request: bytes) -> bytes:
        step = step_of(request)
        key = (step.context, step.step)
        if key in self.answers:
            asked, reply = self.answers[key]
            if asked != request:
                raise PolicyError("answered before for another request")
            return reply
        answer = respond(self.member, self.states.get(step.after), request, self.contribute)
        self.answers[key] = (request, answer.reply)
        self.states[step.context] = answer.state
        return answer.reply


@dataclass
class Wire:
    """An in-process exchange with hooks; `heard` has every request and reply that passed."""

    endpoints: dict[int, Endpoint]
    on_request: Callable[[int, StepId, bytes], bytes | None] = lambda client, step, data: data
    on_reply: Callable[[int, StepId, bytes], bytes | None] = lambda client, step, data: data
    heard: list = field(default_factory=list)
    refusals: list = field(default_factory=list)

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        replies = {}
        for client, original in requests.items():
            step = step_of(original)
            request = self.on_request(client, step, original)
            if request is None:
                continue
            try:
                reply = self.endpoints[client](request)
            except ProtocolError as error:
                self.refusals.append((client, step.step, error))
                continue
            self.heard.append((client, step, request, reply))
            sent = self.on_reply(client, step, reply)
            if sent is not None:
                replies[client] = sent
        return replies


@dataclass
class World:
    """`sizes` members per group, their endpoints, and the plan of a round."""

    endpoints: dict[int, Endpoint]
    roster: Roster
    base: RoundPlan
    authority: Identity

    def plan(self, **changes) -> RoundPlan:
        return replace(self.base, **changes)

    def wire(self, **hooks) -> Wire:
        return Wire(self.endpoints, **hooks)

    def epoch(self, groups: int, **changes) -> EpochPlan:
        plan = EpochPlan(TASK, CONFIG, self.roster, 1, self.roster.ids, groups, 3)
        return replace(plan, **changes)

    def run(self, wire: Wire | None = None, **changes):
        return aggregate(self.plan(**changes), MODEL, wire or self.wire())

    def fresh(self) -> World:
        """The same members before anything happened."""
        endpoints = {client: Endpoint(one.member, one.vector) for client, one in self.endpoints.items()}
        return World(endpoints, self.roster, self.base, self.authority)

    def expected(self, survivors: Iterable[int]) -> list[int]:
        total = sum(self.endpoints[client].vector.astype(object) for client in survivors)
        return [int(value) % (1 << self.base.ring_bits) for value in total]


def build_world(
    sizes=(4,),
    threshold=3,
    colluding=0,
    length=5,
    ring_bits=19,
    masking=True,
    epoch_rounds=None,
    seed=None,
    **policy_changes,
) -> World:
    ids = list(range(10, 10 + sum(sizes)))
    source = SYSTEM if seed is None else SeededRandomness(seed)
    stream = source.stream("identities")
    identities = {client: Identity.generate(stream) for client in ids}
    authority = Identity.generate(stream)
    roster = Roster.sign(authority, {client: identity.public for client, identity in identities.items()})
    policy = Policy(
        task=TASK,
        config=CONFIG,
        authority=authority.public,
        length=length,
        ring_bits=ring_bits,
        threshold_min=threshold,
        group_min=min(sizes),
        colluding=colluding,
        epoch_rounds=epoch_rounds,
        masking=masking,
    )
    policy = replace(policy, **policy_changes)
    draws = np.random.default_rng(7)
    dtype = np.uint32 if ring_bits <= 32 else np.uint64
    endpoints = {}
    for client in ids:
        vector = draws.integers(0, 1 << ring_bits, size=length, dtype=np.uint64).astype(dtype)
        endpoints[client] = Endpoint(Member(client, identities[client], roster, policy, source), vector)
    starts = np.cumsum([0, *sizes])
    plan = RoundPlan(
        task=TASK,
        config=CONFIG,
        roster=roster,
        round=1,
        attempt=0,
        groups=tuple(tuple(ids[a:b]) for a, b in pairwise(starts)),
        group_seed=bytes(32),
        threshold=threshold,
        colluding=colluding,
        length=length,
        ring_bits=ring_bits,
        masking=masking,
    )
    return World(endpoints, roster, plan, authority)


@pytest.fixture
def make_world():
    """Builds a `World`; see `build_world` for its arguments."""
    return build_world


@pytest.fixture
def model() -> bytes:
    """The global model that `World.run` sends."""
    return MODEL
