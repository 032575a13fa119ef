"""How sure a measurement is: one-sided bounds for a proportion and for a mean, by number of samples.

Rules kept here:
- A proportion of successes gets Clopper and Pearson's exact bounds. Assumes independent trials.
- A mean gets Student's t bounds. Assumes values that are independent and roughly normal over seeds; with one
  value there are none.
- Each bound fails with probability at most `alpha`, each side by itself.

What this file does NOT do: correct for several attacks; `verdict` divides alpha.

Reference: Clopper and Pearson 1934; Student 1908, by the closed forms of Abramowitz and Stegun, 26.7.3-4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from securefl.audit.binomial import highest, lowest

_HALVINGS = 60


@dataclass(frozen=True)
class Estimate:
    """A measured value between two one-sided bounds.

    Attributes:
        value: proportion or mean.
        low: below the truth but for probability alpha; -inf if nothing can be said.
        high: above it, likewise.
        samples: trials of a proportion, values of a mean.
    """

    value: float
    low: float
    high: float
    samples: int


def proportion(successes: int, trials: int, alpha: float) -> Estimate:
    """Clopper-Pearson bounds of a probability.

    Example:
        >>> proportion(0, 59, 0.05).high < 0.05 < proportion(0, 58, 0.05).high
        True
    """
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0, 0)
    low, high = lowest(successes, trials, alpha), highest(successes, trials, alpha)
    return Estimate(successes / trials, low, high, trials)


def mean(values: Sequence[float], alpha: float) -> Estimate:
    """Student's t bounds of a mean.

    Example:
        >>> mean([1.0], 0.05).high
        inf
    """
    centre = statistics.fmean(values) if values else math.nan
    if len(values) < 2:
        return Estimate(centre, -math.inf, math.inf, len(values))
    reach = t_quantile(1.0 - alpha, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(centre, centre - reach, centre + reach, len(values))


def t_quantile(level: float, degrees: int) -> float:
    """The point below which Student's t lies with probability `level`, at least one half.

    Example:
        >>> round(t_quantile(0.975, 2), 3)
        4.303
    """
    top = 1.0
    while t_cdf(top, degrees) < level:
        top *= 2.0
    return _root(lambda t: t_cdf(t, degrees) < level, 0.0, top)


def t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0 and whole degrees of freedom.

    Example:
        >>> t_cdf(1.0, 1)
        0.75
    """
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for k in range(degrees // 2):
        total += term
        term *= math.cos(angle) ** 2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    within = 2.0 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return 0.5 + within / 2.0


def _root(below: Callable[[float], bool], low: float, high: float) -> float:
    """Where `below` turns from true to false."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2.0
