"""Language models of transformers: the agent's one door to transformers, peft, tokenizers and torch."""

from securefl.agent.models.chat import prompt_tokens, vocabulary
from securefl.agent.models.folder import LanguageModel, generator, load, replies
from securefl.agent.models.small import small_model, small_tokenizer

__all__ = [
    "LanguageModel",
    "generator",
    "load",
    "prompt_tokens",
    "replies",
    "small_model",
    "small_tokenizer",
    "vocabulary",
]
