"""Groups by commit and reveal: nobody, the server included, chooses who shares a group with whom.

    commit   every candidate sends a commitment to 32 random bytes
    reveal   everybody sees all commitments, then opens its own; the signature covers the whole list
    seed     hash over all opened values; members sorted by hash(seed, id) are dealt out like cards

Rules kept here:
- A missing or wrong reveal voids the draw: everybody recommits without the withholder, at most
  `max_redraws` times, then the draw is aborted. A withholder (or the server) thus chooses among at
  most max_redraws + 1 outcomes, and failure bounds are multiplied by that number.
- A candidate that does not commit is absent from the epoch: at that point nobody knows anything.
- A reveal signs the list of commitments, so nobody can later count a convenient subset of them.
- A member takes part in a round only from the state of its own reveal: the evidence has to open every
  commitment of the list that it signed then, for the epoch of the round, and to give the very group. Nobody
  is struck from a drawn group: who is gone drops out of it. Checking it costs hashes, no signatures: they
  were checked once, at the reveal.

What this file does NOT do: keep a server from choosing the candidates, before anybody knows the seed. The
member's policy bounds how few may contribute (`draw_min`); Sybils inside the signed roster are out of scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from securefl.errors import ConfigError, GroupAborted, PolicyError, ProtocolError
from securefl.secagg import transcript
from securefl.secagg.collect import collect
from securefl.secagg.member import Member
from securefl.secagg.messages import (
    NO_DRAW,
    CommitReply,
    CommitRequest,
    Contribution,
    DrawEvidence,
    DrawTerms,
    RevealReply,
    RevealRequest,
    Terms,
    to_bytes,
)
from securefl.secagg.policy import check_round
from securefl.secagg.roster import Roster
from securefl.secagg.states import Committed, Revealed

_VALUE_BYTES = 32
Exchange = Callable[[dict[int, bytes]], dict[int, bytes]]
"""Requests by client in, replies by client out; a missing key is a dropout."""


@dataclass(frozen=True)
class EpochPlan:
    """One epoch's draw, as the server plans it.

    Attributes:
        task: 32 bytes that name the task.
        config: 32 bytes, digest of the config.
        roster: the signed roster.
        epoch: number of the first round that the groups are for.
        candidates: who is asked.
        groups: how many groups.
        max_redraws: how often a voided draw is repeated.
    """

    task: bytes
    config: bytes
    roster: Roster
    epoch: int
    candidates: tuple[int, ...]
    groups: int
    max_redraws: int


@dataclass(frozen=True)
class Draw:
    """A finished draw.

    Attributes:
        seed: 32 bytes from all contributors.
        groups: members of each group, ascending; sizes differ by at most one.
        withheld: who committed and then withheld or falsified the reveal, in any of the draws.
        redraws: how many draws were voided.
        absent: candidates that did not commit and take no part in the epoch.
        evidence: what members need to check the draw; goes into `RoundPlan.evidence`.
    """

    seed: bytes
    groups: tuple[tuple[int, ...], ...]
    withheld: tuple[int, ...]
    redraws: int
    absent: tuple[int, ...] = ()
    evidence: DrawEvidence = NO_DRAW


# Server ------------------------------------------------------------------------------------------


def draw_groups(plan: EpochPlan, exchange: Exchange) -> Draw:
    """Draw the groups of an epoch.

    Raises:
        ConfigError: fewer candidates than groups, or a candidate outside the roster.
        GroupAborted: too few candidates committed, or too many draws were voided.
    """
    candidates = tuple(sorted(set(plan.candidates)))
    if not 1 <= plan.groups <= len(candidates) or not set(candidates) <= set(plan.roster.ids):
        raise ConfigError(f"expected roster members for {plan.groups} groups, got {len(candidates)}")
    withheld: tuple[int, ...] = ()
    for redraw in range(plan.max_redraws + 1):
        left = tuple(client for client in candidates if client not in withheld)
        terms = DrawTerms(plan.task, plan.config, plan.roster.digest, plan.epoch, redraw, plan.groups, left)
        commits, reveals = _play(plan.roster, terms, exchange)
        missing = tuple(client for client in commits if client not in reveals)
        if not missing:
            return _finish(terms, reveals, tuple(sorted(withheld)))
        withheld += missing
    raise GroupAborted(
        f"the draw of epoch {plan.epoch} was voided {plan.max_redraws + 1} times, by {sorted(withheld)}; "
        "no groups exist, so no round of this epoch can run"
    )


def _play(
    roster: Roster, terms: DrawTerms, exchange: Exchange
) -> tuple[dict[int, CommitReply], dict[int, RevealReply]]:
    context = transcript.draw_context(terms)
    request = to_bytes(CommitRequest(terms))
    replies = exchange({client: request for client in terms.candidates})
    commits, _ = collect(
        replies, terms.candidates, CommitReply, lambda reply: _check_commit(roster, context, reply)
    )
    if len(commits) < terms.groups:
        raise GroupAborted(f"expected at least {terms.groups} commitments, got {len(commits)}; draw again")
    listed = tuple(commits[client] for client in sorted(commits))
    slot = transcript.draw_slot(terms.task, terms.epoch, terms.redraw)
    request = to_bytes(RevealRequest(slot, terms.epoch, terms.redraw, listed))
    digest = transcript.commits_digest(context, transcript.commit_list(listed))

    def check(reply: RevealReply) -> None:
        _check_reveal(roster, digest, reply)
        if transcript.commitment(context, reply.sender, reply.value) != commits[reply.sender].commitment:
            raise ProtocolError("the revealed bytes are not the committed ones")

    reveals, _ = collect(exchange(dict.fromkeys(commits, request)), tuple(commits), RevealReply, check)
    return commits, reveals


def _finish(terms: DrawTerms, reveals: dict[int, RevealReply], withheld: tuple[int, ...]) -> Draw:
    values = tuple(Contribution(client, reveals[client].value) for client in sorted(reveals))
    seed = _seed(terms, values)
    return Draw(
        seed=seed,
        groups=deal(seed, tuple(sorted(reveals)), terms.groups),
        withheld=withheld,
        redraws=terms.redraw,
        absent=tuple(client for client in terms.candidates if client not in reveals),
        evidence=DrawEvidence(terms.epoch, terms.redraw, values),
    )


# Member ------------------------------------------------------------------------------------------


def commit(member: Member, request: CommitRequest) -> tuple[Committed, CommitReply]:
    """The member's commitment.

    Raises:
        PolicyError: the draw is not one that the member's policy allows.
    """
    terms = request.terms
    _check_draw(member, terms)
    least = member.policy.draw_min
    if len(terms.candidates) < least:
        raise PolicyError(f"expected at least {least} candidates, got {len(terms.candidates)}; nothing sent")
    context = transcript.draw_context(terms)
    stream = member.randomness.stream("secagg draw", terms.task.hex(), member.id, terms.epoch, terms.redraw)
    value = stream.take(_VALUE_BYTES)
    committed = transcript.commitment(context, member.id, value)
    signature = member.sign("commit", _commit_message(context, member.id, committed))
    return Committed(terms, value), CommitReply(member.id, committed, signature)


def reveal(member: Member, state: Committed, request: RevealRequest) -> tuple[Revealed, RevealReply]:
    """The member's opening of its commitment.

    Raises:
        PeerFault: a commitment is not signed by its sender.
        PolicyError: the list lacks the own commitment, is too short, or has strangers.
    """
    terms, context = state.terms, transcript.draw_context(state.terms)
    listed = transcript.commit_list(request.commits)
    if (member.id, transcript.commitment(context, member.id, state.value)) not in listed:
        raise PolicyError("expected the own commitment in the list, got another list; nothing revealed")
    least = member.policy.draw_min
    if not {sender for sender, _ in listed} <= set(terms.candidates) or len(listed) < least:
        raise PolicyError(f"expected at least {least} commitments, of candidates only, got {len(listed)}")
    for reply in request.commits:
        _check_commit(member.roster, context, reply)
    commits = transcript.commits_digest(context, listed)
    signature = member.sign("reveal", _reveal_message(commits, member.id, state.value))
    return Revealed(terms, commits), RevealReply(member.id, state.value, signature)


def check_group(member: Member, drawn: Revealed | None, terms: Terms, evidence: DrawEvidence) -> None:
    """Return if a draw that the member contributed to gave it the group of these terms.

    Raises:
        PolicyError: there is no such draw, its evidence does not open, or it gives another group.
    """
    policy = member.policy
    if policy.epoch_rounds is None:
        return
    if drawn is None:
        raise PolicyError(
            "expected a round of an epoch whose draw this member took part in, got another; stop"
        )
    first = drawn.terms.epoch
    if not first <= terms.round < first + policy.epoch_rounds:
        raise PolicyError(f"expected a draw for round {terms.round}, got one for {first} on; draw anew")
    if (evidence.epoch, evidence.redraw) != (first, drawn.terms.redraw):
        raise PolicyError("expected the evidence of the draw that this member signed, got another's; stop")
    seed, groups = _opened(drawn, evidence.values)
    if len(evidence.values) < policy.draw_min:
        raise PolicyError(
            f"expected at least {policy.draw_min} contributions, got {len(evidence.values)}; stop"
        )
    if terms.group >= len(groups) or terms.members != groups[terms.group]:
        raise PolicyError(f"expected members of the drawn group {terms.group}, got {terms.members}")
    if seed != terms.group_seed:
        raise PolicyError("expected the group seed of the draw, got another; nothing was sent")


def deal(seed: bytes, members: tuple[int, ...], groups: int) -> tuple[tuple[int, ...], ...]:
    """The groups that a seed gives: members in the order of their hashes, dealt out like cards."""
    order = sorted(members, key=lambda member: transcript.digest("deal", seed, transcript.number(member)))
    return tuple(tuple(sorted(order[group::groups])) for group in range(groups))


@lru_cache(maxsize=8)  # a pure function: the members that one process simulates check the same evidence
def _opened(drawn: Revealed, values: tuple[Contribution, ...]) -> tuple[bytes, tuple[tuple[int, ...], ...]]:
    """Seed and groups of a draw whose evidence opens all commitments that the member signed."""
    terms, context = drawn.terms, transcript.draw_context(drawn.terms)
    commits = [(one.sender, transcript.commitment(context, one.sender, one.value)) for one in values]
    if transcript.commits_digest(context, commits) != drawn.commits:
        raise PolicyError("expected values that open the commitments of the draw, got others; stop")
    seed = _seed(terms, values)
    return seed, deal(seed, tuple(one.sender for one in values), terms.groups)


def _check_draw(member: Member, terms: DrawTerms) -> None:
    policy, roster = member.policy, member.roster
    if (terms.task, terms.config, terms.roster) != (policy.task, policy.config, roster.digest):
        raise PolicyError("expected a draw for the own task, config and roster, got another; nothing sent")
    if policy.epoch_rounds is None or (terms.epoch - 1) % policy.epoch_rounds:
        raise PolicyError(f"expected epochs of {policy.epoch_rounds} rounds, got a start at {terms.epoch}")
    check_round(policy, terms.epoch)
    if terms.groups != policy.groups or terms.groups > len(terms.candidates):
        raise PolicyError(f"expected a draw of {policy.groups} groups, got {terms.groups}; nothing sent")
    if terms.redraw > policy.max_redraws:
        raise PolicyError(f"expected at most {policy.max_redraws} redraws, got {terms.redraw}; epoch lost")
    if member.id not in terms.candidates or not set(terms.candidates) <= set(roster.ids):
        raise PolicyError(f"expected roster members with {member.id} as candidates, got {terms.candidates}")


def _check_commit(roster: Roster, context: bytes, reply: CommitReply) -> None:
    message = _commit_message(context, reply.sender, reply.commitment)
    transcript.check_signature(roster, reply.sender, "commit", message, reply.signature)


def _check_reveal(roster: Roster, digest: bytes, reply: RevealReply) -> None:
    message = _reveal_message(digest, reply.sender, reply.value)
    transcript.check_signature(roster, reply.sender, "reveal", message, reply.signature)


def _commit_message(context: bytes, sender: int, committed: bytes) -> bytes:
    return transcript.digest("commit message", context, transcript.number(sender), committed)


def _reveal_message(commits: bytes, sender: int, value: bytes) -> bytes:
    return transcript.digest("reveal message", commits, transcript.number(sender), value)


def _seed(terms: DrawTerms, values: Iterable[Contribution]) -> bytes:
    context = transcript.draw_context(terms)
    return transcript.digest(
        "group seed", context, *(transcript.number(one.sender) + one.value for one in values)
    )
