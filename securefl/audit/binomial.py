"""Binomial tails and the exact bounds of a probability, for thousands of trials at once.

Rules kept here:
- A tail is summed term by term on its own side, so a small one keeps its digits; a bound's error is that of
  its last halving, 2^-60, and of the sum.
- Each bound fails with probability at most `alpha`, each side by itself. Assumes independent trials.

What this file does NOT do: correct for several bounds at once; callers divide alpha.

Reference: Clopper and Pearson 1934.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 60


def at_most(successes: int, trials: int, p: float) -> float:
    """P(X <= successes) for X binomial.

    Example:
        >>> round(at_most(1, 2, 0.5), 12)
        0.75
    """
    if successes >= trials:
        return 1.0
    return float(min(1.0, masses(trials, p)[: max(successes + 1, 0)].sum()))


def at_least(successes: int, trials: int, p: float) -> float:
    """P(X >= successes) for X binomial.

    Example:
        >>> round(at_least(1, 2, 0.5), 12)
        0.75
    """
    if successes <= 0:
        return 1.0
    return float(min(1.0, masses(trials, p)[successes:].sum()))


def masses(trials: int, p: float) -> NDArray[np.float64]:
    """P(X = k) for every k. Shapes: (trials + 1,)."""
    if p <= 0.0 or p >= 1.0:
        sure = np.zeros(trials + 1)
        sure[0 if p <= 0.0 else trials] = 1.0
        return sure
    k = np.arange(trials + 1)
    return np.asarray(np.exp(_log_choose(trials) + k * math.log(p) + (trials - k) * math.log1p(-p)))


def lowest(successes: int, trials: int, alpha: float) -> float:
    """The lower bound of a probability after that many successes.

    Example:
        >>> lowest(0, 10, 0.05), round(lowest(10, 10, 0.05), 3)
        (0.0, 0.741)
    """
    if successes <= 0:
        return 0.0
    return _turn(lambda p: at_least(successes, trials, p) < alpha)[0]


def highest(successes: int, trials: int, alpha: float) -> float:
    """The upper bound of a probability after that many successes.

    Example:
        >>> highest(0, 59, 0.05) < 0.05 < highest(0, 58, 0.05)
        True
    """
    if successes >= trials:
        return 1.0
    return _turn(lambda p: at_most(successes, trials, p) > alpha)[1]


def _turn(below: Callable[[float], bool]) -> tuple[float, float]:
    """The two sides of the point in [0, 1] where `below` turns from true to false."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if below(middle) else (low, middle)
    return low, high


@lru_cache(maxsize=8)
def _log_choose(trials: int) -> NDArray[np.float64]:
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    chosen: NDArray[np.float64] = factorials[-1] - factorials - factorials[::-1]
    chosen.setflags(write=False)
    return chosen
