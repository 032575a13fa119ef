"""A member's door: bytes in, bytes out, one step at a time.

    step       request            state before   state after
    COMMIT     CommitRequest      -              Committed
    REVEAL     RevealRequest      Committed      Revealed
    ADVERTISE  AdvertiseRequest   Revealed or -  Advertised
    SHARE      ShareRequest       Advertised     Shared
    MASK       MaskRequest        Shared         Masked        calls `contribute`
    MASK       PlainRequest       Revealed or -  Finished      calls `contribute`
    CONFIRM    ConfirmRequest     Masked         Confirmed
    UNMASK     UnmaskRequest      Confirmed      Finished

Rules kept here:
- The first step of a round starts from the state of its epoch's draw (`StepId.after`), or from nothing where
  the member's policy does not ask for a draw. States are sealed under a key that only the member has.
- Any other pair of request and state is refused and changes nothing; so is a request of another slot.
- A step is a function of (member, state, request), its randomness and its contribution.

What this file does NOT do: remember. The caller stores, durably and before the reply leaves, one
answer per (`StepId.context`, `StepId.step`), sends it again for the identical request, refuses any
other, and answers nothing for rounds before the oldest one that it still remembers. Promises about
"once" and "ever" rest on that store.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from securefl.errors import DecodeError, PolicyError
from securefl.secagg import transcript
from securefl.secagg.draw import commit, reveal
from securefl.secagg.masking import Contribute, mask, send_plain
from securefl.secagg.member import Member
from securefl.secagg.messages import (
    AdvertiseRequest,
    CommitRequest,
    ConfirmRequest,
    MaskRequest,
    Message,
    PlainRequest,
    Reply,
    Request,
    RevealRequest,
    ShareRequest,
    Terms,
    UnmaskRequest,
    from_bytes,
    to_bytes,
)
from securefl.secagg.opening import confirm, unmask
from securefl.secagg.setup import advertise, share
from securefl.secagg.states import (
    SALT_BYTES,
    Advertised,
    Committed,
    Confirmed,
    Masked,
    Revealed,
    Shared,
    State,
    named,
    open_state,
    seal_state,
)


class Step(IntEnum):
    """The steps in order. A plain vector shares its number with the masked one: a slot has one of them."""

    COMMIT = 1
    REVEAL = 2
    ADVERTISE = 3
    SHARE = 4
    MASK = 5
    CONFIRM = 6
    UNMASK = 7


@dataclass(frozen=True)
class StepId:
    """What a request is for; a member answers each (context, step) once.

    Attributes:
        context: 32 bytes that name the slot: (task, round, attempt), or (task, epoch, redraw) of a draw.
        after: names the slot whose latest state the step starts from: the same one, or that of the draw.
        step: the step's number.
        round: the round; of a draw, the first round that its groups are for.
        attempt: the attempt; of a draw, the redraw.
    """

    context: bytes
    after: bytes
    step: Step
    round: int
    attempt: int


class Answer(NamedTuple):
    """What a step gives.

    Attributes:
        state: the member's sealed state for its next step in this context.
        reply: the bytes for the server.
    """

    state: bytes
    reply: bytes


_STEPS: dict[type, Step] = {
    CommitRequest: Step.COMMIT,
    RevealRequest: Step.REVEAL,
    AdvertiseRequest: Step.ADVERTISE,
    ShareRequest: Step.SHARE,
    MaskRequest: Step.MASK,
    PlainRequest: Step.MASK,
    ConfirmRequest: Step.CONFIRM,
    UnmaskRequest: Step.UNMASK,
}


def step_of(request: bytes) -> StepId:
    """What a request is for.

    Raises:
        DecodeError: not exactly one canonical request.
    """
    return _step_id(_request(from_bytes(request)))


def respond(member: Member, state: bytes | None, request: bytes, contribute: Contribute) -> Answer:
    """One step of a member.

    Args:
        member: who answers.
        state: what its latest step in the slot `StepId.after` gave; None if there was none.
        request: the server's bytes.
        contribute: (model bytes, round) -> ring words, called in the mask step only.

    Guarantee: if it raises, nothing was revealed and the state before remains valid.

    Raises:
        DecodeError: the request or the state is malformed.
        PolicyError: out of order, of another slot, or against the member's policy.
        PeerFault: another member's part in the request is provably wrong.
    """
    message = _request(from_bytes(request))
    before = None if state is None else open_state(state, member.storage_key)
    _check_slot(before, _step_id(message))
    _check_own(member, before)
    after, reply = _step(member, before, message, contribute)
    salt = member.randomness.stream("secagg state", member.id, hashlib.sha256(request).hexdigest()).take(
        SALT_BYTES
    )
    return Answer(seal_state(after, member.storage_key, salt), to_bytes(reply))


def _check_slot(before: State | None, asked: StepId) -> None:
    """Return if a state is the one that a step starts from."""
    if before is None:
        return
    slot, round, attempt = _slot_of(before)
    # The numbers beside the slot are checked too: the caller files and forgets its answers by them.
    numbers = (round, attempt) if asked.after == asked.context else (asked.round, asked.attempt)
    if (slot, *numbers) != (asked.after, asked.round, asked.attempt):
        raise PolicyError("expected a request for the slot of the state, got another slot's; nothing changed")


def _check_own(member: Member, before: State | None) -> None:
    """Return if a state of a group is the member's own and names nobody from outside the group."""
    if isinstance(before, None | Committed | Revealed):
        return
    strangers = {member.id, *named(before)} - set(before.terms.members)
    if strangers:
        raise PolicyError(
            f"expected a state that names members of its group, got {sorted(strangers)} besides; discard it"
        )


