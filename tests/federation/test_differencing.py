"""What a server gets that subtracts two sums whose survivors differ by one client, and what bounds it.

Masks hide single updates inside ONE sum. A server that sends the same model twice and leaves one client out
the second time subtracts two sums and has that client's update: masking does not stop it, and fixed groups
only keep it from choosing the company. Differential privacy is the bound, and it holds because every vector
that left a client was charged, whatever the server did with it.

Clients are the real ones of a run on digits; the server is a malicious one, played here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
import pytest

import securefl
from securefl.config import Config
from securefl.encoding import FixedPoint, clip_to_norm
from securefl.errors import BudgetExceeded
from securefl.federation import Client, LocalUpdate
from securefl.federation.broadcast import MODEL_DTYPE
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import releases
from securefl.process import Process
from securefl.secagg import (
    Draw,
    EpochPlan,
    GroupOutcome,
    RoundPlan,
    Step,
    aggregate,
    draw_groups,
    split,
    step_of,
)

Make = Callable[..., Config]
FEW = ("clients=6", "robust={rule: mean, max_malicious: 0}", "privacy.accountant=rdp")
NOT_PRIVATE = (*FEW[:2], "privacy={unit: none, spare_releases: 1}", "training.sample_rate=1.0")


@dataclass
class Server:
    """A malicious server in front of honest clients: it plays what it likes with groups that were drawn once.

    `updates` and `words` are what each client really computed, by round; the test reads them, the server only
    where it is said to collude. `sent` counts the masked vectors that left each client.
    """

    process: Process
    parties: Mapping[int, Client] = field(default_factory=dict)
    updates: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    words: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)
    model: bytes = b""

    def __post_init__(self) -> None:
        self.model = self.process.initialize().model.astype(MODEL_DTYPE).tobytes()
        setting = self.process.setting
        self.draw = draw_groups(
            EpochPlan(
                setting.task, setting.config_digest, setting.roster, 1, setting.roster.ids, setting.groups, 0
            ),
            self.process.engine,
        )

    @property
    def encoding(self) -> FixedPoint:
        return self.process.setting.encoding

    def plan(self, round: int, attempt: int = 0, draw: Draw | None = None) -> RoundPlan:
        setting, drawn = self.process.setting, draw or self.draw
        return RoundPlan(
            task=setting.task,
            config=setting.config_digest,
            roster=setting.roster,
            round=round,
            attempt=attempt,
            groups=drawn.groups,
            group_seed=drawn.seed,
            evidence=drawn.evidence,
            threshold=setting.threshold,
            colluding=setting.colluding,
            length=setting.encoding.length,
            ring_bits=setting.encoding.ring_bits,
            masking=True,
        )

    def play(
        self, round: int, without: frozenset[int] = frozenset(), attempt: int = 0, until: Step = Step.UNMASK
    ) -> tuple[GroupOutcome, ...]:
        """One attempt with the same old model. Vectors of `without` are received and then called lost."""

        def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
            step = step_of(next(iter(requests.values()))).step
            if step > until:
                return {}
            replies = self.process.engine(requests)
            self.sent.update(replies.keys() if step == Step.MASK else ())
            return {c: data for c, data in replies.items() if step < Step.MASK or c not in without}

        return aggregate(self.plan(round, attempt), self.model, exchange)

    def difference(self, one: GroupOutcome, other: GroupOutcome) -> np.ndarray:
        """The difference of two sums of one group as real numbers."""
        assert one.total is not None and other.total is not None
        modulus = one.total.dtype.type((1 << self.encoding.ring_bits) - 1)
        return self.encoding.decode((one.total - other.total) & modulus, survivors=1)[0]


@contextmanager
def against_clients_of(config: Config) -> Iterator[Server]:
    """A malicious server that meets the honest clients of a config, with their updates noted down."""
    updates: dict[tuple[int, int], np.ndarray] = {}
    words: dict[tuple[int, int], np.ndarray] = {}

    @dataclass(frozen=True)
    class Noted:
        honest: LocalUpdate

        def __call__(self, model: bytes, round: int) -> np.ndarray:
            key = (self.honest.client, round)
            updates[key] = self.honest.update(np.frombuffer(model, dtype=MODEL_DTYPE), round)
            words[key] = self.honest.encoding.encode(updates[key], self.honest.randomness.stream("rounding"))
            return words[key].copy()

    parties: dict[int, Client] = {}

    def watched(honest: Mapping[int, Client]) -> dict[int, Client]:
        parties.update({c: replace(one, contribution=Noted(one.contribution)) for c, one in honest.items()})
        return parties

    with securefl.build_federated_averaging(config, watched) as process:
        yield Server(process, parties, updates, words)


def of_group(outcomes: tuple[GroupOutcome, ...], client: int) -> GroupOutcome:
    return next(outcome for outcome in outcomes if client in outcome.members)


# Groups ------------------------------------------------------------------------------------------


def test_within_an_epoch_survivors_of_a_group_differ_by_dropouts_only(small: Make) -> None:
    lost = {1: 0, 2: 4, 3: 5}
    with securefl.build_federated_averaging(small(*NOT_PRIVATE)) as process:
        honest = process.engine

        def losing(requests: dict[int, bytes]) -> dict[int, bytes]:
            step = step_of(split(next(iter(requests.values())))[0])
            replies = honest(requests)
            return {c: r for c, r in replies.items() if step.step < Step.MASK or c != lost[step.round]}

        process._exchange = losing
        state, records = process.initialize(), []
        for _ in lost:
            state, metrics = process.next(state)
            records.append(metrics.record)
    assert len({tuple(group.members for group in record.groups) for record in records}) == 1
    for record in records:
        for group in record.groups:
            assert set(group.survivors) == set(group.members) - {lost[record.round]}


def test_members_of_a_group_stay_silent_when_their_server_regroups_within_the_epoch(small: Make) -> None:
    with against_clients_of(small(*NOT_PRIVATE)) as server:
        assert all(outcome.total is not None for outcome in server.play(1))
        groups = [list(group) for group in server.draw.groups]
        groups[0][0], groups[1][0] = groups[1][0], groups[0][0]
        server.draw = replace(server.draw, groups=tuple(tuple(sorted(group)) for group in groups))
        moved = server.play(2)
        assert [outcome.total is None for outcome in moved] == [True, True]
        assert all(server.sent[client] == 1 for client in server.parties)


# The leak without differential privacy --------------------------------------------------------------


def test_without_differential_privacy_two_sums_that_differ_by_one_client_are_its_update(small: Make) -> None:
    with against_clients_of(small(*NOT_PRIVATE)) as server:
        group = server.draw.groups[0]
        victim = group[0]
        everybody, rest = server.play(1), server.play(2, without=frozenset({victim}))
        got = server.difference(of_group(everybody, victim), of_group(rest, victim))
        update = clip_to_norm(server.updates[victim, 1], server.encoding.clip_norm)
        # The others' updates are the same in both sums, up to the rounding of each: one step at most.
        assert np.abs(got - update).max() <= len(group) * server.encoding.step
        assert np.linalg.norm(update) > 100 * len(group) * server.encoding.step * sqrt(update.size)
        other = clip_to_norm(server.updates[group[1], 1], server.encoding.clip_norm)
        assert np.linalg.norm(got - other) > 0.01 * np.linalg.norm(other), "and nobody else's"


# The bound with it ----------------------------------------------------------------------------------


def test_every_vector_that_left_is_charged_whatever_the_server_did_with_it(small: Make) -> None:
    with against_clients_of(small(*FEW, "server.rounds=3", "privacy.spare_releases=2")) as server:
        victim = server.draw.groups[0][0]
        server.play(1)
        server.play(2, without=frozenset({victim}))  # its vector is received, and then called lost
        abandoned = server.play(2, attempt=1, until=Step.MASK)  # with all vectors
        assert all(one.total is None for one in abandoned)
        assert all(one.total is not None for one in server.play(3))
        process = server.process
        budget, source = process.terms.budget, process.terms.dataset.source_hash
        assert budget is not None
        run = server.parties[victim].charge.run  # type: ignore[union-attr]
        assert server.sent == dict.fromkeys(server.parties, 4)
        for client, vectors in server.sent.items():
            assert process.ledger.spent_by(source, run, client) == releases([(budget.event, vectors)])
        spent = epsilon(releases([(budget.event, 4)]), budget.delta, budget.accountant)
        assert process.epsilon() == spent
        # The noise was sized for 3 rounds and 2 spares. One more vector fits the cap, a sixth does not leave.
        assert all(one.total is not None for one in server.play(3, attempt=1))
        assert server.process.epsilon() > spent  # type: ignore[operator]
        assert all(one.total is None for one in server.play(3, attempt=2))
        assert server.sent == dict.fromkeys(server.parties, 5)
        assert set(process.engine.refusals) == set(server.parties)
        assert all(BudgetExceeded.__name__ in why for why in process.engine.refusals.values())
        assert process.epsilon() <= budget.epsilon  # type: ignore[operator]


def noise_deviation(config: Config, process: Process) -> float:
    """Of one coordinate of one update, as accounted: the event's multiplier on the scale of the update."""
    assert process.terms.budget is not None
    event, training = process.terms.budget.event, config.training
    clip_norm = config.privacy.clip_norm
    assert event.steps == 1 and clip_norm is not None
    return event.noise_multiplier * clip_norm * training.learning_rate / training.expected_batch


