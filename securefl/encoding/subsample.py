"""Which coordinates of an update travel in which round: a part of them, drawn by a public seed.

Rules kept here:
- Who knows the seed and the round's number knows the coordinates: clients and server, without a message.
- Drawn without replacement: after a whole cycle, ceil(coordinates / count) rounds, every one has travelled.
- Every round's message has one length.

What this file does NOT do: remember what did not travel (`securefl.federation.feedback`), or hide anything.

Reference: Konecny et al. 2016, "Federated Learning: Strategies for Improving Communication Efficiency"
(sketched updates: subsampling).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Subsample:
    """The coordinates of each round.

    Attributes:
        seed: public, 32 bytes.
        count: numbers in a message.
        parts: by turn, the coordinates of the model that train in it, ascending; one part if all always do.

    Example:
        >>> sample = Subsample(bytes(32), count=2, parts=(np.arange(4),))
        >>> sorted([*sample.of(1).tolist(), *sample.of(2).tolist()])
        [0, 1, 2, 3]
    """

    seed: bytes
    count: int
    parts: tuple[Places, ...]

    def of(self, round: int) -> Places:
        """The coordinates that travel in a round, ascending; rounds are counted from 1."""
        nth, turn = divmod(round - 1, len(self.parts))
        part = self.parts[turn]
        count = min(self.count, len(part))
        cycle, block = divmod(nth, -(-len(part) // count))
        start = min(block * count, len(part) - count)  # the last block is filled up with earlier ones
        return np.sort(part[_order(self.seed, turn, cycle, len(part))[start : start + count]])

    def padded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What travels of a turn with fewer coordinates. Shapes: (at most count,) -> (count,)."""
        return np.concatenate([values, np.zeros(self.count - len(values))])


@lru_cache(maxsize=4)
def _order(seed: bytes, turn: int, cycle: int, size: int) -> Places:
    """A permutation; the same on every machine."""
    label = turn.to_bytes(8, "big") + cycle.to_bytes(8, "big")
    key = hashlib.sha256(b"securefl subsample 1\n" + seed + label).digest()
    drawn = np.frombuffer(Stream(key).take(8 * size), dtype="<u8")
    order = np.argsort(drawn, kind="stable").astype(np.int64)
    order.setflags(write=False)
    return order
