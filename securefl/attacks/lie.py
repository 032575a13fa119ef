"""A vector of an attacker's choice as ring words: no clip, no cap, nothing but the ring itself.

Rules kept here: the words never make the group's sum wrap, because a wrapped sum is noise to the attacker
too; each coordinate is cut to what the ring has room for beside the other members. NaN and infinity, which
no ring word can be, become the largest number there is room for.

What this file does NOT do: choose the vector (one file per attack).
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.attack import Vector
from securefl.crypto.randomness import Stream
from securefl.encoding import Encoding, quantise
from securefl.federation.contribution import Words


def encode(
    encoding: Encoding,
    vector: Vector,
    weight: int,
    stream: Stream,
    others: Vector | None = None,
    liars: int = 1,
) -> Words:
    """The words whose decoded part of the group's sum is `vector` times weight / cap.

    Args:
        encoding: the group's encoding.
        vector: what the attacker wants to have sent.
        weight: what it claims.
        stream: for the rounding.
        others: the decoded sum that the honest members will send, if it is known.
        liars: attackers in the group, who share the room that `others` leaves.

    Shapes: vector (dim,) -> (encoding.length,).
    """
    room, most = _room(encoding, others, liars), encoding.step * (1 << (encoding.ring_bits - 1))
    wanted = np.clip(np.where(np.isnan(vector), np.inf, vector), -most, most) * (weight / encoding.cap)
    cut = np.clip(encoding.spread(wanted), -room, room)
    words = np.empty(encoding.length, dtype=encoding.dtype)
    words[: cut.size] = quantise(cut, encoding.step, stream, encoding.dtype)
    words[cut.size :] = encoding.weight_words(weight)
    words &= encoding.dtype((1 << encoding.ring_bits) - 1)
    return words


def _room(encoding: Encoding, others: Vector | None, liars: int) -> Vector | float:
    largest = (1 << (encoding.ring_bits - 1)) - 1 - encoding.reach
    if others is None:
        return encoding.step * (largest - (encoding.members - 1) * encoding.limit)
    # One step per member for its rounding.
    spread = np.abs(encoding.spread(others))
    return np.maximum(0.0, encoding.step * (largest - encoding.members) - spread) / liars
