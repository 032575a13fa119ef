"""Inner-product manipulation (fall of empires): point against the honest mean.

Strength e sends -e times the mean of the honest rows. Small e slips past rules that judge distances and
still turns the inner product with the true direction negative; large e breaks whatever averages.

Reference: Xie, Koyejo and Gupta 2020; the line search as in Shejwalkar and Houmansadr 2021 (attacks tailored
to a known rule).
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability
from securefl.attacks.line_search import most_harmful
from securefl.attacks.omniscient import OMNISCIENT, centre

_SOURCE = "Xie, Koyejo and Gupta 2020, inner product manipulation"


def foe(strength: float) -> Attack:
    """The attack. Strength 1 is what other toolkits call sign flipping: minus the honest mean."""

    def craft(view: View) -> Vector:
        return -strength * centre(view.rows())

    return Attack("foe", OMNISCIENT, _SOURCE, begin=lambda: craft)


def foe_line_search() -> Attack:
    """The strength, of either sign, that moves the server's own rule furthest from the honest mean."""

    def craft(view: View) -> Vector:
        mean = centre(view.rows())
        return most_harmful(view, np.zeros_like(mean), mean)

    source = f"{_SOURCE}; Shejwalkar and Houmansadr 2021, tailored attacks"
    return Attack("foe_line_search", OMNISCIENT | {Capability.KNOWS_RULE}, source, begin=lambda: craft)
