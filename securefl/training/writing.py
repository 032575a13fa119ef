"""A trained language model as folders that transformers and peft read by themselves.

Rules kept here:
- What is written is plain: a core of `fed_sb` has become part of its A, so that no code of ours is needed to
  load.
- The process's base is left as it is: merging happens in a copy.

What this file does NOT do: the model card (`securefl.export`).
"""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from securefl.errors import ConfigError
from securefl.training.adapters import as_plain_lora, merged, save_adapter
from securefl.training.pooling import MeanPooled
from securefl.training.tiny_llama import NAME, save_tiny_llama
from securefl.training.tokens import model_tokens
from securefl.training.transformer import Language


def write_adapter(module: nn.Module, folder: Path, base: str) -> None:
    """Writes adapter_model.safetensors and adapter_config.json; of the built-in base, the base beside them.

    Raises:
        ConfigError: the module has no adapters.
    """
    model = _language(module)
    if not hasattr(model.model, "peft_config"):
        raise ConfigError(
            "expected a run with adapters, got one that trained the whole model; add --merge to write that",
            "model.lora",
        )
    if base == NAME:
        base = str(save_tiny_llama(folder / "base").resolve())
    plain = _shallow(model)
    as_plain_lora(plain.model)
    save_adapter(plain.model, folder, base)


def write_merged(module: nn.Module, folder: Path, base: str, gguf_file: str | None) -> None:
    """Writes the whole model with its adapters added to the weights, and its tokenizer."""
    whole = copy.deepcopy(_language(module)).model
    if any(isinstance(part, MeanPooled) for part in whole.modules()):
        raise ConfigError(
            "expected a model that transformers has a class for, got a classifier of mean states; export "
            "the adapter",
            "model.pooling",
        )
    if hasattr(whole, "peft_config"):
        as_plain_lora(whole)
        whole = merged(whole)
    whole.save_pretrained(folder)  # type: ignore[operator] # every model of transformers has it
    model_tokens(base, gguf_file, 2).tokenizer.save_pretrained(folder)


def _language(module: nn.Module) -> Language:
    if not isinstance(module, Language):
        raise ConfigError(
            "expected a run of a language model, got another model, which model.safetensors holds already",
            "model.kind",
        )
    return module


def _shallow(module: Language) -> Language:
    """A copy that shares what is frozen."""
    return copy.deepcopy(module, {id(each): each for each in module.parameters() if not each.requires_grad})
