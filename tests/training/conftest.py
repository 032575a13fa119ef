"""Weights and inputs that a test of training does not seed itself are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def torch_starts_at_the_same_place() -> Iterator[None]:
    """Tolerances here are of float32 rounding, which depends on the numbers; no noise comes from torch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
