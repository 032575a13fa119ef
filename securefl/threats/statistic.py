"""How sure a measurement is: one-sided bounds for a proportion and for a mean, by number of samples.

Rules kept here:
- A proportion of successes gets Clopper and Pearson's exact bounds. Assumes independent trials.
- A mean gets Student's t bounds. Assumes values that are independent and roughly normal over seeds; with one
  value there are none.
- Each bound fails with probability at most `alpha`, each side by itself.

What this file does NOT do: correct for several attacks; `verdict` divides alpha.

Reference: Clopper and Pearson 1934; Student 1908. Quantiles are scipy's, imported on first use.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from securefl.audit.binomial import highest, lowest


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
    from scipy.stats import t

    reach = float(t.isf(alpha, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(centre, centre - reach, centre + reach, len(values))
