"""Real members against the real server: every sum is exact or there is none."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from securefl.crypto import add_masks
from securefl.errors import ConfigError
from securefl.secagg import Step, aggregate, masking, server
from securefl.secagg.messages import (
    HYBRID,
    X25519,
    AdvertiseReply,
    DrawEvidence,
    MaskReply,
    ShareReply,
    UnmaskReply,
    from_bytes,
)


@pytest.mark.parametrize("ring_bits", [1, 19, 32, 33, 64])
def test_the_sum_of_everybody_is_exact_at_any_width(make_world, ring_bits):
    world = make_world(ring_bits=ring_bits)
    (outcome,) = world.run()
    assert outcome.total.tolist() == world.expected(outcome.members)
    assert outcome.survivors == outcome.members == (10, 11, 12, 13)
    assert outcome.blamed == ()
    assert outcome.failure is None


def test_members_that_vanish_at_different_steps_leave_an_exact_sum(make_world):
    world = make_world(sizes=(7,), threshold=4)
    fate = {10: (Step.SHARE, "reply"), 12: (Step.MASK, "request"), 16: (Step.CONFIRM, "reply")}

    def gone(client, step, kind):
        return client in fate and (step.step > fate[client][0] or (step.step, kind) == fate[client])

    wire = world.wire(
        on_request=lambda client, step, data: None if gone(client, step, "request") else data,
        on_reply=lambda client, step, data: None if gone(client, step, "reply") else data,
    )
    (outcome,) = world.run(wire)
    assert outcome.survivors == (11, 13, 14, 15, 16)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_one_group_below_its_threshold_does_not_stop_the_other(make_world):
    world = make_world(sizes=(4, 4))
    lost, fine = world.run(world.losing({10, 11}, Step.CONFIRM, "request"))
    assert lost.total is None
    assert "expected at least 3 of 4 members that confirmed the survivors, got 2" in lost.failure
    assert fine.total.tolist() == world.expected(fine.members)


def test_all_groups_advance_in_lock_step_with_five_exchanges(make_world):
    world = make_world(sizes=(4, 4, 4))
    wire, calls = world.wire(), []

    def counted(requests):
        calls.append(sorted(requests))
        return wire(requests)

    aggregate(world.plan(), b"m", counted)
    assert calls == [sorted(world.roster.ids)] * 5


def test_masked_and_plain_rounds_give_the_same_bits(make_world):
    masked = make_world(seed=b"same")
    plain = make_world(seed=b"same", masking=False)
    (one,), (other,) = masked.run(), plain.run()
    assert one.total.tobytes() == other.total.tobytes()
    assert one.total.dtype == other.total.dtype
    assert one.survivors == other.survivors


def test_a_replayable_source_replays_every_byte(make_world):
    wires = []
    for _ in range(2):
        world = make_world(seed=b"again")
        wires.append(world.wire())
        world.run(wires[-1])
    assert wires[0].heard == wires[1].heard


def test_bytes_are_counted_per_client(make_world):
    world = make_world()
    wire = world.wire()
    (outcome,) = world.run(wire)
    assert outcome.bytes_up == {
        c: sum(len(r) for who, _, _, r in wire.heard if who == c) for c in outcome.members
    }
    assert outcome.bytes_down == {
        c: sum(len(q) for who, _, q, _ in wire.heard if who == c) for c in outcome.members
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("rounds", "agreement"),
    [
        (6, X25519),
        (3, HYBRID),
        pytest.param(1000, X25519, marks=pytest.mark.slow),
        pytest.param(100, HYBRID, marks=pytest.mark.slow),
    ],
)
def test_keys_seeds_shares_masks_and_vectors_are_fresh_in_every_round_and_attempt(
    make_world, monkeypatch, rounds, agreement
):
    # Rounds are repeated in pairs of attempts, and the vectors are the same every time: only masks differ.
    members, attempts = 4, 2
    world, used = make_world(length=8, ring_bits=32, agreement=agreement), spied_seeds(monkeypatch)
    slots, seen = rounds * attempts, Counter()
    seen_values = defaultdict(set)

    def note(client, step, data):
        values = list(fresh_values(from_bytes(data)))
        if step.step == Step.ADVERTISE:
            values.append(("self-mask seed", world.endpoints[client].opened(step.context).seed))
        for what, value in values:
            seen[what] += 1
            seen_values[what].add(value)
        return data

    for round, attempt in product(range(1, rounds + 1), range(attempts)):
        wire = world.wire(on_reply=note)
        (outcome,) = world.run(wire, round=round, attempt=attempt, agreement=agreement)
        assert outcome.survivors == outcome.members
        for endpoint in world.endpoints.values():
            endpoint.answers.clear()
            endpoint.states.clear()
    one_each, one_per_holder = slots * members, slots * members * members
    assert seen == {
        "public key": 2 * one_each,
        "seed commitment": one_each,
        "self-mask seed": one_each,
        "share hash": 2 * one_per_holder,
        "box": one_per_holder - one_each,
        "masked vector": one_each,
        "opened share": one_per_holder,
    }
    assert {what: len(values) for what, values in seen_values.items()} == seen, "pairwise distinct"
    # A member's own mask is added once by it and once by the server; that of a pair by both of its ends.
    pairs = members * (members - 1) // 2
    assert Counter(used.values()) == {(-1, 1): slots * (members + pairs)}


def fresh_values(reply):
    """What may never occur twice in a reply, with a name for each kind."""
    match reply:
        case AdvertiseReply():
            yield from (("public key", one) for one in (reply.channel_public, reply.mask_public))
            yield "seed commitment", reply.seed_commitment
        case ShareReply():
            yield from (
                ("share hash", one) for deal in reply.deals for one in (deal.key_hash, deal.seed_hash)
            )
            yield from (("box", deal.box) for deal in reply.deals if deal.box)
        case MaskReply():
            yield "masked vector", bytes(reply.vector)
        case UnmaskReply():
            yield from (("opened share", opening.share) for opening in reply.openings)


def spied_seeds(monkeypatch):
    """By seed of every mask that members or server add from now on: the signs that it was added with."""
    used = {}

    def spy(words, seeds):
        seeds = list(seeds)
        for seed, sign in seeds:
            used[seed] = tuple(sorted((*used.get(seed, ()), sign)))
        add_masks(words, seeds)

    for module in (masking, server):
        monkeypatch.setattr(module, "add_masks", spy)
    return used


def test_a_masked_vector_is_uniform_on_the_ring(make_world):
    world = make_world(length=4096, ring_bits=8)
    for endpoint in world.endpoints.values():
        endpoint.vector = np.zeros(4096, dtype=np.uint32)
    wire = world.wire()
    world.run(wire)
    sent = [from_bytes(reply).vector for _, step, _, reply in wire.heard if step.step == Step.MASK]
    counts = np.bincount(np.frombuffer(b"".join(sent), dtype=np.uint8), minlength=256)
    expected = len(sent) * 4096 / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    # Chi-square with 255 degrees of freedom: mean 255, deviation sqrt(510) = 22.6; 8 deviations are < 1e-10.
    assert abs(statistic - 255) < 8 * 22.6


def test_a_contribution_that_raises_reveals_nothing_and_counts_as_a_dropout(make_world):
    world = make_world()
    world.endpoints[11].vector = np.zeros(5, dtype=np.float64)
    (outcome,) = world.run()
    assert outcome.survivors == (10, 12, 13)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_an_asked_member_that_answers_for_nobody_asked_is_ignored(make_world):
    world = make_world()
    wire = world.wire()
    (outcome,) = aggregate(world.plan(), b"m", lambda requests: {**wire(requests), 99: b"noise"})
    assert outcome.total is not None
    assert 99 not in outcome.bytes_up


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threshold": 2}, "secure_aggregation.threshold"),
        ({"threshold": 65}, "secure_aggregation.threshold"),
        ({"colluding": 2}, "secure_aggregation.threshold"),
        ({"groups": ((10, 11, 12), (12, 13))}, "at most one group"),
        ({"groups": ((10, 11, 12, 99),)}, "unknown"),
        ({"groups": ()}, "at most one group"),
        ({"ring_bits": 65}, "ring bits"),
        ({"length": 0}, "coordinates"),
    ],
)
def test_a_plan_that_members_would_refuse_is_refused_before_anything_is_sent(make_world, changes, said):
    world = make_world()
    with pytest.raises(ConfigError, match=said):
        aggregate(world.plan(**changes), b"m", lambda requests: pytest.fail("something was sent"))


def test_a_group_smaller_than_the_threshold_has_no_sum_and_is_not_even_asked(make_world):
    world = make_world(sizes=(5, 4))
    wire = world.wire()
    small, fine = world.run(wire, groups=((10, 11), (15, 16, 17, 18)))
    assert small.total is None
    assert "expected at least 3 members in group 0, got 2" in small.failure
    assert fine.total.tolist() == world.expected(fine.members)
    assert {client for client, *_ in wire.heard} == set(fine.members)


def test_a_masked_group_of_65_needs_a_bound_on_dropouts(make_world):
    world = make_world(sizes=(65,), threshold=33)
    with pytest.raises(ConfigError, match="bound on dropouts"):
        world.run()


def test_a_ring_that_the_draw_left_too_small_fails_alone_and_does_not_end_the_round(make_world):
    # 36 colluding and a fifth missing: 66 members have a graph, 65 have none.
    world = make_world(sizes=(65, 65))
    drawn = {"threshold": None, "colluding": 36, "max_dropout": Fraction("0.2")}
    with pytest.raises(ConfigError, match="assume fewer"):
        aggregate(world.plan(**drawn), b"m", lambda requests: pytest.fail("something was sent"))
    asked: list[int] = []
    plan = world.plan(**drawn, evidence=DrawEvidence(1, 0, ()))
    outcomes = aggregate(plan, b"m", lambda requests: asked.extend(requests) or {})
    assert [outcome.total for outcome in outcomes] == [None, None]
    assert all("assume fewer" in outcome.failure for outcome in outcomes)
    assert not asked
    assert plan.shape(66).holders == 64


def test_the_package_imports_no_learning_framework():
    code = "import sys, securefl.secagg; sys.exit(any(m in sys.modules for m in ('torch', 'opacus')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
