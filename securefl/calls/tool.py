"""A tool as a model may see it: a name, one sentence, and a pydantic model of its arguments.

Rules kept here:
- The argument model is strict, forbids what it does not name, and has nothing but fields of `kinds`: no
  validators, so that what the grammar accepts always validates.
- Schema and signature are computed from the model, never written beside it.

What this file does NOT do: run anything (`securefl.agent.registry`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from securefl.calls.kinds import Flag, Kind, Line, OneOf, Whole, holds, read_kind
from securefl.errors import ConfigError

ARGUMENTS = ConfigDict(frozen=True, strict=True, extra="forbid")
"""The one configuration that an argument model has: `model_config = ARGUMENTS`."""
MOST_ARGUMENTS, MOST_TEXT = 20, 4000
"""So that the longest call, every character escaped, stays below what `reply` parses."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Tool:
    """A declared tool.

    Example:
        >>> from pydantic import Field
        >>> class Pay(BaseModel):
        ...     model_config = ARGUMENTS
        ...     to: str = Field(max_length=20)
        ...     euros: int = Field(ge=1, le=99)
        ...     now: bool = True
        >>> Tool("pay", "Pay somebody.", Pay).signature
        'pay(to, euros:1..99, now?=true|false)'

    Raises:
        ConfigError: a name that is no plain identifier, or an argument model outside the closed set.
    """

    name: str
    description: str
    arguments: type[BaseModel]

    def __post_init__(self) -> None:
        _check_name(self.name, self.name)
        model = self.arguments
        if model.model_config != ARGUMENTS:
            raise ConfigError("expected model_config = ARGUMENTS, got another; use it", self.name)
        decorators = model.__pydantic_decorators__
        if any(getattr(decorators, kind) for kind in decorators.__slots__) or (
            model.model_post_init is not BaseModel.model_post_init
        ):
            raise ConfigError(
                "expected an argument model of fields only, got one with validators, serialisers or computed "
                "fields; a grammar cannot foresee them, remove them",
                self.name,
            )
        for name, kind in self.kinds.items():
            _check_name(name, f"{self.name}.{name}")
            default = self.arguments.model_fields[name].default
            if not self.required(name) and not holds(kind, default):
                raise ConfigError(f"expected a default of its kind, got {default!r}", f"{self.name}.{name}")
        size = sum(kind.high for kind in self.kinds.values() if isinstance(kind, Line))
        if len(self.kinds) > MOST_ARGUMENTS or size > MOST_TEXT:
            raise ConfigError(
                f"expected at most {MOST_ARGUMENTS} arguments and {MOST_TEXT} characters of text, got "
                f"{len(self.kinds)} and {size}; ask for less",
                self.name,
            )

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What each argument may hold, in the declared order."""
        fields = self.arguments.model_fields
        return {name: read_kind(f"{self.name}.{name}", field) for name, field in fields.items()}

    def required(self, argument: str) -> bool:
        """Whether a call must name this argument."""
        return self.arguments.model_fields[argument].is_required()

    @property
    def schema(self) -> dict[str, object]:
        """The JSON schema in the form that chat templates and function-calling APIs take."""
        parameters = self.arguments.model_json_schema()
        return {"name": self.name, "description": self.description, "parameters": parameters}

    @property
    def signature(self) -> str:
        """The shortest text that still says name, arguments and their values: for tiny models."""
        parts = (f"{name}{_domain(kind, self.required(name))}" for name, kind in self.kinds.items())
        return f"{self.name}({', '.join(parts)})"


def by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """Tools by their name.

    Raises:
        ConfigError: two of one name.
    """
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in named:
            raise ConfigError("expected every tool once, got two of this name; rename one", tool.name)
        named[tool.name] = tool
    return named


def _domain(kind: Kind, required: bool) -> str:
    mark = "" if required else "?"
    match kind:
        case Line():
            return mark
        case Whole(low, high):
            return f"{mark}:{low}..{high}"
        case OneOf(options):
            return f"{mark}={'|'.join(options)}"
        case Flag():
            return f"{mark}=true|false"


def _check_name(name: str, place: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"expected a name like find_order, got {name!r}; rename it", place)
