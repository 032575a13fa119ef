"""MoNNA's aggregation: the mean of the vectors nearest to one's own.

The R rows and the server's own update make R + 1 vectors; the R + 1 - f nearest to the own one, itself
included, are averaged.

Edge cases: ties go to the earlier row. With f = 0 it is the mean of all.

What this file does NOT do: find a trusted vector. Whoever chooses the reference chooses the neighbourhood.

Breakdown point: R >= 2 f + 1 rows, with an honest reference.

Reference: Farhadkhani et al. 2023 (nearest-neighbour averaging).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combination, squared_norms
from securefl.robust.geometry import within_reach
from securefl.robust.rule import Rule, expect_malicious, expect_reference, expect_rows


def monna(max_malicious: int, reference: NDArray[np.floating]) -> Rule:
    """The rule that averages around `reference`, an update that the server computed itself.

    Guarantee: with at most `max_malicious` malicious rows the result is no further from the reference than
    the furthest honest row.

    Shapes: reference (dim,).

    Example:
        >>> monna(1, np.array([1.0]))(np.array([[2.0], [3.0], [-90.0]]), np.ones(3)).tolist()
        [2.0]
    """
    expect_malicious(max_malicious)

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, 2 * max_malicious + 1)
        expect_reference(rows, reference)
        near = within_reach(rows)
        order = np.argsort(squared_norms(near, reference), kind="stable")
        kept = order[: rows.shape[0] - max_malicious]
        factors = np.zeros(rows.shape[0])
        factors[kept] = 1.0
        total: NDArray[np.float64] = combination(near, factors) + reference
        return total / (kept.size + 1)

    return rule
