"""Nearest-neighbour mixing before the rule: each row becomes the mean of the R - f rows nearest to it.

Edge cases: a row is its own nearest neighbour. Ties go to the earlier row. With f = 0 all rows become the
mean.

What this file does NOT do: shrink the number of rows, or remove anybody.

Breakdown point: fewer than half of the rows; the rule behind it then reaches the best order of error under
heterogeneous data that any rule can.

Reference: Allouah et al. 2023, algorithm 2 (NNM).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combinations
from securefl.robust.geometry import geometry, within_reach
from securefl.robust.mixing import Mixing
from securefl.robust.rule import expect_malicious, expect_rows


def nearest_neighbours(max_malicious: int) -> Mixing:
    """Replaces each row by the mean of its count - `max_malicious` nearest, itself included.

    Example:
        >>> nearest_neighbours(1)(np.array([[0.0], [1.0], [9.0]])).tolist()
        [[0.5], [0.5], [5.0]]
    """
    expect_malicious(max_malicious)

    def mixing(rows: NDArray[np.floating]) -> NDArray[np.floating]:
        expect_rows(rows, 2 * max_malicious + 1)
        near = within_reach(rows)
        count = rows.shape[0]
        squared = geometry(near).squared
        np.fill_diagonal(squared, -1.0)
        nearest = np.argsort(squared, axis=1, kind="stable")[:, : count - max_malicious]
        factors = np.zeros((count, count))
        np.put_along_axis(factors, nearest, 1.0 / nearest.shape[1], axis=1)
        return combinations(near, factors)

    return mixing
