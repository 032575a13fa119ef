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

from collections.abc import Mapping

import numpy as np

from securefl.crypto import add_mask
from securefl.encoding.packing import unpack
from securefl.errors import GroupAborted, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.collect import Blame, collect
from securefl.secagg.masking import Words, ring_dtype
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
from securefl.secagg.opening import openings_message
from securefl.secagg.recovery import check_openings, masks_to_remove, rebuild, signed_hashes
from securefl.secagg.roster import Roster
from securefl.secagg.setup import check_advertised, check_usable
from securefl.secagg.stages import (
    Advertising,
    Confirming,
    Group,
    Masking,
    Sharing,
    Summed,
    Unmasking,
    keys_digest,
)

Running = Advertising | Sharing | Masking | Confirming | Unmasking


def requests(state: Running) -> dict[int, bytes]:
    """What the state wants sent, by client."""
    match state:
        case Advertising(group):
            request = to_bytes(AdvertiseRequest(group.terms, group.evidence))
            return dict.fromkeys(group.terms.members, request)
        case Sharing(group):
            request = to_bytes(ShareRequest(*_place(group), state.keys))
            return {reply.sender: request for reply in state.keys}
        case Masking():
            return _mask_requests(state)
        case Confirming(group):
            request = to_bytes(ConfirmRequest(*_place(group), state.survivors))
            return dict.fromkeys(state.survivors, request)
        case Unmasking():
            request = to_bytes(UnmaskRequest(*_place(state.group), state.confirmations))
            return {reply.sender: request for reply in state.confirmations}


def advance(state: Running, replies: Mapping[int, bytes]) -> Running | Summed:
    """The next state.

    Raises:
        GroupAborted: fewer than t members are left.
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
        check_usable(reply)

    keys, blame = collect(replies, group.terms.members, AdvertiseReply, check)
    repeated = _repeaters(keys)
    blame += tuple((client, "advertised a key that another member has too") for client in sorted(repeated))
    left = tuple(reply for client, reply in keys.items() if client not in repeated)
    _enough(group.terms, len(left), "advertised keys", state.blame + blame)
    return Sharing(group, state.blame + blame, left)


def _repeaters(keys: Mapping[int, AdvertiseReply]) -> set[int]:
    owners: dict[bytes, list[int]] = {}
    for client, reply in keys.items():
        for public in (reply.channel_public, reply.mask_public):
            owners.setdefault(public, []).append(client)
    return {client for group in owners.values() if len(group) > 1 for client in group}


def _receive_shares(state: Sharing, replies: Mapping[int, bytes]) -> Masking:
    group = state.group
    keys = keys_digest(group, state.keys)
    holders = [reply.sender for reply in state.keys]

    def check(reply: ShareReply) -> None:
        if [deal.holder for deal in reply.deals] != holders:
            raise ProtocolError(f"expected a deal for each of {holders}, got another list")
        if any((deal.holder == reply.sender) != (deal.box == b"") for deal in reply.deals):
            raise ProtocolError("expected a box for every holder but the dealer itself")
        message = transcript.root_message(keys, reply.sender, _tree(keys, reply)[-1][0])
        transcript.check_signature(group.roster, reply.sender, "share", message, reply.signature)

    shares, blame = collect(replies, holders, ShareReply, check)
    _enough(group.terms, len(shares), "shared secrets", state.blame + blame)
    return Masking(group, state.blame + blame, state.keys, tuple(shares.values()))


def _mask_requests(state: Masking) -> dict[int, bytes]:
    keys = keys_digest(state.group, state.keys)
    holders = [reply.sender for reply in state.keys]
    trees = {reply.sender: _tree(keys, reply) for reply in state.shares}

    def delivery(reply: ShareReply, holder: int) -> Delivery:
        index = holders.index(holder)
        deal = reply.deals[index]
        path = tree.path(trees[reply.sender], index)
        return Delivery(reply.sender, deal.key_hash, deal.seed_hash, deal.box, path, reply.signature)

    requests = {}
    for holder in trees:
        deliveries = tuple(delivery(reply, holder) for reply in state.shares if reply.sender != holder)
        requests[holder] = to_bytes(MaskRequest(*_place(state.group), deliveries, state.group.model))
    return requests


def _receive_vectors(state: Masking, replies: Mapping[int, bytes]) -> Confirming:
    group, terms = state.group, state.group.terms
    keys = keys_digest(group, state.keys)
    roots = [(reply.sender, _tree(keys, reply)[-1][0]) for reply in state.shares]
    session = transcript.session(keys, roots, group.model)
    total = np.zeros(terms.length, dtype=ring_dtype(terms.ring_bits))
    vectors, blame = collect(
        replies,
        [dealer for dealer, _ in roots],
        MaskReply,
        lambda reply: add_vector(group.roster, terms, session, reply, total),
    )
    _enough(terms, len(vectors), "sent masked vectors", state.blame + blame)
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
    _enough(state.group.terms, len(signed), "confirmed the survivors", state.blame + blame)
    return Unmasking(state, state.blame + blame, tuple(signed.values()))


def _receive_openings(state: Unmasking, replies: Mapping[int, bytes]) -> Summed:
    before, terms = state.confirming, state.group.terms
    hashes = signed_hashes(before)

    def check(reply: UnmaskReply) -> None:
        message = openings_message(before.session, reply.sender, before.survivors, reply.openings)
        transcript.check_signature(state.group.roster, reply.sender, "unmask", message, reply.signature)
        check_openings(before, hashes, reply)

    opened, blame = collect(replies, [reply.sender for reply in state.confirmations], UnmaskReply, check)
    _enough(terms, len(opened), "opened sound shares", state.blame + blame)
    total = before.total.copy()
    for seed, sign in masks_to_remove(before, rebuild(before, opened)):
        add_mask(total, seed, sign)
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


def _tree(keys: bytes, reply: ShareReply) -> list[list[bytes]]:
    return tree.levels([transcript.deal_leaf(keys, reply.sender, deal) for deal in reply.deals])


def _enough(terms: Terms, count: int, did: str, blame: Blame) -> None:
    if count < terms.threshold:
        reasons = "".join(f"; {client}: {reason}" for client, reason in blame)
        raise GroupAborted(
            f"group {terms.group} has no sum: expected at least {terms.threshold} of {len(terms.members)} "
            f"members that {did}, got {count}{reasons}"
        )
