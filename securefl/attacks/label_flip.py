"""Label flip: train as everybody does, on examples whose class c is called classes - 1 - c.

Reference: Biggio, Nelson and Laskov 2011 (adversarial label noise); Fang et al. 2020, label flipping attack
(class c as classes - 1 - c, in federated learning).
"""

from __future__ import annotations

from securefl.attacks.attack import Attack
from securefl.attacks.capability import Capability
from securefl.data import Examples


def label_flip() -> Attack:
    """The attack."""
    return Attack(
        name="label_flip",
        needs=frozenset({Capability.ALTERS_DATA}),
        source="Biggio, Nelson and Laskov 2011; Fang et al. 2020, label flipping attack",
        poison=flipped,
    )


def flipped(examples: Examples, classes: int) -> Examples:
    """The examples with mirrored labels.

    Example:
        >>> import numpy as np
        >>> flipped(Examples(np.zeros((3, 1)), np.array([0, 1, 9])), 10).labels.tolist()
        [9, 8, 0]
    """
    return Examples(examples.features, classes - 1 - examples.labels)
