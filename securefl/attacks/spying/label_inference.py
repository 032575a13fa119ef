"""Label inference: the class that a client has most of, from the output bias in what it sent.

For cross-entropy the bias of class c moves by learning_rate * (share of c in the batch - mean predicted
probability of c). While predictions are near uniform, the coordinate that grew most is the class that the
client saw most. `label_from_message` reads one client's vector as it was sent; `label_from_sum` reads the
smallest sum with that client in it: its group's, or its own where nothing is masked.

Assumes: the model's last parameters are one bias per class, as in every model that a config can name.

Reference: Zhao, Mopuri and Bilen 2020 (iDLG: signs of output-layer gradients give labels); Wainakh et al.
2022 (label counts of a batch from output gradients).
"""

from __future__ import annotations

import numpy as np

from securefl.attacks.capability import Capability
from securefl.attacks.spying.loot import Loot, Words, words_of
from securefl.attacks.spying.spy import Spy
from securefl.encoding import Encoding
from securefl.encoding.fixed_point import sign_extended
from securefl.secagg import Step

_SOURCE = "Zhao, Mopuri and Bilen 2020; Wainakh et al. 2022"


def label_from_message() -> Spy:
    """Reads each vector as it was sent."""

    def spy(loot: Loot) -> dict[int, int]:
        return {client: favoured(words, loot.encoding, loot.classes) for client, words in loot.vectors()}

    return Spy("label_from_message", frozenset({Capability.SEES_WIRE}), "label", _SOURCE, spy)


def label_from_sum() -> Spy:
    """Reads the smallest sum that a client is in."""

    def spy(loot: Loot) -> dict[int, int]:
        guesses = {}
        for group in loot.groups:
            for client, words in _sums(loot, group.terms.group).items():
                guesses[client] = favoured(words, loot.encoding, loot.classes)
        return guesses

    return Spy("label_from_sum", frozenset({Capability.SEES_WIRE}), "label", _SOURCE, spy)


def favoured(words: Words, encoding: Encoding, classes: int) -> int:
    """The class whose output bias the words move up most. Shapes: words (encoding.length,).

    Example:
        >>> from securefl.encoding import FixedPoint
        >>> codec = FixedPoint(clip_norm=1.0, bits=8, dim=3, members=2, cap=1, weighted=False)
        >>> favoured(np.array([7, 3, 2**codec.ring_bits - 1], codec.dtype), codec, 2)
        0
    """
    coordinates = sign_extended(words, encoding.ring_bits).astype(np.float64)
    return int(np.argmax(encoding.gathered(coordinates)[encoding.dim - classes :]))


def _sums(loot: Loot, number: int) -> dict[int, Words]:
    found: dict[int, Words] = {}
    for group in loot.groups:
        if group.terms.group != number:
            continue
        if not group.terms.masking:
            sent = group.replies.get(Step.MASK, {})
            found |= {client: words_of(group.terms, data) for client, data in sent.items()}
            continue
        stages = loot.replayed(group)
        if stages is not None:
            found |= dict.fromkeys(stages[1].survivors, stages[1].total)
    return found
