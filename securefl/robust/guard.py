"""Which rows are sound: finite, and no longer than honest rows can be.

Rules kept here:
- A row with one NaN or infinite coordinate is unsound before any rule sees it.
- Norms are accumulated in float64, on updates (not on weights), so nothing cancels.
- Every excluded row is reported with its reason.

What this file does NOT do: judge directions. A poisoned row inside the bound is sound here, and where
noise is added after the final clip the bound no longer proves guilt: it only stops blow-ups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SoundRows:
    """The outcome of the guard, as row indices in increasing order.

    Attributes:
        kept: rows to aggregate.
        nonfinite: rows excluded for a NaN or infinite coordinate.
        oversized: finite rows excluded because their L2 norm exceeds the bound.
    """

    kept: tuple[int, ...]
    nonfinite: tuple[int, ...]
    oversized: tuple[int, ...]


def sound_rows(rows: NDArray[np.floating], norm_bound: float | None) -> SoundRows:
    """Sort row indices into sound and excluded; `norm_bound` None checks finiteness only.

    Guarantee: a row is kept exactly if it is finite and, with a bound, its norm is at most the bound.

    Shapes: rows (groups, dim).

    Example:
        >>> sound_rows(np.array([[0.6, 0.8], [np.nan, 0.0], [3.0, 0.0]]), 1.0)
        SoundRows(kept=(0,), nonfinite=(1,), oversized=(2,))
    """
    kept, nonfinite, oversized = [], [], []
    for index, row in enumerate(rows):
        if not np.isfinite(row).all():
            nonfinite.append(index)
        elif norm_bound is not None and _norm(row) > norm_bound:
            oversized.append(index)
        else:
            kept.append(index)
    return SoundRows(tuple(kept), tuple(nonfinite), tuple(oversized))


def _norm(row: NDArray[np.floating]) -> float:
    # A finite row may have an infinite norm in float64; that is over any bound, which is the right answer.
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.square(row, dtype=np.float64).sum()))
