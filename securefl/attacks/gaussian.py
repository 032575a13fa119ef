"""Gaussian: send noise instead of an update.

Reference: Blanchard et al. 2017, experiments with Gaussian Byzantine workers.
"""

from __future__ import annotations

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability


def gaussian(strength: float) -> Attack:
    """The attack: each coordinate is normal, with standard deviation `strength` times the clip norm."""

    def craft(view: View) -> Vector:
        return view.random.normal(0.0, strength * view.clip_norm, view.model.size)

    needs = frozenset({Capability.ALTERS_UPDATE, Capability.EXCEEDS_CLIP})
    return Attack("gaussian", needs, "Blanchard et al. 2017, Gaussian Byzantine workers", begin=lambda: craft)
