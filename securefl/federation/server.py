"""The server's side of a round: groups, masked sums, the robust rule, the next model.

Rules kept here:
- The server learns group sums (or, without masking, what the config openly says). Everything after
  them is post-processing; noise of a trusted server is the first thing after them.
- A round that lacks sound rows for its rule is abandoned and recorded: the model is unchanged, what
  was charged stays charged. While spare releases remain it is tried again under a new attempt, with
  fresh keys and fresh training.
- A clip that moves does so by what noisy sums say of the round's bits: the median of the groups, so that f
  malicious ones among 2f + 1 leave it within what honest groups say. It is part of the state.
- `play` is a function of (setting, state, exchange): resuming is playing again from the last state.

What this file does NOT do: I/O. An `Exchange` carries bytes; who is behind it is not its business.

Reference: McMahan et al. 2017 (FedAvg); Bonawitz et al. 2017 (the sum); Yin et al. 2018 (trimmed mean).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from securefl.encoding import Encoding, Subsample
from securefl.errors import GroupAborted, ProtocolError, RoundAbandoned
from securefl.federation.broadcast import broadcast, moving
from securefl.federation.central_noise import CentralNoise
from securefl.federation.optimizer import Moments, ServerOptimizer, Vector, initial_moments, step
from securefl.federation.order import bucket_order
from securefl.federation.record import GroupRecord, GroupStatus, RoundRecord
from securefl.federation.stopwatch import Stopwatch
from securefl.robust import Before, Combined, OwnRule, combine, sound_rows
from securefl.secagg import (
    X25519,
    Draw,
    EpochPlan,
    Exchange,
    GroupOutcome,
    Riding,
    Roster,
    RoundPlan,
    aggregate,
    draw_groups,
)
from securefl.training.cross_term import CrossTerm
from securefl.training.turns import Turns


@dataclass(frozen=True)
class Setting:
    """What stays the same for a whole run.

    Attributes:
        task: 32 bytes that name this run; bound into every protocol message.
        config_digest: 32 bytes; likewise.
        roster: the signed list of identities.
        groups: number of groups per round.
        threshold: shares needed to unmask a group (t).
        colluding: clients that may collude with the server (n_c).
        encoding: how updates become ring words.
        masking: False only where the config openly turns secure aggregation off.
        epoch_rounds: rounds for which groups stay fixed.
        max_redraws: bound on voided draws per epoch.
        cohort: clients drawn per epoch, or None for all.
        seed: the public experiment seed; it draws cohorts, nothing secret.
        rule: the robust rule over group means, by name or the caller's own.
        max_malicious: f, rows that the rule is sized for.
        norm_guard: whether a group mean above the provable bound is excluded.
        optimizer: the server's step.
        weights: `uniform`, `public` (then `public_weights`) or `examples` (a masked coordinate).
        public_weights: declared integer weight per client.
        spare_releases: repetitions of abandoned rounds that the noise was sized for.
        rounds: rounds of the run; after the last one nobody is asked for keys.
        max_dropout: largest part of a group that may be missing from its sum, or None.
        agreement: X25519 or HYBRID.
        survivors_min: fewest members of a group's sum, however small the group was drawn.
        before: steps before the rule, by name.
        noise: what a trusted server adds to every sum; None where clients add it, or nobody.
        turns: which coordinates travel in which round, whether the others rest or wait; None for all always.
        cross_term: measures what is lost where adapters' factors are averaged apart and single updates are
        seen.
    """

    task: bytes
    config_digest: bytes
    roster: Roster
    groups: int
    threshold: int | None
    colluding: int
    encoding: Encoding
    masking: bool
    epoch_rounds: int
    max_redraws: int
    cohort: int | None
    seed: int
    rule: str | OwnRule
    max_malicious: int
    norm_guard: bool
    optimizer: ServerOptimizer
    weights: Literal["uniform", "public", "examples"]
    public_weights: Mapping[int, int]
    spare_releases: int
    rounds: int
    max_dropout: Fraction | None = None
    agreement: int = X25519
    survivors_min: int = 1
    before: tuple[Before, ...] = ()
    noise: CentralNoise | None = None
    turns: Turns | Subsample | None = None
    cross_term: CrossTerm | None = None


@dataclass(frozen=True)
class State:
    """What the next round needs: everything that a checkpoint holds.

    Attributes:
        round: rounds finished, abandoned ones included.
        attempt: attempts already made of the next round.
        spares_used: spare releases used so far.
        model: the global flat vector, (dim,) float32.
        moments: the server optimiser's memory.
        draw: the groups of the current epoch, None before the first draw.
        early: by client, the key message for the next round that came with the last one's answers.
        clip: clip of the next round, where it moves.
    """

    round: int
    attempt: int
    spares_used: int
    model: Vector
    moments: Moments
    draw: Draw | None
    early: Mapping[int, bytes] = field(default_factory=dict)
    clip: float | None = None


def initial_state(setting: Setting, model: Vector) -> State:
    """The state before the first round."""
    encoding = moving(setting.encoding)
    clip = None if encoding is None else encoding.clip_norm
    return State(0, 0, 0, model, initial_moments(setting.optimizer, model.size), None, clip=clip)


def play(
    setting: Setting, state: State, exchange: Exchange, stopwatch: Stopwatch
) -> tuple[State, RoundRecord]:
    """One attempt at one round.

    Returns the next state and the record; an abandoned attempt returns the model unchanged.
    """
    talk = _Counted(exchange)
    outcomes: tuple[GroupOutcome, ...] = ()
    rows: list[_Row] = []
    if state.round % setting.epoch_rounds == 0 and state.attempt == 0:
        state = replace(state, draw=None)
    ahead = None
    try:
        with stopwatch.measure("drawing"):
            state = _drawn(setting, state, talk.timed(stopwatch))
        ahead = _ahead(setting, state)
        with stopwatch.measure("unmasking"):
            plan, model_bytes = _plan(setting, state), broadcast(state.model, state.clip)
            early = Riding(plan, dict(state.early)) if state.attempt == 0 else None
            outcomes = aggregate(plan, model_bytes, talk.timed(stopwatch), early=early, ahead=ahead)
        with stopwatch.measure("rule"):
            rows = [row for outcome in outcomes if (row := _row(setting, state, outcome)) is not None]
            combined = _combined(setting, state, rows)
            after = _moved(setting, state, rows, combined)
    except (RoundAbandoned, GroupAborted) as reason:
        groups = _group_records(setting, state, outcomes, rows)
        after = replace(_abandoned(setting, state), early={} if ahead is None else ahead.keys)
        return after, _record(setting, state, talk, groups, None, str(reason), stopwatch)
    groups = _group_records(setting, state, outcomes, rows)
    record = _record(setting, state, talk, groups, combined, None, stopwatch)
    if setting.cross_term is not None:
        sound = [row for row in rows if not row.lied]
        means, weights = np.stack([row.mean for row in sound]), np.array([row.weight for row in sound])
        record = replace(record, cross_term=setting.cross_term(state.model, means, weights))
    return replace(after, early={} if ahead is None else ahead.keys), replace(record, within=_within(rows))


def advance(setting: Setting, state: State, outcomes: tuple[GroupOutcome, ...]) -> State:
    """The state after a round whose group sums are known: the server's step, however the sums were made.

    Raises:
        RoundAbandoned: too few sound rows for the rule; the model would be unchanged.
    """
    rows = [row for outcome in outcomes if (row := _row(setting, state, outcome)) is not None]
    return _moved(setting, state, rows, _combined(setting, state, rows))


def _stepped(setting: Setting, state: State, update: NDArray[np.float64]) -> tuple[Moments, Vector]:
    """The optimiser's step, on the coordinates that travelled alone: the others and their moments stay."""
    if setting.turns is None:
        return step(setting.optimizer, state.moments, state.model, update)
    places = setting.turns.of(state.round + 1)
    before = Moments(state.moments.first[places], state.moments.second[places])
    moments, part = step(setting.optimizer, before, state.model[places], update[: len(places)])
    model, first, second = state.model.copy(), state.moments.first.copy(), state.moments.second.copy()
    model[places], first[places], second[places] = part, moments.first, moments.second
    return Moments(first, second), model


