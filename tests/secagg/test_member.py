"""A member exists only inside a roster that its pinned authority signed, under its own key."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from securefl.crypto import Identity, SystemRandomness, verify
from securefl.errors import PolicyError, ProtocolError
from securefl.secagg import Member, Roster
from securefl.secagg.transcript import tag

STREAM = SystemRandomness().stream("member tests")


def member_of(world, client: int) -> Member:
    return world.endpoints[client].member


def test_a_roster_of_another_authority_makes_no_member(make_world):
    one = member_of(make_world(), 10)
    other = Roster.sign(Identity.generate(STREAM), dict(one.roster.keys))
    with pytest.raises(PolicyError, match="pinned authority"):
        replace(one, roster=other)


def test_a_roster_that_was_changed_after_it_was_signed_makes_no_member(make_world):
    one = member_of(make_world(), 10)
    fewer = replace(one.roster, keys=one.roster.keys[:-1])
    claimed = replace(fewer, signature=bytes(64))
    for roster in (fewer, claimed):
        with pytest.raises(PolicyError, match="authority's signature"):
            replace(one, roster=roster)


@pytest.mark.parametrize("client", [11, 99])
def test_who_is_not_itself_in_the_roster_is_no_member(make_world, client):
    # Somebody else's id, and one that nobody has.
    with pytest.raises(PolicyError, match=f"own key under {client}"):
        replace(member_of(make_world(), 10), id=client)


def test_another_identity_under_its_id_makes_no_member(make_world):
    with pytest.raises(PolicyError, match="own key under 10"):
        replace(member_of(make_world(), 10), identity=Identity.generate(STREAM))


def test_a_members_signature_holds_for_its_purpose_its_message_and_its_key_only(make_world):
    world = make_world()
    one, other = member_of(world, 10), member_of(world, 11)
    signature = one.sign("share", b"message")
    verify(one.identity.public, tag("share"), b"message", signature)
    for public, purpose, message in (
        (one.identity.public, "confirm", b"message"),
        (one.identity.public, "share", b"massage"),
        (other.identity.public, "share", b"message"),
    ):
        with pytest.raises(ProtocolError):
            verify(public, tag(purpose), message, signature)


def test_states_rest_under_a_key_that_follows_from_the_identity_and_is_not_it(make_world):
    world = make_world()
    one, other = member_of(world, 10), member_of(world, 11)
    again = replace(one, randomness=SystemRandomness())
    assert one.storage_key == again.storage_key, "a new process of the same member reads its states"
    assert len({one.storage_key, other.storage_key, one.identity.private_bytes}) == 3
    assert len(one.storage_key) == 32


def test_a_member_does_not_change(make_world):
    one = member_of(make_world(), 10)
    with pytest.raises(FrozenInstanceError):
        one.policy = replace(one.policy, masking=False)
