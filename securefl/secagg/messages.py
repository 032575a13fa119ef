"""The messages of the masked sum: a closed union, and the only bytes that cross the trust boundary.

They cross it one by one, or two together in an envelope that has a format of its own (`riding`). There is
one request and one reply per step. Requests of a running round carry its slot (task, round, attempt);
replies carry their sender and a signature under the step's own domain, over the context digest
(advertise, share) or the session digest (from the masked vector on).

Rules kept here:
- There is no message that holds both lists, alive and dead: a consistency request is ONE list of
  survivors, and an unmask reply maps each dealer to one share (`Many` refuses a dealer listed twice).
- There is no message with a plain update in a masked round: a vector travels in `MaskReply`, or in
  `PlainReply` where the member's own policy has masking switched off.

What this file does NOT do: verify anything (`transcript`, and the step that receives the message).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from securefl.crypto.kem import KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES
from securefl.crypto.keys import KEY_BYTES, SIGNATURE_BYTES
from securefl.crypto.seal import OVERHEAD_BYTES
from securefl.crypto.shamir import SHARE_BYTES
from securefl.secagg.codec import Blob, Fixed, Format, Many, Uint

MAX_COMPLETE = 64
"""Largest group in which every pair of members shares a mask; above, neighbours on a ring do."""
MAX_MEMBERS = 1 << 14
MAX_PROOF = 1 << 14
SALT_BYTES = 16
X25519, HYBRID = 0, 1
"""Key agreements: X25519 alone, or with ML-KEM-768 beside it."""
MAX_BLOB_BYTES = (1 << 32) - 1

ClientId = Annotated[int, Uint(4)]
Number = Annotated[int, Uint(4)]
Small = Annotated[int, Uint(1)]
Digest = Annotated[bytes, Fixed(32)]
Key = Annotated[bytes, Fixed(KEY_BYTES)]
Public = Annotated[bytes, Blob(KEY_BYTES + KEM_PUBLIC_BYTES)]
Box = Annotated[bytes, Blob(256 + KEM_CIPHERTEXT_BYTES)]
Proof = Annotated[tuple[Digest, ...], Many(MAX_PROOF, sequence=True)]
Signature = Annotated[bytes, Fixed(SIGNATURE_BYTES)]
Share = Annotated[bytes, Fixed(SHARE_BYTES)]
Salt = Annotated[bytes, Fixed(SALT_BYTES)]
Vector = Annotated[bytes, Blob(MAX_BLOB_BYTES)]
Members = Annotated[tuple[ClientId, ...], Many(MAX_MEMBERS)]

SEED_KIND = 1
"""A share of a survivor's self-mask seed."""
KEY_KIND = 2
"""A share of a dropped member's mask key."""


# The draw of groups ------------------------------------------------------------------------------


@dataclass(frozen=True)
class DrawTerms:
    """What a draw is about. `epoch` is the number of the first round that the groups are for."""

    task: Digest
    config: Digest
    roster: Digest
    epoch: Number
    redraw: Number
    groups: Number
    candidates: Members


@dataclass(frozen=True)
class CommitRequest:
    """Asks a candidate to commit to 32 random bytes."""

    terms: DrawTerms


@dataclass(frozen=True)
class CommitReply:
    """A commitment to this sender's random bytes."""

    sender: ClientId
    commitment: Digest
    signature: Signature


@dataclass(frozen=True)
class RevealRequest:
    """Shows everybody's commitments and asks for the committed bytes."""

    slot: Digest
    epoch: Number
    redraw: Number
    commits: Annotated[tuple[CommitReply, ...], Many(MAX_MEMBERS)]


@dataclass(frozen=True)
class RevealReply:
    """The committed bytes; the signature covers the whole list of commitments."""

    sender: ClientId
    value: Digest
    signature: Signature


@dataclass(frozen=True)
class Contribution:
    """What one candidate put into a draw."""

    sender: ClientId
    value: Digest


@dataclass(frozen=True)
class DrawEvidence:
    """A finished draw, for whoever took part in it: it holds the values against the commitments it signed."""

    epoch: Number
    redraw: Number
    values: Annotated[tuple[Contribution, ...], Many(MAX_MEMBERS)]


NO_DRAW = DrawEvidence(0, 0, ())
"""Where the members' policy does not ask for a draw."""


