"""Bugs of secure aggregation, planted on purpose: each is caught by a check that the honest code passes.

A check is a function that plays against the code as it stands and asserts one guarantee; a bug replaces
one piece of that code. The two tests at the bottom run every check with and without its bugs. A party
that cheats is not a bug: it is part of a check, and changes what one member sends.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from fractions import Fraction
from importlib import import_module
from itertools import chain
from typing import get_args, get_type_hints

import numpy as np
import pytest

from securefl.crypto import AgreementKey, Identity, KeyPair, SeededRandomness, Stream, derive
from securefl.encoding import FixedPoint, packing
from securefl.errors import ConfigError, DecodeError, PeerFault, PolicyError, ProtocolError
from securefl.secagg import (
    Roster,
    Step,
    boxes,
    codec,
    collect,
    masking,
    messages,
    offers,
    opening,
    policy,
    recovery,
    respond,
    server,
    setup,
    transcript,
)
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.graph import graph_of
from securefl.secagg.messages import from_bytes, to_bytes
from securefl.secagg.states import Shared

Patch = pytest.MonkeyPatch
# The door and its module have one name in the package; what is patched is in the module.
respond_module = import_module("securefl.secagg.respond")


# Playing -----------------------------------------------------------------------------------------


def heard_replies(wire, step: Step) -> list:
    return [from_bytes(reply) for _, at, _, reply in wire.heard if at.step == step]


def long_values(replies) -> list[bytes]:
    """Keys, commitments and signatures in a list of messages."""
    values = [getattr(reply, field.name) for reply in replies for field in fields(reply)]
    return [value for value in values if isinstance(value, bytes) and len(value) >= 32]


@contextmanager
def recorded(owner: object, name: str, pick: Callable, kept: list) -> Iterator[None]:
    """Keeps what `pick` makes of the arguments of every call of a function."""
    real = getattr(owner, name)

    def recording(*arguments, **named):
        kept.append(pick(*arguments, **named))
        return real(*arguments, **named)

    with Patch.context() as patch:
        patch.setattr(owner, name, recording)
        yield


def without(client: int, step: Step) -> Callable:
    return lambda who, at, data: None if (who, at.step) == (client, step) else data


class EqualToAll:
    """What a forgotten comparison amounts to."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]  # nothing equal to all can be hashed


class Listmaker:
    """A malicious server after the masked vectors: asks members, in their latest states, what it likes."""

    def __init__(self, world, **changes) -> None:
        self.world, self.states = world, {}

        def stop(client, step, data):
            return data if step.step <= Step.MASK else None

        wire = world.wire(on_request=stop)
        world.run(wire, **changes)
        self.slot = wire.heard[0][1].context
        self.states = {client: one.states[self.slot] for client, one in world.endpoints.items()}

    def ask(self, client: int, request) -> object:
        answer = respond(self.world.endpoints[client].member, self.states[client], to_bytes(request), never)
        self.states[client] = answer.state
        return from_bytes(answer.reply)

    def confirm(self, client: int, survivors):
        return self.ask(client, messages.ConfirmRequest(self.slot, 1, 0, survivors))

    def unmask(self, client: int, confirmations):
        return self.ask(client, messages.UnmaskRequest(self.slot, 1, 0, tuple(confirmations)))


def never(model, round):
    raise AssertionError("only the mask step trains")


# Checks: one list, one kind ----------------------------------------------------------------------


def one_kind_of_share_leaves_a_member_for_one_key(make_world) -> None:
    malicious, kinds = Listmaker(make_world()), defaultdict(set)
    everybody = (10, 11, 12, 13)
    for survivors in (everybody, everybody[:3]):
        try:
            signed = [malicious.confirm(client, survivors) for client in survivors]
            for client in survivors:
                for one in malicious.unmask(client, signed).openings:
                    kinds[client, one.dealer].add(one.kind)
        except ProtocolError:
            continue
    assert kinds
    assert all(len(kind) == 1 for kind in kinds.values())


