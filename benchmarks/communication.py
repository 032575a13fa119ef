"""What do few bits, a rotation and drawn parts save on the wire, and what do they cost?

Rounding: the relative error of one masked sum of four clients whose updates have half of their norm in a few
coordinates, at 20,000 coordinates. Accuracy: the quickstart (digits, 12 clients, epsilon 8, trimmed mean),
played whole through the real protocol. The peer is what plain federated averaging sends: float32, four bytes
per coordinate, no mask and no noise.

    make bench-communication [ARGS="--repeats 3" | ARGS=--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from statistics import mean

import bench
import numpy as np

from securefl import build_federated_averaging
from securefl import config as configuration
from securefl.crypto import SystemRandomness
from securefl.encoding import FixedPoint

QUICKSTART = bench.ROOT / "examples" / "configs" / "quickstart.yaml"
PLOT = bench.ROOT / "docs" / "communication.png"
BITS, PARTS = (4, 8, 16), (1.0, 0.25, 0.1)
DIM, MEMBERS, SPIKES = 20_000, 4, 10
FLOAT32 = 4


@dataclass(frozen=True)
class Point:
    """One way to send an update, and what it gives."""

    bits: int
    rotated: bool
    part: float
    error: float
    vector: int
    plain: int
    accuracy: float

    def row(self) -> bench.Figure:
        """The point as a row of the table."""
        return {
            "bits": self.bits,
            "rotated": "yes" if self.rotated else "no",
            "part": self.part,
            "rounding error (20,000 coordinates)": self.error,
            "vector, quickstart (bytes)": self.vector,
            "float32 is so many times as long": self.plain / self.vector,
            "accuracy": self.accuracy,
        }


def main() -> None:
    """Plays every combination, prints the table, writes benchmarks/results/communication.json."""
    options = _options()
    points = [
        measured(bits, rotated, part, options)
        for part in (PARTS[:2] if options.quick else PARTS)
        for bits in (BITS[:1] if options.quick else BITS)
        for rotated in (False, True)
    ]
    checks = [
        bench.at_most(
            "rounding error at 4 bits, rotated against not",
            _error(4, True, 1.0) / _error(4, False, 1.0),
            1 / 3,
            "of it",
        )
    ]
    if not options.quick:
        whole, best = _of(points, 16, False, 1.0), _of(points, 8, True, 0.25)
        short = min(
            (one for one in points if one.accuracy >= whole.accuracy - 0.02), key=lambda one: one.vector
        )
        checks += [
            bench.at_least(
                "8 bits, rotated, a quarter: against 16 bits whole",
                best.accuracy - whole.accuracy,
                -0.02,
                "accuracy",
            ),
            bench.at_least(
                "shortest vector within 2 points, against float32",
                short.plain / short.vector,
                10.0,
                "times shorter",
            ),
        ]
        plot(points)
    notes = [
        f"Accuracies are means over {options.repeats} runs, which noise moves: it is never seeded.",
        "The protocol adds about 1.4 kB up per client and round, as `securefl budget` prints.",
    ]
    bench.finish("communication", checks, [point.row() for point in points], notes)


def measured(bits: int, rotated: bool, part: float, options: argparse.Namespace) -> Point:
    """One combination: rounding error, bytes and accuracy."""
    overrides = [f"secure_aggregation.bits={bits}", f"secure_aggregation.rotation={str(rotated).lower()}"]
    overrides += [] if part == 1.0 else [f"secure_aggregation.subsample={part}"]
    overrides += ["server.rounds=2"] if options.quick else []
    config = configuration.load(QUICKSTART, [*overrides, "simulation.client_curves=false"])
    scores = []
    for _ in range(options.repeats):
        with build_federated_averaging(config) as process:
            state = process.initialize()
            while not process.finished(state):
                state, metrics = process.next(state)
            scores.append(metrics.test_accuracy)
            terms = process.terms
    print(f"{bits} bits, rotated: {rotated}, part {part:g}: {mean(scores):.4f}", flush=True)
    vector, plain = terms.traffic.vector, FLOAT32 * terms.dim
    return Point(bits, rotated, part, _error(bits, rotated, part), vector, plain, mean(scores))


def plot(points: Sequence[Point], path: Path = PLOT) -> None:
    """Accuracy against bytes of a vector, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for part, marker in zip(PARTS, "os^", strict=True):
        for rotated, face in ((False, "none"), (True, "tab:blue")):
            chosen = [one for one in points if (one.part, one.rotated) == (part, rotated)]
            label = f"{part:.0%} of the coordinates, {'rotated' if rotated else 'as they are'}"
            axes.plot(
                [one.vector for one in chosen],
                [one.accuracy for one in chosen],
                marker,
                color="tab:blue",
                markerfacecolor=face,
                label=label,
            )
    axes.axvline(points[0].plain, color="grey", linestyle=":", label="float32, unmasked")
    axes.set(xscale="log", xlabel="bytes of one client's vector per round", ylabel="test accuracy, digits")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _error(bits: int, rotated: bool, part: float) -> float:
    """Of the decoded mean, relative to the mean's norm, on what travels of the updates."""
    rng, count = np.random.default_rng(0), ceil(part * DIM)
    updates = rng.normal(size=(MEMBERS, DIM))
    updates[:, :SPIKES] *= sqrt(DIM / SPIKES)
    updates = updates[:, rng.permutation(DIM)][:, :count]
    updates /= np.linalg.norm(updates, axis=1)[:, np.newaxis]
    codec = FixedPoint(1.0, bits, count, MEMBERS, rotation=bytes(32) if rotated else None)
    source = SystemRandomness().stream()
    total = np.add.reduce([codec.encode(each, source) for each in updates], axis=0, dtype=codec.dtype)
    true = updates.mean(axis=0)
    return float(np.linalg.norm(codec.decode(total, MEMBERS)[0] - true) / np.linalg.norm(true))


def _of(points: Sequence[Point], bits: int, rotated: bool, part: float) -> Point:
    return next(one for one in points if (one.bits, one.rotated, one.part) == (bits, rotated, part))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2, help="runs per row")
    parser.add_argument("--quick", action="store_true", help="two rounds at 4 bits only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
