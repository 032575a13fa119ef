"""The one-run audit: many canaries at once, each in by the toss of a coin, and the tosses guessed afterwards.

Two bounds from the same guesses. `one_run` is Steinke, Nasr and Jagielski's p-value for (epsilon, delta)-DP,
for any mechanism. `one_run_curve` uses the whole trade-off curve of a family and reaches further where the
mechanism is of that family.

Rules kept here:
- Every canary is in or out by a fair coin of its own, tossed before the run and hidden from whoever guesses.
- The number of guesses is settled before the scores are seen; abstaining is free, and choosing afterwards how
  often to abstain would not be.
- Canaries that help or hinder one another make the bound lower, never wrong.

What this file does NOT do: make canaries, or prove a mechanism private. With m canaries the bound tops out at
its ceiling however little is hidden.

Reference: Steinke, Nasr and Jagielski 2023, "Privacy Auditing with One (1) Training Run" (p-value with
abstentions); Mahloujifar, Melis and Chaudhuri 2025, "Auditing f-Differential Privacy in One Run" (the game
under a curve; the recursion is argued in `impossible`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.audit.binomial import at_least, masses
from securefl.audit.bound import LowerBound, error_of, last_true
from securefl.audit.family import Curve, Family, approximate
from securefl.audit.two_world import require_scores
from securefl.errors import DataError

_LARGEST_EPSILON = 50.0


@dataclass(frozen=True)
class Guesses:
    """How the guessing went.

    Attributes:
        canaries: how many there were.
        made: guesses that were made; the rest are abstentions.
        correct: guesses that were right.

    Raises:
        DataError: numbers that no game can end with.
    """

    canaries: int
    made: int
    correct: int

    def __post_init__(self) -> None:
        if not 1 <= self.made <= self.canaries or not 0 <= self.correct <= self.made:
            raise DataError(
                f"expected 1 <= guesses <= canaries and 0 <= correct <= guesses, got {self.correct} correct "
                f"of {self.made} guesses about {self.canaries} canaries"
            )


def guess(scores: NDArray[np.float64], included: NDArray[np.bool_], made: int) -> Guesses:
    """Guesses "in" for the highest scores and "out" for the lowest, half of `made` each.

    Shapes: (canaries,), (canaries,).

    Args:
        scores: higher where a canary looks to be in.
        included: the coins.
        made: guesses in all, settled beforehand.

    Raises:
        DataError: scores that are not finite, other lengths, or more guesses than canaries.

    Example:
        >>> guess(np.array([3.0, -2.0, 0.1]), np.array([True, False, True]), 2)
        Guesses(canaries=3, made=2, correct=2)
    """
    require_scores("of canaries", scores, 1)
    if scores.ndim != 1 or included.shape != scores.shape or not 1 <= made <= len(scores):
        raise DataError(
            f"expected as many coins as scores and at most as many guesses, got {included.shape} coins, "
            f"{len(scores)} scores and {made} guesses"
        )
    order = np.argsort(scores, kind="stable")
    lowest, highest = order[: made // 2], order[len(order) - (made - made // 2) :]
    return Guesses(len(scores), made, int((~included[lowest]).sum() + included[highest].sum()))


def one_run(guesses: Guesses, delta: float, confidence: float) -> LowerBound:
    """The lower bound on epsilon at `delta` by the p-value of the guesses.

    Guarantee: for an (epsilon, delta)-DP mechanism the bound is above epsilon with probability at most
    1 - confidence.

    Raises:
        ConfigError: delta or confidence is none.
    """
    alpha, family = error_of(confidence), approximate(delta)

    def refuted(correct: int) -> float:
        return _largest(guesses.canaries, guesses.made, correct, delta, alpha)

    return _bound(guesses, family, confidence, refuted)


def one_run_curve(guesses: Guesses, family: Family, confidence: float) -> LowerBound:
    """The lower bound on epsilon by the trade-off curve of a family.

    Guarantee: for a mechanism of the family the bound is above its epsilon with probability at most
    1 - confidence.

    Raises:
        ConfigError: the confidence is none.
    """
    alpha = error_of(confidence)

    def refuted(correct: int) -> float:
        canaries, made = guesses.canaries, guesses.made
        return family.strongest(lambda curve: impossible(curve, canaries, made, correct, alpha))

    return _bound(guesses, family, confidence, refuted)


def p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """An upper bound on the probability that so many guesses are right under (epsilon, delta)-DP.

    Under pure DP the number of right guesses is at most a binomial with rate e^epsilon / (1 + e^epsilon);
    delta adds a term that the canaries share.
    """
    made, correct = guesses.made, guesses.correct
    rate = 1.0 / (1.0 + math.exp(-epsilon))
    pure = at_least(correct, made, rate)
    if delta == 0.0 or correct == 0:
        return pure
    just_below = np.cumsum(masses(made, rate)[correct - 1 :: -1])
    worst = float((just_below / np.arange(1, correct + 1)).max())
    return min(1.0, pure + 2.0 * guesses.canaries * delta * worst)


def impossible(curve: Curve, canaries: int, made: int, correct: int, alpha: float) -> bool:
    """Whether no mechanism with this curve lets `correct` of `made` guesses be right with probability alpha.

    Let T_c be the probability of c right guesses or more. For each canary, "right, and c or more in all" and
    "wrong, and c - 1 or more of the others" differ by one coin alone. Averaged over the canaries, the curve
    gives E[wrong; c - 1 or more] >= m curve(E[right; c or more] / m). Both sides are sums of T's, and the
    smallest T_{c-1} that it allows grows with T_c, T_{c+1}, ...: so from T_correct = alpha downwards every T
    is at least what the loop computes, and above 1 there is no such mechanism.
    """
    tail = total = alpha  # T_c and the sum of T_z over z >= c
    for c in range(correct, 0, -1):
        right = (c * tail + total - tail) / canaries
        if right >= 1.0:
            return True
        tail = max(tail, (canaries * curve(right) + total) / (made - c + 1))
        total += tail
        if tail > 1.0:
            return True
    return False


def _bound(
    guesses: Guesses, family: Family, confidence: float, refuted: Callable[[int], float]
) -> LowerBound:
    strength = refuted(guesses.correct)
    return LowerBound(
        epsilon=family.epsilon(strength),
        delta=family.delta,
        samples=guesses.made,
        confidence=confidence,
        ceiling=family.epsilon(refuted(guesses.made)),
        assumes=family.assumes,
        strength=strength,
    )


def _largest(canaries: int, made: int, correct: int, delta: float, alpha: float) -> float:
    """The largest epsilon whose p-value is still an alarm."""
    guesses = Guesses(canaries, made, correct)
    if p_value(guesses, 0.0, delta) > alpha:
        return 0.0
    return last_true(lambda epsilon: p_value(guesses, epsilon, delta) <= alpha, _LARGEST_EPSILON, 40)
