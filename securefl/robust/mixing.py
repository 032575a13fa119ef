"""The shape of what may be done to rows before the rule, and how many rows that leaves.

Rules kept here:
- A mixing is a pure function of the rows: it never changes its input, and the rows keep their type.
- What it does to the number of rows is known beforehand, so a quorum can be counted with it.

What this file does NOT do: any mixing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Mixing: TypeAlias = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""rows (count, dim) -> rows (count', dim)."""

Order: TypeAlias = Callable[[int], NDArray[np.int64]]
"""How many rows -> a permutation of their indices, uniform and not known to who made the rows."""


@dataclass(frozen=True)
class Before:
    """One step before the rule, by name.

    Attributes:
        name: one of `MIXINGS`.
        value: the norm for `clipping`, the quantile for `quantile_clipping`, rows per bucket for `bucketing`,
            None for `nearest_neighbours`.
    """

    name: str
    value: float | None = None


MIXINGS = ("clipping", "quantile_clipping", "bucketing", "nearest_neighbours")


def rows_after(before: Sequence[Before], count: int) -> int:
    """Rows that the steps make of `count` rows.

    Example:
        >>> rows_after((Before("bucketing", 2), Before("nearest_neighbours")), 9)
        5
    """
    for step in before:
        if step.name == "bucketing" and step.value is not None:
            count = -(-count // int(step.value))
    return count
