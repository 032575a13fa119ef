"""The Python door: real clients against the real server, and what stays equal when the engine changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import securefl
from securefl.building import assemble, load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness, SystemRandomness
from securefl.encoding import clip_to_norm, quantise
from securefl.errors import BudgetExceeded, ConfigError, DataError, LedgerError
from securefl.federation import Client, LocalUpdate, State
from securefl.guarantee import settle
from securefl.process import Metrics, Process
from securefl.secagg import Step, split, step_of

Make = Callable[..., Config]


def played(process: Process) -> tuple[State, list[Metrics]]:
    state, seen = process.initialize(), []
    while not process.finished(state):
        state, metrics = process.next(state)
        seen.append(metrics)
    return state, seen


def model_of(config: Config, seed: bytes = b"test") -> np.ndarray:
    with securefl.build_federated_averaging(config, randomness=SeededRandomness(seed), run="test") as process:
        return played(process)[0].model


def test_a_federation_learns_and_stays_within_its_epsilon(small: Make) -> None:
    config = small("server.rounds=8", "privacy.epsilon=50.0", "training.learning_rate=1.0")
    with securefl.build_federated_averaging(config) as process:
        state, seen = played(process)
        assert process.evaluate(state).accuracy > 0.4
        assert all(metrics.record.status == "done" for metrics in seen)
        spent = [metrics.epsilon for metrics in seen]
        assert spent == sorted(spent)
        assert process.terms.budget is not None
        assert 0 < spent[-1] < process.terms.budget.epsilon <= 50.0


def test_masked_and_unmasked_rounds_give_the_same_bits(small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # The draw of groups depends on the config's digest; held equal, so that the groups are.
    monkeypatch.setattr("securefl.config.digest", lambda config: bytes(32))
    masked = model_of(small())
    plain = model_of(small("secure_aggregation.masking=false"))
    assert masked.tobytes() == plain.tobytes()
    assert np.any(masked)


def test_worker_processes_give_the_same_bits_as_one_process(small: Make) -> None:
    dropping = "simulation.dropout=0.1"
    alone = model_of(small(dropping))
    workers = model_of(small(dropping, "engine={kind: processes, workers: 2}"))
    assert alone.tobytes() == workers.tobytes()


def test_two_private_runs_of_one_seed_differ_because_noise_is_not_seeded(small: Make) -> None:
    models = []
    for _ in range(2):
        with securefl.build_federated_averaging(small("server.rounds=1")) as process:
            models.append(played(process)[0].model)
    assert not np.array_equal(models[0], models[1])


@pytest.mark.parametrize(
    "weights",
    ["{kind: uniform}", "{kind: public, values: [3, 1, 2, 5, 1, 1, 4, 1, 2]}", "{kind: examples, cap: 80}"],
)
def test_rule_mean_is_the_weighted_average_of_fedavg_to_the_quantisation_bound(
    small: Make, weights: str
) -> None:
    config = small("robust.rule=mean", f"server.weights={weights}", "server.rounds=1")
    seen: dict[int, np.ndarray] = {}

    @dataclass(frozen=True)
    class Watched:
        honest: LocalUpdate

        def __call__(self, model: bytes, round: int) -> np.ndarray:
            start = np.frombuffer(model, dtype="<f4")
            update = self.honest.update(start, round)
            seen[self.honest.client] = clip_to_norm(update, self.honest.encoding.clip_norm)
            return self.honest(model, round)

    def watched(honest: Mapping[int, Client]) -> dict[int, Client]:
        return {
            client: replace(one, contribution=Watched(one.contribution)) for client, one in honest.items()
        }

    with securefl.build_federated_averaging(config, watched, randomness=SeededRandomness(b"w")) as process:
        state, _ = played(process)
        start, weight, codec = process.initialize().model, process.terms.weights, process.terms.encoding
    assert set(seen) == set(range(9))
    total = sum(weight.values())
    oracle = start + sum(weight[client] / total * seen[client] for client in seen)
    # Per client one rounding step at most, magnified by cap / weight in its own share; then float32.
    bound = codec.step * codec.cap * len(seen) / total + 1e-6
    assert np.abs(state.model - oracle).max() <= bound


def test_a_client_that_inverts_its_update_is_caught_by_the_guard_and_borne_by_the_trim(small: Make) -> None:
    @dataclass(frozen=True)
    class Inverted:
        honest: LocalUpdate

        def __call__(self, model: bytes, round: int) -> np.ndarray:
            update = -10.0 * self.honest.update(np.frombuffer(model, dtype="<f4"), round)
            codec = self.honest.encoding
            return quantise(update, codec.step, SystemRandomness().stream("rounding"), codec.dtype)

    def with_bad(honest: Mapping[int, Client]) -> dict[int, Client]:
        return {**honest, 4: replace(honest[4], contribution=Inverted(honest[4].contribution))}

    for guard, expected in (("true", ["excluded_norm"]), ("false", [])):
        config = small(f"robust.norm_guard={guard}", "privacy.epsilon=50.0", "training.local_steps=6")
        with securefl.build_federated_averaging(config, with_bad) as process:
            state, seen = played(process)
        statuses = [group.status for group in seen[0].record.groups if 4 in group.members]
        assert [status for status in statuses if status != "summed"] == expected
        assert all(metrics.record.status == "done" for metrics in seen)
        assert (
            np.linalg.norm(state.model - process.initialize().model) <= 3 * process.terms.encoding.norm_bound
        )


def test_a_round_with_too_few_groups_is_abandoned_and_repeated_while_spares_last(small: Make) -> None:
    @dataclass(frozen=True)
    class Silent:
        id: int

        def prepare(self, request: bytes) -> object:
            raise BudgetExceeded("out of budget")

    def two_silent(honest: Mapping[int, Client]) -> dict[int, object]:
        return {**honest, 0: Silent(0), 1: Silent(1), 2: Silent(2), 3: Silent(3), 4: Silent(4)}

    config = small("secure_aggregation.threshold=3", "server.rounds=2")
    with securefl.build_federated_averaging(config, two_silent) as process:  # type: ignore[arg-type]
        start = process.initialize()
        state, seen = played(process)
    assert [(m.record.round, m.record.attempt, m.record.status) for m in seen] == [
        (1, 0, "abandoned"),
        (1, 1, "abandoned"),
        (2, 0, "abandoned"),
    ]
    assert np.array_equal(state.model, start.model)
    assert "out of budget" in seen[0].record.refusals[0]


def test_a_shared_ledger_charges_a_second_run_on_top_and_refuses_it_over_the_cap(
    small: Make, tmp_path: Path
) -> None:
    shared = f"privacy.ledger={tmp_path / 'shared.sqlite'}"
    with securefl.build_federated_averaging(small(shared, "privacy.budget=9.0")) as process:
        played(process)
        first = process.epsilon()
    with pytest.raises(BudgetExceeded, match="above the cap of 9"):
        securefl.build_federated_averaging(small(shared, "privacy.budget=9.0", "seed=4"))
    with securefl.build_federated_averaging(small(shared, "privacy.budget=20.0", "seed=4")) as process:
        played(process)
        assert process.epsilon() > first + 1.0


def test_the_replayable_source_cannot_meet_a_real_ledger(small: Make, tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    with pytest.raises(ConfigError, match="replayable test source"):
        securefl.build_federated_averaging(small(f"privacy.ledger={path}"), randomness=SeededRandomness(b"x"))
    assert not path.exists()
    with securefl.build_federated_averaging(small(f"privacy.ledger={path}", "server.rounds=1")) as process:
        played(process)
    config = small("server.rounds=1")
    with pytest.raises(LedgerError, match="real runs"):
        assemble(settle(config, load_dataset(config)), randomness=SeededRandomness(b"x"), ledger=path)


def test_a_run_under_the_test_source_reports_no_finite_epsilon(small: Make) -> None:
    with securefl.build_federated_averaging(
        small("server.rounds=1"), randomness=SeededRandomness(b"x")
    ) as process:
        _, seen = played(process)
    assert [metrics.epsilon for metrics in seen] == [None]


def test_python_objects_are_refused_under_worker_processes(small: Make) -> None:
    with pytest.raises(ConfigError, match=r"use engine.kind: in_process"):
        securefl.build_federated_averaging(small("engine={kind: processes}"), clients=dict)


def test_delta_at_one_over_n_is_refused(small: Make) -> None:
    with pytest.raises(ConfigError, match="below 1/n"):
        securefl.build_federated_averaging(small("privacy.delta=0.01"))


def test_more_clients_than_examples_are_refused(small: Make) -> None:
    with pytest.raises(DataError, match="clients"):
        securefl.build_federated_averaging(small("clients=900"))


def test_an_own_module_and_an_own_data_set_come_in_through_python(small: Make) -> None:
    from torch import nn

    from securefl.data import Dataset

    random = np.random.default_rng(0)
    x = random.normal(size=(400, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    data = Dataset.of_arrays("own", (x[:300], y[:300]), (x[300:], y[300:]), 2, "ab" * 32)
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    config = small(
        "privacy={unit: none}", "training.learning_rate=2.0", "training.expected_batch=7", "server.rounds=10"
    )
    with securefl.build_federated_averaging(config, dataset=data, model=module) as process:
        state, _ = played(process)
        assert process.terms.dim == 5 * 4 + 4 + 4 * 2 + 2
        assert process.evaluate(state).accuracy > 0.8


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((nn.Flatten(), nn.Linear(64, 5)), "each of the data's 10 classes, got 5; change the last layer"),
        ((nn.Flatten(), nn.Linear(64, 12)), "each of the data's 10 classes, got 12"),
        ((nn.Flatten(), nn.Linear(65, 10)), r"does not accept examples of shape \(1, 8, 8\)"),
        ((nn.Flatten(),), "at least one trainable parameter, the module has none"),
        ((nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)), "mixes the examples of a batch"),
    ],
)
def test_an_own_module_that_does_not_fit_the_data_is_refused_before_anything_is_asked_of_it(
    small: Make, layers: tuple[nn.Module, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=f"^model: .*{says}"):
        securefl.build_federated_averaging(small(), model=nn.Sequential(*layers))


@pytest.mark.parametrize(("late", "opened"), [((1,), True), ((1, 2), False)])
def test_members_lost_in_the_draw_and_later_come_off_the_same_bound_on_dropouts(
    small: Make, late: tuple[int, ...], opened: bool
) -> None:
    # Two of ten may be missing: one is when the group is drawn, the others when vectors are sent.
    config = small(
        "clients=10",
        "secure_aggregation={group_size: 10, threshold: 6, max_dropout: 0.2, clip_norm: 1.0}",
        "robust={rule: mean, max_malicious: 0}",
    )

    def present(client: int, request: bytes) -> bool:
        step = step_of(split(request)[0]).step
        return client != 0 and not (client in late and step >= Step.MASK)

    with securefl.build_federated_averaging(config) as process:
        honest = process._exchange
        process._exchange = lambda requests: honest({c: r for c, r in requests.items() if present(c, r)})
        _, metrics = process.next(process.initialize())
    (group,) = metrics.record.groups
    assert len(group.members) == 9
    assert (group.status == "summed") is opened
    assert len(group.survivors) == (8 if opened else 0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "linear"}, r"model: expected a torch\.nn\.Module .* got 'linear'"),
        ({"clients": 5}, r"clients: expected a function from the honest clients .* got 5"),
        ({"clients": list}, r"clients: expected a function that returns a mapping .* got \[0, 1"),
        ({"dataset": "digits"}, r"dataset: expected a securefl\.data\.Dataset, got 'digits'"),
    ],
)
def test_objects_of_another_kind_are_refused_by_name(
    small: Make, given: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        securefl.build_federated_averaging(small("privacy={unit: none}"), **given)  # type: ignore[arg-type]


def test_a_config_that_is_neither_a_config_nor_a_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="config: expected a Config or the path of a YAML file, got 5"):
        securefl.build_federated_averaging(5)  # type: ignore[arg-type]
