"""The server optimisers against the formulas of Reddi et al. 2021, algorithm 2, written out longhand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.federation.optimizer import ServerOptimizer, initial_moments, step

MODEL = np.array([0.5, -1.0, 2.0], dtype=np.float32)
UPDATES = [np.array([0.1, -0.2, 0.0]), np.array([-0.3, 0.1, 0.4]), np.array([0.2, 0.2, -0.1])]


def played(optimizer: ServerOptimizer) -> NDArray[np.float32]:
    moments, model = initial_moments(optimizer, MODEL.size), MODEL
    for update in UPDATES:
        moments, model = step(optimizer, moments, model, update)
    return model


def test_sgd_with_learning_rate_one_adds_the_update_which_is_fedavg() -> None:
    assert played(ServerOptimizer()) == pytest.approx(MODEL + sum(UPDATES), abs=1e-6)


def test_momentum_carries_earlier_updates_on() -> None:
    velocity, expected = np.zeros(3), MODEL.astype(np.float64)
    for update in UPDATES:
        velocity = 0.9 * velocity + update
        expected = expected + 0.5 * velocity
    assert played(ServerOptimizer(learning_rate=0.5, momentum=0.9)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["adam", "yogi"])
def test_adaptive_optimisers_follow_the_published_algorithm(kind: str) -> None:
    optimizer = ServerOptimizer(kind=kind, learning_rate=0.1, beta1=0.8, beta2=0.95, tau=1e-2)  # type: ignore[arg-type]
    first, expected = np.zeros(3), MODEL.astype(np.float64)
    second = np.full(3, 1e-4)
    for update in UPDATES:
        first = 0.8 * first + 0.2 * update
        if kind == "adam":
            second = 0.95 * second + 0.05 * update**2
        else:
            second = second - 0.05 * update**2 * np.sign(second - update**2)
        expected = expected + 0.1 * first / (np.sqrt(second) + 1e-2)
    assert played(optimizer) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["sgd", "adam", "yogi"])
def test_a_step_changes_neither_the_model_nor_the_moments_it_was_given(kind: str) -> None:
    optimizer = ServerOptimizer(kind=kind, momentum=0.5)  # type: ignore[arg-type]
    moments, model = initial_moments(optimizer, 3), MODEL.copy()
    step(optimizer, moments, model, UPDATES[0])
    assert np.array_equal(model, MODEL)
    assert np.array_equal(moments.first, np.zeros(3))
    assert np.array_equal(moments.second, np.full(3, optimizer.tau**2))


def test_a_zero_update_leaves_the_model_where_it_is_for_every_optimiser() -> None:
    for kind in ("sgd", "adam", "yogi"):
        optimizer = ServerOptimizer(kind=kind)  # type: ignore[arg-type]
        _, model = step(optimizer, initial_moments(optimizer, 3), MODEL, np.zeros(3))
        assert np.array_equal(model, MODEL)
