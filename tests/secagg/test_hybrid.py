"""Rounds under hybrid key agreement: the KEM half of every pair's mask, honest, missing and forged."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest

from securefl.crypto import derive, encapsulate, kem_public, seal
from securefl.errors import PeerFault, PolicyError
from securefl.secagg import Step, respond, transcript
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.messages import HYBRID, X25519, PairOffer, from_bytes, to_bytes

setup = import_module("securefl.secagg.setup")
LOWEST, CHEAT, TAKER, HIGHEST = 10, 11, 12, 14  # the lower id of a pair encapsulates


@pytest.fixture
def hybrid(make_world):
    return make_world(sizes=(5,), agreement=HYBRID)


@pytest.mark.parametrize("dropped", [{LOWEST}, {HIGHEST}, {12}, {LOWEST, HIGHEST}, {11, 12}])
@pytest.mark.parametrize("at", [Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK])
def test_the_sum_is_exact_whoever_of_a_pair_drops(hybrid, dropped, at):
    (outcome,) = hybrid.run(hybrid.losing(dropped, at, "reply"), agreement=HYBRID)
    survivors = set(outcome.members) - (dropped if at <= Step.MASK else set())
    assert outcome.failure is None
    assert outcome.total.tolist() == hybrid.expected(survivors)
    assert outcome.blamed == ()


def test_only_the_lower_id_of_a_pair_offers_and_only_under_hybrid_agreement(hybrid, make_world):
    def offered(world, agreement):
        wire = world.wire()
        world.run(wire, agreement=agreement)
        sent = [from_bytes(reply) for _, step, _, reply in wire.heard if step.step == Step.SHARE]
        return {(one.sender, deal.holder) for one in sent for deal in one.deals if deal.offer}

    ids = range(LOWEST, HIGHEST + 1)
    assert offered(hybrid, HYBRID) == {(one, other) for one in ids for other in ids if one < other}
    assert offered(make_world(sizes=(5,)), X25519) == set()


def changed(half, data, **changes):
    made = replace(record_from_bytes(PairOffer, data), **changes)
    return record_to_bytes(made), half


def another_half_sealed(mask, keys, dealer, holder, data, half):
    """Who rebuilds the dealer's key finds another half than the holder got."""
    box = transcript.pair_box(keys, dealer, holder.sender)
    return changed(half, data, sealed=seal(derive(mask.secret, box), b"w" * 32, box, bytes(12)))


def another_ciphertext(mask, keys, dealer, holder, data, half):
    return changed(half, data, ciphertext=encapsulate(kem_public(holder.mask_public))[0])


def another_commitment(mask, keys, dealer, holder, data, half):
    return changed(half, data, commitment=b"w" * 32)


def noise(mask, keys, dealer, holder, data, half):
    return bytes(len(data)), half


def cut_short(mask, keys, dealer, holder, data, half):
    return data[:-1], half


def cheating(monkeypatch, forge, towards=(TAKER,)):
    """The dealer CHEAT signs a forged offer; everything else about it is honest."""
    honest = setup.offer

    def offer(mask, keys, dealer, holder):
        made, half = honest(mask, keys, dealer, holder)
        if dealer == CHEAT and holder.sender in towards:
            return forge(mask, keys, dealer, holder, made, half)
        return made, half

    monkeypatch.setattr(setup, "offer", offer)


VISIBLE = [another_ciphertext, another_commitment, noise, cut_short]


@pytest.mark.parametrize("forge", VISIBLE)
def test_a_holder_that_cannot_open_its_offer_names_the_dealer_and_trains_nothing(hybrid, monkeypatch, forge):
    cheating(monkeypatch, forge)
    wire = hybrid.wire()
    (outcome,) = hybrid.run(wire, agreement=HYBRID)
    ((client, step, error),) = wire.refusals
    assert (client, step) == (TAKER, Step.MASK)
    assert isinstance(error, PeerFault)
    assert error.culprit == CHEAT
    assert hybrid.endpoints[TAKER].trained == 0
    assert outcome.total is None


@pytest.mark.parametrize("forge", VISIBLE)
def test_an_offer_that_the_server_cannot_open_either_ends_the_group_and_blames_its_dealer(
    hybrid, monkeypatch, forge
):
    # The holder refuses, so it is dropped, and the server opens the offer with its rebuilt mask key.
    cheating(monkeypatch, forge)
    (outcome,) = hybrid.run(agreement=HYBRID)
    assert outcome.total is None
    assert outcome.blamed == (CHEAT,)


def test_another_sealed_half_shows_only_when_its_dealer_drops_and_then_there_is_no_sum(hybrid, monkeypatch):
    cheating(monkeypatch, another_half_sealed)
    (outcome,) = hybrid.run(hybrid.losing({CHEAT}, Step.MASK, "reply"), agreement=HYBRID)
    assert outcome.total is None
    assert outcome.blamed == (CHEAT,)
    assert "not what it committed to" in outcome.failure


def test_another_sealed_half_harms_nobody_while_its_dealer_stays(hybrid, monkeypatch):
    cheating(monkeypatch, another_half_sealed)
    (outcome,) = hybrid.run(agreement=HYBRID)
    assert outcome.total.tolist() == hybrid.expected(outcome.members)


def test_an_offer_that_is_missing_or_in_excess_is_blamed_at_once(hybrid, monkeypatch):
    cheating(monkeypatch, lambda mask, keys, dealer, holder, data, half: (b"", half))
    (outcome,) = hybrid.run(agreement=HYBRID)
    assert outcome.blamed == (CHEAT,)
    assert outcome.total.tolist() == hybrid.expected(set(outcome.members) - {CHEAT})


@pytest.mark.parametrize(("own", "asked"), [(HYBRID, X25519), (X25519, HYBRID)])
def test_a_member_refuses_the_other_agreement(make_world, own, asked):
    world = make_world(sizes=(4,), agreement=own)
    wire = world.wire()
    (outcome,) = world.run(wire, agreement=asked)
    assert outcome.total is None
    assert len(wire.refusals) == 4
    assert all(isinstance(error, PolicyError) for _, _, error in wire.refusals)
    assert all("key agreement" in str(error) for _, _, error in wire.refusals)
    assert wire.heard == []


@pytest.mark.parametrize("agreement", [2, 255])
def test_an_unknown_agreement_is_refused_by_every_member(make_world, agreement):
    for own in (HYBRID, X25519):
        world = make_world(sizes=(4,), agreement=own)
        wire = world.wire()
        world.run(wire, agreement=agreement)
        assert {type(error) for _, _, error in wire.refusals} == {PolicyError}
        assert wire.heard == []


def test_a_relayed_offer_that_was_changed_is_refused(hybrid):
    asked = {}

    def on_request(client, step, data):
        if (client, step.step) == (TAKER, Step.MASK):
            asked[0] = hybrid.endpoints[client].states[step.context], from_bytes(data)
        return data

    hybrid.run(hybrid.wire(on_request=on_request), agreement=HYBRID)
    state, request = asked[0]
    place = next(i for i, one in enumerate(request.deliveries) if one.dealer == CHEAT)
    genuine = request.deliveries[place]
    assert genuine.offer
    for offer in (b"", genuine.offer[:-1] + bytes([genuine.offer[-1] ^ 1])):
        deliveries = list(request.deliveries)
        deliveries[place] = replace(genuine, offer=offer)
        forged = to_bytes(replace(request, deliveries=tuple(deliveries)))
        with pytest.raises(PeerFault) as fault:
            respond(hybrid.endpoints[TAKER].member, state, forged, None)
        assert fault.value.culprit == CHEAT
