from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.errors import ConfigError, PolicyError
from securefl.secagg import check_threshold, respond, smallest_threshold
from securefl.secagg.messages import NO_DRAW, AdvertiseRequest, PlainRequest, from_bytes, to_bytes


def opening_request(world, **changes) -> AdvertiseRequest:
    wire = world.wire(on_request=lambda client, step, data: seen.append(data))
    seen: list[bytes] = []
    world.run(wire)
    request = from_bytes(seen[0])
    return replace(request, terms=replace(request.terms, **changes))


def ask(world, request):
    return respond(
        world.endpoints[10].member, None, to_bytes(request), lambda model, round: pytest.fail("trained")
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threshold": 3}, "at least 4 as threshold"),
        ({"threshold": 1}, "at least 4 as threshold"),
        ({"threshold": 0}, "at least 4 as threshold"),
        ({"threshold": 6}, "at most 5"),
        ({"colluding": 0}, "at least 1 as assumed colluding"),
        ({"colluding": 3}, "unsafe"),
        ({"members": (10, 11, 12, 13)}, "at least 5 as group members"),
        ({"members": (11, 12, 13, 14, 15)}, "10 in it"),
        ({"members": (10, 11, 12, 13, 99)}, "roster members"),
        ({"task": bytes(32)}, "the task"),
        ({"config": bytes(32)}, "config digest"),
        ({"roster": bytes(32)}, "roster digest"),
        ({"length": 4}, "vector length"),
        ({"ring_bits": 20}, "ring bits"),
        ({"masking": 0}, "masked"),
        ({"masking": 2}, "masked round"),
    ],
)
def test_terms_looser_than_the_own_policy_are_refused(make_world, changes, said):
    world = make_world(sizes=(5,), threshold=4, colluding=1)
    with pytest.raises(PolicyError, match=said):
        ask(world, opening_request(world, **changes))


def test_stricter_terms_are_accepted(make_world):
    world = make_world(sizes=(5,), threshold=4, colluding=0)
    ask(world, opening_request(world, threshold=5, survivors=5, colluding=2))


def test_a_sum_of_fewer_members_than_the_own_floor_is_refused_however_small_the_group(make_world):
    world = make_world(sizes=(5,), threshold=3)
    member = world.endpoints[10].member
    strict = replace(member, policy=replace(member.policy, survivors_min=5))
    lax, tight = (to_bytes(opening_request(world, survivors=count)) for count in (4, 5))
    with pytest.raises(PolicyError, match="at least 5 as survivors of a sum, got 4"):
        respond(strict, None, lax, lambda model, round: pytest.fail("trained"))
    respond(member, None, lax, lambda model, round: pytest.fail("trained"))
    respond(strict, None, tight, lambda model, round: pytest.fail("trained"))


def test_a_plain_request_is_refused_by_every_member_that_masks(make_world):
    world = make_world()
    wire = world.wire()
    (outcome,) = world.run(wire, masking=False)
    assert outcome.total is None
    assert "nobody of 4 sent a vector" in outcome.failure
    assert [type(error) for _, _, error in wire.refusals] == [PolicyError] * 4
    assert all(endpoint.trained == 0 for endpoint in world.endpoints.values())


def test_a_plain_request_that_claims_to_be_masked_is_refused(make_world):
    world = make_world()
    terms = opening_request(world).terms
    with pytest.raises(PolicyError, match="expected plain terms"):
        ask(world, PlainRequest(terms, NO_DRAW, b"model"))


def test_a_member_without_masking_still_takes_part_in_a_masked_round(make_world):
    world = make_world(masking=False)
    (outcome,) = world.run(masking=True)
    assert outcome.total.tolist() == world.expected(outcome.members)


@pytest.mark.parametrize("members", range(3, 51))
def test_two_lists_cannot_both_find_enough_signers_at_the_smallest_threshold(members):
    for colluding in range(members // 3):
        threshold = smallest_threshold(members, colluding)
        assert 2 * threshold > members + colluding
        assert threshold - colluding >= 2
        # All colluders sign both lists, every honest member signs one.
        honest = members - colluding
        assert honest < 2 * (threshold - colluding)
        check_threshold(members, threshold, colluding)
        for lower in range(threshold):
            with pytest.raises(ConfigError, match="at least"):
                check_threshold(members, lower, colluding)
        with pytest.raises(ConfigError, match="at most"):
            check_threshold(members, members + 1, colluding)
