"""Means, intervals, prices and worst cases, from results made up by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from securefl.attacks.arena import estimate, standings


def result(
    defence: str, attack: str, accuracy: float, seed: int = 0, attackers: int = 2
) -> dict[str, object]:
    place = {
        "defence": defence,
        "attack": attack,
        "heterogeneity": "iid",
        "attackers": attackers,
        "seed": seed,
    }
    return place | {"accuracy": accuracy, "aim": 0.25 if attack == "backdoor" else None}


def test_the_interval_is_students_t_over_seeds() -> None:
    values = [0.5, 0.7, 0.9]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    found = estimate(values)
    assert found.mean == pytest.approx(0.7)
    assert found.half_width == pytest.approx((high - low) / 2, rel=1e-3)
    assert estimate([0.5]).half_width is None


def test_price_is_against_the_best_defence_without_an_attack_and_worst_is_the_lowest_mean() -> None:
    results = [
        result("mean", "none", 0.9, attackers=0),
        result("median", "none", 0.8, attackers=0),
        result("mean", "flip", 0.1),
        result("mean", "backdoor", 0.9),
        result("median", "flip", 0.7),
        result("median", "backdoor", 0.6),
    ]
    mean, median = standings(results)
    assert (mean.price, mean.worst) == (0.0, "flip")
    assert (median.price, median.worst) == (pytest.approx(0.1), "backdoor")
    assert median.unattacked.mean == 0.8
    assert {name: one.mean for name, one in median.aims.items()} == {"backdoor": 0.25}


def test_places_are_kept_apart_and_the_absence_of_attackers_counts_for_its_own_number() -> None:
    results = [
        result("mean", "none", 0.9, attackers=1),
        result("mean", "none", 0.8, attackers=2),
        result("mean", "flip", 0.5, attackers=1),
        result("mean", "flip", 0.4, attackers=2),
    ]
    one, two = standings(results)
    assert (one.unattacked.mean, two.unattacked.mean) == (0.9, 0.8)
    assert (one.attacked["flip"].mean, two.attacked["flip"].mean) == (0.5, 0.4)
