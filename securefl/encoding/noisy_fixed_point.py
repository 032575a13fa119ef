"""Real updates as noisy integers in a ring: clip, rotate, scale, round at random, add noise, wrap.

Rules kept here:
- The bound on the norm holds AFTER rounding, and it is checked in integers: a rounding that breaks it is
  drawn again. So the sensitivity of the noisy sum is `rounded_norm_squared`, whatever floats did before.
- An update that is not finite counts as zeros. To refuse it would say something about the data that no
  noise covers.
- Noise is added last, to integers, and is never clipped; it comes from the same private stream.
- All of it is in units of the clip, so what a sum reveals does not depend on the clip. Where that moves from
  round to round, one more coordinate inside the same bound says whether the update was within it.
- The data's part of a sum cannot wrap: every coordinate is clamped to `limit` before it is rounded. The
  noise makes a sum of honest vectors wrap with probability at most 2^-40 per round.

Proof of the last: the noise of a sum of n <= `members` vectors is sub-Gaussian with parameter sqrt(n) sigma,
so one coordinate of it passes `reach` with probability at most 2 exp(-reach^2 / (2 members sigma^2)), which
`reach` makes 2^-40 / (length * sums). A round has length * sums coordinates, and the ring holds
members * limit + reach. Rotation takes no part in this: a rotated coordinate beyond `limit`, which has
probability 2^-40 for a vector that does not depend on the public seed, is clamped, so that it loses a
little of the update and never wraps.

What this file does NOT do: choose the noise or know what it protects (`securefl.privacy`), or round without
any bias: drawing again prefers short roundings by a little. One share of noise protects nobody: only the
sum of the shares that a sum is guaranteed to have does.

Reference: Kairouz, Liu and Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning
with Secure Aggregation", section 4 and algorithms 1 and 2 (conditional rounding: the client's part).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isqrt, log, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.encoding.adaptive_clip import AdaptiveClip
from securefl.encoding.fixed_point import (
    MAX_RING_BITS,
    FixedPoint,
    clip_to_norm,
    quantise,
    sign_extended,
    signed_sum,
    within_norm,
)
from securefl.encoding.packing import packed_size, ring_dtype
from securefl.encoding.rotation import largest_share, padded, rotate, unrotate
from securefl.errors import ConfigError

WRAP_CHANCE = 2.0**-40
"""Per round, over all its sums and coordinates."""


class IntegerNoise(Protocol):
    """One member's share of the noise."""

    @property
    def sigma(self) -> float:
        """Sub-Gaussian parameter of one sample, in steps."""

    def draw(self, stream: Stream, count: int) -> NDArray[np.int64]:
        """Independent samples. Shapes: (count,)."""


