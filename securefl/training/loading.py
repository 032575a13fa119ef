"""The one door to models that somebody else made: shapes and weights, and nothing that could run.

Rules kept here:
- Code that comes with a model is never run, and weights are read from safetensors or GGUF alone, never
  unpickled.
- An adapter is no model: it names its base in a file, and another base may lie there tomorrow.
- A folder is read where it lies; nothing is asked of a hub for it.
- Whatever transformers raises for foreign files becomes one error with the path.

What this file does NOT do: tokenizers (`tokens`), adapters (`adapters`), or what trains (`transformer`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.auto_factory import _BaseAutoModelClass

from securefl.errors import ConfigError
from securefl.training.tiny_llama import NAME

transformers.logging.set_verbosity_error()  # a new head is meant to be new
transformers.logging.disable_progress_bar()

KINDS: dict[str, type[_BaseAutoModelClass]] = {
    "encoder": AutoModel,
    "causal_lm": AutoModelForCausalLM,
    "sequence_classification": AutoModelForSequenceClassification,
}
"""What a model is read as."""


def read_shape(path: str, gguf_file: str | None, labels: dict[str, int]) -> PreTrainedConfig:
    """A model's config; no weights are read.

    Raises:
        ConfigError: no such model.
    """
    with _loading(path):
        gguf = {} if gguf_file is None else {"gguf_file": gguf_file}
        found: PreTrainedConfig = AutoConfig.from_pretrained(path, trust_remote_code=False, **gguf, **labels)
    return found


def read_model(
    kind: str, path: str, gguf_file: str | None, dtype: torch.dtype, labels: dict[str, int]
) -> tuple[PreTrainedModel, list[str]]:
    """A model as one of `KINDS`, and the names of weights that its files lack, which are drawn at random.

    Raises:
        ConfigError: no such model, one that needs code of its own, a damaged one, or an adapter.
    """
    local = {"local_files_only": True} if Path(path).is_dir() else {}
    weights = {"use_safetensors": True} if gguf_file is None else {"gguf_file": gguf_file}
    with _loading(path):
        model, report = KINDS[kind].from_pretrained(
            path,
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
            **local,
            **weights,
            **labels,
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ConfigError(
            f"expected a model with all its weights, got the adapter {path!r}, which goes on another model; "
            "merge it (`securefl export --merge`) or name its base",
            "model.path",
        )
    return model, sorted(report["missing_keys"])


@contextmanager
def _loading(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as cause:  # transformers raises many types for foreign files
        raise ConfigError(
            f"expected a folder with a transformers model, a hub id, or {NAME}, got {path!r} "
            f"({str(cause)[:200]}); remote code is never run and weights are safetensors or GGUF",
            "model.path",
        ) from cause
