"""The two-world audit: the same mechanism many times with and without one record, told apart by a threshold.

Rules kept here:
- The threshold, the side of it that means "there", and the score where a draw has several, are chosen on the
  first fifth of the draws; the rates are counted on the others alone. So choosing costs samples and no
  confidence.
- Both rates get exact bounds, each at half the error, and the lower bound on epsilon is the largest one that
  they refute together.
- Draws of a world are independent; the scores may be any function of what was released.

What this file does NOT do: draw (`release`), or find the best score. A weak score gives a low bound, never a
wrong one.

Reference: Jagielski, Ullman and Oprea 2020; Nasr et al. 2023 (f-DP curves in place of
(epsilon, delta)).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from securefl.audit.binomial import highest, lowest
from securefl.audit.bound import LowerBound, error_of
from securefl.audit.family import Family, normal_quantile
from securefl.errors import DataError

Scores = NDArray[np.float64]
_CANDIDATES = 200
_NEIGHBOURS = 15
_CHOOSING = 5
"""One of so many draws helps to choose; near its best a threshold matters little, and counts matter much."""
FEWEST = 5
"""Draws per world: one to choose a threshold by, four to count."""


@dataclass(frozen=True)
class Cut:
    """A test of one score: there if `sign` * score > threshold.

    Attributes:
        column: which of a draw's scores.
        threshold: on the signed score.
        sign: 1 if the record raises the score, -1 if it lowers it.
    """

    column: int
    threshold: float
    sign: int

    def count(self, scores: Scores) -> int:
        """How many scores say "there"."""
        return int((self.sign * scores[:, self.column] > self.threshold).sum())


def two_world(without: Scores, with_record: Scores, family: Family, confidence: float) -> LowerBound:
    """The lower bound on epsilon from scores of both worlds. Shapes: (n,), (m,) or (n, kinds), (m, kinds).

    Guarantee: for independent draws of a mechanism of the family, the bound is above its epsilon with
    probability at most 1 - confidence.

    Args:
        without: scores without the record.
        with_record: scores with it.
        family: what is assumed of the mechanism, and delta.
        confidence: of the bound.

    Raises:
        DataError: too few scores, or some that are not finite.
        ConfigError: the confidence is none.
    """
    alpha = error_of(confidence)
    for name, scores in (("without", without), ("with", with_record)):
        require_scores(name, scores, FEWEST)
    without, with_record = without.reshape(len(without), -1), with_record.reshape(len(with_record), -1)
    first, second = len(without) // _CHOOSING, len(with_record) // _CHOOSING
    cut = _best_cut(without[:first], with_record[:second], family, alpha)
    sizes = (len(without) - first, len(with_record) - second)
    counts = (cut.count(without[first:]), cut.count(with_record[second:]))
    strength = _refuted(counts, sizes, family, alpha)
    return LowerBound(
        epsilon=family.epsilon(strength),
        delta=family.delta,
        samples=len(without) + len(with_record),
        confidence=confidence,
        ceiling=family.epsilon(_refuted((0, sizes[1]), sizes, family, alpha)),
        assumes=family.assumes,
        strength=strength,
    )


def require_scores(name: str, scores: Scores, fewest: int) -> None:
    """Return if there are enough scores and all are finite.

    Raises:
        DataError: there are not, or some are not.
    """
    if scores.ndim not in (1, 2) or len(scores) < fewest or not scores.size:
        raise DataError(f"expected {fewest} scores {name} the record or more, got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise DataError(
            f"expected finite scores, got {int((~np.isfinite(scores)).sum())} others {name} the record; a "
            "release that is not finite gives its data away by itself"
        )


def _refuted(counts: tuple[int, int], sizes: tuple[int, int], family: Family, alpha: float) -> float:
    """From (false, true) positives: what the bounds of their rates refute together."""
    false = highest(counts[0], sizes[0], alpha / 2.0)
    true = lowest(counts[1], sizes[1], alpha / 2.0)
    return family.strongest(lambda curve: false < curve(true))


def _best_cut(without: Scores, with_record: Scores, family: Family, alpha: float) -> Cut:
    """The cut that promises most by normal approximations of both bounds; only a choice, never a claim."""
    wide = -normal_quantile(alpha / 2.0)
    best, chosen = -np.inf, Cut(0, 0.0, 1)
    for column, sign in product(range(without.shape[1]), (1, -1)):
        first, second = np.sort(sign * without[:, column]), np.sort(sign * with_record[:, column])
        places = np.quantile(np.concatenate([first, second]), _places())
        false = _pessimistic(1.0 - np.searchsorted(first, places, "right") / len(first), len(first), wide)
        true = _pessimistic(1.0 - np.searchsorted(second, places, "right") / len(second), len(second), -wide)
        promise = _smooth(family.guide(false, true))
        at = int(np.argmax(promise))
        if promise[at] > best:
            best, chosen = float(promise[at]), Cut(column, float(places[at]), sign)
    return chosen


def _places() -> Scores:
    """Quantiles to look at, dense at both ends."""
    return (1.0 - np.cos(np.pi * np.linspace(0.0, 1.0, _CANDIDATES))) / 2.0


def _smooth(promise: Scores) -> Scores:
    """Each place by its neighbourhood, so that one lucky place does not win."""
    padded = np.pad(promise, _NEIGHBOURS, mode="edge")
    return np.convolve(padded, np.ones(2 * _NEIGHBOURS + 1) / (2 * _NEIGHBOURS + 1), mode="valid")


def _pessimistic(rates: Scores, trials: int, wide: float) -> Scores:
    """Wilson's bound on one side: the upper one for positive `wide`."""
    centre = rates + wide * wide / (2 * trials)
    reach = wide * np.sqrt(rates * (1.0 - rates) / trials + wide * wide / (4.0 * trials * trials))
    bounded = (centre + reach) / (1.0 + wide * wide / trials)
    return np.asarray(np.clip(bounded, 1e-12, 1.0 - 1e-12))
