"""The door to the masked sum: a round's plan in, one outcome per group out.

Rules kept here:
- All groups advance in lock-step: one exchange per protocol step, whatever the number of groups.
- A group that fails yields no total and a reason; the others go on. A plan that could not keep its
  promises is refused before anything is sent.
- What comes out per group is the sum over its survivors, and nothing about one member's vector.

What this file does NOT do: I/O, and divide: a mean is the caller's (`securefl.encoding`).

Reference: Bonawitz et al. 2017; Bell et al. 2020.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from securefl.errors import ConfigError, DecodeError, GroupAborted, PeerFault, ProtocolError
from securefl.secagg.collect import Blame
from securefl.secagg.draw import Exchange
from securefl.secagg.graph import Shape, shape
from securefl.secagg.masking import Words
from securefl.secagg.messages import MAX_COMPLETE, MAX_MEMBERS, NO_DRAW, X25519, DrawEvidence, Terms
from securefl.secagg.plain import plain_requests, receive_plain
from securefl.secagg.policy import check_threshold
from securefl.secagg.riding import Riding, join, split
from securefl.secagg.roster import Roster
from securefl.secagg.server import Running, advance
from securefl.secagg.server import requests as server_requests
from securefl.secagg.stages import Advertising, Group, Summed, Unmasking


@dataclass(frozen=True)
class RoundPlan:
    """One attempt at one round, as the server plans it.

    Attributes:
        task: 32 bytes that name the task.
        config: 32 bytes, digest of the config.
        roster: the signed roster.
        round: number of the round.
        attempt: 0, and one more for every repetition; members then use fresh keys and train afresh.
        groups: members of each group; a group's place is its number in the draw.
        group_seed: 32 bytes, seed of the draw.
        threshold: t, shares needed to unmask a group of at most 64; None for the smallest safe one. In larger
            groups it follows from the group.
        colluding: n_c, members of a group assumed to collude with the server.
        length: coordinates of a vector.
        ring_bits: bits per coordinate.
        masking: False only where the members' own policy has masking switched off.
        evidence: `Draw.evidence`; NO_DRAW only where the members' policy does not ask for a draw.
        max_dropout: largest part of a group that may be missing from its sum; None for no bound but t, which
            is possible up to 64 members only.
        agreement: X25519 or HYBRID.
        survivors_min: fewest members of a sum, however small the group was drawn.
    """

    task: bytes
    config: bytes
    roster: Roster
    round: int
    attempt: int
    groups: tuple[tuple[int, ...], ...]
    group_seed: bytes
    threshold: int | None
    colluding: int
    length: int
    ring_bits: int
    masking: bool
    evidence: DrawEvidence = NO_DRAW
    max_dropout: Fraction | None = None
    agreement: int = X25519
    survivors_min: int = 1

    def shape(self, members: int) -> Shape:
        """The numbers of a group's graph.

        Raises:
            ConfigError: so many members cannot keep what the plan promises.
        """
        if not self.masking:
            return Shape(members, 1, 1)
        own = shape(members, self.threshold, self.colluding, self.max_dropout)
        return replace(own, survivors=max(own.survivors, self.survivors_min))


@dataclass(frozen=True)
class GroupOutcome:
    """What the server learns of one group.

    Attributes:
        group: the group's number.
        members: who was planned.
        survivors: whose vectors are in the total; empty without one.
        total: the sum modulo 2^ring_bits, or None.
        failure: why there is no total, or None.
        blamed: members that provably sent something wrong, ascending.
        bytes_up: bytes received, by client.
        bytes_down: bytes sent, by client.
        faults: (member, what it did), for the log.

    Shapes: total (length,).
    """

    group: int
    members: tuple[int, ...]
    survivors: tuple[int, ...]
    total: Words | None
    failure: str | None
    blamed: tuple[int, ...]
    bytes_up: dict[int, int]
    bytes_down: dict[int, int]
    faults: Blame = ()


def aggregate(
    plan: RoundPlan,
    model: bytes,
    exchange: Exchange,
    *,
    early: Riding | None = None,
    ahead: Riding | None = None,
) -> tuple[GroupOutcome, ...]:
    """Play one round and return every group's outcome, in the order of the plan.

    Args:
        plan: who sums what, under which terms.
        model: the global model, sent to everybody and bound into every signature.
        exchange: requests by client in, replies by client out; a missing reply is a dropout.
        early: this round's keys, as far as they rode on the round before; ignored if they are for another
            plan.
        ahead: the coming round, whose keys ride on this round's last exchange; its `keys` are filled.

    Guarantee: a total is the exact sum, modulo 2^ring_bits, of what the survivors contributed if they
    follow the protocol, whoever else drops out, lies or tampers; otherwise there is none. Members that
    do not follow it can spoil their own group's total, and no other's.

    Raises:
        ConfigError: the plan breaks a rule that every member would refuse.
    """
    _check_plan(plan)
    talk = _Talk(exchange)
    keys = early.keys if early is not None and early.plan == plan else {}
    states: dict[int, _State] = {index: _start(plan, model, index, keys) for index in range(len(plan.groups))}
    while running := {index: state for index, state in states.items() if not isinstance(state, _Ended)}:
        sent = {index: _requests(state) for index, state in running.items()}
        batch = {client: data for part in sent.values() for client, data in part.items()}
        passengers = _passengers(ahead, running)
        replies = talk.send(batch, passengers)
        if ahead is not None:
            ahead.keys.update(talk.landed)
        for index, state in running.items():
            heard = {client: replies[client] for client in sent[index] if client in replies}
            states[index] = _advance(state, heard)
    return tuple(_outcome(plan, index, state, talk) for index, state in states.items())


@dataclass(frozen=True)
class _Failed:
    reason: str
    blame: Blame


@dataclass(frozen=True)
class _Plain:
    group: Group
    blame: Blame = ()


_Ended = Summed | _Failed
_State = Running | _Plain | Summed | _Failed


@dataclass
class _Talk:
    """An exchange that counts bytes by client."""

    exchange: Exchange
    up: Counter[int] = field(default_factory=Counter)
    down: Counter[int] = field(default_factory=Counter)
    landed: dict[int, bytes] = field(default_factory=dict)

    def send(self, batch: dict[int, bytes], passengers: Mapping[int, bytes]) -> Mapping[int, bytes]:
        """The replies to a batch; what came back to its passengers is in `landed`."""
        batch = {
            client: join((data, passengers[client])) if client in passengers else data
            for client, data in batch.items()
        }
        if not batch:
            return {}
        self.down.update({client: len(data) for client, data in batch.items()})
        answers = {client: data for client, data in self.exchange(batch).items() if client in batch}
        self.up.update({client: len(data) for client, data in answers.items()})
        replies: dict[int, bytes] = {}
        for client, data in answers.items():
            reply, rider = _landed(data)
            if reply:
                replies[client] = reply
            if rider and client in passengers:
                self.landed[client] = rider
        return replies


def _start(plan: RoundPlan, model: bytes, index: int, early: Mapping[int, bytes]) -> _State:
    members = tuple(sorted(plan.groups[index]))
    try:
        shape = plan.shape(len(members))
    except ConfigError as error:
        return _Failed(str(error), ())
    if plan.masking and len(members) < shape.threshold:
        # A sampled cohort can leave a group too small; that is this group's bad luck, not a broken plan.
        reason = f"expected at least {shape.threshold} members in group {index}, got {len(members)}"
        return _Failed(reason, ())
    terms = Terms(
        task=plan.task,
        config=plan.config,
        roster=plan.roster.digest,
        round=plan.round,
        attempt=plan.attempt,
        group=index,
        members=members,
        holders=shape.holders,
        threshold=shape.threshold,
        survivors=shape.survivors,
        colluding=plan.colluding,
        agreement=plan.agreement,
        length=plan.length,
        ring_bits=plan.ring_bits,
        masking=int(plan.masking),
        group_seed=plan.group_seed,
    )
    group = Group(terms, plan.roster, plan.evidence, model)
    if not plan.masking:
        return _Plain(group)
    return Advertising(group, (), {client: early[client] for client in members if client in early})


def _passengers(ahead: Riding | None, running: Mapping[int, _State]) -> dict[int, bytes]:
    """By client: the request for the coming round's keys, where a group stands at its last exchange."""
    if ahead is None:
        return {}
    requests: dict[int, bytes] = {}
    for index, state in running.items():
        if not isinstance(state, Unmasking):
            continue
        coming = _start(ahead.plan, b"", index, {})
        if isinstance(coming, Advertising):
            requests |= server_requests(coming)
    return requests


