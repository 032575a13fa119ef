"""BFCL's rule of right arguments, case by case."""

from __future__ import annotations

import pytest

from securefl.agent.allowed_answers import allows

TYPES = {
    "count": {"type": "integer"},
    "share": {"type": "float"},
    "name": {"type": "string"},
    "on": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "pair": {"type": "tuple", "items": {"type": "float"}},
    "box": {"type": "dict"},
    "rows": {"type": "array", "items": {"type": "dict"}},
}


@pytest.mark.parametrize(
    ("argument", "possible", "value", "right"),
    [
        ("count", [5], 5, True),
        ("count", [5], 6, False),
        ("count", [5], 5.0, False),
        ("count", [5], "5", False),
        ("count", [1], True, False),
        ("share", [5.0], 5, True),
        ("share", [0.5], 0.5, True),
        ("share", [1.0], True, False),
        ("name", ["New York", "NY"], "new york.", True),
        ("name", ["it's"], 'it"s', True),
        ("name", ["Rome"], "Paris", False),
        ("name", [True], True, True),
        ("on", [True], True, True),
        ("on", [True], 1, False),
        ("tags", [["a", "B c"]], ["A", "b-c"], True),
        ("tags", [["a", "b"]], ["b", "a"], False),
        ("tags", [["a", "b"]], ["a"], False),
        ("tags", [["a"]], "a", False),
        ("pair", [[1.5, 2.0]], [1.5, 2.0], True),
        ("pair", [[1.5, 2.0]], [1.5, 2], False),
        ("box", [{"w": [20], "h": [12, ""]}], {"w": 20}, True),
        ("box", [{"w": [20], "h": [12]}], {"w": 20}, False),
        ("box", [{"w": [20]}], {"w": 20, "x": 1}, False),
        ("rows", [[{"f": ["age"]}, {"f": ["job"]}]], [{"f": "Age"}, {"f": "job"}], True),
        ("rows", [[{"f": ["age"]}, {"f": ["job"]}]], [{"f": "job"}, {"f": "age"}], False),
    ],
)
def test_a_value_is_right_if_the_possible_answers_allow_it(
    argument: str, possible: list[object], value: object, right: bool
) -> None:
    function = {"parameters": {"properties": TYPES, "required": [argument]}}
    assert allows(function, {argument: possible}, {argument: value}) is right


def test_missing_unknown_and_optional_arguments() -> None:
    function = {"parameters": {"properties": TYPES, "required": ["count"]}}
    possible = {"count": [5], "name": ["a", ""], "on": [True]}
    assert allows(function, possible, {"count": 5, "on": True})
    assert not allows(function, possible, {"count": 5}), "`on` is optional in the schema, not in the answer"
    assert not allows(function, possible, {"on": True})
    assert not allows(function, possible, {"count": 5, "on": True, "size": 3})
    assert not allows(function, possible, {"count": 5, "on": True, "share": 1.0})
