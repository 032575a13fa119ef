"""LiRA: is the target model's margin on an example more like that of models that trained on it?

`online` compares with shadow models that trained on the example and with those that did not; `offline` only
has the latter, and asks how far above them the target is.

Rules kept here:
- Scores are logarithms or z-values, never probabilities: those round to 1 and lose the order of the surest.
- With `fixed_variance` one variance serves all examples, which is steadier with few shadow models.
- The target model's own coin is used nowhere.

What this file does NOT do: train shadow models, or choose a threshold (`roc`).

Reference: Carlini et al. 2022, algorithm 1 (online), and its offline form and fixed variance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.inference.signal import Signal
from securefl.errors import DataError

FEWEST = 2
"""Shadow models on each side of an example; one would have no variance."""
_FLOOR = 1e-12


def online(
    target: Signal, shadows: NDArray[np.float64], members: NDArray[np.bool_], fixed_variance: bool = True
) -> Signal:
    """Log-likelihood ratio of having trained on each example. Shapes: (n,), (models, n), (models, n) -> (n,).

    Args:
        target: margins of the model under attack.
        shadows: margins of the shadow models.
        members: which examples each shadow model trained on.
        fixed_variance: one variance over all examples, of those in and of those out.

    Raises:
        DataError: shapes that do not fit, or an example with too few shadow models on a side.
    """
    inside = _normal(target, shadows, members, fixed_variance)
    outside = _normal(target, shadows, ~members, fixed_variance)
    return _log_density(target, *inside) - _log_density(target, *outside)


def offline(
    target: Signal, shadows: NDArray[np.float64], members: NDArray[np.bool_], fixed_variance: bool = True
) -> Signal:
    """How many standard deviations each margin is above that of models that did not train on it. -> (n,).

    Arguments and errors as for `online`; shadow models that trained on an example are left out for it.
    """
    mean, variance = _normal(target, shadows, ~members, fixed_variance)
    return np.asarray((target - mean) / np.sqrt(variance))


def _normal(
    target: Signal, shadows: NDArray[np.float64], side: NDArray[np.bool_], fixed: bool
) -> tuple[Signal, Signal]:
    """Mean and variance of every example's margins over the shadow models of one side."""
    if shadows.ndim != 2 or shadows.shape != side.shape or target.shape != shadows.shape[1:]:
        raise DataError(
            f"expected margins (n,), (models, n) and as many coins, got {target.shape}, {shadows.shape} and "
            f"{side.shape}"
        )
    counts = side.sum(axis=0)
    if shadows.size == 0 or counts.min() < FEWEST:
        raise DataError(
            f"expected {FEWEST} shadow models or more on each side of every example; train more of them"
        )
    mean = np.where(side, shadows, 0.0).sum(axis=0) / counts
    squares = (np.where(side, shadows - mean, 0.0) ** 2).sum(axis=0)
    variance = squares / (counts - 1)
    if fixed:
        variance = np.full_like(mean, squares.sum() / (counts - 1).sum())
    return mean, np.maximum(variance, _FLOOR)


def _log_density(at: Signal, mean: Signal, variance: Signal) -> Signal:
    return np.asarray(-0.5 * (np.log(variance) + (at - mean) ** 2 / variance))
