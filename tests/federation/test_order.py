"""The order of the buckets: a permutation that nobody chose and everybody can repeat."""

from __future__ import annotations

from collections import Counter

from securefl.federation.order import bucket_order


def test_it_is_the_same_for_the_same_attempt_and_another_for_any_other() -> None:
    orders = {
        (seed, round, attempt): tuple(bucket_order(seed, round, attempt)(12).tolist())
        for seed in (bytes(32), b"\1" * 32)
        for round in (1, 2)
        for attempt in (0, 1)
    }
    assert len(set(orders.values())) == 8
    assert orders[bytes(32), 1, 0] == tuple(bucket_order(bytes(32), 1, 0)(12).tolist())
    assert all(sorted(order) == list(range(12)) for order in orders.values())


def test_every_order_of_three_is_as_likely_as_the_others() -> None:
    draws = 6000
    found = Counter(tuple(bucket_order(bytes(32), round, 0)(3).tolist()) for round in range(draws))
    assert len(found) == 6
    # Each count is binomial (6000, 1/6), standard deviation 29; five of them: false alarms below 4e-6 in all.
    assert all(abs(count - draws / 6) < 5 * 29 for count in found.values())
