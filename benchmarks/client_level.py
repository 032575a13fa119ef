"""What does client-level privacy cost on Fashion-MNIST, and what do small groups cost on top of it?

A thousand simulated clients of 60 images each, epsilon 8 for a whole client, the plain mean over groups.
Rounds are played without a wire (`attacks.open_rounds`): the words are those of a run, masks would change no
bit of the sums. Nobody vanishes, yet the noise is sized as if a tenth of each group might.

The clip norm, step size and number of rounds were the best of three tries by test accuracy without privacy;
that choice is not in epsilon. A linear model in 20 rounds is short of what it can reach.

    python benchmarks/client_level.py [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import bench
import numpy as np

from securefl import config as configuration
from securefl.attacks.open_rounds import dealt, open_round, open_state
from securefl.building import build_learner, build_setting, load_dataset, local_update
from securefl.crypto import SystemRandomness
from securefl.encoding import Encoding
from securefl.federation.enrolment import enrol
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms, settle
from securefl.guarantee.noisy_sum import noisy_sum

CLIENTS, CLIP = 1000, 4.0
SIZES = (1000, 250, 100, 50, 20, 10)
KEPT = 0.9
PLOT = bench.ROOT / "docs" / "client_level.png"
CONFIG = f"""
version: 1
name: client_level_fashion
seed: 7
data: {{kind: fashion_mnist, partition: {{kind: iid}}}}
clients: {CLIENTS}
model: {{kind: linear}}
training: {{local_steps: 4, learning_rate: 1.0, sample_rate: 0.5, expected_batch: 30}}
privacy: {{unit: client, noise: distributed, epsilon: 8.0, delta: 1.0e-4, spare_releases: 0}}
secure_aggregation: {{group_size: 10, threshold: 9, clip_norm: {CLIP}, bits: 16}}
robust: {{rule: mean, max_malicious: 0}}
server: {{rounds: 20}}
"""


@dataclass(frozen=True)
class Point:
    """One group size: guaranteed shares, noise of one round's mean, final accuracy."""

    size: int
    shares: int
    noise: float
    accuracy: float

    def row(self) -> bench.Figure:
        """The point as a row of the table."""
        return {
            "group size": self.size,
            "h": self.shares,
            "noise per round (L2, clip 1)": self.noise,
            "accuracy": self.accuracy,
        }


def main(arguments: Sequence[str]) -> None:
    """Plays every size, prints the table, draws the plot."""
    sizes = SIZES[::2] if "--quick" in arguments else SIZES
    terms = settle(config := configuration.parse(CONFIG), load_dataset(config))
    bare = settle(configuration.parse(CONFIG, ["privacy={unit: none}"]), terms.dataset)
    without = trained(bare)
    points = [played(terms, size) for size in sizes]
    most, least = points[0], points[-1]
    theory = sqrt(most.shares / least.shares)
    checks = [
        bench.at_most("noise against theory, largest gap", _gap(points), 0.02, "of sqrt(h_all / h)"),
        bench.at_least("one big group before the smallest", most.accuracy - least.accuracy, 0.0, "accuracy"),
    ]
    notes = [
        f"Theory: groups of {least.size} are {theory:.1f} times as noisy as one of {most.size}.",
        f"Without privacy, same training and clip: accuracy {without:.4f}.",
        "One seed of data and model; noise is never seeded, so accuracies move from run to run.",
    ]
    if sizes == SIZES:
        plot(points, without)
    bench.finish("client_level", checks, [point.row() for point in points], notes)


def played(terms: Terms, size: int) -> Point:
    """A run of all rounds in groups of this size."""
    threshold = f"threshold: {round(KEPT * size)}" if size <= 64 else f"max_dropout: {1 - KEPT:.2f}"
    section = f"secure_aggregation={{group_size: {size}, {threshold}, clip_norm: {CLIP}, bits: 16}}"
    config = configuration.parse(CONFIG, ["secure_aggregation=null", section])
    assert config.privacy.unit == "client"
    encoding, event = noisy_sum(config, config.privacy, terms.dim)
    accuracy = trained(replace(terms, config=config, encoding=encoding))
    return Point(size, event.shares, _noise(encoding, config.groups), accuracy)


def trained(terms: Terms) -> float:
    """Test accuracy after all rounds of a run."""
    config, source = terms.config, SystemRandomness()
    learner, initial = build_learner(terms)
    setting = build_setting(terms, enrol(config.clients, source).roster, "client level", source)
    clients = {id: local_update(terms, id, source, learner, Stopwatch()) for id in range(CLIENTS)}
    state = open_state(setting, initial, dealt(CLIENTS, config.groups))
    for _ in range(config.server.rounds):
        state, done = open_round(setting, state, clients)
        assert done
    return learner.evaluate(state.model, terms.dataset.test).accuracy


def plot(points: Sequence[Point], without: float, path: Path = PLOT) -> None:
    """Noise with its theory, and accuracy, against the group size, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharex=True)
    sizes = [point.size for point in points]
    theory = [points[0].noise * sqrt(points[0].shares / point.shares) for point in points]
    left.plot(sizes, theory, "k--", linewidth=1, label="sqrt(h_all / h)")
    left.plot(sizes, [point.noise for point in points], "o", label="measured")
    left.set_yscale("log")
    left.set_ylabel("noise of one round's mean (L2, in clips)")
    left.legend(fontsize=8)
    right.plot(sizes, [point.accuracy for point in points], "o-", label="epsilon 8 per client")
    right.axhline(without, color="k", linestyle=":", linewidth=1, label="without privacy")
    right.legend(fontsize=8)
    right.set_ylabel("test accuracy, Fashion-MNIST")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel(f"clients in a group, of {CLIENTS:,}")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(visible=True, linewidth=0.3)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _noise(encoding: Encoding, groups: int) -> float:
    """The L2 norm, in clips, of the mean of all groups when every update is zero."""
    source, means = SystemRandomness(), []
    for _ in range(groups):
        words = np.zeros(encoding.length, dtype=encoding.dtype)
        for _ in range(CLIENTS // groups):
            words += encoding.encode(np.zeros(encoding.dim), source.stream("noise"))
        means.append(encoding.decode(words, CLIENTS // groups)[0])
    return float(np.linalg.norm(np.mean(means, axis=0)) / encoding.clip_norm)


def _gap(points: Sequence[Point]) -> float:
    first = points[0]
    return max(abs(one.noise / first.noise / sqrt(first.shares / one.shares) - 1) for one in points)


if __name__ == "__main__":
    main(sys.argv[1:])
