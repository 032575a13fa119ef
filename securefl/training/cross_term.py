"""How far averaging the factors of adapters apart is from averaging their products; no torch.

With B_k and A_k of client k, the error is the Frobenius norm over all layers of
alpha / rank * (mean(B_k A_k) - mean(B_k) mean(A_k)).

What this file does NOT do: correct it. It needs single updates, so it exists with masking off alone.

Reference: Sun et al. 2024, "Improving LoRA in Privacy-preserving Federated Learning", section 3 "
"(discordance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Factors:
    """Where one layer's factors lie in the flat vector.

    Attributes:
        first: of A, which has shape (rank, fan_in).
        second: of B, which has shape (fan_out, rank).
        rank: inner width.
        scale: alpha / rank.
    """

    first: slice
    second: slice
    rank: int
    scale: float

    def product(self, vector: Wide) -> Wide:
        """Scale times B A. Shapes: (dim,) -> (fan_out, fan_in)."""
        return (
            self.scale
            * vector[self.second].reshape(-1, self.rank)
            @ vector[self.first].reshape(self.rank, -1)
        )


@dataclass(frozen=True)
class CrossTerm:
    """The error of one round, over all adapted layers."""

    layers: tuple[Factors, ...]

    def __call__(self, model: NDArray[np.float32], updates: Wide, weights: Wide) -> float:
        """From the round's model, single updates and weights. Shapes: (dim,), (clients, dim), (clients,)."""
        clients, parts = model.astype(np.float64) + updates, weights / weights.sum()
        square = 0.0
        for layer in self.layers:
            mean = sum(part * layer.product(one) for part, one in zip(parts, clients, strict=True))
            square += float(np.square(mean - layer.product(parts @ clients)).sum())
        return float(np.sqrt(square))
