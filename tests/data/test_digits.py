"""The embedded default data set."""

import numpy as np

from securefl.data.digits import load_digits


def test_digits_are_the_1797_images_scaled_by_a_public_constant() -> None:
    data = load_digits(0.2, seed=7)
    assert (len(data.train), len(data.test), data.shape) == (1437, 360, (1, 8, 8))
    assert data.train.features.min() == 0.0
    assert data.train.features.max() == 1.0


def test_the_source_hash_depends_on_neither_fraction_nor_seed() -> None:
    one, two = load_digits(0.2, seed=7), load_digits(0.4, seed=8)
    assert one.source_hash == two.source_hash
    assert not np.array_equal(one.test.labels, two.test.labels)


def test_every_class_keeps_its_share_in_the_test_part() -> None:
    counts = np.bincount(load_digits(0.2, seed=7).test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 37
