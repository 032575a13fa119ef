"""Free rider: never train, send the last step of the global model as if it were one's own.

It wants the model and not the harm. What it costs the others is what its missing update would have given.

Reference: Lin, Du and Liu 2019, delta weights attack.
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability


def free_rider() -> Attack:
    """The attack; in the first round it sends zeros."""

    def craft(view: View) -> Vector:
        return np.zeros_like(view.model) if view.previous is None else view.model - view.previous

    needs = frozenset({Capability.ALTERS_UPDATE})
    return Attack("free_rider", needs, "Lin, Du and Liu 2019, delta weights attack", begin=lambda: craft)
