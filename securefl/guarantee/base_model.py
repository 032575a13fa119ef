"""Which language model a run builds on, for the card, the manifest and whoever goes on with the run.

What this file does NOT do: read the model (`securefl.training`).
"""

from __future__ import annotations

from securefl.config import Config
from securefl.training.lora import place_of


def base_hash(config: Config) -> str | None:
    """What names the language model that a run builds on, SHA-256 in hex.

    None for other models, and where this machine has no weights of it.
    """
    if config.model.kind != "transformer":
        return None
    from securefl.training import fingerprint_of

    return fingerprint_of(place_of(str(config.model.path)), config.model.gguf_file)
