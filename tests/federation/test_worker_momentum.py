"""Worker momentum: the exponential average of a client's own updates."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.crypto import Stream
from securefl.data import Examples
from securefl.federation.worker_momentum import WorkerMomentum

EXAMPLES = Examples(np.zeros((1, 1)), np.zeros(1, dtype=int))


class Counting:
    """Gives 1, 2, 3, ..."""

    def __init__(self) -> None:
        self.calls = 0

    def train(
        self, vector: np.ndarray, examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> np.ndarray:
        self.calls += 1
        return np.full(2, float(self.calls))


def test_the_update_sent_is_the_average_of_all_so_far_newest_first() -> None:
    client, stream = WorkerMomentum(Counting(), 0.9), Stream(bytes(32))
    sent = [client.train(np.zeros(2, np.float32), EXAMPLES, stream, stream)[0] for _ in range(3)]
    assert sent == pytest.approx([0.1, 0.9 * 0.1 + 0.2, 0.9 * (0.9 * 0.1 + 0.2) + 0.3])


def test_what_was_sent_is_not_changed_by_what_comes_later() -> None:
    client, stream = WorkerMomentum(Counting(), 0.5), Stream(bytes(32))
    first = client.train(np.zeros(2, np.float32), EXAMPLES, stream, stream)
    client.train(np.zeros(2, np.float32), EXAMPLES, stream, stream)
    assert first.tolist() == [0.5, 0.5]


def test_two_clients_remember_apart_and_beta_zero_remembers_nothing() -> None:
    stream, start = Stream(bytes(32)), np.zeros(2, np.float32)
    one, other = WorkerMomentum(Counting(), 0.0), WorkerMomentum(Counting(), 0.9)
    assert [one.train(start, EXAMPLES, stream, stream)[0] for _ in range(2)] == [1.0, 2.0]
    assert other.train(start, EXAMPLES, stream, stream)[0] == pytest.approx(0.1)
