"""Language models of transformers: one base in memory, tokens in, logits out.

Rules kept here:
- One base per process: modules share its weights, and nothing writes them.
- Which examples share a batch does not matter: padding is masked.
- A classifier that looks for a text's last token finds it by the id of the padding, so that id is one that
  ends texts anyway.

What this file does NOT do: read foreign files (`loading`), make adapters (`adapters`), or tokens (`tokens`).
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from securefl.data.examples import NONE
from securefl.errors import ConfigError
from securefl.training.adapters import adapted, turns_of
from securefl.training.flat import trainable
from securefl.training.loading import KINDS, read_model, read_shape
from securefl.training.lora import TransformerSpec
from securefl.training.pooling import MeanPooled
from securefl.training.tiny_llama import NAME, tiny_config
from securefl.training.turns import Turns

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_HEADS = ("score", "classifier", "pre_classifier")
"""What peft saves beside an adapter of a classifier, so that it may be new."""
Base: TypeAlias = "PreTrainedModel | MeanPooled"


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


def checkpointed(module: nn.Module) -> None:
    """From now on the module's layers run again on the way back, in place of keeping what they saw.

    Raises:
        ConfigError: no language model, or one that cannot.
    """
    models = [each for each in module.modules() if isinstance(each, PreTrainedModel)]
    try:
        for model in models[:1]:  # the whole one comes first
            # Newer versions of transformers call it by the first name.
            enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
            enable({"use_reentrant": False})
    except ValueError as cause:
        raise ConfigError(
            f"expected a model whose layers can run again, got one that cannot ({cause}); remove the key",
            "training.gradient_checkpointing",
        ) from cause
    if not models:
        raise ConfigError(
            "expected a language model with it, got another one; remove the key",
            "training.gradient_checkpointing",
        )


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
        model, lacking = read_model(
            _kind(spec), spec.path, spec.gguf_file, _DTYPES[spec.dtype], _labels(spec, classes)
        )
        missing = [name for name in lacking if name.split(".")[0] not in _HEADS]
        if missing and spec.pooling != "mean":
            raise ConfigError(
                f"expected all weights but a new head's, got none for {', '.join(missing[:3])}; drawn at "
                "random they would be in no exported adapter. Use a model that has them, or `pooling: mean`",
                "model.path",
            )
        return _ready(model, spec, classes)


def _blank(config: PreTrainedConfig, spec: TransformerSpec) -> Base:
    blank: PreTrainedModel = KINDS[_kind(spec)].from_config(
        config, dtype=_DTYPES[spec.dtype], trust_remote_code=False
    )
    return _ready(blank, spec, int(config.num_labels or 0))


def _kind(spec: TransformerSpec) -> str:
    return "encoder" if spec.pooling == "mean" else spec.task


def _labels(spec: TransformerSpec, classes: int) -> dict[str, int]:
    return {"num_labels": classes} if spec.task == "sequence_classification" else {}


def _shape(spec: TransformerSpec, classes: int) -> PreTrainedConfig:
    labels = _labels(spec, classes)
    if spec.path != NAME:
        return read_shape(spec.path, spec.gguf_file, labels)
    config = tiny_config()
    for key, value in labels.items():
        setattr(config, key, value)
    return config


def _ready(model: PreTrainedModel, spec: TransformerSpec, classes: int) -> Base:
    model.config.use_cache = False
    model.config.pad_token_id = _padding(model.config, spec)
    whole: Base = MeanPooled(model, classes) if spec.pooling == "mean" else model
    whole.requires_grad_(False)
    return whole


def _padding(config: PreTrainedConfig, spec: TransformerSpec) -> int:
    """The id that stands where a text has no token; attention never sees it."""
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    size = getattr(config.get_text_config(), "vocab_size", 0)
    for each in (config.pad_token_id, *ends):
        if each is not None and 0 <= each < size:
            return int(each)
    if spec.task == "sequence_classification" and spec.pooling != "mean":
        raise ConfigError(
            "expected a model that names its padding or the end of a text, got neither; a classifier finds a "
            "text's last token by it. Write `pooling: mean`, which needs none, or give config.json a "
            "pad_token_id that is no text's",
            "model.pooling",
        )
    return 0
