"""Blocks of columns that stay in the cache, and the sums over rows that are made block by block.

Rules kept here:
- No copy of the whole matrix: what a block needs beyond the result is `BLOCK_BYTES` or a few times that.
- Sums are accumulated in float64 whatever the rows' type.

What this file does NOT do: decide anything about rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 1 << 20


def blocks(count: int, dim: int, itemsize: int = 8) -> Iterator[slice]:
    """Slices that cover `dim` columns, each of about `BLOCK_BYTES` for `count` rows.

    Example:
        >>> [(block.start, block.stop) for block in blocks(1 << 16, 5)]
        [(0, 2), (2, 4), (4, 5)]
    """
    width = max(1, BLOCK_BYTES // (itemsize * max(1, count)))
    for start in range(0, dim, width):
        yield slice(start, min(start + width, dim))


def combination(rows: NDArray[np.floating], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the rows, each times its factor. Rows with factor 0 are not read.

    Shapes: rows (count, dim), factors (count,) -> (dim,).

    Example:
        >>> combination(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 0.5])).tolist()
        [2.0, 3.0]
    """
    used = np.flatnonzero(factors)
    chosen = slice(None) if used.size == factors.size else used
    total = np.empty(rows.shape[1], dtype=np.float64)
    for block in blocks(used.size, rows.shape[1]):
        total[block] = factors[used] @ rows[chosen, block].astype(np.float64)
    return total


def combinations(rows: NDArray[np.floating], factors: NDArray[np.float64]) -> NDArray[np.floating]:
    """Several combinations at once, one per row of `factors`, in the type of `rows`.

    Shapes: rows (count, dim), factors (made, count) -> (made, dim).
    """
    made = np.empty((factors.shape[0], rows.shape[1]), dtype=rows.dtype)
    for block in blocks(rows.shape[0] + factors.shape[0], rows.shape[1]):
        made[:, block] = factors @ rows[:, block].astype(np.float64)
    return made


def squared_norms(
    rows: NDArray[np.floating], origin: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Squared L2 distances of the rows from `origin`; from zero if there is none.

    Shapes: rows (count, dim), origin (dim,) -> (count,).
    """
    total = np.zeros(rows.shape[0], dtype=np.float64)
    for block in blocks(rows.shape[0], rows.shape[1]):
        part = rows[:, block].astype(np.float64)
        if origin is not None:
            part -= origin[block]
        total += np.einsum("ij,ij->i", part, part)
    return total
