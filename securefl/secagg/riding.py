"""The next round's key exchange riding on this round's last one: four exchanges per round instead of five.

Keys depend on nothing that a round computes, only on its terms, and an epoch's groups are fixed: so they may
be asked for early. The two requests stay two steps of two slots; here they only share an envelope.

Rules kept here:
- An envelope holds whole requests, or whole replies, each of which is judged by itself; one may be missing
  from a reply.
- Who has no keys yet when its round begins (absent, late, or the round is a repetition) is asked then.

What this file does NOT do: decide when to ride (`securefl.federation.server`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from securefl.errors import DecodeError
from securefl.secagg.codec import Format
from securefl.secagg.messages import Vector

if TYPE_CHECKING:
    from securefl.secagg.session import RoundPlan


@dataclass
class Riding:
    """Key messages of a coming round, gathered on the way.

    Attributes:
        plan: the coming round.
        keys: reply bytes by client, filled while the round before it ends.
    """

    plan: RoundPlan
    keys: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Envelope:
    first: Vector
    second: Vector


_FORMAT = Format(magic=b"SFRD", kinds={1: _Envelope})


def join(parts: Sequence[bytes]) -> bytes:
    """One message of two; an empty part stands for one that is missing."""
    first, second = parts
    return _FORMAT.to_bytes(_Envelope(first, second))


def split(data: bytes) -> tuple[bytes, ...]:
    """The parts of a message: two of an envelope, else the message itself.

    Raises:
        DecodeError: a malformed envelope.
    """
    if not data.startswith(_FORMAT.magic):
        return (data,)
    envelope = _FORMAT.from_bytes(data)
    assert isinstance(envelope, _Envelope)  # noqa: S101 - the format has no other record
    parts = bytes(envelope.first), bytes(envelope.second)
    if any(part.startswith(_FORMAT.magic) for part in parts):
        raise DecodeError("expected messages in an envelope, got another envelope; discard it")
    return parts
