"""The geometric median: the point with the smallest sum of distances to the rows.

If a row is the optimum, that is decided first and exactly: the row with the smallest sum of distances is it
if the unit vectors towards the other rows add up to no more than the number of rows at that place.
Otherwise the sum of distances is smooth at the optimum and Newton's method finds it, in the Gram matrix; a
step that does not descend is halved, and Weiszfeld's step, which always descends, is the last resort.

Sums are compared by what they differ in, row by row: a row at 1e30 adds its part of the pull and no rounding.

Edge cases: equal rows, one row and rows on a line have an optimum that is a row. With an even number of
rows on a line any point between the middle two is optimal; the result is one of these two.

What this file does NOT do: read weights, or smooth the distances.

Breakdown point: fewer than half of the rows, so R >= 2 f + 1.

Reference: Weiszfeld 1937; Vardi and Zhang 2000 (rows as optimum); Pillutla et al. 2022 (in federated
learning).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combination
from securefl.robust.geometry import Geometry, about, geometry, within_reach
from securefl.robust.rule import Rule, expect_rows

_STEPS, _HALVINGS = 200, 30
# Parts of the typical distance: what Newton may still expect to gain at the end, and what is rounding.
_GAIN, _TOUCHING = 1e-14, 1e-15


def geometric_median() -> Rule:
    """The rule that minimises the sum of distances.

    Guarantee: the sum of distances from the result is within 1e-8, relative, of the smallest one. With f
    malicious of R rows, R >= 2 f + 1, the result is no further from any point than 2 (R - f) / (R - 2 f)
    times the largest distance of an honest row from that point.

    Example:
        >>> rows = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 1e9], [1.0, 0.0]])
        >>> geometric_median()(rows, np.ones(4)).tolist()
        [1.0, 0.0]
    """
    return _geometric_median


def _geometric_median(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    expect_rows(rows, 1)
    near = within_reach(rows)
    found = geometry(near)
    best = int(np.argmin(_longer_at_rows(found)))
    found = about(found, best)
    point = _pulled(found, best)
    return combination(near, _at(best, near.shape[0]) if point is None else _descend(found, point))


def _at(row: int, count: int) -> NDArray[np.float64]:
    point = np.zeros(count)
    point[row] = 1.0
    return point


def _longer_at_rows(found: Geometry) -> NDArray[np.float64]:
    """By how much the sum of distances is longer at each row than at the anchor.

    Differences of distances are those of their squares, divided by the sums.
    """
    lengths = np.diagonal(found.products)
    squares = lengths[:, None] - 2.0 * found.products
    sums = np.sqrt(found.squared) + np.sqrt(lengths)[None, :]
    longer: NDArray[np.float64] = _divided(squares, sums).sum(axis=1)
    return longer


def _longer(found: Geometry, point: NDArray[np.float64], distances: NDArray[np.float64]) -> float:
    """By how much the sum of distances is longer at the point than at the anchor."""
    across = found.products @ point
    sums = distances + np.sqrt(np.diagonal(found.products))
    return float(_divided(point @ across - 2.0 * across, sums).sum())


def _divided(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    some = below > 0.0
    quotient: NDArray[np.float64] = np.where(some, above, 0.0) / np.where(some, below, 1.0)
    return quotient


def _pulled(found: Geometry, row: int) -> NDArray[np.float64] | None:
    """A point near `row`, the anchor, that is better than it; None if `row` is the optimum.

    With r the length of the sum of unit vectors and m the rows at this place, Vardi and Zhang's step goes the
    part 1 - m / r of Weiszfeld's way.
    """
    distances: NDArray[np.float64] = np.sqrt(np.diagonal(found.products))
    inverse = _divided(np.ones(distances.size), distances)
    length = sqrt(max(0.0, float(inverse @ (found.products @ inverse))))
    here = float(np.count_nonzero(distances == 0.0))
    if length <= here * (1.0 + 1e-12):
        return None
    stay = here / length
    pulled: NDArray[np.float64] = (1.0 - stay) * inverse / inverse.sum() + stay * _at(row, distances.size)
    return pulled


def _descend(found: Geometry, point: NDArray[np.float64]) -> NDArray[np.float64]:
    for _ in range(_STEPS):
        distances = found.distances_from(point)
        small = _GAIN * distances.size * float(np.median(distances))
        weiszfeld, newton, gain = _steps(found, point, distances)
        if gain <= small:
            # Too little to compare by; near the optimum Newton's step halves the digits that are missing.
            return _shortened(found, point, newton, allowed=small, halvings=1)
        moved = _shortened(found, point, newton)
        if moved is point:
            moved = _shortened(found, point, weiszfeld)
        if moved is point:
            break
        point = moved
    return point


def _steps(
    found: Geometry, point: NDArray[np.float64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Weiszfeld's step, Newton's step, and what Newton expects to gain.

    A step sum_i a_i u_i, u_i the unit vector towards row i, is Newton's if S a_i - (K a)_i / d_i = 1 for all
    i, where K has the inner products of the u_i and S is the sum of the 1 / d_i. In the rows it is a_i / d_i
    for row i, and minus the sum of these for the point.
    """
    inverse = 1.0 / np.maximum(distances, _TOUCHING * np.median(distances))
    total = inverse.sum()
    across = found.products @ point
    towards = found.products - across[:, None] - across[None, :] + point @ across
    units = towards * inverse[:, None] * inverse[None, :]
    system = total * np.eye(point.size) - inverse[:, None] * units
    try:
        solved = np.linalg.solve(system, np.ones(point.size))
    except np.linalg.LinAlgError:
        solved = np.full(point.size, 1.0 / total)
    gain = 0.5 * float(units.sum(axis=0) @ solved)
    return _in_rows(point, inverse / total), _in_rows(point, solved * inverse), gain


def _in_rows(point: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float64]:
    step: NDArray[np.float64] = parts - parts.sum() * point
    return step


def _shortened(
    found: Geometry,
    point: NDArray[np.float64],
    step: NDArray[np.float64],
    allowed: float = 0.0,
    halvings: int = _HALVINGS,
) -> NDArray[np.float64]:
    """The point moved by the step or the first of its halves that makes the sum of distances shorter.

    Longer by less than `allowed` counts too. If none does, the same point.
    """
    here = _longer(found, point, found.distances_from(point))
    for _ in range(halvings):
        moved = point + step
        if _longer(found, moved, found.distances_from(moved)) < here + allowed:
            return moved
        step = 0.5 * step
    return point
