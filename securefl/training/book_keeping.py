"""Clipping in one backward pass: what each layer saw is kept, and norms and sum are made of that.

Rules kept here:
- What is summed is what was measured: an example's gradient is made of what its layers saw, and so is its
  norm. A use of a parameter outside its layer's `forward` is in neither, so the clip holds all the same.
- A layer may be called several times in one pass; a parameter belongs to one layer.
- Which layers train may change between passes, among those that could at the start: adapters take turns.
- What would make the books wrong is refused with the layer's name: an output or input that was changed in
  place, a first dimension that is not the example's, a layer that was not called.

What this file does NOT do: materialise every gradient (`clipping.materialised`, for all other layers), or add
noise (`dp_sgd`).

Reference: Bu, Wang, Zha and Karypis 2023, "Differentially Private Optimization on Large Model at Small Cost",
section 3 (book-keeping); Li et al. 2022 (ghost norms).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import torch
from torch import Tensor, nn

from securefl.errors import ConfigError
from securefl.training.flat import trainable
from securefl.training.positions import Norms, Positions, bias_gradients, weight_norms, weighted_weight
from securefl.training.tasks import Losses

_MARGIN = 1e-6
"""Added to a norm before dividing by it, as Opacus does."""


def keeps_books(module: nn.Module) -> bool:
    """Whether every trainable parameter is the weight or bias of one dense or convolutional layer alone."""
    owners = [layer for layer in module.modules() if _own(layer)]
    owned = [parameter for layer in owners for _, parameter in _own(layer)]
    return all(_served(layer) for layer in owners) and len({id(each) for each in owned}) == len(owned)


def book_keeping(module: nn.Module, clip_norm: float, losses: Losses) -> Callable[[Tensor, Tensor], Tensor]:
    """(features, labels) -> flat sum of clipped gradients. Takes the module over: hooks stay on it for good.

    Assumes: `keeps_books(module)`.
    """
    books = _Books(module)

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        places = _places(module)
        total = torch.zeros(sum(each.numel() for _, each in trainable(module)), device=features.device)
        while len(labels):
            seen = books.read(partial(losses, module, features, labels), len(labels))
            norms = [_norms(each) for each in seen]
            lengths = torch.stack([each.squared for each in norms]).sum(0).sqrt()
            sound = torch.isfinite(lengths)
            if sound.all():
                weights = (clip_norm / (lengths + _MARGIN)).clamp(max=1.0)
                for one, norm in zip(seen, norms, strict=True):
                    _write_weighted(one, norm, weights, total, places)
                break
            features, labels = features[sound], labels[sound]
        return total

    return sum_of


def _places(module: nn.Module) -> dict[int, slice]:
    """Where each trainable parameter lies in the flat vector, by the parameter's identity."""
    places, end = {}, 0
    for _, parameter in trainable(module):
        places[id(parameter)] = slice(end, end := end + parameter.numel())
    return places


@dataclass
class _Page:
    """The calls of one layer in one pass: inputs, outputs, and their versions when they were written down."""

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    versions: list[tuple[int, int]] = field(default_factory=list)


class _Books:
    """Hooks on a module's trainable layers that write down what passes, while it is asked for."""

    def __init__(self, module: nn.Module) -> None:
        self._layers = {name: layer for name, layer in module.named_modules() if _own(layer)}
        self._pages: dict[str, _Page] | None = None
        for name, layer in self._layers.items():
            layer.register_forward_hook(self._writer(name))

    def read(self, losses: Callable[[], Tensor], examples: int) -> list[Positions]:
        """What each layer saw while `losses` was computed, and what comes back to it from their sum."""
        self._pages = {name: _Page() for name, layer in self._layers.items() if _own(layer)}
        try:
            total, pages = losses().sum(), self._pages
        finally:
            self._pages = None
        self._check(pages, examples)
        outputs = [output for page in pages.values() for output in page.outputs]
        found = iter(torch.autograd.grad(total, outputs, allow_unused=True))
        return [
            self._positions(name, page, [next(found) for _ in page.outputs]) for name, page in pages.items()
        ]

    def _writer(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def write(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if self._pages is not None and name in self._pages:
                page = self._pages[name]
                page.inputs.append(inputs[0].detach())
                page.outputs.append(output)
                page.versions.append((inputs[0]._version, output._version))

        return write

    def _check(self, pages: dict[str, _Page], examples: int) -> None:
        for name, page in pages.items():
            if not page.outputs:
                refuse_idle(f"{name}.weight")
            for before, after in zip(page.inputs, page.outputs, strict=True):
                if len(before) != examples or len(after) != examples:
                    raise ConfigError(
                        f"expected layer {name!r} to get one row per example, {examples}, got {len(before)}; "
                        "keep the batch in the first dimension",
                        "model",
                    )
            if [
                (a._version, b._version) for a, b in zip(page.inputs, page.outputs, strict=True)
            ] != page.versions:
                raise ConfigError(
                    f"expected what layer {name!r} reads and gives to stay as it is, got it changed in "
                    "place; use the copying form, such as ReLU(inplace=False)",
                    "model",
                )

    def _positions(self, name: str, page: _Page, gradients: Sequence[Tensor | None]) -> Positions:
        layer = self._layers[name]
        assert isinstance(layer, nn.Linear | nn.Conv2d)  # noqa: S101 - `keeps_books` let no other in
        used = [
            (before, after) for before, after in zip(page.inputs, gradients, strict=True) if after is not None
        ]
        if not used:
            refuse_idle(f"{name}.weight")
        return Positions(layer, [before for before, _ in used], [after for _, after in used])


def _norms(seen: Positions) -> Norms:
    """Squared norms over the layer's trainable weight and bias together."""
    layer = seen.layer
    norms = Norms(torch.zeros(len(seen.gradients[0]), device=layer.weight.device))
    if layer.weight.requires_grad:
        norms = weight_norms(seen)
    if layer.bias is None or not layer.bias.requires_grad:
        return norms
    bias = bias_gradients(seen)
    return Norms(norms.squared + bias.square().sum(1), norms.kept, bias)


def _write_weighted(
    seen: Positions, norms: Norms, weights: Tensor, total: Tensor, places: Mapping[int, slice]
) -> None:
    weight, bias = seen.layer.weight, seen.layer.bias
    if weight.requires_grad:
        weighted_weight(seen, norms, weights, total[places[id(weight)]])
    if norms.bias is not None:
        torch.mv(norms.bias.t(), weights, out=total[places[id(bias)]])


def _own(layer: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [each for each in layer.named_parameters(recurse=False) if each[1].requires_grad]


def _served(layer: nn.Module) -> bool:
    if (
        layer._forward_hooks
        or layer._forward_pre_hooks
        or {name for name, _ in _own(layer)} - {"weight", "bias"}
    ):
        return False
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def refuse_idle(parameter: str) -> NoReturn:
    """Raises ConfigError: the parameter would silently not train."""
    raise ConfigError(
        f"parameter {parameter!r} takes no part in the output, so it would not train; use it or freeze it "
        "(requires_grad_(False))",
        "model",
    )
