"""The privacy benchmark: its ways take the same step, and its models are those that it names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from securefl.data import Examples
from securefl.training.flat import get_vector


@pytest.fixture
def steps(load_benchmark, monkeypatch):
    module = load_benchmark("privacy_steps")
    monkeypatch.setattr(module, "STEPS", 1)
    return module


def test_the_learner_without_privacy_takes_the_step_of_the_bare_loop(steps, monkeypatch):
    module, examples = steps.build("mlp"), steps.batch("mlp")
    start = get_vector(module)
    update = steps._learner(module, examples, private=False)()
    steps._bare(module, examples)()
    moved = get_vector(module).astype(np.float64) - start
    assert np.abs(moved).max() > 0
    assert np.allclose(update, moved, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("way", ["bare", "plain", "ours", "hooks"])
def test_every_way_takes_a_step_on_a_small_batch(steps, monkeypatch, way):
    whole = steps.batch("cnn")
    few = Examples(whole.features[:4], whole.labels[:4])
    monkeypatch.setattr(steps, "batch", lambda model: few)
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        steps.steps("cnn", way)()
    torch.set_num_threads(threads)


def test_every_sampler_line_is_one_draw_of_a_million(load_benchmark, monkeypatch):
    load_benchmark("privacy_steps")
    privacy = load_benchmark("privacy")
    monkeypatch.setattr(privacy, "SAMPLES", 1000)
    checks = privacy._sampler(1).checks
    assert len(checks) == len(privacy.SIGMAS)
    assert all("1,000 discrete Gaussians" in check.name and check.goal == "<= 0.5" for check in checks)


def test_works_take_turns_after_one_call_that_does_not_count(load_benchmark):
    load_benchmark("privacy_steps")
    privacy = load_benchmark("privacy")
    calls: list[str] = []
    times = privacy.best_in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, 2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert set(times) == {"a", "b"} and min(times.values()) >= 0
