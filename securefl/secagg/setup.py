"""A member's first two steps: advertise fresh keys, then share both secrets among its holders.

    advertise  channel pair (never shared), mask pair, commitment to the self-mask seed
    share      mask key and self-mask seed, t of k, one sealed box per holder, salted hashes signed;
               under hybrid agreement also the KEM half of every pair whose lower id the member has

Rules kept here:
- Both key pairs and the seed are fresh in every attempt.
- Nothing is shared before the key of every holder verifies under its pinned identity, is distinct from
  all others, and at least t of them are there.
- Every share has its own salted hash, and one signature covers all deals of a dealer: a holder checks
  its deal on receipt, the server checks openings against it. A box has its own key and is used once.

What this file does NOT do: training or masking (`masking`).

Reference: Bonawitz et al. 2017, figure 4, rounds 0 and 1; Bell et al. 2020, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from securefl.crypto import AgreementKey, KeyPair, Stream, check_public, split
from securefl.crypto.keys import KEY_BYTES
from securefl.crypto.seal import NONCE_BYTES
from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.boxes import seal_box
from securefl.secagg.draw import check_group
from securefl.secagg.graph import graph_of
from securefl.secagg.member import Member
from securefl.secagg.messages import (
    HYBRID,
    KEY_KIND,
    SALT_BYTES,
    SEED_KIND,
    AdvertiseReply,
    AdvertiseRequest,
    Deal,
    ShareReply,
    ShareRequest,
    Terms,
)
from securefl.secagg.offers import offer, offers_to
from securefl.secagg.policy import check_terms
from securefl.secagg.roster import Roster
from securefl.secagg.states import Advertised, Holding, PairSecret, Revealed, Shared, SharePair

_SEED_BYTES = 32
_PROBE = AgreementKey.from_bytes(bytes(range(32)))


def advertise(
    member: Member, drawn: Revealed | None, request: AdvertiseRequest
) -> tuple[Advertised, AdvertiseReply]:
    """Step 1: fresh keys for this attempt.

    Raises:
        PolicyError: the terms are looser than the member's policy, or the group was not drawn.
    """
    terms = request.terms
    if not terms.masking:
        raise PolicyError("expected masked terms for a key exchange, got plain ones; discard the request")
    check_terms(member.policy, member.roster, member.id, terms)
    check_group(member, drawn, terms, request.evidence)
    context = transcript.context(terms)
    stream = _stream(member, "secagg keys", terms)
    channel, mask = (key_pair(terms, stream.take(KEY_BYTES)) for _ in range(2))
    seed = stream.take(_SEED_BYTES)
    committed = transcript.seed_commitment(context, member.id, seed)
    unsigned = AdvertiseReply(member.id, channel.public, mask.public, committed, bytes(64))
    signature = member.sign("advertise", transcript.keys_message(context, unsigned))
    reply = replace(unsigned, signature=signature)
    return Advertised(terms, channel.secret, mask.secret, seed, reply), reply


def share(member: Member, state: Advertised, request: ShareRequest) -> tuple[Shared, ShareReply]:
    """Step 2: one box of shares for every holder.

    Raises:
        PeerFault: a key is not signed by its sender.
        PolicyError: the own keys are missing, keys repeat, or too few holders are left.
        ProtocolError: a signed key is unusable.
    """
    check_keys(member, state, request.keys)
    terms, context = state.terms, transcript.context(state.terms)
    sent = {reply.sender: reply for reply in request.keys}
    keys_root = root_around(
        member, terms, lambda one: transcript.keys_leaf(context, one, sent.get(one)), request.proof
    )
    keys = transcript.keys_digest(context, keys_root)
    channel, mask = key_pair(terms, state.channel_private), key_pair(terms, state.mask_private)
    mine = graph_of(terms).holders(member.id)
    holders = {one.sender: one for one in request.keys if one.sender in mine}
    stream = _stream(member, "secagg shares", terms)
    pairs = _split(state, list(holders), stream)
    offers = {
        peer: offer(mask, keys, member.id, one)
        for peer, one in holders.items()
        if offers_to(terms, member.id, peer)
    }

    def deal(holder: AdvertiseReply) -> Deal:
        peer, box = holder.sender, b""
        if peer != member.id:
            box = seal_box(channel, keys, member.id, holder, pairs[peer], stream.take(NONCE_BYTES))
        made, _ = offers.get(peer, (b"", b""))
        return Deal(peer, *hashes(keys, member.id, peer, pairs[peer]), box, made)

    deals = tuple(deal(holder) for holder in holders.values())
    root = deal_tree(terms, keys, member.id, deals)[-1][0]
    signature = member.sign("share", transcript.root_message(keys, member.id, root))
    shared = Shared(
        terms=terms,
        channel_private=state.channel_private,
        mask_private=state.mask_private,
        seed=state.seed,
        keys=request.keys,
        keys_root=keys_root,
        own_root=root,
        own=tuple(Holding(holder, pair) for holder, pair in pairs.items() if holder == member.id),
        pair_secrets=tuple(PairSecret(peer, half) for peer, (_, half) in offers.items()),
    )
    return shared, ShareReply(member.id, deals, signature)


def key_pair(terms: Terms, secret: bytes) -> KeyPair:
    """The key pair of 32 secret bytes under the agreement of a round."""
    return KeyPair(secret, terms.agreement == HYBRID)


def check_keys(member: Member, state: Advertised, keys: tuple[AdvertiseReply, ...]) -> None:
    """Return if a list of advertised keys is one that the member may share secrets under.

    Raises:
        PeerFault: a key is not signed by its sender.
        PolicyError: the own keys are missing, keys repeat, or too few holders are left.
    """
    terms, context = state.terms, transcript.context(state.terms)
    graph = graph_of(terms)
    senders = {reply.sender for reply in keys}
    if state.reply not in keys or not senders <= set(graph.around(member.id)):
        raise PolicyError("expected the own keys and those of holders only, got another list; stop")
    left = senders.intersection(graph.holders(member.id))
    if len(left) < terms.threshold:
        raise PolicyError(f"expected at least {terms.threshold} holders with keys, got {len(left)}; stop")
    publics = {public for reply in keys for public in (reply.channel_public, reply.mask_public)}
    if len(publics) != 2 * len(keys):
        raise PolicyError("expected fresh and distinct keys of every member, got a repeated one; stop")
    for reply in keys:
        check_advertised(member.roster, context, reply)


def check_advertised(roster: Roster, context: bytes, reply: AdvertiseReply) -> None:
    """Return if the keys are their sender's.

    Raises:
        PeerFault: the signature is wrong.
    """
    message = transcript.keys_message(context, reply)
    transcript.check_signature(roster, reply.sender, "advertise", message, reply.signature)


def check_usable(terms: Terms, reply: AdvertiseReply) -> None:
    """Return if both keys fit the agreement; members meet a bad one when they agree, the server asks early.

    Raises:
        PeerFault: a key is malformed or would give the all-zero secret.
    """
    for public in (reply.channel_public, reply.mask_public):
        try:
            check_public(public, terms.agreement == HYBRID)
            _PROBE.agree(public[:KEY_BYTES], b"probe")
        except ProtocolError as error:
            raise PeerFault(reply.sender, f"advertised a key that is unusable: {error}") from error


def point(terms: Terms, holder: int) -> int:
    """The holder's point in the secret sharing: its place in the group's graph, counted from 1."""
    return graph_of(terms).place[holder] + 1


def deal_tree(terms: Terms, keys: bytes, dealer: int, deals: Iterable[Deal]) -> list[list[bytes]]:
    """The hash tree over a dealer's deals, with a place for every holder that the graph gives it."""
    given = {deal.holder: deal for deal in deals}
    holders = graph_of(terms).holders(dealer)
    return tree.levels([transcript.deal_leaf(keys, dealer, holder, given.get(holder)) for holder in holders])


