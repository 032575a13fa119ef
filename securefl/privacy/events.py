"""Privacy events: frozen descriptions of what one release cost, and nothing else.

Rules kept here:
- A closed set with two members. An event that is not known here is refused, never guessed.
- Events are values: equal events have equal text, so what the ledger stores is what is accounted.
- `Releases` is canonical (merged, sorted, no zero counts): equal spendings are equal tuples.

What this file does NOT do: compute epsilon (`accountant`) or remember what was spent (`ledger`).
Amplification is claimed for Poisson sampling only, because that is what `noise.poisson_sample`
does; there is deliberately no event for shuffled or fixed-size batches.

Reference: Abadi et al. 2016, "Deep Learning with Differential Privacy", section 3 (sampled Gaussian);
Kairouz, Liu and Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure
Aggregation", algorithms 1 and 2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from securefl.errors import PrivacyError

SAMPLED_GAUSSIAN = "sampled_gaussian"
DISTRIBUTED_DISCRETE_GAUSSIAN = "distributed_discrete_gaussian"
SMALLEST_SHARE = 0.5
"""Smallest sigma of a share for which the bound on sums of discrete Gaussians is proven."""


@dataclass(frozen=True, order=True)
class SampledGaussian:
    """`steps` noisy sums, each over a fresh Poisson sample of one party's examples.

    Neighbouring relation: add or remove one example.

    Assumes:
        every example's share of a sum has L2 norm at most C, the noise has standard deviation
        `noise_multiplier` * C per coordinate, each example is in a step's sample independently with
        probability `sample_rate`, and an empty sample is released as noise like any other.

    Attributes:
        noise_multiplier: standard deviation of the noise in units of the clip norm; above 0.
        sample_rate: probability of each example per step, in (0, 1]; 1 is the plain Gaussian.
        steps: noisy sums in one release, at least 1.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        noise, rate = self.noise_multiplier, self.sample_rate
        if type(noise) is bool or not (math.isfinite(noise) and noise > 0):
            raise PrivacyError(
                f"noise_multiplier must be a finite number above 0, got {noise!r}; "
                "without noise there is no finite epsilon to account for"
            )
        if type(rate) is bool or not 0 < rate <= 1:
            raise PrivacyError(
                f"sample_rate must lie in (0, 1], got {rate!r}; 1 means every example, every step"
            )
        if type(self.steps) is not int or self.steps < 1:
            raise PrivacyError(f"steps must be an integer of at least 1, got {self.steps!r}")
        object.__setattr__(self, "noise_multiplier", float(noise))
        object.__setattr__(self, "sample_rate", float(rate))


@dataclass(frozen=True, order=True)
class DistributedDiscreteGaussian:
    """One vector of integers that leaves a client inside a sum, and the noise which that sum has for sure.

    Neighbouring relation: replace the update of one client by zeros (zero-out). That the client takes part,
    and its share of the noise, stay.

    Assumes:
        the vector has a squared L2 norm of at most `squared_sensitivity` before noise; nothing of it is seen
        but the sum; and on every coordinate that sum has at least `shares` independent discrete Gaussians of
        scale `sigma` which the observer does not know. More of them only help: that is post-processing.

    Attributes:
        sigma: scale of one share, in the vector's integer steps; at least 0.5.
        shares: shares of honest members that every opened sum is guaranteed to have, at least 1.
        squared_sensitivity: of one member's vector, after rounding.
        length: coordinates of the vector.
    """

    sigma: float
    shares: int
    squared_sensitivity: int
    length: int

    def __post_init__(self) -> None:
        if type(self.sigma) is bool or not (math.isfinite(self.sigma) and self.sigma >= SMALLEST_SHARE):
            raise PrivacyError(
                f"sigma of a share must be a finite number of at least {SMALLEST_SHARE} steps, got "
                f"{self.sigma!r}; below it no bound is proven for sums: use more bits, for smaller steps"
            )
        for name in ("shares", "squared_sensitivity", "length"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise PrivacyError(f"{name} must be an integer of at least 1, got {value!r}")
        object.__setattr__(self, "sigma", float(self.sigma))


Event: TypeAlias = SampledGaussian | DistributedDiscreteGaussian
_KINDS: dict[str, type[Event]] = {
    SAMPLED_GAUSSIAN: SampledGaussian,
    DISTRIBUTED_DISCRETE_GAUSSIAN: DistributedDiscreteGaussian,
}

Releases: TypeAlias = tuple[tuple[Event, int], ...]
"""(event, how often), merged and sorted; the one form in which spendings are compared and accounted."""


def releases(pairs: Iterable[tuple[Event, int]]) -> Releases:
    """The canonical form of (event, count) pairs: equal events merged, sorted, zero counts dropped.

    Raises:
        PrivacyError: an event of unknown kind, or a count that is no integer of at least 0.

    Example:
        >>> step = SampledGaussian(1.0, 0.2, 5)
        >>> releases([(step, 2), (step, 1)]) == ((step, 3),)
        True
    """
    counts: dict[Event, int] = {}
    for event, count in pairs:
        _require_known(event)
        if type(count) is not int or count < 0:
            raise PrivacyError(f"a count of releases must be an integer of at least 0, got {count!r}")
        counts[event] = counts.get(event, 0) + count
    listed = [(event, count) for event, count in counts.items() if count]
    return tuple(sorted(listed, key=lambda pair: (type(pair[0]).__name__, pair)))


def total(*spendings: Releases) -> Releases:
    """All spendings together: counts add up."""
    return releases(pair for spending in spendings for pair in spending)


def worst(spendings: Iterable[Releases]) -> Releases:
    """The largest count per event: costs at least as much as each of the spendings alone."""
    counts: dict[Event, int] = {}
    for spending in spendings:
        for event, count in spending:
            counts[event] = max(counts.get(event, 0), count)
    return releases(counts.items())


def event_text(event: Event) -> str:
    """The one text of an event, as the ledger stores it; floats round-trip exactly."""
    _require_known(event)
    kind = next(name for name, known in _KINDS.items() if type(event) is known)
    return json.dumps({"kind": kind, **asdict(event)}, separators=(",", ":"))


def event_from_text(text: str) -> Event:
    """The event that `event_text` wrote.

    Raises:
        PrivacyError: an unknown kind, missing or extra fields, or a text that is not canonical.
    """
    try:
        fields = json.loads(text)
        kind = fields.pop("kind")
        event = _KINDS[kind](**fields) if kind in _KINDS else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PrivacyError(
            f"not a privacy event: {text!r:.200}; the ledger was written by something else"
        ) from error
    if event is None:
        raise PrivacyError(
            f"unknown privacy event {kind!r}; this version accounts for {', '.join(_KINDS)} only, "
            "use the version of securefl that wrote it"
        )
    if event_text(event) != text:
        raise PrivacyError(f"privacy event not in canonical form: {text!r:.200}")
    return event


def _require_known(event: object) -> None:
    if type(event) not in _KINDS.values():
        raise PrivacyError(
            f"unknown privacy event {type(event).__name__}; expected SampledGaussian or "
            "DistributedDiscreteGaussian. What cannot be accounted for may not be released"
        )
