"""The coordinate-wise trimmed mean: drop the `trim` largest and smallest values, average the rest.

Rules kept here:
- Every row counts once; weights are not read, so nobody buys influence with a claimed size.
- Columns are sorted in blocks that stay in the cache, in the rows' own type; means are taken in float64.

What this file does NOT do: keep correlations between coordinates, or accuracy near its bound, where it
is the bare median. A coordinate that is skewed among honest rows is biased without any attack.

Reference: Yin et al. 2018, definition 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import blocks
from securefl.robust.ordering import ranked
from securefl.robust.rule import Rule, expect_rows


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
    exact = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
    middle = np.empty(dim, dtype=np.float64)
    ones = np.ones(count - 2 * trim)
    for block in blocks(count, dim, exact.itemsize):
        middle[block] = ones @ ranked(exact[:, block], trim, count - trim).astype(np.float64)
    middle /= count - 2 * trim
    return middle
