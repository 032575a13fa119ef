"""Gaussian noise and Poisson samples, drawn from a party's own cipher stream.

Rules kept here:
- All randomness comes from the `Stream` that is passed in: neither NumPy's nor torch's generators, nor
  their seeds, have any influence, and equal streams give equal draws on one machine.
- A Poisson sample includes each index independently. An empty sample is an answer, not an error: the
  accountant counts on it.

What this file does NOT do: scale to a clip norm (`securefl.training`), or integer noise for released
aggregates. The Gaussian here is floating-point: it has 2^52 radii and 2^52 angles, no value beyond
+-8.58 standard deviations, and its low bits are not those of a real Gaussian. The epsilon of an event
holds for the ideal mechanism (Mironov 2012, "On Significance of the Least Significant Bits For
Differential Privacy"), and the guarantee card says so.

Reference: Box and Muller 1958, "A Note on the Generation of Random Normal Deviates".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.errors import PrivacyError

_PAIRS_PER_BLOCK = 1 << 14
"""Keeps the working set of one block inside a second-level cache."""


def gaussian(stream: Stream, count: int) -> NDArray[np.float64]:
    """`count` independent standard normal draws.

    Guarantee: mean 0 and variance 1; two streams under independent keys give independent noise.

    Shapes:
        (count,)

    Example:
        >>> gaussian(Stream(bytes(32)), 3).shape
        (3,)
    """
    _require_size(count, "count")
    pairs = (count + 1) // 2
    out = np.empty(2 * pairs, dtype=np.float64)
    for start in range(0, pairs, _PAIRS_PER_BLOCK):
        size = min(_PAIRS_PER_BLOCK, pairs - start)
        uniform = stream.uniforms(2 * size)
        radius = np.sqrt(-2.0 * np.log(uniform[:size]))
        angle = (2.0 * np.pi) * uniform[size:]
        block = out[2 * start : 2 * (start + size)]
        np.multiply(radius, np.cos(angle), out=block[:size])
        np.multiply(radius, np.sin(angle), out=block[size:])
    return out[:count]


def poisson_sample(stream: Stream, population: int, rate: float) -> NDArray[np.int64]:
    """The indices below `population` that fell into one sample, ascending; possibly none.

    Guarantee: each index is in with probability `rate` (to within 2^-53), independently of every
    other index and of every other call. The size of the sample is private: never divide by it.

    Shapes:
        (size of the sample,), int64
    """
    _require_size(population, "population")
    if not 0 < rate <= 1:
        raise PrivacyError(f"a Poisson rate must lie in (0, 1], got {rate!r}")
    return np.flatnonzero(stream.uniforms(population) < rate).astype(np.int64, copy=False)


def _require_size(size: int, name: str) -> None:
    if size < 0:
        raise PrivacyError(f"{name} must be an integer of at least 0, got {size!r}")
