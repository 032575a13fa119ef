"""Examples and data sets: validated, frozen arrays that every loader ends in.

Rules kept here:
- Features are finite float32, labels are int64 class indices; anything else is a `DataError` that
  says where.
- Texts are token ids, (n, positions) padded with `NONE`; float32 holds whole numbers below 2^24 exactly.
  Where the answer of a text is to be learned, labels have a token per position, `NONE` wherever there is
  nothing to learn: the prompt and the padding.
- An array that already fits is kept, not copied: whoever builds `Examples` leaves it alone afterwards.
- `source_hash` names the SOURCE before it was split or partitioned; it is what a privacy ledger
  charges, so that another split of the same data spends the same budget.

What this file does NOT do: read anything (one file per loader), split (`load`), partition
(`partition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DataError

NONE = -1
"""No token: padding, and a position whose token is not to be learned."""
Task = Literal["classification", "sequence_classification", "causal_lm"]
MOST_TOKENS = 1 << 24
"""Token ids stay below it, so that float32 holds them exactly."""


@dataclass(frozen=True, eq=False)
class Examples:
    """A batch of labelled examples.

    Shapes:
        features: (n, *shape), float32; anything numeric is converted.
        labels: (n,), int64; or (n, positions), the token to learn at each position of a text.

    Raises:
        DataError: lengths differ, a feature is not finite, a label is negative or no integer, or a text
            has nothing to learn.

    Example:
        >>> three = Examples(np.eye(3), np.array([0, 1, 1]))
        >>> len(three), three.shape, three.take(np.array([2, 0])).labels.tolist()
        (3, (3,), [1, 0])
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", _frozen_features(self.features))
        object.__setattr__(self, "labels", _frozen_labels(self.labels))
        if len(self.features) != len(self.labels):
            raise DataError(
                f"expected one label per example, got {len(self.features)} examples and "
                f"{len(self.labels)} labels; give arrays of one length"
            )
        if self.labels.ndim == 2 and self.labels.shape != self.features.shape:
            raise DataError(
                f"expected one label per position, {self.features.shape}, got {self.labels.shape}; pad "
                f"both alike"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example's features."""
        return tuple(self.features.shape[1:])

    @property
    def majority_share(self) -> float:
        """Share of the most frequent label: what always answering it scores here; 0 without examples."""
        labels = self.labels[self.labels != NONE]
        return float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0

    def take(self, indices: NDArray[np.int64]) -> Examples:
        """The examples at `indices`, in that order; no index at all gives no examples.

        Neither range nor finiteness is checked again: this is the inner loop of training.
        """
        return _trusted(self.features[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test examples of one source, and which client each belongs to where it says so.

    Attributes:
        classes: number of classes; labels run from 0 to classes - 1. Of texts with answers, the vocabulary.
        source_hash: sha256 in hex of the source's content, whatever its path, split and partition.
        train_clients: index into `client_names` per training example, or None without a client column.
        test_clients: the same per test example.
        client_names: the values of the client column, or None.
        label_names: the source's own names of the classes, in order of their index.
        feature_names: names of the columns after encoding; empty for images.
        description: one or two sentences on where the data comes from and what was done to it.
        caveats: what a guarantee on this data must say beside its epsilon, one sentence each.
        vocabulary: number of token ids, where features are texts; 0 where they are numbers.
        synthetic: whether a grammar wrote it: no number on it is a number on real data.

    Raises:
        DataError: empty parts, shapes that differ, labels, tokens or client indices out of range.
    """

    name: str
    train: Examples
    test: Examples
    classes: int
    source_hash: str
    train_clients: NDArray[np.int64] | None = None
    test_clients: NDArray[np.int64] | None = None
    client_names: tuple[str, ...] | None = None
    label_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    description: str = ""
    caveats: tuple[str, ...] = ()
    vocabulary: int = 0
    synthetic: bool = False

    def __post_init__(self) -> None:
        self._check_parts()
        self._check_tokens()
        self._check_clients()
        if len(self.source_hash) != 64 or not set(self.source_hash) <= set("0123456789abcdef"):
            raise DataError(
                f"data {self.name!r}: source_hash must be 64 hex digits, got {self.source_hash!r}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example's features."""
        return self.train.shape

    @property
    def task(self) -> Task:
        """What there is to learn: the class of numbers, the class of a text, or the answer in it."""
        if not self.vocabulary:
            return "classification"
        return "causal_lm" if self.train.labels.ndim == 2 else "sequence_classification"

    @classmethod
    def of_arrays(
        cls,
        name: str,
        train: tuple[NDArray[np.generic], NDArray[np.generic]],
        test: tuple[NDArray[np.generic], NDArray[np.generic]],
        classes: int,
        source_hash: str,
    ) -> Self:
        """A data set from a user's own `(features, labels)` arrays.

        Raises:
            DataError: as for the constructor.
        """
        return cls(name, _of_pair(train), _of_pair(test), classes, source_hash)

    def _check_parts(self) -> None:
        if self.classes < 2:
            raise DataError(f"data {self.name!r}: expected at least 2 classes, got {self.classes}")
        if self.train.shape != self.test.shape:
            raise DataError(
                f"data {self.name!r}: training examples have shape {self.train.shape}, test examples "
                f"{self.test.shape}; both must be equal"
            )
        for part, examples in (("training", self.train), ("test", self.test)):
            if not len(examples):
                raise DataError(f"data {self.name!r}: the {part} part is empty; give more rows")
            top = int(examples.labels.max())
            if top >= self.classes:
                row = int(np.argwhere(examples.labels >= self.classes)[0][0])
                raise DataError(
                    f"data {self.name!r}: {part} row {row} has label {examples.labels[row].max()}; expected "
                    f"0 to {self.classes - 1}. Declare more classes or correct the label"
                )

    def _check_tokens(self) -> None:
        if self.train.labels.ndim != self.test.labels.ndim or (
            self.train.labels.ndim == 2 and self.classes != self.vocabulary
        ):
            raise DataError(
                f"data {self.name!r}: expected labels per position in both parts, and as many classes as "
                f"token "
                f"ids, got {self.classes} classes of {self.vocabulary} ids; give both parts of one kind"
            )
        if not self.vocabulary:
            return
        if self.vocabulary >= MOST_TOKENS or len(self.shape) != 1:
            raise DataError(
                f"data {self.name!r}: expected texts as (examples, positions) of fewer than "
                f"{MOST_TOKENS:,} ids, "
                f"got positions {self.shape} and {self.vocabulary:,} ids"
            )
        for examples in (self.train, self.test):
            ids = examples.features
            whole = (ids >= NONE) & (ids < self.vocabulary) & (ids == np.floor(ids))
            if not whole.all():
                row = int(np.argwhere(~whole)[0][0])
                raise DataError(
                    f"data {self.name!r}: row {row} holds a token outside 0 to {self.vocabulary - 1}; "
                    f"tokenise "
                    "with the model's own tokenizer"
                )

    def _check_clients(self) -> None:
        columns = (self.train_clients, self.test_clients)
        if self.client_names is None:
            if any(column is not None for column in columns):
                raise DataError(f"data {self.name!r}: client indices need client_names beside them")
            return
        for field, column, examples in zip(
            ("train_clients", "test_clients"), columns, (self.train, self.test), strict=True
        ):
            if column is None or len(column) != len(examples):
                count = "none" if column is None else len(column)
                raise DataError(
                    f"data {self.name!r}: {field} needs one index per example ({len(examples)}), got {count}"
                )
            checked = _frozen_ids(column, field)
            if len(checked) and int(checked.max()) >= len(self.client_names):
                raise DataError(
                    f"data {self.name!r}: {field} names client {int(checked.max())}; expected 0 to "
                    f"{len(self.client_names) - 1}"
                )
            object.__setattr__(self, field, checked)


def _of_pair(pair: tuple[NDArray[np.generic], NDArray[np.generic]]) -> Examples:
    return Examples(_frozen_features(pair[0]), _frozen_labels(pair[1]))


def _trusted(features: NDArray[np.float32], labels: NDArray[np.int64]) -> Examples:
    examples = object.__new__(Examples)
    object.__setattr__(examples, "features", features)
    object.__setattr__(examples, "labels", labels)
    return examples


def _frozen_features(features: NDArray[np.generic]) -> NDArray[np.float32]:
    array = np.asarray(features)
    if array.ndim < 2 or array.dtype.kind not in "fiub":
        raise DataError(
            f"expected numeric features of shape (examples, ...), got {array.dtype} of shape {array.shape}"
        )
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused below
        values = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise DataError(
            f"row {place[0]}, feature {', '.join(map(str, place[1:]))} is {array[place]}; expected a finite "
            "float32. Remove the row or impute the value"
        )
    return values


def _frozen_labels(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        return _frozen_ids(array, "labels")
    values = np.ascontiguousarray(array, dtype=np.int64)
    if len(values) and (int(values.min()) < NONE or not (values != NONE).any(1).all()):
        row = int(np.argmax((values < NONE).any(1) | (values == NONE).all(1)))
        raise DataError(
            f"row {row} of labels: expected at least one token to learn, and {NONE} elsewhere; remove the "
            f"text or "
            "keep more of it"
        )
    return values


def _frozen_ids(ids: NDArray[np.generic], what: str) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"expected {what} as integers of shape (examples,), got {array.dtype} of {array.shape}"
        )
    values = np.ascontiguousarray(array, dtype=np.int64)
    if len(values) and int(values.min()) < 0:
        row = int(np.argmax(values < 0))
        raise DataError(f"row {row} of {what} is {array[row]}; expected 0 or more")
    return values
