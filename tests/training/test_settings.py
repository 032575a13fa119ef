from dataclasses import replace

import pytest

from securefl.errors import ConfigError
from securefl.training.settings import LocalSettings

SOUND = LocalSettings(steps=5, learning_rate=0.5, sample_rate=0.2, expected_batch=24)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"steps": 0}, "training.local_steps"),
        ({"learning_rate": 0.0}, "training.learning_rate"),
        ({"learning_rate": float("nan")}, "training.learning_rate"),
        ({"sample_rate": 0.0}, "training.sample_rate"),
        ({"sample_rate": 1.1}, "training.sample_rate"),
        ({"expected_batch": 0}, "training.expected_batch"),
        ({"momentum": 1.0}, "training.momentum"),
        ({"proximal": -0.1}, "training.proximal"),
        ({"clip_norm": 0.0, "noise_multiplier": 1.0}, "privacy.clip_norm"),
        ({"clip_norm": 1.0, "noise_multiplier": 0.0}, "privacy.noise_multiplier"),
        ({"clip_norm": 1.0, "noise_multiplier": float("inf")}, "privacy.noise_multiplier"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_path(change: dict[str, float], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(SOUND, **change)
    assert caught.value.path == path


@pytest.mark.parametrize("half", [{"clip_norm": 1.0}, {"noise_multiplier": 1.0}])
def test_clip_without_noise_or_noise_without_clip_is_refused(half: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="give both or neither"):
        replace(SOUND, **half)


def test_settings_are_private_exactly_when_they_clip_and_noise() -> None:
    assert not SOUND.private
    assert replace(SOUND, clip_norm=1.0, noise_multiplier=0.8).private
