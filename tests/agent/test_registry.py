"""Tools run for declared callers, within their limits, and only for valid calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from securefl.agent import Limits, Registry
from securefl.agent.registry import MOST_RESULT
from securefl.calls import Call
from securefl.errors import CallRefused, ConfigError, LimitReached, ToolFailed

Make = Callable[..., Registry]
FIND = Call("find", {"order": "A1"})


def test_a_conversation_has_its_limit_and_another_one_begins_anew(desk_with: Make, ran: list[str]) -> None:
    registry = desk_with(limits=Limits(per_minute=9, per_conversation=2))
    desk = registry.open("ada")
    assert [desk.call(FIND), desk.call(FIND)] == ["sent", "sent"]
    with pytest.raises(LimitReached, match="2 calls in one conversation"):
        desk.call(FIND)
    assert len(ran) == 2
    assert registry.open("ada").call(FIND) == "sent"


def test_a_minute_has_its_limit_over_all_conversations_of_a_caller(desk_with: Make, ran: list[str]) -> None:
    now = [0.0]
    registry = desk_with(limits=Limits(per_minute=2), clock=lambda: now[0])
    registry.open("ada").call(FIND)
    now[0] = 30.0
    registry.open("ada").call(FIND)
    with pytest.raises(LimitReached, match="wait 30 s"):
        registry.open("ada").call(FIND)
    assert len(ran) == 2
    now[0] = 60.0
    registry.open("ada").call(FIND)
    with pytest.raises(LimitReached):
        registry.open("ada").call(FIND)


def test_a_limit_of_zero_allows_nothing_and_a_negative_one_is_refused(
    desk_with: Make, ran: list[str]
) -> None:
    with pytest.raises(LimitReached):
        desk_with(limits=Limits(per_minute=0)).open("ada").call(FIND)
    with pytest.raises(LimitReached):
        desk_with(limits=Limits(per_conversation=0)).open("ada").call(FIND)
    assert ran == []
    with pytest.raises(ConfigError):
        Limits(per_minute=-1)


def test_an_undeclared_caller_opens_nothing(desk_with: Make) -> None:
    with pytest.raises(LimitReached, match="declared caller"):
        desk_with().open("eve")


def test_an_invalid_call_runs_nothing_and_costs_nothing(desk_with: Make, ran: list[str]) -> None:
    desk = desk_with(limits=Limits(per_conversation=1)).open("ada")
    for call in (Call("rm", {}), Call("pay", {"cents": 0}), Call("pay", {"cents": True}), Call("find", {})):
        with pytest.raises(CallRefused):
            desk.call(call)
    assert ran == []
    assert desk.call(FIND) == "sent"


def test_a_failing_tool_is_one_typed_error_that_counts_and_tells_nothing_from_inside(desk_with: Make) -> None:
    desk = desk_with(limits=Limits(per_conversation=1)).open("ada")
    with pytest.raises(ToolFailed, match="raised RuntimeError") as failure:
        desk.call(Call("pay", {"cents": 13}))
    assert "secret" not in str(failure.value)
    with pytest.raises(LimitReached):
        desk.call(FIND)


def test_a_long_result_is_cut(desk_with: Make) -> None:
    assert len(desk_with(result="x" * 10**6).open("ada").call(FIND)) == MOST_RESULT
