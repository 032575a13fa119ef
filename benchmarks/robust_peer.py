"""The peers of `make bench-robust`: the aggregation functions of Flower and of ByzFL, as they are.

ByzFL asks for torchvision and seaborn, which nothing here calls and which do not come with every build of
torch. So it is installed alone, into a folder beside this file, and the two are stand-ins while it is
imported.

What this file does NOT do: change what the peers compute. ByzFL's geometric median is smoothed (0.1) and
stops after three iterations; its Krum adds up distances to one neighbour more than the paper's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import bench
import numpy as np

BYZFL = "byzfl==0.0.11"
FOLDER = Path(__file__).with_name(".peers")
STAND_INS = ("torchvision", "seaborn")

Work = Callable[[], object]


def byzfl() -> ModuleType:
    """ByzFL, installed if need be."""
    if not (FOLDER / "byzfl").exists():
        target = ["--target", str(FOLDER), "--no-deps", BYZFL]
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *target], check=True)
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    for name in STAND_INS:
        sys.modules.setdefault(name, MagicMock())
    import byzfl as module

    return module


def peers(rule: str, rows: np.ndarray, malicious: int) -> Mapping[str, Work]:
    """What each peer does for `rule`, by the peer's name; without those that lack it."""
    return {**_flower(rule, rows, malicious), **_byzfl(rule, rows, malicious)}


def _flower(rule: str, rows: np.ndarray, malicious: int) -> Mapping[str, Work]:
    from flwr.server.strategy.aggregate import aggregate_krum, aggregate_median, aggregate_trimmed_avg

    results = [([row], 1) for row in rows]
    works: Mapping[str, Work] = {
        "trimmed_mean": lambda: aggregate_trimmed_avg(results, malicious / len(rows)),
        "median": lambda: aggregate_median(results),
        "krum": lambda: aggregate_krum(results, malicious, 0),
    }
    return {"flower": works[rule]} if rule in works else {}


def _byzfl(rule: str, rows: np.ndarray, malicious: int) -> Mapping[str, Work]:
    import torch

    torch.set_num_threads(bench.THREADS)
    module, tensor = byzfl(), torch.from_numpy(rows)
    made = {
        "trimmed_mean": lambda: module.TrMean(malicious),
        "median": lambda: module.Median(),
        "krum": lambda: module.Krum(malicious),
        "geometric_median": lambda: module.GeometricMedian(),
        "nearest_neighbours": lambda: module.NNM(malicious),
    }[rule]()
    return {"byzfl numpy": lambda: made(rows), "byzfl torch": lambda: made(tensor)}