def cohort(setting: Setting, epoch: int) -> tuple[int, ...]:
    """The clients invited for an epoch: all, or a public draw of `setting.cohort` of them."""
    everyone = setting.roster.ids
    if setting.cohort is None:
        return everyone
    chosen = np.random.default_rng([setting.seed, epoch]).choice(len(everyone), setting.cohort, replace=False)
    return tuple(everyone[index] for index in sorted(chosen))


class _Counted:
    """An exchange that remembers who was asked, who stayed silent, and how many bytes passed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.silent: set[int] = set()
        self.up: dict[int, int] = {}
        self.down: dict[int, int] = {}

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        for client, request in requests.items():
            self.down[client] = self.down.get(client, 0) + len(request)
        replies = self._exchange(requests)
        for client, reply in replies.items():
            self.up[client] = self.up.get(client, 0) + len(reply)
        self.silent.update(requests.keys() - replies.keys())
        return replies

    def timed(self, stopwatch: Stopwatch) -> Exchange:
        def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
            with stopwatch.measure("exchange"):
                return self(requests)

        return exchange


def _drawn(setting: Setting, state: State, exchange: Exchange) -> State:
    if state.round % setting.epoch_rounds != 0 or state.attempt > 0:
        return state
    plan = EpochPlan(
        task=setting.task,
        config=setting.config_digest,
        roster=setting.roster,
        epoch=state.round + 1,
        candidates=cohort(setting, state.round // setting.epoch_rounds),
        groups=setting.groups,
        max_redraws=setting.max_redraws,
    )
    return replace(state, draw=draw_groups(plan, exchange))


def _ahead(setting: Setting, state: State) -> Riding | None:
    """The next round, if its keys can ride on this one's answers: it has the same groups."""
    coming = state.round + 1
    if not setting.masking or coming % setting.epoch_rounds == 0 or coming >= setting.rounds:
        return None
    return Riding(_plan(setting, replace(state, round=coming, attempt=0)))


