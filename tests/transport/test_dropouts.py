"""Simulated dropouts: public, replayable, at the declared rate, and for the rest of the round."""

from __future__ import annotations

from collections import Counter
from math import sqrt

from securefl.transport import Dropouts, vanishing
from securefl.transport.dropouts import POINTS


def test_the_same_seed_loses_the_same_clients_at_the_same_steps() -> None:
    one = [vanishing(Dropouts(0.3, 7), 2, 0, client) for client in range(50)]
    assert one == [vanishing(Dropouts(0.3, 7), 2, 0, client) for client in range(50)]
    assert one != [vanishing(Dropouts(0.3, 8), 2, 0, client) for client in range(50)]
    assert one != [vanishing(Dropouts(0.3, 7), 2, 1, client) for client in range(50)]


def test_the_rate_and_the_steps_are_the_declared_ones() -> None:
    count, rate = 20_000, 0.1
    gone = [lost for client in range(count) if (lost := vanishing(Dropouts(rate, 1), 1, 0, client))]
    # Five standard deviations of a binomial count; deterministic for this seed anyway.
    assert abs(len(gone) - count * rate) < 5 * sqrt(count * rate * (1 - rate))
    by_step = Counter(lost.step for lost in gone)
    assert set(by_step) == set(POINTS)
    share = len(gone) / len(POINTS)
    assert all(abs(found - share) < 5 * sqrt(share) for found in by_step.values())


def test_nobody_vanishes_at_rate_zero() -> None:
    assert all(vanishing(Dropouts(0.0, 1), 1, 0, client) is None for client in range(1000))
