"""The closed table of attacks by name.

Rules kept here: a name outside the table is refused; so is a strength where the attack has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from securefl.attacks.alie import alie, alie_line_search
from securefl.attacks.attack import Attack
from securefl.attacks.envelope import min_max, min_sum
from securefl.attacks.foe import foe, foe_line_search
from securefl.attacks.free_rider import free_rider
from securefl.attacks.gaussian import gaussian
from securefl.attacks.inflated_counts import inflated_counts
from securefl.attacks.label_flip import label_flip
from securefl.attacks.mimic import mimic
from securefl.attacks.nonfinite import nonfinite
from securefl.attacks.pixel_backdoor import pixel_backdoor
from securefl.attacks.scaling import scaling
from securefl.attacks.semantic_backdoor import semantic_backdoor
from securefl.attacks.sign_flip import sign_flip
from securefl.attacks.sybils import sybils
from securefl.errors import ConfigError

_FIXED: Mapping[str, Callable[[], Attack]] = {
    "label_flip": label_flip,
    "pixel_backdoor": pixel_backdoor,
    "semantic_backdoor": semantic_backdoor,
    "alie": alie,
    "alie_line_search": alie_line_search,
    "foe_line_search": foe_line_search,
    "min_max": min_max,
    "min_sum": min_sum,
    "mimic": mimic,
    "nonfinite": nonfinite,
    "inflated_counts": inflated_counts,
    "free_rider": free_rider,
    "sybils": sybils,
}
_SCALED: Mapping[str, tuple[Callable[[float], Attack], float]] = {
    "sign_flip": (sign_flip, 1.0),
    "gaussian": (gaussian, 1.0),
    "scaling": (scaling, 1.0),
    "foe": (foe, 10.0),
    "alie": (alie, 1.5),
}
"""Factory and default strength. `alie` has none: without one it takes the paper's (`_FIXED`)."""

ATTACKS: tuple[str, ...] = tuple(sorted(_FIXED.keys() | _SCALED.keys()))
"""The names that a threat model or an arena may use."""
WITH_STRENGTH: tuple[str, ...] = tuple(sorted(_SCALED))
"""Those that take a strength."""


def attack_label(name: str, strength: float | None = None) -> str:
    """How tables call an attack.

    Example:
        >>> attack_label("foe", 100.0), attack_label("mimic")
        ('foe x100', 'mimic')
    """
    return name if strength is None else f"{name} x{strength:g}"


def named_attack(name: str, strength: float | None = None) -> Attack:
    """The attack called `name`, at its default strength if None.

    Raises:
        ConfigError: no attack has this name, it takes no strength, or the strength is no positive number.

    Example:
        >>> named_attack("foe", 100.0).source
        'Xie, Koyejo and Gupta 2020, inner product manipulation'
    """
    if name not in ATTACKS:
        near = get_close_matches(name, ATTACKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(ATTACKS)}"
        raise ConfigError(f"expected the name of an attack, got {name!r}; {hint}")
    if strength is None:
        return _FIXED[name]() if name in _FIXED else _SCALED[name][0](_SCALED[name][1])
    if name not in _SCALED:
        raise ConfigError(f"expected no strength for {name!r}, got {strength:g}; remove it")
    if not (math.isfinite(strength) and strength > 0):
        raise ConfigError(f"expected a strength above 0 for {name!r}, got {strength:g}; correct it")
    return _SCALED[name][0](strength)
