"""The in-process exchange: every client answers in this process, one after the other.

Rules kept here: only bytes pass between server and clients, exactly as over a network; a client that
refuses is silent to the server, and why it refused is kept for the operator of the simulation.

What this file does NOT do: hide the clients from whoever owns the process. It is a simulation, and
the guarantee card says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from securefl.federation.client import Party, answer_all
from securefl.federation.stopwatch import Stopwatch


class InProcess:
    """Clients that live in this process. Callable as an `Exchange`.

    Args:
        parties: client id -> party.
    """

    def __init__(self, parties: Mapping[int, Party]) -> None:
        self._parties = parties
        self.refusals: dict[int, str] = {}

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        """One exchange; a client that refuses has no entry in the replies."""
        answers = answer_all(self._parties, requests)
        self.refusals.update(answers.refusals)
        return dict(answers.replies)

    def collect(self, stopwatch: Stopwatch) -> None:
        """Client-side seconds are on the shared stopwatch already."""

    def close(self) -> None:
        """Nothing to close: the caller owns the parties."""
