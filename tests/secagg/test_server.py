"""The server against tampered replies and lying members, and what it gets to see at all."""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from securefl.crypto import AgreementKey
from securefl.errors import GroupAborted, PeerFault
from securefl.secagg import Step, respond, transcript
from securefl.secagg.messages import (
    KEY_KIND,
    SEED_KIND,
    AdvertiseReply,
    Opening,
    ShareReply,
    UnmaskReply,
    from_bytes,
    to_bytes,
)
from securefl.secagg.opening import openings_message
from securefl.secagg.server import advance, requests
from securefl.secagg.setup import deal_tree
from securefl.secagg.stages import Summed
from securefl.secagg.states import Holding, SharePair

MODEL = b"model of the round"
ROUND_STEPS = [Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK]


def same(one, other):
    """Equality of stages that leaves blame aside and looks into arrays."""
    if is_dataclass(one):
        names = [field.name for field in fields(one) if field.name != "blame"]
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def settle(state, replies):
    try:
        return advance(state, replies)
    except GroupAborted as aborted:
        return aborted


def changed_bytes(data, chance):
    """Every single-byte change of `data`, each truncation, and some extensions."""
    for place in range(len(data)):
        raw = bytearray(data)
        raw[place] ^= chance.randrange(1, 256)
        yield bytes(raw)
    for size in range(0, len(data), 7):
        yield data[:size]
    yield data + b"\0"
    yield data + data


@pytest.mark.parametrize("members", [3, 2])
def test_every_changed_byte_of_a_reply_counts_as_that_partys_dropout_and_blames_it(make_world, play, members):
    # Three members, threshold two: the sum goes on without the party. Two of two: the group aborts.
    world = make_world(sizes=(members,), threshold=2, length=3)
    chance, tried = random.Random(5), 0
    for state, replies in play(world)[0]:
        client = 10 + tried % members
        silent = settle(state, {other: data for other, data in replies.items() if other != client})
        for data in changed_bytes(replies[client], chance):
            tried += 1
            after = settle(state, {**replies, client: data})
            if members == 3:
                assert same(after, silent)
                assert [culprit for culprit, _ in after.blame] == [client]
            else:
                assert isinstance(after, GroupAborted)
                assert f"; {client}: " in str(after)
    assert tried > 900


@pytest.mark.parametrize("at", ROUND_STEPS)
def test_a_reply_of_another_round_step_or_member_blames_its_sender_and_the_sum_stays_exact(make_world, at):
    old = make_world()
    wire = old.wire()
    old.run(wire)
    foreign = [reply for client, step, _, reply in wire.heard if client in (10, 11)]
    for reply in foreign:
        world = old.fresh()

        def on_reply(client, step, data, reply=reply):
            return reply if client == 10 and step.step == at else data

        (outcome,) = world.run(world.wire(on_reply=on_reply), round=2)
        assert outcome.blamed == (10,)
        survivors = (11, 12, 13) if at <= Step.MASK else (10, 11, 12, 13)
        assert outcome.survivors == survivors
        assert outcome.total.tolist() == world.expected(survivors)


def lying(world, liar, at, change):
    """The liar's reply of one step goes through `change(message, state before the step)`."""
    before = {}

    def on_request(client, step, data):
        if client == liar:
            endpoint = world.endpoints[client]
            before[step.step] = endpoint.opened(step.after) if step.after in endpoint.states else None
        return data

    def on_reply(client, step, data):
        if client != liar or step.step != at:
            return data
        return to_bytes(change(from_bytes(data), before[at]))

    wire = world.wire(on_request=on_request, on_reply=on_reply)
    (outcome,) = world.run(wire)
    return wire, outcome


def bend_state(world, liar, at, change):
    """The liar goes on from a changed state: a member that runs other code than ours."""
    endpoint = world.endpoints[liar]

    def on_request(client, step, data):
        if client == liar and step.step == at:
            endpoint.put(step.context, change(endpoint.opened(step.context)))
        return data

    (outcome,) = world.run(world.wire(on_request=on_request))
    return outcome


def test_a_holder_that_opens_another_share_is_blamed_and_the_sum_is_exact(make_world):
    world = make_world()

    def bend(state):
        pair = state.holdings[1].pair
        wrong = SharePair(pair.key_share, pair.key_share, pair.key_salt, pair.seed_salt)
        return replace(state, holdings=(state.holdings[0], Holding(11, wrong), *state.holdings[2:]))

    outcome = bend_state(world, 12, Step.UNMASK, bend)
    assert outcome.blamed == (12,)
    assert "opened another share of 11" in outcome.faults[0][1]
    assert outcome.total.tolist() == world.expected((10, 11, 12, 13))


