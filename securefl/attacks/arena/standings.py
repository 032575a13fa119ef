"""What the finished cells say: means over seeds with intervals, prices and worst cases.

Rules kept here:
- The interval is Student's t at 95 % over the seeds of one place on the axes: it covers what another seed
  would change (data partition, initial model, sampling), nothing else. With one seed there is none.
- The price of a defence is what it costs without any attack: the best defence's mean accuracy at this
  heterogeneity minus its own.
- The worst case of a defence is the attack with the lowest mean accuracy, by name.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Result = Mapping[str, object]
"""A cell's key and outcome in one flat mapping."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and the half width of its 95 % interval (Student's t); None with one seed."""

    mean: float
    half_width: float | None
    seeds: int


@dataclass(frozen=True)
class Standing:
    """One defence at one heterogeneity against one number of attackers.

    Attributes:
        defence: its name.
        heterogeneity: the partition.
        attackers: malicious clients.
        unattacked: accuracy without an attack.
        price: what the defence costs without an attack, in accuracy.
        attacked: accuracy by attack.
        worst: name of the attack with the lowest mean.
        aims: by attack that has one, how far the attacker's aim was reached.
    """

    defence: str
    heterogeneity: str
    attackers: int
    unattacked: Estimate
    price: float
    attacked: Mapping[str, Estimate]
    worst: str
    aims: Mapping[str, Estimate]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and t interval of some numbers.

    Example:
        >>> one = estimate([1.0, 2.0, 3.0])
        >>> one.mean, round(one.half_width, 3), one.seeds
        (2.0, 2.484, 3)
    """
    count = len(values)
    if count < 2:
        return Estimate(statistics.fmean(values), None, count)
    from scipy.stats import t

    reach = float(t.ppf(0.975, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return Estimate(statistics.fmean(values), reach, count)


def standings(results: Sequence[Result]) -> tuple[Standing, ...]:
    """One standing per defence, heterogeneity and number of attackers, in the order of the results."""
    attacked = [r for r in results if r["attack"] != "none"]
    places = dict.fromkeys(
        (str(r["heterogeneity"]), _int(r["attackers"]), str(r["defence"])) for r in attacked
    )
    return tuple(_standing(results, *place) for place in places)


def _standing(results: Sequence[Result], heterogeneity: str, attackers: int, defence: str) -> Standing:
    # Without an attack the number of attackers is 0 where they would have been honest.
    here = [
        r
        for r in results
        if r["heterogeneity"] == heterogeneity and r["attackers"] in (attackers, _absent(r))
    ]
    quiet = {name: _accuracy(here, name, "none") for name in dict.fromkeys(str(r["defence"]) for r in here)}
    mine = [r for r in here if r["defence"] == defence]
    names = [name for name in dict.fromkeys(str(r["attack"]) for r in mine) if name != "none"]
    attacked = {name: _accuracy(mine, defence, name) for name in names}
    aims = {
        name: [_float(r["aim"]) for r in mine if r["attack"] == name and r["aim"] is not None]
        for name in names
    }
    return Standing(
        defence=defence,
        heterogeneity=heterogeneity,
        attackers=attackers,
        unattacked=quiet[defence],
        price=max(one.mean for one in quiet.values()) - quiet[defence].mean,
        attacked=attacked,
        worst=min(attacked, key=lambda name: attacked[name].mean),
        aims={name: estimate(values) for name, values in aims.items() if values},
    )


def _accuracy(results: Sequence[Result], defence: str, attack: str) -> Estimate:
    return estimate(
        [_float(r["accuracy"]) for r in results if (r["defence"], r["attack"]) == (defence, attack)]
    )


def _absent(result: Result) -> int | None:
    return 0 if result["attack"] == "none" else None


def _float(value: object) -> float:
    return float(str(value))


def _int(value: object) -> int:
    return int(str(value))
