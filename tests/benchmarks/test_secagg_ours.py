"""The benchmark's own side does the whole work: a round with dropouts is exact, and masks go out again."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.encoding import FixedPoint


@pytest.fixture
def ours(load_benchmark):
    return load_benchmark("secagg_ours")


def test_a_client_of_primitives_sends_a_packed_vector_and_a_signature(ours):
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=1000, members=5)
    assert len(ours.Client(codec, 5, 4).run(np.zeros(1000, dtype=np.float32))) == codec.wire_bytes + 64


def test_a_server_of_primitives_takes_out_one_mask_per_survivor_and_one_per_pair(ours, monkeypatch):
    taken = []
    monkeypatch.setattr(ours, "add_masks", lambda total, masks: taken.extend(masks))
    ours.Server(10, 7, 2).unmask(np.zeros(10, dtype=np.uint32))
    assert len({seed for seed, _ in taken}) == len(taken) == 8 + 2 * 8
