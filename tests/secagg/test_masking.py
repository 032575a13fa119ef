from __future__ import annotations

import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from securefl.crypto import KeyPair, SystemRandomness, add_mask
from securefl.encoding import FixedPoint
from securefl.encoding.packing import ring_dtype
from securefl.errors import BudgetExceeded, PolicyError
from securefl.secagg import Step, aggregate, respond
from securefl.secagg.masking import mask, pair_seed, pair_sign, self_seed
from securefl.secagg.messages import from_bytes
from securefl.secagg.states import open_state

STREAM = SystemRandomness().stream("masking tests")


def test_the_pair_masks_of_a_group_cancel_and_the_self_masks_do_not():
    keys = {member: KeyPair(STREAM.take(32), hybrid=False) for member in (3, 8, 9)}
    total = np.zeros(50, dtype=np.uint32)
    for one in keys:
        for other in keys:
            if one != other:
                seed = pair_seed(keys[one], keys[other].public, b"", b"s" * 32, (one, other))
                add_mask(total, seed, pair_sign(one, other))
    assert not total.any()
    add_mask(total, self_seed(b"b" * 32, b"s" * 32, 3), 1)
    assert total.any()


def test_masks_of_two_sessions_or_members_have_nothing_in_common():
    one, other = KeyPair(STREAM.take(32), hybrid=False), KeyPair(STREAM.take(32), hybrid=False)
    seeds = {
        pair_seed(one, other.public, b"", b"s" * 32, (1, 2)),
        pair_seed(one, other.public, b"", b"t" * 32, (1, 2)),
        pair_seed(one, other.public, b"", b"s" * 32, (1, 3)),
        self_seed(b"b" * 32, b"s" * 32, 1),
        self_seed(b"b" * 32, b"t" * 32, 1),
        self_seed(b"b" * 32, b"s" * 32, 2),
    }
    assert len(seeds) == 6
    assert pair_seed(one, other.public, b"", b"s" * 32, (1, 2)) == pair_seed(
        other, one.public, b"", b"s" * 32, (2, 1)
    )


@pytest.mark.parametrize(
    ("bits", "dtype"), [(1, np.uint32), (32, np.uint32), (33, np.uint64), (64, np.uint64)]
)
def test_the_ring_wraps_in_the_smallest_native_word(bits, dtype):
    assert ring_dtype(bits) is dtype


@pytest.mark.parametrize("masking", [True, False])
def test_a_contribution_is_not_trusted_to_be_reduced(make_world, masking):
    world = make_world(ring_bits=8, length=3, masking=masking)
    for endpoint in world.endpoints.values():
        endpoint.vector = np.array([255, 256, 1 << 31], dtype=np.uint32)
    (outcome,) = world.run()
    assert outcome.total.tolist() == [4 * 255 % 256, 0, 0]


@pytest.mark.parametrize("masking", [True, False])
def test_a_contribution_is_handed_over_and_sent_from_its_own_memory(make_world, masking):
    world = make_world(ring_bits=19, length=300, masking=masking)
    handed_over = {}

    def contribute_of(client, endpoint):
        def contribute(model, round):
            return handed_over.setdefault(client, endpoint.vector.copy())

        return contribute

    for client, endpoint in world.endpoints.items():
        endpoint.contribute = contribute_of(client, endpoint)
    wire = world.wire()
    (outcome,) = world.run(wire)
    assert outcome.total.tolist() == world.expected(outcome.survivors)
    sent = {
        client: from_bytes(reply).vector for client, step, _, reply in wire.heard if step.step == Step.MASK
    }
    for client, words in handed_over.items():
        # The array now holds the packed bytes that left, and no longer the words.
        assert words.tobytes().startswith(bytes(sent[client]))


@pytest.mark.parametrize("masking", [True, False])
def test_a_contribution_that_is_read_only_or_strided_is_copied_and_left_alone(make_world, masking):
    world = make_world(masking=masking)
    (kept, strided), others = list(world.endpoints.values())[:2], list(world.endpoints.values())[2:]
    kept.vector.flags.writeable = False
    wide = np.zeros(2 * strided.vector.size, dtype=strided.vector.dtype)
    wide[::2] = strided.vector
    kept.contribute = lambda model, round: kept.vector
    strided.contribute = lambda model, round: wide[::2]
    before = kept.vector.tolist(), wide.tolist()
    (outcome,) = world.run()
    assert len(others) == 2
    assert outcome.total.tolist() == world.expected(outcome.survivors)
    assert (kept.vector.tolist(), wide.tolist()) == before


def test_a_dealer_that_is_no_neighbour_is_refused_even_if_its_keys_are_known(make_world):
    world = make_world(sizes=(66,), threshold=None, max_dropout=Fraction(1, 33))
    states, asked, keys = [], [], {}

    def on_request(client, step, data):
        if (client, step.step) == (10, Step.MASK):
            endpoint = world.endpoints[10]
            states.append(open_state(endpoint.states[step.after], endpoint.member.storage_key))
            asked.append(from_bytes(data))
        return data

    def on_reply(client, step, data):
        if step.step == Step.ADVERTISE:
            keys[client] = from_bytes(data)
        return data

    world.run(world.wire(on_request=on_request, on_reply=on_reply), max_dropout=Fraction(1, 33))
    (state,), (request,) = states, asked
    stranger = min(set(keys) - {10} - {reply.sender for reply in state.keys})
    first, *others = request.deliveries
    forged = replace(request, deliveries=(replace(first, dealer=stranger), *others))
    known = replace(state, keys=(*state.keys, keys[stranger]))
    with pytest.raises(PolicyError, match="expected neighbours"):
        mask(world.endpoints[10].member, known, forged, lambda model, round: pytest.fail("it contributed"))


def test_a_contribution_out_of_budget_stops_its_member_and_nothing_of_it_is_sent(make_world):
    world = make_world()

    def over_budget(model, round):
        raise BudgetExceeded("spent")

    wire = world.wire()
    world.endpoints[10].contribute = over_budget

    def exchange(requests):
        try:
            return wire(requests)
        except BudgetExceeded:
            return wire({client: data for client, data in requests.items() if client != 10})

    (outcome,) = world.run(exchange)
    assert outcome.survivors == (11, 12, 13)
    assert outcome.total.tolist() == world.expected(outcome.survivors)


def test_a_member_holds_its_vector_its_ring_image_and_one_chunk_at_its_peak(make_world):
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=1_000_000, members=4)
    world = make_world(ring_bits=codec.ring_bits, length=codec.length)
    wire = world.wire()
    states = {}

    def on_request(client, step, data):
        if client == 10:
            states[step.step] = (world.endpoints[10].states.get(step.after), data)
        return data

    wire.on_request = on_request
    aggregate(world.base, bytes(4 * codec.dim), wire)
    state, request = states[Step.MASK]

    def contribute(model, round):
        update = np.frombuffer(model, dtype="<f4") + np.float32(1.0)
        return codec.encode(update, STREAM)

    tracemalloc.start()
    reply = respond(world.endpoints[10].member, state, request, contribute).reply
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    vector = ring = 4 * codec.dim
    assert len(reply) > codec.wire_bytes
    # The scratch arrays of one block of encoding take at most a dozen times 128 KiB.
    assert peak < vector + ring + 12 * (1 << 17)
