"""What an audit's null hypothesis is: a family of promises, from the strictest to the loosest.

A member of a family is named by its strength, a number that grows with what the mechanism may leak. An audit
refutes strengths from below; the largest one refuted, as an epsilon, is its lower bound.

- `approximate`: (epsilon, delta)-DP and nothing else. Strength is epsilon. The bound holds for any mechanism.
- `gaussian`: the trade-off curve of one Gaussian, mu-GDP. Strength is mu, the shift in standard deviations.
- `sampled_gaussian`: the curve that the accountant itself computes for Poisson-sampled Gaussians, of other
  noise. Strength is 1 / noise multiplier.
- `shared_noise`: sums of discrete Gaussians. Where the noise has many steps their curve is a Gaussian's;
  where it has few, only `approximate` is safe, and is used. Strength is the sensitivity / noise.

Rules kept here:
- A curve is the least false-positive rate at which any test of such a mechanism reaches a true-positive rate.
  Where it is computed from points, it is from finitely many of the lines that it must stay above, so it is
  never above the true curve and an audit never refutes too much.
- Curves serve both directions, example there or example gone, as the accountant does.

What this file does NOT do: say that a mechanism is of a family. A bound with a family other than
`approximate` refutes what the accountant claims of it, and the bound's `assumes` says so.

Reference: Dong, Roth and Su 2022, "Gaussian Differential Privacy", sections 2.2-2.4; Balle and Wang 2018,
theorem 8; Nasr et al. 2023, "Tight Auditing of Differentially Private Machine Learning".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from securefl.audit.bound import last_true
from securefl.errors import ConfigError
from securefl.privacy.accountant import SMALLEST_DELTA, epsilon
from securefl.privacy.events import DistributedDiscreteGaussian, SampledGaussian
from securefl.privacy.profile import deltas

Curve = Callable[[float], float]
"""(true-positive rate) -> the least false-positive rate that reaches it."""
Rates = NDArray[np.float64]

_LARGEST_EPSILON = 50.0
_LARGEST_SHIFT = 25.0
_POINTS = 400
_FINE = 4.0
"""Deviation of integer noise, in steps, from which its trade-off curve is taken for a Gaussian's."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Family:
    """Promises ordered by strength.

    Attributes:
        assumes: what the mechanism must be for the bound to be about it, in words.
        delta: at which strengths are told as epsilons.
        curve: of a strength.
        epsilon: of a strength, at `delta`.
        guide: how strong (false-positive, true-positive) rates look; a rough guide to choose a threshold by.
        most: the largest strength tried.
        precision: relative, of the strength that `strongest` finds; what is missing is missing below.
    """

    assumes: str
    delta: float
    curve: Callable[[float], Curve]
    epsilon: Callable[[float], float]
    guide: Callable[[Rates, Rates], Rates]
    most: float
    precision: float = 1e-4

    def strongest(self, refuted: Callable[[Curve], bool]) -> float:
        """The largest strength whose curve is refuted, from below; 0 if not even the strictest one is."""
        if refuted(self.curve(self.most)):
            return self.most
        low, high = 0.0, self.most
        while high - low > self.precision * max(high, 0.1 * self.most):
            middle = (low + high) / 2.0
            low, high = (middle, high) if refuted(self.curve(middle)) else (low, middle)
        return low


def approximate(delta: float) -> Family:
    """Every (epsilon, delta)-DP mechanism; delta 0 is pure DP.

    Raises:
        ConfigError: delta is not in [0, 1).
    """
    if not 0.0 <= delta < 1.0:
        raise ConfigError(f"expected a delta of at least 0 and below 1, got {delta!r}", "delta")

    def curve(strength: float) -> Curve:
        return _hull(np.array([strength]), np.array([delta]))

    def guide(false: Rates, true: Rates) -> Rates:
        return np.log(np.maximum(true - delta, 1e-300) / false)

    return Family("nothing", delta, curve, float, guide, _LARGEST_EPSILON)


