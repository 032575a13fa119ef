"""Sign flip: send the own honest update with its sign turned.

Reference: Li et al. 2019 (RSA), sign-flipping attacks.
"""

from __future__ import annotations

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability


def sign_flip(strength: float) -> Attack:
    """The attack; at strength 1 the vector stays within the clip."""
    needs = {Capability.ALTERS_UPDATE} | ({Capability.EXCEEDS_CLIP} if strength > 1 else set())

    def craft(view: View) -> Vector:
        return -strength * view.own()

    return Attack(
        "sign_flip", frozenset(needs), "Li et al. 2019 (RSA), sign-flipping attacks", begin=lambda: craft
    )
