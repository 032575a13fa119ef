"""What every hash, label and signature of the protocol is bound to.

    slot     = task, round, attempt                     names one attempt at one round
    context  = the group's terms                        bound by keys and shares
    keys     = context, root over all advertised keys   bound by shares and their boxes
    session  = keys, root over all dealers' share roots, model hash
                                                        bound by masks, vectors, confirmations, openings

The terms hold version, task, config, roster, round, attempt, group, members, graph, threshold, corruption
bound, key agreement, ring and group seed; so the session digest holds all of them too. The two roots are
those of hash trees over the graph's order, with a leaf for every member that is absent: a member checks the
leaves of its holders and itself, and signs for all.

Rules kept here:
- One domain-separation tag per use; parts are length-prefixed, so no two inputs share an encoding.
- Nothing secret enters a digest except a share or a seed under its own hiding hash.

Reference: Bonawitz et al. 2017, section 6.2 and figure 4; Bell et al. 2020, section 4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from securefl.crypto import verify
from securefl.errors import PeerFault, ProtocolError
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.messages import AdvertiseReply, CommitReply, Deal, DrawTerms, Terms
from securefl.secagg.roster import Roster

_PREFIX = b"securefl/secagg/1/"


def tag(purpose: str) -> bytes:
    """The domain-separation tag of one purpose."""
    return _PREFIX + purpose.encode("ascii")


def digest(purpose: str, *parts: bytes) -> bytes:
    """SHA-256 over the purpose and length-prefixed parts."""
    state = hashlib.sha256()
    for part in (tag(purpose), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def number(value: int) -> bytes:
    """An id or counter as 4 bytes."""
    return value.to_bytes(4, "big")


def slot(task: bytes, round: int, attempt: int) -> bytes:
    """Names one attempt at one round: a client answers each step of a slot once, whatever else is asked."""
    return digest("slot", task, number(round), number(attempt))


def draw_slot(task: bytes, epoch: int, redraw: int) -> bytes:
    """Names one draw of groups, whatever its candidates: a client commits and reveals in it once."""
    return digest("draw slot", task, number(epoch), number(redraw))


def draw_context(terms: DrawTerms) -> bytes:
    """The digest that commitments and reveals are bound to."""
    return digest("draw", record_to_bytes(terms))


def commitment(context: bytes, sender: int, value: bytes) -> bytes:
    """Commits to 32 random bytes: hiding because they are uniform, binding because SHA-256 is."""
    return digest("draw commitment", context, number(sender), value)


def commits_digest(context: bytes, commits: Iterable[tuple[int, bytes]]) -> bytes:
    """The digest of all commitments of a draw, by sender."""
    return digest("draw commitments", context, *(number(sender) + value for sender, value in commits))


def commit_list(replies: Iterable[CommitReply]) -> list[tuple[int, bytes]]:
    """Senders and commitments of signed commits."""
    return [(reply.sender, reply.commitment) for reply in replies]


def context(terms: Terms) -> bytes:
    """The context digest."""
    return digest("context", record_to_bytes(terms))


def keys_message(context: bytes, reply: AdvertiseReply) -> bytes:
    """What an advertiser signs."""
    return digest(
        "keys message",
        context,
        number(reply.sender),
        reply.channel_public,
        reply.mask_public,
        reply.seed_commitment,
    )


def keys_leaf(context: bytes, member: int, reply: AdvertiseReply | None) -> bytes:
    """One member's key message in the tree over all of them; None if it advertised nothing."""
    return digest("keys leaf", context, number(member), b"" if reply is None else record_to_bytes(reply))


def keys_digest(context: bytes, root: bytes) -> bytes:
    """The digest of all key messages."""
    return digest("keys", context, root)


def seed_commitment(context: bytes, dealer: int, seed: bytes) -> bytes:
    """Commits a dealer to its self-mask seed."""
    return digest("seed commitment", context, number(dealer), seed)


def share_hash(keys: bytes, kind: int, dealer: int, holder: int, salt: bytes, share: bytes) -> bytes:
    """The salted hash of one share that its dealer signs."""
    return digest("share", keys, number(kind), number(dealer), number(holder), salt, share)


def deal_leaf(keys: bytes, dealer: int, holder: int, deal: Deal | None) -> bytes:
    """A deal as a leaf of its dealer's hash tree, box and offer included; None for a holder without keys."""
    place = digest("deal place", keys, number(dealer), number(holder))
    if deal is None:
        return digest("no deal", place)
    sealed = (hashlib.sha256(part).digest() for part in (deal.box, deal.offer))
    return digest("deal", place, deal.key_hash, deal.seed_hash, *sealed)


def root_message(keys: bytes, dealer: int, root: bytes) -> bytes:
    """What a dealer signs."""
    return digest("deals message", keys, number(dealer), root)


def box_data(keys: bytes, dealer: int, holder: int) -> bytes:
    """Associated data of a share box and label of its one-message key."""
    return digest("box", keys, number(dealer), number(holder))


def dealer_leaf(keys: bytes, member: int, root: bytes | None) -> bytes:
    """One member's root in the tree over all dealers; None if it dealt nothing."""
    return digest("dealer leaf", keys, number(member), b"" if root is None else root)


def session(keys: bytes, dealers: bytes, model: bytes) -> bytes:
    """The session digest: keys, the root over all dealers, and the hash of the global model."""
    return digest("session", keys, dealers, hashlib.sha256(model).digest())


def pair_commitment(keys: bytes, dealer: int, holder: int, secret: bytes) -> bytes:
    """Commits the dealer to the KEM half of a pair's secret: hiding because it is uniform."""
    return digest("pair commitment", keys, number(dealer), number(holder), secret)


def pair_box(keys: bytes, dealer: int, holder: int) -> bytes:
    """Associated data and key label of the KEM half that a dealer keeps sealed under its mask key."""
    return digest("pair box", keys, number(dealer), number(holder))


def plain_session(context: bytes, model: bytes) -> bytes:
    """The session digest of an unmasked round."""
    return digest("plain session", context, hashlib.sha256(model).digest())


def pair_label(session: bytes, one: int, other: int) -> bytes:
    """HKDF label of the mask that two members share in one session."""
    return digest("pair mask", session, number(min(one, other)), number(max(one, other)))


def self_label(session: bytes, member: int) -> bytes:
    """HKDF label of a member's own mask in one session."""
    return digest("self mask", session, number(member))


def vector_message(session: bytes, sender: int, vector: bytes) -> bytes:
    """What the sender of a vector signs."""
    return digest("vector", session, number(sender), hashlib.sha256(vector).digest())


def survivors_message(session: bytes, survivors: Iterable[int]) -> bytes:
    """What every survivor signs before any share is revealed: one message, the same for all."""
    return digest("survivors", session, *(number(survivor) for survivor in survivors))


def check_signature(roster: Roster, sender: int, purpose: str, message: bytes, signature: bytes) -> None:
    """Verify under the sender's pinned identity.

    Raises:
        PeerFault: the signature does not match; `culprit` is the claimed sender.
    """
    try:
        verify(roster.public(sender), tag(purpose), message, signature)
    except ProtocolError as error:
        raise PeerFault(sender, f"expected a valid {purpose} signature, got another; discard it") from error
