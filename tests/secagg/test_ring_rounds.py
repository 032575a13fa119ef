"""Rounds on a ring: 70 members, each with 18 holders, real members and the real server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest

from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import Step, respond
from securefl.secagg.graph import graph_of
from securefl.secagg.messages import from_bytes, to_bytes
from securefl.secagg.states import SALT_BYTES, open_state, seal_state

MEMBERS = 70
TENTH = Fraction(1, 10)
FEWEST = 63  # of 70 when a tenth may be missing
PLAN = {"threshold": None, "max_dropout": TENTH}
ME = 10


@pytest.fixture
def ring(make_world):
    return make_world(sizes=(MEMBERS,), threshold=None, max_dropout=TENTH, group_min=65)


@pytest.fixture(scope="module")
def story():
    """Filled once: an honest round with two absent members, as (member, step) -> (state before, request)."""
    return {}


@pytest.fixture
def played(make_world, story):
    if not story:
        world = make_world(sizes=(MEMBERS,), threshold=None, max_dropout=TENTH, group_min=65)
        script, lost = {}, {11, 12}

        def on_request(client, step, data):
            script[client, step.step] = (world.endpoints[client].states.get(step.after), data)
            return None if client in lost and step.step >= Step.MASK else data

        (outcome,) = world.run(world.wire(on_request=on_request), **PLAN)
        assert outcome.total.tolist() == world.expected(set(outcome.members) - lost)
        story.update(world=world, script=script, graph=graph_of(terms_of(world, script)))
    return story["world"], story["script"], story["graph"]


def terms_of(world, script):
    return from_bytes(script[ME, Step.ADVERTISE][1]).terms


def answer(world, script, step, request, state=None):
    """A copy of the member answers, at the step where it stood."""
    before = script[ME, step][0] if state is None else state
    data = request if isinstance(request, bytes) else to_bytes(request)
    return respond(world.endpoints[ME].member, before, data, world.endpoints[ME].contribute)


def asked(script, step):
    return from_bytes(script[ME, step][1])


@pytest.mark.parametrize(
    ("at", "kind"),
    [
        (Step.SHARE, "reply"),
        (Step.MASK, "request"),
        (Step.MASK, "reply"),
        (Step.CONFIRM, "request"),
        (Step.CONFIRM, "reply"),
        (Step.UNMASK, "reply"),
    ],
)
def test_the_sum_is_exact_with_five_dropouts_at_a_step(ring, at, kind):
    dropped = {13, 29, 30, 55, 79}
    (outcome,) = ring.run(ring.losing(dropped, at, kind), **PLAN)
    summed = at > Step.MASK
    survivors = set(outcome.members) - (set() if summed else dropped)
    assert outcome.failure is None
    assert set(outcome.survivors) == survivors
    assert outcome.total.tolist() == ring.expected(survivors)
    assert outcome.blamed == ()


@pytest.mark.parametrize("at", [Step.ADVERTISE, Step.SHARE, Step.MASK])
def test_one_dropout_more_than_the_bound_gives_no_sum(ring, at):
    wire = ring.losing(set(range(20, 28)), at, "reply")
    (outcome,) = ring.run(wire, **PLAN)
    assert outcome.total is None
    assert f"expected at least {FEWEST} of {MEMBERS} members" in outcome.failure
    assert max(step.step for _, step, _, _ in wire.heard) == at


def test_a_dealer_whose_holders_fall_silent_after_the_sum_ends_the_group(ring):
    order, graph = [], {}

    def on_request(client, step, data):
        if step.step == Step.ADVERTISE and not graph:
            graph[0] = graph_of(from_bytes(data).terms)
            order.append(from_bytes(data).terms)
        gone = graph[0].holders(ME)[: graph[0].reach * 2 - order[0].threshold + 1]
        return None if client in gone and step.step == Step.CONFIRM else data

    (outcome,) = ring.run(ring.wire(on_request=on_request), **PLAN)
    assert outcome.total is None
    assert "confirmed and hold shares of" in outcome.failure


def test_no_member_hears_more_than_its_neighbourhood(played):
    _, script, graph = played
    k = 2 * graph.reach
    assert k < MEMBERS // 2
    for client in range(ME, ME + MEMBERS):
        keys = from_bytes(script[client, Step.SHARE][1]).keys
        assert {one.sender for one in keys} == set(graph.around(client))
        dealers = from_bytes(script[client, Step.MASK][1]).deliveries
        assert {one.dealer for one in dealers} == set(graph.holders(client))
    assert len({script[client, Step.CONFIRM][1] for client in range(13, ME + MEMBERS)}) == 1


def test_a_neighbours_exchanged_keys_are_refused(played):
    world, script, _ = played
    request = asked(script, Step.SHARE)
    victim = next(one for one in request.keys if one.sender != ME)
    other = next(one for one in request.keys if one.sender not in (ME, victim.sender))
    forged = replace(victim, mask_public=other.mask_public[::-1])
    keys = tuple(forged if one == victim else one for one in request.keys)
    with pytest.raises(PeerFault) as fault:
        answer(world, script, Step.SHARE, replace(request, keys=keys))
    assert fault.value.culprit == victim.sender


def test_keys_of_somebody_far_away_on_the_ring_are_refused(played):
    world, script, graph = played
    request = asked(script, Step.SHARE)
    far = next(one for one in graph.order if one not in graph.around(ME))
    theirs = next(one for one in from_bytes(script[far, Step.SHARE][1]).keys if one.sender == far)
    keys = tuple(sorted((*request.keys, theirs), key=lambda one: one.sender))
    with pytest.raises(PolicyError, match="those of holders only"):
        answer(world, script, Step.SHARE, replace(request, keys=keys))


def test_too_few_holders_with_keys_are_refused(played):
    world, script, _ = played
    request, terms = asked(script, Step.SHARE), terms_of(world, script)
    mine = next(one for one in request.keys if one.sender == ME)
    others = [one for one in request.keys if one.sender != ME][: terms.threshold - 1]
    keys = tuple(sorted((mine, *others), key=lambda one: one.sender))
    with pytest.raises(PolicyError, match=f"at least {terms.threshold} holders with keys"):
        answer(world, script, Step.SHARE, replace(request, keys=keys))


@pytest.mark.parametrize("step", [Step.SHARE, Step.MASK])
@pytest.mark.parametrize(
    "change", [lambda proof: proof[:-1], lambda proof: (*proof, bytes(32)), lambda _: ()]
)
def test_a_proof_with_too_few_or_too_many_hashes_is_refused(played, step, change):
    world, script, _ = played
    request = asked(script, step)
    assert request.proof
    trained = world.endpoints[ME].trained
    with pytest.raises(ProtocolError, match="proof"):
        answer(world, script, step, replace(request, proof=change(request.proof)))
    assert world.endpoints[ME].trained == trained


def test_a_member_that_was_shown_another_root_over_all_keys_accepts_nobodys_shares(played):
    world, script, _ = played
    request = asked(script, Step.SHARE)
    proof = (bytes(32), *request.proof[1:])
    other = answer(world, script, Step.SHARE, replace(request, proof=proof))  # it cannot see it yet
    with pytest.raises(PeerFault, match="share signature"):
        answer(world, script, Step.MASK, asked(script, Step.MASK), other.state)


def test_a_member_that_was_shown_another_root_over_all_dealers_signs_for_another_session(played):
    world, script, _ = played
    request = asked(script, Step.MASK)
    proof = (bytes(32), *request.proof[1:])
    honest = from_bytes(answer(world, script, Step.MASK, request).reply)
    other = from_bytes(answer(world, script, Step.MASK, replace(request, proof=proof)).reply)
    assert bytes(honest.vector) != bytes(other.vector)

    fresh = world.fresh()
    wrong = {}

    def on_request(client, step, data):
        if client == ME and step.step == Step.MASK:
            asked_now = from_bytes(data)
            wrong[0] = True
            return to_bytes(replace(asked_now, proof=(bytes(32), *asked_now.proof[1:])))
        return data

    (outcome,) = fresh.run(fresh.wire(on_request=on_request), **PLAN)
    assert wrong
    assert outcome.blamed == (ME,)
    assert outcome.total.tolist() == fresh.expected(set(outcome.members) - {ME})


def test_a_delivery_from_one_neighbour_as_that_of_another_is_refused(played):
    world, script, _ = played
    request = asked(script, Step.MASK)
    first, second = request.deliveries[:2]
    swapped = (replace(second, dealer=first.dealer), replace(first, dealer=second.dealer))
    with pytest.raises(PeerFault, match="share signature"):
        answer(world, script, Step.MASK, replace(request, deliveries=(*swapped, *request.deliveries[2:])))


def test_survivors_with_fewer_than_t_of_ones_holders_are_not_signed(played):
    world, script, graph = played
    request, endpoint = asked(script, Step.CONFIRM), world.endpoints[ME]
    masked = open_state(script[ME, Step.CONFIRM][0], endpoint.member.storage_key)
    # In a group of 70 the bound on survivors is the stricter one; lowered, the other has to hold alone.
    lowered = replace(masked, terms=replace(masked.terms, survivors=1))
    state = seal_state(lowered, endpoint.member.storage_key, bytes(SALT_BYTES))
    alive = sorted(set(graph.holders(ME)) & set(request.survivors))

    def confirm(count):
        left = tuple(one for one in request.survivors if one not in alive[count:])
        return answer(world, script, Step.CONFIRM, replace(request, survivors=left), state)

    with pytest.raises(PolicyError, match=f"{masked.terms.threshold} holders among them"):
        confirm(masked.terms.threshold - 1)
    assert confirm(masked.terms.threshold).reply


def test_fewer_survivors_than_the_terms_say_are_not_signed(played):
    world, script, graph = played
    request = asked(script, Step.CONFIRM)
    far = [one for one in request.survivors if one not in graph.around(ME)]

    def confirm(count):
        left = set(request.survivors) - set(far[: len(request.survivors) - count])
        return answer(world, script, Step.CONFIRM, replace(request, survivors=tuple(sorted(left))))

    assert confirm(FEWEST).reply
    with pytest.raises(PolicyError, match=f"at least {FEWEST} survivors"):
        confirm(FEWEST - 1)


def test_shares_are_opened_only_if_t_holders_of_every_dealer_signed(played):
    world, script, graph = played
    request, terms = asked(script, Step.UNMASK), terms_of(world, script)
    dealers = graph.holders(ME)

    def open_without(lost):
        left = tuple(one for one in request.confirmations if one.sender not in lost)
        return answer(world, script, Step.UNMASK, replace(request, confirmations=left))

    signers = {one.sender for one in request.confirmations}
    for dealer in dealers:
        signed = sorted(signers & set(graph.holders(dealer)))
        with pytest.raises(PolicyError, match="expected signatures of at least"):
            open_without(set(signed[terms.threshold - 1 :]))
    few = Counter(len(signers & set(graph.holders(dealer))) for dealer in dealers)
    assert min(few) >= terms.threshold
    # The farthest dealer's outer holders are not the member's own: without them, others still suffice.
    edge = graph.order[(graph.place[ME] + graph.reach) % MEMBERS]
    outer = sorted(signers & set(graph.holders(edge)) - set(graph.around(ME)))
    inner = signers & set(graph.holders(edge)) & set(graph.around(ME))
    needed = terms.threshold - len(inner)
    assert 0 < needed <= len(outer)
    with pytest.raises(PolicyError, match=rf"holders of {edge}, got {terms.threshold - 1}"):
        open_without(set(outer[needed - 1 :]))


def test_a_graph_with_fewer_holders_or_a_lower_threshold_is_refused(played):
    world, script, _ = played
    request = asked(script, Step.ADVERTISE)
    terms = request.terms
    loosened = [
        replace(terms, holders=terms.holders - 2),
        replace(terms, holders=terms.holders + 2),
        replace(terms, threshold=terms.threshold - 1),
        replace(terms, threshold=terms.threshold + 1),
        replace(terms, survivors=terms.survivors - 1),
    ]
    for other in loosened:
        with pytest.raises(PolicyError):
            respond(world.endpoints[ME].member, None, to_bytes(replace(request, terms=other)), None)
    assert respond(world.endpoints[ME].member, None, to_bytes(request), None).reply
