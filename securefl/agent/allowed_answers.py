"""Whether the arguments of a call are among the answers that BFCL allows.

Rules kept here, as the leaderboard's own checker has them for Python:
- Each argument has a list of allowed values; "" in it means that the argument may be left out.
- Texts are compared without case, spaces and the signs , . / - _ * ^; numbers by value, and a whole number
  stands for a real one where a real one is declared; true is no number.
- An object's fields have lists of allowed values again; a list's items are compared one by one.

What this file does NOT do: read files (`bfcl`).

Reference: Patil et al. 2025, "The Berkeley Function Calling Leaderboard (BFCL)", evaluation by abstract
syntax tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_TYPES: Mapping[object, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")
_LEFT_OUT = ""


def allows(
    function: Mapping[str, object], possible: Mapping[str, object], arguments: Mapping[str, object]
) -> bool:
    """Whether a call of the function with these arguments is right.

    Example:
        >>> function = {"parameters": {"properties": {"to": {"type": "string"}}, "required": ["to"]}}
        >>> allows(function, {"to": ["New York"]}, {"to": "new-york"}), allows(function, {"to": ["Rome"]}, {})
        (True, False)
    """
    parameters = _mapping(function.get("parameters"))
    declared = _mapping(parameters.get("properties"))
    required = _sequence(parameters.get("required"))
    if any(name not in arguments for name in required):
        return False
    if any(name not in declared or name not in possible for name in arguments):
        return False
    left_out = [name for name in possible if name not in arguments]
    return all(_LEFT_OUT in _sequence(possible[name]) for name in left_out) and all(
        _argument(value, _mapping(declared[name]), _sequence(possible[name]))
        for name, value in arguments.items()
    )


def _argument(value: object, declared: Mapping[str, object], possible: Sequence[object]) -> bool:
    kind = _TYPES.get(declared.get("type"), str)
    if kind is float and type(value) is int:
        value = float(value)
    examples = [type(one) for one in possible if one != _LEFT_OUT][:1]
    if type(value) is not kind and type(value) not in examples:
        return False
    if isinstance(value, list):
        inner = _TYPES.get(_mapping(declared.get("items")).get("type"), str)
        return any(_items(value, one, inner) for one in possible if isinstance(one, list))
    if isinstance(value, dict):
        return any(_fields(value, one) for one in possible if isinstance(one, dict))
    return any(_same(value, one) for one in possible)


def _items(values: Sequence[object], possible: Sequence[object], kind: type) -> bool:
    if len(values) != len(possible):
        return False
    kinds = {kind, *(type(one) for one in possible[:1])}
    if any(type(value) not in kinds for value in values):
        return False
    return all(
        _fields(value, one) if isinstance(value, dict) and isinstance(one, dict) else _same(value, one)
        for value, one in zip(values, possible, strict=True)
    )


def _fields(values: Mapping[str, object], possible: Mapping[str, object]) -> bool:
    if any(name not in possible for name in values):
        return False
    return all(
        any(_same(values[name], one) for one in _sequence(allowed))
        if name in values
        else _LEFT_OUT in _sequence(allowed)
        for name, allowed in possible.items()
    )


def _same(value: object, one: object) -> bool:
    if isinstance(value, str) and isinstance(one, str):
        return _plain(value) == _plain(one)
    if isinstance(value, list) and isinstance(one, list):
        return len(value) == len(one) and all(_same(*pair) for pair in zip(value, one, strict=True))
    return isinstance(value, bool) == isinstance(one, bool) and value == one


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
