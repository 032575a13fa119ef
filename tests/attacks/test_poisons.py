"""What data poisoning does to examples, and what the attacker wants of the model."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.attacks import named_attack
from securefl.attacks.pixel_backdoor import PATCH, TARGET, stamped
from securefl.attacks.semantic_backdoor import SOURCE, has_property
from securefl.data import Examples

RANDOM = np.random.default_rng(0)
IMAGES = Examples(RANDOM.uniform(0, 0.5, size=(40, 8, 8)), np.arange(40) % 10)


def test_label_flip_mirrors_the_classes_and_leaves_the_images() -> None:
    poison = named_attack("label_flip").poison
    assert poison is not None
    flipped = poison(IMAGES, 10)
    assert (flipped.labels + IMAGES.labels == 9).all()
    assert np.array_equal(flipped.features, IMAGES.features)


def test_a_pixel_backdoor_stamps_half_of_the_examples_and_nothing_but_the_corner() -> None:
    attack = named_attack("pixel_backdoor")
    assert attack.poison is not None
    assert attack.aim is not None
    before = IMAGES.features.copy()
    poisoned = attack.poison(IMAGES, 10)
    changed = (poisoned.features != IMAGES.features).any(axis=(1, 2))
    assert changed.tolist() == [at % 2 == 0 for at in range(40)]
    assert (poisoned.labels[changed] == TARGET).all()
    assert np.array_equal(poisoned.features[:, :-PATCH], IMAGES.features[:, :-PATCH])
    aim = attack.aim(IMAGES, 10)
    assert len(aim) == (IMAGES.labels != TARGET).sum(), "answering the target class right is no success"
    assert (aim.labels == TARGET).all()
    assert np.array_equal(IMAGES.features, before), "the client's own examples stay as they are"


def test_on_a_table_the_patch_is_the_last_columns() -> None:
    table = Examples(RANDOM.uniform(size=(4, 7)), np.zeros(4, dtype=int))
    assert (stamped(table).features[:, -PATCH:] == table.features.max()).all()


def test_a_semantic_backdoor_changes_labels_of_a_natural_kind_and_no_feature() -> None:
    attack = named_attack("semantic_backdoor")
    assert attack.poison is not None
    assert attack.aim is not None
    poisoned = attack.poison(IMAGES, 10)
    assert np.array_equal(poisoned.features, IMAGES.features)
    changed = poisoned.labels != IMAGES.labels
    assert (IMAGES.labels[changed] == SOURCE).all()
    assert 0 < changed.sum() <= (IMAGES.labels == SOURCE).sum() / 2
    assert len(attack.aim(IMAGES, 10)) == has_property(IMAGES).sum()


@pytest.mark.parametrize("name", ["pixel_backdoor", "semantic_backdoor", "label_flip"])
def test_a_client_without_such_examples_is_no_error(name: str) -> None:
    poison = named_attack(name).poison
    assert poison is not None
    assert len(poison(Examples(np.ones((2, 3, 3)), np.array([5, 6])), 10)) == 2
