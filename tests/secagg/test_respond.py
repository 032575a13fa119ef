from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.errors import DecodeError, GroupAborted, PeerFault, PolicyError, ProtocolError
from securefl.secagg import Step, draw_groups, respond, step_of, transcript
from securefl.secagg.messages import (
    NO_DRAW,
    AdvertiseRequest,
    CommitRequest,
    MaskRequest,
    PlainRequest,
    ShareRequest,
    from_bytes,
    to_bytes,
)
from securefl.secagg.states import SALT_BYTES, open_state, seal_state


def record(world, member=10, **changes):
    """One member's requests, replies and states of a whole round, in order; the state is the one before."""
    endpoint, script = world.endpoints[member], []

    def on_request(client, step, data):
        if client == member:
            script.append((endpoint.states.get(step.context), data))
        return data

    world.run(world.wire(on_request=on_request), **changes)
    return script


def never(model, round):
    raise AssertionError("a refused step must not train")


def test_only_the_next_step_is_answered_whatever_the_state(make_world):
    world = make_world()
    script = record(world)
    assert [step_of(request).step for _, request in script] == [3, 4, 5, 6, 7]
    member, final = world.endpoints[10].member, world.endpoints[10].states[step_of(script[0][1]).context]
    states = [*(state for state, _ in script), final]
    refused = 0
    for place, state in enumerate(states):
        for number, (_, request) in enumerate(script):
            if place != number:
                with pytest.raises(PolicyError, match="expected the next step"):
                    respond(member, state, request, never)
                refused += 1
    assert refused == 6 * 5 - 5


def test_a_step_runs_from_the_bytes_before_it_and_repeats_identically_under_a_replayed_source(make_world):
    world = make_world(seed=b"replay")
    member, vector = world.endpoints[10].member, world.endpoints[10].vector
    for state, request in record(world):
        first = respond(member, state, request, lambda model, round: vector.copy())
        assert respond(member, state, request, lambda model, round: vector.copy()) == first


def test_a_request_of_another_round_or_attempt_is_refused(make_world):
    world = make_world()
    member = world.endpoints[10].member
    one = record(world)
    for other in (record(world, round=2), record(world, attempt=1)):
        for (state, _), (_, request) in zip(one[1:], other[1:], strict=True):
            with pytest.raises(PolicyError, match="slot"):
                respond(member, state, request, never)


@pytest.mark.parametrize("field", ["round", "attempt"])
def test_a_lying_number_beside_the_slot_is_refused(make_world, field):
    world = make_world()
    for state, data in record(world)[1:]:
        request = from_bytes(data)
        lie = to_bytes(replace(request, **{field: 1 << 31}))
        with pytest.raises(PolicyError, match="slot"):
            respond(world.endpoints[10].member, state, lie, never)


def test_the_slot_of_a_round_does_not_depend_on_what_else_is_asked(make_world):
    world = make_world()
    (_, data), *_ = record(world)
    request = from_bytes(data)
    for changes in (
        {"members": (10, 11)},
        {"threshold": 9},
        {"config": bytes(32)},
        {"group_seed": b"s" * 32},
    ):
        other = replace(request, terms=replace(request.terms, **changes))
        assert step_of(to_bytes(other)) == step_of(data)
    for changes in ({"round": 2}, {"attempt": 1}, {"task": bytes(32)}):
        other = replace(request, terms=replace(request.terms, **changes))
        assert step_of(to_bytes(other)).context != step_of(data).context


def test_a_plain_vector_takes_the_place_of_the_masked_one(make_world):
    world = make_world()
    script = record(world)
    terms = from_bytes(script[0][1]).terms
    plain = step_of(to_bytes(PlainRequest(terms, NO_DRAW, b"m")))
    assert plain == step_of(script[2][1])
    assert plain.step == Step.MASK


def test_a_reply_is_no_request_and_noise_is_neither(make_world):
    world = make_world()
    wire = world.wire()
    world.run(wire)
    for _, _, _, reply in wire.heard:
        with pytest.raises(DecodeError, match="expected a request"):
            step_of(reply)
    for noise in (b"", b"SFSA", bytes(100)):
        with pytest.raises(DecodeError):
            respond(world.endpoints[10].member, None, noise, never)


def test_a_corrupt_state_is_refused(make_world):
    world = make_world()
    state, request = record(world)[1]
    for wrong in (b"", state[:-1], state + b"\0"):
        with pytest.raises(ProtocolError):
            respond(world.endpoints[10].member, wrong, request, never)


def test_a_state_that_names_somebody_from_outside_its_group_is_refused(make_world):
    world, refused = make_world(), []
    member = world.endpoints[10].member
    for sealed, request in record(world)[1:]:
        state = open_state(sealed, member.storage_key)
        for left_out in state.terms.members:
            members = tuple(sorted({*state.terms.members, 99} - {left_out}))
            forged = replace(state, terms=replace(state.terms, members=members))
            with pytest.raises(PolicyError) as refusal:
                respond(member, seal_state(forged, member.storage_key, bytes(SALT_BYTES)), request, never)
            refused.append(f"got [{left_out}] besides" in str(refusal.value))
    # A state that has only advertised names its member alone; the request's context is not the state's then.
    assert sum(refused) == len(refused) - 3


