"""In which order group means fall into buckets: a permutation from the drawn seed, anew each attempt.

Rules kept here: nobody chooses it. The seed comes from commit and reveal among the members, so neither the
server nor a minority of clients picks who shares a bucket; and a resumed run finds the same order.

What this file does NOT do: hide it. A member can compute the order once its epoch is drawn, and so knows
which groups share its bucket: f malicious groups still spoil at most f buckets.

Reference: Karimireddy et al. 2022, algorithm 1 (random permutation).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from securefl.robust import Order

_TAG = b"securefl bucket order 1\n"


def bucket_order(seed: bytes, round: int, attempt: int) -> Order:
    """The order of an attempt at a round: indices by their hash under the seed.

    Example:
        >>> bucket_order(bytes(32), 1, 0)(4).tolist()
        [1, 2, 3, 0]
    """

    def order(count: int) -> NDArray[np.int64]:
        places = sorted(range(count), key=lambda index: _hash(seed, round, attempt, index))
        return np.array(places, dtype=np.int64)

    return order


def _hash(seed: bytes, *numbers: int) -> bytes:
    return hashlib.sha256(_TAG + seed + b"".join(number.to_bytes(8, "big") for number in numbers)).digest()
