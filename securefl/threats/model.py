"""A threat model as its file says it: who, what it can, what it is after, and what is claimed against it.

Rules kept here:
- Data, never code: names come from closed tables, unknown keys and words are refused with the nearest one.
- An attack that needs more than the adversary has is refused, and so is one that the metric does not measure.
- The system is a run config as users write it; a file only names it and overrides keys.
- What an adversary can still do (`residual`) is never empty.

What this file does NOT do: read YAML (`document`), or run anything.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from securefl.attacks import Capability, attack_label, check_granted
from securefl.config.section import Count, Positive, Section, doc
from securefl.errors import ConfigError
from securefl.threats import tables
from securefl.threats.tables import check_count, check_words

_ID = r"^[a-z][a-z0-9_]{0,63}$"
_NODE = r"^tests/[A-Za-z0-9_/]+\.py::test_[A-Za-z0-9_]+$"
Name = Annotated[str, Field(pattern=_ID)]
Sentence = Annotated[str, Field(min_length=8, max_length=600)]
Words = Annotated[tuple[str, ...], Field(strict=False, max_length=64)]
Sentences = Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1, max_length=32)]
Part = Annotated[float, Field(ge=0.0, le=1.0)]


class Adversary(Section):
    """Who attacks."""

    role: Annotated[
        Literal["server", "client", "network", "reader"],
        doc("Which party it is; a reader is whoever gets the finished model.", "server"),
    ]
    behaviour: Annotated[
        Literal["curious", "malicious", "faulty"],
        doc("curious follows the protocol, malicious does not, faulty means no harm.", "curious"),
    ]
    colludes_with: Annotated[
        Literal["nobody", "server", "clients"], doc("Who shares what it knows with it.", "nobody")
    ]


class Capabilities(Section):
    """What the adversary can. What is not listed it cannot."""

    sees: Annotated[Words, doc("What it reads.", ["wire"])] = ()
    may_send: Annotated[Words, doc("What its own clients send.", ["altered_updates"])] = ()
    may_replace: Annotated[Words, doc("What it puts in the place of others' words.", ["requests"])] = ()
    knows: Annotated[Words, doc("What it knows beforehand.", ["rule"])] = ()
    queries: Annotated[
        Count | None, doc("Rounds that it watches or takes part in; left out, the whole run.", 1, "rounds")
    ] = None

    @property
    def granted(self) -> frozenset[Capability]:
        """As the attacks call it."""
        tables_of = (
            (self.sees, tables.SEES),
            (self.may_send, tables.MAY_SEND),
            (self.may_replace, tables.MAY_REPLACE),
            (self.knows, tables.KNOWS),
        )
        return frozenset(table[word] for words, table in tables_of for word in words)

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_words("sees", self.sees, tables.SEES)
        check_words("may_send", self.may_send, tables.MAY_SEND)
        check_words("may_replace", self.may_replace, tables.MAY_REPLACE)
        check_words("knows", self.knows, tables.KNOWS)
        return self


class System(Section):
    """What is attacked: a run config as users write it."""

    config: Annotated[str, doc("The run config, relative to this file.", "../quickstart.yaml")]
    overrides: Annotated[Words, doc("As --set of `securefl run`; not applied to a user's config.", [])] = ()


class AttackName(Section):
    """One attack of the closed table."""

    name: Annotated[str, doc("Name of the attack.", "label_from_message")]
    strength: Annotated[Positive | None, doc("Its strength, where it has one.", 10.0)] = None

    @property
    def label(self) -> str:
        """How tables call it."""
        return attack_label(self.name, self.strength)

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_words("attacks", (self.name,), tables.ATTACK_NAMES)
        if self.strength is not None and self.name in tables.UNSCALED:
            raise ConfigError(f"expected no strength for {self.name!r}, got {self.strength:g}; remove it")
        tables.known(self.name, self.strength)
        return self


HowMany = Annotated[int | str, doc("Clients that it runs: declared, threshold, all_but_one or a number.", 1)]


class Control(Section):
    """The positive control: with the defence off the attack must succeed."""

    overrides: Annotated[Words, doc("What switches the defence off.", ["secure_aggregation.masking=false"])]
    bound: Annotated[Part, doc("The harm is then at least this.", 0.5)]
    count: HowMany = "declared"

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_count(self.count)
        return self


class Budget(Section):
    """How much is tried. Overrides make runs shorter, never safer."""

    seeds: Annotated[Count, Field(le=10_000), doc("Seeds, from 0.", 20)]
    overrides: Annotated[Words, doc("For every run.", ["server.rounds=1"])] = ()
    fast_seeds: Annotated[
        Count | None, doc("Seeds with --fast; left out, the claim is then not tested.", 5)
    ] = None
    fast_overrides: Annotated[
        Words, doc("More for every run with --fast.", ["secure_aggregation.masking=false"])
    ] = ()
    fast_attacks: Annotated[Words, doc("Attacks with --fast; left out, all.", ["sign_flip"])] = ()


class References(Section):
    """Where others describe such attacks."""

    atlas: Annotated[
        tuple[Annotated[str, Field(pattern=r"^AML\.T\d{4}(\.\d{3})?$")], ...],
        Field(strict=False),
        doc("Ids of MITRE ATLAS.", ["AML.T0024"]),
    ] = ()
    nist: Annotated[Words, doc("Terms of NIST AI 100-2.", ["data reconstruction"])] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_words("nist", self.nist, tables.NIST_TERMS)
        return self


class _Claim(Section):
    """What measured claims and proofs have in common."""

    id: Annotated[Name, doc("Name of the claim inside its file.", "labels")]
    sentence: Annotated[Sentence, doc("What is claimed, in one sentence.", "A server learns no label.")]
    requires: Annotated[
        Words, doc("What a config must have for the claim to say anything.", ["masking"])
    ] = ()
    residual: Annotated[Sentences, doc("What the adversary can still do.", ["It sees the group's sum."])]
    out_of_scope: Annotated[Sentences, doc("What the claim is not about.", ["Side channels."])]
    references: Annotated[References, doc("Where such attacks are described.", {})] = References()

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_words("requires", self.requires, tables.REQUIRES)
        return self


class Measured(_Claim):
    """A claim that attacks test."""

    kind: Annotated[Literal["measured"], doc("Attacks test it.", "measured")]
    metric: Annotated[tables.Metric, doc("What harm is.", "labels_named")]
    bound: Annotated[Part, doc("The harm is at most this.", 0.25)]
    confidence: Annotated[
        float, Field(ge=0.5, lt=1.0), doc("Of the verdict, over all its attacks together.", 0.95)
    ]
    attacks: Annotated[
        tuple[AttackName, ...], Field(strict=False, min_length=1, max_length=32), doc("Attacks.", [])
    ]
    count: HowMany = "declared"
    control: Annotated[Control, doc("The defence off.", {})]
    budget: Annotated[Budget, doc("How much is tried.", {})]

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        check_count(self.count)
        labels = [one.label for one in self.attacks]
        check_words("fast_attacks", self.budget.fast_attacks, labels)
        for one in self.attacks:
            measures = tables.known(one.name, one.strength).metric
            if measures != self.metric:
                raise ConfigError(
                    f"expected attacks that metric {self.metric!r} measures, got {one.name!r}, which is "
                    f"measured by {measures!r}; change one of them",
                    "attacks",
                )
        if len(set(labels)) < len(labels):
            raise ConfigError("expected each attack once; remove one", "attacks")
        if not self.control.overrides and self.control.count == self.count:
            raise ConfigError("expected something that switches the defence off, got nothing", "control")
        return self


class Proof(_Claim):
    """A claim that tests show, by exhaustion or by an argument that they check."""

    kind: Annotated[Literal["proof"], doc("Tests show it.", "proof")]
    tests: Annotated[
        tuple[Annotated[str, Field(pattern=_NODE)], ...],
        Field(strict=False, min_length=1, max_length=64),
        doc("pytest node ids from the repository's root.", ["tests/secagg/test_policy.py::test_x"]),
    ]


Claim = Annotated[Measured | Proof, Field(discriminator="kind")]


class ThreatModel(Section):
    """One adversary and the claims against it.

    Raises:
        ConfigError: words outside the tables, or an attack beyond the adversary's capabilities.
    """

    version: Annotated[Literal[1], doc("Version of this file format.", 1)]
    id: Annotated[Name, doc("Name of the adversary; the file's name.", "curious_server")]
    adversary: Annotated[Adversary, doc("Who attacks.", {"role": "server"})]
    capabilities: Annotated[Capabilities, doc("What it can.", {"sees": ["wire"]})]
    asset: Annotated[Sentence, doc("What it is after.", "What one client has in its data.")]
    system: Annotated[System, doc("What is attacked.", {"config": "../quickstart.yaml"})]
    claims: Annotated[
        tuple[Claim, ...], Field(strict=False, min_length=1, max_length=64), doc("What is claimed.", [])
    ]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [one.id for one in self.claims]
        if len(set(ids)) < len(ids):
            raise ConfigError("expected every claim under an id of its own; rename one", "claims")
        alone = self.adversary.colludes_with == "nobody"
        if alone and Capability.SEES_MEMBER_STATES in self.capabilities.granted:
            raise ConfigError(
                "expected somebody who colludes with an adversary that sees member_states, got nobody; name "
                "them in adversary.colludes_with or remove the word",
                "capabilities.sees",
            )
        for place, claim in enumerate(self.claims):
            for one in claim.attacks if isinstance(claim, Measured) else ():
                self._check_attack(one, f"claims.{place}.attacks")
        return self

    def _check_attack(self, attack: AttackName, path: str) -> None:
        known = tables.known(attack.name, attack.strength)
        try:
            check_granted(attack.name, known.needs, self.capabilities.granted)
        except ConfigError as error:
            raise ConfigError(str(error), path) from None
        if self.capabilities.queries is not None and not known.one_round:
            raise ConfigError(
                f"attack {attack.name!r} goes on over the whole run, and this adversary has "
                f"{self.capabilities.queries} queries; leave queries out, or choose another attack",
                path,
            )
