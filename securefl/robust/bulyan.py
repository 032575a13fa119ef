"""Bulyan: rows picked by Krum one after the other, then per coordinate the values nearest to their median.

First R - 2 f rows are picked: Krum on all rows, the picked one set aside, Krum on the rest, and so on. Then
each coordinate is the mean of the R - 4 f values of the picked rows that lie nearest to the median of the
picked.

Edge cases: R >= 4 f + 3. In the last picks fewer rows are left than Krum asks for; the score then counts
the one nearest neighbour. With f = 0 it is the mean.

What this file does NOT do: the cheap variant that scores once and takes the best.

Breakdown point: f of R rows with R >= 4 f + 3.

Reference: El Mhamdi et al. 2018, section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import blocks
from securefl.robust.geometry import geometry, within_reach
from securefl.robust.krum import krum_scores
from securefl.robust.ordering import ranked
from securefl.robust.rule import Rule, expect_malicious, expect_rows


def bulyan(max_malicious: int) -> Rule:
    """The rule that picks by Krum and averages near the median.

    Guarantee: with at most `max_malicious` malicious rows, every coordinate of the result lies inside the
    honest rows' range of that coordinate, widened on both sides by its own width.

    Example:
        >>> rows = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [99.0]])
        >>> bulyan(1)(rows, np.ones(7)).tolist()
        [2.0]
    """
    expect_malicious(max_malicious)

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, 4 * max_malicious + 3)
        picked = picks(geometry(within_reach(rows)).squared, max_malicious)
        return near_median(rows, picked, len(picked) - 2 * max_malicious)

    return rule


def picks(squared: NDArray[np.float64], max_malicious: int) -> list[int]:
    """The count - 2 f rows that Krum picks one after the other, each from those not picked yet."""
    left = list(range(squared.shape[0]))
    picked: list[int] = []
    for _ in range(squared.shape[0] - 2 * max_malicious):
        scores = krum_scores(squared[np.ix_(left, left)], max_malicious)
        picked.append(left.pop(int(np.argmin(scores))))
    return sorted(picked)


def near_median(rows: NDArray[np.floating], picked: list[int], kept: int) -> NDArray[np.float64]:
    """Per column the mean of the `kept` values of the picked rows that lie nearest to their median.

    In sorted order these values stand side by side, so they are one of len(picked) - kept + 1 windows.

    Shapes: rows (count, dim) -> (dim,).
    """
    count, dim = len(picked), rows.shape[1]
    result = np.empty(dim, dtype=np.float64)
    for block in blocks(3 * count, dim):
        values = ranked(rows[picked, block], 0, count).astype(np.float64)
        median = 0.5 * (values[(count - 1) // 2] + values[count // 2])
        lowest, highest = values[: count - kept + 1], values[kept - 1 :]
        first = np.argmin(np.maximum(median - lowest, highest - median), axis=0)
        window = first + np.arange(kept)[:, None]
        np.take_along_axis(values, window, axis=0).mean(axis=0, out=result[block])
    return result
