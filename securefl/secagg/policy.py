"""What one member insists on. A request may only tighten it.

Rules kept here:
- Threshold, group size, assumed corruption and fewest survivors may go up, never down. Task, config,
  roster, ring, length and key agreement are fixed, for there is no order among them. A plain request is
  refused where masking is on.
- The graph is the one that the members, their colluders and dropouts give (`graph`); nobody picks it.
- 2t > k + n_c in a complete graph of k holders (the members of the group, oneself included) of which n_c
  collude with the server: then two different lists of survivors cannot both collect t signatures, because
  honest members sign one list only. Above 64 members the same holds with the colluding holders of a random
  neighbourhood in place of n_c.
- t - n_c >= 2: at least two members outside the coalition are in every sum that opens.
- Encoding and noise are no terms of a request at all: they are the member's own, and its config digest has
  to be everybody's.

What this file does NOT do: count who really answers; every step checks that at least t holders do.

Reference: Bonawitz et al. 2017, section 6.2 (threshold against an active server); Bell et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from securefl.errors import ConfigError, PolicyError
from securefl.secagg.graph import shape, smallest_threshold
from securefl.secagg.messages import MAX_COMPLETE, X25519, Terms
from securefl.secagg.roster import Roster

_THRESHOLD_PATH = "secure_aggregation.threshold"


@dataclass(frozen=True)
class Policy:
    """What a member's own copy of the configuration says.

    Attributes:
        task: 32 bytes that name the task.
        config: 32 bytes, digest of the member's own config.
        authority: public key of whoever signs the roster.
        length: coordinates of a vector.
        ring_bits: bits per coordinate.
        threshold_min: smallest threshold t that the member accepts in a complete graph; None for the smallest
            safe one. Above 64 members t follows from the group.
        group_min: smallest group that it takes part in.
        survivors_min: fewest members of a sum that it helps to open, however small its group was drawn:
            members lost in the draw and members lost later come off the same number.
        colluding: n_c, members of a group that it assumes to collude with the server.
        max_dropout: largest part of a group that may be missing from a sum; None for no bound but t, which is
            possible up to 64 members only.
        agreement: X25519 or HYBRID.
        epoch_rounds: rounds for which a drawn group stays fixed; None if groups are not drawn at all
            (then whoever names the members chooses the company: say so where you set it).
        masking: whether its vector may leave only under a mask.
        groups: into how many groups an epoch's contributors are drawn; needed with `epoch_rounds`.
        rounds: rounds of the task; later ones are refused. None for no bound.
        max_attempts: repetitions of one round that the member takes part in. None for no bound.
        max_redraws: how often a draw of groups may be repeated within an epoch.
        draw_min: fewest members that must have contributed to a draw of groups.
    """

    task: bytes
    config: bytes
    authority: bytes
    length: int
    ring_bits: int
    threshold_min: int | None
    group_min: int
    colluding: int
    epoch_rounds: int | None
    masking: bool = True
    max_dropout: Fraction | None = None
    agreement: int = X25519
    groups: int | None = None
    rounds: int | None = None
    max_attempts: int | None = None
    max_redraws: int = 3
    draw_min: int = 2
    survivors_min: int = 1


def check_threshold(members: int, threshold: int, colluding: int) -> None:
    """Return if a masked group with a complete graph keeps its promises.

    Raises:
        ConfigError: the threshold is out of range for it.
    """
    least = smallest_threshold(members, colluding)
    if threshold < least:
        raise ConfigError(
            f"expected at least {least} for {members} members of which {colluding} may collude with the "
            f"server (2t > k + n_c, t - n_c >= 2), got {threshold}; raise it",
            _THRESHOLD_PATH,
        )
    if threshold > members:
        raise ConfigError(
            f"expected at most {members}, the group's members, got {threshold}; lower it or enlarge groups",
            _THRESHOLD_PATH,
        )


def check_terms(policy: Policy, roster: Roster, member: int, terms: Terms) -> None:
    """Return if the member may take part in a round of these terms.

    Raises:
        PolicyError: something is looser than, or not, what the member's policy says.
    """
    _same("task", policy.task.hex(), terms.task.hex())
    _same("config digest", policy.config.hex(), terms.config.hex())
    _same("roster digest", roster.digest.hex(), terms.roster.hex())
    check_round(policy, terms.round)
    if policy.max_attempts is not None and terms.attempt > policy.max_attempts:
        raise PolicyError(
            f"expected at most {policy.max_attempts} repetitions of a round, got {terms.attempt}; stop"
        )
    _same("vector length", policy.length, terms.length)
    _same("ring bits", policy.ring_bits, terms.ring_bits)
    if terms.masking not in (0, 1) or terms.masking < policy.masking:
        raise PolicyError("expected a masked round, got a plain one; this member sends nothing unmasked")
    if member not in terms.members or not set(terms.members) <= set(roster.ids):
        raise PolicyError(f"expected a group of roster members with {member} in it, got {terms.members}")
    _at_least("group members", policy.group_min, len(terms.members))
    if terms.masking:
        _at_least("assumed colluding members", policy.colluding, terms.colluding)
        _same("key agreement", policy.agreement, terms.agreement)
        try:
            _check_graph(policy, terms)
        except ConfigError as error:
            raise PolicyError(f"the round's terms are unsafe: {error}") from error


def check_round(policy: Policy, round: int) -> None:
    """Return if a round, or the first one of an epoch, is one of the task's.

    Raises:
        PolicyError: it lies beyond the last one.
    """
    if policy.rounds is not None and round > policy.rounds:
        raise PolicyError(f"expected a round up to {policy.rounds}, the last, got {round}; nothing sent")


def _check_graph(policy: Policy, terms: Terms) -> None:
    members = len(terms.members)
    if members <= MAX_COMPLETE:
        _at_least("threshold", policy.threshold_min or 1, terms.threshold)
        check_threshold(members, terms.threshold, terms.colluding)
    else:
        # A ring is sized for this number; a stricter one would be another ring, and costs a search.
        _same("assumed colluding members of a ring", policy.colluding, terms.colluding)
    own = shape(members, terms.threshold, terms.colluding, policy.max_dropout)
    _same("number of holders", own.holders, terms.holders)
    _same("threshold of a graph of this size", own.threshold, terms.threshold)
    _at_least("survivors of a sum", max(own.survivors, policy.survivors_min), terms.survivors)


def _same(noun: str, own: str | int, theirs: str | int) -> None:
    if own != theirs:
        raise PolicyError(f"expected the {noun} {own}, got {theirs}; nothing was sent")


def _at_least(noun: str, own: int, theirs: int) -> None:
    if theirs < own:
        raise PolicyError(f"expected at least {own} as {noun}, got {theirs}; a request may only tighten")
