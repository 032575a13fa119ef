"""A world of real members and a real server, with room for whoever sits on the wire."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

from securefl.crypto import Identity, SeededRandomness, SystemRandomness
from securefl.encoding.packing import pack
from securefl.errors import PolicyError, ProtocolError
from securefl.secagg import (
    EpochPlan,
    Member,
    Policy,
    Roster,
    RoundPlan,
    Step,
    StepId,
    aggregate,
    respond,
    step_of,
)
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.messages import KEY_KIND, SEED_KIND, MaskReply, UnmaskReply, from_bytes, to_bytes
from securefl.secagg.server import advance, requests
from securefl.secagg.stages import Advertising, Group, Summed
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

    def exposed(self, threshold: int) -> set[int]:
        """Clients of which whoever read every reply on this wire can compute more than the sums.

        Either both secrets of one mask key are there, or a masked vector's own mask and all its pair masks.
        """
        holders, company, vectors = defaultdict(set), defaultdict(set), set()
        for client, _, request, reply in self.heard:
            slot, message = step_of(request).context, from_bytes(reply)
            if isinstance(message, MaskReply):
                vectors.add((slot, client))
            if isinstance(message, UnmaskReply):
                for opening in message.openings:
                    holders[slot, opening.dealer, opening.kind].add(client)
                    company[slot, opening.dealer] |= {other.dealer for other in message.openings}
        rebuilt = {what for what, by in holders.items() if len(by) >= threshold}
        both = {c for slot, c in company if {(slot, c, SEED_KIND), (slot, c, KEY_KIND)} <= rebuilt}
        alone = {
            client
            for slot, client in vectors
            if (slot, client, SEED_KIND) in rebuilt
            and all((slot, c, KEY_KIND) in rebuilt for c in company[slot, client] - {client})
        }
        return both | alone


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

    def losing(self, dropped, at, kind) -> Wire:
        """A wire on which `dropped` vanish at a step (its request or its reply is lost) and for good."""

        def on_request(client, step, data):
            gone = client in dropped and (step.step > at or (step.step == at and kind == "request"))
            return None if gone else data

        def on_reply(client, step, data):
            return None if client in dropped and step.step >= at else data

        return self.wire(on_request=on_request, on_reply=on_reply)

    def epoch(self, groups: int, **changes) -> EpochPlan:
        plan = EpochPlan(TASK, CONFIG, self.roster, 1, self.roster.ids, groups, 3)
        return replace(plan, **changes)

    def run(self, wire: Wire | None = None, **changes):
        return aggregate(self.plan(**changes), MODEL, wire or self.wire())

    def plain_in(self, view: Iterable[bytes]) -> set[int]:
        """Clients whose plain vector occurs in the view, in any of the forms that our code knows."""
        found, view = set(), list(view)
        for client, endpoint in self.endpoints.items():
            plain = endpoint.vector
            forms = [pack(plain, self.base.ring_bits), plain.tobytes(), plain.byteswap().tobytes()]
            forms += [plain.astype(np.int64).tobytes(), plain.astype(np.float64).tobytes()]
            if any(form in piece for piece in view for form in forms):
                found.add(client)
        return found

    def fresh(self) -> World:
        """The same members before anything happened."""
        endpoints = {client: Endpoint(one.member, one.vector) for client, one in self.endpoints.items()}
        return World(endpoints, self.roster, self.base, self.authority)

    def expected(self, survivors: Iterable[int]) -> list[int]:
        total = sum(self.endpoints[client].vector.astype(object) for client in survivors)
        return [int(value) % (1 << self.base.ring_bits) for value in total]


class MaliciousServer:
    """Plays a round up to the masked vectors, then asks copies of the members what it likes.

    What it sends is an honest request of the same round with one list exchanged, so it needs to know no more
    of a message than that. `change` bends the requests on the way up to the masked vectors.
    """

    def __init__(self, world, change=lambda client, step, data: data):
        self.world, self.slot, asked = world, None, {}

        def stop(client, step, data):
            self.slot = step.context
            return change(client, step, data) if step.step <= Step.MASK else None

        def note(client, step, data):
            asked[step.step] = from_bytes(data)
            return data

        self.wire = world.wire(on_request=stop)
        world.run(self.wire)
        honest = world.fresh()
        honest.run(honest.wire(on_request=note))
        self._asked = asked
        self.after_mask = {client: one.states.get(self.slot) for client, one in world.endpoints.items()}

    def confirm_request(self, survivors) -> bytes:
        honest = self._asked[Step.CONFIRM]
        return relisted(to_bytes(honest), honest.survivors, tuple(survivors))

    def unmask_request(self, confirmations) -> bytes:
        ordered = tuple(sorted(confirmations, key=lambda reply: reply.sender))
        return to_bytes(replace(self._asked[Step.UNMASK], confirmations=ordered))

    def confirm(self, client, survivors):
        """A fresh copy of the member's state signs a list; returns (state after, signed reply)."""
        member, request = self.world.endpoints[client].member, self.confirm_request(survivors)
        answer = respond(member, self.after_mask[client], request, None)
        return answer.state, from_bytes(answer.reply)

    def unmask(self, client, state, confirmations):
        """A copy of the member's state after a confirmation opens its shares."""
        member, request = self.world.endpoints[client].member, self.unmask_request(confirmations)
        reply = respond(member, state, request, None).reply
        self.wire.heard.append((client, step_of(request), request, reply))
        return from_bytes(reply)


def relisted(data: bytes, old: tuple, new: tuple) -> bytes:
    """The bytes of a message with one list replaced by another of any order, with repetitions or without."""

    def listed(items):
        parts = [item if isinstance(item, bytes) else _item_bytes(item) for item in items]
        return len(items).to_bytes(4, "big") + b"".join(parts)

    assert listed(old) in data
    return data.replace(listed(old), listed(new), 1)


def _item_bytes(item) -> bytes:
    return item.to_bytes(4, "big") if isinstance(item, int) else record_to_bytes(item)


def first_stage(world, **changes) -> Advertising:
    """The server of the first group before its first exchange, as `aggregate` sets it up."""
    seen = []
    world.run(world.wire(on_request=lambda client, step, data: seen.append(data)), **changes)
    request = from_bytes(seen[0])
    return Advertising(Group(request.terms, world.roster, request.evidence, MODEL), (), {})


def stages_of(world, wire=None, **changes):
    """Every stage of a round with the replies that lead to the next one, and the last stage: the sum."""
    state, wire, stages = first_stage(world, **changes), wire or world.wire(), []
    while not isinstance(state, Summed):
        replies = wire(requests(state))
        stages.append((state, replies))
        state = advance(state, replies)
    return stages, state


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
        groups=len(sizes),
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
def start():
    """The function `first_stage`."""
    return first_stage


@pytest.fixture
def play():
    """The function `stages_of`."""
    return stages_of


@pytest.fixture
def malicious_server():
    """The class `MaliciousServer`."""
    return MaliciousServer


@pytest.fixture
def relist():
    """The function `relisted`."""
    return relisted


@pytest.fixture
def model() -> bytes:
    """The global model that `World.run` sends."""
    return MODEL
