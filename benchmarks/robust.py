"""The robust rules: CPU time against ByzFL and Flower, exactness, memory beyond the rows, growth.

    make bench-robust                 everything (some minutes)
    make bench-robust ARGS=--quick    a tenth of the coordinates, one turn: to see that it runs
    make bench-robust ARGS=--plot     also draws docs/robust_growth.png

One process with pinned threads. Rows are float32 and normal (synthetic), a fifth of them declared malicious.
Ours and every peer run in turn, after one turn on a hundred coordinates that loads what is loaded once; a
ratio is of the CPU times of one turn, and the median of the turns is reported.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import bench
import numpy as np
import robust_growth
import robust_peer

from securefl.robust import geometric_median, geometry, named_mixing, named_rule
from securefl.robust.mixing import Before

COUNTS, DIM, TURNS = (20, 100), 1_000_000, 5
# ByzFL mixes neighbours row by row; among 100 rows that takes minutes.
MOST_MIXED = 20
# Per rule and peer, the most that ours may take of the peer's CPU time.
GOALS = {
    ("trimmed_mean", "flower"): 0.15,
    ("trimmed_mean", "byzfl numpy"): 0.65,
    ("median", "flower"): 0.20,
    ("median", "byzfl numpy"): 0.90,
    ("krum", "flower"): 0.60,
    ("geometric_median", "byzfl numpy"): 0.30,
    ("geometric_median", "byzfl torch"): 0.30,
}
RULES = ("trimmed_mean", "median", "geometric_median", "krum", "nearest_neighbours")
COORDINATE_RULES = ("trimmed_mean", "median")


def main() -> None:
    """Runs all parts, prints the tables, writes benchmarks/results/robust.json."""
    options = _options()
    dim, turns = (DIM // 10, 1) if options.quick else (DIM, TURNS)
    checks: list[bench.Check] = []
    figures: list[bench.Figure] = []
    for count in COUNTS:
        rows = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
        for rule in RULES if count <= MOST_MIXED else RULES[:-1]:
            timed, found = _against_peers(rule, rows, turns)
            figures += timed
            checks += found
        checks.append(_gap(rows))
    checks += [_exactness(), *_memory(dim)]
    points = robust_growth.grow(options.quick)
    if options.plot:
        robust_growth.plot(points)
    notes = ["rows are synthetic: independent normal coordinates", *_notes(options.quick)]
    bench.finish("robust", checks, [*figures, *(point.row() for point in points)], notes)


def _against_peers(rule: str, rows: np.ndarray, turns: int) -> tuple[list[bench.Figure], list[bench.Check]]:
    """CPU seconds of ours and of every peer, in turn; the goals among them."""
    malicious, count = len(rows) // 5, len(rows)
    works = {"ours": _ours(rule, rows, malicious), **robust_peer.peers(rule, rows, malicious)}
    spent: dict[str, list[float]] = {who: [] for who in works}
    _warm_up(rule, rows, malicious)
    for _ in range(turns):
        for who, work in works.items():
            spent[who].append(bench.cpu_seconds(work))
    figures, checks = [], []
    for who, seconds in spent.items():
        ratio = statistics.median(mine / other for mine, other in zip(spent["ours"], seconds, strict=True))
        shape = f"{count} x {rows.shape[1]:.0e}"
        figures.append({"what": rule, "rows": shape, "who": who, "cpu s": min(seconds), "ratio": ratio})
        if (rule, who) in GOALS:
            name = f"{rule}, n = {count}: ours / {who}"
            unit = f"x CPU, {'one turn' if turns == 1 else f'median of {turns}'}"
            checks.append(bench.at_most(name, ratio, GOALS[rule, who], unit))
    return figures, checks


def _warm_up(rule: str, rows: np.ndarray, malicious: int) -> None:
    few = rows[:, :100].copy()
    for work in (_ours(rule, few, malicious), *robust_peer.peers(rule, few, malicious).values()):
        work()


def _ours(rule: str, rows: np.ndarray, malicious: int) -> Callable[[], object]:
    if rule == "nearest_neighbours":
        return lambda: named_mixing(Before(rule), malicious)(rows)
    weights = np.ones(len(rows))
    return lambda: named_rule(rule, malicious)(rows, weights)


def _gap(rows: np.ndarray) -> bench.Check:
    """How far the sum of distances can be from the smallest one, by a bound that needs no optimum.

    The sum is convex, its slope at a point is the sum of unit vectors, and the optimum lies among the rows:
    so what is left to gain is at most the slope's length times the distance of the furthest row.
    """
    point = geometric_median()(rows, np.ones(len(rows)))
    lengths, slope = [], np.zeros_like(point)
    for row in rows:
        difference = point - row
        lengths.append(float(np.linalg.norm(difference)))
        slope += difference / lengths[-1]
    gap = float(np.linalg.norm(slope)) * max(lengths) / sum(lengths)
    name = f"geometric_median, n = {len(rows)}: left to gain, at most"
    return bench.at_most(name, gap, 1e-8, "of the sum of distances")


def _exactness() -> bench.Check:
    """Squared distances among float32 updates of a hundred thousandth of the weights below them."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=100_000)
    rows = (weights + 1e-5 * rng.normal(size=(20, weights.size))).astype(np.float32)
    wide = rows.astype(np.longdouble)
    exact = np.array([[((one - other) ** 2).sum() for other in wide] for one in wide], dtype=np.float64)
    apart = ~np.eye(len(rows), dtype=bool)
    error = np.abs(geometry(rows).squared - exact)[apart] / exact[apart]
    name = "krum: squared distances at update / weight ratio 1e-5"
    return bench.at_most(name, float(error.max()), 1e-4, "largest relative error")


def _memory(dim: int) -> list[bench.Check]:
    return [
        bench.at_most(
            f"{rule}, n = 20: memory beyond the rows, result included",
            _extra_bytes("ours", rule, dim) / 2**20,
            16,
            f"MiB; flower {_extra_bytes('flower', rule, dim) / 2**20:.0f}, "
            f"byzfl numpy {_extra_bytes('byzfl numpy', rule, dim) / 2**20:.0f}",
        )
        for rule in COORDINATE_RULES
    ]


def _extra_bytes(who: str, rule: str, dim: int) -> int:
    return int(bench.alone("robust_memory.py", who, rule, 20, dim)["extra_bytes"])


def _notes(quick: bool) -> list[str]:
    notes = [
        "geometric_median: ours to the optimum, byzfl's three smoothed iterations",
        "flower and byzfl: their aggregation functions as they are, without messages",
    ]
    return [*notes, "--quick: no figure here is one to quote"] if quick else notes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the coordinates, one turn")
    parser.add_argument("--plot", action="store_true", help="also draw docs/robust_growth.png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
