"""The benchmark's real rounds check their own sums, with dropouts, for both agreements and on a ring."""

from __future__ import annotations

import pytest

from securefl.encoding import FixedPoint
from securefl.secagg import HYBRID, X25519


@pytest.fixture
def rounds(load_benchmark):
    return load_benchmark("secagg_round")


@pytest.mark.parametrize(
    ("members", "agreement", "holders"), [(10, X25519, 10), (10, HYBRID, 10), (70, X25519, 22)]
)
def test_a_real_round_with_a_tenth_dropped_checks_its_own_sum(rounds, members, agreement, holders):
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=100, members=members)
    cost = rounds.play(codec, members, agreement)
    assert (cost.members, cost.holders, cost.vector_bytes) == (members, holders, codec.wire_bytes)
    assert min(cost.client, cost.unmasking) > 0
