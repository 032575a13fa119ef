"""Secure aggregation: clients' vectors in, group sums out, nothing about one client in between.

The server calls `draw_groups` once per epoch and `aggregate` once per round; a client calls `respond`
for every request. Both are functions of bytes: an `Exchange` carries them, whatever it is made of.
Nothing above this package may assume how a sum is made; a second construction fits behind this door.

Example:
    >>> import numpy as np
    >>> from securefl.crypto import Identity, SystemRandomness
    >>> source = SystemRandomness()
    >>> identities = {i: Identity.generate(source.stream("identity", i)) for i in range(3)}
    >>> operator = Identity.generate(source.stream("operator"))
    >>> roster = Roster.sign(operator, {i: identity.public for i, identity in identities.items()})
    >>> policy = Policy(task=bytes(32), config=bytes(32), authority=operator.public, length=2, ring_bits=16,
    ...     threshold_min=2, group_min=3, colluding=0, epoch_rounds=None)
    >>> members = {i: Member(i, identities[i], roster, policy, source) for i in range(3)}
    >>> states = dict.fromkeys(members)
    >>> def exchange(requests):
    ...     replies = {}
    ...     for i, request in requests.items():
    ...         vector = np.array([i, 1], np.uint32)
    ...         answer = respond(members[i], states[i], request, lambda model, round: vector)
    ...         states[i], replies[i] = answer.state, answer.reply
    ...     return replies
    >>> plan = RoundPlan(task=bytes(32), config=bytes(32), roster=roster, round=1, attempt=0,
    ...     groups=((0, 1, 2),), group_seed=bytes(32), threshold=2, colluding=0, length=2, ring_bits=16,
    ...     masking=True)
    >>> aggregate(plan, b"model", exchange)[0].total.tolist()
    [3, 3]
"""

from securefl.secagg.draw import Draw, EpochPlan, Exchange, draw_groups
from securefl.secagg.graph import Shape, shape, smallest_threshold, split_probability
from securefl.secagg.masking import Contribute, Words
from securefl.secagg.member import Member
from securefl.secagg.messages import HYBRID, MAX_COMPLETE, MAX_MEMBERS, NO_DRAW, X25519, DrawEvidence
from securefl.secagg.policy import Policy, check_threshold
from securefl.secagg.respond import Answer, Step, StepId, respond, step_of
from securefl.secagg.riding import Riding, join, split
from securefl.secagg.roster import Roster
from securefl.secagg.session import GroupOutcome, RoundPlan, aggregate

__all__ = [
    "HYBRID",
    "MAX_COMPLETE",
    "MAX_MEMBERS",
    "NO_DRAW",
    "X25519",
    "Answer",
    "Contribute",
    "Draw",
    "DrawEvidence",
    "EpochPlan",
    "Exchange",
    "GroupOutcome",
    "Member",
    "Policy",
    "Riding",
    "Roster",
    "RoundPlan",
    "Shape",
    "Step",
    "StepId",
    "Words",
    "aggregate",
    "check_threshold",
    "draw_groups",
    "join",
    "respond",
    "shape",
    "smallest_threshold",
    "split",
    "split_probability",
    "step_of",
]
