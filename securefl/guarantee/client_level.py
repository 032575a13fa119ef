"""What noise shared among clients promises, in plain sentences for the card.

Rules kept here: every number is the run's own: the event that is charged, the encoding that encodes.

What this file does NOT do: size anything (`noisy_sum`, `terms`).
"""

from __future__ import annotations

from math import exp, sqrt

from securefl.config import Config
from securefl.encoding import AdaptiveClip, NoisyFixedPoint
from securefl.guarantee.statement import neighbouring_relation
from securefl.guarantee.terms import Budget, Terms
from securefl.privacy.events import DistributedDiscreteGaussian


def client_level(terms: Terms, budget: Budget, event: DistributedDiscreteGaussian) -> list[str]:
    """The unit, the spending, the accountant, the mechanism, and whom it protects from whom."""
    config = terms.config
    return [
        f"Unit: one client with all its examples. Neighbouring relation: {neighbouring_relation(config)}.",
        f"Each client spends at most epsilon = {budget.epsilon:.3f} at delta = {budget.delta:g} over the "
        f"whole run: {budget.releases} vectors sent ({config.server.rounds} rounds and "
        f"{config.privacy.spare_releases} spare ones), counted as if it took part in all of them.",
        f"Accountant: {budget.accountant.upper()} of dp-accounting, with the published bound for sums of "
        "discrete Gaussians. No sampling: full participation is accounted.",
        _mechanism(terms, event),
        *(_by_a_trusted_server() if config.central_noise else _by_clients(config, event)),
        *_adaptive(terms, event),
        _price(terms, event),
    ]


def _split(config: Config) -> str:
    shape = config.secure_aggregation.shape(config.smallest_group)
    if shape.holders == config.smallest_group:
        return ""
    return ", but for the chance below that one who picks the dropouts splits a sum, in each round"


def _mechanism(terms: Terms, event: DistributedDiscreteGaussian) -> str:
    encoding = terms.encoding
    norm = f"L2 norm {encoding.clip_norm:g}"
    if adaptive_clip(terms) is not None:
        norm = f"the clip of the round ({encoding.clip_norm:g} in the first)"
    where = "every group sum gets" if terms.config.central_noise else "gets, before its mask,"
    rotated = "rotated by public random signs and a Hadamard transform, " if is_rotated(terms) else ""
    return (
        f"Mechanism: a client's update is clipped to {norm}, {rotated}rounded at random to steps of "
        f"{encoding.step:.3g} within a norm of {sqrt(event.squared_sensitivity):.1f} steps, and {where} "
        f"discrete Gaussian noise of {event.sigma:.1f} steps on each of {event.length:,} coordinates. The "
        "noise is exact (integers, no floating-point error to add to delta), from a stream cipher keyed by "
        "the operating system. A client whose training fails sends zeros: silence would say something about "
        "its data."
    )


def _by_clients(config: Config, event: DistributedDiscreteGaussian) -> list[str]:
    return [
        f"Every client adds its share. They are sized for h = {event.shares} shares: the "
        f"{config.fewest_survivors} survivors that every opened sum has at least, less "
        f"{config.secure_aggregation.max_colluding} that may collude with the server and "
        f"{config.robust.max_malicious} that may poison, whose noise counts for nothing. Members beyond them "
        "only add to it.",
        "This epsilon covers every sum that the server opens, and so whoever sees sums or the model: the "
        f"server, honest or not, with at most {config.secure_aggregation.max_colluding} members of the "
        "group, other clients, a reader of the model. It does not cover a client's vector before it is "
        f"masked, and it leans on the masks: the server never sees a sum without its noise{_split(config)}.",
    ]


def _by_a_trusted_server() -> list[str]:
    return [
        "TRUSTED SERVER: the server adds the noise, and it sees every sum before that. Nothing here protects "
        "a client from the server, or from whoever reads its memory.",
        "This epsilon covers what the server makes of noisy sums: the model, and so other clients and every "
        "reader of the model.",
    ]


def _adaptive(terms: Terms, event: DistributedDiscreteGaussian) -> list[str]:
    rule, members = adaptive_clip(terms), terms.config.smallest_group
    if rule is None:
        return []
    noise = event.sigma * sqrt(1 if terms.config.central_noise else members) / members
    told = noise / (2.0 * rule.bit_share * ((1 << (terms.encoding.bits - 1)) - 1))
    return [
        "Adaptive clip: one more coordinate, inside the same bound and under the same noise, says whether "
        "the update was within the clip. So a vector costs the epsilon above and no more, whatever clip a "
        "server tells; steps and noise are parts of the clip and move with it. The next clip follows from "
        f"noisy sums alone and is public: it moves towards the norm that {rule.quantile:g} of the updates "
        f"are within, by a factor of at most {_most(rule):.3g} per round, and stays from {rule.lowest:.3g} "
        f"to {rule.highest:.3g}.",
        f"Price of the adaptive clip: in units of the clip, noise on updates is "
        f"{100 * (1 / rule.kept - 1):.2g} % larger. What a full group of {members} tells has noise of "
        f"{told:.2g}"
        + (f"; of {terms.config.groups} groups the median counts." if terms.config.groups > 1 else "."),
    ]


def adaptive_limits(terms: Terms) -> list[str]:
    """What a clip that moves does not promise."""
    rule = adaptive_clip(terms)
    if rule is None:
        return []
    return [
        "The adaptive clip is a norm, no promise of accuracy. Bits that lie move it: while malicious groups "
        "are fewer than half, no further than what honest groups' noisy sums say; from then on by a factor "
        f"of up to {_most(rule):.3g} in every round, within its limits.",
    ]


def adaptive_clip(terms: Terms) -> AdaptiveClip | None:
    """How the clip moves; None where it stays."""
    return terms.encoding.adaptive if isinstance(terms.encoding, NoisyFixedPoint) else None


def _most(rule: AdaptiveClip) -> float:
    return exp(rule.learning_rate * max(rule.quantile, 1.0 - rule.quantile))


def _price(terms: Terms, event: DistributedDiscreteGaussian) -> str:
    config, members = terms.config, terms.config.smallest_group
    samples = 1 if config.central_noise else members
    deviation = event.sigma * terms.encoding.step * sqrt(samples) / members
    small = (
        f" Small groups cost: the mean of all {config.groups} groups is about {sqrt(config.groups):.2g} "
        "times as noisy as that of one group that guarantees the same part of its members."
    )
    moves = "" if adaptive_clip(terms) is None else " at the first clip, and in proportion at others"
    return (
        f"Price: the mean of a full group of {members} carries noise of {deviation:.3g} on every coordinate, "
        f"L2 norm about {deviation * sqrt(terms.encoding.dim):.3g}, beside updates of norm at most "
        f"{terms.encoding.clip_norm:g}{moves}.{small if config.groups > 1 else ''}"
    )


def is_rotated(terms: Terms) -> bool:
    """Whether updates are rotated before they are rounded."""
    return terms.encoding.rotation is not None
