"""Which modules are turned away before they see an example."""

import pytest
import torch
from torch import nn

from securefl.errors import ConfigError
from securefl.training.admission import check_examples_apart, check_module


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4, affine=False),
        nn.BatchNorm1d(4, affine=False, track_running_stats=False),
        nn.BatchNorm1d(4).requires_grad_(False),
        nn.InstanceNorm1d(4, track_running_stats=True),
    ],
    ids=["plain", "no weights", "no statistics", "frozen", "running instance norm"],
)
def test_every_kind_of_batch_norm_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ConfigError, match="GroupNorm") as caught:
        check_module(nn.Sequential(nn.Linear(5, 4), layer, nn.Linear(4, 3)))
    assert caught.value.path == "model"


def test_layers_that_opacus_cannot_train_are_refused() -> None:
    with pytest.raises(ConfigError, match="Opacus"):
        check_module(nn.Sequential(nn.LSTM(5, 3)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_that_are_not_float32_are_refused_for_what_they_are(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3).to(dtype))
    with pytest.raises(
        ConfigError, match=rf"model: expected float32 weights, got {dtype} in '1.weight'; call"
    ):
        check_module(module)


def adapter(**attributes: object) -> nn.Module:
    layer = nn.Linear(5, 3)
    for name, value in attributes.items():
        setattr(layer, name, value)
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (
            adapter(lora_embedding_A=nn.ParameterDict({"default": nn.Parameter(torch.zeros(2, 4))})),
            "got LoRA on an embedding in layer '1'; adapt linear layers only",
        ),
        (
            adapter(lora_magnitude_vector=nn.ModuleDict({"default": nn.Linear(1, 1)})),
            "got DoRA in layer '1'; set use_dora=False",
        ),
        (adapter(gradient_checkpointing=True), "got gradient checkpointing in layer '1'"),
    ],
)
def test_adapters_without_gradients_per_example_are_refused_by_name(module: nn.Module, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        check_module(module)
    assert caught.value.path == "model"


def test_the_empty_places_that_plain_lora_leaves_for_them_are_fine() -> None:
    check_module(
        adapter(
            lora_embedding_A=nn.ParameterDict(),
            lora_magnitude_vector=nn.ModuleDict(),
            gradient_checkpointing=False,
        )
    )


def test_a_module_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(ConfigError, match="trainable"):
        check_module(nn.Linear(5, 3).requires_grad_(False))


def test_a_hand_written_layer_that_mixes_examples_is_found_by_the_probe() -> None:
    class Centre(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features - features.mean(0)

    check_module(mixing := nn.Sequential(Centre(), nn.Linear(5, 3)))
    with pytest.raises(ConfigError, match="depends on the others"):
        check_examples_apart(mixing, (5,))


def test_the_probe_accepts_dropout_and_group_norm_and_leaves_torchs_generator_alone() -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.GroupNorm(2, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    state = torch.get_rng_state()
    check_examples_apart(module, (5,))
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_for_other_examples_is_refused_with_the_shape() -> None:
    with pytest.raises(ConfigError, match=r"shape \(6,\)"):
        check_examples_apart(nn.Linear(5, 3), (6,))
    with pytest.raises(ConfigError, match="logits"):
        check_examples_apart(nn.Linear(5, 3), (2, 5))
