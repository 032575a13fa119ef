"""How many rounds simulated dropouts cost: the chance that too few groups finish one.

Rules kept here:
- It follows what `securefl.transport.dropouts` does: a client that vanishes at REVEAL in the first round
  of an epoch voids the draw of groups and is missing for the whole epoch, so its group is smaller; an
  epoch whose last redraw is voided has no round at all.
- Up to the masked vectors a group needs its fewest survivors, from then on the threshold.

What this file does NOT do: count malicious clients, what the norm guard excludes, or repetitions from
the spare releases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.config import Config
from securefl.errors import ConfigError
from securefl.robust import OwnRule, rows_needed
from securefl.secagg import MAX_COMPLETE, Step
from securefl.transport.dropouts import POINTS

_IN_THE_DRAW = sum(point == Step.REVEAL for point in POINTS) / len(POINTS)
_AFTER_THE_VECTOR = sum(point > Step.MASK for point in POINTS) / len(POINTS)
_NEGLIGIBLE = 1e-12
Chances = NDArray[np.float64]


def abandon_probability(config: Config, rule: OwnRule | None = None) -> float:
    """Chance that the first attempt at a round is abandoned, averaged over the rounds of the run.

    Args:
        config: the run's config.
        rule: the caller's own rule, where the run has one in place of the config's.

    Guarantee: exact for independent dropouts of honest clients in groups of up to 64 members and without
    masks. On rings every dropout counts against the fewest survivors, which is too many: an upper bound,
    but for the 2^-20 of a member without enough neighbours.
    """
    drop, rounds = config.simulation.dropout, config.server.rounds
    epochs = -(-rounds // config.secure_aggregation.epoch_rounds)
    here = 1.0 - drop * _IN_THE_DRAW  # nobody in a drawn group vanished in its draw
    late = drop * _AFTER_THE_VECTOR
    robust, first, later = config.robust, 0.0, 0.0
    needed = rows_needed(rule or robust.rule, robust.max_malicious, before=robust.steps)
    for members, chance in enumerate(_drawn(config)):
        if chance > _NEGLIGIBLE:
            first += chance * _lost(config, needed, members, (here - (1.0 - drop) - late) / here, late / here)
            later += chance * _lost(config, needed, members, drop - late, late)
    return float(epochs * first + (rounds - epochs) * later) / rounds


def _drawn(config: Config) -> Chances:
    """By number of members: the chance that so many are in the groups of an epoch; 0 if there are none."""
    cohort, withheld = config.cohort_size, config.simulation.dropout * _IN_THE_DRAW
    done, left = np.zeros(cohort + 1), np.zeros(cohort + 1)
    left[cohort] = 1.0
    for _ in range(config.secure_aggregation.max_redraws + 1):
        again = np.zeros(cohort + 1)
        for members in np.flatnonzero(left > _NEGLIGIBLE):
            gone = left[members] * _binomial(int(members), withheld)
            done[members] += gone[0]
            again[:members] += gone[:0:-1]
        left = again
    done[0] += left.sum()
    return done


def _lost(config: Config, needed: int, members: int, early: float, late: float) -> float:
    """Chance that fewer than `needed` of the groups of so many members finish a round.

    Args:
        early: chance that a member vanishes before its vector has arrived.
        late: chance that it vanishes after that.
    """
    size, larger = divmod(members, config.groups)
    finished = np.convolve(
        _binomial(config.groups - larger, _finishes(config, size, early, late)),
        _binomial(larger, _finishes(config, size + 1, early, late)),
    )
    return float(finished[:needed].sum())


def _finishes(config: Config, size: int, early: float, late: float) -> float:
    """Chance that a group of so many members yields a mean."""
    fewest, threshold = _needed(config, size)
    in_time = _binomial(size, 1.0 - early)
    stays = 1.0 - late / (1.0 - early)
    return float(
        sum(
            chance * _binomial(survivors, stays)[threshold:].sum()
            for survivors, chance in enumerate(in_time)
            if survivors >= fewest
        )
    )


def _needed(config: Config, size: int) -> tuple[int, int]:
    """Fewest members whose vectors arrive, and fewest that answer to the end; one too many for never."""
    secagg = config.secure_aggregation
    if not secagg.masking:
        return 1, 0
    never = size + 1, size + 1
    floor = config.fewest_survivors  # the members' own `group_min` and `survivors_min`
    if size < floor:
        return never
    try:
        shape = secagg.shape(size)
    except ConfigError:
        return never
    fewest = max(shape.survivors, floor)
    return fewest, shape.threshold if size <= MAX_COMPLETE else fewest


def _binomial(n: int, p: float) -> Chances:
    """Chances of 0 to n successes in n trials."""
    if p <= 0.0 or p >= 1.0:
        sure = np.zeros(n + 1)
        sure[n if p >= 1.0 else 0] = 1.0
        return sure
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    k = np.arange(n + 1)
    ways = factorials[n] - factorials - factorials[::-1]
    return np.asarray(np.exp(ways + k * np.log(p) + (n - k) * np.log1p(-p)))
