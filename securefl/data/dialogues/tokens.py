"""Dialogues as rows of tokens with the mask of the answer: what a causal language model trains on.

Rules kept here: a dialogue that does not fit is refused, never cut; only the answer's own tokens, its end
included, are marked, so no loss falls on what the user, the system or a tool said.

What this file does NOT do: know a tokenizer (`encode` is an argument) or split into clients (`clients` says
who).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.calls import Message
from securefl.data.dialogues.domain import DESCRIPTION
from securefl.data.dialogues.life import Example
from securefl.data.source import content_hash
from securefl.errors import DataError

Encode = Callable[[tuple[Message, ...], str], tuple[Sequence[int], Sequence[int]]]
"""Messages and the answer to: tokens before the answer, tokens of the answer with its end."""


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Dialogues as tokens.

    Shapes:
        tokens: (n, length), padded on the right. answers: (n, length), True on the answer's tokens.
        clients: (n,).
    """

    tokens: NDArray[np.int32]
    answers: NDArray[np.bool_]
    clients: NDArray[np.int64]
    source_hash: str
    description: str = DESCRIPTION


def token_rows(examples: Sequence[Example], encode: Encode, length: int, padding: int) -> TokenRows:
    """The rows of these dialogues.

    Args:
        examples: at least one.
        encode: a tokenizer with its chat template.
        length: tokens per row.
        padding: the token after the end.

    Raises:
        DataError: no example, or one that is longer than a row.
    """
    if not examples:
        raise DataError("expected at least one dialogue, got none; draw some")
    tokens = np.full((len(examples), length), padding, np.int32)
    answers = np.zeros((len(examples), length), np.bool_)
    for at, example in enumerate(examples):
        before, after = encode(example.messages, example.answer)
        size = len(before) + len(after)
        if size > length:
            raise DataError(f"dialogue {at}: expected at most {length} tokens, got {size}; allow longer rows")
        tokens[at, :size] = [*before, *after]
        answers[at, len(before) : size] = True
    rows = (f"{example.domain}\0{example.messages}\0{example.answer}".encode() for example in examples)
    clients = np.array([example.client for example in examples], np.int64)
    return TokenRows(tokens, answers, clients, content_hash(b"dialogues", rows))
