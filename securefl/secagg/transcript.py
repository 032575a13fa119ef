"""What every hash, label and signature of the protocol is bound to.

    slot     = task, round, attempt                     names one attempt at one round
    context  = the group's terms                        bound by keys and shares
    keys     = context, all advertised keys             bound by shares and their boxes
    session  = keys, dealers' share roots, model hash   bound by masks, vectors, confirmations, openings

The terms hold version, task, config, roster, round, attempt, group, members, threshold, corruption
bound, ring and group seed; so the session digest holds all of them too.

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


def keys_digest(context: bytes, keys: Iterable[AdvertiseReply]) -> bytes:
    """The digest of all key messages."""
    return digest("keys", context, *(record_to_bytes(reply) for reply in keys))


def seed_commitment(context: bytes, dealer: int, seed: bytes) -> bytes:
    """Commits a dealer to its self-mask seed."""
    return digest("seed commitment", context, number(dealer), seed)


def share_hash(keys: bytes, kind: int, dealer: int, holder: int, salt: bytes, share: bytes) -> bytes:
    """The salted hash of one share that its dealer signs."""
    return digest("share", keys, number(kind), number(dealer), number(holder), salt, share)


def deal_leaf(keys: bytes, dealer: int, deal: Deal) -> bytes:
    """A deal as a leaf of its dealer's hash tree; the box is bound too."""
    box = hashlib.sha256(deal.box).digest()
    return digest("deal", keys, number(dealer), number(deal.holder), deal.key_hash, deal.seed_hash, box)


def root_message(keys: bytes, dealer: int, root: bytes) -> bytes:
    """What a dealer signs."""
    return digest("deals message", keys, number(dealer), root)


def box_data(keys: bytes, dealer: int, holder: int) -> bytes:
    """Associated data of a share box and label of its one-message key."""
    return digest("box", keys, number(dealer), number(holder))


def session(keys: bytes, roots: Iterable[tuple[int, bytes]], model: bytes) -> bytes:
    """The session digest: keys, the dealers and their roots, and the hash of the global model."""
    dealers = digest("dealers", *(number(dealer) + root for dealer, root in roots))
    return digest("session", keys, dealers, hashlib.sha256(model).digest())


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
