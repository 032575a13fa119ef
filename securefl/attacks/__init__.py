"""Attacks on a federation: the closed table, what each must know, and the door that puts attackers in.

    from securefl.attacks import named_attack, poisoned
    attack = named_attack("foe", strength=100.0)
    process = securefl.build_federated_averaging(config, clients=poisoned(config, attack, attackers=2))

Nothing honest imports this package. A malicious client is another client object, put in from outside.
"""

from securefl.attacks.attack import Attack, Craft, Judge, Poison, Rows, Vector, View
from securefl.attacks.capability import Capability, check_granted
from securefl.attacks.coalition import Coalition, judge_of, poisoned
from securefl.attacks.placement import Placement, placed
from securefl.attacks.table import ATTACKS, WITH_STRENGTH, attack_label, named_attack

__all__ = [
    "ATTACKS",
    "WITH_STRENGTH",
    "Attack",
    "Capability",
    "Coalition",
    "Craft",
    "Judge",
    "Placement",
    "Poison",
    "Rows",
    "Vector",
    "View",
    "attack_label",
    "check_granted",
    "judge_of",
    "named_attack",
    "placed",
    "poisoned",
]
