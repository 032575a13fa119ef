"""A member between two steps: one record type per step, bytes at rest.

Rules kept here:
- Every step runs from the bytes of the state before it and nothing else, so a new process may serve
  every message.
- At rest a state is sealed under a key that only its member has, so whoever carries it cannot read it.
- A state holds only what later steps need. The mask key and the self-mask seed are gone once the
  masked vector has left; after the last step nothing secret remains.

What this file does NOT do: notice an old state in place of the latest (the owner's store of answers
does), or wipe memory: Python copies bytes as it likes, so a process image may keep old secrets until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from securefl.crypto import derive, open_sealed, seal
from securefl.crypto.seal import NONCE_BYTES
from securefl.secagg.codec import Format, Many
from securefl.secagg.messages import (
    MAX_MEMBERS,
    AdvertiseReply,
    ClientId,
    Digest,
    DrawTerms,
    Key,
    Members,
    Salt,
    Share,
    Terms,
)


@dataclass(frozen=True)
class SharePair:
    """A dealer's two shares for one holder, with the salts of their hashes."""

    key_share: Share
    seed_share: Share
    key_salt: Salt
    seed_salt: Salt


@dataclass(frozen=True)
class PairSecret:
    """The KEM half that this member encapsulated to a peer."""

    peer: ClientId
    secret: Key


@dataclass(frozen=True)
class Holding:
    """The shares that a holder keeps for one dealer."""

    dealer: ClientId
    pair: SharePair


@dataclass(frozen=True)
class Committed:
    """After the commitment of a draw."""

    terms: DrawTerms
    value: Digest


@dataclass(frozen=True)
class Revealed:
    """After the reveal of a draw: the commitments that its evidence must open."""

    terms: DrawTerms
    commits: Digest


@dataclass(frozen=True)
class Advertised:
    """After advertising keys."""

    terms: Terms
    channel_private: Key
    mask_private: Key
    seed: Digest
    reply: AdvertiseReply


@dataclass(frozen=True)
class Shared:
    """After sharing the mask key and the self-mask seed."""

    terms: Terms
    channel_private: Key
    mask_private: Key
    seed: Digest
    keys: Annotated[tuple[AdvertiseReply, ...], Many(MAX_MEMBERS)]
    keys_root: Digest
    own_root: Digest
    own: Annotated[tuple[Holding, ...], Many(1)]
    pair_secrets: Annotated[tuple[PairSecret, ...], Many(MAX_MEMBERS)]


@dataclass(frozen=True)
class Masked:
    """After the masked vector: only shares are left."""

    terms: Terms
    session: Digest
    holdings: Annotated[tuple[Holding, ...], Many(MAX_MEMBERS)]


@dataclass(frozen=True)
class Confirmed:
    """After signing ONE list of survivors; only this list can ever be opened from here."""

    terms: Terms
    session: Digest
    holdings: Annotated[tuple[Holding, ...], Many(MAX_MEMBERS)]
    survivors: Members


@dataclass(frozen=True)
class Finished:
    """After the last step of a round: nothing is left to answer."""

    terms: Terms


RoundState = Advertised | Shared | Masked | Confirmed | Finished
State = Committed | Revealed | RoundState


def named(state: RoundState) -> set[int]:
    """Whom a state speaks of: senders of keys, dealers of shares, survivors."""
    match state:
        case Shared():
            return {reply.sender for reply in state.keys} | {own.dealer for own in state.own}
        case Masked():
            return {holding.dealer for holding in state.holdings}
        case Confirmed():
            return {holding.dealer for holding in state.holdings} | set(state.survivors)
        case _:
            return set()


_FORMAT = Format(
    magic=b"SFST",
    kinds={1: Committed, 2: Revealed, 3: Advertised, 4: Shared, 5: Masked, 6: Confirmed, 7: Finished},
)
_LABEL = b"securefl/secagg/1/state"
SALT_BYTES = 32
STATE_TYPES: tuple[type, ...] = tuple(_FORMAT.kinds.values())


def state_to_bytes(state: State) -> bytes:
    """The canonical bytes of a state. They are secret: at rest they are sealed."""
    return _FORMAT.to_bytes(state)


def state_from_bytes(data: bytes) -> State:
    """The state behind `state_to_bytes`.

    Raises:
        DecodeError: not a state of this version.
    """
    return cast(State, _FORMAT.from_bytes(data))


def seal_state(state: State, key: bytes, salt: bytes) -> bytes:
    """A state at rest.

    Args:
        state: what the next step needs.
        key: 32 bytes that only the member has.
        salt: 32 bytes, fresh for every state; they key the one message of this box.

    Guarantee: without `key` a box shows the size of its state and nothing else, and no other box opens.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a state is sealed with {SALT_BYTES} bytes of salt, got {len(salt)}")
    return salt + seal(derive(key, _LABEL, salt=salt), state_to_bytes(state), _LABEL, bytes(NONCE_BYTES))


def open_state(box: bytes, key: bytes) -> State:
    """The state behind `seal_state`.

    Raises:
        ProtocolError: sealed under another key, or altered since.
        DecodeError: not a state of this version.
    """
    salt = box[:SALT_BYTES]
    return state_from_bytes(open_sealed(derive(key, _LABEL, salt=salt), box[len(salt) :], _LABEL))
