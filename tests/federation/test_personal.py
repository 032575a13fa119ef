"""The file of a personal model: one training per round, damage is named, divergence changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from securefl.crypto import SeededRandomness
from securefl.data import Examples
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.personal import PersonalModel

EXAMPLES = Examples(np.zeros((1, 2), dtype=np.float32), np.zeros(1, dtype=np.int64))
SHARED = np.zeros(3, dtype=np.float32)


class Adds:
    """A trainer whose update is 1 in every coordinate, and that notes where it started."""

    def __init__(self, update: float = 1.0) -> None:
        self.update, self.starts = update, []

    def train(self, vector, examples, sampling, noise, anchor=None):
        self.starts.append(float(vector[0]))
        if np.isnan(self.update):
            raise DataError("diverged")
        return np.full(vector.size, self.update)


def model(path: Path, trainer: Adds) -> PersonalModel:
    return PersonalModel(4, "run", path / "4.safetensors", trainer, EXAMPLES, SeededRandomness(b"p"))


def test_a_round_asked_twice_is_trained_from_the_same_start(tmp_path: Path) -> None:
    trainer = Adds()
    one = model(tmp_path, trainer)
    for round in (0, 0, 1, 1, 1, 3):
        one.follow(SHARED, round)
    assert trainer.starts == [0.0, 0.0, 1.0, 1.0, 1.0, 2.0]
    kept = one.beside(SHARED)
    assert kept is not None
    assert kept.tolist() == [3.0] * 3


@pytest.mark.parametrize("update", [np.nan, np.inf, 1e300])
def test_steps_that_diverge_leave_the_model_as_it_was(tmp_path: Path, update: float) -> None:
    model(tmp_path, Adds()).follow(SHARED, 0)
    with np.errstate(over="ignore"):
        model(tmp_path, Adds(update)).follow(SHARED, 1)
    kept = model(tmp_path, Adds()).beside(SHARED)
    assert kept is not None
    assert kept.tolist() == [1.0] * 3


def test_a_client_that_never_took_part_has_no_model(tmp_path: Path) -> None:
    assert model(tmp_path, Adds()).beside(SHARED) is None


def test_a_damaged_file_or_one_of_another_model_is_named(tmp_path: Path) -> None:
    one = model(tmp_path, Adds())
    one.follow(SHARED, 0)
    with pytest.raises(
        RunDirectoryError, match=r"4\.safetensors: expected a personal model of this run, 5 parameters"
    ):
        one.beside(np.zeros(5, dtype=np.float32))
    data = one.path.read_bytes()
    flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    for damaged in (b"", data[:20], b"\xff" * len(data), flipped):
        one.path.write_bytes(damaged)
        with pytest.raises(RunDirectoryError, match=r"4\.safetensors: expected the personal model"):
            one.follow(SHARED, 1)


def test_the_file_of_another_run_or_of_a_later_round_is_refused(tmp_path: Path) -> None:
    one = model(tmp_path, Adds())
    one.follow(SHARED, 5)
    with pytest.raises(RunDirectoryError, match="expected a personal model of this run"):
        replace(one, run="another").follow(SHARED, 6)
    with pytest.raises(RunDirectoryError, match="of round 4 or earlier, got one of 5"):
        one.follow(SHARED, 4)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    one = PersonalModel(
        4, "run", tmp_path / "personal" / "4.safetensors", Adds(), EXAMPLES, SeededRandomness(b"p")
    )
    one.follow(SHARED, 0)
    assert one.path.parent.stat().st_mode & 0o077 == 0
    assert one.path.stat().st_mode & 0o077 == 0
