"""Sybils: one party under many names sends the same poisoned update from each of them.

A rule that looks for agreement takes their agreement for honesty.

Reference: Douceur 2002; Fung, Yoon and Beschastnikh 2020 (FoolsGold).
"""

from __future__ import annotations

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability
from securefl.attacks.label_flip import flipped


def sybils() -> Attack:
    """The attack: the first identity trains on flipped labels and all of them send that."""

    def craft(view: View) -> Vector:
        return view.leader()

    needs = {
        Capability.ALTERS_DATA,
        Capability.ALTERS_UPDATE,
        Capability.COLLUDES,
        Capability.MANY_IDENTITIES,
    }
    source = "Fung, Yoon and Beschastnikh 2020"
    return Attack("sybils", frozenset(needs), source, poison=flipped, begin=lambda: craft)