# The round ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What one group's sum is about; hashed into the context digest.

    `holders`, `threshold` and `survivors` are the graph's k, t and fewest members in a sum; `masking` is 0
    or 1.
    """

    task: Digest
    config: Digest
    roster: Digest
    round: Number
    attempt: Number
    group: Number
    members: Members
    holders: Number
    threshold: Number
    survivors: Number
    colluding: Number
    agreement: Small
    length: Number
    ring_bits: Small
    masking: Small
    group_seed: Digest


@dataclass(frozen=True)
class AdvertiseRequest:
    """Opens a round: its terms and the evidence that the group was drawn."""

    terms: Terms
    evidence: DrawEvidence


@dataclass(frozen=True)
class AdvertiseReply:
    """Two fresh public keys and a commitment to the self-mask seed."""

    sender: ClientId
    channel_public: Public
    mask_public: Public
    seed_commitment: Digest
    signature: Signature


@dataclass(frozen=True)
class ShareRequest:
    """The keys of a member and its holders, with the proof that they are among all keys of the group."""

    slot: Digest
    round: Number
    attempt: Number
    keys: Annotated[tuple[AdvertiseReply, ...], Many(MAX_MEMBERS)]
    proof: Proof


@dataclass(frozen=True)
class PairOffer:
    """The KEM half of the secret behind the mask of a pair.

    The ciphertext is for the holder; `sealed` keeps the secret for whoever rebuilds the dealer's mask key,
    for an encapsulation cannot be repeated; the signed commitment shows a wrong one in either place.
    """

    ciphertext: Annotated[bytes, Fixed(KEM_CIPHERTEXT_BYTES)]
    sealed: Annotated[bytes, Fixed(KEY_BYTES + OVERHEAD_BYTES)]
    commitment: Digest


Offer = Annotated[bytes, Blob(KEM_CIPHERTEXT_BYTES + KEY_BYTES + OVERHEAD_BYTES + 32)]


@dataclass(frozen=True)
class Deal:
    """One holder's two shares: salted hashes for all to see, the shares in a box for the holder.

    `offer` is a `PairOffer` from the lower id to the higher one under hybrid agreement, else empty.
    """

    holder: ClientId
    key_hash: Digest
    seed_hash: Digest
    box: Box
    offer: Offer


@dataclass(frozen=True)
class ShareReply:
    """A dealer's shares. The signature covers the root of a hash tree over all deals."""

    sender: ClientId
    deals: Annotated[tuple[Deal, ...], Many(MAX_MEMBERS)]
    signature: Signature


@dataclass(frozen=True)
class Delivery:
    """One dealer's deal for one holder, with the path up to the dealer's signed root."""

    dealer: ClientId
    key_hash: Digest
    seed_hash: Digest
    box: Box
    offer: Offer
    proof: Proof
    signature: Signature


@dataclass(frozen=True)
class MaskRequest:
    """The other dealers' shares for this holder, and the global model.

    `proof` shows that the dealers' roots are among those of the whole group.
    """

    slot: Digest
    round: Number
    attempt: Number
    deliveries: Annotated[tuple[Delivery, ...], Many(MAX_MEMBERS)]
    proof: Proof
    model: Vector


@dataclass(frozen=True)
class MaskReply:
    """The masked vector, packed to the bits of the ring."""

    sender: ClientId
    vector: Vector
    signature: Signature


@dataclass(frozen=True)
class ConfirmRequest:
    """The one list of survivors: whose vectors are in the sum."""

    slot: Digest
    round: Number
    attempt: Number
    survivors: Members


@dataclass(frozen=True)
class ConfirmReply:
    """The sender's signature over session and survivors."""

    sender: ClientId
    signature: Signature


@dataclass(frozen=True)
class UnmaskRequest:
    """Signatures over one list of survivors, at least `threshold` by the holders of each dealer concerned."""

    slot: Digest
    round: Number
    attempt: Number
    confirmations: Annotated[tuple[ConfirmReply, ...], Many(MAX_MEMBERS)]


@dataclass(frozen=True)
class Opening:
    """One share of one dealer, with the salt that opens the dealer's hash of it."""

    dealer: ClientId
    kind: Small
    share: Share
    salt: Salt


@dataclass(frozen=True)
class UnmaskReply:
    """One share per dealer: of the seed if it survived, of the mask key if it did not."""

    sender: ClientId
    openings: Annotated[tuple[Opening, ...], Many(MAX_MEMBERS)]
    signature: Signature


@dataclass(frozen=True)
class PlainRequest:
    """Asks for an unmasked vector; refused by every member whose policy has masking on."""

    terms: Terms
    evidence: DrawEvidence
    model: Vector


@dataclass(frozen=True)
class PlainReply:
    """An unmasked vector, packed like a masked one."""

    sender: ClientId
    vector: Vector
    signature: Signature


Request = (
    CommitRequest
    | RevealRequest
    | AdvertiseRequest
    | ShareRequest
    | MaskRequest
    | ConfirmRequest
    | UnmaskRequest
    | PlainRequest
)
Reply = (
    CommitReply
    | RevealReply
    | AdvertiseReply
    | ShareReply
    | MaskReply
    | ConfirmReply
    | UnmaskReply
    | PlainReply
)
Message = Request | Reply

_FORMAT = Format(
    magic=b"SFSA",
    kinds={
        1: CommitRequest,
        2: CommitReply,
        3: RevealRequest,
        4: RevealReply,
        5: AdvertiseRequest,
        6: AdvertiseReply,
        7: ShareRequest,
        8: ShareReply,
        9: MaskRequest,
        10: MaskReply,
        11: ConfirmRequest,
        12: ConfirmReply,
        13: UnmaskRequest,
        14: UnmaskReply,
        15: PlainRequest,
        16: PlainReply,
    },
)
MESSAGE_TYPES: tuple[type, ...] = tuple(_FORMAT.kinds.values())


def to_bytes(message: Message) -> bytes:
    """The canonical bytes of a message."""
    return _FORMAT.to_bytes(message)


def from_bytes(data: bytes) -> Message:
    """The message behind canonical bytes.

    Guarantee: `from_bytes(to_bytes(m)) == m`, and `to_bytes(from_bytes(b)) == b` whenever it returns.

    Raises:
        DecodeError: anything but exactly one canonical message of this version.
    """
    return cast(Message, _FORMAT.from_bytes(data))
