"""What a masked sum needs of an encoding: from an update to ring words, and from their sum to a mean.

Rules kept here: whoever sums, signs or sizes messages knows `length`, `ring_bits` and `dtype`, and nothing
about what a coordinate means.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream


class Encoding(Protocol):
    """`FixedPoint` without noise, `NoisyFixedPoint` with a share of it."""

    @property
    def clip_norm(self) -> float:
        """L2 bound of one update."""

    @property
    def bits(self) -> int:
        """Resolution: the clip norm is 2^(bits-1) - 1 steps."""

    @property
    def dim(self) -> int:
        """Coordinates of an update."""

    @property
    def members(self) -> int:
        """How many vectors may be summed, at most."""

    @property
    def cap(self) -> int:
        """Largest weight of one member."""

    @property
    def rotation(self) -> bytes | None:
        """Public seed of the rotation; None for none."""

    @property
    def step(self) -> float:
        """The distance between neighbouring representable values."""

    @property
    def limit(self) -> int:
        """The largest magnitude of an encoded coordinate, before noise."""

    @property
    def reach(self) -> int:
        """What noise adds to the magnitude of a sum's coordinate, but for a negligible chance."""

    @property
    def ring_bits(self) -> int:
        """Bits of a ring element."""

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        """The native word that carries ring elements."""

    @property
    def length(self) -> int:
        """Coordinates of an encoded vector."""

    @property
    def wire_bytes(self) -> int:
        """Bytes of one packed ring vector."""

    @property
    def norm_bound(self) -> float:
        """The largest L2 norm that the decoded mean of honest updates can have."""

    @property
    def noisy(self) -> bool:
        """Whether noise covers what a vector says about its update."""

    def spread(self, vector: NDArray[np.floating]) -> NDArray[np.float64]:
        """A vector in the coordinates that are rounded. Shapes: (dim,) -> (at most length,)."""

    def gathered(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vector behind coordinates as `spread` gives them. Shapes: (at least dim,) -> (dim,)."""

    def weight_words(self, weight: int) -> list[int]:
        """What an encoded vector carries behind the update's coordinates."""

    def encode(
        self, update: NDArray[np.floating], stream: Stream, weight: int = 1
    ) -> NDArray[np.unsignedinteger]:
        """The ring words of one update. Shapes: (dim,) -> (length,)."""

    def decode(
        self, total: NDArray[np.unsignedinteger], survivors: int, public_weight: float | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """The mean behind a sum, and its weight total. Shapes: (length,) -> (dim,)."""
