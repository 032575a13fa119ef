"""The rehearsal: the bytes on the card are those of the real messages, for every size of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.encoding import FixedPoint
from securefl.federation.rehearsal import Grouping, rehearse
from securefl.secagg import HYBRID, X25519

ENCODING = FixedPoint(clip_norm=1.0, bits=16, dim=1000, members=4, cap=1)


def group(members: int, masking: bool = True, agreement: int = X25519) -> Grouping:
    return Grouping(members, members // 2 + 1, 0, None, agreement, masking, epoch_rounds=5)


@pytest.mark.parametrize("masking", [True, False])
def test_a_longer_model_costs_its_own_bytes_and_no_others(masking: bool) -> None:
    short = rehearse(ENCODING, group(4, masking), 12)
    long_encoding = replace(ENCODING, dim=5000)
    long = rehearse(long_encoding, group(4, masking), 12)
    assert short.vector == ENCODING.wire_bytes
    assert long.up - short.up == long_encoding.wire_bytes - ENCODING.wire_bytes
    assert long.down - short.down == long.model - short.model == 4 * 4000, "float32 parameters"
    assert sum(long.kinds().values()) == long.up + long.down


def test_masking_costs_keys_and_shares_and_grows_with_the_group() -> None:
    plain, small, large = (
        rehearse(ENCODING, group(members, masking), 12)
        for members, masking in ((4, False), (4, True), (8, True))
    )
    assert plain.up < small.up < large.up
    assert plain.down < small.down < large.down
    assert plain.vector == small.vector == large.vector, "a mask does not lengthen the vector"


def test_each_further_client_of_the_draw_adds_the_same_evidence() -> None:
    downs = [rehearse(ENCODING, group(4), cohort).down for cohort in (12, 13, 20)]
    assert downs[1] > downs[0]
    assert downs[2] - downs[1] == 7 * (downs[1] - downs[0])


def test_hybrid_keys_cost_more_bytes_and_the_card_measures_them() -> None:
    plain, hybrid = (rehearse(ENCODING, group(4, agreement=one), 12) for one in (X25519, HYBRID))
    assert hybrid.up - plain.up > 2 * 1184 + 3 * 1088, "two public keys, and a ciphertext in each box"
    assert hybrid.vector == plain.vector
