"""Two tools that record what they did."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from pydantic import BaseModel, Field

from securefl.agent import Limits, Registry
from securefl.calls import ARGUMENTS, Tool, Value


class Find(BaseModel):
    model_config = ARGUMENTS
    order: str = Field(max_length=12)


class Pay(BaseModel):
    model_config = ARGUMENTS
    cents: int = Field(ge=1, le=999)


FIND, PAY = Tool("find", "Find an order.", Find), Tool("pay", "Pay.", Pay)


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def tools() -> tuple[Tool, ...]:
    return (FIND, PAY)


@pytest.fixture
def desk_with(ran: list[str]) -> Callable[..., Registry]:
    """A registry for the caller `ada`; `result` is what `find` says."""

    def make(
        result: str = "sent", limits: Limits | None = None, clock: Callable[[], float] | None = None
    ) -> Registry:
        def find(arguments: Mapping[str, Value]) -> str:
            ran.append(f"find {arguments['order']}")
            return result

        def pay(arguments: Mapping[str, Value]) -> str:
            ran.append(f"pay {arguments['cents']}")
            if arguments["cents"] == 13:
                raise RuntimeError("secret inside")
            return "paid"

        return Registry([(FIND, find), (PAY, pay)], {"ada": limits or Limits()}, clock or (lambda: 0.0))

    return make
