"""Language models of transformers: the agent's one door to transformers, peft, tokenizers and torch."""

from securefl.agent.models.chat import prompt_tokens, vocabulary
from securefl.agent.models.folder import LanguageModel, generator, load, replies
from securefl.agent.models.pretraining import FULL, SMALL, Pretraining, pretrained_model
from securefl.agent.models.sitting import Sheet, marks, sit
from securefl.agent.models.small import small_model, small_tokenizer

__all__ = [
    "FULL",
    "SMALL",
    "LanguageModel",
    "Pretraining",
    "Sheet",
    "generator",
    "load",
    "marks",
    "pretrained_model",
    "prompt_tokens",
    "replies",
    "sit",
    "small_model",
    "small_tokenizer",
    "vocabulary",
]
