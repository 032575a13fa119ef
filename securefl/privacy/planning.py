"""What a plan would cost: epsilon against noise, rounds and sample rate, before anything runs.

Rules kept here: every number comes from the accountant that the run uses; nothing is charged.

What this file does NOT do: choose for the user, look at data, or read a ledger (pass what other runs
spent as `prior`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from securefl.errors import ConfigError
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import Releases, SampledGaussian, total

NEARBY = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Factors around a planned value that are worth a look."""


@dataclass(frozen=True)
class BudgetRow:
    """One plan and its price.

    Attributes:
        noise_multiplier: standard deviation of the noise in units of the clip norm.
        rounds: rounds of the run, spare releases not included.
        sample_rate: Poisson rate of every local step.
        epsilon: over the whole run, spare releases and `prior` included.
    """

    noise_multiplier: float
    rounds: int
    sample_rate: float
    epsilon: float


def budget_table(
    noise_multipliers: Sequence[float],
    rounds: Sequence[int],
    sample_rates: Sequence[float],
    *,
    local_steps: int,
    delta: float,
    spare_releases: int = 0,
    prior: Releases = (),
    method: str = "pld",
) -> tuple[BudgetRow, ...]:
    """One row per combination, in the order of the arguments, the last varying fastest.

    Raises:
        ConfigError: a number of rounds or spare releases, or `delta`, that no run could have.
        PrivacyError: a noise multiplier or sample rate out of range.
    """
    if spare_releases < 0 or any(number < 1 for number in rounds):
        raise ConfigError(
            f"expected rounds of at least 1 and spare_releases of at least 0, "
            f"got {list(rounds)} and {spare_releases}",
            "server.rounds",
        )

    def row(noise: float, number: int, rate: float) -> BudgetRow:
        event = SampledGaussian(noise, rate, local_steps)
        spent = total(prior, ((event, number + spare_releases),))
        return BudgetRow(noise, number, rate, epsilon(spent, delta, method))

    return tuple(row(*plan) for plan in product(noise_multipliers, rounds, sample_rates))


def around_noise(planned: float, factors: Sequence[float] = NEARBY) -> tuple[float, ...]:
    """Noise multipliers around a planned one, to 4 significant digits; the planned one is kept exact."""
    return tuple(sorted({planned if factor == 1 else float(f"{planned * factor:.4g}") for factor in factors}))


def around_rounds(planned: int, factors: Sequence[float] = NEARBY) -> tuple[int, ...]:
    """Numbers of rounds around a planned one, at least 1."""
    return tuple(sorted({max(1, round(planned * factor)) for factor in factors}))


def around_rate(planned: float, factors: Sequence[float] = NEARBY) -> tuple[float, ...]:
    """Sample rates around a planned one, at most 1."""
    return tuple(
        sorted({planned if factor == 1 else min(1.0, float(f"{planned * factor:.4g}")) for factor in factors})
    )
