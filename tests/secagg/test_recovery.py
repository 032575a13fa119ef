"""From opened shares to the masks in a sum: whoever opens, deals or advertises something else is named."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from securefl.crypto import add_masks
from securefl.crypto.shamir import PRIME, SHARE_BYTES, lagrange_at_zero
from securefl.errors import GroupAborted, PeerFault, ProtocolError
from securefl.secagg import Step, transcript
from securefl.secagg.graph import graph_of
from securefl.secagg.masking import pair_sign
from securefl.secagg.messages import HYBRID, KEY_KIND, SEED_KIND, X25519, UnmaskReply, from_bytes
from securefl.secagg.recovery import check_openings, masks_to_remove, rebuild, signed_hashes
from securefl.secagg.server import reduce
from securefl.secagg.setup import point
from securefl.secagg.stages import Confirming, Unmasking, keys_digest

DROPPED, SURVIVORS = 12, (10, 11, 13, 14)
THRESHOLD = 3


@dataclass
class Played:
    """A round of five in which one member sent no vector, and what everybody opened at its end."""

    world: object
    state: Confirming
    opened: dict[int, UnmaskReply]
    secrets: dict[int, tuple[bytes, bytes]]
    """By member: its (mask secret, self-mask seed)."""

    def check(self, reply):
        keys = keys_digest(self.state.group, self.state.keys)
        check_openings(self.state, keys, signed_hashes(self.state), reply)

    def reshared(self, dealer, change):
        """What was opened, with every holder's share of one dealer changed."""
        return {
            holder: replace(
                reply,
                openings=tuple(
                    replace(one, share=change(holder, one.share)) if one.dealer == dealer else one
                    for one in reply.openings
                ),
            )
            for holder, reply in self.opened.items()
        }


@pytest.fixture(params=[X25519, HYBRID], ids=["x25519", "hybrid"])
def played(request, make_world, play):
    world, secrets = make_world(sizes=(5,), agreement=request.param), {}

    def on_reply(client, step, data):
        if step.step == Step.ADVERTISE:
            state = world.endpoints[client].opened(step.context)
            secrets[client] = (state.mask_private, state.seed)
        return None if client == DROPPED and step.step >= Step.MASK else data

    stages, _ = play(world, world.wire(on_reply=on_reply), agreement=request.param)
    unmasking, replies = stages[-1]
    assert isinstance(unmasking, Unmasking)
    opened = {client: from_bytes(data) for client, data in replies.items()}
    return Played(world, unmasking.confirming, opened, secrets)


# Openings ----------------------------------------------------------------------------------------


def test_the_signed_hashes_are_those_of_every_deal(played):
    hashes = signed_hashes(played.state)
    everybody = played.state.dealers
    assert set(hashes) == {(dealer, holder) for dealer in everybody for holder in everybody}
    for reply in played.state.shares:
        for deal in reply.deals:
            assert hashes[reply.sender, deal.holder] == (deal.key_hash, deal.seed_hash)
    assert len({one for pair in hashes.values() for one in pair}) == 2 * len(hashes)


def test_what_honest_holders_open_is_one_sound_share_per_dealer_of_the_right_kind(played):
    assert set(played.opened) == set(SURVIVORS)
    for reply in played.opened.values():
        played.check(reply)
        kinds = {one.dealer: one.kind for one in reply.openings}
        assert kinds == {**dict.fromkeys(SURVIVORS, SEED_KIND), DROPPED: KEY_KIND}


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, share=flipped(one.share)),
        lambda one: replace(one, salt=flipped(one.salt)),
        lambda one: replace(one, kind=SEED_KIND + KEY_KIND - one.kind),
        lambda one: replace(one, kind=0),
    ],
    ids=["share", "salt", "other kind", "no kind"],
)
@pytest.mark.parametrize("dealer", [11, DROPPED])
def test_an_opening_that_its_dealer_did_not_sign_is_the_holders_fault(played, dealer, change):
    reply = played.opened[10]
    bent = tuple(change(one) if one.dealer == dealer else one for one in reply.openings)
    with pytest.raises(ProtocolError, match=f"opened another share of {dealer} than {dealer} signed"):
        played.check(replace(reply, openings=bent))


def test_a_dealer_that_signed_its_seeds_share_as_that_of_its_key_does_not_get_it_opened(played):
    keys, hashes = keys_digest(played.state.group, played.state.keys), signed_hashes(played.state)
    reply = played.opened[10]
    place = [one.dealer for one in reply.openings].index(DROPPED)
    one = replace(reply.openings[place], kind=SEED_KIND)
    signed = transcript.share_hash(keys, SEED_KIND, DROPPED, 10, one.salt, one.share)
    hashes[DROPPED, 10] = (signed, hashes[DROPPED, 10][1])
    openings = (*reply.openings[:place], one, *reply.openings[place + 1 :])
    with pytest.raises(ProtocolError, match="another share"):
        check_openings(played.state, keys, hashes, replace(reply, openings=openings))


def test_another_holders_share_is_not_ones_own(played):
    with pytest.raises(ProtocolError, match="another share"):
        played.check(replace(played.opened[10], openings=played.opened[11].openings))


def test_a_dealer_too_few_too_many_or_twice_is_another_list(played):
    openings = played.opened[10].openings
    strange = replace(openings[-1], dealer=99)
    for bent in (openings[:-1], (*openings, strange), (*openings, openings[-1]), openings[::-1], ()):
        with pytest.raises(ProtocolError, match="one share of every dealer"):
            played.check(replace(played.opened[10], openings=bent))


