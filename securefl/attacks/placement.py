"""Which clients are malicious, given the groups.

`spread` is the worst placement for a rule over group means: each attacker spoils another group. `together`
is the best: they fill one group after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from securefl.errors import ConfigError

Placement = Literal["spread", "together"] | tuple[int, ...]
Groups = Sequence[Sequence[int]]


def placed(groups: Groups, attackers: int, placement: Placement) -> tuple[int, ...]:
    """The ids of `attackers` malicious clients.

    Raises:
        ConfigError: more attackers than clients, or ids that are not among the clients.

    Example:
        >>> groups = ((0, 3), (1, 4), (2, 5))
        >>> placed(groups, 2, "spread"), placed(groups, 2, "together"), placed(groups, 4, "spread")
        ((0, 1), (0, 3), (0, 1, 2, 3))
    """
    everybody = [client for group in groups for client in group]
    if attackers > len(everybody):
        raise ConfigError(f"expected at most the {len(everybody)} clients as attackers, got {attackers}")
    if placement == "together":
        return tuple(everybody[:attackers])
    if placement == "spread":
        dealt = [client for layer in zip_longest(*groups) for client in layer if client is not None]
        return tuple(dealt[:attackers])
    strangers = sorted(set(placement) - set(everybody))
    if strangers or len(set(placement)) != attackers:
        raise ConfigError(f"expected {attackers} of the clients as attackers, got {placement}")
    return placement
