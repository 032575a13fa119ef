"""What an audit says: a lower bound on epsilon, and what it rests on.

Rules kept here: a bound is never without its delta, its number of samples, its confidence, its ceiling and
what it assumes; a bound above its ceiling cannot be made.

What this file does NOT do: promise anything. A low bound means that this audit saw little, not that little
leaks; only the accountant bounds from above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from securefl.errors import ConfigError


@dataclass(frozen=True)
class LowerBound:
    """What a mechanism's epsilon is at least, but for the error that `confidence` leaves.

    Attributes:
        epsilon: the bound, at least 0.
        delta: at which epsilon is told.
        samples: draws or guesses that the bound rests on.
        confidence: probability that the bound is not above the true epsilon, at least.
        ceiling: what this audit says of a mechanism that hides nothing: no result can be above it.
        assumes: what the mechanism must be for the bound to be about it; `nothing` for any mechanism.
        strength: the same bound as the family counts, for other numbers of releases of the same mechanism.
    """

    epsilon: float
    delta: float
    samples: int
    confidence: float
    ceiling: float
    assumes: str
    strength: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= self.ceiling:
            raise ValueError(f"a bound lies between 0 and its ceiling {self.ceiling}, got {self.epsilon}")


def error_of(confidence: float) -> float:
    """1 - confidence, the probability of a false alarm.

    Raises:
        ConfigError: not between one half and 1.
    """
    if type(confidence) is bool or not 0.5 <= confidence < 1.0:
        raise ConfigError(
            f"expected a confidence of at least 0.5 and below 1, got {confidence!r}; 0.99 is usual for one "
            "audit, 1 - 1e-4 / audits for a table of many",
            "confidence",
        )
    return 1.0 - confidence


def last_true(holds: Callable[[float], bool], high: float, halvings: int) -> float:
    """Where in [0, `high`] a condition that holds at first ceases to, rounded down; 0 if it never holds.

    Example:
        >>> last_true(lambda x: x < 3.0, 8.0, 2), last_true(lambda x: x < 3.0, 8.0, 3)
        (2.0, 2.0)
    """
    low = 0.0
    for _ in range(halvings):
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
