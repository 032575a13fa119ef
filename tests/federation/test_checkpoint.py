"""The checkpoint: the same state comes back bit for bit, or a typed error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from securefl.errors import RunDirectoryError
from securefl.federation import State
from securefl.federation.checkpoint import state_from_bytes, state_to_bytes
from securefl.federation.optimizer import Moments
from securefl.secagg import Draw
from securefl.secagg.messages import Contribution, DrawEvidence

DIM = 5
DRAW = Draw(
    seed=bytes(range(32)),
    groups=((0, 2), (1, 3, 4)),
    withheld=(5,),
    redraws=1,
    absent=(6, 7),
    evidence=DrawEvidence(6, 1, (Contribution(3, bytes(32)),)),
)
STATE = State(
    round=4,
    attempt=1,
    spares_used=2,
    model=np.array([0.1, -0.0, 1e-40, np.float32(np.pi), -7.5], dtype=np.float32),
    moments=Moments(np.arange(5) / 3.0, np.full(5, 1e-300)),
    draw=DRAW,
    clip=0.1 + 0.2,
)


@pytest.mark.parametrize("draw", [DRAW, None])
def test_a_state_comes_back_bit_for_bit(draw: Draw | None) -> None:
    state = replace(STATE, draw=draw)
    again = state_from_bytes(state_to_bytes(state), DIM)
    assert again.draw == draw
    assert (again.round, again.attempt, again.spares_used) == (4, 1, 2)
    assert again.clip == 0.1 + 0.2
    for one, other in (
        (again.model, state.model),
        (again.moments.first, state.moments.first),
        (again.moments.second, state.moments.second),
    ):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    assert state_to_bytes(again) == state_to_bytes(state), "resumed and written again: the same file"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_flipped_bit_and_no_cut_passes_for_a_checkpoint(data: st.DataObject) -> None:
    written = state_to_bytes(STATE)
    at = data.draw(st.integers(0, len(written) - 1))
    flipped = bytearray(written)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    for spoiled in (bytes(flipped), written[:at]):
        try:
            again = state_from_bytes(spoiled, DIM)
        except RunDirectoryError:
            continue
        # A header's spelling may change without its meaning; what was read is then what was written.
        assert state_to_bytes(again) == written


@pytest.mark.parametrize("foreign", [b"", b"PK\3\4", b"\x80\4\x95", save({"model": np.zeros(5, np.float32)})])
def test_foreign_bytes_are_refused(foreign: bytes) -> None:
    with pytest.raises(RunDirectoryError, match="expected a securefl checkpoint, got other bytes"):
        state_from_bytes(foreign, DIM)


def test_a_changed_model_is_called_damage() -> None:
    arrays = load(state_to_bytes(STATE))
    arrays["model"] = arrays["model"] + np.float32(1)
    with pytest.raises(RunDirectoryError, match="got a damaged one"):
        state_from_bytes(save(arrays), DIM)


def test_a_checkpoint_of_another_model_is_refused() -> None:
    with pytest.raises(RunDirectoryError, match="checkpoint of 6 parameters, got version 3 with 5"):
        state_from_bytes(state_to_bytes(STATE), DIM + 1)
