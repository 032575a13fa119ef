"""Scaling, or model replacement: enlarge a backdoored update until the average becomes the backdoored model.

With n clients and the plain mean, an update enlarged n / f times by each of f attackers replaces the model
when honest updates nearly cancel, which they do once training has converged.

Reference: Bagdasaryan et al. 2020, model replacement.
"""

from __future__ import annotations

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability
from securefl.attacks.pixel_backdoor import half_stamped, triggered


def scaling(strength: float) -> Attack:
    """The attack; `strength` 1 replaces the model, less leaves some of it."""

    def craft(view: View) -> Vector:
        return strength * view.clients / view.attackers * view.own()

    needs = {Capability.ALTERS_DATA, Capability.ALTERS_UPDATE, Capability.EXCEEDS_CLIP, Capability.COLLUDES}
    return Attack(
        name="scaling",
        needs=frozenset(needs),
        source="Bagdasaryan et al. 2020, model replacement",
        poison=half_stamped,
        begin=lambda: craft,
        aim=triggered,
    )
