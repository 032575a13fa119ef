"""What goes down in a round: the model and a clip that moves come back to the bit, or a typed error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.encoding import AdaptiveClip, Encoding, FixedPoint, NoisyFixedPoint
from securefl.errors import DecodeError, PolicyError
from securefl.federation.broadcast import broadcast, broadcast_bytes, moving, received
from securefl.privacy.discrete import DiscreteGaussian

MODEL = np.array([1.0, -2.5, 1e-40], dtype=np.float32)
RULE = AdaptiveClip(initial=0.5, quantile=0.5, learning_rate=0.2, bit_share=0.2)
STAYING = NoisyFixedPoint(0.5, 12, 3, 4, DiscreteGaussian(30.0))
MOVING = NoisyFixedPoint(0.5, 12, 3, 4, DiscreteGaussian(30.0), adaptive=RULE)


@given(st.floats(RULE.lowest, RULE.highest))
def test_model_and_clip_come_back_to_the_bit(clip: float) -> None:
    data = broadcast(MODEL, clip)
    model, encoding = received(data, MOVING)
    assert len(data) == broadcast_bytes(MOVING)
    assert model.tobytes() == MODEL.tobytes()
    assert encoding == MOVING.at(clip)


@pytest.mark.parametrize("encoding", [STAYING, FixedPoint(0.5, 12, 3, 4)])
def test_where_the_clip_stays_the_model_goes_alone(encoding: Encoding) -> None:
    model, same = received(broadcast(MODEL), encoding)
    assert model.tobytes() == broadcast(MODEL) == MODEL.astype("<f4").tobytes()
    assert same is encoding and moving(encoding) is None


@pytest.mark.parametrize(
    "clip",
    [math.nan, math.inf, -math.inf, 0.0, -0.5, 5e-324, np.nextafter(RULE.lowest, 0.0), 1.7e308, 512.0001],
)
def test_a_clip_beyond_the_limits_is_refused(clip: float) -> None:
    with pytest.raises(PolicyError, match=r"expected a clip from 0.000488281 to 512, .* got"):
        received(broadcast(MODEL, clip), MOVING)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", STAYING),
        (broadcast(MODEL)[:-1], STAYING),
        (broadcast(MODEL, 0.5), STAYING),
        (broadcast(MODEL), MOVING),
        (broadcast(MODEL, 0.5) + b"\0", MOVING),
    ],
)
def test_another_number_of_bytes_is_no_model_of_this_run(data: bytes, encoding: Encoding) -> None:
    with pytest.raises(DecodeError, match="expected a model of"):
        received(data, encoding)
