"""The honest contribution: train, clip, weight, encode; ring words come out and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.crypto import SeededRandomness
from securefl.crypto.randomness import Stream
from securefl.data import Examples
from securefl.encoding import FixedPoint, NoisyFixedPoint, clip_to_norm
from securefl.errors import DataError
from securefl.federation import LocalUpdate, Stopwatch
from securefl.privacy.discrete import DiscreteGaussian

DIM = 4
START = np.array([1.0, -2.0, 0.5, 0.0], dtype=np.float32)
EXAMPLES = Examples(np.ones((3, 2), dtype=np.float32), np.array([0, 1, 0]))


@dataclass
class Fixed:
    """A trainer that always returns one update and remembers what it was given."""

    update: NDArray[np.float64]
    starts: list[NDArray[np.float32]] = field(default_factory=list)
    draws: list[tuple[bytes, bytes]] = field(default_factory=list)

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> NDArray[np.float64]:
        assert examples is EXAMPLES
        self.starts.append(vector.copy())
        self.draws.append((sampling.take(16), noise.take(16)))
        return self.update


def contribution(trainer: Fixed, client: int = 2, weight: int = 1, cap: int = 1) -> LocalUpdate:
    return LocalUpdate(
        client=client,
        trainer=trainer,
        examples=EXAMPLES,
        encoding=FixedPoint(clip_norm=1.0, bits=16, dim=DIM, members=3, cap=cap),
        weight=weight,
        randomness=SeededRandomness(b"contribution"),
        stopwatch=Stopwatch(),
    )


@pytest.mark.parametrize(("length", "weight", "cap"), [(0.5, 1, 1), (25.0, 1, 1), (25.0, 2, 5)])
def test_the_words_are_the_clipped_and_weighted_update_to_one_rounding_step(
    length: float, weight: int, cap: int
) -> None:
    update = length * np.array([0.5, -0.5, 0.5, -0.5])
    local = contribution(Fixed(update), weight=weight, cap=cap)
    words = local(START.tobytes(), 1)
    assert words.shape == (local.encoding.length,)
    mean, _ = local.encoding.decode(words, 1, float(weight))
    assert np.abs(mean - clip_to_norm(update, 1.0)).max() <= local.encoding.step * cap / weight
    assert np.linalg.norm(mean) <= local.encoding.norm_bound


def test_training_starts_at_the_model_that_came_over_the_wire() -> None:
    trainer = Fixed(np.zeros(DIM))
    contribution(trainer)(START.astype("<f4").tobytes(), 1)
    assert trainer.starts[0].tolist() == START.tolist()


def test_every_client_and_round_has_streams_of_its_own_for_sampling_and_for_noise() -> None:
    trainer = Fixed(np.zeros(DIM))
    for client in (1, 2):
        for round in (1, 2):
            contribution(trainer, client)(START.tobytes(), round)
    drawn = [draw for pair in trainer.draws for draw in pair]
    assert len(set(drawn)) == 8


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_never_becomes_words(broken: float) -> None:
    update = np.array([0.1, broken, 0.0, 0.0])
    with pytest.raises(DataError, match="finite"):
        contribution(Fixed(update))(START.tobytes(), 1)


@dataclass
class Diverging:
    """A trainer that gives up on the data it has."""

    def train(
        self, vector: NDArray[np.float32], examples: Examples, sampling: Stream, noise: Stream, round: int = 1
    ) -> NDArray[np.float64]:
        raise DataError("training diverged")


def test_a_client_whose_training_fails_is_silent_only_where_no_noise_covers_it() -> None:
    failing = replace(contribution(Fixed(np.zeros(DIM))), trainer=Diverging())
    with pytest.raises(DataError, match="diverged"):
        failing(START.tobytes(), 1)
    noisy = NoisyFixedPoint(1.0, 16, DIM, 3, DiscreteGaussian(50.0))
    nothing = replace(contribution(Fixed(np.zeros(DIM))), encoding=noisy)
    assert (
        replace(failing, encoding=noisy)(START.tobytes(), 1).tolist() == nothing(START.tobytes(), 1).tolist()
    )


def test_an_update_can_only_leave_as_ring_words() -> None:
    public = {name for name in dir(LocalUpdate) if not name.startswith("_")}
    assert public - {each.name for each in fields(LocalUpdate)} == {"update"}
    assert isinstance(contribution(Fixed(np.zeros(DIM))).update(START, 1), np.ndarray), "no bytes, no message"


def test_the_seconds_go_to_training_and_to_encoding() -> None:
    local = contribution(Fixed(np.zeros(DIM)))
    local(START.tobytes(), 1)
    assert set(local.stopwatch.take()) == {"training", "encoding"}
