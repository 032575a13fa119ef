import subprocess
import sys

import pytest

from securefl.errors import ConfigError
from securefl.training.flat import get_vector
from securefl.training.models import build_model
from securefl.training.shapes import ModelSpec, parameter_count


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (ModelSpec("linear"), (64,)),
        (ModelSpec("linear"), (8, 8)),
        (ModelSpec("mlp", hidden=(100,)), (28, 28)),
        (ModelSpec("mlp", hidden=(20, 7)), (13,)),
        (ModelSpec("cnn", channels=(4,)), (8, 8)),
        (ModelSpec("cnn", channels=(3, 5), hidden=(11,)), (1, 28, 28)),
        (ModelSpec("cnn", channels=(2, 4)), (3, 9, 13)),
    ],
)
def test_the_count_without_torch_is_the_length_of_the_vector_with_torch(
    spec: ModelSpec, shape: tuple[int, ...]
) -> None:
    assert parameter_count(spec, shape, 10) == len(get_vector(build_model(spec, shape, 10, seed=0)))


@pytest.mark.parametrize(
    ("kind", "hidden", "channels", "path"),
    [
        ("transformer", (), (), "model.kind"),
        ("linear", (3,), (), "model.hidden"),
        ("mlp", (), (), "model.hidden"),
        ("mlp", (0,), (), "model.hidden"),
        ("mlp", (3,), (4,), "model.channels"),
        ("cnn", (), (), "model.channels"),
        ("cnn", (), (-1,), "model.channels"),
    ],
)
def test_a_model_that_cannot_be_is_refused_with_its_path(
    kind: str, hidden: tuple[int, ...], channels: tuple[int, ...], path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelSpec(kind, hidden, channels)
    assert caught.value.path == path


def test_a_cnn_on_a_table_of_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match="use linear or mlp"):
        parameter_count(ModelSpec("cnn", channels=(4,)), (64,), 10)


def test_more_halvings_than_the_image_bears_are_refused() -> None:
    with pytest.raises(ConfigError, match="name fewer channels"):
        parameter_count(ModelSpec("cnn", channels=(4, 4, 4, 4)), (8, 8), 10)


def test_one_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 classes"):
        parameter_count(ModelSpec("linear"), (64,), 1)


def test_shapes_and_settings_load_without_torch() -> None:
    code = (
        "import sys, securefl.training.shapes, securefl.training.settings, securefl.training as training\n"
        "assert 'torch' not in sys.modules, 'torch came along'\n"
        "training.build_model\n"
        "assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_too_large_for_a_simulation_is_refused_with_its_size() -> None:
    with pytest.raises(ConfigError, match=r"model: expected at most 100,000,000 parameters, got 4,29\d,"):
        parameter_count(ModelSpec("mlp", hidden=(65_536, 65_536)), (64,), 10)