def test_a_holder_that_opens_the_other_kind_is_blamed(make_world):
    world = make_world()

    def other_kind(reply: UnmaskReply, before):
        pair = before.holdings[1].pair
        wrong = Opening(11, KEY_KIND, pair.key_share, pair.key_salt)
        openings = (reply.openings[0], wrong, *reply.openings[2:])
        message = openings_message(before.session, 12, before.survivors, openings)
        return UnmaskReply(12, openings, world.endpoints[12].member.sign("unmask", message))

    _, outcome = lying(world, 12, Step.UNMASK, other_kind)
    assert outcome.blamed == (12,)
    assert outcome.total.tolist() == world.expected((10, 11, 12, 13))


def test_a_dealer_whose_shares_match_its_hashes_but_not_its_seed_is_blamed_and_there_is_no_sum(make_world):
    world = make_world()
    outcome = bend_state(world, 13, Step.SHARE, lambda state: replace(state, seed=b"another seed".ljust(32)))
    assert outcome.total is None
    assert outcome.blamed == (13,)
    assert "dealt shares of another secret" in outcome.failure


def test_a_dealer_of_another_mask_key_is_blamed_when_it_drops_out(make_world):
    world = make_world(sizes=(5,))
    endpoint, other = world.endpoints[13], AgreementKey.from_bytes(b"k" * 32)

    def on_request(client, step, data):
        if client == 13 and step.step == Step.SHARE:
            state = endpoint.opened(step.context)
            endpoint.put(step.context, replace(state, mask_private=other.private_bytes))
        return None if client == 13 and step.step == Step.MASK else data

    (outcome,) = world.run(world.wire(on_request=on_request))
    assert outcome.total is None
    assert outcome.blamed == (13,)


def no_box(deal):
    return replace(deal, box=deal.box and bytes(len(deal.box)))


def other_hashes(deal):
    return replace(deal, key_hash=deal.seed_hash, seed_hash=deal.key_hash)


@pytest.mark.parametrize("wrong", [no_box, other_hashes])
def test_a_dealer_of_signed_deals_that_do_not_open_stops_the_holders_before_they_train(make_world, wrong):
    world = make_world()

    def spoil(reply: ShareReply, before):
        keys = world.endpoints[13].opened(slot(world))
        digest = transcript.keys_digest(transcript.context(before.terms), keys.keys_root)
        deals = tuple(wrong(deal) for deal in reply.deals)
        root = deal_tree(before.terms, digest, 13, deals)[-1][0]
        message = transcript.root_message(digest, 13, root)
        return ShareReply(13, deals, world.endpoints[13].member.sign("share", message))

    wire, outcome = lying(world, 13, Step.SHARE, spoil)
    assert outcome.total is None
    refusals = [error for client, _, error in wire.refusals if client != 13]
    assert [type(error) for error in refusals] == [PeerFault] * 3
    assert {error.culprit for error in refusals} == {13}
    assert all(world.endpoints[client].trained == 0 for client in (10, 11, 12))


def slot(world):
    return transcript.slot(world.base.task, world.base.round, world.base.attempt)


@pytest.mark.parametrize("field", ["channel_public", "mask_public"])
@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31)])
def test_an_advertised_key_of_small_order_is_blamed(make_world, field, public):
    world = make_world()

    def weaken(reply: AdvertiseReply, before):
        weak = replace(reply, **{field: public})
        terms = world.endpoints[10].opened(slot(world)).terms
        message = transcript.keys_message(transcript.context(terms), weak)
        return replace(weak, signature=world.endpoints[10].member.sign("advertise", message))

    _, outcome = lying(world, 10, Step.ADVERTISE, weaken)
    assert outcome.blamed == (10,)
    assert outcome.total.tolist() == world.expected((11, 12, 13))


def test_a_signed_vector_of_the_wrong_size_is_blamed_and_not_added(make_world):
    world = make_world()

    def shorten(reply, before):
        session = world.endpoints[10].opened(slot(world)).session
        vector = reply.vector[:-1]
        message = transcript.vector_message(session, 10, vector)
        return replace(reply, vector=vector, signature=world.endpoints[10].member.sign("vector", message))

    _, outcome = lying(world, 10, Step.MASK, shorten)
    assert outcome.blamed == (10,)
    assert outcome.total.tolist() == world.expected((11, 12, 13))


# What reaches the server -------------------------------------------------------------------------


