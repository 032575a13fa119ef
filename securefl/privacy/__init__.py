"""Differential privacy without a learning framework: events, accountant, noise, ledger, planning.

    event = SampledGaussian(noise_multiplier=1.7, sample_rate=0.2, steps=5)
    epsilon(((event, 30),), delta=1e-5)

The mechanisms themselves (per-example clipping and a noisy sum in `securefl.training`, integers with a share
of noise in `securefl.encoding`) are elsewhere; what they did is
described by an event, accounted by a pure function, and charged in a durable ledger before it leaves.
"""

from securefl.privacy.accountant import METHODS, cross_checked_epsilon, epsilon, noise_multiplier_for
from securefl.privacy.answers import StoredAnswer
from securefl.privacy.chain import Record
from securefl.privacy.concentrated import rho
from securefl.privacy.discrete import DiscreteGaussian
from securefl.privacy.events import (
    DistributedDiscreteGaussian,
    Event,
    Releases,
    SampledGaussian,
    event_from_text,
    event_text,
    releases,
    total,
    worst,
)
from securefl.privacy.expenses import Expense, epsilon_by_source, expenses
from securefl.privacy.ledger import Ledger, Release
from securefl.privacy.noise import gaussian, poisson_sample
from securefl.privacy.planning import BudgetRow, around_noise, around_rate, around_rounds, budget_table
from securefl.privacy.shares import share_for

__all__ = [
    "METHODS",
    "BudgetRow",
    "DiscreteGaussian",
    "DistributedDiscreteGaussian",
    "Event",
    "Expense",
    "Ledger",
    "Record",
    "Release",
    "Releases",
    "SampledGaussian",
    "StoredAnswer",
    "around_noise",
    "around_rate",
    "around_rounds",
    "budget_table",
    "cross_checked_epsilon",
    "epsilon",
    "epsilon_by_source",
    "event_from_text",
    "event_text",
    "expenses",
    "gaussian",
    "noise_multiplier_for",
    "poisson_sample",
    "releases",
    "rho",
    "share_for",
    "total",
    "worst",
]
