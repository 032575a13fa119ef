"""The server between two steps: one frozen type per stage of a group's round.

    Advertising -> Sharing -> Masking -> Confirming -> Unmasking -> Summed

Rules kept here: no stage has a place for one member's vector, masked or not; from `Confirming` on there
is their sum. Shares are here only in sealed boxes.

What this file does NOT do: move from one stage to the next (`server`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securefl.secagg import transcript, tree
from securefl.secagg.collect import Blame
from securefl.secagg.graph import graph_of
from securefl.secagg.masking import Words
from securefl.secagg.messages import AdvertiseReply, ConfirmReply, DrawEvidence, ShareReply, Terms
from securefl.secagg.roster import Roster
from securefl.secagg.setup import deal_tree


@dataclass(frozen=True)
class Group:
    """What stays the same for a group during a round."""

    terms: Terms
    roster: Roster
    evidence: DrawEvidence
    model: bytes

    @property
    def slot(self) -> bytes:
        """The slot that every request of the round carries."""
        return transcript.slot(self.terms.task, self.terms.round, self.terms.attempt)


@dataclass(frozen=True)
class Advertising:
    """Before the keys; `early` are those that came with the previous round's last answers."""

    group: Group
    blame: Blame
    early: Mapping[int, bytes]


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

    @property
    def dealers(self) -> tuple[int, ...]:
        """Who shared secrets: their masks may be in the total, so each of them has to be resolved."""
        return tuple(reply.sender for reply in self.shares)


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


def keys_tree(group: Group, keys: tuple[AdvertiseReply, ...]) -> list[list[bytes]]:
    """The hash tree over all key messages of a group, absent members included."""
    context, sent = transcript.context(group.terms), {reply.sender: reply for reply in keys}
    return tree.levels(
        [transcript.keys_leaf(context, one, sent.get(one)) for one in graph_of(group.terms).order]
    )


def keys_digest(group: Group, keys: tuple[AdvertiseReply, ...]) -> bytes:
    """The digest of all key messages of a group."""
    return transcript.keys_digest(transcript.context(group.terms), keys_tree(group, keys)[-1][0])


def dealers_tree(group: Group, keys: bytes, shares: tuple[ShareReply, ...]) -> list[list[bytes]]:
    """The hash tree over all dealers' roots, absent members included."""
    roots = {one.sender: deal_tree(group.terms, keys, one.sender, one.deals)[-1][0] for one in shares}
    return tree.levels(
        [transcript.dealer_leaf(keys, one, roots.get(one)) for one in graph_of(group.terms).order]
    )
