"""LoRA adapters by peft: which factor is frozen, which is trained, and when.

Rules kept here:
- What is frozen is equal at every client: it is drawn from the public seed.
- An adapter starts as the zero product, so that the first model is the base itself.
- `rolora` begins with B: while B is zero, A has no gradient. In `fedsa` that is the first step of all.

What this file does NOT do: load the base (`transformer`).

Reference: as in `lora`. Fed-SB begins with the singular vectors of first gradients, which cost data; here B
and A are random with orthonormal columns and rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from securefl.errors import ConfigError, DataError
from securefl.training.cross_term import CrossTerm, Factors
from securefl.training.flat import trainable
from securefl.training.lora import LoraSpec
from securefl.training.pooling import MeanPooled
from securefl.training.turns import Turns

ADAPTER = "default"
"""The name that peft gives an adapter."""
_ABSENT = {"rolora": (".lora_A.", ".lora_B."), "fedsa": (".lora_B.",)}
"""By method and turn, the factor that does not travel."""
_TASKS = {"causal_lm": TaskType.CAUSAL_LM, "sequence_classification": TaskType.SEQ_CLS}


class Core(nn.Module):
    """A frozen A and a trained core behind it, where peft expects A: the product stands for A's weight."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        rank = frozen.out_features
        self.frozen = frozen.requires_grad_(False)
        self.core = nn.Linear(rank, rank, bias=False, device=frozen.weight.device)
        nn.init.zeros_(self.core.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shapes: (..., fan_in) -> (..., rank)."""
        out: Tensor = self.core(self.frozen(inputs))
        return out

    @property
    def weight(self) -> Tensor:
        """The A of a plain LoRA with the same product. Shapes: (rank, fan_in)."""
        return self.core.weight @ self.frozen.weight


def adapted(base: PreTrainedModel | MeanPooled, spec: LoraSpec, task: str, seed: int) -> PeftModel:
    """The base with adapters in it. The base module is changed, its weights are not.

    Raises:
        ConfigError: a target that is no linear layer of the base.
    """
    settings = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        target_modules=list(spec.targets),
        task_type=None if isinstance(base, MeanPooled) else _TASKS[task],
        modules_to_save=["score"] if isinstance(base, MeanPooled) else None,
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft reads an attribute that transformers is about to rename
        torch.manual_seed(seed)
        try:
            model = get_peft_model(base, settings)
        except ValueError as cause:
            raise ConfigError(
                f"expected names of linear layers in the model, got {list(spec.targets)} "
                f"({str(cause)[:200]})",
                "model.lora.targets",
            ) from cause
        tied = base.get_input_embeddings().weight if isinstance(base, PreTrainedModel) else None
        for layer in _lora_layers(model):
            if layer.get_base_layer().weight is tied and tied is not None:
                raise ConfigError(
                    f"expected targets with weights of their own, got {list(spec.targets)}, one of which "
                    "shares its weight with the embeddings, so that a merged model would be another one",
                    "model.lora.targets",
                )
            _prepare(layer, spec.method)
    return model


def turns_of(module: nn.Module, spec: LoraSpec) -> Turns | None:
    """What travels in which round; None where everything trainable does in every round."""
    absent = _ABSENT.get(spec.method)
    if absent is None:
        return None
    places: tuple[list[int], ...] = tuple([] for _ in absent)
    end = 0
    for name, parameter in trainable(module):
        here = range(end, end := end + parameter.numel())
        for turn, other in enumerate(absent):
            if other not in name:
                places[turn].extend(here)
    return Turns(tuple(np.array(each, dtype=np.int64) for each in places), end)


def cross_term_of(module: nn.Module, spec: LoraSpec) -> CrossTerm:
    """The error of averaging both factors apart, for modules in which both train."""
    places, end = {}, 0
    for name, parameter in trainable(module):
        places[name] = slice(end, end := end + parameter.numel())
    firsts = [name for name in places if ".lora_A." in name]
    pairs = [(places[name], places[name.replace(".lora_A.", ".lora_B.")]) for name in firsts]
    return CrossTerm(tuple(Factors(a, b, spec.rank, spec.alpha / spec.rank) for a, b in pairs))


def products(module: nn.Module) -> dict[str, Tensor]:
    """By adapted layer, what its adapter adds to the weight: alpha / rank times B A."""
    return {
        name: _added(layer).detach().clone()
        for name, layer in module.named_modules()
        if isinstance(layer, LoraLayer)
    }


def as_plain_lora(model: nn.Module) -> None:
    """Makes every core part of its A, so that what is written is an adapter that peft itself knows."""
    for layer in _lora_layers(model):
        factor = layer.lora_A[ADAPTER]
        if isinstance(factor, Core):
            plain = factor.frozen
            with torch.no_grad():
                plain.weight = nn.Parameter(factor.weight.detach().clone())
            layer.lora_A[ADAPTER] = plain


def save_adapter(model: nn.Module, folder: Path, base: str) -> None:
    """Writes the adapter as peft has it, and the base's name with it."""
    assert isinstance(model, PeftModel)  # noqa: S101 - the caller has looked
    model.peft_config[ADAPTER].base_model_name_or_path = base
    # Embeddings never train here; to find out whether they did, peft would ask the hub.
    model.save_pretrained(str(folder), save_embedding_layers=False)


def with_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """The model with an adapter that peft's `save_pretrained` wrote; its weights are frozen.

    Assumes: the folder has adapter_model.safetensors, so that nothing is unpickled.

    Raises:
        DataError: it does not read, or belongs to another model.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            found: PeftModel = PeftModel.from_pretrained(model, folder)
    except Exception as cause:  # peft raises many types for foreign files
        raise DataError(
            f"{folder}: expected an adapter of this model, got none that fits it ({str(cause)[:200]}); name "
            "the model that it was trained on"
        ) from cause
    return found


def merged(model: nn.Module) -> nn.Module:
    """The base with the products added to its weights, in place."""
    assert isinstance(model, PeftModel)  # noqa: S101 - the caller has looked
    whole: nn.Module = model.merge_and_unload()
    return whole


def _added(layer: LoraLayer) -> Tensor:
    added: Tensor = layer.get_delta_weight(ADAPTER)
    return added


def _prepare(layer: LoraLayer, method: str) -> None:
    if ADAPTER not in layer.lora_A:
        raise ConfigError(
            "expected linear layers, got adapters of embeddings, which have no gradients per example; name "
            "others",
            "model.lora.targets",
        )
    first, second = layer.lora_A[ADAPTER], layer.lora_B[ADAPTER]
    if not isinstance(first, nn.Linear) or not isinstance(second, nn.Linear):
        raise ConfigError(
            f"expected linear layers, got adapters of {type(first).__name__}; name others",
            "model.lora.targets",
        )
    if method == "ffa":
        first.requires_grad_(False)
    if method == "fed_sb":
        for factor in (first, second):
            if not factor.weight.is_meta:
                nn.init.orthogonal_(factor.weight)
        second.requires_grad_(False)
        layer.lora_A[ADAPTER] = Core(first)


def _lora_layers(model: nn.Module) -> Iterator[LoraLayer]:
    # Listed first: a core put in A's place would be met on the way.
    yield from [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
