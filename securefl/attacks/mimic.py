"""Mimic: all attackers repeat one honest row, so that it counts several times and others are forgotten.

Nothing that is sent is out of the ordinary; it hurts where honest rows differ. In the first rounds the
attackers learn the direction along which honest rows differ most (Oja's rule) and then stay with the row
that lies furthest along it.

Reference: Karimireddy, He and Jaggi 2022 (mimic attack).
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Attack, Craft, Rows, Vector, View
from securefl.attacks.omniscient import OMNISCIENT, centre

WARMUP_ROUNDS = 20


def mimic() -> Attack:
    """The attack."""
    return Attack("mimic", OMNISCIENT, "Karimireddy, He and Jaggi 2022, mimic attack", begin=_craft)


def _craft() -> Craft:
    memory = _Memory()

    def craft(view: View) -> Vector:
        rows = view.rows()
        return np.array(rows[memory.chosen(rows, view.round)])

    return craft


class _Memory:
    """The direction learnt so far, and how far along it each row has lain."""

    def __init__(self) -> None:
        self._direction: Vector | None = None
        self._places: Vector | None = None
        self._round = 0

    def chosen(self, rows: Rows, round: int) -> int:
        """The index of the row to repeat."""
        fresh = self._places is None or len(self._places) != len(rows)
        if fresh or (round != self._round and round <= WARMUP_ROUNDS):
            self._learn(rows, fresh)
            self._round = round
        assert self._places is not None  # noqa: S101 - learnt above
        return int(np.argmax(np.abs(self._places)))

    def _learn(self, rows: Rows, fresh: bool) -> None:
        offsets = rows - centre(rows)
        # One step of power iteration on this round's covariance, averaged with the direction so far.
        before = offsets[0] if self._direction is None else self._direction
        direction = before + offsets.T @ (offsets @ before) / max(1e-300, float((offsets**2).sum()))
        self._direction = direction / max(1e-300, float(np.linalg.norm(direction)))
        along = offsets @ self._direction
        self._places = along if fresh or self._places is None else self._places + along
