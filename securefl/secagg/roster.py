"""The signed list of identities that may take part in a task.

Rules kept here:
- A roster is signed once by an authority whose public key every member pins; the server is not that
  authority and cannot add, drop or swap a key.
- Its digest is part of every context, so two members with different rosters never finish a round.
- Ids ascend and keys are distinct: one key under two ids would count twice against the threshold.

What this file does NOT do: judge who deserves a place. Sybils that the authority admits are inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from securefl.crypto import Identity, verify
from securefl.errors import PolicyError, ProtocolError

_DOMAIN = b"securefl/secagg/1/roster"
_MAX_ID = (1 << 32) - 1


@dataclass(frozen=True)
class Roster:
    """Who may take part.

    Attributes:
        keys: (client id, Ed25519 public key), ids ascending.
        authority: public key of the signer.
        signature: the authority's signature over the keys.
    """

    keys: tuple[tuple[int, bytes], ...]
    authority: bytes
    signature: bytes

    @classmethod
    def sign(cls, authority: Identity, keys: Mapping[int, bytes]) -> Roster:
        """The roster of `keys` under the authority's signature."""
        entries = tuple(sorted(keys.items()))
        return cls(entries, authority.public, authority.sign(_DOMAIN, _digest(entries)))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """All client ids, ascending."""
        return tuple(client for client, _ in self.keys)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name this list of identities."""
        return _digest(self.keys)

    def public(self, client: int) -> bytes:
        """The pinned identity of `client`.

        Raises:
            ProtocolError: the roster has no such client.
        """
        if client not in self._by_id:
            raise ProtocolError(f"expected a client of the roster, got {client}; discard the message")
        return self._by_id[client]

    def check(self, authority: bytes) -> None:
        """Return if `authority` signed this list and it is well formed.

        Raises:
            PolicyError: it is not what the pinned authority signed.
        """
        ids, publics = list(self.ids), {public for _, public in self.keys}
        if ids != sorted(set(ids)) or len(publics) != len(ids):
            raise PolicyError(
                "expected a roster of ascending ids and distinct keys, got another; enrol again"
            )
        if self.authority != authority:
            raise PolicyError("expected a roster of the pinned authority, got another signer's; enrol again")
        try:
            verify(authority, _DOMAIN, self.digest, self.signature)
        except ProtocolError as error:
            raise PolicyError("expected the authority's signature on the roster, got another") from error

    @cached_property
    def _by_id(self) -> dict[int, bytes]:
        return dict(self.keys)


def _digest(keys: tuple[tuple[int, bytes], ...]) -> bytes:
    state = hashlib.sha256(_DOMAIN + len(keys).to_bytes(4, "big"))
    for client, public in keys:
        if not 0 <= client <= _MAX_ID or len(public) != 32:
            raise ProtocolError(f"a roster entry is an id below 2^32 and 32 bytes of key, got id {client}")
        state.update(client.to_bytes(4, "big") + public)
    return state.digest()
