"""How far along a direction hurts most, asking the server's own rule.

Rules kept here:
- Harm is the distance between what the rule makes of the rows and the honest mean. A round that the
  server would abandon does the model no harm.
- Both signs are tried. Steps double while harm grows, then halve around the best; the budget is fixed, so
  a round's cost is too. Harm need not be concave, so the result is the best point seen, no proven maximum.

Reference: Shejwalkar and Houmansadr 2021 (attacks tailored to a known rule maximise the
distance that it lets pass).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from securefl.attacks.attack import Vector, View
from securefl.attacks.omniscient import centre
from securefl.errors import RoundAbandoned

BUDGET = 16
"""Evaluations of the rule per attacker group and round, for one sign."""


def most_harmful(view: View, start: Vector, direction: Vector) -> Vector:
    """The row start + a * direction that moves the rule furthest. Shapes: (dim,), (dim,) -> (dim,)."""
    honest = centre(view.rows())

    def harm(amount: float) -> float:
        try:
            return float(np.linalg.norm(view.judge(start + amount * direction) - honest))
        except RoundAbandoned:
            return 0.0

    ahead, back = climb(harm, BUDGET), climb(lambda amount: harm(-amount), BUDGET)
    return start + (ahead[1] if ahead >= back else -back[1]) * direction


def climb(harm: Callable[[float], float], budget: int) -> tuple[float, float]:
    """(harm, amount) of the best amount from 0 up that `budget` evaluations find.

    Example:
        >>> value, amount = climb(lambda a: -((a - 3.0) ** 2), 24)
        >>> abs(amount - 3.0) < 0.05
        True
    """
    best, amount, step = harm(0.0), 0.0, 1.0
    growing = True
    for _ in range(budget - 1):
        tries = (amount + step,) if growing or amount < step else (amount + step, amount - step)
        value, place = max((harm(one), one) for one in tries)
        if value > best:
            best, amount = value, place
            step *= 2.0 if growing else 1.0
        else:
            growing, step = False, step / 2.0
    return best, amount
