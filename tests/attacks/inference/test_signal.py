from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from securefl.attacks.inference import log_probability, margin
from securefl.errors import DataError

ROWS = st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=5)


@given(ROWS)
def test_both_signals_are_those_of_the_softmax_where_it_has_digits(rows: list[list[float]]) -> None:
    logits, labels = np.array(rows), np.zeros(len(rows), dtype=np.int64)
    p = special.softmax(logits, axis=1)
    others = p[:, 1:].sum(axis=1)
    assert np.allclose(log_probability(logits, labels), np.log(p[:, 0]), atol=1e-9)
    assert np.allclose(margin(logits, labels), np.log(p[:, 0]) - np.log(others), atol=1e-9)


def test_the_margin_goes_on_where_a_float32_softmax_is_1() -> None:
    logits = np.array([[40.0, 0, 0], [400.0, 0, 0]], dtype=np.float32)
    labels = np.zeros(2, dtype=np.int64)
    assert (special.softmax(logits, axis=1)[:, 0] == 1.0).all()
    assert margin(logits, labels).tolist() == pytest.approx([40 - np.log(2), 400 - np.log(2)])


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros(3), np.zeros(3, np.int64)),
        (np.zeros((3, 1)), np.zeros(3, np.int64)),
        (np.zeros((3, 2)), np.zeros(2, np.int64)),
        (np.array([[0.0, np.nan]]), np.zeros(1, np.int64)),
    ],
)
def test_logits_that_are_none_are_refused(logits: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected"):
        margin(logits, labels)
