"""A causal language model of transformers in a local folder, with a peft adapter or without, as a `Generate`.

Rules kept here:
- Only local files, only safetensors, no remote code, whatever the folder's own config asks for.
- What the model says is held to the grammar of its tools token by token (`decoder`); `replies` does not,
  because an exam wants to see what the model says by itself.

What this file does NOT do: train or download; sample (the best token is always taken).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from securefl.agent.decoder import Decoder, Scores, decode
from securefl.agent.models.chat import prompt_tokens, vocabulary
from securefl.agent.turn import Generate
from securefl.calls import Message, Tool
from securefl.errors import DataError, LimitReached

BUDGET = 160
_ADAPTER = "adapter_model.safetensors"
_CACHE = "cache" if "cache" in signature(LlamaForCausalLM.forward).parameters else "past_key_values"
"""How this version of transformers calls what a model has read so far."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(folder: Path, adapter: Path | None = None) -> LanguageModel:
    """Reads a model.

    Args:
        folder: config.json, model.safetensors and the tokenizer, as `save_pretrained` writes them.
        adapter: a folder that peft's `save_pretrained` wrote.

    Raises:
        DataError: no causal language model, one that needs code of its own, or a damaged one.
    """
    _check(folder, adapter)
    logging.disable_progress_bar()
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        model = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **safe
        )
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter)
    except Exception as error:  # transformers and peft raise many types for foreign files
        raise DataError(
            f"{folder}: expected a model that transformers loads without code of its own, got {error}"
        ) from error
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"{folder}: expected a tokenizer that names the end of a text, got one without eos_token"
        )
    return LanguageModel(model.eval(), tokenizer)


def generator(language_model: LanguageModel, tools: Sequence[Tool], budget: int = BUDGET) -> Generate:
    """The model as an agent uses it: every reply is a valid call of these tools or an answer.

    Raises:
        ConfigError: a tokenizer that cannot spell the tools' calls.
    """
    model, tokenizer = language_model.model, language_model.tokenizer
    words = vocabulary(tokenizer, model.config.vocab_size)
    guide = Decoder(tuple(tools), words, tokenizer.eos_token_id, budget)

    def generate(messages: Sequence[Message]) -> str:
        prompt = prompt_tokens(tokenizer, messages)
        most = model.config.max_position_embeddings
        if len(prompt) + budget > most:
            raise LimitReached(
                f"expected at most {most - budget} tokens of conversation, got {len(prompt)}; begin a new one"
            )
        return decode(guide, _Scorer(model, prompt))

    return generate


def replies(
    language_model: LanguageModel, prompts: Sequence[Sequence[Message]], budget: int = BUDGET, batch: int = 16
) -> list[str]:
    """What the model says by itself to each prompt: the best token each time, held to no grammar."""
    model, tokenizer = language_model.model, language_model.tokenizer
    found: list[str] = []
    for begin in range(0, len(prompts), batch):
        rows = [prompt_tokens(tokenizer, prompt) for prompt in prompts[begin : begin + batch]]
        longest = max(len(row) for row in rows)
        padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        tokens = torch.tensor([[padding] * (longest - len(row)) + row for row in rows])
        real = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            said = model.generate(
                input_ids=tokens,
                attention_mask=real,
                max_new_tokens=budget,
                do_sample=False,
                use_cache=True,  # a model that is trained has it off
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=padding,
            )
        found += tokenizer.batch_decode(said[:, longest:], skip_special_tokens=True)
    return found


class _Scorer:
    """The scores of the next token; what was read before is kept, so each token is read once."""

    def __init__(self, model: PreTrainedModel, prompt: Sequence[int]) -> None:
        self._model, self._prompt = model, list(prompt)
        self._read = {_CACHE: DynamicCache()}

    def __call__(self, chosen: Sequence[int]) -> Scores:
        fresh = [chosen[-1]] if chosen else self._prompt
        with torch.inference_mode():
            logits = self._model(torch.tensor([fresh]), use_cache=True, **self._read).logits
        scores: Scores = np.asarray(logits[0, -1].float().numpy())
        return scores


def _check(folder: Path, adapter: Path | None) -> None:
    try:
        config: object = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        run = (
            " (a run of securefl whose model is a classifier)" if (folder / "manifest.json").is_file() else ""
        )
        raise DataError(
            f"{folder}: expected a folder with a causal language model of transformers, got none{run}; name "
            "a folder that save_pretrained wrote"
        ) from None
    kinds = config.get("architectures") if isinstance(config, dict) else None
    if not isinstance(kinds, list) or not any(str(kind).endswith("ForCausalLM") for kind in kinds):
        raise DataError(f"{folder}: expected a model of kind ...ForCausalLM, got {kinds}; name another")
    if adapter is not None and not (adapter / _ADAPTER).is_file():
        raise DataError(f"{adapter}: expected a peft adapter with {_ADAPTER}, got none; name its folder")
