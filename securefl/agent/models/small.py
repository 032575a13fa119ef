"""A small causal language model for tests and examples: a tokenizer of public dialogues and a tiny Llama.

Rules kept here:
- The tokenizer sees the public part of seed 0 only: no client's entity of that seed and nothing of a test
  part is in it. Under another seed a few clients' entities are words of the public part.
- Bytes are its alphabet, and each digit is a token, so every text can be said and codes can be copied.

What this file does NOT do: train the model. Its weights are random, from the public seed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from securefl.data.dialogues import DOMAINS, PUBLIC, dialogues

VOCABULARY = 1024
_TURNS = 1e5
_PAD, _END = "<|pad|>", "<|end|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
_PIECES = "[A-Z][a-z]?|(?<=[A-Z][a-z]|[A-Z][a-z]{3})[a-z]{2}|[a-z]+|[0-9]|[^A-Za-z0-9]+"
"""Letters, digits and the rest part, so that a word's tokens are the same wherever it stands."""
_SEED, _EACH, _PROMPTS = 0, 500, 50
_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def small_model(folder: Path, seed: int, hidden: int = 64, layers: int = 2, context: int = 512) -> Path:
    """Writes a tokenizer with chat template, a config and random weights, as `from_pretrained` reads them.

    Args:
        folder: where to.
        seed: the public seed of the weights; the tokenizer does not depend on it.
        hidden: width, a multiple of 4.
        layers: number of layers.
        context: the most tokens of a conversation.
    """
    tokenizer = small_tokenizer()
    config = small_config(hidden, layers, context)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def small_config(
    hidden: int, layers: int, context: int, heads: int = 4, head_width: int | None = None
) -> LlamaConfig:
    """A Llama for the small tokenizer. Places turn slowly, so that most of a head can match tokens."""
    tokenizer = small_tokenizer()
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        head_dim=head_width or hidden // heads,
        rope_parameters={"rope_type": "default", "rope_theta": _TURNS},
        max_position_embeddings=context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )


@lru_cache(maxsize=1)
def small_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the public part of all domains."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_PAD, _END, *_ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        eos_token=_END,
        additional_special_tokens=list(_ROLES),
        chat_template=_TEMPLATE,
    )


def _texts() -> list[str]:
    texts = [domain.system for domain in DOMAINS.values()] * _PROMPTS
    for domain in DOMAINS:
        for example in dialogues(domain, _SEED, PUBLIC, "public", _EACH):
            texts += [*(message.content for message in example.messages[1:]), example.answer]
    return texts