# Secrets -----------------------------------------------------------------------------------------


def test_survivors_seeds_and_the_dropped_members_mask_secret_are_rebuilt_and_nothing_else(played):
    expected = {one: played.secrets[one][1] for one in SURVIVORS} | {DROPPED: played.secrets[DROPPED][0]}
    assert rebuild(played.state, played.opened) == expected


def test_any_t_holders_rebuild_the_same_and_one_fewer_nothing(played):
    whole = rebuild(played.state, played.opened)
    for left_out in SURVIVORS:
        some = {one: reply for one, reply in played.opened.items() if one != left_out}
        assert rebuild(played.state, some) == whole
        fewer = dict(list(some.items())[: THRESHOLD - 1])
        with pytest.raises(GroupAborted, match="expected 3 holders of 10 that opened their shares, got 2"):
            rebuild(played.state, fewer)


@pytest.mark.parametrize("dealer", [13, DROPPED])
def test_a_dealer_whose_shares_give_another_secret_than_it_advertised_is_named(played, dealer):
    # As if it had dealt, and signed the hashes of, shares of something else.
    bent = played.reshared(dealer, lambda holder, share: flipped(share))
    with pytest.raises(PeerFault, match="another secret than it advertised") as fault:
        rebuild(played.state, bent)
    assert fault.value.culprit == dealer


@pytest.mark.parametrize(("dealer", "field"), [(13, "seed_commitment"), (DROPPED, "mask_public")])
def test_a_dealer_that_advertised_another_secret_than_it_shared_is_named(played, dealer, field):
    keys = tuple(
        replace(one, **{field: flipped(getattr(one, field))}) if one.sender == dealer else one
        for one in played.state.keys
    )
    with pytest.raises(PeerFault) as fault:
        rebuild(replace(played.state, keys=keys), played.opened)
    assert fault.value.culprit == dealer


def test_what_a_dealer_advertised_for_a_secret_that_is_not_rebuilt_does_not_matter(played):
    keys = tuple(
        replace(one, mask_public=flipped(one.mask_public)) if one.sender == 13 else one
        for one in played.state.keys
    )
    rebuild(replace(played.state, keys=keys), played.opened)


def test_a_dealer_whose_shares_belong_to_no_secret_is_named(played):
    # The first holder's share is chosen so that the three give a number above 2^256, which no 32 bytes are.
    terms, holders = played.state.group.terms, sorted(played.opened)[:THRESHOLD]
    weights = lagrange_at_zero([point(terms, one) for one in holders])
    shares = [
        int.from_bytes(next(o.share for o in played.opened[one].openings if o.dealer == 13), "big")
        for one in holders
    ]
    rest = sum(weight * share for weight, share in zip(weights[1:], shares[1:], strict=True))
    wrong = ((PRIME - 1 - rest) * pow(weights[0], -1, PRIME)) % PRIME
    bent = played.reshared(
        13, lambda holder, share: wrong.to_bytes(SHARE_BYTES, "big") if holder == holders[0] else share
    )
    with pytest.raises(PeerFault, match="shares of no secret") as fault:
        rebuild(played.state, bent)
    assert fault.value.culprit == 13


# Masks -------------------------------------------------------------------------------------------


def test_one_own_mask_per_survivor_and_one_per_pair_of_a_survivor_and_a_dropped_member_are_removed(played):
    masks = list(masks_to_remove(played.state, rebuild(played.state, played.opened)))
    assert len({seed for seed, _ in masks}) == len(masks) == len(SURVIVORS) + len(SURVIVORS)
    own = [-1] * len(SURVIVORS)
    of_pairs = [-pair_sign(survivor, DROPPED) for survivor in SURVIVORS]
    assert sorted(sign for _, sign in masks) == sorted(own + of_pairs)
    assert set(graph_of(played.state.group.terms).holders(DROPPED)) >= set(SURVIVORS)


def test_what_is_left_without_these_masks_is_the_sum_and_with_one_of_them_it_is_not(played):
    masks = list(masks_to_remove(played.state, rebuild(played.state, played.opened)))
    expected = played.world.expected(SURVIVORS)

    def without(some):
        total = played.state.total.copy()
        add_masks(total, some)
        return reduce(total, played.state.group.terms.ring_bits).tolist()

    assert without(masks) == expected
    for place in range(len(masks)):
        assert without(masks[:place] + masks[place + 1 :]) != expected


@pytest.mark.parametrize("played", [HYBRID], indirect=True, ids=["hybrid"])
def test_an_offer_that_is_not_what_was_committed_to_blames_its_offerer(played):
    secrets = rebuild(played.state, played.opened)

    def bent(shares, offerer, holder):
        for one in shares:
            deals = (
                replace(deal, offer=flipped(deal.offer)) if deal.holder == holder else deal
                for deal in one.deals
            )
            yield replace(one, deals=tuple(deals)) if one.sender == offerer else one

    # 10 offered to the dropped 12, and 12 offered to 13: each is named for its own.
    for offerer, holder in ((10, DROPPED), (DROPPED, 13)):
        shares = tuple(bent(played.state.shares, offerer, holder))
        with pytest.raises(PeerFault) as fault:
            list(masks_to_remove(replace(played.state, shares=shares), secrets))
        assert fault.value.culprit == offerer
