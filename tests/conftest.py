"""Shared by all tests: one small federation that trains in well under a second per round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from securefl import config as configuration
from securefl.config import Config

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
