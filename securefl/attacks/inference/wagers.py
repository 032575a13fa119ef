"""Records to bet on: outliers of which a coin put half into the training data, and the guess who was in.

Membership of ordinary records of an easy data set hardly shows in any model. So the game is played for the
records that lose it: examples with a wrong label, which a model only answers that way if it has learnt them
by heart. The promise of differential privacy is about them as about any other.

Rules kept here:
- Coins are fair and independent, drawn from a generator of the game's own; a record that is not in is nowhere
  else in the training data either.
- Whoever guesses sees the finished model's logits and the records, and no coin.

What this file does NOT do: train. The data set goes the way of every data set.

Reference: Nasr et al. 2021 (mislabelled canaries); Yeom et al. 2018 (the game).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.inference.signal import Logits, margin
from securefl.data import Dataset, Examples
from securefl.errors import DataError


@dataclass(frozen=True)
class Wagers:
    """Records and their coins.

    Attributes:
        dataset: what is trained on: the data set with the records that are in, and without the others.
        records: all records, with their wrong labels.
        inside: the coins; whoever guesses does not see them.
    """

    dataset: Dataset
    records: Examples
    inside: NDArray[np.bool_]


def wager(dataset: Dataset, count: int, random: np.random.Generator) -> Wagers:
    """Turns `count` training examples into records with a wrong label and tosses a coin for each.

    Raises:
        DataError: fewer training examples than records, or one class only.
    """
    train = dataset.train
    if not 1 <= count < len(train) or dataset.classes < 2:
        raise DataError(
            f"expected more training examples than the {count} records, and 2 classes or more, got "
            f"{len(train)} and {dataset.classes}"
        )
    chosen = random.permutation(len(train))[:count]
    labels = train.labels.copy()
    labels[chosen] = (labels[chosen] + random.integers(1, dataset.classes, count)) % dataset.classes
    inside = random.random(count) < 0.5
    kept = np.ones(len(train), dtype=bool)
    kept[chosen[~inside]] = False
    altered, places = Examples(train.features, labels), np.flatnonzero(kept)
    groups = None if dataset.train_clients is None else dataset.train_clients[places]
    return Wagers(
        replace(dataset, train=altered.take(places), train_clients=groups), altered.take(chosen), inside
    )


def guessed(logits: Logits, records: Examples) -> NDArray[np.bool_]:
    """The records taken to be in: the half of whose wrong label the model is surest. Shapes: -> (n,)."""
    sure = margin(logits, records.labels)
    return np.asarray(sure > np.median(sure))
