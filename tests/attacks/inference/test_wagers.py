from __future__ import annotations

import numpy as np
import pytest

from securefl.attacks.inference.wagers import guessed, wager
from securefl.data import Examples, load
from securefl.errors import DataError

DIGITS = load("digits", test_fraction=0.5, seed=0)


def rows(examples: Examples) -> set[bytes]:
    return {row.tobytes() for row in examples.features}


def test_records_that_are_in_are_trained_on_with_their_wrong_label_and_the_others_not_at_all() -> None:
    wagers = wager(DIGITS, 60, np.random.default_rng(1))
    labelled = {
        row.tobytes(): int(label)
        for row, label in zip(wagers.dataset.train.features, wagers.dataset.train.labels, strict=True)
    }
    true = {
        row.tobytes(): int(label)
        for row, label in zip(DIGITS.train.features, DIGITS.train.labels, strict=True)
    }
    for row, label, inside in zip(wagers.records.features, wagers.records.labels, wagers.inside, strict=True):
        assert label != true[row.tobytes()]
        assert labelled.get(row.tobytes()) == (int(label) if inside else None)
    assert len(wagers.dataset.train) == len(DIGITS.train) - int((~wagers.inside).sum())
    assert rows(wagers.dataset.test) == rows(DIGITS.test)


def test_coins_are_fair() -> None:
    inside = sum(int(wager(DIGITS, 100, np.random.default_rng(seed)).inside.sum()) for seed in range(40))
    # 4,000 coins deviate by 31.6; five of them.
    assert inside == pytest.approx(2000, abs=5 * np.sqrt(1000))


def test_the_half_that_the_model_is_surest_of_is_guessed_to_be_in() -> None:
    records = Examples(np.zeros((4, 1)), np.array([0, 1, 0, 1]))
    logits = np.array([[5.0, 0.0], [5.0, 0.0], [1.0, 0.0], [0.0, 9.0]])
    assert guessed(logits, records).tolist() == [True, False, False, True]


@pytest.mark.parametrize("count", [0, len(DIGITS.train)])
def test_more_records_than_there_are_examples_are_refused(count: int) -> None:
    with pytest.raises(DataError, match="expected"):
        wager(DIGITS, count, np.random.default_rng(0))
