"""The server's round with the real protocol and invented updates: what it combines, excludes and abandons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import securefl
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import DataError
from securefl.federation import Client, Party, Prepared, RoundRecord, State, initial_state, play
from securefl.federation.order import bucket_order
from securefl.federation.server import cohort
from securefl.federation.stopwatch import Stopwatch
from securefl.process import Process
from securefl.robust import Before, OwnRule, combine

Make = Callable[..., Config]
FAST = ("privacy={unit: none, spare_releases: 1}",)


@dataclass(frozen=True)
class Put:
    """A contribution that encodes a given update, or sends given words as they are."""

    honest: Client
    update: NDArray[np.float64] | None = None
    word: int | None = None

    def __call__(self, model: bytes, round: int) -> NDArray[np.unsignedinteger]:
        local = self.honest.contribution
        codec = local.encoding  # type: ignore[attr-defined]
        if self.update is not None:
            return codec.encode(self.update, SeededRandomness(b"put").stream(round), local.weight)  # type: ignore[attr-defined, no-any-return]
        return np.full(codec.length, self.word, dtype=codec.dtype)


@dataclass(frozen=True)
class Silent:
    id: int

    def prepare(self, request: bytes) -> Prepared:
        raise DataError("silent")


def constant(value: float) -> NDArray[np.float64]:
    return np.full(650, value)


def building(config: Config, words: Mapping[int, int] | None = None, silent: tuple[int, ...] = ()) -> Process:
    """Client c sends 0.001 (c + 1) in every coordinate; some send other words, or nothing."""

    def parties(honest: Mapping[int, Client]) -> Mapping[int, Party]:
        put: dict[int, Party] = {
            client: replace(one, contribution=Put(one, constant(0.001 * (client + 1))))
            for client, one in honest.items()
        }
        for client, word in (words or {}).items():
            put[client] = replace(honest[client], contribution=Put(honest[client], word=word))
        return put | {client: Silent(client) for client in silent}

    return securefl.build_federated_averaging(config, parties)


def played(process: Process, state: State | None = None) -> tuple[State, RoundRecord]:
    state = process.initialize() if state is None else state
    return play(process.setting, state, process.engine, Stopwatch())


def mean_of(record: RoundRecord, group: int) -> float:
    """The mean update of a group's survivors, each coordinate of it."""
    return float(np.mean([0.001 * (client + 1) for client in record.groups[group].survivors]))


def test_the_next_model_is_the_trimmed_mean_of_the_group_means(small: Make) -> None:
    with building(small(*FAST)) as process:
        state, record = played(process)
        moved = state.model - process.initialize().model
    middle = sorted(mean_of(record, group) for group in range(3))[1]
    # One rounding step per client, and float32.
    assert np.abs(moved - middle).max() <= process.terms.encoding.step + 1e-6
    assert (record.status, record.rows_used, record.dropped) == ("done", 3, ())
    assert record.update_norm == pytest.approx(middle * np.sqrt(650), rel=1e-2)
    assert (state.round, state.attempt, state.spares_used) == (1, 0, 0)


def test_steps_come_before_the_rule_and_a_round_that_is_played_again_finds_the_same_buckets(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.float64]] = []

    def watched(rule: str, f: int, rows: NDArray[np.float64], *others: Any) -> Any:
        seen.append(rows.copy())
        return combine(rule, f, rows, *others)

    monkeypatch.setattr("securefl.federation.server.combine", watched)
    steps = "[{kind: bucketing, size: 2}, {kind: nearest_neighbours}]"
    robust = f"robust={{rule: geometric_median, max_malicious: 1, before: {steps}}}"
    with building(small(*FAST, "clients=15", robust)) as process:
        state, record = played(process)
        assert state.draw is not None
        again = played(process, replace(process.initialize(), draw=state.draw))[0]
        moved = (state.model - process.initialize().model).astype(np.float64)
    # Each row is its group's mean, up to one rounding step per client. The rule gets the rows themselves:
    # buckets that lie equally far apart have no nearest neighbour until the rounding picks one.
    means = np.array([np.full(650, mean_of(record, group)) for group in range(5)])
    assert np.abs(seen[0] - means).max() <= process.terms.encoding.step
    order = bucket_order(state.draw.seed, 1, 0)
    before = process.setting.before
    assert before == (Before("bucketing", 2), Before("nearest_neighbours"))
    expected = combine("geometric_median", 1, seen[0], np.ones(5), None, before, order).vector
    assert np.abs(moved - expected).max() <= 1e-6
    assert np.array_equal(again.model, state.model)


def test_the_callers_own_rule_takes_the_place_of_the_configs(small: Make) -> None:
    own = OwnRule("nothing", lambda f: lambda rows, weights: np.zeros(rows.shape[1]), lambda f: 1)
    with securefl.build_federated_averaging(small(*FAST), rule=own) as process:
        state, record = played(process)
        assert (record.status, record.update_norm) == ("done", 0.0)
        assert np.array_equal(state.model, process.initialize().model)


def test_a_group_mean_is_that_of_its_survivors_alone(small: Make) -> None:
    with building(small(*FAST, "robust={rule: mean, max_malicious: 0}"), silent=(4,)) as process:
        state, record = played(process)
        moved = state.model - process.initialize().model
    sums = [len(group.survivors) * mean_of(record, group.group) for group in record.groups]
    # Groups count by their survivors under the mean: all eight clients count the same.
    assert np.abs(moved - sum(sums) / 8).max() <= process.terms.encoding.step + 1e-6
    assert record.dropped == (4,)


