"""Binomial tails and the exact bounds of a probability.

Rules kept here:
- Each bound fails with probability at most `alpha`, each side by itself. Assumes independent trials.

What this file does NOT do: correct for several bounds at once; callers divide alpha. The numbers are scipy's,
imported on first use.

Reference: Clopper and Pearson 1934.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def at_least(successes: int, trials: int, p: float) -> float:
    """P(X >= successes) for X binomial.

    Example:
        >>> round(at_least(1, 2, 0.5), 12)
        0.75
    """
    from scipy.stats import binom

    return float(binom.sf(successes - 1, trials, p))


def masses(trials: int, p: float) -> NDArray[np.float64]:
    """P(X = k) for every k. Shapes: (trials + 1,)."""
    from scipy.stats import binom

    return np.asarray(binom.pmf(np.arange(trials + 1), trials, p))


def lowest(successes: int, trials: int, alpha: float) -> float:
    """The lower bound of a probability after that many successes.

    Example:
        >>> lowest(0, 10, 0.05), round(lowest(10, 10, 0.05), 3)
        (0.0, 0.741)
    """
    from scipy.stats import beta

    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes > 0 else 0.0


def highest(successes: int, trials: int, alpha: float) -> float:
    """The upper bound of a probability after that many successes.

    Example:
        >>> highest(0, 59, 0.05) < 0.05 < highest(0, 58, 0.05)
        True
    """
    from scipy.stats import beta

    return float(beta.isf(alpha, successes + 1, trials - successes)) if successes < trials else 1.0
