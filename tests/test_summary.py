"""The summary: everything in it follows from the run's own files and its final state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from securefl import config as configuration
from securefl import run as runs
from securefl import run_directory as folder
from securefl.building import assemble
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.data import Dataset
from securefl.guarantee import settle
from securefl.secagg import Step
from securefl.summary import summarise
from securefl.transport import Dropouts, vanishing

Make = Callable[..., Config]
QUICKSTART = Path(__file__).parent.parent / "examples" / "configs" / "quickstart.yaml"
ORDERED = {
    "test_accuracy", "epsilon", "delta", "privacy_unit", "rounds", "clients", "groups", "dropped",
    "bytes_up_per_client_per_round", "seconds_total", "seconds_by_phase",
}  # fmt: skip


def lines(out: Path, name: str) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def test_the_numbers_are_those_of_the_round_records(small: Make, tmp_path: Path) -> None:
    summary = runs.run(small("simulation.dropout=0.3", "server.rounds=4"), tmp_path / "run")
    rounds, metrics = lines(tmp_path / "run", folder.ROUNDS), lines(tmp_path / "run", folder.METRICS)
    assert summary.keys() >= ORDERED
    assert summary["rounds_done"] == sum(record["status"] == "done" for record in rounds)
    assert summary["rounds_done"] + summary["rounds_abandoned"] == 4  # type: ignore[operator]
    assert summary["dropped"] == sum(len(record["dropped"]) for record in rounds) > 0  # type: ignore[arg-type, misc]
    sent = sum(sum(record["bytes_up"].values()) for record in rounds)  # type: ignore[attr-defined]
    assert summary["bytes_up_per_client_per_round"] == pytest.approx(sent / 9 / len(rounds))
    assert summary["seconds_total"] == pytest.approx(sum(float(str(line["seconds"])) for line in metrics))
    assert summary["test_accuracy"] == metrics[-1]["test_accuracy"]
    assert summary["epsilon"] == metrics[-1]["epsilon"]
    assert summary["epsilon"] <= summary["epsilon_planned"] <= 8.0  # type: ignore[operator]
    assert f"epsilon = {summary['epsilon']:.4f} at delta = 1e-05" in str(summary["privacy_statement"])


def test_a_dropout_counts_in_every_round_that_it_misses_also_when_the_draw_lost_it(tmp_path: Path) -> None:
    # Under seed 14 client 4 vanishes in the draw before round 1, and client 2 in that before round 6.
    overrides = ("seed=14", "server.rounds=7", "privacy={unit: none}", "simulation.client_curves=false")
    config = configuration.load(QUICKSTART, overrides)
    summary = runs.run(config, tmp_path / "run")
    rounds = [_Played.model_validate(line) for line in lines(tmp_path / "run", folder.ROUNDS)]
    assert [line.dropped for line in rounds] == [missed(config, line) for line in rounds]
    assert summary["dropped"] == sum(len(missed(config, line)) for line in rounds)
    for line in rounds:
        assert {4 if line.round <= 5 else 2} <= set(line.dropped)


class _Group(BaseModel):
    members: list[int]


class _Played(BaseModel):
    """What the test reads of a line of rounds.jsonl."""

    round: int
    attempt: int
    groups: list[_Group]
    dropped: list[int]


def missed(config: Config, line: _Played) -> list[int]:
    """Who misses a round: in no group, or vanished before its group was done or had aborted."""
    dropouts = Dropouts(config.simulation.dropout, config.seed)
    away = set(range(config.clients)).difference(*(group.members for group in line.groups))
    for group in line.groups:
        shape = config.secure_aggregation.shape(len(group.members))
        for step in (Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK):
            lost = [(c, vanishing(dropouts, line.round, line.attempt, c)) for c in group.members]
            gone = {client for client, one in lost if one is not None and one.step <= step}
            away |= gone
            needed = shape.survivors if step <= Step.MASK else shape.threshold
            if len(group.members) - len(gone) < needed:
                break
    return sorted(away)


@pytest.mark.parametrize("private", [True, False])
def test_what_is_not_private_has_no_epsilon_and_says_so(small: Make, tmp_path: Path, private: bool) -> None:
    overrides = () if private else ("privacy={unit: none}",)
    source = SeededRandomness(b"s") if private else None
    summary = runs.run(small("server.rounds=1", *overrides), tmp_path / "run", randomness=source)
    assert (summary["private"], summary["epsilon"], summary["epsilon_planned"]) == (False, None, None)
    assert summary["privacy_unit"] == ("example" if private else "none")
    assert str(summary["privacy_statement"]).startswith("epsilon is infinite")


def test_natural_clients_are_scored_apart_against_their_own_majority(small: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(360, 3)).astype(np.float32)
    sites = np.arange(360) % 9
    y = ((x[:, 0] > 0) | (sites == 8)).astype(np.int64)  # the last site knows one class
    data = replace(
        Dataset.of_arrays("sites", (x[:270], y[:270]), (x[270:], y[270:]), 2, "ab" * 32),
        train_clients=sites[:270],
        test_clients=sites[270:],
        client_names=tuple("abcdefghi"),
    )
    terms = settle(small("privacy={unit: none}"), data)
    with assemble(terms) as process:
        folder.append_line(
            tmp_path / folder.ROUNDS, {"status": "done", "dropped": [], "seconds": {"training": 1.0}}
        )
        folder.append_line(tmp_path / folder.METRICS, {"bytes_up_per_client": 7.0, "seconds": 1.0})
        summary = summarise(terms, tmp_path, process, process.initialize())
    table = summary["clients_accuracy"]
    assert isinstance(table, dict)
    assert list(table) == list("abcdefghi")
    assert sum(one["examples"] for one in table.values()) == 90
    assert table["i"]["majority"] == 1.0
    relabelled = replace(data.train, labels=1 - data.train.labels)
    with assemble(settle(small("privacy={unit: none}"), replace(data, train=relabelled))) as process:
        again = summarise(process.terms, tmp_path, process, process.initialize())
    assert again["majority_accuracy"] == summary["majority_accuracy"], "no training label decides it"
    assert [one["majority"] for one in again["clients_accuracy"].values()] == [  # type: ignore[attr-defined]
        one["majority"] for one in table.values()
    ]
    weighted = sum(one["accuracy"] * one["examples"] for one in table.values()) / 90
    assert weighted == pytest.approx(summary["test_accuracy"])
