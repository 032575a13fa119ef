"""The closed set of things an argument of a tool may be, read from the fields of a pydantic model.

Rules kept here:
- Four kinds and no others: a line of text of bounded length, a whole number within bounds, one of some texts,
  a flag. Every bound is declared, so that a grammar can hold a model to it character by character.
- What the grammar could not foresee (a pattern, a validator, an alias) is refused when the tool is made.

What this file does NOT do: check values; pydantic does, with the very model that was read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic.fields import FieldInfo

from securefl.errors import ConfigError

LARGEST = 10**15
"""Numbers beyond this are refused; JSON readers elsewhere would round them."""


@dataclass(frozen=True)
class Line:
    """A text of `low` to `high` characters."""

    low: int
    high: int


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int


@dataclass(frozen=True)
class OneOf:
    """One of some texts."""

    options: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """True or false."""


Kind = Line | Whole | OneOf | Flag


def read_kind(place: str, field: FieldInfo) -> Kind:
    """What a field of a tool's argument model may hold.

    Args:
        place: `tool.argument`, for the message.
        field: pydantic's own record of the field.

    Raises:
        ConfigError: another type, a missing bound, or a constraint that no grammar could keep.
    """
    if field.alias is not None or field.validation_alias is not None or field.default_factory is not None:
        raise ConfigError("expected a field without alias or default_factory, got one; remove it", place)
    low, high = _bounds(place, field)
    if field.annotation is str and isinstance(high, MaxLen):
        return Line(low.min_length if isinstance(low, MinLen) else 0, high.max_length)
    if field.annotation is int and isinstance(low, Ge) and isinstance(high, Le):
        first, last = low.ge, high.le
        if type(first) is int and type(last) is int and -LARGEST <= first <= last <= LARGEST:
            return Whole(first, last)
    if low is None and high is None:
        if field.annotation is bool:
            return Flag()
        options = get_args(field.annotation)
        if get_origin(field.annotation) is Literal and all(_printable(option) for option in options):
            return OneOf(options)
    raise ConfigError(
        "expected str with max_length, int with ge and le, bool or a Literal of texts, got "
        f"{field.annotation} with {field.metadata}; use one of these",
        place,
    )


def holds(kind: Kind, value: object) -> bool:
    """Whether a value is of a kind."""
    match kind:
        case Line(low, high):
            return type(value) is str and low <= len(value) <= high
        case Whole(low, high):
            return type(value) is int and low <= value <= high
        case OneOf(options):
            return type(value) is str and value in options
        case Flag():
            return type(value) is bool


def _printable(option: object) -> bool:
    return type(option) is str and option.isprintable()


def _bounds(place: str, field: FieldInfo) -> tuple[Ge | MinLen | None, Le | MaxLen | None]:
    low: Ge | MinLen | None = None
    high: Le | MaxLen | None = None
    for constraint in field.metadata:
        if isinstance(constraint, Ge | MinLen) and low is None:
            low = constraint
        elif isinstance(constraint, Le | MaxLen) and high is None:
            high = constraint
        else:
            raise ConfigError(
                f"expected no constraints but ge, le, min_length, max_length, got {constraint}; remove it",
                place,
            )
    return low, high