def shares_open_only_to_t_signatures_over_the_same_list(make_world) -> None:
    everybody = (10, 11, 12, 13)
    for lists in ({}, {11: everybody}, {11: everybody, 12: everybody[:3], 13: (10, 11, 13)}):
        malicious = Listmaker(make_world())
        own = malicious.confirm(10, everybody)
        signed = [own, *(malicious.confirm(client, theirs) for client, theirs in lists.items())]
        with pytest.raises((PolicyError, PeerFault)):
            malicious.unmask(10, signed)


def on_a_ring_shares_open_only_to_t_signatures_by_the_holders_of_each_dealer(make_world) -> None:
    """All sign but three of the six holders of one dealer; every other dealer has its four and more."""
    dropout = Fraction(1, 33)
    world = make_world(sizes=(66,), threshold=None, max_dropout=dropout)
    malicious, asked = Listmaker(world, max_dropout=dropout), []
    world.fresh().run(lambda requests: asked.append(requests[10]) or {}, max_dropout=dropout)
    terms = from_bytes(asked[0]).terms
    order, everybody = graph_of(terms).order, world.roster.ids
    assert (terms.holders, terms.threshold) == (6, 4)
    signed = {client: malicious.confirm(client, everybody) for client in everybody}
    for silent in (order[4:7], order[-6:-3]):  # holders of the farthest dealer on either side
        with pytest.raises(PolicyError):
            malicious.unmask(order[0], [signed[one] for one in everybody if one not in silent])
    opened = malicious.unmask(order[0], signed.values()).openings
    assert {one.dealer for one in opened} == {*order[1:4], *order[-3:]}


def a_second_confirmation_is_answered(patch: Patch) -> None:
    real = respond_module._step

    def step(member, before, message, contribute):
        if isinstance(message, messages.ConfirmRequest) and not isinstance(before, Shared):
            kept = memory[member.id, message.slot] = memory.get((member.id, message.slot), before)
            return real(member, kept, message, contribute)
        return real(member, before, message, contribute)

    memory: dict = {}
    patch.setattr(respond_module, "_step", step)


def no_signature_is_looked_at(patch: Patch) -> None:
    patch.setattr(transcript, "check_signature", lambda *arguments: None)


def the_count_of_signatures_is_not_looked_at(patch: Patch) -> None:
    real = opening.unmask
    patch.setattr(
        respond_module,
        "unmask",
        lambda member, state, request: real(
            member, replace(state, terms=replace(state.terms, threshold=0)), request
        ),
    )


def signatures_are_counted_over_the_whole_group(patch: Patch) -> None:
    def check(terms, survivors, confirmations, holdings):
        if len(confirmations) < terms.threshold:
            raise PolicyError("too few signatures")

    patch.setattr(opening, "check_signers", check)


def signatures_are_counted_for_the_first_dealer_only(patch: Patch) -> None:
    real = opening.check_signers
    patch.setattr(
        opening,
        "check_signers",
        lambda terms, survivors, signed, holdings: real(terms, survivors, signed, holdings[:1]),
    )


def the_consistency_step_is_skipped(patch: Patch) -> None:
    def unmask(member, state, request):
        opened = tuple(opening._open(one, one.dealer in state.survivors) for one in state.holdings)
        return state, messages.UnmaskReply(member.id, opened, member.sign("unmask", b""))

    patch.setattr(respond_module, "unmask", unmask)


# Checks: thresholds and lists --------------------------------------------------------------------


def advertise_to(world, client: int, **changes) -> None:
    """Asks one member to take part under the plan's terms with some of them changed."""
    asked = []

    def listen(requests):
        asked.append(requests[client])
        return {}

    world.run(listen)
    request = from_bytes(asked[0])
    changed = to_bytes(replace(request, terms=replace(request.terms, **changes)))
    respond(world.endpoints[client].member, None, changed, never)


def a_threshold_of_one_is_refused_by_server_and_members(make_world) -> None:
    world = make_world(sizes=(4,), threshold=3, threshold_min=1)
    with pytest.raises(ConfigError):
        world.run(threshold=1)
    with pytest.raises(PolicyError):
        advertise_to(world, 10, threshold=1)


def the_members_own_threshold_is_the_least(make_world) -> None:
    world = make_world(sizes=(5,), threshold=5, threshold_min=5)
    advertise_to(world, 10)
    with pytest.raises(PolicyError):
        advertise_to(world, 10, threshold=4)


