"""A whole run with noise shared among clients: sums, charges, dropouts, a kill, worker processes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import securefl
from securefl import config as configuration
from securefl import run as runs
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.encoding.fixed_point import sign_extended
from securefl.federation import server
from securefl.federation.central_noise import CentralNoise
from securefl.federation.client import Client
from securefl.federation.contribution import LocalUpdate
from securefl.federation.server import State
from securefl.guarantee import Terms
from securefl.privacy.events import DistributedDiscreteGaussian
from securefl.privacy.ledger import Ledger
from securefl.process import Process
from securefl.secagg import GroupOutcome

Make = Callable[..., Config]
SEED = b"client level"


@dataclass
class Recorder:
    """A contribution that keeps what it gave: rounded updates without noise, and the words that it sent."""

    honest: LocalUpdate
    words: dict[int, np.ndarray] = field(default_factory=dict)
    noise: dict[int, np.ndarray] = field(default_factory=dict)

    def __call__(self, model: bytes, round: int) -> np.ndarray:
        encoding, source = (
            self.honest.encoding,
            self.honest.randomness.stream("rounding", self.honest.client, round),
        )
        update = self.honest.update(np.frombuffer(model, dtype="<f4"), round)
        rounded = encoding.rounded(update, source)
        words = self.honest(model, round)
        self.words[round] = words.copy()  # the protocol masks in place
        spare = np.int64(64 - encoding.ring_bits)
        self.noise[round] = ((words.astype(np.int64) - rounded) << spare) >> spare
        return words


def recorded(config: Config, monkeypatch: pytest.MonkeyPatch) -> tuple[Terms, dict[int, Recorder], list]:
    """The terms of a seeded run that was played, what each client gave, what the server learned per round."""
    recorders: dict[int, Recorder] = {}
    learned: list[tuple[GroupOutcome, ...]] = []
    real = server.aggregate

    def listening(*args: object, **kwargs: object) -> tuple[GroupOutcome, ...]:
        learned.append(real(*args, **kwargs))
        return learned[-1]

    def record(honest: Mapping[int, Client]) -> dict[int, Client]:
        recorders.update({client: Recorder(one.contribution) for client, one in honest.items()})
        return {client: replace(one, contribution=recorders[client]) for client, one in honest.items()}

    monkeypatch.setattr(server, "aggregate", listening)
    source = SeededRandomness(SEED)
    with securefl.build_federated_averaging(config, record, randomness=source, run="test") as process:
        played(process)
        return process.terms, recorders, learned


def played(process: Process) -> State:
    state = process.initialize()
    while not process.finished(state):
        state, _ = process.next(state)
    return state


def test_the_server_learns_exactly_the_sum_of_noisy_words_and_nothing_without_noise(
    small_client_level: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, recorders, learned = recorded(small_client_level("server.rounds=2"), monkeypatch)
    encoding = terms.encoding
    ring = encoding.dtype((1 << encoding.ring_bits) - 1)
    assert len(learned) == 2
    for round, outcomes in enumerate(learned, 1):
        for outcome in outcomes:
            words = sum(recorders[client].words[round] for client in outcome.survivors)
            assert np.array_equal(words & ring, outcome.total)


def test_the_noise_in_a_run_is_what_was_charged_for(
    small_client_level: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, recorders, _ = recorded(small_client_level("server.rounds=2"), monkeypatch)
    assert terms.budget is not None
    event = terms.budget.event
    assert isinstance(event, DistributedDiscreteGaussian)
    shares = np.stack([one.noise[round] for one in recorders.values() for round in (1, 2)])
    samples = shares.size
    assert abs(shares.var() / event.sigma**2 - 1) < 5 * math.sqrt(2 / samples)
    # Shares of different clients and rounds are independent: no pair correlates.
    correlations = np.corrcoef(shares) - np.eye(len(shares))
    assert np.abs(correlations).max() < 5.5 / math.sqrt(shares.shape[1])


CENTRAL = "privacy={unit: client, noise: central, trusted_server: true, epsilon: 8.0, delta: 1e-3}"


@pytest.mark.parametrize("masking", [True, False])
def test_a_trusted_server_adds_to_every_sum_the_noise_that_was_charged_for(
    small_client_level: Make, monkeypatch: pytest.MonkeyPatch, masking: bool
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    real = CentralNoise.__call__

    def listening(self: CentralNoise, total: np.ndarray, *label: int) -> np.ndarray:
        noisy = real(self, total, *label)
        seen.append((total, noisy))
        return noisy

    monkeypatch.setattr(CentralNoise, "__call__", listening)
    config = small_client_level(
        CENTRAL, "server.rounds=2", f"secure_aggregation.masking={str(masking).lower()}"
    )
    terms, recorders, learned = recorded(config, monkeypatch)
    encoding = terms.encoding
    assert not any(one.noise[round].any() for one in recorders.values() for round in (1, 2))
    totals = [outcome.total for outcomes in learned for outcome in outcomes]
    assert all(np.array_equal(total, given) for total, (given, _) in zip(totals, seen, strict=True))
    noise = [
        sign_extended(after, encoding.ring_bits) - sign_extended(total, encoding.ring_bits)
        for total, after in seen
    ]
    samples = np.stack(noise)
    assert abs(samples.var() / encoding.noise.sigma**2 - 1) < 5 * math.sqrt(2 / samples.size)
    correlations = np.corrcoef(samples) - np.eye(len(samples))
    assert np.abs(correlations).max() < 5.5 / math.sqrt(samples.shape[1]), "fresh for every sum"


def test_every_vector_is_charged_once_with_the_event_on_the_card(
    small_client_level: Make, tmp_path: Path
) -> None:
    config = small_client_level("simulation.dropout=0.05")
    summary = runs.run(config, tmp_path / "run")
    assert summary["privacy_unit"] == "client"
    assert "unit: one client" in summary["privacy_statement"]
    run_id = json.loads((tmp_path / "run" / "manifest.json").read_text())["run_id"]
    with Ledger.open(tmp_path / "run" / "ledger.sqlite", run=run_id, create=False) as ledger:
        intents = [one for one in ledger.records() if one.kind == "intent"]
    assert all('"kind":"distributed_discrete_gaussian"' in one.event for one in intents)
    charged = [(one.client, one.round, one.attempt) for one in intents]
    assert len(set(charged)) == len(charged) <= 12 * 4
    assert 0 < summary["epsilon"] <= summary["epsilon_planned"] <= 8.0


def test_a_run_that_was_stopped_in_flight_goes_on_to_the_same_model(
    small_client_level: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_client_level("simulation.dropout=0.02")
    runs.run(config, tmp_path / "whole", randomness=SeededRandomness(SEED))
    real, calls = server.combine, []

    def stopping(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 2:  # the sums of the second round are open, and nothing of it is recorded yet
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(server, "combine", stopping)
        with pytest.raises(KeyboardInterrupt):
            runs.run(config, tmp_path / "stopped", randomness=SeededRandomness(SEED))
    runs.resume(tmp_path / "stopped", randomness=SeededRandomness(SEED))
    whole, stopped = (tmp_path / name / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()


@pytest.mark.slow
def test_worker_processes_give_the_same_bits_as_one_process(small_client_level: Make) -> None:
    def model(*overrides: str) -> bytes:
        config = small_client_level("server.rounds=2", *overrides)
        with securefl.build_federated_averaging(
            config, randomness=SeededRandomness(SEED), run="test"
        ) as process:
            return played(process).model.tobytes()

    assert model() == model("engine={kind: processes, workers: 2}")


def test_two_private_runs_of_one_seed_have_different_noise(small_client_level: Make) -> None:
    models = []
    for _ in range(2):
        with securefl.build_federated_averaging(small_client_level("server.rounds=1")) as process:
            models.append(played(process).model)
    assert not np.array_equal(*models)


def test_a_rotated_run_learns_the_same_kind_of_update(small_client_level: Make) -> None:
    config = small_client_level("server.rounds=1", "privacy.epsilon=100.0")
    with securefl.build_federated_averaging(config, randomness=SeededRandomness(SEED), run="test") as process:
        plain = played(process)
        terms, start = process.terms, process.initialize()
    turned = replace(terms, encoding=replace(terms.encoding, rotation=bytes(32)))
    with securefl.building.assemble(turned, randomness=SeededRandomness(SEED), run="test") as process:
        rotated = played(process)
    # The same clipped updates, so the two models differ by the noise of two sums (and rounding).
    noise = math.sqrt(2) * terms.encoding.noise.sigma * terms.encoding.step / math.sqrt(4)
    difference = np.linalg.norm(plain.model - rotated.model)
    assert difference < 1.2 * noise * math.sqrt(terms.dim)
    assert np.any(rotated.model != start.model)


EXAMPLE = Path(__file__).parent.parent / "examples" / "configs" / "client_level.yaml"


def test_the_example_config_has_one_group_with_forty_five_guaranteed_shares() -> None:
    config = configuration.load(EXAMPLE)
    assert (config.groups, config.honest_shares) == (1, 50 - 5)


@pytest.mark.slow
def test_the_example_config_learns_under_its_noise(tmp_path: Path) -> None:
    summary = runs.run(configuration.load(EXAMPLE), tmp_path / "run")
    assert summary["epsilon"] <= 8.0
    assert summary["test_accuracy"] > 0.7  # ACCURACY