def _step(
    member: Member, before: State | None, request: Request, contribute: Contribute
) -> tuple[State, Reply]:
    match request, before:
        case CommitRequest(), None:
            return commit(member, request)
        case RevealRequest(), Committed():
            return reveal(member, before, request)
        case AdvertiseRequest(), None | Revealed():
            return advertise(member, before, request)
        case ShareRequest(), Advertised():
            return share(member, before, request)
        case MaskRequest(), Shared():
            return mask(member, before, request, contribute)
        case PlainRequest(), None | Revealed():
            return send_plain(member, before, request, contribute)
        case ConfirmRequest(), Masked():
            return confirm(member, before, request)
        case UnmaskRequest(), Confirmed():
            return unmask(member, before, request)
    stands = "at the start" if before is None else f"after {type(before).__name__}"
    raise PolicyError(
        f"expected the next step of a member that stands {stands}, got a {type(request).__name__}; "
        "nothing changed"
    )


def _request(message: Message) -> Request:
    if type(message) not in _STEPS:
        raise DecodeError(f"expected a request, got a {type(message).__name__}; discard it")
    return message  # type: ignore[return-value]  # the table above holds exactly the requests


def _step_id(request: Request) -> StepId:
    step = _STEPS[type(request)]
    match request:
        case CommitRequest(terms):
            slot = transcript.draw_slot(terms.task, terms.epoch, terms.redraw)
            return StepId(slot, slot, step, terms.epoch, terms.redraw)
        case RevealRequest():
            return StepId(request.slot, request.slot, step, request.epoch, request.redraw)
        case AdvertiseRequest() | PlainRequest():
            opened, drawn = request.terms, request.evidence
            slot = _round_slot(opened)
            after = transcript.draw_slot(opened.task, drawn.epoch, drawn.redraw) if drawn.values else slot
            return StepId(slot, after, step, opened.round, opened.attempt)
        case _:
            return StepId(request.slot, request.slot, step, request.round, request.attempt)


def _slot_of(state: State) -> tuple[bytes, int, int]:
    match state:
        case Committed(terms) | Revealed(terms):
            return transcript.draw_slot(terms.task, terms.epoch, terms.redraw), terms.epoch, terms.redraw
        case _:
            return _round_slot(state.terms), state.terms.round, state.terms.attempt


def _round_slot(terms: Terms) -> bytes:
    return transcript.slot(terms.task, terms.round, terms.attempt)
