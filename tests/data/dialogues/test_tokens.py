"""Rows of tokens: nothing is cut, and only the answer is marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from securefl.calls import Message
from securefl.data.dialogues import DESCRIPTION, dialogues, token_rows
from securefl.errors import DataError

EXAMPLES = dialogues("education", 1, 3, "train", 9)


def encode(messages: tuple[Message, ...], answer: str) -> tuple[Sequence[int], Sequence[int]]:
    return list("".join(message.content for message in messages).encode()), [*answer.encode(), 0]


def test_only_the_answer_with_its_end_is_marked() -> None:
    rows = token_rows(EXAMPLES, encode, 900, padding=255)
    assert (rows.tokens.shape, rows.tokens.dtype, rows.answers.dtype) == ((9, 900), np.int32, np.bool_)
    for example, tokens, answers in zip(EXAMPLES, rows.tokens, rows.answers, strict=True):
        assert bytes(tokens[answers].tolist()).decode() == example.answer + "\0"
        last = int(np.flatnonzero(answers)[-1])
        assert (tokens[last + 1 :] == 255).all()
        assert bytes(tokens[: last + 1].tolist()).decode().startswith(example.messages[0].content)
    assert rows.clients.tolist() == [3] * 9
    assert rows.description == DESCRIPTION


def test_rows_of_the_same_dialogues_have_one_hash_in_any_order() -> None:
    first, turned = (token_rows(given, encode, 900, 0) for given in (EXAMPLES, EXAMPLES[::-1]))
    assert first.source_hash == turned.source_hash
    assert first.source_hash != token_rows(EXAMPLES[1:], encode, 900, 0).source_hash


def test_a_dialogue_that_does_not_fit_and_no_dialogue_are_refused() -> None:
    with pytest.raises(DataError, match="at most 40 tokens"):
        token_rows(EXAMPLES, encode, 40, 0)
    with pytest.raises(DataError, match="at least one"):
        token_rows((), encode, 40, 0)
