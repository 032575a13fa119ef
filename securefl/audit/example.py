"""The subject of a run config with unit `example`: one client's release of one round, as it is encoded.

A draw is the client's own contribution (`securefl.federation.LocalUpdate`): Poisson samples, clipped sums and
noise by the run's learner, then its clip and its encoding. Masks cancel in the sum, so to whoever knows the
other members' contributions the words are what the masked sum shows; a test holds both to the same bits.

The data sets of the two worlds are a few of the client's own examples, and the same with one canary more. The
promise is about any data, so few is as good as many, and quicker. The canary is the strongest of some
candidates: orthogonal to the other examples, with a gradient beyond the clip.

Rules kept here:
- Nothing of the mechanism is written again here: clip, noise, sampling and encoding are called.
- The canary is in the data; whether it is in a batch is the run's own Poisson draw. So the claim that is
  tested is the sampled one, and a canary that is always in would show up as an alarm.
- There are two scores: the release along the direction in which the canary moves the update when there is no
  noise, and the length of the rest, in which noise shows that depends on the data. Knowing that direction
  costs no privacy; the adversary may know everything but the coin.

What this file does NOT do: search for the worst data set, model or round. The model is the initial one, which
a malicious server might send every time.

Reference: Nasr et al. 2021, "Adversary Instantiation" (gradient canaries); Nasr et al. 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from securefl.audit.family import sampled_gaussian
from securefl.audit.subject import Claim, Subject
from securefl.building import build_learner, local_update
from securefl.crypto.randomness import Randomness, SeededRandomness
from securefl.data.examples import NONE, Dataset, Examples
from securefl.encoding import FixedPoint
from securefl.errors import ConfigError
from securefl.federation.broadcast import first_broadcast
from securefl.federation.contribution import LocalUpdate, Words
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Budget, Terms
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import SampledGaussian

if TYPE_CHECKING:
    from torch import nn

Vector = NDArray[np.float64]

COMPANIONS = 8
"""Examples of the client that train beside the canary."""
_SCALES = (1.0, 4.0, 16.0)
_TEXTS = 4
_NO_NOISE = 1e-9
_SAME = 0.99


def example_subject(
    terms: Terms,
    randomness: Randomness,
    client: int = 0,
    companions: int = COMPANIONS,
    model: nn.Module | None = None,
    tried: Iterable[Examples] | None = None,
) -> Subject:
    """The audit's subject of a settled run.

    Args:
        terms: of the run; its budget is the claim.
        randomness: where the draws' noise, samples and rounding come from.
        client: whose release it is.
        companions: how many of its examples train beside the canary, at most.
        model: the caller's own module; built from the config if None.
        tried: canaries to choose from; `candidates` if None, which suit features that are any numbers.

    Raises:
        ConfigError: the config promises nothing about an example, so there is nothing to audit.
    """
    claim = example_claim(terms, client)
    learner, initial = build_learner(terms, model)
    honest = local_update(terms, client, randomness, learner, Stopwatch())
    few = honest.examples.take(np.arange(min(companions, len(honest.examples))))
    canary, direction = strongest_canary(terms, client, few, model, tried)
    worlds = (replace(honest, examples=few), replace(honest, examples=joined(few, canary)))
    words = first_broadcast(initial, terms.encoding)

    def draw(there: bool, number: int) -> tuple[float, float]:
        return scored(released(honest, worlds[there](words, 2 * number + there)), direction)

    return Subject(draw, claim)


def example_claim(terms: Terms, client: int) -> Claim:
    """What the accountant says of a client's releases.

    Raises:
        ConfigError: the config promises nothing about an example.
    """
    budget, event = promised(terms)
    return Claim(
        one=sampled_gaussian(event, 1, budget.delta),
        run=sampled_gaussian(event, budget.releases, budget.delta),
        upper=epsilon(((event, 1),), budget.delta, budget.accountant),
        upper_run=budget.epsilon,
        unit=f"one example of client {client}",
    )


def released(update: LocalUpdate, words: Words) -> Vector:
    """What the words of one client say of its update. Shapes: (encoding.length,) -> (dim,)."""
    encoding = update.encoding
    weighted = isinstance(encoding, FixedPoint) and encoding.weighted
    weight = None if weighted else update.weight / encoding.cap
    return encoding.decode(words, 1, weight)[0]


def scored(release: Vector, direction: Vector) -> tuple[float, float]:
    """How far a release goes along a unit vector, and the length of the rest. Shapes: (dim,), (dim,)."""
    along = float(release @ direction)
    return along, float(np.linalg.norm(release - along * direction))


def strongest_canary(
    terms: Terms,
    client: int,
    beside: Examples,
    model: nn.Module | None = None,
    tried: Iterable[Examples] | None = None,
) -> tuple[Examples, Vector]:
    """The candidate that moves the update furthest without noise, and the unit vector along which it does.

    Of candidates that are as good, the one with the smallest features. Shapes: one example, (dim,).

    Raises:
        ConfigError: no candidate moves the update.
    """
    # Replayable, because nothing of this search is released.
    calm = calm_update(terms, client, model)
    before = calm(beside)
    best, moved = None, np.zeros_like(before)
    data = terms.dataset
    if tried is None:
        tried = texts(beside, data) if data.vocabulary else candidates(beside, data.classes)
    for candidate in tried:
        shift = calm(joined(beside, candidate)) - before
        if np.linalg.norm(shift) * _SAME > np.linalg.norm(moved):
            best, moved = candidate, shift
    if best is None:
        raise ConfigError("no example moves this model, so an audit would see nothing; train it", "model")
    return best, moved / np.linalg.norm(moved)


def candidates(beside: Examples, classes: int) -> Iterator[Examples]:
    """Examples orthogonal to the others, of growing size, of every class."""
    shape = beside.features.shape[1:]
    random = np.random.default_rng(0)  # public: which record is tried is no secret
    drawn = random.standard_normal(int(np.prod(shape)))
    others = beside.features.reshape(len(beside), drawn.size).astype(np.float64)
    if 0 < len(others) < drawn.size:
        basis, _ = np.linalg.qr(others.T)
        drawn -= basis @ (basis.T @ drawn)
    drawn /= np.linalg.norm(drawn)
    for scale in _SCALES:
        features = (scale * drawn).reshape(1, *shape).astype(np.float32)
        for label in range(classes):
            yield Examples(features, np.array([label], dtype=np.int64))


def texts(beside: Examples, data: Dataset) -> Iterator[Examples]:
    """Texts of random tokens of every class, or with their second half as the answer."""
    random = np.random.default_rng(0)
    for _ in range(_TEXTS):
        tokens = random.integers(0, data.vocabulary, (1, *beside.shape))
        features = tokens.astype(np.float32)
        if data.task == "causal_lm":
            answer = np.where(np.arange(tokens.shape[1]) >= tokens.shape[1] // 2, tokens, NONE)
            yield Examples(features, answer)
        else:
            yield from (
                Examples(features, np.array([label], dtype=np.int64)) for label in range(data.classes)
            )


def joined(some: Examples, more: Examples) -> Examples:
    """All examples of both."""
    return Examples(
        np.concatenate([some.features, more.features]), np.concatenate([some.labels, more.labels])
    )


def calm_update(terms: Terms, client: int, model: nn.Module | None = None) -> Callable[[Examples], Vector]:
    """The client's own training without noise to speak of, and with all that it is given in every batch."""
    budget, event = promised(terms)
    calm = replace(
        terms,
        config=terms.config.model_copy(
            update={"training": terms.config.training.model_copy(update={"sample_rate": 1.0})}
        ),
        budget=replace(budget, event=replace(event, noise_multiplier=_NO_NOISE, sample_rate=1.0)),
    )
    learner, initial = build_learner(calm, model)
    update = local_update(calm, client, SeededRandomness(b"no noise"), learner, Stopwatch())
    return lambda examples: replace(update, examples=examples).update(initial, 0)


def promised(terms: Terms) -> tuple[Budget, SampledGaussian]:
    """The budget of a run with unit `example`, and what one of its releases costs.

    Raises:
        ConfigError: the config promises nothing about an example.
    """
    budget = terms.budget
    if budget is None or not isinstance(budget.event, SampledGaussian):
        raise ConfigError(
            f"expected unit 'example', whose release is one client's own, got {terms.config.privacy.unit!r}; "
            "for 'client' use client_subject, and 'none' promises nothing",
            "privacy.unit",
        )
    return budget, budget.event
