"""Rounds without a wire, where nothing is masked: the same contributions, sums and server step.

Rules kept here:
- Each client's ring words come from the very contribution that a real run would ask, and the group sums go
  through the server's own step (`federation.advance`). Only signatures, messages and the ledger are left
  out, so many rounds are cheap.
- Nobody drops out. Groups are dealt by id and stay for the whole run; what a draw's seed would decide beyond
  them (the order of buckets) follows from the public seed.

What this file does NOT do: stand in for masking. A config with masking on is played by the real process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from securefl.errors import RoundAbandoned
from securefl.federation.broadcast import broadcast
from securefl.federation.contribution import Contributed, Contribution, Words
from securefl.federation.optimizer import Vector
from securefl.federation.server import Setting, State, advance, initial_state
from securefl.secagg import NO_DRAW, Draw, GroupOutcome

Groups = tuple[tuple[int, ...], ...]


def dealt(clients: int, groups: int) -> Groups:
    """Clients 0, 1, ... dealt out to groups like cards.

    Example:
        >>> dealt(5, 2)
        ((0, 2, 4), (1, 3))
    """
    return tuple(tuple(range(group, clients, groups)) for group in range(groups))


def open_state(setting: Setting, model: Vector, groups: Groups) -> State:
    """The state before the first open round: these groups, drawn by nobody."""
    seed = hashlib.sha256(b"securefl open rounds " + setting.seed.to_bytes(8, "big")).digest()
    draw = Draw(seed, groups, withheld=(), redraws=0, absent=(), evidence=NO_DRAW)
    return replace(initial_state(setting, model), draw=draw)


def open_round(
    setting: Setting, state: State, contributions: Mapping[int, Contribution]
) -> tuple[State, bool]:
    """One round in the open, from an `open_state` on; the state after it, and whether it was done."""
    model, round = broadcast(state.model, state.clip), state.round + 1
    groups = () if state.draw is None else state.draw.groups
    outcomes = tuple(
        _outcome(at, group, [_words(contributions[client](model, round)) for client in group], setting)
        for at, group in enumerate(groups)
    )
    try:
        return advance(setting, state, outcomes), True
    except RoundAbandoned:
        return replace(state, round=round), False


def _words(made: Words | Contributed) -> Words:
    # `building.local_update` gives none with a memory: here is no store for it.
    assert not isinstance(made, Contributed)  # noqa: S101
    return made


def _outcome(at: int, group: tuple[int, ...], vectors: Sequence[Words], setting: Setting) -> GroupOutcome:
    total = np.zeros(setting.encoding.length, dtype=setting.encoding.dtype)
    for words in vectors:
        total += words
    total &= setting.encoding.dtype((1 << setting.encoding.ring_bits) - 1)
    return GroupOutcome(at, group, group, total, None, (), {}, {}, ())
