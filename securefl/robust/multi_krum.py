"""Multi-Krum: the mean of the rows with the best Krum scores.

Edge cases: with `selected` 1 it is Krum, with all rows the mean. Left out, `selected` is R - f, as many as
there are honest rows at least. Ties go to the earlier row.

What this file does NOT do: choose anew after each pick (that is Bulyan), or weigh rows.

Breakdown point: f of R rows with R >= 2 f + 3.

Reference: Blanchard et al. 2017, section 6 (Multi-Krum).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combination
from securefl.robust.geometry import geometry, within_reach
from securefl.robust.krum import krum_scores
from securefl.robust.rule import Rule, expect_malicious, expect_rows


def multi_krum(max_malicious: int, selected: int | None = None) -> Rule:
    """The rule that averages `selected` rows, R - `max_malicious` of them if None.

    Guarantee: with `selected` None and f malicious of R rows, the result is the mean of rows that each lie
    within sqrt((R - f - 2) / (R - 2 f - 1)) times the honest rows' diameter of an honest row.

    Example:
        >>> multi_krum(1)(np.array([[0.0], [1.0], [2.0], [3.0], [50.0]]), np.ones(5)).tolist()
        [1.5]
    """
    expect_malicious(max_malicious)
    if selected is not None and selected < 1:
        raise ValueError(f"expected at least 1 selected row, got {selected}")

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, max(2 * max_malicious + 3, selected or 0))
        near = within_reach(rows)
        scores = krum_scores(geometry(near).squared, max_malicious)
        kept = rows.shape[0] - max_malicious if selected is None else selected
        factors = np.zeros(rows.shape[0])
        factors[np.argsort(scores, kind="stable")[:kept]] = 1.0 / kept
        return combination(near, factors)

    return rule
