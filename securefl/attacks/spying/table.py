"""The closed table of spies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from securefl.attacks.spying.label_inference import label_from_message, label_from_sum
from securefl.attacks.spying.plain_request import plain_request
from securefl.attacks.spying.pooled_shares import pooled_keys, pooled_shares
from securefl.attacks.spying.spy import Spy
from securefl.errors import ConfigError

_SPIES: Mapping[str, Callable[[], Spy]] = {
    "label_from_message": label_from_message,
    "label_from_sum": label_from_sum,
    "plain_request": plain_request,
    "pooled_keys": pooled_keys,
    "pooled_shares": pooled_shares,
}
SPIES: tuple[str, ...] = tuple(_SPIES)
"""The names that a threat model may use."""


def named_spy(name: str) -> Spy:
    """The spy called `name`.

    Raises:
        ConfigError: no spy has this name.
    """
    if name not in _SPIES:
        raise ConfigError(f"expected one of {', '.join(SPIES)}, got {name!r}")
    return _SPIES[name]()
