from __future__ import annotations

import numpy as np
import pytest

from securefl.crypto import KeyPair, SystemRandomness, add_mask
from securefl.errors import BudgetExceeded
from securefl.secagg.masking import pair_seed, pair_sign, ring_dtype, self_seed

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


def test_the_callers_array_is_not_changed_and_not_trusted_to_be_reduced(make_world):
    world = make_world(ring_bits=8, length=3)
    for endpoint in world.endpoints.values():
        endpoint.vector = np.array([255, 256, 1 << 31], dtype=np.uint32)
    (outcome,) = world.run()
    assert outcome.total.tolist() == [4 * 255 % 256, 0, 0]
    assert all(one.vector.tolist() == [255, 256, 1 << 31] for one in world.endpoints.values())


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
