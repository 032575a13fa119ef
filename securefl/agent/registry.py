"""The tools an agent may call, and how often each caller may: the one place where a tool runs.

Rules kept here:
- Only declared callers; a caller's limits are fixed when the registry is made, and no text reaches them.
- A call counts before its tool runs, also if the tool then fails; what is over a limit does not run.
- A tool's result is cut to a bounded length. It is data: it is handed to the model as a message and is never
  parsed for calls, so text in it cannot call a tool. A model may still be talked into a valid call of its
  own by what it reads: then the limits and the tool's own checks are all that stands.

What this file does NOT do: authenticate callers; decide whether a valid call is wise.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock

from securefl.calls import Call, Tool, Value, by_name, checked
from securefl.errors import ConfigError, LimitReached, ToolFailed

MOST_RESULT = 2000
_MINUTE_SECONDS = 60.0
Run = Callable[[Mapping[str, Value]], str]
"""What a tool does: checked arguments in, a result in words out."""


@dataclass(frozen=True)
class Limits:
    """How often one caller may call tools.

    Raises:
        ConfigError: a number below 0.
    """

    per_minute: int = 20
    per_conversation: int = 50

    def __post_init__(self) -> None:
        if min(self.per_minute, self.per_conversation) < 0:
            raise ConfigError(f"expected limits of at least 0, got {self}; 0 allows no call")


class Registry:
    """Tools with what they do, and the callers with their limits.

    Args:
        tools: what each declared tool does.
        callers: every caller that may open a conversation.
        clock: seconds that never run backwards.

    Raises:
        ConfigError: two tools of one name.
    """

    def __init__(
        self,
        tools: Iterable[tuple[Tool, Run]],
        callers: Mapping[str, Limits],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        given = tuple(tools)
        self.tools: Mapping[str, Tool] = by_name(tool for tool, _ in given)
        self._runs = {tool.name: run for tool, run in given}
        self._callers = dict(callers)
        self._recent: dict[str, deque[float]] = {caller: deque() for caller in callers}
        self._clock = clock
        self._lock = Lock()

    def open(self, caller: str) -> Desk:
        """A new conversation of a caller.

        Raises:
            LimitReached: a caller that was not declared; it has no calls at all.
        """
        if caller not in self._callers:
            raise LimitReached(f"expected a declared caller, got {caller!r}; declare it with its limits")
        return Desk(self, caller, self._callers[caller])

    def _charge(self, caller: str, limits: Limits) -> None:
        with self._lock:
            now, recent = self._clock(), self._recent[caller]
            while recent and recent[0] <= now - _MINUTE_SECONDS:
                recent.popleft()
            if len(recent) >= limits.per_minute:
                raise LimitReached(
                    f"{caller}: expected at most {limits.per_minute} calls in a minute, got one more; wait "
                    f"{recent[0] + _MINUTE_SECONDS - now:.0f} s"
                    if recent
                    else f"{caller}: expected no call, got one; this caller's limit is 0"
                )
            recent.append(now)

    def _run(self, call: Call) -> str:
        try:
            result = self._runs[call.tool](call.arguments)
        except Exception as error:  # a tool is foreign code: whatever it raises ends as one typed error
            raise ToolFailed(
                f"{call.tool}: the tool raised {type(error).__name__}; look at the tool"
            ) from error
        if not isinstance(result, str):
            raise ToolFailed(f"{call.tool}: expected text from the tool, got {type(result).__name__}")
        return result if len(result) <= MOST_RESULT else f"{result[: MOST_RESULT - 1]}…"


class Desk:
    """One conversation of one caller with the tools. Only a registry makes one."""

    def __init__(self, registry: Registry, caller: str, limits: Limits) -> None:
        self._registry, self._caller, self._limits = registry, caller, limits
        self._calls = 0
        self._lock = Lock()

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return self._registry.tools

    def call(self, call: Call) -> str:
        """Runs one call, checked again, within the limits.

        Raises:
            CallRefused: no valid call.
            LimitReached: one more than this caller may make; the tool did not run.
            ToolFailed: the tool ran and raised.
        """
        valid = checked(call.tool, call.arguments, self.tools)
        with self._lock:
            if self._calls >= self._limits.per_conversation:
                raise LimitReached(
                    f"{self._caller}: expected at most {self._limits.per_conversation} calls in one "
                    "conversation, got one more; open another one"
                )
            self._registry._charge(self._caller, self._limits)
            self._calls += 1
        return self._registry._run(valid)
