"""The replies of one exchange, each either sound or a named party's fault.

Rules kept here:
- Only clients that were asked are read, each once, and a reply must name its own sender.
- A reply that does not decode or verify counts as a dropout of that party, with the reason kept; it
  cannot stop the others.

What this file does NOT do: decide whether enough are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from securefl.errors import ProtocolError
from securefl.secagg.messages import from_bytes


class _Sent(Protocol):
    @property
    def sender(self) -> int: ...


S = TypeVar("S", bound=_Sent)
Blame = tuple[tuple[int, str], ...]
"""(party, what it did) pairs."""


def collect(
    replies: Mapping[int, bytes], asked: Iterable[int], cls: type[S], check: Callable[[S], None]
) -> tuple[dict[int, S], Blame]:
    """The sound replies by sender, ascending, and who sent something else.

    Args:
        replies: bytes by client; a missing client has dropped out.
        asked: whom the step asked.
        cls: the message that the step expects.
        check: raises ProtocolError if the reply is not sound.
    """
    sound: dict[int, S] = {}
    blame: list[tuple[int, str]] = []
    for client in sorted(asked):
        if client not in replies:
            continue
        try:
            sound[client] = _read(replies[client], client, cls, check)
        except ProtocolError as error:
            blame.append((client, str(error)))
    return sound, tuple(blame)


def _read(data: bytes, client: int, cls: type[S], check: Callable[[S], None]) -> S:
    message = from_bytes(data)
    if not isinstance(message, cls):
        raise ProtocolError(f"expected a {cls.__name__}, got a {type(message).__name__}")
    if message.sender != client:
        raise ProtocolError(f"expected a message of its own sender {client}, got one of {message.sender}")
    check(message)
    return message
