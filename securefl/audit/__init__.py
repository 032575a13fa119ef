"""Audits: lower bounds on epsilon from what a mechanism really released.

    scores = ...                                    # of independent draws, without and with one record
    found = two_world(*scores, gaussian(delta=1e-5), confidence=0.99)
    print(found.epsilon, "<= epsilon, of at most", found.ceiling, "that this audit could say")

The accountant bounds epsilon from above, an audit from below. If they cross, the mechanism does not do what
its event says.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from securefl.audit.bound import LowerBound
from securefl.audit.family import (
    Family,
    approximate,
    gaussian,
    gaussian_epsilon,
    sampled_gaussian,
    shared_noise,
)
from securefl.audit.one_run import Guesses, guess, one_run, one_run_curve
from securefl.audit.one_shot import OneShot, cosines, directions, one_shot
from securefl.audit.subject import Audit, Claim, Draw, Subject, audit
from securefl.audit.two_world import two_world

if TYPE_CHECKING:
    from securefl.audit.client import client_subject
    from securefl.audit.example import example_subject

__all__ = [
    "Audit",
    "Claim",
    "Draw",
    "Family",
    "Guesses",
    "LowerBound",
    "OneShot",
    "Subject",
    "approximate",
    "audit",
    "client_subject",
    "cosines",
    "directions",
    "example_subject",
    "gaussian",
    "gaussian_epsilon",
    "guess",
    "one_run",
    "one_run_curve",
    "one_shot",
    "sampled_gaussian",
    "shared_noise",
    "two_world",
]


_OF_RUNS = {"client_subject": "client", "example_subject": "example"}
"""They build a run; the statistics alone, which threat models use as well, do without."""


def __getattr__(name: str) -> object:
    if name not in _OF_RUNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OF_RUNS[name]}"), name)
