"""Non-finite: send NaN, which spoils every average that it reaches.

Only whole numbers of a ring leave a client here, and none of them is NaN: the coalition sends the largest
number that the ring holds in its place. A float channel would carry the NaN itself; `robust.combine` removes
such rows.

Reference: Blanchard et al. 2017 (a Byzantine worker may send anything).
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability


def nonfinite() -> Attack:
    """The attack."""

    def craft(view: View) -> Vector:
        return np.full(view.model.size, np.nan)

    needs = frozenset({Capability.ALTERS_UPDATE, Capability.EXCEEDS_CLIP})
    return Attack("nonfinite", needs, "Blanchard et al. 2017, arbitrary vectors", begin=lambda: craft)
