from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from securefl.errors import ConfigError, GroupAborted, PolicyError, ProtocolError
from securefl.secagg import Draw, Step, aggregate, draw_groups, transcript
from securefl.secagg.codec import record_from_bytes, record_to_bytes
from securefl.secagg.draw import check_group, deal
from securefl.secagg.messages import NO_DRAW, DrawEvidence, RevealReply, RevealRequest, from_bytes, to_bytes
from securefl.secagg.states import Revealed


def at(world, step, clients, change=lambda data: None):
    """A wire on which the replies of `clients` at one step are changed; None is a lost reply."""

    def on_reply(client, where, data):
        return change(data) if client in clients and where.step == step else data

    return world.wire(on_reply=on_reply)


def drawn_world(make_world, sizes=(3, 3), threshold=2, **changes):
    return make_world(sizes=sizes, threshold=threshold, epoch_rounds=4, **changes)


def drawn_plan(world, draw, **changes):
    given = {"groups": draw.groups, "group_seed": draw.seed, "evidence": draw.evidence, **changes}
    return world.plan(**given)


def test_everybody_is_in_one_group_and_sizes_differ_by_at_most_one(make_world):
    world = drawn_world(make_world, sizes=(4, 4, 3))
    draw = draw_groups(world.epoch(3), world.wire())
    assert sorted(client for group in draw.groups for client in group) == list(world.roster.ids)
    assert sorted(len(group) for group in draw.groups) == [3, 4, 4]
    assert (draw.withheld, draw.absent, draw.redraws) == ((), (), 0)


def test_the_groups_are_those_of_the_seed_and_the_seed_is_fresh(make_world):
    seeds = set()
    for _ in range(4):
        world = drawn_world(make_world)
        draw = draw_groups(world.epoch(2), world.wire())
        assert draw.groups == deal(draw.seed, world.roster.ids, 2)
        seeds.add(draw.seed)
    assert len(seeds) == 4


def test_a_seed_deals_every_pair_into_one_group_equally_often():
    draws, together = 2000, Counter()
    for index in range(draws):
        for group in deal(index.to_bytes(32, "big"), (1, 2, 3, 4, 5, 6), 2):
            together.update(combinations(group, 2))
    # Of 15 pairs 6 are together: p = 0.4, deviation sqrt(n p q) = 22; 5 deviations.
    assert len(together) == 15
    assert all(abs(count - 0.4 * draws) < 5 * (draws * 0.24) ** 0.5 for count in together.values())


def test_a_round_runs_in_the_drawn_groups(make_world):
    world = drawn_world(make_world)
    draw = draw_groups(world.epoch(2), world.wire())
    for round in (1, 4):
        for outcome in aggregate(drawn_plan(world, draw, round=round), b"model", world.wire()):
            assert outcome.total.tolist() == world.expected(outcome.members)


@pytest.mark.parametrize("withholders", [w for n in (1, 2, 3) for w in combinations((10, 11, 12, 13), n)])
def test_every_withholding_pattern_voids_the_draw_and_leaves_the_withholders_out(make_world, withholders):
    world = make_world(sizes=(4,), threshold=3, epoch_rounds=4, draw_min=1)
    draw = draw_groups(world.epoch(1), at(world, Step.REVEAL, withholders))
    assert draw.withheld == withholders
    assert draw.redraws == 1
    assert sorted(draw.groups[0]) == sorted(set(world.roster.ids) - set(withholders))


def test_a_voided_draw_has_no_influence_on_the_next_one(make_world):
    world = drawn_world(make_world)
    wire = at(world, Step.REVEAL, (10,))
    draw_groups(world.epoch(2), wire)
    values = [from_bytes(reply).value for _, step, _, reply in wire.heard if step.step == Step.REVEAL]
    assert len(set(values)) == len(values) == 6 + 5


def test_a_candidate_that_does_not_commit_is_absent_and_the_draw_goes_on(make_world):
    world = drawn_world(make_world)
    draw = draw_groups(world.epoch(2), at(world, Step.COMMIT, (12, 15)))
    assert draw.absent == (12, 15)
    assert (draw.withheld, draw.redraws) == ((), 0)
    assert sorted(client for group in draw.groups for client in group) == [10, 11, 13, 14]


def test_a_false_reveal_counts_as_withheld(make_world):
    world = drawn_world(make_world)

    def lie(data):
        return to_bytes(replace(from_bytes(data), value=b"w" * 32))

    draw = draw_groups(world.epoch(2), at(world, Step.REVEAL, (11,), lie))
    assert draw.withheld == (11,)


