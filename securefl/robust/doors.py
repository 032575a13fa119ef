"""From names to rules and mixings: the one place that knows them all.

Rules kept here: what a name needs beyond f (a reference, an order, a value) is asked for by name, never
made up.

What this file does NOT do: count rows (`quorum`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigError
from securefl.robust.bucketing import bucketing
from securefl.robust.bulyan import bulyan
from securefl.robust.centred_clipping import centred_clipping
from securefl.robust.clipping import clipping, quantile_clipping
from securefl.robust.fltrust import fltrust
from securefl.robust.geometric_median import geometric_median
from securefl.robust.krum import krum
from securefl.robust.mean import mean
from securefl.robust.median import median
from securefl.robust.mixing import MIXINGS, Before, Mixing, Order
from securefl.robust.monna import monna
from securefl.robust.multi_krum import multi_krum
from securefl.robust.nearest_neighbours import nearest_neighbours
from securefl.robust.rule import Rule
from securefl.robust.trimmed_mean import trimmed_mean

RULES = (
    "mean", "trimmed_mean", "median", "geometric_median", "centred_clipping", "krum", "multi_krum", "bulyan",
    "monna", "fltrust",
)  # fmt: skip
REFERENCE_RULES = ("monna", "fltrust")

_BY_COUNT: Mapping[str, Callable[[int], Rule]] = {
    "mean": lambda _: mean(),
    "trimmed_mean": trimmed_mean,
    "median": lambda _: median(),
    "geometric_median": lambda _: geometric_median(),
    "centred_clipping": lambda _: centred_clipping(),
    "krum": krum,
    "multi_krum": multi_krum,
    "bulyan": bulyan,
}


def named_rule(name: str, max_malicious: int, reference: NDArray[np.floating] | None = None) -> Rule:
    """The rule called `name` in a configuration, sized for `max_malicious` rows.

    Args:
        name: one of `RULES`.
        max_malicious: rows that may be malicious; some rules do not need the number.
        reference: the server's own update, (dim,): for `monna` and `fltrust` only.

    Raises:
        ConfigError: no rule has this name, or the rule needs a reference.
    """
    if name in _BY_COUNT:
        return _BY_COUNT[name](max_malicious)
    if name not in RULES:
        raise ConfigError(f"expected one of {', '.join(RULES)}, got {name!r}", "robust.rule")
    if reference is None:
        raise ConfigError(
            f"expected the server's own update for {name!r}, got nothing; pass `reference=`, computed "
            "on data that the server holds, or use geometric_median, which needs none",
            "robust.rule",
        )
    return fltrust(reference) if name == "fltrust" else monna(max_malicious, reference)


def named_mixing(step: Before, max_malicious: int, order: Order | None = None) -> Mixing:
    """The mixing that `step` names, sized for `max_malicious` rows.

    Args:
        step: name and value.
        max_malicious: rows that may be malicious; only `nearest_neighbours` needs it.
        order: gives `bucketing` its permutation.

    Raises:
        ConfigError: no mixing has this name, or what it needs is missing.
    """
    if step.name not in MIXINGS:
        raise ConfigError(f"expected one of {', '.join(MIXINGS)}, got {step.name!r}", "robust.before")
    if step.name == "nearest_neighbours":
        return nearest_neighbours(max_malicious)
    if step.value is None:
        raise ConfigError(f"expected a value for {step.name!r}, got nothing", "robust.before")
    if step.name == "bucketing":
        if order is None:
            raise ConfigError(
                "expected an order for 'bucketing', got nothing; pass `order=`", "robust.before"
            )
        return bucketing(int(step.value), order)
    return clipping(step.value) if step.name == "clipping" else quantile_clipping(step.value)
