"""Bucketing before the rule: rows are shuffled, dealt into buckets, and each bucket becomes its mean.

Honest means differ less from each other than honest rows, so a rule has an easier time. f malicious rows
spoil at most f of the fewer buckets: what the rule must bear stays f, out of ceil(R / size).

Edge cases: the last bucket holds what is left. With size 1 the rows are only shuffled.

What this file does NOT do: draw the order. It comes from outside; who made the rows must not have known it.

Breakdown point: that of the rule on ceil(R / size) rows.

Reference: Karimireddy et al. 2022, algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.blocks import combinations
from securefl.robust.mixing import Mixing, Order


def bucketing(size: int, order: Order) -> Mixing:
    """Averages buckets of `size` rows.

    Args:
        size: rows per bucket, at least 1.
        order: gives the permutation, for example `np.random.default_rng(7).permutation`.

    Example:
        >>> bucketing(2, np.arange)(np.array([[1.0], [3.0], [8.0]])).tolist()
        [[2.0], [8.0]]
    """
    if size < 1:
        raise ValueError(f"expected at least 1 row per bucket, got {size}")

    def mixing(rows: NDArray[np.floating]) -> NDArray[np.floating]:
        count = rows.shape[0]
        places = np.asarray(order(count))
        if sorted(places.tolist()) != list(range(count)):
            raise ValueError(f"expected a permutation of {count} rows from `order`, got {places}")
        factors = np.zeros((-(-count // size), count))
        factors[np.arange(count) // size, places] = 1.0
        return combinations(rows, factors / factors.sum(axis=1, keepdims=True))

    return mixing
