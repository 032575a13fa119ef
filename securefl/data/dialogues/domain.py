"""A domain: tools, the ways people ask for them, and what fills the gaps. Plain data.

Rules kept here:
- SYNTHETIC: everything in this room was written for it; nothing is the text of a real person, and no number
  on it is a number on real data.
- What the test part asks with is never in a training part: bodies, requests that no tool fits, and values
  of open slots. What stands around a body is the same everywhere.

What this file does NOT do: draw anything (`life`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from securefl.calls import Tool, Value

DESCRIPTION = "synthetic: true; dialogues drawn from a seeded grammar, no text of real people"
Words = Annotated[str, Field(min_length=1, max_length=24)]
"""The type of every argument in words."""


@dataclass(frozen=True)
class Slot:
    """What a gap in a sentence is filled with.

    Attributes:
        train: values of the public and the training part.
        test: values of the test part; empty where the tool's own list of values is all there is.
    """

    train: tuple[Value, ...]
    test: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Private:
    """A gap that only a client's own entities fill: a person's name or a code."""

    kind: Literal["name", "code"]


@dataclass(frozen=True)
class Act:
    """One thing people want: a tool, the bodies of sentences that ask for it, and its result in words.

    Attributes:
        train: bodies of the training part; the first two are also the public part's.
        test: bodies of the test part only: other sentences, of words that are mostly known.
        done: what the tool says.
    """

    tool: Tool
    train: tuple[str, ...]
    test: tuple[str, ...]
    done: str

    def result(self, arguments: Mapping[str, Value]) -> str:
        """What the tool says to a call. Nothing happens anywhere: these tools are simulated."""
        return fill(self.done, arguments)


@dataclass(frozen=True)
class Domain:
    """One domain. Gaps are named like the arguments they fill."""

    name: str
    acts: tuple[Act, ...]
    slots: Mapping[str, Slot | Private]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools in the order of the system prompt."""
        return tuple(act.tool for act in self.acts)

    @property
    def system(self) -> str:
        """The system prompt: the tools' signatures, short enough for tiny models."""
        return "\n".join((self.name.replace("_", " "), *(tool.signature for tool in self.tools)))


def act(arguments: type[BaseModel], train: tuple[str, ...], test: tuple[str, ...], done: str) -> Act:
    """An act whose tool is named like its argument model and described by that model's docstring."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in arguments.__name__)
    return Act(Tool(name.removeprefix("_"), arguments.__doc__ or "", arguments), train, test, done)


def fill(body: str, filled: Mapping[str, Value]) -> str:
    """A body with its gaps filled."""
    words = {name: str(one).lower() if isinstance(one, bool) else one for name, one in filled.items()}
    return body.format(**words)
