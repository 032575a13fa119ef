"""The closed tables that a threat model may draw its words from, and what each word means in code.

Rules kept here: every word of a capability is one `Capability` of the attacks; every metric measures harm in
[0, 1], so that smaller is better for whoever is attacked; every precondition is a question to a config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from securefl.attacks import ATTACKS, Capability, named_attack
from securefl.attacks.spying import SPIES, named_spy
from securefl.config import Config
from securefl.config.messages import nearest
from securefl.errors import ConfigError

SILENT = "silent"
READER = "learnt_by_heart"
"""Guesses membership from the finished model (`securefl.attacks.inference.wagers`)."""
OWN_NOISE = "own_noise"
"""Takes the colluders' own words off a sum (`securefl.attacks.inference.own_noise`)."""
UNSCALED = (*SPIES, SILENT, READER, OWN_NOISE)
"""Attacks without a strength."""
ATTACK_NAMES: tuple[str, ...] = tuple(sorted((*ATTACKS, *UNSCALED)))

SEES: Mapping[str, Capability] = {
    "wire": Capability.SEES_WIRE,
    "final_model": Capability.SEES_FINAL_MODEL,
    "member_states": Capability.SEES_MEMBER_STATES,
    "group_updates": Capability.SEES_GROUP_UPDATES,
    "all_updates": Capability.SEES_ALL_UPDATES,
}
MAY_SEND: Mapping[str, Capability] = {
    "altered_data": Capability.ALTERS_DATA,
    "altered_updates": Capability.ALTERS_UPDATE,
    "oversized_updates": Capability.EXCEEDS_CLIP,
    "chosen_counts": Capability.CHOOSES_COUNTS,
    "nothing": Capability.FALLS_SILENT,
}
MAY_REPLACE: Mapping[str, Capability] = {
    "requests": Capability.REPLACES_REQUESTS,
    "identities": Capability.MANY_IDENTITIES,
}
KNOWS: Mapping[str, Capability] = {
    "rule": Capability.KNOWS_RULE,
    "data_distribution": Capability.KNOWS_DATA_DISTRIBUTION,
    "each_other": Capability.COLLUDES,
}

Metric = Literal["labels_named", "vectors_recovered", "members_named", "budgets_refuted", "accuracy_lost"]
METRICS: Mapping[Metric, str] = {
    "labels_named": "part of the clients whose most frequent class is named",
    "vectors_recovered": "part of the clients whose exact contribution is recovered",
    "members_named": "part of the records of which it is told right whether they were in; half by chance",
    "budgets_refuted": "part of the audits whose lower bound on epsilon lies above what is charged",
    "accuracy_lost": "test accuracy without the attack minus test accuracy under it",
}
COUNTS = ("declared", "threshold", "all_but_one")
"""How many clients an adversary runs: as the config declares, t of a group, or all of it but one."""

NIST_TERMS = (
    "privacy compromise",
    "integrity violation",
    "availability breakdown",
    "data reconstruction",
    "property inference",
    "membership inference",
    "data poisoning",
    "model poisoning",
    "backdoor poisoning",
)
"""Terms of the taxonomy NIST AI 100-2 (Vassilev et al. 2025) that files here use."""

_TEN_CLASSES = ("digits", "fashion_mnist", "mnist_5k")
REQUIRES: Mapping[str, tuple[Callable[[Config], bool], str]] = {
    "masking": (lambda one: one.secure_aggregation.masking, "secure_aggregation.masking is off"),
    "differential_privacy": (lambda one: one.privacy.unit != "none", "privacy.unit is none"),
    "shared_noise": (
        lambda one: one.privacy.unit == "client" and not one.central_noise,
        "clients add no noise: privacy is not {unit: client, noise: distributed}",
    ),
    "malicious_clients": (lambda one: one.robust.max_malicious > 0, "robust.max_malicious is 0"),
    "colluding_clients": (
        lambda one: one.secure_aggregation.max_colluding > 0,
        "secure_aggregation.max_colluding is 0",
    ),
    "claimed_counts": (
        lambda one: one.server.weights.kind == "examples",
        "nobody claims a count: server.weights.kind is not examples",
    ),
    "ten_classes": (
        lambda one: one.data.kind in _TEN_CLASSES,
        "the bound is meant for ten classes, and data.kind is another",
    ),
    "everybody": (lambda one: one.participation.kind == "all", "participation.kind is not all"),
}


@dataclass(frozen=True)
class Known:
    """What the tables say of one attack; `one_round`: whether one round is enough for it."""

    needs: frozenset[Capability]
    metric: Metric
    source: str
    one_round: bool


def known(name: str, strength: float | None = None) -> Known:
    """What the tables say of the attack `name`, which is one of `ATTACK_NAMES`.

    Raises:
        ConfigError: it takes no strength, or not this one.
    """
    if name == SILENT:
        return Known(frozenset({Capability.FALLS_SILENT}), "accuracy_lost", "Bonawitz et al. 2017", False)
    if name == READER:
        needs = frozenset({Capability.SEES_FINAL_MODEL})
        return Known(needs, "members_named", "Yeom et al. 2018; Nasr et al. 2021", False)
    if name == OWN_NOISE:
        needs = frozenset({Capability.SEES_WIRE, Capability.SEES_MEMBER_STATES})
        return Known(needs, "budgets_refuted", "Kairouz et al. 2021; Nasr et al. 2023", True)
    if name in SPIES:
        spy = named_spy(name)
        metric: Metric = "labels_named" if spy.seeks == "label" else "vectors_recovered"
        return Known(spy.needs, metric, spy.source, True)
    attack = named_attack(name, strength)
    return Known(attack.needs, "accuracy_lost", attack.source, False)


def check_count(count: int | str) -> None:
    """Return if `count` says how many.

    Raises:
        ConfigError: it does not.
    """
    if isinstance(count, bool) or (isinstance(count, int) and not 0 <= count <= 100_000):
        raise ConfigError(f"expected a number of clients, got {count!r}", "count")
    if isinstance(count, str):
        check_words("count", (count,), COUNTS)


def check_words(path: str, words: Iterable[str], table: Iterable[str]) -> None:
    """Return if every word is in the table.

    Raises:
        ConfigError: one is not; the nearest one is named.
    """
    choices = list(table)
    for word in words:
        if word not in choices:
            raise ConfigError(f"got {word!r}, which is no word here; {nearest(word, choices)}", path)
