"""Memory that one rule takes beyond its rows, alone in its process, as `make bench-robust` starts it.

    python benchmarks/robust_memory.py ours trimmed_mean 20 1000000
    python benchmarks/robust_memory.py flower median 20 1000000

The peak of the resident set after the call, less the peak before it: the result is included. Prints one
JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bench  # noqa: F401 - pins the numeric libraries before they are loaded
import numpy as np
import robust_peer

from securefl.robust import named_rule


def main() -> None:
    """Measures and prints."""
    who, rule, count, dim = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rows = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
    malicious = count // 5
    # Small rows first, so that what is loaded or allocated once is there before.
    _work(who, rule, rows[:, :100].copy(), malicious)()
    work = _work(who, rule, rows, malicious)
    before = _memory("VmRSS")
    work()
    print(json.dumps({"extra_bytes": _memory("VmHWM") - before}))


def _work(who: str, rule: str, rows: np.ndarray, malicious: int) -> robust_peer.Work:
    if who != "ours":
        return robust_peer.peers(rule, rows, malicious)[who]
    weights = np.ones(len(rows))
    return lambda: named_rule(rule, malicious)(rows, weights)


def _memory(key: str) -> int:
    """`VmHWM`, the peak, or `VmRSS`, what is resident now. getrusage would tell the parent's peak as ours."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
