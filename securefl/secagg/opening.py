"""A member's last two steps: agree on ONE list of survivors, then open one share per dealer.

Rules kept here:
- A member signs one list per session, and only one that has itself in it. From then on its state knows
  no other list.
- It opens shares only after, for every dealer concerned, t of its holders signed that same list in that same
  session. For each dealer it opens the seed share if the dealer is on the list and the key share if it is
  not: one kind per mask key, ever.
- The state after the opening holds no share any more.

What this file does NOT do: stop an owner who plays an old state again. Whoever stores the states keeps
one answer per step and sends the stored bytes again (`securefl.federation.client`).

Reference: Bonawitz et al. 2017, figure 4, rounds 3 (consistency check) and 4.
"""

from __future__ import annotations

from securefl.errors import PolicyError
from securefl.secagg import transcript
from securefl.secagg.codec import record_to_bytes
from securefl.secagg.graph import graph_of
from securefl.secagg.member import Member
from securefl.secagg.messages import (
    KEY_KIND,
    SEED_KIND,
    ConfirmReply,
    ConfirmRequest,
    Opening,
    Terms,
    UnmaskReply,
    UnmaskRequest,
)
from securefl.secagg.states import Confirmed, Finished, Holding, Masked


def confirm(member: Member, state: Masked, request: ConfirmRequest) -> tuple[Confirmed, ConfirmReply]:
    """Step 4: the member's signature over the list of survivors.

    Raises:
        PolicyError: the list lacks this member, has a stranger, or is too short.
    """
    survivors, terms = set(request.survivors), state.terms
    graph = graph_of(terms)
    holders, dealers = set(graph.holders(member.id)), {holding.dealer for holding in state.holdings}
    if member.id not in survivors or not survivors <= set(terms.members):
        raise PolicyError(f"expected members, this one included, as survivors, got {request.survivors}; stop")
    if strangers := survivors.intersection(holders) - dealers - {member.id}:
        raise PolicyError(f"expected survivors that dealt shares, got {sorted(strangers)} too; stop")
    left = len(survivors & holders)
    if left < terms.threshold or len(survivors) < terms.survivors:
        raise PolicyError(
            f"expected at least {terms.survivors} survivors and {terms.threshold} holders among them, got "
            f"{len(survivors)} and {left}; stop"
        )
    signature = member.sign("confirm", transcript.survivors_message(state.session, request.survivors))
    confirmed = Confirmed(terms, state.session, state.holdings, request.survivors)
    return confirmed, ConfirmReply(member.id, signature)


def unmask(member: Member, state: Confirmed, request: UnmaskRequest) -> tuple[Finished, UnmaskReply]:
    """Step 5: one share per dealer, of one kind.

    Raises:
        PeerFault: a signature over another list or session, or none of its sender.
        PolicyError: fewer than t holders of a dealer signed.
    """
    check_signers(state.terms, state.survivors, request.confirmations, state.holdings)
    message = transcript.survivors_message(state.session, state.survivors)
    for reply in request.confirmations:
        transcript.check_signature(member.roster, reply.sender, "confirm", message, reply.signature)
    openings = tuple(_open(holding, holding.dealer in state.survivors) for holding in state.holdings)
    signed = openings_message(state.session, member.id, state.survivors, openings)
    return Finished(state.terms), UnmaskReply(member.id, openings, member.sign("unmask", signed))


def check_signers(
    terms: Terms,
    survivors: tuple[int, ...],
    confirmations: tuple[ConfirmReply, ...],
    holdings: tuple[Holding, ...],
) -> None:
    """Return if t holders of every dealer are among the signers; their signatures are not checked here.

    Raises:
        PolicyError: they are not, or somebody signed who does not survive.
    """
    graph = graph_of(terms)
    signers = {reply.sender for reply in confirmations}
    if not signers <= set(survivors):
        raise PolicyError(f"expected signatures of survivors only, got those of {sorted(signers)}; stop")
    for holding in holdings:
        signed = len(signers.intersection(graph.holders(holding.dealer)))
        if signed < terms.threshold:
            raise PolicyError(
                f"expected signatures of at least {terms.threshold} holders of {holding.dealer}, got "
                f"{signed}; stop"
            )


def openings_message(
    session: bytes, sender: int, survivors: tuple[int, ...], openings: tuple[Opening, ...]
) -> bytes:
    """What a holder signs when it opens its shares."""
    opened = (record_to_bytes(opening) for opening in openings)
    listed = transcript.survivors_message(session, survivors)
    return transcript.digest("openings", listed, transcript.number(sender), *opened)


def _open(holding: Holding, survived: bool) -> Opening:
    pair = holding.pair
    if survived:
        return Opening(holding.dealer, SEED_KIND, pair.seed_share, pair.seed_salt)
    return Opening(holding.dealer, KEY_KIND, pair.key_share, pair.key_salt)
