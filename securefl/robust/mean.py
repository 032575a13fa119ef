"""The weighted mean of the rows: FedAvg.

What this file does NOT do: resist anybody. One row among any number moves the result as far as it
likes; with a norm guard, as far as its weight times twice the norm bound.

Reference: McMahan et al. 2017, algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.rule import Rule, expect_rows


def mean() -> Rule:
    """The rule w' = sum_k (n_k / n) w_k.

    Example:
        >>> mean()(np.array([[0.0], [3.0]]), np.array([1.0, 2.0])).tolist()
        [2.0]
    """
    return _weighted_mean


def _weighted_mean(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    expect_rows(rows, 1)
    if weights.shape != rows.shape[:1] or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError(
            f"expected one finite weight above 0 for each of {rows.shape[0]} rows, got {weights}"
        )
    # Row by row, not as a matrix product: the order of additions, and so every bit, is then fixed.
    total = np.zeros(rows.shape[1], dtype=np.float64)
    for row, weight in zip(rows, weights, strict=True):
        total += row.astype(np.float64) * float(weight)
    total /= float(weights.sum(dtype=np.float64))
    return total
