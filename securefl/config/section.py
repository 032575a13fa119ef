"""What all sections of a config have in common: frozen, strict, and every field teaches.

Rules kept here: no key beyond the declared ones, no conversion between types (an integer may stand for
a real number, nothing else), no infinity or NaN, no change after validation.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A mapping of the YAML file. It has settings, no behaviour to inherit."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def doc(text: str, example: object, unit: str | None = None) -> FieldInfo:
    """What a field means, one value that works, and its unit: for the schema and for error messages."""
    field: FieldInfo = Field(
        description=text, examples=[example], json_schema_extra={"unit": unit} if unit else None
    )
    return field


Count = Annotated[int, Field(ge=1, le=10**9)]
"""A whole number of at least 1."""
Whole = Annotated[int, Field(ge=0, le=10**9)]
"""A whole number of at least 0."""
Steps = Annotated[int, Field(ge=1, le=100_000)]
"""A number of rounds or local steps. How many noisy steps they may make together is in `consistency`."""
Positive = Annotated[float, Field(gt=0.0, le=1e12)]
"""A real number above 0, within reason."""
NotNegative = Annotated[float, Field(ge=0.0, le=1e12)]
"""A real number of at least 0, within reason."""
Epsilon = Annotated[float, Field(gt=0.0, le=100.0)]
"""An epsilon in nats. Above 100 a promise says nothing, and the accountant needs gigabytes for it."""
Norm = Annotated[float, Field(ge=1e-9, le=1e9)]
"""A norm bound; its quantisation steps stay far inside the floating-point range."""
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A factor in [0, 1)."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number that fits into 63 bits."""
Counts = Annotated[tuple[Count, ...], Field(strict=False)]
"""A list of whole numbers of at least 1. Not strict, because YAML has lists and no tuples."""
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(strict=False, max_length=64)]
"""Widths of at most 64 layers; how many parameters they may make is checked with the data."""
