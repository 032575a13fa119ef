"""How much noise every client adds, so that what is guaranteed to be in a sum is enough.

Rules kept here:
- The noise is a multiple of the sensitivity after rounding, and sized for the shares that every opened sum
  is guaranteed to have: members that may collude, poison or vanish count as no noise at all.
- Every vector sent is charged: `releases` are rounds and spare releases, taken part in or not.

What this file does NOT do: draw noise (`discrete`) or know what a group is (`securefl.guarantee`).
"""

from __future__ import annotations

from math import inf, sqrt

from securefl.errors import BudgetExceeded
from securefl.privacy.accountant import epsilon, smallest_within
from securefl.privacy.events import SMALLEST_SHARE, DistributedDiscreteGaussian


def share_for(
    target: float, delta: float, releases: int, shares: int, squared_sensitivity: int, length: int
) -> DistributedDiscreteGaussian:
    """The release with the least noise of which `releases` cost at most `target`.

    Guarantee: `epsilon` of all of them at `delta` is at most `target`, and above it with 1 % less noise,
    unless a share is at its least, 0.5 steps.

    Args:
        target: epsilon over the whole run.
        releases: vectors that one client may send in it.
        shares: honest shares that every opened sum has.
        squared_sensitivity: of one member's vector, after rounding, in steps.
        length: coordinates of the vector.

    Raises:
        BudgetExceeded: no noise is enough.
    """

    def event(multiplier: float) -> DistributedDiscreteGaussian:
        sigma = multiplier * sqrt(squared_sensitivity) / sqrt(shares)
        return DistributedDiscreteGaussian(sigma, shares, squared_sensitivity, length)

    def spent_with(multiplier: float) -> float:
        if multiplier * sqrt(squared_sensitivity) / sqrt(shares) < SMALLEST_SHARE:
            return inf
        return epsilon(((event(multiplier), releases),), delta, "rdp")

    multiplier = smallest_within(spent_with, target, 1.0)
    if multiplier is None:
        raise BudgetExceeded(
            f"no noise keeps {releases} releases within epsilon {target:g} at delta {delta:g}; raise epsilon "
            "or plan fewer rounds"
        )
    return event(multiplier)
