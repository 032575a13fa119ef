"""A constrained decoder: whatever scores a model gives its tokens, a valid call or an answer comes out.

Rules kept here:
- A token may be chosen only if the grammar takes all its characters and what then is left of the budget still
  suffices to complete the reply one character per token. So a walk of any scores, NaN included, ends in
  time and in a whole reply.
- The vocabulary has every character that a completion may need as a token of its own; one that has not is
  refused.

What this file does NOT do: choose well. A valid call by a bad model is still a bad call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.calls import Expression, Tool, alphabet, complete, replies, shortest, step
from securefl.errors import ConfigError

Scores = NDArray[np.floating]
NextScores = Callable[[Sequence[int]], Scores]
"""The tokens chosen so far in, one score per token of the vocabulary out."""


@dataclass(frozen=True)
class Place:
    """Where a walk stands: what may come, and how many more tokens it may take before the end token."""

    state: Expression
    left: int


@dataclass(frozen=True, eq=False)
class Decoder:
    """The grammar of some tools over a vocabulary.

    Args:
        tools: whose calls may be said.
        vocabulary: the text of each token; None for tokens that are no text (special ones, parts of
            characters).
        end: the token that ends a reply.
        budget: the most tokens of a reply, without the end.

    Raises:
        ConfigError: a vocabulary that cannot spell a completion, or a budget that is too small for a reply.
    """

    tools: tuple[Tool, ...]
    vocabulary: tuple[str | None, ...]
    end: int
    budget: int

    def __post_init__(self) -> None:
        start = replies(self.tools)
        missing = sorted(alphabet(start) - set(self.vocabulary))
        if missing:
            raise ConfigError(f"expected a token for each of {missing}, got none; use a tokenizer with bytes")
        if not 0 <= self.end < len(self.vocabulary):
            raise ConfigError(f"expected an end token below {len(self.vocabulary)}, got {self.end}")
        if self.budget < len(shortest(start)):
            raise ConfigError(f"expected a budget for a whole reply, got {self.budget} tokens; allow more")

    @property
    def start(self) -> Place:
        """Where a reply begins."""
        return Place(replies(self.tools), self.budget)

    def after(self, place: Place, token: int) -> Place | None:
        """Where the walk stands after a token; None where it may not be chosen."""
        text = self.vocabulary[token]
        if not text or token == self.end:
            return None
        state: Expression | None = place.state
        for character in text:
            state = step(state, character) if state is not None else None
        if state is None or len(shortest(state)) > place.left - 1:
            return None
        return Place(state, place.left - 1)

    def allowed(self, place: Place) -> NDArray[np.bool_]:
        """The mask over the vocabulary. Shapes: (tokens,)."""
        mask = [self.after(place, token) is not None for token in range(len(self.vocabulary))]
        mask[self.end] = complete(place.state)
        return np.array(mask)

    def choose(self, place: Place, scores: Scores) -> int:
        """The best token that may be chosen, NaN being worst: the mask's best, without making the mask."""
        for token in _from_the_best(scores):
            if complete(place.state) if token == self.end else self.after(place, token) is not None:
                return token
        raise AssertionError("a place always has a token that may be chosen")


def decode(decoder: Decoder, scores: NextScores) -> str:
    """The reply that a model's scores make, token by token.

    Guarantee: for any scores the reply is accepted by the grammar, so it parses to an answer or to a valid
    call.
    """
    place, chosen = decoder.start, list[int]()
    while (token := decoder.choose(place, scores(tuple(chosen)))) != decoder.end:
        following = decoder.after(place, token)
        assert following is not None  # noqa: S101 - `choose` has just checked it; for the type checker
        place = following
        chosen.append(token)
    return "".join(decoder.vocabulary[token] or "" for token in chosen)


def _from_the_best(scores: Scores) -> Iterator[int]:
    clean = np.where(np.isnan(scores), -np.inf, scores)
    yield int(np.argmax(clean))  # nearly always enough; sorting a large vocabulary takes milliseconds
    yield from (int(token) for token in np.argsort(-clean, kind="stable"))
