"""Which modules may train: no layer mixes examples, and the flat vector is the whole model.

Rules kept here:
- Layers that mix the examples of a batch are refused, by type and by a probe of the forward pass,
  whether or not the run is private: their statistics would not travel with the flat vector either.
- Three things that come with adapters and large models are refused by name, known by the attributes that peft
  and transformers leave: LoRA on embeddings, DoRA, and gradient checkpointing.
- torch's global generator is left as it was.

What this file does NOT do: prove anything about a module's own Python code. The probe finds mistakes.

Reference: Yousefpour et al. 2021 (Opacus), section on validation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from securefl.errors import ConfigError
from securefl.training.flat import trainable

_SAME_OUTPUT = 1e-5


def check_module(module: nn.Module) -> None:
    """Refuses a module whose flat vector is not all of it, or that mixes the examples of a batch.

    Assumes: the module is in training mode.

    Raises:
        ConfigError: with path `model` and the layer's name.
    """
    if not trainable(module):
        raise ConfigError("expected at least one trainable parameter, the module has none", "model")
    for name, layer in module.named_modules():
        # Opacus looks at layers with trainable weights only; frozen or affine=False layers mix as well.
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) or getattr(layer, "track_running_stats", False):
            raise ConfigError(
                f"layer {name!r} ({type(layer).__name__}) mixes the examples of a batch or keeps running "
                "statistics; use GroupNorm or LayerNorm",
                "model",
            )
    _check_types(module)
    _check_adapters(module)
    problems = ModuleValidator.validate(module)
    if problems:
        raise ConfigError(f"Opacus cannot train this module privately: {problems[0]}", "model")


def _check_types(module: nn.Module) -> None:
    """Examples, weights and updates are float32; another type would fail inside a layer, or lose bits."""
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ConfigError(
                f"expected float32 weights, got {value.dtype} in {name!r}; call `.float()` on the module",
                "model",
            )


def _check_adapters(module: nn.Module) -> None:
    """What has no gradients per example, with Opacus' hooks or with ours, and would fail deep in a layer."""
    for name, layer in module.named_modules():
        for found, what, instead in (
            (getattr(layer, "lora_embedding_A", ()), "LoRA on an embedding", "adapt linear layers only"),
            (getattr(layer, "lora_magnitude_vector", ()), "DoRA", "set use_dora=False for plain LoRA"),
        ):
            if list(found):
                raise ConfigError(
                    f"expected adapters with gradients per example, got {what} in layer {name!r}; {instead}",
                    "model",
                )
        if getattr(layer, "gradient_checkpointing", False) is True:
            raise ConfigError(
                f"expected a forward pass that is made once, got gradient checkpointing in layer {name!r}, "
                "which makes it again while gradients are taken; switch it off",
                "model",
            )


def check_examples_apart(module: nn.Module, input_shape: Sequence[int], classes: int | None = None) -> None:
    """Probes the forward pass in training mode: one example's logits must not depend on its neighbour.

    Assumes: the probe, uniform on [0, 1), reaches the mixing.

    Raises:
        ConfigError: with path `model`, also if the module does not accept the shape or, where they are
            given, has another number of classes.
    """
    device = trainable(module)[0][1].device
    seeded = torch.Generator().manual_seed(0)
    subject, one, other = torch.rand((3, *input_shape), generator=seeded).to(device)
    try:
        first, second = (_logits(module, torch.stack([subject, peer])) for peer in (one, other))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        message = f"the model does not accept examples of shape {tuple(input_shape)}: {error}"
        raise ConfigError(message, "model") from error
    if first.ndim != 2 or len(first) != 2:
        got = tuple(first.shape)
        raise ConfigError(f"expected logits of shape (n, classes), got {got} for n = 2", "model")
    if classes is not None and first.shape[1] != classes:
        raise ConfigError(
            f"expected one logit for each of the data's {classes} classes, got {first.shape[1]}; change the "
            "last layer",
            "model",
        )
    if not torch.allclose(first[0], second[0], atol=_SAME_OUTPUT, rtol=_SAME_OUTPUT):
        raise ConfigError("the output for one example depends on the others in its batch; no DP-SGD", "model")


def _logits(module: nn.Module, features: Tensor) -> Tensor:
    """A forward pass whose dropout masks depend on the shapes alone."""
    devices = [features.device] if features.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(0)
        logits: Tensor = module.train()(features)
        return logits
