"""`securefl verify`: what it prints, writes and returns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from securefl.cli import app

ROOT = Path(__file__).resolve().parents[1]
RUN = """
version: 1
name: tiny
data: {kind: digits, test_fraction: 0.5, partition: {kind: dirichlet, alpha: 0.5}}
clients: 6
model: {kind: linear}
training: {local_steps: 1, learning_rate: 0.5, sample_rate: 0.5, expected_batch: 60}
privacy: {unit: none}
secure_aggregation: {group_size: 3, threshold: 2, clip_norm: 1.0, bits: 16}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 1}
"""
MODEL = """
version: 1
id: listener
adversary: {role: server, behaviour: curious, colludes_with: nobody}
capabilities: {sees: [wire], queries: 1}
asset: What a client has most of.
system: {config: run.yaml}
claims:
  - kind: measured
    id: labels
    sentence: A server that listens learns no label.
    metric: labels_named
    bound: BOUND
    confidence: 0.9
    attacks: [{name: label_from_message}]
    control: {overrides: ["secure_aggregation.masking=false"], bound: 0.4}
    budget: {seeds: 3}
    residual: [It sees the sum of a group.]
    out_of_scope: [Side channels of machines.]
"""


@pytest.fixture
def model(tmp_path: Path) -> Callable[[float], Path]:
    def write(bound: float) -> Path:
        (tmp_path / "run.yaml").write_text(RUN)
        path = tmp_path / "listener.yaml"
        path.write_text(MODEL.replace("BOUND", str(bound)))
        return path

    return write


def test_a_claim_that_holds_gives_one_line_and_no_error(
    model: Callable[[float], Path], tmp_path: Path
) -> None:
    html, junit = tmp_path / "a.html", tmp_path / "a.xml"
    words = ["verify", str(model(0.6)), "--workers", "1", "--html", str(html), "--junit", str(junit)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    line = next(one for one in done.stdout.splitlines() if one.startswith("listener/labels"))
    assert "<= 0.6" in line and "HOLDS" in line and "18 samples; confidence 0.9" in line
    assert done.stderr == "", "no progress bar where there is no terminal"
    assert "HOLDS" in html.read_text() and 'tests="1"' in junit.read_text()


def test_a_claim_that_does_not_hold_ends_with_an_error_and_its_name(model: Callable[[float], Path]) -> None:
    # Masks leave chance, about 2 of 18, which the exact interval cannot place below 0.01.
    done = CliRunner().invoke(app, ["verify", str(model(0.01)), "--workers", "1", "--json", "-"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["claims"][0]["verdict"] in ("REFUTED", "INCONCLUSIVE")
    assert "listener/labels" in done.stderr


def test_a_file_that_is_no_threat_model_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("version: 1\nidd: x\n")
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert done.exit_code == 2
    assert "did you mean 'id'?" in done.stderr


def test_a_users_config_without_masks_is_told_which_claims_do_not_apply() -> None:
    own = ROOT / "examples" / "configs" / "no_privacy.yaml"
    place = str(ROOT / "threat_models" / "curious_server.yaml")
    done = CliRunner().invoke(app, ["verify", place, "--config", str(own), "--workers", "1"])
    assert done.exit_code == 0
    assert done.stdout.count("NOT TESTED") == 3 and "HOLDS" not in done.stdout
    assert "secure_aggregation.masking is off" in done.stdout
