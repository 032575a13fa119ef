"""What goes down to every client of a round: the flat model and, where the clip moves, the clip.

Rules kept here:
- It is one blob, and its hash is in the session digest: members that are told different clips have masks that
  do not cancel and signatures that do not agree.
- A client works with the clip that it is told, within the limits that its own config implies. What it sends
  is in units of that clip and so is its noise, so no clip weakens its privacy; outside the limits it is
  silent, whatever its data are.

What this file does NOT do: move the clip (`securefl.encoding.adaptive_clip`).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from securefl.encoding import Encoding, NoisyFixedPoint
from securefl.errors import DecodeError, PolicyError

MODEL_DTYPE = np.dtype("<f4")
_CLIP = struct.Struct("<d")


def broadcast(model: NDArray[np.float32], clip: float | None = None) -> bytes:
    """The bytes of a round; `clip` where it moves."""
    return model.astype(MODEL_DTYPE).tobytes() + (b"" if clip is None else _CLIP.pack(clip))


def first_broadcast(model: NDArray[np.float32], encoding: Encoding) -> bytes:
    """The bytes of the first round, with the clip that it begins with, where that moves."""
    noisy = moving(encoding)
    return broadcast(model, None if noisy is None else noisy.clip_norm)


def broadcast_bytes(encoding: Encoding, parameters: int | None = None) -> int:
    """Length of what `broadcast` gives. `parameters`: of the model, where an update has others."""
    return (parameters or encoding.dim) * MODEL_DTYPE.itemsize + (
        0 if moving(encoding) is None else _CLIP.size
    )


def received(
    data: bytes, encoding: Encoding, parameters: int | None = None
) -> tuple[NDArray[np.float32], Encoding]:
    """The model, and `encoding` with the clip of this round. `parameters` as for `broadcast_bytes`.

    Raises:
        DecodeError: another number of bytes than a model of this run has.
        PolicyError: a clip that no round of this run can have.
    """
    expected = broadcast_bytes(encoding, parameters)
    if len(data) != expected:
        raise DecodeError(f"expected a model of {expected} bytes, got {len(data)}; nothing was trained")
    model, noisy = np.frombuffer(data, dtype=MODEL_DTYPE, count=parameters or encoding.dim), moving(encoding)
    if noisy is None or noisy.adaptive is None:
        return model, encoding
    (clip,) = _CLIP.unpack(data[-_CLIP.size :])
    lowest, highest = noisy.adaptive.lowest, noisy.adaptive.highest
    if not lowest <= clip <= highest:
        raise PolicyError(
            f"expected a clip from {lowest:.6g} to {highest:.6g}, as the config's initial clip allows, got "
            f"{clip!r}; nothing was sent"
        )
    return model, noisy.at(clip)


def moving(encoding: Encoding) -> NoisyFixedPoint | None:
    """The encoding, where its clip moves from round to round."""
    return encoding if isinstance(encoding, NoisyFixedPoint) and encoding.adaptive is not None else None
