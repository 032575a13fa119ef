"""What one layer saw and what came back to it, per example: from there to norms and sums of gradients.

A dense layer's gradient of one example is the sum over positions t of g_t a_t^T: its input a_t, the gradient
g_t at its output. A vector has one position, a sequence one per token, and a convolution is a dense layer on
patches.

Rules kept here:
- Norms are those of the gradient that is summed: both are made of the same inputs and output gradients.
- The cheapest of three ways per layer: with one position the norm is the product of two; with few positions
  against a large weight it comes from two Gram matrices; else each example's gradient is made and kept for
  the sum, and is then smaller than the inputs and output gradients that it is made of.
- Gram matrices cancel where the gradients of positions do, so their rounding is added on top: a norm may come
  out a little too large, never too small.

What this file does NOT do: clip, or know about modules other than the two kinds listed (`book_keeping`).

Reference: Goodfellow 2015, "Efficient Per-Example Gradient Computations"; Li et al. 2022, "Large Language
Models Can Be Strong Differentially Private Learners", section 4; Bu, Mao and Xu 2022, "Scalable and Efficient
Training of Large Convolutional Neural Networks with Differential Privacy", section 4 (the choice per layer).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHUNK_VALUES = 1 << 22
"""Values that a convolution's patches may take at a time (16 MiB as float32), whatever the batch."""

_GRAM_ROUNDING = 1e-6
"""Of the largest square that inputs and output gradients allow; above float32's rounding of the products."""


@dataclass(frozen=True)
class Positions:
    """Inputs and output gradients of one layer in one pass.

    Attributes:
        layer: the dense or convolutional layer.
        inputs: one tensor per call of the layer; the first dimension is the example.
        gradients: at its outputs, one per call.
    """

    layer: nn.Linear | nn.Conv2d
    inputs: Sequence[Tensor]
    gradients: Sequence[Tensor]

    @property
    def per_example(self) -> int:
        """How many positions an example has, over all calls."""
        outputs = self.layer.weight.shape[0]
        return sum(each[0].numel() // outputs for each in self.gradients)

    def pieces(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some examples at a time: which, inputs (n, positions, fan_in), gradients at outputs alike."""
        examples = len(self.gradients[0])
        rows = examples
        if isinstance(self.layer, nn.Conv2d):
            rows = max(1, CHUNK_VALUES // (self.layer.weight[0].numel() * self.per_example))
        for start in range(0, examples, rows):
            piece = slice(start, start + rows)
            inputs = [_flat_inputs(self.layer, each[piece]) for each in self.inputs]
            gradients = [_flat_gradients(self.layer, each[piece]) for each in self.gradients]
            yield piece, _joined(inputs), _joined(gradients)


@dataclass(frozen=True)
class Norms:
    """Squared gradient norms of one layer's weight, and gradients per example where they were made.

    Attributes:
        squared: (n,).
        kept: (n, fan_out * fan_in), or None.
        bias: gradients of a trainable bias, (n, fan_out), or None.
    """

    squared: Tensor
    kept: Tensor | None = None
    bias: Tensor | None = None


def weight_norms(seen: Positions) -> Norms:
    """Squared norms of each example's weight gradient, by the cheapest way for the layer's sizes."""
    squared, kept = [], []
    fan_out, positions = seen.layer.weight.shape[0], seen.per_example
    fan_in = seen.layer.weight[0].numel()
    for _, inputs, gradients in seen.pieces():
        if positions == 1:
            squared.append(inputs.square().sum((1, 2)) * gradients.square().sum((1, 2)))
        elif 2 * positions**2 < fan_in * fan_out:
            squared.append(_gram(inputs, gradients))
        else:
            each = torch.bmm(gradients.transpose(1, 2), inputs).flatten(1)
            squared.append(torch.linalg.vector_norm(each, dim=1).square())
            kept.append(each)
    return Norms(torch.cat(squared), torch.cat(kept) if kept else None)


def weighted_weight(seen: Positions, norms: Norms, weights: Tensor, out: Tensor) -> None:
    """Writes the sum over examples of weight times the layer's weight gradient to `out`, flat."""
    weight = seen.layer.weight
    if norms.kept is not None:
        torch.mv(norms.kept.t(), weights, out=out)
        return
    total = out.view(len(weight), weight[0].numel())
    for number, (piece, inputs, gradients) in enumerate(seen.pieces()):
        scaled = (gradients * weights[piece, None, None]).flatten(0, 1).t()
        if number == 0:
            torch.mm(scaled, inputs.flatten(0, 1), out=total)
        else:
            total.addmm_(scaled, inputs.flatten(0, 1))


def bias_gradients(seen: Positions) -> Tensor:
    """Each example's gradient of the layer's bias. Shapes: (n, fan_out)."""
    if seen.per_example == 1:
        return seen.gradients[0].reshape(len(seen.gradients[0]), -1)
    calls = [_flat_gradients(seen.layer, each).sum(1) for each in seen.gradients]
    return torch.stack(calls).sum(0)


def _gram(inputs: Tensor, gradients: Tensor) -> Tensor:
    products = torch.bmm(inputs, inputs.transpose(1, 2)) * torch.bmm(gradients, gradients.transpose(1, 2))
    largest = inputs.square().sum((1, 2)) * gradients.square().sum((1, 2))
    return products.sum((1, 2)).clamp(min=0.0) + _GRAM_ROUNDING * largest


def _flat_inputs(layer: nn.Linear | nn.Conv2d, inputs: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return inputs.reshape(len(inputs), -1, inputs.shape[-1])
    assert not isinstance(layer.padding, str)  # noqa: S101 - `keeps_books` let no other in
    patches = nn.functional.unfold(
        inputs, layer.kernel_size, dilation=layer.dilation, padding=layer.padding, stride=layer.stride
    )
    return patches.transpose(1, 2)


def _flat_gradients(layer: nn.Linear | nn.Conv2d, gradients: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return gradients.reshape(len(gradients), -1, gradients.shape[-1])
    return gradients.flatten(2).transpose(1, 2)


def _joined(calls: Sequence[Tensor]) -> Tensor:
    return calls[0] if len(calls) == 1 else torch.cat(list(calls), dim=1)
