"""What each way to average adapters sends, and what it learns in the same few steps: SmolLM2 on Shakespeare.

    python benchmarks/adapter_methods.py                        every method that runs here
    python benchmarks/adapter_methods.py --methods ffa,fed_sb

The config is examples/configs/shakespeare.yaml; only the method and its learning rate differ (`METHODS`).
"full", which is not in the default, trains all weights in float32 and takes 15 GB. Numbers that travel are
counted from the model's layout. What was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import bench

from securefl import config as configuration
from securefl.building import build_learner, load_dataset
from securefl.config import Config
from securefl.guarantee import model_spec, settle
from securefl.run import load
from securefl.training import layout, limit_threads, perplexities

CONFIG = bench.ROOT / "examples" / "configs" / "shakespeare.yaml"
METHODS = {
    "full": ("model.lora=null", "model.dtype=float32", "training.learning_rate=0.01"),
    "fedit": ("model.lora.method=fedit", "training.learning_rate=0.2"),
    "rolora": ("model.lora.method=rolora", "training.learning_rate=2.0"),
    "ffa": ("model.lora.method=ffa", "training.learning_rate=2.0"),
    "fed_sb": ("model.lora.method=fed_sb", "training.learning_rate=4.0"),
}
FLOAT_BYTES = 4


def main() -> None:
    """Runs the methods, prints the table, writes benchmarks/results/adapter_methods.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--methods",
        default=",".join(name for name in METHODS if name != "full"),
        help="of the methods that are run",
    )
    parser.add_argument(
        "--out", type=Path, default=bench.ROOT / "runs" / "adapter_methods", help="folder of the runs"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each run (5)")
    options = parser.parse_args()
    limit_threads(1)
    start = configuration.load(CONFIG)
    figures = [
        row("before training", start, perplexity(start, None))
        | {"numbers sent": 0, "MB as float32": 0.0, "client steps": 0}
    ]
    for method in options.methods.split(","):
        config = configuration.load(CONFIG, [*METHODS[method], f"server.rounds={options.rounds}"])
        folder = options.out / method
        bench.played(config, folder)
        figures.append(row(method, config, perplexity(config, folder)))
    bench.finish("adapter_methods", [], figures)


def row(name: str, config: Config, perplexity: float) -> dict[str, str | int | float]:
    """What one client sends in a round, before it is encoded, and how well the run did."""
    spec = model_spec(config, "causal_lm")
    numbers, turns = layout(spec, load_dataset(config).classes)
    numbers = numbers if turns is None else turns.length
    steps = config.training.local_steps * config.server.rounds * config.clients
    return {
        "method": name,
        "numbers sent": numbers,
        "MB as float32": numbers * FLOAT_BYTES / 1e6,
        "client steps": steps,
        "perplexity": perplexity,
    }


def perplexity(config: Config, folder: Path | None) -> float:
    """Mean over roles, on what was held out; of the base where there is no run."""
    data = load_dataset(config)
    if folder is None:
        learner, start = build_learner(settle(config, data))
        module = learner.module(start)
    else:
        module = load(folder)
    assert data.test_clients is not None
    return mean(perplexities(module, data.test, data.test_clients).values())


if __name__ == "__main__":
    main()
