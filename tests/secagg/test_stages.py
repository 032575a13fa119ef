"""The server between two steps: what it holds, and that its digests are those of the members."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import get_type_hints

import numpy as np
import pytest

from securefl.secagg import transcript
from securefl.secagg.messages import HYBRID, X25519
from securefl.secagg.stages import (
    Advertising,
    Confirming,
    Masking,
    Sharing,
    Summed,
    Unmasking,
    dealers_tree,
    keys_digest,
    keys_tree,
)
from securefl.secagg.states import Masked, Shared

STAGES = (Advertising, Sharing, Masking, Confirming, Unmasking, Summed)


def test_a_round_goes_through_all_stages_in_order_and_none_is_changed_in_place(make_world, play):
    stages, end = play(make_world())
    assert [type(state) for state in (*(one for one, _ in stages), end)] == list(STAGES)
    with pytest.raises(FrozenInstanceError):
        end.survivors = ()


def test_no_stage_has_a_place_for_one_members_vector():
    places = [(cls, one.name) for cls in STAGES for one in fields(cls)]
    named = {f"{cls.__name__}.{name}": str(get_type_hints(cls)[name]) for cls, name in places}
    assert not [name for name, kind in named.items() if "MaskReply" in kind or "UnmaskReply" in kind]
    words = [name for name, kind in named.items() if "ndarray" in kind.lower()]
    assert words == ["Confirming.total", "Summed.total"]


def test_the_only_vector_between_two_steps_is_the_sum_of_the_masked_ones(make_world, play):
    world = make_world(length=5)
    stages, end = play(world, world.losing({11}, 5, "reply"))
    confirming = next(state for state, _ in stages if isinstance(state, Confirming))
    assert confirming.survivors == (10, 12, 13)
    assert confirming.total.shape == end.total.shape == (5,)
    assert not np.array_equal(confirming.total, end.total), "still masked"


def test_a_group_asks_under_the_slot_of_its_round_and_attempt(make_world, start):
    group = start(make_world()).group
    terms = group.terms
    assert group.slot == transcript.slot(terms.task, terms.round, terms.attempt)
    others = [replace(terms, **change) for change in ({"round": 2}, {"attempt": 1}, {"task": b"u" * 32})]
    assert len({group.slot, *(replace(group, terms=one).slot for one in others)}) == 4
    assert replace(group, terms=replace(terms, group=1), model=b"another").slot == group.slot


def test_whoever_dealt_shares_has_to_be_resolved_whether_it_survived_or_not(make_world, play):
    world = make_world(sizes=(5,))
    stages, _ = play(world, world.losing({12}, 5, "reply"))
    confirming = next(state for state, _ in stages if isinstance(state, Confirming))
    assert confirming.dealers == (10, 11, 12, 13, 14)
    assert confirming.survivors == (10, 11, 13, 14)


def test_unmasking_is_about_the_group_of_its_sum(make_world, play):
    stages, _ = play(make_world())
    unmasking = next(state for state, _ in stages if isinstance(state, Unmasking))
    assert unmasking.group is unmasking.confirming.group


@pytest.mark.parametrize("agreement", [X25519, HYBRID])
def test_server_and_members_have_the_same_keys_digest_and_session(make_world, play, agreement):
    world = make_world(agreement=agreement)
    shared, masked = [], []

    def look(client, step, data):
        state = world.endpoints[client].opened(step.context)
        (shared if isinstance(state, Shared) else masked if isinstance(state, Masked) else []).append(state)
        return data

    stages, _ = play(world, world.wire(on_reply=look), agreement=agreement)
    confirming = next(state for state, _ in stages if isinstance(state, Confirming))
    group = confirming.group
    assert {one.keys_root for one in shared} == {keys_tree(group, confirming.keys)[-1][0]}
    assert {one.session for one in masked} == {confirming.session}
    keys = keys_digest(group, confirming.keys)
    root = dealers_tree(group, keys, confirming.shares)[-1][0]
    assert confirming.session == transcript.session(keys, root, group.model)


def test_an_absent_member_is_a_leaf_too_so_leaving_one_out_is_another_digest(make_world, play):
    stages, _ = play(make_world())
    masking = next(state for state, _ in stages if isinstance(state, Masking))
    group, keys = masking.group, masking.keys
    digests = {keys_digest(group, keys), *(keys_digest(group, keys[:i] + keys[i + 1 :]) for i in range(4))}
    assert len(digests) == 5
    whole = keys_digest(group, keys)
    roots = [
        dealers_tree(group, whole, masking.shares[:i] + masking.shares[i + 1 :])[-1][0] for i in range(4)
    ]
    assert len({dealers_tree(group, whole, masking.shares)[-1][0], *roots}) == 5
    assert {len(keys_tree(group, some)[0]) for some in (keys, keys[:2], ())} == {4}, "a leaf for everybody"
