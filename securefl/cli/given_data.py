"""Data named on the command line, brought into the order that a run's model knows.

Rules kept here:
- Classes and feature columns are matched by name with the run's own data: another file may lack a
  class, or order its columns differently, and its indices would then mean something else.
- A name that the run does not know is refused.
- The run's own test part is that of the data it was trained on, or it is refused.

What this file does NOT do: score (`securefl.run`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.building import load_dataset, tokenizer_of
from securefl.config import Config
from securefl.data import Dataset, Examples, load
from securefl.data.answers import Answered
from securefl.data.load import TEXTS
from securefl.data.texts import CORPORA, Tokenize
from securefl.errors import DataError

_SUFFIXES = {".csv": "csv", ".npz": "npz", ".jsonl": "jsonl"}
_BUILT_IN = ("digits", "fashion_mnist", "mnist_5k", "heart_disease", *CORPORA)


@dataclass(frozen=True, eq=False)
class Given:
    """Examples, and whose they are where their source says so.

    Shapes:
        clients: (n,), indices into `client_names`.
    """

    examples: Examples
    clients: NDArray[np.int64] | None = None
    client_names: tuple[str, ...] = ()

    def by_client(self) -> dict[str, NDArray[np.int64]]:
        """Rows by name, for those who have any."""
        if self.clients is None:
            return {}
        found = {name: np.flatnonzero(self.clients == at) for at, name in enumerate(self.client_names)}
        return {name: rows for name, rows in found.items() if len(rows)}


@dataclass(frozen=True)
class _ClassesAsAnswers:
    """Reads the answer to a text as the name of its class, for a run that learned classes of texts."""

    tokens: Tokenize
    names: tuple[str, ...]

    @property
    def vocabulary(self) -> int:
        return self.tokens.vocabulary

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.tokens.texts(texts)

    def answers(
        self, answered: Sequence[Answered], whole: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        for one in answered:
            if len(one.prompt) != 1:
                raise DataError(
                    "expected one text as prompt for a run that learned classes of texts, got "
                    f"{len(one.prompt)} messages; give a text and the name of its class"
                )
        names = tuple(dict.fromkeys(one.answer for one in answered))
        place = dict(zip(names, _places(names, self.names, "class"), strict=True))
        labels = np.array([place[one.answer] for one in answered], dtype=np.int64)
        return self.tokens.texts([one.prompt[0][1] for one in answered]), labels


def own_test_part(config: Config, source_hash: str) -> Given:
    """The test part of the data that a run was trained on.

    Raises:
        DataError: the config now gives data with another hash.
    """
    dataset = load_dataset(config)
    if dataset.source_hash != source_hash:
        raise DataError(
            f"expected the data that the run was trained on, with hash {source_hash}, got "
            f"{dataset.source_hash}; restore it, or name the data to score"
        )
    return _test_part(dataset)


def read(config: Config, data: str, label: str | None, client: str | None) -> Given:
    """Examples to score: the test part of a built-in data set, or all rows of a file.

    Args:
        config: the run's config.
        data: a built-in name, or a path.
        label: column or array of the labels in a file; the config's if None.
        client: column or array of the clients in a file; the config's if None.

    Raises:
        DataError: none of these, unreadable, or with names that the run does not know.
    """
    kind = data if data in _BUILT_IN else _SUFFIXES.get(Path(data).suffix.lower())
    if kind is None:
        raise DataError(
            f"expected {', '.join(_BUILT_IN)} or a .csv, .npz or .jsonl file, got {data!r}; name one of them"
        )
    if (kind in TEXTS) != (config.data.kind in TEXTS):
        raise DataError(
            f"expected data of the run's kind, {'texts' if config.data.kind in TEXTS else 'numbers'}, got "
            f"{data!r}; name other data"
        )
    if kind == "jsonl":
        return _conversations(config, data)
    if data in _BUILT_IN:
        return _known_test_part(config, _built_in(config, data))
    label = label or config.data.label
    if label is None:
        raise DataError(f"{data}: expected the name of the label column, got none; say --label NAME")
    given = load(kind, path=data, label=label, client=client or config.data.client)
    return Given(aligned(given, load_dataset(config)), *_everybody(given))


def aligned(given: Dataset, known: Dataset) -> Examples:
    """All examples of `given`, with the columns and class indices of `known`.

    Shapes: (n, *shape of the known examples).

    Raises:
        DataError: a class or a column that `known` lacks, or a column that `given` lacks.
    """
    return _matched(Examples(*_joined(given)), given, known)


def _known_test_part(config: Config, given: Dataset) -> Given:
    known = load_dataset(config)
    if given.task != known.task:
        raise DataError(
            f"expected data for {known.task}, as the run learned, got {given.name} for {given.task}; name "
            "other data"
        )
    if given.name == known.name:
        return _test_part(given)
    examples = _matched(given.test, given, known)
    return Given(examples, given.test_clients, given.client_names or ())


def _matched(examples: Examples, given: Dataset, known: Dataset) -> Examples:
    features, labels = examples.features, examples.labels
    classes = _places(given.label_names, known.label_names, "class")
    if known.feature_names and given.feature_names:
        missing = sorted(set(known.feature_names) - set(given.feature_names))
        if missing:
            raise DataError(f"expected the column {missing[0]!r} as in the run's data, got none; add it")
        _places(given.feature_names, known.feature_names, "column")
        features = features[:, _places(known.feature_names, given.feature_names, "column")]
    return Examples(features, classes[labels])


def _built_in(config: Config, kind: str) -> Dataset:
    if kind in CORPORA:
        return load(kind, tokenize=tokenizer_of(config))
    path = config.data.path if kind == config.data.kind else None
    return load(kind, path=path, test_fraction=config.data.test_fraction, seed=config.seed)


def _conversations(config: Config, path: str) -> Given:
    tokens: Tokenize | None = tokenizer_of(config)
    assert tokens is not None  # noqa: S101 - the caller has looked
    if config.data.kind in CORPORA:
        tokens = _ClassesAsAnswers(tokens, load_dataset(config).label_names)
    given = load("jsonl", path=path, tokenize=tokens)
    return Given(Examples(*_joined(given)), *_everybody(given))


def _test_part(dataset: Dataset) -> Given:
    return Given(dataset.test, dataset.test_clients, dataset.client_names or ())


def _joined(given: Dataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    features = np.concatenate([given.train.features, given.test.features])
    return features, np.concatenate([given.train.labels, given.test.labels])


def _everybody(given: Dataset) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    if given.train_clients is None or given.test_clients is None:
        return None, ()
    return np.concatenate([given.train_clients, given.test_clients]), given.client_names or ()


def _places(names: tuple[str, ...], among: tuple[str, ...], what: str) -> NDArray[np.int64]:
    place = {name: at for at, name in enumerate(among)}
    unknown = [name for name in names if name not in place]
    if unknown:
        some = ", ".join(among[:20])
        raise DataError(
            f"expected a {what} of the run's data ({some}), got {unknown[0]!r}; rename or remove it"
        )
    return np.array([place[name] for name in names], dtype=np.int64)
