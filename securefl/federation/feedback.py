"""A contribution of which a part travels: what does not is kept by its client and added to the next update.

Rules kept here:
- What is owed is made of updates as they would have been sent whole: clipped, and under unit `example`
  noised. So it is post-processing there; under unit `client` the encoding clips again what travels, whatever
  was owed.
- Neither rounding nor noise enters it. Noise that came back in a later round would cancel itself.
- It is kept in the transaction that stores the reply (`client`), beside what was owed before. A contribution
  to the same broadcast as the last one starts from the latter: an abandoned attempt loses nothing and
  doubles nothing. What travelled in a sum that was lost is lost, as a whole update would be.

What this file does NOT do: draw the coordinates (`securefl.encoding.Subsample`), or let the memory leave.

Reference: Karimireddy, Rebjock, Stich and Jaggi 2019, "Error Feedback Fixes SignSGD and other Gradient
Compression Schemes" (EF-SGD); here the error is what was not drawn, and neither clip nor rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.encoding import Encoding, Subsample, clip_to_norm
from securefl.errors import DataError
from securefl.federation.broadcast import received
from securefl.federation.contribution import Contributed, LocalUpdate
from securefl.privacy.unsent import Unsent
from securefl.training.turns import Turns

_KEPT = np.dtype("<f4")


@dataclass(frozen=True)
class WithFeedback:
    """A contribution with a memory.

    Attributes:
        local: trains; its encoding is that of the part that travels.
        dim: parameters of the model.
        turns: who trains when; None where all do in every round.
        subsample: what travels when.
        recalled: this client's record in its durable store.
    """

    local: LocalUpdate
    dim: int
    turns: Turns | None
    subsample: Subsample
    recalled: Callable[[], Unsent | None]

    @property
    def encoding(self) -> Encoding:
        """Of the part that travels."""
        return self.local.encoding

    @property
    def parameters(self) -> int | None:
        """Of the model."""
        return self.local.parameters

    def __call__(self, model: bytes, round: int) -> Contributed:
        """Ring words of the part that travels, and the memory once they have left.

        Raises:
            DecodeError, PolicyError, DataError: as for a contribution without a memory.
        """
        vector, encoding = received(model, self.local.encoding, self.local.parameters)
        with self.local.stopwatch.measure("training"):
            update = self._update(vector, round)
        with self.local.stopwatch.measure("encoding"):
            heard = hashlib.sha256(model).digest()
            before = self._owed(heard)
            part, after = self.split(before, update, round, encoding.clip_norm)
            rounding = self.local.randomness.stream("rounding", self.local.client, round)
            words = encoding.encode(part, rounding, self.local.weight)
        return Contributed(words, Unsent(heard, before.tobytes(), after.tobytes()))

    def split(
        self, owed: NDArray[np.float32], update: NDArray[np.float64], round: int, clip_norm: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """What travels of an update and of what was owed, and what is owed then.

        Shapes: owed (dim,), update as it trains in `round` -> (subsample.count,), (dim,).
        """
        whole, clipped = owed.astype(np.float64), clip_to_norm(update, clip_norm)
        if self.turns is None:
            whole += clipped
        else:
            trained = self.turns.of(round)
            whole[trained] += clipped[: len(trained)]
        places = self.subsample.of(round)
        part = self.subsample.padded(whole[places])
        whole[places] = 0.0
        return part, whole.astype(_KEPT)

    def _update(self, vector: NDArray[np.float32], round: int) -> NDArray[np.float64]:
        """The update; where noise covers what is sent, zeros if training failed: silence would tell."""
        try:
            update = self.local.update(vector, round)
            if np.isfinite(update).all() or not self.encoding.noisy:
                return update
        except DataError:
            if not self.encoding.noisy:
                raise
        return np.zeros(self.dim if self.turns is None else self.turns.length)

    def _owed(self, heard: bytes) -> NDArray[np.float32]:
        last = self.recalled()
        if last is None:
            return np.zeros(self.dim, dtype=_KEPT)
        owed = np.frombuffer(last.before if last.heard == heard else last.after, dtype=_KEPT)
        if owed.shape != (self.dim,):
            raise DataError(f"expected a memory of {self.dim} coordinates, got {owed.size}; start a new run")
        return owed
