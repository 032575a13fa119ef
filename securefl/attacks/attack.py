"""What an attack is: what it does to data, to the update, and what it must know for that.

Rules kept here:
- An attack is handed only what it declares in `needs`: asking a `View` for more raises.
- It is data and pure functions. What it remembers over rounds lives in the craft that `begin` makes
  afresh for every run.
- An attack that sees its group's updates says what the GROUP MEAN shall be and the coalition solves for
  the vector to send; others say the vector itself. In groups of one these are the same.

What this file does NOT do: replace parties (`coalition`), or know rules and protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.capability import Capability
from securefl.data import Examples

Vector = NDArray[np.float64]
Rows = NDArray[np.float64]
Judge = Callable[[Rows], Vector]
"""The server's whole step from rows to the update: guard and rule. (count, dim) -> (dim,)."""
Poison = Callable[[Examples, int], Examples]
"""(a client's examples, number of classes) -> what it trains on instead."""


@dataclass(frozen=True)
class View:
    """What one attacker may use in one round.

    Attributes:
        needs: what the attack declared.
        round: counted from 1.
        model: the global model of this round, (dim,).
        previous: that of the round before, or None in the first.
        clients: clients in the round.
        attackers: malicious rows among the rows that the rule will see.
        clip_norm: the bound that honest updates keep.
        random: the attackers' own generator.
    """

    needs: frozenset[Capability]
    round: int
    model: Vector
    previous: Vector | None
    clients: int
    attackers: int
    clip_norm: float
    random: np.random.Generator
    _own: Callable[[], Vector]
    _leader: Callable[[], Vector]
    _rows: Callable[[], Rows]
    _judge: Judge | None

    def own(self) -> Vector:
        """The update that honest training on this attacker's (perhaps poisoned) data gives."""
        return self._own()

    def leader(self) -> Vector:
        """The `own` of the first attacker; the same vector for all of them."""
        self._expect(Capability.COLLUDES)
        return self._leader()

    def rows(self) -> Rows:
        """Means of the groups without an attacker, as the rule will see them. Shapes: (count, dim)."""
        self._expect(Capability.SEES_ALL_UPDATES)
        return self._rows()

    def judge(self, row: Vector) -> Vector:
        """What the server would make of the honest rows and `row` from each attacker. Shapes: (dim,).

        Raises:
            RoundAbandoned: the server would abandon the round.
        """
        self._expect(Capability.KNOWS_RULE)
        if self._judge is None:
            raise ValueError("nobody told the attackers the rule; pass it to the coalition")
        return self._judge(np.vstack([self.rows(), np.tile(row, (self.attackers, 1))]))

    def _expect(self, capability: Capability) -> None:
        if capability not in self.needs:
            raise ValueError(f"the attack uses {capability} without declaring it; add it to `needs`")


Craft = Callable[[View], Vector]
"""One attacker's vector of one round, or its group's mean where it sees the group. -> (dim,)."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: its name in the table.
        needs: what it must know or be allowed to do.
        source: authors, year and section or algorithm.
        poison: what it trains on instead of its data; None leaves the data alone.
        begin: makes the craft of a new run; None sends what training gave.
        aim: test examples labelled as the attacker wants them answered; None where it only spoils.
        inflates: whether it claims the largest weight that the server accepts.
    """

    name: str
    needs: frozenset[Capability]
    source: str
    poison: Poison | None = None
    begin: Callable[[], Craft] | None = None
    aim: Poison | None = None
    inflates: bool = False

    @property
    def steers_group(self) -> bool:
        """Whether its craft names the group's mean rather than its own vector."""
        return Capability.SEES_GROUP_UPDATES in self.needs
