"""The one-run audit of a run config with unit `example`: one client plays its whole run on canaries.

The client's data are canaries alone, each in by the toss of a coin; the promise is about any data. It makes
all releases of the run, by its own contribution (`securefl.federation.LocalUpdate`). Whoever looks knows how
every canary by itself moves an update without noise, and reads from the sum of the releases by ridge
regression how much of each is in it.

Rules kept here: `one_run`'s. A third of the canaries is guessed, settled beforehand.

What this file does NOT do: let the model move on between releases. A malicious server might send the initial
one every time, and so it is here.

Reference: Steinke, Nasr and Jagielski 2023, "Privacy Auditing with One (1) Training Run".
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.audit.example import calm_update, example_claim, promised, released, strongest_canary
from securefl.audit.one_run import Guesses, guess, one_run, one_run_curve
from securefl.audit.subject import Audit, Moved, half_error
from securefl.building import build_learner, local_update
from securefl.crypto.randomness import Randomness
from securefl.data.examples import Examples
from securefl.errors import ConfigError
from securefl.federation.broadcast import first_broadcast
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms

Vector = NDArray[np.float64]

FEWEST = 3
"""Canaries: one is guessed."""
_GUESSED = 3
"""One of so many canaries: near the best for 100 to 500 ideal ones at epsilon 4 to 8."""


def one_run_audit(
    terms: Terms,
    randomness: Randomness,
    canaries: int,
    confidence: float,
    client: int = 0,
    moved: Moved | None = None,
) -> Audit:
    """The lower bounds that one run with so many canaries gives.

    Guarantee: where the mechanism is as accounted, `refuted` is true with probability at most 1 - confidence.

    Raises:
        ConfigError: the config promises nothing about an example, or too few canaries.
    """
    claim, half = example_claim(terms, client), half_error(confidence)
    if canaries < FEWEST:
        raise ConfigError(f"expected at least {FEWEST} canaries, got {canaries}", "canaries")
    guesses = played(terms, randomness, canaries, client, moved)
    return Audit(
        claim=claim,
        lower=one_run_curve(guesses, claim.run, half),
        lower_any=one_run(guesses, claim.run.delta, half),
        whole_run=True,
        sampled=f"{guesses.correct} of {guesses.made} guesses right about {canaries} canaries in one run of "
        f"{promised(terms)[0].releases} releases",
        confidence=confidence,
    )


def played(
    terms: Terms, randomness: Randomness, canaries: int, client: int = 0, moved: Moved | None = None
) -> Guesses:
    """One run on the canaries that the coins put in, and what is guessed from its releases."""
    budget, event = promised(terms)
    included = randomness.stream("coins").uniforms(canaries) < 0.5
    examples = canary_examples(terms, client, canaries)
    learner, initial = build_learner(terms)
    honest = local_update(terms, client, randomness, learner, Stopwatch())
    inside = replace(honest, examples=examples.take(np.flatnonzero(included)))
    calm = calm_update(terms, client)
    alone = np.stack([calm(examples.take(np.array([at]))) for at in range(canaries)])
    model, seen = first_broadcast(initial, terms.encoding), np.zeros(terms.dim)
    for number in range(budget.releases):
        seen += released(inside, inside(model, number))
        if moved is not None:
            moved(number + 1, budget.releases, "releases")
    seen /= budget.releases * event.sample_rate
    noise = event.noise_multiplier / event.sample_rate / sqrt(event.steps * budget.releases)
    return guess(amounts(seen, alone, noise), included, canaries // _GUESSED)


def amounts(seen: Vector, alone: Vector, noise: float) -> Vector:
    """How much of each canary is in a vector, by ridge regression. Shapes: (dim,), (n, dim) -> (n,).

    It is the best linear guess at coins of variance 1/4 under noise of so many canaries' length.
    """
    shared = alone @ alone.T
    shared[np.diag_indices_from(shared)] += 4.0 * noise**2 * shared.diagonal().mean()
    return np.asarray(np.linalg.solve(shared, alone @ (seen - alone.sum(axis=0) / 2.0)))


def canary_examples(terms: Terms, client: int, count: int) -> Examples:
    """Examples of all classes in random directions, as large as the strongest canary."""
    shape, nothing = terms.dataset.train.features.shape[1:], terms.dataset.train.take(np.arange(0))
    strongest, _ = strongest_canary(terms, client, nothing)
    random = np.random.default_rng(1)  # public: which records are tried is no secret
    drawn = random.standard_normal((count, int(np.prod(shape))))
    drawn *= np.linalg.norm(strongest.features) / np.linalg.norm(drawn, axis=1, keepdims=True)
    labels = np.arange(count, dtype=np.int64) % terms.dataset.classes
    return Examples(drawn.reshape(count, *shape).astype(np.float32), labels)
