"""What a two-world audit is made on: fresh releases with and without one record, and the claim about them.

This is the seam for another unit: whoever can draw a release in both worlds and knows what the accountant
claims of it makes a `Subject`. `example` and `client` make one of a run config with these units.

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
class Claim:
    """What the accountant says of a mechanism.

    Attributes:
        one: the claims about one release, by strength, at delta.
        run: the same about all releases of a run.
        upper: the accountant's epsilon of one release.
        upper_run: and of all releases of a run.
        unit: what the record is, in words.
    """

    one: Family
    run: Family
    upper: float
    upper_run: float
    unit: str


@dataclass(frozen=True)
class Subject:
    """One mechanism under audit.

    Attributes:
        draw: one release of one world; draws of other numbers are independent.
        claim: what the accountant says of it.
    """

    draw: Draw
    claim: Claim


@dataclass(frozen=True)
class Audit:
    """What was found about one subject.

    Attributes:
        claim: what is said of the mechanism.
        lower: the lower bound, if the curve is of the kind that the accountant claims.
        lower_any: the same without that assumption; much lower where releases are few.
        whole_run: whether these two are about all releases of a run together; otherwise about one.
        sampled: what they rest on, in words.
        confidence: of all lower bounds together.
        estimate: of one release, where the method has one; no bound.
    """

    claim: Claim
    lower: LowerBound
    lower_any: LowerBound
    whole_run: bool
    sampled: str
    confidence: float
    estimate: float | None = None

    @property
    def upper(self) -> float:
        """The accountant's epsilon of what `lower` is about."""
        return self.claim.upper_run if self.whole_run else self.claim.upper

    @property
    def lower_one(self) -> float:
        """The lower bound of one release; of a run with `whole_run`, if all its releases are alike."""
        return self.claim.one.epsilon(self.lower.strength)

    @property
    def lower_run(self) -> float:
        """The lower bound of a run; without `whole_run`, if every release is like the audited ones."""
        return self.claim.run.epsilon(self.lower.strength)

    @property
    def refuted(self) -> bool:
        """Whether the mechanism leaks more than is accounted for."""
        direct = self.lower_any.epsilon > self.upper
        return direct or self.lower_one > self.claim.upper or self.lower_run > self.claim.upper_run


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
    half, claim = half_error(confidence), subject.claim
    if draws < FEWEST:
        raise ConfigError(f"expected at least {FEWEST} draws per world, got {draws}", "draws")
    without, with_record = scores(subject.draw, draws, moved)
    return Audit(
        claim=claim,
        lower=two_world(without, with_record, claim.one, half),
        lower_any=two_world(without, with_record, approximate(claim.one.delta), half),
        whole_run=False,
        sampled=f"{2 * draws} draws in two worlds",
        confidence=confidence,
    )


def half_error(confidence: float) -> float:
    """The confidence of each of two bounds that together have this one.

    Raises:
        ConfigError: the confidence is none.
    """
    return 1.0 - error_of(confidence) / 2.0


def scores(draw: Draw, draws: int, moved: Moved | None = None) -> tuple[Scores, Scores]:
    """Scores without and with the record, drawn in turn. Shapes: (draws, kinds), (draws, kinds)."""
    worlds: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for number in range(draws):
        for there, found in zip((False, True), worlds, strict=True):
            found.append(draw(there, number))
        if moved is not None and (number + 1) % _TOLD_EVERY == 0:
            moved(number + 1, draws, "draws in both worlds")
    return np.array(worlds[0]), np.array(worlds[1])
