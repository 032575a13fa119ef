from __future__ import annotations

import pytest

from securefl.secagg import Step
from securefl.secagg.messages import from_bytes, to_bytes


def test_an_unmasked_round_takes_one_exchange_and_sums_who_answered(make_world):
    world = make_world(sizes=(3, 2), masking=False)
    wire = world.wire(on_reply=lambda client, step, data: None if client in (10, 13) else data)
    first, second = world.run(wire)
    assert {step.step for _, step, _, _ in wire.heard} == {Step.MASK}
    assert first.survivors == (11, 12)
    assert first.total.tolist() == world.expected((11, 12))
    assert second.survivors == (14,)
    assert second.total.tolist() == world.expected((14,))


def test_groups_of_one_are_classical_robust_learning(make_world):
    world = make_world(sizes=(1, 1, 1), masking=False)
    for outcome in world.run():
        assert outcome.total.tolist() == world.expected(outcome.members)


def test_a_group_that_nobody_answers_has_no_total(make_world):
    world = make_world(masking=False)
    (outcome,) = world.run(world.wire(on_request=lambda client, step, data: None))
    assert outcome.total is None
    assert "nobody of 4 sent a vector" in outcome.failure


@pytest.mark.parametrize("place", [0, 7, 12, 20, -70, -1])
def test_a_changed_reply_blames_its_sender(make_world, place):
    world = make_world(masking=False)

    def on_reply(client, step, data):
        raw = bytearray(data)
        raw[place] ^= 1
        return bytes(raw) if client == 12 else data

    (outcome,) = world.run(world.wire(on_reply=on_reply))
    assert outcome.blamed == (12,)
    assert outcome.total.tolist() == world.expected((10, 11, 13))


def test_a_plain_vector_of_another_model_is_not_added(make_world):
    world = make_world(masking=False)

    def on_request(client, step, data):
        request = from_bytes(data)
        return to_bytes(type(request)(request.terms, request.evidence, b"other")) if client == 10 else data

    (outcome,) = world.run(world.wire(on_request=on_request))
    assert outcome.blamed == (10,)
