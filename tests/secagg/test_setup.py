"""A member's first two steps: fresh keys under terms it accepts, shares for holders whose keys verify."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module

import pytest

from securefl.crypto import SystemRandomness, combine
from securefl.errors import DecodeError, PeerFault, PolicyError
from securefl.secagg import Member, Step, transcript
from securefl.secagg.boxes import open_box
from securefl.secagg.graph import graph_of
from securefl.secagg.messages import HYBRID, X25519, AdvertiseRequest, ShareRequest, from_bytes
from securefl.secagg.states import Advertised

setup = import_module("securefl.secagg.setup")
ME, PEER, THRESHOLD = 10, 12, 3
LOW_ORDER = bytes(32)


@dataclass
class Asked:
    """Everybody after advertising, and what the server asks `ME` next."""

    world: object
    states: dict[int, Advertised]
    opening: AdvertiseRequest
    request: ShareRequest

    def member(self, client: int = ME) -> Member:
        return self.world.endpoints[client].member

    @property
    def terms(self):
        return self.opening.terms

    def forged(self, client, **changes):
        """The request with one member's keys changed, and signed anew by that member."""
        one = replace(self.states[client].reply, **changes)
        message = transcript.keys_message(transcript.context(self.terms), one)
        return self.with_keys(replace(one, signature=self.member(client).sign("advertise", message)))

    def with_keys(self, changed):
        """The request with one key message in the place of its sender's."""
        keys = tuple(changed if one.sender == changed.sender else one for one in self.request.keys)
        return replace(self.request, keys=keys)

    def share(self, request):
        return setup.share(self.member(), self.states[ME], request)


@pytest.fixture(params=[X25519, HYBRID], ids=["x25519", "hybrid"])
def asked(request, make_world):
    world, seen = make_world(sizes=(5,), agreement=request.param), {}

    def on_request(client, step, data):
        if client == ME:
            seen[step.step] = from_bytes(data)
        return data if step.step == Step.ADVERTISE else None

    world.run(world.wire(on_request=on_request), agreement=request.param)
    states = {client: one.opened(*one.states) for client, one in world.endpoints.items()}
    return Asked(world, states, seen[Step.ADVERTISE], seen[Step.SHARE])


# Advertise ---------------------------------------------------------------------------------------


def test_what_is_advertised_is_the_public_side_of_the_state_and_signed_by_its_sender(asked):
    state, context = asked.states[ME], transcript.context(asked.terms)
    reply = state.reply
    assert reply.channel_public == setup.key_pair(asked.terms, state.channel_private).public
    assert reply.mask_public == setup.key_pair(asked.terms, state.mask_private).public
    assert reply.seed_commitment == transcript.seed_commitment(context, ME, state.seed)
    setup.check_advertised(asked.world.roster, context, reply)
    setup.check_usable(asked.terms, reply)


def test_keys_and_seed_are_fresh_every_time_under_the_systems_entropy(asked):
    member = replace(asked.member(), randomness=SystemRandomness())
    made = [setup.advertise(member, None, asked.opening)[0] for _ in range(8)]
    secrets = [one for state in made for one in (state.channel_private, state.mask_private, state.seed)]
    assert len(set(secrets)) == 3 * 8


@pytest.mark.parametrize(
    "change",
    [{"threshold": 2}, {"members": (11, 12, 13)}, {"task": b"u" * 32}, {"length": 6}, {"ring_bits": 20}],
)
def test_terms_that_are_looser_or_others_than_the_policys_get_no_keys(asked, change):
    terms = replace(asked.terms, **change)
    with pytest.raises(PolicyError):
        setup.advertise(asked.member(), None, replace(asked.opening, terms=terms))


def test_plain_terms_get_no_keys(asked):
    with pytest.raises(PolicyError, match="expected masked terms"):
        setup.advertise(asked.member(), None, replace(asked.opening, terms=replace(asked.terms, masking=0)))


def test_a_member_that_insists_on_a_draw_advertises_for_no_group_without_one(make_world, asked):
    policy = replace(asked.member().policy, epoch_rounds=5, groups=1)
    with pytest.raises(PolicyError, match="draw"):
        setup.advertise(replace(asked.member(), policy=policy), None, asked.opening)


# Keys of the others ------------------------------------------------------------------------------


def test_keys_that_their_sender_did_not_sign_are_its_fault(asked):
    genuine = asked.states[PEER].reply
    for changed in (
        replace(genuine, mask_public=bytes([genuine.mask_public[0] ^ 1]) + genuine.mask_public[1:]),
        replace(genuine, seed_commitment=bytes(32)),
        replace(genuine, signature=bytes(64)),
    ):
        with pytest.raises(PeerFault, match="advertise signature") as fault:
            asked.share(asked.with_keys(changed))
        assert fault.value.culprit == PEER


def test_keys_signed_for_another_attempt_are_refused(asked):
    again = transcript.context(replace(asked.terms, attempt=1))
    one = asked.states[PEER].reply
    signed = asked.member(PEER).sign("advertise", transcript.keys_message(again, one))
    with pytest.raises(PeerFault) as fault:
        asked.share(asked.with_keys(replace(one, signature=signed)))
    assert fault.value.culprit == PEER


def test_a_list_without_the_own_keys_or_with_others_in_their_place_is_refused(asked):
    without = tuple(one for one in asked.request.keys if one.sender != ME)
    for request in (
        replace(asked.request, keys=without),
        asked.forged(ME, seed_commitment=bytes(32)),
    ):
        with pytest.raises(PolicyError, match="own keys"):
            asked.share(request)


def test_keys_of_somebody_outside_the_group_are_refused(asked):
    stranger = replace(asked.states[PEER].reply, sender=99)
    with pytest.raises(PolicyError, match="holders only"):
        asked.share(replace(asked.request, keys=(*asked.request.keys, stranger)))


