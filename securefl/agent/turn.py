"""One turn: model -> call -> result -> ... -> answer, with a maximum of steps.

Rules kept here:
- Only what `generate` returns is read for calls, whole and by `calls.parse`; tool results and notes are
  messages and never anything else.
- A refused reply is told to the model as a message and costs a step; a limit or a failing tool ends the turn.

What this file does NOT do: protect the model from what it reads. Text in a result can talk a model into a
valid call (prompt injection); it cannot make one itself, raise a limit, or name a tool that was not declared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from securefl.agent.registry import MOST_RESULT, Desk
from securefl.calls import Answer, Call, Message, parse
from securefl.errors import CallRefused, ConfigError, LimitReached

Generate = Callable[[Sequence[Message]], str]
"""A language model: everything said so far in, its next reply out. The reply is untrusted text."""
MOST_STEPS = 8


@dataclass(frozen=True)
class Turn:
    """What came of a turn: the answer, the calls that ran, and all messages, the new ones included."""

    answer: str
    calls: tuple[Call, ...]
    messages: tuple[Message, ...]


def take_turn(generate: Generate, desk: Desk, messages: Sequence[Message], steps: int = MOST_STEPS) -> Turn:
    """Lets a model call tools until it answers.

    Args:
        generate: the model.
        desk: the caller's open conversation with the tools.
        messages: everything said so far; the last one is the user's.
        steps: how many replies the model may give at most.

    Raises:
        LimitReached: no answer within the steps, or a call over the caller's limits.
        ToolFailed: a tool raised.
    """
    if steps < 1:
        raise ConfigError(f"expected at least 1 step, got {steps}; allow one")
    said, calls = list(messages), list[Call]()
    for _ in range(steps):
        text = generate(tuple(said))
        try:
            reply = parse(text, desk.tools)
        except CallRefused as refusal:
            said += [Message("assistant", text[:MOST_RESULT]), Message("tool", f"refused: {refusal}")]
            continue
        if isinstance(reply, Answer):
            said.append(Message("assistant", reply.text))
            return Turn(reply.text, tuple(calls), tuple(said))
        said.append(Message("assistant", reply.text))
        said.append(Message("tool", desk.call(reply)))
        calls.append(reply)
    raise LimitReached(f"expected an answer within {steps} steps, got none; ask again or allow more steps")