def a_member_listed_twice_counts_for_nobody(make_world) -> None:
    malicious = Listmaker(make_world())
    # One list falls below the threshold without the repeated name, the other does not.
    for last, survivors in ((12, (10, 11, 12)), (13, (10, 11, 12, 13))):
        honest = to_bytes(messages.ConfirmRequest(malicious.slot, 1, 0, survivors))
        twice = honest.replace(last.to_bytes(4, "big"), (last - 1).to_bytes(4, "big"))
        assert twice != honest
        with pytest.raises(ProtocolError):
            respond(malicious.world.endpoints[10].member, malicious.states[10], twice, never)


def one_vector_under_two_names_is_summed_once(make_world) -> None:
    world, kept = make_world(), {}

    def on_reply(client, step, data):
        kept[client, step.step] = data
        return kept[12, Step.MASK] if client == 13 and step.step == Step.MASK else data

    (outcome,) = world.run(world.wire(on_reply=on_reply))
    assert outcome.survivors == (10, 11, 12)
    assert outcome.total.tolist() == world.expected((10, 11, 12))


def a_late_vector_is_in_no_sum(make_world) -> None:
    world, late = make_world(sizes=(5,)), {}

    def on_reply(client, step, data):
        if client == 10 and step.step == Step.MASK:
            late["vector"] = data
            return None
        return late["vector"] if client == 11 and step.step == Step.CONFIRM else data

    (outcome,) = world.run(world.wire(on_reply=on_reply))
    assert outcome.survivors == (11, 12, 13, 14)
    assert outcome.total.tolist() == world.expected((11, 12, 13, 14))


def the_smallest_threshold_is_one(patch: Patch) -> None:
    patch.setattr(policy, "smallest_threshold", lambda members, colluding: 1)


def the_members_policy_gives_no_least_values(patch: Patch) -> None:
    patch.setattr(policy, "_at_least", lambda noun, own, theirs: None)


def lists_may_repeat(patch: Patch) -> None:
    patch.setattr(codec, "_check_order", lambda *arguments: None)


def the_sender_of_a_reply_is_not_compared(patch: Patch) -> None:
    def read(data, client, cls, check):
        message = from_bytes(data)
        check(message)
        return message

    patch.setattr(collect, "_read", read)


def a_vector_at_the_next_step_still_counts(patch: Patch) -> None:
    real = server._receive_confirmations

    def receive(state, replies):
        for message in map(from_bytes, replies.values()):
            if isinstance(message, messages.MaskReply):
                group = state.group
                server.add_vector(group.roster, group.terms, state.session, message, state.total)
        return real(state, replies)

    patch.setattr(server, "_receive_confirmations", receive)


# Checks: keys, seeds and masks -------------------------------------------------------------------


class Scripted:
    """A source whose bytes are chosen; `taken` counts how many a stream gave."""

    private = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.taken = 0

    def stream(self, *label) -> Scripted:
        return self

    def take(self, size: int) -> bytes:
        self.taken += size
        return self._data[self.taken - size : self.taken]


def two_keys_and_a_seed_have_256_bits_each(make_world) -> None:
    """Every byte that advertising takes from the source, and there are 96, shows in what is advertised."""
    world = make_world(sizes=(3,), threshold=2)
    asked: list[bytes] = []
    world.run(lambda requests: asked.append(requests[10]) or {})

    def advertised(data: bytes) -> bytes:
        member = replace(world.endpoints[10].member, randomness=Scripted(data))
        return respond(member, None, asked[0], never).reply

    base = random.Random(1).randbytes(4096)
    honest = advertised(base)
    # Bit 4: X25519 ignores some bits of the first and the last byte of a key, but not this one.
    changed = (base[:at] + bytes([base[at] ^ 16]) + base[at + 1 :] for at in range(256))
    assert sum(advertised(data) != honest for data in changed) >= 96


