"""Norm clipping before the rule: longer rows are shortened to a bound and keep their direction.

Edge cases: a row of length 0 stays. If no row is longer than the bound, the rows come back as they are.

What this file does NOT do: bound a direction. A row inside the bound passes whatever it says. On means over
groups it clips means, not the clients in them: those are clipped before they are masked.

Breakdown point: none of its own. The bound of `quantile_clipping` is an honest length as long as at most
the part 1 - quantile of the rows is malicious.

Reference: Sun et al. 2019, section 4 (static bound); Andrew et al. 2021 (bound at a quantile of the norms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import squared_norms
from securefl.robust.geometry import within_reach
from securefl.robust.mixing import Mixing


def clipping(norm: float) -> Mixing:
    """Shortens rows to at most `norm`, up to a rounding of the rows' type.

    Example:
        >>> clipping(5.0)(np.array([[6.0, 8.0], [0.3, 0.4]])).tolist()
        [[3.0, 4.0], [0.3, 0.4]]
    """
    if not norm > 0.0:
        raise ValueError(f"expected a norm above 0, got {norm}")

    def mixing(rows: NDArray[np.floating]) -> NDArray[np.floating]:
        near = within_reach(rows)
        return _shortened(near, np.sqrt(squared_norms(near)), norm)

    return mixing


def quantile_clipping(quantile: float) -> Mixing:
    """Shortens rows to a quantile of their norms, the lower one of two neighbours.

    Guarantee: if the malicious rows are at most (1 - quantile) of all, rounded down, no row comes out
    longer than the longest honest one.

    Example:
        >>> quantile_clipping(0.5)(np.array([[1.0], [-2.0], [90.0]])).tolist()
        [[1.0], [-2.0], [2.0]]
    """
    if not 0.0 <= quantile <= 1.0:
        raise ValueError(f"expected a quantile in [0, 1], got {quantile}")

    def mixing(rows: NDArray[np.floating]) -> NDArray[np.floating]:
        near = within_reach(rows)
        norms = np.sqrt(squared_norms(near))
        return _shortened(near, norms, float(np.quantile(norms, quantile, method="lower")))

    return mixing


def _shortened(rows: NDArray[np.floating], norms: NDArray[np.float64], bound: float) -> NDArray[np.floating]:
    long = norms > bound
    if not long.any():
        return rows
    factors = np.where(long, bound / np.where(long, norms, 1.0), 1.0)
    return rows * factors[:, None].astype(rows.dtype)