def test_a_signed_reveal_of_other_bytes_than_committed_counts_as_withheld(make_world):
    world = drawn_world(make_world)

    def lie(data):
        request = next(q for c, s, q, _ in wire.heard if c == 11 and s.step == Step.REVEAL)
        commit = next(q for c, s, q, _ in wire.heard if c == 11 and s.step == Step.COMMIT)
        context = transcript.draw_context(from_bytes(commit).terms)
        commits = transcript.commits_digest(context, transcript.commit_list(from_bytes(request).commits))
        message = transcript.digest("reveal message", commits, transcript.number(11), b"w" * 32)
        return to_bytes(RevealReply(11, b"w" * 32, world.endpoints[11].member.sign("reveal", message)))

    hits = []

    def once(data):
        hits.append(data)
        return lie(data)

    wire = at(world, Step.REVEAL, (11,), once)
    assert draw_groups(world.epoch(2), wire).withheld == (11,)
    assert len(hits) == 1


def test_more_voided_draws_than_allowed_abort_the_epoch(make_world):
    world = drawn_world(make_world, groups=1)
    turns = iter((10, 11, 12, 13))
    state = {"redraw": -1, "client": 0}

    def on_reply(client, step, data):
        if step.step != Step.REVEAL:
            return data
        if step.attempt != state["redraw"]:
            state.update(redraw=step.attempt, client=next(turns))
        return None if client == state["client"] else data

    with pytest.raises(GroupAborted, match="voided 4 times"):
        draw_groups(world.epoch(1), world.wire(on_reply=on_reply))


def test_members_refuse_more_redraws_than_their_own_policy_allows(make_world):
    world = drawn_world(make_world, max_redraws=0)
    wire = at(world, Step.REVEAL, (10,))
    with pytest.raises(GroupAborted, match="expected at least 2 commitments, got 0"):
        draw_groups(world.epoch(2), wire)
    assert all(isinstance(error, PolicyError) for _, _, error in wire.refusals)


def test_a_second_draw_of_the_same_epoch_with_other_candidates_finds_nobody(make_world):
    world = drawn_world(make_world)
    draw_groups(world.epoch(2), world.wire())
    with pytest.raises(GroupAborted):
        draw_groups(world.epoch(2, candidates=world.roster.ids[:-1]), world.wire())


def test_a_member_reveals_nothing_to_a_list_that_is_short_foreign_or_lacks_its_own_commitment(make_world):
    def drop_own(request, client):
        return replace(request, commits=tuple(one for one in request.commits if one.sender != client))

    def drop_most(request, client):
        return replace(request, commits=tuple(one for one in request.commits if one.sender == client))

    def forge(request, client):
        forged = tuple(
            one if one.sender == client else replace(one, commitment=b"f" * 32) for one in request.commits
        )
        return replace(request, commits=forged)

    for change in (drop_own, drop_most, forge):
        world = drawn_world(make_world)

        def on_request(client, step, data, change=change):
            message = from_bytes(data)
            return to_bytes(change(message, client)) if isinstance(message, RevealRequest) else data

        wire = world.wire(on_request=on_request)
        with pytest.raises(GroupAborted):
            draw_groups(world.epoch(2), wire)
        assert not any(step.step == Step.REVEAL for _, step, _, _ in wire.heard)


@pytest.mark.parametrize(("groups", "candidates"), [(0, (10, 11)), (3, (10, 11)), (1, (10, 99))])
def test_an_impossible_draw_is_refused_before_anything_is_sent(make_world, groups, candidates):
    world = drawn_world(make_world)
    with pytest.raises(ConfigError):
        draw_groups(world.epoch(groups, candidates=candidates), lambda requests: pytest.fail("sent"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": bytes(32)}, "own task"),
        ({"config": bytes(32)}, "own task"),
        ({"epoch": 2}, "epochs of 4 rounds"),
        ({"epoch": 9}, "up to 8"),
        ({"groups": 2}, "a draw of 1 groups, got 2"),
        ({"epoch": (1 << 32) - 3}, "up to 8"),
        ({"candidates": (10,)}, "at least 2 candidates"),
    ],
)
def test_members_commit_to_no_draw_that_is_not_theirs(make_world, changes, said):
    world = drawn_world(make_world, groups=1, rounds=8)
    wire = world.wire()
    with pytest.raises(GroupAborted):
        draw_groups(replace(world.epoch(1), **changes), wire)
    assert wire.refusals
    assert all(said in str(error) for _, _, error in wire.refusals)


def test_a_draw_of_another_roster_is_refused(make_world):
    world, other = drawn_world(make_world), drawn_world(make_world)
    wire = world.wire()
    with pytest.raises(GroupAborted):
        draw_groups(replace(world.epoch(2), roster=other.roster), wire)
    assert not wire.heard


