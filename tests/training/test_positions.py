"""Every way to a layer's norms and sums against gradients that are made one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from securefl.training import positions
from securefl.training.positions import Positions, bias_gradients, weight_norms, weighted_weight

EXAMPLES = 5
LAYERS = {
    # name: layer, shape of one input, whether each example's gradient is made
    "a vector into a dense layer": (nn.Linear(6, 4), (6,), False),
    "few tokens into a wide layer": (nn.Linear(40, 30), (3, 40), False),
    "many tokens into a narrow layer": (nn.Linear(6, 4), (9, 6), True),
    "some tokens into a layer in between": (nn.Linear(20, 20), (19, 20), True),
    "tokens in two dimensions": (nn.Linear(6, 4), (3, 3, 6), True),
    "an adapter's first factor": (nn.Linear(64, 2, bias=False), (16, 64), True),
    "a convolution": (nn.Conv2d(2, 3, 3, padding=1), (2, 8, 8), True),
    "a strided, dilated convolution": (nn.Conv2d(2, 3, (3, 2), stride=(2, 1), dilation=2), (2, 9, 9), True),
    "a wide convolution of a small image": (nn.Conv2d(40, 30, 3), (40, 4, 4), False),
}
every_layer = pytest.mark.parametrize(("layer", "shape", "kept"), LAYERS.values(), ids=LAYERS)


def seen_and_gradients(
    layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...], calls: int = 1
) -> tuple[Positions, list[tuple[Tensor, ...]]]:
    """What the layer saw in `calls` calls, and each example's true gradients, by autograd."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn((EXAMPLES, *shape), generator=generator) for _ in range(calls)]
    outputs = [layer(each) for each in inputs]
    gradients = [torch.randn(each.shape, generator=generator) for each in outputs]
    true = []
    for at in range(EXAMPLES):
        pairs = zip(inputs, gradients, strict=True)
        loss = torch.stack([(layer(a[at : at + 1]) * g[at : at + 1]).sum() for a, g in pairs]).sum()
        true.append(torch.autograd.grad(loss, list(layer.parameters())))
    return Positions(layer, inputs, gradients), true


def norms_and_sums_agree(seen: Positions, true: list[tuple[Tensor, ...]]) -> None:
    norms = weight_norms(seen)
    expected = torch.stack([each[0].square().sum() for each in true])
    assert torch.allclose(norms.squared, expected, rtol=1e-4)
    weights = torch.linspace(0.0, 1.0, EXAMPLES)
    found = torch.full_like(seen.layer.weight, 7.0).flatten()
    weighted_weight(seen, norms, weights, found)
    total = torch.stack([weight * each[0] for weight, each in zip(weights, true, strict=True)]).sum(0)
    assert torch.allclose(found, total.flatten(), rtol=1e-4, atol=1e-4)
    if seen.layer.bias is not None:
        assert torch.allclose(bias_gradients(seen), torch.stack([each[1] for each in true]), atol=1e-4)


@every_layer
def test_norms_and_weighted_sums_are_those_of_gradients_made_one_by_one(
    layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...], kept: bool
) -> None:
    seen, true = seen_and_gradients(layer, shape)
    norms_and_sums_agree(seen, true)
    assert (weight_norms(seen).kept is not None) == kept


@every_layer
def test_calls_of_one_layer_add_up_before_the_norm(
    layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...], kept: bool
) -> None:
    norms_and_sums_agree(*seen_and_gradients(layer, shape, calls=2))


@every_layer
def test_chunks_of_examples_change_nothing(
    layer: nn.Linear | nn.Conv2d, shape: tuple[int, ...], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "CHUNK_VALUES", 1)
    norms_and_sums_agree(*seen_and_gradients(layer, shape))


def test_a_norm_whose_positions_cancel_comes_out_too_large_rather_than_too_small() -> None:
    layer = nn.Linear(60, 50, bias=False)
    inputs = torch.randn(1, 1, 60).repeat(200, 4, 1) * torch.linspace(1.0, 1e3, 200)[:, None, None]
    gradients = torch.randn(200, 1, 50) * torch.tensor([1.0, -1.0, 2.0, -2.0])[:, None]
    true = torch.bmm(gradients.double().transpose(1, 2), inputs.double()).square().sum((1, 2))
    assert true.max() == 0.0
    found = weight_norms(Positions(layer, [inputs], [gradients])).squared
    assert (found > 0).all()
    # Without the margin the products' rounding alone may be any number around zero.
    largest = inputs.square().sum((1, 2)) * gradients.square().sum((1, 2))
    assert (found <= 3e-6 * largest).all()
