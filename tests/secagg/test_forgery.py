"""Every single-bit flip of one of each signed message is rejected by whoever receives it.

The server gets the replies: with two of two members needed, one that it does not accept ends the draw or
the group, and its sender is named. Members get what the server relays: a step that does not accept it
raises, trains nothing, and its state still serves the true request.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

from securefl.errors import GroupAborted, ProtocolError
from securefl.secagg import Step, aggregate, draw_groups, respond
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.messages import from_bytes

SIGNATURE_BYTES = 64
HEADER_BYTES = 6  # magic, version and kind, in front of a record's own bytes
DRAW_STEPS = (Step.COMMIT, Step.REVEAL)
ROUND_STEPS = (Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK)
RELAYED = {  # signed at this step -> relayed by the request of that one
    Step.COMMIT: Step.REVEAL,
    Step.REVEAL: Step.ADVERTISE,
    Step.ADVERTISE: Step.SHARE,
    Step.SHARE: Step.MASK,
    Step.CONFIRM: Step.UNMASK,
}
FORGER = 11


def flips(data, start=0, size=None, every=True):
    """Each single-bit flip of a stretch of bytes, or one flip per byte."""
    for place in range(start, start + (len(data) if size is None else size)):
        for bit in range(8) if every else [place % 8]:
            raw = bytearray(data)
            raw[place] ^= 1 << bit
            yield bytes(raw)


def record(world):
    """Requests, states before and replies of an honest draw and round, by (client, step), and the draw."""
    script, states = {}, {}

    def on_request(client, step, data):
        states[client, step.step] = world.endpoints[client].states.get(step.after)
        return data

    wire = world.wire(on_request=on_request)
    draw = None
    if world.base.masking:
        draw = draw_groups(world.epoch(len(world.base.groups)), wire)
    aggregate(plan_of(world, draw), b"model", wire)
    for client, step, request, reply in wire.heard:
        script[client, step.step] = (request, states[client, step.step], reply)
    return script, draw


def plan_of(world, draw):
    if draw is None:
        return world.plan()
    return world.plan(groups=draw.groups, group_seed=draw.seed, evidence=draw.evidence)


def replay(script, at, forged):
    """An exchange that plays the recorded replies once, with one of them forged."""
    left = [step for step in Step if any(asked == step for _, asked in script)]
    if at in ROUND_STEPS:
        left = [step for step in left if step in ROUND_STEPS]

    def exchange(requests):
        step = left.pop(0) if left else None
        replies = {client: script[client, step][2] for client in requests if (client, step) in script}
        return {**replies, FORGER: forged} if step == at else replies

    return exchange


@pytest.fixture(params=["one bit of every byte", pytest.param("every bit", marks=pytest.mark.slow)])
def every(request):
    return request.param == "every bit"


@pytest.mark.parametrize("at", DRAW_STEPS)
def test_no_flipped_bit_of_a_commit_or_reveal_is_accepted_by_the_server(make_world, at, every):
    world = make_world(sizes=(2,), threshold=2, epoch_rounds=4, group_min=1, groups=2)
    epoch, wire = world.epoch(2), world.wire()  # one group each: without the forger there is no draw
    draw = draw_groups(epoch, wire)
    script = {(client, step.step): (request, None, reply) for client, step, request, reply in wire.heard}
    genuine = script[FORGER, at][2]
    assert draw_groups(epoch, replay(script, at, genuine)) == draw
    tried = 0
    for forged in flips(genuine, every=every):
        with pytest.raises(GroupAborted, match="expected at least 2 commitments"):
            draw_groups(epoch, replay(script, at, forged))
        tried += 1
    print(tried, "flips")
    assert tried == len(genuine) * (8 if every else 1)


@pytest.mark.parametrize("at", ROUND_STEPS)
def test_no_flipped_bit_of_a_members_reply_is_accepted_by_the_server(make_world, at, every):
    world = make_world(sizes=(2,), threshold=2, length=8, epoch_rounds=4)
    script, draw = record(world)
    genuine, plan = script[FORGER, at][2], plan_of(world, draw)
    (outcome,) = aggregate(plan, b"model", replay(script, at, genuine))
    assert outcome.total.tolist() == world.expected(outcome.members)
    tried = 0
    for forged in flips(genuine, every=every):
        (outcome,) = aggregate(plan, b"model", replay(script, at, forged))
        assert outcome.total is None
        assert f"; {FORGER}: " in outcome.failure
        tried += 1
    print(tried, "flips")
    assert tried == len(genuine) * (8 if every else 1)


def test_no_flipped_bit_of_a_plain_vector_is_accepted_by_the_server(make_world, every):
    world = make_world(sizes=(2,), threshold=2, length=8, masking=False)
    script, _ = record(world)
    genuine = script[FORGER, Step.MASK][2]
    tried = 0
    for forged in flips(genuine, every=every):
        (outcome,) = aggregate(world.plan(), b"model", replay(script, Step.MASK, forged))
        assert (outcome.survivors, outcome.blamed) == ((10,), (FORGER,))
        assert outcome.total.tolist() == world.expected((10,))
        tried += 1
    print(tried, "flips")
    assert tried == len(genuine) * (8 if every else 1)


def relayed_bytes(script, signed):
    """The forger's signed part of a request to member 10, as the bytes that stand in it."""
    request, _, _ = script[10, RELAYED[signed]]
    if signed == Step.REVEAL:
        # Relayed without its signature: the commitment, whose signature was checked before, binds the value.
        return script[FORGER, signed][2][HEADER_BYTES:-SIGNATURE_BYTES]
    if signed != Step.SHARE:
        return script[FORGER, signed][2][HEADER_BYTES:]
    # A dealer's reply is for all holders; the server relays one holder's part under the same signature.
    lists = [getattr(from_bytes(request), field.name) for field in fields(from_bytes(request))]
    records = [item for one in lists if isinstance(one, tuple) for item in one if is_dataclass(item)]
    return next(record_to_bytes(item) for item in records if FORGER in vars(item).values())


