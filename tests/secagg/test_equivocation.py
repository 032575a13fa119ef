"""A malicious server that tells members different things, or asks for less: honest members stop.

    rosters, terms, models    every way to split a group between two of them
    thresholds, cohorts       every smaller one, for n = 3..50

An equivocation is found out where the members' words meet: keys, shares and signatures of the other half
do not fit. The server here relays them all the same; the honest one would have dropped their senders.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass, replace
from itertools import combinations

import pytest

from securefl.crypto import Identity, SystemRandomness
from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import Roster, Step, respond, step_of
from securefl.secagg.messages import from_bytes, to_bytes

STREAM = SystemRandomness().stream("equivocation tests")
SPLITS = [half for size in (1, 2) for half in combinations(range(10, 15), size)]
"""Every way to split five members in two, named by the smaller half."""

AT_ONCE, BY_THE_KEYS = "refused at once", "refused with the keys of the other half"
TABLE = [n if n in (3, 4, 5, 10, 21) else pytest.param(n, marks=pytest.mark.slow) for n in range(3, 51)]


def never(model, round):
    raise AssertionError("a member must not train on what it refuses")


def first_request(world):
    """The request that opens the world's round, as the honest server sends it."""
    seen: list[bytes] = []
    world.run(world.wire(on_request=lambda client, step, data: seen.append(data)))
    return from_bytes(seen[0])


def advertised(world, requests):
    """States and key messages of the members that accept their request, and who refused."""
    states, replies, refused = {}, [], []
    for client, request in requests.items():
        try:
            answer = respond(world.endpoints[client].member, None, to_bytes(request), never)
        except PolicyError:
            refused.append(client)
            continue
        states[client] = answer.state
        replies.append(from_bytes(answer.reply))
    return states, tuple(replies), refused


def share_request(world):
    """The request that relays everybody's keys, as the honest server sends it."""
    asked = {}

    def note(client, step, data):
        asked[step.step] = from_bytes(data)
        return data if step.step < Step.SHARE else None

    honest = world.fresh()
    honest.run(honest.wire(on_request=note))
    return asked[Step.SHARE]


def mixed_keys_are_refused(world, requests, relay):
    """Every member that accepted its terms refuses `relay` with the keys of members with other terms."""
    states, keys, refused = advertised(world, requests)
    if refused:
        return AT_ONCE
    for client, state in states.items():
        slot = step_of(to_bytes(requests[client]))
        place = {"slot": slot.context, "round": slot.round, "attempt": slot.attempt}
        with pytest.raises((PeerFault, PolicyError)):
            respond(
                world.endpoints[client].member, state, to_bytes(replace(relay, keys=keys, **place)), never
            )
    return BY_THE_KEYS


# Rosters -----------------------------------------------------------------------------------------


def rosters(world):
    """Other rosters that the same authority signed: one more member, one fewer, one with another key."""
    keys = dict(world.roster.keys)
    public = Identity.generate(STREAM).public
    yield Roster.sign(world.authority, {**keys, 99: public})
    yield Roster.sign(world.authority, {client: key for client, key in keys.items() if client != 14})
    yield Roster.sign(world.authority, {**keys, 14: public})


@pytest.mark.parametrize("half", SPLITS)
def test_two_signed_rosters_never_meet_in_one_round(make_world, half):
    world = make_world(sizes=(5,))
    relay, tried = share_request(world), Counter()
    for roster in rosters(world):
        split = world.fresh()
        holders = [client for client in half if client in roster.ids]
        for client in holders:
            endpoint = split.endpoints[client]
            if roster.public(client) == endpoint.member.identity.public:
                endpoint.member = replace(endpoint.member, roster=roster)
        changed = [client for client in holders if split.endpoints[client].member.roster is roster]
        if not changed:
            continue
        # The honest terms: whoever has the other roster refuses them, and the rest goes on exactly.
        wire = split.wire()
        (outcome,) = split.run(wire)
        rest = tuple(client for client in split.roster.ids if client not in changed)
        assert sorted(client for client, _, _ in wire.refusals) == changed
        assert outcome.survivors == rest
        assert outcome.total.tolist() == split.expected(rest)
        # Terms made for each: the two halves' keys never fit.
        honest = first_request(split)
        other = replace(honest, terms=replace(honest.terms, roster=roster.digest))
        requests = {client: other if client in changed else honest for client in split.roster.ids}
        known = set(split.roster.ids) <= set(roster.ids)  # or the group has a stranger, which is refused
        expected = BY_THE_KEYS if known else AT_ONCE
        assert mixed_keys_are_refused(split, requests, relay) == expected
        tried[expected] += 1
    assert tried[BY_THE_KEYS] >= 1


# Terms -------------------------------------------------------------------------------------------


def other_value(name, value):
    if isinstance(value, int):
        return value + 1
    if isinstance(value, tuple):
        return value[:-1]
    return bytes((value[0] ^ 1, *value[1:]))


@pytest.mark.parametrize("half", SPLITS)
def test_terms_that_differ_in_any_field_between_two_halves_give_no_shares(make_world, half):
    world = make_world(sizes=(5,), group_min=4)
    honest, relay, found = first_request(world), share_request(world), {}
    for one in fields(honest.terms):
        value = getattr(honest.terms, one.name)
        other = replace(honest, terms=replace(honest.terms, **{one.name: other_value(one.name, value)}))
        requests = {client: other if client in half else honest for client in world.roster.ids}
        found[one.name] = mixed_keys_are_refused(world, requests, relay)
    assert set(found.values()) == {AT_ONCE, BY_THE_KEYS}
    assert found["attempt"] == found["round"] == found["group_seed"] == found["survivors"] == BY_THE_KEYS


