from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.crypto import Identity, SystemRandomness
from securefl.errors import PolicyError, ProtocolError
from securefl.secagg import Roster

STREAM = SystemRandomness().stream("roster tests")
OPERATOR = Identity.generate(STREAM)
KEYS = {client: Identity.generate(STREAM).public for client in (5, 1, 3)}


def test_a_signed_roster_is_accepted_and_sorted():
    roster = Roster.sign(OPERATOR, KEYS)
    roster.check(OPERATOR.public)
    assert roster.ids == (1, 3, 5)
    assert roster.public(3) == KEYS[3]


def test_another_authority_is_refused_even_with_a_valid_signature():
    with pytest.raises(PolicyError, match="pinned authority"):
        Roster.sign(Identity.generate(STREAM), KEYS).check(OPERATOR.public)


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: keys[:-1],
        lambda keys: (*keys, (9, bytes(32))),
        lambda keys: keys[::-1],
        lambda keys: ((1, keys[1][1]), (3, keys[0][1]), keys[2]),
        lambda keys: (*keys[:-1], (5, keys[0][1])),
        lambda keys: (*keys, keys[-1]),
    ],
)
def test_an_added_dropped_reordered_swapped_or_repeated_key_is_refused(change):
    roster = Roster.sign(OPERATOR, KEYS)
    with pytest.raises(PolicyError):
        replace(roster, keys=change(roster.keys)).check(OPERATOR.public)


def test_the_authority_cannot_list_one_key_twice():
    with pytest.raises(PolicyError, match="distinct"):
        Roster.sign(OPERATOR, {1: KEYS[1], 2: KEYS[1]}).check(OPERATOR.public)


def test_a_stranger_has_no_key():
    with pytest.raises(ProtocolError, match="client of the roster"):
        Roster.sign(OPERATOR, KEYS).public(2)


def test_a_member_exists_only_in_the_roster_that_it_pins(make_world):
    member = make_world().endpoints[10].member
    with pytest.raises(PolicyError, match="own key"):
        replace(member, id=11)
    with pytest.raises(PolicyError, match="authority"):
        replace(member, roster=Roster.sign(OPERATOR, dict(member.roster.keys)))
