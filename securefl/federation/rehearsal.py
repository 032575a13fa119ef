"""What a round costs in bytes, measured by playing one group of the real protocol on zeros.

Rules kept here: the numbers come from the messages themselves, not from a formula beside them. The
draw of groups, once per epoch, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from securefl.crypto import Identity, SystemRandomness
from securefl.encoding import FixedPoint
from securefl.federation.contribution import MODEL_DTYPE, Words
from securefl.federation.enrolment import enrol
from securefl.secagg import Member, Policy, RoundPlan, aggregate, respond

_DIGEST = bytes(32)


@dataclass(frozen=True)
class Traffic:
    """Bytes of one client in one round without dropouts.

    Attributes:
        up: bytes that a client sends.
        down: bytes that it receives.
        vector: of `up`, the packed ring vector.
    """

    up: int
    down: int
    vector: int


def rehearse(encoding: FixedPoint, members: int, threshold: int, colluding: int, masking: bool) -> Traffic:
    """Plays one group of the protocol and counts.

    Args:
        encoding: the ring of the vectors; a short stand-in vector is sent and the difference added.
        members: clients in the group.
        threshold: t.
        colluding: n_c.
        masking: whether the group is masked.
    """
    short = replace(encoding, dim=1)
    source = SystemRandomness()
    enrolment = enrol(members, source)
    roster = enrolment.roster
    policy = Policy(
        task=_DIGEST,
        config=_DIGEST,
        authority=roster.authority,
        length=short.length,
        ring_bits=short.ring_bits,
        threshold_min=threshold,
        group_min=1,
        colluding=colluding,
        epoch_rounds=None,
        masking=masking,
    )
    people = {
        client: Member(client, Identity.from_bytes(key), roster, policy, source)
        for client, key in enrolment.keys.items()
    }
    states: dict[int, bytes | None] = dict.fromkeys(people)

    def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
        replies = {}
        for client, request in requests.items():
            answer = respond(people[client], states[client], request, zeros)
            states[client], replies[client] = answer.state, answer.reply
        return replies

    def zeros(model: bytes, round: int) -> Words:
        return np.zeros(short.length, dtype=short.dtype)

    plan = RoundPlan(
        task=_DIGEST,
        config=_DIGEST,
        roster=roster,
        round=1,
        attempt=0,
        groups=(tuple(people),),
        group_seed=_DIGEST,
        threshold=threshold,
        colluding=colluding,
        length=short.length,
        ring_bits=short.ring_bits,
        masking=masking,
    )
    outcome = aggregate(plan, b"", exchange)[0]
    model_bytes = encoding.dim * MODEL_DTYPE.itemsize
    return Traffic(
        up=max(outcome.bytes_up.values()) + encoding.wire_bytes - short.wire_bytes,
        down=max(outcome.bytes_down.values()) + model_bytes,
        vector=encoding.wire_bytes,
    )
