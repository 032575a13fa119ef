"""Which modules are clipped by their books, and what would make the books wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from securefl.errors import ConfigError
from securefl.training.book_keeping import book_keeping, keeps_books
from securefl.training.clipping import clipped_sum, materialised
from securefl.training.flat import trainable
from securefl.training.models import build_model
from securefl.training.shapes import ModelSpec


def losses(module: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(module(features), labels, reduction="none")


def batch(*shape: int, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((size, *shape), generator=generator), torch.randint(0, 3, (size,), generator=generator)


class Own(nn.Linear):
    pass


def twins() -> nn.Module:
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    return nn.Sequential(one, two)


def listened_to() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda *_: None)
    return layer


def test_modules_whose_trainable_layers_are_dense_or_convolutional_keep_books() -> None:
    frozen_norm = nn.Sequential(nn.LayerNorm(5).requires_grad_(False), nn.Linear(5, 3))
    for module in (
        *(build_model(ModelSpec(kind), (5,), 3, seed=0) for kind in ("linear",)),
        build_model(ModelSpec("mlp", hidden=(4,)), (5,), 3, seed=0),
        build_model(ModelSpec("cnn", channels=(2,)), (4, 4), 3, seed=0),
        nn.Linear(5, 3),
        frozen_norm,
    ):
        assert keeps_books(module)


@pytest.mark.parametrize(
    "module",
    [
        Own(3, 3),
        nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4)),
        twins(),
        listened_to(),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.Embedding(4, 3),
        nn.Conv1d(2, 2, 3),
    ],
    ids=lambda module: type(module).__name__,
)
def test_all_others_are_left_to_opacus(module: nn.Module) -> None:
    assert not keeps_books(module)


def test_books_and_gradients_held_by_opacus_agree_with_a_frozen_weight_and_a_frozen_bias() -> None:
    def make() -> nn.Module:
        torch.manual_seed(3)
        module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4), nn.Linear(4, 3))
        module[0].weight.requires_grad_(False)
        module[4].bias.requires_grad_(False)
        return module

    with torch.random.fork_rng(devices=[]):
        one, other = make(), make()
    given = batch(1, 4, 4)
    kept = book_keeping(one, 0.3, losses)(*given)
    # Opacus has no gradients for a half-frozen layer, so brute force.
    expected = np.zeros(len(kept))
    for at in range(6):
        loss = losses(other, given[0][at : at + 1], given[1][at : at + 1]).sum()
        pieces = torch.autograd.grad(loss, [parameter for _, parameter in trainable(other)])
        gradient = torch.cat([piece.reshape(-1) for piece in pieces]).double().numpy()
        expected += gradient * min(1.0, 0.3 / np.linalg.norm(gradient))
    assert np.allclose(kept.numpy(), expected, rtol=1e-4, atol=1e-5)


class Twice(nn.Module):
    """Calls one layer on both halves of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(4, 3), nn.Linear(6, 3)

    def forward(self, features: Tensor) -> Tensor:
        one, two = features.chunk(2, dim=1)
        return self.head(torch.cat([self.layer(one), self.layer(two).tanh()], dim=1))


def test_a_layer_that_is_called_twice_is_clipped_by_its_whole_gradient() -> None:
    module = Twice()
    other = copy.deepcopy(module)
    given = batch(8)
    assert keeps_books(module)
    assert torch.allclose(
        book_keeping(module, 0.3, losses)(*given), materialised(other, 0.3)(*given), rtol=1e-4, atol=1e-5
    )


def test_a_use_of_a_weight_outside_its_layer_does_not_pass_the_clip() -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, features: Tensor) -> Tensor:
            return self.layer(features) + 50.0 * nn.functional.linear(features, self.layer.weight)

    features, labels = batch(5)
    total = book_keeping(Module(), 0.3, losses)
    sums = [total(features[:n], labels[:n]) for n in range(7)]
    assert all((after - before).norm() <= 0.3 * (1 + 1e-5) for before, after in pairwise(sums))


class InPlace(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.act, self.one, self.two = act, nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.two(self.act(self.one(features)))


@pytest.mark.parametrize("act", [torch.relu_, lambda x: x.add_(1.0), lambda x: x.tanh_()])
def test_an_output_that_is_changed_in_place_is_refused_by_name(act: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ConfigError, match=r"what layer 'one' reads and gives .*in place"):
        book_keeping(InPlace(act), 1.0, losses)(*batch(5))


def test_a_batch_that_is_not_in_the_first_dimension_is_refused_by_name() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, features: Tensor) -> Tensor:
            return self.layer(features.transpose(0, 1)).mean(0)

    with pytest.raises(ConfigError, match="expected layer 'layer' to get one row per example, 6, got 7"):
        book_keeping(Turned(), 1.0, losses)(*batch(7, 5))


def test_a_layer_without_part_in_the_output_is_refused_by_name() -> None:
    class Lazy(nn.Module):
        def __init__(self, call: bool) -> None:
            super().__init__()
            self.used, self.idle, self.call = nn.Linear(5, 3), nn.Linear(5, 3), call

        def forward(self, features: Tensor) -> Tensor:
            if self.call:
                self.idle(features)
            return self.used(features)

    for call in (False, True):
        with pytest.raises(ConfigError, match=r"'idle\.weight' takes no part"):
            clipped_sum(Lazy(call), 1.0)(*batch(5))


def test_hooks_write_nothing_down_outside_of_training() -> None:
    module = nn.Sequential(nn.Linear(5, 3))
    total = book_keeping(module, 1.0, losses)
    given = batch(5)
    first = total(*given)
    module(given[0])
    assert torch.equal(total(*given), first)
