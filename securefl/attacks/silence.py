"""Silence: some clients never answer, from the first request to the last.

It is a fault as much as an attack. Groups are drawn among those who answer the draw, so these clients are
in no group.

Reference: Bonawitz et al. 2017, section 1 (clients that drop out at any step).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securefl.errors import ProtocolError
from securefl.federation.client import Client, Party, Prepared


def silenced(honest: Mapping[int, Client], count: int) -> dict[int, Party]:
    """The honest clients, the `count` of them with the lowest ids silent."""
    quiet = set(sorted(honest)[:count])
    return {client: _Silent(client) if client in quiet else one for client, one in honest.items()}


@dataclass(frozen=True)
class _Silent:
    id: int

    def prepare(self, request: bytes) -> Prepared:
        raise ProtocolError("this client says nothing")