def change_request(world, kind, change, member=10):
    """Runs a round in which one member's request of one kind is replaced; returns (wire, outcome)."""

    def on_request(client, step, data):
        message = from_bytes(data)
        if client != member or type(message) is not kind:
            return data
        return to_bytes(change(message))

    wire = world.wire(on_request=on_request)
    (outcome,) = world.run(wire)
    return wire, outcome


def swap_keys(request):
    first, second, *rest = request.keys
    swapped = (replace(first, mask_public=second.mask_public), replace(second, mask_public=first.mask_public))
    return replace(request, keys=(*swapped, *rest))


def sign_one_key_twice(world):
    def change(request):
        last = replace(request.keys[-1], channel_public=request.keys[-1].mask_public)
        endpoint = world.endpoints[10]
        terms = endpoint.opened(next(iter(endpoint.states))).terms
        message = transcript.keys_message(transcript.context(terms), last)
        signature = world.endpoints[last.sender].member.sign("advertise", message)
        return replace(request, keys=(*request.keys[:-1], replace(last, signature=signature)))

    return change


def test_a_colluder_that_signed_one_key_for_both_purposes_gets_no_shares(make_world):
    world = make_world()
    wire, outcome = change_request(world, ShareRequest, sign_one_key_twice(world))
    ((client, _, error),) = wire.refusals
    assert client == 10
    assert isinstance(error, PolicyError)
    assert "repeated" in str(error)
    assert outcome.total.tolist() == world.expected((11, 12, 13))


def resigned_by_nobody(request):
    last = request.keys[-1]
    return replace(request, keys=(*request.keys[:-1], replace(last, mask_public=bytes(31) + b"\x09")))


@pytest.mark.parametrize(
    ("kind", "change", "error"),
    [
        (ShareRequest, swap_keys, (PeerFault, PolicyError)),
        (ShareRequest, resigned_by_nobody, (PeerFault,)),
        (ShareRequest, lambda r: replace(r, keys=r.keys[1:]), (PolicyError,)),
        (ShareRequest, lambda r: replace(r, keys=r.keys[:2]), (PolicyError,)),
        (MaskRequest, lambda r: replace(r, deliveries=r.deliveries[:1]), (PolicyError,)),
        (
            MaskRequest,
            lambda r: replace(
                r, deliveries=(replace(r.deliveries[0], box=r.deliveries[1].box), *r.deliveries[1:])
            ),
            (PeerFault,),
        ),
        (
            MaskRequest,
            lambda r: replace(
                r,
                deliveries=(
                    replace(r.deliveries[0], signature=r.deliveries[1].signature),
                    *r.deliveries[1:],
                ),
            ),
            (PeerFault,),
        ),
        (
            MaskRequest,
            lambda r: replace(
                r,
                deliveries=(replace(r.deliveries[0], seed_hash=r.deliveries[0].key_hash), *r.deliveries[1:]),
            ),
            (PeerFault,),
        ),
    ],
)
def test_a_request_changed_on_its_way_stops_that_member_before_it_trains(make_world, kind, change, error):
    world = make_world()
    wire, outcome = change_request(world, kind, change)
    (refusal,) = wire.refusals
    assert refusal[0] == 10
    assert isinstance(refusal[2], error)
    assert world.endpoints[10].trained == 0
    assert outcome.survivors == (11, 12, 13)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_a_list_of_keys_without_one_member_gives_shares_that_the_others_never_accept(make_world):
    world = make_world()
    _, outcome = change_request(world, ShareRequest, lambda request: replace(request, keys=request.keys[:-1]))
    assert outcome.blamed == (10,)
    assert outcome.total.tolist() == world.expected((11, 12, 13))


def test_another_group_for_one_member_is_found_out_before_any_share(make_world):
    world = make_world(sizes=(5,), group_min=4)

    def smaller(request):
        return replace(request, terms=replace(request.terms, members=(10, 11, 12, 13), holders=4))

    _, outcome = change_request(world, AdvertiseRequest, smaller)
    assert outcome.blamed == (10,)
    assert outcome.total.tolist() == world.expected((11, 12, 13, 14))


def test_a_draw_is_filed_under_the_first_round_of_its_epoch_and_its_redraw(make_world):
    world, seen = make_world(epoch_rounds=4), []
    with pytest.raises(GroupAborted):
        draw_groups(world.epoch(1), world.wire(on_request=lambda client, step, data: seen.append(data)))
    step = step_of(seen[0])
    assert isinstance(from_bytes(seen[0]), CommitRequest)
    assert (step.step, step.round, step.attempt) == (Step.COMMIT, 1, 0)
