"""Prompts with the answers that a language model is to learn, and the JSON-lines file of a user's own.

    {"prompt": "What hurts?", "answer": "My knee.", "client": "ward 3"}
    {"prompt": [{"role": "user", "content": "What hurts?"}], "answer": "My knee.", "client": "ward 3"}

Rules kept here:
- A prompt is a conversation: text alone is one message of the user. Roles and contents are text, nothing
  else.
- The hash of a source covers its texts, not their tokens.
- Sizes are capped before anything is parsed.

What this file does NOT do: tokenise, or write a conversation as the model's chat template has it
(`securefl.training.tokens`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from securefl.data.examples import Dataset, Examples
from securefl.data.source import MIB, content_hash, read_capped
from securefl.data.split import held_out
from securefl.errors import DataError

if TYPE_CHECKING:
    from securefl.data.texts import Tokenize

_CAP_BYTES = 512 * MIB
_KEYS = {"prompt", "answer", "client"}

Messages = tuple[tuple[str, str], ...]
"""(role, content) each."""


@dataclass(frozen=True)
class Answered:
    """A conversation and the answer that comes next.

    Attributes:
        prompt: messages so far.
        answer: what the assistant says next; it alone is learned.
        client: whose it is; "" where the source does not say.
        plain: the prompt is text to continue, no conversation: without chat template, and no mark ends the
            answer.
    """

    prompt: Messages
    answer: str
    client: str = ""
    plain: bool = False


def dataset_of_answers(
    name: str,
    train: Sequence[Answered],
    test: Sequence[Answered],
    tokenize: Tokenize,
    description: str = "",
    caveats: tuple[str, ...] = (),
) -> Dataset:
    """Training and test part as examples of `causal_lm`; clients by name where every one of them is named.

    Raises:
        DataError: an empty part, or answers without a token.
    """
    everything = (*train, *test)
    clients = sorted({one.client for one in everything})
    named = len(clients) > 1 and "" not in clients
    parts = [Examples(*tokenize.answers(part)) if part else _empty(name) for part in (train, test)]
    places = [np.array([clients.index(one.client) for one in part], dtype=np.int64) for part in (train, test)]
    return Dataset(
        name=name,
        train=parts[0],
        test=parts[1],
        classes=tokenize.vocabulary,
        source_hash=content_hash(b"JSON: prompt, answer, client", map(_row, everything)),
        train_clients=places[0] if named else None,
        test_clients=places[1] if named else None,
        client_names=tuple(clients) if named else None,
        description=description,
        caveats=caveats,
        vocabulary=tokenize.vocabulary,
    )


def load_jsonl(path: Path, tokenize: Tokenize, test_fraction: float, seed: int) -> Dataset:
    """A user's own file, one conversation and its answer a line.

    Raises:
        DataError: unreadable, a line that is no such object, or a part that would be empty.
    """
    text = _text(path)
    rows = [_answered(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not rows:
        raise DataError(f"{path}: expected conversations, one a line, got none; give a file with some")
    clients = sorted({row.client for row in rows})
    places = np.array([clients.index(row.client) for row in rows], dtype=np.int64)
    kept, held = held_out(np.zeros(len(rows), dtype=np.int64), places, test_fraction, seed)
    return dataset_of_answers(
        path.stem,
        [rows[at] for at in kept],
        [rows[at] for at in held],
        tokenize,
        f"{len(rows)} conversations.",
    )


def _text(path: Path) -> str:
    try:
        return bytes(read_capped(path, _CAP_BYTES)).decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: expected UTF-8 text, got {cause}; convert the file") from cause


def _answered(path: Path, number: int, line: str) -> Answered:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as cause:
        raise DataError(f"{path}, line {number}: expected one JSON object, got {line[:40]!r}") from cause
    if _has_surrogates(value):
        raise DataError(
            f"{path}, line {number}: expected text, got half of a character (\\ud800 and the like)"
        )
    if not isinstance(value, dict) or not {"prompt", "answer"} <= set(value) <= _KEYS:
        raise DataError(
            f"{path}, line {number}: expected the keys prompt, answer and perhaps client, got {line[:60]!r}"
        )
    answer, client = value["answer"], value.get("client", "")
    if not isinstance(answer, str) or not answer or not isinstance(client, str):
        raise DataError(f"{path}, line {number}: expected answer and client as text, got {line[:60]!r}")
    return Answered(_messages(path, number, value["prompt"]), answer, client)


def _has_surrogates(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _messages(path: Path, number: int, prompt: object) -> Messages:
    if isinstance(prompt, str):
        return (("user", prompt),)
    messages = []
    for message in prompt if isinstance(prompt, list) and prompt else [None]:
        if (
            not isinstance(message, dict)
            or set(message) != {"role", "content"}
            or not all(isinstance(part, str) for part in message.values())
        ):
            raise DataError(
                f"{path}, line {number}: expected a prompt as text or as messages with role and content, got "
                f"{str(prompt)[:60]!r}"
            )
        messages.append((message["role"], message["content"]))
    return tuple(messages)


def _row(one: Answered) -> bytes:
    return json.dumps([one.prompt, one.answer, one.client], ensure_ascii=False).encode()


def _empty(name: str) -> Examples:
    raise DataError(f"data {name!r}: expected conversations in both parts, got none in one; give more rows")
