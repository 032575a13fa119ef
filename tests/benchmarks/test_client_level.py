"""The utility benchmark of client-level privacy: its measure of noise, and its plot."""

from __future__ import annotations

import math

import pytest

from securefl.encoding import NoisyFixedPoint
from securefl.privacy import DiscreteGaussian


@pytest.fixture
def benchmark(load_benchmark):
    return load_benchmark("client_level")


def test_the_noise_is_that_of_the_mean_over_all_groups(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "CLIENTS", 20)
    encoding = NoisyFixedPoint(2.0, 12, 5000, 5, DiscreteGaussian(50.0), sums=4)
    expected = 50.0 * encoding.step / 2.0 * math.sqrt(5000 / 20)
    # The norm of 5,000 samples has a relative deviation of 1 %; six of them: 2e-9.
    assert benchmark._noise(encoding, groups=4) == pytest.approx(expected, rel=0.06)


def test_a_gap_to_theory_is_seen(benchmark):
    exact = [benchmark.Point(100, 90, 0.2, 0.8), benchmark.Point(10, 9, 0.2 * math.sqrt(10), 0.5)]
    assert benchmark._gap(exact) < 1e-12
    assert benchmark._gap([exact[0], benchmark.Point(10, 9, 0.2, 0.5)]) > 0.6


def test_noise_and_accuracy_are_plotted(benchmark, tmp_path):
    points = [benchmark.Point(size, size, 1 / size, 0.5) for size in benchmark.SIZES]
    benchmark.plot(points, 0.8, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
