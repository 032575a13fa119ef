"""The server's whole step from released rows to one update: sort out, count, apply the rule.

Rules kept here:
- Order: non-finite rows out, norm guard, quorum, steps before the rule, rule; sized for what remains of f.
- Inputs are never changed; every excluded row is named.

What this file does NOT do: fetch rows, update the model or record the round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.errors import RoundAbandoned
from securefl.robust.doors import named_mixing, named_rule
from securefl.robust.guard import sound_rows
from securefl.robust.mixing import Before, Order
from securefl.robust.quorum import check_rows, remaining_trim


@dataclass(frozen=True, eq=False)
class Combined:
    """One round's update and which rows it came from, as indices into the given rows.

    Attributes:
        vector: the update, float64, of shape (dim,).
        used: rows that the rule saw.
        nonfinite: rows excluded for a NaN or infinite coordinate.
        oversized: rows excluded because their norm exceeds the bound.
    """

    vector: NDArray[np.float64]
    used: tuple[int, ...]
    nonfinite: tuple[int, ...]
    oversized: tuple[int, ...]


def combine(
    rule: str,
    max_malicious: int,
    rows: NDArray[np.floating],
    weights: NDArray[np.floating],
    norm_bound: float | None,
    before: Sequence[Before] = (),
    order: Order | None = None,
    reference: NDArray[np.floating] | None = None,
) -> Combined:
    """Aggregate released rows under a rule's name.

    Args:
        rule: one of `RULES`. max_malicious: rows that may be malicious. rows: one group mean per row.
        weights: one positive weight per row; only `mean` reads them, and not behind `bucketing`, whose
        buckets
            count the same.
        norm_bound: rows longer than this are excluded; None switches the guard off.
        before: what is done to the sound rows before the rule, in this order.
        order: the permutation for `bucketing`.
        reference: the server's own update for `monna` and `fltrust`.

    Guarantee: under `trimmed_mean` and `median` with nothing before them and at most `max_malicious`
    malicious rows, every coordinate of the result lies inside the honest rows that were not excluded.

    Raises:
        RoundAbandoned: too few sound rows, more excluded ones than `max_malicious`, or (with the guard
            off) rows so large that their mean is infinite.
        ConfigError: no rule or step has this name, or it lacks what it needs.

    Shapes: rows (count, dim), weights (count,) -> vector (dim,).

    Example:
        >>> rows = np.array([[1.0], [2.0], [3.0], [np.inf], [4.0]])
        >>> combined = combine("trimmed_mean", 1, rows, np.ones(5), norm_bound=None)
        >>> combined.vector.tolist(), combined.used, combined.nonfinite
        ([2.5], (0, 1, 2, 4), (3,))
    """
    if rows.ndim != 2 or weights.shape != rows.shape[:1]:
        raise ValueError(
            f"expected rows (count, dim) and weights (count,), got {rows.shape} and {weights.shape}"
        )
    sound = sound_rows(rows, norm_bound)
    excluded = len(sound.nonfinite) + len(sound.oversized)
    check_rows(rule, max_malicious, rows.shape[0], excluded, before)
    kept = list(sound.kept)
    remaining = remaining_trim(max_malicious, excluded)
    # Every sound row kept: no copy is needed, rules do not change their inputs.
    mixed, counted = rows[kept] if excluded else rows, weights[kept]
    with np.errstate(over="ignore", invalid="ignore"):
        for step in before:
            mixed = named_mixing(step, remaining, order)(mixed)
        if mixed.shape[0] != len(kept):
            counted = np.ones(mixed.shape[0])
        vector = named_rule(rule, remaining, reference)(mixed, counted)
    if not np.isfinite(vector).all():
        raise RoundAbandoned("finite rows too large to add in float64; switch the norm guard on")
    return Combined(vector, sound.kept, sound.nonfinite, sound.oversized)
