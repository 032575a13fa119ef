"""Distances among rows, from a Gram matrix about one of them: all that rules on distances need to know.

With R rows the matrix has R x R numbers however long the rows are. A point of the rows' affine span is then
R numbers that add up to 1, and its distances to the rows follow from the matrix: iterations cost R^2, not R
* dim.

Rules kept here:
- Differences first, products second, both in float64: nothing cancels when updates are small against weights.
- The matrix is taken about a row that most rows are close to. About a far one, an attacker's, the distances
  among the others would drown in rounding; then it is taken again, about a better row.

What this file does NOT do: judge rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import blocks

# An anchor further from the middle than so many typical squared distances is replaced.
_FAR = 1e4
# Squares of longer rows, added up, could leave the range of float64. So far out only the direction counts.
_REACH = 1e100


@dataclass(frozen=True, eq=False)
class Geometry:
    """How the rows lie to each other.

    Attributes:
        products: inner products of the rows' differences from the anchor, (count, count).
        anchor: index of the row that the differences are taken from.
        squared: squared distances between rows, (count, count), zero on the diagonal.
    """

    products: NDArray[np.float64]
    anchor: int
    squared: NDArray[np.float64]

    def distances_from(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances of all rows from the point `sum_i point_i rows_i`, where the `point_i` add up to 1."""
        across = self.products @ point
        squared = np.diagonal(self.products) - 2.0 * across + point @ across
        return np.sqrt(np.maximum(squared, 0.0))


def geometry(rows: NDArray[np.floating]) -> Geometry:
    """The geometry of the rows, about one that lies in their middle.

    Guarantee: distances among rows that lie close to the majority are exact to about 1e-12, relative,
    whatever the other rows are.

    Shapes: rows (count, dim), at least one.

    Example:
        >>> geometry(np.array([[0.0, 0.0], [3.0, 4.0]])).squared.tolist()
        [[0.0, 25.0], [25.0, 0.0]]
    """
    anchor = 0
    for _ in range(rows.shape[0]):
        products = _products(rows, anchor)
        squared = _squared(products)
        best = middle(squared)
        if squared[anchor, best] <= _FAR * np.median(squared[best]):
            break
        anchor = best
    return Geometry(products, anchor, squared)


def about(found: Geometry, anchor: int) -> Geometry:
    """The same geometry about another row near the middle, by algebra alone."""
    column = found.products[:, anchor]
    products = found.products - column[:, None] - column[None, :] + column[anchor]
    return Geometry(products, anchor, found.squared)


def middle(squared: NDArray[np.float64]) -> int:
    """The row that reaches more than half of the rows, itself included, at the smallest distance.

    A minority cannot move it far: it is within that distance of an honest row, as each honest row is.
    """
    return int(np.argmin(np.sort(squared, axis=1)[:, squared.shape[0] // 2]))


def within_reach(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """The rows, those too long to be squared in float64 shortened; the same object if there are none."""
    if rows.dtype.itemsize < 8 or rows.size == 0:
        return rows
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    if (largest <= _REACH).all():
        return rows
    return rows * np.where(largest > _REACH, _REACH / np.maximum(largest, 1.0), 1.0)[:, None]


def _products(rows: NDArray[np.floating], anchor: int) -> NDArray[np.float64]:
    count, dim = rows.shape
    products = np.zeros((count, count), dtype=np.float64)
    for block in blocks(count, dim):
        part = np.subtract(rows[:, block], rows[anchor, block], dtype=np.float64)
        products += part @ part.T
    return products


def _squared(products: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.diagonal(products)
    squared = np.maximum(lengths[:, None] + lengths[None, :] - 2.0 * products, 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared
