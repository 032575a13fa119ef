"""Which coordinates of the flat vector train and travel in which round; no torch.

Rules kept here:
- Who trains follows from the round's number alone, so that clients and server agree without a message.
- Every round's message has one length: that of the longest turn, the others padded with zeros.
- What has no turn stays at home: it is each client's own.

What this file does NOT do: know what the coordinates mean (`adapters`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Turns:
    """Turns that follow each other round by round, and then begin again.

    Attributes:
        places: by turn, the coordinates that train in it, ascending.
        dim: length of the flat vector.

    Example:
        >>> turns = Turns((np.array([0, 3]), np.array([1])), dim=4)
        >>> turns.of(round=2).tolist(), turns.padded(np.array([6.0])).tolist()
        ([1], [6.0, 0.0])
    """

    places: tuple[Places, ...]
    dim: int

    @property
    def length(self) -> int:
        """Numbers in a message, whatever the round."""
        return max(len(each) for each in self.places)

    @property
    def at_home(self) -> Places:
        """The coordinates that never travel."""
        return np.setdiff1d(np.arange(self.dim), np.concatenate(self.places))

    def of(self, round: int) -> Places:
        """The coordinates that train in a round, which is counted from 1."""
        return self.places[(round - 1) % len(self.places)]

    def padded(self, update: NDArray[np.float64]) -> NDArray[np.float64]:
        """What travels of the trained coordinates' update. Shapes: (turn's length,) -> (length,)."""
        return np.concatenate([update, np.zeros(self.length - len(update))])
