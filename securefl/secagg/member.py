"""One honest member: who it is, whom it knows and what it insists on.

Rules kept here: a member exists only with a roster that its pinned authority signed and that has its
own key in it.

What this file does NOT do: hold protocol state. That is bytes, and belongs to whoever stores it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from securefl.crypto import Identity, Randomness, derive
from securefl.errors import PolicyError
from securefl.secagg.policy import Policy
from securefl.secagg.roster import Roster
from securefl.secagg.transcript import tag


@dataclass(frozen=True)
class Member:
    """A member of the roster.

    Attributes:
        id: its id in the roster.
        identity: its long-term signing key.
        roster: everybody's identities, signed by the authority that `policy` pins.
        policy: what it insists on.
        randomness: where its keys, seeds, shares and nonces come from.

    Raises:
        PolicyError: the roster is not the pinned authority's, or has another key under this id.
    """

    id: int
    identity: Identity
    roster: Roster
    policy: Policy
    randomness: Randomness

    def __post_init__(self) -> None:
        self.roster.check(self.policy.authority)
        if dict(self.roster.keys).get(self.id) != self.identity.public:
            raise PolicyError(f"expected the own key under {self.id} in the roster, got another; enrol first")

    @cached_property
    def storage_key(self) -> bytes:
        """32 bytes under which its states rest; nobody without its identity key has them."""
        return derive(self.identity.private_bytes, tag("storage"))

    def sign(self, purpose: str, message: bytes) -> bytes:
        """The member's signature over a transcript message, for one purpose."""
        return self.identity.sign(tag(purpose), message)
