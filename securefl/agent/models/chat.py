"""Between messages and tokens: a tokenizer's own chat template, kept safe from what the messages say.

Rules kept here: a special token's name inside a message is broken apart before the template sees it, so no
text can end its own message or begin one of another role.

What this file does NOT do: judge templates. One that leaves out a role leaves out its messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from securefl.calls import Message
from securefl.data.dialogues import Encode
from securefl.errors import DataError


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The tokens after which the assistant's next reply begins.

    Raises:
        DataError: a tokenizer without a chat template, or one that refuses these roles.
    """
    return _tokens(tokenizer, messages, True)


def encoder(tokenizer: PreTrainedTokenizerBase) -> Encode:
    """How `securefl.data.dialogues.token_rows` makes tokens with this tokenizer."""

    def encode(messages: tuple[Message, ...], answer: str) -> tuple[Sequence[int], Sequence[int]]:
        before = prompt_tokens(tokenizer, messages)
        whole = _tokens(tokenizer, (*messages, Message("assistant", answer)), False)
        if whole[: len(before)] != before:
            raise DataError(
                "expected a chat template that only appends, got one that rewrites what came before; give "
                "the tokenizer another template"
            )
        end = whole.index(tokenizer.eos_token_id, len(before)) + 1
        return before, whole[len(before) : end]

    return encode


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


def _tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], prompt: bool) -> list[int]:
    names = [name for name in tokenizer.get_added_vocab() if len(name) > 1]
    said = [{"role": one.role, "content": _broken_apart(one.content, names)} for one in messages]
    if tokenizer.chat_template is None:
        raise DataError("expected a tokenizer with a chat template, got one without; use a chat model")
    try:
        tokens: list[int] = tokenizer.apply_chat_template(
            said, add_generation_prompt=prompt, tokenize=True, return_dict=False
        )
    except Exception as error:  # templates are programs of their authors and raise what they like
        raise DataError(f"expected a chat template that takes these messages, got {error}") from error
    return list(tokens)


def _broken_apart(text: str, names: Sequence[str]) -> str:
    for name in names:
        while not name.isspace() and name in text:
            text = text.replace(name, f"{name[0]} {name[1:]}")
    return text
