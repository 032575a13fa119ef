"""What a model's logits say about one example: its loss, and how sure the model is in units that do not end.

Rules kept here: everything comes from logits in float64. A softmax in float32 is 1 for every example that a
model has learnt, and log p - log(1 - p) of it says nothing more; the margin from logits goes on growing.

Reference: Carlini et al. 2022, "Membership Inference Attacks From First Principles", logit scaling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DataError

Logits = NDArray[np.floating]
Signal = NDArray[np.float64]


def margin(logits: Logits, labels: NDArray[np.int64]) -> Signal:
    """How sure the label is: log p - log(1 - p). Shapes: (n, classes), (n,) -> (n,).

    Example:
        >>> margin(np.array([[60.0, 0.0]]), np.array([0])).tolist()
        [60.0]
    """
    logits, rows = _sound(logits, labels)
    at_label = logits[rows, labels]
    others = logits.copy()
    others[rows, labels] = -np.inf
    return at_label - _log_sum_exp(others)


def log_probability(logits: Logits, labels: NDArray[np.int64]) -> Signal:
    """The label's log p, the loss with its sign turned. Shapes: (n, classes), (n,) -> (n,)."""
    logits, rows = _sound(logits, labels)
    return logits[rows, labels] - _log_sum_exp(logits)


def _sound(given: Logits, labels: NDArray[np.int64]) -> tuple[Signal, NDArray[np.int64]]:
    logits: Signal = np.asarray(given, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"expected logits (n, classes) of at least 2 classes and n labels, got {logits.shape} and "
            f"{labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise DataError("expected finite logits, got others; the model diverged")
    return logits, np.arange(len(logits), dtype=np.int64)


def _log_sum_exp(logits: Signal) -> Signal:
    peak = logits.max(axis=1)
    return np.asarray(peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1)))
