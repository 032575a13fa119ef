"""Values of chosen ranks in each column, by one of two ways to sort many short columns at once.

Few rows are sorted by a network: a fixed list of pairs, each pair of whole rows put in order by one minimum
and one maximum, so that all columns of a block go through the same steps side by side. More rows are laid
out column by column and sorted there, for a network grows faster than a sort. Both stay in the type of the
rows, which comparing does not round.

Rules kept here: a block is a copy, so the rows given are never changed; NaN does not occur.

What this file does NOT do: average.

Reference: Batcher 1968 (merge exchange, as in Knuth, volume 3, algorithm 5.2.2M).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# Measured: up to here the network is the faster way.
NETWORK_ROWS = 24

Pairs: TypeAlias = tuple[tuple[int, int], ...]


def ranked(block: NDArray[np.floating], first: int, last: int) -> NDArray[np.floating]:
    """Per column the values of the ranks `first` to `last - 1`, in increasing order.

    Shapes: block (count, width) -> (last - first, width).

    Example:
        >>> ranked(np.array([[3.0], [1.0], [2.0]]), 1, 3).tolist()
        [[2.0], [3.0]]
    """
    if block.shape[0] > NETWORK_ROWS:
        # A copy always, laid out column by column, sorted in place.
        columns = np.array(block.T, order="C")
        columns.sort(axis=1)
        return columns[:, first:last].T
    rows = list(np.array(block, order="C"))
    spare = np.empty_like(rows[0])
    for low, high in network(len(rows), first, last):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return np.array(rows[first:last])


@lru_cache(maxsize=64)
def network(count: int, first: int, last: int) -> Pairs:
    """Pairs to put in order, one after the other, until the ranks `first` to `last - 1` are in their places.

    Pairs that no wanted rank depends on are left out.
    """
    wanted, kept = set(range(first, last)), []
    for low, high in reversed(_merge_exchange(count)):
        if low in wanted or high in wanted:
            kept.append((low, high))
            wanted |= {low, high}
    return tuple(reversed(kept))


def _merge_exchange(count: int) -> list[tuple[int, int]]:
    pairs = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    part = top
    while part > 0:
        span, rest, apart = top, 0, part
        while True:
            pairs += [(i, i + apart) for i in range(count - apart) if i & part == rest]
            if span == part:
                break
            apart, span, rest = span - part, span >> 1, part
        part >>= 1
    return pairs
