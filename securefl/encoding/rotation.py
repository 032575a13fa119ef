"""A random rotation that spreads a vector evenly over its coordinates: signs, then a Hadamard transform.

Rules kept here: the seed is public and decides the signs; additions and subtractions in a fixed order, so
that equal inputs give equal bits on every machine.

What this file does NOT do: hide anything. Whoever knows the seed rotates back.

Reference: Ailon and Chazelle 2009, "The Fast Johnson-Lindenstrauss Transform"; Suresh et al. 2017,
"Distributed Mean Estimation with Limited Communication", section 3.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream


def padded(dim: int) -> int:
    """The power of two that a rotated vector of `dim` coordinates has."""
    return 1 << (dim - 1).bit_length()


def rotate(vector: NDArray[np.floating], seed: bytes) -> NDArray[np.float64]:
    """`vector`, padded with zeros and rotated. Shapes: (dim,) -> (padded(dim),).

    Guarantee: the L2 norm stays, up to float64 rounding; `unrotate` gives the vector back.

    Example:
        >>> rotated = rotate(np.array([3.0, 0.0, 0.0]), bytes(32))
        >>> np.abs(rotated).tolist(), np.abs(unrotate(rotated, bytes(32), 3)).tolist()
        ([1.5, 1.5, 1.5, 1.5], [3.0, 0.0, 0.0])
    """
    size = padded(vector.size)
    spread = np.zeros(size)
    spread[: vector.size] = vector
    spread *= _signs(seed, size)
    return _hadamard(spread)


def unrotate(rotated: NDArray[np.float64], seed: bytes, dim: int) -> NDArray[np.float64]:
    """The first `dim` coordinates of what was rotated. Shapes: (padded(dim),) -> (dim,)."""
    vector = _hadamard(rotated)
    vector *= _signs(seed, rotated.size)
    return vector[:dim]


def largest_share(size: int, chance: float) -> float:
    """The part of a vector's norm that no rotated coordinate passes, but for this chance.

    Guarantee: for a vector that does not depend on the seed, with probability 1 - `chance`. Each of `size`
    coordinates is a sum of the vector's, each with its own random sign, over sqrt(size): sub-Gaussian with
    parameter norm / sqrt(size).

    Reference: Hoeffding 1963, theorem 2.

    Example:
        >>> largest_share(4, 2.0**-40), round(largest_share(2**20, 2.0**-40), 4)
        (1.0, 0.009)
    """
    return min(1.0, sqrt(2.0 * log(2.0 * size / chance) / size))


def _signs(seed: bytes, size: int) -> NDArray[np.float64]:
    bits = np.frombuffer(Stream(seed).take((size + 7) // 8), dtype=np.uint8)
    return 1.0 - 2.0 * np.unpackbits(bits, count=size).astype(np.float64)


def _hadamard(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthonormal Walsh-Hadamard transform, which is its own inverse."""
    vector, half = vector.copy(), vector.size // 2
    for _ in range(half.bit_length()):
        # Takes the highest bit of the index and puts it last: after all of them the order is the old one.
        mixed = np.empty((half, 2))
        np.add(vector[:half], vector[half:], out=mixed[:, 0])
        np.subtract(vector[:half], vector[half:], out=mixed[:, 1])
        vector = mixed.reshape(-1)
    np.divide(vector, sqrt(vector.size), out=vector)
    return vector