def root_around(
    member: Member, terms: Terms, leaf: Callable[[int], bytes], proof: tuple[bytes, ...]
) -> bytes:
    """The root of a tree over the whole group, by the leaves that the member knows and a request's proof.

    Raises:
        DecodeError: the proof has another length than the member's place needs.
    """
    graph = graph_of(terms)
    leaves = {graph.place[one]: leaf(one) for one in graph.around(member.id)}
    return tree.climb(leaves, len(graph.order), proof)


def hashes(keys: bytes, dealer: int, holder: int, pair: SharePair) -> tuple[bytes, bytes]:
    """The salted hashes of both shares: (of the mask key's, of the seed's)."""
    return (
        transcript.share_hash(keys, KEY_KIND, dealer, holder, pair.key_salt, pair.key_share),
        transcript.share_hash(keys, SEED_KIND, dealer, holder, pair.seed_salt, pair.seed_share),
    )


def _split(state: Advertised, holders: list[int], stream: Stream) -> dict[int, SharePair]:
    terms = state.terms
    points = {holder: point(terms, holder) for holder in holders}
    key_shares = split(state.mask_private, terms.threshold, list(points.values()), stream)
    seed_shares = split(state.seed, terms.threshold, list(points.values()), stream)
    return {
        holder: SharePair(key_shares[x], seed_shares[x], stream.take(SALT_BYTES), stream.take(SALT_BYTES))
        for holder, x in points.items()
    }


def _stream(member: Member, purpose: str, terms: Terms) -> Stream:
    return member.randomness.stream(purpose, terms.task.hex(), member.id, terms.round, terms.attempt)
