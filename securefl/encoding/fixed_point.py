"""Real updates as integers in a ring: clip, weight, rotate if asked, round at random, wrap.

Rules kept here:
- Overflow is impossible: a coordinate is clamped to +-(2^(bits-1) - 1) steps before rounding, rounding
  never leaves that range, and the ring is the smallest that holds `members` of them. A weight is written in
  digits of that range, so that a few bits per coordinate stay a few bits.
- A rotation is public, the same for every member, and undone once, on the sum. What it spreads evenly needs a
  smaller range, so that as many bits make smaller steps.
- Clipping happens here and in float64, so whatever was added before it, noise included, is inside the
  bound; a non-finite coordinate is refused before it becomes an integer.
- Rounding is unbiased and its uniforms come from the caller's private stream, one per coordinate in
  order, so the block size does not show in the result.
- Work is done in blocks: beside the update and its ring image there is never a float64 copy of either,
  unless the update is rotated.

What this file does NOT do: add noise or know about privacy. A bound on the L2 norm limits the size of
an update, not its direction.

Reference: Alistarh et al. 2017 (QSGD), section 3 (unbiased stochastic rounding); Suresh et al. 2017,
"Distributed Mean Estimation with Limited Communication", section 3 (rotation before it).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.encoding.encoding import Encoding
from securefl.encoding.packing import packed_size, ring_dtype
from securefl.encoding.rotation import largest_share, padded, rotate, unrotate
from securefl.errors import ConfigError, DataError, ProtocolError

MIN_BITS = 4
MAX_BITS = 32
MAX_RING_BITS = 64
CUT_CHANCE = 2.0**-20
"""That any coordinate of a rotated update is beyond the range and a little of it is cut, per update."""
_LARGEST_WEIGHT = 1 << 53
_BLOCK = 1 << 14


@dataclass(frozen=True)
class FixedPoint:
    """How one group's updates become ring vectors and how their sum becomes a mean.

    Attributes:
        clip_norm: L2 bound of one update, also the largest coordinate.
        bits: width of one encoded coordinate, sign included, from 4 to 32.
        dim: coordinates of an update.
        members: how many vectors may be summed, at most.
        cap: largest weight of one member; updates are scaled by weight / cap before rounding.
        weighted: whether further coordinates carry the member's weight through the sum.
        rotation: public seed of the rotation; None for none.

    Guarantee: for any updates and any weights from 1 to `cap`, the sum of up to `members` encodings
    decodes to the exact sum of the rounded updates; no coordinate wraps. Rotated: it decodes to that sum
    rotated back, up to float64 rounding, and an update that does not depend on the seed is rounded without
    bias but for a chance of 2^-20.

    Raises:
        ConfigError: the sum could need more than 64 bits, or a field is out of range.

    Example:
        >>> codec = FixedPoint(clip_norm=1.0, bits=16, dim=2, members=4)
        >>> codec.ring_bits, codec.wire_bytes
        (18, 5)
        >>> total = codec.encode(np.array([0.5, -0.5]), Stream(bytes(32)))
        >>> mean, weight = codec.decode(total, survivors=1)
        >>> bool(abs(mean - [0.5, -0.5]).max() < codec.step), weight
        (True, 1.0)
    """

    clip_norm: float
    bits: int
    dim: int
    members: int
    cap: int = 1
    weighted: bool = False
    rotation: bytes | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ConfigError(
                f"expected a finite number above 0, got {self.clip_norm}", "secure_aggregation.clip_norm"
            )
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise ConfigError(
                f"expected {MIN_BITS} to {MAX_BITS} bits, got {self.bits}", "secure_aggregation.bits"
            )
        for name in ("dim", "members", "cap"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} of at least 1, got {getattr(self, name)}")
        self._check_ring()

    @property
    def limit(self) -> int:
        """The largest magnitude of an encoded coordinate: 2^(bits-1) - 1 steps."""
        return (1 << (self.bits - 1)) - 1

    @property
    def reach(self) -> int:
        """No noise, so nothing beyond the members' limits."""
        return 0

    @property
    def step(self) -> float:
        """The distance between neighbouring representable values."""
        share = 1.0 if self.rotation is None else largest_share(padded(self.dim), CUT_CHANCE)
        return share * self.clip_norm / self.limit

    @property
    def ring_bits(self) -> int:
        """The smallest width whose signed range holds every possible sum."""
        return self._largest_sum().bit_length() + 1

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        """The native word that carries ring elements."""
        return ring_dtype(self.ring_bits)

    @property
    def length(self) -> int:
        """Coordinates of an encoded vector: `dim`, or the power of two above it, and a weight's digits."""
        return self._rounded_dim + self._digits

    @property
    def wire_bytes(self) -> int:
        """Bytes of one packed ring vector."""
        return packed_size(self.length, self.ring_bits)

    @property
    def norm_bound(self) -> float:
        """The largest L2 norm that the decoded mean of honest updates can have.

        Rounding moves a coordinate by less than one step, and dividing by the smallest honest weight
        total, one per survivor, magnifies that by `cap`.
        """
        return self.clip_norm + self.cap * sqrt(self._rounded_dim) * self.step

    @property
    def noisy(self) -> bool:
        """Nothing is added here."""
        return False

    def spread(self, vector: NDArray[np.floating]) -> NDArray[np.float64]:
        """A vector in the coordinates that are rounded. Shapes: (dim,) -> (dim,), longer if rotated."""
        return vector.astype(np.float64) if self.rotation is None else rotate(vector, self.rotation)

    def gathered(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vector behind coordinates as `spread` gives them. Shapes: (at least dim,) -> (dim,)."""
        if self.rotation is None:
            return coordinates[: self.dim]
        return unrotate(coordinates[: self._rounded_dim], self.rotation, self.dim)

    def weight_words(self, weight: int) -> list[int]:
        """What follows the update's coordinates: the weight's digits, lowest first; none if not weighted."""
        width = self.bits - 1
        return [weight >> width * place & self.limit for place in range(self._digits)]

    def encode(
        self, update: NDArray[np.floating], stream: Stream, weight: int = 1
    ) -> NDArray[np.unsignedinteger]:
        """Clip `update` to `clip_norm`, rotate it, scale it by weight / cap, round it at random, wrap it.

        Shapes: update (dim,) -> (length,), words below 2^ring_bits.

        Raises:
            DataError: a coordinate is NaN or infinite.
        """
        if update.shape != (self.dim,):
            raise ValueError(f"expected an update of shape ({self.dim},), got {update.shape}")
        if not 1 <= weight <= self.cap:
            raise ValueError(f"expected a weight from 1 to the cap {self.cap}, got {weight}")
        if self.rotation is not None:
            update, shrinking = rotate(clip_to_norm(update, self.clip_norm), self.rotation), None
        else:
            shrinking = _shrinking(update, self.clip_norm)
        words = np.empty(self.length, dtype=self.dtype)
        for start in range(0, update.size, _BLOCK):
            scaled = update[start : start + _BLOCK].astype(np.float64)
            _shrink(scaled, shrinking)
            scaled *= weight / self.cap
            scaled /= self.step
            # The division by the step may pass the limit by one unit in the last place.
            np.clip(scaled, -self.limit, self.limit, out=scaled)
            words[start : start + scaled.size] = _rounded(scaled, stream)
        words[update.size :] = self.weight_words(weight)
        words &= self.dtype((1 << self.ring_bits) - 1)
        return words

    def decode(
        self, total: NDArray[np.unsignedinteger], survivors: int, public_weight: float | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """The weighted mean behind a sum of `survivors` encodings, and its weight total.

        Shapes: total (length,) -> (dim,).

        Args:
            total: the sum, modulo any power of two from 2^ring_bits up.
            survivors: how many vectors were summed.
            public_weight: the survivors' weight total in units of `cap`, where weights are declared
                constants; otherwise the total comes from the vector, or is the number of survivors.

        Raises:
            ProtocolError: the weight total is none that honest survivors can have.
        """
        signed = signed_sum(self, total, survivors)
        weight_total = self._weight_total(signed, survivors, public_weight)
        mean = signed[: self._rounded_dim].astype(np.float64)
        mean *= self.step * self.cap / weight_total
        return self.gathered(mean), weight_total

    @property
    def _rounded_dim(self) -> int:
        return self.dim if self.rotation is None else padded(self.dim)

    @property
    def _digits(self) -> int:
        """Coordinates of a weight: digits of at most `limit`, so that their sums need no wider ring."""
        return -(-self.cap.bit_length() // (self.bits - 1)) if self.weighted else 0

    def _largest_sum(self) -> int:
        return self.members * self.limit

    def _check_ring(self) -> None:
        if self.ring_bits > MAX_RING_BITS:
            raise ConfigError(
                f"the sum of {self.members} members needs {self.ring_bits} bits, and the ring has at most "
                f"{MAX_RING_BITS}; lower the bits or the group size",
                "secure_aggregation.bits",
            )
        if self.weighted and self.members * self.cap > _LARGEST_WEIGHT:
            raise ConfigError(
                f"expected weights of {self.members} members that add up to at most 2^53, which a float64 "
                f"holds exactly, got a cap of {self.cap}; lower the cap",
                "server.weights.cap",
            )

    def _weight_total(self, signed: NDArray[np.int64], survivors: int, public_weight: float | None) -> float:
        if self.weighted:
            sums = signed[self._rounded_dim :].tolist()
            weight_total = float(sum(each << (self.bits - 1) * place for place, each in enumerate(sums)))
        elif public_weight is not None:
            weight_total = float(public_weight)
        elif self.cap == 1:
            weight_total = float(survivors)
        else:
            raise ValueError("weights are neither in the vector nor uniform; pass public_weight")
        if not survivors <= weight_total <= survivors * self.cap:
            raise ProtocolError(
                f"{survivors} survivors with weights from 1 to {self.cap} have a total between {survivors} "
                f"and {survivors * self.cap}, got {weight_total:g}; drop this sum"
            )
        return weight_total


def clip_to_norm(vector: NDArray[np.floating], bound: float) -> NDArray[np.float64]:
    """A float64 copy of `vector`, scaled down to the L2 norm `bound` if it is longer.

    Raises:
        DataError: a coordinate is NaN or infinite.

    Example:
        >>> clip_to_norm(np.array([3.0, 4.0]), 1.0).round(9).tolist()
        [0.6, 0.8]
        >>> clip_to_norm(np.zeros(2), 1.0).tolist()
        [0.0, 0.0]
    """
    shrinking = _shrinking(vector, bound)
    clipped = vector.astype(np.float64)
    _shrink(clipped, shrinking)
    return clipped


def within_norm(vector: NDArray[np.floating], bound: float) -> bool:
    """Whether `clip_to_norm` leaves `vector` as it is.

    Raises:
        DataError: a coordinate is NaN or infinite.
    """
    return _shrinking(vector, bound) is None


def quantise(
    update: NDArray[np.floating],
    step: float,
    stream: Stream,
    dtype: type[np.uint32] | type[np.uint64],
) -> NDArray[np.unsignedinteger]:
    """`update` in whole steps, rounded up or down at random without bias, as words that wrap.

    Nothing bounds the result but the word; `FixedPoint.encode` clips first and clamps.

    Shapes: (dim,) -> (dim,).

    Raises:
        DataError: a coordinate is NaN or infinite, or has 2^62 steps or more.

    Example:
        >>> quantise(np.array([2.0, -1.0]), 1.0, Stream(bytes(32)), np.uint32).tolist()
        [2, 4294967295]
    """
    words = np.empty(update.shape, dtype=dtype)
    for start in range(0, update.size, _BLOCK):
        scaled = update[start : start + _BLOCK].astype(np.float64)
        scaled /= step
        if not np.abs(scaled).max(initial=0.0) < 2.0**62:
            raise DataError("expected finite coordinates below 2^62 steps, got others; nothing was encoded")
        words[start : start + _BLOCK] = _rounded(scaled, stream)
    return words


def signed_sum(encoding: Encoding, total: NDArray[np.unsignedinteger], survivors: int) -> NDArray[np.int64]:
    """A sum of `survivors` encodings as signed whole steps. Shapes: (length,) -> (length,)."""
    if total.shape != (encoding.length,) or total.dtype != encoding.dtype:
        raise ValueError(
            f"expected {encoding.length} words of {np.dtype(encoding.dtype)}, got {total.dtype} of "
            f"{total.shape}"
        )
    if not 1 <= survivors <= encoding.members:
        raise ValueError(f"expected 1 to {encoding.members} survivors, got {survivors}")
    return sign_extended(total, encoding.ring_bits)


def sign_extended(words: NDArray[np.unsignedinteger], ring_bits: int) -> NDArray[np.int64]:
    """Ring words as the signed integers nearest to 0 that they stand for.

    Example:
        >>> sign_extended(np.array([1, 7], dtype=np.uint32), 3).tolist()
        [1, -1]
    """
    spare = 64 - ring_bits
    return (words.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> np.int64(spare)


_Shrinking = tuple[float, float] | None
"""(divide by, then multiply by), or None for a vector that is within its bound."""


def _shrinking(vector: NDArray[np.floating], bound: float) -> _Shrinking:
    # Extremes rather than magnitudes: those would be a copy of the vector. NaN survives all three.
    peak = float(np.maximum(vector.max(initial=0.0), -vector.min(initial=0.0)))
    if not isfinite(peak):
        raise DataError("expected an update of finite numbers, got NaN or infinity; nothing was encoded")
    if peak == 0.0:
        return None
    # Relative to the largest coordinate, so that neither tiny nor huge updates leave the float range.
    factor = bound / sqrt(_sum_of_squares(vector.reshape(-1), peak))
    return (peak, factor) if peak > factor else None


def _shrink(block: NDArray[np.float64], shrinking: _Shrinking) -> None:
    if shrinking is not None:
        peak, factor = shrinking
        block /= peak
        block *= factor


def _sum_of_squares(vector: NDArray[np.floating], unit: float) -> float:
    """The squares of `vector` in units of `unit`, summed in pairs of halves as NumPy's own sum does."""
    if vector.size > _BLOCK:
        half = vector.size // 16 * 8
        return _sum_of_squares(vector[:half], unit) + _sum_of_squares(vector[half:], unit)
    block = vector.astype(np.float64)
    block /= unit
    np.square(block, out=block)
    return float(block.sum())


def _rounded(scaled: NDArray[np.float64], stream: Stream) -> NDArray[np.int64]:
    """`scaled` rounded up or down at random; it is used up."""
    floor = np.floor(scaled)
    # Not floor(scaled + uniform): that sum rounds, and could pass the limit.
    scaled -= floor
    rounded = floor.astype(np.int64)
    rounded += stream.uniforms(scaled.size) < scaled
    return rounded
