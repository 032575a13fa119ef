"""What a config names: its data, whose lives they are, and how its language model reads texts.

What this file does NOT do: divide the data among clients (`securefl.guarantee.settle`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from securefl.config import Config
from securefl.data import Dataset, load
from securefl.data.dialogues import Lives
from securefl.training.lora import place_of

if TYPE_CHECKING:
    from securefl.training.tokens import ModelTokens


def load_dataset(config: Config) -> Dataset:
    """The data that the config names."""
    data = config.data
    return load(
        data.kind,
        path=None if data.path is None else Path(data.path),
        label=data.label,
        client=data.client,
        roles=data.roles,
        test_fraction=data.test_fraction,
        seed=config.seed,
        tokenize=tokenizer_of(config),
        lives=lives_of(config),
    )


def lives_of(config: Config) -> Lives | None:
    """Whose dialogues the config asks for; None with other data."""
    data = config.data
    if data.domain is None or data.train_per_client is None or data.test_per_client is None:
        return None
    return Lives(data.domain, config.clients, data.train_per_client, data.test_per_client)


def tokenizer_of(config: Config) -> ModelTokens | None:
    """How the config's language model reads texts; None for other models."""
    if config.model.kind != "transformer":
        return None
    from securefl.training import model_tokens

    return model_tokens(place_of(str(config.model.path)), config.model.gguf_file, config.model.max_tokens)
