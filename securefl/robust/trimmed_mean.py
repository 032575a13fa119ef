"""The coordinate-wise trimmed mean: drop the `trim` largest and smallest values, average the rest.

Rules kept here:
- Every row counts once; weights are not read, so nobody buys influence with a claimed size.
- Columns are sorted in blocks that stay in the cache, each laid out contiguously, in float64.

What this file does NOT do: keep correlations between coordinates, or accuracy near its bound, where it
is the bare median. A coordinate that is skewed among honest rows is biased without any attack.

Reference: Yin et al. 2018, definition 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.rule import Rule, expect_rows

_BLOCK_BYTES = 1 << 18


def trimmed_mean(trim: int) -> Rule:
    """The rule that trims `trim` rows per side and coordinate, at least 2 trim + 1 rows being given.

    Guarantee: with at most `trim` rows chosen by an attacker who knows all others, every coordinate of
    the result lies between the smallest and the largest value of that coordinate in the other rows.

    Example:
        >>> rows = np.array([[1.0], [2.0], [3.0], [1e9], [0.0]])
        >>> trimmed_mean(1)(rows, np.ones(5)).tolist()
        [2.0]
    """
    if trim < 0:
        raise ValueError(f"expected a trim of at least 0 rows per side, got {trim}")

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        return middle_mean(rows, trim)

    return rule


def middle_mean(rows: NDArray[np.floating], trim: int) -> NDArray[np.float64]:
    """The mean of each column without its `trim` smallest and `trim` largest values.

    Shapes: rows (count, dim) -> (dim,).

    Raises:
        RoundAbandoned: fewer than 2 trim + 1 rows.
    """
    expect_rows(rows, 2 * trim + 1)
    count, dim = rows.shape
    middle = np.empty(dim, dtype=np.float64)
    width = max(1, _BLOCK_BYTES // (8 * count))
    for start in range(0, dim, width):
        # A copy always (one row, one column and float64 would be a view), then sorted in place.
        columns = np.array(rows[:, start : start + width].T, dtype=np.float64, order="C")
        columns.sort(axis=1)
        columns[:, trim : count - trim].mean(axis=1, out=middle[start : start + width])
    return middle
