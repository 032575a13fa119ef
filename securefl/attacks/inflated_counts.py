"""Inflated counts: a turned update under the largest weight that the server accepts.

It matters where weights are the clients' own claims (`server.weights: examples`) and the rule reads them,
or where groups weigh their members. Uniform and public weights give it nothing but a sign flip.

Reference: Portnoy, Tirosh and Hendler 2022 (claimed data sizes steer an average).
"""

from __future__ import annotations

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability


def inflated_counts() -> Attack:
    """The attack; a claim above the cap would show in the group's total, so it claims the cap."""

    def craft(view: View) -> Vector:
        return -view.own()

    return Attack(
        name="inflated_counts",
        needs=frozenset({Capability.ALTERS_UPDATE, Capability.CHOOSES_COUNTS}),
        source="Portnoy, Tirosh and Hendler 2022",
        begin=lambda: craft,
        inflates=True,
    )
