"""What an adversary has in its hands after a round: tapes, and the states of the members it runs.

Rules kept here: states are there for colluders only. Everything else follows from messages, by the
public algorithm of the server, which anybody can run on a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.spying.tape import GroupTape, Tape
from securefl.encoding import Encoding
from securefl.encoding.packing import ring_dtype, unpack
from securefl.errors import ProtocolError
from securefl.secagg import Roster, Step
from securefl.secagg.messages import MaskReply, PlainReply, Terms, from_bytes
from securefl.secagg.server import Running, advance
from securefl.secagg.stages import Advertising, Confirming, Group, Summed

Words = NDArray[np.unsignedinteger]
_STEPS = (Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK)


@dataclass(frozen=True)
class Loot:
    """What one adversary knows.

    Attributes:
        groups: tapes; states in them are the colluders' only.
        roster: public.
        encoding: public, from the config.
        classes: number of classes, public.
        colluders: members that share what they have.
    """

    groups: tuple[GroupTape, ...]
    roster: Roster
    encoding: Encoding
    classes: int
    colluders: frozenset[int] = frozenset()

    def vectors(self) -> Iterator[tuple[int, Words]]:
        """(client, words) of every vector that was sent, masked or not."""
        for group in self.groups:
            for client, data in group.replies.get(Step.MASK, {}).items():
                yield client, words_of(group.terms, data)

    def replayed(self, group: GroupTape) -> tuple[Confirming, Summed] | None:
        """The server's own states after the vectors and at the end; None if it gets no sum."""
        terms, stages = group.terms, []
        state: Running | Summed = Advertising(Group(terms, self.roster, group.evidence, group.model), (), {})
        try:
            for step in _STEPS:
                if isinstance(state, Summed):
                    break
                state = advance(state, group.replies.get(step, {}))
                stages.append(state)
        except ProtocolError:
            return None
        sent, end = stages[2], stages[-1]
        return (sent, end) if isinstance(sent, Confirming) and isinstance(end, Summed) else None


def loot_of(
    tape: Tape,
    roster: Roster,
    encoding: Encoding,
    classes: int,
    collude: Callable[[Terms], tuple[int, ...]],
) -> Loot:
    """The tape as an adversary has it whose colluders in each group are those that `collude` names."""
    groups, everybody = [], set[int]()
    for group in tape.groups:
        insiders = set(collude(group.terms))
        everybody |= insiders
        states = {client: kept for client, kept in group.states.items() if client in insiders}
        groups.append(replace(group, states=states))
    return Loot(tuple(groups), roster, encoding, classes, frozenset(everybody))


def words_of(terms: Terms, reply: bytes) -> Words:
    """The vector of a reply. Shapes: (terms.length,)."""
    message = from_bytes(reply)
    if not isinstance(message, MaskReply | PlainReply):
        raise ProtocolError(f"expected a vector, got a {type(message).__name__}")
    return unpack(message.vector, terms.ring_bits, terms.length, ring_dtype(terms.ring_bits))
