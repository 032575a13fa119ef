"""Noise that a trusted server adds to every group sum, before it does anything else with it.

Rules kept here: one fresh sample per coordinate, group and attempt, on the integers of the sum, from the
operating system's entropy. A round that is played again after a kill draws fresh noise: what the killed
attempt had made left nobody but the server.

What this file does NOT do: protect anybody from the server. It has the sums without noise.
"""

from __future__ import annotations

from dataclasses import dataclass

from securefl.crypto.randomness import Randomness
from securefl.encoding import NoisyFixedPoint
from securefl.federation.contribution import Words


@dataclass(frozen=True)
class CentralNoise:
    """What the server does to a sum first.

    Attributes:
        encoding: of the sums; not `shared`, so that clients add nothing.
        randomness: where the noise comes from.
    """

    encoding: NoisyFixedPoint
    randomness: Randomness

    def __call__(self, total: Words, round: int, attempt: int, group: int) -> Words:
        """The noisy sum. Shapes: (encoding.length,)."""
        return self.encoding.noised(total, self.randomness.stream("central noise", round, attempt, group))
