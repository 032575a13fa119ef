"""One attack at one seed: how much harm it did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """What one attack did at one seed.

    Attributes:
        attack: its label.
        seed: of the run.
        harm: a proportion of `trials`, or a value of its own.
        successes: trials that succeeded; 0 where there are none.
        trials: number of trials, or None where harm is a value.
    """

    attack: str
    seed: int
    harm: float
    successes: int = 0
    trials: int | None = None