def gaussian(delta: float) -> Family:
    """Mechanisms that are no easier to see through than one Gaussian.

    Raises:
        ConfigError: delta is smaller than the accountant's smallest, or not below 1.
    """
    if not SMALLEST_DELTA <= delta < 1.0:
        raise ConfigError(f"expected a delta from {SMALLEST_DELTA:g} to below 1, got {delta!r}", "delta")

    def curve(strength: float) -> Curve:
        return lambda true: normal_cdf(normal_quantile(true) - strength)

    return Family(
        "a Gaussian trade-off (mu-GDP)",
        delta,
        curve,
        lambda strength: gaussian_epsilon(strength, delta),
        _separation,
        _LARGEST_SHIFT,
    )


def sampled_gaussian(event: SampledGaussian, count: int, delta: float, most: float = 4.0) -> Family:
    """What the accountant claims of `count` releases of `event`, with other noise.

    Args:
        event: its sample rate and steps are kept.
        count: releases that one draw of the audit holds.
        delta: as for the accountant.
        most: the largest strength tried, in units of the event's own; PLDs of tiny noise take gigabytes.
    """
    if event.sample_rate == 1.0:
        return _composed_gaussian(math.sqrt(event.steps * count), delta)

    def spent(strength: float) -> tuple[tuple[SampledGaussian, int], ...]:
        return ((replace(event, noise_multiplier=1.0 / strength), count),)

    grid = _LARGEST_EPSILON * np.linspace(0.0, 1.0, _POINTS) ** 2

    @lru_cache(maxsize=64)
    def curve(strength: float) -> Curve:
        return _hull(grid, deltas(spent(strength), grid))

    return Family(
        f"Poisson-sampled Gaussian noise (rate {event.sample_rate:g}, {event.steps * count} steps)",
        delta,
        curve,
        lambda strength: epsilon(spent(strength), delta) if strength > 0 else 0.0,
        _separation,
        most / event.noise_multiplier,
        precision=2e-3,
    )


def shared_noise(event: DistributedDiscreteGaussian, count: int, delta: float) -> Family:
    """What is claimed of `count` sums that have the event's noise for sure.

    Epsilons are those of a Gaussian, which are below what the accountant (Renyi) says of the same noise. A
    test holds the exact curves of small discrete noise, from `_FINE` steps on, to that.
    """
    if math.sqrt(event.shares) * event.sigma < _FINE:
        return approximate(delta)
    return replace(_composed_gaussian(math.sqrt(count), delta), assumes="discrete Gaussian noise")


def _composed_gaussian(growth: float, delta: float) -> Family:
    """Gaussians add up exactly, so in closed form and for any strength."""
    one = gaussian(delta)
    return replace(
        one,
        assumes="unsampled Gaussian noise",
        curve=lambda strength: one.curve(growth * strength),
        epsilon=lambda strength: one.epsilon(growth * strength),
        most=one.most / growth,
    )


def gaussian_epsilon(shift: float, delta: float) -> float:
    """The epsilon of mu-GDP at `delta`, in closed form and rounded down.

    Example:
        >>> round(gaussian_epsilon(1.0, 1e-5), 2)
        4.38
    """
    if shift <= 0.0 or _gaussian_delta(shift, 0.0) <= delta:
        return 0.0
    most = min(shift * (shift / 2.0 + 8.0), _MOST)
    return last_true(lambda at: _gaussian_delta(shift, at) > delta, most, 60)


_MOST = 700.0
"""No epsilon above it is told apart: e to it is near the largest number. A lower bound may be less."""


def normal_cdf(x: float) -> float:
    """P(N <= x), with its digits in the lower tail."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """The x with P(N <= x) = p; infinite at 0 and 1."""
    if not 0.0 < p < 1.0:
        return math.inf if p >= 1.0 else -math.inf
    return _NORMAL.inv_cdf(p)


def _gaussian_delta(shift: float, at: float) -> float:
    return normal_cdf(shift / 2.0 - at / shift) - math.exp(at) * normal_cdf(-shift / 2.0 - at / shift)


def _hull(epsilons: Rates, at: Rates) -> Curve:
    """The curve above which the lines of (epsilon, delta) pairs keep every test, both ways round."""
    growth = np.exp(epsilons)

    def curve(true: float) -> float:
        lines = np.maximum((true - at) / growth, 1.0 - at - growth * (1.0 - true))
        return float(max(0.0, lines.max()))

    return curve


def _separation(false: Rates, true: Rates) -> Rates:
    return np.array([_NORMAL.inv_cdf(b) - _NORMAL.inv_cdf(a) for a, b in zip(false, true, strict=True)])
