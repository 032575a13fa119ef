"""A state as bytes: the commit point of a round.

Rules kept here: safetensors for arrays, JSON in its metadata for the rest, no pickle. What is read
back is checked against the run it is for; a checkpoint of another model is refused.

What this file does NOT do: write files (`securefl.run`).
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from securefl.errors import RunDirectoryError
from securefl.federation.optimizer import Moments
from securefl.federation.server import State
from securefl.secagg import Draw

_VERSION = 1


def state_to_bytes(state: State) -> bytes:
    """The state as one safetensors blob."""
    header = {
        "version": _VERSION,
        "round": state.round,
        "attempt": state.attempt,
        "spares_used": state.spares_used,
        "draw": None if state.draw is None else _draw_to_json(state.draw),
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "model": state.model,
        "first_moment": state.moments.first,
        "second_moment": state.moments.second,
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
    }
    return save(arrays)


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
    except (SafetensorError, KeyError, ValueError) as cause:
        raise RunDirectoryError(
            "expected a securefl checkpoint, got bytes that do not read as one; "
            "restore the run directory from a copy or start a new run"
        ) from cause
    if version != _VERSION or model.shape != (dim,):
        raise RunDirectoryError(
            f"expected a version {_VERSION} checkpoint of {dim} parameters, got version {version} with "
            f"{model.size}; resume with the config and the version of securefl that wrote it"
        )
    draw = None if header["draw"] is None else _draw_from_json(header["draw"])
    return State(header["round"], header["attempt"], header["spares_used"], model, moments, draw)


def _draw_to_json(draw: Draw) -> dict[str, object]:
    return {
        "seed": draw.seed.hex(),
        "groups": [list(group) for group in draw.groups],
        "withheld": list(draw.withheld),
        "redraws": draw.redraws,
        "absent": list(draw.absent),
        "evidence": draw.evidence.hex(),
    }


def _draw_from_json(plain: dict[str, object]) -> Draw:
    return Draw(
        seed=bytes.fromhex(str(plain["seed"])),
        groups=tuple(tuple(group) for group in plain["groups"]),  # type: ignore[attr-defined]
        withheld=tuple(plain["withheld"]),  # type: ignore[arg-type]
        redraws=int(plain["redraws"]),  # type: ignore[call-overload]
        absent=tuple(plain["absent"]),  # type: ignore[arg-type]
        evidence=bytes.fromhex(str(plain["evidence"])),
    )
