"""Audits: lower bounds on epsilon from what a mechanism really released.

    scores = ...                                    # of independent draws, without and with one record
    found = two_world(*scores, gaussian(delta=1e-5), confidence=0.99)
    print(found.epsilon, "<= epsilon, of at most", found.ceiling, "that this audit could say")

The accountant bounds epsilon from above, an audit from below. If they cross, the mechanism does not do what
its event says.
"""

from securefl.audit.bound import LowerBound
from securefl.audit.family import Family, approximate, gaussian, gaussian_epsilon, sampled_gaussian
from securefl.audit.one_run import Guesses, guess, one_run, one_run_curve
from securefl.audit.one_shot import OneShot, cosines, directions, one_shot
from securefl.audit.two_world import two_world

__all__ = [
    "Family",
    "Guesses",
    "LowerBound",
    "OneShot",
    "approximate",
    "cosines",
    "directions",
    "gaussian",
    "gaussian_epsilon",
    "guess",
    "one_run",
    "one_run_curve",
    "one_shot",
    "sampled_gaussian",
    "two_world",
]
