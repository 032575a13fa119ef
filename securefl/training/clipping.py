"""Per-example clipping by Opacus: the sum over a batch of gradients clipped one by one.

Rules kept here:
- The clip is on the L2 norm over ALL trainable parameters of one example together.
- An example whose gradient is not finite counts as zero, in every parameter, before clipping.
- An empty batch has the sum zero, whatever batch came before.

Two ways to the same sum. `materialised` holds every example's gradient, in chunks, and works for any
module that Opacus takes. `ghost` computes the norms alone and clips by weighting the losses of a
second backward pass; ten times faster for wide layers. It trusts that the norms cover every use of a
parameter, so it serves only plain sequences of layers listed here, where that can be seen.

What this file does NOT do: add noise (`securefl.training.dp_sgd`). Nothing here may be released.

Reference: Abadi et al. 2016, Algorithm 1; Goodfellow 2015 and Li et al. 2022 (ghost clipping).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from securefl.errors import ConfigError
from securefl.training.flat import trainable

ClippedSum = Callable[[Tensor, Tensor], Tensor]
"""(features, labels) -> flat sum of clipped gradients, float32. Shapes: (n, ...), (n,) -> (dim,)."""

CHUNK_VALUES = 1 << 22
"""Per-example gradient values held at a time (16 MiB as float32), whatever the batch."""

_GHOST_LAYERS = (nn.Flatten, nn.Linear, nn.Tanh, nn.ReLU)


def clipped_sum(module: nn.Module, clip_norm: float) -> ClippedSum:
    """The faster way that is certain for this module. Takes the module over: hooks stay on it for good.

    Raises:
        ConfigError: Opacus has no per-example gradients for the module.
    """
    return ghost(module, clip_norm) if ghost_serves(module) else materialised(module, clip_norm)


def ghost_serves(module: nn.Module) -> bool:
    """Whether every parameter is the weight or bias of one dense layer that is used exactly once."""
    if type(module) is not nn.Sequential:
        return False
    layers = list(module)
    shared = [parameter for layer in layers for parameter in layer.parameters()]
    return (
        type(layers[0]) is nn.Flatten
        and all(type(layer) in _GHOST_LAYERS for layer in layers)
        and len({id(layer) for layer in layers}) == len(layers)
        and len({id(parameter) for parameter in shared}) == len(shared)
    )


def materialised(module: nn.Module, clip_norm: float) -> ClippedSum:
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
            _losses(model, features[piece], labels[piece]).sum().backward()  # type: ignore[no-untyped-call]
            _zero_broken_examples(names, parameters)
            optimizer.clip_and_accumulate()
            total += _flat([parameter.summed_grad for parameter in parameters])
        optimizer.zero_grad(set_to_none=True)
        return total

    return sum_of


def ghost(module: nn.Module, clip_norm: float) -> ClippedSum:
    """Clips by weighting each example's loss with min(1, clip / norm) in a second backward pass."""
    model = GradSampleModuleFastGradientClipping(module, max_grad_norm=clip_norm, loss_reduction="sum")
    parameters = [parameter for _, parameter in trainable(module)]

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        if len(labels) == 0:
            return torch.zeros(_dim(parameters), device=features.device)
        model.enable_hooks()
        losses = _losses(model, features, labels)
        torch.autograd.grad(losses.sum(), parameters, retain_graph=True)
        model.disable_hooks()
        norms: Tensor = model.get_norm_sample()
        sound = torch.isfinite(norms)
        if not sound.all():
            return sum_of(features[sound], labels[sound])
        weights: Tensor = model.get_clipping_coef()
        return _flat(torch.autograd.grad((weights * losses).sum(), parameters))

    return sum_of


def _zero_broken_examples(names: Sequence[str], parameters: Sequence[nn.Parameter]) -> None:
    samples: list[Tensor] = []
    for name, parameter in zip(names, parameters, strict=True):
        sample: Tensor | None = parameter.grad_sample  # type: ignore[attr-defined]
        if sample is None:
            raise ConfigError(
                f"parameter {name!r} takes no part in the output, so it would not train; use it or "
                "freeze it (requires_grad_(False))",
                "model",
            )
        samples.append(sample)
    # A row's sum is not finite if one of its entries is not; cheaper than testing each entry.
    sums = torch.stack([sample.reshape(len(sample), -1).sum(1) for sample in samples])
    broken = ~torch.isfinite(sums).all(0)
    if broken.any():
        for sample in samples:
            sample[broken] = 0.0


def _losses(model: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(features), labels, reduction="none")


def _hooked(module: nn.Module) -> GradSampleModule:
    try:
        return GradSampleModule(module, loss_reduction="sum")
    except NotImplementedError as error:
        raise ConfigError(f"Opacus has no per-example gradients for this module: {error}", "model") from error


def _flat(pieces: Sequence[Tensor]) -> Tensor:
    return torch.cat([piece.reshape(-1) for piece in pieces])


def _dim(parameters: Sequence[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
