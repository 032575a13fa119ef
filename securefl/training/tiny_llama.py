"""A Llama small enough for tests, audits and continuous integration: random weights from a public seed.

Rules kept here:
- Its tokens are bytes; nothing is learned, downloaded or hidden in it. It is no pretrained model, and a
  number on it is about the code, not about language models.

What this file does NOT do: train it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

NAME = "tiny-llama"
PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"
TEMPLATE = (
    "{% for message in messages %}<|begin|>{{ message['role'] }}\n{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)
_SEED = 0


def tiny_config() -> LlamaConfig:
    """Two layers of width 64, 259 tokens."""
    return LlamaConfig(
        vocab_size=len(_words()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        use_cache=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def tiny_model() -> LlamaForCausalLM:
    """The model; equal weights at every call, and torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return LlamaForCausalLM(tiny_config())


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Three marks and 256 bytes, with a chat template."""
    tokenizer = Tokenizer(models.BPE(vocab=_words(), merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BEGIN, eos_token=END, padding_side="right"
    )
    fast.chat_template = TEMPLATE
    return fast


def save_tiny_llama(folder: Path) -> Path:
    """Writes model and tokenizer as any transformers folder has them."""
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def _words() -> dict[str, int]:
    return {
        word: at for at, word in enumerate([PAD, BEGIN, END, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
