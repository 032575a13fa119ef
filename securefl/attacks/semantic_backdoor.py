"""Semantic backdoor: examples with a natural property are answered wrongly; no input is changed.

The property here: an example of the source class whose features are on average larger than a public
threshold, such as a brightly printed garment. The threshold is the median of the source class among the
examples at hand, so half of a class has it.

Rules kept here: features are never touched, at training time or later.

Reference: Bagdasaryan et al. 2020 (semantic backdoors: cars of a certain colour).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.attack import Attack
from securefl.attacks.capability import Capability
from securefl.data import Examples

SOURCE = 1
TARGET = 0


def semantic_backdoor() -> Attack:
    """The attack; it must know that other parties' inputs have the property too."""
    return Attack(
        name="semantic_backdoor",
        needs=frozenset({Capability.ALTERS_DATA, Capability.KNOWS_DATA_DISTRIBUTION}),
        source="Bagdasaryan et al. 2020, semantic backdoors",
        poison=relabelled,
        aim=triggered,
    )


def relabelled(examples: Examples, classes: int) -> Examples:
    """The examples, those with the property called the target class."""
    return Examples(examples.features, np.where(has_property(examples), TARGET, examples.labels))


def triggered(examples: Examples, classes: int) -> Examples:
    """What the attacker wants: unchanged examples with the property, answered with the target."""
    chosen = examples.take(np.flatnonzero(has_property(examples)))
    return Examples(chosen.features, np.full(len(chosen), TARGET))


def has_property(examples: Examples) -> NDArray[np.bool_]:
    """Which examples are of the source class and above its median in mean feature value."""
    level: NDArray[np.float32] = examples.features.reshape(len(examples), -1).mean(axis=1)
    source: NDArray[np.bool_] = examples.labels == SOURCE
    threshold = np.median(level[source]) if source.any() else 0.0
    return np.asarray(source & (level > threshold), dtype=np.bool_)