def test_members_that_draw_groups_ask_for_evidence_in_plain_rounds_too(make_world):
    world = drawn_world(make_world, masking=False)
    wire = world.wire()
    assert all(outcome.total is None for outcome in world.run(wire))
    assert {"whose draw this member took part in" in str(error) for _, _, error in wire.refusals} == {True}


# Evidence ----------------------------------------------------------------------------------------


@pytest.fixture
def drawn(make_world):
    world = drawn_world(make_world)
    return world, draw_groups(world.epoch(2), world.wire())


def refused(world, draw: Draw, **changes):
    """Runs a round and returns why the members refused it."""
    plan = drawn_plan(world, draw, **changes)
    wire = world.wire()
    outcomes = aggregate(plan, b"model", wire)
    assert all(outcome.total is None for outcome in outcomes)
    assert all(one.trained == 0 for one in world.endpoints.values())
    return " / ".join(sorted({str(error) for _, _, error in wire.refusals}))


def test_a_round_without_evidence_is_refused(drawn):
    world, draw = drawn
    assert "whose draw this member took part in" in refused(world, draw, evidence=NO_DRAW)


@pytest.mark.parametrize("round", [0, 5, 100])
def test_evidence_for_another_epoch_is_refused(drawn, round):
    world, draw = drawn
    assert "expected a draw for round" in refused(world, draw, round=round)


def test_members_moved_between_groups_are_refused(drawn):
    world, draw = drawn
    (a, *rest), (b, *others) = draw.groups
    moved = (tuple(sorted((b, *rest))), tuple(sorted((a, *others))))
    assert "expected members of the drawn group" in refused(world, draw, groups=moved)
    assert "expected members of the drawn group" in refused(world, draw, groups=draw.groups[::-1])


def test_a_member_struck_from_a_drawn_group_after_the_seed_is_known_stops_the_others(make_world):
    world = drawn_world(make_world, group_min=2)
    draw = draw_groups(world.epoch(2), world.wire())
    fewer = tuple(group[1:] for group in draw.groups)
    assert "expected members of the drawn group" in refused(world, draw, groups=fewer)


def test_repetitions_and_rounds_beyond_the_own_policy_are_refused(make_world):
    world = make_world(max_attempts=2, rounds=5)
    for changes, said in (({"attempt": 3}, "at most 2 repetitions"), ({"round": 6}, "up to 5")):
        wire = world.fresh().wire()
        assert world.run(wire, **changes)[0].total is None
        assert all(said in str(error) for _, _, error in wire.refusals)
    assert world.fresh().run(attempt=2, round=5)[0].total is not None


def test_another_seed_than_the_drawn_one_is_refused(drawn):
    world, draw = drawn
    assert "group seed" in refused(world, draw, group_seed=bytes(32))


def test_a_convenient_subset_of_the_reveals_is_refused(drawn):
    world, draw = drawn
    fewer = replace(draw.evidence, values=draw.evidence.values[1:])
    assert "open the commitments" in refused(world, draw, evidence=fewer)


def test_every_kind_of_change_to_the_evidence_is_refused(drawn):
    world, draw = drawn
    endpoint = world.endpoints[draw.groups[0][0]]
    terms, revealed = _terms(world, draw), revealed_by(endpoint)
    check_group(endpoint.member, revealed, terms, draw.evidence)
    data = record_to_bytes(draw.evidence)
    changed = [data[:size] for size in range(len(data))]
    for place in range(0, len(data), 5):
        raw = bytearray(data)
        raw[place] ^= 1 << place % 8
        changed.append(bytes(raw))
    for raw in changed:
        with pytest.raises(ProtocolError):
            check_group(endpoint.member, revealed, terms, record_from_bytes(DrawEvidence, raw))


def revealed_by(endpoint):
    states = map(endpoint.opened, endpoint.states)
    return next(state for state in states if isinstance(state, Revealed))


def _terms(world, draw):
    seen = []
    aggregate(
        drawn_plan(world, draw),
        b"m",
        world.wire(on_request=lambda client, step, data: seen.append(from_bytes(data))),
    )
    return seen[0].terms


def test_a_member_that_did_not_contribute_takes_no_part(make_world):
    world = drawn_world(make_world, group_min=2)
    draw = draw_groups(world.epoch(2), at(world, Step.COMMIT, (12,)))
    smaller = min(draw.groups, key=len)
    groups = tuple((*group, 12) if group == smaller else group for group in draw.groups)
    plan = drawn_plan(world, replace(draw, groups=groups))
    wire = world.wire()
    aggregate(plan, b"model", wire)
    assert any(client == 12 and "after Committed" in str(error) for client, _, error in wire.refusals)


def test_too_few_contributors_are_refused(make_world):
    world = drawn_world(make_world, draw_min=5)
    with pytest.raises(GroupAborted):
        draw_groups(world.epoch(2), at(world, Step.COMMIT, (10, 11)))
