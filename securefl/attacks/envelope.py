"""Min-Max and Min-Sum: as far out as honest rows are from each other.

The row is mean + g * p, with p against the honest spread. Its squared distance to an honest row is a
quadratic in g, so the largest allowed g is a root and needs no search: for Min-Max the smallest root over
the rows, for Min-Sum the root of the sum. Neither asks the rule.

Reference: Shejwalkar and Houmansadr 2021, Min-Max and Min-Sum, with the inverse standard deviation as
perturbation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.attack import Attack, Rows, Vector, View
from securefl.attacks.omniscient import OMNISCIENT, centre, spread

_SOURCE = "Shejwalkar and Houmansadr 2021, Min-Max and Min-Sum"


def min_max() -> Attack:
    """Its largest distance to an honest row is at most the largest between two honest rows."""
    return _as_far_as("min_max", furthest_by_maximum)


def min_sum() -> Attack:
    """Its squared distances to honest rows sum to at most the largest such sum of an honest row."""
    return _as_far_as("min_sum", furthest_by_sum)


def furthest_by_maximum(rows: Rows, towards: Vector) -> float:
    """The largest g that Min-Max allows; 0 where rows agree. Shapes: (count, dim), (dim,)."""
    bound = squared_distances(rows).max()
    return min(_root(towards, row, bound) for row in rows - centre(rows))


def furthest_by_sum(rows: Rows, towards: Vector) -> float:
    """The largest g that Min-Sum allows; 0 where rows agree. Shapes: (count, dim), (dim,)."""
    # sum |mean + g p - x|^2 = count g^2 |p|^2 + sum |mean - x|^2: the linear terms cancel at the mean.
    offsets = rows - centre(rows)
    room = squared_distances(rows).sum(axis=1).max() - float((offsets**2).sum())
    length = len(rows) * float(towards @ towards)
    return float(np.sqrt(max(0.0, room) / length)) if length > 0 else 0.0


def squared_distances(rows: Rows) -> NDArray[np.float64]:
    """Between all pairs of rows. Shapes: (count, dim) -> (count, count)."""
    return np.array([((rows - row) ** 2).sum(axis=1) for row in rows])


def _as_far_as(name: str, furthest: Callable[[Rows, Vector], float]) -> Attack:
    def craft(view: View) -> Vector:
        rows = view.rows()
        towards = -spread(rows)
        return centre(rows) + furthest(rows, towards) * towards

    return Attack(name, OMNISCIENT, _SOURCE, begin=lambda: craft)


def _root(towards: Vector, offset: Vector, bound: float) -> float:
    """The larger g with |g p - offset|^2 = bound; offset is an honest row minus the mean."""
    a, b = float(towards @ towards), float(towards @ offset)
    if a == 0.0:
        return 0.0
    return (b + float(np.sqrt(max(0.0, b * b - a * (float(offset @ offset) - bound))))) / a
