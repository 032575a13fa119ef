"""What an attacker must know or may do: the closed list that attacks declare and adversaries are granted.

Rules kept here: an attack that needs more than an adversary has is refused by name; nothing is granted
silently. Every client, honest or not, sees the global model of each round and holds its own data, so
those are no capabilities.

What this file does NOT do: say which adversary is likely (`threat_models/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from securefl.errors import ConfigError


class Capability(StrEnum):
    """One thing that an attack takes."""

    ALTERS_DATA = "alters_data"
    """Trains as it should, on examples it has changed."""
    ALTERS_UPDATE = "alters_update"
    """Sends another vector than its training gave."""
    EXCEEDS_CLIP = "exceeds_clip"
    """Sends a vector longer than the clip norm that honest clients keep."""
    CHOOSES_COUNTS = "chooses_counts"
    """Claims a weight that its data does not have."""
    COLLUDES = "colludes"
    """Shares what it knows with the other attackers and acts as one with them."""
    MANY_IDENTITIES = "many_identities"
    """One party holds several places on the roster."""
    SEES_GROUP_UPDATES = "sees_group_updates"
    """Knows this round's updates of the honest members of its own group before it sends."""
    SEES_ALL_UPDATES = "sees_all_updates"
    """Knows this round's updates of all honest clients before it sends."""
    KNOWS_RULE = "knows_rule"
    """Knows the server's rule, its parameters and its norm guard, and can evaluate it."""
    KNOWS_DATA_DISTRIBUTION = "knows_data_distribution"
    """Knows which inputs the other parties have, or what their data looks like."""
    SEES_WIRE = "sees_wire"
    """Reads every message between server and clients, as bytes on their way."""
    SEES_MEMBER_STATES = "sees_member_states"
    """Has the identity keys and the protocol states of the members that collude with it."""
    SEES_FINAL_MODEL = "sees_final_model"
    """Has the finished model as it is given away, and nothing else of the run."""
    REPLACES_REQUESTS = "replaces_requests"
    """Lets other requests reach the members than the honest server's."""
    FALLS_SILENT = "falls_silent"
    """Leaves requests unanswered."""


def check_granted(name: str, needs: Iterable[Capability], granted: Iterable[Capability]) -> None:
    """Return if everything that the attack `name` needs is granted.

    Raises:
        ConfigError: something is missing; all of it is named.

    Example:
        >>> check_granted("sign_flip", [Capability.ALTERS_UPDATE], list(Capability))
    """
    has = sorted(granted)
    missing = sorted(set(needs) - set(has))
    if missing:
        raise ConfigError(
            f"attack {name!r} needs {', '.join(missing)}, which this adversary does not have (it has "
            f"{', '.join(has) or 'none'}); grant it, or choose an attack that needs less"
        )
