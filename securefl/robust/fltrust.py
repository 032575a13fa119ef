"""FLTrust: rows count by how much they point where the server's own update points, and all as long as it.

    trust_i = max(0, cos(x_i, g));   result = sum_i trust_i |g| x_i / |x_i|  /  sum_i trust_i

g is the update that the server computed on data it holds and trusts, its root data.

Edge cases: a row of length 0 has no direction and no trust; if g is 0, or nobody is trusted, the result is
0 and the model stays as it is.

What this file does NOT do: judge the root data. If they are skewed, so is what is trusted.

Breakdown point: none in the number of rows; the result is never longer than g nor further than a right
angle from it, whoever sends the rows.

Reference: Cao et al. 2021, equations 1 to 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import blocks, combination, squared_norms
from securefl.robust.geometry import within_reach
from securefl.robust.rule import Rule, expect_reference, expect_rows


def fltrust(reference: NDArray[np.floating]) -> Rule:
    """The rule that trusts by the direction of `reference`, an update that the server computed itself.

    Guarantee: whatever the rows are, the result is at most as long as the reference and its inner product
    with the reference is not negative.

    Shapes: reference (dim,).

    Example:
        >>> rows = np.array([[9.0, 0.0], [-5.0, 0.0], [0.0, 0.0]])
        >>> fltrust(np.array([2.0, 0.0]))(rows, np.ones(3)).tolist()
        [2.0, 0.0]
    """

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, 1)
        expect_reference(rows, reference)
        near = within_reach(rows)
        lengths = np.sqrt(squared_norms(near))
        own = float(np.sqrt(squared_norms(reference[None])[0]))
        known = np.where(lengths > 0.0, lengths, 1.0)
        trust = np.maximum(0.0, _inner(near, reference) / known) * (lengths > 0.0)
        total = float(trust.sum())
        if own == 0.0 or total == 0.0:
            return np.zeros(rows.shape[1])
        return combination(near, trust / total * own / known)

    return rule


def _inner(rows: NDArray[np.floating], vector: NDArray[np.floating]) -> NDArray[np.float64]:
    total = np.zeros(rows.shape[0], dtype=np.float64)
    for block in blocks(rows.shape[0], rows.shape[1]):
        total += rows[:, block].astype(np.float64) @ vector[block].astype(np.float64)
    return total
