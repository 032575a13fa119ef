"""One private gradient: a clipped sum plus noise from the client's own cipher stream.

Rules kept here:
- Noise has standard deviation noise_multiplier * clip_norm, one draw per coordinate and step, and
  comes from `securefl.privacy.noise`. Opacus' own noise is never used: torch's generators are neither
  private nor cryptographic.
- An empty batch is a batch: its sum is zero and it gets the same noise.
- Nothing is divided here. The caller divides by a declared constant, never by the size of a batch.

What this file does NOT do: clip (`securefl.training.clipping`), draw the batch or take the step
(`securefl.training.learner`), account (`securefl.privacy.accountant`), or protect against
floating-point attacks on the noise: clip, sum and noise are floating point, and the guarantee card
says so.

Reference: Abadi et al. 2016, Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from securefl.crypto.randomness import Stream
from securefl.privacy.noise import gaussian
from securefl.training.clipping import ClippedSum


@dataclass(frozen=True)
class PrivateGradient:
    """Noisy gradient sums of one resident model.

    Guarantee: adding or removing one example changes the sum before noise by at most `clip_norm` in
    L2 (up to float32 rounding), and every sum carries noise of noise_multiplier * clip_norm.

    Attributes:
        clipped_sum: clips at `clip_norm`.
        clip_norm: L2 bound of one example's gradient.
        noise_multiplier: in units of `clip_norm`.
    """

    clipped_sum: ClippedSum
    clip_norm: float
    noise_multiplier: float

    def __call__(self, features: Tensor, labels: Tensor, noise: Stream) -> NDArray[np.float64]:
        """The noisy sum of one batch, empty or not. Shapes: (dim,)."""
        clean = self.clipped_sum(features, labels).to("cpu").numpy()
        noisy = gaussian(noise, len(clean))
        noisy *= self.clip_norm * self.noise_multiplier
        noisy += clean
        return noisy
