"""The grammar of replies as an acceptor that reads one character at a time.

A state is the expression of what may still come; `step` is its derivative by one character, so a state can be
kept, compared and gone on from in two ways. For the tools of a registry `replies` accepts

    {"tool": NAME, "arguments": {"a": VALUE, "b": VALUE}}   in the declared order; optional ones may miss
    words                                                   that do not begin with "{" or white space

Rules kept here:
- Every text that is accepted parses to a valid call or to an answer; the canonical text of every valid
  call is accepted (property tests hold both).
- Every state that `step` returns can still be completed, and `shortest` is a shortest way to do it: so a
  decoder that keeps its budget above it always ends.

What this file does NOT do: know tokens (`securefl.agent.decoder`).

Reference: Brzozowski 1964, "Derivatives of Regular Expressions", section 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from securefl.calls import kinds
from securefl.calls.reply import is_prose
from securefl.calls.tool import Tool, by_name

LONGEST_ANSWER = 2000
_ESCAPED = '"\\bfnrt'
_HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Text:
    """Exactly this text."""

    rest: str


@dataclass(frozen=True)
class Body:
    """What stands between the quotes of a JSON string: `low` to `high` more characters.

    `escape` is what was read of an escape that has not ended.
    """

    low: int
    high: int
    escape: str = ""


@dataclass(frozen=True)
class Number:
    """A whole number from `low` to `high`, of which `given` was read."""

    low: int
    high: int
    given: str = ""


@dataclass(frozen=True)
class Prose:
    """Words: at most `high` more characters."""

    high: int
    begun: bool = False


@dataclass(frozen=True)
class Either:
    """One of these."""

    options: tuple[Expression, ...]


@dataclass(frozen=True)
class Chain:
    """These, one after the other."""

    parts: tuple[Expression, ...]


Expression = Text | Body | Number | Prose | Either | Chain


def replies(tools: Iterable[Tool]) -> Expression:
    """The grammar of all calls of these tools and of answers."""
    calls = tuple(_call(tool) for tool in by_name(tools).values())
    return Either((*calls, Prose(LONGEST_ANSWER)))


def step(state: Expression, character: str) -> Expression | None:
    """The state after one more character, or None where the character cannot stand there."""
    match state:
        case Text(rest):
            return Text(rest[1:]) if rest[:1] == character else None
        case Body():
            return _step_body(state, character)
        case Number(low, high, given):
            longer = replace(state, given=given + character)
            return longer if _ending(low, high, longer.given) is not None else None
        case Prose(high, begun):
            fits = (
                high > 0 and is_prose(character) and (begun or not (character == "{" or character.isspace()))
            )
            return Prose(high - 1, True) if fits else None
        case Either(options):
            left = tuple(after for option in options if (after := step(option, character)) is not None)
            return (left[0] if len(left) == 1 else Either(left)) if left else None
        case Chain(parts):
            return _step_chain(parts, character)


def complete(state: Expression) -> bool:
    """Whether what was read is a whole reply."""
    match state:
        case Text(rest):
            return not rest
        case Body(low, _, escape):
            return low == 0 and not escape
        case Number(low, high, given):
            return _ending(low, high, given) == ""
        case Prose(_, begun):
            return begun
        case Either(options):
            return any(complete(option) for option in options)
        case Chain(parts):
            return all(complete(part) for part in parts)


def shortest(state: Expression) -> str:
    """A shortest text that completes the state."""
    match state:
        case Text(rest):
            return rest
        case Body(low, _, escape):
            return _rest_of_escape(escape) + "a" * (low - bool(escape) if low else 0)
        case Number(low, high, given):
            ending = _ending(low, high, given)
            return ending if ending is not None else ""
        case Prose(_, begun):
            return "" if begun else "a"
        case Either(options):
            return min((shortest(option) for option in options), key=len)
        case Chain(parts):
            return "".join(shortest(part) for part in parts)


def alphabet(state: Expression) -> frozenset[str]:
    """Every character that a shortest completion of this state, or of one after it, may use."""
    match state:
        case Text(rest):
            return frozenset(rest)
        case Body():
            return frozenset('a"0')
        case Number():
            return frozenset("-0123456789")
        case Prose():
            return frozenset("a")
        case Either(inner) | Chain(inner):
            return frozenset().union(*(alphabet(one) for one in inner))


def _call(tool: Tool) -> Expression:
    ending: dict[bool, Expression] = {True: Text("}}"), False: Text("}}")}
    for name, kind in reversed(list(tool.kinds.items())):
        earlier: dict[bool, Expression] = {}
        for begun in (True, False):
            head = Text(f"{', ' if begun else ''}{json.dumps(name)}: ")
            named = Chain((head, _value(kind), ending[True]))
            earlier[begun] = named if tool.required(name) else Either((named, ending[begun]))
        ending = earlier
    return Chain((Text(f'{{"tool": "{tool.name}", "arguments": {{'), ending[False]))


def _value(kind: kinds.Kind) -> Expression:
    match kind:
        case kinds.Line(low, high):
            return Chain((Text('"'), Body(low, high), Text('"')))
        case kinds.Whole(low, high):
            return Number(low, high)
        case kinds.OneOf(options):
            return Either(tuple(Text(json.dumps(option, ensure_ascii=False)) for option in options))
        case kinds.Flag():
            return Either((Text("true"), Text("false")))


def _step_chain(parts: tuple[Expression, ...], character: str) -> Expression | None:
    left: list[Expression] = []
    for at, part in enumerate(parts):
        after = step(part, character)
        if after is not None:
            left.append(Chain((after, *parts[at + 1 :])) if at + 1 < len(parts) else after)
        if not complete(part):
            break
    if not left:
        return None
    return left[0] if len(left) == 1 else Either(tuple(left))


def _step_body(state: Body, character: str) -> Body | None:
    one_less = Body(max(state.low - 1, 0), state.high - 1)
    match state.escape:
        case "" if state.high == 0:
            return None
        case "":
            if character == "\\":
                return replace(state, escape=character)
            plain = character >= " " and character != '"' and not "\ud800" <= character <= "\udfff"
            return one_less if plain else None
        case "\\" if character in _ESCAPED:
            return one_less
        case "\\":
            return replace(state, escape="\\u") if character == "u" else None
        case "\\u" | "\\u0":
            return replace(state, escape=state.escape + "0") if character == "0" else None
        case "\\u00":
            return replace(state, escape=state.escape + character) if character in "01" else None
        case _:
            return one_less if character in _HEX else None


def _rest_of_escape(escape: str) -> str:
    return {"": "", "\\": '"'}.get(escape, "0" * (6 - len(escape)))


def _ending(low: int, high: int, given: str) -> str | None:
    """The fewest digits that make `given` a number within the bounds; None where none do."""
    if given == "":
        return str(min((low, high, 0), key=lambda at: (not low <= at <= high, abs(at))))
    negative = given[0] == "-"
    digits = given.removeprefix("-")
    least, most = (max(1, -high), -low) if negative else (max(0, low), high)
    if least > most:
        return None
    if not digits:
        return str(least)
    if not (digits.isascii() and digits.isdigit()):
        return None
    if digits[0] == "0":
        return "" if digits == "0" and least == 0 else None
    first, span = int(digits), 1
    while first * span <= most:
        if first * span + span - 1 >= least:
            return str(max(first * span, least))[len(digits) :]
        span *= 10
    return None
