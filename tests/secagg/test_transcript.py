from __future__ import annotations

from dataclasses import fields, replace

import pytest

from securefl.errors import PeerFault
from securefl.secagg import transcript
from securefl.secagg.messages import AdvertiseReply, Terms
from securefl.secagg.tree import levels

TERMS = Terms(b"t" * 32, b"c" * 32, b"r" * 32, 1, 2, 0, (3, 4, 5), 3, 2, 2, 0, 0, 10, 16, 1, b"s" * 32)
OTHER = {bytes: b"o" * 32, int: 77, tuple: (3, 4)}


@pytest.mark.parametrize("name", [field.name for field in fields(Terms)])
def test_every_term_is_bound_into_the_context(name):
    changed = replace(TERMS, **{name: OTHER[type(getattr(TERMS, name))]})
    assert transcript.context(changed) != transcript.context(TERMS)


def test_keys_dealers_roots_and_model_are_all_bound_into_the_session():
    keys = [AdvertiseReply(c, bytes([c]) * 32, bytes([c + 9]) * 32, bytes(32), bytes(64)) for c in (3, 4)]
    context = transcript.context(TERMS)
    both, one = keys_of(context, {3: keys[0], 4: keys[1]}), keys_of(context, {3: keys[0]})
    roots = {3: b"x" * 32, 4: b"y" * 32}
    sessions = {
        transcript.session(both, dealers_of(both, roots), b"model"),
        transcript.session(one, dealers_of(one, roots), b"model"),
        transcript.session(both, dealers_of(both, {3: b"x" * 32}), b"model"),
        transcript.session(both, dealers_of(both, {3: b"y" * 32, 4: b"x" * 32}), b"model"),
        transcript.session(both, dealers_of(both, roots), b"another model"),
        transcript.plain_session(context, b"model"),
    }
    assert len(sessions) == 6


def keys_of(context, keys):
    leaves = [transcript.keys_leaf(context, member, keys.get(member)) for member in TERMS.members]
    return transcript.keys_digest(context, levels(leaves)[-1][0])


def dealers_of(keys, roots):
    return levels([transcript.dealer_leaf(keys, member, roots.get(member)) for member in TERMS.members])[-1][
        0
    ]


def test_parts_cannot_slide_into_each_other_and_purposes_separate():
    assert transcript.digest("a", b"xy", b"z") != transcript.digest("a", b"x", b"yz")
    assert transcript.digest("a", b"x") != transcript.digest("b", b"x")
    assert transcript.digest("a", b"x") != transcript.digest("a", b"x", b"")


def test_a_pair_label_is_the_same_from_both_ends_and_for_no_other_pair():
    labels = {
        transcript.pair_label(b"s", one, other) for one in range(4) for other in range(4) if one != other
    }
    assert len(labels) == 6
    assert transcript.pair_label(b"s", 1, 2) == transcript.pair_label(b"s", 2, 1)
    assert transcript.pair_label(b"s", 1, 2) != transcript.pair_label(b"t", 1, 2)


def test_a_round_and_a_draw_never_share_a_slot():
    slots = {
        f(TERMS.task, a, b) for f in (transcript.slot, transcript.draw_slot) for a in (1, 2) for b in (1, 2)
    }
    assert len(slots) == 8


def test_every_flipped_bit_of_a_signature_or_message_blames_the_sender(make_world):
    world = make_world()
    member, message = world.endpoints[10].member, b"m" * 32
    signature = member.sign("confirm", message)
    transcript.check_signature(world.roster, 10, "confirm", message, signature)
    for bit in range(512 + 256):
        both = bytearray(signature + message)
        both[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerFault) as fault:
            transcript.check_signature(world.roster, 10, "confirm", bytes(both[64:]), bytes(both[:64]))
        assert fault.value.culprit == 10
    for purpose, sender in (("unmask", 10), ("confirm", 11)):
        with pytest.raises(PeerFault):
            transcript.check_signature(world.roster, sender, purpose, message, signature)
