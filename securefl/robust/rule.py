"""The shape of every robust rule: rows and their weights in, one vector out.

Rules kept here:
- A rule is a pure function: it never changes its inputs, and equal inputs give equal bits.
- It returns float64 whatever the rows' type.
- It assumes finite rows; `securefl.robust.combine` removes others first.

What this file does NOT do: any aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from securefl.errors import RoundAbandoned

Rule: TypeAlias = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]
"""(rows (count, dim), weights (count,)) -> vector (dim,). Only `mean` reads the weights."""


def expect_rows(rows: NDArray[np.floating], needed: int) -> None:
    """Return if `rows` is a matrix with at least `needed` rows.

    Raises:
        RoundAbandoned: too few rows for the rule.
    """
    if rows.ndim != 2:
        raise ValueError(f"expected rows of shape (count, dim), got an array of shape {rows.shape}")
    if rows.shape[0] < needed:
        raise RoundAbandoned(
            f"expected at least {needed} rows for the robust rule, got {rows.shape[0]}; plan more groups"
        )


def expect_malicious(max_malicious: int) -> None:
    """Return if `max_malicious` can be a number of rows."""
    if max_malicious < 0:
        raise ValueError(f"expected at least 0 malicious rows, got {max_malicious}")


def expect_reference(rows: NDArray[np.floating], reference: NDArray[np.floating]) -> None:
    """Return if `reference` is a finite vector as long as the rows."""
    if reference.shape != rows.shape[1:]:
        raise ValueError(f"expected a reference of shape {rows.shape[1:]}, got {reference.shape}")
    if not np.isfinite(reference).all():
        raise ValueError("expected a finite reference, got NaN or infinite coordinates")
