"""Server optimisers: what the server does with the aggregated update.

The aggregate of a round is read as a pseudo-gradient with its sign turned: plain SGD with learning
rate 1 adds it to the model, which is FedAvg.

Rules kept here:
- A step is a pure function from (state, model, update) to a new state and a new model.
- Sums run in float64; the model itself is float32, because it is what the clients receive.

What this file does NOT do: look at single clients or groups. It sees one vector per round, and
everything it does is post-processing of it.

Reference: Reddi et al. 2021, "Adaptive Federated Optimization", algorithm 2 (FedAdam, FedYogi);
McMahan et al. 2017, algorithm 1 (FedAvg).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True)
class ServerOptimizer:
    """Settings of the server's step.

    Attributes:
        kind: `sgd`, `adam` or `yogi`.
        learning_rate: the server's step size; 1.0 with `sgd` is FedAvg.
        momentum: heavy-ball factor of `sgd`, in [0, 1).
        beta1: decay of the first moment (`adam`, `yogi`).
        beta2: decay of the second moment (`adam`, `yogi`).
        tau: adaptivity, added to the root of the second moment.
    """

    kind: Literal["sgd", "adam", "yogi"] = "sgd"
    learning_rate: float = 1.0
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3


@dataclass(frozen=True)
class Moments:
    """The optimiser's memory: first and second moment, each of the model's shape (dim,)."""

    first: Wide
    second: Wide


def initial_moments(optimizer: ServerOptimizer, dim: int) -> Moments:
    """Zero momentum, and `tau` squared as the second moment (Reddi et al. 2021, algorithm 2)."""
    return Moments(np.zeros(dim), np.full(dim, optimizer.tau**2))


def step(optimizer: ServerOptimizer, moments: Moments, model: Vector, update: Wide) -> tuple[Moments, Vector]:
    """One server step.

    Shapes: `model` and `update` are (dim,).

    Example:
        >>> sgd = ServerOptimizer()
        >>> _, model = step(sgd, initial_moments(sgd, 2), np.zeros(2, np.float32), np.array([1.0, -2.0]))
        >>> model.tolist()
        [1.0, -2.0]
    """
    if optimizer.kind == "sgd":
        first = optimizer.momentum * moments.first + update
        return Moments(first, moments.second), _moved(model, optimizer.learning_rate * first)
    first = optimizer.beta1 * moments.first + (1.0 - optimizer.beta1) * update
    second = _second_moment(optimizer, moments.second, update * update)
    change = optimizer.learning_rate * first / (np.sqrt(second) + optimizer.tau)
    return Moments(first, second), _moved(model, change)


def _second_moment(optimizer: ServerOptimizer, second: Wide, square: Wide) -> Wide:
    if optimizer.kind == "adam":
        return optimizer.beta2 * second + (1.0 - optimizer.beta2) * square
    return second - (1.0 - optimizer.beta2) * square * np.sign(second - square)


def _moved(model: Vector, change: Wide) -> Vector:
    return (model.astype(np.float64) + change).astype(np.float32)
