"""The discrete Gaussian: integer noise without floating-point error, drawn from a party's own cipher stream.

Rules kept here:
- Exact. Every decision compares a uniform number with the exponential of a rational one. Floats decide only
  where they are further than `_MARGIN` from a tie; what is nearer is decided in decimal arithmetic, with as
  many further random bits and digits as it takes. So no statistical distance has to be added to delta.
- All randomness comes from the `Stream` that is passed in; equal streams give equal samples.
- `sigma` is the binary fraction that its float is, taken as an exact rational.

Assumes: NumPy's float64 `exp` and `log` err by less than 2^-32 here (about 2^-50 is what they do), and a
uniform stream, which is AES's promise.

What this file does NOT do: choose sigma (`accountant`), or hide how long it took. How many proposals a
vector needs depends on its samples, as in every rejection sampler.

Reference: Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy", algorithms 1
to 3. Their two rejections of one proposal, of its offset and of its height, are one here, with the product
of their probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import floor

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.errors import PrivacyError

SMALLEST_SIGMA, LARGEST_SIGMA = 2.0**-4, 2.0**26
"""Between them every sample that can occur, its square and its exponent are inside their types' ranges."""

_MARGIN = 2.0**-30
_BLOCK = 1 << 15
_EXTRA_BYTES = 16
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DiscreteGaussian:
    """Integers x with probability proportional to exp(-x^2 / (2 sigma^2)).

    Attributes:
        sigma: the scale; the variance is at most its square.

    Guarantee: samples are independent, symmetric about 0 and distributed exactly so; each is sub-Gaussian
    with parameter sigma.

    Raises:
        PrivacyError: sigma is not between 2^-4 and 2^26.

    Reference: Canonne, Kamath and Steinke 2020, section 2 (variance and tails).

    Example:
        >>> DiscreteGaussian(3.0).draw(Stream(bytes(32)), 5).tolist()
        [-2, 0, -4, 2, 2]
    """

    sigma: float

    def __post_init__(self) -> None:
        if type(self.sigma) is bool or not SMALLEST_SIGMA <= self.sigma <= LARGEST_SIGMA:
            raise PrivacyError(
                f"sigma of a discrete Gaussian must lie between {SMALLEST_SIGMA} and {LARGEST_SIGMA:.0f} "
                f"steps, got {self.sigma!r}; without noise there is no privacy, and more of it wants a "
                "coarser step: fewer bits"
            )

    @property
    def variance(self) -> float:
        """The variance of the discrete Gaussian itself, which is below sigma^2 where sigma is small."""
        if self.sigma > 4.0:  # the two differ by less than 2 (2 pi sigma^2)^2 exp(-2 pi^2 sigma^2) < 1e-130
            return self.sigma**2
        squares = np.square(np.arange(1, 200, dtype=np.float64))
        weights = np.exp(-squares / (2 * self.sigma**2))
        return float(2 * (squares * weights).sum() / (1 + 2 * weights.sum()))

    def draw(self, stream: Stream, count: int) -> Integers:
        """`count` independent samples. Shapes: (count,), int64."""
        if count < 0:
            raise PrivacyError(f"count must be an integer of at least 0, got {count!r}")
        samples = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            # At least a quarter of the proposals is accepted, whatever sigma is.
            found = self._accepted(stream, min(_BLOCK, 4 * (count - done) + 16))[: count - done]
            samples[done : done + found.size] = found
            done += found.size
        return samples

    def _accepted(self, stream: Stream, size: int) -> Integers:
        """The samples that `size` proposals give: |x| = step * blocks + offset, blocks geometric."""
        step = floor(self.sigma) + 1
        heights, offsets = stream.words(size, np.uint32), stream.words(size, np.uint32)
        lengths = stream.words(size, np.uint64)
        offset, fair = _below(offsets, step)
        blocks, unsure = _geometric(lengths >> np.uint64(1))
        samples = offset + step * blocks
        gap = (heights + 0.5) * 2.0**-32 - np.exp(-self._exponents(samples, blocks, step))
        accepted = gap < 0.0
        for at in np.flatnonzero(unsure | (np.abs(gap) < _MARGIN)):
            length, height = (
                _Uniform(int(lengths[at]) >> 1, 63, stream),
                _Uniform(int(heights[at]), 32, stream),
            )
            samples[at], accepted[at] = self._decided(length, int(offset[at]), height, step)
        negative = (lengths & np.uint64(1)).astype(bool)
        accepted &= fair & ~(negative & (samples == 0))  # 0 has one sign
        np.negative(samples, out=samples, where=negative)
        return samples[accepted]

    def _exponents(self, samples: Integers, blocks: Integers, step: int) -> NDArray[np.float64]:
        exponents = np.square(samples.astype(np.float64))
        exponents *= 0.5 / self.sigma**2
        exponents -= blocks
        exponents += 0.5 * (self.sigma / step) ** 2
        return exponents

    def _decided(self, length: _Uniform, offset: int, height: _Uniform, step: int) -> tuple[int, bool]:
        """The same for one proposal, without floats."""
        variance, blocks = Fraction(self.sigma) ** 2, 0
        while length.below(Fraction(blocks + 1)):
            blocks += 1
        sample = offset + step * blocks
        return sample, height.below(Fraction(sample**2) / (2 * variance) - blocks + variance / (2 * step**2))


class _Uniform:
    """A number in (0, 1) of which the first bits are known; further ones are drawn when they are needed."""

    def __init__(self, prefix: int, bits: int, stream: Stream) -> None:
        self._prefix, self._bits, self._stream = prefix, bits, stream

    def below(self, exponent: Fraction) -> bool:
        """Whether the number is below exp(-exponent), for an exponent of at least 0."""
        while True:
            # Digits beyond those of the bits: the value errs by less than a unit of the last bit.
            context = Context(prec=self._bits // 3 + 24)
            ratio = context.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
            scaled = Fraction(context.exp(-ratio)) * (1 << self._bits)
            if self._prefix + 2 <= scaled:
                return True
            if self._prefix - 1 >= scaled:
                return False
            self._prefix = self._prefix << 8 * _EXTRA_BYTES | int.from_bytes(
                self._stream.take(_EXTRA_BYTES), "big"
            )
            self._bits += 8 * _EXTRA_BYTES


def _below(words: NDArray[np.unsignedinteger], bound: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Uniform integers below `bound`, and which of them may be used (Lemire 2019, algorithm 5)."""
    products = words.astype(np.uint64) * np.uint64(bound)
    fair = (products & np.uint64(0xFFFFFFFF)) >= np.uint64((1 << 32) % bound)
    return (products >> np.uint64(32)).astype(np.int64), fair


def _geometric(prefixes: NDArray[np.unsignedinteger]) -> tuple[Integers, NDArray[np.bool_]]:
    """floor(-log(uniform)), which is k or more with probability exp(-k); and where floats cannot tell."""
    exact = -np.log((prefixes + 0.5) * 2.0**-63)
    blocks = np.floor(exact)
    unsure = np.abs(exact - np.rint(exact)) < _MARGIN
    unsure |= prefixes < np.uint64(1 << 33)  # few leading bits: the logarithm is known too coarsely
    return blocks.astype(np.int64), unsure