@dataclass(frozen=True)
class NoisyFixedPoint:
    """How one group's updates become ring vectors with a share of noise each, and their sum a mean.

    Every member counts the same: noise for equal weights protects no others.

    Attributes:
        clip_norm: L2 bound of one update.
        bits: the bound of a vector, its bit included, is 2^(bits-1) - 1 steps.
        dim: coordinates of an update.
        members: how many vectors may be summed, at most.
        noise: added to every coordinate of a sum, once or as shares.
        rotation: public seed of the rotation; None for none.
        sums: sums in one round, which share the chance to wrap.
        shared: whether every member adds a sample of `noise`; otherwise whoever has the sum calls `noised`.
        adaptive: how the clip moves from round to round; None where it stays.

    Guarantee: before its noise an encoded vector has a squared L2 norm of at most `squared_norm`, in steps; a
    sum of up to `members` of them decodes to the exact sum of rounded updates and noise, but for a chance of
    2^-40 per round.

    Raises:
        ConfigError: the sum could need more than 64 bits, or a field is out of range.
    """

    clip_norm: float
    bits: int
    dim: int
    members: int
    noise: IntegerNoise
    rotation: bytes | None = None
    sums: int = 1
    shared: bool = True
    adaptive: AdaptiveClip | None = None

    def __post_init__(self) -> None:
        FixedPoint(self.clip_norm, self.bits, self.dim, self.members)  # its bounds hold here too
        if self.ring_bits > MAX_RING_BITS:
            raise ConfigError(
                f"the noisy sum of {self.members} members needs {self.ring_bits} bits, and the ring has at "
                f"most {MAX_RING_BITS}; lower the bits or the group size",
                "secure_aggregation.bits",
            )

    @property
    def cap(self) -> int:
        """Everybody's weight is 1."""
        return 1

    @property
    def step(self) -> float:
        """The distance between neighbouring representable values of an update."""
        return self.clip_norm / _steps(self.bits) / (1.0 if self.adaptive is None else self.adaptive.kept)

    @property
    def limit(self) -> int:
        """The largest magnitude of an encoded coordinate, before noise."""
        share = 1.0 if self.rotation is None else largest_share(self.length, WRAP_CHANCE)
        return ceil(share * _steps(self.bits))

    @property
    def reach(self) -> int:
        """What noise does not pass in any coordinate of a round's sums, but for `WRAP_CHANCE`."""
        chance, samples = WRAP_CHANCE / (self.length * self.sums), self.members if self.shared else 1
        return ceil(self.noise.sigma * sqrt(2.0 * samples * log(2.0 / chance)))

    @property
    def squared_norm(self) -> int:
        """Bound on the squared L2 norm of an encoded vector before its noise: the sensitivity, in steps."""
        return rounded_norm_squared(self.bits, self.length)

    @property
    def ring_bits(self) -> int:
        """The smallest width whose signed range holds every sum but those of chance 2^-40."""
        return (self.members * self.limit + self.reach).bit_length() + 1

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        """The native word that carries ring elements."""
        return ring_dtype(self.ring_bits)

    @property
    def length(self) -> int:
        """Coordinates of an encoded vector: a power of two if it is rotated."""
        coordinates = self.dim + (self.adaptive is not None)
        return coordinates if self.rotation is None else padded(coordinates)

    @property
    def wire_bytes(self) -> int:
        """Bytes of one packed ring vector."""
        return packed_size(self.length, self.ring_bits)

    @property
    def norm_bound(self) -> float:
        """The largest L2 norm that a decoded mean can have at all, honest or not: that of the ring.

        Noise comes after the clip, so a shorter bound would prove nothing against a group.
        """
        return sqrt(self.length) * (1 << (self.ring_bits - 1)) * self.step

    @property
    def noisy(self) -> bool:
        """Every coordinate of a sum gets noise."""
        return True

    def at(self, clip: float) -> NoisyFixedPoint:
        """The encoding of a round with this clip."""
        return replace(self, clip_norm=clip)

    def spread(self, vector: NDArray[np.floating]) -> NDArray[np.float64]:
        """A vector in the coordinates that are rounded, without a bit. Shapes: (dim,) -> (length,)."""
        return self._spread(vector, 0.0)

    def gathered(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vector behind coordinates as `spread` gives them. Shapes: (length,) -> (dim,)."""
        return self._whole(coordinates)[: self.dim]

    def weight_words(self, weight: int) -> list[int]:
        """Nothing: everybody's weight is 1."""
        return []

    def encode(
        self, update: NDArray[np.floating], stream: Stream, weight: int = 1
    ) -> NDArray[np.unsignedinteger]:
        """Clip `update`, add the bit, rotate, scale, round within the bound, add a share of noise, wrap.

        Shapes: update (dim,) -> (length,), words below 2^ring_bits.
        """
        if update.shape != (self.dim,):
            raise ValueError(f"expected an update of shape ({self.dim},), got {update.shape}")
        if weight != 1:
            raise ValueError(f"expected weight 1, got {weight}: noise is sized for equal weights")
        values = self.rounded(update, stream)
        if self.shared:
            values += self.noise.draw(stream, self.length)
        return self._wrapped(values)

    def noised(self, total: NDArray[np.unsignedinteger], stream: Stream) -> NDArray[np.unsignedinteger]:
        """A sum with one sample of noise on every coordinate: a trusted server's part. Shapes: (length,)."""
        values = sign_extended(total, self.ring_bits)
        values += self.noise.draw(stream, self.length)
        return self._wrapped(values)

    def rounded(self, update: NDArray[np.floating], stream: Stream) -> NDArray[np.int64]:
        """What `encode` adds noise to: whole steps, within `limit` and `squared_norm`. Shapes: (length,)."""
        finite = update if np.isfinite(update).all() else np.zeros(self.dim)
        sign = 1.0 if self.adaptive is None or within_norm(finite, self.clip_norm) else -1.0
        scaled = self._spread(clip_to_norm(finite, self.clip_norm), sign)
        scaled /= self.step
        np.clip(scaled, -self.limit, self.limit, out=scaled)
        while True:
            # A rounding stays within the bound with probability at least 1 - exp(-1/2), so a few draws do.
            whole = quantise(scaled, 1.0, stream, np.uint64).view(np.int64)
            if int(np.dot(whole, whole)) <= self.squared_norm:
                return whole

    def decode(
        self, total: NDArray[np.unsignedinteger], survivors: int, public_weight: float | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """The mean behind a sum of `survivors` encodings, noise included, and their number.

        Shapes: total (length,) -> (dim,).

        Args:
            total: the sum, modulo any power of two from 2^ring_bits up.
            survivors: how many vectors were summed.
            public_weight: not used: everybody counts the same.
        """
        return self._mean(total, survivors)[: self.dim], float(survivors)

    def within(self, total: NDArray[np.unsignedinteger], survivors: int) -> float:
        """The part of `survivors` encodings whose update was within the clip, noise included.

        Assumes:
            `adaptive` is set. A member that sends zeros counts as half.
        """
        return 0.5 + float(self._mean(total, survivors)[self.dim]) / (2.0 * self._bit)

    @property
    def _bit(self) -> float:
        """The magnitude of the bit's coordinate, in units of the update."""
        return 0.0 if self.adaptive is None else self.adaptive.bit_share * self.step * _steps(self.bits)

    def _spread(self, vector: NDArray[np.floating], sign: float) -> NDArray[np.float64]:
        whole = vector.astype(np.float64)
        if self.adaptive is not None:
            whole = np.append(whole, sign * self._bit)
        return whole if self.rotation is None else rotate(whole, self.rotation)

    def _mean(self, total: NDArray[np.unsignedinteger], survivors: int) -> NDArray[np.float64]:
        """The mean update, then the mean bit if there is one. Shapes: (length,) -> (at least dim,)."""
        mean = signed_sum(self, total, survivors).astype(np.float64)
        mean *= self.step / survivors
        return self._whole(mean)

    def _whole(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.rotation is None:
            return coordinates
        return unrotate(coordinates, self.rotation, coordinates.size)

    def _wrapped(self, values: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
        values &= np.int64((1 << self.ring_bits) - 1 if self.ring_bits < 64 else -1)
        return values.astype(self.dtype)


def rounded_norm_squared(bits: int, length: int) -> int:
    """The largest squared L2 norm, in steps, of a clipped vector after conditional rounding.

    It is min((L + sqrt(d))^2, L^2 + d / 4 + sqrt(2 log(1 / beta)) (L + sqrt(d) / 2)) with L steps in the clip
    norm, d = `length` and beta = exp(-1/2), rounded down, since it bounds integers.

    Reference: Kairouz, Liu and Steinke 2021, algorithm 1 (the bound and this beta).

    Example:
        >>> rounded_norm_squared(bits=4, length=4), 7 * 7
        (58, 49)
    """
    steps = _steps(bits)
    always = steps**2 + length + isqrt(4 * steps**2 * length)
    likely = steps**2 + steps + (length + isqrt(4 * length)) // 4
    return min(always, likely)


def _steps(bits: int) -> int:
    return (1 << (bits - 1)) - 1
