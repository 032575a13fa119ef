"""Between messages and tokens: a conversation as its model reads it, and the text of each token.

What this file does NOT do: keep a template safe from what messages say (`securefl.training.tokens` does).
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from securefl.calls import Message
from securefl.errors import DataError
from securefl.training import tokens


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The tokens after which the assistant's next reply begins.

    Raises:
        DataError: a tokenizer without a chat template, or one that refuses these roles.
    """
    if tokenizer.chat_template is None:
        raise DataError("expected a tokenizer with a chat template, got one without; use a chat model")
    return tokens.prompt_tokens(tokenizer, tuple((one.role, one.content) for one in messages))


def vocabulary(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[str | None, ...]:
    """The text of each token inside a sentence; None for special ones, parts of characters, unused places."""
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1]
    begin = len(tokenizer.decode([anchor]))
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    pairs = [[anchor, token] for token in range(len(tokenizer))]
    texts = [text[begin:] for text in tokenizer.batch_decode(pairs, clean_up_tokenization_spaces=False)]
    known = [
        None if token in special or "\N{REPLACEMENT CHARACTER}" in text else text
        for token, text in enumerate(texts)
    ]
    return tuple(known + [None] * (size - len(known)))