def walk(thing):
    """Every bytes object and array that can be reached from `thing`."""
    if is_dataclass(thing):
        for field in fields(thing):
            yield from walk(getattr(thing, field.name))
    elif isinstance(thing, dict):
        for item in (*thing.keys(), *thing.values()):
            yield from walk(item)
    elif isinstance(thing, tuple | list | set):
        for item in thing:
            yield from walk(item)
    elif isinstance(thing, np.ndarray):
        yield thing.tobytes()
    elif isinstance(thing, bytes):
        yield thing
        if thing.startswith(b"SFSA"):
            yield from walk(from_bytes(thing))


def secrets_of(world):
    """What members know and the server must not, captured at the members while the round runs."""
    secrets = {}

    def on_request(client, step, data):
        if step.step == Step.SHARE:
            state = world.endpoints[client].opened(step.context)
            secrets[client] = {
                "key": state.mask_private,
                "seed": state.seed,
                "channel": state.channel_private,
            }
        return data

    return secrets, on_request


@pytest.mark.parametrize("dropped", [(), (11,), (11, 14)])
def test_nothing_that_reaches_the_server_holds_a_plain_vector_or_both_secrets_of_one_client(
    make_world, start, dropped
):
    world = make_world(sizes=(6,), threshold=4, length=8)
    secrets, on_request = secrets_of(world)
    wire = world.wire(
        on_request=lambda c, s, d: None if c in dropped and s.step >= Step.MASK else on_request(c, s, d)
    )
    state, view, openings = start(world), [], []
    while not isinstance(state, Summed):
        view += [state, sent := requests(state)]
        replies = wire(sent)
        view.append(replies)
        state = advance(state, replies)
    view.append(state)
    pieces = list(walk(view))
    assert len(pieces) > 500
    assert state.total.tolist() == world.expected(c for c in world.roster.ids if c not in dropped)
    assert world.plain_in(pieces) == set()
    assert not any(secret in piece for piece in pieces for own in secrets.values() for secret in own.values())
    openings = [message for piece in pieces if (message := opening_of(piece)) is not None]
    kinds = {}
    for message in openings:
        for opening in message.openings:
            kinds.setdefault(opening.dealer, set()).add(opening.kind)
    assert kinds == {c: {KEY_KIND} if c in dropped else {SEED_KIND} for c in world.roster.ids}


def opening_of(piece):
    if not piece.startswith(b"SFSA"):
        return None
    message = from_bytes(piece)
    return message if isinstance(message, UnmaskReply) else None


def test_the_walk_would_find_a_plain_vector(make_world):
    world = make_world(masking=False, length=8)
    wire = world.wire()
    world.run(wire)
    pieces = list(walk([reply for _, _, _, reply in wire.heard]))
    assert world.plain_in(pieces) == set(world.roster.ids)


def test_every_opened_share_has_its_own_salt(make_world):
    world = make_world()
    wire = world.wire()
    world.run(wire)
    opened = [message.openings for _, _, _, reply in wire.heard if (message := opening_of(reply)) is not None]
    salts = [opening.salt for openings in opened for opening in openings]
    assert len(salts) == 16
    assert len(set(salts)) == 16


@pytest.mark.parametrize("at", ROUND_STEPS)
def test_one_members_reply_under_anothers_name_is_not_counted_twice(make_world, at):
    world, kept = make_world(), {}

    def on_reply(client, step, data):
        kept[client, step.step] = data
        return kept[12, at] if client == 13 and step.step == at else data

    (outcome,) = world.run(world.wire(on_reply=on_reply))
    assert outcome.blamed == (13,)
    assert outcome.survivors == ((10, 11, 12) if at <= Step.MASK else (10, 11, 12, 13))
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_a_late_vector_is_not_in_the_sum(make_world):
    world = make_world(sizes=(5,))
    late = {}

    def on_reply(client, step, data):
        if client == 10 and step.step == Step.MASK:
            late["vector"] = data
            return None
        if client == 11 and step.step == Step.CONFIRM:
            return late["vector"]
        return data

    (outcome,) = world.run(world.wire(on_reply=on_reply))
    assert outcome.survivors == (11, 12, 13, 14)
    assert outcome.blamed == (11,)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_a_member_that_answers_from_a_fresh_process_every_time_gives_the_same_sum(make_world):
    world = make_world()
    stored: dict[int, bytes] = {}

    def exchange(batch):
        replies = {}
        for client, request in batch.items():
            one = world.endpoints[client]
            answer = respond(replace(one.member), stored.get(client), request, one.contribute)
            stored[client], replies[client] = bytes(bytearray(answer.state)), answer.reply
        return replies

    (outcome,) = world.run(exchange)
    assert outcome.total.tolist() == world.expected(outcome.members)
