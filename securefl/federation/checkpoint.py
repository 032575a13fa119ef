"""A state as bytes: the commit point of a round.

Rules kept here: safetensors for arrays, JSON among them for the rest, no pickle. What is read back
is checked: a hash over everything shows damage, and a checkpoint of another dimension is refused.

What this file does NOT do: write files (`securefl.run`).
"""

from __future__ import annotations

import json
from math import inf

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from securefl.errors import DecodeError, RunDirectoryError
from securefl.federation.digest import digest_of
from securefl.federation.optimizer import Moments
from securefl.federation.server import State
from securefl.secagg import Draw, DrawEvidence
from securefl.secagg.codec import record_from_bytes, record_to_bytes

_TAG = b"securefl checkpoint"
_VERSION = 3
_RESTORE = "restore the run directory from a copy or start a new run"
_DAMAGE = (SafetensorError, DecodeError, KeyError, TypeError, ValueError, RecursionError)
"""What parsing foreign bytes raises. Deeply nested JSON exhausts the stack before it is no JSON."""


def state_to_bytes(state: State) -> bytes:
    """The state as one safetensors blob."""
    header = {
        "version": _VERSION,
        "round": state.round,
        "attempt": state.attempt,
        "spares_used": state.spares_used,
        "clip": state.clip,
        "early": {str(client): reply.hex() for client, reply in state.early.items()},
        "draw": None if state.draw is None else _draw_to_json(state.draw),
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "model": state.model,
        "first_moment": state.moments.first,
        "second_moment": state.moments.second,
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
    }
    return save(arrays | {"digest": digest_of(_TAG, arrays)})


def state_from_bytes(data: bytes, dim: int) -> State:
    """The state that `state_to_bytes` wrote.

    Raises:
        RunDirectoryError: not a checkpoint of this version, or of a model with another dimension.
    """
    try:
        arrays = load(data)
        header = json.loads(arrays["header"].tobytes())
        version, model = header["version"], arrays["model"]
        moments = Moments(arrays["first_moment"], arrays["second_moment"])
        intact = np.array_equal(arrays.pop("digest"), digest_of(_TAG, arrays))
    except _DAMAGE as cause:
        raise RunDirectoryError(f"expected a securefl checkpoint, got other bytes; {_RESTORE}") from cause
    if not intact:
        raise RunDirectoryError(f"expected the checkpoint as it was written, got a damaged one; {_RESTORE}")
    if version != _VERSION or model.shape != (dim,):
        raise RunDirectoryError(
            f"expected a version {_VERSION} checkpoint of {dim} parameters, got version {version} with "
            f"{model.size}; resume with the config and the version of securefl that wrote it"
        )
    try:
        draw = None if header["draw"] is None else _draw_from_json(header["draw"])
        round, attempt, spares_used = (_count(header[name]) for name in ("round", "attempt", "spares_used"))
        clip = _clip(header["clip"])
        early = {int(client): bytes.fromhex(reply) for client, reply in dict(header["early"]).items()}
    except _DAMAGE as cause:
        raise RunDirectoryError(
            f"expected a checkpoint's header, got another ({cause}); {_RESTORE}"
        ) from cause
    return State(round, attempt, spares_used, model, moments, draw, early, clip)


def _draw_to_json(draw: Draw) -> dict[str, object]:
    return {
        "seed": draw.seed.hex(),
        "groups": [list(group) for group in draw.groups],
        "withheld": list(draw.withheld),
        "redraws": draw.redraws,
        "absent": list(draw.absent),
        "evidence": record_to_bytes(draw.evidence).hex(),
    }


def _draw_from_json(plain: dict[str, object]) -> Draw:
    return Draw(
        seed=bytes.fromhex(str(plain["seed"])),
        groups=tuple(_clients(group) for group in _list(plain["groups"])),
        withheld=_clients(plain["withheld"]),
        redraws=_count(plain["redraws"]),
        absent=_clients(plain["absent"]),
        evidence=record_from_bytes(DrawEvidence, bytes.fromhex(str(plain["evidence"]))),
    )


def _clients(value: object) -> tuple[int, ...]:
    return tuple(_count(client) for client in _list(value))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, got {type(value).__name__}")
    return value


def _clip(value: object) -> float | None:
    if value is not None and not (type(value) is float and 0.0 < value < inf):
        raise ValueError(f"expected a finite clip above 0, got {value!r:.40}")
    return value


def _count(value: object) -> int:
    # bool is an int in Python, and `true` is no number in a checkpoint.
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a whole number from 0, got {value!r:.40}")
    return value
