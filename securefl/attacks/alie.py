"""A little is enough: shift the mean by as many standard deviations as still pass for an honest row.

With n rows, m of them malicious, s = floor(n / 2 + 1) - m honest rows must side with the attackers for a
majority; z is the largest shift that n - m - s of the honest rows exceed if coordinates are normal.

Rules kept here: `strength` None uses that z, a number stands in its place. With few attackers the paper's z
is near 0, which is no attack at all; then one standard deviation is sent.

Reference: Baruch, Baruch and Goldberg 2019, algorithm 3; the line search as in Shejwalkar and Houmansadr
2021 (attacks tailored to a known rule).
"""

from __future__ import annotations

from statistics import NormalDist

from securefl.attacks.attack import Attack, Vector, View
from securefl.attacks.capability import Capability
from securefl.attacks.line_search import most_harmful
from securefl.attacks.omniscient import OMNISCIENT, centre, spread

LEAST_SHIFT = 1.0
_SOURCE = "Baruch, Baruch and Goldberg 2019, algorithm 3"


def alie(strength: float | None = None) -> Attack:
    """The attack, against the direction of learning."""

    def craft(view: View) -> Vector:
        rows = view.rows()
        z = shift(len(rows) + view.attackers, view.attackers) if strength is None else strength
        return centre(rows) - z * spread(rows)

    return Attack("alie", OMNISCIENT, _SOURCE, begin=lambda: craft)


def alie_line_search() -> Attack:
    """The shift, of either sign, that moves the server's own rule furthest from the honest mean."""

    def craft(view: View) -> Vector:
        rows = view.rows()
        return most_harmful(view, centre(rows), spread(rows))

    source = f"{_SOURCE}; Shejwalkar and Houmansadr 2021, tailored attacks"
    return Attack("alie_line_search", OMNISCIENT | {Capability.KNOWS_RULE}, source, begin=lambda: craft)


def shift(rows: int, attackers: int) -> float:
    """The z of the paper, and at least LEAST_SHIFT.

    Example:
        >>> shift(50, 12), round(shift(50, 24), 2)  # 24: 2 supporters needed, 24 of 26 rows are exceeded
        (1.0, 1.43)
    """
    supporters = rows // 2 + 1 - attackers
    honest = rows - attackers
    part = (honest - supporters) / honest if honest else 0.0
    return max(LEAST_SHIFT, NormalDist().inv_cdf(part)) if 0.0 < part < 1.0 else LEAST_SHIFT
