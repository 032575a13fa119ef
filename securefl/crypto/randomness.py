"""Where every secret bit comes from: AES-CTR streams keyed by the operating system.

Rules kept here:
- A stream is keyed once with 32 bytes from the operating system and belongs to one process: used
  after a fork it raises, so parent and child never share masks or noise.
- The experiment seed never reaches this file. `SeededRandomness` exists for tests of bit-for-bit
  equality; it is injected through Python only, and `private` is False so that every consumer can
  mark its results NOT PRIVATE.
- Uniform reals have 52 random bits and lie strictly inside (0, 1), so their logarithm is finite.

What this file does NOT do: Gaussian or discrete noise (`securefl.privacy.noise`).

Reference: NIST SP 800-38A section 6.5 (counter mode).
"""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from securefl.errors import ProtocolError

KEY_BYTES = 32
_ZEROS = bytes(1 << 16)


class Stream:
    """A pseudorandom stream: AES-256 in counter mode over zeros, read from the front.

    Guarantee: two streams with independent keys are computationally independent; one stream is
    deterministic in its key and in the sizes read.

    Args:
        key: 32 bytes.

    Example:
        >>> Stream(bytes(32)).take(4).hex()
        'dc95c078'
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a stream key has {KEY_BYTES} bytes, got {len(key)}")
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
        self._pid = os.getpid()

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size <= len(_ZEROS):
            return self._next(memoryview(_ZEROS)[:size])
        return self._next(memoryview(bytes(size)))

    def words(self, count: int, dtype: type[np.uint32] | type[np.uint64]) -> NDArray[np.unsignedinteger]:
        """The next `count` words, uniform on the whole range of `dtype`. Shapes: (count,)."""
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype=dtype)

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """`count` reals, uniform on the 2^52 midpoints strictly inside (0, 1). Shapes: (count,)."""
        words = np.frombuffer(self.take(count * 8), dtype=np.uint64)
        # 52 bits, not 53: the largest of 2^53 midpoints is no float64 and would round to 1.
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def _next(self, zeros: memoryview) -> bytes:
        if os.getpid() != self._pid:
            raise ProtocolError("a random stream crossed a fork; open a new one in the child process")
        return self._encryptor.update(zeros)


class Randomness(Protocol):
    """A source of independent streams. `private` is False for anything that can be replayed."""

    @property
    def private(self) -> bool:
        """Whether the operating system keys the streams."""

    def stream(self, *label: str | int) -> Stream:
        """A new stream for one purpose; a replayable source derives it from `label`."""


class SystemRandomness:
    """Every stream is keyed afresh by the operating system; labels are not used.

    Guarantee: no two streams share a key, whatever labels or seeds two clients have.
    """

    @property
    def private(self) -> bool:
        """True: nobody can replay these streams."""
        return True

    def stream(self, *label: str | int) -> Stream:
        """A stream under a fresh 32-byte key from the operating system."""
        return Stream(os.urandom(KEY_BYTES))


class SeededRandomness:
    """NOT PRIVATE. Replayable streams for tests of bit-for-bit equality.

    Args:
        seed: any bytes; equal seeds and labels give equal streams.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    @property
    def private(self) -> bool:
        """False: whoever knows the seed knows every key, mask and noise value."""
        return False

    def stream(self, *label: str | int) -> Stream:
        """The stream that `label` names. Distinct labels give independent streams."""
        info = b"".join(_encode_label(part) for part in label)
        info = b"securefl test stream" + info
        kdf = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info)
        return Stream(kdf.derive(self._seed))


def _encode_label(part: str | int) -> bytes:
    text = f"{type(part).__name__}:{part}".encode()
    return len(text).to_bytes(4, "big") + text
