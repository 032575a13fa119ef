"""Overhearing changes nothing that an honest client sends."""

from __future__ import annotations

import numpy as np

from securefl.attacks.overheard import overhear
from securefl.crypto import SystemRandomness
from securefl.data import Examples
from securefl.encoding import FixedPoint
from securefl.federation import LocalUpdate, Stopwatch

CODEC = FixedPoint(clip_norm=1.0, bits=16, dim=2, members=3)


class Noisy:
    """A trainer whose noise cannot be replayed."""

    def train(self, vector, examples, sampling, noise, round=1):  # type: ignore[no-untyped-def]
        return noise.uniforms(2) / 4


def local() -> LocalUpdate:
    examples = Examples(np.zeros((1, 1)), np.zeros(1, dtype=int))
    return LocalUpdate(0, Noisy(), examples, CODEC, 1, SystemRandomness(), Stopwatch())


def test_what_is_overheard_is_what_is_sent_whoever_asks_first() -> None:
    for attacker_first in (True, False):
        client, _ = overhear(local())
        start = np.zeros(2, np.float32)
        heard = client.update(start, 1) if attacker_first else None
        words = client(start.tobytes(), 1)
        heard = client.update(start, 1) if heard is None else heard
        assert np.abs(CODEC.decode(words, 1)[0] - heard).max() <= CODEC.step


def test_the_next_attempt_is_another_training() -> None:
    client, ear = overhear(local())
    start = np.zeros(2, np.float32)
    first = client.update(start, 1)
    assert np.array_equal(client.update(start, 1), first)
    ear.forget()
    assert not np.array_equal(client.update(start, 1), first)
