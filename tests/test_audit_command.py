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
# That a false alarm of the honest mechanism strikes has probability 1e-6 at most; at 0.95 it was 1e-3.
SURE = ("--confidence", "0.999999")
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


def run(config: Path, *words: str) -> Result:
    return RUNNER.invoke(app, ["audit", str(config), "--draws", "200", *words])


def test_both_bounds_the_samples_the_confidence_and_the_ceiling_are_printed(config: Path) -> None:
    done = run(config, *SURE)
    assert done.exit_code == 0, done.output
    for words in ("at least (audit)", "at most", "ceiling", "400 draws", "0.999999 over all", "delta 1e-05"):
        assert words in done.output


def test_json_holds_the_same_as_plain_values(config: Path) -> None:
    done = run(config, "--json", *SURE)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["samples"] == 400
    assert found["confidence"] == 0.999999
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
    assert "confidence 0.99 " in done.output, "what is assumed where nothing is said"


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--confidence", "1.0"), "confidence"), (("--set", "privacy={unit: none}"), "nothing")],
)
def test_what_cannot_be_audited_ends_with_exit_code_2(
    config: Path, words: tuple[str, ...], says: str
) -> None:
    done = run(config, *words)
    assert done.exit_code == 2
    assert says in done.stderr