def every_bit_of_a_self_mask_seed_counts(make_world) -> None:
    seed = random.Random(2).randbytes(32)
    flipped = [
        seed[: at // 8] + bytes([seed[at // 8] ^ 1 << at % 8]) + seed[at // 8 + 1 :] for at in range(256)
    ]
    masks = {masking.self_seed(one, b"s" * 32, 10) for one in (seed, *flipped)}
    assert len(masks) == 257
    assert {len(mask) for mask in masks} == {32}


def no_two_members_share_a_key_or_a_mask_that_is_not_theirs(make_world) -> None:
    world = make_world(sizes=(4,))
    wire = world.wire()
    seeds: list[list[tuple[bytes, int]]] = []
    with recorded(masking, "add_masks", lambda words, masks: list(masks), seeds):
        (outcome,) = world.run(wire)
    assert outcome.total is not None
    values = long_values(heard_replies(wire, Step.ADVERTISE))
    assert len(set(values)) == len(values)
    signs = defaultdict(list)
    for seed, sign in chain(*seeds):
        signs[seed].append(sign)
    assert sorted(map(sorted, signs.values())) == [[-1, 1]] * 6 + [[1]] * 4


def rounds_and_attempts_have_no_key_and_no_mask_in_common(make_world) -> None:
    world, values, seeds = make_world(sizes=(3,), threshold=2), [], []
    for changes in ({"round": 1}, {"round": 1, "attempt": 1}, {"round": 2}, {"round": 3}):
        wire = world.wire()
        with recorded(masking, "add_masks", lambda words, masks: [seed for seed, _ in masks], found := []):
            world.run(wire, **changes)
        values += long_values(heard_replies(wire, Step.ADVERTISE))
        seeds.append(set(chain(*found)))
    assert len(set(values)) == len(values)
    assert sum(map(len, seeds)) == len(set().union(*seeds))


def keys_cannot_be_replayed_from_the_experiments_seed(make_world) -> None:
    runs = []
    for _ in range(2):
        random.seed(7)
        np.random.seed(7)
        world = make_world(sizes=(3,), threshold=2)
        wire = world.wire()
        world.run(wire)
        runs.append([reply.mask_public for reply in heard_replies(wire, Step.ADVERTISE)])
    assert runs[0]
    assert not set(runs[0]) & set(runs[1])


def streams(make: Callable[[tuple], Stream]) -> Callable[[Patch], None]:
    """A bug: where a member's keys, seeds, shares and nonces come from."""

    def plant(patch: Patch) -> None:
        patch.setattr(
            setup,
            "_stream",
            lambda member, purpose, terms: make(member, purpose, terms),
        )

    return plant


class Narrow:
    """32 random bits stretched to whatever is asked for."""

    def __init__(self, stream: Stream, stretch: Callable[[bytes, int], bytes]) -> None:
        self._stream, self._stretch = stream, stretch

    def take(self, size: int) -> bytes:
        return self._stretch(self._stream.take(4), size)


def hashed(seed: bytes, size: int) -> bytes:
    return hashlib.shake_256(seed).digest(size)


def padded(seed: bytes, size: int) -> bytes:
    return seed.ljust(size, b"\0")[:size]


def narrow(stretch) -> Callable[[Patch], None]:
    return streams(lambda member, purpose, terms: Narrow(member.randomness.stream(purpose), stretch))


def seeded(*names: str) -> Callable[[Patch], None]:
    """Streams that a fixed seed and some of (member, round, attempt) determine."""

    def make(member, purpose, terms):
        facts = {"member": member.id, "round": terms.round, "attempt": terms.attempt}
        return SeededRandomness(b"7").stream(purpose, *(facts[name] for name in names))

    return streams(make)


def globally_seeded(patch: Patch) -> None:
    streams(lambda member, purpose, terms: Stream(np.random.bytes(32)))(patch)


def only_32_bits_of_the_seed_enter_the_mask(patch: Patch) -> None:
    real = masking.self_seed
    patch.setattr(masking, "self_seed", lambda seed, session, member: real(seed[:4], session, member))


def the_self_mask_is_the_same_for_all(patch: Patch) -> None:
    for module in (masking, recovery):
        patch.setattr(module, "self_seed", lambda seed, session, member: derive(b"7" * 32, b"self mask"))


# Checks: what is bound ---------------------------------------------------------------------------


class SameEveryRound:
    """NOT PRIVATE. Every round meets the same keys, so only what is bound to the round tells rounds apart."""

    private = False

    def stream(self, *label) -> Stream:
        return SeededRandomness(b"same").stream(*label[:3])


def labels_of_a_round(world, **changes) -> dict[str, set]:
    kept: dict[str, list] = {"sealed": [], "agreed": [], "derived": [], "signed": []}
    with ExitStack() as stack:
        record = stack.enter_context
        record(recorded(boxes, "seal", lambda key, text, data, nonce: data, kept["sealed"]))
        record(recorded(KeyPair, "agree", lambda key, public, info, *half: info, kept["agreed"]))
        record(recorded(masking, "derive", lambda secret, info: info, kept["derived"]))
        record(recorded(Identity, "sign", lambda key, domain, text: (domain, text), kept["signed"]))
        (outcome,) = world.run(world.wire(on_request=without(12, Step.MASK)), **changes)
    assert outcome.total.tolist() == world.expected((10, 11, 13))
    return {name: set(labels) for name, labels in kept.items()}


def every_box_key_and_signature_is_bound_to_the_round(make_world) -> None:
    world = make_world(sizes=(4,), threshold=3)
    for endpoint in world.endpoints.values():
        endpoint.member = replace(endpoint.member, randomness=SameEveryRound())
    base = labels_of_a_round(world.fresh())
    assert all(base.values())
    for changes in ({"round": 2}, {"attempt": 1}, {"group_seed": b"g" * 32}):
        other = labels_of_a_round(world.fresh(), **changes)
        assert not [name for name in base if base[name] & other[name]]


def unsigned_replies_count_for_nothing(make_world) -> None:
    for at in (Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK):
        world = make_world(sizes=(5,), threshold=3)

        def forge(client, step, data, at=at):
            if (client, step.step) != (10, at):
                return data
            return to_bytes(replace(from_bytes(data), signature=bytes(64)))

        (outcome,) = world.run(world.wire(on_reply=forge))
        assert outcome.blamed == (10,)
        assert outcome.total.tolist() == world.expected(outcome.survivors)


def members_refuse_keys_that_their_owner_did_not_sign(make_world) -> None:
    world = make_world(sizes=(4,))
    stranger = AgreementKey.from_bytes(b"x" * 32).public

    def swap(client, step, data):
        if step.step != Step.SHARE:
            return data
        request = from_bytes(data)
        keys = tuple(replace(one, mask_public=stranger) if one.sender == 13 else one for one in request.keys)
        return to_bytes(replace(request, keys=keys))

    wire = world.wire(on_request=swap)
    (outcome,) = world.run(wire)
    assert outcome.total is None
    refused = {client: error for client, step, error in wire.refusals if step == Step.SHARE}
    assert {10, 11, 12} <= set(refused)
    assert all(
        isinstance(refused[client], PeerFault) and refused[client].culprit == 13 for client in (10, 11, 12)
    )


def members_with_different_rosters_finish_nothing_together(make_world) -> None:
    world = make_world(sizes=(4,))
    mine = world.endpoints[10].member
    more = Identity.from_bytes(b"m" * 32).public
    other = Roster.sign(world.authority, {**dict(world.roster.keys), 99: more})
    world.endpoints[10].member = replace(mine, roster=other)
    # Told the others' roster, the member refuses.
    with pytest.raises(PolicyError):
        advertise_to(world.fresh(), 10)

    # Told its own by a server that equivocates, it signs what the others' transcripts do not have.
    def equivocate(client, step, data):
        if client != 10 or step.step != Step.ADVERTISE:
            return data
        request = from_bytes(data)
        return to_bytes(replace(request, terms=replace(request.terms, roster=other.digest)))

    (outcome,) = world.run(world.wire(on_request=equivocate))
    assert 10 not in outcome.survivors


def the_context_has_no(*names: str) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        real = transcript.context
        empty = {"round": 0, "attempt": 0, "roster": bytes(32)}
        patch.setattr(
            transcript, "context", lambda terms: real(replace(terms, **{name: empty[name] for name in names}))
        )

    return plant


def no_round_in_associated_data(patch: Patch) -> None:
    patch.setattr(
        transcript,
        "box_data",
        lambda keys, dealer, holder: transcript.digest(
            "box", transcript.number(dealer), transcript.number(holder)
        ),
    )


def no_session_in_mask_labels(patch: Patch) -> None:
    real = transcript.self_label
    patch.setattr(transcript, "self_label", lambda session, member: real(bytes(32), member))


def no_session_in_the_survivors_signature(patch: Patch) -> None:
    real = transcript.survivors_message
    patch.setattr(transcript, "survivors_message", lambda session, survivors: real(bytes(32), survivors))


def rosters_are_not_compared(patch: Patch) -> None:
    real = policy._same
    patch.setattr(policy, "_same", lambda noun, *values: None if "roster" in noun else real(noun, *values))


# Checks: shares and sizes ------------------------------------------------------------------------


def a_holder_that_opens_a_wrong_share_is_blamed_alone(make_world) -> None:
    world, real = make_world(sizes=(5,), threshold=3), respond_module.unmask

    def cheat(member, state, request):
        if member.id == 10:
            *others, last = state.holdings
            spoilt = last.pair.seed_share[:-1] + bytes([last.pair.seed_share[-1] ^ 1])
            last = replace(last, pair=replace(last.pair, seed_share=spoilt))
            state = replace(state, holdings=(*others, last))
        return real(member, state, request)

    with Patch.context() as patch:
        patch.setattr(respond_module, "unmask", cheat)
        (outcome,) = world.run()
    assert outcome.blamed == (10,)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def a_dealer_whose_shares_are_not_those_it_signed_stops_everybody_before_training(make_world) -> None:
    world, real = make_world(sizes=(4,)), setup.hashes

    def cheat(keys, dealer, holder, pair):
        return (bytes(32), bytes(32)) if dealer == 13 else real(keys, dealer, holder, pair)

    with Patch.context() as patch:
        patch.setattr(setup, "hashes", cheat)
        (outcome,) = world.run(wire := world.wire())
    assert outcome.total is None
    assert {getattr(error, "culprit", None) for client, _, error in wire.refusals if client != 13} == {13}
    assert all(world.endpoints[client].trained == 0 for client in (10, 11, 12))


def lying_offers(field: str) -> Callable:
    """`setup.offer` with another half in one place than the one that is committed to, from 10 to 13."""
    real = setup.offer

    def cheat(mask, keys, dealer, holder):
        data, half = real(mask, keys, dealer, holder)
        if (dealer, holder.sender) != (10, 13):
            return data, half
        made, other = (
            record_from_bytes(messages.PairOffer, one) for one in (data, real(mask, keys, dealer, holder)[0])
        )
        return record_to_bytes(replace(made, **{field: getattr(other, field)})), half

    return cheat


def a_hybrid_offer_of_another_half_than_committed_stops_its_holder_before_training(make_world) -> None:
    world = make_world(sizes=(5,), threshold=3, agreement=messages.HYBRID)
    with Patch.context() as patch:
        patch.setattr(setup, "offer", lying_offers("ciphertext"))
        (outcome,) = world.run(wire := world.wire(), agreement=messages.HYBRID)
    assert [(client, error.culprit) for client, _, error in wire.refusals] == [(13, 10)]
    assert world.endpoints[13].trained == 0
    assert outcome.total is None
    assert outcome.blamed == (10,)


def a_hybrid_offer_that_would_be_recovered_wrongly_gives_no_sum(make_world) -> None:
    world = make_world(sizes=(5,), threshold=3, agreement=messages.HYBRID)
    with Patch.context() as patch:
        patch.setattr(setup, "offer", lying_offers("sealed"))
        (outcome,) = world.run(world.wire(on_request=without(10, Step.MASK)), agreement=messages.HYBRID)
    assert outcome.total is None
    assert outcome.blamed == (10,)


def more_than_a_cap_allows_is_refused_before_it_is_read(make_world) -> None:
    _, mark = get_args(get_type_hints(messages.ConfirmRequest, include_extras=True)["survivors"])
    head = to_bytes(messages.ConfirmRequest(b"s" * 32, 1, 0, ()))[:-4]
    for count in (mark.limit, mark.limit + 1, 1 << 16):
        listed = b"".join(number.to_bytes(4, "big") for number in range(count))
        data = head + count.to_bytes(4, "big") + listed
        if count <= mark.limit:
            assert to_bytes(from_bytes(data)) == data
        else:
            with pytest.raises(DecodeError):
                from_bytes(data)


def a_vector_of_another_size_is_refused(make_world) -> None:
    words = np.arange(37, dtype=np.uint32)
    data = packing.pack(words, 19)
    for wrong in (data[:-1], data + b"\0", data[:-1] + b"\xff", data * 1000):
        with pytest.raises(DecodeError):
            packing.unpack(wrong, 19, 37, np.uint32)


def the_largest_sum_comes_out_as_it_is(make_world) -> None:
    for bits, members, cap in ((4, 3, 1), (16, 64, 1), (16, 10, 7), (32, 1000, 1)):
        code = FixedPoint(clip_norm=1.0, bits=bits, dim=1, members=members, cap=cap, weighted=cap > 1)
        for sign in (1.0, -1.0):
            one = code.encode(np.array([sign]), Stream(bytes(32)), weight=cap)
            total = one * code.dtype(members)
            mean, weight = code.decode(total, survivors=members)
            assert abs(mean[0] - sign) <= code.step
            assert weight == members * cap


def a_sum_that_needs_more_than_the_ring_is_refused(make_world) -> None:
    limit = (1 << 31) - 1
    most = ((1 << 63) - 1) // limit
    assert FixedPoint(clip_norm=1.0, bits=32, dim=1, members=most).ring_bits == 64
    with pytest.raises(ConfigError):
        FixedPoint(clip_norm=1.0, bits=32, dim=1, members=most + 1)


def openings_are_not_held_against_the_signed_hashes(patch: Patch) -> None:
    patch.setattr(server, "check_openings", lambda *arguments: None)


def shares_are_not_held_against_the_signed_hashes(patch: Patch) -> None:
    patch.setattr(masking, "hashes", lambda *arguments: EqualToAll())


def offers_are_not_held_against_their_commitments(patch: Patch) -> None:
    def trusting(keys, dealer, holder, data, half_of):
        return half_of(record_from_bytes(messages.PairOffer, data))

    patch.setattr(offers, "_checked", trusting)


def caps_are_not_looked_at(patch: Patch) -> None:
    patch.setattr(codec, "_read_count", lambda reader, limit, least: int.from_bytes(reader.take(4), "big"))


def sizes_of_vectors_are_not_looked_at(patch: Patch) -> None:
    def trusting(data, ring_bits, count):
        if len(data) > packing.packed_size(count, ring_bits):
            raise DecodeError("only what is too long")

    patch.setattr(packing, "_check_canonical", trusting)


def members_are_forgotten_in_the_ring(patch: Patch) -> None:
    patch.setattr(FixedPoint, "_largest_sum", lambda code: code.limit)


def the_ring_is_not_checked(patch: Patch) -> None:
    patch.setattr(FixedPoint, "_check_ring", lambda code: None)


CHECKS_AND_BUGS: list[tuple[Callable, dict[str, Callable[[Patch], None]]]] = [
    (
        one_kind_of_share_leaves_a_member_for_one_key,
        {"both shares given": a_second_confirmation_is_answered},
    ),
    (
        shares_open_only_to_t_signatures_over_the_same_list,
        {
            "consistency step skipped": the_consistency_step_is_skipped,
            "signatures not counted": the_count_of_signatures_is_not_looked_at,
            "signatures not verified": no_signature_is_looked_at,
        },
    ),
    (
        on_a_ring_shares_open_only_to_t_signatures_by_the_holders_of_each_dealer,
        {
            "signatures counted over the group": signatures_are_counted_over_the_whole_group,
            "signatures counted for one dealer": signatures_are_counted_for_the_first_dealer_only,
        },
    ),
    (
        a_threshold_of_one_is_refused_by_server_and_members,
        {"threshold 1 accepted": the_smallest_threshold_is_one},
    ),
    (
        the_members_own_threshold_is_the_least,
        {"server lowers the threshold": the_members_policy_gives_no_least_values},
    ),
    (
        two_keys_and_a_seed_have_256_bits_each,
        {"32-bit seed, hashed": narrow(hashed), "32-bit seed, padded": narrow(padded)},
    ),
    (
        every_bit_of_a_self_mask_seed_counts,
        {"32-bit mask seed": only_32_bits_of_the_seed_enter_the_mask},
    ),
    (
        rounds_and_attempts_have_no_key_and_no_mask_in_common,
        {
            "key reused across rounds": seeded("member"),
            "key reused across attempts": seeded("member", "round"),
        },
    ),
    (
        every_box_key_and_signature_is_bound_to_the_round,
        {
            "no round in the context": the_context_has_no("round"),
            "no attempt in the context": the_context_has_no("attempt"),
            "no round in associated data": no_round_in_associated_data,
            "no session in mask labels": no_session_in_mask_labels,
            "no session in signatures": no_session_in_the_survivors_signature,
        },
    ),
    (unsigned_replies_count_for_nothing, {"no signature check at the server": no_signature_is_looked_at}),
    (
        members_refuse_keys_that_their_owner_did_not_sign,
        {"no signature check at the members": no_signature_is_looked_at},
    ),
    (a_late_vector_is_in_no_sum, {"late vector accepted": a_vector_at_the_next_step_still_counts}),
    (
        one_vector_under_two_names_is_summed_once,
        {"duplicate id summed twice": the_sender_of_a_reply_is_not_compared},
    ),
    (a_member_listed_twice_counts_for_nobody, {"duplicate id in a list": lists_may_repeat}),
    (the_largest_sum_comes_out_as_it_is, {"overflow unchecked": members_are_forgotten_in_the_ring}),
    (
        a_sum_that_needs_more_than_the_ring_is_refused,
        {"overflow of the largest ring unchecked": the_ring_is_not_checked},
    ),
    (
        a_holder_that_opens_a_wrong_share_is_blamed_alone,
        {"share commitment missing at the opening": openings_are_not_held_against_the_signed_hashes},
    ),
    (
        a_dealer_whose_shares_are_not_those_it_signed_stops_everybody_before_training,
        {"share commitment missing on receipt": shares_are_not_held_against_the_signed_hashes},
    ),
    (
        members_with_different_rosters_finish_nothing_together,
        {
            "roster not bound": the_context_has_no("roster"),
            "roster not compared": rosters_are_not_compared,
        },
    ),
    (
        a_hybrid_offer_of_another_half_than_committed_stops_its_holder_before_training,
        {"offer commitment missing on receipt": offers_are_not_held_against_their_commitments},
    ),
    (
        a_hybrid_offer_that_would_be_recovered_wrongly_gives_no_sum,
        {"offer commitment missing at recovery": offers_are_not_held_against_their_commitments},
    ),
    (more_than_a_cap_allows_is_refused_before_it_is_read, {"size cap missing": caps_are_not_looked_at}),
    (a_vector_of_another_size_is_refused, {"vector size unchecked": sizes_of_vectors_are_not_looked_at}),
    (
        no_two_members_share_a_key_or_a_mask_that_is_not_theirs,
        {
            "same keys at all clients": seeded("round", "attempt"),
            "same mask at all clients": the_self_mask_is_the_same_for_all,
        },
    ),
    (
        keys_cannot_be_replayed_from_the_experiments_seed,
        {"seeded keys": seeded("member", "round", "attempt"), "globally seeded keys": globally_seeded},
    ),
]


@pytest.mark.parametrize("check", [pytest.param(check, id=check.__name__) for check, _ in CHECKS_AND_BUGS])
def test_the_honest_code_passes_the_check(check, make_world):
    check(make_world)


@pytest.mark.parametrize(
    ("check", "plant"),
    [
        pytest.param(check, plant, id=f"{name} is caught by {check.__name__}")
        for check, bugs in CHECKS_AND_BUGS
        for name, plant in bugs.items()
    ],
)
def test_a_planted_bug_fails_the_check(check, plant, make_world, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(make_world)
