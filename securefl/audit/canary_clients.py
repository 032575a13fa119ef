"""The one-shot audit of a run config with unit `client`: canary clients in the run's own sums.

All honest members of a sum are canaries (`client.HonestSum`, h of them): each sends a random direction, well
beyond the clip. Their cosines with the sum that is released are held against those of directions that nobody
sent. A config with few honest members per sum needs several sums, each with canaries of its own.

Rules kept here: `one_shot`'s. A direction that nobody sent is independent of the sum, so its cosine is
distributed just as a canary's would be whose update had been replaced by zeros.

What this file does NOT do: wait for a training run to end. Every sum is one release, at the initial model.

Reference: Andrew et al. 2023, "One-shot Empirical Privacy Estimation for Federated Learning".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from securefl.audit.client import canary_update, client_claim, honest_sum
from securefl.audit.family import approximate
from securefl.audit.one_shot import cosines, directions, one_shot
from securefl.audit.subject import Audit, Moved, half_error
from securefl.audit.two_world import FEWEST, Scores, two_world
from securefl.crypto.randomness import Randomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms

_ABSENT = 2
"""Directions that nobody sent, per canary."""


def one_shot_audit(
    terms: Terms, randomness: Randomness, canaries: int, confidence: float, moved: Moved | None = None
) -> Audit:
    """The lower bounds and the estimate that so many canary clients give.

    Raises:
        ConfigError: the config promises nothing about a client, or too few canaries.
    """
    claim, half = client_claim(terms, 0), half_error(confidence)
    if canaries < FEWEST:
        raise ConfigError(f"expected at least {FEWEST} canaries, got {canaries}", "canaries")
    present, absent, sums = played(terms, randomness, canaries, moved)
    found = one_shot(present, absent, terms.dim, claim.one, half)
    return Audit(
        claim=claim,
        lower=replace(found.bound, assumes=f"{found.bound.assumes}, and that cosines are independent"),
        lower_any=replace(
            two_world(absent, present, approximate(claim.one.delta), half),
            assumes="that cosines are independent",
        ),
        whole_run=False,
        sampled=f"{len(present)} canary clients in {sums} sums, {len(absent)} directions in none",
        confidence=confidence,
        estimate=found.estimate,
    )


def played(
    terms: Terms, randomness: Randomness, canaries: int, moved: Moved | None = None
) -> tuple[Scores, Scores, int]:
    """Cosines of at least so many canaries, of directions that nobody sent, and the number of sums."""
    known, random = honest_sum(terms, randomness), np.random.default_rng(2)  # public after the run
    members = len(known.members)
    sums = -(-canaries // members)
    present, absent = [], []
    for number in range(sums):
        sent = directions(members, terms.dim, random)
        total = known.with_updates(*(canary_update(terms, one) for one in sent)).release(number)
        present.append(cosines(total, sent))
        absent.append(cosines(total, directions(_ABSENT * members, terms.dim, random)))
        if moved is not None:
            moved(number + 1, sums, "sums")
    return np.concatenate(present), np.concatenate(absent), sums
