"""Colluders take their own words, and with them their own noise, off the sum that they see.

The server lets as few members survive as it may, the colluders among them. What is left to them is the honest
members' sum under the honest members' noise. An audit of that says what epsilon it has at least, beside the
epsilon that every member is charged. A gap would be members whose noise was counted upon and is known.

Rules kept here: the members are the run's own contributions; who colludes is subtracted word by word.

What this file does NOT do: play the protocol. A test of the audits holds masked sums to the same words.

Reference: Kairouz, Liu and Steinke 2021, section 1 (colluding clients); Nasr et al. 2023 (audit).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from securefl.audit.client import canary_update, client_claim, honest_sum, unit_vector
from securefl.audit.example import scored
from securefl.audit.subject import Subject
from securefl.crypto.randomness import Randomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms


def left_over(terms: Terms, randomness: Randomness, colluders: int) -> Subject:
    """What a sum of the fewest survivors says about its first member, to so many others together.

    Raises:
        ConfigError: no shared noise to take off, or more colluders than a sum has other members.
    """
    config = terms.config
    if config.privacy.unit != "client" or config.central_noise:
        raise ConfigError("expected noise 'distributed' of unit 'client', got none to take off", "privacy")
    survivors = config.fewest_survivors
    honest = survivors - colluders
    if honest < 1:
        raise ConfigError(
            f"expected fewer colluders than the {survivors} survivors of a sum, got {colluders}", "count"
        )
    everybody = honest_sum(terms, randomness, shares=survivors)
    others = replace(everybody, members=everybody.members[:honest])
    theirs = replace(everybody, members=everybody.members[honest:])
    direction = unit_vector(terms.dim, np.random.default_rng(0))  # public: which update is tried is no secret
    updates = (np.zeros(terms.dim), canary_update(terms, direction))
    worlds = [others.with_updates(one) for one in updates]

    def draw(there: bool, number: int) -> tuple[float, float]:
        number = 2 * number + there
        total = worlds[there].words(number)
        if theirs.members:
            own = theirs.words(number)
            total += own  # the sum that is opened
            total -= own  # what they know of it
        return scored(terms.encoding.decode(total, honest)[0], direction)

    return Subject(draw, client_claim(terms, 0))
