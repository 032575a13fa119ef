import numpy as np
import pytest
import torch

from securefl.training.flat import get_vector
from securefl.training.models import build_model
from securefl.training.shapes import ModelSpec

CNN = ModelSpec("cnn", channels=(3, 4), hidden=(6,))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (ModelSpec("linear"), (5,)),
        (ModelSpec("mlp", hidden=(4, 3)), (2, 3)),
        (CNN, (8, 8)),
        (CNN, (1, 8, 8)),
        (CNN, (3, 9, 8)),
    ],
)
def test_a_model_maps_examples_to_one_logit_per_class(spec: ModelSpec, shape: tuple[int, ...]) -> None:
    assert build_model(spec, shape, 7, seed=1)(torch.rand(2, *shape)).shape == (2, 7)


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (get_vector(build_model(CNN, (8, 8), 10, seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_building_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    build_model(CNN, (8, 8), 10, seed=1)
    assert torch.equal(before, torch.get_rng_state())
