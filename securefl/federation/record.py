"""The round record: the unit of logging and of resuming.

Rules kept here:
- A record holds what the server may know: members, survivors, outcomes, bytes and times. No field
  depends on one client's count, loss or update.
- `simulation_only` is the one exception: it exists only where one machine plays all clients, is
  labelled by its name, and nothing reads it to decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

GroupStatus = Literal["summed", "aborted", "excluded_norm", "excluded_nonfinite", "excluded_weight"]


@dataclass(frozen=True)
class GroupRecord:
    """One group in one round: who was in it, who survived, and what became of its sum."""

    group: int
    members: tuple[int, ...]
    survivors: tuple[int, ...]
    status: GroupStatus
    failure: str | None = None
    blamed: tuple[int, ...] = ()


@dataclass(frozen=True)
class RoundRecord:
    """One round (one attempt of it) as the server saw it.

    Attributes:
        round: counted from 1.
        attempt: 0, or the number of the repetition paid from the spare releases.
        status: `done`, or `abandoned` with the model unchanged.
        reason: why it was abandoned, else None.
        groups: one record per group.
        dropped: clients of the cohort that left a request unanswered or refused it, and those that the
            epoch's draw of groups lost, who are in no group. In an epoch without groups nobody is asked
            after the draw, so only its first round has any.
        rows_used: group means that the rule combined.
        update_norm: L2 norm of the aggregated update; 0 when abandoned.
        bytes_up: bytes that each client sent in this round.
        bytes_down: bytes that each client received.
        seconds: time by phase, in seconds.
        refusals: why a client stayed silent, in its own words; its operator's, the server never gets it.
        simulation_only: what only a simulation can know.
        clip: clip of this round, where it moves; public.
        within: part of the updates within it, as noisy sums of bits tell; None when abandoned.
        cross_term: how far averaging adapters' factors apart is from averaging their products, where the
            server sees single updates; None elsewhere.
    """

    round: int
    attempt: int
    status: Literal["done", "abandoned"]
    reason: str | None
    groups: tuple[GroupRecord, ...]
    dropped: tuple[int, ...]
    rows_used: int
    update_norm: float
    bytes_up: Mapping[int, int]
    bytes_down: Mapping[int, int]
    seconds: Mapping[str, float] = field(default_factory=dict)
    refusals: Mapping[int, str] = field(default_factory=dict)
    simulation_only: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    clip: float | None = None
    within: float | None = None
    cross_term: float | None = None


def as_json(record: RoundRecord) -> dict[str, object]:
    """The record as plain JSON values (integer keys become strings)."""
    plain = asdict(record)
    for key in ("bytes_up", "bytes_down", "refusals"):
        plain[key] = {str(client): value for client, value in plain[key].items()}
    return plain
