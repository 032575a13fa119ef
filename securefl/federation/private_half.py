"""The half of a model that stays at its client: it trains together with the shared half and never travels.

Rules kept here:
- Of a local update the shared coordinates are sent and no other; the private ones go into the client's file.
- What is sent hangs on the private half, and so on all of a client's earlier data: only noise that covers a
  whole client covers it, and the config refuses any other promise.
- A round starts from the half that the earlier one left, however often it is played: the file keeps both.

What this file does NOT do: train, clip or add noise.

Reference: Guo et al. 2024, "Selective Aggregation for Low-Rank Adaptation in Federated Learning", section 4
(A is shared, B stays).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream
from securefl.data.examples import Examples
from securefl.errors import DataError
from securefl.federation.contribution import Trainer
from securefl.federation.personal import Vector, latest, start_of, write
from securefl.training.turns import Turns


@dataclass(frozen=True)
class PrivateHalf:
    """A trainer of whole models whose update is of the shared half alone.

    Attributes:
        run: id of the run; the file of another one is refused.
        path: the client's file; made in its first round.
        trainer: trains both halves.
        turns: what travels; the rest stays at home.
    """

    run: str
    path: Path
    trainer: Trainer
    turns: Turns

    def train(
        self,
        vector: Vector,
        examples: Examples,
        sampling: Stream,
        noise: Stream,
        round: int = 1,
    ) -> NDArray[np.float64]:
        """The update of the shared half, as it travels. Shapes: (dim,) -> (turns.length,).

        Raises:
            DataError: the steps diverge; the private half stays as it was.
            RunDirectoryError: the file is damaged, of another model, or cannot be written.
        """
        home = self.turns.at_home
        before = start_of(self.path, self.run, round, vector[home])
        start = self._joined(vector, before)
        try:
            update = self.trainer.train(start, examples, sampling, noise, round)
        except DataError:
            # Where noise covers it the client takes part all the same, so the round is in the file as well.
            write(self.path, self.run, round, before, before)
            raise
        after = (before + update[home]).astype(np.float32)
        write(self.path, self.run, round, before, after if np.isfinite(after).all() else before)
        return self.turns.padded(update[self.turns.of(round)])

    def beside(self, shared: Vector) -> Vector | None:
        """The shared half with this client's own; None if it never trained.

        Raises:
            RunDirectoryError: the file is damaged or of another model.
        """
        own = latest(self.path, self.run, self.turns.at_home.size)
        return None if own is None else self._joined(shared, own)

    def _joined(self, shared: Vector, own: Vector) -> Vector:
        whole = shared.copy()
        whole[self.turns.at_home] = own
        return whole