# Models and survivors ----------------------------------------------------------------------------


@pytest.mark.parametrize("half", SPLITS)
def test_two_models_in_one_group_are_never_opened_together(make_world, malicious_server, half):
    world = make_world(sizes=(5,))

    def change(client, step, data):
        if step.step != Step.MASK or client not in half:
            return data
        return to_bytes(replace(from_bytes(data), model=b"a model made for some"))

    server, ids = malicious_server(world, change), world.roster.ids
    signed = {client: server.confirm(client, ids) for client in ids}
    rest = tuple(client for client in ids if client not in half)
    for client in ids:
        own, others = (half, rest) if client in half else (rest, half)
        state, replies = signed[client][0], {one: reply for one, (_, reply) in signed.items()}
        for foreign in others:  # a signature of the other half spoils every set, however large
            for company in ([*own, foreign], ids):
                with pytest.raises(ProtocolError):
                    server.unmask(client, state, [replies[one] for one in company])
        if len(own) < world.base.threshold:
            with pytest.raises(PolicyError):
                server.unmask(client, state, [replies[one] for one in own])
        else:
            assert server.unmask(client, state, [replies[one] for one in own])
    assert server.wire.exposed(world.base.threshold) == set()


@pytest.mark.parametrize("half", SPLITS)
def test_the_honest_server_is_left_with_the_majority_of_one_model(make_world, half):
    world = make_world(sizes=(5,))

    def change(client, step, data):
        message = from_bytes(data)
        if step.step != Step.MASK or client not in half:
            return data
        return to_bytes(replace(message, model=b"a model made for some"))

    (outcome,) = world.run(world.wire(on_request=change))
    assert outcome.blamed == half
    assert outcome.total.tolist() == world.expected(outcome.survivors)
    assert outcome.survivors == tuple(client for client in world.roster.ids if client not in half)


# Thresholds and cohorts --------------------------------------------------------------------------


@pytest.mark.parametrize("members", TABLE)
def test_every_lower_threshold_is_refused_by_every_kind_of_policy(make_world, members):
    # The table n = 3..50: for each n_c that the group can bear, every t below (n + n_c) / 2 + 1 is refused,
    # by a member whose policy names the threshold and by one whose policy would take any.
    world = make_world(sizes=(members,), threshold=members)
    terms, table, asked_times = first_request(world), {}, Counter()
    for n_c in range(members - 1):
        least = next((t for t in range(2, members + 1) if 2 * t > members + n_c and t - n_c >= 2), None)
        table[n_c] = least
        for policy_threshold in (0, least or members):
            member = world.endpoints[10].member
            policy = replace(member.policy, threshold_min=policy_threshold, colluding=n_c, group_min=1)
            member = replace(member, policy=policy)
            for t in range(members + 2):
                asked = replace(terms, terms=replace(terms.terms, threshold=t, colluding=n_c))
                if least is not None and least <= t <= members:
                    assert respond(member, None, to_bytes(asked), never).reply
                    asked_times["accepted"] += 1
                else:
                    asked_times["refused"] += 1
                    with pytest.raises(PolicyError):
                        respond(member, None, to_bytes(asked), never)
            for fewer in range(n_c):  # and so is a server that says that fewer collude
                asked = replace(terms, terms=replace(terms.terms, threshold=members, colluding=fewer))
                with pytest.raises(PolicyError):
                    respond(member, None, to_bytes(asked), never)
                asked_times["refused"] += 1
    print(members, dict(asked_times), table)
    assert table[0] == members // 2 + 1


@pytest.mark.parametrize("members", TABLE)
def test_every_smaller_group_than_the_policys_is_refused(make_world, members):
    world = make_world(sizes=(members,), threshold=members // 2 + 1)
    request, member = first_request(world), world.endpoints[10].member
    for size in range(members):
        fewer = replace(request, terms=replace(request.terms, members=world.roster.ids[:size]))
        with pytest.raises(PolicyError):
            respond(member, None, to_bytes(fewer), never)
    assert respond(member, None, to_bytes(request), never).reply


def shortened(data, left, own):
    """The message with its list cut to `left` entries, the member's own kept."""
    message = from_bytes(data)
    name = next(one.name for one in fields(message) if isinstance(getattr(message, one.name), tuple))
    items = getattr(message, name)
    ids = [vars(item)[fields(item)[0].name] if is_dataclass(item) else item for item in items]
    order = sorted(range(len(items)), key=lambda place: ids[place] != own)
    return to_bytes(replace(message, **{name: tuple(items[place] for place in sorted(order[:left]))}))


@pytest.mark.parametrize("members", range(3, 9))
@pytest.mark.parametrize("at", [Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK])
def test_a_cohort_that_shrinks_below_the_threshold_at_any_step_is_refused(make_world, at, members):
    threshold = members // 2 + 1
    original = make_world(sizes=(members,), threshold=threshold)
    # A masked-vector request lists the other dealers only.
    for left in range(threshold - (at == Step.MASK)):
        world = original.fresh()

        def on_request(client, step, data, left=left):
            return shortened(data, left, client) if step.step == at else data

        wire = world.wire(on_request=on_request)
        (outcome,) = world.run(wire)
        assert outcome.total is None
        refused = [(client, error) for client, step, error in wire.refusals if step == at]
        assert [client for client, _ in refused] == list(world.roster.ids)
        assert all(isinstance(error, ProtocolError) for _, error in refused)
        assert wire.exposed(threshold) == set()
        if at <= Step.MASK:
            assert all(endpoint.trained == 0 for endpoint in world.endpoints.values())
