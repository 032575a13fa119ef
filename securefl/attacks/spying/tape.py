"""What passes between server and clients, kept as it passes, and what members remember between steps.

    tape = Tape()
    process = securefl.build_federated_averaging(config, clients=lambda honest: tapped(honest, tape))

Rules kept here:
- Messages are kept as the bytes that were sent. Whoever has the tape has what an honest server has seen,
  and what a reader of unencrypted connections has seen: the two differ in nothing.
- Members' states are kept for all of them; which ones an adversary may open is for `loot` to say.

What this file does NOT do: change a message, unless `alter` says so (a server that lies).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from securefl.errors import ProtocolError
from securefl.federation.client import Client, Party, Prepared
from securefl.secagg import Step, split, step_of
from securefl.secagg.messages import (
    AdvertiseRequest,
    DrawEvidence,
    MaskRequest,
    Message,
    PlainRequest,
    Terms,
    from_bytes,
    to_bytes,
)
from securefl.secagg.states import State, open_state

Alter = Callable[[Message, int], Message]
"""(request, parameters of the model) -> what a lying server sends in its place, or the request itself."""


@dataclass
class GroupTape:
    """One group in one attempt at one round, as its messages show it.

    Attributes:
        terms: what the members were asked to take part in.
        evidence: of the draw, as it came with the terms.
        model: the global model that was sent, b"" before it was.
        replies: by step and client, the bytes.
        states: by client, what the member remembered before each later step, oldest first.
    """

    terms: Terms
    evidence: DrawEvidence
    model: bytes = b""
    replies: dict[Step, dict[int, bytes]] = field(default_factory=dict)
    states: dict[int, list[State]] = field(default_factory=dict)


class Tape:
    """All groups of all rounds, in the order in which they began."""

    def __init__(self) -> None:
        self._groups: dict[tuple[bytes, int], GroupTape] = {}
        self._place: dict[tuple[bytes, int], int] = {}

    @property
    def groups(self) -> tuple[GroupTape, ...]:
        """What has been kept."""
        return tuple(self._groups.values())

    def sent(self, client: int, request: bytes) -> None:
        """A request is on its way to `client`."""
        message, slot = from_bytes(request), step_of(request).context
        if isinstance(message, AdvertiseRequest | PlainRequest):
            terms = message.terms
            self._place[slot, client] = terms.group
            self._groups.setdefault((slot, terms.group), GroupTape(terms, message.evidence))
        group = self._of(client, slot)
        if group is not None and isinstance(message, MaskRequest | PlainRequest):
            group.model = bytes(message.model)

    def answered(self, client: int, request: bytes, reply: bytes) -> None:
        """`client` has answered."""
        step = step_of(request)
        group = self._of(client, step.context)
        if group is not None:
            group.replies.setdefault(step.step, {})[client] = reply

    def remembered(self, client: int, request: bytes, state: State) -> None:
        """What `client` knows before it answers."""
        group = self._of(client, step_of(request).context)
        if group is not None:
            group.states.setdefault(client, []).append(state)

    def _of(self, client: int, slot: bytes) -> GroupTape | None:
        place = self._place.get((slot, client))
        return None if place is None else self._groups[slot, place]


def tapped(
    honest: Mapping[int, Client], tape: Tape, alter: Alter | None = None, dim: int = 0
) -> dict[int, Party]:
    """The honest clients behind a wire that keeps, and with `alter` replaces, what passes.

    `dim` is the number of the model's parameters, which whoever alters requests knows.
    """
    return {client: _Tapped(one, tape, alter, dim) for client, one in honest.items()}


@dataclass(frozen=True)
class _Tapped:
    client: Client
    tape: Tape
    alter: Alter | None
    dim: int

    @property
    def id(self) -> int:
        return self.client.id

    def prepare(self, request: bytes) -> Prepared:
        asked = request if self.alter is None else _altered(request, self.alter, self.dim)
        parts = split(asked)
        for part in parts:
            self._listen(part)
        prepared = self.client.prepare(asked)
        for part, reply in zip(parts, split(prepared.reply), strict=False):
            self.tape.answered(self.id, part, reply)
        return prepared

    def _listen(self, part: bytes) -> None:
        self.tape.sent(self.id, part)
        step = step_of(part)
        stored = self.client.store.latest_state(self.id, step.context)
        if stored is not None:
            self.tape.remembered(self.id, part, open_state(stored, self.client.member.storage_key))


def _altered(request: bytes, alter: Alter, dim: int) -> bytes:
    if len(split(request)) > 1:
        raise ProtocolError("expected single requests to alter; play one round, in which no keys ride along")
    return to_bytes(alter(from_bytes(request), dim))
