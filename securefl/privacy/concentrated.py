"""What a sum of discrete Gaussian shares costs, in zero-concentrated differential privacy.

Rules kept here:
- A sum of discrete Gaussians is none itself; what that costs per coordinate is `sum_gap`, and it is added.
- Only the guaranteed shares count: `DistributedDiscreteGaussian.shares`.

What this file does NOT do: turn rho into epsilon (`accountant`), or size noise (`shares`).

Reference: Kairouz, Liu and Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning
with Secure Aggregation", theorem 1 and proposition 14; Bun and Steinke 2016, "Concentrated Differential
Privacy", definition 1.1 (rho) and lemma 1.7 (composition: rho adds up).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, pi, sqrt

from securefl.privacy.events import DistributedDiscreteGaussian


def rho(event: DistributedDiscreteGaussian) -> float:
    """The rho for which one release is rho-zCDP: at every order a, its Renyi divergence is at most a rho.

    Guarantee: an upper bound for replacing one member's vector by zeros, in both directions.

    Example:
        >>> event = DistributedDiscreteGaussian(sigma=50.0, shares=4, squared_sensitivity=100**2, length=10)
        >>> rho(event)  # as for a Gaussian of deviation 2 * 50: the gap is far below any digit
        0.5
    """
    spread = sqrt(event.shares) * event.sigma
    gap = sum_gap(event.sigma, event.shares) * sqrt(event.length)
    return (sqrt(event.squared_sensitivity) / spread + gap) ** 2 / 2


@lru_cache(maxsize=1024)
def sum_gap(sigma: float, shares: int) -> float:
    """tau: how far a sum of so many discrete Gaussians is from one, as the largest log-ratio of masses.

    Example:
        >>> sum_gap(0.5, 1), round(sum_gap(0.5, 2), 3), sum_gap(2.0, 100) < 1e-15
        (0.0, 0.848, True)
    """
    return 10.0 * sum(exp(-2.0 * (pi * sigma) ** 2 * k / (k + 1)) for k in range(1, shares))
