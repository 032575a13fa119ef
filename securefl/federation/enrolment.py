"""Simulated clients get their identities: fresh Ed25519 keys and a roster that an authority signs.

Rules kept here: the authority's key signs one roster and is dropped; the clients' keys stay with the
run only while it lasts (a resumed run must be the same clients).

What this file does NOT do: stand in for real enrolment. In a deployment every client makes its own key
and the authority is somebody whom all of them trust with the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from securefl.crypto import Identity, Randomness
from securefl.errors import ProtocolError, RunDirectoryError
from securefl.secagg import Roster


@dataclass(frozen=True)
class Enrolment:
    """A signed roster and the private identity keys of its simulated clients.

    Attributes:
        roster: who may take part.
        keys: client id -> 32 private bytes. Secret.
    """

    roster: Roster
    keys: Mapping[int, bytes]


def enrol(clients: int, source: Randomness) -> Enrolment:
    """Fresh identities for clients 0 to `clients` - 1 and a roster signed by a fresh authority."""
    authority = Identity.from_bytes(source.stream("authority").take(32))
    keys = {client: source.stream("identity", client).take(32) for client in range(clients)}
    publics = {client: Identity.from_bytes(key).public for client, key in keys.items()}
    return Enrolment(Roster.sign(authority, publics), keys)


def enrolment_to_text(enrolment: Enrolment) -> str:
    """The enrolment as JSON; secret."""
    roster = enrolment.roster
    plain = {
        "authority": roster.authority.hex(),
        "signature": roster.signature.hex(),
        "clients": [
            {"id": client, "public": public.hex(), "private": enrolment.keys[client].hex()}
            for client, public in roster.keys
        ],
    }
    return json.dumps(plain)


def enrolment_from_text(text: str) -> Enrolment:
    """What `enrolment_to_text` wrote.

    Raises:
        RunDirectoryError: the text is damaged.
    """
    try:
        plain = json.loads(text)
        entries = plain["clients"]
        roster = Roster(
            tuple((int(entry["id"]), bytes.fromhex(entry["public"])) for entry in entries),
            bytes.fromhex(plain["authority"]),
            bytes.fromhex(plain["signature"]),
        )
        roster.check(roster.authority)
        keys = {int(entry["id"]): bytes.fromhex(entry["private"]) for entry in entries}
        if any(Identity.from_bytes(keys[client]).public != public for client, public in roster.keys):
            raise ValueError("a private key is not that of its public one")
        return Enrolment(roster, keys)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, ProtocolError) as cause:
        # The last two of Python's own come from an infinite id and from JSON nested thousands deep.
        raise RunDirectoryError(
            f"expected the identities of a run in flight, got a damaged file ({cause}); restore the run "
            "directory from a copy or start a new run"
        ) from cause