def _landed(data: bytes) -> tuple[bytes, bytes]:
    """A reply and what rode with it; a malformed envelope is left to the step, which blames its sender."""
    try:
        parts = split(data)
    except DecodeError:
        return data, b""
    return (parts[0], parts[1]) if len(parts) == 2 else (data, b"")


def _requests(state: Running | _Plain) -> dict[int, bytes]:
    return plain_requests(state.group) if isinstance(state, _Plain) else server_requests(state)


def _advance(state: Running | _Plain, replies: Mapping[int, bytes]) -> _State:
    try:
        if isinstance(state, _Plain):
            return receive_plain(state.group, replies)
        return advance(state, replies)
    except PeerFault as fault:
        return _Failed(str(fault), (*state.blame, (fault.culprit, str(fault))))
    except GroupAborted as error:
        return _Failed(str(error), error.blame or state.blame)
    except ProtocolError as error:
        return _Failed(str(error), state.blame)


def _outcome(plan: RoundPlan, index: int, state: _State, talk: _Talk) -> GroupOutcome:
    assert isinstance(state, _Ended)  # noqa: S101 - the loop above ends when every state has
    members = tuple(sorted(plan.groups[index]))
    return GroupOutcome(
        group=index,
        members=members,
        survivors=state.survivors if isinstance(state, Summed) else (),
        total=state.total if isinstance(state, Summed) else None,
        failure=state.reason if isinstance(state, _Failed) else None,
        blamed=tuple(sorted({client for client, _ in state.blame})),
        bytes_up={client: talk.up[client] for client in members},
        bytes_down={client: talk.down[client] for client in members},
        faults=state.blame,
    )


def _check_plan(plan: RoundPlan) -> None:
    members = [client for group in plan.groups for client in group]
    strangers = set(members) - set(plan.roster.ids)
    if not members or strangers or len(set(members)) != len(members):
        raise ConfigError(
            f"expected every client of the roster in at most one group, got {len(members)} places for "
            f"{len(set(members))} clients, {len(strangers)} of them unknown"
        )
    if not 1 <= plan.ring_bits <= 64 or not 1 <= plan.length < 1 << 32:
        raise ConfigError(f"expected 1 to 64 ring bits, got {plan.ring_bits}, for {plan.length} coordinates")
    largest = max(len(group) for group in plan.groups)
    if largest > MAX_MEMBERS:
        raise ConfigError(
            f"expected at most {MAX_MEMBERS} members in a group, got {largest}; make more groups"
        )
    if not plan.masking:
        return
    if plan.evidence == NO_DRAW:
        plan.shape(largest)
    # What a draw left too few members fails by itself (`_start`): it must not end the other groups' round.
    if plan.threshold is not None and largest <= MAX_COMPLETE:
        bound = min(max(largest, plan.threshold), MAX_COMPLETE)
        check_threshold(bound, max(plan.threshold, 0), plan.colluding)
