"""Per-example clipping: the sum over a batch of gradients clipped one by one.

Rules kept here:
- The clip is on the L2 norm over ALL trainable parameters of one example together.
- An example whose gradient is not finite counts as zero, in every parameter, before clipping.
- An empty batch has the sum zero, whatever batch came before.

Two ways to the same sum. `materialised` holds every example's gradient by Opacus' hooks, in chunks, and works
for any module that Opacus takes. `ghost` keeps what each layer saw and makes norms and sum of that, per layer
by the cheaper of ghost norms and gradients; it serves modules whose trainable layers are dense or
convolutional, adapters of a frozen model among them, and is never the dearer one.

What this file does NOT do: add noise (`securefl.training.dp_sgd`). Nothing here may be released.

Reference: Abadi et al. 2016, Algorithm 1; Yousefpour et al. 2021 (Opacus).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from securefl.errors import ConfigError
from securefl.training.book_keeping import book_keeping, keeps_books, refuse_idle
from securefl.training.flat import trainable
from securefl.training.tasks import CLASSIFICATION, Losses

ClippedSum = Callable[[Tensor, Tensor], Tensor]
"""(features, labels) -> flat sum of clipped gradients, float32. Shapes: (n, ...), (n,) -> (dim,)."""

CHUNK_VALUES = 1 << 22
"""Per-example gradient values held at a time (16 MiB as float32), whatever the batch."""


def clipped_sum(module: nn.Module, clip_norm: float, losses: Losses = CLASSIFICATION.of) -> ClippedSum:
    """The faster way that is certain for this module. Takes the module over: hooks stay on it for good.

    Raises:
        ConfigError: Opacus has no per-example gradients for the module.
    """
    way = ghost if keeps_books(module) else materialised
    return way(module, clip_norm, losses)


def in_pieces(clipped: ClippedSum, most: int | None) -> ClippedSum:
    """The same sum, over at most so many examples at a time: a clip is of one example, so pieces add up."""
    if most is None:
        return clipped

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        total = clipped(features[:most], labels[:most])
        for start in range(most, len(labels), most):
            total += clipped(features[start : start + most], labels[start : start + most])
        return total

    return sum_of


def materialised(module: nn.Module, clip_norm: float, losses: Losses = CLASSIFICATION.of) -> ClippedSum:
    """Clips by holding each example's gradient, some at a time."""
    model = _hooked(module)
    names, parameters = zip(*trainable(module), strict=True)
    chunk = max(1, CHUNK_VALUES // _dim(parameters))
    # Opacus clips and sums; its own noise stays off because it is torch's.
    optimizer = DPOptimizer(
        torch.optim.SGD(parameters, lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=clip_norm,
        expected_batch_size=None,
        loss_reduction="sum",
    )

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        total = torch.zeros(_dim(parameters), device=features.device)
        for start in range(0, len(labels), chunk):
            piece = slice(start, start + chunk)
            optimizer.zero_grad(set_to_none=True)
            losses(model, features[piece], labels[piece]).sum().backward()  # type: ignore[no-untyped-call]
            _zero_broken_examples(names, parameters)
            optimizer.clip_and_accumulate()
            total += _flat([parameter.summed_grad for parameter in parameters])
        optimizer.zero_grad(set_to_none=True)
        return total

    return sum_of


def ghost(module: nn.Module, clip_norm: float, losses: Losses = CLASSIFICATION.of) -> ClippedSum:
    """Clips by norms that need no gradients per example, and sums in the same backward pass."""
    return book_keeping(module, clip_norm, losses)


def _zero_broken_examples(names: Sequence[str], parameters: Sequence[nn.Parameter]) -> None:
    samples: list[Tensor] = []
    for name, parameter in zip(names, parameters, strict=True):
        sample: Tensor | None = parameter.grad_sample  # type: ignore[attr-defined]
        if sample is None:
            refuse_idle(name)
        samples.append(sample)
    # A row's sum is not finite if one of its entries is not; cheaper than testing each entry.
    sums = torch.stack([sample.reshape(len(sample), -1).sum(1) for sample in samples])
    broken = ~torch.isfinite(sums).all(0)
    if broken.any():
        for sample in samples:
            sample[broken] = 0.0


def _hooked(module: nn.Module) -> GradSampleModule:
    try:
        return GradSampleModule(module, loss_reduction="sum")
    except NotImplementedError as error:
        raise ConfigError(f"Opacus has no per-example gradients for this module: {error}", "model") from error


def _flat(pieces: Sequence[Tensor]) -> Tensor:
    return torch.cat([piece.reshape(-1) for piece in pieces])


def _dim(parameters: Sequence[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
