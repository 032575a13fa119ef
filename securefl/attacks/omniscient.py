"""What attacks that see everything share: their needs, and the mean and spread of honest rows."""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Rows, Vector
from securefl.attacks.capability import Capability

OMNISCIENT = frozenset(
    {
        Capability.ALTERS_UPDATE,
        Capability.EXCEEDS_CLIP,
        Capability.COLLUDES,
        Capability.SEES_GROUP_UPDATES,
        Capability.SEES_ALL_UPDATES,
    }
)
"""Enough to set the mean of one's group to any value, knowing all others."""


def centre(rows: Rows) -> Vector:
    """The mean of the honest rows. Shapes: (count, dim) -> (dim,)."""
    return np.asarray(rows.mean(axis=0))


def spread(rows: Rows) -> Vector:
    """The standard deviation of each coordinate over the honest rows. Shapes: (count, dim) -> (dim,)."""
    return np.asarray(rows.std(axis=0))
