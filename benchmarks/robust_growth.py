"""Growth of the rules with the number of rows and of coordinates, and the plot.

What this does NOT do: compare. Ratios against peers are in `robust`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bench
import numpy as np

from securefl.robust import named_rule

ROWS, DIMS = (5, 10, 20, 50, 100), (10_000, 100_000, 1_000_000, 5_000_000)
AT_DIM, AT_ROWS = 100_000, 20
RULES = ("trimmed_mean", "median", "geometric_median", "centred_clipping", "krum", "bulyan")
PLOT = bench.ROOT / "docs" / "robust_growth.png"


@dataclass(frozen=True)
class Point:
    """CPU seconds of one rule on so many rows of so many coordinates."""

    rule: str
    rows: int
    dim: int
    seconds: float

    def row(self) -> bench.Figure:
        """The point as a row of the table."""
        shape = f"{self.rows} x {self.dim:.0e}"
        return {
            "what": f"growth, {self.rule}",
            "rows": shape,
            "who": "ours",
            "cpu s": self.seconds,
            "ratio": None,
        }


def grow(quick: bool) -> list[Point]:
    """Every rule over the numbers of rows, then over the numbers of coordinates."""
    sizes = [(count, AT_DIM) for count in ROWS] + [(AT_ROWS, dim) for dim in DIMS[: 2 if quick else None]]
    found = []
    for count, dim in dict.fromkeys(sizes):
        rows = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
        found += [Point(rule, count, dim, _seconds(rule, rows)) for rule in RULES]
    return found


def plot(points: Sequence[Point], path: Path = PLOT) -> None:
    """CPU milliseconds against rows and against coordinates, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for rule in RULES:
        mine = [point for point in points if point.rule == rule]
        by_rows = sorted((point.rows, 1e3 * point.seconds) for point in mine if point.dim == AT_DIM)
        by_dim = sorted((point.dim, 1e3 * point.seconds) for point in mine if point.rows == AT_ROWS)
        left.plot(*zip(*by_rows, strict=True), "o-", markersize=3, label=rule)
        right.plot(*zip(*by_dim, strict=True), "o-", markersize=3, label=rule)
    left.set_xlabel(f"rows, {AT_DIM:,} coordinates each")
    left.set_ylabel("CPU ms, one thread")
    left.set_xticks(ROWS, [str(count) for count in ROWS])
    right.set_xlabel(f"coordinates of {AT_ROWS} rows")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(visible=True, linewidth=0.3)
    left.set_xticks(ROWS, [str(count) for count in ROWS])
    left.minorticks_off()
    right.legend(fontsize=7)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _seconds(rule: str, rows: np.ndarray) -> float:
    # Bulyan bears least: 4 f + 3 rows.
    malicious = max(0, (len(rows) - 3) // 4)
    work, weights = named_rule(rule, malicious), np.ones(len(rows))
    return bench.best_cpu_seconds(lambda: work(rows, weights), repeats=3)
