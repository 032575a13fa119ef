"""What a model said: a call or an answer, and nothing in between.

    reply = "{" ... "}"   a call: exactly {"tool": NAME, "arguments": {...}} with arguments that validate
          | anything else an answer in words, also if there is a call somewhere inside it

Rules kept here:
- Model output is text from outside: its length is capped before it is parsed; a name that comes twice,
  NaN and depth are refused, and what is not a whole valid call is a `CallRefused`, never a guess at what was
  meant.
- An answer has no control characters but line feed and tab, so that it cannot steer a terminal.

What this file does NOT do: say that a call is wise. A valid call may still be what an attacker wanted.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from securefl.calls.call import Call, checked
from securefl.calls.tool import Tool
from securefl.errors import CallRefused

MOST_CHARACTERS = 32_768
_UNPRINTED = ("Cc", "Cs")


@dataclass(frozen=True)
class Answer:
    """Words for the user."""

    text: str


Reply = Call | Answer


def parse(text: str, tools: Mapping[str, Tool]) -> Reply:
    """What the model said.

    Guarantee: for any text this returns an answer, returns a call that its tool's model validates, or raises
    `CallRefused`.

    Raises:
        CallRefused: nothing, too much, control characters, or a `{` that begins no valid call.
    """
    if len(text) > MOST_CHARACTERS:
        raise CallRefused(f"expected at most {MOST_CHARACTERS} characters, got {len(text)}; say less")
    said = text.strip()
    if not said:
        raise CallRefused("expected a call or an answer, got nothing; say something")
    if said.startswith("{"):
        name, arguments = read_call(said)
        return checked(name, arguments, tools)
    if not all(is_prose(character) for character in said):
        raise CallRefused("expected an answer in plain text, got control characters; leave them out")
    return Answer(said)


def read_call(text: str) -> tuple[str, Mapping[str, object]]:
    """Name and arguments of a call, before any tool has checked them.

    Raises:
        CallRefused: not exactly one JSON object with `tool` and `arguments`.
    """
    try:
        tree: object = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CallRefused(f"expected one JSON object, got what does not parse: {error}") from None
    if not isinstance(tree, dict) or tree.keys() != {"tool", "arguments"}:
        raise CallRefused('expected {"tool": NAME, "arguments": {...}}, got other keys; use these two')
    name, arguments = tree["tool"], tree["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise CallRefused("expected the tool's name and an object of arguments, got other values")
    return name, arguments


def is_prose(character: str) -> bool:
    """Whether a character may stand in an answer."""
    return character in "\n\t" or unicodedata.category(character) not in _UNPRINTED


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
