"""Language models of transformers: one base in memory, tokens in, logits out.

Rules kept here:
- Code that comes with a model is never run, and weights are read from safetensors or GGUF alone, never
  unpickled.
- One base per process: modules share its weights, and nothing writes them.
- Which examples share a batch does not matter: padding is masked.

What this file does NOT do: make adapters (`adapters`), or tokens (`tokens`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import torch
import transformers
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.auto_factory import _BaseAutoModelClass

from securefl.data.examples import NONE
from securefl.errors import ConfigError
from securefl.training.adapters import adapted, turns_of
from securefl.training.flat import trainable
from securefl.training.lora import TransformerSpec
from securefl.training.pooling import MeanPooled
from securefl.training.tiny_llama import NAME, tiny_config
from securefl.training.turns import Turns

transformers.logging.set_verbosity_error()  # a new head is meant to be new
transformers.logging.disable_progress_bar()

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_HEADS = ("score", "classifier", "pre_classifier")
"""What peft saves beside an adapter of a classifier, so that it may be new."""
Base: TypeAlias = "PreTrainedModel | MeanPooled"
_AUTO = {
    "causal_lm": AutoModelForCausalLM,
    "sequence_classification": AutoModelForSequenceClassification,
}


class Language(nn.Module):
    """Token ids as `Examples` hold them to logits in float32."""

    def __init__(self, model: nn.Module, padding: int) -> None:
        super().__init__()
        self.model = model
        self._padding = padding

    def forward(self, tokens: Tensor) -> Tensor:
        """Shapes: (n, positions) -> (n, positions, vocabulary) or (n, classes)."""
        ids = tokens.long()
        there = ids != NONE
        logits: Tensor = self.model(
            input_ids=torch.where(there, ids, self._padding), attention_mask=there.long()
        ).logits
        return logits.float()


def build_transformer(spec: TransformerSpec, classes: int, seed: int) -> Language:
    """A module of its own on the process's base; equal arguments give equal weights.

    Raises:
        ConfigError: no such model, or one that cannot have what the spec asks for.
    """
    base = _base(replace(spec, lora=None), classes, seed)
    return _module(spec, base, seed)


def mean_pooled_base(path: str, classes: int, seed: int) -> nn.Module:
    """The base that an exported adapter with `pooling: mean` is put on, by PeftModel.from_pretrained.

    Raises:
        ConfigError: no such model.
    """
    spec = TransformerSpec(path, task="sequence_classification", pooling="mean")
    return copy.deepcopy(_base(spec, classes, seed))


@lru_cache(maxsize=4)
def layout(spec: TransformerSpec, classes: int) -> tuple[int, Turns | None]:
    """Parameters that train, and who trains when, from the model's config alone: no weights are read."""
    with torch.device("meta"):
        module = _module(spec, _blank(_shape(spec, classes), spec), 0)
    turns = None if spec.lora is None else turns_of(module, spec.lora)
    return sum(parameter.numel() for _, parameter in trainable(module)), turns


def _module(spec: TransformerSpec, base: Base, seed: int) -> Language:
    padding = base.config.pad_token_id
    if spec.lora is None:
        return Language(copy.deepcopy(base).requires_grad_(True), padding)
    shared = copy.deepcopy(base, {id(each): each for each in base.parameters()})
    return Language(adapted(shared, spec.lora, spec.task, seed), padding)


@lru_cache(maxsize=1)
def _base(spec: TransformerSpec, classes: int, seed: int) -> Base:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if spec.path == NAME else seed)
        if spec.path == NAME:
            return _blank(_shape(spec, classes), spec)
        with _loading(spec.path):
            model, report = _auto(spec).from_pretrained(
                spec.path,
                dtype=_DTYPES[spec.dtype],
                trust_remote_code=False,
                output_loading_info=True,
                **_source(spec.path, spec.gguf_file),
                **_labels(spec, classes),
            )
        missing = [name for name in report["missing_keys"] if name.split(".")[0] not in _HEADS]
        if missing and spec.pooling != "mean":
            raise ConfigError(
                f"expected all weights but a new head's, got none for {', '.join(sorted(missing)[:3])}; "
                "drawn at random they would be in no exported adapter. Use a model that has them, or "
                "`pooling: mean`",
                "model.path",
            )
        return _ready(model, spec, classes)


def _blank(config: PreTrainedConfig, spec: TransformerSpec) -> Base:
    blank: PreTrainedModel = _auto(spec).from_config(
        config, dtype=_DTYPES[spec.dtype], trust_remote_code=False
    )
    return _ready(blank, spec, int(config.num_labels or 0))


def _auto(spec: TransformerSpec) -> type[_BaseAutoModelClass]:
    chosen: type[_BaseAutoModelClass] = AutoModel if spec.pooling == "mean" else _AUTO[spec.task]
    return chosen


def _labels(spec: TransformerSpec, classes: int) -> dict[str, int]:
    return {"num_labels": classes} if spec.task == "sequence_classification" else {}


def _shape(spec: TransformerSpec, classes: int) -> PreTrainedConfig:
    labels = _labels(spec, classes)
    if spec.path == NAME:
        config = tiny_config()
        for key, value in labels.items():
            setattr(config, key, value)
        return config
    with _loading(spec.path):
        gguf = {} if spec.gguf_file is None else {"gguf_file": spec.gguf_file}
        found: PreTrainedConfig = AutoConfig.from_pretrained(
            spec.path, trust_remote_code=False, **gguf, **labels
        )
    return found


def _ready(model: PreTrainedModel, spec: TransformerSpec, classes: int) -> Base:
    model.config.use_cache = False
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    whole: Base = MeanPooled(model, classes) if spec.pooling == "mean" else model
    whole.requires_grad_(False)
    return whole


def _source(path: str, gguf_file: str | None) -> dict[str, object]:
    local = {"local_files_only": True} if Path(path).is_dir() else {}
    return local | ({"use_safetensors": True} if gguf_file is None else {"gguf_file": gguf_file})


@contextmanager
def _loading(path: str) -> Iterator[None]:
    """Whatever transformers raises for a model that is not there becomes one error with the path."""
    try:
        yield
    except Exception as cause:  # transformers raises many types for foreign files
        raise ConfigError(
            f"expected a folder with a transformers model, a hub id, or {NAME}, got {path!r} "
            f"({str(cause)[:200]}); remote code is never run and weights are safetensors or GGUF",
            "model.path",
        ) from cause
