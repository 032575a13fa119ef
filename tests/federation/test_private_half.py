"""The half that stays at home: it never travels, and a round starts from it however often it is played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from securefl.crypto import SeededRandomness
from securefl.data import Examples
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.personal import require_kept
from securefl.federation.private_half import PrivateHalf
from securefl.training.turns import Turns

EXAMPLES = Examples(np.zeros((1, 2), dtype=np.float32), np.zeros(1, dtype=np.int64))
SHARED = np.zeros(4, dtype=np.float32)
TURNS = Turns((np.array([0, 2]),), dim=4)


class Adds:
    """Its update is 5 in shared coordinates and `own` in private ones, and notes its starts."""

    def __init__(self, own: float = 1.0) -> None:
        self.own, self.starts = own, []

    def train(self, vector, examples, sampling, noise, round=1):
        self.starts.append(vector.tolist())
        if np.isnan(self.own):
            raise DataError("diverged")
        return np.array([5.0, self.own, 5.0, self.own])


def half(path: Path, trainer: Adds) -> PrivateHalf:
    return PrivateHalf("run", path / "4.safetensors", trainer, TURNS)


def played(one: PrivateHalf, round: int) -> list[float]:
    stream = SeededRandomness(b"h").stream("unused")
    return one.train(SHARED, EXAMPLES, stream, stream, round).tolist()


def test_what_has_no_turn_stays_at_home() -> None:
    assert TURNS.at_home.tolist() == [1, 3]
    assert Turns((np.array([0, 2]), np.array([1, 3])), dim=4).at_home.size == 0


def test_the_shared_coordinates_travel_and_the_private_ones_stay(tmp_path: Path) -> None:
    one = half(tmp_path, Adds())
    assert one.beside(SHARED) is None
    assert played(one, 1) == [5.0, 5.0]
    assert played(one, 2) == [5.0, 5.0]
    kept = one.beside(SHARED + 7)
    assert kept is not None
    assert kept.tolist() == [7.0, 2.0, 7.0, 2.0]


def test_a_round_played_twice_starts_from_the_earlier_half(tmp_path: Path) -> None:
    trainer = Adds()
    for round in (1, 1, 2, 2, 2, 4):
        played(half(tmp_path, trainer), round)
    assert [start[1] for start in trainer.starts] == [0.0, 0.0, 1.0, 1.0, 1.0, 2.0]
    assert all(start[0] == start[2] == 0.0 for start in trainer.starts)


@pytest.mark.parametrize("own", [np.inf, 1e300])
def test_a_half_that_diverges_stays_as_it_was(tmp_path: Path, own: float) -> None:
    played(half(tmp_path, Adds()), 1)
    with np.errstate(over="ignore"):
        played(half(tmp_path, Adds(own)), 2)
    with pytest.raises(DataError):
        played(half(tmp_path, Adds(np.nan)), 3)
    kept = half(tmp_path, Adds()).beside(SHARED)
    assert kept is not None
    assert kept.tolist() == [0.0, 1.0, 0.0, 1.0]


def test_a_round_whose_training_fails_is_in_the_file_so_that_its_run_can_be_resumed(tmp_path: Path) -> None:
    """Under unit client such a client sends zeros and counts as a survivor, whose file resuming asks for."""
    for round in (1, 2):
        with pytest.raises(DataError):
            played(half(tmp_path, Adds(np.nan)), round)
        require_kept(tmp_path, "run", {4: round})
    played(half(tmp_path, Adds()), 3)
    with pytest.raises(DataError):
        played(half(tmp_path, Adds(np.nan)), 4)
    require_kept(tmp_path, "run", {4: 4})
    kept = half(tmp_path, Adds()).beside(SHARED)
    assert kept is not None
    assert kept.tolist() == [0.0, 1.0, 0.0, 1.0]


def test_the_file_of_another_run_or_of_a_later_round_is_refused(tmp_path: Path) -> None:
    one = half(tmp_path, Adds())
    played(one, 5)
    with pytest.raises(RunDirectoryError, match="expected a personal model of this run"):
        played(replace(one, run="another"), 6)
    with pytest.raises(RunDirectoryError, match="of round 4 or earlier, got one of 5"):
        played(one, 4)
    assert one.path.stat().st_mode & 0o077 == 0
