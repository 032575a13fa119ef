"""One hash over named arrays, which shows damage to a file that holds them.

What this file does NOT do: authenticate; whoever can write the file can write its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def digest_of(tag: bytes, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
    """SHA-256 of names, types, shapes and contents, under a tag for each kind of file. Shapes: (32,)."""
    hasher = hashlib.sha256(tag + b"\0")
    for name in sorted(arrays):
        array = arrays[name]
        hasher.update(f"{name} {array.dtype} {array.shape}\0".encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(hasher.digest(), dtype=np.uint8)