@pytest.mark.parametrize("rounds", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_a_differenced_update_carries_at_least_the_noise_that_its_release_was_charged_for(
    small: Make, rounds: int
) -> None:
    config = small(
        *(*FEW, "clients=3", "training.local_steps=1"),
        *(f"server.rounds={rounds}", f"secure_aggregation.epoch_rounds={rounds}"),
        *("secure_aggregation.clip_norm=20.0", "secure_aggregation.bits=24"),
    )
    with against_clients_of(config) as server:
        group = server.draw.groups[0]
        victim, others = group[0], group[1:]
        alone, differences = [], []
        for round in range(1, rounds, 2):
            everybody = of_group(server.play(round), victim)
            rest = of_group(server.play(round + 1, without=frozenset({victim})), victim)
            differences.append(server.difference(everybody, rest))
            # The others collude and hand over their vectors: the most that a server can subtract.
            theirs = sum(server.words[other, round] for other in others)
            alone.append(server.difference(everybody, replace(everybody, total=theirs)))
        assert all(np.linalg.norm(one) < server.encoding.clip_norm for one in server.updates.values())
        assert server.sent == dict.fromkeys(server.parties, rounds)
        spent = server.process.ledger.records()
        assert Counter(one.client for one in spent if one.kind == "intent") == server.sent
        accounted = noise_deviation(config, server.process) ** 2
        step = server.encoding.step
        n = max(len(share) for share in server.process.terms.shares)
    # A sample variance of normal draws deviates by sqrt(2 / degrees of freedom); six of them: 8e-9 for all
    # three bounds together (chi-square of 1,950 degrees, whose upper tail is the heavier one).
    freedom = (len(alone) - 1) * alone[0].size
    tolerance = 6 * sqrt(2 / freedom)
    single = np.var(alone, axis=0, ddof=1).mean()
    assert single > accounted * (1 - tolerance)
    # Not far more either: a Poisson sample of n examples adds at most n q (1 - q) C^2 over all coordinates.
    rate, training = config.training.sample_rate, config.training
    sampling = n * rate * (1 - rate) * (training.learning_rate / training.expected_batch) ** 2 / alone[0].size
    assert single < (accounted + sampling + step**2) * (1 + tolerance)
    # With nobody's help the noise of all the others is in there twice.
    assert np.var(differences, axis=0, ddof=1).mean() > (2 * len(group) - 1) * accounted * (1 - tolerance)
    print(f"single/accounted {single / accounted:.4f}, tolerance {tolerance:.4f}")
