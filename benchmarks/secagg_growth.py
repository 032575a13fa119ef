"""Growth of the masked sum: rounds of the real steps among 50 to 400 members, or 2,000, and the plot.

    client cost against n     above 64 members it grows as k does, and k as log n
    key agreements            x25519-mlkem768 beside x25519, in groups of 5 and of 64

What this does NOT do: carry the model. `down kB` is what comes besides it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import bench
import numpy as np
import secagg_round
from secagg_round import Cost

from securefl.encoding import FixedPoint
from securefl.secagg import HYBRID, MAX_COMPLETE, X25519

SIZES, MORE_SIZES = (50, 100, 200, 400), (1000, 2000)
DIM, BITS = 100_000, 16
AGREEMENT_SIZES = (5, 64)
FROM, TO = 100, 400
PLOT = bench.ROOT / "docs" / "secagg_growth.png"
MARGIN = 1.25


def grow(full: bool) -> list[Cost]:
    """A round for every size."""
    return [_round(members) for members in (*SIZES, *(MORE_SIZES if full else ()))]


def agreements() -> list[Cost]:
    """A round for every size and key agreement, of few coordinates: what remains is the agreement's."""
    return [_round(members, kind, 1000) for members in AGREEMENT_SIZES for kind in (X25519, HYBRID)]


def checks(costs: Sequence[Cost]) -> list[bench.Check]:
    """A client's cost on a ring follows k, and k follows log n up to the published table's steps."""
    of = {cost.members: cost for cost in costs}
    found = [_follows(of[FROM], of[TO])]
    if MORE_SIZES[-1] in of:
        found.append(_follows(of[TO], of[MORE_SIZES[-1]]))
    return found


def fit(costs: Sequence[Cost]) -> str:
    """The least-squares line of client cost on log2 n, over rings."""
    ring = [cost for cost in costs if cost.members > MAX_COMPLETE]
    logs, spent = [math.log2(cost.members) for cost in ring], [1e3 * cost.client for cost in ring]
    slope, start = np.polyfit(logs, spent, 1)
    error = max(abs(start + slope * at - one) for at, one in zip(logs, spent, strict=True))
    per = [1e3 * cost.client / cost.holders for cost in ring]
    return (
        f"client CPU on rings of {ring[0].members} to {ring[-1].members} members: {start:.1f} + {slope:.2f} "
        f"log2 n ms, at most {error:.1f} ms off; {min(per):.2f} to {max(per):.2f} ms per holder"
    )


def cold(costs: Sequence[Cost]) -> str:
    """What a client process pays once that these rounds pay once for all."""
    members = max(cost.members for cost in costs)
    return (
        f"a ring's numbers and order, once per process, n = {members}: "
        f"{1e3 * secagg_round.cold_seconds(members):.1f} CPU ms; linear in n, not counted above"
    )


def plot(costs: Sequence[Cost], path: Path = PLOT) -> None:
    """Client CPU and bytes against n, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [cost.members for cost in costs]
    extra = [(cost.bytes_up - cost.vector_bytes) / 1e3 for cost in costs]
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(sizes, [1e3 * cost.client for cost in costs], "o-", label="client, CPU ms")
    left.plot(sizes, [cost.holders for cost in costs], "s--", label="k, holders of its shares")
    left.set_ylabel("CPU ms per round; k")
    right.plot(sizes, [cost.bytes_down / 1e3 for cost in costs], "o-", label="down, without the model")
    right.plot(sizes, extra, "s--", label="up, without the vector")
    right.set_ylabel("kB per client and round")
    for axes in (left, right):
        axes.axvline(MAX_COMPLETE, color="grey", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("members n (log scale); ring above 64")
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _round(members: int, agreement: int = X25519, dim: int = DIM) -> Cost:
    return secagg_round.play(FixedPoint(1.0, BITS, dim, members), members, agreement)


def _follows(small: Cost, large: Cost) -> bench.Check:
    ratio, k = large.client / small.client, large.holders / small.holders
    name = f"client CPU, n = {large.members} / n = {small.members}; goal: k's ratio {k:.3f} times {MARGIN}"
    return bench.at_most(name, ratio, MARGIN * k, f"x CPU, d = {DIM:.0e}, median client")
