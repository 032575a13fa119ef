"""Krum: the one row whose nearest neighbours are closest to it.

The score of a row is the sum of its squared distances to its R - f - 2 nearest other rows; the row with the
smallest score is the result, the first one if several tie.

Edge cases: R >= 2 f + 3, so that honest neighbours outnumber the others; fewer rows abandon the round.
Equal rows have distance 0 and support each other, whoever sent them.

What this file does NOT do: average. The result is one group's mean with all of its noise, and where honest
rows differ more from each other than from an attack inside them, it is often the attacker's.

Breakdown point: f of R rows with R >= 2 f + 3.

Reference: Blanchard et al. 2017, section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.geometry import geometry, within_reach
from securefl.robust.rule import Rule, expect_malicious, expect_rows


def krum(max_malicious: int) -> Rule:
    """The rule that picks one row.

    Guarantee: the result is one of the rows. With f malicious of R rows it lies within
    sqrt((R - f - 2) / (R - 2 f - 1)) times the honest rows' diameter of an honest row.

    Example:
        >>> krum(1)(np.array([[0.0], [1.0], [1.1], [2.0], [50.0]]), np.ones(5)).tolist()
        [1.1]
    """
    expect_malicious(max_malicious)

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, 2 * max_malicious + 3)
        scores = krum_scores(geometry(within_reach(rows)).squared, max_malicious)
        chosen: NDArray[np.float64] = rows[int(np.argmin(scores))].astype(np.float64)
        return chosen

    return rule


def krum_scores(squared: NDArray[np.float64], max_malicious: int) -> NDArray[np.float64]:
    """Per row, the sum of squared distances to its count - f - 2 nearest others, one at least.

    Shapes: squared (count, count) -> (count,).
    """
    neighbours = max(1, squared.shape[0] - max_malicious - 2)
    # The first of each sorted row is the distance of the row to itself, which is 0.
    nearest = np.sort(squared, axis=1)[:, 1 : 1 + neighbours]
    scores: NDArray[np.float64] = nearest.sum(axis=1)
    return scores
