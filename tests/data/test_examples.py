"""Examples and data sets refuse what training could not survive, and say where it is."""

import numpy as np
import pytest

from securefl.data import Dataset, Examples
from securefl.errors import DataError

HASH = "0" * 64


def examples(labels: list[int]) -> Examples:
    return Examples(np.zeros((len(labels), 2), dtype=np.float32), np.array(labels, dtype=np.int64))


def test_any_numeric_features_become_float32_and_any_integers_int64() -> None:
    made = Examples(np.ones((2, 3), dtype=np.uint8), np.array([0, 1], dtype=np.uint16))
    assert made.features.dtype == np.float32
    assert made.labels.dtype == np.int64


def test_taking_no_index_gives_no_examples_of_the_same_shape() -> None:
    none = examples([0, 1]).take(np.array([], dtype=np.int64))
    assert len(none) == 0
    assert none.shape == (2,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_a_value_that_is_no_finite_float32_is_named_by_row_and_feature(bad: float) -> None:
    features = np.zeros((3, 2, 2))
    features[1, 0, 1] = bad
    with pytest.raises(DataError, match="row 1, feature 0, 1 is"):
        Examples(features, np.array([0, 1, 0]))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((2, 1)), np.array([0]), "one label per example"),
        (np.zeros((2, 1)), np.array([0, -1]), "row 1 of labels is -1"),
        (np.zeros((2, 1)), np.array([0.0, 1.0]), "labels as integers"),
        (np.zeros(2), np.array([0, 1]), "shape \\(examples, ...\\)"),
        (np.array([["a"], ["b"]]), np.array([0, 1]), "numeric features"),
    ],
)
def test_arrays_that_are_no_examples_are_refused(features, labels, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Examples(features, labels)


def test_a_label_out_of_range_is_named_by_part_and_row() -> None:
    with pytest.raises(DataError, match="test row 1 has label 2; expected 0 to 1"):
        Dataset("mine", examples([0, 1]), examples([0, 2]), 2, HASH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, "at least 2 classes"),
        ({"test": examples([])}, "test part is empty"),
        ({"test": Examples(np.zeros((1, 3)), np.array([0]))}, "both must be equal"),
        ({"source_hash": "abc"}, "64 hex digits"),
        ({"train_clients": np.array([0, 0])}, "need client_names"),
        ({"client_names": ("a",)}, "train_clients needs one index per example"),
        (
            {"client_names": ("a",), "train_clients": np.array([0, 1]), "test_clients": np.array([0, 0])},
            "train_clients names client 1; expected 0 to 0",
        ),
    ],
)
def test_a_data_set_that_does_not_fit_together_is_refused(change, message: str) -> None:
    fields = {
        "name": "mine",
        "train": examples([0, 1]),
        "test": examples([0, 1]),
        "classes": 2,
        "source_hash": HASH,
    }
    with pytest.raises(DataError, match=message):
        Dataset(**(fields | change))


def test_the_majority_share_is_that_of_the_most_frequent_class() -> None:
    assert examples([1, 0, 0, 2]).majority_share == 0.5
    assert examples([1, 0]).take(np.array([], dtype=np.int64)).majority_share == 0.0


def test_own_arrays_become_a_data_set() -> None:
    data = Dataset.of_arrays("mine", (np.eye(2), np.array([0, 1])), (np.eye(2), np.array([1, 0])), 2, HASH)
    assert data.shape == (2,)