def _plan(setting: Setting, state: State) -> RoundPlan:
    if state.draw is None:
        raise RoundAbandoned("no groups were drawn for this epoch; the next epoch draws again")
    return RoundPlan(
        task=setting.task,
        config=setting.config_digest,
        roster=setting.roster,
        round=state.round + 1,
        attempt=state.attempt,
        groups=state.draw.groups,
        group_seed=state.draw.seed,
        evidence=state.draw.evidence,
        threshold=setting.threshold,
        colluding=setting.colluding,
        length=setting.encoding.length,
        ring_bits=setting.encoding.ring_bits,
        masking=setting.masking,
        max_dropout=setting.max_dropout,
        agreement=setting.agreement,
        survivors_min=setting.survivors_min,
    )


@dataclass(frozen=True)
class _Row:
    """A group mean; `lied` marks a sum whose weight total is impossible, its mean is then NaN.

    `within` is the part of its updates that were within the clip, noise included; None for a clip that stays.
    """

    group: int
    mean: NDArray[np.float64]
    weight: float
    lied: bool = False
    within: float | None = None


def _combined(setting: Setting, state: State, rows: list[_Row]) -> Combined:
    if not rows or state.draw is None:
        raise RoundAbandoned("no group finished, so there is nothing to combine; the model is unchanged")
    return combine(
        setting.rule,
        setting.max_malicious,
        np.stack([row.mean for row in rows]),
        np.array([row.weight for row in rows]),
        _norm_bound(setting, state),
        setting.before,
        bucket_order(state.draw.seed, state.round + 1, state.attempt),
    )


def _encoding(setting: Setting, state: State) -> Encoding:
    """The encoding of the next round: with its clip, where that moves."""
    encoding = moving(setting.encoding)
    return setting.encoding if encoding is None or state.clip is None else encoding.at(state.clip)