def test_t_holders_with_keys_are_enough_and_one_fewer_is_not(asked):
    own, others = asked.states[ME].reply, [one for one in asked.request.keys if one.sender != ME]
    enough = (own, *others[: THRESHOLD - 1])
    setup.check_keys(asked.member(), asked.states[ME], enough)
    with pytest.raises(PolicyError, match="at least 3 holders with keys, got 2"):
        setup.check_keys(asked.member(), asked.states[ME], enough[:-1])


def test_a_key_that_occurs_twice_is_refused_even_where_it_is_signed(asked):
    theirs, other = asked.states[PEER].reply, asked.states[13].reply
    for changes in (
        {"channel_public": other.channel_public},
        {"mask_public": other.mask_public},
        {"mask_public": theirs.channel_public},
        {"channel_public": asked.states[ME].reply.mask_public},
    ):
        with pytest.raises(PolicyError, match="repeated"):
            asked.share(asked.forged(PEER, **changes))


@pytest.mark.parametrize("field", ["channel_public", "mask_public"])
def test_unusable_keys_are_their_senders_fault_and_the_server_asks_early(asked, field):
    genuine = asked.states[PEER].reply
    public = getattr(genuine, field)
    for wrong in (LOW_ORDER + public[32:], public[:-1], public + b"\0", b""):
        with pytest.raises(PeerFault, match="unusable") as fault:
            setup.check_usable(asked.terms, replace(genuine, **{field: wrong}))
        assert fault.value.culprit == PEER


def test_keys_of_the_other_agreement_are_unusable(asked):
    terms = replace(asked.terms, agreement=HYBRID + X25519 - asked.terms.agreement)
    with pytest.raises(PeerFault, match="unusable"):
        setup.check_usable(terms, asked.states[PEER].reply)


# Shares ------------------------------------------------------------------------------------------


def received(asked):
    """What `ME` deals, and by holder the pair that it gets."""
    shared, reply = asked.share(asked.request)
    keys = transcript.keys_digest(transcript.context(asked.terms), shared.keys_root)
    pairs = {ME: shared.own[0].pair}
    for deal in reply.deals:
        if deal.holder != ME:
            channel = setup.key_pair(asked.terms, asked.states[deal.holder].channel_private)
            pairs[deal.holder] = open_box(channel, keys, asked.states[ME].reply, deal.holder, deal.box)
    return keys, reply, pairs


def test_any_t_holders_have_both_secrets_and_fewer_have_others(asked):
    _, _, pairs = received(asked)
    at = {holder: setup.point(asked.terms, holder) for holder in pairs}
    assert set(at) == set(asked.world.endpoints)
    for some in (list(pairs)[:THRESHOLD], list(pairs)[-THRESHOLD:]):
        assert combine({at[one]: pairs[one].key_share for one in some}) == asked.states[ME].mask_private
        assert combine({at[one]: pairs[one].seed_share for one in some}) == asked.states[ME].seed
    # With t - 1 the polynomial is another one: the point at zero is uniform, and ours with chance 2^-256.
    fewer = list(pairs)[: THRESHOLD - 1]
    assert combine({at[one]: pairs[one].key_share for one in fewer}) != asked.states[ME].mask_private


def test_every_share_has_its_own_salted_hash_and_one_signature_covers_all_deals(asked):
    keys, reply, pairs = received(asked)
    for deal in reply.deals:
        assert setup.hashes(keys, ME, deal.holder, pairs[deal.holder]) == (deal.key_hash, deal.seed_hash)
    salts = [salt for pair in pairs.values() for salt in (pair.key_salt, pair.seed_salt)]
    assert len(set(salts)) == len(salts) == 2 * len(pairs)
    root = setup.deal_tree(asked.terms, keys, ME, reply.deals)[-1][0]
    message = transcript.root_message(keys, ME, root)
    transcript.check_signature(asked.world.roster, ME, "share", message, reply.signature)


def test_every_holder_but_the_dealer_itself_gets_a_box_and_none_like_anothers(asked):
    _, reply, _ = received(asked)
    boxes = {deal.holder: deal.box for deal in reply.deals}
    assert boxes.pop(ME) == b""
    assert all(boxes.values())
    assert len(set(boxes.values())) == len(boxes) == 4


def test_sharing_again_deals_other_shares_of_the_same_secrets(asked):
    member = replace(asked.member(), randomness=SystemRandomness())
    (one, _), (two, _) = (setup.share(member, asked.states[ME], asked.request) for _ in range(2))
    assert one.own[0].pair.key_share != two.own[0].pair.key_share
    assert (one.mask_private, one.seed) == (two.mask_private, two.seed)


def test_a_holder_without_keys_has_a_place_in_the_tree_and_no_deal(asked):
    fewer = tuple(one for one in asked.request.keys if one.sender != PEER)
    _, reply = asked.share(replace(asked.request, keys=fewer))
    assert [deal.holder for deal in reply.deals] == [10, 11, 13, 14]
    leaves = setup.deal_tree(asked.terms, bytes(32), ME, reply.deals)[0]
    place = graph_of(asked.terms).holders(ME).index(PEER)
    assert leaves[place] == transcript.deal_leaf(bytes(32), ME, PEER, None)
    assert len(leaves) == 5


def test_points_are_distinct_and_never_zero(asked):
    points = {setup.point(asked.terms, one) for one in asked.world.endpoints}
    assert points == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("size", [1, 2])
def test_a_proof_that_a_complete_graph_does_not_need_is_refused(asked, size):
    with pytest.raises(DecodeError):
        asked.share(replace(asked.request, proof=(bytes(32),) * size))
