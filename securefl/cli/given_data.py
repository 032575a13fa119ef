"""Data named on the command line, brought into the order that a run's model knows.

Rules kept here:
- Classes and feature columns are matched by name with the run's own data: another file may lack a
  class, or order its columns differently, and its indices would then mean something else.
- A name that the run does not know is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.build import load_dataset
from securefl.config import Config
from securefl.data import Dataset, Examples, load
from securefl.errors import DataError

_SUFFIXES = {".csv": "csv", ".npz": "npz"}
_BUILT_IN = ("digits", "fashion_mnist", "mnist_5k", "heart_disease")


def read(config: Config, data: str, label: str | None, client: str | None) -> Examples:
    """Examples to score: the test part of a built-in data set, or all rows of a csv or npz file.

    Args:
        config: the run's config.
        data: a built-in name, or a path.
        label: column or array of the labels in a file; the config's if None.
        client: column or array of the clients in a file; the config's if None.

    Raises:
        DataError: neither, unreadable, or with names that the run does not know.
    """
    if data in _BUILT_IN:
        path = config.data.path if data == config.data.kind else None
        return load(data, path=path, test_fraction=config.data.test_fraction, seed=config.seed).test
    kind = _SUFFIXES.get(Path(data).suffix.lower())
    if kind is None:
        raise DataError(
            f"expected {', '.join(_BUILT_IN)} or a .csv or .npz file, got {data!r}; name one of them"
        )
    label = label or config.data.label
    if label is None:
        raise DataError(f"{data}: expected the name of the label column, got none; say --label NAME")
    given = load(kind, path=data, label=label, client=client or config.data.client)
    return aligned(given, load_dataset(config))


def aligned(given: Dataset, known: Dataset) -> Examples:
    """All examples of `given`, with the columns and class indices of `known`.

    Shapes: (n, *shape of the known examples).

    Raises:
        DataError: a class or a column that `known` lacks, or a column that `given` lacks.
    """
    features = np.concatenate([given.train.features, given.test.features])
    labels = np.concatenate([given.train.labels, given.test.labels])
    classes = _places(given.label_names, known.label_names, "class")
    if known.feature_names and given.feature_names:
        missing = sorted(set(known.feature_names) - set(given.feature_names))
        if missing:
            raise DataError(f"expected the column {missing[0]!r} as in the run's data, got none; add it")
        _places(given.feature_names, known.feature_names, "column")
        features = features[:, _places(known.feature_names, given.feature_names, "column")]
    return Examples(features, classes[labels])


def _places(names: tuple[str, ...], among: tuple[str, ...], what: str) -> NDArray[np.int64]:
    place = {name: at for at, name in enumerate(among)}
    unknown = [name for name in names if name not in place]
    if unknown:
        some = ", ".join(among[:20])
        raise DataError(
            f"expected a {what} of the run's data ({some}), got {unknown[0]!r}; rename or remove it"
        )
    return np.array([place[name] for name in names], dtype=np.int64)
