"""The benchmark of communication: its measure of rounding, and its plot."""

from __future__ import annotations

import pytest


@pytest.fixture
def benchmark(load_benchmark):
    return load_benchmark("communication")


def test_a_rotation_takes_most_of_the_error_of_four_bits_away(benchmark):
    # A norm over 20,000 roundings moves by about a percent; measured ratio 0.2.
    assert benchmark._error(4, True, 1.0) < benchmark._error(4, False, 1.0) / 3
    assert benchmark._error(16, False, 1.0) < benchmark._error(8, False, 1.0)


def test_accuracy_against_bytes_is_plotted(benchmark, tmp_path):
    points = [
        benchmark.Point(bits, rotated, part, 0.1, int(100 * bits * part), 2600, 0.9)
        for bits in benchmark.BITS
        for rotated in (False, True)
        for part in benchmark.PARTS
    ]
    benchmark.plot(points, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
