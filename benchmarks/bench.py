"""The habit that all benchmarks share: pinned threads, checks with goals, one table, one JSON file.

Import this first: it pins the numeric libraries to one thread before they are loaded.

Rules kept here:
- A goal is one `Check`, and a goal that is missed is written down like one that is met.
- Absolute times are CPU time, the best of five. Ratios come from one run, never across machines.
- The JSON file says on which machine, with which versions and by which command it was made.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from securefl.config import Config
    from securefl.summary import Summary

THREADS = 1
for _library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "RAYON"):
    os.environ[f"{_library}_NUM_THREADS"] = str(THREADS)

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
REPEATS = 5
PACKAGES = (
    "securefl", "torch", "numpy", "opacus", "dp-accounting", "cryptography", "scikit-learn", "pydantic",
    "flwr", "pycryptodome", "byzfl", "transformers", "peft",
)  # fmt: skip

Figure = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Check:
    """One goal and whether it holds. `goal` is text with its comparison, e.g. `<= 0.25`."""

    name: str
    value: float
    unit: str
    goal: str
    holds: bool


@dataclass
class Findings:
    """What one part of a benchmark found: goals, rows and remarks."""

    checks: list[Check] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def at_most(name: str, value: float, limit: float, unit: str) -> Check:
    """The goal that `value` does not pass `limit`. NaN misses every goal.

    Example:
        >>> at_most("share", 0.2, 0.25, "of a round").holds
        True
    """
    return Check(name, value, unit, f"<= {limit:g}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str) -> Check:
    """The goal that `value` reaches `limit`. NaN misses every goal."""
    return Check(name, value, unit, f">= {limit:g}", value >= limit)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of the whole process, for some peers work in threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best_cpu_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds of this process for one call of `work`: the best of `repeats`."""
    return min(cpu_seconds(work) for _ in range(repeats))


def alone(script: str, *arguments: object) -> dict[str, float]:
    """The JSON object that a script beside this file prints, run in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return json.loads(done.stdout)


def played(config: Config, folder: Path) -> Summary:
    """The run of `config` in `folder`: a fresh one, or what is there, gone on with if it was stopped.

    Raises:
        SystemExit: what is there has other settings.
    """
    from securefl import config as configuration
    from securefl.run import resume, run
    from securefl.run_directory import CONFIG

    if not (folder / CONFIG).exists():
        return run(config, folder, progress=lambda event: print(dict(event), flush=True))
    if configuration.load(folder / CONFIG) != config:
        raise SystemExit(f"{folder}: expected a run of these settings, got another; name another --out")
    return resume(folder)


def finish(
    name: str, checks: Sequence[Check], figures: Sequence[Figure] = (), notes: Sequence[str] = ()
) -> Path:
    """Prints the tables and writes benchmarks/results/`name`.json.

    Args:
        name: the benchmark, as in `make bench-NAME`.
        checks: every goal, failures included.
        figures: rows of numbers without a goal; all rows have the same keys.
        notes: what a reader has to know, e.g. why a part was left out.
    """
    _print_figures(figures)
    _print_checks(checks)
    for note in notes:
        print(f"note: {note}")
    result = {
        "name": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *_relative(sys.argv)]),
        "machine": machine(),
        "versions": versions(),
        "checks": [asdict(check) for check in checks],
        "figures": [dict(row) for row in figures],
        "notes": list(notes),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    draft = path.with_suffix(".json.part")
    draft.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    print(f"written: {path.relative_to(ROOT)}")
    return path


def finish_parts(name: str, parts: Sequence[Findings]) -> Path:
    """`finish` for what several parts found, one after the other."""
    return finish(
        name,
        [check for part in parts for check in part.checks],
        [row for part in parts for row in part.figures],
        [note for part in parts for note in part.notes],
    )


def machine() -> dict[str, str | int | float | None]:
    """What the numbers were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores_available": _cores(),
        "memory_gib": _memory_gib(),
        "threads_per_process": THREADS,
        "system": platform.platform(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Python and the packages that carry the time; without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text, the first row underlined; columns but the first are right-aligned.

    Example:
        >>> print(table([("name", "n"), ("a", "10")]))
        name   n
        --------
        a     10
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def _print_figures(figures: Sequence[Figure]) -> None:
    if figures:
        head = tuple(figures[0])
        print(table([head, *(tuple(_cell(row[key]) for key in head) for row in figures)]), end="\n\n")


def _print_checks(checks: Sequence[Check]) -> None:
    if checks:
        rows = [
            (check.name, _cell(check.value), check.unit, check.goal, "yes" if check.holds else "NO")
            for check in checks
        ]
        print(table([("check", "value", "unit", "goal", "holds"), *rows]), end="\n\n")


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _relative(arguments: Sequence[str]) -> list[str]:
    return [argument.removeprefix(f"{ROOT}/") for argument in arguments]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
