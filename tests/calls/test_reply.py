"""Model output is text from outside."""

from __future__ import annotations

import pytest

from securefl.calls import Answer, Call, Tool, by_name, parse
from securefl.calls.reply import MOST_CHARACTERS
from securefl.errors import CallRefused

Tools = tuple[Tool, ...]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "got nothing"),
        (" \n", "got nothing"),
        ("x" * (MOST_CHARACTERS + 1), "at most"),
        ('{"tool": "ping", "arguments": {}', "does not parse"),
        ('{"tool": "ping", "arguments": {}} and more', "does not parse"),
        ('{"tool": "ping", "arguments": {}, "limits": 99}', "other keys"),
        ('{"tool": "ping", "arguments": []}', "other values"),
        ('{"tool": "ping", "tool": "pay", "arguments": {}}', "comes twice"),
        ('{"tool": "rm", "arguments": {}}', "expected one of the tools pay, ping, seek"),
        ('{"tool": "ping", "arguments": {"x": 1}}', "'x'"),
        ('{"tool": "seek", "arguments": {"page": "8"}}', "integer"),
        ('{"tool": "seek", "arguments": {"page": 8.0}}', "integer"),
        ('{"tool": "seek", "arguments": {"page": NaN}}', "no JSON"),
        ('{"tool": "seek", "arguments": {"page": 99}}', "less than or equal to 31"),
        ('{"a":' * 6000, "does not parse"),
        ("fine \x1b[31m", "control characters"),
        ("\ud800", "control characters"),
    ],
)
def test_what_is_no_valid_call_is_refused_with_the_reason(tools: Tools, text: str, reason: str) -> None:
    with pytest.raises(CallRefused, match=reason.replace("[", r"\[")):
        parse(text, by_name(tools))


def test_a_call_inside_words_is_an_answer_and_no_call(tools: Tools) -> None:
    for text in (
        'I would write {"tool": "ping", "arguments": {}}',
        '```\n{"tool": "ping", "arguments": {}}\n```',
    ):
        assert parse(text, by_name(tools)) == Answer(text)


def test_space_around_a_call_and_another_order_of_arguments_are_borne(tools: Tools) -> None:
    text = ' {"arguments": {"deep": true, "page": 9}, "tool": "seek"}\n'
    assert parse(text, by_name(tools)) == Call("seek", {"page": 9, "deep": True})