def test_an_oversized_group_is_excluded_by_name_and_used_up_the_trim(small: Make) -> None:
    with building(small(*FAST), words={0: 1 << 14}) as process:
        _, record = played(process)
    statuses = {group.status for group in record.groups if 0 not in group.members}
    assert [group.status for group in record.groups if 0 in group.members] == ["excluded_norm"]
    assert statuses == {"summed"}
    assert (record.status, record.rows_used) == ("done", 2)


def test_two_faulty_groups_are_more_than_one_malicious_client_so_the_round_is_abandoned(small: Make) -> None:
    everywhere = {client: 1 << 14 for client in range(9)}
    with building(small(*FAST), words=everywhere) as process:
        start = process.initialize()
        state, record = played(process)
        after, second = played(process, state)
    assert record.status == second.status == "abandoned"
    assert record.reason
    assert {group.status for group in record.groups} == {"excluded_norm"}
    assert np.array_equal(after.model, start.model)
    assert (state.round, state.attempt, state.spares_used) == (0, 1, 1), "the spare release buys an attempt"
    assert (after.round, after.attempt, after.spares_used) == (1, 0, 1), "and then the round is over"


def test_a_weight_total_that_honest_clients_cannot_have_excludes_the_group(small: Make) -> None:
    config = small(*FAST, "server.weights={kind: examples, cap: 60}", "robust.norm_guard=false")
    with building(config, words={0: 1 << 14}) as process:
        _, record = played(process)
    assert [group.status for group in record.groups if 0 in group.members] == ["excluded_weight"]


def test_groups_stay_for_an_epoch_and_are_drawn_anew_after_it(small: Make) -> None:
    drawn = []
    with building(small(*FAST, "clients=15", "server.rounds=7")) as process:
        state = process.initialize()
        for _ in range(7):
            state, record = played(process, state)
            drawn.append(tuple(group.members for group in record.groups))
    assert len(set(drawn[:3])) == len(set(drawn[3:6])) == 1
    # 1.4 million ways to share 15 out to five groups of three: three draws agree with probability 5e-13.
    assert len(set(drawn)) > 1


def test_an_epoch_whose_draw_fails_abandons_its_rounds_and_the_next_one_draws_again(small: Make) -> None:
    config = small(*FAST, "secure_aggregation.epoch_rounds=2")
    with building(config, silent=tuple(range(9))) as process:
        state = process.initialize()
        for round in (1, 2):
            state, record = played(process, state)
            assert (record.round, record.status, record.groups) == (round, "abandoned", ())
            assert state.spares_used == 0, "no groups, no attempt that could cost anything"
    with building(config) as other:
        _, record = played(other, replace(other.initialize(), round=state.round))
    assert (record.round, record.status) == (3, "done")


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("secure_aggregation.bits=4", "secure_aggregation.rotation=true"),
        ("secure_aggregation.bits=4", "server.weights={kind: examples, cap: 200}"),
        ("secure_aggregation.bits=32", "secure_aggregation.masking=false"),
    ],
)
def test_the_bytes_of_a_round_are_those_that_the_card_names(small: Make, overrides: tuple[str, ...]) -> None:
    with building(small(*FAST, *overrides)) as process:
        state, first = played(process)
        _, second = played(process, state)
        traffic = process.terms.traffic
    assert max(second.bytes_up.values()) == traffic.up
    assert max(second.bytes_down.values()) == traffic.down
    assert max(first.bytes_up.values()) > traffic.up, "the draw comes on top, once per epoch"


ONE_GROUP = ("clients=3", "robust={rule: mean, max_malicious: 0}", "training.local_steps=1")


@pytest.mark.parametrize(
    ("bits", "weights", "rotation"),
    [
        (4, "uniform", "false"),
        (4, "examples, cap: 200", "true"),
        (7, "uniform", "true"),
        (32, "uniform", "true"),
    ],
)
def test_every_width_gives_a_masked_round_the_bits_of_an_open_one(
    small: Make, bits: int, weights: str, rotation: str
) -> None:
    models, sizes = [], []
    for masking in ("true", "false"):
        config = small(
            *FAST,
            *ONE_GROUP,
            f"secure_aggregation.masking={masking}",
            f"secure_aggregation.bits={bits}",
            f"secure_aggregation.rotation={rotation}",
            f"server.weights={{kind: {weights}}}",
        )
        with securefl.build_federated_averaging(config, randomness=SeededRandomness(b"widths")) as process:
            state, record = played(process)
            assert record.status == "done"
            models.append(state.model)
            sizes.append(process.terms.encoding.wire_bytes)
    assert np.array_equal(*models)
    assert models[0].any()
    # Groups of 3 need two bits beyond a value's; 1,024 coordinates where 650 are rotated.
    digits = -(-8 // (bits - 1)) if weights != "uniform" else 0
    assert sizes[0] == -(-((1024 if rotation == "true" else 650) + digits) * (bits + 2) // 8)


def test_a_cohort_is_a_public_draw_of_the_declared_size_that_changes_by_epoch(small: Make) -> None:
    config = small(*FAST, "clients=20", "participation={kind: sample, cohort: 9}")
    with building(config) as process, building(config) as again:
        cohorts = [cohort(process.setting, epoch) for epoch in range(5)]
        assert cohorts == [cohort(again.setting, epoch) for epoch in range(5)]
        _, record = played(process)
    assert all(len(set(one)) == 9 and set(one) <= set(range(20)) for one in cohorts)
    assert len(set(cohorts)) > 1
    assert sorted(member for group in record.groups for member in group.members) == list(cohorts[0])


def test_the_first_state_is_the_public_model_and_nothing_else(small: Make) -> None:
    with building(small(*FAST)) as process:
        model = process.initialize().model
        state = initial_state(process.setting, model)
    assert (state.round, state.attempt, state.spares_used, state.draw) == (0, 0, 0, None)
    assert state.model is model
