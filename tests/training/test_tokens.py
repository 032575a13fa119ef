"""Conversations as the model's chat template writes them, and which of their tokens are learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.data import NONE
from securefl.data.answers import Answered
from securefl.errors import ConfigError, DataError

pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl.training.tiny_llama import tiny_tokenizer
from securefl.training.tokens import ModelTokens, model_tokens

TALK = Answered((("system", "be brief"), ("user", "hi")), "yes")
WRITTEN = "<|begin|>system\nbe brief<|end|><|begin|>user\nhi<|end|><|begin|>assistant\n"


def shown(tokens: ModelTokens, one: Answered) -> tuple[str, str]:
    ids, labels = (each[0].astype(int).tolist() for each in tokens.answers([one]))
    assert all(label in (NONE, token) for label, token in zip(labels, ids, strict=True))
    whole, learned = (tokens.tokenizer.decode([t for t in row if t != NONE]) for row in (ids, labels))
    return whole, learned


def test_the_chat_template_is_respected_and_only_the_answer_with_its_end_is_learned() -> None:
    assert shown(ModelTokens(tiny_tokenizer(), 80), TALK) == (f"{WRITTEN}yes<|end|>", "yes<|end|>")


def test_without_a_template_contents_stand_one_a_line() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    assert shown(ModelTokens(tokenizer, 80), TALK) == ("<|begin|>be brief\nhi\nyes<|end|>", "yes<|end|>")


def test_a_long_prompt_loses_its_beginning_and_a_long_answer_its_end() -> None:
    # 1 mark, 10 bytes of "assistant" and its line's end, 3 of "yes", 1 mark.
    assert shown(ModelTokens(tiny_tokenizer(), 15), TALK) == ("<|begin|>assistant\nyes<|end|>", "yes<|end|>")
    whole, learned = shown(ModelTokens(tiny_tokenizer(), 4), TALK)
    assert (whole, learned) == ("\nyes", "yes")


def test_a_template_that_rewrites_an_answered_prompt_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages|length }}{% if add_generation_prompt %}?{% endif %}"
    with pytest.raises(DataError, match="expected a chat template that writes an answer after its prompt"):
        ModelTokens(tokenizer, 80).answers([TALK])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.path: expected a model with its tokenizer"):
        model_tokens(str(tmp_path), None, 8)
