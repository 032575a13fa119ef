"""How well scores tell members from non-members: the whole curve, and its left end where it counts.

Rules kept here:
- A rate of false positives is met, never passed: with n non-members, 0.1 % allows floor(n / 1000) of them.
- Members that tie with the first non-member that is not allowed do not count.
- A true-positive rate never goes without the number of non-members, because below 1 / n there is no rate.

What this file does NOT do: say anything of other attacks. Chance here is no proof of privacy.

Reference: Carlini et al. 2022 (low false-positive rates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DataError

Scores = NDArray[np.float64]
LOW_RATE = 1e-3


@dataclass(frozen=True)
class Hits:
    """The true-positive rate at a small rate of false positives.

    Attributes:
        rate: part of the members above the threshold.
        false_rate: the rate of false positives that was allowed.
        allowed: non-members that may be above it.
        members: how many there were.
        others: how many non-members.
    """

    rate: float
    false_rate: float
    allowed: int
    members: int
    others: int

    def chance(self, confidence: float = 0.95) -> tuple[float, float]:
        """Between which rates scores without any meaning lie with that probability; exact.

        Then all orders of members and non-members are equally likely, and the number of members above the
        first non-member that is not allowed is negative hypergeometric.
        """
        below = np.cumsum(_chances(self.members, self.others, self.allowed))
        tail = (1.0 - confidence) / 2.0
        low, high = np.searchsorted(below, [tail, 1.0 - tail])
        return float(low / self.members), float(min(high, self.members) / self.members)


def hits_at(members: Scores, others: Scores, false_rate: float = LOW_RATE) -> Hits:
    """The true-positive rate at `false_rate`. Shapes: (m,), (n,).

    Raises:
        DataError: no scores of a side, or some that are not finite.

    Example:
        >>> hits_at(np.array([3.0, 1.0]), np.array([2.0, 0.0]), 0.0).rate
        0.5
    """
    _require(members, others)
    allowed = math.floor(false_rate * len(others))
    threshold = np.sort(others)[::-1][allowed] if allowed < len(others) else -np.inf
    rate = float((members > threshold).mean())
    return Hits(rate, false_rate, allowed, len(members), len(others))


def curve(members: Scores, others: Scores) -> tuple[Scores, Scores]:
    """(false-positive, true-positive) rates at every threshold, from (0, 0) to (1, 1). Shapes: (k,), (k,)."""
    _require(members, others)
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    false = np.searchsorted(np.sort(-others), -thresholds, side="right") / len(others)
    true = np.searchsorted(np.sort(-members), -thresholds, side="right") / len(members)
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def area(members: Scores, others: Scores) -> float:
    """The probability that a member has the higher score, ties counted half.

    Example:
        >>> area(np.array([1.0, 3.0]), np.array([0.0, 2.0]))
        0.75
    """
    false, true = curve(members, others)
    return float(((false[1:] - false[:-1]) * (true[1:] + true[:-1]) / 2.0).sum())


def _require(members: Scores, others: Scores) -> None:
    for name, scores in (("members", members), ("non-members", others)):
        if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
            raise DataError(f"expected finite scores of {name}, got shape {scores.shape}")


def _chances(members: int, others: int, allowed: int) -> Scores:
    """P(so many members lie above the non-member of place allowed + 1). Shapes: (members + 1,)."""
    if allowed >= others:
        return np.array([0.0] * members + [1.0])
    everything = _log_choose(members + others, others)
    logs = [
        _log_choose(above + allowed, allowed)
        + _log_choose(members - above + others - allowed - 1, others - allowed - 1)
        - everything
        for above in range(members + 1)
    ]
    return np.exp(logs)


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)
