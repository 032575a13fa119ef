"""A clip that follows a quantile of the updates' norms, which noisy bits tell.

In every round each client says with one bit whether its update was within the clip; the part of the bits that
says so moves the clip of the next round. The bit is one more coordinate of the vector that is summed.

Rules kept here:
- One vector, one bound, one noise. In units of the vector's bound the update has a norm of at most
  sqrt(1 - a^2) and the bit is +a or -a, a = `bit_share`: together at most 1, whatever the clip is. So a
  vector costs what it costs without the bit, and the bit's price is paid in precision: noise on the update
  is 1 / sqrt(1 - a^2) times as large in units of the clip.
- A step is bounded, and so is the way: no sum of bits moves the clip by more than a factor of
  e^learning_rate, and it never leaves [initial / 1024, 1024 initial]. Both are public constants.

What this file does NOT do: find the best clip. It finds a norm that so many updates are within.

Reference: Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially Private Learning with Adaptive
Clipping", section 2 (the geometric update) and theorem 1: noise z_delta = z / sqrt(1 - a^2) on the update and
sigma_b = z / (2 a) on bits of +-1/2 together cost what z costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

FURTHEST = 1024.0
"""How far a clip may go from the initial one, as a factor in both directions."""


@dataclass(frozen=True)
class AdaptiveClip:
    """How the clip moves from round to round.

    Attributes:
        initial: clip of the first round.
        quantile: part of the updates that shall be within the clip, in (0, 1).
        learning_rate: how far one round moves it, in the logarithm.
        bit_share: a, what the bit gets of the vector's bound, in (0, 1).
    """

    initial: float
    quantile: float
    learning_rate: float
    bit_share: float

    @property
    def kept(self) -> float:
        """What the update keeps of the vector's bound."""
        return sqrt(1.0 - self.bit_share**2)

    @property
    def lowest(self) -> float:
        """The clip never falls below it."""
        return self.initial / FURTHEST

    @property
    def highest(self) -> float:
        """The clip never rises above it."""
        return self.initial * FURTHEST

    def after(self, clip: float, within: float) -> float:
        """The next clip, after `within` of the updates, as far as noisy bits tell, were within `clip`.

        Guarantee: within the public limits, and at most a factor of e^learning_rate away.

        Example:
            >>> rule = AdaptiveClip(initial=1.0, quantile=0.5, learning_rate=0.2, bit_share=0.2)
            >>> rule.after(1.0, within=0.5), round(rule.after(1.0, within=0.0), 4)
            (1.0, 1.1052)
        """
        part = min(max(within, 0.0), 1.0)
        moved = clip * exp(-self.learning_rate * (part - self.quantile))
        return min(max(moved, self.lowest), self.highest)
