"""The guarantee card: what THIS configuration promises in plain words, and what it does not.

Rules kept here:
- Every number is one of the run's own `Terms`, or follows from its config (`abandonment`).
- Epsilon never stands alone: unit, neighbouring relation, delta, sampler and accountant go with it.
- What is not promised has its own section, on every card.

What this file does NOT do: derive anything (`terms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from securefl.config import Config
from securefl.guarantee.abandonment import abandon_probability
from securefl.guarantee.base_model import base_hash
from securefl.guarantee.client_level import adaptive_clip, adaptive_limits, client_level, is_rotated
from securefl.guarantee.rules import at_the_limit, bears, steps_text
from securefl.guarantee.statement import neighbouring_relation
from securefl.guarantee.terms import Budget, Terms
from securefl.guarantee.wire import traffic_sentence
from securefl.privacy.events import DistributedDiscreteGaussian, SampledGaussian
from securefl.secagg import Shape, split_probability


@dataclass(frozen=True)
class Card:
    """The guarantee card: plain sentences under plain headings.

    Attributes:
        title: name of the run.
        sections: heading -> sentences.
    """

    title: str
    sections: dict[str, list[str]]

    def markdown(self) -> str:
        """The card as Markdown."""
        parts = [f"# What the run '{self.title}' promises, and what it does not\n"]
        for heading, sentences in self.sections.items():
            parts.append(f"## {heading}\n")
            parts.extend(f"- {sentence}" for sentence in sentences)
            parts.append("")
        return "\n".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The card as plain JSON values."""
        return {"title": self.title, "sections": self.sections}


def card(terms: Terms, private: bool = True) -> Card:
    """The guarantee card of a run.

    Args:
        terms: what `settle` derived.
        private: False for runs under the replayable test source, which promise nothing.
    """
    sections = {
        "Privacy of the training data": _privacy_lines(terms, private),
        "What the server sees": _server_lines(terms, private),
        "Malicious clients": _robust_lines(terms),
        "Dropouts": _dropout_lines(terms),
        "Cost": _cost_lines(terms),
        "Not promised": _limits(terms),
    }
    return Card(terms.config.name, sections)


def _privacy_lines(terms: Terms, private: bool) -> list[str]:
    budget = terms.budget
    if not private:
        return [
            "NOT PRIVATE: this run draws keys, masks and noise from a replayable test source. Epsilon is "
            "infinite."
        ]
    if budget is None:
        return ["No differential privacy: epsilon is infinite. Updates can reveal single training examples."]
    event = budget.event
    return [
        *(
            client_level(terms, budget, event)
            if isinstance(event, DistributedDiscreteGaussian)
            else _example_level(terms, budget, event)
        ),
        f"Ledger: {terms.config.privacy.ledger or 'kept with this run, for clients are simulated'}; it lets "
        f"this data reach epsilon {budget.cap:g} over all runs recorded in it.",
        *terms.dataset.caveats,
    ]


def _example_level(terms: Terms, budget: Budget, event: SampledGaussian) -> list[str]:
    training = terms.config.training
    return [
        f"Unit: one training example. Neighbouring relation: {neighbouring_relation(terms.config)}.",
        f"Each client spends at most epsilon = {budget.epsilon:.3f} at delta = {budget.delta:g} over the "
        f"whole run: {budget.releases} releases ({terms.config.server.rounds} rounds and "
        f"{terms.config.privacy.spare_releases} spare ones) of {training.local_steps} noisy steps, counted "
        "as if it took part in all of them.",
        f"Accountant: {budget.accountant.upper()} of dp-accounting; RDP as cross-check gives "
        f"{budget.epsilon_rdp:.3f}. Sampling: Poisson with rate {training.sample_rate:g}, secret and really "
        "done, empty batches kept.",
        f"Mechanism: per-example gradients clipped to L2 norm {terms.config.privacy.clip_norm:g}, Gaussian "
        f"noise with multiplier {event.noise_multiplier:.4f}, divided by the public constant "
        f"{training.expected_batch:g}. The noise is floating-point (its lowest bits are not covered by the "
        "proof), from a stream cipher keyed by the operating system.",
        "This epsilon covers everything that leaves a client: whoever sees it, the server, other clients or "
        "a reader of the model. Masks and rules come on top of it.",
    ]


