"""Sealed states: only their member opens them, only as they were, and each comes back as itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from securefl.crypto import Identity, SystemRandomness
from securefl.errors import DecodeError, PolicyError, ProtocolError
from securefl.secagg import Step, respond
from securefl.secagg.messages import MAX_MEMBERS
from securefl.secagg.states import (
    SALT_BYTES,
    STATE_TYPES,
    Advertised,
    Confirmed,
    Finished,
    Masked,
    Shared,
    open_state,
    seal_state,
    state_from_bytes,
    state_to_bytes,
)

KEY, SALT = b"k" * 32, b"s" * SALT_BYTES
STEPS = {
    Step.ADVERTISE: Advertised,
    Step.SHARE: Shared,
    Step.MASK: Masked,
    Step.CONFIRM: Confirmed,
    Step.UNMASK: Finished,
}


@dataclass
class Rests:
    """One round at rest: by (client, step), the sealed state after the step and the request it answered."""

    world: object
    states: dict
    requests: dict

    def member(self, client):
        return self.world.endpoints[client].member


@pytest.fixture
def rests(make_world):
    world, states = make_world([3]), {}

    def keep(client, step, reply):
        states[client, step.step] = world.endpoints[client].states[step.context]
        return reply

    wire = world.wire(on_reply=keep)
    world.run(wire)
    requests = {(client, step.step): request for client, step, request, _ in wire.heard}
    return Rests(world, states, requests)


def test_the_state_after_each_step_rests_sealed_and_comes_back_as_itself(rests):
    key = rests.member(10).storage_key
    for step, kind in STEPS.items():
        state = open_state(rests.states[10, step], key)
        assert type(state) is kind and kind in STATE_TYPES
        assert open_state(seal_state(state, KEY, SALT), KEY) == state
        assert state_to_bytes(state_from_bytes(state_to_bytes(state))) == state_to_bytes(state)
        assert state_to_bytes(state)[4:] not in rests.states[10, step]


def test_no_secret_of_a_state_is_in_its_box(rests):
    box, key = rests.states[10, Step.ADVERTISE], rests.member(10).storage_key
    state = open_state(box, key)
    for secret in (state.channel_private, state.mask_private, state.seed):
        assert secret[:8] not in box


def test_the_storage_key_is_one_of_its_own_for_every_member_and_follows_from_its_identity(rests):
    members = [rests.member(client) for client in (10, 11, 12)]
    keys = {member.storage_key for member in members}
    assert len(keys) == 3 and all(len(key) == 32 for key in keys)
    for member in members:
        assert member.storage_key != member.identity.private_bytes
        again = type(member)(
            member.id,
            Identity.from_bytes(member.identity.private_bytes),
            member.roster,
            member.policy,
            SystemRandomness(),
        )
        assert again.storage_key == member.storage_key, "a new process opens what an older one sealed"


def test_another_members_key_opens_no_state(rests):
    for step in STEPS:
        with pytest.raises(ProtocolError):
            open_state(rests.states[10, step], rests.member(11).storage_key)


def test_a_flipped_bit_anywhere_in_a_box_is_noticed(rests):
    key, box = rests.member(10).storage_key, rests.states[10, Step.MASK]
    for at in range(8 * len(box)):
        damaged = bytearray(box)
        damaged[at // 8] ^= 1 << (at % 8)
        with pytest.raises(ProtocolError):
            open_state(bytes(damaged), key)


def test_a_box_cut_anywhere_or_made_longer_is_noticed(rests):
    key, box = rests.member(10).storage_key, rests.states[10, Step.CONFIRM]
    for size in range(len(box)):
        with pytest.raises(ProtocolError):
            open_state(box[:size], key)
    with pytest.raises(ProtocolError):
        open_state(box + b"\0", key)


def test_the_salt_of_one_box_does_not_open_the_other(rests):
    key, state = (
        rests.member(10).storage_key,
        open_state(rests.states[10, Step.MASK], rests.member(10).storage_key),
    )
    one, other = (seal_state(state, key, salt) for salt in (b"1" * SALT_BYTES, b"2" * SALT_BYTES))
    assert one[SALT_BYTES:] != other[SALT_BYTES:], "the same state looks different under another salt"
    with pytest.raises(ProtocolError):
        open_state(one[:SALT_BYTES] + other[SALT_BYTES:], key)


@pytest.mark.parametrize("size", [0, SALT_BYTES - 1, SALT_BYTES + 1])
def test_a_salt_of_another_size_is_a_mistake_of_the_caller(size):
    with pytest.raises(ValueError, match="bytes of salt"):
        seal_state(None, KEY, bytes(size))  # type: ignore[arg-type]


def test_only_the_state_before_a_step_leads_to_it(rests):
    """All pairs of a request and a state of the round: every wrong one is refused."""
    member, order = rests.member(10), list(STEPS)
    for at, step in enumerate(order):
        for other in order:
            if at and other == order[at - 1]:
                continue
            with pytest.raises(PolicyError, match="expected the next step"):
                respond(member, rests.states[10, other], rests.requests[10, step], lambda *_: None)


def test_the_state_of_another_slot_leads_to_no_step(rests):
    member, states = rests.member(10), {}

    def keep(client, step, reply):
        states[client, step.step] = rests.world.endpoints[client].states[step.context]
        return reply

    rests.world.run(rests.world.wire(on_reply=keep), attempt=1)
    order = list(STEPS)
    for before, step in pairwise(order):
        with pytest.raises(PolicyError, match="slot of the state"):
            respond(member, states[10, before], rests.requests[10, step], lambda *_: None)


def test_only_canonical_bytes_are_a_state(rests):
    data = state_to_bytes(open_state(rests.states[10, Step.MASK], rests.member(10).storage_key))
    for wrong in (b"", data[:-1], data + b"\0", b"SFL1" + data[4:], data[:4] + b"\xff" + data[5:]):
        with pytest.raises(DecodeError):
            state_from_bytes(wrong)


def test_a_state_with_more_shares_than_a_group_can_have_members_has_no_bytes(rests):
    state = open_state(rests.states[10, Step.MASK], rests.member(10).storage_key)
    too_many = type(state)(state.terms, state.session, state.holdings[:1] * (MAX_MEMBERS + 1))
    with pytest.raises((DecodeError, ValueError)):
        state_to_bytes(too_many)
