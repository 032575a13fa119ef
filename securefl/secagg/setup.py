"""A member's first two steps: advertise fresh keys, then share both secrets among the group.

    advertise  channel pair (never shared), mask pair, commitment to the self-mask seed
    share      mask key and self-mask seed, t of k, one sealed box per holder, salted hashes signed

Rules kept here:
- Both key pairs and the seed are fresh in every attempt.
- Nothing is shared before every key of the group verifies under its pinned identity, is distinct from
  all others, and at least t of them are there.
- Every share has its own salted hash, and one signature covers all deals of a dealer: a holder checks
  its deal on receipt, the server checks openings against it. A box has its own key and is used once.

What this file does NOT do: training or masking (`masking`).

Reference: Bonawitz et al. 2017, figure 4, rounds 0 and 1.
"""

from __future__ import annotations

from securefl.crypto import AgreementKey, Stream, seal, split
from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.draw import check_group
from securefl.secagg.member import Member
from securefl.secagg.messages import (
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
from securefl.secagg.policy import check_terms
from securefl.secagg.roster import Roster
from securefl.secagg.states import Advertised, Shared, SharePair

_SEED_BYTES = 32
_NONCE_BYTES = 12
_PROBE = AgreementKey.from_bytes(bytes(range(32)))


def advertise(member: Member, request: AdvertiseRequest) -> tuple[Advertised, AdvertiseReply]:
    """Step 1: fresh keys for this attempt.

    Raises:
        PolicyError: the terms are looser than the member's policy, or the group was not drawn.
    """
    terms = request.terms
    if not terms.masking:
        raise PolicyError("expected masked terms for a key exchange, got plain ones; discard the request")
    check_terms(member.policy, member.roster, member.id, terms)
    check_group(member, terms, request.evidence)
    context = transcript.context(terms)
    stream = _stream(member, "secagg keys", terms)
    channel, mask = AgreementKey.generate(stream), AgreementKey.generate(stream)
    seed = stream.take(_SEED_BYTES)
    unsigned = AdvertiseReply(
        sender=member.id,
        channel_public=channel.public,
        mask_public=mask.public,
        seed_commitment=transcript.seed_commitment(context, member.id, seed),
        signature=bytes(64),
    )
    reply = AdvertiseReply(
        unsigned.sender,
        unsigned.channel_public,
        unsigned.mask_public,
        unsigned.seed_commitment,
        member.sign("advertise", transcript.keys_message(context, unsigned)),
    )
    return Advertised(terms, channel.private_bytes, mask.private_bytes, seed, reply), reply


def share(member: Member, state: Advertised, request: ShareRequest) -> tuple[Shared, ShareReply]:
    """Step 2: one box of shares for every holder.

    Raises:
        PeerFault: a key is not signed by its sender.
        PolicyError: the own keys are missing, keys repeat, or too few members are left.
        ProtocolError: a signed key is unusable.
    """
    check_keys(member, state, request.keys)
    terms, context = state.terms, transcript.context(state.terms)
    keys = transcript.keys_digest(context, request.keys)
    stream = _stream(member, "secagg shares", terms)
    pairs = _split(state, request.keys, stream)
    channel = AgreementKey.from_bytes(state.channel_private)
    deals = []
    for peer in request.keys:
        box = b""
        if peer.sender != member.id:
            data = transcript.box_data(keys, member.id, peer.sender)
            key = channel.agree(peer.channel_public, data)
            box = seal(key, record_to_bytes(pairs[peer.sender]), data, stream.take(_NONCE_BYTES))
        deals.append(_deal(keys, member.id, peer.sender, pairs[peer.sender], box))
    root = tree.levels([transcript.deal_leaf(keys, member.id, deal) for deal in deals])[-1][0]
    signature = member.sign("share", transcript.root_message(keys, member.id, root))
    shared = Shared(
        terms=terms,
        channel_private=state.channel_private,
        mask_private=state.mask_private,
        seed=state.seed,
        keys=request.keys,
        own_root=root,
        own_pair=pairs[member.id],
    )
    return shared, ShareReply(member.id, tuple(deals), signature)


def check_keys(member: Member, state: Advertised, keys: tuple[AdvertiseReply, ...]) -> None:
    """Return if a list of advertised keys is one that the member may share secrets under.

    Raises:
        PeerFault: a key is not signed by its sender.
        PolicyError: the own keys are missing, keys repeat, or too few members are left.
    """
    terms, context = state.terms, transcript.context(state.terms)
    senders = {reply.sender for reply in keys}
    if state.reply not in keys or not senders <= set(terms.members):
        raise PolicyError("expected the own keys among those of the group's members, got another list; stop")
    if len(keys) < terms.threshold:
        raise PolicyError(f"expected at least {terms.threshold} members with keys, got {len(keys)}; stop")
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


def check_usable(reply: AdvertiseReply) -> None:
    """Return if both keys have full order; members meet a bad one when they agree, the server asks early.

    Raises:
        PeerFault: a key would give the all-zero secret.
    """
    for public in (reply.channel_public, reply.mask_public):
        try:
            _PROBE.agree(public, b"probe")
        except ProtocolError as error:
            raise PeerFault(reply.sender, f"advertised a key that is unusable: {error}") from error


def point(terms: Terms, holder: int) -> int:
    """The holder's point in the secret sharing: its place in the group, counted from 1."""
    return terms.members.index(holder) + 1


def hashes(keys: bytes, dealer: int, holder: int, pair: SharePair) -> tuple[bytes, bytes]:
    """The salted hashes of both shares: (of the mask key's, of the seed's)."""
    return (
        transcript.share_hash(keys, KEY_KIND, dealer, holder, pair.key_salt, pair.key_share),
        transcript.share_hash(keys, SEED_KIND, dealer, holder, pair.seed_salt, pair.seed_share),
    )


def _split(state: Advertised, keys: tuple[AdvertiseReply, ...], stream: Stream) -> dict[int, SharePair]:
    terms = state.terms
    points = {reply.sender: point(terms, reply.sender) for reply in keys}
    key_shares = split(state.mask_private, terms.threshold, list(points.values()), stream)
    seed_shares = split(state.seed, terms.threshold, list(points.values()), stream)
    return {
        holder: SharePair(key_shares[x], seed_shares[x], stream.take(SALT_BYTES), stream.take(SALT_BYTES))
        for holder, x in points.items()
    }


def _deal(keys: bytes, dealer: int, holder: int, pair: SharePair, box: bytes) -> Deal:
    key_hash, seed_hash = hashes(keys, dealer, holder, pair)
    return Deal(holder, key_hash, seed_hash, box)


def _stream(member: Member, purpose: str, terms: Terms) -> Stream:
    return member.randomness.stream(purpose, terms.task.hex(), member.id, terms.round, terms.attempt)
