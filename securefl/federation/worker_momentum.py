"""Momentum that a client keeps from round to round, around any trainer.

The update sent is m_t = beta m_(t-1) + (1 - beta) u_t, where u_t is what the trainer gave. With one local
step it is the worker momentum of Byzantine-robust learning: it averages a client's own noise away, so that
honest updates lie closer together and a robust rule can tell more.

Rules kept here:
- One object per client: its memory is that client's own, and never leaves the process.
- The memory is not in the client's durable store. So no YAML key of a run turns this on, and a run that can
  be resumed cannot lose it unnoticed: it comes in from outside, for experiments that are played from their
  first round.
- A repeated attempt trains again, and both trainings enter the memory.

What this file does NOT do: cost privacy. It is post-processing of updates that were noised before.

Reference: Karimireddy, He and Jaggi 2021 (learning from history), algorithm 1; El Mhamdi, Guerraoui and
Rouault 2021 (distributed momentum).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.data.examples import Examples
from securefl.federation.contribution import Trainer


@dataclass
class WorkerMomentum:
    """A trainer with a memory.

    Attributes:
        trainer: gives the update of one round.
        beta: how much of the memory stays, in [0, 1).
    """

    trainer: Trainer
    beta: float
    _memory: NDArray[np.float64] | None = field(default=None, repr=False)

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> NDArray[np.float64]:
        """The remembered average after this round's update. Shapes: (dim,) -> (dim,)."""
        update = self.trainer.train(vector, examples, sampling, noise, round)
        if self._memory is None:
            self._memory = np.zeros(update.size)
        self._memory = self.beta * self._memory + (1.0 - self.beta) * update
        return self._memory