def _server_lines(terms: Terms, private: bool) -> list[str]:
    config = terms.config
    secagg = config.secure_aggregation
    if not secagg.masking:
        return ["No masking: the server sees every client's update as it is."]
    smallest = config.fewest_survivors - secagg.max_colluding
    honest = max(smallest - config.robust.max_malicious, 0)
    size = str(config.smallest_group)
    if config.largest_group != config.smallest_group:
        size += f" to {config.largest_group}"
    lines = [
        f"The server, honest or not, learns of each group of {size} clients the sum of the masked updates "
        f"and never a single one, as long as at most {secagg.max_colluding} members of the group collude "
        "with it.",
        f"Smallest privacy set: {smallest} summed-up clients that do not collude with the server; {honest} "
        f"honest ones if all {config.robust.max_malicious} tolerated poisoners sit in that group.",
        f"Opening a sum needs {_opening(config)}. Groups are drawn by commit and reveal and stay "
        f"fixed for {secagg.epoch_rounds} rounds: this slows the differencing of sums, and differential "
        "privacy is what bounds it" + ("; there is none here." if terms.budget is None else "."),
        "Keys are agreed by X25519: whoever records a round and breaks X25519 later can open it."
        if secagg.key_agreement == "x25519"
        else "Keys are agreed by X25519 and ML-KEM-768: to open a recorded round later, both must be broken.",
    ]
    return lines if private else ["NOT PRIVATE: the masks of this run can be replayed.", *lines]


def _opening(config: Config) -> str:
    shape = config.secure_aggregation.shape(config.smallest_group)
    if shape.holders == config.smallest_group:
        return f"{shape.threshold} members"
    return (
        f"{shape.survivors} members, and of each member {shape.threshold} of its {shape.holders} neighbours "
        "on a ring that the draw orders (security 2^-40 per draw, correctness 2^-20, for dropouts that do "
        f"not depend on the ring; a server that picks them splits the sum with {_split(config, shape)})"
    )


def _split(config: Config, shape: Shape) -> str:
    chance = split_probability(config.smallest_group, config.secure_aggregation.max_colluding, shape)
    return f"probability at most 2^{ceil(log2(chance))}" if chance else "probability 0"


def _robust_lines(terms: Terms) -> list[str]:
    guard = _guard(terms)
    if terms.rule == "mean":
        within = "ring" if terms.config.privacy.unit == "client" else "clip norm"
        return [
            f"Rule: mean{steps_text(terms.config)}. It bounds nothing against a malicious client within the "
            f"{within}: one such client moves the model as far as that allows.",
            guard,
        ]
    lines = [
        bears(terms),
        guard,
        "One malicious client can spoil or stall its whole group, every round, anonymously.",
    ]
    limit = at_the_limit(terms)
    return lines if limit is None else [*lines, limit]


def _guard(terms: Terms) -> str:
    robust, encoding = terms.config.robust, terms.encoding
    if terms.config.privacy.unit == "client":
        most = encoding.step * (1 << (encoding.ring_bits - 1))
        first = "" if adaptive_clip(terms) is None else " at the first clip, and in proportion at others"
        return (
            "Noise comes after the clip, so the length of a group mean proves nothing: the norm guard "
            "excludes nobody and uses up none of f. Only the ring bounds blow-ups: no coordinate of a sum "
            f"passes {most:.4g}{first}{' before it is rotated back' if is_rotated(terms) else ''}."
        )
    if not robust.norm_guard:
        return "The norm guard is off: an oversized update reaches the rule."
    return (
        f"A group mean longer than {encoding.norm_bound:.4g} cannot come from honest clients: it "
        f"is excluded and uses up one of the f = {robust.max_malicious}; more of them abandon the round."
    )


def _dropout_lines(terms: Terms) -> list[str]:
    config = terms.config
    lines = [
        _survived(config),
        "A round with too few group means for its rule is abandoned: the model stays as it is, what was "
        f"charged stays charged. Up to {config.privacy.spare_releases} such rounds are played again.",
    ]
    if config.simulation.dropout > 0.0:
        share = _percent(abandon_probability(config, terms.own_rule))
        lines.append(
            f"At the simulated dropout rate {config.simulation.dropout:g} about {share} % of the rounds are "
            "abandoned at their first attempt. That counts clients lost in a draw of groups, who are missing "
            "for the whole epoch."
        )
    return lines


