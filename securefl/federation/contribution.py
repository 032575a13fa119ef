"""What one client puts into a round: train on its own data, clip, weight, encode.

Rules kept here:
- A contribution returns ring words for the masked sum, and what its own client keeps, nothing else. There
  is no method that turns the plain update into bytes, so it can only leave through a mask.
- Where noise covers what is sent, a client whose training fails sends zeros: its silence would say something
  about its data that nothing covers.
- Sampling, noise and rounding come from the client's own streams, never from the experiment seed.

What this file does NOT do: mask, sign or send (`securefl.secagg`), or charge the ledger
(`securefl.federation.client`, before anything leaves).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.crypto.randomness import Randomness, Stream
from securefl.data.examples import Examples
from securefl.encoding import Encoding
from securefl.errors import DataError
from securefl.federation.broadcast import received
from securefl.federation.stopwatch import Stopwatch
from securefl.privacy.unsent import Unsent

Words = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Contributed:
    """Ring words, and what a client with a memory must keep durably with them."""

    words: Words
    unsent: Unsent


Contribution = Callable[[bytes, int], Words | Contributed]
"""(broadcast, round) -> ring words; the seam where an example puts a malicious update, from outside."""


class Trainer(Protocol):
    """Learning on one machine, as a round needs it."""

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> NDArray[np.float64]:
        """The local update for the flat model `vector`, as it travels in `round`."""


@dataclass(frozen=True)
class LocalUpdate:
    """The honest contribution: local training, then the clip and the encoding of the config.

    Attributes:
        client: id of the client, names its streams.
        trainer: the resident model; shared between the clients that one process simulates.
        examples: this client's own data.
        encoding: clip norm, bits and ring of the masked sum.
        weight: integer weight, between 1 and the encoding's cap.
        randomness: where sampling, noise and rounding come from.
        stopwatch: collects the seconds of training and encoding.
        parameters: of the model, where they are others than an update's coordinates: where they take turns.
    """

    client: int
    trainer: Trainer
    examples: Examples
    encoding: Encoding
    weight: int
    randomness: Randomness
    stopwatch: Stopwatch
    parameters: int | None = None

    def __call__(self, model: bytes, round: int) -> Words:
        """Ring words of this client's clipped update. Shapes: (encoding.length,).

        Raises:
            DecodeError, PolicyError: not a model of this run, or a clip that it cannot have.
            DataError: training failed, where no noise covers that.
        """
        vector, encoding = received(model, self.encoding, self.parameters)
        with self.stopwatch.measure("training"):
            update = self._sent(vector, round)
        with self.stopwatch.measure("encoding"):
            rounding = self.randomness.stream("rounding", self.client, round)
            return encoding.encode(update, rounding, self.weight)

    def update(self, vector: NDArray[np.float32], round: int) -> NDArray[np.float64]:
        """The local update before clip and encoding: already noised under example-level DP."""
        sampling = self.randomness.stream("sampling", self.client, round)
        noise = self.randomness.stream("noise", self.client, round)
        return self.trainer.train(vector, self.examples, sampling, noise, round)

    def _sent(self, vector: NDArray[np.float32], round: int) -> NDArray[np.float64]:
        try:
            return self.update(vector, round)
        except DataError:
            if not self.encoding.noisy:
                raise
            return np.zeros(self.encoding.dim)
