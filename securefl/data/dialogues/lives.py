"""The lives of many clients in one domain as a data set: prompts with the answers to learn, synthetic.

Rules kept here:
- A function of the seed and of `Lives` alone; client k of the data set is life k of the grammar.
- A dialogue that does not fit is refused, never cut: without its request it would have another answer.
- The data set, its guarantee card and every file that describes it say that it is synthetic.

What this file does NOT do: draw a dialogue (`life`), or know a tokenizer (`tokenize` is an argument).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from securefl.data.answers import Answered
from securefl.data.dialogues.domain import DESCRIPTION
from securefl.data.dialogues.entities import MOST_CLIENTS
from securefl.data.dialogues.life import Example, dialogues, named
from securefl.data.examples import Dataset, Examples
from securefl.data.source import content_hash
from securefl.errors import DataError

if TYPE_CHECKING:
    from securefl.data.texts import Tokenize


@dataclass(frozen=True)
class Lives:
    """Whose dialogues, and how many of each client.

    Attributes:
        domain: one of `DOMAINS`.
        clients: lives 0 to clients - 1.
        train: dialogues of a client that it learns from.
        test: held-out dialogues of a client.

    Raises:
        DataError: no such domain, more clients than the grammar has entities for, or no dialogue.
    """

    domain: str
    clients: int
    train: int
    test: int

    def __post_init__(self) -> None:
        named(self.domain)
        if not 1 <= self.clients <= MOST_CLIENTS:
            raise DataError(
                f"clients: expected 1 to {MOST_CLIENTS}, got {self.clients}; the grammar has private "
                "entities for no more. Declare fewer clients"
            )
        if self.train < 1 or self.test < 1:
            raise DataError(
                f"expected at least 1 dialogue of a client in each part, got {self.train} and {self.test}; "
                "ask for more"
            )

    def part(self, part: Literal["train", "test"], seed: int) -> tuple[Example, ...]:
        """The dialogues of one part, client by client."""
        count = self.train if part == "train" else self.test
        own = (dialogues(self.domain, seed, client, part, count) for client in range(self.clients))
        return tuple(one for life in own for one in life)


def load_dialogues(lives: Lives, seed: int, tokenize: Tokenize) -> Dataset:
    """The lives as training and test examples of `causal_lm`, each client its own.

    Raises:
        DataError: a dialogue that is longer than the model's `max_tokens`.
    """
    train, test = lives.part("train", seed), lives.part("test", seed)
    return Dataset(
        name=f"dialogues {lives.domain}",
        train=_examples(train, tokenize),
        test=_examples(test, tokenize),
        classes=tokenize.vocabulary,
        source_hash=content_hash(b"dialogues", map(_row, (*train, *test))),
        train_clients=_clients(train),
        test_clients=_clients(test),
        client_names=tuple(f"life {client}" for client in range(lives.clients)),
        description=DESCRIPTION,
        vocabulary=tokenize.vocabulary,
        synthetic=True,
    )


def _examples(part: Sequence[Example], tokenize: Tokenize) -> Examples:
    return Examples(*tokenize.answers([_answered(one) for one in part], whole=True))


def _answered(one: Example) -> Answered:
    prompt = tuple((message.role, message.content) for message in one.messages)
    return Answered(prompt, one.answer, f"life {one.client}")


def _clients(part: Sequence[Example]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([one.client for one in part], dtype=np.int64)


def _row(one: Example) -> bytes:
    said = [[message.role, message.content] for message in one.messages]
    return json.dumps([one.domain, one.client, said, one.answer]).encode()
