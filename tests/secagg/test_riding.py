"""Keys of the coming round that ride on the last exchange of this one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import DecodeError
from securefl.secagg import Step, aggregate, join, split, step_of
from securefl.secagg.messages import AdvertiseRequest, from_bytes
from securefl.secagg.riding import Riding

MAGIC = b"SFRD"
MODEL = b"model of the round"


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_what_is_joined_is_split_again(first, second):
    data = join((first, second))
    if first.startswith(MAGIC) or second.startswith(MAGIC):
        with pytest.raises(DecodeError):
            split(data)
    else:
        assert split(data) == (first, second)


def test_a_message_without_an_envelope_is_its_own_only_part():
    for data in (b"", b"SFSA\x01\x05...", b"SFR"):
        assert split(data) == (data,)


@pytest.mark.parametrize("place", [0, 1])
def test_an_envelope_in_an_envelope_is_refused(place):
    parts = [b"one", b"two"]
    parts[place] = join((b"a", b"b"))
    with pytest.raises(DecodeError, match="another envelope"):
        split(join(parts))


def malformed():
    data = join((b"one", b"two"))
    return {
        "magic alone": MAGIC,
        "another version": data[:4] + b"\x02" + data[5:],
        "another kind": data[:5] + b"\x02" + data[6:],
        "cut": data[:-1],
        "longer": data + b"\0",
        "a length beyond the end": data[:6] + b"\xff\xff\xff\xff" + data[10:],
    }


@pytest.mark.parametrize("name", malformed())
def test_a_malformed_envelope_is_refused(name):
    with pytest.raises(DecodeError):
        split(malformed()[name])


class Carriage:
    """An exchange that takes envelopes apart and answers each part, as a client does; it counts exchanges."""

    def __init__(self, wire, lost=()):
        self.wire, self.lost, self.exchanges, self.asked = wire, set(lost), 0, []

    def __call__(self, requests):
        self.exchanges += 1
        replies = {}
        for client, request in requests.items():
            parts = split(request)
            self.asked += [(client, type(from_bytes(part)), step_of(part).round) for part in parts]
            answers = [self.wire({client: part}).get(client, b"") for part in parts]
            if len(parts) == 2 and client in self.lost:
                answers[1] = b""
            if any(answers):
                replies[client] = join(answers) if len(parts) == 2 else answers[0]
        return replies

    def asked_for_keys(self, round):
        return {client for client, kind, at in self.asked if kind is AdvertiseRequest and at == round}


def two_rounds(world, lost=(), coming=None, wire=None, **changes):
    """Outcomes and exchanges of a round, and of the next one whose keys rode on it."""
    now = world.plan(**changes)
    ahead = Riding(coming or replace(now, round=2))
    first = Carriage(wire or world.wire(), lost)
    one = aggregate(now, MODEL, first, ahead=ahead)
    second = Carriage(wire or world.wire())
    two = aggregate(replace(now, round=2), MODEL, second, early=ahead)
    return (one, first), (two, second), ahead


def check_exact(world, outcomes):
    for outcome in outcomes:
        assert outcome.failure is None
        assert outcome.survivors == outcome.members
        assert outcome.total.tolist() == world.expected(outcome.members)


@pytest.mark.parametrize("sizes", [(4,), (3, 4)])
@pytest.mark.parametrize("agreement", [0, 1])
def test_a_round_whose_keys_rode_takes_four_exchanges_and_is_exact(make_world, sizes, agreement):
    world = make_world(sizes=sizes, agreement=agreement)
    (one, first), (two, second), ahead = two_rounds(world, agreement=agreement)
    check_exact(world, one + two)
    assert (first.exchanges, second.exchanges) == (5, 4)
    assert set(ahead.keys) == set(world.endpoints) == first.asked_for_keys(2)
    assert second.asked_for_keys(2) == set()


def test_keys_ride_on_the_last_exchange_only(make_world):
    world = make_world()
    (_, first), _, _ = two_rounds(world)
    kinds = [kind for client, kind, _ in first.asked if client == 10]
    assert [kind.__name__ for kind in kinds] == [
        *("AdvertiseRequest", "ShareRequest", "MaskRequest", "ConfirmRequest", "UnmaskRequest"),
        "AdvertiseRequest",
    ]


def test_only_those_whose_keys_did_not_ride_are_asked_again(make_world):
    world = make_world()
    _, (two, second), ahead = two_rounds(world, lost={11})
    assert set(ahead.keys) == {10, 12, 13}
    assert second.asked_for_keys(2) == {11}
    assert second.exchanges == 5
    check_exact(world, two)


def test_who_was_absent_from_the_last_exchange_joins_the_next_round(make_world):
    world = make_world()
    gone = world.wire(on_request=lambda client, step, data: None if (client, step.round) == (12, 1) else data)
    (one, _), (two, second), ahead = two_rounds(world, wire=gone)
    assert one[0].survivors == (10, 11, 13)
    assert one[0].total.tolist() == world.expected((10, 11, 13))
    assert set(ahead.keys) == {10, 11, 13}
    assert second.asked_for_keys(2) == {12}
    check_exact(world, two)


@pytest.mark.parametrize("change", [{"attempt": 1}, {"round": 3}, {"max_dropout": Fraction(0)}])
def test_keys_that_rode_for_another_plan_are_ignored(make_world, change):
    world = make_world()
    coming = world.plan(**{"round": 2, **change})
    # Members advertised for another slot or other terms; where the slot is the same they stay silent now.
    _, (two, second), ahead = two_rounds(world, coming=coming)
    assert ahead.plan != world.plan(round=2)
    assert second.asked_for_keys(2) == set(world.endpoints)
    if "max_dropout" in change:
        assert two[0].total is None
    else:
        check_exact(world, two)


def test_forged_keys_that_rode_are_blamed_and_their_sender_left_out(make_world):
    world = make_world()
    now, coming = world.plan(), world.plan(round=2)
    ahead = Riding(coming)
    aggregate(now, MODEL, Carriage(world.wire()), ahead=ahead)
    ahead.keys[13] = ahead.keys[13][:-1] + bytes([ahead.keys[13][-1] ^ 1])
    (outcome,) = aggregate(coming, MODEL, Carriage(world.wire()), early=ahead)
    assert outcome.blamed == (13,)
    assert outcome.total.tolist() == world.expected((10, 11, 12))


def test_a_malformed_envelope_of_one_member_costs_nobody_else_anything(make_world):
    world = make_world()
    ahead = Riding(world.plan(round=2))
    carriage = Carriage(world.wire())

    def exchange(requests):
        replies = carriage(requests)
        return {
            client: MAGIC + b"..." if client == 11 and data.startswith(MAGIC) else data
            for client, data in replies.items()
        }

    (outcome,) = aggregate(world.plan(), MODEL, exchange, ahead=ahead)
    assert outcome.blamed == (11,)
    assert outcome.total.tolist() == world.expected(outcome.members), "three of four opened their shares"
    assert set(ahead.keys) == {10, 12, 13}


def test_a_reply_that_carries_what_nobody_asked_for_rides_nowhere(make_world):
    world = make_world()
    carriage = Carriage(world.wire())
    ahead = Riding(world.plan(round=2))

    def exchange(requests):
        replies = carriage(requests)
        first = any(isinstance(from_bytes(split(one)[0]), AdvertiseRequest) for one in requests.values())
        return {client: join((data, b"stowaway")) if first else data for client, data in replies.items()}

    (outcome,) = aggregate(world.plan(), MODEL, exchange, ahead=ahead)
    check_exact(world, [outcome])
    assert b"stowaway" not in ahead.keys.values()
    assert max(step.step for _, step, _, _ in carriage.wire.heard) == Step.UNMASK
