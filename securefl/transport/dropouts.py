"""Simulated dropouts: clients that vanish at a protocol step, from outside the protocol.

Rules kept here:
- A client vanishes for the rest of the round: at its step either the request or the reply is lost,
  and every later request of that round is lost too.
- The choice is a function of (seed, round, attempt, client) alone, so a resumed run meets the same
  dropouts. The seed is the public experiment seed; nothing private depends on it.

What this file does NOT do: model a real network. It exists only in simulation.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from securefl.secagg import Exchange, Step, StepId, split, step_of

POINTS = (Step.REVEAL, Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK)
"""Where a client can vanish. At REVEAL it misses the epoch's draw, or the whole of a round without one."""


@dataclass(frozen=True)
class Dropouts:
    """How many clients vanish.

    Attributes:
        rate: probability that a client vanishes in a round, in [0, 1).
        seed: the public experiment seed.
    """

    rate: float
    seed: int


@dataclass(frozen=True)
class Vanishing:
    """At which step a client vanishes, and whether its last reply is lost or the request."""

    step: int
    reply_lost: bool


def vanishing(dropouts: Dropouts, round: int, attempt: int, client: int) -> Vanishing | None:
    """Whether and where `client` vanishes in this attempt; None for the lucky ones."""
    chance = random.Random(f"{dropouts.seed}/{round}/{attempt}/{client}")  # noqa: S311 - public simulation
    if chance.random() >= dropouts.rate:
        return None
    return Vanishing(chance.choice(POINTS), chance.random() < 0.5)


def lossy(exchange: Exchange, dropouts: Dropouts) -> Exchange:
    """`exchange` with the simulated losses in front of it."""

    def deliver(requests: dict[int, bytes]) -> dict[int, bytes]:
        lost = {
            client: [_loss(dropouts, client, step_of(part)) for part in split(request)]
            for client, request in requests.items()
        }
        sent = {client: _without(request, lost[client], "request") for client, request in requests.items()}
        replies = exchange({client: request for client, request in sent.items() if request})
        left = {client: _without(reply, lost[client], "reply") for client, reply in replies.items()}
        return {client: reply for client, reply in left.items() if reply}

    return deliver


def _without(message: bytes, lost: list[str | None], what: str) -> bytes:
    """A message without what is lost of it, empty if nothing is left; riders are lost with their carrier."""
    parts = split(message)
    if lost[0] == what:
        return b""
    if len(parts) == 2 and lost[1] == what:
        return parts[0]
    return message


def _loss(dropouts: Dropouts, client: int, step: StepId) -> str | None:
    gone = vanishing(dropouts, step.round, step.attempt, client)
    if gone is None or step.step < gone.step:
        return None
    return "reply" if step.step == gone.step and gone.reply_lost else "request"
