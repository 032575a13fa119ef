"""`securefl audit`: text, JSON and exit codes; what it says is checked in tests/audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from securefl import config as configuration
from securefl.cli import app
from securefl.config import Config
from securefl.training import dp_sgd

RUNNER = CliRunner()
SURE = "0.99999999"
"""A false alarm that fails a test here has probability 1e-8 at most."""
ONE_ROUND = (
    "training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 20}",
    "server.rounds=1",
    "privacy.spare_releases=0",
    "secure_aggregation.epoch_rounds=1",
)


@pytest.fixture
def config(tmp_path: Path, small: Callable[..., Config]) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(configuration.dump(small(*ONE_ROUND)))
    return path


@pytest.fixture
def client_level(tmp_path: Path, small_client_level: Callable[..., Config]) -> Path:
    path = tmp_path / "client_level.yaml"
    path.write_text(configuration.dump(small_client_level()))
    return path


def run(config: Path, *words: str) -> Result:
    size = () if "--method" in words else ("--draws", "200")
    return RUNNER.invoke(app, ["audit", str(config), "--confidence", SURE, *size, *words])


def test_both_bounds_the_samples_the_confidence_and_the_ceiling_are_printed(config: Path) -> None:
    done = run(config)
    assert done.exit_code == 0, done.output
    for words in ("at least (audit)", "at most", "ceiling", "400 draws", "confidence 0.99", "delta 1e-05"):
        assert words in " ".join(done.output.split())


def test_json_holds_the_same_as_plain_values(config: Path) -> None:
    done = run(config, "--json", "--confidence", "0.99999995")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["samples"] == 400
    assert found["confidence"] == 0.99999995
    assert found["refuted"] is False
    assert found["release"]["lower"]["epsilon"] <= found["release"]["upper"]
    assert found["release"]["lower"]["epsilon"] <= found["release"]["lower"]["ceiling"]


def test_a_mechanism_that_leaks_more_than_is_accounted_for_ends_with_exit_code_1(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dp_sgd, "gaussian", lambda stream, count: np.full(count, 1e-3))
    done = run(config)
    assert done.exit_code == 1
    assert "leaks more" in done.stderr


FRAME = ("at least (audit)", "at most", "ceiling", "one release", "a whole run", "confidence 0.99")


def test_whole_clients_are_audited_in_two_worlds(client_level: Path) -> None:
    done = run(client_level)
    assert done.exit_code == 0, done.output
    for words in (*FRAME, "client 0 with all its examples, two-world audit", "400 draws", "delta 0.001"):
        assert words in " ".join(done.output.split())


def test_one_run_of_canary_examples_is_about_a_whole_run(config: Path) -> None:
    done = run(config, "--method", "one-run", "--canaries", "30")
    assert done.exit_code == 0, done.output
    for words in (*FRAME, "a whole run, no assumption", "10 guesses", "30 canaries in one run of 1 releases"):
        assert words in " ".join(done.output.split())
    found = json.loads(run(config, "--method", "one-run", "--canaries", "30", "--json").stdout)
    assert (found["method"], found["samples"], found["refuted"]) == ("one-run", 10, False)
    assert found["run"]["lower"]["epsilon"] <= found["run"]["upper"]
    assert found["release"]["lower"] <= found["release"]["upper"]


def test_one_shot_of_canary_clients_also_estimates(client_level: Path) -> None:
    done = run(client_level, "--method", "one-shot", "--canaries", "50")
    assert done.exit_code == 0, done.output
    for words in (*FRAME, "one release, no assumption", "50 canary clients in 25 sums", "which is no bound"):
        assert words in " ".join(done.output.split())
    found = json.loads(run(client_level, "--method", "one-shot", "--canaries", "50", "--json").stdout)
    assert (found["method"], found["samples"]) == ("one-shot", 150)
    assert found["release"]["lower"]["epsilon"] <= found["release"]["lower"]["ceiling"]
    assert found["estimate"] >= 0.0


def test_help_teaches_the_three_methods() -> None:
    done = RUNNER.invoke(app, ["audit", "--help"])
    for words in ("two-world:", "one-run:", "one-shot:", "no bound", "ceiling"):
        assert words in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--confidence", "1.0"), "confidence"),
        (("--set", "privacy={unit: none}"), "promises nothing"),
        (("--method", "one-rum"), "did you mean 'one-run'"),
        (("--method", "one-shot"), "its canaries are whole clients; nearest to it is one-run"),
        (("--method", "one-run", "--draws", "100"), "expected canaries with this method, got draws"),
        (("--method", "two-world", "--canaries", "100"), "expected draws with this method, got canaries"),
    ],
)
def test_what_cannot_be_audited_ends_with_exit_code_2(
    config: Path, words: tuple[str, ...], says: str
) -> None:
    done = run(config, *words)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())


def test_a_method_for_examples_is_refused_where_clients_are_protected(client_level: Path) -> None:
    done = run(client_level, "--method", "one-run")
    assert done.exit_code == 2
    assert "nearest to it is one-shot" in " ".join(done.stderr.split())
