"""A part travels and the rest waits: nothing is lost or doubled, and nothing of the rest leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import securefl
from securefl import config as configuration
from securefl import run as runs
from securefl.attacks import named_attack, poisoned
from securefl.building import build_learner, load_dataset, local_update
from securefl.config import Config
from securefl.crypto import SeededRandomness, Stream
from securefl.crypto.randomness import SystemRandomness
from securefl.data import Examples
from securefl.encoding import FixedPoint, NoisyFixedPoint, Subsample, clip_to_norm
from securefl.errors import ConfigError, DataError
from securefl.federation import LocalUpdate, State, Stopwatch, server
from securefl.federation.feedback import WithFeedback
from securefl.guarantee import card, settle
from securefl.privacy.discrete import DiscreteGaussian
from securefl.privacy.unsent import Unsent
from securefl.process import Process
from securefl.secagg import Step, split, step_of
from securefl.training.turns import Turns

Make = Callable[..., Config]
PART = "secure_aggregation.subsample=0.25"
SEED, DIM = b"s" * 32, 8
EXAMPLES = Examples(np.ones((3, 2), dtype=np.float32), np.array([0, 1, 0]))


class Gives:
    """A trainer with one update, or none at all."""

    def __init__(self, update: np.ndarray | None) -> None:
        self.update = update

    def train(self, vector, examples, sampling, noise, round=1):
        if self.update is None:
            raise DataError("training diverged")
        return self.update


def contribution(update: np.ndarray | None, noisy: bool = False, last: Unsent | None = None) -> WithFeedback:
    encoding = (
        NoisyFixedPoint(1.0, 16, 2, 3, DiscreteGaussian(50.0)) if noisy else FixedPoint(1.0, 16, 2, members=3)
    )
    local = LocalUpdate(
        2, Gives(update), EXAMPLES, encoding, 1, SeededRandomness(b"feedback"), Stopwatch(), DIM
    )
    return WithFeedback(local, DIM, None, Subsample(SEED, 2, (np.arange(DIM),)), lambda: last)


def model(value: float = 0.0) -> bytes:
    return np.full(DIM, value, dtype="<f4").tobytes()


def owed(unsent: Unsent) -> np.ndarray:
    return np.frombuffer(unsent.after, dtype="<f4")


# --- what is split ------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.floats(0.1, 10.0), st.integers(0, 99))
def test_what_travels_and_what_is_owed_then_are_the_update_and_what_was_owed(
    dim: int, count: int, round: int, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    before = rng.normal(size=dim).astype(np.float32)
    update = scale * rng.normal(size=dim)
    sample = Subsample(SEED, min(count, dim), (np.arange(dim),))
    made = replace(contribution(None), dim=dim, subsample=sample)
    part, after = made.split(before, update, round, 1.0)
    whole = np.zeros(dim)
    whole[sample.of(round)] = part
    assert not after[sample.of(round)].any()
    # What is owed is kept as float32: 24 bits of it.
    np.testing.assert_allclose(whole + after, before + clip_to_norm(update, 1.0), rtol=1e-6, atol=1e-6)


def test_a_turn_adds_to_the_coordinates_that_trained_and_the_others_wait() -> None:
    turns = Turns((np.array([0, 1, 2]), np.array([3, 4])), 5)
    made = replace(contribution(None), dim=5, turns=turns, subsample=Subsample(SEED, 2, turns.places))
    part, after = made.split(np.full(5, 8.0, dtype=np.float32), np.array([0.1, 0.2, 0.0]), 2, 1.0)
    assert part.tolist() == [8.1, 8.2]
    assert after.tolist() == [8.0, 8.0, 8.0, 0.0, 0.0]


@given(st.integers(4, 32), st.booleans(), st.sampled_from([1, 50]), st.integers(1, 5), st.integers(0, 99))
def test_parts_of_several_clients_sum_up_to_the_mean_of_what_travels(
    bits: int, rotated: bool, cap: int, clients: int, seed: int
) -> None:
    rng, dim, count, round = np.random.default_rng(seed), 40, 13, seed % 7 + 1
    codec = FixedPoint(1.0, bits, count, 5, cap, cap > 1, b"r" * 32 if rotated else None)
    sample = Subsample(SEED, count, (np.arange(dim),))
    made = replace(contribution(None), dim=dim, subsample=sample)
    updates = rng.normal(size=(clients, dim))
    weights = rng.integers(1, cap + 1, clients).tolist()
    before = rng.normal(size=(clients, dim)).astype(np.float32)
    parts = [made.split(b, u, round, 1.0)[0] for b, u in zip(before, updates, strict=True)]
    source = Stream(seed.to_bytes(32, "big"))
    total = np.add.reduce(
        [codec.encode(part, source, weight) for part, weight in zip(parts, weights, strict=True)],
        axis=0,
        dtype=codec.dtype,
    )
    mean, weight = codec.decode(total, clients)
    places = sample.of(round)
    wanted = [before[k] + clip_to_norm(updates[k], 1.0) for k in range(clients)]
    oracle = np.average([clip_to_norm(each[places], 1.0) for each in wanted], axis=0, weights=weights)
    assert weight == sum(weights)
    # A step per member and coordinate, mixed by the rotation, and float32 memory.
    mixed = np.sqrt(16) if rotated else 1.0
    assert np.abs(mean - oracle).max() < mixed * codec.step * cap * clients / sum(weights) + 1e-6


def test_with_a_steady_update_all_of_it_arrives_within_a_cycle() -> None:
    update, arrived, last = np.linspace(-0.1, 0.1, DIM), np.zeros(DIM), None
    for round in range(1, 9):
        made = contribution(update, last=last)
        contributed = made(model(float(round)), round)
        arrived[made.subsample.of(round)] += made.encoding.decode(contributed.words, 1)[0]
        last = contributed.unsent
    assert last is not None
    np.testing.assert_allclose(arrived + owed(last), 8 * update, atol=8 * made.encoding.step)
    assert np.abs(owed(last)).max() <= 7 * 0.1 + 1e-6, "no coordinate waits for two whole cycles"


# --- what is remembered -------------------------------------------------------------------------------


def test_the_same_broadcast_starts_from_what_was_owed_before_and_another_one_from_what_is_owed_now() -> None:
    update = np.full(DIM, 0.1)
    first = contribution(update)(model(), 1).unsent
    again = contribution(update, last=first)(model(), 1).unsent
    assert again == first, "an abandoned attempt is neither lost nor doubled"
    late = contribution(update, last=first)(model(), 2).unsent
    assert late.before == first.before, "a round that changed nothing did not happen"
    after = contribution(update, last=first)(model(1.0), 2).unsent
    assert after.before == first.after


def test_neither_rounding_nor_noise_enters_what_is_owed() -> None:
    update = np.linspace(0.01, 0.08, DIM)
    made = contribution(update, noisy=True)
    other = replace(made, local=replace(made.local, randomness=SeededRandomness(b"other noise")))
    one, two = made(model(), 1), other(model(), 1)
    assert one.words.tolist() != two.words.tolist()
    assert one.unsent == two.unsent
    coarse = replace(made, local=replace(made.local, encoding=FixedPoint(1.0, 4, 2, members=3)))
    assert coarse(model(), 1).unsent == one.unsent


def test_what_is_owed_does_not_show_in_what_travels() -> None:
    update = np.full(DIM, 0.1)
    made = contribution(update)
    places = made.subsample.of(1)
    secret = np.zeros(DIM, dtype=np.float32)
    secret[np.setdiff1d(np.arange(DIM), places)] = 1000.0
    last = Unsent(b"other", b"", secret.tobytes())
    assert contribution(update, last=last)(model(), 1).words.tolist() == made(model(), 1).words.tolist()


@pytest.mark.parametrize("owing", [0.0, 1.0, 1e6, 1e30])
def test_the_sensitivity_of_a_noisy_vector_holds_whatever_is_owed(owing: float) -> None:
    made = contribution(np.full(DIM, 5.0), noisy=True, last=None)
    part, _ = made.split(np.full(DIM, owing, dtype=np.float32), np.full(DIM, 5.0), 1, 1.0)
    encoding = made.encoding
    assert isinstance(encoding, NoisyFixedPoint)
    for key in range(20):
        rounded = encoding.rounded(part, Stream(key.to_bytes(32, "big")))
        assert int(rounded @ rounded) <= encoding.squared_norm


@pytest.mark.parametrize("update", [None, np.full(DIM, np.nan), np.full(DIM, np.inf)])
def test_a_broken_update_is_zeros_where_noise_covers_it_and_silence_elsewhere(
    update: np.ndarray | None,
) -> None:
    nothing = contribution(np.zeros(DIM), noisy=True)(model(), 1)
    broken = contribution(update, noisy=True)(model(), 1)
    assert broken.words.tolist() == nothing.words.tolist()
    assert broken.unsent == nothing.unsent
    with pytest.raises(DataError):
        contribution(update)(model(), 1)


# --- in a run -----------------------------------------------------------------------------------------


def seeded(config: Config) -> Process:
    return securefl.build_federated_averaging(config, randomness=SeededRandomness(b"part"), run="test")


def test_a_round_moves_the_drawn_coordinates_alone_and_their_moments(small: Make) -> None:
    config = small(PART, "server.optimizer={kind: adam, learning_rate: 0.03}")
    with seeded(config) as process:
        sample, state = process.terms.subsample, process.initialize()
        assert sample is not None
        assert process.terms.encoding.length == sample.count == 163
        for round in (1, 2, 3):
            after, _ = process.next(state)
            assert np.array_equal(np.flatnonzero(after.model != state.model), sample.of(round))
            assert set(np.flatnonzero(after.moments.first != state.moments.first)) <= set(sample.of(round))
            state = after


def test_a_masked_round_of_parts_gives_the_bits_of_an_open_one(small: Make) -> None:
    models = []
    for masking in ("true", "false"):
        one_group = (
            "clients=3",
            "robust={rule: mean, max_malicious: 0}",
            f"secure_aggregation.masking={masking}",
        )
        with seeded(small(PART, "secure_aggregation.rotation=true", *one_group)) as process:
            state = process.initialize()
            for _ in range(3):
                state, _ = process.next(state)
            models.append(state.model)
    assert np.array_equal(*models)


def test_under_unit_example_what_is_owed_is_made_of_noised_updates(small: Make) -> None:
    def remembered(*overrides: str) -> bytes:
        config = small(PART, "training.sample_rate=1.0", "training.local_steps=1", *overrides)
        with securefl.build_federated_averaging(config) as process:
            process.next(process.initialize())
            found = process.ledger.unsent(0)
            assert found is not None
            return found.after

    open_ = "privacy={unit: none}"
    assert remembered(open_) == remembered(open_), "all examples, no noise: nothing is random"
    assert remembered() != remembered(), "the noise is in what stays"


def test_an_abandoned_attempt_leaves_the_memory_as_before_and_the_next_one_starts_there(small: Make) -> None:
    with seeded(small(PART, "robust={rule: mean, max_malicious: 0}")) as process:
        state, _ = process.next(process.initialize())
        first = process.ledger.unsent(0)
        lossy = _without(process, Step.CONFIRM)
        abandoned, record = server.play(process.setting, state, lossy, Stopwatch())
        assert record.status == "abandoned"
        assert abandoned.attempt == 1
        tried = process.ledger.unsent(0)
        done, record = server.play(process.setting, abandoned, process.engine, Stopwatch())
        assert record.status == "done"
        assert done.round == 2
        again = process.ledger.unsent(0)
    assert first is not None
    assert tried is not None
    assert again is not None
    assert tried.after != first.after, "the attempt did leave this client"
    assert tried.before == again.before == first.after


def _without(process: Process, step: Step) -> Callable[[dict[int, bytes]], dict[int, bytes]]:
    def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
        replies = process.engine(requests)
        return {c: r for c, r in replies.items() if step_of(split(requests[c])[0]).step is not step}

    return exchange


def test_a_reply_that_could_not_be_stored_changes_no_memory(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from securefl.errors import BudgetExceeded
    from securefl.privacy.ledger import Ledger

    with seeded(small(PART)) as process:
        state, _ = process.next(process.initialize())
        first = process.ledger.unsent(0)

        def refuse(*arguments: object) -> None:
            raise BudgetExceeded("another process was faster")

        monkeypatch.setattr(Ledger, "charge", refuse)
        _, metrics = process.next(state)
        assert metrics.record.status == "abandoned"
        assert process.ledger.unsent(0) == first


@pytest.mark.parametrize("unit", ["example", "client"])
def test_a_run_of_parts_that_was_stopped_in_flight_goes_on_to_the_same_model(
    small: Make, small_client_level: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    make = small if unit == "example" else small_client_level
    config = make(PART, "simulation.dropout=0.02")
    source = SeededRandomness(b"stopped")
    runs.run(config, tmp_path / "whole", randomness=source)
    real, calls = server.combine, []

    def stopping(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 2:  # every client has stored what it owes after the second round
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(server, "combine", stopping)
        with pytest.raises(KeyboardInterrupt):
            runs.run(config, tmp_path / "stopped", randomness=source)
    runs.resume(tmp_path / "stopped", randomness=source)
    whole, stopped = (tmp_path / name / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()


def test_a_client_that_missed_rounds_owes_what_it_owed(small: Make) -> None:
    config = small(
        PART, "clients=12", "participation={kind: sample, cohort: 9}", "secure_aggregation.epoch_rounds=1"
    )
    with seeded(config) as process:
        state: State = process.initialize()
        for _ in range(3):
            before = {client: process.ledger.unsent(client) for client in range(12)}
            state, metrics = process.next(state)
            took_part = set(metrics.record.bytes_up)
            for client, owing in before.items():
                now = process.ledger.unsent(client)
                if client not in took_part:
                    assert now == owing
                elif owing is not None and now is not None:
                    assert now.before == owing.after


def test_the_noise_is_sized_for_what_travels(small_client_level: Make) -> None:
    whole, part = (settled(small_client_level(*more)) for more in ((), (PART,)))
    assert part.encoding.dim == 163
    assert part.budget is not None
    assert whole.budget is not None
    assert part.budget.epsilon <= 8.0
    assert part.budget.event.length == part.encoding.length < whole.encoding.length  # type: ignore[union-attr]


def settled(config: Config):
    return settle(config, load_dataset(config))


def test_the_card_says_what_waits_and_where(small: Make, small_client_level: Make) -> None:
    said = card(settled(small(PART))).markdown()
    assert "650 parameters, 163 of which travel in a round" in said
    assert "as private as what is sent" in said
    assert (
        "without noise: epsilon does not cover whoever gets that file"
        in card(settled(small_client_level(PART))).markdown()
    )


def test_without_a_durable_store_parts_are_refused(small: Make) -> None:
    terms = settled(small(PART))
    learner, _ = build_learner(terms)
    with pytest.raises(ConfigError, match=r"secure_aggregation\.subsample: expected whole updates"):
        local_update(terms, 0, SystemRandomness(), learner, Stopwatch())


def test_attackers_that_start_from_whole_updates_refuse_parts(small: Make) -> None:
    config = small(PART)
    clients = poisoned(config, named_attack("sign_flip"), 1)
    with pytest.raises(ConfigError, match="send whole updates"):
        securefl.build_federated_averaging(config, clients)


@pytest.mark.parametrize("value", ["0", "1", "1.5", "0.1.2"])
def test_a_part_is_a_fraction_below_one(small: Make, value: str) -> None:
    with pytest.raises(ConfigError, match=r"secure_aggregation\.subsample"):
        small(f"secure_aggregation.subsample={value}")


def test_nothing_of_it_is_in_a_config_that_does_not_ask(small: Make) -> None:
    assert "subsample" not in configuration.dump(small())
    with seeded(small()) as process:
        process.next(process.initialize())
        assert process.ledger.unsent(0) is None
