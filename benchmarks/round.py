"""Where a round's time goes: training, accounting, encoding, masking, unmasking, the rule, in real runs.

    make bench-round               quickstart whole, fashion_mnist for one epoch of 10 rounds
    make bench-round ARGS=--full   fashion_mnist whole as well (some minutes)

A round's time is all of it but the evaluation of the global model, which a round does not need. The cost of
protection is everything that is there only because of it: encoding, masking, unmasking and the rule. The
accounting of epsilon is the price of differential privacy, and has its own column.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import bench

from securefl import config as configuration
from securefl.errors import DataError
from securefl.run import run

CONFIGS = bench.ROOT / "examples" / "configs"
PHASES = ("training", "accounting", "encoding", "masking", "unmasking", "rule")
PROTECTION = ("encoding", "masking", "unmasking", "rule")
NOT_THE_ROUND = "evaluation"
EPOCH_ROUNDS = 10  # of fashion_mnist: groups are drawn once for so many rounds


def main() -> None:
    """Runs the configs, prints the shares, writes benchmarks/results/round.json."""
    options = _options()
    runs = [timed_run("quickstart", []) for _ in range(options.repeats)]
    figures = [shares("quickstart", runs[-1][0])]
    best = min(seconds for _, seconds in runs)
    checks = [bench.at_most("quickstart: whole run", best, 60.0, f"CPU s, best of {options.repeats}")]
    notes = []
    try:
        summary, _ = timed_run("fashion_mnist", [] if options.full else [f"server.rounds={EPOCH_ROUNDS}"])
    except DataError as error:
        notes.append(f"fashion_mnist was not run: {error}")
    else:
        figures.append(shares("fashion_mnist", summary))
        cost = sum(float(figures[-1][phase]) for phase in PROTECTION)
        checks.append(bench.at_most("fashion_mnist: masking and rules", cost, 0.25, "of a round"))
    bench.finish("round", checks, figures, notes)


def timed_run(name: str, overrides: Sequence[str]) -> tuple[Mapping[str, object], float]:
    """Summary and CPU seconds of one run of examples/configs/`name`.yaml, in a folder that is thrown away."""
    config = configuration.load(CONFIGS / f"{name}.yaml", overrides)
    with tempfile.TemporaryDirectory(prefix="securefl-bench-") as folder:
        start = time.process_time()
        summary = run(config, Path(folder) / name)
        return summary, time.process_time() - start


def shares(name: str, summary: Mapping[str, object]) -> dict[str, str | int | float]:
    """One row: the seconds of a round, and the share of each phase in it."""
    recorded = summary["seconds_by_phase"]
    if not isinstance(recorded, dict):
        raise TypeError(f"seconds_by_phase: expected a mapping, got {type(recorded).__name__}")
    seconds = {phase: float(value) for phase, value in recorded.items() if phase != NOT_THE_ROUND}
    total = sum(seconds.values())
    rounds = int(str(summary["rounds"]))
    row = {phase: seconds.get(phase, 0.0) / total for phase in PHASES}
    rest = max(0.0, 1.0 - sum(row.values()))
    return {"run": name, "rounds": rounds, "wall s/round": total / rounds, **row, "other": rest}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="every round of fashion_mnist")
    parser.add_argument("--repeats", type=int, default=bench.REPEATS, help="runs of quickstart (5)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
