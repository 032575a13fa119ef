"""The benchmark's own measure of the geometric median, and its plot."""

from __future__ import annotations

import numpy as np
import pytest

from securefl.robust import mean


@pytest.fixture
def robust(load_benchmark):
    return load_benchmark("robust")


def test_what_is_left_to_gain_is_small_at_the_optimum_and_seen_anywhere_else(robust, monkeypatch):
    rows = np.random.default_rng(0).standard_normal((9, 50), dtype=np.float32)
    rows[0] *= 30.0
    assert robust._gap(rows).holds
    monkeypatch.setattr(robust, "geometric_median", mean)
    assert robust._gap(rows).value > 0.1


def test_squared_distances_are_checked_against_exact_ones(robust):
    check = robust._exactness()
    assert check.holds
    assert check.value < 1e-9


def test_growth_is_plotted_for_every_rule(load_benchmark, tmp_path):
    growth = load_benchmark("robust_growth")
    points = [
        growth.Point(rule, rows, dim, 1e-9 * rows * dim)
        for rule in growth.RULES
        for rows, dim in [(count, growth.AT_DIM) for count in growth.ROWS]
        + [(growth.AT_ROWS, dim) for dim in growth.DIMS if dim != growth.AT_DIM]
    ]
    growth.plot(points, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
