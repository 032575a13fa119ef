"""Tools of every kind of argument, and strategies for their calls."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from securefl.calls import ARGUMENTS, Call, Tool


class Pay(BaseModel):
    model_config = ARGUMENTS
    to: str = Field(min_length=1, max_length=12)
    cents: int = Field(ge=-20, le=1205)
    how: Literal["card", "cash", "carte «bleue»"]
    note: str = Field(default="", max_length=5)
    now: bool = True


class Ping(BaseModel):
    model_config = ARGUMENTS


class Seek(BaseModel):
    model_config = ARGUMENTS
    page: int = Field(default=7, ge=7, le=31)
    deep: bool = False


TOOLS = (Tool("pay", "Pay.", Pay), Tool("ping", "Ping.", Ping), Tool("seek", "Seek.", Seek))


def texts(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)


CALLS = st.one_of(
    st.builds(
        lambda to, cents, how, note, now: Call(
            "pay", {"to": to, "cents": cents, "how": how, "note": note, "now": now}
        ),
        texts(1, 12),
        st.integers(-20, 1205),
        st.sampled_from(["card", "cash", "carte «bleue»"]),
        texts(0, 5),
        st.booleans(),
    ),
    st.just(Call("ping", {})),
    st.builds(
        lambda page, deep: Call("seek", {"page": page, "deep": deep}), st.integers(7, 31), st.booleans()
    ),
)


@pytest.fixture(scope="session")
def tools() -> tuple[Tool, ...]:
    return TOOLS


@pytest.fixture(scope="session")
def calls() -> st.SearchStrategy[Call]:
    return CALLS
