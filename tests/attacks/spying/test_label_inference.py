from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.attacks.spying import SPIES, named_spy
from securefl.attacks.spying.label_inference import favoured
from securefl.encoding import FixedPoint
from securefl.errors import ConfigError


@settings(deadline=None)
@given(st.lists(st.integers(-100, 100), min_size=2, max_size=6, unique=True), st.booleans())
def test_the_class_whose_bias_grew_most_is_found_in_any_sum(biases: list[int], weighted: bool) -> None:
    codec = FixedPoint(clip_norm=1.0, bits=8, dim=4 + len(biases), members=3, cap=5, weighted=weighted)
    words = np.full(codec.length, 99, dtype=np.int64)  # other coordinates and the weight say nothing
    words[4 : codec.dim] = biases
    ring = (words % (1 << codec.ring_bits)).astype(codec.dtype)
    assert favoured(ring, codec, len(biases)) == int(np.argmax(biases))


@pytest.mark.parametrize("name", SPIES)
def test_every_spy_says_what_it_needs_and_who_described_it(name: str) -> None:
    spy = named_spy(name)
    assert spy.name == name and spy.needs and spy.source


def test_an_unknown_spy_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of label_from_message"):
        named_spy("label")
