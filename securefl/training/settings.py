"""How one client trains in one round; public constants, the same for every client, no torch.

Rules kept here:
- `expected_batch` is declared, never derived from a client's number of examples: the noisy gradient
  sum is divided by it, and the accountant does not see that division.
- Nothing runs a forward pass again while gradients per example are taken.
- Clip and noise come together or not at all, and the noise is a multiple of the clip, so that a
  sensitivity given apart from the clip cannot exist.

What this file does NOT do: choose the noise for an epsilon (`securefl.privacy.accountant`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from securefl.errors import ConfigError


@dataclass(frozen=True)
class LocalSettings:
    """Local SGD, private where `clip_norm` and `noise_multiplier` are given.

    Attributes:
        steps: Poisson-sampled SGD steps per round.
        learning_rate: step size.
        sample_rate: probability that a step's batch holds any one example.
        expected_batch: public divisor of the gradient sum.
        momentum: classical momentum, started afresh every round.
        proximal: FedProx mu; pulls towards the global model.
        clip_norm: L2 bound of one example's gradient, or None for plain SGD.
        noise_multiplier: noise standard deviation in units of `clip_norm`, or None for plain SGD.
        micro_batch: most examples in memory at a time; a step's gradients are summed over pieces before its
            one noise, so pieces cost no privacy. None for the whole batch.
        gradient_checkpointing: layers of a language model run again on the way back in place of keeping what
            they saw.

    Reference: Abadi et al. 2016, Algorithm 1 (DP-SGD); Li et al. 2020, Algorithm 2 (FedProx).
    """

    steps: int
    learning_rate: float
    sample_rate: float
    expected_batch: float
    momentum: float = 0.0
    proximal: float = 0.0
    clip_norm: float | None = None
    noise_multiplier: float | None = None
    micro_batch: int | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        _expect(self.steps >= 1, "training.local_steps", "at least 1", self.steps)
        _expect_positive("training.learning_rate", self.learning_rate)
        _expect(0 < self.sample_rate <= 1, "training.sample_rate", "above 0 and at most 1", self.sample_rate)
        _expect_positive("training.expected_batch", self.expected_batch)
        _expect(0 <= self.momentum < 1, "training.momentum", "at least 0 and below 1", self.momentum)
        _expect(0 <= self.proximal < float("inf"), "training.proximal", "at least 0", self.proximal)
        if (self.clip_norm is None) != (self.noise_multiplier is None):
            raise ConfigError(
                f"clip_norm {self.clip_norm} and noise_multiplier {self.noise_multiplier}: "
                "one without the other gives no privacy; give both or neither",
                "privacy",
            )
        if self.gradient_checkpointing:
            refuse_checkpointing(self.private)
        if self.clip_norm is not None and self.noise_multiplier is not None:
            _expect_positive("privacy.clip_norm", self.clip_norm)
            _expect_positive("privacy.noise_multiplier", self.noise_multiplier)

    @property
    def private(self) -> bool:
        """Whether per-example gradients are clipped and noised."""
        return self.clip_norm is not None


def refuse_checkpointing(per_example: bool) -> None:
    """Raises ConfigError where gradients per example are taken: layers that run twice would be seen twice."""
    if per_example:
        raise ConfigError(
            "expected none with privacy.unit 'example', got gradient checkpointing: it runs every layer once "
            "more while gradients are taken, and norms per example are made of what a layer saw in one pass. "
            "Remove the key and bound memory by micro_batch, or use unit 'client'",
            "training.gradient_checkpointing",
        )


def _expect_positive(path: str, value: float) -> None:
    _expect(isfinite(value) and value > 0, path, "a positive number", value)


def _expect(holds: bool, path: str, wanted: str, value: float) -> None:
    if not holds:
        raise ConfigError(f"expected {wanted}, got {value}", path)
