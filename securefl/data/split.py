"""The test split: one part of every class, and of every client where the source has clients.

Rules kept here:
- Drawn by the public experiment seed from rows in source order; nothing private decides it beyond
  client and label, which the split keeps in proportion.
- A client-and-class stratum never loses its last row to the test part, so every client trains.

What this file does NOT do: share rows among clients that the source does not name (`partition`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from securefl.data.examples import Dataset, Examples
from securefl.data.source import Source
from securefl.errors import DataError

_TAG = 0x5B17  # keeps the split's draws apart from the partition's under one experiment seed


def split(source: Source, test_fraction: float, seed: int) -> Dataset:
    """Training and test part of a source.

    Raises:
        DataError: a fraction outside (0, 1), or a part that would be empty.
    """
    train, test = held_out(source.labels, source.clients, test_fraction, seed)
    if not len(test):
        raise DataError(
            f"data {source.name!r}: expected a test part, got none from {len(source.labels)} rows with "
            f"test_fraction {test_fraction}; give more rows or a larger fraction"
        )
    clients = source.clients
    return Dataset(
        name=source.name,
        train=Examples(source.features[train], source.labels[train]),
        test=Examples(source.features[test], source.labels[test]),
        classes=len(source.label_names),
        source_hash=source.source_hash,
        train_clients=None if clients is None else clients[train],
        test_clients=None if clients is None else clients[test],
        client_names=source.client_names,
        label_names=source.label_names,
        feature_names=source.feature_names,
        description=source.description,
    )


def held_out(
    labels: NDArray[np.int64], clients: NDArray[np.int64] | None, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row indices of the training and of the test part, each ascending.

    Guarantee: ceil(n * test_fraction) test rows, fewer only where strata with a single row keep it;
    each stratum gives its share rounded down or up.

    Example:
        >>> train, test = held_out(np.array([0, 0, 0, 0, 1, 1, 1, 1]), None, 0.25, seed=3)
        >>> len(train), len(test)
        (6, 2)

    Raises:
        DataError: a fraction outside (0, 1) or a negative seed.
    """
    if not 0 < test_fraction < 1:
        raise DataError(f"test_fraction: expected a number above 0 and below 1, got {test_fraction}")
    random = public_generator(seed, _TAG)
    keys = labels if clients is None else clients * (int(labels.max(initial=0)) + 1) + labels
    _, stratum, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    takes = _shares(sizes, test_fraction, random)
    order = random.permutation(len(labels))
    order = order[np.argsort(stratum[order], kind="stable")]
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    rank = np.arange(len(labels)) - np.repeat(starts, sizes)
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[order] = rank < np.repeat(takes, sizes)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def public_generator(seed: int, tag: int) -> np.random.Generator:
    """A generator for public draws (split, partition); never for noise, keys or sampling.

    Raises:
        DataError: a negative seed.
    """
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    return np.random.default_rng([tag, seed])


def _shares(sizes: NDArray[np.int64], fraction: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Test rows per stratum by largest remainder, ties by lot."""
    # The small slack keeps 0.2 * 1000 from becoming 201 by a floating-point hair.
    wanted = math.ceil(int(sizes.sum()) * fraction - 1e-9)
    exact = sizes * fraction
    takes: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    order = np.lexsort((random.random(len(sizes)), -(exact - takes)))
    order = order[takes[order] + 1 < sizes[order]]
    takes[order[: max(0, wanted - int(takes.sum()))]] += 1
    return takes
