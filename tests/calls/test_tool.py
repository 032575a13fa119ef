"""A tool's declaration: the closed set of arguments, its schema and its signature."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from securefl.calls import ARGUMENTS, Tool, by_name
from securefl.errors import ConfigError


def model(annotation: object, default: object = ...) -> type[BaseModel]:
    field = Field(default=default)
    space = {
        "__annotations__": {"value": annotation},
        "value": field,
        "model_config": ARGUMENTS,
        "__module__": "x",
    }
    return type("Model", (BaseModel,), space)


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (float, ...),
        (str, ...),
        (int, ...),
        (list[str], ...),
        (str | None, None),
        (Annotated[str, Field(max_length=9, pattern="a+")], ...),
        (Annotated[str, Field(max_length=9), AfterValidator(str.upper)], ...),
        (Annotated[int, Field(gt=1, le=3)], ...),
        (Annotated[int, Field(ge=4, le=3)], ...),
        (Annotated[int, Field(ge=0, le=10**16)], ...),
        (Annotated[int, Field(ge=0, le=9, multiple_of=3)], ...),
        (Annotated[int, Field(ge=1, le=9)], 0),
        (Annotated[str, Field(max_length=4001)], ...),
        (Literal[1, 2], ...),
        (Literal["a\n"], ...),
        (bool, 1),
    ],
)
def test_an_argument_outside_the_closed_set_is_refused(annotation: object, default: object) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Tool("do", "Do.", model(annotation, default))


def test_validators_aliases_and_other_configurations_are_refused() -> None:
    class Checked(BaseModel):
        model_config = ARGUMENTS
        on: bool

        @field_validator("on")
        @classmethod
        def never(cls, on: bool) -> bool:
            raise ValueError

    class Loose(BaseModel):
        model_config = ConfigDict(extra="allow")
        on: bool

    class Renamed(BaseModel):
        model_config = ARGUMENTS
        on: bool = Field(alias="off")

    for arguments in (Checked, Loose, Renamed):
        with pytest.raises(ConfigError):
            Tool("do", "Do.", arguments)


@pytest.mark.parametrize("name", ["", "Do", "do it", "1do", 'do"', "d" * 41])
def test_a_name_is_a_plain_identifier(name: str) -> None:
    with pytest.raises(ConfigError, match="find_order"):
        Tool(name, "Do.", model(bool))


def test_schema_and_signature_say_the_same(tools: tuple[Tool, ...]) -> None:
    pay = tools[0]
    assert pay.signature == "pay(to, cents:-20..1205, how=card|cash|carte «bleue», note?, now?=true|false)"
    parameters = pay.schema["parameters"]
    assert isinstance(parameters, dict)
    assert parameters["required"] == ["to", "cents", "how"]
    assert parameters["additionalProperties"] is False


def test_two_tools_of_one_name_are_refused(tools: tuple[Tool, ...]) -> None:
    with pytest.raises(ConfigError, match="once"):
        by_name((*tools, tools[0]))
