"""Centred clipping: from a starting point, walk by the mean of the rows' differences, each cut to a radius.

    v <- v + (1 / R) sum_i (x_i - v) min(1, radius / |x_i - v|)

Edge cases: a row at v has no direction and adds nothing. With an infinite radius one step is the mean. With
no radius given it is, at each step, the median of the rows' distances from v: our choice, so that nothing
needs tuning; more than half of the rows are honest, so it is never more than an honest distance. With no
start given it is the row that reaches more than half of the rows at the smallest distance, ours too; the
paper starts from the previous round's result, which `start` takes.

What this file does NOT do: remember rounds.

Breakdown point: fewer than half of the rows, R >= 2 f + 1; the error grows with f / R times the radius.

Reference: Karimireddy et al. 2021, algorithm 2 and section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combination
from securefl.robust.geometry import geometry, middle, within_reach
from securefl.robust.rule import Rule, expect_rows

CLIPPING_STEPS = 10


def centred_clipping(
    radius: float | None = None, iterations: int = CLIPPING_STEPS, start: NDArray[np.floating] | None = None
) -> Rule:
    """The rule that clips around a centre.

    Args:
        radius: most that one row moves the centre in a step, times 1 / R; None: the median distance.
        iterations: steps of the walk.
        start: where it starts, (dim,); None: the row in the middle.

    Guarantee: each row, whatever it is, moves the result by at most `iterations * radius / R`.

    Example:
        >>> rule = centred_clipping(radius=1.0, iterations=1, start=np.zeros(1))
        >>> rule(np.array([[3.0], [0.5]]), np.ones(2)).tolist()
        [0.75]
    """
    if radius is not None and not radius > 0.0:
        raise ValueError(f"expected a radius above 0, got {radius}")
    if iterations < 1:
        raise ValueError(f"expected at least 1 iteration, got {iterations}")

    def rule(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        expect_rows(rows, 1)
        all_rows = rows if start is None else np.vstack([rows, start])
        near = within_reach(all_rows)
        return combination(near, _walk(near, rows.shape[0], radius, iterations))

    return rule


def _walk(
    rows: NDArray[np.floating], count: int, radius: float | None, iterations: int
) -> NDArray[np.float64]:
    """The end of the walk as factors of the rows; a row beyond `count` is the start."""
    found = geometry(rows)
    point = np.zeros(rows.shape[0])
    point[count if rows.shape[0] > count else middle(found.squared)] = 1.0
    for _ in range(iterations):
        distances = found.distances_from(point)[:count]
        reach = float(np.median(distances)) if radius is None else radius
        long = distances > reach
        shares = np.where(long, reach / np.where(long, distances, 1.0), 1.0) / count
        point *= 1.0 - shares.sum()
        point[:count] += shares
    return point