def _survived(config: Config) -> str:
    if not config.secure_aggregation.masking:
        return "A client that vanishes is left out of its group's sum."
    size, fewest = config.smallest_group, config.fewest_survivors
    return (
        f"A group of {size} survives {size - fewest} of its members vanishing at any step; with more of them "
        "gone it yields no mean, and a group that was drawn smaller, because clients were lost in the draw, "
        "survives fewer. Its sum is exact for the survivors, or there is a typed error."
    )


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f}" if chance >= 0.01 else f"{100 * chance:.1g}"


def _cost_lines(terms: Terms) -> list[str]:
    encoding = terms.encoding
    return [
        _travelling(terms)
        + f" of {encoding.bits} bits in a ring of {encoding.ring_bits} bits"
        + (f", rotated and padded to {encoding.length:,}; " if is_rotated(terms) else "; ")
        + (
            "honest sums with their noise overflow it with probability at most 2^-40 per round."
            if terms.config.privacy.unit == "client"
            else "overflow is impossible for the declared clients, bits and weights."
        ),
        traffic_sentence(terms.config, terms.traffic),
    ]


def _travelling(terms: Terms) -> str:
    whole = f"{terms.dim:,} parameters"
    if terms.turns is not None and terms.turns.at_home.size:
        whole += f", of which {terms.turns.length:,} travel and the others stay at home,"
    elif terms.turns is not None:
        whole += f", which take turns: {terms.turns.length:,} train in a round, padded to one length,"
    if terms.subsample is None:
        return whole
    return (
        f"{whole}{' and' if terms.turns else ','} {terms.encoding.dim:,} of which travel in a round, drawn "
        "by the public seed (the rest waits at its client and is added to later updates),"
    )


def _limits(terms: Terms) -> list[str]:
    lines = [
        "An L2 bound limits the size of an update, not its direction: a backdoor inside the bound survives.",
        "No guaranteed output: the server or a few members of a group can make it abort.",
        "No protection against Sybils inside the signed roster or against side channels, and keys in memory "
        "are not reliably wiped by Python.",
        f"Test accuracies and majority classes come from the server's test set, {len(terms.dataset.test):,} "
        "examples held out, exactly: no guarantee covers it.",
        "All clients are simulated on one machine here, by an operator who could read their data and keys.",
    ]
    if terms.dataset.synthetic:
        lines.append(
            "The data are synthetic, drawn from a grammar by the public seed: they are nobody's, and a "
            "result on them is none on real data."
        )
    if terms.dataset.vocabulary:
        base = base_hash(terms.config) or "not here yet"
        lines.append(
            f"The base model, {terms.config.model.path} (sha256 {base}), is not covered: what it learned "
            "before is in it. An example is one text: whoever wrote several of them is protected less, "
            "unless the unit is the client."
        )
    if terms.config.model.lora is not None and terms.config.model.lora.method == "fedit":
        lines.append(
            "fedit averages the factors of adapters apart: the result is not the average of the clients' "
            "adapters."
        )
    if terms.turns is not None and terms.turns.at_home.size:
        lines.append(
            "fedsa shares half of an adapter, and that alone adds nothing: the server's test scores are "
            "those of the base model. What is sent hangs on the half at home, and so on all earlier rounds."
        )
    if terms.config.simulation.client_curves:
        lines.append(
            "The curves per client are exact scores on training data, for the operator of a simulation only: "
            "whoever gets the round records or the report has them, and epsilon does not cover them."
        )
    if terms.subsample is not None:
        lines.append(
            "What of an update did not travel yet lies in its client's ledger, "
            + (
                "without noise: epsilon does not cover whoever gets that file."
                if terms.config.privacy.unit == "client"
                else "as private as what is sent."
                if terms.config.privacy.unit == "example"
                else "and says as much as what is sent."
            )
            + " A sum that is lost takes along what travelled in it."
        )
    if terms.config.personalisation is not None:
        lines.append(
            "Personal models are trained without noise and stay at their clients: epsilon does not cover "
            "whoever gets one. Their comparison with the shared model has exact scores on clients' held-out "
            "examples, for the operator of a simulation only."
        )
    if terms.config.server.weights.kind == "examples":
        lines.append("The numbers of examples enter an exact masked sum: data-set sizes are not protected.")
    lines += adaptive_limits(terms)
    if terms.rule != "mean":
        lines.append("Robust rules count groups equally: the result is not the average over examples.")
    if terms.config.participation.kind == "sample":
        lines.append(
            "Cohorts are drawn by the public seed, once per epoch: no amplification is claimed for them, and "
            "the noise covers full participation."
        )
    return lines
