"""What privacy, masks and rules cost in accuracy: whole runs, every one of them reported.

    make bench-accuracy                 quickstart beside no_privacy, ten public seeds each
    make bench-accuracy ARGS=--attack   one of twelve clients sends its update times -10, guard off and on
    make bench-accuracy ARGS=--fashion  Fashion-MNIST too: private, without DP, and centralised (many minutes)

A seed moves split, partition, initial model and dropouts; noise, masks and keys are fresh in every run. The
hyper-parameters of the examples were chosen by test accuracy on other seeds: that choice is not in epsilon.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import bench
import numpy as np

from securefl import config as configuration
from securefl.build import build_learner, load_dataset
from securefl.config import Config
from securefl.crypto import SystemRandomness
from securefl.guarantee import settle
from securefl.run import run

CONFIGS = bench.ROOT / "examples" / "configs"
SEEDS = range(100, 110)
FASHION_SEED = 100
WITHOUT_DP = ("privacy={unit: none}",)
EPOCHS = 10
ATTACKED = (
    ("mean", False, bench.at_most, 0.4),
    ("trimmed_mean", False, bench.at_least, 0.75),
    ("mean", True, bench.at_least, 0.8),
    ("trimmed_mean", True, bench.at_least, 0.8),
)


def main() -> None:
    """Runs everything, prints every run, writes benchmarks/results/accuracy.json."""
    options = _options()
    seeds = SEEDS[: options.seeds]
    private = [measured("quickstart", (f"seed={seed}",)) for seed in seeds]
    open_runs = [measured("no_privacy", (f"seed={seed}",)) for seed in seeds]
    figures = [*private, *open_runs]
    middle = statistics.median(accuracy(row) for row in private)
    checks = [
        bench.at_least(
            f"quickstart: test accuracy, median of {len(seeds)} runs", middle, 0.88, "of 360 digits"
        ),
        bench.at_most(
            "quickstart: epsilon, largest", max(number(row, "epsilon") for row in private), 8.0, "delta 1e-5"
        ),
        bench.at_most(
            "quickstart: seconds, median",
            statistics.median(number(row, "seconds") for row in private),
            60.0,
            "s",
        ),
    ]
    notes = [f"no_privacy: median accuracy {statistics.median(accuracy(row) for row in open_runs):.3f}"]
    if options.attack:
        checks += attacked(seeds)
    if options.fashion:
        figures += fashion()
    bench.finish("accuracy", checks, figures, notes)


def measured(name: str, overrides: Sequence[str], label: str | None = None) -> bench.Figure:
    """One row: a whole run of examples/configs/`name`.yaml in a folder that is thrown away."""
    config = configuration.load(CONFIGS / f"{name}.yaml", overrides)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="securefl-bench-") as folder:
        summary = run(config, Path(folder) / name)
    row = figure(label or name, config, summary, time.perf_counter() - start)
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def figure(name: str, config: Config, summary: Mapping[str, object], seconds: float) -> bench.Figure:
    """The row of one finished run."""
    epsilon = summary["epsilon"]
    return {
        "run": name,
        "seed": config.seed,
        "accuracy": float(str(summary["test_accuracy"])),
        "epsilon": float(epsilon) if isinstance(epsilon, float) else None,
        "abandoned": int(str(summary["rounds_abandoned"])),
        "dropped": int(str(summary["dropped"])),
        "seconds": seconds,
    }


def attacked(seeds: Sequence[int]) -> list[bench.Check]:
    """Medians of examples/one_bad_client.py over the seeds; no dropouts, 30 rounds."""
    sys.path.insert(0, str(bench.ROOT / "examples"))
    from one_bad_client import accuracy as accuracy_under_attack

    checks = []
    for rule, guard, judge, limit in ATTACKED:
        found = [accuracy_under_attack(rule, guard, seed) for seed in seeds]
        name = f"one of twelve times -10: {rule}, guard {'on' if guard else 'off'}"
        print(name, " ".join(f"{value:.3f}" for value in found), flush=True)
        checks.append(judge(f"{name}, median", statistics.median(found), limit, "of 360 digits"))
    return checks


def fashion() -> list[bench.Figure]:
    """Fashion-MNIST: the private run, the same without DP, and plain centralised training."""
    seed = f"seed={FASHION_SEED}"
    return [
        measured("fashion_mnist", (seed,)),
        measured(
            "fashion_mnist",
            (seed, *WITHOUT_DP, "training.learning_rate=0.5", "training.momentum=0.9"),
            "fashion_mnist without DP",
        ),
        centralised(configuration.load(CONFIGS / "fashion_mnist.yaml", (seed, *WITHOUT_DP))),
    ]


def centralised(config: Config) -> bench.Figure:
    """The same model on the pooled data: plain SGD, momentum 0.9, batches of 64, ten epochs."""
    start = time.perf_counter()
    pooled = load_dataset(config)
    batch = 64 / len(pooled.train)
    steps = EPOCHS * len(pooled.train) // 64
    values = configuration.dump(config)
    config = configuration.parse(
        values,
        (
            f"training={{local_steps: {steps}, learning_rate: 0.05, momentum: 0.9, "
            f"sample_rate: {batch:.8f}, expected_batch: 64}}",
            "clients=5",
            "data.partition={kind: iid}",
            "robust={rule: mean, max_malicious: 0}",
        ),
    )
    learner, vector = build_learner(settle(config, pooled))
    streams = SystemRandomness()
    update = learner.train(vector, pooled.train, streams.stream("sampling"), streams.stream("noise"))
    scores = learner.evaluate((vector + update).astype(np.float32), pooled.test)
    summary = {"test_accuracy": scores.accuracy, "epsilon": None, "rounds_abandoned": 0, "dropped": 0}
    row = figure("fashion_mnist centralised", config, summary, time.perf_counter() - start)
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def accuracy(row: bench.Figure) -> float:
    """The test accuracy of a row."""
    return number(row, "accuracy")


def number(row: bench.Figure, key: str) -> float:
    """A number of a row."""
    return float(str(row[key]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many of the ten seeds")
    parser.add_argument("--attack", action="store_true", help="one bad client as well")
    parser.add_argument("--fashion", action="store_true", help="Fashion-MNIST as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
