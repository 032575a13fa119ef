"""The server between two steps: one frozen type per stage of a group's round.

    Advertising -> Sharing -> Masking -> Confirming -> Unmasking -> Summed

Rules kept here: no stage has a place for one member's vector, masked or not; from `Confirming` on there
is their sum. Shares are here only in sealed boxes.

What this file does NOT do: move from one stage to the next (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass

from securefl.secagg import transcript
from securefl.secagg.collect import Blame
from securefl.secagg.masking import Words
from securefl.secagg.messages import AdvertiseReply, ConfirmReply, ShareReply, Terms
from securefl.secagg.roster import Roster


@dataclass(frozen=True)
class Group:
    """What stays the same for a group during a round."""

    terms: Terms
    roster: Roster
    evidence: bytes
    model: bytes

    @property
    def slot(self) -> bytes:
        """The slot that every request of the round carries."""
        return transcript.slot(self.terms.task, self.terms.round, self.terms.attempt)


@dataclass(frozen=True)
class Advertising:
    """Before the keys."""

    group: Group
    blame: Blame


@dataclass(frozen=True)
class Sharing:
    """With everybody's keys."""

    group: Group
    blame: Blame
    keys: tuple[AdvertiseReply, ...]


@dataclass(frozen=True)
class Masking:
    """With everybody's sealed shares."""

    group: Group
    blame: Blame
    keys: tuple[AdvertiseReply, ...]
    shares: tuple[ShareReply, ...]


@dataclass(frozen=True)
class Confirming:
    """With the sum of the masked vectors."""

    group: Group
    blame: Blame
    keys: tuple[AdvertiseReply, ...]
    shares: tuple[ShareReply, ...]
    session: bytes
    survivors: tuple[int, ...]
    total: Words


@dataclass(frozen=True)
class Unmasking:
    """With at least t signatures over the survivors."""

    confirming: Confirming
    blame: Blame
    confirmations: tuple[ConfirmReply, ...]

    @property
    def group(self) -> Group:
        """The group of the round."""
        return self.confirming.group


@dataclass(frozen=True)
class Summed:
    """With the exact sum."""

    group: Group
    blame: Blame
    survivors: tuple[int, ...]
    total: Words


def keys_digest(group: Group, keys: tuple[AdvertiseReply, ...]) -> bytes:
    """The digest of all key messages of a group."""
    return transcript.keys_digest(transcript.context(group.terms), keys)
