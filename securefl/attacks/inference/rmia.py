"""RMIA: does an example gain more from the target model than other examples of the population do?

For an example x the gain is p(x | target) / p(x), where p(x) is its mean probability under reference models.
Its score is the share of a population of examples that it outdoes by the factor gamma.

Rules kept here: gains are kept as logarithms. Without `members`, p(x) is the mean over all reference models
(online); with them, over models that did not train on x, pulled towards 1 by `slack` (offline).

What this file does NOT do: train reference models.

Reference: Zarifzadeh, Liu and Shokri 2024, "Low-Cost High-Power Membership Inference Attacks", with its
offline approximation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.inference.signal import Signal
from securefl.errors import DataError

GAMMA = 2.0
SLACK = 0.3


def rmia(
    target: Signal,
    references: NDArray[np.float64],
    population: NDArray[np.bool_],
    members: NDArray[np.bool_] | None = None,
    gamma: float = GAMMA,
    slack: float = SLACK,
) -> Signal:
    """Share of the population that each example outdoes. Shapes: (n,), (models, n), (n,) -> (n,).

    Args:
        target: log probabilities of the labels under the model under attack.
        references: the same under reference models.
        population: which of the examples serve as the population; best such as the target did not see.
        members: which examples each reference trained on, to leave those models out; None uses all of them.
        gamma: the factor, at least 1.
        slack: offline, how much p(x) is pulled towards 1.

    Raises:
        DataError: shapes that do not fit, no population, or an example without a reference model.
    """
    if references.ndim != 2 or target.shape != references.shape[1:] or population.shape != target.shape:
        raise DataError(
            f"expected log probabilities (n,), (models, n) and n flags, got {target.shape}, "
            f"{references.shape} and {population.shape}"
        )
    if not population.any():
        raise DataError("expected examples in the population, got none")
    gains = target - _usual(references, members, slack)
    others = np.sort(gains[population])
    return np.asarray(np.searchsorted(others, gains - np.log(gamma), side="right") / len(others))


def _usual(references: NDArray[np.float64], members: NDArray[np.bool_] | None, slack: float) -> Signal:
    """How probable each label usually is, as a logarithm."""
    used = np.ones(references.shape, dtype=bool) if members is None else ~members
    counts = used.sum(axis=0)
    if counts.min() < 1:
        raise DataError("expected a reference model for every example that did not train on it; train more")
    mean = np.where(used, np.exp(references), 0.0).sum(axis=0) / counts
    if members is not None:
        mean = ((1.0 - slack) * mean + slack + mean) / 2.0
    return np.asarray(np.log(np.maximum(mean, 1e-300)))
