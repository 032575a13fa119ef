"""One call of a tool: its name, its checked arguments, and its one canonical text.

Rules kept here: the arguments of a `Call` that `checked` made are complete, in the declared order and of the
declared kinds; a call that the tools do not allow is a `CallRefused` and runs nothing.

What this file does NOT do: read model output (`reply`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from securefl.calls.tool import Tool
from securefl.errors import CallRefused

Value = str | int | bool


@dataclass(frozen=True)
class Call:
    """A call. `arguments` are in the declared order, defaults filled in.

    Example:
        >>> Call("pay", {"to": "Ada", "euros": 3}).text
        '{"tool": "pay", "arguments": {"to": "Ada", "euros": 3}}'
    """

    tool: str
    arguments: Mapping[str, Value]

    @property
    def text(self) -> str:
        """The canonical text: what a model is taught to write."""
        return json.dumps({"tool": self.tool, "arguments": dict(self.arguments)}, ensure_ascii=False)


def checked(name: str, arguments: Mapping[str, object], tools: Mapping[str, Tool]) -> Call:
    """The call that these arguments make.

    Raises:
        CallRefused: no such tool, or arguments that its model does not take.
    """
    if name not in tools:
        raise CallRefused(f"expected one of the tools {', '.join(tools)}, got {name[:60]!r}; name one")
    try:
        filled = tools[name].arguments.model_validate(dict(arguments))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:60]
        raise CallRefused(f"{name}, argument {place!r}: {first['msg']}; correct it") from None
    return Call(name, filled.model_dump())
