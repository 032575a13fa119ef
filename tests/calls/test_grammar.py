"""The grammar of replies: what it accepts parses, what is valid it accepts, it always ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.calls import Answer, Call, Tool, alphabet, by_name, complete, parse, replies, shortest, step
from securefl.calls.grammar import Body, Number
from securefl.errors import CallRefused

Tools = tuple[Tool, ...]


def accepts(tools: Tools, text: str) -> bool:
    state = replies(tools)
    for character in text:
        after = step(state, character)
        if after is None:
            return False
        state = after
    return complete(state)


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_the_canonical_text_of_every_valid_call_is_accepted_and_parses_to_it(
    tools: Tools, calls: st.SearchStrategy[Call], data: st.DataObject
) -> None:
    call = data.draw(calls)
    assert accepts(tools, call.text)
    assert parse(call.text, by_name(tools)) == call


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_every_text_that_a_random_walk_makes_parses_and_validates(
    tools: Tools, calls: st.SearchStrategy[Call], data: st.DataObject
) -> None:
    begun = data.draw(calls).text
    said = begun[: data.draw(st.integers(0, len(begun)))]
    state = replies(tools)
    for character in said:
        state = step(state, character)
    for _ in range(data.draw(st.integers(0, 60))):
        offered = data.draw(st.sampled_from(sorted(alphabet(state) | set('"\\u0019afn,}é-}{'))))
        after = step(state, offered)
        if after is not None:
            state, said = after, said + offered
    ending = shortest(state)
    for character in ending:
        state = step(state, character)
        assert state is not None, "every state that step returns can be completed"
    assert complete(state)
    reply = parse(said + ending, by_name(tools))
    assert isinstance(reply, Call) == said.startswith("{") or (said == "" and reply == Answer("a"))


@given(text=st.one_of(st.text(max_size=60), st.text('{}":,toalrgumenspi 0', max_size=60)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_call_an_answer_or_a_typed_refusal(tools: Tools, text: str) -> None:
    try:
        reply = parse(text, by_name(tools))
    except CallRefused:
        assert not accepts(tools, text)
        return
    if isinstance(reply, Call):
        assert accepts(tools, reply.text)


@pytest.mark.parametrize("unit", ["x", "é", "\\n", '\\"', "\\\\", "\\u001f", "漢"])
def test_a_text_has_its_least_and_its_most_characters_counted_as_the_value_has_them(unit: str) -> None:
    for size in range(7):
        state: object = Body(2, 5)
        for character in unit * size:
            state = step(state, character) if state is not None else None
        assert (state is not None and complete(state)) == (2 <= size <= 5), size


@pytest.mark.parametrize(("low", "high"), [(-20, 1205), (7, 31), (-9, -3), (0, 0), (-120, -13), (99, 1000)])
def test_a_number_is_accepted_if_and_only_if_it_is_canonical_and_within_its_bounds(
    low: int, high: int
) -> None:
    spellings = [str(at) for at in range(-1300, 1300)] + ["-0", "00", "07", "-", "", "1.0", "+3", "٣", "1e2"]
    for text in spellings:
        state: object = Number(low, high)
        for character in text:
            state = step(state, character) if state is not None else None
        right = text not in spellings[2600:] and low <= int(text) <= high
        assert (state is not None and complete(state)) == right, text
        if state is not None:
            assert low <= int(text + shortest(state)) <= high


def test_a_shortest_completion_gets_shorter_by_each_of_its_characters(tools: Tools) -> None:
    state = step(replies(tools), "{")
    while ending := shortest(state):
        state = step(state, ending[0])
        assert len(shortest(state)) == len(ending) - 1


def test_optional_arguments_may_be_left_out_and_are_filled_in(tools: Tools) -> None:
    assert accepts(tools, '{"tool": "seek", "arguments": {}}')
    assert accepts(tools, '{"tool": "seek", "arguments": {"deep": true}}')
    found = parse('{"tool": "seek", "arguments": {"deep": true}}', by_name(tools))
    assert found == Call("seek", {"page": 7, "deep": True})


@pytest.mark.parametrize(
    "text",
    [
        "",
        " x",
        '{"tool": "seek", "arguments": {"page": 32}}',
        '{"tool": "seek", "arguments": {"page": 8, "page": 9}}',
        '{"tool": "seek", "arguments": {"deep": true, "page": 8}}',
        '{"tool": "seek", "arguments": {}} ',
        '{"tool": "pay", "arguments": {"to": "Ada", "cents": 3}}',
        '{"tool": "own", "arguments": {}}',
        "a\x1b[2J",
    ],
)
def test_what_is_not_exactly_in_the_grammar_is_not_accepted(tools: Tools, text: str) -> None:
    assert not accepts(tools, text)
