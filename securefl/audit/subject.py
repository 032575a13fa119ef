"""What a two-world audit is made on: fresh releases with and without one record, and the claim about them.

This is the seam for another unit: whoever can draw a release in both worlds and knows what the accountant
claims of it makes a `Subject`. `example` makes one of a run config with unit `example`.

What this file does NOT do: know any mechanism.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from securefl.audit.bound import LowerBound, error_of
from securefl.audit.family import Family, approximate
from securefl.audit.two_world import FEWEST, Scores, two_world
from securefl.errors import ConfigError

Draw = Callable[[bool, int], tuple[float, ...]]
"""(is the record there, number of the draw) -> scores of one fresh release; the audit picks the best kind."""
Moved = Callable[[int, int, str], None]
"""(done, of how many, words)."""

_TOLD_EVERY = 50


@dataclass(frozen=True)
class Subject:
    """One mechanism under audit.

    Attributes:
        draw: one release of one world; draws of other numbers are independent.
        one: the accountant's claims about one release, by strength, at delta.
        run: the same about all releases of a run.
        upper: the accountant's epsilon of one release.
        upper_run: and of all releases of a run.
        unit: what the record is, in words.
    """

    draw: Draw
    one: Family
    run: Family
    upper: float
    upper_run: float
    unit: str


@dataclass(frozen=True)
class Audit:
    """What was found about one subject.

    Attributes:
        unit: what the record is.
        lower: the lower bound of one release, if its curve is the one that the accountant claims.
        lower_any: the same without that assumption; much lower where releases are few.
        lower_run: what `lower` comes to over a run, if every release is like the audited ones.
        upper: the accountant's epsilon of one release.
        upper_run: the accountant's epsilon of a whole run.
        confidence: of all lower bounds together.
    """

    unit: str
    lower: LowerBound
    lower_any: LowerBound
    lower_run: float
    upper: float
    upper_run: float
    confidence: float

    @property
    def refuted(self) -> bool:
        """Whether the mechanism leaks more than is accounted for."""
        lowest = max(self.lower.epsilon, self.lower_any.epsilon)
        return lowest > self.upper or self.lower_run > self.upper_run


def audit(subject: Subject, draws: int, confidence: float, moved: Moved | None = None) -> Audit:
    """Draws both worlds and bounds epsilon from below, in two ways that share the error.

    Guarantee: where the mechanism is as accounted, `refuted` is true with probability at most 1 - confidence.

    Args:
        subject: what is audited.
        draws: per world.
        confidence: of the whole audit.
        moved: told how far it is.

    Raises:
        ConfigError: too few draws, or a confidence that is none.
    """
    half = 1.0 - error_of(confidence) / 2.0
    if draws < FEWEST:
        raise ConfigError(f"expected at least {FEWEST} draws per world, got {draws}", "draws")
    without, with_record = scores(subject.draw, draws, moved)
    lower = two_world(without, with_record, subject.one, half)
    return Audit(
        unit=subject.unit,
        lower=lower,
        lower_any=two_world(without, with_record, approximate(subject.one.delta), half),
        lower_run=subject.run.epsilon(lower.strength),
        upper=subject.upper,
        upper_run=subject.upper_run,
        confidence=confidence,
    )


def scores(draw: Draw, draws: int, moved: Moved | None = None) -> tuple[Scores, Scores]:
    """Scores without and with the record, drawn in turn. Shapes: (draws, kinds), (draws, kinds)."""
    worlds: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for number in range(draws):
        for there, found in zip((False, True), worlds, strict=True):
            found.append(draw(there, number))
        if moved is not None and (number + 1) % _TOLD_EVERY == 0:
            moved(number + 1, draws, "draws in both worlds")
    return np.array(worlds[0]), np.array(worlds[1])
