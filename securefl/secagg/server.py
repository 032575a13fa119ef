"""The server's steps for one group: pure, one state type per step.

    Advertising -> Sharing -> Masking -> Confirming -> Unmasking -> Summed

Each state says what to send (`requests`) and becomes the next one with the replies (`advance`).

Rules kept here:
- Survivors are defined per step: who sent a sound reply. A reply that is late, missing or unsound is a
  dropout of its sender, and the unsound ones are blamed. Below the threshold the group aborts.
- The server adds masked vectors up as they come; no state holds one member's vector.
- A holder that opens a wrong share is blamed and ignored; a dealer of a wrong secret is blamed, and the
  group aborts (`recovery`).
- The sum is exact for what the survivors masked, modulo 2^ring_bits, or there is none.

What this file does NOT do: keep a server honest. It is the honest server; members trust none of it.

Reference: Bonawitz et al. 2017, figure 4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

import numpy as np

from securefl.crypto import add_masks
from securefl.encoding.packing import ring_dtype, unpack
from securefl.errors import GroupAborted, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.collect import Blame, collect
from securefl.secagg.graph import graph_of
from securefl.secagg.masking import Words
from securefl.secagg.messages import (
    AdvertiseReply,
    AdvertiseRequest,
    ConfirmReply,
    ConfirmRequest,
    Delivery,
    MaskReply,
    MaskRequest,
    PlainReply,
    ShareReply,
    ShareRequest,
    Terms,
    UnmaskReply,
    UnmaskRequest,
    to_bytes,
)
from securefl.secagg.offers import offers_to
from securefl.secagg.opening import openings_message
from securefl.secagg.recovery import check_openings, masks_to_remove, rebuild, signed_hashes
from securefl.secagg.roster import Roster
from securefl.secagg.setup import check_advertised, check_usable, deal_tree
from securefl.secagg.stages import (
    Advertising,
    Confirming,
    Group,
    Masking,
    Sharing,
    Summed,
    Unmasking,
    dealers_tree,
    keys_digest,
    keys_tree,
)

Running = Advertising | Sharing | Masking | Confirming | Unmasking


def requests(state: Running) -> dict[int, bytes]:
    """What the state wants sent, by client."""
    match state:
        case Advertising(group):
            request = to_bytes(AdvertiseRequest(group.terms, group.evidence))
            return {member: request for member in group.terms.members if member not in state.early}
        case Sharing():
            return _share_requests(state)
        case Masking():
            return _mask_requests(state)
        case Confirming(group):
            request = to_bytes(ConfirmRequest(*_place(group), state.survivors))
            return dict.fromkeys(state.survivors, request)
        case Unmasking():
            return _unmask_requests(state)


def advance(state: Running, replies: Mapping[int, bytes]) -> Running | Summed:
    """The next state.

    Raises:
        GroupAborted: too few members are left.
        PeerFault: a dealer's shares rebuild another secret than it advertised.
    """
    match state:
        case Advertising():
            return _receive_keys(state, replies)
        case Sharing():
            return _receive_shares(state, replies)
        case Masking():
            return _receive_vectors(state, replies)
        case Confirming():
            return _receive_confirmations(state, replies)
        case Unmasking():
            return _receive_openings(state, replies)


def _receive_keys(state: Advertising, replies: Mapping[int, bytes]) -> Sharing:
    group = state.group
    context = transcript.context(group.terms)

    def check(reply: AdvertiseReply) -> None:
        check_advertised(group.roster, context, reply)
        check_usable(group.terms, reply)

    keys, blame = collect({**replies, **state.early}, group.terms.members, AdvertiseReply, check)
    repeated = _repeaters(keys)
    blame += tuple((client, "advertised a key that another member has too") for client in sorted(repeated))
    left = _supported(group.terms, keys.keys() - repeated, "advertised keys", state.blame + blame)
    return Sharing(group, state.blame + blame, tuple(keys[client] for client in left))


def _repeaters(keys: Mapping[int, AdvertiseReply]) -> set[int]:
    owners: dict[bytes, list[int]] = {}
    for client, reply in keys.items():
        for public in (reply.channel_public, reply.mask_public):
            owners.setdefault(public, []).append(client)
    return {client for group in owners.values() if len(group) > 1 for client in group}


def _share_requests(state: Sharing) -> dict[int, bytes]:
    graph, keys_of = graph_of(state.group.terms), {reply.sender: reply for reply in state.keys}
    branches = keys_tree(state.group, state.keys)

    @cache
    def request(around: tuple[int, ...]) -> bytes:
        known = tuple(keys_of[one] for one in sorted(around) if one in keys_of)
        proof = tree.prove(branches, [graph.place[one] for one in around])
        return to_bytes(ShareRequest(*_place(state.group), known, proof))

    return {member: request(graph.around(member)) for member in keys_of}


def _receive_shares(state: Sharing, replies: Mapping[int, bytes]) -> Masking:
    group = state.group
    keys = keys_digest(group, state.keys)
    advertised = {reply.sender for reply in state.keys}

    def check(reply: ShareReply) -> None:
        _check_deals(group.terms, advertised, reply)
        root = deal_tree(group.terms, keys, reply.sender, reply.deals)[-1][0]
        message = transcript.root_message(keys, reply.sender, root)
        transcript.check_signature(group.roster, reply.sender, "share", message, reply.signature)

    shares, blame = collect(replies, advertised, ShareReply, check)
    left = _supported(group.terms, shares.keys(), "shared secrets", state.blame + blame)
    return Masking(group, state.blame + blame, state.keys, tuple(shares[client] for client in left))


def _check_deals(terms: Terms, advertised: set[int], reply: ShareReply) -> None:
    """Return if there is a deal for each holder with keys, a box for all but the dealer, offers as due."""
    holders = sorted(advertised.intersection(graph_of(terms).holders(reply.sender)))
    if [deal.holder for deal in reply.deals] != holders:
        raise ProtocolError(f"expected a deal for each of {holders}, got another list")
    for deal in reply.deals:
        if (deal.holder == reply.sender) != (deal.box == b""):
            raise ProtocolError("expected a box for every holder but the dealer itself")
        if offers_to(terms, reply.sender, deal.holder) == (deal.offer == b""):
            raise ProtocolError(
                f"expected the offers that this key agreement needs, got others to {deal.holder}"
            )


def _mask_requests(state: Masking) -> dict[int, bytes]:
    group, terms = state.group, state.group.terms
    graph, keys = graph_of(terms), keys_digest(group, state.keys)
    dealers = dealers_tree(group, keys, state.shares)
    shares = {reply.sender: reply for reply in state.shares}
    trees = {dealer: deal_tree(terms, keys, dealer, reply.deals) for dealer, reply in shares.items()}
    deals = {dealer: {deal.holder: deal for deal in reply.deals} for dealer, reply in shares.items()}

    def delivery(dealer: int, holder: int) -> Delivery:
        deal, place = deals[dealer][holder], graph.holders(dealer).index(holder)
        proof = tree.prove(trees[dealer], [place])
        parts = (deal.key_hash, deal.seed_hash, deal.box, deal.offer)
        return Delivery(dealer, *parts, proof, shares[dealer].signature)

    def request(holder: int) -> bytes:
        others = sorted(shares.keys() & set(graph.holders(holder)) - {holder})
        proof = tree.prove(dealers, [graph.place[one] for one in graph.around(holder)])
        deliveries = tuple(delivery(dealer, holder) for dealer in others)
        return to_bytes(MaskRequest(*_place(group), deliveries, proof, group.model))

    return {holder: request(holder) for holder in shares}


def _receive_vectors(state: Masking, replies: Mapping[int, bytes]) -> Confirming:
    group, terms = state.group, state.group.terms
    keys = keys_digest(group, state.keys)
    session = transcript.session(keys, dealers_tree(group, keys, state.shares)[-1][0], group.model)
    total = np.zeros(terms.length, dtype=ring_dtype(terms.ring_bits))
    vectors, blame = collect(
        replies,
        [reply.sender for reply in state.shares],
        MaskReply,
        lambda reply: add_vector(group.roster, terms, session, reply, total),
    )
    _enough(terms, len(vectors), terms.survivors, "sent masked vectors", state.blame + blame)
    return Confirming(group, state.blame + blame, state.keys, state.shares, session, tuple(vectors), total)


def _receive_confirmations(state: Confirming, replies: Mapping[int, bytes]) -> Unmasking:
    message = transcript.survivors_message(state.session, state.survivors)
    roster = state.group.roster
    signed, blame = collect(
        replies,
        state.survivors,
        ConfirmReply,
        lambda reply: transcript.check_signature(roster, reply.sender, "confirm", message, reply.signature),
    )
    graph, terms = graph_of(state.group.terms), state.group.terms
    _enough(terms, len(signed), terms.threshold, "confirmed the survivors", state.blame + blame)
    for dealer in state.dealers:
        left = len(signed.keys() & set(graph.holders(dealer)))
        _enough(terms, left, terms.threshold, f"confirmed and hold shares of {dealer}", state.blame + blame)
    return Unmasking(state, state.blame + blame, tuple(signed.values()))


def _unmask_requests(state: Unmasking) -> dict[int, bytes]:
    """To each signer the signatures by all holders of the dealers that it holds shares of."""
    graph, dealers = graph_of(state.group.terms), set(state.confirming.dealers)

    @cache
    def request(held: tuple[int, ...]) -> bytes:
        concerned = {holder for dealer in held for holder in graph.holders(dealer)}
        chosen = tuple(reply for reply in state.confirmations if reply.sender in concerned)
        return to_bytes(UnmaskRequest(*_place(state.group), chosen))

    return {
        reply.sender: request(tuple(one for one in graph.holders(reply.sender) if one in dealers))
        for reply in state.confirmations
    }


def _receive_openings(state: Unmasking, replies: Mapping[int, bytes]) -> Summed:
    before, terms = state.confirming, state.group.terms
    keys, hashes = keys_digest(before.group, before.keys), signed_hashes(before)

    def check(reply: UnmaskReply) -> None:
        message = openings_message(before.session, reply.sender, before.survivors, reply.openings)
        transcript.check_signature(state.group.roster, reply.sender, "unmask", message, reply.signature)
        check_openings(before, keys, hashes, reply)

    opened, blame = collect(replies, [reply.sender for reply in state.confirmations], UnmaskReply, check)
    _enough(terms, len(opened), terms.threshold, "opened sound shares", state.blame + blame)
    total = before.total.copy()
    add_masks(total, masks_to_remove(before, rebuild(before, opened)))
    return Summed(state.group, state.blame + blame, before.survivors, reduce(total, terms.ring_bits))


def add_vector(
    roster: Roster, terms: Terms, session: bytes, reply: MaskReply | PlainReply, total: Words
) -> None:
    """Verify one vector and add it to `total` in place; the vector itself is not kept.

    Raises:
        PeerFault: the signature is wrong.
        DecodeError: the vector has not the agreed size.
    """
    message = transcript.vector_message(session, reply.sender, reply.vector)
    transcript.check_signature(roster, reply.sender, "vector", message, reply.signature)
    total += unpack(reply.vector, terms.ring_bits, terms.length, ring_dtype(terms.ring_bits))


def reduce(total: Words, ring_bits: int) -> Words:
    """`total` modulo 2^ring_bits."""
    return total & total.dtype.type((1 << ring_bits) - 1)


def _place(group: Group) -> tuple[bytes, int, int]:
    return group.slot, group.terms.round, group.terms.attempt


def _supported(terms: Terms, alive: Collection[int], did: str, blame: Blame) -> list[int]:
    """Those of `alive` who can go on, ascending: they have t holders among each other."""
    left = graph_of(terms).supported(alive, terms.threshold)
    _enough(terms, len(left), terms.survivors, did, blame)
    return sorted(left)


def _enough(terms: Terms, count: int, least: int, did: str, blame: Blame) -> None:
    if count < least:
        reasons = "".join(f"; {client}: {reason}" for client, reason in blame)
        raise GroupAborted(
            f"group {terms.group} has no sum: expected at least {least} of {len(terms.members)} "
            f"members that {did}, got {count}{reasons}",
            blame,
        )
