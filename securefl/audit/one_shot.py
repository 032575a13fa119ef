"""The client-level one-shot audit: canary clients send random directions, and one sum is searched for them.

In many dimensions random unit vectors are nearly orthogonal, so the cosine between a sum and a direction that
is not in it is nearly normal with variance 1 / dim, while directions that are in it stand out. A training run
serves as the audit, for canaries that were in and for as many as one likes that were not.

Two numbers come out. `estimate` is Andrew et al.'s: the epsilon between two normals fitted to the cosines. It
is no bound. The lower bound takes both sets of cosines through the two-world audit, and treats cosines of one
sum as independent, which holds in the limit of many dimensions only. Where a bound has to stand by itself,
toss a coin for every canary and use `one_run`.

Rules kept here: directions come from the caller's generator and are public after the run; the clip of the
mechanism applies to canaries as to everybody, because they go through the same door.

What this file does NOT do: add noise or sum. `sum` is whatever the mechanism released.

Reference: Andrew, Kairouz, Oh, Oprea, McMahan and Suriyakumar 2023, "One-shot Empirical Privacy Estimation
for Federated Learning".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.audit.bound import LowerBound
from securefl.audit.family import Family, normal_cdf
from securefl.audit.two_world import FEWEST, require_scores, two_world
from securefl.errors import DataError

Vector = NDArray[np.float64]
_GRID = 2001


@dataclass(frozen=True)
class OneShot:
    """What the cosines say.

    Attributes:
        bound: the lower bound, under the assumption that cosines are independent.
        estimate: epsilon between the fitted normals; no bound, and not below or above anything.
        seen: mean cosine of the canaries that were in, in standard deviations of those that were not.
    """

    bound: LowerBound
    estimate: float
    seen: float


def directions(count: int, dim: int, random: np.random.Generator) -> Vector:
    """Independent unit vectors, uniform on the sphere. Shapes: (count, dim)."""
    drawn = random.standard_normal((count, dim))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def cosines(total: Vector, canaries: Vector) -> Vector:
    """Cosine of what was released with each direction. Shapes: (dim,), (count, dim) -> (count,).

    Raises:
        DataError: what was released is zero or not finite.
    """
    norm = float(np.linalg.norm(total))
    if not (math.isfinite(norm) and norm > 0.0):
        raise DataError(f"expected a finite sum other than zero, got one of norm {norm}; it has no direction")
    return np.asarray(canaries @ total / norm)


def one_shot(present: Vector, absent: Vector, dim: int, family: Family, confidence: float) -> OneShot:
    """The audit of one release. Shapes: (n,), (m,).

    Args:
        present: cosines of canaries that were in.
        absent: cosines of canaries that were not; as many as one likes.
        dim: of the released vector.
        family: for the bound, and delta.
        confidence: of the bound.

    Raises:
        DataError: too few cosines, or some that are not finite.
        ConfigError: the confidence is none.
    """
    require_scores("with", present, FEWEST)
    bound = two_world(absent, present, family, confidence)
    mean, deviation = float(present.mean()), float(present.std(ddof=1))
    unit = 1.0 / math.sqrt(dim)
    estimate = fitted_epsilon(mean / unit, deviation / unit, family.delta)
    return OneShot(bound, estimate, mean / unit)


def fitted_epsilon(mean: float, deviation: float, delta: float) -> float:
    """The epsilon between N(0, 1) and N(mean, deviation^2), over all thresholds both ways.

    Example:
        >>> round(fitted_epsilon(1.0, 1.0, 1e-5), 1)
        4.4
    """
    if deviation <= 0.0:
        raise DataError(f"expected cosines that differ, got a standard deviation of {deviation}")
    reach = 8.0 * max(1.0, deviation) + abs(mean)
    best = 0.0
    for threshold in np.linspace(-reach, reach, _GRID):
        out, there = normal_cdf(-threshold), normal_cdf((mean - threshold) / deviation)
        missed, clear = normal_cdf((threshold - mean) / deviation), normal_cdf(threshold)
        for true, false in ((there, out), (clear, missed), (out, there), (missed, clear)):
            if true > delta and false > 0.0:
                best = max(best, math.log((true - delta) / false))
    return best
