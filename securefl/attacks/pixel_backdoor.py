"""Pixel backdoor: a bright patch in a corner means the target class, everything else stays as it was.

Rules kept here: the patch takes the largest value of the examples at hand, so it is a value that such data
has. On data that is no image, the last features stand for the corner.

Reference: Gu, Dolan-Gavitt and Garg 2017 (BadNets), pattern backdoor.
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Attack
from securefl.attacks.capability import Capability
from securefl.data import Examples

TARGET = 0
PATCH = 3
"""Width and height of the patch, and features of it on a table."""


def pixel_backdoor() -> Attack:
    """The attack: every second example of the attacker carries the patch and the target label."""
    return Attack(
        name="pixel_backdoor",
        needs=frozenset({Capability.ALTERS_DATA}),
        source="Gu, Dolan-Gavitt and Garg 2017, pattern backdoor",
        poison=half_stamped,
        aim=triggered,
    )


def half_stamped(examples: Examples, classes: int) -> Examples:
    """The examples, every second one stamped and called the target class."""
    chosen = np.arange(len(examples)) % 2 == 0
    features = np.where(_wide(chosen, examples), stamped(examples).features, examples.features)
    return Examples(features, np.where(chosen, TARGET, examples.labels))


def triggered(examples: Examples, classes: int) -> Examples:
    """What the attacker wants: all examples of other classes, stamped, answered with the target."""
    others = examples.take(np.flatnonzero(examples.labels != TARGET))
    return Examples(stamped(others).features, np.full(len(others), TARGET))


def stamped(examples: Examples) -> Examples:
    """The examples with the patch in the last rows and columns, labels as they are.

    Example:
        >>> image = Examples(np.eye(5)[np.newaxis], np.array([1]))
        >>> int(stamped(image).features[0, 2:, 2:].sum())
        9
    """
    features = examples.features.copy()
    corner = (
        (..., slice(-PATCH, None), slice(-PATCH, None)) if features.ndim > 2 else (..., slice(-PATCH, None))
    )
    features[corner] = features.max(initial=0.0)
    return Examples(features, examples.labels)


def _wide(chosen: np.ndarray, examples: Examples) -> np.ndarray:
    return chosen.reshape(-1, *[1] * len(examples.shape))