@pytest.mark.parametrize("signed", RELAYED)
def test_no_flipped_bit_of_a_relayed_message_is_accepted_by_a_member(make_world, signed, every):
    world = make_world(sizes=(3,), threshold=2, length=8, epoch_rounds=4)
    script, _ = record(world)
    endpoint = world.endpoints[10]
    request, state, _ = script[10, RELAYED[signed]]
    part = relayed_bytes(script, signed)
    assert request.count(part) == 1

    def never(model, round):
        raise AssertionError("a member must not train on a forged request")

    tried = 0
    for forged in flips(request, request.index(part), len(part), every):
        with pytest.raises(ProtocolError):
            respond(endpoint.member, state, forged, never)
        tried += 1
    print(tried, "flips")
    assert tried == len(part) * (8 if every else 1)
    assert respond(endpoint.member, state, request, endpoint.contribute).reply


def rosters(roster, every):
    """The roster with one bit flipped: of an id, a key, the authority or the signature."""
    for place, (client, public) in enumerate(roster.keys):
        ids = [
            (int.from_bytes(other, "big"), public) for other in flips(client.to_bytes(4, "big"), 0, 4, every)
        ]
        keys = [(client, other) for other in flips(public, every=every)]
        for entry in ids + keys:
            yield replace(roster, keys=(*roster.keys[:place], entry, *roster.keys[place + 1 :]))
    for name in ("authority", "signature"):
        for other in flips(getattr(roster, name), every=every):
            yield replace(roster, **{name: other})


def test_no_flipped_bit_of_the_roster_is_accepted_by_a_member(make_world, every):
    member = make_world(sizes=(3,), threshold=2).endpoints[10].member
    tried = 0
    for forged in rosters(member.roster, every):
        with pytest.raises(ProtocolError):
            replace(member, roster=forged)
        tried += 1
    print(tried, "flips")
    assert tried == (3 * 36 + 32 + 64) * (8 if every else 1)
