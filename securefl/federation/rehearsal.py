"""What a round costs in bytes, measured by playing one group of the real protocol on zeros.

Rules kept here: the numbers come from the messages themselves, not from a formula beside them. What a
vector and a model add is their own size; what each further client of the draw adds to its evidence is
the difference between two small draws, because every field of it has a fixed width. The draw itself,
once per epoch, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from securefl.crypto import Identity, Randomness, SystemRandomness
from securefl.encoding import Encoding, FixedPoint
from securefl.federation.broadcast import broadcast_bytes
from securefl.federation.contribution import Words
from securefl.federation.enrolment import Enrolment, enrol
from securefl.secagg import (
    EpochPlan,
    Exchange,
    Member,
    Policy,
    Roster,
    RoundPlan,
    aggregate,
    draw_groups,
    join,
    respond,
    step_of,
)
from securefl.secagg.codec import record_to_bytes

_DIGEST = bytes(32)
_LARGEST = 96


@dataclass(frozen=True)
class Traffic:
    """Bytes of one client in one round without dropouts.

    Attributes:
        up: bytes that a client sends.
        down: bytes that it receives.
        vector: of `up`, the packed ring vector.
        model: of `down`, the model, and the clip where it moves.
        measured_members: clients in the group that was played.
    """

    up: int
    down: int
    vector: int
    model: int
    measured_members: int

    def kinds(self) -> dict[str, int]:
        """Bytes by kind of message. The draw of groups comes on top, once per epoch."""
        return {
            "model down": self.model,
            "protocol down": self.down - self.model,
            "masked vector up": self.vector,
            "protocol up": self.up - self.vector,
        }


@dataclass(frozen=True)
class Grouping:
    """What a group is like; the fields are those of a `RoundPlan` and of a `Policy`."""

    members: int
    threshold: int | None
    colluding: int
    max_dropout: Fraction | None
    agreement: int
    masking: bool
    epoch_rounds: int


def rehearse(encoding: Encoding, grouping: Grouping, cohort: int, parameters: int | None = None) -> Traffic:
    """Plays one group of the protocol and counts.

    Args:
        encoding: the ring of the vectors; a short stand-in vector is sent and the difference added.
        grouping: the group; a masked one above 96 members is played with 96, for a large one takes minutes.
        cohort: clients in the draw of groups; its evidence goes to everybody in every round.
        parameters: of the model, which goes down whole; as many as a vector has if None.
    """
    members = min(grouping.members, _LARGEST) if grouping.masking else grouping.members
    colluding = grouping.colluding * members // grouping.members
    played = replace(grouping, members=members, colluding=colluding)
    short = FixedPoint(clip_norm=1.0, bits=encoding.bits, dim=1, members=encoding.members)
    source = SystemRandomness()
    enrolment = enrol(max(members, 2), source)
    roster = enrolment.roster
    policy = _policy(played, roster, short)
    people = _members(enrolment, policy, source)
    drawers = _members(enrolment, replace(policy, epoch_rounds=1, draw_min=1, groups=1), source)
    outcome = aggregate(_plan(played, roster, short), b"", _exchange(people, short))[0]
    # Within an epoch the keys of the round after ride in the envelope of the last answer, instead of before.
    envelope = len(join((b"", b""))) if grouping.masking and grouping.epoch_rounds > 1 else 0
    model = broadcast_bytes(encoding, parameters)
    return Traffic(
        up=max(outcome.bytes_up.values()) + encoding.wire_bytes - short.wire_bytes + envelope,
        down=max(outcome.bytes_down.values())
        + envelope
        + model
        + _evidence_bytes(drawers, short, roster, cohort),
        vector=encoding.wire_bytes,
        model=model,
        measured_members=members,
    )


def _policy(grouping: Grouping, roster: Roster, short: FixedPoint) -> Policy:
    return Policy(
        task=_DIGEST,
        config=_DIGEST,
        authority=roster.authority,
        length=short.length,
        ring_bits=short.ring_bits,
        threshold_min=grouping.threshold,
        group_min=1,
        colluding=grouping.colluding,
        epoch_rounds=None,
        masking=grouping.masking,
        max_dropout=grouping.max_dropout,
        agreement=grouping.agreement,
    )


def _plan(grouping: Grouping, roster: Roster, short: FixedPoint) -> RoundPlan:
    return RoundPlan(
        task=_DIGEST,
        config=_DIGEST,
        roster=roster,
        round=1,
        attempt=0,
        groups=(roster.ids[: grouping.members],),
        group_seed=_DIGEST,
        threshold=grouping.threshold,
        colluding=grouping.colluding,
        length=short.length,
        ring_bits=short.ring_bits,
        masking=grouping.masking,
        max_dropout=grouping.max_dropout,
        agreement=grouping.agreement,
    )


def _members(enrolment: Enrolment, policy: Policy, source: Randomness) -> dict[int, Member]:
    return {
        client: Member(client, Identity.from_bytes(key), enrolment.roster, policy, source)
        for client, key in enrolment.keys.items()
    }


def _exchange(people: Mapping[int, Member], short: FixedPoint) -> Exchange:
    states: dict[tuple[int, bytes], bytes] = {}

    def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
        replies = {}
        for client, request in requests.items():
            step = step_of(request)
            answer = respond(people[client], states.get((client, step.after)), request, zeros)
            states[client, step.context], replies[client] = answer.state, answer.reply
        return replies

    def zeros(model: bytes, round: int) -> Words:
        return np.zeros(short.length, dtype=short.dtype)

    return exchange


def _evidence_bytes(drawers: Mapping[int, Member], short: FixedPoint, roster: Roster, cohort: int) -> int:
    """What the evidence of a draw among `cohort` clients adds to none, from draws among one and among two."""

    def drawn(clients: int) -> int:
        plan = EpochPlan(_DIGEST, _DIGEST, roster, 1, roster.ids[:clients], groups=1, max_redraws=0)
        return len(record_to_bytes(draw_groups(plan, _exchange(drawers, short)).evidence))

    one, two = drawn(1), drawn(2)
    return cohort * (two - one)
