"""Pupils in 160 schools, one client each: what is a model worth that protects whole schools?

    make bench-schools                    three public seeds, minutes each
    make bench-schools ARGS="--seeds 1"

Rows, all scored on the same test pupils: the commonest class of all schools, each school's own
commonest class, a logistic regression of each school alone, one on pooled data, and the run of
`examples/configs/schools.yaml`; then, on what each school held out, that model and the school's own one after
20 more steps at home. A school's test part is about nine pupils, so that in every row the worst
tenth of the schools is mostly chance.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import bench
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from securefl import config as configuration
from securefl.building import load_dataset
from securefl.comparison import spread
from securefl.data import Dataset, Examples
from securefl.run import evaluate, run

CONFIG = bench.ROOT / "examples" / "configs" / "schools.yaml"
SEED = 100


def main() -> None:
    """Plays the seeds, prints every row, writes benchmarks/results/schools.json."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    rows, checks = [], []
    for seed in range(SEED, SEED + parser.parse_args().seeds):
        found = scores(seed)
        rows += found
        by_name = {str(row["row"]): row for row in found}
        ours, most = (float(str(by_name[name]["pupils"])) for name in ("federated", "commonest class"))
        checks.append(bench.at_least(f"federated, seed {seed}", ours, most, "commonest class"))
    bench.finish("schools", checks, rows)


def scores(seed: int) -> list[bench.Figure]:
    """One row per way to answer."""
    config = configuration.load(CONFIG, (f"seed={seed}",))
    data = load_dataset(config)
    parts = [
        (_of(data.train, data.train_clients, one), _of(data.test, data.test_clients, one))
        for one in range(160)
    ]
    pooled = _fitted(data.train)
    right = {
        "commonest class": [test.labels == _commonest(data.train) for _, test in parts],
        "own commonest class": [test.labels == _commonest(train) for train, test in parts],
        "local only": [test.labels == _fitted(train).predict(test.features) for train, test in parts],
        "pooled": [test.labels == pooled.predict(test.features) for _, test in parts],
    }
    rows = [_row(name, seed, [float(one.mean()) for one in each], data) for name, each in right.items()]
    with tempfile.TemporaryDirectory(prefix="securefl-bench-") as folder:
        out = Path(folder) / "schools"
        summary = run(config, out)
        each = [float(str(evaluate(out, test)["test_accuracy"])) for _, test in parts]
    spent = {"epsilon": float(str(summary["epsilon"]))}
    rows.append({**_row("federated", seed, each, data), **spent})
    held = summary["personalisation"]
    assert isinstance(held, dict)  # the config asks for it
    for name in ("shared", "personal"):
        found = {"schools": held[name]["mean"], "worst tenth": held[name]["worst_tenth"]}
        rows.append({"row": f"held out: {name}", "seed": seed, "pupils": None, **found, **spent})
    return rows


def _row(name: str, seed: int, accuracies: list[float], data: Dataset) -> bench.Figure:
    sizes = np.bincount(data.test_clients)
    found = spread(accuracies)
    return {
        "row": name,
        "seed": seed,
        "pupils": float(np.average(accuracies, weights=sizes)),
        "schools": float(str(found["mean"])),
        "worst tenth": float(str(found["worst_tenth"])),
        "epsilon": None,
    }


def _of(examples: Examples, clients: NDArray[np.int64] | None, client: int) -> Examples:
    return examples.take(np.flatnonzero(clients == client))


def _commonest(examples: Examples) -> int:
    return int(np.bincount(examples.labels).argmax())


class _Constant:
    """What a school with one class among its training pupils learns."""

    def __init__(self, label: int) -> None:
        self.label = label

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """The one class."""
        return np.full(len(features), self.label)


def _fitted(examples: Examples) -> LogisticRegression | _Constant:
    if len(np.unique(examples.labels)) < 2:
        return _Constant(_commonest(examples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression().fit(examples.features, examples.labels)


if __name__ == "__main__":
    main()
