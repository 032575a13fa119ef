"""Whatever the scores, what comes out is a valid call or an answer."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from securefl.agent import Decoder, decode
from securefl.calls import ARGUMENTS, Call, Tool, by_name, complete, parse
from securefl.errors import ConfigError


class Pay(BaseModel):
    model_config = ARGUMENTS
    to: str = Field(min_length=2, max_length=9)
    cents: int = Field(ge=-5, le=120)
    now: bool = True


TOOLS = (
    Tool("pay", "Pay.", Pay),
    Tool("pause", "Wait.", type("No", (BaseModel,), {"model_config": ARGUMENTS})),
)
PIECES = (
    '{"tool": "',
    'pay", ',
    '"arguments": {',
    '": ',
    "12",
    "00",
    '"}}',
    '", "',
    "\\u00",
    "\\",
    "ab",
    "é",
    "}}",
)
VOCABULARY = (None, "", *string.printable, *PIECES, None)
END = len(VOCABULARY) - 1


def decoder(budget: int = 90) -> Decoder:
    return Decoder(TOOLS, VOCABULARY, END, budget)


@given(seed=st.integers(0, 2**32), budget=st.integers(1, 120), towards=st.floats(0, 30), bad=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_walk_of_scores_ends_in_a_valid_call_or_an_answer(
    seed: int, budget: int, towards: float, bad: bool
) -> None:
    random = np.random.default_rng(seed)

    def scores(chosen: object) -> np.ndarray:
        found = random.normal(size=len(VOCABULARY))
        found[VOCABULARY.index('{"tool": "')] += towards
        if bad:
            found[random.random(len(VOCABULARY)) < 0.5] = random.choice([np.nan, np.inf, -np.inf])
        return found

    reply = decode(decoder(budget), scores)
    assert len(reply) <= budget * max(len(piece) for piece in VOCABULARY if piece is not None)
    parse(reply, by_name(TOOLS))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_what_is_chosen_is_the_best_of_the_mask_at_every_place(seed: int) -> None:
    random = np.random.default_rng(seed)
    guide, place = decoder(), decoder().start
    while True:
        scores = random.normal(size=len(VOCABULARY))
        mask = guide.allowed(place)
        assert mask[END] == complete(place.state)
        token = guide.choose(place, scores)
        assert token == int(np.argmax(np.where(mask, scores, -np.inf)))
        if token == END:
            return
        place = guide.after(place, token)


def test_a_model_that_wants_a_call_says_it_unchanged() -> None:
    call = Call("pay", {"to": 'A"\n', "cents": -5, "now": False})
    spelled = [VOCABULARY.index(character) for character in call.text] + [END]
    assert (
        decode(decoder(len(call.text)), lambda chosen: np.eye(len(VOCABULARY))[spelled[len(chosen)]])
        == call.text
    )


def test_a_budget_that_is_nearly_used_up_closes_the_call() -> None:
    start = VOCABULARY.index('{"tool": "')
    wish = np.zeros(len(VOCABULARY))
    wish[start], wish[VOCABULARY.index("a")] = 9, 5
    for budget in range(45, 70):
        reply = parse(decode(decoder(budget), lambda chosen: wish), by_name(TOOLS))
        assert isinstance(reply, Call)


def test_a_vocabulary_that_cannot_spell_or_a_budget_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match="a token for each"):
        Decoder(TOOLS, tuple(string.ascii_letters), 0, 90)
    with pytest.raises(ConfigError, match="budget"):
        decoder(0)
    with pytest.raises(ConfigError, match="end token"):
        Decoder(TOOLS, VOCABULARY, len(VOCABULARY), 90)
