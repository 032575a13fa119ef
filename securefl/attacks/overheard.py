"""An honest client's training, overheard by the attackers.

Rules kept here:
- The client trains once per attempt at a round, whoever asks first, and sends what was overheard: its own
  clip, weight, rounding and mask come after that as ever.
- What was overheard is forgotten when the next attempt begins.

It exists in simulations only: it stands for an attacker who knows the others' updates in advance, which is
the strongest that a bound has to hold against.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.data import Examples
from securefl.federation.contribution import LocalUpdate, Trainer


@dataclass
class Overheard:
    """A trainer that remembers the update of the round in flight."""

    trainer: Trainer
    _update: NDArray[np.float64] | None = field(default=None, repr=False)

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> NDArray[np.float64]:
        """The trainer's update, computed once."""
        if self._update is None:
            self._update = self.trainer.train(vector, examples, sampling, noise, round)
        return self._update

    def forget(self) -> None:
        """A new attempt begins."""
        self._update = None


def overhear(local: LocalUpdate) -> tuple[LocalUpdate, Overheard]:
    """The same contribution with an overheard trainer."""
    ear = Overheard(local.trainer)
    return replace(local, trainer=ear), ear
