"""The subject of a run config with unit `client`: one opened sum, as its fiercest observer has it.

The observer knows everything of every member but the victim and those who are honest: the words of colluders
and poisoners it takes off the sum. What is left is the sum of h honest members' words, h the fewest that the
accountant charges for. A draw is that sum, by the members' own contributions
(`securefl.federation.LocalUpdate`) and, with noise of a server, by its own `CentralNoise`. Masks cancel; a
test holds a sum that was masked, with 40 % of its members gone, to the same bits.

The two worlds are the neighbouring ones of the accountant, zero-out: the victim's update is four times as
long as the clip, or zeros; its share of the noise is in both. The other honest members send what they learn.

Rules kept here:
- Nothing of the mechanism is written again here: clip, rotation, rounding, noise, ring and decoding are
  called. Only training is replaced, by an update that is known beforehand: the promise is about any.
- The update lies along a random direction, over all coordinates, so that a clip that is missing shows.

What this file does NOT do: hide that a client takes part, which is not promised; or play the rounds of a
run: releases are independent, and one is audited.

Reference: Kairouz, Liu and Steinke 2021, section 2 (zero-out); Nasr et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from securefl.audit.example import scored
from securefl.audit.family import shared_noise
from securefl.audit.subject import Claim, Subject
from securefl.building import build_learner, central_noise, local_update
from securefl.crypto.randomness import Randomness, Stream
from securefl.data.examples import Examples
from securefl.errors import ConfigError
from securefl.federation.broadcast import first_broadcast
from securefl.federation.central_noise import CentralNoise
from securefl.federation.contribution import LocalUpdate, Words
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Budget, Terms
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import DistributedDiscreteGaussian

if TYPE_CHECKING:
    from torch import nn

Vector = NDArray[np.float64]

_BEYOND = 4.0
"""Length of the victim's update in clip norms."""


@dataclass(frozen=True)
class Learnt:
    """A trainer that gives an update which is known beforehand. Shapes: (dim,)."""

    update: Vector

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> Vector:
        """The update. Shapes: (dim,) -> (dim,)."""
        return self.update


@dataclass(frozen=True)
class HonestSum:
    """What the observer is left with of one group's sum.

    Attributes:
        members: the honest ones whose words are in it.
        noise: of a trusted server; None where members add theirs.
        model: that was sent out, as bytes.
    """

    members: tuple[LocalUpdate, ...]
    noise: CentralNoise | None
    model: bytes

    def words(self, number: int) -> Words:
        """The words of one sum; those of other numbers have noise of their own. Shapes: (length,)."""
        total = self.members[0](self.model, number)
        for member in self.members[1:]:
            total += member(self.model, number)
        return total if self.noise is None else self.noise(total, number, 0, 0)

    def release(self, number: int) -> Vector:
        """Their mean, decoded. Shapes: (dim,)."""
        return self.members[0].encoding.decode(self.words(number), len(self.members))[0]

    def with_updates(self, *updates: Vector) -> HonestSum:
        """The same where the first members have learnt these. Shapes: (dim,) each."""
        told = (replace(one, trainer=Learnt(new)) for one, new in zip(self.members, updates, strict=False))
        return replace(self, members=(*told, *self.members[len(updates) :]))


def client_subject(
    terms: Terms,
    randomness: Randomness,
    client: int = 0,
    shares: int | None = None,
    model: nn.Module | None = None,
) -> Subject:
    """The audit's subject of a settled run with unit `client`.

    Args:
        terms: of the run; its budget is the claim.
        randomness: where noise and rounding come from.
        client: the victim.
        shares: honest members in the sum; the fewest that are guaranteed if None.
        model: the caller's own module; built from the config if None.

    Raises:
        ConfigError: the config promises nothing about a client, or fewer shares than it guarantees.
    """
    claim = client_claim(terms, client)
    known = honest_sum(terms, randomness, client, shares, model)
    direction = unit_vector(terms.dim, np.random.default_rng(0))  # public: which update is tried is no secret
    update = canary_update(terms, direction)
    worlds = (known.with_updates(np.zeros(terms.dim)), known.with_updates(update))

    def draw(there: bool, number: int) -> tuple[float, float]:
        return scored(worlds[there].release(2 * number + there), direction)

    return Subject(draw, claim)


def client_claim(terms: Terms, client: int) -> Claim:
    """What the accountant says of the sums that hold a client's vectors.

    Raises:
        ConfigError: the config promises nothing about a client.
    """
    budget, event = _promised(terms)
    return Claim(
        one=shared_noise(event, 1, budget.delta),
        run=shared_noise(event, budget.releases, budget.delta),
        upper=epsilon(((event, 1),), budget.delta, budget.accountant),
        upper_run=budget.epsilon,
        unit=f"client {client} with all its examples",
    )


def honest_sum(
    terms: Terms,
    randomness: Randomness,
    client: int = 0,
    shares: int | None = None,
    model: nn.Module | None = None,
) -> HonestSum:
    """The sum of a client and the next honest ones, each of which trains once.

    Raises:
        ConfigError: fewer shares than are guaranteed, or more than a group has members.
    """
    fewest, clients = terms.config.honest_shares, terms.config.clients
    most = min(clients, terms.encoding.members)
    count = fewest if shares is None else shares
    if not fewest <= count <= most:
        raise ConfigError(f"expected {fewest} to {most} honest shares, got {count}", "shares")
    learner, initial = build_learner(terms, model)
    members = tuple(
        local_update(terms, (client + place) % clients, randomness, learner, Stopwatch())
        for place in range(count)
    )
    untrained = HonestSum(members, central_noise(terms, randomness), first_broadcast(initial, terms.encoding))
    return untrained.with_updates(*(one.update(initial, 0) for one in members))


def canary_update(terms: Terms, direction: Vector) -> Vector:
    """What a client sends who wants to be seen: well beyond the clip. Shapes: (dim,) -> (dim,)."""
    return _BEYOND * terms.encoding.clip_norm * direction


def unit_vector(dim: int, random: np.random.Generator) -> Vector:
    """A vector of length 1, uniform on the sphere. Shapes: (dim,)."""
    drawn = random.standard_normal(dim)
    return np.asarray(drawn / np.linalg.norm(drawn))


def _promised(terms: Terms) -> tuple[Budget, DistributedDiscreteGaussian]:
    budget = terms.budget
    if budget is None or not isinstance(budget.event, DistributedDiscreteGaussian):
        raise ConfigError(
            f"expected unit 'client', whose release is a group's sum, got {terms.config.privacy.unit!r}; for "
            "'example' use example_subject, and 'none' promises nothing",
            "privacy.unit",
        )
    return budget, budget.event
