"""Threshold secret sharing of 32-byte secrets over the prime field of 2^256 + 297 elements.

Rules kept here:
- The prime is the smallest one above 2^256, so every 32-byte secret is a field element and every
  share is 33 bytes, big-endian and below the prime.
- Points are distinct and never 0: the polynomial at 0 is the secret.
- Shares from outside are checked for length and range; a combination that is no 32-byte value raises.

What this file does NOT do: notice a wrong share. Any `threshold` shares in range combine to some
value; the protocol checks each share against its dealer's signed hash and the result against what the
dealer advertised. Nor does it run in constant time.

Reference: Shamir 1979; Lagrange interpolation at zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from securefl.crypto.randomness import Stream
from securefl.errors import DecodeError, ProtocolError

PRIME = 2**256 + 297
SECRET_BYTES = 32
SHARE_BYTES = 33
MAX_POINT = 2**32
# 384 random bits modulo a 257-bit prime are within 2^-127 of uniform.
_COEFFICIENT_BYTES = 48


def split(secret: bytes, threshold: int, points: Sequence[int], stream: Stream) -> dict[int, bytes]:
    """One share of `secret` for every point; any `threshold` of them rebuild it.

    Args:
        secret: 32 bytes.
        threshold: how many shares rebuild the secret, from 1 to the number of points.
        points: distinct, from 1 to 2^32; a holder's index + 1.
        stream: where the coefficients come from.

    Guarantee: fewer than `threshold` shares are, to anybody, within threshold * 2^-127 of independent
    of the secret (statistical, on top of the stream's own security).

    Example:
        >>> shares = split(bytes(31) + b"!", 2, [1, 2, 3], Stream(bytes(32)))
        >>> combine({point: shares[point] for point in (3, 1)})[-1:]
        b'!'
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a shared secret has {SECRET_BYTES} bytes, got {len(secret)}")
    if not 1 <= threshold <= len(points):
        raise ValueError(f"a threshold lies between 1 and the {len(points)} points, got {threshold}")
    _check_points(points)
    coefficients = [int.from_bytes(secret, "big"), *_random_elements(threshold - 1, stream)]
    return {point: _evaluate(coefficients, point).to_bytes(SHARE_BYTES, "big") for point in points}


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret behind at least `threshold` shares, keyed by their points.

    Raises:
        ProtocolError: a share is malformed, or the shares belong to no 32-byte secret.
    """
    points = list(shares)
    return combine_with(lagrange_at_zero(points), [shares[point] for point in points])


def lagrange_at_zero(points: Sequence[int]) -> list[int]:
    """The weights w with f(0) = sum w_i f(x_i); compute them once for all secrets of one holder set.

    Example:
        >>> [weight if weight < 9 else weight - PRIME for weight in lagrange_at_zero([1, 2])]
        [2, -1]
    """
    if not points:
        raise ProtocolError("expected at least one share to combine, got none")
    _check_points(points)
    # w_i = product of all points / (x_i * product over j of (x_j - x_i)). Points are small integers, so
    # the products are exact and short; the only inversions left are one batch.
    whole = prod(points)
    return [whole * inverse % PRIME for inverse in _inverses(_divisors(points))]


def combine_with(weights: Sequence[int], shares: Sequence[bytes]) -> bytes:
    """The secret behind `shares`, in the order of the points that gave `weights`.

    Raises:
        ProtocolError: a share is malformed, or the shares belong to no 32-byte secret.
    """
    if len(weights) != len(shares):
        raise ValueError(f"expected one share per weight ({len(weights)}), got {len(shares)}")
    total = sum(weight * _element(share) for weight, share in zip(weights, shares, strict=True)) % PRIME
    if total >> (8 * SECRET_BYTES):
        raise ProtocolError("the shares belong to no 32-byte secret: at least one of them is wrong")
    return total.to_bytes(SECRET_BYTES, "big")


def _divisors(points: Sequence[int]) -> list[int]:
    divisors = []
    for index, own in enumerate(points):
        factors = [other - own for other in points]
        factors[index] = own
        divisors.append(prod(factors))
    return divisors


def _inverses(values: Sequence[int]) -> list[int]:
    """Inverses modulo the prime of non-zero elements, for the price of one and three products each.

    Reference: Montgomery 1987, section 10.3.1.
    """
    before = [1]
    for value in values:
        before.append(before[-1] * value % PRIME)
    inverse = pow(before[-1], -1, PRIME)
    found = []
    for value, product in zip(reversed(values), reversed(before[:-1]), strict=True):
        found.append(inverse * product % PRIME)
        inverse = inverse * value % PRIME
    return found[::-1]


def _evaluate(coefficients: Sequence[int], point: int) -> int:
    value = 0
    # Reduced once at the end: points are small, so the growth costs less than a division per step.
    for coefficient in reversed(coefficients):
        value = value * point + coefficient
    return value % PRIME


def _random_elements(count: int, stream: Stream) -> list[int]:
    data = stream.take(count * _COEFFICIENT_BYTES)
    starts = range(0, len(data), _COEFFICIENT_BYTES)
    return [int.from_bytes(data[start : start + _COEFFICIENT_BYTES], "big") % PRIME for start in starts]


def _element(share: bytes) -> int:
    if len(share) != SHARE_BYTES:
        raise DecodeError(f"a share has {SHARE_BYTES} bytes, got {len(share)}; discard it")
    value = int.from_bytes(share, "big")
    if value >= PRIME:
        raise DecodeError("a share lies below the prime 2^256 + 297, got a larger value; discard it")
    return value


def _check_points(points: Sequence[int]) -> None:
    if len(set(points)) != len(points) or not all(1 <= point <= MAX_POINT for point in points):
        raise ProtocolError(f"share points are distinct and from 1 to 2^32, got {list(points)}")
