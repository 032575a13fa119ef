"""Shared by all tests: a federation that trains in well under a second per round, an arena of seconds.

Property tests of the quick suite try the same examples in every run, so that a run says something about the
change and nothing about its luck; the slow suite, and whoever names the profile `fresh`, tries others each
time. No profile has a deadline or a health check that a busy machine could miss.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

from securefl import config as configuration
from securefl.config import Config

collect_ignore = ["kill_nursery.py"]
"""A program that tests start, not a module with tests or examples."""

for profile, same_examples in (("quick", True), ("fresh", False)):
    settings.register_profile(
        profile, derandomize=same_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the profile, unless `--hypothesis-profile` did."""
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("quick" if config.getoption("-m") == "not slow" else "fresh")


SMALL = """
version: 1
name: small
seed: 3
data: {kind: digits, test_fraction: 0.5, partition: {kind: iid}}
clients: 9
model: {kind: linear}
training: {local_steps: 2, learning_rate: 0.5, sample_rate: 0.2, expected_batch: 20}
privacy: {unit: example, epsilon: 8.0, delta: 1.0e-5, clip_norm: 1.0, spare_releases: 1}
secure_aggregation: {group_size: 3, threshold: 2, clip_norm: 1.0, bits: 16, epoch_rounds: 3}
robust: {rule: trimmed_mean, max_malicious: 1}
server: {rounds: 3}
"""


@pytest.fixture(scope="session")
def small() -> Callable[..., Config]:
    """Makes the small config; arguments are overrides such as `"server.rounds=5"`."""

    def make(*overrides: str) -> Config:
        return configuration.parse(SMALL, overrides)

    return make


ARENA_RUN = """
version: 1
seed: 3
data: {kind: digits, test_fraction: 0.5, partition: {kind: iid}}
clients: 6
model: {kind: linear}
training: {local_steps: 1, learning_rate: 1.0, sample_rate: 0.3, expected_batch: 40}
privacy: {unit: none}
secure_aggregation: {masking: false, group_size: 1, threshold: 1, clip_norm: 10.0, bits: 24, epoch_rounds: 9}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 2}
"""
AXES = {
    "version": 1,
    "name": "tiny",
    "config": "run.yaml",
    "attacks": [{"name": "foe", "strength": 50.0}, {"name": "label_flip"}],
    "defences": [
        {"name": "mean", "robust": {"rule": "mean", "max_malicious": 1, "norm_guard": False}},
        {"name": "median", "robust": {"rule": "median", "max_malicious": 1, "norm_guard": False}},
    ],
    "heterogeneity": [{"kind": "iid"}],
    "attackers": [1],
    "seeds": [0, 1],
}


@pytest.fixture
def arena_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny arena and its run; keyword arguments replace keys, None removes one."""

    def write(**changes: object) -> Path:
        (tmp_path / "run.yaml").write_text(ARENA_RUN)
        values = {key: value for key, value in {**AXES, **changes}.items() if value is not None}
        path = tmp_path / "arena.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


CLIENT_LEVEL = (
    "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 1e-3, spare_releases: 1}",
    "clients=12",
    "secure_aggregation={group_size: 4, threshold: 3, clip_norm: 0.5, bits: 16, epoch_rounds: 3}",
)


@pytest.fixture(scope="session")
def small_client_level(small: Callable[..., Config]) -> Callable[..., Config]:
    """The small config under `unit: client`: groups of 4 of which 3 survive, one poisoner, so h = 2."""

    def make(*overrides: str) -> Config:
        return small(*CLIENT_LEVEL, *overrides)

    return make
