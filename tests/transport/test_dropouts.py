"""Simulated dropouts: public, replayable, at the declared rate, and for the rest of the round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import securefl
from securefl.config import Config
from securefl.federation import Client, Party, Prepared, RoundRecord
from securefl.secagg import step_of
from securefl.transport import Dropouts, vanishing
from securefl.transport.dropouts import POINTS

Make = Callable[..., Config]


def test_the_same_seed_loses_the_same_clients_at_the_same_steps() -> None:
    one = [vanishing(Dropouts(0.3, 7), 2, 0, client) for client in range(50)]
    assert one == [vanishing(Dropouts(0.3, 7), 2, 0, client) for client in range(50)]
    assert one != [vanishing(Dropouts(0.3, 8), 2, 0, client) for client in range(50)]
    assert one != [vanishing(Dropouts(0.3, 7), 2, 1, client) for client in range(50)]


def test_the_rate_and_the_steps_are_the_declared_ones() -> None:
    count, rate = 20_000, 0.1
    gone = [lost for client in range(count) if (lost := vanishing(Dropouts(rate, 1), 1, 0, client))]
    # Five standard deviations of a binomial count; deterministic for this seed anyway.
    assert abs(len(gone) - count * rate) < 5 * sqrt(count * rate * (1 - rate))
    by_step = Counter(lost.step for lost in gone)
    assert set(by_step) == set(POINTS)
    share = len(gone) / len(POINTS)
    assert all(abs(found - share) < 5 * sqrt(share) for found in by_step.values())


def test_nobody_vanishes_at_rate_zero() -> None:
    assert all(vanishing(Dropouts(0.0, 1), 1, 0, client) is None for client in range(1000))


def arrivals(config: Config) -> tuple[dict[tuple[int, int, int], list[int]], list[RoundRecord]]:
    """Plays a run; the steps that reached each client, by (round, attempt, client), and the records."""
    seen: dict[tuple[int, int, int], list[int]] = {}

    @dataclass(frozen=True)
    class Recorded:
        honest: Client

        @property
        def id(self) -> int:
            return self.honest.id

        def prepare(self, request: bytes) -> Prepared:
            step = step_of(request)
            seen.setdefault((step.round, step.attempt, self.id), []).append(int(step.step))
            return self.honest.prepare(request)

    def recorded(honest: Mapping[int, Client]) -> Mapping[int, Party]:
        return {client: Recorded(one) for client, one in honest.items()}

    records = []
    with securefl.build_federated_averaging(config, recorded) as process:
        state = process.initialize()
        while not process.finished(state):
            state, metrics = process.next(state)
            records.append(metrics.record)
    return seen, records


def test_who_vanishes_at_a_step_is_not_heard_of_again_in_that_round(small: Make) -> None:
    config = small("simulation.dropout=0.4", "server.rounds=4", "secure_aggregation.epoch_rounds=2")
    seen, records = arrivals(config)
    vanished = 0
    for record in records:
        for client in range(config.clients):
            gone = vanishing(Dropouts(0.4, config.seed), record.round, record.attempt, client)
            steps = seen.get((record.round, record.attempt, client), [])
            if gone is None:
                drawn = any(client in group.members for group in record.groups)
                assert client not in record.dropped or steps or not drawn, "only the vanished are unheard of"
                continue
            vanished += 1
            late = [step for step in steps if step >= gone.step]
            assert set(late) <= ({gone.step} if gone.reply_lost else set())
    assert vanished > 5


def test_without_a_rate_nothing_is_lost(small: Make) -> None:
    seen, records = arrivals(small("server.rounds=1"))
    assert [record.dropped for record in records] == [()]
    assert len({tuple(steps) for (_, _, client), steps in seen.items()}) == 1, "all took every step"
