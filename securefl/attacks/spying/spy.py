"""What a spy is: a name, what it must have, and what it makes of it.

Rules kept here: it is pure; chance comes with the loot. A spy that also lies says how it changes requests
(`alter`); everything else about it is listening.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.capability import Capability
from securefl.attacks.spying.loot import Loot
from securefl.attacks.spying.tape import Alter

Answers = Mapping[int, int] | Mapping[int, NDArray[np.unsignedinteger]]
"""By client: a class, or the ring words that it contributed."""


@dataclass(frozen=True)
class Spy:
    """An attack that ends in knowledge.

    Attributes:
        name: in the closed table.
        needs: what its adversary must have.
        seeks: `label` for a client's most frequent class, `vector` for its exact contribution.
        source: author, year, section.
        spy: from loot to answers, for any of the clients.
        alter: what a lying server sends instead of a request, or None.
    """

    name: str
    needs: frozenset[Capability]
    seeks: Literal["label", "vector"]
    source: str
    spy: Callable[[Loot], Answers]
    alter: Alter | None = None
