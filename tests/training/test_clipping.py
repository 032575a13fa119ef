"""Both ways of clipping against brute force, and against what may arrive in a batch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from securefl.errors import ConfigError
from securefl.training import clipping, positions
from securefl.training.clipping import ClippedSum, clipped_sum, ghost, materialised
from securefl.training.flat import set_vector, trainable
from securefl.training.models import build_model
from securefl.training.shapes import ModelSpec

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")

LINEAR = (ModelSpec("linear"), (5,))
MLP = (ModelSpec("mlp", hidden=(4, 3)), (5,))
CNN = (ModelSpec("cnn", channels=(2, 3), hidden=(3,)), (2, 8, 8))
Way = Callable[[nn.Module, float], ClippedSum]
CASES = [(way, case) for way in (ghost, materialised) for case in (LINEAR, MLP, CNN)]
NAMES = [f"{way.__name__} {case[0].kind}" for way, case in CASES]
every_way = pytest.mark.parametrize(("way", "case"), CASES, ids=NAMES)


def batch(shape: tuple[int, ...], size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn((size, *shape), generator=generator) * 3
    return features, torch.randint(0, 3, (size,), generator=generator)


def brute_force(module: nn.Module, features: torch.Tensor, labels: torch.Tensor, clip: float) -> np.ndarray:
    total = np.zeros(sum(parameter.numel() for _, parameter in trainable(module)))
    for i in range(len(labels)):
        loss = nn.functional.cross_entropy(module(features[i : i + 1]), labels[i : i + 1])
        pieces = torch.autograd.grad(loss, [parameter for _, parameter in trainable(module)])
        gradient = torch.cat([piece.reshape(-1) for piece in pieces]).double().numpy()
        total += gradient * min(1.0, clip / np.linalg.norm(gradient))
    return total


@every_way
@pytest.mark.parametrize("clip", [0.05, 1.0, 1e6])
def test_the_sum_is_that_of_gradients_clipped_one_by_one(
    way: Way, case: tuple[ModelSpec, tuple[int, ...]], clip: float
) -> None:
    spec, shape = case
    features, labels = batch(shape, 9)
    expected = brute_force(build_model(spec, shape, 3, seed=4), features, labels, clip)
    got = way(build_model(spec, shape, 3, seed=4), clip)(features, labels)
    # Opacus divides by the norm + 1e-6; float32 rounding of nine summands adds a few 1e-7.
    assert np.allclose(got.numpy(), expected, rtol=2e-4, atol=1e-5)


@every_way
def test_the_order_is_that_of_the_flat_vector_and_calls_are_independent(
    way: Way, case: tuple[ModelSpec, tuple[int, ...]]
) -> None:
    spec, shape = case
    module = build_model(spec, shape, 3, seed=4)
    total = way(module, 1.0)
    first = total(*batch(shape, 4))
    total(*batch(shape, 7, seed=9))
    assert torch.equal(first, total(*batch(shape, 4)))
    assert len(first) == sum(parameter.numel() for _, parameter in trainable(module))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([ghost, materialised]), st.integers(1, 6), st.floats(1e-3, 1e3), st.integers(0, 9999))
def test_one_example_more_changes_the_sum_by_at_most_the_clip(
    way: Way, size: int, scale: float, seed: int
) -> None:
    spec, shape = MLP
    features, labels = batch(shape, size + 1, seed)
    total = way(build_model(spec, shape, 3, seed), 0.7)
    sums = [total(features[:n] * scale, labels[:n]).double().numpy() for n in (size, size + 1)]
    assert np.linalg.norm(sums[1] - sums[0]) <= 0.7 * (1 + 1e-5)


def test_chunks_give_the_sum_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, shape = CNN
    features, labels = batch(shape, 11)
    whole = materialised(build_model(spec, shape, 3, seed=4), 0.5)(features, labels)
    monkeypatch.setattr(clipping, "CHUNK_VALUES", 4 * len(whole))
    monkeypatch.setattr(positions, "CHUNK_VALUES", 3000)
    for way in (materialised, ghost):
        chunked = way(build_model(spec, shape, 3, seed=4), 0.5)(features, labels)
        assert torch.allclose(chunked, whole, rtol=1e-4, atol=1e-5)


@every_way
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_an_example_without_finite_gradient_counts_as_zero_and_the_others_stay(
    way: Way, case: tuple[ModelSpec, tuple[int, ...]], bad: float
) -> None:
    spec, shape = case
    features, labels = batch(shape, 6)
    total = way(build_model(spec, shape, 3, seed=4), 0.5)
    others = torch.tensor([0, 1, 3, 4, 5])
    expected = total(features[others], labels[others])
    features[2].view(-1)[1] = bad
    assert torch.allclose(total(features, labels), expected, atol=1e-6)
    features[:] = float("nan")
    assert not total(features, labels).any()


@every_way
def test_a_model_so_large_that_gradients_overflow_gives_a_finite_sum_within_the_clips(
    way: Way, case: tuple[ModelSpec, tuple[int, ...]]
) -> None:
    spec, shape = case
    total = way(module := build_model(spec, shape, 3, 4), 0.5)
    dim = sum(parameter.numel() for parameter in module.parameters())
    set_vector(module, np.linspace(-1e30, 1e30, dim, dtype=np.float32))
    features, labels = batch(shape, 6)
    found = total(features * 1e8, labels)
    assert torch.isfinite(found).all()
    assert found.norm() <= 6 * 0.5 * (1 + 1e-5)


@every_way
def test_an_empty_batch_sums_to_zero_whatever_came_before(
    way: Way, case: tuple[ModelSpec, tuple[int, ...]]
) -> None:
    spec, shape = case
    total = way(build_model(spec, shape, 3, seed=4), 1.0)
    total(*batch(shape, 4))
    assert not total(*batch(shape, 0)).any()


@pytest.mark.parametrize("way", [ghost, materialised])
def test_frozen_layers_take_no_part_in_the_norm(way: Way) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    module[1].requires_grad_(False)
    features, labels = batch((5,), 4)
    expected = brute_force(module, features, labels, 0.3)
    assert len(expected) == 15
    assert np.allclose(way(module, 0.3)(features, labels).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reuse", ["layer", "weight"])
def test_a_parameter_used_twice_is_clipped_by_its_whole_gradient(reuse: str) -> None:
    layer, twin = nn.Linear(5, 5), nn.Linear(5, 5)
    twin.weight = layer.weight
    second = layer if reuse == "layer" else twin
    module = nn.Sequential(nn.Flatten(), layer, nn.Tanh(), second, nn.Tanh(), nn.Linear(5, 3))
    features, labels = batch((5,), 6)
    expected = brute_force(module, features, labels, 0.3)
    got = clipped_sum(module, 0.3)(features, labels)
    assert np.allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_parameter_outside_the_output_is_refused_by_name() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(5, 3), nn.Linear(5, 3)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return self.used(features)

    with pytest.raises(ConfigError, match=r"idle\.weight"):
        clipped_sum(Lazy(), 1.0)(*batch((5,), 2))


def test_a_layer_with_buffers_of_its_own_is_refused() -> None:
    class Counting(nn.Linear):
        def __init__(self) -> None:
            super().__init__(5, 3)
            self.register_buffer("calls", torch.zeros(1))

    with pytest.raises(ConfigError, match="Opacus"):
        clipped_sum(Counting(), 1.0)