def _norm_bound(setting: Setting, state: State) -> float | None:
    return _encoding(setting, state).norm_bound if setting.norm_guard else None


def _moved(setting: Setting, state: State, rows: list[_Row], combined: Combined) -> State:
    """The state after a round that was done."""
    moments, model = _stepped(setting, state, combined.vector)
    encoding, clip, within = moving(setting.encoding), state.clip, _within(rows)
    if encoding is not None and encoding.adaptive is not None and clip is not None and within is not None:
        clip = encoding.adaptive.after(clip, within)
    return replace(state, round=state.round + 1, attempt=0, model=model, moments=moments, clip=clip)


def _within(rows: list[_Row]) -> float | None:
    told = [row.within for row in rows if row.within is not None]
    return float(np.median(told)) if told else None


def _row(setting: Setting, state: State, outcome: GroupOutcome) -> _Row | None:
    total = outcome.total
    if total is None:
        return None
    if setting.noise is not None:
        total = setting.noise(total, state.round + 1, state.attempt, outcome.group)
    declared = None
    if setting.weights == "public":
        declared = float(sum(setting.public_weights[client] for client in outcome.survivors))
    encoding, survivors = _encoding(setting, state), len(outcome.survivors)
    try:
        mean, weight = encoding.decode(total, survivors, declared)
    except ProtocolError:
        return _Row(outcome.group, np.full(encoding.dim, np.nan), 0.0, lied=True)
    noisy = moving(encoding)
    within = None if noisy is None else noisy.within(total, survivors)
    return _Row(outcome.group, mean, weight, within=within)


def _group_records(
    setting: Setting, state: State, outcomes: tuple[GroupOutcome, ...], rows: list[_Row]
) -> tuple[GroupRecord, ...]:
    by_group = {row.group: row for row in rows}
    bound = _norm_bound(setting, state)
    return tuple(_group_record(outcome, by_group.get(outcome.group), bound) for outcome in outcomes)


def _group_record(outcome: GroupOutcome, row: _Row | None, norm_bound: float | None) -> GroupRecord:
    return GroupRecord(
        outcome.group,
        outcome.members,
        outcome.survivors,
        _status(row, norm_bound),
        outcome.failure,
        outcome.blamed,
    )


def _status(row: _Row | None, norm_bound: float | None) -> GroupStatus:
    if row is None:
        return "aborted"
    if row.lied:
        return "excluded_weight"
    sound = sound_rows(row.mean[np.newaxis], norm_bound)
    if sound.nonfinite:
        return "excluded_nonfinite"
    return "excluded_norm" if sound.oversized else "summed"


def _abandoned(setting: Setting, state: State) -> State:
    if state.draw is not None and state.spares_used < setting.spare_releases:
        return replace(state, attempt=state.attempt + 1, spares_used=state.spares_used + 1)
    return replace(state, round=state.round + 1, attempt=0)


def _record(
    setting: Setting,
    state: State,
    talk: _Counted,
    groups: tuple[GroupRecord, ...],
    combined: Combined | None,
    reason: str | None,
    stopwatch: Stopwatch,
) -> RoundRecord:
    return RoundRecord(
        round=state.round + 1,
        attempt=state.attempt,
        status="abandoned" if combined is None else "done",
        reason=reason,
        groups=groups,
        dropped=tuple(sorted(talk.silent | _absent(setting, state))),
        rows_used=0 if combined is None else len(combined.used),
        update_norm=0.0 if combined is None else float(np.linalg.norm(combined.vector)),
        bytes_up=talk.up,
        bytes_down=talk.down,
        seconds=stopwatch.take(),
        clip=state.clip,
    )


def _absent(setting: Setting, state: State) -> set[int]:
    """Clients of the epoch's cohort that its draw lost: they are in no group until the next one."""
    if state.draw is None:
        return set()
    invited = set(cohort(setting, state.round // setting.epoch_rounds))
    return invited.difference(*state.draw.groups)
