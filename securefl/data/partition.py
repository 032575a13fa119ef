"""Partitions: which training example sits at which client.

Rules kept here:
- Drawn by the public experiment seed; every example goes to exactly one client, no client is empty.
- `column` follows the source's own clients; the simulated partitions (`iid`, `dirichlet`) say nothing
  about how real parties' data differs.

What this file does NOT do: change the data's identity: the ledger charges the source, whatever the
partition.

Reference: Hsu, Qi and Brown 2019, "Measuring the Effects of Non-Identical Data Distribution for
Federated Visual Classification", section 3.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from securefl.data.examples import Dataset
from securefl.data.split import public_generator
from securefl.errors import DataError

KINDS = ("iid", "dirichlet", "column")
Parts = tuple[NDArray[np.int64], ...]
_TAG = 0xD1F1


def partition(dataset: Dataset, kind: str, clients: int, seed: int, alpha: float | None = None) -> Parts:
    """Ascending row indices of the training part, per client.

    Args:
        dataset: only its training part is shared out.
        kind: `iid` (equal sizes, by lot), `dirichlet` (equal sizes, skewed labels), `column`.
        clients: number of clients; for `column` it must be the number that the source has.
        seed: the public experiment seed.
        alpha: Dirichlet concentration per class: 100 is nearly iid, 0.1 gives clients of one or two classes.

    Raises:
        DataError: more clients than examples, a client without data, an impossible kind or alpha.
    """
    if kind == "column":
        return _by_column(dataset, clients)
    examples = len(dataset.train)
    if not 1 <= clients <= examples:
        raise DataError(
            f"clients: expected 1 to {examples} (one training example each), got {clients}; a client "
            "without data "
            "cannot take part. Declare fewer clients or give more rows"
        )
    random = public_generator(seed, _TAG)
    if kind == "iid":
        return tuple(np.sort(part) for part in np.array_split(random.permutation(examples), clients))
    if kind != "dirichlet":
        raise DataError(f"data.partition.kind: expected {', '.join(KINDS)}, got {kind!r}")
    if alpha is None or not (math.isfinite(alpha) and alpha > 0):
        raise DataError(f"data.partition.alpha: expected a number above 0, got {alpha}; 1.0 is moderate skew")
    if dataset.train.labels.ndim == 2:
        raise DataError(
            "data.partition.kind: expected iid or column for texts with answers, which have no classes to "
            "skew, got "
            "'dirichlet'"
        )
    return label_skew(dataset.train.labels, clients, alpha, random)


def as_one_client(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """The data set of a single client that has these training rows: one alone, or all in one place.

    Training examples are those of `rows` in that order; the test part stays whole.
    """
    train, nobody = dataset.train.take(rows), np.zeros(len(dataset.test), dtype=np.int64)
    own = np.zeros(len(train), dtype=np.int64)
    return replace(dataset, train=train, train_clients=own, test_clients=nobody, client_names=("one",))


def label_skew(labels: NDArray[np.int64], clients: int, alpha: float, random: np.random.Generator) -> Parts:
    """Equal sizes; each client draws its own class proportions and then examples without replacement.

    The proportions are Dirichlet with concentration alpha * classes * prior, alpha per class when the
    classes are balanced: Hsu et al.'s alpha is the number of classes times this one. A class that is
    used up leaves the draw, so the last clients take what is left.

    Example:
        >>> parts = label_skew(np.repeat([0, 1], 50), 4, 0.5, np.random.default_rng(1))
        >>> [len(part) for part in parts]
        [25, 25, 25, 25]
    """
    classes, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    pools = [random.permutation(np.flatnonzero(inverse == i)) for i in range(len(classes))]
    left = sizes.astype(np.int64)
    parts = []
    for size in _even_sizes(len(labels), clients):
        proportions = random.dirichlet(alpha * len(classes) * sizes / len(labels))
        counts = _draw_counts(int(size), proportions, left, random)
        taken = [pool[rest - count : rest] for pool, rest, count in zip(pools, left, counts, strict=True)]
        left = left - counts
        parts.append(np.sort(np.concatenate(taken)))
    return tuple(parts)


def _draw_counts(
    size: int, proportions: NDArray[np.float64], left: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    """How many of each class: multinomial draws, again without the classes that ran out."""
    counts = np.zeros_like(left)
    while (need := size - int(counts.sum())) > 0:
        open_ = left > counts
        weights = np.where(open_, proportions, 0.0)
        if weights.sum() < 1e-12:  # tiny alpha: nothing of what this client prefers is left
            weights = np.where(open_, left - counts, 0).astype(np.float64)
        counts = np.minimum(counts + random.multinomial(need, weights / weights.sum()), left)
    return counts


def _even_sizes(examples: int, clients: int) -> NDArray[np.int64]:
    return np.diff(np.arange(clients + 1, dtype=np.int64) * examples // clients)


def _by_column(dataset: Dataset, clients: int) -> Parts:
    if dataset.client_names is None or dataset.train_clients is None:
        raise DataError(
            f"data.partition.kind: expected a client column for 'column', got data {dataset.name!r} "
            "without one; name "
            "it in data.client, or use iid or dirichlet"
        )
    names = dataset.client_names
    if clients != len(names):
        raise DataError(
            f"clients: expected {len(names)}, one per value of the client column ({', '.join(names[:8])}"
            f"{', ...' if len(names) > 8 else ''}), got {clients}; declare {len(names)}"
        )
    parts = tuple(np.flatnonzero(dataset.train_clients == i) for i in range(clients))
    for name, part in zip(names, parts, strict=True):
        if not len(part):
            raise DataError(f"client {name!r}: expected training examples, got none; give it rows or drop it")
    return parts
