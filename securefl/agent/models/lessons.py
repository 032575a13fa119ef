"""What a small Llama is trained on before any client: public dialogues of the grammar, and drills in copying.

Rules kept here:
- Only the public part of the grammar: no client's entity of the seed, no sentence of a test part.
- A batch is a function of (seed, step), so that whoever begins again in the middle goes on alike.
- Dialogues of a domain share a row and its system prompt; each sees the prompt and itself, and stands at the
  places where it would stand alone. So a row teaches what its dialogues would teach one by one, at half the
  cost.

What this file does NOT do: train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from securefl.agent.models.chat import prompt_tokens
from securefl.calls import Message
from securefl.data.dialogues import PUBLIC, Example, dialogues, named
from securefl.data.dialogues.entities import public_codes, public_names, public_words

_TAG = 0x1E55
_ANSWER = 3.0
"""Weight of an answer's token beside one of what came before it."""
_PROMPT, _NOBODY = 0, -1
Turn = tuple[list[int], list[int]]
"""Tokens after the system prompt up to the answer, and the answer's."""
Row = tuple[list[int], Sequence[Turn]]
"""A system prompt and the turns that share it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows for one step.

    Shapes:
        tokens, places: (n, length). sees: (n, 1, length, length), True where a token sees another one.
        weights: (n, length), of predicting the token that stands there.
    """

    tokens: Tensor
    places: Tensor
    sees: Tensor
    weights: Tensor


class Lessons:
    """Batches of public dialogues of some domains, and of drills."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, domains: Sequence[str], each: int, seed: int
    ) -> None:
        self._tokenizer, self._seed = tokenizer, seed
        self._prompts = [self._prompt(domain) for domain in domains]
        self._turns = [
            [self._turn(one, prompt) for one in dialogues(domain, seed, PUBLIC, "public", each)]
            for domain, prompt in zip(domains, self._prompts, strict=True)
        ]
        self._said = (public_names(seed), public_codes(seed), public_words(seed))

    def drills(self, step: int, count: int) -> Batch:
        """Lists of names, codes, numbers and meaningless words, said once more as a list of strings."""
        random = np.random.default_rng([_TAG, self._seed, step])
        return self._batch([([], [self._drill(random)]) for _ in range(count)])

    def dialogues(self, step: int, rows: int, each: int, drills: int) -> Batch:
        """Rows of one domain each, the domains in turn, and one row of drills."""
        random = np.random.default_rng([_TAG, self._seed, step])
        chosen: list[Row] = [([], [self._drill(random) for _ in range(drills)])]
        for row in range(rows):
            at = (step * rows + row) % len(self._prompts)
            picks = random.integers(len(self._turns[at]), size=each)
            chosen.append((self._prompts[at], [self._turns[at][int(pick)] for pick in picks]))
        return self._batch(chosen)

    def _prompt(self, domain: str) -> list[int]:
        return prompt_tokens(self._tokenizer, (Message("system", named(domain).system),))[:-1]

    def _turn(self, example: Example, prompt: list[int]) -> Turn:
        before = prompt_tokens(self._tokenizer, example.messages)
        return before[len(prompt) :], self._answer(example.answer)

    def _answer(self, text: str) -> list[int]:
        return [*self._tokenizer.encode(text), self._tokenizer.eos_token_id]

    def _drill(self, random: np.random.Generator) -> Turn:
        said = [self._value(random) for _ in range(int(random.integers(1, 5)))]
        before = prompt_tokens(self._tokenizer, (Message("user", " ".join(said)),))
        return before, self._answer('{"' + '", "'.join(said) + '"}')

    def _value(self, random: np.random.Generator) -> str:
        kind = int(random.integers(4))
        if kind == len(self._said):
            return str(random.integers(100))
        return self._said[kind][int(random.integers(len(self._said[kind])))]

    def _batch(self, rows: Sequence[Row]) -> Batch:
        length = max(len(prompt) + sum(len(a) + len(b) for a, b in turns) for prompt, turns in rows)
        padding = int(self._tokenizer.pad_token_id or 0)
        columns = [_row(prompt, turns, length, padding) for prompt, turns in rows]
        tokens, places, owners, weights = (
            torch.tensor(np.array(each)) for each in zip(*columns, strict=True)
        )
        same = (owners[:, :, None] == owners[:, None, :]) | (owners == _PROMPT)[:, None, :]
        sees = same & torch.ones(length, length, dtype=torch.bool).tril()
        return Batch(tokens, places, sees[:, None], weights.float())


def _row(
    prompt: list[int], turns: Sequence[Turn], length: int, padding: int
) -> tuple[list[int], list[int], list[int], list[float]]:
    tokens, places, owners = list(prompt), list(range(len(prompt))), [_PROMPT] * len(prompt)
    # The first token of a text has nothing before it in its own turn, so it is not predicted.
    weights = ([0.0] + [1.0] * (len(prompt) - 1)) if prompt else []
    for owner, (before, answer) in enumerate(turns, start=_PROMPT + 1):
        size = len(before) + len(answer)
        tokens += [*before, *answer]
        places += range(len(prompt), len(prompt) + size)
        owners += [owner] * size
        weights += [0.0] + [1.0] * (len(before) - 1) + [_ANSWER] * len(answer)
    rest = length - len(tokens)
    return (
        tokens + [padding] * rest,
        places + [0] * rest,
        owners + [_NOBODY] * rest,
        weights + [0.0] * rest,
    )
