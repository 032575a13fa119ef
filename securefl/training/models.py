"""The models that a configuration can name, built with a seed.

Rules kept here:
- Initial weights depend on the experiment seed alone; torch's global generator is left as it was.
- No layer mixes the examples of a batch and none has buffers, so the flat vector is the whole model.

What this file does NOT do: check a user's own module (`securefl.training.admission.check_module`).

Activations: tanh, bounded, so that gradients stay small against the clip.
Reference: Papernot et al. 2021, "Tempered sigmoid activations for deep learning with DP", section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from securefl.training.lora import TransformerSpec
from securefl.training.shapes import KERNEL, POOL, ModelSpec, dense_widths, image_shape


def build_model(
    spec: ModelSpec | TransformerSpec, input_shape: Sequence[int], classes: int, seed: int
) -> nn.Module:
    """A fresh model on the CPU, in training mode, that maps (n, *input_shape) to (n, classes) logits.

    Guarantee: equal arguments give equal weights, bit for bit.
    """
    if isinstance(spec, TransformerSpec):
        from securefl.training import build_transformer

        return build_transformer(spec, classes, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        front = _convolutions(spec, input_shape) if spec.kind == "cnn" else []
        return nn.Sequential(*front, nn.Flatten(), *_dense(dense_widths(spec, input_shape, classes)))


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    return layers[:-1]


def _convolutions(spec: ModelSpec, input_shape: Sequence[int]) -> list[nn.Module]:
    channels, height, _ = image_shape(spec, input_shape)
    layers: list[nn.Module] = []
    if len(input_shape) == 2:
        layers.append(nn.Unflatten(1, (channels, height)))
    for fan_in, fan_out in pairwise((channels, *spec.channels)):
        layers += [nn.Conv2d(fan_in, fan_out, KERNEL, padding=KERNEL // 2), nn.Tanh(), nn.MaxPool2d(POOL)]
    return layers


def is_module(candidate: object) -> bool:
    """Whether a caller's object is a torch module at all."""
    return isinstance(candidate, nn.Module)
